/**
 * What a mapping means, decided once per run from the mapping, the evidence of the whole file, the options and the record
 * type: one format per column, which rows match what, and what a person has to decide before anything is written.
 */
import { Refusal } from '../errors.js'
import {
  fieldOf,
  ID_FIELD,
  idField,
  keyField,
  mappableNames,
  type ReferencePath,
  referencePath,
  relatedPath,
} from '../records/index.js'
import type { FieldDefinition, RecordType } from '../records/types.js'
import { EvidenceCollector, formulasEscaped, readableEvidence } from './evidence.js'
import {
  DATE_FORMATS,
  type DateFormat,
  dateFormatNamed,
  dayReader,
  momentReader,
  NUMBER_FORMATS,
  type NumberFormat,
  numberFormatNamed,
  numberReader,
} from './formats.js'
import { hasPhoneNumbers } from './phone.js'
import { compileChain, readsOtherColumns, writesPlainly } from './transforms/chain.js'
import { resolveTransforms } from './transforms/check.js'
import { nearestName } from './transforms/index.js'
import type {
  ColumnEvidence,
  ColumnMapping,
  ImportOptions,
  MappingConflict,
  ResolvedColumn,
  ResolvedMapping,
  ResolvedTransform,
  SourceOptions,
} from './types.js'
import { builtFrom } from './validate.js'
import { isFormulaError, valueParser } from './values.js'
import { zoneOf } from './zone.js'

/** Values that a conflict lists. */
const CONFLICT_VALUES = 50
/** Values that its message names. */
const MESSAGE_VALUES = 5

export interface ResolveRequest {
  readonly type: RecordType
  readonly mapping: readonly ColumnMapping[]
  readonly evidence: readonly ColumnEvidence[]
  readonly options: ImportOptions
  readonly source: SourceOptions
}

export interface Resolution {
  /** Usable also while there are conflicts, with the likeliest reading in their place; but then a person has not decided. */
  readonly resolved: ResolvedMapping
  /** What a person has to decide; the run waits for it. */
  readonly conflicts: MappingConflict[]
  /** Required fields that no column, constant or default value gives and that nothing mapped can build. */
  readonly unmappedRequired: string[]
}

/**
 * Resolves a mapping. Throws a Refusal for what can never be right: an unknown column or field, an unknown format, time
 * zone or country, a constant that is no value of its field, a match rule over fields without an index.
 */
export function resolveMapping(given: ResolveRequest): Resolution {
  const { type, options, source } = given
  const escaped = formulasEscaped(given.evidence, source)
  const request = escaped ? { ...given, evidence: readableEvidence(given.evidence, source) } : given
  const timeZone = checkedTimeZone(source.timeZone)
  const defaultCountry = checkedCountry(source.defaultCountry)
  const base = { request, timeZone, defaultCountry }
  const mapped = request.mapping.flatMap((entry, position) => {
    const column = resolveColumn(base, entry, position)
    return column === null ? [] : [column]
  })
  const used = mapped.filter((column, index) => mapped.findIndex((other) => other.name === column.name) === index)
  const conflicts = [
    ...doubleMappings(mapped),
    ...used.flatMap((column) => (column.formatConflict === null ? [] : [column.formatConflict])),
    ...used.flatMap((column) => unknownValues(column, base)),
  ]
  conflicts.push(...unnamedRelations(type, used))
  const unmappedRequired = missingFields(type, options, used)
  conflicts.push(...unmappedRequired.map((name) => requiredConflict(type, name)))
  const names = used.filter((column) => column.path === null).map((column) => column.name)
  const customFields = type.fields.filter(({ name, customKey }) => customKey !== undefined && names.includes(name))
  const matchConflict = unmatchable(type, options, names)
  if (matchConflict !== null) {
    conflicts.push(matchConflict)
  }
  return {
    resolved: {
      recordType: type.name,
      columns: used.map((column) => column.resolved),
      options,
      timeZone,
      defaultCountry,
      ...(escaped ? { formulasEscaped: true } : {}),
      ...(customFields.length === 0 ? {} : { customFields }),
    },
    conflicts,
    unmappedRequired,
  }
}

/**
 * Match rules in the order in which they are tried: the id where it is mapped, whatever the options say, for a row that names its
 * record means no other; then those of the options as far as all their fields are mapped, or the
 * external id and then the natural keys. Empty where nothing can match. Throws a Refusal for a rule that can never work.
 */
export function effectiveMatchRules(
  type: RecordType,
  options: ImportOptions,
  mappedFields: readonly string[],
): string[][] {
  const mapped = new Set(mappedFields)
  for (const [position, rule] of options.matchOn.entries()) {
    checkRule(type, rule, position)
  }
  const others = options.matchOn.length > 0 ? options.matchOn : [['externalId'], ...type.naturalKeys]
  const rules = [[ID_FIELD], ...others.filter((rule) => !isIdRule(rule))]
  return rules.filter((rule) => rule.every((name) => mapped.has(name))).map((rule) => [...rule])
}

function isIdRule(rule: readonly string[]): boolean {
  return rule.length === 1 && rule[0] === ID_FIELD
}

function checkRule(type: RecordType, rule: readonly string[], position: number): void {
  const where = ['options', 'matchOn', `${position}`]
  if (rule.length === 0) {
    throw new Refusal('INVALID_INPUT', 'A match rule names at least one field.', where)
  }
  if (isIdRule(rule)) {
    return
  }
  for (const name of rule) {
    if (name === ID_FIELD) {
      throw new Refusal(
        'INVALID_INPUT',
        'An id says by itself which record is meant: it stands alone in a rule.',
        where,
      )
    }
    const field = fieldOf(type, name)
    if (field === null) {
      throw new Refusal('UNKNOWN_FIELD', `A ${type.label.toLowerCase()} has no field "${name}" to match on.`, where)
    }
    if (field.reference !== null || field.kind === 'MULTI_ENUM') {
      throw new Refusal('INVALID_INPUT', `Records cannot be matched on "${name}".`, where)
    }
  }
  if (!rule.some((name) => type.matchable.includes(name))) {
    throw new Refusal(
      'INVALID_INPUT',
      `The match rule ${rule.join(' + ')} needs at least one of: ${type.matchable.join(', ')}. Records are found by these.`,
      where,
    )
  }
}

// ---------------------------------------------------------------------------------------------------------- options

function checkedTimeZone(name: string | null): string {
  if (name !== null && zoneOf(name) === null) {
    throw new Refusal('INVALID_INPUT', `"${name}" is not a time zone. Expected an IANA name such as Europe/Berlin.`, [
      'source',
      'timeZone',
    ])
  }
  return name ?? 'UTC'
}

function checkedCountry(code: string | null): string | null {
  const country = code === null ? null : code.toUpperCase()
  if (country !== null && !hasPhoneNumbers(country)) {
    throw new Refusal('INVALID_INPUT', `"${code}" is not a country. Expected an ISO 3166-1 alpha-2 code such as DE.`, [
      'source',
      'defaultCountry',
    ])
  }
  return country
}

// ---------------------------------------------------------------------------------------------------------- columns

interface Base {
  readonly request: ResolveRequest
  readonly timeZone: string
  readonly defaultCountry: string | null
}

/** One mapped column with what is known about it. */
interface MappedColumn {
  readonly name: string
  /** The field that the values are read as: of a reference, the field of the referred type. */
  readonly field: FieldDefinition
  readonly path: ReferencePath | null
  readonly evidence: ColumnEvidence | null
  readonly entry: ColumnMapping
  readonly resolved: ResolvedColumn
  readonly formatConflict: MappingConflict | null
}

/** Null for a column that is mapped to nothing. */
function resolveColumn(base: Base, entry: ColumnMapping, position: number): MappedColumn | null {
  const { type, options } = base.request
  const name = entry.field
  if (name === null) {
    return null
  }
  const where = ['mapping', `${position}`]
  const path = referencePath(type, name)
  const own = name === ID_FIELD ? idField(type.name) : (relatedPath(type, name)?.target ?? fieldOf(type, name))
  if (path === null && (own === null || own.reference !== null)) {
    throw new Refusal('UNKNOWN_FIELD', unknownField(type, name, own), [...where, 'field'])
  }
  const field = path === null ? own! : keyField(path)
  const evidence = namesNothing(entry) ? null : columnOf(base, entry, where)
  const transforms = transformsOf(base, entry, evidence, where)
  if (evidence === null && entry.constant === null && !readsOtherColumns(transforms)) {
    throw nothingFeeds(entry, where)
  }
  checkFixedValues(base, entry, field, path, where)
  const made = transformedEvidence(base, transforms, evidence)
  const { format, conflict } = writesPlainly(transforms)
    ? NO_FORMAT
    : formatOf(base, entry, { name, field, evidence: made, where })
  return {
    name,
    field,
    path,
    evidence: made,
    entry,
    formatConflict: conflict,
    resolved: {
      index: evidence === null ? null : evidence.index,
      columnName: evidence?.name ?? null,
      field: name,
      constant: entry.constant,
      defaultValue: entry.defaultValue,
      ...(transforms.length === 0 ? {} : { transforms }),
      valueMap: entry.valueMap,
      onBlank: entry.onBlank ?? options.onBlank,
      format,
    },
  }
}

function unknownField(type: RecordType, name: string, field: FieldDefinition | null): string {
  const label = type.label.toLowerCase()
  return field?.reference
    ? `"${name}" is another record. Say by what the file names it: ${field.reference.keys.map((key) => `${name}.${key}`).join(' or ')}.`
    : `A ${label} has no field "${name}". Fields are: ${mappableNames(type).join(', ')}.`
}

/** A constant, or a value that transforms make of other columns alone. */
function namesNothing(entry: ColumnMapping): boolean {
  const { column, columnIndex, constant, transforms = [] } = entry
  return constant !== null || (column === null && columnIndex === null && transforms.length > 0)
}

function transformsOf(
  base: Base,
  entry: ColumnMapping,
  evidence: ColumnEvidence | null,
  where: readonly string[],
): ResolvedTransform[] {
  const { transforms = [] } = entry
  if (transforms.length > 0 && entry.constant !== null) {
    throw new Refusal(
      'TRANSFORM_INVALID',
      `"${entry.field}" is the constant "${entry.constant}", which takes no transforms. Write the constant as it is to be.`,
      [...where, 'transforms'],
    )
  }
  const columns = base.request.evidence
  return resolveTransforms(transforms, { field: entry.field ?? '', own: evidence?.index ?? null, columns, where })
}

/**
 * What the evidence of a column says once its values are transformed. Where that leaves values blank or as they are, all cells
 * have proven their formats; where it changes them, the most frequent ones prove what they have become. Chains that read other
 * columns cannot be run over values without their rows.
 */
function transformedEvidence(
  base: Base,
  transforms: readonly ResolvedTransform[],
  evidence: ColumnEvidence | null,
): ColumnEvidence | null {
  if (evidence === null || transforms.length === 0) {
    return evidence
  }
  if (readsOtherColumns(transforms)) {
    return { ...evidence, distinct: null, topValues: [] }
  }
  const chain = compileChain(transforms, base)
  const counts = new Map<string, number>()
  let changed = false
  const { clearText } = base.request.options
  for (const { value, count } of evidence.topValues) {
    const made = value === clearText || isFormulaError(value) ? null : chain.run(value, () => '')?.trim()
    if (made != null && made !== '') {
      changed ||= made !== value
      counts.set(made, (counts.get(made) ?? 0) + count)
    }
  }
  const topValues = [...counts].map(([value, count]) => ({ value, count }))
  if (!changed) {
    return { ...evidence, topValues }
  }
  const collector = new EvidenceCollector([{ index: 0, name: evidence.name }])
  collector.add(topValues.map(({ value }, at) => ({ number: at + 1, byte: 0, end: 0, cells: [value], fault: null })))
  const { dateFormats = null, numberFormats = null, ambiguousValues = [] } = collector.finish()[0] ?? {}
  return { ...evidence, topValues, dateFormats, numberFormats, ambiguousValues, provenByRow: null }
}

function nothingFeeds(entry: ColumnMapping, where: readonly string[]): Refusal {
  return new Refusal('UNKNOWN_COLUMN', `Nothing feeds the field "${entry.field}": name a column or give a constant.`, [
    ...where,
    'columnIndex',
  ])
}

function columnOf(base: Base, entry: ColumnMapping, where: readonly string[]): ColumnEvidence {
  const { evidence } = base.request
  const byIndex = entry.columnIndex === null ? undefined : evidence.find((column) => column.index === entry.columnIndex)
  if (byIndex !== undefined && (entry.column === null || byIndex.name === entry.column)) {
    return byIndex
  }
  const byName = entry.column === null ? undefined : evidence.find((column) => column.name === entry.column)
  if (byName === undefined) {
    if (entry.column === null && entry.columnIndex === null) {
      throw nothingFeeds(entry, where)
    }
    const nearest =
      entry.column === null
        ? null
        : nearestName(
            entry.column,
            evidence.map((column) => column.name),
          )
    throw new Refusal(
      'UNKNOWN_COLUMN',
      `The file has no column ${entry.column === null ? `number ${entry.columnIndex}` : `"${entry.column}"`}.${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
      [...where, entry.column === null ? 'columnIndex' : 'column'],
    )
  }
  return byName
}

/** Constants, default values and the results of value maps have to be values of the field: they are the mapping's own. */
function checkFixedValues(
  base: Base,
  entry: ColumnMapping,
  field: FieldDefinition,
  path: ReferencePath | null,
  where: readonly string[],
): void {
  if ((path !== null || field.idOf !== undefined) && entry.defaultValue !== null) {
    const advice = path?.reference.to === 'member' ? ' Set defaultOwnerEmail in the options instead.' : ''
    throw new Refusal('INVALID_INPUT', `"${entry.field}" names another record and takes no default value.${advice}`, [
      ...where,
      'defaultValue',
    ])
  }
  const parser = valueParser(field, { format: null, timeZone: base.timeZone, defaultCountry: base.defaultCountry })
  const check = (value: string | null, member: string): void => {
    const text = value?.trim() ?? ''
    if (isFormulaError(text)) {
      throw new Refusal(
        'INVALID_INPUT',
        `${entry.field}: "${text}" is the error of a spreadsheet formula and no value.`,
        [...where, member],
      )
    }
    if (text !== '' && parser.parse(text) === null) {
      const { message, suggestion } = parser.fault(text)
      throw new Refusal('INVALID_INPUT', `${entry.field}: ${message}${suggestion === null ? '' : ` ${suggestion}`}`, [
        ...where,
        member,
      ])
    }
  }
  check(entry.constant, 'constant')
  check(entry.defaultValue, 'defaultValue')
  for (const { to } of entry.valueMap) {
    check(to, 'valueMap')
  }
  if (entry.constant !== null && entry.constant.trim() === '') {
    throw new Refusal('INVALID_INPUT', `The constant of "${entry.field}" is empty.`, [...where, 'constant'])
  }
  if (entry.defaultValue !== null && entry.defaultValue.trim() === '') {
    throw new Refusal('INVALID_INPUT', `The default value of "${entry.field}" is empty.`, [...where, 'defaultValue'])
  }
}

// ---------------------------------------------------------------------------------------------------------- formats

interface FormatContext {
  readonly name: string
  readonly field: FieldDefinition
  readonly evidence: ColumnEvidence | null
  readonly where: readonly string[]
}

interface FormatChoice {
  readonly format: string | null
  readonly conflict: MappingConflict | null
}

const NO_FORMAT: FormatChoice = { format: null, conflict: null }

function formatOf(base: Base, entry: ColumnMapping, context: FormatContext): FormatChoice {
  const { kind } = context.field
  if (kind === 'DATE' || kind === 'DATE_TIME') {
    return dateFormatOf(base, entry, context)
  }
  return kind === 'INTEGER' || kind === 'DECIMAL' || kind === 'MONEY' ? numberFormatOf(base, entry, context) : NO_FORMAT
}

function dateFormatOf(base: Base, entry: ColumnMapping, context: FormatContext): FormatChoice {
  const { dateFormat } = base.request.source
  if (entry.format !== null) {
    return {
      format: namedOrRefused(dateFormatNamed(entry.format), entry.format, DATE_FORMATS, [...context.where, 'format']),
      conflict: null,
    }
  }
  if (dateFormat !== null) {
    const said = namedOrRefused(dateFormatNamed(dateFormat), dateFormat, DATE_FORMATS, ['source', 'dateFormat'])
    // What was said of the whole file is about dates with two readings; a column of others is what its values prove.
    const [only, other] = context.evidence?.dateFormats ?? []
    const proven = only !== undefined && other === undefined && !/^(?:dd|MM)[/-]/.test(only)
    return { format: proven ? only : said, conflict: null }
  }
  const formats = context.evidence?.dateFormats ?? null
  const values = context.evidence?.ambiguousValues ?? []
  const first = formats?.[0] ?? 'yyyy-MM-dd'
  if (formats === null || formats.length < 2 || values.length === 0) {
    return { format: first, conflict: null }
  }
  const zone = zoneOf(base.timeZone)!
  const read = (format: string, value: string): string => {
    const reader =
      context.field.kind === 'DATE' ? dayReader(format as DateFormat) : momentReader(format as DateFormat, zone)
    return reader(value) ?? 'not a date'
  }
  return { format: first, conflict: ambiguous(context, formats, values, read, 'dates') }
}

function numberFormatOf(base: Base, entry: ColumnMapping, context: FormatContext): FormatChoice {
  const { decimalSeparator } = base.request.source
  const said =
    entry.format !== null
      ? namedOrRefused(numberFormatNamed(entry.format), entry.format, NUMBER_FORMATS, [...context.where, 'format'])
      : decimalSeparator !== null
        ? namedOrRefused(
            numberFormatNamed(decimalSeparator),
            decimalSeparator,
            ['.', ','],
            ['source', 'decimalSeparator'],
          )
        : null
  if (said !== null) {
    return { format: said, conflict: null }
  }
  const formats = context.evidence?.numberFormats ?? null
  const values = context.evidence?.ambiguousValues ?? []
  const first = formats?.[0] ?? '1234.56'
  if (formats === null || formats.length < 2 || values.length === 0) {
    return { format: first, conflict: null }
  }
  const thousands = context.field.kind === 'DECIMAL' ? null : separatorOfThousands(values)
  if (thousands !== null) {
    return { format: thousands === ',' ? '1,234.56' : '1.234,56', conflict: null }
  }
  const read = (format: string, value: string): string =>
    numberReader(format as NumberFormat, { currency: true })(value) ?? 'not a number'
  return { format: first, conflict: ambiguous(context, formats, values, read, 'numbers') }
}

/**
 * `1,234` is open in general. But money has at most two decimal places and a whole number none, so three digits behind
 * the separator of each open value can only be thousands there. Null where the values separate by point and by comma.
 */
function separatorOfThousands(values: readonly string[]): '.' | ',' | null {
  const separators = new Set(values.map((value) => /\d([.,])\d{3}(?!\d)/.exec(value)?.[1]))
  const [separator] = separators
  return separators.size === 1 && (separator === '.' || separator === ',') ? separator : null
}

function namedOrRefused<Format extends string>(
  found: Format | null,
  said: string,
  known: readonly string[],
  where: readonly string[],
): Format {
  if (found === null) {
    throw new Refusal(
      'INVALID_INPUT',
      `"${said}" is not a supported format. Supported are: ${known.join('   ')}`,
      where,
    )
  }
  return found
}

function ambiguous(
  context: FormatContext,
  formats: readonly string[],
  values: readonly string[],
  read: (format: string, value: string) => string,
  things: 'dates' | 'numbers',
): MappingConflict {
  const column = context.evidence?.name ?? ''
  const example = values[0] ?? ''
  const readings = formats.map((format) => ({ format, exampleValue: example, exampleReading: read(format, example) }))
  const shown = readings.map(({ format, exampleReading }) => `${exampleReading} (${format})`).join(' or ')
  return {
    code: 'AMBIGUOUS_FORMAT',
    field: context.name,
    columns: [column],
    message: `The ${things} of column "${column}" can be read in ${formats.length} ways, and the values do not say which is right: "${example}" is ${shown}. Set the format of the column.`,
    values: [...values],
    readings,
  }
}

// --------------------------------------------------------------------------------------------------------- conflicts

function doubleMappings(mapped: readonly MappedColumn[]): MappingConflict[] {
  const byField = Map.groupBy(mapped, (column) => column.name)
  return [...byField].flatMap(([field, columns]) => {
    if (columns.length < 2) {
      return []
    }
    const names = columns.map(
      (column) =>
        column.resolved.columnName ??
        (column.entry.constant === null ? 'other columns' : `the constant "${column.entry.constant}"`),
    )
    return [
      {
        code: 'FIELD_MAPPED_TWICE' as const,
        field,
        columns: columns.flatMap((column) => column.resolved.columnName ?? []),
        message: `${field} is fed by ${names.join(' and by ')}. Leave one of them.`,
        values: [],
        readings: [],
      },
    ]
  })
}

function unknownValues(column: MappedColumn, base: Base): MappingConflict[] {
  const { evidence, field, entry } = column
  if (field.kind !== 'ENUM' || evidence === null || evidence.distinct === null) {
    return []
  }
  const parser = valueParser(field, { format: null, timeZone: base.timeZone, defaultCountry: base.defaultCountry })
  const mapped = new Set(entry.valueMap.flatMap(({ from }) => [from.trim(), from.trim().toLowerCase()]))
  const values = evidence.topValues
    .map(({ value }) => value)
    .filter(
      (value) =>
        !mapped.has(value) &&
        !mapped.has(value.toLowerCase()) &&
        value !== base.request.options.clearText &&
        !isFormulaError(value) &&
        parser.parse(value) === null,
    )
  if (values.length === 0) {
    return []
  }
  const named = values.slice(0, MESSAGE_VALUES).map((value) => `"${value}"`)
  const more = values.length - named.length
  return [
    {
      code: 'UNKNOWN_VALUES',
      field: column.name,
      columns: [evidence.name],
      message: `Column "${evidence.name}" holds ${values.length === 1 ? 'a value' : 'values'} that ${field.label} does not know: ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}. Map ${values.length === 1 ? 'it' : 'each of them'} to one of ${field.options?.join(', ')}, or to nothing.`,
      values: values.slice(0, CONFLICT_VALUES),
      readings: [],
    },
  ]
}

function missingFields(type: RecordType, options: ImportOptions, used: readonly MappedColumn[]): string[] {
  if (options.operation !== 'UPSERT') {
    return []
  }
  const names = new Set(used.map((column) => column.name))
  if (names.has(ID_FIELD)) {
    // Such a file is about records that are there: a part of their fields is enough. A row that is to create one says what it lacks.
    return []
  }
  const given = (field: string): boolean => names.has(field) || used.some((column) => column.path?.field.name === field)
  const missing = type.fields
    .filter((field) => field.required && field.defaultValue === null)
    .map((field) => field.name)
    .filter((name) => !given(name) && !(builtFrom[type.name][name] ?? []).some((source) => names.has(source)))
  const [representative] = type.oneOf
  if (representative !== undefined && missing.length === 0 && !type.oneOf.some(given)) {
    missing.push(representative)
  }
  return missing
}

/** Fields of a related record that nothing names: without a key it cannot be found, and would be made anew each time. */
function unnamedRelations(type: RecordType, used: readonly MappedColumn[]): MappingConflict[] {
  const byReference = Map.groupBy(
    used.filter((column) => relatedPath(type, column.name) !== null),
    (column) => relatedPath(type, column.name)!.field,
  )
  return [...byReference].flatMap(([field, columns]) => {
    if (used.some((column) => column.path?.field.name === field.name)) {
      return []
    }
    const keys = (field.reference?.keys ?? []).map((key) => `${field.name}.${key}`)
    return [
      {
        code: 'REQUIRED_UNMAPPED' as const,
        field: keys[0] ?? field.name,
        columns: columns.flatMap((column) => column.resolved.columnName ?? []),
        message: `${columns.map((column) => column.name).join(', ')} are about another record, and nothing says which one. Map a column to ${keys.join(' or ')}, too.`,
        values: [],
        readings: [],
      },
    ]
  })
}

function requiredConflict(type: RecordType, name: string): MappingConflict {
  const sources = builtFrom[type.name][name] ?? (type.oneOf[0] === name ? type.oneOf.slice(1) : [])
  const others = sources.length === 0 ? '' : `, or one of ${sources.join(', ')}`
  return {
    code: 'REQUIRED_UNMAPPED',
    field: name,
    columns: [],
    message: `A new ${type.label.toLowerCase()} needs ${fieldOf(type, name)?.label ?? name}. Map a column or a constant to ${name}${others}; or set the operation to UPDATE_ONLY if the file creates nothing.`,
    values: [],
    readings: [],
  }
}

function unmatchable(type: RecordType, options: ImportOptions, names: readonly string[]): MappingConflict | null {
  if (effectiveMatchRules(type, options, names).length > 0) {
    return null
  }
  const rules = options.matchOn.length > 0 ? options.matchOn : [['externalId'], ...type.naturalKeys]
  if (options.matchOn.length === 0 && options.operation === 'UPSERT') {
    return null
  }
  const said = rules.map((rule) => rule.join(' + ')).join(', or ')
  return {
    code: 'MATCH_FIELD_UNMAPPED',
    field: rules[0]?.find((name) => !names.includes(name)) ?? 'externalId',
    columns: [],
    message: `Existing records are to be found by ${said}, and no column is mapped to that. Map it, or choose other fields to match on.`,
    values: [],
    readings: [],
  }
}
