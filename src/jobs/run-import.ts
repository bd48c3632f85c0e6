/**
 * Writes the rows of an import. Reads like the story: chunks come from the reading thread, two may be written side by side
 * if they cannot meet, each is one transaction, and they commit in the order of the file, so the cursor is one position.
 */
import { chunkSql, laneSettings } from '../adapters/crm/sql.js'
import { stageDdl } from '../adapters/crm/stage.js'
import {
  type AppliedChunk,
  applyChunk,
  type RelatedWriting,
  type Turn,
  type WriterState,
} from '../adapters/crm/write.js'
import type { Cursor } from '../adapters/source.js'
import { Lane, type LaneTx } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import { FatalError, RetryableError } from '../errors.js'
import { failpoint } from '../failpoints.js'
import { chunkSeconds, rows as rowsTotal, runsEnded } from '../metrics.js'
import { insertIssues, insertRange, insertRows, type ListedRow, settleWithCommit } from '../runs/commit.js'
import { endRun } from '../runs/control.js'
import type { StatusReason } from '../runs/types.js'
import { recordSpan } from '../tracing.js'
import { openImportFile } from './analyze-import.js'
import type { ReadChunk } from './chunk-builder.js'
import { type Claim, laneName, takeTurn } from './claim.js'
import { laneOptions, type WorkerContext } from './context.js'
import { type Import, loadImport, withoutType } from './import-job.js'
import { Reading } from './reading.js'
import { settleRelations } from './settle-relations.js'
import { othersWait, SLICE_LEAST_MS, type SliceEnd, StoppedError } from './slice.js'

/** Rows of a first chunk: small, so that a person sees something happen at once. */
const FIRST_CHUNK_ROWS = 2000

/** Below this a chunk costs its fixed part and little else. */
const LEAST_CHUNK_ROWS = 500

/** Chunks aim at this time in the database: short enough to cancel, to share and to see; long enough to cost little. */
const CHUNK_MS = 400

export async function runImport(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const file = await openImportFile(context, claim)
  const job = await loadImport(context, claim, file)
  // Whether a chunk may still be written depends on the one before it when failures can stop the run.
  const stopped = failureStop(job, job.failed)
  if (stopped !== null) {
    // The chunk that went too far is settled; whoever settled it could not say so any more.
    await finish(context, job, job.failed, job.settled, stopped)
    return { kind: 'done' }
  }
  const strict =
    // Rows may make records of other types that the next rows mean, too.
    job.related.length > 0 ||
    job.options.onInvalidRow === 'FAIL_RUN' ||
    job.options.maxFailedRows !== null ||
    job.options.maxFailedFraction !== null
  await using lanes = await openLanes(context, job, strict ? 1 : context.chunksInFlight)
  if (lanes === null) {
    // Another import of this record type has its turn in this tenant.
    return { kind: 'turn' }
  }
  const reading = Reading.start({
    kind: 'read',
    location: file.location,
    place: file.place,
    from: job.cursor,
    resolved: job.resolved,
    plan: withoutType(job.plan),
    chunkRows: Math.min(FIRST_CHUNK_ROWS, context.chunkRows),
    stopAtFailure: job.options.onInvalidRow === 'FAIL_RUN',
    keySeed: null,
  })
  try {
    return await writeChunks(context, job, lanes.all, reading, lost)
  } finally {
    await reading.close()
  }
}

async function writeChunks(
  context: WorkerContext,
  job: Import,
  lanes: readonly ImportLane[],
  reading: Reading,
  lost: AbortSignal,
): Promise<SliceEnd> {
  const started = performance.now()
  let failed = job.failed
  let settled = job.settled
  let previous: ChunkProgress = settledBefore(job.cursor)
  let end: SliceEnd | null = null
  let reason: StatusReason | null = null
  let rows = Math.min(FIRST_CHUNK_ROWS, context.chunkRows)
  let looked = started
  const free = [...lanes]
  const busy = new Map<ImportLane, Promise<ImportLane>>()
  try {
    for (;;) {
      const chunk = await reading.next(lost)
      if (chunk === null) {
        break
      }
      const lane = free.pop() ?? (await Promise.race(busy.values()))
      busy.delete(lane)
      const progress = new ChunkProgress(chunk.next)
      const work = writeChunk(job, lane, chunk, previous, progress).then(
        (counts) => {
          failed += counts.failed
          settled += chunk.read
          rows = adapt(rows, counts.ms, chunk.read, context.chunkRows)
          reading.chunkRows = rows
          return lane
        },
        (error: unknown) => {
          progress.fail(error)
          throw error
        },
      )
      work.catch(() => undefined)
      busy.set(lane, work)
      previous = progress
      if (lanes.length === 1) {
        await work
      }
      reason = chunk.stopped
        ? {
            code: 'INVALID_ROW',
            message: `Row ${chunk.lastRow} is invalid, and onInvalidRow is FAIL_RUN.`,
            retryable: false,
          }
        : failureStop(job, failed)
      if (reason !== null) {
        break
      }
      const now = performance.now()
      if (context.stopping.aborted || now - looked > SLICE_LEAST_MS) {
        looked = now
        if (context.stopping.aborted || (await othersWait(context, job.claim, now - started))) {
          end = { kind: 'more', delayMs: 0 }
          break
        }
      }
    }
    await Promise.all(busy.values())
  } catch (error) {
    // Let what is in flight come to its end before the lanes are closed.
    await Promise.allSettled(busy.values())
    throw error
  }
  if (end !== null) {
    return end
  }
  await finish(context, job, failed, settled, reason)
  return { kind: 'done' }
}

/** How far a chunk has come, for the one behind it. */
class ChunkProgress {
  readonly cursor: Cursor | null
  readonly committed: Promise<void>
  readonly changesExisting: Promise<boolean>
  #commit: () => void = () => undefined
  #announce: (changes: boolean) => void = () => undefined
  #reject: ((error: unknown) => void)[] = []

  constructor(cursor: Cursor | null) {
    this.cursor = cursor
    this.committed = new Promise((resolve, reject) => {
      this.#commit = resolve
      this.#reject.push(reject)
    })
    this.changesExisting = new Promise((resolve, reject) => {
      this.#announce = resolve
      this.#reject.push(reject)
    })
    this.committed.catch(() => undefined)
    this.changesExisting.catch(() => undefined)
  }

  commit(): void {
    this.#commit()
  }

  announce(changes: boolean): void {
    this.#announce(changes)
  }

  fail(error: unknown): void {
    for (const reject of this.#reject) {
      reject(error)
    }
  }
}

function settledBefore(cursor: Cursor | null): ChunkProgress {
  const progress = new ChunkProgress(cursor)
  progress.announce(false)
  progress.commit()
  return progress
}

const noOutcomes = { created: 0, updated: 0, unchanged: 0, skipped: 0, failed: 0, deleted: 0 }

async function writeChunk(
  job: Import,
  lane: ImportLane,
  chunk: ReadChunk,
  previous: ChunkProgress,
  progress: ChunkProgress,
): Promise<{ failed: number; ms: number }> {
  const started = performance.now()
  let waited = 0
  const wait = async <T>(promise: Promise<T>): Promise<T> => {
    const from = performance.now()
    const value = await promise
    waited += performance.now() - from
    return value
  }
  let failed = 0
  let outcomes: Readonly<Record<'created' | 'updated' | 'unchanged' | 'skipped' | 'failed' | 'deleted', number>> =
    noOutcomes
  await withTenant(lane.lane, job.claim.tenantId, async (tx) => {
    await failpoint('chunk.before-write', lane.lane)
    const applied = await applyChunk(
      tx,
      job.plan,
      lane.sql,
      lane.state,
      chunk,
      {
        // Side by side only if no key is shared and the chunk before changes no existing record: then neither can tell.
        beforeMatch: async () => {
          if (chunk.meetsPrevious || (await wait(previous.changesExisting))) {
            await wait(previous.committed)
            return true
          }
          return false
        },
        changesExisting: (changes) => progress.announce(changes),
      },
      lane.related,
    )
    failed = chunk.failed.length + applied.failed
    const { created, updated, unchanged, skipped, deleted } = applied
    outcomes = { created, updated, unchanged, skipped, failed, deleted }
    await recordOutcomes(tx, job, chunk, applied)
    await wait(previous.committed)
    await failpoint('chunk.before-commit', lane.lane)
    const ms = performance.now() - started
    settleWithCommit(tx, {
      runId: job.claim.runId,
      token: job.claim.token,
      cursorBefore: previous.cursor,
      cursor: progress.cursor,
      counts: { read: chunk.read, ...outcomes },
      bytesRead: chunk.next.byte,
      runningMs: lane.clock.lap(),
      stageMs: { read: Math.round(chunk.readMs), write: Math.round(ms - waited), wait: Math.round(waited) },
      settled: { fromRow: chunk.firstRow, toRow: chunk.lastRow, issues: sortedIssues(chunk, applied) },
    })
  })
  await failpoint('chunk.after-commit', lane.lane)
  progress.commit()
  chunkSeconds.observe({ kind: 'IMPORT' }, (performance.now() - started) / 1000)
  recordSpan('chunk', performance.now() - started, {
    'portage.chunk.first_row': chunk.firstRow,
    'portage.chunk.last_row': chunk.lastRow,
  })
  for (const [outcome, count] of Object.entries(outcomes)) {
    rowsTotal.inc({ outcome }, count)
  }
  return { failed, ms: performance.now() - started - waited }
}

function sortedIssues(chunk: ReadChunk, applied: AppliedChunk) {
  return applied.issues.length === 0
    ? chunk.issues
    : [...chunk.issues, ...applied.issues].toSorted((a, b) => a.row - b.row)
}

/** Lists the rows that are listed one by one, and the others as ranges. */
async function recordOutcomes(tx: LaneTx, job: Import, chunk: ReadChunk, applied: AppliedChunk): Promise<void> {
  const { runId } = job.claim
  await insertIssues(tx, runId, sortedIssues(chunk, applied))
  const listed: ListedRow[] = [...chunk.failed, ...applied.refused.map((row) => ({ ...row, sourceId: null }))].map(
    (row) => ({
      row: row.row,
      outcome: 'FAILED',
      byte: row.byte,
      sourceId: row.sourceId,
    }),
  )
  await insertRows(tx, runId, listed)
  if (job.related.length > 0) {
    await tx.query(
      `insert into run_related (tenant_id, run_id, row_number, path, record_type, record_id, outcome)
       select $1, $2, row_number, path, record_type, record_id, outcome from kin where outcome in ('CREATED', 'UPDATED')`,
      [tx.tenantId, runId],
    )
  }
  const warned = [...new Set([...chunk.warned, ...applied.issues.map((issue) => issue.row)])]
  if (applied.whole !== null && warned.length === 0) {
    await insertRange(tx, runId, chunk.firstRow, applied.whole, chunk.plainRanges, chunk.staged)
    return
  }
  if (chunk.staged === 0) {
    return
  }
  const sourceId = job.plan.stageColumns.find(
    (column) => column.field === 'externalId' && column.role === 'value',
  )?.name
  await tx.query(
    `insert into run_row (tenant_id, run_id, row_number, outcome, record_id, source_id, byte)
     select $1, $2, s.row_number, coalesce(v.outcome, 'CREATED'), case when v.outcome is null then s.id else v.record_id end,
       ${sourceId === undefined ? 'null' : `s.${sourceId}`}, s.byte
     from stage s left join verdict v on v.row_number = s.row_number
     where coalesce(v.outcome, 'CREATED') not in ('CREATED', 'UNCHANGED') or s.row_number = any ($3::bigint[])`,
    [tx.tenantId, runId, warned],
  )
  await tx.query(
    `insert into run_range (tenant_id, run_id, from_row, outcome, rows, row_count)
     select $1, $2, $3, o.outcome, range_agg(int8range(o.row_number, o.row_number + 1)), count(*)
     from (select s.row_number, coalesce(v.outcome, 'CREATED') as outcome from stage s left join verdict v on v.row_number = s.row_number) o
     where o.outcome in ('CREATED', 'UNCHANGED') and not o.row_number = any ($4::bigint[])
     group by o.outcome`,
    [tx.tenantId, runId, chunk.firstRow, warned],
  )
}

/** Why so many failed rows end the run; null if they do not. */
function failureStop(job: Import, failed: number): StatusReason | null {
  const { maxFailedRows, maxFailedFraction, onInvalidRow } = job.options
  if (onInvalidRow === 'FAIL_RUN' && failed > 0) {
    return {
      code: 'INVALID_ROW',
      message: 'A row has failed, and onInvalidRow is FAIL_RUN: see the issues for the row.',
      retryable: false,
    }
  }
  if (maxFailedRows !== null && failed > maxFailedRows) {
    return {
      code: 'TOO_MANY_FAILED_ROWS',
      message: `${failed} rows have failed; maxFailedRows is ${maxFailedRows}.`,
      retryable: false,
    }
  }
  if (maxFailedFraction !== null && failed > maxFailedFraction * job.total) {
    return {
      code: 'TOO_MANY_FAILED_ROWS',
      message: `${failed} of ${job.total} rows have failed; maxFailedFraction is ${maxFailedFraction}.`,
      retryable: false,
    }
  }
  return null
}

async function finish(
  context: WorkerContext,
  job: Import,
  failed: number,
  settled: number,
  stopReason: StatusReason | null,
): Promise<void> {
  // Never a green tick with rows missing: a file that gave fewer rows than the first pass counted is a broken run.
  const reason =
    stopReason ??
    (settled === job.total
      ? null
      : {
          code: 'ROWS_MISSING',
          message: `The first pass counted ${job.total} rows, and ${settled} could be read. Upload the file again.`,
          retryable: false,
        })
  // Also where the import has failed: what was written is there, and others may wait for it.
  await settleRelations(context, job.claim, {
    status: 'RUNNING',
    recordType: job.recordType,
    written: job.related.map(({ plan }) => plan.recordType.name),
  })
  const to = reason !== null ? 'FAILED' : failed > 0 ? 'COMPLETED_WITH_ERRORS' : 'COMPLETED'
  await context.control.use((lane) =>
    withTenant(lane, job.claim.tenantId, async (tx) => {
      const ended = await endRun(
        tx,
        { id: job.claim.runId, kind: 'IMPORT', ofRunId: null },
        'RUNNING',
        to,
        reason,
        job.claim.token,
      )
      if (!ended) {
        throw new StoppedError('the run was stopped or taken over')
      }
      await failpoint('import-end.before-commit', lane)
    }),
  )
  await failpoint('import-end.after-commit')
  runsEnded.inc({ kind: 'IMPORT', status: to })
}

/** Rows for the next chunk, so that it takes about CHUNK_MS; at most double, at least half of the last one. */
function adapt(rows: number, ms: number, read: number, most: number): number {
  const wanted = ms <= 0 ? rows * 2 : Math.round((read * CHUNK_MS) / ms)
  return Math.min(most, Math.max(LEAST_CHUNK_ROWS, Math.min(rows * 2, Math.max(Math.floor(rows / 2), wanted))))
}

/** Time between settlements, so that the times of chunks written side by side add up to the time that has passed. */
class LapClock {
  #last = performance.now()
  lap(): number {
    const now = performance.now()
    const passed = now - this.#last
    this.#last = now
    return passed
  }
}

interface ImportLane {
  readonly lane: Lane
  readonly sql: ReturnType<typeof chunkSql>
  readonly related: readonly RelatedWriting[]
  readonly state: WriterState
  readonly clock: LapClock
}

/** Related records are written when the chunk has its turn already. */
const alone: Turn = { beforeMatch: () => Promise.resolve(false), changesExisting: () => undefined }

/** The turn of each record type that the import writes, always in one order; false if one of them is somebody else's. */
async function takeTurns(lane: Lane, job: Import): Promise<boolean> {
  const types = new Set([job.recordType, ...job.related.map(({ plan }) => plan.recordType.name)])
  for (const type of [...types].toSorted()) {
    if (!(await takeTurn(lane, job.claim, type))) {
      return false
    }
  }
  return true
}

/**
 * Sessions of the hot path, the first of which holds the turn of this tenant and record type: imports of one type in one
 * tenant take turns, so that they cannot duplicate each other's people. Null if it is somebody else's turn.
 */
async function openLanes(
  context: WorkerContext,
  job: Import,
  count: number,
): Promise<({ all: ImportLane[] } & AsyncDisposable) | null> {
  const opened: Lane[] = []
  const close = async () => {
    await Promise.all(opened.map((lane) => lane.close()))
  }
  const sql = chunkSql(job.plan)
  const related = job.related.map(({ path, plan }) => ({ path, plan, sql: chunkSql(plan), turn: alone }))
  const state: WriterState = { checks: null, unchanging: true, holds: job.claim.attempts > 1 }
  const clock = new LapClock()
  try {
    for (let i = 0; i < count; i++) {
      const lane = await Lane.open(laneOptions(context.databaseUrl, laneName(context.holder, job.claim.runId)))
      opened.push(lane)
      if (i === 0 && !(await takeTurns(lane, job))) {
        await close()
        return null
      }
      await lane.session(laneSettings)
      for (const statement of stageDdl(
        job.plan,
        job.related.map(({ plan }) => plan),
      )) {
        await lane.session(statement)
      }
    }
  } catch (error) {
    await close()
    if (error instanceof FatalError) {
      throw error
    }
    throw new RetryableError('DATABASE_BUSY', 'The database gave no connection for writing.', { cause: error })
  }
  return { all: opened.map((lane) => ({ lane, sql, related, state, clock })), [Symbol.asyncDispose]: close }
}
