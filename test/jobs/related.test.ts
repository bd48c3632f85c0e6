/** Rows that feed records of several types, and relations that wait for their record. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { withTenant } from '../../src/db/tx.js'
import { searchSlice } from '../../src/jobs/find-duplicates.js'
import { cancelRun } from '../../src/runs/control.js'
import { confirmPlan } from '../../src/runs/plan.js'
import { availableActions } from '../../src/runs/read.js'
import { previewRollback, startRollback } from '../../src/runs/rollback.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 7 })
})
after(async () => {
  await engine.close()
  await db.drop()
})

const map = {
  Title: 'title',
  Id: 'externalId',
  'Contact mail': 'contact.email',
  'Contact first': 'contact.firstName',
  'Contact last': 'contact.lastName',
  Listing: 'property.listingId',
  Street: 'property.addressLine1',
  Company: 'companyName',
}
const header = Object.keys(map).join(',')

const contacts = (tenant: string) =>
  engine.rows(
    `select email, first_name as first, last_name as last from contact where tenant_id = $1 and deleted_at is null order by email`,
    [tenant],
  )
const leads = (tenant: string) =>
  engine.rows(
    `select l.external_id as id, c.email as contact, p.listing_id as property from lead l
       left join contact c on c.tenant_id = l.tenant_id and c.id = l.contact_id
       left join property p on p.tenant_id = l.tenant_id and p.id = l.property_id
     where l.tenant_id = $1 and l.deleted_at is null order by l.external_id`,
    [tenant],
  )
const related = (runId: string) =>
  engine.rows(
    'select row_number::int as row, path, outcome from run_related where run_id = $1 order by row_number, path',
    [runId],
  )

async function rollBack(tenant: string, runId: string) {
  const { preview, id } = await engine.context.control.use((lane) =>
    withTenant(lane, tenant, async (tx) => ({
      preview: await previewRollback(tx, runId),
      id: await startRollback(tx, { runId, onConflict: 'KEEP', actor: 'test' }),
    })),
  )
  const rollback = await engine.advance(tenant, id)
  return { preview, rollback, run: await engine.run(tenant, runId) }
}

test('one row makes a lead, its contact and its property; the next rows mean the same contact', async () => {
  const tenant = await engine.tenant()
  const csv = [
    header,
    'House,1,ann@example.com,Ann,Lee,L1,1 Main St,Ltd',
    'Flat,2,ann@example.com,Ann,Lee,L2,2 Main St,Ltd',
    'Barn,3,ann@example.com,Anna,Lee,L1,1 Main St,Ltd',
    'Shed,4,bob@example.com,Bob,Ray,,,Ltd',
    'Boat,5,,Nobody,Known,,,Ltd',
    '',
  ].join('\n')
  const run = await engine.import(tenant, { type: 'lead', csv, map })
  assert.deepEqual([run.status, run.counts.created, run.counts.total], ['COMPLETED', 5, 5])
  assert.deepEqual(await contacts(tenant), [
    { email: 'ann@example.com', first: 'Anna', last: 'Lee' },
    { email: 'bob@example.com', first: 'Bob', last: 'Ray' },
  ])
  assert.deepEqual(await leads(tenant), [
    { id: '1', contact: 'ann@example.com', property: 'L1' },
    { id: '2', contact: 'ann@example.com', property: 'L2' },
    { id: '3', contact: 'ann@example.com', property: 'L1' },
    { id: '4', contact: 'bob@example.com', property: null },
    { id: '5', contact: null, property: null },
  ])
  assert.deepEqual(await related(run.id), [
    { row: 2, path: 'contact', outcome: 'CREATED' },
    { row: 2, path: 'property', outcome: 'CREATED' },
    { row: 3, path: 'property', outcome: 'CREATED' },
    { row: 4, path: 'contact', outcome: 'UPDATED' },
    { row: 5, path: 'contact', outcome: 'CREATED' },
  ])
  const { preview, rollback, run: undone } = await rollBack(tenant, run.id)
  assert.equal(rollback.status, 'COMPLETED', JSON.stringify(rollback))
  assert.equal(undone.status, 'ROLLED_BACK')
  assert.equal(preview.conflicts, 0)
  assert.deepEqual([await contacts(tenant), await leads(tenant)], [[], []])
  const [left] = await engine.rows(
    'select count(*)::int as n from property where tenant_id = $1 and deleted_at is null',
    [tenant],
  )
  assert.deepEqual(left, { n: 0 })

  await engine.import(tenant, { type: 'lead', csv, map })
  const other = await engine.import(tenant, { type: 'lead', csv: csv.replaceAll('Bob,Ray', 'Bobby,Ray'), map })
  assert.deepEqual([other.counts.unchanged, other.counts.updated], [5, 0], 'the leads are as they were')
  assert.deepEqual(availableActions(other, new Set(['ROLLBACK_RUN'] as const)), ['ROLL_BACK'], 'a contact is not')
  const restored = await rollBack(tenant, other.id)
  assert.equal(restored.run.status, 'ROLLED_BACK')
  assert.deepEqual(await contacts(tenant), [
    { email: 'ann@example.com', first: 'Anna', last: 'Lee' },
    { email: 'bob@example.com', first: 'Bob', last: 'Ray' },
  ])
})

test('a row that fails writes nothing of what it says about others', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, {
    type: 'contact',
    csv: 'Mail,Last\ntwin@example.com,One\ntwin@example.com,Two\n',
    map: { Mail: 'email', Last: 'lastName' },
    options: { onDuplicate: 'CREATE' },
  })
  const csv = [
    header,
    // Two contacts have this address.
    'A,1,twin@example.com,T,Win,L1,1 Main St,Ltd',
    // The second lead with this id is refused, and so is what it says about its contact.
    'B,2,new@example.com,New,One,L2,2 Main St,Ltd',
    'C,2,other@example.com,Other,One,L3,3 Main St,Ltd',
    'D,4,d@example.com,Dee,Dee,L2,2 Main St,Ltd',
    '',
  ].join('\n')
  const run = await engine.import(tenant, { type: 'lead', csv, map, options: { onDuplicate: 'FAIL' } })
  assert.deepEqual([run.counts.created, run.counts.failed], [2, 2])
  assert.deepEqual(
    (await contacts(tenant)).map((one) => (one as { email: string }).email),
    ['d@example.com', 'new@example.com', 'twin@example.com', 'twin@example.com'],
  )
  const issues = await engine.rows(
    'select row_number::int as row, code, field from run_issue where run_id = $1 order by 1, seq',
    [run.id],
  )
  assert.deepEqual(issues, [
    { row: 2, code: 'AMBIGUOUS_MATCH', field: 'contact' },
    { row: 4, code: 'DUPLICATE_IN_FILE', field: null },
  ])
  const properties = await engine.rows('select listing_id as id from property where tenant_id = $1 order by 1', [
    tenant,
  ])
  assert.deepEqual(properties, [{ id: 'L2' }])
})

test('onMissingRelation CREATE makes records of their key alone; a plan of it says so and its run does it', async () => {
  const tenant = await engine.tenant()
  const csv = `Subject,Type,Who\n${Array.from({ length: 20 }, (_, i) => `Call ${i},CALL,p${i % 6}@example.com`).join('\n')}\n`
  const request = {
    type: 'activity' as const,
    csv,
    map: { Subject: 'subject', Type: 'type', Who: 'contact.email' },
    options: { onMissingRelation: 'CREATE' as const },
  }
  const runId = await engine.createRun(tenant, { ...request, confirmation: 'ASK' })
  await engine.advance(tenant, runId)
  const planned = await engine.rows(
    'select row_number::int as row, path, outcome from plan_related where run_id = $1 order by row_number, path',
    [runId],
  )
  assert.equal(planned.length, 6)
  assert.deepEqual(await contacts(tenant), [], 'a plan makes nothing')
  const [plan] = await engine.rows<{ hash: string }>('select plan_hash as hash from run where id = $1', [runId])
  await engine.context.control.use((lane) =>
    withTenant(lane, tenant, (tx) => confirmPlan(tx, { runId, planHash: plan?.hash ?? '', rules: '' })),
  )
  const run = await engine.advance(tenant, runId)
  assert.deepEqual([run.status, run.counts.created], ['COMPLETED', 20])
  assert.deepEqual(await related(runId), planned)
  assert.equal((await contacts(tenant)).length, 6)
})

test('a relation that waits is listed, settles when its record comes, and waits again when that is undone', async () => {
  const tenant = await engine.tenant()
  const leadCsv = 'Title,Id,Mail,Company\nA,1,ann@example.com,Ltd\nB,2,bob@example.com,Ltd\nC,3,ann@example.com,Ltd\n'
  const leadMap = { Title: 'title', Id: 'externalId', Mail: 'contact.email', Company: 'companyName' }
  const first = await engine.import(tenant, {
    type: 'lead',
    csv: leadCsv,
    map: leadMap,
    options: { onMissingRelation: 'KEEP_PENDING' },
  })
  assert.deepEqual([first.status, first.counts.created], ['COMPLETED', 3])
  const waiting = () =>
    engine.rows<{ row: number }>(
      'select row_number::int as row from pending_relation where run_id = $1 and settled_at is null order by 1',
      [first.id],
    )
  assert.deepEqual(await waiting(), [{ row: 2 }, { row: 3 }, { row: 4 }])
  const people = await engine.import(tenant, {
    type: 'contact',
    csv: 'Mail,Last\nann@example.com,Lee\nzoe@example.com,Zed\n',
    map: { Mail: 'email', Last: 'lastName' },
  })
  assert.equal(people.counts.created, 2)
  assert.deepEqual(await waiting(), [{ row: 3 }])
  assert.deepEqual(await leads(tenant), [
    { id: '1', contact: 'ann@example.com', property: null },
    { id: '2', contact: null, property: null },
    { id: '3', contact: 'ann@example.com', property: null },
  ])
  const { preview, rollback, run } = await rollBack(tenant, people.id)
  assert.deepEqual([rollback.status, run.status, preview.conflicts], ['COMPLETED', 'ROLLED_BACK', 0])
  assert.deepEqual(
    (await leads(tenant)).map((lead) => (lead as { contact: string | null }).contact),
    [null, null, null],
  )
  assert.deepEqual(await waiting(), [{ row: 2 }, { row: 3 }, { row: 4 }])
  const undone = await rollBack(tenant, first.id)
  assert.equal(undone.run.status, 'ROLLED_BACK', 'a settled relation is no later edit of the record')
  assert.deepEqual(await waiting(), [])
})

test('a relation that a later import takes over, or makes itself, waits again as before when that import is undone', async () => {
  const tenant = await engine.tenant()
  const leadMap = { Title: 'title', Id: 'externalId', Mail: 'contact.email', Company: 'companyName' }
  const lead = (title: string, mail: string) =>
    engine.import(tenant, {
      type: 'lead',
      csv: `Title,Id,Mail,Company\n${title},1,${mail},Ltd\n`,
      map: leadMap,
      options: { onMissingRelation: 'KEEP_PENDING', matchOn: [['externalId']] },
    })
  const waiting = () =>
    engine.rows<{ run_id: string; value: string }>(
      'select run_id, value from pending_relation where tenant_id = $1 and settled_at is null',
      [tenant],
    )
  const first = await lead('A', 'ann@example.com')
  const second = await lead('B', 'bob@example.com')
  const third = await lead('C', 'cat@example.com')
  assert.deepEqual(await waiting(), [{ run_id: third.id, value: 'cat@example.com' }])
  // The one in the middle goes first: nothing of it may come back with the last one.
  await rollBack(tenant, second.id)
  assert.deepEqual(await waiting(), [{ run_id: third.id, value: 'cat@example.com' }])
  await rollBack(tenant, third.id)
  assert.deepEqual(await waiting(), [{ run_id: first.id, value: 'ann@example.com' }])
  await engine.import(tenant, {
    type: 'contact',
    csv: 'Mail,Last\ndan@example.com,Lee\n',
    map: { Mail: 'email', Last: 'lastName' },
  })
  const linked = await lead('D', 'dan@example.com')
  assert.deepEqual(await waiting(), [])
  await rollBack(tenant, linked.id)
  assert.deepEqual(await waiting(), [{ run_id: first.id, value: 'ann@example.com' }])
})

test('what a failed or canceled import has written settles what waited for it', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, {
    type: 'lead',
    csv: 'Title,Id,Mail,Company\nA,1,ann@example.com,Ltd\nB,2,bob@example.com,Ltd\n',
    map: { Title: 'title', Id: 'externalId', Mail: 'contact.email', Company: 'companyName' },
    options: { onMissingRelation: 'KEEP_PENDING' },
  })
  const failed = await engine.import(tenant, {
    type: 'contact',
    csv: 'Mail,Last\nann@example.com,Lee\nnonsense,Zed\n',
    map: { Mail: 'email', Last: 'lastName' },
    options: { maxFailedRows: 0 },
  })
  assert.deepEqual([failed.status, failed.counts.created], ['FAILED', 1])
  const held = {
    type: 'contact',
    csv: 'Mail,Last\nheld@example.com,Held\n',
    map: { Mail: 'email', Last: 'lastName' },
  } as const
  await engine.import(tenant, held)
  const id = await engine.createRun(tenant, {
    ...held,
    csv: `Mail,Last\nbob@example.com,Ray\n${Array.from({ length: 50 }, (_, i) => `p${i}@example.com,P`).join('\n')}\nheld@example.com,New\n`,
  })
  // Canceled while its last chunk waits for somebody who holds a record of it.
  const other = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await other.connect()
  await other.query('begin')
  await other.query("select from contact where tenant_id = $1 and email = 'held@example.com' for update", [tenant])
  const ended = engine.advance(tenant, id)
  try {
    let created = 0
    while (created < 40) {
      created = (await engine.run(tenant, id)).counts.created
    }
    await engine.context.control.use((lane) => withTenant(lane, tenant, (tx) => cancelRun(tx, id)))
  } finally {
    await other.query('commit')
    await other.end()
  }
  const canceled = await ended
  assert.deepEqual([canceled.status, canceled.counts.created > 0], ['CANCELED', true])
  assert.deepEqual(await leads(tenant), [
    { id: '1', contact: 'ann@example.com', property: null },
    { id: '2', contact: 'bob@example.com', property: null },
  ])
})

test('the preview of a rollback and the rollback agree across record types', async () => {
  const tenant = await engine.tenant()
  const own = { Title: 'title', Id: 'externalId', Company: 'companyName' }
  await engine.import(tenant, { type: 'lead', csv: 'Title,Id,Company\nOld,8,Ltd\nOld,9,Ltd\n', map: own })
  const csv = [
    header,
    'A,1,ann@example.com,Ann,Lee,,,Ltd',
    'B,2,bob@example.com,Bob,Ray,,,Ltd',
    'C,3,cat@example.com,Cat,Ode,,,Ltd',
    'New,8,cat@example.com,Cat,Ode,,,Ltd',
    'New,9,,,,,,Ltd',
    '',
  ].join('\n')
  const run = await engine.import(tenant, { type: 'lead', csv, map })
  // A lead that has to stay keeps the contact that came with it.
  await engine.rows("update lead set title = 'mine' where tenant_id = $1 and external_id = '1'", [tenant])
  // So does a lead that the run changed otherwise, and that somebody linked to a contact of the run.
  await engine.rows(
    `update lead set contact_id = (select id from contact where tenant_id = $1 and email = 'bob@example.com')
     where tenant_id = $1 and external_id = '9'`,
    [tenant],
  )
  const { preview, rollback } = await rollBack(tenant, run.id)
  const conflicts = await engine.rows('select from run_conflict where run_id = $1', [rollback.id])
  const [left] = await engine.rows<{ n: number }>(
    `select (select count(*)::int from contact where tenant_id = $1 and created_run_id = $2 and deleted_at is null)
       + (select count(*)::int from lead where tenant_id = $1 and created_run_id = $2 and deleted_at is null) as n`,
    [tenant, run.id],
  )
  assert.deepEqual(
    (await contacts(tenant)).map((one) => (one as { email: string }).email),
    ['ann@example.com', 'bob@example.com'],
  )
  assert.equal(left?.n, 3)
  assert.deepEqual(preview, { willRestore: 2, willDelete: 3, conflicts: 3 })
  assert.equal(conflicts.length, 3)
})

test('a lead that got its contact from an import is no row of that import', async () => {
  const tenant = await engine.tenant()
  const leadMap = {
    Title: 'title',
    Id: 'externalId',
    Mail: 'contact.email',
    Own: 'email',
    First: 'firstName',
    Last: 'lastName',
  }
  const row = 'ann.lee@example.com,Ann,Lee'
  await engine.import(tenant, {
    type: 'lead',
    csv: `Title,Id,Mail,Own,First,Last\nA,1,ann@example.com,${row}\nB,2,,${row}\n`,
    map: leadMap,
    options: { onMissingRelation: 'KEEP_PENDING', matchOn: [['externalId']] },
  })
  await engine.rows('delete from duplicate_search where tenant_id = $1', [tenant])
  const people = await engine.import(tenant, {
    type: 'contact',
    csv: 'Mail,Last\nann@example.com,Lee\n',
    map: { Mail: 'email', Last: 'lastName' },
  })
  assert.equal(people.counts.created, 1)
  // What is already there is searched as well.
  await engine.rows("insert into duplicate_search (tenant_id, kind) values ($1, 'ALL')", [tenant])
  while (await engine.context.control.use((lane) => searchSlice(lane, tenant))) {
    // On to the next slice.
  }
  const pairs = await engine.rows('select run_id, row_number from duplicate_pair where tenant_id = $1', [tenant])
  assert.deepEqual(pairs, [{ run_id: null, row_number: null }])
  assert.deepEqual(await engine.rows('select code from run_issue where run_id = $1', [people.id]), [])
})

test('a row refers to a row further down in the file', async () => {
  const tenant = await engine.tenant()
  const lines = Array.from({ length: 20 }, (_, i) => `p${i},Person ${i},${i === 0 ? '' : `p${(i + 3) % 20}`}`)
  const run = await engine.import(tenant, {
    type: 'contact',
    csv: `Id,Name,Org\n${lines.join('\n')}\n`,
    map: { Id: 'externalId', Name: 'lastName', Org: 'organization.externalId' },
    options: { onMissingRelation: 'KEEP_PENDING' },
  })
  assert.deepEqual([run.status, run.counts.created], ['COMPLETED', 20])
  const rows = await engine.rows<{ id: string; org: string | null }>(
    `select c.external_id as id, o.external_id as org from contact c left join contact o on o.tenant_id = c.tenant_id and o.id = c.organization_id
     where c.tenant_id = $1 order by c.created_row`,
    [tenant],
  )
  assert.deepEqual(
    rows,
    Array.from({ length: 20 }, (_, i) => ({ id: `p${i}`, org: i === 0 ? null : `p${(i + 3) % 20}` })),
  )
  const { rollback } = await rollBack(tenant, run.id)
  assert.deepEqual([rollback.status, rollback.counts.reverted], ['COMPLETED', 20])
})

test('fields of a related record need what names it', async () => {
  const tenant = await engine.tenant()
  const run = await engine.import(tenant, {
    type: 'lead',
    csv: 'Title,First\nA,Ann\n',
    map: { Title: 'title', First: 'contact.firstName' },
  })
  assert.equal(run.status, 'AWAITING_MAPPING')
  assert.match(run.statusReason?.message ?? '', /contact\.firstName.*contact\.externalId or contact\.email/)
})

test('rows that say the same as a row that fails say it for themselves', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, {
    type: 'lead',
    csv: 'Title,Id,Company\nOld,1,Ltd\n',
    map: { Title: 'title', Id: 'externalId', Company: 'companyName' },
  })
  const row = (id: number) => `House,${id},ann@example.com,Ann,Lee,L1,1 Main St,Ltd`
  const run = await engine.import(tenant, {
    type: 'lead',
    csv: [header, row(1), row(2), row(3), ''].join('\n'),
    map,
    options: { onDuplicate: 'FAIL' },
  })
  assert.deepEqual([run.counts.created, run.counts.failed], [2, 1])
  assert.deepEqual(await leads(tenant), [
    { id: '1', contact: null, property: null },
    { id: '2', contact: 'ann@example.com', property: 'L1' },
    { id: '3', contact: 'ann@example.com', property: 'L1' },
  ])
})

test('a row that says the same as an earlier one says it anew where a row between named the record by another key', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, {
    type: 'contact',
    csv: 'Id,Mail,First\nx,ann@example.com,Old\n',
    map: { Id: 'externalId', Mail: 'email', First: 'firstName' },
  })
  const csv = [
    `${header},Contact id`,
    'A,1,ann@example.com,One,,,,Ltd,',
    'B,2,,Two,,,,Ltd,x',
    'C,3,ann@example.com,One,,,,Ltd,',
    '',
  ].join('\n')
  const run = await engine.import(tenant, { type: 'lead', csv, map: { ...map, 'Contact id': 'contact.externalId' } })
  assert.deepEqual([run.status, run.counts.created], ['COMPLETED', 3])
  assert.deepEqual(await contacts(tenant), [{ email: 'ann@example.com', first: 'One', last: null }])
})

test('a thousand rows of one contact cost little, whether all of them fail or take turns in what they say', {
  timeout: 60_000,
}, async () => {
  const wide = await Engine.start(db, { chunkRows: 10_000 })
  try {
    const tenant = await wide.tenant()
    await wide.import(tenant, {
      type: 'contact',
      csv: 'Id,Mail,Last\nx,ann@example.com,Old\n',
      map: { Id: 'externalId', Mail: 'email', Last: 'lastName' },
    })
    const turns = {
      Title: 'title',
      Id: 'externalId',
      Mail: 'contact.email',
      X: 'contact.externalId',
      Last: 'contact.lastName',
    }
    const said = (i: number) => (i % 2 === 0 ? ',x,Even' : 'ann@example.com,,Odd')
    const lines = Array.from({ length: 1000 }, (_, i) => `T,${i},${said(i)}`)
    const csv = `Title,Id,Mail,X,Last,Company\n${lines.map((line) => `${line},Ltd`).join('\n')}\n`
    const request = { type: 'lead' as const, csv, map: { ...turns, Company: 'companyName' } }
    const run = await wide.import(tenant, request)
    assert.equal(run.counts.created, 1000)
    const stands = () => wide.rows('select last_name, version from contact where tenant_id = $1', [tenant])
    assert.deepEqual(await stands(), [{ last_name: 'Odd', version: 5 }])
    const again = await wide.import(tenant, {
      ...request,
      csv: csv.replaceAll(/,(?:Even|Odd),/g, ',New,'),
      options: { onDuplicate: 'FAIL' },
    })
    assert.equal(again.counts.failed, 1000)
    assert.deepEqual(await stands(), [{ last_name: 'Odd', version: 5 }])
  } finally {
    await wide.close()
  }
})

for (const onDuplicate of ['FAIL', 'SKIP'] as const) {
  test(`a plan and its run agree about rows that bring others and are refused: ${onDuplicate}`, async () => {
    const tenant = await engine.tenant()
    const csv = (rows: readonly string[]) => [header, ...rows, ''].join('\n')
    await engine.import(tenant, { type: 'lead', csv: csv(['Old,9,old@example.com,Old,One,,,Ltd']), map })
    const runId = await engine.createRun(tenant, {
      type: 'lead',
      csv: csv([
        'A,1,ann@example.com,Ann,Lee,L1,1 Main St,Ltd',
        // Of a row before, and of a record that is there.
        'B,1,bob@example.com,Bob,Ray,L2,2 Main St,Ltd',
        'C,9,new@example.com,New,One,,,Ltd',
        'D,2,dee@example.com,Dee,Dee,,,Ltd',
      ]),
      map,
      options: { onDuplicate },
      confirmation: 'ASK',
    })
    await engine.advance(tenant, runId)
    const outcomes = (rows: string, ranges: string) =>
      engine.rows(
        `select row_number::int as row, outcome from ${rows} where run_id = $1
         union all select generate_series(lower(span), upper(span) - 1)::int, outcome from (select outcome, unnest(rows) as span from ${ranges} where run_id = $1) g
         order by 1`,
        [runId],
      )
    const planned = await outcomes('plan_row', 'plan_range')
    const refused = onDuplicate === 'FAIL' ? 'FAILED' : 'SKIPPED'
    assert.deepEqual(planned, [
      { row: 2, outcome: 'CREATED' },
      { row: 3, outcome: refused },
      { row: 4, outcome: refused },
      { row: 5, outcome: 'CREATED' },
    ])
    const [plan] = await engine.rows<{ hash: string; rules: string }>(
      'select plan_hash as hash, plan_rules as rules from run where id = $1',
      [runId],
    )
    await engine.context.control.use((lane) =>
      withTenant(lane, tenant, (tx) =>
        confirmPlan(tx, { runId, planHash: plan?.hash ?? '', rules: plan?.rules ?? '' }),
      ),
    )
    await engine.advance(tenant, runId)
    assert.deepEqual(await outcomes('run_row', 'run_range'), planned)
    assert.deepEqual(
      await engine.rows("select row_number from run_issue where run_id = $1 and code = 'DRIFTED_SINCE_PLAN'", [runId]),
      [],
    )
    const emails = (await contacts(tenant)).map((one) => (one as { email: string }).email)
    assert.deepEqual(emails, ['ann@example.com', 'dee@example.com', 'old@example.com'])
  })
}
