/** Subscribers whose API is killed again and again: what they miss, what they hear twice, and how late it comes. */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { SocketClient } from '../server/socket-client.js'
import { Front } from './front.js'
import type { House } from './house.js'
import { quantile } from './kills.js'
import type { Result } from './scenarios.js'

const SUBSCRIBERS = 3

/** Between two events, which is about as many a second as an import that is in a hurry makes. Milliseconds. */
const EVENT_EVERY_MS = 10

/** A connection has to hear so many events by the way before the API is killed again. */
const EVENTS_BETWEEN = 10

/** A subscriber that hears nothing for so long has lost something. */
const PATIENCE_MS = 60_000

interface Event {
  readonly sequence: string
  readonly previousSequence: string | null
  readonly at: string
}

class Listener {
  readonly heard: Event[] = []
  /** From commit to here, of what came about while the connection stood. Milliseconds. */
  readonly lags: number[] = []
  readonly faults: string[] = []
  connections = 0
  /** Events of this connection that came about while it stood. */
  live = 0
  #stopping = false

  async run(front: Front, token: string): Promise<void> {
    for (let quiet = performance.now(); !this.#stopping && performance.now() - quiet < PATIENCE_MS; ) {
      this.live = 0
      const known = this.heard.length
      await this.#connection(front, token).catch(() => undefined)
      if (this.heard.length > known) {
        quiet = performance.now()
      }
      await pause(5)
    }
    if (!this.#stopping) {
      this.faults.push('nothing was heard any more')
    }
  }

  async #connection(front: Front, token: string): Promise<void> {
    const socket = await SocketClient.open(front.url, token)
    try {
      this.connections += 1
      const since = Date.now()
      socket.subscribe(
        '1',
        'subscription ($after: String) { tenantEvents(after: $after, minIntervalMs: 0) { sequence previousSequence at } }',
        { after: this.heard.at(-1)?.sequence ?? '0'.repeat(20) },
      )
      while (!this.#stopping) {
        const message = await socket.next()
        const event: Event | undefined = message.payload?.data?.tenantEvents
        if (event === undefined) {
          this.faults.push(`a subscriber was told ${JSON.stringify(message)}`)
          return
        }
        const before = this.heard.at(-1)?.sequence ?? '0'.repeat(20)
        if (event.previousSequence !== before || event.sequence <= before) {
          this.faults.push(`${event.sequence} follows ${event.previousSequence}, but ${before} came before it`)
        }
        this.heard.push(event)
        const at = Date.parse(event.at)
        if (at > since) {
          this.live += 1
          this.lags.push(Date.now() - at)
        }
      }
    } finally {
      socket.close()
    }
  }

  stop(): void {
    this.#stopping = true
  }
}

/** Kills the API so many times while events are written and heard. */
export async function frontKills(
  house: House,
  { kills, lagMs }: { readonly kills: number; readonly lagMs: number },
): Promise<Result> {
  const front = await Front.open(house)
  const listeners = Array.from({ length: SUBSCRIBERS }, () => new Listener())
  const writing = new AbortController()
  try {
    const tenantId = await house.tenant('front')
    const token = await front.token(tenantId)
    const runId = randomUUID()
    const write = async (): Promise<void> => {
      while (!writing.signal.aborted) {
        await house.rows(
          `with t as materialized (select set_config('app.tenant_id', $1, true))
           select append_events($2, 'IMPORT', '[{"type": "RowsSettled", "body": {"fromRow": 1, "toRow": 1, "counts": {"read": 1}, "issues": [], "issueCount": 0}}]'::jsonb) from t`,
          [tenantId, runId],
        )
        await pause(EVENT_EVERY_MS)
      }
    }
    const written = write()
    const running = listeners.map((listener) => listener.run(front, token))
    for (let i = 0; i < kills; i++) {
      await house.until('everybody is told again', async () =>
        listeners.every(({ live }) => live >= EVENTS_BETWEEN) ? true : null,
      )
      const { process } = front
      process.signal('SIGKILL')
      await process.exited
      listeners.forEach((listener) => {
        listener.live = 0
      })
    }
    writing.abort()
    await written
    const all = await house.rows<{ sequence: string }>(
      "select lpad(sequence::text, 20, '0') as sequence from event where tenant_id = $1 order by event.sequence",
      [tenantId],
    )
    const last = all.at(-1)?.sequence ?? ''
    await house.until('everybody has heard the last', async () =>
      listeners.every(({ heard }) => heard.at(-1)?.sequence === last) ? true : null,
    )
    listeners.forEach((listener) => listener.stop())
    await front.close()
    await Promise.all(running)
    const faults = listeners.flatMap((listener) => listener.faults)
    const expected = all.map(({ sequence }) => sequence).join()
    for (const { heard } of listeners) {
      if (heard.map(({ sequence }) => sequence).join() !== expected) {
        faults.push(`${all.length} events were written, ${heard.length} heard`)
      }
    }
    const lags = listeners.flatMap((listener) => listener.lags)
    const p95 = quantile(lags, 0.95) ?? 0
    if (p95 > lagMs) {
      faults.push(`events came after ${p95} ms (p95)`)
    }
    return {
      name: 'subscribers across kills of the API [OB-4]',
      faults,
      figures: {
        kills,
        connections: listeners.reduce((sum, { connections }) => sum + connections, 0),
        events: all.length,
        'lag p50 ms': Math.round(quantile(lags, 0.5) ?? 0),
        'lag p95 ms': Math.round(p95),
      },
    }
  } finally {
    writing.abort()
    listeners.forEach((listener) => listener.stop())
    await front.close()
  }
}
