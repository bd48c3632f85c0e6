import type { Json } from './vendor.js'

/** Half of a character that takes two: no text that can be stored has one. */
const HALF = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/**
 * The value without NUL and halves of characters, which no database takes and which say nothing. The very same value where
 * there were none, which is nearly always so.
 */
export function cleaned(value: Json): Json {
  if (typeof value === 'string') {
    return value.includes('\u0000') || !value.isWellFormed()
      ? value.replaceAll('\u0000', '').replaceAll(HALF, '')
      : value
  }
  if (typeof value !== 'object' || value === null) {
    return value
  }
  if (Array.isArray(value)) {
    const list = value as readonly Json[]
    const clean = list.map(cleaned)
    return clean.some((one, at) => one !== list[at]) ? clean : value
  }
  const members = value as { readonly [key: string]: Json }
  let changed: Record<string, Json> | null = null
  for (const name of Object.keys(members)) {
    const before = members[name] ?? null
    const clean = cleaned(before)
    if (clean !== before) {
      changed ??= { ...members }
      changed[name] = clean
    }
  }
  return changed ?? value
}
