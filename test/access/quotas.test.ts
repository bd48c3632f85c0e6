import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import {
  countCalls,
  quotaUses,
  releaseQuota,
  reserveQuota,
  reserveUpload,
  savePlan,
  setTenantQuotas,
  settleUpload,
  tidyQuotas,
} from '../../src/access/quotas.js'
import { createTenant } from '../../src/access/tenants.js'
import { Lane } from '../../src/db/lane.js'
import { type Tx, withTenant } from '../../src/db/tx.js'
import { Refusal } from '../../src/errors.js'
import { laneOptions } from '../../src/jobs/context.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

let db: TestDatabase
let oracle: pg.Client
let lanes: Lane[] = []

before(async () => {
  db = await freshDatabase()
  oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await oracle.connect()
  lanes = await Promise.all(Array.from({ length: 20 }, () => Lane.open(laneOptions(db.workerUrl, 'quotas'))))
})
after(async () => {
  await Promise.all(lanes.map((lane) => lane.close()))
  await oracle.end()
  await db.drop()
})

const tenant = async () => (await createTenant(db.ownerUrl, `tenant ${randomUUID()}`)).id

/** Two hundred of these, from twenty connections at once. */
async function atOnce<T>(tenantId: string, work: (tx: Tx) => Promise<T>): Promise<T[]> {
  const all = await Promise.all(
    lanes.map(async (lane) => {
      const answers: T[] = []
      for (let i = 0; i < 10; i++) {
        answers.push(await withTenant(lane, tenantId, work))
      }
      return answers
    }),
  )
  return all.flat()
}

const on = <T>(tenantId: string, work: (tx: Tx) => Promise<T>): Promise<T> =>
  withTenant(lanes[0] as Lane, tenantId, work)

const used = async (tenantId: string, name: string) =>
  (await on(tenantId, quotaUses)).find((quota) => quota.name === name)?.used

test('of 200 who ask at once exactly as many get something as there is, of every quota [QF-1]', async () => {
  const [one, neighbour] = [await tenant(), await tenant()]
  const overrides = { rowsPerDay: 77, runningRuns: 13, storageBytes: 50, crmCallsPerDay: 120 }
  await setTenantQuotas(db.ownerUrl, one, { overrides })
  for (const name of ['rowsPerDay', 'runningRuns', 'storageBytes'] as const) {
    const granted = (await atOnce(one, (tx) => reserveQuota(tx, name, 1, randomUUID()))).filter((each) => each.granted)
    assert.equal(granted.length, overrides[name], name)
    assert.equal(await used(one, name), overrides[name], name)
    assert.equal(await used(neighbour, name), 0, name)
  }
  const sent = await atOnce(one, (tx) => countCalls(tx, 3))
  assert.equal(sent.filter((until) => until === null).length, 40)
  assert.equal(await used(one, 'crmCallsPerDay'), 120)
  assert.ok(sent.every((until) => until === null || until > new Date()))
  const told = await oracle.query("select data ->> 'quota' as quota from outbox where tenant_id = $1 order by 1", [one])
  assert.deepEqual(
    told.rows.map(({ quota }) => quota),
    ['crmCallsPerDay', 'rowsPerDay', 'storageBytes'],
    'each is told of once, those of the moment are not',
  )
})

test('nothing is taken of one quota where another one has no room for the upload', async () => {
  const id = await tenant()
  await setTenantQuotas(db.ownerUrl, id, { overrides: { uploadBytesPerDay: 10, storageBytes: 100 } })
  await assert.rejects(
    on(id, (tx) => reserveUpload(tx, randomUUID(), 11)),
    (error) => error instanceof Refusal && error.quota?.name === 'uploadBytesPerDay',
  )
  assert.equal(await used(id, 'storageBytes'), 0)
})

test('what a process had reserved that is gone comes back, and that of an upload under way does not', async () => {
  const id = await tenant()
  const [gone, alive, kept] = [randomUUID(), randomUUID(), randomUUID()]
  await on(id, async (tx) => {
    await reserveUpload(tx, gone, 10)
    await reserveUpload(tx, alive, 20)
    await reserveQuota(tx, 'runningRuns', 1, kept)
  })
  await oracle.query("update quota_entry set expires_at = now() - interval '1 second' where subject = $1", [gone])
  await on(id, tidyQuotas)
  assert.equal(await used(id, 'uploadBytesPerDay'), 20)
  assert.equal(await used(id, 'runningRuns'), 1)
  await on(id, (tx) => releaseQuota(tx, 'runningRuns', kept))
  await on(id, (tx) => releaseQuota(tx, 'runningRuns', kept))
  assert.equal(await used(id, 'runningRuns'), 0, 'given back once')
})

test('a tenant has the limits of its plan, and its own before those', async () => {
  const id = await tenant()
  const limitOf = async (name: string) => (await on(id, quotaUses)).find((quota) => quota.name === name)?.limit
  await savePlan(db.ownerUrl, 'tiny', { rowsPerDay: 10, runningRuns: 1 })
  await setTenantQuotas(db.ownerUrl, id, { plan: 'tiny', overrides: { runningRuns: 3 } })
  assert.deepEqual([await limitOf('rowsPerDay'), await limitOf('runningRuns')], [10, 3])
  assert.equal(await limitOf('crmCallsPerDay'), Number.MAX_SAFE_INTEGER, 'a plan that says nothing does not limit')
  await savePlan(db.ownerUrl, 'tiny', { rowsPerDay: 20 })
  await setTenantQuotas(db.ownerUrl, id, { overrides: { runningRuns: null } })
  assert.deepEqual([await limitOf('rowsPerDay'), await limitOf('runningRuns')], [20, 1])
  await assert.rejects(setTenantQuotas(db.ownerUrl, id, { plan: 'none' }), /There is no plan/)
  // Nobody but the operator.
  await assert.rejects(
    on(id, (tx) => tx.query("update quota_plan set limits = '{}'")),
    /permission denied/,
  )
  await assert.rejects(
    on(id, (tx) => tx.query("update tenant set plan = 'small'")),
    /permission denied/,
  )
})

/**
 * Does `first`, then `other` on a connection of its own until that waits, then `rest` in the transaction of `first`. Fails when each
 * waits for the other.
 */
async function meeting(
  tenantId: string,
  first: (tx: Tx) => Promise<unknown>,
  other: (tx: Tx) => Promise<unknown>,
  rest: (tx: Tx) => Promise<unknown>,
  two = lanes[1] as Lane,
): Promise<void> {
  const [one] = lanes as [Lane]
  let second: Promise<unknown> = Promise.resolve()
  let ended = false
  await withTenant(one, tenantId, async (tx) => {
    await first(tx)
    second = withTenant(two, tenantId, other)
    // A failure is told below; until then nobody listens.
    second.catch(() => undefined).finally(() => (ended = true))
    for (let waits = false; !waits; ) {
      assert.ok(!ended, 'the other one ended without waiting')
      const { rows } = await oracle.query('select wait_event_type as on from pg_stat_activity where pid = $1', [
        two.pid,
      ])
      waits = rows[0]?.on === 'Lock'
    }
    await rest(tx)
  })
  await second
}

test('an upload that ends while another one begins does not make a circle with it', async () => {
  const id = await tenant()
  const [ending, beginning] = [randomUUID(), randomUUID()]
  await on(id, (tx) => reserveUpload(tx, ending, 10))
  await meeting(
    id,
    (tx) => reserveQuota(tx, 'storageBytes', 20, beginning),
    (tx) => settleUpload(tx, ending, 7),
    (tx) => reserveQuota(tx, 'uploadBytesPerDay', 20, beginning),
  )
  assert.deepEqual([await used(id, 'storageBytes'), await used(id, 'uploadBytesPerDay')], [20, 27])
})

test('a run that ends while another one starts does not make a circle with it', async () => {
  const id = await tenant()
  const [ending, starting] = [randomUUID(), randomUUID()]
  await oracle.query(
    `with f as (
       insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, expires_at)
       values ($1, gen_random_uuid(), 'x', 1, '', 'k', '{}', 'me', now()) returning id)
     insert into run (tenant_id, id, kind, status, created_by, record_type, source_file_id, options, total)
     select $1, $2, 'IMPORT', 'RUNNING', 'me', 'contact', f.id, '{}', 3 from f`,
    [id, ending],
  )
  const start = (tx: Tx, runId: string, name: 'runningRuns' | 'rowsPerDay') =>
    reserveQuota(tx, name, name === 'rowsPerDay' ? 5 : 1, runId)
  await on(id, async (tx) => {
    await start(tx, ending, 'runningRuns')
    await start(tx, ending, 'rowsPerDay')
  })
  await meeting(
    id,
    (tx) => start(tx, starting, 'runningRuns'),
    (tx) =>
      tx.query(
        "update run set created = 3, unprocessed = 0, status = 'COMPLETED', finished_at = now() where tenant_id = $1 and id = $2",
        [id, ending],
      ),
    (tx) => start(tx, starting, 'rowsPerDay'),
  )
  assert.deepEqual([await used(id, 'runningRuns'), await used(id, 'rowsPerDay')], [1, 8])
})

test('an upload that is canceled while another one begins does not make a circle with it', async () => {
  const id = await tenant()
  const [canceled, beginning] = [randomUUID(), randomUUID()]
  await oracle.query(
    `insert into upload_session (tenant_id, id, name, byte_size, sha256, created_by, expires_at)
     values ($1, $2, 'a', 10, 'x', 'test', now() + interval '1 day')`,
    [id, canceled],
  )
  await on(id, (tx) => reserveUpload(tx, canceled, 10))
  const api = await Lane.open(laneOptions(db.apiUrl, 'quotas'))
  await meeting(
    id,
    (tx) => reserveQuota(tx, 'storageBytes', 20, beginning),
    (tx) =>
      tx.query("update upload_session set expires_at = '-infinity' where tenant_id = $1 and id = $2", [id, canceled]),
    (tx) => reserveQuota(tx, 'uploadBytesPerDay', 20, beginning),
    api,
  )
  await api.close()
  assert.deepEqual([await used(id, 'storageBytes'), await used(id, 'uploadBytesPerDay')], [20, 20])
})
