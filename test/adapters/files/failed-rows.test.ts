import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { parse } from 'csv-parse/sync'
import { type Dialect, openCsv } from '../../../src/adapters/files/csv.js'
import { type FailedRow, failedRowsCsv } from '../../../src/adapters/files/failed-rows.js'
import type { Cursor, Row, Source } from '../../../src/adapters/source.js'
import { random, soup } from './random.js'

let directory = ''
let files = 0

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portage-failed-'))
})

after(async () => {
  await rm(directory, { recursive: true })
})

const live = new AbortController().signal

async function open(content: string | Uint8Array, over: Partial<Dialect> = {}) {
  files += 1
  const path = join(directory, `${files}.csv`)
  await writeFile(path, content)
  const dialect = {
    encoding: 'utf-8',
    delimiter: ',',
    quote: '"',
    firstDataRow: 2,
    columns: ['A', 'B', 'C'],
    ...over,
  } as const
  return await openCsv(path, dialect)
}

async function rowsOf(source: Source): Promise<Row[]> {
  const rows: Row[] = []
  for await (const group of source.rows(null, live)) {
    rows.push(...group)
  }
  return rows
}

async function* failed(rows: readonly Row[], errors = 'wrong'): AsyncGenerator<FailedRow> {
  for (const row of rows) {
    yield { number: row.number, byte: row.byte, errors }
  }
}

/** Counts how often reading starts anew, and tells when all that started has ended. */
function counting(source: Source): Source & { readonly seeks: number; readonly open: number; closed(): Promise<void> } {
  const counts = { seeks: 0, open: 0 }
  const ended = new EventEmitter()
  return {
    columns: source.columns,
    get seeks() {
      return counts.seeks
    },
    get open() {
      return counts.open
    },
    async *rows(from: Cursor | null, signal: AbortSignal) {
      counts.seeks += 1
      counts.open += 1
      try {
        yield* source.rows(from, signal)
      } finally {
        counts.open -= 1
        ended.emit('end')
      }
    },
    async closed() {
      while (counts.open > 0) {
        await once(ended, 'end')
      }
    },
  }
}

test('writes the columns in their order, then the row number and the errors', async () => {
  const source = await open('A,B,C\n1,"two\nlines",=1+1\n4,5,6\n"say ""hi""", x ,\n')
  const rows = await rowsOf(source)
  const csv = failedRowsCsv({
    source,
    rows: failed([rows[0]!, rows[2]!], 'B: bad; C: worse, "much"'),
    columns: source.columns,
  })
  assert.equal(
    await text(csv),
    [
      'A,B,C,_portage_row,_portage_errors',
      '1,"two\nlines",=1+1,2,"B: bad; C: worse, ""much"""',
      '"say ""hi""", x ,,4,"B: bad; C: worse, ""much"""',
      '',
    ].join('\n'),
  )
})

test('begins with a byte order mark and uses the delimiter that it is told', async () => {
  const source = await open('A;B;C\n1;x;y, z\n', { delimiter: ';' })
  const rows = failed(await rowsOf(source))
  const bytes = await buffer(failedRowsCsv({ source, rows, columns: source.columns, delimiter: ';' }))
  assert.equal(bytes.toString('utf8'), '\ufeffA;B;C;_portage_row;_portage_errors\n1;x;y, z;2;wrong\n')
})

test('leaves out what an earlier correction added and keeps cells without a column', async () => {
  const columns = ['A', '_portage_row', '_portage_errors']
  const source = await open('A,_portage_row,_portage_errors\n1,7,old\n2,8,old,more,\n', { columns })
  const rows = await rowsOf(source)
  const csv = failedRowsCsv({ source, rows: failed(rows), columns: source.columns })
  assert.equal(await text(csv), 'A,_portage_row,_portage_errors\n1,2,wrong\n2,3,wrong,more,\n')
})

test('what it writes loads again exactly, whatever stood in the file', async () => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const source = await open(`A,B,C\n${soup(random(seed))}`, { quote: seed % 3 === 0 ? null : '"' })
    const rows = await rowsOf(source)
    const bytes = await buffer(failedRowsCsv({ source, rows: failed(rows), columns: source.columns }))
    const expected = rows.map((row) => {
      const [a = '', b = '', c = '', ...surplus] = row.cells
      return [a, b, c, String(row.number), 'wrong', ...surplus]
    })
    const oracle: unknown = parse(bytes, { bom: true, relax_column_count: true, from: 2 })
    assert.deepEqual(oracle, expected, `seed ${seed}`)
    const again = await open(bytes, { columns: ['A', 'B', 'C', '_portage_row', '_portage_errors'] })
    assert.deepEqual(
      (await rowsOf(again)).map((row) => row.cells),
      expected.map((cells) =>
        cells.slice(5).every((cell) => cell.trim() === '') && !cells.join().includes('\0') ? cells.slice(0, 5) : cells,
      ),
      `seed ${seed}, loaded again`,
    )
  }
})

test('reads on where the next row is near and seeks where it is far', async () => {
  const lines = Array.from({ length: 60_000 }, (_, index) => `${index},name ${index},x`)
  const source = await open(`A,B,C\n${lines.join('\n')}\n`)
  const rows = await rowsOf(source)
  const wanted = [...rows.slice(0, 3000), rows[40_000]!, rows[40_001]!, rows[40_900]!, rows[59_999]!]
  const counted = counting(source)
  const csv = await text(failedRowsCsv({ source: counted, rows: failed(wanted), columns: source.columns }))
  const written = csv.trimEnd().split('\n').slice(1)
  assert.deepEqual(
    written,
    wanted.map((row) => `${row.cells.join(',')},${row.number},wrong`),
  )
  assert.equal(counted.seeks, 3)
  assert.equal(counted.open, 0)
})

test('takes rows in another order too', async () => {
  const source = await open('A,B,C\n1,a,x\n2,b,y\n3,c,z\n')
  const rows = (await rowsOf(source)).reverse()
  const csv = await text(failedRowsCsv({ source, rows: failed(rows), columns: source.columns }))
  assert.equal(csv, 'A,B,C,_portage_row,_portage_errors\n3,c,z,4,wrong\n2,b,y,3,wrong\n1,a,x,2,wrong\n')
})

test('fails where a row is not at its place', async () => {
  const source = await open('A,B,C\n1,a,x\n2,b,y\n')
  for (const [number, byte] of [
    [3, 13],
    [4, 12],
    [2, 500],
  ] as const) {
    async function* rows(): AsyncGenerator<FailedRow> {
      yield { number: 2, byte: 6, errors: '' }
      yield { number, byte, errors: '' }
    }
    const csv = failedRowsCsv({ source, rows: rows(), columns: source.columns })
    await assert.rejects(text(csv), { code: 'SOURCE_CHANGED' }, `${number} at ${byte}`)
  }
})

test('closes the file when its reader goes away, and passes errors on', async () => {
  const source = counting(await open(`A,B,C\n${'1,a,x\n'.repeat(50_000)}`))
  const rows = await rowsOf(source)
  const csv = failedRowsCsv({ source, rows: failed(rows), columns: source.columns })
  for await (const chunk of csv) {
    assert.ok(chunk)
    break
  }
  assert.ok(csv.destroyed)
  assert.equal(source.seeks, 2)
  await source.closed()
  async function* broken(): AsyncGenerator<FailedRow> {
    yield* failed(rows.slice(0, 2))
    throw new Error('the database is gone')
  }
  await assert.rejects(text(failedRowsCsv({ source, rows: broken(), columns: source.columns })), /the database is gone/)
  const controller = new AbortController()
  controller.abort(new Error('stopping'))
  const aborted = failedRowsCsv({ source, rows: failed(rows), columns: source.columns, signal: controller.signal })
  await assert.rejects(text(aborted), /stopping/)
  await source.closed()
})
