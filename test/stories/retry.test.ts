/** Rows that fail at random, corrected by script and tried again with workers that are stopped: each is applied once. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import { localFileStore } from '../../src/adapters/files/storage.js'
import { decodeId } from '../../src/ids.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import type { WorkerContext } from '../../src/jobs/context.js'
import { Engine } from '../helpers/engine.js'
import { Random } from '../helpers/random.js'
import { type Actor, dataOf, type Json, World } from '../server/world.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 4711)
const FILES = 3
const ROWS = 400

let world: World
let engine: Engine
let context: WorkerContext

before(async () => {
  // No worker of its own: the tests advance runs, and stop in the middle.
  world = await World.start({ worker: false })
  engine = await Engine.start(world.db, { chunkRows: 25 })
  context = { ...engine.context, files: localFileStore(join(world.dataDir, 'files')) }
})
after(async () => {
  await engine.close()
  await world.close()
})

// Activities without an id match nothing: a row that is applied twice makes two of them.
const mapping = [
  { column: 'Subject', field: 'subject' },
  { column: 'When', field: 'dueOn' },
  { constant: 'NOTE', field: 'type' },
]

const key = () => randomBytes(8).toString('hex')

/** Each run of the family, and whether its rows are all accounted for, as the database has them right now. */
async function familyOf(runId: string): Promise<{ id: string; failed: number; status: string }[]> {
  const runs = await engine.rows<{
    id: string
    failed: number
    status: string
    sum: number
    total: number
    listed: number
  }>(
    `select id, status, failed::int as failed, total::int as total,
       (created + updated + unchanged + skipped + failed + deleted + unprocessed)::int as sum,
       (select count(*)::int from run_row x where x.run_id = run.id and x.outcome = 'FAILED') as listed
     from run where id = $1 or root_run_id = $1 order by id`,
    [runId],
  )
  for (const run of runs) {
    assert.equal(run.listed, run.failed, 'as many rows are listed as failed as are counted')
    if (run.status.startsWith('COMPLETED')) {
      assert.equal(run.sum, run.total, 'every row is in one counter')
    }
  }
  return runs
}

/** Rows applied so far, by their subjects: none twice. */
async function applied(actor: Actor): Promise<number> {
  const rows = await engine.rows<{ subject: string }>(
    'select subject from activity where tenant_id = $1 and deleted_at is null',
    [actor.tenantId],
  )
  assert.equal(new Set(rows.map(({ subject }) => subject)).size, rows.length, 'no row was applied twice')
  return rows.length
}

interface Trouble {
  /** The run is stopped so often at most. */
  readonly stops: number
  /** Whether somebody cancels it after the first stop. */
  readonly cancel: boolean
}

/** Advances a run to its end, and looks at the family whenever it is stopped; answers how often it was. */
async function advance(actor: Actor, id: string, root: string, random: Random, trouble: Trouble): Promise<number> {
  const run = { tenantId: actor.tenantId, runId: decodeId('run', id) ?? '' }
  let stopped = 0
  for (let claims = 0; claims < 100; claims += 1) {
    await engine.rows("update run_wakeup set due_at = now() - interval '1 second' where run_id = $1", [run.runId])
    const stop = new AbortController()
    const timer = stopped < trouble.stops ? setTimeout(() => stop.abort(), random.below(60 + stopped * 30)) : null
    await advanceRun({ ...context, stopping: stop.signal }, run)
    clearTimeout(timer ?? undefined)
    stopped += stop.signal.aborted ? 1 : 0
    const [first] = await familyOf(root)
    if (first?.status.startsWith('COMPLETED') === true) {
      const count = await applied(actor)
      // Until a rollback has ended, the rows that it has undone are not failed yet.
      const undoing =
        (await engine.rows("select 1 from run where kind = 'ROLLBACK' and finished_at is null")).length > 0
      assert.ok(undoing || count === ROWS - first.failed, 'what has not failed was applied, and nothing else')
    }
    if ((await engine.rows('select 1 from run_wakeup where run_id = $1', [run.runId])).length === 0) {
      return stopped
    }
    if (trouble.cancel && stopped === 1 && stop.signal.aborted) {
      await world.ask(actor, 'mutation ($id: ID!) { runCancel(input: { runId: $id }) { userErrors { code } } }', { id })
    }
  }
  throw new Error(`run ${id} does not come to an end`)
}

/** Begins to undo a run; null for one that wrote nothing. */
async function rollBack(actor: Actor, runId: string): Promise<string | null> {
  const { runRollback } = await world.ask(
    actor,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { code } } }',
    { input: { runId, idempotencyKey: key() } },
  )
  if (runRollback.rollbackRun === null) {
    assert.equal(runRollback.userErrors[0].code, 'NOT_REVERSIBLE')
    return null
  }
  return runRollback.rollbackRun.id
}

async function failedFile(actor: Actor, id: string): Promise<string> {
  const { importRun } = await world.ask(actor, 'query ($id: ID!) { importRun(id: $id) { files { kind url } } }', { id })
  const { url } = importRun.files.find(({ kind }: Json) => kind === 'FAILED_ROWS')
  return (await fetch(url)).text()
}

async function started(actor: Actor, mutation: string, input: object, file: string): Promise<string> {
  const answer = dataOf(
    await world.upload(
      actor,
      `mutation ($input: ${mutation === 'importCreate' ? 'ImportCreateInput' : 'ImportRetryFailedInput'}!) {
         ${mutation}(input: $input) { importRun { id } userErrors { code message } } }`,
      { idempotencyKey: key(), ...input },
      file,
    ),
  )[mutation]
  assert.deepEqual(answer.userErrors, [])
  return answer.importRun.id
}

for (let nth = 0; nth < FILES; nth += 1) {
  test(`rows that failed at random and are corrected by script end applied once each (file ${nth + 1})`, async (t) => {
    const random = new Random(seed + nth)
    const actor = await world.actor(await world.tenant())
    const broken = (at: number) => random.chance(0.02 + nth * 0.1) || at === ROWS - 1
    const lines = Array.from({ length: ROWS }, (_, at) => [
      `s${at}`,
      broken(at) ? (random.chance(0.5) ? 'soon' : '2025-13-45') : `2025-01-${String(1 + (at % 28)).padStart(2, '0')}`,
    ])
    const id = await started(
      actor,
      'importCreate',
      { recordType: 'ACTIVITY', mapping },
      stringify([['Subject', 'When'], ...lines]),
    )
    const root = decodeId('run', id) ?? ''
    await advance(actor, id, root, random, { stops: 0, cancel: false })
    let tries = 0
    let stops = 0
    let undone = 0
    const first = (await familyOf(root))[0]?.failed ?? 0
    assert.ok(first > 0)
    let from = id
    for (let failed = first; failed > 0; tries += 1) {
      assert.ok(tries < 20, 'it gets on')
      const [header = [], ...rows] = parse(await failedFile(actor, from), { bom: true }) as string[][]
      assert.deepEqual(header, ['Subject', 'When', '_portage_row', '_portage_errors'])
      // Some are corrected, some wrong again, some taken out; with each try fewer, so that it ends.
      const next = rows.flatMap(([subject, , row, error]) =>
        random.chance(tries < 2 ? 0.2 : 0)
          ? []
          : [[subject, random.chance(tries < 3 ? 0.2 : 0) ? 'never' : '2025-02-03', row, error]],
      )
      if (random.chance(0.5)) {
        next.reverse()
      }
      if (next.length > 0) {
        const child = await started(
          actor,
          'importRetryFailed',
          { runId: from },
          stringify([header, ...next], { bom: true }),
        )
        stops += await advance(actor, child, root, random, { stops: 3, cancel: random.chance(0.2) })
        if (tries < 4 && random.chance(0.3)) {
          const undo = await rollBack(actor, child)
          if (undo !== null) {
            stops += await advance(actor, undo, root, random, { stops: 2, cancel: random.chance(0.3) })
            undone += 1
          }
        }
        // The next try is made from the first import or from the retry, whose rows stand corrected as far as they are.
        const family = await familyOf(root)
        failed = family[0]?.failed ?? 0
        const last = family.find((run) => run.id === decodeId('run', child))
        const isOpen = last !== undefined && last.failed > 0 && !last.status.startsWith('ROLLED_BACK')
        from = isOpen && random.chance(0.5) ? child : id
      }
    }
    const [parent] = await familyOf(root)
    assert.deepEqual([parent?.status, parent?.failed], ['COMPLETED', 0])
    assert.equal(await applied(actor), ROWS)
    t.diagnostic(
      `seed ${seed + nth}: ${first} of ${ROWS} rows failed, ${tries} retries, ${undone} undone, ${stops} stops`,
    )
  })
}
