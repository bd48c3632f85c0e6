/** Undoes an import, chunk by chunk, as crash-proof as the import itself: cursor, token and settlement are the same. */
import { laneSettings } from '../adapters/crm/sql.js'
import { Lane } from '../db/lane.js'
import { one, withTenant } from '../db/tx.js'
import { failpoint } from '../failpoints.js'
import { chunkSeconds, rows as rowsTotal, runsEnded } from '../metrics.js'
import type { RecordTypeName } from '../records/types.js'
import { type RollbackCursor, undoChunk } from '../runs/changes.js'
import { settleWithCommit } from '../runs/commit.js'
import { endRun } from '../runs/control.js'
import { reopenPending } from '../runs/relations.js'
import { countConflicts } from '../runs/rollback.js'
import type { OnRollbackConflict } from '../runs/types.js'
import { recordSpan } from '../tracing.js'
import { type Claim, laneName, takeTurn } from './claim.js'
import { laneOptions, type WorkerContext } from './context.js'
import { othersWait, SLICE_LEAST_MS, type SliceEnd, StoppedError } from './slice.js'

export async function rollBackRun(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const run = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      one<{
        record_type: RecordTypeName
        of_run_id: string
        on_conflict: OnRollbackConflict
        cursor: RollbackCursor | null
        kept: number
        types: RecordTypeName[]
      }>(
        tx,
        // Types of the records that it undoes: each is changed by one run at a time.
        `select record_type, of_run_id, on_conflict, cursor, kept, array(
           select record_type union select x.record_type from run_related x where x.tenant_id = $1 and x.run_id = of_run_id) as types
         from run where tenant_id = $1 and id = $2`,
        [claim.tenantId, claim.runId],
      ),
    ),
  )
  const lane = await Lane.open(laneOptions(context.databaseUrl, laneName(context.holder, claim.runId)))
  try {
    for (const type of run.types.toSorted()) {
      if (!(await takeTurn(lane, claim, type))) {
        return { kind: 'turn' }
      }
    }
    await lane.session(laneSettings)
    if (run.on_conflict === 'ABORT' && run.cursor === null) {
      const conflicts = await withTenant(lane, claim.tenantId, (tx) =>
        countConflicts(tx, run.of_run_id, run.record_type),
      )
      if (conflicts > 0) {
        await end(context, claim, run.of_run_id, 'FAILED', {
          code: 'CONFLICTS',
          message: `${conflicts} records or fields were changed since the import, and onConflict is ABORT: nothing was undone.`,
          retryable: false,
        })
        return { kind: 'done' }
      }
    }
    const started = performance.now()
    let looked = started
    let cursor = run.cursor
    let kept = run.kept
    for (;;) {
      lost.throwIfAborted()
      const from = performance.now()
      const before = cursor
      const next = await withTenant(lane, claim.tenantId, async (tx) => {
        const undone = await undoChunk(
          tx,
          {
            rollbackId: claim.runId,
            importId: run.of_run_id,
            recordType: run.record_type,
            onConflict: run.on_conflict,
          },
          before,
        )
        if (undone.cursor === null) {
          return null
        }
        await tx.query('update run set reverted = reverted + $3, kept = kept + $4 where tenant_id = $1 and id = $2', [
          claim.tenantId,
          run.of_run_id,
          undone.reverted,
          undone.kept,
        ])
        await failpoint('undo.before-commit', lane)
        const ms = performance.now() - from
        settleWithCommit(tx, {
          runId: claim.runId,
          token: claim.token,
          cursorBefore: before,
          cursor: undone.cursor,
          counts: {
            read: undone.reverted + undone.kept + undone.unchanged,
            reverted: undone.reverted,
            kept: undone.kept,
            unchanged: undone.unchanged,
          },
          bytesRead: 0,
          runningMs: ms,
          stageMs: { undo: Math.round(ms) },
          settled: null,
        })
        return undone
      })
      if (next === null) {
        break
      }
      await failpoint('undo.after-commit', lane)
      chunkSeconds.observe({ kind: 'ROLLBACK' }, (performance.now() - from) / 1000)
      recordSpan('chunk', performance.now() - from, { 'portage.chunk.records': next.reverted + next.kept })
      rowsTotal.inc({ outcome: 'reverted' }, next.reverted)
      rowsTotal.inc({ outcome: 'kept' }, next.kept)
      kept += next.kept
      cursor = next.cursor
      const now = performance.now()
      const looks = now - looked > SLICE_LEAST_MS
      looked = looks ? now : looked
      if (context.stopping.aborted || (looks && (await othersWait(context, claim, now - started)))) {
        return { kind: 'more', delayMs: 0 }
      }
    }
    const conflicts = await settleRest(context, claim, run.of_run_id)
    await end(context, claim, run.of_run_id, kept > 0 || conflicts ? 'COMPLETED_WITH_ERRORS' : 'COMPLETED', null)
    return { kind: 'done' }
  } finally {
    await lane.close()
  }
}

/** What is left to do when the records are undone. Answers whether anything was kept, also of records that are no row's own. */
async function settleRest(context: WorkerContext, claim: Claim, importId: string): Promise<boolean> {
  return context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      await reopenPending(tx, importId)
      // What the source said by this import counts no more.
      await tx.query('delete from source_base where tenant_id = $1 and run_id = $2', [tx.tenantId, importId])
      const { some } = await one<{ some: boolean }>(
        tx,
        'select exists (select from run_conflict where tenant_id = $1 and run_id = $2) as some',
        [claim.tenantId, claim.runId],
      )
      return some
    }),
  )
}

async function end(
  context: WorkerContext,
  claim: Claim,
  importId: string,
  to: 'COMPLETED' | 'COMPLETED_WITH_ERRORS' | 'FAILED',
  reason: { readonly code: string; readonly message: string; readonly retryable: boolean } | null,
): Promise<void> {
  await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      if (
        !(await endRun(
          tx,
          { id: claim.runId, kind: 'ROLLBACK', ofRunId: importId },
          'RUNNING',
          to,
          reason,
          claim.token,
        ))
      ) {
        throw new StoppedError('the run was stopped or taken over')
      }
      await failpoint('undo-end.before-commit', lane)
    }),
  )
  await failpoint('undo-end.after-commit')
  runsEnded.inc({ kind: 'ROLLBACK', status: to })
}
