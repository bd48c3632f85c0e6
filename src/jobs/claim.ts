/**
 * Who is in charge of a run. Three layers, each for another failure: an advisory lock on an idle connection shows that a
 * worker lives (a crash frees it at once), the lease runs out when one hangs, and the fencing token, bumped here and looked
 * at by every settlement, is what makes a zombie harmless. Only the last one gives correctness.
 */
import type { Lane } from '../db/lane.js'
import { first, withTenant } from '../db/tx.js'
import { LEASE_SECONDS } from '../runs/commit.js'
import { statusChanged } from '../runs/events.js'
import type { RunStatus } from '../runs/status.js'
import type { RunKind } from '../runs/types.js'
import type { AdvanceRunPayload } from './job.js'

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
}

/** Statuses in which there is something for a worker to do. */
const workable: readonly RunStatus[] = ['ANALYZING', 'QUEUED', 'RUNNING', 'CANCELING']

/** Start of the name of a lane. */
const LANE_NAME = 'portage lane'

/** Connections of one worker for one run carry this name, so that whoever takes the run over can end them. */
export function laneName(holder: number, runId: string): string {
  return `${LANE_NAME} ${holder} ${runId}`
}

/** Takes charge of a run, from nobody or from a worker that is gone; null if there is nothing to take. */
export async function claimRun(lane: Lane, payload: AdvanceRunPayload, holder: number): Promise<Claim | null> {
  return withTenant(lane, payload.tenantId, async (tx) => {
    const run = await first<{ kind: RunKind; status: RunStatus }>(
      tx,
      'select kind, status from run where tenant_id = $1 and id = $2 for update',
      [payload.tenantId, payload.runId],
    )
    if (run === null || !workable.includes(run.status)) {
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
    // What is left of workers before, whether they lost the run or handed it back: a stalled COPY would live on and hold its
    // locks. In this transaction, so that a claim that freezes here does not end the connections of the next one.
    await tx.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user and starts_with(application_name, $1) and right(application_name, length($2)) = $2',
      [LANE_NAME, payload.runId],
    )
    const status = run.status === 'QUEUED' ? 'RUNNING' : run.status
    const bumped = await first<{ token: number; attempts: number }>(
      tx,
      `update run set fencing_token = fencing_token + 1, attempts = attempts + 1, status = $3, status_reason = null,
         started_at = coalesce(started_at, clock_timestamp()),
         queued_ms = queued_ms + case when status = 'QUEUED' then greatest(0, extract(epoch from clock_timestamp() - queued_at) * 1000)::bigint else 0 end
       where tenant_id = $1 and id = $2 returning fencing_token as token, attempts`,
      [payload.tenantId, payload.runId, status],
    )
    if (run.status === 'QUEUED') {
      await statusChanged(tx, payload.runId, run.kind, 'QUEUED', 'RUNNING', null)
    }
    return {
      ...payload,
      kind: run.kind,
      status: run.status,
      token: bumped?.token ?? 0,
      attempts: bumped?.attempts ?? 1,
    }
  })
}

/** Hands the run back: to be taken up again after `delayMs`, or, if there is nothing left to do, not at all. */
export async function releaseRun(
  lane: Lane,
  claim: Claim,
  holder: number,
  delayMs: number,
  progressed: boolean,
): Promise<void> {
  await withTenant(lane, claim.tenantId, async (tx) => {
    const run = await first<{ status: RunStatus }>(
      tx,
      // An interruption is no attempt; a failure is, and stays counted until the cursor moves.
      `update run set attempts = case when $4 then 0 else attempts end
       where tenant_id = $1 and id = $2 and fencing_token = $3 returning status`,
      [claim.tenantId, claim.runId, claim.token, progressed],
    )
    if (run === null) {
      return
    }
    if (workable.includes(run.status)) {
      await tx.query(
        `update run_wakeup set holder = null, lease_until = null, sent_until = null, due_at = clock_timestamp() + $3 * interval '1 millisecond'
         where run_id = $1 and holder = $2`,
        [claim.runId, holder, delayMs],
      )
      await tx.query("select pg_notify('portage_wakeup', '')")
    } else {
      await tx.query('delete from run_wakeup where run_id = $1 and holder = $2', [claim.runId, holder])
    }
  })
}
