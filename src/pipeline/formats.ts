/**
 * Formats of dates and numbers: how a text is read, and which format all values of a column prove.
 *
 * Most ways of writing a date or number have one reading only: `2026-03-01`, `1 March 2026`, `31.12.2026`, `1,234.56`.
 * They are read in every column. Two ways have two readings: `03/04/2026` (also with `-` and with two-digit years) is
 * day first or month first, and `1,234` or `1.234` is a fraction or a thousand. Those are read in the one way that the
 * column has, never value by value: `31/12/2026` in a column that has the month first is an error, not a day.
 */
import { detached } from './text.js'
import type { Zone } from './zone.js'

/** Names of the supported date formats. Each may be followed by a time. */
export const DATE_FORMATS = [
  'yyyy-MM-dd',
  'yyyy/MM/dd',
  'yyyy.MM.dd',
  'yyyyMMdd',
  'dd/MM/yyyy',
  'MM/dd/yyyy',
  'dd-MM-yyyy',
  'MM-dd-yyyy',
  'dd.MM.yyyy',
  'dd/MM/yy',
  'MM/dd/yy',
  'dd-MM-yy',
  'MM-dd-yy',
  'dd.MM.yy',
  'd MMM yyyy',
  'MMM d, yyyy',
  'epoch milliseconds',
  'epoch seconds',
] as const

export type DateFormat = (typeof DATE_FORMATS)[number]

/** Names of the supported number formats: the number 1234.56 as each of them writes it. */
export const NUMBER_FORMATS = [
  '1234.56',
  '1,234.56',
  '1 234.56',
  "1'234.56",
  '1234,56',
  '1.234,56',
  '1 234,56',
  "1'234,56",
] as const

export type NumberFormat = (typeof NUMBER_FORMATS)[number]

/** Values of a column that are looked at before a proof gives up on it. */
const DECIDE_AFTER = 200
/** Share of values that must be readable for a column to look like dates or numbers. */
const READABLE_SHARE = 0.5
/** A format is proven though up to this share of the telling values speak against it: those are typing errors. */
const ERROR_SHARE = 0.01
/** Values that are kept to show how readings differ. */
const EXAMPLES = 3

/** The supported date format that `text` names, whatever its case and its time part; null if there is none. */
export function dateFormatNamed(text: string): DateFormat | null {
  const word = text.trim().toLowerCase()
  if (word === 'iso' || word === 'iso 8601' || word === 'iso8601') {
    return 'yyyy-MM-dd'
  }
  if (word.startsWith('epoch')) {
    return word === 'epoch seconds'
      ? 'epoch seconds'
      : word === 'epoch milliseconds' || word === 'epoch ms'
        ? 'epoch milliseconds'
        : null
  }
  const pattern = text
    .trim()
    .replace(/[ T']+[hHkK].*$/, '')
    .toLowerCase()
    .replace(/d+/, 'd')
    .replace(/m{3,}/, 'MMM')
    .replace(/m+/, 'm')
    .replace(/y{3,}|\by\b/, 'yyyy')
  return (
    patterns.get(
      pattern.replace(/^d[. -]+mmm[. -]+yy+$/i, 'd MMM yyyy').replace(/^mmm[. -]+d,? *-?yy+$/i, 'MMM d, yyyy'),
    ) ?? null
  )
}

const patterns: ReadonlyMap<string, DateFormat> = new Map(
  DATE_FORMATS.map((format) => [
    format === 'd MMM yyyy' || format === 'MMM d, yyyy' ? format : format.replace('dd', 'd').replace('MM', 'm'),
    format,
  ]),
)

/** The supported number format that `text` names: one of them, or the decimal separator alone; null if there is none. */
export function numberFormatNamed(text: string): NumberFormat | null {
  const word = text
    .trim()
    .replace(/[\u00A0\u2009\u202F]/g, ' ')
    .replace(/[\u2019\u02BC]/g, "'")
  if (word === '.') {
    return '1,234.56'
  }
  if (word === ',') {
    return '1.234,56'
  }
  return NUMBER_FORMATS.find((format) => format === word) ?? null
}

/** The character that separates the fraction in a number format. */
export function decimalSeparatorOf(format: NumberFormat): '.' | ',' {
  return format.charAt(format.length - 3) as '.' | ','
}

// ---------------------------------------------------------------------------------------------------------- dates

/** How a date is written. The order is that of `shapeFormats`. */
const Shape = {
  NONE: 0,
  YEAR_DASH: 1,
  YEAR_SLASH: 2,
  YEAR_DOT: 3,
  COMPACT: 4,
  SLASH: 5,
  DASH: 6,
  SLASH_SHORT: 7,
  DASH_SHORT: 8,
  DOT: 9,
  DOT_SHORT: 10,
  DAY_NAME: 11,
  NAME_DAY: 12,
  EPOCH_MS: 13,
} as const

/** For each shape its format with the day first, and with the month first; equal where there is one reading. */
const shapeFormats: readonly (readonly [DateFormat, DateFormat])[] = [
  ['yyyy-MM-dd', 'yyyy-MM-dd'],
  ['yyyy-MM-dd', 'yyyy-MM-dd'],
  ['yyyy/MM/dd', 'yyyy/MM/dd'],
  ['yyyy.MM.dd', 'yyyy.MM.dd'],
  ['yyyyMMdd', 'yyyyMMdd'],
  ['dd/MM/yyyy', 'MM/dd/yyyy'],
  ['dd-MM-yyyy', 'MM-dd-yyyy'],
  ['dd/MM/yy', 'MM/dd/yy'],
  ['dd-MM-yy', 'MM-dd-yy'],
  ['dd.MM.yyyy', 'dd.MM.yyyy'],
  ['dd.MM.yy', 'dd.MM.yy'],
  ['d MMM yyyy', 'd MMM yyyy'],
  ['MMM d, yyyy', 'MMM d, yyyy'],
  ['epoch milliseconds', 'epoch milliseconds'],
]

/** Dates are between these years, both included; the year 1 is how some programs write that there is none. */
const YEAR_MIN = 1000
/** Two-digit years up to this one are of this century, as POSIX has it. */
const SHORT_YEAR_PIVOT = 68
/** Two-digit years of dates in the past up to this one are of this century: somebody born in 55 is not born in 2055. */
const PAST_YEAR_PIVOT = 26
/** 9 September 2001 and 18 May 2033: milliseconds between them have 13 digits and begin with 1. */
const EPOCH_MS_MIN = 1_000_000_000_000
const EPOCH_MS_MAX = 2_000_000_000_000

const DAY_MS = 86_400_000

/**
 * The date that was scanned last. Module variables rather than a result: this runs for every cell of a date column,
 * and allocating an object would cost as much as the scan.
 */
let scannedYear = 0
/** First and second number of an ambiguous shape; month and day of all others. */
let scannedFirst = 0
let scannedSecond = 0
/** Hour, or -1 where there is no time. */
let scannedHour = -1
let scannedMinute = 0
let scannedSecondOfMinute = 0
/** Digits of the fraction of a second, at most six, without trailing zeros; often empty. */
let scannedFraction = ''
/** Minutes ahead of UTC; NaN where the text says nothing. */
let scannedOffset = Number.NaN
/** Milliseconds since 1970, of an epoch. */
let scannedEpoch = 0
/** Set before a scan: the last two-digit year of this century. */
let shortYearPivot = SHORT_YEAR_PIVOT

const ZERO = 48
const SPACE = 32

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

/** Reads `text` as a date of whatever shape, into the variables above; answers its shape, or NONE. */
function scanDate(text: string): number {
  const length = text.length
  if (length < 6 || length > 60) {
    return Shape.NONE
  }
  scannedHour = -1
  scannedOffset = Number.NaN
  scannedFraction = ''
  const head = text.charCodeAt(0)
  if (!isDigit(head)) {
    return scanNamedDate(text)
  }
  let at = 0
  let first = 0
  let code = head
  while (isDigit(code)) {
    first = first * 10 + code - ZERO
    code = text.charCodeAt(++at)
  }
  const firstDigits = at
  if (firstDigits > 13) {
    return Shape.NONE
  }
  if (at === length || (firstDigits === 8 && (code === 84 || code === SPACE))) {
    return scanDigits(text, first, firstDigits)
  }
  // '-' '.' '/'
  if (code !== 45 && code !== 46 && code !== 47) {
    return scanNamedDate(text)
  }
  const separator = code
  const secondStart = ++at
  let second = 0
  code = text.charCodeAt(at)
  while (isDigit(code)) {
    second = second * 10 + code - ZERO
    code = text.charCodeAt(++at)
  }
  if (at === secondStart || at - secondStart > 2 || code !== separator) {
    return at === secondStart ? scanNamedDate(text) : Shape.NONE
  }
  const thirdStart = ++at
  let third = 0
  code = text.charCodeAt(at)
  while (isDigit(code)) {
    third = third * 10 + code - ZERO
    code = text.charCodeAt(++at)
  }
  const thirdDigits = at - thirdStart
  if (at !== length && !scanTime(text, at)) {
    return Shape.NONE
  }
  if (firstDigits === 4) {
    if (thirdDigits > 2 || !isDay(first, second, third)) {
      return Shape.NONE
    }
    scannedYear = first
    scannedFirst = second
    scannedSecond = third
    return separator === 45 ? Shape.YEAR_DASH : separator === 47 ? Shape.YEAR_SLASH : Shape.YEAR_DOT
  }
  if (firstDigits > 2 || (thirdDigits !== 4 && thirdDigits !== 2)) {
    return Shape.NONE
  }
  scannedYear = thirdDigits === 4 ? third : longYear(third)
  if (separator === 46) {
    if (!isDay(scannedYear, second, first)) {
      return Shape.NONE
    }
    scannedFirst = second
    scannedSecond = first
    return thirdDigits === 4 ? Shape.DOT : Shape.DOT_SHORT
  }
  scannedFirst = first
  scannedSecond = second
  if (!isDay(scannedYear, second, first) && !isDay(scannedYear, first, second)) {
    return Shape.NONE
  }
  return separator === 47
    ? thirdDigits === 4
      ? Shape.SLASH
      : Shape.SLASH_SHORT
    : thirdDigits === 4
      ? Shape.DASH
      : Shape.DASH_SHORT
}

function scanDigits(text: string, value: number, digits: number): number {
  if (digits === 8) {
    const month = Math.floor(value / 100) % 100
    const year = Math.floor(value / 10_000)
    if (year < 1900 || year > 2099 || !isDay(year, month, value % 100) || (text.length > 8 && !scanTime(text, 8))) {
      return Shape.NONE
    }
    scannedYear = year
    scannedFirst = month
    scannedSecond = value % 100
    return Shape.COMPACT
  }
  if (digits === 13 && value >= EPOCH_MS_MIN && value < EPOCH_MS_MAX) {
    scannedEpoch = value
    return Shape.EPOCH_MS
  }
  return Shape.NONE
}

/** Month names and their usual short forms in English, German, French, Spanish, Italian, Portuguese and Dutch. */
const months: ReadonlyMap<string, number> = new Map(
  [
    'jan january januar jän jänner janv janvier ene enero gen gennaio janeiro januari',
    'feb february februar févr fév février febrero febbraio fev fevereiro februari',
    'mar march märz mrz mär mars marzo março mrt maart',
    'apr april avr avril abr abril aprile',
    'may mai mayo mag maggio maio mei',
    'jun june juni juin junio giu giugno junho',
    'jul july juli juil juillet julio lug luglio julho',
    'aug august août aoû ago agosto augustus',
    'sep sept september septembre septiembre set settembre setembro',
    'oct october okt oktober octobre octubre ott ottobre out outubro',
    'nov november novembre noviembre novembro',
    'dec december dez dezember déc décembre dic diciembre dicembre dezembro',
  ].flatMap((names, index) =>
    names.split(' ').flatMap((name): [string, number][] => [
      [name, index + 1],
      [unaccented(name), index + 1],
    ]),
  ),
)

const weekdays =
  /^(?:mon|tue|wed|thu|fri|sat|sun|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|mo|di|mi|do|fr|sa|so|lun|mar|mer|jeu|ven|sam|dim)[a-z]*\.?,?\s+/i
const dayThenName =
  /^(\d{1,2})(?:st|nd|rd|th|er|[.ºª°])?[\s.-]*(?:de\s+|of\s+|di\s+)?(\p{L}{3,10})\.?[\s,.-]*(?:de\s+|del\s+|van\s+)?(\d{4}|\d{2})(?=$|[\s,T])/iu
const nameThenDay = /^(\p{L}{3,10})\.?[\s-]*(\d{1,2})(?:st|nd|rd|th)?[\s,-]+(\d{4})(?=$|[\s,T])/iu

function unaccented(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '')
}

/** Dates with the name of the month. Rare enough for regular expressions, after a look at the first letters. */
function scanNamedDate(text: string): number {
  let rest = text
  let match = dayThenName.exec(rest)
  let dayFirst = true
  if (match === null) {
    match = nameThenDay.exec(rest)
    dayFirst = false
  }
  if (match === null) {
    rest = text.replace(weekdays, '')
    if (rest.length === text.length) {
      return Shape.NONE
    }
    match = dayThenName.exec(rest)
    dayFirst = match !== null
    match ??= nameThenDay.exec(rest)
    if (match === null) {
      return Shape.NONE
    }
  }
  const name = (dayFirst ? match[2] : match[1]) ?? ''
  const day = Number(dayFirst ? match[1] : match[2])
  const yearText = match[3] ?? ''
  const month = months.get(name.toLowerCase())
  const year = yearText.length === 4 ? Number(yearText) : longYear(Number(yearText))
  if (month === undefined || !isDay(year, month, day)) {
    return Shape.NONE
  }
  if (match[0].length < rest.length && !scanTime(rest, match[0].length)) {
    return Shape.NONE
  }
  scannedYear = year
  scannedFirst = month
  scannedSecond = day
  return dayFirst ? Shape.DAY_NAME : Shape.NAME_DAY
}

function longYear(short: number): number {
  return short <= shortYearPivot ? 2000 + short : 1900 + short
}

const monthLengths = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function isDay(year: number, month: number, day: number): boolean {
  if (year < YEAR_MIN || year > 9999 || month < 1 || month > 12 || day < 1) {
    return false
  }
  const last = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : monthLengths[month]!
  return day <= last
}

/** Reads the time that follows a date at `at` and must end the text. */
function scanTime(text: string, start: number): boolean {
  let at = start
  let code = text.charCodeAt(at)
  // ',' before the time, then 'T' or spaces.
  if (code === 44) {
    code = text.charCodeAt(++at)
  }
  if (code === 84 || code === 116) {
    code = text.charCodeAt(++at)
  } else {
    const spaceStart = at
    while (code === SPACE || code === 0xa0 || code === 0x202f) {
      code = text.charCodeAt(++at)
    }
    if (at === spaceStart) {
      return false
    }
  }
  let hour = 0
  let digits = 0
  while (isDigit(code) && digits < 2) {
    hour = hour * 10 + code - ZERO
    digits++
    code = text.charCodeAt(++at)
  }
  if (digits === 0) {
    return false
  }
  let minute = 0
  let second = 0
  let hasMinute = false
  // '14:30', '14.30', '14h30', and 1430 of the compact form.
  const basic = digits === 2 && isDigit(code)
  if (basic || code === 58 || code === 46 || code === 104) {
    if (!basic) {
      code = text.charCodeAt(++at)
    }
    const next = text.charCodeAt(at + 1)
    if (!isDigit(code) || !isDigit(next)) {
      return false
    }
    minute = (code - ZERO) * 10 + next - ZERO
    hasMinute = true
    at += 2
    code = text.charCodeAt(at)
    if (code === 58 || code === 46 || (basic && isDigit(code))) {
      if (!basic) {
        code = text.charCodeAt(++at)
      }
      const unit = text.charCodeAt(at + 1)
      if (!isDigit(code) || !isDigit(unit)) {
        return false
      }
      second = (code - ZERO) * 10 + unit - ZERO
      at += 2
      code = text.charCodeAt(at)
      if (code === 46 || code === 44) {
        const fractionStart = ++at
        code = text.charCodeAt(at)
        while (isDigit(code)) {
          code = text.charCodeAt(++at)
        }
        let fractionEnd = Math.min(at, fractionStart + 6)
        while (fractionEnd > fractionStart && text.charCodeAt(fractionEnd - 1) === ZERO) {
          fractionEnd--
        }
        scannedFraction = text.slice(fractionStart, fractionEnd)
      }
    }
  }
  if (at < text.length && !scanTimeSuffix(text, at, hour)) {
    return false
  }
  if (suffixHour >= 0) {
    hour = suffixHour
    suffixHour = -1
    hasMinute = true
  }
  if (!hasMinute || hour > 23 || minute > 59 || second > 59) {
    return false
  }
  scannedHour = hour
  scannedMinute = minute
  scannedSecondOfMinute = second
  return true
}

const timeSuffix =
  /^\s*(?:([ap])\.?\s?m\.?)?\s*(?:uhr|h)?\s*(?:(z|utc|gmt)|(?:utc|gmt)?\s?([+\u2212-])(\d{2})(?::?(\d{2}))?)?$/i

/** Hour under AM or PM as the suffix has it; -1 where it has neither. */
let suffixHour = -1

function scanTimeSuffix(text: string, at: number, hour: number): boolean {
  suffixHour = -1
  if (at === text.length - 1 && text.charCodeAt(at) === 90) {
    scannedOffset = 0
    return true
  }
  const match = timeSuffix.exec(text.slice(at))
  if (match === null) {
    return false
  }
  const [, half, utc, sign, hours, minutes] = match
  if (half !== undefined) {
    if (hour < 1 || hour > 12) {
      return false
    }
    suffixHour = (hour % 12) + (half === 'p' || half === 'P' ? 12 : 0)
  }
  if (utc !== undefined) {
    scannedOffset = 0
  } else if (sign !== undefined) {
    const offset = Number(hours) * 60 + Number(minutes ?? 0)
    if (offset > 15 * 60) {
      return false
    }
    scannedOffset = sign === '+' ? offset : -offset
  }
  return true
}

const onlyZeros = /^[0-]*0[0/.\s:T-]*Z?$/
const noDate = /^(?:0001-01-01|01[/.]01[/.]0001|1[/.]1[/.]0001)(?:[ T]00:00(?::00(?:\.0+)?)?Z?)?$/

/** `0000-00-00`, `0/0/00` and the first day of the year 1 are how some programs write that there is no date. */
function saysNoDate(text: string): boolean {
  return text.length <= 30 && (onlyZeros.test(text) || noDate.test(text))
}

// Texts of the parts of dates, so that a date is one or two joins instead of six.
const yearTexts: string[] = []
const monthDayTexts: string[] = []
const minuteTexts: string[] = []
const secondTexts: string[] = []
for (let month = 1; month <= 12; month++) {
  for (let day = 1; day <= 31; day++) {
    monthDayTexts[month * 32 + day] = `-${twoDigits(month)}-${twoDigits(day)}`
  }
}
for (let minute = 0; minute < 1440; minute++) {
  minuteTexts[minute] = `T${twoDigits(Math.floor(minute / 60))}:${twoDigits(minute % 60)}`
}
for (let second = 0; second < 60; second++) {
  secondTexts[second] = `:${twoDigits(second)}`
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : `${value}`
}

function dayText(year: number, month: number, day: number): string {
  const yearText = (yearTexts[year] ??= `${year}`.padStart(4, '0'))
  return yearText + monthDayTexts[month * 32 + day]
}

/** Days since 1970 of a day of the Gregorian calendar. */
function dayNumber(year: number, month: number, day: number): number {
  // Counts from 1 March, so that the leap day is the last of its year (Hinnant, "chrono-compatible date algorithms").
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

/** The inverse of `dayNumber`, as text. */
function textOfDay(days: number): string {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return dayText(yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

/** Decides shape and order of the last scan for a column; true once month and day stand in their places. */
function settleOrder(shape: number, monthFirst: boolean): boolean {
  if (shape >= Shape.SLASH && shape <= Shape.DASH_SHORT) {
    if (!monthFirst) {
      const day = scannedFirst
      scannedFirst = scannedSecond
      scannedSecond = day
    }
    return isDay(scannedYear, scannedFirst, scannedSecond)
  }
  return shape !== Shape.NONE
}

/** Epoch seconds have no shape of their own: ten digits are as often a phone number, so the mapping has to say it. */
function epochSeconds(text: string): number {
  return /^-?\d{1,11}$/.test(text) ? Number(text) * 1000 : Number.NaN
}

function readsMonthFirst(format: DateFormat): boolean {
  return format.startsWith('MM')
}

/** Turns the text of a date into `YYYY-MM-DD`, `''` for one that says there is none, or null where it is no date. */
export type DateReader = (text: string) => string | null

/**
 * A reader of days. A time behind the day is left out, whatever its offset: a day is never shifted. Two-digit years are
 * of 1969 to 2068, or for days in the `past` of 1927 to 2026.
 */
export function dayReader(format: DateFormat, options: { readonly past: boolean } = { past: false }): DateReader {
  const monthFirst = readsMonthFirst(format)
  const seconds = format === 'epoch seconds'
  const pivot = options.past ? PAST_YEAR_PIVOT : SHORT_YEAR_PIVOT
  return (text) => {
    shortYearPivot = pivot
    const shape = scanDate(text)
    if (shape === Shape.YEAR_DASH && text.length === 10) {
      return text
    }
    if (shape === Shape.EPOCH_MS) {
      return textOfDay(Math.floor(scannedEpoch / DAY_MS))
    }
    if (settleOrder(shape, monthFirst)) {
      return dayText(scannedYear, scannedFirst, scannedSecond)
    }
    const epoch = seconds ? epochSeconds(text) : Number.NaN
    return Number.isNaN(epoch) ? (saysNoDate(text) ? '' : null) : textOfDay(Math.floor(epoch / DAY_MS))
  }
}

/**
 * A reader of moments, as ISO 8601 in UTC. A text without an offset is what clocks of `zone` show (see `Zone`), a day
 * without a time is its midnight there; fractions are kept to the microsecond.
 */
export function momentReader(format: DateFormat, zone: Zone): DateReader {
  const monthFirst = readsMonthFirst(format)
  const seconds = format === 'epoch seconds'
  return (text) => {
    shortYearPivot = SHORT_YEAR_PIVOT
    const shape = scanDate(text)
    if (shape === Shape.EPOCH_MS) {
      return momentText(scannedEpoch, '')
    }
    if (!settleOrder(shape, monthFirst)) {
      const epoch = seconds ? epochSeconds(text) : Number.NaN
      return Number.isNaN(epoch) ? (saysNoDate(text) ? '' : null) : momentText(epoch, '')
    }
    if (scannedHour < 0) {
      scannedHour = 0
      scannedMinute = 0
      scannedSecondOfMinute = 0
    }
    if (scannedOffset === 0) {
      const day = dayText(scannedYear, scannedFirst, scannedSecond)
      return day + timeText(scannedHour * 60 + scannedMinute, scannedSecondOfMinute, scannedFraction)
    }
    const wall =
      dayNumber(scannedYear, scannedFirst, scannedSecond) * DAY_MS +
      (scannedHour * 60 + scannedMinute) * 60_000 +
      scannedSecondOfMinute * 1000
    return momentText(
      Number.isNaN(scannedOffset) ? zone.toInstant(wall) : wall - scannedOffset * 60_000,
      scannedFraction,
    )
  }
}

function timeText(minuteOfDay: number, second: number, fraction: string): string {
  return minuteTexts[minuteOfDay]! + secondTexts[second]! + (fraction === '' ? 'Z' : `.${fraction}Z`)
}

function momentText(instantMs: number, fraction: string): string {
  const days = Math.floor(instantMs / DAY_MS)
  const ofDay = instantMs - days * DAY_MS
  const ms = ofDay % 1000
  const second = Math.floor(ofDay / 1000)
  const part = ms === 0 ? fraction : `${ms}`.padStart(3, '0').replace(/0+$/, '')
  return textOfDay(days) + timeText(Math.floor(second / 60), second % 60, part)
}

/** What the values of a column prove about its format. */
export interface Proof {
  /** Formats that read every value that any format reads, the likeliest first; null where the column looks different. */
  readonly formats: readonly string[] | null
  /** The row whose value excluded the other reading; null where none did or had to. */
  readonly provenByRow: number | null
  /** Values that the formats read differently, at most three. */
  readonly ambiguousValues: readonly string[]
}

const NO_PROOF: Proof = { formats: null, provenByRow: null, ambiguousValues: [] }

/** Fed with every value of a column, ends with the date formats that fit. */
export class DateFormatProof {
  /** The column has been looked at enough and does not hold dates: no need to go on. */
  rejected = false
  #fed = 0
  #readable = 0
  readonly #shapes = new Int32Array(shapeFormats.length)
  readonly #dayFirst = new Votes()
  readonly #monthFirst = new Votes()
  readonly #open: string[] = []
  #timed = 0

  /** Share of the values that are dates, from 0 to 1. */
  get readableShare(): number {
    return this.#fed === 0 ? 0 : this.#readable / this.#fed
  }

  /** Share of the dates that have a time, from 0 to 1. */
  get timedShare(): number {
    return this.#readable === 0 ? 0 : this.#timed / this.#readable
  }

  /** `text` is trimmed and not blank. */
  add(text: string, row: number): void {
    const shape = scanDate(text)
    if (shape !== Shape.NONE) {
      this.#readable++
      this.#shapes[shape]!++
      if (scannedHour >= 0 || shape === Shape.EPOCH_MS) {
        this.#timed++
      }
    }
    if (++this.#fed === DECIDE_AFTER && this.#readable < DECIDE_AFTER * READABLE_SHARE) {
      this.rejected = true
    }
    if (shape < Shape.SLASH || shape > Shape.DASH_SHORT) {
      return
    }
    const dayFirst = isDay(scannedYear, scannedSecond, scannedFirst)
    const monthFirst = isDay(scannedYear, scannedFirst, scannedSecond)
    if (!monthFirst) {
      this.#dayFirst.vote(text, row)
    } else if (!dayFirst) {
      this.#monthFirst.vote(text, row)
    } else if (scannedFirst !== scannedSecond && this.#open.length < EXAMPLES && !this.#open.includes(text)) {
      this.#open.push(detached(text))
    }
  }

  finish(): Proof {
    if (this.#readable === 0 || this.#readable < this.#fed * READABLE_SHARE) {
      return NO_PROOF
    }
    const shapes = this.#shapes
    let likeliest = 0
    let inTwoOrders = 0
    for (let shape = 1; shape < shapes.length; shape++) {
      if (shapes[shape]! > shapes[likeliest]!) {
        likeliest = shape
      }
      if (shape >= Shape.SLASH && shape <= Shape.DASH_SHORT && shapes[shape]! > shapes[inTwoOrders]!) {
        inTwoOrders = shape
      }
    }
    if (inTwoOrders === 0) {
      return { formats: [shapeFormats[likeliest]![0]], provenByRow: null, ambiguousValues: [] }
    }
    const [dayFirst, monthFirst] = shapeFormats[inTwoOrders]!
    return decide(this.#dayFirst.side(dayFirst), this.#monthFirst.side(monthFirst), this.#open)
  }
}

/** One of two readings of a column. */
interface Side {
  readonly format: string
  /** Values that only this reading reads, and the first row with one. */
  readonly votes: number
  readonly row: number
  /** Values that both read but that are written as this one writes. */
  readonly hints: number
  /** The first value that only this reading reads. */
  readonly example: string | null
}

/** Weighs two readings against each other; `open` are values that both read, each differently. */
function decide(first: Side, second: Side, open: readonly string[]): Proof {
  const weight = (side: Side) => side.votes + side.hints
  if (weight(first) === 0 && weight(second) === 0) {
    return { formats: [first.format, second.format], provenByRow: null, ambiguousValues: open }
  }
  // Where no value is open, the only harm that the wrong format does is to values that it does not read.
  const rank = open.length > 0 ? weight : (side: Side) => side.votes
  const [more, fewer] =
    rank(second) > rank(first) || (rank(second) === rank(first) && second.hints > first.hints)
      ? [second, first]
      : [first, second]
  if (rank(fewer) <= rank(more) * ERROR_SHARE) {
    return { formats: [more.format], provenByRow: more.row > 0 ? more.row : null, ambiguousValues: [] }
  }
  const examples = open.length > 0 ? open : [more.example, fewer.example].filter((text) => text !== null)
  return { formats: [more.format, fewer.format], provenByRow: null, ambiguousValues: examples }
}

// -------------------------------------------------------------------------------------------------------- numbers

/** Which readings a number has. */
const Reading = {
  NONE: 0,
  /** The same one in every format. */
  PLAIN: 1,
  /** With a decimal point only, e.g. `12.5`; with a decimal comma only, e.g. `12,5`. */
  POINT: 2,
  COMMA: 3,
  /** A fraction in one format and a thousand in the other: `1.234` and `1,234`. */
  OPEN_POINT: 4,
  OPEN_COMMA: 5,
} as const

/** Longer texts are no numbers; those of our tables have at most 16 digits. */
const NUMBER_LENGTH_MAX = 40

const POINT = 46
const COMMA = 44

/** The number that was scanned last; module variables for the same reason as those of dates. */
let numberBody = ''
let numberStart = 0
let numberEnd = 0
let numberNegative = false
let numberHasCurrency = false
/** Index in `numberBody` of the separator of the fraction; -1 where there is none or it is open. */
let numberDecimal = -1
/** Index of the one separator of an open number, or of one with a single reading. */
let numberSeparator = -1
/** The character between groups of digits; 0 where there is none. */
let numberGroup = 0

/** Reads `text` as a number into the variables above; answers which readings it has. */
function scanNumber(text: string): number {
  if (text.length > NUMBER_LENGTH_MAX) {
    return Reading.NONE
  }
  numberBody = text
  numberNegative = false
  numberHasCurrency = false
  let start = 0
  let end = text.length
  const head = text.charCodeAt(0)
  if (head === 45) {
    numberNegative = true
    start = 1
  } else if (isCurrencySign(head)) {
    numberHasCurrency = true
    start = text.charCodeAt(1) === SPACE ? 2 : 1
  } else if (isCurrencySign(text.charCodeAt(end - 1))) {
    numberHasCurrency = true
    end -= isSpace(text.charCodeAt(end - 2)) ? 2 : 1
  }
  const reading = scanBody(start, end)
  return reading === Reading.NONE ? scanDressed(text) : reading
}

/** `$`, `£`, `¥` and the signs of the Unicode block of currencies. */
function isCurrencySign(code: number): boolean {
  return code === 36 || code === 0xa3 || code === 0xa5 || (code >= 0x20a0 && code <= 0x20cf)
}

function isSpace(code: number): boolean {
  return code === SPACE || code === 0xa0 || code === 0x202f || code === 0x2009
}

function isApostrophe(code: number): boolean {
  return code === 39 || code === 0x2019 || code === 0x2bc
}

/** Reads digits with separators between `start` and `end` of `numberBody`. */
function scanBody(start: number, end: number): number {
  const text = numberBody
  numberStart = start
  numberEnd = end
  numberDecimal = -1
  numberSeparator = -1
  numberGroup = 0
  let at = start
  while (at < end && isDigit(text.charCodeAt(at))) {
    at++
  }
  if (at === end) {
    return at > start ? Reading.PLAIN : Reading.NONE
  }
  const firstSeparator = at
  let points = 0
  let commas = 0
  let lastOther = -1
  let lastPoint = -1
  let lastComma = -1
  for (; at < end; at++) {
    const code = text.charCodeAt(at)
    if (isDigit(code)) {
      continue
    }
    if (code === POINT) {
      points++
      lastPoint = at
    } else if (code === COMMA) {
      commas++
      lastComma = at
    } else if (isSpace(code) || isApostrophe(code)) {
      lastOther = at
    } else {
      return Reading.NONE
    }
  }
  if (!isDigit(text.charCodeAt(end - 1))) {
    return Reading.NONE
  }
  if (lastOther >= 0) {
    numberDecimal = Math.max(lastPoint, lastComma)
    if (points + commas > 1 || (numberDecimal >= 0 && numberDecimal < lastOther)) {
      return Reading.NONE
    }
    numberGroup = text.charCodeAt(firstSeparator)
    return groupsFit(start, numberDecimal < 0 ? end : numberDecimal, numberGroup) ? Reading.PLAIN : Reading.NONE
  }
  if (points > 0 && commas > 0) {
    const pointLast = lastPoint > lastComma
    numberDecimal = pointLast ? lastPoint : lastComma
    numberGroup = pointLast ? COMMA : POINT
    return (pointLast ? points : commas) === 1 && groupsFit(start, numberDecimal, numberGroup)
      ? Reading.PLAIN
      : Reading.NONE
  }
  if (points + commas > 1) {
    numberGroup = points > 0 ? POINT : COMMA
    return groupsFit(start, end, numberGroup) ? Reading.PLAIN : Reading.NONE
  }
  // One separator: always a fraction, and a thousand too if three digits follow one to three that do not begin with 0.
  numberSeparator = firstSeparator
  const before = firstSeparator - start
  const open = end - firstSeparator === 4 && before > 0 && before < 4 && text.charCodeAt(start) !== ZERO
  return points > 0 ? (open ? Reading.OPEN_POINT : Reading.POINT) : open ? Reading.OPEN_COMMA : Reading.COMMA
}

/** Whether `mark` separates the digits from `start` to `end` into groups of three, or as in India of two and last three. */
function groupsFit(start: number, end: number, mark: number): boolean {
  let groupStart = start
  let groups = 0
  let pairs = 0
  for (let at = start; at <= end; at++) {
    const code = at === end ? mark : numberBody.charCodeAt(at)
    if (isDigit(code)) {
      continue
    }
    const digits = at - groupStart
    if (code !== mark || digits < 1 || digits > 3) {
      return false
    }
    if (groups > 0) {
      if (digits === 2 && at < end) {
        pairs++
      } else if (digits !== 3 || (at < end && pairs > 0)) {
        return false
      }
    }
    groups++
    groupStart = at + 1
  }
  return pairs === 0 || pairs === groups - 2
}

const currencyCodes: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'))
const currencyWords: ReadonlySet<string> = new Set([
  'kr',
  'zł',
  'kč',
  'rs',
  'fr',
  'ft',
  'lei',
  'r',
  'us',
  'a',
  'c',
  'ca',
  'au',
  'nz',
  'hk',
  's',
])
const leadingCurrency = /^(?:(\p{L}{1,3})\.?)?\s*(\p{Sc})?\s*/u
const trailingCurrency = /\s*(\p{Sc})?\s*(?:(\p{L}{2,3})\.?)?$/u
/** Prices without pennies: `1.200,-`. */
const dash = /[.,][-\u2013\u2014]$/

/** Reads a number with a currency, a percent sign, parentheses, or a sign elsewhere than in front. */
function scanDressed(text: string): number {
  let body = text
  let negative = false
  let signs = 0
  const takeSign = (): void => {
    const sign = /^[+\u2212\u2013-]\s*/.exec(body)
    if (sign !== null) {
      signs++
      negative ||= !sign[0].startsWith('+')
      body = body.slice(sign[0].length)
    }
  }
  if (body.startsWith('(') && body.endsWith(')')) {
    signs++
    negative = true
    body = body.slice(1, -1).trim()
  }
  takeSign()
  const bare = withoutCurrency(body)
  numberHasCurrency = bare !== body
  body = bare
  takeSign()
  if (/\d\s?[\u2212-]$/.test(body)) {
    signs++
    negative = true
    body = body.slice(0, -1).trimEnd()
  }
  if (body.endsWith('%')) {
    body = body.slice(0, -1).trimEnd()
  }
  if (signs > 1 || body === '' || body.length === text.length) {
    return Reading.NONE
  }
  numberBody = body
  numberNegative = negative
  return scanBody(0, body.length)
}

function withoutCurrency(text: string): string {
  let body = text.replace(dash, '')
  const leading = leadingCurrency.exec(body)
  if (leading !== null && leading[0] !== '' && isCurrency(leading[1], leading[2])) {
    body = body.slice(leading[0].length)
  }
  const trailing = trailingCurrency.exec(body)
  if (trailing !== null && trailing[0] !== '' && isCurrency(trailing[2], trailing[1])) {
    body = body.slice(0, trailing.index)
  }
  return body
}

function isCurrency(word: string | undefined, sign: string | undefined): boolean {
  if (word === undefined) {
    return sign !== undefined
  }
  return (
    currencyCodes.has(word.toUpperCase()) ||
    (currencyWords.has(word.toLowerCase()) && (word.length > 1 || sign !== undefined))
  )
}

/**
 * Turns the text of a number into plain decimal digits such as `-1234.5`, or null where it is no number in this format.
 * A percent sign is dropped: `85%` is 85.
 */
export type NumberReader = (text: string) => string | null

/** A reader of numbers; with `currency` it also reads those with the sign or code of a currency, which it drops. */
export function numberReader(format: NumberFormat, options: { readonly currency: boolean }): NumberReader {
  const comma = decimalSeparatorOf(format) === ','
  const { currency } = options
  return (text) => {
    const reading = scanNumber(text)
    if (reading === Reading.NONE || (numberHasCurrency && !currency)) {
      return null
    }
    if (reading === Reading.PLAIN) {
      return numberDigits(numberDecimal)
    }
    if ((reading === Reading.COMMA || reading === Reading.OPEN_COMMA) === comma) {
      return numberDigits(numberSeparator)
    }
    return reading >= Reading.OPEN_POINT ? numberDigits(-1) : null
  }
}

/** The scanned number with the separator at `decimal` (-1 for none) before its fraction. */
function numberDigits(decimal: number): string {
  const body = numberBody
  const leadsWithZero = body.charCodeAt(numberStart) === ZERO && numberEnd - numberStart > 1
  if (
    numberStart === 0 &&
    numberEnd === body.length &&
    numberGroup === 0 &&
    !numberNegative &&
    !leadsWithZero &&
    (decimal < 0 ? numberSeparator < 0 : decimal > 0 && body.charCodeAt(decimal) === POINT)
  ) {
    return body
  }
  let whole = body.slice(numberStart, decimal < 0 ? numberEnd : decimal)
  if (numberGroup !== 0 || (decimal < 0 && numberSeparator >= 0)) {
    whole = whole.replace(/\D/g, '')
  }
  whole = whole.replace(/^0+(?=\d)/, '')
  const digits = `${whole === '' ? '0' : whole}${decimal < 0 ? '' : `.${body.slice(decimal + 1, numberEnd)}`}`
  return numberNegative && /[1-9]/.test(digits) ? `-${digits}` : digits
}

/** Fed with every value of a column, ends with the number formats that fit. */
export class NumberFormatProof {
  /** The column has been looked at enough and does not hold numbers: no need to go on. */
  rejected = false
  #fed = 0
  #readable = 0
  readonly #point = new Votes()
  readonly #comma = new Votes()
  #openPoint: string | null = null
  #openComma: string | null = null
  #openMore: string | null = null
  #spaces = 0
  #apostrophes = 0
  #fractions = 0
  #currencies = 0

  /** Share of the values that are numbers, from 0 to 1. */
  get readableShare(): number {
    return this.#fed === 0 ? 0 : this.#readable / this.#fed
  }

  /** Share of the numbers that have a fraction, or may have one. */
  get fractionShare(): number {
    return this.#readable === 0 ? 0 : this.#fractions / this.#readable
  }

  /** Share of the numbers that name a currency. */
  get currencyShare(): number {
    return this.#readable === 0 ? 0 : this.#currencies / this.#readable
  }

  /** `text` is trimmed and not blank. */
  add(text: string, row: number): void {
    const reading = scanNumber(text)
    if (reading !== Reading.NONE) {
      this.#readable++
      if (numberSeparator >= 0 || numberDecimal >= 0) {
        this.#fractions++
      }
      if (numberHasCurrency) {
        this.#currencies++
      }
    }
    if (++this.#fed === DECIDE_AFTER && this.#readable < DECIDE_AFTER * READABLE_SHARE) {
      this.rejected = true
    }
    if (reading === Reading.PLAIN) {
      if (numberGroup !== 0) {
        this.#addGrouped(row)
      }
    } else if (reading === Reading.POINT) {
      this.#point.vote(text, row)
    } else if (reading === Reading.COMMA) {
      this.#comma.vote(text, row)
    } else if (reading !== Reading.NONE) {
      this.#addOpen(text, reading)
    }
  }

  /** Groups say which separator is left for fractions: `1,234,567` and `1 234.5` are written with a decimal point. */
  #addGrouped(row: number): void {
    const decimal = numberDecimal < 0 ? 0 : numberBody.charCodeAt(numberDecimal)
    if (numberGroup === COMMA || decimal === POINT) {
      this.#point.hint(row)
    } else if (numberGroup === POINT || decimal === COMMA) {
      this.#comma.hint(row)
    }
    if (isSpace(numberGroup)) {
      this.#spaces++
    } else if (isApostrophe(numberGroup)) {
      this.#apostrophes++
    }
  }

  #addOpen(text: string, reading: number): void {
    if (reading === Reading.OPEN_POINT && this.#openPoint === null) {
      this.#openPoint = text
    } else if (reading === Reading.OPEN_COMMA && this.#openComma === null) {
      this.#openComma = text
    } else if (this.#openMore === null && text !== this.#openPoint && text !== this.#openComma) {
      this.#openMore = text
    }
  }

  finish(): Proof {
    if (this.#readable === 0 || this.#readable < this.#fed * READABLE_SHARE) {
      return NO_PROOF
    }
    const open = [this.#openPoint, this.#openComma, this.#openMore].filter((text) => text !== null).map(detached)
    const point = this.#point.side(this.#format('.'))
    const comma = this.#comma.side(this.#format(','))
    if (open.length === 0 && point.votes + point.hints + comma.votes + comma.hints === 0) {
      return { formats: [point.format], provenByRow: null, ambiguousValues: [] }
    }
    return decide(point, comma, open)
  }

  /** The format with this decimal separator and the group mark that the column uses. */
  #format(decimal: '.' | ','): NumberFormat {
    if (this.#spaces > 0 && this.#spaces >= this.#apostrophes) {
      return decimal === '.' ? '1 234.56' : '1 234,56'
    }
    if (this.#apostrophes > 0) {
      return decimal === '.' ? "1'234.56" : "1'234,56"
    }
    if (decimal === '.') {
      return this.#point.hints > 0 || this.#openComma !== null ? '1,234.56' : '1234.56'
    }
    return this.#comma.hints > 0 || this.#openPoint !== null ? '1.234,56' : '1234,56'
  }
}

/** Counts what speaks for one reading. */
class Votes {
  votes = 0
  hints = 0
  #row = 0
  #example: string | null = null

  vote(text: string, row: number): void {
    if (this.votes++ === 0) {
      this.#example = detached(text)
      if (this.#row === 0) {
        this.#row = row
      }
    }
  }

  hint(row: number): void {
    if (this.hints++ === 0 && this.#row === 0) {
      this.#row = row
    }
  }

  side(format: string): Side {
    return { format, votes: this.votes, hints: this.hints, row: this.#row, example: this.#example }
  }
}
