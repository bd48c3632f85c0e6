/**
 * Tells what kind of values a column holds, from some of them. A first guess, to show and to suggest a mapping by; the
 * strict parsers of the fields decide later about each value.
 */
import type { FieldKind } from '../../records/types.js'

export interface ColumnKind {
  readonly kind: FieldKind
  /** From 0 (no values to tell by) to 1: the share of values that fit, less the fewer there are. */
  readonly confidence: number
}

export interface KindOptions {
  /** `.` or `,` where a person said so; null: `1.234` may be either. */
  readonly decimalSeparator: string | null
}

/** Kinds that one value may be of. A bit set, because `1.234` may be two things and a column has thousands of values. */
export const Kind = {
  none: 0,
  email: 1,
  url: 2,
  phone: 4,
  integer: 8,
  decimal: 16,
  money: 32,
  boolean: 64,
  date: 128,
  dateTime: 256,
} as const

/** Longer values are text. Characters; the longest address or URL that is worth recognising. */
const RECOGNISED_LENGTH_MAX = 320

/** Values that must fit before a column is of their kind; the others are mistakes in the file. */
const SHARE_MIN = 0.8

const LONG_TEXT_LENGTH = 255
const LONG_TEXT_SHARE_MIN = 0.1

// All of these are linear: no two neighbouring repetitions can match the same character.
const EMAIL = /^[^\s@,;:<>()[\]"]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+$/u
const URL_WITH_SCHEME = /^(?:https?:\/\/|ftp:\/\/|www\.)[^\s]+$/i
const DOMAIN = /^(?:[a-z0-9-]+\.)+[a-z]{2,24}(?:\/\S*)?$/
const PHONE = /^\+?[\d\s().\-/\u2010-\u2015]{7,25}(?:\s?(?:x|ext\.?|#)\s?\d{1,6})?$/i
const ZIP_PLUS_FOUR = /^\d{5}-\d{4}$/
const PLAIN_INTEGER = /^(?:0|-?[1-9]\d{0,14}|\+[1-9]\d{0,5})$/
const BARE_PHONE = /^[1-9]\d{6,14}$/
const GROUPED_INTEGER = /^[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+|(?:\.\d{3})+|(?:['’ \u00a0\u202f]\d{3})+)$/
const DECIMAL_POINT = /^[+-]?(?:\d{0,18}|\d{1,3}(?:,\d{3})+|\d{1,3}(?:['’ \u00a0\u202f]\d{3})+)\.\d{1,18}$/
const DECIMAL_COMMA = /^[+-]?(?:\d{0,18}|\d{1,3}(?:\.\d{3})+|\d{1,3}(?:['’ \u00a0\u202f]\d{3})+),\d{1,18}$/
const EXPONENT = /^[+-]?\d(?:[.,]\d{1,18})?e[+-]?\d{1,3}$/i
const CURRENCY_BEFORE = /^(?:\(?-?\s?(?:[A-Z]{1,3})?\p{Sc}|[A-Z]{3})\s?(?=[\d.,+-])/u
const CURRENCY_BEHIND = /(?<=\d)\s?(?:\p{Sc}|[A-Z]{3}|,-)\)?$/u
const TIME =
  /^[T\s,]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?\s?(?:[ap]\.?m\.?)?\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?$/i
const YEAR_FIRST = /^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)/
const YEAR_LAST = /^(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?!\d)/
const COMPACT = /^(\d{4})(\d{2})(\d{2})$/
const NAMED_MONTH =
  /^(?:\p{L}{2,10}\.?,?\s)?(?:\d{1,2}[.\s-]\s?(\p{L}{3,10})\.?,?[\s-]|(\p{L}{3,10})\.?\s\d{1,2}(?:st|nd|rd|th)?,?\s)\d{2,4}(?!\d)/u

const MONTHS = new Set(
  (
    'jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september october ' +
    'november december mär mrz mai okt dez januar februar märz juni juli oktober dezember janv févr mars avr juin juil août ' +
    'déc janvier février avril juillet septembre octobre novembre décembre ene abr ago dic enero febrero marzo abril mayo ' +
    'junio julio agosto septiembre octubre noviembre diciembre gen mag giu lug set ott gennaio febbraio aprile maggio ' +
    'giugno luglio settembre ottobre dicembre'
  ).split(' '),
)

const BOOLEANS = new Set(
  'true false yes no y n t f on off ja nein j oui non vrai faux si sí sì verdadero falso vero wahr falsch'.split(' '),
)

/** The kinds that `value` may be of, as a set of `Kind` bits. Blanks around it do not count. */
export function kindsOf(value: string, options: KindOptions = { decimalSeparator: null }): number {
  const text = value.trim()
  if (text === '' || text.length > RECOGNISED_LENGTH_MAX) {
    return Kind.none
  }
  if (text.includes('@')) {
    return EMAIL.test(text) ? Kind.email : Kind.none
  }
  if (text.length <= 5 && BOOLEANS.has(text.toLowerCase())) {
    return Kind.boolean
  }
  if (!/\d/.test(text)) {
    return BOOLEANS.has(text.toLowerCase()) ? Kind.boolean : isUrl(text) ? Kind.url : Kind.none
  }
  const dates = dateKinds(text)
  let kinds: number = dates | numberKinds(text, options)
  if (kinds === Kind.none) {
    kinds = moneyKind(text, options)
  }
  if (dates === Kind.none && isPhone(text)) {
    kinds |= Kind.phone
  }
  return kinds === Kind.none && isUrl(text) ? Kind.url : kinds
}

/** The kind of a column with these values, blank ones not counted. TEXT with confidence 0 where all are blank. */
export function classify(values: readonly string[], options: KindOptions = { decimalSeparator: null }): ColumnKind {
  const tally = new Tally()
  for (const value of values) {
    tally.add(value, options)
  }
  return tally.result()
}

class Tally {
  #filled = 0
  #email = 0
  #url = 0
  #phone = 0
  #barePhone = 0
  #integer = 0
  #number = 0
  #money = 0
  #moneyOrNumber = 0
  #boolean = 0
  /** Digits with a zero in front: codes that must not lose it. */
  #code = 0
  #zero = 0
  #one = 0
  #date = 0
  #compactDate = 0
  #dateTime = 0
  #long = 0

  add(value: string, options: KindOptions): void {
    const text = value.trim()
    if (text === '') {
      return
    }
    this.#filled += 1
    const kinds = kindsOf(text, options)
    const has = (kind: number): number => ((kinds & kind) === 0 ? 0 : 1)
    const isDate = has(Kind.date)
    const isCompact = isDate & has(Kind.integer)
    this.#email += has(Kind.email)
    this.#url += has(Kind.url)
    this.#phone += has(Kind.phone)
    this.#barePhone += BARE_PHONE.test(text) ? 1 : 0
    this.#integer += has(Kind.integer)
    this.#number += has(Kind.integer | Kind.decimal)
    this.#money += has(Kind.money)
    this.#moneyOrNumber += has(Kind.money | Kind.integer | Kind.decimal)
    this.#boolean += has(Kind.boolean)
    this.#code += /^0\d+$/.test(text) ? 1 : 0
    this.#zero += text === '0' ? 1 : 0
    this.#one += text === '1' ? 1 : 0
    this.#date += isDate
    this.#compactDate += isCompact
    this.#dateTime += has(Kind.dateTime)
    this.#long += text.length > LONG_TEXT_LENGTH || /[\r\n]/.test(text) ? 1 : 0
  }

  result(): ColumnKind {
    const filled = this.#filled
    if (filled === 0) {
      return { kind: 'TEXT', confidence: 0 }
    }
    const of = (kind: FieldKind, count: number): ColumnKind => {
      // Few values prove little: one counts two thirds, twenty nearly all.
      const confidence = (count / filled) * (1 - 1 / (filled + 2))
      return { kind, confidence: Math.round(confidence * 1000) / 1000 }
    }
    const enough = (count: number): boolean => count / filled >= SHARE_MIN
    if (enough(this.#email)) {
      return of('EMAIL', this.#email)
    }
    if (enough(this.#url)) {
      return of('URL', this.#url)
    }
    if (this.#zero + this.#one === filled && this.#zero > 0 && this.#one > 0 && filled >= 8) {
      // Might as well be counts.
      return of('BOOLEAN', filled * 0.6)
    }
    if (enough(this.#boolean)) {
      return of('BOOLEAN', this.#boolean)
    }
    // Eight digits are a date only if all of them are.
    const dates = this.#compactDate === this.#integer ? this.#date : this.#date - this.#compactDate
    if (enough(dates + this.#dateTime)) {
      return this.#dateTime >= dates ? of('DATE_TIME', dates + this.#dateTime) : of('DATE', dates + this.#dateTime)
    }
    if (enough(this.#moneyOrNumber) && this.#money * 5 >= this.#moneyOrNumber) {
      return of('MONEY', this.#moneyOrNumber)
    }
    // Bare digits are numbers, unless one in twenty says that they are phone numbers.
    if (this.#phone * 20 >= filled && enough(this.#phone + this.#barePhone)) {
      return of('PHONE', this.#phone + this.#barePhone)
    }
    if (this.#code > 0 && enough(this.#code + this.#integer)) {
      return of('TEXT', this.#code + this.#integer)
    }
    if (enough(this.#number)) {
      return this.#integer === this.#number ? of('INTEGER', this.#number) : of('DECIMAL', this.#number)
    }
    if (this.#long / filled >= LONG_TEXT_SHARE_MIN) {
      return of('LONG_TEXT', filled)
    }
    const other = Math.max(
      this.#email,
      this.#url,
      this.#boolean,
      dates + this.#dateTime,
      this.#moneyOrNumber,
      this.#phone,
    )
    return of('TEXT', filled - other)
  }
}

function isUrl(text: string): boolean {
  return URL_WITH_SCHEME.test(text) || DOMAIN.test(text)
}

function isPhone(text: string): boolean {
  if (!PHONE.test(text) || ZIP_PLUS_FOUR.test(text) || YEAR_FIRST.test(text) || YEAR_LAST.test(text)) {
    return false
  }
  const digits = text.replace(/(?:x|ext\.?|#)\s?\d{1,6}$/i, '').replace(/\D/g, '')
  if (digits.length < 7 || digits.length > 15) {
    return false
  }
  // Bare digits are a number, unless they begin as phone numbers do and numbers do not.
  const bare = /^\d+$/.test(text)
  return bare ? /^0(?:0[1-9]|[1-9])/.test(text) : !/^[+-]?\d+[.,]\d+$/.test(text)
}

function numberKinds(text: string, { decimalSeparator }: KindOptions): number {
  if (PLAIN_INTEGER.test(text)) {
    return Kind.integer
  }
  let kinds = 0
  if (GROUPED_INTEGER.test(text) && !(decimalSeparator !== null && text.includes(decimalSeparator))) {
    kinds |= Kind.integer
  }
  if (decimalSeparator !== ',' && DECIMAL_POINT.test(text)) {
    kinds |= Kind.decimal
  }
  if (decimalSeparator !== '.' && DECIMAL_COMMA.test(text)) {
    kinds |= Kind.decimal
  }
  return EXPONENT.test(text) ? kinds | Kind.decimal : kinds
}

function moneyKind(text: string, options: KindOptions): number {
  const bare = text.replace(CURRENCY_BEFORE, '').replace(CURRENCY_BEHIND, '')
  const amount = bare
    .replace(/^\((.*)\)$/, '$1')
    .replace(/\)$/, '')
    .trim()
  return amount !== text && numberKinds(amount, options) !== Kind.none ? Kind.money : Kind.none
}

function dateKinds(text: string): number {
  const length = dateLength(text)
  if (length === 0) {
    return Kind.none
  }
  return length === text.length ? Kind.date : TIME.test(text.slice(length)) ? Kind.dateTime : Kind.none
}

/** Length of the date that `text` begins with; 0 if it begins with none. */
function dateLength(text: string): number {
  const yearFirst = YEAR_FIRST.exec(text)
  if (yearFirst !== null) {
    return isDay(yearFirst[1], yearFirst[3], yearFirst[4]) ? yearFirst[0].length : 0
  }
  const yearLast = YEAR_LAST.exec(text)
  if (yearLast !== null) {
    const [whole, first, , second, year] = yearLast
    return isDay(year, second, first) || isDay(year, first, second) ? whole.length : 0
  }
  const compact = COMPACT.exec(text)
  if (compact !== null) {
    return isDay(compact[1], compact[2], compact[3]) ? text.length : 0
  }
  const named = NAMED_MONTH.exec(text)
  const month = named?.[1] ?? named?.[2]
  return named !== null && month !== undefined && MONTHS.has(month.toLowerCase()) ? named[0].length : 0
}

function isDay(year: string | undefined, month: string | undefined, day: string | undefined): boolean {
  const y = Number(year)
  const m = Number(month)
  const d = Number(day)
  return (y < 100 || (y >= 1800 && y <= 2200)) && m >= 1 && m <= 12 && d >= 1 && d <= 31
}
