import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'csv-parse/sync'
import { type CsvOptions, type Dialect, openCsv } from '../../../src/adapters/files/csv.js'
import type { Cursor, Row } from '../../../src/adapters/source.js'
import { FatalError } from '../../../src/errors.js'
import { CELL_BYTES_MAX, CELLS_PER_ROW_MAX, ROW_BYTES_MAX, SOURCE_GROUP_ROWS_MAX } from '../../../src/limits.js'
import { encode, random, soup, wellFormed } from './random.js'

let directory = ''
let files = 0

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portage-csv-'))
})

after(async () => {
  await rm(directory, { recursive: true })
})

async function file(content: string | Uint8Array): Promise<string> {
  files += 1
  const path = join(directory, `${files}.csv`)
  await writeFile(path, content)
  return path
}

const live = new AbortController().signal

function dialect(over: Partial<Dialect> = {}): Dialect {
  return { encoding: 'utf-8', delimiter: ',', quote: '"', firstDataRow: 1, columns: ['A', 'B', 'C'], ...over }
}

async function read(path: string, how: Dialect, options: CsvOptions = {}, from: Cursor | null = null): Promise<Row[]> {
  const source = await openCsv(path, how, options)
  const rows: Row[] = []
  for await (const group of source.rows(from, live)) {
    rows.push(...group)
  }
  return rows
}

async function rowsOf(content: string | Uint8Array, over: Partial<Dialect> = {}, options: CsvOptions = {}) {
  return await read(await file(content), dialect(over), options)
}

/** What most tests look at: number, cells, and the fault's code where there is one. */
function brief(rows: readonly Row[]): unknown[] {
  return rows.map((row) =>
    row.fault === null ? [row.number, ...row.cells] : [row.number, row.fault.code, ...row.cells],
  )
}

test('reads rows with their numbers and offsets', async () => {
  const rows = await rowsOf('A,B,C\r\n1,2,3\r\n"x\ny",é,\r\n\r\n4,5,6', { firstDataRow: 2 })
  assert.deepEqual(rows, [
    { number: 2, byte: 7, end: 14, cells: ['1', '2', '3'], fault: null },
    { number: 3, byte: 14, end: 25, cells: ['x\ny', 'é', ''], fault: null },
    { number: 5, byte: 27, end: 32, cells: ['4', '5', '6'], fault: null },
  ])
})

test('reads what a generator wrote, cell by cell and byte by byte, whatever the block size', async () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const made = wellFormed(random(seed))
    const path = await file(made.bytes)
    const columns = made.rows[0]!.cells.map((_, index) => `c${index}`)
    const how = dialect({ encoding: made.encoding, delimiter: made.delimiter, quote: made.quote, columns })
    const expected = made.rows.map((row) => ({ ...row, fault: null }))
    for (const blockBytes of [7, 64, 65_536]) {
      assert.deepEqual(
        await read(path, how, { blockBytes, groupRows: 3 }),
        expected,
        `seed ${seed}, blocks of ${blockBytes}`,
      )
    }
  }
})

test('agrees with csv-parse', async () => {
  for (let seed = 1000; seed < 1300; seed += 1) {
    const made = wellFormed(random(seed))
    const columns = made.rows[0]!.cells.map((_, index) => `c${index}`)
    const how = dialect({ encoding: made.encoding, delimiter: made.delimiter, quote: made.quote, columns })
    const text = Buffer.from(new TextDecoder(made.encoding).decode(made.bytes), 'utf8')
    const oracle: unknown = parse(text, {
      delimiter: made.delimiter,
      quote: made.quote,
      escape: made.quote,
      record_delimiter: ['\r\n', '\n', '\r'],
      skip_empty_lines: true,
    })
    const rows = await read(await file(made.bytes), how)
    assert.deepEqual(
      rows.map((row) => row.cells),
      oracle,
      `seed ${seed}`,
    )
  }
})

test('resumes at every row of nasty files with exactly the rest, whatever the block size', async () => {
  const limits = { cellBytesMax: 12, cellsPerRowMax: 8, rowBytesMax: 40, groupRows: 4 }
  const codes = new Set<string>()
  for (let seed = 1; seed <= 250; seed += 1) {
    const from = random(seed)
    const encoding = from.pick(['utf-8', 'utf-8', 'utf-16le', 'utf-16be'] as const)
    let bytes = encode(soup(from), encoding)
    if (from.chance(0.3) && bytes.length > 0) {
      // Bytes that are no text: also half a character at the end of a UTF-16 file.
      bytes[from.below(bytes.length)] = from.pick([0xff, 0xd8, 0x80])
      bytes = bytes.subarray(0, bytes.length - from.below(2))
    }
    const columns = ['A', 'B', 'C', 'D'].slice(0, 1 + from.below(4))
    const how = dialect({ encoding, columns, quote: from.pick(['"', '"', "'", null]) })
    const path = await file(bytes)
    const whole = await read(path, how, { ...limits, blockBytes: 65_536 })
    for (const blockBytes of [7, 16]) {
      assert.deepEqual(await read(path, how, { ...limits, blockBytes }), whole, `seed ${seed}, blocks of ${blockBytes}`)
    }
    for (const [index, row] of whole.entries()) {
      codes.add(row.fault?.code ?? 'good')
      const from = { byte: row.byte, row: row.number }
      const behind = { byte: row.end, row: row.number + 1 }
      const rest = await read(path, how, { ...limits, blockBytes: 7 }, from)
      assert.deepEqual(rest, whole.slice(index), `seed ${seed}, from row ${row.number}`)
      const next = await read(path, how, limits, behind)
      assert.deepEqual(next, whole.slice(index + 1), `seed ${seed}, behind row ${row.number}`)
    }
    // Between the rows there is nothing but line ends: no byte is lost.
    let end = bytes.subarray(0, 3).equals(Buffer.from('\ufeff')) ? 3 : 0
    for (const row of [...whole, { byte: bytes.length, end: bytes.length }]) {
      const between = bytes.subarray(end, row.byte).filter((byte) => byte !== 10 && byte !== 13 && byte !== 0)
      assert.equal(between.length, 0, `seed ${seed}, before byte ${row.byte}`)
      end = row.end
    }
  }
  const faults = ['BAD_ENCODING', 'ROW_TOO_LARGE', 'UNPARSABLE_ROW', 'VALUE_TOO_LONG', 'WRONG_COLUMN_COUNT', 'good']
  assert.deepEqual([...codes].sort(), faults)
})

test('counts empty lines as rows that a person sees, and quoted line breaks not', async () => {
  const rows = await rowsOf('\n\nA,"1\n2\r3\r\n4",C\r\r\nD,E,F\n\n')
  assert.deepEqual(brief(rows), [
    [3, 'A', '1\n2\r3\r\n4', 'C'],
    [5, 'D', 'E', 'F'],
  ])
})

test('skips a byte order mark once', async () => {
  for (const encoding of ['utf-8', 'utf-16le', 'utf-16be'] as const) {
    for (const blockBytes of [1, 2, 3, 7, 4096]) {
      const rows = await rowsOf(encode('\ufeff"Zoë",2,3\n\ufeff4,5,6', encoding), { encoding }, { blockBytes })
      const at = encoding === 'utf-8' ? 3 : 2
      assert.deepEqual(
        brief(rows),
        [
          [1, 'Zoë', '2', '3'],
          [2, '\ufeff4', '5', '6'],
        ],
        `${encoding}, ${blockBytes}`,
      )
      assert.equal(rows[0]?.byte, at)
    }
  }
})

test('fills short rows, cuts blank surplus and refuses other surplus', async () => {
  const rows = await rowsOf('1\n1,2\n1,2,3\n1,2,3,\n1,2,3, ,"\t"\n1,2,3,4\n1,2,3,,5\n,,\n')
  assert.deepEqual(brief(rows), [
    [1, '1', '', ''],
    [2, '1', '2', ''],
    [3, '1', '2', '3'],
    [4, '1', '2', '3'],
    [5, '1', '2', '3'],
    [6, 'WRONG_COLUMN_COUNT', '1', '2', '3', '4'],
    [7, 'WRONG_COLUMN_COUNT', '1', '2', '3', '', '5'],
    [8, '', '', ''],
  ])
  assert.equal(rows[5]?.fault?.message, 'The row has 4 cells, but there are 3 columns.')
})

test('keeps quotes inside an unquoted cell as text, and forgives blanks before an opening one', async () => {
  const rows = await rowsOf(`5" pipe,O"Neil"," ""x"" "\n "a",b'c',''`)
  assert.deepEqual(brief(rows), [
    [1, '5" pipe', 'O"Neil"', ' "x" '],
    [2, 'a', `b'c'`, `''`],
  ])
})

test('forgives blanks behind a closing quote', async () => {
  assert.deepEqual(brief(await rowsOf('"a" ,"b"\t,"c"  \n"d"\t,e,f')), [
    [1, 'a', 'b', 'c'],
    [2, 'd', 'e', 'f'],
  ])
  assert.deepEqual(brief(await rowsOf('"a"\tb\t"c" ', { delimiter: '\t' })), [[1, 'a', 'b', 'c']])
})

test('reads quotes as text where the dialect has none, and apostrophes as quotes where it says so', async () => {
  assert.deepEqual(brief(await rowsOf('"a,b",c\n', { quote: null })), [[1, '"a', 'b"', 'c']])
  assert.deepEqual(brief(await rowsOf(`'a,b','it''s',"c"\n`, { quote: "'" })), [[1, 'a,b', "it's", '"c"']])
})

test('a quote that is never closed costs its own line', async () => {
  const rows = await rowsOf('1,"open,3\n4,5,6\n7,8,9\n')
  assert.deepEqual(brief(rows), [
    [1, 'UNPARSABLE_ROW', '1', '"open', '3'],
    [2, '4', '5', '6'],
    [3, '7', '8', '9'],
  ])
  assert.equal(
    rows[0]?.fault?.message,
    'Column "B": the quote that opens the value is never closed. Close it or leave it out.',
  )
})

test('text behind a closing quote costs its own line', async () => {
  const rows = await rowsOf('1,"the "big" one",3\n4,"5",6\n')
  assert.deepEqual(brief(rows), [
    [1, 'UNPARSABLE_ROW', '1', 'the "big" one', '3'],
    [2, '4', '5', '6'],
  ])
  assert.equal(
    rows[0]?.fault?.message,
    'Column "B": text follows the quote that closes the value. Double the quotes inside a quoted value.',
  )
})

test('the lines of a value with broken quotes become no rows of their own', async () => {
  const rows = await rowsOf('1,"He said "hi"\n\nto her and\nleft",3\n4,5,6\n')
  assert.deepEqual(brief(rows), [
    [1, 'UNPARSABLE_ROW', '1', 'He said "hi"\n\nto her and\nleft', '3'],
    [2, '4', '5', '6'],
  ])
  const short = await rowsOf('1,"He said "hi",3\n4\n5\n6,"7"\n')
  assert.deepEqual(brief(short), [
    [1, 'UNPARSABLE_ROW', '1', 'He said "hi', '3'],
    [2, '4', '', ''],
    [3, '5', '', ''],
    [4, '6', '7', ''],
  ])
})

test('rows between two stray quotes are not swallowed', async () => {
  const lines = Array.from({ length: 20 }, (_, index) => `${index},left,right`)
  lines[3] = '3,"left,right'
  lines[15] = '15,27",right'
  const rows = await rowsOf(lines.join('\r\n'))
  assert.equal(rows.length, 20)
  assert.deepEqual(
    rows.filter((row) => row.fault !== null).map((row) => row.number),
    [4],
  )
  assert.deepEqual(rows[15]?.cells, ['15', '27"', 'right'])
})

test('a long value with line breaks and commas stays one value', async () => {
  const text = 'Dear all,\nthe flat has a kitchen, a bath, two rooms.\nYours, Max\n'.repeat(500)
  assert.deepEqual(brief(await rowsOf(`1,"${text}",3\n4,5,6`)), [
    [1, '1', text, '3'],
    [2, '4', '5', '6'],
  ])
})

test('a list within quotes that looks like rows stays one value', async () => {
  const list = Array.from({ length: 14 }, (_, index) => `Doe ${index}, Jane`).join('\n')
  const rows = await rowsOf(`Sales,"${list}"\nSupport,"Roe, Max"\n`, { columns: ['Group', 'Members'] })
  assert.deepEqual(brief(rows), [
    [1, 'Sales', list],
    [2, 'Support', 'Roe, Max'],
  ])
  const notes = `called, again\n${'a, b, c\n'.repeat(10)}`
  const content = `Li,"${notes}",Max\nRoe,none,"Max"\n`
  for (const blockBytes of [1, 64, 1024]) {
    assert.deepEqual(brief(await rowsOf(content, {}, { blockBytes })), [
      [1, 'Li', notes, 'Max'],
      [2, 'Roe', 'none', 'Max'],
    ])
  }
})

test('a delimiter with a blank behind it separates without the blank too', async () => {
  const content = 'Max, m@x.de, 1\nSmith,, 555\n"Li","l@x.de","7"\nRoe,r@x.de, 2\n, ,\nDoe, d@x.de,\n'
  const rows = await rowsOf(content, { delimiter: ', ' })
  assert.deepEqual(brief(rows), [
    [1, 'Max', 'm@x.de', '1'],
    [2, 'Smith', '', '555'],
    [3, 'Li', 'l@x.de', '7'],
    [4, 'Roe', 'r@x.de', '2'],
    [5, '', '', ''],
    [6, 'Doe', 'd@x.de', ''],
  ])
  assert.deepEqual(await rowsOf(content, { delimiter: ', ' }, { blockBytes: 1 }), rows)
  // Delimiters of nothing but blanks are what they are.
  assert.deepEqual(brief(await rowsOf('Max Li  2  3\n', { delimiter: '  ' })), [[1, 'Max Li', '2', '3']])
})

test('no file makes reading slow', async () => {
  // Each line opens a quote that the next one closes, up to one that breaks them all.
  const chained = `${'"x\n",'.repeat(300_000)}"x"y\n`
  const started = process.cpuUsage()
  await rowsOf(chained, { columns: ['A'] })
  await rowsOf(`"a""b"\n`.repeat(200_000) + `"`)
  await rowsOf(`"a\n`.repeat(300_000))
  await rowsOf(`"""\n`.repeat(300_000), { columns: ['A'] })
  // One long row, which arrives in many small blocks.
  await rowsOf(`${'x'.repeat(1_000_000)},2,3\n`, {}, { blockBytes: 64 })
  const { user } = process.cpuUsage(started)
  assert.ok(user < 5_000_000, `${user} us`)
})

test('a line full of opening quotes is one faulty row, found in time', async () => {
  const started = process.cpuUsage()
  for (const cells of [80_000, 350_000, 2_700_000]) {
    for (const cell of ['"a,', '"a" b,', ' "a,', '"a,"b" c,']) {
      if (cells < 1_000_000 || cell === '"a,') {
        const rows = await rowsOf(`${cell.repeat(cells / 2)}\n1,2,3\n`)
        assert.deepEqual(
          rows.map((row) => [row.number, row.fault === null]),
          [
            [1, false],
            [2, true],
          ],
        )
      }
    }
  }
  const { user } = process.cpuUsage(started)
  assert.ok(user < 4_000_000, `${user} us`)
})

test('bytes that are no text cost their own row', async () => {
  const bad = Buffer.concat([Buffer.from('1,é,3\n4,M'), Buffer.from([0xfc]), Buffer.from('ller,6\n7,ü,9\n')])
  const rows = await rowsOf(bad)
  assert.deepEqual(brief(rows), [
    [1, '1', 'é', '3'],
    [2, 'BAD_ENCODING', '4', 'M\ufffdller', '6'],
    [3, '7', 'ü', '9'],
  ])
  assert.equal(
    rows[1]?.fault?.message,
    'Column "B": the value contains bytes that are not UTF-8; they are shown as \ufffd.',
  )
  const odd = Buffer.concat([encode('1,\ud83d,3\n\ufffd,5,\ud83d\ude00\n7,8,9', 'utf-16le'), Buffer.from([0x41])])
  const wide = await rowsOf(odd, { encoding: 'utf-16le' }, { blockBytes: 7 })
  assert.deepEqual(
    wide.map((row) => [row.byte, row.end, row.fault?.code]),
    [
      [0, 12, 'BAD_ENCODING'],
      [12, 26, undefined],
      [26, 37, 'BAD_ENCODING'],
    ],
  )
})

test('a NUL costs its own row', async () => {
  const rows = await rowsOf('1,2,3\n4,a\0b,6\n7,8,9\n')
  assert.deepEqual(brief(rows), [
    [1, '1', '2', '3'],
    [2, 'UNPARSABLE_ROW', '4', 'a\0b', '6'],
    [3, '7', '8', '9'],
  ])
  assert.match(rows[1]?.fault?.message ?? '', /^Column "B": .* NUL /)
})

test('holds the limits at their edges', async () => {
  const limits = { cellBytesMax: 10, rowBytesMax: 30, cellsPerRowMax: 5 }
  const long = 'x'.repeat(10)
  const codes = async (content: string, columns = ['A', 'B', 'C']) =>
    (await rowsOf(`${content}\n1,2,3`, { columns }, limits)).map((row) => row.fault?.code ?? 'good')
  assert.deepEqual(await codes(`${long},1,2`), ['good', 'good'])
  assert.deepEqual(await codes(`1,${long}x,2`), ['VALUE_TOO_LONG', 'good'])
  assert.deepEqual(await codes(`1,"${long}",2`), ['good', 'good'])
  assert.deepEqual(await codes(`1,"${long}\n",2`), ['VALUE_TOO_LONG', 'good'])
  assert.deepEqual(await codes(`${long},${long},12345678`), ['good', 'good'])
  assert.deepEqual(await codes(`${long},${long},123456789`), ['ROW_TOO_LARGE', 'good'])
  assert.deepEqual(await codes('1,,,,'), ['good', 'good'])
  assert.deepEqual(await codes('1,,,,,'), ['ROW_TOO_LARGE', 'good'])
  // Lines below a broken quote belong to its value as far as a row may go.
  assert.deepEqual(await codes(`1,"x"y"\nz"${'z'.repeat(40)}`), ['UNPARSABLE_ROW', 'ROW_TOO_LARGE', 'good'])
  // A quote that is not closed within a row's limit is broken.
  assert.deepEqual(await codes(`"a\n${'b,'.repeat(20)}",3`), ['UNPARSABLE_ROW', 'ROW_TOO_LARGE', 'good'])
})

test('reads values and rows up to the documented limits', async () => {
  const value = 'v'.repeat(CELL_BYTES_MAX)
  const huge = `${'h'.repeat(ROW_BYTES_MAX / 4)},`.repeat(12)
  const rows = await rowsOf(
    `1,${value},3\n1,${value}v,3\n${huge}\n"${huge.repeat(2)}\n4,5,6\n${'a,'.repeat(CELLS_PER_ROW_MAX)}\n`,
  )
  assert.deepEqual(
    rows.map((row) => [row.number, row.fault?.code, row.cells.length]),
    [
      [1, undefined, 3],
      [2, 'VALUE_TOO_LONG', 3],
      [3, 'ROW_TOO_LARGE', 0],
      [4, 'ROW_TOO_LARGE', 0],
      [5, undefined, 3],
      [6, 'ROW_TOO_LARGE', 0],
    ],
  )
  assert.equal(rows[0]?.cells[1], value)
})

test('holds no more in memory for a line without an end', async () => {
  const path = await file(
    Buffer.concat([Buffer.from('"'), Buffer.alloc(10 * ROW_BYTES_MAX, 'x'), Buffer.from('\n1,2,3')]),
  )
  const source = await openCsv(path, dialect())
  const before = process.memoryUsage().arrayBuffers
  const codes: unknown[] = []
  let held = 0
  for await (const group of source.rows(null, live)) {
    codes.push(...group.map((row) => row.fault?.code))
    held = Math.max(held, process.memoryUsage().arrayBuffers - before)
  }
  assert.deepEqual(codes, ['ROW_TOO_LARGE', undefined])
  assert.ok(held < 6 * ROW_BYTES_MAX, `${held} bytes`)
})

test('hands rows over in groups of at most a limit', async () => {
  const source = await openCsv(await file('a,b,c\n'.repeat(2 * SOURCE_GROUP_ROWS_MAX + 1)), dialect())
  const sizes: number[] = []
  for await (const group of source.rows(null, live)) {
    sizes.push(group.length)
  }
  assert.equal(Math.max(...sizes), SOURCE_GROUP_ROWS_MAX)
  assert.equal(
    sizes.reduce((sum, size) => sum + size),
    2 * SOURCE_GROUP_ROWS_MAX + 1,
  )
})

test('starts at the first data row, also where lines above it are broken', async () => {
  const path = await file('Report "Q1"\n"open\n\nA;B\n1;2\n')
  const how = dialect({ delimiter: ';', columns: ['A', 'B'], firstDataRow: 5 })
  assert.deepEqual(brief(await read(path, how)), [[5, '1', '2']])
  assert.deepEqual(brief(await read(path, { ...how, firstDataRow: 9 })), [])
  // What looks like swallowed rows is a remark as long as no header said how many columns there are.
  const remark = await file(`"remark\n${'x;y\n'.repeat(20)}end"\nA;B\n1;2\n`)
  assert.deepEqual(brief(await read(remark, { ...how, firstDataRow: 3 })), [[3, '1', '2']])
})

test('shows single rows by their cursor', async () => {
  const source = await openCsv(await file('A,B,C\n1,"two\n2",3\n4,"5,6\n'), dialect({ firstDataRow: 2 }))
  assert.deepEqual(await source.cellsAt({ byte: 0, row: 1 }), ['A', 'B', 'C'])
  assert.deepEqual(await source.cellsAt({ byte: 6, row: 2 }), ['1', 'two\n2', '3'])
  assert.deepEqual(await source.cellsAt({ byte: 17, row: 3 }), ['4', '"5', '6'])
  assert.deepEqual(await source.cellsAt({ byte: 24, row: 4 }), [])
})

test('counts a small file exactly and a large one nearly', async () => {
  const small = await openCsv(await file('A,B,C\n1,2,"a\nb"\n\n4,5,6'), dialect({ firstDataRow: 2 }))
  assert.equal(await small.estimateCount(live), 2)
  const lines = Array.from({ length: 30_000 }, (_, index) => `${index},name ${index},x\n`)
  const large = await openCsv(await file(`A,B,C\n${lines.join('')}`), dialect({ firstDataRow: 2 }))
  const estimate = await large.estimateCount(live)
  assert.ok(Math.abs(estimate - 30_000) < 1_500, `${estimate}`)
})

test('stops when it is told to', async () => {
  const source = await openCsv(await file('a,b,c\n'.repeat(50)), dialect(), { groupRows: 10 })
  const controller = new AbortController()
  let groups = 0
  const reading = async () => {
    for await (const group of source.rows(null, controller.signal)) {
      groups += group.length / 10
      controller.abort(new Error('enough'))
    }
  }
  await assert.rejects(reading, { message: 'enough' })
  assert.equal(groups, 1)
})

test('says that a file is gone without saying where it was', async () => {
  const path = join(directory, 'nowhere.csv')
  await assert.rejects(openCsv(path, dialect()), (error) => {
    assert.ok(error instanceof FatalError)
    assert.equal(error.code, 'FILE_UNREADABLE')
    assert.ok(!error.message.includes('nowhere'))
    return true
  })
})

test('an empty file has no rows', async () => {
  assert.deepEqual(await rowsOf(''), [])
  assert.deepEqual(await rowsOf('\ufeff\n'), [])
})
