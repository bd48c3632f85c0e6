/** Connections that tenants share, one transaction after the other. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createTenant } from '../../src/access/tenants.js'
import { Database } from '../../src/db/database.js'
import { withTenant } from '../../src/db/tx.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Random } from '../helpers/random.js'

let db: TestDatabase
let pool: Database
let oracle: pg.Client

before(async () => {
  db = await freshDatabase()
  pool = await Database.open({ url: db.apiUrl, applicationName: 'pool', poolSize: 4, statementMs: 5000 })
  oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await oracle.connect()
})
after(async () => {
  await pool.close()
  await oracle.end()
  await db.drop()
})

const TRANSACTIONS = 10_000
const TENANTS = 50

test('10,000 transactions of 50 tenants on 4 connections, some of which fail, run out of time or are canceled, see their own rows alone [IS-6]', async () => {
  const seed = randomInt(1, 2 ** 31)
  const random = new Random(seed)
  const tenants: string[] = []
  for (let n = 0; n < TENANTS; n++) {
    const { id } = await createTenant(db.ownerUrl, `pool-${n}`)
    tenants.push(id)
    await oracle.query(
      `insert into contact (tenant_id, id, kind, last_name, display_name) select $1::uuid, gen_random_uuid(), 'PERSON', $1::text, $1::text from generate_series(1, 3)`,
      [id],
    )
  }
  let at = 0
  let wrong = 0
  let broken = 0
  const one = async (): Promise<void> => {
    const tenantId = random.pick(tenants)
    const chance = random.next()
    try {
      await withTenant(pool, tenantId, async (tx) => {
        const rows = await tx.query<{ name: string }>('select last_name as name from contact')
        wrong += rows.length === 3 && rows.every(({ name }) => name === tenantId) ? 0 : 1
        if (chance < 0.05) {
          await tx.query('select 1 / 0')
        } else if (chance < 0.1) {
          await tx.query('set local statement_timeout = 1')
          await tx.query('select pg_sleep(1)')
        } else if (chance < 0.15) {
          await tx.query('select pg_cancel_backend(pg_backend_pid()), pg_sleep(1)')
        } else if (chance < 0.2) {
          throw new Error('the work itself fails')
        } else if (chance < 0.21) {
          await tx.query('select pg_terminate_backend(pg_backend_pid())')
        }
      })
    } catch {
      broken += 1
    }
  }
  const worker = async (): Promise<void> => {
    while (at < TRANSACTIONS) {
      at += 1
      await one()
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  assert.equal(wrong, 0, `seed ${seed}`)
  assert.ok(broken > TRANSACTIONS / 10, 'too few of them went wrong')
})
