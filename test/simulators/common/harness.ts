/**
 * The server that all simulators run in: sign-in, faults, lies, the log, the check of every answer before it goes out. A
 * service itself is what `Service` says: it answers requests from tables of records and knows no sockets.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { Script } from './faults.js'
import { OAuthServer, type OAuthWays } from './oauth.js'
import type { Table } from './table.js'
import type {
  Fault,
  Json,
  LieName,
  LoggedRequest,
  Row,
  SimAnswer,
  SimRequest,
  Simulator,
  SimulatorOptions,
} from './types.js'

/** What a service is given when it is made. */
export interface Surroundings {
  readonly options: SimulatorOptions
  /** Its own address; empty until it listens. */
  readonly url: () => string
  readonly now: () => number
  /** The lie that is told now. */
  readonly lie: () => LieName | null
  /** When the clock started: the records of the start are older. */
  readonly start: number
}

/** A service as the harness needs it. */
export interface Service {
  readonly lies: readonly LieName[]
  readonly oauth: OAuthWays
  /** Records that tests may edit, delete, add and read as the truth. */
  readonly tables: ReadonlyMap<string, Table>
  /** Answers a request that is signed in. */
  answer(request: SimRequest): SimAnswer
  /** The answer to a token that is good for nothing. */
  unauthorized(): SimAnswer
  /** The service's own body of a fault of its own. */
  failure(status: number): SimAnswer
  limited(kind: 'BURST' | 'DAILY'): SimAnswer
  /** An OWN fault: an answer instead, or null if only something about the service changed. Throws for a name it does not know. */
  own(name: string, request: SimRequest): SimAnswer | null
  /** A custom field comes or goes. */
  changeFields(kind: 'NEW_FIELD' | 'REMOVED_FIELD', request: SimRequest): void
  /** The object whose records the request asks for; null: it asks for something else. */
  objectOf(request: SimRequest): string | null
  /** The answer with each of its records changed; null: it holds none that may be. */
  mapRows(answer: SimAnswer, change: (row: Row, at: number) => Row): SimAnswer | null
  /** Headers that every answer carries, e.g. what is left of a budget. Called once for each request that is signed in. */
  headers(request: SimRequest, status: number): Readonly<Record<string, string>>
  /** Counts the request against the limits; an answer if they are used up. Called before `answer`. */
  admit(request: SimRequest): SimAnswer | null
  /** Everything that is wrong with an answer, by the project's schemas and the official ones where they are at hand. */
  violationsOf(schema: string, status: number, value: Json): readonly string[]
  /** How the truth of a record is told; absent: as the table has it. */
  truth?(object: string, index: number): Row
}

/** The time at which clocks start where a test names none. */
export const START = new Date('2026-03-02T09:00:00Z')

/** Starts a service on a free port of this machine. */
export async function startSimulator(
  make: (surroundings: Surroundings) => Service,
  options: SimulatorOptions = {},
): Promise<Simulator> {
  const simulator = new Harness(make, options)
  await simulator.listen()
  return simulator
}

class Harness implements Simulator {
  readonly oauth: OAuthServer
  readonly requests: LoggedRequest[] = []
  readonly violations: string[] = []
  readonly #service: Service
  readonly #options: SimulatorOptions
  readonly #server: Server
  readonly #script = new Script()
  #lie: LieName | null = null
  #offset: number
  #underWay = 0
  #skew = 1
  #edits = 0
  url = ''

  constructor(make: (surroundings: Surroundings) => Service, options: SimulatorOptions) {
    this.#options = options
    const start = (options.now ?? START).getTime()
    this.#offset = start - Date.now()
    this.#service = make({
      options,
      url: () => this.url,
      now: () => this.now(),
      lie: () => this.#lie,
      start: options.clock?.() ?? start,
    })
    this.oauth = new OAuthServer(
      {
        ...this.#service.oauth,
        answer: (given) => this.#service.oauth.answer(given),
        denied: () => this.#service.oauth.denied(),
        rotate: options.rotate ?? this.#service.oauth.rotate,
        tokenSeconds: options.tokenSeconds ?? this.#service.oauth.tokenSeconds,
      },
      {
        clientId: options.clientId ?? 'simulated-client',
        clientSecret: options.clientSecret ?? 'simulated-secret',
        now: () => this.now(),
      },
    )
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.violations.push(
          `${request.method} ${request.url}: ${error instanceof Error ? error.stack : String(error)}`,
        )
        response.destroy()
      })
    })
    this.#server.keepAliveTimeout = 2000
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get lies(): readonly LieName[] {
    return this.#service.lies
  }

  get objects(): readonly string[] {
    return [...this.#service.tables.keys()]
  }

  get pending(): readonly Fault[] {
    return this.#script.pending
  }

  now(): number {
    return this.#options.clock?.() ?? Date.now() + this.#offset
  }

  setClock(at: Date): void {
    this.#offset = at.getTime() - Date.now()
  }

  advance(milliseconds: number): void {
    this.#offset += milliseconds
  }

  script(faults: readonly Fault[]): void {
    this.#script.set(faults)
  }

  lie(name: LieName | null): void {
    if (name !== null && !this.#service.lies.includes(name)) {
      throw new Error(`this simulator cannot tell the lie ${name}`)
    }
    this.#lie = name
  }

  edit(object: string, n: number, { lateMs = 0 }: { readonly lateMs?: number } = {}): readonly string[] {
    const table = this.#table(object)
    const at = this.now()
    return table.some(n, ++this.#edits).map((index) => {
      table.edit(index, at, at + lateMs)
      return table.idOf(index)
    })
  }

  delete(object: string, n: number): readonly string[] {
    const table = this.#table(object)
    return table.some(n, ++this.#edits).map((index) => {
      table.delete(index)
      return table.idOf(index)
    })
  }

  add(object: string, n: number): readonly string[] {
    const table = this.#table(object)
    return Array.from({ length: n }, () => table.idOf(table.add()))
  }

  count(object: string): number {
    return this.#table(object).alive
  }

  *rows(object: string): Generator<Row> {
    const table = this.#table(object)
    for (const index of table.byId()) {
      yield this.#service.truth?.(object, index) ?? table.row(index)
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    if (this.violations.length > 0) {
      throw new Error(`the simulator answered wrongly:\n${this.violations.slice(0, 10).join('\n')}`)
    }
  }

  #table(object: string): Table {
    const table = this.#service.tables.get(object)
    if (table === undefined) {
      throw new Error(`no object ${object}; there are ${this.objects.join(', ')}`)
    }
    return table
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay++
    response.once('close', () => this.#underWay--)
    const target = request.url ?? '/'
    const url = new URL(target, 'http://simulator')
    const grant = this.oauth.grantOf(request.headers.authorization)
    const logged: LoggedRequest = {
      at: this.now(),
      method: request.method ?? 'GET',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: withoutSecrets(request),
      bodyBytes: 0,
      concurrent: this.#underWay,
      grant,
      secretInAddress: this.oauth.secrets.some((secret) => target.includes(secret)),
      status: 0,
      rows: 0,
      fault: null,
    }
    this.requests.push(logged)
    const parts: Buffer[] = []
    for await (const part of request) {
      parts.push(part as Buffer)
    }
    const body = Buffer.concat(parts).toString()
    Object.assign(logged, { bodyBytes: Buffer.byteLength(body) })
    const signIn = this.oauth.answer(logged.method, url.pathname, url.searchParams, request.headers.authorization, body)
    if (signIn !== null) {
      // A code or a token belongs into no log, whatever stood in the address.
      Object.assign(logged, { query: {} })
      logged.status = signIn.status
      await this.#send(response, request, signIn, null)
      return
    }
    const fault = this.#script.next(url.pathname)
    logged.fault = fault === null ? null : fault.kind === 'OWN' ? `OWN ${fault.name}` : fault.kind
    const asked: SimRequest = {
      method: logged.method,
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body,
      grant: grant ?? -1,
    }
    this.#before(fault, asked)
    if (fault?.kind === 'RESET_BEFORE_HEADERS') {
      request.socket.destroy()
      return
    }
    const { answer, counted } = this.#answer(fault, asked)
    logged.status = answer.status
    logged.rows = answer.rows ?? 0
    const headers = counted ? this.#service.headers(asked, answer.status) : {}
    await this.#send(response, request, { ...answer, headers: { ...headers, ...answer.headers } }, fault)
  }

  /** What a fault changes about the service before the request is answered. */
  #before(fault: Fault | null, request: SimRequest): void {
    const object = this.#service.objectOf(request)
    switch (fault?.kind) {
      case 'EXPIRE_TOKEN':
        this.oauth.expire()
        break
      case 'ROWS_MOVE':
        if (object !== null) {
          this.edit(object, 20)
        }
        break
      case 'ROWS_GO':
        if (object !== null) {
          this.delete(object, 20)
        }
        break
      case 'CLOCK_SKEW':
        this.advance(this.#skew * 300_000)
        this.#skew = -this.#skew
        break
      case 'NEW_FIELD':
      case 'REMOVED_FIELD':
        this.#service.changeFields(fault.kind, request)
        break
      default:
    }
  }

  #answer(fault: Fault | null, request: SimRequest): { readonly answer: SimAnswer; readonly counted: boolean } {
    const instead = (answer: SimAnswer) => ({ answer, counted: false })
    switch (fault?.kind) {
      case 'REFUSE_TOKENS':
        return instead(this.#service.unauthorized())
      case 'STATUS_500':
      case 'STATUS_502':
      case 'STATUS_503':
      case 'STATUS_504':
        return instead(this.#service.failure(Number(fault.kind.slice(-3))))
      case 'HTML_ERROR':
        return instead(page(502, 'text/html', 'Bad Gateway'))
      case 'EMPTY_BODY':
        return instead({ status: 200, body: { text: '', type: 'application/json' } })
      case 'HTML_AS_JSON':
        return instead(page(200, 'application/json', 'Please wait'))
      case 'BURST_LIMIT':
        return instead(this.#service.limited('BURST'))
      case 'DAILY_LIMIT':
        return instead(this.#service.limited('DAILY'))
      default:
    }
    // Asked again, as a fault may just have ended the token.
    if (this.oauth.grantOf(request.headers.authorization) === null) {
      return instead(this.#service.unauthorized())
    }
    const refused = this.#options.limits === false ? null : this.#service.admit(request)
    if (refused !== null) {
      return { answer: refused, counted: true }
    }
    const own = fault?.kind === 'OWN' ? this.#service.own(fault.name ?? '', request) : null
    const answer = own ?? this.#service.answer(request)
    this.#check(request, answer)
    return { answer: this.#bend(fault, answer), counted: true }
  }

  #check(request: SimRequest, { schema, status, body }: SimAnswer): void {
    if (this.#options.validate === false || schema === undefined || !('json' in body)) {
      return
    }
    for (const wrong of this.#service.violationsOf(schema, status, body.json).slice(0, 5)) {
      this.violations.push(`${request.method} ${request.path} (${schema}, ${status}) ${wrong}`)
    }
  }

  #bend(fault: Fault | null, answer: SimAnswer): SimAnswer {
    const bent = answer.bent === undefined ? answer : { ...answer, body: { json: answer.bent } }
    const changed = (change: (row: Row, at: number) => Row) => this.#service.mapRows(bent, change) ?? bent
    switch (fault?.kind) {
      case 'UNKNOWN_FIELDS':
        return changed((row) => ({ ...row, brand_new_field: 'unknown', anotherOne: { deep: [1, null] } }))
      case 'NULL_FIELDS':
        return changed((row, at) => (at % 3 === 0 ? firstOf(row, () => true, null) : row))
      case 'TYPE_CHANGE':
        return changed((row, at) => (at % 3 === 0 ? firstOf(row, (value) => typeof value === 'number', 'N/A') : row))
      default:
        return bent
    }
  }

  async #send(response: ServerResponse, request: IncomingMessage, answer: SimAnswer, fault: Fault | null) {
    const { body, status, headers = {} } = answer
    response.sendDate = false
    response.setHeader('date', new Date(this.now()).toUTCString())
    for (const [name, value] of Object.entries(headers)) {
      response.setHeader(name, value)
    }
    response.statusCode = status
    const type = 'json' in body ? 'application/json;charset=UTF-8' : body.type
    response.setHeader('content-type', type)
    const breaks = fault !== null && /^(RESET_AFTER|RESET_IN|SLOW|SHORT)/.test(fault.kind)
    const zipped =
      this.#options.gzip !== false && !breaks && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
    if ('parts' in body && !breaks && !zipped) {
      for (const part of joined(body.parts)) {
        if (!response.write(part)) {
          await new Promise<void>((resolve) => {
            const go = () => {
              response.off('drain', go).off('close', go)
              resolve()
            }
            response.on('drain', go).on('close', go)
          })
        }
        if (response.destroyed) {
          return
        }
      }
      response.end()
      return
    }
    const text = 'json' in body ? JSON.stringify(body.json) : 'text' in body ? body.text : [...body.parts].join('')
    const whole = Buffer.from(text)
    const bytes = zipped && whole.length > 1024 ? gzipSync(whole, { level: 1 }) : whole
    if (bytes !== whole) {
      response.setHeader('content-encoding', 'gzip')
    }
    response.setHeader('content-length', bytes.length)
    switch (fault?.kind) {
      case 'RESET_AFTER_HEADERS':
        response.flushHeaders()
        await pause(5)
        request.socket.destroy()
        return
      case 'RESET_IN_BODY':
        response.write(bytes.subarray(0, Math.floor(bytes.length / 2)))
        await pause(5)
        request.socket.destroy()
        return
      case 'SHORT_BODY':
        response.setHeader('content-length', bytes.length + 1000)
        response.write(bytes)
        await pause(5)
        request.socket.end()
        return
      case 'SLOW_BODY':
        for (let part = 0; part < 4; part++) {
          response.write(
            bytes.subarray(Math.floor((bytes.length * part) / 4), Math.floor((bytes.length * (part + 1)) / 4)),
          )
          await pause(10)
        }
        response.end()
        return
      default:
        response.end(bytes)
    }
  }
}

/** Many small parts as few that are worth a write. */
function* joined(parts: Iterable<string>): Generator<string> {
  let buffer = ''
  for (const part of parts) {
    buffer += part
    if (buffer.length > 65_536) {
      yield buffer
      buffer = ''
    }
  }
  if (buffer !== '') {
    yield buffer
  }
}

function firstOf(row: Row, fits: (value: Json | undefined) => boolean, value: Json): Row {
  const name = Object.keys(row).find(
    (candidate) => !/^id$/i.test(candidate) && row[candidate] !== null && fits(row[candidate]),
  )
  return name === undefined ? row : { ...row, [name]: value }
}

function page(status: number, type: string, title: string): SimAnswer {
  return {
    status,
    body: { text: `<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`, type },
  }
}

function withoutSecrets(request: IncomingMessage): IncomingMessage['headers'] {
  const { authorization, cookie: _cookie, ...rest } = request.headers
  return authorization === undefined ? rest : { ...rest, authorization: `${authorization.split(' ')[0]} [hidden]` }
}
