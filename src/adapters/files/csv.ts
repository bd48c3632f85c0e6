/** CSV and its relatives (TSV, semicolons, UTF-16 "Unicode text") as a source of rows. */
import {
  CELL_BYTES_MAX,
  CELLS_PER_ROW_MAX,
  FILE_HEAD_BYTES_MAX,
  ROW_BYTES_MAX,
  SOURCE_BLOCK_BYTES,
  SOURCE_GROUP_ROWS_MAX,
} from '../../limits.js'
import type { Column, Cursor, Row, Source } from '../source.js'
import type { ByteReader, OpenBytes } from './bytes.js'
import { CsvScanner } from './csv-scanner.js'
import { localBytes } from './local-bytes.js'
import { Utf16Transcoder } from './utf16.js'

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be'

/** How the bytes of a file become rows: everything that `openCsv` must be told. Plain data; see `dialectOf`. */
export interface Dialect {
  readonly encoding: Encoding
  /** One or more characters; null: a line is one cell. */
  readonly delimiter: string | null
  /** One ASCII character; null: quotes are ordinary text. */
  readonly quote: string | null
  /** How a quote inside a quoted value is written; doubled if absent or null. */
  readonly escape?: 'DOUBLED' | 'BACKSLASH' | null
  /** Rows with a higher number stand below the table and are faults. Null or absent: there are none. */
  readonly lastDataRow?: number | null
  /** Rows with a lower number (header, lines above it) are no data. */
  readonly firstDataRow: number
  /** Names of the columns, made unique. */
  readonly columns: readonly string[]
}

/** For tests; the defaults are those of limits.ts. */
export interface CsvOptions {
  readonly blockBytes?: number
  readonly groupRows?: number
  readonly cellBytesMax?: number
  readonly cellsPerRowMax?: number
  readonly rowBytesMax?: number
}

/** The first read of a loop: reading one row, as for showing it, should not cost a whole block. Bytes. */
const FIRST_BLOCK_BYTES = 16 * 1024

/**
 * A stored CSV file, which must not change while it is read. Holds nothing open between calls.
 * Throws `FatalError` FILE_UNREADABLE where the file is gone, `RetryableError` FILE_READ_FAILED where the store fails.
 */
export class CsvSource implements Source {
  readonly columns: readonly Column[]
  readonly #bytes: OpenBytes
  readonly #dialect: Dialect
  readonly #options: Required<CsvOptions>
  /** Where the first data row starts. */
  #start: Cursor = { byte: 0, row: 1 }

  private constructor(bytes: OpenBytes, dialect: Dialect, options: CsvOptions) {
    this.#bytes = bytes
    this.#dialect = dialect
    this.#options = withDefaults(options)
    this.columns = dialect.columns.map((name, index) => ({ index, name }))
  }

  /** Opens a source at its first data row. */
  static async open(bytes: OpenBytes, dialect: Dialect, options: CsvOptions): Promise<CsvSource> {
    const source = new CsvSource(bytes, dialect, options)
    source.#start = await source.#find(dialect.firstDataRow)
    return source
  }

  async *rows(from: Cursor | null, signal: AbortSignal): AsyncGenerator<readonly Row[], void, undefined> {
    signal.throwIfAborted()
    await using reader = await this.#open(from ?? this.#start)
    for (;;) {
      const rows = await reader.next(this.#options.groupRows)
      signal.throwIfAborted()
      if (rows.length === 0) {
        return
      }
      yield rows
    }
  }

  /**
   * Cells of the row at `cursor` as they stand in the file, more or fewer than there are columns where the row has a
   * fault; empty where no row starts there.
   */
  async cellsAt(cursor: Cursor): Promise<readonly string[]> {
    await using reader = await this.#open(cursor)
    const rows = await reader.next(1)
    return rows[0]?.cells ?? []
  }

  /** Exact for a file that fits into one look; else from the length of its first rows, some percent off as a rule. */
  async estimateCount(signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    await using reader = await this.#open(this.#start)
    let count = 0
    let end = this.#start.byte
    for (;;) {
      const rows = await reader.next(this.#options.groupRows)
      signal.throwIfAborted()
      const last = rows.at(-1)
      if (last === undefined) {
        return count
      }
      count += rows.length
      end = last.end
      const read = end - this.#start.byte
      if (read >= FILE_HEAD_BYTES_MAX) {
        return Math.max(count, Math.round((count * (reader.byteSize - this.#start.byte)) / read))
      }
    }
  }

  async #find(firstDataRow: number): Promise<Cursor> {
    await using reader = await this.#open({ byte: 0, row: 1 })
    for (;;) {
      const rows = await reader.next(this.#options.groupRows)
      const last = rows.at(-1)
      if (last === undefined) {
        return { byte: reader.byteSize, row: firstDataRow }
      }
      if (last.number >= firstDataRow) {
        const first = rows.find((row) => row.number >= firstDataRow) ?? last
        return { byte: first.byte, row: first.number }
      }
    }
  }

  async #open(from: Cursor): Promise<Reader> {
    return new Reader(await this.#bytes(), from, this.#dialect, this.#options)
  }
}

/** Opens the CSV file with these bytes, or at this path of the local disk. Fails as `CsvSource` does. */
export function openCsv(file: OpenBytes | string, dialect: Dialect, options: CsvOptions = {}): Promise<CsvSource> {
  return CsvSource.open(typeof file === 'string' ? localBytes(file) : file, dialect, options)
}

/**
 * The rows of a CSV file that comes as UTF-8 in chunks of any size, as from a transcoder: from the first data row on, in
 * groups. Bytes that a transcoder could not decode (0xFF) make a BAD_ENCODING fault of their row. `byte` and `end` of a row
 * count the bytes of `chunks`; there is no going on from them. The dialect's encoding does not matter.
 */
export async function* csvRows(
  chunks: AsyncIterable<Uint8Array>,
  dialect: Dialect,
  options: CsvOptions = {},
): AsyncGenerator<readonly Row[], void, undefined> {
  const all = withDefaults(options)
  const stream = new RowStream(dialect, all)
  for await (const chunk of chunks) {
    stream.push(chunk)
    for (let rows = stream.next(false); rows.length > 0; rows = stream.next(false)) {
      yield rows
    }
  }
  for (let rows = stream.next(true); rows.length > 0; rows = stream.next(true)) {
    yield rows
  }
}

function withDefaults(options: CsvOptions): Required<CsvOptions> {
  return {
    blockBytes: options.blockBytes ?? SOURCE_BLOCK_BYTES,
    groupRows: options.groupRows ?? SOURCE_GROUP_ROWS_MAX,
    cellBytesMax: options.cellBytesMax ?? CELL_BYTES_MAX,
    cellsPerRowMax: options.cellsPerRowMax ?? CELLS_PER_ROW_MAX,
    rowBytesMax: options.rowBytesMax ?? ROW_BYTES_MAX,
  }
}

function scannerOf(
  dialect: Dialect,
  columns: readonly string[] | null,
  unitBytes: 1 | 2,
  options: Required<CsvOptions>,
): CsvScanner {
  const { delimiter, quote, escape, lastDataRow } = dialect
  return new CsvScanner({ ...options, delimiter, quote, escape, lastDataRow, columns, unitBytes })
}

/** Rows of bytes that are pushed. */
class RowStream {
  readonly #dialect: Dialect
  readonly #options: Required<CsvOptions>
  #scanner: CsvScanner
  /** Whether the rows above the data are behind us. */
  #below = false
  /** Whether the start was looked at for a byte order mark. */
  #started = false
  #window: Buffer = Buffer.alloc(0)
  #from = 0
  #to = 0
  /** Bytes in hand below which no further row can end: a long row is not scanned again for each small chunk. */
  #wanted = 0

  constructor(dialect: Dialect, options: Required<CsvOptions>) {
    this.#dialect = dialect
    this.#options = options
    this.#scanner = scannerOf(dialect, null, 1, options)
  }

  push(chunk: Uint8Array): void {
    const held = this.#to - this.#from
    if (this.#to + chunk.length > this.#window.length) {
      const room = held + chunk.length
      const window = room > this.#window.length ? Buffer.allocUnsafeSlow(room * 2) : this.#window
      this.#window.copy(window, 0, this.#from, this.#to)
      this.#window = window
      this.#from = 0
      this.#to = held
    }
    this.#window.set(chunk, this.#to)
    this.#to += chunk.length
  }

  /** The next rows; empty where more bytes are needed or, with `eof`, where no more come. */
  next(eof: boolean): readonly Row[] {
    const held = this.#to - this.#from
    if (!eof && (held < this.#wanted || (!this.#started && held < 3))) {
      return []
    }
    if (!this.#started) {
      this.#started = true
      const at = this.#from
      if (held >= 3 && this.#window[at] === 0xef && this.#window[at + 1] === 0xbb && this.#window[at + 2] === 0xbf) {
        this.#from += 3
        this.#scanner.byte += 3
      }
    }
    while (!this.#below) {
      const [row] = this.#scan(eof, 1)
      if (row === undefined) {
        return []
      }
      if (row.number >= this.#dialect.firstDataRow) {
        // Read it again, now with columns.
        this.#below = true
        this.#from -= row.end - row.byte
        this.#scanner = scannerOf(this.#dialect, this.#dialect.columns, 1, this.#options)
        this.#scanner.byte = row.byte
        this.#scanner.number = row.number
      }
    }
    return this.#scan(eof, this.#options.groupRows)
  }

  #scan(eof: boolean, maxRows: number): readonly Row[] {
    const rows = this.#scanner.scan(this.#window, this.#from, this.#to, eof, maxRows)
    this.#from = this.#scanner.position
    this.#wanted = rows.length > 0 ? 0 : (this.#to - this.#from) * 2
    return rows
  }
}

/** Reads blocks into a window and lets the scanner find rows in it. Holds at most some multiple of a row's limit. */
class Reader implements AsyncDisposable {
  readonly byteSize: number
  readonly #bytes: ByteReader
  readonly #scanner: CsvScanner
  readonly #transcoder: Utf16Transcoder | null
  readonly #blockBytes: number
  /** Where the next block stands in the file. */
  #offset: number
  #nextBlockBytes: number
  /** The bytes in hand stand in `#window` from `#from` to `#to`. */
  #window: Buffer
  #from = 0
  #to = 0
  #eof = false

  constructor(bytes: ByteReader, from: Cursor, dialect: Dialect, options: Required<CsvOptions>) {
    const { encoding } = dialect
    const columns = from.row < dialect.firstDataRow ? null : dialect.columns
    this.byteSize = bytes.byteSize
    this.#bytes = bytes
    this.#scanner = scannerOf(dialect, columns, encoding === 'utf-8' ? 1 : 2, options)
    this.#scanner.byte = from.byte
    this.#scanner.number = from.row
    this.#transcoder = encoding === 'utf-8' ? null : new Utf16Transcoder(encoding === 'utf-16be')
    this.#blockBytes = options.blockBytes
    this.#offset = from.byte
    this.#nextBlockBytes = Math.min(options.blockBytes, FIRST_BLOCK_BYTES)
    this.#window = Buffer.allocUnsafeSlow(this.#nextBlockBytes * 2)
  }

  /** The next rows, at least one and at most `maxRows`; empty at the end of the file. */
  async next(maxRows: number): Promise<Row[]> {
    for (;;) {
      const rows = this.#scanner.scan(this.#window, this.#from, this.#to, this.#eof, maxRows)
      this.#from = this.#scanner.position
      const last = rows.at(-1)
      if (last !== undefined && last.end > this.byteSize) {
        // Half a UTF-16 character at the end of the file was read as a whole one.
        rows[rows.length - 1] = { ...last, end: this.byteSize }
      }
      if (rows.length > 0 || this.#eof) {
        return rows
      }
      await this.#fill()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bytes[Symbol.asyncDispose]()
  }

  /** Reads on behind the bytes in hand: as much again as they are, so that a long row is scanned a few times at most. */
  async #fill(): Promise<void> {
    const start = this.#offset === 0
    const held = this.#to - this.#from
    // At the start at least enough to see a byte order mark.
    const want = Math.max(this.#nextBlockBytes, held, 4)
    this.#nextBlockBytes = Math.min(this.#blockBytes, this.#nextBlockBytes * 4)
    if (this.#transcoder === null) {
      this.#makeRoom(want)
      this.#to += await this.#read(this.#window, this.#to, want)
    } else {
      const block = Buffer.allocUnsafeSlow(want)
      const length = await this.#read(block, 0, want)
      const text = this.#transcoder.push(block.subarray(0, length), this.#eof)
      this.#makeRoom(text.length)
      this.#to += text.copy(this.#window, this.#to)
    }
    if (start) {
      this.#skipByteOrderMark()
    }
  }

  /** Fills `target` from `at` on with `length` bytes of the file, fewer only at its end. */
  async #read(target: Buffer, at: number, length: number): Promise<number> {
    let filled = 0
    while (filled < length) {
      const bytesRead = await this.#bytes.read(target, at + filled, length - filled, this.#offset)
      if (bytesRead === 0) {
        this.#eof = true
        break
      }
      filled += bytesRead
      this.#offset += bytesRead
    }
    if (this.#offset >= this.byteSize) {
      this.#eof = true
    }
    return filled
  }

  #makeRoom(length: number): void {
    const held = this.#to - this.#from
    if (this.#to + length > this.#window.length) {
      if (held + length > this.#window.length) {
        const window = Buffer.allocUnsafeSlow(held + length + this.#blockBytes)
        this.#window.copy(window, 0, this.#from, this.#to)
        this.#window = window
      } else {
        this.#window.copyWithin(0, this.#from, this.#to)
      }
      this.#from = 0
      this.#to = held
    }
  }

  #skipByteOrderMark(): void {
    const at = this.#from
    if (this.#window[at] === 0xef && this.#window[at + 1] === 0xbb && this.#window[at + 2] === 0xbf) {
      this.#from += 3
      this.#scanner.byte += this.#transcoder === null ? 3 : 2
    }
  }
}
