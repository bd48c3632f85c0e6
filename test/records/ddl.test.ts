/** A migrated database is what the definitions say, to the last column, rule, index and grant. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { checksOf, fieldOf, protectedColumns, recordTypes } from '../../src/records/index.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

let db: TestDatabase
let client: pg.Client
const types = Object.values(recordTypes)

before(async () => {
  db = await freshDatabase()
  client = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await client.connect()
})
after(async () => {
  await client.end()
  await db.drop()
})

async function strings(sql: string, params: readonly unknown[]): Promise<string[]> {
  const { rows } = await client.query<{ s: string }>(sql, [...params])
  return rows.map((row) => row.s)
}

for (const type of types) {
  test(`${type.name}: the table has the columns of the definition`, async () => {
    const { rows } = await client.query<{ name: string; type: string; required: boolean; fallback: string | null }>(
      `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required,
         pg_get_expr(d.adbin, d.adrelid) as fallback
       from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
       where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped`,
      [type.table],
    )
    const columns = new Map(rows.map((row) => [row.name, row]))
    for (const field of type.fields) {
      const column = columns.get(field.column)
      assert.equal(column?.type.replace('timestamp with time zone', 'timestamptz'), field.sqlType, field.name)
      assert.equal(column?.required, field.required, field.name)
      assert.equal(column?.fallback !== null, field.defaultValue !== null, field.name)
    }
    const known = [...type.fields.map((field) => field.column), ...protectedColumns]
    assert.deepEqual([...columns.keys()].toSorted(), known.toSorted())
  })

  test(`${type.name}: the table has the checks of the definition`, async () => {
    const found = await strings(
      `select conname || ' ' || pg_get_constraintdef(oid) as s from pg_constraint where conrelid = $1::regclass and contype = 'c'`,
      [type.table],
    )
    // PostgreSQL prints the rules in its own words, so they are printed by it twice.
    await client.query('begin')
    try {
      await client.query(`create temporary table written (like portage.${type.table})`)
      for (const check of checksOf(type)) {
        await client.query(`alter table written add constraint ${type.table}_${check.name} check (${check.sql})`)
      }
      const written = await strings(
        `select conname || ' ' || pg_get_constraintdef(oid) as s from pg_constraint where conrelid = 'written'::regclass and contype = 'c'`,
        [],
      )
      assert.deepEqual(found.toSorted(), written.toSorted())
    } finally {
      await client.query('rollback')
    }
  })

  test(`${type.name}: every reference is a key with the tenant in it`, async () => {
    const found = await strings(
      `select pg_get_constraintdef(oid) as s from pg_constraint where conrelid = $1::regclass and contype = 'f'`,
      [type.table],
    )
    const expected = type.fields.flatMap((field) =>
      field.reference === null
        ? []
        : [`FOREIGN KEY (tenant_id, ${field.column}) REFERENCES ${field.reference.to}(tenant_id, id)`],
    )
    assert.deepEqual(found.toSorted(), expected.toSorted())
  })

  test(`${type.name}: matchable fields, references and creating runs have their indexes`, async () => {
    const found = await strings('select pg_get_indexdef(indexrelid) as s from pg_index where indrelid = $1::regclass', [
      type.table,
    ])
    const has = (columns: string, condition: string, unique = false) =>
      found.some((index) => index.includes(`(${columns}) WHERE (${condition})`) && index.includes('UNIQUE') === unique)
    assert.ok(has('tenant_id, source_system, external_id', '(external_id IS NOT NULL) AND (deleted_at IS NULL)', true))
    assert.ok(has('tenant_id, created_run_id, created_row', 'created_run_id IS NOT NULL'))
    for (const name of type.matchable.filter((field) => field !== 'externalId')) {
      const column = fieldOf(type, name)?.column ?? ''
      assert.ok(has(`tenant_id, ${column}`, `(${column} IS NOT NULL) AND (deleted_at IS NULL)`), name)
    }
    for (const field of type.fields.filter((candidate) => candidate.reference !== null)) {
      assert.ok(has(`tenant_id, ${field.column}`, `${field.column} IS NOT NULL`), field.name)
    }
  })

  test(`${type.name}: the roles of the service read and write rows and delete none`, async () => {
    for (const role of ['portage_api', 'portage_worker']) {
      for (const [privilege, expected] of [
        ['select', true],
        ['insert', true],
        ['update', true],
        ['delete', false],
        ['truncate', false],
      ] as const) {
        const [answer] = await strings('select has_table_privilege($1, $2::regclass, $3)::text as s', [
          role,
          type.table,
          privilege,
        ])
        assert.equal(answer, `${expected}`, `${role} ${privilege}`)
      }
    }
  })
}

/** A tenant, and how to insert a record of it as the superuser. */
async function tenant(): Promise<(table: string, values: Record<string, unknown>) => Promise<string>> {
  const id = randomUUID()
  await client.query('insert into tenant (id, name) values ($1, $2)', [id, id])
  return async (table, values) => {
    const row: Record<string, unknown> = { tenant_id: id, id: randomUUID(), ...values }
    const columns = Object.keys(row)
    await client.query(
      `insert into ${table} (${columns.join(', ')}) values (${columns.map((_, index) => `$${index + 1}`).join(', ')})`,
      Object.values(row),
    )
    return row.id as string
  }
}

async function refusedBy(constraint: string, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof pg.DatabaseError)
    assert.equal(error.constraint, constraint)
    return true
  })
}

test('the rules over several fields hold in the table', async () => {
  const insert = await tenant()
  await refusedBy('contact_source_named', insert('contact', { display_name: 'A', external_id: '1' }))
  await refusedBy('contact_kind_options', insert('contact', { display_name: 'A', kind: 'ROBOT' }))
  await refusedBy('lead_budget_order', insert('lead', { title: 'A', email: 'a@b.de', budget_min: 2, budget_max: 1 }))
  await refusedBy('lead_someone', insert('lead', { title: 'A' }))
  await refusedBy('lead_currency_code', insert('lead', { title: 'A', email: 'a@b.de', currency: 'eur' }))
  await refusedBy('property_latitude_range', insert('property', { name: 'A', latitude: 91 }))
  await refusedBy('property_list_price_range', insert('property', { name: 'A', list_price: -1 }))
  await refusedBy(
    'property_closed_after_listed',
    insert('property', { name: 'A', listing_contract_date: '2026-02-01', close_date: '2026-01-01' }),
  )
  await refusedBy(
    'activity_ends_after_start',
    insert('activity', {
      type: 'CALL',
      subject: 'A',
      start_at: '2026-01-02T00:00:00Z',
      end_at: '2026-01-01T00:00:00Z',
    }),
  )
  await insert('lead', { title: 'A', email: 'a@b.de', budget_min: 2 })
})

test('one source has an external id once among records that are not deleted', async () => {
  const insert = await tenant()
  const known = { display_name: 'A', source_system: 'file', external_id: '1' }
  await insert('contact', { ...known, deleted_at: new Date() })
  await insert('contact', known)
  await insert('contact', { ...known, source_system: 'other' })
  await refusedBy('contact_external_id', insert('contact', known))
})

test('every change of a record raises its version, whoever makes it', async () => {
  const insert = await tenant()
  const id = await insert('contact', { display_name: 'A', version: 7 })
  const { rows } = await client.query<{ version: number; moved: boolean }>(
    `update contact set display_name = 'B', version = 3, updated_at = 'epoch' where id = $1 returning version, updated_at > 'epoch' as moved`,
    [id],
  )
  assert.deepEqual(rows, [{ version: 8, moved: true }])
})

test('a record cannot refer to a record of another tenant', async () => {
  const insert = await tenant()
  const neighbour = await tenant()
  const id = await neighbour('contact', { display_name: 'Neighbour' })
  await refusedBy('contact_organization_id_fkey', insert('contact', { display_name: 'A', organization_id: id }))
})

test('a further identity of a record is unique per record type and source', async () => {
  const insert = await tenant()
  const known = { record_type: 'contact', source_system: 'crm', external_id: '1', record_id: randomUUID() }
  const identity = async (values: Record<string, unknown>): Promise<void> => {
    const { tenant_id } = (
      await client.query<{ tenant_id: string }>('select tenant_id from contact where id = $1', [owner])
    ).rows[0]!
    const row = { tenant_id, ...values }
    await client.query(
      `insert into record_identity (${Object.keys(row).join(', ')}) values ($1, $2, $3, $4, $5)`,
      Object.values(row),
    )
  }
  const owner = await insert('contact', { display_name: 'A' })
  await identity(known)
  await identity({ ...known, record_type: 'lead' })
  await refusedBy('record_identity_pkey', identity(known))
})
