/** A whole service for tests of the API: a database, an API process's server and, where asked for, a worker, in this process. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type Permission, permissions } from '../../src/access/permissions.js'
import type { SpaceOf } from '../../src/access/space.js'
import { createTenant } from '../../src/access/tenants.js'
import { signToken } from '../../src/access/tokens.js'
import type { Resolve } from '../../src/adapters/http/guard.js'
import { type Config, loadConfig } from '../../src/config.js'
import { startWorker } from '../../src/jobs/start.js'
import type { OpenVendorOf } from '../../src/runs/vendors.js'
import { startApi } from '../../src/server/start.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

export interface WorldOptions {
  /** False: nothing advances runs. Default true. */
  readonly worker?: boolean
  readonly settings?: Readonly<Record<string, string>>
  /** Stands in for the CRMs of integrations, in both processes. */
  readonly openVendor?: OpenVendorOf
  /** Stands in for the disk. Default: one with room. */
  readonly spaceNow?: SpaceOf
  /** Resolves the names of receivers of webhooks. */
  readonly resolve?: Resolve
}

/** What an operation answers: it has the shape of the query that asked, which a type for all of them cannot tell. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any

export interface GraphQLAnswer {
  readonly status: number
  readonly text: string
  readonly data: Json
  readonly errors: readonly { readonly message: string; readonly extensions: Readonly<Record<string, string>> }[]
}

/** Somebody who calls the API. */
export interface Actor {
  readonly tenantId: string
  readonly token: string
}

export class World {
  readonly db: TestDatabase
  readonly config: Config
  readonly url: string
  readonly dataDir: string
  /** A superuser's connection, for looking and for interfering. */
  readonly oracle: pg.Client
  readonly #closers: (() => Promise<unknown>)[]

  private constructor(
    db: TestDatabase,
    config: Config,
    dataDir: string,
    oracle: pg.Client,
    closers: (() => Promise<unknown>)[],
  ) {
    this.db = db
    this.config = config
    this.url = config.publicUrl
    this.dataDir = dataDir
    this.oracle = oracle
    this.#closers = closers
  }

  static async start(options: WorldOptions = {}): Promise<World> {
    const db = await freshDatabase()
    const dataDir = await mkdtemp(join(tmpdir(), 'portage-world-'))
    const port = await freePort()
    const environment = (role: 'api' | 'worker', url: string) => ({
      PORTAGE_ROLE: role,
      PORTAGE_PORT: String(port),
      PORTAGE_DATA_DIR: dataDir,
      PORTAGE_LOG_LEVEL: process.env.PORTAGE_TEST_LOG ?? 'error',
      DATABASE_URL: url,
      ...options.settings,
    })
    const config = loadConfig(environment('api', db.apiUrl))
    const oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage -c timezone=UTC' })
    await oracle.connect()
    const { openVendor, resolve } = options
    const spaceNow = options.spaceNow ?? (async () => ({ free: 2 ** 40, total: 2 ** 40 }))
    const api = await startApi(config, { openVendor, spaceNow })
    const worker =
      options.worker === false
        ? null
        : await startWorker(loadConfig(environment('worker', db.workerUrl)), { openVendor, resolve })
    return new World(db, config, dataDir, oracle, [
      async () => worker?.close(),
      () => api.close(),
      () => oracle.end(),
      () => db.drop(),
      () => rm(dataDir, { recursive: true, force: true }),
    ])
  }

  async close(): Promise<void> {
    for (const close of this.#closers) {
      await close()
    }
  }

  async tenant(name = `tenant ${randomBytes(6).toString('hex')}`): Promise<string> {
    return (await createTenant(this.db.ownerUrl, name)).id
  }

  async actor(
    tenantId: string,
    allowed: readonly Permission[] = permissions,
    name = 'ada@example.com',
    expiresIn = 3600,
  ): Promise<Actor> {
    return { tenantId, token: await signToken({ tenantId, actor: name, permissions: allowed, expiresIn }, this.config) }
  }

  /** Runs one operation over HTTP. */
  async run(
    actor: Actor | null,
    query: string,
    variables: Readonly<Record<string, unknown>> = {},
    url = this.url,
  ): Promise<GraphQLAnswer> {
    return answerOf(
      await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', ...authorization(actor) },
        body: JSON.stringify({ query, variables }),
      }),
    )
  }

  /** The data of an operation that must succeed. */
  async ask(actor: Actor, query: string, variables: Readonly<Record<string, unknown>> = {}): Promise<Json> {
    return dataOf(await this.run(actor, query, variables))
  }

  /** Runs a mutation with a file in `input.file`. */
  async upload(
    actor: Actor | null,
    query: string,
    input: Readonly<Record<string, unknown>>,
    file: string | Uint8Array<ArrayBuffer>,
    name = 'people.csv',
  ): Promise<GraphQLAnswer> {
    const form = new FormData()
    form.append('operations', JSON.stringify({ query, variables: { input: { ...input, file: null } } }))
    form.append('map', JSON.stringify({ 0: ['variables.input.file'] }))
    form.append('0', new Blob([file]), name)
    return answerOf(
      await fetch(`${this.url}/graphql`, {
        method: 'POST',
        headers: { 'apollo-require-preflight': 'true', accept: 'application/json', ...authorization(actor) },
        body: form,
      }),
    )
  }

  /** Uploads and imports, waits for the end, and answers the run's id. */
  async import(
    actor: Actor,
    recordType: string,
    csv: string | Uint8Array<ArrayBuffer>,
    options: object = {},
    input: object = {},
  ): Promise<string> {
    const answer = dataOf(
      await this.upload(
        actor,
        'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code field message } } }',
        { recordType, options, idempotencyKey: randomBytes(8).toString('hex'), ...input },
        csv,
      ),
    )
    if (answer.importCreate.importRun === null) {
      throw new Error(JSON.stringify(answer.importCreate.userErrors))
    }
    const { id } = answer.importCreate.importRun
    await this.rested(actor, id)
    return id
  }

  /** Waits, by its events, until a run has ended or waits for a person; answers its status. */
  async rested(actor: Actor, id: string): Promise<string> {
    const started = performance.now()
    for (;;) {
      const { run } = await this.ask(actor, 'query ($id: ID!) { run(id: $id) { status finishedAt } }', { id })
      if (run.finishedAt !== null || ['AWAITING_MAPPING', 'AWAITING_CONFIRMATION', 'PAUSED'].includes(run.status)) {
        return run.status
      }
      if (performance.now() - started > 60_000) {
        throw new Error(`run ${id} is still ${run.status}`)
      }
      await this.#change(actor, id)
    }
  }

  /** Resolves at the next event of the tenant, or soon. */
  async #change(_actor: Actor, _id: string): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.oracle.off('notification', done)
        resolve()
      }
      const timer = setTimeout(done, 250)
      this.oracle.on('notification', done)
      this.oracle.query('listen portage_events').catch(done)
    })
  }
}

/** Data of an answer without errors. */
export function dataOf(answer: GraphQLAnswer): Json {
  if (answer.errors.length > 0 || answer.data === null || answer.data === undefined) {
    throw new Error(`${answer.status} ${answer.text}`)
  }
  return answer.data
}

export function authorization(actor: Actor | null): Record<string, string> {
  return actor === null ? {} : { authorization: `Bearer ${actor.token}` }
}

async function answerOf(response: Response): Promise<GraphQLAnswer> {
  const text = await response.text()
  const parsed = JSON.parse(text) as { data?: unknown; errors?: GraphQLAnswer['errors'] }
  return { status: response.status, text, data: parsed.data, errors: parsed.errors ?? [] }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
