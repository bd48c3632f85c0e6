import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parse } from 'graphql'
import {
  ALIASES_MAX,
  BODY_BYTES_MAX,
  COST_MAX,
  DEPTH_MAX,
  DIRECTIVES_MAX,
  LIST_LENGTH_MAX,
  ROOT_FIELDS_MAX,
  TOKENS_MAX,
} from '../../src/limits.js'
import { apiSchema } from '../../src/resolvers/schema.js'
import { checkOperation, measureOperation } from '../../src/server/operation-limits.js'
import { SocketClient } from './socket-client.js'
import { type Actor, authorization, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start({ worker: false })
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

interface Case {
  readonly query: string
  readonly variables?: Readonly<Record<string, unknown>>
}

const organizations = (levels: number): string => `${'organization { '.repeat(levels)}id${' }'.repeat(levels)}`
const rootFields = [
  'viewer { actor }',
  'contacts { totalCount }',
  'leads { totalCount }',
  'properties { totalCount }',
  'activities { totalCount }',
  'runs { pageInfo { hasNextPage } }',
  'members { id }',
  'apiKeys { id }',
  'recordSchema(recordType: LEAD) { version }',
  'node(id: "x") { id }',
  'file(id: "x") { id }',
]
const inFilter = (length: number) => ({
  filter: { where: { field: 'email', operator: 'IN', values: Array.from({ length }, (_, i) => `p${i}@example.com`) } },
})

/** For each limit, an operation that just keeps it and one that just breaks it. */
const edges: Readonly<Record<string, (by: 0 | 1) => Case>> = {
  depth: (by) => ({ query: `{ contacts(first: 1) { nodes { ${organizations(DEPTH_MAX - 3 + by)} } } }` }),
  'depth through fragments': (by) => ({
    query: `{ contacts(first: 1) { nodes { ...A } } } fragment A on Contact { organization { ...B } } fragment B on Contact { ${organizations(DEPTH_MAX - 4 + by)} }`,
  }),
  aliases: (by) => ({
    query: `{ viewer { ${Array.from({ length: ALIASES_MAX + by }, (_, i) => `a${i}: actor`).join(' ')} } }`,
  }),
  'aliases through fragments': (by) => ({
    query: `{ viewer { ...A ... on Viewer { ${by === 1 ? 'x: actor' : 'actor'} } } } fragment A on Viewer { ${Array.from({ length: ALIASES_MAX }, (_, i) => `a${i}: actor`).join(' ')} }`,
  }),
  'root fields': (by) => ({ query: `{ ${rootFields.slice(0, ROOT_FIELDS_MAX + by).join(' ')} }` }),
  directives: (by) => ({
    query: `query ($yes: Boolean!, $no: Boolean!) { viewer ${'@include(if: $yes)'.repeat(DIRECTIVES_MAX - 10 + by)} { ${[
      'actor',
      'tenantId',
      'tenantName',
      'permissions',
      '__typename',
    ]
      .map((field) => `${field} @include(if: $yes) @skip(if: $no)`)
      .join(' ')} } }`,
    variables: { yes: true, no: false },
  }),
  // 1 for the list, and for each of its objects 1 for itself and 9 for those it refers to.
  cost: (by) => ({
    query: `{ contacts(first: ${Math.floor((COST_MAX - 1) / 10) + by}) { nodes { ${organizations(9)} } } }`,
  }),
  'cost by a variable': (by) => ({
    query: `query ($first: Int!) { contacts(first: $first) { nodes { ${organizations(9)} } } }`,
    variables: { first: Math.floor((COST_MAX - 1) / 10) + by },
  }),
  'cost by the default of a variable': (by) => ({
    query: `query ($first: Int! = ${Math.floor((COST_MAX - 1) / 10) + by}) { contacts(first: $first) { nodes { ${organizations(9)} } } }`,
  }),
  first: (by) => ({ query: `{ contacts(first: ${LIST_LENGTH_MAX + by}) { totalCount } }` }),
  'list in variables': (by) => ({
    query: 'query ($filter: RecordFilterInput) { contacts(filter: $filter) { totalCount } }',
    variables: inFilter(LIST_LENGTH_MAX + by),
  }),
  'list in the document': (by) => ({
    query: `{ contacts(filter: { where: { field: "email", operator: IN, values: [${'"a@b.c"'.repeat(LIST_LENGTH_MAX + by)}] } }) { totalCount } }`,
  }),
}

for (const [name, at] of Object.entries(edges)) {
  test(`answers at the limit of ${name} and refuses above it [GQ-2]`, async () => {
    const kept = await world.run(ada, at(0).query, at(0).variables)
    assert.deepEqual(kept.errors, [])
    const broken = await world.run(ada, at(1).query, at(1).variables)
    assert.equal(broken.status, 400)
    assert.equal(broken.data, undefined, 'no resolver has run')
    assert.equal(broken.errors[0]?.extensions.code, 'OPERATION_TOO_LARGE')
    assert.match(name, new RegExp(`^${broken.errors[0]?.extensions.limit}`))
  })

  test(`does the same on a socket for ${name} [GQ-2]`, async () => {
    const socket = await SocketClient.open(world.url, ada.token)
    const kept = await socket.answer('1', at(0).query, at(0).variables)
    assert.equal(kept.type, 'next', JSON.stringify(kept))
    const broken = await socket.answer('2', at(1).query, at(1).variables)
    assert.equal(broken.type, 'error')
    assert.equal(broken.payload[0].extensions.code, 'OPERATION_TOO_LARGE')
    socket.close()
  })
}

test('first is never zero or negative', async () => {
  for (const first of [0, -1, -500]) {
    const answer = await world.run(ada, `{ contacts(first: ${first}) { totalCount } }`)
    assert.equal(answer.errors[0]?.extensions.limit, 'first')
  }
  const nothing = await world.run(ada, '{ contacts(first: 1) { nodes { provenance(first: null) { runId } } } }')
  assert.deepEqual(nothing.errors, [], 'null is the default')
})

test('refuses more tokens than are read', async () => {
  // 16 tokens around the list, six for each of its items, and names to fill up.
  const document = (tokens: number) =>
    `{ contacts(filter: { and: [${'{ and: [] } '.repeat(330)}] }) { totalCount } ${'__typename '.repeat(tokens - 16 - 330 * 6)} }`
  assert.deepEqual((await world.run(ada, document(TOKENS_MAX))).errors, [])
  const refused = await world.run(ada, document(TOKENS_MAX + 1))
  assert.equal(refused.errors[0]?.extensions.code, 'GRAPHQL_PARSE_FAILED')
  const socket = await SocketClient.open(world.url, ada.token)
  const onSocket = await socket.answer('1', document(TOKENS_MAX + 1))
  assert.equal(onSocket.payload[0].extensions.code, 'GRAPHQL_PARSE_FAILED')
  socket.close()
})

test('refuses a larger body than is read', async () => {
  const body = (bytes: number) => {
    const start = JSON.stringify({ query: '{ viewer { actor } }', extensions: { pad: '' } })
    return start.replace('"pad":""', `"pad":"${'x'.repeat(bytes - start.length)}"`)
  }
  const send = (bytes: number) =>
    fetch(`${world.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization(ada) },
      body: body(bytes),
    })
  assert.equal((await send(BODY_BYTES_MAX)).status, 200)
  const refused = await send(BODY_BYTES_MAX + 1)
  assert.equal(refused.status, 413)
  assert.equal(JSON.parse(await refused.text()).errors[0].extensions.code, 'REQUEST_TOO_LARGE')
})

test('refuses deep input before it exhausts the stack', async () => {
  const depth = '{"not":'.repeat(20_000)
  const answer = await fetch(`${world.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization(ada) },
    body: `{"query":"query ($f: RecordFilterInput) { contacts(filter: $f) { totalCount } }","variables":{"f":${depth}{"and":[]}${'}'.repeat(20_000)}}}`,
  })
  const parsed = JSON.parse(await answer.text())
  assert.equal(parsed.errors[0].extensions.limit, 'input depth')
})

test('fragments that multiply each other are counted, not walked', () => {
  const levels = 80
  const fragments = Array.from(
    { length: levels },
    (_, i) => `fragment F${i} on Viewer { ...F${i + 1} ...F${i + 1} }`,
  ).join(' ')
  const document = parse(`{ viewer { ...F0 } } ${fragments} fragment F${levels} on Viewer { a: actor }`)
  const started = performance.now()
  const error = checkOperation(apiSchema, document, null, {})
  assert.ok(performance.now() - started < 20)
  assert.equal(error?.extensions.limit, 'aliases')
})

test('introspection costs nothing and is not deep', () => {
  const document = parse(
    '{ __schema { types { fields { type { ofType { ofType { ofType { ofType { name } } } } } } } } }',
  )
  const operation = document.definitions[0]
  assert.ok(operation?.kind === 'OperationDefinition')
  assert.deepEqual(measureOperation(apiSchema, document, operation, {}), {
    depth: 0,
    aliases: 0,
    rootFields: 1,
    directives: 0,
    cost: 0,
  })
})

test('a plain list inside a list costs what it makes the database read', () => {
  const error = checkOperation(
    apiSchema,
    parse('{ contacts(first: 500) { nodes { provenance(first: 500) { runId } } } }'),
    null,
    {},
  )
  assert.equal(error?.extensions.limit, 'cost')
})

test('a refusal is quick [GQ-2]', async () => {
  const { query } = edges.cost?.(1) ?? { query: '' }
  const document = parse(query)
  const started = performance.now()
  for (let i = 0; i < 20; i += 1) {
    checkOperation(apiSchema, document, null, {})
  }
  assert.ok((performance.now() - started) / 20 < 20)
})
