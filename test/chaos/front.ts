/** An API as a process that comes back when it dies, and a client who asks again until there is an answer. */
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { permissions } from '../../src/access/permissions.js'
import { signToken } from '../../src/access/tokens.js'
import { loadConfig } from '../../src/config.js'
import { RoleProcess, type Settings } from '../helpers/processes.js'
import type { House } from './house.js'

/** A client gives up after so long. Milliseconds. */
const PATIENCE_MS = 60_000

/** Between two tries of a client. Milliseconds. */
const RETRY_MS = 50

/** An answer has the shape of the query that asked. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Data = any

export interface FrontOptions {
  readonly settings?: Settings
  /** What Node is started with besides. */
  readonly options?: readonly string[]
}

export class Front {
  readonly port: number
  readonly url: string
  /** How often a client had to ask again. */
  retries = 0
  /** How often the process was started. */
  starts = 0
  readonly #settings: Settings
  readonly #options: readonly string[]
  #process: RoleProcess
  #stopping = false

  private constructor(port: number, settings: Settings, options: readonly string[]) {
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    this.#settings = settings
    this.#options = options
    this.#process = this.#start()
  }

  static async open(house: House, { settings = {}, options = [] }: FrontOptions = {}): Promise<Front> {
    const port = await freePort()
    const all = {
      PORTAGE_ROLE: 'api',
      PORTAGE_PORT: String(port),
      PORTAGE_DATA_DIR: house.dataDir,
      PORTAGE_LOG_LEVEL: 'error',
      DATABASE_URL: house.db.apiUrl,
      ...settings,
    }
    const front = new Front(port, all, options)
    await front.#process.ready
    return front
  }

  #start(): RoleProcess {
    this.starts += 1
    const process = new RoleProcess('api', this.#settings, this.#options)
    void process.exited.then(() => {
      if (!this.#stopping) {
        this.#process = this.#start()
      }
    })
    return process
  }

  /** The process of this moment. */
  get process(): RoleProcess {
    return this.#process
  }

  /** A sign-in token; `expiresIn` in seconds. */
  async token(tenantId: string, expiresIn = 3600): Promise<string> {
    return signToken({ tenantId, actor: 'chaos', permissions, expiresIn }, loadConfig(this.#settings))
  }

  /** Asks once. Throws when nothing came back, or no data. */
  async once(token: string, query: string, variables: object, file: string | null = null): Promise<Data> {
    const body =
      file === null ? JSON.stringify({ query, variables }) : multipart(query, variables as { input: object }, file)
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(file === null ? { 'content-type': 'application/json' } : { 'apollo-require-preflight': 'true' }),
      },
      body,
      signal: AbortSignal.timeout(20_000),
    })
    const answer = (await response.json()) as { data?: Data; errors?: unknown }
    if (answer.data === undefined || answer.data === null || answer.errors !== undefined) {
      throw new Error(`${response.status} ${JSON.stringify(answer)}`)
    }
    return answer.data
  }

  /** Asks until there is an answer, as a script with an idempotency key does. */
  async ask(token: string, query: string, variables: object, file: string | null = null): Promise<Data> {
    for (const started = performance.now(); ; ) {
      try {
        return await this.once(token, query, variables, file)
      } catch (error) {
        this.retries += 1
        if (performance.now() - started > PATIENCE_MS) {
          throw error
        }
        await pause(RETRY_MS)
      }
    }
  }

  async close(): Promise<void> {
    this.#stopping = true
    this.#process.signal('SIGCONT')
    await this.#process.stop()
  }
}

function multipart(query: string, variables: { input: object }, file: string): FormData {
  const form = new FormData()
  form.append('operations', JSON.stringify({ query, variables: { input: { ...variables.input, file: null } } }))
  form.append('map', JSON.stringify({ 0: ['variables.input.file'] }))
  form.append('0', new Blob([file]), 'chaos.csv')
  return form
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
