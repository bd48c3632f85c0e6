import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { foldParts, forgetHome, partsOf } from './bundles.js'
import { statusChanged } from './events.js'
import { closeMigration, openImportsOf, sumMigration, undoesMigration } from './migration-parts.js'
import { startRollback } from './rollback.js'
import type { RunStatus } from './status.js'
import type { RunKind, StatusReason } from './types.js'

/** Actor of what the service does by itself: the undoing that `allOrNothing` asks for. */
const SERVICE = 'portage'

/** Kinds of runs of which nothing lasts until they end: taken up again, they start from their first row. */
const startingAgain: ReadonlySet<RunKind> = new Set<RunKind>(['EXPORT', 'BUNDLE_EXPORT', 'AUDIT_EXPORT'])

const pausedByPerson: StatusReason = {
  code: 'PAUSED_BY_PERSON',
  message: 'Paused by a person.',
  retryable: true,
}

interface Locked {
  readonly kind: RunKind
  readonly status: RunStatus
  readonly of_run_id: string | null
}

async function lockRun(tx: Tx, runId: string): Promise<Locked> {
  const run = await first<Locked>(
    tx,
    'select kind, status, of_run_id from run where tenant_id = $1 and id = $2 for update',
    [tx.tenantId, runId],
  )
  if (run === null) {
    throw new Refusal('NOT_FOUND', 'There is no such run.', ['runId'])
  }
  return run
}

/**
 * Stops a run until somebody resumes it. The chunk in hand is given up; what was settled stays. Of an export nothing stays: it
 * starts again on a new snapshot.
 */
export async function pauseRun(tx: Tx, runId: string): Promise<void> {
  const run = await lockRun(tx, runId)
  if (run.status === 'PAUSED') {
    // One that would have gone on by itself waits for a person now.
    await tx.query(
      `update run set resume_at = null, status_reason = $3::jsonb where tenant_id = $1 and id = $2 and resume_at is not null`,
      [tx.tenantId, runId, JSON.stringify(pausedByPerson)],
    )
    return
  }
  if (run.status !== 'QUEUED' && run.status !== 'RUNNING') {
    throw new Refusal(
      'INVALID_STATE',
      `A run can be paused while it is QUEUED or RUNNING; this one is ${run.status}.`,
      ['runId'],
    )
  }
  const reason = pausedByPerson
  await tx.query(
    `update run set status = 'PAUSED', resume_at = null, status_reason = $3::jsonb, rows_read = case when $4 then 0 else rows_read end
     where tenant_id = $1 and id = $2`,
    [tx.tenantId, runId, JSON.stringify(reason), startingAgain.has(run.kind)],
  )
  await statusChanged(tx, runId, run.kind, run.status, 'PAUSED', reason)
  // Of a bundle and of a migration, the import in hand pauses with it.
  for (const part of await partsInHand(tx, runId, run.kind)) {
    if (part.status === 'QUEUED' || part.status === 'RUNNING') {
      await pauseRun(tx, part.id)
    }
  }
}

const noSpace: StatusReason = {
  code: 'PAUSED_STORAGE',
  message: 'There is no space left for what the run writes. It goes on by itself when there is; nothing is lost.',
  retryable: true,
}

/**
 * Pauses a run whose chunk did not fit onto the disk: the chunk was rolled back, what was settled stays. It looks again after so many
 * seconds. False if the run is not RUNNING, or another worker has it.
 */
export async function pauseForSpace(
  tx: Tx,
  run: { readonly id: string; readonly kind: RunKind },
  token: number,
  seconds: number,
): Promise<boolean> {
  const paused = await first(
    tx,
    `update run set status = 'PAUSED', status_reason = $4::jsonb, resume_at = clock_timestamp() + $5 * interval '1 second',
       rows_read = case when $6 then 0 else rows_read end
     where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' returning id`,
    [tx.tenantId, run.id, token, JSON.stringify(noSpace), seconds, startingAgain.has(run.kind)],
  )
  if (paused !== null) {
    await statusChanged(tx, run.id, run.kind, 'RUNNING', 'PAUSED', noSpace)
  }
  return paused !== null
}

/** Lets a paused run go on where it stopped. */
export async function resumeRun(tx: Tx, runId: string): Promise<void> {
  const run = await lockRun(tx, runId)
  if (run.status === 'QUEUED' || run.status === 'RUNNING') {
    return
  }
  if (run.status !== 'PAUSED') {
    throw new Refusal('INVALID_STATE', `A run can be resumed while it is PAUSED; this one is ${run.status}.`, ['runId'])
  }
  await tx.query(
    "update run set status = 'QUEUED', status_reason = null, resume_at = null, queued_at = now(), attempts = 0 where tenant_id = $1 and id = $2",
    [tx.tenantId, runId],
  )
  await statusChanged(tx, runId, run.kind, 'PAUSED', 'QUEUED', null)
  await tx.query('select wake_run($1)', [runId])
  for (const part of await partsInHand(tx, runId, run.kind)) {
    if (part.status === 'PAUSED') {
      await resumeRun(tx, part.id)
    }
  }
}

/** Ends a run for good. What was settled stays and can be rolled back; the rest counts as unprocessed. */
export async function cancelRun(tx: Tx, runId: string): Promise<void> {
  const run = await lockRun(tx, runId)
  for (const part of await partsInHand(tx, runId, run.kind)) {
    await cancelRun(tx, part.id)
  }
  switch (run.status) {
    case 'CANCELING':
    case 'CANCELED':
      return
    case 'ANALYZING':
    case 'PLANNING':
    case 'RUNNING':
      // A worker has it in hand, or will: that one ends it, after the chunk has ended.
      await tx.query("update run set status = 'CANCELING' where tenant_id = $1 and id = $2", [tx.tenantId, runId])
      await statusChanged(tx, runId, run.kind, run.status, 'CANCELING', null)
      await tx.query('select wake_run($1)', [runId])
      return
    case 'DEFERRED':
      await endRun(tx, { id: runId, kind: run.kind, ofRunId: run.of_run_id }, run.status, 'CANCELED', null)
      // Its wake-up would stay until then.
      await tx.query('select wake_run($1)', [runId])
      return
    case 'QUEUED':
    case 'PAUSED':
    case 'AWAITING_MAPPING':
    case 'AWAITING_CONFIRMATION':
      await endRun(tx, { id: runId, kind: run.kind, ofRunId: run.of_run_id }, run.status, 'CANCELED', null)
      return
    default:
      throw new Refusal('INVALID_STATE', `The run has ended already: it is ${run.status}.`, ['runId'])
  }
}

/** Of a bundle that is taken in, and of a migration: its imports that have not ended. */
async function partsInHand(tx: Tx, runId: string, kind: RunKind): Promise<{ id: string; status: RunStatus }[]> {
  if (kind === 'MIGRATION') {
    return openImportsOf(tx, runId)
  }
  return kind === 'BUNDLE_IMPORT' ? (await partsOf(tx, runId)).filter(({ finished }) => !finished) : []
}

/**
 * Ends a run in the caller's transaction: rows without an outcome become unprocessed, so that the conservation law (a
 * CHECK of the table) holds; the import behind a rollback gets its status with it. False if the run was not in `from`,
 * or another worker has it.
 */
export async function endRun(
  tx: Tx,
  run: { readonly id: string; readonly kind: RunKind; readonly ofRunId: string | null },
  from: RunStatus,
  to: 'COMPLETED' | 'COMPLETED_WITH_ERRORS' | 'FAILED' | 'CANCELED',
  reason: StatusReason | null,
  token: number | null = null,
): Promise<boolean> {
  if (run.kind === 'BUNDLE_IMPORT') {
    await foldParts(tx, run.id)
  }
  if (run.kind === 'MIGRATION') {
    await endParts(tx, run.id, to)
  }
  const ended = await first<{ reverted: number; undo: boolean }>(
    tx,
    // A run stopped before its rows were counted has a total of what it settled: nothing.
    `update run r set status = $4, status_reason = $5::jsonb, finished_at = now(),
       total = greatest(total, run_settled(r)), rows_read = case when $7 then 0 else rows_read end,
       unprocessed = greatest(total, run_settled(r)) - case when $7 then 0 else run_settled(r) end
     where tenant_id = $1 and id = $2 and status = $3 and ($6::bigint is null or fencing_token = $6)
     returning reverted::float8 as reverted,
       coalesce((options ->> 'allOrNothing')::boolean, false) and created + updated + deleted > 0 as undo`,
    [
      tx.tenantId,
      run.id,
      from,
      to,
      reason === null ? null : JSON.stringify(reason),
      token,
      // What it had written is thrown away: no row has been read.
      startingAgain.has(run.kind) && to !== 'COMPLETED',
    ],
  )
  if (ended === null) {
    return false
  }
  await statusChanged(tx, run.id, run.kind, from, to, reason)
  if (run.kind === 'MIGRATION' ? await undoesMigration(tx, run.id, to) : ended.undo && to !== 'COMPLETED') {
    await startRollback(tx, { runId: run.id, onConflict: 'KEEP', actor: SERVICE })
  }
  if (run.kind === 'ROLLBACK' && run.ofRunId !== null) {
    await settleParent(tx, run.ofRunId, to, ended.reverted)
  }
  return true
}

/** What is staged ends with a migration that does not come to its end. */
async function endParts(tx: Tx, runId: string, to: RunStatus): Promise<void> {
  if (to === 'FAILED' || to === 'CANCELED') {
    for (const part of await openImportsOf(tx, runId)) {
      await cancelRun(tx, part.id)
    }
  }
  await sumMigration(tx, runId)
}

async function settleParent(tx: Tx, importId: string, ended: RunStatus, reverted: number): Promise<void> {
  const parent = await first<{ kind: RunKind; status_before: RunStatus | null; status: RunStatus }>(
    tx,
    'select kind, status_before, status from run where tenant_id = $1 and id = $2 for update',
    [tx.tenantId, importId],
  )
  if (parent?.status !== 'ROLLING_BACK') {
    return
  }
  const to: RunStatus =
    ended === 'COMPLETED'
      ? 'ROLLED_BACK'
      : ended === 'COMPLETED_WITH_ERRORS' || reverted > 0
        ? 'ROLLED_BACK_WITH_CONFLICTS'
        : (parent.status_before ?? 'COMPLETED')
  await tx.query('update run set status = $3, status_before = null where tenant_id = $1 and id = $2', [
    tx.tenantId,
    importId,
    to,
  ])
  await statusChanged(tx, importId, parent.kind, 'ROLLING_BACK', to, null)
  if (parent.kind === 'MIGRATION') {
    await sumMigration(tx, importId)
    if (to === 'ROLLED_BACK' || to === 'ROLLED_BACK_WITH_CONFLICTS') {
      await closeMigration(tx, importId)
    }
    return
  }
  if (parent.kind === 'BUNDLE_IMPORT') {
    await foldParts(tx, importId)
    if (to === 'ROLLED_BACK') {
      await forgetHome(tx, importId)
    }
    return
  }
  if (to === 'ROLLED_BACK' || to === 'ROLLED_BACK_WITH_CONFLICTS') {
    // Of a retry: rows that it had applied have failed again where they had failed before.
    await tx.query('select reopen_rows($1)', [importId])
  }
}
