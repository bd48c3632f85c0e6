/** A record that is deleted while an import links to it: either the link sees that it is gone, or the deletion comes after it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
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

const map = { Id: 'externalId', Mail: 'email', Last: 'lastName' }
const people = 'Id,Mail,Last\na,a@example.com,A\n'

/** Begins a transaction of somebody else's, waits until the work stands behind its lock (or has ended), and commits it. */
async function meanwhile<R>(statement: string, params: readonly unknown[], work: () => Promise<R>) {
  const other = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await other.connect()
  try {
    await other.query('begin')
    await other.query(statement, [...params])
    let ended = false
    const result = work().finally(() => {
      ended = true
    })
    let waited = false
    while (!waited && !ended) {
      const rows = await engine.rows(
        `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and application_name like 'portage lane%'`,
      )
      waited = rows.length > 0
    }
    await other.query('commit')
    return { result: await result, waited }
  } finally {
    await other.end()
  }
}

const activities = [
  { key: 'email', csv: 'Subject,Type,Who\nHi,CALL,a@example.com\n' },
  { key: 'externalId', csv: 'Subject,Type,Who\nHi,CALL,a\n' },
]

for (const { key, csv } of activities) {
  test(`a contact found by ${key} that is deleted in that instant is not linked to`, async () => {
    const tenant = await engine.tenant()
    await engine.import(tenant, { type: 'contact', csv: people, map })
    const id = await engine.createRun(tenant, {
      type: 'activity',
      csv,
      map: { Subject: 'subject', Type: 'type', Who: `contact.${key}` },
    })
    const deleting = `with locked as (select tenant_id, id from contact where tenant_id = $1 for update)
      update contact c set deleted_at = now() from locked l where c.tenant_id = l.tenant_id and c.id = l.id`
    const { result, waited } = await meanwhile(deleting, [tenant], () => engine.advance(tenant, id))
    assert.ok(waited)
    assert.deepEqual([result.counts.created, result.counts.failed], [0, 1])
    const issues = await engine.rows('select code from run_issue where run_id = $1', [id])
    assert.deepEqual(issues, [{ code: 'RELATION_NOT_FOUND' }])
  })
}

test('an import that deletes a contact waits for whoever is linking to it', async () => {
  const tenant = await engine.tenant()
  await engine.import(tenant, { type: 'contact', csv: people, map })
  const id = await engine.createRun(tenant, { type: 'contact', csv: people, map, options: { operation: 'DELETE' } })
  const linking = 'select from contact where tenant_id = $1 for key share'
  const { result, waited } = await meanwhile(linking, [tenant], () => engine.advance(tenant, id))
  assert.ok(waited, 'the deletion came between the look and the link')
  assert.equal(result.counts.deleted, 1)
})
