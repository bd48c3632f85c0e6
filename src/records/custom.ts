/**
 * Custom fields: what a tenant adds to a record type. They become plain field definitions, so that mappings, parsers, the
 * engine and the API see just fields; only their values stand together in one column, `custom_fields`, by key.
 */
import { Refusal } from '../errors.js'
import {
  CUSTOM_FIELD_KEY_LENGTH_MAX,
  CUSTOM_FIELD_LABEL_LENGTH_MAX,
  CUSTOM_FIELD_OPTION_LENGTH_MAX,
  CUSTOM_FIELD_OPTIONS_MAX,
} from '../limits.js'
import * as f from './field.js'
import type { FieldDefinition, FieldKind, RecordType } from './types.js'

/** Kinds that a custom field can be of: all but references. */
export type CustomFieldKind = Exclude<FieldKind, 'REFERENCE'>

/** What a tenant says about a field of its own. Plain data. */
export interface CustomField {
  /** Its name in mappings, filters and changes is `custom.<key>`. */
  readonly key: string
  readonly label: string
  readonly kind: CustomFieldKind
  /** Of an ENUM its values; of a MULTI_ENUM the entries that it may hold, null for any; null for other kinds. */
  readonly options: readonly string[] | null
}

const PREFIX = 'custom.'

/** Largest value of `numeric(20,8)` with as many digits before the point as filters take. */
const DECIMAL_MAX = 999_999_999_999

/** Longest TEXT in characters, as of most built-in ones. */
const TEXT_LENGTH_MAX = 255

/** The name of the custom field with this key. */
export function customName(key: string): string {
  return `${PREFIX}${key}`
}

/** The key behind a name such as `custom.favouriteColour`; null for names of other fields. */
export function customKeyOf(name: string): string | null {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : null
}

/** The definition of a custom field as everything that handles fields wants it. Never required; always sensitive, as it may hold anything. */
export function customDefinition(custom: CustomField): FieldDefinition {
  const { key, label } = custom
  const name = customName(key)
  const own = { column: name, customKey: key, sensitive: true, required: false, defaultValue: null } as const
  const description = 'A field of this tenant.'
  switch (custom.kind) {
    case 'TEXT':
      return f.text(name, label, TEXT_LENGTH_MAX, description, own)
    case 'LONG_TEXT':
      return f.longText(name, label, description, own)
    case 'EMAIL':
      return f.email(name, label, description, own)
    case 'PHONE':
      return f.phone(name, label, description, own)
    case 'URL':
      return f.url(name, label, description, own)
    case 'INTEGER':
      return f.integer(name, label, null, description, own)
    case 'DECIMAL':
      return f.decimal(name, label, 'numeric(20,8)', [-DECIMAL_MAX, DECIMAL_MAX], description, own)
    case 'MONEY':
      return f.money(name, label, description, own)
    case 'BOOLEAN':
      return f.flag(name, label, description, own)
    case 'DATE':
      return f.date(name, label, description, own)
    case 'DATE_TIME':
      return f.dateTime(name, label, description, own)
    case 'ENUM':
      return f.choice(name, label, custom.options ?? [], description, own)
    case 'MULTI_ENUM':
      return { ...f.tags, name, label, description, ...own, options: custom.options }
    default:
      return custom.kind satisfies never
  }
}

/** `type` with a tenant's custom fields behind its own ones. `type` itself where there are none. */
export function withCustomFields(type: RecordType, custom: readonly FieldDefinition[]): RecordType {
  return custom.length === 0 ? type : { ...type, fields: [...type.fields, ...custom] }
}

/** The custom fields of a tenant's type; empty for a type of everybody. */
export function customFieldsOf(type: RecordType): readonly FieldDefinition[] {
  return type.fields.filter((field) => field.customKey !== undefined)
}

/** Camel case without separators, as built-in names: changes and API values carry it as it is. */
const keyPattern = /^[a-z][A-Za-z0-9]*$/

/**
 * What a caller says about a new field, tidied. Throws a Refusal INVALID_INPUT that names the member at fault below `path`.
 */
export function checkedCustomField(
  input: {
    readonly key: string
    readonly label: string
    readonly kind: FieldKind
    readonly options?: readonly string[] | null
  },
  path: readonly string[],
): CustomField {
  const { key, kind } = input
  const refuse = (message: string, member: string) => new Refusal('INVALID_INPUT', message, [...path, member])
  if (!keyPattern.test(key) || key.length > CUSTOM_FIELD_KEY_LENGTH_MAX) {
    throw refuse(
      `The key of a custom field is written in camel case: a small letter, then letters and digits, at most ${CUSTOM_FIELD_KEY_LENGTH_MAX} in all, e.g. favouriteColour.`,
      'key',
    )
  }
  const label = input.label.trim()
  if (label === '' || label.length > CUSTOM_FIELD_LABEL_LENGTH_MAX || hasControls(label)) {
    throw refuse(`A label has 1 to ${CUSTOM_FIELD_LABEL_LENGTH_MAX} characters, on one line.`, 'label')
  }
  if (kind === 'REFERENCE') {
    throw refuse('A custom field holds a value of its own; it cannot be of kind REFERENCE.', 'kind')
  }
  const options = input.options ?? null
  if (options === null || options.length === 0) {
    if (kind === 'ENUM') {
      throw refuse('A field of kind ENUM needs options: the values that it can have.', 'options')
    }
    return { key, label, kind, options: null }
  }
  if (kind !== 'ENUM' && kind !== 'MULTI_ENUM') {
    throw refuse(`Options belong to fields of kind ENUM and MULTI_ENUM; this one is of kind ${kind}.`, 'options')
  }
  return { key, label, kind, options: checkedOptions(options, kind, refuse) }
}

function checkedOptions(
  input: readonly string[],
  kind: 'ENUM' | 'MULTI_ENUM',
  refuse: (message: string, member: string) => Refusal,
): string[] {
  const options = input.map((option) => option.trim())
  if (options.length > CUSTOM_FIELD_OPTIONS_MAX) {
    throw refuse(`A field has at most ${CUSTOM_FIELD_OPTIONS_MAX} options.`, 'options')
  }
  const seen = new Set<string>()
  for (const option of options) {
    if (option === '' || option.length > CUSTOM_FIELD_OPTION_LENGTH_MAX || hasControls(option)) {
      throw refuse(`An option has 1 to ${CUSTOM_FIELD_OPTION_LENGTH_MAX} characters, on one line.`, 'options')
    }
    if (kind === 'MULTI_ENUM' && /[;,|]|:::/.test(option)) {
      throw refuse(`"${option}" holds a sign that separates entries in a file: ; , | or :::.`, 'options')
    }
    if (seen.has(option.toLowerCase())) {
      throw refuse(`"${option}" is given twice; options are told apart without regard to case.`, 'options')
    }
    seen.add(option.toLowerCase())
  }
  return options
}

/** Control characters, NUL among them, and halves of surrogate pairs: what one line of stored text cannot hold. */
function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text) || !text.isWellFormed()
}
