/** One JSON value per line, as a source of rows that can be read on from any line. */
import { isUtf8 } from 'node:buffer'
import { JSON_DEPTH_MAX, ROW_BYTES_MAX, SOURCE_BLOCK_BYTES, SOURCE_GROUP_ROWS_MAX } from '../../limits.js'
import type { Column, Cursor, Row, RowFault, Source } from '../source.js'
import type { ByteReader, OpenBytes } from './bytes.js'
import { Flattener } from './json-flatten.js'
import type { JsonOptions, JsonRecord } from './json-slicer.js'
import { markedText, needsMark, parseJson, whatIsWrong } from './json-text.js'
import { isBlank } from './json-walker.js'

export interface NdjsonOptions extends JsonOptions {
  /** Lines with a lower number are no data: lists whose first is the header. 1 if absent. */
  readonly firstDataRow?: number
}

/** How much is read at first: showing one row should not cost a whole block. Bytes. */
const FIRST_BLOCK_BYTES = 16 * 1024

const LF = 0x0a
const CR = 0x0d
const RECORD_SEPARATOR = 0x1e

/** A file of one JSON value per line in UTF-8, which must not change while it is read. Holds nothing open between calls. */
export class NdjsonSource implements Source {
  readonly columns: readonly Column[]
  readonly #open: OpenBytes
  readonly #flattener: Flattener
  readonly #options: Required<NdjsonOptions>

  constructor(open: OpenBytes, columns: readonly string[], options: NdjsonOptions = {}) {
    this.#open = open
    this.columns = columns.map((name, index) => ({ index, name }))
    this.#flattener = new Flattener(columns)
    this.#options = {
      groupRows: options.groupRows ?? SOURCE_GROUP_ROWS_MAX,
      rowBytesMax: options.rowBytesMax ?? ROW_BYTES_MAX,
      firstDataRow: options.firstDataRow ?? 1,
    }
  }

  /** Names that were seen beyond `columns` so far. Cells of theirs stand behind those of the columns. */
  lateColumns(): readonly string[] {
    return this.#flattener.columns.slice(this.columns.length)
  }

  async *rows(from: Cursor | null, signal: AbortSignal): AsyncGenerator<readonly Row[], void, undefined> {
    signal.throwIfAborted()
    await using bytes = await this.#open()
    const reader = new LineReader(bytes, from ?? { byte: 0, row: 1 }, this.#options)
    for (;;) {
      const lines = await reader.next(this.#options.groupRows)
      signal.throwIfAborted()
      if (lines.length === 0) {
        return
      }
      const rows = lines
        .filter(({ record }) => record.number >= this.#options.firstDataRow)
        .map(({ record, byte, end }): Row => {
          const { cells, fault } = this.#flattener.flatten(record)
          return { number: record.number, byte, end, cells, fault }
        })
      if (rows.length > 0) {
        yield rows
      }
    }
  }

  /** Cells of the row at `cursor`; empty where none starts there. */
  async cellsAt(cursor: Cursor): Promise<readonly string[]> {
    await using bytes = await this.#open()
    const [line] = await new LineReader(bytes, cursor, this.#options).next(1)
    return line === undefined ? [] : this.#flattener.flatten(line.record).cells
  }
}

/** Opens a file of one JSON value per line. Fails as its bytes do; `Refusal` LIMIT_EXCEEDED for too many names. */
export function openNdjson(
  open: OpenBytes,
  columns: readonly string[],
  options: NdjsonOptions = {},
): Promise<NdjsonSource> {
  return Promise.resolve(new NdjsonSource(open, columns, options))
}

/** The records of a text that is held in memory. Without `whole`, the last line is left out unless it ends. */
export function ndjsonRecords(text: Buffer, whole: boolean): { records: JsonRecord[]; bytes: number } {
  const lines = new Lines({ byte: 0, row: 1 }, { groupRows: text.length, rowBytesMax: ROW_BYTES_MAX })
  lines.window = text
  lines.to = text.length
  lines.skipByteOrderMark()
  const found = lines.next(text.length, whole)
  return { records: found.map(({ record }) => record), bytes: found.at(-1)?.end ?? 0 }
}

interface Line {
  readonly record: JsonRecord
  readonly byte: number
  readonly end: number
}

/** Where a line stands in the window, and what looking at its brackets told. */
interface Cut {
  readonly start: number
  readonly end: number
  readonly number: number
  readonly fault: RowFault | null
  readonly marks: readonly number[]
  /** Whether it can be parsed together with others. */
  readonly isClean: boolean
}

/** Lines in a window of bytes. */
class Lines {
  window: Buffer = Buffer.alloc(0)
  /** The bytes in hand stand in `window` from `from` to `to`. */
  from = 0
  to = 0
  /** Place of `window[0]` in the file. */
  offset: number
  readonly #options: Required<JsonOptions>
  #number: number
  /** Bytes up to here hold no further line end. */
  seen = 0
  /** Where the line starts that is being passed over; null if none is. */
  #skipped: number | null = null

  constructor(from: Cursor, options: Required<JsonOptions>) {
    this.offset = from.byte
    this.#number = from.row
    this.#options = options
  }

  skipByteOrderMark(): void {
    if (this.window.subarray(this.from, this.from + 3).equals(BYTE_ORDER_MARK)) {
      this.from += 3
      this.seen = this.from
    }
  }

  /** The next lines that hold something, at most `most`; empty where more bytes are needed or, with `eof`, none are left. */
  next(most: number, eof: boolean): Line[] {
    const cuts: Cut[] = []
    const { window, to } = this
    let skipped: number | null = null
    while (cuts.length < most) {
      const found = this.seen < to ? window.indexOf(LF, this.seen) : -1
      const isLast = found < 0 || found >= to
      if (isLast && (!eof || (this.from >= to && this.#skipped === null))) {
        break
      }
      const end = isLast ? to : found + 1
      const cut = this.#cut(end)
      skipped ??= cut !== null && this.#skipped !== null ? this.#skipped : null
      if (this.#skipped !== null && cut !== null) {
        this.#skipped = null
      }
      if (cut !== null) {
        cuts.push(cut)
      }
      this.#number += 1
      this.from = end
      this.seen = end
    }
    if (cuts.length === 0) {
      this.seen = to
      if (this.#skipped !== null || to - this.from > this.#options.rowBytesMax + 2) {
        this.#skipped ??= this.offset + this.from
        this.from = to
      }
    }
    const records = this.#parse(cuts)
    return cuts.map((cut, index) => ({
      record: records[index]!,
      byte: index === 0 && skipped !== null ? skipped : this.offset + cut.start,
      end: this.offset + cut.end,
    }))
  }

  /** Null for a blank line. */
  #cut(end: number): Cut | null {
    const { window, from: start } = this
    const number = this.#number
    const ends = window[end - 1] !== LF ? 0 : window[end - 2] === CR ? 2 : 1
    if (this.#skipped !== null || end - start - ends > this.#options.rowBytesMax) {
      const message = `The line has more than ${this.#options.rowBytesMax} bytes.`
      return { start, end, number, fault: { code: 'ROW_TOO_LARGE', message }, marks: [], isClean: false }
    }
    let at = start
    while (at < end && isBlank(window[at]!)) {
      at += 1
    }
    return at === end ? null : { start, end, number, ...lookAt(window, at, end) }
  }

  #parse(cuts: readonly Cut[]): JsonRecord[] {
    const first = cuts[0]
    const last = cuts.at(-1)
    if (first === undefined || last === undefined) {
      return []
    }
    const bytes = this.window.subarray(first.start, last.end)
    if (cuts.every(({ isClean }) => isClean) && isUtf8(bytes)) {
      const marks = cuts.flatMap((cut) => cut.marks)
      const end = this.window[last.end - 1] === LF ? last.end - 1 : last.end
      const text = markedText(this.window, first.start, end, marks)
      // A line end within a text is written as an escape: each one here stands between two values.
      const values = parseJson(`[${text.replaceAll('\n', ',')}]`)
      if (Array.isArray(values) && values.length === cuts.length) {
        const isEscaped = bytes.includes('\\u')
        return cuts.map(({ number }, index) => ({ number, value: values[index] as unknown, isEscaped, fault: null }))
      }
    }
    return cuts.map((cut) => this.#parseOne(cut))
  }

  #parseOne({ start, end, number, fault, marks }: Cut): JsonRecord {
    if (fault !== null) {
      return { number, value: null, isEscaped: false, fault }
    }
    const from = this.window[start] === RECORD_SEPARATOR ? start + 1 : start
    const bytes = this.window.subarray(from, end)
    if (!isUtf8(bytes)) {
      const message = 'The line holds bytes that do not fit the encoding of the file.'
      return { number, value: null, isEscaped: false, fault: { code: 'BAD_ENCODING', message } }
    }
    const value = parseJson(markedText(this.window, from, end, marks))
    const wrong: RowFault | null =
      value === undefined ? { code: 'UNPARSABLE_ROW', message: whatIsWrong(bytes.toString('utf8').trimEnd()) } : null
    return { number, value: value ?? null, isEscaped: true, fault: wrong }
  }
}

const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf)

/** Looks at the brackets and numbers of a line. */
function lookAt(window: Buffer, from: number, end: number): Pick<Cut, 'fault' | 'marks' | 'isClean'> {
  let marks: number[] = NO_MARKS
  let depth = 0
  let isClean = true
  for (let at = from; at < end; ) {
    const byte = window[at]!
    at += 1
    if (byte === 0x22) {
      while (at < end && window[at] !== 0x22) {
        at += window[at] === 0x5c ? 2 : 1
      }
      isClean &&= at < end
      at += 1
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1
      if (depth > JSON_DEPTH_MAX) {
        const message = `Brackets stand in brackets in it, more than ${JSON_DEPTH_MAX} deep.`
        return { fault: { code: 'UNPARSABLE_ROW', message }, marks: [], isClean: false }
      }
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1
      isClean &&= depth >= 0
    } else if (byte === 0x2c) {
      isClean &&= depth > 0
    } else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
      const start = at - 1
      while (at < end && isNumberByte(window[at]!)) {
        at += 1
      }
      if (needsMark(window, start, at) && !isName(window, at, end)) {
        marks = marks === NO_MARKS ? [] : marks
        marks.push(start, at)
      }
    }
  }
  return { fault: null, marks, isClean: isClean && depth === 0 }
}

const NO_MARKS: number[] = []

function isNumberByte(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2e || (byte | 0x20) === 0x65 || byte === 0x2b || byte === 0x2d
}

/** Whether a colon follows: a number in the place of a name stays as it is, and is refused. */
function isName(window: Buffer, from: number, end: number): boolean {
  let at = from
  while (at < end && isBlank(window[at]!)) {
    at += 1
  }
  return window[at] === 0x3a && at < end
}

/** Reads blocks into a window. Holds at most some multiple of a row's limit. */
class LineReader {
  readonly #bytes: ByteReader
  readonly #lines: Lines
  #at: number
  #blockBytes = FIRST_BLOCK_BYTES
  #eof = false

  constructor(bytes: ByteReader, from: Cursor, options: Required<JsonOptions>) {
    this.#bytes = bytes
    this.#at = from.byte
    this.#lines = new Lines(from, options)
  }

  /** The next lines, at least one and at most `most`; empty at the end of the file. */
  async next(most: number): Promise<readonly Line[]> {
    for (;;) {
      const lines = this.#lines.next(most, this.#eof)
      if (lines.length > 0 || this.#eof) {
        return lines
      }
      await this.#fill()
    }
  }

  async #fill(): Promise<void> {
    const lines = this.#lines
    const start = this.#at === 0
    const held = lines.to - lines.from
    const want = Math.max(this.#blockBytes, held)
    this.#blockBytes = Math.min(SOURCE_BLOCK_BYTES, this.#blockBytes * 4)
    if (lines.to + want > lines.window.length) {
      const room = held + want
      const window = room > lines.window.length ? Buffer.allocUnsafeSlow(room + SOURCE_BLOCK_BYTES) : lines.window
      lines.window.copy(window, 0, lines.from, lines.to)
      lines.window = window
      lines.offset += lines.from
      lines.seen -= lines.from
      lines.from = 0
      lines.to = held
    }
    const { to } = lines
    // At the start at least enough to see a byte order mark.
    do {
      const read = await this.#bytes.read(lines.window, lines.to, want - (lines.to - to), this.#at)
      this.#eof = read === 0
      lines.to += read
      this.#at += read
    } while (start && !this.#eof && this.#at < BYTE_ORDER_MARK.length)
    if (start) {
      lines.skipByteOrderMark()
    }
  }
}
