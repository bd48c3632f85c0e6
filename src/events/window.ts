/**
 * What one subscriber is about to get. Events go in at the back in sequence order and come out at the front; those that
 * wait may be folded into fewer.
 *
 * Why resuming after any delivered event misses and repeats nothing: the window always is a list of events of growing
 * sequence, each standing for a stretch of the log that ends at its own sequence, and the stretches join without a hole.
 * Two rules keep it so. (1) A newer progress of a run replaces a waiting one: what it stood for is superseded, and the
 * newer one has the greater sequence, so whoever leaves between the two gets it on return. (2) Settled rows are joined
 * only with the event directly before them in the window, under the later sequence; so nothing that is delivered
 * separately ever lies between the members. Rows of two runs that alternate in a tenant's stream are therefore not
 * joined: under one sequence they could not both be resumed exactly.
 */
import type { Counts, RowIssueView } from '../runs/types.js'
import { type Gap, type LoggedEvent, type SettledBody, settledBytes } from './event.js'

export interface WindowBounds {
  /** Events that wait at most. */
  readonly events: number
  /** Estimated bytes after which no further event is taken; one event always fits. */
  readonly bytes: number
  /** Issues kept when settled rows are joined. */
  readonly issues: number
}

type Settled = Extract<LoggedEvent, { type: 'RowsSettled' }>

export class Window {
  readonly #bounds: WindowBounds
  readonly #fold: boolean
  #waiting: (LoggedEvent | Gap)[] = []
  #bytes = 0
  /** How many at the front may be taken out. */
  #released = 0
  /** How many at the front are never changed again: up to and including the last status or gap. */
  #fixed = 0

  /** With `fold` false every event is delivered as it was written. */
  constructor(bounds: WindowBounds, fold: boolean) {
    this.#bounds = bounds
    this.#fold = fold
  }

  get full(): boolean {
    return this.#waiting.length >= this.#bounds.events || this.#bytes >= this.#bounds.bytes
  }

  get empty(): boolean {
    return this.#waiting.length === 0
  }

  /** Estimated. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether `take` has something. */
  get ready(): boolean {
    return this.#released > 0
  }

  /** Whether a status or a gap waits, which must not. */
  get urgent(): boolean {
    return this.#fixed > this.#released
  }

  /** Takes the next event of the log. Its sequence must be greater than any before. */
  add(event: LoggedEvent | Gap): void {
    if (event.type === 'RunProgressed' && this.#fold) {
      this.#dropSuperseded(event.runId)
    }
    this.#waiting.push(event)
    this.#bytes += sizeOf(event)
    if (event.type === 'RowsSettled' && this.#fold) {
      this.#join(this.#waiting.length - 1)
    }
    if (event.type === 'RunStatusChanged' || event.type === 'StreamGap') {
      this.#fixed = this.#waiting.length
    }
  }

  /** Lets out what waits up to the last status or gap. */
  releaseUrgent(): void {
    this.#released = Math.max(this.#released, this.#fixed)
  }

  /** Lets out everything that waits. */
  releaseAll(): void {
    this.#released = this.#waiting.length
  }

  /** The next event that was let out; null for none. */
  take(): LoggedEvent | Gap | null {
    if (this.#released === 0) {
      return null
    }
    const event = this.#waiting.shift() ?? null
    this.#released -= 1
    this.#fixed = Math.max(0, this.#fixed - 1)
    if (event !== null) {
      this.#bytes -= sizeOf(event)
    }
    return event
  }

  /** Forgets everything. */
  clear(): void {
    this.#waiting = []
    this.#bytes = 0
    this.#released = 0
    this.#fixed = 0
  }

  get #open(): number {
    return Math.max(this.#fixed, this.#released)
  }

  #dropSuperseded(runId: string): void {
    for (let index = this.#waiting.length - 1; index >= this.#open; index -= 1) {
      const waiting = this.#waiting[index]
      if (waiting?.type === 'RunProgressed' && waiting.runId === runId) {
        this.#waiting.splice(index, 1)
        this.#bytes -= waiting.bytes
        // What it kept apart may be neighbours now.
        this.#join(index)
        return
      }
    }
  }

  /** Joins the settled rows at `index` with those directly before, if they are of one run and of adjacent rows. */
  #join(index: number): void {
    const earlier = this.#waiting[index - 1]
    const later = this.#waiting[index]
    if (index - 1 < this.#open || earlier?.type !== 'RowsSettled' || later?.type !== 'RowsSettled') {
      return
    }
    if (earlier.runId !== later.runId || !adjacent(earlier.body, later.body)) {
      return
    }
    const joined = joinSettled(earlier, later, this.#bounds.issues)
    this.#waiting.splice(index - 1, 2, joined)
    this.#bytes += joined.bytes - earlier.bytes - later.bytes
  }
}

function sizeOf(event: LoggedEvent | Gap): number {
  return event.type === 'StreamGap' ? 0 : event.bytes
}

// Chunks in flight may land in either order, and an undo may walk backwards.
function adjacent(a: SettledBody, b: SettledBody): boolean {
  return a.toRow + 1 === b.fromRow || b.toRow + 1 === a.fromRow
}

function joinSettled(earlier: Settled, later: Settled, issuesMax: number): Settled {
  const [low, high] =
    earlier.body.fromRow < later.body.fromRow ? [earlier.body, later.body] : [later.body, earlier.body]
  const body: SettledBody = {
    fromRow: low.fromRow,
    toRow: high.toRow,
    counts: addCounts(low.counts, high.counts),
    issues: joinIssues(low, high, issuesMax),
    issueCount: low.issueCount + high.issueCount,
  }
  return { ...later, body, bytes: settledBytes(body) }
}

// Where the lower rows have more issues than they list, the first ones of both are the lower rows' alone.
function joinIssues(low: SettledBody, high: SettledBody, most: number): readonly RowIssueView[] {
  return low.issueCount > low.issues.length ? low.issues : [...low.issues, ...high.issues].slice(0, most)
}

function addCounts(a: Counts, b: Counts): Counts {
  return {
    total: a.total === null || b.total === null ? null : a.total + b.total,
    read: a.read + b.read,
    created: a.created + b.created,
    updated: a.updated + b.updated,
    unchanged: a.unchanged + b.unchanged,
    skipped: a.skipped + b.skipped,
    failed: a.failed + b.failed,
    unprocessed: a.unprocessed + b.unprocessed,
    reverted: a.reverted + b.reverted,
    kept: a.kept + b.kept,
    deleted: a.deleted + b.deleted,
  }
}
