/** A plain client of the public API: GraphQL over HTTP, and files by the GraphQL multipart request specification. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'

/** What the API refused or could not do, in words for a person. */
export class ApiError extends Error {
  /** Of the GraphQL error or the first user error; `UNREACHABLE` where nothing answered. */
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ApiError'
    this.code = code
  }
}

/** What a payload refuses; see the contract. */
export interface UserError {
  readonly code: string
  readonly message: string
}

/** Throws all of them as one ApiError; returns for none. */
export function throwUserErrors(errors: readonly UserError[]): void {
  const [first] = errors
  if (first !== undefined) {
    throw new ApiError(first.code, errors.map(({ message }) => message).join('\n'))
  }
}

export interface ApiOptions {
  /** Where the API is, without `/graphql`. */
  readonly url: string
  /** A token that is good now. */
  readonly token: () => Promise<string>
  readonly signal?: AbortSignal
}

/** A file to be sent. `onProgress` hears how many bytes have gone out. */
export interface FilePart {
  readonly path: string
  readonly name: string
  readonly byteSize: number
  readonly onProgress: (bytes: number) => void
}

interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: string
}

/** Pauses before the next tries when a server that has answered before is gone: it may be restarting. Milliseconds. */
const RETRY_PAUSES_MS = [250, 500, 1000, 2000, 4000, 4000, 4000]

/** The same in the middle of a large file, which is worth more patience; they begin anew with every byte that arrives. */
const RESUME_PAUSES_MS = [250, 500, 1000, 2000, 4000, 8000, 15_000, 30_000, 30_000, 30_000, 30_000, 30_000]

/** A server that asks for a longer pause is told to the person instead. Seconds. */
const LONGEST_RETRY_AFTER = 60

/** Bytes of a file read at a time. */
const BLOCK_BYTES = 256 * 1024

/** How long a server may take to let the body come, and then to refuse it after all. Milliseconds. */
const CONTINUE_MS = 1000
const EARLY_ANSWER_MS = 30

export class Api {
  readonly url: string
  readonly token: () => Promise<string>
  readonly #signal: AbortSignal | undefined
  #answered = false

  constructor(options: ApiOptions) {
    this.url = options.url.replace(/\/+$/, '')
    this.token = options.token
    this.#signal = options.signal
  }

  /** Where subscriptions are. */
  get socketUrl(): string {
    return `${this.url.replace(/^http/, 'ws')}/graphql`
  }

  /**
   * Runs one operation and answers its data. Must be safe to send twice (a query, or a mutation with an idempotency key):
   * it is sent again if the connection breaks. Throws ApiError.
   */
  async run<T>(query: string, variables: Readonly<Record<string, unknown>>): Promise<T> {
    return this.#retrying(async () => {
      const response = await fetch(`${this.url}/graphql`, {
        method: 'POST',
        headers: { ...(await this.#headers()), 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
        ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      })
      return { status: response.status, retryAfter: response.headers.get('retry-after'), body: await response.text() }
    })
  }

  /**
   * Runs a mutation with a file in `variables.input.file`, read from disk as it is sent. Must carry an idempotency key:
   * it is sent again if the connection breaks. Throws ApiError.
   */
  async upload<T>(query: string, input: Readonly<Record<string, unknown>>, file: FilePart): Promise<T> {
    return this.#retrying(() => this.#send(query, input, file))
  }

  // Not fetch: it takes the file in faster than it sends, and holds all of it in memory (measured with 1 GB: 1.1 GB
  // against 0.1 GB).
  async #send(query: string, input: Readonly<Record<string, unknown>>, file: FilePart): Promise<Answer> {
    const boundary = `portage-${randomBytes(16).toString('hex')}`
    const operations = JSON.stringify({ query, variables: { input: { ...input, file: null } } })
    const head = multipartHead(boundary, operations, file.name)
    const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
    const url = new URL(`${this.url}/graphql`)
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      method: 'POST',
      headers: {
        ...(await this.#headers()),
        'content-type': `multipart/form-data; boundary=${boundary}`,
        'content-length': head.length + file.byteSize + tail.length,
        expect: '100-continue',
      },
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve)
      request.once('error', reject)
    })
    answered.catch(() => undefined)
    request.once('continue', () => {
      this.#answered = true
    })
    // Who may not send, or not so much, hears it before the file goes out; later the refusal might be lost with the
    // connection that breaks under what is still being sent.
    request.flushHeaders()
    const go = once(request, 'continue').then(() => pause(EARLY_ANSWER_MS))
    const early = await Promise.race([answered, go.then(() => null), pause(CONTINUE_MS, null, { ref: false })])
    const sent = early === null ? pipeline(multipartBody(head, file, tail), request) : null
    sent?.catch(() => undefined)
    const response = early ?? (await Promise.race([answered, sent?.then(() => answered) ?? answered]))
    const answer = await readResponse(response)
    request.destroy()
    return answer
  }

  /**
   * Sends a file to the upload session `id`, from `offset` on, and goes on by itself where a broken connection stopped it.
   * Throws ApiError.
   */
  async sendRest(id: string, offset: number, file: FilePart): Promise<void> {
    const url = new URL(`${this.url}/uploads/${encodeURIComponent(id)}`)
    let from = offset
    let broken = 0
    while (from < file.byteSize) {
      let failure: unknown = null
      let now: number | null = null
      try {
        const answer = await this.#sendFrom(url, from, file)
        // 409: more has arrived than we know of, over a connection whose end we did not see.
        if (answer.status !== 409 && answer.status >= 400 && answer.status < 500) {
          readAnswer(answer, this.url)
        }
        now = answer.status < 500 ? answer.offset : null
      } catch (error) {
        this.#signal?.throwIfAborted()
        if (error instanceof ApiError) {
          throw error
        }
        failure = error
      }
      if (now === null) {
        const wait = RESUME_PAUSES_MS[broken]
        if (wait === undefined) {
          throw unreachable(this.url, true, failure ?? new Error('no offset'))
        }
        broken += 1
        await pause(wait, undefined, { signal: this.#signal })
        now = await this.#offsetOf(url)
      }
      if (now !== null && now !== from) {
        broken = 0
        from = now
        file.onProgress(from)
      }
    }
  }

  async #sendFrom(url: URL, from: number, file: FilePart): Promise<Answer & { readonly offset: number | null }> {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      method: 'PUT',
      headers: {
        ...(await this.#headers()),
        'content-type': 'application/octet-stream',
        'content-length': file.byteSize - from,
        'content-range': `bytes ${from}-${file.byteSize - 1}/${file.byteSize}`,
      },
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve)
      request.once('error', reject)
    })
    answered.catch(() => undefined)
    const sent = pipeline(bytesOf(file, from), request)
    sent.catch(() => undefined)
    try {
      // A refusal may come while the file is still going out, and the connection then ends under it.
      const response = await Promise.race([answered, sent.then(() => answered)]).catch((error: unknown) =>
        Promise.race([answered, pause(EARLY_ANSWER_MS).then(() => Promise.reject(error as Error))]),
      )
      return { ...(await readResponse(response)), offset: offsetIn(response) }
    } finally {
      request.destroy()
    }
  }

  /** How far an upload has come; null where nobody says so now. */
  async #offsetOf(url: URL): Promise<number | null> {
    const response = await fetch(url, { method: 'HEAD', headers: await this.#headers() }).catch(() => null)
    this.#signal?.throwIfAborted()
    const offset = response?.headers.get('upload-offset') ?? null
    return offset === null ? null : Number(offset)
  }

  async #headers(): Promise<Record<string, string>> {
    return {
      accept: 'application/json',
      authorization: `Bearer ${await this.token()}`,
      // The server takes multipart only from clients that a web page of others cannot be.
      'apollo-require-preflight': 'true',
    }
  }

  async #retrying<T>(send: () => Promise<Answer>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      const wait = RETRY_PAUSES_MS[attempt] ?? null
      try {
        const answer = await send()
        const restarting = answer.status === 502 || answer.status === 503 || answer.status === 504
        const asked = Number(answer.retryAfter ?? 'none')
        if (wait !== null && answer.status === 429 && asked <= LONGEST_RETRY_AFTER) {
          await pause(asked * 1000, undefined, { signal: this.#signal })
        } else if (wait !== null && restarting) {
          await pause(wait, undefined, { signal: this.#signal })
        } else {
          this.#answered = true
          return readAnswer<T>(answer, this.url)
        }
      } catch (error) {
        this.#signal?.throwIfAborted()
        if (error instanceof ApiError) {
          throw error
        }
        if (wait === null || !this.#answered) {
          throw unreachable(this.url, this.#answered, error)
        }
        await pause(wait, undefined, { signal: this.#signal })
      }
    }
  }
}

async function readResponse(response: IncomingMessage): Promise<Answer> {
  const body = await text(response)
  return { status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] ?? null, body }
}

function offsetIn({ headers }: IncomingMessage): number | null {
  const offset = headers['upload-offset']
  return offset === undefined ? null : Number(offset)
}

function readAnswer<T>(answer: Answer, url: string): T {
  const parsed = parseAnswer(answer.body)
  if (parsed === null) {
    throw new ApiError(
      'NO_ANSWER',
      `${url}/graphql answered HTTP ${answer.status}, but nothing that a Portage API says. Is the address right?`,
    )
  }
  if (parsed.errors !== undefined && parsed.errors.length > 0) {
    throw graphQlError(parsed.errors)
  }
  return parsed.data as T
}

/** Null for what is no GraphQL answer: there is no server of ours, or a proxy before it speaks. */
function parseAnswer(body: string): { readonly data?: unknown; readonly errors?: readonly GraphQlError[] } | null {
  try {
    const parsed = JSON.parse(body) as { data?: unknown; errors?: readonly GraphQlError[] } | null
    return typeof parsed === 'object' && parsed !== null && ('data' in parsed || 'errors' in parsed) ? parsed : null
  } catch {
    return null
  }
}

/** One of the `errors` of a GraphQL answer. */
export interface GraphQlError {
  readonly message: string
  readonly extensions?: { readonly code?: string; readonly permission?: string }
}

/** All of them as one ApiError. */
export function graphQlError(errors: readonly GraphQlError[]): ApiError {
  const lines = errors.map(({ message, extensions }) =>
    extensions?.permission === undefined ? message : `${message} (needs ${extensions.permission})`,
  )
  return new ApiError(errors[0]?.extensions?.code ?? 'UNKNOWN', lines.join('\n'))
}

function unreachable(url: string, hadAnswered: boolean, cause: unknown): ApiError {
  const { code } = ((cause as { cause?: unknown }).cause ?? cause) as { code?: string }
  const why = code === undefined ? '' : ` (${code})`
  const message = hadAnswered
    ? `The connection to ${url} broke${why} and could not be had again.`
    : `Nothing answers at ${url}${why}. Start Portage with \`npm start\`, or say where it is with --url or PORTAGE_URL.`
  return new ApiError('UNREACHABLE', message, { cause })
}

/** Everything before the file's bytes, by the GraphQL multipart request specification. */
function multipartHead(boundary: string, operations: string, name: string): Buffer {
  const part = (disposition: string) => `--${boundary}\r\ncontent-disposition: form-data; ${disposition}\r\n`
  return Buffer.from(
    `${part('name="operations"')}\r\n${operations}\r\n` +
      `${part('name="map"')}\r\n{"0":["variables.input.file"]}\r\n` +
      `${part(`name="0"; filename="${escapeName(name)}"`)}content-type: application/octet-stream\r\n\r\n`,
  )
}

async function* multipartBody(head: Buffer, file: FilePart, tail: Buffer): AsyncGenerator<Buffer> {
  yield head
  yield* bytesOf(file, 0)
  yield tail
}

async function* bytesOf(file: FilePart, start: number): AsyncGenerator<Buffer> {
  if (file.byteSize <= start) {
    return
  }
  let sent = start
  // No further than the size that was announced, should the file grow meanwhile.
  const end = file.byteSize - 1
  for await (const block of createReadStream(file.path, { highWaterMark: BLOCK_BYTES, start, end })) {
    yield block as Buffer
    sent += (block as Buffer).length
    file.onProgress(sent)
  }
}

/** As browsers write names in a form. */
function escapeName(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}
