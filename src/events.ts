/**
 * Live events: the log in the table `event`, replayed and followed. A subscription says where it left off and gets
 * everything since, once; notifications only say when to look. See docs/PROTOCOL.md for what subscribers may rely on.
 */
import { type Listener, listen } from './db/listen.js'
import { type TenantSource, withTenant } from './db/tx.js'
import { Refusal } from './errors.js'
import { formatSequence, parseSequence, type RunEvent } from './events/event.js'
import { Gate } from './events/gate.js'
import { type Filter, readPage, readStanding, runExists, type Standing } from './events/log.js'
import { Subscription } from './events/subscription.js'
import { Tail } from './events/tail.js'
import {
  EVENT_PAGE_EVENTS_MAX,
  EVENT_PAGE_READS_MAX,
  EVENT_POLL_MS,
  EVENT_TAIL_BYTES_MAX,
  EVENT_TAIL_EVENTS_MAX,
  EVENT_TAIL_READS_MAX,
  EVENT_TAILS_BYTES_MAX,
  MIN_INTERVAL_DEFAULT_MS,
  MIN_INTERVAL_MAX_MS,
} from './limits.js'
import type { Log } from './log.js'
import type { RunKind } from './runs/types.js'

export {
  formatSequence,
  type ProgressBody,
  type RunEvent,
  type Sequence,
  type SettledBody,
  type StatusBody,
} from './events/event.js'
export { purgeEvents } from './events/log.js'

/** Channel on which `append_events` says `<tenant id> <newest sequence>`. */
const CHANNEL = 'portage_events'

export interface EventFeedOptions {
  /** Where events are read, in short transactions; a few at a time. */
  readonly source: TenantSource
  /** Connection string for the one connection that listens; not through a transaction pooler. */
  readonly listenerUrl: string
  readonly log: Pick<Log, 'warn'>
}

export interface StreamOptions {
  /** Sequence of the last event seen. Null: see the stream. */
  readonly after: string | null
  /**
   * 0 to 60,000, 250 if not given. Within that time, newer progress of a run replaces older, and settled rows of a run
   * are joined where nothing else lies between them; a change of status never waits. With 0 every event comes as written.
   */
  readonly minIntervalMs?: number
  /** Ends the stream, as `return()` does. */
  readonly signal?: AbortSignal
}

/** What the feed holds at this moment; bytes are estimates. */
export interface FeedStats {
  readonly tenants: number
  readonly subscribers: number
  readonly sharedBytes: number
  readonly subscriberBytes: number
}

interface TenantFeed {
  readonly tail: Tail
  readonly subscribers: Set<Subscription>
}

/** Subscriptions of one API process. */
export class EventFeed {
  readonly #options: EventFeedOptions
  readonly #tenants = new Map<string, TenantFeed>()
  readonly #tailReads = new Gate(EVENT_TAIL_READS_MAX)
  readonly #pageReads = new Gate(EVENT_PAGE_READS_MAX)
  #listener: Listener | null = null
  #poll: NodeJS.Timeout | null = null
  #closed = false
  #failures = 0
  #failureLoggedAt = Number.NEGATIVE_INFINITY

  constructor(options: EventFeedOptions) {
    this.#options = options
  }

  /** Starts to listen. A database that does not answer yet is tried again until it does. */
  async start(): Promise<void> {
    this.#poll = setInterval(() => this.#lookEverywhere(), EVENT_POLL_MS)
    this.#listener = await listen({
      url: this.#options.listenerUrl,
      applicationName: 'portage events',
      channels: [CHANNEL],
      onNotify: (_channel, payload) => this.#hint(payload),
      onConnected: () => this.#lookEverywhere(),
      onError: (error) => this.#failed(error),
    })
  }

  /** Ends all streams and stops listening. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#poll !== null) {
      clearInterval(this.#poll)
    }
    for (const tenant of this.#tenants.values()) {
      for (const subscriber of tenant.subscribers) {
        await subscriber.return()
      }
    }
    await this.#listener?.close()
  }

  /** Whether the tenant has a run of this id; false alike for another tenant's and for none. */
  runExists(tenantId: string, runId: string): Promise<boolean> {
    return withTenant(this.#options.source, tenantId, (tx) => runExists(tx, runId))
  }

  /**
   * Throws the Refusal that a stream with these arguments would end with at once: NOT_FOUND for a run that is not the
   * tenant's, INVALID_INPUT for an `after` that is no sequence or lies in the future.
   */
  async check(tenantId: string, runId: string | null, after: string | null): Promise<void> {
    await this.#standing(tenantId, runId, parseAfter(after))
  }

  /**
   * Events of one run: those behind `after` (all of them if null), then new ones. Never ends by itself, not even with
   * the run, because an undo may follow. Throws Refusal for bad arguments, here or from the first `next()`.
   */
  runEvents(tenantId: string, runId: string, options: StreamOptions): AsyncIterableIterator<RunEvent> {
    return this.#subscribe(tenantId, { kind: 'run', runId }, options)
  }

  /**
   * Events of all runs of the tenant, or of the given kinds of run: those behind `after`, then new ones. With `after`
   * null only new ones. Throws Refusal for bad arguments, here or from the first `next()`.
   */
  tenantEvents(
    tenantId: string,
    options: StreamOptions & { readonly kinds: readonly RunKind[] | null },
  ): AsyncIterableIterator<RunEvent> {
    return this.#subscribe(
      tenantId,
      options.kinds === null ? { kind: 'all' } : { kind: 'runKinds', runKinds: options.kinds },
      options,
    )
  }

  /** For metrics and tests. */
  stats(): FeedStats {
    let subscribers = 0
    let sharedBytes = 0
    let subscriberBytes = 0
    for (const tenant of this.#tenants.values()) {
      subscribers += tenant.subscribers.size
      sharedBytes += tenant.tail.bytes
      for (const subscriber of tenant.subscribers) {
        subscriberBytes += subscriber.bytes
      }
    }
    return { tenants: this.#tenants.size, subscribers, sharedBytes, subscriberBytes }
  }

  #subscribe(tenantId: string, filter: Filter, options: StreamOptions): AsyncIterableIterator<RunEvent> {
    if (this.#closed) {
      throw new Error('the event feed is closed')
    }
    const after = parseAfter(options.after)
    const minIntervalMs = options.minIntervalMs ?? MIN_INTERVAL_DEFAULT_MS
    if (!Number.isInteger(minIntervalMs) || minIntervalMs < 0 || minIntervalMs > MIN_INTERVAL_MAX_MS) {
      throw new Refusal(
        'INVALID_INPUT',
        `minIntervalMs is a whole number of milliseconds from 0 to ${MIN_INTERVAL_MAX_MS}.`,
        ['minIntervalMs'],
      )
    }
    const tenant = this.#tenant(tenantId)
    const { source } = this.#options
    const subscription = new Subscription({
      filter,
      after,
      minIntervalMs,
      signal: options.signal,
      tail: tenant.tail,
      // Through the gate, so that a thousand who come back at once leave the database to others too.
      standing: () =>
        this.#pageReads.run(() => this.#standing(tenantId, filter.kind === 'run' ? filter.runId : null, after)),
      page: (position, most) =>
        this.#pageReads.run(() => withTenant(source, tenantId, (tx) => readPage(tx, position, filter, most))),
      onError: (error) => this.#failed(error),
      onClose: (closed) => this.#leave(tenantId, tenant, closed),
    })
    if (options.signal?.aborted !== true) {
      tenant.subscribers.add(subscription)
    }
    return subscription
  }

  async #standing(tenantId: string, runId: string | null, after: number | null): Promise<Standing> {
    const standing = await withTenant(this.#options.source, tenantId, (tx) => readStanding(tx, runId))
    if (!standing.runExists) {
      throw new Refusal('NOT_FOUND', 'There is no run with this id.', ['runId'])
    }
    if (after !== null && after > standing.last) {
      const message = `after is ${formatSequence(after)}, but the newest event is ${formatSequence(standing.last)}. Hand over the sequence of an event that you have seen.`
      throw new Refusal('INVALID_INPUT', message, ['after'])
    }
    return standing
  }

  #tenant(tenantId: string): TenantFeed {
    const existing = this.#tenants.get(tenantId)
    if (existing !== undefined) {
      return existing
    }
    const tail = new Tail({
      bounds: {
        events: EVENT_TAIL_EVENTS_MAX,
        bytes: () => Math.min(EVENT_TAIL_BYTES_MAX, EVENT_TAILS_BYTES_MAX / this.#tenants.size),
      },
      read: (position) =>
        this.#tailReads.run(() =>
          withTenant(this.#options.source, tenantId, (tx) =>
            readPage(tx, position, { kind: 'all' }, EVENT_PAGE_EVENTS_MAX),
          ),
        ),
      onError: (error) => this.#failed(error),
    })
    const created = { tail, subscribers: new Set<Subscription>() }
    this.#tenants.set(tenantId, created)
    return created
  }

  #leave(tenantId: string, tenant: TenantFeed, subscription: Subscription): void {
    tenant.subscribers.delete(subscription)
    if (tenant.subscribers.size === 0 && this.#tenants.get(tenantId) === tenant) {
      this.#tenants.delete(tenantId)
    }
  }

  /** Anyone who may connect can notify, so the payload is believed only as a reason to look. */
  #hint(payload: string): void {
    const [tenantId = '', sequence = ''] = payload.split(' ')
    const tail = this.#tenants.get(tenantId)?.tail
    if (tail !== undefined && !(Number(sequence) <= tail.head)) {
      tail.refresh()
    }
  }

  #lookEverywhere(): void {
    for (const tenant of this.#tenants.values()) {
      tenant.tail.refresh()
    }
  }

  /** Everyone tries again by themselves; a database that is away must not fill the log. */
  #failed(error: unknown): void {
    this.#failures += 1
    const now = performance.now()
    if (!this.#closed && now - this.#failureLoggedAt >= EVENT_POLL_MS) {
      this.#options.log.warn({ err: error, count: this.#failures }, 'events could not be read; trying again')
      this.#failureLoggedAt = now
      this.#failures = 0
    }
  }
}

function parseAfter(after: string | null): number | null {
  if (after === null) {
    return null
  }
  const sequence = parseSequence(after)
  if (sequence === null) {
    throw new Refusal('INVALID_INPUT', 'after is the sequence of an event: 20 digits, exactly as it was given.', [
      'after',
    ])
  }
  return sequence
}
