/* A whole HubSpot account moves in from its simulator: read, staged, promoted, proven, kept in step. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { hubspot } from '../../src/adapters/hubspot/index.js'
import { withTenant } from '../../src/db/tx.js'
import { newId } from '../../src/ids.js'
import { defaultImportOptions } from '../../src/runs/imports.js'
import { askOfMigration, createMigration } from '../../src/runs/migrations.js'
import type { MigrationRunRow } from '../../src/runs/types.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { apiOf } from '../simulators/api.js'
import { startHubspot } from '../simulators/hubspot/index.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

const objects = (
  [
    ['companies', 'contact'],
    ['contacts', 'contact'],
    ['deals', 'lead'],
    ['calls', 'activity'],
    ['notes', 'activity'],
  ] as const
).map(([object, recordType]) => ({ object, recordType, mapping: null, sampleSize: null, filter: null }))

function unproven(run: MigrationRunRow): string {
  return JSON.stringify([run.statusReason, run.verification?.checks.filter(({ passed }) => !passed)], null, 1)
}

test('an account moves in from HubSpot with all it has, and changes follow', { timeout: 120_000 }, async () => {
  const simulator = await startHubspot({
    limits: false,
    nasty: false,
    counts: { companies: 20, contacts: 60, deals: 24, calls: 60, notes: 24 },
  })
  const api = apiOf(simulator, 'hubspot')
  const engine = await Engine.start(db, {
    openVendor: () => Promise.resolve({ adapter: hubspot, api, close: () => Promise.resolve() }),
  })
  const tenant = await engine.tenant()
  const integrationId = newId()
  let id = ''
  const rest = async (): Promise<MigrationRunRow> => {
    for (let i = 0; i < 200; i++) {
      const due = await engine.rows<{ run_id: string }>(
        'select w.run_id from run_wakeup w where w.tenant_id = $1 order by w.run_id <> $2',
        [tenant, id],
      )
      for (const { run_id } of due) {
        await engine.step(tenant, run_id)
      }
      const run = await engine.run(tenant, id)
      assert.ok(run.kind === 'MIGRATION')
      if (/^(AWAITING_|COMPLETED|FAILED|PAUSED|CANCELED)/.test(run.status)) {
        return run
      }
    }
    throw new Error('the migration does not rest')
  }
  const ask = async (goal: 'STAGE' | 'PROMOTE' | 'DELTA'): Promise<MigrationRunRow> => {
    await engine.context.control.use((lane) => withTenant(lane, tenant, (tx) => askOfMigration(tx, id, goal)))
    return rest()
  }
  const here = async (): Promise<number> => (await ids()).length
  const ids = async (): Promise<string[]> => {
    const rows = await engine.rows<{ source_system: string; external_id: string }>(
      `select source_system, external_id from contact where tenant_id = $1 and deleted_at is null
       union all select source_system, external_id from lead where tenant_id = $1 and deleted_at is null
       union all select source_system, external_id from activity where tenant_id = $1 and deleted_at is null`,
      [tenant],
    )
    return rows.map(({ source_system, external_id }) => `${source_system}/${external_id}`).sort()
  }
  /** Records here are those of the service, no more and no fewer. */
  const same = async (): Promise<void> => {
    const { id: account } = await hubspot.check(api, new AbortController().signal)
    const there = objects.flatMap(({ object }) =>
      [...simulator.rows(object)].map((row) => `hubspot/${account}/${object}/${row.id as string}`),
    )
    assert.deepEqual(await ids(), there.sort())
  }
  try {
    await engine.oracle.query(
      `insert into integration (tenant_id, id, system, status, login_origin, account, api_origin, access_token, connected_at, created_by)
       values ($1, $2, 'hubspot', 'CONNECTED', 'https://app.hubspot.com', $3, 'https://api.hubapi.com', 'x', now(), 'test')`,
      [tenant, integrationId, newId()],
    )
    id = await engine.context.control.use((lane) =>
      withTenant(lane, tenant, (tx) =>
        createMigration(tx, {
          actor: 'test',
          integrationId,
          options: { ...defaultImportOptions, onMissingRelation: 'KEEP_PENDING' },
          objects,
        }),
      ),
    )
    const discovered = await rest()
    assert.equal(discovered.stage, 'AWAITING_MAPPING', JSON.stringify(discovered.statusReason))
    const staged = await ask('STAGE')
    assert.equal(staged.stage, 'AWAITING_REVIEW', JSON.stringify(staged.statusReason))
    assert.equal(await here(), 0)
    const promoted = await ask('PROMOTE')
    assert.equal(promoted.stage, 'READY_FOR_DELTA', JSON.stringify(promoted))
    assert.ok(promoted.status === 'COMPLETED' && promoted.verification?.passed, unproven(promoted))
    await same()
    // People belong to their organization, and a call to somebody.
    const [links] = await engine.rows<{ members: number; linked: number; typed: number }>(
      `select (select count(*)::int from contact p join contact o on o.tenant_id = p.tenant_id and o.id = p.organization_id
                 where p.tenant_id = $1 and p.kind = 'PERSON' and o.kind = 'ORGANIZATION') as members,
              (select count(*)::int from activity where tenant_id = $1 and contact_id is not null) as linked,
              (select count(*)::int from activity where tenant_id = $1 and type = 'NOTE') as typed`,
      [tenant],
    )
    assert.ok((links?.members ?? 0) > 20 && (links?.linked ?? 0) > 20, JSON.stringify(links))
    // What is associated with objects that do not move waits for them.
    assert.equal(links?.typed, simulator.count('notes'))

    simulator.advance(3_600_000)
    simulator.edit('contacts', 10)
    simulator.delete('deals', 3)
    simulator.delete('notes', 3)
    simulator.add('calls', 5)
    // Past the time that HubSpot takes until a change can be found.
    simulator.advance(600_000)
    const synced = await ask('DELTA')
    assert.ok(synced.status === 'COMPLETED' && synced.verification?.passed, unproven(synced))
    await same()
  } finally {
    await engine.close()
    api.close()
    await simulator.close()
  }
})
