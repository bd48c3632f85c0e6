import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Permission, permissions } from '../../src/access/permissions.js'
import { encodeId } from '../../src/ids.js'
import { API_KEYS_MAX } from '../../src/limits.js'
import { nodePermissions, permissionTable } from '../../src/resolvers/permission.js'
import { apiSchema } from '../../src/resolvers/schema.js'
import { calls, unknownId as id } from './calls.js'
import { SocketClient } from './socket-client.js'
import { type Actor, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start({ worker: false })
  ada = await world.actor(await world.tenant('Agency Ada'))
})
after(() => world.close())

test('every operation has its line in the table of permissions, and its case here [AR-1]', () => {
  const operations = [apiSchema.getQueryType(), apiSchema.getMutationType(), apiSchema.getSubscriptionType()].flatMap(
    (type) => Object.keys(type?.getFields() ?? {}).map((field) => `${type?.name}.${field}`),
  )
  assert.deepEqual(operations.toSorted(), Object.keys(permissionTable).toSorted())
  assert.deepEqual(
    operations.filter((operation) => !operation.startsWith('Subscription.')).toSorted(),
    Object.keys(calls).toSorted(),
  )
})

test('who has exactly one permission may do exactly what the table says [AR-1]', async () => {
  for (const permission of permissions) {
    const actor = await world.actor(ada.tenantId, [permission], `${permission.toLowerCase()}@example.com`)
    for (const [operation, query] of Object.entries(calls)) {
      const needed: readonly Permission[] = permissionTable[operation as keyof typeof permissionTable]
      const answer =
        operation === 'Mutation.fileUpload'
          ? await world.upload(
              actor,
              'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { userErrors { code } } }',
              {},
              'a,b\n1,2\n',
            )
          : await world.run(actor, query)
      const refused = answer.errors.find(({ extensions }) => extensions.code === 'FORBIDDEN')
      if (needed.length === 0 || needed.includes(permission)) {
        assert.equal(refused, undefined, `${permission} ${operation} ${answer.text}`)
      } else {
        assert.equal(refused?.extensions.permission, needed[0], `${permission} ${operation} ${answer.text}`)
      }
    }
  }
})

test('who has exactly one permission may subscribe to exactly what the table says, and a denial is audited [AR-1] [AU-1]', async () => {
  const subscriptions = {
    'Subscription.runEvents': `subscription { runEvents(runId: "${id('run')}") { sequence } }`,
    'Subscription.tenantEvents': 'subscription { tenantEvents { sequence } }',
  }
  assert.deepEqual(
    Object.keys(subscriptions),
    Object.keys(permissionTable).filter((operation) => operation.startsWith('Subscription.')),
  )
  const denied: string[] = []
  for (const permission of permissions) {
    const name = `stream-${permission.toLowerCase()}@example.com`
    const actor = await world.actor(ada.tenantId, [permission], name)
    const socket = await SocketClient.open(world.url, actor.token)
    for (const [operation, query] of Object.entries(subscriptions)) {
      const needed: readonly Permission[] = permissionTable[operation as keyof typeof permissionTable]
      const allowed = needed.includes(permission)
      socket.subscribe(operation, query)
      if (allowed && operation === 'Subscription.tenantEvents') {
        // It stands, and nothing happens.
        await socket.answer(`after ${operation}`, '{ viewer { actor } }')
        socket.send({ type: 'complete', id: operation })
        continue
      }
      const { payload } = await socket.next(({ id: of, type }) => of === operation && type !== 'complete')
      const { extensions } = payload[0] ?? payload.errors[0]
      if (allowed) {
        // There is no such run, which is another answer than that this may not be.
        assert.equal(extensions.code, 'NOT_FOUND')
      } else {
        assert.equal(extensions.permission, needed[0], `${permission} ${operation}`)
        denied.push(`${name} ${operation} DENIED ${needed[0]}`)
      }
    }
    socket.close()
  }
  assert.ok(denied.length > 5)
  const { rows } = await world.oracle.query<{ line: string }>(
    `select actor || ' ' || action || ' ' || outcome || ' ' || (detail ->> 'permission') as line from audit_entry
     where tenant_id = $1 and action like 'Subscription.%'`,
    [ada.tenantId],
  )
  assert.deepEqual(rows.map(({ line }) => line).toSorted(), denied.toSorted(), 'one entry for each')
})

test('node asks for the permission of what it is asked for', async () => {
  const nobody = await world.actor(ada.tenantId, [], 'nobody@example.com')
  for (const [kind, needed] of Object.entries(nodePermissions)) {
    const answer = await world.run(nobody, `{ node(id: "${id(kind as keyof typeof nodePermissions)}") { id } }`)
    assert.equal(answer.errors[0]?.extensions.permission, needed[0], kind)
  }
})

test('says who is asking', async () => {
  const narrow = await world.actor(ada.tenantId, ['RECORD_READ', 'PII_READ'], 'eve@example.com')
  const { viewer } = await world.ask(narrow, '{ viewer { actor tenantId tenantName permissions } }')
  assert.deepEqual(viewer, {
    actor: 'eve@example.com',
    tenantId: encodeId('tenant', ada.tenantId),
    tenantName: 'Agency Ada',
    permissions: ['RECORD_READ', 'PII_READ'],
  })
})

const save =
  'mutation ($input: MemberSaveInput!) { memberSave(input: $input) { member { id email name permissions active } userErrors { code field message } } }'

test('members narrow what tokens allow, and inactive ones are not let in [AR-3]', async () => {
  const set = async (input: object) => (await world.ask(ada, save, { input })).memberSave
  const made = await set({ email: ' Bob@Example.com ', name: 'Bob' })
  assert.deepEqual(made.userErrors, [])
  assert.equal(made.member.email, 'bob@example.com')
  assert.deepEqual(made.member.permissions, [...permissions])
  const bob = await world.actor(ada.tenantId, ['RECORD_READ', 'IMPORT_RUN'], 'BOB@example.com')
  const allowed = async () => (await world.ask(bob, '{ viewer { permissions } }')).viewer.permissions
  assert.deepEqual(await allowed(), ['RECORD_READ', 'IMPORT_RUN'])
  await set({ email: 'bob@example.com', permissions: ['RECORD_READ', 'EXPORT_RUN'] })
  assert.deepEqual(await allowed(), ['RECORD_READ'], 'the token and the member both have to allow it')
  assert.equal((await set({ email: 'bob@example.com', name: null })).member.name, null)
  assert.deepEqual(await allowed(), ['RECORD_READ'], 'what is absent stays')
  await set({ email: 'bob@example.com', active: false })
  assert.equal((await world.run(bob, '{ viewer { actor } }')).status, 401)
  await set({ email: 'bob@example.com', active: true, permissions: null })
  assert.deepEqual(await allowed(), ['RECORD_READ', 'IMPORT_RUN'])
  const { members } = await world.ask(ada, '{ members { email active } }')
  assert.deepEqual(members, [{ email: 'bob@example.com', active: true }])
  for (const email of ['', 'bob', 'a b@example.com', `${'x'.repeat(320)}@example.com`]) {
    assert.equal((await set({ email })).userErrors[0]?.code, 'INVALID_INPUT')
  }
})

test('nobody widens what they may do, through members or keys', async () => {
  await world.ask(ada, save, { input: { email: 'carol@example.com', permissions: ['SETTINGS_MANAGE', 'RECORD_READ'] } })
  await world.ask(ada, save, { input: { email: 'dave@example.com', permissions: ['RECORD_READ'] } })
  const carol = await world.actor(ada.tenantId, undefined, 'carol@example.com')
  const codes = async (input: object) =>
    (await world.ask(carol, save, { input })).memberSave.userErrors.map(({ code }: { code: string }) => code)
  assert.deepEqual(await codes({ email: 'carol@example.com', permissions: null }), ['INVALID_INPUT'])
  assert.deepEqual(await codes({ email: 'carol@example.com', active: false }), ['INVALID_INPUT'])
  assert.deepEqual(await codes({ email: 'carol@example.com', name: 'Carol' }), [])
  assert.deepEqual(await codes({ email: 'dave@example.com', permissions: ['RECORD_READ', 'IMPORT_RUN'] }), [
    'INVALID_INPUT',
  ])
  assert.deepEqual(await codes({ email: 'dave@example.com', permissions: null }), ['INVALID_INPUT'])
  assert.deepEqual(await codes({ email: 'dave@example.com', permissions: ['RECORD_READ', 'SETTINGS_MANAGE'] }), [])
  const key = await world.ask(
    carol,
    'mutation { apiKeyCreate(input: { name: "wide", permissions: [RECORD_READ, IMPORT_RUN] }) { secret userErrors { code message } } }',
  )
  assert.equal(key.apiKeyCreate.secret, null)
  assert.match(key.apiKeyCreate.userErrors[0].message, /IMPORT_RUN/)
})

const create =
  'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { apiKey { id name prefix permissions createdAt lastUsedAt expiresAt } secret userErrors { code field } } }'

test('a key works until it is revoked, and is kept as a hash only', async () => {
  const { apiKeyCreate } = await world.ask(ada, create, { input: { name: 'Nightly', permissions: ['RECORD_READ'] } })
  const { apiKey, secret } = apiKeyCreate
  assert.match(secret, /^ptg_[0-9a-z]{52}[A-Za-z0-9_-]{43}$/)
  assert.ok(secret.startsWith(apiKey.prefix) && apiKey.prefix.length === 12)
  const script: Actor = { tenantId: ada.tenantId, token: secret }
  const { viewer } = await world.ask(script, '{ viewer { actor permissions } }')
  assert.deepEqual(viewer, { actor: 'key:Nightly', permissions: ['RECORD_READ'] })
  const stored = await world.oracle.query('select k::text as row, last_used_at from api_key k where name = $1', [
    'Nightly',
  ])
  assert.doesNotMatch(stored.rows[0].row, new RegExp(secret.slice(-43)))
  const used = stored.rows[0].last_used_at.getTime()
  await world.ask(script, '{ viewer { actor } }')
  const soon = await world.oracle.query('select last_used_at from api_key where name = $1', ['Nightly'])
  assert.equal(soon.rows[0].last_used_at.getTime(), used, 'written once a minute at most')
  await world.oracle.query("update api_key set last_used_at = now() - interval '61 seconds' where name = $1", [
    'Nightly',
  ])
  await world.ask(script, '{ viewer { actor } }')
  const later = await world.oracle.query(
    "select last_used_at > now() - interval '30 seconds' as fresh from api_key where name = $1",
    ['Nightly'],
  )
  assert.equal(later.rows[0].fresh, true)

  for (const changed of [
    `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`,
    secret.slice(0, -1),
    secret.toUpperCase(),
    `${secret}x`,
    `ptg_${secret.slice(30, 56)}${secret.slice(4, 30)}${secret.slice(56)}`,
  ]) {
    assert.equal((await world.run({ tenantId: '', token: changed }, '{ viewer { actor } }')).status, 401)
  }
  const { apiKeys } = await world.ask(ada, '{ apiKeys { id name } }')
  assert.deepEqual(apiKeys[0], { id: apiKey.id, name: 'Nightly' })
  const revoke =
    'mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { apiKey { id } userErrors { code } } }'
  assert.equal((await world.ask(ada, revoke, { input: { id: apiKey.id } })).apiKeyRevoke.apiKey.id, apiKey.id)
  assert.equal((await world.run(script, '{ viewer { actor } }')).status, 401)
  assert.equal(
    (await world.ask(ada, revoke, { input: { id: apiKey.id } })).apiKeyRevoke.userErrors[0].code,
    'NOT_FOUND',
  )
  assert.equal((await world.ask(ada, '{ apiKeys { id } }')).apiKeys.length, 0)
})

test('a key past its end opens nothing, and one that could do nothing is not made', async () => {
  const input = { name: 'Brief', permissions: ['RECORD_READ'], expiresAt: new Date(Date.now() + 60_000).toISOString() }
  const { apiKeyCreate } = await world.ask(ada, create, { input })
  assert.equal(apiKeyCreate.apiKey.expiresAt, input.expiresAt)
  await world.oracle.query("update api_key set expires_at = now() - interval '1 second' where name = 'Brief'")
  assert.equal((await world.run({ tenantId: '', token: apiKeyCreate.secret }, '{ viewer { actor } }')).status, 401)
  for (const wrong of [
    { ...input, name: ' ' },
    { ...input, permissions: [] },
    { ...input, expiresAt: '2020-01-01T00:00:00Z' },
    { ...input, name: 'a\nb' },
  ]) {
    assert.equal((await world.ask(ada, create, { input: wrong })).apiKeyCreate.userErrors[0].code, 'INVALID_INPUT')
  }
})

test('a tenant has so many keys and no more', async () => {
  const busy = await world.actor(await world.tenant())
  for (let i = 0; i < API_KEYS_MAX; i += 10) {
    const ten = Array.from(
      { length: 10 },
      (_, j) => `k${j}: apiKeyCreate(input: { name: "k${i + j}", permissions: [RECORD_READ] }) { userErrors { code } }`,
    )
    const answer = await world.ask(busy, `mutation { ${ten.join(' ')} }`)
    assert.ok(Object.values(answer).every((payload) => (payload as { userErrors: unknown[] }).userErrors.length === 0))
  }
  const one = await world.ask(busy, create, { input: { name: 'more', permissions: ['RECORD_READ'] } })
  assert.equal(one.apiKeyCreate.userErrors[0].code, 'LIMIT_EXCEEDED')
})
