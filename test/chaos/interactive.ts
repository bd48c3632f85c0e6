/** People at the API while others import, and while others do not read what they asked to be told. */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import WebSocket from 'ws'
import { newContacts } from '../helpers/files.js'
import { Front } from './front.js'
import type { House } from './house.js'
import { quantile } from './kills.js'
import type { Result } from './scenarios.js'

/** Subscribers that read nothing, and those that do. */
const STALLED = 50
const HEALTHY = 5

/** Events of one transaction. A thousand a second are written. */
const EVENTS_AT_ONCE = 50

// From the tenant's very first event, so that none can be missed while subscriptions are being opened.
const first = '0'.repeat(20)

/** As clients ask who show how a run gets on. */
const folded = `subscription { tenantEvents(after: "${first}") { __typename sequence at } }`

/** Every event with all that is in it: what fills a socket that nobody reads soonest. */
const whole = `subscription { tenantEvents(after: "${first}", minIntervalMs: 0) { __typename sequence at
  ... on RowsSettled { issues { message } } } }`

/** What fills the buffers of a connection that nobody reads: so many events with a hundred issues, ten kilobytes each. */
const FILLING_EVENTS = 1000
const FILLING_ISSUES = 100
const MESSAGE = 'x'.repeat(100)

/** The API has nothing more to do for those who stall when it takes less of a processor than this. */
const IDLE_SHARE = 0.2

interface Listener {
  readonly socket: WebSocket
  newest: string
  readonly lags: number[]
  closed: boolean
}

async function listenTo(front: Front, token: string, query: string): Promise<Listener> {
  const socket = new WebSocket(`${front.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    perMessageDeflate: false,
  })
  const listener: Listener = { socket, newest: '', lags: [], closed: false }
  const ready = Promise.withResolvers<void>()
  socket.on('open', () =>
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })),
  )
  socket.on('error', (error) => ready.reject(error))
  socket.on('close', () => {
    listener.closed = true
  })
  socket.on('message', (data) => {
    const message = JSON.parse((data as Buffer).toString()) as {
      type: string
      payload?: { data?: { tenantEvents: { sequence: string; at: string } } }
    }
    if (message.type === 'connection_ack') {
      socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }))
      ready.resolve()
    }
    const event = message.payload?.data?.tenantEvents
    if (event !== undefined) {
      listener.newest = event.sequence
      listener.lags.push(Date.now() - Date.parse(event.at))
    }
  })
  await ready.promise
  return listener
}

/** A figure of the API process, by its name at /metrics; the largest where there are several. */
async function metric(front: Front, name: string): Promise<number> {
  const text = await (await fetch(`${front.url}/metrics`)).text()
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) =>
    Number(value),
  )
  return Math.max(...values)
}

const issueOf = (_: unknown, seq: number) => ({
  rowNumber: seq + 1,
  code: 'INVALID_VALUE',
  severity: 'WARNING',
  column: null,
  field: null,
  value: null,
  message: MESSAGE,
  suggestion: null,
})

/** Waits until the API has as good as nothing to do. */
async function idle(front: Front): Promise<void> {
  const spent = () => metric(front, 'process_cpu_seconds_total')
  for (const started = performance.now(); performance.now() - started < 60_000; ) {
    const [from, before] = [performance.now(), await spent()]
    await pause(1000)
    if ((await spent()) - before < (IDLE_SHARE * (performance.now() - from)) / 1000) {
      return
    }
  }
}

/** Fifty subscribers stop reading for so long, while a thousand events a second are written. */
export async function stalledSubscribers(
  house: House,
  { seconds, heapMb, lagMs }: { readonly seconds: number; readonly heapMb: number; readonly lagMs: number },
): Promise<Result> {
  const front = await Front.open(house)
  const faults: string[] = []
  const sockets: Listener[] = []
  try {
    const tenantId = await house.tenant('stalled')
    const token = await front.token(tenantId)
    const runId = randomUUID()
    const write = (count: number, issues = 0) =>
      house.rows(
        `with t as materialized (select set_config('app.tenant_id', $1, true))
         select append_events($2, 'IMPORT', (select jsonb_agg(jsonb_build_object('type', 'RowsSettled', 'body',
           jsonb_build_object('fromRow', n, 'toRow', n, 'counts', '{"read": 1}'::jsonb, 'issues', $4::jsonb, 'issueCount', $5::int))) from generate_series(1, $3) n)) from t`,
        [tenantId, runId, count, JSON.stringify(Array.from({ length: issues }, issueOf)), issues],
      )
    for (let i = 0; i < STALLED + HEALTHY; i++) {
      sockets.push(await listenTo(front, token, i < STALLED ? whole : folded))
    }
    const [stalled, healthy] = [sockets.slice(0, STALLED), sockets.slice(STALLED)]
    await write(1)
    await house.until('everybody is told of the first event', async () =>
      sockets.every(({ lags }) => lags.length > 0) ? true : null,
    )
    healthy.forEach(({ lags }) => lags.splice(0))
    stalled.forEach(({ socket }) => socket.pause())
    for (let i = 0; i < FILLING_EVENTS; i += EVENTS_AT_ONCE) {
      await write(EVENTS_AT_ONCE, FILLING_ISSUES)
    }
    await idle(front)
    healthy.forEach(({ lags }) => lags.splice(0))
    const heaps = [await metric(front, 'nodejs_heap_size_used_bytes')]
    const started = performance.now()
    let written = 0
    while (performance.now() - started < seconds * 1000) {
      await write(EVENTS_AT_ONCE)
      written += EVENTS_AT_ONCE
      if (written % 1000 === 0) {
        heaps.push(await metric(front, 'nodejs_heap_size_used_bytes'))
      }
      await pause(Math.max(0, started + written - performance.now()))
    }
    const perSecond = Math.round(written / ((performance.now() - started) / 1000))
    // What is left after a collection is the least of several looks.
    const grown = (Math.min(...heaps.slice(1).slice(-10)) - (heaps[0] ?? 0)) / 1024 ** 2
    const lags = healthy.flatMap((listener) => listener.lags)
    const p95 = quantile(lags, 0.95) ?? 0
    if (grown > heapMb) {
      faults.push(`the heap of the API grew by ${grown.toFixed(0)} MB`)
    }
    if (p95 > lagMs) {
      faults.push(`those who read were told after ${p95.toFixed(0)} ms (p95)`)
    }
    const before = stalled.map(({ newest }) => newest)
    stalled.forEach(({ socket }) => socket.resume())
    await house.until('those who stalled are told on, or closed', async () =>
      stalled.every(({ newest, closed }, i) => closed || newest > (before[i] ?? '')) ? true : null,
    )
    return {
      name: '50 stalled subscribers [QF-7]',
      faults,
      figures: {
        seconds,
        'events a second': perSecond,
        'heap MB': grown.toFixed(1),
        'lag p95 ms': Math.round(p95),
        closed: stalled.filter(({ closed }) => closed).length,
      },
    }
  } finally {
    sockets.forEach(({ socket }) => socket.terminate())
    await front.close()
  }
}

const reads = [
  '{ runs(first: 20) { nodes { id status counts { read created failed } progress { fraction } } } }',
  '{ contacts(first: 20) { nodes { id firstName lastName email } } }',
  '{ quotas { name used limit } viewer { actor } }',
]

/** People who look at lists while four imports run. */
export async function queriesBesideImports(
  house: House,
  { seconds, rows, strict }: { readonly seconds: number; readonly rows: number; readonly strict: boolean },
  seed: number,
): Promise<Result> {
  await house.hire({ PORTAGE_CONCURRENT_RUNS: '4' })
  const front = await Front.open(house)
  try {
    const tenants = await Promise.all([1, 2, 3, 4].map((n) => house.tenant(`busy ${n}`)))
    const runs = await Promise.all(
      tenants.map((tenant, i) => house.startImport(tenant, 'contact', newContacts(seed + i, rows))),
    )
    await Promise.all(runs.map((run, i) => house.reached(tenants[i] ?? '', run, 1)))
    const token = await front.token(tenants[0] ?? '')
    const took: number[] = []
    const until = performance.now() + seconds * 1000
    await Promise.all(
      Array.from({ length: 4 }, async (_, person) => {
        for (let i = person; performance.now() < until; i++) {
          const from = performance.now()
          await front.once(token, reads[i % reads.length] ?? '', {})
          took.push(performance.now() - from)
          await pause(100)
        }
      }),
    )
    const lag = 1000 * (await metric(front, 'nodejs_eventloop_lag_p99_seconds'))
    const [p95, p99] = [quantile(took, 0.95) ?? 0, quantile(took, 0.99) ?? 0]
    const faults = strict && (p95 > 250 || p99 > 1000 || lag > 50) ? ['somebody had to wait'] : []
    for (const [i, run] of runs.entries()) {
      await house.ended(tenants[i] ?? '', run)
    }
    return {
      name: 'queries beside four imports [QF-5]',
      faults,
      figures: {
        queries: took.length,
        'p95 ms': Math.round(p95),
        'p99 ms': Math.round(p99),
        'event loop p99 ms': Math.round(lag),
      },
    }
  } finally {
    await front.close()
  }
}
