import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { withTenant } from '../../src/db/tx.js'
import { listConflicts } from '../../src/runs/read.js'
import { previewRollback, startRollback } from '../../src/runs/rollback.js'
import type { OnRollbackConflict, RollbackRunRow } from '../../src/runs/types.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 50 })
})
after(async () => {
  await engine.close()
  await db.drop()
})

const map = { Id: 'externalId', Mail: 'email', Last: 'lastName', City: 'city' }
const csv = (rows: readonly string[]) => `Id,Mail,Last,City\n${rows.join('\n')}\n`
const people = (count: number, change = '') =>
  Array.from({ length: count }, (_, i) => `p${i},p${i}@example.com,Last${i}${change},Town${i % 7}`)

async function rollBack(
  tenant: string,
  runId: string,
  onConflict: OnRollbackConflict = 'KEEP',
): Promise<RollbackRunRow> {
  const id = await engine.context.control.use((lane) =>
    withTenant(lane, tenant, (tx) => startRollback(tx, { runId, onConflict, actor: 'test' })),
  )
  const run = await engine.advance(tenant, id)
  assert.equal(run.kind, 'ROLLBACK')
  return run as RollbackRunRow
}

/** Every business column of every live record, by external id. */
const snapshot = (tenant: string) =>
  engine.rows(
    `select to_jsonb(c) - array['id', 'version', 'pristine_version', 'created_at', 'updated_at', 'created_run_id', 'created_row'] as record
     from contact c where tenant_id = $1 and deleted_at is null order by external_id, email, last_name`,
    [tenant],
  )

test('an import that created and changed is undone to the last field [DL-2]', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, { type: 'contact', csv: csv(people(120)), map })
  const untouched = await snapshot(tenant)
  // A quarter new, the rest changed, some of them twice in the file.
  const second = await engine.import(tenant, {
    type: 'contact',
    csv: csv([...people(160, 'x'), ...people(30, 'y')]),
    map,
  })
  assert.equal(second.counts.created, 40)
  assert.equal(second.counts.updated, 150)
  const preview = await engine.context.control.use((lane) =>
    withTenant(lane, tenant, (tx) => previewRollback(tx, second.id)),
  )
  assert.deepEqual(preview, { willRestore: 120, willDelete: 40, conflicts: 0 })

  const rollback = await rollBack(tenant, second.id)
  assert.equal(rollback.status, 'COMPLETED')
  assert.equal(rollback.counts.reverted, 190)
  assert.equal(rollback.counts.kept, 0)
  assert.deepEqual(await snapshot(tenant), untouched)
  const parent = await engine.run(tenant, second.id)
  assert.equal(parent.status, 'ROLLED_BACK')
  assert.equal(parent.counts.reverted, 190)
  assert.equal(parent.counts.created, 40, 'what the import did still stands in its counters')
})

test('later edits are kept, field by field, and listed with the three values [DL-3]', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, { type: 'contact', csv: csv(people(30)), map })
  const second = await engine.import(tenant, {
    type: 'contact',
    csv: csv(people(30, 'x')),
    map: { Id: 'externalId', Last: 'lastName', City: 'city' },
  })
  // A person edits one imported field of three records, and another field of a fourth.
  await engine.rows(
    "update contact set last_name = 'Mine' where tenant_id = $1 and external_id in ('p1', 'p2', 'p3')",
    [tenant],
  )
  await engine.rows("update contact set department = 'Sales' where tenant_id = $1 and external_id = 'p4'", [tenant])
  const rollback = await rollBack(tenant, second.id)
  assert.equal(rollback.status, 'COMPLETED_WITH_ERRORS')
  assert.equal(rollback.counts.kept, 3)
  assert.equal(rollback.counts.reverted, 27)
  const conflicts = await engine.context.control.use((lane) =>
    withTenant(lane, tenant, (tx) => listConflicts(tx, rollback.id, { first: 10, after: null })),
  )
  assert.equal(conflicts.totalCount, 3)
  const values = conflicts.items
    .map(({ node }) => [node.field, node.before, node.imported, node.current].join())
    .toSorted()
  assert.deepEqual(
    values,
    [1, 2, 3].map((i) => `lastName,Last${i},Last${i}x,Mine`),
  )
  const stored = await engine.rows<{ external_id: string; last_name: string; department: string | null }>(
    "select external_id, last_name, department from contact where tenant_id = $1 and external_id in ('p1', 'p4', 'p5') order by 1",
    [tenant],
  )
  assert.deepEqual(
    stored.map((row) => [row.external_id, row.last_name, row.department]),
    [
      ['p1', 'Mine', null],
      ['p4', 'Last4', 'Sales'],
      ['p5', 'Last5', null],
    ],
  )
  assert.equal((await engine.run(tenant, second.id)).status, 'ROLLED_BACK_WITH_CONFLICTS')

  // Once more, this time over the edits.
  const forced = await rollBack(tenant, second.id, 'FORCE')
  assert.equal(forced.status, 'COMPLETED')
  assert.deepEqual([forced.counts.reverted, forced.counts.unchanged], [3, 27])
  assert.equal((await engine.run(tenant, second.id)).status, 'ROLLED_BACK')
})

test('ABORT undoes nothing while anything was changed since', async () => {
  const tenant = await engine.tenant()
  const run = await engine.import(tenant, { type: 'contact', csv: csv(people(5)), map })
  await engine.rows("update contact set city = 'Elsewhere' where tenant_id = $1 and external_id = 'p0'", [tenant])
  const before = await snapshot(tenant)
  const rollback = await rollBack(tenant, run.id, 'ABORT')
  assert.equal(rollback.status, 'FAILED')
  assert.equal(rollback.statusReason?.code, 'CONFLICTS')
  assert.deepEqual([rollback.counts.total, rollback.counts.unprocessed], [5, 5])
  assert.deepEqual(await snapshot(tenant), before)
  assert.equal((await engine.run(tenant, run.id)).status, 'COMPLETED', 'the import is what it was before')
})

test('ABORT and the preview see that a custom field was changed since', async () => {
  const tenant = await engine.tenant()
  await engine.rows("insert into record_schema (tenant_id, record_type, version) values ($1, 'contact', 1)", [tenant])
  await engine.rows(
    `insert into custom_field (tenant_id, id, record_type, key, position, label, kind, from_version, created_by)
     values ($1, gen_random_uuid(), 'contact', 'shoe', 0, 'Shoe', 'TEXT', 1, 'test')`,
    [tenant],
  )
  const withShoe = { Id: 'externalId', Last: 'lastName', Shoe: 'custom.shoe' }
  const file = (shoe: string) => ({ type: 'contact' as const, csv: `Id,Last,Shoe\n1,A,${shoe}\n2,B,\n`, map: withShoe })
  await engine.import(tenant, file('40'))
  const run = await engine.import(tenant, file('41'))
  const previewed = () =>
    engine.context.control.use((lane) => withTenant(lane, tenant, (tx) => previewRollback(tx, run.id)))
  assert.deepEqual(await previewed(), { willRestore: 1, willDelete: 0, conflicts: 0 })
  await engine.rows(`update contact set custom_fields = '{"shoe": "42"}' where tenant_id = $1 and external_id = '1'`, [
    tenant,
  ])
  assert.deepEqual(await previewed(), { willRestore: 0, willDelete: 0, conflicts: 1 })
  const aborted = await rollBack(tenant, run.id, 'ABORT')
  assert.deepEqual([aborted.status, aborted.statusReason?.code], ['FAILED', 'CONFLICTS'])
})

test('a created record with a later write or a child is kept and listed', async () => {
  const tenant = await engine.tenant()
  const contacts = await engine.import(tenant, { type: 'contact', csv: csv(people(4)), map })
  await engine.import(tenant, {
    type: 'activity',
    csv: 'Subject,Type,Who\nCall,CALL,p1@example.com\n',
    map: { Subject: 'subject', Type: 'type', Who: 'contact.email' },
  })
  await engine.rows("update contact set city = 'Elsewhere' where tenant_id = $1 and external_id = 'p2'", [tenant])
  const rollback = await rollBack(tenant, contacts.id)
  assert.deepEqual([rollback.counts.reverted, rollback.counts.kept], [2, 2])
  const left = await engine.rows<{ external_id: string }>(
    'select external_id from contact where tenant_id = $1 and deleted_at is null order by 1',
    [tenant],
  )
  assert.deepEqual(
    left.map((row) => row.external_id),
    ['p1', 'p2'],
  )
})

test('the preview, ABORT and the undoing agree on what has to stay', async () => {
  const previewed = (tenant: string, runId: string) =>
    engine.context.control.use((lane) => withTenant(lane, tenant, (tx) => previewRollback(tx, runId)))
  // A person who was changed keeps the company, too.
  const first = await engine.tenant()
  const family = await engine.import(first, {
    type: 'contact',
    csv: 'Id,Name,Kind,Company\nc1,Acme,ORGANIZATION,\nc2,Ann Ode,PERSON,c1\nc3,Ben Orr,PERSON,\n',
    map: { Id: 'externalId', Name: 'displayName', Kind: 'kind', Company: 'organization.externalId' },
  })
  await engine.rows("update contact set city = 'Elsewhere' where tenant_id = $1 and external_id = 'c2'", [first])
  assert.deepEqual(await previewed(first, family.id), { willRestore: 0, willDelete: 1, conflicts: 2 })
  const kept = await rollBack(first, family.id)
  assert.deepEqual([kept.counts.reverted, kept.counts.kept], [1, 2])
  // So does an identity that another import has given it since.
  const second = await engine.tenant()
  const people = await engine.import(second, { type: 'contact', csv: csv(['p0,p0@example.com,Last0,Rome']), map })
  await engine.import(second, {
    type: 'contact',
    csv: csv(['x7,p0@example.com,Last0,Rome']),
    map,
    options: { sourceSystem: 'elsewhere' },
  })
  assert.deepEqual(await previewed(second, people.id), { willRestore: 0, willDelete: 0, conflicts: 1 })
  const aborted = await rollBack(second, people.id, 'ABORT')
  assert.deepEqual([aborted.status, aborted.statusReason?.code], ['FAILED', 'CONFLICTS'])
  assert.equal((await snapshot(second)).length, 1)
})

test('a company and its person from one file go together', async () => {
  const tenant = await engine.tenant()
  const run = await engine.import(tenant, {
    type: 'contact',
    csv: 'Id,Name,Kind,Company\nc1,Acme,ORGANIZATION,\nc2,Ann Ode,PERSON,c1\n',
    map: { Id: 'externalId', Name: 'displayName', Kind: 'kind', Company: 'organization.externalId' },
  })
  assert.equal(run.counts.created, 2, JSON.stringify(run.statusReason))
  const rollback = await rollBack(tenant, run.id)
  assert.deepEqual([rollback.counts.reverted, rollback.counts.kept], [2, 0])
})

test('a company goes with a person whose row stands far above it', async () => {
  const tenant = await engine.tenant()
  // More rows than are undone at once stand between the person and the company that a last row gives them.
  const between = Array.from({ length: 5100 }, (_, i) => `f${i},Filler ${i},PERSON,`)
  const rows = [
    'ann,Ann Ode,PERSON,',
    'ben,Ben Orr,PERSON,',
    ...between,
    'acme,Acme,ORGANIZATION,',
    'ann,Ann Ode,PERSON,acme',
  ]
  const run = await engine.import(tenant, {
    type: 'contact',
    csv: `Id,Name,Kind,Company\n${rows.join('\n')}\n`,
    map: { Id: 'externalId', Name: 'displayName', Kind: 'kind', Company: 'organization.externalId' },
  })
  assert.deepEqual([run.counts.created, run.counts.updated], [5103, 1], JSON.stringify(run.statusReason))
  const preview = await engine.context.control.use((lane) =>
    withTenant(lane, tenant, (tx) => previewRollback(tx, run.id)),
  )
  const rollback = await rollBack(tenant, run.id)
  assert.deepEqual(
    [rollback.status, rollback.counts.reverted, rollback.counts.kept, rollback.counts.unchanged],
    ['COMPLETED', 5104, 0, 0],
  )
  assert.equal(preview.willDelete, 5103)
  assert.deepEqual(await snapshot(tenant), [])
})

test('undoing the later of two imports is no edit in the eyes of the earlier one', async () => {
  const tenant = await engine.tenant()
  const first = await engine.import(tenant, { type: 'contact', csv: csv(people(10)), map })
  const second = await engine.import(tenant, { type: 'contact', csv: csv(people(10, 'x')), map })
  await rollBack(tenant, second.id)
  const rollback = await rollBack(tenant, first.id)
  assert.deepEqual([rollback.counts.reverted, rollback.counts.kept], [10, 0])
  assert.deepEqual(await snapshot(tenant), [])
})

test('deleted records come back with their ids', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, { type: 'contact', csv: csv(people(6)), map })
  const ids = await engine.rows('select id from contact where tenant_id = $1 order by id', [tenant])
  const run = await engine.import(tenant, {
    type: 'contact',
    csv: csv(people(4)),
    map,
    options: { operation: 'DELETE' },
  })
  assert.equal(run.counts.deleted, 4)
  const rollback = await rollBack(tenant, run.id)
  assert.deepEqual([rollback.counts.reverted, rollback.counts.kept], [4, 0])
  assert.deepEqual(
    await engine.rows('select id from contact where tenant_id = $1 and deleted_at is null order by id', [tenant]),
    ids,
  )
})

test('a restore that another record stands against is listed with what the field holds', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, { type: 'contact', csv: csv(['old,a@example.com,A,Town']), map })
  const run = await engine.import(tenant, {
    type: 'contact',
    csv: 'Id,Mail,Last\nold,a@example.com,B\n',
    map: { Id: 'externalId', Last: 'lastName' },
  })
  // The run is made to have changed the id, too, as the deletion and restoring of records can bring about.
  await engine.rows(
    `update run_change set before = before || '{"external_id": "taken"}', after = after || '{"external_id": "old"}' where run_id = $1`,
    [run.id],
  )
  await engine.import(tenant, { type: 'contact', csv: csv(['taken,b@example.com,C,Town']), map })
  const rollback = await rollBack(tenant, run.id)
  const conflicts = await engine.rows(
    'select field, before, imported, current, message from run_conflict where run_id = $1 order by field',
    [rollback.id],
  )
  const message =
    'The value before the import is not possible any more: a rule or another record stands against it. The field was kept.'
  assert.deepEqual(conflicts, [
    { field: 'external_id', before: 'taken', imported: 'old', current: 'old', message },
    { field: 'last_name', before: 'A', imported: 'B', current: 'B', message },
  ])
})
