/** Fields that a tenant makes for itself, as a partner meets them: made, mapped, imported, asked about, undone, archived, revived. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { permissions } from '../../src/access/permissions.js'
import {
  CUSTOM_FIELD_KEY_LENGTH_MAX,
  CUSTOM_FIELD_KEYS_MAX,
  CUSTOM_FIELD_OPTIONS_MAX,
  CUSTOM_FIELDS_MAX,
} from '../../src/limits.js'
import { type Actor, type Json, World } from '../server/world.js'

let world: World

before(async () => {
  world = await World.start()
})
after(() => world.close())

const newcomer = async () => world.actor(await world.tenant())
const key = () => randomBytes(8).toString('hex')

const schemaFields = 'version fields { id name label kind custom options sensitive }'
const createMutation = `mutation ($input: CustomFieldCreateInput!) { customFieldCreate(input: $input) {
  recordSchema { ${schemaFields} } userErrors { code field message } } }`
const archiveMutation = `mutation ($id: ID!) { customFieldArchive(input: { id: $id }) {
  recordSchema { ${schemaFields} } userErrors { code message } } }`

interface NewField {
  readonly key: string
  readonly kind: string
  readonly label?: string
  readonly options?: readonly string[]
}

async function create(actor: Actor, field: NewField, recordType = 'CONTACT'): Promise<Json> {
  const input = { recordType, field: { label: field.key, ...field } }
  return (await world.ask(actor, createMutation, { input })).customFieldCreate
}

async function made(actor: Actor, ...fields: NewField[]): Promise<void> {
  for (const field of fields) {
    assert.deepEqual((await create(actor, field)).userErrors, [])
  }
}

async function schema(actor: Actor, recordType = 'CONTACT'): Promise<Json> {
  const query = `query ($recordType: RecordType!) { recordSchema(recordType: $recordType) { ${schemaFields} } }`
  return (await world.ask(actor, query, { recordType })).recordSchema
}

async function contacts(actor: Actor, filter: object | null = null, orderBy: object[] | null = null): Promise<Json[]> {
  const { contacts: found } = await world.ask(
    actor,
    `query ($filter: RecordFilterInput, $orderBy: [RecordOrderInput!]) { contacts(first: 50, filter: $filter, orderBy: $orderBy) {
       totalCount nodes { id version displayName customFields { key value } provenance { action changedFields } } } }`,
    { filter, orderBy },
  )
  assert.equal(found.totalCount, found.nodes.length)
  return found.nodes
}

const names = (nodes: Json[]) => nodes.map(({ displayName }) => displayName)
const where = (field: string, operator: string, value?: string | string[]) => ({
  where: { field, operator, ...(Array.isArray(value) ? { values: value } : value === undefined ? {} : { value }) },
})

const allKinds: NewField[] = [
  { key: 'colour', kind: 'TEXT' },
  { key: 'story', kind: 'LONG_TEXT' },
  { key: 'backup', kind: 'EMAIL' },
  { key: 'pager', kind: 'PHONE' },
  { key: 'blog', kind: 'URL' },
  { key: 'children', kind: 'INTEGER' },
  { key: 'ratio', kind: 'DECIMAL' },
  { key: 'budget', kind: 'MONEY' },
  { key: 'vip', kind: 'BOOLEAN' },
  { key: 'metOn', kind: 'DATE' },
  { key: 'calledAt', kind: 'DATE_TIME' },
  { key: 'tier', kind: 'ENUM', options: ['Gold', 'Silver', 'C', 'C#'] },
  { key: 'likes', kind: 'MULTI_ENUM', options: ['Sun', 'Sea'] },
  { key: 'notes', kind: 'MULTI_ENUM' },
]

const header = `Id,Name,${allKinds.map((field) => field.key).join(',')}`
const mapping = [
  { column: 'Id', field: 'externalId' },
  { column: 'Name', field: 'displayName' },
  ...allKinds.map((field) => ({ column: field.key, field: `custom.${field.key}` })),
]
const ada = `1,Ada,red,"two
lines",ADA@example.com,+1 212 555 0100,https://example.com,3,1.50,99.5,yes,2026-02-03,2026-02-03T10:00:00+01:00,gold,sun; SEA,"x, y"`
const bob = '2,Bob,blue,,,,,12,-0.00000001,1000,no,2025-12-31,,C#,,'

test('fields of every kind are imported, shown, asked about and ordered by as what they are', async () => {
  const actor = await newcomer()
  await made(actor, ...allKinds)
  const { fields, version } = await schema(actor)
  const custom = fields.filter((field: Json) => field.custom)
  assert.equal(version, 1 + allKinds.length)
  assert.deepEqual(
    custom.map((field: Json) => [field.name, field.kind, field.options, field.sensitive]),
    allKinds.map(({ key: own, kind, options = null }) => [`custom.${own}`, kind, options, true]),
  )
  assert.ok(fields.filter((field: Json) => !field.custom).every((field: Json) => field.id === null))

  const run = await world.import(actor, 'CONTACT', `${header}\n${ada}\n${bob}\n3,Cy,,,,,,,,,,,,,,\n`, {}, { mapping })
  const { importRun } = await world.ask(
    actor,
    'query ($id: ID!) { importRun(id: $id) { status counts { created failed } issues(first: 5) { nodes { message } } } }',
    { id: run },
  )
  assert.deepEqual(importRun.counts, { created: 3, failed: 0 }, JSON.stringify(importRun))
  const [first, second, third] = await contacts(actor, null, [{ field: 'displayName' }])
  assert.deepEqual(Object.fromEntries(first.customFields.map(({ key: own, value }: Json) => [own, value])), {
    colour: 'red',
    story: 'two\nlines',
    backup: 'ada@example.com',
    pager: '+12125550100',
    blog: 'https://example.com',
    children: '3',
    ratio: '1.5',
    budget: '99.50',
    vip: 'true',
    metOn: '2026-02-03',
    calledAt: '2026-02-03T09:00:00.000Z',
    tier: 'Gold',
    likes: 'Sun; Sea',
    notes: 'x; y',
  })
  assert.deepEqual(
    first.customFields.map(({ key: own }: Json) => own),
    allKinds.map((field) => field.key),
  )
  assert.deepEqual(
    second.customFields.map(({ key: own, value }: Json) => `${own} ${value}`),
    ['colour blue', 'children 12', 'ratio -0.00000001', 'budget 1000.00', 'vip false', 'metOn 2025-12-31', 'tier C#'],
  )
  assert.deepEqual(third.customFields, [])

  const asks: [object, string[]][] = [
    [where('custom.children', 'GT', '3'), ['Bob']],
    [where('custom.children', 'LTE', '3'), ['Ada']],
    [where('custom.children', 'IN', ['3', '12']), ['Ada', 'Bob']],
    [where('custom.budget', 'GT', '100'), ['Bob']],
    [where('custom.ratio', 'LT', '0'), ['Bob']],
    [where('custom.ratio', 'EQ', '1.50'), ['Ada']],
    [where('custom.metOn', 'LT', '2026-01-01'), ['Bob']],
    [where('custom.calledAt', 'EQ', '2026-02-03T09:00:00Z'), ['Ada']],
    [where('custom.calledAt', 'IS_NULL'), ['Bob', 'Cy']],
    [where('custom.vip', 'EQ', 'true'), ['Ada']],
    [where('custom.vip', 'NEQ', 'true'), ['Bob', 'Cy']],
    [where('custom.tier', 'NOT_IN', ['Gold']), ['Bob', 'Cy']],
    [where('custom.likes', 'EQ', 'Sea'), ['Ada']],
    [where('custom.likes', 'IS_NULL'), ['Bob', 'Cy']],
    [where('custom.notes', 'IS_NOT_NULL'), ['Ada']],
    [where('custom.colour', 'STARTS_WITH', 'RE'), ['Ada']],
    [{ and: [where('custom.vip', 'EQ', 'false'), { not: where('custom.tier', 'EQ', 'Gold') }] }, ['Bob']],
  ]
  for (const [filter, expected] of asks) {
    assert.deepEqual(names(await contacts(actor, filter, [{ field: 'displayName' }])), expected, JSON.stringify(filter))
  }
  assert.deepEqual(names(await contacts(actor, null, [{ field: 'custom.children', direction: 'DESC' }])), [
    'Bob',
    'Ada',
    'Cy',
  ])
  assert.deepEqual(names(await contacts(actor, null, [{ field: 'custom.metOn' }])), ['Bob', 'Ada', 'Cy'])
  const page = async (cursor: string | null): Promise<Json> =>
    (
      await world.ask(
        actor,
        `query ($after: String) { contacts(first: 1, after: $after, orderBy: [{ field: "custom.budget" }]) { nodes { displayName } pageInfo { endCursor } } }`,
        { after: cursor },
      )
    ).contacts
  const one = await page(null)
  const two = await page(one.pageInfo.endCursor)
  const three = await page(two.pageInfo.endCursor)
  assert.deepEqual(
    [one, two, three].flatMap(({ nodes }) => names(nodes)),
    ['Ada', 'Bob', 'Cy'],
  )

  for (const [field, value] of [
    ['custom.children', 'many'],
    ['custom.metOn', '03/02/2026'],
    ['custom.tier', 'Bronze'],
  ]) {
    const { errors } = await world.run(
      actor,
      'query ($filter: RecordFilterInput) { contacts(filter: $filter) { nodes { id } } }',
      { filter: where(field ?? '', 'EQ', value) },
    )
    assert.equal(errors[0]?.extensions.code, 'INVALID_INPUT', field)
  }
})

test('values that do not fit are issues of their rows, as with any field', async () => {
  const actor = await newcomer()
  await made(actor, { key: 'children', kind: 'INTEGER' }, { key: 'likes', kind: 'MULTI_ENUM', options: ['Sun', 'Sea'] })
  const id = await world.import(
    actor,
    'CONTACT',
    'Id,Name,Children,Likes\n1,Ada,three,\n2,Bob,2,snow\n3,Cy,1,sea\n',
    {},
    {
      mapping: [
        { column: 'Id', field: 'externalId' },
        { column: 'Name', field: 'displayName' },
        { column: 'Children', field: 'custom.children' },
        { column: 'Likes', field: 'custom.likes' },
      ],
    },
  )
  const { importRun } = await world.ask(
    actor,
    'query ($id: ID!) { importRun(id: $id) { counts { created failed } issues(first: 5) { nodes { rowNumber code field value } } } }',
    { id },
  )
  assert.deepEqual(importRun.counts, { created: 1, failed: 2 })
  assert.deepEqual(importRun.issues.nodes, [
    { rowNumber: 2, code: 'INVALID_NUMBER', field: 'custom.children', value: 'three' },
    { rowNumber: 3, code: 'INVALID_ENUM_VALUE', field: 'custom.likes', value: 'snow' },
  ])
})

const changesQuery = `query ($id: ID!) { importRun(id: $id) { status counts { created updated unchanged failed }
  rows(first: 20) { nodes { rowNumber outcome changes { field before after } } } } }`
const shortMapping = [
  { column: 'Id', field: 'externalId' },
  { column: 'Colour', field: 'custom.colour' },
  { column: 'Score', field: 'custom.score' },
  { column: 'Vip', field: 'custom.vip' },
]
const shortFields: NewField[] = [
  { key: 'colour', kind: 'TEXT' },
  { key: 'score', kind: 'DECIMAL' },
  { key: 'vip', kind: 'BOOLEAN' },
]
const base = 'Id,Name,Colour,Score,Vip\n1,Ada,red,1.5,yes\n2,Bob,,,\n'
const baseMapping = [...shortMapping, { column: 'Name', field: 'displayName' }]

async function custom(actor: Actor): Promise<Record<string, string>> {
  const found = await contacts(actor, null, [{ field: 'displayName' }])
  return Object.fromEntries(
    found.map(({ displayName, customFields }) => [
      displayName,
      customFields.map(({ key: own, value }: Json) => `${own}=${value}`).join(' '),
    ]),
  )
}

/** By default the file has no names, and so makes no records. */
async function importShort(actor: Actor, csv: string, options: object = {}, input: object = {}): Promise<Json> {
  const mapped = { mapping: shortMapping, ...input }
  const operation = mapped.mapping === shortMapping ? 'UPDATE_ONLY' : 'UPSERT'
  const id = await world.import(actor, 'CONTACT', csv, { operation, ...options }, mapped)
  return { id, ...(await world.ask(actor, changesQuery, { id })).importRun }
}

test('an update changes field by field, tells each before and after, and leaves the rest alone', async () => {
  const actor = await newcomer()
  await made(actor, ...shortFields)
  await importShort(actor, base, {}, { mapping: baseMapping })
  assert.deepEqual(await custom(actor), { Ada: 'colour=red score=1.5 vip=true', Bob: '' })

  const again = await importShort(actor, 'Id,Colour,Score,Vip\n1,red,1.50,true\n2,,,\n')
  assert.deepEqual(again.counts, { created: 0, updated: 0, unchanged: 2, failed: 0 })

  const changed = await importShort(actor, 'Id,Colour,Score,Vip\n1,green,,\n2,blue,2,no\n')
  assert.deepEqual(changed.rows.nodes, [
    { rowNumber: 2, outcome: 'UPDATED', changes: [{ field: 'custom.colour', before: 'red', after: 'green' }] },
    {
      rowNumber: 3,
      outcome: 'UPDATED',
      changes: [
        { field: 'custom.vip', before: null, after: 'false' },
        { field: 'custom.score', before: null, after: '2' },
        { field: 'custom.colour', before: null, after: 'blue' },
      ],
    },
  ])
  assert.deepEqual(await custom(actor), {
    Ada: 'colour=green score=1.5 vip=true',
    Bob: 'colour=blue score=2 vip=false',
  })
  const [record] = await contacts(actor, null, [{ field: 'displayName' }])
  assert.deepEqual(record.provenance[0], { action: 'UPDATED', changedFields: ['custom.colour'] })

  const filled = await importShort(actor, 'Id,Colour,Score,Vip\n1,pink,9,no\n', { onDuplicate: 'FILL_BLANKS' })
  assert.equal(filled.counts.unchanged, 1)
  const cleared = await importShort(actor, 'Id,Colour,Score,Vip\n1,-,,no\n', { clearText: '-' })
  assert.deepEqual(cleared.rows.nodes[0].changes, [
    { field: 'custom.vip', before: 'true', after: 'false' },
    { field: 'custom.colour', before: 'green', after: null },
  ])
  await importShort(actor, 'Id,Colour,Score,Vip\n2,,,\n', { onBlank: 'CLEAR' })
  assert.deepEqual(await custom(actor), { Ada: 'score=1.5 vip=false', Bob: '' })
  const gaps = await importShort(actor, 'Id,Colour,Score,Vip\n1,gold,9,\n', { onDuplicate: 'FILL_BLANKS' })
  assert.deepEqual(gaps.rows.nodes[0].changes, [{ field: 'custom.colour', before: null, after: 'gold' }])
})

test('rows of two chunks see what the rows before them did', async () => {
  const actor = await newcomer()
  await made(actor, ...shortFields)
  const rows = Array.from({ length: 5000 }, (_, i) => `${i % 2500},c${i},${i},`)
  const run = await importShort(
    actor,
    `Id,Name,Colour,Score,Vip\n${rows.map((row) => row.replace(',', ',N,')).join('\n')}\n`,
    {},
    {
      mapping: baseMapping,
    },
  )
  assert.deepEqual(run.counts, { created: 2500, updated: 2500, unchanged: 0, failed: 0 })
  const [record] = await contacts(actor, where('externalId', 'EQ', '7'))
  assert.deepEqual(record.customFields, [
    { key: 'colour', value: 'c2507' },
    { key: 'score', value: '2507' },
  ])
})

async function rollback(actor: Actor, runId: string, onConflict = 'KEEP'): Promise<Json> {
  const { runRollback } = await world.ask(
    actor,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { message } } }',
    { input: { runId, onConflict, idempotencyKey: key() } },
  )
  const { id } = runRollback.rollbackRun
  await world.rested(actor, id)
  return (
    await world.ask(
      actor,
      'query ($id: ID!) { run(id: $id) { status ... on RollbackRun { conflicts(first: 9) { nodes { field before imported current } } } } }',
      { id },
    )
  ).run
}

test('a rollback gives back each field by itself, and keeps only what was changed since', async () => {
  const actor = await newcomer()
  await made(actor, ...shortFields)
  await importShort(actor, base, {}, { mapping: baseMapping })
  const run = await importShort(actor, 'Id,Colour,Score,Vip\n1,green,7,no\n2,blue,2,yes\n')
  const [record] = await contacts(actor, where('externalId', 'EQ', '1'))
  const update = `mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { record { version customFields { key value } } userErrors { code message } } }`
  const edit = async (field: string, value: string | null) =>
    (await world.ask(actor, update, { input: { recordType: 'CONTACT', id: record.id, fields: [{ field, value }] } }))
      .recordUpdate
  const edited = await edit('custom.colour', 'violet')
  assert.deepEqual(edited.record, {
    version: record.version + 1,
    customFields: [
      { key: 'colour', value: 'violet' },
      { key: 'score', value: '7' },
      { key: 'vip', value: 'false' },
    ],
  })
  assert.equal((await edit('custom.colour', 'violet')).record.version, record.version + 1, 'nothing changed')
  assert.equal((await edit('custom.score', 'high')).userErrors[0].code, 'INVALID_INPUT')
  assert.equal((await edit('custom.colours', 'x')).userErrors[0].code, 'UNKNOWN_FIELD')

  const undone = await rollback(actor, run.id)
  assert.equal(undone.status, 'COMPLETED_WITH_ERRORS')
  assert.deepEqual(undone.conflicts.nodes, [
    { field: 'custom.colour', before: 'red', imported: 'green', current: 'violet' },
  ])
  assert.deepEqual(await custom(actor), { Ada: 'colour=violet score=1.5 vip=true', Bob: '' })
  await edit('custom.vip', null)
  assert.deepEqual((await custom(actor)).Ada, 'colour=violet score=1.5')
  assert.equal((await rollback(actor, run.id, 'FORCE')).status, 'COMPLETED')
  assert.deepEqual((await custom(actor)).Ada, 'colour=red score=1.5 vip=true')
})

test('a plan tells the values of custom fields, and the run makes exactly them', async () => {
  const actor = await newcomer()
  await made(actor, ...shortFields)
  await importShort(actor, base, {}, { mapping: baseMapping })
  const id = await world.import(
    actor,
    'CONTACT',
    'Id,Name,Colour,Score,Vip\n1,Ada,green,1.5,\n3,Cy,,4,yes\n',
    {},
    {
      mapping: baseMapping,
      confirmation: 'ASK',
    },
  )
  const { importRun } = await world.ask(
    actor,
    'query ($id: ID!) { importRun(id: $id) { plan { hash rows(first: 9) { nodes { outcome changes { field before after } } } } } }',
    { id },
  )
  assert.deepEqual(importRun.plan.rows.nodes[0], {
    outcome: 'UPDATED',
    changes: [{ field: 'custom.colour', before: 'red', after: 'green' }],
  })
  const planned = importRun.plan.rows.nodes[1].changes.filter(({ field }: Json) => field.startsWith('custom.'))
  assert.deepEqual(planned, [
    { field: 'custom.score', before: null, after: '4' },
    { field: 'custom.vip', before: null, after: 'true' },
  ])
  await world.ask(
    actor,
    'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { userErrors { message } } }',
    { input: { runId: id, planHash: importRun.plan.hash, idempotencyKey: key() } },
  )
  await world.rested(actor, id)
  assert.deepEqual(await custom(actor), { Ada: 'colour=green score=1.5 vip=true', Bob: '', Cy: 'score=4 vip=true' })
})

test('a mapping makes the fields that it needs, once', async () => {
  const actor = await newcomer()
  const creating = (kind: string, options?: string[]) => [
    { column: 'Id', field: 'externalId' },
    { column: 'Name', field: 'displayName' },
    {
      column: 'Tier',
      createCustomField: { key: 'tier', label: 'Tier', kind, ...(options === undefined ? {} : { options }) },
    },
  ]
  const csv = 'Id,Name,Tier\n1,Ada,gold\n'
  await world.import(actor, 'CONTACT', csv, {}, { mapping: creating('ENUM', ['Gold', 'Silver']) })
  assert.equal((await schema(actor)).version, 2)
  assert.deepEqual(await custom(actor), { Ada: 'tier=Gold' })
  const again = await world.import(actor, 'CONTACT', csv, {}, { mapping: creating('ENUM', ['Gold']) })
  assert.equal((await schema(actor)).version, 2, 'it was there')
  assert.equal((await world.ask(actor, changesQuery, { id: again })).importRun.counts.unchanged, 1)
  await assert.rejects(
    world.import(actor, 'CONTACT', csv, {}, { mapping: creating('TEXT') }),
    /of kind ENUM; it cannot become one of kind TEXT/,
  )
  await assert.rejects(
    world.import(actor, 'CONTACT', csv, {}, { mapping: creating('ENUM', ['Gold', 'Lead']) }),
    /without the options Lead/,
  )
  await assert.rejects(
    world.import(
      actor,
      'CONTACT',
      'Id,Name,Other\n1,Ada,x\n',
      {},
      {
        mapping: [{ column: 'Nowhere', createCustomField: { key: 'lost', label: 'Lost', kind: 'TEXT' } }],
      },
    ),
    /UNKNOWN_COLUMN/,
  )
  assert.equal((await schema(actor)).version, 2, 'a refused import makes no field')

  const importer = await world.actor(
    actor.tenantId,
    permissions.filter((permission) => permission !== 'MAPPING_MANAGE'),
  )
  const refused = await world.upload(
    importer,
    'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { userErrors { code } } }',
    { recordType: 'CONTACT', idempotencyKey: key(), mapping: creating('ENUM', ['Gold']) },
    csv,
  )
  assert.equal(refused.errors[0]?.extensions.permission, 'MAPPING_MANAGE')
})

test('the template of a record type has the columns of its custom fields, and they map without help', async () => {
  const actor = await newcomer()
  await made(actor, ...shortFields)
  const { recordSchema } = await world.ask(actor, '{ recordSchema(recordType: CONTACT) { templateFileUrl } }')
  const header = (await (await fetch(recordSchema.templateFileUrl)).text()).trim()
  assert.ok(header.endsWith(',custom.colour,custom.score,custom.vip'), header)
  const cells: Readonly<Record<string, string>> = {
    displayName: 'Ada',
    'custom.colour': 'red',
    'custom.score': '1',
    'custom.vip': 'no',
  }
  const row = header.split(',').map((name) => cells[name] ?? '')
  await world.import(actor, 'CONTACT', `${header}\n${row.join(',')}\n`)
  assert.deepEqual(await custom(actor), { Ada: 'colour=red score=1 vip=false' })
})

test('a column that is named like a custom field is taken for it, whatever a neighbour means by that name', async () => {
  const csv = 'Name,Favourite colour,shoeSize\nAda,blue,39\nBob,green,42\n'
  for (const [kind, options, colour] of [
    ['TEXT', null, 'blue'],
    ['ENUM', ['Blue', 'Green'], 'Blue'],
  ] as const) {
    const actor = await newcomer()
    await made(
      actor,
      { key: 'colour', label: 'Favourite colour', kind, ...(options === null ? {} : { options }) },
      { key: 'shoeSize', label: 'Size of the shoes', kind: 'INTEGER' },
    )
    await world.import(actor, 'CONTACT', csv)
    assert.deepEqual((await custom(actor)).Ada, `colour=${colour} shoeSize=39`)
  }
})

test('an import that waits for its mapping is given one that makes a field', async () => {
  const actor = await newcomer()
  const id = await world.import(actor, 'CONTACT', 'A1,B2\nAda,red\n', {}, {})
  const { importMappingUpdate } = await world.ask(
    actor,
    'mutation ($input: ImportMappingUpdateInput!) { importMappingUpdate(input: $input) { userErrors { message } } }',
    {
      input: {
        runId: id,
        mapping: [
          { column: 'A1', field: 'displayName' },
          { column: 'B2', field: 'custom.colour', createCustomField: { key: 'colour', label: 'Colour', kind: 'TEXT' } },
        ],
      },
    },
  )
  assert.deepEqual(importMappingUpdate.userErrors, [])
  assert.equal(await world.rested(actor, id), 'COMPLETED')
  assert.deepEqual(await custom(actor), { Ada: 'colour=red' })
})

test('an archived field is out of sight with its values kept, and comes back as the kind that it was', async () => {
  const actor = await newcomer()
  await made(actor, ...shortFields)
  await importShort(actor, base, {}, { mapping: baseMapping })
  const waiting = await world.import(
    actor,
    'CONTACT',
    'Id,Name,Colour,Score,Vip\n1,Ada,green,1.5,\n',
    {},
    {
      mapping: baseMapping,
      confirmation: 'ASK',
    },
  )
  const colour = (await schema(actor)).fields.find((field: Json) => field.name === 'custom.colour')
  const archived = (await world.ask(actor, archiveMutation, { id: colour.id })).customFieldArchive
  assert.equal(archived.recordSchema.version, 5)
  assert.deepEqual(
    archived.recordSchema.fields.filter((field: Json) => field.custom).map((field: Json) => field.name),
    ['custom.score', 'custom.vip'],
  )
  assert.deepEqual(await custom(actor), { Ada: 'score=1.5 vip=true', Bob: '' })
  await assert.rejects(importShort(actor, 'Id,Colour\n1,x\n'), /UNKNOWN_FIELD/)
  const { errors } = await world.run(
    actor,
    'query ($filter: RecordFilterInput) { contacts(filter: $filter) { nodes { id } } }',
    { filter: where('custom.colour', 'EQ', 'red') },
  )
  assert.equal(errors[0]?.extensions.code, 'UNKNOWN_FIELD')
  assert.equal(
    (await world.ask(actor, archiveMutation, { id: colour.id })).customFieldArchive.userErrors[0].code,
    'NOT_FOUND',
  )

  // An import whose mapping was made before goes on meaning what it meant.
  const { importRun } = await world.ask(actor, 'query ($id: ID!) { importRun(id: $id) { plan { hash } } }', {
    id: waiting,
  })
  const confirmed = await world.ask(
    actor,
    'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { userErrors { message } } }',
    { input: { runId: waiting, planHash: importRun.plan.hash, idempotencyKey: key() } },
  )
  assert.deepEqual(confirmed.importConfirm.userErrors, [])
  assert.equal(await world.rested(actor, waiting), 'COMPLETED')
  const shown = (await world.ask(actor, changesQuery, { id: waiting })).importRun.rows.nodes[0].changes
  assert.deepEqual(shown, [{ field: 'custom.colour', before: 'red', after: 'green' }])

  const other = await create(actor, { key: 'colour', kind: 'INTEGER' })
  assert.match(other.userErrors[0].message, /An archived custom field has the key colour already, of kind TEXT/)
  const back = await create(actor, { key: 'colour', kind: 'TEXT', label: 'Favourite colour' })
  const revived = back.recordSchema.fields.find((field: Json) => field.name === 'custom.colour')
  assert.deepEqual([revived.id, revived.label], [colour.id, 'Favourite colour'])
  assert.deepEqual(await custom(actor), { Ada: 'colour=green score=1.5 vip=true', Bob: '' })
})

test('records are matched on a custom field beside one with an index', async () => {
  const actor = await newcomer()
  await made(actor, ...shortFields)
  const map = [
    { column: 'Mail', field: 'email' },
    { column: 'Score', field: 'custom.score' },
    { column: 'Colour', field: 'custom.colour' },
  ]
  const options = { matchOn: [['email', 'custom.score']] }
  await world.import(actor, 'CONTACT', 'Mail,Score,Colour\na@example.com,1,red\na@example.com,2,blue\n', options, {
    mapping: map,
  })
  const id = await world.import(
    actor,
    'CONTACT',
    'Mail,Score,Colour\na@example.com,2.0,green\na@example.com,3,pink\n',
    options,
    {
      mapping: map,
    },
  )
  const { importRun } = await world.ask(actor, changesQuery, { id })
  assert.deepEqual(importRun.counts, { created: 1, updated: 1, unchanged: 0, failed: 0 })
  assert.deepEqual(importRun.rows.nodes[0].changes, [{ field: 'custom.colour', before: 'blue', after: 'green' }])
})

test('what cannot be a field is refused with a reason', async () => {
  const actor = await newcomer()
  const cases: [NewField, string, RegExp][] = [
    [{ key: 'Colour', kind: 'TEXT' }, 'key', /camel case/],
    [{ key: 'fav_colour', kind: 'TEXT' }, 'key', /camel case/],
    [{ key: '', kind: 'TEXT' }, 'key', /camel case/],
    [{ key: 'a'.repeat(CUSTOM_FIELD_KEY_LENGTH_MAX + 1), kind: 'TEXT' }, 'key', /at most 40/],
    [{ key: 'colour', kind: 'TEXT', label: ' ' }, 'label', /1 to 100 characters/],
    [{ key: 'colour', kind: 'TEXT', label: 'x'.repeat(101) }, 'label', /1 to 100 characters/],
    [{ key: 'boss', kind: 'REFERENCE' }, 'kind', /cannot be of kind REFERENCE/],
    [{ key: 'tier', kind: 'ENUM' }, 'options', /needs options/],
    [{ key: 'tier', kind: 'TEXT', options: ['a'] }, 'options', /belong to fields of kind ENUM/],
    [{ key: 'tier', kind: 'ENUM', options: ['a', 'A'] }, 'options', /given twice/],
    [{ key: 'tier', kind: 'ENUM', options: ['a\u0000b'] }, 'options', /on one line/],
    [{ key: 'tier', kind: 'MULTI_ENUM', options: ['a, b'] }, 'options', /separates entries/],
    [
      { key: 'tier', kind: 'ENUM', options: Array.from({ length: CUSTOM_FIELD_OPTIONS_MAX + 1 }, (_, i) => `o${i}`) },
      'options',
      /at most 200 options/,
    ],
  ]
  for (const [field, member, message] of cases) {
    const { userErrors, recordSchema } = await create(actor, field)
    assert.equal(recordSchema, null)
    assert.deepEqual(
      [userErrors[0].code, userErrors[0].field],
      ['INVALID_INPUT', ['field', member]],
      JSON.stringify(field),
    )
    assert.match(userErrors[0].message, message)
  }
  await made(
    actor,
    { key: 'a'.repeat(CUSTOM_FIELD_KEY_LENGTH_MAX), kind: 'TEXT', label: 'x'.repeat(100) },
    {
      key: 'tier',
      kind: 'ENUM',
      options: Array.from({ length: CUSTOM_FIELD_OPTIONS_MAX }, (_, i) => `o${i}`.padEnd(100, 'x')),
    },
  )
  assert.match((await create(actor, { key: 'tier', kind: 'ENUM', options: ['x'] })).userErrors[0].message, /already/)
  assert.equal(
    (await create(actor, { key: 'tier', kind: 'TEXT' }, 'LEAD')).userErrors.length,
    0,
    'leads have fields of their own',
  )
})

test('a record type has as many fields as the limit says, all of them at once in one import', async () => {
  const actor = await newcomer()
  const keys = Array.from({ length: CUSTOM_FIELDS_MAX }, (_, i) => `f${i}`)
  const column = (own: string) => ({ column: own, createCustomField: { key: own, label: own, kind: 'INTEGER' } })
  const csv = `Name,${keys.join(',')}\nAda,${keys.map((_, i) => i).join(',')}\n`
  await world.import(
    actor,
    'CONTACT',
    csv,
    {},
    { mapping: [{ column: 'Name', field: 'displayName' }, ...keys.map(column)] },
  )
  const [record] = await contacts(actor)
  assert.deepEqual(
    record.customFields,
    keys.map((own, i) => ({ key: own, value: String(i) })),
  )
  const { userErrors } = await create(actor, { key: 'oneMore', kind: 'TEXT' })
  assert.equal(userErrors[0].code, 'LIMIT_EXCEEDED')
  // Archived ones make room, until there are as many keys as one record type can have.
  await world.oracle.query('update custom_field set to_version = 2 where tenant_id = $1', [actor.tenantId])
  await made(actor, { key: 'oneMore', kind: 'TEXT' })
  await world.oracle.query(
    `insert into custom_field (tenant_id, id, record_type, key, position, label, kind, from_version, to_version, created_by)
     select $1, gen_random_uuid(), 'contact', 'k' || n, n, 'K', 'TEXT', 1, 2, 'test' from generate_series($2::int, $3::int) n`,
    [actor.tenantId, CUSTOM_FIELDS_MAX + 2, CUSTOM_FIELD_KEYS_MAX],
  )
  assert.match((await create(actor, { key: 'tooMany', kind: 'TEXT' })).userErrors[0].message, /at most 1000 keys/)
  await made(actor, { key: 'f7', kind: 'INTEGER' })
})

test('a neighbour has none of it', async () => {
  const actor = await newcomer()
  const neighbour = await newcomer()
  await made(actor, ...shortFields)
  await importShort(actor, base, {}, { mapping: baseMapping })
  const own = (await schema(actor)).fields.find((field: Json) => field.name === 'custom.colour')
  const theirs = await schema(neighbour)
  assert.equal(theirs.version, 1)
  assert.ok(theirs.fields.every((field: Json) => !field.custom))
  await assert.rejects(world.import(neighbour, 'CONTACT', base, {}, { mapping: baseMapping }), /UNKNOWN_FIELD/)
  const archived = (await world.ask(neighbour, archiveMutation, { id: own.id })).customFieldArchive
  assert.equal(archived.userErrors[0].code, 'NOT_FOUND')
  await made(neighbour, { key: 'colour', kind: 'INTEGER' })
  assert.equal((await schema(actor)).version, 4)
})

test('values are masked for who may not see personal data, and cannot be asked for', async () => {
  const actor = await newcomer()
  await made(actor, ...shortFields)
  await importShort(actor, base, {}, { mapping: baseMapping })
  const run = await importShort(actor, 'Id,Colour,Score,Vip\n1,green,,\n')
  const blind = await world.actor(
    actor.tenantId,
    permissions.filter((permission) => permission !== 'PII_READ'),
  )
  const [record] = (await contacts(blind)).filter(({ customFields }) => customFields.length > 0)
  assert.deepEqual(record.customFields[0], { key: 'colour', value: '***' })
  assert.deepEqual((await world.ask(blind, changesQuery, { id: run.id })).importRun.rows.nodes[0].changes, [
    { field: 'custom.colour', before: '***', after: '***' },
  ])
  const { errors } = await world.run(
    blind,
    'query ($filter: RecordFilterInput) { contacts(filter: $filter) { nodes { id } } }',
    { filter: { not: where('custom.colour', 'EQ', 'green') } },
  )
  assert.equal(errors[0]?.extensions.permission, 'PII_READ')
})
