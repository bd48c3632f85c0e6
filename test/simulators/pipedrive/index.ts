/**
 * A Pipedrive company as its documents have it: lists of v2 with cursors, lists of v1 with offsets that drift, custom fields
 * by their hashes, a budget of tokens that the whole company shares, a window of two seconds, and a proxy in front that
 * answers with a page to who goes on asking. Tested with are the documented behaviours, not the service.
 */
import { type Service, type Surroundings, startSimulator } from '../common/harness.js'
import { bentRows, type FieldSorts, ROW_LIES } from '../common/lies.js'
import { Description, descriptionFile, violationsOf } from '../common/schema.js'
import type { Table } from '../common/table.js'
import type { Json, LieName, Row, SimAnswer, SimRequest, Simulator, SimulatorOptions } from '../common/types.js'
import { CUSTOM_FIELDS, type CustomField, isArchived, leadLabelId, pipedriveTables } from './records.js'
import { SCHEMAS } from './schemas.js'

/** What only this service has. */
export interface PipedriveOptions extends SimulatorOptions {
  /** Tokens of a day for the whole company: 30,000 x the plan's factor x seats; 2,100,000 if absent (10 seats, factor 7). */
  readonly dayTokens?: number
  /** Requests in any two seconds of one sign-in; 80 if absent. */
  readonly burst?: number
  /** Custom fields instead of the usual ones, by object. */
  readonly customFields?: Readonly<Record<string, readonly CustomField[]>>
}

/** A company that was started. */
export interface PipedriveSimulator extends Simulator {
  /** Tokens used today, by everyone. */
  readonly tokensUsed: number
}

/** What lists can be narrowed down by. */
const FILTERS = [
  'owner_id',
  'person_id',
  'org_id',
  'deal_id',
  'lead_id',
  'pipeline_id',
  'stage_id',
  'done',
  'organization_id',
]

const V2 = new Set(['persons', 'organizations', 'deals', 'activities'])
const V1 = new Set(['leads', 'notes'])

/** Tokens by operation. */
export const TOKEN_COSTS: Readonly<Record<string, number>> = {
  getActivities: 10,
  getActivity: 1,
  getActivityFields: 10,
  getDeals: 10,
  getArchivedDeals: 20,
  getDeal: 1,
  getDealFields: 10,
  getPersons: 10,
  getPerson: 1,
  getPersonFields: 10,
  getOrganizations: 10,
  getOrganization: 1,
  getOrganizationFields: 10,
  getStages: 5,
  getPipelines: 5,
  getActivityTypes: 20,
  getCurrencies: 20,
  getLeads: 20,
  getArchivedLeads: 40,
  getLead: 2,
  getLeadFields: 20,
  getLeadLabels: 10,
  getLeadSources: 2,
  getNotes: 20,
  getNote: 2,
  getNoteFields: 20,
  getUsers: 20,
  getCurrentUser: 2,
}

const SINGULAR: Readonly<Record<string, string>> = {
  persons: 'Person',
  organizations: 'Organization',
  deals: 'Deal',
  activities: 'Activity',
  leads: 'Lead',
  notes: 'Note',
}

const PLURAL: Readonly<Record<string, string>> = {
  persons: 'Persons',
  organizations: 'Organizations',
  deals: 'Deals',
  activities: 'Activities',
  leads: 'Leads',
  notes: 'Notes',
}

const DAY = 86_400_000

const SORTS: Readonly<Record<string, FieldSorts>> = {
  persons: sorts(['name', 'first_name', 'last_name', 'notes', 'job_title'], [], ['birthday'], ['org_id']),
  organizations: sorts(['name', 'website'], ['employee_count'], [], []),
  deals: sorts(['title', 'lost_reason'], ['value'], ['expected_close_date'], ['person_id', 'org_id']),
  activities: sorts(['subject', 'note'], ['duration'], ['due_date'], ['person_id', 'deal_id', 'org_id'], ['due_time']),
  leads: {
    ...sorts(['title'], ['source_name'], ['expected_close_date'], ['person_id', 'organization_id']),
    foreignId: leadLabelId(9),
  },
  notes: { ...sorts(['content'], [], [], ['person_id', 'deal_id', 'lead_id']), owner: 'user_id' },
}

function sorts(
  texts: readonly string[],
  values: readonly string[],
  dates: readonly string[],
  relations: readonly string[],
  moments: readonly string[] = [],
): FieldSorts {
  return {
    id: 'id',
    texts,
    values,
    dates,
    relations,
    moments: [...moments, 'won_time', 'lost_time', 'marked_as_done_time', 'add_time'],
    owner: 'owner_id',
    foreignId: 987_654_321,
  }
}

/** Starts a company. */
export async function startPipedrive(options: PipedriveOptions = {}): Promise<PipedriveSimulator> {
  const holder: { company?: Company } = {}
  const simulator = await startSimulator((surroundings) => {
    holder.company = new Company(surroundings, options)
    return holder.company
  }, options)
  return Object.defineProperty(simulator, 'tokensUsed', {
    get: () => holder.company?.tokensUsed ?? 0,
  }) as PipedriveSimulator
}

/** A request that is refused with what is thrown. */
class Refused extends Error {
  readonly answer: SimAnswer
  constructor(status: number, error: string, more: Row = {}) {
    super(error)
    this.answer = refusal(status, error, more)
  }
}

function refusal(status: number, error: string, more: Row = {}): SimAnswer {
  return {
    status,
    body: {
      json: {
        success: false,
        error,
        error_info: 'Please check developers.pipedrive.com',
        data: null,
        additional_data: null,
        ...more,
      },
    },
    schema: 'error',
  }
}

const CLOUDFLARE: SimAnswer = {
  status: 403,
  body: {
    text: '<!DOCTYPE html><html><head><title>Access denied</title></head><body>error code: 1015</body></html>',
    type: 'text/html; charset=UTF-8',
  },
}

class Company implements Service {
  readonly lies: readonly LieName[] = [
    ...ROW_LIES,
    'DROPPED_PAGE',
    'REPEATED_PAGE',
    'PAGE_WITHOUT_ROWS',
    'LOOPING_CURSOR',
    'SILENT_CAP',
    'EARLY_END',
    'STALE_ROW',
    'UNTOLD_CHANGE',
    'UNTOLD_DELETION',
  ]
  readonly tables: ReadonlyMap<string, Table>
  readonly oauth: Service['oauth']
  readonly #around: Surroundings
  readonly #options: PipedriveOptions
  readonly #fields: Record<string, CustomField[]>
  /** Times of the requests of the last two seconds, by sign-in. */
  readonly #recent = new Map<number, number[]>()
  /** Requests in a row that were answered with 429. */
  readonly #hits = new Map<number, number>()
  #day = -1
  tokensUsed = 0
  #newFields = 0
  readonly #v2: Description | null
  readonly #v1: Description | null

  constructor(around: Surroundings, options: PipedriveOptions) {
    this.#around = around
    this.#options = options
    const custom = options.customFields ?? CUSTOM_FIELDS
    this.#fields = Object.fromEntries(Object.entries(custom).map(([object, fields]) => [object, [...fields]]))
    this.tables = pipedriveTables({
      seed: options.seed ?? 1,
      counts: options.counts ?? {},
      start: around.start,
      now: around.now,
      nasty: options.nasty ?? true,
      fields: (object) => this.#fields[object] ?? [],
    })
    this.oauth = {
      authorizePath: '/oauth/authorize',
      tokenPath: '/oauth/token',
      revokePath: '/oauth/revoke',
      client: 'basic',
      rotate: true,
      tokenSeconds: 3599,
      tokenLength: 300,
      refreshIdleMs: 60 * DAY,
      answer: ({ accessToken, refreshToken, expiresIn }) => ({
        access_token: accessToken,
        token_type: 'Bearer',
        ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
        scope: 'base deals:read contacts:read activities:read leads:read users:read',
        ...(expiresIn === null ? {} : { expires_in: expiresIn }),
        api_domain: around.url(),
      }),
      denied: () => ({
        status: 400,
        body: {
          json: { success: false, error: 'invalid_grant', error_description: 'Refresh token or code is invalid' },
        },
      }),
    }
    const [v1, v2] = ['v1', 'v2'].map((version) => descriptionFile(`pipedrive-${version}-subset.openapi.json`))
    this.#v1 = v1 === null || v1 === undefined ? null : new Description(v1)
    this.#v2 = v2 === null || v2 === undefined ? null : new Description(v2)
  }

  unauthorized(): SimAnswer {
    return refusal(401, 'unauthorized access', { errorCode: 401 })
  }

  failure(status: number): SimAnswer {
    return refusal(status, 'Internal server error', { errorCode: status })
  }

  limited(kind: 'BURST' | 'DAILY'): SimAnswer {
    const seconds = kind === 'BURST' ? 2 : Math.ceil((DAY - (this.#around.now() % DAY)) / 1000)
    return {
      ...refusal(429, kind === 'BURST' ? 'request over limit' : 'daily request limit reached', { errorCode: 429 }),
      headers: {
        'x-ratelimit-limit': String(this.#burst),
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(seconds),
        ...(kind === 'DAILY' ? { 'x-daily-requests-left': '0' } : {}),
      },
    }
  }

  own(name: string, request: SimRequest): SimAnswer | null {
    switch (name) {
      case 'PAYMENT':
        return refusal(402, 'Company account is not open (possible payment issue)', { errorCode: 402 })
      case 'GONE':
        return refusal(410, 'This endpoint is no longer available')
      case 'CAPPED':
        return refusal(403, 'You have reached the limit of your plan', { code: 'feature_capping_deals_limit' })
      case 'SCOPE':
        return refusal(403, 'Scope and URL mismatch', { errorCode: 403 })
      case 'PROXY':
        return CLOUDFLARE
      case 'CURSOR_EXPIRED':
        return request.query.has('cursor') ? refusal(400, 'Invalid cursor') : null
      default:
        throw new Error(`Pipedrive has no fault ${name}`)
    }
  }

  changeFields(kind: 'NEW_FIELD' | 'REMOVED_FIELD', request: SimRequest): void {
    const asked = this.objectOf(request) ?? 'persons'
    const fields = (this.#fields[asked === 'leads' ? 'deals' : asked] ??= [])
    if (kind === 'REMOVED_FIELD') {
      fields.pop()
      return
    }
    this.#newFields++
    const code = `f1e1d${this.#newFields.toString(16)}`.padEnd(40, '0')
    fields.push({ code, name: `New field ${this.#newFields}`, type: 'varchar' })
  }

  objectOf({ path }: SimRequest): string | null {
    const [, object = ''] = /^\/(?:api\/v2|(?:api\/)?v1)\/([a-z]+)/.exec(path) ?? []
    return this.tables.has(object) ? object : null
  }

  mapRows(answer: SimAnswer, change: (row: Row, at: number) => Row): SimAnswer | null {
    const json = 'json' in answer.body ? (answer.body.json as { readonly data?: Json }) : {}
    return Array.isArray(json.data) && answer.rows !== undefined
      ? { ...answer, body: { json: { ...json, data: json.data.map((row, at) => change(row as Row, at)) } } }
      : null
  }

  get #burst(): number {
    return this.#options.burst ?? 80
  }

  admit(request: SimRequest): SimAnswer | null {
    const now = this.#around.now()
    const day = Math.floor(now / DAY)
    if (day !== this.#day) {
      this.#day = day
      this.tokensUsed = 0
    }
    const recent = (this.#recent.get(request.grant) ?? []).filter((at) => at > now - 2000 && at <= now)
    const limited = recent.length >= this.#burst
    recent.push(now)
    // Who is limited and goes on keeps the window full.
    this.#recent.set(request.grant, recent.slice(-this.#burst - 1))
    const cost = TOKEN_COSTS[this.#operation(request)?.name ?? ''] ?? 0
    const over = this.tokensUsed + cost > (this.#options.dayTokens ?? 2_100_000)
    if (!limited && !over) {
      this.#hits.set(request.grant, 0)
      this.tokensUsed += cost
      return null
    }
    const hits = (this.#hits.get(request.grant) ?? 0) + 1
    this.#hits.set(request.grant, hits)
    return hits > 10 ? CLOUDFLARE : this.limited(limited ? 'BURST' : 'DAILY')
  }

  headers(request: SimRequest, status: number): Readonly<Record<string, string>> {
    if (status === 429 || status === 403) {
      return {}
    }
    const now = this.#around.now()
    const recent = (this.#recent.get(request.grant) ?? []).filter((at) => at > now - 2000)
    return {
      'x-ratelimit-limit': String(this.#burst),
      'x-ratelimit-remaining': String(Math.max(0, this.#burst - recent.length)),
      'x-ratelimit-reset': '2',
      'x-daily-requests-left': String(Math.max(0, (this.#options.dayTokens ?? 2_100_000) - this.tokensUsed)),
    }
  }

  violationsOf(schema: string, status: number, value: Json): readonly string[] {
    const own = SCHEMAS[schema]
    return [
      ...(own === undefined ? [`no schema ${schema}`] : violationsOf(own, value)),
      ...(schema === 'error'
        ? []
        : [this.#v1, this.#v2].flatMap((description) => description?.violationsOf(schema, status, value) ?? [])),
    ]
  }

  answer(request: SimRequest): SimAnswer {
    const operation = this.#operation(request)
    if (request.method !== 'GET') {
      return refusal(405, 'Method not allowed')
    }
    if (operation === null) {
      return refusal(404, 'Unknown method.')
    }
    try {
      return operation.answer()
    } catch (error) {
      if (error instanceof Refused) {
        return error.answer
      }
      throw error
    }
  }

  #operation(request: SimRequest): { readonly name: string; readonly answer: () => SimAnswer } | null {
    const { path, query } = request
    const [, v2 = ''] = /^\/api\/v2\/(.+)$/.exec(path) ?? []
    if (v2 !== '') {
      const [object = '', rest = null] = v2.split('/')
      if (V2.has(object)) {
        if (rest === null) {
          return { name: `get${PLURAL[object]}`, answer: () => this.#list(object, false, query) }
        }
        if (object === 'deals' && rest === 'archived') {
          return { name: 'getArchivedDeals', answer: () => this.#list(object, true, query) }
        }
        return { name: `get${SINGULAR[object]}`, answer: () => this.#one(object, rest) }
      }
      const described = /^(person|organization|deal|activity)Fields$/.exec(v2)?.[1]
      if (described !== undefined) {
        const name = `get${v2.slice(0, 1).toUpperCase()}${v2.slice(1)}`
        return {
          name,
          answer: () => this.#fieldList(name, described === 'activity' ? 'activities' : `${described}s`, query),
        }
      }
      if (v2 === 'pipelines' || v2 === 'stages') {
        const rows = v2 === 'pipelines' ? PIPELINES : STAGES
        const name = v2 === 'pipelines' ? 'getPipelines' : 'getStages'
        return { name, answer: () => ({ status: 200, schema: name, body: { json: { success: true, data: rows } } }) }
      }
      return null
    }
    const [, v1 = ''] = /^\/(?:api\/)?v1\/(.+)$/.exec(path) ?? []
    const [object = '', rest = null] = v1.split('/')
    if (V1.has(object)) {
      if (rest === null) {
        return { name: `get${PLURAL[object]}`, answer: () => this.#offsets(object, false, query) }
      }
      if (object === 'leads' && rest === 'archived') {
        return { name: 'getArchivedLeads', answer: () => this.#offsets(object, true, query) }
      }
      return { name: `get${SINGULAR[object]}`, answer: () => this.#one(object, rest) }
    }
    const whole = (name: string, data: Json, rows?: number) => ({
      name,
      answer: (): SimAnswer => ({
        status: 200,
        schema: name,
        body: { json: { success: true, data } },
        ...(rows === undefined ? {} : { rows }),
      }),
    })
    const users = this.tables.get('users')
    switch (v1) {
      case 'users': {
        const data = users === undefined ? [] : [...users.byId()].map((index) => users.row(index))
        return whole('getUsers', data, data.length)
      }
      case 'users/me':
        return whole('getCurrentUser', {
          ...users?.row(0),
          company_id: 4_711_000 + (this.#options.seed ?? 1),
          company_name: 'Simulated Agency',
          company_domain: 'simulated-agency',
          company_country: 'DE',
          company_industry: null,
        })
      case 'activityTypes':
        return whole('getActivityTypes', ACTIVITY_TYPES)
      case 'leadLabels':
        return whole(
          'getLeadLabels',
          ['Hot', 'Warm', 'Cold'].map((name, at) => ({
            id: leadLabelId(at),
            name,
            color: ['red', 'yellow', 'blue'][at] ?? null,
            add_time: '2025-01-01T00:00:00.000Z',
            update_time: '2025-01-01T00:00:00.000Z',
          })),
        )
      case 'leadSources':
        return whole('getLeadSources', [{ name: 'Manually created' }, { name: 'Web forms' }])
      case 'currencies':
        return whole('getCurrencies', [
          {
            id: 2,
            code: 'EUR',
            name: 'Euro',
            decimal_points: 2,
            symbol: '€',
            active_flag: true,
            is_custom_flag: false,
          },
          {
            id: 3,
            code: 'USD',
            name: 'US Dollar',
            decimal_points: 2,
            symbol: '$',
            active_flag: true,
            is_custom_flag: false,
          },
        ])
      case 'leadFields':
        return { name: 'getLeadFields', answer: () => this.#oldFields('deals', 'getLeadFields') }
      case 'noteFields':
        return { name: 'getNoteFields', answer: () => this.#oldFields('notes', 'getNoteFields') }
      default:
        return null
    }
  }

  #table(object: string): Table {
    const table = this.tables.get(object)
    if (table === undefined) {
      throw new Error(`no table ${object}`)
    }
    return table
  }

  #one(object: string, id: string): SimAnswer {
    const table = this.#table(object)
    const index = indexOf(table, id)
    // Only a deleted deal can still be read.
    if (index === null || (table.isGone(index) && object !== 'deals')) {
      return refusal(404, `${SINGULAR[object]} not found`)
    }
    return { status: 200, schema: `get${SINGULAR[object]}`, body: { json: { success: true, data: table.row(index) } } }
  }

  #list(object: string, archived: boolean, query: URLSearchParams): SimAnswer {
    const table = this.#table(object)
    const name = archived ? 'getArchivedDeals' : `get${PLURAL[object]}`
    const limit = limitOf(query, 100)
    const byChange = query.get('sort_by') === 'update_time'
    const descending = query.get('sort_direction') === 'desc'
    if (!['id', 'update_time', 'add_time'].includes(query.get('sort_by') ?? 'id')) {
      throw new Refused(400, 'Validation failed: sort_by')
    }
    const keys = query.get('custom_fields')?.split(',') ?? null
    if (keys !== null && keys.length > 15) {
      throw new Refused(400, 'Validation failed: custom_fields: at most 15')
    }
    const finish = (row: Row): Row => {
      const all = row.custom_fields as Row | undefined
      return keys === null || all === undefined
        ? row
        : { ...row, custom_fields: Object.fromEntries(keys.map((key) => [key, all[key] ?? null])) }
    }
    const ids = query.get('ids')?.split(',') ?? null
    if (ids !== null) {
      if (ids.length > 100) {
        throw new Refused(400, 'Validation failed: ids: at most 100')
      }
      const found = ids
        .map((id) => indexOf(table, id))
        .filter((index): index is number => index !== null && !table.isGone(index))
        .sort((one, other) => one - other)
      const data = found.map((index) => finish(table.row(index)))
      return { status: 200, schema: name, rows: data.length, body: { json: { success: true, data } } }
    }
    const since = momentOf(query, 'updated_since')
    const until = momentOf(query, 'updated_until')
    const statuses = query.get('status')?.split(',') ?? null
    if (statuses?.some((status) => !['open', 'won', 'lost', 'deleted'].includes(status)) === true) {
      throw new Refused(400, 'Validation failed: status')
    }
    const withDeleted = object === 'deals' && statuses?.includes('deleted') === true
    const cursor = cursorOf(query)
    const lie = this.#around.lie()
    const matches = this.#matcher(table, query, statuses)
    const fits = (index: number): boolean => {
      if (object === 'deals' && archived !== isArchived(object, index) && !(withDeleted && table.isGone(index))) {
        return false
      }
      if (lie === 'UNTOLD_CHANGE' && since !== null && (table.place(index)?.version ?? 0) > 0 && index % 3 === 0) {
        return false
      }
      const place = table.place(index)
      if (
        place === null ||
        (since !== null && place.updatedAt < since) ||
        (until !== null && place.updatedAt >= until)
      ) {
        return false
      }
      if (lie === 'UNTOLD_DELETION' && place.deletedAt !== null && withDeleted) {
        return false
      }
      return matches(index)
    }
    // One more than asked for tells whether there is a next page.
    const found: number[] = []
    const order = this.#order(table, { byChange, descending, since, until, withDeleted, cursor })
    for (const index of order) {
      if (fits(index)) {
        found.push(index)
        if (found.length > limit) {
          break
        }
      }
    }
    const more = found.length > limit
    const page = found.slice(0, limit)
    const pageNumber = (cursor?.page ?? 0) + 1
    const cursorAt = (index: number | undefined): string | null => {
      const place = index === undefined ? null : table.place(index)
      return place === null
        ? null
        : Buffer.from(
            JSON.stringify({ a: [byChange ? place.updatedAt : 0, place.index], p: pageNumber, d: descending }),
          ).toString('base64url')
    }
    const rows = page.map((index) => finish(table.row(index)))
    const next = more ? cursorAt(page.at(-1)) : null
    const truth = listJson(rows, next, !more && pageNumber > 1)
    const bent = this.#bentList(lie, {
      object,
      table,
      page,
      rows,
      next,
      pageNumber,
      limit,
      given: query.get('cursor'),
      fits,
      cursorAt,
    })
    return { status: 200, schema: name, rows: rows.length, body: { json: truth }, ...(bent === null ? {} : { bent }) }
  }

  #bentList(
    lie: LieName | null,
    list: {
      readonly object: string
      readonly table: Table
      readonly page: readonly number[]
      readonly rows: readonly Row[]
      readonly next: string | null
      readonly pageNumber: number
      readonly limit: number
      readonly given: string | null
      readonly fits: (index: number) => boolean
      readonly cursorAt: (index: number | undefined) => string | null
    },
  ): Json | null {
    const { object, table, page, rows, next, pageNumber, limit, given, fits, cursorAt } = list
    const fieldSorts = SORTS[object]
    switch (lie) {
      case null:
        return null
      case 'DROPPED_PAGE': {
        // The cursor of the first page leads past the second one.
        if (pageNumber !== 1 || next === null) {
          return null
        }
        const wanted = limit * 2
        let seen = 0
        let last: number | undefined
        for (const index of this.#order(table, {
          byChange: false,
          descending: false,
          since: null,
          until: null,
          withDeleted: false,
          cursor: null,
        })) {
          if (fits(index) && ++seen === wanted) {
            last = index
            break
          }
        }
        return listJson(rows, cursorAt(last) ?? null, false)
      }
      case 'REPEATED_PAGE':
        // The second page is the first one again, and the third goes on after the real second.
        if (pageNumber !== 2) {
          return null
        }
        return listJson(
          [...table.byId()]
            .filter(fits)
            .slice(0, rows.length)
            .map((index) => table.row(index)),
          next,
          false,
        )
      case 'PAGE_WITHOUT_ROWS':
        // Nothing on the second page, and a cursor to all the rest.
        return pageNumber === 2 && page.length > 0 && !given?.startsWith('.')
          ? listJson([], `.${given ?? ''}`, false)
          : null
      case 'LOOPING_CURSOR':
        return pageNumber >= 2 && next !== null ? listJson(rows, given, false) : null
      case 'SILENT_CAP':
        return pageNumber >= 3 ? listJson(rows.slice(0, Math.ceil(rows.length / 2)), null, true) : null
      case 'EARLY_END':
        return next === null ? null : listJson(rows, null, true)
      case 'STALE_ROW':
        return listJson(
          page.map((index, at) => {
            const place = table.place(index)
            return place !== null && place.version > 0 ? table.make({ ...place, version: 0 }) : (rows[at] ?? {})
          }),
          next,
          false,
        )
      default:
        return fieldSorts === undefined ? null : listJson(bentRows(lie, rows, fieldSorts), next, false)
    }
  }

  *#order(
    table: Table,
    asked: {
      readonly byChange: boolean
      readonly descending: boolean
      readonly since: number | null
      readonly until: number | null
      readonly withDeleted: boolean
      readonly cursor: Cursor | null
    },
  ): Generator<number> {
    const { byChange, descending, since, until, withDeleted, cursor } = asked
    const [at = 0, after = -1] = cursor?.after ?? []
    if (!byChange) {
      if (descending) {
        for (const index of [...table.byId(0, withDeleted)].reverse()) {
          if (cursor === null || index < after) {
            yield index
          }
        }
        return
      }
      yield* table.byId(after + 1, withDeleted)
      return
    }
    if (descending) {
      const all = [...table.byChange(since ?? undefined, until ?? undefined, withDeleted)].reverse()
      for (const index of all) {
        const place = table.place(index)
        if (
          cursor === null ||
          (place !== null && (place.updatedAt < at || (place.updatedAt === at && index < after)))
        ) {
          yield index
        }
      }
      return
    }
    const from = cursor === null ? since : Math.max(since ?? 0, at)
    for (const index of table.byChange(from ?? undefined, until ?? undefined, withDeleted)) {
      const place = table.place(index)
      if (cursor === null || (place !== null && (place.updatedAt > at || index > after))) {
        yield index
      }
    }
  }

  /** Made once for a page: a list by offsets asks it of every record before the page. */
  #matcher(table: Table, query: URLSearchParams, statuses: readonly string[] | null): (index: number) => boolean {
    const wanted = FILTERS.map((name) => [name, query.get(name)] as const).filter(
      (pair): pair is readonly [string, string] => pair[1] !== null,
    )
    if (wanted.length === 0 && statuses === null) {
      return () => true
    }
    return (index) => {
      const row = table.row(index)
      return (
        wanted.every(([name, value]) => JSON.stringify(row[name]).replaceAll('"', '') === value) &&
        (statuses === null || statuses.some((status) => status === row.status))
      )
    }
  }

  #offsets(object: string, archived: boolean, query: URLSearchParams): SimAnswer {
    const table = this.#table(object)
    const name = archived ? 'getArchivedLeads' : `get${PLURAL[object]}`
    const limit = Math.min(500, Number(query.get('limit') ?? 100))
    const start = Number(query.get('start') ?? 0)
    if (!Number.isInteger(limit) || limit < 1 || !Number.isInteger(start) || start < 0) {
      throw new Refused(400, 'Bad request: start or limit')
    }
    const [field = 'id', direction = 'ASC'] = (query.get('sort') ?? 'id ASC').split(/[ +]/)
    if (!['id', 'update_time', 'add_time', 'title'].includes(field)) {
      throw new Refused(400, 'Bad request: sort')
    }
    const since = archived ? null : momentOf(query, 'updated_since')
    const lie = this.#around.lie()
    const matches = this.#matcher(table, query, null)
    const fits = (index: number): boolean =>
      (object !== 'leads' || isArchived(object, index) === archived) &&
      (since === null || (table.place(index)?.updatedAt ?? 0) >= since) &&
      !(lie === 'UNTOLD_CHANGE' && since !== null && (table.place(index)?.version ?? 0) > 0 && index % 3 === 0) &&
      matches(index)
    const all = field === 'update_time' ? table.byChange(since ?? undefined) : table.byId()
    const ordered = direction.toUpperCase() === 'DESC' ? [...all].reverse() : all
    const dropped = lie === 'DROPPED_PAGE' && start > 0 ? limit : 0
    const found: number[] = []
    let seen = 0
    for (const index of ordered) {
      if (fits(index) && seen++ >= start + dropped) {
        found.push(index)
        if (found.length > limit) {
          break
        }
      }
    }
    const more = found.length > limit
    const rows = found.slice(0, limit).map((index) => v1Row(table, index, lie))
    const json = (data: readonly Row[], moreItems: boolean, next = start + limit): Json => ({
      success: true,
      // v1 says null where a list is empty.
      data: data.length === 0 && object === 'notes' ? null : [...data],
      additional_data: {
        pagination: { start, limit, more_items_in_collection: moreItems, ...(moreItems ? { next_start: next } : {}) },
      },
    })
    const fieldSorts = SORTS[object]
    const bent = (): Json | null => {
      switch (lie) {
        case null:
        case 'DROPPED_PAGE':
          return null
        case 'EARLY_END':
          return json(rows, false)
        case 'SILENT_CAP':
          return start >= 2 * limit ? json(rows.slice(0, Math.ceil(rows.length / 2)), false) : null
        case 'LOOPING_CURSOR':
          return start > 0 && more ? json(rows, true, start) : null
        case 'PAGE_WITHOUT_ROWS':
          return start > 0 && more ? json([], true, start + limit) : null
        case 'REPEATED_PAGE':
          return start === limit
            ? json(
                [...table.byId()]
                  .filter(fits)
                  .slice(0, rows.length)
                  .map((index) => table.row(index)),
                more,
              )
            : null
        default:
          return fieldSorts === undefined ? null : json(bentRows(lie, rows, fieldSorts), more)
      }
    }
    const told = bent()
    return {
      status: 200,
      schema: name,
      rows: rows.length,
      body: { json: json(rows, more) },
      ...(told === null ? {} : { bent: told }),
    }
  }

  #fieldList(name: string, object: string, query: URLSearchParams): SimAnswer {
    limitOf(query, 100)
    const native = Object.keys(this.#table(object).row(0)).filter((field) => field !== 'custom_fields')
    const data = [
      ...native.map((code) => describe(code, code, NATIVE_TYPES[code] ?? 'varchar', false)),
      ...(this.#fields[object] ?? []).map(({ code, name: label, type, options }) =>
        describe(code, label, type, true, options),
      ),
    ]
    return {
      status: 200,
      schema: name,
      body: { json: { success: true, data, additional_data: { next_cursor: null } } },
    }
  }

  #oldFields(object: string, schema: string): SimAnswer {
    const data = (object === 'notes' ? [] : (this.#fields[object] ?? [])).map((field, at) => ({
      id: 12_460 + at,
      key: field.code,
      name: field.name,
      order_nr: at,
      // v1 knows no whole numbers.
      field_type: field.type === 'int' ? 'double' : field.type,
      active_flag: true,
      edit_flag: true,
      bulk_edit_allowed: true,
      mandatory_flag: false,
      ...(field.options === undefined ? {} : { options: [...field.options] }),
    }))
    const native = {
      id: 12_459,
      key: object === 'notes' ? 'content' : 'title',
      name: object === 'notes' ? 'Content' : 'Title',
      order_nr: 0,
      field_type: 'text',
      active_flag: true,
      edit_flag: false,
      bulk_edit_allowed: false,
      mandatory_flag: true,
    }
    return {
      status: 200,
      schema,
      body: {
        json: {
          success: true,
          data: [native, ...data],
          additional_data: { pagination: { start: 0, limit: 500, more_items_in_collection: false } },
        },
      },
    }
  }
}

const PIPELINES: readonly Row[] = [
  {
    id: 1,
    name: 'Sales',
    order_nr: 1,
    is_deleted: false,
    is_deal_probability_enabled: false,
    add_time: '2025-01-01T00:00:00Z',
    update_time: '2025-01-01T00:00:00Z',
  },
]

const STAGES: readonly Row[] = ['Qualified', 'Viewing', 'Offer'].map((name, at) => ({
  id: 1 + at,
  order_nr: 1 + at,
  name,
  is_deleted: false,
  deal_probability: 100,
  pipeline_id: 1,
  is_deal_rot_enabled: false,
  days_to_rotten: null,
  add_time: '2025-01-01T00:00:00Z',
  update_time: null,
}))

const ACTIVITY_TYPES: readonly Row[] = [
  ['call', 'Call', 'call'],
  ['meeting', 'Meeting', 'meeting'],
  ['task', 'Task', 'task'],
  ['deadline', 'Deadline', 'deadline'],
  ['email', 'Email', 'email'],
  ['lunch', 'Lunch', 'lunch'],
  ['open_house', 'Open house', 'calendar'],
].map(([key = '', name = '', icon = ''], at) => ({
  id: 1 + at,
  name,
  icon_key: icon,
  color: null,
  order_nr: 1 + at,
  key_string: key,
  active_flag: true,
  is_custom_flag: key === 'open_house',
  add_time: '2025-01-01T00:00:00.000Z',
  update_time: null,
}))

const NATIVE_TYPES: Readonly<Record<string, string>> = {
  id: 'int',
  owner_id: 'user',
  org_id: 'org',
  person_id: 'people',
  deal_id: 'deal',
  lead_id: 'lead',
  value: 'monetary',
  status: 'status',
  stage_id: 'stage',
  add_time: 'date',
  update_time: 'date',
  birthday: 'date',
  due_date: 'date',
  due_time: 'time',
  expected_close_date: 'date',
  done: 'boolean',
  label_ids: 'set',
  visible_to: 'visible_to',
  postal_address: 'address',
  address: 'address',
}

function describe(
  code: string,
  label: string,
  type: string,
  isCustom: boolean,
  choices?: readonly { readonly id: number; readonly label: string }[],
): Row {
  return {
    field_name: label,
    field_code: code,
    field_type: type,
    options: choices === undefined ? null : choices.map((choice) => ({ ...choice, color: null })),
    subfields:
      type === 'monetary' && isCustom
        ? [{ field_code: 'currency', field_name: 'Currency', field_type: 'varchar' }]
        : null,
    is_custom_field: isCustom,
    is_optional_response_field: false,
  }
}

interface Cursor {
  readonly after: readonly [at: number, index: number]
  readonly page: number
}

function v1Row(table: Table, index: number, lie: LieName | null): Row {
  const place = table.place(index)
  return lie === 'STALE_ROW' && place !== null && place.version > 0
    ? table.make({ ...place, version: 0 })
    : table.row(index)
}

/** Null: from the start. A cursor of another order, or none of ours, is refused. */
function cursorOf(query: URLSearchParams): Cursor | null {
  const text = query.get('cursor')
  if (text === null || text === '') {
    return null
  }
  try {
    const read = JSON.parse(Buffer.from(text.replace(/^\./, ''), 'base64url').toString()) as {
      a: [number, number]
      p: number
    }
    if (read.a.length !== 2 || !read.a.every(Number.isFinite)) {
      throw new Error('no cursor')
    }
    return { after: read.a, page: read.p }
  } catch {
    throw new Refused(400, 'Invalid cursor')
  }
}

/** On the last page `next_cursor` is null, or `additional_data` is missing altogether. */
function listJson(rows: readonly Row[], next: string | null, bare: boolean): Json {
  return { success: true, data: [...rows], ...(bare ? {} : { additional_data: { next_cursor: next } }) }
}

function limitOf(query: URLSearchParams, usual: number): number {
  const limit = Number(query.get('limit') ?? usual)
  if (!Number.isInteger(limit) || limit < 1 || limit > 500) {
    throw new Refused(400, 'Validation failed: limit: must be between 1 and 500')
  }
  return limit
}

/** Exactly `YYYY-MM-DDTHH:MM:SSZ`; null: not asked for. */
function momentOf(query: URLSearchParams, name: string): number | null {
  const text = query.get(name)
  if (text === null) {
    return null
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) || Number.isNaN(Date.parse(text))) {
    throw new Refused(400, `Validation failed: ${name}: must be a date in RFC 3339 format`)
  }
  return Date.parse(text)
}

/** The place of an id; null: there never was one. */
function indexOf(table: Table, id: string): number | null {
  const number = table.options.object === 'leads' ? Number.parseInt(id.slice(0, 8), 16) - 0x10000000 : Number(id) - 1
  return table.place(number) !== null && table.idOf(number) === id ? number : null
}
