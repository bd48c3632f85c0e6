/** Rows to values: everything that a mapping says is compiled once, and a row then costs little more than its cells. */
import type { Row } from '../adapters/source.js'
import { fieldOf, ID_FIELD, idField, keyField, referencePath, relatedPath } from '../records/index.js'
import type { FieldDefinition, FieldKind, RecordType } from '../records/types.js'
import { unprotect } from './formula.js'
import type { MappedRow, RowMapper, StageColumn } from './mapped.js'
import { firstLine, fullName, joined, type NameParts, splitName } from './names.js'
import { compileRules, type Judge } from './rules.js'
import { cut, trimmed } from './text.js'
import { type Chain, compileChain } from './transforms/chain.js'
import type { Issue, ResolvedColumn, ResolvedMapping } from './types.js'
import { compileRequirements } from './validate.js'
import { isFormulaError, readAgain, type ValueFault, type ValueParser, valueParser } from './values.js'

/** Characters of an offending value that its issue keeps. */
const ISSUE_VALUE_LENGTH = 500

const NO_ISSUES: readonly Issue[] = []

/**
 * A mapper for rows of one run. A blank cell keeps its field (null) unless the mapping says CLEAR; a cell with exactly the
 * `clearText` clears it always. Required fields are never cleared, nor are those that no import takes back. The row that
 * `map` answers is the same object each time: copy what you keep.
 */
export function compileMapping(resolved: ResolvedMapping, type: RecordType): RowMapper {
  const steps = resolved.columns
    .filter((column) => relatedPath(type, column.field) === null)
    .map((column, slot) => new Step(column, slot, resolved, type))
  const values: (string | null)[] = steps.map((step) => step.constant)
  const stageColumns = steps.map((step) => step.stageColumn)
  const builders = buildersOf(type, stageColumns, resolved)
  for (const builder of builders) {
    stageColumns.push(builder.stageColumn)
    values.push(null)
  }
  const supplied = new Set([
    ...type.fields.filter((field) => field.defaultValue !== null).map((field) => field.name),
    ...resolved.columns
      .filter((column) => column.defaultValue !== null || column.constant !== null)
      .map((column) => column.field),
  ])
  return new CompiledMapper({
    stageColumns,
    steps: steps.filter((step) => step.readsCells),
    constants: steps.filter((step) => !step.readsCells),
    values,
    builds: builders.map((builder) => builder.build),
    missing: compileRequirements(type, stageColumns, supplied),
    judge: judgeOf(resolved, type, stageColumns),
    clearText: resolved.options.clearText,
    unprotects: resolved.formulasEscaped === true,
    dropsValues: resolved.options.onInvalidRow === 'DROP_VALUE',
    columnNames: resolved.columns.map(({ columnName }) => columnName),
  })
}

/**
 * Values that every created record gets where its row has none, by column and in the text form of stage values: those of
 * the mapping before those of the record type.
 */
export function createDefaults(resolved: ResolvedMapping, type: RecordType): Record<string, string> {
  const defaults: Record<string, string> = {}
  for (const field of type.fields) {
    if (field.defaultValue !== null) {
      defaults[field.column] = field.defaultValue
    }
  }
  for (const column of resolved.columns) {
    const field = fieldOf(type, column.field)
    if (field !== null && column.defaultValue !== null) {
      defaults[field.column] = fixedValue(field, column.defaultValue, resolved)
    }
  }
  return defaults
}

/** What the business rules of the run say about a row; null where there are none. A run that deletes makes no values to judge. */
function judgeOf(resolved: ResolvedMapping, type: RecordType, stageColumns: readonly StageColumn[]): Judge | null {
  const { rules = [], options } = resolved
  if (rules.length === 0 || options.operation === 'DELETE') {
    return null
  }
  const creates = options.operation === 'UPSERT'
  return compileRules(rules, { type, stageColumns, creates, defaults: creates ? createDefaults(resolved, type) : {} })
}

/** The text form of a value that stands in the mapping itself: constants, default values and what value maps lead to. */
function fixedValue(field: FieldDefinition, text: string, resolved: ResolvedMapping): string {
  const value = valueParser(field, fixedOptions(resolved)).parse(text.trim())
  if (value === null) {
    throw new Error(`the mapping was resolved with ${field.name} = ${JSON.stringify(text)}, which is no value of it`)
  }
  return value
}

/** Values in a mapping are written plainly (`2026-03-01`, `1234.56`), whatever the format of the column. */
function fixedOptions(resolved: ResolvedMapping) {
  return { format: null, timeZone: resolved.timeZone, defaultCountry: resolved.defaultCountry }
}

/** What is done to one column of the source. */
class Step {
  /** Index of the cell; -1 for a constant, and for a value made of other columns alone. */
  readonly index: number
  /** Not a constant. */
  readonly readsCells: boolean
  readonly slot: number
  readonly columnName: string | null
  readonly field: FieldDefinition
  readonly mappedName: string
  readonly stageColumn: StageColumn
  readonly constant: string | null
  /** What is done to the text before it is read; null for nothing. */
  readonly chain: Chain | null
  readonly parser: ValueParser
  /** What value maps lead to, in text form, by exact and by lower-case text; null for no value map. */
  readonly valueMap: ReadonlyMap<string, string> | null
  /** The value is the text of the cell or a part of it, and may hold what cannot be stored. */
  readonly keepsText: boolean
  /** What a cell that empties the field becomes. KEEP: it cannot be emptied. */
  readonly onClear: 'CLEAR' | 'EMPTY_LIST' | 'KEEP'
  readonly clearsBlank: boolean

  constructor(column: ResolvedColumn, slot: number, resolved: ResolvedMapping, type: RecordType) {
    const path = referencePath(type, column.field)
    const isId = column.field === ID_FIELD
    const field = isId ? idField(type.name) : (path?.field ?? fieldOf(type, column.field))
    if (field === null) {
      throw new Error(`the mapping was resolved with the field ${column.field}, which a ${type.name} does not have`)
    }
    const read = path === null ? field : { ...keyField(path), sensitive: field.sensitive || keyField(path).sensitive }
    const { transforms = [] } = column
    this.index = column.index ?? -1
    this.readsCells = column.constant === null
    this.chain =
      transforms.length === 0
        ? null
        : compileChain(transforms, { timeZone: resolved.timeZone, defaultCountry: resolved.defaultCountry })
    this.slot = slot
    this.columnName = column.columnName
    this.field = field
    this.mappedName = column.field
    this.stageColumn = isId
      ? { name: 'named_id', sqlType: field.sqlType, field: field.name, role: 'id', key: null }
      : path === null
        ? { name: stageName(field), sqlType: field.sqlType, field: field.name, role: 'value', key: null }
        : {
            name: `${field.column}__by_${snakeCase(path.key)}`,
            sqlType: 'text',
            field: field.name,
            role: 'key',
            key: path.key,
          }
    this.constant = column.constant === null ? null : fixedValue(read, column.constant, resolved) || null
    this.parser = valueParser(read, {
      format: column.format,
      timeZone: resolved.timeZone,
      defaultCountry: resolved.defaultCountry,
    })
    this.valueMap = compileValueMap(read, column, resolved)
    this.keepsText = textKinds.has(read.kind)
    this.onClear =
      field.sqlType.endsWith('[]') && field.customKey === undefined
        ? 'EMPTY_LIST'
        : field.required || field.neverCleared === true
          ? 'KEEP'
          : 'CLEAR'
    this.clearsBlank = column.onBlank === 'CLEAR' && this.onClear !== 'KEEP'
  }
}

/** Custom fields have no column whose name the stage could take, but a name that has to be quoted. */
function stageName(field: FieldDefinition): string {
  return field.customKey === undefined ? field.column : `"${field.column}"`
}

const textKinds: ReadonlySet<FieldKind> = new Set(['TEXT', 'LONG_TEXT', 'EMAIL', 'PHONE', 'URL', 'MULTI_ENUM'])

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function compileValueMap(
  field: FieldDefinition,
  column: ResolvedColumn,
  resolved: ResolvedMapping,
): ReadonlyMap<string, string> | null {
  if (column.valueMap.length === 0) {
    return null
  }
  const map = new Map<string, string>()
  for (const { from, to } of column.valueMap) {
    const value = to.trim() === '' ? '' : fixedValue(field, to, resolved)
    const key = from.trim()
    map.set(key, value)
    if (!map.has(key.toLowerCase())) {
      map.set(key.toLowerCase(), value)
    }
  }
  return map
}

interface Compiled {
  readonly stageColumns: readonly StageColumn[]
  readonly steps: readonly Step[]
  readonly constants: readonly Step[]
  readonly values: (string | null)[]
  readonly builds: readonly ((values: (string | null)[]) => void)[]
  readonly missing: (values: readonly (string | null)[]) => readonly string[] | null
  readonly judge: Judge | null
  readonly clearText: string | null
  /** Text that looks protected from being a formula loses a `'`. */
  readonly unprotects: boolean
  readonly dropsValues: boolean
  /** Of the file's columns, by slot; null for constants. */
  readonly columnNames: readonly (string | null)[]
}

class CompiledMapper implements RowMapper {
  readonly stageColumns: readonly StageColumn[]
  readonly #compiled: Compiled
  readonly #row: { -readonly [K in keyof MappedRow]: MappedRow[K] }
  #issues: Issue[] | null = null
  #cleared: string[] | null = null
  #ok = true
  /** The constants have been wiped with everything else. */
  #emptied = false
  /** The row in hand, for chains that read other columns. */
  #cells: readonly string[] = []
  readonly #cellText = (index: number): string => {
    const cell = this.#cells[index]
    const text = cell === undefined ? '' : this.#read(cell)
    return this.#clears(text, cell) ? '' : text
  }

  constructor(compiled: Compiled) {
    this.#compiled = compiled
    this.stageColumns = compiled.stageColumns
    this.#row = { values: compiled.values, cleared: null, missingForCreate: null, ok: true, issues: NO_ISSUES }
  }

  map(row: Row): MappedRow {
    const { steps, values, builds, missing, clearText, unprotects } = this.#compiled
    const { cells } = row
    if (this.#emptied) {
      this.#emptied = false
      for (const { slot, constant } of this.#compiled.constants) {
        values[slot] = constant
      }
    }
    this.#issues = null
    this.#cleared = null
    this.#ok = true
    if (row.fault !== null) {
      return this.#broken(row)
    }
    for (let at = 0; at < steps.length; at++) {
      const step = steps[at]!
      const cell = cells[step.index]
      let text = cell === undefined ? '' : trimmed(cell)
      if (unprotects && text.charCodeAt(0) === 39) {
        text = this.#read(text)
      }
      if (step.chain !== null) {
        const made = this.#transformed(step, step.chain, row, text)
        if (made === null) {
          continue
        }
        text = made
      }
      if (text === '' || (clearText !== null && (text === clearText || cell === clearText))) {
        values[step.slot] = null
        this.#empty(step, row, text)
        continue
      }
      if (step.valueMap !== null) {
        const value = step.valueMap.get(text) ?? step.valueMap.get(text.toLowerCase())
        if (value !== undefined) {
          values[step.slot] = value === '' ? null : value
          continue
        }
      }
      if (text.charCodeAt(0) === 35 && isFormulaError(text)) {
        values[step.slot] = null
        this.#report(step, row, text, formulaFault)
        continue
      }
      const value = step.parser.parse(text)
      if (value === null) {
        values[step.slot] = null
        this.#report(step, row, text, step.parser.fault(text))
      } else if (value === '') {
        values[step.slot] = null
      } else {
        values[step.slot] = !step.keepsText || isStorable(value) ? value : this.#stripped(step, row, value)
      }
    }
    for (let at = 0; at < builds.length; at++) {
      builds[at]!(values)
    }
    if (this.#compiled.judge !== null) {
      this.#judged(this.#compiled.judge, row)
    }
    const answer = this.#row
    answer.cleared = this.#cleared === null ? null : this.#reallyCleared(this.#cleared)
    answer.missingForCreate = missing(values)
    answer.ok = this.#ok
    answer.issues = this.#issues ?? NO_ISSUES
    return answer
  }

  /** The text of a cell as it was before it was kept from being a formula. */
  #read(cell: string): string {
    const text = trimmed(cell)
    return this.#compiled.unprotects ? trimmed(unprotect(text)) : text
  }

  /** A row whose line could not be read has no values and one issue. */
  #broken(row: Row): MappedRow {
    this.#compiled.values.fill(null)
    this.#emptied = true
    const { code, message } = row.fault!
    const answer = this.#row
    answer.cleared = null
    answer.missingForCreate = null
    answer.ok = false
    answer.issues = [
      { row: row.number, column: null, field: null, code, severity: 'ERROR', value: null, message, suggestion: null },
    ]
    return answer
  }

  /**
   * What the transforms make of a cell; null where the slot has been dealt with: the cell clears the field, holds the error
   * of a formula, or one of the transforms could not read it.
   */
  #transformed(step: Step, chain: Chain, row: Row, text: string): string | null {
    const { values } = this.#compiled
    this.#cells = row.cells
    if (text !== '' && this.#clears(text, row.cells[step.index])) {
      values[step.slot] = null
      this.#empty(step, row, text)
      return null
    }
    const broken = isFormulaError(text) ? text : chain.reads.map(this.#cellText).find(isFormulaError)
    if (broken !== undefined) {
      const mapped = step.valueMap?.get(broken) ?? null
      values[step.slot] = mapped === '' ? null : mapped
      if (mapped === null) {
        this.#report(step, row, broken, formulaFault)
      }
      return null
    }
    const made = chain.run(text, this.#cellText)
    if (made === null) {
      const failed = chain.fault()
      values[step.slot] = null
      this.#report(step, row, failed.text, failed.fault)
      return null
    }
    return trimmed(made)
  }

  /** Whether a cell says that its field is to be cleared. */
  #clears(text: string, cell: string | undefined): boolean {
    const { clearText } = this.#compiled
    return clearText !== null && (text === clearText || cell === clearText)
  }

  /** A blank cell, or one that says the field is to be cleared (`text` is not empty then). */
  #empty(step: Step, row: Row, text: string): void {
    if (text === '') {
      const mapped = step.valueMap?.get('')
      if (mapped !== undefined && mapped !== '') {
        this.#compiled.values[step.slot] = mapped
        return
      }
      if (!step.clearsBlank) {
        return
      }
    }
    if (step.onClear === 'CLEAR') {
      this.#cleared ??= []
      this.#cleared.push(step.field.name)
    } else if (step.onClear === 'EMPTY_LIST') {
      this.#compiled.values[step.slot] = '{}'
    } else {
      const { label } = step.field
      this.#add(step, row, text, 'WARNING', {
        code: 'REQUIRED_MISSING',
        message:
          step.field.neverCleared === true
            ? `${label} is never taken back by an import, so it was kept.`
            : `${label} cannot be empty, so it was kept.`,
        suggestion: null,
      })
    }
  }

  /** A reference with several keys is cleared only if all of them are blank. */
  #reallyCleared(names: readonly string[]): readonly string[] | null {
    const { stageColumns, values } = this.#compiled
    const cleared = [...new Set(names)].filter(
      (name) =>
        !stageColumns.some((column, slot) => column.field === name && column.role !== 'new' && values[slot] !== null),
    )
    return cleared.length === 0 ? null : cleared
  }

  #report(step: Step, row: Row, text: string, fault: ValueFault): void {
    if (this.#compiled.dropsValues) {
      this.#add(step, row, text, 'WARNING', { ...fault, message: `${fault.message} The value was left out.` })
    } else {
      this.#ok = false
      this.#add(step, row, text, 'ERROR', fault)
    }
  }

  #add(step: Step, row: Row, text: string, severity: Issue['severity'], fault: ValueFault): void {
    this.#issues ??= []
    this.#issues.push({
      row: row.number,
      column: step.columnName,
      field: step.mappedName,
      code: fault.code,
      severity,
      // Transforms may have made what cannot be stored.
      value: step.chain === null ? cut(text, ISSUE_VALUE_LENGTH) : storable(cut(text, ISSUE_VALUE_LENGTH)),
      message: fault.message,
      suggestion: fault.suggestion,
    })
  }

  /** Judges the row by the business rules. A value that could not be read has its issue; what rules say of it helps nobody. */
  #judged(judge: Judge, row: Row): void {
    const errors = this.#ok ? [] : (this.#issues ?? []).filter((issue) => issue.severity === 'ERROR')
    // A reference is named with its key, and rules name it without.
    const names = errors.flatMap(({ field }) => (field === null ? [] : [field, field.split('.', 1)[0] ?? field]))
    const faulty = names.length === 0 ? null : new Set(names)
    for (const { field, slot, value, message, severity, suggestion } of judge(this.#compiled.values, faulty)) {
      const column = this.#compiled.columnNames[slot] ?? null
      this.#issues ??= []
      this.#issues.push({
        row: row.number,
        column,
        field,
        code: 'RULE_FAILED',
        severity,
        value: value === null ? null : cut(value, ISSUE_VALUE_LENGTH),
        message,
        suggestion,
      })
      this.#ok &&= severity !== 'ERROR'
    }
  }

  /** PostgreSQL's text holds neither NUL nor half a character; the rest of the value is kept. */
  #stripped(step: Step, row: Row, value: string): string | null {
    this.#add(step, row, storable(value), 'WARNING', {
      code: 'BAD_ENCODING',
      message: 'The value held characters that cannot be stored (NUL or half of a surrogate pair); they were left out.',
      suggestion: 'Export the file as UTF-8.',
    })
    const rest = value.replace(/\0|[\uD800-\uDFFF]/gu, '').trim()
    return rest === '' ? null : rest
  }
}

function storable(text: string): string {
  return text.replaceAll('\0', '').toWellFormed()
}

const formulaFault: ValueFault = {
  code: 'FORMULA_CELL',
  message: 'The cell holds the error of a spreadsheet formula instead of a value.',
  suggestion: 'Repair the formula in the spreadsheet, or empty the cell, and export the file again.',
}

function isStorable(value: string): boolean {
  return !value.includes('\0') && value.isWellFormed()
}

// ------------------------------------------------------------------------------------------------- built values

/** Fills one `__new` column: the value that a created record gets if its row has none for the field. */
interface Builder {
  readonly stageColumn: StageColumn
  readonly build: (values: (string | null)[]) => void
}

type AddBuilder = (name: string, build: (values: readonly (string | null)[]) => string | null) => void

function buildersOf(type: RecordType, columns: readonly StageColumn[], resolved: ResolvedMapping): Builder[] {
  const builders: Builder[] = []
  const slotOf = (name: string): number =>
    columns.findIndex((column) => column.field === name && column.role === 'value')
  const keySlotsOf = (name: string): number[] =>
    columns.flatMap((column, slot) => (column.field === name && column.role === 'key' ? [slot] : []))
  /** Adds a column whose value is built where the row has none of its own. */
  const add: AddBuilder = (name, build) => {
    const field = fieldOf(type, name)!
    const own = slotOf(name)
    const slot = columns.length + builders.length
    builders.push({
      stageColumn: { name: `${field.column}__new`, sqlType: field.sqlType, field: name, role: 'new', key: null },
      build: (values) => {
        const made = own >= 0 && values[own] !== null ? null : build(values)
        values[slot] = made === null ? null : readAgain(made)
      },
    })
  }
  const saysDefault = (name: string): boolean =>
    resolved.columns.some(
      (column) => column.field === name && (column.defaultValue !== null || column.constant !== null),
    )

  switch (type.name) {
    case 'contact':
    case 'lead':
      addNames(type, { slotOf, keySlotsOf, add })
      break
    case 'property': {
      const address = slotOf('addressLine1')
      const unit = slotOf('unitNumber')
      const city = slotOf('city')
      const listing = slotOf('listingId')
      const parcel = slotOf('parcelNumber')
      add('name', (values) => {
        const street = at(values, address)
        return street === null
          ? (at(values, listing) ?? at(values, parcel))
          : joined(street, at(values, unit), at(values, city))
      })
      const rent = slotOf('leaseAmount')
      const price = slotOf('listPrice')
      const kind = slotOf('propertyType')
      if (!saysDefault('transactionType') && (rent >= 0 || kind >= 0)) {
        // RESO has leases as property types, and a rent without a price says the same.
        add('transactionType', (values) => {
          const propertyType = at(values, kind)
          return (propertyType !== null && /\blease\b/i.test(propertyType)) ||
            (at(values, rent) !== null && at(values, price) === null)
            ? 'LEASE'
            : null
        })
      }
      break
    }
    case 'activity': {
      const body = slotOf('body')
      const kind = slotOf('type')
      const completed = slotOf('completedAt')
      add('subject', (values) => {
        const text = at(values, body)
        const activityType = at(values, kind)
        return (
          (text === null ? null : readableLine(text)) ??
          (activityType === null ? null : (activityNames[activityType] ?? null))
        )
      })
      if (!saysDefault('status')) {
        // Notes and messages tell of something that has happened.
        add('status', (values) =>
          at(values, completed) !== null || happened.has(at(values, kind) ?? '') ? 'COMPLETED' : null,
        )
      }
      break
    }
    default:
      type.name satisfies never
  }
  return builders
}

function readableLine(text: string): string | null {
  const line = firstLine(text)
  return line === null ? null : readAgain(line)
}

const happened: ReadonlySet<string> = new Set(['NOTE', 'EMAIL', 'SMS'])

const activityNames: Readonly<Record<string, string>> = {
  CALL: 'Call',
  EMAIL: 'E-mail',
  MEETING: 'Meeting',
  TASK: 'Task',
  NOTE: 'Note',
  SMS: 'SMS',
  SHOWING: 'Showing',
  OPEN_HOUSE: 'Open house',
  OTHER: 'Activity',
}

function at(values: readonly (string | null)[], slot: number): string | null {
  return slot < 0 ? null : values[slot]!
}

/** Names of people: the full name from its parts, the parts from the full name, the title of a lead from both. */
function addNames(
  type: RecordType,
  tools: {
    readonly slotOf: (name: string) => number
    readonly keySlotsOf: (name: string) => number[]
    readonly add: AddBuilder
  },
): void {
  const { slotOf, add } = tools
  const first = slotOf('firstName')
  const middle = slotOf('middleName')
  const last = slotOf('lastName')
  const suffix = slotOf('nameSuffix')
  const full = slotOf('displayName')
  const company = slotOf('companyName')
  const email = slotOf('email')
  const kind = slotOf('kind')
  const person = (values: readonly (string | null)[]): string | null =>
    fullName(at(values, first), at(values, middle), at(values, last), at(values, suffix))

  if (full >= 0) {
    addNameParts(type, { full, first, last, company, kind }, add)
  }
  if (type.name === 'contact') {
    add('displayName', (values) =>
      kind >= 0 && values[kind] === 'ORGANIZATION'
        ? (at(values, company) ?? person(values) ?? at(values, email))
        : (person(values) ?? at(values, company) ?? at(values, email)),
    )
    return
  }
  add('displayName', person)
  const phone = slotOf('phone')
  const mobile = slotOf('mobilePhone')
  const contactKeys = tools.keySlotsOf('contact')
  add('title', (values) => {
    const named = joined(at(values, full) ?? person(values), at(values, company))
    if (named !== null) {
      return named
    }
    const key = contactKeys.find((slot) => values[slot] !== null)
    return at(values, email) ?? at(values, phone) ?? at(values, mobile) ?? (key === undefined ? null : values[key]!)
  })
}

/** Splits the full name where the row has neither first nor last name, unless it is the name of the company. */
function addNameParts(
  type: RecordType,
  slots: {
    readonly full: number
    readonly first: number
    readonly last: number
    readonly company: number
    readonly kind: number
  },
  add: AddBuilder,
): void {
  const { full, first, last, company, kind } = slots
  const part = (name: string, of: (parts: NameParts) => string | null): void => {
    const max = fieldOf(type, name)?.maxLength ?? 0
    add(name, (values) => {
      const parts = split(values)
      const text = parts === null ? null : of(parts)
      return text === null ? null : trimmed(cut(text, max))
    })
  }
  part('firstName', (parts) => parts.first)
  part('lastName', (parts) => parts.last)
  part('namePrefix', (parts) => parts.prefix)
  if (fieldOf(type, 'nameSuffix') !== null) {
    part('nameSuffix', (parts) => parts.suffix)
  }

  let lastName: string | null = null
  let lastParts: NameParts | null = null
  /** Called once for each part of a row, hence the memory of the last name. */
  function split(values: readonly (string | null)[]): NameParts | null {
    const name = values[full]!
    if (
      name === null ||
      at(values, first) !== null ||
      at(values, last) !== null ||
      name === at(values, company) ||
      (kind >= 0 && values[kind] === 'ORGANIZATION')
    ) {
      return null
    }
    if (name !== lastName) {
      lastName = name
      lastParts = splitName(name)
    }
    return lastParts
  }
}
