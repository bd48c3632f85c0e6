import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import { bringForward, laneName } from '../../src/jobs/claim.js'
import { laneOptions } from '../../src/jobs/context.js'
import { cancelRun, pauseRun, resumeRun } from '../../src/runs/control.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db)
})
after(async () => {
  await engine.close()
  await db.drop()
})

const request = {
  type: 'contact',
  csv: 'Id,Mail\na,a@example.com\n',
  map: { Id: 'externalId', Mail: 'email' },
} as const

test('a claim ends what is left of any earlier one, also of a worker that has handed the run back', {
  timeout: 10_000,
}, async () => {
  const tenant = await engine.tenant()
  const runId = await engine.createRun(tenant, request)
  const left = new pg.Client({ connectionString: db.workerUrl, application_name: laneName(77, runId) })
  left.on('error', () => undefined)
  await left.connect()
  const other = new pg.Client({ connectionString: db.workerUrl, application_name: laneName(77, tenant) })
  await other.connect()
  const ended = new Promise((resolve) => {
    left.once('end', () => resolve('ended'))
  })
  await advanceRun(engine.context, { tenantId: tenant, runId })
  assert.equal(await ended, 'ended')
  assert.deepEqual((await other.query('select 1 as one')).rows, [{ one: 1 }], 'a lane of another run is left alone')
  await other.end()
})

/** Whether a dispatcher would send a job for the run now. */
const isDue = async (runId: string): Promise<boolean | undefined> => {
  const rows = await engine.rows<{ due: boolean }>(
    'select due_at <= clock_timestamp() and sent_until is null as due from run_wakeup where run_id = $1',
    [runId],
  )
  return rows[0]?.due
}

test('cancel and resume act at once on a run that waits for its next attempt', async () => {
  const tenant = await engine.tenant()
  const api = await Lane.open(laneOptions(db.apiUrl, 'api'))
  const woken: string[] = []
  engine.oracle.on('notification', ({ payload }) => woken.push(payload ?? ''))
  await engine.oracle.query('listen portage_wakeup')
  try {
    for (const act of [
      [cancelRun, 'CANCELED'],
      [resumeRun, 'COMPLETED'],
    ] as const) {
      const runId = await engine.createRun(tenant, request)
      await advanceRun(engine.context, { tenantId: tenant, runId })
      // As a failed attempt leaves it.
      await engine.rows("update run set status = 'RUNNING', attempts = 5 where id = $1", [runId])
      await engine.rows("update run_wakeup set due_at = now() + interval '1 hour' where run_id = $1", [runId])
      if (act[0] === resumeRun) {
        await withTenant(api, tenant, (tx) => pauseRun(tx, runId))
        assert.equal((await engine.run(tenant, runId)).status, 'PAUSED')
      }
      woken.length = 0
      await withTenant(api, tenant, (tx) => act[0](tx, runId))
      assert.equal(await isDue(runId), false)
      // The notification has come by the time that this query is answered; the dispatcher does the rest.
      await bringForward(engine.context.presence, woken)
      assert.equal(await isDue(runId), true, act[1])
      await advanceRun(engine.context, { tenantId: tenant, runId })
      assert.equal((await engine.run(tenant, runId)).status, act[1])
    }
  } finally {
    await api.close()
  }
})

test('whoever has waited longest for its turn is next, and is woken', async () => {
  const tenant = await engine.tenant()
  const [first, second] = [await engine.createRun(tenant, request), await engine.createRun(tenant, request)]
  for (const runId of [first, second]) {
    await advanceRun(engine.context, { tenantId: tenant, runId })
  }
  // The first one has had a turn and made way: its place is behind the second one's.
  await engine.rows("update run_wakeup set due_at = now() - interval '10 seconds' where run_id = $1", [second])
  await engine.rows("update run_wakeup set due_at = now() - interval '5 seconds' where run_id = $1", [first])
  await advanceRun(engine.context, { tenantId: tenant, runId: first })
  assert.equal((await engine.run(tenant, first)).counts.read, 0, 'it took the turn of the one that waits')
  assert.equal(await isDue(first), false, 'it waits to be woken')
  await advanceRun(engine.context, { tenantId: tenant, runId: second })
  assert.equal((await engine.run(tenant, second)).status, 'COMPLETED')
  assert.equal(await isDue(first), true, 'nobody told it that the turn is free')
  await advanceRun(engine.context, { tenantId: tenant, runId: first })
  assert.equal((await engine.run(tenant, first)).status, 'COMPLETED')
})

test('a run of a kind that a newer version has made is left to a newer worker [SU-2]', async () => {
  const tenant = await engine.tenant()
  const runId = await engine.createRun(tenant, request)
  await engine.rows('begin')
  await engine.rows('set local session_replication_role = replica')
  await engine.rows(
    `do $$ declare c text; begin
       for c in select conname from pg_constraint where conrelid = 'run'::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%kind%' loop
         execute format('alter table run drop constraint %I', c);
       end loop; end $$`,
  )
  await engine.rows(`update run set kind = 'OF_TOMORROW' where id = $1`, [runId])
  await engine.rows('commit')
  await advanceRun(engine.context, { tenantId: tenant, runId })
  const [left] = await engine.rows<{ status: string; token: number; later: boolean }>(
    `select r.status, r.fencing_token::int as token, w.due_at > clock_timestamp() and w.holder is null as later
     from run r join run_wakeup w on w.run_id = r.id where r.id = $1`,
    [runId],
  )
  assert.deepEqual(left, { status: 'ANALYZING', token: 0, later: true })
})
