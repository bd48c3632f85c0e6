/** Records of a bundle as a row file: what imports read. */
import type { BundleRecord, BundleType } from './bundle-format.js'
import { rowLine } from './row-file.js'

/** A column of such a file and the field that it feeds. */
export interface BundleColumn {
  readonly name: string
  /** As a mapping names it, e.g. `contact.externalId`. */
  readonly field: string
  /** How its values are to be read; null for texts. */
  readonly format: string | null
}

/** A field of the tenant that takes the bundle in. */
export interface TargetField {
  readonly name: string
  readonly kind: string
  readonly customKey: string | null
  /** The record type that it refers to, or `member`; null for fields with values of their own. */
  readonly refersTo: string | null
}

/** The record here that a row means, for records that come home; null for all others. */
export type HomeId = string | null

const ID = 'id'
const EXTERNAL_ID = 'externalId'
const SOURCE_CREATED_AT = 'sourceCreatedAt'
const SOURCE_UPDATED_AT = 'sourceUpdatedAt'

/** Columns for these fields: the two ids first. Fields that the bundle knows nothing of have none. */
export function bundleColumns(type: BundleType, fields: readonly TargetField[]): readonly BundleColumn[] {
  // Version 0 has no list: then any field may have a value.
  const known = new Set(type.fields.map(({ name }) => name))
  const custom = new Set(type.customFields.map(({ key }) => key))
  return [
    { name: ID, field: ID, format: null },
    { name: EXTERNAL_ID, field: EXTERNAL_ID, format: null },
    ...fields.flatMap((field): BundleColumn[] => {
      if (field.name === EXTERNAL_ID || field.name === 'sourceSystem') {
        return []
      }
      if (field.customKey !== null) {
        return custom.has(field.customKey)
          ? [{ name: field.name, field: field.name, format: formatOf(field.kind) }]
          : []
      }
      if (known.size > 0 && !known.has(field.name)) {
        return []
      }
      const isLink = field.refersTo !== null && field.refersTo !== 'member'
      return [
        { name: field.name, field: isLink ? `${field.name}.${EXTERNAL_ID}` : field.name, format: formatOf(field.kind) },
      ]
    }),
  ]
}

function formatOf(kind: string): string | null {
  switch (kind) {
    case 'DATE':
    case 'DATE_TIME':
      return 'yyyy-MM-dd'
    case 'INTEGER':
    case 'DECIMAL':
    case 'MONEY':
      return '1234.56'
    default:
      return null
  }
}

/**
 * The line of one record. One that comes home is named by its id here and keeps its own source and times: what the other tenant
 * knows it by is no news about it.
 */
export function bundleLine(
  number: number,
  record: BundleRecord,
  home: HomeId,
  columns: readonly BundleColumn[],
): string {
  const cells = columns.map(({ name, field }) => {
    if (field === ID) {
      return home ?? ''
    }
    if (field === EXTERNAL_ID) {
      return home === null ? record.id : ''
    }
    if (name === SOURCE_CREATED_AT || name === SOURCE_UPDATED_AT) {
      const own = record.values[name] ?? (name === SOURCE_CREATED_AT ? record.createdAt : undefined)
      return home === null ? textOf(own) : ''
    }
    if (field.endsWith(`.${EXTERNAL_ID}`)) {
      return record.relations[name] ?? ''
    }
    return textOf(name.startsWith('custom.') ? record.customFields[name.slice(7)] : record.values[name])
  })
  return rowLine({ number, cells, fault: null })
}

function textOf(value: string | boolean | readonly string[] | null | undefined): string {
  if (value === undefined || value === null) {
    return ''
  }
  return Array.isArray(value) ? value.map((entry) => entryOf(String(entry))).join('; ') : String(value).toWellFormed()
}

/** An entry of a list that could be taken for two, or for one in quotes, stands in quotes. */
function entryOf(entry: string): string {
  return /^"|[;,|]|:::/.test(entry) ? `"${entry.replaceAll('"', '""')}"` : entry
}
