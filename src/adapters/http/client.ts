/**
 * Requests to one account of one vendor: budget first, then the request, then what the answer means by the vendor's policy.
 * A pause that is planned is a value with its end; what is broken is an exception. Nothing is sent twice that is not safe
 * to be sent twice.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { RetryableError } from '../../errors.js'
import type { Hidden } from '../../hidden.js'
import {
  VENDOR_ATTEMPTS_MAX,
  VENDOR_FAULT_BYTES_MAX,
  VENDOR_JSON_BYTES_MAX,
  VENDOR_REDIRECTS_MAX,
  VENDOR_RETRY_BASE_MS,
  VENDOR_RETRY_MS_MAX,
  VENDOR_STREAM_BYTES_MAX,
  VENDOR_TOTAL_MS_MAX,
  VENDOR_WAIT_MS_MAX,
} from '../../limits.js'
import { systemNames } from '../../systems.js'
import { type VendorFault, VendorRefused, VendorUnauthorized, vendorUnavailable } from './errors.js'
import { allowedUrl, type HostRule, type Resolve } from './guard.js'
import { type Told, type VendorPolicy, type Verdict, verdictOf, type WaitReason } from './policy.js'
import { ConnectionFault, type Method, type Received, type Timeouts, Transport } from './transport.js'

/** A planned pause: nothing is wrong, and nothing will come of asking before `until`. */
export interface Wait {
  readonly kind: 'wait'
  readonly until: Date
  readonly reason: WaitReason
}

export interface Answer<T> {
  readonly kind: 'answer'
  readonly status: number
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** The vendor's clock when it answered; null: it did not tell. Windows of time are cut by this, never by our clock. */
  readonly serverTime: Date | null
  readonly value: T
}

export interface VendorRequest {
  readonly method: Method
  /** Below the account's origin, e.g. `/services/data/v67.0/query`; or an address that the vendor gave, which is checked. */
  readonly path: string
  /** Added to the path; null and undefined are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | null | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as an HTML form. */
  readonly form?: Readonly<Record<string, string>>
  /** Whether sending it twice is as good as sending it once. Default: true for GET, PUT and DELETE. */
  readonly repeatable?: boolean
  /** A lane of the vendor's policy that this request counts in besides. */
  readonly lane?: string
  /** In the unit of the vendor's daily budget. Default 1. */
  readonly cost?: number
  /** Statuses besides 2xx that are answers and no faults, e.g. 404. */
  readonly statuses?: readonly number[]
  /** Of the answer, unpacked. Default VENDOR_JSON_BYTES_MAX, of a stream VENDOR_STREAM_BYTES_MAX. */
  readonly maxBytes?: number
  readonly signal?: AbortSignal
}

/** Where requests go and what they carry. */
export interface Access {
  readonly origin: string
  readonly token: Hidden
}

/** Leave to send one request, to be given back with what the answer told. */
export interface Permit {
  readonly kind: 'permit'
  readonly id: string
}

/** The budget of one account, shared by all processes. */
export interface Budget {
  /** Takes leave for a request, in all of these lanes. Or tells for how long none is given. */
  take(
    lanes: readonly string[],
    cost: number,
  ): Promise<Permit | { readonly kind: 'wait'; readonly milliseconds: number; readonly reason: WaitReason }>
  /** Ends the request. `pause`: the vendor wants none for so long. */
  give(
    permit: Permit,
    told: Told | null,
    pause: { readonly milliseconds: number; readonly reason: WaitReason } | null,
  ): Promise<void>
}

/** One request as it was sent, for tests and measurements. Holds no query and no token. */
export interface Observed {
  readonly method: Method
  readonly host: string
  readonly path: string
  readonly attempt: number
  /** Null: there was no answer. */
  readonly status: number | null
  readonly milliseconds: number
}

/** Time and chance, for tests. */
export interface Surroundings {
  now(): number
  sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void>
  random(): number
}

const real: Surroundings = {
  now: () => Date.now(),
  sleep: (milliseconds, signal) => delay(milliseconds, undefined, signal === undefined ? {} : { signal }),
  random: () => Math.random(),
}

export interface HttpClientOptions {
  readonly policy: VendorPolicy
  readonly rule: HostRule
  readonly budget: Budget
  /** Called for every request that goes out, redirects and further attempts included. */
  readonly observe?: ((observed: Observed) => void) | undefined
  readonly resolve?: Resolve | undefined
  readonly timeouts?: Partial<Timeouts> | undefined
  readonly surroundings?: Surroundings | undefined
}

/** A client for one account. Close it when the job ends. */
export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #transport: Transport
  readonly #around: Surroundings

  constructor(options: HttpClientOptions) {
    this.#options = options
    this.#around = options.surroundings ?? real
    this.#transport = new Transport({
      rule: options.rule,
      ...(options.resolve === undefined ? {} : { resolve: options.resolve }),
      ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
    })
  }

  close(): void {
    this.#transport.close()
  }

  /** The answer's JSON; null for an empty one. Throws VendorUnauthorized, VendorRefused and RetryableError VENDOR_UNAVAILABLE. */
  json<T>(access: Access, request: VendorRequest): Promise<Answer<T> | Wait> {
    return this.#tries(
      access,
      request,
      async (received, last) => {
        const text = await textOf(received, request.maxBytes ?? VENDOR_JSON_BYTES_MAX)
        await last()
        return parsed<T>(text)
      },
      VENDOR_TOTAL_MS_MAX,
    )
  }

  /**
   * The answer's bytes as they come, unpacked. The request counts as under way until they have been read or the loop is
   * left. Where the connection breaks in the middle, the loop throws RetryableError VENDOR_UNAVAILABLE: reading on is the
   * reader's business, who alone knows how far he has come.
   */
  stream(access: Access, request: VendorRequest): Promise<Answer<AsyncIterable<Buffer>> | Wait> {
    return this.#tries(
      access,
      request,
      (received, last) => ending(received.body(request.maxBytes ?? VENDOR_STREAM_BYTES_MAX), last),
      null,
    )
  }

  async #tries<T>(
    access: Access,
    request: VendorRequest,
    read: (received: Received, last: () => Promise<void>) => Promise<T> | T,
    totalMs: number | null,
  ): Promise<Answer<T> | Wait> {
    const { policy, budget } = this.#options
    const lanes = request.lane === undefined ? ['main'] : [request.lane, 'main']
    const repeatable = request.repeatable ?? ['GET', 'PUT', 'DELETE'].includes(request.method)
    for (let attempt = 1; ; attempt++) {
      const permit = await this.#permit(lanes, request)
      if (permit.kind === 'wait') {
        return permit
      }
      let given = false
      /** The answer is the reader's, who gives the permit back with its end. */
      let handed = false
      const give: Budget['give'] = async (...args) => {
        if (!given) {
          given = true
          await budget.give(...args)
        }
      }
      let fault: RetryableError
      let pauseMs = 0
      try {
        const received = await this.#send(access, request, { attempt, fresh: !repeatable, totalMs })
        const told = policy.told(received.headers)
        if (succeeded(received.status) || request.statuses?.includes(received.status) === true) {
          const value = await read(received, () => give(permit, told, null))
          handed = true
          return {
            kind: 'answer',
            status: received.status,
            headers: received.headers,
            serverTime: dateOf(received),
            value,
          }
        }
        const { verdict, said } = await this.#judge(received, access.token)
        if (typeof verdict === 'object') {
          const milliseconds = this.#retryAfter(received) ?? verdict.seconds * 1000
          await give(permit, told, { milliseconds, reason: verdict.pause })
          // The budget is closed until then, for every process: the next turn of the loop waits for it or plans the pause.
          if (attempt < VENDOR_ATTEMPTS_MAX) {
            continue
          }
          return { kind: 'wait', until: new Date(this.#around.now() + milliseconds), reason: verdict.pause }
        }
        await give(permit, told, null)
        if (verdict !== 'busy') {
          throw refusal(verdict, said, received.status)
        }
        pauseMs = this.#retryAfter(received) ?? 0
        if (pauseMs > VENDOR_WAIT_MS_MAX) {
          return { kind: 'wait', until: new Date(this.#around.now() + pauseMs), reason: 'VENDOR_BUSY' }
        }
        fault = vendorUnavailable(`${systemNames[policy.system]} answered ${received.status}: ${said.message}`)
        // A server that failed may have done what it was asked before it failed.
        if (!repeatable && received.status !== 429 && received.status !== 503) {
          throw fault
        }
      } catch (error) {
        fault = this.#transient(error, repeatable)
      } finally {
        if (!handed) {
          await give(permit, null, null)
        }
      }
      if (attempt >= VENDOR_ATTEMPTS_MAX) {
        throw fault
      }
      await this.#around.sleep(Math.max(pauseMs, this.#backOff(attempt)), request.signal)
    }
  }

  /** Waits for a short pause on the spot. */
  async #permit(lanes: readonly string[], request: VendorRequest): Promise<Permit | Wait> {
    for (let waited = 0; ; ) {
      request.signal?.throwIfAborted()
      const taken = await this.#options.budget.take(lanes, request.cost ?? 1)
      if (taken.kind === 'permit') {
        return taken
      }
      if (waited + taken.milliseconds > VENDOR_WAIT_MS_MAX) {
        // Who has waited in vain for so long had better stay away for as long again.
        const milliseconds = Math.max(taken.milliseconds, waited)
        return { kind: 'wait', until: new Date(this.#around.now() + milliseconds), reason: taken.reason }
      }
      // A little more, each a different little, so that all who wait do not come back in the same instant.
      const pause = taken.milliseconds + 1 + this.#around.random() * Math.min(100, taken.milliseconds)
      waited += pause
      await this.#around.sleep(pause, request.signal)
    }
  }

  async #send(
    access: Access,
    request: VendorRequest,
    { attempt, fresh, totalMs }: { readonly attempt: number; readonly fresh: boolean; readonly totalMs: number | null },
  ): Promise<Received> {
    const { rule } = this.#options
    let url = addressOf(access.origin, request, rule)
    const body = bodyOf(request)
    for (let redirects = 0; ; redirects++) {
      const started = this.#around.now()
      let status: number | null = null
      try {
        const received = await this.#transport.send({
          url,
          method: request.method,
          headers: {
            accept: 'application/json',
            'user-agent': 'Portage',
            ...(body === null
              ? {}
              : { 'content-type': body.type, 'content-length': String(Buffer.byteLength(body.text)) }),
            ...request.headers,
            // Last, and only here: the address was checked against the vendor's hosts a line above.
            authorization: `Bearer ${access.token.reveal()}`,
          },
          body: body?.text ?? null,
          fresh,
          signal: AbortSignal.any([
            ...(request.signal === undefined ? [] : [request.signal]),
            ...(totalMs === null ? [] : [AbortSignal.timeout(totalMs)]),
          ]),
        })
        status = received.status
        const target = request.method === 'GET' && status >= 300 && status < 400 ? received.headers.location : undefined
        if (target === undefined) {
          return received
        }
        received.drop()
        if (redirects >= VENDOR_REDIRECTS_MAX || !URL.canParse(target, url.href)) {
          throw new VendorRefused({ code: 'REDIRECTED', message: 'The CRM redirects in circles.', status })
        }
        url = allowedUrl(new URL(target, url), rule)
      } finally {
        const milliseconds = this.#around.now() - started
        this.#options.observe?.({
          method: request.method,
          host: url.host,
          path: url.pathname,
          attempt,
          status,
          milliseconds,
        })
      }
    }
  }

  async #judge(received: Received, token: Hidden): Promise<{ readonly verdict: Verdict; readonly said: VendorFault }> {
    const { policy } = this.#options
    const text = await textOf(received, VENDOR_FAULT_BYTES_MAX).catch(() => '')
    const body = memberOf(text)
    const said = {
      code: wordOf(body, policy.codeFields) ?? `HTTP_${received.status}`,
      message: withoutTokens(wordOf(body, policy.messageFields) ?? `HTTP status ${received.status}`, token),
      correlationId: wordOf(body, policy.correlationFields),
    }
    return { verdict: verdictOf(policy, received.status, `${said.code} ${said.message}`, body === null), said }
  }

  /** In milliseconds; null: it was not told. Seconds or a date, which the vendor's own clock is compared with. */
  #retryAfter(received: Received): number | null {
    const text = received.headers['retry-after']?.trim() ?? ''
    if (/^\d{1,9}$/.test(text)) {
      return Number(text) * 1000
    }
    const at = Date.parse(text)
    const now = dateOf(received)?.getTime() ?? this.#around.now()
    return text === '' || Number.isNaN(at) ? null : Math.max(0, at - now)
  }

  /** Full jitter: between nothing and twice as much as before. */
  #backOff(attempt: number): number {
    return this.#around.random() * Math.min(VENDOR_RETRY_MS_MAX, VENDOR_RETRY_BASE_MS * 2 ** (attempt - 1))
  }

  /** The fault to be tried again; throws every other. */
  #transient(error: unknown, repeatable: boolean): RetryableError {
    const name = systemNames[this.#options.policy.system]
    if (error instanceof ConnectionFault) {
      const fault = vendorUnavailable(`${name} cannot be reached: ${error.message}.`, { cause: error })
      if (repeatable || !error.sent) {
        return fault
      }
      throw fault
    }
    if (error instanceof RetryableError && error.code === 'VENDOR_UNAVAILABLE' && repeatable) {
      return error
    }
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      throw vendorUnavailable(`${name} took longer than ${VENDOR_TOTAL_MS_MAX / 1000} s for one answer.`, {
        cause: error,
      })
    }
    throw error
  }
}

function succeeded(status: number): boolean {
  return status >= 200 && status < 300
}

function refusal(
  verdict: 'unauthorized' | 'permission' | 'gone' | 'request',
  said: VendorFault,
  status: number,
): Error {
  return verdict === 'unauthorized'
    ? new VendorUnauthorized({ ...said, status })
    : new VendorRefused({ ...said, status }, verdict)
}

function addressOf(origin: string, request: VendorRequest, rule: HostRule): URL {
  // `//host/path` and the like would lead elsewhere; what is absolute is checked as it is.
  const url = /^https?:\/\//i.test(request.path)
    ? request.path
    : `${origin}${request.path.startsWith('/') ? '' : '/'}${request.path}`
  const checked = new URL(allowedUrl(url, rule).href)
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== null && value !== undefined) {
      checked.searchParams.set(name, String(value))
    }
  }
  return checked
}

function bodyOf(request: VendorRequest): { readonly type: string; readonly text: string } | null {
  if (request.form !== undefined) {
    return { type: 'application/x-www-form-urlencoded', text: new URLSearchParams(request.form).toString() }
  }
  return request.json === undefined ? null : { type: 'application/json', text: JSON.stringify(request.json) }
}

async function textOf(received: Received, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of received.body(maxBytes)) {
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

async function* ending(body: AsyncIterable<Buffer>, last: () => Promise<void>): AsyncGenerator<Buffer> {
  try {
    yield* body
  } finally {
    await last()
  }
}

/** A page of a proxy with status 200 is a fault of the way, not an answer. */
function parsed<T>(text: string): T {
  if (text === '') {
    return null as T
  }
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    throw vendorUnavailable('The CRM’s answer is no JSON.', { cause: cause instanceof Error ? cause.name : null })
  }
}

/** The object that tells of an error, or the first one of an array; null for what is no JSON object. */
function memberOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    const first: unknown = Array.isArray(value) ? value[0] : value
    return typeof first === 'object' && first !== null ? (first as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/** Characters of a vendor's message that are kept. */
const MESSAGE_LENGTH = 300

function wordOf(body: Readonly<Record<string, unknown>> | null, fields: readonly string[]): string | null {
  for (const field of fields) {
    const value = body?.[field]
    if ((typeof value === 'string' && value !== '') || typeof value === 'number') {
      return String(value).slice(0, MESSAGE_LENGTH)
    }
  }
  return null
}

/** Vendors do quote tokens, whole or in part ("This oauth-token (CJSP5qf1...) is expired"). */
function withoutTokens(message: string, token: Hidden): string {
  return message.replaceAll(token.reveal(), '[hidden]').replaceAll(/\S*[\w!+/=-]{12}\S*/g, (word) => {
    const core = word.replaceAll(/^[^\w!+/=-]+|[^\w!+/=-]+$/g, '')
    return token.reveal().includes(core) || core.length >= 60 ? '[hidden]' : word
  })
}

function dateOf(received: Received): Date | null {
  const time = Date.parse(received.headers.date ?? '')
  return Number.isNaN(time) ? null : new Date(time)
}
