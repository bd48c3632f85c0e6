/** Clears away what has had its time: events, idempotency keys, files, unfinished uploads. One tenant, one transaction. */
import { tidyQuotas } from '../access/quotas.js'
import type { FileStore } from '../adapters/files/storage.js'
import type { Config } from '../config.js'
import type { Lane } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import { purgeEvents } from '../events/log.js'
import { NOTICE_RETENTION_DAYS, STORE_ORPHAN_HOURS, STORE_PURGE_BATCH_FILES } from '../limits.js'
import type { Log } from '../log.js'
import { purgeUploads } from './purge-uploads.js'
import { reconcileFiles } from './reconcile-files.js'
import { FileRemover } from './remove-files.js'
import { tidyIntegrations } from './tidy-integrations.js'
import { tidyMigrations } from './tidy-migrations.js'

/** Idempotency keys are kept at least so long; the API promises 24 hours. */
const IDEMPOTENCY_HOURS = 48

/** Keeps two workers from cleaning at once. */
const HOUSEKEEPING_LOCK = 7_270_434

export interface HouseOptions {
  /** Whether the whole store is looked through too, which lists every file in it. Default true. */
  readonly thorough?: boolean
  readonly log?: Log
  /** Aborted when the worker is asked to stop: the rest is left to the next round. */
  readonly signal?: AbortSignal
}

/** Does one round, unless another worker is at it. */
export async function keepHouse(
  lane: Lane,
  files: FileStore,
  config: Config,
  { thorough = true, log, signal }: HouseOptions = {},
): Promise<void> {
  const lock = await lane.session<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [HOUSEKEEPING_LOCK])
  if (lock[0]?.taken !== true) {
    return
  }
  try {
    const failures: unknown[] = []
    const remover = new FileRemover(files, log)
    const cutoffs = await cutoffsOf(lane, config)
    const tenants = await lane.session<{ id: string }>('select id from tenant order by id')
    for (const tenant of tenants) {
      if (signal?.aborted === true) {
        return
      }
      try {
        await purgeEvents(lane, tenant.id, cutoffs.events)
        await tidyMigrations(lane, remover, tenant.id)
        await purgeTenant(lane, remover, tenant.id)
        await purgeUploads(lane, remover, tenant.id)
        await withTenant(lane, tenant.id, tidyQuotas)
        await tidyIntegrations(lane, tenant.id, config.masterKeys, log)
      } catch (error) {
        // What fails for one tenant must not keep the others' data from being cleared away.
        failures.push(error)
      }
    }
    const left = await files.tidy()
    if (left > 0) {
      log?.info({ count: left }, 'removed what broken uploads had left in the store')
    }
    if (thorough) {
      const swept = await files.sweep(cutoffs.orphans)
      const ids = tenants.map(({ id }) => id)
      const { orphans, lost, doubtful } = await reconcileFiles(lane, files, ids, { remover, signal })
      for (const tenantId of doubtful) {
        log?.warn(
          { tenantId },
          'too many files are missing from the store, or unknown to the database: is it the right one? nothing was changed',
        )
      }
      if (lost > 0) {
        log?.warn({ count: lost }, 'files are gone from the store that nobody purged')
      }
      if (swept + orphans > 0) {
        log?.info({ count: swept + orphans }, 'removed what broken uploads had left in the store')
      }
    }
    if (remover.failed > 0) {
      log?.warn({ count: remover.failed }, 'files could not be removed from the store; the next rounds try again')
    }
    if (failures.length > 0) {
      throw new AggregateError(failures, `housekeeping failed for ${failures.length} of ${tenants.length} tenants`)
    }
  } finally {
    await lane.session('select pg_advisory_unlock($1)', [HOUSEKEEPING_LOCK])
  }
}

interface Cutoffs {
  /** Older events go. */
  readonly events: Date
  /** Older files of the store that nobody knows of go. */
  readonly orphans: Date
}

/** By the clock of the database, which all workers share: that of one machine may be wrong by days. */
async function cutoffsOf(lane: Lane, config: Config): Promise<Cutoffs> {
  const [row] = await lane.session<Cutoffs>(
    `select now() - $1 * interval '1 day' as events, now() - $2 * interval '1 hour' as orphans`,
    [config.eventRetentionDays, STORE_ORPHAN_HOURS],
  )
  if (row === undefined) {
    throw new Error('the database does not tell the time')
  }
  return row
}

async function purgeTenant(lane: Lane, remover: FileRemover, tenantId: string): Promise<void> {
  const keys = await withTenant(lane, tenantId, async (tx) => {
    await tx.query("delete from idempotency where tenant_id = $1 and created_at < now() - $2 * interval '1 hour'", [
      tenantId,
      IDEMPOTENCY_HOURS,
    ])
    // What was told. Of a run that goes on it stays: it says what has been told already.
    await tx.query(
      `delete from outbox o where o.tenant_id = $1 and o.created_at < now() - $2 * interval '1 day' and o.spread_at is not null
         and not exists (select from run r where r.tenant_id = $1 and r.id = o.run_id and r.finished_at is null)`,
      [tenantId, NOTICE_RETENTION_DAYS],
    )
    await tx.query(
      `delete from webhook_delivery where tenant_id = $1 and created_at < now() - $2 * interval '1 day' and next_attempt_at is null`,
      [tenantId, NOTICE_RETENTION_DAYS],
    )
    await tx.query(
      'update webhook set previous_secret = null, previous_until = null where tenant_id = $1 and previous_until < now()',
      [tenantId],
    )
    // Files of runs that still need them stay, however old they are.
    const rows = await tx.query<{ storage_key: string }>(
      `update source_file set purged_at = now() where tenant_id = $1 and id in (
         select f.id from source_file f where f.tenant_id = $1 and f.purged_at is null and f.expires_at < now()
           and not exists (select from run r where r.tenant_id = $1 and r.source_file_id = f.id and r.finished_at is null)
         limit ${STORE_PURGE_BATCH_FILES})
       returning storage_key`,
      [tenantId],
    )
    // What was made from a file goes with it.
    const made = await tx.query<{ storage_key: string }>(
      `delete from run_file m using run r, source_file f
       where m.tenant_id = $1 and r.tenant_id = $1 and r.id = m.run_id and f.tenant_id = $1 and f.id = r.source_file_id
         and f.purged_at is not null and r.finished_at is not null
       returning m.storage_key`,
      [tenantId],
    )
    // What a run has made by itself has a retention of its own.
    const results = await tx.query<{ storage_key: string }>(
      `delete from run_file where tenant_id = $1 and (run_id, kind) in (
         select run_id, kind from run_file where tenant_id = $1 and expires_at < now() limit ${STORE_PURGE_BATCH_FILES})
       returning storage_key`,
      [tenantId],
    )
    return [...rows, ...made, ...results].map((row) => row.storage_key)
  })
  // After the commit: a file that is gone while its row still promises it would be worse than one too many, which the
  // next look through the whole store removes.
  await remover.remove(tenantId, keys)
}
