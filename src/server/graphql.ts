/** The GraphQL engine: what is parsed, checked, executed and answered on HTTP. */

import type { Server } from 'node:http'
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server'
import { ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled'
import { ApolloServerPluginDrainHttpServer } from '@apollo/server/plugin/drainHttpServer'
import type { Config } from '../config.js'
import { TOKENS_MAX, VALIDATION_ERRORS_MAX } from '../limits.js'
import type { Log } from '../log.js'
import { operationSeconds } from '../metrics.js'
import type { ApiContext } from '../resolvers/context.js'
import { apiSchema } from '../resolvers/schema.js'
import { describeError } from './errors.js'
import { checkOperation, measureOperation } from './operation-limits.js'

/** Makes the engine; `closing` is called when it is stopped, before the HTTP server is drained. */
export function createEngine(
  config: Config,
  log: Log,
  http: Server,
  closing: () => Promise<void>,
): ApolloServer<ApiContext> {
  return new ApolloServer<ApiContext>({
    schema: apiSchema,
    introspection: config.introspection,
    csrfPrevention: true,
    persistedQueries: false,
    allowBatchedHttpRequests: false,
    includeStacktraceInErrorResponses: false,
    hideSchemaDetailsFromClientErrors: true,
    // A second stop, which its own signal handler would make, waits for ever.
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: TOKENS_MAX },
    formatError: (formatted, error) => keepCode(describeError(error, log), formatted.extensions?.code),
    logger: quiet(log),
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginDrainHttpServer({ httpServer: http, stopGracePeriodMillis: 5000 }),
      { serverWillStart: async () => ({ drainServer: closing }) },
      limits,
      plainJson,
      measured,
    ],
  })
}

/** The engine gives its own errors their codes in the formatted copy only. */
function keepCode(described: ReturnType<typeof describeError>, code: unknown): ReturnType<typeof describeError> {
  const known = described.extensions?.code
  return known === 'BAD_USER_INPUT' && typeof code === 'string' && code !== 'INTERNAL_SERVER_ERROR'
    ? { ...described, extensions: { ...described.extensions, code } }
    : described
}

/** What the engine has to say goes to our log; none of it is for standard output. */
function quiet(log: Log) {
  const write = (level: 'debug' | 'warn' | 'error') => (message: unknown) =>
    log[level]({ err: new Error(String(message)) }, 'graphql engine')
  return { debug: write('debug'), info: write('debug'), warn: write('warn'), error: write('error') }
}

/** Refuses operations that are too large, before any resolver runs. */
const limits: ApolloServerPlugin<ApiContext> = {
  requestDidStart: async () => ({
    didResolveOperation: async ({ schema, document, request, operation, contextValue }) => {
      const variables = request.variables ?? {}
      const error = checkOperation(schema, document, request.operationName ?? null, variables)
      if (error !== null) {
        throw error
      }
      // One has been taken for the request.
      const more = operation === undefined ? 0 : measureOperation(schema, document, operation, variables).rootFields - 1
      const refused = more > 0 ? await contextValue.exchange?.meter(more) : null
      if (refused !== null && refused !== undefined) {
        throw refused
      }
    },
  }),
}

/**
 * What cannot be executed is answered with a few of its faults. The GraphQL-over-HTTP specification wants status 200 for a well-formed request that cannot be executed when the answer
 * is `application/json`; the engine answers 400.
 */
const plainJson: ApolloServerPlugin<ApiContext> = {
  requestDidStart: async () => ({
    willSendResponse: async ({ request, response }) => {
      if (
        response.body.kind !== 'single' ||
        response.body.singleResult.data !== undefined ||
        !response.body.singleResult.errors?.length
      ) {
        return
      }
      const { singleResult } = response.body
      singleResult.errors = singleResult.errors?.slice(0, VALIDATION_ERRORS_MAX)
      const modern =
        (response.http.headers.get('content-type') ?? '').includes('graphql-response+json') ||
        (request.http?.headers.get('accept') ?? '').includes('application/graphql-response+json')
      const code = String(response.body.singleResult.errors[0]?.extensions?.code)
      if (!modern && ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT'].includes(code)) {
        response.http.status = 200
      }
    },
  }),
}

const measured: ApolloServerPlugin<ApiContext> = {
  requestDidStart: async () => {
    const started = performance.now()
    return {
      willSendResponse: async ({ operation, response }) => {
        const failed = response.body.kind === 'single' && (response.body.singleResult.errors?.length ?? 0) > 0
        const labels = { type: operation?.operation ?? 'unknown', result: failed ? 'error' : 'ok' }
        operationSeconds.observe(labels, (performance.now() - started) / 1000)
      },
    }
  },
}
