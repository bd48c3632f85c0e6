/** The one way to the service: its public GraphQL API over HTTP, and over a WebSocket for what is live. */
import { createClient as createSocket, type Client as SocketClient } from 'graphql-ws'
import { useSyncExternalStore } from 'react'
import {
  type AnyVariables,
  Client,
  cacheExchange,
  type Exchange,
  fetchExchange,
  type OperationResult,
  subscriptionExchange,
} from 'urql'
import { filter, map, pipe, tap } from 'wonka'
import { signOut, token } from '../session.ts'
import { ViewerDocument } from './generated.ts'
import { goesOverSocket, patience, tellSilence } from './patience.ts'
import { note } from './recorder.ts'

const URL_OF_API = '/graphql'

/** Whether the socket of what is live is there. `idle`: nothing on this page is live. */
export type Connection = 'idle' | 'open' | 'lost'

let connection: Connection = 'idle'
const watchers = new Set<() => void>()

function setConnection(now: Connection): void {
  if (connection !== now) {
    connection = now
    for (const watcher of watchers) {
      watcher()
    }
  }
}

/** The state of the socket, as state of a component. */
export function useConnection(): Connection {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    () => connection,
  )
}

/** The socket is asked whether it is still there when it has been idle for so long. Milliseconds. */
const PING_MS = 8_000

/** A socket that takes longer to open, or to answer that it is there, is given up for a new one. Milliseconds. */
const SILENCE_MS = 5_000

/** How the last one who listens closes the socket. */
const NORMAL = 1000

/** The service ends sockets so when their token has ended or was revoked, or allows less than it did. */
const NOT_SIGNED_IN = 4403

/** Makes a client for the one who is signed in now; a change of person takes a new one, with nothing of the old in its cache. */
export function createApi(): { readonly client: Client; readonly socket: SocketClient; close(): void } {
  // A way that has fallen silent ends nothing by itself: whoever does not answer in time is taken for gone.
  let silence: ReturnType<typeof setTimeout> | undefined
  const heard = () => clearTimeout(silence)
  const listen = () => {
    heard()
    silence = setTimeout(() => {
      tellSilence()
      socket.terminate()
    }, SILENCE_MS)
  }
  const socket = createSocket({
    url: URL_OF_API,
    connectionParams: () => ({ authorization: `Bearer ${token() ?? ''}` }),
    keepAlive: PING_MS,
    lazyCloseTimeout: 5_000,
    // The connection comes back by itself for as long as the page is open; who listens begins after the last event that it saw.
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait: async (retries) => {
      setConnection('lost')
      const wait = Math.min(500 * 2 ** Math.min(retries, 5), 10_000) * (0.75 + Math.random() / 2)
      await Promise.race([new Promise((settle) => setTimeout(settle, wait)), online()])
    },
    shouldRetry: () => true,
    on: {
      connecting: listen,
      connected: () => {
        heard()
        setConnection('open')
      },
      ping: (received) => {
        if (!received) {
          listen()
        }
      },
      message: heard,
      closed: (event) => {
        heard()
        const { code } = event as CloseEvent
        setConnection(code === NORMAL ? 'idle' : 'lost')
        if (code === NOT_SIGNED_IN) {
          // Its answer tells whether nobody is signed in any more, or somebody who may do less.
          void client.query(ViewerDocument, {}, { requestPolicy: 'network-only' }).toPromise()
        }
      },
      error: () => setConnection('lost'),
    },
  })
  const client = new Client({
    url: URL_OF_API,
    preferGetMethod: false,
    requestPolicy: 'cache-and-network',
    fetchOptions: () => ({ headers: { authorization: `Bearer ${token() ?? ''}` } }),
    exchanges: [
      recording,
      cacheExchange,
      whole,
      patience,
      signedOut,
      subscriptionExchange({
        isSubscriptionOperation: goesOverSocket,
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe(
              { query: query ?? '', variables: variables as Record<string, unknown> },
              sink as never,
            ),
          }),
        }),
      }),
      fetchExchange,
    ],
  })
  return { client, socket, close: () => void socket.dispose() }
}

/** A token that is no longer good ends the session with a word, wherever it shows first. */
const signedOut: Exchange =
  ({ forward }) =>
  (operations) =>
    pipe(
      forward(operations),
      tap((result) => {
        if ((result.error?.response as Response | undefined)?.status === 401) {
          signOut('Your session has ended. Sign in again; nothing that was running has stopped.')
        }
      }),
    )

/** An answer that was refused as a whole has no data, and says so in the one way that pages look for. */
const whole: Exchange =
  ({ forward }) =>
  (operations) =>
    pipe(
      forward(operations),
      map((result) => (result.data === null ? { ...result, data: undefined } : result)),
    )

/** What the page asked, for whoever wants to ask it too: the drawer of the API shows it. */
const recording: Exchange =
  ({ forward }) =>
  (operations) =>
    forward(
      pipe(
        operations,
        tap((operation) => {
          if (operation.kind !== 'teardown') {
            note(operation)
          }
        }),
        filter(() => true),
        map((operation) => operation),
      ),
    )

function online(): Promise<void> {
  return new Promise((settle) => window.addEventListener('online', () => settle(), { once: true }))
}

/** What an answer says went wrong, in words for the person, or null. Messages of the service already say what to do. */
export function trouble(result: Pick<OperationResult<unknown, AnyVariables>, 'error'>): string | null {
  const { error } = result
  if (error === undefined || error === null) {
    return null
  }
  if (error.networkError !== undefined) {
    const status = (error.response as Response | undefined)?.status
    return status === undefined
      ? 'The service cannot be reached. Check the connection; the page goes on by itself when it is back.'
      : `The service answered with ${status}. Try again in a moment.`
  }
  return error.graphQLErrors.map(({ message }) => message).join(' ')
}
