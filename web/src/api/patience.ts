/**
 * Queries that outlast a lost connection: what could not be asked is asked again by itself, so that no page stays behind what is
 * so. Mutations are asked once: whether to ask them again is for whoever asked.
 */
import { type Exchange, makeOperation, type Operation, type OperationResult } from 'urql'
import { map, pipe, tap } from 'wonka'

/** An answer takes so long at most: the service gives up what takes it longer than half of that. Milliseconds. */
const ANSWER_MS_MAX = 60_000

/**
 * After a silence, browsers keep connections that lead nowhere, and would ask them one after the other. For so long, queries go over
 * the socket, which is known to lead somewhere. Milliseconds.
 */
const SUSPECT_MS = 60_000

/** What could not be asked is asked again so much later. Milliseconds. */
const AGAIN_MS = 3_000

let silentAt = Number.NEGATIVE_INFINITY
let silence = new AbortController()

/** The connection of what is live was found to lead nowhere: so may those of queries under way, which end. */
export function tellSilence(): void {
  silentAt = performance.now()
  silence.abort(new DOMException('The connection fell silent', 'TimeoutError'))
  silence = new AbortController()
}

/** Whether an operation is to go over the socket. */
export function goesOverSocket({ kind, context }: Operation): boolean {
  return kind === 'subscription' || context.overSocket === true
}

const askMutation: typeof fetch = (input, init) => fetch(input, { ...init, signal: signalOf(init) })

const askQuery: typeof fetch = (input, init) => {
  return fetch(input, { ...init, signal: AbortSignal.any([signalOf(init), silence.signal]) })
}

function signalOf(init: RequestInit | undefined): AbortSignal {
  const patience = AbortSignal.timeout(ANSWER_MS_MAX)
  return init?.signal == null ? patience : AbortSignal.any([init.signal, patience])
}

/** Asks queries again that did not reach the service or found it away, until they are answered or nobody wants to know any more. */
export const patience: Exchange =
  ({ client, forward }) =>
  (operations) => {
    const unanswered = new Map<number, Operation>()
    let timer: ReturnType<typeof setTimeout> | null = null
    const again = () => {
      timer = null
      for (const operation of unanswered.values()) {
        const context = { ...operation.context, requestPolicy: 'network-only' as const }
        client.reexecuteOperation(makeOperation(operation.kind, operation, context))
      }
    }
    return pipe(
      operations,
      map((operation) =>
        makeOperation(operation.kind, operation, {
          ...operation.context,
          fetch: operation.kind === 'query' ? askQuery : askMutation,
          overSocket: operation.kind === 'query' && performance.now() - silentAt < SUSPECT_MS,
        }),
      ),
      tap((operation) => {
        if (operation.kind === 'teardown') {
          unanswered.delete(operation.key)
        }
      }),
      forward,
      tap((result) => {
        if (result.operation.kind === 'query' && isAway(result)) {
          unanswered.set(result.operation.key, result.operation)
          timer ??= setTimeout(again, AGAIN_MS)
        } else {
          unanswered.delete(result.operation.key)
        }
      }),
    )
  }

function isAway({ error }: OperationResult): boolean {
  const status = (error?.response as Response | undefined)?.status
  return error?.networkError !== undefined && (status === undefined || (status >= 502 && status <= 504))
}
