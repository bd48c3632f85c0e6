/**
 * Two records become one, and can become two again. What the survivor lacked it gets from the other one; identities and
 * everything that referred to the other one move to it; the other one is deleted softly. All of it is kept field by field,
 * so that it can be undone. One transaction, given by the caller.
 */
import { constraintOf, sqlState } from '../db/lane.js'
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import { checkOfConstraint, recordTypes } from '../records/index.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../records/types.js'
import { references } from './changes.js'

export interface MergeRequest {
  readonly pairId: string
  readonly type: RecordTypeName
  readonly survivor: string
  readonly removed: string
  readonly actor: string
}

type Json = Readonly<Record<string, unknown>>

/** Fields that only make sense together: they are filled from the other record only where the two do not contradict each other. */
const groups: readonly (readonly string[])[] = [
  [
    'address_line1',
    'address_line2',
    'unit_number',
    'city',
    'county_or_parish',
    'state_or_province',
    'postal_code',
    'country',
    'latitude',
    'longitude',
  ],
  ['first_name', 'middle_name', 'last_name', 'name_prefix', 'name_suffix'],
  ['budget_min', 'budget_max', 'list_price', 'original_list_price', 'close_price', 'lease_amount', 'currency'],
  ['living_area', 'living_area_units'],
  ['lot_size_area', 'lot_size_units'],
  ['listing_contract_date', 'on_market_date', 'close_date', 'expiration_date'],
]

/** Columns that are moved as identities, or that are the record's own. */
const kept = new Set(['source_system', 'external_id', 'source_created_at', 'source_updated_at'])

/** Merges. Refuses INVALID_STATE where one of the records is gone or a rule of the table forbids what would come out. */
export async function mergeRecords(tx: Tx, request: MergeRequest): Promise<void> {
  const type = recordTypes[request.type]
  const { survivor, removed } = await lockBoth(tx, type, request)
  const changed = fill(type, survivor, removed)
  const after: Record<string, unknown> = { ...changed }
  for (const { table, column } of references(type)) {
    // A company that belongs to the record which becomes it belongs to nobody afterwards.
    if (table === type.table && survivor[column] === request.removed) {
      after[column] = null
    }
  }
  const before = Object.fromEntries(Object.keys(after).map((column) => [column, survivor[column] ?? null]))
  const merge = newId()
  const pending = await movePending(tx, request, type, { ...survivor, ...after })
  await tx.query(`update ${type.table} set deleted_at = now() where tenant_id = $1 and id = $2`, [
    tx.tenantId,
    request.removed,
  ])
  const identities = await moveIdentities(tx, request, removed)
  await tx.query(
    `insert into duplicate_merge (tenant_id, id, pair_id, record_type, survivor_id, removed_id, before, after, identities, merged_by, pending)
     values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9::jsonb, $10, $11)`,
    [
      tx.tenantId,
      merge,
      request.pairId,
      request.type,
      request.survivor,
      request.removed,
      JSON.stringify(before),
      JSON.stringify(after),
      JSON.stringify(identities),
      request.actor,
      pending,
    ],
  )
  await writeColumns(tx, type, request.survivor, after)
  for (const { table, column } of references(type)) {
    await tx.query(
      `with moved as (
         update ${table} c set ${column} = $3,
           -- Whoever rolls back the import that made it has not been in the way of that, nor is this.
           pristine_version = case when c.version = c.pristine_version then c.version + 1 else c.pristine_version end
         where c.tenant_id = $1 and c.${column} = $4 and c.id <> $3 returning c.id)
       insert into duplicate_merge_link (tenant_id, merge_id, record_type, column_name, record_id)
       select $1, $2, $5, $6, id from moved`,
      [tx.tenantId, merge, request.survivor, request.removed, table, column],
    )
  }
}

async function lockBoth(tx: Tx, type: RecordType, request: MergeRequest): Promise<{ survivor: Json; removed: Json }> {
  const rows = await tx.query<{ id: string; record: Json }>(
    `select r.id, to_jsonb(r) as record from ${type.table} r where r.tenant_id = $1 and r.id = any ($2::uuid[]) and r.deleted_at is null
     order by r.id for update`,
    [tx.tenantId, [request.survivor, request.removed]],
  )
  const survivor = rows.find((row) => row.id === request.survivor)?.record
  const removed = rows.find((row) => row.id === request.removed)?.record
  if (survivor === undefined || removed === undefined) {
    throw new Refusal('INVALID_STATE', 'One of the two records has been deleted or merged meanwhile.', ['id'])
  }
  return { survivor, removed }
}

const blank = (value: unknown): boolean =>
  value === null || value === undefined || (Array.isArray(value) && value.length === 0)

/** The columns of the survivor that the other record fills, with their new values. */
function fill(type: RecordType, survivor: Json, removed: Json): Record<string, unknown> {
  const changed: Record<string, unknown> = {}
  const contradicts = (group: readonly string[]): boolean =>
    group.some((column) => !blank(survivor[column]) && !blank(removed[column]) && survivor[column] !== removed[column])
  const barred = new Set(groups.filter(contradicts).flat())
  for (const field of type.fields) {
    const value = filled(field, survivor[field.column], removed[field.column])
    if (value !== undefined && !kept.has(field.column) && !(barred.has(field.column) && field.kind !== 'BOOLEAN')) {
      changed[field.column] = value
    }
  }
  // Another address of the same person has a place of its own.
  if (
    type.fields.some((field) => field.column === 'secondary_email') &&
    !blank(survivor['email']) &&
    !blank(removed['email']) &&
    removed['email'] !== survivor['email'] &&
    blank(survivor['secondary_email'])
  ) {
    changed['secondary_email'] = removed['email']
  }
  const custom = { ...withoutBlanks(removed['custom_fields']), ...withoutBlanks(survivor['custom_fields']) }
  if (Object.keys(custom).some((key) => (survivor['custom_fields'] as Json | undefined)?.[key] === undefined)) {
    changed['custom_fields'] = custom
  }
  return changed
}

function withoutBlanks(value: unknown): Json {
  return Object.fromEntries(Object.entries((value ?? {}) as Json).filter(([, entry]) => !blank(entry)))
}

/** The survivor's new value of one field; undefined: it stays. */
function filled(field: FieldDefinition, mine: unknown, other: unknown): unknown {
  if (field.neverCleared === true) {
    return other === true && mine !== true ? true : undefined
  }
  if (Array.isArray(mine) && Array.isArray(other)) {
    const more = other.filter((entry) => !mine.includes(entry))
    return more.length === 0 ? undefined : [...mine, ...more]
  }
  return blank(mine) && !blank(other) ? other : undefined
}

/** Writes columns from their JSON form. The record gets a new version even where nothing is to be written: it is a merged one now. */
async function writeColumns(tx: Tx, type: RecordType, id: string, values: Json): Promise<void> {
  const columns = Object.keys(values).filter(
    (column) => column === 'custom_fields' || type.fields.some((field) => field.column === column),
  )
  const assignments = ['updated_at = now()', ...columns.map((column) => `${column} = v.${column}`)]
  try {
    await tx.query(
      `update ${type.table} r set ${assignments.join(', ')} from jsonb_populate_record(null::${type.table}, $3::jsonb) v
       where r.tenant_id = $1 and r.id = $2`,
      [tx.tenantId, id, JSON.stringify(values)],
    )
  } catch (error) {
    const check = sqlState(error) === '23514' ? checkOfConstraint(type, constraintOf(error) ?? '') : null
    throw check === null
      ? error
      : new Refusal(
          'INVALID_STATE',
          `What would come out breaks a rule: ${check.message} Correct one of the records first.`,
          ['id'],
        )
  }
}

/** What the removed record waits for the survivor waits for, where it refers to the same meanwhile. Answers the fields. */
async function movePending(tx: Tx, request: MergeRequest, type: RecordType, survivor: Json): Promise<string[]> {
  const free = type.fields.filter(({ reference }) => reference !== null)
  const rows = await tx.query<{ field: string }>(
    `update pending_relation p set record_id = $4
     from unnest($5::text[], $6::uuid[]) as f (field, refers)
     where p.tenant_id = $1 and p.record_type = $2 and p.record_id = $3 and p.settled_at is null and p.field = f.field
       and p.was is not distinct from f.refers and not exists (
         select from pending_relation o where o.tenant_id = $1 and o.record_type = $2 and o.record_id = $4 and o.field = p.field)
     returning p.field`,
    [
      tx.tenantId,
      request.type,
      request.removed,
      request.survivor,
      free.map(({ name }) => name),
      free.map(({ column }) => survivor[column] ?? null),
    ],
  )
  return rows.map(({ field }) => field)
}

interface MovedIdentity {
  readonly sourceSystem: string
  readonly externalId: string
  /** True: it stood on the removed record itself; false: it was one of its further identities. */
  readonly added: boolean
}

/** Every place that the removed record is known by leads to the survivor from now on. */
async function moveIdentities(tx: Tx, request: MergeRequest, removed: Json): Promise<MovedIdentity[]> {
  const moved = await tx.query<{ source_system: string; external_id: string }>(
    `update record_identity set record_id = $4 where tenant_id = $1 and record_type = $2 and record_id = $3
     returning source_system, external_id`,
    [tx.tenantId, request.type, request.removed, request.survivor],
  )
  const added = blank(removed['external_id'])
    ? []
    : await tx.query<{ source_system: string; external_id: string }>(
        `insert into record_identity (tenant_id, record_type, source_system, external_id, record_id)
         values ($1, $2, $3, $4, $5) on conflict do nothing returning source_system, external_id`,
        [tx.tenantId, request.type, removed['source_system'], removed['external_id'], request.survivor],
      )
  return [
    ...moved.map((row) => ({ sourceSystem: row.source_system, externalId: row.external_id, added: false })),
    ...added.map((row) => ({ sourceSystem: row.source_system, externalId: row.external_id, added: true })),
  ]
}

interface StoredMerge {
  readonly record_type: RecordTypeName
  readonly survivor_id: string
  readonly removed_id: string
  readonly before: Json
  readonly after: Json
  readonly identities: readonly MovedIdentity[]
  readonly pending: readonly string[]
}

/**
 * Makes two of one again. A field that the merge had filled goes back if it still holds that; if it holds anything else than
 * before or after the merge, somebody has worked with it, and the undoing is refused with the names of such fields.
 */
export async function undoMerge(tx: Tx, mergeId: string, actor: string): Promise<void> {
  const merge = await one<StoredMerge>(
    tx,
    'select record_type, survivor_id, removed_id, before, after, identities, pending from duplicate_merge where tenant_id = $1 and id = $2 for update',
    [tx.tenantId, mergeId],
  )
  const type = recordTypes[merge.record_type]
  const rows = await tx.query<{ id: string; record: Json }>(
    `select r.id, to_jsonb(r) as record from ${type.table} r where r.tenant_id = $1 and r.id = any ($2::uuid[]) order by r.id for update`,
    [tx.tenantId, [merge.survivor_id, merge.removed_id]],
  )
  const survivor = rows.find((row) => row.id === merge.survivor_id)?.record
  const removed = rows.find((row) => row.id === merge.removed_id)?.record
  if (
    survivor === undefined ||
    survivor['deleted_at'] !== null ||
    removed === undefined ||
    removed['deleted_at'] === null
  ) {
    throw new Refusal(
      'INVALID_STATE',
      'The merge cannot be undone: the record that stayed has been deleted or merged since. Undo that first.',
      ['id'],
    )
  }
  const back: Record<string, unknown> = {}
  const worked: string[] = []
  for (const [column, after] of Object.entries(merge.after)) {
    const before = merge.before[column] ?? null
    const now = survivor[column] ?? null
    if (same(now, after)) {
      back[column] = before
    } else if (!same(now, before)) {
      worked.push(type.fields.find((field) => field.column === column)?.name ?? 'customFields')
    }
  }
  if (worked.length > 0) {
    throw new Refusal(
      'INVALID_STATE',
      `The merge cannot be undone: changed on the record since are ${worked.join(', ')}, which the merge had filled.`,
      ['id'],
    )
  }
  await writeColumns(tx, type, merge.survivor_id, back)
  for (const { sourceSystem, externalId, added } of merge.identities) {
    await tx.query(
      added
        ? `delete from record_identity where tenant_id = $1 and record_type = $2 and source_system = $3 and external_id = $4
             and record_id = $5 and $6::uuid is not null`
        : `update record_identity set record_id = $6 where tenant_id = $1 and record_type = $2 and source_system = $3
             and external_id = $4 and record_id = $5`,
      [tx.tenantId, merge.record_type, sourceSystem, externalId, merge.survivor_id, merge.removed_id],
    )
  }
  // A link that was made meanwhile stays with the survivor.
  await tx.query(
    `update pending_relation set record_id = $4
     where tenant_id = $1 and record_type = $2 and record_id = $3 and field = any ($5::text[]) and settled_at is null`,
    [tx.tenantId, merge.record_type, merge.survivor_id, merge.removed_id, merge.pending],
  )
  await restoreRemoved(tx, type, merge.removed_id)
  for (const { table, column } of references(type)) {
    // What was given to somebody else since stays there.
    await tx.query(
      `update ${table} c set ${column} = $3,
         pristine_version = case when c.version = c.pristine_version then c.version + 1 else c.pristine_version end
       where c.tenant_id = $1 and c.${column} = $4 and c.id in (
         select l.record_id from duplicate_merge_link l
         where l.tenant_id = $1 and l.merge_id = $2 and l.record_type = $5 and l.column_name = $6)`,
      [tx.tenantId, mergeId, merge.removed_id, merge.survivor_id, table, column],
    )
  }
  await tx.query('update duplicate_merge set undone_at = now(), undone_by = $3 where tenant_id = $1 and id = $2', [
    tx.tenantId,
    mergeId,
    actor,
  ])
}

async function restoreRemoved(tx: Tx, type: RecordType, id: string): Promise<void> {
  const taken = await first(
    tx,
    `select from ${type.table} r join ${type.table} o on o.tenant_id = $1 and o.source_system = r.source_system
       and o.external_id = r.external_id and o.deleted_at is null and o.id <> r.id
     where r.tenant_id = $1 and r.id = $2`,
    [tx.tenantId, id],
  )
  if (taken !== null) {
    throw new Refusal('INVALID_STATE', 'The merge cannot be undone: another record has taken its externalId since.', [
      'id',
    ])
  }
  await tx.query(`update ${type.table} set deleted_at = null where tenant_id = $1 and id = $2`, [tx.tenantId, id])
}

/** Whether two JSON values are equal, whatever the order of their members. */
function same(a: unknown, b: unknown): boolean {
  if (a === b || (blank(a) && blank(b))) {
    return true
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return false
  }
  const [left, right] = [Object.entries(a), b as Json]
  return left.length === Object.keys(b).length && left.every(([key, value]) => same(value, right[key]))
}
