import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Actor, World } from './world.js'

let world: World
let ada: Actor

const header = 'External id,Full name,E-mail,City,Birth date,Tags,Opted out,Organization,Owner'
const rows = [
  'o1,Acme Ltd,info@acme.example,Berlin,,,no,,',
  'c1,Ada Lovelace,ada@example.com,London,1815-12-10,vip;math,no,info@acme.example,owner@example.com',
  'c2,Grace Hopper,grace@example.com,New York,1906-12-09,navy,yes,info@acme.example,',
  'c3,Alan Turing,alan@example.com,london,1912-06-23,,no,,',
  'c4,Edsger Dijkstra,,,1930-05-11,math,no,,',
  'c5,100% _odd_ \\name,,,,,no,,',
]
const mapping = [
  ['External id', 'externalId'],
  ['Full name', 'displayName'],
  ['E-mail', 'email'],
  ['City', 'city'],
  ['Birth date', 'birthDate'],
  ['Tags', 'tags'],
  ['Opted out', 'emailOptOut'],
  ['Organization', 'organization.email'],
  ['Owner', 'ownerEmail'],
].map(([column, field]) => ({ column, field }))

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant())
  await world.ask(
    ada,
    'mutation { memberSave(input: { email: "Owner@Example.com", name: "Olga" }) { member { id } userErrors { message } } }',
  )
  // Organizations first, so that the others can refer to them.
  await world.import(ada, 'CONTACT', `${header}\n${rows[0]}\n`, {}, { mapping })
  await world.import(ada, 'CONTACT', `${header}\n${rows.slice(1).join('\n')}\n`, {}, { mapping })
})
after(() => world.close())

async function found(filter: object | null, orderBy: object[] | null = null): Promise<string[]> {
  const { contacts } = await world.ask(
    ada,
    'query ($filter: RecordFilterInput, $orderBy: [RecordOrderInput!]) { contacts(filter: $filter, orderBy: $orderBy) { totalCount nodes { externalId } } }',
    { filter, orderBy },
  )
  assert.equal(contacts.totalCount, contacts.nodes.length)
  return contacts.nodes.map(({ externalId }: { externalId: string }) => externalId)
}

const where = (field: string, operator: string, value?: string | string[]) => ({
  where: { field, operator, ...(Array.isArray(value) ? { values: value } : { value }) },
})

test('lists the newest import first and its rows as in the file', async () => {
  assert.deepEqual(await found(null), ['c1', 'c2', 'c3', 'c4', 'c5', 'o1'])
  // With a filter the list takes another road to the same order.
  assert.deepEqual(await found(where('displayName', 'IS_NOT_NULL')), ['c1', 'c2', 'c3', 'c4', 'c5', 'o1'])
})

for (const [filter, expected] of [
  [where('email', 'EQ', 'ADA@example.com'), ['c1']],
  [where('email', 'NEQ', 'ada@example.com'), ['c2', 'c3', 'c4', 'c5', 'o1']],
  [where('email', 'IN', ['ada@example.com', 'alan@example.com', 'x@example.com']), ['c1', 'c3']],
  [where('email', 'IN', []), []],
  [where('email', 'NOT_IN', ['ada@example.com']), ['c2', 'c3', 'c4', 'c5', 'o1']],
  [where('email', 'IS_NULL'), ['c4', 'c5']],
  [where('city', 'CONTAINS', 'OND'), ['c1', 'c3']],
  [where('city', 'STARTS_WITH', 'new'), ['c2']],
  [where('displayName', 'CONTAINS', '100%'), ['c5']],
  [where('displayName', 'CONTAINS', '_odd_'), ['c5']],
  [where('displayName', 'CONTAINS', '\\name'), ['c5']],
  [where('displayName', 'CONTAINS', "'; drop table contact; --"), []],
  [where('birthDate', 'LT', '1906-12-09'), ['c1']],
  [where('birthDate', 'LTE', '1906-12-09'), ['c1', 'c2']],
  [where('birthDate', 'GT', '1912-06-23'), ['c4']],
  [where('birthDate', 'GTE', '1912-06-23'), ['c3', 'c4']],
  [where('emailOptOut', 'EQ', 'true'), ['c2']],
  [where('kind', 'EQ', 'PERSON'), ['c1', 'c2', 'c3', 'c4', 'c5', 'o1']],
  [where('tags', 'EQ', 'math'), ['c1', 'c4']],
  [where('tags', 'NEQ', 'math'), ['c2', 'c3', 'c5', 'o1']],
  [where('tags', 'IS_NULL'), ['c3', 'c5', 'o1']],
  [where('ownerEmail', 'EQ', 'owner@example.com'), ['c1']],
  [where('ownerEmail', 'IS_NULL'), ['c2', 'c3', 'c4', 'c5', 'o1']],
  [where('organization.email', 'EQ', 'info@acme.example'), ['c1', 'c2']],
  [where('organization.externalId', 'STARTS_WITH', 'o'), ['c1', 'c2']],
  [where('organization.email', 'NEQ', 'info@acme.example'), ['c3', 'c4', 'c5', 'o1']],
  [where('organization', 'IS_NOT_NULL'), ['c1', 'c2']],
  [where('version', 'GTE', '2'), []],
  [where('createdAt', 'GT', '2000-01-01T00:00:00+01:00'), ['c1', 'c2', 'c3', 'c4', 'c5', 'o1']],
  [{ and: [where('tags', 'EQ', 'math'), where('email', 'IS_NOT_NULL')] }, ['c1']],
  [{ or: [where('tags', 'EQ', 'navy'), { not: where('email', 'IS_NOT_NULL') }] }, ['c2', 'c4', 'c5']],
  // What has no value is not London either.
  [{ not: where('city', 'CONTAINS', 'london') }, ['c2', 'c4', 'c5', 'o1']],
  [{ and: [] }, ['c1', 'c2', 'c3', 'c4', 'c5', 'o1']],
  [{ or: [] }, []],
] as const) {
  test(`finds ${JSON.stringify(filter)}`, async () => assert.deepEqual(await found(filter), expected))
}

test('asks by public ids', async () => {
  const { contacts } = await world.ask(
    ada,
    '{ contacts(first: 10) { nodes { id externalId organization { id displayName } } } }',
  )
  const [first] = contacts.nodes
  assert.deepEqual(await found(where('id', 'EQ', first.id)), ['c1'])
  assert.deepEqual(await found(where('organization', 'IN', [first.organization.id])), ['c1', 'c2'])
  assert.deepEqual(await found(where('id', 'EQ', first.id.replace('con_', 'led_'))), [])
  assert.equal(first.organization.displayName, 'Acme Ltd')
})

for (const [orderBy, expected] of [
  [[{ field: 'displayName' }], ['c5', 'o1', 'c1', 'c3', 'c4', 'c2']],
  [[{ field: 'displayName', direction: 'DESC' }], ['c2', 'c4', 'c3', 'c1', 'o1', 'c5']],
  [[{ field: 'birthDate' }], ['c1', 'c2', 'c3', 'c4', 'c5', 'o1']],
  [[{ field: 'birthDate', direction: 'DESC' }], ['c4', 'c3', 'c2', 'c1', 'c5', 'o1']],
  [
    [
      { field: 'emailOptOut', direction: 'DESC' },
      { field: 'externalId', direction: 'DESC' },
    ],
    ['c2', 'o1', 'c5', 'c4', 'c3', 'c1'],
  ],
  [
    [{ field: 'organization.email' }, { field: 'externalId', direction: 'DESC' }],
    ['c2', 'c1', 'o1', 'c5', 'c4', 'c3'],
  ],
] as const) {
  test(`orders by ${JSON.stringify(orderBy)}, also page by page`, async () => {
    assert.deepEqual(await found(null, [...orderBy]), expected)
    for (const first of [1, 2, 5]) {
      const seen: string[] = []
      let after: string | null = null
      do {
        const {
          contacts,
        }: { contacts: { nodes: { externalId: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } } } =
          await world.ask(
            ada,
            'query ($first: Int!, $after: String, $orderBy: [RecordOrderInput!]) { contacts(first: $first, after: $after, orderBy: $orderBy) { nodes { externalId } pageInfo { hasNextPage endCursor } } }',
            { first, after, orderBy },
          )
        seen.push(...contacts.nodes.map(({ externalId }) => externalId))
        after = contacts.pageInfo.hasNextPage ? contacts.pageInfo.endCursor : null
      } while (after !== null)
      assert.deepEqual(seen, expected, `${first} at a time`)
    }
  })
}

test('the default order is the same page by page, with and without a filter', async () => {
  for (const filter of [null, where('displayName', 'IS_NOT_NULL')]) {
    for (const first of [1, 2, 4, 6]) {
      const seen: string[] = []
      let after: string | null = null
      do {
        const {
          contacts,
        }: {
          contacts: {
            edges: { node: { externalId: string }; cursor: string }[]
            pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean }
          }
        } = await world.ask(
          ada,
          'query ($first: Int!, $after: String, $filter: RecordFilterInput) { contacts(first: $first, after: $after, filter: $filter) { edges { cursor node { externalId } } pageInfo { hasNextPage hasPreviousPage } } }',
          { first, after, filter },
        )
        assert.equal(contacts.pageInfo.hasPreviousPage, after !== null)
        seen.push(...contacts.edges.map(({ node }) => node.externalId))
        after = contacts.pageInfo.hasNextPage ? (contacts.edges.at(-1)?.cursor ?? null) : null
      } while (after !== null)
      assert.deepEqual(seen, ['c1', 'c2', 'c3', 'c4', 'c5', 'o1'], `${first} at a time`)
    }
  }
})

for (const [what, args, code] of [
  ['an unknown field', 'filter: { where: { field: "tenant_id", operator: EQ, value: "x" } }', 'UNKNOWN_FIELD'],
  [
    'a field of Object.prototype',
    'filter: { where: { field: "constructor", operator: EQ, value: "x" } }',
    'UNKNOWN_FIELD',
  ],
  [
    'a value that is none',
    'filter: { where: { field: "birthDate", operator: EQ, value: "1906-02-30" } }',
    'INVALID_INPUT',
  ],
  [
    'a comparison without order',
    'filter: { where: { field: "kind", operator: LT, value: "PERSON" } }',
    'INVALID_INPUT',
  ],
  ['a missing value', 'filter: { where: { field: "email", operator: EQ } }', 'INVALID_INPUT'],
  [
    'values where one is asked for',
    'filter: { where: { field: "email", operator: EQ, values: ["a"] } }',
    'INVALID_INPUT',
  ],
  ['two members at once', 'filter: { and: [], or: [] }', 'INVALID_INPUT'],
  ['no member', 'filter: {}', 'INVALID_INPUT'],
  ['a deep filter', `filter: ${'{ not: '.repeat(10)}{ and: [] }${' }'.repeat(10)}`, 'INVALID_INPUT'],
  ['a cursor of another list', 'after: "bm8"', 'INVALID_INPUT'],
  ['a cursor with a wrong value', `after: "${Buffer.from('["x","y","z"]').toString('base64url')}"`, 'INVALID_INPUT'],
  ['an order by several values', 'orderBy: [{ field: "tags" }]', 'INVALID_INPUT'],
  ['an order by too many fields', `orderBy: [${'{ field: "city" }'.repeat(6)}]`, 'INVALID_INPUT'],
] as const) {
  test(`refuses ${what}`, async () => {
    const answer = await world.run(ada, `{ contacts(${args}) { totalCount } }`)
    assert.equal(answer.errors[0]?.extensions.code, code, answer.text)
  })
}

test('takes the deepest filter and the longest that are allowed, and no more', async () => {
  const deepest = {
    and: [{ and: [{ and: [{ and: [{ and: [{ and: [{ and: [{ and: [{ and: [{ and: [] }] }] }] }] }] }] }] }] }],
  }
  assert.equal((await found(deepest)).length, 6)
  const many = (count: number) => ({ and: Array.from({ length: count }, () => where('city', 'NEQ', 'Nowhere')) })
  assert.equal((await found(many(100))).length, 6)
  await assert.rejects(found(many(101)), /100 conditions/)
})

test('reads the references of a whole page in one statement each', async () => {
  const statements = async () =>
    Number(
      (
        await world.oracle.query(
          'select xact_commit + xact_rollback as n from pg_stat_database where datname = current_database()',
        )
      ).rows[0].n,
    )
  const settle = async () => {
    await world.oracle.query('select pg_stat_force_next_flush()')
    await world.oracle.query('select pg_stat_clear_snapshot()')
  }
  // Others work on the database meanwhile: the least of some tries is what the query takes.
  let least = Infinity
  for (let tries = 0; tries < 5; tries++) {
    await settle()
    const before = await statements()
    await world.ask(
      ada,
      '{ contacts(first: 10) { nodes { organization { displayName } identities { externalId } provenance { runId } } } }',
    )
    await settle()
    least = Math.min(least, (await statements()) - before)
  }
  assert.ok(least < 20, `${least} transactions`)
})

const update =
  'mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { record { id version ... on Contact { email birthDate tags ownerEmail organization { externalId } displayName } } userErrors { code field message } } }'

async function contactNamed(externalId: string): Promise<{ id: string; version: number }> {
  const { contacts } = await world.ask(
    ada,
    'query ($filter: RecordFilterInput) { contacts(filter: $filter) { nodes { id version } } }',
    {
      filter: where('externalId', 'EQ', externalId),
    },
  )
  return contacts.nodes[0]
}

test('changes a record under the rules of an import', async () => {
  const { id, version } = await contactNamed('c4')
  const organization = await contactNamed('o1')
  const set = (fields: object[], extra: object = {}) =>
    world.ask(ada, update, { input: { recordType: 'CONTACT', id, fields, ...extra } })
  const changed = await set(
    [
      { field: 'email', value: ' Edsger@Example.COM ' },
      { field: 'birthDate', value: null },
      { field: 'tags', value: 'a; b' },
      { field: 'ownerEmail', value: 'OWNER@example.com' },
      { field: 'organization', value: organization.id },
    ],
    { version },
  )
  assert.deepEqual(changed.recordUpdate, {
    record: {
      id,
      version: version + 1,
      email: 'edsger@example.com',
      birthDate: null,
      tags: ['a', 'b'],
      ownerEmail: 'owner@example.com',
      organization: { externalId: 'o1' },
      displayName: 'Edsger Dijkstra',
    },
    userErrors: [],
  })
  const same = await set([{ field: 'email', value: 'edsger@example.com' }])
  assert.equal(same.recordUpdate.record.version, version + 1, 'what changes nothing is not written')
  const refusals: readonly (readonly [object[], string, object?])[] = [
    [[{ field: 'email', value: 'x@example.com' }], 'VERSION_CONFLICT', { version }],
    [[{ field: 'email', value: 'no address' }], 'INVALID_INPUT'],
    [[{ field: 'displayName', value: null }], 'INVALID_INPUT'],
    [[{ field: 'displayName', value: '  ' }], 'INVALID_INPUT'],
    [[{ field: 'kind', value: 'ROBOT' }], 'INVALID_INPUT'],
    [[{ field: 'version', value: '7' }], 'UNKNOWN_FIELD'],
    [[{ field: 'tenantId', value: 'x' }], 'UNKNOWN_FIELD'],
    [[{ field: 'deletedAt', value: 'x' }], 'UNKNOWN_FIELD'],
    [[{ field: 'organization', value: 'con_00000000000000000000000001' }], 'INVALID_INPUT'],
    [[{ field: 'ownerEmail', value: 'stranger@example.com' }], 'INVALID_INPUT'],
    [[{ field: 'externalId', value: 'c1' }], 'INVALID_INPUT'],
    [
      [
        { field: 'email', value: 'a@example.com' },
        { field: 'email', value: 'b@example.com' },
      ],
      'INVALID_INPUT',
    ],
  ]
  for (const [fields, code, extra] of refusals) {
    const { recordUpdate } = await set(fields, extra)
    assert.equal(recordUpdate.record, null)
    assert.equal(recordUpdate.userErrors[0].code, code, JSON.stringify([fields, recordUpdate.userErrors]))
  }
  const { contacts } = await world.ask(ada, '{ contacts(first: 10) { nodes { externalId version email } } }')
  const now = contacts.nodes.find(({ externalId }: { externalId: string }) => externalId === 'c4')
  assert.deepEqual(now, { externalId: 'c4', version: version + 1, email: 'edsger@example.com' })
})

test('deletes a record, and references to it are gone with it', async () => {
  const { id, version } = await contactNamed('o1')
  const remove =
    'mutation ($input: RecordDeleteInput!) { recordDelete(input: $input) { deletedId userErrors { code } } }'
  const conflict = await world.ask(ada, remove, { input: { recordType: 'CONTACT', id, version: version + 5 } })
  assert.equal(conflict.recordDelete.userErrors[0].code, 'VERSION_CONFLICT')
  const wrongType = await world.ask(ada, remove, { input: { recordType: 'LEAD', id } })
  assert.equal(wrongType.recordDelete.userErrors[0].code, 'NOT_FOUND')
  const done = await world.ask(ada, remove, { input: { recordType: 'CONTACT', id, version } })
  assert.deepEqual(done.recordDelete, { deletedId: id, userErrors: [] })
  const again = await world.ask(ada, remove, { input: { recordType: 'CONTACT', id } })
  assert.equal(again.recordDelete.userErrors[0].code, 'NOT_FOUND')
  const { node, contacts } = await world.ask(
    ada,
    'query ($id: ID!, $filter: RecordFilterInput) { node(id: $id) { id } contacts(filter: $filter) { totalCount nodes { organization { id } } } }',
    { id, filter: where('organization', 'IS_NULL') },
  )
  assert.equal(node, null)
  assert.equal(contacts.totalCount, 5)
  assert.ok(contacts.nodes.every(({ organization }: { organization: unknown }) => organization === null))
})

test('the four record types show all their fields', async () => {
  const schema = await world.ask(ada, '{ __schema { types { name fields { name } } } }')
  const owner = await world.ask(
    ada,
    '{ recordSchema(recordType: ACTIVITY) { version fields { name kind required references options sensitive unique custom maxLength label description } matchableFields templateFileUrl } }',
  )
  assert.ok(schema.__schema.types.length > 50)
  const template = await fetch(owner.recordSchema.templateFileUrl)
  assert.equal(template.headers.get('content-disposition')?.includes('activity-template.csv'), true)
  const [names = ''] = (await template.text()).split('\r\n')
  assert.ok(names.split(',').includes('contact.email'))
  await world.import(
    ada,
    'LEAD',
    'Title,E-mail,Budget from,Bedrooms\nFlat,x@example.com,100000.50,3\n',
    {},
    {
      mapping: [
        ['Title', 'title'],
        ['E-mail', 'email'],
        ['Budget from', 'budgetMin'],
        ['Bedrooms', 'bedroomsTotal'],
      ].map(([column, field]) => ({ column, field })),
    },
  )
  await world.import(
    ada,
    'PROPERTY',
    'Name,Listing,Latitude,Price,Bathrooms\nHouse,L1,52.52,250000,2.5\n',
    {},
    {
      mapping: [
        ['Name', 'name'],
        ['Listing', 'listingId'],
        ['Latitude', 'latitude'],
        ['Price', 'listPrice'],
        ['Bathrooms', 'bathroomsTotal'],
      ].map(([column, field]) => ({ column, field })),
    },
  )
  await world.import(
    ada,
    'ACTIVITY',
    'Type,Subject,Listing,Start\nShowing,Visit,L1,2026-11-22T10:00:00Z\n',
    {},
    {
      mapping: [
        ['Type', 'type'],
        ['Subject', 'subject'],
        ['Listing', 'property.listingId'],
        ['Start', 'startAt'],
      ].map(([column, field]) => ({ column, field })),
    },
  )
  for (const [list, type] of [
    ['contacts', 'Contact'],
    ['leads', 'Lead'],
    ['properties', 'Property'],
    ['activities', 'Activity'],
  ] as const) {
    const fields = schema.__schema.types.find(({ name }: { name: string }) => name === type).fields as {
      name: string
    }[]
    const objects: Record<string, string> = {
      customFields: '{ key }',
      provenance: '{ runId }',
      identities: '{ externalId }',
      links: '{ role recordType recordId }',
      organization: '{ id }',
      contact: '{ id }',
      property: '{ id name }',
      ownerContact: '{ id }',
      lead: '{ id }',
    }
    const selection = fields.map(({ name }) => `${name} ${objects[name] ?? ''}`).join(' ')
    const answer = await world.ask(ada, `{ ${list}(first: 1) { nodes { ${selection} } } }`)
    const [record] = answer[list].nodes
    if (type === 'Property') {
      assert.equal(record.latitude, 52.52)
      assert.equal(record.listPrice, '250000.00')
      assert.equal(record.bathroomsTotal, '2.50')
    }
    if (type === 'Activity') {
      assert.deepEqual(record.links, [{ role: 'PRIMARY', recordType: 'PROPERTY', recordId: record.property.id }])
      assert.equal(record.startAt, '2026-11-22T10:00:00.000Z')
    }
    if (type === 'Lead') {
      assert.equal(record.budgetMin, '100000.50')
      assert.equal(record.bedroomsTotal, 3)
    }
  }
})
