import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyTable, RowKeys } from '../../src/jobs/key-table.js'

const slots = [
  { kind: 0, refers: false },
  { kind: 1, refers: false },
]

test('keeps the first number of each key of each kind, however many there are', () => {
  const table = new KeyTable(10)
  const keys = new RowKeys(slots)
  const add = (kind: number, key: string, number: number) => {
    keys.set(kind === 0 ? [key, null] : [null, key])
    return table.findOrAdd(keys.first[kind]!, keys.second[kind]!, number)
  }
  const find = (kind: number, key: string) => {
    keys.set(kind === 0 ? [key, null] : [null, key])
    return table.find(keys.first[kind]!, keys.second[kind]!)
  }
  for (let n = 0; n < 50_000; n++) {
    assert.equal(add(n % 2, `key ${n}`, n), -1)
  }
  for (let n = 0; n < 50_000; n++) {
    assert.equal(find(n % 2, `key ${n}`), n)
    assert.equal(find(1 - (n % 2), `key ${n}`), -1)
    assert.equal(add(n % 2, `key ${n}`, n + 1), n)
  }
  assert.equal(find(0, 'key 50000'), -1)
})

test('a row without a key of a kind has none, also after a row that had one', () => {
  const keys = new RowKeys(slots)
  keys.set(['a', 'b'])
  assert.notEqual(keys.second[0], 0)
  keys.set([null, 'b'])
  assert.equal(keys.second[0], 0)
  assert.notEqual(keys.second[1], 0)
})
