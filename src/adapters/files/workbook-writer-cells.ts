/**
 * Rows of PostgreSQL's COPY in text format to rows of a sheet's XML, from bytes to bytes: a string for every cell would take
 * three times as long. Only what is rare goes by way of a string: lists, and text that looks like a formula.
 *
 * Text stands in its cell (`inlineStr`), not in a table of shared texts, which would have to be kept until the end.
 */
import { WORKBOOK_CELL_LENGTH_MAX } from '../../limits.js'
import { isFormulaLike } from '../../pipeline/formula.js'
import type { Zone } from '../../pipeline/zone.js'
import type { FieldKind } from '../../records/types.js'

/** Of the styles in styles.xml; those of columns with a number format of their own follow. */
export const styles = {
  general: 0,
  header: 1,
  /** What is typed into such a cell stays text. */
  text: 2,
  /** The same, and Excel shows a `'` before it where it is edited. */
  formulaLike: 3,
  money: 4,
  day: 5,
  moment: 6,
  momentWithMilliseconds: 7,
} as const

/** How many there are before those of columns. */
export const STYLES = 8

/** A value that no cell has room for. */
export interface CellFault {
  readonly code: 'VALUE_TOO_LONG'
  /** The record's place in the export, from 1. */
  readonly row: number
  readonly header: string
  /** UTF-16 code units. */
  readonly length: number
}

export interface CellColumn {
  readonly header: string
  readonly kind: FieldKind
  /** Of a number, day or moment, in place of that of its kind; null for that. */
  readonly style: number | null
}

const TAB = 9
const BACKSLASH = 92

const TEXT = 0
const NUMBER = 1
const MONEY = 2
const BOOLEAN = 3
const DAY = 4
const MOMENT = 5
const LIST = 6

function classOf(kind: FieldKind): number {
  switch (kind) {
    case 'INTEGER':
    case 'DECIMAL':
      return NUMBER
    case 'MONEY':
      return MONEY
    case 'BOOLEAN':
      return BOOLEAN
    case 'DATE':
      return DAY
    case 'DATE_TIME':
      return MOMENT
    case 'MULTI_ENUM':
      return LIST
    case 'TEXT':
    case 'LONG_TEXT':
    case 'EMAIL':
    case 'PHONE':
    case 'URL':
    case 'ENUM':
    case 'REFERENCE':
      return TEXT
    default:
      return kind satisfies never
  }
}

/** Bytes that cannot be copied as they are, or may not be: `&<>`, controls, what COPY escapes, `_` and the start of U+FFFE. */
const special = new Uint8Array(256)
/** Bytes with which text begins that may look like a formula. */
const suspicious = new Uint8Array(256)
for (let byte = 0; byte < 256; byte += 1) {
  special[byte] = byte < 32 || [38, 60, 62, 95, BACKSLASH, 0xef].includes(byte) ? 1 : 0
  suspicious[byte] = byte < 32 || [39, 43, 45, 61, 64, BACKSLASH, 0xef].includes(byte) ? 1 : 0
}

const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))

const rowStart = ascii('<row r="')
const rowEnd = ascii('</row>')
const tagEnd = ascii('">')
const textEnd = ascii('</t></is></c>')
const valueEnd = ascii('</v></c>')
const trueCell = ascii('" t="b"><v>1</v></c>')
const falseCell = ascii('" t="b"><v>0</v></c>')
/** What cannot be shown is "not available"; an import takes it for a formula's error and not for a value. */
const errorCell = ascii('" t="e"><v>#N/A</v></c>')
const ampersand = ascii('&amp;')
const lessThan = ascii('&lt;')
const greaterThan = ascii('&gt;')
const underscore = ascii('_x005F_')

/** The most that a byte of text becomes: `_x0001_`. */
const GROWTH = 7
/** The most that stands around a value. */
const AROUND_BYTES = 120

/** Significant digits that a spreadsheet keeps. */
const DIGITS_MAX = 15
const DAY_MS = 86_400_000
/** Serial number of 1970-01-01; those before 61, 1900-03-01, are a day off, for Excel has a 29th of February in 1900. */
const EPOCH = 25_569
const SERIAL_MIN = 61
/** 9999-12-31. */
const SERIAL_MAX = 2_958_465
/** Digits behind the point of a moment: half a microsecond. */
const FRACTION_DIGITS = 11
/** Microseconds of a day, over ten to the power of `FRACTION_DIGITS`. */
const MICROS_PER_STEP = 0.864

interface Column {
  readonly header: string
  readonly kind: number
  /** `<c r="A`, the number of the row follows. */
  readonly start: Uint8Array
  readonly text: Uint8Array
  readonly spacedText: Uint8Array
  readonly formulaText: Uint8Array
  readonly number: Uint8Array
  readonly money: Uint8Array
  readonly day: Uint8Array
  readonly moment: Uint8Array
  readonly fineMoment: Uint8Array
}

/** Appends rows to a block of XML. The block is taken with `take`, and another given, when `fits` says that it is full. */
export class CellWriter {
  readonly #columns: readonly Column[]
  readonly #zone: Zone
  readonly #onFault: (fault: CellFault) => void
  #block: Buffer
  #at = 0
  /** The digits of the row's number, which stand in every cell. */
  readonly #number = new Uint8Array(7)
  #numberLength = 0
  #record = 0

  /** `onFault` is told of each value that is too long for a cell, which shows `#N/A` instead; it may throw. */
  constructor(columns: readonly CellColumn[], zone: Zone, block: Buffer, onFault: (fault: CellFault) => void) {
    this.#columns = columns.map(columnOf)
    this.#zone = zone
    this.#block = block
    this.#onFault = onFault
  }

  /** Whether a row of so many bytes has room in the block. */
  fits(bytes: number): boolean {
    return this.#at + this.room(bytes) <= this.#block.length
  }

  /** The most that a row of so many bytes takes. */
  room(bytes: number): number {
    return bytes * GROWTH + (this.#columns.length + 1) * AROUND_BYTES
  }

  /** What has been written; the next block takes what follows. */
  take(next: Buffer): Buffer {
    const block = this.#block.subarray(0, this.#at)
    this.#block = next
    this.#at = 0
    return block
  }

  /** What stands around the rows. */
  raw(xml: string): void {
    this.#at += this.#block.write(xml, this.#at)
  }

  header(): void {
    this.#startRow(1)
    for (const column of this.#columns) {
      const bytes = Buffer.from(column.header)
      const open = textStart(styles.header, isSpaced(bytes, 0, bytes.length, false))
      this.#text(column, bytes, 0, bytes.length, false, open)
    }
    this.#bytes(rowEnd)
  }

  /**
   * One line of COPY, from `start` up to its line end at `end`, as the row `number` of its sheet. Throws where it has more or
   * fewer values than there are columns.
   */
  row(line: Uint8Array, start: number, end: number, number: number): void {
    this.#record += 1
    this.#startRow(number)
    const columns = this.#columns
    let at = start
    for (let index = 0; index < columns.length; index += 1) {
      if (at > end) {
        throw wrongCount(columns.length)
      }
      const from = at
      let found = 0
      for (; at < end; at += 1) {
        const byte = line[at]!
        if (byte === TAB) {
          break
        }
        found |= special[byte]!
      }
      const to = at
      at += 1
      // \N is no value.
      if (to - from === 2 && line[from] === BACKSLASH && line[from + 1] === 78) {
        continue
      }
      this.#cell(columns[index]!, line, from, to, found !== 0)
    }
    if (at !== end + 1) {
      throw wrongCount(columns.length)
    }
    this.#bytes(rowEnd)
  }

  #startRow(number: number): void {
    this.#bytes(rowStart)
    const start = this.#at
    this.#digits(number)
    this.#numberLength = this.#at - start
    this.#number.set(this.#block.subarray(start, this.#at))
    this.#bytes(tagEnd)
  }

  #cell(column: Column, line: Uint8Array, from: number, to: number, isSpecial: boolean): void {
    switch (column.kind) {
      case NUMBER:
        if (this.#writeNumber(column, line, from, to, column.number)) {
          return
        }
        break
      case MONEY:
        if (this.#writeNumber(column, line, from, to, column.money)) {
          return
        }
        break
      case BOOLEAN: {
        const isTrue = line[from] === 116
        if ((isTrue || line[from] === 102) && (to - from === 1 || to - from === (isTrue ? 4 : 5))) {
          this.#startCell(column)
          this.#bytes(isTrue ? trueCell : falseCell)
          return
        }
        break
      }
      case DAY:
        if (this.#writeDay(column, line, from, to)) {
          return
        }
        break
      case MOMENT:
        if (this.#writeMoment(column, line, from, to)) {
          return
        }
        break
      case LIST: {
        const bytes = Buffer.from(listText(copyText(line, from, to)))
        if (bytes.length === 0) {
          return
        }
        this.#writeText(column, bytes, 0, bytes.length, true, false)
        return
      }
      default:
    }
    this.#writeText(column, line, from, to, isSpecial, true)
  }

  #startCell(column: Column): void {
    this.#bytes(column.start)
    this.#copy(this.#number, 0, this.#numberLength)
  }

  #writeText(column: Column, line: Uint8Array, from: number, to: number, isSpecial: boolean, escaped: boolean): void {
    let open = column.text
    if (to > from) {
      const first = line[from]!
      if (suspicious[first] === 1 && !isNumber(line, from, to) && isFormulaLike(copyText(line, from, to, escaped))) {
        open = column.formulaText
      } else if (isSpaced(line, from, to, escaped)) {
        open = column.spacedText
      }
    }
    if (!isSpecial && to - from <= WORKBOOK_CELL_LENGTH_MAX) {
      this.#startCell(column)
      this.#bytes(open)
      this.#copy(line, from, to)
      this.#bytes(textEnd)
      return
    }
    this.#text(column, line, from, to, escaped, open)
  }

  /** Text in which any byte may be special, or which may be too long. `escaped`: as COPY writes it. */
  #text(column: Column, line: Uint8Array, from: number, to: number, escaped: boolean, open: Uint8Array): void {
    if (to - from > WORKBOOK_CELL_LENGTH_MAX) {
      const { length } = copyText(line, from, to, escaped)
      if (length > WORKBOOK_CELL_LENGTH_MAX) {
        this.#onFault({ code: 'VALUE_TOO_LONG', row: this.#record, header: column.header, length })
        this.#startCell(column)
        this.#bytes(errorCell)
        return
      }
    }
    this.#startCell(column)
    this.#bytes(open)
    const block = this.#block
    for (let at = from; at < to; at += 1) {
      let byte = line[at]!
      if (special[byte] === 0) {
        block[this.#at] = byte
        this.#at += 1
        continue
      }
      if (escaped && byte === BACKSLASH) {
        at += 1
        byte = unescaped(line[at]!)
      }
      if (byte === 38) {
        this.#bytes(ampersand)
      } else if (byte === 60) {
        this.#bytes(lessThan)
      } else if (byte === 62) {
        this.#bytes(greaterThan)
      } else if (byte === 95 && isEscape(line, at, to)) {
        this.#bytes(underscore)
      } else if (byte < 32 && byte !== 9 && byte !== 10) {
        // XML has no such characters, and makes a line feed of a carriage return.
        this.#bytes(ascii(`_x00${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}_`))
      } else if (byte === 0xef && line[at + 1] === 0xbf && (line[at + 2] === 0xbe || line[at + 2] === 0xbf)) {
        this.#bytes(ascii(line[at + 2] === 0xbe ? '_xFFFE_' : '_xFFFF_'))
        at += 2
      } else {
        block[this.#at] = byte
        this.#at += 1
      }
    }
    this.#bytes(textEnd)
  }

  /** False, and nothing written, where a spreadsheet would not keep every digit. */
  #writeNumber(column: Column, line: Uint8Array, from: number, to: number, open: Uint8Array): boolean {
    let at = from
    if (line[at] === 45) {
      at += 1
    }
    const first = at
    let point = -1
    let firstDigit = -1
    let lastDigit = -1
    for (; at < to; at += 1) {
      const byte = line[at]!
      if (byte === 46 && point < 0 && at > first) {
        point = at
      } else if (byte < 48 || byte > 57) {
        return false
      } else if (byte !== 48) {
        if (firstDigit < 0) {
          firstDigit = at
        }
        lastDigit = at
      }
    }
    const whole = (point < 0 ? to : point) - first
    if (whole === 0 || whole > DIGITS_MAX || point === to - 1 || (whole > 1 && line[first] === 48)) {
      return false
    }
    if (firstDigit >= 0) {
      const spanned = point > firstDigit && point < lastDigit ? lastDigit - firstDigit : lastDigit - firstDigit + 1
      if (spanned > DIGITS_MAX) {
        return false
      }
    }
    // Zeros at the end say nothing, and a point neither.
    let end = to
    if (point >= 0) {
      end = lastDigit > point ? lastDigit + 1 : point
    }
    this.#startCell(column)
    this.#bytes(open === column.money && point >= 0 && end - point > 3 ? column.number : open)
    this.#copy(line, from, end)
    this.#bytes(valueEnd)
    return true
  }

  /** False, and nothing written, for what is no day or none that Excel counts rightly. */
  #writeDay(column: Column, line: Uint8Array, from: number, to: number): boolean {
    const serial = to - from === 10 ? daysOf(line, from) + EPOCH : Number.NaN
    if (!(serial >= SERIAL_MIN && serial <= SERIAL_MAX)) {
      return false
    }
    this.#startCell(column)
    this.#bytes(column.day)
    this.#digits(serial)
    this.#bytes(valueEnd)
    return true
  }

  #writeMoment(column: Column, line: Uint8Array, from: number, to: number): boolean {
    const second = secondOf(line, from, to)
    if (Number.isNaN(second)) {
      return false
    }
    const micros = microsOf(line, from, to)
    const instant = second + Math.floor(micros / 1000)
    const rest = micros % 1000
    const wall = this.#zone.toWall(instant)
    const day = Math.floor(wall / DAY_MS)
    const serial = day + EPOCH
    // An hour that clocks show twice in autumn would be read as the first of the two, and what is finer than Excel's milliseconds
    // not at all.
    if (serial < SERIAL_MIN || serial > SERIAL_MAX || rest > 0 || this.#zone.toInstant(wall) !== instant) {
      const text = ascii(isoText(wall, wall - instant, rest))
      this.#writeText(column, text, 0, text.length, false, false)
      return true
    }
    const ofDay = (wall - day * DAY_MS) * 1000
    this.#startCell(column)
    this.#bytes(ofDay % 1_000_000 === 0 ? column.moment : column.fineMoment)
    this.#digits(serial)
    if (ofDay > 0) {
      this.#fraction(Math.round(ofDay / MICROS_PER_STEP))
    }
    this.#bytes(valueEnd)
    return true
  }

  /** The digits of a whole number that is not negative. */
  #digits(number: number): void {
    let length = 1
    for (let rest = number; rest >= 10; rest = Math.floor(rest / 10)) {
      length += 1
    }
    this.#at += length
    let rest = number
    for (let at = this.#at - 1; length > 0; at -= 1, length -= 1) {
      const next = Math.floor(rest / 10)
      this.#block[at] = 48 + rest - next * 10
      rest = next
    }
  }

  /** What follows the point, without zeros at the end. `steps` is more than 0. */
  #fraction(steps: number): void {
    let rest = steps
    let digits = FRACTION_DIGITS
    while (rest % 10 === 0) {
      rest /= 10
      digits -= 1
    }
    this.#block[this.#at] = 46
    this.#at += 1 + digits
    for (let at = this.#at - 1; digits > 0; at -= 1, digits -= 1) {
      const next = Math.floor(rest / 10)
      this.#block[at] = 48 + rest - next * 10
      rest = next
    }
  }

  #copy(line: Uint8Array, from: number, to: number): void {
    const block = this.#block
    let into = this.#at
    for (let at = from; at < to; at += 1, into += 1) {
      block[into] = line[at]!
    }
    this.#at = into
  }

  #bytes(bytes: Uint8Array): void {
    const block = this.#block
    const { length } = bytes
    let into = this.#at
    for (let at = 0; at < length; at += 1, into += 1) {
      block[into] = bytes[at]!
    }
    this.#at = into
  }
}

function columnOf({ header, kind, style }: CellColumn, index: number): Column {
  // A line of a long text that is typed anew is hardly a number, and Excel shows long text as a whole only where its format is
  // the general one.
  const text = kind === 'LONG_TEXT' || kind === 'URL' ? styles.general : styles.text
  return {
    header,
    kind: classOf(kind),
    start: ascii(`<c r="${columnName(index)}`),
    text: textStart(text, false),
    spacedText: textStart(text, true),
    formulaText: textStart(styles.formulaLike, true),
    number: valueStart(style ?? styles.general),
    money: valueStart(style ?? styles.money),
    day: valueStart(style ?? styles.day),
    moment: valueStart(style ?? styles.moment),
    fineMoment: valueStart(style ?? styles.momentWithMilliseconds),
  }
}

function styleOf(style: number): string {
  return style === styles.general ? '' : ` s="${style}"`
}

function textStart(style: number, spaced: boolean): Uint8Array {
  return ascii(`"${styleOf(style)} t="inlineStr"><is><t${spaced ? ' xml:space="preserve"' : ''}>`)
}

function valueStart(style: number): Uint8Array {
  return ascii(`"${styleOf(style)}><v>`)
}

/** As the spreadsheet names it: 0 is A. */
export function columnName(index: number): string {
  let name = ''
  for (let rest = index + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    name = String.fromCharCode(65 + ((rest - 1) % 26)) + name
  }
  return name
}

function wrongCount(columns: number): Error {
  return new Error(`a row of the export has not ${columns} values`)
}

/** Whether text has blanks, or escapes that may stand for them, where XML readers drop them. */
function isSpaced(line: Uint8Array, from: number, to: number, escaped: boolean): boolean {
  const first = line[from]!
  const last = line[to - 1]!
  return (
    first <= 32 || last <= 32 || (escaped && (first === BACKSLASH || (to - from > 1 && line[to - 2] === BACKSLASH)))
  )
}

/** Digits with or without a sign: what begins with one and is no formula, nearly always. */
function isNumber(line: Uint8Array, from: number, to: number): boolean {
  if ((line[from] !== 43 && line[from] !== 45) || to - from < 2) {
    return false
  }
  for (let at = from + 1; at < to; at += 1) {
    if (line[at]! < 48 || line[at]! > 57) {
      return false
    }
  }
  return true
}

/**
 * Whether the `_` at `at` begins what readers take for an escaped character: `_x0041_`. What follows the digits may be another
 * escape as well, which begins with `_`; where it turns out to be none, one escape too many says the same.
 */
function isEscape(line: Uint8Array, at: number, to: number): boolean {
  if (at + 6 >= to || (line[at + 1]! | 32) !== 120 || special[line[at + 6]!] !== 1) {
    return false
  }
  for (let digit = at + 2; digit < at + 6; digit += 1) {
    const byte = line[digit]!
    const letter = byte | 32
    if (!((byte >= 48 && byte <= 57) || (letter >= 97 && letter <= 102))) {
      return false
    }
  }
  return true
}

/** What a backslash and this byte stand for in COPY's text format. */
function unescaped(byte: number): number {
  switch (byte) {
    case 98:
      return 8
    case 116:
      return 9
    case 110:
      return 10
    case 118:
      return 11
    case 102:
      return 12
    case 114:
      return 13
    default:
      return byte
  }
}

/** A value of COPY's text format as a string. */
export function copyText(line: Uint8Array, from: number, to: number, escaped = true): string {
  const text = Buffer.from(line.buffer, line.byteOffset + from, to - from).toString()
  return escaped && text.includes('\\')
    ? text.replaceAll(/\\([\s\S])/g, (_, next: string) => {
        const code = next.charCodeAt(0)
        return code < 128 ? String.fromCharCode(unescaped(code)) : next
      })
    : text
}

/** One that could be taken for two, or for one in quotes, stands in quotes: see `entriesOf` in pipeline/values. */
function listEntry(text: string): string {
  return /^"|[;,|]|:::/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** The entries of an array as PostgreSQL or JSON writes it, joined as imports take them apart; other text as it is. */
function listText(text: string): string {
  if (text.startsWith('{') && text.endsWith('}')) {
    const entries: string[] = []
    for (const [, quoted, bare] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\[\s\S])*)"|([^",]+)/g)) {
      if (quoted !== undefined) {
        entries.push(quoted.replaceAll(/\\([\s\S])/g, '$1'))
      } else if (bare !== undefined && bare !== 'NULL') {
        entries.push(bare)
      }
    }
    return entries.map(listEntry).join('; ')
  }
  if (text.startsWith('[') && text.endsWith(']')) {
    try {
      const entries: unknown = JSON.parse(text)
      return Array.isArray(entries) ? entries.map((entry) => listEntry(String(entry))).join('; ') : text
    } catch {
      return text
    }
  }
  return text
}

/** A number of `digits` digits; NaN where there are others. */
function numberAt(line: Uint8Array, at: number, digits: number): number {
  let number = 0
  for (let index = 0; index < digits; index += 1) {
    const digit = line[at + index]! - 48
    if (!(digit >= 0 && digit <= 9)) {
      return Number.NaN
    }
    number = number * 10 + digit
  }
  return number
}

/** Days since 1970 of `yyyy-MM-dd`; NaN for what is none. From "chrono-Compatible Low-Level Date Algorithms" by Howard Hinnant. */
function daysOf(line: Uint8Array, at: number): number {
  const month = numberAt(line, at + 5, 2)
  const day = numberAt(line, at + 8, 2)
  if (line[at + 4] !== 45 || line[at + 7] !== 45 || !(month >= 1 && month <= 12 && day >= 1 && day <= 31)) {
    return Number.NaN
  }
  const year = numberAt(line, at, 4) - (month <= 2 ? 1 : 0)
  const era = Math.floor(year / 400)
  const ofEra = year - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468
}

/** Milliseconds since 1970 of the second of `yyyy-MM-dd HH:mm:ss[.SSSSSS]` with an offset; NaN for what is none. */
function secondOf(line: Uint8Array, from: number, to: number): number {
  const days = to - from >= 20 ? daysOf(line, from) : Number.NaN
  const hour = numberAt(line, from + 11, 2)
  const minute = numberAt(line, from + 14, 2)
  const second = numberAt(line, from + 17, 2)
  const between = line[from + 10]
  if (!(hour < 24 && minute < 60 && second < 60) || (between !== 32 && between !== 84)) {
    return Number.NaN
  }
  if (line[from + 13] !== 58 || line[from + 16] !== 58) {
    return Number.NaN
  }
  let at = from + 19
  if (line[at] === 46) {
    at += 1
    while (at < to && line[at]! >= 48 && line[at]! <= 57) {
      at += 1
    }
  }
  let offset = 0
  if (line[at] === 90) {
    at += 1
  } else {
    const sign = line[at] === 43 ? 1 : line[at] === 45 ? -1 : Number.NaN
    offset = numberAt(line, at + 1, 2) * 3600
    at += 3
    for (let unit = 60; at < to && unit > 0; unit = unit === 60 ? 1 : 0) {
      at += line[at] === 58 ? 1 : 0
      offset += numberAt(line, at, 2) * unit
      at += 2
    }
    offset *= sign
  }
  return at === to ? (days * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1000 : Number.NaN
}

/** The microseconds of such a moment within its second. */
function microsOf(line: Uint8Array, from: number, to: number): number {
  let micros = 0
  let unit = 100_000
  for (let at = from + 20; line[from + 19] === 46 && at < to && line[at]! >= 48 && line[at]! <= 57; at += 1) {
    micros += (line[at]! - 48) * unit
    unit = Math.floor(unit / 10)
  }
  return micros
}

/** ISO 8601, for moments that have no serial number of their own. `offset` in milliseconds, `micros` behind the millisecond. */
function isoText(wall: number, offset: number, micros: number): string {
  const [head = '', tail = ''] = new Date(wall).toISOString().slice(0, -1).split('.')
  const fraction = `${tail}${String(micros).padStart(3, '0')}`.replace(/0+$/, '')
  const seconds = Math.round(Math.abs(offset) / 1000)
  const two = (number: number): string => String(number).padStart(2, '0')
  const rest = seconds % 60
  const sign = offset < 0 ? '-' : '+'
  const zone = `${sign}${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}${rest === 0 ? '' : `:${two(rest)}`}`
  return `${head}${fraction === '' ? '' : `.${fraction}`}${offset === 0 ? 'Z' : zone}`
}
