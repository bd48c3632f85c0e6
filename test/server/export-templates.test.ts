import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { eraseTenant } from '../../src/access/erasure.js'
import { type Permission, permissions } from '../../src/access/permissions.js'
import { Lane } from '../../src/db/lane.js'
import { decodeId } from '../../src/ids.js'
import { laneOptions } from '../../src/jobs/context.js'
import { startDueExports } from '../../src/jobs/schedules.js'
import { EXPORT_TEMPLATES_MAX } from '../../src/limits.js'
import { type Actor, type Json, World } from './world.js'

let world: World
const lanes: Lane[] = []

before(async () => {
  world = await World.start({ worker: false })
  for (const name of ['a', 'b', 'c']) {
    lanes.push(await Lane.open(laneOptions(world.db.workerUrl, `portage test ${name}`)))
  }
})
after(async () => {
  await Promise.all(lanes.map((lane) => lane.close()))
  await world.close()
})

const fields = `id name recordType schedule timeZone filter columns format nextRunAt createdAt owner disabledReason { code message }
  lastRun { id status statusReason { code message } createdBy counts { total } }`

async function save(actor: Actor, input: object): Promise<Json> {
  const { exportTemplateSave } = await world.ask(
    actor,
    `mutation ($input: ExportTemplateSaveInput!) { exportTemplateSave(input: $input) {
       exportTemplate { ${fields} } userErrors { code field message } } }`,
    { input: { recordType: 'CONTACT', ...input } },
  )
  return exportTemplateSave
}

async function saved(actor: Actor, input: object): Promise<Json> {
  const { exportTemplate, userErrors } = await save(actor, input)
  assert.deepEqual(userErrors, [])
  return exportTemplate
}

async function refused(actor: Actor, input: object): Promise<readonly [string, readonly string[] | null]> {
  const { exportTemplate, userErrors } = await save(actor, input)
  assert.equal(exportTemplate, null)
  return [userErrors[0].code, userErrors[0].field]
}

async function templates(actor: Actor): Promise<Json[]> {
  return (await world.ask(actor, `{ exportTemplates { ${fields} } }`)).exportTemplates
}

async function remove(actor: Actor, id: string): Promise<Json> {
  const { exportTemplateDelete } = await world.ask(
    actor,
    'mutation ($input: IdInput!) { exportTemplateDelete(input: $input) { deletedId userErrors { code } } }',
    { input: { id } },
  )
  return exportTemplateDelete
}

async function exportWith(actor: Actor, templateId: string, input: object = {}): Promise<Json> {
  const { exportCreate } = await world.ask(
    actor,
    'mutation ($input: ExportCreateInput!) { exportCreate(input: $input) { exportRun { id format } userErrors { code field message } } }',
    { input: { recordType: 'CONTACT', templateId, idempotencyKey: randomBytes(8).toString('hex'), ...input } },
  )
  return exportCreate
}

async function specOf(run: Json): Promise<Json> {
  const { rows } = await world.oracle.query('select spec from run_export where run_id = $1', [decodeId('run', run.id)])
  return rows[0].spec
}

/** Makes it due at this moment. */
async function dueAt(template: Json, moment: string): Promise<void> {
  await world.oracle.query('update export_template set next_run_at = $2 where id = $1', [
    decodeId('exportTemplate', template.id),
    moment,
  ])
}

async function runsOf(template: Json): Promise<number> {
  const { rows } = await world.oracle.query('select count(*)::int as n from run_export where template_id = $1', [
    decodeId('exportTemplate', template.id),
  ])
  return rows[0].n
}

async function member(tenantId: string, email: string, allowed: readonly Permission[] = permissions): Promise<Actor> {
  const boss = await world.actor(tenantId, permissions, 'boss@example.com')
  await narrow(boss, email, { permissions: null })
  return world.actor(tenantId, allowed, email)
}

async function narrow(boss: Actor, email: string, input: object): Promise<void> {
  const { memberSave } = await world.ask(
    boss,
    'mutation ($input: MemberSaveInput!) { memberSave(input: $input) { userErrors { message } } }',
    { input: { email, ...input } },
  )
  assert.deepEqual(memberSave.userErrors, [])
}

const only = (lane: Lane | undefined): Lane => {
  assert.ok(lane)
  return lane
}

test('a template is kept for the tenant, changed, used and deleted', async () => {
  const tenantId = await world.tenant()
  const ada = await world.actor(tenantId)
  const template = await saved(ada, {
    name: ' Open houses ',
    filter: { and: [{ where: { field: 'city', operator: 'EQ', value: 'Austin' } }] },
    columns: [{ field: 'firstName', header: 'Given' }, { field: 'city' }],
    format: { format: 'NDJSON' },
  })
  assert.deepEqual(
    [template.name, template.columns, template.format, template.schedule, template.nextRunAt, template.lastRun],
    ['Open houses', ['firstName', 'city'], 'NDJSON', null, null, null],
  )
  assert.deepEqual(JSON.parse(template.filter), {
    and: [{ where: { field: 'city', operator: 'EQ', value: 'Austin' } }],
  })
  await saved(ada, { name: 'Everything' })
  const colleague = await world.actor(tenantId, ['EXPORT_RUN'], 'bob@example.com')
  assert.deepEqual(
    (await templates(colleague)).map(({ name }) => name),
    ['Everything', 'Open houses'],
  )
  const { node } = await world.ask(
    ada,
    'query ($id: ID!) { node(id: $id) { id ... on ExportTemplate { name owner } } }',
    { id: template.id },
  )
  assert.deepEqual(node, { id: template.id, name: 'Open houses', owner: 'ada@example.com' })

  const changed = await saved(colleague, { id: template.id, name: 'Open houses', columns: [{ field: 'city' }] })
  assert.deepEqual(
    [changed.id, changed.filter, changed.format, changed.owner, changed.createdAt],
    [template.id, null, 'CSV', 'bob@example.com', template.createdAt],
  )
  const { exportRun } = await exportWith(ada, template.id)
  assert.deepEqual(await remove(ada, template.id), { deletedId: template.id, userErrors: [] })
  assert.deepEqual(await remove(ada, template.id), { deletedId: null, userErrors: [{ code: 'NOT_FOUND' }] })
  assert.equal((await exportWith(ada, template.id)).userErrors[0].code, 'NOT_FOUND')
  // Its exports stay, and its name is free.
  const { run } = await world.ask(ada, 'query ($id: ID!) { run(id: $id) { status } }', { id: exportRun.id })
  assert.equal(run.status, 'QUEUED')
  await saved(ada, { name: 'open HOUSES' })
})

test('what is said with an export goes before what its template says, format member by member', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, {
    name: 'Base',
    filter: { where: { field: 'city', operator: 'EQ', value: 'Austin' } },
    orderBy: [{ field: 'city' }],
    columns: [{ field: 'city' }],
    format: { delimiter: ';', nullText: '-' },
  })
  const plain = await specOf((await exportWith(ada, template.id)).exportRun)
  assert.deepEqual(
    [
      plain.columns.map(({ field }: Json) => field),
      plain.format.delimiter,
      plain.format.nullText,
      plain.filter.where.value,
    ],
    [['city'], ';', '-', 'Austin'],
  )
  assert.match(plain.fileName, /^Base \d{4}-\d\d-\d\d\.csv$/)
  const input = { columns: [{ field: 'email' }], format: { nullText: 'none' }, fileName: 'mine' }
  const spec = await specOf((await exportWith(ada, template.id, input)).exportRun)
  assert.deepEqual(
    [spec.columns[0].field, spec.format.delimiter, spec.format.nullText, spec.orderBy[0].field, spec.fileName],
    ['email', ';', 'none', 'city', 'mine.csv'],
  )
  const other = await exportWith(ada, template.id, { recordType: 'LEAD' })
  assert.deepEqual([other.userErrors[0].code, other.userErrors[0].field], ['INVALID_INPUT', ['templateId']])
  // By whoever may not see what the template names: it is the template that does not fit.
  const eve = await world.actor(ada.tenantId, ['EXPORT_RUN'], 'eve@example.com')
  const secret = await saved(ada, { name: 'Secret', columns: [{ field: 'email' }] })
  const hidden = (await exportWith(eve, secret.id)).userErrors[0]
  assert.deepEqual([hidden.code, hidden.field], ['INVALID_INPUT', ['templateId']])
  assert.match(hidden.message, /Secret.*email.*PII_READ/)
})

test('a filter of a template shows values of sensitive fields only to whoever may see them', async () => {
  const ada = await world.actor(await world.tenant())
  const eve = await world.actor(ada.tenantId, ['EXPORT_RUN'], 'eve@example.com')
  const filter = {
    or: [
      { where: { field: 'email', operator: 'EQ', value: 'grace@example.com' } },
      { not: { where: { field: 'city', operator: 'IN', values: ['Austin'] } } },
    ],
  }
  await saved(ada, { name: 'Masked', filter })
  const [open] = await templates(ada)
  assert.deepEqual(JSON.parse(open?.filter), filter)
  const [masked] = await templates(eve)
  assert.doesNotMatch(masked?.filter, /grace/)
  assert.match(masked?.filter, /Austin/)
})

test('what can never be right is refused when the template is saved', async () => {
  const ada = await world.actor(await world.tenant())
  const kept = await saved(ada, { name: 'Taken' })
  const neighbours = await saved(await world.actor(await world.tenant()), { name: 'Taken' })
  assert.deepEqual(await refused(ada, { name: 'TAKEN' }), ['INVALID_INPUT', ['name']])
  assert.deepEqual(await refused(ada, { name: ' ' }), ['INVALID_INPUT', ['name']])
  assert.deepEqual(await refused(ada, { name: 'x', id: neighbours.id }), ['NOT_FOUND', ['id']])
  assert.deepEqual(await refused(ada, { name: 'x', id: kept.id, recordType: 'LEAD' }), [
    'INVALID_INPUT',
    ['recordType'],
  ])
  assert.deepEqual(await refused(ada, { name: 'x', schedule: '61 * * * *' }), ['INVALID_INPUT', ['schedule']])
  assert.deepEqual(await refused(ada, { name: 'x', schedule: '* * * * *' }), ['INVALID_INPUT', ['schedule']])
  assert.deepEqual(await refused(ada, { name: 'x', schedule: '0 6 * * *', timeZone: 'Mars' }), [
    'INVALID_INPUT',
    ['timeZone'],
  ])
  assert.deepEqual(await refused(ada, { name: 'x', columns: [{ field: 'shoe' }] }), ['UNKNOWN_FIELD', ['columns', '0']])
  assert.deepEqual(await remove(ada, neighbours.id), { deletedId: null, userErrors: [{ code: 'NOT_FOUND' }] })
  const eve = await world.actor(ada.tenantId, ['EXPORT_RUN'], 'eve@example.com')
  assert.deepEqual(await refused(eve, { name: 'x', columns: [{ field: 'email' }] }), [
    'INVALID_INPUT',
    ['columns', '0', 'field'],
  ])
})

test('a tenant has so many templates and no more', async () => {
  const ada = await world.actor(await world.tenant())
  const first = await saved(ada, { name: 'first' })
  await world.oracle.query(
    `insert into export_template (tenant_id, id, record_type, name, order_by, format, owner, owner_permissions)
     select $1, gen_random_uuid(), 'lead', 't' || n, '[]', '{}', 'x', '{}' from generate_series(2, $2::int) n`,
    [ada.tenantId, EXPORT_TEMPLATES_MAX],
  )
  assert.deepEqual(await refused(ada, { name: 'one more' }), ['LIMIT_EXCEEDED', null])
  await saved(ada, { id: first.id, name: 'first, changed' })
  await remove(ada, first.id)
  await saved(ada, { name: 'one more' })
})

test('a due time is one export, however many workers look, in spring and in autumn', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'Nightly', schedule: '30 2 * * *', timeZone: 'Europe/Berlin' })
  assert.ok(Date.parse(template.nextRunAt) > Date.now())
  let runs = 0
  for (const [due, now, next] of [
    ['2026-03-28T01:30:00Z', '2026-03-28T01:30:00.500Z', '2026-03-29T01:30:00.000Z'],
    // Half past two is not there on this day: it is half past three.
    ['2026-03-29T01:30:00Z', '2026-03-29T01:30:01Z', '2026-03-30T00:30:00.000Z'],
    // Half past two comes twice on this day: the second one is none.
    ['2026-10-25T00:30:00Z', '2026-10-25T00:30:01Z', '2026-10-26T01:30:00.000Z'],
    ['2026-10-25T00:30:00Z', '2026-10-25T01:10:00Z', '2026-10-26T01:30:00.000Z'],
  ] as const) {
    await dueAt(template, due)
    await startDueExports(only(lanes[0]), { now: new Date(Date.parse(due) - 1) })
    assert.equal(await runsOf(template), runs, due)
    await Promise.all(lanes.map((lane) => startDueExports(lane, { now: new Date(now) })))
    assert.equal(await runsOf(template), ++runs, due)
    const [shown] = await templates(ada)
    assert.equal(shown?.nextRunAt, next)
    assert.deepEqual([shown?.lastRun.status, shown?.lastRun.createdBy], ['QUEUED', 'ada@example.com'])
  }
})

test('what was missed while nothing ran is made up for by one export', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'Hourly', schedule: '0 * * * *', timeZone: 'Europe/Berlin' })
  await dueAt(template, '2026-10-10T00:00:00Z')
  const now = new Date('2026-10-24T12:20:00Z')
  await startDueExports(only(lanes[0]), { now })
  await startDueExports(only(lanes[1]), { now })
  assert.equal(await runsOf(template), 1)
  assert.equal((await templates(ada))[0]?.nextRunAt, '2026-10-24T13:00:00.000Z')
  const { rows } = await world.oracle.query('select spec from run_export where template_id = $1', [
    decodeId('exportTemplate', template.id),
  ])
  assert.equal(rows[0].spec.fileName, 'Hourly 2026-10-24.csv')
})

test('a worker that dies in the middle of it leaves a due time to the next one', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'Fragile', schedule: '0 6 * * *' })
  await dueAt(template, '2026-11-20T06:00:00Z')
  const now = new Date('2026-11-20T06:00:05Z')
  const dying = await Lane.open(laneOptions(world.db.workerUrl, 'portage test dying'))
  // It gets as far as the run and waits there.
  await world.oracle.query('begin')
  await world.oracle.query('lock table run_export in exclusive mode')
  const broken = assert.rejects(startDueExports(dying, { now }))
  for (let waits = 0; waits === 0; ) {
    const { rows } = await world.oracle.query(
      `select pid from pg_stat_activity where application_name = 'portage test dying' and wait_event_type = 'Lock'`,
    )
    waits = rows.length
  }
  await world.oracle.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'portage test dying'",
  )
  await broken
  await world.oracle.query('rollback')
  await dying.close()
  assert.equal(await runsOf(template), 0)
  await Promise.all(lanes.map((lane) => startDueExports(lane, { now })))
  assert.equal(await runsOf(template), 1)
})

test('a schedule exports as its owner, with what the owner may do now', async () => {
  const tenantId = await world.tenant()
  const mia = await member(tenantId, 'mia@example.com')
  const boss = await world.actor(tenantId, permissions, 'boss@example.com')
  const template = await saved(mia, { name: 'Hers', schedule: '0 6 * * *' })
  const named = await saved(mia, { name: 'Named', columns: [{ field: 'email' }], schedule: '0 6 * * *' })
  const start = async (day: string): Promise<Json[]> => {
    await dueAt(template, `${day}T06:00:00Z`)
    await dueAt(named, `${day}T06:00:00Z`)
    await startDueExports(only(lanes[0]), { now: new Date(`${day}T06:00:01Z`) })
    return templates(boss)
  }
  const [hers] = await start('2026-11-01')
  assert.equal(hers?.lastRun.createdBy, 'mia@example.com')
  const whole = await specOf(hers?.lastRun)
  assert.ok(whole.columns.some(({ field }: Json) => field === 'email'))

  await narrow(boss, 'mia@example.com', { permissions: ['EXPORT_RUN', 'RECORD_READ'] })
  const [narrowed, failing] = await start('2026-11-02')
  const less = await specOf(narrowed?.lastRun)
  assert.ok(!less.columns.some(({ field }: Json) => field === 'email'))
  assert.ok(less.leftOut.includes('email'))
  // What it names cannot be had any more: it says so, and tries again when it is due.
  assert.deepEqual([failing?.name, failing?.lastRun.status], ['Named', 'FAILED'])
  assert.equal(failing?.lastRun.statusReason.code, 'INVALID_INPUT')
  assert.match(failing?.lastRun.statusReason.message, /email.*PII_READ/)
  assert.deepEqual([failing?.nextRunAt, failing?.disabledReason], ['2026-11-03T06:00:00.000Z', null])

  await narrow(boss, 'mia@example.com', { permissions: ['RECORD_READ'] })
  const [ended] = await start('2026-11-03')
  assert.deepEqual([ended?.nextRunAt, ended?.disabledReason.code], [null, 'OWNER_NOT_ALLOWED'])
  assert.deepEqual([ended?.lastRun.status, ended?.lastRun.statusReason.code], ['FAILED', 'OWNER_NOT_ALLOWED'])
  const before = await runsOf(template)
  await startDueExports(only(lanes[0]), { now: new Date('2027-11-03T06:00:01Z') })
  assert.equal(await runsOf(template), before)

  // Whoever saves it again is its owner, and it goes on.
  const again = await saved(boss, { id: template.id, name: 'Hers', schedule: '0 6 * * *' })
  assert.deepEqual([again.owner, again.disabledReason], ['boss@example.com', null])
  assert.ok(Date.parse(again.nextRunAt) > Date.now())
})

test('a schedule ends with its owner: an inactive member, a revoked key', async () => {
  const tenantId = await world.tenant()
  const mia = await member(tenantId, 'mia@example.com')
  const boss = await world.actor(tenantId, permissions, 'boss@example.com')
  const { apiKeyCreate } = await world.ask(
    boss,
    'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { secret apiKey { id } userErrors { message } } }',
    { input: { name: 'nightly', permissions: ['EXPORT_RUN'] } },
  )
  const key: Actor = { tenantId, token: apiKeyCreate.secret }
  const one = await saved(mia, { name: 'a', schedule: '0 6 * * *' })
  const other = await saved(key, { name: 'b', schedule: '0 6 * * *' })
  const start = async (day: string): Promise<Json[]> => {
    await dueAt(one, `${day}T06:00:00Z`)
    await dueAt(other, `${day}T06:00:00Z`)
    await startDueExports(only(lanes[0]), { now: new Date(`${day}T06:00:01Z`) })
    return templates(boss)
  }
  assert.deepEqual(
    (await start('2026-11-01')).map(({ lastRun }) => lastRun.status),
    ['QUEUED', 'QUEUED'],
  )
  await narrow(boss, 'mia@example.com', { active: false })
  await world.ask(
    boss,
    'mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { userErrors { code } } }',
    { input: { id: apiKeyCreate.apiKey.id } },
  )
  assert.deepEqual(
    (await start('2026-11-02')).map(({ nextRunAt, disabledReason }) => [nextRunAt, disabledReason?.code]),
    [
      [null, 'OWNER_NOT_ALLOWED'],
      [null, 'OWNER_NOT_ALLOWED'],
    ],
  )
})

test('a tenant that is being erased exports nothing more, and its templates go with it', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'Last', schedule: '0 6 * * *' })
  await dueAt(template, '2026-11-20T06:00:00Z')
  await world.oracle.query('update tenant set erasing_at = now() where id = $1', [ada.tenantId])
  await startDueExports(only(lanes[0]), { now: new Date('2026-11-20T06:00:05Z') })
  assert.equal(await runsOf(template), 0)
  const { deleted } = await eraseTenant(world.db.ownerUrl, ada.tenantId)
  assert.equal(deleted['export_template'], 1)
})
