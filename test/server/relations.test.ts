import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Actor, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

const csv = `Title,Company,Contact mail,Contact first name,Listing
House,Ltd,ann@example.com,Ann,L1
Flat,Ltd,ann@example.com,Anna,L2
Barn,Ltd,bob@example.com,Bob,
`
const mapping = [
  { column: 'Title', field: 'title' },
  { column: 'Company', field: 'companyName' },
  { column: 'Contact mail', field: 'contact.email' },
  { column: 'Contact first name', field: 'contact.firstName' },
  { column: 'Listing', field: 'property.listingId' },
]
const rowsQuery = `query ($id: ID!) { importRun(id: $id) { status
  options { onMissingRelation }
  rows(first: 10) { nodes { rowNumber outcome related { path recordType recordId outcome changes { field before after } } } }
  plan { rows(first: 10) { nodes { rowNumber outcome related { path recordType recordId outcome changes { field before after } } } } }
} }`
const pendingQuery = `query ($id: ID!, $after: String) { importRun(id: $id) {
  pendingRelations(first: 2, after: $after) { totalCount pageInfo { hasNextPage endCursor } nodes { rowNumber recordType recordId field key } } } }`

interface Related {
  readonly path: string
  readonly recordType: string
  readonly recordId: string | null
  readonly outcome: string
  readonly changes: readonly { readonly field: string; readonly before: string | null; readonly after: string | null }[]
}

const told = (nodes: readonly { rowNumber: number; outcome: string; related: readonly Related[] }[]) =>
  nodes.map(({ rowNumber, outcome, related }) => ({
    row: `${rowNumber} ${outcome}`,
    related: related.map(
      (one) =>
        `${one.path} ${one.recordType} ${one.outcome} ${one.changes.map(({ field, before, after }) => `${field}: ${before} to ${after}`).join()}`,
    ),
  }))

test('rows that feed leads, contacts and properties tell what they made and changed, as their plan did', async () => {
  const id = await world.import(ada, 'LEAD', csv, {}, { mapping, confirmation: 'ASK' })
  const { importRun: waiting } = await world.ask(ada, rowsQuery, { id })
  const expected = [
    { row: '2 CREATED', related: ['contact CONTACT CREATED ', 'property PROPERTY CREATED '] },
    { row: '3 CREATED', related: ['contact CONTACT UPDATED firstName: Ann to Anna', 'property PROPERTY CREATED '] },
    { row: '4 CREATED', related: ['contact CONTACT CREATED '] },
  ]
  assert.deepEqual(told(waiting.plan.rows.nodes), expected)
  assert.equal(waiting.plan.rows.nodes[0].related[0].recordId, null, 'nothing is made yet')
  const { plan } = (await world.ask(ada, 'query ($id: ID!) { importRun(id: $id) { plan { hash } } }', { id })).importRun
  await world.ask(
    ada,
    'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { userErrors { code } } }',
    {
      input: { runId: id, planHash: plan.hash, idempotencyKey: 'confirm' },
    },
  )
  await world.rested(ada, id)
  const { importRun: done } = await world.ask(ada, rowsQuery, { id })
  assert.equal(done.status, 'COMPLETED')
  assert.deepEqual(told(done.rows.nodes), expected)
  const contact = done.rows.nodes[0].related[0].recordId
  const { node } = await world.ask(ada, 'query ($id: ID!) { node(id: $id) { ... on Contact { email firstName } } }', {
    id: contact,
  })
  assert.deepEqual(node, { email: 'ann@example.com', firstName: 'Anna' })
})

test('relations that wait come in pages, hide what is sensitive, and are gone when their records come', async () => {
  const actor = await world.actor(await world.tenant())
  const lead = 'Title,Company,Contact mail\nA,Ltd,a@example.com\nB,Ltd,b@example.com\nC,Ltd,c@example.com\n'
  const id = await world.import(
    actor,
    'LEAD',
    lead,
    { onMissingRelation: 'KEEP_PENDING' },
    { mapping: mapping.slice(0, 3) },
  )
  const { importRun: first } = await world.ask(actor, pendingQuery, { id })
  assert.equal(first.pendingRelations.totalCount, 3)
  assert.deepEqual(
    first.pendingRelations.nodes.map((one: { rowNumber: number; recordType: string; field: string; key: string }) => [
      one.rowNumber,
      one.recordType,
      one.field,
      one.key,
    ]),
    [
      [2, 'LEAD', 'contact.email', 'a@example.com'],
      [3, 'LEAD', 'contact.email', 'b@example.com'],
    ],
  )
  const { importRun: second } = await world.ask(actor, pendingQuery, {
    id,
    after: first.pendingRelations.pageInfo.endCursor,
  })
  assert.deepEqual(
    second.pendingRelations.nodes.map((one: { rowNumber: number }) => one.rowNumber),
    [4],
  )
  assert.equal(second.pendingRelations.pageInfo.hasNextPage, false)
  const clerk = await world.actor(actor.tenantId, ['IMPORT_RUN'])
  const { importRun: masked } = await world.ask(clerk, pendingQuery, { id })
  assert.equal(masked.pendingRelations.nodes[0].key, '***')
  const neighbour = await world.actor(await world.tenant())
  assert.equal((await world.ask(neighbour, pendingQuery, { id })).importRun, null)
  await world.import(
    actor,
    'CONTACT',
    'Mail,Last\nb@example.com,B\n',
    {},
    {
      mapping: [
        { column: 'Mail', field: 'email' },
        { column: 'Last', field: 'lastName' },
      ],
    },
  )
  const { importRun: rest } = await world.ask(actor, pendingQuery, { id })
  assert.deepEqual(
    rest.pendingRelations.nodes.map((one: { rowNumber: number }) => one.rowNumber),
    [2, 4],
  )
})
