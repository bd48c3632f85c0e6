import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { masterKeysInUse, openSealer, rewrapDataKeys } from '../../src/access/secrets.js'
import { createTenant } from '../../src/access/tenants.js'
import { Lane } from '../../src/db/lane.js'
import { type Tx, withTenant } from '../../src/db/tx.js'
import { Hidden } from '../../src/hidden.js'
import { laneOptions } from '../../src/jobs/context.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

let db: TestDatabase
let lane: Lane
let tenantId = ''
let neighbour = ''

const key = () => new Uint8Array(randomBytes(32))
const old = { current: 'a', byId: { a: key() } }
const both = { current: 'b', byId: { ...old.byId, b: key() } }

before(async () => {
  db = await freshDatabase()
  tenantId = (await createTenant(db.ownerUrl, 'one')).id
  neighbour = (await createTenant(db.ownerUrl, 'two')).id
  lane = await Lane.open(laneOptions(db.workerUrl, 'secrets'))
})
after(async () => {
  await lane.close()
  await db.drop()
})

const inTenant = <R>(work: (tx: Tx) => Promise<R>, id = tenantId) => withTenant(lane, id, work)

test('a sealed text opens for its own tenant and purpose, and for nothing else [OA-1]', async () => {
  const text = `canary ${'ü'.repeat(3000)}`
  const sealed = await inTenant(async (tx) => (await openSealer(tx, old)).seal('token of 1', new Hidden(text)))
  assert.doesNotMatch(sealed, /canary/)
  await inTenant(async (tx) => {
    const sealer = await openSealer(tx, old)
    assert.equal(sealer.open('token of 1', sealed).reveal(), text)
    assert.notEqual(sealer.seal('token of 1', new Hidden(text)), sealed)
    assert.throws(() => sealer.open('token of 2', sealed), { code: 'SECRET_UNREADABLE' })
    const [version = '', id = '', bytes = ''] = sealed.split('.')
    const changed = Buffer.from(bytes, 'base64url')
    changed[20] = (changed[20] ?? 0) ^ 1
    for (const wrong of [
      '',
      'x',
      `${version}.${id}`,
      `${version}.${id}.`,
      `${version}.${id}.${bytes.slice(0, -4)}`,
      `${version}.${id}.${changed.toString('base64url')}`,
      `ptg2.${id}.${bytes}`,
      `${sealed}.x`,
    ]) {
      assert.throws(() => sealer.open('token of 1', wrong), { code: 'SECRET_UNREADABLE' }, wrong)
    }
  })
  await inTenant(async (tx) => {
    const sealer = await openSealer(tx, old)
    assert.throws(() => sealer.open('token of 1', sealed), { code: 'SECRET_UNREADABLE' })
  }, neighbour)
})

test('a data key in the row of another tenant opens nothing', async () => {
  const sealed = await inTenant(async (tx) => (await openSealer(tx, old)).seal('p', new Hidden('canary')))
  const [row] = await inTenant((tx) =>
    tx.query<{ id: string; wrapped: Buffer }>('select id, wrapped from data_key where tenant_id = $1', [tx.tenantId]),
  )
  await inTenant(async (tx) => {
    await tx.query('insert into data_key (tenant_id, id, ordinal, master_key, wrapped) values ($1, $2, 9, $3, $4)', [
      tx.tenantId,
      row?.id,
      'a',
      row?.wrapped,
    ])
    const sealer = await openSealer(tx, old)
    assert.throws(() => sealer.open('p', sealed), { code: 'SECRET_UNREADABLE' })
    throw new Error('roll back')
  }, neighbour).catch((error: Error) => assert.equal(error.message, 'roll back'))
})

test('the master key can be changed while everything stays readable, and the old one can then go', async () => {
  const sealed = await inTenant(async (tx) => (await openSealer(tx, old)).seal('p', new Hidden('canary')))
  const opens = (masters: typeof old) =>
    inTenant(async (tx) => (await openSealer(tx, masters)).open('p', sealed).reveal())
  assert.equal(await opens(both), 'canary')
  const without = { current: 'b', byId: { b: both.byId.b } } as unknown as typeof old
  await assert.rejects(opens(without), { code: 'SECRET_UNREADABLE', message: /"a" is not in PORTAGE_MASTER_KEYS/ })
  assert.equal(await inTenant((tx) => rewrapDataKeys(tx, both)), 1)
  assert.equal(await inTenant((tx) => rewrapDataKeys(tx, both)), 0)
  assert.deepEqual(await inTenant(masterKeysInUse), ['b'])
  assert.equal(await opens(without), 'canary')
})

test('processes that are the first at once agree on one data key', async () => {
  const id = (await createTenant(db.ownerUrl, 'three')).id
  const lanes = await Promise.all(Array.from({ length: 8 }, () => Lane.open(laneOptions(db.workerUrl, 'secrets'))))
  const sealed = await Promise.all(
    lanes.map((each) => withTenant(each, id, async (tx) => (await openSealer(tx, old)).seal('p', new Hidden('x')))),
  )
  assert.equal(new Set(sealed.map((text) => text.split('.')[1])).size, 1)
  await inTenant(async (tx) => {
    const sealer = await openSealer(tx, old)
    assert.ok(sealed.every((text) => sealer.open('p', text).reveal() === 'x'))
  }, id)
  await Promise.all(lanes.map((each) => each.close()))
})

test('a hidden text shows itself nowhere', () => {
  const hidden = new Hidden('canary')
  assert.doesNotMatch(`${String(hidden)} ${JSON.stringify({ hidden })} ${hidden as unknown as string}`, /canary/)
})
