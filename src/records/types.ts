/**
 * What a record type is, as plain data. Everything that has to know the fields of a record (tables, mapping,
 * validation, matching, the API's record schema, exports) reads these definitions; none of them lists fields again.
 */

export type RecordTypeName = 'contact' | 'lead' | 'property' | 'activity'

export type FieldKind =
  | 'TEXT'
  | 'LONG_TEXT'
  | 'EMAIL'
  | 'PHONE'
  | 'URL'
  | 'INTEGER'
  | 'DECIMAL'
  | 'MONEY'
  | 'BOOLEAN'
  | 'DATE'
  | 'DATE_TIME'
  | 'ENUM'
  | 'MULTI_ENUM'
  | 'REFERENCE'

export interface FieldDefinition {
  /** Stable name used in mappings, filters and the API, e.g. `addressLine1`. */
  readonly name: string
  readonly label: string
  readonly description: string
  readonly kind: FieldKind
  /**
   * Column of the record's table, e.g. `address_line1`; references and owners store an id, e.g. `contact_id`. A custom field
   * has none: this is then its name, under which its changes are kept; see `customKey`.
   */
  readonly column: string
  /** PostgreSQL type of that column, e.g. `text`, `numeric(14,2)`, `timestamptz`, `text[]`, `uuid`. */
  readonly sqlType: string
  /** The value must be present in every created record (after defaults and `complete`). */
  readonly required: boolean
  /** Used where a created record has no value, e.g. `NEW`; null for none. In the text form of `Value`. */
  readonly defaultValue: string | null
  /** Longest text in characters (UTF-16 code units); null where the kind has its own limit. */
  readonly maxLength: number | null
  /** Allowed values of an ENUM. */
  readonly options: readonly string[] | null
  /** Inclusive numeric range; null for none. */
  readonly min: number | null
  readonly max: number | null
  /** Masked for actors without PII_READ. */
  readonly sensitive: boolean
  /** For REFERENCE: the record type and which of its fields can name the record in a file. `member` is an owner. */
  readonly reference: ReferenceDefinition | null
  /**
   * What more is known of the values: a COUNTRY is ISO 3166-1 alpha-2 where known, a CURRENCY is ISO 4217, a PAST date is
   * never in the future, which decides the century of a two-digit year. Absent for nothing.
   */
  readonly form?: 'COUNTRY' | 'CURRENCY' | 'PAST'
  /**
   * Words that files use for a value of an ENUM or BOOLEAN, by value; compared without case, space and punctuation.
   * Words under `''` mean that there is no value. Absent for none.
   */
  readonly synonyms?: Readonly<Record<string, readonly string[]>>
  /** A yes that no import takes back, e.g. an opt-out: only `t` is ever imported, and a blank never clears it. */
  readonly neverCleared?: true
  /** Of a field that a tenant made: its key in the record's `custom_fields`. Absent for fields with a column. */
  readonly customKey?: string
  /** Of the pseudo-field `id`: whose ids it holds. It finds records and is never written. Absent for all real fields. */
  readonly idOf?: RecordTypeName
}

export interface ReferenceDefinition {
  readonly to: RecordTypeName | 'member'
  /**
   * Fields of the referred type by which a file may name it, e.g. `externalId`, `email`. Each one is a mappable name
   * `<field>.<key>`, e.g. `contact.email`.
   */
  readonly keys: readonly string[]
}

/** A rule over several fields of one record, enforced by the table and checked again before the write. */
export interface RecordCheck {
  /** Constraint name in the table, without the table's prefix, e.g. `budget_order`. */
  readonly name: string
  /** SQL over the table's columns; a NULL result passes, as in PostgreSQL. */
  readonly sql: string
  /** For the person who reads the issue. */
  readonly message: string
  /** Fields that the message is about. */
  readonly fields: readonly string[]
}

export interface RecordType {
  readonly name: RecordTypeName
  readonly table: RecordTypeName
  readonly label: string
  /**
   * Own fields in the order in which the API shows them, `sourceSystem` and `externalId` first; the custom fields of a tenant
   * come last (`withCustomFields`), and those that everybody has stand alone in `recordTypes`.
   */
  readonly fields: readonly FieldDefinition[]
  readonly checks: readonly RecordCheck[]
  /** Fields with an index, which may carry a match rule, e.g. `externalId`, `email`, `phone`. */
  readonly matchable: readonly string[]
  /** Natural keys tried in order after `externalId`, e.g. `[['email']]`. */
  readonly naturalKeys: readonly (readonly string[])[]
  /**
   * At least one of these must be present in a created record; empty for no such rule. Where none is, the first one is
   * named as missing.
   */
  readonly oneOf: readonly string[]
}

export type FilterOperator =
  | 'EQ'
  | 'NEQ'
  | 'LT'
  | 'LTE'
  | 'GT'
  | 'GTE'
  | 'IN'
  | 'NOT_IN'
  | 'CONTAINS'
  | 'STARTS_WITH'
  | 'IS_NULL'
  | 'IS_NOT_NULL'

/** One question about one field: a field's name, a path such as `contact.email`, or `id`, `createdAt`, `updatedAt`, `version`. */
export interface Condition {
  readonly field: string
  readonly operator: FilterOperator
  readonly value?: string | null
  readonly values?: readonly string[] | null
}

/** Exactly one member is set. */
export interface RecordFilter {
  readonly and?: readonly RecordFilter[] | null
  readonly or?: readonly RecordFilter[] | null
  readonly not?: RecordFilter | null
  readonly where?: Condition | null
}

export interface RecordOrder {
  readonly field: string
  readonly direction?: 'ASC' | 'DESC' | null
}
