/**
 * Writes the file of an export: one COPY from one snapshot, through encoding and compression into the store, and one
 * transaction that makes the file known and ends the run. Nothing of it lasts before: whoever takes the run up again starts
 * from the first row, on a new snapshot, and what an earlier attempt left in the store belongs to nobody and is cleared away.
 */
import { setInterval } from 'node:timers/promises'
import { loadRecordTypeOf } from '../adapters/crm/custom-fields.js'
import { exportCsv, exportJson, exportRows, exportSql } from '../adapters/crm/export.js'
import { databaseEncoding, excelFormat } from '../adapters/crm/export-text.js'
import { csvHeader, framedFile } from '../adapters/files/export.js'
import type { StoredFile } from '../adapters/files/storage.js'
import { writeWorkbook } from '../adapters/files/workbook-writer.js'
import type { CopyOut } from '../db/copy-out.js'
import { Lane, type LaneTx, sqlState } from '../db/lane.js'
import { one, withTenant } from '../db/tx.js'
import { FatalError, Refusal } from '../errors.js'
import { failpoint } from '../failpoints.js'
import { rows as rowsTotal, runsEnded } from '../metrics.js'
import { protect } from '../pipeline/formula.js'
import type { FieldKind, RecordType } from '../records/types.js'
import { endRun } from '../runs/control.js'
import type { ExportFormat, ExportSpec } from '../runs/types.js'
import { type Claim, laneName } from './claim.js'
import { laneOptions, type WorkerContext } from './context.js'
import { inControl, moveOn, type SliceEnd, StoppedError } from './slice.js'

/** How often progress is told and the run is looked at. Milliseconds. */
const PROGRESS_MS = 500

/** SQLSTATE of a character that the encoding of the file does not have. */
const UNTRANSLATABLE_CHARACTER = '22P05'

/** One attempt at a whole file. */
interface Attempt {
  readonly context: WorkerContext
  readonly claim: Claim
  readonly spec: ExportSpec
  readonly type: RecordType
  /** Aborted when the run is lost or stopped, and when the worker ends. */
  readonly signal: AbortSignal
  readonly giveUp: AbortController
  readonly started: number
  /** How far it is. `total`: rows of the snapshot, null until they are counted. */
  readonly reached: { rows: () => number; bytes: number; total: number | null }
  /** What the store holds of this attempt; `recorded`: it may be that the run has it. */
  readonly kept: { file: StoredFile | null; recorded: boolean }
}

export async function runExport(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const { spec, type } = await inControl(context, claim, async (tx) => {
    const kept = await one<{ spec: ExportSpec }>(
      tx,
      'select spec from run_export where tenant_id = $1 and run_id = $2',
      [claim.tenantId, claim.runId],
    )
    const { recordType } = kept.spec
    return { spec: kept.spec, type: await loadRecordTypeOf(tx, { id: claim.runId, recordType }) }
  })
  const giveUp = new AbortController()
  const attempt: Attempt = {
    context,
    claim,
    spec,
    type,
    giveUp,
    signal: AbortSignal.any([lost, context.stopping, giveUp.signal]),
    started: performance.now(),
    reached: { rows: () => 0, bytes: 0, total: null },
    kept: { file: null, recorded: false },
  }
  try {
    await finish(attempt, await write(attempt))
  } catch (error) {
    await discard(attempt)
    // What broke because it was given up broke for that reason.
    throw attempt.signal.aborted ? attempt.signal.reason : explained(error, spec.format)
  }
  return { kind: 'done' }
}

/** Removes what nobody will know of. What cannot be removed now is found when the store is looked through. */
async function discard({ context, claim, kept: { file, recorded } }: Attempt): Promise<void> {
  if (file !== null && !recorded) {
    await context.files.delete(file.key).catch((error: unknown) => {
      context.log.warn(
        { tenantId: claim.tenantId, runId: claim.runId, err: error },
        'a file of no run was left in the store',
      )
    })
  }
}

/** Writes the file, and says meanwhile how far it is. */
async function write(attempt: Attempt): Promise<StoredFile> {
  const { context, claim, signal } = attempt
  // However long it takes and however slow the store is: only this worker, or one that takes over, ends the reading.
  const patient = { statementMs: 0, idleInTransactionMs: 0 }
  const options = { ...laneOptions(context.databaseUrl, laneName(context.holder, claim.runId)), ...patient }
  const lane = await Lane.open(options)
  const counter = await Lane.open(options).catch(async (error: unknown) => {
    await lane.close()
    throw error
  })
  const lanes = [lane, counter]
  // A connection in the middle of a COPY would not end politely.
  const cut = (): void => lanes.forEach((each) => each.destroy())
  signal.addEventListener('abort', cut)
  const written = new AbortController()
  try {
    signal.throwIfAborted()
    return await withTenant(lane.snapshot(), claim.tenantId, async (tx) => {
      const taken = await one<{ at: Date; name: string }>(tx, 'select now() as at, pg_export_snapshot() as name')
      await begin(attempt, taken.at)
      const [stored] = await Promise.all([
        store(attempt, tx).finally(() => written.abort()),
        count(attempt, counter, taken.name, written.signal),
        tell(attempt, written.signal),
      ]).catch((error: unknown) => {
        // Before the transaction is rolled back: that would wait for the COPY, and the COPY for somebody to read it.
        cut()
        throw error
      })
      return stored
    })
  } finally {
    written.abort()
    signal.removeEventListener('abort', cut)
    cut()
    await Promise.all(lanes.map((each) => each.close()))
  }
}

/** The counters start from nothing: no row of an earlier attempt is in the file. */
async function begin({ context, claim }: Attempt, snapshotAt: Date): Promise<void> {
  await inControl(context, claim, async (tx) => {
    await moveOn(tx, claim, 'rows_read = 0, total = null, bytes_read = 0, running_ms = 0', [])
    await tx.query('update run_export set snapshot_at = $3 where tenant_id = $1 and run_id = $2', [
      tx.tenantId,
      claim.runId,
      snapshotAt,
    ])
  })
}

/**
 * Counts on a connection of its own, on the same snapshot: what is written is held against it in the end. When the writing has ended
 * meanwhile, what becomes of the count is no reason for anything: a file that was refused would be tried again.
 */
async function count(
  { claim, spec, type, giveUp, reached }: Attempt,
  counter: Lane,
  snapshot: string,
  written: AbortSignal,
): Promise<void> {
  try {
    const sql = exportSql(claim.tenantId, type, spec).count
    const counted = await withTenant(counter.snapshot(snapshot), claim.tenantId, (tx) => one<{ rows: number }>(tx, sql))
    reached.total = counted.rows
  } catch (error) {
    if (!written.aborted) {
      giveUp.abort(error)
    }
    throw error
  }
}

async function store(attempt: Attempt, tx: LaneTx): Promise<StoredFile> {
  const { context, claim, spec, signal, reached, kept } = attempt
  const { format } = spec
  await failpoint('export.before-write')
  const around = await framing(tx, spec)
  const { rows, written } = await rowsOf(attempt, tx)
  reached.rows = () => rows.rows
  const file = framedFile(written, {
    ...around,
    gzip: format.compression === 'GZIP',
    onBytes: (bytes) => {
      reached.bytes = bytes
    },
  })
  kept.file = await context.files.put(claim.tenantId, file, { maxBytes: Number.MAX_SAFE_INTEGER, signal })
  await failpoint('export.after-write')
  return kept.file
}

/** The rows as they leave the database, and as they are written. */
async function rowsOf(
  { spec, type, signal }: Attempt,
  tx: LaneTx,
): Promise<{ readonly rows: CopyOut; readonly written: AsyncIterable<Buffer> }> {
  const { format } = spec
  switch (format.format) {
    case 'CSV': {
      const rows = await exportCsv(tx, { ...spec, type })
      return { rows, written: rows }
    }
    case 'JSON':
    case 'NDJSON': {
      const rows = await exportJson(
        tx,
        { ...spec, type, timeZone: format.timeZone },
        { array: format.format === 'JSON' },
      )
      return { rows, written: rows }
    }
    case 'XLSX': {
      const { at } = await one<{ at: Date }>(tx, 'select now() as at')
      const rows = await exportRows(tx, { ...spec, type })
      const columns = rows.columns.map(({ header, kind, format: own }) => ({
        header,
        kind,
        format: own ?? workbookFormat(format.dateFormat, kind),
      }))
      const options = { sheetName: sheetNames[type.name], timeZone: format.timeZone, createdAt: at, signal }
      return { rows, written: writeWorkbook(columns, rows, options) }
    }
    default:
      return format.format satisfies never
  }
}

const sheetNames = { contact: 'Contacts', lead: 'Leads', property: 'Properties', activity: 'Activities' } as const

function workbookFormat(dateFormat: string | null, kind: FieldKind): string | null {
  const format = dateFormat === null ? null : excelFormat(dateFormat)
  return format === null ? null : kind === 'DATE' ? format.day : kind === 'DATE_TIME' ? format.moment : null
}

const empty = Buffer.alloc(0)

/** What stands before and behind the rows. */
async function framing(
  tx: LaneTx,
  { format, columns }: ExportSpec,
): Promise<{ readonly head: Buffer; readonly tail: Buffer; readonly utf16: 'le' | 'be' | null }> {
  switch (format.format) {
    case 'JSON':
      return { head: Buffer.from('[\n'), tail: Buffer.from('\n]\n'), utf16: null }
    case 'CSV': {
      const utf16 = format.encoding === 'utf-16le' ? 'le' : format.encoding === 'utf-16be' ? 'be' : null
      const headers = columns.map(({ header }) => header)
      const text = csvHeader(headers, format, format.escapeFormulas ? protect : (header) => header)
      const marked = utf16 !== null || format.encoding === 'utf-8' ? format.byteOrderMark : false
      // The server encodes the header too, so that it is in the very encoding of the rows.
      const { head } = await one<{ head: Buffer }>(tx, 'select convert_to($1, $2) as head', [
        `${marked ? '\u{FEFF}' : ''}${text}`,
        databaseEncoding(format.encoding) ?? 'UTF8',
      ])
      return { head, tail: empty, utf16 }
    }
    default:
      return { head: empty, tail: empty, utf16: null }
  }
}

/** Lets subscribers see how far the export is, and gives it up when it was stopped. */
async function tell({ context, claim, giveUp, started, reached }: Attempt, written: AbortSignal): Promise<void> {
  try {
    for await (const _ of setInterval(PROGRESS_MS, undefined, { signal: written })) {
      await inControl(context, claim, (tx) =>
        moveOn(
          tx,
          claim,
          'rows_read = $4, total = $5, bytes_read = $6, running_ms = $7, peak_rss_bytes = greatest(peak_rss_bytes, $8)',
          [
            Math.min(reached.rows(), reached.total ?? Number.MAX_SAFE_INTEGER),
            reached.total,
            reached.bytes,
            Math.round(performance.now() - started),
            process.memoryUsage.rss(),
          ],
        ),
      )
    }
  } catch (error) {
    if (!written.aborted) {
      giveUp.abort(error)
      throw error
    }
  }
}

/** Makes the file known and ends the run, both or neither. */
async function finish({ context, claim, started, reached, kept }: Attempt, stored: StoredFile): Promise<void> {
  const rows = reached.rows()
  const { total } = reached
  if (rows !== total) {
    throw new Error(`the snapshot has ${total} rows, and ${rows} were written`)
  }
  try {
    await inControl(context, claim, async (tx) => {
      const ms = Math.round(performance.now() - started)
      await moveOn(
        tx,
        claim,
        `rows_read = $4, total = $4, bytes_read = $5, running_ms = $6, peak_rss_bytes = greatest(peak_rss_bytes, $7),
         attempts = 0, stage_ms = jsonb_build_object('write', $6::bigint)`,
        [rows, stored.byteSize, ms, process.memoryUsage.rss()],
      )
      await tx.query(
        `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, name, expires_at)
         select $1, $2, 'RESULT', $3, $4, $5, $6, spec ->> 'fileName', now() + $7 * interval '1 day'
         from run_export where tenant_id = $1 and run_id = $2`,
        [tx.tenantId, claim.runId, stored.byteSize, rows, stored.sha256, stored.key, context.fileRetentionDays],
      )
      if (
        !(await endRun(
          tx,
          { id: claim.runId, kind: 'EXPORT', ofRunId: null },
          'RUNNING',
          'COMPLETED',
          null,
          claim.token,
        ))
      ) {
        throw new StoppedError('the run was stopped or taken over')
      }
      await failpoint('export-end.before-commit')
    })
    await failpoint('export-end.after-commit')
  } catch (error) {
    // After any other error nobody knows whether it was recorded.
    kept.recorded = !(error instanceof StoppedError)
    throw error
  }
  rowsTotal.inc({ outcome: 'exported' }, rows)
  runsEnded.inc({ kind: 'EXPORT', status: 'COMPLETED' })
}

/** Errors that another attempt would meet again, in words; any other as it is. */
function explained(error: unknown, { encoding }: ExportFormat): unknown {
  if (sqlState(error) === UNTRANSLATABLE_CHARACTER) {
    return new FatalError(
      'CHARACTER_NOT_IN_ENCODING',
      `A value or a header holds a character that ${encoding} does not have. Nothing is replaced: export in UTF-8, or leave the column out.`,
      { cause: error },
    )
  }
  if (error instanceof Refusal) {
    return new FatalError(error.code, error.message, { cause: error })
  }
  return error
}
