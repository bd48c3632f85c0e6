/** Rows of workbooks that are read as a whole: cells put where they belong, under the limits that hold for every sheet. */
import { Refusal } from '../../errors.js'
import { CELL_BYTES_MAX, COLUMNS_MAX, ROW_BYTES_MAX, SOURCE_GROUP_ROWS_MAX } from '../../limits.js'
import type { Row, RowFault } from '../source.js'

/** Takes the cells of one row after the other. */
export class RowMaker {
  #cells: string[] = []
  #chars = 0
  #fault: RowFault | null = null

  /** Puts a text into a column, counted from 0. What is over a limit becomes the fault of the row. */
  place(column: number, text: string): void {
    if (text === '') {
      return
    }
    if (column >= COLUMNS_MAX) {
      const most = COLUMNS_MAX.toLocaleString('en-US')
      this.#fault ??= {
        code: 'ROW_TOO_LARGE',
        message: `Column ${columnName(column)} holds a value; no more than ${most} columns are read.`,
      }
      return
    }
    if (text.length * 3 > CELL_BYTES_MAX && Buffer.byteLength(text) > CELL_BYTES_MAX) {
      this.#fault ??= {
        code: 'VALUE_TOO_LONG',
        message: `The value of column ${columnName(column)} is longer than ${CELL_BYTES_MAX.toLocaleString('en-US')} bytes.`,
      }
      return
    }
    const cells = this.#cells
    while (cells.length < column) {
      cells.push('')
    }
    cells[column] = text
    this.#chars += text.length
  }

  /** The row of all cells since the last call; null where none holds a value. */
  take(number: number): Row | null {
    let cells: readonly string[] = this.#cells
    let fault = this.#fault
    if (
      this.#chars * 3 > ROW_BYTES_MAX &&
      cells.reduce((sum, cell) => sum + Buffer.byteLength(cell), 0) > ROW_BYTES_MAX
    ) {
      fault = {
        code: 'ROW_TOO_LARGE',
        message: `The row holds more than ${ROW_BYTES_MAX.toLocaleString('en-US')} bytes.`,
      }
      cells = []
    }
    this.#cells = []
    this.#chars = 0
    this.#fault = null
    return cells.length > 0 || fault !== null ? { number, byte: 0, end: 0, cells, fault } : null
  }
}

/** Rows in the groups in which sources hand them over. */
export function* grouped(rows: Iterable<Row>): Generator<readonly Row[]> {
  let group: Row[] = []
  for (const row of rows) {
    group.push(row)
    if (group.length >= SOURCE_GROUP_ROWS_MAX) {
      yield group
      group = []
    }
  }
  if (group.length > 0) {
    yield group
  }
}

/** A table that was read already, as a sheet of a workbook. */
export interface HeldSheet {
  readonly name: string
  readonly hidden: boolean
  readonly rows: readonly Row[]
}

/** The refusal of a workbook that cannot be made sense of. */
export function damaged(what: string): Refusal {
  return new Refusal(
    'FILE_UNREADABLE',
    `The workbook is damaged: ${what}. Open it in a spreadsheet program and save it again.`,
  )
}

/** As the spreadsheet names it: 0 is A. */
export function columnName(column: number): string {
  let name = ''
  for (let rest = column + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    name = String.fromCharCode(65 + ((rest - 1) % 26)) + name
  }
  return name
}
