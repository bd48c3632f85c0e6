/** XML Spreadsheet 2003, which many programs write and name .xls; streamed. */
import { Refusal } from '../../errors.js'
import { CELL_BYTES_MAX, WORKBOOK_SHEETS_MAX } from '../../limits.js'
import type { Row } from '../source.js'
import type { ByteReader } from './bytes.js'
import { bytesOf } from './gzip.js'
import { damaged, RowMaker } from './legacy-workbook-rows.js'
import type { Workbook } from './workbook.js'
import { exactNumber, isoText, type NumberFormat, numberFormats } from './xlsx/formats.js'
import { CLOSE, decodeEntities, decodeXml, NEED_MORE, OPEN, TEXT, XmlScanner } from './xlsx/xml.js'

const ROWS_MAX = 1_048_576
const MS_PER_DAY = 86_400_000
const PARENTS_MAX = 16

/** Formats that have a name in this format alone. */
const NAMED_FORMATS: ReadonlyMap<string, string> = new Map([
  ['General Number', 'General'],
  ['General Date', 'm/d/yyyy h:mm'],
  ['Long Date', 'dddd, mmmm dd, yyyy'],
  ['Medium Date', 'dd-mmm-yy'],
  ['Short Date', 'm/d/yyyy'],
  ['Long Time', 'h:mm:ss AM/PM'],
  ['Medium Time', 'h:mm AM/PM'],
  ['Short Time', 'h:mm'],
  ['Currency', '"$"#,##0.00'],
  ['Euro Currency', '"€"#,##0.00'],
  ['Fixed', '0.00'],
  ['Standard', '#,##0.00'],
  ['Percent', '0.00%'],
  ['Scientific', '0.00E+00'],
  ['Yes/No', '"Yes";"Yes";"No"'],
  ['True/False', '"True";"True";"False"'],
  ['On/Off', '"On";"On";"Off"'],
])

/** Opens a workbook that is one XML document. Refuses FILE_UNREADABLE where it is broken, FILE_UNSAFE where it declares entities. */
export async function openXmlSpreadsheet(bytes: ByteReader): Promise<Workbook> {
  const reader = new SpreadsheetReader(null)
  for await (const text of decodeXml(bytesOf(bytes))) {
    reader.read(text)
  }
  if (!reader.isWhole) {
    throw damaged('it breaks off before its end')
  }
  const { sheets } = reader
  return {
    sheets,
    async *rows(sheet, signal) {
      if (sheets[sheet] === undefined) {
        throw new Refusal('INVALID_INPUT', `The workbook has no sheet ${sheet + 1}.`)
      }
      const walk = new SpreadsheetReader(sheet)
      for await (const text of decodeXml(bytesOf(bytes))) {
        signal.throwIfAborted()
        walk.read(text)
        if (walk.rows.length > 0) {
          yield walk.rows.splice(0)
        }
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

interface Style {
  readonly parent: string | null
  format: string | null
}

class SpreadsheetReader {
  readonly sheets: { name: string; index: number; hidden: boolean; estimatedRowCount: number }[] = []
  readonly rows: Row[] = []
  readonly #wanted: number | null
  readonly #scanner = new XmlScanner()
  readonly #styles = new Map<string, Style>()
  readonly #codes: string[] = []
  readonly #compiled: (style: number) => NumberFormat
  readonly #formats = new Map<string, NumberFormat | null>()
  readonly #maker = new RowMaker()
  #seen = false
  #open = false
  #style: Style | null = null
  #inTable = false
  #inRow = false
  #rowNumber = 0
  #rowStyle: string | null = null
  #column = -1
  #across = 0
  #cellStyle: string | null = null
  #inComment = false
  /** Of the value; null where none is being read. */
  #type: string | null = null
  #value = ''
  #visible: string | null = null

  constructor(wanted: number | null) {
    this.#wanted = wanted
    this.#compiled = numberFormats(this.#codes, false, 'exact')
  }

  get isWhole(): boolean {
    return this.#seen && !this.#open
  }

  read(text: string): void {
    const scanner = this.#scanner
    scanner.push(text)
    for (;;) {
      const token = scanner.next()
      if (token === NEED_MORE) {
        return
      }
      if (token === OPEN) {
        this.#opened(scanner)
      } else if (token === CLOSE) {
        this.#closed(scanner.name)
      } else if (token === TEXT) {
        const part = scanner.text.slice(scanner.start, scanner.end)
        if (this.#type !== null && this.#value.length <= CELL_BYTES_MAX) {
          this.#value += scanner.literal ? part : decodeEntities(part)
        } else if (this.#visible !== null && this.#visible.length < 100) {
          this.#visible += part
        }
      }
    }
  }

  #opened(scanner: XmlScanner): void {
    const { name, empty } = scanner
    switch (name) {
      case 'Workbook':
        this.#seen = true
        this.#open = !empty
        break
      case 'Style':
        this.#style = { parent: scanner.attribute('Parent'), format: null }
        this.#styles.set(scanner.attribute('ID') ?? '', this.#style)
        break
      case 'NumberFormat':
        if (this.#style !== null) {
          this.#style.format = scanner.attribute('Format') ?? 'General'
        }
        break
      case 'Worksheet':
        this.#startSheet(scanner.attribute('Name'))
        break
      case 'Visible':
        this.#visible = empty ? null : ''
        break
      case 'Table':
        this.#inTable = !empty && this.sheets.length > 0
        this.#rowNumber = 0
        break
      case 'Row':
        if (this.#inTable) {
          this.#rowNumber = placeOf(scanner.attribute('Index'), this.#rowNumber + 1)
          if (this.#rowNumber > ROWS_MAX) {
            throw damaged('a row in it has a number that no sheet has')
          }
          this.#rowStyle = scanner.attribute('StyleID')
          this.#column = -1
          this.#across = 0
          this.#inRow = !empty
          // A row that stands for several, none of which holds a value.
          this.#rowNumber += empty ? placeOf(scanner.attribute('Span'), 0) : 0
        }
        break
      case 'Cell':
        if (this.#inRow) {
          this.#column = placeOf(scanner.attribute('Index'), this.#column + this.#across + 2) - 1
          this.#across = Math.min(placeOf(scanner.attribute('MergeAcross'), 0), ROWS_MAX)
          this.#cellStyle = scanner.attribute('StyleID')
          this.#inComment = false
        }
        break
      case 'Comment':
        this.#inComment = !empty
        break
      case 'Data':
        if (this.#inRow && !this.#inComment && !empty) {
          this.#type = scanner.attribute('Type') ?? 'String'
          this.#value = ''
        }
        break
      default:
        if (this.#type !== null && /^br$/i.test(name)) {
          this.#value += '\n'
        }
    }
  }

  #closed(name: string): void {
    switch (name) {
      case 'Workbook':
        this.#open = false
        break
      case 'Style':
        this.#style = null
        break
      case 'Visible': {
        const sheet = this.sheets.at(-1)
        if (sheet !== undefined && /hidden/i.test(this.#visible ?? '')) {
          sheet.hidden = true
        }
        this.#visible = null
        break
      }
      case 'Table':
        this.#inTable = false
        break
      case 'Comment':
        this.#inComment = false
        break
      case 'Data':
        if (this.#type !== null) {
          this.#maker.place(this.#column, this.#text(this.#type, this.#value))
          this.#type = null
        }
        break
      case 'Row':
        this.#endRow()
        break
      default:
    }
  }

  #startSheet(name: string | null): void {
    const index = this.sheets.length
    if (index >= WORKBOOK_SHEETS_MAX) {
      const most = WORKBOOK_SHEETS_MAX.toLocaleString('en-US')
      throw new Refusal('LIMIT_EXCEEDED', `The workbook has more than ${most} sheets, the most that is read.`)
    }
    this.sheets.push({ name: name ?? `Sheet${index + 1}`, index, hidden: false, estimatedRowCount: 0 })
    this.#inTable = false
    this.#inRow = false
  }

  #endRow(): void {
    const sheet = this.sheets.at(-1)
    if (!this.#inRow || sheet === undefined) {
      return
    }
    this.#inRow = false
    const row = this.#maker.take(this.#rowNumber)
    if (row !== null) {
      sheet.estimatedRowCount += 1
      if (sheet.index === this.#wanted) {
        this.rows.push(row)
      }
    }
  }

  #text(type: string, value: string): string {
    switch (type) {
      case 'Number': {
        const raw = value.trim()
        const format = this.#format()
        return raw === '' ? '' : format === null ? exactNumber(raw) : format(raw)
      }
      case 'DateTime': {
        const format = this.#format()
        const serial = format === null ? null : serialOf(value.trim())
        return format === null || serial === null ? isoText(value) : format(String(serial))
      }
      case 'Boolean':
        return /^(?:1|true)$/i.test(value.trim()) ? 'TRUE' : 'FALSE'
      case 'Error':
        return value.trim()
      default:
        return value
    }
  }

  /** Null for General. */
  #format(): NumberFormat | null {
    const id = this.#cellStyle ?? this.#rowStyle ?? 'Default'
    let format = this.#formats.get(id)
    if (format === undefined) {
      const said = this.#formatOf(id)
      const code = NAMED_FORMATS.get(said) ?? said
      format = code === 'General' ? null : this.#compiledFor(code)
      this.#formats.set(id, format)
    }
    return format
  }

  #formatOf(id: string): string {
    let style = this.#styles.get(id)
    for (let steps = 0; style !== undefined && steps < PARENTS_MAX; steps += 1) {
      if (style.format !== null) {
        return style.format
      }
      style = style.parent === null ? undefined : this.#styles.get(style.parent)
    }
    return 'General'
  }

  #compiledFor(code: string): NumberFormat {
    return this.#compiled(this.#codes.push(code) - 1)
  }
}

function placeOf(text: string | null, otherwise: number): number {
  const value = Number(text ?? Number.NaN)
  return Number.isInteger(value) && value > 0 ? Math.min(value, 2 ** 30) : otherwise
}

/** The day as Excel counts it from 1900 on; null for what is no date. */
function serialOf(text: string): number | null {
  const time = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?$/.test(text)
    ? Date.parse(text.includes('T') ? `${text}Z` : text)
    : Number.NaN
  if (Number.isNaN(time)) {
    return null
  }
  const days = (time - Date.UTC(1899, 11, 30)) / MS_PER_DAY
  return days < 61 ? days - 1 : days
}
