/**
 * The engine alone, in this process: for profiles (`node --cpu-prof` writes one for the worker's side and one for each
 * reading thread) and for times of single statements.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { auditKeys } from '../src/access/audit.js'
import { bundleSecrets } from '../src/access/bundles.js'
import { createTenant } from '../src/access/tenants.js'
import { localFileStore } from '../src/adapters/files/storage.js'
import { Secret } from '../src/config.js'
import { Lane } from '../src/db/lane.js'
import { migrate } from '../src/db/migrate.js'
import { roleUrl, WORKER_ROLE } from '../src/db/roles.js'
import { withTenant } from '../src/db/tx.js'
import { advanceRun } from '../src/jobs/advance-run.js'
import { PRESENCE_LOCKS } from '../src/jobs/claim.js'
import { laneOptions, SharedLane, type WorkerContext } from '../src/jobs/context.js'
import { installQueue } from '../src/jobs/job.js'
import { createLog } from '../src/log.js'
import { createImport, defaultImportOptions } from '../src/runs/imports.js'
import { cpuBetween, cpuOf } from './processes.js'
import { type BenchServer, withClient } from './server.js'
import type { Subject } from './subject.js'

/** Passwords of the roles belong to the server, and so to all databases of a benchmark. */
const password = randomBytes(16).toString('hex')

/** An engine with the default sizes on a fresh database of `server`. */
export async function openEngine(server: BenchServer, chunksInFlight: number): Promise<Subject> {
  const ownerUrl = await server.createDatabase()
  await migrate({ url: ownerUrl, apiPassword: password, workerPassword: password })
  await installQueue(ownerUrl)
  const databaseUrl = roleUrl(ownerUrl, WORKER_ROLE, password)
  const files = localFileStore(join(server.folder, 'files'))
  const presence = await Lane.open({ ...laneOptions(databaseUrl, 'portage presence'), idleInTransactionMs: 0 })
  const holder = 1
  await presence.session('select pg_advisory_lock($1, $2)', [PRESENCE_LOCKS, holder])
  const control = await Lane.open(laneOptions(databaseUrl, 'portage control'))
  const context: WorkerContext = {
    databaseUrl,
    holder,
    control: new SharedLane(control),
    presence,
    files,
    fileRetentionDays: 30,
    openVendor: () => Promise.reject(new Error('nobody is there')),
    bundles: bundleSecrets({ secret: new Secret('a secret of benchmarks, 32 characters long'), bundleKeys: [] }),
    auditKeys: auditKeys({ secret: new Secret('a secret of benchmarks, 32 characters long') }),
    chunkRows: 10_000,
    chunksInFlight,
    log: createLog({ level: 'warn', process: 'bench' }),
    stopping: new AbortController().signal,
  }

  const advance = async (tenantId: string, runId: string): Promise<void> => {
    for (;;) {
      await advanceRun(context, { tenantId, runId })
      const waiting = await presence.session('select 1 from run_wakeup where run_id = $1', [runId])
      if (waiting.length === 0) {
        return
      }
    }
  }

  const leave = async () => {
    await control.close()
    await presence.close()
  }
  return {
    ownerUrl,
    leave,
    tenant: async () => (await createTenant(ownerUrl, `bench-${randomUUID()}`)).id,
    import: async (tenantId, file) => {
      const before = cpuOf(server.postmaster, null)
      const started = performance.now()
      const stored = await files.put(tenantId, createReadStream(file.path), { maxBytes: Number.MAX_SAFE_INTEGER })
      const fileId = randomUUID()
      const runId = await context.control.use((lane) =>
        withTenant(lane, tenantId, async (tx) => {
          await tx.query(
            `insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, expires_at)
             values ($1, $2, $3, $4, $5, $6, '{}', 'bench', now() + interval '1 day')`,
            [tenantId, fileId, file.name, stored.byteSize, stored.sha256, stored.key],
          )
          return createImport(tx, {
            actor: 'bench',
            sourceFileId: fileId,
            recordType: 'contact',
            source: null,
            mapping: null,
            options: defaultImportOptions,
            confirmation: 'ALWAYS',
          })
        }),
      )
      const uploadMs = performance.now() - started
      await advance(tenantId, runId)
      const ms = performance.now() - started
      const cpu = cpuBetween(before, cpuOf(server.postmaster, null))
      const run = await withClient(ownerUrl, async (client) => {
        const { rows } = await client.query<Record<string, unknown>>('select * from run where id = $1', [runId])
        return rows[0] ?? {}
      })
      const stages = run.stage_ms as Record<string, number>
      return {
        runId,
        status: String(run.status),
        counts: Object.fromEntries(
          ['total', 'created', 'updated', 'unchanged', 'skipped', 'failed', 'deleted', 'unprocessed'].map((name) => [
            name,
            Number(run[name]),
          ]),
        ),
        ms,
        uploadMs,
        cpu,
        stages: { ...stages, queued: Number(run.queued_ms), running: Number(run.running_ms) },
        chunks: Number(run.chunks),
      }
    },
    [Symbol.asyncDispose]: async () => {
      await leave()
      await server.dropDatabase(ownerUrl)
    },
  }
}

/** Times of statements by their first words, as the client sees them: from sending to the answer. */
export class StatementTimes {
  readonly #times = new Map<string, { count: number; ms: number }>()

  /** Begins to listen, for as long as this process lives. */
  constructor() {
    const times = this.#times
    const query = Reflect.get(pg.Client.prototype, 'query') as (this: pg.Client, ...args: unknown[]) => unknown
    const timed = function (this: pg.Client, ...args: unknown[]): unknown {
      const [first] = args
      const started = performance.now()
      const result = query.apply(this, args)
      const text = typeof first === 'string' ? first : (first as { cursor?: { text?: string } }).cursor?.text
      const done = () => {
        const name = nameOf(text ?? 'copy')
        const entry = times.get(name) ?? { count: 0, ms: 0 }
        entry.count += 1
        entry.ms += performance.now() - started
        times.set(name, entry)
      }
      if (result instanceof Promise) {
        result.then(done, done)
      } else if (typeof first !== 'string') {
        const stream = result as NodeJS.WritableStream
        stream.on('finish', done)
      }
      return result
    }
    Reflect.set(pg.Client.prototype, 'query', timed)
  }

  /** Name, count, milliseconds in total and on average; the longest first. */
  rows(): string[][] {
    return [...this.#times]
      .toSorted(([, a], [, b]) => b.ms - a.ms)
      .map(([name, { count, ms }]) => [name, String(count), ms.toFixed(0), (ms / count).toFixed(2)])
  }

  clear(): void {
    this.#times.clear()
  }
}

function nameOf(sql: string): string {
  const text = sql
    .replaceAll(/'[0-9a-f-]{36}'/g, '?')
    .replaceAll(/\s+/g, ' ')
    .trim()
  return text.startsWith('select settle(') ? 'select settle(...); commit' : text.slice(0, 100)
}
