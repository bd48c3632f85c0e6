/** What one reading of a file tells about its columns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DISTINCT_VALUES_COUNTED,
  EvidenceCollector,
  formulasEscaped,
  readableEvidence,
} from '../../src/pipeline/evidence.js'
import type { ColumnEvidence } from '../../src/pipeline/types.js'
import { evidenceOf, rowsOf } from './map-world.js'

function one(cells: readonly string[]): ColumnEvidence {
  const [column] = evidenceOf(['A'], rowsOf([cells]))
  assert.ok(column !== undefined)
  return column
}

test('cells that are not blank are counted, and their values with how often they occur', () => {
  const column = one(['b', ' a ', '', 'a', '  ', '\u00a0', 'c', 'a', 'b'])
  assert.equal(column.filled, 6)
  assert.equal(column.distinct, 3)
  assert.deepEqual(column.topValues, [
    { value: 'a', count: 3 },
    { value: 'b', count: 2 },
    { value: 'c', count: 1 },
  ])
  assert.deepEqual(column.samples, ['b', 'a', 'c'])
})

test('values are counted up to the limit and no further', () => {
  const values = Array.from({ length: DISTINCT_VALUES_COUNTED }, (_, index) => `v${index}`)
  assert.equal(one([...values, 'v0', 'v1']).distinct, DISTINCT_VALUES_COUNTED)
  const over = one([...values, 'one more', 'v0'])
  assert.equal(over.distinct, null)
  assert.equal(over.filled, DISTINCT_VALUES_COUNTED + 2)
  assert.equal(over.topValues.length, 200)
  assert.equal(one(['a', 'x'.repeat(200)]).distinct, 2)
  assert.equal(one(['a', 'x'.repeat(201)]).distinct, null)
})

test('samples are the first distinct values, at most twenty, cut at 200 characters', () => {
  const column = one(['x'.repeat(500), ...Array.from({ length: 50 }, (_, index) => `v${index % 30}`)])
  assert.equal(column.samples.length, 20)
  assert.equal(column.samples[0]?.length, 200)
  assert.equal(column.samples[19], 'v18')
})

test('rows come in groups of any size with the same result', () => {
  const cells = Array.from({ length: 3_000 }, (_, index) =>
    index % 3 === 0 ? '' : `${1 + (index % 28)}/${1 + (index % 12)}/2026`,
  )
  const rows = rowsOf([cells, cells.map((cell) => cell.replaceAll('/', ''))])
  const whole = evidenceOf(['A', 'B'], rows)
  const collector = new EvidenceCollector([
    { index: 0, name: 'A' },
    { index: 1, name: 'B' },
  ])
  for (let at = 0; at < rows.length; at += 7) {
    collector.add(rows.slice(at, at + 7))
  }
  assert.deepEqual(collector.finish(), whole)
})

test('broken rows and missing cells are left out', () => {
  const collector = new EvidenceCollector([
    { index: 0, name: 'A' },
    { index: 1, name: 'B' },
  ])
  const [good, bad] = rowsOf([['x', 'y'], ['1']])
  assert.ok(good !== undefined && bad !== undefined)
  collector.add([good, { ...bad, fault: { code: 'BAD_ENCODING', message: '' } }, { ...good, cells: ['z'] }])
  assert.deepEqual(
    collector.finish().map(({ filled }) => filled),
    [2, 1],
  )
})

test('the format of a column is proven by a row late in the file', () => {
  const cells = [
    ...Array.from({ length: 4_000 }, (_, index) => `0${1 + (index % 9)}/0${1 + ((index + 4) % 9)}/2026`),
    '25/12/2026',
  ]
  const column = one(cells)
  assert.deepEqual(column.dateFormats, ['dd/MM/yyyy'])
  assert.equal(column.provenByRow, 4_002)
  assert.deepEqual(column.ambiguousValues, [])
  assert.deepEqual(one(cells.slice(0, -1)).dateFormats, ['dd/MM/yyyy', 'MM/dd/yyyy'])
})

test('the kind of a column is told from its values', () => {
  const many = (make: (index: number) => string) => one(Array.from({ length: 300 }, (_, index) => make(index)))
  assert.equal(many((index) => `u${index}@example.com`).kind, 'EMAIL')
  assert.equal(many((index) => `https://example.com/${index}`).kind, 'URL')
  assert.equal(many((index) => `+49 30 ${100_000 + index}`).kind, 'PHONE')
  assert.equal(many((index) => `(202) 555-0${100 + index}`).kind, 'PHONE')
  assert.equal(many((index) => (index % 3 === 0 ? 'yes' : 'no')).kind, 'BOOLEAN')
  assert.equal(many((index) => `2026-01-${1 + (index % 28)}`).kind, 'DATE')
  assert.equal(many((index) => `2026-01-10 10:${10 + (index % 50)}`).kind, 'DATE_TIME')
  assert.equal(many((index) => `${index}`).kind, 'INTEGER')
  assert.equal(many((index) => `${index}.5`).kind, 'DECIMAL')
  assert.equal(many((index) => `$${index}.50`).kind, 'MONEY')
  assert.equal(many((index) => `0${1000 + index}`).kind, 'TEXT')
  assert.equal(many((index) => ['Hot', 'Warm', 'Cold'][index % 3] ?? '').kind, 'ENUM')
  assert.equal(many((index) => `${index} ${'word '.repeat(60)}`).kind, 'LONG_TEXT')
  assert.equal(many((index) => `Street ${index}`).kind, 'TEXT')
  const empty = many(() => '')
  assert.deepEqual([empty.kind, empty.kindConfidence, empty.filled, empty.distinct], ['TEXT', 0, 0, 0])
})

test('confidence in a kind is the share of values that are of it', () => {
  const column = one(
    Array.from({ length: 100 }, (_, index) => (index < 90 ? `u${index}@example.com` : `none ${index}`)),
  )
  assert.equal(column.kind, 'EMAIL')
  assert.equal(column.kindConfidence, 0.9)
})

/** What is found of formulas in a delimited text with these cells. */
function formulasIn(cells: readonly string[]): { readonly found: unknown; readonly escaped: boolean } {
  const collector = new EvidenceCollector([{ index: 0, name: 'A' }], { delimited: true })
  collector.add(rowsOf([cells]))
  const evidence = collector.finish()
  return { found: evidence[0]?.formulas, escaped: formulasEscaped(evidence, {}) }
}

test('a file whose formula-like texts all begin with an apostrophe was protected, and one bare formula says it was not', () => {
  assert.deepEqual(formulasIn(["'=1+1", 'x', '-12.5', '+49 30 1', "'", "''@x"]), { found: 'PROTECTED', escaped: true })
  assert.deepEqual(formulasIn(["'=1+1", '=1', 'x']), { found: 'BARE', escaped: false })
  assert.deepEqual(formulasIn(["'=1+1", '＝1']), { found: 'BARE', escaped: false })
  assert.deepEqual(formulasIn(['-12.5', '+49 30 1', "it's", "'quoted'", '']), { found: null, escaped: false })
  const bare = new EvidenceCollector([{ index: 0, name: 'A' }])
  bare.add(rowsOf([["'=1"]]))
  assert.equal(formulasEscaped(bare.finish(), {}), false, 'only of delimited text')
})

test('a person’s word about formulas stands over what the cells show', () => {
  const collector = new EvidenceCollector([{ index: 0, name: 'A' }], { delimited: true })
  collector.add(rowsOf([["'=1", "'=1", 'x']]))
  const evidence = collector.finish()
  assert.equal(formulasEscaped(evidence, { formulasEscaped: false }), false)
  assert.equal(formulasEscaped([], { formulasEscaped: true }), true)
  assert.deepEqual(readableEvidence(evidence, {})[0]?.topValues, [
    { value: '=1', count: 2 },
    { value: 'x', count: 1 },
  ])
})
