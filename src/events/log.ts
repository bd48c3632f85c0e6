/**
 * The table `event`: reading a stretch of it, and purging its oldest part. A tenant's sequence row is locked until the
 * commit of whoever appends, so a later sequence is never visible before an earlier one: reading upwards skips nothing.
 */
import { one, type TenantSource, type Tx, withTenant } from '../db/tx.js'
import { EVENT_PAGE_BYTES, EVENT_PURGE_BATCH_EVENTS } from '../limits.js'
import type { RunKind } from '../runs/types.js'
import { type EventRow, fromRow, type LoggedEvent } from './event.js'

/** Which of a tenant's events a stream consists of. */
export type Filter =
  | { readonly kind: 'all' }
  | { readonly kind: 'run'; readonly runId: string }
  | { readonly kind: 'runKinds'; readonly runKinds: readonly RunKind[] }

/** Whether the filter lets the event through: the same choice as `where` makes in SQL. */
export function lets(filter: Filter, event: LoggedEvent): boolean {
  switch (filter.kind) {
    case 'all':
      return true
    case 'run':
      return event.runId === filter.runId
    case 'runKinds':
      return filter.runKinds.includes(event.runKind)
    default:
      return filter satisfies never
  }
}

/** A stretch of the log as one statement saw it. */
export interface LogPage {
  /** Matching events behind the asked position, oldest first. */
  readonly events: readonly LoggedEvent[]
  /** Everything up to here has been looked at: the next page starts behind it. */
  readonly through: number
  /** Newest sequence of the tenant at that moment. */
  readonly last: number
  /** History up to and including this sequence is gone. */
  readonly purged: number
}

/**
 * Matching events behind `position`, at most `most` (1 to EVENT_PAGE_EVENTS_MAX) and, if there are several, of about
 * EVENT_PAGE_BYTES. One statement, so that events and `purged` fit together.
 */
export async function readPage(tx: Tx, position: number, filter: Filter, most: number): Promise<LogPage> {
  const params: unknown[] = [position, most, EVENT_PAGE_BYTES]
  let condition = ''
  if (filter.kind === 'run') {
    condition = 'and run_id = $4'
    params.push(filter.runId)
  } else if (filter.kind === 'runKinds') {
    condition = 'and run_kind = any($4)'
    params.push([...filter.runKinds])
  }
  interface PageRow extends Omit<EventRow, 'sequence'> {
    readonly last: number
    readonly purged: number
    readonly found: number
    /** Null in the only row of a page without events. */
    readonly sequence: number | null
  }
  // pg_column_size is the stored, perhaps compressed size: measuring the real one would unpack every body twice.
  const rows = await tx.query<PageRow>(
    `with found as materialized (
       select sequence, run_id, run_kind, type, at, body, pg_column_size(body) as size from event
       where tenant_id = (select current_tenant()) and sequence > $1 ${condition} order by sequence limit $2)
     select s.last, s.purged, (select count(*) from found) as found, p.sequence, p.run_id, p.run_kind, p.type, p.at, p.body
     from tenant_sequence s
     left join (select *, sum(size) over (order by sequence) - size as bytes_before from found) p on p.bytes_before < $3
     where s.tenant_id = (select current_tenant()) order by p.sequence`,
    params,
  )
  const head = rows[0]
  if (head === undefined) {
    throw new Error('the tenant has no sequence row')
  }
  const events: LoggedEvent[] = []
  for (const row of rows) {
    if (row.sequence !== null) {
      events.push(fromRow({ ...row, sequence: row.sequence }))
    }
  }
  const whole = events.length === head.found && head.found < most
  const through = whole ? Math.max(position, head.last) : (events.at(-1)?.sequence ?? position)
  return { events, through, last: head.last, purged: head.purged }
}

/** What a stream needs to know about its tenant and run before it starts. */
export interface Standing {
  readonly last: number
  readonly purged: number
  /** True without a run. */
  readonly runExists: boolean
  /** Whether the run's first event (the one with `from: null`) is still there; true without a run. */
  readonly runWhole: boolean
}

/** Looks at the tenant's sequence and, unless null, at the run. An id that is no UUID is one of no run. */
export async function readStanding(tx: Tx, runId: string | null): Promise<Standing> {
  const exists = runId === null || (await runExists(tx, runId))
  return one<{ last: number; purged: number; runExists: boolean; runWhole: boolean }>(
    tx,
    `select last, purged, $2::boolean as "runExists", $1::uuid is null or coalesce(
       (select type = 'RunStatusChanged' and body ->> 'from' is null from event
        where tenant_id = (select current_tenant()) and run_id = $1::uuid order by sequence limit 1), false) as "runWhole"
     from tenant_sequence where tenant_id = (select current_tenant())`,
    [exists ? runId : null, exists],
  )
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether the tenant has a run of this id. A run of another tenant is none. */
export async function runExists(tx: Tx, runId: string): Promise<boolean> {
  if (!uuid.test(runId)) {
    return false
  }
  const rows = await tx.query('select 1 from run where tenant_id = (select current_tenant()) and id = $1', [runId])
  return rows.length === 1
}

/**
 * Deletes the tenant's events that happened before `olderThan` and answers how many; only the worker's role may. Each
 * transaction deletes a batch of the oldest and says in `purged` how far it went, so that a reader sees either the
 * events or the gap. An event of a later time keeps everything behind it: what is gone is always the oldest part.
 */
export async function purgeEvents(source: TenantSource, tenantId: string, olderThan: Date): Promise<number> {
  let deleted = 0
  for (;;) {
    const batch = await withTenant(source, tenantId, (tx) => purgeBatch(tx, olderThan))
    deleted += batch
    if (batch < EVENT_PURGE_BATCH_EVENTS) {
      return deleted
    }
  }
}

// The sequence row comes last, so that nobody who appends waits for the deletion. Whatever is visible here is followed
// by nothing uncommitted with a smaller sequence, so the batch needs no lock.
async function purgeBatch(tx: Tx, olderThan: Date): Promise<number> {
  const { upto, count } = await one<{ upto: number | null; count: number }>(
    tx,
    `select max(sequence) as upto, count(*) as count from (
       select sequence, bool_and(at < $1) over (order by sequence) as old from (
         select sequence, at from event where tenant_id = (select current_tenant()) order by sequence limit $2) oldest) marked
     where old`,
    [olderThan, EVENT_PURGE_BATCH_EVENTS],
  )
  if (upto === null) {
    return 0
  }
  await tx.query('delete from event where tenant_id = (select current_tenant()) and sequence <= $1', [upto])
  await tx.query(
    'update tenant_sequence set purged = greatest(purged, $1) where tenant_id = (select current_tenant())',
    [upto],
  )
  return count
}
