/** A deploy's migrations, on tables with rows, while others read and write: nobody waits for them, and nobody is refused. */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { createTenant } from '../../src/access/tenants.js'
import { migrate } from '../../src/db/migrate.js'
import { installQueue } from '../../src/jobs/job.js'
import { databaseAt, TEST_PASSWORD } from '../helpers/database.js'
import type { Result } from './scenarios.js'

/** Nobody waits longer for a lock of a migration. */
const BLOCKED_MS = 200

/** A migration that does not get its lock gives up after this, so that those behind it go on. */
const LOCK_MS = 2000

/** The last migration of the version before. */
const BEFORE = 'Migration20261122000025_migration_schedules'

const SETTINGS = '-c search_path=portage -c timezone=UTC'

/** Migrates from the version before to this one with so many records and changes in the tables. */
export async function migrateUnderLoad(rows: number): Promise<Result> {
  const db = await databaseAt(BEFORE)
  const wrong: string[] = []
  const open: pg.Client[] = []
  const connect = async (name: string) => {
    const client = new pg.Client({ connectionString: db.url, options: SETTINGS, application_name: name })
    open.push(client)
    await client.connect()
    return client
  }
  let statements = 0
  let blocked = 0
  try {
    const tenant = (await createTenant(db.url, 'under load')).id
    const oracle = await connect('oracle')
    await oracle.query(
      `insert into contact (tenant_id, id, display_name, external_id, source_system, email)
       select $1, uuidv7(), 'Person', n::text, 'test', 'p' || n || '@example.com' from generate_series(1, $2) n`,
      [tenant, rows],
    )
    await oracle.query(
      `insert into event (tenant_id, sequence, run_id, run_kind, type, body, at)
       select $1, n, uuidv7(), 'IMPORT', 'RowsSettled', '{}', now() from generate_series(1, $2) n`,
      [tenant, rows],
    )
    let over = false
    const work = async (n: number) => {
      const client = await connect('load')
      for (let i = 0; !over; i++) {
        const id = String(1 + ((i * 7919 + n * 104_729) % rows))
        try {
          await client.query('select * from contact where tenant_id = $1 and external_id = $2', [tenant, id])
          await client.query('update contact set notes = $3 where tenant_id = $1 and external_id = $2', [
            tenant,
            id,
            `n ${i}`,
          ])
          await client.query('select count(*) from run where tenant_id = $1', [tenant])
          await client.query('select * from event where tenant_id = $1 order by sequence desc limit 10', [tenant])
          statements += 4
        } catch (error) {
          wrong.push(`a request failed: ${String(error)}`)
          return
        }
      }
    }
    const watch = async () => {
      const client = await connect('watch')
      while (!over) {
        const { rows: waiting } = await client.query<{ ms: number }>(
          `select extract(epoch from clock_timestamp() - a.query_start)::float8 * 1000 as ms from pg_stat_activity a
           where a.application_name = 'load' and a.wait_event_type = 'Lock' and exists (
             select from pg_stat_activity m where m.pid = any (pg_blocking_pids(a.pid)) and m.application_name = 'portage migrate')`,
        )
        blocked = Math.max(blocked, ...waiting.map(({ ms }) => ms))
        await pause(10)
      }
    }
    const load = Promise.all([work(1), work(2), work(3), watch()])
    const started = performance.now()
    await migrate({ url: db.url, apiPassword: TEST_PASSWORD, workerPassword: TEST_PASSWORD })
    await installQueue(db.url)
    const seconds = (performance.now() - started) / 1000
    over = true
    await load
    if (blocked > BLOCKED_MS) {
      wrong.push(`somebody waited ${Math.round(blocked)} ms for a migration`)
    }
    const { waited, tries } = await behindWriter()
    // It did wait, or there was no migration before it.
    if (waited < 100 || waited > LOCK_MS + 1000) {
      wrong.push(`behind a migration that waited for a lock somebody waited ${Math.round(waited)} ms`)
    }
    return {
      name: 'migrations under load [SU-3]',
      faults: wrong,
      figures: {
        rows,
        'seconds of migrating': Math.round(seconds * 10) / 10,
        'statements meanwhile': statements,
        'blocked max ms': Math.round(blocked),
        'behind a waiting one ms': Math.round(waited),
        tries,
      },
    }
  } finally {
    for (const client of open) {
      await client.end()
    }
    await db.drop()
  }
}

/** The next one wants to lock the table of runs. */
const BEFORE_LOCKING = 'Migration20261122000026_audit'

/**
 * Somebody writes for seconds what a migration wants to lock: the migration gives up its place again and again, so that a third one
 * is not held up by it for long, and is carried out at last.
 */
async function behindWriter(): Promise<{ waited: number; tries: number }> {
  const db = await databaseAt(BEFORE_LOCKING)
  const [writer, third] = ['writer', 'third'].map(
    (name) => new pg.Client({ connectionString: db.url, options: SETTINGS, application_name: name }),
  )
  if (writer === undefined || third === undefined) {
    throw new Error('there are two')
  }
  try {
    await writer.connect()
    await third.connect()
    await writer.query('begin')
    await writer.query('lock table run in row exclusive mode')
    let waited = 0
    let tries = 0
    const migrating = migrate({ url: db.url, apiPassword: TEST_PASSWORD, workerPassword: TEST_PASSWORD })
    for (const until = performance.now() + WRITING_MS; performance.now() < until; await pause(20)) {
      const asked = performance.now()
      await third.query('update run set chunks = chunks where false')
      waited = Math.max(waited, performance.now() - asked)
      tries += 1
    }
    await writer.query('commit')
    await migrating
    return { waited, tries }
  } finally {
    await writer.end()
    await third.end()
    await db.drop()
  }
}

/** Two tries of a migration and more. */
const WRITING_MS = 6000
