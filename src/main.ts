/**
 * Where every process begins. Settings first; then either the supervisor, or one role: what it opens is closed in
 * reverse when the process is told to stop. Heavy modules are loaded by the role that needs them and by no other.
 */
import { type Config, ConfigError, loadConfig } from './config.js'
import { FatalError } from './errors.js'
import { sealFailpoints } from './failpoints.js'
import { createLog, type Log } from './log.js'
import { EXIT_TRY_AGAIN, type Message } from './processes.js'
import type { TracingOptions } from './tracing.js'

const NEEDED_NODE = 24

/** A role that was told to stop and has not by then is ended. The supervisor is less patient. */
const CLOSE_MS = 25_000

/** How often a supervised process tells what it measured. */
const METRICS_MS = 5000

interface Running {
  close(): Promise<void>
}

async function main(): Promise<void> {
  // Whoever read our output has gone; that is no reason to end.
  process.stdout.on('error', () => undefined)
  if (Number.parseInt(process.versions.node, 10) < NEEDED_NODE) {
    throw new FatalError(
      'NODE_TOO_OLD',
      `Portage needs Node ${NEEDED_NODE}, this is ${process.versions.node}; \`npm start\` brings its own`,
    )
  }
  const config = loadConfig()
  if (config.production) {
    sealFailpoints()
  }
  const name = process.argv[2] ?? config.role
  if (name === 'bootstrap') {
    await runBootstrap(config)
  } else if (config.role === 'all') {
    const { supervise } = await import('./supervisor.js')
    await supervise(config)
    process.exit(0)
  } else {
    await runRole(config, name)
  }
}

/** Brings the database up to date and ends. Run by the supervisor; or by hand before roles are started one by one. */
async function runBootstrap(config: Config): Promise<void> {
  endWithSupervisor(config)
  const { bootstrap } = await import('./bootstrap.js')
  const { isAway } = await import('./db/away.js')
  if (config.databaseUrl === null) {
    throw new ConfigError(['DATABASE_URL: needed for `bootstrap`'])
  }
  try {
    await tell({ type: 'bootstrapped', ...(await bootstrap(config, config.databaseUrl)) })
    process.exit(0)
  } catch (error) {
    if (isAway(error)) {
      process.exit(EXIT_TRY_AGAIN)
    }
    throw error
  }
}

/** Runs an API or a worker until it is told to stop. */
async function runRole(config: Config, name: string): Promise<void> {
  const log = createLog({ level: config.logLevel, process: name })
  endWithSupervisor(config)
  process.on('uncaughtException', (err) => {
    log.error({ err }, 'a fault that nobody expected: this process ends')
    process.exit(1)
  })
  const stop = Promise.withResolvers<void>()
  process.on('SIGTERM', () => stop.resolve())
  // Ctrl-C reaches every process of the terminal; a supervised one waits for the supervisor's word.
  process.on('SIGINT', () => config.supervised || stop.resolve())
  process.on('SIGHUP', () => config.supervised || stop.resolve())
  const opening = open(config, name).catch((err: unknown) => {
    log.error({ err }, 'could not start')
    process.exit(1)
  })
  const running = await Promise.race([opening, stop.promise])
  if (running === undefined) {
    // Told to stop while it waited for its database: nothing is in hand.
    process.exit(0)
  }
  await tell({ type: 'ready' })
  log.info(config.role === 'api' ? { host: config.host, port: config.port } : {}, 'ready')
  await stop.promise
  log.info('stopping')
  setTimeout(() => fail(log), CLOSE_MS).unref()
  await running.close()
  process.exit(0)
}

async function open(config: Config, name: string): Promise<Running> {
  const metrics = await import('./metrics.js')
  metrics.measureProcess(name)
  const endTracing = config.tracing === null ? null : await traced({ ...config.tracing, process: name })
  if (config.role === 'api') {
    const { startApi } = await import('./server/start.js')
    process.on('message', (message: Message) => {
      if (message.type === 'metrics' && message.source !== undefined) {
        metrics.keepSnapshot(message.source, message.snapshot)
      }
    })
    return endingWith(await startApi(config), endTracing)
  }
  const { startWorker } = await import('./jobs/start.js')
  if (config.supervised) {
    const report = async () => tell({ type: 'metrics', snapshot: await metrics.metricsSnapshot() })
    setInterval(() => void report(), METRICS_MS).unref()
  } else if (config.metricsPort !== null) {
    await metrics.startMetricsServer(config.host, config.metricsPort)
  }
  return endingWith(await startWorker(config), endTracing)
}

async function traced(options: TracingOptions): Promise<() => Promise<void>> {
  const { startTracing } = await import('./tracing.js')
  return startTracing(options)
}

/** The same, with what ends last. */
function endingWith(running: Running, last: (() => Promise<void>) | null): Running {
  return {
    close: async () => {
      await running.close()
      await last?.()
    },
  }
}

/** A child without its supervisor would hold ports and locks that the next supervisor's children need. */
function endWithSupervisor(config: Config): void {
  if (config.supervised) {
    process.on('disconnect', () => process.exit(1))
  }
}

async function tell(message: Message): Promise<void> {
  if (process.connected === true) {
    await new Promise((settle) => process.send?.(message, settle))
  }
}

function fail(log: Log): never {
  log.error('did not stop in time')
  process.exit(1)
}

main().catch((error: unknown) => {
  const told = error instanceof ConfigError || error instanceof FatalError
  process.stderr.write(
    `${error instanceof FatalError ? 'Portage cannot start: ' : ''}${told ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
  )
  process.exit(1)
})
