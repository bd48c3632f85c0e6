import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SOCKET_MESSAGE_BYTES_MAX, SOCKET_MESSAGES_PER_MINUTE_MAX, SOCKET_OPERATIONS_MAX } from '../../src/limits.js'
import { SocketClient } from './socket-client.js'
import { type Actor, type Json, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

const events = `subscription ($runId: ID!, $after: String) { runEvents(runId: $runId, after: $after, minIntervalMs: 0) {
  __typename sequence previousSequence at runId
  ... on RunStatusChanged { from to reason { code } }
  ... on RunProgressed { counts { total read created } progress { fraction } }
  ... on RowsSettled { fromRow toRow issueCount counts { created failed } issues { rowNumber code value } }
} }`

const csv = `E-mail,First name\n${Array.from({ length: 20 }, (_, i) => `p${i}@example.com,P${i}`).join('\n')}\nwrong,Q\n`
const mapping = [
  { column: 'E-mail', field: 'email' },
  { column: 'First name', field: 'firstName' },
]

test('tells every event of a run once, and goes on where a subscriber left [AR-4]', async () => {
  const id = await world.import(ada, 'CONTACT', csv, {}, { mapping })
  const socket = await SocketClient.open(world.url, ada.token)
  socket.subscribe('1', events, { runId: id })
  const seen: Json[] = []
  while (seen.at(-1)?.to !== 'COMPLETED_WITH_ERRORS') {
    seen.push((await socket.next(({ type }) => type === 'next')).payload.data.runEvents)
  }
  assert.equal(seen[0].__typename, 'RunStatusChanged')
  assert.deepEqual([seen[0].from, seen[0].to, seen[0].previousSequence], [null, 'ANALYZING', null])
  assert.ok(seen.every(({ runId, sequence }) => runId === id && /^\d{20}$/.test(sequence)))
  for (let i = 1; i < seen.length; i += 1) {
    assert.equal(seen[i].previousSequence, seen[i - 1].sequence)
  }
  const settled = seen.filter(({ __typename }) => __typename === 'RowsSettled')
  assert.equal(
    settled.reduce((sum, { fromRow, toRow }) => sum + toRow - fromRow + 1, 0),
    21,
  )
  assert.deepEqual(
    settled.flatMap(({ issues }) => issues),
    [{ rowNumber: 22, code: 'INVALID_EMAIL', value: 'wrong' }],
  )
  socket.send({ type: 'complete', id: '1' })

  const middle = seen[2].sequence
  socket.subscribe('2', events, { runId: id, after: middle })
  const next = await socket.next(({ id, type }) => id === '2' && type === 'next')
  assert.deepEqual(next.payload.data.runEvents, { ...seen[3], previousSequence: middle })
  socket.close()
})

test('tells what happens in the tenant from now on, of the kinds that are asked for', async () => {
  const socket = await SocketClient.open(world.url, ada.token)
  socket.subscribe('all', 'subscription { tenantEvents(minIntervalMs: 0) { __typename runId } }')
  socket.subscribe('undo', 'subscription { tenantEvents(kinds: [ROLLBACK]) { runId } }')
  // Answered in order: both are subscribed when this is.
  await socket.answer('viewer', '{ viewer { actor } }')
  const id = await world.import(ada, 'CONTACT', csv.replaceAll('example.com', 'example.org'), {}, { mapping })
  const event = await socket.next(({ id, type }) => id === 'all' && type === 'next')
  assert.equal(event.payload.data.tenantEvents.runId, id)
  const started = await world.ask(
    ada,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } } }',
    {
      input: { runId: id, idempotencyKey: 'undo it' },
    },
  )
  const undo = await socket.next(({ id, type }) => id === 'undo' && type === 'next')
  assert.equal(undo.payload.data.tenantEvents.runId, started.runRollback.rollbackRun.id)
  await world.rested(ada, started.runRollback.rollbackRun.id)
  socket.close()
})

test('without PII_READ events quote no personal data', async () => {
  const id = await world.import(ada, 'CONTACT', csv, {}, { mapping })
  const blind = await world.actor(ada.tenantId, ['IMPORT_RUN'], 'blind@example.com')
  const socket = await SocketClient.open(world.url, blind.token)
  socket.subscribe('1', events, { runId: id })
  const settled = await socket.next(({ type, payload }) => type === 'next' && payload.data.runEvents.issues?.length > 0)
  assert.deepEqual(settled.payload.data.runEvents.issues, [{ rowNumber: 22, code: 'INVALID_EMAIL', value: '***' }])
  socket.close()
})

test('a stream that cannot be is refused with its reason', async () => {
  const socket = await SocketClient.open(world.url, ada.token)
  const other = await world.actor(await world.tenant())
  const foreign = await world.import(other, 'CONTACT', csv, {}, { mapping })
  for (const [query, variables, code] of [
    [events, { runId: foreign }, 'NOT_FOUND'],
    [events, { runId: 'run_00000000000000000000000001' }, 'NOT_FOUND'],
    [events, { runId: 'nonsense' }, 'NOT_FOUND'],
    ['subscription { tenantEvents(after: "7") { sequence } }', {}, 'INVALID_INPUT'],
    ['subscription { tenantEvents(after: "99999999999999999999") { sequence } }', {}, 'INVALID_INPUT'],
    ['subscription { tenantEvents(minIntervalMs: -1) { sequence } }', {}, 'INVALID_INPUT'],
  ] as const) {
    const answer = await socket.answer(JSON.stringify(variables) + query.slice(0, 60), query, variables)
    const [error] = answer.type === 'error' ? answer.payload : answer.payload.errors
    assert.equal(error.extensions.code, code, JSON.stringify(answer))
  }
  const reader = await SocketClient.open(
    world.url,
    (await world.actor(ada.tenantId, ['RECORD_READ'], 'reader@example.com')).token,
  )
  const refused = await reader.answer('1', events, { runId: foreign })
  const [error] = refused.type === 'error' ? refused.payload : refused.payload.errors
  assert.deepEqual([error.extensions.code, error.extensions.permission], ['FORBIDDEN', 'IMPORT_RUN'])
  reader.close()
  socket.close()
})

test('lets nobody in without a valid token [GQ-7]', async () => {
  for (const payload of [undefined, {}, { authorization: 'Bearer x' }, { authorization: 7 }, { token: ada.token }]) {
    const socket = await SocketClient.connect(world.url)
    socket.send({ type: 'connection_init', ...(payload === undefined ? {} : { payload }) })
    assert.equal((await socket.closed).code, 4403)
  }
  const early = await SocketClient.connect(world.url)
  early.subscribe('1', '{ viewer { actor } }')
  assert.equal((await early.closed).code, 4401)
  // Clients that can send headers need no first message with a token.
  const byHeader = await SocketClient.connect(world.url, { authorization: `Bearer ${ada.token}` })
  byHeader.send({ type: 'connection_init' })
  assert.equal((await byHeader.next()).type, 'connection_ack')
  byHeader.close()
})

test('a socket that does not say who it is has to go [GQ-7]', async () => {
  const socket = await SocketClient.connect(world.url)
  assert.equal((await socket.closed).code, 4408)
})

test('a socket has to go when its token ends [AR-4]', async () => {
  const brief = await world.actor(ada.tenantId, undefined, 'brief@example.com', 2)
  const socket = await SocketClient.open(world.url, brief.token)
  socket.subscribe('1', 'subscription { tenantEvents { sequence } }')
  const started = performance.now()
  assert.equal((await socket.closed).code, 4403)
  assert.ok(performance.now() - started < 3000)
})

test('a socket has to go when its member or key may no longer be here [AR-3]', async () => {
  const save = 'mutation ($input: MemberSaveInput!) { memberSave(input: $input) { userErrors { code } } }'
  await world.ask(ada, save, { input: { email: 'bob@example.com' } })
  const bob = await SocketClient.open(world.url, (await world.actor(ada.tenantId, undefined, 'bob@example.com')).token)
  const { apiKeyCreate } = await world.ask(
    ada,
    'mutation { apiKeyCreate(input: { name: "feed", permissions: [IMPORT_RUN] }) { apiKey { id } secret } }',
  )
  const script = await SocketClient.open(world.url, apiKeyCreate.secret)
  const stays = await SocketClient.open(world.url, ada.token)
  await world.ask(ada, save, { input: { email: 'bob@example.com', permissions: ['RECORD_READ'] } })
  await world.ask(
    ada,
    'mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { userErrors { code } } }',
    { input: { id: apiKeyCreate.apiKey.id } },
  )
  const started = performance.now()
  assert.equal((await bob.closed).code, 4403)
  assert.equal((await script.closed).code, 4403)
  assert.ok(performance.now() - started < 5500)
  assert.equal((await stays.answer('1', '{ viewer { actor } }')).payload.data.viewer.actor, 'ada@example.com')
  stays.close()
})

test('a member who is made inactive is gone from an open stream within 5 s, which is audited, and what they began goes on [AR-3]', async () => {
  const save = 'mutation ($input: MemberSaveInput!) { memberSave(input: $input) { member { id } userErrors { code } } }'
  await world.ask(ada, save, { input: { email: 'dora@example.com' } })
  const dora = await world.actor(ada.tenantId, undefined, 'dora@example.com')
  const socket = await SocketClient.open(world.url, dora.token)
  socket.subscribe('1', 'subscription { tenantEvents(minIntervalMs: 0) { __typename runId } }')
  await socket.answer('2', '{ viewer { actor } }')
  const answer = await world.upload(
    dora,
    'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code } } }',
    { recordType: 'CONTACT', mapping, idempotencyKey: 'dora began it', confirmation: 'ALWAYS' },
    csv.replaceAll('example.com', 'dora.example'),
  )
  const id = answer.data.importCreate.importRun.id
  await socket.next(({ type, payload }) => type === 'next' && payload.data.tenantEvents?.runId === id)
  const saves = async () => {
    const { rows } = await world.oracle.query<{ n: number }>(
      `select count(*)::int as n from audit_entry where tenant_id = $1 and action = 'Mutation.memberSave' and outcome = 'OK'`,
      [ada.tenantId],
    )
    return rows[0]?.n ?? 0
  }
  const before = await saves()
  const started = performance.now()
  await world.ask(ada, save, { input: { email: 'dora@example.com', active: false } })
  assert.equal((await socket.closed).code, 4403)
  assert.ok(performance.now() - started < 5500)
  assert.equal((await world.run(dora, '{ viewer { actor } }')).status, 401)
  await assert.rejects(SocketClient.open(world.url, dora.token), /4403/)
  assert.equal(await world.rested(ada, id), 'COMPLETED_WITH_ERRORS')
  assert.equal((await saves()) - before, 1)
})

test('takes messages of the largest size and none that is larger [GQ-7]', async () => {
  const message = (bytes: number) => {
    const start = JSON.stringify({ type: 'ping', payload: { pad: '' } })
    return JSON.parse(start.replace('"pad":""', `"pad":"${'x'.repeat(bytes - start.length)}"`)) as object
  }
  const socket = await SocketClient.open(world.url, ada.token)
  socket.send(message(SOCKET_MESSAGE_BYTES_MAX))
  assert.equal((await socket.next()).type, 'pong')
  socket.send(message(SOCKET_MESSAGE_BYTES_MAX + 1))
  assert.equal((await socket.closed).code, 1009)
})

test('has so many operations open at a time and no more [GQ-7]', async () => {
  const socket = await SocketClient.open(world.url, ada.token)
  const stream = 'subscription { tenantEvents { sequence } }'
  for (let i = 0; i < SOCKET_OPERATIONS_MAX; i += 1) {
    socket.subscribe(String(i), stream)
  }
  const refused = await socket.answer('more', stream)
  assert.equal(refused.type, 'error')
  assert.equal(refused.payload[0].extensions.code, 'LIMIT_EXCEEDED')
  socket.send({ type: 'complete', id: '0' })
  const taken = await socket.answer('again', '{ viewer { actor } }')
  assert.equal(taken.type, 'next')
  socket.close()
})

test('a socket that talks too much is closed, and only that one [GQ-7]', async () => {
  const other = await SocketClient.open(world.url, ada.token)
  const socket = await SocketClient.open(world.url, ada.token)
  for (let i = 1; i < SOCKET_MESSAGES_PER_MINUTE_MAX; i += 1) {
    socket.send({ type: 'ping' })
  }
  for (let i = 1; i < SOCKET_MESSAGES_PER_MINUTE_MAX; i += 1) {
    assert.equal((await socket.next()).type, 'pong')
  }
  socket.send({ type: 'ping' })
  assert.equal((await socket.closed).code, 4429)
  other.send({ type: 'ping' })
  assert.equal((await other.next()).type, 'pong')
  other.close()
})

test('nonsense closes the socket that sent it', async () => {
  for (const message of [
    { type: 'nothing' },
    { nothing: true },
    { type: 'subscribe', id: '1', payload: { query: 7 } },
  ]) {
    const socket = await SocketClient.open(world.url, ada.token)
    socket.send(message)
    assert.equal((await socket.closed).code, 4400)
  }
  const unread = await SocketClient.open(world.url, ada.token)
  const answer = await unread.answer('1', 'subscription { nothing }')
  assert.equal(answer.payload[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
  unread.close()
})

test('a server that stops closes its sockets so that clients come back, and ends no stream as if all were said [SU-1]', async () => {
  const stopping = await World.start({ worker: false })
  const eve = await stopping.actor(await stopping.tenant())
  const socket = await SocketClient.open(stopping.url, eve.token)
  socket.subscribe('1', 'subscription { tenantEvents { sequence } }')
  await socket.answer('2', '{ viewer { actor } }')
  const started = performance.now()
  await stopping.close()
  assert.equal((await socket.closed).code, 1001)
  assert.ok(performance.now() - started < 5000)
  await assert.rejects(
    socket.next(({ id }) => id === '1'),
    /closed: 1001/,
  )
})

test('who goes away before it is known who it is leaves no timer behind', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  for (let client = 0; client < 40; client++) {
    const socket = await SocketClient.connect(world.url)
    socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${ada.token}` } })
    // The answer of the database is on its way.
    socket.close()
    await socket.closed
  }
  // Queries under way end within moments; a timer for the end of a token would stand for an hour.
  const deadline = performance.now() + 20_000
  while (timers() > before + 5) {
    assert.ok(performance.now() < deadline, `${timers()} timers, ${before} before`)
    await new Promise((settle) => setTimeout(settle, 50))
  }
})
