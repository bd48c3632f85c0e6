/** Whether calls of transforms can be right: names, arguments and columns, looked up once, before a mapping is taken. */
import { Refusal } from '../../errors.js'
import { TRANSFORM_ARGUMENT_LENGTH_MAX, TRANSFORMS_PER_COLUMN_MAX } from '../../limits.js'
import { DATE_FORMATS, dateFormatNamed, NUMBER_FORMATS } from '../formats.js'
import { hasPhoneNumbers } from '../phone.js'
import { OWN_VALUE, type ResolvedTransform, type TransformArgument, type TransformCall } from '../types.js'
import { zoneOf } from '../zone.js'
import { Arguments, type Parameter, type TransformDefinition } from './definition.js'
import { nearestName, transformNamed, transforms } from './index.js'
import { decimalOf, numberFormatOf } from './numbers.js'
import { templateParts } from './template.js'

/** Where calls stand in a mapping. */
export interface Place {
  /** Name of the field that they feed, for messages. */
  readonly field: string
  /** Index of the entry's own column; null where it has none. */
  readonly own: number | null
  /** Columns of the file. */
  readonly columns: readonly { readonly index: number; readonly name: string }[]
  /** Path of the entry in the input. */
  readonly where: readonly string[]
}

/** Texts shown in messages are cut at this. */
const SHOWN_LENGTH = 80

/** The calls with their columns looked up. Refuses TRANSFORM_INVALID: what came, and what is expected. */
export function resolveTransforms(calls: readonly TransformCall[], place: Place): ResolvedTransform[] {
  if (calls.length > TRANSFORMS_PER_COLUMN_MAX) {
    throw new Refusal(
      'TRANSFORM_INVALID',
      `"${place.field}" has ${calls.length} transforms. At most ${TRANSFORMS_PER_COLUMN_MAX} are taken.`,
      [...place.where, 'transforms'],
    )
  }
  return calls.map((call, position) => resolveCall(call, position, place))
}

function resolveCall(call: TransformCall, position: number, place: Place): ResolvedTransform {
  const where = [...place.where, 'transforms', `${position}`]
  const definition = transformNamed(call.name)
  if (definition === null) {
    throw new Refusal('TRANSFORM_INVALID', `Transform ${position + 1} of "${place.field}": ${unknown(call.name)}`, [
      ...where,
      'name',
    ])
  }
  const refuse = (message: string, argument: number | null): never => {
    throw new Refusal(
      'TRANSFORM_INVALID',
      `Transform ${position + 1} of "${place.field}", ${definition.name}: ${message}`,
      argument === null ? [...where, 'arguments'] : [...where, 'arguments', `${argument}`],
    )
  }
  for (const [at, argument] of call.arguments.entries()) {
    const wrong = faultOfArgument(definition, call.arguments, argument, at)
    if (wrong !== null) {
      refuse(wrong, at)
    }
  }
  const missing = definition.parameters.find(
    ({ name, required }) => required && !call.arguments.some((argument) => argument.name === name),
  )
  if (missing !== undefined) {
    refuse(`the argument "${missing.name}" is missing. ${missing.description}`, null)
  }
  const wrong = definition.check?.(new Arguments(call.arguments, definition.parameters)) ?? null
  if (wrong !== null) {
    refuse(`${wrong}.`, null)
  }
  const columns = columnNames(definition, call.arguments).map(({ name, argument }) => {
    const column = place.columns.find((each) => each.name === name)
    if (column === undefined) {
      const nearest = nearestName(
        name,
        place.columns.map((each) => each.name),
      )
      return refuse(
        `the file has no column "${shown(name)}".${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
        argument,
      )
    }
    return column.index === place.own ? OWN_VALUE : column.index
  })
  // What is listed without its own column is joined to the value, which comes first.
  const implied = columns.length > 0 && definition.name !== 'template' && !columns.includes(OWN_VALUE)
  return {
    name: definition.name,
    arguments: call.arguments.map(({ name, value }) => ({ name, value })),
    columns: implied ? [OWN_VALUE, ...columns] : columns,
  }
}

function unknown(name: string): string {
  const names = transforms.map((definition) => definition.name)
  const nearest = nearestName(name, names)
  return nearest === null
    ? `there is no transform "${shown(name)}". There are: ${names.join(', ')}.`
    : `there is no transform "${shown(name)}". Did you mean ${nearest}?`
}

/** What is wrong with one argument; null for nothing. */
function faultOfArgument(
  { parameters }: TransformDefinition,
  all: readonly TransformArgument[],
  { name, value }: TransformArgument,
  at: number,
): string | null {
  const found = parameters.find((parameter) => parameter.name === name)
  if (found === undefined) {
    const names = parameters.map((parameter) => `"${parameter.name}"`)
    return `it takes no argument "${shown(name)}", but ${names.length === 0 ? 'none at all' : names.join(', ')}.`
  }
  if (!found.repeated && all.findIndex((argument) => argument.name === name) < at) {
    return `the argument "${name}" is given twice.`
  }
  if (value.length > TRANSFORM_ARGUMENT_LENGTH_MAX) {
    return `the argument "${name}" has ${value.length} characters. At most ${TRANSFORM_ARGUMENT_LENGTH_MAX} are taken.`
  }
  if (!value.isWellFormed() || value.includes('\0')) {
    return `the argument "${name}" holds NUL or half of a character.`
  }
  if (!found.mayBeBlank && value.trim() === '') {
    return `the argument "${name}" is blank.`
  }
  const expected = expectedOf(found, value)
  return expected === null ? null : `the argument "${name}" is "${shown(value)}". Expected ${expected}.`
}

/** What is expected of a value that is not right; null for one that is. */
function expectedOf(parameter: Parameter, value: string): string | null {
  switch (parameter.kind) {
    case 'TEXT':
    case 'COLUMN':
      return null
    case 'WHOLE_NUMBER': {
      const number = /^-?\d{1,9}$/.test(value) ? Number(value) : Number.NaN
      return number >= parameter.min && number <= parameter.max
        ? null
        : `a whole number${bounded(parameter) ? ` from ${parameter.min} to ${parameter.max}` : ''}`
    }
    case 'NUMBER':
      return value.length <= 30 && decimalOf(value) !== null ? null : 'a number such as 0.01, of at most 30 characters'
    case 'CHOICE':
      return parameter.choices.includes(value) ? null : parameter.choices.join(' or ')
    case 'TEMPLATE':
      return templateParts(value)?.some((part) => 'column' in part) === true
        ? null
        : 'a text with at least one column in brackets, such as {First Name}; {{ and }} stand for brackets'
    case 'DATE_FORMAT':
      return dateFormatNamed(value) === null ? `one of ${DATE_FORMATS.join('   ')}` : null
    case 'NUMBER_FORMAT':
      return numberFormatOf(value) === null ? `a language such as de-DE, or one of ${NUMBER_FORMATS.join('   ')}` : null
    case 'TIME_ZONE':
      return zoneOf(value) === null ? 'an IANA time zone such as Europe/Berlin' : null
    case 'COUNTRY':
      return hasPhoneNumbers(value.toUpperCase()) ? null : 'an ISO 3166-1 alpha-2 code such as DE'
    case 'CURRENCY':
      return Intl.supportedValuesOf('currency').includes(value.toUpperCase()) ? null : 'an ISO 4217 code such as EUR'
  }
  return parameter.kind satisfies never
}

function bounded({ min, max }: Parameter): boolean {
  return Number.isFinite(min) && Number.isFinite(max)
}

/** Columns that calls read by name, in order, their own among them where it is named; none of transforms that are not known. */
export function columnsRead(calls: readonly TransformCall[]): string[] {
  return calls.flatMap((call) => {
    const definition = transformNamed(call.name)
    return definition === null ? [] : columnNames(definition, call.arguments).map(({ name }) => name)
  })
}

/** Names of columns in the arguments of a call, each with the position of its argument. */
function columnNames(
  { parameters }: TransformDefinition,
  given: readonly TransformArgument[],
): { readonly name: string; readonly argument: number }[] {
  return given.flatMap(({ name, value }, argument) => {
    const kind = parameters.find((parameter) => parameter.name === name)?.kind
    if (kind === 'COLUMN') {
      return [{ name: value, argument }]
    }
    return kind === 'TEMPLATE'
      ? (templateParts(value) ?? []).flatMap((part) => ('column' in part ? [{ name: part.column, argument }] : []))
      : []
  })
}

function shown(text: string): string {
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH).toWellFormed()}…` : text.toWellFormed()
}
