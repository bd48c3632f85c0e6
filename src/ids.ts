/**
 * Ids as the API shows them: a prefix that names the kind and the UUID as 26 characters of base 32, e.g.
 * `con_01jd3v...`. Opaque to callers; inside the service ids are plain lower-case UUIDs.
 */
import { randomUUID } from 'node:crypto'

const prefixes = {
  contact: 'con',
  lead: 'led',
  property: 'prp',
  activity: 'act',
  file: 'fil',
  run: 'run',
  member: 'mem',
  apiKey: 'key',
  tenant: 'tnt',
  uploadSession: 'upl',
  customField: 'cfd',
  businessRule: 'rul',
  mappingTemplate: 'mpt',
  duplicatePair: 'dup',
  exportTemplate: 'ext',
  integration: 'itg',
  auditEntry: 'aud',
  webhook: 'whk',
  webhookDelivery: 'whd',
} as const

/** What an id can stand for. All runs share one kind: their own kind is theirs to know. */
export type IdKind = keyof typeof prefixes

/** No row has this id: what everything that is not an id of the expected kind is read as. */
export const NO_ID = '00000000-0000-0000-0000-000000000000'

/** Crockford's alphabet in lower case: no i, l, o, u. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const ENCODED_LENGTH = 26

/** The 128 bits of a UUID in base 32; the first character holds three of them. */
export function encodeUuid(uuid: string): string {
  let value = BigInt(`0x${uuid.replaceAll('-', '')}`)
  let text = ''
  for (let i = 0; i < ENCODED_LENGTH; i++) {
    text = alphabet.charAt(Number(value & 31n)) + text
    value >>= 5n
  }
  return text
}

/** The UUID of such a text; null for anything that `encodeUuid` does not write. */
export function decodeUuid(text: string): string | null {
  if (text.length !== ENCODED_LENGTH) {
    return null
  }
  let value = 0n
  for (const character of text) {
    const digit = alphabet.indexOf(character)
    if (digit < 0) {
      return null
    }
    value = (value << 5n) | BigInt(digit)
  }
  const hex = value.toString(16).padStart(32, '0')
  return hex.length > 32 ? null : hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** The public id of `uuid`. */
export function encodeId(kind: IdKind, uuid: string): string {
  return `${prefixes[kind]}_${encodeUuid(uuid)}`
}

/**
 * The UUID of a public id. Anything else, an id of another kind included, gives `NO_ID`, so that it takes the same road
 * and gets the same answer as an id that does not exist.
 */
export function decodeId(kind: IdKind, id: string): string {
  return id.startsWith(`${prefixes[kind]}_`) ? (decodeUuid(id.slice(prefixes[kind].length + 1)) ?? NO_ID) : NO_ID
}

/** Kind and UUID of a public id of any kind; null for anything else. */
export function parseId(id: string): { readonly kind: IdKind; readonly uuid: string } | null {
  const kind = (Object.keys(prefixes) as IdKind[]).find((candidate) => id.startsWith(`${prefixes[candidate]}_`))
  if (kind === undefined) {
    return null
  }
  const uuid = decodeId(kind, id)
  return uuid === NO_ID ? null : { kind, uuid }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * The UUID that a cell of a file names: a public id of this kind, or the bare UUID as exports may write it, in either case of
 * letters. Null for anything else.
 */
export function uuidOf(kind: IdKind, text: string): string | null {
  const lower = text.toLowerCase()
  const uuid = UUID.test(lower) ? lower : decodeId(kind, lower)
  return uuid === NO_ID ? null : uuid
}

/** A fresh id whose order is that of time (UUID version 7), so that lists come newest first by primary key. */
export function newId(): string {
  const time = Date.now().toString(16).padStart(12, '0')
  const random = randomUUID()
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`
}
