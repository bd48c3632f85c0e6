/**
 * Finds out from the beginning of a file what it is and how to read it. Every answer carries how sure it is, and what a
 * person says wins.
 */
import { Refusal } from '../../errors.js'
import {
  CELL_BYTES_MAX,
  CELLS_PER_ROW_MAX,
  COLUMNS_MAX,
  DETECTED_SAMPLES_MAX,
  DETECTED_TOP_VALUES_MAX,
  FILE_HEAD_BYTES_MAX,
  ROW_BYTES_MAX,
  SAMPLE_LENGTH_MAX,
} from '../../limits.js'
import type { SourceOptions } from '../../pipeline/types.js'
import type { Row } from '../source.js'
import type { Dialect, Encoding } from './csv.js'
import { CsvScanner } from './csv-scanner.js'
import type { DetectedColumn, Detection } from './detection.js'
import { findDialect, usualCount } from './dialect.js'
import { findEncoding } from './encoding.js'
import { refuseKnownBinary, refuseNoText, refuseOtherText } from './file-type.js'
import {
  BELOW_TABLE,
  columnNames,
  type FoundHeader,
  findEnd,
  findHeader,
  HEADER_AGAIN,
  headerRepeats,
} from './header.js'
import { classify } from './kinds.js'
import { Utf16Transcoder } from './utf16.js'

export type { Dialect, Encoding } from './csv.js'
export type { DetectedColumn, Detection } from './detection.js'

export interface SniffOptions {
  /** Of the whole file. */
  readonly byteSize: number
  /** As the file was called where it came from. */
  readonly name: string
  readonly overrides: SourceOptions
}

/** Nothing was said about the file. */
export const noSourceOptions: SourceOptions = {
  format: null,
  encoding: null,
  delimiter: null,
  quote: null,
  headerRow: null,
  decimalSeparator: null,
  dateFormat: null,
  timeZone: null,
  defaultCountry: null,
}

/**
 * Looks at the first bytes of a file (FILE_HEAD_BYTES_MAX of them are enough). Throws `Refusal`: FILE_EMPTY,
 * FILE_TYPE_UNSUPPORTED (by the content), FILE_UNREADABLE (no row ends within the head), LIMIT_EXCEEDED (columns), and
 * INVALID_INPUT with its field for an override that means nothing here.
 */
export function sniff(head: Uint8Array, options: SniffOptions): Detection {
  const said = readOverrides(options.overrides)
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, FILE_HEAD_BYTES_MAX))
  if (bytes.length === 0) {
    refuseEmpty()
  }
  refuseKnownBinary(bytes)
  const whole = options.byteSize <= bytes.length
  const { encoding, confidence: encodingConfidence } = nativeEncoding(bytes, whole, said.encoding)
  const content = new Content(bytes, encoding, whole)
  if (said.format === null) {
    refuseOtherText(content.data)
  }
  refuseNoText(content.data)
  if (whole && content.text.trim() === '') {
    refuseEmpty()
  }
  const separator = content.separator()
  const known = { delimiter: said.delimiter ?? separator, quote: said.quote }
  const dialect = findDialect(content.text, known, whole, (delimiter, quote, escape, maxRows) =>
    content.rows({ delimiter, quote, escape, maxRows }),
  )
  const first = content.rows({ ...dialect, maxRows: content.data.length })
  // Broken rows are cut as wide as the others are.
  const top = first.some((row) => row.fault !== null)
    ? content.rows({
        ...dialect,
        maxRows: content.data.length,
        usualCells: usualCount(first.map((row) => row.cells.length)),
      })
    : first
  if (top.length === 0) {
    throw new Refusal(
      'FILE_UNREADABLE',
      `The first row does not end within the first ${FILE_HEAD_BYTES_MAX / 1024} KiB. Is this a CSV file?`,
    )
  }
  const header = headerOf(top, separator === undefined ? 1 : 2, said.headerRow)
  const names = namesOf(top, header, dialect.delimiter)
  const above = top.filter((row) => row.number < header.firstDataRow).length
  const all = content.dataRows({ ...dialect, columns: names, above })
  const end = whole ? findEnd(names.length, all) : null
  const rows = end === null ? all : all.slice(0, end.index)
  const lineEnds = content.lineEnds(top)
  const good = rows.filter((row) => row.fault === null)
  const wrong = rows.filter((row) => row.fault?.code === 'BAD_ENCODING').length
  return {
    format: 'CSV',
    compression: 'NONE',
    encoding,
    encodingConfidence:
      wrong > 0 ? Math.min(encodingConfidence, rounded(0.5 - wrong / rows.length / 2)) : encodingConfidence,
    delimiter: dialect.delimiter,
    quote: dialect.quote,
    escape: dialect.quote === null ? null : dialect.escape,
    dialectConfidence: separator !== undefined ? 1 : dialect.confidence,
    lineTerminator: lineEnds[0]?.[0] ?? null,
    headerRow: header.header?.number ?? null,
    firstDataRow: header.firstDataRow,
    lastDataRow: end?.lastDataRow ?? null,
    sheets: [],
    sheet: null,
    jsonPath: null,
    columns: names.map((name, index) => describe(name, index, good, whole, said.decimalSeparator)),
    estimatedRowCount: estimate(rows, whole, options.byteSize),
    warnings: warningsOf({
      options,
      header,
      names,
      rows,
      lineEnds,
      confidence: dialect.confidence,
      top,
      end: end?.what ?? null,
    }),
  }
}

/** What the first rows of any table tell: a sheet of a workbook as well as a file. */
export interface TableDescription {
  /** Row number of the header; null where the table has none. */
  readonly headerRow: number | null
  /** Rows with a lower number are no data. */
  readonly firstDataRow: number
  /** Rows with a higher number stand below the table; null where none were found, or `rows` are no sheet. */
  readonly lastDataRow: number | null
  readonly columns: readonly DetectedColumn[]
  /** Data rows; exact where `whole`. Null where it cannot be told. */
  readonly estimatedRowCount: number | null
  readonly warnings: readonly string[]
}

export interface DescribeOptions {
  /** Whether `rows` are all of the table. */
  readonly whole: boolean
  /** Rows of the table in all, header included, where that is known; else null. */
  readonly rowCount: number | null
  /** As a person said it: 0 for none; null to find it. */
  readonly headerRow: number | null
  readonly decimalSeparator: string | null
  /** The table is a sheet, where totals may stand below it and remarks beside it. Absent: each row is a record. */
  readonly isSheet?: boolean
}

/**
 * Finds the header of a table below what stands above it, names its columns and tells what they hold. `rows` are the
 * first of the table with the cells they have. Throws `Refusal` LIMIT_EXCEEDED (columns), INVALID_INPUT (header row),
 * FILE_EMPTY (no rows).
 */
export function describeTable(rows: readonly Row[], options: DescribeOptions): TableDescription {
  const first = rows[0]
  if (first === undefined) {
    throw new Refusal('FILE_EMPTY', 'The table is empty.')
  }
  const header = headerOf(rows, 1, options.headerRow)
  const names = namesOf(rows, header, null)
  const fit = options.isSheet === true ? rowFitter(names, null) : (row: Row): Row => row
  const all = rows.filter((row) => row.number >= header.firstDataRow).map(fit)
  const end = options.isSheet === true && options.whole ? findEnd(names.length, all) : null
  const data = end === null ? all : all.slice(0, end.index)
  const good = data.filter((row) => row.fault === null)
  const above = rows.length - all.length
  const rest = options.rowCount === null ? null : Math.max(data.length, options.rowCount - above)
  return {
    headerRow: header.header?.number ?? null,
    firstDataRow: header.firstDataRow,
    lastDataRow: end?.lastDataRow ?? null,
    columns: names.map((name, index) => describe(name, index, good, options.whole, options.decimalSeparator)),
    estimatedRowCount: options.whole ? data.length : rest,
    warnings: [...tableWarnings(header, names, data.length, rows.length, end?.what ?? null), ...faultWarnings(data)],
  }
}

/**
 * Makes of each row of a sheet one with a cell for each column, or with a fault: WRONG_COLUMN_COUNT where a value stands
 * beside the table, UNPARSABLE_ROW where it repeats the header or stands below the table.
 */
export function rowFitter(names: readonly string[], lastDataRow: number | null): (row: Row) => Row {
  const columns = names.length
  const repeats = headerRepeats(names)
  return (row) => {
    if (row.fault !== null) {
      return row
    }
    if (lastDataRow !== null && row.number > lastDataRow) {
      return { ...row, fault: BELOW_TABLE }
    }
    if (repeats?.(row.cells) === true) {
      return { ...row, fault: HEADER_AGAIN }
    }
    if (row.cells.length === columns) {
      return row
    }
    if (row.cells.length < columns) {
      return { ...row, cells: [...row.cells, ...Array<string>(columns - row.cells.length).fill('')] }
    }
    if (row.cells.slice(columns).every((cell) => cell === '')) {
      return { ...row, cells: row.cells.slice(0, columns) }
    }
    const message = `The row has ${row.cells.length} cells; the table has ${columns} columns.`
    return { ...row, fault: { code: 'WRONG_COLUMN_COUNT', message } }
  }
}

/** What `openCsv` and `csvRows` need of a detection. In other encodings than UTF-16 the text is read as UTF-8. */
export function dialectOf(detection: Detection): Dialect {
  const { encoding } = detection
  return {
    encoding: encoding === 'utf-16le' || encoding === 'utf-16be' ? encoding : 'utf-8',
    delimiter: detection.delimiter,
    quote: detection.quote,
    escape: detection.escape ?? null,
    lastDataRow: detection.lastDataRow ?? null,
    firstDataRow: detection.firstDataRow,
    columns: detection.columns.map((column) => column.name),
  }
}

// ------------------------------------------------------------------------------------------- what a person said

interface Overrides {
  readonly format: string | null
  readonly encoding: Encoding | 'utf-16' | null
  readonly delimiter: string | undefined
  /** Null: no quote. */
  readonly quote: string | null | undefined
  /** 0: no header. */
  readonly headerRow: number | null
  readonly decimalSeparator: string | null
}

const ENCODINGS: ReadonlyMap<string, Encoding | 'utf-16'> = new Map([
  ['utf8', 'utf-8'],
  ['utf16', 'utf-16'],
  ['utf16le', 'utf-16le'],
  ['utf16be', 'utf-16be'],
])

function readOverrides(options: SourceOptions): Overrides {
  const { format, delimiter, quote, headerRow, decimalSeparator } = options
  if (format !== null && format !== 'CSV') {
    refuseInput('format', `Files are read as CSV; "${shown(format)}" is not read.`)
  }
  const encoding =
    options.encoding === null ? null : ENCODINGS.get(options.encoding.toLowerCase().replaceAll(/[-_ ]/g, ''))
  if (encoding === undefined) {
    refuseInput('encoding', `"${shown(options.encoding ?? '')}" is none of the encodings UTF-8, UTF-16LE and UTF-16BE.`)
  }
  if (delimiter !== null && !isDelimiter(delimiter)) {
    refuseInput(
      'delimiter',
      `A delimiter is a character such as , ; | or a tab, or a few of them, not "${shown(delimiter)}".`,
    )
  }
  if (quote !== null && quote !== '' && quote !== '"' && quote !== "'") {
    refuseInput('quote', `A quote is " or ' or, for none, an empty text, not "${shown(quote)}".`)
  }
  if (headerRow !== null && !(Number.isSafeInteger(headerRow) && headerRow >= 0)) {
    refuseInput('headerRow', 'The header row is a row number as shown in the file, or 0 for a file without a header.')
  }
  if (decimalSeparator !== null && decimalSeparator !== '.' && decimalSeparator !== ',') {
    refuseInput('decimalSeparator', `A decimal separator is . or , and not "${shown(decimalSeparator)}".`)
  }
  return {
    format,
    encoding,
    delimiter: delimiter ?? undefined,
    quote: quote === null ? undefined : quote === '' ? null : quote,
    headerRow,
    decimalSeparator,
  }
}

/** Longer delimiters are a mistake. Characters. */
const DELIMITER_LENGTH_MAX = 8

function isDelimiter(text: string): boolean {
  return text.length >= 1 && text.length <= DELIMITER_LENGTH_MAX && !/[\p{L}\p{N}"'\r\n\0\ufffd\ufeff]/u.test(text)
}

function refuseInput(field: string, message: string): never {
  throw new Refusal('INVALID_INPUT', message, ['source', field])
}

function refuseEmpty(): never {
  throw new Refusal('FILE_EMPTY', 'The file is empty.')
}

function shown(text: string): string {
  return text.length > 20 ? `${text.slice(0, 20).toWellFormed()}…` : text
}

// ------------------------------------------------------------------------------------------- bytes

/** An encoding that is read here. Texts in others are decoded before they come here; one that was not is damaged UTF-8. */
function nativeEncoding(
  bytes: Buffer,
  whole: boolean,
  said: Encoding | 'utf-16' | null,
): { readonly encoding: Encoding; readonly confidence: number } {
  const { encoding, confidence } = findEncoding(bytes, whole, said)
  return encoding === 'utf-8' || encoding === 'utf-16le' || encoding === 'utf-16be'
    ? { encoding, confidence }
    : { encoding: 'utf-8', confidence: 0.5 }
}

/** Line ends with how often each was seen, most frequent first. */
type LineEnds = readonly (readonly ['\n' | '\r\n' | '\r', number])[]

interface Wanted {
  readonly delimiter: string | null
  readonly quote: string | null
  readonly escape: 'DOUBLED' | 'BACKSLASH' | null
  readonly usualCells?: number
}

/** The head as UTF-8 without its byte order mark. */
class Content {
  readonly data: Buffer
  readonly text: string
  readonly #bytes: Buffer
  readonly #whole: boolean
  readonly #unitBytes: 1 | 2
  /** Where `data` starts in the file. */
  readonly #start: number

  constructor(bytes: Buffer, encoding: Encoding, whole: boolean) {
    this.#bytes = bytes
    this.#unitBytes = encoding === 'utf-8' ? 1 : 2
    const all = encoding === 'utf-8' ? bytes : new Utf16Transcoder(encoding === 'utf-16be').push(bytes, whole)
    const marked = all[0] === 0xef && all[1] === 0xbb && all[2] === 0xbf
    this.data = marked ? all.subarray(3) : all
    this.#start = marked ? (encoding === 'utf-8' ? 3 : 2) : 0
    this.text = this.data.toString('utf8')
    this.#whole = whole
  }

  /** The delimiter that a first line such as `sep=;` declares, as Excel writes and reads it. */
  separator(): string | undefined {
    return /^"?sep=([^\r\n"'A-Za-z0-9])"?(?:\r|\n)/i.exec(this.text)?.[1]
  }

  /** The first rows of the file with as many cells as they have. */
  rows(wanted: Wanted & { readonly maxRows: number }): readonly Row[] {
    return this.#scan(this.#scanner(wanted, null), 0, wanted.maxRows)
  }

  /** Rows below the first `above` ones, as the reader will see them. */
  dataRows(wanted: Wanted & { readonly columns: readonly string[]; readonly above: number }): readonly Row[] {
    // What stands above the data is read without columns, as the reader does.
    const top = this.#scanner(wanted, null)
    this.#scan(top, 0, wanted.above)
    const scanner = this.#scanner(wanted, wanted.columns)
    scanner.number = top.number
    scanner.byte = top.byte
    return this.#scan(scanner, top.position, this.data.length)
  }

  lineEnds(rows: readonly Row[]): LineEnds {
    const times = new Map<'\n' | '\r\n' | '\r', number>()
    for (const row of rows) {
      const last = this.#unitBefore(row.end)
      const lineEnd =
        last === 13 ? '\r' : last !== 10 ? null : this.#unitBefore(row.end - this.#unitBytes) === 13 ? '\r\n' : '\n'
      if (lineEnd !== null) {
        times.set(lineEnd, (times.get(lineEnd) ?? 0) + 1)
      }
    }
    return [...times].sort((a, b) => b[1] - a[1])
  }

  #unitBefore(offset: number): number {
    const at = offset - this.#unitBytes
    if (at < 0 || offset > this.#bytes.length) {
      return -1
    }
    return this.#unitBytes === 1 ? this.#bytes[at]! : this.#bytes[at]! | this.#bytes[at + 1]!
  }

  #scan(scanner: CsvScanner, from: number, maxRows: number): readonly Row[] {
    return scanner.scan(this.data, from, this.data.length, this.#whole, maxRows)
  }

  #scanner({ delimiter, quote, escape, usualCells }: Wanted, columns: readonly string[] | null): CsvScanner {
    const scanner = new CsvScanner({
      delimiter,
      quote,
      escape,
      usualCells,
      columns,
      unitBytes: this.#unitBytes,
      cellBytesMax: CELL_BYTES_MAX,
      // A header with too many columns is refused with their number.
      cellsPerRowMax: columns === null ? this.data.length : CELLS_PER_ROW_MAX,
      rowBytesMax: ROW_BYTES_MAX,
    })
    scanner.byte = this.#start
    return scanner
  }
}

// ------------------------------------------------------------------------------------------- rows and columns

function headerOf(rows: readonly Row[], from: number, said: number | null): FoundHeader {
  if (said === null) {
    return findHeader(rows, from)
  }
  if (said === 0) {
    return { header: null, firstDataRow: from, skipped: 0, proven: true, rows: 0 }
  }
  const header = rows.find((row) => row.number === said)
  if (header === undefined) {
    const last = rows.at(-1)?.number ?? 0
    refuseInput('headerRow', `Row ${said} is empty or not among the first ${last} rows, where a header is looked for.`)
  }
  return {
    header,
    firstDataRow: said + 1,
    skipped: rows.filter((row) => row.number < said).length,
    proven: true,
    rows: 1,
  }
}

function namesOf(rows: readonly Row[], { header, firstDataRow }: FoundHeader, delimiter: string | null): string[] {
  const data = rows.filter((row) => row.number >= firstDataRow)
  const widths = data.map((row) => filledWidth(row.cells)).sort((a, b) => b - a)
  if (header === null) {
    // A column is one that not only a stray row or two reach.
    return namesWithin(Array.from({ length: Math.max(1, widths[Math.floor(widths.length / 10)] ?? 0) }, () => ''))
  }
  const named = filledWidth(header.cells)
  // What the header has room for is a column if it has a name or any value, what stands beside it if most rows have it.
  const usual = data.length < 2 ? 0 : (widths[Math.floor(widths.length / 2)] ?? 0)
  const most = usual > COLUMNS_MAX ? 0 : usual
  const width = Math.max(1, named, Math.min(header.cells.length, widths[0] ?? 0), most)
  const cells = [...header.cells.slice(0, width), ...Array<string>(Math.max(0, width - header.cells.length)).fill('')]
  if (width === header.cells.length + 1 && named === header.cells.length && namesRows(header, data, delimiter)) {
    return namesWithin(['', ...cells.slice(0, -1)])
  }
  return namesWithin(cells)
}

function namesWithin(cells: readonly string[]): string[] {
  if (cells.length > COLUMNS_MAX) {
    throw new Refusal('LIMIT_EXCEEDED', `The file has ${cells.length} columns; at most ${COLUMNS_MAX} are read.`)
  }
  return columnNames(cells)
}

/** Rows that a numbering is seen in. */
const NUMBERED_ROWS_MIN = 3

/**
 * Whether the first cell of each row is its own name or number, which the header has no cell for: R writes tables so, with
 * blanks between the columns unless it is told otherwise.
 */
function namesRows(header: Row, data: readonly Row[], delimiter: string | null): boolean {
  const first = data.map((row) => row.cells[0]?.trim() ?? '')
  if (first.length < NUMBERED_ROWS_MIN) {
    return false
  }
  const numbered = first.every((cell, index) => /^\d+$/.test(cell) && Number(cell) === Number(first[0]) + index)
  if (numbered) {
    return !/^(?:id|#|key|index|row|(?:no|nr|num|number|nummer)\.?)$|(?:[ _-]|[a-z](?=I))id$/i.test(
      header.cells[0]!.trim(),
    )
  }
  return delimiter === ' ' && new Set(first).size === first.length
}

/** Number of cells up to the last one with a value. */
function filledWidth(cells: readonly string[]): number {
  return cells.findLastIndex((cell) => cell.trim() !== '') + 1
}

function describe(
  name: string,
  index: number,
  rows: readonly Row[],
  whole: boolean,
  decimalSeparator: string | null,
): DetectedColumn {
  const values: string[] = []
  const times = new Map<string, number>()
  for (const row of rows) {
    const value = row.cells[index] ?? ''
    if (value.trim() !== '') {
      values.push(value)
      times.set(value, (times.get(value) ?? 0) + 1)
    }
  }
  const { kind, confidence } = classify(values, { decimalSeparator })
  const top = [...times].sort((a, b) => b[1] - a[1]).slice(0, DETECTED_TOP_VALUES_MAX)
  return {
    index,
    name,
    kind,
    kindConfidence: confidence,
    fillRate: rows.length === 0 ? 0 : rounded(values.length / rows.length),
    samples: [...times.keys()].slice(0, DETECTED_SAMPLES_MAX).map(cut),
    distinctCount: whole ? times.size : null,
    topValues: top.map(([value, count]) => ({ value: cut(value), count })),
  }
}

function estimate(rows: readonly Row[], whole: boolean, byteSize: number): number | null {
  const first = rows[0]
  const last = rows.at(-1)
  if (whole) {
    return rows.length
  }
  if (first === undefined || last === undefined) {
    return null
  }
  return Math.max(rows.length, Math.round((rows.length * (byteSize - first.byte)) / (last.end - first.byte)))
}

function warningsOf(found: {
  readonly options: SniffOptions
  readonly header: FoundHeader
  readonly names: readonly string[]
  readonly rows: readonly Row[]
  readonly top: readonly Row[]
  readonly lineEnds: LineEnds
  readonly confidence: number
  readonly end: string | null
}): string[] {
  const { options, header, names, rows, top } = found
  const warnings: string[] = []
  const extension = /\.(xlsx?|xlsb|xlsm|ods|numbers|json|ndjson|jsonl|xml|pdf|zip|gz)$/i.exec(options.name)?.[1]
  if (extension !== undefined) {
    warnings.push(`The name ends in .${extension.toLowerCase()}, but the file holds CSV text and is read as such.`)
  }
  if (found.confidence < 0.6) {
    warnings.push('It is not certain which character separates the columns. Check the columns, or set the delimiter.')
  }
  warnings.push(...tableWarnings(header, names, rows.length, top.length, found.end))
  warnings.push(...faultWarnings(rows))
  const lastRow = rows.at(-1)?.number ?? 0
  warnings.push(
    ...shortRows(
      top.filter(({ number }) => number >= header.firstDataRow && number <= lastRow),
      names.length,
    ),
  )
  if (found.lineEnds.length > 1) {
    warnings.push('Lines end in different ways; each of them is taken for a line end.')
  }
  return warnings
}

/** What is worth a look in any table. */
function tableWarnings(
  header: FoundHeader,
  names: readonly string[],
  rows: number,
  top: number,
  end: string | null,
): string[] {
  const warnings: string[] = []
  if (header.header === null) {
    warnings.push('The file seems to have no header: its columns are numbered. Set the header row if it has one.')
  } else if (!header.proven) {
    warnings.push(`Nothing tells row ${header.header.number} from the rows below it, but it is taken for the header.`)
  }
  if (header.skipped > 0) {
    warnings.push(
      `${plural(header.skipped, 'row')} above the ${header.header === null ? 'data' : 'header'} will not be read.`,
    )
  }
  if (header.rows > 1 && header.header !== null) {
    const last = header.header.number
    warnings.push(`The header has ${header.rows} rows up to row ${last}; the names in them were joined.`)
  }
  if (header.header !== null && header.header.fault !== null) {
    warnings.push(`The header itself is broken. ${header.header.fault.message}`)
  }
  if (header.header !== null && names.length > header.header.cells.length) {
    warnings.push(
      `The header has ${plural(header.header.cells.length, 'cell')}, but most rows have ${names.length}. Check that each name stands above its values.`,
    )
  }
  const repeated = repeatedNames(header.header, names)
  if (repeated.length > 0) {
    warnings.push(`Columns have the same name and were numbered: ${repeated.slice(0, 5).join(', ')}.`)
  }
  if (rows === 0) {
    warnings.push(`There ${top === 1 ? 'is a header' : 'are rows'} but no data below.`)
  }
  if (end !== null) {
    warnings.push(end)
  }
  return warnings
}

const FAULT_WORDS: readonly (readonly [code: string, what: string])[] = [
  ['UNPARSABLE_ROW', 'with a broken quote or a NUL'],
  ['WRONG_COLUMN_COUNT', 'with more cells than there are columns'],
  ['BAD_ENCODING', 'with bytes that do not fit the encoding (save the file as UTF-8 if it is in another one)'],
  ['VALUE_TOO_LONG', 'with a value that is too long'],
  ['ROW_TOO_LARGE', 'that are too large'],
]

function faultWarnings(rows: readonly Row[]): string[] {
  const counted = (what: string, faulty: readonly Row[]): string[] =>
    faulty[0] === undefined
      ? []
      : [`Rows ${what}: ${faulty.length} of the first ${rows.length}. The first one is row ${faulty[0].number}.`]
  const words = FAULT_WORDS.flatMap(([code, what]) => {
    return counted(
      what,
      rows.filter(({ fault }) => fault?.code === code && fault !== HEADER_AGAIN),
    )
  })
  const again = rows.filter(({ fault }) => fault === HEADER_AGAIN)
  return [...words, ...counted('that repeat the header (they are listed as failed)', again)]
}

/** Rows that were filled up, and may have lost a cell in the middle. `rows` have the cells that they have in the file. */
function shortRows(rows: readonly Row[], columns: number): string[] {
  const short = rows.filter(
    ({ cells, fault }) => fault === null && cells.length < columns && cells.some((cell) => cell.trim() !== ''),
  )
  const [first] = short
  return first === undefined
    ? []
    : [
        `Rows with fewer cells than there are columns: ${short.length} of the first ${rows.length}; the missing cells are read as empty. The first one is row ${first.number}.`,
      ]
}

function repeatedNames(header: Row | null, names: readonly string[]): string[] {
  const given = new Set(names.filter((name, index) => header?.cells[index]?.trim() === name))
  return names.filter((name) => !given.has(name) && / \(\d+\)$/.test(name)).map((name) => `"${name}"`)
}

function plural(count: number, word: string): string {
  return count === 1 ? `${count} ${word}` : `${count} ${word}s`
}

function cut(value: string): string {
  return value.length > SAMPLE_LENGTH_MAX ? value.slice(0, SAMPLE_LENGTH_MAX).toWellFormed() : value
}

function rounded(share: number): number {
  return Math.round(Math.max(0, share) * 10_000) / 10_000
}
