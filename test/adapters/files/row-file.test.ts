import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OpenBytes } from '../../../src/adapters/files/bytes.js'
import { RowFileSource, rowLine } from '../../../src/adapters/files/row-file.js'
import type { Cursor, Row } from '../../../src/adapters/source.js'
import { FatalError } from '../../../src/errors.js'

function held(text: string, most = Infinity): OpenBytes {
  const bytes = Buffer.from(text)
  return () =>
    Promise.resolve({
      byteSize: bytes.length,
      read: (target, at, length, position) =>
        Promise.resolve(bytes.copy(target, at, position, position + Math.min(length, most))),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
}

type Line = Pick<Row, 'number' | 'cells' | 'fault'>

const lines: readonly Line[] = [
  { number: 2, cells: ['a', 'b'], fault: null },
  { number: 3, cells: ['line\nend\r\n', '"quoted" \\ \u2028'], fault: null },
  { number: 5, cells: [], fault: { code: 'ROW_TOO_LARGE', message: 'Too large, "really".' } },
  { number: 6, cells: ['\ud800 half', '😀'], fault: null },
  { number: 7, cells: ['x', 'y', 'z'], fault: { code: 'WRONG_COLUMN_COUNT', message: '3 cells' } },
  { number: 1_048_576, cells: ['', '[1,"a"]'], fault: null },
]

async function all(source: RowFileSource, from: Cursor | null = null): Promise<Row[]> {
  const rows: Row[] = []
  for await (const group of source.rows(from, new AbortController().signal)) {
    rows.push(...group)
  }
  return rows
}

test('rows come out as they went in, with their numbers, faults and any text', async () => {
  const text = lines.map(rowLine).join('')
  for (const most of [Infinity, 1, 7]) {
    const rows = await all(new RowFileSource(held(text, most), ['A', 'B']))
    assert.deepEqual(
      rows.map(({ number, cells, fault }) => ({ number, cells, fault })),
      lines,
    )
  }
})

test('reading goes on at the cursor of any row', async () => {
  const source = new RowFileSource(held(lines.map(rowLine).join('')), ['A', 'B'])
  const rows = await all(source)
  for (const [index, row] of rows.entries()) {
    assert.deepEqual(await all(source, { byte: row.byte, row: row.number }), rows.slice(index))
    assert.deepEqual(await source.cellsAt({ byte: row.byte, row: row.number }), row.cells)
    assert.equal(row.end, rows[index + 1]?.byte ?? Buffer.byteLength(lines.map(rowLine).join('')))
  }
})

test('columns that were first seen further down are empty above', async () => {
  const rows = await all(new RowFileSource(held('[1,"a"]\n[2,"b","c"]\n[3]\n'), ['A', 'B']))
  assert.deepEqual(
    rows.map((row) => row.cells),
    [
      ['a', ''],
      ['b', 'c'],
      ['', ''],
    ],
  )
})

test('rows longer than a block are read, and many short ones in groups', async () => {
  const long = 'x'.repeat(1_000_000)
  const rows = await all(new RowFileSource(held(`[1,"${long}"]\n[2,"y"]\n`), ['A']))
  assert.deepEqual(
    rows.map((row) => row.cells[0]?.length),
    [1_000_000, 1],
  )
  const many = Array.from({ length: 20_000 }, (_, index) =>
    rowLine({ number: index, cells: [`${index}`], fault: null }),
  )
  const read = await all(new RowFileSource(held(many.join('')), ['A']))
  assert.equal(read.length, 20_000)
  assert.ok(read.every((row, index) => row.number === index && row.cells[0] === String(index)))
})

test('a row file that was cut or changed is told from a good one', async () => {
  for (const text of ['[1,"a"]\n[2,"b"', '[1,"a"\n', '{"a":1}\n', '["x"]\n', '[1,"a"],[2]\n', 'x\n']) {
    await assert.rejects(all(new RowFileSource(held(text), ['A'])), (error) => {
      assert.ok(error instanceof FatalError)
      assert.equal(error.code, 'ROWS_BROKEN')
      return true
    })
  }
  assert.deepEqual(await all(new RowFileSource(held(''), ['A'])), [])
})

test('an abort ends the reading', async () => {
  const stop = new AbortController()
  stop.abort(new Error('enough'))
  await assert.rejects(async () => {
    for await (const _ of new RowFileSource(held('[1,"a"]\n'), ['A']).rows(null, stop.signal)) {
      assert.fail('nothing is read')
    }
  }, /enough/)
})
