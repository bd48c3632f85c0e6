/** GraphQL over WebSocket, for subscriptions: who is let in, how much each socket may ask for, and when it has to go. */
import type { IncomingMessage, Server } from 'node:http'
import {
  type DocumentNode,
  type ExecutionArgs,
  GraphQLError,
  getOperationAST,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  subscribe,
  validate,
} from 'graphql'
import { CloseCode, type Context, handleProtocols, makeServer, type SubscribePayload } from 'graphql-ws'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Origin } from '../access/audit.js'
import { clockNow } from '../access/clock.js'
import { type Caller, identify, noLongerAllowed } from '../access/identify.js'
import { Unauthenticated } from '../access/tokens.js'
import { withTenant } from '../db/tx.js'
import {
  SOCKET_INIT_MS_MAX,
  SOCKET_MESSAGE_BYTES_MAX,
  SOCKET_MESSAGES_PER_MINUTE_MAX,
  SOCKET_OPERATIONS_MAX,
  TOKENS_MAX,
  VALIDATION_ERRORS_MAX,
} from '../limits.js'
import { createContext, type Services } from '../resolvers/context.js'
import { apiSchema } from '../resolvers/schema.js'
import { newTraceparent, within } from '../tracing.js'
import { CallerGone, describeError, newErrorId, withoutHints } from './errors.js'
import { checkOperation, measureOperation } from './operation-limits.js'
import { originOf } from './origin.js'
import { meterOf, type RateLimits } from './rate-limits.js'

export interface Sockets {
  /** Ends all operations and closes all sockets with 1001. */
  close(): Promise<void>
}

/** How often a socket is asked whether its client is still there, in milliseconds. */
const KEEP_ALIVE_MS = 12_000

/** How often it is looked whether those who are connected may still be, in milliseconds. */
const RECHECK_MS = 4000

/** Why a socket was closed, beside the codes of the protocol. */
const TOO_MANY_MESSAGES = 4429

interface Extra {
  /** Where the socket comes from. */
  readonly origin: Origin
  readonly socket: WebSocket
  /** Aborted when the socket is gone. */
  readonly gone: AbortController
  /** Set once the client has said who it is. */
  caller: Caller | null
  /** Header of the upgrade request, for clients that can send one; what comes with the first message wins. */
  readonly authorization: string | null
}

type SocketContext = Context<Record<string, unknown>, Extra>

/** Answers sockets at `path` of the server. */
export function serveSockets(http: Server, path: string, services: Services, limits: RateLimits): Sockets {
  const sockets = new WebSocketServer({
    server: http,
    path,
    maxPayload: SOCKET_MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
    handleProtocols,
  })
  const open = new Set<Extra>()
  const rules = services.config.introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule]
  const server = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: SOCKET_INIT_MS_MAX,
    onConnect: (context) => connect(context, services),
    onSubscribe: (context, _id, payload) => accept(context, payload, rules, services, limits),
    // Streams pull from the log: nothing queues here.
    subscribe,
    onError: (_context, _id, _payload, errors) =>
      errors.slice(0, VALIDATION_ERRORS_MAX).map((error) => describeError(error, services.log)),
    onNext: (_context, _id, _payload, _args, result) => {
      return result.errors === undefined
        ? undefined
        : { ...result, errors: result.errors.map((error) => describeError(error, services.log)) }
    },
  })
  sockets.on('connection', (socket: WebSocket, request: IncomingMessage) => {
    const extra: Extra = {
      origin: originOf(request),
      socket,
      gone: new AbortController(),
      caller: null,
      authorization: request.headers.authorization ?? null,
    }
    open.add(extra)
    attach(socket, extra, server, services, limits)
    socket.once('close', () => open.delete(extra))
  })
  const recheck = setInterval(() => {
    recheckAll(open, services).catch((err: unknown) =>
      services.log.warn({ err }, 'those who are connected could not be looked up again'),
    )
  }, RECHECK_MS)

  return {
    close: async () => {
      clearInterval(recheck)
      for (const socket of sockets.clients) {
        socket.close(1001, 'Going away')
      }
      const closed = new Promise<void>((resolve) => {
        sockets.close(() => resolve())
      })
      // A client that does not answer the close is not waited for.
      setTimeout(() => sockets.clients.forEach((socket) => socket.terminate()), 1000).unref()
      await closed
    },
  }
}

function attach(
  socket: WebSocket,
  extra: Extra,
  server: ReturnType<typeof makeServer<Record<string, unknown>, Extra>>,
  { log }: Services,
  limits: RateLimits,
): void {
  let messages = 0
  const minute = setInterval(() => {
    messages = 0
  }, 60_000)
  let alive = true
  const keepAlive = setInterval(() => {
    if (!alive) {
      socket.terminate()
      return
    }
    alive = false
    socket.ping()
  }, KEEP_ALIVE_MS)
  socket.on('pong', () => {
    alive = true
  })
  socket.on('error', (err) => log.debug({ err }, 'a socket failed'))
  const closed = server.opened(
    {
      protocol: socket.protocol,
      send: (data) =>
        new Promise((resolve, reject) => {
          if (extra.caller !== null) {
            limits.charge(extra.caller, data.length)
          }
          if (socket.readyState === socket.OPEN) {
            socket.send(data, (error) => (error ? reject(error) : resolve()))
          } else {
            resolve()
          }
        }),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) => {
        socket.on('message', (data) => {
          messages += 1
          if (messages > SOCKET_MESSAGES_PER_MINUTE_MAX) {
            socket.close(TOO_MANY_MESSAGES, `More than ${SOCKET_MESSAGES_PER_MINUTE_MAX} messages in a minute`)
            return
          }
          const about = extra.caller === null ? {} : { tenantId: extra.caller.tenantId }
          // A Buffer, as the library gives it unless told otherwise.
          within(newTraceparent(null), about, () => handle((data as Buffer).toString())).catch((err: unknown) => {
            log.debug({ err }, 'a message could not be handled')
            socket.close(CloseCode.InternalServerError, 'Internal error')
          })
        })
      },
    },
    extra,
  )
  socket.once('close', (code, reason) => {
    clearInterval(minute)
    clearInterval(keepAlive)
    extra.gone.abort(new CallerGone())
    void closed(code, String(reason))
  })
}

/** Lets a client in, or closes with 4403; and again when its token ends. */
async function connect(context: SocketContext, services: Services): Promise<boolean> {
  const { extra } = context
  const given = context.connectionParams?.authorization ?? context.connectionParams?.Authorization
  try {
    extra.caller = await identify(typeof given === 'string' ? given : extra.authorization, services)
  } catch (error) {
    if (!(error instanceof Unauthenticated)) {
      services.log.warn({ err: error }, 'a socket could not be let in')
      extra.socket.close(1013, 'Try again later')
    }
    return false
  }
  const { expiresAt } = extra.caller
  if (expiresAt !== null) {
    closeAt(extra, expiresAt)
  }
  return true
}

/** Longest delay of a timer, in milliseconds. */
const TIMER_MAX_MS = 2 ** 31 - 1

function closeAt(extra: Extra, when: Date): void {
  // Who went away while it was looked up who it is leaves nothing to close, and nobody who would clear the timer.
  if (extra.gone.signal.aborted) {
    return
  }
  const left = when.getTime() - clockNow()
  const timer = setTimeout(
    () => (left > TIMER_MAX_MS ? closeAt(extra, when) : extra.socket.close(CloseCode.Forbidden, 'The token has ended')),
    Math.min(Math.max(left, 0), TIMER_MAX_MS),
  )
  extra.gone.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
}

/** The operation as it is to be executed, or why it is not: the same rules as on HTTP. */
async function accept(
  context: SocketContext,
  payload: SubscribePayload,
  rules: typeof specifiedRules,
  services: Services,
  limits: RateLimits,
): Promise<ExecutionArgs | readonly GraphQLError[]> {
  const { extra } = context
  const { caller } = extra
  if (caller === null) {
    return [new GraphQLError('Sign in first.', { extensions: { code: 'UNAUTHENTICATED' } })]
  }
  // Its own id is reserved before this is called.
  if (Object.keys(context.subscriptions).length > SOCKET_OPERATIONS_MAX) {
    return [
      new GraphQLError(`A socket has at most ${SOCKET_OPERATIONS_MAX} operations open at a time.`, {
        extensions: { code: 'LIMIT_EXCEEDED', limit: 'operations' },
      }),
    ]
  }
  let document: DocumentNode
  try {
    document = parse(payload.query, { maxTokens: TOKENS_MAX })
  } catch (error) {
    return [
      error instanceof GraphQLError
        ? coded(error, 'GRAPHQL_PARSE_FAILED')
        : new GraphQLError('The document cannot be read.'),
    ]
  }
  const errors = validate(apiSchema, document, rules)
  if (errors.length > 0) {
    return errors.map((error) => coded(error, 'GRAPHQL_VALIDATION_FAILED'))
  }
  const tooLarge = checkOperation(apiSchema, document, payload.operationName ?? null, payload.variables ?? {})
  if (tooLarge !== null) {
    return [tooLarge]
  }
  const operation = getOperationAST(document, payload.operationName)
  const fields =
    operation == null ? 1 : measureOperation(apiSchema, document, operation, payload.variables ?? {}).rootFields
  const refused = await meterOf(limits, caller, null)(fields)
  if (refused !== null) {
    return [refused]
  }
  return {
    schema: apiSchema,
    document,
    operationName: payload.operationName,
    variableValues: payload.variables,
    contextValue: createContext(services, caller, extra.gone.signal, { ...extra.origin, requestId: newErrorId() }),
  }
}

function coded(error: GraphQLError, code: string): GraphQLError {
  return new GraphQLError(withoutHints(error.message), {
    nodes: error.nodes,
    source: error.source,
    positions: error.positions,
    extensions: { code },
  })
}

/** Closes the sockets of those who may no longer be here, or may do less than when they came. */
async function recheckAll(open: ReadonlySet<Extra>, { database }: Services): Promise<void> {
  const callers = [...open].flatMap((extra) => (extra.caller === null ? [] : [{ extra, caller: extra.caller }]))
  for (const [tenantId, those] of Map.groupBy(callers, ({ caller }) => caller.tenantId)) {
    const gone = await withTenant(database, tenantId, (tx) =>
      noLongerAllowed(
        tx,
        those.map(({ caller }) => caller),
      ),
    )
    for (const { extra } of those.filter(({ caller }) => gone.includes(caller))) {
      extra.socket.close(CloseCode.Forbidden, 'Sign in again')
    }
  }
}
