/** An API process: GraphQL over HTTP and WebSocket, uploads, downloads, health and metrics on one address. */
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { keepClock } from '../access/clock.js'
import { type SpaceOf, spaceOf } from '../access/space.js'
import { clamdScanner } from '../adapters/antivirus/clamd.js'
import { openFileStore } from '../adapters/files/storage.js'
import type { Config } from '../config.js'
import { Database } from '../db/database.js'
import { API_ROLE, roleUrl } from '../db/roles.js'
import { EventFeed } from '../events.js'
import { createLog } from '../log.js'
import { measureSubscriptions } from '../metrics.js'
import type { Services } from '../resolvers/context.js'
import { type OpenVendorOf, openVendor } from '../runs/vendors.js'
import { createEngine } from './graphql.js'
import { createApp, GRAPHQL_PATH, type HttpState } from './http.js'
import { RateLimits } from './rate-limits.js'
import { serveSockets } from './sockets.js'

export interface Api {
  /** Refuses new work, lets what is in hand end, and closes everything in reverse. */
  close(): Promise<void>
}

/** A statement of a request that takes longer is ended by the server, in milliseconds. */
const STATEMENT_MS = 30_000

/** A clock that is wrong by more than this is told of. Milliseconds. */
const CLOCK_WRONG_MS = 5000

/** An upload may take so long; anything that takes longer is no client. Milliseconds. */
const REQUEST_MS = 6 * 3_600_000

/**
 * Starts an API process. Resolves when it answers; the database may still be away, which /readyz tells. `standIns`: what tests
 * put in the place of things outside.
 */
export async function startApi(
  config: Config,
  standIns: { readonly openVendor?: OpenVendorOf | undefined; readonly spaceNow?: SpaceOf | undefined } = {},
): Promise<Api> {
  const log = createLog({ level: config.logLevel, process: 'api' })
  const url = roleUrl(config.databaseUrl ?? '', API_ROLE, config.secret.text('database role portage_api'))
  const database = await Database.open({
    url,
    applicationName: 'portage api',
    poolSize: config.databasePool,
    statementMs: STATEMENT_MS,
  })
  const clock = keepClock(
    () => database.time(),
    (wrongBy) => {
      if (Math.abs(wrongBy) > CLOCK_WRONG_MS) {
        log.warn(
          { milliseconds: Math.round(wrongBy) },
          'the clock of this machine is not that of the database, which is gone by; set it',
        )
      }
    },
  )
  const events = new EventFeed({ source: database, listenerUrl: url, log })
  await events.start()
  measureSubscriptions(() => events.stats().subscribers)
  const scanner = config.clamd === null ? null : clamdScanner(config.clamd)
  const files = await openFileStore(config.store, join(config.dataDir, 'files'))
  // What this process has left behind when it was killed is gone before it takes anything new.
  await files.tidy().catch((err: unknown) => log.warn({ err }, 'what was left in the store could not be removed yet'))
  const services: Services = {
    config,
    database,
    scanner,
    files,
    events,
    log,
    spaceNow: standIns.spaceNow ?? spaceOf(config.dataDir),
    openVendor:
      standIns.openVendor ??
      ((tenantId, integrationId) => openVendor({ source: database, settings: config }, tenantId, integrationId)),
  }

  const http = createServer()
  http.requestTimeout = REQUEST_MS
  const limits = new RateLimits(services)
  const sockets = serveSockets(http, GRAPHQL_PATH, services, limits)
  // Sockets first and the streams behind them later: a stream that ended would tell its client that all is said.
  const engine = createEngine(config, log, http, () => sockets.close())
  await engine.start()
  const state: HttpState = { services, engine, limits, stopping: false }
  http.on('request', createApp(state))
  await listening(http, config)

  return {
    close: async () => {
      state.stopping = true
      clock.stop()
      await engine.stop()
      await events.close()
      await database.close()
    },
  }
}

function listening(http: Server, { host, port }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', reject)
    http.listen(port, host, () => {
      http.off('error', reject)
      resolve()
    })
  })
}
