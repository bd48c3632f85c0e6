/** Plans that are interrupted, and runs bound by one that are: neither shows in what is planned or written. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { withTenant } from '../../src/db/tx.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import { laneName } from '../../src/jobs/claim.js'
import type { WorkerContext } from '../../src/jobs/context.js'
import { cancelRun } from '../../src/runs/control.js'
import { requestPlan } from '../../src/runs/plan.js'
import { differences, eventFaults } from '../chaos/compare.js'
import { type Cut, CuttingProxy, isCommit } from '../helpers/cutting-proxy.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { contactsWithRepeats, newContacts, type TestFile, updatesOf } from '../helpers/files.js'
import { confirm, planned, planOf } from '../helpers/plans.js'
import { Random } from '../helpers/random.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 4711)

/** Ten chunks of a plan. */
const ROWS = 400
const CHUNK_ROWS = 40

interface Run {
  readonly tenantId: string
  readonly runId: string
}

let db: TestDatabase
let engine: Engine
let other: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: CHUNK_ROWS })
  other = await Engine.start(db, { chunkRows: CHUNK_ROWS })
})
after(async () => {
  await engine.close()
  await other.close()
  await db.drop()
})

async function tenantWithContacts(rows: number): Promise<string> {
  const tenantId = await engine.tenant()
  await engine.import(tenantId, { type: 'contact', ...newContacts(seed, updatesOf(rows)) })
  return tenantId
}

/** Everything that a plan is, each row of it with how often it stands there. */
async function wholePlan(runId: string): Promise<object[]> {
  return engine.rows(
    `select 'run' as what, jsonb_build_array(plan_hash, plan_counts, status)::text as row, 1 as times from run where id = $1
     union all ${['plan_row', 'plan_range', 'plan_issue', 'plan_chunk']
       .map(
         (table) => `select '${table}', to_jsonb(t)::text, count(*)::int from ${table} t where run_id = $1 group by t`,
       )
       .join(' union all ')} order by 1, 2`,
    [runId],
  )
}

/** The same plan, to be made again. */
async function again({ tenantId, runId }: Run): Promise<void> {
  await engine.context.control.use((lane) => withTenant(lane, tenantId, (tx) => requestPlan(tx, runId)))
}

/** Does something when a worker's lanes have sent the database something for the `nth` time; -1: never. Counts. */
class Tap {
  sent = 0
  readonly #proxy: CuttingProxy
  readonly context: WorkerContext

  private constructor(proxy: CuttingProxy, context: WorkerContext) {
    this.#proxy = proxy
    this.context = context
  }

  static async open(of: Engine, nth: (sent: number) => boolean, act: () => Promise<unknown>): Promise<Tap> {
    let tap: Tap | null = null
    const proxy = await CuttingProxy.start(db.workerUrl, () => {
      if (tap !== null) {
        tap.sent += 1
        if (nth(tap.sent)) {
          tap.#done.push(act())
        }
      }
      return null
    })
    tap = new Tap(proxy, { ...of.context, files: engine.files, databaseUrl: proxy.through(db.workerUrl) })
    return tap
  }

  readonly #done: Promise<unknown>[] = []

  get acted(): number {
    return this.#done.length
  }

  async close(): Promise<void> {
    await Promise.all(this.#done)
    await this.#proxy.close()
  }
}

const endLanes = (of: Engine, { runId }: Run) =>
  other.rows('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
    laneName(of.context.holder, runId),
  ])

async function due({ runId }: Run): Promise<void> {
  await engine.rows("update run_wakeup set due_at = now() - interval '1 second' where run_id = $1", [runId])
}

/** A plan that nobody disturbs, made twice; what the lanes sent meanwhile says at how many points it can be disturbed. */
async function undisturbedPlan(): Promise<{ run: Run; expected: object[]; points: number }> {
  const tenantId = await tenantWithContacts(ROWS)
  const { runId } = await planned(engine, tenantId, { type: 'contact', ...contactsWithRepeats(seed, ROWS) })
  const run = { tenantId, runId }
  const expected = await wholePlan(runId)
  await again(run)
  const tap = await Tap.open(
    engine,
    () => false,
    async () => undefined,
  )
  await due(run)
  await advanceRun(tap.context, run)
  await tap.close()
  assert.deepEqual(await wholePlan(runId), expected)
  assert.ok(tap.sent > 100, `${tap.sent} points`)
  return { run, expected, points: tap.sent }
}

test('a plan whose connection ends, whose worker is told to stop or is replaced, is the plan that it would have been', async () => {
  const { run, expected, points } = await undisturbedPlan()
  const random = new Random(seed)
  const interrupted = { ended: 0, stopped: 0, replaced: 0, deposed: 0 }
  const disturbances = [
    ...Array.from({ length: 20 }, () => 'ended' as const),
    ...Array.from({ length: 2 }, () => ['stopped', 'replaced', 'deposed'] as const).flat(),
  ]
  for (const kind of disturbances) {
    await again(run)
    await due(run)
    const point = 1 + random.below(points - 2)
    const where = `seed ${seed}: ${kind} at ${point} of ${points}`
    const stop = new AbortController()
    let successor: Promise<unknown> = Promise.resolve()
    const tap = await Tap.open(
      engine,
      (sent) => sent === point,
      async () => {
        if (kind === 'ended') {
          await endLanes(engine, run)
        } else if (kind === 'stopped') {
          stop.abort()
        } else if (kind === 'replaced') {
          // Thought dead while it works: both are at it at once, and the second one is right.
          await other.rows("update run_wakeup set lease_until = now() - interval '1 second' where run_id = $1", [
            run.runId,
          ])
          successor = advanceRun({ ...other.context, files: engine.files }, run)
        } else {
          // The same for a worker whose connections nobody ends.
          await other.rows('update run set fencing_token = fencing_token + 1 where id = $1', [run.runId])
        }
      },
    )
    await advanceRun({ ...tap.context, stopping: kind === 'stopped' ? stop.signal : tap.context.stopping }, run)
    await tap.close()
    await successor
    const [left] = await engine.rows<{ status: string; attempts: number }>(
      'select status, attempts from run where id = $1',
      [run.runId],
    )
    if (left?.status === 'PLANNING') {
      interrupted[kind] += 1
      assert.equal(left.attempts, kind === 'stopped' ? 0 : 1, where)
      await engine.rows("update run_wakeup set lease_until = now() - interval '1 second' where run_id = $1", [
        run.runId,
      ])
      await due(run)
      await advanceRun(engine.context, run)
    } else if (kind === 'replaced') {
      interrupted.replaced += 1
    }
    assert.deepEqual(await wholePlan(run.runId), expected, where)
  }
  assert.ok(
    interrupted.ended >= 15 && Math.min(interrupted.stopped, interrupted.replaced, interrupted.deposed) > 0,
    JSON.stringify(interrupted),
  )
  const lanes = await engine.rows('select application_name from pg_stat_activity where application_name like $1', [
    `portage lane % ${run.runId}`,
  ])
  assert.deepEqual(lanes, [], 'no session of a worker is left')
})

test('of two workers that are told of one plan at once, one makes it', async () => {
  const { run, expected } = await undisturbedPlan()
  await again(run)
  await due(run)
  await Promise.all([advanceRun(engine.context, run), advanceRun({ ...other.context, files: engine.files }, run)])
  assert.deepEqual(await wholePlan(run.runId), expected)
})

test('a plan that is canceled while it is made leaves nothing but a canceled run', async () => {
  const { run, points } = await undisturbedPlan()
  const neighbour = await wholePlan(run.runId)
  for (const part of [0.2, 0.7]) {
    const tenantId = run.tenantId
    const runId = await engine.createRun(tenantId, {
      type: 'contact',
      ...contactsWithRepeats(seed, ROWS),
      confirmation: 'ASK',
    })
    await advanceRun(engine.context, { tenantId, runId })
    assert.equal((await engine.run(tenantId, runId)).status, 'PLANNING')
    const tap = await Tap.open(
      engine,
      (sent) => sent === Math.floor(points * part),
      () => other.context.control.use((lane) => withTenant(lane, tenantId, (tx) => cancelRun(tx, runId))),
    )
    await due({ tenantId, runId })
    await advanceRun(tap.context, { tenantId, runId })
    await tap.close()
    const canceled = await engine.advance(tenantId, runId)
    assert.equal(canceled.status, 'CANCELED')
    assert.deepEqual([canceled.counts.total, canceled.counts.unprocessed], [ROWS, ROWS])
    assert.deepEqual(await wholePlan(runId), [{ what: 'run', row: '[null, null, "CANCELED"]', times: 1 }])
    const { rows } = await engine.oracle.query('select rows_read::int, bytes_read::int from run where id = $1', [runId])
    assert.deepEqual(rows, [{ rows_read: 0, bytes_read: 0 }])
  }
  assert.deepEqual(await wholePlan(run.runId), neighbour, 'the plan of another run stands')
})

/** A run that waits to be written, bound by its plan. */
async function bound(file: TestFile): Promise<Run> {
  const tenantId = await tenantWithContacts(file.rows)
  const { runId, hash } = await planned(engine, tenantId, { type: 'contact', ...file })
  await confirm(engine, tenantId, runId, hash)
  return { tenantId, runId }
}

async function advanceOften(context: WorkerContext, run: Run): Promise<number> {
  for (let claims = 1; ; claims++) {
    await due(run)
    await advanceRun(context, run)
    if ((await engine.rows('select 1 from run_wakeup where run_id = $1', [run.runId])).length === 0) {
      return claims
    }
    assert.ok(claims < 500, JSON.stringify(await engine.run(run.tenantId, run.runId)))
  }
}

test('a run that is bound by a plan does what the plan said, however often it is cut off, and takes its own changes for no drift', async () => {
  // Many rows of this file change records that rows far before them have changed.
  const file = contactsWithRepeats(seed + 1, 800)
  const expected = await bound(file)
  const { counts } = await planOf(engine, expected.runId)
  await engine.advance(expected.tenantId, expected.runId)
  const random = new Random(seed)

  const killed = await bound(file)
  let next = 20 + random.below(60)
  const tap = await Tap.open(
    engine,
    (sent) => sent === next && (next += 20 + random.below(160)) > 0,
    () => endLanes(engine, killed),
  )
  const claims = await advanceOften(tap.context, killed)
  await tap.close()
  assert.ok(claims > 4, `${claims} claims`)

  const cut = await bound(file)
  const proxy = await CuttingProxy.start(db.workerUrl, (data) =>
    isCommit(data) && random.chance(0.5)
      ? random.pick<Cut>(['before the server hears of it', 'before its answer arrives', 'before its answer arrives'])
      : null,
  )
  await advanceOften({ ...engine.context, databaseUrl: proxy.through(db.workerUrl) }, cut)
  await proxy.close()
  assert.ok(proxy.cuts.length >= 3, `${proxy.cuts.length} cuts`)

  const stopped = await bound(file)
  await advanceOften({ ...engine.context, stopping: AbortSignal.abort() }, stopped)

  for (const [how, run] of Object.entries({ killed, cut, stopped })) {
    assert.deepEqual(await differences(engine, 'contact', expected, run), [], `${how}, seed ${seed}`)
    assert.deepEqual(await eventFaults(engine, run.tenantId), [], `${how}, seed ${seed}`)
    const drifted = await engine.rows("select * from run_issue where run_id = $1 and code = 'DRIFTED_SINCE_PLAN'", [
      run.runId,
    ])
    assert.deepEqual(drifted, [], how)
    const { counts: done } = await engine.run(run.tenantId, run.runId)
    for (const [outcome, count] of Object.entries(counts)) {
      assert.equal(done[outcome as 'created'], count, `${how}: ${outcome}`)
    }
  }
})
