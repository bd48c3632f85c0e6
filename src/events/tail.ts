/**
 * The newest events of one tenant, shared by all its subscribers in this process: whoever keeps up reads them here, and
 * each event is read from the database once. One read at a time; what is asked for meanwhile leads to one more.
 */
import type { LoggedEvent } from './event.js'
import type { LogPage } from './log.js'

export interface TailBounds {
  readonly events: number
  /** Estimated; asked at each read, because it depends on how many tenants share the memory. */
  readonly bytes: () => number
}

export interface TailOptions {
  readonly bounds: TailBounds
  /** Reads all of the tenant's events behind a position. */
  readonly read: (position: number) => Promise<LogPage>
  readonly onError: (error: unknown) => void
}

export class Tail {
  readonly #options: TailOptions
  readonly #watchers = new Set<() => void>()
  #events: LoggedEvent[] = []
  #bytes = 0
  /** Every event behind this and up to `#head` is in `#events`; null before `begin`. */
  #since: number | null = null
  #head = 0
  #reading = false
  #again = false

  constructor(options: TailOptions) {
    this.#options = options
  }

  /** Estimated. */
  get bytes(): number {
    return this.#bytes
  }

  /** Newest sequence known; 0 before `begin`. */
  get head(): number {
    return this.#head
  }

  /** Starts behind `last`, unless it has started. */
  begin(last: number): void {
    if (this.#since === null) {
      this.#since = last
      this.#head = last
      // Told of something newer while the start was being looked up.
      if (this.#again) {
        this.refresh()
      }
    }
  }

  /** Calls `onChange` after each read that found something, until the returned function is called. */
  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => this.#watchers.delete(onChange)
  }

  /** Whether all events behind `position` are here, as far as they are known. */
  covers(position: number): boolean {
    return this.#since !== null && position >= this.#since
  }

  /** The known events behind `position`, oldest first. Only for a position that is covered. */
  *after(position: number): Generator<LoggedEvent> {
    // Sequences are dense, so the place in the buffer is known.
    for (let index = Math.max(0, position - (this.#since ?? 0)); index < this.#events.length; index += 1) {
      const event = this.#events[index]
      if (event !== undefined) {
        yield event
      }
    }
  }

  /** Looks for new events, now or once more after the read that is under way. */
  refresh(): void {
    if (this.#since === null || this.#reading) {
      this.#again = true
      return
    }
    this.#readOn().catch(this.#options.onError)
  }

  async #readOn(): Promise<void> {
    this.#reading = true
    try {
      do {
        this.#again = false
        const page = await this.#options.read(this.#head)
        const behind = page.last - page.through
        if (behind > this.#options.bounds.events) {
          // After a long silence: those who want the events between read them from the log themselves.
          this.#skipTo(page.last - this.#options.bounds.events)
        } else if (page.through > this.#head) {
          this.#append(page)
        }
        this.#again ||= behind > 0
      } while (this.#again)
    } finally {
      this.#reading = false
    }
  }

  #append(page: LogPage): void {
    const first = page.events[0]
    // Only what was purged before it could be read leaves a hole.
    if (first === undefined || first.sequence !== this.#head + 1) {
      this.#skipTo(first === undefined ? page.through : first.sequence - 1)
    }
    for (const event of page.events) {
      this.#events.push(event)
      this.#bytes += event.bytes
    }
    this.#head = page.through
    this.#evict()
    for (const watcher of this.#watchers) {
      watcher()
    }
  }

  #evict(): void {
    const bytes = this.#options.bounds.bytes()
    let gone = 0
    while (this.#events.length - gone > this.#options.bounds.events || this.#bytes > bytes) {
      const event = this.#events[gone]
      if (event === undefined) {
        break
      }
      this.#bytes -= event.bytes
      this.#since = event.sequence
      gone += 1
    }
    this.#events.splice(0, gone)
  }

  #skipTo(position: number): void {
    this.#events = []
    this.#bytes = 0
    this.#since = position
    this.#head = position
  }
}
