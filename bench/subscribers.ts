/** Many subscribers of many tenants while imports run: nobody hears of another tenant, nothing is missed, and how late it comes. */
import WebSocket from 'ws'
import type { Api } from '../src/cli/api.js'
import { type ContactFile, contactFile } from './contacts.js'
import { cpuBetween, cpuOf } from './processes.js'
import { keepResult, machine, printTable, quantile } from './report.js'
import { FOLDER, startServer, withClient } from './server.js'
import { endOf, type Service, startService, uploadContacts } from './service.js'

export interface SubscriberBenchOptions {
  readonly tenants: number
  readonly subscribers: number
  /** Tenants that import, and how many rows each. */
  readonly importing: number
  readonly rows: number
}

/** From commit to client, 99 of 100 deliveries. Milliseconds. */
const AIM_P99_MS = 250

/** Sockets that are opened at a time. */
const OPENED_AT_ONCE = 50

/** Rows of the small import that every tenant begins with: when its events are there, all subscriptions stand. */
const WARM_UP_ROWS = 100

// From the tenant's very first event, so that none can be missed while subscriptions are being opened.
const query = `subscription { tenantEvents(after: "${'0'.repeat(20)}", minIntervalMs: 0) { __typename sequence previousSequence at runId
  ... on RunStatusChanged { from to }
  ... on RunProgressed { counts { total read created } progress { fraction } }
  ... on RowsSettled { fromRow toRow counts { read created } issueCount } } }`

interface Heard {
  readonly __typename: string
  readonly sequence: string
  readonly previousSequence: string | null
  readonly at: string
  readonly runId: string
}

/** One socket with one subscription to all events of its tenant. */
class Subscriber {
  readonly tenant: number
  readonly heard: Heard[] = []
  /** From commit to us, of the events heard since the last call of `forget`. Milliseconds. */
  delays: number[] = []
  readonly #socket: WebSocket
  readonly #ready = Promise.withResolvers<void>()
  #waiting: { readonly sequence: string; readonly resolve: () => void } | null = null

  constructor(api: Api, token: string, tenant: number) {
    this.tenant = tenant
    const authorization = `Bearer ${token}`
    this.#socket = new WebSocket(api.socketUrl, 'graphql-transport-ws', {
      headers: { authorization },
      perMessageDeflate: false,
    })
    const send = (message: object) => this.#socket.send(JSON.stringify(message))
    this.#socket.on('open', () => send({ type: 'connection_init', payload: { authorization } }))
    this.#socket.on('error', (error) => this.#ready.reject(error))
    this.#socket.on('close', (code, reason) => this.#ready.reject(new Error(`closed: ${code} ${String(reason)}`)))
    this.#socket.on('message', (data) => {
      const now = Date.now()
      const message = JSON.parse(String(data as Buffer)) as {
        type: string
        payload?: { data?: { tenantEvents: Heard } }
      }
      if (message.type === 'connection_ack') {
        send({ type: 'subscribe', id: '1', payload: { query } })
        this.#ready.resolve()
      } else if (message.type === 'next' && message.payload?.data !== undefined) {
        this.#take(message.payload.data.tenantEvents, now)
      } else if (message.type === 'ping') {
        send({ type: 'pong' })
      } else {
        throw new Error(`unexpected: ${String(data as Buffer).slice(0, 500)}`)
      }
    })
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  #take(event: Heard, now: number): void {
    this.heard.push(event)
    this.delays.push(now - Date.parse(event.at))
    if (this.#waiting !== null && event.sequence >= this.#waiting.sequence) {
      this.#waiting.resolve()
    }
  }

  /** When the event with this sequence, or a later one, is there. */
  async until(sequence: string): Promise<void> {
    if ((this.heard.at(-1)?.sequence ?? '') < sequence) {
      await new Promise<void>((resolve) => {
        this.#waiting = { sequence, resolve }
      })
    }
  }

  forget(): void {
    this.delays = []
  }

  close(): void {
    this.#socket.terminate()
  }
}

/** Runs it, throws if anything crossed a tenant or was missed, prints the delays. */
export async function benchSubscribers(options: SubscriberBenchOptions): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  const file = await contactFile(FOLDER, options.rows)
  await using server = await startServer()
  await using service = await startService(server, {})
  const tenants: Tenant[] = []
  for (let i = 0; i < options.tenants; i++) {
    const id = await service.tenant()
    const api = await service.api(id)
    tenants.push({ id, api, token: await api.token() })
  }
  const subscribers: Subscriber[] = []
  try {
    for (let i = 0; i < options.subscribers; i++) {
      const number = i % options.tenants
      const tenant = tenants[number]
      if (tenant !== undefined) {
        subscribers.push(new Subscriber(tenant.api, tenant.token, number))
      }
      if (subscribers.length % OPENED_AT_ONCE === 0) {
        await Promise.all(subscribers.map(({ ready }) => ready))
      }
    }
    await Promise.all(subscribers.map(({ ready }) => ready))
    console.log(`  ${subscribers.length} subscribers of ${tenants.length} tenants`)

    const world: World = {
      service,
      tenants,
      subscribers,
      runs: new Map(tenants.map(({ id }) => [id, new Set<string>()])),
    }
    await importAndHear(world, tenants, await contactFile(FOLDER, WARM_UP_ROWS))
    for (const subscriber of subscribers) {
      subscriber.forget()
    }
    const cpuBefore = cpuOf(server.postmaster, service.supervisor)
    const started = performance.now()
    await importAndHear(world, tenants.slice(0, options.importing), file)
    const seconds = (performance.now() - started) / 1000
    const cpu = cpuBetween(cpuBefore, cpuOf(server.postmaster, service.supervisor))
    const delays = subscribers.flatMap(({ delays }) => delays).toSorted((a, b) => a - b)
    const quantiles = {
      p50: quantile(delays, 0.5),
      p95: quantile(delays, 0.95),
      p99: quantile(delays, 0.99),
      most: delays.at(-1) ?? 0,
    }
    console.log(`\n${date}; ${JSON.stringify(before)}`)
    console.log(
      `${options.importing} tenants import ${options.rows} contacts each: ${seconds.toFixed(1)} s, ` +
        `CPU ${cpu.backends.toFixed(1)} s of backends, ${cpu.ours.toFixed(1)} s of our processes; the subscribers run in this process\n`,
    )
    printTable([
      ['deliveries', 'p50 ms', 'p95 ms', 'p99 ms', 'most ms', 'aim of p99'],
      [String(delays.length), ...Object.values(quantiles).map(String), `${AIM_P99_MS}`],
    ])
    console.log('From just before the commit (the clock of the server is ours) until the subscriber has it.')
    console.log('Every subscriber got every event of its tenant once, in order, and none of another tenant.\n')
    await keepResult('subscribers', {
      date,
      machine: before,
      ...options,
      deliveries: delays.length,
      ...quantiles,
      seconds,
      cpu,
    })
  } finally {
    for (const subscriber of subscribers) {
      subscriber.close()
    }
  }
}

interface Tenant {
  readonly id: string
  readonly api: Api
  readonly token: string
}

interface World {
  readonly service: Service
  readonly tenants: readonly Tenant[]
  readonly subscribers: readonly Subscriber[]
  /** Runs by tenant. */
  readonly runs: ReadonlyMap<string, Set<string>>
}

/** Lets tenants import a file, waits until every subscriber has heard the last of it, and checks all that they have heard. */
async function importAndHear(world: World, importing: readonly Tenant[], file: ContactFile): Promise<void> {
  await Promise.all(
    importing.map(async ({ id, api }) => {
      const runId = await uploadContacts(api, file)
      world.runs.get(id)?.add(runId)
      await endOf(api, runId)
    }),
  )
  const { rows } = await withClient(world.service.ownerUrl, (client) =>
    client.query<{ tenant_id: string; sequences: string[] }>(
      `select tenant_id, array_agg(lpad(sequence::text, 20, '0') order by sequence) as sequences from event group by 1`,
    ),
  )
  const expected = new Map(rows.map(({ tenant_id, sequences }) => [tenant_id, sequences]))
  await Promise.all(
    world.subscribers.map(async (subscriber) => {
      const id = world.tenants[subscriber.tenant]?.id ?? ''
      const sequences = expected.get(id) ?? []
      await subscriber.until(sequences.at(-1) ?? '')
      check(subscriber, sequences, world.runs.get(id) ?? new Set())
    }),
  )
}

function check(subscriber: Subscriber, expected: readonly string[], runs: ReadonlySet<string>): void {
  const { heard, tenant } = subscriber
  const foreign = heard.find((event) => !runs.has(event.runId))
  if (foreign !== undefined) {
    throw new Error(`a subscriber of tenant ${tenant} heard of the run ${foreign.runId}, which is not its own`)
  }
  const sequences = heard.map(({ sequence }) => sequence)
  if (JSON.stringify(sequences) !== JSON.stringify(expected)) {
    throw new Error(
      `a subscriber of tenant ${tenant} heard ${sequences.length} events of ${expected.length}, or in another order`,
    )
  }
  for (const [i, event] of heard.entries()) {
    if (i > 0 && event.previousSequence !== heard[i - 1]?.sequence) {
      throw new Error(`the chain is broken before ${event.sequence} for a subscriber of tenant ${tenant}`)
    }
  }
}
