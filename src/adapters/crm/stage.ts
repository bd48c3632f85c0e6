/**
 * The staging side of an import: which columns a chunk is copied into, and how a mapped row looks in COPY text. Row-level
 * security forbids COPY into the record tables themselves, so every chunk goes through a session-temporary table.
 */
import type { MappedRow, StageColumn } from '../../pipeline/mapped.js'
import type { FieldDefinition, RecordType } from '../../records/types.js'

/** What an import writes, fixed for the whole run; plain data, so that the reading thread gets the same. */
export interface WritePlan {
  readonly recordType: RecordType
  readonly stageColumns: readonly StageColumn[]
  /** Match rules by field name, in order; each field is staged. */
  readonly rules: readonly (readonly string[])[]
  readonly runId: string
  readonly operation: 'UPSERT' | 'UPDATE_ONLY' | 'DELETE'
  readonly onDuplicate: 'UPDATE' | 'FILL_BLANKS' | 'SKIP' | 'CREATE' | 'FAIL'
  readonly onMissingRelation: 'FAIL_ROW' | 'DROP_LINK'
  /** System that external ids belong to where the file does not say. */
  readonly sourceSystem: string
  /** Column -> text form, for created records only. */
  readonly createDefaults: Readonly<Record<string, string>>
  /** Owner of records whose row names none; null for none. */
  readonly defaultOwnerId: string | null
}

/** Columns of the staging table that every run has, before those of the mapping. */
const FIXED = [
  'row_number bigint primary key',
  'id uuid',
  'byte bigint',
  'pass smallint',
  'missing text[]',
  'cleared text[]',
]

/** Statements that make the temporary tables of a run in a session that has none. */
export function stageDdl(plan: WritePlan): string[] {
  const columns = plan.stageColumns.map((column) => `${column.name} ${column.role === 'key' ? 'text' : column.sqlType}`)
  return [
    `create temporary table stage (${[...FIXED, ...columns].join(', ')}) on commit delete rows`,
    // One line per row that a match rule (by its number) found something for; n is 1, or 2 for "more than one".
    'create temporary table hit (row_number bigint primary key, record_id uuid, other_id uuid, n smallint, rule smallint) on commit delete rows',
    'create temporary table link (row_number bigint, field text, record_id uuid, n smallint, primary key (row_number, field)) on commit delete rows',
    // Rows that have their outcome; a row without one is a creation.
    'create temporary table verdict (row_number bigint primary key, outcome text, record_id uuid) on commit delete rows',
  ]
}

export function stageCopy(plan: WritePlan): string {
  const columns = [
    'row_number',
    'id',
    'byte',
    'pass',
    'missing',
    'cleared',
    ...plan.stageColumns.map((column) => column.name),
  ]
  return `copy stage (${columns.join(', ')}) from stdin`
}

const special = /[\\\t\n\r]/

function escape(text: string): string {
  return special.test(text)
    ? text.replace(/[\\\t\n\r]/g, (character) =>
        character === '\t' ? '\\t' : character === '\n' ? '\\n' : character === '\r' ? '\\r' : '\\\\',
      )
    : text
}

/** One line of COPY text for a mapped row. */
export function copyLine(rowNumber: number, id: string, byte: number, pass: number, row: MappedRow): string {
  let line = `${rowNumber}\t${id}\t${byte}\t${pass}`
  line += row.missingForCreate === null ? '\t\\N' : `\t${escape(arrayLiteral(row.missingForCreate))}`
  line += row.cleared === null ? '\t\\N' : `\t${escape(arrayLiteral(row.cleared))}`
  const values = row.values
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    line += value === null || value === undefined ? '\t\\N' : `\t${escape(value)}`
  }
  return `${line}\n`
}

function arrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`
}

/**
 * Keys by which a row can meet another one: every complete match rule, its external identity, and earlier rows of its own
 * type that it refers to. Equal keys of one kind may mean one record.
 */
export interface KeyExtractor {
  /** Kind of the key in each slot, counted from 0; two slots may hold keys of one kind. */
  readonly kinds: readonly number[]
  /** The row's key in each slot, null where it has none. The array is reused. */
  readonly keysOf: (row: MappedRow) => readonly (string | null)[]
}

export function keyExtractor(plan: WritePlan): KeyExtractor {
  const indexOf = (field: string): number =>
    plan.stageColumns.findIndex((column) => column.field === field && column.role === 'value')
  const rules = plan.rules.some((rule) => rule.length === 1 && rule[0] === 'externalId')
    ? plan.rules
    : [...plan.rules, ['externalId']]
  /** Stage columns of a kind; kinds that can name one record of one type share a name, so that they are one kind. */
  const sources: { kind: string; indexes: readonly number[] }[] = []
  for (const rule of rules) {
    const indexes = rule.map(indexOf)
    if (indexes.every((index) => index >= 0)) {
      sources.push({ kind: `${plan.recordType.name}.${rule.join('+')}`, indexes })
    }
  }
  for (const [index, column] of plan.stageColumns.entries()) {
    const to = column.role === 'key' ? fieldNamed(plan.recordType, column.field).reference?.to : undefined
    // Only records of the same type can be made or changed by an earlier row of the file.
    if (to === plan.recordType.name) {
      sources.push({ kind: `${to}.${column.key ?? ''}`, indexes: [index] })
    }
  }
  const kindNames = [...new Set(sources.map((source) => source.kind))]
  const keys = Array.from({ length: sources.length }, (): string | null => null)
  return {
    kinds: sources.map((source) => kindNames.indexOf(source.kind)),
    keysOf: (row) => {
      for (const [slot, { indexes }] of sources.entries()) {
        const [only = -1] = indexes
        keys[slot] = indexes.length === 1 ? (row.values[only] ?? null) : compound(row, indexes)
      }
      return keys
    },
  }
}

/** Several values as one key; null unless all are there. */
function compound(row: MappedRow, indexes: readonly number[]): string | null {
  let key = ''
  for (const index of indexes) {
    const value = row.values[index]
    if (value === null || value === undefined) {
      return null
    }
    key += `${value}\u0001`
  }
  return key
}

/** The definition of a field that is known to exist. */
export function fieldNamed(type: RecordType, name: string): FieldDefinition {
  const field = type.fields.find((candidate) => candidate.name === name)
  if (field === undefined) {
    throw new Error(`record type ${type.name} has no field ${name}`)
  }
  return field
}
