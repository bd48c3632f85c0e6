/**
 * Whether the database can be spread over several servers by tenant, as docs/OPERATIONS.md plans it with Citus: all rows of a tenant on one
 * of them, and no statement that would have to ask all.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { type Actor, type Json, World } from '../server/world.js'

/** Tables that are not distributed, and how they are kept instead. */
const others: Readonly<Record<string, 'everywhere' | 'on the coordinator'>> = {
  // Small, the same for all tenants, read with joins: a reference table.
  quota_plan: 'everywhere',
  // Their names are unique among all; every other table refers to it.
  tenant: 'everywhere',
  // The list of what workers are to take up, over all tenants.
  run_wakeup: 'on the coordinator',
  migration: 'on the coordinator',
}

let world: World
let ada: Actor
/** Tables with the column that they are distributed by. */
const distributed = new Map<string, string>()
/** Statements that ran while somebody imported, looked and undid. */
const statements = new Set<string>()

before(async () => {
  world = await World.start({ settings: { PORTAGE_CHUNK_ROWS: '500' } })
  ada = await world.actor(await world.tenant())
  const { rows } = await world.oracle.query<{ name: string; column: string }>(
    `select c.relname as name, a.attname as column from pg_class c join pg_namespace n on n.oid = c.relnamespace
       join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
     where n.nspname = 'portage' and c.relkind in ('r', 'p')`,
  )
  rows.filter(({ name }) => others[name] === undefined).forEach(({ name, column }) => distributed.set(name, column))
})
after(() => world.close())

test('every table is distributed by its tenant, or is one of the few that are kept otherwise', async () => {
  const { rows } = await world.oracle.query<{ name: string; type: string; nullable: boolean }>(
    `select c.relname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
       left join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
     where n.nspname = 'portage' and c.relkind in ('r', 'p')`,
  )
  for (const { name, type, nullable } of rows) {
    // One type, so that shards of all tables lie together.
    assert.ok(others[name] !== undefined || (type === 'uuid' && !nullable), `${name}: ${type}`)
  }
  assert.ok(distributed.size > 50)
})

test('every primary, unique and exclusion key has the tenant in it', async () => {
  const { rows } = await world.oracle.query<{ table: string; key: string; columns: string[] }>(
    `select c.relname as table, i.relname as key, array(select a.attname::text from unnest(x.indkey) k
        join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k) as columns
     from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'portage' and (x.indisunique or x.indisexclusion)`,
  )
  const wrong = rows.filter(({ table, columns }) => {
    const column = distributed.get(table)
    return column !== undefined && !columns.includes(column)
  })
  assert.deepEqual(wrong, [])
})

test('every foreign key between distributed tables goes from tenant to tenant, and none leads elsewhere', async () => {
  const { rows } = await world.oracle.query<{ key: string; from: string; to: string; own: string[]; theirs: string[] }>(
    `select k.conname as key, f.relname as from, t.relname as to,
       array(select a.attname::text from unnest(k.conkey) with ordinality c (n, o) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n order by o) as own,
       array(select a.attname::text from unnest(k.confkey) with ordinality c (n, o) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = n order by o) as theirs
     from pg_constraint k join pg_class f on f.oid = k.conrelid join pg_class t on t.oid = k.confrelid join pg_namespace n on n.oid = f.relnamespace
     where n.nspname = 'portage' and k.contype = 'f'`,
  )
  assert.ok(rows.length > 30)
  for (const { key, from, to, own, theirs } of rows) {
    const [mine, other] = [distributed.get(from), distributed.get(to)]
    if (mine === undefined) {
      assert.equal(other, undefined, `${key}: a table that is not distributed refers to one that is`)
      continue
    }
    if (other === undefined) {
      assert.equal(others[to], 'everywhere', key)
      continue
    }
    const at = own.indexOf(mine)
    assert.ok(at >= 0 && theirs[at] === other, `${key}: ${own.join()} to ${theirs.join()}`)
  }
})

test('no column takes its numbers from a sequence, and no table is a partition or has a parent', async () => {
  const { rows } = await world.oracle.query<{ what: string }>(
    `select c.relname || '.' || a.attname as what from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
       left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where n.nspname = 'portage' and c.relkind in ('r', 'p') and a.attnum > 0 and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like '%nextval%')
       and c.relname <> 'migration'
     union all select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'portage'`,
  )
  assert.deepEqual(rows, [])
})

/** Keeps the text of every statement that this process sends meanwhile. */
async function listening(work: () => Promise<void>): Promise<void> {
  const restore = drivers().map(({ Client: { prototype } }) => {
    const { query } = prototype
    prototype.query = function (this: unknown, ...args: unknown[]) {
      const [first] = args as [string | { readonly text?: string }]
      statements.add(typeof first === 'string' ? first : (first.text ?? ''))
      return query.apply(this, args)
    }
    return () => {
      prototype.query = query
    }
  })
  try {
    await work()
  } finally {
    restore.forEach((back) => back())
  }
}

type Driver = { readonly Client: { readonly prototype: { query: (...args: unknown[]) => unknown } } }

/** Workers use our driver, and the API that of its library, which may be another copy. */
function drivers(): readonly Driver[] {
  const require = createRequire(import.meta.url)
  const other = createRequire(require.resolve('@mikro-orm/postgresql'))('pg') as Driver
  return [...new Set([pg as unknown as Driver, other])]
}

/** Tables that a statement reads or writes, once for each time that it names them. */
function named(sql: string): string[] {
  const text = sql
    .replaceAll(/--[^\n]*|'(?:[^']|'')*'/g, ' ')
    .replaceAll('"', '')
    .toLowerCase()
  const own = new Set(
    [...text.matchAll(/\b(?:with(?: recursive)?|,)\s+([a-z_]+)\s*(?:\([^)]*\)\s*)?as\s*(?:materialized\s*)?\(/g)].map(
      ([, name]) => name,
    ),
  )
  return [...text.matchAll(/\b(?:from|join|update|into)\s+(?:only\s+)?(?:portage\.)?([a-z_]+)\b(?!\s*\()/g)]
    .map(([, name = '']) => name)
    .filter((name) => distributed.has(name) && !own.has(name))
}

/** Whether it names a table without a word about its tenant. */
function isSilent(sql: string): boolean {
  return (sql.match(/tenant_id|current_tenant\(\)/g) ?? []).length < named(sql).length
}

test('a statement that leaves the tenant out is noticed', () => {
  assert.ok(isSilent('select id from contact where id = $1'))
  assert.ok(isSilent('select c.id from contact c join run r on r.id = c.run_id where c.tenant_id = $1'))
  assert.ok(!isSilent('select id from contact where tenant_id = $1 and id = $2'))
  assert.ok(!isSilent("with found as (select 1) select * from found, now() -- from contact\n where 'from run' <> ''"))
})

test('every statement of the hot path says which tenant it is about, for every table that it names', async () => {
  const mapping = [
    { column: 'E-mail', field: 'email' },
    { column: 'Last name', field: 'lastName' },
    { column: 'Company', field: 'companyName' },
  ]
  const csv = [
    'E-mail,Last name,Company',
    ...Array.from({ length: 1500 }, (_, n) => `p${n}@example.com,Last ${n},Company ${n}`),
    'wrong,A,B',
  ]
  await listening(async () => {
    const id = await world.import(ada, 'CONTACT', csv.join('\n'), {}, { mapping })
    await world.import(ada, 'CONTACT', csv.join('\n').replaceAll(/Last (\d)/g, 'Other $1'), {}, { mapping })
    const leads = ['Title,Contact', ...Array.from({ length: 100 }, (_, n) => `Lead ${n},p${n}@example.com`)].join('\n')
    await world.import(
      ada,
      'LEAD',
      leads,
      {},
      {
        mapping: [
          { column: 'Title', field: 'title' },
          { column: 'Contact', field: 'contact.email' },
        ],
      },
    )
    const shown: Json = await world.ask(
      ada,
      `query ($id: ID!) { importRun(id: $id) { rows(first: 50) { nodes { rowNumber outcome } } issues(first: 5) { nodes { code } } files { kind url } }
         contacts(first: 50) { nodes { id email provenance(first: 1) { runId } } totalCount } leads(first: 5) { nodes { contact { email } } }
         runs(first: 5) { nodes { id status availableActions } } quotas { name used } auditEntries(first: 5) { nodes { action } } }`,
      { id },
    )
    assert.equal(shown.contacts.totalCount, 1500)
    const { exportCreate } = await world.ask(
      ada,
      'mutation { exportCreate(input: { recordType: CONTACT, idempotencyKey: "spread" }) { exportRun { id } } }',
    )
    await world.rested(ada, exportCreate.exportRun.id)
  })
  const about = [...statements].filter((sql) => named(sql).length > 0)
  assert.ok(about.length > 80, `${about.length} statements`)
  const silent = about.filter(isSilent)
  // What looks for work over all tenants is asked on the coordinator, a few times a second whatever is stored.
  const overAll =
    /\b(run_wakeup|audit_pending|duplicate_search|outbox|webhook_delivery|mail|export_template|run_migration)\b/
  assert.deepEqual(
    silent.filter((sql) => !overAll.test(sql)).map((sql) => sql.replaceAll(/\s+/g, ' ').slice(0, 400)),
    [],
  )
})
