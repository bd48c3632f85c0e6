/**
 * How rows come in. Every format and every outside system is one `Source`; callers pull and the reader waits for them.
 */

/**
 * Where a row starts in its source, so that reading can go on there: a byte offset (of the decompressed, undecoded
 * file) and the row's number. Opaque to callers, who only store it and hand it back.
 */
export interface Cursor {
  readonly byte: number
  /** Number of the row that starts at `byte`, as a person sees it in the file: the header of a plain CSV is row 1. */
  readonly row: number
}

/** One line of a source, before mapping. */
export interface Row {
  /** As a person sees it in the file; a quoted line break does not count as a row of its own. */
  readonly number: number
  /** Byte offset at which this row starts: `{ byte, row: number }` is the cursor that reads it again. */
  readonly byte: number
  /** Byte offset behind this row: where the next one starts. */
  readonly end: number
  /**
   * Text of each cell, in the order of the columns. A good row has exactly one per column (a missing cell is ''); one
   * with a fault has those that were found, perhaps none.
   */
  readonly cells: readonly string[]
  /** What was wrong with the line itself; null for a good one. Such a row is never mapped. */
  readonly fault: RowFault | null
}

/** A problem of the line rather than of a value in it. */
export interface RowFault {
  readonly code: 'UNPARSABLE_ROW' | 'WRONG_COLUMN_COUNT' | 'BAD_ENCODING' | 'VALUE_TOO_LONG' | 'ROW_TOO_LARGE'
  readonly message: string
}

/** A column of a source, named as its header names it (made unique: `Phone`, `Phone (2)`; `Column 3` where empty). */
export interface Column {
  readonly index: number
  readonly name: string
}

export interface Source {
  readonly columns: readonly Column[]
  /**
   * Rows from `from` on (from the first data row if null), in file order, in groups so that a row costs no await.
   * Closes what it opened when the loop ends, however it ends.
   */
  rows(from: Cursor | null, signal: AbortSignal): AsyncIterable<readonly Row[]>
  /** Rows in total, if cheap to know. Without it progress shows a count instead of a percentage. */
  estimateCount?(signal: AbortSignal): Promise<number | null>
  /** Cells of the one row at `cursor`, to show it. Without it a caller starts `rows` there. */
  cellsAt?(cursor: Cursor): Promise<readonly string[]>
}
