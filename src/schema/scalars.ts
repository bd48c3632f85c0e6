import { GraphQLError, GraphQLScalarType, Kind, type ValueNode } from 'graphql'
import { GraphQLUpload } from 'graphql-upload-ts'

function refuse(expected: string, node?: ValueNode): never {
  throw new GraphQLError(`Expected ${expected}.`, { nodes: node })
}

/** A scalar whose values travel as text; `parse` gives null for a text that it does not take. */
function textScalar<T>(
  name: string,
  description: string,
  expected: string,
  serialize: (value: unknown) => string,
  parse: (text: string) => T | null,
) {
  return new GraphQLScalarType<T, string>({
    name,
    description,
    serialize,
    parseValue: (value) => (typeof value === 'string' ? parse(value) : null) ?? refuse(expected),
    parseLiteral: (node) => (node.kind === Kind.STRING ? parse(node.value) : null) ?? refuse(expected, node),
  })
}

const dateTimePattern = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

/** A moment. Inside the service a Date, or an ISO 8601 text where the database wrote it. */
export const DateTime = textScalar<Date>(
  'DateTime',
  'RFC 3339, UTC.',
  'a date and time with an offset, e.g. "2026-11-22T09:30:00Z"',
  (value) => new Date(value as Date | string).toISOString(),
  (text) => {
    const date = dateTimePattern.test(text) ? new Date(text) : null
    return date === null || Number.isNaN(date.getTime()) ? null : date
  },
)

/** A day, as text throughout. */
export const CalendarDate = textScalar<string>(
  'Date',
  'YYYY-MM-DD, never shifted by a time zone.',
  'a day, e.g. "2026-11-22"',
  (value) => String(value),
  (text) =>
    /^\d{4}-\d{2}-\d{2}$/.test(text) && new Date(`${text}T00:00:00Z`).toISOString().startsWith(text) ? text : null,
)

/** An exact number, as text throughout. */
export const Decimal = textScalar<string>(
  'Decimal',
  'Exact number as a string, e.g. "123.45".',
  'an exact number as a string, e.g. "123.45"',
  (value) => String(value),
  (text) => (/^-?\d{1,30}(\.\d{1,15})?$/.test(text) ? text : null),
)

const SAFE_INT = 'an integer up to 2^53 - 1'

/** A count, a row number or a size. */
export const SafeInt = new GraphQLScalarType<number, number>({
  name: 'SafeInt',
  description: 'Integer up to 2^53 - 1.',
  serialize: (value) => {
    const number = Number(value)
    if (!Number.isSafeInteger(number)) {
      throw new TypeError(`${String(value)} is no safe integer`)
    }
    return number
  },
  parseValue: (value) => (typeof value === 'number' && Number.isSafeInteger(value) ? value : refuse(SAFE_INT)),
  parseLiteral: (node) => {
    const value = node.kind === Kind.INT ? Number(node.value) : Number.NaN
    return Number.isSafeInteger(value) ? value : refuse(SAFE_INT, node)
  },
})

/** A file of a multipart request. */
export const Upload = new GraphQLScalarType({
  ...GraphQLUpload.toConfig(),
  name: 'Upload',
  description: 'A file, by the GraphQL multipart request specification.',
})
