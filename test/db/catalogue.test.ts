/** The database's own catalogue says whether tenants can meet: no table, view, function or key may make it possible. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { API_ROLE, OWNER_ROLE, WORKER_ROLE } from '../../src/db/roles.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

/** Tables without a tenant of their own, and why. */
const exceptions = new Set([
  // Tells a worker which tenant to become; the worker's role alone reads it.
  'run_wakeup',
  // Plans are the same for all tenants, and the operator's alone to change.
  'quota_plan',
  // The migrator's list of what has run.
  'migration',
])

let db: TestDatabase
let client: pg.Client

before(async () => {
  db = await freshDatabase()
  client = new pg.Client({ connectionString: db.ownerUrl })
  await client.connect()
})
after(async () => {
  await client.end()
  await db.drop()
})

/** Everything that is wrong with the tables of the schema, in words. Empty: nothing. */
async function complaints(): Promise<string[]> {
  const found: string[] = []
  const tables = await client.query<{
    name: string
    kind: string
    rls: boolean
    forced: boolean
    owner: string
    tenant: string | null
    policies: number
    complete: boolean
    erasable: boolean
  }>(
    `select c.relname as name, c.relkind as kind, c.relrowsecurity as rls, c.relforcerowsecurity as forced, pg_get_userbyid(c.relowner) as owner,
       (select case when a.attnotnull then 'not null' else 'nullable' end from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') as tenant,
       (select count(*)::int from pg_policy p where p.polrelid = c.oid) as policies,
       (select bool_and(p.polqual is not null and p.polwithcheck is not null) from pg_policy p where p.polrelid = c.oid) as complete,
       exists (select from pg_policy p where p.polrelid = c.oid and (0 = any (p.polroles) or to_regrole('${OWNER_ROLE}') = any (p.polroles))) as erasable
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'portage' and c.relkind in ('r', 'p', 'v', 'm', 'f')`,
  )
  for (const table of tables.rows) {
    if (table.owner !== OWNER_ROLE) {
      found.push(`${table.name} belongs to ${table.owner}`)
    }
    if (table.kind !== 'r' && table.kind !== 'p') {
      found.push(`${table.name} is a view: views can be exempt from policies`)
      continue
    }
    if (exceptions.has(table.name)) {
      continue
    }
    if (table.name !== 'tenant' && table.tenant !== 'not null') {
      found.push(`${table.name} has no tenant_id NOT NULL`)
    }
    if (!table.rls || !table.forced) {
      found.push(`${table.name} does not force row-level security`)
    }
    if (table.policies === 0 || !table.complete) {
      found.push(`${table.name} lacks a policy with USING and WITH CHECK`)
    }
    if (table.policies > 0 && !table.erasable) {
      found.push(`${table.name} cannot be erased with its tenant: no policy lets the owner see its rows`)
    }
  }
  const keys = await client.query<{ name: string; table_name: string; columns: string[] }>(
    `select con.conname as name, c.relname as table_name, array(
         select a.attname::text from unnest(con.conkey) with ordinality k (num, ord) join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.num order by ord) as columns
       from pg_constraint con join pg_class c on c.oid = con.conrelid join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'portage' and con.contype in ('p', 'u', 'f')
     union all
     select i.relname, c.relname, array(
         select a.attname::text from unnest(x.indkey) with ordinality k (num, ord) join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.num order by ord)
       from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'portage' and x.indisunique`,
  )
  for (const key of keys.rows) {
    if (exceptions.has(key.table_name) || key.table_name === 'tenant') {
      continue
    }
    if (key.columns[0] !== 'tenant_id') {
      found.push(`${key.table_name}.${key.name} does not start with tenant_id: ${key.columns.join(', ')}`)
    }
  }
  const definers = await client.query<{ name: string }>(
    `select p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('portage', 'public') and p.prosecdef`,
  )
  found.push(...definers.rows.map((row) => `function ${row.name} runs as its owner`))
  const grants = await client.query<{ table_name: string; grantee: string; privilege_type: string }>(
    `select table_name, grantee, privilege_type from information_schema.role_table_grants
     where table_schema = 'portage' and grantee in ('${API_ROLE}', '${WORKER_ROLE}', 'PUBLIC') and privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES')`,
  )
  found.push(...grants.rows.map((row) => `${row.grantee} may ${row.privilege_type} ${row.table_name}`))
  return found
}

test('every table belongs to tenants, forces its policy, and has the tenant first in every key [IS-1] [IS-5]', async () => {
  assert.deepEqual(await complaints(), [])
})

test('the roles of the service own nothing and cannot bypass a policy [IS-1]', async () => {
  const roles = await client.query(
    `select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,
       exists (select from pg_class c where c.relowner = r.oid) as owns,
       pg_has_role(r.oid, '${OWNER_ROLE}', 'member') as is_owner
     from pg_roles r where rolname in ('${API_ROLE}', '${WORKER_ROLE}') order by 1`,
  )
  const nothing = {
    rolsuper: false,
    rolbypassrls: false,
    rolcreaterole: false,
    rolcreatedb: false,
    owns: false,
    is_owner: false,
  }
  assert.deepEqual(roles.rows, [
    { rolname: API_ROLE, ...nothing },
    { rolname: WORKER_ROLE, ...nothing },
  ])
})

test('a table that breaks the rule is noticed [IS-1]', async () => {
  await client.query('create table portage.planted (id uuid primary key, tenant_id uuid)')
  try {
    const found = await complaints()
    for (const part of [
      'belongs to',
      'tenant_id NOT NULL',
      'force row-level security',
      'lacks a policy',
      'does not start with tenant_id',
    ]) {
      assert.ok(
        found.some((complaint) => complaint.startsWith('planted') && complaint.includes(part)),
        `expected a complaint about "${part}" in ${JSON.stringify(found)}`,
      )
    }
  } finally {
    await client.query('drop table portage.planted')
  }
})

test('a statement without a tenant raises instead of finding nothing [IS-6]', async () => {
  for (const url of [db.apiUrl, db.workerUrl]) {
    const role = new pg.Client({ connectionString: url })
    await role.connect()
    try {
      for (const table of ['contact', 'run', 'event', 'source_file', 'member']) {
        await assert.rejects(role.query(`select * from portage.${table}`), { code: 'PT001' })
      }
      // A pooled session that had a tenant reads an empty setting afterwards: that is none, too.
      await role.query(
        "begin; select set_config('app.tenant_id', '01234567-89ab-7cde-8f01-23456789abcd', true); commit",
      )
      await assert.rejects(role.query('select * from portage.contact'), { code: 'PT001' })
    } finally {
      await role.end()
    }
  }
})

test('the API cannot read the wake-up table or the queue [IS-7]', async () => {
  const api = new pg.Client({ connectionString: db.apiUrl })
  await api.connect()
  try {
    await assert.rejects(api.query('select * from portage.run_wakeup'), { code: '42501' })
    await assert.rejects(api.query('select * from pgboss.job'), { code: '42501' })
  } finally {
    await api.end()
  }
})
