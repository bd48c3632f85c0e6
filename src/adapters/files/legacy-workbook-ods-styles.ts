/** Number formats of OpenDocument spreadsheets, in the letters of Excel's: a number then reads the same from either. */
import { NUMBER_FORMAT_LENGTH_MAX } from '../../limits.js'
import type { XmlScanner } from './xlsx/xml.js'

/** How the cells of a style show what they hold. */
export interface CellFormat {
  /** As Excel writes it; null where only the text in the file tells. */
  readonly code: string | null
  /** Whether a date with this format is one: with month and day, or month and year. */
  readonly date: boolean
  /** Null where nothing is said of it. */
  readonly time: boolean | null
}

const GENERAL: CellFormat = { code: 'General', date: true, time: null }
const DATA_STYLES = /^(?:number|currency|percentage|date|time|boolean|text)-style$/
/** Styles inherit from others; a chain that is longer has no end. */
const PARENTS_MAX = 16
const POSITIVE = /^value\(\)\s*>=?\s*0(?:\.0*)?$/

interface DataStyle {
  code: string | null
  readonly parts: Set<string>
  readonly percentage: boolean
  /** Another format for numbers that are not negative. */
  positive: string | null
}

interface Style {
  readonly parent: string | null
  readonly data: string | null
}

/** Collects the styles of a document while its XML goes by. */
export class OdsStyles {
  readonly #data = new Map<string, DataStyle>()
  readonly #cells = new Map<string, Style>()
  readonly #hiddenTables = new Set<string>()
  readonly #known = new Map<string, CellFormat>()
  #current: DataStyle | null = null
  #table: string | null = null
  #literal: string | null = null

  /** Takes a tag that was opened. */
  open(scanner: XmlScanner): void {
    const { name } = scanner
    if (DATA_STYLES.test(name)) {
      this.#current = { code: '', parts: new Set(), percentage: name === 'percentage-style', positive: null }
      this.#data.set(scanner.attribute('name') ?? '', this.#current)
    } else if (this.#current !== null) {
      this.#part(this.#current, scanner)
    } else if (name === 'style' || name === 'default-style') {
      const family = scanner.attribute('family')
      const own = name === 'style' ? (scanner.attribute('name') ?? '') : ''
      this.#table = family === 'table' ? own : null
      if (family === 'table-cell') {
        this.#cells.set(own, {
          parent: scanner.attribute('parent-style-name'),
          data: scanner.attribute('data-style-name'),
        })
      }
    } else if (name === 'table-properties' && this.#table !== null && scanner.attribute('display') === 'false') {
      this.#hiddenTables.add(this.#table)
    }
  }

  /** Takes the text between tags. */
  text(text: string): void {
    if (this.#literal !== null && this.#literal.length <= NUMBER_FORMAT_LENGTH_MAX) {
      this.#literal += text
    }
  }

  /** Takes a tag that was closed. */
  close(name: string): void {
    if (DATA_STYLES.test(name)) {
      this.#current = null
      this.#literal = null
    } else if (name === 'style' && this.#current === null) {
      this.#table = null
    } else if (this.#literal !== null && (name === 'text' || name === 'currency-symbol')) {
      const text = this.#literal
      this.#literal = null
      if (this.#current !== null && text !== '') {
        add(this.#current, this.#current.percentage && text.trim() === '%' ? '%' : quoted(text))
      }
    }
  }

  /** Whether a table of this style is not shown. */
  hides(style: string | null): boolean {
    return style !== null && this.#hiddenTables.has(style)
  }

  /** The format of a cell; General for a style that says nothing. */
  format(style: string | null): CellFormat {
    let known = this.#known.get(style ?? '')
    if (known === undefined) {
      known = this.#resolve(style ?? '')
      this.#known.set(style ?? '', known)
    }
    return known
  }

  #resolve(style: string): CellFormat {
    let at: string | null = style
    for (let steps = 0; at !== null && steps < PARENTS_MAX; steps += 1) {
      const found: Style | undefined = this.#cells.get(at)
      const data = found?.data == null ? undefined : this.#data.get(found.data)
      if (data !== undefined) {
        return this.#formatOf(data)
      }
      at = found?.parent ?? null
    }
    return GENERAL
  }

  #formatOf({ code, parts, positive }: DataStyle): CellFormat {
    const above = positive === null ? null : (this.#data.get(positive)?.code ?? null)
    const whole = positive === null ? code : above === null || code === null ? null : `${above};${code}`
    return {
      code: whole === '' ? 'General' : whole,
      date: parts.size === 0 || (parts.has('month') && (parts.has('year') || parts.has('day'))),
      time: parts.size === 0 ? null : parts.has('hours') || parts.has('minutes') || parts.has('seconds'),
    }
  }

  #part(style: DataStyle, scanner: XmlScanner): void {
    switch (scanner.name) {
      case 'number':
        add(style, digits(scanner))
        break
      case 'scientific-number': {
        const behind = count(scanner.attribute('decimal-places'))
        const exponent = '0'.repeat(Math.max(1, count(scanner.attribute('min-exponent-digits'))))
        add(style, `0${behind > 0 ? `.${'0'.repeat(behind)}` : ''}E+${exponent}`)
        break
      }
      case 'text':
      case 'currency-symbol':
        this.#literal = scanner.empty ? null : ''
        break
      case 'map':
        if (style.positive === null && POSITIVE.test(scanner.attribute('condition') ?? '')) {
          style.positive = scanner.attribute('apply-style-name') ?? ''
        } else {
          style.code = null
        }
        break
      case 'fraction':
      case 'embedded-text':
        style.code = null
        break
      case 'text-content':
        add(style, '@')
        break
      case 'year':
      case 'month':
      case 'day':
      case 'day-of-week':
      case 'hours':
      case 'minutes':
      case 'seconds':
      case 'am-pm':
        style.parts.add(scanner.name)
        add(style, dateLetters(scanner))
        break
      case 'era':
      case 'quarter':
      case 'week-of-year':
        style.code = null
        break
      default:
    }
  }
}

function add(style: DataStyle, code: string | null): void {
  style.code = style.code === null || code === null ? null : style.code + code
  if (style.code !== null && style.code.length > NUMBER_FORMAT_LENGTH_MAX) {
    style.code = null
  }
}

function digits(scanner: XmlScanner): string | null {
  if (scanner.attribute('display-factor') !== null || scanner.attribute('decimal-replacement') !== null) {
    return null
  }
  const places = scanner.attribute('decimal-places')
  const whole = count(scanner.attribute('min-integer-digits'))
  const grouped = scanner.attribute('grouping') === 'true'
  if (places === null && !grouped && whole <= 1) {
    return 'General'
  }
  const behind = count(places)
  const sure = Math.min(behind, count(scanner.attribute('min-decimal-places') ?? places))
  const ahead = whole === 0 ? '#' : '0'.repeat(whole)
  const fraction = behind > 0 ? `.${'0'.repeat(sure)}${'#'.repeat(behind - sure)}` : ''
  return `${grouped ? `#,${ahead.padStart(3, '#')}` : ahead}${fraction}`
}

/** A part of a date or time, as Excel writes it. */
function dateLetters(scanner: XmlScanner): string {
  const long = scanner.attribute('style') === 'long'
  switch (scanner.name) {
    case 'year':
      return long ? 'yyyy' : 'yy'
    case 'month':
      return (scanner.attribute('textual') === 'true' ? 'mmm' : 'm') + (long ? 'm' : '')
    case 'day':
      return long ? 'dd' : 'd'
    case 'day-of-week':
      return long ? 'dddd' : 'ddd'
    case 'hours':
      return long ? 'hh' : 'h'
    case 'minutes':
      return long ? 'mm' : 'm'
    case 'seconds': {
      const behind = count(scanner.attribute('decimal-places'))
      return `${long ? 'ss' : 's'}${behind > 0 ? `.${'0'.repeat(behind)}` : ''}`
    }
    default:
      return 'AM/PM'
  }
}

function count(text: string | null): number {
  const value = Number(text ?? 0)
  return Number.isInteger(value) && value > 0 ? Math.min(value, 30) : 0
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '')}"`
}
