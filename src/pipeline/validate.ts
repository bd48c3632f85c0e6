/** What a created record needs beyond valid values: required fields, and what they are built from when absent. */
import type { RecordType, RecordTypeName } from '../records/types.js'
import type { StageColumn } from './mapped.js'

/**
 * Required fields that are built from other cells of the row when absent, with the fields (or reference paths) that they
 * can be built from, any one of which is enough. `compileMapping` builds them.
 */
export const builtFrom: Readonly<Record<RecordTypeName, Readonly<Record<string, readonly string[]>>>> = {
  contact: { displayName: ['firstName', 'middleName', 'lastName', 'companyName', 'email'] },
  lead: {
    title: [
      'displayName',
      'firstName',
      'lastName',
      'companyName',
      'email',
      'phone',
      'mobilePhone',
      'contact.externalId',
      'contact.email',
    ],
  },
  property: { name: ['addressLine1', 'listingId', 'parcelNumber'] },
  activity: { subject: ['body', 'type'] },
}

/** Fields that a record created from a row would miss; null for none. */
export type Requirements = (values: readonly (string | null)[]) => readonly string[] | null

/** `supplied` are fields that every created record has whatever its row says: by constant or default value. */
export function compileRequirements(
  type: RecordType,
  columns: readonly StageColumn[],
  supplied: ReadonlySet<string>,
): Requirements {
  const slotsOf = (field: string): number[] => columns.flatMap((column, slot) => (column.field === field ? [slot] : []))
  const needs = type.fields
    .filter((field) => field.required && !supplied.has(field.name))
    .map((field) => ({ field: field.name, slots: slotsOf(field.name) }))
  if (type.oneOf.length > 0 && !type.oneOf.some((field) => supplied.has(field))) {
    needs.push({ field: type.oneOf[0]!, slots: type.oneOf.flatMap(slotsOf) })
  }
  return (values) => {
    let missing: string[] | null = null
    for (const { field, slots } of needs) {
      let present = false
      for (const slot of slots) {
        if (values[slot] !== null) {
          present = true
          break
        }
      }
      if (!present) {
        missing ??= []
        if (!missing.includes(field)) {
          missing.push(field)
        }
      }
    }
    return missing
  }
}
