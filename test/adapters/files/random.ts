/** Seeded randomness and files made of it. A failing test names its seed, and the seed makes the same file again. */

export interface Random {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number
  pick<T>(from: readonly T[]): T
  chance(probability: number): boolean
}

export function random(seed: number): Random {
  let state = (seed * 2654435761 + 1) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return {
    below: (below) => Math.floor(next() * below),
    pick: (from) => from[Math.floor(next() * from.length)]!,
    chance: (probability) => next() < probability,
  }
}

export type TestEncoding = 'utf-8' | 'utf-16le' | 'utf-16be'

export function encode(text: string, encoding: TestEncoding): Buffer {
  if (encoding === 'utf-8') {
    return Buffer.from(text, 'utf8')
  }
  const bytes = Buffer.from(text, 'utf16le')
  return encoding === 'utf-16be' ? bytes.swap16() : bytes
}

export interface GeneratedRow {
  readonly number: number
  readonly byte: number
  readonly end: number
  readonly cells: readonly string[]
}

export interface GeneratedFile {
  readonly bytes: Buffer
  readonly encoding: TestEncoding
  readonly delimiter: string
  readonly quote: string
  /** Including the header, which is the first. */
  readonly rows: readonly GeneratedRow[]
}

const PIECES = ['a', 'Zoë', '東京', '😀', ' ', '', '0', '-1.5', 'x@y.de', 'it', '\u2028', '\u00a0']

/** A well-formed file of which each row's place, number and cells are known because it was put there. */
export function wellFormed(from: Random): GeneratedFile {
  const encoding = from.pick(['utf-8', 'utf-8', 'utf-16le', 'utf-16be'] as const)
  const delimiter = from.pick([',', ';', '\t', '|', ':'])
  const quote = from.pick(['"', '"', "'"])
  const lineEnds = from.chance(0.3) ? ['\n', '\r\n', '\r'] : [from.pick(['\n', '\r\n', '\r'])]
  const columns = 1 + from.below(6)
  const parts: Buffer[] = []
  let byte = 0
  let number = 1
  const add = (text: string): void => {
    const bytes = encode(text, encoding)
    parts.push(bytes)
    byte += bytes.length
  }
  if (encoding !== 'utf-8' || from.chance(0.3)) {
    add('\ufeff')
  }
  const rows: GeneratedRow[] = []
  const count = 1 + from.below(30)
  for (let index = 0; index < count; index += 1) {
    while (index > 0 && from.chance(0.1)) {
      // Behind a CR, a LF alone would be the rest of the same line end.
      add(lineEnds.length > 1 ? '\r\n' : lineEnds[0]!)
      number += 1
    }
    const start = byte
    const cells: string[] = []
    for (let column = 0; column < columns; column += 1) {
      let cell = ''
      let quoted = from.chance(0.2)
      for (let length = from.below(4); length > 0; length -= 1) {
        const special = from.chance(0.2)
        cell += special ? from.pick([delimiter, quote, '\n', '\r', '\r\n', ',', ';']) : from.pick(PIECES)
        quoted ||= special
      }
      // A row of one empty cell is written as a quoted one: as nothing at all it would be an empty line.
      quoted ||= columns === 1 && cell === ''
      cells.push(cell)
      add(quoted ? quote + cell.replaceAll(quote, quote + quote) + quote : cell)
      add(column < columns - 1 ? delimiter : '')
    }
    const last = index === count - 1
    add(last && from.chance(0.5) ? '' : from.pick(lineEnds))
    rows.push({ number, byte: start, end: byte, cells })
    number += 1
  }
  return { bytes: Buffer.concat(parts), encoding, delimiter, quote, rows }
}

const SOUP = [
  'a',
  'b',
  'é',
  '😀',
  ',',
  ',',
  '"',
  '"',
  '""',
  "'",
  '\n',
  '\n',
  '\r\n',
  '\r',
  ' ',
  '\t',
  '\0',
  '\ufffd',
  'abcdefgh',
]

/** What nobody would write: everything that means something, in any order. */
export function soup(from: Random): string {
  let text = ''
  for (let length = from.below(80); length > 0; length -= 1) {
    text += from.pick(SOUP)
  }
  return text
}
