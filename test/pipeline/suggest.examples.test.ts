/** The sample files import as they are: nobody has to map a column by hand. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { exampleFiles } from '../../examples/generate.js'
import { openCsv } from '../../src/adapters/files/csv.js'
import { dialectOf, noSourceOptions, sniff } from '../../src/adapters/files/sniff.js'
import type { Row } from '../../src/adapters/source.js'
import { EvidenceCollector } from '../../src/pipeline/evidence.js'
import { compileMapping } from '../../src/pipeline/map.js'
import { resolveMapping } from '../../src/pipeline/resolve.js'
import { guessRecordType, suggestMapping } from '../../src/pipeline/suggest.js'
import type { ColumnMapping, ImportOptions, Issue } from '../../src/pipeline/types.js'
import { recordTypes } from '../../src/records/index.js'
import type { RecordTypeName } from '../../src/records/types.js'

const folder = join(import.meta.dirname, '..', '..', '..', 'examples')

const OPTIONS: ImportOptions = {
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

interface Expectation {
  readonly type: RecordTypeName
  /** Columns that rightly stay behind. */
  readonly unmapped: readonly string[]
  /** Issue codes of its rows, with how many of them at most. */
  readonly issues: Readonly<Record<string, number>>
}

const EXPECTED: Readonly<Record<string, Expectation>> = {
  'contacts.csv': { type: 'contact', unmapped: ['Account Manager'], issues: { INVALID_EMAIL: 8 } },
  'leads.csv': { type: 'lead', unmapped: ['Assigned To'], issues: { INVALID_EMAIL: 8 } },
  'properties.csv': { type: 'property', unmapped: ['Provision'], issues: {} },
  'activities.csv': { type: 'activity', unmapped: ['Logged By'], issues: {} },
}

async function read(name: string): Promise<{
  mapping: readonly ColumnMapping[]
  guess: RecordTypeName
  conflicts: readonly string[]
  unmappedRequired: readonly string[]
  rows: number
  failed: number
  issues: readonly Issue[]
  cells: (column: string) => readonly string[]
}> {
  const path = join(folder, name)
  const bytes = readFileSync(path)
  const detection = sniff(bytes, { byteSize: bytes.length, name, overrides: noSourceOptions })
  const source = await openCsv(path, dialectOf(detection))
  const collector = new EvidenceCollector(source.columns)
  const rows: Row[] = []
  for await (const group of source.rows(null, new AbortController().signal)) {
    collector.add(group)
    rows.push(...group.map((row) => ({ ...row, cells: [...row.cells] })))
  }
  const evidence = collector.finish()
  const columns = evidence.map((column) => ({ ...column, fillRate: column.filled / rows.length }))
  const type = recordTypes[EXPECTED[name]!.type]
  const mapping = suggestMapping({ type, columns, minConfidence: OPTIONS.minConfidence })
  const { resolved, conflicts, unmappedRequired } = resolveMapping({
    type,
    mapping,
    evidence,
    options: OPTIONS,
    source: noSourceOptions,
  })
  const mapper = compileMapping(resolved, type)
  const issues: Issue[] = []
  let failed = 0
  for (const row of rows) {
    assert.equal(row.fault, null)
    const mapped = mapper.map(row)
    issues.push(...mapped.issues)
    failed += mapped.ok && mapped.missingForCreate === null ? 0 : 1
  }
  return {
    mapping,
    guess: guessRecordType(columns).recordType,
    conflicts: conflicts.map(({ message }) => message),
    unmappedRequired,
    rows: rows.length,
    failed,
    issues,
    cells: (column) =>
      rows.map(({ cells }) => cells[columns.find(({ name: header }) => header === column)!.index] ?? ''),
  }
}

for (const [name, expected] of Object.entries(EXPECTED)) {
  test(`${name} needs no hand-made mapping`, async () => {
    const file = await read(name)
    assert.ok(file.rows >= 120 && file.rows <= 300, `${file.rows} rows`)
    assert.equal(file.guess, expected.type)
    assert.deepEqual(
      file.mapping.flatMap(({ column, field }) => (field === null ? [column] : [])),
      expected.unmapped,
    )
    assert.ok(file.mapping.every(({ field, confidence }) => field === null || confidence! >= 0.9))
    assert.deepEqual(file.conflicts, [], 'one format per column, every word known')
    assert.deepEqual(file.unmappedRequired, [])
    const counts: Record<string, number> = {}
    for (const { code } of file.issues) {
      counts[code] = (counts[code] ?? 0) + 1
    }
    for (const [code, count] of Object.entries(counts)) {
      assert.ok(
        count <= (expected.issues[code] ?? 0),
        `${count} ${code}: ${file.issues.find((issue) => issue.code === code)?.message}`,
      )
    }
    assert.deepEqual(Object.keys(counts), Object.keys(expected.issues), 'the mess that is there on purpose is found')
    assert.ok(file.failed <= 0.05 * file.rows, `${file.failed} rows fail`)
  })
}

test('the committed sample files are what their script makes', () => {
  for (const [name, content] of exampleFiles()) {
    assert.equal(
      readFileSync(join(folder, name), 'utf8'),
      content,
      `${name} is out of date: run node examples/generate.ts`,
    )
  }
})

test('activities point to contacts and properties of the other files, but for a few', async () => {
  const emails = new Set((await read('contacts.csv')).cells('Email').map((email) => email.toLowerCase()))
  const listings = new Set((await read('properties.csv')).cells('Objekt-Nr.'))
  const activities = await read('activities.csv')
  const lost = (cells: readonly string[], known: ReadonlySet<string>): number =>
    cells.filter((cell) => cell !== '' && !known.has(cell) && !known.has(cell.toLowerCase())).length
  const withoutContact = lost(activities.cells('Contact Email'), emails)
  const withoutListing = lost(activities.cells('Listing ID'), listings)
  assert.ok(withoutContact > 0 && withoutContact < 10, `${withoutContact} unknown contacts`)
  assert.ok(withoutListing > 0 && withoutListing < 10, `${withoutListing} unknown listings`)
  assert.equal(lost((await read('leads.csv')).cells('Listing ID'), listings), 0)
})

test('the files are as messy as they claim', async () => {
  const contacts = await read('contacts.csv')
  const ids = contacts.cells('Contact ID').filter((id) => id !== '')
  assert.ok(new Set(ids).size < ids.length, 'people entered twice')
  assert.ok(
    contacts.cells('Notes').some((note) => note.includes('\n')),
    'line breaks in cells',
  )
  assert.ok(
    contacts.cells('Company').some((company) => company.includes('"')),
    'quotes',
  )
  assert.ok(
    contacts.cells('Last Name').some((last) => /[äöüßÖé’]/.test(last)),
    'accents',
  )
  const properties = readFileSync(join(folder, 'properties.csv'), 'utf8')
  assert.match(properties.split('\n')[0]!, /;/)
  assert.match(properties, /\d\.\d{3},\d{2};/)
})
