/** The master key is changed while a thousand connections to CRMs are used, and their tokens renewed. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { type Config, loadConfig } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { Hidden } from '../../src/hidden.js'
import { laneOptions } from '../../src/jobs/context.js'
import { tidyIntegrations } from '../../src/jobs/tidy-integrations.js'
import { beginIntegration, claimState, completeIntegration } from '../../src/runs/integrations.js'
import { askOnce } from '../helpers/bearer.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { FakeOAuthVendor } from '../helpers/oauth-vendor.js'

const CONNECTIONS = 1000
/** Things that go on at once. */
const AT_ONCE = 20
const PAGE = 'https://app.example/back'

let db: TestDatabase
let oracle: pg.Client
let vendor: FakeOAuthVendor
let lanes: Lane[] = []
let apis: Lane[] = []
const folder = mkdtempSync(join(tmpdir(), 'portage-master-'))

before(async () => {
  db = await freshDatabase()
  oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await oracle.connect()
  lanes = await Promise.all(Array.from({ length: AT_ONCE }, () => Lane.open(laneOptions(db.workerUrl, 'access'))))
  apis = await Promise.all(lanes.map(() => Lane.open(laneOptions(db.apiUrl, 'access'))))
  vendor = await FakeOAuthVendor.start({
    kind: 'salesforce',
    clientId: 'app',
    clientSecret: 'secret of the app',
    rotate: true,
  })
})
after(async () => {
  vendor.close()
  await Promise.all([...lanes, ...apis].map((lane) => lane.close()))
  await oracle.end()
  await db.drop()
  rmSync(folder, { recursive: true, force: true })
})

const key = () => randomBytes(32).toString('base64url')

const settingsWith = (keys: string): Config =>
  loadConfig({
    PORTAGE_DATA_DIR: folder,
    PORTAGE_ROLE: 'worker',
    DATABASE_URL: db.workerUrl,
    PORTAGE_OAUTH_REDIRECT_URIS: PAGE,
    PORTAGE_VENDOR_URLS: `salesforce=${vendor.origin}`,
    PORTAGE_SALESFORCE_CLIENT_ID: 'app',
    PORTAGE_SALESFORCE_CLIENT_SECRET: 'secret of the app',
    PORTAGE_MASTER_KEYS: keys,
  })

/** Does something for each, some at a time, each on a lane of its own. */
async function forEach<T, R>(all: readonly T[], work: (one: T, lane: Lane, at: number) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  await Promise.all(
    lanes.map(async (lane, which) => {
      for (let at = next++; at < all.length; at = next++) {
        results[at] = await work(all[at] as T, lane, which)
      }
    }),
  )
  return results
}

test('1,000 connections go on while the master key is changed, and the old one is needless afterwards [OA-2]', async () => {
  const [old, fresh] = [key(), key()]
  const before = settingsWith(`2026:${old}`)
  const both = settingsWith(`2027:${fresh},2026:${old}`)
  const after = settingsWith(`2027:${fresh}`)
  // A tenant for each, so that there are a thousand data keys.
  const made = await oracle.query<{ id: string }>(
    "insert into tenant (id, name) select uuidv7(), 'tenant ' || n from generate_series(1, $1) n returning id",
    [CONNECTIONS],
  )
  const tenants = made.rows.map(({ id }) => id)
  const connected = await forEach(tenants, async (tenantId, _, at) => {
    const api = apis[at] as Lane
    const input = { system: 'salesforce', redirectUri: PAGE, sandbox: false, host: null, actor: 'ada' } as const
    const begun = await withTenant(api, tenantId, (tx) => beginIntegration(tx, before, input))
    const back = vendor.agree(begun.authorizationUrl).searchParams
    const who = { kind: 'caller', tenantId, actor: 'ada' } as const
    const claimed = await claimState(api, before, back.get('state') ?? '', who)
    const { id } = await completeIntegration(api, before, claimed, {
      code: new Hidden(back.get('code') ?? ''),
      issuer: null,
    })
    return { tenantId, id }
  })
  const inUse = async () =>
    (await oracle.query('select distinct master_key from data_key order by 1')).rows.map((row) => row.master_key)
  assert.deepEqual(await inUse(), ['2026'])
  // Every access token has ended: each connection has to be opened, renewed and sealed again meanwhile.
  vendor.expireAccess()
  const wrap = async (): Promise<void> => {
    let lane = await Lane.open(laneOptions(db.workerUrl, 'tidy'))
    for (const [index, tenantId] of tenants.entries()) {
      if (index === 300 || index === 700) {
        // Killed in the middle of a transaction, and begun again from the first.
        const killed = withTenant(lane, tenantId, async (tx) => {
          await tx.query('select from data_key where tenant_id = $1 for update', [tenantId])
          lane.destroy()
          await tx.query('select 1')
        })
        await assert.rejects(killed)
        lane = await Lane.open(laneOptions(db.workerUrl, 'tidy'))
        for (const again of tenants.slice(0, index)) {
          await tidyIntegrations(lane, again, both.masterKeys)
        }
      }
      await tidyIntegrations(lane, tenantId, both.masterKeys)
    }
    await lane.close()
  }
  const [answers] = await Promise.all([
    forEach(connected, ({ tenantId, id }, lane) => askOnce({ source: lane, settings: both }, tenantId, id)),
    wrap(),
  ])
  assert.deepEqual(new Set(answers), new Set(['answer']))
  assert.equal(vendor.count('refresh_token'), CONNECTIONS, 'each was renewed once')
  assert.deepEqual(await inUse(), ['2027'])
  const { rows } = await oracle.query<{ status: string; n: number }>(
    'select status, count(*)::int as n from integration group by 1',
  )
  assert.deepEqual(rows, [{ status: 'CONNECTED', n: CONNECTIONS }])
  // Nobody needs the old key.
  const later = await forEach(connected, ({ tenantId, id }, lane) =>
    askOnce({ source: lane, settings: after }, tenantId, id),
  )
  assert.deepEqual(new Set(later), new Set(['answer']))
})
