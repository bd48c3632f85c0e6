/**
 * `npm start`: one process that keeps all others alive. It starts PostgreSQL (unless DATABASE_URL names another one),
 * brings the schema up to date in a short-lived child, then keeps one API, a worker and a standby worker running. It loads
 * nothing else itself, so that it stays small and has little that could break.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Config, childEnvironment, type ProcessRole } from './config.js'
import { type EmbeddedServer, startEmbedded } from './db/embedded.js'
import { API_ROLE, roleUrl, WORKER_ROLE } from './db/roles.js'
import { FatalError } from './errors.js'
import { createLog, type Log } from './log.js'
import type { Message } from './processes.js'
import { EXIT_TRY_AGAIN } from './processes.js'

/** A child that lived for less than this died quickly. */
const QUICK_DEATH_MS = 2000

/** So many quick deaths in a row are taken for accidents; from then on restarts wait, each time twice as long. */
const QUICK_DEATHS_ALLOWED = 3
const FIRST_DELAY_MS = 200
const LONGEST_DELAY_MS = 5000

/** A database that is away is looked for at least this often, so that its return is seen within seconds. */
const AWAY_DELAY_MS = 1000

/** An API that has never been ready is given up after so many tries: then something is wrong that a person must see. */
const FIRST_TRIES = 5

/** On a stop the children get this long to finish what they have in hand; the whole stop takes at most ten seconds. */
const CHILDREN_STOP_MS = 7000
const STOP_MS = 9500

/** A port that was just ours, or a predecessor's that is going down, gets this long to become free. */
const PORT_WAIT_MS = 3000

/** The two workers of one supervisor: one works, the other one waits for its lock. */
const WORKER_SLOT = 'local'

/** Where the command line looks for the API without being told. */
const USUAL_URL = 'http://127.0.0.1:4000'

/** Runs until it is told to stop (SIGTERM, SIGINT, SIGHUP); throws FatalError if it cannot start. */
export async function supervise(config: Config): Promise<void> {
  const started = performance.now()
  const log = createLog({ level: config.logLevel, process: 'supervisor' })
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    // npm passes a signal on that the terminal has sent already: the second one is no news.
    process.on(signal, () => stop.abort())
  }
  if (config.unknownSettings.length > 0) {
    log.warn({ settings: config.unknownSettings }, 'settings that Portage does not know')
  }
  const children: Child[] = []
  let database: Database | null = null
  try {
    await portIsFree(config)
    database = await openDatabase(config, log, stop.signal, () => children.forEach((child) => child.restart()))
    const { url } = database
    const demo = await bootstrap(config, url(), log, stop.signal)
    const api = new Child('api', config, log, () => ({
      role: 'api',
      databaseUrl: roleUrl(url(), API_ROLE, config.secret.text('database role portage_api')),
    }))
    const workers = ['worker-1', 'worker-2'].map(
      (name) =>
        new Child(name, config, log, () => ({
          role: 'worker',
          databaseUrl: roleUrl(url(), WORKER_ROLE, config.secret.text('database role portage_worker')),
          workerSlot: WORKER_SLOT,
        })),
    )
    for (const worker of workers) {
      // The API answers /metrics for all of us.
      worker.onMetrics = (snapshot) => api.send({ type: 'metrics', source: worker.name, snapshot })
    }
    children.push(api, ...workers)
    for (const child of children) {
      child.start()
    }
    await api.ready(stop.signal)
    greet(config, demo, performance.now() - started)
    await aborted(stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) {
      stop.abort()
      throw error
    }
  } finally {
    if (database !== null) {
      log.info('stopping')
    }
    await within(STOP_MS, close(children, database))
  }
}

/** Children first, then what they stand on. A PostgreSQL that needs longer goes on by itself and is found by the next start. */
async function close(children: readonly Child[], database: Database | null): Promise<void> {
  await Promise.all(children.map((child) => child.stop()))
  await database?.stop()
}

/* ------------------------------------------------------------------ database */

interface Database {
  /** Connection string of whoever may create roles; may change when the embedded server comes back on another port. */
  readonly url: () => string
  readonly stop: () => Promise<void>
}

async function openDatabase(config: Config, log: Log, stop: AbortSignal, moved: () => void): Promise<Database> {
  if (config.databaseUrl !== null) {
    const { databaseUrl } = config
    return { url: () => databaseUrl, stop: async () => undefined }
  }
  const options = { dataDir: config.dataDir, log, signal: stop }
  let server = await startEmbedded(options)
  let returning: Promise<void> = Promise.resolve()
  const watch = (running: EmbeddedServer) => {
    running.onExit(() => {
      if (!stop.aborted) {
        log.error({ childPid: running.pid }, 'PostgreSQL ended; starting it again')
        returning = bringBack()
      }
    })
  }
  const bringBack = async () => {
    for (let delay = FIRST_DELAY_MS; !stop.aborted; delay = Math.min(2 * delay, LONGEST_DELAY_MS)) {
      try {
        const { url } = server
        server = await startEmbedded(options)
        watch(server)
        log.info({ childPid: server.pid, port: server.port }, 'PostgreSQL is back')
        if (server.url !== url) {
          moved()
        }
        return
      } catch (err) {
        if (!stop.aborted) {
          log.error({ err }, 'PostgreSQL does not start')
          await pause(delay)
        }
      }
    }
  }
  watch(server)
  return {
    url: () => server.url,
    stop: async () => {
      await returning
      await server.stop()
    },
  }
}

/** What the bootstrap leaves for people to start with; null in production and where tokens come from outside. */
type Demo = { readonly token: string; readonly expiresAt: string } | null

/** Roles, schema, queue and demo tenant, in a child of their own. A database that is away is waited for. */
async function bootstrap(config: Config, url: string, log: Log, stop: AbortSignal): Promise<Demo> {
  for (let delay = FIRST_DELAY_MS; ; delay = Math.min(2 * delay, AWAY_DELAY_MS)) {
    const { demo, code } = await bootstrapOnce(config, url, stop)
    if (code === 0) {
      return demo
    }
    stop.throwIfAborted()
    if (code !== EXIT_TRY_AGAIN) {
      throw new FatalError('BOOTSTRAP_FAILED', 'the database could not be made ready')
    }
    const { hostname, port } = new URL(url)
    log.warn({ host: hostname, port: Number(port), milliseconds: delay }, 'the database does not answer; trying again')
    await pause(delay, undefined, { signal: stop })
  }
}

async function bootstrapOnce(
  config: Config,
  url: string,
  stop: AbortSignal,
): Promise<{ demo: Demo; code: number | null }> {
  const child = launch('bootstrap', config, { role: 'all', databaseUrl: url })
  const kill = () => child.kill('SIGKILL')
  stop.addEventListener('abort', kill)
  let demo: Demo = null
  child.on('message', (message: Message) => {
    if (message.type === 'bootstrapped') {
      demo = message.demo
    }
  })
  const code = await new Promise<number | null>((settle) => child.once('exit', settle))
  stop.removeEventListener('abort', kill)
  return { demo, code }
}

/* ------------------------------------------------------------------ children */

interface ChildOrder {
  readonly role: ProcessRole
  readonly databaseUrl: string
  readonly workerSlot?: string
}

/**
 * Half of V8's young space of each process, at most, in MiB: its own choice of 16 and more takes some 60 MB in the API and
 * in each worker. In the API most of it would be blocks of uploads that nobody needs any more: with 2 an upload of 160 MB
 * takes 43 MB less than with 8 and is no slower (measured).
 */
const YOUNG_SPACE: Readonly<Record<ProcessRole, number>> = { all: 8, api: 2, worker: 8 }

/**
 * By how much the old space of a worker may grow beyond what is in use before it is collected, in percent. V8 lets it double and more where
 * memory is plenty: a migration of 680,000 records took 350 MiB in a worker that had 130 in use at most (measured).
 */
const WORKER_GROWTH_PERCENT = 20

/** Options of Node for a process of a role. Exported for benchmarks that start a worker of their own. */
export function heapOf(role: ProcessRole): readonly string[] {
  const young = `--max-semi-space-size=${YOUNG_SPACE[role]}`
  return role === 'worker' ? [young, `--heap-growing-percent=${WORKER_GROWTH_PERCENT}`] : [young]
}

/**
 * Settings of glibc's allocator (others ignore them): few arenas, and blocks from 64 KiB on, which is what files and rows pass
 * through in, are given back when they are free instead of being kept for later. A worker that imports a workbook of 100 MB takes 166
 * MiB instead of 248, in the same time (measured).
 */
export const ALLOCATOR = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '1048576' }

function launch(name: string, config: Config, order: ChildOrder): ChildProcess {
  return fork(fileURLToPath(new URL('./main.js', import.meta.url)), [name], {
    env: { ...childEnvironment(config, order), ...ALLOCATOR },
    execArgv: [...process.execArgv, ...heapOf(order.role)],
  })
}

/** One process that is to be there all the time. */
class Child {
  readonly name: string
  /** Called with what the child measured. */
  onMetrics: (snapshot: object) => void = () => undefined
  readonly #config: Config
  readonly #log: Log
  readonly #order: () => ChildOrder
  readonly #firstReady = Promise.withResolvers<void>()
  #process: ChildProcess | null = null
  #restart: NodeJS.Timeout | null = null
  #startedAt = 0
  #quickDeaths = 0
  #deaths = 0
  #wasReady = false
  #stopping = false

  constructor(name: string, config: Config, log: Log, order: () => ChildOrder) {
    this.name = name
    this.#config = config
    this.#log = log
    this.#order = order
    // Whoever does not wait for it must not be ended by it.
    this.#firstReady.promise.catch(() => undefined)
  }

  /** When the child has been ready once. Throws if it dies too often before, or on `stop`. */
  async ready(stop: AbortSignal): Promise<void> {
    await Promise.race([this.#firstReady.promise, aborted(stop)])
    stop.throwIfAborted()
  }

  start(): void {
    this.#restart = null
    this.#startedAt = performance.now()
    const child = launch(this.name, this.#config, this.#order())
    this.#process = child
    child.on('message', (message: Message) => {
      if (message.type === 'ready') {
        this.#wasReady = true
        this.#firstReady.resolve()
      } else if (message.type === 'metrics') {
        this.onMetrics(message.snapshot)
      }
    })
    child.once('exit', (code, signal) => this.#died(child, code, signal))
    child.on('error', (err) => {
      this.#log.error({ child: this.name, err }, 'could not be started or reached')
      if (child.pid === undefined) {
        this.#died(child, null, null)
      }
    })
  }

  /** Ends the child; it comes back with fresh settings. */
  restart(): void {
    this.#process?.kill('SIGTERM')
  }

  send(message: Message): void {
    if (this.#process?.connected === true) {
      // It may be gone before it reads this; its death is seen elsewhere.
      this.#process.send(message, () => undefined)
    }
  }

  /** Asks the child to finish, and ends it when that takes too long. Returns when it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart ?? undefined)
    const child = this.#process
    if (child === null) {
      return
    }
    const gone = new Promise((settle) => child.once('exit', settle))
    child.kill('SIGTERM')
    const patience = setTimeout(() => {
      this.#log.warn({ child: this.name, childPid: child.pid ?? null }, 'did not stop in time and is ended')
      child.kill('SIGKILL')
    }, CHILDREN_STOP_MS)
    await gone
    clearTimeout(patience)
  }

  #died(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    this.#process = null
    if (this.#stopping) {
      return
    }
    this.#deaths++
    this.#quickDeaths = performance.now() - this.#startedAt < QUICK_DEATH_MS ? this.#quickDeaths + 1 : 0
    if (!this.#wasReady && this.#deaths >= FIRST_TRIES) {
      this.#firstReady.reject(
        new FatalError('START_FAILED', `the ${this.name} process does not start; its log lines above say why`),
      )
    }
    const excess = this.#quickDeaths - QUICK_DEATHS_ALLOWED
    const delay = excess < 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** excess, LONGEST_DELAY_MS)
    const fields = { child: this.name, childPid: child.pid ?? null, code, signal, milliseconds: delay }
    this.#log.warn(fields, 'ended; starting it again')
    if (delay === 0) {
      this.start()
    } else {
      this.#restart = setTimeout(() => this.start(), delay)
    }
  }
}

/* ------------------------------------------------------------------ small things */

async function portIsFree(config: Config): Promise<void> {
  const deadline = performance.now() + PORT_WAIT_MS
  for (;;) {
    const code = await tryPort(config)
    if (code === null) {
      return
    }
    if (code !== 'EADDRINUSE' || performance.now() > deadline) {
      const why = code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be used (${code})`
      throw new FatalError(
        'PORT_UNUSABLE',
        `port ${config.port} on ${config.host} ${why}; set PORTAGE_PORT or PORTAGE_HOST`,
      )
    }
    await pause(100)
  }
}

/** Null if it can be listened on, else the code of the error. */
async function tryPort({ host, port }: Config): Promise<string | null> {
  const server = createServer()
  return new Promise((settle) => {
    server.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? 'unknown error'))
    server.listen(port, host, () => server.close(() => settle(null)))
  })
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise((settle) => signal.addEventListener('abort', settle, { once: true }))
  }
}

async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  const patience = new AbortController()
  await Promise.race([work, pause(milliseconds, undefined, { signal: patience.signal })])
  patience.abort()
}

function greet(config: Config, demo: Demo, milliseconds: number): void {
  const lines = [`Portage is ready at ${config.publicUrl}/graphql (${(milliseconds / 1000).toFixed(1)} s)`]
  if (demo !== null) {
    lines.push(
      '',
      'The console, signed in to the tenant "demo":',
      '',
      `  ${config.publicUrl}/#token=${demo.token}`,
      '',
      `The same token for the API and the command line, good until ${demo.expiresAt.slice(0, 10)}:`,
      '',
      `  export PORTAGE_TOKEN=${demo.token}`,
      ...(config.publicUrl === USUAL_URL ? [] : [`  export PORTAGE_URL=${config.publicUrl}`]),
      '',
      'Try next, in another terminal, after that:',
      '',
      '  npm run -s portage -- import examples/contacts.csv --type contact --yes',
      '  npm run -s portage -- runs',
      `  curl -s ${config.publicUrl}/graphql -H "authorization: Bearer $PORTAGE_TOKEN" -H 'content-type: application/json' \\`,
      `    -d '{"query":"{ viewer { actor tenantName permissions } }"}'`,
    )
  }
  process.stdout.write(`\n${lines.join('\n')}\n\n`)
}
