import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { withTenant } from '../../src/db/tx.js'
import { newId } from '../../src/ids.js'
import { defaultImportOptions } from '../../src/runs/imports.js'
import { askOfMigration, createMigration, mapMigrationObject, migrationObjects } from '../../src/runs/migrations.js'
import type { MigrationRunRow } from '../../src/runs/types.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { populated, type SmallCrm } from '../helpers/small-crm.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

const objects = (['companies', 'people', 'deals', 'calls'] as const).map((object) => ({
  object,
  recordType: ({ companies: 'contact', people: 'contact', deals: 'lead', calls: 'activity' } as const)[object],
  mapping: null,
  sampleSize: null as number | null,
  filter: null,
}))

function unproven(run: MigrationRunRow): string {
  return JSON.stringify([run.statusReason, run.verification?.checks.filter(({ passed }) => !passed)], null, 1)
}

class Moving {
  readonly engine: Engine
  readonly crm: SmallCrm
  readonly tenant: string
  id = ''

  private constructor(engine: Engine, crm: SmallCrm, tenant: string) {
    this.engine = engine
    this.crm = crm
    this.tenant = tenant
  }

  static async start(crm = populated()): Promise<Moving> {
    const engine = await Engine.start(db, { openVendor: () => Promise.resolve(crm.open()) })
    return new Moving(engine, crm, await engine.tenant())
  }

  /** What happens at the source next, a day after all that happened before. */
  async delta(happens: (crm: SmallCrm, at: string) => void): Promise<MigrationRunRow> {
    const day = Date.parse(this.crm.now)
    happens(this.crm, new Date(day + 3_600_000).toISOString())
    this.crm.now = new Date(day + 86_400_000).toISOString()
    return this.ask('DELTA')
  }

  /** Of a pass: what its rows were told, by the id at the source. */
  told(pass: number): Promise<unknown[]> {
    return this.engine.rows(
      `select p.object, x.source_id as id, i.code, i.field, i.severity from migration_pass p
         join run_issue i on i.tenant_id = p.tenant_id and i.run_id = p.import_run_id
         left join run_row x on x.tenant_id = i.tenant_id and x.run_id = i.run_id and x.row_number = i.row_number
       where p.run_id = $1 and p.pass = $2 order by 1, 2, 4`,
      [this.id, pass],
    )
  }

  async create(
    sampleSize: number | null = null,
    options: Partial<typeof defaultImportOptions> = {},
  ): Promise<MigrationRunRow> {
    const integrationId = newId()
    await this.engine.oracle.query(
      `insert into integration (tenant_id, id, system, status, login_origin, account, api_origin, access_token, connected_at, created_by)
       values ($1, $2, 'hubspot', 'CONNECTED', 'https://app.hubspot.com', $3, 'https://api.hubapi.com', 'x', now(), 'test')`,
      [this.tenant, integrationId, newId()],
    )
    this.id = await this.engine.context.control.use((lane) =>
      withTenant(lane, this.tenant, (tx) =>
        createMigration(tx, {
          actor: 'test',
          integrationId,
          options: { ...defaultImportOptions, onMissingRelation: 'KEEP_PENDING', ...options },
          objects: objects.map((object) => (object.object === 'calls' ? { ...object, sampleSize } : object)),
        }),
      ),
    )
    return this.rest()
  }

  ask(goal: 'STAGE' | 'PROMOTE' | 'VERIFY' | 'DELTA'): Promise<MigrationRunRow> {
    return this.engine.context.control
      .use((lane) => withTenant(lane, this.tenant, (tx) => askOfMigration(tx, this.id, goal)))
      .then(() => this.rest())
  }

  /** Lets the migration and its imports go on until the migration rests. */
  async rest(): Promise<MigrationRunRow> {
    for (let i = 0; i < 100; i++) {
      const due = await this.engine.rows<{ run_id: string }>(
        'select w.run_id from run_wakeup w where w.tenant_id = $1 order by w.run_id <> $2',
        [this.tenant, this.id],
      )
      for (const { run_id } of due) {
        await this.engine.step(this.tenant, run_id)
      }
      const run = await this.engine.run(this.tenant, this.id)
      if (run.kind !== 'MIGRATION') {
        throw new Error('expected a migration')
      }
      if (
        [
          'AWAITING_MAPPING',
          'AWAITING_CONFIRMATION',
          'COMPLETED',
          'COMPLETED_WITH_ERRORS',
          'FAILED',
          'PAUSED',
          'CANCELED',
        ].includes(run.status)
      ) {
        return run
      }
    }
    throw new Error(`the migration does not rest: ${JSON.stringify(await this.engine.run(this.tenant, this.id))}`)
  }

  records(): Promise<unknown[]> {
    return this.engine.rows(
      `select 'contact' as type, c.source_system, c.external_id, coalesce(c.first_name || ' ' || c.last_name, c.company_name) as name, o.external_id as first, null as second
         from contact c left join contact o on o.tenant_id = c.tenant_id and o.id = c.organization_id where c.tenant_id = $1 and c.deleted_at is null
       union all select 'lead', l.source_system, l.external_id, l.title, c.external_id, null
         from lead l left join contact c on c.tenant_id = l.tenant_id and c.id = l.contact_id where l.tenant_id = $1 and l.deleted_at is null
       union all select 'activity', a.source_system, a.external_id, a.subject, c.external_id, l.external_id
         from activity a left join contact c on c.tenant_id = a.tenant_id and c.id = a.contact_id
           left join lead l on l.tenant_id = a.tenant_id and l.id = a.lead_id where a.tenant_id = $1 and a.deleted_at is null
       order by 1, 2, 3`,
      [this.tenant],
    )
  }

  close(): Promise<void> {
    return this.engine.close()
  }
}

test('a migration is discovered, staged without a record touched, promoted and proven', async () => {
  const moving = await Moving.start()
  const { crm } = moving
  try {
    const discovered = await moving.create()
    assert.equal(discovered.stage, 'AWAITING_MAPPING', JSON.stringify(discovered.statusReason))
    assert.equal(crm.asked.filter(({ what }) => what === 'page').length, 0)

    const staged = await moving.ask('STAGE')
    assert.equal(staged.stage, 'AWAITING_REVIEW', JSON.stringify(staged.statusReason))
    assert.deepEqual(await moving.records(), [])
    const plans = await moving.engine.rows(
      `select p.object, r.status, r.plan_counts ->> 'created' as created, r.plan_counts ->> 'failed' as failed
       from migration_pass p join run r on r.id = p.import_run_id where p.run_id = $1 order by p.object`,
      [moving.id],
    )
    assert.deepEqual(plans, [
      { object: 'calls', status: 'AWAITING_CONFIRMATION', created: '7', failed: '0' },
      { object: 'companies', status: 'AWAITING_CONFIRMATION', created: '2', failed: '0' },
      { object: 'deals', status: 'AWAITING_CONFIRMATION', created: '7', failed: '0' },
      { object: 'people', status: 'AWAITING_CONFIRMATION', created: '7', failed: '0' },
    ])

    const promoted = await moving.ask('PROMOTE')
    assert.equal(promoted.stage, 'READY_FOR_DELTA', JSON.stringify(promoted))
    assert.equal(promoted.status, 'COMPLETED', unproven(promoted))
    assert.equal(promoted.counts.created, 23)
    const records = (await moving.records()) as { type: string; external_id: string; first: string; second: string }[]
    assert.equal(records.length, 23)
    for (const { type, external_id, first, second } of records) {
      if (type === 'activity') {
        assert.deepEqual([first, second], [external_id, external_id])
      } else if (type === 'lead') {
        assert.equal(first, external_id)
      }
    }
    assert.ok(promoted.verification?.passed)
    assert.deepEqual(
      await moving.engine.rows('select 1 from pending_relation where tenant_id = $1', [moving.tenant]),
      [],
    )
    // Nothing was asked for twice.
    const pages = crm.asked.filter(({ what }) => what === 'page').map(({ object, at }) => `${object} ${at}`)
    assert.equal(new Set(pages).size, pages.length)
  } finally {
    await moving.close()
  }
})

test('changes and deletions of the source are read again from where the last pass ended', async () => {
  const moving = await Moving.start()
  const { crm } = moving
  try {
    await moving.create()
    await moving.ask('STAGE')
    await moving.ask('PROMOTE')
    const person = crm.records.people?.find(({ id }) => id === '3')
    assert.ok(person)
    person.values.last = 'Renamed'
    person.updatedAt = '2026-03-02T00:00:00.000Z'
    crm.records.people?.push({
      id: '99',
      updatedAt: '2026-03-02T00:00:01.000Z',
      values: { first: 'New', last: 'One', mail: 'new@example.com' },
      derived: { company: 'companies/2' },
    })
    crm.remove('deals', '5', '2026-03-02T00:00:02.000Z')
    crm.remove('calls', '5', '2026-03-02T00:00:02.000Z')
    crm.now = '2026-03-03T00:00:00.000000Z'
    const synced = await moving.ask('DELTA')
    assert.equal(synced.status, 'COMPLETED', unproven(synced))
    const records = (await moving.records()) as { type: string; external_id: string; name: string }[]
    assert.equal(records.length, 22)
    assert.ok(records.some(({ name }) => name === 'First 3 Renamed'))
    assert.ok(records.some(({ name }) => name === 'New One'))
    assert.equal(records.filter(({ type, external_id }) => type !== 'contact' && external_id === '5').length, 0)
    // Again: nothing has changed.
    crm.now = '2026-03-04T00:00:00.000000Z'
    const again = await moving.ask('DELTA')
    assert.equal(again.status, 'COMPLETED', unproven(again))
    assert.deepEqual(await moving.records(), records)
  } finally {
    await moving.close()
  }
})

/** Changes a person of the source. */
function changed(crm: SmallCrm, id: string, at: string, values: Record<string, string>): void {
  const person = crm.records.people?.find((record) => record.id === id)
  assert.ok(person)
  Object.assign(person.values, values)
  person.updatedAt = at
}

const names = `select external_id as id, first_name as first, last_name as last from contact
  where tenant_id = $1 and source_system like '%people' and deleted_at is null and external_id in ('3', '4') order by 1`

for (const changedHere of ['KEEP', 'OVERWRITE'] as const) {
  test(`what was changed here since is ${changedHere === 'KEEP' ? 'left alone by a delta' : 'overwritten where that was asked for'}`, async () => {
    const moving = await Moving.start()
    try {
      await moving.create(null, { changedHere })
      await moving.ask('STAGE')
      await moving.ask('PROMOTE')
      const here = (sql: string) => moving.engine.oracle.query(sql, [moving.tenant])
      await here(`update contact set first_name = 'Mine' where tenant_id = $1 and external_id = '3'`)
      await here(`update contact set last_name = 'Ours' where tenant_id = $1 and external_id = '4'`)
      await here(`update lead set title = 'Worked on' where tenant_id = $1 and external_id = '5'`)
      const first = await moving.delta((crm, at) => {
        changed(crm, '3', at, { last: 'Renamed' })
        changed(crm, '4', at, { last: 'Theirs' })
        crm.remove('deals', '5', at)
        crm.remove('deals', '6', at)
      })
      assert.equal(first.status, 'COMPLETED', unproven(first))
      const leads = await moving.engine.rows(
        `select external_id as id from lead where tenant_id = $1 and deleted_at is null and external_id in ('5', '6')`,
        [moving.tenant],
      )
      if (changedHere === 'OVERWRITE') {
        assert.deepEqual(await moving.engine.rows(names, [moving.tenant]), [
          { id: '3', first: 'First 3', last: 'Renamed' },
          { id: '4', first: 'First 4', last: 'Theirs' },
        ])
        assert.deepEqual([leads, await moving.told(1)], [[], []])
        return
      }
      assert.deepEqual(await moving.engine.rows(names, [moving.tenant]), [
        { id: '3', first: 'Mine', last: 'Renamed' },
        { id: '4', first: 'First 4', last: 'Ours' },
      ])
      assert.deepEqual(leads, [{ id: '5' }])
      // Only where the source says something new: the first name of 3 is what it was there.
      assert.deepEqual(await moving.told(1), [
        { object: 'deals', id: '5', code: 'SOURCE_RECORD_GONE', field: null, severity: 'WARNING' },
        { object: 'people', id: '4', code: 'CHANGED_SINCE_IMPORT', field: 'lastName', severity: 'WARNING' },
      ])
      // The same said again is nothing new; another field of the record follows the source as before.
      const second = await moving.delta((crm, at) => changed(crm, '4', at, { first: 'Again' }))
      assert.equal(second.status, 'COMPLETED', unproven(second))
      assert.deepEqual(await moving.told(2), [])
      assert.deepEqual((await moving.engine.rows(names, [moving.tenant]))[1], { id: '4', first: 'Again', last: 'Ours' })
      // Made equal by hand, the field follows the source again.
      await here(`update contact set last_name = 'Theirs' where tenant_id = $1 and external_id = '4'`)
      const third = await moving.delta((crm, at) => changed(crm, '4', at, { last: 'Newest' }))
      assert.equal(third.status, 'COMPLETED', unproven(third))
      assert.deepEqual((await moving.engine.rows(names, [moving.tenant]))[1], {
        id: '4',
        first: 'Again',
        last: 'Newest',
      })
    } finally {
      await moving.close()
    }
  })
}

test('a delivery that is older than what the source has said already changes nothing', async () => {
  const moving = await Moving.start()
  try {
    await moving.create()
    await moving.ask('STAGE')
    await moving.ask('PROMOTE')
    await moving.delta((crm, at) => changed(crm, '3', at, { last: 'Newer' }))
    const before = await moving.records()
    const { rows: base } = await moving.engine.oracle.query(
      'select * from source_base where tenant_id = $1 order by external_id',
      [moving.tenant],
    )
    // The page of before comes once more, as if it had been under way all the time.
    await moving.delta((crm) => changed(crm, '3', '2026-02-28T23:59:59.000Z', { last: 'Older' }))
    assert.deepEqual(await moving.records(), before)
    const { rows: after } = await moving.engine.oracle.query(
      'select * from source_base where tenant_id = $1 order by external_id',
      [moving.tenant],
    )
    assert.deepEqual(after, base)
  } finally {
    await moving.close()
  }
})

test('a record that the pages lack is read by id, and one that does not come at all is told', async () => {
  const moving = await Moving.start()
  const { crm } = moving
  try {
    crm.dropped.add('4')
    await moving.create()
    const staged = await moving.ask('STAGE')
    assert.equal(staged.stage, 'AWAITING_REVIEW', JSON.stringify(staged.statusReason))
    const rows = await moving.engine.rows(
      'select object, count(*)::int as n from migration_row where run_id = $1 group by 1 order by 1',
      [moving.id],
    )
    assert.deepEqual(rows, [
      { object: 'calls', n: 7 },
      { object: 'companies', n: 2 },
      { object: 'deals', n: 7 },
      { object: 'people', n: 7 },
    ])
  } finally {
    await moving.close()
  }
  const other = await Moving.start()
  try {
    other.crm.dropped.add('4')
    other.crm.silent = true
    await other.create()
    const staged = await other.ask('STAGE')
    assert.equal(staged.status, 'PAUSED')
    assert.equal(staged.statusReason?.code, 'SOURCE_INCOMPLETE')
    assert.match(staged.statusReason?.message ?? '', /people.*7 records and gave 6.*for example 4/)
  } finally {
    await other.close()
  }
})

test('a service that wants no requests until tomorrow pauses the migration until then', async () => {
  const moving = await Moving.start()
  try {
    await moving.create()
    moving.crm.pausesAt.set('4', new Date(Date.now() + 3_600_000))
    const paused = await moving.ask('STAGE')
    assert.equal(paused.status, 'PAUSED')
    assert.equal(paused.statusReason?.code, 'WAITING_FOR_SERVICE')
    // Taken up too early it waits on; when its time has come it goes on by itself.
    await moving.engine.step(moving.tenant, moving.id)
    assert.equal((await moving.engine.run(moving.tenant, moving.id)).status, 'PAUSED')
    await moving.engine.oracle.query("update run set resume_at = now() - interval '1 second' where id = $1", [
      moving.id,
    ])
    await moving.engine.step(moving.tenant, moving.id)
    const staged = await moving.rest()
    assert.equal(staged.stage, 'AWAITING_REVIEW', JSON.stringify(staged.statusReason))
    const pages = moving.crm.asked.filter(({ what, object }) => what === 'page' && object === 'companies')
    assert.equal(pages.length, 1)
  } finally {
    await moving.close()
  }
})

test('a sample takes along what its records refer to, and nothing else', async () => {
  const moving = await Moving.start()
  try {
    await moving.create(2)
    await moving.engine.oracle.query(
      "update migration_object set sample_size = 1 where run_id = $1 and object <> 'calls'",
      [moving.id],
    )
    await moving.ask('STAGE')
    const rows = await moving.engine.rows(
      'select object, array_agg(external_id order by external_id) as ids from migration_row where run_id = $1 group by 1 order by 1',
      [moving.id],
    )
    assert.deepEqual(rows, [
      { object: 'calls', ids: ['1', '2'] },
      { object: 'companies', ids: ['1', '2'] },
      { object: 'deals', ids: ['1', '2'] },
      { object: 'people', ids: ['1', '2'] },
    ])
    const promoted = await moving.ask('PROMOTE')
    assert.equal(promoted.status, 'COMPLETED', unproven(promoted))
  } finally {
    await moving.close()
  }
})

for (const inAnswer of [false, true]) {
  test(`a reading makes way to another tenant ${inAnswer ? 'behind the answer' : 'between its requests'}`, async () => {
    const moving = await Moving.start(populated(12))
    const { engine, crm } = moving
    try {
      await moving.create()
      crm.inAnswer = inAnswer
      // Three take longer than a run may have while others wait, and far less than an answer may.
      crm.waits = () => engine.oracle.query('select pg_sleep(0.8)')
      const other = await engine.tenant()
      await engine.createRun(other, { type: 'contact', csv: 'First name,Last name\nAda,Lovelace\n' })
      await engine.context.control.use((lane) =>
        withTenant(lane, moving.tenant, (tx) => askOfMigration(tx, moving.id, 'STAGE')),
      )
      await engine.step(moving.tenant, moving.id)
      const [companies, people] = await engine.context.control.use((lane) =>
        withTenant(lane, moving.tenant, (tx) => migrationObjects(tx, moving.id)),
      )
      assert.equal(companies?.extracted, 2)
      assert.equal(people?.extracted, inAnswer ? 12 : 6)
    } finally {
      await moving.close()
    }
  })
}

test('another mapping is staged from what was read, without asking the source again', async () => {
  const moving = await Moving.start()
  try {
    await moving.create()
    await moving.ask('STAGE')
    const asked = moving.crm.asked.filter(({ what }) => what === 'page').length
    await moving.engine.context.control.use((lane) =>
      withTenant(lane, moving.tenant, async (tx) => {
        const deals = (await migrationObjects(tx, moving.id)).find(({ object }) => object === 'deals')
        const mapping = (deals?.mapping ?? []).map((entry) =>
          entry.column === 'title' ? { ...entry, field: 'description' } : entry,
        )
        const titled = [...mapping, { ...mapping[0]!, column: null, field: 'title', constant: 'A deal' }]
        await mapMigrationObject(tx, moving.id, 'deals', titled, [])
      }),
    )
    const staged = await moving.ask('STAGE')
    assert.equal(staged.stage, 'AWAITING_REVIEW', JSON.stringify(staged.statusReason))
    assert.equal(moving.crm.asked.filter(({ what }) => what === 'page').length, asked)
    const promoted = await moving.ask('PROMOTE')
    assert.equal(promoted.status, 'COMPLETED', unproven(promoted))
    const leads = await moving.engine.rows('select distinct title from lead where tenant_id = $1', [moving.tenant])
    assert.deepEqual(leads, [{ title: 'A deal' }])
  } finally {
    await moving.close()
  }
})

for (const [what, damage] of [
  [
    'a missing record',
    `update contact set deleted_at = now() where tenant_id = $1 and external_id = '3' and source_system like '%people'`,
  ],
  [
    'a changed field',
    `update contact set last_name = 'Other' where tenant_id = $1 and external_id = '3' and source_system like '%people'`,
  ],
  ['a lost relation', `update activity set contact_id = null where tenant_id = $1 and external_id = '3'`],
  [
    'a relation to another',
    `update lead set contact_id = (select id from contact where tenant_id = $1 and external_id = '5' and source_system like '%people') where tenant_id = $1 and external_id = '3'`,
  ],
  [
    'a record too many',
    `insert into lead (tenant_id, id, title, contact_id, source_system, external_id) select tenant_id, gen_random_uuid(), 'Extra', contact_id, source_system, '77' from lead where tenant_id = $1 and external_id = '3'`,
  ],
] as const) {
  test(`the proof tells of ${what}`, async () => {
    const moving = await Moving.start()
    try {
      await moving.create()
      await moving.ask('STAGE')
      await moving.ask('PROMOTE')
      await moving.engine.oracle.query(damage, [moving.tenant])
      const verified = await moving.ask('VERIFY')
      assert.equal(verified.status, 'COMPLETED_WITH_ERRORS')
      assert.equal(verified.verification?.passed, false)
    } finally {
      await moving.close()
    }
  })
}

test('records that were deleted at the source since are told by a proof and left to the next pass', async () => {
  const moving = await Moving.start()
  try {
    await moving.create()
    await moving.ask('STAGE')
    await moving.ask('PROMOTE')
    moving.crm.remove('deals', '5', '2026-03-02T00:00:00.000Z')
    moving.crm.remove('calls', '5', '2026-03-02T00:00:00.000Z')
    const proven = await moving.ask('VERIFY')
    assert.ok(proven.verification?.passed, unproven(proven))
    const told = proven.verification.checks.filter(({ detail }) => detail?.includes('deleted at the source') === true)
    assert.deepEqual(
      told.map(({ name, object, expected, actual }) => [name, object, expected, actual]),
      [
        ['source count', 'deals', '6', '6'],
        ['source count', 'calls', '6', '6'],
      ],
    )
  } finally {
    await moving.close()
  }
})

test('a proof without the files that retention has taken says so and fails nothing else', async () => {
  const moving = await Moving.start()
  try {
    await moving.create()
    await moving.ask('STAGE')
    await moving.ask('PROMOTE')
    const { rowCount } = await moving.engine.oracle.query(
      `update source_file f set purged_at = now() from migration_pass p
       where p.tenant_id = f.tenant_id and p.source_file_id = f.id and p.run_id = $1 and p.object = 'people'`,
      [moving.id],
    )
    assert.equal(rowCount, 1)
    const proven = await moving.ask('VERIFY')
    assert.equal(proven.status, 'COMPLETED_WITH_ERRORS', JSON.stringify(proven.statusReason))
    const failed = proven.verification?.checks.filter(({ passed }) => !passed) ?? []
    assert.deepEqual(
      failed.map(({ name, object, actual }) => [name, object, actual]),
      [['files', 'people', '1']],
    )
    assert.match(failed[0]?.detail ?? '', /retention/)
  } finally {
    await moving.close()
  }
})
