/** What the values of a column say about a field. */

import { recordTypes } from '../../records/index.js'
import type { FieldDefinition, FieldKind } from '../../records/types.js'
import { countryCode } from '../country.js'
import { DWELLINGS, FLAGS, GENDERS, LEGAL_FORMS, REGIONS } from '../data/regions.js'
import { plainWord } from '../text.js'
import { valueParser } from '../values.js'
import { choiceReader } from './choices.js'
import type { Target } from './lexicon.js'

export interface Fit {
  /** From -1 (the values cannot be this field) over 0 (they say nothing) to 1 (they look exactly like it). */
  readonly verdict: number
  /** Whether values like these are rare in other fields, so that they may decide what a header leaves open. */
  readonly telling: boolean
  /** In words; null if there is nothing to say. */
  readonly reason: string | null
}

/** What is known of a column's values. Built once per column; every test over the samples runs once. */
export class Values {
  readonly samples: readonly string[]
  readonly #kind: FieldKind
  readonly #kindConfidence: number
  readonly #fillRate: number
  readonly #shares = new Map<string, number>()

  constructor(column: { samples: readonly string[]; kind: FieldKind; kindConfidence: number; fillRate: number }) {
    this.samples = column.samples.map((sample) => sample.trim()).filter((sample) => sample !== '')
    this.#kind = column.kind
    this.#kindConfidence = column.kindConfidence
    this.#fillRate = column.fillRate
  }

  /** The part of the samples, from 0 to 1, that pass `test`; remembered under `name`. */
  share(name: string, test: (value: string) => boolean): number {
    let share = this.#shares.get(name)
    if (share === undefined) {
      const { samples } = this
      share = samples.length === 0 ? 0 : samples.filter(test).length / samples.length
      this.#shares.set(name, share)
    }
    return share
  }

  /** How well the values fit `target`. */
  fit(target: Target): Fit {
    if (this.samples.length === 0) {
      return this.#fitKind(target.value.kind)
    }
    const { verdict, telling, reason } = this.#fitSamples(target)
    // One or two values prove little.
    const weight = this.samples.length >= 3 ? 1 : this.samples.length === 2 ? 0.8 : 0.6
    return { verdict: verdict * weight, telling, reason }
  }

  /** `n of m sample values ...`. */
  count(share: number, what: string): string {
    const { length } = this.samples
    const count = Math.round(share * length)
    if (length === 1 && count === 1) {
      return `All sample values ${what} (there is only one).`
    }
    return count === length ? `All ${length} sample values ${what}.` : `${count} of ${length} sample values ${what}.`
  }

  /** Without samples, what was detected in the file. */
  #fitKind(wanted: FieldKind): Fit {
    const found = KIND_FAMILIES[this.#kind]
    if (this.#kindConfidence < 0.8 || found === 'text') {
      return SILENT
    }
    return found === KIND_FAMILIES[wanted]
      ? { verdict: 0.8, telling: found === 'email', reason: 'The values are of this kind.' }
      : { verdict: -0.8, telling: false, reason: 'The values are of another kind.' }
  }

  #fitSamples(target: Target): Fit {
    const field = target.value
    const special = SPECIAL[target.name] ?? SPECIAL[field.name]
    if (special !== undefined) {
      return special(this, this.#fillRate)
    }
    switch (field.kind) {
      case 'EMAIL':
        return this.#judge('email', isEmail, 'are e-mail addresses', true)
      case 'PHONE':
        return this.#judge('phone', isPhone, 'are phone numbers', this.share('spelled phone', isSpelledPhone) >= 0.5)
      case 'URL':
        return this.#judge('url', isUrl, 'are web addresses', true)
      case 'DATE':
      case 'DATE_TIME':
        return fitDate(this, field.kind)
      case 'INTEGER':
      case 'DECIMAL':
      case 'MONEY':
        return fitNumber(this, field)
      case 'BOOLEAN':
        return this.#judge(`parsed ${field.name}`, parses(field), 'mean yes or no', false)
      case 'ENUM':
        return fitOptions(this, field)
      case 'TEXT':
      case 'LONG_TEXT':
      case 'MULTI_ENUM':
      case 'REFERENCE':
        return fitText(this, field)
    }
    return field.kind satisfies never
  }

  #judge(name: string, test: (value: string) => boolean, what: string, telling: boolean): Fit {
    const share = this.share(name, test)
    return { verdict: verdictOf(share), telling: telling && share >= 0.8, reason: this.count(share, what) }
  }
}

const SILENT: Fit = { verdict: 0, telling: false, reason: null }

/** Nine in ten make up for a few bad values; half and half says nothing. */
function verdictOf(share: number): number {
  return Math.max(-1, Math.min(1, (share - 0.5) / 0.3))
}

const KIND_FAMILIES: Readonly<Record<FieldKind, 'email' | 'phone' | 'url' | 'number' | 'date' | 'boolean' | 'text'>> = {
  TEXT: 'text',
  LONG_TEXT: 'text',
  ENUM: 'text',
  MULTI_ENUM: 'text',
  REFERENCE: 'text',
  EMAIL: 'email',
  PHONE: 'phone',
  URL: 'url',
  INTEGER: 'number',
  DECIMAL: 'number',
  MONEY: 'number',
  BOOLEAN: 'boolean',
  DATE: 'date',
  DATE_TIME: 'date',
}

// -------------------------------------------------------------------------------------------------- tests of one value

export function isEmail(value: string): boolean {
  return value.length <= 254 && /^[^\s@,;<>()]+@[^\s@,;<>()]+\.\p{L}{2,}$/u.test(value)
}

export function isUrl(value: string): boolean {
  return (
    value.length <= 2048 &&
    (/^(?:https?:\/\/|www\.)\S+$/i.test(value) || /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?:\/\S*)?$/i.test(value))
  )
}

/** A web address that can be opened, not the name of a site alone. */
function isPage(value: string): boolean {
  return /^(?:https?:\/\/|www\.)\S+$/i.test(value)
}

const legalForms = new Set(LEGAL_FORMS.split(' '))

function isCompany(value: string): boolean {
  return value
    .split(/[\s,]+/)
    .slice(1)
    .some((word) => legalForms.has(plainWord(word)))
}

const regionNames = new Set(Object.values(REGIONS).flatMap((list) => list.split(',').map((name) => plainWord(name))))

const dwellings = new Set(DWELLINGS.split(' '))

const genders = new Set(GENDERS.split(' '))

function isDwelling(value: string): boolean {
  return (
    value.length <= 60 &&
    (dwellings.has(plainWord(value)) || value.split(/[\s/-]+/).some((word) => dwellings.has(plainWord(word))))
  )
}

const flags = new Set(FLAGS.split(' '))

function isFlag(value: string): boolean {
  return value.length <= 10 && flags.has(plainWord(value))
}

function isRegion(value: string): boolean {
  return value.length <= 60 && regionNames.has(plainWord(value))
}

function isPhone(value: string): boolean {
  if (value.length > 40 || !/^[+(]?\d[\d\s().\-/–]*(?:(?:x|ext\.?|#)\s*\d{1,6})?$/i.test(value) || isDate(value)) {
    return false
  }
  const digits = value.replace(/(?:x|ext\.?|#).*$/i, '').replace(/\D/g, '').length
  return digits >= 6 && digits <= 16
}

/** A phone number by its looks alone: no plain row of digits, which may be any number. */
export function isSpelledPhone(value: string): boolean {
  return isPhone(value) && /^\+|^\(|^0\d+[\s/-]|^\d{2,4}[\s./-]\d{2,4}[\s.-]\d{2,}/.test(value)
}

const DAY = String.raw`(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})|\d{1,2}[.\s-]+(?:de\s+)?\p{L}{3,10}\.?[,\s-]+(?:de\s+)?\d{2,4}|\p{L}{3,10}\.?\s+\d{1,2},?\s+\d{4})`
const TIME = String.raw`(?:[T\s,]+(?:at\s+|um\s+)?\d{1,2}[:.h]\d{2}(?:[:.]\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?(?:\s*Uhr)?)`
const DATE = new RegExp(`^${DAY}${TIME}?$`, 'u')
const DATE_WITH_TIME = new RegExp(`^${DAY}${TIME}$`, 'u')
/** A time of day without a day. */
const TIME_ONLY = /^\d{1,2}[:.h]\d{2}(?::\d{2})?\s*(?:[ap]\.?m\.?)?$/i

function isDate(value: string): boolean {
  return value.length <= 40 && DATE.test(value)
}

function isDateWithTime(value: string): boolean {
  return value.length <= 40 && DATE_WITH_TIME.test(value)
}

const CURRENCY = /^(?:[A-Z]{3}|[€$£¥₹]|R\$|kr|Fr\.?|C\$|A\$|US\$)$/u

/** The number that `value` is, whichever its separators are, or null. */
function numberIn(value: string): number | null {
  const bare = value.replace(/^(?:[A-Z]{3}|R\$|[CA]\$|US\$|[€$£¥₹])\s*|\s*(?:[A-Z]{3}|[€$£¥₹]|,-|-)$/gu, '').trim()
  if (!/^[-+]?\d[\d.,'’\s]*$/u.test(bare)) {
    return null
  }
  const last = Math.max(bare.lastIndexOf('.'), bare.lastIndexOf(','))
  const after = bare.length - last - 1
  const separators = bare.replace(/[^.,]/g, '')
  // One kind of separator before exactly three digits, or one that occurs twice, groups thousands.
  const decimal = last > 0 && !(after === 3 && separators.length >= 1 && new Set(separators).size === 1)
  const digits = decimal
    ? `${bare.slice(0, last).replace(/[^\d+-]/g, '')}.${bare.slice(last + 1)}`
    : bare.replace(/[^\d+-]/g, '')
  const number = Number(digits)
  return Number.isNaN(number) ? null : number
}

function isNumber(value: string): boolean {
  return numberIn(value) !== null
}

const PREFIXES = new Set(
  'mr mrs ms miss mx dr prof profdr sir madam rev hon med herr frau hr fr ing dipling monsieur madame mademoiselle m mme mlle mm sr sra srta don dona señor señora senhor senhora dhr mevr mw heer mevrouw sig sigra sigrina signor signora dott dottssa avv dra eng fam familie'
    .split(' ')
    .map(plainWord),
)

function isPrefix(value: string): boolean {
  const words = value.split(/[\s/&]+/).map(plainWord)
  return value.length <= 30 && words.every((word) => word === '' || PREFIXES.has(word))
}

/** Letters with the few signs that names of people and places have; no digits. */
function isWords(value: string): boolean {
  return value.length <= 80 && /^[\p{L}\p{M}\s.,'’()&/`-]+$/u.test(value)
}

function isIdentifier(value: string): boolean {
  return value.length <= 100 && /^[\p{L}\p{N}{][\p{L}\p{N}_.:/#{}|+=-]*$/u.test(value)
}

const hasDigit = (value: string): boolean => /\d/.test(value)

// ------------------------------------------------------------------------------------------------- tests of one column

function fitDate(values: Values, kind: FieldKind): Fit {
  const dates = values.share('date', isDate)
  if (dates < 0.5) {
    const times = values.share('time of day', (value) => TIME_ONLY.test(value))
    if (times >= 0.5) {
      return { verdict: -1, telling: false, reason: values.count(times, 'are times of day, without a date') }
    }
    // Days counted by a spreadsheet, or seconds by a machine: possible, but nothing to rely on.
    const serials = values.share('serial date', (value) => /^(?:[2-6]\d{4}|\d{10}|\d{13})(?:\.\d+)?$/.test(value))
    if (serials >= 0.8) {
      return { verdict: -0.1, telling: false, reason: values.count(serials, 'may be dates counted as numbers') }
    }
  }
  const withTime = values.share('date with time', isDateWithTime)
  const verdict = verdictOf(dates)
  return {
    // A day without a time fits a moment less well.
    verdict: kind === 'DATE_TIME' && verdict > 0 && withTime < 0.5 ? verdict * 0.7 : verdict,
    telling: dates >= 0.8 && kind === 'DATE_TIME' && withTime >= 0.5,
    reason: values.count(dates, 'are dates'),
  }
}

function fitNumber(values: Values, field: FieldDefinition): Fit {
  const { min, max, kind } = field
  const numbers = values.share('number', isNumber)
  if (numbers < 0.5) {
    return { verdict: verdictOf(numbers), telling: false, reason: values.count(numbers, 'are numbers') }
  }
  const inside = values.share(`number ${kind} ${min} ${max}`, (value) => {
    const number = numberIn(value)
    return (
      number !== null &&
      (min === null || number >= min) &&
      (max === null || number <= max) &&
      (kind !== 'INTEGER' || Number.isInteger(number))
    )
  })
  const what =
    kind === 'INTEGER' ? 'are whole numbers that this field can hold' : 'are numbers that this field can hold'
  return { verdict: verdictOf(inside), telling: false, reason: values.count(inside, what) }
}

const parsers = new WeakMap<FieldDefinition, (value: string) => boolean>()

/** Whether the importer would read a value as one of `field`; for choices and for yes and no, which need no format. */
function parses(field: FieldDefinition): (value: string) => boolean {
  let test = parsers.get(field)
  if (test === undefined) {
    const parser = valueParser(field, { format: null, timeZone: 'UTC', defaultCountry: null })
    test = (value) => parser.parse(value) !== null
    parsers.set(field, test)
  }
  return test
}

function fitOptions(values: Values, field: FieldDefinition): Fit {
  const share = values.share(`meant ${field.name} ${field.options?.join()}`, means(field))
  const reason = values.count(share, `are known values of ${field.label}`)
  if (share >= 0.5) {
    return { verdict: verdictOf(share), telling: share >= 0.8, reason }
  }
  // Unknown words may be another system's words for the same; sentences, numbers and addresses cannot be.
  if (share === 0 && values.samples.length >= 3 && OWN_WORDS.has(field.name)) {
    return { verdict: -0.2, telling: false, reason: `No sample value is a known value of ${field.label}.` }
  }
  const wordy = values.share('short words', (value) => value.length <= 40 && isWords(value))
  return { verdict: wordy >= 0.8 ? -0.02 : -0.8, telling: false, reason }
}

const typeOfField = new Map(
  Object.values(recordTypes).flatMap((type) => type.fields.map((field) => [field, type.name] as const)),
)

/** Whether a value is a choice of `field` in the importer's words or in those of other systems. */
function means(field: FieldDefinition): (value: string) => boolean {
  const reader = choiceReader(field, typeOfField.get(field) ?? 'contact')
  return (value) => reader.meant(value) !== null
}

/** Choices that nearly every system calls alike: where no value is known, the column is about something else. */
const OWN_WORDS = new Set(['leadType', 'direction', 'transactionType', 'priority'])

/** Fields in which the bare name of a site is as good as any. */
const NAMES_SITES = new Set(['source', 'sourceDetail', 'campaign', 'companyName', 'tags', 'listOfficeName'])

const LOOKS = [
  ['email', isEmail, 'are e-mail addresses'],
  ['url', isUrl, 'are web addresses'],
  ['date', isDate, 'are dates'],
] as const

/** Text can be anything, so what counts is what it had better not be. */
function fitText(values: Values, field: FieldDefinition): Fit {
  for (const [name, test, what] of LOOKS) {
    // `immobiliare.it` is where somebody comes from, and may be the name of a firm.
    const share =
      name === 'url' && NAMES_SITES.has(field.name) ? values.share('web page', isPage) : values.share(name, test)
    if (share >= 0.5) {
      return { verdict: -0.9, telling: false, reason: values.count(share, what) }
    }
  }
  const said = values.share('flag', isFlag)
  if (said >= 0.8) {
    return { verdict: -0.6, telling: false, reason: values.count(said, 'mean yes or no') }
  }
  const numbers = values.share('number', isNumber)
  if (numbers >= 0.8 && field.kind !== 'MULTI_ENUM') {
    return { verdict: -0.3, telling: false, reason: values.count(numbers, 'are numbers') }
  }
  const { maxLength } = field
  if (maxLength !== null) {
    const fitting = values.share(`length ${maxLength}`, (value) => value.length <= maxLength)
    if (fitting < 0.8) {
      return {
        verdict: -0.6,
        telling: false,
        reason: `${values.count(1 - fitting, `are longer than the ${maxLength} characters of this field`)}`,
      }
    }
  }
  return { verdict: 0.8, telling: false, reason: 'The values are text, as in this field.' }
}

type Judge = (values: Values, fillRate: number) => Fit

/** Words of names, places and the like: letters without digits. */
const words =
  (what: string): Judge =>
  (values) => {
    const share = values.share('words', isWords)
    return {
      verdict: Math.min(0.8, verdictOf(share)),
      telling: false,
      reason: values.count(share, share >= 0.5 ? what : 'are plain words'),
    }
  }

const identifiers =
  (own: boolean): Judge =>
  (values, fillRate) => {
    const joined = values.share('list', (value) => /[;,|]\s*\S/.test(value))
    if (joined >= 0.3) {
      return { verdict: -0.5, telling: false, reason: values.count(joined, 'hold several ids') }
    }
    const share = values.share('identifier', isIdentifier)
    if (own && fillRate < 0.5) {
      return {
        verdict: -0.5,
        telling: false,
        reason: 'Less than half of the rows have one, and every record has an id of its own.',
      }
    }
    const verdict = verdictOf(share)
    const digits = values.share('digit', hasDigit)
    return {
      verdict: Math.min(0.9, digits >= 0.5 ? verdict : verdict * 0.5 - 0.2),
      telling: false,
      reason: values.count(share, 'look like ids'),
    }
  }

/** Points of the compass and parts of the world, by which firms divide their sales. */
const SALES_AREA =
  /^(?:north|south|east|west|central|midwest|north ?east|north ?west|south ?east|south ?west|emea|apac|latam|amer(?:icas)?|dach|benelux|nordics|nord|süd|ost|norte|sur|este|oeste|sul|leste|sud|est|ouest|ovest|noord|zuid|oost|centro|mitte|centre)(?: ?(?:region|zone|area))?$/i

/** Letters and digits together, as agencies number what they list: `IM-436`, `LDS2010_18673`. */
const listingReference: Judge = (values, fillRate) => {
  const coded = values.share(
    'coded',
    (value) =>
      value.length <= 25 &&
      /^(?=.*\d)[\p{L}\d]{1,8}(?:[-_/. ]?[\p{L}\d]{1,10}){0,3}$/u.test(value) &&
      /\p{L}/u.test(value),
  )
  const fit = identifiers(false)(values, fillRate)
  return coded >= 0.8 && values.samples.length >= 3 ? { ...fit, telling: true } : fit
}

/** Fields for the state of a lead, a listing or a task: their words tell one Spanish `Estado` from another. */
const statusFields = Object.values(recordTypes).flatMap((type) =>
  type.fields.filter((field) => field.options !== null && (field.name === 'status' || field.name === 'standardStatus')),
)

const region: Judge = (values) => {
  const areas = values.share('sales area', (value) => SALES_AREA.test(value))
  if (areas >= 0.5) {
    return { verdict: -0.8, telling: false, reason: values.count(areas, 'are areas of sales, not states') }
  }
  const states = values.share('status', (value) => statusFields.some((field) => means(field)(value)))
  if (states >= 0.5) {
    return { verdict: -1, telling: false, reason: values.count(states, 'are words for a status') }
  }
  const codes = values.share('code', (value) => /^(?:[A-Z]{2,3}|[A-Z]{2}-[A-Z0-9]{1,3})$/.test(value))
  if (codes >= 0.8) {
    return { verdict: 0.9, telling: true, reason: values.count(codes, 'are codes of states or provinces') }
  }
  const named = values.share('region', isRegion)
  if (named >= 0.6) {
    return { verdict: 0.95, telling: true, reason: values.count(named, 'are names of states or provinces') }
  }
  return words('are names of places')(values, 1)
}

/** Names of people: no firms among them. */
const person: Judge = (values, fillRate) => {
  const companies = values.share('company', isCompany)
  return companies >= 0.5
    ? { verdict: -0.8, telling: false, reason: values.count(companies, 'are names of companies') }
    : words('look like names')(values, fillRate)
}

/** Fields whose kind says too little about their values, by name of the target or of the field that it is read as. */
const SPECIAL: Readonly<Record<string, Judge>> = {
  namePrefix: (values) => {
    const share = values.share('prefix', isPrefix)
    return { verdict: verdictOf(share), telling: share >= 0.8, reason: values.count(share, 'are salutations') }
  },
  jobTitle: (values) => {
    const prefixes = values.share('prefix', isPrefix)
    return prefixes >= 0.5
      ? { verdict: -1, telling: false, reason: values.count(prefixes, 'are salutations') }
      : fitText(values, recordTypes.contact.fields.find((field) => field.name === 'jobTitle')!)
  },
  firstName: (values, fillRate) => {
    const whole = values.share('several names', (value) => /\p{L}{2,}\s+\p{L}{2,}/u.test(value))
    return whole >= 0.8
      ? { verdict: -0.5, telling: false, reason: values.count(whole, 'hold several names') }
      : person(values, fillRate)
  },
  middleName: person,
  lastName: (values, fillRate) => {
    const whole = values.share('inverted name', (value) => /\p{L}{2,},\s*\p{L}{2,}/u.test(value))
    return whole >= 0.8
      ? { verdict: -0.5, telling: false, reason: values.count(whole, 'hold a whole name') }
      : person(values, fillRate)
  },
  displayName: words('look like names'),
  ownerName: words('look like names'),
  listAgentName: words('look like names'),
  companyName: (values) => {
    const joined = values.share('name and id', (value) => /\S\s*\(\d{3,}\)$/.test(value))
    return joined >= 0.3
      ? { verdict: -0.6, telling: false, reason: values.count(joined, 'hold a name and an id') }
      : fitText(values, recordTypes.contact.fields.find((field) => field.name === 'companyName')!)
  },
  city: words('look like places'),
  countyOrParish: words('look like places'),
  leadType: (values) => {
    const homes = values.share('dwelling', isDwelling)
    return homes >= 0.6
      ? { verdict: -0.6, telling: false, reason: values.count(homes, 'are kinds of property') }
      : fitOptions(values, recordTypes.lead.fields.find((field) => field.name === 'leadType')!)
  },
  propertyType: (values) => {
    const homes = values.share('dwelling', isDwelling)
    return homes >= 0.6
      ? { verdict: 0.95, telling: true, reason: values.count(homes, 'are kinds of property') }
      : fitText(values, recordTypes.property.fields.find((field) => field.name === 'propertyType')!)
  },
  country: (values) => {
    const known = values.share('country', (value) => countryCode(value) !== null)
    return known >= 0.6
      ? { verdict: 0.95, telling: true, reason: values.count(known, 'are countries') }
      : words('look like countries')(values, 1)
  },
  stateOrProvince: region,
  // `ASAP`, `3 to 6 months` and a day of moving in are all an answer.
  timeframe: (values) => {
    const days = values.share('date', isDate)
    return days >= 0.6
      ? { verdict: 0.5, telling: false, reason: values.count(days, 'are dates') }
      : fitText(values, recordTypes.lead.fields.find((field) => field.name === 'timeframe')!)
  },
  gender: (values, fillRate) => {
    const named = values.share('gender', (value) => genders.has(plainWord(value)))
    return named >= 0.8
      ? { verdict: 0.95, telling: true, reason: values.count(named, 'are genders') }
      : words('are words')(values, fillRate)
  },
  language: words('are words'),
  postalCode: (values) => {
    const share = values.share(
      'postal code',
      (value) => /^[\p{L}\d][\p{L}\d\s-]{1,10}$/u.test(value) && hasDigit(value),
    )
    return {
      verdict: Math.min(0.9, verdictOf(share)),
      telling: false,
      reason: values.count(share, 'look like postal codes'),
    }
  },
  currency: (values) => {
    const share = values.share('currency', (value) => CURRENCY.test(value))
    return { verdict: verdictOf(share), telling: share >= 0.8, reason: values.count(share, 'are currencies') }
  },
  linkedinUrl: (values) => {
    const share = values.share('linkedin', (value) => /linkedin\.com/i.test(value))
    return { verdict: verdictOf(share), telling: share >= 0.8, reason: values.count(share, 'are LinkedIn addresses') }
  },
  website: (values) => {
    const linkedin = values.share('linkedin', (value) => /linkedin\.com/i.test(value))
    if (linkedin >= 0.5) {
      return { verdict: -0.6, telling: false, reason: values.count(linkedin, 'are LinkedIn addresses') }
    }
    const share = values.share('url', isUrl)
    return { verdict: verdictOf(share), telling: share >= 0.8, reason: values.count(share, 'are web addresses') }
  },
  externalId: identifiers(true),
  'organization.externalId': identifiers(false),
  'contact.externalId': identifiers(false),
  'lead.externalId': identifiers(false),
  'property.externalId': identifiers(false),
  'property.listingId': listingReference,
  'ownerContact.externalId': identifiers(false),
  listingId: identifiers(false),
  parcelNumber: (values) => {
    const share = values.share('digit', hasDigit)
    return { verdict: Math.min(0.8, verdictOf(share)), telling: false, reason: values.count(share, 'have digits') }
  },
  // `12` and `3 B` are both fine numbers of a flat.
  unitNumber: (values) => {
    const units = values.share('unit of area', (value) =>
      /^(?:sq\.? ?(?:ft|m)\.?|ft2|m2|m²|qm|mq|acres?|ha|hectares?)$/i.test(value),
    )
    if (units >= 0.5) {
      return { verdict: -0.9, telling: false, reason: values.count(units, 'are units of area') }
    }
    const share = values.share('short', (value) => value.length <= 25 && !isEmail(value) && !isDate(value))
    return { verdict: Math.min(0.8, verdictOf(share)), telling: false, reason: values.count(share, 'are short') }
  },
  addressLine2: (values) => {
    const share = values.share(
      'line',
      (value) => value.length <= 255 && !isEmail(value) && !isDate(value) && !isUrl(value),
    )
    return {
      verdict: Math.min(0.8, verdictOf(share)),
      telling: false,
      reason: values.count(share, 'can be part of an address'),
    }
  },
  energyClass: (values) => {
    const share = values.share('energy class', (value) => /^[A-J][+0-9]{0,4}$/i.test(value))
    return {
      verdict: share >= 0.5 ? verdictOf(share) : -0.4,
      telling: false,
      reason: values.count(share, 'are energy classes'),
    }
  },
}
