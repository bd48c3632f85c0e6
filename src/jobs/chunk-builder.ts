import { copyLine, type KeySlot } from '../adapters/crm/stage.js'
import type { Cursor, Row } from '../adapters/source.js'
import type { MappedRow } from '../pipeline/mapped.js'
import type { Issue } from '../pipeline/types.js'

/** The rows of one transaction as the reading thread hands them over: staged as COPY text, or failed already. */
export interface ReadChunk {
  readonly from: Cursor
  /** Where the next chunk starts: the cursor once this one is settled. */
  readonly next: Cursor
  readonly firstRow: number
  readonly lastRow: number
  readonly read: number
  readonly staged: number
  readonly copy: readonly Uint8Array[]
  readonly lastPass: number
  /** Rows that did not get as far as the database. */
  readonly failed: readonly { readonly row: number; readonly byte: number; readonly sourceId: string | null }[]
  readonly issues: readonly Issue[]
  /** Staged rows that carry a warning: they are listed one by one. */
  readonly warned: readonly number[]
  /** Staged rows without a warning, as the text of an int8multirange. */
  readonly plainRanges: string
  /** A key of this chunk occurs in the chunk before it: they cannot be written side by side. */
  readonly meetsPrevious: boolean
  readonly stopped: boolean
  readonly readMs: number
}

/** COPY text is encoded in pieces of so many rows: long enough to be quick, short enough for the heap's young space. */
const ENCODE_ROWS = 1000

/** Keys that may mean one record, and the last pass of a row that has one of them. */
interface KeyGroup {
  /** The group that this one has become part of; null while it stands for itself. */
  joined: KeyGroup | null
  readonly pass: number
}

function rootOf(group: KeyGroup): KeyGroup {
  let root = group
  while (root.joined !== null) {
    root = root.joined
  }
  // Shorten the way for the next one: rows of one person would make it as long as they are many.
  while (group !== root && group.joined !== null && group.joined !== root) {
    const next: KeyGroup = group.joined
    group.joined = root
    group = next
  }
  return root
}

/** Gathers rows until they are a chunk. */
export class ChunkBuilder {
  /** Of each kind of key, the keys of the chunk with the group of keys that each belongs to. */
  readonly #groups: readonly Map<string, KeyGroup>[]
  readonly #slots: readonly KeySlot[]
  #previous: ChunkBuilder | null
  #meetsPrevious = false
  rows = 0
  bytes = 0
  readonly #started = performance.now()
  #first: Row | null = null
  #last: Row | null = null
  #staged = 0
  #lastPass = 0
  #text: string[] = []
  readonly #copy: Uint8Array[] = []
  readonly #failed: { row: number; byte: number; sourceId: string | null }[] = []
  readonly #issues: Issue[] = []
  readonly #warned: number[] = []
  readonly #spans: [number, number][] = []

  /** `slots`: of a row's keys. `previous`: the chunk before this one, which may be in flight beside it. */
  constructor(slots: readonly KeySlot[], previous: ChunkBuilder | null) {
    this.#slots = slots
    this.#groups = Array.from({ length: Math.max(-1, ...slots.map((slot) => slot.kind)) + 1 }, () => new Map())
    this.#previous = previous
  }

  #take(row: Row): void {
    this.#first ??= row
    this.#last = row
    this.rows += 1
  }

  /**
   * The pass in which a row with these keys can be written: behind every earlier row of this chunk that may mean the same
   * record. Keys that stand in one row may come to stand in one record, so what counts is the whole group of keys that rows
   * have tied together: a row that gives a record another e-mail matters to whoever looks for the old one.
   */
  passOf(keys: readonly (string | null)[]): number {
    let pass = 0
    for (let slot = 0; slot < keys.length; slot++) {
      const key = keys[slot]
      if (key !== null && key !== undefined) {
        const group = this.#groups[this.#slots[slot]?.kind ?? 0]?.get(key)
        if (group !== undefined) {
          pass = Math.max(pass, rootOf(group).pass + 1)
        }
      }
    }
    return pass
  }

  #tie(keys: readonly (string | null)[], pass: number): void {
    const tied: KeyGroup = { joined: null, pass }
    for (let slot = 0; slot < keys.length; slot++) {
      const key = keys[slot]
      const { kind, refers } = this.#slots[slot] ?? { kind: 0, refers: false }
      const groups = this.#groups[kind]
      if (key === null || key === undefined || groups === undefined) {
        continue
      }
      const group = groups.get(key)
      if (group === undefined) {
        this.#meetsPrevious ||= this.#previous?.has(kind, key) === true
      }
      if (refers) {
        continue
      }
      if (group === undefined) {
        groups.set(key, tied)
      } else {
        const root = rootOf(group)
        if (root !== tied) {
          root.joined = tied
        }
      }
    }
  }

  /** This chunk, its own memory of the one before gone: a chain of them would hold the whole file. */
  withoutPrevious(): this {
    this.#previous = null
    return this
  }

  has(kind: number, key: string): boolean {
    return this.#groups[kind]?.has(key) === true
  }

  fail(row: Row, mapped: MappedRow, externalId: number): void {
    this.#take(row)
    this.#failed.push({
      row: row.number,
      byte: row.byte,
      sourceId: externalId < 0 ? null : (mapped.values[externalId] ?? null),
    })
    this.#issues.push(...mapped.issues)
  }

  stage(row: Row, mapped: MappedRow, keys: readonly (string | null)[], pass: number, id: string): void {
    this.#take(row)
    this.#tie(keys, pass)
    this.#lastPass = Math.max(this.#lastPass, pass)
    const line = copyLine(row.number, id, row.byte, pass, mapped)
    this.#text.push(line)
    this.bytes += line.length
    this.#staged += 1
    if (this.#text.length >= ENCODE_ROWS) {
      this.#encode()
    }
    if (mapped.issues.length > 0) {
      this.#issues.push(...mapped.issues)
      this.#warned.push(row.number)
    } else {
      const span = this.#spans.at(-1)
      if (span !== undefined && span[1] === row.number) {
        span[1] = row.number + 1
      } else {
        this.#spans.push([row.number, row.number + 1])
      }
    }
  }

  #encode(): void {
    if (this.#text.length > 0) {
      // A buffer of its own (not of Node's pool), so that it can be handed over to the other thread.
      this.#copy.push(new TextEncoder().encode(this.#text.join('')))
      this.#text = []
    }
  }

  finish(stopped: boolean): ReadChunk {
    this.#encode()
    const first = this.#first
    const last = this.#last
    if (first === null || last === null) {
      throw new Error('an empty chunk is never sent')
    }
    return {
      from: { byte: first.byte, row: first.number },
      next: { byte: last.end, row: last.number + 1 },
      firstRow: first.number,
      lastRow: last.number,
      read: this.rows,
      staged: this.#staged,
      copy: this.#copy,
      lastPass: this.#lastPass,
      failed: this.#failed,
      issues: this.#issues,
      warned: this.#warned,
      plainRanges: `{${this.#spans.map(([from, to]) => `[${from},${to})`).join(',')}}`,
      meetsPrevious: this.#meetsPrevious,
      stopped,
      readMs: performance.now() - this.#started,
    }
  }
}
