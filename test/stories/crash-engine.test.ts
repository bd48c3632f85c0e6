/** What a worker does when it is cut off, told to stop, deceived or replaced, seen from inside one process. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { encodeId } from '../../src/ids.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import { claimRun } from '../../src/jobs/claim.js'
import type { WorkerContext } from '../../src/jobs/context.js'
import { differences, eventFaults } from '../chaos/compare.js'
import { type Cut, CuttingProxy, isCommit } from '../helpers/cutting-proxy.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { contactsWithRepeats, newContacts, type TestFile, updatesOf } from '../helpers/files.js'
import { Random } from '../helpers/random.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 4711)

let db: TestDatabase
before(async () => {
  db = await freshDatabase()
})
after(async () => {
  await db.drop()
})

async function onEngine(
  options: { readonly chunkRows: number },
  work: (engine: Engine) => Promise<void>,
): Promise<void> {
  const engine = await Engine.start(db, options)
  try {
    await work(engine)
  } finally {
    await engine.close()
  }
}

/** A tenant with the contacts that the upsert of `rows` rows updates. */
async function tenantWithContacts(engine: Engine, rows: number): Promise<string> {
  const tenantId = await engine.tenant()
  await engine.import(tenantId, { type: 'contact', ...newContacts(seed, updatesOf(rows)) })
  return tenantId
}

/** An import that nobody disturbs, to compare others with. */
async function undisturbed(engine: Engine, file: TestFile): Promise<{ tenantId: string; runId: string }> {
  const tenantId = await tenantWithContacts(engine, file.rows)
  const run = await engine.import(tenantId, { type: 'contact', ...file })
  assert.equal(run.counts.read, file.rows)
  return { tenantId, runId: run.id }
}

/** The same file in a tenant of its own, read and waiting to be written. */
async function queued(engine: Engine, file: TestFile): Promise<{ tenantId: string; runId: string }> {
  const tenantId = await tenantWithContacts(engine, file.rows)
  const runId = await engine.createRun(tenantId, { type: 'contact', ...file })
  await advanceRun(engine.context, { tenantId, runId })
  assert.equal((await engine.run(tenantId, runId)).status, 'QUEUED')
  return { tenantId, runId }
}

async function advance(
  engine: Engine,
  context: WorkerContext,
  run: { tenantId: string; runId: string },
): Promise<number> {
  for (let claims = 1; ; claims++) {
    await engine.rows("update run_wakeup set due_at = now() - interval '1 second' where run_id = $1", [run.runId])
    await advanceRun(context, run)
    if ((await engine.rows('select 1 from run_wakeup where run_id = $1', [run.runId])).length === 0) {
      return claims
    }
    assert.ok(
      claims < 500,
      `the run does not come to an end: ${JSON.stringify(await engine.run(run.tenantId, run.runId))}`,
    )
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const started = performance.now()
  while (!(await isSo())) {
    assert.ok(performance.now() - started < 30_000, 'waited in vain')
  }
}

test('a connection that is cut around COMMIT leaves nothing out and nothing twice [CS-3]', async () => {
  await onEngine({ chunkRows: 100 }, async (engine) => {
    const file = contactsWithRepeats(seed, 4000)
    const expected = await undisturbed(engine, file)
    const run = await queued(engine, file)
    const random = new Random(seed)
    const proxy = await CuttingProxy.start(db.workerUrl, (data) =>
      isCommit(data) && random.chance(0.4)
        ? random.pick<Cut>(['before the server hears of it', 'before its answer arrives', 'before its answer arrives'])
        : null,
    )
    try {
      // Only the lanes go through the proxy: whoever looks after the run can tell what became of it.
      await advance(engine, { ...engine.context, databaseUrl: proxy.through(db.workerUrl) }, run)
    } finally {
      await proxy.close()
    }
    const answered = proxy.cuts.filter((cut) => cut === 'before its answer arrives').length
    assert.ok(
      answered >= 5 && proxy.cuts.length > answered,
      `seed ${seed}: too few cuts of each kind: ${proxy.cuts.join(', ')}`,
    )
    assert.deepEqual(await differences(engine, 'contact', expected, run), [], `seed ${seed}`)
    assert.deepEqual(await eventFaults(engine, run.tenantId), [], `seed ${seed}`)
  })
})

test('a run that is stopped after each of 50 chunks succeeds all the same [CS-7]', async () => {
  await onEngine({ chunkRows: 40 }, async (engine) => {
    const file = contactsWithRepeats(seed + 1, 2000)
    const expected = await undisturbed(engine, file)
    const run = await queued(engine, file)
    // Somebody who has been told to stop ends the chunk in hand, and no more.
    const claims = await advance(engine, { ...engine.context, stopping: AbortSignal.abort() }, run)
    assert.ok(claims >= 50, `expected 50 stops, there were ${claims}`)
    assert.deepEqual(await differences(engine, 'contact', expected, run), [])
    assert.deepEqual(await eventFaults(engine, run.tenantId), [])
  })
})

test('a job that pairs a run with the wrong tenant changes nothing [IS-7]', async () => {
  await onEngine({ chunkRows: 100 }, async (engine) => {
    const { tenantId, runId } = await queued(engine, contactsWithRepeats(seed + 2, 200))
    const stranger = await engine.tenant()
    const look = () =>
      engine.rows(
        'select to_jsonb(r) as run, to_jsonb(w) as wakeup from run r join run_wakeup w on w.run_id = r.id where r.id = $1',
        [runId],
      )
    const before = await look()
    assert.equal(before.length, 1)
    assert.equal(await engine.context.control.use((lane) => claimRun(lane, { tenantId: stranger, runId }, 77)), null)
    await advanceRun(engine.context, { tenantId: stranger, runId })
    assert.deepEqual(await look(), before)
    const told = await engine.rows(
      "select tenant_id, outcome from audit_entry where action = 'run.claim' and target = $1",
      [encodeId('run', runId)],
    )
    assert.deepEqual(
      told,
      Array.from({ length: 2 }, () => ({ tenant_id: stranger, outcome: 'DENIED' })),
    )
    // The right pair is as good as ever.
    assert.equal((await engine.advance(tenantId, runId)).counts.unprocessed, 0)
  })
})

test('a lease that has lapsed is taken over, and what is left of the worker before is ended [CS-4]', async () => {
  await onEngine({ chunkRows: 100 }, async (old) => {
    await onEngine({ chunkRows: 100 }, async (engine) => {
      const file = contactsWithRepeats(seed + 3, 1000)
      const expected = await undisturbed(engine, file)
      const run = await queued(engine, file)
      // By the other connection: within a transaction the list of sessions stands still.
      const lanes = () =>
        old.rows<{ waits: boolean }>(
          `select wait_event_type = 'Lock' as waits from pg_stat_activity where application_name = 'portage lane ' || $1 || ' ' || $2`,
          [old.context.holder, run.runId],
        )
      // Nobody gets past this table: the old worker stands in the middle of its chunk.
      await engine.rows('begin')
      await engine.rows('lock table contact in share row exclusive mode')
      const stuck = advanceRun({ ...old.context, files: engine.files }, run)
      await until(async () => (await lanes()).some(({ waits }) => waits))
      await old.rows("update run_wakeup set lease_until = now() - interval '1 second' where run_id = $1", [run.runId])
      const successor = advanceRun(engine.context, run)
      await until(async () => (await lanes()).length === 0)
      await engine.rows('commit')
      await Promise.all([stuck, successor])
      await engine.advance(run.tenantId, run.runId)
      assert.deepEqual(await differences(engine, 'contact', expected, run), [])
      assert.deepEqual(await eventFaults(engine, run.tenantId), [])
    })
  })
})

test('the comparison notices one difference of each kind', async () => {
  await onEngine({ chunkRows: 100 }, async (engine) => {
    const file = contactsWithRepeats(seed + 4, 400)
    const expected = await undisturbed(engine, file)
    const found = await undisturbed(engine, file)
    const faults = async () => [
      ...(await differences(engine, 'contact', expected, found)),
      ...(await eventFaults(engine, found.tenantId)),
    ]
    assert.deepEqual(await faults(), [])
    const one = (table: string, where = 'true') =>
      `(select ctid from ${table} where tenant_id = $1 and ${table === 'contact' ? 'true' : `run_id = '${found.runId}'`} and ${where} limit 1)`
    for (const [sql, notice] of [
      [`update contact set city = 'Elsewhere' where ctid = ${one('contact')}`, /^contact records: 1/],
      [`delete from contact where ctid = ${one('contact')}`, /^contact records: 1 missing/],
      [
        `update run_change set after_version = after_version + 1 where ctid = ${one('run_change')}`,
        /^before-images: 1/,
      ],
      [`update run_row set byte = byte + 1 where ctid = ${one('run_row')}`, /^outcomes of rows: 1/],
      [`update run_range set row_count = row_count + 1 where ctid = ${one('run_range')}`, /^outcomes as ranges: 1/],
      [`delete from run_issue where ctid = ${one('run_issue')}`, /^issues: 1 missing/],
      [
        `update run set queued_ms = queued_ms, bytes_read = bytes_read - 1 where tenant_id = $1 and id = '${found.runId}'`,
        /^counters: 1/,
      ],
      [
        `delete from event where ctid = ${one('event', "type = 'RowsSettled'")}`,
        /events from 1 to|settled after row|events settle/,
      ],
      [
        `update event set body = jsonb_set(body, '{toRow}', to_jsonb((body ->> 'toRow')::int - 1)) where ctid = ${one('event', "type = 'RowsSettled'")}`,
        /settled after row/,
      ],
    ] as const) {
      await engine.rows('begin')
      await engine.rows(sql, [found.tenantId])
      const noticed = await faults()
      assert.ok(
        noticed.some((fault) => notice.test(fault)),
        `${sql} should have been noticed: ${JSON.stringify(noticed)}`,
      )
      await engine.rows('rollback')
    }
  })
})
