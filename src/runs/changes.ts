/**
 * Undoing what an import did, one chunk of records at a time, inside the transaction that it is given. A field goes back
 * only if it still holds what the import wrote; values are compared, not versions, so that undoing a later import does not
 * look like an edit. Changes of one record are folded: oldest before, newest after.
 */
import { one, type Tx } from '../db/tx.js'
import { customKeyOf, customName } from '../records/custom.js'
import { recordTypes } from '../records/index.js'
import type { RecordType, RecordTypeName } from '../records/types.js'
import type { OnRollbackConflict } from './types.js'

/** How far a rollback has come: of each record type first records that were changed, by id; then created ones, last row first. */
export type RollbackCursor = { readonly type: RecordTypeName } & (
  | { readonly phase: 'changed'; readonly after: string }
  | { readonly phase: 'created'; readonly before: number }
)

/** Record types in the order in which a run over several of them is undone: those that refer before those that are referred to. */
const UNDO_ORDER: readonly RecordTypeName[] = ['activity', 'lead', 'property', 'contact']

/** In the place of a row's number: a change of the run that is no row's, made when its rows were done. */
export const BEHIND_ALL_ROWS = Number.MAX_SAFE_INTEGER

export interface UndoneChunk {
  /** Counted in rows of the import. */
  readonly reverted: number
  readonly kept: number
  readonly unchanged: number
  /** Null: nothing is left. */
  readonly cursor: RollbackCursor | null
}

/** Records per chunk: a few hundred milliseconds of work. */
const CHUNK_RECORDS = 5000

/** Records of earlier rows that are undone with a chunk because they came to refer to it; with more the chunk's are kept. */
const EARLIER_RECORDS_MAX = 20_000

const NIL = '00000000-0000-0000-0000-000000000000'

/*
 * A run is undone right after it was written, when the planner knows little of it: no statement may depend on what it
 * believes. So records and changes are reached by the record's id alone, in subqueries that cannot be joined the other way
 * round, and only with the temporary table, which has an index too, where both ways are quick. (Measured: a chunk that took
 * 26 s, as each record read its whole run, takes 0.2 s.)
 */

/** SQL for the changes `c` that the import `$2` of tenant `$1` made to one record, with no other index to take than the record's. */
function changesOf(alias: string, column = 'record_id'): string {
  return `c.tenant_id = $1 and c.record_id = ${alias}.${column} and c.run_id is not distinct from $2`
}

/** SQL that is always true, and taken for rare: the planner starts from these rows and probes the large tables. */
function few(alias: string): string {
  return `${alias}.rows + 0 = ${alias}.rows and ${alias}.rows - 0 = ${alias}.rows`
}

/** SQL that is true when a live record `c` refers to the record `alias`; `except` tells of a column in which of them not to count. */
export function hasChildren(
  type: RecordType,
  alias: string,
  tenant: string,
  except: (column: string) => string,
): string {
  const checks = references(type).map(
    ({ table, column }) =>
      `exists (select from ${table} c where c.tenant_id = ${tenant} and c.${column} = ${alias}.id and c.deleted_at is null and not (${except(column)}))`,
  )
  return checks.length === 0 ? 'false' : checks.join(' or ')
}

/** SQL that is true when another import than `$2` gave the record `alias` of this type an identity: a later write, though no change of its row. */
export function identifiedLater(alias: string, recordType: string): string {
  return `exists (select from record_identity i where i.tenant_id = $1 and i.record_type = ${recordType} and i.record_id = ${alias}.id
    and i.created_run_id is distinct from $2)`
}

/** SQL that is true when the deleted record `alias` was merged into another one: that is no state to undo an import from. */
export function mergedAway(alias: string): string {
  return `exists (select from duplicate_merge m where m.tenant_id = $1 and m.removed_id = ${alias}.id and m.undone_at is null)`
}

/** Columns of all record types that refer to this one. */
export function references(type: RecordType): { table: RecordTypeName; column: string }[] {
  return Object.values(recordTypes).flatMap((child) =>
    child.fields
      .filter((field) => field.reference?.to === type.name)
      .map((field) => ({ table: child.table, column: field.column })),
  )
}

/** Where the values of custom fields stand; changes name each by itself, `custom.<key>`. */
const CUSTOM_COLUMN = 'custom_fields'

/** Position of the key in such a name, counted from 1. */
const KEY_START = customName('').length + 1

/** SQL for the value that the record `r.j` holds under the name `k.key` of a change: a custom field that has none has no key. */
export const currently = `case when k.key like 'custom.%' then coalesce(r.j -> '${CUSTOM_COLUMN}' -> substr(k.key, ${KEY_START}), 'null') else r.j -> k.key end`

export interface UndoRequest {
  readonly rollbackId: string
  readonly importId: string
  readonly recordType: RecordTypeName
  readonly onConflict: OnRollbackConflict
}

/** Undoes the next chunk after `cursor` (null: from the start). Records of other types than the import's own are no rows of it. */
export async function undoChunk(tx: Tx, request: UndoRequest, cursor: RollbackCursor | null): Promise<UndoneChunk> {
  let at: RollbackCursor = cursor ?? { type: UNDO_ORDER[0]!, phase: 'changed', after: NIL }
  for (;;) {
    const done = at.phase === 'changed' ? await undoChanged(tx, request, at) : await undoCreated(tx, request, at)
    if (done !== null) {
      const ofRows = at.type === request.recordType
      return ofRows ? done : { reverted: 0, kept: 0, unchanged: 0, cursor: done.cursor }
    }
    if (at.phase === 'changed') {
      at = { type: at.type, phase: 'created', before: Number.MAX_SAFE_INTEGER }
      continue
    }
    const next = UNDO_ORDER[UNDO_ORDER.indexOf(at.type) + 1]
    if (next === undefined) {
      return { reverted: 0, kept: 0, unchanged: 0, cursor: null }
    }
    at = { type: next, phase: 'changed', after: NIL }
  }
}

async function undoChanged(
  tx: Tx,
  request: UndoRequest,
  cursor: Extract<RollbackCursor, { phase: 'changed' }>,
): Promise<UndoneChunk | null> {
  const type = recordTypes[cursor.type]
  const ids = await tx.query<{ id: string }>(
    // Records that the import created are deleted whole in the second phase, with whatever it did to them later.
    `select distinct c.record_id as id from run_change c
     where c.tenant_id = $1 and c.run_id = $2 and c.record_id > $3 and c.record_type = '${type.name}'
       and (select r.created_run_id from ${type.table} r where r.tenant_id = $1 and r.id = c.record_id) is distinct from $2
     order by c.record_id limit ${CHUNK_RECORDS}`,
    [tx.tenantId, request.importId, cursor.after],
  )
  const last = ids.at(-1)?.id
  if (last === undefined) {
    return null
  }
  const list = ids.map((row) => row.id)
  await tx.query(`select from ${type.table} where tenant_id = $1 and id = any ($2::uuid[]) order by id for update`, [
    tx.tenantId,
    list,
  ])
  await tx.query(
    `create temporary table if not exists undo (record_id uuid primary key, before jsonb, after jsonb, rows bigint, last_row bigint,
       first_version int, last_version int, restore jsonb, conflicts jsonb, done boolean, refused boolean) on commit delete rows`,
  )
  await tx.query(
    `insert into undo
     select i.record_id, b.before, a.after, c.rows, c.last_row, c.first_version, c.last_version, '{}', '{}', c.done, false
     from unnest($3::uuid[]) as i (record_id)
       cross join lateral (
         select count(*) filter (where c.row_number < ${BEHIND_ALL_ROWS}) as rows,
           max(c.row_number) filter (where c.row_number < ${BEHIND_ALL_ROWS}) as last_row, min(c.before_version) as first_version,
           max(c.after_version) as last_version, bool_and(c.reverted_at is not null) as done
         from run_change c where ${changesOf('i')}) c
       cross join lateral (
         select coalesce(jsonb_object_agg(x.key, x.value order by c.row_number desc), '{}') as before
         from run_change c cross join lateral jsonb_each(c.before) x where ${changesOf('i')}) b
       cross join lateral (
         select coalesce(jsonb_object_agg(x.key, x.value order by c.row_number), '{}') as after
         from run_change c cross join lateral jsonb_each(c.after) x where ${changesOf('i')}) a`,
    [tx.tenantId, request.importId, list],
  )
  // A field is restored if it holds what was imported, left if it holds what it held before, and a conflict otherwise.
  await tx.query(
    `update undo u set (restore, conflicts) = (
       select coalesce(jsonb_object_agg(k.key, u.before -> k.key) filter (where now.value = u.after -> k.key and now.value <> u.before -> k.key), '{}'),
         coalesce(jsonb_object_agg(k.key, now.value) filter (where now.value <> u.after -> k.key and now.value <> u.before -> k.key), '{}')
       from (select to_jsonb(r) as j from ${type.table} r where r.tenant_id = $1 and r.id = u.record_id offset 0) as r
         cross join lateral jsonb_object_keys(u.after) as k (key)
         cross join lateral (select ${currently} as value offset 0) as now)
     where not u.done`,
    [tx.tenantId],
  )
  if (request.onConflict === 'FORCE') {
    await tx.query(
      `update undo u set conflicts = '{}', restore = restore || (select jsonb_object_agg(k, u.before -> k) from jsonb_object_keys(u.conflicts) k)
       where conflicts <> '{}'`,
    )
  }
  await restore(tx, type, request)
  const counts = await one<{ reverted: number; kept: number; unchanged: number }>(
    tx,
    `select coalesce(sum(rows) filter (where conflicts <> '{}'), 0)::float8 as kept,
       coalesce(sum(rows) filter (where conflicts = '{}' and done), 0)::float8 as unchanged,
       coalesce(sum(rows) filter (where conflicts = '{}' and not done), 0)::float8 as reverted from undo`,
  )
  return { ...counts, cursor: { type: type.name, phase: 'changed', after: last } }
}

async function restore(tx: Tx, type: RecordType, request: UndoRequest): Promise<void> {
  const keys = await tx.query<{ key: string }>(
    'select distinct k.key from undo u cross join lateral jsonb_object_keys(u.restore) as k (key)',
  )
  const known = new Set([...type.fields.map((field) => field.column), 'deleted_at'])
  const columns = keys.map((row) => row.key).filter((key) => known.has(key))
  if (keys.some((row) => customKeyOf(row.key) !== null)) {
    columns.push(CUSTOM_COLUMN)
  }
  if (columns.length > 0) {
    // A restore that its own table refuses (its external id was taken since) is a conflict of that record alone.
    await guarded(tx, type, columns)
  }
  // An older change that this record stood at when the import came is what it stands at again: by its new version.
  await tx.query(
    `update run_change c set after_version = r.version
     from undo u cross join lateral (
       select version from ${type.table} where tenant_id = $1 and id = u.record_id offset 0) r
     where c.tenant_id = $1 and c.record_id = u.record_id and c.run_id <> $2 and c.after_version = u.first_version
       and u.conflicts = '{}' and not u.done and r.version = u.last_version + 1
       and u.rows + 0 = u.rows and u.rows - 0 = u.rows`,
    [tx.tenantId, request.importId],
  )
  await tx.query(
    `delete from record_identity i using undo u where i.tenant_id = $1 and i.record_type = $2 and i.record_id = u.record_id
       and i.created_run_id = $3 and u.conflicts = '{}' and ${few('u')}`,
    [tx.tenantId, type.name, request.importId],
  )
  await tx.query(
    `insert into run_conflict (tenant_id, run_id, record_type, record_id, field, row_number, before, imported, current, message)
     select $1, $2, $3, u.record_id, k.key, u.last_row, u.before ->> k.key, u.after ->> k.key, u.conflicts ->> k.key,
       case when u.refused then 'The value before the import is not possible any more: a rule or another record stands against it. The field was kept.'
         else 'The field was changed after the import, so it was kept.' end
     from undo u cross join lateral jsonb_object_keys(u.conflicts) as k (key) on conflict do nothing`,
    [tx.tenantId, request.rollbackId, type.name],
  )
  await tx.query(
    `update run_change c set reverted_at = now() from undo u
     where ${changesOf('u')} and u.conflicts = '{}' and not u.done and ${few('u')}`,
    [tx.tenantId, request.importId],
  )
}

async function guarded(
  tx: Tx,
  type: RecordType,
  columns: readonly string[],
  from = NIL,
  to = 'ffffffff-ffff-ffff-ffff-ffffffffffff',
): Promise<void> {
  await tx.query('savepoint restoring')
  try {
    await tx.query(
      `update ${type.table} r set ${columns.map((column) => `${column} = ${restored(type, column)}`).join(', ')},
         pristine_version = case when r.version = u.last_version and r.pristine_version in (u.first_version, u.last_version) and u.conflicts = '{}'
           then r.version + 1 else r.pristine_version end
       from undo u
       where r.tenant_id = $1 and r.id = u.record_id and u.restore <> '{}' and not u.done and u.record_id between $2 and $3 and ${few('u')}`,
      [tx.tenantId, from, to],
    )
    await tx.query('release savepoint restoring')
  } catch (error) {
    if (!isRowFault(error)) {
      throw error
    }
    await tx.query('rollback to savepoint restoring')
    const ids = await tx.query<{ record_id: string }>(
      "select record_id from undo where restore <> '{}' and not done and record_id between $1 and $2 order by 1",
      [from, to],
    )
    const only = ids[0]?.record_id
    if (only === undefined) {
      throw error
    }
    if (ids.length === 1) {
      await tx.query(
        `update undo u set restore = '{}', refused = true, conflicts = (
           select jsonb_object_agg(k.key, ${currently})
           from (select to_jsonb(r) as j from ${type.table} r where r.tenant_id = $1 and r.id = u.record_id offset 0) as r
             cross join lateral jsonb_object_keys(u.restore) as k (key))
         where u.record_id = $2`,
        [tx.tenantId, only],
      )
      return
    }
    const middle = ids[Math.floor((ids.length - 1) / 2)]?.record_id ?? only
    const next = ids[Math.floor((ids.length - 1) / 2) + 1]?.record_id ?? only
    await guarded(tx, type, columns, from, middle)
    await guarded(tx, type, columns, next, to)
  }
}

/** SQL for the value of a column of `r` once `u.restore` has been applied to it. */
function restored(type: RecordType, column: string): string {
  if (column === CUSTOM_COLUMN) {
    return `jsonb_strip_nulls(r.custom_fields || coalesce((
      select jsonb_object_agg(substr(x.key, ${KEY_START}), x.value) from jsonb_each(u.restore) x where x.key like 'custom.%'), '{}'))`
  }
  const sqlType = type.fields.find((field) => field.column === column)?.sqlType ?? 'timestamptz'
  const value = sqlType.endsWith('[]')
    ? `array(select jsonb_array_elements_text(u.restore -> '${column}'))::${sqlType}`
    : `(u.restore ->> '${column}')::${sqlType}`
  return `case when u.restore ? '${column}' then ${value} else r.${column} end`
}

function isRowFault(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(22|23|P0001)/.test(error.code)
  )
}

async function undoCreated(
  tx: Tx,
  request: UndoRequest,
  cursor: Extract<RollbackCursor, { phase: 'created' }>,
): Promise<UndoneChunk | null> {
  const type = recordTypes[cursor.type]
  const rows = await tx.query<{ id: string; row: number }>(
    // Last row first: rows refer to earlier rows of the file, so children go before their parents.
    `select id, created_row::float8 as row from ${type.table}
     where tenant_id = $1 and created_run_id = $2 and created_row < $3 order by created_row desc limit ${CHUNK_RECORDS}`,
    [tx.tenantId, request.importId, cursor.before],
  )
  const last = rows.at(-1)?.row
  if (last === undefined) {
    return null
  }
  const own = rows.map((row) => row.id)
  const earlier = await earlierChildren(tx, request, type, own)
  const ids = [...own, ...earlier]
  await tx.query(`select from ${type.table} where tenant_id = $1 and id = any ($2::uuid[]) order by id for update`, [
    tx.tenantId,
    ids,
  ])
  const force = request.onConflict === 'FORCE'
  const counts = await one<{ reverted: number; kept: number; unchanged: number }>(
    tx,
    // What must stay keeps its parents too, also those of this chunk (a company whose person has a lead by now).
    `with recursive own as (
       select r.id, r.created_row, r.deleted_at is not null as gone,
         -- Each is counted with its own row, and may have been deleted before its row was reached.
         r.id = any ($7::uuid[]) as earlier,
         r.deleted_at >= (select started_at from run where tenant_id = $1 and id = $4) as undone,
         r.deleted_at is not null and not $6 and ${mergedAway('r')} as merged,
         (r.version <> r.pristine_version or ${identifiedLater('r', '$5')}) as edited, ${hasChildren(type, 'r', '$1', () => 'c.id = any ($3::uuid[])')} as parent,
         1 + (select count(*) from run_change c where ${changesOf('r', 'id')} and c.row_number < ${BEHIND_ALL_ROWS}) as rows
       from ${type.table} r where r.tenant_id = $1 and r.id = any ($3::uuid[])),
     keep (id) as (
       select id from own where not gone and (edited or parent) and not $6
       ${references(type)
         .filter((reference) => reference.table === type.table)
         .map(
           (reference) =>
             `union select r.${reference.column} from keep k join ${type.table} r on r.tenant_id = $1 and r.id = k.id where r.${reference.column} = any ($3::uuid[])`,
         )
         .join(' ')}),
     conflict as (
       insert into run_conflict (tenant_id, run_id, record_type, record_id, field, row_number, message)
       select $1, $4, $5, id, '', created_row,
         case when edited and not gone then 'The record was changed after the import created it, so it was kept.'
              when merged then 'The record was merged into another one after the import created it, so both were kept as they are.'
              else 'Other records refer to the record that the import created, so it was kept.' end
       from own where case when gone then merged else id in (select id from keep) end
       on conflict do nothing),
     deleted as (
       update ${type.table} r set deleted_at = now()
       where r.tenant_id = $1 and r.id = any (array(select id from own where not gone and id not in (select id from keep)))),
     marked as (
       update run_change c set reverted_at = now()
       where c.tenant_id = $1 and c.run_id is not distinct from $2
         and c.record_id = any (array(select id from own where rows > 1 and not gone and id not in (select id from keep))))
     select coalesce(sum(rows) filter (where gone and not undone and not merged), 0)::float8 as unchanged,
       coalesce(sum(rows) filter (where case when gone then merged else id in (select id from keep) end), 0)::float8 as kept,
       coalesce(sum(rows) filter (where case when gone then undone and not merged else id not in (select id from keep) end), 0)::float8 as reverted
     from own where not earlier`,
    [tx.tenantId, request.importId, ids, request.rollbackId, type.name, force, earlier],
  )
  await tx.query(
    `delete from record_identity i using unnest($3::uuid[]) as d (id)
     where i.tenant_id = $1 and i.record_type = $4 and i.record_id = d.id and i.created_run_id = $2
       and exists (select from ${type.table} r where r.tenant_id = $1 and r.id = d.id and r.deleted_at is not null)`,
    [tx.tenantId, request.importId, ids, type.name],
  )
  return { ...counts, cursor: { type: type.name, phase: 'created', before: last } }
}

/**
 * Records that rows further up in the file created and later rows made refer to these ones: children, which go before their
 * parents. They are deleted with them and counted when their own rows are reached.
 */
async function earlierChildren(
  tx: Tx,
  request: UndoRequest,
  type: RecordType,
  ids: readonly string[],
): Promise<string[]> {
  const columns = references(type)
    .filter((reference) => reference.table === type.table)
    .map((reference) => reference.column)
  if (columns.length === 0) {
    return []
  }
  const found = await tx.query<{ id: string }>(
    `with recursive family (id) as (
       select unnest($3::uuid[])
       ${columns.map((column) => `union select c.id from family f join ${type.table} c on c.tenant_id = $1 and c.${column} = f.id and c.created_run_id = $2 and c.deleted_at is null`).join(' ')})
     select id from family where id <> all ($3::uuid[]) limit ${EARLIER_RECORDS_MAX + 1}`,
    [tx.tenantId, request.importId, ids],
  )
  return found.length > EARLIER_RECORDS_MAX ? [] : found.map((row) => row.id)
}
