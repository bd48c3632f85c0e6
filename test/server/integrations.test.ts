/** Connecting CRMs through the API, as a person, an application, a neighbour and a thief would. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { Database } from '../../src/db/database.js'
import { decodeId } from '../../src/ids.js'
import { openVendorClient } from '../../src/runs/integration-access.js'
import { FakeOAuthVendor, type VendorKind } from '../helpers/oauth-vendor.js'
import { type Actor, type Json, World } from './world.js'

const kinds = ['salesforce', 'hubspot', 'pipedrive'] as const
const APP_PAGE = 'https://app.example/connected'

let world: World
let database: Database
let tenantId = ''
let ada: Actor
let bob: Actor
let stranger: Actor
const vendors = {} as Record<VendorKind, FakeOAuthVendor>
/** Every line that any process of ours has logged. */
const logged: string[] = []

before(async () => {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
    const text = typeof chunk === 'string' ? chunk : ''
    if (text.startsWith('{"level"')) {
      logged.push(text)
      return true
    }
    return write(chunk, ...rest)
  }) as typeof process.stdout.write
  for (const kind of kinds) {
    vendors[kind] = await FakeOAuthVendor.start({
      kind,
      clientId: `app-${kind}`,
      clientSecret: `canary-client-${kind}-${randomBytes(8).toString('hex')}`,
      rotate: kind === 'salesforce',
    })
  }
  const settings: Record<string, string> = {
    PORTAGE_LOG_LEVEL: 'debug',
    PORTAGE_OAUTH_REDIRECT_URIS: APP_PAGE,
    PORTAGE_VENDOR_URLS: kinds.map((kind) => `${kind}=${vendors[kind].origin}`).join(','),
  }
  for (const kind of kinds) {
    settings[`PORTAGE_${kind.toUpperCase()}_CLIENT_ID`] = vendors[kind].options.clientId
    settings[`PORTAGE_${kind.toUpperCase()}_CLIENT_SECRET`] = vendors[kind].options.clientSecret
  }
  world = await World.start({ worker: false, settings })
  database = await Database.open({
    url: world.db.workerUrl,
    applicationName: 'test',
    poolSize: 2,
    statementMs: 10_000,
  })
  tenantId = await world.tenant()
  ada = await world.actor(tenantId)
  bob = await world.actor(tenantId, ['INTEGRATION_MANAGE'], 'bob@example.com')
  stranger = await world.actor(await world.tenant())
})
after(async () => {
  await database.close()
  await world.close()
  Object.values(vendors).forEach((vendor) => vendor.close())
})
beforeEach(() => {
  for (const vendor of Object.values(vendors)) {
    vendor.bend = (answer) => answer
    vendor.instead = null
  }
})

const fields = 'id system status statusReason accountName scopes connectedAt apiUsage { used limit resetsAt }'
const beginMutation = `mutation ($input: IntegrationBeginInput!) { integrationBegin(input: $input) {
  authorizationUrl integration { ${fields} } userErrors { code field message } } }`
const completeMutation = `mutation ($input: IntegrationCompleteInput!) { integrationComplete(input: $input) {
  integration { ${fields} } userErrors { code field message } } }`
const revokeMutation = `mutation ($input: IntegrationRevokeInput!) { integrationRevoke(input: $input) {
  integration { ${fields} } userErrors { code field message } } }`

async function begin(actor: Actor, system: string, more: object = {}): Promise<Json> {
  const input = { system: system.toUpperCase(), redirectUri: APP_PAGE, ...more }
  return (await world.ask(actor, beginMutation, { input })).integrationBegin
}

async function complete(actor: Actor, back: URL): Promise<Json> {
  const input = { state: back.searchParams.get('state') ?? '', code: back.searchParams.get('code') ?? '' }
  return (await world.ask(actor, completeMutation, { input })).integrationComplete
}

async function connect(actor: Actor, kind: VendorKind): Promise<Json> {
  const { authorizationUrl } = await begin(actor, kind)
  const answer = await complete(actor, vendors[kind].agree(authorizationUrl))
  assert.deepEqual(answer.userErrors, [])
  return answer.integration
}

/** A browser in which somebody is signed in: begins there, and keeps its cookies. */
class Browser {
  cookies = new Map<string, string>()

  async begin(actor: Actor, kind: VendorKind): Promise<URL> {
    const input = { system: kind.toUpperCase(), redirectUri: `${world.url}/oauth/callback` }
    const response = await fetch(`${world.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${actor.token}` },
      body: JSON.stringify({ query: beginMutation, variables: { input } }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      assert.match(cookie, /HttpOnly/)
      assert.match(cookie, /SameSite=Lax/)
      assert.match(cookie, /Path=\/oauth\/callback/)
      assert.match(cookie, /Max-Age=600/)
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      this.cookies.set(name, value)
    }
    const answer = (await response.json()) as Json
    return vendors[kind].agree(answer.data.integrationBegin.authorizationUrl)
  }

  async open(url: URL | string): Promise<{ readonly status: number; readonly text: string }> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { headers: { cookie }, redirect: 'manual' })
    return { status: response.status, text: await response.text() }
  }
}

async function connected(): Promise<number> {
  const { rows } = await world.oracle.query("select count(*)::int as n from integration where status = 'CONNECTED'")
  return rows[0].n
}

test('each of the three CRMs is connected, shown without its tokens, and ended here and there', async () => {
  for (const kind of kinds) {
    const begun = await begin(ada, kind)
    assert.equal(begun.integration.status, 'PENDING')
    const asked = new URL(begun.authorizationUrl)
    assert.equal(asked.searchParams.get('state')?.length, 69)
    assert.equal(asked.searchParams.get('scope')?.includes('offline') ?? false, false)
    const back = vendors[kind].agree(begun.authorizationUrl)
    const { integration, userErrors } = await complete(ada, back)
    assert.deepEqual(userErrors, [])
    assert.equal(integration.status, 'CONNECTED')
    assert.equal(integration.system, kind.toUpperCase())
    assert.equal(integration.apiUsage, null)
    assert.ok(integration.accountName.length > 0)
    assert.ok(integration.scopes.length >= 1)
    const { node } = await world.ask(
      ada,
      `query ($id: ID!) { node(id: $id) { id ... on Integration { ${fields} } } }`,
      {
        id: integration.id,
      },
    )
    assert.deepEqual(node, integration)
    // The same account again is the same integration, with a new sign-in.
    assert.equal((await connect(bob, kind)).id, integration.id)
    const grants = vendors[kind].grants
    const revoked = (await world.ask(ada, revokeMutation, { input: { integrationId: integration.id } }))
      .integrationRevoke
    assert.equal(revoked.integration.status, 'REVOKED')
    assert.equal(grants.at(-1)?.revoked, true)
    const again = (await world.ask(ada, revokeMutation, { input: { integrationId: integration.id } })).integrationRevoke
    assert.equal(again.integration.status, 'REVOKED')
    assert.equal((await connect(ada, kind)).id, integration.id)
  }
  const { integrations } = await world.ask(ada, `{ integrations { system status } }`)
  assert.equal(integrations.length, 3)
})

test('a browser that began comes back to our page, and what the address says is shown to nobody', async () => {
  const browser = new Browser()
  const back = await browser.begin(ada, 'hubspot')
  const answer = await browser.open(back)
  assert.equal(answer.status, 200)
  assert.match(answer.text, /HubSpot is connected/)
  const evil = new URL(back)
  for (const name of ['error', 'error_description', 'state', 'code', 'iss']) {
    evil.searchParams.set(name, '<script>alert(1)</script>')
  }
  const { status, text } = await browser.open(evil)
  assert.equal(status, 400)
  assert.doesNotMatch(text, /script|alert/)
})

test('none of the bad callbacks is accepted [OA-4]', async () => {
  await world.oracle.query("delete from integration where account is not null and status <> 'PENDING'")
  const exchanges = () => kinds.reduce((sum, kind) => sum + vendors[kind].grants.length, 0)
  const before = exchanges()
  /** Begins anew in a fresh browser and opens what `change` makes of the address. */
  const bad = async (
    name: string,
    change: (back: URL, browser: Browser) => Promise<URL | string> | URL | string,
    kind: VendorKind = 'salesforce',
  ): Promise<void> => {
    const browser = new Browser()
    const back = await browser.begin(ada, kind)
    const { status, text } = await browser.open(await change(back, browser))
    assert.ok(status === 400 || status === 404, `${name}: ${status} ${text}`)
    assert.equal(await connected(), 0, name)
  }
  const set = (back: URL, name: string, value: string): URL => {
    const copy = new URL(back)
    copy.searchParams.set(name, value)
    return copy
  }
  const without = (back: URL, name: string): URL => {
    const copy = new URL(back)
    copy.searchParams.delete(name)
    return copy
  }
  await bad('no state', (back) => without(back, 'state'))
  await bad('no code', (back) => without(back, 'code'))
  await bad('another state', (back) =>
    set(back, 'state', `${back.searchParams.get('state')?.slice(0, 26)}${'A'.repeat(43)}`),
  )
  await bad('tampered state', (back) => {
    const state = back.searchParams.get('state') ?? ''
    return set(back, 'state', `${state.slice(0, -1)}${state.endsWith('A') ? 'B' : 'A'}`)
  })
  await bad('state twice', (back) => `${back.href}&state=${back.searchParams.get('state')}`)
  await bad('state of a neighbour', async (back) => {
    const other = await new Browser().begin(stranger, 'salesforce')
    return set(back, 'state', other.searchParams.get('state') ?? '')
  })
  await bad('tenant of the state changed', async (back) => {
    const other = await new Browser().begin(stranger, 'salesforce')
    return set(
      back,
      'state',
      `${other.searchParams.get('state')?.slice(0, 26)}${back.searchParams.get('state')?.slice(26)}`,
    )
  })
  await bad('another browser', (back, browser) => {
    browser.cookies.clear()
    return back
  })
  await bad('cookie of another sign-in', async (back, browser) => {
    const [name = ''] = browser.cookies.keys()
    const other = new Browser()
    await other.begin(bob, 'salesforce')
    browser.cookies.set(name, [...other.cookies.values()][0] ?? '')
    return back
  })
  await bad('expired', async (back) => {
    await world.oracle.query("update oauth_state set expires_at = now() - interval '1 second'")
    return back
  })
  await bad('denied', (back) => set(without(back, 'code'), 'error', 'access_denied'))
  await bad('denied with a code', (back) => set(back, 'error', 'access_denied'))
  await bad('wrong issuer', (back) => set(back, 'iss', 'https://login.evil.example'))
  await bad('issuer of another CRM', (back) => set(back, 'iss', vendors.hubspot.origin))
  await bad('code of another CRM', async (back) => {
    const other = await new Browser().begin(ada, 'hubspot')
    return set(back, 'code', other.searchParams.get('code') ?? '')
  })
  await bad('code of another sign-in', async (back) => {
    const other = await new Browser().begin(bob, 'salesforce')
    return set(back, 'code', other.searchParams.get('code') ?? '')
  })
  await bad('made-up code', (back) => set(back, 'code', 'x'))
  await bad('after it was used', async (back, browser) => {
    await browser.open(set(back, 'code', 'wrong'))
    return back
  })
  assert.equal(exchanges(), before, 'no code was taken by any vendor')
})

test('a completed sign-in cannot be completed again', async () => {
  const browser = new Browser()
  const back = await browser.begin(ada, 'salesforce')
  assert.equal((await browser.open(back)).status, 200)
  const calls = vendors.salesforce.log.length
  assert.equal((await browser.open(back)).status, 400)
  assert.equal((await complete(ada, back)).userErrors[0].code, 'OAUTH_STATE_INVALID')
  assert.equal(vendors.salesforce.log.length, calls)
})

test('of callers, only who began may complete, and strangers cannot use the state up', async () => {
  const { authorizationUrl } = await begin(ada, 'pipedrive')
  const back = vendors.pipedrive.agree(authorizationUrl)
  for (const other of [bob, stranger]) {
    const { integration, userErrors } = await complete(other, back)
    assert.equal(integration, null)
    assert.equal(userErrors[0].code, 'OAUTH_STATE_INVALID')
  }
  assert.equal((await complete(ada, back)).integration.status, 'CONNECTED')
})

test('a sign-in that must be completed with credentials is no use to a browser', async () => {
  const { authorizationUrl } = await begin(ada, 'pipedrive')
  const back = vendors.pipedrive.agree(authorizationUrl)
  const url = new URL(`${world.url}/oauth/callback`)
  url.search = back.search
  assert.equal((await new Browser().open(url)).status, 400)
})

test('a host that is not the vendor’s gets no token', async () => {
  for (const told of ['https://evil.example', 'http://169.254.169.254', 'https://salesforce.com.evil.example', 'x']) {
    vendors.salesforce.bend = (answer) => ({ ...answer, instance_url: told })
    const { authorizationUrl } = await begin(ada, 'salesforce')
    const answer = await complete(ada, vendors.salesforce.agree(authorizationUrl))
    assert.equal(answer.integration, null)
    assert.equal(answer.userErrors[0].code, 'INVALID_STATE')
  }
})

test('answers of the token endpoint that make no sense connect nothing', async () => {
  const before = await connected()
  for (const bend of [
    () => ({}),
    (answer: object) => ({ ...answer, access_token: undefined }),
    (answer: object) => ({ ...answer, access_token: 'a b' }),
    (answer: object) => ({ ...answer, access_token: 'x'.repeat(20_000) }),
    (answer: object) => ({ ...answer, token_type: 'mac' }),
    (answer: object) => ({ ...answer, hub_id: undefined }),
  ]) {
    vendors.hubspot.bend = bend as (answer: Record<string, unknown>) => Record<string, unknown>
    const { authorizationUrl } = await begin(ada, 'hubspot')
    const answer = await complete(ada, vendors.hubspot.agree(authorizationUrl))
    assert.equal(answer.userErrors[0].code, 'INVALID_STATE')
  }
  vendors.hubspot.instead = (response) => response.writeHead(503).end('<html>')
  const { authorizationUrl } = await begin(ada, 'hubspot')
  const back = vendors.hubspot.agree(authorizationUrl)
  const input = { state: back.searchParams.get('state'), code: back.searchParams.get('code') }
  const answer = await world.run(ada, completeMutation, { input })
  assert.equal(answer.errors[0]?.extensions.code, 'UNAVAILABLE')
  assert.equal(await connected(), before)
})

test('what is asked for wrongly is refused before anything is sent', async () => {
  const cases: readonly (readonly [string, object, string])[] = [
    ['salesforce', { redirectUri: 'https://evil.example/connected' }, 'redirectUri'],
    ['salesforce', { redirectUri: `${APP_PAGE}/` }, 'redirectUri'],
    ['salesforce', { redirectUri: `${APP_PAGE}?x=1` }, 'redirectUri'],
    ['salesforce', { host: 'evil.example' }, 'host'],
    ['salesforce', { host: 'acme.my.salesforce.com.evil.example' }, 'host'],
    ['salesforce', { host: 'acme.my.salesforce.com@evil.example' }, 'host'],
    ['salesforce', { host: 'acme.my.salesforce.com:8443' }, 'host'],
    ['salesforce', { host: 'acme.my.salesforce.com/path' }, 'host'],
    ['salesforce', { host: 'acme.my.salesforce.com', sandbox: true }, 'host'],
    ['salesforce', { host: '127.0.0.1' }, 'host'],
    ['hubspot', { host: 'acme.my.salesforce.com' }, 'host'],
    ['pipedrive', { host: 'acme.pipedrive.com' }, 'host'],
  ]
  for (const [system, more, field] of cases) {
    const { integration, userErrors } = await begin(ada, system, more)
    assert.equal(integration, null)
    assert.deepEqual(userErrors[0].field, [field], JSON.stringify(more))
  }
  for (const more of [
    { sandbox: true },
    { host: 'acme.my.salesforce.com' },
    { host: 'https://acme.my.salesforce.com/' },
  ]) {
    assert.deepEqual((await begin(ada, 'salesforce', more)).userErrors, [])
  }
})

test('a neighbour sees and changes nothing, and who may not does neither', async () => {
  const { id } = await connect(ada, 'hubspot')
  const nodeQuery = 'query ($id: ID!) { node(id: $id) { id } }'
  assert.equal((await world.ask(stranger, nodeQuery, { id })).node, null)
  assert.deepEqual((await world.ask(stranger, '{ integrations { id } }')).integrations, [])
  const refused = (await world.ask(stranger, revokeMutation, { input: { integrationId: id } })).integrationRevoke
  assert.equal(refused.userErrors[0].code, 'NOT_FOUND')
  const door = { source: database, settings: world.config }
  await assert.rejects(openVendorClient(door, stranger.tenantId, decodeId('integration', id)), {
    code: 'INTEGRATION_NOT_CONNECTED',
  })
  const reader = await world.actor(tenantId, ['RECORD_READ', 'MIGRATION_RUN'])
  assert.ok((await world.ask(reader, '{ integrations { id } }')).integrations.length > 0)
  for (const [query, input] of [
    [beginMutation, { system: 'HUBSPOT', redirectUri: APP_PAGE }],
    [completeMutation, { state: 'x', code: 'x' }],
    [revokeMutation, { integrationId: id }],
  ] as const) {
    const { errors } = await world.run(reader, query, { input })
    assert.equal(errors[0]?.extensions.permission, 'INTEGRATION_MANAGE')
  }
})

test('sign-ins under way are bounded', async () => {
  const id = await world.tenant()
  const many = await world.actor(id)
  for (let i = 0; i < 20; i++) {
    assert.deepEqual((await begin(many, 'hubspot')).userErrors, [])
  }
  assert.equal((await begin(many, 'hubspot')).userErrors[0].code, 'LIMIT_EXCEEDED')
  await world.oracle.query("update oauth_state set expires_at = now() - interval '1 second' where tenant_id = $1", [id])
  assert.deepEqual((await begin(many, 'hubspot')).userErrors, [])
  assert.equal((await world.ask(many, '{ integrations { id } }')).integrations.length, 1)
})

test('no token, code, verifier or secret is in the database, the queue, the files or the log [OA-1] [OA-6]', async () => {
  const states: string[] = []
  for (const kind of kinds) {
    const { authorizationUrl } = await begin(ada, kind)
    states.push(new URL(authorizationUrl).searchParams.get('state')?.slice(26) ?? '')
    const { integration } = await complete(ada, vendors[kind].agree(authorizationUrl))
    const uuid = decodeId('integration', integration.id)
    const client = await openVendorClient({ source: database, settings: world.config }, tenantId, uuid)
    vendors[kind].expireAccess()
    assert.equal((await client.request({ method: 'GET', path: '/anything' })).kind, 'answer')
    vendors[kind].api = (request, response) => {
      // A vendor that quotes the token in its words.
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ message: `bad token ${request.headers.authorization}`, errorCode: 'BAD' }))
    }
    await client.request({ method: 'GET', path: '/anything' }).catch((error: unknown) => {
      logged.push(String(error), JSON.stringify(error), String((error as Error).stack))
    })
    client.close()
    assert.ok(vendors[kind].secrets.length >= 4)
  }
  const canaries = [
    ...kinds.flatMap((kind) => [...vendors[kind].secrets, vendors[kind].options.clientSecret]),
    ...states,
  ]
  const dump: string[] = [...logged]
  const tables = await world.oracle.query(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('portage', 'pgboss', 'public')",
  )
  for (const { name } of tables.rows) {
    const { rows } = await world.oracle.query(`select t::text as row from ${name} t`)
    dump.push(...rows.map(({ row }: { row: string }) => row))
  }
  for (const entry of readdirSync(world.dataDir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) {
      dump.push(readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    }
  }
  const everything = dump.join('\n')
  assert.ok(everything.includes('ptg1.'), 'the sealed tokens should be in the dump')
  const encoded = (text: string) => [
    text,
    Buffer.from(text).toString('base64').slice(0, 24),
    Buffer.from(text).toString('hex'),
  ]
  const found = canaries.filter((canary) => encoded(canary).some((form) => everything.includes(form)))
  assert.deepEqual(found, [])
  assert.ok(canaries.length > 15 && logged.length > 0)
})
