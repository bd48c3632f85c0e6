/** Workbooks of any make as tables: which sheet, where its header stands, which rows are data. */
import { Refusal } from '../../errors.js'
import { HELD_FILE_BYTES_MAX, SHEET_HEAD_ROWS } from '../../limits.js'
import type { SourceOptions } from '../../pipeline/types.js'
import type { Row } from '../source.js'
import type { ByteReader } from './bytes.js'
import type { Detection, FileFormat, Sheet } from './detection.js'
import { fileTypeOf, kindOfZip } from './file-type.js'
import { openLegacyWorkbook } from './legacy-workbook.js'
import { nested, type Unpacked } from './open.js'
import { describeTable, rowFitter } from './sniff.js'
import { heldBytes } from './stream-bytes.js'
import type { Workbook } from './workbook.js'
import { openXlsx } from './xlsx/workbook.js'
import { openZip } from './zip.js'

export type WorkbookFormat = Extract<FileFormat, 'XLSX' | 'XLS' | 'XLSB' | 'ODS'>

/** What a workbook says of itself, for `Detection`. */
type WorkbookDetection = Pick<
  Detection,
  'headerRow' | 'firstDataRow' | 'lastDataRow' | 'sheets' | 'sheet' | 'columns' | 'estimatedRowCount' | 'warnings'
>

/** The bytes of a file at any place: those of a file that was packed are held in memory. Refuses LIMIT_EXCEEDED above HELD_FILE_BYTES_MAX. */
export async function placedBytes(file: Unpacked): Promise<ByteReader> {
  const bytes = await file.open()
  if (file.compression === 'NONE') {
    return bytes
  }
  await using packed = bytes
  const parts: Buffer[] = []
  let length = 0
  for (;;) {
    const part = Buffer.allocUnsafe(64 * 1024)
    const read = await packed.read(part, 0, part.length, length)
    if (read === 0) {
      return heldBytes(Buffer.concat(parts))()
    }
    length += read
    if (length > HELD_FILE_BYTES_MAX) {
      throw new Refusal(
        'LIMIT_EXCEEDED',
        `A workbook within an archive has at most ${HELD_FILE_BYTES_MAX / (1024 * 1024)} MiB. Upload it without packing it.`,
      )
    }
    parts.push(part.subarray(0, read))
  }
}

/** Which workbook a file is; null for a text. Refuses what is neither. */
export async function workbookFormat(file: Unpacked): Promise<WorkbookFormat | null> {
  const type = fileTypeOf(file.head, await tailOf(file))
  switch (type.kind) {
    case 'workbook':
      return type.format
    case 'text':
      return null
    case 'refused':
      throw new Refusal(type.code, type.message)
    case 'markup':
      if (type.what === 'xml') {
        throw new Refusal(
          'FILE_TYPE_UNSUPPORTED',
          'The file is an XML document that is no spreadsheet. Save its table as CSV and upload that file.',
        )
      }
      return 'XLS'
    case 'archive':
      return archivedFormat(file)
    default:
      return type satisfies never
  }
}

async function archivedFormat(file: Unpacked): Promise<WorkbookFormat> {
  await using bytes = await placedBytes(file)
  const type = kindOfZip((await openZip(bytes)).entries.map(({ name }) => name))
  if (type.kind === 'refused') {
    throw new Refusal(type.code, type.message)
  }
  if (type.kind !== 'workbook') {
    throw nested()
  }
  return type.format
}

/** The last bytes of a compound file, where its directory may stand; none of a file that is packed or short. */
async function tailOf(file: Unpacked): Promise<Buffer | undefined> {
  if (file.compression !== 'NONE' || file.whole || file.byteSize === null) {
    return undefined
  }
  await using bytes = await file.open()
  const tail = Buffer.alloc(Math.min(TAIL_BYTES, file.byteSize))
  let filled = 0
  while (filled < tail.length) {
    const read = await bytes.read(tail, filled, tail.length - filled, file.byteSize - tail.length + filled)
    if (read === 0) {
      break
    }
    filled += read
  }
  return tail.subarray(0, filled)
}

const TAIL_BYTES = 64 * 1024

/** Opens a workbook. `bytes` are the caller's to close, after the workbook. */
export function openWorkbook(bytes: ByteReader, format: WorkbookFormat): Promise<Workbook> {
  if (format === 'XLSX') {
    return openXlsx(bytes)
  }
  return openLegacyWorkbook(bytes, format)
}

/** Looks at the sheet that was named, else at the first one that is shown and holds something. */
export async function inspectWorkbook(
  book: Workbook,
  { sheet, headerRow, decimalSeparator }: SourceOptions,
): Promise<WorkbookDetection> {
  const candidates = sheet == null ? book.sheets.filter(({ hidden }) => !hidden) : [sheetNamed(book.sheets, sheet)]
  for (const candidate of candidates) {
    const { rows, whole } = await firstRows(book, candidate)
    if (rows.length > 0) {
      const table = describeTable(rows, {
        whole,
        rowCount: candidate.estimatedRowCount,
        headerRow,
        decimalSeparator,
        isSheet: true,
      })
      const header = rows.find((row) => row.number === table.headerRow)
      if (header?.fault?.code === 'ROW_TOO_LARGE') {
        throw new Refusal('LIMIT_EXCEEDED', `The header is too long. ${header.fault.message}`)
      }
      return { ...table, sheets: book.sheets, sheet: candidate.name }
    }
  }
  if (sheet != null) {
    throw new Refusal('FILE_EMPTY', `The sheet "${sheet}" is empty. Sheets: ${listed(book.sheets)}.`)
  }
  throw new Refusal(
    'FILE_EMPTY',
    book.sheets.some(({ hidden }) => hidden)
      ? `The workbook shows no sheet with data. Sheets: ${listed(book.sheets)}. Name a hidden one to read it.`
      : 'The workbook is empty.',
  )
}

/** The sheet of this name; upper and lower case matter only where they must. Refuses INVALID_INPUT. */
export function sheetNamed(sheets: readonly Sheet[], name: string): Sheet {
  const alike = sheets.filter((sheet) => sheet.name.toLowerCase() === name.trim().toLowerCase())
  const found = sheets.find((sheet) => sheet.name === name) ?? (alike.length === 1 ? alike[0] : undefined)
  if (found === undefined) {
    throw new Refusal('INVALID_INPUT', `The workbook has no sheet "${name}". Sheets: ${listed(sheets)}.`, [
      'source',
      'sheet',
    ])
  }
  return found
}

/** The data rows of the sheet that the detection has chosen: each with one cell for each column, or with a fault. */
export async function* workbookRows(
  book: Workbook,
  detection: Detection,
  signal: AbortSignal,
): AsyncGenerator<readonly Row[], void, undefined> {
  const { index } = sheetNamed(book.sheets, detection.sheet ?? '')
  const fit = rowFitter(
    detection.columns.map(({ name }) => name),
    detection.lastDataRow ?? null,
  )
  for await (const group of book.rows(index, signal)) {
    const data = group.filter((row) => row.number >= detection.firstDataRow).map(fit)
    if (data.length > 0) {
      yield data
    }
  }
}

async function firstRows(book: Workbook, { index }: Sheet): Promise<{ rows: readonly Row[]; whole: boolean }> {
  const rows: Row[] = []
  for await (const group of book.rows(index, new AbortController().signal)) {
    rows.push(...group)
    if (rows.length > SHEET_HEAD_ROWS) {
      return { rows: rows.slice(0, SHEET_HEAD_ROWS), whole: false }
    }
  }
  return { rows, whole: true }
}

function listed(sheets: readonly Sheet[]): string {
  const names = sheets.slice(0, 20).map(({ name, hidden }) => `"${name}"${hidden ? ' (hidden)' : ''}`)
  return `${names.join(', ')}${sheets.length > 20 ? ` and ${sheets.length - 20} more` : ''}`
}
