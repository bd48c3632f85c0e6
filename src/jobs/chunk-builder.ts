import { copyLine } from '../adapters/crm/stage.js'
import type { RelatedChunk } from '../adapters/crm/write.js'
import type { Cursor, Row } from '../adapters/source.js'
import type { MappedRow } from '../pipeline/mapped.js'
import type { Issue } from '../pipeline/types.js'
import { KeyTable, type RowKeys } from './key-table.js'
import type { StagedKeys } from './recurrence.js'

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
  /** What the staged rows say about records that they refer to; empty where they only refer. */
  readonly related: readonly RelatedChunk[]
  /** By what the staged rows can be told to share a key with another row of the file; null where nobody asked. */
  readonly keys: StagedKeys | null
}

/** COPY text is gathered in blocks of so many bytes. */
const BLOCK_BYTES = 128 * 1024

/** UTF-8 takes at most so many bytes for one unit of UTF-16. */
const BYTES_PER_UNIT_MAX = 3

/** Gathers rows until they are a chunk. */
export class ChunkBuilder {
  /** Each key of the chunk with the number of the first row that had it, counted among the staged ones. */
  readonly #keys: KeyTable
  /** Of each staged row the row whose group of keys its own have become part of, itself if none; and its pass. */
  readonly #joined: number[] = []
  readonly #passes: number[] = []
  #previous: ChunkBuilder | null
  #meetsPrevious = false
  rows = 0
  bytes = 0
  readonly #kept: { readonly rows: number[]; readonly first: number[]; readonly second: number[] } | null
  readonly #started = performance.now()
  #first: Row | null = null
  #last: Row | null = null
  #staged = 0
  #lastPass = 0
  #block: Buffer<ArrayBuffer> | null = null
  #blockBytes = 0
  readonly #copy: Uint8Array[] = []
  readonly #failed: { row: number; byte: number; sourceId: string | null }[] = []
  readonly #issues: Issue[] = []
  readonly #warned: number[] = []
  readonly #spans: [number, number][] = []

  /** `keys`: how many there may be. `previous`: the chunk before this one, which may be in flight beside it. `keepsKeys`: hands the keys of its rows over. */
  constructor(keys: number, previous: ChunkBuilder | null, keepsKeys = false) {
    this.#keys = new KeyTable(keys)
    this.#kept = keepsKeys ? { rows: [], first: [], second: [] } : null
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
  passOf({ first, second }: RowKeys): number {
    let pass = 0
    for (let slot = 0; slot < second.length; slot++) {
      if (second[slot] !== 0) {
        const row = this.#keys.find(first[slot]!, second[slot]!)
        if (row >= 0) {
          pass = Math.max(pass, this.#passes[this.#rootOf(row)]! + 1)
        }
      }
    }
    return pass
  }

  /** Makes one group of all groups that a row's own keys belong to; its pass is that of the row, the highest of all. */
  #tie({ slots, first, second }: RowKeys, pass: number): void {
    const own = this.#passes.length
    this.#passes.push(pass)
    this.#joined.push(own)
    for (let slot = 0; slot < second.length; slot++) {
      if (second[slot] === 0) {
        continue
      }
      const row = slots[slot]!.refers
        ? this.#keys.find(first[slot]!, second[slot]!)
        : this.#keys.findOrAdd(first[slot]!, second[slot]!, own)
      if (row < 0) {
        this.#meetsPrevious ||= this.#previous?.has(first[slot]!, second[slot]!) === true
      } else if (!slots[slot]!.refers) {
        this.#joined[this.#rootOf(row)] = own
      }
    }
  }

  /** The row that stands for the group which the keys of `row` have become part of. */
  #rootOf(row: number): number {
    let root = row
    while (this.#joined[root] !== root) {
      root = this.#joined[root]!
    }
    // Shorten the way for the next one: rows of one person would make it as long as they are many.
    for (let at = row; at !== root; ) {
      const next = this.#joined[at]!
      this.#joined[at] = root
      at = next
    }
    return root
  }

  /** This chunk, its own memory of the one before gone: a chain of them would hold the whole file. */
  withoutPrevious(): this {
    this.#previous = null
    return this
  }

  has(first: number, second: number): boolean {
    return this.#keys.find(first, second) >= 0
  }

  fail(row: Row, mapped: MappedRow, externalId: number): void {
    this.#take(row)
    this.#failed.push({
      row: row.number,
      byte: row.byte,
      sourceId: externalId < 0 ? null : (mapped.values[externalId] ?? null),
    })
    this.#report(mapped.issues)
  }

  /** Issues count in the size of a chunk, too: they go to the database as text, and a bad file has more of them than rows. */
  #report(issues: readonly Issue[]): void {
    for (const issue of issues) {
      this.#issues.push(issue)
      this.bytes += issue.message.length + (issue.value?.length ?? 0) + (issue.suggestion?.length ?? 0)
    }
  }

  stage(row: Row, mapped: MappedRow, keys: RowKeys, pass: number, id: string): void {
    this.#take(row)
    this.#tie(keys, pass)
    if (this.#kept !== null) {
      this.#kept.rows.push(row.number)
      this.#kept.first.push(...keys.first)
      this.#kept.second.push(...keys.second)
    }
    this.#lastPass = Math.max(this.#lastPass, pass)
    this.#write(copyLine(row.number, id, row.byte, pass, mapped))
    this.#staged += 1
    if (mapped.issues.length > 0) {
      this.#report(mapped.issues)
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

  #write(line: string): void {
    const most = line.length * BYTES_PER_UNIT_MAX
    if (this.#block === null || this.#block.length - this.#blockBytes < most) {
      this.#endBlock()
      // A buffer of its own (not of Node's pool), so that it can be handed over to the other thread.
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, most))
    }
    const bytes = this.#block.write(line, this.#blockBytes)
    this.#blockBytes += bytes
    this.bytes += bytes
  }

  #endBlock(): void {
    if (this.#block !== null) {
      this.#copy.push(this.#block.subarray(0, this.#blockBytes))
      this.#block = null
      this.#blockBytes = 0
    }
  }

  /** The rows of a related record, which are fewer than those of the chunk, perhaps none. */
  finishRelated(path: string, same: readonly (readonly [row: number, as: number])[]): RelatedChunk {
    this.#endBlock()
    return {
      path,
      firstRow: this.#first?.number ?? 0,
      lastRow: this.#last?.number ?? 0,
      copy: this.#copy,
      staged: this.#staged,
      lastPass: this.#lastPass,
      warned: [],
      same,
    }
  }

  finish(stopped: boolean): ReadChunk {
    this.#endBlock()
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
      related: [],
      keys:
        this.#kept === null
          ? null
          : {
              rows: this.#kept.rows,
              first: Int32Array.from(this.#kept.first),
              second: Int32Array.from(this.#kept.second),
            },
    }
  }
}
