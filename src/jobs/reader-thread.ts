/**
 * The reading thread of a run: parses, maps and validates ahead of the database, off the event loop that renews leases.
 * A task reads one file once: to learn about it (`analyze`), to stage its rows (`read`), or to see which keys recur (`recurrence`). A
 * thread has one task at a time, and may get another when it is done.
 */
import { parentPort } from 'node:worker_threads'
import { keyExtractor, type WritePlan } from '../adapters/crm/stage.js'
import { openRows, type RowsPlace } from '../adapters/files/open.js'
import { openLocation, type StoreLocation } from '../adapters/files/storage.js'
import type { Cursor, Row } from '../adapters/source.js'
import { failpoint } from '../failpoints.js'
import { EvidenceCollector } from '../pipeline/evidence.js'
import { compileMapping } from '../pipeline/map.js'
import type { MappedRow } from '../pipeline/mapped.js'
import { relatedMappings } from '../pipeline/related.js'
import type { ColumnEvidence, Issue, ResolvedMapping } from '../pipeline/types.js'
import { withCustomFields } from '../records/custom.js'
import { recordTypes, referencePath } from '../records/index.js'
import { ChunkBuilder, type ReadChunk } from './chunk-builder.js'
import { newIds } from './ids.js'
import { RowKeys } from './key-table.js'
import { Recurrence, type RecurrenceMaps } from './recurrence.js'
import { RelatedReader } from './related-reader.js'

/** What the thread is started with. */
export type ReaderTask =
  | { readonly kind: 'analyze'; readonly location: StoreLocation; readonly place: RowsPlace }
  | {
      readonly kind: 'read'
      readonly location: StoreLocation
      readonly place: RowsPlace
      readonly from: Cursor | null
      readonly resolved: ResolvedMapping
      readonly plan: Omit<WritePlan, 'recordType'>
      readonly chunkRows: number
      /** Ends the stream behind the first row that failed. */
      readonly stopAtFailure: boolean
      /** Rows that could not be processed before: they fail without being looked at. */
      readonly passOver: readonly number[]
      /** It goes on for a thread that ended: what its first chunk shares with the chunk before is not known. */
      readonly resumed: boolean
      /** One 32-bit integer: the row in hand (its lower 31 bits), 0 between rows. Null: nobody looks. */
      readonly inHand: SharedArrayBuffer | null
      /** Hands the keys of each chunk over, hashed with this seed, so that rows can be told that share one with any other row. */
      readonly keySeed: number | null
    }
  | {
      readonly kind: 'recurrence'
      readonly location: StoreLocation
      readonly place: RowsPlace
      readonly resolved: ResolvedMapping
      readonly plan: Omit<WritePlan, 'recordType'>
      readonly keySeed: number
    }

export type ReaderMessage =
  | { readonly kind: 'chunk'; readonly chunk: ReadChunk }
  | { readonly kind: 'end'; readonly next: Cursor | null }
  | { readonly kind: 'progress'; readonly rows: number; readonly bytes: number }
  | { readonly kind: 'analyzed'; readonly rows: number; readonly evidence: readonly ColumnEvidence[] }
  | { readonly kind: 'recurrence'; readonly maps: RecurrenceMaps }

/** The parent's word that it takes another chunk, of about so many rows. */
export interface Credit {
  readonly rows: number
}

/** A chunk ends early when its COPY text grows past this, so that wide rows do not fill the memory. */
const CHUNK_BYTES = 8 * 1024 * 1024

/** Rows that share keys take turns within a chunk; with more turns than this the chunk ends instead. */
const MAX_PASSES = 32

/** Rows in hand are told modulo this, which fits an Int32. */
export const ROW_NUMBERS = 2 ** 31

/** How often the first pass says how far it is, in milliseconds: each time is a small transaction. */
const PROGRESS_MS = 500

/** What the parent says: the next task, when the one before is done, or a word about the one in hand. */
export type ParentMessage = { readonly task: ReaderTask } | Credit

/** Takes the parent's credits for the task in hand; null where nobody asks for any. */
let onCredit: ((rows: number) => void) | null = null

const port = parentPort
port?.on('message', (message: ParentMessage) => {
  if ('task' in message) {
    // What goes wrong ends the thread, and with it the task.
    void perform(message.task)
  } else {
    onCredit?.(message.rows)
  }
})

function perform(task: ReaderTask): Promise<void> {
  switch (task.kind) {
    case 'analyze':
      return analyze(task)
    case 'recurrence':
      return findRecurrence(task)
    case 'read':
      return read(task)
  }
}

function send(message: ReaderMessage, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

async function analyze(task: Extract<ReaderTask, { kind: 'analyze' }>): Promise<void> {
  const source = await openRows(() => openLocation(task.location), task.place)
  const collector = new EvidenceCollector(source.columns, { delimited: task.place.detection.format === 'CSV' })
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
  onCredit = (rows) => {
    credits.push(rows)
    wake?.()
  }
  const nextCredit = async (): Promise<number> => {
    while (credits.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      wake = null
    }
    return credits.shift() ?? task.chunkRows
  }

  const type = withCustomFields(recordTypes[task.resolved.recordType], task.resolved.customFields ?? [])
  const plan: WritePlan = { ...task.plan, recordType: type }
  const mapper = compileMapping(task.resolved, type)
  const { slots, keysOf } = keyExtractor(plan)
  const ids = newIds()
  const externalId = mapper.stageColumns.findIndex((column) => column.field === 'externalId' && column.role === 'value')
  const source = await openRows(() => openLocation(task.location), task.place)
  const inHand = new Int32Array(task.inHand ?? new SharedArrayBuffer(4))
  const passOver = new Set(task.passOver)
  let afterRestart = task.resumed

  let last: Cursor | null = null
  let target = await nextCredit()
  const keys = task.keySeed === null ? new RowKeys(slots) : new RowKeys(slots, task.keySeed)
  let chunk = new ChunkBuilder(target * slots.length, null, task.keySeed !== null)
  const related = relatedMappings(task.resolved, type).map((mapping) => new RelatedReader(mapping, plan, ids))
  related.forEach((reader) => reader.begin(target))

  const flush = async (stopped: boolean): Promise<void> => {
    if (chunk.rows === 0) {
      return
    }
    const built = chunk.finish(stopped)
    const finished = {
      ...built,
      meetsPrevious: built.meetsPrevious || afterRestart,
      related: related.map((reader) => reader.finish()),
    }
    afterRestart = false
    inHand[0] = 0
    send(
      { kind: 'chunk', chunk: finished },
      [finished, ...finished.related].flatMap(({ copy }) => copy.map((part) => part.buffer as ArrayBuffer)),
    )
    // Not more than two chunks are in flight, so the one before is the only one that matters.
    const previous = chunk.withoutPrevious()
    if (!stopped) {
      target = await nextCredit()
    }
    chunk = new ChunkBuilder(target * slots.length, previous, task.keySeed !== null)
    related.forEach((reader) => reader.begin(target))
  }

  for await (const group of source.rows(task.from, new AbortController().signal)) {
    for (const row of group) {
      last = { byte: row.end, row: row.number + 1 }
      if (passOver.has(row.number)) {
        chunk.fail(row, unprocessable(row), externalId)
        if (task.stopAtFailure) {
          await flush(true)
          return
        }
        if (chunk.rows >= target) {
          await flush(false)
        }
        continue
      }
      // A plain write: whoever looks at it does so when this thread has come to a standstill, or has ended.
      inHand[0] = row.number % ROW_NUMBERS
      void failpoint('read.row', row.number)
      const mapped = withRelated(mapper.map(row), row, related)
      if (!mapped.ok) {
        chunk.fail(row, mapped, externalId)
        if (task.stopAtFailure) {
          await flush(true)
          return
        }
      } else {
        keys.set(keysOf(mapped))
        let pass = chunk.passOf(keys)
        if (pass >= MAX_PASSES || related.some((reader) => reader.pass() >= MAX_PASSES)) {
          await flush(false)
          pass = 0
        }
        chunk.stage(row, mapped, keys, pass, ids())
        related.forEach((reader) => reader.stage(row))
      }
      if (chunk.rows >= target || related.reduce((bytes, reader) => bytes + reader.bytes, chunk.bytes) >= CHUNK_BYTES) {
        await flush(false)
      }
    }
    inHand[0] = 0
  }
  await flush(false)
  onCredit = null
  send({ kind: 'end', next: last })
}

/** What becomes of a row that ended its reader, or its chunk, time and again. */
function unprocessable(row: Row): MappedRow {
  return {
    values: [],
    cleared: null,
    missingForCreate: null,
    ok: false,
    issues: [
      {
        row: row.number,
        column: null,
        field: null,
        code: 'INTERNAL',
        severity: 'ERROR',
        value: null,
        message:
          'The row could not be processed: each try ended in a fault of the service. The others are not affected.',
        suggestion: 'Enter this record by hand, and tell whoever runs the service the id of the run and the row.',
      },
    ],
  }
}

/** Reads the file for its keys alone: the columns that feed them are mapped, and nothing else. */
async function findRecurrence(task: Extract<ReaderTask, { kind: 'recurrence' }>): Promise<void> {
  const type = withCustomFields(recordTypes[task.resolved.recordType], task.resolved.customFields ?? [])
  const plan: WritePlan = { ...task.plan, recordType: type }
  const source = await openRows(() => openLocation(task.location), task.place)
  const recurrence = new Recurrence()
  const mapper = compileMapping(keyColumnsOf(task.resolved, plan), plan.recordType)
  const { slots, keysOf } = keyExtractor({ ...plan, stageColumns: mapper.stageColumns })
  const keys = new RowKeys(slots, task.keySeed)
  let told = performance.now()
  let rows = 0
  for await (const group of source.rows(null, new AbortController().signal)) {
    for (const row of group) {
      if (row.fault === null) {
        keys.set(keysOf(mapper.map(row)))
        recurrence.add(keys)
      }
    }
    rows += group.length
    const now = performance.now()
    if (now - told > PROGRESS_MS) {
      told = now
      send({ kind: 'progress', rows, bytes: group.at(-1)?.end ?? 0 })
    }
  }
  send({ kind: 'recurrence', maps: recurrence.maps })
}

/** What a mapping says about the columns that keys come from. */
function keyColumnsOf(resolved: ResolvedMapping, plan: WritePlan): ResolvedMapping {
  const own = new Set(['externalId', ...plan.rules.flat(), ...(plan.unique ?? []).map(({ field }) => field)])
  const { recordType: type } = plan
  return {
    ...resolved,
    columns: resolved.columns.filter(
      ({ field }) => own.has(field) || referencePath(type, field)?.reference.to === type.name,
    ),
  }
}

/** The row with what is wrong with its related records: one row has one outcome. */
function withRelated(mapped: MappedRow, row: Row, related: readonly RelatedReader[]): MappedRow {
  let issues: readonly Issue[] = mapped.issues
  let { ok } = mapped
  for (const reader of related) {
    reader.read(row)
    if (reader.issues.length > 0) {
      issues = [...issues, ...reader.issues]
      ok &&= reader.ok
    }
  }
  return issues === mapped.issues ? mapped : { ...mapped, ok, issues }
}
