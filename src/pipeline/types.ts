/** Words that the stages of the pipeline share. All of it is plain data that crosses threads and fits in jsonb. */
import type { FieldDefinition, FieldKind, RecordTypeName } from '../records/types.js'

export type IssueSeverity = 'ERROR' | 'WARNING'

/** One problem of one row. Codes are those of the API's IssueCode. */
export interface Issue {
  readonly row: number
  readonly column: string | null
  readonly field: string | null
  readonly code: IssueCode
  readonly severity: IssueSeverity
  /** The offending value as it stood in the file or as transforms had made it, cut at 500 characters. */
  readonly value: string | null
  readonly message: string
  readonly suggestion: string | null
}

export type IssueCode =
  | 'UNPARSABLE_ROW'
  | 'WRONG_COLUMN_COUNT'
  | 'BAD_ENCODING'
  | 'VALUE_TOO_LONG'
  | 'ROW_TOO_LARGE'
  | 'REQUIRED_MISSING'
  | 'INVALID_EMAIL'
  | 'INVALID_PHONE'
  | 'INVALID_URL'
  | 'INVALID_DATE'
  | 'AMBIGUOUS_DATE'
  | 'INVALID_NUMBER'
  | 'NUMBER_OUT_OF_RANGE'
  | 'INVALID_BOOLEAN'
  | 'INVALID_ENUM_VALUE'
  | 'TRANSFORM_FAILED'
  | 'FORMULA_CELL'
  | 'DUPLICATE_IN_FILE'
  | 'DUPLICATE_RECORD'
  | 'POSSIBLE_DUPLICATE'
  | 'AMBIGUOUS_MATCH'
  | 'INVALID_ID'
  | 'RECORD_NOT_FOUND'
  | 'RELATION_NOT_FOUND'
  | 'RELATION_AMBIGUOUS'
  | 'OWNER_NOT_FOUND'
  | 'CONSTRAINT_VIOLATION'
  | 'DRIFTED_SINCE_PLAN'
  | 'CHANGED_SINCE_IMPORT'
  | 'SOURCE_RECORD_GONE'
  | 'RULE_FAILED'
  | 'INTERNAL'

/** Something said to a transform. An argument that may be given several times stands here as often. */
export interface TransformArgument {
  readonly name: string
  readonly value: string
}

/** One transform of a column, by its name in the catalogue: the contract's Transform. */
export interface TransformCall {
  readonly name: string
  readonly arguments: readonly TransformArgument[]
}

/** The same with the columns that it names looked up. */
export interface ResolvedTransform extends TransformCall {
  /** Indexes of the columns that it reads, in order; OWN_VALUE for the value as it is at this point. */
  readonly columns: readonly number[]
}

/** Stands among the columns of a transform for the value that it is given. */
export const OWN_VALUE = -1

/** How one column becomes one field, as stored on a run: the contract's ColumnMapping. */
export interface ColumnMapping {
  /** Null for a constant. */
  readonly column: string | null
  readonly columnIndex: number | null
  /** Null where nothing is suggested with enough confidence. A reference is named with its key: `contact.email`. */
  readonly field: string | null
  readonly constant: string | null
  /** Fills created records only. */
  readonly defaultValue: string | null
  /** Applied in order, before the value map. Absent for none, as on runs from before there were any. */
  readonly transforms?: readonly TransformCall[]
  readonly valueMap: readonly { readonly from: string; readonly to: string }[]
  readonly onBlank: OnBlank | null
  /** Format of a date or number column, e.g. `dd/MM/yyyy` or `1.234,56`; null: proven from the column's values. */
  readonly format: string | null
  /** Null where a person decided. */
  readonly confidence: number | null
  readonly reasons: readonly string[]
  readonly alternatives: readonly { readonly field: string; readonly confidence: number }[]
}

export type OnBlank = 'KEEP' | 'CLEAR'

/** What a row gets that refers to a record which is not there. */
export type OnMissingRelation = 'CREATE' | 'FAIL_ROW' | 'DROP_LINK' | 'KEEP_PENDING'

export interface MappingConflict {
  readonly code:
    | 'FIELD_MAPPED_TWICE'
    | 'REQUIRED_UNMAPPED'
    | 'UNKNOWN_VALUES'
    | 'MATCH_FIELD_UNMAPPED'
    | 'AMBIGUOUS_FORMAT'
    | 'TEMPLATE_DRIFT'
  readonly field: string
  readonly columns: readonly string[]
  readonly message: string
  /** Values that fit nothing, for UNKNOWN_VALUES. */
  readonly values: readonly string[]
  /** For AMBIGUOUS_FORMAT: each format that fits all values, with one value that they read differently. */
  readonly readings: readonly {
    readonly format: string
    readonly exampleValue: string
    readonly exampleReading: string
  }[]
}

/** What the first pass learned about one column from all of its values. Stored on the run; of bounded size. */
export interface ColumnEvidence {
  readonly index: number
  readonly name: string
  /** Cells that are not blank. */
  readonly filled: number
  readonly kind: FieldKind
  readonly kindConfidence: number
  /** First distinct non-blank values, at most 20, each cut at 200 characters. */
  readonly samples: readonly string[]
  /** Distinct values in the column; null once there are more than are counted (see DISTINCT_VALUES_COUNTED). */
  readonly distinct: number | null
  /** Most frequent values, at most 200, highest count first; exact while `distinct` is not null. */
  readonly topValues: readonly { readonly value: string; readonly count: number }[]
  /** Date formats that read every non-blank value; null where the column does not look like dates. */
  readonly dateFormats: readonly string[] | null
  /** Number formats that read every non-blank value; null where the column does not look like numbers. */
  readonly numberFormats: readonly string[] | null
  /** A row that proves the one format (the row whose value excluded the last other one); null where none was excluded. */
  readonly provenByRow: number | null
  /**
   * Of a delimited text: PROTECTED where cells look as if they were kept from being formulas (`pipeline/formula`) and none is bare,
   * BARE where one is, null for neither. Absent for other formats, whose cells say themselves what they are.
   */
  readonly formulas?: 'PROTECTED' | 'BARE' | null
  /** Values on which remaining formats disagree, at most 3, to show both readings. */
  readonly ambiguousValues: readonly string[]
}

export interface ImportOptions {
  readonly onDuplicate: 'UPDATE' | 'FILL_BLANKS' | 'SKIP' | 'CREATE' | 'FAIL'
  /** Match rules in order, by field name; empty: `externalId`, then the natural keys, as far as they are mapped. */
  readonly matchOn: readonly (readonly string[])[]
  readonly onInvalidRow: 'SKIP_ROW' | 'DROP_VALUE' | 'FAIL_RUN'
  readonly maxFailedRows: number | null
  readonly maxFailedFraction: number | null
  readonly allOrNothing: boolean
  readonly sideEffects: 'ALL' | 'NONE'
  /** The system that external ids belong to; null means `file`. */
  readonly sourceSystem: string | null
  readonly operation: 'UPSERT' | 'UPDATE_ONLY' | 'DELETE'
  readonly onBlank: OnBlank
  readonly clearText: string | null
  /** Of an import that was planned: what a row gets whose record has changed, appeared or gone since. */
  readonly onDrift: 'SKIP_ROW' | 'APPLY' | 'FAIL_RUN'
  /** Null: CREATE where fields of related records are mapped, otherwise FAIL_ROW. */
  readonly onMissingRelation: OnMissingRelation | null
  readonly minConfidence: number
  /**
   * Of imports that belong to a migration: cells of references tell the object before the id, `Contact/0035e0`, and this is
   * what stands before it in the source system of its records, e.g. `salesforce/00D5e0/`. Absent or null for others.
   */
  readonly referenceBase?: string | null
  readonly defaultOwnerEmail: string | null
  /** Of imports that belong to a migration: what is done with fields that were changed here since the source said them. KEEP if absent. */
  readonly changedHere?: 'KEEP' | 'OVERWRITE'
}

/** SourceOptionsInput as stored: what a person said about the file, over what was detected. */
export interface SourceOptions {
  readonly format: string | null
  readonly encoding: string | null
  readonly delimiter: string | null
  readonly quote: string | null
  /** Row number of the header; null: as detected. */
  readonly headerRow: number | null
  /** Name of the sheet of a workbook; null: the first that is shown and holds something. */
  readonly sheet?: string | null
  /** Where the records stand in a JSON file, as dotted names; '' for the whole; null: as detected. */
  readonly jsonPath?: string | null
  readonly decimalSeparator: string | null
  readonly dateFormat: string | null
  /** IANA zone in which date-times without an offset are read; null means UTC. */
  readonly timeZone: string | null
  /** ISO 3166-1 alpha-2 for phone numbers without a country code; null: such numbers stay as they stand. */
  readonly defaultCountry: string | null
  /** Text that looks like a formula has a `'` in front, which is none of it; null or absent: as the cells of the file show. */
  readonly formulasEscaped?: boolean | null
}

/**
 * Everything that the reader of an import needs, resolved once per run: plain data, sent to the reading thread.
 * Built by `resolveMapping` from mapping, evidence, options and the record type.
 */
export interface ResolvedMapping {
  readonly recordType: RecordTypeName
  readonly columns: readonly ResolvedColumn[]
  readonly options: ImportOptions
  readonly timeZone: string
  readonly defaultCountry: string | null
  /** One `'` is taken away from text that was kept from being a formula. Absent for no. */
  readonly formulasEscaped?: true
  /** Custom fields that columns are mapped to: whoever has only this knows the tenant's record type well enough. Absent for none. */
  readonly customFields?: readonly FieldDefinition[]
  /** Business rules that the run obeys. Absent for none. */
  readonly rules?: readonly BusinessRule[]
}

export type RuleKind = 'REQUIRED_IF' | 'ONE_OF' | 'RANGE' | 'PATTERN' | 'COMPARE' | 'UNIQUE'

/** A business rule as a run keeps it: only active ones, so that it stays what it was when the run started. */
export interface BusinessRule {
  readonly id: string
  readonly kind: RuleKind
  readonly fields: readonly string[]
  readonly arguments: readonly TransformArgument[]
  readonly severity: IssueSeverity
  /** What people read where it is broken. */
  readonly message: string
}

/** No two records have the same value of the field: a rule that only the records can tell about. */
export interface UniqueRule {
  readonly field: string
  readonly severity: IssueSeverity
  readonly message: string
}

export interface ResolvedColumn {
  /** Index of the source's column; null for a constant, and for a value made of other columns alone. */
  readonly index: number | null
  readonly columnName: string | null
  /** Field name or reference path: `email`, `contact.email`, `ownerEmail`. */
  readonly field: string
  readonly constant: string | null
  readonly defaultValue: string | null
  /** Absent for none. */
  readonly transforms?: readonly ResolvedTransform[]
  readonly valueMap: readonly { readonly from: string; readonly to: string }[]
  readonly onBlank: OnBlank
  /** The one format for dates and numbers of this column; null for other kinds. */
  readonly format: string | null
}
