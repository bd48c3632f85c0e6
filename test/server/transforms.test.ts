/** Transforms through the API: an import with them, what a mapping shows again, and what is refused. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { permissions } from '../../src/access/permissions.js'
import { transforms } from '../../src/pipeline/transforms/index.js'
import { type Actor, dataOf, type Json, World } from './world.js'

let world: World
let ada: Actor
let tenant: string

before(async () => {
  world = await World.start()
  tenant = await world.tenant()
  ada = await world.actor(tenant)
})
after(() => world.close())

const people = `Name,Place,Born,Status,Mail,Second mail
"Lovelace, Ada","12 St James's Square, London SW1A 2AA, UK",10/12/1815,1: VIP,,ADA@EXAMPLE.COM
Dr. Grace Hopper,"Austin, TX 78701",09/12/1906,2: none,grace@example.com,
Alan Turing,12345 Berlin,someday,2: none,alan@example.com,
`

const call = (name: string, ...given: readonly (readonly [string, string])[]) => ({
  name,
  arguments: given.map(([argument, value]) => ({ name: argument, value })),
})

const mapping = [
  { column: 'Name', field: 'firstName', transforms: [call('splitName', ['part', 'first'])] },
  { column: 'Name', field: 'lastName', transforms: [call('splitName', ['part', 'last'])] },
  { column: 'Place', field: 'city', transforms: [call('splitAddress', ['part', 'city'])] },
  { column: 'Place', field: 'country', transforms: [call('splitAddress', ['part', 'country'])] },
  { column: 'Born', field: 'birthDate', transforms: [call('date', ['format', 'dd/MM/yyyy'])] },
  {
    column: 'Status',
    field: 'tags',
    transforms: [call('after', ['find', ': ']), call('blankIf', ['value', 'none'], ['value', 'n/a'])],
    valueMap: [{ from: 'VIP', to: 'very important' }],
  },
  { column: 'Mail', field: 'email', transforms: [call('firstNonEmpty', ['column', 'Second mail']), call('lower')] },
  { field: 'notes', transforms: [call('template', ['text', '{Name} of {Place}'])] },
]

const create = `mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code field message } } }`

const runQuery = `query ($id: ID!) { importRun(id: $id) {
  status counts { created failed }
  mapping { columns { column field transforms { name arguments { name value } } valueMap { from to } } conflicts { code } }
  issues(first: 10) { nodes { rowNumber column field code value message } }
  issueGroups { code sampleValues message }
  rows(first: 10) { nodes { rowNumber cells { column value } issues { code value message } } } } }`

const contacts = `{ contacts(first: 10, orderBy: [{ field: "lastName" }]) { nodes { firstName lastName city country birthDate tags email notes } } }`

test('an import with transforms does what they say, and its mapping is shown as it was given', async () => {
  const id = await world.import(ada, 'CONTACT', people, {}, { mapping })
  const { importRun: run } = await world.ask(ada, runQuery, { id })
  assert.equal(run.status, 'COMPLETED_WITH_ERRORS')
  assert.deepEqual(run.counts, { created: 2, failed: 1 })
  assert.deepEqual(
    run.mapping.columns.map(({ valueMap, ...column }: Json) => ({
      ...column,
      ...(valueMap.length === 0 ? {} : { valueMap }),
    })),
    mapping.map((column) => ({ column: null, ...column })),
  )
  const { contacts: page } = await world.ask(ada, contacts)
  assert.deepEqual(page.nodes, [
    {
      firstName: 'Grace',
      lastName: 'Hopper',
      city: 'Austin',
      country: null,
      birthDate: '1906-12-09',
      tags: [],
      email: 'grace@example.com',
      notes: 'Dr. Grace Hopper of Austin, TX 78701',
    },
    {
      firstName: 'Ada',
      lastName: 'Lovelace',
      city: 'London',
      country: 'GB',
      birthDate: '1815-12-10',
      tags: ['very important'],
      email: 'ada@example.com',
      notes: "Lovelace, Ada of 12 St James's Square, London SW1A 2AA, UK",
    },
  ])
  assert.deepEqual(run.issues.nodes, [
    {
      rowNumber: 4,
      column: 'Born',
      field: 'birthDate',
      code: 'TRANSFORM_FAILED',
      value: 'someday',
      message: 'Transform 1, date, cannot read the value. Expected a date written as dd/MM/yyyy.',
    },
  ])
})

test('who may not see personal data sees no cell of a column that is taken apart, nor what could not be read', async () => {
  const csv = 'Contact,Name\nada@example.com / soon,Ada Lovelace\n'
  const id = await world.import(
    ada,
    'LEAD',
    csv,
    {},
    {
      mapping: [
        { column: 'Name', field: 'lastName' },
        // A column that is harmless by its field, and holds an address besides.
        {
          column: 'Contact',
          field: 'expectedCloseDate',
          transforms: [call('trim'), call('date', ['format', 'yyyy-MM-dd'])],
        },
      ],
    },
  )
  const blind = await world.actor(
    tenant,
    permissions.filter((permission) => permission !== 'PII_READ'),
  )
  const seen = JSON.stringify(await world.ask(ada, runQuery, { id }))
  assert.match(seen, /ada@example\.com/)
  const unseen = JSON.stringify(await world.ask(blind, runQuery, { id }))
  assert.match(unseen, /TRANSFORM_FAILED/)
  assert.doesNotMatch(unseen, /ada@example\.com/)
})

test('the catalogue is listed for everybody who is signed in', async () => {
  const reader = await world.actor(tenant, [])
  const query =
    '{ transforms { name description arguments parameters { name required repeated defaultValue choices description } example } }'
  const answer = await world.ask(reader, query)
  assert.deepEqual(
    answer.transforms.map(({ name }: Json) => name),
    transforms.map(({ name }) => name),
  )
  const split = answer.transforms.find(({ name }: Json) => name === 'split')
  assert.deepEqual(split.arguments, ['separator', 'part'])
  assert.equal(split.example, 'split(separator: ",", part: "2") makes "TX" of "Austin, TX"')
  assert.equal(split.parameters[1].required, true)
  const address = answer.transforms.find(({ name }: Json) => name === 'splitAddress')
  assert.deepEqual(address.parameters[0].choices, ['line1', 'city', 'state', 'postalCode', 'country'])
})

for (const [what, given, field, message] of [
  ['a transform that there is not', [call('exec', ['code', '1'])], ['name'], /there is no transform "exec"/],
  ['an argument that is missing', [call('replace')], ['arguments'], /"find" is missing/],
  ['a column that is not in the file', [call('join', ['column', 'Nmae'])], ['arguments', '0'], /Did you mean "Name"\?/],
] as const) {
  test(`${what} refuses the mapping, and nothing is made`, async () => {
    const { importCreate } = dataOf(
      await world.upload(
        ada,
        create,
        {
          recordType: 'CONTACT',
          idempotencyKey: `refused ${what}`,
          mapping: [{ column: 'Name', field: 'lastName', transforms: given }],
        },
        people,
      ),
    )
    assert.equal(importCreate.importRun, null)
    assert.equal(importCreate.userErrors[0].code, 'TRANSFORM_INVALID')
    assert.deepEqual(importCreate.userErrors[0].field, ['mapping', '0', 'transforms', '0', ...field])
    assert.match(importCreate.userErrors[0].message, message)
  })
}

test('an import that asks about its dates goes on once a transform says how to read them', async () => {
  const csv = 'Name,Born\nAda,03/04/1985\nGrace,05/06/1986\n'
  const plain = [
    { column: 'Name', field: 'lastName' },
    { column: 'Born', field: 'birthDate' },
  ]
  const id = await world.import(ada, 'CONTACT', csv, {}, { mapping: plain })
  const waiting = await world.ask(ada, runQuery, { id })
  assert.equal(waiting.importRun.status, 'AWAITING_MAPPING')
  assert.deepEqual(waiting.importRun.mapping.conflicts, [{ code: 'AMBIGUOUS_FORMAT' }])
  const update = `mutation ($input: ImportMappingUpdateInput!) { importMappingUpdate(input: $input) { userErrors { code message } } }`
  const said = [plain[0], { ...plain[1], transforms: [call('date', ['format', 'MM/dd/yyyy'])] }]
  const { importMappingUpdate } = await world.ask(ada, update, { input: { runId: id, mapping: said } })
  assert.deepEqual(importMappingUpdate.userErrors, [])
  assert.equal(await world.rested(ada, id), 'COMPLETED')
  const { contacts: page } = await world.ask(
    ada,
    '{ contacts(first: 1, filter: { where: { field: "birthDate", operator: EQ, value: "1985-03-04" } }) { nodes { lastName birthDate } } }',
  )
  assert.deepEqual(page.nodes, [{ lastName: 'Ada', birthDate: '1985-03-04' }])
})
