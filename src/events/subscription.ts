/** One subscriber's stream: pulled, so that a slow consumer costs a bounded window and no more. */
import { Refusal } from '../errors.js'
import {
  EVENT_PAGE_EVENTS_MAX,
  EVENT_POLL_MS,
  SETTLED_ISSUES_MAX,
  SUBSCRIBER_BYTES_MAX,
  SUBSCRIBER_EVENTS_MAX,
  SUBSCRIBER_FOLDED_EVENTS_MAX,
} from '../limits.js'
import { deliver, formatSequence, type Gap, type RunEvent, type Sequence } from './event.js'
import { type Filter, type LogPage, lets, type Standing } from './log.js'
import type { Tail } from './tail.js'
import { Window } from './window.js'

export interface SubscriptionOptions {
  readonly filter: Filter
  /** Null: a run's stream starts at its first event, a tenant's now. */
  readonly after: number | null
  readonly minIntervalMs: number
  readonly signal: AbortSignal | undefined
  readonly tail: Tail
  /** Throws Refusal for what can never be answered. */
  readonly standing: () => Promise<Standing>
  readonly page: (position: number, most: number) => Promise<LogPage>
  /** A read failed and will be tried again. */
  readonly onError: (error: unknown) => void
  readonly onClose: (subscription: Subscription) => void
}

const bounds = { events: SUBSCRIBER_EVENTS_MAX, bytes: SUBSCRIBER_BYTES_MAX, issues: SETTLED_ISSUES_MAX }
/** Pages of someone who is behind: small until it is known how many events fit. */
const PAGE_EVENTS_FIRST = 64
const PAGE_EVENTS_MIN = 8

const done = { value: undefined, done: true } as const

export class Subscription implements AsyncIterableIterator<RunEvent> {
  readonly #options: SubscriptionOptions
  readonly #window: Window
  readonly #unwatch: () => void
  readonly #abort = () => this.#close()
  /** Everything up to here has been looked at; null before the start. */
  #position: number | null = null
  #previous: Sequence | null
  /** Log events taken since the window was last let out. */
  #folded = 0
  /** Size of the next page. */
  #pageEvents = PAGE_EVENTS_FIRST
  /** When waiting events are due, on the clock of `performance.now()`. */
  #due = 0
  #closed = false
  #wakeUp: (() => void) | null = null
  /** The call of `next` before, so that calls answer in their order. */
  #turn: Promise<unknown>

  constructor(options: SubscriptionOptions) {
    this.#options = options
    this.#window = new Window(bounds, options.minIntervalMs > 0)
    this.#previous = options.after === null ? null : formatSequence(options.after)
    this.#unwatch = options.tail.watch(() => this.#wakeUp?.())
    if (options.signal?.aborted === true) {
      this.#close()
    }
    options.signal?.addEventListener('abort', this.#abort, { once: true })
    // At once, so that "now" is when the stream was asked for. Whoever calls `next` first learns of a refusal.
    this.#turn = this.#begin()
    this.#turn.catch(() => undefined)
  }

  /** Estimated bytes that wait for the subscriber. */
  get bytes(): number {
    return this.#window.bytes
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<RunEvent>> {
    const result = this.#turn.then(() => this.#pull())
    this.#turn = result.catch(() => undefined)
    return result.catch((error: unknown) => {
      this.#close()
      throw error
    })
  }

  /** Ends the stream, also under a `next` that is waiting. */
  return(): Promise<IteratorResult<RunEvent>> {
    this.#close()
    return Promise.resolve(done)
  }

  throw(error: unknown): Promise<IteratorResult<RunEvent>> {
    this.#close()
    return Promise.reject(error instanceof Error ? error : new Error(String(error)))
  }

  #close(): void {
    if (this.#closed) {
      return
    }
    this.#closed = true
    this.#unwatch()
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#window.clear()
    this.#wakeUp?.()
    this.#options.onClose(this)
  }

  async #pull(): Promise<IteratorResult<RunEvent>> {
    for (;;) {
      const event = this.#closed ? null : this.#window.take()
      if (event !== null) {
        const delivered = deliver(event, this.#previous)
        this.#previous = delivered.sequence
        return { value: delivered, done: false }
      }
      if (this.#closed) {
        return done
      }
      const atEnd = await this.#look()
      this.#release(atEnd)
      if (atEnd && !this.#window.ready) {
        await this.#wait()
      }
    }
  }

  /** Finds the position to start behind. */
  async #begin(): Promise<void> {
    while (!this.#closed) {
      const standing = await this.#tryAgain(this.#options.standing)
      if (standing === null) {
        continue
      }
      const { after, filter, tail } = this.#options
      tail.begin(standing.last)
      if (after !== null) {
        this.#position = after
      } else if (filter.kind === 'run') {
        if (!standing.runWhole) {
          this.#miss(1, standing.purged)
        }
        this.#position = standing.purged
      } else {
        this.#position = standing.last
      }
      return
    }
  }

  /** Takes events in, from memory if they are there, else from the log. Answers whether that was all there is. */
  async #look(): Promise<boolean> {
    const { tail } = this.#options
    const position = this.#position ?? 0
    if (tail.covers(position)) {
      this.#position = this.#take(tail.after(position)) ?? Math.max(position, tail.head)
      return this.#position >= tail.head
    }
    const page = await this.#tryAgain(() => this.#options.page(position, this.#pageEvents))
    if (page === null || this.#closed) {
      return false
    }
    this.#miss(position + 1, page.purged)
    const folded = this.#folded
    this.#position = this.#take(page.events) ?? Math.max(page.through, page.purged)
    // How large events are shows only now; about as many as fit are asked for next time.
    this.#pageEvents = Math.min(EVENT_PAGE_EVENTS_MAX, Math.max(PAGE_EVENTS_MIN, 2 * (this.#folded - folded)))
    return this.#position >= page.last
  }

  /** Puts events into the window while it has room. Answers where it stopped; null if it took all of them. */
  #take(events: Iterable<Parameters<typeof lets>[1]>): number | null {
    let position = this.#position ?? 0
    for (const event of events) {
      if (this.#window.full || this.#folded >= SUBSCRIBER_FOLDED_EVENTS_MAX) {
        return position
      }
      if (lets(this.#options.filter, event)) {
        this.#window.add(event)
        this.#folded += 1
      }
      position = event.sequence
    }
    return null
  }

  #miss(from: number, purged: number): void {
    if (from <= purged) {
      const gap: Gap = { type: 'StreamGap', sequence: purged, from, at: new Date() }
      this.#window.add(gap)
      this.#position = purged
    }
  }

  /** Lets out what may go: a status at once, the rest when it is due or there is too much of it. */
  #release(atEnd: boolean): void {
    const now = performance.now()
    const crowded = this.#window.full || this.#folded >= SUBSCRIBER_FOLDED_EVENTS_MAX
    if (this.#options.minIntervalMs === 0 || crowded || (atEnd && now >= this.#due)) {
      this.#window.releaseAll()
    } else {
      this.#window.releaseUrgent()
    }
    if (this.#window.ready) {
      this.#folded = 0
      this.#due = now + this.#options.minIntervalMs
    }
  }

  /** Until there are new events, those that wait are due, or the stream is closed. */
  async #wait(): Promise<void> {
    if (this.#closed || this.#options.tail.head > (this.#position ?? 0)) {
      return
    }
    await this.#sleep(this.#window.empty ? null : this.#due - performance.now())
  }

  async #sleep(milliseconds: number | null): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve
      if (milliseconds !== null) {
        timer = setTimeout(resolve, Math.max(0, milliseconds))
      }
    })
    this.#wakeUp = null
    clearTimeout(timer)
  }

  /** The result of a read; null after a pause if the database did not answer. Throws Refusal. */
  async #tryAgain<T>(read: () => Promise<T>): Promise<T | null> {
    try {
      return await read()
    } catch (error) {
      if (error instanceof Refusal) {
        throw error
      }
      this.#options.onError(error)
    }
    if (!this.#closed) {
      await this.#sleep(EVENT_POLL_MS)
    }
    return null
  }
}
