/** Numbers as text: what a person sees in Excel, and for dates what every import reads the same way. */
import { SSF } from 'xlsx'
import { NUMBER_FORMAT_LENGTH_MAX } from '../../../limits.js'

/**
 * How values become text. `exact` serves imports: dates are `yyyy-MM-dd[ HH:mm:ss]`, numbers without a format keep up to 15
 * digits (all, where the file has a whole number of more), the blanks of accounting formats are dropped. `shown` is what Excel
 * shows and saves as CSV, dates as `m/d/yy` among it, in American English.
 */
export type ValueStyle = 'exact' | 'shown'

/** Text of a number as it stands in the file. */
export type NumberFormat = (raw: string) => string

// The package types it as any.
const excel = SSF as {
  format(format: string | number, value: number, options: { readonly date1904: boolean }): string
  get_table(): Readonly<Record<number, string>>
}

const MS_PER_DAY = 86_400_000
/** Day 0 of the two ways of counting: 1899-12-30 (right from 1900-03-01 on) and 1904-01-01. */
const EPOCH_1900 = Date.UTC(1899, 11, 30)
const EPOCH_1904 = Date.UTC(1904, 0, 1)
/** 9999-12-31, the last day that Excel shows. */
const LAST_DAY_1900 = 2_958_465
const DIFFERENCE_1904 = 1462
/** Texts kept per format, so that a value that comes again costs a look-up. */
const CACHED = 4096

/** Formats for the styles of one workbook. `style` is the number that a cell gives; none is the first. */
export function numberFormats(
  formats: readonly (string | number)[],
  date1904: boolean,
  values: ValueStyle,
): (style: number) => NumberFormat {
  const byCode = new Map<string | number, NumberFormat>()
  const byStyle: (NumberFormat | undefined)[] = []
  return (style) => {
    let format = byStyle[style]
    if (format === undefined) {
      const code = formats[style] ?? 0
      format = byCode.get(code) ?? compile(code, date1904, values)
      byCode.set(code, format)
      if (style < formats.length) {
        byStyle[style] = format
      }
    }
    return format
  }
}

/** Built-in formats that only East Asian Excels have: they are dates, whose look depends on the language. */
const isEastAsianDate = (id: number): boolean => (id >= 27 && id <= 31) || id === 36 || (id >= 50 && id <= 58)

function compile(format: string | number, date1904: boolean, values: ValueStyle): NumberFormat {
  const code = typeof format === 'string' ? format : isEastAsianDate(format) ? 'm/d/yy' : excel.get_table()[format]
  if (!code || code.length > NUMBER_FORMAT_LENGTH_MAX || /^(general|@)$/i.test(code)) {
    // A number in a text format is shown as if it had none. Longer formats Excel does not take, and they could cost any time.
    return values === 'exact' ? exactNumber : cached((value) => excel.format('General', value, { date1904 }))
  }
  const plain = /^(#,##)?0(?:\.(0{1,10}))?$/.exec(code)
  if (plain !== null) {
    return fixedFormat(plain[2]?.length ?? 0, plain[1] !== undefined)
  }
  const date = dateParts(code)
  // The formatter takes the dot of `dd.mm.yyyy` for a fraction of a second.
  const safe =
    date === null ? code : code.replaceAll(/"[^"]*"|\\.|\[[^\]]*\]|\.(?!0)/g, (part) => (part === '.' ? '\\.' : part))
  const asShown = (value: number): string => {
    try {
      return excel.format(safe, value, { date1904 })
    } catch {
      // Not a format that Excel would take; the number itself says more than an error.
      return exactNumber(String(value))
    }
  }
  if (values === 'shown') {
    return cached(asShown)
  }
  if (date !== null) {
    return isoFormat(date, date1904, asShown)
  }
  return cached((value) => {
    const text = asShown(value).trim()
    // Formats like `;;;` hide a number; what is hidden is still imported.
    return text === '' ? exactNumber(String(value)) : text
  })
}

/** Digits as they are, up to 15 of them; without the noise of binary fractions. */
export function exactNumber(raw: string): string {
  if (isPlain(raw)) {
    return raw
  }
  const trimmed = raw.trim()
  const value = trimmed === '' ? Number.NaN : Number(trimmed)
  if (!Number.isFinite(value)) {
    return trimmed
  }
  if (/^-?[1-9]\d{15,}$/.test(trimmed)) {
    return trimmed
  }
  const rounded = Math.abs(value) < 1e15 ? Number(value.toPrecision(15)) : value
  if (rounded === 0) {
    return '0'
  }
  const text = String(rounded)
  const [, sign = '', whole = '', fraction = '', exponentText] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text) ?? []
  const exponent = Number(exponentText ?? 0)
  if (exponent === 0) {
    return text
  }
  if (exponent < 0 && exponent >= -12) {
    return `${sign}0.${'0'.repeat(-exponent - 1)}${whole}${fraction}`
  }
  // As Excel writes it: at least two digits of exponent.
  const digits = fraction === '' ? whole : `${whole}.${fraction}`
  return `${sign}${digits}E${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}

/** A number that is written as it is to be read: `-12.5`, no more than 15 digits, no zeros too many. */
function isPlain(raw: string): boolean {
  const { length } = raw
  let at = raw.charCodeAt(0) === 45 ? 1 : 0
  if (length === at || length > 16) {
    return false
  }
  const first = raw.charCodeAt(at)
  if (first === 48 && length > at + 1 && raw.charCodeAt(at + 1) !== 46) {
    return false
  }
  let point = -1
  let digits = 0
  for (; at < length; at += 1) {
    const code = raw.charCodeAt(at)
    if (code >= 48 && code <= 57) {
      digits += 1
    } else if (code === 46 && point < 0 && digits > 0) {
      point = at
    } else {
      return false
    }
  }
  const last = raw.charCodeAt(length - 1)
  return digits <= 15 && (point < 0 ? raw !== '-0' : last !== 48 && last !== 46)
}

/**
 * `Number(raw)`, NaN for a blank one. Short decimal numbers, nearly all, take a third of the time this way; they come out the
 * same, for a quotient of two whole numbers below 2^53 is rounded once.
 */
function numberOf(raw: string): number {
  const { length } = raw
  if (length === 0 || length > 14) {
    return raw.trim() === '' ? Number.NaN : Number(raw)
  }
  let whole = 0
  let divisor = 0
  for (let at = 0; at < length; at += 1) {
    const code = raw.charCodeAt(at)
    if (code >= 48 && code <= 57) {
      whole = whole * 10 + code - 48
      divisor *= 10
    } else if (code === 46 && divisor === 0 && at > 0) {
      divisor = 1
    } else {
      return raw.trim() === '' ? Number.NaN : Number(raw)
    }
  }
  return divisor === 0 ? whole : whole / divisor
}

function cached(format: (value: number) => string): NumberFormat {
  const texts = new Map<string, string>()
  return (raw) => {
    let text = texts.get(raw)
    if (text === undefined) {
      const value = numberOf(raw)
      text = Number.isFinite(value) ? format(value) : raw.trim()
      if (texts.size >= CACHED) {
        texts.clear()
      }
      texts.set(raw, text)
    }
    return text
  }
}

/** `0.00` and `#,##0.00`, by far the most frequent, without the way through the format itself. */
function fixedFormat(digits: number, grouped: boolean): NumberFormat {
  const factor = 10 ** digits
  return (raw) => {
    const value = numberOf(raw)
    if (!Number.isFinite(value)) {
      return raw.trim()
    }
    const scaled = Math.abs(value) * factor
    if (scaled >= 1e15) {
      return excel.format(`${grouped ? '#,##0' : '0'}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}`, value, {
        date1904: false,
      })
    }
    // Excel rounds what the decimal digits say: 1.005 is 1.01 though its binary fraction is a little less.
    let rounded = Math.floor(scaled)
    const rest = scaled - rounded
    if (rest > 0.5 - 1e-3) {
      rounded = rest < 0.5 + 1e-3 ? Math.round(Number(scaled.toPrecision(15))) : rounded + 1
    }
    const all = String(rounded).padStart(digits + 1, '0')
    let whole = digits === 0 ? all : all.slice(0, -digits)
    if (grouped && whole.length > 3) {
      whole = whole.replaceAll(/\B(?=(?:\d{3})+$)/g, ',')
    }
    const sign = value < 0 && rounded > 0 ? '-' : ''
    return digits === 0 ? sign + whole : `${sign}${whole}.${all.slice(-digits)}`
  }
}

/** What a date format shows. */
interface DateParts {
  /** Enough of year, month and day to be a date rather than the name of a month or a year. */
  readonly date: boolean
  readonly time: boolean
  /** Digits behind the seconds. */
  readonly fraction: number
  readonly elapsed: boolean
}

/** Null for a format that is none of dates. */
function dateParts(code: string): DateParts | null {
  const [first = ''] = code.replaceAll(/"[^"]*"|\\.|_.|\*./g, '').split(';')
  const elapsed = /\[(?:h+|m+|s+)\]/i.test(first)
  const text = first.replaceAll(/\[[^\]]*\]/g, '').toLowerCase()
  if (/general/.test(text)) {
    return null
  }
  const clock = /am\/pm|a\/p|上午\/下午/.test(text)
  const letters = text.replaceAll(/am\/pm|a\/p|上午\/下午/g, '')
  if (!elapsed && !/[ymdhs]/.test(letters)) {
    return null
  }
  const hours = /h/.test(letters)
  const seconds = /s/.test(letters)
  const year = /y|e/.test(letters)
  const day = /d/.test(letters)
  // An m next to hours or seconds is minutes.
  const months = letters.replaceAll(/h+[^ymdhs]*m{1,2}(?!m)|m{1,2}(?=[^ymdhs]*s)/g, '')
  const month = /m/.test(months)
  return {
    date: month && (year || /d/.test(letters.replaceAll(/d{3,}/g, ''))),
    time: hours || seconds || clock || (elapsed && !day && !month && !year),
    fraction: Math.min(3, /s\.(0+)/.exec(letters)?.[1]?.length ?? 0),
    elapsed: elapsed || (!day && !month && !year),
  }
}

/** Dates as ISO 8601 has them, with a blank before the time. What has no date in it is as Excel shows it. */
function isoFormat(parts: DateParts, date1904: boolean, asShown: (value: number) => string): NumberFormat {
  const shown = cached((value) => asShown(value).trim() || exactNumber(String(value)))
  if (!parts.date || parts.elapsed) {
    return (raw) => (Number(raw) < 0 ? exactNumber(raw) : shown(raw))
  }
  const { time, fraction } = parts
  const last = LAST_DAY_1900 - (date1904 ? DIFFERENCE_1904 : 0)
  const days = new Map<number, string>()
  const dayText = (day: number): string => {
    let text = days.get(day)
    if (text === undefined) {
      text = isoDay(day, date1904)
      if (days.size >= CACHED) {
        days.clear()
      }
      days.set(day, text)
    }
    return text
  }
  return (raw) => {
    const value = numberOf(raw)
    if (!(value >= 0 && value < last + 1)) {
      // Excel shows ####; the number at least can be looked up.
      return exactNumber(raw)
    }
    if (!time) {
      return dayText(Math.floor(value))
    }
    const steps = fraction > 0 ? 10 ** fraction : 1
    const perDay = 86_400 * steps
    const total = Math.round(value * perDay)
    const day = Math.floor(total / perDay)
    const ofDay = total - day * perDay
    const second = Math.floor(ofDay / steps)
    const two = (number: number): string => (number < 10 ? `0${number}` : String(number))
    const clock = `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`
    const behind = fraction > 0 ? `.${String(ofDay - second * steps).padStart(fraction, '0')}` : ''
    return `${dayText(day)} ${clock}${behind}`
  }
}

function isoDay(day: number, date1904: boolean): string {
  if (date1904) {
    return new Date(EPOCH_1904 + day * MS_PER_DAY).toISOString().slice(0, 10)
  }
  if (day === 0) {
    return '1900-01-00'
  }
  if (day === 60) {
    // The day that Excel has since Lotus 1-2-3 and the calendar has not.
    return '1900-02-29'
  }
  return new Date(EPOCH_1900 + (day < 60 ? day + 1 : day) * MS_PER_DAY).toISOString().slice(0, 10)
}

/** A date that the file has as text (`t="d"`, as strict workbooks do), in the same form as the others. */
export function isoText(raw: string): string {
  const found = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(\.\d+)?)?Z?$/.exec(raw.trim())
  if (found === null) {
    return raw.trim()
  }
  const [, day = '', clock, fraction = ''] = found
  const time = clock === undefined || clock.length === 8 ? clock : `${clock}:00`
  const behind = fraction.replace(/\.?0+$/, '')
  return time === undefined || (time === '00:00:00' && behind === '') ? day : `${day} ${time}${behind}`
}
