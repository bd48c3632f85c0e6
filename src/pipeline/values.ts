/** Texts of cells to values of fields: one strict parser per kind, compiled for the field and its column. */
import { distance } from 'fastest-levenshtein'
import { uuidOf } from '../ids.js'
import type { FieldDefinition, RecordTypeName } from '../records/types.js'
import { countryReader, currencyReader } from './country.js'
import {
  type DateFormat,
  dateFormatNamed,
  dayReader,
  momentReader,
  type NumberFormat,
  numberFormatNamed,
  numberReader,
} from './formats.js'
import { phoneReader } from './phone.js'
import { cut, plainWord, remembering, trimmed } from './text.js'
import type { IssueCode } from './types.js'
import { zoneOf } from './zone.js'

/** Why a text is no value of a field, for the person who reads the issue. */
export interface ValueFault {
  readonly code: IssueCode
  readonly message: string
  /** What to do; null where there is nothing to say beyond the message. */
  readonly suggestion: string | null
}

/** Reads the values of one field from one column. */
export interface ValueParser {
  /**
   * PostgreSQL input text of the value; `''` where the text says that there is none; null where it is no value of the
   * field. `text` is trimmed and not empty.
   */
  parse(text: string): string | null
  /** Why `parse` answered null for this text. */
  fault(text: string): ValueFault
}

/** What a column adds to its field. */
export interface ReadingOptions {
  /** Date or number format; null for the default one, `yyyy-MM-dd` or `1234.56`. */
  readonly format: string | null
  /** IANA zone of date-times without an offset. */
  readonly timeZone: string
  /** ISO 3166-1 alpha-2, for phone numbers without a country code; null leaves those as they stand. */
  readonly defaultCountry: string | null
}

/** Cells that a spreadsheet shows where a formula failed. */
const formulaErrors: ReadonlySet<string> = new Set([
  '#N/A',
  '#N/A N/A',
  '#NA',
  '#REF!',
  '#VALUE!',
  '#DIV/0!',
  '#NAME?',
  '#NULL!',
  '#NUM!',
  '#SPILL!',
  '#CALC!',
  '#FIELD!',
  '#BLOCKED!',
  '#CONNECT!',
  '#BUSY!',
  '#GETTING_DATA',
  '#NV',
  '#WERT!',
  '#BEZUG!',
  '#ERROR!',
])

const onlyHashes = /^#{3,}$/

/** Whether a spreadsheet put this text into a cell instead of a value: `#N/A`, `#REF!`, `#####`. */
export function isFormulaError(text: string): boolean {
  return text.charCodeAt(0) === 35 && (formulaErrors.has(text.toUpperCase()) || onlyHashes.test(text))
}

/** A parser for a field that is no reference; for a reference, take the field of the referred type (`keyField`). */
export function valueParser(field: FieldDefinition, options: ReadingOptions): ValueParser {
  const parse = reader(field, options)
  return { parse, fault: (text) => faultOf(field, options, text) }
}

function reader(field: FieldDefinition, options: ReadingOptions): (text: string) => string | null {
  const max = field.maxLength ?? Number.POSITIVE_INFINITY
  switch (field.kind) {
    case 'TEXT':
    case 'LONG_TEXT':
      return textReader(field, max)
    case 'EMAIL':
      return (text) => {
        const email = readEmail(text)
        return email !== null && email.length <= max ? email : null
      }
    case 'PHONE': {
      const read = phoneReader(options.defaultCountry)
      return (text) => {
        const phone = read(text) ?? (hasDigit(text) && !shortened.test(text) ? text : null)
        return phone !== null && phone.length <= max ? phone : null
      }
    }
    case 'URL':
      return (text) => (text.length <= max && looksLikeUrl(text) ? text : null)
    case 'INTEGER':
    case 'DECIMAL':
    case 'MONEY':
      return boundedNumberReader(field, numberFormat(options))
    case 'BOOLEAN':
      return choiceReader(field)
    case 'DATE':
      return dayReader(dateFormat(options), { past: field.form === 'PAST' })
    case 'DATE_TIME':
      return momentReader(dateFormat(options), zoneOf(options.timeZone) ?? utc)
    case 'ENUM':
      return choiceReader(field)
    case 'MULTI_ENUM':
      return tagsReader(max, field.options === null ? null : choiceReader(field))
    case 'REFERENCE':
      if (field.idOf !== undefined) {
        return idReader(field.idOf)
      }
      throw new Error(`${field.name} is a reference: its keys are read, not itself`)
  }
  return field.kind satisfies never
}

/** Ids of records here, as the API shows them and as bare UUIDs. */
function idReader(type: RecordTypeName): (text: string) => string | null {
  return (text) => uuidOf(type, text)
}

const utc = zoneOf('UTC')!

function dateFormat(options: ReadingOptions): DateFormat {
  return (options.format === null ? null : dateFormatNamed(options.format)) ?? 'yyyy-MM-dd'
}

function numberFormat(options: ReadingOptions): NumberFormat {
  return (options.format === null ? null : numberFormatNamed(options.format)) ?? '1234.56'
}

// ----------------------------------------------------------------------------------------------------------- texts

function textReader(field: FieldDefinition, max: number): (text: string) => string | null {
  if (field.form === 'CURRENCY') {
    return currencyReader()
  }
  const read = field.form === 'COUNTRY' ? countryReader() : null
  return (text) => {
    if (text.length > max) {
      return null
    }
    if (read !== null) {
      return read(text)
    }
    return uncovered(text)
  }
}

/** `="00123"` is how spreadsheets are made to keep leading zeros. What is left has no quote: it reads the same again. */
function uncovered(text: string): string {
  return text.charCodeAt(0) === 61 && text.startsWith('="') && text.indexOf('"', 2) === text.length - 1
    ? trimmed(text.slice(2, -1))
    : text
}

/** A text that was made of others, as a cell with it would be read; null where that would be no value. */
export function readAgain(text: string): string | null {
  const read = uncovered(text)
  return read === '' || isFormulaError(read) ? null : read
}

function hasDigit(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 48 && code <= 57) {
      return true
    }
  }
  return /\p{Nd}/u.test(text)
}

/** A long number that a spreadsheet has shortened, e.g. `4.91512E+12`: its last digits are lost. */
const shortened = /^\d(?:[.,]\d+)?E\+?\d+$/i

// ---------------------------------------------------------------------------------------------------------- e-mail

/** RFC 5321, 4.5.3.1.1. */
const LOCAL_PART_MAX = 64
/** RFC 1035, 2.3.4. */
const LABEL_MAX = 63

const MAILTO = /^mailto:/i
const inBrackets = /^[^<>]*<([^<>]+)>$/

function readEmail(text: string): string | null {
  const bare = scanEmail(text)
  if (bare !== null) {
    return bare
  }
  let inner = inBrackets.exec(text)?.[1]?.trim() ?? text
  if (MAILTO.test(inner)) {
    inner = inner.slice(7)
    const query = inner.indexOf('?')
    inner = query < 0 ? inner : inner.slice(0, query)
  }
  return inner === text ? null : scanEmail(inner.trim())
}

/** `text` in lower case if it is an address and nothing else. */
function scanEmail(text: string): string | null {
  const length = text.length
  let at = -1
  let lastDot = -1
  let upper = false
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    if (code >= 97 && code <= 122) {
      continue
    }
    if (code === 46) {
      // Not first, not last, not twice in a row, not beside the at sign.
      if (index === 0 || index === length - 1 || lastDot === index - 1 || at === index - 1) {
        return null
      }
      if (at >= 0 && index - Math.max(at, lastDot) > LABEL_MAX + 1) {
        return null
      }
      lastDot = index
    } else if (code === 64) {
      if (at >= 0 || index === 0 || index > LOCAL_PART_MAX || lastDot === index - 1) {
        return null
      }
      at = index
    } else if (code >= 65 && code <= 90) {
      upper = true
    } else if (code >= 0x80) {
      if (code === 0xa0 || code === 0x200b || code === 0xfeff || code === 0xfffd) {
        return null
      }
      upper = true
    } else if (code >= 48 && code <= 57) {
      continue
    } else if (code === 45) {
      // A label neither begins nor ends with a hyphen.
      if (
        at >= 0 &&
        (index === at + 1 || index === lastDot + 1 || index === length - 1 || text.charCodeAt(index + 1) === 46)
      ) {
        return null
      }
    } else if (at >= 0 || !isLocalPartSign(code)) {
      return null
    }
  }
  if (at < 0 || lastDot < at || length - lastDot < 3 || length - lastDot > LABEL_MAX + 1) {
    return null
  }
  const last = text.charCodeAt(lastDot + 1)
  if (last >= 48 && last <= 57) {
    return null
  }
  return upper ? text.toLowerCase() : text
}

/** The signs of RFC 5322's `atext`: ``! # $ % & ' * + / = ? ^ _ ` { | } ~``. */
function isLocalPartSign(code: number): boolean {
  return (
    code === 95 ||
    code === 43 ||
    code === 33 ||
    (code >= 35 && code <= 39) ||
    code === 42 ||
    code === 47 ||
    code === 61 ||
    code === 63 ||
    code === 94 ||
    code === 96 ||
    (code >= 123 && code <= 126)
  )
}

// ------------------------------------------------------------------------------------------------------------ URLs

const scheme = /^[a-z][a-z0-9+.-]*:/i
const web = /^https?:\/\//i

/** A web address, or a host that a browser would complete to one. Other schemes are refused: `javascript:` most of all. */
function looksLikeUrl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    // White space, control characters, and what would end a link in HTML.
    if (code <= 32 || code === 34 || code === 60 || code === 62 || code === 92 || code === 127 || code === 0xa0) {
      return false
    }
  }
  const prefix = web.exec(text)
  if (prefix === null && scheme.test(text) && !/^[^/?#:]+\.[^/?#:]+:\d/.test(text)) {
    return false
  }
  const start = prefix === null ? 0 : prefix[0].length
  let end = start
  while (end < text.length && !'/?#'.includes(text.charAt(end))) {
    end++
  }
  const host = text.slice(start, end)
  return prefix === null ? isHost(host) : host !== '' && !host.startsWith('.') && !host.startsWith(':')
}

function isHost(text: string): boolean {
  const [host = '', port, more] = text.split(':')
  const labels = host.split('.')
  const last = labels.at(-1) ?? ''
  return (
    more === undefined &&
    (port === undefined || /^\d{1,5}$/.test(port)) &&
    labels.length >= 2 &&
    labels.every(
      (label) => label.length > 0 && label.length <= LABEL_MAX && !label.startsWith('-') && !label.endsWith('-'),
    ) &&
    /^[\p{L}\p{N}.-]+$/u.test(host) &&
    /^\p{L}[\p{L}\p{N}-]+$/u.test(last)
  )
}

// --------------------------------------------------------------------------------------------------------- numbers

function boundedNumberReader(field: FieldDefinition, format: NumberFormat): (text: string) => string | null {
  const read = exactNumberReader(field, format)
  const min = field.min ?? Number.NEGATIVE_INFINITY
  const max = field.max ?? Number.POSITIVE_INFINITY
  return (text) => {
    const number = read(text)
    if (number === null) {
      return null
    }
    const value = Number(number)
    return value >= min && value <= max ? number : null
  }
}

/** As above without the range. Digits beyond the field's scale are rounded as PostgreSQL does; a whole number has none. */
function exactNumberReader(field: FieldDefinition, format: NumberFormat): (text: string) => string | null {
  const read = numberReader(format, { currency: field.kind !== 'INTEGER' })
  const scale = field.kind === 'INTEGER' ? 0 : scaleOf(field.sqlType)
  return (text) => {
    const number = read(text)
    if (number === null) {
      return null
    }
    const point = number.indexOf('.')
    if (point < 0 || number.length - point - 1 <= scale) {
      return number
    }
    if (field.kind === 'INTEGER') {
      return /^0*$/.test(number.slice(point + 1)) ? withoutMinusZero(number.slice(0, point)) : null
    }
    return rounded(number, point, scale)
  }
}

/** Digits after the decimal point in a `numeric(p,s)`. */
function scaleOf(sqlType: string): number {
  return Number(/,\s*(\d+)\)$/.exec(sqlType)?.[1] ?? 0)
}

/** Half away from zero, on the digits themselves: binary fractions would round 1.005 down. */
function rounded(number: string, point: number, scale: number): string {
  const kept = number.slice(0, point + 1 + scale)
  const up = number.charCodeAt(point + 1 + scale) >= 53
  if (!up) {
    return withoutMinusZero(scale === 0 ? kept.slice(0, -1) : kept)
  }
  const negative = kept.startsWith('-')
  const digits = kept.replace(/[-.]/g, '')
  const raised = (BigInt(digits) + 1n).toString().padStart(scale + 1, '0')
  const whole = raised.slice(0, raised.length - scale)
  return `${negative ? '-' : ''}${whole}${scale === 0 ? '' : `.${raised.slice(raised.length - scale)}`}`
}

function withoutMinusZero(number: string): string {
  return number.startsWith('-') && !/[1-9]/.test(number) ? number.slice(1) : number
}

// ------------------------------------------------------------------------------------------- booleans and choices

/** Yes and no in English, German, French, Spanish, Portuguese, Italian and Dutch, and as spreadsheets show them. */
const booleanWords: Readonly<Record<'t' | 'f', readonly string[]>> = {
  t: [
    'true',
    't',
    'yes',
    'y',
    '1',
    '1.0',
    'on',
    'x',
    '✓',
    '✔',
    '☑',
    '✅',
    'checked',
    'ja',
    'j',
    'wahr',
    'oui',
    'vrai',
    'si',
    's',
    'verdadero',
    'sim',
    'verdadeiro',
    'vero',
    'waar',
  ],
  f: [
    'false',
    'f',
    'no',
    'n',
    '0',
    '0.0',
    'off',
    '✗',
    '✘',
    '☐',
    '❌',
    'unchecked',
    'nein',
    'falsch',
    'non',
    'faux',
    'falso',
    'nao',
    'nee',
    'onwaar',
  ],
}

/** The word itself where it has no letters or digits, so that `✓` and `1.0` keep what makes them different. */
function wordKey(text: string): string {
  const word = plainWord(text)
  return word === '' || /^[\d.]+$/.test(text) ? text : word
}

/** What a field says about its choices. */
type Choices = Pick<FieldDefinition, 'kind' | 'options' | 'synonyms'>

function choiceWords(field: Choices): Map<string, string> {
  const words = new Map<string, string>()
  if (field.kind === 'BOOLEAN') {
    for (const value of ['t', 'f'] as const) {
      for (const word of booleanWords[value]) {
        words.set(wordKey(word), value)
      }
    }
  }
  for (const [value, synonyms] of Object.entries(field.synonyms ?? {})) {
    for (const word of synonyms) {
      words.set(wordKey(word), value)
    }
  }
  for (const option of field.options ?? []) {
    words.set(wordKey(option), option)
  }
  return words
}

/** Longer texts are no choice; looking for one in them would take long. */
const CHOICE_LENGTH_MAX = 100

/** A reader of yes and no: `t`, `f`, or null for neither. */
export function booleanReader(): (text: string) => string | null {
  return choiceReader({ kind: 'BOOLEAN', options: null })
}

function choiceReader(field: Choices): (text: string) => string | null {
  const words = choiceWords(field)
  // Options of custom fields may differ in nothing but signs (`C`, `C#`), which words do without.
  const options = new Set(field.options)
  const read = remembering((text) => (options.has(text) ? text : (words.get(wordKey(text)) ?? null)))
  return (text) => (text.length > CHOICE_LENGTH_MAX ? null : read(text))
}

/** The option that a text most likely means; null where none is near. */
function nearestOption(field: FieldDefinition, text: string): string | null {
  if (text.length > CHOICE_LENGTH_MAX) {
    return null
  }
  const word = plainWord(text)
  let nearest: string | null = null
  // A third of the letters may differ.
  let least = Math.floor(word.length / 3) + 1
  for (const [known, option] of choiceWords(field)) {
    const letters = distance(word, known)
    if (option !== '' && letters < least) {
      least = letters
      nearest = option
    }
  }
  return nearest
}

// ------------------------------------------------------------------------------------------------------------ lists

const listSeparators = /[;,|]|:::/

/** Where an entry in quotes ends: what follows is a separator or nothing. */
const quotedEntry = /\s*"((?:[^"]|"")*)"\s*(?:[;,|]|:::|$)/y

/**
 * The entries of a list as it stands in one cell. An entry in quotes (those within it doubled) may hold separators, as exports and
 * lists of JSON have it; a quote that does not close before a separator is text.
 */
export function entriesOf(text: string): string[] {
  if (!text.includes('"')) {
    return text.split(listSeparators)
  }
  const entries: string[] = []
  for (let at = 0; at < text.length; ) {
    quotedEntry.lastIndex = at
    const quoted = quotedEntry.exec(text)
    if (quoted !== null) {
      entries.push(quoted[1]!.replaceAll('""', '"'))
      at = quotedEntry.lastIndex
      continue
    }
    const separator = text.slice(at).search(listSeparators)
    const end = separator < 0 ? text.length : at + separator
    entries.push(text.slice(at, end))
    at = end + (text.startsWith(':::', end) ? 3 : 1)
  }
  return entries
}

/** `choose`: what an entry has to be one of; null for any text. */
function tagsReader(max: number, choose: ((text: string) => string | null) | null): (text: string) => string | null {
  return remembering((text) => {
    const tags = new Map<string, string>()
    for (const part of entriesOf(text)) {
      const said = trimmed(part)
      const tag = choose === null || said === '' ? said : choose(said)
      if (tag === null || tag.length > max) {
        return null
      }
      if (tag !== '' && !tags.has(tag.toLowerCase())) {
        tags.set(tag.toLowerCase(), tag)
      }
    }
    const [only = ''] = tags.values()
    // A cell with nothing else would be taken for the error of a formula when it comes back.
    return tags.size === 0 ? '' : tags.size === 1 && isFormulaError(only) ? null : arrayLiteral([...tags.values()])
  })
}

/** PostgreSQL's text of an array of texts. */
export function arrayLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

// ----------------------------------------------------------------------------------------------------------- faults

const SHOWN_LENGTH = 80

/** How messages call the value. Those of sensitive fields stay out of messages: they are masked for some readers. */
function nameOf(field: FieldDefinition, text: string): string {
  return field.sensitive ? 'The value' : `"${cut(text, SHOWN_LENGTH)}${text.length > SHOWN_LENGTH ? '…' : ''}"`
}

function faultOf(field: FieldDefinition, options: ReadingOptions, text: string): ValueFault {
  const value = nameOf(field, text)
  const { maxLength } = field
  if (maxLength !== null && text.length > maxLength && field.kind !== 'MULTI_ENUM' && field.form !== 'CURRENCY') {
    return {
      code: 'VALUE_TOO_LONG',
      message: `The value has ${text.length} characters. ${field.label} holds at most ${maxLength}.`,
      suggestion: 'Shorten it, or map the column to a longer field such as the notes.',
    }
  }
  switch (field.kind) {
    case 'EMAIL':
      return { code: 'INVALID_EMAIL', message: `${value} is not an e-mail address.`, suggestion: emailAdvice(text) }
    case 'PHONE':
      return {
        code: 'INVALID_PHONE',
        message: `${value} is not a phone number${shortened.test(text) ? ': a spreadsheet has shortened it, and its last digits are lost' : ': it has no digits'}.`,
        suggestion: shortened.test(text) ? 'Format the column as text in the spreadsheet and export it again.' : null,
      }
    case 'URL':
      return {
        code: 'INVALID_URL',
        message: `${value} is not a web address.`,
        suggestion:
          scheme.test(text) && !web.test(text)
            ? 'Only http and https addresses are kept.'
            : 'Expected something like https://www.example.com.',
      }
    case 'INTEGER':
    case 'DECIMAL':
    case 'MONEY':
      return numberFault(field, options, text, value)
    case 'BOOLEAN':
      return {
        code: 'INVALID_BOOLEAN',
        message: `${value} is neither yes nor no.`,
        suggestion: 'Write yes or no, true or false, 1 or 0, or map the value in the mapping.',
      }
    case 'DATE':
    case 'DATE_TIME':
      return {
        code: 'INVALID_DATE',
        message: `${value} is not a date. Expected ${dateFormat(options)}${field.kind === 'DATE_TIME' ? ', with or without a time' : ''}.`,
        suggestion: `Write it as ${dateFormat(options)} or year-month-day, or set another format for the column.`,
      }
    case 'ENUM': {
      const nearest = nearestOption(field, text)
      return {
        code: 'INVALID_ENUM_VALUE',
        message: `${value} is none of: ${field.options?.join(', ')}.`,
        suggestion: nearest === null ? 'Map the value to one of them in the mapping.' : `Did you mean ${nearest}?`,
      }
    }
    case 'MULTI_ENUM':
      if (field.options !== null) {
        return {
          code: 'INVALID_ENUM_VALUE',
          message: `${value} holds an entry that is none of: ${field.options.join(', ')}.`,
          suggestion: 'Separate entries by ; or , and write them as they are listed.',
        }
      }
      return {
        code: 'VALUE_TOO_LONG',
        message: `One of the entries has more than ${maxLength} characters.`,
        suggestion: 'Separate entries by ; or , and shorten the long one.',
      }
    case 'REFERENCE':
      return {
        code: 'INVALID_ID',
        message: `${value} is not the id of a ${field.idOf ?? 'record'} here.`,
        suggestion: 'Expected an id as exports of this service write it. Ids of other systems are external ids.',
      }
    case 'TEXT':
    case 'LONG_TEXT':
      return {
        code: 'INVALID_ENUM_VALUE',
        message: `${value} is not a currency.`,
        suggestion: 'Expected a three-letter ISO 4217 code such as EUR or USD.',
      }
  }
  return field.kind satisfies never
}

function emailAdvice(text: string): string | null {
  if (!text.includes('@')) {
    return 'An address has an @ between name and domain.'
  }
  if (/[;,]|\s@|@.*\s.*@|@.*@/.test(text)) {
    return 'Give one address only; a second one has a field of its own.'
  }
  if (/\s/.test(text)) {
    return 'Remove the space.'
  }
  return 'Expected something like name@example.com.'
}

function numberFault(field: FieldDefinition, options: ReadingOptions, text: string, value: string): ValueFault {
  const format = numberFormat(options)
  if (exactNumberReader(field, format)(text) !== null) {
    return {
      code: 'NUMBER_OUT_OF_RANGE',
      message: `${value} is not between ${field.min} and ${field.max}, which is what ${field.label} holds.`,
      suggestion: null,
    }
  }
  if (shortened.test(text)) {
    return {
      code: 'INVALID_NUMBER',
      message: `${value} has been shortened by a spreadsheet, and its last digits are lost.`,
      suggestion: 'Format the column as a number or as text in the spreadsheet and export it again.',
    }
  }
  const whole = field.kind === 'INTEGER'
  return {
    code: 'INVALID_NUMBER',
    message: `${value} is not a ${whole ? 'whole number' : 'number'}. Expected ${whole ? 'digits, such as 1234' : `a number such as ${format}`}.`,
    suggestion: 'Remove words and units from the cell, or set another number format for the column.',
  }
}
