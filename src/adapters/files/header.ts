/** Finds the header of a table, what stands above it, and names for its columns. */
import { COLUMN_NAME_LENGTH_MAX, COLUMNS_MAX } from '../../limits.js'
import type { Row, RowFault } from '../source.js'
import { usualCount } from './dialect.js'
import { classify, Kind, kindsOf } from './kinds.js'

export interface FoundHeader {
  /** Null: the table has none. */
  readonly header: Row | null
  readonly firstDataRow: number
  /** Rows above the header (or above the data) that are no part of the table. */
  readonly skipped: number
  /** False where nothing speaks for the answer but that nearly all files have a header. */
  readonly proven: boolean
  /** Rows of the header, which `header` joins with the number of the last one. 0 where there is none. */
  readonly rows: number
}

/** Lines above a table: a title, a date, a filter. More than these are a table themselves. */
const PREAMBLE_ROWS_MAX = 20

const COMPARED_ROWS = 100

/** Words of column names, as exports of CRMs and address books use them. */
const WORDS = new Set(
  (
    'id uuid guid key ref reference name first last middle given family full title salutation prefix suffix nickname company ' +
    'organization organisation account firm department job role position email mail phone telephone tel mobile cell fax ' +
    'website web url street address line city town zip postal postcode state region province county country lat lng ' +
    'latitude longitude birthday birth date day time created updated modified closed due start end status stage state type ' +
    'kind category source origin channel campaign owner agent assigned user contact lead deal property listing activity task ' +
    'note notes remark remarks comment comments description subject body message text tags tag label labels language currency price amount ' +
    'value budget total cost revenue rate quantity qty number no count score rating priority active enabled consent optin ' +
    'gender age rooms bedrooms bathrooms area size sqm sqft year floor external code parent ' +
    'vorname nachname anrede titel firma straße strasse ort plz stadt land telefon handy mobil geburtsdatum datum betreff ' +
    'beschreibung bemerkung notiz preis betrag menge anzahl quelle besitzer erstellt geändert nummer ' +
    'nom prénom prenom société societe rue ville pays courriel portable téléphone statut montant prix créé ' +
    'nombre apellido apellidos empresa calle ciudad país pais correo teléfono telefono móvil fecha estado precio importe ' +
    'cognome indirizzo città telefono cellulare data stato prezzo'
  ).split(/\s+/),
)

/** `rows` are the first of the file; `from` is the number of the first that may belong to the table. */
export function findHeader(rows: readonly Row[], from: number): FoundHeader {
  const table = rows.filter((row) => row.number >= from)
  const widths = table.map((row) => row.cells.length)
  // Rows with more cells than there may be columns are broken, and say nothing of the table.
  const usual = usualCount(widths.filter((width) => width <= COLUMNS_MAX)) || usualCount(widths)
  let above = 0
  while (above < table.length && isAbove(table[above]!, usual)) {
    above += 1
  }
  above = belowPairs(table, above, usual)
  const candidate = above <= PREAMBLE_ROWS_MAX ? table[above] : undefined
  if (candidate === undefined) {
    above = 0
  }
  const top = candidate ?? table[0]
  const points = top === undefined ? -1 : headerPoints(top, table.slice(above + 1, above + 1 + COMPARED_ROWS))
  if (top !== undefined && points >= 0) {
    const further = points > 0 ? furtherRows(top, table.slice(above + 1, above + 1 + COMPARED_ROWS)) : []
    const header = further.length === 0 ? top : joined([top, ...further])
    return {
      header,
      firstDataRow: header.number + 1,
      skipped: above,
      proven: points > 0,
      rows: 1 + further.length,
    }
  }
  // Without a header below them, only lines that are not split at all are surely no data.
  const skipped = table.slice(0, above).every((row) => row.cells.length === 1) ? above : 0
  return { header: null, firstDataRow: table[skipped]?.number ?? from, skipped, proven: true, rows: 0 }
}

/** Names for columns from the cells of a header, made unique: `Phone`, `Phone (2)`; `Column 3` where there is none. */
export function columnNames(cells: readonly string[]): string[] {
  const names = cells.map((cell, index) => cleanName(cell) || `Column ${index + 1}`)
  const given = new Set(names)
  const taken = new Set<string>()
  const nextNumber = new Map<string, number>()
  return names.map((name) => {
    let unique = name
    while (taken.has(unique)) {
      const number = nextNumber.get(name) ?? 2
      nextNumber.set(name, number + 1)
      // A name that the file itself gives stays with the column that has it.
      unique = given.has(`${name} (${number})`) ? unique : `${name} (${number})`
    }
    taken.add(unique)
    return unique
  })
}

function cleanName(cell: string): string {
  const text = cell.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  return text.length > COLUMN_NAME_LENGTH_MAX ? text.slice(0, COLUMN_NAME_LENGTH_MAX).toWellFormed().trimEnd() : text
}

/** Headers have no more rows than this below their first one. */
const FURTHER_ROWS_MAX = 3

/** What stands in a row of data where there is no value. */
const NO_VALUE = /^(?:n\/?a|null|none|nil|nan|unknown|missing|undefined|tbd|tba|keine?|unbekannt|[-–—.?*#x]+)$/i

/** Rows below the first of the header that belong to it: they repeat it, or hold words where all rows below hold values. */
function furtherRows(top: Row, below: readonly Row[]): readonly Row[] {
  let count = 0
  while (count < FURTHER_ROWS_MAX && count + 1 < below.length) {
    const row = below[count]!
    if (!repeats(row, top) && !namesValues(row, below.slice(count + 1))) {
      break
    }
    count += 1
  }
  return below.slice(0, count)
}

/** Whether two rows have nearly the same texts in the same places, and those of a header. */
function repeats(row: Row, header: Row): boolean {
  const named = header.cells.filter((cell) => cell.trim() !== '').length
  const same = header.cells.filter((cell, index) => cell.trim() !== '' && cell.trim() === row.cells[index]?.trim())
  return same.length >= 2 && same.length >= named * 0.8
}

function namesValues(row: Row, below: readonly Row[]): boolean {
  const filled = row.cells.filter((cell) => cell.trim() !== '').length
  if (below.length < 3 || row.fault !== null || filled * 2 < row.cells.length) {
    return false
  }
  let typed = 0
  for (const [index, cell] of row.cells.entries()) {
    const text = cell.trim()
    const values = below.map((other) => other.cells[index] ?? '').filter((value) => value.trim() !== '')
    const { kind, confidence } = classify(values)
    if (text !== '' && (ownKinds(text) !== Kind.none || NO_VALUE.test(text))) {
      return false
    }
    if (values.length >= 3 && kind !== 'TEXT' && kind !== 'LONG_TEXT' && confidence > 0.6) {
      if (text === '') {
        return false
      }
      typed += 1
    }
  }
  return typed >= 2 && typed * 3 >= row.cells.length
}

/** One header of several rows: what they say about a column stands side by side. */
function joined(rows: readonly Row[]): Row {
  const last = rows.at(-1)!
  const width = Math.max(...rows.map((row) => row.cells.length))
  const cells = Array.from({ length: width }, (_, index) =>
    rows
      .map((row) => row.cells[index]?.trim() ?? '')
      .filter((text) => text !== '')
      .join(' '),
  )
  return { ...last, cells }
}

/** A row below the last one of data. */
export const BELOW_TABLE: RowFault = {
  code: 'UNPARSABLE_ROW',
  message: 'The row stands below the table: it is a footer, or belongs to another table.',
}

/** A row that says what the header said, as where exports were joined or each page of a report has its own. */
export const HEADER_AGAIN: RowFault = {
  code: 'UNPARSABLE_ROW',
  message: 'The row repeats the header of the table and holds no data.',
}

/**
 * Tells for the cells of a row whether they repeat the header that these names of columns come from: nearly all names in
 * their places, two at least. Null where the names say too little to tell.
 */
export function headerRepeats(names: readonly string[]): ((cells: readonly string[]) => boolean) | null {
  const given = new Set(names)
  const texts = names.map((name, index) => {
    const [, first] = /^(.+) \(\d+\)$/.exec(name) ?? []
    return name === `Column ${index + 1}` ? '' : first !== undefined && given.has(first) ? first : name
  })
  const probe = texts.findIndex((text) => text !== '')
  const probed = texts[probe]
  const named = texts.filter((text) => text !== '').length
  if (probed === undefined || named < 2) {
    return null
  }
  const first = probed.charCodeAt(0)
  return (cells) => {
    const cell = cells[probe]
    if (cell === undefined || cell.length < probed.length) {
      return false
    }
    // One look at one letter spares nearly all rows the rest. A blank or a byte order mark may stand before it.
    const code = cell.charCodeAt(0)
    if ((code !== first && code > 32 && code < 127) || cleanName(cell) !== probed) {
      return false
    }
    const same = texts.filter((text, index) => text !== '' && cleanName(cells[index] ?? '') === text).length
    return same >= 2 && same >= named * 0.8
  }
}

export interface FoundEnd {
  /** Of the first row that is no data any more. */
  readonly index: number
  /** Rows with a higher number stand below the table. */
  readonly lastDataRow: number
  /** In words. */
  readonly what: string
}

/** Lines below a table that are looked at. */
const FOOTER_ROWS_MAX = 10

/** A cell that says of its row that it sums the table up or explains it: the whole cell, or followed by a colon or a number. */
const FOOTER_WORD =
  /^(?:(?:grand |sub)?totals?(?: (?:rows?|records?|count|amount|value|sum))?|sum|summe|gesamt(?:summe)?|totale?s?|somme|suma|(?:report |file )?(?:generated|exported|printed|created|downloaded)(?: on| at| by)?|erstellt am|sources?|quellen?|notes?|footnotes?|copyright|(?:rows?|records?) (?:count|returned|total))\.?\s*(?:$|[:*]|[-+]?[\d(])/i

/** The beginning of a sentence that no value begins with. */
const FOOTER_SENTENCE =
  /^(?:(?:report |file )?(?:generated|exported|printed|created|downloaded) (?:on|at|by)\b|end of (?:report|file|list|data)\b|\(c\) |©|page \d+\b|\d+ (?:rows?|records?|results?)\b)/i

/** An amount: digits, perhaps with a currency or a percent sign. */
const NUMBER = /^(?:\p{Lu}{3}|\p{Sc})?\s*[-+(]?\s*(?:\p{Sc}\s*)?\d[\d.,'’\s]*[)%]?\s*(?:\p{Lu}{3}|\p{Sc}|%)?$/u

/** Whether a row sums a table up or explains it. Real names begin with such words too: `Total Energies,Paris` is a company. */
function isFooter(filled: readonly string[]): boolean {
  const first = filled[0] ?? ''
  return (FOOTER_WORD.test(first) || FOOTER_SENTENCE.test(first)) && filled.slice(1).every((cell) => NUMBER.test(cell))
}

/**
 * Finds where a table of so many columns ends above the end of its file: at lines that sum it up. `data` are all its rows
 * below the header. Null where it goes on to the end.
 */
export function findEnd(columns: number, data: readonly Row[]): FoundEnd | null {
  let index = data.length
  let found = data.length
  while (index > 1 && data.length - index < FOOTER_ROWS_MAX && columns >= 2) {
    const row = data[index - 1]!
    const filled = row.cells.map((cell) => cell.trim()).filter((cell) => cell !== '')
    const short = filled.length <= Math.max(1, Math.floor(columns / 2))
    if (filled.length > 0 && !short) {
      break
    }
    index -= 1
    if (isFooter(filled)) {
      found = index
    } else if (filled.length > 1) {
      break
    }
  }
  const row = data[found]
  if (row === undefined || found === 0) {
    return null
  }
  const what = `From row ${row.number} on there are totals or notes below the table. They are not imported; they are listed as failed.`
  return { index: found, lastDataRow: row.number - 1, what }
}

/** Index of the header below lines of a name and a value (`Account:;DE12…`), as banks write them; `above` if there are none. */
function belowPairs(table: readonly Row[], above: number, usual: number): number {
  let index = above
  for (; index < table.length && usual >= 4; index += 1) {
    const filled = table[index]!.cells.map((cell) => cell.trim()).filter((cell) => cell !== '')
    if (filled.length > 2 || (filled.length * 2 >= usual && filled[0]?.endsWith(':') !== true)) {
      break
    }
  }
  const header = table[index]
  if (header === undefined || index === above || header.cells.length * 2 <= usual) {
    return above
  }
  // Only a row that is plainly a header takes the place of one with few names.
  return headerPoints(header, table.slice(index + 1, index + 1 + COMPARED_ROWS)) > 0 ? index : above
}

function isAbove(row: Row, usual: number): boolean {
  if (usual < 3) {
    return usual === 2 && row.cells.length === 1
  }
  const filled = row.cells.filter((cell) => cell.trim() !== '').length
  return filled <= Math.max(1, Math.floor(usual / 4))
}

/** Adds up what speaks for a header (above 0) and against one (below 0). */
function headerPoints(row: Row, below: readonly Row[]): number {
  if (row.cells.every((cell) => cell.trim() === '')) {
    return -1
  }
  let points = 0
  for (const [index, cell] of row.cells.entries()) {
    const text = cell.trim()
    if (text === '') {
      continue
    }
    const values = below.map((other) => other.cells[index] ?? '').filter((value) => value.trim() !== '')
    const own = ownKinds(text)
    const column = classify(values)
    const typed = column.kind !== 'TEXT' && column.kind !== 'LONG_TEXT' && column.confidence > 0.5
    if (own !== Kind.none) {
      if (values.length === 0) {
        points -= 2
      } else if (typed && classify([text]).kind === column.kind) {
        points -= 2
      }
    } else if (isNamed(text)) {
      points += 1
    } else if (typed) {
      points += 1
    } else if (values.includes(cell)) {
      points -= 1
    }
  }
  return points
}

/** Kinds that the text of a header is never of, as long as its column is: `No` and `contact.email` are good names. */
function ownKinds(text: string): number {
  const kinds = kindsOf(text) & ~Kind.boolean
  return (kinds & Kind.url) !== 0 && !/:\/\/|^www\./i.test(text) ? kinds & ~Kind.url : kinds
}

function isNamed(text: string): boolean {
  if (text.length > 60) {
    return false
  }
  const words = text
    .replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}]+/u)
  return words.some((word) => WORDS.has(word)) || /^[a-z]+(?:_[a-z0-9]+)+$/.test(text)
}
