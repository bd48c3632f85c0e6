/** Records that are changed after a bound run has looked at them and before it writes them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { confirm, ofRun, planned } from '../helpers/plans.js'

let db: TestDatabase
let engine: Engine
let other: pg.Client
before(async () => {
  db = await freshDatabase()
  // A row by itself is a chunk, and they are written one after the other.
  engine = await Engine.start(db, { chunkRows: 1, chunksInFlight: 1 })
  other = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await other.connect()
})
after(async () => {
  await other.end()
  await engine.close()
  await db.drop()
})

const map = { Ext: 'externalId', Last: 'lastName' }
const file = (...rows: readonly string[]) => `Ext,Last\n${rows.join('\n')}\n`

/** Resolves when a worker's lane waits for a lock of one of these kinds. */
async function laneWaits(kinds: readonly string[], ended: () => boolean): Promise<void> {
  for (;;) {
    const rows = await engine.rows(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and wait_event = any ($1)
         and application_name like 'portage lane%'`,
      [kinds],
    )
    if (rows.length > 0) {
      return
    }
    assert.ok(!ended(), 'the run ended and never waited')
  }
}

const ROW_LOCKS = ['transactionid', 'tuple']

test('a record that is changed between the look at it and the write is a drifted row', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, { type: 'contact', csv: file('r,Old'), map })
  const { runId, hash } = await planned(engine, tenant, { type: 'contact', csv: file('r,New'), map })
  await confirm(engine, tenant, runId, hash)
  await other.query('begin')
  await other.query("update contact set notes = 'a word' where tenant_id = $1", [tenant])
  let ended = false
  const run = engine.advance(tenant, runId).finally(() => {
    ended = true
  })
  // The look has found the version of before, for the change is not committed; the write waits for it.
  await laneWaits(ROW_LOCKS, () => ended)
  await other.query('commit')
  assert.deepEqual([(await run).status, (await run).counts.skipped], ['COMPLETED', 1])
  assert.deepEqual(
    (await ofRun(engine, runId)).map(({ outcome, issues }) => [outcome, issues?.split(' ')[0]]),
    [['SKIPPED', 'DRIFTED_SINCE_PLAN']],
  )
  assert.deepEqual(await engine.rows('select last_name, notes from contact where tenant_id = $1', [tenant]), [
    { last_name: 'Old', notes: 'a word' },
  ])
})

test('so is one that the run itself has made or changed before', async () => {
  await engine.rows(`create function wait_for_test() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock(4711); return new; end $$`)
  await engine.rows(
    "create trigger wait_for_test before insert on contact for each row when (new.last_name = 'Wait') execute function wait_for_test()",
  )
  for (const who of ['made', 'changed']) {
    const tenant = await engine.tenant()
    await engine.import(tenant, { type: 'contact', csv: file('changed,Old'), map })
    const csv = file('changed,First', 'made,First', 'wait,Wait', `${who},Second`)
    const { runId, hash, counts } = await planned(engine, tenant, { type: 'contact', csv, map })
    assert.deepEqual([counts.created, counts.updated], [2, 2])
    await confirm(engine, tenant, runId, hash)
    await other.query('select pg_advisory_lock(4711)')
    let ended = false
    const run = engine.advance(tenant, runId).finally(() => {
      ended = true
    })
    await laneWaits(['advisory'], () => ended)
    await other.query('begin')
    await other.query("update contact set notes = 'a word' where tenant_id = $1 and external_id = $2", [tenant, who])
    await other.query('select pg_advisory_unlock(4711)')
    await laneWaits(ROW_LOCKS, () => ended)
    await other.query('commit')
    await run
    assert.deepEqual(
      (await ofRun(engine, runId)).map(({ row, outcome }) => `${row} ${outcome}`),
      ['2 UPDATED', '3 CREATED', '4 CREATED', '5 SKIPPED'],
      who,
    )
    assert.deepEqual(
      await engine.rows('select last_name, notes from contact where tenant_id = $1 and external_id = $2', [
        tenant,
        who,
      ]),
      [{ last_name: 'First', notes: 'a word' }],
    )
  }
  await engine.rows('drop trigger wait_for_test on contact')
})

test('a row that was to create a record whose id somebody else has taken since is a drifted one', async () => {
  for (const onDrift of ['SKIP_ROW', 'FAIL_RUN'] as const) {
    const tenant = await engine.tenant()
    const options = { onDuplicate: 'CREATE', onDrift } as const
    const { runId, hash } = await planned(engine, tenant, {
      type: 'contact',
      csv: file('free,New', 'free,Again', 'taken,New'),
      map,
      options,
    })
    await engine.import(tenant, { type: 'contact', csv: file('taken,Somebody'), map })
    await confirm(engine, tenant, runId, hash)
    const run = await engine.advance(tenant, runId)
    if (onDrift === 'SKIP_ROW') {
      assert.deepEqual(
        (await ofRun(engine, runId)).map(({ outcome, issues }) => [outcome, issues?.split(' ')[0]]),
        [
          ['CREATED', undefined],
          ['FAILED', 'DUPLICATE_RECORD'],
          ['SKIPPED', 'DRIFTED_SINCE_PLAN'],
        ],
      )
    } else {
      assert.deepEqual([run.status, run.statusReason?.code], ['FAILED', 'DRIFTED_SINCE_PLAN'])
      assert.match(run.statusReason?.message ?? '', /^Row 4: /)
    }
  }
})

test('what a run without a plan notes as the value before is the one that somebody else has just written [DL-4]', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, { type: 'contact', csv: file('r,Old'), map })
  const runId = await engine.createRun(tenant, { type: 'contact', csv: file('r,New'), map })
  await other.query('begin')
  await other.query("update contact set last_name = 'Between' where tenant_id = $1", [tenant])
  let ended = false
  const run = engine.advance(tenant, runId).finally(() => {
    ended = true
  })
  await laneWaits(ROW_LOCKS, () => ended)
  await other.query('commit')
  assert.equal((await run).counts.updated, 1)
  assert.deepEqual(
    await engine.rows('select before, after, before_version, after_version from run_change where run_id = $1', [runId]),
    [{ before: { last_name: 'Between' }, after: { last_name: 'New' }, before_version: 2, after_version: 3 }],
  )
})
