import type { RowKeys } from './key-table.js'

/** The keys of the staged rows of a chunk, as `RowKeys` hashes them. */
export interface StagedKeys {
  readonly rows: readonly number[]
  /** Hashes of one key after the other, the same number for each row; `second` is 0 where a row has no key. */
  readonly first: Int32Array
  readonly second: Int32Array
}

/** The two maps, in memory that threads share. */
export interface RecurrenceMaps {
  readonly seen: SharedArrayBuffer
  readonly again: SharedArrayBuffer
}

/** Bits of each of two maps: 16 MiB. With 3,000,000 keys one in forty that occur once is taken for one that recurs. */
const BITS = 2 ** 27

/**
 * Which keys of a file occur more than once, in the same memory for every file: a key that recurs is always known, one that
 * does not may be taken for one that does, the more often the larger the file.
 */
export class Recurrence {
  /** What another thread continues from, once this one is done. */
  readonly maps: RecurrenceMaps
  readonly #seen: Uint32Array
  readonly #again: Uint32Array

  constructor(
    maps: RecurrenceMaps = { seen: new SharedArrayBuffer(BITS / 8), again: new SharedArrayBuffer(BITS / 8) },
  ) {
    this.maps = maps
    this.#seen = new Uint32Array(maps.seen)
    this.#again = new Uint32Array(maps.again)
  }

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
        if (this.#has(first[slot]!, second[slot]!)) {
          return true
        }
      }
    }
    return false
  }

  /** The rows of a chunk one of whose keys occurs in another row of the file. */
  recurring({ rows, first, second }: StagedKeys): number[] {
    const slots = first.length / Math.max(rows.length, 1)
    return rows.filter((_, n) => {
      for (let at = n * slots; at < (n + 1) * slots; at++) {
        if (second[at] !== 0 && this.#has(first[at]!, second[at]!)) {
          return true
        }
      }
      return false
    })
  }

  #has(first: number, second: number): boolean {
    const place = placeOf(first, second)
    return (this.#again[place >>> 5]! & (1 << (place & 31))) !== 0
  }
}

function placeOf(first: number, second: number): number {
  return (first ^ Math.imul(second, 0x9e3779b1)) & (BITS - 1)
}
