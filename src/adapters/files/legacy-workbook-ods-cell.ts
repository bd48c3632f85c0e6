/** One cell of an OpenDocument spreadsheet. */
import { CELL_BYTES_MAX } from '../../limits.js'
import type { CellFormat } from './legacy-workbook-ods-styles.js'
import { exactNumber, isoText, type NumberFormat } from './xlsx/formats.js'
import type { XmlScanner } from './xlsx/xml.js'

/** What stands beside the text of a cell and is none of it. */
const ASIDE = /^(?:annotation|ruby-text|note|frame|custom-shape|bookmark)$/

/** Takes what stands between the tags of a cell, and knows what a person sees in it. */
export class OdsCell {
  readonly style: string | null
  /** How many cells side by side it stands for. */
  readonly times: number
  /** Hidden by a merged cell. */
  readonly covered: boolean
  readonly #type: string | null
  readonly #value: string | null
  #paragraphs: string[] = []
  /** Elements within the cell; a paragraph of the cell itself stands at 1. */
  #depth = 0
  #inParagraph = false
  /** The depth of an element that is no text of the cell. */
  #aside = 0
  #length = 0

  constructor(scanner: XmlScanner, times: number, covered: boolean) {
    this.style = scanner.attribute('style-name')
    this.times = times
    this.covered = covered
    this.#type = scanner.attribute('value-type')
    const name = VALUES.get(this.#type ?? '')
    this.#value = name === undefined ? null : scanner.attribute(name)
  }

  open(scanner: XmlScanner): void {
    const { name, empty } = scanner
    if (this.#depth === 0 && (name === 'p' || name === 'h')) {
      this.#paragraphs.push('')
      this.#inParagraph = !empty
    } else if (this.#inParagraph && this.#aside === 0) {
      if (name === 's') {
        this.#add(
          ' '.repeat(Math.min(Math.max(1, Math.trunc(Number(scanner.attribute('c') ?? 1)) || 1), CELL_BYTES_MAX)),
        )
      } else if (name === 'tab') {
        this.#add('\t')
      } else if (name === 'line-break') {
        this.#add('\n')
      } else if (!empty && ASIDE.test(name)) {
        this.#aside = this.#depth
      }
    }
    this.#depth += empty ? 0 : 1
  }

  text(text: string): void {
    if (this.#inParagraph && this.#aside === 0) {
      const plain = text.replaceAll(/[ \t\n\r]+/g, ' ')
      const before = this.#paragraphs.at(-1) ?? ''
      this.#add(before === '' || before.endsWith(' ') ? plain.replace(/^ /, '') : plain)
    }
  }

  /** Takes a closing tag; whether it was the cell's own. */
  close(): boolean {
    if (this.#depth === 0) {
      return true
    }
    this.#depth -= 1
    if (this.#depth === this.#aside) {
      this.#aside = 0
    }
    if (this.#depth === 0) {
      this.#inParagraph = false
    }
    return false
  }

  /** What a person sees, in the form in which all workbooks are read. */
  shown(format: CellFormat, numberFormat: (code: string) => NumberFormat): string {
    const text = this.#paragraphs.join('\n')
    const value = this.#value
    if (value === null || value === '') {
      return text
    }
    switch (this.#type) {
      case 'boolean':
        return value === 'true' ? 'TRUE' : 'FALSE'
      case 'date':
        return dateText(value, format, text)
      case 'string':
        return text === '' ? value : text
      case 'time':
        return text === '' ? value : text
      default:
        if (format.code === null || (this.#type !== 'float' && format.code === 'General')) {
          return text === '' ? exactNumber(value) : text
        }
        return numberFormat(format.code)(value)
    }
  }

  #add(text: string): void {
    // What is too long is the fault of its row, and noticed by its length.
    if (this.#length <= CELL_BYTES_MAX) {
      this.#paragraphs[this.#paragraphs.length - 1] += text
      this.#length += text.length
    }
  }
}

const VALUES: ReadonlyMap<string, string> = new Map([
  ['float', 'value'],
  ['percentage', 'value'],
  ['currency', 'value'],
  ['date', 'date-value'],
  ['time', 'time-value'],
  ['boolean', 'boolean-value'],
  ['string', 'string-value'],
])

function dateText(value: string, { date, time }: CellFormat, shown: string): string {
  const iso = isoText(value)
  if (!date && shown !== '') {
    return shown
  }
  if (time === true) {
    return iso.length === 10 ? `${iso} 00:00:00` : iso
  }
  return time === false ? iso.slice(0, 10) : iso
}
