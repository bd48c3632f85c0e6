/**
 * The staging side of an import: which columns a chunk is copied into, and how a mapped row looks in COPY text. Row-level
 * security forbids COPY into the record tables themselves, so every chunk goes through a session-temporary table.
 */
import type { MappedRow, StageColumn } from '../../pipeline/mapped.js'
import type { OnMissingRelation, UniqueRule } from '../../pipeline/types.js'
import { ID_FIELD } from '../../records/index.js'
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
  readonly onMissingRelation: OnMissingRelation
  /** System that external ids belong to where the file does not say. */
  readonly sourceSystem: string
  /** Column -> text form, for created records only. */
  readonly createDefaults: Readonly<Record<string, string>>
  /** Owner of records whose row names none; null for none. */
  readonly defaultOwnerId: string | null
  /** What a row gets whose record is not what it was when the import was planned; null where no plan binds the run. */
  readonly onDrift: 'SKIP_ROW' | 'APPLY' | 'FAIL_RUN' | null
  /**
   * Of an import of a migration, whose cells name a record of another object as `Contact/0035e0`: what stands before the
   * object's name in the source system of its records. Absent or null: an external id is one of the row's own source system.
   */
  readonly referenceBase?: string | null
  /**
   * Imports that were planned together with this one, itself included, in whose plans records may stand that another of them
   * makes. Absent: this one alone.
   */
  readonly plannedWith?: readonly string[]
  /**
   * Of an import of a migration: whether what was changed here since the source said it is kept, or overwritten. `KNOWN`, for
   * proofs: what an import has kept is. Absent or null: an import of its own, which remembers nothing.
   */
  readonly guard?: 'KEEP' | 'OVERWRITE' | 'KNOWN' | null
  /** Fields of which no two records may have the same value; each is staged and has an index. Absent for none. */
  readonly unique?: readonly UniqueRule[]
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
export function stageDdl(plan: WritePlan, related: readonly WritePlan[] = []): string[] {
  const columns = [plan, ...related]
    .flatMap((one) => one.stageColumns)
    .map((column) => `${column.name} ${column.role === 'key' ? 'text' : column.sqlType}`)
  return [
    // kept: fields of the record that stay whatever the row says, see `guard.ts`.
    `create temporary table stage (${[...FIXED, 'kept text[]', ...columns].join(', ')}) on commit delete rows`,
    // One line per row that a match rule (by its number) found something for; n is 1, or 2 for "more than one".
    'create temporary table hit (row_number bigint primary key, record_id uuid, other_id uuid, n smallint, rule smallint) on commit delete rows',
    'create temporary table link (row_number bigint, field text, record_id uuid, n smallint, primary key (row_number, field)) on commit delete rows',
    // Rows that have their outcome; a row without one is a creation.
    'create temporary table verdict (row_number bigint primary key, outcome text, record_id uuid) on commit delete rows',
    // Records that rows refer to and that were written with them.
    'create temporary table kin (row_number bigint, path text, record_type text, record_id uuid, outcome text, primary key (row_number, path)) on commit delete rows',
    // What the plan that binds the run came to: rows that met a record, and those that failed or were skipped.
    'create temporary table expected (row_number bigint primary key, record_id uuid, version int, outcome text) on commit delete rows',
  ]
}

/** Takes away what `stageDdl` has made, for the next run in the session. */
export const stageDrop =
  'drop table pg_temp.stage, pg_temp.hit, pg_temp.link, pg_temp.verdict, pg_temp.kin, pg_temp.expected'

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

/** Cells of the line in hand; reused, because a line is built for every row. */
const cells: string[] = []

/** One line of COPY text for a mapped row. */
export function copyLine(rowNumber: number, id: string, byte: number, pass: number, row: MappedRow): string {
  const { values, missingForCreate, cleared } = row
  cells.length = FIXED.length + values.length
  cells[0] = String(rowNumber)
  cells[1] = id
  cells[2] = String(byte)
  cells[3] = String(pass)
  cells[4] = missingForCreate === null ? '\\N' : escape(arrayLiteral(missingForCreate))
  cells[5] = cleared === null ? '\\N' : escape(arrayLiteral(cleared))
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    cells[FIXED.length + at] = value === null || value === undefined ? '\\N' : escape(value)
  }
  // Joined at once: a text that grows cell by cell is a tree of pieces, which has to be flattened before it can be sent.
  return `${cells.join('\t')}\n`
}

function arrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`
}

/**
 * Keys by which a row can meet another one: the indexed fields of its match rules and of rules that ask for unique values, its external identity, and records of
 * its own type that it refers to. Equal keys of one kind may mean one record.
 */
export interface KeyExtractor {
  readonly slots: readonly KeySlot[]
  /** The row's key in each slot, null where it has none. The array is reused. */
  readonly keysOf: (row: MappedRow) => readonly (string | null)[]
}

export interface KeySlot {
  /** Kind of the key, counted from 0; two slots may hold keys of one kind. */
  readonly kind: number
  /** The row only refers to the record: it has to come behind rows that make or change it, but other rows need not wait for it. */
  readonly refers: boolean
}

export function keyExtractor(plan: WritePlan): KeyExtractor {
  const indexOf = (field: string): number =>
    plan.stageColumns.findIndex((column) => column.field === field && (column.role === 'value' || column.role === 'id'))
  const type = plan.recordType
  /** Stage columns of a slot; slots that can name one record share a kind. */
  const sources: { kind: string; index: number; refers: boolean }[] = []
  const own = (field: string): void => {
    const index = indexOf(field)
    if (index >= 0 && !sources.some((source) => source.index === index)) {
      sources.push({ kind: field, index, refers: false })
    }
  }
  own('externalId')
  for (const rule of plan.rules) {
    // Of several fields the indexed one: the others may be built, defaulted or kept, and what they come to is not known here.
    rule.filter((field) => field === ID_FIELD || type.matchable.includes(field)).forEach(own)
  }
  for (const { field } of plan.unique ?? []) {
    own(field)
  }
  for (const [index, column] of plan.stageColumns.entries()) {
    // Only records of the same type can be made or changed by an earlier row of the file.
    if (column.role === 'key' && column.key !== null && fieldNamed(type, column.field).reference?.to === type.name) {
      own(column.key)
      sources.push({ kind: column.key, index, refers: true })
    }
  }
  const kindNames = [...new Set(sources.map((source) => source.kind))]
  const keys = Array.from({ length: sources.length }, (): string | null => null)
  return {
    slots: sources.map((source) => ({ kind: kindNames.indexOf(source.kind), refers: source.refers })),
    keysOf: (row) => {
      for (const [slot, { index }] of sources.entries()) {
        keys[slot] = row.values[index] ?? null
      }
      return keys
    },
  }
}

/** The definition of a field that is known to exist. */
export function fieldNamed(type: RecordType, name: string): FieldDefinition {
  const field = type.fields.find((candidate) => candidate.name === name)
  if (field === undefined) {
    throw new Error(`record type ${type.name} has no field ${name}`)
  }
  return field
}
