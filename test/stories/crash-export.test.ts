/**
 * Workers that are killed in the middle of exports, as real processes, and answers that get lost: a file is whole and known, or
 * nobody can have it. `PORTAGE_TEST_KILLS` kills more often.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { localFileStore } from '../../src/adapters/files/storage.js'
import { Lane } from '../../src/db/lane.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import { laneOptions, SharedLane } from '../../src/jobs/context.js'
import { type Cut, CuttingProxy } from '../helpers/cutting-proxy.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { Crew } from '../helpers/processes.js'
import { Random } from '../helpers/random.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? Date.now() % 1_000_000)
const kills = Number(process.env.PORTAGE_TEST_KILLS ?? 3)

const ROWS = 60_000

const columns = [{ field: 'externalId' }, { field: 'notes' }]

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

async function tenantOf(rows: number): Promise<string> {
  const tenant = await engine.tenant()
  await engine.oracle.query(
    `insert into contact (tenant_id, id, display_name, external_id, source_system, notes)
     select $1, uuidv7(), 'Person', n, 'test', repeat('x', 300) from generate_series(1, $2) n`,
    [tenant, rows],
  )
  return tenant
}

/** Resolves when `isSo`, looking again whenever something happens to a run. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  await engine.oracle.query('listen portage_events')
  for (;;) {
    const happened = new Promise<void>((resolve) => engine.oracle.once('notification', () => resolve()))
    if (await isSo()) {
      return
    }
    await happened
  }
}

test(`workers killed ${kills} times in the middle of exports leave whole files (PORTAGE_TEST_SEED=${seed}) [DL-8]`, async (t) => {
  const random = new Random(seed)
  const dataDir = mkdtempSync(join(tmpdir(), 'portage-crash-export-'))
  chmodSync(dataDir, 0o711)
  const files = localFileStore(join(dataDir, 'files'))
  const tenant = await tenantOf(ROWS)
  const crew = new Crew(2, { DATABASE_URL: db.workerUrl, PORTAGE_DATA_DIR: dataDir })
  await crew.complete()
  let interrupted = 0
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      const runId = await engine.createExport(tenant, 'contact', { columns })
      const status = async (): Promise<string> => (await engine.run(tenant, runId)).status
      await until(async () => (await status()) !== 'QUEUED')
      await pause(random.below(400))
      const member = await crew.active()
      crew.kill(member)
      await member.exited
      const known = await engine.rows('select from run_file where run_id = $1', [runId])
      assert.equal(known.length > 0, (await status()) === 'COMPLETED')
      interrupted += known.length === 0 ? 1 : 0
      await until(async () => (await status()) === 'COMPLETED')
      const [file] = await engine.rows<{ key: string }>('select storage_key as key from run_file where run_id = $1', [
        runId,
      ])
      const lines = (await buffer(files.read(file?.key ?? ''))).toString().split('\r\n').slice(1, -1)
      assert.equal(new Set(lines.map((line) => line.split(',')[0])).size, ROWS, `kill ${kill}`)
      assert.equal(lines.length, ROWS, `kill ${kill}`)
    }
  } finally {
    await crew.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
  assert.deepEqual(crew.losses, [])
  t.diagnostic(`${interrupted} of ${kills} met the export before its end`)
})

for (const cut of ['before the server hears of it', 'before its answer arrives'] as const satisfies readonly Cut[]) {
  test(`a connection that breaks at the last COMMIT, ${cut}, costs no file that is known`, async () => {
    const tenant = await tenantOf(500)
    const runId = await engine.createExport(tenant, 'contact', { columns })
    let recording = false
    const proxy = await CuttingProxy.start(db.workerUrl, (data) => {
      const text = data.toString('latin1')
      recording ||= text.includes('insert into run_file')
      if (recording && text.endsWith('commit\0')) {
        recording = false
        return cut
      }
      return null
    })
    const control = await Lane.open(laneOptions(proxy.through(db.workerUrl), `test control ${randomUUID()}`))
    try {
      // The worker cannot hand the run back either: the same connection would do that.
      await assert.rejects(
        advanceRun({ ...engine.context, control: new SharedLane(control) }, { tenantId: tenant, runId }),
      )
    } finally {
      await control.close()
      await proxy.close()
    }
    assert.deepEqual(proxy.cuts, [cut])
    const heard = cut === 'before its answer arrives'
    assert.equal((await engine.run(tenant, runId)).status, heard ? 'COMPLETED' : 'RUNNING')
    assert.equal((await engine.resultOf(runId)) !== null, heard)
    if (!heard) {
      await engine.oracle.query('update run_wakeup set holder = null, lease_until = null where run_id = $1', [runId])
    }
    const run = heard ? await engine.run(tenant, runId) : await engine.advance(tenant, runId)
    assert.equal(run.status, 'COMPLETED')
    assert.equal((await engine.resultOf(runId))?.toString().split('\r\n').length, 502)
  })
}
