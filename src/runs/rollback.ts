/** Starting an undo, and what it would do. The undoing itself is a run like any other: see `src/jobs/roll-back-run.ts`. */
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import { recordTypes } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import { hasChildren, identifiedLater, mergedAway, references } from './changes.js'
import { statusChanged } from './events.js'
import { type RunStatus, transitions } from './status.js'
import type { OnRollbackConflict } from './types.js'

interface Reversible {
  readonly kind: string
  readonly status: RunStatus
  readonly record_type: RecordTypeName
  readonly written: number
  /** Its rows made or changed records of other types. */
  readonly related: boolean
}

async function reversible(tx: Tx, runId: string, lock: string): Promise<Reversible> {
  const run = await first<Reversible>(
    tx,
    // What a retry of its rows wrote counts in an import, and is for the retry's own rollback to undo.
    `select kind, status, record_type, (created + updated + deleted)::float8 - (
       select count(*) from run_row x where x.tenant_id = $1 and x.run_id = $2 and x.closed_by is not null
         and x.outcome in ('CREATED', 'UPDATED', 'DELETED'))::float8 as written,
       exists (select from run_related where tenant_id = $1 and run_id = $2) as related
     from run where tenant_id = $1 and id = $2 ${lock}`,
    [tx.tenantId, runId],
  )
  if (run === null) {
    throw new Refusal('NOT_FOUND', 'There is no such run.', ['runId'])
  }
  if (run.kind !== 'IMPORT') {
    throw new Refusal('NOT_REVERSIBLE', 'Only an import can be rolled back; run the import again to undo a rollback.', [
      'runId',
    ])
  }
  if (run.status === 'ROLLED_BACK') {
    throw new Refusal('NOT_REVERSIBLE', 'The import has been rolled back already.', ['runId'])
  }
  if (!transitions[run.status].includes('ROLLING_BACK')) {
    throw new Refusal('INVALID_STATE', `An import can be rolled back when it has ended; this one is ${run.status}.`, [
      'runId',
    ])
  }
  const retries = await one<{ active: number; standing: number }>(
    tx,
    `select count(*) filter (where finished_at is null)::float8 as active,
       count(*) filter (where status not in ('ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS') and exists (
         select from run_row x where x.tenant_id = $1 and x.closed_by = run.id and x.run_id = $2
           and x.outcome in ('CREATED', 'UPDATED', 'DELETED')))::float8 as standing
     from run where tenant_id = $1 and root_run_id = (select coalesce(root_run_id, id) from run where tenant_id = $1 and id = $2)
       and id <> $2`,
    [tx.tenantId, runId],
  )
  if (retries.active > 0) {
    throw new Refusal(
      'INVALID_STATE',
      'Failed rows of this import are being tried again just now. Cancel that first.',
      ['runId'],
    )
  }
  if (retries.standing > 0) {
    throw new Refusal(
      'INVALID_STATE',
      `${retries.standing} later imports have applied rows that had failed in this one. Roll those back first: see its children.`,
      ['runId'],
    )
  }
  if (run.written === 0 && !run.related) {
    throw new Refusal('NOT_REVERSIBLE', 'The import wrote nothing, so there is nothing to undo.', ['runId'])
  }
  return run
}

/** What a rollback would do now: records restored and deleted, and conflicts (fields or records changed since). */
export async function previewRollback(
  tx: Tx,
  runId: string,
): Promise<{ willRestore: number; willDelete: number; conflicts: number }> {
  const run = await reversible(tx, runId, '')
  return previewOfRun(tx, runId, run.record_type)
}

/** Fields and records that a rollback of the import would keep, because they were changed since. */
export async function countConflicts(tx: Tx, importId: string, recordType: RecordTypeName): Promise<number> {
  const preview = await previewOfRun(tx, importId, recordType)
  return preview.conflicts
}

interface Preview {
  readonly willRestore: number
  readonly willDelete: number
  readonly conflicts: number
}

/** Of the records of the import's own type and of those that its rows or its end wrote beside them. */
async function previewOfRun(tx: Tx, runId: string, own: RecordTypeName): Promise<Preview> {
  let { willRestore, willDelete, conflicts } = await previewOf(tx, runId, own)
  for (const type of Object.values(recordTypes)) {
    const { some } =
      type.name === own
        ? { some: false }
        : await one<{ some: boolean }>(
            tx,
            `select exists (select from run_change where tenant_id = $1 and run_id = $2 and record_type = '${type.name}')
               or exists (select from ${type.table} where tenant_id = $1 and created_run_id = $2) as some`,
            [tx.tenantId, runId],
          )
    if (some) {
      const other = await previewOf(tx, runId, type.name)
      willRestore += other.willRestore
      willDelete += other.willDelete
      conflicts += other.conflicts
    }
  }
  return { willRestore, willDelete, conflicts }
}

async function previewOf(
  tx: Tx,
  runId: string,
  table: RecordTypeName,
): Promise<{ willRestore: number; willDelete: number; conflicts: number }> {
  const restored = await one<{ clean: number; conflicts: number }>(
    tx,
    `with folded as (
       select c.record_id, jsonb_object_agg(a.key, a.value order by c.row_number) as after,
         jsonb_object_agg(a.key, c.before -> a.key order by c.row_number desc) as before
       from run_change c cross join lateral jsonb_each(c.after) a
       where c.tenant_id = $1 and c.run_id = $2 and c.reverted_at is null and c.record_type = '${table}' group by c.record_id),
     compared as (
       select f.record_id, count(*) filter (where not (now.j -> k.key = f.after -> k.key or now.j -> k.key = f.before -> k.key)) as conflicts
       from folded f
         -- A subquery of its own, so that each record is looked up once and by its id.
         cross join lateral (select to_jsonb(r) as j from ${table} r
           where r.tenant_id = $1 and r.id = f.record_id and r.created_run_id is distinct from $2 offset 0) as now
         cross join lateral jsonb_object_keys(f.after) as k (key)
       group by f.record_id)
     select count(*) filter (where conflicts = 0)::float8 as clean, coalesce(sum(conflicts), 0)::float8 as conflicts from compared`,
    [tx.tenantId, runId],
  )
  const type = recordTypes[table]
  // Those that the import made go with it, and so do the links that it made.
  const ownChild = `c.created_run_id is not distinct from $2 or exists (select from run_change x where x.tenant_id = $1 and x.run_id = $2 and x.record_id = c.id)`
  const created = await one<{ live: number; conflicts: number; merged: number }>(
    tx,
    // What must stay keeps its parents too, as the undoing does it.
    `with recursive keep (id) as (
       select r.id from ${table} r
       where r.tenant_id = $1 and r.created_run_id = $2 and r.deleted_at is null
         and (r.version <> r.pristine_version or ${identifiedLater('r', '$3')}
           or ${hasChildren(type, 'r', '$1', ownChild)})
       ${references(type)
         .filter((reference) => reference.table === table)
         .map(
           ({ column }) => `union select p.id from keep k join ${table} r on r.tenant_id = $1 and r.id = k.id
             join ${table} p on p.tenant_id = $1 and p.id = r.${column} and p.created_run_id = $2 and p.deleted_at is null`,
         )
         .join(' ')})
     select (select count(*) from ${table} r where r.tenant_id = $1 and r.created_run_id = $2 and r.deleted_at is null)::float8 as live,
       (select count(*) from keep)::float8 as conflicts,
       (select count(*) from ${table} r where r.tenant_id = $1 and r.created_run_id = $2 and r.deleted_at is not null
         and ${mergedAway('r')})::float8 as merged`,
    [tx.tenantId, runId, table],
  )
  return {
    willRestore: restored.clean,
    willDelete: created.live - created.conflicts,
    conflicts: restored.conflicts + created.conflicts + created.merged,
  }
}

/** Creates the rollback of an import and wakes a worker, both or neither. Answers the rollback run's id. */
export async function startRollback(
  tx: Tx,
  input: { readonly runId: string; readonly onConflict: OnRollbackConflict; readonly actor: string },
): Promise<string> {
  const run = await reversible(tx, input.runId, 'for update')
  const id = newId()
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, record_type, of_run_id, on_conflict, total, queued_at)
     values ($1, $2, 'ROLLBACK', 'QUEUED', $3, $4, $5, $6, $7, now())`,
    [tx.tenantId, id, input.actor, run.record_type, input.runId, input.onConflict, run.written],
  )
  await tx.query(
    "update run set status = 'ROLLING_BACK', status_before = $3, kept = 0 where tenant_id = $1 and id = $2",
    [tx.tenantId, input.runId, run.status],
  )
  await statusChanged(tx, input.runId, 'IMPORT', run.status, 'ROLLING_BACK', null)
  await statusChanged(tx, id, 'ROLLBACK', null, 'QUEUED', null)
  await tx.query('select wake_run($1)', [id])
  return id
}
