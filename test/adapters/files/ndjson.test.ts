import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openNdjson } from '../../../src/adapters/files/ndjson.js'
import { heldBytes, streamBytes } from '../../../src/adapters/files/stream-bytes.js'
import type { Cursor, Row } from '../../../src/adapters/source.js'
import { random } from './random.js'

const signal = new AbortController().signal

async function rowsOf(text: string, columns: readonly string[], from: Cursor | null = null, options = {}) {
  const source = await openNdjson(heldBytes(Buffer.from(text)), columns, options)
  const rows: Row[] = []
  for await (const group of source.rows(from, signal)) {
    rows.push(...group)
  }
  return { rows, late: source.lateColumns() }
}

function shown({ rows }: { readonly rows: readonly Row[] }): unknown[] {
  return rows.map((row) => [row.number, row.fault?.code ?? row.cells])
}

test('reading goes on at every row with the same rows', async () => {
  const text = '\uFEFF{"a":1}\r\n\n{"a":"é\\n€"}\n{"a":\n{"a":0.10}\n  \n{"a":{"b":5}}\n["x","y"]\n{"a":6}'
  const { rows } = await rowsOf(text, ['a', 'a.b'])
  assert.deepEqual(shown({ rows }), [
    [1, ['1', '']],
    [3, ['é\n€', '']],
    [4, 'UNPARSABLE_ROW'],
    [5, ['0.10', '']],
    [7, ['', '5']],
    [8, ['x', 'y']],
    [9, ['6', '']],
  ])
  for (const [index, row] of rows.entries()) {
    const at = await rowsOf(text, ['a', 'a.b'], { byte: row.byte, row: row.number })
    assert.deepEqual(at.rows, rows.slice(index))
    const behind = await rowsOf(text, ['a', 'a.b'], { byte: row.end, row: row.number + 1 })
    assert.deepEqual(behind.rows, rows.slice(index + 1))
    const source = await openNdjson(heldBytes(Buffer.from(text)), ['a', 'a.b'])
    assert.deepEqual(await source.cellsAt({ byte: row.byte, row: row.number }), row.cells)
  }
  assert.equal(rows.at(-1)?.end, Buffer.byteLength(text))
})

test('names beyond the columns are late columns, with their cells behind the others', async () => {
  const { rows, late } = await rowsOf('{"a":1}\n{"b":{"c":2}}\n{"a":3,"d":null}\n{"d":4}\n', ['a'])
  assert.deepEqual(
    rows.map((row) => row.cells),
    [['1'], ['', '2'], ['3', ''], ['', '', '4']],
  )
  assert.deepEqual(late, ['b.c', 'd'])
})

test('a line at the limit is read, a longer one is a fault at its own place', async () => {
  const line = (length: number): string => `{"a":"${'x'.repeat(length - 8)}"}`
  for (const [length, isRead] of [
    [1000, true],
    [1001, false],
    [2_000_000, false],
  ] as const) {
    const text = `${line(20)}\n${line(length)}\n${line(10)}\n`
    const { rows } = await rowsOf(text, ['a'], null, { rowBytesMax: 1000 })
    assert.deepEqual(
      rows.map((row) => row.fault?.code ?? row.cells[0]?.length),
      [12, isRead ? 992 : 'ROW_TOO_LARGE', 2],
    )
    assert.deepEqual(
      rows.map((row) => [row.number, row.byte, row.end]),
      [
        [1, 0, 21],
        [2, 21, 22 + length],
        [3, 22 + length, 33 + length],
      ],
    )
  }
})

test('a last line that is too long and never ends is a fault', async () => {
  const { rows } = await rowsOf(`{"a":1}\n${'x'.repeat(500_000)}`, ['a'], null, { rowBytesMax: 1000 })
  assert.deepEqual(shown({ rows }), [
    [1, ['1']],
    [2, 'ROW_TOO_LARGE'],
  ])
})

test('lines that only together are JSON are each broken', async () => {
  assert.deepEqual(shown(await rowsOf('{"a":1\n"b":2}\n{"a":3},{"a":4}\n{"a":5}\n', ['a', 'b'])), [
    [1, 'UNPARSABLE_ROW'],
    [2, 'UNPARSABLE_ROW'],
    [3, 'UNPARSABLE_ROW'],
    [4, ['5', '']],
  ])
})

test('blocks of any size give the same rows, whatever is in them', async () => {
  const of = random(3)
  const parts = [
    '{"a":1}',
    '{"a":"é€😀"}',
    '{"b":[1,2.50]}',
    '\n',
    '\n',
    '\r\n',
    '{',
    '}',
    '"',
    '\\',
    ',',
    ' ',
    '[1e400]',
    '\xff',
    '5',
  ]
  for (let round = 0; round < 300; round += 1) {
    const text = Array.from({ length: of.below(60) }, () => of.pick(parts) + of.pick(['', '\n'])).join('')
    const bytes = Buffer.from(text)
    const expected = await rowsOf(text, ['a'])
    const size = 1 + of.below(30)
    const source = await openNdjson(
      streamBytes(async function* () {
        for (let at = 0; at < bytes.length; at += size) {
          yield bytes.subarray(at, at + size)
        }
      }),
      ['a'],
      { groupRows: 1 + of.below(4) },
    )
    const rows: Row[] = []
    for await (const group of source.rows(null, signal)) {
      rows.push(...group)
    }
    // A group knows the names of those before it only: a late column is missing in earlier rows, or empty.
    const trimmed = (row: Row): Row => ({ ...row, cells: row.cells.join('|').replace(/\|+$/, '').split('|') })
    assert.deepEqual(rows.map(trimmed), expected.rows.map(trimmed), JSON.stringify(text))
    const lines = text.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [index + 1]))
    assert.deepEqual(
      rows.map((row) => row.number),
      lines,
    )
  }
})
