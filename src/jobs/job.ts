/**
 * The only door to pg-boss. Jobs wake workers and carry ids; they own no truth: the run row does. A job that finds nothing
 * to do returns, so a job too many is harmless and a lost one is sent again by the dispatcher.
 */
import { PgBoss } from 'pg-boss'
import { z } from 'zod'
import { OWNER_ROLE, WORKER_ROLE } from '../db/roles.js'

const SCHEMA = 'pgboss'
const ADVANCE_RUN = 'advance-run'

/** A job of a run lives as long as a slice; a worker that stops beating loses it after this. Seconds; pg-boss's minimum. */
const HEARTBEAT_SECONDS = 10

/** Poll behind the notifications, in seconds: delayed jobs send none, and a busy worker sleeps this long after a job. */
const POLL_SECONDS = 2

/** Version of the payload. A worker knows this one and those before; a later one it leaves to a newer worker. */
const PAYLOAD_VERSION = 1

/** A job of a later version is looked at again after this, by whichever worker. Seconds. */
const LATER_VERSION_SECONDS = 2

const laterSchema = z.looseObject({ v: z.int().min(PAYLOAD_VERSION + 1) })

const payloadSchema = z.object({ v: z.int().min(1).max(PAYLOAD_VERSION), tenantId: z.uuid(), runId: z.uuid() })

export type AdvanceRunPayload = Omit<z.infer<typeof payloadSchema>, 'v'>

export interface QueueOptions {
  /** Connection string of the worker role. */
  readonly url: string
  readonly onError: (error: Error) => void
}

/** Creates the queue's schema and queues as the owner and lets the worker role use them. Idempotent. */
export async function installQueue(ownerUrl: string): Promise<void> {
  const boss = new PgBoss({
    connectionString: ownerUrl,
    options: `-c role=${OWNER_ROLE}`,
    application_name: 'portage queue setup',
    schema: SCHEMA,
    supervise: false,
    schedule: false,
    max: 2,
  })
  boss.on('error', () => undefined)
  await boss.start()
  try {
    const options = {
      // One queued job per run (by singletonKey); an active one does not stand in the way of the next.
      policy: 'short' as const,
      notify: true,
      retryLimit: 0,
      heartbeatSeconds: HEARTBEAT_SECONDS,
      expireInSeconds: 3600,
      retentionSeconds: 86_400,
      deleteAfterSeconds: 3600,
    }
    if ((await boss.getQueue(ADVANCE_RUN)) === null) {
      await boss.createQueue(ADVANCE_RUN, options)
    }
    const db = boss.getDb()
    await db.executeSql(`grant usage on schema ${SCHEMA} to ${WORKER_ROLE}`)
    await db.executeSql(`grant select, insert, update, delete on all tables in schema ${SCHEMA} to ${WORKER_ROLE}`)
    await db.executeSql(`grant execute on all functions in schema ${SCHEMA} to ${WORKER_ROLE}`)
    await db.executeSql(`grant usage on all sequences in schema ${SCHEMA} to ${WORKER_ROLE}`)
  } finally {
    await boss.stop({ graceful: false })
  }
}

/** The queue as a worker sees it. */
export class Queue {
  readonly #boss: PgBoss

  private constructor(boss: PgBoss) {
    this.#boss = boss
  }

  static async open(options: QueueOptions): Promise<Queue> {
    const boss = new PgBoss({
      connectionString: options.url,
      application_name: 'portage queue',
      schema: SCHEMA,
      migrate: false,
      createSchema: false,
      schedule: false,
      useListenNotify: true,
      superviseIntervalSeconds: 5,
      monitorIntervalSeconds: 5,
      max: 3,
    })
    boss.on('error', options.onError)
    await boss.start()
    return new Queue(boss)
  }

  /** Asks for a worker to advance this run. A job that is queued already serves. */
  async send(payload: AdvanceRunPayload): Promise<void> {
    await this.#boss.send(
      ADVANCE_RUN,
      { v: PAYLOAD_VERSION, ...payload },
      { singletonKey: payload.runId, group: { id: payload.tenantId } },
    )
  }

  /** Works jobs with `concurrency` workers of this process until `stop`. */
  async work(concurrency: number, handle: (payload: AdvanceRunPayload) => Promise<void>): Promise<void> {
    for (let i = 0; i < concurrency; i++) {
      let id = ''
      id = await this.#boss.work<unknown>(
        ADVANCE_RUN,
        { batchSize: 1, notifyPollingIntervalSeconds: POLL_SECONDS, pollingIntervalSeconds: POLL_SECONDS },
        async ([job]) => {
          try {
            const payload = payloadSchema.safeParse(job?.data)
            if (payload.success) {
              await handle({ tenantId: payload.data.tenantId, runId: payload.data.runId })
            } else if (laterSchema.safeParse(job?.data).success) {
              await this.#putBack(job?.data as object)
            }
          } finally {
            // With notifications a worker that has finished a job sleeps its poll although more are waiting.
            this.#boss.notifyWorker(id)
          }
        },
      )
    }
  }

  /** Leaves a job to a newer worker, as it came. */
  async #putBack(data: object): Promise<void> {
    const { runId, tenantId } = data as { readonly runId?: unknown; readonly tenantId?: unknown }
    await this.#boss.send(ADVANCE_RUN, data, {
      startAfter: LATER_VERSION_SECONDS,
      // Not the key of the run: a job of our own version must not wait behind it.
      ...(typeof runId === 'string' ? { singletonKey: `${runId} later` } : {}),
      ...(typeof tenantId === 'string' ? { group: { id: tenantId } } : {}),
    })
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ graceful: true, timeout: 8000 })
  }
}
