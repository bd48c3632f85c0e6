/**
 * The row file: what a file becomes that cannot be read on from any place in it. One line for each row, a JSON array:
 * `[number, "cell", ...]`, or `[number, {"code", "message"}, "cell", ...]` for a row with a fault. In UTF-8; a line ends with
 * `\n` and holds no other.
 */
import { FatalError } from '../../errors.js'
import { ROW_FILE_LINE_BYTES_MAX, SOURCE_BLOCK_BYTES, SOURCE_GROUP_ROWS_MAX } from '../../limits.js'
import type { Column, Cursor, Row, RowFault, Source } from '../source.js'
import type { ByteReader, OpenBytes } from './bytes.js'

/** The line of a row, with its line end. */
export function rowLine(row: Pick<Row, 'number' | 'cells' | 'fault'>): string {
  const cells = JSON.stringify(row.cells)
  const fault = row.fault === null ? '' : `,${JSON.stringify({ code: row.fault.code, message: row.fault.message })}`
  return cells.length === 2 ? `[${row.number}${fault}]\n` : `[${row.number}${fault},${cells.slice(1)}\n`
}

const LINE_END = 10

/** How much is read at first: showing one row should not cost a whole block. Bytes. */
const FIRST_BLOCK_BYTES = 16 * 1024

/** A row file as a source of rows. Holds nothing open between calls. Throws `FatalError` ROWS_BROKEN for a line that is no row. */
export class RowFileSource implements Source {
  readonly columns: readonly Column[]
  readonly #open: OpenBytes

  constructor(open: OpenBytes, columns: readonly string[]) {
    this.#open = open
    this.columns = columns.map((name, index) => ({ index, name }))
  }

  async *rows(from: Cursor | null, signal: AbortSignal): AsyncGenerator<readonly Row[], void, undefined> {
    signal.throwIfAborted()
    await using bytes = await this.#open()
    const lines = new LineReader(bytes, from?.byte ?? 0)
    for (;;) {
      const rows = await lines.next(this.columns.length, SOURCE_GROUP_ROWS_MAX)
      signal.throwIfAborted()
      if (rows.length === 0) {
        return
      }
      yield rows
    }
  }

  /** Cells of the row at `cursor`; empty where none starts there. */
  async cellsAt(cursor: Cursor): Promise<readonly string[]> {
    await using bytes = await this.#open()
    const rows = await new LineReader(bytes, cursor.byte).next(this.columns.length, 1)
    return rows[0]?.cells ?? []
  }
}

/** Reads blocks into a window and parses the whole lines in it, many at a time: that is faster than line by line. */
class LineReader {
  readonly #bytes: ByteReader
  #offset: number
  #blockBytes = FIRST_BLOCK_BYTES
  #window = Buffer.allocUnsafeSlow(FIRST_BLOCK_BYTES * 2)
  /** The bytes in hand stand in `#window` from `#from` to `#to`; those before `#seen` hold no line end. */
  #from = 0
  #to = 0
  #seen = 0
  #eof = false

  constructor(bytes: ByteReader, offset: number) {
    this.#bytes = bytes
    this.#offset = offset
  }

  /** The next rows, at least one and at most `most`; empty at the end of the file. */
  async next(columns: number, most: number): Promise<Row[]> {
    for (;;) {
      const ends = this.#lineEnds(most)
      if (ends.length > 0) {
        return this.#parse(ends, columns)
      }
      if (this.#eof) {
        if (this.#to > this.#from) {
          throw broken(this.#position)
        }
        return []
      }
      await this.#fill()
    }
  }

  get #position(): number {
    return this.#offset - (this.#to - this.#from)
  }

  #lineEnds(most: number): number[] {
    const ends: number[] = []
    let at = this.#seen
    while (ends.length < most) {
      const end = this.#window.indexOf(LINE_END, at)
      if (end < 0 || end >= this.#to) {
        break
      }
      at = end + 1
      ends.push(at)
    }
    this.#seen = ends.length === 0 ? this.#to : at
    return ends
  }

  #parse(ends: readonly number[], columns: number): Row[] {
    const start = this.#position
    const first = this.#from
    const last = ends.at(-1) ?? first
    // A line end within a text is written as an escape: each one here stands between two rows.
    const text = this.#window.toString('utf8', first, last - 1)
    let lines: unknown[]
    try {
      lines = JSON.parse(`[${text.replaceAll('\n', ',')}]`) as unknown[]
    } catch (error) {
      throw broken(start, error)
    }
    if (lines.length !== ends.length) {
      throw broken(start)
    }
    let byte = start
    const rows = lines.map((line, index): Row => {
      const end = start + (ends[index] ?? last) - first
      const row = rowOf(line, byte, end, columns)
      byte = end
      return row
    })
    this.#from = last
    this.#seen = last
    return rows
  }

  async #fill(): Promise<void> {
    const held = this.#to - this.#from
    if (held > ROW_FILE_LINE_BYTES_MAX) {
      throw broken(this.#position)
    }
    const want = Math.max(this.#blockBytes, held)
    this.#blockBytes = Math.min(SOURCE_BLOCK_BYTES, this.#blockBytes * 4)
    if (this.#to + want > this.#window.length) {
      const window =
        held + want > this.#window.length ? Buffer.allocUnsafeSlow(held + want + SOURCE_BLOCK_BYTES) : this.#window
      this.#window.copy(window, 0, this.#from, this.#to)
      this.#window = window
      this.#seen -= this.#from
      this.#from = 0
      this.#to = held
    }
    const read = await this.#bytes.read(this.#window, this.#to, want, this.#offset)
    this.#eof = read === 0
    this.#to += read
    this.#offset += read
  }
}

function rowOf(line: unknown, byte: number, end: number, columns: number): Row {
  if (!Array.isArray(line) || typeof line[0] !== 'number') {
    throw broken(byte)
  }
  const cells = line as unknown as string[]
  const number = line[0]
  const second: unknown = line[1]
  if (typeof second === 'object' && second !== null) {
    return { number, byte, end, cells: cells.slice(2), fault: second as RowFault }
  }
  const row = cells.slice(1)
  // Columns that were first seen further down.
  while (row.length < columns) {
    row.push('')
  }
  return { number, byte, end, cells: row, fault: null }
}

function broken(byte: number, cause?: unknown): FatalError {
  return new FatalError('ROWS_BROKEN', `The rows of the file are broken at byte ${byte}. Import the file again.`, {
    cause,
  })
}
