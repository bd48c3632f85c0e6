/**
 * Writes the audit into a file: what is sealed of it, in the order of the chain, below a signed head of its last link. Sealed entries
 * never change, so the file needs no snapshot: an attempt that is taken up again writes the same lines, and some more.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type AuditStretch, auditStretch, sealEntries, sealedBetween, signHead, waitsForSeal } from '../access/audit.js'
import type { StoredFile } from '../adapters/files/storage.js'
import { one } from '../db/tx.js'
import { failpoint } from '../failpoints.js'
import { decodeUuid, encodeId, NO_ID } from '../ids.js'
import { rows as rowsTotal, runsEnded } from '../metrics.js'
import { endRun } from '../runs/control.js'
import type { Claim } from './claim.js'
import type { WorkerContext } from './context.js'
import { inControl, moveOn, type SliceEnd, StoppedError } from './slice.js'

/** How often progress is told and the run is looked at. Milliseconds. */
const PROGRESS_MS = 500

/** Entries that one transaction reads. */
const PAGE = 1000

/** Another worker that seals the same tenant is waited for so long at a time. Milliseconds. */
const SEALING_MS = 100

interface Attempt {
  readonly context: WorkerContext
  readonly claim: Claim
  readonly signal: AbortSignal
  readonly started: number
  /** How far it is. */
  readonly reached: { rows: number; total: number; bytes: number; toldAt: number }
}

/** What was asked for. */
interface Asked {
  readonly from: Date | null
  readonly to: Date | null
  readonly createdAt: Date
}

export async function runAuditExport(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const asked = await inControl(context, claim, (tx) =>
    one<Asked>(
      tx,
      `select a.from_at as "from", a.to_at as "to", r.created_at as "createdAt" from run_audit_export a
         join run r on r.tenant_id = a.tenant_id and r.id = a.run_id where a.tenant_id = $1 and a.run_id = $2`,
      [claim.tenantId, claim.runId],
    ),
  )
  const attempt: Attempt = {
    context,
    claim,
    signal: AbortSignal.any([lost, context.stopping]),
    started: performance.now(),
    reached: { rows: 0, total: 0, bytes: 0, toldAt: performance.now() },
  }
  let stored: StoredFile | null = null
  let recorded = false
  try {
    await sealUntil(attempt, asked.createdAt)
    const stretch = await inControl(context, claim, (tx) => auditStretch(tx, asked))
    attempt.reached.total = stretch === null ? 0 : stretch.end.sequence - stretch.start.sequence
    await tell(attempt)
    await failpoint('export.before-write')
    stored = await context.files.put(claim.tenantId, lines(attempt, asked, stretch), {
      maxBytes: Number.MAX_SAFE_INTEGER,
      signal: attempt.signal,
    })
    await failpoint('export.after-write')
    recorded = true
    await finish(attempt, stored)
  } catch (error) {
    // After any error of the last transaction but a stop nobody knows whether the file was recorded.
    if (stored !== null && (!recorded || error instanceof StoppedError)) {
      await context.files.delete(stored.key).catch(() => undefined)
    }
    throw attempt.signal.aborted ? attempt.signal.reason : error
  }
  return { kind: 'done' }
}

/** Seals what was there when somebody asked, so that the file has the very request that it comes of. */
async function sealUntil({ context, claim, signal }: Attempt, at: Date): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const sealed = await inControl(context, claim, sealEntries)
    if (!(await inControl(context, claim, (tx) => waitsForSeal(tx, at)))) {
      return
    }
    if (sealed === 0) {
      await sleep(SEALING_MS, undefined, { signal })
    }
  }
}

async function* lines(attempt: Attempt, { from, to }: Asked, stretch: AuditStretch | null): AsyncGenerator<Buffer> {
  const { context, claim, signal, reached } = attempt
  const { auditKeys: keys } = context
  const tenant = encodeId('tenant', claim.tenantId)
  const head =
    stretch === null ? null : { ...signHead(keys, tenant, stretch.end, new Date()), publicKey: keys.publicText }
  const start = stretch === null ? null : stretch.start
  const line = (value: unknown): string => `${JSON.stringify(value)}\n`
  const buffer = (text: string): Buffer => {
    const bytes = Buffer.from(text)
    reached.bytes += bytes.length
    return bytes
  }
  yield buffer(line({ portageAudit: 1, tenant, from, to, start, head }))
  let { sequence } = start ?? { sequence: 0 }
  const end = stretch?.end.sequence ?? 0
  while (sequence < end) {
    signal.throwIfAborted()
    const after = sequence
    const page = await inControl(context, claim, (tx) => sealedBetween(tx, after, end, PAGE))
    if (page.length === 0) {
      throw new Error(`the audit ends at ${sequence} instead of ${end}`)
    }
    // As the API names entries.
    yield buffer(
      page.map((entry) => line({ ...entry, id: encodeId('auditEntry', decodeUuid(entry.id) ?? NO_ID) })).join(''),
    )
    sequence = page.at(-1)?.sequence ?? end
    reached.rows += page.length
    if (performance.now() - reached.toldAt > PROGRESS_MS) {
      await tell(attempt)
    }
  }
}

/** Tells how far it is. Throws StoppedError when the run was stopped. */
async function tell({ context, claim, started, reached }: Attempt): Promise<void> {
  reached.toldAt = performance.now()
  await inControl(context, claim, (tx) =>
    moveOn(tx, claim, 'rows_read = $4, total = $5, bytes_read = $6, running_ms = $7', [
      reached.rows,
      reached.total,
      reached.bytes,
      Math.round(performance.now() - started),
    ]),
  )
}

/** Makes the file known and ends the run, both or neither. */
async function finish({ context, claim, started, reached }: Attempt, stored: StoredFile): Promise<void> {
  if (reached.rows !== reached.total) {
    throw new Error(`the stretch has ${reached.total} entries, and ${reached.rows} were written`)
  }
  await inControl(context, claim, async (tx) => {
    const ms = Math.round(performance.now() - started)
    await moveOn(
      tx,
      claim,
      `rows_read = $4, total = $4, bytes_read = $5, running_ms = $6, peak_rss_bytes = greatest(peak_rss_bytes, $7),
       attempts = 0, stage_ms = jsonb_build_object('write', $6::bigint)`,
      [reached.rows, stored.byteSize, ms, process.memoryUsage.rss()],
    )
    await tx.query(
      `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, name, expires_at)
       select $1, $2, 'RESULT', $3, $4, $5, $6, 'audit-' || to_char(now() at time zone 'UTC', 'YYYY-MM-DD-HH24MI') || '.ndjson',
         now() + $7 * interval '1 day'`,
      [tx.tenantId, claim.runId, stored.byteSize, reached.rows, stored.sha256, stored.key, context.fileRetentionDays],
    )
    const run = { id: claim.runId, kind: claim.kind, ofRunId: null }
    if (!(await endRun(tx, run, 'RUNNING', 'COMPLETED', null, claim.token))) {
      throw new StoppedError('the run was stopped or taken over')
    }
    await failpoint('export-end.before-commit')
  })
  await failpoint('export-end.after-commit')
  rowsTotal.inc({ outcome: 'exported' }, reached.rows)
  runsEnded.inc({ kind: 'AUDIT_EXPORT', status: 'COMPLETED' })
}
