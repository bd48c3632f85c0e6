/** Files that name records by their ids here: what they mean, what is refused, and that plans, runs and neighbours agree. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { decodeId } from '../../src/ids.js'
import { type Actor, dataOf, type Json, World } from '../server/world.js'

let world: World

before(async () => {
  world = await World.start()
})
after(() => world.close())

const newcomer = async () => world.actor(await world.tenant())

const runQuery = `query ($id: ID!) { importRun(id: $id) { id status statusReason { code message }
  counts { total created updated unchanged skipped failed deleted }
  mapping { columns { column field confidence } }
  rows(first: 50) { nodes { rowNumber outcome changes { field before after } } }
  issues(first: 50) { nodes { rowNumber column field code severity value message } }
  plan { hash rows(first: 50) { nodes { rowNumber outcome issues { code severity value } } } } } }`

async function imported(
  actor: Actor,
  csv: string,
  input: object = {},
  options: object = {},
  type = 'CONTACT',
): Promise<Json> {
  const id = await world.import(actor, type, csv, options, input)
  return (await world.ask(actor, runQuery, { id })).importRun
}

/** Outcomes by row with the codes of their issues, of an import that is planned first; plan and run must say the same. */
async function plannedAndDone(
  actor: Actor,
  csv: string,
  options: object = {},
  type = 'CONTACT',
  input: object = {},
): Promise<{ rows: string[]; run: Json }> {
  const planned = await imported(actor, csv, { confirmation: 'ASK', ...input }, options, type)
  assert.equal(planned.status, 'AWAITING_CONFIRMATION', JSON.stringify(planned))
  const { importConfirm } = await world.ask(
    actor,
    `mutation ($id: ID!, $hash: String!, $key: String!) { importConfirm(input: { runId: $id, planHash: $hash, idempotencyKey: $key }) { userErrors { code message } } }`,
    { id: planned.id, hash: planned.plan.hash, key: randomBytes(8).toString('hex') },
  )
  assert.deepEqual(importConfirm.userErrors, [])
  await world.rested(actor, planned.id)
  const { importRun: run } = await world.ask(actor, runQuery, { id: planned.id })
  const rows = run.rows.nodes.map((row: Json) => told(row, run.issues.nodes))
  assert.deepEqual(
    planned.plan.rows.nodes.map((row: Json) =>
      told(
        row,
        row.issues.map((issue: Json) => ({ ...issue, rowNumber: row.rowNumber })),
      ),
    ),
    rows,
  )
  return { rows, run }
}

const told = ({ rowNumber, outcome }: Json, issues: readonly Json[]) =>
  [`${rowNumber} ${outcome}`, ...issues.filter((issue) => issue.rowNumber === rowNumber).map(({ code }) => code)].join(
    ' ',
  )

const people = async (actor: Actor): Promise<Json[]> =>
  (
    await world.ask(
      actor,
      'query { contacts(first: 50, orderBy: [{ field: "email", direction: ASC }]) { nodes { id email displayName jobTitle externalId organization { id } } } }',
    )
  ).contacts.nodes

const removal = 'mutation ($id: ID!) { recordDelete(input: { recordType: CONTACT, id: $id }) { userErrors { code } } }'

const seed = `Email,Full name,External id
ann@example.com,Ann,X1
bob@example.com,Bob,
cat@example.com,Cat,
`

test('a file that names records by id changes them, and needs nothing else of them', async () => {
  const ada = await newcomer()
  await imported(ada, seed)
  const [ann, bob] = await people(ada)
  const { rows, run } = await plannedAndDone(ada, `id,jobTitle\n${ann.id},Agent\n${bob.id},Broker\n`)
  assert.deepEqual(rows, ['2 UPDATED', '3 UPDATED'])
  assert.deepEqual(run.mapping.columns, [
    { column: 'id', field: 'id', confidence: 1 },
    { column: 'jobTitle', field: 'jobTitle', confidence: 1 },
  ])
  assert.deepEqual(
    (await people(ada)).map(({ email, jobTitle }) => `${email} ${jobTitle}`),
    ['ann@example.com Agent', 'bob@example.com Broker', 'cat@example.com null'],
  )
  const again = await imported(ada, `id,jobTitle\n${ann.id},Agent\n${decodeId('contact', bob.id)},Broker\n`)
  assert.deepEqual(
    { ...again.counts },
    { total: 2, created: 0, updated: 0, unchanged: 2, skipped: 0, failed: 0, deleted: 0 },
  )
})

test('two rows with one id are taken in their order, as plan and run', async () => {
  const ada = await newcomer()
  await imported(ada, seed)
  const [ann, bob] = await people(ada)
  const { rows } = await plannedAndDone(
    ada,
    `id,email,jobTitle\n${ann.id},new@example.com,One\n,new@example.com,Two\n${ann.id},,Three\n${bob.id},,\n`,
  )
  assert.deepEqual(rows, ['2 UPDATED', '3 UPDATED', '4 UPDATED', '5 UNCHANGED'])
  assert.equal((await people(ada)).find(({ id }) => id === ann.id)?.jobTitle, 'Three')
})

test('an id that is unknown, deleted or a neighbour’s creates nothing and looks the same', async () => {
  const [ada, eve] = [await newcomer(), await newcomer()]
  await imported(ada, seed)
  await imported(eve, seed)
  const [ann, bob] = await people(ada)
  const [hers] = await people(eve)
  await world.ask(ada, removal, { id: bob.id })
  const unknown = 'con_0000000000000000000000000z'
  const { rows, run } = await plannedAndDone(
    ada,
    `id,displayName,jobTitle\n${ann.id},Ann,Agent\n${bob.id},Bob,x\n${hers.id},Hers,x\n${unknown},Nobody,x\nnonsense,Nobody,x\n,Dan,new\n`,
    {},
    'CONTACT',
    { mapping: ['id', 'displayName', 'jobTitle'].map((column) => ({ column, field: column })) },
  )
  assert.deepEqual(rows, [
    '2 UPDATED',
    '3 FAILED RECORD_NOT_FOUND',
    '4 FAILED RECORD_NOT_FOUND',
    '5 FAILED RECORD_NOT_FOUND',
    '6 FAILED INVALID_ID',
    '7 CREATED',
  ])
  const messages = run.issues.nodes.filter(({ code }: Json) => code === 'RECORD_NOT_FOUND')
  assert.equal(new Set(messages.map(({ message }: Json) => message)).size, 1)
  assert.deepEqual(
    messages.map(({ value, field }: Json) => `${field} ${value}`),
    [`id ${bob.id}`, `id ${hers.id}`, `id ${unknown}`],
  )
})

test('a row whose id is unknown goes to the record that its other fields match, and says so', async () => {
  const ada = await newcomer()
  await imported(ada, seed)
  const [ann] = await people(ada)
  const csv = `id,email,jobTitle\n${ann.id},,Agent\ncon_0000000000000000000000000z,bob@example.com,Broker\n`
  const { rows, run } = await plannedAndDone(ada, csv)
  assert.deepEqual(rows, ['2 UPDATED', '3 UPDATED RECORD_NOT_FOUND'])
  assert.equal(run.issues.nodes[0].severity, 'WARNING')
})

test('a deletion by id never takes a record that another field means', async () => {
  const ada = await newcomer()
  await imported(ada, seed)
  const [ann] = await people(ada)
  const csv = `id,email\n${ann.id},\ncon_0000000000000000000000000z,bob@example.com\n,cat@example.com\n`
  const { rows } = await plannedAndDone(ada, csv, { operation: 'DELETE' })
  assert.deepEqual(rows, ['2 DELETED', '3 SKIPPED RECORD_NOT_FOUND', '4 DELETED'])
})

test('a row that names its record may bear the external id of another without taking it', async () => {
  const ada = await newcomer()
  await imported(ada, `${seed}dan@example.com,Dan,X2\n`)
  const [ann, bob, , dan] = await people(ada)
  const { rows } = await plannedAndDone(ada, `id,externalId,jobTitle\n${ann.id},X2,Agent\n${bob.id},X2,Broker\n`)
  assert.deepEqual(rows, ['2 UPDATED', '3 FAILED CONSTRAINT_VIOLATION'])
  const now = await imported(ada, 'externalId,jobTitle\nX2,Still Dan\n', {}, { operation: 'UPDATE_ONLY' })
  assert.equal(now.counts.updated, 1)
  assert.equal((await people(ada)).find(({ id }) => id === dan.id)?.jobTitle, 'Still Dan')
})

test('ids of other systems stay external ids', async () => {
  const ada = await newcomer()
  await imported(ada, seed)
  for (const ids of [
    ['0031r00002AbCdE', '0031r00002AbCdF'],
    ['1', '2'],
    ['0192f0aa-1111-7abc-8def-000000000001', '0192f0aa-1111-7abc-8def-000000000002'],
  ]) {
    const run = await imported(ada, `Id,Email\n${ids[0]},x@example.com\n${ids[1]},y@example.com\n`)
    assert.deepEqual(
      run.mapping.columns.map(({ field }: Json) => field),
      ['externalId', 'email'],
      String(ids),
    )
  }
})

test('relations by id are made, kept where they are, and refused where the record is a neighbour’s', async () => {
  const [ada, eve] = [await newcomer(), await newcomer()]
  await imported(ada, seed)
  await imported(eve, seed)
  const [ann, bob, cat] = await people(ada)
  const [hers] = await people(eve)
  const mapping = ['title', 'contact.id', 'contact.email'].map((column) => ({ column, field: column }))
  const { rows } = await plannedAndDone(
    ada,
    `title,contact.id,contact.email\nHouse,${ann.id},\nFlat,${hers.id},\nBarn,what,\nShed,${hers.id},bob@example.com\n`,
    {},
    'LEAD',
    { mapping },
  )
  assert.deepEqual(rows, ['2 CREATED', '3 FAILED RELATION_NOT_FOUND', '4 FAILED INVALID_ID', '5 CREATED'])
  const { leads } = await world.ask(ada, 'query { leads(first: 9) { nodes { id title contact { id } } } }')
  const house = leads.nodes.find(({ title }: Json) => title === 'House')
  assert.equal(house.contact.id, ann.id)
  assert.equal(leads.nodes.find(({ title }: Json) => title === 'Shed').contact.id, bob.id)
  // The contact goes; that the lead still refers to it is nobody's fault.
  await world.ask(ada, removal, { id: ann.id })
  const kept = await plannedAndDone(ada, `id,title,contact.id\n${house.id},House,${ann.id}\n`, {}, 'LEAD')
  assert.deepEqual(kept.rows, ['2 UNCHANGED'])
  const organized = await plannedAndDone(
    ada,
    `id,organization.id,jobTitle\n${bob.id},${cat.id},\n${cat.id},${cat.id},Self\n`,
  )
  assert.deepEqual(organized.rows, ['2 UPDATED', '3 UPDATED'])
  assert.equal((await people(ada)).find(({ id }) => id === bob.id)?.organization.id, cat.id)
})

test('a row that names a related record by id changes it, and makes none for an id that nobody has', async () => {
  const ada = await newcomer()
  await imported(ada, seed)
  const [ann, bob] = await people(ada)
  const mapping = ['title', 'contact.id', 'contact.jobTitle'].map((column) => ({ column, field: column }))
  const { rows } = await plannedAndDone(
    ada,
    `title,contact.id,contact.jobTitle\nHouse,${ann.id},Agent\nFlat,con_0000000000000000000000000z,x\nBarn,${bob.id},Broker\nShed,${ann.id},Agent\n`,
    {},
    'LEAD',
    { mapping },
  )
  assert.deepEqual(rows, ['2 CREATED', '3 FAILED RECORD_NOT_FOUND', '4 CREATED', '5 CREATED'])
  const found = await people(ada)
  assert.equal(found.length, 3)
  assert.deepEqual(
    found.map(({ jobTitle }) => jobTitle),
    ['Agent', 'Broker', null],
  )
})

test('rows that failed for their ids are tried again with others', async () => {
  const ada = await newcomer()
  await imported(ada, seed)
  const [ann, bob] = await people(ada)
  const failed = await imported(ada, `id,jobTitle\n${ann.id},Agent\ncon_0000000000000000000000000z,Broker\nwhat,x\n`, {
    mapping: ['id', 'jobTitle'].map((column) => ({ column, field: column })),
  })
  assert.deepEqual({ updated: failed.counts.updated, failed: failed.counts.failed }, { updated: 1, failed: 2 })
  const { importRetryFailed } = dataOf(
    await world.upload(
      ada,
      'mutation ($input: ImportRetryFailedInput!) { importRetryFailed(input: $input) { importRun { id } userErrors { code message } } }',
      { runId: failed.id, idempotencyKey: randomBytes(8).toString('hex') },
      `id,jobTitle,_portage_row\n${bob.id},Broker,3\n${bob.id},x,4\n`,
    ),
  )
  assert.deepEqual(importRetryFailed.userErrors, [])
  await world.rested(ada, importRetryFailed.importRun.id)
  const { importRun: retried } = await world.ask(ada, runQuery, { id: importRetryFailed.importRun.id })
  assert.equal(retried.counts.updated, 2, JSON.stringify(retried))
  assert.equal((await people(ada)).find(({ id }) => id === bob.id)?.jobTitle, 'x')
})

test('an export of another tenant is a file of anybody: its ids mean nothing here', async () => {
  const [ada, eve] = [await newcomer(), await newcomer()]
  const known = { Email: 'email', 'Full name': 'displayName', 'External id': 'externalId' }
  await imported(ada, seed, { mapping: Object.entries(known).map(([column, field]) => ({ column, field })) })
  const header =
    'id,sourceSystem,externalId,displayName,email,organization.id,organization.externalId,organization.email'
  const [ann, bob] = (await people(ada)).map(({ id }) => decodeId('contact', id))
  const csv = `${header}\n${ann},file,X1,Ann,ann@example.com,,,\n${bob},,,Bob,bob@example.com,${ann},X1,ann@example.com\n`
  const home = await imported(ada, csv)
  assert.deepEqual(
    { updated: home.counts.updated, total: home.counts.total },
    { updated: 1, total: 2 },
    JSON.stringify(home),
  )
  const there = await imported(eve, csv)
  const byColumn = Object.fromEntries(there.mapping.columns.map(({ column, field }: Json) => [column, field]))
  assert.notEqual(byColumn.id, 'id')
  assert.notEqual(byColumn['organization.id'], 'organization.id')
  assert.deepEqual(
    { created: there.counts.created, failed: there.counts.failed },
    { created: 2, failed: 0 },
    JSON.stringify(there),
  )
})
