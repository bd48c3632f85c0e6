/** The rows that a retry applies, as a row file: rows of the first file, as they stood or with other cells, and their numbers. */
import { Refusal } from '../../errors.js'
import { RETRY_UNSORTED_BYTES_MAX } from '../../limits.js'
import type { Column, Row, RowFault, Source } from '../source.js'
import { ERRORS_COLUMN, ROW_COLUMN, RowReader } from './failed-rows.js'
import { rowLine } from './row-file.js'

/** A row that is tried again, and what is new in it. */
export interface Correction {
  readonly number: number
  /** New texts by the index of their column in the first file; null: the row as it was. */
  readonly cells: ReadonlyMap<number, string> | null
  /** What is wrong with the line that the correction came in; such a row fails with it. */
  readonly fault: RowFault | null
}

/** A row of the first file and its correction. */
export interface PlacedCorrection extends Correction {
  readonly byte: number
}

/** Lines of a row file: the rows at these places of `source`, with their corrections. Fails as `failedRowsCsv` does. */
export async function* retryLines(
  source: Source,
  rows: AsyncIterable<PlacedCorrection>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  await using reader = new RowReader(source, signal)
  for await (const correction of rows) {
    yield rowLine(corrected(await reader.read(correction), correction, source.columns.length))
  }
}

function corrected(
  row: Row,
  { cells: given, fault }: Correction,
  width: number,
): Pick<Row, 'number' | 'cells' | 'fault'> {
  if (given === null || given.size === 0) {
    return { number: row.number, cells: row.cells, fault: fault ?? row.fault }
  }
  const cells = Array.from({ length: width }, (_, index) => given.get(index) ?? row.cells[index] ?? '')
  const changed = row.cells.length !== width || cells.some((cell, index) => cell !== row.cells[index])
  return { number: row.number, cells, fault: fault ?? (changed ? faultOf(cells, row.fault) : row.fault) }
}

/** A corrected row is whole, unless what could not be read of it is still there. */
function faultOf(cells: readonly string[], before: RowFault | null): RowFault | null {
  if (cells.some((cell) => cell.includes('\0'))) {
    return { code: 'UNPARSABLE_ROW', message: 'The row holds a NUL character.' }
  }
  return before !== null && before.code === 'BAD_ENCODING' && cells.some((cell) => cell.includes('\uFFFD'))
    ? before
    : null
}

/** A corrected file of failed rows, opened. */
export interface CorrectedFile {
  readonly columns: readonly Column[]
  /** All its rows from the beginning on; may be asked for again. */
  readonly rows: () => AsyncIterable<readonly Row[]>
}

/**
 * The corrections that a file of failed rows holds, in ascending order of rows. Its cells belong to the columns of the first
 * file by name; columns behind `_portage_row` that the first file has not are passed over. Refuses INVALID_INPUT for a file
 * without `_portage_row`, for a row without a number or with another's, UNKNOWN_COLUMN, and LIMIT_EXCEEDED where rows are in
 * another order and too many to be sorted.
 */
export async function* corrections(file: CorrectedFile, columns: readonly Column[]): AsyncGenerator<Correction> {
  const place = file.columns.find(({ name }) => name === ROW_COLUMN)?.index
  if (place === undefined) {
    throw new Refusal(
      'INVALID_INPUT',
      `The file has no column ${ROW_COLUMN}, which tells the row that each line belongs to. Correct the file of failed rows, and keep that column.`,
      ['file'],
    )
  }
  const targets = targetsOf(file.columns, columns, place)
  const read = () => each(file, place, targets)
  if (await isAscending(read())) {
    yield* read()
    return
  }
  const held: Correction[] = []
  let bytes = 0
  for await (const correction of read()) {
    held.push(correction)
    bytes +=
      HELD_BYTES + [...(correction.cells?.values() ?? [])].reduce((sum, cell) => sum + 2 * cell.length + HELD_BYTES, 0)
    if (bytes > RETRY_UNSORTED_BYTES_MAX) {
      throw new Refusal('LIMIT_EXCEEDED', `The file is too large to be sorted here: sort it by ${ROW_COLUMN}.`, [
        'file',
      ])
    }
  }
  held.sort((a, b) => a.number - b.number)
  for (const [index, correction] of held.entries()) {
    if (correction.number === held[index - 1]?.number) {
      throw twice(correction.number)
    }
    yield correction
  }
}

/** What a cell or a row takes in memory beside its text, about. Bytes. */
const HELD_BYTES = 64

/** Whether the rows are in order. Refuses a number that stands in two lines behind one another. */
async function isAscending(rows: AsyncIterable<Correction>): Promise<boolean> {
  let last = 0
  for await (const { number } of rows) {
    if (number === last) {
      throw twice(number)
    }
    if (number < last) {
      return false
    }
    last = number
  }
  return true
}

async function* each(
  file: CorrectedFile,
  place: number,
  targets: readonly (readonly [from: number, to: number])[],
): AsyncGenerator<Correction> {
  for await (const group of file.rows()) {
    for (const row of group) {
      const text = row.cells[place]?.trim() ?? ''
      if (!/^[1-9]\d{0,14}$/.test(text)) {
        throw new Refusal(
          'INVALID_INPUT',
          `Line ${row.number} of the file has no number of a row in ${ROW_COLUMN}${row.fault === null ? '' : ` (${row.fault.message})`}.`,
          ['file'],
        )
      }
      const cells = new Map(targets.map(([from, to]) => [to, (row.cells[from] ?? '').toWellFormed()]))
      yield { number: Number(text), cells, fault: row.fault }
    }
  }
}

/** Which cell of a corrected row is which of the first file's. */
function targetsOf(
  given: readonly Column[],
  columns: readonly Column[],
  place: number,
): (readonly [from: number, to: number])[] {
  const known = new Map(columns.map(({ name, index }) => [name, index]))
  known.delete(ROW_COLUMN)
  known.delete(ERRORS_COLUMN)
  return given.flatMap(({ name, index }): (readonly [number, number])[] => {
    const to = known.get(name)
    if (to === undefined && index < place) {
      throw new Refusal(
        'UNKNOWN_COLUMN',
        `The import had no column ${JSON.stringify(name)}. Keep the names of the columns as they were.`,
        ['file'],
      )
    }
    return to === undefined ? [] : [[index, to]]
  })
}

function twice(row: number): Refusal {
  return new Refusal('INVALID_INPUT', `Row ${row} stands in the file twice. Keep one line of it.`, ['file'])
}
