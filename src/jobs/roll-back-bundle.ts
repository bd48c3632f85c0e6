/** Undoes a bundle or a migration: has its imports rolled back, the last one first, and looks on. */
import { first, one, type Tx } from '../db/tx.js'
import { runsEnded } from '../metrics.js'
import { foldRollbacks, toUndo } from '../runs/bundle-rollback.js'
import { endRun } from '../runs/control.js'
import { previewBundle, startRollback } from '../runs/rollback.js'
import type { OnRollbackConflict, StatusReason } from '../runs/types.js'
import type { Claim } from './claim.js'
import type { WorkerContext } from './context.js'
import { inControl, type SliceEnd, StoppedError } from './slice.js'

/** How often the rollback of a bundle looks how far its own rollbacks have come. Milliseconds. */
const LOOK_MS = 250

/** The bundle or migration that a rollback is about; null where it is about an import. */
export async function bundleOf(context: WorkerContext, claim: Claim): Promise<string | null> {
  const row = await inControl(context, claim, (tx) =>
    first<{ id: string }>(
      tx,
      `select b.id from run r join run b on b.tenant_id = r.tenant_id and b.id = r.of_run_id and b.kind in ('BUNDLE_IMPORT', 'MIGRATION')
       where r.tenant_id = $1 and r.id = $2`,
      [claim.tenantId, claim.runId],
    ),
  )
  return row?.id ?? null
}

export async function rollBackBundle(context: WorkerContext, claim: Claim, bundleRunId: string): Promise<SliceEnd> {
  const ended = await inControl(
    context,
    claim,
    async (tx): Promise<SliceEnd | 'COMPLETED' | 'COMPLETED_WITH_ERRORS' | 'FAILED'> => {
      const run = await first<{ on_conflict: OnRollbackConflict; created_by: string; total: number }>(
        tx,
        `select on_conflict, created_by, total::float8 as total from run
       where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' for update`,
        [claim.tenantId, claim.runId, claim.token],
      )
      if (run === null) {
        throw new StoppedError('the run was stopped or taken over')
      }
      const parts = await toUndo(tx, bundleRunId, claim.runId)
      const begun = parts.flatMap(({ rollbackId }) => rollbackId ?? [])
      const kept = await foldRollbacks(tx, claim.runId, begun)
      if (parts.some(({ rollbackId, rollbackFinished }) => rollbackId !== null && !rollbackFinished)) {
        return { kind: 'more', delayMs: LOOK_MS }
      }
      const next = parts.find(({ rollbackId }) => rollbackId === null)
      if (next === undefined) {
        return kept ? 'COMPLETED_WITH_ERRORS' : 'COMPLETED'
      }
      if (run.on_conflict === 'ABORT' && begun.length === 0) {
        const { conflicts } = await previewBundle(tx, bundleRunId)
        if (conflicts > 0) {
          await finish(tx, claim, bundleRunId, 'FAILED', {
            code: 'CONFLICTS',
            message: `${conflicts} records or fields were changed since the import, and onConflict is ABORT: nothing was undone.`,
            retryable: false,
          })
          return { kind: 'done' }
        }
      }
      // What is in the way was looked at before the first one; from there on all of it is undone or kept.
      const onConflict = run.on_conflict === 'ABORT' ? 'KEEP' : run.on_conflict
      await startRollback(tx, { runId: next.id, onConflict, actor: run.created_by })
      return { kind: 'more', delayMs: LOOK_MS }
    },
  )
  if (typeof ended === 'object') {
    return ended
  }
  await inControl(context, claim, (tx) => finish(tx, claim, bundleRunId, ended, null))
  return { kind: 'done' }
}

async function finish(
  tx: Tx,
  claim: Claim,
  bundleRunId: string,
  to: 'COMPLETED' | 'COMPLETED_WITH_ERRORS' | 'FAILED',
  reason: StatusReason | null,
): Promise<void> {
  if (to !== 'FAILED') {
    // Rows of the imports that had nothing to undo count for nothing here.
    await one(tx, 'update run set total = reverted + kept + unchanged where tenant_id = $1 and id = $2 returning id', [
      claim.tenantId,
      claim.runId,
    ])
  }
  const run = { id: claim.runId, kind: claim.kind, ofRunId: bundleRunId }
  if (!(await endRun(tx, run, 'RUNNING', to, reason, claim.token))) {
    throw new StoppedError('the run was stopped or taken over')
  }
  runsEnded.inc({ kind: 'ROLLBACK', status: to })
}
