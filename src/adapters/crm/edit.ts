/** Changing single records by hand, under the same rules as an import: the parsers of `src/pipeline/values` and the table's own checks. */
import { constraintOf, sqlState } from '../../db/lane.js'
import { first, type Tx } from '../../db/tx.js'
import { Refusal } from '../../errors.js'
import { isFormulaError, valueParser } from '../../pipeline/values.js'
import { customKeyOf } from '../../records/custom.js'
import { checkOfConstraint, fieldOf, recordTypes } from '../../records/index.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../../records/types.js'
import { loadRecordType } from './custom-fields.js'
import { customValue, text } from './sql.js'

/** A field and its new value as text; null or a blank text empties it. A reference takes the id of a record, `ownerEmail` an address. */
export interface FieldValue {
  readonly field: string
  readonly value: string | null
}

export interface RecordChange {
  readonly id: string
  /** Version that the caller has seen; null: whatever it is. */
  readonly version: number | null
}

const CHECK_VIOLATION = '23514'
const UNIQUE_VIOLATION = '23505'

/**
 * Writes the values that differ; a record that already has them all keeps its version. Refuses NOT_FOUND,
 * VERSION_CONFLICT, UNKNOWN_FIELD, and INVALID_INPUT for a value that the field cannot hold or that a rule forbids.
 */
export async function updateRecord(
  tx: Tx,
  name: RecordTypeName,
  change: RecordChange & { readonly values: readonly FieldValue[] },
): Promise<void> {
  const custom = change.values.some(({ field }) => customKeyOf(field) !== null)
  const type = custom ? await loadRecordType(tx, name) : recordTypes[name]
  const current = await lockRecord(tx, type, change)
  const columns = new Map<string, unknown>()
  for (const [index, { field: fieldName, value }] of change.values.entries()) {
    const path = ['fields', String(index)]
    const field = fieldOf(type, fieldName)
    if (field === null) {
      throw new Refusal(
        'UNKNOWN_FIELD',
        `${type.label} records have no field ${JSON.stringify(fieldName.slice(0, 100))}.`,
        path,
      )
    }
    if (columns.has(field.column)) {
      throw new Refusal('INVALID_INPUT', `${field.name} is given twice.`, path)
    }
    columns.set(field.column, await columnValue(tx, field, value, path))
  }
  requireOne(type, { ...current, ...Object.fromEntries(columns) })
  if (columns.size === 0) {
    return
  }
  try {
    await tx.query(
      `update ${type.table} r set ${assignments(type, [...columns.keys()])
        .map(({ column, value }) => `${column} = ${value}`)
        .join(', ')}
       where tenant_id = $1 and id = $2
         and (${assignments(type, [...columns.keys()])
           .map(({ column, value }) => `r.${column} is distinct from ${value}`)
           .join(' or ')})`,
      [tx.tenantId, change.id, ...columns.values()],
    )
  } catch (error) {
    throw refusalOf(type, error) ?? error
  }
}

/** What the columns become; `$3` and on hold the new values, in this order. Custom fields share one column. */
function assignments(type: RecordType, columns: readonly string[]): { column: string; value: string }[] {
  const found: { column: string; value: string }[] = []
  let custom = 'r.custom_fields'
  for (const [index, column] of columns.entries()) {
    const field = type.fields.find((candidate) => candidate.column === column)
    const bind = `$${index + 3}::${field?.sqlType ?? 'text'}`
    if (field?.customKey === undefined) {
      found.push({ column, value: bind })
    } else {
      custom += ` || jsonb_build_object(${text(field.customKey)}, ${customValue(field, bind)})`
    }
  }
  return custom === 'r.custom_fields'
    ? found
    : [...found, { column: 'custom_fields', value: `jsonb_strip_nulls(${custom})` }]
}

/** Deletes softly: the record is gone for everyone, and a rollback of what made it still knows it. Refuses NOT_FOUND, VERSION_CONFLICT. */
export async function deleteRecord(tx: Tx, name: RecordTypeName, change: RecordChange): Promise<void> {
  const type = recordTypes[name]
  await lockRecord(tx, type, change)
  await tx.query(`update ${type.table} set deleted_at = now() where tenant_id = $1 and id = $2`, [
    tx.tenantId,
    change.id,
  ])
}

async function lockRecord(tx: Tx, type: RecordType, { id, version }: RecordChange): Promise<Record<string, unknown>> {
  const record = await first<{ version: number }>(
    tx,
    `select * from ${type.table} where tenant_id = $1 and id = $2 and deleted_at is null for update`,
    [tx.tenantId, id],
  )
  if (record === null) {
    throw new Refusal('NOT_FOUND', `There is no ${type.label.toLowerCase()} with this id.`, ['id'])
  }
  if (version !== null && record.version !== version) {
    throw new Refusal(
      'VERSION_CONFLICT',
      `The record has changed: it is at version ${record.version}, you have seen ${version}. Read it again.`,
      ['version'],
    )
  }
  return record as unknown as Record<string, unknown>
}

async function columnValue(
  tx: Tx,
  field: FieldDefinition,
  value: string | null,
  path: readonly string[],
): Promise<unknown> {
  const text = value?.trim() ?? ''
  if (text.includes('\0')) {
    throw new Refusal('INVALID_INPUT', `${field.label}: a text cannot hold NUL.`, path)
  }
  if (field.reference !== null) {
    return text === '' ? null : referredId(tx, field, text, path)
  }
  if (isFormulaError(text)) {
    throw new Refusal(
      'INVALID_INPUT',
      `${field.label}: a cell with this text is the error of a spreadsheet formula.`,
      path,
    )
  }
  const parser = valueParser(field, { format: null, timeZone: 'UTC', defaultCountry: null })
  const parsed = text === '' ? '' : parser.parse(text)
  if (parsed === null) {
    const { message, suggestion } = parser.fault(text)
    throw new Refusal('INVALID_INPUT', `${field.label}: ${message}${suggestion === null ? '' : ` ${suggestion}`}`, path)
  }
  if (parsed !== '') {
    return parsed
  }
  if (field.kind === 'MULTI_ENUM' && field.customKey === undefined) {
    return '{}'
  }
  if (field.required) {
    throw new Refusal('INVALID_INPUT', `${field.label} cannot be emptied: every record has it.`, path)
  }
  return null
}

async function referredId(tx: Tx, field: FieldDefinition, text: string, path: readonly string[]): Promise<string> {
  const to = field.reference?.to ?? 'member'
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
  const found =
    to === 'member'
      ? await first<{ id: string }>(tx, 'select id from member where tenant_id = $1 and email = $2 and active', [
          tx.tenantId,
          text.toLowerCase(),
        ])
      : // Locked, so that the record cannot be deleted before this one refers to it.
        uuid.test(text)
        ? await first<{ id: string }>(
            tx,
            `select id from ${to} where tenant_id = $1 and id = $2 and deleted_at is null for share`,
            [tx.tenantId, text],
          )
        : null
  if (found === null) {
    throw new Refusal(
      'INVALID_INPUT',
      to === 'member'
        ? `${field.label}: no active member has this e-mail address.`
        : `${field.label}: there is no ${to} with this id.`,
      path,
    )
  }
  return found.id
}

/** Some fields can be empty, but not all of them at once. */
function requireOne(type: RecordType, record: Readonly<Record<string, unknown>>): void {
  const columns = type.oneOf.map((name) => fieldOf(type, name)?.column ?? name)
  if (columns.length > 0 && columns.every((column) => record[column] === null || record[column] === undefined)) {
    throw new Refusal(
      'INVALID_INPUT',
      `A ${type.label.toLowerCase()} needs at least one of: ${type.oneOf.join(', ')}.`,
      ['fields'],
    )
  }
}

/** What a violated constraint of the table means to the caller; null for any other error. */
function refusalOf(type: RecordType, error: unknown): Refusal | null {
  const constraint = constraintOf(error) ?? ''
  switch (sqlState(error)) {
    case CHECK_VIOLATION:
      return new Refusal(
        'INVALID_INPUT',
        checkOfConstraint(type, constraint)?.message ?? 'A rule of the record forbids this value.',
        ['fields'],
      )
    case UNIQUE_VIOLATION:
      return new Refusal('INVALID_INPUT', 'Another record of this source system has this external id already.', [
        'fields',
      ])
    default:
      return null
  }
}
