import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { advanceRun } from '../../src/jobs/advance-run.js'
import { laneName } from '../../src/jobs/claim.js'
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

const request = {
  type: 'contact',
  csv: 'Id,Mail\na,a@example.com\n',
  map: { Id: 'externalId', Mail: 'email' },
} as const

test('a claim ends what is left of any earlier one, also of a worker that has handed the run back', {
  timeout: 10_000,
}, async () => {
  const tenant = await engine.tenant()
  const runId = await engine.createRun(tenant, request)
  const left = new pg.Client({ connectionString: db.workerUrl, application_name: laneName(77, runId) })
  left.on('error', () => undefined)
  await left.connect()
  const other = new pg.Client({ connectionString: db.workerUrl, application_name: laneName(77, tenant) })
  await other.connect()
  const ended = new Promise((resolve) => {
    left.once('end', () => resolve('ended'))
  })
  await advanceRun(engine.context, { tenantId: tenant, runId })
  assert.equal(await ended, 'ended')
  assert.deepEqual((await other.query('select 1 as one')).rows, [{ one: 1 }], 'a lane of another run is left alone')
  await other.end()
})
