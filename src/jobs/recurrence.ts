import type { RowKeys } from './key-table.js'

/** Bits of each of two maps: 16 MiB. With 3,000,000 keys one in forty that occur once is taken for one that recurs. */
const BITS = 2 ** 27

/**
 * Which keys of a file occur more than once, in the same memory for every file: a key that recurs is always known, one that
 * does not may be taken for one that does, the more often the larger the file.
 */
export class Recurrence {
  readonly #seen = new Uint32Array(BITS / 32)
  readonly #again = new Uint32Array(BITS / 32)

  /** Counts the keys of a row. */
  add({ first, second }: RowKeys): void {
    for (let slot = 0; slot < second.length; slot++) {
      if (second[slot] !== 0) {
        const place = placeOf(first[slot]!, second[slot]!)
        const bit = 1 << (place & 31)
        const word = place >>> 5
        if ((this.#seen[word]! & bit) === 0) {
          this.#seen[word]! |= bit
        } else {
          this.#again[word]! |= bit
        }
      }
    }
  }

  /** Whether one of the keys occurs in another row, too; also true where a row has one key in two slots. */
  recurs({ first, second }: RowKeys): boolean {
    for (let slot = 0; slot < second.length; slot++) {
      if (second[slot] !== 0) {
        const place = placeOf(first[slot]!, second[slot]!)
        if ((this.#again[place >>> 5]! & (1 << (place & 31))) !== 0) {
          return true
        }
      }
    }
    return false
  }
}

function placeOf(first: number, second: number): number {
  return (first ^ Math.imul(second, 0x9e3779b1)) & (BITS - 1)
}
