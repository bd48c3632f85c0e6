/** Starting an undo, and what it would do. The undoing itself is a run like any other: see `src/jobs/roll-back-run.ts`. */
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import { recordTypes } from '../records/index.js'
import type { RecordType, RecordTypeName } from '../records/types.js'
import { checkBundleReversible, toUndo, type WholeKind } from './bundle-rollback.js'
import { currently, hasChildren, identifiedLater, mergedAway, references } from './changes.js'
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
  const whole = await wholeKind(tx, runId)
  if (whole !== null) {
    await reversibleWhole(tx, runId, whole, '')
    return previewBundle(tx, runId)
  }
  const run = await reversible(tx, runId, '')
  return previewOfRun(tx, runId, run.record_type)
}

/** The same of a bundle or a migration: what the rollbacks of its imports would do, one after the other. */
export async function previewBundle(
  tx: Tx,
  bundleRunId: string,
): Promise<{ willRestore: number; willDelete: number; conflicts: number }> {
  const parts = await toUndo(tx, bundleRunId, null)
  const sum = { willRestore: 0, willDelete: 0, conflicts: 0 }
  for (const { id, recordType } of parts) {
    // What other imports of the bundle made goes before the records that it refers to.
    const before = parts.map((part) => part.id)
    const part = await previewOfRun(tx, id, recordType, before)
    sum.willRestore += part.willRestore
    sum.willDelete += part.willDelete
    sum.conflicts += part.conflicts
  }
  return sum
}

/** The kind of a run that is made of imports; null for any other. */
async function wholeKind(tx: Tx, runId: string): Promise<WholeKind | null> {
  const run = await first<{ kind: WholeKind }>(
    tx,
    `select kind from run where tenant_id = $1 and id = $2 and kind in ('BUNDLE_IMPORT', 'MIGRATION')`,
    [tx.tenantId, runId],
  )
  return run?.kind ?? null
}

async function reversibleWhole(
  tx: Tx,
  runId: string,
  kind: WholeKind,
  lock: string,
): Promise<{ readonly status: RunStatus; readonly written: number }> {
  const { status } = await one<{ status: RunStatus }>(
    tx,
    `select status from run where tenant_id = $1 and id = $2 ${lock}`,
    [tx.tenantId, runId],
  )
  const ends = transitions[status].includes('ROLLING_BACK')
  return { status, written: await checkBundleReversible(tx, { id: runId, kind, status, ends }) }
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
async function previewOfRun(
  tx: Tx,
  runId: string,
  own: RecordTypeName,
  undoneBefore: readonly string[] = [],
): Promise<Preview> {
  const written: RecordType[] = []
  let willRestore = 0
  let conflicts = 0
  for (const type of Object.values(recordTypes)) {
    const { some } =
      type.name === own
        ? { some: true }
        : await one<{ some: boolean }>(
            tx,
            `select exists (select from run_change where tenant_id = $1 and run_id = $2 and record_type = '${type.name}')
               or exists (select from ${type.table} where tenant_id = $1 and created_run_id = $2) as some`,
            [tx.tenantId, runId],
          )
    if (some) {
      written.push(type)
      const changed = await previewChanged(tx, runId, type, undoneBefore)
      willRestore += changed.clean
      conflicts += changed.conflicts
    }
  }
  const created = await previewCreated(tx, runId, written, undoneBefore)
  return { willRestore, willDelete: created.live - created.kept, conflicts: conflicts + created.kept + created.merged }
}

/** Records of a type that the run changed and did not make: those that go back whole, and the fields that cannot. */
function previewChanged(
  tx: Tx,
  runId: string,
  { table }: RecordType,
  undoneBefore: readonly string[],
): Promise<{ clean: number; conflicts: number }> {
  return one(
    tx,
    `with folded as (
       select c.record_id, jsonb_object_agg(a.key, a.value order by c.row_number) as after,
         jsonb_object_agg(a.key, c.before -> a.key order by c.row_number desc) as before, max(c.after_version) as last_version
       from run_change c cross join lateral jsonb_each(c.after) a
       where c.tenant_id = $1 and c.run_id = $2 and c.reverted_at is null and c.record_type = '${table}' group by c.record_id),
     compared as (
       select f.record_id, count(*) filter (where not (now.value = f.after -> k.key or now.value = f.before -> k.key)) as conflicts
       from folded f
         -- A subquery of its own, so that each record is looked up once and by its id.
         cross join lateral (select to_jsonb(r) as j from ${table} r
           where r.tenant_id = $1 and r.id = f.record_id and r.created_run_id is distinct from $2 offset 0) as r
         cross join lateral jsonb_object_keys(f.after) as k (key)
         -- What stands there once the later imports of the whole are undone.
         cross join lateral (select coalesce((
           select x.before -> k.key from run_change x where x.tenant_id = $1 and x.record_id = f.record_id and x.run_id = any ($3::uuid[])
             and x.run_id <> $2 and x.reverted_at is null and x.before_version >= f.last_version and x.after ? k.key
           order by x.before_version limit 1), ${currently}) as value) as now
       group by f.record_id)
     select count(*) filter (where conflicts = 0)::float8 as clean, coalesce(sum(conflicts), 0)::float8 as conflicts from compared`,
    [tx.tenantId, runId, [...undoneBefore]],
  )
}

/** Records that the run made: those that are there, those of them that have to stay, and those that were merged away. */
function previewCreated(
  tx: Tx,
  runId: string,
  types: readonly RecordType[],
  undoneBefore: readonly string[],
): Promise<{ live: number; kept: number; merged: number }> {
  const made = (record: string) => `${record}.tenant_id = $1 and ${record}.created_run_id = $2`
  // Those that the import made go with it, or stay and are in `keep`; and so do the links that it made.
  const ownChild = (column: string) =>
    `c.created_run_id is not distinct from $2 or c.created_run_id = any ($3::uuid[]) or exists (select from run_change x where x.tenant_id = $1 and x.run_id = $2
       and x.record_id = c.id and x.reverted_at is null and x.after ->> '${column}' = r.id::text)`
  // Changed since, and not only by imports that are undone before.
  const edited = `r.version - r.pristine_version <> (select count(*) from run_change x where x.tenant_id = $1 and x.record_id = r.id
    and x.run_id = any ($3::uuid[]) and x.reverted_at is null and x.before_version >= r.pristine_version)`
  const stays = types.map(
    (type) => `select '${type.name}' as type, r.id from ${type.table} r where ${made('r')} and r.deleted_at is null
      and (${edited} or ${identifiedLater('r', `'${type.name}'`)} or ${hasChildren(type, 'r', '$1', ownChild)})`,
  )
  // Reached by their ids alone, whatever the planner believes of a run that was just written.
  const parents = types.flatMap((type) =>
    references(type)
      .filter(({ table }) => types.some((child) => child.table === table))
      .map(
        ({ table, column }) => `select '${type.name}' as type, p.id from
          (select ${column} as id from ${table} where k.type = '${table}' and tenant_id = $1 and id = k.id offset 0) r cross join lateral (
            select id from ${type.table} where tenant_id = $1 and id = r.id and created_run_id is not distinct from $2
              and deleted_at is null offset 0) p`,
      ),
  )
  const count = (condition: string) =>
    types.map((type) => `(select count(*) from ${type.table} r where ${made('r')} and ${condition})`).join(' + ')
  return one(
    tx,
    // What must stay keeps its parents too, as the undoing does it.
    `with recursive start as (${stays.join(' union all ')}),
     keep (type, id) as (
       select type, id from start
       ${parents.length === 0 ? '' : `union select p.type, p.id from keep k cross join lateral (${parents.join(' union all ')}) p`})
     select (${count('r.deleted_at is null')})::float8 as live, (select count(*) from keep)::float8 as kept,
       (${count(`r.deleted_at is not null and ${mergedAway('r')}`)})::float8 as merged, cardinality($3::uuid[]) as before`,
    [tx.tenantId, runId, [...undoneBefore]],
  )
}

/** Creates the rollback of an import and wakes a worker, both or neither. Answers the rollback run's id. */
export async function startRollback(
  tx: Tx,
  input: { readonly runId: string; readonly onConflict: OnRollbackConflict; readonly actor: string },
): Promise<string> {
  const whole = await wholeKind(tx, input.runId)
  const run =
    whole !== null
      ? { ...(await reversibleWhole(tx, input.runId, whole, 'for update')), record_type: null }
      : await reversible(tx, input.runId, 'for update')
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
  await statusChanged(tx, input.runId, whole ?? 'IMPORT', run.status, 'ROLLING_BACK', null)
  await statusChanged(tx, id, 'ROLLBACK', null, 'QUEUED', null)
  await tx.query('select wake_run($1)', [id])
  return id
}
