/** Webhooks as their receivers and those who manage them see them. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { permissions } from '../../src/access/permissions.js'
import { verifySignature } from '../../src/adapters/webhooks/sign.js'
import { portage } from '../../src/cli/portage.js'
import { Hidden } from '../../src/hidden.js'
import { decodeId } from '../../src/ids.js'
import { WEBHOOK_RECORDS_MAX, WEBHOOKS_MAX } from '../../src/limits.js'
import { fakeIo } from '../cli/fake-api.js'
import { HookSink, type ReceivedHook } from '../helpers/sinks.js'
import { type Actor, dataOf, type Json, World } from '../server/world.js'

let world: World
let sink: HookSink
let ada: Actor
let paths = 0
/** Where the webhooks of this test go. */
let path = ''

before(async () => {
  sink = await HookSink.start()
  world = await World.start({ settings: { PORTAGE_WEBHOOK_ORIGINS: sink.origin, PORTAGE_CHUNK_ROWS: '5000' } })
})
after(async () => {
  await world.close()
  await sink.close()
})
beforeEach(async () => {
  ada = await world.actor(await world.tenant())
  path = `/hooks/${(paths += 1)}`
  sink.answers.length = 0
})

const saving = `mutation ($input: WebhookSaveInput!) { webhookSave(input: $input) {
  webhook { id url events disabledAt lastDelivery { id } } secret userErrors { code field message } } }`
const log = `query ($id: ID!) { node(id: $id) { ... on Webhook { disabledAt
  lastDelivery { id status succeeded attempts error }
  deliveries { nodes { id event runId at status succeeded attempts error nextAttemptAt } pageInfo { hasNextPage endCursor } } } } }`

interface Saved {
  readonly id: string
  readonly secret: Hidden
}

async function webhook(events: readonly string[], actor = ada, at = path): Promise<Saved> {
  const { webhookSave } = await world.ask(actor, saving, { input: { url: `${sink.origin}${at}`, events } })
  assert.deepEqual(webhookSave.userErrors, [])
  return { id: webhookSave.webhook.id, secret: new Hidden(webhookSave.secret) }
}

const here = (all: readonly ReceivedHook[], at = path): readonly ReceivedHook[] =>
  all.filter((hook) => hook.path === at)

async function received(n: number, at = path): Promise<readonly ReceivedHook[]> {
  return here(await sink.hooks.until((all) => here(all, at).length >= n), at)
}

const bodyOf = (hook: ReceivedHook | undefined): Json => JSON.parse(hook?.body ?? 'null')
const idOf = (hook: ReceivedHook | undefined): string => String(hook?.headers['webhook-id'])

function signed(hook: ReceivedHook | undefined, secret: Hidden): boolean {
  assert.ok(hook !== undefined)
  const headers = Object.fromEntries(Object.entries(hook.headers).map(([name, value]) => [name, String(value)]))
  return verifySignature(headers, hook.body, secret, Math.floor(Date.now() / 1000))
}

/** The log, as soon as it says what is waited for. */
async function logUntil(id: string, enough: (webhook: Json) => boolean): Promise<Json> {
  for (const started = performance.now(); ; ) {
    const { node } = await world.ask(ada, log, { id })
    if (enough(node)) {
      return node
    }
    assert.ok(performance.now() - started < 20_000, JSON.stringify(node))
  }
}

const hurry = (): Promise<unknown> =>
  world.oracle.query(
    'update webhook_delivery set next_attempt_at = now() where tenant_id = $1 and next_attempt_at is not null',
    [ada.tenantId],
  )

function people(n: number, mark = 'p'): string {
  return `E-mail\n${Array.from({ length: n }, (_, i) => `${mark}${i}@example.com\n`).join('')}`
}

test('a run is told when it starts, completes, and is rolled back, signed and without values', async () => {
  const { id, secret } = await webhook(['RUN_STARTED', 'RUN_COMPLETED', 'RUN_ROLLED_BACK'])
  const runId = await world.import(
    ada,
    'CONTACT',
    'E-mail\ncanary@example.com\nnone\n',
    {},
    { mapping: [{ column: 'E-mail', field: 'email' }] },
  )
  const started = await received(2)
  assert.ok(started.every((hook) => signed(hook, secret)))
  assert.ok(started.every((hook) => !signed(hook, new Hidden(`whsec_${Buffer.alloc(32).toString('base64')}`))))
  const completed = bodyOf(started.find((hook) => bodyOf(hook).type === 'RUN_COMPLETED'))
  assert.deepEqual(
    {
      ...completed.data.run.counts,
      id: completed.data.run.id,
      status: completed.data.run.status,
      recordType: completed.data.run.recordType,
    },
    {
      total: 2,
      read: 2,
      created: 1,
      updated: 0,
      unchanged: 0,
      skipped: 0,
      failed: 1,
      deleted: 0,
      unprocessed: 0,
      reverted: 0,
      kept: 0,
      id: runId,
      status: 'COMPLETED_WITH_ERRORS',
      recordType: 'CONTACT',
    },
  )
  assert.match(completed.tenantId, /^tnt_/)
  const { runRollback } = await world.ask(
    ada,
    'mutation ($id: ID!) { runRollback(input: { runId: $id, idempotencyKey: "back" }) { rollbackRun { id } } }',
    { id: runId },
  )
  const all = await received(5)
  assert.deepEqual(
    all.map((hook) => `${bodyOf(hook).type} ${bodyOf(hook).data.run.id === runId ? 'import' : 'rollback'}`).toSorted(),
    [
      'RUN_COMPLETED import',
      'RUN_COMPLETED rollback',
      'RUN_ROLLED_BACK import',
      'RUN_STARTED import',
      'RUN_STARTED rollback',
    ],
  )
  assert.equal(
    bodyOf(all.find((hook) => bodyOf(hook).data.run.id === runRollback.rollbackRun.id)).data.run.rollbackOfRunId,
    runId,
  )
  assert.doesNotMatch(all.map(({ body }) => body).join(), /canary|people\.csv/)
  const node = await logUntil(id, (shown) => shown.deliveries.nodes.every(({ succeeded }: Json) => succeeded))
  assert.equal(node.deliveries.nodes.length, 5)
  assert.deepEqual(new Set(node.deliveries.nodes.map((one: Json) => one.id)), new Set(all.map(idOf)))
})

test('what fails is tried again with the same id and body, and logged', async () => {
  const { id, secret } = await webhook(['RUN_COMPLETED'])
  sink.answers.push(500, 302, 204)
  sink.location = `${sink.origin}/elsewhere`
  const runId = await world.import(ada, 'CONTACT', people(1))
  await received(1)
  const failed = await logUntil(id, (shown) => shown.lastDelivery?.attempts === 1)
  const [first] = failed.deliveries.nodes
  assert.deepEqual(
    [first.event, first.runId, first.status, first.succeeded, first.error],
    ['RUN_COMPLETED', runId, 500, false, 'HTTP_500'],
  )
  const pause = (Date.parse(first.nextAttemptAt) - Date.parse(first.at)) / 1000
  assert.ok(pause >= 4.4 && pause <= 5.6, `the second attempt comes after ${pause} s`)
  await hurry()
  await received(2)
  await logUntil(id, (shown) => shown.lastDelivery.error === 'HTTP_302')
  await hurry()
  const all = await received(3)
  const done = await logUntil(id, (shown) => shown.lastDelivery.succeeded)
  assert.deepEqual(
    done.deliveries.nodes.map(({ attempts, nextAttemptAt, error }: Json) => [attempts, nextAttemptAt, error]),
    [[3, null, null]],
  )
  assert.equal(new Set(all.map(idOf)).size, 1)
  assert.equal(new Set(all.map(({ body }) => body)).size, 1)
  assert.ok(all.every((hook) => signed(hook, secret)))
  assert.equal(here(sink.hooks.all, '/elsewhere').length, 0, 'nobody follows a redirect')
})

test('a delivery can be replayed, by its own tenant alone', async () => {
  const { id } = await webhook(['RUN_COMPLETED'])
  await world.import(ada, 'CONTACT', people(1))
  await received(1)
  const { lastDelivery } = await logUntil(id, (shown) => shown.lastDelivery?.succeeded === true)
  const replay =
    'mutation ($id: ID!) { webhookDeliveryReplay(input: { id: $id }) { webhook { id } secret userErrors { code } } }'
  const neighbour = await world.actor(await world.tenant())
  const refused = await world.ask(neighbour, replay, { id: lastDelivery.id })
  assert.deepEqual(refused.webhookDeliveryReplay, { webhook: null, secret: null, userErrors: [{ code: 'NOT_FOUND' }] })
  const done = await world.ask(ada, replay, { id: lastDelivery.id })
  assert.deepEqual(done.webhookDeliveryReplay, { webhook: { id }, secret: null, userErrors: [] })
  const all = await received(2)
  assert.deepEqual([idOf(all[0]), all[0]?.body], [idOf(all[1]), all[1]?.body])
})

test('a new secret signs beside the one before, which ends after a day', async () => {
  const { id, secret } = await webhook(['RUN_COMPLETED'])
  const { webhookSave } = await world.ask(ada, saving, {
    input: { id, url: `${sink.origin}${path}`, events: ['RUN_COMPLETED'], rotateSecret: true },
  })
  const next = new Hidden(webhookSave.secret)
  assert.notEqual(next.reveal(), secret.reveal())
  await world.import(ada, 'CONTACT', people(1))
  const [both] = await received(1)
  assert.deepEqual([signed(both, secret), signed(both, next)], [true, true])
  await world.oracle.query("update webhook set previous_until = now() - interval '1 second' where tenant_id = $1", [
    ada.tenantId,
  ])
  await world.import(ada, 'CONTACT', people(1, 'q'))
  const [, after] = await received(2)
  assert.deepEqual([signed(after, secret), signed(after, next)], [false, true])
})

test('the secret is shown once and sealed where it is kept', async () => {
  const { id, secret } = await webhook(['RUN_COMPLETED'])
  const { webhookSave } = await world.ask(ada, saving, {
    input: { id, url: `${sink.origin}${path}`, events: ['RUN_FAILED'] },
  })
  assert.equal(webhookSave.secret, null)
  const { rows } = await world.oracle.query<{ text: string }>(
    'select to_jsonb(w)::text as text from webhook w where tenant_id = $1',
    [ada.tenantId],
  )
  assert.match(rows[0]?.text ?? '', /"secret": "ptg1\./)
  assert.ok(!rows[0]?.text.includes(secret.reveal().slice('whsec_'.length)))
})

test('records are told chunk by chunk, each once, as created, updated and deleted', async () => {
  await webhook(['RECORDS_CHANGED'])
  const count = 2 * WEBHOOK_RECORDS_MAX + 500
  const runId = await world.import(ada, 'CONTACT', people(count))
  const told = (all: readonly ReceivedHook[], change: string): Json[] =>
    here(all).flatMap((hook) => bodyOf(hook).data.records.filter((record: Json) => record.change === change))
  const all = await sink.hooks.until((every) => told(every, 'CREATED').length >= count)
  assert.equal(new Set(told(all, 'CREATED').map(({ id }) => id)).size, count)
  assert.ok(
    here(all).every(
      (hook) => bodyOf(hook).data.records.length <= WEBHOOK_RECORDS_MAX && bodyOf(hook).data.runId === runId,
    ),
  )
  const some = told(all, 'CREATED').slice(0, 1)
  assert.deepEqual(Object.keys(some[0]).toSorted(), ['change', 'id', 'recordType'])

  await world.import(
    ada,
    'CONTACT',
    'E-mail,Town\np0@example.com,Here\np1@example.com,\n',
    {},
    {
      mapping: [
        { column: 'E-mail', field: 'email' },
        { column: 'Town', field: 'city' },
      ],
    },
  )
  const updated = told(await sink.hooks.until((every) => told(every, 'UPDATED').length >= 1), 'UPDATED')
  assert.equal(updated.length, 1, 'a row that changes nothing is not told')

  await world.ask(ada, 'mutation ($id: ID!) { recordDelete(input: { recordType: CONTACT, id: $id }) { deletedId } }', {
    id: updated[0].id,
  })
  const deleted = told(await sink.hooks.until((every) => told(every, 'DELETED').length >= 1), 'DELETED')
  assert.equal(deleted[0].id, updated[0].id)

  await world.ask(
    ada,
    'mutation ($id: ID!) { runRollback(input: { runId: $id, onConflict: FORCE, idempotencyKey: "b" }) { rollbackRun { id } } }',
    { id: runId },
  )
  const undone = told(await sink.hooks.until((every) => told(every, 'DELETED').length >= count), 'DELETED')
  assert.ok(new Set(undone.map(({ id }) => id)).size >= count - 1)
})

test('an import without side effects tells of itself and not of its records, and neither does its rollback', async () => {
  await webhook(['RECORDS_CHANGED', 'RUN_COMPLETED', 'RUN_ROLLED_BACK'])
  const runId = await world.import(ada, 'CONTACT', people(10), { sideEffects: 'NONE' })
  const { importRun } = await world.ask(ada, 'query ($id: ID!) { importRun(id: $id) { options { sideEffects } } }', {
    id: runId,
  })
  assert.equal(importRun.options.sideEffects, 'NONE')
  await world.ask(
    ada,
    'mutation ($id: ID!) { runRollback(input: { runId: $id, idempotencyKey: "b" }) { rollbackRun { id } } }',
    { id: runId },
  )
  const all = await received(3)
  assert.deepEqual(all.map((hook): string => bodyOf(hook).type).toSorted(), [
    'RUN_COMPLETED',
    'RUN_COMPLETED',
    'RUN_ROLLED_BACK',
  ])
  const { rows } = await world.oracle.query("select 1 from outbox where tenant_id = $1 and event = 'RECORDS_CHANGED'", [
    ada.tenantId,
  ])
  assert.equal(rows.length, 0)
})

test('where no webhook asks for records nothing is written down of them', async () => {
  await webhook(['RUN_COMPLETED'])
  await world.import(ada, 'CONTACT', people(100))
  await received(1)
  const { rows } = await world.oracle.query("select 1 from outbox where tenant_id = $1 and event = 'RECORDS_CHANGED'", [
    ada.tenantId,
  ])
  assert.equal(rows.length, 0)
})

test('a neighbour is told nothing and finds nothing', async () => {
  const { id } = await webhook(['RUN_COMPLETED', 'RECORDS_CHANGED'])
  const neighbour = await world.actor(await world.tenant())
  await webhook(['RUN_COMPLETED', 'RECORDS_CHANGED'], neighbour, `${path}/neighbour`)
  await world.import(neighbour, 'CONTACT', people(1))
  await received(2, `${path}/neighbour`)
  assert.equal(here(sink.hooks.all).length, 0)
  const seen = await world.ask(neighbour, log, { id })
  assert.equal(seen.node, null)
  const listed = await world.ask(neighbour, '{ webhooks { url } }')
  assert.deepEqual(listed.webhooks, [{ url: `${sink.origin}${path}/neighbour` }])
  const deleted = await world.ask(
    neighbour,
    'mutation ($id: ID!) { webhookDelete(input: { id: $id }) { userErrors { code } } }',
    { id },
  )
  assert.deepEqual(deleted.webhookDelete.userErrors, [{ code: 'NOT_FOUND' }])
  const saved = await world.ask(neighbour, saving, { input: { id, url: `${sink.origin}/x`, events: ['RUN_FAILED'] } })
  assert.equal(saved.webhookSave.userErrors[0].code, 'NOT_FOUND')
})

test('a receiver that is gone, or fails for days, is disabled, which saving it again ends', async () => {
  const { id } = await webhook(['RUN_COMPLETED'])
  sink.answers.push(410)
  await world.import(ada, 'CONTACT', people(1))
  const gone = await logUntil(id, (shown) => shown.disabledAt !== null)
  assert.equal(gone.lastDelivery.error, 'HTTP_410')
  const replay = 'mutation ($id: ID!) { webhookDeliveryReplay(input: { id: $id }) { userErrors { code } } }'
  const refused = await world.ask(ada, replay, { id: gone.lastDelivery.id })
  assert.deepEqual(refused.webhookDeliveryReplay.userErrors, [{ code: 'INVALID_STATE' }])
  const { webhookSave } = await world.ask(ada, saving, {
    input: { id, url: `${sink.origin}${path}`, events: ['RUN_COMPLETED'] },
  })
  assert.equal(webhookSave.webhook.disabledAt, null)
  await world.ask(ada, replay, { id: gone.lastDelivery.id })
  await received(2)
  await logUntil(id, (shown) => shown.lastDelivery.succeeded)

  sink.answers.push(500, 500)
  await world.import(ada, 'CONTACT', people(1, 'q'))
  await logUntil(id, (shown) => shown.lastDelivery.error === 'HTTP_500')
  await world.oracle.query("update webhook set failing_since = now() - interval '6 days' where tenant_id = $1", [
    ada.tenantId,
  ])
  await hurry()
  const failing = await logUntil(id, (shown) => shown.disabledAt !== null)
  assert.equal(failing.deliveries.nodes.filter((one: Json) => one.nextAttemptAt !== null).length, 0)
  const { rows } = await world.oracle.query(
    "select data from outbox where tenant_id = $1 and event = 'WEBHOOK_DISABLED'",
    [ada.tenantId],
  )
  assert.equal(rows.length, 2)
})

test('a receiver that never answers holds up nobody else', async () => {
  const stuck = `${path}/stuck`
  await webhook(['RUN_COMPLETED'], ada, stuck)
  sink.answers.push('hang')
  await world.import(ada, 'CONTACT', people(1))
  await received(1, stuck)
  const neighbour = await world.actor(await world.tenant())
  await webhook(['RUN_COMPLETED'], neighbour, `${path}/quick`)
  const before = performance.now()
  await world.import(neighbour, 'CONTACT', people(1))
  await received(1, `${path}/quick`)
  assert.ok(performance.now() - before < 10_000)
})

test('there are so many webhooks and no more, and pages of their logs', async () => {
  for (let n = 0; n < WEBHOOKS_MAX; n++) {
    await webhook(['RUN_FAILED'])
  }
  const { webhookSave } = await world.ask(ada, saving, { input: { url: `${sink.origin}/x`, events: ['RUN_FAILED'] } })
  assert.equal(webhookSave.userErrors[0].code, 'LIMIT_EXCEEDED')
  const none = await world.ask(ada, saving, { input: { url: `${sink.origin}/x`, events: [] } })
  assert.deepEqual(none.webhookSave.userErrors[0].field, ['events'])
  const { webhooks } = await world.ask(ada, '{ webhooks { id } }')
  const { id } = webhooks[0]
  await world.oracle.query(
    `insert into webhook_delivery (tenant_id, webhook_id, outbox_id, event, body, next_attempt_at)
     select $1, $2, uuidv7(), 'RUN_FAILED', '{}', null from generate_series(1, 5)`,
    [ada.tenantId, decodeId('webhook', id)],
  )
  const page =
    'query ($id: ID!, $after: String) { node(id: $id) { ... on Webhook { deliveries(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } } }'
  const found: string[] = []
  for (let after: string | null = null; ; ) {
    const { node }: Json = await world.ask(ada, page, { id, after })
    found.push(...node.deliveries.nodes.map((one: Json) => one.id))
    if (!node.deliveries.pageInfo.hasNextPage) {
      break
    }
    after = node.deliveries.pageInfo.endCursor
  }
  assert.equal(new Set(found).size, 5)
  const wrong = await world.run(ada, page, { id, after: 'x' })
  assert.equal(wrong.errors[0]?.extensions.code, 'INVALID_INPUT')
})

test('only who manages settings sees webhooks', async () => {
  const { id } = await webhook(['RUN_FAILED'])
  const other = await world.actor(
    ada.tenantId,
    permissions.filter((permission) => permission !== 'SETTINGS_MANAGE'),
  )
  for (const query of ['{ webhooks { id } }', `{ node(id: "${id}") { id } }`]) {
    assert.equal((await world.run(other, query)).errors[0]?.extensions.permission, 'SETTINGS_MANAGE')
  }
  assert.ok(dataOf(await world.run(ada, '{ webhooks { id } }')).webhooks.length === 1)
})

test('the command line saves, lists, tells of deliveries, replays and deletes', async () => {
  const say = async (...args: string[]): Promise<{ code: number; out: string[]; notes: string[] }> => {
    const { io, out, notes } = fakeIo()
    return { code: await portage(['webhook', ...args, '--url', world.url, '--token', ada.token], io), out, notes }
  }
  const saved = await say('save', `${sink.origin}${path}`, '--event', 'run-completed', '--event', 'RUN_FAILED')
  assert.equal(saved.code, 0, saved.notes.join())
  const id = /whk_\w+/.exec(saved.out[0] ?? '')?.[0] ?? ''
  const secret = new Hidden(/whsec_\S+/.exec(saved.out[1] ?? '')?.[0] ?? '')
  await world.import(ada, 'CONTACT', people(1))
  const [first] = await received(1)
  assert.ok(signed(first, secret))
  await logUntil(id, (shown) => shown.lastDelivery?.succeeded === true)
  assert.match((await say('list')).out.join('\n'), new RegExp(`${id} .*RUN_COMPLETED RUN_FAILED .*arrived \\(204\\)`))
  const deliveries = await say('deliveries', id, '--json')
  assert.equal(JSON.parse(deliveries.out[0] ?? '').id, idOf(first))
  assert.equal((await say('replay', idOf(first))).code, 0)
  await received(2)
  assert.equal((await say('deliveries', 'whk_none')).code, 1)
  assert.equal((await say('save', 'http://127.0.0.2/', '--event', 'run-failed')).code, 1)
  assert.equal((await say('save', `${sink.origin}/`, '--event', 'all')).code, 1)
  assert.equal((await say('delete', id)).code, 0)
  assert.deepEqual((await say('list')).out, ['No webhooks.'])
})
