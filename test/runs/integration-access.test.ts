/** Renewing tokens, and budgets, as many processes at once do it. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createTenant } from '../../src/access/tenants.js'
import type { Permit } from '../../src/adapters/http/client.js'
import { salesforcePolicy, type VendorPolicy } from '../../src/adapters/http/policy.js'
import { type Config, loadConfig } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { Hidden } from '../../src/hidden.js'
import { laneOptions } from '../../src/jobs/context.js'
import { accountBudget, budgetUses, estimateBudget, tellDayLimit } from '../../src/runs/api-budget.js'
import { type IntegrationDoor, openVendorClient, withAccessToken } from '../../src/runs/integration-access.js'
import { beginIntegration, claimState, completeIntegration, findIntegration } from '../../src/runs/integrations.js'
import { askOnce } from '../helpers/bearer.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { FakeOAuthVendor, type OAuthVendorOptions, type VendorKind } from '../helpers/oauth-vendor.js'

const PAGE = 'https://app.example/back'
const folder = mkdtempSync(join(tmpdir(), 'portage-access-'))
let db: TestDatabase
let oracle: pg.Client
let lanes: Lane[] = []
const vendors: FakeOAuthVendor[] = []

before(async () => {
  db = await freshDatabase()
  oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await oracle.connect()
  lanes = await Promise.all(Array.from({ length: 20 }, () => Lane.open(laneOptions(db.workerUrl, 'access'))))
})
after(async () => {
  vendors.forEach((vendor) => vendor.close())
  await Promise.all(lanes.map((lane) => lane.close()))
  await oracle.end()
  await db.drop()
  rmSync(folder, { recursive: true, force: true })
})

interface Connected {
  readonly vendor: FakeOAuthVendor
  readonly environment: Record<string, string>
  readonly settings: Config
  readonly tenantId: string
  readonly integrationId: string
  door(lane: number): IntegrationDoor
  status(): Promise<string | undefined>
}

/** A fresh tenant with a connected account at a fresh vendor. */
async function connect(kind: VendorKind, options: Partial<OAuthVendorOptions> = {}): Promise<Connected> {
  const vendor = await FakeOAuthVendor.start({ kind, clientId: 'app', clientSecret: 'secret of the app', ...options })
  vendors.push(vendor)
  const name = kind.toUpperCase()
  const environment = {
    PORTAGE_DATA_DIR: folder,
    PORTAGE_ROLE: 'worker',
    DATABASE_URL: db.workerUrl,
    PORTAGE_OAUTH_REDIRECT_URIS: PAGE,
    PORTAGE_VENDOR_URLS: `${kind}=${vendor.origin}`,
    [`PORTAGE_${name}_CLIENT_ID`]: 'app',
    [`PORTAGE_${name}_CLIENT_SECRET`]: 'secret of the app',
  }
  const settings = loadConfig(environment)
  const tenantId = (await createTenant(db.ownerUrl, `${kind} ${vendor.origin}`)).id
  const api = await Lane.open(laneOptions(db.apiUrl, 'access'))
  const input = { system: kind, redirectUri: PAGE, sandbox: false, host: null, actor: 'ada' }
  const begun = await withTenant(api, tenantId, (tx) => beginIntegration(tx, settings, input))
  const back = vendor.agree(begun.authorizationUrl).searchParams
  const who = { kind: 'caller', tenantId, actor: 'ada' } as const
  const claimed = await claimState(api, settings, back.get('state') ?? '', who)
  const code = new Hidden(back.get('code') ?? '')
  const { id } = await completeIntegration(api, settings, claimed, { code, issuer: null })
  await api.close()
  const lane = (index: number): Lane => lanes[index % lanes.length] as Lane
  return {
    vendor,
    environment,
    settings,
    tenantId,
    integrationId: id,
    door: (index) => ({ source: lane(index), settings }),
    status: async () => (await withTenant(lane(0), tenantId, (tx) => findIntegration(tx, id)))?.status,
  }
}

const get = { method: 'GET', path: '/x' } as const

test('50 users of one expired token that rotates, in three processes, renew it with exactly one call [OA-3]', async () => {
  const it = await connect('salesforce', { rotate: true })
  const there = fork(new URL('../helpers/refresh-process.js', import.meta.url), [it.tenantId, it.integrationId, '15'], {
    env: { ...process.env, ...it.environment },
  })
  const second = fork(
    new URL('../helpers/refresh-process.js', import.meta.url),
    [it.tenantId, it.integrationId, '15'],
    {
      env: { ...process.env, ...it.environment },
    },
  )
  await Promise.all([there, second].map((child) => once(child, 'message')))
  it.vendor.expireAccess()
  const refused = Promise.withResolvers<void>()
  const answers = it.vendor.api
  let met = 0
  it.vendor.api = (request, response, good) => {
    met += good ? 0 : 1
    if (met >= 40) {
      refused.resolve()
    }
    answers(request, response, good)
  }
  const opened = Promise.withResolvers<void>()
  it.vendor.gate = opened.promise
  const outcomes = [there, second].map(async (child) => {
    const answered = once(child, 'message')
    child.send('go')
    return ((await answered) as [string[]])[0]
  })
  const here = lanes.map((_, i) => askOnce(it.door(i), it.tenantId, it.integrationId))
  // Nobody gets an answer before many have met the expired token.
  await refused.promise
  opened.resolve()
  const all = [...(await Promise.all(here)), ...(await Promise.all(outcomes)).flat()]
  assert.equal(all.length, 50)
  assert.deepEqual(new Set(all), new Set(['answer']))
  assert.equal(it.vendor.count('refresh_token'), 1)
})

test('the new refresh token is stored before the new access token is used', async () => {
  const it = await connect('salesforce', { rotate: true })
  const stored: boolean[] = []
  const version = async () =>
    (await oracle.query('select token_version::int as v from integration where id = $1', [it.integrationId])).rows[0].v
  const answers = it.vendor.api
  it.vendor.api = (request, response, good) => {
    version().then((v: number) => {
      stored.push(v === (good ? 2 : 1))
      answers(request, response, good)
    }, assert.ifError)
  }
  it.vendor.expireAccess()
  const client = await openVendorClient(it.door(0), it.tenantId, it.integrationId)
  for (let round = 0; round < 3; round++) {
    await client.request(get)
  }
  assert.deepEqual(stored, [true, true, true, true])
  client.close()
})

test('a token is renewed before it ends where the CRM tells when that is', async () => {
  for (const kind of ['hubspot', 'pipedrive'] as const) {
    // A short life: it is renewed at the half of it, and not at every request.
    const it = await connect(kind, { expiresIn: 200 })
    const client = await openVendorClient(it.door(0), it.tenantId, it.integrationId)
    assert.equal((await client.request(get)).kind, 'answer')
    assert.equal(it.vendor.count('refresh_token'), 0)
    await oracle.query('update integration set access_renew_at = now() where id = $1', [it.integrationId])
    for (let round = 0; round < 3; round++) {
      // Each looks for itself: for a moment a client goes on with what it has seen.
      const later = await openVendorClient(it.door(0), it.tenantId, it.integrationId)
      assert.equal((await later.request(get)).kind, 'answer')
      later.close()
    }
    assert.equal(it.vendor.count('refresh_token'), 1)
    const { rows } = await oracle.query(
      `select extract(epoch from access_renew_at - now())::float8 as renew, extract(epoch from access_expires_at - now())::float8 as ends
       from integration where id = $1`,
      [it.integrationId],
    )
    assert.ok(Math.abs(rows[0].renew - 100) < 20 && Math.abs(rows[0].ends - 200) < 20)
    client.close()
  }
})

test('a fresh token that is refused too leads to one more try and then to a person, not to a loop', async () => {
  const it = await connect('hubspot')
  it.vendor.api = (_request, response) => {
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"category":"INVALID_AUTHENTICATION"}')
  }
  const client = await openVendorClient(it.door(0), it.tenantId, it.integrationId)
  await assert.rejects(client.request(get), { code: 'INTEGRATION_NOT_CONNECTED' })
  assert.equal(it.vendor.count('refresh_token'), 1)
  assert.equal(it.vendor.log.filter(({ path }) => path === '/x').length, 2)
  assert.equal(await it.status(), 'REAUTHORIZATION_REQUIRED')
  await assert.rejects(client.request(get), { code: 'INTEGRATION_NOT_CONNECTED' })
  assert.equal(it.vendor.log.filter(({ path }) => path === '/x').length, 2)
  client.close()
})

test('an access that was taken back becomes a state, with one call, however many ask', async () => {
  const it = await connect('salesforce', { rotate: true })
  it.vendor.grants.forEach((grant) => {
    grant.revoked = true
  })
  const clients = await Promise.all(lanes.map((_, i) => openVendorClient(it.door(i), it.tenantId, it.integrationId)))
  const outcomes = await Promise.allSettled(clients.map((client) => client.request(get)))
  assert.ok(
    outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason.code === 'INTEGRATION_NOT_CONNECTED'),
  )
  assert.equal(it.vendor.count('refresh_token'), 1)
  assert.equal(await it.status(), 'REAUTHORIZATION_REQUIRED')
  clients.forEach((client) => client.close())
})

test('a process that dies between the answer and the saving costs at worst a new sign-in', async () => {
  const it = await connect('salesforce', { rotate: true })
  it.vendor.expireAccess()
  // What such a process leaves behind: the vendor has rotated, the row has a lease and the old token.
  const lost = await fetch(`${it.vendor.origin}/services/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'app',
      client_secret: 'secret of the app',
      refresh_token: it.vendor.grants[0]?.refreshToken ?? '',
    }),
  })
  assert.equal(lost.status, 200)
  await oracle.query(
    `update integration set refreshing_by = gen_random_uuid(), refreshing_until = now() + interval '300 milliseconds' where id = $1`,
    [it.integrationId],
  )
  await assert.rejects(
    withAccessToken(it.door(0), it.tenantId, it.integrationId, async (access) => {
      const client = await openVendorClient(it.door(1), it.tenantId, it.integrationId)
      try {
        return [access.version, await client.request(get)]
      } finally {
        client.close()
      }
    }),
    { code: 'INTEGRATION_NOT_CONNECTED' },
  )
  assert.equal(it.vendor.count('refresh_token'), 2)
  assert.equal(await it.status(), 'REAUTHORIZATION_REQUIRED')
})

test('processes killed while they renew leave a connection that goes on, or asks for a person [OA-3]', async () => {
  for (const rotate of Array.from({ length: 20 }, (_, n) => n % 2 === 1)) {
    const it = await connect('salesforce', { rotate })
    it.vendor.expireAccess()
    const child = fork(
      new URL('../helpers/refresh-process.js', import.meta.url),
      [it.tenantId, it.integrationId, '3'],
      {
        env: { ...process.env, ...it.environment },
      },
    )
    await once(child, 'message')
    // The vendor has decided, and before the answer arrives nobody is there any more.
    it.vendor.bend = (answer) => {
      child.kill('SIGKILL')
      return answer
    }
    child.send('go')
    await once(child, 'exit')
    it.vendor.bend = (answer) => answer
    it.vendor.expireAccess()
    const { rows } = await oracle.query(
      `update integration set refreshing_until = now() where id = $1 and refreshing_by is not null returning token_version::int as v`,
      [it.integrationId],
    )
    assert.deepEqual(rows, [{ v: 1 }], 'the lease of the dead and the old token should be there')
    const outcomes = await Promise.all(lanes.map((_, i) => askOnce(it.door(i), it.tenantId, it.integrationId)))
    assert.deepEqual(new Set(outcomes), new Set([rotate ? 'INTEGRATION_NOT_CONNECTED' : 'answer']))
    assert.equal(await it.status(), rotate ? 'REAUTHORIZATION_REQUIRED' : 'CONNECTED')
    assert.equal(it.vendor.count('refresh_token'), 2)
  }
})

test('one client on one lane may have many requests under way', async () => {
  const it = await connect('pipedrive')
  const lane = await Lane.open(laneOptions(db.workerUrl, 'access'))
  const client = await openVendorClient({ source: lane, settings: it.settings }, it.tenantId, it.integrationId)
  it.vendor.expireAccess()
  const answers = await Promise.all(Array.from({ length: 6 }, () => client.request(get)))
  assert.ok(answers.every(({ kind }) => kind === 'answer'))
  assert.equal(it.vendor.count('refresh_token'), 1)
  const use = await withTenant(lane, it.tenantId, (tx) => budgetUses(tx, [it.integrationId]))
  assert.equal(use.get(it.integrationId)?.used, it.vendor.log.filter(({ path }) => path === '/x').length)
  client.close()
  await lane.close()
})

test('while the CRM gives no tokens nothing is decided, and later all goes on', async () => {
  const it = await connect('hubspot')
  it.vendor.expireAccess()
  it.vendor.instead = (response) => response.writeHead(503).end('<html>')
  const client = await openVendorClient(it.door(0), it.tenantId, it.integrationId)
  await assert.rejects(client.request(get), { code: 'VENDOR_UNAVAILABLE' })
  assert.equal(it.vendor.count('refresh_token'), 1)
  assert.equal(await it.status(), 'CONNECTED')
  it.vendor.instead = null
  assert.equal((await client.request(get)).kind, 'answer')
  client.close()
})

test('where requests go is told anew with each token, and checked each time', async () => {
  const it = await connect('salesforce')
  it.vendor.bend = (answer) => ({ ...answer, instance_url: 'https://evil.example' })
  it.vendor.expireAccess()
  const client = await openVendorClient(it.door(0), it.tenantId, it.integrationId)
  await assert.rejects(client.request(get), { code: 'ADDRESS_NOT_ALLOWED' })
  assert.equal(it.vendor.log.filter(({ path }) => path === '/x').length, 1)
  client.close()
})

test('tokens of one row do not open in another [OA-1]', async () => {
  const one = await connect('hubspot')
  const other = await connect('hubspot')
  await oracle.query(
    `update integration a set access_token = b.access_token, refresh_token = b.refresh_token from integration b
     where a.id = $1 and b.id = $2`,
    [one.integrationId, other.integrationId],
  )
  await assert.rejects(
    withAccessToken(one.door(0), one.tenantId, one.integrationId, async () => 0),
    { code: 'SECRET_UNREADABLE' },
  )
})

/** A policy like Salesforce's but with these numbers. */
function policyWith(pace: Partial<VendorPolicy['pace']>, more: Partial<VendorPolicy> = {}): VendorPolicy {
  return { ...salesforcePolicy, ...more, pace: { capacity: 1000, perSecond: 0.001, concurrent: null, ...pace } }
}

test('200 takers of a budget get exactly what there is, over all connections', async () => {
  const it = await connect('hubspot')
  const cases: readonly (readonly [string, VendorPolicy, number])[] = [
    ['BURST', policyWith({ capacity: 37 }), 37],
    ['CONCURRENCY', policyWith({ concurrent: 5 }), 5],
    ['DAILY_QUOTA', policyWith({}, { dayLimit: 1000, dayShare: 0.05 }), 5],
  ]
  for (const [reason, policy, most] of cases) {
    await oracle.query('delete from api_budget')
    const { tenantId, integrationId } = it
    const taken = await Promise.all(
      lanes.map(async (source) => {
        const budget = accountBudget({ source, tenantId, integrationId, policy })
        const outcomes = []
        for (let i = 0; i < 10; i++) {
          outcomes.push(await budget.take(['main'], 10))
        }
        return outcomes
      }),
    )
    const all = taken.flat()
    assert.equal(all.filter(({ kind }) => kind === 'permit').length, most, reason)
    assert.deepEqual(new Set(all.flatMap((each) => (each.kind === 'wait' ? each.reason : []))), new Set([reason]))
  }
})

test('a budget fills with time, and a lease ends with its process', async () => {
  const it = await connect('hubspot')
  const { tenantId, integrationId } = it
  const source = lanes[0] as Lane
  const policy = policyWith({ capacity: 2, perSecond: 1, concurrent: 1 })
  const budget = accountBudget({ source, tenantId, integrationId, policy })
  const permit = await budget.take(['main'], 1)
  assert.equal(permit.kind, 'permit')
  const denied = await budget.take(['main'], 1)
  assert.deepEqual(denied, { kind: 'wait', milliseconds: 200, reason: 'CONCURRENCY' })
  await budget.give(permit as Permit, null, null)
  const second = await budget.take(['main'], 1)
  assert.equal(second.kind, 'permit')
  // The bucket is empty now, and the process dies with its lease.
  const empty = await budget.take(['main'], 1)
  assert.equal(empty.kind === 'wait' ? empty.reason : '', 'BURST')
  assert.ok(empty.kind === 'wait' && empty.milliseconds > 500 && empty.milliseconds <= 1000)
  await oracle.query(
    `update api_budget set filled_at = filled_at - interval '1 second',
       leases = (select jsonb_object_agg(key, now() - interval '1 second') from jsonb_each(leases))
     where integration_id = $1`,
    [integrationId],
  )
  assert.equal((await budget.take(['main'], 1)).kind, 'permit')
})

test('a lane of its own is counted besides, and what was taken of it goes back where the rest is denied', async () => {
  const it = await connect('hubspot')
  const { tenantId, integrationId } = it
  const lane = { capacity: 3, perSecond: 0.001, concurrent: null }
  const policy = policyWith({ capacity: 1 }, { lanes: { search: lane } })
  const budget = accountBudget({ source: lanes[0] as Lane, tenantId, integrationId, policy })
  assert.equal((await budget.take(['search', 'main'], 1)).kind, 'permit')
  assert.equal((await budget.take(['search', 'main'], 1)).kind, 'wait')
  const { rows } = await oracle.query("select tokens from api_budget where lane = 'search' and integration_id = $1", [
    integrationId,
  ])
  assert.ok(Math.abs(rows[0].tokens - 2) < 0.01)
})

test('what the CRM tells of its quota is kept and shown, and a pause that it asks for holds for all', async () => {
  const it = await connect('salesforce')
  it.vendor.api = (_request, response) => {
    response.writeHead(200, { 'sforce-limit-info': 'api-usage=70/100', 'content-type': 'application/json' }).end('{}')
  }
  const { tenantId, integrationId } = it
  const source = lanes[0] as Lane
  const client = await openVendorClient(it.door(0), tenantId, integrationId)
  await client.request(get)
  const use = (await withTenant(source, tenantId, (tx) => budgetUses(tx, [integrationId]))).get(integrationId)
  assert.equal(use?.used, 70)
  assert.equal(use?.limit, 100)
  assert.ok(use?.resetsAt instanceof Date)
  // 80 of 100 are ours to use at most.
  assert.deepEqual([(await client.estimate(10)).days, (await client.estimate(11)).days], [1, 2])
  assert.equal((await client.estimate(1)).remaining, 10)
  const waited = await client.request({ ...get, cost: 11 })
  assert.ok(waited.kind === 'wait' && waited.reason === 'DAILY_QUOTA')
  await client.tellDayLimit(1000)
  it.vendor.api = (_request, response) => {
    response.writeHead(403, { 'content-type': 'application/json' })
    response.end('[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]')
  }
  assert.equal((await client.request(get)).kind, 'wait')
  const sent = it.vendor.log.length
  const other = await openVendorClient(it.door(1), tenantId, integrationId)
  const held = await other.request(get)
  assert.ok(held.kind === 'wait' && held.reason === 'DAILY_QUOTA')
  assert.equal(it.vendor.log.length, sent)
  await assert.rejects(other.api.json(get), { name: 'PlannedPause', reason: 'DAILY_QUOTA' })
  const estimate = await withTenant(source, tenantId, async (tx) => {
    await tellDayLimit(tx, integrationId, 10)
    return estimateBudget(tx, integrationId, client.policy, 8)
  })
  assert.equal(estimate.remaining, 0)
  client.close()
  other.close()
})
