/**
 * Who is in charge of a run. Three layers, each for another failure: an advisory lock on an idle connection shows that a
 * worker lives (a crash frees it at once), the lease runs out when one hangs, and the fencing token, bumped here and looked
 * at by every settlement, is what makes a zombie harmless. Only the last one gives correctness.
 */

import { type AuditCaller, writeEntry } from '../access/audit.js'
import { reserveStart } from '../access/quotas.js'
import type { Lane } from '../db/lane.js'
import { first, one, type Tx, withTenant } from '../db/tx.js'
import { failpoint } from '../failpoints.js'
import { encodeId } from '../ids.js'
import type { RecordTypeName } from '../records/types.js'
import { LEASE_SECONDS } from '../runs/commit.js'
import { endRun } from '../runs/control.js'
import { moveRun, statusChanged } from '../runs/events.js'
import type { RunStatus } from '../runs/status.js'
import { type RunKind, runKinds, type StatusReason } from '../runs/types.js'
import { newTraceparent } from '../tracing.js'
import type { AdvanceRunPayload } from './job.js'
import type { SliceEnd } from './slice.js'

/** First key of the advisory locks by which workers show that they live; the second is the worker's own number. */
export const PRESENCE_LOCKS = 7_270_432

/** SQL that is true while the worker that holds the wake-up row `w` lives and its lease runs. */
export const heldByLiving = `(w.holder is not null and w.lease_until > clock_timestamp() and exists (
  select from pg_locks l where l.locktype = 'advisory' and l.classid = ${PRESENCE_LOCKS} and l.objid = w.holder::oid and l.objsubid = 2 and l.granted
    and l.database = (select oid from pg_database where datname = current_database())))`

export interface Claim {
  readonly tenantId: string
  readonly runId: string
  readonly kind: RunKind
  /** The status before this claim; QUEUED has become RUNNING. */
  readonly status: RunStatus
  readonly token: number
  /** Claims since the cursor last moved, this one included. */
  readonly attempts: number
  /** The context that what is done for the run belongs to, as W3C Trace Context has it. */
  readonly trace: string
}

/** Statuses in which there is something for a worker to do. */
const workable: readonly RunStatus[] = ['ANALYZING', 'PLANNING', 'QUEUED', 'DEFERRED', 'RUNNING', 'CANCELING']

/** A run of a kind that this worker does not know is offered again after this. Seconds. */
const NEWER_KIND_SECONDS = 2

/** Who is written down for what a job asks. */
const QUEUE: AuditCaller = { actor: 'portage', key: null, ip: null, userAgent: null, requestId: 'queue' }

/** Start of the name of a lane. */
const LANE_NAME = 'portage lane'

/** Connections of one worker for one run carry this name, so that whoever takes the run over can end them. */
export function laneName(holder: number, runId: string): string {
  return `${LANE_NAME} ${holder} ${runId}`
}

/** Takes charge of a run, from nobody or from a worker that is gone; null if there is nothing to take. */
export async function claimRun(lane: Lane, payload: AdvanceRunPayload, holder: number): Promise<Claim | null> {
  return withTenant(lane, payload.tenantId, async (tx) => {
    const found = await first<{
      kind: RunKind
      status: RunStatus
      held: boolean
      part: boolean
      rows: number
      resume_at: Date | null
      due: boolean
    }>(
      tx,
      // Imports of a migration are planned together, by the worker that has the migration.
      `select kind, status, migration_run_id is not null and status = 'PLANNING' as held,
         migration_run_id is not null or bundle_run_id is not null as part,
         case when kind = 'IMPORT' then greatest(0, coalesce(total, 0) - run_settled(run))::float8 else 0 end as rows,
         case when status = 'PAUSED' then resume_at end as resume_at, resume_at <= clock_timestamp() as due
       from run where tenant_id = $1 and id = $2 for update`,
      [payload.tenantId, payload.runId],
    )
    if (found !== null && found.resume_at !== null && !found.due) {
      await tx.query(
        'update run_wakeup set due_at = $3, sent_until = null where run_id = $1 and tenant_id = $2 and holder is null',
        [payload.runId, payload.tenantId, found.resume_at],
      )
      return null
    }
    if (found !== null && !runKinds.includes(found.kind)) {
      // Made by a newer version while a deploy is under way: what the run is to do is for a newer worker to know.
      await tx.query(
        `update run_wakeup set due_at = clock_timestamp() + ${NEWER_KIND_SECONDS} * interval '1 second', sent_until = null
         where run_id = $1 and tenant_id = $2 and holder is null`,
        [payload.runId, payload.tenantId],
      )
      return null
    }
    let run = found !== null && found.resume_at !== null ? await endPause(tx, payload.runId, found) : found
    if (run === null) {
      // No run is ever removed from its tenant: somebody has put this together who may write to the queue.
      await writeEntry(tx, QUEUE, {
        action: 'run.claim',
        target: encodeId('run', payload.runId),
        outcome: 'DENIED',
        detail: {},
      })
    }
    if (run === null || run.held || !workable.includes(run.status)) {
      // Nothing to do, or a payload that pairs a run with a tenant that is not its own: the row of such a pair is left alone.
      await tx.query('delete from run_wakeup where run_id = $1 and tenant_id = $2', [payload.runId, payload.tenantId])
      return null
    }
    const taken = await first(
      tx,
      `update run_wakeup w set holder = $3, lease_until = clock_timestamp() + ${LEASE_SECONDS} * interval '1 second', sent_until = null
       where w.run_id = $1 and w.tenant_id = $2 and w.due_at <= clock_timestamp() and not ${heldByLiving}
       returning w.run_id`,
      [payload.runId, payload.tenantId, holder],
    )
    if (taken === null) {
      return null
    }
    if ((run.status === 'QUEUED' || run.status === 'DEFERRED') && !run.part) {
      run = await start(tx, payload.runId, run)
      if (run === null) {
        return null
      }
    }
    // What is left of workers before, whether they lost the run or handed it back: a stalled COPY would live on and hold its
    // locks. In this transaction, so that a claim that freezes here does not end the connections of the next one.
    await tx.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user and starts_with(application_name, $1) and right(application_name, length($2)) = $2',
      [LANE_NAME, payload.runId],
    )
    const status = run.status === 'QUEUED' ? 'RUNNING' : run.status
    const trace = newTraceparent(null)
    const bumped = await first<{ token: number; attempts: number; trace: string }>(
      tx,
      `update run set fencing_token = fencing_token + 1, attempts = attempts + 1, status = $3, status_reason = null,
         started_at = coalesce(started_at, clock_timestamp()), trace = coalesce(trace, $4),
         queued_ms = queued_ms + case when status = 'QUEUED' then greatest(0, extract(epoch from clock_timestamp() - queued_at) * 1000)::bigint else 0 end
       where tenant_id = $1 and id = $2 returning fencing_token as token, attempts, trace`,
      [payload.tenantId, payload.runId, status, trace],
    )
    if (run.status === 'QUEUED') {
      await statusChanged(tx, payload.runId, run.kind, 'QUEUED', 'RUNNING', null)
    }
    await failpoint('claim.before-commit', lane)
    return {
      ...payload,
      kind: run.kind,
      status: run.status,
      token: bumped?.token ?? 0,
      attempts: bumped?.attempts ?? 1,
      trace: bumped?.trace ?? trace,
    }
  })
}

/** A run that waits for another one to end looks by itself after this, in case that nobody tells it. Seconds. */
const DEFERRED_RETRY_SECONDS = 60

/**
 * Reserves what a run that waits in the queue needs to run, and answers it as one that is QUEUED. Null: its tenant has no room for
 * it now, and it is DEFERRED, or it never will, and it has FAILED.
 */
async function start<R extends { readonly kind: RunKind; readonly status: RunStatus; readonly rows: number }>(
  tx: Tx,
  runId: string,
  run: R,
): Promise<(R & { status: 'QUEUED' }) | null> {
  // What is undone makes room, so it is not held up.
  const answer = await reserveStart(tx, { id: runId, force: run.kind === 'ROLLBACK', rows: run.rows })
  if (answer.kind === 'wait') {
    const { message, quota } = answer
    const estimatedStartAt = answer.estimatedStartAt.toISOString()
    const reason: StatusReason = { code: 'QUOTA_EXCEEDED', message, retryable: true, estimatedStartAt, quota }
    if (run.status === 'QUEUED') {
      await moveRun(tx, { id: runId, kind: run.kind }, 'QUEUED', 'DEFERRED', { reason })
    } else {
      await tx.query('update run set status_reason = $3::jsonb where tenant_id = $1 and id = $2', [
        tx.tenantId,
        runId,
        JSON.stringify(reason),
      ])
    }
    await tx.query(
      `update run_wakeup set holder = null, lease_until = null, sent_until = null,
         due_at = case when $3 then $4::timestamptz else clock_timestamp() + $5 * interval '1 second' end
       where run_id = $1 and tenant_id = $2`,
      [runId, tx.tenantId, quota === 'rowsPerDay', estimatedStartAt, DEFERRED_RETRY_SECONDS],
    )
    return null
  }
  if (run.status === 'DEFERRED') {
    await moveRun(tx, { id: runId, kind: run.kind }, 'DEFERRED', 'QUEUED')
    // There may be room for the next one, too.
    await tx.query('select wake_deferred()')
  }
  if (answer.kind === 'never') {
    await endRun(tx, { id: runId, kind: run.kind, ofRunId: null }, 'QUEUED', 'FAILED', {
      code: 'QUOTA_EXCEEDED',
      message: answer.message,
      retryable: false,
    })
    await tx.query('delete from run_wakeup where run_id = $1 and tenant_id = $2', [runId, tx.tenantId])
    return null
  }
  return { ...run, status: 'QUEUED' }
}

/** A planned pause is over: the run is in the queue again. */
async function endPause<R extends { readonly kind: RunKind }>(
  tx: Tx,
  runId: string,
  run: R,
): Promise<R & { status: 'QUEUED' }> {
  await tx.query(
    `update run set status = 'QUEUED', status_reason = null, resume_at = null, queued_at = clock_timestamp(), attempts = 0
     where tenant_id = $1 and id = $2`,
    [tx.tenantId, runId],
  )
  await statusChanged(tx, runId, run.kind, 'PAUSED', 'QUEUED', null)
  return { ...run, status: 'QUEUED' }
}

/**
 * Takes charge of an import that a migration holds, for the worker that has the migration; null where that is not so any more,
 * or the import is not to be planned.
 */
export async function claimHeld(lane: Lane, migration: Claim, importId: string): Promise<Claim | null> {
  return withTenant(lane, migration.tenantId, async (tx) => {
    const taken = await first<{ token: number; attempts: number }>(
      tx,
      `update run r set fencing_token = r.fencing_token + 1, started_at = coalesce(r.started_at, clock_timestamp())
       from run m where m.tenant_id = $1 and m.id = $2 and m.fencing_token = $3 and m.status = 'RUNNING'
         and r.tenant_id = $1 and r.id = $4 and r.migration_run_id = m.id and r.status = 'PLANNING'
       returning r.fencing_token as token, r.attempts`,
      [migration.tenantId, migration.runId, migration.token, importId],
    )
    return taken === null
      ? null
      : {
          tenantId: migration.tenantId,
          runId: importId,
          trace: migration.trace,
          kind: 'IMPORT',
          status: 'PLANNING',
          ...taken,
        }
  })
}

/**
 * Lets these runs be taken up now, also when they wait for their next attempt: a person wants something of them. Ids that are
 * none, or of runs without a wake-up row, are passed over.
 */
export async function bringForward(presence: Lane, runIds: readonly string[]): Promise<void> {
  await presence.session(
    'update run_wakeup set due_at = least(due_at, clock_timestamp()), sent_until = null where run_id::text = any ($1)',
    [runIds],
  )
}

/** A run that waits for its turn looks again after this, if nobody wakes it before. Milliseconds. */
const TURN_RETRY_MS = 250

/**
 * Hands the run back: to be taken up again when `end` says, or, if there is nothing left to do, not at all. A run that waits
 * for its turn keeps `due_at`, which is its place; one that had its turn gets a new one, behind all that wait, and wakes them.
 */
export async function releaseRun(
  lane: Lane,
  claim: Claim,
  holder: number,
  end: SliceEnd,
  progressed: boolean,
): Promise<void> {
  await withTenant(lane, claim.tenantId, async (tx) => {
    const run = await first<{ status: RunStatus; resume_at: Date | null }>(
      tx,
      // An interruption is no attempt; a failure is, and stays counted until the cursor moves.
      `update run set attempts = case when $4 then 0 else attempts end
       where tenant_id = $1 and id = $2 and fencing_token = $3 returning status, resume_at`,
      [claim.tenantId, claim.runId, claim.token, progressed],
    )
    if (run === null) {
      return
    }
    if (workable.includes(run.status)) {
      const times =
        end.kind === 'turn'
          ? "sent_until = clock_timestamp() + $3 * interval '1 millisecond'"
          : "sent_until = null, due_at = clock_timestamp() + $3 * interval '1 millisecond'"
      await tx.query(
        `update run_wakeup set holder = null, lease_until = null, ${times} where run_id = $1 and holder = $2`,
        [claim.runId, holder, end.kind === 'turn' ? TURN_RETRY_MS : end.kind === 'more' ? end.delayMs : 0],
      )
    } else if (run.status === 'PAUSED' && run.resume_at !== null) {
      await tx.query(
        'update run_wakeup set holder = null, lease_until = null, sent_until = null, due_at = $3 where run_id = $1 and holder = $2',
        [claim.runId, holder, run.resume_at],
      )
    } else {
      await tx.query('delete from run_wakeup where run_id = $1 and holder = $2', [claim.runId, holder])
    }
    if (end.kind !== 'turn') {
      await tx.query(
        `update run_wakeup set sent_until = null where run_id in (
           select run_id from run_wakeup where tenant_id = $1 and run_id <> $2 and holder is null and due_at <= clock_timestamp()
           order by run_id for update skip locked)`,
        [claim.tenantId, claim.runId],
      )
      await tx.query("select pg_notify('portage_wakeup', '')")
    }
    await failpoint('release.before-commit', lane)
  })
  await failpoint('release.after-commit', lane)
}

/**
 * Takes the advisory lock of one record type of one tenant, until the lane closes: runs of one type in one tenant take turns,
 * so that they cannot duplicate each other's people. False if it is another run's turn, or another one has waited longer.
 */
export async function takeTurn(lane: Lane, claim: Claim, recordType: RecordTypeName): Promise<boolean> {
  return withTenant(lane, claim.tenantId, async (tx) => {
    const earlier = await tx.query(
      `select from run_wakeup w join run r on r.tenant_id = w.tenant_id and r.id = w.run_id
       where w.tenant_id = $1 and r.record_type = $2 and r.kind in ('IMPORT', 'ROLLBACK') and r.id <> $3 and r.status in ('QUEUED', 'RUNNING')
         and (w.due_at, w.run_id) < (select o.due_at, o.run_id from run_wakeup o where o.run_id = $3) limit 1`,
      [claim.tenantId, recordType, claim.runId],
    )
    if (earlier.length > 0) {
      return false
    }
    const lock = await one<{ taken: boolean }>(tx, 'select pg_try_advisory_lock(hashtextextended($1, 0)) as taken', [
      `portage turn ${claim.tenantId} ${recordType}`,
    ])
    return lock.taken
  })
}
