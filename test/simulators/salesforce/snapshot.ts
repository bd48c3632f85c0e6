/** What a query found when it was asked: changes that come later do not show in its pages, which can be read again. */
import type { Place, Table } from '../common/table.js'

/** Places of records, as they stood. */
export class Snapshot {
  readonly table: Table
  readonly #indices: Int32Array
  readonly #updated: Float64Array
  readonly #versions: Uint16Array
  readonly #gone = new Map<number, Place>()

  constructor(table: Table, places: readonly Place[]) {
    this.table = table
    this.#indices = Int32Array.from(places, ({ index }) => index)
    this.#updated = Float64Array.from(places, ({ updatedAt }) => updatedAt)
    this.#versions = Uint16Array.from(places, ({ version }) => version)
    for (const [at, place] of places.entries()) {
      if (place.deletedAt !== null) {
        this.#gone.set(at, place)
      }
    }
  }

  get size(): number {
    return this.#indices.length
  }

  /** Between the first and the last of these numbers, the last one not included. */
  *places(from: number, to: number): Generator<Place> {
    for (let at = from; at < Math.min(to, this.size); at++) {
      const index = this.#indices[at] ?? 0
      const place = this.#gone.get(at) ?? this.table.place(index)
      if (place !== null) {
        yield this.#gone.has(at)
          ? place
          : {
              ...place,
              version: this.#versions[at] ?? 0,
              updatedAt: this.#updated[at] ?? 0,
              deletedAt: null,
              mergedInto: null,
            }
      }
    }
  }
}
