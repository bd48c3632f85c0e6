/**
 * Guards that nobody sees until they are missing. Each has a scenario that the intact schema passes; here the guard is taken
 * out of a database of its own, and the scenario has to fail there, for the reason that the guard is for.
 */
import assert, { AssertionError } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import pg from 'pg'
import { Lane, type LaneTx, sqlState } from '../src/db/lane.js'
import { withTenant } from '../src/db/tx.js'
import { advanceRun } from '../src/jobs/advance-run.js'
import { type Claim, claimRun } from '../src/jobs/claim.js'
import { laneOptions } from '../src/jobs/context.js'
import { settleWithCommit } from '../src/runs/commit.js'
import { freshDatabase, type TestDatabase } from './helpers/database.js'
import { Engine } from './helpers/engine.js'

const file = 'Id,Mail\nm1,m1@example.com\nm2,no-mail\nm3,m3@example.com\n'
const map = { Id: 'externalId', Mail: 'email' }

/** An import of three rows that has been read and waits to be written. */
async function queuedImport(engine: Engine): Promise<{ tenantId: string; runId: string }> {
  const tenantId = await engine.tenant()
  const runId = await engine.createRun(tenantId, { type: 'contact', csv: file, map })
  await advanceRun(engine.context, { tenantId, runId })
  assert.equal((await engine.run(tenantId, runId)).status, 'QUEUED')
  return { tenantId, runId }
}

async function lanes<R>(db: TestDatabase, work: (first: Lane, second: Lane) => Promise<R>): Promise<R> {
  const first = await Lane.open(laneOptions(db.workerUrl, 'first'))
  const second = await Lane.open(laneOptions(db.workerUrl, 'second'))
  try {
    return await work(first, second)
  } finally {
    await first.close()
    await second.close()
  }
}

async function mustClaim(lane: Lane, run: { tenantId: string; runId: string }, holder: number): Promise<Claim> {
  const claim = await claimRun(lane, run, holder)
  assert.ok(claim !== null, 'the run should have been free')
  return claim
}

/** Settles one row as created; `from` is the row that the run is thought to stand at. */
function settleRow(tx: LaneTx, claim: Claim, row: number, from: number | null): void {
  const cursor = (at: number) => ({ byte: at * 10, row: at })
  settleWithCommit(tx, {
    runId: claim.runId,
    token: claim.token,
    cursorBefore: from === null ? null : cursor(from),
    cursor: cursor(row),
    counts: { read: 1, created: 1 },
    bytesRead: 10,
    runningMs: 1,
    stageMs: {},
    settled: { fromRow: row, toRow: row, issues: [] },
  })
}

/** Why a settlement was refused: its SQLSTATE, or null when it was not. */
async function refusal(work: Promise<unknown>): Promise<string | null> {
  return work.then(() => null, sqlState)
}

/** A worker that was thought dead and replaced wakes up and commits what it had in hand. */
async function zombie(db: TestDatabase): Promise<void> {
  await onEngine(db, (engine) =>
    lanes(db, async (zombieLane, lane) => {
      const run = await queuedImport(engine)
      const old = await mustClaim(zombieLane, run, 11)
      const record = randomUUID()
      let wake: () => void = () => undefined
      const frozen = new Promise<void>((resolve) => {
        wake = resolve
      })
      const late = refusal(
        withTenant(zombieLane, run.tenantId, async (tx) => {
          await tx.query("insert into contact (tenant_id, id, display_name) values ($1, $2, 'late')", [
            run.tenantId,
            record,
          ])
          await frozen
          settleRow(tx, old, 2, null)
        }),
      )
      await engine.rows("update run_wakeup set lease_until = now() - interval '1 second' where run_id = $1", [
        run.runId,
      ])
      await mustClaim(lane, run, 12)
      wake()
      assert.equal(await late, 'PT002', 'a worker that was replaced has committed a chunk')
      assert.deepEqual(await engine.rows('select id from contact where id = $1', [record]), [])
    }),
  )
}

/** Of two chunks in flight the second one comes to its end first. */
async function overtaking(db: TestDatabase): Promise<void> {
  await onEngine(db, (engine) =>
    lanes(db, async (first, second) => {
      const run = await queuedImport(engine)
      const claim = await mustClaim(first, run, 21)
      const settle = (lane: Lane, row: number, from: number | null) =>
        refusal(withTenant(lane, run.tenantId, async (tx) => settleRow(tx, claim, row, from)))
      assert.equal(await settle(second, 3, 2), 'PT002', 'a chunk was settled before the one that it follows')
      assert.equal(await settle(first, 2, null), null)
      assert.equal(await settle(first, 2, null), 'PT002', 'a chunk was settled twice')
      assert.equal(await settle(second, 3, 2), null)
    }),
  )
}

/** Two runs of a tenant settle at once, and a subscriber follows the sequence. */
async function interleaving(db: TestDatabase): Promise<void> {
  await onEngine(db, (engine) =>
    lanes(db, async (first, second) => {
      const run = await queuedImport(engine)
      const seen: number[] = []
      const look = async () => {
        const rows = await engine.rows<{ sequence: string }>(
          'select sequence from event where tenant_id = $1 and sequence > $2 order by sequence',
          [run.tenantId, seen.at(-1) ?? 0],
        )
        seen.push(...rows.map(({ sequence }) => Number(sequence)))
      }
      await look()
      const append = (tx: LaneTx) =>
        tx.query("select append_events($1, 'IMPORT', $2::jsonb)", [
          run.runId,
          JSON.stringify([
            { type: 'RunProgressed', body: {} },
            { type: 'RunProgressed', body: {} },
          ]),
        ])
      let done: () => void = () => undefined
      const slow = new Promise<void>((resolve) => {
        done = resolve
      })
      let appended: () => void = () => undefined
      const holds = new Promise<void>((resolve) => {
        appended = resolve
      })
      const one = withTenant(first, run.tenantId, async (tx) => {
        await append(tx)
        appended()
        await slow
      })
      await holds
      let over = false
      const two = withTenant(second, run.tenantId, append).then(() => {
        over = true
      })
      for (let waits = false; !waits && !over; ) {
        const rows = await engine.rows<{ waits: boolean }>('select cardinality(pg_blocking_pids($1)) > 0 as waits', [
          second.pid,
        ])
        waits = rows[0]?.waits === true
      }
      await look()
      done()
      await Promise.all([one, two])
      await look()
      const [{ last } = { last: 0 }] = await engine.rows<{ last: number }>(
        'select count(*)::float8 as last from event where tenant_id = $1',
        [run.tenantId],
      )
      assert.deepEqual(
        seen,
        Array.from({ length: last }, (_, i) => i + 1),
        'a subscriber that follows the sequence has missed events',
      )
    }),
  )
}

/** A broken worker says that it is done although rows have no outcome. */
async function missingRows(db: TestDatabase): Promise<void> {
  await onEngine(db, (engine) =>
    lanes(db, async (lane) => {
      const run = await queuedImport(engine)
      const claim = await mustClaim(lane, run, 31)
      await withTenant(lane, run.tenantId, async (tx) => settleRow(tx, claim, 2, null))
      for (const total of ['total', 'null']) {
        const ended = await refusal(
          withTenant(lane, run.tenantId, (tx) =>
            tx.query(
              `update run set status = 'COMPLETED', finished_at = now(), total = ${total} where tenant_id = $1 and id = $2`,
              [run.tenantId, run.runId],
            ),
          ),
        )
        assert.equal(ended, '23514', `a run was completed with one of three rows settled and total = ${total}`)
      }
    }),
  )
}

/** Somebody asks for everything that there is, as another tenant. */
async function neighbour(db: TestDatabase): Promise<void> {
  await onEngine(db, async (engine) => {
    const tenantId = await engine.tenant()
    await engine.import(tenantId, { type: 'contact', csv: file, map })
    const other = await engine.tenant()
    for (const url of [db.apiUrl, db.workerUrl]) {
      const lane = await Lane.open(laneOptions(url, 'neighbour'))
      try {
        for (const table of guarded) {
          const seen = (as: string) =>
            withTenant(lane, as, (tx) => tx.query(`select tenant_id from ${table} where tenant_id = $1`, [tenantId]))
          assert.notEqual((await seen(tenantId)).length, 0, `there should be something in ${table} to be seen`)
          assert.equal((await seen(other)).length, 0, `${table} shows rows to a neighbour`)
        }
        const planted = refusal(
          withTenant(lane, other, (tx) =>
            tx.query("insert into contact (tenant_id, id, display_name) values ($1, $2, 'planted')", [
              tenantId,
              randomUUID(),
            ]),
          ),
        )
        assert.equal(await planted, '42501', 'contact takes rows from a neighbour')
      } finally {
        await lane.close()
      }
    }
  })
}

/** Tables that both roles may read and that the small import leaves rows in. */
const guarded = ['contact', 'run', 'event', 'source_file', 'run_row', 'run_range', 'run_issue']

async function onEngine(db: TestDatabase, work: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = await Engine.start(db)
  try {
    await work(engine)
  } finally {
    await engine.close()
  }
}

type Mutation = (client: pg.Client) => Promise<void>

/** Replaces a part of a function's body. */
function without(signature: string, part: string, instead = ''): Mutation {
  return async (client) => {
    const { rows } = await client.query<{ body: string }>('select pg_get_functiondef($1::regprocedure) as body', [
      signature,
    ])
    const body = rows[0]?.body ?? ''
    assert.equal(body.split(part).length, 2, `${signature} should have this part once: ${part}`)
    await client.query(body.replace(part, () => instead))
  }
}

function statements(...sql: readonly string[]): Mutation {
  return async (client) => {
    for (const statement of sql) {
      await client.query(statement)
    }
  }
}

const settle = 'settle(uuid, bigint, jsonb, jsonb, jsonb, bigint, bigint, bigint, jsonb, jsonb, int)'

const guards: { name: string; scenario: (db: TestDatabase) => Promise<void>; remove: Mutation; says: RegExp }[] = [
  {
    name: 'the fencing token',
    scenario: zombie,
    remove: without(settle, ' and fencing_token = p_token and status', ' and status'),
    says: /a worker that was replaced has committed/,
  },
  {
    name: 'the cursor that a settlement follows',
    scenario: overtaking,
    remove: without(settle, 'and cursor is not distinct from p_cursor_before'),
    says: /before the one that it follows/,
  },
  {
    name: "the lock on the tenant's sequence",
    scenario: interleaving,
    remove: async (client) => {
      await client.query('create sequence unlocked')
      await client.query('grant usage on sequence unlocked to portage_worker')
      await without(
        'append_events(uuid, text, jsonb)',
        'update tenant_sequence set last = last + v_count where tenant_id = v_tenant returning last into strict v_last;',
        "select max(nextval('unlocked')) into strict v_last from generate_series(1, v_count);",
      )(client)
    },
    says: /has missed events/,
  },
  {
    name: 'the law of conservation',
    scenario: missingRows,
    remove: statements('alter table run drop constraint run_conservation'),
    says: /one of three rows settled/,
  },
  ...guarded.map((table) => ({
    name: `the tenant policy of ${table}`,
    scenario: neighbour,
    remove: statements(`drop policy tenant on ${table}`, `alter table ${table} disable row level security`),
    says: new RegExp(`^${table} shows rows to a neighbour`),
  })),
  {
    name: 'what the tenant policy lets in',
    scenario: neighbour,
    remove: statements('alter policy tenant on contact with check (true)'),
    says: /contact takes rows from a neighbour/,
  },
]

for (const scenario of new Set(guards.map((guard) => guard.scenario))) {
  test(`the intact schema stands: ${scenario.name}`, async () => {
    const db = await freshDatabase()
    await scenario(db)
    await db.drop()
  })
}

for (const { name, scenario, remove, says } of guards) {
  test(`without ${name} a test fails`, async () => {
    const db = await freshDatabase()
    const client = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
    await client.connect()
    await remove(client)
    await client.end()
    await assert.rejects(scenario(db), (error) => {
      assert.ok(error instanceof AssertionError, `expected the scenario to notice, got ${String(error)}`)
      assert.match(error.message, says)
      return true
    })
    await db.drop()
  })
}
