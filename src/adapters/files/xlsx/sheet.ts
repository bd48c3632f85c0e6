/** The rows of one sheet, from its XML. */
import { Refusal } from '../../../errors.js'
import {
  CELL_BYTES_MAX,
  COLUMNS_MAX,
  ROW_BYTES_MAX,
  SOURCE_BLOCK_BYTES,
  SOURCE_GROUP_ROWS_MAX,
  UNPACK_RATIO_BYTES_MIN,
  UNPACK_RATIO_MAX,
} from '../../../limits.js'
import type { Row, RowFault } from '../../source.js'
import { isoText, type NumberFormat } from './formats.js'
import type { SharedStrings } from './shared-strings.js'
import { decodeEntities, decodeEscapes, decodeXml, NEED_MORE, OPEN, TEXT, XmlScanner } from './xml.js'

/** What cells refer to. */
export interface SheetContext {
  /** Null where the workbook has none. */
  readonly strings: SharedStrings | null
  format(style: number): NumberFormat
}

/** Kinds of cells, by what `t` says. */
const NUMBER = 0
const SHARED = 1
const INLINE = 2
const FORMULA_TEXT = 3
const BOOLEAN = 4
const ERROR = 5
const DATE = 6

const ROWS_MAX = 1_048_576

/**
 * The rows that hold a value, in groups, in the order in which they stand in the file; hidden rows and columns like any other.
 * Reads all blocks, also those behind the last row, so that a damaged sheet is noticed; then throws `Refusal` FILE_UNREADABLE.
 */
export async function* sheetRows(
  blocks: AsyncIterable<Uint8Array>,
  context: SheetContext,
): AsyncGenerator<readonly Row[]> {
  const reader = new SheetReader(context)
  for await (const block of decodeXml(blocks)) {
    reader.read(block)
    if (reader.rows.length >= SOURCE_GROUP_ROWS_MAX || reader.rowChars >= SOURCE_BLOCK_BYTES) {
      for (const group of reader.take()) {
        yield group
      }
    }
  }
  for (const group of reader.take()) {
    yield group
  }
  if (!reader.isWhole) {
    throw new Refusal(
      'FILE_UNREADABLE',
      'The workbook is damaged: a sheet in it is no sheet, or has no end. Save it again.',
    )
  }
}

class SheetReader {
  rows: Row[] = []
  /** Length of the texts of `rows`. UTF-16 code units. */
  rowChars = 0
  #seen = false
  readonly #context: SheetContext
  readonly #scanner = new XmlScanner()
  #inData = false
  #inRow = false
  #rowNumber = 0
  #cells: string[] = []
  #cellChars = 0
  #fault: RowFault | null = null
  /** Of the cell. Columns count from 0. */
  #inCell = false
  #column = -1
  #kind = NUMBER
  #style = 0
  #value = ''
  #taking = false
  #inInline = false
  #phonetic = 0
  /** What programs add to a cell for themselves may have tags of the same names. */
  #inExtension = false
  #charsIn = 0
  #charsOut = 0

  constructor(context: SheetContext) {
    this.#context = context
  }

  /** Whether the part was a sheet at all, and its rows came to their end. */
  get isWhole(): boolean {
    return this.#seen && !this.#inData
  }

  take(): readonly (readonly Row[])[] {
    const { rows } = this
    this.rows = []
    this.rowChars = 0
    const groups: Row[][] = []
    for (let at = 0; at < rows.length; at += SOURCE_GROUP_ROWS_MAX) {
      groups.push(rows.length <= SOURCE_GROUP_ROWS_MAX ? rows : rows.slice(at, at + SOURCE_GROUP_ROWS_MAX))
    }
    return groups
  }

  read(block: string): void {
    this.#charsIn += block.length
    const scanner = this.#scanner
    scanner.push(block)
    for (;;) {
      if (this.#inRow && !this.#inCell) {
        this.#plainCells()
      }
      const token = scanner.next()
      if (token === NEED_MORE) {
        return
      }
      if (token === TEXT) {
        if (this.#taking && this.#value.length <= CELL_BYTES_MAX) {
          const text = scanner.text.slice(scanner.start, scanner.end)
          this.#value += scanner.literal ? text : decodeEntities(text)
        }
      } else if (token === OPEN) {
        this.#open(scanner)
      } else {
        this.#close(scanner.name)
      }
    }
  }

  #open(scanner: XmlScanner): void {
    const { name, empty } = scanner
    if (!this.#inData) {
      this.#seen ||= name === 'worksheet'
      this.#inData = name === 'sheetData' && !empty
      return
    }
    if (this.#inExtension) {
      return
    }
    switch (name) {
      case 'extLst':
        this.#inExtension = !empty
        break
      case 'row':
        this.#endRow()
        this.#startRow(scanner.attribute('r'))
        if (empty) {
          this.#endRow()
        }
        break
      case 'c': {
        const column = columnOf(scanner.attribute('r'))
        this.#column = column < 0 ? this.#column + 1 : column
        this.#kind = kindOf(scanner.attribute('t'))
        this.#style = Number(scanner.attribute('s') ?? 0) || 0
        this.#value = ''
        this.#taking = false
        this.#inInline = false
        this.#phonetic = 0
        this.#inCell = !empty && this.#inRow
        break
      }
      case 'v':
        this.#taking = this.#inCell && !empty && !this.#inInline
        break
      case 'is':
        this.#inInline = this.#inCell && !empty
        this.#value = ''
        break
      case 't':
        this.#taking = this.#inInline && this.#phonetic === 0 && !empty
        break
      case 'rPh':
        this.#phonetic += empty ? 0 : 1
        break
      default:
        this.#taking = false
    }
  }

  #close(name: string): void {
    this.#taking = false
    if (this.#inExtension) {
      this.#inExtension = name !== 'extLst'
      return
    }
    switch (name) {
      case 'c':
        if (this.#inCell) {
          this.#inCell = false
          this.#put(this.#column, this.#kind, this.#style, this.#value)
        }
        break
      case 'row':
        this.#endRow()
        break
      case 'is':
        this.#inInline = false
        break
      case 'rPh':
        this.#phonetic = Math.max(0, this.#phonetic - 1)
        break
      case 'sheetData':
        this.#endRow()
        this.#inData = false
        break
      default:
    }
  }

  /**
   * Cells in the form in which nearly all programs write them, `<c r="A1" s="1" t="s"><v>1</v></c>`, as long as they stand in
   * this block as a whole: most of the time of reading goes by here. Anything else is left to the scanner.
   */
  #plainCells(): void {
    const scanner = this.#scanner
    const { text } = scanner
    let at = scanner.position
    for (;;) {
      // <c
      if (text.charCodeAt(at) !== 60 || text.charCodeAt(at + 1) !== 99) {
        break
      }
      let next = at + 2
      let column = -1
      let style = 0
      let kind = NUMBER
      let code = text.charCodeAt(next)
      while (code === 32) {
        const key = text.charCodeAt(next + 1)
        // ="
        if (text.charCodeAt(next + 2) !== 61 || text.charCodeAt(next + 3) !== 34) {
          break
        }
        next += 4
        code = text.charCodeAt(next)
        if (key === 114) {
          column = 0
          while (code >= 65 && code <= 90 && column < 1_000_000) {
            column = column * 26 + code - 64
            next += 1
            code = text.charCodeAt(next)
          }
          column -= 1
          while (code >= 48 && code <= 57) {
            next += 1
            code = text.charCodeAt(next)
          }
        } else if (key === 115) {
          while (code >= 48 && code <= 57 && style < 1_000_000) {
            style = style * 10 + code - 48
            next += 1
            code = text.charCodeAt(next)
          }
        } else if (key === 116) {
          const close = text.indexOf('"', next)
          if (close < 0 || close - next > 10) {
            break
          }
          kind = close - next === 1 ? kindOfCode(code) : kindOf(text.slice(next, close))
          next = close
          code = 34
        }
        if (code !== 34) {
          break
        }
        next += 1
        code = text.charCodeAt(next)
      }
      if (code === 47 && text.charCodeAt(next + 1) === 62) {
        // An empty cell with a style.
        this.#column = column < 0 ? this.#column + 1 : column
        at = next + 2
        continue
      }
      if (code !== 62) {
        break
      }
      let start: number
      let end: number
      if (kind === INLINE) {
        if (!text.startsWith('<is><t', next + 1)) {
          break
        }
        start = text.indexOf('>', next + 7) + 1
        end = text.indexOf('<', start)
        if (start === 0 || end < 0 || !text.startsWith('</t></is></c>', end) || text.charCodeAt(start - 2) === 47) {
          break
        }
        at = end + 13
      } else {
        // <v>
        if (text.charCodeAt(next + 1) !== 60 || text.charCodeAt(next + 2) !== 118 || text.charCodeAt(next + 3) !== 62) {
          break
        }
        start = next + 4
        end = start
        for (code = text.charCodeAt(end); code !== 60 && end - start < 24; code = text.charCodeAt(end)) {
          end += 1
        }
        if (code !== 60) {
          end = text.indexOf('<', start)
        }
        if (end < 0 || !text.startsWith('</v></c>', end)) {
          break
        }
        at = end + 8
      }
      this.#column = column < 0 ? this.#column + 1 : column
      if (kind === SHARED && end > start) {
        let index = 0
        for (let digit = start; digit < end; digit += 1) {
          const value = text.charCodeAt(digit) - 48
          index = value >= 0 && value <= 9 ? index * 10 + value : Number.NaN
        }
        if (index >= 0) {
          this.#putShared(this.#column, index)
          continue
        }
      }
      this.#put(this.#column, kind, style, decodeEntities(text.slice(start, end)))
    }
    scanner.position = at
  }

  #startRow(said: string | null): void {
    const number = said === null ? Number.NaN : Number(said)
    this.#inRow = true
    this.#rowNumber = Number.isInteger(number) && number > 0 ? number : this.#rowNumber + 1
    if (this.#rowNumber > ROWS_MAX) {
      throw new Refusal('FILE_UNREADABLE', 'The workbook is damaged: a row in it has a number that no sheet has.')
    }
    this.#column = -1
    this.#cells = []
    this.#cellChars = 0
    this.#fault = null
  }

  #endRow(): void {
    if (!this.#inRow) {
      return
    }
    this.#inRow = false
    this.#inCell = false
    let cells = this.#cells
    if (
      this.#cellChars * 3 > ROW_BYTES_MAX &&
      cells.reduce((sum, cell) => sum + Buffer.byteLength(cell), 0) > ROW_BYTES_MAX
    ) {
      const most = ROW_BYTES_MAX.toLocaleString('en-US')
      this.#fault = { code: 'ROW_TOO_LARGE', message: `The row holds more than ${most} bytes.` }
      cells = []
      this.#cellChars = 0
    }
    if (cells.length > 0 || this.#fault !== null) {
      this.rows.push({ number: this.#rowNumber, byte: 0, end: 0, cells, fault: this.#fault })
      this.rowChars += this.#cellChars + cells.length
      this.#charsOut += this.#cellChars
      if (this.#charsOut > UNPACK_RATIO_BYTES_MIN && this.#charsOut > UNPACK_RATIO_MAX * this.#charsIn) {
        throw new Refusal(
          'FILE_UNSAFE',
          'The sheet repeats long texts so often that it would grow without measure. Split it, or save it as CSV.',
        )
      }
    }
    this.#cells = []
  }

  #putShared(column: number, index: number): void {
    const text = this.#context.strings?.get(index)
    if (typeof text === 'string') {
      this.#place(column, text)
    } else if (text === null) {
      this.#tooLong(column)
    } else {
      this.#fault ??= {
        code: 'UNPARSABLE_ROW',
        message: `Column ${columnName(column)} refers to a text that the workbook does not hold.`,
      }
    }
  }

  #put(column: number, kind: number, style: number, value: string): void {
    switch (kind) {
      case NUMBER:
        if (value !== '') {
          this.#place(column, this.#context.format(style)(value))
        }
        break
      case SHARED:
        if (value.trim() !== '') {
          const index = Number(value)
          this.#putShared(column, Number.isInteger(index) ? index : -1)
        }
        break
      case BOOLEAN: {
        const text = value.trim()
        this.#place(column, text === '1' || text === 'true' ? 'TRUE' : text === '' ? '' : 'FALSE')
        break
      }
      case ERROR:
        this.#place(column, value.trim())
        break
      case DATE:
        this.#place(column, isoText(value))
        break
      default:
        this.#place(column, decodeEscapes(value))
    }
  }

  #place(column: number, text: string): void {
    if (text === '') {
      return
    }
    if (text.length * 3 > CELL_BYTES_MAX && Buffer.byteLength(text) > CELL_BYTES_MAX) {
      this.#tooLong(column)
      return
    }
    const cells = this.#cells
    if (column >= COLUMNS_MAX) {
      this.#fault ??= {
        code: 'ROW_TOO_LARGE',
        message: `Column ${columnName(column)} holds a value; no more than ${COLUMNS_MAX.toLocaleString('en-US')} columns are read.`,
      }
      return
    }
    this.#cellChars += text.length
    if (column === cells.length) {
      cells.push(text)
    } else if (column < cells.length) {
      cells[column] = text
    } else {
      while (cells.length < column) {
        cells.push('')
      }
      cells.push(text)
    }
  }

  #tooLong(column: number): void {
    const most = CELL_BYTES_MAX.toLocaleString('en-US')
    this.#fault ??= {
      code: 'VALUE_TOO_LONG',
      message: `The value of column ${columnName(column)} is longer than ${most} bytes.`,
    }
  }
}

/** Kinds whose name is one letter. */
function kindOfCode(code: number): number {
  switch (code) {
    case 115:
      return SHARED
    case 98:
      return BOOLEAN
    case 101:
      return ERROR
    case 100:
      return DATE
    default:
      return NUMBER
  }
}

function kindOf(type: string | null): number {
  switch (type) {
    case 's':
      return SHARED
    case 'inlineStr':
      return INLINE
    case 'str':
      return FORMULA_TEXT
    case 'b':
      return BOOLEAN
    case 'e':
      return ERROR
    case 'd':
      return DATE
    default:
      return NUMBER
  }
}

/** From 0; -1 where the reference has no letters. `aa1` counts as AA1. */
function columnOf(reference: string | null): number {
  let column = 0
  for (const letter of (reference ?? '').toUpperCase()) {
    const code = letter.charCodeAt(0)
    if (code < 65 || code > 90 || column > 1_000_000) {
      break
    }
    column = column * 26 + code - 64
  }
  return column - 1
}

/** As the spreadsheet names it: 0 is A. */
function columnName(column: number): string {
  let name = ''
  for (let rest = column + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    name = String.fromCharCode(65 + ((rest - 1) % 26)) + name
  }
  return name
}
