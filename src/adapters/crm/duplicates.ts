/** Records as they are compared with each other, and the blocks in which they meet. */
import type { Tx } from '../../db/tx.js'
import type { RecordTypeName } from '../../records/types.js'

/** Record types that are searched for duplicates. Activities are what happened: two that look alike are two. */
export const comparedTypes = ['contact', 'lead', 'property'] as const satisfies readonly RecordTypeName[]

export type ComparedType = (typeof comparedTypes)[number]

/** A record's compared columns, by column. Live records only. */
export interface ComparedRow {
  readonly id: string
  readonly [column: string]: unknown
}

const columns: Readonly<Record<ComparedType, string>> = {
  contact: `kind, first_name, middle_name, last_name, display_name, company_name, email, secondary_email, phone, mobile_phone, home_phone,
    address_line1, address_line2, city, state_or_province, postal_code, birth_date::text as birth_date, custom_fields`,
  lead: `first_name, last_name, display_name, company_name, email, phone, mobile_phone,
    address_line1, address_line2, city, state_or_province, postal_code, custom_fields`,
  property: `listing_id, parcel_number, address_line1, address_line2, unit_number, city, postal_code, property_type, bedrooms_total,
    living_area::float8 as living_area`,
}

/** The records with these ids that are not deleted, in no order. */
export async function comparedRows(tx: Tx, type: ComparedType, ids: readonly string[]): Promise<ComparedRow[]> {
  return ids.length === 0
    ? []
    : tx.query<ComparedRow>(
        `select id, ${columns[type]} from ${type} where tenant_id = $1 and id = any ($2::uuid[]) and deleted_at is null`,
        [tx.tenantId, ids],
      )
}

/** Gives records these keys in place of those that they had; records without keys have none afterwards. */
export async function replaceBlocks(
  tx: Tx,
  ids: readonly string[],
  keysOf: ReadonlyMap<string, readonly number[]>,
): Promise<void> {
  const known = await tx.query<{ record_id: string; keys: string[] }>(
    'select record_id, keys::text[] as keys from record_keys where tenant_id = $1 and record_id = any ($2::uuid[])',
    [tx.tenantId, ids],
  )
  const before = new Map(known.map((row) => [row.record_id, new Set(row.keys.map(Number))]))
  const gone: (readonly [number, string])[] = []
  const added: (readonly [number, string])[] = []
  for (const id of ids) {
    const had = before.get(id) ?? new Set<number>()
    const has = new Set(keysOf.get(id))
    gone.push(...[...had].filter((key) => !has.has(key)).map((key) => [key, id] as const))
    added.push(...[...has].filter((key) => !had.has(key)).map((key) => [key, id] as const))
  }
  if (gone.length > 0) {
    await tx.query(
      // One index probe per key, whatever the planner knows of a table that has just grown.
      `delete from record_block where ctid = any (array(
         select b.ctid from unnest($2::bigint[], $3::uuid[]) as g (key, record_id) cross join lateral (
           select r.ctid from record_block r where r.tenant_id = $1 and r.key = g.key and r.record_id = g.record_id offset 0) b))`,
      [tx.tenantId, gone.map(([key]) => key), gone.map(([, id]) => id)],
    )
  }
  await tx.query(
    `insert into record_block (tenant_id, key, record_id)
     select $1, key, record_id from unnest($2::bigint[], $3::uuid[]) as k (key, record_id) order by 2, 3 on conflict do nothing`,
    [tx.tenantId, added.map(([key]) => key), added.map(([, id]) => id)],
  )
  const changed = [...new Set([...gone, ...added].map(([, id]) => id))]
  await tx.query(
    `insert into record_keys (tenant_id, record_id, keys)
     select $1, (x ->> 'id')::uuid, array(select jsonb_array_elements_text(x -> 'keys')::bigint) from jsonb_array_elements($2::jsonb) as x
     on conflict (tenant_id, record_id) do update set keys = excluded.keys`,
    [tx.tenantId, JSON.stringify(changed.map((id) => ({ id, keys: [...new Set(keysOf.get(id))] })))],
  )
}

/**
 * The records under each key; a key that more than `most` records share, or one alone, is left out: one index probe per key,
 * and never more than `most + 1` entries read, however many there are.
 */
export async function recordsByKey(tx: Tx, keys: readonly number[], most: number): Promise<Map<number, string[]>> {
  const found = await tx.query<{ n: number; ids: string }>(
    `select k.n::int as n, b.ids from unnest($2::bigint[]) with ordinality as k (key, n) cross join lateral (
       select string_agg(x.record_id::text, ' ') as ids, count(*) as found
       from (select r.record_id from record_block r where r.tenant_id = $1 and r.key = k.key limit $3 + 1) x) b
     where b.found between 2 and $3`,
    [tx.tenantId, keys, most],
  )
  return new Map(found.map(({ n, ids }) => [keys[n - 1] ?? 0, ids.split(' ')]))
}
