/** What `compileMapping` makes of a row: the seam between the pipeline and whoever stages rows for the database. */
import type { Row } from '../adapters/source.js'
import type { Issue } from './types.js'

/**
 * One column of the staging table. A field's value stands in `<column>`; a value that only a created record gets
 * (built from other cells, e.g. a display name) stands in `<column>__new`; the text by which a reference names its
 * record stands in `<column>__by_<key>`, e.g. `contact_id__by_email`.
 */
export interface StageColumn {
  readonly name: string
  /** PostgreSQL type, that of the record's column, or `text` for reference keys. */
  readonly sqlType: string
  /** Field of the record type that it feeds. */
  readonly field: string
  /** `id`: it holds the id of the record that the row is about, and feeds nothing. */
  readonly role: 'value' | 'new' | 'key' | 'id'
  /** For `key`: the field of the referred type, e.g. `email`. */
  readonly key: string | null
}

/** Fields that the rows themselves have a value of, by which records can be matched; `id` among them where it is mapped. */
export function matchableFields(columns: readonly StageColumn[]): string[] {
  return columns.filter(({ role }) => role === 'value' || role === 'id').map(({ field }) => field)
}

/** One row, mapped and validated. Reused by the mapper: copy what you keep. */
export interface MappedRow {
  /**
   * Text form of each stage column (PostgreSQL input text, not COPY-escaped), null where the cell was blank and the
   * field is kept. Numbers are plain decimals, dates YYYY-MM-DD, date-times ISO 8601 UTC, booleans `t`/`f`, lists
   * PostgreSQL array literals.
   */
  readonly values: readonly (string | null)[]
  /** Fields that the row empties; null for none. */
  readonly cleared: readonly string[] | null
  /** Required fields that a created record would miss; null for none. No fault if the row updates a record. */
  readonly missingForCreate: readonly string[] | null
  /** False: an ERROR issue under SKIP_ROW or FAIL_RUN; the row is not staged. */
  readonly ok: boolean
  readonly issues: readonly Issue[]
}

export interface RowMapper {
  readonly stageColumns: readonly StageColumn[]
  map(row: Row): MappedRow
}
