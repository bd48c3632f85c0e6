import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { openSealer } from '../../src/access/secrets.js'
import { createTenant } from '../../src/access/tenants.js'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { Hidden } from '../../src/hidden.js'
import { laneOptions } from '../../src/jobs/context.js'
import { tidyIntegrations } from '../../src/jobs/tidy-integrations.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

let db: TestDatabase
let lane: Lane
let oracle: pg.Client

before(async () => {
  db = await freshDatabase()
  lane = await Lane.open(laneOptions(db.workerUrl, 'tidy'))
  oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await oracle.connect()
})
after(async () => {
  await oracle.end()
  await lane.close()
  await db.drop()
})

test('after the master key was changed the old one becomes needless, and every secret stays readable', async () => {
  const key = () => new Uint8Array(randomBytes(32))
  const old = { current: 'old', byId: { old: key() } }
  const both = { current: 'new', byId: { ...old.byId, new: key() } }
  const fresh = { current: 'new', byId: { new: both.byId.new } }
  const tenants: string[] = []
  const sealed: string[] = []
  for (let i = 0; i < 20; i++) {
    const { id } = await createTenant(db.ownerUrl, `tenant ${i}`)
    tenants.push(id)
    sealed.push(
      await withTenant(lane, id, async (tx) => (await openSealer(tx, old)).seal('p', new Hidden(`secret ${i}`))),
    )
  }
  const inUse = async () =>
    (await oracle.query('select distinct master_key from data_key order by 1')).rows.map((row) => row.master_key)
  // Killed half way, and begun again.
  for (const id of tenants.slice(0, 10)) {
    await tidyIntegrations(lane, id, both)
  }
  assert.deepEqual(await inUse(), ['new', 'old'])
  for (const id of tenants) {
    await tidyIntegrations(lane, id, both)
  }
  assert.deepEqual(await inUse(), ['new'])
  for (const [i, id] of tenants.entries()) {
    const opened = await withTenant(lane, id, async (tx) => (await openSealer(tx, fresh)).open('p', sealed[i] ?? ''))
    assert.equal(opened.reveal(), `secret ${i}`)
  }
})

test('sign-ins that nobody completed go, and those under way stay', async () => {
  const { id } = await createTenant(db.ownerUrl, 'sign-ins')
  for (const [name, seconds] of [
    ['00000000-0000-7000-8000-000000000001', 60],
    ['00000000-0000-7000-8000-000000000002', -60],
  ] as const) {
    await oracle.query(
      `insert into integration (tenant_id, id, system, status, login_origin, created_by)
       values ($1, $2, 'hubspot', 'PENDING', 'https://app.hubspot.com', 'ada')`,
      [id, name],
    )
    await oracle.query(
      `insert into oauth_state (tenant_id, state_hash, integration_id, actor, redirect_uri, verifier, expires_at)
       values ($1, sha256($2::text::bytea), $2::text::uuid, 'ada', 'https://app.example', 'x', now() + $3 * interval '1 second')`,
      [id, name, seconds],
    )
  }
  await tidyIntegrations(lane, id, { current: 'a', byId: { a: new Uint8Array(32) } })
  const { rows } = await oracle.query('select id from integration where tenant_id = $1', [id])
  assert.deepEqual(rows, [{ id: '00000000-0000-7000-8000-000000000001' }])
})
