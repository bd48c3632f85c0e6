/** Valid files of every format that is read, small and with something of everything in them: what is damaged on purpose. */
import { gzipSync } from 'node:zlib'
import iconv from 'iconv-lite'
import { type BookType, CFB, utils, write } from 'xlsx'
import { bookParts } from '../helpers/xlsx-file.js'
import { type ZipPart, zipOf } from '../helpers/zip-file.js'

/** Formats that files are made of, and the ways in which they are packed. */
export const fuzzFormats = ['csv', 'packed', 'xlsx', 'json', 'ndjson', 'legacy'] as const
export type FuzzFormat = (typeof fuzzFormats)[number]

/** A valid file: as bytes, or as the parts of an archive, which can be damaged before they are packed. */
export interface Sample {
  readonly name: string
  readonly bytes?: Buffer
  readonly parts?: readonly ZipPart[]
  /** The bytes are damaged first and packed then. */
  readonly packed?: 'GZIP'
}

const people = [
  ['Id', 'Name', 'E-mail', 'Born', 'Revenue', 'Note'],
  ['1', 'Ada Lovelace', 'ada@example.org', '1815-12-10', '12.50', 'said "hello", and left'],
  ['2', 'Grace\nHopper', 'grace@example.org', '1906-12-09', '1,234.00', ''],
  ['3', '山田太郎', 'taro@example.jp', '1950-01-01', '7', 'よろしく; 東京'],
  ['4', 'Zoë Çelik', 'zoe@example.com', '', '-0.5', "it's"],
  ['5', '', '', '2001-02-03', '1e3', '=1+1'],
  ['6', 'Total', '', '', '99', ''],
]

function csvOf(delimiter: string, end = '\r\n'): string {
  const cell = (text: string): string => (/["\n;,\t|]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  return people.map((row) => row.map(cell).join(delimiter) + end).join('')
}

const records = people.slice(1).map((row, index) => ({
  id: Number(row[0]),
  name: row[1],
  address: { city: row[5], geo: { lat: index * 1.5, lon: -index } },
  tags: ['a', 'b; c', null, true],
  orders: [{ sku: 'x', count: index }],
  ...(index > 2 ? { late: row[3] } : {}),
}))

const strings = people
  .flat()
  .map((text) => `<si><t xml:space="preserve">${escaped(text)}</t></si>`)
  .join('')

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

function sheetXml(): string {
  const rows = people.map((row, r) => {
    const cells = row.map((text, c) => {
      const reference = `${'ABCDEF'[c]}${r + 1}`
      if (r > 0 && c === 0) {
        return `<c r="${reference}"><v>${text}</v></c>`
      }
      if (r > 0 && c === 3) {
        return `<c r="${reference}" s="1"><v>${20_000 + r * 17.25}</v></c>`
      }
      if (c === 5 && r % 2 === 1) {
        return `<c r="${reference}" t="inlineStr"><is><r><rPr><b/></rPr><t>${escaped(text)}</t></r><r><t>!</t></r></is></c>`
      }
      if (r === 4 && c === 4) {
        return `<c r="${reference}" t="e"><f>1/0</f><v>#DIV/0!</v></c>`
      }
      if (r === 5 && c === 1) {
        return `<c r="${reference}" t="b"><v>1</v></c>`
      }
      return `<c r="${reference}" t="s"><v>${r * row.length + c}</v></c>`
    })
    return `<row r="${r + 1}" spans="1:6">${cells.join('')}</row>`
  })
  return rows.join('')
}

function book(type: BookType): Buffer {
  const made = utils.book_new()
  const sheet = utils.aoa_to_sheet([...people, [7, new Date(Date.UTC(2024, 1, 29)), true, 0.25, null, 'x'.repeat(300)]])
  sheet['!merges'] = [{ s: { r: 1, c: 1 }, e: { r: 2, c: 2 } }]
  utils.book_append_sheet(made, sheet, 'People')
  utils.book_append_sheet(made, utils.aoa_to_sheet([['a'], [1]]), 'Second')
  return Buffer.from(write(made, { type: 'buffer', bookType: type, compression: true }) as Uint8Array)
}

/** The files in an archive, to be damaged one by one. */
function partsOf(archive: Buffer): ZipPart[] {
  const { FullPaths, FileIndex } = CFB.read(archive, { type: 'buffer' }) as {
    readonly FullPaths: readonly string[]
    readonly FileIndex: readonly { readonly content: Uint8Array; readonly size: number }[]
  }
  return FileIndex.flatMap(({ content, size }, index) =>
    size > 0 ? [{ name: (FullPaths[index] ?? '').replace(/^[^/]*\//, ''), data: Buffer.from(content) }] : [],
  )
}

function utf16(text: string, bigEndian = false): Buffer {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le')
  return bigEndian ? bytes.swap16() : bytes
}

/** The valid files of a format. */
export function samplesOf(format: FuzzFormat): Sample[] {
  switch (format) {
    case 'csv':
      return [
        { name: 'comma.csv', bytes: Buffer.from(csvOf(',')) },
        { name: 'semicolon.csv', bytes: Buffer.from(csvOf(';', '\n')) },
        { name: 'tab.tsv', bytes: Buffer.from(`\ufeff${csvOf('\t', '\r')}`) },
        { name: 'sep.csv', bytes: Buffer.from(`sep=|\nA report\n\n${csvOf('|')}`) },
        { name: 'utf-16le.csv', bytes: utf16(csvOf('\t')) },
        { name: 'utf-16be.csv', bytes: utf16(csvOf(','), true) },
        { name: 'shift-jis.csv', bytes: iconv.encode(csvOf(','), 'shift_jis') },
        { name: 'windows-1252.csv', bytes: iconv.encode(csvOf(';'), 'windows-1252') },
      ]
    case 'packed':
      return [
        { name: 'people.csv.gz', bytes: gzipSync(csvOf(',').repeat(20)) },
        { name: 'people.zip', bytes: zipOf([{ name: 'people.csv', data: csvOf(',') }]) },
        {
          name: 'streamed.zip',
          bytes: zipOf([{ name: 'people.csv', data: csvOf(';'), descriptor: true, zip64: true }]),
        },
        { name: 'people.json.gz', bytes: gzipSync(JSON.stringify(records)) },
        { name: 'damaged.csv.gz', bytes: Buffer.from(csvOf(',')), packed: 'GZIP' },
        { name: 'damaged.json.gz', bytes: Buffer.from(JSON.stringify(records)), packed: 'GZIP' },
        { name: 'damaged.zip', parts: [{ name: 'people.csv', data: iconv.encode(csvOf(','), 'shift_jis') }] },
        { name: 'book.zip', parts: [{ name: 'people.xls', data: book('biff8') }] },
      ]
    case 'xlsx': {
      const parts = bookParts({
        sheet: `<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:F7"/><sheetData>${sheetXml()}</sheetData><mergeCells count="1"><mergeCell ref="B2:C3"/></mergeCells></worksheet>`,
        strings,
        formats: ['yyyy-mm-dd hh:mm', '0.00%', '[Red]#,##0.00;-0'],
      })
      return [
        { name: 'people.xlsx', parts },
        { name: 'archive.xlsx', bytes: zipOf(parts) },
        { name: 'sheetjs.xlsx', bytes: book('xlsx') },
      ]
    }
    case 'json':
      return [
        { name: 'array.json', bytes: Buffer.from(JSON.stringify(records)) },
        { name: 'pretty.json', bytes: Buffer.from(JSON.stringify(records, null, 2)) },
        { name: 'wrapped.json', bytes: Buffer.from(JSON.stringify({ meta: { count: 6 }, data: { items: records } })) },
        { name: 'lists.json', bytes: Buffer.from(JSON.stringify(people)) },
        { name: 'utf-16.json', bytes: utf16(JSON.stringify(records)) },
      ]
    case 'ndjson':
      return [
        { name: 'records.ndjson', bytes: Buffer.from(records.map((each) => `${JSON.stringify(each)}\n`).join('')) },
        { name: 'lists.jsonl', bytes: Buffer.from(people.map((each) => `${JSON.stringify(each)}\r\n`).join('')) },
      ]
    case 'legacy':
      return [
        { name: 'people.xls', bytes: book('biff8') },
        { name: 'people-5.xls', bytes: book('biff5') },
        { name: 'people.xlsb', bytes: book('xlsb') },
        { name: 'people.ods', bytes: book('ods') },
        { name: 'parts.xlsb', parts: partsOf(book('xlsb')) },
        { name: 'parts.ods', parts: partsOf(book('ods')) },
        { name: 'people-xml.xls', bytes: book('xlml') },
        { name: 'page.xls', bytes: book('html') },
      ]
    default:
      return format satisfies never
  }
}
