import { type BookType, set_cptable, utils, type WorkBook, type WorkSheet, write } from 'xlsx'
import * as codePages from 'xlsx/dist/cpexcel.full.mjs'
import { openLegacyWorkbook } from '../../../src/adapters/files/legacy-workbook.js'
import { heldBytes } from '../../../src/adapters/files/stream-bytes.js'
import type { Workbook } from '../../../src/adapters/files/workbook.js'
import { openXlsx } from '../../../src/adapters/files/xlsx/workbook.js'
import type { Row } from '../../../src/adapters/source.js'

set_cptable(codePages)

/** The package writes more formats than it types. */
export type WrittenType = BookType | 'biff3' | 'biff4'

export type LegacyFormat = 'XLS' | 'XLSB' | 'ODS'

/** Formats in which SheetJS writes workbooks, and as which they are read. */
export const BOOK_TYPES: readonly (readonly [WrittenType, LegacyFormat])[] = [
  ['biff8', 'XLS'],
  ['biff5', 'XLS'],
  ['biff4', 'XLS'],
  ['biff3', 'XLS'],
  ['biff2', 'XLS'],
  ['xlml', 'XLS'],
  ['xlsb', 'XLSB'],
  ['ods', 'ODS'],
  ['fods', 'ODS'],
]

/** Opens a workbook that is held in memory. */
export async function opened(bytes: Buffer | string, format: LegacyFormat | 'XLSX'): Promise<Workbook> {
  const reader = await heldBytes(Buffer.from(bytes))()
  return format === 'XLSX' ? openXlsx(reader) : openLegacyWorkbook(reader, format)
}

/** All rows of a sheet. */
export async function rowsOf(bytes: Buffer | string, format: LegacyFormat | 'XLSX', sheet = 0): Promise<Row[]> {
  const rows: Row[] = []
  await using book = await opened(bytes, format)
  for await (const group of book.rows(sheet, new AbortController().signal)) {
    rows.push(...group)
  }
  return rows
}

/** The cells of all rows of a sheet, each behind the number of its row. */
export async function tableOf(bytes: Buffer | string, format: LegacyFormat | 'XLSX', sheet = 0): Promise<unknown[][]> {
  return (await rowsOf(bytes, format, sheet)).map(({ number, cells }) => [number, ...cells])
}

/** A workbook as SheetJS writes it. */
export function written(book: WorkBook, bookType: WrittenType): Buffer {
  return Buffer.from(write(book, { bookType: bookType as BookType, type: 'buffer', compression: true }) as Uint8Array)
}

/** A workbook with one sheet. */
export function bookOf(
  rows: readonly (readonly unknown[])[],
  formats: Readonly<Record<string, string>> = {},
): WorkBook {
  const sheet: WorkSheet = utils.aoa_to_sheet(rows.map((row) => [...row]))
  for (const [address, format] of Object.entries(formats)) {
    ;(sheet[address] as { z?: string }).z = format
  }
  return { SheetNames: ['Leads'], Sheets: { Leads: sheet } }
}

/** A web page around a table. */
export const page = (body: string): string => `<html><body><table>${body}</table></body></html>`

/** An OpenDocument spreadsheet in one XML document. */
export function flat(tables: string, styles = ''): string {
  return `<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="o" xmlns:table="t" xmlns:text="x"><office:automatic-styles>${styles}</office:automatic-styles><office:body><office:spreadsheet>${tables}</office:spreadsheet></office:body></office:document>`
}

/** An XML spreadsheet of Excel 2003. */
export function spreadsheet(sheets: string, styles = ''): string {
  return `<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Styles>${styles}</Styles>${sheets}</Workbook>`
}

/** A record of an XLS workbook. */
export function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt16LE(type, 0)
  head.writeUInt16LE(data.length, 2)
  return Buffer.concat([head, data])
}
