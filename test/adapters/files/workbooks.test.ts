import assert from 'node:assert/strict'
import { test } from 'node:test'
import ExcelJS from 'exceljs'
import type { Detection } from '../../../src/adapters/files/detection.js'
import { inspectHere } from '../../../src/adapters/files/inspect.js'
import { noSourceOptions } from '../../../src/adapters/files/sniff.js'
import { heldBytes } from '../../../src/adapters/files/stream-bytes.js'
import { openWorkbook, workbookRows } from '../../../src/adapters/files/workbooks.js'
import type { Row } from '../../../src/adapters/source.js'

async function read(...lines: unknown[][]): Promise<{ found: Detection; rows: Row[] }> {
  const made = new ExcelJS.Workbook()
  made.addWorksheet('Sheet').addRows(lines)
  const open = heldBytes(Buffer.from((await made.xlsx.writeBuffer()) as ArrayBuffer))
  await using bytes = await open()
  const found = await inspectHere(open, { name: 'a.xlsx', byteSize: bytes.byteSize, overrides: noSourceOptions })
  await using book = await openWorkbook(bytes, 'XLSX')
  const rows: Row[] = []
  for await (const group of workbookRows(book, found, new AbortController().signal)) {
    rows.push(...group)
  }
  return { found, rows }
}

const header = ['Name', 'City', 'Amount']
const data = [
  ['Li', 'Wien', 12],
  ['Roe', 'Graz', 7],
  ['Doe', 'Linz', 9],
  ['Poe', 'Rome', 3],
]

function faults(rows: readonly Row[]): unknown[] {
  return rows.flatMap((row) => (row.fault === null ? [] : [[row.number, row.fault.code]]))
}

test('a remark beside the table of a sheet costs its row and is told beforehand', async () => {
  const { found, rows } = await read(header, ...data, ['Moe', 'Bonn', 5, 'call back'])
  assert.deepEqual(
    found.columns.map(({ name }) => name),
    header,
  )
  assert.deepEqual(faults(rows), [[6, 'WRONG_COLUMN_COUNT']])
  assert.match(
    found.warnings.join(' '),
    /more cells than there are columns: 1 of the first 5\. The first one is row 6\./,
  )
})

test('totals below the table of a sheet are no data', async () => {
  const wide = [...header, 'Phone']
  const { found, rows } = await read(wide, ...data, ['Total', null, 31])
  assert.deepEqual([found.lastDataRow, found.estimatedRowCount], [5, 4])
  assert.match(found.warnings.join(' '), /From row 6 on there are totals/)
  assert.deepEqual(faults(rows), [[6, 'UNPARSABLE_ROW']])
  const company = await read(wide, ...data, ['Total Energies', 'Paris'])
  assert.deepEqual([company.found.lastDataRow, faults(company.rows)], [null, []])
})

test('a repeated header of a sheet costs its own row', async () => {
  const { found, rows } = await read(header, ...data, header, ...data)
  assert.deepEqual(faults(rows), [[6, 'UNPARSABLE_ROW']])
  assert.match(found.warnings.join(' '), /repeat the header/)
  assert.equal(rows.length, 9)
})

test('columns of a sheet that only the rows name are read', async () => {
  const { found, rows } = await read(['Name', 'City'], ...data)
  assert.deepEqual(
    found.columns.map(({ name }) => name),
    ['Name', 'City', 'Column 3'],
  )
  assert.deepEqual(faults(rows), [])
})
