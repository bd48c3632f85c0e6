/** Receivers of what Portage sends: a mail server and a receiver of webhooks, on this machine, that tell when something has come. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { SMTPServer } from 'smtp-server'

/** Waiting for longer than this is a failure. Milliseconds. */
const PATIENCE_MS = 30_000

/** Things that have come, and a way to wait for more of them. */
export class Arrivals<T> {
  readonly all: T[] = []
  readonly #waiting = new Set<() => void>()

  add(item: T): void {
    this.all.push(item)
    for (const wake of this.#waiting) {
      wake()
    }
  }

  /** Resolves with everything that has come as soon as `enough` says so. */
  async until(enough: (all: readonly T[]) => boolean): Promise<readonly T[]> {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    while (!enough(this.all)) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const late = (): void =>
        reject(new Error(`only ${this.all.length} have come: ${JSON.stringify(this.all).slice(0, 2000)}`))
      this.#waiting.add(resolve)
      signal.addEventListener('abort', late)
      await promise.finally(() => {
        this.#waiting.delete(resolve)
        signal.removeEventListener('abort', late)
      })
    }
    return this.all
  }
}

export interface ReceivedMail {
  readonly messageId: string
  readonly to: readonly string[]
  readonly subject: string
  /** Head and body as they came. */
  readonly raw: string
  /** The parts, decoded. */
  readonly text: string
  readonly html: string
}

/** A mail server that takes everything, or answers what `refuse` says. */
export class MailSink {
  readonly mails = new Arrivals<ReceivedMail>()
  /** Answers to the end of the next messages, first come first served: SMTP status; none: taken. */
  readonly refuse: number[] = []
  readonly #server: SMTPServer

  private constructor() {
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      onData: (stream, session, callback) => {
        void buffer(stream).then((bytes) => {
          const status = this.refuse.shift()
          if (status !== undefined) {
            callback(Object.assign(new Error('not now'), { responseCode: status }))
            return
          }
          this.mails.add(
            parsed(
              bytes.toString(),
              session.envelope.rcptTo.map(({ address }) => address),
            ),
          )
          callback()
        })
      },
    })
    this.#server.on('error', () => undefined)
  }

  static async start(): Promise<MailSink> {
    const sink = new MailSink()
    sink.#server.listen(0, '127.0.0.1')
    await once(sink.#server.server, 'listening')
    return sink
  }

  get settings(): Readonly<Record<string, string>> {
    const { port } = this.#server.server.address() as AddressInfo
    return { PORTAGE_SMTP_URL: `smtp://127.0.0.1:${port}`, PORTAGE_MAIL_FROM: 'Portage <portage@mail.example.com>' }
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

export interface ReceivedHook {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly status: number
}

/** A receiver of webhooks that answers 204, or what `answers` says. */
export class HookSink {
  readonly hooks = new Arrivals<ReceivedHook>()
  /** Statuses of the next answers, first come first served; none: 204. `hang`: no answer at all. */
  readonly answers: (number | 'hang')[] = []
  /** Head of the answer of a redirect. */
  location = ''
  readonly #server = createServer((request, response) => {
    void text(request).then(
      (body) => {
        const answer = this.answers.shift() ?? 204
        this.hooks.add({
          path: request.url ?? '',
          headers: request.headers,
          body,
          status: answer === 'hang' ? 0 : answer,
        })
        if (answer !== 'hang') {
          response.writeHead(answer, answer >= 300 && answer < 400 ? { location: this.location } : {}).end()
        }
      },
      () => undefined,
    )
  })

  static async start(): Promise<HookSink> {
    const sink = new HookSink()
    sink.#server.listen(0, '127.0.0.1')
    await once(sink.#server, 'listening')
    return sink
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

function parsed(raw: string, to: readonly string[]): ReceivedMail {
  const head = raw.slice(0, raw.indexOf('\r\n\r\n')).replaceAll(/\r\n[ \t]+/g, ' ')
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? ''
  const part = (type: string): string => {
    const [, partHead = '', body = ''] =
      new RegExp(`(content-type: ${type}[\\s\\S]*?)\\r\\n\\r\\n([\\s\\S]*?)\\r\\n--`, 'i').exec(raw) ?? []
    return /base64/i.test(partHead)
      ? Buffer.from(body, 'base64').toString()
      : /quoted-printable/i.test(partHead)
        ? unquoted(body)
        : body
  }
  return {
    messageId: field('message-id'),
    to,
    subject: decodedWords(field('subject')),
    raw,
    text: part('text/plain'),
    html: part('text/html'),
  }
}

function unquoted(body: string): string {
  const bytes = body
    .replaceAll(/=\r\n/g, '')
    .replaceAll(/((?:=[0-9A-F]{2})+)/gi, (run) => Buffer.from(run.replaceAll('=', ''), 'hex').toString())
  return bytes
}

function decodedWords(text: string): string {
  return text
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(/=\?utf-8\?(q|b)\?(.*?)\?=/gi, (_, kind: string, word: string) =>
      kind.toLowerCase() === 'b' ? Buffer.from(word, 'base64').toString() : unquoted(word.replaceAll('_', ' ')),
    )
}
