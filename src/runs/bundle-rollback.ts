/** Undoing a whole bundle, or a whole migration: its imports are rolled back one after the other, the last one first. */
import { one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import type { RecordTypeName } from '../records/types.js'
import type { RunStatus } from './status.js'

/** Runs that are made of imports. */
export type WholeKind = 'BUNDLE_IMPORT' | 'MIGRATION'

/** An import that a bundle's rollback has to undo. */
export interface ToUndo {
  readonly id: string
  readonly status: RunStatus
  readonly recordType: RecordTypeName
  /** The rollback that was begun for it by the bundle's; null for none. */
  readonly rollbackId: string | null
  readonly rollbackFinished: boolean
}

/**
 * The imports of a bundle or a migration, and retries of them, in the order in which they are to be undone; those that wrote nothing and those
 * that were undone before are left out. `rollbackId`: the bundle's own rollback, whose rollbacks are found by being younger.
 */
export async function toUndo(tx: Tx, bundleRunId: string, rollbackId: string | null): Promise<ToUndo[]> {
  return tx.query<ToUndo>(
    `select r.id, r.status, r.record_type as "recordType", k.id as "rollbackId", coalesce(k.finished_at is not null, false) as "rollbackFinished"
     from run p join run r on r.tenant_id = p.tenant_id and (r.id = p.id or r.root_run_id = p.id)
       left join lateral (select id, finished_at from run k where k.tenant_id = $1 and k.of_run_id = r.id and k.id > $3::uuid
         order by k.id desc limit 1) k on true
       left join migration_pass mp on mp.tenant_id = p.tenant_id and mp.import_run_id = p.id
       left join migration_object mo on mo.tenant_id = mp.tenant_id and mo.run_id = mp.run_id and mo.object = mp.object
     where p.tenant_id = $1 and (p.bundle_run_id = $2 or p.migration_run_id = $2)
       and (k.id is not null or r.status <> 'ROLLED_BACK' and (r.created + r.updated + r.deleted > 0
         or exists (select from run_related d where d.tenant_id = $1 and d.run_id = r.id)))
     -- Of a migration the newest pass first, deletions of a pass before what it brought, and that against the load order.
     order by mp.pass desc nulls last, mp.kind desc, case mp.kind when 'CHANGED' then -mo.position else mo.position end, p.id desc, r.id desc`,
    [tx.tenantId, bundleRunId, rollbackId ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  )
}

/** Counters of a bundle's rollback, as sums of the rollbacks that it has begun. Answers whether anything was kept. */
export async function foldRollbacks(tx: Tx, rollbackId: string, rollbackIds: readonly string[]): Promise<boolean> {
  const { kept } = await one<{ kept: boolean }>(
    tx,
    `with s as (
       select coalesce(sum(reverted), 0) as reverted, coalesce(sum(kept), 0) as kept, coalesce(sum(unchanged), 0) as unchanged,
         coalesce(sum(rows_read), 0) as rows_read, coalesce(bool_or(status <> 'COMPLETED'), false) as some
       from run where tenant_id = $1 and id = any ($3::uuid[])),
     u as (
       update run set reverted = s.reverted, kept = s.kept, unchanged = s.unchanged, rows_read = s.rows_read,
         total = greatest(total, s.reverted + s.kept + s.unchanged)
       from s where tenant_id = $1 and id = $2)
     select s.some as kept from s`,
    [tx.tenantId, rollbackId, [...rollbackIds]],
  )
  return kept
}

/** Refuses where a bundle cannot be rolled back just now. Answers how many rows it wrote. */
export async function checkBundleReversible(
  tx: Tx,
  run: { readonly id: string; readonly kind: WholeKind; readonly status: RunStatus; readonly ends: boolean },
): Promise<number> {
  const noun = run.kind === 'MIGRATION' ? 'migration' : 'bundle'
  if (run.status === 'ROLLED_BACK') {
    throw new Refusal('NOT_REVERSIBLE', `The ${noun} has been rolled back already.`, ['runId'])
  }
  if (!run.ends) {
    throw new Refusal('INVALID_STATE', `A ${noun} can be rolled back when it has ended; this one is ${run.status}.`, [
      'runId',
    ])
  }
  const { written, busy } = await one<{ written: number; busy: number }>(
    tx,
    `select coalesce(sum(r.created + r.updated + r.deleted) filter (where r.status <> 'ROLLED_BACK'), 0)::float8 as written,
       count(*) filter (where r.finished_at is null or r.status = 'ROLLING_BACK')::float8 as busy
     from run p join run r on r.tenant_id = p.tenant_id and (r.id = p.id or r.root_run_id = p.id)
     where p.tenant_id = $1 and (p.bundle_run_id = $2 or p.migration_run_id = $2)`,
    [tx.tenantId, run.id],
  )
  if (busy > 0) {
    throw new Refusal(
      'INVALID_STATE',
      `One of the imports of this ${noun} is being tried again or rolled back just now. Wait until that has ended.`,
      ['runId'],
    )
  }
  if (written === 0) {
    throw new Refusal('NOT_REVERSIBLE', `The ${noun} wrote nothing, so there is nothing to undo.`, ['runId'])
  }
  return written
}
