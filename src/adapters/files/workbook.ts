/** A workbook of any format, as those who read one see it. */
import type { Row } from '../source.js'
import type { Sheet } from './detection.js'

/** An opened workbook. It is read inside the sandbox, from the start of a sheet to its end, and never resumed. */
export interface Workbook extends AsyncDisposable {
  /** In the order of their tabs; sheets without cells (charts, macros) are left out. */
  readonly sheets: readonly Sheet[]
  /**
   * The rows of a sheet that hold a value, in order, from the first one on (a title above the header included), each with
   * the number that the spreadsheet shows and its cells as text from column A on, as a person sees them in Excel. `byte` and
   * `end` of these rows are 0: they are no cursors. A row with a value over a limit carries a fault. Throws `Refusal`
   * FILE_UNREADABLE where the workbook is broken, LIMIT_EXCEEDED where it is larger than a limit.
   */
  rows(sheet: number, signal: AbortSignal): AsyncIterable<readonly Row[]>
}
