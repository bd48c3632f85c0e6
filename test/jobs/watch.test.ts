import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { SharedLane } from '../../src/jobs/context.js'
import { lookAtQueue, lookAtRuns, watchClaim } from '../../src/jobs/watch.js'
import { STALLED_SECONDS } from '../../src/limits.js'
import { createLog } from '../../src/log.js'
import { leaseAge, queueAge, queuedRuns, sealLag, stalledRuns, stalls, unsealedEntries } from '../../src/metrics.js'
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

test('a run in hand that does not move for a minute is told once, and again when it stalls again [OB-3]', async () => {
  const tenantId = await engine.tenant()
  const runId = await engine.createRun(tenantId, {
    type: 'contact',
    csv: 'email\na@example.com\n',
    map: { email: 'email' },
  })
  const lines: string[] = []
  const log = createLog({ level: 'info', process: 'test' }, { write: (line) => void lines.push(line) })
  const control: SharedLane = engine.context.control
  const look = (seconds: number) => lookAtRuns(control, log, seconds * 1000)
  const values = async () => [(await stalledRuns.get()).values[0]?.value, (await stalls.get()).values[0]?.value]
  const end = watchClaim({
    tenantId,
    runId,
    kind: 'IMPORT',
    status: 'RUNNING',
    token: 1,
    attempts: 1,
    trace: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`,
  })
  await look(0)
  await look(STALLED_SECONDS - 1)
  assert.deepEqual([lines.length, await values()], [0, [0, 0]])
  await look(STALLED_SECONDS)
  await look(STALLED_SECONDS + 5)
  await look(STALLED_SECONDS * 10)
  assert.deepEqual([lines.length, await values()], [1, [1, 1]])
  const told = JSON.parse(lines[0] ?? '')
  assert.deepEqual(
    [told.level, told.msg, told.tenantId, told.runId, told.operation],
    ['warn', 'a run makes no progress', tenantId, runId, 'IMPORT'],
  )
  await engine.oracle.query('update run set rows_read = rows_read + 1 where id = $1', [runId])
  await look(STALLED_SECONDS * 10 + 1)
  assert.deepEqual(await values(), [0, 1])
  await look(STALLED_SECONDS * 11 + 1)
  assert.deepEqual([lines.length, await values()], [2, [1, 2]])
  end()
  await look(STALLED_SECONDS * 12)
  assert.deepEqual(await values(), [0, 2])
})

test('a run that drives others is not judged by its own counters', async () => {
  const lines: string[] = []
  const log = createLog({ level: 'info', process: 'test' }, { write: (line) => void lines.push(line) })
  const claim = {
    tenantId: randomUUID(),
    runId: randomUUID(),
    status: 'RUNNING',
    token: 1,
    attempts: 1,
    trace: '',
  } as const
  const ends = (['MIGRATION', 'BUNDLE_IMPORT'] as const).map((kind) => watchClaim({ ...claim, kind }))
  await lookAtRuns(engine.context.control, log, 0)
  await lookAtRuns(engine.context.control, log, STALLED_SECONDS * 2000)
  assert.deepEqual(lines, [])
  ends.forEach((end) => end())
})

test('what waits is counted, and how long it has: runs, and the audit before it is sealed', async () => {
  const tenantId = await engine.tenant()
  const entry = '01999999-9999-7000-8000-000000000000' // of September 2025
  await engine.oracle.query('insert into audit_pending (tenant_id, entry_id) values ($1, $2)', [tenantId, entry])
  await lookAtQueue(engine.context.presence)
  assert.ok(((await unsealedEntries.get()).values[0]?.value ?? 0) >= 1)
  assert.ok(((await sealLag.get()).values[0]?.value ?? 0) > 86_400)
  assert.ok(((await queuedRuns.get()).values[0]?.value ?? -1) >= 0)
})

test('what waits is measured: runs that are due, holds that are not renewed, entries that are not sealed [OB-1]', async () => {
  const tenantId = await engine.tenant()
  await engine.oracle.query('delete from run_wakeup')
  await engine.oracle.query('delete from audit_pending')
  const look = async () => {
    await lookAtQueue(engine.context.presence)
    const values = await Promise.all(
      [queuedRuns, queueAge, leaseAge, unsealedEntries, sealLag].map((gauge) => gauge.get()),
    )
    return values.map(({ values: [first] }) => first?.value ?? -1)
  }
  assert.deepEqual(await look(), [0, 0, 0, 0, 0])
  await engine.oracle.query(
    `insert into run_wakeup (run_id, tenant_id, due_at, holder, lease_until) values
       (uuidv7(), $1, now() - interval '90 seconds', null, null), (uuidv7(), $1, now() - interval '30 seconds', null, null),
       (uuidv7(), $1, now() + interval '1 hour', null, null), (uuidv7(), $1, now() - interval '1 hour', $2, clock_timestamp() + interval '2 seconds')`,
    [tenantId, engine.context.holder],
  )
  await engine.oracle.query(
    `insert into audit_entry (tenant_id, id, actor, action, outcome, detail) values ($1, uuidv7(interval '-40 seconds'), 'a', 'x', 'OK', '{}')`,
    [tenantId],
  )
  const [runs = 0, age = 0, lease = 0, entries = 0, lag = 0] = await look()
  assert.deepEqual([runs, entries], [2, 1])
  assert.ok(age >= 90 && age < 100, `${age}`)
  assert.ok(lease >= 3 && lease < 5, `${lease}`)
  assert.ok(lag >= 40 && lag < 50, `${lag}`)
})
