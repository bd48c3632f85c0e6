/**
 * What the events of a run have told so far: counters, pace and where in the file what became of rows. All of it is bounded, so that a
 * run of many million rows takes no more memory than a short one.
 */
import type { RunEvent } from '../../ui/live.ts'
import { isMoving } from '../../ui/run-words.ts'

type Progressed = Extract<RunEvent, { __typename: 'RunProgressed' }>
type Settled = Extract<RunEvent, { __typename: 'RowsSettled' }>

/** One stretch of the file, by outcome. */
export interface Stretch {
  created: number
  updated: number
  unchanged: number
  skipped: number
  failed: number
}

/** Stretches that the file is drawn in. */
export const STRETCHES = 240

/** Points that the pace is drawn with at most; beyond, two become one. */
const POINTS_MAX = 400

/** A shorter run has no pace worth a picture. Milliseconds. */
const PACE_MS_MIN = 2_000

/** Issues that are kept, the newest. */
const ISSUES_MAX = 100

/** Part of a point of the pace: rows settled until a moment. */
interface Point {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly rows: number
  readonly failed: number
}

export class History {
  /** The status that the events have come to; null before the first. */
  status: string | null = null
  /** The newest progress of the pass over the rows that the events have come to; null until one was told. */
  progressed: Progressed | null = null
  /** The status in which it was told. */
  progressedIn: string | null = null
  /** Events from before the oldest that is kept are gone. */
  gap = false
  points: Point[] = []
  issues: Settled['issues'][number][] = []
  /** The number of the first row of data: the rows of a file are counted from its first line, which may be a heading. */
  firstRow = 1
  /** Rows that one stretch stands for. */
  #span = 1
  #stretches: Stretch[] = []

  /** Takes events in order. True: the status has changed, what was read of the run is old. */
  add(events: readonly RunEvent[]): boolean {
    let changed = false
    for (const event of events) {
      switch (event.__typename) {
        case 'RunStatusChanged':
          this.status = event.to
          changed = true
          if (event.to === 'ANALYZING' || event.to === 'PLANNING') {
            this.progressed = null
            this.points = []
          }
          break
        case 'RunProgressed':
          this.progressed = event
          this.progressedIn = this.status
          // What a retry changes of an ended run is no pace of its own.
          if (this.status !== null && isMoving(this.status)) {
            this.#point(event)
          }
          break
        case 'RowsSettled':
          this.#settle(event)
          break
        case 'StreamGap':
          this.gap = true
          break
      }
    }
    return changed
  }

  /** The stretches of a file of `rows` rows, from its first row to its last. */
  stretches(rows: number): readonly Stretch[] {
    return this.#stretches.slice(0, Math.max(1, Math.ceil(rows / this.#span)))
  }

  /** Whether the points tell of so much time that a picture of them says something. */
  get hasPace(): boolean {
    const [first] = this.points
    const last = this.points.at(-1)
    return this.points.length > 2 && first !== undefined && last !== undefined && last.at - first.at >= PACE_MS_MIN
  }

  /** Rows of one stretch. */
  get span(): number {
    return this.#span
  }

  #point({ at, counts }: Progressed): void {
    const rows = counts.read
    const last = this.points.at(-1)
    if (last !== undefined && rows < last.rows) {
      // The rows are gone through anew.
      this.points = []
    }
    this.points.push({ at: Date.parse(at), rows, failed: counts.failed })
    if (this.points.length > POINTS_MAX) {
      this.points = this.points.filter((_, index) => index % 2 === 0 || index === this.points.length - 1)
    }
  }

  #settle({ fromRow: from, toRow: to, counts, issues }: Settled): void {
    if (this.#stretches.length === 0 && !this.gap) {
      this.firstRow = from
    }
    // From here on rows are counted from the first one of data.
    const fromRow = Math.max(1, from - this.firstRow + 1)
    const toRow = Math.max(1, to - this.firstRow + 1)
    for (const issue of issues) {
      this.issues.push(issue)
    }
    if (this.issues.length > ISSUES_MAX) {
      this.issues = this.issues.slice(-ISSUES_MAX)
    }
    while (toRow > this.#span * STRETCHES) {
      this.#stretches = halved(this.#stretches)
      this.#span *= 2
    }
    const rows = toRow - fromRow + 1
    const first = Math.floor((fromRow - 1) / this.#span)
    const last = Math.floor((toRow - 1) / this.#span)
    while (this.#stretches.length <= last) {
      this.#stretches.push(empty())
    }
    for (let index = first; index <= last; index++) {
      const begin = Math.max(fromRow, index * this.#span + 1)
      const end = Math.min(toRow, (index + 1) * this.#span)
      const part = (end - begin + 1) / rows
      const stretch = this.#stretches[index] ?? empty()
      stretch.created += counts.created * part
      stretch.updated += counts.updated * part
      stretch.unchanged += counts.unchanged * part
      stretch.skipped += counts.skipped * part
      stretch.failed += counts.failed * part
    }
  }
}

function empty(): Stretch {
  return { created: 0, updated: 0, unchanged: 0, skipped: 0, failed: 0 }
}

function halved(stretches: readonly Stretch[]): Stretch[] {
  const half: Stretch[] = []
  for (let index = 0; index < stretches.length; index += 2) {
    const [one = empty(), other = empty()] = [stretches[index], stretches[index + 1]]
    half.push({
      created: one.created + other.created,
      updated: one.updated + other.updated,
      unchanged: one.unchanged + other.unchanged,
      skipped: one.skipped + other.skipped,
      failed: one.failed + other.failed,
    })
  }
  return half
}
