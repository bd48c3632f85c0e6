/** What PostgreSQL calls the encodings, time zones and patterns that exports are written in, and the rule of formulas as SQL. */
import { FORMULA_PATTERN, SPARED_PATTERN } from '../../pipeline/formula.js'
import { text } from './sql.js'

/** Encodings as `readEncodingName` answers them, by the name that the server has for them. UTF-16 is written from UTF-8. */
const encodings: Readonly<Record<string, string>> = {
  'utf-8': 'UTF8',
  'utf-16le': 'UTF8',
  'utf-16be': 'UTF8',
  'windows-1250': 'WIN1250',
  'windows-1251': 'WIN1251',
  'windows-1252': 'WIN1252',
  'windows-1253': 'WIN1253',
  'windows-1254': 'WIN1254',
  'windows-1255': 'WIN1255',
  'windows-1256': 'WIN1256',
  'windows-1257': 'WIN1257',
  'windows-1258': 'WIN1258',
  'windows-874': 'WIN874',
  ibm866: 'WIN866',
  'iso-8859-1': 'LATIN1',
  'iso-8859-2': 'LATIN2',
  'iso-8859-3': 'LATIN3',
  'iso-8859-4': 'LATIN4',
  'iso-8859-5': 'ISO_8859_5',
  'iso-8859-6': 'ISO_8859_6',
  'iso-8859-7': 'ISO_8859_7',
  'iso-8859-8': 'ISO_8859_8',
  'iso-8859-10': 'LATIN6',
  'iso-8859-13': 'LATIN7',
  'iso-8859-14': 'LATIN8',
  'iso-8859-15': 'LATIN9',
  'iso-8859-16': 'LATIN10',
  'koi8-r': 'KOI8R',
  'koi8-u': 'KOI8U',
  shift_jis: 'SJIS',
  'euc-jp': 'EUC_JP',
  // The extended form of it, which the server knows too, is not read everywhere.
  'euc-kr': 'EUC_KR',
  gbk: 'GBK',
  gb18030: 'GB18030',
  big5: 'BIG5',
}

/** The server's name of an encoding; null for one that exports are not written in. */
export function databaseEncoding(encoding: string): string | null {
  return (Object.hasOwn(encodings, encoding) ? encodings[encoding] : undefined) ?? null
}

/** Whether there is a time zone of this name, as both sides know it: an area and a place, or UTC. */
export function knownTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(name)) {
    return false
  }
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

/** A pattern for days and one for moments. */
export interface CompiledFormat {
  readonly day: string
  readonly moment: string
}

const tokens: Readonly<Record<string, string>> = {
  yyyy: 'YYYY',
  yy: 'YY',
  MMM: 'Mon',
  MM: 'MM',
  M: 'FMMM',
  dd: 'DD',
  d: 'FMDD',
  HH: 'HH24',
  mm: 'MI',
  ss: 'SS',
  SSS: 'MS',
  XXX: 'TZH:TZM',
}

const pattern = /yyyy|yy|MMM|MM|M|dd|d|HH|mm|ss|SSS|XXX|[ .,:/T-]/y
const DAY_PART = /^[yMd]/
/** A pattern that anybody would write has fewer. */
const PATTERN_PARTS_MAX = 20

/**
 * A pattern such as `dd.MM.yyyy` or `yyyy-MM-dd HH:mm:ss` as the server writes it: days without the time of day, moments with
 * it, by hours, minutes and seconds where the pattern says nothing. Null for what is no such pattern.
 */
export function compiledFormat(format: string): CompiledFormat | null {
  return patternOf(format, (part) => tokens[part] ?? (part === 'T' ? '"T"' : part), ' HH24:MI:SS')
}

function patternOf(format: string, write: (part: string) => string, timeOfDay: string): CompiledFormat | null {
  const parts: string[] = []
  pattern.lastIndex = 0
  let at = 0
  while (at < format.length) {
    const part = pattern.exec(format)?.[0]
    if (part === undefined) {
      return null
    }
    parts.push(part)
    at = pattern.lastIndex
  }
  const isToken = (part: string): boolean => Object.hasOwn(tokens, part)
  if (parts.length > PATTERN_PARTS_MAX || !parts.some((part) => isToken(part) && DAY_PART.test(part))) {
    return null
  }
  const time = parts.findIndex((part) => isToken(part) && !DAY_PART.test(part))
  let end = time < 0 ? parts.length : time
  while (time >= 0 && end > 0 && !isToken(parts[end - 1] ?? '')) {
    end -= 1
  }
  const day = parts.slice(0, end).map(write).join('')
  return day === '' ? null : { day, moment: time < 0 ? `${day}${timeOfDay}` : parts.map(write).join('').trim() }
}

const excelTokens: Readonly<Record<string, string>> = { MMM: 'mmm', MM: 'mm', M: 'm', HH: 'hh', SSS: '000', XXX: '' }

/** The same pattern as a number format of Excel, whose moments have no zone. Null for what is no such pattern. */
export function excelFormat(format: string): CompiledFormat | null {
  return patternOf(format, (part) => excelTokens[part] ?? (/^[/T,]$/.test(part) ? `"${part}"` : part), ' hh:mm:ss')
}

/** First characters that the rule of formulas looks at, as code points: `'` and the signs. A text of PostgreSQL holds no NUL. */
const SUSPECTS = [9, 10, 13, 39, 43, 45, 61, 64, 0xff0b, 0xff0d, 0xff1d, 0xff20]

/**
 * SQL of `protect` (pipeline/formula.ts) for the text that the SQL `value` gives; a test compares the two. Most texts are told
 * by their first character: the patterns cost ten times as much.
 */
export function guardedText(value: string): string {
  const suspect = `ascii(${value}) = any ('{${SUSPECTS.join(',')}}'::int[])`
  const formula = `${value} ~ ${text(FORMULA_PATTERN)} and (ascii(${value}) = 39 or ${value} !~ ${text(SPARED_PATTERN)})`
  return `case when ${suspect} then case when ${formula} then '''' || ${value} else ${value} end else ${value} end`
}
