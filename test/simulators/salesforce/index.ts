/**
 * A Salesforce organization as its documents have it: SOQL over REST with cursors and pages that are shorter than asked for,
 * query jobs of Bulk API 2.0, deleted records, merged, converted and personal ones, a limit of requests that no header tells
 * an end of, and an address that can change when a token is refreshed. Tested with are the documented behaviours, not the
 * service.
 */
import { type Service, type Surroundings, startSimulator } from '../common/harness.js'
import { bentRows, type FieldSorts, ROW_LIES } from '../common/lies.js'
import { descriptionFile, violationsOf } from '../common/schema.js'
import type { Place, Table } from '../common/table.js'
import type { Json, LieName, Row, SimAnswer, SimRequest, Simulator, SimulatorOptions } from '../common/types.js'
import { describeEntity, describeGlobally, type Entity, entities, type Field, isCompound, MERGEABLE } from './fields.js'
import { archived, idOf, indexOf, MERGED, momentText, salesforceTables, second } from './records.js'
import { recordedViolations, recordViolations, SCHEMAS } from './schemas.js'
import { Snapshot } from './snapshot.js'
import { type Condition, fits, Malformed, parseSoql, type Query } from './soql.js'

/** What only this service has. */
export interface SalesforceOptions extends SimulatorOptions {
  /** Requests of any 24 hours; 115,000 if absent. */
  readonly dayRequests?: number
  /** How often a job is asked for before it is complete; 2 if absent. */
  readonly bulkPolls?: number
  /** A query that finds more rows takes too long; absent: none does. */
  readonly timeoutRows?: number
  /** Rows that a page of results of a job has at most; 100,000 if absent. */
  readonly bulkPageRows?: number
  /** Ids that an answer about deleted records has at most; 600,000 if absent. */
  readonly deletedIds?: number
  /** Whether the organization has person accounts; true if absent. */
  readonly personAccounts?: boolean
  /** True: the address of the organization is another one after the first refresh. */
  readonly moves?: boolean
}

/** An organization that was started. */
export interface SalesforceSimulator extends Simulator {
  /** Requests of the last 24 hours. */
  readonly requestsUsed: number
  /** Query jobs that were made. */
  readonly jobsMade: number
  /** Makes one record of two; the first one is gone. Gives both ids. */
  merge(object: 'Account' | 'Contact' | 'Lead'): { readonly lost: string; readonly kept: string }
}

/** The newest version of the API. */
export const VERSION = '67.0'
const VERSIONS = ['60.0', '61.0', '62.0', '63.0', '64.0', '65.0', '66.0', VERSION]
const DAY = 86_400_000
const HOUR = 3_600_000
const ORGANIZATION = idOf('00D', 0)

/** Starts an organization. */
export async function startSalesforce(options: SalesforceOptions = {}): Promise<SalesforceSimulator> {
  const holder: { org?: Org } = {}
  const simulator = await startSimulator((surroundings) => {
    holder.org = new Org(surroundings, options)
    return holder.org
  }, options)
  return Object.defineProperties(simulator, {
    requestsUsed: { get: () => holder.org?.requestsUsed ?? 0 },
    jobsMade: { get: () => holder.org?.jobsMade ?? 0 },
    merge: { value: (object: string) => holder.org?.merge(object) },
  }) as SalesforceSimulator
}

/** A request that is refused with what is thrown. */
class Refused extends Error {
  readonly answer: SimAnswer
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.code = code
    this.answer = refusal(status, code, message)
  }
}

function refusal(status: number, errorCode: string, message: string): SimAnswer {
  return { status, body: { json: [{ message, errorCode }] }, schema: 'error' }
}

const json = (status: number, value: Json, schema: string, rows?: number): SimAnswer => ({
  status,
  schema,
  body: { json: value },
  ...(rows === undefined ? {} : { rows }),
})

/** A column of an answer: the path as the fields are really named, and how its value is found. */
interface Column {
  readonly path: string
  readonly field: Field
  readonly value: (row: Row) => Json
}

interface Plan {
  readonly query: Query
  readonly entity: Entity
  readonly columns: readonly Column[]
  readonly snapshot: Snapshot
  /** True: asked for by id, so nothing is lied about. */
  readonly byId: boolean
  readonly at: number
}

interface Job extends Plan {
  readonly id: string
  readonly version: string
  readonly operation: string
  state: 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Failed' | 'Aborted'
  polls: number
  errorMessage: string | null
}

/** Objects that no job can read. */
const NOT_IN_BULK = new Set(['TaskStatus'])
/** Fields of a record that a reference to several kinds of objects leads to. */
const NAME_FIELDS: readonly Field[] = ['Id', 'Name', 'Type', 'FirstName', 'LastName', 'Email', 'Phone', 'Title'].map(
  (name) => ({
    name,
    type: name === 'Id' ? 'id' : 'string',
    nillable: true,
    length: 255,
    precision: 0,
    scale: 0,
    calculated: false,
    compound: null,
    references: [],
    relationship: null,
    values: [],
  }),
)

class Org implements Service {
  readonly lies: readonly LieName[] = [
    ...ROW_LIES,
    'DROPPED_PAGE',
    'REPEATED_PAGE',
    'PAGE_WITHOUT_ROWS',
    'LOOPING_CURSOR',
    'SILENT_CAP',
    'EARLY_END',
    'WRONG_COUNT',
    'STALE_ROW',
    'UNTOLD_CHANGE',
    'UNTOLD_DELETION',
  ]
  readonly tables: ReadonlyMap<string, Table>
  readonly oauth: Service['oauth']
  readonly #around: Surroundings
  readonly #options: SalesforceOptions
  readonly #entities: Map<string, Entity>
  /** Requests by the hour. */
  readonly #hours = new Map<number, number>()
  readonly #cursors = new Map<string, Plan>()
  readonly #jobs = new Map<string, Job>()
  /** What stands in answers, so that a fault can change it. */
  readonly #rendered = new WeakMap<
    SimAnswer,
    { readonly rows: readonly Row[]; readonly render: (rows: readonly Row[]) => SimAnswer }
  >()
  readonly #recorded = descriptionFile('salesforce-describe.json')
  #moved = false
  #made = 0
  #newFields = 0
  jobsMade = 0

  constructor(around: Surroundings, options: SalesforceOptions) {
    this.#around = around
    this.#options = options
    this.#entities = new Map(entities())
    this.tables = salesforceTables({
      seed: options.seed ?? 1,
      counts: options.counts ?? {},
      start: around.start,
      now: around.now,
      nasty: options.nasty ?? true,
      personAccounts: options.personAccounts ?? true,
      entity: (name) => this.#entity(name),
    })
    // Some were made one with their neighbours a while ago.
    for (const object of MERGEABLE) {
      const table = this.tables.get(object)
      if (table !== undefined && table.size > MERGED.least) {
        table.delete(MERGED.lost, MERGED.kept, around.start - HOUR)
      }
    }
    const deniedBody = { error: 'invalid_grant', error_description: 'expired access/refresh token' }
    this.oauth = {
      authorizePath: '/services/oauth2/authorize',
      tokenPath: '/services/oauth2/token',
      revokePath: '/services/oauth2/revoke',
      client: 'form',
      rotate: true,
      // Nobody tells when a session ends.
      tokenSeconds: null,
      tokenLength: 110,
      answer: ({ accessToken, refreshToken, refreshed }) => {
        this.#moved ||= refreshed && options.moves === true
        return {
          access_token: accessToken,
          ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
          instance_url: this.#instance,
          id: `${around.url()}/id/${ORGANIZATION}/${idOf('005', 0)}`,
          token_type: 'Bearer',
          issued_at: String(around.now()),
          signature: 'c2lnbmF0dXJl',
          scope: 'api refresh_token',
        }
      },
      denied: () => ({ status: 400, body: { json: deniedBody } }),
    }
  }

  get #instance(): string {
    return this.#moved ? this.#around.url().replace('127.0.0.1', 'localhost') : this.#around.url()
  }

  get requestsUsed(): number {
    const hour = Math.floor(this.#around.now() / HOUR)
    let sum = 0
    for (const [at, count] of this.#hours) {
      sum += at > hour - 24 && at <= hour ? count : 0
    }
    return sum
  }

  merge(object: string): { readonly lost: string; readonly kept: string } {
    const table = this.#table(object)
    const [lost = 0, kept = 0] = [...table.byId()].slice(-2)
    table.delete(lost, kept)
    table.edit(kept)
    return { lost: table.idOf(lost), kept: table.idOf(kept) }
  }

  unauthorized(): SimAnswer {
    return refusal(401, 'INVALID_SESSION_ID', 'Session expired or invalid')
  }

  failure(status: number): SimAnswer {
    return status === 503
      ? refusal(503, 'SERVER_UNAVAILABLE', 'Server too busy')
      : refusal(status, 'UNKNOWN_EXCEPTION', 'An unexpected error occurred. Please include this ErrorId: 1234-5678')
  }

  limited(kind: 'BURST' | 'DAILY'): SimAnswer {
    return refusal(
      403,
      'REQUEST_LIMIT_EXCEEDED',
      kind === 'DAILY'
        ? 'TotalRequests Limit exceeded.'
        : 'ConcurrentRequests (Concurrent API Requests) Limit exceeded.',
    )
  }

  own(name: string, request: SimRequest): SimAnswer | null {
    const job = this.#jobs.get(/\/jobs\/query\/(\w+)/.exec(request.path)?.[1] ?? '')
    switch (name) {
      case 'QUERY_TIMEOUT':
        return refusal(400, 'QUERY_TIMEOUT', 'Your query request was running for too long.')
      case 'LOCATOR_EXPIRED':
        return /\/query(All)?\/\w/.test(request.path)
          ? refusal(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator')
          : null
      case 'JOB_FAILED':
        if (job !== undefined && job.state !== 'JobComplete') {
          job.state = 'Failed'
          job.errorMessage = 'InternalServerError : Error from system: retries exceeded'
        }
        return null
      case 'JOB_GONE':
        this.#jobs.delete(job?.id ?? '')
        return null
      case 'API_DISABLED':
        return refusal(403, 'API_DISABLED_FOR_ORG', 'The REST API is not enabled for this Organization.')
      case 'NO_ACCESS':
        return refusal(403, 'INSUFFICIENT_ACCESS', 'insufficient access rights on object')
      case 'METERING':
        return refusal(403, 'TXN_SECURITY_METERING_ERROR', 'This request was blocked by a transaction security policy.')
      case 'TOO_LARGE':
        return refusal(400, 'OPERATION_TOO_LARGE', "exceeded 100000 distinct who/what's")
      default:
        throw new Error(`Salesforce has no fault ${name}`)
    }
  }

  changeFields(kind: 'NEW_FIELD' | 'REMOVED_FIELD', request: SimRequest): void {
    const entity = this.#entity(this.objectOf(request) ?? 'Contact')
    const fields = [...entity.fields]
    if (kind === 'REMOVED_FIELD') {
      const last = fields.findLastIndex(({ name }) => name.endsWith('__c'))
      fields.splice(last === -1 ? fields.length : last, 1)
    } else {
      this.#newFields++
      const like = NAME_FIELDS.find(({ name }) => name === 'Name')
      if (like !== undefined) {
        fields.push({ ...like, name: `New_Field_${this.#newFields}__c` })
      }
    }
    this.#entities.set(entity.name, { ...entity, fields })
  }

  objectOf({ path, query, body }: SimRequest): string | null {
    const cursor = this.#cursors.get(/\/query(?:All)?\/(\w+)/.exec(path)?.[1] ?? '')
    const job = this.#jobs.get(/\/jobs\/query\/(\w+)/.exec(path)?.[1] ?? '')
    const named = /\/sobjects\/(\w+)/.exec(path)?.[1] ?? /\bFROM\s+(\w+)/i.exec(query.get('q') ?? body)?.[1]
    const found = cursor?.entity.name ?? job?.entity.name ?? named ?? ''
    return this.tables.has(found) ? found : null
  }

  mapRows(answer: SimAnswer, change: (row: Row, at: number) => Row): SimAnswer | null {
    const rendered = this.#rendered.get(answer)
    return rendered === undefined ? null : rendered.render(rendered.rows.map(change))
  }

  admit(): SimAnswer | null {
    if (this.requestsUsed >= (this.#options.dayRequests ?? 115_000)) {
      return this.limited('DAILY')
    }
    const hour = Math.floor(this.#around.now() / HOUR)
    this.#hours.set(hour, (this.#hours.get(hour) ?? 0) + 1)
    return null
  }

  headers(): Readonly<Record<string, string>> {
    return { 'sforce-limit-info': `api-usage=${this.requestsUsed}/${this.#options.dayRequests ?? 115_000}` }
  }

  violationsOf(schema: string, _status: number, value: Json): readonly string[] {
    const [name = '', object = ''] = schema.split(':')
    const own = SCHEMAS[name]
    const entity = this.#entities.get(object)
    return [
      ...(own === undefined ? [`no schema ${schema}`] : violationsOf(own, value)),
      ...(entity === undefined ? [] : recordViolations(name, entity, value)),
      ...(name === 'describe' && this.#recorded !== null ? recordedViolations(this.#recorded, object, value) : []),
    ]
  }

  answer(request: SimRequest): SimAnswer {
    const host = String(request.headers.host ?? '')
    if (this.#moved && !host.startsWith('localhost')) {
      return this.unauthorized()
    }
    try {
      return this.#answer(request)
    } catch (error) {
      if (error instanceof Refused) {
        return error.answer
      }
      if (error instanceof Malformed) {
        return refusal(400, 'MALFORMED_QUERY', error.message)
      }
      throw error
    }
  }

  #answer(request: SimRequest): SimAnswer {
    const { path, method, query } = request
    if (path.replace(/\/$/, '') === '/services/data') {
      const versions = VERSIONS.map((version) => ({
        label: `Version ${version}`,
        url: `/services/data/v${version}`,
        version,
      }))
      return json(200, versions, 'versions')
    }
    if (path === '/services/oauth2/userinfo' || path.startsWith('/id/')) {
      return this.#identity()
    }
    const [, version = '', rest = ''] = /^\/services\/data\/v(\d\d\.0)\/?(.*?)\/?$/.exec(path) ?? []
    if (!VERSIONS.includes(version)) {
      return NOT_FOUND
    }
    const base = `/services/data/v${version}`
    const [first = '', next = '', third = '', fourth = ''] = rest.split('/')
    const key = `${method} ${first}`
    switch (key) {
      case 'GET ':
        return json(
          200,
          { sobjects: `${base}/sobjects`, query: `${base}/query`, queryAll: `${base}/queryAll`, jobs: `${base}/jobs` },
          'resources',
        )
      case 'GET query':
      case 'GET queryAll':
        return next === ''
          ? this.#query(base, first === 'queryAll', query.get('q') ?? '', batchSize(request))
          : this.#more(base, first, next, batchSize(request))
      case 'GET limits':
        return next === 'recordCount' ? this.#recordCount(query) : this.#limits()
      case 'GET sobjects':
        return this.#sobjects(base, next, third, fourth, query)
      case 'POST composite':
        return next === 'batch' ? this.#batch(request) : this.#collection(base, third, JSON.parse(request.body))
      case 'GET composite':
        return this.#collection(base, third, {
          ids: (query.get('ids') ?? '').split(','),
          fields: (query.get('fields') ?? '').split(','),
        })
      default:
        return first === 'jobs' && next === 'query' ? this.#job(request, version, third, fourth) : NOT_FOUND
    }
  }

  #identity(): SimAnswer {
    const user = this.#table('User').row(0)
    return json(
      200,
      {
        sub: `${this.#around.url()}/id/${ORGANIZATION}/${idOf('005', 0)}`,
        user_id: idOf('005', 0),
        organization_id: ORGANIZATION,
        preferred_username: user.Username ?? null,
        name: user.Name ?? null,
        email: user.Email ?? null,
        active: true,
        urls: { rest: `${this.#instance}/services/data/v{version}/` },
      },
      'identity',
    )
  }

  #limits(): SimAnswer {
    const day = this.#options.dayRequests ?? 115_000
    const jobs = [...this.#jobs.values()].filter(({ at }) => at > this.#around.now() - DAY).length
    return json(
      200,
      {
        DailyApiRequests: { Max: day, Remaining: Math.max(0, day - this.requestsUsed) },
        DailyBulkApiBatches: { Max: 15_000, Remaining: 15_000 },
        DailyBulkV2QueryJobs: { Max: 10_000, Remaining: 10_000 - jobs },
        DailyBulkV2QueryFileStorageMB: { Max: 976_562, Remaining: 976_560 },
      },
      'limits',
    )
  }

  #recordCount(query: URLSearchParams): SimAnswer {
    const asked = query.get('sObjects')?.split(',') ?? [...this.tables.keys()]
    const sObjects = asked
      .filter((name) => this.tables.has(name))
      .map((name) => ({ name, count: this.#told(this.#table(name).alive) }))
    return json(200, { sObjects }, 'recordCount')
  }

  #told(count: number): number {
    return this.#around.lie() === 'WRONG_COUNT' ? count + 3 : count
  }

  #sobjects(base: string, object: string, what: string, more: string, query: URLSearchParams): SimAnswer {
    if (object === '') {
      const sobjects = [...this.#entities.values()].map((entity) => describeGlobally(entity, base))
      return json(200, { encoding: 'UTF-8', maxBatchSize: 200, sobjects }, 'global')
    }
    const entity = this.#entities.get(object)
    if (entity === undefined || more !== '') {
      return NOT_FOUND
    }
    switch (what) {
      case '':
        return json(200, { objectDescribe: describeGlobally(entity, base), recentItems: [] }, 'basic')
      case 'describe':
        return json(200, describeEntity(entity, base), `describe:${object}`)
      case 'deleted':
        return this.#deleted(entity, query)
      case 'updated':
        return this.#updated(entity, query)
      default: {
        const table = this.#table(object)
        const index = indexOf(entity.prefix, what)
        if (index === null || table.place(index) === null || table.isGone(index)) {
          return NOT_FOUND
        }
        const asked = query.get('fields')?.split(',') ?? entity.fields.map(({ name }) => name)
        const columns = this.#columns(entity, asked)
        return json(200, this.#record(base, entity, columns, table.row(index)), `record:${object}`, 1)
      }
    }
  }

  /** `end` is not included; both are taken as whole minutes. */
  #span(query: URLSearchParams, days: number): { readonly since: number; readonly until: number } {
    const [since = Number.NaN, until = Number.NaN] = ['start', 'end'].map((name) => {
      const text = (query.get(name) ?? '').replace(' ', '+')
      return Math.floor(Date.parse(text) / 60_000) * 60_000
    })
    if (Number.isNaN(since) || Number.isNaN(until)) {
      throw new Refused(400, 'INVALID_ARGUMENT_TYPE', 'start and end must be moments')
    }
    if (since < this.#around.now() - days * DAY) {
      throw new Refused(400, 'INVALID_REPLICATION_DATE', `startDate before org's replication enabled date`)
    }
    if (until <= since) {
      throw new Refused(400, 'INVALID_REPLICATION_DATE', 'endDate must be at least one minute after startDate')
    }
    return { since, until: Math.min(until, Math.floor(this.#around.now() / 60_000) * 60_000 + 60_000) }
  }

  #replicated(entity: Entity): Table {
    if (describeGlobally(entity, '').replicateable !== true) {
      throw new Refused(400, 'INVALID_TYPE_FOR_OPERATION', `${entity.name} is not replicable`)
    }
    return this.#table(entity.name)
  }

  #deleted(entity: Entity, query: URLSearchParams): SimAnswer {
    const table = this.#replicated(entity)
    const { since, until } = this.#span(query, 15)
    const gone = table
      .deletedBetween(since, until)
      .filter((_, at) => this.#around.lie() !== 'UNTOLD_DELETION' || at % 2 === 1)
    if (gone.length > (this.#options.deletedIds ?? 600_000)) {
      throw new Refused(400, 'EXCEEDED_ID_LIMIT', 'Too many IDs returned. Use a smaller time range.')
    }
    const deletedRecords = gone.map((index) => ({
      id: table.idOf(index),
      deletedDate: momentText(table.place(index)?.deletedAt ?? 0),
    }))
    return json(
      200,
      {
        deletedRecords,
        earliestDateAvailable: momentText(Math.ceil((this.#around.now() - 15 * DAY) / 60_000) * 60_000),
        latestDateCovered: momentText(until),
      },
      'deleted',
      gone.length,
    )
  }

  #updated(entity: Entity, query: URLSearchParams): SimAnswer {
    const table = this.#replicated(entity)
    const { since, until } = this.#span(query, 30)
    const lie = this.#around.lie()
    const ids = [...table.byChange(since, until)]
      .filter((index) => !(lie === 'UNTOLD_CHANGE' && (table.place(index)?.version ?? 0) > 0 && index % 3 === 0))
      .map((index) => table.idOf(index))
    return json(200, { ids, latestDateCovered: momentText(until) }, 'updated', ids.length)
  }

  #batch(request: SimRequest): SimAnswer {
    const { batchRequests = [] } = JSON.parse(request.body) as {
      batchRequests?: readonly { readonly method: string; readonly url: string }[]
    }
    if (batchRequests.length > 25) {
      throw new Refused(400, 'INVALID_BATCH', 'at most 25 requests')
    }
    const results = batchRequests.map(({ method, url }) => {
      const at = new URL(url.startsWith('/services') ? url : `/services/data/${url}`, 'http://simulator')
      const answer = this.answer({ ...request, method, path: at.pathname, query: at.searchParams, body: '' })
      return { statusCode: answer.status, result: 'json' in answer.body ? answer.body.json : null }
    })
    return json(200, { hasErrors: results.some(({ statusCode }) => statusCode >= 400), results }, 'batch')
  }

  /** Records by their ids, null for those that are not there: the truth. */
  #collection(
    base: string,
    object: string,
    { ids, fields }: { readonly ids: readonly string[]; readonly fields: readonly string[] },
  ): SimAnswer {
    const entity = this.#entities.get(object)
    if (entity === undefined || ids.length > 2000) {
      return entity === undefined ? NOT_FOUND : refusal(400, 'MALFORMED_ID', 'at most 2000 ids')
    }
    const columns = this.#columns(entity, fields)
    const table = this.#table(object)
    const rows = ids.map((id) => {
      const index = indexOf(entity.prefix, id)
      return index === null || table.place(index) === null || table.isGone(index)
        ? null
        : this.#record(base, entity, columns, table.row(index))
    })
    return json(200, rows, 'collection', rows.length)
  }

  #query(base: string, all: boolean, soql: string, size: number): SimAnswer {
    const plan = this.#plan(soql, all)
    if (plan.query.count) {
      const totalSize = this.#told(plan.snapshot.size)
      return json(200, { totalSize, done: true, records: [] }, 'query')
    }
    this.#tooLong(plan)
    const id = `01g5g0${String(++this.#made).padStart(9, '0')}QAA`
    this.#cursors.set(id, plan)
    if (this.#cursors.size > 50) {
      this.#cursors.delete(this.#cursors.keys().next().value ?? '')
    }
    return this.#page(base, all ? 'queryAll' : 'query', id, plan, '0', size)
  }

  #tooLong({ snapshot }: Plan): void {
    if (snapshot.size > (this.#options.timeoutRows ?? Number.POSITIVE_INFINITY)) {
      throw new Refused(400, 'QUERY_TIMEOUT', 'Your query request was running for too long.')
    }
  }

  #more(base: string, resource: string, locator: string, size: number): SimAnswer {
    const [, id = '', offset = ''] = /^(\w+)-(\d+)$/.exec(locator) ?? []
    const plan = this.#cursors.get(id)
    if (plan === undefined || this.#around.now() - plan.at > 2 * DAY) {
      throw new Refused(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator')
    }
    return this.#page(base, resource, id, plan, offset, size)
  }

  #page(base: string, resource: string, id: string, plan: Plan, at: string, size: number): SimAnswer {
    const { entity, snapshot } = plan
    const from = Number(at)
    // Every second page is shorter than asked for.
    const shorter = Math.ceil(size * 0.8)
    const isShort = Math.round(from / size) % 2 === 1
    const part = this.#part(plan, at, isShort ? shorter : size, size)
    const render = (rows: readonly Row[], next: string | null): SimAnswer => ({
      ...json(
        200,
        {
          totalSize: this.#told(snapshot.size),
          done: next === null,
          ...(next === null ? {} : { nextRecordsUrl: `${base}/${resource}/${id}-${next}` }),
          records: rows.map((row) => this.#nested(base, entity, plan.columns, row)),
        },
        `query:${entity.name}`,
        rows.length,
      ),
    })
    const truth = render(part.truth.rows, part.truth.next)
    const bent = part.bent === null ? null : render(part.bent.rows, part.bent.next)
    const answer: SimAnswer = {
      ...truth,
      ...(bent === null || !('json' in bent.body) ? {} : { bent: bent.body.json }),
    }
    this.#rendered.set(answer, {
      rows: part.bent?.rows ?? part.truth.rows,
      render: (rows) => render(rows, part.bent === null ? part.truth.next : part.bent.next),
    })
    return answer
  }

  /** One page of what was found, and what the lie makes of it. */
  #part(
    { snapshot, columns, entity, byId, query }: Plan,
    at: string,
    count: number,
    size = count,
  ): {
    readonly truth: { readonly rows: readonly Row[]; readonly next: string | null }
    readonly bent: { readonly rows: readonly Row[]; readonly next: string | null } | null
  } {
    const from = Number(at)
    const rowsOf = (first: number, to: number, stale = false): readonly Row[] =>
      [...snapshot.places(first, to)].map((place) => {
        const row = snapshot.table.make(stale ? { ...place, version: 0 } : place)
        return Object.fromEntries(columns.map(({ path, value }) => [path, value(row)]))
      })
    const rows = rowsOf(from, from + count)
    const end = from + count
    const next = end < snapshot.size ? String(end) : null
    const truth = { rows, next }
    const lie = byId ? null : this.#around.lie()
    const tell = (told: readonly Row[], then: string | null) => ({ truth, bent: { rows: told, next: then } })
    switch (lie) {
      case null:
        return { truth, bent: null }
      case 'DROPPED_PAGE':
        return from === 0 && next !== null
          ? tell(rows, String(Math.min(end + size, snapshot.size - 1)))
          : { truth, bent: null }
      case 'REPEATED_PAGE':
        return from > 0 && from <= size ? tell(rowsOf(0, rows.length), next) : { truth, bent: null }
      case 'PAGE_WITHOUT_ROWS':
        // Nothing on the second page, and a way of writing its number that leads to the same and all the rest.
        return from === size && !at.startsWith('0') ? tell([], `0${at}`) : { truth, bent: null }
      case 'LOOPING_CURSOR':
        return from > 0 && next !== null ? tell(rows, at) : { truth, bent: null }
      case 'SILENT_CAP':
        return from >= size * 1.5 ? tell(rows.slice(0, Math.ceil(rows.length / 2)), null) : { truth, bent: null }
      case 'EARLY_END':
        return next === null ? { truth, bent: null } : tell(rows, null)
      case 'STALE_ROW':
        return tell(rowsOf(from, from + count, true), next)
      default:
        return query.count ? { truth, bent: null } : tell(bentRows(lie, rows, sortsOf(entity)), next)
    }
  }

  /** What is asked for, checked, and what fits it now. Throws Malformed and Refused. */
  #plan(soql: string, all: boolean): Plan {
    const query = parseSoql(soql)
    const entity = this.#entityLike(query.from)
    const columns = this.#columns(entity, query.fields)
    const table = this.#table(entity.name)
    const now = this.#around.now()
    const names = new Map<string, Column>()
    const columnOf = (path: string): Column => {
      let column = names.get(path)
      if (column === undefined) {
        ;[column] = this.#columns(entity, [path])
        if (column === undefined || column.field.type === 'textarea' || isCompound(column.field)) {
          throw new Refused(400, 'INVALID_FIELD', `field '${path}' can not be filtered in a query call`)
        }
        names.set(path, column)
      }
      return column
    }
    checkFields(query.where, columnOf)
    const bounds = boundsOf(query.where)
    const lie = this.#around.lie()
    const places: Place[] = []
    for (const index of candidates(table, entity, query, bounds)) {
      const place = table.place(index)
      if (place === null || !isThere(place, all, now, entity)) {
        continue
      }
      if (
        (lie === 'UNTOLD_CHANGE' && bounds.byChange && place.version > 0 && index % 3 === 0) ||
        (lie === 'UNTOLD_DELETION' && all && place.deletedAt !== null && index % 2 === 0)
      ) {
        continue
      }
      let row: Row | null = null
      const valueOf = (path: string): Json => {
        const quick = quickValue(place, path, table)
        if (quick !== undefined) {
          return quick
        }
        row ??= table.make(place)
        return columnOf(path).value(row)
      }
      if (query.where === null || fits(query.where, valueOf)) {
        places.push(place)
        if (query.limit !== null && query.orderBy.length === 0 && places.length >= query.offset + query.limit) {
          break
        }
      }
    }
    const ordered = sorted(places, query, table, columnOf)
    const from = query.offset
    const found = query.limit === null && from === 0 ? ordered : ordered.slice(from, from + (query.limit ?? Infinity))
    return { query, entity, columns, snapshot: new Snapshot(table, found), byId: bounds.ids !== null, at: now }
  }

  #columns(entity: Entity, paths: readonly string[]): readonly Column[] {
    return paths.map((path) => {
      const [head = '', ...rest] = path.split('.')
      if (rest.length === 0) {
        const field = entity.fields.find(({ name }) => name.toLowerCase() === head.toLowerCase())
        if (field === undefined) {
          throw noColumn(entity.name, path)
        }
        return { path: field.name, field, value: (row) => row[field.name] ?? null }
      }
      const link = entity.fields.find(({ relationship }) => relationship?.toLowerCase() === head.toLowerCase())
      if (link === undefined || rest.length > 5) {
        throw new Refused(
          400,
          'INVALID_FIELD',
          `Didn't understand relationship '${head}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name.`,
        )
      }
      const [target = ''] = link.references
      const targetEntity: Entity =
        link.references.length > 1
          ? { name: 'Name', prefix: '', label: 'Name', plural: 'Names', fields: NAME_FIELDS }
          : this.#entity(target)
      const [inner] = this.#columns(targetEntity, [rest.join('.')])
      if (inner === undefined) {
        throw noColumn(entity.name, path)
      }
      return {
        path: `${link.relationship}.${inner.path}`,
        field: inner.field,
        value: (row) => {
          const found = this.#behind(row[link.name] ?? null)
          if (found === null) {
            return null
          }
          return inner.path === 'Type' && targetEntity.name === 'Name' ? found.object : inner.value(found.row)
        },
      }
    })
  }

  /** The record that an id leads to; null: none is there. */
  #behind(id: Json): { readonly object: string; readonly row: Row } | null {
    if (typeof id !== 'string') {
      return null
    }
    const entity = [...this.#entities.values()].find(({ prefix }) => id.startsWith(prefix))
    const index = entity === undefined ? null : indexOf(entity.prefix, id)
    if (entity === undefined || index === null) {
      return null
    }
    const table = this.#table(entity.name)
    return table.place(index) === null || table.isGone(index) ? null : { object: entity.name, row: table.row(index) }
  }

  #record(base: string, entity: Entity, columns: readonly Column[], row: Row): Row {
    const flat = Object.fromEntries(columns.map(({ path, value }) => [path, value(row)]))
    return this.#nested(base, entity, columns, { Id: row.Id ?? null, ...flat })
  }

  /** The record as JSON has it: with its type, and what stands behind references in records of their own. */
  #nested(base: string, entity: Entity, columns: readonly Column[], flat: Row): Row {
    const asked = new Set(columns.map(({ path }) => path))
    const result: Record<string, Json> = {
      attributes: {
        type: entity.name,
        url: `${base}/sobjects/${entity.name}/${typeof flat.Id === 'string' ? flat.Id : ''}`,
      },
    }
    for (const [path, value] of Object.entries(flat)) {
      const [head = '', ...rest] = path.split('.')
      if (rest.length === 0) {
        if (path !== 'Id' || asked.has('Id')) {
          result[path] = value
        }
        continue
      }
      const inner = (result[head] ?? null) as Row | null
      // Without a record there, everything that was asked of it is one null.
      const grown = nest(inner ?? { attributes: { type: 'Name' } }, rest, value)
      result[head] = value === null && inner === null ? null : grown
    }
    return result
  }

  #job(request: SimRequest, version: string, id: string, what: string): SimAnswer {
    const { method, query, body } = request
    if (id === '') {
      return method === 'POST' ? this.#makeJob(version, body) : this.#listJobs()
    }
    const job = this.#jobs.get(id)
    if (job === undefined) {
      return NOT_FOUND
    }
    if (this.#around.now() - job.at > 7 * DAY) {
      this.#jobs.delete(id)
      return NOT_FOUND
    }
    if (what === 'results' && method === 'GET') {
      if (version !== job.version) {
        return refusal(409, 'API_ERROR', `the job belongs to API version ${job.version}`)
      }
      return this.#results(job, query)
    }
    switch (method) {
      case 'GET':
        this.#goOn(job)
        return json(200, this.#jobJson(job), 'job')
      case 'PATCH':
        if (job.state === 'UploadComplete' || job.state === 'InProgress') {
          job.state = 'Aborted'
        }
        return json(200, this.#jobJson(job), 'job')
      case 'DELETE':
        if (job.state === 'UploadComplete' || job.state === 'InProgress') {
          return refusal(400, 'INVALIDJOBSTATE', 'Job is still in progress')
        }
        this.#jobs.delete(id)
        return { status: 204, body: { text: '', type: 'text/plain' } }
      default:
        return refusal(405, 'METHOD_NOT_ALLOWED', `HTTP Method '${method}' not allowed`)
    }
  }

  #listJobs(): SimAnswer {
    const records = [...this.#jobs.values()].map((job) => this.#jobJson(job))
    return json(200, { done: true, nextRecordsUrl: null, records }, 'jobs')
  }

  #makeJob(version: string, body: string): SimAnswer {
    const asked = JSON.parse(body) as Readonly<Record<string, unknown>>
    const { operation, query = '' } = asked
    if (operation !== 'query' && operation !== 'queryAll') {
      throw new Refused(400, 'INVALIDJOB', `Unable to find operation ${String(operation)}`)
    }
    const parsed = parseSoql(String(query))
    const entity = this.#entityLike(parsed.from)
    if (NOT_IN_BULK.has(entity.name)) {
      throw new Refused(400, 'INVALIDENTITY', `Entity '${entity.name}' is not supported by the Bulk API.`)
    }
    if (parsed.count) {
      throw new Refused(400, 'INVALIDENTITY', 'Aggregate Relationships not supported in Bulk Query')
    }
    if (this.#columns(entity, parsed.fields).some(({ field }) => isCompound(field))) {
      throw new Refused(400, 'INVALIDENTITY', 'Selecting compound data not supported in Bulk Query')
    }
    this.jobsMade++
    const job: Job = {
      ...this.#plan(String(query), operation === 'queryAll'),
      id: `7505g0${String(++this.#made).padStart(9, '0')}AAA`,
      version,
      operation,
      state: 'UploadComplete',
      polls: 0,
      errorMessage: null,
    }
    this.#jobs.set(job.id, job)
    return json(200, this.#jobJson(job), 'job')
  }

  #goOn(job: Job): void {
    if (job.state !== 'UploadComplete' && job.state !== 'InProgress') {
      return
    }
    job.polls++
    if (job.polls <= (this.#options.bulkPolls ?? 2)) {
      job.state = job.polls === 1 && (this.#options.bulkPolls ?? 2) > 1 ? 'UploadComplete' : 'InProgress'
      return
    }
    const long = job.snapshot.size > (this.#options.timeoutRows ?? Number.POSITIVE_INFINITY)
    job.state = long ? 'Failed' : 'JobComplete'
    job.errorMessage = long ? 'QUERY_TIMEOUT: Your query request was running for too long.' : null
  }

  #jobJson(job: Job): Row {
    const done = job.state === 'JobComplete'
    return {
      id: job.id,
      operation: job.operation,
      object: job.entity.name,
      createdById: idOf('005', 0),
      createdDate: momentText(job.at),
      systemModstamp: momentText(job.at),
      state: job.state,
      concurrencyMode: 'Parallel',
      contentType: 'CSV',
      apiVersion: Number(job.version),
      jobType: 'V2Query',
      lineEnding: 'LF',
      columnDelimiter: 'COMMA',
      ...(done ? { numberRecordsProcessed: this.#told(job.snapshot.size), retries: 0, totalProcessingTime: 1234 } : {}),
      ...(job.errorMessage === null ? {} : { errorMessage: job.errorMessage }),
    }
  }

  #results(job: Job, query: URLSearchParams): SimAnswer {
    if (job.state !== 'JobComplete') {
      return refusal(412, 'INVALIDJOBSTATE', `The job is ${job.state}: there are no results`)
    }
    const most = this.#options.bulkPageRows ?? 100_000
    const size = Math.min(most, Number(query.get('maxRecords') ?? most))
    const locator = query.get('locator')
    const at = locator === null || locator === '' ? '0' : Buffer.from(locator, 'base64url').toString().slice(2)
    const from = Number(at)
    if (!Number.isInteger(size) || size < 1 || !Number.isInteger(from) || from < 0 || from > job.snapshot.size) {
      return refusal(400, 'INVALID_LOCATOR', 'the locator or the number of records is no good')
    }
    const lie = job.byId ? null : this.#around.lie()
    const next = from + size < job.snapshot.size ? String(from + size) : null
    if (lie === null || lie === 'WRONG_COUNT' || lie === 'UNTOLD_CHANGE' || lie === 'UNTOLD_DELETION') {
      const count = Math.min(size, job.snapshot.size - from)
      const rowsOf = () => this.#rowsOf(job, from, from + size)
      const answer = this.#csv(job, rowsOf, count, next)
      this.#rendered.set(answer, {
        get rows() {
          return [...rowsOf()]
        },
        render: (rows) => this.#csv(job, () => rows, rows.length, next),
      })
      return answer
    }
    const { truth, bent } = this.#part(job, at, size)
    const told = bent ?? truth
    return this.#csv(job, () => told.rows, told.rows.length, told.next)
  }

  *#rowsOf(job: Job, from: number, to: number): Generator<Row> {
    for (const place of job.snapshot.places(from, to)) {
      const row = job.snapshot.table.make(place)
      yield Object.fromEntries(job.columns.map(({ path, value }) => [path, value(row)]))
    }
  }

  #csv(job: Job, rows: () => Iterable<Row>, count: number, next: string | null): SimAnswer {
    return {
      status: 200,
      headers: {
        'sforce-locator': next === null ? 'null' : Buffer.from(`n:${next}`).toString('base64url'),
        'sforce-numberofrecords': String(count),
      },
      rows: count,
      body: { type: 'text/csv', parts: csvParts(job.columns, rows) },
    }
  }

  #entityLike(name: string): Entity {
    const found = [...this.#entities.values()].find((entity) => entity.name.toLowerCase() === name.toLowerCase())
    if (found === undefined) {
      throw new Refused(
        400,
        'INVALID_TYPE',
        `\nSELECT Id FROM ${name}\n               ^\nERROR at Row:1:Column:16\nsObject type '${name}' is not supported.`,
      )
    }
    return found
  }

  #entity(name: string): Entity {
    const entity = this.#entities.get(name)
    if (entity === undefined) {
      throw new Error(`no object ${name}`)
    }
    return entity
  }

  #table(name: string): Table {
    const table = this.tables.get(name)
    if (table === undefined) {
      throw new Error(`no table ${name}`)
    }
    return table
  }
}

const NOT_FOUND: SimAnswer = refusal(404, 'NOT_FOUND', 'The requested resource does not exist')

function noColumn(entity: string, path: string): Refused {
  return new Refused(
    400,
    'INVALID_FIELD',
    `\nNo such column '${path}' on entity '${entity}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name.`,
  )
}

function nest(inner: Row, [head = '', ...rest]: readonly string[], value: Json): Row {
  return {
    ...inner,
    [head]: rest.length === 0 ? value : nest((inner[head] ?? { attributes: { type: 'Name' } }) as Row, rest, value),
  }
}

/** A wish: 200 to 2,000 records of a page. Smaller ones are taken as well, so that few records make many pages. */
function batchSize({ headers }: SimRequest): number {
  const asked = /batchSize=(\d+)/.exec(String(headers['sforce-query-options'] ?? ''))?.[1]
  return Math.min(2000, Math.max(1, Number(asked ?? 2000)))
}

/** What a condition says of the order in which it is best looked for. */
interface Bounds {
  readonly since: number | null
  readonly until: number | null
  readonly byChange: boolean
  readonly ids: readonly string[] | null
}

function boundsOf(where: Condition | null): Bounds {
  const parts = where === null ? [] : where.kind === 'and' ? where.parts : [where]
  let since: number | null = null
  let until: number | null = null
  let ids: readonly string[] | null = null
  let byChange = false
  for (const part of parts) {
    if (part.kind !== 'compare') {
      continue
    }
    const [value] = part.values
    const name = part.field.toLowerCase()
    if (/^(systemmodstamp|lastmodifieddate)$/.test(name) && value?.kind === 'moment') {
      byChange = true
      if (part.comparator.startsWith('>')) {
        since = Math.max(since ?? value.value, value.value)
      } else if (part.comparator.startsWith('<')) {
        until = Math.min(until ?? Infinity, value.value + 1000)
      }
    }
    if (name === 'id' && (part.comparator === '=' || part.comparator === 'IN')) {
      ids = part.values.map((literal) => String(literal.kind === 'null' ? '' : literal.value))
    }
  }
  return { since, until, byChange, ids }
}

function candidates(table: Table, entity: Entity, query: Query, bounds: Bounds): Iterable<number> {
  if (bounds.ids !== null) {
    const places = bounds.ids.map((id) => indexOf(entity.prefix, id))
    return [...new Set(places)].filter((index): index is number => index !== null).sort((one, other) => one - other)
  }
  const [order] = query.orderBy
  const byChange = bounds.byChange || (order !== undefined && /^(SystemModstamp|LastModifiedDate)$/i.test(order.field))
  return byChange ? table.byChange(bounds.since ?? undefined, bounds.until ?? undefined, true) : table.byId(0, true)
}

/** Deleted and archived records only where asked for; what was deleted long ago is gone for good. */
function isThere(place: Place, all: boolean, now: number, entity: Entity): boolean {
  if (place.deletedAt !== null) {
    const kept = entity.fields.some(({ name }) => name === 'IsDeleted') && place.deletedAt > now - 15 * DAY
    return all && kept
  }
  return all || !((entity.name === 'Task' || entity.name === 'Event') && archived(place.index))
}

/** What is known of a record without making it. */
function quickValue(place: Place, path: string, table: Table): Json | undefined {
  switch (path.toLowerCase()) {
    case 'id':
      return table.idOf(place.index)
    case 'systemmodstamp':
    case 'lastmodifieddate':
      return new Date(second(place.updatedAt)).toISOString()
    case 'createddate':
      return new Date(second(place.createdAt)).toISOString()
    case 'isdeleted':
      return place.deletedAt !== null
    default:
      return undefined
  }
}

function sorted(
  places: readonly Place[],
  { orderBy, where, count }: Query,
  table: Table,
  columnOf: (path: string) => Column,
): readonly Place[] {
  const [first, next] = orderBy
  if (first === undefined || count) {
    return places
  }
  const name = first.field.toLowerCase()
  const byChange = name === 'systemmodstamp' || name === 'lastmodifieddate'
  if (!first.descending && byChange && (next === undefined || /^id$/i.test(next.field)) && next?.descending !== true) {
    // As they come, but by whole seconds, as the service knows no finer ones.
    return [...places].sort((one, other) => second(one.updatedAt) - second(other.updatedAt) || one.index - other.index)
  }
  if (name === 'id') {
    const ascending = boundsOf(where).byChange ? [...places].sort((one, other) => one.index - other.index) : places
    return first.descending ? [...ascending].reverse() : ascending
  }
  const keys = new Map<number, readonly Json[]>()
  for (const place of places) {
    const row = table.make(place)
    keys.set(
      place.index,
      orderBy.map(({ field }) => quickValue(place, field, table) ?? columnOf(field).value(row)),
    )
  }
  return [...places].sort((one, other) => {
    for (const [at, { descending, nullsLast }] of orderBy.entries()) {
      const own = keys.get(one.index)?.[at] ?? null
      const its = keys.get(other.index)?.[at] ?? null
      if (own === its) {
        continue
      }
      if (own === null || its === null) {
        return (own === null) === nullsLast ? 1 : -1
      }
      return own < its === descending ? 1 : -1
    }
    return one.index - other.index
  })
}

function checkFields(condition: Condition | null, columnOf: (path: string) => Column): void {
  if (condition === null) {
    return
  }
  switch (condition.kind) {
    case 'compare': {
      const { field } = columnOf(condition.field)
      const wrong = condition.values.some(({ kind }) => kind === 'text' && field.type === 'datetime')
      if (wrong || condition.values.some(({ kind }) => kind === 'day' && field.type === 'datetime')) {
        throw new Refused(
          400,
          'INVALID_FIELD',
          `value of filter criterion for field '${condition.field}' must be of type dateTime and should not be enclosed in quotes`,
        )
      }
      return
    }
    case 'not':
      checkFields(condition.part, columnOf)
      return
    default:
      for (const part of condition.parts) {
        checkFields(part, columnOf)
      }
  }
}

/** All cells quoted, nulls empty, moments in UTC, whole numbers of a kind that can have fractions with one. */
function* csvParts(columns: readonly Column[], rows: () => Iterable<Row>): Generator<string> {
  let extra: readonly string[] | null = null
  const types = new Map(columns.map(({ path, field }) => [path, field.type]))
  for (const row of rows()) {
    if (extra === null) {
      extra = Object.keys(row).filter((name) => !types.has(name))
      yield `${[...types.keys(), ...extra].map(quoted).join(',')}\n`
    }
    yield `${[...types.keys(), ...extra].map((path) => quoted(cell(row[path] ?? null, types.get(path) ?? ''))).join(',')}\n`
  }
  if (extra === null) {
    yield `${[...types.keys()].map(quoted).join(',')}\n`
  }
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`

function cell(value: Json, type: string): string {
  if (value === null) {
    return ''
  }
  if (typeof value === 'number') {
    return Number.isInteger(value) && /^(double|currency|percent)$/.test(type) ? value.toFixed(1) : String(value)
  }
  if (typeof value === 'object') {
    return JSON.stringify(value)
  }
  return type === 'datetime' ? String(value).replace('+0000', 'Z') : String(value)
}

const SYSTEM_FIELDS = /^(LastModifiedDate|SystemModstamp|CreatedById|LastModifiedById|MasterRecordId|OwnerId)$/

function sortsOf({ prefix, fields }: Entity): FieldSorts {
  const of = (types: RegExp): readonly string[] =>
    fields.filter(({ name, type }) => types.test(type) && !SYSTEM_FIELDS.test(name)).map(({ name }) => name)
  return {
    id: 'Id',
    texts: of(/^(string|textarea|combobox)$/),
    values: of(/^(double|currency|percent|int|phone)$/),
    moments: of(/^datetime$/),
    dates: of(/^date$/),
    relations: of(/^reference$/),
    owner: fields.some(({ name }) => name === 'OwnerId') ? 'OwnerId' : null,
    foreignId: idOf(prefix, 987_654_321),
  }
}
