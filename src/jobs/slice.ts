/** What the kinds of work on a run have in common: how a stretch of it ends, and the looks that may end it early. */
import type { Lane } from '../db/lane.js'
import { type Tx, withTenant } from '../db/tx.js'
import type { RunStatus } from '../runs/status.js'
import { type Claim, heldByLiving } from './claim.js'
import type { WorkerContext } from './context.js'

/** How a slice of work ended. */
export type SliceEnd =
  /** The run has ended, or waits for a person: nothing is left to do. */
  | { readonly kind: 'done' }
  /** There is more to do, and others may go first. */
  | { readonly kind: 'more'; readonly delayMs: number }
  /** It is another run's turn in this tenant and record type: this one keeps its place among those that wait. */
  | { readonly kind: 'turn' }

/** A run makes way after this when anybody waits. Milliseconds. */
export const SLICE_MS = 5000

/** And after this when the run of a tenant waits that has none in hand. Milliseconds. */
const FAIR_SLICE_MS = 2000

/** And after this when its own tenant has several in hand. Milliseconds. */
const SHORT_SLICE_MS = 500

/** How long a run is left alone at least. Milliseconds. */
export const SLICE_LEAST_MS = SHORT_SLICE_MS

/** Thrown when a look at the run row showed that the run is not to be worked on any more. */
export class StoppedError extends Error {}

/** A short transaction about the run, beside the work on its rows. */
export function inControl<R>(context: WorkerContext, claim: Claim, work: (tx: Tx) => Promise<R>): Promise<R> {
  return context.control.use((lane) => withTenant(lane, claim.tenantId, work))
}

/**
 * Changes the run's row, with `values` from $4 on, and tells its progress. Throws StoppedError unless the run is still this claim's to
 * work on.
 */
export async function moveOn(tx: Tx, claim: Claim, set: string, values: readonly unknown[]): Promise<void> {
  const moved = await tx.query(
    `with r as (
       update run set ${set} where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' returning run)
     select append_events($2, '${claim.kind}', jsonb_build_array(jsonb_build_object('type', 'RunProgressed', 'body',
       jsonb_build_object('counts', run_counts(r.run), 'progress', run_progress(r.run))))) from r`,
    [claim.tenantId, claim.runId, claim.token, ...values],
  )
  if (moved.length === 0) {
    throw new StoppedError('the run was stopped or taken over')
  }
}

/** Throws StoppedError unless the run is still this claim's to work on. */
export async function stillOurs(context: WorkerContext, claim: Claim, status: RunStatus): Promise<void> {
  const rows = await inControl(context, claim, (tx) =>
    tx.query('select from run where tenant_id = $1 and id = $2 and status = $3 and fencing_token = $4', [
      claim.tenantId,
      claim.runId,
      status,
      claim.token,
    ]),
  )
  if (rows.length === 0) {
    throw new StoppedError('the run was stopped or taken over')
  }
}

/**
 * Whether a run that has been worked on for so long makes way: tenants take turns, so the less of the workers the tenant of a run that
 * waits has, and the more its own, the sooner.
 */
export async function othersWait(context: WorkerContext, claim: Claim, workedMs: number): Promise<boolean> {
  if (workedMs < SHORT_SLICE_MS) {
    return false
  }
  const [row] = await context.presence.session<{ own: number; anybody: boolean; somebody_else: boolean }>(
    `with held as (select w.tenant_id, count(*)::int as n from run_wakeup w where ${heldByLiving} group by w.tenant_id),
     waiting as (
       select w.tenant_id from run_wakeup w where w.run_id <> $1 and w.due_at <= clock_timestamp() and not ${heldByLiving})
     select coalesce((select n from held where tenant_id = $2), 1) as own,
       exists (select from waiting) as anybody,
       exists (select from waiting w where not exists (select from held h where h.tenant_id = w.tenant_id)) as somebody_else`,
    [claim.runId, claim.tenantId],
  )
  if (row === undefined || !row.anybody) {
    return false
  }
  return workedMs >= (row.somebody_else ? (row.own > 1 ? SHORT_SLICE_MS : FAIR_SLICE_MS) : SLICE_MS)
}

/** Work that could be taken up now. */
export interface Due {
  readonly tenantId: string
  readonly runId: string
}

/** A run that was not its tenant's turn's looks again after 250 ms, and is passed over until then; one with a job on its way is not. */
const TURN_MS = 250

/**
 * The run whose turn it is: of the tenant that has fewest in hand, whichever has waited longest. With `idle`, only runs of tenants
 * that have none in hand. Null: there is none.
 */
export async function nextInTurn(presence: Lane, idle = false): Promise<Due | null> {
  const [row] = await presence.session<Due>(
    `with held as (select w.tenant_id, count(*) as n from run_wakeup w where ${heldByLiving} group by w.tenant_id)
     select w.tenant_id as "tenantId", w.run_id as "runId" from run_wakeup w left join held h on h.tenant_id = w.tenant_id
     where w.due_at <= clock_timestamp() and not ${heldByLiving} and ($1 = false or h.n is null)
       and (w.sent_until is null or w.sent_until <= clock_timestamp()
         or w.sent_until > clock_timestamp() + ${TURN_MS} * interval '1 millisecond')
     order by coalesce(h.n, 0), w.due_at, w.run_id limit 1`,
    [idle],
  )
  return row ?? null
}
