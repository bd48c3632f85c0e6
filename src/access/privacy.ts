/**
 * What callers without PII_READ see instead of personal data. Sensitive is what the record types call so; a column that
 * no field is mapped from could hold anything and counts as sensitive.
 */
import type { ColumnMapping } from '../pipeline/types.js'
import { fieldOf, ID_FIELD, keyField, referencePath } from '../records/index.js'
import type { FieldDefinition, RecordType } from '../records/types.js'

/** Stands for a text that is there and is not shown. */
export const MASK = '***'

const HIDDEN_MESSAGE = 'The value is not right; seeing it needs the permission PII_READ.'

/** A sensitive value as it is shown: texts as a mask, everything else not at all. */
export function masked(value: unknown): string | null {
  return typeof value === 'string' ? MASK : null
}

/** Whether values under this name (a field, or a path such as `contact.email`) are sensitive. Unknown names are. */
export function isSensitive(type: RecordType, name: string | null): boolean {
  if (name === null) {
    return true
  }
  if (name === ID_FIELD) {
    return false
  }
  const path = referencePath(type, name)
  const field: FieldDefinition | null = path === null ? fieldOf(type, name) : keyField(path)
  // Owners are colleagues: their addresses are part of the work.
  return path?.reference.to === 'member' ? false : (field?.sensitive ?? true)
}

/**
 * Names of a file's columns that hold nothing sensitive: every field that they feed is harmless, and is the whole cell. A
 * transform may take a harmless part of a cell that holds more.
 */
export function harmlessColumns(type: RecordType, mapping: readonly ColumnMapping[]): ReadonlySet<string> {
  const columns = new Set<string>()
  const others = new Set<string>()
  for (const { column, field, transforms = [] } of mapping) {
    if (column !== null && field !== null) {
      const harmless = transforms.length === 0 && !isSensitive(type, field)
      const names = harmless ? columns : others
      names.add(column)
    }
  }
  return new Set([...columns].filter((column) => !others.has(column)))
}

interface IssueLike {
  readonly code?: string
  readonly field: string | null
  readonly column: string | null
  readonly value: string | null
  readonly message: string
  readonly suggestion: string | null
}

/** An issue without what it quotes of a cell. */
export function hideIssue<I extends IssueLike>(issue: I): I {
  return issue.column === null && issue.value === null
    ? issue
    : { ...issue, value: masked(issue.value), message: HIDDEN_MESSAGE, suggestion: null }
}

/** An issue without what it quotes, unless it is about a harmless field or about no value at all. */
export function maskIssue<I extends IssueLike>(type: RecordType, issue: I): I {
  const quotesNothing = issue.field === null && issue.column === null && issue.value === null
  // What a transform could not read is a cell, or any part of one.
  const quotesField = issue.code !== 'TRANSFORM_FAILED' && issue.field !== null
  return quotesNothing || (quotesField && !isSensitive(type, issue.field))
    ? issue
    : { ...issue, value: masked(issue.value), message: HIDDEN_MESSAGE, suggestion: null }
}
