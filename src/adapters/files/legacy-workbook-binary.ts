/** Excel's binary workbooks, XLS of all ages and XLSB, by way of SheetJS, which holds them in memory as a whole. */
import { CFB, read, set_cptable, type WorkBook, type WorkSheet } from 'xlsx'
import { Refusal } from '../../errors.js'
import { LEGACY_UNPACKED_BYTES_MAX, WORKBOOK_SHEETS_MAX } from '../../limits.js'
import type { Row } from '../source.js'
import type { ByteReader } from './bytes.js'
import type { Sheet } from './detection.js'
import { workbookStream } from './legacy-workbook-compound.js'
import { damaged, grouped, RowMaker } from './legacy-workbook-rows.js'
import type { Workbook } from './workbook.js'
import { type NumberFormat, numberFormats } from './xlsx/formats.js'
import { openZip } from './zip.js'

/** Cells in arrays (a cell in the last corner costs nothing), their number formats instead of texts, and nothing else. */
const OPTIONS = {
  dense: true,
  cellText: false,
  cellNF: true,
  cellFormula: false,
  cellHTML: false,
  cellDates: false,
} as const

/** A record that SheetJS does not know is no reason to refuse a workbook; everything else that it stumbles over is. */
const UNKNOWN_PART = /^Unexpected record|^unrecogni[sz]ed|^bad formula stack/i

const ERRORS: ReadonlyMap<unknown, string> = new Map([
  [0x00, '#NULL!'],
  [0x07, '#DIV/0!'],
  [0x0f, '#VALUE!'],
  [0x17, '#REF!'],
  [0x1d, '#NAME?'],
  [0x24, '#NUM!'],
  [0x2a, '#N/A'],
  [0x2b, '#GETTING_DATA'],
])

/** What is used of SheetJS's cells; the package types values and formats more loosely. */
interface BinaryCell {
  readonly t: string
  readonly v?: unknown
  readonly z?: unknown
}

/** First bytes of a compound file, in hex. */
const COMPOUND = 'd0cf11e0a1b11ae1'

let hasCodePages = false

/** Reads an XLS workbook. Refuses FILE_UNREADABLE where it is broken, FILE_ENCRYPTED where it needs a password. */
export async function openXls(bytes: Buffer): Promise<Workbook> {
  if (!hasCodePages) {
    // Old workbooks are written in the code page of their time; the tables take a megabyte and are read only here.
    set_cptable(await import('xlsx/dist/cpexcel.full.mjs'))
    hasCodePages = true
  }
  const stream = bytes.toString('hex', 0, 8) === COMPOUND ? workbookStream(bytes) : bytes
  // SheetJS takes what begins otherwise for a text, or for any of thirty other formats.
  if (stream[0] !== 0x09 || (stream[1] ?? 0xff) > 0x08) {
    throw damaged('it does not begin as a workbook does')
  }
  const book = parsed(wholeRecords(stream))
  return new BinaryWorkbook(book, (index) => book.Sheets[book.SheetNames[index] ?? ''])
}

/** Reads an XLSB workbook, the sheets one at a time. Refuses as `openXls`, and as `openZip` what is wrong with the archive. */
export async function openXlsb(bytes: ByteReader): Promise<Workbook> {
  const plain = await repacked(bytes)
  return new BinaryWorkbook(parsed(plain, []), (index) => {
    const book = parsed(plain, index)
    return book.Sheets[book.SheetNames[index] ?? '']
  })
}

/** Records with a text, and how long each is at least. */
const TEXT_RECORDS: ReadonlyMap<number, number> = new Map([
  [0x0004, 8],
  [0x0007, 1],
  [0x001e, 1],
  [0x0085, 7],
  [0x00d6, 8],
  [0x00fc, 8],
  [0x0204, 8],
  [0x0207, 2],
  [0x041e, 3],
])

/** Records that tell of sheets, formats and values; SheetJS is shown no others. */
// biome-ignore format: one line for each kind of record
const USED_RECORDS: ReadonlySet<number> = new Set([
  0x0009, 0x0209, 0x0409, 0x0809, 0x000a, 0x0000, 0x0200, 0x0022, 0x002f, 0x0042, 0x0085, 0x003c,
  0x001e, 0x041e, 0x0043, 0x0243, 0x0443, 0x00e0, 0x00fc,
  0x0002, 0x0003, 0x0203, 0x027e, 0x00bd, 0x0005, 0x0205, 0x0006, 0x0206, 0x0406, 0x0007, 0x0207,
  0x00fd, 0x00d6, 0x0004, 0x0204,
])

/** A record that SheetJS passes over. */
const UNUSED = 0x001d

/** The record that ends a sheet, or all of them. */
const END = 0x000a

/**
 * The records of a workbook up to the last whole one. SheetJS reads a text that stands behind the end of its record for as long
 * as there is memory, does so with all other numbers, and takes a sheet that breaks off for a whole one.
 */
function wholeRecords(stream: Buffer): Buffer {
  const records = Buffer.from(stream)
  let at = 0
  let last = 0
  while (at + 4 <= stream.length) {
    const type = stream.readUInt16LE(at)
    const length = stream.readUInt16LE(at + 2)
    if ((type === 0 && last === END) || at + 4 + length > stream.length) {
      break
    }
    if (length < (TEXT_RECORDS.get(type) ?? 0)) {
      throw damaged('a text in it breaks off')
    }
    if (!USED_RECORDS.has(type)) {
      records.writeUInt16LE(UNUSED, at)
    }
    last = type
    at += 4 + length
  }
  if (last !== END) {
    throw damaged('it breaks off before its end')
  }
  return records.subarray(0, at)
}

class BinaryWorkbook implements Workbook {
  readonly sheets: readonly Sheet[]
  readonly #load: (index: number) => WorkSheet | undefined
  readonly #format: (cell: BinaryCell) => NumberFormat
  #loaded: { readonly index: number; readonly sheet: WorkSheet } | null = null

  constructor(book: WorkBook, load: (index: number) => WorkSheet | undefined) {
    const names = book.SheetNames
    if (names.length > WORKBOOK_SHEETS_MAX) {
      const most = WORKBOOK_SHEETS_MAX.toLocaleString('en-US')
      throw new Refusal('LIMIT_EXCEEDED', `The workbook has more than ${most} sheets, the most that is read.`)
    }
    const listed = book.Workbook?.Sheets ?? []
    this.#load = load
    this.sheets = names.flatMap((name, index) => {
      const sheet = book.Sheets[name]
      const said = listed.find((each) => each.name === name) ?? listed[index]
      const estimatedRowCount = sheet?.['!data']?.filter(isUsed).length ?? null
      const type: unknown = sheet?.['!type']
      // Sheets of charts, dialogs and old macros hold no table.
      return type === undefined || type === 'sheet'
        ? [{ name, index, hidden: (said?.Hidden ?? 0) !== 0, estimatedRowCount }]
        : []
    })
    const codes: (string | number)[] = []
    const indexes = new Map<unknown, number>()
    const compiled = numberFormats(codes, book.Workbook?.WBProps?.date1904 === true, 'exact')
    this.#format = ({ z }) => {
      let index = indexes.get(z)
      if (index === undefined) {
        index = codes.push(typeof z === 'string' || typeof z === 'number' ? z : 0) - 1
        indexes.set(z, index)
      }
      return compiled(index)
    }
  }

  async *rows(index: number, signal: AbortSignal): AsyncGenerator<readonly Row[]> {
    for (const group of grouped(this.#rows(this.#sheet(index)))) {
      signal.throwIfAborted()
      yield await Promise.resolve(group)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#loaded = null
    return Promise.resolve()
  }

  #sheet(index: number): WorkSheet {
    if (this.#loaded?.index !== index) {
      this.#loaded = null
      if (this.sheets.every((each) => each.index !== index)) {
        throw new Refusal('INVALID_INPUT', `The workbook has no sheet ${index + 1}.`)
      }
      const sheet = this.#load(index)
      // SheetJS lists sheets that it could not read, and says nothing.
      if (sheet?.['!data'] === undefined) {
        throw damaged(`its sheet ${index + 1} cannot be read`)
      }
      this.#loaded = { index, sheet }
    }
    return this.#loaded.sheet
  }

  *#rows(sheet: WorkSheet): Generator<Row> {
    const maker = new RowMaker()
    // Arrays with holes: only what is there is gone through, whatever the sheet says of its extent.
    for (const [rowKey, cells] of presentOf(sheet['!data'] ?? [])) {
      for (const [column, cell] of presentOf(cells as BinaryCell[])) {
        maker.place(column, this.#text(cell))
      }
      const row = maker.take(rowKey + 1)
      if (row !== null) {
        yield row
      }
    }
  }

  #text(cell: BinaryCell): string {
    const { t, v } = cell
    if (v === undefined || v === null || t === 'z') {
      return ''
    }
    switch (typeof v) {
      case 'number':
        return t === 'e' ? (ERRORS.get(v) ?? '#UNKNOWN!') : this.#format(cell)(String(v))
      case 'boolean':
        return v ? 'TRUE' : 'FALSE'
      case 'string':
        return v.toWellFormed()
      default:
        throw damaged('a cell in it holds no value')
    }
  }
}

function isUsed(row: readonly unknown[] | undefined): boolean {
  return row !== undefined && row.length > 0
}

/** The elements of an array with their places, in order, in a time that depends on how many there are. */
function* presentOf<T>(values: readonly T[]): Generator<[number, T]> {
  for (const key of Object.keys(values)) {
    const index = Number(key)
    const value = values[index]
    if (value != null) {
      yield [index, value]
    }
  }
}

/**
 * Node 24.21 writes behind the end of its memory when an odd number of bytes that begins at an odd address is decoded as
 * UTF-16, and dies. SheetJS asks for that in damaged workbooks; while it works, which nothing interrupts, the odd byte is left out.
 */
function withEvenText<T>(work: () => T): T {
  const { prototype } = Buffer
  const { toString } = prototype
  prototype.toString = function even(this: Buffer, encoding?: BufferEncoding, start = 0, end = this.length): string {
    const length = Math.max(0, Math.min(end, this.length) - start)
    return toString.call(this, encoding, start, encoding === 'utf16le' ? start + length - (length % 2) : end)
  }
  try {
    return work()
  } finally {
    prototype.toString = toString
  }
}

function parsed(bytes: Buffer, sheets?: number | number[]): WorkBook {
  const options = { ...OPTIONS, ...(sheets === undefined ? {} : { sheets: sheets as number }) }
  try {
    try {
      return withEvenText(() => read(bytes, { ...options, type: 'buffer', WTF: true }))
    } catch (error) {
      if (error instanceof Error && UNKNOWN_PART.test(error.message)) {
        return withEvenText(() => read(bytes, { ...options, type: 'buffer' }))
      }
      throw error
    }
  } catch (error) {
    throw asRefusal(error)
  }
}

function asRefusal(error: unknown): unknown {
  if (error instanceof Refusal) {
    return error
  }
  const message = error instanceof Error ? error.message : String(error)
  if (/password|encrypt/i.test(message)) {
    return new Refusal(
      'FILE_ENCRYPTED',
      'The file is protected by a password. Open it in Excel, remove the password, save it and upload it again.',
    )
  }
  if (error instanceof RangeError && /string longer|array buffer|array length/i.test(message)) {
    return new Refusal('LIMIT_EXCEEDED', 'The workbook is too large to be read in this format. Save it as XLSX.')
  }
  return /cannot find workbook|could not find workbook/i.test(message)
    ? new Refusal(
        'FILE_UNREADABLE',
        'The file is an old Office document without a table. Save its table as XLSX or CSV.',
      )
    : damaged('it breaks off, or its parts contradict each other')
}

/** Parts of an XLSB workbook that tell nothing of its values. */
const IGNORED =
  /(?:^|\/)(?:media|drawings|charts|printerSettings|embeddings|customXml|externalLinks|ctrlProps|activeX|pivotCache|pivotTables|comments|threadedComments|persons|theme|docProps)\b|vbaProject|calcChain|comments\d*\.bin$/i

/**
 * The parts that hold values, in an archive of their own and not packed. Each has gone through the reader that counts what
 * comes out, and SheetJS sees no other bytes.
 */
async function repacked(bytes: ByteReader): Promise<Buffer> {
  const zip = await openZip(bytes)
  const container = CFB.utils.cfb_new({ CLSID: '' })
  let left = LEGACY_UNPACKED_BYTES_MAX
  for (const entry of zip.entries) {
    if (IGNORED.test(entry.name)) {
      continue
    }
    const parts: Uint8Array[] = []
    for await (const block of zip.read(entry, undefined, left)) {
      parts.push(block)
      left -= block.length
    }
    CFB.utils.cfb_add(container, `/${entry.name}`, Buffer.concat(parts))
  }
  return Buffer.from(CFB.write(container, { fileType: 'zip', type: 'buffer' }) as Uint8Array)
}
