/** The rows that failed, as a file that a person corrects and loads again. */
import { pipeline, Readable } from 'node:stream'
import { stringify } from 'csv-stringify'
import { FatalError } from '../../errors.js'
import type { Column, Cursor, Row, Source } from '../source.js'

export interface FailedRow {
  /** Number and place of the row in its source: its cursor. */
  readonly number: number
  readonly byte: number
  /** What is wrong with it, in words. */
  readonly errors: string
}

export interface FailedRowsOptions {
  /** The file that the rows came from, unchanged since. */
  readonly source: Source
  /** In ascending order; another order works and reads more. */
  readonly rows: AsyncIterable<FailedRow>
  /** Columns of the source, in the order in which they are written. */
  readonly columns: readonly Column[]
  /** One character. Default: a comma. A person's spreadsheet opens best what their own file had. */
  readonly delimiter?: string
  readonly signal?: AbortSignal
}

/** Columns that are added behind the file's own. In a file that was corrected before, the old ones are left out. */
export const ROW_COLUMN = '_portage_row'
export const ERRORS_COLUMN = '_portage_errors'

/** Up to so far ahead reading on is cheaper than seeking. Bytes. */
const NEAR_BYTES = 256 * 1024

/**
 * A CSV file in UTF-8, with a byte order mark because spreadsheets take it for another encoding without: the columns,
 * then `_portage_row` and `_portage_errors`, then the cells that had no column, if any. Values stand exactly as they stood
 * (where bytes were no text, as U+FFFD), so that the file loads again exactly; formulas are not made harmless. The stream
 * fails with `FatalError` SOURCE_CHANGED where a row is not found at its place, and as the source does; whoever destroys
 * it closes what it reads.
 */
export function failedRowsCsv(options: FailedRowsOptions): Readable {
  const stringifier = stringify({ bom: true, delimiter: options.delimiter ?? ',' })
  return pipeline(Readable.from(records(options)), stringifier, () => {
    // The stream itself tells its reader.
  })
}

export interface UnprocessedRowsOptions {
  readonly source: Source
  /** Where the first of them starts; null: at the beginning. */
  readonly from: Cursor | null
  /** Told each time how many rows it is by then. */
  readonly onRows: (rows: number) => void
  readonly delimiter?: string
}

/**
 * All rows from a place on as a CSV file like that of failed rows, but without `_portage_errors`: a run that was stopped had
 * not come to them.
 */
export function unprocessedRowsCsv(options: UnprocessedRowsOptions): Readable {
  const stringifier = stringify({ bom: true, delimiter: options.delimiter ?? ',' })
  return pipeline(Readable.from(unprocessed(options)), stringifier, () => {
    // The stream itself tells its reader.
  })
}

async function* unprocessed({ source, from, onRows }: UnprocessedRowsOptions): AsyncGenerator<readonly string[]> {
  const kept = source.columns.filter((column) => column.name !== ROW_COLUMN && column.name !== ERRORS_COLUMN)
  yield [...kept.map((column) => column.name), ROW_COLUMN]
  let rows = 0
  for await (const group of source.rows(from, new AbortController().signal)) {
    for (const { number, cells } of group) {
      yield [...kept.map((column) => cells[column.index] ?? ''), String(number), ...cells.slice(source.columns.length)]
    }
    rows += group.length
    onRows(rows)
  }
}

async function* records({ source, rows, columns, signal }: FailedRowsOptions): AsyncGenerator<readonly string[]> {
  const kept = columns.filter((column) => column.name !== ROW_COLUMN && column.name !== ERRORS_COLUMN)
  yield [...kept.map((column) => column.name), ROW_COLUMN, ERRORS_COLUMN]
  await using reader = new RowReader(source, signal ?? new AbortController().signal)
  for await (const failed of rows) {
    const { cells } = await reader.read(failed)
    const surplus = cells.slice(source.columns.length)
    yield [...kept.map((column) => cells[column.index] ?? ''), String(failed.number), failed.errors, ...surplus]
  }
}

/** Where a row of a source stands. */
export type RowPlace = Pick<FailedRow, 'number' | 'byte'>

/**
 * Reads single rows of a source: on from the last one where the next is near, from its cursor where it is far. Throws
 * `FatalError` SOURCE_CHANGED for a row that is not at its place.
 */
export class RowReader implements AsyncDisposable {
  readonly #source: Source
  readonly #signal: AbortSignal
  #groups: AsyncIterator<readonly Row[]> | null = null
  #group: readonly Row[] = []
  #index = 0
  /** Offset behind the last row that was looked at. */
  #end = 0

  constructor(source: Source, signal: AbortSignal) {
    this.#source = source
    this.#signal = signal
  }

  async read(wanted: RowPlace): Promise<Row> {
    if (this.#groups === null || wanted.byte < this.#end || wanted.byte - this.#end > NEAR_BYTES) {
      await this[Symbol.asyncDispose]()
      const from = { byte: wanted.byte, row: wanted.number }
      this.#groups = this.#source.rows(from, this.#signal)[Symbol.asyncIterator]()
    }
    for (;;) {
      for (; this.#index < this.#group.length; this.#index += 1) {
        const row = this.#group[this.#index]!
        if (row.byte >= wanted.byte) {
          if (row.byte > wanted.byte || row.number !== wanted.number) {
            throw missing(wanted)
          }
          this.#index += 1
          this.#end = row.end
          return row
        }
      }
      const next = await this.#groups.next()
      if (next.done === true) {
        throw missing(wanted)
      }
      this.#group = next.value
      this.#index = 0
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const groups = this.#groups
    this.#groups = null
    this.#group = []
    this.#index = 0
    await groups?.return?.()
  }
}

function missing(wanted: RowPlace): FatalError {
  return new FatalError('SOURCE_CHANGED', `Row ${wanted.number} is no longer where it was in the file.`)
}
