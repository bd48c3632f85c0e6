import { randomInt } from 'node:crypto'
import type { KeySlot } from '../adapters/crm/stage.js'

/** Slots of the smallest table; a power of two. */
const SLOTS_MIN = 1024

/** The seed of this thread. */
const OWN_SEED = randomInt(2 ** 32) | 0

/** A seed for threads that are to make the same hashes of the same keys. */
export function keySeed(): number {
  return randomInt(2 ** 32) | 0
}

/**
 * The keys of the row in hand, as two 32-bit hashes each. The hashes are seeded anew in each thread, or by who starts it: no file can be made
 * for them. Different keys are taken for one about once in 10^18 pairs, so they serve where that costs a detour and
 * nothing else.
 */
export class RowKeys {
  readonly #seed: number
  readonly slots: readonly KeySlot[]
  /** Of each slot; `second` is 0 where the row has no key. */
  readonly first: Int32Array
  readonly second: Int32Array

  constructor(slots: readonly KeySlot[], seed = OWN_SEED) {
    this.slots = slots
    this.#seed = seed
    this.first = new Int32Array(slots.length)
    this.second = new Int32Array(slots.length)
  }

  /** Takes the keys of the next row, one or none per slot. */
  set(keys: readonly (string | null)[]): void {
    for (let slot = 0; slot < this.slots.length; slot++) {
      const key = keys[slot]
      if (key === null || key === undefined) {
        this.second[slot] = 0
        continue
      }
      const kind = this.slots[slot]!.kind
      let first = this.#seed ^ kind
      let second = ~this.#seed + kind
      for (let at = 0; at < key.length; at++) {
        const code = key.charCodeAt(at)
        // Two multiplicative hashes (FNV-1a's prime, MurmurHash2's multiplier) that have nothing to do with each other.
        first = Math.imul(first ^ code, 0x01000193)
        second = Math.imul(second ^ code, 0x5bd1e995)
        second ^= second >>> 15
      }
      // FNV leaves the low bits poor, and those choose the place in a table.
      first = Math.imul(first ^ (first >>> 16), 0x85ebca6b)
      this.first[slot] = first ^ (first >>> 13)
      this.second[slot] = second | 1
    }
  }
}

/**
 * Hashed keys, each with a number. In typed arrays, because a map of a chunk's keys would be the largest thing that lives
 * longer than a row, and the collector would copy it again and again (measured: a third of what reading a row costs).
 */
export class KeyTable {
  #mask: number
  #size = 0
  #first: Int32Array
  /** 0: the place is empty. */
  #second: Int32Array
  #numbers: Int32Array

  /** `expected`: so many keys fit without growing. */
  constructor(expected: number) {
    const slots = Math.max(SLOTS_MIN, 2 ** Math.ceil(Math.log2(2 * expected + 1)))
    this.#mask = slots - 1
    this.#first = new Int32Array(slots)
    this.#second = new Int32Array(slots)
    this.#numbers = new Int32Array(slots)
  }

  /** The number kept with this key; -1 for none. */
  find(first: number, second: number): number {
    const at = this.#placeOf(first, second)
    return this.#second[at] === 0 ? -1 : this.#numbers[at]!
  }

  /** Keeps `number` with a key that is not there; answers -1 then, and else the number that stands there and stays. */
  findOrAdd(first: number, second: number, number: number): number {
    const at = this.#placeOf(first, second)
    if (this.#second[at] !== 0) {
      return this.#numbers[at]!
    }
    this.#first[at] = first
    this.#second[at] = second
    this.#numbers[at] = number
    this.#size += 1
    if (2 * this.#size > this.#mask) {
      this.#grow()
    }
    return -1
  }

  #placeOf(first: number, second: number): number {
    let at = first & this.#mask
    while (this.#second[at] !== 0 && (this.#first[at] !== first || this.#second[at] !== second)) {
      at = (at + 1) & this.#mask
    }
    return at
  }

  #grow(): void {
    const [firsts, seconds, numbers] = [this.#first, this.#second, this.#numbers]
    const slots = 2 * (this.#mask + 1)
    this.#mask = slots - 1
    this.#first = new Int32Array(slots)
    this.#second = new Int32Array(slots)
    this.#numbers = new Int32Array(slots)
    for (let from = 0; from < firsts.length; from++) {
      const second = seconds[from]!
      if (second !== 0) {
        const at = this.#placeOf(firsts[from]!, second)
        this.#first[at] = firsts[from]!
        this.#second[at] = second
        this.#numbers[at] = numbers[from]!
      }
    }
  }
}
