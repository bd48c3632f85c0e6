/**
 * OpenDocument spreadsheets (ODS, and FODS that is not packed), streamed. Not by way of SheetJS, which unpacks a document as
 * a whole and makes every repeated row and cell of it: a few letters stand for 16 thousand million cells.
 */
import { Refusal } from '../../errors.js'
import {
  COLUMNS_MAX,
  SOURCE_GROUP_ROWS_MAX,
  UNPACK_RATIO_BYTES_MIN,
  UNPACK_RATIO_MAX,
  WORKBOOK_PART_BYTES_MAX,
  WORKBOOK_SHEETS_MAX,
} from '../../limits.js'
import type { Row } from '../source.js'
import type { ByteReader } from './bytes.js'
import { bytesOf } from './gzip.js'
import { OdsCell } from './legacy-workbook-ods-cell.js'
import { OdsStyles } from './legacy-workbook-ods-styles.js'
import { damaged, RowMaker } from './legacy-workbook-rows.js'
import type { Workbook } from './workbook.js'
import { type NumberFormat, numberFormats } from './xlsx/formats.js'
import { CLOSE, decodeEntities, decodeXml, NEED_MORE, OPEN, TEXT, XmlScanner } from './xlsx/xml.js'
import { openZip } from './zip.js'

const ROWS_MAX = 1_048_576

/** The parts of a document, wherever they are. */
interface Parts {
  content(signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** Null where there is none of its own. */
  styles(): AsyncIterable<Uint8Array> | null
}

/** Opens a spreadsheet in a ZIP archive. Refuses what `openZip` does, FILE_ENCRYPTED, and other kinds of documents. */
export async function openOds(bytes: ByteReader): Promise<Workbook> {
  const zip = await openZip(bytes)
  const entry = (name: string) => zip.entries.find((each) => each.name === name)
  const manifest = entry('META-INF/manifest.xml')
  const content = entry('content.xml')
  const styles = entry('styles.xml')
  if (entry('encrypted-package') !== undefined) {
    throw locked()
  }
  if (manifest !== undefined) {
    let text = ''
    for await (const block of decodeXml(zip.read(manifest, undefined, WORKBOOK_PART_BYTES_MAX))) {
      text = text.slice(-40) + block
      if (/<(?:\w+:)?encryption-data[\s>]/.test(text)) {
        throw locked()
      }
    }
  }
  if (content === undefined) {
    throw damaged('it has no content')
  }
  return openParts({
    content: (signal) => zip.read(content, signal),
    styles: () => (styles === undefined ? null : zip.read(styles, undefined, WORKBOOK_PART_BYTES_MAX)),
  })
}

/** Opens a spreadsheet that is one XML document. */
export function openFods(bytes: ByteReader): Promise<Workbook> {
  return openParts({ content: () => bytesOf(bytes), styles: () => null })
}

async function openParts(parts: Parts): Promise<Workbook> {
  const styles = new OdsStyles()
  const named = parts.styles()
  if (named !== null) {
    const reader = new DocumentReader(styles, null)
    for await (const text of decodeXml(named)) {
      reader.read(text)
    }
  }
  const reader = new DocumentReader(styles, null)
  for await (const text of decodeXml(parts.content())) {
    reader.read(text)
    reader.rows.length = 0
  }
  if (!reader.isWhole) {
    throw damaged('it breaks off before its end')
  }
  return {
    sheets: reader.sheets,
    async *rows(sheet, signal) {
      if (reader.sheets[sheet] === undefined) {
        throw new Refusal('INVALID_INPUT', `The workbook has no sheet ${sheet + 1}.`)
      }
      const walk = new DocumentReader(styles, sheet)
      for await (const text of decodeXml(parts.content(signal))) {
        signal.throwIfAborted()
        walk.read(text)
        // Whole groups; what a tag repeats a million times comes in as many as it takes.
        while (walk.rows.length > 0) {
          yield walk.take()
        }
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

class DocumentReader {
  readonly sheets: { name: string; index: number; hidden: boolean; estimatedRowCount: number }[] = []
  /** Rows with how often they are still to be given. */
  readonly rows: { row: Row; times: number }[] = []
  readonly #styles: OdsStyles
  readonly #wanted: number | null
  readonly #scanner = new XmlScanner()
  readonly #codes: string[] = []
  readonly #formats: (style: number) => NumberFormat
  readonly #maker = new RowMaker()
  readonly #columnStyles: (string | null)[] = []
  #inSpreadsheet = false
  #seen = false
  /** Elements within one that holds no rows of the table: of a cell, of pictures, of what was changed. */
  #skipped = 0
  #inTable = false
  #rowStyle: string | null = null
  #rowTimes = 1
  #rowNumber = 0
  #column = 0
  #cell: OdsCell | null = null
  #charsIn = 0
  #made = 0

  constructor(styles: OdsStyles, wanted: number | null) {
    this.#styles = styles
    this.#wanted = wanted
    this.#formats = numberFormats(this.#codes, false, 'exact')
  }

  get isWhole(): boolean {
    return this.#seen && !this.#inSpreadsheet
  }

  take(): readonly Row[] {
    const group: Row[] = []
    while (group.length < SOURCE_GROUP_ROWS_MAX) {
      const first = this.rows[0]
      if (first === undefined) {
        break
      }
      group.push(first.row)
      first.times -= 1
      if (first.times === 0) {
        this.rows.shift()
      } else {
        first.row = { ...first.row, number: first.row.number + 1 }
      }
    }
    return group
  }

  read(text: string): void {
    const scanner = this.#scanner
    this.#charsIn += text.length
    scanner.push(text)
    for (;;) {
      const token = scanner.next()
      if (token === NEED_MORE) {
        return
      }
      if (token === OPEN) {
        this.#open(scanner)
      } else if (token === CLOSE) {
        this.#close(scanner.name)
      } else if (token === TEXT && (this.#cell !== null || !this.#inSpreadsheet)) {
        const part = scanner.text.slice(scanner.start, scanner.end)
        const decoded = scanner.literal ? part : decodeEntities(part)
        if (this.#cell === null) {
          this.#styles.text(decoded)
        } else {
          this.#cell.text(decoded)
        }
      }
    }
  }

  #open(scanner: XmlScanner): void {
    const { name, empty } = scanner
    if (!this.#inSpreadsheet) {
      if (name === 'spreadsheet' && !this.#seen) {
        this.#inSpreadsheet = !empty
        this.#seen = true
      } else if (name === 'body' || this.#seen) {
        return
      } else {
        const other =
          /^(?:text|presentation|drawing)$/.test(name) &&
          scanner.text.startsWith('<office:', scanner.start - name.length - 8)
        if (other) {
          throw otherDocument(name)
        }
        this.#styles.open(scanner)
      }
      return
    }
    if (this.#cell !== null) {
      this.#cell.open(scanner)
      return
    }
    if (this.#skipped > 0) {
      this.#skipped += empty ? 0 : 1
      return
    }
    switch (name) {
      case 'shapes':
      case 'dde-links':
      case 'tracked-changes':
      case 'forms':
        this.#skipped = empty ? 0 : 1
        break
      case 'table':
        this.#startTable(scanner)
        break
      case 'table-column': {
        const times = Math.min(
          timesOf(scanner.attribute('number-columns-repeated')),
          COLUMNS_MAX - this.#columnStyles.length,
        )
        const style = scanner.attribute('default-cell-style-name')
        for (let each = 0; each < times; each += 1) {
          this.#columnStyles.push(style)
        }
        break
      }
      case 'table-row':
        this.#rowTimes = timesOf(scanner.attribute('number-rows-repeated'))
        this.#rowStyle = scanner.attribute('default-cell-style-name')
        this.#column = 0
        if (empty) {
          this.#endRow()
        }
        break
      case 'table-cell':
      case 'covered-table-cell': {
        const cell = new OdsCell(scanner, timesOf(scanner.attribute('number-columns-repeated')), name !== 'table-cell')
        if (empty) {
          this.#endCell(cell)
        } else {
          this.#cell = cell
        }
        break
      }
      default:
    }
  }

  #close(name: string): void {
    if (!this.#inSpreadsheet) {
      this.#styles.close(name)
    } else if (this.#cell !== null) {
      if (this.#cell.close()) {
        this.#endCell(this.#cell)
        this.#cell = null
      }
    } else if (this.#skipped > 0) {
      this.#skipped -= 1
    } else if (name === 'table-row') {
      this.#endRow()
    } else if (name === 'table') {
      this.#inTable = false
    } else if (name === 'spreadsheet') {
      this.#inSpreadsheet = false
    }
  }

  #startTable(scanner: XmlScanner): void {
    if (this.#inTable) {
      throw damaged('a table in it stands within another')
    }
    const index = this.sheets.length
    if (index >= WORKBOOK_SHEETS_MAX) {
      const most = WORKBOOK_SHEETS_MAX.toLocaleString('en-US')
      throw new Refusal('LIMIT_EXCEEDED', `The workbook has more than ${most} sheets, the most that is read.`)
    }
    this.#inTable = !scanner.empty
    this.sheets.push({
      name: scanner.attribute('name') ?? `Sheet${index + 1}`,
      index,
      hidden: this.#styles.hides(scanner.attribute('style-name')),
      estimatedRowCount: 0,
    })
    this.#rowNumber = 0
    this.#columnStyles.length = 0
  }

  #endCell(cell: OdsCell): void {
    const column = this.#column
    this.#column = Math.min(column + cell.times, 2 ** 30)
    if (cell.covered || !this.#inTable) {
      return
    }
    const style = cell.style ?? this.#rowStyle ?? this.#columnStyles[column] ?? null
    const text = cell.shown(this.#styles.format(style), (code) => this.#numberFormat(code))
    if (text !== '') {
      // One column beyond what is read is enough for the row to be refused.
      for (let at = column; at < Math.min(column + cell.times, Math.max(column, COLUMNS_MAX) + 1); at += 1) {
        this.#maker.place(at, text)
      }
    }
  }

  #endRow(): void {
    const first = this.#rowNumber + 1
    this.#rowNumber = Math.min(this.#rowNumber + this.#rowTimes, 2 ** 30)
    const row = this.#maker.take(first)
    const sheet = this.sheets.at(-1)
    if (row === null || !this.#inTable || sheet === undefined) {
      return
    }
    if (this.#rowNumber > ROWS_MAX) {
      throw damaged('a row in it has a number that no sheet has')
    }
    this.#made += this.#rowTimes * row.cells.reduce((sum, cell) => sum + cell.length + 1, 0)
    if (this.#made > UNPACK_RATIO_BYTES_MIN && this.#made > UNPACK_RATIO_MAX * this.#charsIn) {
      throw new Refusal(
        'FILE_UNSAFE',
        'The sheet repeats rows or cells so often that it would grow without measure. Split it, or save it as CSV.',
      )
    }
    sheet.estimatedRowCount += this.#rowTimes
    if (this.#wanted === sheet.index) {
      this.rows.push({ row, times: this.#rowTimes })
    }
  }

  #numberFormat(code: string): NumberFormat {
    let index = this.#codes.indexOf(code)
    if (index < 0) {
      index = this.#codes.push(code) - 1
    }
    return this.#formats(index)
  }
}

function timesOf(text: string | null): number {
  const value = Number(text ?? 1)
  return Number.isInteger(value) && value >= 1 ? Math.min(value, 2 ** 30) : 1
}

function locked(): Refusal {
  return new Refusal(
    'FILE_ENCRYPTED',
    'The file is protected by a password. Open it, remove the password, save it and upload it again.',
  )
}

function otherDocument(name: string): Refusal {
  const what = name === 'text' ? 'a text document' : name === 'drawing' ? 'a drawing' : 'a presentation'
  return new Refusal(
    'FILE_TYPE_UNSUPPORTED',
    `The file is ${what} of OpenDocument (LibreOffice). Save its table as CSV and upload that file.`,
  )
}
