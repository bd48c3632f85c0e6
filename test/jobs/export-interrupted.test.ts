/** What happens to an export that is not left alone: others write meanwhile, it is stopped, and its worker dies. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { FileStore } from '../../src/adapters/files/storage.js'
import { withTenant } from '../../src/db/tx.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import type { WorkerContext } from '../../src/jobs/context.js'
import { cancelRun, pauseRun, resumeRun } from '../../src/runs/control.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { Random } from '../helpers/random.js'

/** More than what sockets and pipes on the way hold, so that a reader that waits makes the database wait. */
const ROWS = 40_000
const NOTE_LENGTH = 600

const KILLS = 20

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

async function tenantOf(rows: number, noteLength: number): Promise<string> {
  const tenant = await engine.tenant()
  await engine.oracle.query(
    `insert into contact (tenant_id, id, display_name, external_id, source_system, job_title, notes)
     select $1, uuidv7(), 'Person ' || n, n, 'test', 'before', repeat('x', $3) from generate_series(1, $2) n`,
    [tenant, rows, noteLength],
  )
  return tenant
}

/** A store that reads the beginning of a file, lets `meanwhile` happen, and then takes the rest. */
function slowStore(files: FileStore, meanwhile: () => Promise<void>): FileStore {
  async function* held(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let first = true
    for await (const chunk of stream) {
      yield chunk
      if (first) {
        first = false
        await meanwhile()
      }
    }
  }
  return { ...files, put: (tenantId, stream, options) => files.put(tenantId, held(stream), options) }
}

function contextWith(changes: Partial<WorkerContext>): WorkerContext {
  return { ...engine.context, ...changes }
}

async function keysOf(tenantId: string): Promise<string[]> {
  const keys: string[] = []
  for await (const page of engine.files.list(tenantId)) {
    keys.push(...page.map(({ key }) => key))
  }
  return keys
}

const columns = [{ field: 'externalId' }, { field: 'jobTitle' }, { field: 'notes' }]

function control<R>(tenantId: string, work: Parameters<typeof withTenant<never, R>>[2]): Promise<R> {
  return engine.context.control.use((lane) => withTenant(lane, tenantId, work as never))
}

test('an export shows the moment at which it began, whatever others write meanwhile [DL-8]', async () => {
  const tenant = await tenantOf(ROWS, NOTE_LENGTH)
  const runId = await engine.createExport(tenant, 'contact', { columns })
  const changed: Date[] = []
  const files = slowStore(engine.files, async () => {
    // Every record is changed, one in ten is deleted and as many come, while the file is at its first rows.
    await engine.oracle.query("update contact set job_title = 'after' where tenant_id = $1", [tenant])
    await engine.oracle.query(
      'update contact set deleted_at = now() where tenant_id = $1 and external_id::int % 10 = 0',
      [tenant],
    )
    const { rows } = await engine.oracle.query<{ at: Date }>(
      `insert into contact (tenant_id, id, display_name, external_id, source_system)
       select $1, uuidv7(), 'New', 'new' || n, 'test' from generate_series(1, 4000) n returning clock_timestamp() as at`,
      [tenant],
    )
    changed.push(...rows.map(({ at }) => at))
  })
  await advanceRun(contextWith({ files }), { tenantId: tenant, runId })
  const run = await engine.run(tenant, runId)
  assert.ok(run.kind === 'EXPORT' && run.status === 'COMPLETED', JSON.stringify(run.statusReason))
  assert.deepEqual([run.counts.total, run.counts.read], [ROWS, ROWS])
  const [changedAt] = changed
  assert.ok(changedAt !== undefined && run.snapshotAt !== null && run.snapshotAt < changedAt)
  const lines = ((await engine.resultOf(runId)) ?? Buffer.alloc(0)).toString().split('\r\n').slice(1, -1)
  assert.deepEqual(
    lines.map((line) => Number(line.split(',')[0])).toSorted((a, b) => a - b),
    Array.from({ length: ROWS }, (_, index) => index + 1),
  )
  assert.ok(lines.every((line) => line.split(',')[1] === 'before'))
})

test('a paused export leaves nothing, and starts again on a new snapshot', async () => {
  const tenant = await tenantOf(ROWS, NOTE_LENGTH)
  const runId = await engine.createExport(tenant, 'contact', { columns })
  const files = slowStore(engine.files, () => control(tenant, (tx) => pauseRun(tx, runId)))
  await advanceRun(contextWith({ files }), { tenantId: tenant, runId })
  const paused = await engine.run(tenant, runId)
  assert.equal(paused.status, 'PAUSED')
  assert.equal(paused.counts.read, 0)
  assert.equal(await engine.resultOf(runId), null)
  assert.deepEqual(await keysOf(tenant), [])
  await engine.oracle.query("update contact set job_title = 'after' where tenant_id = $1", [tenant])
  await control(tenant, (tx) => resumeRun(tx, runId))
  const run = await engine.advance(tenant, runId)
  assert.deepEqual([run.status, run.counts.read, run.counts.total], ['COMPLETED', ROWS, ROWS])
  const lines = ((await engine.resultOf(runId)) ?? Buffer.alloc(0)).toString().split('\r\n').slice(1, -1)
  assert.ok(lines.length === ROWS && lines.every((line) => line.split(',')[1] === 'after'))
})

for (const [name, format] of [
  ['CSV', {}],
  ['gzipped JSON', { format: 'JSON', compression: 'GZIP' }],
  ['a workbook', { format: 'XLSX' }],
] as const) {
  test(`a cancelled export of ${name} leaves nothing, and says that nothing was read`, async () => {
    const tenant = await tenantOf(ROWS / 2, NOTE_LENGTH)
    const runId = await engine.createExport(tenant, 'contact', { columns, format })
    const files = slowStore(engine.files, () => control(tenant, (tx) => cancelRun(tx, runId)))
    await advanceRun(contextWith({ files }), { tenantId: tenant, runId })
    const run = await engine.run(tenant, runId)
    assert.equal(run.status, 'CANCELED')
    assert.deepEqual([run.counts.read, run.counts.unprocessed], [0, run.counts.total])
    assert.equal(await engine.resultOf(runId), null)
    assert.deepEqual(await keysOf(tenant), [])
  })
}

test('a run that somebody else has taken over makes no file known, and clears its own away', async () => {
  const tenant = await tenantOf(100, 10)
  const runId = await engine.createExport(tenant, 'contact', { columns })
  const files = slowStore(engine.files, async () => {
    await engine.oracle.query('update run set fencing_token = fencing_token + 1 where id = $1', [runId])
  })
  await advanceRun(contextWith({ files }), { tenantId: tenant, runId })
  assert.equal((await engine.run(tenant, runId)).status, 'RUNNING')
  assert.equal(await engine.resultOf(runId), null)
  assert.deepEqual(await keysOf(tenant), [])
})

const seed = Number(process.env.PORTAGE_TEST_SEED ?? Date.now() % 1_000_000)

test(`killed ${KILLS} times at random moments, an export is never short (PORTAGE_TEST_SEED=${seed}) [DL-8]`, async (t) => {
  const random = new Random(seed)
  const rows = 15_000
  const tenant = await tenantOf(rows, 200)
  const whole = (bytes: Buffer | null): boolean => bytes?.toString().split('\r\n').length === rows + 2
  const started = performance.now()
  const first = await engine.export(tenant, 'contact', { columns })
  assert.ok(whole(first.bytes))
  const usual = performance.now() - started
  let interrupted = 0
  for (let kill = 0; kill < KILLS; kill += 1) {
    const runId = await engine.createExport(tenant, 'contact', { columns })
    const stopping = new AbortController()
    const working = advanceRun(contextWith({ stopping: stopping.signal }), { tenantId: tenant, runId })
    await pause(random.below(Math.ceil(usual)))
    if (random.chance(0.5)) {
      stopping.abort(new Error('the worker ends'))
    } else {
      // What a killed process and a broken network look like from here: its connections end in the middle of a word.
      await engine.oracle.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'portage lane %' || $1",
        [runId],
      )
    }
    await working
    const killed = await engine.run(tenant, runId)
    const bytes = await engine.resultOf(runId)
    assert.equal(bytes !== null, killed.status === 'COMPLETED', `kill ${kill}: ${killed.status}`)
    assert.ok(bytes === null || whole(bytes), `kill ${kill}: a short file`)
    assert.ok(killed.counts.total === null || killed.counts.read <= killed.counts.total)
    interrupted += bytes === null ? 1 : 0
    const run = await engine.advance(tenant, runId)
    assert.deepEqual([run.status, run.counts.read], ['COMPLETED', rows], `kill ${kill}`)
    assert.ok(whole(await engine.resultOf(runId)), `kill ${kill}: a short file in the end`)
  }
  t.diagnostic(`${interrupted} of ${KILLS} met the export before its end`)
  assert.ok(interrupted > 0)
  // What attempts have left in the store is none but the files.
  assert.equal((await keysOf(tenant)).length, KILLS + 1)
})

test('events tell an export from its beginning to its end', async () => {
  const tenant = await tenantOf(50, 10)
  const { run } = await engine.export(tenant, 'contact', { columns })
  const events = await engine.rows<{ type: string; kind: string; to: string | null; read: number | null }>(
    `select type, run_kind as kind, body ->> 'to' as to, (body -> 'counts' ->> 'read')::int as read from event
     where run_id = $1 order by sequence`,
    [run.id],
  )
  assert.ok(events.every(({ kind }) => kind === 'EXPORT'))
  assert.deepEqual(
    events.filter(({ type }) => type === 'RunStatusChanged').map(({ to }) => to),
    ['QUEUED', 'RUNNING', 'COMPLETED'],
  )
  const read = events.flatMap((event) => event.read ?? [])
  assert.deepEqual([read[0], read.at(-1)], [0, 50])
})
