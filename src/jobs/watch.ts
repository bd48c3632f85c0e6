/** Looks at what waits and at what does not move, for those who run the service: metrics, and one line in the log for each stall. */
import type { Lane } from '../db/lane.js'
import { first, withTenant } from '../db/tx.js'
import { STALLED_SECONDS } from '../limits.js'
import type { Log } from '../log.js'
import { leaseAge, queueAge, queuedRuns, sealLag, stalledRuns, stalls, unsealedEntries } from '../metrics.js'
import { LEASE_SECONDS } from '../runs/commit.js'
import { type Claim, heldByLiving } from './claim.js'
import type { SharedLane } from './context.js'
import { type Loop, startLoop } from './loop.js'

/** How often, in milliseconds. */
const LOOK_MS = 5000

interface Watched {
  readonly claim: Claim
  /** How far the run was when it was looked at last; null before. */
  mark: string | null
  /** When it was there first, on the clock of `performance.now()`. */
  since: number
  told: boolean
}

const inHand = new Set<Watched>()

/**
 * Kinds of runs that only look on while runs of their own do the work, or that wait for a service outside: those are not to be judged
 * by their own counters.
 */
const watchingOthers: ReadonlySet<string> = new Set(['BUNDLE_IMPORT', 'MIGRATION'])

/** From now on the run has to move. Answers what ends that. */
export function watchClaim(claim: Claim): () => void {
  if (watchingOthers.has(claim.kind)) {
    return () => undefined
  }
  const watched: Watched = { claim, mark: null, since: performance.now(), told: false }
  inHand.add(watched)
  return () => inHand.delete(watched)
}

export interface WatchOptions {
  readonly presence: Lane
  readonly control: SharedLane
  readonly log: Log
  readonly stopping: AbortSignal
}

/** Looks until `stopping` or `close`. */
export function startWatch({ presence, control, log, stopping }: WatchOptions): Loop {
  return startLoop(
    { everyMs: LOOK_MS, stopping, log, failed: 'what waits could not be looked at; the next look follows' },
    async () => {
      await lookAtQueue(presence)
      await lookAtRuns(control, log, performance.now())
    },
  )
}

/** Sets the metrics of what waits: runs, leases and the audit. */
export async function lookAtQueue(presence: Lane): Promise<void> {
  const [queue] = await presence.session<{ waiting: number; age: number; lease: number }>(
    `select count(*) filter (where not held and due_at <= clock_timestamp())::float8 as waiting,
       coalesce(extract(epoch from clock_timestamp() - min(due_at) filter (where not held and due_at <= clock_timestamp())), 0)::float8 as age,
       greatest(0, coalesce(${LEASE_SECONDS} - extract(epoch from min(lease_until) filter (where held) - clock_timestamp()), 0))::float8 as lease
     from (select w.*, coalesce(${heldByLiving}, false) as held from run_wakeup w) w`,
  )
  const [audit] = await presence.session<{ waiting: number; age: number }>(
    // Of ids of version 7 the least is the oldest; PostgreSQL 18 has no min() of them.
    `select count(*)::float8 as waiting,
       greatest(0, coalesce(extract(epoch from clock_timestamp() -
         uuid_extract_timestamp((select entry_id from audit_pending order by entry_id limit 1))), 0))::float8 as age from audit_pending`,
  )
  queuedRuns.set(queue?.waiting ?? 0)
  queueAge.set(queue?.age ?? 0)
  leaseAge.set(queue?.lease ?? 0)
  unsealedEntries.set(audit?.waiting ?? 0)
  sealLag.set(audit?.age ?? 0)
}

/** Compares each run in hand with the look before. `now` is a time of `performance.now()`. */
export async function lookAtRuns(control: SharedLane, log: Log, now: number): Promise<void> {
  for (const watched of inHand) {
    const { tenantId, runId, kind: operation } = watched.claim
    const found = await control.use((lane) =>
      withTenant(lane, tenantId, (tx) =>
        first<{ mark: string }>(
          tx,
          `select concat_ws(' ', status, chunks, rows_read, bytes_read, total, run_settled(run), cursor) as mark
           from run where tenant_id = $1 and id = $2`,
          [tenantId, runId],
        ),
      ),
    )
    if (found?.mark !== watched.mark) {
      watched.mark = found?.mark ?? null
      watched.since = now
      watched.told = false
    } else if (!watched.told && now - watched.since >= STALLED_SECONDS * 1000) {
      watched.told = true
      stalls.inc()
      log.warn({ tenantId, runId, operation, milliseconds: Math.round(now - watched.since) }, 'a run makes no progress')
    }
  }
  stalledRuns.set([...inHand].filter(({ told }) => told).length)
}
