/** Moving in from another CRM, over the API with a worker: a small CRM in memory stands in for the service. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { permissions } from '../../src/access/permissions.js'
import { localFileStore } from '../../src/adapters/files/storage.js'
import { Lane } from '../../src/db/lane.js'
import { decodeId, encodeId } from '../../src/ids.js'
import { laneOptions } from '../../src/jobs/context.js'
import { FileRemover } from '../../src/jobs/remove-files.js'
import { startDueMigrations } from '../../src/jobs/schedules.js'
import { tidyMigrations } from '../../src/jobs/tidy-migrations.js'
import { populated, type SmallCrm } from '../helpers/small-crm.js'
import { SocketClient } from '../server/socket-client.js'
import { type Actor, type Json, World } from '../server/world.js'

let world: World
/** The CRM of each integration. */
const crms = new Map<string, SmallCrm>()

before(async () => {
  world = await World.start({
    openVendor: (_tenantId, integrationId) => {
      const crm = crms.get(integrationId)
      return crm === undefined
        ? Promise.reject(new Error('nobody is there'))
        : Promise.resolve({
            ...crm.open(),
            estimate: (cost: number) => Promise.resolve({ cost, remaining: 4, days: 3, resetsAt: null }),
          })
    },
  })
})
after(() => world.close())

const objects = [
  { object: 'companies', recordType: 'CONTACT' },
  { object: 'people', recordType: 'CONTACT' },
  { object: 'deals', recordType: 'LEAD' },
  { object: 'calls', recordType: 'ACTIVITY' },
]

/** Somebody with a connected CRM, and what they do with it. */
class Mover {
  readonly ada: Actor
  readonly crm: SmallCrm
  readonly integration: string
  id = ''

  private constructor(ada: Actor, crm: SmallCrm, integration: string) {
    this.ada = ada
    this.crm = crm
    this.integration = integration
  }

  static async start(crm = populated()): Promise<Mover> {
    const ada = await world.actor(await world.tenant())
    const { rows } = await world.oracle.query<{ id: string }>(
      `insert into integration (tenant_id, id, system, status, login_origin, account, api_origin, access_token, connected_at, created_by)
       values ($1, uuidv7(), 'hubspot', 'CONNECTED', 'https://app.hubspot.com', 'acc1', 'https://api.hubapi.com', 'x', now(), 'ada') returning id`,
      [ada.tenantId],
    )
    const id = rows[0]?.id ?? ''
    crms.set(id, crm)
    return new Mover(ada, crm, encodeId('integration', id))
  }

  async create(more: object = {}): Promise<Json> {
    const input = { integrationId: this.integration, objects, idempotencyKey: key(), ...more }
    const { migrationCreate } = await world.ask(
      this.ada,
      `mutation ($input: MigrationCreateInput!) { migrationCreate(input: $input) {
         migration { id kind status stage } userErrors { code field message } } }`,
      { input },
    )
    assert.deepEqual(migrationCreate.userErrors, [])
    this.id = migrationCreate.migration.id
    await world.rested(this.ada, this.id)
    return this.look()
  }

  look(actor = this.ada): Promise<Json> {
    return world
      .ask(
        actor,
        `query ($id: ID!) { migration(id: $id) {
           id kind status stage statusReason { code message } counts { total created updated unchanged failed deleted reverted kept unprocessed }
           availableActions schedule timeZone nextRunAt scheduleDisabled { code }
           integration { id system }
           files { kind name format byteSize rowCount url }
           verification { passed createdAt fileUrl checks { name object expected actual passed detail } }
           objects { object recordType expected extracted watermark
             mapping { columns { column field } conflicts { message } }
             counts { created } drift { message } passes { id status } importRun { id status } } } }`,
        { id: this.id },
      )
      .then(({ migration }) => migration)
  }

  /** Asks for the next thing and waits until the migration rests. */
  async step(name: 'Stage' | 'Promote' | 'Verify' | 'SyncDelta'): Promise<Json> {
    assert.deepEqual(await this.refused(name), [])
    await world.rested(this.ada, this.id)
    return this.look()
  }

  async refused(name: string, actor = this.ada): Promise<Json> {
    const answer = await world.ask(
      actor,
      `mutation ($input: MigrationInput!) { migration${name}(input: $input) { migration { id } userErrors { code message } } }`,
      { input: { migrationId: this.id, idempotencyKey: key() } },
    )
    return answer[`migration${name}`].userErrors
  }

  /** Created, staged, promoted and proven. */
  async moved(more: object = {}): Promise<Json> {
    await this.create(more)
    await this.step('Stage')
    return this.step('Promote')
  }

  control(name: 'runPause' | 'runResume' | 'runCancel', id = this.id): Promise<Json> {
    return world
      .ask(this.ada, `mutation { ${name}(input: { runId: "${id}" }) { run { status } userErrors { code message } } }`)
      .then((answer) => answer[name])
  }

  async rollBack(id = this.id, onConflict = 'KEEP'): Promise<Json> {
    const { runRollback } = await world.ask(
      this.ada,
      `mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { code message } } }`,
      { input: { runId: id, onConflict, idempotencyKey: key() } },
    )
    assert.deepEqual(runRollback.userErrors, [])
    await world.rested(this.ada, runRollback.rollbackRun.id)
    const { run } = await world.ask(this.ada, 'query ($id: ID!) { run(id: $id) { status counts { reverted kept } } }', {
      id: runRollback.rollbackRun.id,
    })
    return run
  }

  /** Rows of a statement with the tenant as $1 and the migration's UUID as $2. */
  async rows(sql: string): Promise<Json[]> {
    return (
      await world.oracle.query(sql, [this.ada.tenantId, decodeId('run', this.id)].slice(0, sql.includes('$2') ? 2 : 1))
    ).rows
  }

  async live(): Promise<number> {
    const [row] = await this.rows(
      `select ((select count(*) from contact where tenant_id = $1 and deleted_at is null)
         + (select count(*) from lead where tenant_id = $1 and deleted_at is null)
         + (select count(*) from activity where tenant_id = $1 and deleted_at is null))::int as n`,
    )
    return row.n
  }
}

const key = () => randomBytes(8).toString('hex')

test('a CRM is looked at, mapped, rehearsed, promoted, proven and read again', async () => {
  const mover = await Mover.start()
  const { ada, crm } = mover
  const { integrationObjects } = await world.ask(
    ada,
    `query ($id: ID!) { integrationObjects(integrationId: $id) {
       name label custom recordCount suggestedRecordType fields { name label kind custom references options } } }`,
    { id: mover.integration },
  )
  assert.deepEqual(
    integrationObjects.map(({ name, recordCount, suggestedRecordType }: Json) => [
      name,
      recordCount,
      suggestedRecordType,
    ]),
    [
      ['companies', 2, 'CONTACT'],
      ['people', 7, 'CONTACT'],
      ['deals', 7, 'LEAD'],
      ['calls', 7, 'ACTIVITY'],
    ],
  )
  assert.deepEqual(integrationObjects[2].fields.find(({ name }: Json) => name === 'portage.person').references, [
    'people',
  ])

  const socket = await SocketClient.open(world.url, ada.token)
  socket.subscribe(
    'all',
    `subscription { tenantEvents(kinds: [MIGRATION], minIntervalMs: 0) { __typename runId
       ... on RunStatusChanged { to } ... on RunProgressed { counts { read } } } }`,
  )
  const created = await mover.create()
  assert.equal(created.stage, 'AWAITING_MAPPING')
  assert.equal(created.statusReason.code, 'MAPPING_NEEDED')
  assert.match(created.statusReason.message, /23 records takes at least 10 requests.*4 left.*3 days/)
  assert.deepEqual(
    created.objects.map(({ object, recordType, expected, extracted, importRun }: Json) => [
      object,
      recordType,
      expected,
      extracted,
      importRun,
    ]),
    [
      ['companies', 'CONTACT', 2, 0, null],
      ['people', 'CONTACT', 7, 0, null],
      ['deals', 'LEAD', 7, 0, null],
      ['calls', 'ACTIVITY', 7, 0, null],
    ],
  )
  const suggested = created.objects[2].mapping.columns
  assert.deepEqual(suggested, [
    { column: 'id', field: 'externalId' },
    { column: 'title', field: 'title' },
    { column: 'portage.person', field: 'contact.externalId' },
  ])

  // A field of one's own takes the title; a field that is not there is refused.
  const { customFieldCreate } = await world.ask(
    ada,
    `mutation ($input: CustomFieldCreateInput!) { customFieldCreate(input: $input) { userErrors { message } } }`,
    { input: { recordType: 'LEAD', field: { key: 'oldTitle', label: 'Old title', kind: 'TEXT' } } },
  )
  assert.deepEqual(customFieldCreate.userErrors, [])
  const map = async (columns: object[]): Promise<Json> =>
    (
      await world.ask(
        ada,
        `mutation ($input: MigrationMappingUpdateInput!) { migrationMappingUpdate(input: $input) {
           migration { stage } userErrors { code field } } }`,
        { input: { migrationId: mover.id, object: 'deals', mapping: columns } },
      )
    ).migrationMappingUpdate
  assert.deepEqual((await map([{ column: 'nothing', field: 'title' }])).userErrors, [
    { code: 'UNKNOWN_COLUMN', field: ['mapping', '0', 'column'] },
  ])
  assert.deepEqual((await map([{ column: 'title', field: 'custom.none' }])).userErrors[0].code, 'UNKNOWN_FIELD')
  const titled = suggested.flatMap((entry: Json) =>
    entry.column === 'title' ? [entry, { column: 'title', field: 'custom.oldTitle' }] : [entry],
  )
  assert.deepEqual((await map(titled)).userErrors, [])

  const staged = await mover.step('Stage')
  assert.equal(staged.stage, 'AWAITING_REVIEW', JSON.stringify(staged.statusReason))
  assert.equal(await mover.live(), 0)
  const deals = staged.objects[2].importRun
  assert.equal(deals.status, 'AWAITING_CONFIRMATION')
  const { importRun } = await world.ask(
    ada,
    `query ($id: ID!) { importRun(id: $id) { plan { counts { created failed }
       rows(first: 3, outcome: [CREATED]) { totalCount nodes { rowNumber outcome changes { field after } related { path } } } } } }`,
    { id: deals.id },
  )
  assert.deepEqual(importRun.plan.counts, { created: 7, failed: 0 })
  assert.equal(importRun.plan.rows.nodes.length, 3)
  const changes = Object.fromEntries(
    importRun.plan.rows.nodes[0].changes.map(({ field, after: value }: Json) => [field, value]),
  )
  assert.equal(changes['custom.oldTitle'], 'Deal 1')

  const promoted = await mover.step('Promote')
  assert.equal(promoted.stage, 'READY_FOR_DELTA', JSON.stringify(promoted.verification))
  assert.equal(promoted.status, 'COMPLETED')
  assert.equal(promoted.counts.created, 23)
  assert.equal(promoted.counts.total, 23)
  assert.ok(promoted.verification.passed)
  assert.ok(promoted.objects.every(({ watermark }: Json) => watermark !== null))
  assert.equal(await mover.live(), 23)
  const { leads } = await world.ask(
    ada,
    '{ leads(first: 50) { totalCount nodes { title customFields { key value } contact { email } } } }',
  )
  assert.equal(leads.totalCount, 7)
  for (const lead of leads.nodes) {
    const n = /\d+/.exec(lead.title)?.[0]
    assert.equal(lead.customFields[0].value, `Deal ${n}`)
    assert.equal(lead.contact.email, `p${n}@example.com`)
  }

  // A change at the source comes with the next pass, and with it a proof in the place of the one before.
  const person = crm.records.people?.find(({ id }) => id === '3')
  assert.ok(person !== undefined)
  person.values.last = 'Changed'
  person.updatedAt = '2026-03-02T00:00:00.000Z'
  crm.now = '2026-03-03T00:00:00.000000Z'
  const synced = await mover.step('SyncDelta')
  assert.equal(synced.status, 'COMPLETED', JSON.stringify(synced.verification))
  assert.equal(synced.counts.updated, 1)
  assert.deepEqual(
    synced.objects.map(({ passes }: Json) => passes.length),
    [1, 2, 1, 1],
  )
  const events: Json[] = []
  const changed = new Set(['AWAITING_MAPPING', 'AWAITING_CONFIRMATION', 'COMPLETED'])
  while (changed.size > 0) {
    const { payload } = await socket.next(({ id, type }) => id === 'all' && type === 'next')
    const event = payload.data.tenantEvents
    assert.equal(event.runId, mover.id)
    events.push(event)
    changed.delete(event.to)
  }
  const read = events.flatMap((event) => (event.__typename === 'RunProgressed' ? [event.counts.read] : []))
  assert.ok(read.includes(23), JSON.stringify(read))
  socket.close()
})

test('the proof is a file, and the next one takes its place', async () => {
  const mover = await Mover.start(populated(2))
  const promoted = await mover.moved()
  assert.ok(promoted.availableActions.includes('DOWNLOAD'))
  const download = async (url: string) => {
    const response = await fetch(url)
    assert.equal(response.headers.get('content-type'), 'application/json')
    return (await response.json()) as Json
  }
  const report = await download(promoted.verification.fileUrl)
  assert.equal(report.migration, mover.id)
  assert.deepEqual(report.account, { id: 'acc1', name: 'Small', apiVersion: '1' })
  assert.equal(report.passed, true)
  assert.deepEqual(report.checks, promoted.verification.checks)
  assert.equal(promoted.files.length, 1)
  const [file] = promoted.files
  assert.deepEqual([file.kind, file.name, file.format, file.rowCount], ['REPORT', 'verification.json', 'JSON', null])
  assert.deepEqual(await download(file.url), report)

  await world.oracle.query(
    `update contact set last_name = 'Other' where tenant_id = $1 and external_id = '2' and kind = 'PERSON'`,
    [mover.ada.tenantId],
  )
  const verified = await mover.step('Verify')
  assert.equal(verified.verification.passed, false)
  assert.equal(
    (await download(promoted.verification.fileUrl)).passed,
    false,
    'an earlier link leads to the newest proof',
  )
  const stored = await mover.rows(
    "select storage_key from run_file where tenant_id = $1 and run_id = $2 and kind = 'REPORT'",
  )
  assert.equal(stored.length, 1)
})

test('nobody else sees a migration, and who may not migrate does nothing to it', async () => {
  const mover = await Mover.start(populated(1))
  await mover.create()
  const stranger = await world.actor(await world.tenant())
  assert.equal(await mover.look(stranger), null)
  assert.equal((await mover.refused('Stage', stranger))[0].code, 'NOT_FOUND')
  const theirs = await world.run(stranger, `{ integrationObjects(integrationId: "${mover.integration}") { name } }`)
  assert.equal(theirs.errors[0]?.extensions.code, 'NOT_FOUND')
  const others = permissions.filter((permission) => permission !== 'MIGRATION_RUN')
  const bob = await world.actor(mover.ada.tenantId, others, 'bob@example.com')
  for (const query of [
    `{ migration(id: "${mover.id}") { id } }`,
    `mutation { migrationStage(input: { migrationId: "${mover.id}", idempotencyKey: "x" }) { userErrors { code } } }`,
    `mutation { runCancel(input: { runId: "${mover.id}" }) { userErrors { code } } }`,
  ]) {
    const answer = await world.run(bob, query)
    assert.equal(answer.errors[0]?.extensions.permission, 'MIGRATION_RUN', answer.text)
  }
  // Who migrates needs no other permission to see it through.
  const carol = await world.actor(mover.ada.tenantId, ['MIGRATION_RUN'], 'carol@example.com')
  assert.deepEqual(await mover.refused('Stage', carol), [])
  await world.rested(mover.ada, mover.id)
  const staged = await mover.look(carol)
  assert.equal(staged.stage, 'AWAITING_REVIEW')
})

test('what is asked at the wrong time is refused with what to do instead', async () => {
  const mover = await Mover.start(populated(1))
  await mover.create()
  for (const name of ['Promote', 'Verify', 'SyncDelta']) {
    const [error] = await mover.refused(name)
    assert.equal(error.code, 'INVALID_STATE')
    assert.match(error.message, /AWAITING_MAPPING/)
  }
})

test('a migration pauses and goes on, and leaves nothing behind when it is canceled while it reads', async () => {
  const mover = await Mover.start(populated(4))
  await mover.create()
  // The service wants no requests in the middle of the people.
  mover.crm.pausesAt.set('4', new Date(Date.now() + 3_600_000))
  const waiting = await mover.step('Stage')
  assert.deepEqual(
    [waiting.status, waiting.stage, waiting.statusReason.code],
    ['PAUSED', 'EXTRACTING', 'WAITING_FOR_SERVICE'],
  )
  assert.ok((await mover.rows('select 1 from migration_page where tenant_id = $1 and run_id = $2')).length > 0)
  // A person's pause has no end of its own.
  assert.deepEqual((await mover.control('runPause')).userErrors, [])
  assert.equal((await mover.look()).statusReason.code, 'PAUSED_BY_PERSON')
  assert.deepEqual(await mover.rows('select resume_at from run where tenant_id = $1 and id = $2'), [
    { resume_at: null },
  ])
  mover.crm.pausesAt.set('4', new Date(Date.now() + 3_600_000))
  await mover.control('runResume')
  await world.rested(mover.ada, mover.id)
  assert.equal((await mover.look()).statusReason.code, 'WAITING_FOR_SERVICE')
  const keys = await mover.rows('select storage_key from migration_page where tenant_id = $1 and run_id = $2')
  await mover.control('runCancel')
  const canceled = await mover.look()
  assert.deepEqual([canceled.status, canceled.availableActions], ['CANCELED', []])
  await tidy(mover)
  assert.deepEqual(await left(mover), { pages: 0, rows: 0, open: 0, files: 0 })
  for (const { storage_key } of keys) {
    await assert.rejects(stat(join(world.dataDir, 'files', storage_key)), { code: 'ENOENT' })
  }
  assert.equal((await mover.refused('Stage'))[0].code, 'INVALID_STATE')
})

test('canceled in review, what was staged ends with it and what was read is kept no longer', async () => {
  const mover = await Mover.start(populated(1))
  await mover.create()
  const staged = await mover.step('Stage')
  assert.ok(staged.objects.every(({ importRun }: Json) => importRun.status === 'AWAITING_CONFIRMATION'))
  await mover.control('runCancel')
  const canceled = await mover.look()
  assert.equal(canceled.status, 'CANCELED')
  assert.ok(canceled.objects.every(({ importRun }: Json) => importRun.status === 'CANCELED'))
  await tidy(mover)
  assert.deepEqual(await left(mover), { pages: 0, rows: 0, open: 0, files: 0 })
  assert.equal(await mover.live(), 0)
})

test('canceled while it promotes, what was written stays and can be rolled back', async () => {
  const mover = await Mover.start(populated(2))
  await mover.create()
  const staged = await mover.step('Stage')
  const [, people, deals] = staged.objects.map(({ importRun }: Json) => importRun.id as string)
  const statusOf = async (id: string): Promise<string> =>
    (await world.ask(mover.ada, 'query ($id: ID!) { run(id: $id) { status } }', { id })).run.status
  // Nobody can write a lead, so the import of the deals stays in hand.
  const blocker = new pg.Client({ connectionString: world.db.ownerUrl, options: '-c search_path=portage' })
  await blocker.connect()
  try {
    await blocker.query('begin')
    await blocker.query('lock table lead in share mode')
    assert.deepEqual(await mover.refused('Promote'), [])
    while ((await statusOf(deals ?? '')) !== 'RUNNING') {
      await new Promise((resolve) => setImmediate(resolve))
    }
    await mover.control('runPause')
    assert.deepEqual([await statusOf(mover.id), await statusOf(deals ?? '')], ['PAUSED', 'PAUSED'])
    await mover.control('runResume')
    assert.ok(['QUEUED', 'RUNNING'].includes(await statusOf(deals ?? '')))
    await mover.control('runCancel')
  } finally {
    await blocker.query('rollback')
    await blocker.end()
  }
  assert.equal(await world.rested(mover.ada, mover.id), 'CANCELED')
  const canceled = await mover.look()
  assert.equal(canceled.status, 'CANCELED')
  assert.equal(canceled.counts.created, 4)
  assert.equal(canceled.counts.unprocessed, 4)
  assert.equal(await mover.live(), 4)
  assert.ok(canceled.availableActions.includes('ROLL_BACK'))
  assert.equal(await statusOf(people ?? ''), 'COMPLETED')
  assert.equal(await statusOf(deals ?? ''), 'CANCELED')
  assert.deepEqual(await mover.rollBack(), { status: 'COMPLETED', counts: { reverted: 4, kept: 0 } })
  assert.equal(await mover.live(), 0)
})

test('a whole migration is rolled back against its load order, also after a pass for changes', async () => {
  const mover = await Mover.start(populated(2))
  await mover.create()
  await mover.step('Stage')
  // Companies are mapped once more: their import is younger than those of what refers to them.
  const { objects: before } = await mover.look()
  const { migrationMappingUpdate } = await world.ask(
    mover.ada,
    'mutation ($input: MigrationMappingUpdateInput!) { migrationMappingUpdate(input: $input) { userErrors { message } } }',
    { input: { migrationId: mover.id, object: 'companies', mapping: before[0].mapping.columns } },
  )
  assert.deepEqual(migrationMappingUpdate.userErrors, [])
  await mover.step('Stage')
  const promoted = await mover.step('Promote')
  assert.equal(promoted.status, 'COMPLETED', JSON.stringify(promoted.verification))
  const person = mover.crm.records.people?.[0]
  assert.ok(person !== undefined)
  person.values.last = 'Changed'
  person.updatedAt = '2026-03-02T00:00:00.000Z'
  mover.crm.remove('calls', '2', '2026-03-02T00:00:00.000Z')
  mover.crm.now = '2026-03-03T00:00:00.000000Z'
  const synced = await mover.step('SyncDelta')
  assert.deepEqual([synced.counts.updated, synced.counts.deleted], [1, 1])
  // The same field once more, in a pass of its own.
  person.values.last = 'Changed again'
  person.updatedAt = '2026-03-04T00:00:00.000Z'
  mover.crm.now = '2026-03-05T00:00:00.000000Z'
  assert.equal((await mover.step('SyncDelta')).counts.updated, 2)
  const { rollbackPreview } = await world.ask(
    mover.ada,
    'query ($id: ID!) { rollbackPreview(runId: $id) { willRestore willDelete conflicts } }',
    { id: mover.id },
  )
  assert.equal(rollbackPreview.conflicts, 0)
  const undone = await mover.rollBack(mover.id, 'ABORT')
  assert.deepEqual([undone.status, undone.counts.kept], ['COMPLETED', 0])
  assert.equal(await mover.live(), 0)
  const over = await mover.look()
  assert.deepEqual([over.status, over.stage], ['ROLLED_BACK', 'COMPLETED'])
  assert.equal((await mover.refused('SyncDelta'))[0].code, 'INVALID_STATE')
  await tidy(mover)
  assert.deepEqual((await left(mover)).rows, 0)
})

test('one object is rolled back by itself; a later pass brings what has changed, and the proof tells of the rest', async () => {
  const mover = await Mover.start(populated(2))
  const promoted = await mover.moved()
  const calls = promoted.objects[3].importRun.id
  assert.deepEqual(await mover.rollBack(calls), { status: 'COMPLETED', counts: { reverted: 2, kept: 0 } })
  const after = await mover.look()
  assert.deepEqual([after.status, after.stage], ['COMPLETED', 'READY_FOR_DELTA'])
  assert.equal(await mover.live(), 6)
  const call = mover.crm.records.calls?.[0]
  assert.ok(call !== undefined)
  call.updatedAt = '2026-03-02T00:00:00.000Z'
  mover.crm.now = '2026-03-03T00:00:00.000000Z'
  const synced = await mover.step('SyncDelta')
  assert.equal(await mover.live(), 7)
  assert.equal(synced.verification.passed, false)
  assert.ok(synced.verification.checks.some(({ object, passed }: Json) => object === 'calls' && !passed))
})

test('all or nothing undoes the migration when a row of it fails', async () => {
  const crm = populated(2)
  const bad = crm.records.people?.[1]
  assert.ok(bad !== undefined)
  bad.values.mail = 'not an address'
  const mover = await Mover.start(crm)
  await mover.create({ options: { allOrNothing: true } })
  await mover.step('Stage')
  assert.deepEqual(await mover.refused('Promote'), [])
  for (;;) {
    const status = await world.rested(mover.ada, mover.id)
    if (status.startsWith('ROLLED_BACK')) {
      break
    }
    assert.ok(['COMPLETED_WITH_ERRORS', 'ROLLING_BACK'].includes(status), status)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal((await mover.look()).status, 'ROLLED_BACK')
  assert.equal(await mover.live(), 0)
})

const setSchedule = `mutation ($input: MigrationScheduleInput!) { migrationScheduleSet(input: $input) {
  migration { schedule timeZone nextRunAt scheduleDisabled { code } } userErrors { code field } } }`

test('changes are read by themselves, once for each due time, and not for whoever may not any more', async () => {
  const mover = await Mover.start(populated(1))
  await mover.moved()
  const set = async (input: object, actor = mover.ada): Promise<Json> =>
    (await world.ask(actor, setSchedule, { input: { migrationId: mover.id, ...input } })).migrationScheduleSet
  assert.deepEqual((await set({ schedule: 'soon' })).userErrors, [{ code: 'INVALID_INPUT', field: ['schedule'] }])
  assert.deepEqual((await set({ schedule: '0 6 * * *', timeZone: 'Mars' })).userErrors, [
    { code: 'INVALID_INPUT', field: ['timeZone'] },
  ])
  const { migration } = await set({ schedule: '0 6 * * *', timeZone: 'Europe/Berlin' })
  assert.equal(migration.schedule, '0 6 * * *')
  const due = new Date(migration.nextRunAt)
  assert.equal(
    new Intl.DateTimeFormat('en', { timeZone: 'Europe/Berlin', timeStyle: 'short', hour12: false }).format(due),
    '06:00',
  )
  const lanes = await Promise.all(
    [1, 2, 3].map(() => Lane.open(laneOptions(world.db.workerUrl, 'portage test schedules'))),
  )
  const look = async (now: Date): Promise<number> =>
    (await Promise.all(lanes.map((lane) => startDueMigrations(lane, { now })))).reduce((a, b) => a + b)
  const passes = async () =>
    (await mover.rows('select pass from run_migration where tenant_id = $1 and run_id = $2'))[0].pass
  try {
    assert.equal(await look(new Date(due.getTime() - 1)), 0)
    // Missed for three days: made up for once, by one of those who look at once.
    const late = new Date(due.getTime() + 3 * 86_400_000)
    mover.crm.now = '2026-03-03T00:00:00.000000Z'
    assert.equal(await look(late), 1)
    assert.equal(await look(late), 0)
    await world.rested(mover.ada, mover.id)
    assert.equal(await passes(), 1)
    const next = new Date((await mover.look()).nextRunAt)
    assert.ok(next > late && next.getTime() - late.getTime() <= 25 * 3_600_000)

    // A sign-in that has ended disables it, and says so; set again, it goes on.
    await world.oracle.query("update integration set status = 'REAUTHORIZATION_REQUIRED' where tenant_id = $1", [
      mover.ada.tenantId,
    ])
    assert.equal(await look(next), 1)
    const disabled = await mover.look()
    assert.deepEqual([disabled.nextRunAt, disabled.scheduleDisabled.code], [null, 'INTEGRATION_NOT_CONNECTED'])
    assert.equal(await passes(), 1)
    await world.oracle.query("update integration set status = 'CONNECTED' where tenant_id = $1", [mover.ada.tenantId])

    // Of somebody who has left, nothing is begun.
    const dora = await world.actor(mover.ada.tenantId, ['MIGRATION_RUN'], 'dora@example.com')
    const again = (await set({ schedule: '0 6 * * *' }, dora)).migration
    assert.deepEqual([again.timeZone, again.scheduleDisabled], ['UTC', null])
    await world.ask(
      mover.ada,
      'mutation ($input: MemberSaveInput!) { memberSave(input: $input) { userErrors { code } } }',
      { input: { email: 'dora@example.com', active: false } },
    )
    assert.equal(await look(new Date(again.nextRunAt)), 1)
    assert.equal((await mover.look()).scheduleDisabled.code, 'OWNER_NOT_ALLOWED')
    assert.equal(await passes(), 1)

    const off = (await set({})).migration
    assert.deepEqual([off.schedule, off.nextRunAt, off.scheduleDisabled], [null, null, null])
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()))
  }
})

/** What housekeeping does for the tenant. */
async function tidy(mover: Mover): Promise<void> {
  const lane = await Lane.open(laneOptions(world.db.workerUrl, 'portage test house'))
  try {
    await tidyMigrations(
      lane,
      new FileRemover(localFileStore(join(world.dataDir, 'files')), undefined),
      mover.ada.tenantId,
    )
  } finally {
    await lane.close()
  }
}

/** What of a migration is still kept. */
async function left(mover: Mover): Promise<Json> {
  const [row] = await mover.rows(
    `select (select count(*) from migration_page where tenant_id = $1 and run_id = $2)::int as pages,
       (select count(*) from migration_row where tenant_id = $1 and run_id = $2)::int as rows,
       (select count(*) from run where tenant_id = $1 and migration_run_id = $2 and finished_at is null)::int as open,
       (select count(*) from source_file where tenant_id = $1 and expires_at > now())::int as files`,
  )
  return row
}
