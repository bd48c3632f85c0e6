/**
 * XLSX workbooks, written as a stream from what PostgreSQL's COPY gives: however many rows there are, a few blocks are in
 * memory. Cells have types: numbers, booleans, days and moments are such to a spreadsheet, and whatever it would not keep as it
 * is (identifiers, phone numbers, more digits than it can hold, what looks like a formula) is text that it does not touch.
 */
import { SSF } from 'xlsx'
import { Refusal } from '../../errors.js'
import {
  NUMBER_FORMAT_LENGTH_MAX,
  WORKBOOK_CELL_LENGTH_MAX,
  WORKBOOK_COLUMNS_MAX,
  WORKBOOK_SHEET_BYTES_MAX,
  WORKBOOK_SHEET_ROWS_MAX,
} from '../../limits.js'
import { zoneOf } from '../../pipeline/zone.js'
import type { FieldKind } from '../../records/types.js'
import { type CellFault, CellWriter, copyText, STYLES } from './workbook-writer-cells.js'
import {
  appXml,
  contentTypesXml,
  coreXml,
  relationshipsXml,
  type SheetExtent,
  sheetEndXml,
  sheetStartXml,
  stylesXml,
  workbookRelationshipsXml,
  workbookXml,
} from './workbook-writer-parts.js'
import { ZipWriter } from './zip-writer.js'

export type { CellFault } from './workbook-writer-cells.js'

export interface SheetColumn {
  readonly header: string
  readonly kind: FieldKind
  /** Number format of Excel for its numbers, days or moments, e.g. `dd.mm.yyyy`; null for the usual one. Of no use to text. */
  readonly format: string | null
}

export interface WorkbookOptions {
  /** What the first sheet is called, e.g. `Contacts`; further ones have a number behind it. */
  readonly sheetName: string
  /** Name of the zone whose clocks the moments show, e.g. `Europe/Berlin`. */
  readonly timeZone: string
  /** The moment that the workbook names as its creation; nobody is named. */
  readonly createdAt: Date
  /** Told each time how many rows are written by then. */
  readonly onRows?: (rows: number) => void
  /**
   * Told of each value with more than WORKBOOK_CELL_LENGTH_MAX characters: its cell shows `#N/A`, and the workbook goes on. Without it
   * such a value ends the writing with a `Refusal` LIMIT_EXCEEDED that names row and column. Nothing is ever cut.
   */
  readonly onFault?: (fault: CellFault) => void
  readonly signal?: AbortSignal
  /** Rows of a sheet, the header among them; WORKBOOK_SHEET_ROWS_MAX unless given. For tests. */
  readonly sheetRows?: number
}

/** Blocks of XML that are packed at a time; smaller ones pack worse and larger ones take memory. Bytes. */
const BLOCK_BYTES = 256 * 1024
/** What the widths of columns are guessed from. Bytes of COPY, and rows. */
const HEAD_BYTES = 64 * 1024
const HEAD_ROWS = 200
const LINE_END = 10
const TAB = 9

/**
 * The bytes of a workbook with a row for each line of `rows`, which is PostgreSQL's COPY in text format, split anywhere. The
 * values of a row are those of `columns` in their order, in the text form of PostgreSQL: days `2024-02-29`, moments with an
 * offset, `t` and `f`, arrays `{a,b}` or lists of JSON; `\N` leaves the cell empty. The first row of each sheet is the header.
 *
 * Throws `Refusal` LIMIT_EXCEEDED for too many columns and, see `onFault`, for a value that is too long, INVALID_INPUT for a
 * number format or time zone that is none; an error for a row with more or fewer values and for a last line without its end, so that
 * what was cut off never becomes a workbook; the signal's reason; and what `rows` throws, which is closed in any case.
 */
export async function* writeWorkbook(
  columns: readonly SheetColumn[],
  rows: AsyncIterable<Uint8Array>,
  options: WorkbookOptions,
): AsyncGenerator<Buffer> {
  const { createdAt, signal, sheetRows = WORKBOOK_SHEET_ROWS_MAX } = options
  const zone = zoneOf(options.timeZone)
  if (zone === null) {
    throw new Refusal('INVALID_INPUT', `"${options.timeZone}" is no time zone. Expected a name such as Europe/Berlin.`)
  }
  if (columns.length === 0 || columns.length > WORKBOOK_COLUMNS_MAX) {
    const most = WORKBOOK_COLUMNS_MAX.toLocaleString('en-US')
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `A workbook has 1 to ${most} columns; the export has ${columns.length.toLocaleString('en-US')}. Choose CSV.`,
    )
  }
  for (const { header, format } of columns) {
    checkHeader(header)
    checkNumberFormat(header, format)
  }
  const formats = [...new Set(columns.flatMap(({ format }) => format ?? []))]
  const cellColumns = columns.map(({ header, kind, format }) => ({
    header,
    kind,
    style: format === null ? null : STYLES + formats.indexOf(format),
  }))

  const lines = new Lines(rows, signal)
  try {
    await lines.fill(HEAD_BYTES)
    const widths = widthsOf(columns, lines.head(HEAD_BYTES, HEAD_ROWS))
    const spare: Buffer[] = []
    const block = (atLeast: number): Buffer =>
      atLeast <= BLOCK_BYTES ? (spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)) : Buffer.allocUnsafeSlow(atLeast)
    const onPacked = (packed: Uint8Array): void => {
      if (packed.buffer.byteLength === BLOCK_BYTES) {
        spare.push(Buffer.from(packed.buffer))
      }
    }
    const cells = new CellWriter(cellColumns, zone, Buffer.alloc(0), options.onFault ?? refuseLong)
    const sheets: SheetExtent[] = []
    let written = 0

    async function* sheetBlocks(index: number): AsyncGenerator<Buffer> {
      const start = sheetStartXml(widths, index === 0)
      const headerBytes = columns.reduce((sum, { header }) => sum + Buffer.byteLength(header), 0)
      cells.take(block(start.length + cells.room(headerBytes)))
      cells.raw(start)
      cells.header()
      let number = 1
      let bytes = 0
      while (number < sheetRows && bytes < WORKBOOK_SHEET_BYTES_MAX) {
        if (!lines.next()) {
          options.onRows?.(written)
          signal?.throwIfAborted()
          if (!(await lines.more())) {
            break
          }
          continue
        }
        if (!cells.fits(lines.end - lines.start)) {
          const full = cells.take(block(cells.room(lines.end - lines.start)))
          bytes += full.length
          yield full
        }
        number += 1
        cells.row(lines.block, lines.start, lines.end, number)
        written += 1
      }
      sheets.push({ name: sheetNameOf(options.sheetName, index), rows: number, columns: columns.length })
      yield cells.take(Buffer.alloc(0))
      yield Buffer.from(sheetEndXml(number, columns.length))
    }

    const zip = new ZipWriter({ at: createdAt })
    yield Buffer.concat([
      zip.file('_rels/.rels', relationshipsXml),
      zip.file('docProps/core.xml', coreXml(createdAt)),
      zip.file('docProps/app.xml', appXml),
      zip.file('xl/styles.xml', stylesXml(formats)),
    ])
    do {
      const index = sheets.length
      yield* zip.stream(`xl/worksheets/sheet${index + 1}.xml`, sheetBlocks(index), { onPacked })
    } while (await lines.waiting())
    options.onRows?.(written)
    yield Buffer.concat([
      zip.file('xl/workbook.xml', workbookXml(sheets)),
      zip.file('xl/_rels/workbook.xml.rels', workbookRelationshipsXml(sheets.length)),
      zip.file('[Content_Types].xml', contentTypesXml(sheets.length)),
      zip.end(),
    ])
  } finally {
    await lines.close()
  }
}

/** The lines of a stream of bytes, one after the other and where they stand. */
class Lines {
  /** What the line stands in, until `more` is called. */
  block: Uint8Array = Buffer.alloc(0)
  /** Of the line that `next` found; `end` is its line end. */
  start = 0
  end = 0
  readonly #blocks: AsyncIterator<Uint8Array>
  readonly #signal: AbortSignal | undefined
  #position = 0
  /** What follows the block. */
  #pending: Uint8Array | null = null
  #isOver = false

  constructor(blocks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
    this.#blocks = blocks[Symbol.asyncIterator]()
    this.#signal = signal
  }

  /** False where the block holds no further whole line. */
  next(): boolean {
    const end = this.block.indexOf(LINE_END, this.#position)
    if (end < 0) {
      return false
    }
    this.start = this.#position
    this.end = end
    this.#position = end + 1
    return true
  }

  /** Gets what holds at least one line more; false at the end. Throws where there is half a line at the end. */
  async more(): Promise<boolean> {
    const parts = this.#position < this.block.length ? [this.block.subarray(this.#position)] : []
    for (;;) {
      const block = this.#pending ?? (await this.#get())
      this.#pending = null
      if (block === null) {
        if (parts.length > 0) {
          throw new Error('what the database gave ends within a row')
        }
        return false
      }
      const end = block.indexOf(LINE_END)
      if (end < 0) {
        parts.push(block)
      } else if (parts.length === 0) {
        this.#hold(block)
        return true
      } else {
        // Only the line that two blocks share is put together.
        this.#hold(Buffer.concat([...parts, block.subarray(0, end + 1)]))
        this.#pending = end + 1 < block.length ? block.subarray(end + 1) : null
        return true
      }
    }
  }

  /** Gets so many bytes, or all that there are. For the beginning. */
  async fill(bytes: number): Promise<void> {
    const parts: Uint8Array[] = []
    for (let got = 0; got < bytes; ) {
      const block = await this.#get()
      if (block === null) {
        break
      }
      parts.push(block)
      got += block.length
    }
    this.#hold(Buffer.concat(parts))
  }

  /** Whether there is a further line. */
  async waiting(): Promise<boolean> {
    return this.block.includes(LINE_END, this.#position) || (await this.more())
  }

  /** The first lines of the block, without moving on. */
  *head(bytes: number, lines: number): Generator<Uint8Array> {
    let start = 0
    for (let count = 0; count < lines; count += 1) {
      const end = this.block.indexOf(LINE_END, start)
      if (end < 0 || end >= bytes) {
        return
      }
      yield this.block.subarray(start, end)
      start = end + 1
    }
  }

  async close(): Promise<void> {
    if (!this.#isOver) {
      this.#isOver = true
      await this.#blocks.return?.()
    }
  }

  #hold(block: Uint8Array): void {
    this.block = block
    this.#position = 0
  }

  /** Null at the end. */
  async #get(): Promise<Uint8Array | null> {
    this.#signal?.throwIfAborted()
    const { done, value } = this.#isOver ? { done: true, value: null } : await this.#blocks.next()
    this.#isOver = done === true
    return done === true ? null : value
  }
}

/** Widths of columns, in characters: of the header with its filter button, and of most of the first values. */
function widthsOf(columns: readonly SheetColumn[], lines: Iterable<Uint8Array>): number[] {
  const widths = columns.map(({ header, kind }) => Math.max(header.length + 3, kindWidths[kind]))
  for (const line of lines) {
    let from = 0
    for (const [index, { kind }] of columns.entries()) {
      const tab = line.indexOf(TAB, from)
      const to = tab < 0 ? line.length : tab
      // Days and moments do not look as they stand here.
      if (kind !== 'DATE' && kind !== 'DATE_TIME' && kind !== 'BOOLEAN') {
        const [first = ''] = copyText(line, from, to).split('\n')
        widths[index] = Math.max(widths[index] ?? 0, first.length + 1)
      }
      from = to + 1
    }
  }
  return widths.map((width) => Math.min(width, WIDTH_MAX))
}

/** Wider columns would push the others out of sight. Characters. */
const WIDTH_MAX = 50

const kindWidths: Readonly<Record<FieldKind, number>> = {
  TEXT: 10,
  LONG_TEXT: 30,
  EMAIL: 24,
  PHONE: 16,
  URL: 24,
  INTEGER: 8,
  DECIMAL: 10,
  MONEY: 12,
  BOOLEAN: 8,
  DATE: 12,
  DATE_TIME: 20,
  ENUM: 10,
  MULTI_ENUM: 16,
  REFERENCE: 16,
}

/** As Excel takes it: no more than 31 characters, some not at all, and `History` is its own. */
export function sheetNameOf(name: string, index: number): string {
  const suffix = index === 0 ? '' : ` ${index + 1}`
  const allowed = name
    .replaceAll(/[[\]:*?/\\\p{C}\s]+/gu, ' ')
    .replaceAll(/^['\s]+|['\s]+$/g, '')
    .slice(0, 31 - suffix.length)
    .toWellFormed()
    .replaceAll(/['\s]+$/g, '')
  const own = allowed === '' ? 'Sheet' : allowed.toLowerCase() === 'history' ? `${allowed} 1` : allowed
  return `${own}${suffix}`
}

function checkHeader(header: string): void {
  if (header.length > WORKBOOK_CELL_LENGTH_MAX) {
    const shown = `${header.slice(0, 50)}…`
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `The name of the column "${shown}" is longer than a cell of a workbook can hold.`,
    )
  }
}

// The package types it as any.
const excel = SSF as { format(format: string, value: number): string }

/** Excel takes a workbook for damaged that has a format it cannot read. */
function checkNumberFormat(header: string, format: string | null): void {
  if (format === null) {
    return
  }
  if (format === '' || format.length > NUMBER_FORMAT_LENGTH_MAX || /\p{Cc}/u.test(format) || !isNumberFormat(format)) {
    throw new Refusal(
      'INVALID_INPUT',
      `The format of the column "${header}" is none that a workbook can have. Expected one such as 0.00 or dd.mm.yyyy.`,
    )
  }
}

function isNumberFormat(format: string): boolean {
  // The formatter takes the dot of `dd.mm.yyyy` for a fraction of a second.
  const dotless = format.replaceAll(/"[^"]*"|\\.|\[[^\]]*\]|\.(?!0)/g, (part) => (part === '.' ? '\\.' : part))
  try {
    excel.format(dotless, 45_000.5)
    excel.format(dotless, -1)
    return true
  } catch {
    return false
  }
}

function refuseLong({ row, header, length }: CellFault): never {
  const most = WORKBOOK_CELL_LENGTH_MAX.toLocaleString('en-US')
  throw new Refusal(
    'LIMIT_EXCEEDED',
    `Row ${row}, column "${header}": the value has ${length.toLocaleString('en-US')} characters, and a cell of a workbook holds ${most}. Choose CSV, NDJSON or JSON, or leave the column out.`,
  )
}
