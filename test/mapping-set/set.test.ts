import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mappableNames, recordTypes } from '../../src/records/index.js'
import { halves, type Layout, layoutsOf } from './set.js'

const all: readonly Layout[] = halves.flatMap((half) => layoutsOf(half))

test('every label is a field of its record type', () => {
  const wrong = all.flatMap(({ id, recordType, columns }) => {
    const names: readonly (string | null)[] = [...mappableNames(recordTypes[recordType]), null]
    return columns.flatMap(({ header, accepted }) =>
      accepted.filter((field) => !names.includes(field)).map((field) => `${id}, "${header}": ${field}`),
    )
  })
  assert.deepEqual(wrong, [])
})

test('every layout has 12 to 40 rows of as many cells as columns, and a name of its own', () => {
  for (const { id, columns, rows } of all) {
    assert.ok(rows.length >= 12 && rows.length <= 40, id)
    assert.ok(
      rows.every((cells) => cells.length === columns.length),
      id,
    )
  }
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length)
})

test('each half has every language and record type', () => {
  for (const half of ['tuning', 'unseen'] as const) {
    const layouts = all.filter((layout) => layout.half === half)
    assert.equal(new Set(layouts.map(({ language }) => language)).size, 7, half)
    assert.equal(new Set(layouts.map(({ recordType }) => recordType)).size, 4, half)
    assert.ok(layouts.length >= 18, half)
    assert.ok(layouts.reduce((sum, { columns }) => sum + columns.length, 0) >= 240, half)
  }
})
