import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { signToken } from '../../src/access/tokens.js'
import { loadConfig } from '../../src/config.js'
import { SCHEMA_VERSION } from '../../src/db/schema-version.js'
import { encodeId, newId } from '../../src/ids.js'
import { attachment } from '../../src/server/downloads.js'
import { describeError, isUnavailable, withoutHints } from '../../src/server/errors.js'
import { startApi } from '../../src/server/start.js'
import { SocketClient } from './socket-client.js'
import { type Actor, authorization, freePort, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start({
    worker: false,
    settings: { NODE_ENV: 'production', PORTAGE_MASTER_KEYS: `k1:${'A'.repeat(43)}` },
  })
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

test('says whether it lives and whether it is ready', async () => {
  assert.deepEqual(await (await fetch(`${world.url}/livez`)).json(), { status: 'ok' })
  const ready = await fetch(`${world.url}/readyz`)
  assert.equal(ready.status, 200)
  assert.match(await (await fetch(`${world.url}/metrics`)).text(), /portage_graphql_operation_seconds/)
})

test('is not ready for a database with an older schema, but for a newer one', async () => {
  const newest = await world.oracle.query('select name from migration order by id desc limit 1')
  assert.equal(newest.rows[0].name, SCHEMA_VERSION, 'src/db/schema-version.ts names the newest migration')
  const [older, newer] = ['Migration20261122000000_before', 'Migration29991231000000_of_tomorrow']
  await world.oracle.query('update migration set name = $1 where name = $2', [older, SCHEMA_VERSION])
  const ready = await fetch(`${world.url}/readyz`)
  assert.equal(ready.status, 503)
  assert.equal(ready.headers.get('retry-after'), '1')
  await world.oracle.query('update migration set name = $1 where name = $2', [newer, older])
  assert.equal((await fetch(`${world.url}/readyz`)).status, 200)
  await world.oracle.query('update migration set name = $1 where name = $2', [SCHEMA_VERSION, newer])
  assert.equal((await fetch(`${world.url}/readyz`)).status, 200)
})

test('answers in JSON wherever one comes to', async () => {
  for (const [path, init, status] of [
    ['/nothing', {}, 404],
    ['/nothing/here', { method: 'DELETE' }, 404],
    ['/files/x/y.csv', {}, 403],
    ['/files/%ff/y.csv', {}, 400],
    ['/graphql', { headers: { accept: 'text/html' } }, 401],
    [
      '/graphql',
      { method: 'POST', body: '{', headers: { 'content-type': 'application/json', ...authorization(ada) } },
      400,
    ],
    ['/graphql', { method: 'PUT', headers: authorization(ada) }, 400],
    ['/graphql', { headers: { ...authorization(ada), accept: 'text/html' } }, 400],
  ] as const) {
    const answer = await fetch(`${world.url}${path}`, init)
    const text = await answer.text()
    assert.equal(answer.status, status, `${path} ${text}`)
    assert.match(answer.headers.get('content-type') ?? '', /json/, path)
    assert.equal(typeof JSON.parse(text).errors[0].message, 'string')
    assert.doesNotMatch(text, /<html|node_modules|\n\s+at /)
    assert.equal(answer.headers.get('x-powered-by'), null)
    assert.ok(answer.headers.get('content-security-policy'))
  }
})

test('only who proves who they are gets an answer', async () => {
  const expired = await world.actor(ada.tenantId, undefined, 'late@example.com', -60)
  const stranger = await world.actor('00000000-0000-4000-8000-000000000000')
  for (const header of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Basic YTpi',
    'Bearer x',
    `Bearer ${ada.token}x`,
    `Token ${ada.token}`,
    `Bearer ${expired.token}`,
    `Bearer ${stranger.token}`,
    `Bearer ${'x'.repeat(9000)}`,
  ]) {
    const answer = await fetch(`${world.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(header === undefined ? {} : { authorization: header }) },
      body: JSON.stringify({ query: '{ viewer { actor } }' }),
    })
    assert.equal(answer.status, 401, header)
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
    assert.equal(JSON.parse(await answer.text()).errors[0].extensions.code, 'UNAUTHENTICATED')
  }
})

test('a page of another site can make nobody do anything [GQ-5]', async () => {
  const query = '{ viewer { actor } }'
  const forms: readonly (readonly [string, RequestInit])[] = [
    [`?query=${encodeURIComponent(query)}`, { headers: authorization(ada) }],
    [
      '',
      {
        method: 'POST',
        headers: { ...authorization(ada), 'content-type': 'text/plain' },
        body: JSON.stringify({ query }),
      },
    ],
    [
      '',
      {
        method: 'POST',
        headers: { ...authorization(ada), 'content-type': 'application/x-www-form-urlencoded' },
        body: `query=${query}`,
      },
    ],
  ]
  for (const [search, init] of forms) {
    const answer = await fetch(`${world.url}/graphql${search}`, init)
    assert.equal(answer.status, 400)
  }
  const mutation = encodeURIComponent(
    'mutation { apiKeyCreate(input: { name: "x", permissions: [RECORD_READ] }) { secret } }',
  )
  const byGet = await fetch(`${world.url}/graphql?query=${mutation}`, {
    headers: { ...authorization(ada), 'apollo-require-preflight': 'true' },
  })
  assert.equal(byGet.status, 405)
  const batch = await fetch(`${world.url}/graphql`, {
    method: 'POST',
    headers: { ...authorization(ada), 'content-type': 'application/json' },
    body: JSON.stringify([{ query }, { query }]),
  })
  assert.equal(batch.status, 400)
})

test('the schema is not told in production, nor guessed from hints', async () => {
  const asked = await world.run(ada, '{ __schema { types { name } } }')
  assert.notEqual(asked.errors.length, 0)
  assert.equal(asked.data, undefined)
  const socket = await SocketClient.open(world.url, ada.token)
  const onSocket = await socket.answer('1', '{ __schema { types { name } } }')
  assert.equal(onSocket.payload[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
  socket.close()
  for (const query of [
    '{ viewr { actor } }',
    '{ viewer { actr } }',
    '{ contacts(frist: 1) { totalCount } }',
    'query ($x: Recordtype) { viewer { actor } }',
  ]) {
    const answer = await world.run(ada, query)
    assert.notEqual(answer.errors.length, 0)
    assert.doesNotMatch(answer.text, /Did you mean/i)
  }
  assert.equal(
    withoutHints('Cannot query field "a" on type "B". Did you mean "c" or "d"?'),
    'Cannot query field "a" on type "B".',
  )
})

test('a fault inside shows nothing but a reference to the log', async () => {
  await world.oracle.query('alter table run rename to run_away')
  try {
    const answer = await world.run(ada, '{ runs(first: 1) { nodes { id } } viewer { actor } }')
    const [error] = answer.errors
    assert.equal(error?.extensions.code, 'INTERNAL_SERVER_ERROR')
    assert.match(error?.message ?? '', /^Internal error, reference [0-9a-f]{12}\.$/)
    assert.doesNotMatch(answer.text, /select|relation|portage|node_modules|run_away|\n\s+at /)
  } finally {
    await world.oracle.query('alter table run_away rename to run')
  }
})

test('a database that is away is told as such', async () => {
  for (const code of ['ECONNREFUSED', '57P01', '53300', '08006']) {
    assert.equal(isUnavailable(Object.assign(new Error('x'), { code })), true, code)
  }
  for (const code of ['42P01', '23505', 'ENOENT']) {
    assert.equal(isUnavailable(Object.assign(new Error('x'), { code })), false, code)
  }
  const lines: object[] = []
  const described = describeError(
    Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:5432'), { code: 'ECONNREFUSED' }),
    {
      error: (fields: object | string) => lines.push(fields as object),
    },
  )
  assert.equal(described.extensions?.code, 'UNAVAILABLE')
  assert.doesNotMatch(described.message, /10\.0\.0\.7/)
  assert.equal(lines.length, 1)
})

test('a download can be called anything [UP-11]', () => {
  const names = [
    'a.csv',
    '../../etc/passwd',
    'a"b.csv',
    'a\r\nset-cookie: x=1.csv',
    'ü—日本.csv',
    '\u202Evsc.exe',
    'x'.repeat(300),
    '',
    '.',
    '..',
    'CON.csv',
    "a'b(c)*!.csv",
    'a;b.csv',
    '%41.csv',
    '\0.csv',
    'C:\\Users\\x.csv',
  ]
  for (const name of names) {
    const header = attachment(name)
    assert.match(
      header,
      /^attachment; filename="[\x20-\x21\x23-\x24\x26-\x5b\x5d-\x7e]+"; filename\*=UTF-8''[A-Za-z0-9._~%-]+$/,
      name,
    )
    assert.doesNotMatch(decodeURIComponent(header.split("UTF-8''")[1] ?? ''), /[/\\\r\n\0\u202e]/)
  }
  assert.equal(attachment('Kunden ü.csv'), `attachment; filename="Kunden _.csv"; filename*=UTF-8''Kunden%20%C3%BC.csv`)
})

test('starts without its database, says so, and asks to be tried again [SU-4]', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'portage-away-'))
  const config = loadConfig({
    PORTAGE_ROLE: 'api',
    PORTAGE_PORT: String(await freePort()),
    PORTAGE_DATA_DIR: dataDir,
    PORTAGE_LOG_LEVEL: 'error',
    // A port that nobody listens on.
    DATABASE_URL: `postgres://portage_api:x@127.0.0.1:${await freePort()}/none`,
  })
  const api = await startApi(config)
  try {
    assert.equal((await fetch(`${config.publicUrl}/livez`)).status, 200)
    assert.equal((await fetch(`${config.publicUrl}/readyz`)).status, 503)
    const token = await signToken({ tenantId: ada.tenantId, actor: 'a', permissions: [], expiresIn: 60 }, config)
    const answer = await fetch(`${config.publicUrl}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: '{ viewer { actor } }' }),
    })
    assert.equal(answer.status, 503)
    assert.equal(answer.headers.get('retry-after'), '1')
    assert.equal(JSON.parse(await answer.text()).errors[0].extensions.code, 'UNAVAILABLE')
  } finally {
    await api.close()
    await rm(dataDir, { recursive: true, force: true })
  }
})

test('every address of the console answers with one page, under a policy of its own and a nonce never used before', async () => {
  const nonces = new Set<string>()
  for (const path of [
    '/',
    '/console/integrations',
    `/console/runs/${encodeId('run', newId())}`,
    '/console/%3Cscript%3E',
  ]) {
    const answer = await fetch(`${world.url}${path}`)
    const text = await answer.text()
    const policy = answer.headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'/)
    assert.doesNotMatch(policy, /unsafe/)
    assert.doesNotMatch(text, /<script>/)
    assert.equal(answer.headers.get('x-frame-options') ?? 'SAMEORIGIN', 'SAMEORIGIN')
    if (answer.status === 503) {
      // Compiled but not built: the page says so.
      assert.match(text, /npm run setup/)
      continue
    }
    assert.equal(answer.status, 200)
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1] ?? ''
    assert.match(nonce, /^[\w-]{24}$/)
    assert.ok(text.includes(`nonce="${nonce}"`))
    nonces.add(nonce)
    const script = /src="(\/assets\/[^"]+)"/.exec(text)?.[1] ?? ''
    const asset = await fetch(`${world.url}${script}`)
    assert.match(asset.headers.get('content-type') ?? '', /javascript/)
    assert.match(asset.headers.get('cache-control') ?? '', /immutable/)
  }
  assert.ok(nonces.size === 4 || nonces.size === 0, String(nonces.size))
  for (const path of ['/assets/..%2Findex.html', '/assets/nothing.js', '/assets/%2e%2e/.stamp']) {
    assert.equal((await fetch(`${world.url}${path}`)).status, 404)
  }
})
