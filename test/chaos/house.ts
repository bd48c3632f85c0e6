/** What a scenario happens in: a server of its own, a database, workers as processes, and an oracle that sees everything. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { createTenant } from '../../src/access/tenants.js'
import { localFileStore } from '../../src/adapters/files/storage.js'
import { type EmbeddedServer, startEmbedded } from '../../src/db/embedded.js'
import { Lane } from '../../src/db/lane.js'
import { type Listener, listen } from '../../src/db/listen.js'
import { withTenant } from '../../src/db/tx.js'
import { laneOptions } from '../../src/jobs/context.js'
import { createLog } from '../../src/log.js'
import type { ImportOptions } from '../../src/pipeline/types.js'
import type { RecordTypeName } from '../../src/records/types.js'
import { createImport, defaultImportOptions } from '../../src/runs/imports.js'
import { startRollback } from '../../src/runs/rollback.js'
import { endedStatuses, type RunStatus } from '../../src/runs/status.js'
import type { OnRollbackConflict } from '../../src/runs/types.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { columnMapping } from '../helpers/engine.js'
import type { TestFile } from '../helpers/files.js'
import { Crew, type Settings } from '../helpers/processes.js'

/** A run that makes no progress for so long will not end. Recovery from the worst of it takes seconds. */
const PATIENCE_MS = 90_000

/** The net behind the notifications, while something is waited for. */
const LOOK_MS = 100

/** The PostgreSQL of all scenarios, which can be killed and comes back as under the supervisor. */
export class Server {
  readonly #dataDir: string
  readonly #durable: boolean
  #server: EmbeddedServer

  private constructor(dataDir: string, durable: boolean, server: EmbeddedServer) {
    this.#dataDir = dataDir
    this.#durable = durable
    this.#server = server
  }

  static async start(dataDir: string, durable: boolean): Promise<Server> {
    const server = await startEmbedded(serverOptions(dataDir, durable))
    // Where `freshDatabase` looks for the server of the tests.
    process.env.PORTAGE_TEST_DATABASE_URL = server.url
    return new Server(dataDir, durable, server)
  }

  /** Kills the postmaster with SIGKILL and starts it again. Answers when it died and when it took connections again. */
  async crash(): Promise<{ readonly killedAt: number; readonly backAt: number }> {
    const gone = new Promise<void>((resolve) => this.#server.onExit(resolve))
    const killedAt = Date.now()
    process.kill(this.#server.pid, 'SIGKILL')
    await gone
    const { url } = this.#server
    this.#server = await startEmbedded(serverOptions(this.#dataDir, this.#durable))
    if (this.#server.url !== url) {
      throw new Error('the server came back on another port: somebody took the old one')
    }
    return { killedAt, backAt: Date.now() }
  }

  /** Stops it in order, and starts it again when `meanwhile` is over. Answers when it took connections again. */
  async away(meanwhile: () => Promise<void>): Promise<number> {
    await this.#server.stop()
    const { url } = this.#server
    await meanwhile()
    this.#server = await startEmbedded(serverOptions(this.#dataDir, this.#durable))
    if (this.#server.url !== url) {
      throw new Error('the server came back on another port: somebody took the old one')
    }
    return Date.now()
  }

  async stop(): Promise<void> {
    await this.#server.stop()
  }
}

function serverOptions(dataDir: string, durable: boolean) {
  return {
    dataDir,
    durable,
    log: createLog({ level: 'error', process: 'chaos' }),
    settings: { shared_buffers: '256MB' },
  }
}

export interface RunState {
  readonly status: RunStatus
  readonly read: number
  readonly settled: number
  readonly chunks: number
  readonly holder: number | null
  readonly ended: boolean
}

/** A settlement as the trigger of `watchSettlements` notes it, in the transaction that it belongs to. */
export interface Settlement {
  readonly run: string
  readonly at: number
  /** Number of the worker whose session committed it. */
  readonly holder: number
}

/** Workers of the slot: one works, the other one waits, as under the supervisor. */
const WORKERS = 2

export class House {
  readonly db: TestDatabase
  readonly dataDir: string
  #crew: Crew | null = null
  readonly #pool: pg.Pool
  readonly #files: ReturnType<typeof localFileStore>
  readonly #listener: Listener
  readonly #waiting = new Set<() => void>()

  private constructor(db: TestDatabase, dataDir: string, pool: pg.Pool, listen: (tick: () => void) => Listener) {
    this.db = db
    this.dataDir = dataDir
    this.#pool = pool
    this.#files = localFileStore(join(dataDir, 'files'))
    this.#listener = listen(() => {
      for (const look of this.#waiting) {
        look()
      }
    })
  }

  /** The workers. */
  get crew(): Crew {
    if (this.#crew === null) {
      throw new Error('nobody works here')
    }
    return this.#crew
  }

  /** What is stored. */
  get files(): ReturnType<typeof localFileStore> {
    return this.#files
  }

  /** Starts workers with these settings in the place of those before, and returns when all are ready. */
  async hire(settings: Settings = {}, options: readonly string[] = []): Promise<void> {
    await this.dismiss()
    const all = { DATABASE_URL: this.db.workerUrl, PORTAGE_DATA_DIR: this.dataDir, ...settings }
    this.#crew = new Crew(WORKERS, all, options)
    await this.#crew.complete()
  }

  /** Replaces the workers by those of another build without a pause: the new ones are there before the old ones are told to stop. */
  async deploy(settings: Settings, main?: string): Promise<void> {
    const old = this.#crew
    const all = { DATABASE_URL: this.db.workerUrl, PORTAGE_DATA_DIR: this.dataDir, ...settings }
    this.#crew = new Crew(WORKERS, all, [], main)
    await Promise.all(this.#crew.members.map((member) => member.ready))
    await old?.stop()
    this.#losses.push(...(old?.losses ?? []))
  }

  /** Processes of crews that were replaced that ended by themselves. */
  readonly #losses: string[] = []

  get losses(): readonly string[] {
    return [...this.#losses, ...(this.#crew?.losses ?? [])]
  }

  async dismiss(): Promise<void> {
    await this.#crew?.stop()
    this.#crew = null
  }

  static async open(dataDir: string): Promise<House> {
    const db = await freshDatabase()
    const pool = new pg.Pool({
      connectionString: db.ownerUrl,
      options: '-c search_path=portage -c timezone=UTC',
      max: 3,
    })
    // A server that is killed takes idle connections with it; queries are tried again by whoever asked.
    pool.on('error', () => undefined)
    for (const statement of watchSettlements) {
      await pool.query(statement)
    }
    let tick = (): void => undefined
    const listener = await listen({
      url: db.ownerUrl,
      applicationName: 'chaos oracle',
      channels: ['portage_events'],
      onNotify: () => tick(),
      onConnected: () => tick(),
      onError: () => undefined,
    })
    return new House(db, dataDir, pool, (look) => {
      tick = look
      return listener
    })
  }

  async tenant(name: string): Promise<string> {
    return (await createTenant(this.db.ownerUrl, `${name} ${randomUUID()}`)).id
  }

  /** Stores the file and creates the import; a worker will take it up. Answers the run's id. */
  async startImport(
    tenantId: string,
    type: RecordTypeName,
    file: TestFile,
    options: Partial<ImportOptions> = {},
    actor = 'chaos',
  ): Promise<string> {
    const stored = await this.#files.put(tenantId, Readable.from([Buffer.from(file.csv)]), { maxBytes: 2 ** 31 })
    const fileId = randomUUID()
    return this.#asTenant(tenantId, async (tx) => {
      await tx.query(
        `insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, expires_at)
         values ($1, $2, 'chaos.csv', $3, $4, $5, '{}', 'chaos', now() + interval '1 day')`,
        [tenantId, fileId, stored.byteSize, stored.sha256, stored.key],
      )
      return createImport(tx, {
        actor,
        sourceFileId: fileId,
        recordType: type,
        source: null,
        mapping: Object.entries(file.map).map(([column, field]) => columnMapping(column, field)),
        options: { ...defaultImportOptions, ...options },
        confirmation: 'ALWAYS',
      })
    })
  }

  async startRollback(tenantId: string, runId: string, onConflict: OnRollbackConflict = 'KEEP'): Promise<string> {
    return this.#asTenant(tenantId, (tx) => startRollback(tx, { runId, onConflict, actor: 'chaos' }))
  }

  async #asTenant<R>(
    tenantId: string,
    work: (tx: Parameters<Parameters<Lane['transaction']>[1]>[0]) => Promise<R>,
  ): Promise<R> {
    const lane = await Lane.open(laneOptions(this.db.workerUrl, 'chaos'))
    try {
      return await withTenant(lane, tenantId, work)
    } finally {
      await lane.close()
    }
  }

  /** An import that nobody disturbs, to its end. */
  async import(tenantId: string, type: RecordTypeName, file: TestFile): Promise<string> {
    const run = await this.startImport(tenantId, type, file)
    const { status } = await this.ended(tenantId, run)
    if (status !== 'COMPLETED' && status !== 'COMPLETED_WITH_ERRORS') {
      throw new Error(`an undisturbed import ended as ${status}`)
    }
    return run
  }

  /** Rows of a statement as a superuser sees them. A server that is just away is waited for. */
  async rows<R extends object>(sql: string, params: readonly unknown[] = []): Promise<R[]> {
    const started = performance.now()
    for (;;) {
      try {
        return (await this.#pool.query<R & pg.QueryResultRow>(sql, [...params])).rows as R[]
      } catch (error) {
        const refused = error instanceof pg.DatabaseError && !/^(57P|08|53)/.test(error.code ?? '')
        if (refused || performance.now() - started > PATIENCE_MS) {
          throw error
        }
        await pause(LOOK_MS)
      }
    }
  }

  async one<R extends object>(sql: string, params: readonly unknown[] = []): Promise<R> {
    const [row] = await this.rows<R>(sql, params)
    if (row === undefined) {
      throw new Error('expected a row')
    }
    return row
  }

  async state(tenantId: string, runId: string): Promise<RunState> {
    const row = await this.one<Omit<RunState, 'ended'>>(
      `select r.status, r.rows_read::float8 as read, run_settled(r)::float8 as settled, r.chunks::float8 as chunks, w.holder
       from run r left join run_wakeup w on w.run_id = r.id where r.tenant_id = $1 and r.id = $2`,
      [tenantId, runId],
    )
    return { ...row, ended: endedStatuses.has(row.status) }
  }

  /** Looks at every event, and now and then besides, until `find` has found something. */
  async until<T>(what: string, find: () => Promise<T | null>): Promise<T> {
    const started = performance.now()
    for (;;) {
      const found = await find()
      if (found !== null) {
        return found
      }
      if (performance.now() - started > PATIENCE_MS) {
        throw new Error(`waited in vain until ${what}\n${await this.#describe()}`)
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          this.#waiting.delete(done)
          resolve()
        }
        const timer = setTimeout(done, LOOK_MS)
        this.#waiting.add(done)
      })
    }
  }

  /** What there is to know when something does not happen. */
  async #describe(): Promise<string> {
    const parts = {
      runs: `select r.id, r.kind, r.status, r.status_reason, r.attempts, r.fencing_token, r.chunks, run_settled(r) as settled, w.* from run r left join run_wakeup w on w.run_id = r.id
        where r.finished_at is null or w.run_id is not null`,
      sessions: `select pid, application_name, state, wait_event_type, wait_event, (clock_timestamp() - state_change)::text as since,
        pg_blocking_pids(pid) as blocked_by, left(query, 200) as query from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    }
    const told: string[] = []
    for (const [name, sql] of Object.entries(parts)) {
      told.push(`${name}: ${JSON.stringify((await this.#pool.query(sql)).rows, null, 1)}`)
    }
    return [
      ...told,
      `ended by themselves: ${this.#crew?.losses.join('\n') ?? ''}`,
      `workers: ${this.#crew?.output ?? ''}`,
    ].join('\n')
  }

  /** When the run has so many rows with an outcome, or has ended. */
  async reached(tenantId: string, runId: string, rows: number): Promise<RunState> {
    return this.until(`run ${runId} has settled ${rows} rows`, async () => {
      const state = await this.state(tenantId, runId)
      return state.ended || state.settled >= rows ? state : null
    })
  }

  async ended(tenantId: string, runId: string): Promise<RunState> {
    let last = -1
    for (;;) {
      // Patience is for a run that stands still, not for a long one.
      const state = await this.until(`run ${runId} goes on from ${last}`, async () => {
        const now = await this.state(tenantId, runId)
        return now.ended || now.chunks > last ? now : null
      })
      if (state.ended) {
        return state
      }
      last = state.chunks
    }
  }

  /** What was committed for these runs, in the order of time. */
  async settlements(runs: readonly string[]): Promise<Settlement[]> {
    return this.rows<Settlement>(
      `select run_id as run, extract(epoch from at)::float8 * 1000 as at, holder from chaos.settlement where run_id = any ($1::uuid[]) order by at`,
      [runs],
    )
  }

  async close(keep = false): Promise<void> {
    await this.dismiss()
    await this.#listener.close()
    await this.#pool.end()
    if (!keep) {
      await this.db.drop()
    }
  }
}

/** Every settlement leaves a note of whose session it came from, with it or not at all. */
const watchSettlements = [
  'create schema chaos',
  `create table chaos.settlement (n bigint generated always as identity primary key, run_id uuid not null,
     at timestamptz not null default clock_timestamp(), holder int not null)`,
  `create function chaos.note() returns trigger language plpgsql security definer as $$
   begin
     insert into chaos.settlement (run_id, holder) values (new.id, split_part(current_setting('application_name'), ' ', 3)::int);
     return null;
   end $$`,
  `create trigger chaos_note after update on run for each row when (old.chunks is distinct from new.chunks) execute function chaos.note()`,
]
