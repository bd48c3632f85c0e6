/** A small file, a mapping and its rows, for the tests of resolving and mapping. */
import type { Row } from '../../src/adapters/source.js'
import { EvidenceCollector } from '../../src/pipeline/evidence.js'
import { compileMapping } from '../../src/pipeline/map.js'
import type { MappedRow } from '../../src/pipeline/mapped.js'
import { type Resolution, resolveMapping } from '../../src/pipeline/resolve.js'
import type { ColumnEvidence, ColumnMapping, ImportOptions, Issue, SourceOptions } from '../../src/pipeline/types.js'
import { recordTypes } from '../../src/records/index.js'
import type { RecordType, RecordTypeName } from '../../src/records/types.js'

export const defaultOptions: ImportOptions = {
  onDuplicate: 'UPDATE',
  matchOn: [],
  onInvalidRow: 'SKIP_ROW',
  maxFailedRows: null,
  maxFailedFraction: null,
  allOrNothing: false,
  sideEffects: 'ALL',
  sourceSystem: null,
  operation: 'UPSERT',
  onBlank: 'KEEP',
  clearText: null,
  onDrift: 'SKIP_ROW',
  onMissingRelation: null,
  minConfidence: 0.9,
  defaultOwnerEmail: null,
}

export const defaultSource: SourceOptions = {
  format: null,
  encoding: null,
  delimiter: null,
  quote: null,
  headerRow: null,
  decimalSeparator: null,
  dateFormat: null,
  timeZone: null,
  defaultCountry: null,
}

/** One mapped column of a file: its cells from row 2 on, and what is done with it. */
export type TestColumn = Partial<ColumnMapping> & { readonly field: string | null; readonly cells?: readonly string[] }

export interface TestFile {
  readonly type: RecordTypeName
  readonly columns: readonly TestColumn[]
  readonly options?: Partial<ImportOptions>
  readonly source?: Partial<SourceOptions>
}

export function rowsOf(columns: readonly (readonly string[])[]): Row[] {
  const count = Math.max(0, ...columns.map((cells) => cells.length))
  return Array.from({ length: count }, (_, index) => ({
    number: index + 2,
    byte: index * 100,
    end: index * 100 + 100,
    cells: columns.map((cells) => cells[index] ?? ''),
    fault: null,
  }))
}

export function evidenceOf(names: readonly string[], rows: readonly Row[]): ColumnEvidence[] {
  const collector = new EvidenceCollector(names.map((name, index) => ({ index, name })))
  collector.add(rows)
  return collector.finish()
}

export function resolveFile(file: TestFile): Resolution & {
  readonly type: RecordType
  readonly rows: Row[]
  readonly evidence: readonly ColumnEvidence[]
} {
  const type = recordTypes[file.type]
  const inFile = file.columns.filter((column) => column.constant === undefined)
  const names = inFile.map((column, index) => column.column ?? `${column.field ?? 'Column'} ${index}`)
  const rows = rowsOf(inFile.map((column) => column.cells ?? []))
  const mapping = file.columns.map((column): ColumnMapping => {
    const index = inFile.indexOf(column)
    return {
      column: index < 0 ? null : (names[index] ?? null),
      columnIndex: index < 0 ? null : index,
      constant: null,
      defaultValue: null,
      valueMap: [],
      onBlank: null,
      format: null,
      confidence: null,
      reasons: [],
      alternatives: [],
      ...column,
    }
  })
  const evidence = evidenceOf(names, rows)
  const resolution = resolveMapping({
    type,
    mapping,
    evidence,
    options: { ...defaultOptions, ...file.options },
    source: { ...defaultSource, ...file.source },
  })
  return { ...resolution, type, rows, evidence }
}

/** What became of one row, by stage column; columns without a value are left out. */
export interface Outcome {
  readonly values: Record<string, string>
  readonly cleared: readonly string[] | null
  readonly missing: readonly string[] | null
  readonly ok: boolean
  readonly issues: readonly Issue[]
}

/** Maps every row of a file. Throws where the mapping has conflicts, unless the test expects them. */
export function mapFile(file: TestFile): Outcome[] {
  const { resolved, type, rows } = resolveFile(file)
  const mapper = compileMapping(resolved, type)
  return rows.map((row) => outcome(mapper.map(row), mapper.stageColumns))
}

export function outcome(row: MappedRow, columns: readonly { readonly name: string }[]): Outcome {
  return {
    values: Object.fromEntries(
      columns.flatMap(({ name }, slot) => (row.values[slot] === null ? [] : [[name, row.values[slot] ?? '']])),
    ),
    cleared: row.cleared,
    missing: row.missingForCreate,
    ok: row.ok,
    issues: [...row.issues],
  }
}
