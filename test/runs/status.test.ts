import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import {
  actionsByStatus,
  endedStatuses,
  migrationTransitions,
  runStatuses,
  transitions,
} from '../../src/runs/status.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

let db: TestDatabase
let client: pg.Client
before(async () => {
  db = await freshDatabase()
  client = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await client.connect()
})
after(async () => {
  await client.end()
  await db.drop()
})

test('the database allows exactly the transitions of the table in code', async () => {
  const source = await client.query<{ source: string }>(
    "select prosrc as source from pg_proc where proname = 'run_transition'",
  )
  const inDatabase = [...(source.rows[0]?.source ?? '').matchAll(/'([A-Z_]+)>([A-Z_]+)'/g)].map(
    (match) => `${match[1]}>${match[2]}`,
  )
  const inCode = runStatuses.flatMap((from) =>
    [...transitions[from], ...(migrationTransitions[from] ?? [])].map((to) => `${from}>${to}`),
  )
  assert.deepEqual(inDatabase.toSorted(), inCode.toSorted())
})

test('every status is reached from another one or begins a run', () => {
  const reached = new Set(Object.values(transitions).flat())
  for (const status of runStatuses) {
    assert.ok(reached.has(status) || status === 'ANALYZING', status)
    assert.ok(actionsByStatus[status] !== undefined)
  }
})

/** Inserts an ended import with these counters, as nobody's code but a mistake would. */
async function end(counts: Readonly<Record<string, number | null>>, status = 'COMPLETED'): Promise<void> {
  const columns = Object.keys(counts)
  await client.query('begin')
  try {
    await client.query(
      "insert into tenant (id, name) values (gen_random_uuid(), gen_random_uuid()::text) returning set_config('app.tenant_id', id::text, true)",
    )
    await client.query(
      `insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, expires_at)
       values (current_tenant(), gen_random_uuid(), 'x', 1, '', 'k', '{}', 'me', now())`,
    )
    await client.query(
      `insert into run (tenant_id, id, kind, status, created_by, record_type, source_file_id, options, finished_at${columns.map((column) => `, ${column}`).join('')})
       select current_tenant(), gen_random_uuid(), 'IMPORT', $1, 'me', 'contact', (select id from source_file where tenant_id = current_tenant()), '{}',
         now()${columns.map((_, i) => `, $${i + 2}`).join('')}`,
      [status, ...Object.values(counts)],
    )
  } finally {
    await client.query('rollback')
  }
}

test('an import cannot end with rows missing, and a NULL does not pass for a number', async () => {
  await end({ total: 10, created: 4, updated: 1, unchanged: 1, skipped: 1, failed: 1, deleted: 1, unprocessed: 1 })
  const wrongs: Record<string, number | null>[] = [
    { total: 10, created: 9 },
    { total: 10, created: 11 },
    { total: null, created: 0 },
    { total: null },
  ]
  for (const wrong of wrongs) {
    for (const status of endedStatuses) {
      await assert.rejects(end(wrong, status), { constraint: 'run_conservation' })
    }
  }
})

test('an unknown kind of run cannot be stored at all', async () => {
  await assert.rejects(
    client.query(
      "insert into run (tenant_id, id, kind, status, created_by) values (gen_random_uuid(), gen_random_uuid(), 'EXPORT', 'QUEUED', 'me')",
    ),
    {
      constraint: /run_kind/,
    },
  )
})
