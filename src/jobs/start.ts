/** A worker process: shows that it lives, sends jobs for runs that are due, works them, and keeps house. */

import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { auditKeys } from '../access/audit.js'
import { bundleSecrets } from '../access/bundles.js'
import { openFileStore } from '../adapters/files/storage.js'
import type { Resolve } from '../adapters/http/guard.js'
import type { Config } from '../config.js'
import { whenThere } from '../db/away.js'
import { Lane, type LaneOptions } from '../db/lane.js'
import { type Listener, listen } from '../db/listen.js'
import { roleUrl, WORKER_ROLE } from '../db/roles.js'
import { failpoint } from '../failpoints.js'
import { createLog } from '../log.js'
import { type OpenVendor, type OpenVendorOf, openVendor } from '../runs/vendors.js'
import { advanceRun } from './advance-run.js'
import { bringForward, heldByLiving, PRESENCE_LOCKS } from './claim.js'
import { laneOptions, SharedLane, type WorkerContext } from './context.js'
import { startDelivery } from './deliver.js'
import { startFinder } from './find-duplicates.js'
import { keepHouse } from './housekeeping.js'
import { Queue } from './job.js'
import { startScheduler } from './schedules.js'
import { startSealer } from './seal-audit.js'
import { type Due, nextInTurn } from './slice.js'
import { startWatch } from './watch.js'

/** The net behind the notifications: how often the wake-up table is looked at anyway, in milliseconds. */
const SWEEP_MS = 500

/** A job that nobody took for so long is sent again. Seconds. */
const RESEND_SECONDS = 10

/** How often a standby looks whether it is wanted, in milliseconds. */
const STANDBY_MS = 250

/** How often the worker of a slot gives a sign of life, in milliseconds. */
const SIGN_MS = 1000

/** A worker without a sign of life for so long is frozen: the standby takes its slot. Seconds. */
const FROZEN_SECONDS = 5

/** How often old events, files and keys are cleared away, in milliseconds. */
const HOUSEKEEPING_MS = 60_000

/** Every so many rounds, beginning with the first, the whole store is looked through. */
const THOROUGH_ROUNDS = 60

/** Start of the name of a worker's control connection; its number follows. */
const CONTROL_NAME = 'portage control'

/** First key of the locks of worker slots. */
const SLOT_LOCKS = 7_270_433

export interface Started {
  close(): Promise<void>
}

/** What tests put in the place of things outside. */
export interface StandIns {
  readonly openVendor?: OpenVendorOf | undefined
  /** Resolves the names of receivers of webhooks. */
  readonly resolve?: Resolve | undefined
}

/**
 * Starts a worker. With a slot it waits, ready, until the slot is free: of several workers with one slot, one works. If its
 * presence connection is lost the process cannot know whether it is still in charge of anything, and ends.
 */
export async function startWorker(config: Config, standIns: StandIns = {}): Promise<Started> {
  const log = createLog({ level: config.logLevel, process: 'worker' })
  const databaseUrl = roleUrl(config.databaseUrl ?? '', WORKER_ROLE, config.secret.text('database role portage_worker'))
  const stopping = new AbortController()
  const files = await openFileStore(config.store, join(config.dataDir, 'files'))
  // Whoever started us would start us again and again: a database that comes back finds us waiting instead.
  const presence = await whenThere(
    () => Lane.open({ ...laneOptions(databaseUrl, 'portage presence'), idleInTransactionMs: 0 }),
    stopping.signal,
    () => log.warn('the database does not answer; waiting for it'),
  )

  let working: Working | null = null
  let signs: NodeJS.Timeout | undefined
  const begin = async (): Promise<void> => {
    if (config.workerSlot !== null) {
      await takeSlot(presence, config.workerSlot, stopping.signal)
      signs = setInterval(() => {
        presence.session('select').catch(() => undefined)
      }, SIGN_MS)
    }
    if (stopping.signal.aborted) {
      return
    }
    working = await startWorking({ config, databaseUrl, presence, files, log, stopping: stopping.signal, standIns })
    log.info('working')
  }
  const begun = begin().catch((error: unknown) => {
    if (!stopping.signal.aborted) {
      log.error({ err: error }, 'the worker could not start and ends')
      process.exit(1)
    }
  })
  if (config.workerSlot === null) {
    await begun
  }
  presence.onEnd(() => {
    if (!stopping.signal.aborted) {
      log.error('the connection that shows this worker alive was lost; the worker ends and is replaced')
      process.exit(1)
    }
  })

  return {
    close: async () => {
      stopping.abort()
      await begun
      await working?.close()
      clearInterval(signs)
      await presence.close()
    },
  }
}

async function takeSlot(presence: Lane, slot: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const rows = await presence.session<{ taken: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as taken', [
      SLOT_LOCKS,
      slot,
    ])
    if (rows[0]?.taken === true) {
      return
    }
    await presence.session(displaceFrozen, [SLOT_LOCKS, slot, PRESENCE_LOCKS])
    await sleep(STANDBY_MS, undefined, { signal })
  }
}

/**
 * Ends the connections of the worker that has the slot and gives no sign of life: a frozen process keeps them, and with
 * them the slot, for ever. When it wakes it finds its presence lost and ends. Lanes are ended by whoever claims their run.
 */
const displaceFrozen = `
  with held as (
    select l.pid, l.classid, l.objid from pg_locks l
    where l.locktype = 'advisory' and l.objsubid = 2 and l.granted
      and l.database = (select oid from pg_database where datname = current_database())),
  frozen as (
    select a.pid from held l join pg_stat_activity a on a.pid = l.pid
    where l.classid = $1 and l.objid = (hashtext($2)::bigint & 4294967295)::oid
      and a.state = 'idle' and a.state_change < clock_timestamp() - ${FROZEN_SECONDS} * interval '1 second')
  select pg_terminate_backend(a.pid) from pg_stat_activity a
  where a.usename = current_user and (a.pid in (select pid from frozen) or a.application_name in (
    select '${CONTROL_NAME} ' || l.objid from frozen f join held l on l.pid = f.pid and l.classid = $3))`

interface Working {
  close(): Promise<void>
}

async function startWorking(options: {
  readonly config: Config
  readonly databaseUrl: string
  readonly presence: Lane
  readonly files: WorkerContext['files']
  readonly log: WorkerContext['log']
  readonly stopping: AbortSignal
  readonly standIns: StandIns
}): Promise<Working> {
  const { config, databaseUrl, presence, log, stopping, standIns } = options
  const holder = await takePresence(presence)
  const controlLane = await Lane.open(laneOptions(databaseUrl, laneControlName(holder)))
  const context: WorkerContext = {
    databaseUrl,
    holder,
    control: new SharedLane(controlLane),
    presence,
    files: options.files,
    fileRetentionDays: config.fileRetentionDays,
    openVendor:
      standIns.openVendor ?? ((tenantId, integrationId) => openVendorOn(databaseUrl, config, tenantId, integrationId)),
    bundles: bundleSecrets(config),
    auditKeys: auditKeys(config),
    chunkRows: config.chunkRows,
    chunksInFlight: config.chunksInFlight,
    log,
    stopping,
  }
  // Before the queue, which takes a while to open: what waited while nobody worked is sealed first.
  const sealer = startSealer({ databaseUrl, presence, keys: context.auditKeys, log, stopping })
  const queue = await Queue.open({ url: databaseUrl, onError: (error) => log.warn({ err: error }, 'queue error') })
  const inHand = new Set<Promise<void>>()
  const failed = (due: Due) => (error: unknown) => {
    log.warn(
      { tenantId: due.tenantId, runId: due.runId, err: error },
      'a job ended in an error; the run will be taken up again',
    )
    if (controlLane.broken !== null && !stopping.aborted) {
      // Without its control connection the worker can do nothing; a fresh process can.
      process.exit(1)
    }
  }
  await queue.work(config.concurrentRuns, (payload) => {
    if (stopping.aborted) {
      return Promise.resolve()
    }
    const work = Promise.resolve(failpoint('job.taken', controlLane))
      .then(() => advanceInTurn(context, payload))
      .catch(failed(payload))
    inHand.add(work)
    return work.finally(() => inHand.delete(work))
  })
  // Work that cannot be interrupted, e.g. a plan, may have all of this worker: a tenant that has nothing in hand need not wait for it.
  let express: Promise<unknown> | null = null
  const takeExpress = async (): Promise<void> => {
    if (express !== null || inHand.size < config.concurrentRuns || stopping.aborted) {
      return
    }
    const due = await nextInTurn(presence, true)
    if (due !== null) {
      express ??= advanceRun(context, due)
        .catch(failed(due))
        .finally(() => {
          express = null
        })
    }
  }
  const dispatcher = await startDispatcher({ databaseUrl, presence, queue, log, stopping, swept: takeExpress })
  const finder = startFinder({ databaseUrl, presence, log, stopping })
  const scheduler = startScheduler({ databaseUrl, presence, log, stopping })
  const watch = startWatch({ presence, control: context.control, log, stopping })
  const delivery = startDelivery({ databaseUrl, presence, holder, config, resolve: standIns.resolve, log, stopping })
  let housekeeping: Promise<void> | null = null
  let rounds = 0
  const house = setInterval(() => {
    // On a connection of its own: on the control connection, claims and endings of runs would wait for it.
    housekeeping ??= withLane(laneOptions(databaseUrl, `portage housekeeping ${holder}`), (lane) =>
      keepHouse(lane, options.files, config, { thorough: rounds++ % THOROUGH_ROUNDS === 0, log, signal: stopping }),
    )
      .catch((error: unknown) => log.warn({ err: error }, 'housekeeping failed and will be tried again'))
      .finally(() => {
        housekeeping = null
      })
  }, HOUSEKEEPING_MS)
  return {
    close: async () => {
      clearInterval(house)
      await finder.close()
      await scheduler.close()
      await sealer.close()
      await watch.close()
      await delivery.close()
      await dispatcher.close()
      await Promise.all(inHand)
      await express
      await housekeeping
      await queue.stop()
      await controlLane.close()
    },
  }
}

/** An integration with a connection of its own to the database: it keeps its budget while the caller is in a transaction. */
async function openVendorOn(
  databaseUrl: string,
  config: Config,
  tenantId: string,
  integrationId: string,
): Promise<OpenVendor> {
  const lane = await Lane.open(laneOptions(databaseUrl, 'portage vendors'))
  const shared = new SharedLane(lane)
  try {
    const vendor = await openVendor(
      {
        source: { transaction: (tenant, work) => shared.use((own) => own.transaction(tenant, work)) },
        settings: config,
      },
      tenantId,
      integrationId,
    )
    return {
      ...vendor,
      close: async () => {
        await vendor.close()
        await lane.close()
      },
    }
  } catch (error) {
    await lane.close()
    throw error
  }
}

async function withLane(options: LaneOptions, work: (lane: Lane) => Promise<void>): Promise<void> {
  const lane = await Lane.open(options)
  try {
    await work(lane)
  } finally {
    await lane.close()
  }
}

function laneControlName(holder: number): string {
  return `${CONTROL_NAME} ${holder}`
}

/** Takes a number that no living worker has, for as long as the connection lives. */
async function takePresence(presence: Lane): Promise<number> {
  for (;;) {
    const holder = randomInt(1, 2 ** 31 - 1)
    const rows = await presence.session<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [
      PRESENCE_LOCKS,
      holder,
    ])
    if (rows[0]?.taken === true) {
      return holder
    }
  }
}

/**
 * A job says that there is work, and whose turn it is is looked up when it is taken: a tenant that has a hundred runs in the queue has a
 * hundred jobs there, and one that comes behind them has its turn next all the same. The run that was named is taken up by
 * the job of the one that went before it.
 */
async function advanceInTurn(context: WorkerContext, named: Due): Promise<void> {
  const due = (await nextInTurn(context.presence)) ?? named
  if (!(await advanceRun(context, due)) && due.runId !== named.runId) {
    await advanceRun(context, named)
  }
}

/** Turns wake-up rows that are due, and held by no living worker, into jobs. */
async function startDispatcher(options: {
  readonly databaseUrl: string
  readonly presence: Lane
  readonly queue: Queue
  readonly log: WorkerContext['log']
  readonly stopping: AbortSignal
  /** Called when the jobs have been sent. */
  readonly swept: () => Promise<void>
}): Promise<Listener> {
  const { databaseUrl, presence, queue, log, stopping, swept } = options
  let sweeping: Promise<void> | null = null
  let again = false
  /** Runs that somebody has woken since the last sweep. */
  const woken = new Set<string>()
  // Jobs that the worker before had taken when it died will not come back: the first sweep sends them again.
  let resend = true
  const sweep = (): void => {
    if (stopping.aborted) {
      return
    }
    if (sweeping !== null) {
      again = true
      return
    }
    again = false
    const hurried = [...woken]
    woken.clear()
    sweeping = (hurried.length === 0 ? Promise.resolve() : bringForward(presence, hurried))
      .then(() => dispatch(presence, queue, resend))
      .then(() => {
        resend = false
        return swept()
      })
      .catch((error: unknown) => log.warn({ err: error }, 'the wake-up table could not be read'))
      .finally(() => {
        sweeping = null
        if (again) {
          sweep()
        }
      })
  }
  const listener = await listen({
    url: databaseUrl,
    applicationName: 'portage dispatcher',
    channels: ['portage_wakeup'],
    onNotify: (_, runId) => {
      if (runId !== '') {
        woken.add(runId)
      }
      sweep()
    },
    onConnected: sweep,
    onError: (error) => log.warn({ err: error }, 'the dispatcher lost its connection and connects again'),
  })
  const timer = setInterval(sweep, SWEEP_MS)
  return {
    close: async () => {
      clearInterval(timer)
      await listener.close()
      await sweeping
    },
  }
}

async function dispatch(presence: Lane, queue: Queue, resend: boolean): Promise<void> {
  const due = await presence.session<{ run_id: string; tenant_id: string }>(
    `update run_wakeup w set sent_until = clock_timestamp() + ${RESEND_SECONDS} * interval '1 second'
     where w.run_id in (
       select w.run_id from run_wakeup w
       where w.due_at <= clock_timestamp() and ($1 or w.sent_until is null or w.sent_until < clock_timestamp()) and not ${heldByLiving}
       order by w.due_at limit 100 for update skip locked)
     returning w.run_id, w.tenant_id`,
    [resend],
  )
  for (const row of due) {
    await failpoint('wake-up.before-enqueue', presence)
    await queue.send({ tenantId: row.tenant_id, runId: row.run_id })
    await failpoint('wake-up.after-enqueue', presence)
  }
}
