/** Tables of a web page: what many systems write and name .xls. Tags are only looked at, never run; nothing is fetched. */
import { Refusal } from '../../errors.js'
import { COLUMNS_MAX, UNPACK_RATIO_BYTES_MIN, UNPACK_RATIO_MAX, WORKBOOK_SHEETS_MAX } from '../../limits.js'
import type { Row } from '../source.js'
import { decodeHtml } from './html-entities.js'
import { type HeldSheet, RowMaker } from './legacy-workbook-rows.js'

/** Cells that reach over more rows are cut to so many. */
const ROW_SPAN_MAX = 65_534
/** Elements whose content is no text of the page. */
const RAW = /^(?:script|style|title|textarea|template|noscript|iframe|object|svg|math|select|xml)$/
const BLOCKS = /^(?:p|div|li|h[1-6]|ul|ol|dl|dd|dt|blockquote|pre)$/

/**
 * The tables of a page in their order, each as a sheet; one within another is read as part of the text of its cell. A cell that
 * reaches over several columns or rows stands in the first of them. Refuses FILE_TYPE_UNSUPPORTED where there is none.
 */
export function htmlTables(html: string): readonly HeldSheet[] {
  const tables = new TableReader(html.length)
  let at = 0
  while (at < html.length) {
    const open = html.indexOf('<', at)
    if (open < 0) {
      tables.text(html.slice(at))
      break
    }
    if (open > at) {
      tables.text(html.slice(at, open))
    }
    at = tagAt(html, open, tables)
  }
  return tables.end()
}

/** Takes the tag, comment or plain `<` at `open`; answers where the next thing starts. */
function tagAt(html: string, open: number, tables: TableReader): number {
  const next = html.charCodeAt(open + 1)
  if (html.startsWith('<!--', open)) {
    // Excel puts parts of a table for itself into comments that begin `<!--[if`; they hold no cells.
    const end = html.indexOf('-->', open + 4)
    return end < 0 ? html.length : end + 3
  }
  if (next === 33 || next === 63) {
    const end = html.indexOf('>', open)
    return end < 0 ? html.length : end + 1
  }
  const closing = next === 47
  let nameEnd = open + (closing ? 2 : 1)
  for (let code = html.charCodeAt(nameEnd); isNameCode(code) && nameEnd - open < 40; code = html.charCodeAt(nameEnd)) {
    nameEnd += 1
  }
  const name = html.slice(open + (closing ? 2 : 1), nameEnd).toLowerCase()
  if (!/^[a-z]/.test(name)) {
    tables.text('<')
    return open + 1
  }
  const end = tagEnd(html, nameEnd)
  const attributes = html.slice(nameEnd, end)
  if (closing) {
    tables.close(name)
  } else {
    tables.open(name, attributes)
    if (RAW.test(name) && !attributes.endsWith('/')) {
      return rawEnd(html, name, end + 1)
    }
  }
  return end + 1
}

/** The `>` of a tag; one within quotes is none. Without it the tag reaches to the end. */
function tagEnd(html: string, from: number): number {
  for (let at = from; at < html.length; at += 1) {
    const code = html.charCodeAt(at)
    if (code === 62) {
      return at
    }
    if ((code === 34 || code === 39) && html.charCodeAt(at - 1) === 61) {
      const close = html.indexOf(code === 34 ? '"' : "'", at + 1)
      if (close < 0) {
        const end = html.indexOf('>', at)
        return end < 0 ? html.length : end
      }
      at = close
    }
  }
  return html.length
}

function rawEnd(html: string, name: string, from: number): number {
  const pattern = new RegExp(`</${name}[\\s/>]`, 'gi')
  pattern.lastIndex = from
  return pattern.exec(html)?.index ?? html.length
}

class TableReader {
  readonly #sheets: { name: string; hidden: boolean; rows: Row[] }[] = []
  readonly #length: number
  #caption: string | null = null
  /** Tables that are open; rows count only in the first of them. */
  #depth = 0
  #rowNumber = 0
  #inRow = false
  #maker = new RowMaker()
  #column = 0
  #cell: string[] | null = null
  #cellColumns = 1
  #cellRows = 1
  /** Per column: up to which row a cell from above reaches. */
  #taken: number[] = []
  #steps = 0

  constructor(length: number) {
    this.#length = length
  }

  open(name: string, attributes: string): void {
    switch (name) {
      case 'table':
        this.#depth += 1
        if (this.#depth === 1) {
          this.#startTable(attributes)
        } else {
          this.#cell?.push('\n')
        }
        break
      case 'caption':
        this.#caption = this.#depth === 1 && this.#rowNumber === 0 ? '' : null
        break
      case 'tr':
        if (this.#depth === 1) {
          this.#endRow()
          this.#inRow = true
          this.#rowNumber += 1
          this.#column = 0
        } else {
          this.#cell?.push('\n')
        }
        break
      case 'td':
      case 'th':
        if (this.#depth === 1) {
          this.#startCell(attributes)
        } else {
          this.#cell?.push(' ')
        }
        break
      case 'br':
        this.#cell?.push('\n')
        break
      default:
        if (BLOCKS.test(name)) {
          this.#cell?.push('\n')
        }
    }
  }

  close(name: string): void {
    switch (name) {
      case 'table':
        if (this.#depth === 1) {
          this.#endRow()
        }
        this.#depth = Math.max(0, this.#depth - 1)
        break
      case 'tr':
        if (this.#depth === 1) {
          this.#endRow()
        }
        break
      case 'td':
      case 'th':
        if (this.#depth === 1) {
          this.#endCell()
        }
        break
      case 'caption': {
        const sheet = this.#sheets.at(-1)
        const title = (this.#caption ?? '').trim().replaceAll(/\s+/g, ' ')
        if (
          sheet !== undefined &&
          title !== '' &&
          title.length <= 100 &&
          this.#sheets.every((each) => each.name !== title)
        ) {
          sheet.name = title
        }
        this.#caption = null
        break
      }
      default:
        if (BLOCKS.test(name)) {
          this.#cell?.push('\n')
        }
    }
  }

  text(text: string): void {
    if (this.#cell !== null) {
      // Line ends of the page are blanks; only tags make lines.
      this.#cell.push(decodeHtml(text.replaceAll(/[ \t\r\n\f]+/g, ' ')))
    } else if (this.#caption !== null && this.#caption.length < 1000) {
      this.#caption += decodeHtml(text)
    }
  }

  end(): readonly HeldSheet[] {
    this.#endRow()
    const full = this.#sheets.filter(({ rows }) => rows.length > 0)
    if (full.length === 0) {
      throw new Refusal(
        'FILE_TYPE_UNSUPPORTED',
        'The file is a web page (HTML) without a table in it. Export the table as CSV or Excel and upload that file.',
      )
    }
    return full
  }

  #startTable(attributes: string): void {
    const name = `Table ${this.#sheets.length + 1}`
    if (this.#sheets.length >= WORKBOOK_SHEETS_MAX) {
      const most = WORKBOOK_SHEETS_MAX.toLocaleString('en-US')
      throw new Refusal('LIMIT_EXCEEDED', `The page has more than ${most} tables, the most that is read.`)
    }
    const hidden = /display\s*:\s*none/i.test(attributes.slice(0, 2000))
    this.#sheets.push({ name, hidden, rows: [] })
    this.#rowNumber = 0
    this.#taken = []
  }

  #startCell(attributes: string): void {
    this.#endCell()
    if (!this.#inRow) {
      this.#inRow = true
      this.#rowNumber += 1
      this.#column = 0
    }
    while (this.#column <= COLUMNS_MAX && (this.#taken[this.#column] ?? 0) >= this.#rowNumber) {
      this.#column += 1
      this.#step()
    }
    this.#cell = []
    this.#cellColumns = Math.min(spanOf(attributes, 'colspan'), COLUMNS_MAX)
    this.#cellRows = Math.min(spanOf(attributes, 'rowspan'), ROW_SPAN_MAX)
  }

  #endCell(): void {
    if (this.#cell === null) {
      return
    }
    const text = this.#cell
      .join('')
      .replaceAll(/[ \t]*\n[ \t]*/g, '\n')
      .replaceAll(/\n{2,}/g, '\n')
      .replaceAll(/ {2,}/g, ' ')
      .replaceAll('\u00A0', ' ')
      .trim()
    this.#cell = null
    this.#maker.place(this.#column, text)
    const end = Math.min(this.#column + this.#cellColumns, COLUMNS_MAX + 1)
    if (this.#cellRows > 1) {
      for (let at = this.#column; at < end; at += 1) {
        this.#taken[at] = this.#rowNumber + this.#cellRows - 1
        this.#step()
      }
    }
    this.#column = end
  }

  #endRow(): void {
    this.#endCell()
    if (this.#inRow) {
      this.#inRow = false
      const row = this.#maker.take(this.#rowNumber)
      if (row !== null) {
        this.#step(row.cells.length)
        this.#sheets.at(-1)?.rows.push(row)
      }
    }
  }

  /** Spans let a few letters stand for thousands of cells in each of thousands of rows. */
  #step(count = 1): void {
    this.#steps += count
    if (this.#steps > UNPACK_RATIO_BYTES_MIN && this.#steps > UNPACK_RATIO_MAX * this.#length) {
      throw new Refusal('FILE_UNSAFE', 'The table in the page would grow without measure. Save it as CSV.')
    }
  }
}

function spanOf(attributes: string, name: string): number {
  const found = new RegExp(`\\b${name}\\s*=\\s*["']?\\s*(\\d{1,15})`, 'i').exec(attributes.slice(0, 4000))
  return Math.max(1, Number(found?.[1] ?? 1))
}

function isNameCode(code: number): boolean {
  return (
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    (code >= 48 && code <= 57) ||
    code === 58 ||
    code === 45
  )
}
