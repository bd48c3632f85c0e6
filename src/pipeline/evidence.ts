/** What one reading of a whole file tells about its columns. Runs over every cell of every file, so it has to be cheap. */
import type { Column, Row } from '../adapters/source.js'
import { email, flag, phone } from '../records/field.js'
import type { FieldKind } from '../records/types.js'
import { DateFormatProof, NumberFormatProof, type Proof } from './formats.js'
import { isFormulaLike, isProtected, unprotect } from './formula.js'
import { cut, detached, trimmed } from './text.js'
import type { ColumnEvidence, SourceOptions } from './types.js'
import { type ValueParser, valueParser } from './values.js'

/** Columns with more distinct values than this are not counted: the list would grow with the file. */
export const DISTINCT_VALUES_COUNTED = 1_000
/** Nor are columns with longer values. */
const DISTINCT_VALUE_LENGTH = 200
const TOP_VALUES = 200
const SAMPLES = 20
const SAMPLE_LENGTH = 200
/** Values from which the kind of a column is told. */
const KIND_VALUES = 500
/** Share of values that must be of a kind for the column to be of it. */
const KIND_SHARE = 0.8
/** A column with at most this many distinct values, each of them several times, is a choice. */
const CHOICES = 30
/** Yes and no have at most this many spellings in one column. */
const SPELLINGS = 16

/** Collects evidence about all columns of a source. Feed it every row once, in order; its memory is bounded. */
export class EvidenceCollector {
  readonly #columns: readonly ColumnCollector[]

  /** `delimited`: the file is a delimited text, in which a formula is told from text by nothing but how it begins. */
  constructor(columns: readonly Column[], { delimited = false } = {}) {
    this.#columns = columns.map((column) => new ColumnCollector(column, delimited))
  }

  /** Rows whose line was broken are left out: nothing of them is ever mapped. */
  add(rows: readonly Row[]): void {
    // Column by column, so that the code for one column runs hot over all rows.
    for (const column of this.#columns) {
      column.add(rows)
    }
  }

  finish(): ColumnEvidence[] {
    return this.#columns.map((column) => column.finish())
  }
}

/**
 * Whether the text of this file was kept from being formulas: as a person says, or where cells look like it and not one in the whole
 * file looks like a formula.
 */
export function formulasEscaped(
  evidence: readonly ColumnEvidence[],
  source: Pick<SourceOptions, 'formulasEscaped'>,
): boolean {
  return (
    source.formulasEscaped ??
    (evidence.some(({ formulas }) => formulas === 'PROTECTED') && evidence.every(({ formulas }) => formulas !== 'BARE'))
  )
}

/** The evidence with values as an import reads them. */
export function readableEvidence(
  evidence: readonly ColumnEvidence[],
  source: Pick<SourceOptions, 'formulasEscaped'>,
): readonly ColumnEvidence[] {
  return formulasEscaped(evidence, source)
    ? evidence.map((column) => ({
        ...column,
        samples: column.samples.map(unprotect),
        topValues: column.topValues.map(({ value, count }) => ({ value: unprotect(value), count })),
      }))
    : evidence
}

interface Count {
  count: number
}

const readingOptions = { format: null, timeZone: 'UTC', defaultCountry: null }
const emails: ValueParser = valueParser(email('email', '', ''), readingOptions)
const phones: ValueParser = valueParser(phone('phone', '', ''), readingOptions)
const flags: ValueParser = valueParser(flag('flag', '', ''), readingOptions)
const phoneLike = /^(?=.*[\s().+/-])[+\d\s()./\u00A0\u2010-\u2015-]{7,24}(?:\s*(?:x|ext\.?)\s*\d{1,6})?$/i
const urlLike = /^(?:https?:\/\/|www\.)\S+$/i

class ColumnCollector {
  readonly #index: number
  readonly #name: string
  readonly #samples = new Set<string>()
  #filled = 0
  #values: Map<string, Count> | null = new Map()
  #dates: DateFormatProof | null = new DateFormatProof()
  #numbers: NumberFormatProof | null = new NumberFormatProof()
  #leadingZero = false
  #longest = 0
  readonly #kinds = { email: 0, phone: 0, url: 0, flag: 0 }
  readonly #delimited: boolean
  #formulas: 'PROTECTED' | 'BARE' | null = null

  constructor(column: Column, delimited: boolean) {
    this.#index = column.index
    this.#name = column.name
    this.#delimited = delimited
  }

  /** One bare cell decides; until then each cell costs a look at its first character. */
  #lookForFormulas(rows: readonly Row[]): void {
    const index = this.#index
    for (let at = 0; at < rows.length; at++) {
      const cell = rows[at]!.cells[index]
      if (cell === undefined) {
        continue
      }
      const code = cell.charCodeAt(0)
      // Letters and most signs begin no formula.
      if ((code > 64 && code < 0xff00) || (code >= 48 && code <= 57) || rows[at]!.fault !== null) {
        continue
      }
      if (isProtected(cell)) {
        this.#formulas = 'PROTECTED'
      } else if (isFormulaLike(cell)) {
        this.#formulas = 'BARE'
        return
      }
    }
  }

  add(rows: readonly Row[]): void {
    const index = this.#index
    if (this.#delimited && this.#formulas !== 'BARE') {
      this.#lookForFormulas(rows)
    }
    let at = 0
    for (; at < rows.length && this.#watching(); at++) {
      const row = rows[at]!
      const cell = row.cells[index]
      if (cell !== undefined && cell.length > 0 && row.fault === null) {
        const text = trimmed(cell)
        if (text.length > 0) {
          this.#filled++
          this.#look(text, row.number)
        }
      }
    }
    // Nothing is left to learn but how many cells are filled.
    let filled = 0
    for (; at < rows.length; at++) {
      const row = rows[at]!
      const cell = row.cells[index]
      if (
        cell !== undefined &&
        cell.length > 0 &&
        row.fault === null &&
        (cell.charCodeAt(0) > 32 || trimmed(cell).length > 0)
      ) {
        filled++
      }
    }
    this.#filled += filled
  }

  #watching(): boolean {
    return this.#values !== null || this.#dates !== null || this.#numbers !== null || this.#filled < KIND_VALUES
  }

  #look(text: string, row: number): void {
    if (this.#values !== null) {
      const known = this.#values.get(text)
      if (known !== undefined) {
        known.count++
      } else {
        this.#meet(text)
      }
    }
    if (this.#dates !== null) {
      this.#dates.add(text, row)
      if (this.#dates.rejected) {
        this.#dates = null
      }
    }
    if (this.#numbers !== null) {
      this.#numbers.add(text, row)
      if (this.#numbers.rejected) {
        this.#numbers = null
      }
    }
    if (this.#filled <= KIND_VALUES) {
      this.#tellKind(text)
    }
  }

  /** A value that has not been seen before. */
  #meet(text: string): void {
    const values = this.#values!
    if (values.size >= DISTINCT_VALUES_COUNTED || text.length > DISTINCT_VALUE_LENGTH) {
      // What has been counted so far is still what is shown of the column.
      this.#top = topOf(values)
      this.#values = null
      return
    }
    values.set(detached(text), { count: 1 })
  }

  #top: readonly { readonly value: string; readonly count: number }[] = []

  #tellKind(text: string): void {
    if (this.#samples.size < SAMPLES) {
      this.#samples.add(detached(cut(text, SAMPLE_LENGTH)))
    }
    const length = text.length
    if (length > this.#longest) {
      this.#longest = length
    }
    if (text.charCodeAt(0) === 48 && length > 1 && /^\d+$/.test(text)) {
      this.#leadingZero = true
    }
    if (emails.parse(text) !== null) {
      this.#kinds.email++
    } else if (urlLike.test(text)) {
      this.#kinds.url++
    } else if (flags.parse(text) !== null) {
      this.#kinds.flag++
    } else if (phoneLike.test(text) && phones.parse(text) !== null) {
      this.#kinds.phone++
    }
  }

  finish(): ColumnEvidence {
    const dates = this.#dates?.finish() ?? null
    const numbers = this.#numbers?.finish() ?? null
    const { kind, confidence } = this.#kind(dates, numbers)
    // A column that looks like both, such as 20260301, is shown as what it mostly is.
    const shown = dates?.formats !== null && dates !== null ? dates : numbers
    return {
      index: this.#index,
      name: this.#name,
      filled: this.#filled,
      kind,
      kindConfidence: confidence,
      samples: [...this.#samples],
      distinct: this.#values === null ? null : this.#values.size,
      topValues: this.#values === null ? this.#top : topOf(this.#values),
      dateFormats: dates?.formats ?? null,
      numberFormats: numbers?.formats ?? null,
      provenByRow: shown?.provenByRow ?? null,
      ...(this.#delimited ? { formulas: this.#formulas } : {}),
      ambiguousValues: shown?.ambiguousValues ?? [],
    }
  }

  #kind(dates: Proof | null, numbers: Proof | null): { kind: FieldKind; confidence: number } {
    const looked = Math.min(this.#filled, KIND_VALUES)
    const distinct = this.#values?.size ?? Number.POSITIVE_INFINITY
    if (looked === 0) {
      return { kind: 'TEXT', confidence: 0 }
    }
    const told: [FieldKind, number][] = [
      ['EMAIL', this.#kinds.email / looked],
      ['URL', this.#kinds.url / looked],
      ['BOOLEAN', distinct <= SPELLINGS ? this.#kinds.flag / looked : 0],
      [
        (this.#dates?.timedShare ?? 0) > 0.5 ? 'DATE_TIME' : 'DATE',
        dates?.formats ? (this.#dates?.readableShare ?? 0) : 0,
      ],
      ['PHONE', this.#kinds.phone / looked],
      [this.#numberKind(), numbers?.formats && !this.#leadingZero ? (this.#numbers?.readableShare ?? 0) : 0],
    ]
    const found = told.find(([, share]) => share >= KIND_SHARE)
    if (found !== undefined) {
      return { kind: found[0], confidence: found[1] }
    }
    if (distinct <= CHOICES && this.#filled >= distinct * 3) {
      return { kind: 'ENUM', confidence: 1 - distinct / this.#filled }
    }
    return {
      kind: this.#longest > DISTINCT_VALUE_LENGTH ? 'LONG_TEXT' : 'TEXT',
      confidence: 1 - Math.max(...told.map(([, share]) => share)),
    }
  }

  #numberKind(): FieldKind {
    if ((this.#numbers?.currencyShare ?? 0) > 0.5) {
      return 'MONEY'
    }
    return (this.#numbers?.fractionShare ?? 0) > 0 ? 'DECIMAL' : 'INTEGER'
  }
}

function topOf(values: ReadonlyMap<string, Count>): { value: string; count: number }[] {
  return [...values]
    .map(([value, { count }]) => ({ value, count }))
    .toSorted((one, other) => other.count - one.count)
    .slice(0, TOP_VALUES)
}
