/**
 * The reading thread of a run: parses, maps and validates ahead of the database, off the event loop that renews leases.
 * One thread reads one file once, either to learn about it (`analyze`) or to stage its rows (`read`).
 */
import { parentPort, workerData } from 'node:worker_threads'
import { copyLine, keyExtractor, type WritePlan } from '../adapters/crm/stage.js'
import { openCsv } from '../adapters/files/csv.js'
import type { Dialect } from '../adapters/files/csv.js'
import type { Cursor, Row } from '../adapters/source.js'
import { EvidenceCollector } from '../pipeline/evidence.js'
import type { MappedRow } from '../pipeline/mapped.js'
import { compileMapping } from '../pipeline/map.js'
import type { ColumnEvidence, Issue, ResolvedMapping } from '../pipeline/types.js'
import { recordTypes } from '../records/index.js'
import { newIds } from './ids.js'

/** What the thread is started with. */
export type ReaderTask =
  | { readonly kind: 'analyze'; readonly path: string; readonly dialect: Dialect }
  | {
      readonly kind: 'read'
      readonly path: string
      readonly dialect: Dialect
      readonly from: Cursor | null
      readonly resolved: ResolvedMapping
      readonly plan: Omit<WritePlan, 'recordType'>
      readonly chunkRows: number
      /** Ends the stream behind the first row that failed. */
      readonly stopAtFailure: boolean
    }

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

export type ReaderMessage =
  | { readonly kind: 'chunk'; readonly chunk: ReadChunk }
  | { readonly kind: 'end'; readonly next: Cursor | null }
  | { readonly kind: 'progress'; readonly rows: number; readonly bytes: number }
  | { readonly kind: 'analyzed'; readonly rows: number; readonly evidence: readonly ColumnEvidence[] }

/** The parent's word that it takes another chunk, of about so many rows. */
export interface Credit {
  readonly rows: number
}

/** A chunk ends early when its COPY text grows past this, so that wide rows do not fill the memory. */
const CHUNK_BYTES = 8 * 1024 * 1024

/** Rows that share keys take turns within a chunk; with more turns than this the chunk ends instead. */
const MAX_PASSES = 32

/** COPY text is encoded in pieces of so many rows: long enough to be quick, short enough for the heap's young space. */
const ENCODE_ROWS = 1000

const PROGRESS_MS = 250

const port = parentPort
if (port !== null) {
  const task = workerData as ReaderTask
  if (task.kind === 'analyze') {
    await analyze(task)
  } else {
    await read(task)
  }
  port.close()
}

function send(message: ReaderMessage, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

async function analyze(task: Extract<ReaderTask, { kind: 'analyze' }>): Promise<void> {
  const source = await openCsv(task.path, task.dialect)
  const collector = new EvidenceCollector(source.columns)
  let rows = 0
  let told = performance.now()
  for await (const group of source.rows(null, new AbortController().signal)) {
    collector.add(group)
    rows += group.length
    const now = performance.now()
    if (now - told > PROGRESS_MS) {
      told = now
      send({ kind: 'progress', rows, bytes: group.at(-1)?.end ?? 0 })
    }
  }
  send({ kind: 'analyzed', rows, evidence: collector.finish() })
}

async function read(task: Extract<ReaderTask, { kind: 'read' }>): Promise<void> {
  const credits: number[] = []
  let wake: (() => void) | null = null
  port?.on('message', (credit: Credit) => {
    credits.push(credit.rows)
    wake?.()
  })
  const nextCredit = async (): Promise<number> => {
    while (credits.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      wake = null
    }
    return credits.shift() ?? task.chunkRows
  }

  const type = recordTypes[task.resolved.recordType]
  const plan: WritePlan = { ...task.plan, recordType: type }
  const mapper = compileMapping(task.resolved, type)
  const keysOf = keyExtractor(plan)
  const ids = newIds()
  const externalId = mapper.stageColumns.findIndex((column) => column.field === 'externalId' && column.role === 'value')
  const source = await openCsv(task.path, task.dialect)

  let previousKeys: ReadonlySet<string> = new Set()
  let last: Cursor | null = null
  let target = await nextCredit()
  let chunk = new ChunkBuilder()

  const flush = async (stopped: boolean): Promise<void> => {
    if (chunk.rows === 0) {
      return
    }
    const keys = chunk.keys
    let meetsPrevious = false
    for (const key of keys.keys()) {
      if (previousKeys.has(key)) {
        meetsPrevious = true
        break
      }
    }
    const finished = chunk.finish(meetsPrevious, stopped)
    send(
      { kind: 'chunk', chunk: finished },
      finished.copy.map((part) => part.buffer as ArrayBuffer),
    )
    previousKeys = new Set(keys.keys())
    chunk = new ChunkBuilder()
    if (!stopped) {
      target = await nextCredit()
    }
  }

  for await (const group of source.rows(task.from, new AbortController().signal)) {
    for (const row of group) {
      last = { byte: row.end, row: row.number + 1 }
      const mapped = mapper.map(row)
      if (!mapped.ok) {
        chunk.fail(row, mapped, externalId)
        if (task.stopAtFailure) {
          await flush(true)
          return
        }
      } else {
        const keys = keysOf(mapped)
        if (chunk.passOf(keys) >= MAX_PASSES) {
          await flush(false)
        }
        chunk.stage(row, mapped, keys, ids())
      }
      if (chunk.rows >= target || chunk.bytes >= CHUNK_BYTES) {
        await flush(false)
      }
    }
  }
  await flush(false)
  send({ kind: 'end', next: last })
}

class ChunkBuilder {
  readonly keys = new Map<string, number>()
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

  #take(row: Row): void {
    this.#first ??= row
    this.#last = row
    this.rows += 1
  }

  /** One more than the highest pass of an earlier row with one of these keys; 0 if there is none. */
  passOf(keys: readonly string[]): number {
    let pass = 0
    for (const key of keys) {
      const earlier = this.keys.get(key)
      if (earlier !== undefined && earlier >= pass) {
        pass = earlier + 1
      }
    }
    return pass
  }

  fail(row: Row, mapped: MappedRow, externalId: number): void {
    this.#take(row)
    this.#failed.push({ row: row.number, byte: row.byte, sourceId: externalId < 0 ? null : (mapped.values[externalId] ?? null) })
    this.#issues.push(...mapped.issues)
  }

  stage(row: Row, mapped: MappedRow, keys: readonly string[], id: string): void {
    this.#take(row)
    const pass = this.passOf(keys)
    for (const key of keys) {
      this.keys.set(key, pass)
    }
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

  finish(meetsPrevious: boolean, stopped: boolean): ReadChunk {
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
      meetsPrevious,
      stopped,
      readMs: performance.now() - this.#started,
    }
  }
}
