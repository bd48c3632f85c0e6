/** XLSX workbooks and their kin (XLSM, XLTX, XLTM, Strict Open XML), read from a stream in memory that does not grow with them. */
import { Refusal } from '../../../errors.js'
import { SHEET_SORTED_BYTES_MAX } from '../../../limits.js'
import type { Row } from '../../source.js'
import type { ByteReader } from '../bytes.js'
import type { Sheet } from '../detection.js'
import type { Workbook } from '../workbook.js'
import { openZip, type ZipLimits } from '../zip.js'
import { numberFormats, type ValueStyle } from './formats.js'
import { type Contents, type ListedSheet, Package, readContents } from './parts.js'
import { readSharedStrings, type SharedStrings } from './shared-strings.js'
import { type SheetContext, sheetRows } from './sheet.js'
import { decodeXml } from './xml.js'

export interface XlsxOptions {
  /** How numbers and dates become text; `exact` unless given. */
  readonly values?: ValueStyle
  readonly limits?: ZipLimits
}

const ROWS_MAX = 1_048_576
/** No row with a value is shorter: `<row><c><v>1</v></c></row>`. Bytes. */
const ROW_BYTES_MIN = 27
const POINTER_BYTES = 8

/**
 * Opens a workbook that is kept in a ZIP archive of XML parts. `bytes` is needed until the workbook is disposed of, and is the
 * caller's to close. Throws `Refusal`: FILE_UNREADABLE, FILE_UNSAFE, FILE_ENCRYPTED, LIMIT_EXCEEDED; and what `bytes` throws.
 */
export async function openXlsx(bytes: ByteReader, options: XlsxOptions = {}): Promise<Workbook> {
  const parts = new Package(await openZip(bytes, options.limits))
  const contents = await readContents(parts)
  const sheets: Sheet[] = []
  for (const [index, { name, hidden, part }] of contents.sheets.entries()) {
    const estimatedRowCount = await estimateRowCount(parts, part)
    sheets.push({ name, index, hidden, estimatedRowCount })
  }
  return new XlsxWorkbook(parts, contents, sheets, options.values ?? 'exact')
}

class XlsxWorkbook implements Workbook {
  readonly sheets: readonly Sheet[]
  readonly #parts: Package
  readonly #contents: Contents
  readonly #values: ValueStyle
  #strings: SharedStrings | null = null

  constructor(parts: Package, contents: Contents, sheets: readonly Sheet[], values: ValueStyle) {
    this.#parts = parts
    this.#contents = contents
    this.sheets = sheets
    this.#values = values
  }

  async *rows(sheet: number, signal: AbortSignal): AsyncGenerator<readonly Row[]> {
    const listed = this.#contents.sheets[sheet]
    if (listed === undefined) {
      throw new Refusal('INVALID_INPUT', `The workbook has no sheet ${sheet + 1}.`)
    }
    const { formats, date1904, sharedStrings } = this.#contents
    if (this.#strings === null && sharedStrings !== null) {
      this.#strings = await readSharedStrings(this.#parts.zip.read(sharedStrings, signal))
    }
    const context: SheetContext = {
      strings: this.#strings,
      format: numberFormats(formats, date1904, this.#values),
    }
    const groups = sheetRows(this.#parts.zip.read(listed.part, signal), context)
    yield* ordered(groups, listed)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#strings = null
    return Promise.resolve()
  }
}

/**
 * Rows in their order, whatever the order in the file; parts of one row are put together. For that a small sheet is kept until
 * its end; a large one is not, and refused where a row comes late.
 */
async function* ordered(groups: AsyncIterable<readonly Row[]>, sheet: ListedSheet): AsyncGenerator<readonly Row[]> {
  let held: (readonly Row[])[] | null = sheet.part.unpackedBytes <= SHEET_SORTED_BYTES_MAX ? [] : null
  let heldBytes = 0
  let last = 0
  let late: { readonly number: number; readonly behind: number } | null = null
  for await (const group of groups) {
    for (const { number, cells } of group) {
      if (number <= last) {
        late ??= { number, behind: last }
      }
      last = number
      heldBytes += held === null ? 0 : cells.reduce((sum, cell) => sum + cell.length + POINTER_BYTES, 0)
    }
    held?.push(group)
    // A few letters of a sheet can stand for long texts and thousands of empty cells.
    if (late !== null && (held === null || heldBytes > SHEET_SORTED_BYTES_MAX * 4)) {
      throw new Refusal(
        'FILE_UNREADABLE',
        `In the sheet "${sheet.name.slice(0, 100)}" row ${late.number} stands behind row ${late.behind}. Open and save it in Excel.`,
      )
    }
    if (held === null) {
      yield group
    } else if (heldBytes > SHEET_SORTED_BYTES_MAX * 4) {
      yield* held
      held = null
    }
  }
  if (held === null || late === null) {
    yield* held ?? []
    return
  }
  const byNumber = new Map<number, Row>()
  for (const row of held.flat()) {
    const other = byNumber.get(row.number)
    byNumber.set(row.number, other === undefined ? row : together(other, row))
  }
  yield [...byNumber.values()].toSorted((a, b) => a.number - b.number)
}

function together(a: Row, b: Row): Row {
  const cells = Array.from(
    { length: Math.max(a.cells.length, b.cells.length) },
    (_, index) => b.cells[index] || a.cells[index] || '',
  )
  return { ...a, cells, fault: a.fault ?? b.fault }
}

/** From what the sheet says of its own extent, or its first rows; never more than it has room for. Null where neither helps. */
async function estimateRowCount(parts: Package, part: ListedSheet['part']): Promise<number | null> {
  const most = Math.min(ROWS_MAX, Math.floor(part.unpackedBytes / ROW_BYTES_MIN))
  for await (const text of decodeXml(parts.zip.read(part))) {
    const said = /<(?:\w+:)?dimension\s+ref=["']([A-Z]+\d+)(?::[A-Z]+(\d+))?["']/.exec(text.slice(0, 4096))
    // Programs that stream do not know the extent when they begin, and say A1.
    if (said?.[2] !== undefined) {
      const first = Number(/\d+$/.exec(said[1] ?? '')?.[0] ?? 1)
      return Math.max(0, Math.min(Number(said[2]) - first + 1, most))
    }
    const start = text.search(/<(?:\w+:)?row[\s>]/)
    const found = text.slice(start).split(/<(?:\w+:)?row[\s>]/).length - 1
    if (start < 0) {
      return text.includes('</') && text.includes('sheetData') ? 0 : null
    }
    const share = (part.unpackedBytes - start) / (text.length - start)
    return Math.min(Math.max(found, Math.round(found * Math.max(1, share))), Math.max(most, found))
  }
  return null
}
