/** What callers are told when something goes wrong. Only what was written for them gets out; the rest is a reference to the log. */
import { randomBytes } from 'node:crypto'
import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import { Unauthenticated } from '../access/tokens.js'
import { Refusal, RetryableError } from '../errors.js'
import type { Log } from '../log.js'

/** Members of an error's extensions that are written for callers. */
const shown = ['code', 'permission', 'limit', 'retryAfterSeconds'] as const

/** Why work for a caller is given up who has gone: closed the page, lost the connection. Nobody hears the answer, and nothing is wrong. */
export class CallerGone extends Error {
  // As signals call it whose reason nobody gave: who looks for that finds it.
  override readonly name = 'AbortError'

  constructor() {
    super('The caller has gone.')
  }
}

/** A reference that a caller can hand to support and that is found in the log. */
export function newErrorId(): string {
  return randomBytes(6).toString('hex')
}

/** An error as a GraphQL answer shows it. */
export function describeError(error: unknown, log: Pick<Log, 'error'>): GraphQLFormattedError {
  const located = error instanceof GraphQLError ? error : null
  const place = {
    ...(located?.locations ? { locations: located.locations } : {}),
    ...(located?.path ? { path: located.path } : {}),
  }
  return { ...describe(rootOf(error), located, log), ...place }
}

/** Resolver errors arrive wrapped, with the place where they were thrown. */
function rootOf(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError !== undefined ? rootOf(error.originalError) : error
}

function describe(root: unknown, located: GraphQLError | null, log: Pick<Log, 'error'>): GraphQLFormattedError {
  if (root instanceof GraphQLError && isAboutTheOperation(root, located)) {
    const extensions = { ...root.extensions, ...located?.extensions }
    const kept = Object.fromEntries(
      shown.flatMap((name) => (extensions[name] === undefined ? [] : [[name, extensions[name]]])),
    )
    return { message: withoutHints(root.message), extensions: { code: 'BAD_USER_INPUT', ...kept } }
  }
  if (root instanceof Refusal) {
    return { message: root.message, extensions: { code: root.code } }
  }
  if (root instanceof Unauthenticated) {
    return { message: root.message, extensions: { code: root.code } }
  }
  if (root instanceof CallerGone || (root instanceof Error && root.cause instanceof CallerGone)) {
    return { message: root.message, extensions: { code: 'UNAVAILABLE' } }
  }
  const errorId = newErrorId()
  if (isUnavailable(root)) {
    log.error({ err: root, errorId }, 'a request met a service that is away')
    return {
      message: `Something that this needs is away for the moment; try again shortly. Reference ${errorId}.`,
      extensions: { code: 'UNAVAILABLE', errorId },
    }
  }
  log.error({ err: root, errorId }, 'a request met a fault')
  return { message: `Internal error, reference ${errorId}.`, extensions: { code: 'INTERNAL_SERVER_ERROR', errorId } }
}

/** Written by us, or by the GraphQL library about what the caller sent; not about what a resolver answered. */
function isAboutTheOperation(root: GraphQLError, located: GraphQLError | null): boolean {
  return (
    root.extensions.code !== undefined ||
    located?.path === undefined ||
    /^(Argument|Variable|Directive) /.test(root.message)
  )
}

/** The library suggests names of fields and types that look alike: a way to learn a schema that is not shown. */
export function withoutHints(message: string): string {
  return message.replace(/ ?Did you mean [^?]*\?/g, '')
}

/** Whether an error says that the database, the store or the token issuer is away, so that trying again makes sense. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof RetryableError) {
    return true
  }
  const { code, errors, cause, message } = error as {
    code?: unknown
    errors?: unknown
    cause?: unknown
    message?: unknown
  }
  if (Array.isArray(errors) && errors.length > 0) {
    return errors.every(isUnavailable)
  }
  return (
    (typeof code === 'string' &&
      /^(ECONN\w+|E(TIMEDOUT|HOSTUNREACH|NETUNREACH|PIPE)|ENOTFOUND|EAI_AGAIN|57P0[123]|53[0-9A-Z]{3}|08[0-9A-Z]{3})$/.test(
        code,
      )) ||
    // The driver has no code for a connection that ends in mid-query.
    (typeof message === 'string' && /^(Connection terminated|timeout exceeded when trying to connect)/.test(message)) ||
    (cause !== undefined && cause !== error && cause !== null && isUnavailable(cause))
  )
}
