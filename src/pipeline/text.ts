/** Small things that every stage does to the text of a cell. */

/**
 * `cell` without white space around it. Nearly all cells have none, so the first and last character decide; the check
 * is what makes this cheaper than `trim()`.
 */
export function trimmed(cell: string): string {
  const length = cell.length
  if (length === 0) {
    return cell
  }
  const first = cell.charCodeAt(0)
  const last = cell.charCodeAt(length - 1)
  if (first > 32 && first < 127 && last > 32 && last < 127) {
    return cell
  }
  return cell.trim()
}

/**
 * A copy of `text` that shares no memory with the text it was cut from. The cells of a row are slices of a block of the
 * file, and a map that keeps one of them would keep the block.
 */
export function detached(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}

const NOT_A_WORD = /[^\p{L}\p{N}]+/gu
const MARKS = /\p{M}+/gu

/** `text` reduced to lower-case letters and digits without accents: `Closed - Won` and `closed_won` are `closedwon`. */
export function plainWord(text: string): string {
  return text.normalize('NFKD').replace(MARKS, '').toLowerCase().replace(NOT_A_WORD, '')
}

/** `text` cut at `length` characters, without half of a surrogate pair at its end. */
export function cut(text: string, length: number): string {
  if (text.length <= length) {
    return text
  }
  const code = text.charCodeAt(length - 1)
  return text.slice(0, code >= 0xd800 && code <= 0xdbff ? length - 1 : length)
}

/** How many texts a `remembering` function keeps before it starts afresh. */
const REMEMBERED = 2_000
/** Longer texts are not worth keeping: they hardly repeat. */
const REMEMBERED_LENGTH = 100

/** `read`, which must be pure, with its recent answers kept: for columns with few distinct values. */
export function remembering(read: (text: string) => string | null): (text: string) => string | null {
  const known = new Map<string, string | null>()
  return (text) => {
    const answer = known.get(text)
    if (answer !== undefined) {
      return answer
    }
    const value = read(text)
    if (text.length <= REMEMBERED_LENGTH) {
      if (known.size >= REMEMBERED) {
        known.clear()
      }
      known.set(detached(text), value === null ? null : detached(value))
    }
    return value
  }
}
