/** Where HubSpot's own properties go here, as a mapping that a person sees and may change. */
import type { ColumnMapping } from '../../pipeline/types.js'
import { recordTypes } from '../../records/index.js'
import type { RecordTypeName } from '../../records/types.js'
import type { VendorObject } from '../vendor.js'
import { type Column, customKind, nativeKind, OTHER_NATIVE } from './objects.js'

/**
 * All columns that HubSpot made and that are derived; those of the account's own are for the suggestion. Columns that this
 * account has not are left out.
 */
export function mappingOf(object: VendorObject, recordType: RecordTypeName): readonly ColumnMapping[] | null {
  const kind = nativeKind(object.name) ?? (object.custom ? customKind(object.name, object.label) : null)
  if (kind === null) {
    return null
  }
  const there = new Map(object.fields.map((field) => [field.name, field]))
  const fields = new Set(recordTypes[recordType].fields.map(({ name }) => name))
  const usual = recordType === kind.recordType
  const columns = [...kind.columns, ...kind.derived].filter(({ name }) => there.has(name))
  const named = new Set(columns.map(({ name }) => name))
  const taken = new Set<string>()
  const constants = kind.constants.filter(([field]) => usual && fields.has(field))
  for (const [field] of constants) {
    taken.add(field)
  }
  const mapped = columns.map((column): ColumnMapping => {
    const wanted = placeOf(column, recordType)
    const has = wanted !== null && fields.has(wanted.split('.')[0] ?? '')
    // Two columns cannot become one field: the first one does.
    const to = has && !taken.has(wanted) ? wanted : null
    if (to !== null) {
      taken.add(to)
    }
    const lacking = wanted === null || has ? '' : `A ${recordType} has no ${wanted}.`
    return {
      ...nothing,
      column: column.name,
      field: to,
      transforms: column.html && to !== null ? [{ name: 'stripHtml', arguments: [] }] : [],
      valueMap: to === null ? [] : column.values.map(([from, value]) => ({ from, to: value })),
      confidence: to === null ? null : 1,
      reasons: [to === null ? lacking || column.why || OTHER_NATIVE : column.why || 'Both mean the same.'],
    }
  })
  const rest = object.fields
    .filter(({ name, custom }) => !custom && !named.has(name))
    .map(({ name }): ColumnMapping => ({ ...nothing, column: name, reasons: [OTHER_NATIVE] }))
  return [
    ...constants.map(([field, constant]) => ({
      ...nothing,
      field,
      constant,
      reasons: [`Every one of the ${kind.label.toLowerCase()} is one.`],
    })),
    ...mapped,
    ...rest,
  ]
}

function placeOf({ to }: Column, recordType: RecordTypeName): string | null {
  return to === null || typeof to === 'string' ? to : (to[recordType] ?? null)
}

const nothing: ColumnMapping = {
  column: null,
  columnIndex: null,
  field: null,
  constant: null,
  defaultValue: null,
  transforms: [],
  valueMap: [],
  onBlank: null,
  format: null,
  confidence: null,
  reasons: [],
  alternatives: [],
}
