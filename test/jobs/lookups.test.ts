/** What it costs to look records up does not depend on what the planner believes of a tenant. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { newContacts } from '../helpers/files.js'

const ROWS = 3000

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 500 })
})
after(async () => {
  await engine.close()
  await db.drop()
})

async function entriesRead(): Promise<number> {
  const [read] = await engine.rows<{ n: number }>(
    "select sum(idx_tup_read)::float8 as n from pg_stat_user_indexes where relname = 'contact'",
  )
  return read?.n ?? 0
}

test('a tenant that the statistics do not know yet is looked up in by keys, not record by record', async () => {
  const file = newContacts(1, ROWS)
  await engine.import(await engine.tenant(), { type: 'contact', ...file })
  await engine.rows('analyze contact')
  const tenant = await engine.tenant()
  const from = await entriesRead()
  // The second time every row finds its record.
  for (const outcome of ['created', 'unchanged'] as const) {
    assert.equal((await engine.import(tenant, { type: 'contact', ...file })).counts[outcome], ROWS)
  }
  const read = (await entriesRead()) - from
  assert.ok(read > 0 && read < 20 * ROWS, `${read} index entries read for ${2 * ROWS} rows`)
})
