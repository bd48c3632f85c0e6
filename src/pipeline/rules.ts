/**
 * Business rules: what a tenant asks of its records beyond what fields ask by themselves. Checked when they are saved,
 * compiled once per run, and judged over the mapped values of each row.
 *
 * A rule judges the record that the row by itself would make: its values, what is built from them, and defaults. With
 * UPDATE_ONLY, which makes none, it judges the row's own values alone, and asks for no field that the file does not have.
 * What an existing record holds already is never looked at, except by UNIQUE, which the engine judges (see `uniqueRules`).
 */
import { RE2JS, RE2JSException } from 're2js'
import { Refusal } from '../errors.js'
import {
  RULE_ARGUMENT_LENGTH_MAX,
  RULE_ARGUMENTS_MAX,
  RULE_FIELDS_MAX,
  RULE_MESSAGE_LENGTH_MAX,
  RULE_PATTERN_LENGTH_MAX,
  RULE_PATTERN_PROGRAM_MAX,
  RULE_PATTERN_VALUE_LENGTH_MAX,
} from '../limits.js'
import { fieldOf, mappableNames } from '../records/index.js'
import type { FieldDefinition, FieldKind, RecordType } from '../records/types.js'
import type { StageColumn } from './mapped.js'
import type { BusinessRule, IssueSeverity, RuleKind, UniqueRule } from './types.js'
import { valueParser } from './values.js'

// ------------------------------------------------------------------------------------------------ what a rule can say

interface Argument {
  readonly name: string
  readonly repeated: boolean
}

/** What can be said to each kind of rule. */
const argumentsOf: Readonly<Record<RuleKind, readonly Argument[]>> = {
  REQUIRED_IF: [
    { name: 'when', repeated: false },
    { name: 'is', repeated: true },
    { name: 'blank', repeated: false },
  ],
  ONE_OF: [
    { name: 'value', repeated: true },
    { name: 'ignoreCase', repeated: false },
  ],
  RANGE: [
    { name: 'min', repeated: false },
    { name: 'max', repeated: false },
  ],
  PATTERN: [
    { name: 'pattern', repeated: false },
    { name: 'ignoreCase', repeated: false },
    { name: 'anywhere', repeated: false },
  ],
  COMPARE: [{ name: 'operator', repeated: false }],
  UNIQUE: [],
}

const operators = ['LT', 'LTE', 'GT', 'GTE', 'EQ', 'NEQ'] as const
type Operator = (typeof operators)[number]

const operatorWords: Readonly<Record<Operator, string>> = {
  LT: 'less than',
  LTE: 'at most',
  GT: 'more than',
  GTE: 'at least',
  EQ: 'the same as',
  NEQ: 'other than',
}

/** How values of a kind are compared with each other. */
type Measure = 'NUMBER' | 'DAY' | 'MOMENT' | 'TEXT' | 'FLAG' | 'LIST' | 'REFERENCE'

const measures: Readonly<Record<FieldKind, Measure>> = {
  TEXT: 'TEXT',
  LONG_TEXT: 'TEXT',
  EMAIL: 'TEXT',
  PHONE: 'TEXT',
  URL: 'TEXT',
  ENUM: 'TEXT',
  INTEGER: 'NUMBER',
  DECIMAL: 'NUMBER',
  MONEY: 'NUMBER',
  BOOLEAN: 'FLAG',
  DATE: 'DAY',
  DATE_TIME: 'MOMENT',
  MULTI_ENUM: 'LIST',
  REFERENCE: 'REFERENCE',
}

const ordered: ReadonlySet<Measure> = new Set(['NUMBER', 'DAY', 'MOMENT'])

/** Every field that a rule has to do with. */
export function fieldsOfRule(rule: Pick<BusinessRule, 'fields' | 'arguments'>): string[] {
  const when = rule.arguments.find(({ name }) => name === 'when')
  return when === undefined ? [...rule.fields] : [...rule.fields, when.value]
}

/** What a caller says of a rule. */
export type RuleInput = Pick<BusinessRule, 'kind' | 'fields' | 'arguments' | 'severity' | 'message'>

/**
 * The rule, tidied. Throws a Refusal that says what came, what is expected and where: UNKNOWN_FIELD for a field that there is
 * not, INVALID_INPUT for everything else.
 */
export function checkedRule(type: RecordType, input: RuleInput): RuleInput {
  const message = input.message.trim()
  if (message === '' || message.length > RULE_MESSAGE_LENGTH_MAX || message.includes('\0') || !message.isWellFormed()) {
    throw refusal(`The message of a rule has 1 to ${RULE_MESSAGE_LENGTH_MAX} characters: it is what people read.`, [
      'message',
    ])
  }
  const fields = checkedFields(type, input)
  checkArguments(input)
  const rule = { ...input, fields: [...input.fields], arguments: [...input.arguments], message }
  switch (input.kind) {
    case 'REQUIRED_IF':
      checkRequiredIf(type, rule)
      break
    case 'ONE_OF':
      checkOneOf(fields, rule)
      break
    case 'RANGE':
      checkRange(fields, rule)
      break
    case 'PATTERN':
      checkPattern(fields, rule)
      break
    case 'COMPARE':
      checkCompare(fields, rule)
      break
    case 'UNIQUE':
      checkUnique(type, fields)
      break
    default:
      throw new Error(input.kind satisfies never)
  }
  return rule
}

function refusal(message: string, path: readonly string[]): Refusal {
  return new Refusal('INVALID_INPUT', message, path)
}

function checkedFields(type: RecordType, { fields, kind }: RuleInput): FieldDefinition[] {
  if (fields.length === 0 || fields.length > RULE_FIELDS_MAX) {
    throw refusal(`A rule is about 1 to ${RULE_FIELDS_MAX} fields.`, ['fields'])
  }
  if (new Set(fields).size !== fields.length) {
    throw refusal('A field is named twice.', ['fields'])
  }
  return fields.map((name, index) => {
    const field = knownField(type, name, ['fields', String(index)])
    if (kind !== 'REQUIRED_IF' && field.reference !== null) {
      throw refusal(`${name} is another record, and ${kind} is about values. REQUIRED_IF can ask for it.`, [
        'fields',
        String(index),
      ])
    }
    return field
  })
}

function knownField(type: RecordType, name: string, path: readonly string[]): FieldDefinition {
  const field = fieldOf(type, name)
  if (field === null) {
    const advice = mappableNames(type).includes(name) ? ` Name the reference itself: ${name.split('.')[0]}.` : ''
    throw new Refusal(
      'UNKNOWN_FIELD',
      `A ${type.label.toLowerCase()} has no field ${JSON.stringify(name.slice(0, 100))}.${advice}`,
      path,
    )
  }
  return field
}

function checkArguments({ kind, arguments: given }: RuleInput): void {
  if (given.length > RULE_ARGUMENTS_MAX) {
    throw refusal(`A rule takes at most ${RULE_ARGUMENTS_MAX} arguments.`, ['arguments'])
  }
  const known = argumentsOf[kind]
  const seen = new Set<string>()
  for (const [index, { name, value }] of given.entries()) {
    const argument = known.find((candidate) => candidate.name === name)
    if (argument === undefined) {
      throw refusal(
        `${kind} has no argument ${JSON.stringify(name.slice(0, 100))}. ${known.length === 0 ? 'It takes none.' : `It takes: ${known.map((one) => one.name).join(', ')}.`}`,
        ['arguments', String(index), 'name'],
      )
    }
    if (seen.has(name) && !argument.repeated) {
      throw refusal(`The argument ${name} of ${kind} is given twice.`, ['arguments', String(index), 'name'])
    }
    seen.add(name)
    if (value.length > RULE_ARGUMENT_LENGTH_MAX || value.includes('\0') || !value.isWellFormed()) {
      throw refusal(`An argument has at most ${RULE_ARGUMENT_LENGTH_MAX} characters.`, argumentPath(index))
    }
    if ((name === 'ignoreCase' || name === 'anywhere' || name === 'blank') && value !== 'true' && value !== 'false') {
      throw refusal(`The argument ${name} is true or false.`, argumentPath(index))
    }
  }
}

function argumentPath(index: number): string[] {
  return ['arguments', String(index), 'value']
}

function valuesOf(rule: Pick<BusinessRule, 'arguments'>, name: string): string[] {
  return rule.arguments.filter((argument) => argument.name === name).map(({ value }) => value)
}

function valueOf(rule: Pick<BusinessRule, 'arguments'>, name: string): string | null {
  return valuesOf(rule, name)[0] ?? null
}

function says(rule: Pick<BusinessRule, 'arguments'>, name: string): boolean {
  return valueOf(rule, name) === 'true'
}

/** Each argument with this name has to be a value of the field, written plainly: `1234.56`, `2026-03-01`. */
function checkValues(field: FieldDefinition, rule: RuleInput, names: readonly string[]): void {
  for (const [index, { name, value }] of rule.arguments.entries()) {
    if (names.includes(name) && plainValue(field, value) === null) {
      const { message } = valueParser(single(field), plainly).fault(value.trim())
      throw refusal(`${field.name}: ${message}`, argumentPath(index))
    }
  }
}

function checkRequiredIf(type: RecordType, rule: RuleInput): void {
  const at = rule.arguments.findIndex(({ name }) => name === 'when')
  const is = valuesOf(rule, 'is')
  if (at < 0) {
    if (rule.arguments.length > 0) {
      throw refusal('REQUIRED_IF needs the argument when, a field, for is and blank to be about.', ['arguments'])
    }
    return
  }
  const when = knownField(type, rule.arguments[at]?.value ?? '', argumentPath(at))
  if (is.length > 0 && says(rule, 'blank')) {
    throw refusal('REQUIRED_IF takes either is or blank.', ['arguments'])
  }
  if (is.length > 0 && when.reference !== null) {
    throw refusal(`${when.name} is another record: ask whether it is blank.`, argumentPath(at))
  }
  checkValues(when, rule, ['is'])
}

function checkOneOf(fields: readonly FieldDefinition[], rule: RuleInput): void {
  if (valuesOf(rule, 'value').length === 0) {
    throw refusal('ONE_OF needs the argument value, once for each value that is allowed.', ['arguments'])
  }
  for (const field of fields) {
    checkValues(field, rule, ['value'])
  }
}

function checkRange(fields: readonly FieldDefinition[], rule: RuleInput): void {
  const [min, max] = [valueOf(rule, 'min'), valueOf(rule, 'max')]
  if (min === null && max === null) {
    throw refusal('RANGE needs the argument min or max, or both.', ['arguments'])
  }
  for (const [index, field] of fields.entries()) {
    if (!ordered.has(measures[field.kind])) {
      throw refusal(`RANGE is about numbers, days and moments; ${field.name} is of kind ${field.kind}.`, [
        'fields',
        String(index),
      ])
    }
    checkValues(field, rule, ['min', 'max'])
    const [least, most] = [min, max].map((value) => (value === null ? null : plainValue(field, value)))
    if (least != null && most != null && compare(measures[field.kind], least, most) > 0) {
      throw refusal(`min is above max: nothing is from ${min} to ${max}.`, ['arguments'])
    }
  }
}

function checkPattern(fields: readonly FieldDefinition[], rule: RuleInput): void {
  const at = rule.arguments.findIndex(({ name }) => name === 'pattern')
  const pattern = rule.arguments[at]?.value ?? ''
  if (pattern === '') {
    throw refusal('PATTERN needs the argument pattern.', ['arguments'])
  }
  for (const [index, field] of fields.entries()) {
    if (measures[field.kind] !== 'TEXT') {
      throw refusal(`PATTERN is about texts; ${field.name} is of kind ${field.kind}.`, ['fields', String(index)])
    }
  }
  if (pattern.length > RULE_PATTERN_LENGTH_MAX) {
    throw refusal(`A pattern has at most ${RULE_PATTERN_LENGTH_MAX} characters.`, argumentPath(at))
  }
  try {
    if (compilePattern(rule).programSize() > RULE_PATTERN_PROGRAM_MAX) {
      throw refusal('The pattern repeats too much. Ask for less with {n,m}.', argumentPath(at))
    }
  } catch (error) {
    if (error instanceof RE2JSException) {
      throw refusal(
        `The pattern is none of RE2's syntax: ${error.message.replace('error parsing regexp: ', '')}. Back references and look-around do not exist in it.`,
        argumentPath(at),
      )
    }
    throw error
  }
}

function checkCompare(fields: readonly FieldDefinition[], rule: RuleInput): void {
  const [left, right] = fields
  const operator = valueOf(rule, 'operator')
  if (left === undefined || right === undefined || fields.length !== 2) {
    throw refusal('COMPARE is about two fields: the first one has to be, say, LTE the second.', ['fields'])
  }
  if (!isOperator(operator)) {
    throw refusal(`COMPARE needs the argument operator, one of: ${operators.join(', ')}.`, ['arguments'])
  }
  const [measure, other] = [measures[left.kind], measures[right.kind]]
  if (measure !== other || measure === 'LIST') {
    throw refusal(`${left.name} (${left.kind}) and ${right.name} (${right.kind}) cannot be compared with each other.`, [
      'fields',
    ])
  }
  if (!ordered.has(measure) && operator !== 'EQ' && operator !== 'NEQ') {
    throw refusal(`${left.name} and ${right.name} have no order: compare them by EQ or NEQ.`, ['arguments'])
  }
}

function isOperator(text: string | null): text is Operator {
  return operators.some((operator) => operator === text)
}

function checkUnique(type: RecordType, fields: readonly FieldDefinition[]): void {
  const [field] = fields
  const possible = type.matchable.filter((name) => name !== 'externalId')
  if (field === undefined || fields.length !== 1) {
    throw refusal('UNIQUE is about one field. Make a rule for each.', ['fields'])
  }
  if (field.name === 'externalId') {
    throw refusal('externalId is unique for each source system already.', ['fields', '0'])
  }
  if (!possible.includes(field.name)) {
    throw refusal(
      `UNIQUE has to look up the value of every row, and ${field.name} has no index. ${possible.length === 0 ? `No field of a ${type.label.toLowerCase()} has one.` : `Those that have: ${possible.join(', ')}.`}`,
      ['fields', '0'],
    )
  }
}

// ------------------------------------------------------------------------------------------------ values

/** Values in a rule are written plainly, whatever the format of a column. */
const plainly = { format: null, timeZone: 'UTC', defaultCountry: null } as const

/** The field that one entry of a list is read as; other fields as they are. */
function single(field: FieldDefinition): FieldDefinition {
  return field.kind !== 'MULTI_ENUM'
    ? field
    : { ...field, kind: field.options === null ? 'TEXT' : 'ENUM', sqlType: 'text' }
}

/** A value of the field, or of one entry of it, in the text form of stage values; null for no value. */
function plainValue(field: FieldDefinition, text: string): string | null {
  const value = text.trim() === '' ? null : valueParser(single(field), plainly).parse(text.trim())
  return value === '' ? null : value
}

/** Less than 0, 0 or more than 0; for measures without an order 0 means the same, anything else another. */
function compare(measure: Measure, a: string, b: string): number {
  switch (measure) {
    case 'NUMBER':
      return compareNumbers(a, b)
    case 'MOMENT':
      return Date.parse(a) - Date.parse(b)
    default:
      return a === b ? 0 : a < b ? -1 : 1
  }
}

/** Decimals of so few characters are exact as binary fractions go, as far as comparing them goes. */
const SAFE_NUMBER_LENGTH = 15

function compareNumbers(a: string, b: string): number {
  if (a.length <= SAFE_NUMBER_LENGTH && b.length <= SAFE_NUMBER_LENGTH) {
    return Number(a) - Number(b)
  }
  const scale = Math.max(fraction(a).length, fraction(b).length)
  const difference = scaled(a, scale) - scaled(b, scale)
  return difference === 0n ? 0 : difference < 0n ? -1 : 1
}

function fraction(number: string): string {
  const point = number.indexOf('.')
  return point < 0 ? '' : number.slice(point + 1)
}

function scaled(number: string, scale: number): bigint {
  const digits = fraction(number)
  return BigInt(`${number.split('.')[0] ?? ''}${digits.padEnd(scale, '0')}`)
}

/** One text for one value, so that equal values are equal texts. */
function canonical(measure: Measure, value: string): string {
  switch (measure) {
    case 'NUMBER': {
      const number = value.includes('.') ? value.replace(/\.?0+$/, '') : value
      return number === '-0' || number === '' ? '0' : number
    }
    case 'MOMENT':
      return new Date(value).toISOString()
    default:
      return value
  }
}

/** Entries of a list in PostgreSQL's text form. */
function entriesOf(list: string): string[] {
  const items = list.slice(1, -1).match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? []
  return items.map((item) => (item.startsWith('"') ? item.slice(1, -1).replaceAll(/\\(.)/g, '$1') : item))
}

// ------------------------------------------------------------------------------------------------ judging

/** A rule that a row has broken. */
export interface BrokenRule {
  readonly message: string
  readonly severity: IssueSeverity
  /** The field that is at fault; of COMPARE the first one. */
  readonly field: string
  /** Slot of the value that is at fault; -1 where the row has none for the field. */
  readonly slot: number
  readonly value: string | null
  readonly suggestion: string | null
}

/** What a row's values are judged by. `faulty`: fields whose cell could not be read; rules over them are left out. */
export type Judge = (values: readonly (string | null)[], faulty: ReadonlySet<string> | null) => readonly BrokenRule[]

/** Where the rules of a run find what they judge. */
export interface RuleContext {
  readonly type: RecordType
  readonly stageColumns: readonly StageColumn[]
  /** Values of new records by column, in text form; empty for runs that make none. */
  readonly defaults: Readonly<Record<string, string>>
  /** The run makes records. */
  readonly creates: boolean
}

const nothing: readonly BrokenRule[] = []

/** Compiles the rules of a run; null where there is nothing to judge by the values of single rows. */
export function compileRules(rules: readonly BusinessRule[], context: RuleContext): Judge | null {
  const judges = rules.flatMap((rule) => {
    const test = compileRule(rule, context)
    return test === null ? [] : [{ names: fieldsOfRule(rule), test }]
  })
  if (judges.length === 0) {
    return null
  }
  return (values, faulty) => {
    let broken: BrokenRule[] | null = null
    for (const { names, test } of judges) {
      if (faulty !== null && names.some((name) => faulty.has(name))) {
        continue
      }
      const found = test(values)
      if (found !== null) {
        broken ??= []
        broken.push(...found)
      }
    }
    return broken ?? nothing
  }
}

/** The rules of a run that only the records can tell about, as far as the file has their fields. */
export function uniqueRules(rules: readonly BusinessRule[], mapped: readonly string[]): UniqueRule[] {
  return rules
    .filter((rule) => rule.kind === 'UNIQUE' && mapped.includes(rule.fields[0] ?? ''))
    .map(({ fields, severity, message }) => ({ field: fields[0] ?? '', severity, message }))
}

type Test = (values: readonly (string | null)[]) => BrokenRule[] | null

/** A field as a rule reads it. */
interface Reader {
  readonly name: string
  readonly field: FieldDefinition | null
  readonly measure: Measure
  /** The file has a column for it, or the mapping a constant. */
  readonly mapped: boolean
  readonly slot: number
  readonly read: (values: readonly (string | null)[]) => string | null
}

function readerOf(name: string, { type, stageColumns, defaults, creates }: RuleContext): Reader {
  // Of custom fields only those that are mapped may be known here; one that is not has no value anyway.
  const field = fieldOf(type, name)
  const own = stageColumns.flatMap((column, slot) => (column.field === name && column.role !== 'new' ? [slot] : []))
  const built = stageColumns.flatMap((column, slot) =>
    creates && column.field === name && column.role === 'new' ? [slot] : [],
  )
  const slots = [...own, ...built]
  const fallback = field === null ? null : (defaults[field.column] ?? null)
  const present = fallback === '{}' ? null : fallback
  return {
    name,
    field,
    measure: field === null ? 'TEXT' : measures[field.kind],
    mapped: own.length > 0,
    slot: own[0] ?? -1,
    read: (values) => {
      for (const slot of slots) {
        const value = values[slot] ?? null
        if (value !== null && value !== '{}') {
          return value
        }
      }
      return present
    },
  }
}

function compileRule(rule: BusinessRule, context: RuleContext): Test | null {
  const readers = rule.fields.map((name) => readerOf(name, context))
  switch (rule.kind) {
    case 'REQUIRED_IF':
      return requiredIf(rule, readers, context)
    case 'ONE_OF':
      return each(rule, readers, oneOf(rule))
    case 'RANGE':
      return each(rule, readers, inRange(rule))
    case 'PATTERN': {
      const matcher = compilePattern(rule)
      const anywhere = says(rule, 'anywhere')
      const holds = (value: string) =>
        value.length <= RULE_PATTERN_VALUE_LENGTH_MAX && (anywhere ? matcher.test(value) : matcher.testExact(value))
      return each(rule, readers, () => ({ holds, suggestion: `Expected the form ${valueOf(rule, 'pattern')}` }))
    }
    case 'COMPARE':
      return compared(rule, readers)
    case 'UNIQUE':
      return null
    default:
      throw new Error(rule.kind satisfies never)
  }
}

function broken(rule: BusinessRule, reader: Reader, value: string | null, suggestion: string | null): BrokenRule {
  const { message, severity } = rule
  return { message, severity, field: reader.name, slot: reader.slot, value, suggestion }
}

function labelOf(reader: Reader): string {
  return reader.field?.label ?? reader.name
}

function requiredIf(rule: BusinessRule, readers: readonly Reader[], context: RuleContext): Test | null {
  const asked = context.creates ? readers : readers.filter(({ mapped }) => mapped)
  if (asked.length === 0) {
    return null
  }
  const when = valueOf(rule, 'when')
  const condition = when === null ? null : readerOf(when, context)
  const is = valuesOf(rule, 'is')
  const wanted =
    is.length === 0 || condition === null || condition.field === null ? null : wantedValues(condition.field, is, false)
  const blank = says(rule, 'blank')
  const applies = (values: readonly (string | null)[]): boolean => {
    if (condition === null) {
      return true
    }
    const value = condition.read(values)
    if (value === null || blank) {
      return (value === null) === blank
    }
    return is.length === 0 || (wanted !== null && isAny(condition.measure, value, wanted, false))
  }
  return (values) => {
    if (!applies(values)) {
      return null
    }
    const missing = asked.filter((reader) => reader.read(values) === null)
    return missing.length === 0 ? null : missing.map((reader) => broken(rule, reader, null, `Fill ${labelOf(reader)}.`))
  }
}

interface Condition {
  readonly holds: (value: string) => boolean
  readonly suggestion: string | null
}

/** A condition that the value of each field has to fulfil; one without a value does. */
function each(
  rule: BusinessRule,
  readers: readonly Reader[],
  condition: (field: FieldDefinition) => Condition,
): Test | null {
  const compiled = readers.flatMap((reader) => (reader.field === null ? [] : [{ reader, ...condition(reader.field) }]))
  if (compiled.length === 0) {
    return null
  }
  return (values) => {
    let found: BrokenRule[] | null = null
    for (const { reader, holds, suggestion } of compiled) {
      const value = reader.read(values)
      if (value !== null && !holds(value)) {
        found ??= []
        found.push(broken(rule, reader, value, suggestion))
      }
    }
    return found
  }
}

/** Values that a suggestion lists. */
const SUGGESTED_VALUES = 10

function oneOf(rule: BusinessRule): (field: FieldDefinition) => Condition {
  const allowed = valuesOf(rule, 'value')
  const ignoreCase = says(rule, 'ignoreCase')
  const more = allowed.length - SUGGESTED_VALUES
  const suggestion = `Expected one of: ${allowed.slice(0, SUGGESTED_VALUES).join(', ')}${more > 0 ? ` and ${more} more` : ''}.`
  return (field) => {
    const wanted = wantedValues(field, allowed, ignoreCase)
    return { holds: (value) => areAll(measures[field.kind], value, wanted, ignoreCase), suggestion }
  }
}

function wantedValues(field: FieldDefinition, texts: readonly string[], ignoreCase: boolean): ReadonlySet<string> {
  const measure = measures[field.kind]
  return new Set(
    texts.flatMap((text) => {
      const value = plainValue(field, text)
      return value === null ? [] : [key(measure, value, ignoreCase)]
    }),
  )
}

function key(measure: Measure, value: string, ignoreCase: boolean): string {
  const text = canonical(measure, value)
  return ignoreCase ? text.toLowerCase() : text
}

function areAll(measure: Measure, value: string, wanted: ReadonlySet<string>, ignoreCase: boolean): boolean {
  return measure === 'LIST'
    ? entriesOf(value).every((entry) => wanted.has(key('TEXT', entry, ignoreCase)))
    : wanted.has(key(measure, value, ignoreCase))
}

function isAny(measure: Measure, value: string, wanted: ReadonlySet<string>, ignoreCase: boolean): boolean {
  return measure === 'LIST'
    ? entriesOf(value).some((entry) => wanted.has(key('TEXT', entry, ignoreCase)))
    : wanted.has(key(measure, value, ignoreCase))
}

function inRange(rule: BusinessRule): (field: FieldDefinition) => Condition {
  const [min, max] = [valueOf(rule, 'min'), valueOf(rule, 'max')]
  const suggestion = `Expected ${min === null ? '' : `at least ${min}`}${min !== null && max !== null ? ' and ' : ''}${max === null ? '' : `at most ${max}`}.`
  return (field) => {
    const measure = measures[field.kind]
    const [least, most] = [min, max].map((bound) => (bound === null ? null : plainValue(field, bound)))
    return {
      holds: (value) =>
        (least == null || compare(measure, value, least) >= 0) && (most == null || compare(measure, value, most) <= 0),
      suggestion,
    }
  }
}

function compilePattern(rule: Pick<BusinessRule, 'arguments'>): RE2JS {
  return RE2JS.compile(valueOf(rule, 'pattern') ?? '', says(rule, 'ignoreCase') ? RE2JS.CASE_INSENSITIVE : 0)
}

function compared(rule: BusinessRule, readers: readonly Reader[]): Test | null {
  const [left, right] = readers
  const operator = valueOf(rule, 'operator')
  if (
    left === undefined ||
    right === undefined ||
    left.field === null ||
    right.field === null ||
    !isOperator(operator)
  ) {
    return null
  }
  const { measure } = left
  const suggestion = `${labelOf(left)} has to be ${operatorWords[operator]} ${labelOf(right)}.`
  return (values) => {
    const [a, b] = [left.read(values), right.read(values)]
    if (a === null || b === null || holdsFor(operator, compare(measure, a, b))) {
      return null
    }
    return [broken(rule, left, a, suggestion)]
  }
}

function holdsFor(operator: Operator, difference: number): boolean {
  switch (operator) {
    case 'LT':
      return difference < 0
    case 'LTE':
      return difference <= 0
    case 'GT':
      return difference > 0
    case 'GTE':
      return difference >= 0
    case 'EQ':
      return difference === 0
    case 'NEQ':
      return difference !== 0
    default:
      return operator satisfies never
  }
}
