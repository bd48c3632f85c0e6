/** One request to an allowed address, and its answer as it comes. Knows nothing of vendors, tokens and retries. */
import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import type { Socket } from 'node:net'
import { pipeline, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { VENDOR_CONNECT_MS_MAX, VENDOR_HEADERS_MS_MAX, VENDOR_SILENCE_MS_MAX } from '../../limits.js'
import { VendorRefused, vendorUnavailable } from './errors.js'
import { allowedUrl, guardedLookup, type HostRule, isPublicAddress, type Resolve, systemResolve } from './guard.js'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Sent {
  readonly url: URL
  readonly method: Method
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  /** A connection of its own, so that a reset can only mean this request. For what must not be sent twice. */
  readonly fresh: boolean
  readonly signal: AbortSignal
}

export interface Received {
  readonly status: number
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Unpacked. Ends in an error where the connection breaks, is silent for too long, or `maxBytes` are exceeded. */
  body(maxBytes: number): AsyncIterable<Buffer>
  /** Lets go of a body that nobody reads. */
  drop(): void
}

/** Milliseconds; the defaults are the limits of the same names. */
export interface Timeouts {
  readonly connect: number
  readonly headers: number
  readonly silence: number
}

export interface TransportOptions {
  readonly rule: HostRule
  readonly resolve?: Resolve
  readonly timeouts?: Partial<Timeouts>
}

/** A fault of the connection. `sent` tells whether the request may have arrived. */
export class ConnectionFault extends Error {
  readonly sent: boolean
  constructor(message: string, sent: boolean, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ConnectionFault'
    this.sent = sent
  }
}

/** Connections to one vendor for one client. No two clients share any, so neither do two tenants. */
export class Transport {
  readonly #rule: HostRule
  readonly #lookup: ReturnType<typeof guardedLookup>
  readonly #timeouts: Timeouts
  readonly #plain = new PlainAgent({ keepAlive: true })
  readonly #secure = new SecureAgent({ keepAlive: true })

  constructor(options: TransportOptions) {
    this.#rule = options.rule
    this.#lookup = guardedLookup(options.resolve ?? systemResolve, options.rule)
    this.#timeouts = {
      connect: VENDOR_CONNECT_MS_MAX,
      headers: VENDOR_HEADERS_MS_MAX,
      silence: VENDOR_SILENCE_MS_MAX,
      ...options.timeouts,
    }
  }

  /** Closes idle connections, and those in use. */
  close(): void {
    this.#plain.destroy()
    this.#secure.destroy()
  }

  /**
   * Sends one request and answers when the head of the answer is there. Throws VendorRefused ADDRESS_NOT_ALLOWED,
   * ConnectionFault, or the reason of the signal.
   */
  send(sent: Sent): Promise<Received> {
    const url = allowedUrl(sent.url, this.#rule)
    const secure = url.protocol === 'https:'
    const kept = secure ? this.#secure : this.#plain
    sent.signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      let connected = false
      const request = (secure ? secureRequest : plainRequest)(url, {
        method: sent.method,
        headers: { 'accept-encoding': 'gzip, deflate, br', ...sent.headers },
        agent: sent.fresh ? false : kept,
        lookup: this.#lookup,
        signal: sent.signal,
        setDefaultHeaders: true,
      })
      const fail = (message: string): void => {
        request.destroy(new ConnectionFault(message, connected))
      }
      let timer = setTimeout(fail, this.#timeouts.connect, 'the CRM could not be reached in time')
      const onConnected = (): void => {
        connected = true
        clearTimeout(timer)
        timer = setTimeout(fail, this.#timeouts.headers, 'the CRM did not answer in time')
      }
      request.once('socket', (socket) => {
        if (!socket.connecting) {
          onConnected()
          return
        }
        socket.once('connect', () => this.#check(socket, request))
        socket.once(secure ? 'secureConnect' : 'connect', onConnected)
      })
      request.once('response', (response) => {
        clearTimeout(timer)
        resolve(received(response, this.#timeouts.silence))
      })
      request.on('error', (error) => {
        clearTimeout(timer)
        if (sent.signal.aborted) {
          reject(sent.signal.reason as Error)
        } else if (error instanceof ConnectionFault || error instanceof VendorRefused) {
          reject(error)
        } else {
          const { code } = error as NodeJS.ErrnoException
          reject(new ConnectionFault(`the connection to the CRM failed (${code ?? error.name})`, connected))
        }
      })
      request.end(sent.body ?? undefined)
    })
  }

  /** The look-up has seen the address already; this is for the day on which somebody goes around it. */
  #check(socket: Socket, request: { destroy(error: Error): void }): void {
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
    if (this.#rule.standIns === null && !isPublicAddress(address)) {
      request.destroy(new VendorRefused({ code: 'ADDRESS_NOT_ALLOWED', message: 'Address not allowed.' }))
    }
  }
}

function received(response: IncomingMessage, silenceMs: number): Received {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : (value ?? '')
  }
  return {
    status: response.statusCode ?? 0,
    headers,
    body: (maxBytes) => bodyOf(response, maxBytes, silenceMs),
    drop: () => {
      response.on('error', () => undefined)
      response.destroy()
    },
  }
}

function unpacked(response: IncomingMessage): Readable {
  const encoding = response.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  const unpack =
    encoding === 'gzip' || encoding === 'x-gzip'
      ? createGunzip()
      : encoding === 'deflate'
        ? createInflate()
        : encoding === 'br'
          ? createBrotliDecompress()
          : null
  if (unpack === null) {
    return response
  }
  // The error of either comes out of the one that is read.
  pipeline(response, unpack, () => undefined)
  return unpack
}

async function* bodyOf(response: IncomingMessage, maxBytes: number, silenceMs: number): AsyncGenerator<Buffer> {
  const stream = unpacked(response)
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let bytes = 0
  try {
    for (;;) {
      // Only while we wait: a reader who takes his time is no fault of the vendor's.
      const timer = setTimeout(() => stream.destroy(new Error('silent')), silenceMs)
      const next = await chunks.next().finally(() => clearTimeout(timer))
      if (next.done === true) {
        return
      }
      bytes += next.value.length
      if (bytes > maxBytes) {
        throw new VendorRefused({
          code: 'ANSWER_TOO_LARGE',
          message: `The CRM’s answer is longer than the ${maxBytes} bytes that are taken.`,
          status: response.statusCode ?? null,
        })
      }
      yield next.value
    }
  } catch (error) {
    if (error instanceof VendorRefused) {
      throw error
    }
    throw vendorUnavailable('The CRM’s answer broke off.', { cause: error })
  } finally {
    stream.on('error', () => undefined)
    stream.destroy()
    if (!response.complete) {
      response.destroy()
    }
  }
}
