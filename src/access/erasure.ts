/**
 * Erasing a tenant, by the operator alone: all rows of all tables that are its own, some thousand at a time. What was begun goes
 * on where it stopped when it is asked for again. A tombstone remains, which knows the id and how many rows there were.
 */
import { type Operator, withOperator } from '../db/operator.js'
import { Refusal } from '../errors.js'
import { ERASURE_BATCH_ROWS } from '../limits.js'

/** What has become of a tenant's rows: how many were deleted, by table. */
export interface Erased {
  readonly tenantId: string
  readonly deleted: Readonly<Record<string, number>>
}

/** A column of a table by which its rows refer to others of the same table. */
interface OwnReference {
  readonly table: string
  readonly columns: readonly string[]
}

/**
 * Erases the rows of a tenant; its files are the caller's to delete. From the first moment on the tenant lets nobody in and its
 * runs are nobody's. Refuses NOT_FOUND for an id that is neither a tenant nor one whose erasing was begun.
 */
export async function eraseTenant(
  ownerUrl: string,
  tenantId: string,
  onProgress: (table: string, rows: number) => void = () => undefined,
): Promise<Erased> {
  await begin(ownerUrl, tenantId)
  const tables = await tenantTables(ownerUrl)
  const own = await ownReferences(ownerUrl)
  for (let rounds = 0; ; rounds += 1) {
    let deleted = 0
    let blocked = 0
    for (const table of tables) {
      const outcome = await emptyTable(ownerUrl, tenantId, table, own.get(table) ?? null, onProgress)
      deleted += outcome.deleted
      blocked += outcome.blocked ? 1 : 0
    }
    if (blocked === 0 && deleted === 0) {
      break
    }
    if (deleted === 0) {
      throw new Error(`rows of ${blocked} tables refer to each other in a way that erasing does not know`)
    }
    if (rounds > 1000) {
      throw new Error('somebody keeps writing rows of a tenant that is being erased')
    }
  }
  // Nothing can come after this: every row belongs to a tenant that there is.
  return withOperator(ownerUrl, async (operator) => {
    await become(operator, tenantId)
    await operator.query('delete from tenant where id = $1', [tenantId])
    const [row] = await operator.query<{ deleted: Record<string, number> }>(
      'update tenant_tombstone set finished_at = coalesce(finished_at, now()) where tenant_id = $1 returning deleted',
      [tenantId],
    )
    return { tenantId, deleted: row?.deleted ?? {} }
  })
}

async function begin(ownerUrl: string, tenantId: string): Promise<void> {
  await withOperator(ownerUrl, async (operator) => {
    await become(operator, tenantId)
    const standing = await operator.query(
      'update tenant set erasing_at = coalesce(erasing_at, now()) where id = $1 returning id',
      [tenantId],
    )
    const begun = await operator.query('select tenant_id from tenant_tombstone where tenant_id = $1', [tenantId])
    if (standing.length + begun.length === 0) {
      throw new Refusal('NOT_FOUND', 'There is no tenant with this id.')
    }
    await operator.query('insert into tenant_tombstone (tenant_id) values ($1) on conflict do nothing', [tenantId])
    await operator.query('delete from run_wakeup where tenant_id = $1', [tenantId])
  })
  await withOperator(ownerUrl, async (operator) => {
    // The queue is not the schema's: it belongs to whoever set the database up.
    await operator.query('set local role none')
    const [queue] = await operator.query<{ there: boolean }>(`select to_regclass('pgboss.job') is not null as there`)
    if (queue?.there === true) {
      await operator.query(`delete from pgboss.job where data ->> 'tenantId' = $1`, [tenantId])
    }
  })
}

/** The policies ask for the tenant, of the owner too. */
async function become(operator: Operator, tenantId: string): Promise<void> {
  await operator.query("select set_config('app.tenant_id', $1, true)", [tenantId])
}

/** Every table with rows of tenants, those first to which no other table refers. */
async function tenantTables(ownerUrl: string): Promise<string[]> {
  return withOperator(ownerUrl, async (operator) => {
    const tables = await operator.query<{ name: string }>(
      `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
       where c.relnamespace = 'portage'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
         and a.attname = 'tenant_id' and not a.attisdropped and c.relname <> 'tenant_tombstone' order by 1`,
    )
    const references = await operator.query<{ child: string; parent: string }>(
      `select distinct c.conrelid::regclass::text as child, c.confrelid::regclass::text as parent from pg_constraint c
       where c.contype = 'f' and c.connamespace = 'portage'::regnamespace and c.conrelid <> c.confrelid`,
    )
    const left = new Set(tables.map(({ name }) => name))
    const ordered: string[] = []
    while (left.size > 0) {
      const free = [...left].filter(
        (name) => !references.some(({ child, parent }) => parent === name && left.has(child) && child !== name),
      )
      // A ring of references is left to the rounds.
      for (const name of free.length > 0 ? free : [...left]) {
        ordered.push(name)
        left.delete(name)
      }
    }
    return ordered
  })
}

/** References of tables to themselves, by table. */
async function ownReferences(ownerUrl: string): Promise<ReadonlyMap<string, OwnReference>> {
  const rows = await withOperator(ownerUrl, (operator) =>
    operator.query<OwnReference>(
      `select c.conrelid::regclass::text as table, array_agg(distinct a.attname::text) as columns
       from pg_constraint c cross join lateral unnest(c.conkey) as k (number)
         join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number
       where c.contype = 'f' and c.connamespace = 'portage'::regnamespace and c.conrelid = c.confrelid and a.attname <> 'tenant_id'
       group by c.conrelid`,
    ),
  )
  return new Map(rows.map((row) => [row.table, row]))
}

/** Deletes rows of one table until there are none, or until something refers to those that are left. */
async function emptyTable(
  ownerUrl: string,
  tenantId: string,
  table: string,
  own: OwnReference | null,
  onProgress: (table: string, rows: number) => void,
): Promise<{ readonly deleted: number; readonly blocked: boolean }> {
  // Leaves first; what is left then are rings, whose links are cut.
  const leaves =
    own === null
      ? ''
      : own.columns
          .map((column) => ` and not exists (select from ${table} k where k.tenant_id = $1 and k.${column} = x.id)`)
          .join('')
  let deleted = 0
  for (;;) {
    const step = await deleteSome(ownerUrl, tenantId, table, leaves)
    if (step === null) {
      return { deleted, blocked: true }
    }
    deleted += step
    if (step > 0) {
      onProgress(table, step)
      continue
    }
    const cut = own === null ? 0 : await cutLinks(ownerUrl, tenantId, table, own.columns)
    if (cut === 0) {
      return { deleted, blocked: false }
    }
  }
}

/** Null where a row of another table still refers to one of these. */
async function deleteSome(
  ownerUrl: string,
  tenantId: string,
  table: string,
  condition: string,
): Promise<number | null> {
  try {
    return await withOperator(ownerUrl, async (operator) => {
      await become(operator, tenantId)
      const [counted] = await operator.query<{ rows: number }>(
        `with gone as (
           delete from ${table} where ctid = any (array(
             select x.ctid from ${table} x where x.tenant_id = $1${condition} limit ${ERASURE_BATCH_ROWS})) and tenant_id = $1 returning 1),
         n as (select count(*)::int as rows from gone)
         select rows from n`,
        [tenantId],
      )
      const rows = counted?.rows ?? 0
      if (rows > 0) {
        await operator.query(
          `update tenant_tombstone set deleted = deleted || jsonb_build_object($2::text, coalesce((deleted ->> $2)::bigint, 0) + $3)
           where tenant_id = $1`,
          [tenantId, table, rows],
        )
      }
      return rows
    })
  } catch (error) {
    if ((error as { code?: string }).code === '23503') {
      return null
    }
    throw error
  }
}

async function cutLinks(
  ownerUrl: string,
  tenantId: string,
  table: string,
  columns: readonly string[],
): Promise<number> {
  return withOperator(ownerUrl, async (operator) => {
    await become(operator, tenantId)
    const rows = await operator.query(
      `update ${table} set ${columns.map((column) => `${column} = null`).join(', ')} where ctid = any (array(
         select x.ctid from ${table} x where x.tenant_id = $1 and (${columns.map((column) => `x.${column} is not null`).join(' or ')})
         limit ${ERASURE_BATCH_ROWS})) and tenant_id = $1 returning 1`,
      [tenantId],
    )
    return rows.length
  })
}
