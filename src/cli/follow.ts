/**
 * A subscription that survives lost sockets: the protocol graphql-transport-ws over `ws`, resumed with the last sequence
 * seen, so that every event comes exactly once however often the connection breaks.
 */
import { setTimeout as pause } from 'node:timers/promises'
import WebSocket from 'ws'
import { type Api, ApiError, type GraphQlError, graphQlError } from './api.js'

export interface FollowOptions<E> {
  readonly api: Pick<Api, 'socketUrl' | 'token'>
  readonly query: string
  /** Variables for a subscription behind `after`. */
  readonly variables: (after: string | null) => Readonly<Record<string, unknown>>
  /** Picks the event out of the answer's data. */
  readonly event: (data: unknown) => E
  readonly signal: AbortSignal
  /** The connection was lost and is being tried again, or is there again. */
  readonly onConnection: (state: 'lost' | 'back') => void
}

/** First and longest pause before the next connection. Milliseconds. */
const PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5000

/** Without any connection for so long, following ends with an error. */
const PATIENCE_MS = 5 * 60_000

/** How often the other side is asked for a sign of life; without one for twice as long the socket is taken for dead. */
const PING_MS = 15_000

/** Events that wait here; then the socket is paused. */
const WAITING_MAX = 256

/** Close codes that a new connection would only meet again. 4401 and 4403 may be a token that has ended meanwhile. */
const HOPELESS = new Set([4400, 4404, 4406, 4409])
const SIGN_IN = new Set([4401, 4403])

/**
 * Events as they come, without end until the consumer leaves or `signal` aborts. Throws ApiError where the server
 * refuses, or cannot be reached for five minutes.
 */
export async function* follow<E extends { readonly sequence: string }>(
  options: FollowOptions<E>,
): AsyncGenerator<E, void> {
  let after: string | null = null
  let wait = PAUSE_MS
  let reachedAt = performance.now()
  let refusals = 0
  for (;;) {
    const connection: Connection<E> = new Connection(options, after)
    try {
      for await (const event of connection.events()) {
        wait = PAUSE_MS
        refusals = 0
        after = event.sequence
        yield event
      }
    } finally {
      connection.close()
    }
    options.signal.throwIfAborted()
    const { ended } = connection
    if (ended.kind === 'refused') {
      throw ended.error
    }
    if (ended.kind === 'signIn') {
      refusals += 1
      // The first time a new token may help; the second one was as good as new.
      if (refusals > 1) {
        throw new ApiError(
          'UNAUTHENTICATED',
          `The server ended the connection: ${ended.reason || 'the token is not valid (any more)'}.`,
        )
      }
    }
    if (connection.acknowledged) {
      reachedAt = performance.now()
    } else if (performance.now() - reachedAt > PATIENCE_MS) {
      throw new ApiError(
        'UNREACHABLE',
        `The connection to ${options.api.socketUrl} is lost and does not come back. What was started goes on.`,
      )
    }
    options.onConnection('lost')
    await pause(wait * (0.75 + Math.random() / 2), undefined, { signal: options.signal })
    wait = Math.min(2 * wait, LONGEST_PAUSE_MS)
  }
}

type Ended =
  | { readonly kind: 'lost' }
  | { readonly kind: 'signIn'; readonly reason: string }
  | { readonly kind: 'refused'; readonly error: ApiError }

interface Message {
  readonly type: string
  readonly payload?: unknown
}

/** One socket with one subscription. */
class Connection<E> {
  readonly #options: FollowOptions<E>
  readonly #after: string | null
  readonly #waiting: E[] = []
  #socket: WebSocket | null = null
  #wake: (() => void) | null = null
  #ended: Ended | null = null
  #acknowledged = false

  constructor(options: FollowOptions<E>, after: string | null) {
    this.#options = options
    this.#after = after
  }

  /** How it ended. */
  get ended(): Ended {
    return this.#ended ?? { kind: 'lost' }
  }

  /** Whether the server had let us in. */
  get acknowledged(): boolean {
    return this.#acknowledged
  }

  close(): void {
    this.#end({ kind: 'lost' })
    this.#socket?.close(1000)
  }

  async *events(): AsyncGenerator<E, void> {
    await this.#open()
    for (;;) {
      const event = this.#waiting.shift()
      if (event !== undefined) {
        if (this.#waiting.length === 0) {
          this.#socket?.resume()
        }
        yield event
      } else if (this.#ended === null) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      } else {
        return
      }
    }
  }

  async #open(): Promise<void> {
    const { api, signal } = this.#options
    const authorization = `Bearer ${await api.token()}`
    const socket = new WebSocket(api.socketUrl, 'graphql-transport-ws', {
      headers: { authorization },
      perMessageDeflate: false,
      handshakeTimeout: PING_MS,
    })
    this.#socket = socket
    const abort = () => {
      this.#end({ kind: 'lost' })
      socket.terminate()
    }
    signal.addEventListener('abort', abort, { once: true })
    let alive = true
    const beat = setInterval(() => {
      if (!alive) {
        socket.terminate()
      } else if (socket.readyState === WebSocket.OPEN && !socket.isPaused) {
        alive = false
        socket.ping()
      }
    }, PING_MS)
    const heard = () => {
      alive = true
    }
    socket.on('ping', heard)
    socket.on('pong', heard)
    socket.on('open', () => this.#send({ type: 'connection_init', payload: { authorization } }))
    // Text comes as one Buffer, unless the socket is told otherwise.
    socket.on('message', (data) => {
      heard()
      try {
        this.#receive(JSON.parse((data as Buffer).toString('utf8')) as Message)
      } catch {
        // Not a server that speaks our protocol; perhaps the next one does.
        socket.terminate()
      }
    })
    socket.on('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 0
      const signIn = status === 401 || status === 403
      this.#end(signIn ? { kind: 'signIn', reason: `HTTP ${status}` } : { kind: 'lost' })
      socket.terminate()
    })
    // An error is always followed by `close`.
    socket.on('error', () => undefined)
    socket.on('close', (code, reason) => {
      clearInterval(beat)
      signal.removeEventListener('abort', abort)
      if (HOPELESS.has(code)) {
        this.#end({
          kind: 'refused',
          error: new ApiError('REFUSED', `The server ended the connection: ${String(reason)} (${code}).`),
        })
      } else if (SIGN_IN.has(code)) {
        this.#end({ kind: 'signIn', reason: String(reason) })
      } else {
        this.#end({ kind: 'lost' })
      }
    })
  }

  #receive(message: Message): void {
    switch (message.type) {
      case 'connection_ack':
        this.#acknowledged = true
        this.#options.onConnection('back')
        this.#send({
          type: 'subscribe',
          id: '1',
          payload: { query: this.#options.query, variables: this.#options.variables(this.#after) },
        })
        break
      case 'next': {
        const { data, errors } = message.payload as { data?: unknown; errors?: readonly GraphQlError[] }
        if (errors !== undefined && errors.length > 0) {
          this.#end({ kind: 'refused', error: graphQlError(errors) })
        } else {
          this.#waiting.push(this.#options.event(data))
          if (this.#waiting.length >= WAITING_MAX) {
            this.#socket?.pause()
          }
          this.#wake?.()
        }
        break
      }
      case 'error':
        this.#end({ kind: 'refused', error: graphQlError(message.payload as readonly GraphQlError[]) })
        break
      case 'complete':
        // Nothing that we follow ends by itself: the server is going down.
        this.#end({ kind: 'lost' })
        break
      case 'ping':
        this.#send({ type: 'pong' })
        break
      default:
    }
  }

  #send(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify(message))
    }
  }

  #end(ended: Ended): void {
    this.#ended ??= ended
    this.#wake?.()
  }
}
