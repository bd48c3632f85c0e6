/** Where Pipedrive's own fields go here, as a mapping that a person sees and may change. */

import type { ColumnMapping } from '../../pipeline/types.js'
import { recordTypes } from '../../records/index.js'
import type { RecordTypeName } from '../../records/types.js'
import type { VendorObject } from '../vendor.js'
import { ACTIVITY_TYPES, type NativeField, objectOf } from './objects.js'

/** Null for an object that is none of Pipedrive's. Into another record type than usual go the fields that it has, too. */
export function mappingOf(object: VendorObject, recordType: RecordTypeName): readonly ColumnMapping[] | null {
  const kind = objectOf(object.name)
  if (kind === null) {
    return null
  }
  const fields = new Set(recordTypes[recordType].fields.map(({ name }) => name))
  const usual = recordType === kind.recordType
  return [
    ...kind.constants
      .filter(([field]) => usual && fields.has(field))
      .map(([field, constant]) => ({
        ...nothing,
        field,
        constant,
        reasons: [`Every one of the ${kind.label.toLowerCase()} is one.`],
      })),
    ...kind.fields.map((field): ColumnMapping => {
      const to = field.to !== null && fields.has(field.to.split('.')[0] ?? '') ? field.to : null
      const other = field.to === null || to !== null ? '' : `A ${recordType} has no ${field.to}.`
      return {
        ...nothing,
        column: field.name,
        field: to,
        transforms: field.html && to !== null ? [{ name: 'stripHtml', arguments: [] }] : [],
        valueMap: to === null ? [] : valuesOf(object, field, usual),
        confidence: to === null ? null : 1,
        reasons: [to === null ? other || field.why : field.why || 'Both mean the same.'],
      }
    }),
  ]
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

function valuesOf(object: VendorObject, field: NativeField, usual: boolean): ColumnMapping['valueMap'] {
  if (!usual) {
    return []
  }
  if (field.to === 'type') {
    const options = object.fields.find(({ name }) => name === field.name)?.options ?? []
    const all = new Set([...Object.keys(ACTIVITY_TYPES), ...options.map(({ value }) => value)])
    return [...all].map((from) => ({ from, to: ACTIVITY_TYPES[from] ?? 'OTHER' }))
  }
  return field.values.map(([from, to]) => ({ from, to }))
}
