/** What the kinds of work on a run have in common: how a stretch of it ends, and the looks that may end it early. */
import { withTenant } from '../db/tx.js'
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

/** A run makes way for others after this. Milliseconds. */
export const SLICE_MS = 5000

/** Thrown when a look at the run row showed that the run is not to be worked on any more. */
export class StoppedError extends Error {}

/** Throws StoppedError unless the run is still this claim's to work on. */
export async function stillOurs(context: WorkerContext, claim: Claim, status: RunStatus): Promise<void> {
  const rows = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query('select from run where tenant_id = $1 and id = $2 and status = $3 and fencing_token = $4', [
        claim.tenantId,
        claim.runId,
        status,
        claim.token,
      ]),
    ),
  )
  if (rows.length === 0) {
    throw new StoppedError('the run was stopped or taken over')
  }
}

/** Whether somebody waits for a worker: then a long run makes way at the end of its slice. */
export async function othersWait(context: WorkerContext, runId: string): Promise<boolean> {
  const rows = await context.presence.session(
    `select from run_wakeup w where w.run_id <> $1 and w.due_at <= clock_timestamp() and not ${heldByLiving} limit 1`,
    [runId],
  )
  return rows.length > 0
}
