/** At the end of an import, however it ends: relations that waited for what it wrote, and its own that waited for others. */
import { first, withTenant } from '../db/tx.js'
import { failpoint } from '../failpoints.js'
import type { RecordTypeName } from '../records/types.js'
import { type PendingCursor, settlePending } from '../runs/relations.js'
import type { Claim } from './claim.js'
import type { WorkerContext } from './context.js'
import { StoppedError } from './slice.js'

export interface EndingImport {
  /** In which the import is while this happens. */
  readonly status: 'RUNNING' | 'CANCELING'
  readonly recordType: RecordTypeName
  /** Types of its related records. */
  readonly written: readonly RecordTypeName[]
}

/** Makes the links, a batch in each transaction; safe to repeat. Throws StoppedError where the run is not the claim's any more. */
export async function settleRelations(
  context: WorkerContext,
  { runId, tenantId, token }: Claim,
  { status, recordType, written }: EndingImport,
): Promise<void> {
  let cursor: PendingCursor | null = null
  do {
    const from: PendingCursor | null = cursor
    cursor = await context.control.use((lane) =>
      withTenant(lane, tenantId, async (tx) => {
        const ours = await first(
          tx,
          'select from run where tenant_id = $1 and id = $2 and fencing_token = $3 and status = $4 for share',
          [tenantId, runId, token, status],
        )
        if (ours === null) {
          throw new StoppedError('the run was stopped or taken over')
        }
        const next = await settlePending(tx, { id: runId, recordType, written }, from)
        await failpoint('relations.before-commit', lane)
        return next
      }),
    )
    await failpoint('relations.after-commit')
  } while (cursor !== null)
}
