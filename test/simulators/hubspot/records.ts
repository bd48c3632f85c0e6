/** The records of a simulated account: rows by kind, what belongs to what, and what the search has heard of. */
import { type Place, Table, type TableOptions } from '../common/table.js'
import {
  type Around,
  BACKWARDS,
  ID_STEP,
  KINDS,
  type Kind,
  type Properties,
  RELATIONS,
  type Relation,
} from './objects.js'

/** Contacts of the one meeting to which a whole open house came: more than one page of associations. */
export const OPEN_HOUSE_GUESTS = 1200
const OPEN_HOUSE: Relation = { from: 'meetings', to: 'contacts', offset: 0, every: 1, typeId: 192, label: null }

/** A record as every answer has it, with all properties there are. */
export interface Thing {
  readonly kind: Kind
  readonly place: Place
  readonly id: string
  readonly properties: Properties
}

export interface Association {
  readonly id: string
  readonly types: readonly { readonly typeId: number; readonly label: string | null }[]
}

export interface RecordsOptions {
  readonly seed: number
  readonly counts: { readonly [object: string]: number }
  readonly nasty: boolean
  readonly owners: number
  readonly until: number
  readonly now: () => number
  /** Milliseconds until the search has heard of a change. */
  readonly lagMs: number
  /** Neighbours that were changed in one moment. */
  readonly plateau?: number | undefined
}

/** Records with what the search has heard of them, which is always a little less than what there is. */
export class IndexedTable extends Table {
  readonly #lagMs: number
  /** By place: how records were before changes, each until the search has heard of the change. */
  readonly #before = new Map<number, { readonly place: Place; readonly until: number }[]>()
  /** By place: when the search hears of a new record. */
  readonly #young = new Map<number, number>()
  readonly #losers = new Map<number, number[]>()
  /** Deleted for good, so that not even the archive has them. */
  readonly #forgotten = new Set<number>()

  constructor(options: TableOptions, lagMs: number) {
    super(options)
    this.#lagMs = lagMs
  }

  override edit(index: number, at = this.options.now(), visibleAt = at): void {
    const place = this.place(index)
    if (place !== null && this.#lagMs > 0) {
      this.#before.set(index, [...(this.#before.get(index) ?? []), { place, until: visibleAt + this.#lagMs }])
    }
    super.edit(index, at, visibleAt)
  }

  override add(at = this.options.now()): number {
    const index = super.add(at)
    this.#young.set(index, at + this.#lagMs)
    return index
  }

  override delete(index: number, mergedInto: number | null = null, at = this.options.now()): void {
    super.delete(index, mergedInto, at)
    if (mergedInto !== null) {
      this.#losers.set(mergedInto, [...(this.#losers.get(mergedInto) ?? []), index])
      this.edit(mergedInto, at)
    }
  }

  forget(index: number): void {
    this.delete(index)
    this.#forgotten.add(index)
  }

  isForgotten(index: number): boolean {
    return this.#forgotten.has(index)
  }

  /** Places that became part of this one. */
  losers(index: number): readonly number[] {
    return this.#losers.get(index) ?? []
  }

  /** The record as the search knows it; null: it does not. Archived ones it never has. */
  searchable(index: number): Place | null {
    const now = this.options.now()
    if (this.isGone(index) || (this.#young.get(index) ?? 0) > now) {
      return null
    }
    return this.#before.get(index)?.find(({ until }) => until > now)?.place ?? this.place(index)
  }
}

export class Records {
  readonly tables = new Map<string, IndexedTable>()

  constructor(options: RecordsOptions) {
    const around: Around = { nasty: options.nasty, owners: options.owners }
    for (const kind of KINDS) {
      const table = new IndexedTable(
        {
          seed: options.seed,
          object: kind.name,
          count: options.counts[kind.name] ?? 0,
          until: options.until,
          make: (place, random) => kind.make(place, random, around),
          idOf: (index) => String(kind.firstId + index * ID_STEP),
          now: options.now,
          ...(options.plateau === undefined ? {} : { plateau: options.plateau }),
        },
        options.lagMs,
      )
      this.tables.set(kind.name, table)
    }
  }

  table(object: string): IndexedTable {
    const table = this.tables.get(object)
    if (table === undefined) {
      throw new Error(`HubSpot has no ${object}`)
    }
    return table
  }

  /** The place of an id; null: no record ever had it. */
  placeOf(kind: Kind, id: string): number | null {
    const index = /^\d{1,15}$/.test(id) ? (Number(id) - kind.firstId) / ID_STEP : -1
    return Number.isInteger(index) && index >= 0 && index < this.table(kind.name).size ? index : null
  }

  /** The record at a place, archived or not; null: there is none, or it was forgotten. */
  at(kind: Kind, index: number): Thing | null {
    const place = this.table(kind.name).place(index)
    return place === null || this.table(kind.name).isForgotten(index) ? null : this.thing(kind, place)
  }

  thing(kind: Kind, place: Place): Thing {
    const table = this.table(kind.name)
    const id = table.idOf(place.index)
    const made = table.make(place) as Properties
    const losers = table.losers(place.index).map((loser) => table.idOf(loser))
    return {
      kind,
      place,
      id,
      properties: {
        ...made,
        hs_object_id: id,
        [kind.created]: new Date(place.createdAt).toISOString(),
        [kind.modified]: new Date(place.updatedAt).toISOString(),
        hs_merged_object_ids: losers.length > 0 ? losers.join(';') : null,
        hs_object_source_label: 'CRM_UI',
      },
    }
  }

  /** What belongs to the record, by id; what is gone belongs to nothing. */
  associated(from: Kind, index: number, to: Kind): readonly Association[] {
    const source = this.table(from.name)
    const target = this.table(to.name)
    const found = new Map<number, { typeId: number; label: string | null }[]>()
    const put = (place: number, typeId: number, label: string | null) => {
      if (!target.isGone(place)) {
        const types = found.get(place) ?? []
        if (!types.some((known) => known.typeId === typeId)) {
          types.push({ typeId, label })
        }
        found.set(place, types)
      }
    }
    if (source.isGone(index)) {
      return []
    }
    for (const relation of RELATIONS) {
      if (relation.from === from.name && relation.to === to.name && index % relation.every === 0 && target.size > 0) {
        put((index + relation.offset) % target.size, relation.typeId, relation.label)
      }
      if (relation.to === from.name && relation.from === to.name && source.size > 0) {
        const first = (((index - relation.offset) % source.size) + source.size) % source.size
        for (let place = first; place < target.size; place += source.size) {
          if (place % relation.every === 0) {
            put(place, relation.typeId + BACKWARDS, relation.label)
          }
        }
      }
    }
    const guests = Math.min(OPEN_HOUSE_GUESTS, this.table('contacts').size)
    if (from.name === OPEN_HOUSE.from && to.name === OPEN_HOUSE.to && index === 0) {
      for (let place = 0; place < guests; place++) {
        put(place, OPEN_HOUSE.typeId, null)
      }
    }
    if (from.name === OPEN_HOUSE.to && to.name === OPEN_HOUSE.from && index < guests && target.size > 0) {
      put(0, OPEN_HOUSE.typeId + BACKWARDS, null)
    }
    return [...found].sort(([one], [other]) => one - other).map(([place, types]) => ({ id: target.idOf(place), types }))
  }
}
