/** Everything that the API answers over HTTP, on one address. All of it is JSON, errors included, but for metrics, files and the console. */
import type { ApolloServer } from '@apollo/server'
import { expressMiddleware } from '@as-integrations/express5'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import helmet from 'helmet'
import { type Caller, identify } from '../access/identify.js'
import { Unauthenticated } from '../access/tokens.js'
import { SCHEMA_VERSION } from '../db/schema-version.js'
import { BODY_BYTES_MAX } from '../limits.js'
import { serveMetrics } from '../metrics.js'
import { type ApiContext, createContext, type Exchange, type Services } from '../resolvers/context.js'
import { CALLBACK_PATH } from '../runs/integrations.js'
import { beginSpan, readTraceparent, within } from '../tracing.js'
import { serveConsole } from './console.js'
import { DOWNLOAD_ROUTE, downloads } from './downloads.js'
import { CallerGone, describeError, isUnavailable } from './errors.js'
import { callbackCookie, oauthCallback } from './oauth-callback.js'
import { originOf } from './origin.js'
import { metered, meterOf, type RateLimits, tellQuota } from './rate-limits.js'
import { refuse, refuseBody } from './refuse.js'
import { uploads } from './uploads.js'
import { rangedUploads, UPLOAD_ROUTE } from './uploads-ranged.js'

/** Where GraphQL is answered, on HTTP and on sockets. */
export const GRAPHQL_PATH = '/graphql'

/** What the routes of a process share. */
export interface HttpState {
  readonly services: Services
  readonly engine: ApolloServer<ApiContext>
  readonly limits: RateLimits
  /** True from the moment at which the process is told to stop. */
  stopping: boolean
}

/** The routes of the API. */
export function createApp(state: HttpState): Express {
  const { services, limits } = state
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(helmet())
  app.use(traced)
  app.get('/livez', (_request, response) => {
    response.setHeader('cache-control', 'no-store').json({ status: 'ok' })
  })
  app.get('/readyz', (_request, response, next) => {
    ready(state, response).catch(next)
  })
  app.get('/metrics', (request, response, next) => {
    serveMetrics(request, response).catch(next)
  })
  app.get(DOWNLOAD_ROUTE, downloads(services))
  app.get(CALLBACK_PATH, noStore, oauthCallback(services))
  serveConsole(app)
  app.all(UPLOAD_ROUTE, noStore, authenticated(services), metered(limits), rangedUploads(services))
  app.use(
    GRAPHQL_PATH,
    noStore,
    authenticated(services),
    metered(limits),
    charged(limits),
    uploads(services),
    express.json({ limit: BODY_BYTES_MAX, strict: false }),
    withBody,
    expressMiddleware(state.engine, {
      context: async ({ req, res }) => contextOf(services, limits, req as Request, res as Response),
    }),
  )
  app.use((_request, response) => {
    refuse(response, 404, 'NOT_FOUND', 'There is nothing here.')
  })
  app.use(failed(services))
  return app
}

/** What a look at the database takes is waited for this long; then the last look counts. Milliseconds. */
const READY_MS = 150

/** After so long without an answer a look has failed, and a look that succeeded longer ago says nothing. Milliseconds. */
const LOOK_MS = 2000

/** The version of the schema that was found last, and when, on the clock of `performance.now()`. */
interface Looked {
  readonly version: string | null
  readonly at: number
}

/** The last look at each database, and the one under way. */
const looks = new WeakMap<Services['database'], { last: Looked | null; next: Promise<Looked> | null }>()

/** The version of the schema, now or a moment ago; null where the database does not answer. In READY_MS, whatever it does. */
async function schemaVersion(database: Services['database']): Promise<string | null> {
  const look = looks.get(database) ?? { last: null, next: null }
  looks.set(database, look)
  look.next ??= Promise.race([database.schemaVersion().catch(() => null), later(LOOK_MS)]).then((version) => {
    look.last = { version, at: performance.now() }
    look.next = null
    return look.last
  })
  const looked = (await Promise.race([look.next, later(READY_MS)])) ?? look.last
  return looked === null || performance.now() - looked.at > LOOK_MS ? null : looked.version
}

function later(milliseconds: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), milliseconds).unref())
}

async function ready({ services, stopping }: HttpState, response: Response): Promise<void> {
  response.setHeader('cache-control', 'no-store')
  if (stopping) {
    refuse(response, 503, 'STOPPING', 'This process is about to stop.')
    return
  }
  const version = await schemaVersion(services.database)
  // A deploy brings the schema up to date first: the version before works on it until its last process has been replaced.
  if (version !== null && version >= SCHEMA_VERSION) {
    response.json({ status: 'ok' })
    return
  }
  const message =
    version === null
      ? 'The database does not answer.'
      : 'The database has an older version of the schema than this process.'
  response.setHeader('retry-after', '1')
  refuse(response, 503, 'UNAVAILABLE', message)
}

function noStore(_request: Request, response: Response, next: NextFunction): void {
  response.setHeader('cache-control', 'no-store')
  next()
}

/** Each request belongs to a trace: the one that it says, or a new one. */
function traced(request: Request, response: Response, next: NextFunction): void {
  const parent = readTraceparent(request.get('traceparent'))
  const span = beginSpan(request.method, {
    parent,
    role: 'server',
    attributes: { 'http.request.method': request.method },
  })
  response.locals.traceparent = span.traceparent
  response.once('close', () => {
    const status = response.statusCode
    span.set({
      'http.response.status_code': status,
      // The pattern, which has no ids and no signatures.
      ...(typeof request.route?.path === 'string' ? { 'http.route': request.route.path } : {}),
    })
    span.end(status >= 500 ? { code: String(status) } : undefined)
  })
  within(span.traceparent, {}, next)
}

/** Counts bytes of answers, as they go onto the wire, beside the operations that they answer. */
function charged(limits: RateLimits) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const { socket } = request
    const before = socket.bytesWritten
    response.once('finish', () => {
      const caller = response.locals.caller as Caller | undefined
      if (caller !== undefined) {
        limits.charge(caller, socket.bytesWritten - before)
      }
    })
    next()
  }
}

/** Nobody gets further without a valid token or key: what follows reads bodies. */
function authenticated(services: Services) {
  return (request: Request, response: Response, next: NextFunction): void => {
    identify(request.headers.authorization ?? null, services).then(
      (caller) => {
        response.locals.caller = caller
        next()
      },
      (error: unknown) => {
        if (error instanceof Unauthenticated) {
          response.setHeader('www-authenticate', 'Bearer')
          refuseBody(request, response, 401, error.code, error.message)
          return
        }
        next(error)
      },
    )
  }
}

/** The engine wants a body, which a request without one does not have. */
function withBody(request: Request, response: Response, next: NextFunction): void {
  request.body ??= {}
  // The body has come from its socket, which belongs to no request: what follows is to know its trace again.
  const { tenantId } = response.locals.caller as Caller
  within(String(response.locals.traceparent), { tenantId }, next)
}

function contextOf(services: Services, limits: RateLimits, request: Request, response: Response): ApiContext {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) {
      gone.abort(new CallerGone())
    }
  })
  const caller = response.locals.caller as Caller
  const exchange: Exchange = {
    // The middleware that reads uploads has put its own there.
    countStored: (bytes) => (response.locals.countStored as Exchange['countStored'] | undefined)?.(bytes),
    tellQuota: (quota) => tellQuota(response, quota),
    meter: meterOf(limits, caller, response),
  }
  return createContext(services, caller, gone.signal, originOf(request), callbackCookie(services, response), exchange)
}

/** The last resort: whatever was thrown on the way, as JSON. */
function failed(services: Services) {
  return (error: unknown, request: Request, response: Response, _next: NextFunction): void => {
    if (response.headersSent) {
      response.destroy()
      return
    }
    const { status, expose, message, type } = error as {
      status?: unknown
      expose?: unknown
      message?: unknown
      type?: unknown
    }
    if (typeof status === 'number' && status >= 400 && status < 500) {
      // From the readers of bodies: their messages are about the request, but those of the JSON parser quote it.
      const text =
        type === 'entity.parse.failed' || expose !== true || typeof message !== 'string'
          ? 'The request cannot be read.'
          : message
      refuseBody(request, response, status, status === 413 ? 'REQUEST_TOO_LARGE' : 'BAD_REQUEST', text)
      return
    }
    const described = describeError(error, services.log)
    if (isUnavailable(error)) {
      response.setHeader('retry-after', '1')
    }
    response.status(isUnavailable(error) ? 503 : 500).json({ errors: [described] })
  }
}
