import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Actor, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

const mapping = [
  { column: 'Id', field: 'externalId' },
  { column: 'First', field: 'firstName' },
  { column: 'Last', field: 'lastName' },
  { column: 'Mail', field: 'email' },
  { column: 'Born', field: 'birthDate' },
  { column: 'Tags', field: 'tags' },
]

const before1 =
  'Id,First,Last,Mail,Born,Tags\n1,Grace,Hopper,grace@example.com,1906-12-09,navy\n2,Alan,Turing,alan@example.com,1912-06-23,\n'
const second = `Id,First,Last,Mail,Born,Tags
1,Grace,Murray Hopper,,12/09/1906,
2,Alan,Turing,,06/23/1912,
3,Edsger,Dijkstra,edsger@example.com,05/11/1930,"a, b"
4,Nobody,Right,not-an-address,01/02/1903,
3,Edsger Wybe,,,,
`

const planQuery = `query ($id: ID!, $first: Int!, $after: String, $outcome: [RowOutcome!]) { importRun(id: $id) {
  status statusReason { code message } availableActions
  counts { total read created updated unchanged failed }
  issueGroups { code column count } issues(first: 5) { totalCount nodes { rowNumber code } }
  plan { hash createdAt counts { total read created updated unchanged skipped failed unprocessed }
    columnFormats { column field format ambiguous provenByRow }
    rows(first: $first, after: $after, outcome: $outcome) { totalCount pageInfo { hasNextPage endCursor }
      nodes { rowNumber outcome recordId sourceId cells { column value } changes { field before after } issues { code field value } } } }
} }`

const confirmMutation =
  'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { importRun { id status } userErrors { code field message } } }'
const planMutation =
  'mutation ($input: ImportPlanInput!) { importPlan(input: $input) { importRun { id status } userErrors { code field message } } }'
const updateMutation =
  'mutation ($input: ImportMappingUpdateInput!) { importMappingUpdate(input: $input) { importRun { id status plan { hash } } userErrors { code message } } }'

const key = () => randomBytes(8).toString('hex')

async function confirm(actor: Actor, runId: string, planHash: string | null, idempotencyKey = key()) {
  return (await world.ask(actor, confirmMutation, { input: { runId, planHash, idempotencyKey } })).importConfirm
}

test('a plan tells row by row what will happen, and confirming it makes exactly that happen', async () => {
  const actor = await world.actor(await world.tenant())
  await world.import(actor, 'CONTACT', before1, {}, { mapping })
  const id = await world.import(actor, 'CONTACT', second, {}, { mapping, confirmation: 'ASK' })
  const { importRun: waiting } = await world.ask(actor, planQuery, { id, first: 10 })
  assert.equal(waiting.status, 'AWAITING_CONFIRMATION')
  assert.equal(waiting.statusReason.code, 'CONFIRMATION_NEEDED')
  assert.deepEqual(waiting.availableActions, ['MAP', 'PLAN', 'CONFIRM', 'CANCEL'])
  assert.deepEqual(
    [waiting.counts.created, waiting.counts.updated, waiting.counts.failed],
    [0, 0, 0],
    'nothing is done yet',
  )
  assert.deepEqual(waiting.issueGroups, [{ code: 'INVALID_EMAIL', column: 'Mail', count: 1 }])
  assert.deepEqual(waiting.issues, { totalCount: 1, nodes: [{ rowNumber: 5, code: 'INVALID_EMAIL' }] })
  const { plan } = waiting
  assert.deepEqual(plan.counts, {
    total: 5,
    read: 5,
    created: 1,
    updated: 2,
    unchanged: 1,
    skipped: 0,
    failed: 1,
    unprocessed: 0,
  })
  assert.deepEqual(plan.columnFormats, [
    { column: 'Born', field: 'birthDate', format: 'MM/dd/yyyy', ambiguous: false, provenByRow: 3 },
  ])
  const rows = plan.rows.nodes
  assert.deepEqual(
    rows.map((row: { rowNumber: number; outcome: string }) => `${row.rowNumber} ${row.outcome}`),
    ['2 UPDATED', '3 UNCHANGED', '4 CREATED', '5 FAILED', '6 UPDATED'],
  )
  assert.deepEqual(rows[0].changes, [{ field: 'lastName', before: 'Hopper', after: 'Murray Hopper' }])
  assert.match(rows[0].recordId, /./)
  assert.equal(rows[0].sourceId, '1')
  assert.deepEqual(rows[2].cells.slice(0, 2), [
    { column: 'Id', value: '3' },
    { column: 'First', value: 'Edsger' },
  ])
  assert.equal(rows[2].recordId, null, 'there is no such record yet')
  assert.deepEqual(
    new Map(rows[2].changes.map((change: { field: string; after: string }) => [change.field, change.after])),
    new Map([
      ['externalId', '3'],
      ['firstName', 'Edsger'],
      ['lastName', 'Dijkstra'],
      ['email', 'edsger@example.com'],
      ['birthDate', '1930-05-11'],
      ['tags', 'a; b'],
      ['displayName', 'Edsger Dijkstra'],
      ['kind', 'PERSON'],
      ['emailOptOut', 'false'],
      ['doNotCall', 'false'],
    ]),
  )
  assert.deepEqual(rows[3].issues, [{ code: 'INVALID_EMAIL', field: 'email', value: 'not-an-address' }])
  assert.deepEqual(
    rows[4].changes,
    [{ field: 'firstName', before: 'Edsger', after: 'Edsger Wybe' }],
    'of a record that row 4 makes',
  )
  assert.equal(rows[4].recordId, null)

  const confirmed = await confirm(actor, id, plan.hash)
  assert.deepEqual(confirmed.userErrors, [])
  await world.rested(actor, id)
  const done = await world.ask(
    actor,
    'query ($id: ID!) { importRun(id: $id) { status plan { hash } rows(first: 10) { nodes { rowNumber outcome changes { field before after } } } } }',
    { id },
  )
  assert.equal(done.importRun.status, 'COMPLETED_WITH_ERRORS')
  assert.equal(done.importRun.plan.hash, plan.hash, 'what was approved can still be read')
  for (const [i, row] of done.importRun.rows.nodes.entries()) {
    assert.deepEqual([row.rowNumber, row.outcome], [rows[i].rowNumber, rows[i].outcome])
    if (row.outcome === 'UPDATED') {
      assert.deepEqual(row.changes, rows[i].changes)
    }
  }
})

test('planned rows come in pages, filtered by outcome', async () => {
  const actor = await world.actor(await world.tenant())
  const lines = Array.from(
    { length: 30 },
    (_, i) => `${i},F${i},L${i},${i % 10 === 0 ? 'wrong' : `a${i}@example.com`},,`,
  )
  const id = await world.import(
    actor,
    'CONTACT',
    `Id,First,Last,Mail,Born,Tags\n${lines.join('\n')}\n`,
    {},
    { mapping, confirmation: 'ASK' },
  )
  const seen: string[] = []
  let after: string | null = null
  for (;;) {
    const { importRun } = await world.ask(actor, planQuery, { id, first: 7, after })
    const { nodes, pageInfo, totalCount } = importRun.plan.rows
    assert.equal(totalCount, 30)
    seen.push(...nodes.map((row: { cells: { value: string }[] }) => row.cells[0]?.value))
    if (!pageInfo.hasNextPage) {
      break
    }
    after = pageInfo.endCursor
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 30 }, (_, i) => String(i)),
  )
  const { importRun } = await world.ask(actor, planQuery, { id, first: 10, outcome: ['FAILED'] })
  assert.deepEqual(
    importRun.plan.rows.nodes.map((row: { rowNumber: number }) => row.rowNumber),
    [2, 12, 22],
  )
})

test('another mapping voids the plan, and the old hash confirms nothing', async () => {
  const id = await world.import(ada, 'CONTACT', second, {}, { mapping, confirmation: 'ASK' })
  const { importRun: first } = await world.ask(ada, planQuery, { id, first: 1 })
  const wrong = await confirm(ada, id, 'not this one')
  assert.equal(wrong.userErrors[0].code, 'PLAN_STALE')
  const none = await confirm(ada, id, null)
  assert.deepEqual([none.userErrors[0].code, none.userErrors[0].field], ['INVALID_INPUT', ['planHash']])
  const updated = await world.ask(ada, updateMutation, { input: { runId: id, mapping: mapping.slice(0, 3) } })
  assert.deepEqual(updated.importMappingUpdate.userErrors, [])
  assert.equal(updated.importMappingUpdate.importRun.plan, null)
  await world.rested(ada, id)
  const { importRun: again } = await world.ask(ada, planQuery, { id, first: 1 })
  assert.equal(again.status, 'AWAITING_CONFIRMATION')
  assert.notEqual(again.plan.hash, first.plan.hash)
  assert.equal((await confirm(ada, id, first.plan.hash)).userErrors[0].code, 'PLAN_STALE')
  const word = key()
  assert.deepEqual((await confirm(ada, id, again.plan.hash, word)).userErrors, [])
  assert.deepEqual((await confirm(ada, id, again.plan.hash, word)).userErrors, [], 'said twice, it is meant once')
  await world.rested(ada, id)
  assert.equal((await confirm(ada, id, again.plan.hash)).userErrors[0].code, 'INVALID_STATE')
  const late = await world.ask(ada, planMutation, { input: { runId: id } })
  assert.equal(late.importPlan.userErrors[0].code, 'INVALID_STATE')
})

test('a plan can be made anew, and can be cancelled', async () => {
  const id = await world.import(ada, 'CONTACT', second, {}, { mapping, confirmation: 'ASK' })
  const { importRun: first } = await world.ask(ada, planQuery, { id, first: 1 })
  const again = await world.ask(ada, planMutation, { input: { runId: id } })
  assert.deepEqual(again.importPlan.userErrors, [])
  await world.rested(ada, id)
  const { importRun: second_ } = await world.ask(ada, planQuery, { id, first: 1 })
  assert.equal(second_.plan.hash, first.plan.hash, 'nothing has changed meanwhile')
  const canceled = await world.ask(
    ada,
    'mutation ($input: RunInput!) { runCancel(input: $input) { run { status counts { total unprocessed } } userErrors { code } } }',
    { input: { runId: id } },
  )
  assert.deepEqual(canceled.runCancel.run, { status: 'CANCELED', counts: { total: 5, unprocessed: 5 } })
})

test('a plan belongs to its tenant, and hides what its reader may not see', async () => {
  const id = await world.import(ada, 'CONTACT', second, {}, { mapping, confirmation: 'ASK' })
  const { importRun: own } = await world.ask(ada, planQuery, { id, first: 10 })
  const neighbour = await world.actor(await world.tenant())
  assert.equal((await world.ask(neighbour, planQuery, { id, first: 10 })).importRun, null)
  assert.equal((await confirm(neighbour, id, own.plan.hash)).userErrors[0].code, 'NOT_FOUND')
  assert.equal(
    (await world.ask(neighbour, planMutation, { input: { runId: id } })).importPlan.userErrors[0].code,
    'NOT_FOUND',
  )
  const clerk = await world.actor(ada.tenantId, ['IMPORT_RUN', 'RECORD_READ'])
  const { importRun: masked } = await world.ask(clerk, planQuery, { id, first: 10 })
  const text = JSON.stringify(masked.plan)
  for (const secret of ['edsger@example.com', 'not-an-address', '1930-05-11']) {
    assert.ok(!text.includes(secret), secret)
  }
  const reader = await world.actor(ada.tenantId, ['RECORD_READ'])
  const denied = await world.run(reader, planMutation, { input: { runId: id } })
  assert.equal(denied.errors[0]?.extensions?.code, 'FORBIDDEN')
})
