/** The imports that a migration is made of, as the control of runs and rollbacks need them. */
import { first, type Tx } from '../db/tx.js'
import type { RunStatus } from './status.js'

/** Imports of a migration that have not ended, those that are staged among them. */
export function openImportsOf(tx: Tx, runId: string): Promise<{ id: string; status: RunStatus }[]> {
  return tx.query(
    'select id, status from run where tenant_id = $1 and migration_run_id = $2 and finished_at is null order by id',
    [tx.tenantId, runId],
  )
}

/** Numbers of the migration's run: those of its imports together. */
export async function sumMigration(tx: Tx, runId: string): Promise<void> {
  await tx.query(
    `update run m set (total, rows_read, created, updated, unchanged, skipped, failed, deleted, reverted, kept, unprocessed, bytes_read) = (
       select coalesce(sum(greatest(c.total, run_settled(c))), 0), coalesce(sum(c.rows_read), 0), coalesce(sum(c.created), 0), coalesce(sum(c.updated), 0),
         coalesce(sum(c.unchanged), 0), coalesce(sum(c.skipped), 0), coalesce(sum(c.failed), 0), coalesce(sum(c.deleted), 0),
         coalesce(sum(c.reverted), 0), coalesce(sum(c.kept), 0),
         coalesce(sum(greatest(c.total, run_settled(c)) - run_settled(c)), 0), coalesce(sum(c.bytes_read), 0)
       from run c join migration_pass p on p.tenant_id = c.tenant_id and p.import_run_id = c.id
       where c.tenant_id = m.tenant_id and p.run_id = m.id)
     where m.tenant_id = $1 and m.id = $2`,
    [tx.tenantId, runId],
  )
}

/**
 * Whether an end with `to` leaves less than everything of a migration that was to be all or nothing. Its first promotion is
 * what this is about: a later pass, or another look at the result, undoes nothing.
 */
export async function undoesMigration(tx: Tx, runId: string, to: RunStatus): Promise<boolean> {
  const found = await first<{ undo: boolean }>(
    tx,
    `select m.goal = 'PROMOTE' and coalesce((r.options ->> 'allOrNothing')::boolean, false)
       and r.created + r.updated + r.deleted > 0 and (r.failed > 0 or $3 in ('FAILED', 'CANCELED'))
       -- One that is still being stopped could not be undone yet.
       and not exists (select from run c where c.tenant_id = $1 and c.migration_run_id = $2 and c.finished_at is null) as undo
     from run r join run_migration m on m.tenant_id = r.tenant_id and m.run_id = r.id where r.tenant_id = $1 and r.id = $2`,
    [tx.tenantId, runId, to],
  )
  return found?.undo === true
}

/** A migration that was rolled back has had its time: no further pass, and no schedule. */
export async function closeMigration(tx: Tx, runId: string): Promise<void> {
  await tx.query(
    `update run_migration set stage = 'COMPLETED', schedule = null, time_zone = null, schedule_owner = null, schedule_disabled = null, next_due_at = null
     where tenant_id = $1 and run_id = $2`,
    [tx.tenantId, runId],
  )
}
