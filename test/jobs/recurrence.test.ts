import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RowKeys } from '../../src/jobs/key-table.js'
import { Recurrence } from '../../src/jobs/recurrence.js'

const slots = [
  { kind: 0, refers: false },
  { kind: 1, refers: false },
  { kind: 0, refers: true },
]

test('keys that occur again are known, and hardly any that does not is taken for one', () => {
  const recurrence = new Recurrence()
  const keys = new RowKeys(slots)
  const rows = Array.from({ length: 100_000 }, (_, i) => [
    `id${i}`,
    // Every tenth person shares an address with the one before; others have none.
    i % 10 === 0 ? `shared${Math.floor(i / 20)}` : i % 3 === 0 ? null : `own${i}`,
    // Some refer to a person that stands elsewhere in the file.
    i % 1000 === 7 ? `id${99_999 - i}` : null,
  ])
  for (const row of rows) {
    keys.set(row)
    recurrence.add(keys)
  }
  const wanted = new Set<number>()
  rows.forEach((_, i) => {
    if (i % 10 === 0) {
      wanted.add(i)
    }
    if (i % 1000 === 7) {
      wanted.add(i).add(99_999 - i)
    }
  })
  let mistaken = 0
  rows.forEach((row, i) => {
    keys.set(row)
    const recurs = recurrence.recurs(keys)
    assert.ok(recurs || !wanted.has(i), `row ${i}`)
    mistaken += recurs && !wanted.has(i) ? 1 : 0
  })
  assert.ok(mistaken < 1000, `${mistaken} rows of 100,000 were taken for some that recur`)
})

test('the same text in fields of two kinds is no recurrence', () => {
  const recurrence = new Recurrence()
  const keys = new RowKeys(slots)
  for (const row of [
    ['a', null, null],
    [null, 'a', null],
  ]) {
    keys.set(row)
    recurrence.add(keys)
  }
  keys.set(['a', null, null])
  assert.equal(recurrence.recurs(keys), false)
})

test('another thread with the same seed knows the rows of a chunk whose keys recur', () => {
  const read = new Recurrence()
  const staged = { rows: [] as number[], first: [] as number[], second: [] as number[] }
  const here = new RowKeys(slots, 7)
  const there = new RowKeys(slots, 7)
  const rows = [
    ['a', 'x', null],
    ['b', null, null],
    ['c', 'x', null],
    ['d', null, 'b'],
    ['e', 'y', null],
  ]
  rows.forEach((row, i) => {
    there.set(row)
    read.add(there)
    here.set(row)
    staged.rows.push(i + 2)
    staged.first.push(...here.first)
    staged.second.push(...here.second)
  })
  const keys = { rows: staged.rows, first: Int32Array.from(staged.first), second: Int32Array.from(staged.second) }
  assert.deepEqual(new Recurrence(read.maps).recurring(keys), [2, 3, 4, 5])
})
