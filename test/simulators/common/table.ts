/**
 * Records that are made when they are asked for: a row is a function of the seed, the object, its place and its version, so
 * that 200,000 of them take no memory. Only what was changed, deleted or added since the start is kept.
 */
import { Random } from '../../helpers/random.js'
import type { Row } from './types.js'

/** Where a record stands. Times are milliseconds since 1970. */
export interface Place {
  readonly index: number
  /** 0: as at the start; grows with each change. */
  readonly version: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly deletedAt: number | null
  /** Place of the record that it was merged into. */
  readonly mergedInto: number | null
}

interface Change {
  readonly version: number
  readonly at: number
  /** From when on it can be read. */
  readonly visibleAt: number
}

export interface TableOptions {
  readonly seed: number
  readonly object: string
  /** Records at the start. */
  readonly count: number
  /** The time of the last one; they go back from there. */
  readonly until: number
  /** Milliseconds between the changes of two neighbours; several share one moment, see `plateau`. */
  readonly step?: number
  /** So many neighbours were changed in the same moment; 7 if absent. */
  readonly plateau?: number
  /** Makes the record; `random` is seeded with its place. */
  readonly make: (place: Place, random: Random) => Row
  readonly idOf: (index: number) => string
  readonly now: () => number
}

/** A seed of its own for everything that has a name. */
export function seedOf(seed: number, ...names: readonly (string | number)[]): number {
  let hash = seed >>> 0
  for (const character of names.join('\u0001')) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0
  }
  return hash
}

/** The records of one object. */
export class Table {
  readonly options: Required<TableOptions>
  /** Versions after the first, by place. */
  readonly #changes = new Map<number, Change[]>()
  readonly #gone = new Map<number, { readonly at: number; readonly mergedInto: number | null }>()
  readonly #added: number[] = []
  readonly #seed: number

  constructor(options: TableOptions) {
    this.options = { step: 60_000, plateau: 7, ...options }
    this.#seed = seedOf(options.seed, options.object)
  }

  /** Places there are or were, deleted ones included. */
  get size(): number {
    return this.options.count + this.#added.length
  }

  /** Records there are. */
  get alive(): number {
    return this.size - this.#gone.size
  }

  idOf(index: number): string {
    return this.options.idOf(index)
  }

  /** Null: there never was one. */
  place(index: number): Place | null {
    if (!Number.isInteger(index) || index < 0 || index >= this.size) {
      return null
    }
    const createdAt = this.#createdAt(index)
    const change = this.#current(index)
    const gone = this.#gone.get(index)
    return {
      index,
      version: change?.version ?? 0,
      createdAt,
      updatedAt: Math.max(change?.at ?? this.#firstChange(index), gone?.at ?? 0),
      deletedAt: gone?.at ?? null,
      mergedInto: gone?.mergedInto ?? null,
    }
  }

  /** The record as it is now; a deleted one as it was last. */
  row(index: number): Row {
    const place = this.place(index)
    if (place === null) {
      throw new Error(`${this.options.object} has no record ${index}`)
    }
    return this.make(place)
  }

  make(place: Place): Row {
    return this.options.make(place, new Random(seedOf(this.#seed, place.index)))
  }

  isGone(index: number): boolean {
    return this.#gone.has(index)
  }

  /** Places in the order of their ids; deleted ones only if asked for. */
  *byId(from = 0, withDeleted = false): Generator<number> {
    for (let index = Math.max(0, from); index < this.size; index++) {
      if (withDeleted || !this.#gone.has(index)) {
        yield index
      }
    }
  }

  /** Places in the order of their last change, the ones of one moment by id; `since` included, `until` not. */
  *byChange(
    since = Number.NEGATIVE_INFINITY,
    until = Number.POSITIVE_INFINITY,
    withDeleted = false,
  ): Generator<number> {
    const late: Place[] = []
    for (const index of new Set([...this.#changes.keys(), ...this.#gone.keys()])) {
      const place = this.place(index)
      if (place !== null && this.#isLate(index)) {
        late.push(place)
      }
    }
    late.sort((one, other) => one.updatedAt - other.updatedAt || one.index - other.index)
    let next = 0
    for (let index = this.#firstAtOrAfter(since); index < this.size; index++) {
      const at = this.#firstChange(index)
      if (at >= until) {
        break
      }
      for (let place = late[next]; place !== undefined && place.updatedAt < at; place = late[++next]) {
        if (place.updatedAt >= since && place.updatedAt < until && (withDeleted || place.deletedAt === null)) {
          yield place.index
        }
      }
      if (!this.#isLate(index)) {
        yield index
      }
    }
    for (const place of late.slice(next)) {
      if (place.updatedAt >= since && place.updatedAt < until && (withDeleted || place.deletedAt === null)) {
        yield place.index
      }
    }
  }

  /** Places deleted at or after one moment and before another, oldest first. */
  deletedBetween(since: number, until: number): readonly number[] {
    return [...this.#gone]
      .filter(([, { at }]) => at >= since && at < until)
      .sort(([, one], [, other]) => one.at - other.at)
      .map(([index]) => index)
  }

  /** A further version; readable from `visibleAt` on. */
  edit(index: number, at = this.options.now(), visibleAt = at): void {
    const before = this.#changes.get(index) ?? []
    this.#changes.set(index, [...before, { version: (before.at(-1)?.version ?? 0) + 1, at, visibleAt }])
  }

  delete(index: number, mergedInto: number | null = null, at = this.options.now()): void {
    this.#gone.set(index, { at, mergedInto })
  }

  add(at = this.options.now()): number {
    this.#added.push(at)
    return this.size - 1
  }

  /** So many places that there are, spread over all, the same for one seed; `not` are left out. */
  some(n: number, seed: number, not: ReadonlySet<number> = new Set()): readonly number[] {
    const random = new Random(seedOf(this.#seed, seed))
    const found = new Set<number>()
    for (let tries = 0; found.size < Math.min(n, this.alive) && tries < n * 50 + 1000; tries++) {
      const index = random.below(this.size)
      if (!this.#gone.has(index) && !not.has(index)) {
        found.add(index)
      }
    }
    return [...found]
  }

  /** True: it stands where its last change or deletion puts it, not where it began. */
  #isLate(index: number): boolean {
    return this.#current(index) !== null || this.#gone.has(index)
  }

  #current(index: number): Change | null {
    const changes = this.#changes.get(index)
    if (changes === undefined) {
      return null
    }
    const now = this.options.now()
    return changes.findLast(({ visibleAt }) => visibleAt <= now) ?? null
  }

  /** Grows with the place, so that the order by time needs no index. */
  #firstChange(index: number): number {
    const { count, until, step, plateau } = this.options
    if (index >= count) {
      return this.#added[index - count] ?? until
    }
    return until - Math.floor((count - 1 - index) / plateau + 1) * step
  }

  #createdAt(index: number): number {
    const at = this.#firstChange(index)
    return index >= this.options.count ? at : at - (index % 400) * 3_600_000
  }

  #firstAtOrAfter(since: number): number {
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#firstChange(middle) < since) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }
}
