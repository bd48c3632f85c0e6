/** Many subscribers of many tenants at once: each hears all of its own tenant and nothing of another. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import WebSocket from 'ws'
import { type Actor, World } from './world.js'

const TENANTS = 20
const SUBSCRIBERS = 200
const EVENTS = 100_000
const EVENTS_OF_EACH = EVENTS / TENANTS

/** Events of one transaction. */
const EVENTS_AT_ONCE = 500

/** Sockets that are opened at a time. */
const OPENED_AT_ONCE = 50

let world: World
const tenants: { readonly actor: Actor; readonly canary: string }[] = []

before(async () => {
  world = await World.start()
  for (let i = 0; i < TENANTS; i++) {
    tenants.push({ actor: await world.actor(await world.tenant()), canary: `canary-${i}-` })
  }
})
after(() => world.close())

/** One subscription to everything of a tenant from its first event on. */
class Listener {
  readonly canary: string
  /** Rows that settled rows have told of, and messages. */
  rows = 0
  messages = 0
  /** What it should never have got. */
  readonly foreign: string[] = []
  readonly finished: Promise<void>
  readonly ready: Promise<void>
  readonly #socket: WebSocket

  constructor(token: string, canary: string, minIntervalMs: number) {
    this.canary = canary
    const ready = Promise.withResolvers<void>()
    const finished = Promise.withResolvers<void>()
    this.ready = ready.promise
    this.finished = finished.promise
    this.#socket = new WebSocket(`${world.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      perMessageDeflate: false,
    })
    const send = (message: object) => this.#socket.send(JSON.stringify(message))
    this.#socket.on('open', () => send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }))
    this.#socket.on('error', ready.reject)
    this.#socket.on('close', (code) => finished.reject(new Error(`closed: ${code}`)))
    this.#socket.on('message', (data) => {
      const text = (data as Buffer).toString()
      const message = JSON.parse(text)
      if (message.type === 'connection_ack') {
        const query = `subscription { tenantEvents(after: "${'0'.repeat(20)}", minIntervalMs: ${minIntervalMs}) {
          __typename sequence runId ... on RowsSettled { counts { read } issues { column value message } } } }`
        send({ type: 'subscribe', id: '1', payload: { query } })
        ready.resolve()
        return
      }
      this.messages += 1
      this.foreign.push(...[...text.matchAll(/canary-\d+-/g)].flatMap(([found]) => (found === canary ? [] : [text])))
      const event = message.payload?.data?.tenantEvents
      if (message.type === 'next' && event === undefined) {
        finished.reject(new Error(text))
      }
      this.rows += event?.counts?.read ?? 0
      if (this.rows >= EVENTS_OF_EACH) {
        finished.resolve()
      }
    })
    this.finished.catch(() => undefined)
  }

  close(): void {
    this.#socket.terminate()
  }
}

test('200 subscribers of 20 tenants hear all of 100,000 events that are theirs, and none of another [IS-8]', async () => {
  const ear = new pg.Client({ connectionString: world.db.ownerUrl })
  await ear.connect()
  const notices: { readonly channel: string; readonly payload: string }[] = []
  ear.on('notification', ({ channel, payload = '' }) => notices.push({ channel, payload }))
  const { rows: tellers } = await ear.query<{ prosrc: string }>(
    `select prosrc from pg_proc where prosrc ~* 'pg_notify|\\mnotify\\M' and pronamespace <> 'pg_catalog'::regnamespace`,
  )
  const channels = new Set(
    tellers.flatMap(({ prosrc }) => [...prosrc.matchAll(/pg_notify\('([^']*)'/g)].map(([, name = '']) => name)),
  )
  assert.deepEqual([...channels].toSorted(), ['portage_events', 'portage_wakeup'])
  for (const channel of channels) {
    await ear.query(`listen ${channel}`)
  }
  const listeners: Listener[] = []
  try {
    for (let i = 0; i < SUBSCRIBERS; i++) {
      const tenant = tenants[i % TENANTS]
      assert.ok(tenant !== undefined)
      const { tenantId } = tenant.actor
      const { token } = await world.actor(tenantId, ['IMPORT_RUN', 'PII_READ', 'RECORD_READ'], `reader${i}@example.com`)
      // One of each tenant gets every event by itself, the others as people at a screen do.
      listeners.push(new Listener(token, tenant.canary, i < TENANTS ? 0 : 250))
      if (listeners.length % OPENED_AT_ONCE === 0) {
        await Promise.all(listeners.map(({ ready }) => ready))
      }
    }
    const runs = tenants.map(() => randomUUID())
    for (let written = 0; written < EVENTS_OF_EACH; written += EVENTS_AT_ONCE) {
      for (const [i, { actor, canary }] of tenants.entries()) {
        await world.oracle.query(
          `with t as materialized (select set_config('app.tenant_id', $1, true))
           select append_events($2, 'IMPORT', (select jsonb_agg(jsonb_build_object('type', 'RowsSettled', 'body', jsonb_build_object(
             'fromRow', n, 'toRow', n, 'counts', '{"read": 1}'::jsonb, 'issueCount', 1, 'issues', jsonb_build_array(jsonb_build_object(
               'rowNumber', n, 'code', 'INVALID_VALUE', 'severity', 'WARNING', 'column', $5::text, 'field', null, 'value', $5::text,
               'message', $5::text, 'suggestion', null))))) from generate_series($3::int, $4::int) n)) from t`,
          [actor.tenantId, runs[i], written + 1, written + EVENTS_AT_ONCE, canary],
        )
      }
      // Anybody may notify: of another tenant's events, of none, of nonsense.
      await world.oracle.query(
        "select pg_notify('portage_events', $1 || ' 999999999'), pg_notify('portage_events', $2)",
        [tenants[written % TENANTS]?.actor.tenantId, `${randomUUID()} x`],
      )
    }
    const ids = new Set(tenants.map(({ actor }) => actor.tenantId))
    // Jobs are told of, too.
    const other = await world.actor(await world.tenant())
    ids.add(other.tenantId)
    await world.import(other, 'CONTACT', 'E-mail,Last name\ncanary-x-@example.com,canary-x-\n')
    await Promise.all(listeners.map(({ finished }) => finished))
    assert.deepEqual(
      listeners.flatMap(({ foreign }) => foreign),
      [],
    )
    for (const [i, { messages, rows }] of listeners.entries()) {
      assert.equal(rows, EVENTS_OF_EACH, `subscriber ${i}`)
      assert.ok(i >= TENANTS || messages >= EVENTS_OF_EACH, 'one by one')
    }
    await ear.query('select 1')
    const ours = notices.filter(({ payload }) => !/ (999999999|x)$/.test(payload))
    assert.ok(ours.length >= EVENTS / EVENTS_AT_ONCE && ours.some(({ channel }) => channel === 'portage_wakeup'))
    for (const { channel, payload } of ours) {
      const [id = '', rest = ''] = payload.split(' ')
      assert.ok(
        channel === 'portage_wakeup' ? /^[0-9a-f-]{0,36}$/.test(payload) : ids.has(id) && /^\d+$/.test(rest),
        payload,
      )
    }
  } finally {
    listeners.forEach((listener) => listener.close())
    await ear.end()
  }
})
