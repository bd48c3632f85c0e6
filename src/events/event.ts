/** What a subscriber gets: the contract's RunEvent, and how a row of the table `event` becomes one. */

import type { RunStatus } from '../runs/status.js'
import type { Counts, Progress, RowIssueView, RunKind, StatusReason } from '../runs/types.js'

/** Position in a tenant's events as people and programs see it: 20 zero-padded digits, so text order is number order. */
export type Sequence = string

/** Body of a `RunStatusChanged` row. A run's first event is one with `from: null`, written when the run is created. */
export interface StatusBody {
  readonly from: RunStatus | null
  readonly to: RunStatus
  readonly reason: StatusReason | null
}

/** Body of a `RunProgressed` row. */
export interface ProgressBody {
  readonly counts: Counts
  readonly progress: Progress
}

/** Of the rows `fromRow` to `toRow` alone. In the table, `counts` may leave out what is 0, and the total. */
export interface SettledBody {
  readonly fromRow: number
  readonly toRow: number
  readonly counts: Counts
  /** The first issues of these rows, at most SETTLED_ISSUES_MAX. */
  readonly issues: readonly RowIssueView[]
  /** All issues of these rows. */
  readonly issueCount: number
}

interface Origin {
  readonly at: Date
  readonly runId: string
  readonly runKind: RunKind
}

/** One row of the table `event`. `bytes` estimates what it takes in memory. */
export type LoggedEvent = Origin & { readonly sequence: number; readonly bytes: number } & (
    | { readonly type: 'RunStatusChanged'; readonly body: StatusBody }
    | { readonly type: 'RunProgressed'; readonly body: ProgressBody }
    | { readonly type: 'RowsSettled'; readonly body: SettledBody }
  )

/** History from `from` to `to`, both included, that this subscriber has not seen and never will: it has been purged. */
export interface Gap {
  readonly type: 'StreamGap'
  /** Last of the missing ones: the stream goes on behind it. */
  readonly sequence: number
  readonly from: number
  readonly at: Date
}

interface Delivered {
  readonly sequence: Sequence
  /** The event before this one in this very stream; of the first one what was given as `after`, null for none. */
  readonly previousSequence: Sequence | null
}

/** One event as delivered. `runId` is the bare id; `runKind` tells what it is an id of. */
export type RunEvent = Delivered &
  (
    | (Origin & { readonly type: 'RunStatusChanged' } & StatusBody)
    | (Origin & { readonly type: 'RunProgressed' } & ProgressBody)
    | (Origin & { readonly type: 'RowsSettled' } & SettledBody)
    | {
        readonly type: 'StreamGap'
        readonly at: Date
        readonly runId: null
        readonly runKind: null
        readonly fromSequence: Sequence
        readonly toSequence: Sequence
      }
  )

const SEQUENCE_DIGITS = 20

const noCounts: Counts = {
  total: null,
  read: 0,
  created: 0,
  updated: 0,
  unchanged: 0,
  skipped: 0,
  failed: 0,
  unprocessed: 0,
  reverted: 0,
  kept: 0,
  deleted: 0,
}

/** The number as 20 zero-padded digits. */
export function formatSequence(sequence: number): Sequence {
  return String(sequence).padStart(SEQUENCE_DIGITS, '0')
}

/** The number behind 20 digits; null for any other text. Infinite or inexact never: such a number is refused as future. */
export function parseSequence(text: string): number | null {
  return /^\d{20}$/.test(text) ? Number(text) : null
}

/** One row of a query over `event`, with types as `Tx.query` gives them. */
export interface EventRow {
  readonly sequence: number
  readonly run_id: string
  readonly run_kind: RunKind
  readonly type: LoggedEvent['type']
  readonly at: Date
  readonly body: unknown
}

/** The event of a row. Bodies are written by our own transactions only, so their shape is taken as promised. */
export function fromRow(row: EventRow): LoggedEvent {
  const origin = { sequence: row.sequence, runId: row.run_id, runKind: row.run_kind, at: row.at }
  switch (row.type) {
    case 'RunStatusChanged':
      return { ...origin, type: row.type, body: row.body as StatusBody, bytes: PLAIN_EVENT_BYTES }
    case 'RunProgressed':
      return { ...origin, type: row.type, body: row.body as ProgressBody, bytes: PLAIN_EVENT_BYTES }
    case 'RowsSettled': {
      const written = row.body as SettledBody
      const body = { ...written, counts: { ...noCounts, ...written.counts } }
      return { ...origin, type: row.type, body, bytes: settledBytes(body) }
    }
    default:
      row.type satisfies never
      throw new Error(`the event ${String(row.sequence)} is of a type that this version does not know`)
  }
}

/** The event as its subscriber gets it. */
export function deliver(event: LoggedEvent | Gap, previousSequence: Sequence | null): RunEvent {
  const delivered = { sequence: formatSequence(event.sequence), previousSequence, at: event.at }
  if (event.type === 'StreamGap') {
    const range = { fromSequence: formatSequence(event.from), toSequence: formatSequence(event.sequence) }
    return { ...delivered, type: event.type, runId: null, runKind: null, ...range }
  }
  const origin = { ...delivered, runId: event.runId, runKind: event.runKind }
  switch (event.type) {
    case 'RunStatusChanged':
      return { ...origin, type: event.type, ...event.body }
    case 'RunProgressed':
      return { ...origin, type: event.type, ...event.body }
    case 'RowsSettled':
      return { ...origin, type: event.type, ...event.body }
    default:
      return event satisfies never
  }
}

/** Objects of an event without its issues, measured roughly: two dozen small fields. */
const PLAIN_EVENT_BYTES = 1000
const ISSUE_BYTES = 200

/** Memory that rows with these issues take, roughly: enough to bound buffers by. */
export function settledBytes(body: SettledBody): number {
  let bytes = PLAIN_EVENT_BYTES
  for (const issue of body.issues) {
    bytes += ISSUE_BYTES + 2 * ((issue.value?.length ?? 0) + issue.message.length + (issue.suggestion?.length ?? 0))
  }
  return bytes
}
