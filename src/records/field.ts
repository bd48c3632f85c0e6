/** Short ways to define a field; the defaults are those of most fields. */
import type { FieldDefinition, FieldKind, RecordTypeName } from './types.js'

type Extras = Partial<Omit<FieldDefinition, 'name' | 'label' | 'description' | 'kind'>>

/** Longest LONG_TEXT in characters: what HubSpot, the most generous of the usual sources, keeps in a note. */
const LONG_TEXT_MAX_LENGTH = 65_536
/** Longest e-mail address that can be delivered to (RFC 5321, 4.5.3.1.3, without the angle brackets). */
const EMAIL_MAX_LENGTH = 254
/** Fifteen digits of E.164, or a number as it stood with words around it. */
const PHONE_MAX_LENGTH = 64
/** Shorter than what browsers and servers refuse. */
const URL_MAX_LENGTH = 2_048
/** A UUID with its hyphens; public ids are shorter. */
const ID_MAX_LENGTH = 36
/** Range of PostgreSQL's `integer`. */
const INTEGER_MIN = -2_147_483_648
const INTEGER_MAX = 2_147_483_647
/** Largest value of `numeric(14,2)`. */
const MONEY_MAX = 999_999_999_999.99

function field(
  kind: FieldKind,
  sqlType: string,
  name: string,
  label: string,
  description: string,
  extras: Extras,
): FieldDefinition {
  return {
    name,
    label,
    description,
    kind,
    column: snakeCase(name),
    sqlType,
    required: false,
    defaultValue: null,
    maxLength: null,
    options: null,
    min: null,
    max: null,
    sensitive: false,
    reference: null,
    ...extras,
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** One line of text of at most `maxLength` characters. */
export function text(
  name: string,
  label: string,
  maxLength: number,
  description: string,
  extras: Extras = {},
): FieldDefinition {
  return field('TEXT', 'text', name, label, description, { maxLength, ...extras })
}

/** Text of several lines, at most 65,536 characters. */
export function longText(name: string, label: string, description: string, extras: Extras = {}): FieldDefinition {
  return field('LONG_TEXT', 'text', name, label, description, { maxLength: LONG_TEXT_MAX_LENGTH, ...extras })
}

/** An e-mail address, lower-cased. */
export function email(name: string, label: string, description: string, extras: Extras = {}): FieldDefinition {
  return field('EMAIL', 'text', name, label, description, { maxLength: EMAIL_MAX_LENGTH, sensitive: true, ...extras })
}

/** A phone number, E.164 where it could be parsed. */
export function phone(name: string, label: string, description: string, extras: Extras = {}): FieldDefinition {
  return field('PHONE', 'text', name, label, description, { maxLength: PHONE_MAX_LENGTH, sensitive: true, ...extras })
}

/** A web address. */
export function url(name: string, label: string, description: string, extras: Extras = {}): FieldDefinition {
  return field('URL', 'text', name, label, description, { maxLength: URL_MAX_LENGTH, ...extras })
}

/** A whole number between `min` and `max`. */
export function integer(
  name: string,
  label: string,
  range: readonly [min: number, max: number] | null,
  description: string,
  extras: Extras = {},
): FieldDefinition {
  const [min, max] = range ?? [INTEGER_MIN, INTEGER_MAX]
  return field('INTEGER', 'integer', name, label, description, { min, max, ...extras })
}

/** An exact number with a fraction, stored as `sqlType`. */
export function decimal(
  name: string,
  label: string,
  sqlType: `numeric(${number},${number})`,
  range: readonly [min: number, max: number],
  description: string,
  extras: Extras = {},
): FieldDefinition {
  return field('DECIMAL', sqlType, name, label, description, { min: range[0], max: range[1], ...extras })
}

/** An amount that is not negative, with two decimal places, in the record's `currency`. */
export function money(name: string, label: string, description: string, extras: Extras = {}): FieldDefinition {
  return field('MONEY', 'numeric(14,2)', name, label, description, { min: 0, max: MONEY_MAX, ...extras })
}

/** Yes or no; no where nothing is said. */
export function flag(name: string, label: string, description: string, extras: Extras = {}): FieldDefinition {
  return field('BOOLEAN', 'boolean', name, label, description, { required: true, defaultValue: 'f', ...extras })
}

/** A day. */
export function date(name: string, label: string, description: string, extras: Extras = {}): FieldDefinition {
  return field('DATE', 'date', name, label, description, extras)
}

/** A moment. */
export function dateTime(name: string, label: string, description: string, extras: Extras = {}): FieldDefinition {
  return field('DATE_TIME', 'timestamptz', name, label, description, extras)
}

/** One of `options`. */
export function choice(
  name: string,
  label: string,
  options: readonly string[],
  description: string,
  extras: Extras = {},
): FieldDefinition {
  return field('ENUM', 'text', name, label, description, { options, ...extras })
}

/** A reference to another record, by any of `keys` in a file and by id in the table. */
export function reference(
  name: string,
  label: string,
  to: RecordTypeName,
  keys: readonly string[],
  description: string,
): FieldDefinition {
  return field('REFERENCE', 'uuid', name, label, description, {
    column: `${snakeCase(name)}_id`,
    reference: { to, keys },
  })
}

/** The pseudo-field of a type's own ids; see `FieldDefinition.idOf`. */
export function idOf(type: RecordTypeName): FieldDefinition {
  return field('REFERENCE', 'uuid', 'id', 'Id', 'The id of the record here, as the API and exports show it.', {
    maxLength: ID_MAX_LENGTH,
    idOf: type,
  })
}

/** Where the record came from: the first two fields of every record type. */
export const identityFields: readonly FieldDefinition[] = [
  text('sourceSystem', 'Source system', 255, 'The system, account and object that the record came from, e.g. `file`.'),
  text('externalId', 'External id', 255, 'Its id there; unique per record type and source system.'),
]

/** Labels that people put on records, the same in every record type. */
export const tags: FieldDefinition = field(
  'MULTI_ENUM',
  'text[]',
  'tags',
  'Tags',
  'Labels; trimmed and unique without regard to case. Several in one cell are separated by `;` or `,`.',
  { required: true, defaultValue: '{}', maxLength: 100 },
)

/** The member who looks after the record, found by e-mail. */
export const owner: FieldDefinition = field(
  'REFERENCE',
  'uuid',
  'ownerEmail',
  'Owner e-mail',
  'E-mail address of the member who looks after the record.',
  { column: 'owner_member_id', reference: { to: 'member', keys: ['email'] } },
)

/** When the record was made and last changed in the system that it came from. */
export const sourceTimes: readonly FieldDefinition[] = [
  dateTime('sourceCreatedAt', 'Created in source', 'When the record was made in the system that it came from.'),
  dateTime('sourceUpdatedAt', 'Updated in source', 'When the record was last changed in the system that it came from.'),
]

/** Address of a contact or lead. */
export const addressFields: readonly FieldDefinition[] = [
  text('addressLine1', 'Address line 1', 255, 'Street and number.', { sensitive: true }),
  text('addressLine2', 'Address line 2', 255, 'Building, floor, flat.', { sensitive: true }),
  text('city', 'City', 100, 'Town or city.'),
  text('stateOrProvince', 'State or province', 100, 'State, province or region.'),
  text('postalCode', 'Postal code', 20, 'Postal code as text: leading zeros count.'),
  text('country', 'Country', 100, 'ISO 3166-1 alpha-2 where the country is known, else as it stood.', {
    form: 'COUNTRY',
  }),
]
