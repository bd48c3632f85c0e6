/**
 * Finds rows and cells in bytes of UTF-8. Pure: it reads nothing and waits for nothing, so the reader and the sniffer see
 * a file with the same eyes.
 *
 * What a row is depends on nothing but the bytes from its start on (and on the limits). That is what makes every row's
 * offset a cursor: reading on from there gives exactly what reading through would have given.
 */
import { isUtf8 } from 'node:buffer'
import type { Cursor, Row, RowFault } from '../source.js'
import { BELOW_TABLE, HEADER_AGAIN, headerRepeats } from './header.js'
import { utf16Units } from './utf16.js'

export interface CsvScannerOptions {
  /** One ASCII character, or several of any kind that start with no quote and no line end; null: a line is one cell. */
  readonly delimiter: string | null
  /** One ASCII character; null: quotes are ordinary text. */
  readonly quote: string | null
  /** How a quote inside a quoted value is written; doubled if absent. Behind a backslash, doubled ones are read too. */
  readonly escape?: 'DOUBLED' | 'BACKSLASH' | null | undefined
  /**
   * Cells of a usual row while `columns` are not known: of the ways to read a broken row the one with so many is taken.
   * Where rows end does not depend on it. 0 if absent: not known.
   */
  readonly usualCells?: number | undefined
  /** Rows with a higher number stand below the table: each of them is a fault. Null or absent: there are none. */
  readonly lastDataRow?: number | null | undefined
  /** Names of the columns, which good rows are fitted to; null: rows keep the cells they have. */
  readonly columns: readonly string[] | null
  /** Bytes in the file of one ASCII character: 1, or 2 where the file is UTF-16. */
  readonly unitBytes: 1 | 2
  readonly cellBytesMax: number
  readonly cellsPerRowMax: number
  readonly rowBytesMax: number
}

const LF = 10
const CR = 13
const SPACE = 32
const TAB = 9
const BACKSLASH = 92

const ESCAPED = 1
const WIDE = 2

const UNCLOSED = 'the quote that opens the value is never closed. Close it or leave it out.'
const TEXT_BEHIND_QUOTE = 'text follows the quote that closes the value. Double the quotes inside a quoted value.'

/** How far below a broken quote its value is followed. Lines. */
const CONTINUATION_LINES_MAX = 100

/** Shorter values are not searched for swallowed rows. Bytes. */
const SWALLOWED_BYTES_MIN = 32

/** So many delimiters, exactly as many on each line as a row has, are no coincidence. */
const SWALLOWED_DELIMITERS_MIN = 12

/** Scans one window of bytes after the other. `number` and `byte` say where the next row starts. */
export class CsvScanner {
  /** Number of the row that comes next. */
  number = 1
  /** Offset in the file of the first byte that was not consumed. */
  byte = 0
  /** Index in the last window of the first byte that was not consumed. */
  position = 0

  /** First byte of the delimiter. */
  readonly #delimiter: number
  /** All of it, where it has more than one byte. */
  readonly #long: Buffer | null
  readonly #delimiterBytes: number
  /** Above 127 where the delimiter is not ASCII. */
  readonly #wideDelimiter: number
  readonly #quote: number
  readonly #backslash: number
  readonly #usual: number
  readonly #lastDataRow: number
  readonly #columns: readonly string[] | null
  readonly #expected: number
  readonly #repeatsHeader: ((cells: readonly string[]) => boolean) | null
  readonly #unitBytes: number
  readonly #cellBytesMax: number
  readonly #cellsMax: number
  readonly #rowBytesMax: number
  /** 1 for each byte that ends an unquoted cell. */
  readonly #ends = new Uint8Array(256)
  /** Start and end of each cell of the row in hand, in pairs, and what is special about the cell. */
  readonly #bounds: Int32Array
  readonly #marks: Uint8Array
  /** A row that is too large and whose end is still to be found. */
  #endless: Cursor | null = null
  /** The window: bytes up to `#to`, behind which the file has more unless `#eof`. */
  #data: Buffer = Buffer.alloc(0)
  #to = 0
  #eof = false
  /** Nothing from here on decides what the row in hand is: the end of the window, or of what a row may have. */
  #stop = 0
  /** `#stop` is what a row may have. */
  #capped = false
  /** Index of the next NUL in the window, or its end. */
  #nextNul = 0
  #sawWide = false
  /** Where each row of the group starts and ends in the window, for the rare look back. */
  #spans: Int32Array = new Int32Array(0)

  constructor(options: CsvScannerOptions) {
    const delimiter = options.delimiter === null ? Buffer.alloc(0) : Buffer.from(options.delimiter, 'utf8')
    this.#delimiter = delimiter[0] ?? -1
    this.#delimiterBytes = Math.max(1, delimiter.length)
    this.#wideDelimiter = delimiter.some((byte) => byte > 127) ? 128 : 0
    this.#long = delimiter.length > 1 ? delimiter : null
    this.#backslash = options.escape === 'BACKSLASH' && options.quote !== null ? BACKSLASH : -1
    this.#usual = options.columns === null ? (options.usualCells ?? 0) : options.columns.length
    this.#lastDataRow = options.lastDataRow ?? Number.MAX_SAFE_INTEGER
    this.#quote = options.quote === null ? -1 : options.quote.charCodeAt(0)
    this.#columns = options.columns
    this.#expected = options.columns === null ? 0 : options.columns.length
    this.#repeatsHeader = options.columns === null ? null : headerRepeats(options.columns)
    this.#unitBytes = options.unitBytes
    this.#cellBytesMax = options.cellBytesMax
    this.#cellsMax = options.cellsPerRowMax
    this.#rowBytesMax = options.rowBytesMax
    if (this.#delimiter >= 0) {
      this.#ends[this.#delimiter] = 1
    }
    this.#ends[LF] = 1
    this.#ends[CR] = 1
    this.#bounds = new Int32Array(options.cellsPerRowMax * 2)
    this.#marks = new Uint8Array(options.cellsPerRowMax)
  }

  /**
   * The rows that start in `data` from index `from` on and end before `to`, at most `maxRows`. Fewer means that more
   * bytes are needed behind `position` or, with `eof` (nothing follows `to` in the file), that there are no more.
   */
  scan(data: Buffer, from: number, to: number, eof: boolean, maxRows: number): Row[] {
    const rows: Row[] = []
    this.#data = data
    this.#to = to
    this.#eof = eof
    if (this.#spans.length < maxRows * 2) {
      this.#spans = new Int32Array(maxRows * 2)
    }
    this.#sawWide = false
    this.#findNul(from)
    let at = from
    while (rows.length < maxRows && (at < to || (eof && this.#endless !== null))) {
      if (this.#endless !== null) {
        at = this.#endEndless(this.#endless, at, rows)
        if (this.#endless !== null) {
          break
        }
        continue
      }
      const byte = data[at]
      let next: number
      if (byte === LF || byte === CR) {
        next = this.#lineStart(at)
        if (next > 0) {
          // An empty line is no row, but a person counts it.
          this.number += 1
          this.byte += (next - at) * this.#unitBytes
        }
      } else {
        next = this.#row(at, rows)
      }
      if (next < 0) {
        break
      }
      at = next
    }
    // One look at the whole group: validation costs next to nothing unless something is wrong.
    if (this.#sawWide && !isUtf8(data.subarray(from, at))) {
      this.#markBadEncoding(rows)
    }
    this.position = at
    return rows
  }

  /** Takes the row at `start`; answers the index behind it, or -1 if its end is not in the window. */
  #row(start: number, rows: Row[]): number {
    const data = this.#data
    const delimiter = this.#delimiter
    const delimiterBytes = this.#delimiterBytes
    const long = this.#long
    const quote = this.#quote
    const backslash = this.#backslash
    const ends = this.#ends
    const bounds = this.#bounds
    const marks = this.#marks
    const cellsMax = this.#cellsMax
    // One byte more than a row may have, for its line end.
    const capped = this.#to - start > this.#rowBytesMax
    const stop = capped ? start + this.#rowBytesMax + 1 : this.#to
    const whole = capped || this.#eof
    this.#capped = capped
    this.#stop = stop
    let count = 0
    let at = start
    let wide = this.#wideDelimiter
    for (;;) {
      const cell = at
      let bits = 0
      let mark = 0
      let cellStart = cell
      let cellEnd: number
      if (data[at] === SPACE && delimiter !== SPACE && quote >= 0) {
        // Blanks before an opening quote are nobody's text either.
        let ahead = at + 1
        while (ahead < stop && data[ahead] === SPACE) {
          ahead += 1
        }
        if (ahead >= stop && !whole) {
          return -1
        }
        at = ahead < stop && data[ahead] === quote ? ahead : at
      }
      const opening = at
      if (at < stop && data[at] === quote) {
        at += 1
        cellEnd = -1
        while (at < stop) {
          const byte = data[at]!
          at += 1
          if (byte !== quote) {
            bits |= byte
            if (byte === backslash && at < stop && data[at] !== LF && data[at] !== CR) {
              mark = ESCAPED
              bits |= data[at]!
              at += 1
            }
          } else if (at < stop && data[at] === quote) {
            mark = ESCAPED
            at += 1
          } else {
            cellEnd = at - 1
            break
          }
        }
        const closed = cellEnd >= 0
        // Blanks behind the closing quote are nobody's text.
        while (at < stop && closed && (data[at] === SPACE || data[at] === TAB) && data[at] !== delimiter) {
          at += 1
        }
        if (at + delimiterBytes > stop && !whole) {
          return -1
        }
        cellStart = opening + 1
        const swallowed = closed ? this.#swallowsRows(cellStart, cellEnd, count) : true
        if (swallowed === null) {
          return -1
        }
        if (swallowed) {
          return this.#broken(start, cell, count, rows, UNCLOSED)
        }
        if (at < stop ? ends[data[at]!] === 0 || (long !== null && !this.#endsAt(at)) : capped) {
          return this.#broken(start, cell, count, rows, TEXT_BEHIND_QUOTE)
        }
      } else {
        while (at < stop) {
          const byte = data[at]!
          if (ends[byte] !== 0 && (long === null || this.#endsAt(at))) {
            break
          }
          bits |= byte
          at += 1
        }
        if (at >= stop - delimiterBytes + 1 && !whole && (at >= stop || (long !== null && data[at] === delimiter))) {
          return -1
        }
        cellEnd = at
      }
      wide |= bits
      if (count < cellsMax) {
        bounds[count * 2] = cellStart
        bounds[count * 2 + 1] = cellEnd
        marks[count] = bits > 127 ? mark | WIDE : mark
      }
      count += 1
      if (at < stop && data[at] === delimiter) {
        at += long === null ? 1 : this.#delimiterLength(at)
        continue
      }
      break
    }
    if (at >= stop && capped) {
      return this.#beginEndless(start, at)
    }
    const next = at < stop ? this.#lineStart(at) : at
    if (next < 0) {
      return -1
    }
    if (wide > 127) {
      this.#sawWide = true
    }
    let cells: string[]
    let fault: RowFault | null = null
    if (count <= this.#expected && at <= this.#nextNul && at - start <= this.#cellBytesMax) {
      cells = this.#cells(start, at, count, this.#expected)
    } else {
      cells = count > cellsMax ? [] : this.#cells(start, at, count, count)
      fault = this.#fault(start, at, count, cells)
      if (fault === null) {
        fit(cells, this.#columns === null ? count : this.#expected)
      }
    }
    if (fault === null && this.#repeatsHeader?.(cells) === true) {
      fault = HEADER_AGAIN
    }
    const width = wide > 127 ? this.#width(start, next) : (next - start) * this.#unitBytes
    this.#push(rows, start, at, width, cells, fault)
    return next
  }

  /** Takes the row at `start` whose cell at `cell` opens with a quote that cannot be one: it and what follows are text. */
  #broken(start: number, cell: number, column: number, rows: Row[], what: string): number {
    const end = this.#literalEnd(cell)
    if (end < 0) {
      return -1
    }
    if (end >= this.#stop && this.#capped) {
      return this.#beginEndless(start, end)
    }
    const next = end < this.#stop ? this.#lineStart(end) : end
    if (next < 0) {
      return -1
    }
    const count = this.#recover(cell, end, column)
    this.#sawWide = true
    const cells = count > this.#cellsMax ? [] : this.#cells(start, end, count, count)
    const fault: RowFault = { code: 'UNPARSABLE_ROW', message: `${this.#name(column)}: ${what}` }
    this.#push(rows, start, end, this.#width(start, next), cells, fault)
    return next
  }

  /**
   * Cuts what stands between a broken cell and the end of its row, and answers how many cells the row has. A quote may be
   * one too many (then its cell is plain text up to the next delimiter), or stand unescaped in a quoted value (then the
   * value ends at the first quote that a delimiter or the end follows). Taken is what gives a row of the usual width.
   */
  #recover(cell: number, end: number, column: number): number {
    const counts = [0, 1, 2].map((way) => this.#cut(cell, end, column, way))
    let best = this.#usual === 0 ? 0 : counts.indexOf(this.#usual)
    if (best < 0) {
      // None fits: the one that loses fewest cells.
      best = counts[0]! >= Math.min(this.#usual, counts[1]!) ? 0 : 1
    }
    return this.#cut(cell, end, column, best)
  }

  /** One way to cut a broken row: 0 lets the broken cell end at a closing quote, 1 reads it as text, 2 all that follow. */
  #cut(cell: number, end: number, column: number, way: number): number {
    const data = this.#data
    let count = column
    let at = cell
    // Where no quote closes a value, none does further on: looking once keeps a line full of opening quotes cheap.
    let closable = true
    for (;;) {
      let opening = at
      while (opening < end && data[opening] === SPACE && this.#delimiter !== SPACE) {
        opening += 1
      }
      const quoted = opening < end && data[opening] === this.#quote && (way === 0 || (way === 1 && at > cell))
      let from = at
      let to: number = quoted && closable ? this.#lenientEnd(opening + 1, end) : -1
      closable = closable && (!quoted || to >= 0)
      let mark = WIDE
      if (to >= 0) {
        from = opening + 1
        at = to + 1
        while (at < end && (data[at] === SPACE || data[at] === TAB) && data[at] !== this.#delimiter) {
          at += 1
        }
        mark |= ESCAPED
      } else {
        while (at < end && !this.#delimiterAt(at)) {
          at += 1
        }
        to = at
      }
      if (count < this.#cellsMax) {
        this.#bounds[count * 2] = from
        this.#bounds[count * 2 + 1] = to
        this.#marks[count] = mark
      }
      count += 1
      if (at >= end) {
        return count
      }
      at += this.#delimiterLength(at)
    }
  }

  /** Index of the first quote from `from` on that a delimiter or the end of the row follows; -1 if there is none. */
  #lenientEnd(from: number, end: number): number {
    const data = this.#data
    for (let at = from; at < end; at += 1) {
      if (data[at] === this.#backslash) {
        at += 1
      } else if (data[at] === this.#quote) {
        let next = at + 1
        while (next < end && (data[next] === SPACE || data[next] === TAB) && data[next] !== this.#delimiter) {
          next += 1
        }
        if (next >= end || this.#delimiterAt(next)) {
          return at
        }
      }
    }
    return -1
  }

  /** Whether a cell ends at `at`: with its line, or with a delimiter of several characters. */
  #endsAt(at: number): boolean {
    const byte = this.#data[at]
    return byte === LF || byte === CR || this.#delimiterAt(at)
  }

  #delimiterAt(at: number): boolean {
    return this.#data[at] === this.#delimiter && this.#delimiterLength(at) > 0
  }

  /**
   * Bytes of the delimiter at `at`, 0 if there is none. The blanks that it ends with may be missing: `Smith,, 555` in a
   * file of `, ` has three cells, and reading two would put values into the wrong columns.
   */
  #delimiterLength(at: number): number {
    const data = this.#data
    const long = this.#long
    if (long === null) {
      return data[at] === this.#delimiter ? 1 : 0
    }
    for (let index = 1; index < long.length; index += 1) {
      const byte = at + index < this.#to ? data[at + index] : LF
      if (byte !== long[index]) {
        const short = long[0] !== SPACE || byte === LF || byte === CR
        return short && isBlank(long, index) ? index : 0
      }
    }
    return long.length
  }

  /**
   * Where the text of a broken quote ends: with its line, so that the lines below keep their own rows. Only where the
   * value plainly goes on below (an odd quote in the line, and another one in a line that is too short for a row, with
   * only such lines between) do those lines belong to it and become no rows of their own. -1 if not in the window.
   */
  #literalEnd(cell: number): number {
    const data = this.#data
    const stop = this.#stop
    const whole = this.#capped || this.#eof
    let at = cell
    let odd = false
    while (at < stop && data[at] !== LF && data[at] !== CR) {
      odd = (data[at] === this.#quote) !== odd
      at += 1
    }
    const end = at
    for (let lines = 0; odd && lines < CONTINUATION_LINES_MAX && at < stop; lines += 1) {
      at += 1
      if (at < stop && data[at - 1] === CR && data[at] === LF) {
        at += 1
      }
      let delimiters = 0
      let closes = false
      while (at < stop && data[at] !== LF && data[at] !== CR && delimiters < this.#expected - 1) {
        delimiters += this.#delimiterAt(at) ? 1 : 0
        closes = (data[at] === this.#quote) !== closes
        at += 1
      }
      if (delimiters >= this.#expected - 1) {
        return end
      }
      if (closes && (at < stop || !this.#capped)) {
        return at < stop || whole ? at : -1
      }
    }
    return at < stop || whole ? end : -1
  }

  /**
   * Whether a quoted value holds whole rows: then its quotes are two stray ones from different rows. Rows that end up in
   * a value would be lost in silence. A list such as `Doe, Jane` over many lines is none: its first line is not what the
   * row still lacks behind its first `column` cells, or its last line and what follows it are no row. Null where that
   * is not in the window.
   */
  #swallowsRows(from: number, to: number, column: number): boolean | null {
    const data = this.#data
    const expected = this.#expected - 1
    if (to - from < SWALLOWED_BYTES_MIN || expected < 1) {
      return false
    }
    let line = -1
    let delimiters = 0
    let total = 0
    for (let at = from; at < to; at += 1) {
      const byte = data[at]
      if (byte === this.#delimiter && this.#delimiterAt(at)) {
        delimiters += 1
      } else if (byte === LF || byte === CR) {
        // The part before the first line end belongs to the row that the quote stands in.
        if (line < 0 && column + delimiters !== expected) {
          return false
        }
        if (line >= 0 && at > line) {
          if (delimiters !== expected) {
            return false
          }
          total += delimiters
        }
        line = at + 1
        delimiters = 0
      }
    }
    return total < SWALLOWED_DELIMITERS_MIN ? false : this.#completesRow(to, expected - delimiters)
  }

  /** Whether so many delimiters stand outside of quotes between `from`, where a quote is, and the end of its line. */
  #completesRow(from: number, expected: number): boolean | null {
    const data = this.#data
    const stop = this.#stop
    let delimiters = 0
    let quoted = false
    let at = from + 1
    while (at < stop && data[at] !== LF && data[at] !== CR) {
      quoted = (data[at] === this.#quote) !== quoted
      delimiters += !quoted && this.#delimiterAt(at) ? 1 : 0
      at += 1
    }
    return at < stop || this.#capped || this.#eof ? delimiters === expected : null
  }

  /** The row at `start` is too large: its end is looked for from `at` on, without keeping what is there. */
  #beginEndless(start: number, at: number): number {
    this.#endless = { byte: this.byte, row: this.number }
    this.number += 1
    this.byte += this.#width(start, at)
    return at
  }

  #push(rows: Row[], start: number, end: number, width: number, cells: string[], fault: RowFault | null): void {
    this.#spans[rows.length * 2] = start
    this.#spans[rows.length * 2 + 1] = end
    const byte = this.byte
    this.byte += width
    const below = fault === null && this.number > this.#lastDataRow
    rows.push({ number: this.number, byte, end: this.byte, cells, fault: below ? BELOW_TABLE : fault })
    this.number += 1
  }

  /** What is wrong with the row whose cells stand in `#bounds`; null if nothing is. */
  #fault(start: number, end: number, count: number, cells: readonly string[]): RowFault | null {
    if (count > this.#cellsMax) {
      return { code: 'ROW_TOO_LARGE', message: `The row has ${count} cells; at most ${this.#cellsMax} are read.` }
    }
    if (end - start > this.#cellBytesMax) {
      for (let index = 0; index < count; index += 1) {
        const length = this.#bounds[index * 2 + 1]! - this.#bounds[index * 2]!
        if (length > this.#cellBytesMax) {
          const message = `${this.#name(index)}: the value has ${length} bytes; at most ${this.#cellBytesMax} are read.`
          return { code: 'VALUE_TOO_LONG', message }
        }
      }
    }
    if (this.#nextNul < start) {
      this.#findNul(start)
    }
    if (this.#nextNul < end) {
      this.#findNul(end)
      const name = this.#name(cells.findIndex((cell) => cell.includes('\0')))
      return {
        code: 'UNPARSABLE_ROW',
        message: `${name}: the value contains a NUL character, which no text may contain.`,
      }
    }
    const columns = this.#columns
    if (columns !== null && count > columns.length && hasText(cells, columns.length)) {
      return {
        code: 'WRONG_COLUMN_COUNT',
        message: `The row has ${count} cells, but there are ${columns.length} columns.`,
      }
    }
    return null
  }

  /** Looks for the line end behind a row that is too large, which may be windows away; answers how far it got. */
  #endEndless(row: Cursor, from: number, rows: Row[]): number {
    const data = this.#data
    const to = this.#to
    let at = from
    while (at < to && data[at] !== LF && data[at] !== CR) {
      at += 1
    }
    const found = at < to ? this.#lineStart(at) : this.#eof ? at : -1
    const next = found < 0 ? at : found
    this.byte += this.#width(from, next)
    if (found >= 0) {
      const fault: RowFault = { code: 'ROW_TOO_LARGE', message: `The row has more than ${this.#rowBytesMax} bytes.` }
      this.#spans.fill(0, rows.length * 2, rows.length * 2 + 2)
      rows.push({ number: row.row, byte: row.byte, end: this.byte, cells: [], fault })
      this.#endless = null
    }
    return next
  }

  #markBadEncoding(rows: Row[]): void {
    const data = this.#data
    for (let index = 0; index < rows.length; index += 1) {
      const row = rows[index]!
      if (row.fault === null && !isUtf8(data.subarray(this.#spans[index * 2], this.#spans[index * 2 + 1]))) {
        const name = this.#name(row.cells.findIndex((cell) => cell.includes('\ufffd')))
        const encoding = this.#unitBytes === 1 ? 'UTF-8' : 'UTF-16'
        const message = `${name}: the value contains bytes that are not ${encoding}; they are shown as \ufffd.`
        rows[index] = { ...row, fault: { code: 'BAD_ENCODING', message } }
      }
    }
  }

  #name(index: number): string {
    const name = this.#columns?.[index]
    if (index < 0) {
      return 'The row'
    }
    return name === undefined ? `Cell ${index + 1}` : `Column "${name}"`
  }

  /** Bytes in the file of what stands in the window from `from` to `to`. */
  #width(from: number, to: number): number {
    return this.#unitBytes === 1 ? to - from : utf16Units(this.#data, from, to) * 2
  }

  /** Index behind the line end that starts at `at`; -1 if a CR is the last byte known, which a LF may follow. */
  #lineStart(at: number): number {
    if (this.#data[at] === LF) {
      return at + 1
    }
    if (at + 1 < this.#to) {
      return this.#data[at + 1] === LF ? at + 2 : at + 1
    }
    return this.#eof ? at + 1 : -1
  }

  #findNul(from: number): void {
    const index = this.#data.subarray(from, this.#to).indexOf(0)
    this.#nextNul = index < 0 ? this.#to : from + index
  }

  /** The text of the row's cells: `length` of them, cut or filled with empty ones. */
  #cells(start: number, end: number, count: number, length: number): string[] {
    const data = this.#data
    const bounds = this.#bounds
    const marks = this.#marks
    // One string per row, cut into cells: a cell that someone keeps holds on to its row and to no more than that.
    const text = data.toString('latin1', start, end)
    const cells: string[] = []
    const present = count < length ? count : length
    for (let index = 0; index < present; index += 1) {
      const from = bounds[index * 2]!
      const to = bounds[index * 2 + 1]!
      const mark = marks[index]!
      let cell = (mark & WIDE) === 0 ? text.substring(from - start, to - start) : data.toString('utf8', from, to)
      if ((mark & ESCAPED) !== 0) {
        cell = unescape(cell, this.#quote, this.#backslash >= 0)
      }
      cells.push(cell)
    }
    for (let index = present; index < length; index += 1) {
      cells.push('')
    }
    return cells
  }
}

function hasText(cells: readonly string[], from: number): boolean {
  for (let index = from; index < cells.length; index += 1) {
    if (cells[index]!.trim() !== '') {
      return true
    }
  }
  return false
}

function fit(cells: string[], length: number): void {
  while (cells.length < length) {
    cells.push('')
  }
  cells.length = length
}

function unescape(cell: string, quote: number, backslash: boolean): string {
  if (backslash) {
    // Only quotes and backslashes were escaped by it; `C:\temp` stays what it is.
    return cell.replaceAll(/\\(["'\\])|(["'])\2/g, (match: string, escaped?: string, doubled?: string) => {
      const one = escaped ?? doubled ?? match
      return one === '\\' || one.charCodeAt(0) === quote ? one : match
    })
  }
  return quote === 34 ? cell.replaceAll('""', '"') : cell.replaceAll("''", "'")
}

/** Whether all that follows `from` is blank. */
function isBlank(bytes: Buffer, from: number): boolean {
  for (let index = from; index < bytes.length; index += 1) {
    if (bytes[index] !== SPACE) {
      return false
    }
  }
  return true
}
