/** Exports of the audit as runs: how one is made. `jobs/run-audit-export.ts` writes the file. */
import { admitRun } from '../access/quotas.js'
import type { Tx } from '../db/tx.js'
import { newId } from '../ids.js'
import { statusChanged } from './events.js'

export interface NewAuditExport {
  readonly actor: string
  /** Entries from this moment on; null: from the first one on. */
  readonly from: Date | null
  /** Entries before this moment; null: to the last one. */
  readonly to: Date | null
}

/** Creates a run that writes the audit into a file and wakes a worker, both or neither. Answers the run's id. */
export async function createAuditExport(tx: Tx, { actor, from, to }: NewAuditExport): Promise<string> {
  const id = newId()
  await admitRun(tx, id)
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, queued_at) values ($1, $2, 'AUDIT_EXPORT', 'QUEUED', $3, now())`,
    [tx.tenantId, id, actor],
  )
  await tx.query('insert into run_audit_export (tenant_id, run_id, from_at, to_at) values ($1, $2, $3, $4)', [
    tx.tenantId,
    id,
    from,
    to,
  ])
  await statusChanged(tx, id, 'AUDIT_EXPORT', null, 'QUEUED', null)
  await tx.query('select wake_run($1)', [id])
  return id
}
