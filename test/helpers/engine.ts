/** The engine without the service around it: files and runs are put into the database, and a worker's loop advances them. */
import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import pg from 'pg'
import { auditKeys } from '../../src/access/audit.js'
import { bundleSecrets } from '../../src/access/bundles.js'
import { permissions } from '../../src/access/permissions.js'
import { createTenant } from '../../src/access/tenants.js'
import { type ExportRequest, exportSpec } from '../../src/adapters/crm/export.js'
import { type FileStore, localFileStore } from '../../src/adapters/files/storage.js'
import { Secret } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import { PRESENCE_LOCKS } from '../../src/jobs/claim.js'
import { laneOptions, SharedLane, type WorkerContext } from '../../src/jobs/context.js'
import { createLog } from '../../src/log.js'
import type { ColumnMapping, ImportOptions, SourceOptions } from '../../src/pipeline/types.js'
import type { RecordTypeName } from '../../src/records/types.js'
import { createExport, defaultExportFormat } from '../../src/runs/exports.js'
import { createImport, defaultImportOptions } from '../../src/runs/imports.js'
import { findRun } from '../../src/runs/read.js'
import type { ExportFormat, ExportRunRow, ImportRunRow, RunRow } from '../../src/runs/types.js'
import type { TestDatabase } from './database.js'

export interface EngineOptions {
  readonly chunkRows?: number
  readonly chunksInFlight?: number
  /** Stands in for the CRMs of integrations. */
  readonly openVendor?: WorkerContext['openVendor']
}

export interface ImportRequest {
  readonly type: RecordTypeName
  readonly csv: string | Uint8Array
  /** `{ Column: 'field' }`; absent: suggested. */
  readonly map?: Readonly<Record<string, string>>
  readonly options?: Partial<ImportOptions>
  readonly source?: Partial<SourceOptions>
  readonly confirmation?: 'ASK' | 'IF_NO_ERRORS' | 'ALWAYS'
}

/** An engine on a database of its own. Close it; the database is the caller's. */
export class Engine {
  readonly #db: TestDatabase
  readonly #dir: string
  #lanes: Lane[]
  readonly #stop = new AbortController()
  /** Of the worker that is at it now, see `crash`. */
  context: WorkerContext
  readonly files: FileStore
  /** A superuser's connection, for looking and for interfering. */
  readonly oracle: pg.Client

  private constructor(
    db: TestDatabase,
    dir: string,
    files: FileStore,
    lanes: Lane[],
    oracle: pg.Client,
    context: Omit<WorkerContext, 'stopping'>,
  ) {
    this.#db = db
    this.#dir = dir
    this.#lanes = lanes
    this.files = files
    this.oracle = oracle
    this.context = { ...context, stopping: this.#stop.signal }
  }

  static async start(db: TestDatabase, options: EngineOptions = {}): Promise<Engine> {
    const dir = await mkdtemp(join(tmpdir(), 'portage-engine-'))
    const files = localFileStore(dir)
    const { presence, control, holder } = await workerLanes(db)
    const oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage -c timezone=UTC' })
    await oracle.connect()
    return new Engine(db, dir, files, [presence, control], oracle, {
      databaseUrl: db.workerUrl,
      holder,
      control: new SharedLane(control),
      presence,
      files,
      fileRetentionDays: 30,
      openVendor: options.openVendor ?? (() => Promise.reject(new Error('nobody is there'))),
      bundles: bundleSecrets({ secret: new Secret('a secret of tests, 32 characters at least'), bundleKeys: [] }),
      auditKeys: auditKeys({ secret: new Secret('a secret of tests, 32 characters at least') }),
      chunkRows: options.chunkRows ?? 1000,
      chunksInFlight: options.chunksInFlight ?? 2,
      log: createLog({ level: (process.env.PORTAGE_TEST_LOG ?? 'error') as 'error', process: 'test' }),
    })
  }

  /**
   * Ends all connections of the worker, as its death would, and puts another worker in its place. Whatever it was at has to be
   * awaited by whoever began it. Answers how many connections there were.
   */
  async crash(): Promise<number> {
    const { rowCount } = await this.oracle.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'portage%' and pid <> pg_backend_pid()`,
    )
    await Promise.all(this.#lanes.map((lane) => lane.close()))
    const { presence, control, holder } = await workerLanes(this.#db)
    this.#lanes = [presence, control]
    this.context = { ...this.context, presence, holder, control: new SharedLane(control) }
    return rowCount ?? 0
  }

  async tenant(name = `tenant-${randomUUID()}`): Promise<string> {
    const tenant = await createTenant(this.#db.ownerUrl, name)
    return tenant.id
  }

  async createRun(tenantId: string, request: ImportRequest): Promise<string> {
    const bytes = typeof request.csv === 'string' ? Buffer.from(request.csv) : Buffer.from(request.csv)
    const stored = await this.files.put(tenantId, Readable.from([bytes]), { maxBytes: 1 << 30 })
    const fileId = randomUUID()
    return this.context.control.use((lane) =>
      withTenant(lane, tenantId, async (tx) => {
        await tx.query(
          `insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, expires_at)
           values ($1, $2, 'test.csv', $3, $4, $5, '{}', 'test', now() + interval '1 day')`,
          [tenantId, fileId, stored.byteSize, stored.sha256, stored.key],
        )
        return createImport(tx, {
          actor: 'test',
          sourceFileId: fileId,
          recordType: request.type,
          source: request.source === undefined ? null : { ...emptySource, ...request.source },
          mapping:
            request.map === undefined
              ? null
              : Object.entries(request.map).map(([column, field]) => columnMapping(column, field)),
          options: { ...defaultImportOptions, ...request.options },
          confirmation: request.confirmation ?? 'ALWAYS',
        })
      }),
    )
  }

  /** Advances a run until it has ended or waits for somebody. */
  async advance(tenantId: string, runId: string): Promise<RunRow> {
    for (let i = 0; i < 200; i++) {
      await this.oracle.query("update run_wakeup set due_at = now() - interval '1 second' where run_id = $1", [runId])
      await advanceRun(this.context, { tenantId, runId })
      const left = await this.oracle.query('select 1 from run_wakeup where run_id = $1', [runId])
      if (left.rowCount === 0) {
        return this.run(tenantId, runId)
      }
    }
    throw new Error(`run ${runId} does not come to an end: ${JSON.stringify(await this.run(tenantId, runId))}`)
  }

  /** Advances a run once, if there is something to do for it now. */
  async step(tenantId: string, runId: string): Promise<void> {
    await this.oracle.query("update run_wakeup set due_at = now() - interval '1 second' where run_id = $1", [runId])
    await advanceRun(this.context, { tenantId, runId })
  }

  async import(tenantId: string, request: ImportRequest): Promise<ImportRunRow> {
    const run = await this.advance(tenantId, await this.createRun(tenantId, request))
    if (run.kind !== 'IMPORT') {
      throw new Error('expected an import')
    }
    return run
  }

  /** Makes an export as the API would: all columns, everything allowed, CSV, unless it is said otherwise. */
  createExport(
    tenantId: string,
    recordType: RecordTypeName,
    request: Partial<Omit<ExportRequest, 'recordType' | 'format'>> & { readonly format?: Partial<ExportFormat> } = {},
  ): Promise<string> {
    return this.context.control.use((lane) =>
      withTenant(lane, tenantId, async (tx) => {
        const spec = await exportSpec(tx, {
          recordType,
          filter: null,
          orderBy: null,
          columns: null,
          fileName: null,
          permissions: new Set(permissions),
          ...request,
          format: { ...defaultExportFormat, ...request.format },
        })
        return createExport(tx, { actor: 'test', spec })
      }),
    )
  }

  /** Exports, and answers the run with the bytes of its file. */
  async export(...request: Parameters<Engine['createExport']>): Promise<{ run: ExportRunRow; bytes: Buffer }> {
    const [tenantId] = request
    const run = await this.advance(tenantId, await this.createExport(...request))
    if (run.kind !== 'EXPORT' || run.status !== 'COMPLETED') {
      throw new Error(`the export is ${run.status}: ${JSON.stringify(run.statusReason)}`)
    }
    const bytes = await this.resultOf(run.id)
    if (bytes === null) {
      throw new Error('the export has no file')
    }
    return { run, bytes }
  }

  /** The file that a run has made, checked against what is recorded of it; null for none. */
  async resultOf(runId: string): Promise<Buffer | null> {
    const [file] = await this.rows<{ storage_key: string; sha256: string; byte_size: string }>(
      "select storage_key, sha256, byte_size from run_file where run_id = $1 and kind = 'RESULT'",
      [runId],
    )
    if (file === undefined) {
      return null
    }
    const bytes = await buffer(this.files.read(file.storage_key))
    if (
      createHash('sha256').update(bytes).digest('hex') !== file.sha256 ||
      bytes.byteLength !== Number(file.byte_size)
    ) {
      throw new Error('the file is not what is recorded of it')
    }
    return bytes
  }

  async run(tenantId: string, runId: string): Promise<RunRow> {
    const run = await this.context.control.use((lane) => withTenant(lane, tenantId, (tx) => findRun(tx, runId)))
    if (run === null) {
      throw new Error(`there is no run ${runId}`)
    }
    return run
  }

  /** Rows of a statement as the superuser sees them. */
  async rows<R extends object>(sql: string, params: readonly unknown[] = []): Promise<R[]> {
    return (await this.oracle.query<R & pg.QueryResultRow>(sql, [...params])).rows as R[]
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#lanes.map((lane) => lane.close()))
    await this.oracle.end()
    await rm(this.#dir, { recursive: true, force: true })
  }
}

async function workerLanes(db: TestDatabase): Promise<{ presence: Lane; control: Lane; holder: number }> {
  const presence = await Lane.open({ ...laneOptions(db.workerUrl, 'portage presence'), idleInTransactionMs: 0 })
  const holder = 1 + Math.floor(Math.random() * 2_000_000_000)
  await presence.session('select pg_advisory_lock($1, $2)', [PRESENCE_LOCKS, holder])
  return { presence, holder, control: await Lane.open(laneOptions(db.workerUrl, 'portage control')) }
}

/** Nothing said about how a file is to be read. */
export const emptySource: SourceOptions = {
  format: null,
  encoding: null,
  delimiter: null,
  quote: null,
  headerRow: null,
  decimalSeparator: null,
  dateFormat: null,
  timeZone: null,
  defaultCountry: null,
}

/** A mapping decided by a person. */
export function columnMapping(column: string, field: string): ColumnMapping {
  return {
    column,
    columnIndex: null,
    field,
    constant: null,
    defaultValue: null,
    valueMap: [],
    onBlank: null,
    format: null,
    confidence: null,
    reasons: [],
    alternatives: [],
  }
}
