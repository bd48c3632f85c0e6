/** Words of Salesforce: ids, literals and conditions of its query language, and values written in one way. */
import type { FieldKind } from '../../records/types.js'
import type { ExtractRequest, Json, VendorObject } from '../vendor.js'

/** Part of every path. One version for all requests: a job's results can be fetched only by the version that made it. */
export const API_VERSION = '67.0'

export const DATA = `/services/data/v${API_VERSION}`

const CHECKSUM = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'

/**
 * An id with its checksum. The API answers ids with 18 characters, in which case does not matter; older programs and files keep
 * the first 15, in which it does. Anything else stays as it is.
 */
export function lengthened(id: string): string {
  if (!/^[A-Za-z0-9]{15}$/.test(id)) {
    return id
  }
  let checksum = ''
  for (let block = 0; block < 3; block++) {
    let bits = 0
    for (let at = 0; at < 5; at++) {
      const character = id.charAt(block * 5 + at)
      if (character >= 'A' && character <= 'Z') {
        bits |= 1 << at
      }
    }
    checksum += CHECKSUM.charAt(bits)
  }
  return id + checksum
}

/** A text as a literal. */
export function literal(text: string): string {
  return `'${text.replaceAll('\\', String.raw`\\`).replaceAll("'", String.raw`\'`)}'`
}

/** A moment as a literal: to the millisecond, which is as fine as Salesforce keeps time. */
export function moment(iso: string): string {
  return new Date(iso.replace(/(\.\d{3})\d+/, '$1')).toISOString()
}

/** Which time tells that a record has changed; the first that the object has. */
const CURSORS = ['SystemModstamp', 'LastModifiedDate', 'CreatedDate', 'LoginTime']

/** Null: nothing tells, so every pass reads all of them. */
export function cursorOf(object: VendorObject): string | null {
  return CURSORS.find((name) => has(object, name)) ?? null
}

export function has(object: VendorObject, field: string): boolean {
  return object.fields.some(({ name }) => name === field)
}

/** Tasks and events that are old are archived, and then are seen only with the deleted ones. */
export function hasArchive(object: VendorObject): boolean {
  return has(object, 'IsArchived') && has(object, 'IsDeleted')
}

/**
 * What no pass reads. The first row of a recurring series stands for none of its activities. A person account is an account
 * and a contact at once: the contact is read, which activities refer to.
 */
export function standing(object: VendorObject): readonly string[] {
  return [
    ...(has(object, 'IsRecurrence') ? ['IsRecurrence = false'] : []),
    ...(object.name === 'Account' && has(object, 'IsPersonAccount') ? ['IsPersonAccount = false'] : []),
  ]
}

/** What is left of a window: `from` null from the beginning. */
export type Window = readonly [from: string | null, until: string]

/** Changes become visible later than their time says, if their transaction was long. */
const LOOK_BACK_MS = 10 * 60_000

/** The window of a pass, with the overlap that makes up for late commits. */
export function windowOf({ since, until }: ExtractRequest['window']): Window {
  const from = since === null ? null : new Date(Date.parse(since) - LOOK_BACK_MS).toISOString()
  return [from, moment(until)]
}

/** Conditions of a reading, without `WHERE`; empty for none. */
export function conditions(
  object: VendorObject,
  window: Window | null,
  filter: string | null,
  deletedToo: boolean,
): string {
  const cursor = cursorOf(object)
  const [from, until] = window ?? [null, null]
  return [
    ...standing(object),
    ...(hasArchive(object) && !deletedToo ? ['IsDeleted = false'] : []),
    ...(cursor === null || from === null ? [] : [`${cursor} >= ${from}`]),
    ...(cursor === null || until === null ? [] : [`${cursor} < ${until}`]),
    ...(filter === null || filter.trim() === '' ? [] : [`(${filter})`]),
  ].join(' AND ')
}

export function select(fields: readonly string[], object: string, where: string, rest = ''): string {
  return `SELECT ${fields.join(', ')} FROM ${object}${where === '' ? '' : ` WHERE ${where}`}${rest}`
}

/**
 * A value in the one way in which it is kept. Salesforce writes the same value differently in CSV and in JSON (`5.0` and 5,
 * `Z` and `+0000`, nothing and null), and what was read one way has to compare equal with what is read the other way.
 */
export function written(value: Json | undefined, kind: FieldKind): string | null {
  if (value === null || value === undefined || value === '') {
    return null
  }
  if (typeof value === 'number') {
    return plain(value)
  }
  if (typeof value === 'boolean') {
    return String(value)
  }
  if (typeof value !== 'string') {
    return JSON.stringify(value)
  }
  switch (kind) {
    case 'INTEGER':
    case 'DECIMAL':
    case 'MONEY':
      if (/^-?\d+(\.\d+)?$/.test(value)) {
        return value.includes('.') ? value.replace(/\.?0+$/, '') : value
      }
      return /^-?\d+(\.\d+)?[eE][+-]?\d+$/.test(value) ? plain(Number(value)) : value
    case 'DATE_TIME': {
      const [, time = '', fraction = '', zone = ''] =
        /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)$/.exec(value) ?? []
      const at = Date.parse(`${time}${fraction.slice(0, 4)}${zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')}`)
      return Number.isNaN(at) ? value : new Date(at).toISOString()
    }
    default:
      return value
  }
}

/** A number without an exponent. */
function plain(value: number): string {
  const text = String(value)
  if (!/e/i.test(text)) {
    return text
  }
  return Math.abs(value) >= 1 ? BigInt(Math.round(value)).toString() : value.toFixed(20).replace(/\.?0+$/, '')
}
