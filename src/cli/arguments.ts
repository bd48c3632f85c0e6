/** What people type, parsed. */
import { stat } from 'node:fs/promises'
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'

/** Typed wrongly: the message says what, and the command's help follows. */
export class UsageError extends Error {}

/** Parses strictly: an option that the command does not know is a UsageError. */
export function parse<const O extends ParseArgsOptionsConfig>(args: readonly string[], options: O) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? firstSentence(error.message) : String(error))
  }
}

// Node's hint about `--` helps nobody here.
function firstSentence(message: string): string {
  return message.replace(/\. To specify a positional argument .*$/s, '.')
}

/** The only positional argument; UsageError if it is missing or not alone. */
export function only(positionals: readonly string[], name: string): string {
  const [value, ...more] = positionals
  if (value === undefined || value === '') {
    throw new UsageError(`${name} is missing.`)
  }
  if (more.length > 0) {
    throw new UsageError(`One ${name} at a time; "${more.join(' ')}" is too much. Quote a name that has spaces.`)
  }
  return value
}

/** One of `values`, typed in lower case with dashes (`fill-blanks`), as the API writes it (`FILL_BLANKS`). Undefined stays. */
export function choice(option: string, text: string | undefined, values: readonly string[]): string | undefined {
  if (text === undefined) {
    return undefined
  }
  const value = text.toUpperCase().replaceAll('-', '_')
  if (!values.includes(value)) {
    const shown = values.map((each) => each.toLowerCase().replaceAll('_', '-'))
    throw new UsageError(`${option} is one of ${shown.join(', ')}; "${text}" is none of them.`)
  }
  return value
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Seconds of `90s`, `15m`, `1h` or `7d`. */
export function seconds(option: string, text: string): number {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const value = Number(amount) * (unitSeconds[unit ?? ''] ?? Number.NaN)
  if (!(value > 0)) {
    throw new UsageError(`${option} is a number with s, m, h or d, e.g. 90s, 15m, 1h, 7d; "${text}" is not.`)
  }
  return value
}

/** A whole number from `least` to `most`. */
export function whole(option: string, text: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${option} is a whole number from ${least} to ${most}; "${text}" is not.`)
  }
  return value
}

/** `Column=field`, split at the last `=`: column names may have one, field names do not. */
export interface Assignment {
  readonly column: string
  /** Null: the column is left out. */
  readonly field: string | null
}

/** Each `--map`. An empty field or `-` leaves the column out. */
export function assignments(texts: readonly string[]): Assignment[] {
  const seen = new Set<string>()
  return texts.map((text) => {
    const at = text.lastIndexOf('=')
    const column = text.slice(0, Math.max(0, at)).trim()
    if (at < 0 || column === '') {
      throw new UsageError(`--map is "Column=field"; "${text}" is not. "Column=" leaves a column out.`)
    }
    if (seen.has(column)) {
      throw new UsageError(`--map names the column "${column}" twice.`)
    }
    seen.add(column)
    const field = text.slice(at + 1).trim()
    return { column, field: field === '' || field === '-' ? null : field }
  })
}

/** Each `--match-on`: field names with commas between. */
export function matchRules(texts: readonly string[]): string[][] {
  return texts.map((text) => {
    const fields = text.split(',').map((field) => field.trim())
    if (fields.some((field) => field === '')) {
      throw new UsageError(`--match-on is a list of fields, e.g. email or firstName,lastName; "${text}" is not.`)
    }
    return fields
  })
}

/** The size in bytes of a file that a command was given; UsageError where there is none. */
export async function sizeOf(path: string): Promise<number> {
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      error.code === 'ENOENT' ? `There is no file "${path}".` : `"${path}" cannot be read: ${error.message}.`,
    )
  })
  if (!stats.isFile()) {
    throw new UsageError(`"${path}" is not a file.`)
  }
  return stats.size
}
