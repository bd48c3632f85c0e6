import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createTenant } from '../../src/access/tenants.js'
import type { Io } from '../../src/cli/io.js'
import { quotas } from '../../src/cli/quotas.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

let db: TestDatabase
const environment = { ...process.env }
before(async () => {
  db = await freshDatabase()
  process.env.DATABASE_URL = db.ownerUrl
})
after(async () => {
  process.env = environment
  await db.drop()
})

/** What an action prints. */
async function said(
  action: Parameters<typeof quotas>[0],
  rest: readonly string[],
  values: { readonly plan?: string; readonly json?: boolean } = {},
): Promise<string> {
  const lines: string[] = []
  const io: Io = {
    out: (line) => void lines.push(line),
    write: async (text) => void lines.push(text),
    note: () => undefined,
    status: () => undefined,
    ask: async () => null,
    interactive: false,
    signal: new AbortController().signal,
  }
  assert.equal(await quotas(action, rest, { json: false, ...values }, io), 0)
  return lines.join('\n')
}

test('the operator makes plans, gives them to tenants, and sees what is used', async () => {
  const name = `tenant ${randomUUID()}`
  await createTenant(db.ownerUrl, name)
  assert.match(await said('plans', []), /^Quota +small +standard +Unit[^]*rowsPerDay +100,000 +1,000,000,000 +rows/)
  assert.match(await said('plan-save', ['tiny', 'rowsPerDay=500', 'runningRuns=1']), /rowsPerDay +500 +rows/)
  assert.match(await said('set', [name, 'runningRuns=7'], { plan: 'tiny' }), /^Plan: tiny\n/)
  const shown = await said('quotas', [name])
  assert.match(shown, /rowsPerDay +0 +500 +rows/)
  assert.match(shown, /runningRuns +0 +7 +runs +own limit/)
  assert.match(shown, /storageBytes +0 +- +bytes/)
  assert.match(await said('set', [name, 'runningRuns=plan']), /runningRuns +0 +1 +runs/)
  const json = JSON.parse(await said('quotas', [name], { json: true }))
  assert.deepEqual([json.plan, json.overrides, json.uses[0].name], ['tiny', {}, 'uploadBytesPerDay'])
})

test('what is no quota, no limit, no plan or no tenant is refused', async () => {
  const name = `tenant ${randomUUID()}`
  await createTenant(db.ownerUrl, name)
  await assert.rejects(said('set', [name, 'rows=5']), /"rows=5" is no limit/)
  await assert.rejects(said('set', [name, 'rowsPerDay=-5']), /is no limit/)
  await assert.rejects(said('set', [name, 'rowsPerDay=none']), /QUOTA=plan/)
  await assert.rejects(said('set', [name], { plan: 'nothing' }), /There is no plan "nothing"/)
  await assert.rejects(said('quotas', ['nobody']), /There is no tenant "nobody"/)
  await assert.rejects(said('plan-save', ['Tiny!']), /small letters/)
  await assert.rejects(said('set', []), /needs a name/)
})
