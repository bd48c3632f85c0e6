/**
 * Finds the delimiter and the quote of a CSV file: the pair under which rows have the same number of cells and cells look
 * like values. Neither alone is enough: a comma splits prose quite regularly, and a text that is not split at all looks
 * fine.
 */
import type { Row } from '../source.js'
import { kindsOf } from './kinds.js'

type Escape = 'DOUBLED' | 'BACKSLASH'

export interface FoundDialect {
  /** One or more characters; null: one column. A comma where the file would read the same without a delimiter. */
  readonly delimiter: string | null
  readonly quote: string | null
  readonly escape: Escape
  /** From 0 to 1: how far ahead of the next best delimiter this one is. */
  readonly confidence: number
}

/** What a person or the file itself said; undefined: find it. */
export interface KnownDialect {
  readonly delimiter: string | undefined
  readonly quote: string | null | undefined
}

/** How often each character means to separate where it could. A colon is part of every time and URL. */
const DELIMITERS: ReadonlyMap<string, number> = new Map([
  [',', 1],
  [';', 1],
  ['\t', 1.05],
  ['|', 0.95],
  ['\x1f', 1.2],
  ['\x01', 1.2],
  ['\x1e', 1.2],
  ['\x14', 1.2],
  ['\x02', 1.2],
  ['¦', 1],
  ['§', 0.9],
  ['¬', 0.9],
  ['~', 0.7],
  ['^', 0.7],
  ['#', 0.65],
  [':', 0.4],
  [' ', 0.4],
])

/** What one column is worth: less than any regular splitting, more than an irregular one. */
const ONE_COLUMN_WORTH = 0.18

/** Rows that are looked at, and cells in each. */
const SAMPLE_ROWS = 300
const SAMPLE_CELLS = 40

type Scan = (delimiter: string | null, quote: string | null, escape: Escape, maxRows: number) => readonly Row[]

interface Candidate {
  readonly delimiter: string | null
  readonly quote: string | null
  readonly score: number
}

/** `scan` reads the beginning of the file, at most so many rows, with a dialect; `whole`: there is no more of the file. */
export function findDialect(text: string, known: KnownDialect, whole: boolean, scan: Scan): FoundDialect {
  const { candidate, confidence } = choose(text, known, scan)
  const { quote } = candidate
  let { delimiter } = candidate
  if (known.delimiter === undefined && delimiter !== null) {
    delimiter = widen(text, delimiter, quote)
  } else if (known.delimiter === undefined && whole && readsTheSame(text, quote, scan)) {
    delimiter = ','
  }
  return { delimiter, quote, escape: escapeOf(text, delimiter, quote, scan), confidence }
}

function choose(
  text: string,
  known: KnownDialect,
  scan: Scan,
): { readonly candidate: Candidate; readonly confidence: number } {
  if (known.delimiter !== undefined && known.quote !== undefined) {
    return { candidate: { delimiter: known.delimiter, quote: known.quote, score: 1 }, confidence: 1 }
  }
  const delimiters =
    known.delimiter === undefined
      ? [...DELIMITERS.keys()].filter((delimiter) => text.includes(delimiter))
      : [known.delimiter]
  const scored: Candidate[] = []
  const consider = (delimiter: string | null): void => {
    for (const quote of quotesFor(delimiter, text, known.quote)) {
      const doubled = worth(scan(delimiter, quote, 'DOUBLED', SAMPLE_ROWS), delimiter, quote)
      const score =
        quote !== null && text.includes(`\\${quote}`)
          ? Math.max(doubled, worth(scan(delimiter, quote, 'BACKSLASH', SAMPLE_ROWS), delimiter, quote))
          : doubled
      scored.push({ delimiter, quote, score })
    }
  }
  for (const delimiter of delimiters) {
    consider(delimiter)
  }
  if (known.delimiter === undefined) {
    consider(null)
  }
  let best = scored[0]
  for (const candidate of scored) {
    // The first of equals wins: the order of candidates is that of likelihood.
    if (best === undefined || candidate.score > best.score * 1.000001) {
      best = candidate
    }
  }
  if (best === undefined) {
    return { candidate: { delimiter: null, quote: '"', score: 0 }, confidence: 0 }
  }
  const others = scored.filter((candidate) => candidate.delimiter !== best.delimiter)
  const next = Math.max(0, ...others.map((candidate) => candidate.score))
  let confidence = best.score > 0 ? 1 - next / best.score / 2 : 0
  if (known.delimiter !== undefined) {
    confidence = 1
  } else if (best.delimiter === null && delimiters.some((delimiter) => delimiter !== ' ' && delimiter !== '#')) {
    confidence = Math.min(confidence, 0.7)
  }
  return { candidate: best, confidence: Math.round(confidence * 100) / 100 }
}

/** Whether commas, where there are any, all stand inside of quotes. */
function readsTheSame(text: string, quote: string | null, scan: Scan): boolean {
  return !text.includes(',') || scan(',', quote, 'DOUBLED', text.length).every((row) => row.cells.length === 1)
}

/** Characters of the beginning in which all delimiters must have company for it to belong to them. */
const WIDENED_LENGTH = 64 * 1024

/** Delimiters seen before they may be longer than one character. */
const WIDENED_DELIMITERS_MIN = 4

/** A delimiter that never stands alone is longer than it: `, `, `||`, `::`. */
function widen(text: string, delimiter: string, quote: string | null): string {
  if (delimiter === ' ') {
    return delimiter
  }
  let seen = 0
  let behind = 0
  let runs = 0
  let evenRuns = 0
  let quoted = false
  for (let at = 0; at < Math.min(text.length, WIDENED_LENGTH); at += 1) {
    const character = text[at]!
    if (character === quote) {
      quoted = !quoted
    } else if (character === '\n' || character === '\r') {
      // A stray quote is forgotten with its line; the few lines within quotes do not matter.
      quoted = false
    } else if (character === delimiter && !quoted) {
      let end = at + 1
      while (text[end] === delimiter) {
        end += 1
      }
      const next = text[end]
      runs += 1
      evenRuns += (end - at) % 2 === 0 ? 1 : 0
      seen += end - at
      // More blanks than one, or some on both sides, align columns.
      const blank = next === ' ' && text[end + 1] !== ' ' && text[at - 1] !== ' '
      behind += end - at === 1 && (blank || next === '\n' || next === '\r' || next === undefined) ? 1 : 0
      at = end - 1
    }
  }
  if (seen < WIDENED_DELIMITERS_MIN) {
    return delimiter
  }
  if (evenRuns === runs && text.includes(delimiter + delimiter)) {
    return delimiter + delimiter
  }
  if (behind >= seen * 0.98 && text.includes(`${delimiter} `)) {
    return `${delimiter} `
  }
  return delimiter
}

/** Behind a backslash, if such quotes are there and fewer rows are broken when they are read so. */
function escapeOf(text: string, delimiter: string | null, quote: string | null, scan: Scan): Escape {
  if (quote === null || !text.includes(`\\${quote}`)) {
    return 'DOUBLED'
  }
  const broken = (escape: Escape): number =>
    scan(delimiter, quote, escape, SAMPLE_ROWS * 10).filter((row) => row.fault?.code === 'UNPARSABLE_ROW').length
  return broken('BACKSLASH') < broken('DOUBLED') ? 'BACKSLASH' : 'DOUBLED'
}

function quotesFor(
  delimiter: string | null,
  text: string,
  known: string | null | undefined,
): readonly (string | null)[] {
  if (known !== undefined) {
    return [known]
  }
  const quotes: (string | null)[] = ['"']
  if (opensCells(text, delimiter, "'")) {
    quotes.push("'")
  }
  if (opensCells(text, delimiter, '"')) {
    quotes.push(null)
  }
  return quotes
}

function opensCells(text: string, delimiter: string | null, quote: string): boolean {
  return (
    text.startsWith(quote) ||
    text.includes(`\n${quote}`) ||
    text.includes(`\r${quote}`) ||
    (delimiter !== null && text.includes(delimiter + quote))
  )
}

/** Lines above the table that a delimiter need not split. */
const HEADING_ROWS_MAX = 20

/** How well the rows that a delimiter makes look like a table of values. */
function worth(all: readonly Row[], delimiter: string | null, quote: string | null): number {
  const uncommented = all.filter((row) => !/^\s*#/.test(row.cells[0] ?? ''))
  const rows = delimiter === '#' || uncommented.length === 0 ? all : uncommented
  if (rows.length === 0) {
    return 0
  }
  if (delimiter === null) {
    return ONE_COLUMN_WORTH * plausible(rows, delimiter, quote)
  }
  // A title is not split as the table below it is.
  let heading = 0
  while (heading < HEADING_ROWS_MAX && heading < rows.length && rows[heading]!.cells.length === 1) {
    heading += 1
  }
  const table = heading * 2 > rows.length ? rows : rows.slice(heading)
  const counts = table.map((row) => row.cells.length)
  const usual = usualCount(counts)
  if (usual < 2 || (delimiter === '#' && table.length < 4 && (usual < 3 || counts.some((count) => count !== usual)))) {
    return 0
  }
  // The chance that two rows have the same number of cells.
  const same = [...tally(counts).values()].reduce((sum, times) => sum + (times / table.length) ** 2, 0)
  let score = same * ((usual - 1) / usual) * plausible(table, delimiter, quote) * (DELIMITERS.get(delimiter) ?? 1)
  if (table.length < rows.length) {
    score *= headingFactor(rows[0]!, table, delimiter, usual)
  }
  const filled = table.filter((row) => row.cells.some((cell) => cell.trim() !== ''))
  const split = filled.filter((row) => row.cells.slice(1).some((cell) => cell.trim() !== ''))
  if (split.length * 4 < filled.length) {
    // It ends lines and separates nothing.
    score *= 0.1
  }
  return isPartOfValues(table, delimiter) ? score * 0.2 : score
}

/** A heading that is not split where the rows fall in two is one of a single column, unless they are plainly two values. */
function headingFactor(first: Row, table: readonly Row[], delimiter: string, usual: number): number {
  const title = first.cells[0] ?? ''
  const others = [...DELIMITERS.keys()].filter((one) => one !== ' ' && one !== delimiter && title.includes(one))
  const times = (text: string, one: string): number => text.split(one).length
  if (others.some((one) => table.every((row) => times(row.cells.join(delimiter), one) === times(title, one)))) {
    // Another delimiter splits the title and all below it alike.
    return 0.15
  }
  const other = others.length > 0
  if (usual > 2 || /[;\t|]/.test(delimiter)) {
    return other ? 0.6 : 0.95
  }
  const typed = table.filter((row) => row.cells.every((cell) => kindsOf(cell) !== 0)).length
  return typed >= table.length * 0.8 ? 0.9 : 0.15
}

/** Times are full of colons, and words of blanks. */
function isPartOfValues(table: readonly Row[], delimiter: string): boolean {
  if (delimiter === ' ') {
    const all = table.flatMap((row) => row.cells.slice(0, SAMPLE_CELLS))
    return (
      table.length < 3 || all.filter((cell) => cell === '' || /^[,;:.!?-]|[,;:]$/.test(cell)).length * 10 > all.length
    )
  }
  const digits = table.filter((row) =>
    row.cells.some((cell, index) => /\d$/.test(cell) && /^\d\d(?!\d)/.test(row.cells[index + 1] ?? '')),
  )
  return delimiter === ':' && digits.length * 2 >= table.length
}

/** The average of what the first cells of the rows look like. */
function plausible(rows: readonly Row[], delimiter: string | null, quote: string | null): number {
  let cells = 0
  let sum = 0
  for (const row of rows) {
    for (const cell of row.cells.slice(0, SAMPLE_CELLS)) {
      cells += 1
      sum += row.fault?.code === 'UNPARSABLE_ROW' ? 0 : plausibility(cell, delimiter, quote)
    }
  }
  return cells === 0 ? 0 : sum / cells
}

/** The most frequent of `counts`, the greatest of equally frequent ones; 0 if there are none. */
export function usualCount(counts: readonly number[]): number {
  let usual = 0
  let most = 0
  for (const [count, times] of tally(counts)) {
    if (times > most || (times === most && count > usual)) {
      usual = count
      most = times
    }
  }
  return usual
}

function tally(counts: readonly number[]): ReadonlyMap<number, number> {
  const times = new Map<number, number>()
  for (const count of counts) {
    times.set(count, (times.get(count) ?? 0) + 1)
  }
  return times
}

/** From 0 to 1: how much `cell` looks like one whole value. */
function plausibility(cell: string, delimiter: string | null, quote: string | null): number {
  if (cell === '') {
    return 0.75
  }
  if (kindsOf(cell) !== 0 || /^\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?$/.test(cell)) {
    return 1
  }
  if (/^["']|["']$/.test(cell) || (quote === '"' && /^[^"]*"[^"]*$/.test(cell))) {
    return 0.1
  }
  if (/[;|\t]/.test(cell)) {
    return /[;|\t](?! )/.test(cell) ? 0.25 : 0.6
  }
  if (/^\s/.test(cell)) {
    return 0.5
  }
  if (delimiter !== ',' && cell.includes(',')) {
    return 0.6
  }
  return /^[\p{L}\p{N}]/u.test(cell) ? 0.9 : 0.5
}
