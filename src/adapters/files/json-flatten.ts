/** From records of JSON to the cells of a table: names within names become dotted columns, in the order of first sight. */
import { createHash } from 'node:crypto'
import { Refusal } from '../../errors.js'
import { CELL_BYTES_MAX, COLUMN_NAME_LENGTH_MAX, COLUMNS_MAX } from '../../limits.js'
import type { RowFault } from '../source.js'
import { columnNames } from './header.js'
import type { JsonRecord } from './json-slicer.js'
import { jsonOf, unmarked } from './json-text.js'

/** What a record is as a row. */
export interface FlatRecord {
  readonly cells: readonly string[]
  readonly fault: RowFault | null
}

/** A name as it stands in the records, with the names within it. */
interface Place {
  readonly key: string
  readonly path: string
  /** Among the names beside it, in the order of first sight. */
  readonly position: number
  readonly inner: Place[]
  readonly byKey: Map<string, Place>
  /** Column; -1 until there is a value. */
  index: number
}

export interface FlattenerOptions {
  /** Names without any value so far become columns too; see `settled`. */
  readonly keepsEmpty?: boolean
}

/** Flattens the records of one table. Columns that records have beyond those given are added as they come. */
export class Flattener {
  /** Names of the columns: those given, then later ones. */
  readonly columns: string[]
  readonly #indexes: Map<string, number>
  readonly #blank: string[]
  readonly #root = place('', '', 0)
  readonly #keepsEmpty: boolean
  /** With `keepsEmpty`: whose column each is, and whether it ever held a value. */
  readonly #places: Place[] = []
  readonly #valued: boolean[] = []
  #cells: string[] = []
  #fault: RowFault | null = null
  #isEscaped = false

  constructor(columns: readonly string[] = [], { keepsEmpty = false }: FlattenerOptions = {}) {
    this.columns = [...columns]
    this.#indexes = new Map(columns.map((name, index) => [name, index]))
    this.#blank = columns.map(() => '')
    this.#keepsEmpty = keepsEmpty
  }

  /**
   * Cells of a record, one for each column that is known by then; none of one with a fault. An array is a row whose values
   * have the columns by their order. Throws `Refusal` LIMIT_EXCEEDED above COLUMNS_MAX.
   */
  flatten({ value, isEscaped, fault }: JsonRecord): FlatRecord {
    if (fault !== null) {
      return { cells: [], fault }
    }
    if (typeof value !== 'object' || value === null) {
      if (this.columns.length === 1 && this.columns[0] === VALUE_COLUMN) {
        this.#isEscaped = isEscaped
        this.#fault = null
        return this.#listed([value])
      }
      const message = `The record is ${value === null ? 'null' : 'a single value'}, and no object.`
      return { cells: [], fault: { code: 'UNPARSABLE_ROW', message } }
    }
    this.#isEscaped = isEscaped
    this.#fault = null
    if (Array.isArray(value)) {
      return this.#listed(value as unknown[])
    }
    this.#cells = this.#blank.slice()
    this.#object(this.#root, value as Readonly<Record<string, unknown>>)
    return this.#fault === null ? { cells: this.#cells, fault: null } : { cells: [], fault: this.#fault }
  }

  /** The columns without those that turned out to be names of objects. */
  settled(): string[] {
    return this.columns.filter((_, index) => this.#valued[index] === true || this.#places[index]?.inner.length === 0)
  }

  #listed(values: readonly unknown[]): FlatRecord {
    const cells = cellsOfList(values)
    const columns = this.columns.length
    cells.forEach((cell, index) => {
      this.#fault ??= faultOf(cell, () => `Value ${index + 1}`, this.#isEscaped)
    })
    if (this.#fault !== null) {
      return { cells: [], fault: this.#fault }
    }
    if (cells.length > columns && cells.slice(columns).some((cell) => cell !== '')) {
      const message = `The row has ${cells.length} values; the table has ${columns} columns.`
      return { cells, fault: { code: 'WRONG_COLUMN_COUNT', message } }
    }
    return { cells: [...cells.slice(0, columns), ...this.#blank.slice(cells.length)], fault: null }
  }

  #object(above: Place, value: Readonly<Record<string, unknown>>): void {
    const { inner } = above
    let next = 0
    for (const key of Object.keys(value)) {
      let at = inner[next]
      if (at === undefined || at.key !== key) {
        at = above.byKey.get(key) ?? add(above, key, above === this.#root)
      }
      next = at.position + 1
      const part = value[key]
      if (typeof part === 'string') {
        this.#set(at, unmarked(part))
      } else if (typeof part === 'object') {
        if (part === null) {
          this.#setEmpty(at)
        } else if (Array.isArray(part)) {
          this.#set(at, textOfList(part as unknown[]))
        } else {
          const names = part as Readonly<Record<string, unknown>>
          this.#object(at, names)
          if (at.inner.length === 0) {
            this.#setEmpty(at)
          }
        }
      } else {
        this.#set(at, String(part as number | boolean))
      }
    }
  }

  #setEmpty(at: Place): void {
    if (this.#keepsEmpty && at.index < 0 && at.inner.length === 0) {
      this.#claim(at)
    }
  }

  #set(at: Place, text: string): void {
    if (at.index < 0) {
      this.#claim(at)
    }
    const { index } = at
    if (this.#keepsEmpty) {
      this.#valued[index] = true
    }
    if (this.#cells[index] !== '') {
      const name = this.columns[index] ?? ''
      this.#fault ??= { code: 'UNPARSABLE_ROW', message: `${name}: the record has two values of this name.` }
      return
    }
    if (this.#isEscaped || text.length > CELL_BYTES_MAX / 3) {
      this.#fault ??= faultOf(text, () => this.columns[index] ?? '', this.#isEscaped)
    }
    this.#cells[index] = text
  }

  #claim(at: Place): void {
    const name = nameOf(at.path)
    const known = this.#indexes.get(name)
    at.index = known ?? this.columns.length
    if (this.#keepsEmpty) {
      this.#places[at.index] ??= at
    }
    if (known !== undefined) {
      return
    }
    if (this.columns.length >= COLUMNS_MAX) {
      throw new Refusal(
        'LIMIT_EXCEEDED',
        `The records have more than ${COLUMNS_MAX} names, and each is a column; at most ${COLUMNS_MAX} are read.`,
      )
    }
    this.#indexes.set(name, at.index)
    this.columns.push(name)
    this.#blank.push('')
    this.#cells.push('')
  }
}

/** Column of a list of single values, which has no names of its own. */
export const VALUE_COLUMN = 'value'

/** Texts of the values of an array that is a row. */
export function cellsOfList(values: readonly unknown[]): string[] {
  return values.map((value) =>
    Array.isArray(value)
      ? textOfList(value as unknown[])
      : typeof value === 'object' && value !== null
        ? jsonOf(value)
        : textOf(value),
  )
}

function place(key: string, path: string, position: number): Place {
  return { key, path, position, inner: [], byKey: new Map(), index: -1 }
}

function add(above: Place, key: string, isTop: boolean): Place {
  const added = place(key, isTop ? key : `${above.path}.${key}`, above.inner.length)
  above.inner.push(added)
  above.byKey.set(key, added)
  return added
}

/** A path as a column's name: the same for the same path wherever reading begins. */
function nameOf(path: string): string {
  if (path.length > COLUMN_NAME_LENGTH_MAX) {
    const digest = createHash('sha256').update(path).digest('hex').slice(0, 8)
    return `${nameOf(path.slice(0, COLUMN_NAME_LENGTH_MAX - 9).toWellFormed())}~${digest}`
  }
  const text = path.toWellFormed().replaceAll('\0', '\uFFFD')
  return text.trim() === '' ? '(no name)' : (columnNames([text])[0] ?? text)
}

/** Scalars one behind the other; a list that holds more than scalars stays JSON. */
function textOfList(values: readonly unknown[]): string {
  if (values.some((value) => typeof value === 'object' && value !== null)) {
    return jsonOf(values)
  }
  return values
    .filter((value) => value !== null)
    .map((value) => quoted(textOf(value)))
    .join('; ')
}

/** What separates the entries of a list in a cell, and what begins one in quotes: see `entriesOf` in pipeline/values. */
const needsQuotes = /^\s*"|[;,|]|:::/

/** One that could be taken for two stands in quotes. */
function quoted(text: string): string {
  return needsQuotes.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? unmarked(value) : value === null ? '' : String(value as number | boolean)
}

function faultOf(text: string, name: () => string, isEscaped: boolean): RowFault | null {
  if (text.length > CELL_BYTES_MAX / 3 && Buffer.byteLength(text) > CELL_BYTES_MAX) {
    return { code: 'VALUE_TOO_LONG', message: `${name()}: the value has more than ${CELL_BYTES_MAX} bytes.` }
  }
  if (isEscaped && text.includes('\0')) {
    return { code: 'UNPARSABLE_ROW', message: `${name()}: the value holds a NUL character (\\u0000).` }
  }
  if (isEscaped && !text.isWellFormed()) {
    return { code: 'BAD_ENCODING', message: `${name()}: the value holds half a character (a lone \\ud800 to \\udfff).` }
  }
  return null
}
