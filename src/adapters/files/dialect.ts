/**
 * Finds the delimiter and the quote of a CSV file: the pair under which rows have the same number of cells and cells look
 * like values. Neither alone is enough: a comma splits prose quite regularly, and a text that is not split at all looks
 * fine.
 */
import type { Row } from '../source.js'
import { kindsOf } from './kinds.js'

export interface FoundDialect {
  /** Null: one column. */
  readonly delimiter: string | null
  readonly quote: string | null
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
  ['~', 0.7],
  ['^', 0.7],
  [':', 0.4],
])

/** What one column is worth: less than any regular splitting, more than an irregular one. */
const ONE_COLUMN_WORTH = 0.18

/** Rows that are looked at, and cells in each. */
const SAMPLE_ROWS = 300
const SAMPLE_CELLS = 40

/** `scan` reads the beginning of the file, at most so many rows, with a dialect. */
export function findDialect(
  text: string,
  known: KnownDialect,
  scan: (delimiter: string | null, quote: string | null, maxRows: number) => readonly Row[],
): FoundDialect {
  if (known.delimiter !== undefined && known.quote !== undefined) {
    return { delimiter: known.delimiter, quote: known.quote, confidence: 1 }
  }
  const delimiters =
    known.delimiter === undefined
      ? [...DELIMITERS.keys()].filter((delimiter) => text.includes(delimiter))
      : [known.delimiter]
  const scored: { delimiter: string | null; quote: string | null; score: number }[] = []
  const consider = (delimiter: string | null): void => {
    for (const quote of quotesFor(delimiter, text, known.quote)) {
      scored.push({ delimiter, quote, score: score(scan(delimiter, quote, SAMPLE_ROWS), delimiter) })
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
    return { delimiter: null, quote: '"', confidence: 0 }
  }
  const others = scored.filter((candidate) => candidate.delimiter !== best.delimiter)
  const next = Math.max(0, ...others.map((candidate) => candidate.score))
  let confidence = best.score > 0 ? 1 - next / best.score / 2 : 0
  if (known.delimiter !== undefined) {
    confidence = 1
  } else if (best.delimiter === null && delimiters.length > 0) {
    confidence = Math.min(confidence, 0.7)
  }
  return { delimiter: best.delimiter, quote: best.quote, confidence: Math.round(confidence * 100) / 100 }
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

function score(rows: readonly Row[], delimiter: string | null): number {
  const first = rows[0]
  if (first === undefined) {
    return 0
  }
  const counts = rows.map((row) => row.cells.length)
  let cells = 0
  let worth = 0
  for (const row of rows) {
    for (const cell of row.cells.slice(0, SAMPLE_CELLS)) {
      cells += 1
      worth += row.fault?.code === 'UNPARSABLE_ROW' ? 0 : plausibility(cell, delimiter)
    }
  }
  const plausible = cells === 0 ? 0 : worth / cells
  if (delimiter === null) {
    return ONE_COLUMN_WORTH * plausible
  }
  const usual = usualCount(counts)
  if (usual < 2) {
    return 0
  }
  // A heading that is not split where the rows fall in two is a heading of one column.
  const heading = first.cells.length === 1 && usual === 2 ? 0.15 : 1
  // The chance that two rows have the same number of cells.
  const same = [...tally(counts).values()].reduce((sum, times) => sum + (times / rows.length) ** 2, 0)
  return same * ((usual - 1) / usual) * plausible * heading * (DELIMITERS.get(delimiter) ?? 1)
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
function plausibility(cell: string, delimiter: string | null): number {
  if (cell === '') {
    return 0.75
  }
  if (kindsOf(cell) !== 0) {
    return 1
  }
  if (/^["']|["']$/.test(cell)) {
    return 0.1
  }
  if (/[;|\t]/.test(cell)) {
    return 0.2
  }
  if (/^\s/.test(cell)) {
    return 0.5
  }
  if (delimiter !== ',' && cell.includes(',')) {
    return 0.6
  }
  return /^[\p{L}\p{N}]/u.test(cell) ? 0.9 : 0.5
}
