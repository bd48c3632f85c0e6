import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import ExcelJS from 'exceljs'
import { rowsOf } from '../../../src/adapters/files/convert.js'
import type { Detection } from '../../../src/adapters/files/detection.js'
import { inspectFile } from '../../../src/adapters/files/inspect.js'
import { noSourceOptions } from '../../../src/adapters/files/sniff.js'
import { heldBytes } from '../../../src/adapters/files/stream-bytes.js'
import type { Row } from '../../../src/adapters/source.js'
import type { SourceOptions } from '../../../src/pipeline/types.js'
import { zipOf } from '../../helpers/zip-file.js'

const signal = new AbortController().signal

function requestOf(bytes: Uint8Array, said: Partial<SourceOptions>) {
  return { name: 'file.bin', byteSize: bytes.length, overrides: { ...noSourceOptions, ...said } }
}

function inspected(bytes: Uint8Array, said: Partial<SourceOptions> = {}): Promise<Detection> {
  return inspectFile(heldBytes(bytes), requestOf(bytes, said))
}

async function read(bytes: Uint8Array, said: Partial<SourceOptions> = {}): Promise<{ header: string[]; rows: Row[] }> {
  const detection = await inspected(bytes, said)
  const rows: Row[] = []
  for await (const group of rowsOf(heldBytes(bytes), { ...requestOf(bytes, said), detection }, signal)) {
    rows.push(...group)
  }
  return { header: detection.columns.map((column) => column.name), rows }
}

function cellsOf({ rows }: { rows: readonly Row[] }): (readonly string[])[] {
  return rows.map((row) => row.cells)
}

const csv = 'Name;City\nAda;London\n"Bo\nRay";Rome\n'
const expected = [
  ['Ada', 'London'],
  ['Bo\nRay', 'Rome'],
]

async function book(
  ...sheets: readonly (readonly [name: string, rows: unknown[][], hidden?: true])[]
): Promise<Buffer> {
  const made = new ExcelJS.Workbook()
  for (const [name, rows, hidden] of sheets) {
    const sheet = made.addWorksheet(name)
    sheet.state = hidden === true ? 'hidden' : 'visible'
    rows.forEach((row) => sheet.addRow(row))
  }
  return Buffer.from((await made.xlsx.writeBuffer()) as ArrayBuffer)
}

test('a text gives the same rows as it is, in GZIP and in ZIP', async () => {
  const packed: readonly (readonly [Uint8Array, string])[] = [
    [Buffer.from(csv), 'NONE'],
    [gzipSync(csv), 'GZIP'],
    [Buffer.concat([gzipSync(csv.slice(0, 20)), gzipSync(csv.slice(20))]), 'GZIP'],
    [zipOf([{ name: 'data/people.csv', data: csv }]), 'ZIP'],
  ]
  for (const [bytes, compression] of packed) {
    const detection = await inspected(bytes)
    assert.equal(detection.compression, compression)
    assert.equal(detection.format, 'CSV')
    assert.equal(detection.estimatedRowCount, 2)
    assert.deepEqual(cellsOf(await read(bytes)), expected)
  }
})

test('what operating systems put into archives is no data', async () => {
  const bytes = zipOf([
    { name: '__MACOSX/._people.csv', data: 'junk' },
    { name: '.DS_Store', data: 'junk' },
    { name: 'folder/', data: '' },
    { name: 'folder/people.csv', data: csv },
    { name: 'folder/Thumbs.db', data: 'junk' },
  ])
  assert.deepEqual(cellsOf(await read(bytes)), expected)
})

test('an archive of several files, of none and of archives is refused with what is in it', async () => {
  const two = zipOf([
    { name: 'a.csv', data: csv },
    { name: 'b.csv', data: csv },
  ])
  await assert.rejects(inspected(two), {
    name: 'Refusal',
    code: 'FILE_TYPE_UNSUPPORTED',
    message: /2 files: "a.csv", "b.csv"/,
  })
  await assert.rejects(inspected(zipOf([])), { name: 'Refusal' })
  const nested = zipOf([{ name: 'inner.zip', data: zipOf([{ name: 'a.csv', data: csv }]) }])
  await assert.rejects(inspected(nested), { name: 'Refusal', code: 'FILE_UNSAFE' })
  // By its content, too, whatever it is called.
  const hidden = zipOf([{ name: 'a.csv', data: zipOf([{ name: 'b.csv', data: csv }]) }])
  await assert.rejects(inspected(hidden), { name: 'Refusal', code: 'FILE_UNSAFE' })
  await assert.rejects(inspected(gzipSync(gzipSync(csv))), { name: 'Refusal', code: 'FILE_UNSAFE' })
  await assert.rejects(inspected(gzipSync(nested)), { name: 'Refusal', code: 'FILE_UNSAFE' })
})

test('a workbook is read alone and within an archive', async () => {
  const bytes = await book([
    'People',
    [
      ['Name', 'City'],
      ['Ada', 'London'],
      ['Bo', null],
      [null, 'Rome', 'too much'],
    ],
  ])
  for (const file of [bytes, gzipSync(bytes), zipOf([{ name: 'people.xlsx', data: bytes }])]) {
    const { header, rows } = await read(file)
    assert.deepEqual(header, ['Name', 'City'])
    assert.deepEqual(
      rows.map(({ number, cells, fault }) => [number, cells, fault?.code ?? null]),
      [
        [2, ['Ada', 'London'], null],
        [3, ['Bo', ''], null],
        [4, ['', 'Rome', 'too much'], 'WRONG_COLUMN_COUNT'],
      ],
    )
  }
})

test('the first sheet that is shown and holds something is read, unless another one is named', async () => {
  const bytes = await book(
    ['Secret', [['a'], ['1']], true],
    ['Empty', []],
    ['Data', [['b'], ['2']]],
    ['More', [['c'], ['3']]],
  )
  assert.equal((await inspected(bytes)).sheet, 'Data')
  assert.deepEqual((await read(bytes, { sheet: 'more' })).header, ['c'])
  assert.deepEqual((await read(bytes, { sheet: 'Secret' })).header, ['a'])
  await assert.rejects(inspected(bytes, { sheet: 'Empty' }), { code: 'FILE_EMPTY' })
  await assert.rejects(inspected(bytes, { sheet: 'x' }), { code: 'INVALID_INPUT', field: ['source', 'sheet'] })
  await assert.rejects(inspected(await book(['Secret', [['a']], true])), { code: 'FILE_EMPTY', message: /hidden/ })
  await assert.rejects(inspected(bytes, { format: 'CSV' }), { code: 'INVALID_INPUT', field: ['source', 'format'] })
})

test('what a person says about the header of a sheet wins', async () => {
  const bytes = await book([
    'Data',
    [
      ['x', 'y'],
      ['Name', 'City'],
      ['Ada', 'London'],
    ],
  ])
  assert.deepEqual((await read(bytes, { headerRow: 2 })).header, ['Name', 'City'])
  assert.equal((await read(bytes, { headerRow: 0 })).rows.length, 3)
})

test('other documents are told apart from workbooks', async () => {
  const word = zipOf([
    { name: '[Content_Types].xml', data: '<Types/>' },
    { name: 'word/document.xml', data: '<w/>' },
  ])
  await assert.rejects(inspected(word), { name: 'Refusal', code: 'FILE_TYPE_UNSUPPORTED', message: /Word/ })
})

test('what no database keeps is a fault of its row, or shown by a sign', async () => {
  const bytes = await book([
    'Data',
    [
      ['Na_x0000_me', 'City'],
      ['\\u0000', 'plain text'],
      ['a_x0000_b', 'x'],
      ['_xD800_half', 'y'],
    ],
  ])
  const { header, rows } = await read(bytes)
  assert.ok(!JSON.stringify(header).includes('\\u0000'))
  assert.deepEqual(rows[0]?.cells, ['\\u0000', 'plain text'])
  for (const row of rows) {
    assert.ok(row.fault !== null || row.cells.every((cell) => cell.isWellFormed() && !cell.includes('\0')))
  }
})

test('a text that begins in ASCII is read in the encoding of what stands further on', async () => {
  const plain = 'Ada Lovelace,London\n'.repeat(20_000)
  const accents = 'Jürgen Müller,Köln\nHélène Lefèvre,Orléans\n'
  const texts = [
    [`Name,City\n${plain}${accents}`, 'at the end'],
    [`Name,City\n${plain}${accents.repeat(4000)}${plain}`, 'in between'],
  ] as const
  for (const [text, where] of texts) {
    const latin = Buffer.from(text, 'latin1')
    const detection = await inspected(latin)
    assert.equal(detection.encoding, 'windows-1252', where)
    const { rows } = await read(latin)
    assert.ok(
      rows.some(({ cells, fault }) => cells[0] === 'Jürgen Müller' && fault === null),
      where,
    )
    const utf8 = await inspected(Buffer.from(text))
    assert.equal(utf8.encoding, 'utf-8', where)
  }
  assert.equal((await inspected(Buffer.from(plain))).encoding, 'utf-8')
})
