/**
 * Relations that waited for their record (`onMissingRelation: KEEP_PENDING`). They are looked at when an import ends: its own,
 * for what came meanwhile, and all that wait for records of its type. What is made of them is a change of that import.
 */
import type { Tx } from '../db/tx.js'
import { recordTypes } from '../records/index.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../records/types.js'
import { BEHIND_ALL_ROWS } from './changes.js'

/** Relations that are looked at in one transaction. */
const BATCH = 2000

/** How far the looking has come, by the key of the table; null: to its end. */
export interface PendingCursor {
  readonly recordType: string
  readonly recordId: string
  readonly field: string
}

const START: PendingCursor = { recordType: '', recordId: '00000000-0000-0000-0000-000000000000', field: '' }

interface Waiting {
  readonly record_type: RecordTypeName
  readonly record_id: string
  readonly field: string
  readonly to_type: RecordTypeName
  readonly key: string
}

/** Makes the links of the next relations whose record is there by now. Answers where to go on; null at the end. */
export async function settlePending(
  tx: Tx,
  run: { readonly id: string; readonly recordType: RecordTypeName; readonly written: readonly RecordTypeName[] },
  from: PendingCursor | null,
): Promise<PendingCursor | null> {
  const { recordType, recordId, field } = from ?? START
  const rows = await tx.query<Waiting>(
    `select record_type, record_id, field, to_type, key from pending_relation
     where tenant_id = $1 and settled_at is null and (to_type = any ($3::text[]) or run_id = $2)
       and (record_type, record_id, field) > ($4, $5::uuid, $6)
     order by record_type, record_id, field limit ${BATCH} for update skip locked`,
    [tx.tenantId, run.id, [run.recordType, ...run.written], recordType, recordId, field],
  )
  const groups = Map.groupBy(rows, (row) => `${row.record_type} ${row.field} ${row.key}`)
  for (const group of groups.values()) {
    const [first] = group
    const type = first === undefined ? undefined : recordTypes[first.record_type]
    const reference = type?.fields.find((candidate) => candidate.name === first?.field)
    if (first !== undefined && type !== undefined && reference !== undefined) {
      await link(
        tx,
        run.id,
        type,
        reference,
        first,
        group.map((row) => row.record_id),
      )
    }
  }
  const last = rows.at(-1)
  return last === undefined || rows.length < BATCH
    ? null
    : { recordType: last.record_type, recordId: last.record_id, field: last.field }
}

async function link(
  tx: Tx,
  runId: string,
  type: RecordType,
  field: FieldDefinition,
  { to_type, key }: Waiting,
  ids: readonly string[],
): Promise<void> {
  const to = recordTypes[to_type]
  const column = to.fields.find((candidate) => candidate.name === key)?.column ?? 'external_id'
  // Not as `$1`: the planner takes a tenant that it has no statistics of for one without records, and then any index will do.
  const tenant = '(select $1::uuid)'
  const found =
    column === 'external_id'
      ? `select k.id from (
           select i.id from ${to.table} i where i.tenant_id = ${tenant} and i.external_id = p.value and i.source_system = p.source_system and i.deleted_at is null
           union select i.record_id from record_identity i where i.tenant_id = ${tenant} and i.record_type = '${to.name}'
             and i.source_system = p.source_system and i.external_id = p.value) k
         -- The limit keeps the planner from going through the whole table for each of them.
         cross join lateral (select from ${to.table} r where r.tenant_id = ${tenant} and r.id = k.id and r.deleted_at is null limit 1) r
         limit 2`
      : `select r.id from ${to.table} r where r.tenant_id = ${tenant} and r.${column} = p.value and r.deleted_at is null limit 2`
  // Waited for here and not in the update, whose `old` is what stood before the waiting where a trigger changes the row.
  await tx.query(`select from ${type.table} where tenant_id = $1 and id = any ($2::uuid[]) order by id for update`, [
    tx.tenantId,
    ids,
  ])
  await tx.query(
    // What somebody has linked otherwise meanwhile stays as it is, and the relation goes on waiting. A record that stands as
    // its import left it does so still: this completes it.
    `with due as materialized (
       select p.record_id, p.was, f.id as target
       from pending_relation p cross join lateral (
         select (array_agg(m.id))[1] as id, count(*) as n from (${found}) m) f
       where p.tenant_id = $1 and p.record_type = '${type.name}' and p.field = '${field.name}' and p.record_id = any ($3::uuid[])
         and p.settled_at is null and f.n = 1),
     held as (select r.id from ${to.table} r join due d on r.id = d.target where r.tenant_id = $1 for key share of r),
     u as (
       update ${type.table} r set ${field.column} = d.target,
         pristine_version = case when r.created_run_id is not null and r.pristine_version = r.version then r.version + 1 else r.pristine_version end
       from due d
       where r.tenant_id = $1 and r.id = d.record_id and r.deleted_at is null and r.${field.column} is not distinct from d.was
         and r.${field.column} is distinct from d.target and (select count(*) from held) >= 0
       returning r.id, old.version as before_version, new.version as after_version, d.was, d.target),
     c as (
       insert into run_change (tenant_id, run_id, record_id, row_number, record_type, before, after, before_version, after_version)
       select $1, $2, id, ${BEHIND_ALL_ROWS}, '${type.name}', jsonb_build_object('${field.column}', was),
         jsonb_build_object('${field.column}', target), before_version, after_version from u
       on conflict (tenant_id, run_id, record_id, row_number) do update set
         before = excluded.before || run_change.before, after = run_change.after || excluded.after, after_version = excluded.after_version)
     update pending_relation p set settled_at = now(), settled_by_run = $2 from u
     where p.tenant_id = $1 and p.record_type = '${type.name}' and p.field = '${field.name}' and p.record_id = u.id`,
    [tx.tenantId, runId, ids],
  )
}

/**
 * Undoes with the import what it did to waiting relations: those whose link it made wait again, its own are gone, and those
 * that it took over or made needless stand as they did before.
 */
export async function reopenPending(tx: Tx, importId: string): Promise<void> {
  // What a later import took over from this one goes back, if that one is undone too, to what this one had found.
  await tx.query(
    `update pending_relation_was l set before = m.before from pending_relation_was m
     where l.tenant_id = $1 and l.before ->> 'run_id' = $2::text
       and m.tenant_id = $1 and m.run_id = $2::uuid and m.record_type = l.record_type and m.record_id = l.record_id and m.field = l.field`,
    [tx.tenantId, importId],
  )
  await tx.query(`delete from pending_relation_was where tenant_id = $1 and before ->> 'run_id' = $2::text`, [
    tx.tenantId,
    importId,
  ])
  await tx.query('delete from pending_relation where tenant_id = $1 and run_id = $2', [tx.tenantId, importId])
  await tx.query(
    `insert into pending_relation select p.* from pending_relation_was w, jsonb_populate_record(null::pending_relation, w.before) p
     where w.tenant_id = $1 and w.run_id = $2 on conflict do nothing`,
    [tx.tenantId, importId],
  )
  await tx.query('delete from pending_relation_was where tenant_id = $1 and run_id = $2', [tx.tenantId, importId])
  await tx.query(
    'update pending_relation set settled_at = null, settled_by_run = null where tenant_id = $1 and settled_by_run = $2',
    [tx.tenantId, importId],
  )
}
