/** HubSpot's API as its documents tell of it: lists, batches, search with its limits, associations, properties, owners. */

import type { Service, Surroundings } from '../common/harness.js'
import type { OAuthWays } from '../common/oauth.js'
import { Description, descriptionFile, violationsOf } from '../common/schema.js'
import type { Json, LieName, Row, SimAnswer, SimRequest, SimulatorOptions } from '../common/types.js'
import { HUB_ID, KINDS, type Kind, kindOf, type Property } from './objects.js'
import { type Association, Records, type Thing } from './records.js'
import { SCHEMAS } from './schemas.js'

/** What can be chosen of an account. */
export interface HubspotOptions extends SimulatorOptions {
  /** Whether listings were activated; true if absent. */
  readonly listings?: boolean
  /** Scopes that the person gave; all if absent. */
  readonly scopes?: readonly string[]
  /** Milliseconds until the search has heard of a change; 5,000 if absent. */
  readonly lagMs?: number
  /** Records that share one time of change at the start; 7 if absent. */
  readonly plateau?: number
  readonly owners?: number
  /** Associations of one record in one answer; 500 if absent. */
  readonly associationPage?: number
  /** Requests in any 10 seconds; 110 if absent, as for public apps. */
  readonly perTenSeconds?: number
  /** Requests on a day; 250,000 if absent. */
  readonly perDay?: number
  /** Whether a 429 says after how many seconds to come back; false if absent. */
  readonly retryAfter?: boolean
}

/** Rows that one search can reach. */
export const SEARCH_CAP = 10_000
const LIST_LIMIT = 100
const SEARCH_LIMIT = 200
const BATCH_LIMIT = 100
const ASSOCIATION_INPUTS = 1000
const URI_LENGTH = 15_000
const SEARCHES_PER_SECOND = 5

const SMALL: Readonly<Record<string, number>> = {
  companies: 30,
  contacts: 120,
  '0-420': 40,
  leads: 50,
  deals: 40,
  calls: 60,
  emails: 60,
  meetings: 60,
  notes: 60,
  tasks: 60,
  showings: 20,
}

const TELLABLE: readonly LieName[] = [
  'DROPPED_PAGE',
  'REPEATED_PAGE',
  'PAGE_WITHOUT_ROWS',
  'LOOPING_CURSOR',
  'SILENT_CAP',
  'EARLY_END',
  'WRONG_COUNT',
  'DROPPED_ROW',
  'DUPLICATED_ROW',
  'TRUNCATED_TEXT',
  'CHANGED_VALUE',
  'LOST_FIELD',
  'SHIFTED_ZONE',
  'SHIFTED_DATE',
  'SWAPPED_ROWS',
  'LOST_RELATION',
  'WRONG_RELATION',
  'WRONG_OWNER',
  'STALE_ROW',
  'UNTOLD_CHANGE',
  'UNTOLD_DELETION',
  'FOREIGN_ROW',
]

type Path = readonly [pattern: RegExp, method: 'GET' | 'POST', to: (request: SimRequest, parts: string[]) => SimAnswer]

interface Filter {
  readonly propertyName: string
  readonly operator: string
  readonly value?: string
  readonly values?: readonly string[]
  readonly highValue?: string
}

interface SearchBody {
  readonly query?: string
  readonly limit?: number
  readonly after?: string
  readonly sorts?: readonly (string | { readonly propertyName: string; readonly direction?: string })[]
  readonly properties?: readonly string[]
  readonly filterGroups?: readonly { readonly filters?: readonly Filter[] }[]
}

/** The service of one account. */
export class HubspotService implements Service {
  readonly lies = TELLABLE
  readonly oauth: OAuthWays
  readonly records: Records
  readonly tables
  readonly #around: Surroundings
  readonly #options: HubspotOptions
  readonly #description: Description | null
  /** Custom properties that came since the start, and names of those that went, by kind. */
  readonly #came = new Map<string, Property[]>()
  readonly #went = new Map<string, Set<string>>()
  #times: number[] = []
  #searches: number[] = []
  #day = ''
  #dayUsed = 0
  #correlation = 0
  #listings: boolean

  constructor(around: Surroundings, options: HubspotOptions) {
    this.#around = around
    this.#options = options
    this.#listings = options.listings ?? true
    const text = descriptionFile('hubspot-subset.openapi.json')
    this.#description = text === null ? null : new Description(text)
    this.records = new Records({
      seed: options.seed ?? 1,
      counts: { ...SMALL, ...options.counts },
      nasty: options.nasty ?? true,
      owners: options.owners ?? 5,
      until: around.start,
      now: around.now,
      lagMs: options.lagMs ?? 5000,
      plateau: options.plateau,
    })
    this.tables = this.records.tables
    this.oauth = {
      authorizePath: '/oauth/authorize',
      tokenPath: '/oauth/2026-03/token',
      revokePath: '/oauth/2026-03/token/revoke',
      client: 'form',
      rotate: true,
      tokenSeconds: 1800,
      tokenLength: 512,
      answer: ({ accessToken, refreshToken, expiresIn }) => ({
        token_type: 'bearer',
        access_token: accessToken,
        ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
        expires_in: expiresIn,
        hub_id: HUB_ID,
        scopes: this.#scopes,
      }),
      denied: () => ({
        status: 400,
        body: {
          json: {
            status: 'BAD_REFRESH_TOKEN',
            message: 'missing or invalid refresh token',
            error: 'invalid_grant',
            error_description: 'missing or invalid refresh token',
          },
        },
      }),
    }
  }

  answer(request: SimRequest): SimAnswer {
    if (request.path.length + request.query.toString().length > URI_LENGTH) {
      return { status: 414, body: { text: '<html><h1>414 Request-URI Too Large</h1></html>', type: 'text/html' } }
    }
    const path = undated(request.path)
    for (const [pattern, method, to] of this.#paths) {
      const parts = pattern.exec(path)
      if (parts !== null && method === request.method) {
        return to(request, parts.slice(1).map(decodeURIComponent))
      }
    }
    return this.#error(404, 'OBJECT_NOT_FOUND', 'resource not found', 'objects_Basic_getPage')
  }

  unauthorized(): SimAnswer {
    return this.#error(
      401,
      'EXPIRED_AUTHENTICATION',
      'The OAuth token used to make this call expired 3 second(s) ago.',
      'objects_Basic_getPage',
    )
  }

  failure(status: number): SimAnswer {
    return this.#error(status, null, status === 503 ? 'Service Unavailable' : 'internal error', 'objects_Basic_getPage')
  }

  limited(kind: 'BURST' | 'DAILY'): SimAnswer {
    return this.#limit(kind === 'DAILY' ? 'DAILY' : 'TEN_SECONDLY_ROLLING')
  }

  /**
   * LOCKED (423), MIGRATION (477 with Retry-After), SECONDLY (429 of the search), LIMIT_WITH_TIME (429 with Retry-After),
   * CLOUDFLARE (522), MISSING_SCOPES (403), INVALID_TOKEN (401 of the other kind), LISTINGS_OFF (from now on), FORGOTTEN
   * (records go for good, as people may ask), MERGED (two records become one), MASS_UPDATE (all records change at once).
   */
  own(name: string, request: SimRequest): SimAnswer | null {
    const object = this.objectOf(request) ?? 'contacts'
    const table = this.records.table(object)
    switch (name) {
      case 'LOCKED':
        return this.#error(423, null, 'The resource is locked.', 'objects_Basic_getPage')
      case 'MIGRATION':
        return {
          ...this.#error(477, null, 'This account is being migrated between data centers.', 'objects_Basic_getPage'),
          headers: { 'Retry-After': '3' },
        }
      case 'SECONDLY':
        return this.#limit('SECONDLY')
      case 'LIMIT_WITH_TIME':
        return { ...this.#limit('TEN_SECONDLY_ROLLING'), headers: { 'Retry-After': '1' } }
      case 'CLOUDFLARE':
        return { status: 522, body: { text: '<html><h1>Connection timed out</h1></html>', type: 'text/html' } }
      case 'MISSING_SCOPES':
        return this.#missingScope(kindOf(object)?.scope ?? 'oauth')
      case 'INVALID_TOKEN':
        return this.#error(
          401,
          'INVALID_AUTHENTICATION',
          'Authentication credentials not found.',
          'objects_Basic_getPage',
        )
      case 'LISTINGS_OFF':
        this.#listings = false
        return null
      case 'FORGOTTEN':
        for (const index of table.some(3, this.#around.now() % 1_000_003)) {
          table.forget(index)
        }
        return null
      case 'MERGED': {
        const [loser, winner] = table.some(2, this.#around.now() % 1_000_003)
        if (loser !== undefined && winner !== undefined) {
          table.delete(loser, winner)
        }
        return null
      }
      case 'MASS_UPDATE':
        for (const index of table.byId()) {
          table.edit(index)
        }
        return null
      default:
        throw new Error(`HubSpot has no fault ${name}`)
    }
  }

  changeFields(change: 'NEW_FIELD' | 'REMOVED_FIELD', request: SimRequest): void {
    const kind = kindOf(this.objectOf(request) ?? 'contacts')
    if (kind === null) {
      return
    }
    if (change === 'NEW_FIELD') {
      const came = this.#came.get(kind.name) ?? []
      const name = `new_property_${came.length + 1}`
      this.#came.set(kind.name, [
        ...came,
        {
          name,
          label: `New property ${came.length + 1}`,
          type: 'string',
          fieldType: 'text',
          options: [],
          custom: true,
          calculated: false,
          unique: false,
        },
      ])
      return
    }
    const first = this.#properties(kind).find(({ custom }) => custom)
    if (first !== undefined) {
      this.#went.set(kind.name, (this.#went.get(kind.name) ?? new Set()).add(first.name))
    }
  }

  objectOf({ path }: SimRequest): string | null {
    const [, name] = /^\/crm\/v3\/objects\/([^/]+)/.exec(undated(path)) ?? []
    return name === undefined ? null : (kindOf(decodeURIComponent(name))?.name ?? null)
  }

  mapRows(answer: SimAnswer, change: (row: Row, at: number) => Row): SimAnswer | null {
    const json = 'json' in answer.body ? (answer.body.json as { readonly results?: readonly Row[] } | null) : null
    if (json === null || !Array.isArray(json.results) || json.results.some((row) => row.properties === undefined)) {
      return null
    }
    const results = json.results.map((row, at) => {
      const before = row.properties as { readonly [name: string]: string | null }
      const numbers = Object.fromEntries(
        Object.entries(before)
          .filter(([name]) => !PROTECTED.has(name))
          .map(([name, value]) => [name, NUMBERS.has(name) && value !== null ? Number(value) : value]),
      )
      const after = Object.entries(change(numbers, at)).map(([name, value]) => [
        name,
        value === null || typeof value === 'string' || value === undefined ? (value ?? null) : asText(value),
      ])
      return { ...row, properties: { ...before, ...(Object.fromEntries(after) as Row) } }
    })
    return { ...answer, body: { json: { ...json, results } } }
  }

  headers({ path }: SimRequest, _status: number): Readonly<Record<string, string>> {
    if (path.endsWith('/search')) {
      return {}
    }
    const most = this.#options.perTenSeconds ?? 110
    return {
      'X-HubSpot-RateLimit-Interval-Milliseconds': '10000',
      'X-HubSpot-RateLimit-Max': String(most),
      'X-HubSpot-RateLimit-Remaining': String(Math.max(0, most - this.#times.length)),
    }
  }

  admit({ path }: SimRequest): SimAnswer | null {
    const now = this.#around.now()
    const today = new Date(now).toISOString().slice(0, 10)
    this.#dayUsed = today === this.#day ? this.#dayUsed + 1 : 1
    this.#day = today
    if (this.#dayUsed > (this.#options.perDay ?? 250_000)) {
      return this.#limit('DAILY')
    }
    if (path.endsWith('/search')) {
      this.#searches = this.#searches.filter((at) => at > now - 1000)
      if (this.#searches.length >= SEARCHES_PER_SECOND) {
        return this.#limit('SECONDLY')
      }
      this.#searches.push(now)
    }
    this.#times = this.#times.filter((at) => at > now - 10_000)
    if (this.#times.length >= (this.#options.perTenSeconds ?? 110)) {
      return this.#limit('TEN_SECONDLY_ROLLING')
    }
    this.#times.push(now)
    return null
  }

  violationsOf(schema: string, status: number, value: Json): readonly string[] {
    const [operation, own] = schema.split('|')
    const ours = status >= 400 ? SCHEMAS.error : SCHEMAS[own ?? '']
    return [
      ...(ours === undefined ? [`no schema ${schema}`] : violationsOf(ours, value)),
      ...(this.#description?.violationsOf(operation ?? '', status, value) ?? []),
    ]
  }

  /** As a list has it, with all properties, and with ids of all that belongs to it. */
  truth(object: string, index: number): Row {
    const kind = kindOf(object)
    const thing = kind === null ? null : this.records.at(kind, index)
    if (kind === null || thing === null) {
      throw new Error(`HubSpot has no ${object} ${index}`)
    }
    const associations = Object.fromEntries(
      KINDS.map((to) => [to.name, this.records.associated(kind, index, to).map(({ id }) => id)] as const).filter(
        ([, ids]) => ids.length > 0,
      ),
    )
    return { ...this.#row(thing, this.#names(kind)), associations }
  }

  get #scopes(): readonly string[] {
    return (
      this.#options.scopes ?? [
        'oauth',
        ...new Set(KINDS.map(({ scope }) => scope)),
        'crm.objects.owners.read',
        'crm.schemas.contacts.read',
      ]
    )
  }

  readonly #paths: readonly Path[] = [
    [
      /^\/crm\/v3\/objects\/([^/]+)$/,
      'GET',
      (request, [name = '']) => this.#with(name, request, (kind) => this.#list(kind, request)),
    ],
    [
      /^\/crm\/v3\/objects\/([^/]+)\/batch\/read$/,
      'POST',
      (request, [name = '']) => this.#with(name, request, (kind) => this.#batch(kind, request)),
    ],
    [
      /^\/crm\/v3\/objects\/([^/]+)\/search$/,
      'POST',
      (request, [name = '']) => this.#with(name, request, (kind) => this.#search(kind, request)),
    ],
    [
      /^\/crm\/v3\/objects\/([^/]+)\/([^/]+)$/,
      'GET',
      (request, [name = '', id = '']) => this.#with(name, request, (kind) => this.#get(kind, id, request)),
    ],
    [
      /^\/crm\/v4\/associations\/([^/]+)\/([^/]+)\/batch\/read$/,
      'POST',
      (request, [from = '', to = '']) =>
        this.#with(from, request, (kind) =>
          this.#with(to, request, (other) => this.#associations(kind, other, request)),
        ),
    ],
    [
      /^\/crm\/v4\/objects\/([^/]+)\/([^/]+)\/associations\/([^/]+)$/,
      'GET',
      (request, [from = '', id = '', to = '']) =>
        this.#with(from, request, (kind) =>
          this.#with(to, request, (other) => this.#associationsOf(kind, id, other, request)),
        ),
    ],
    [
      /^\/crm\/v3\/properties\/([^/]+)$/,
      'GET',
      (request, [name = '']) => this.#with(name, request, (kind) => this.#propertiesOf(kind, request)),
    ],
    [
      /^\/crm\/v3\/properties\/([^/]+)\/([^/]+)$/,
      'GET',
      (request, [name = '', property = '']) => this.#with(name, request, (kind) => this.#propertyOf(kind, property)),
    ],
    [/^\/crm\/v3\/owners\/?$/, 'GET', (request) => this.#owners(request)],
    [/^\/crm\/v3\/owners\/([^/]+)$/, 'GET', (_request, [id = '']) => this.#ownerById(id)],
    [
      /^\/crm\/v3\/pipelines\/([^/]+)$/,
      'GET',
      (request, [name = '']) => this.#with(name, request, (kind) => this.#pipelines(kind)),
    ],
    [
      /^\/crm-object-schemas\/v3\/schemas$/,
      'GET',
      () =>
        ok(
          { results: KINDS.filter(({ typeId }) => typeId.startsWith('2-')).map((kind) => this.#schema(kind)) },
          'schemas_Core_getAll|schemas',
        ),
    ],
    [
      /^\/crm-object-schemas\/v3\/schemas\/([^/]+)$/,
      'GET',
      (request, [name = '']) =>
        this.#with(name, request, (kind) => ok(this.#schema(kind), 'schemas_Core_getById|schema')),
    ],
    [
      /^\/account-info\/v3\/details$/,
      'GET',
      () =>
        ok(
          {
            portalId: HUB_ID,
            accountType: 'STANDARD',
            timeZone: 'US/Central',
            companyCurrency: 'USD',
            additionalCurrencies: [],
            utcOffset: '-06:00',
            utcOffsetMilliseconds: -21_600_000,
            uiDomain: 'app.hubspot.com',
            dataHostingLocation: 'na1',
          },
          'none|account',
        ),
    ],
    [
      /^\/oauth\/2026-03\/token\/introspect$/,
      'POST',
      () =>
        ok(
          { token_use: 'access_token', active: true, hub_id: HUB_ID, scopes: this.#scopes },
          'oauth_2026_03_introspect|any',
        ),
    ],
  ]

  #with(name: string, request: SimRequest, to: (kind: Kind) => SimAnswer): SimAnswer {
    const kind = kindOf(name)
    if (kind === null) {
      return this.#error(400, 'VALIDATION_ERROR', `Unable to infer object type from: ${name}`, 'objects_Basic_getPage')
    }
    if (kind.typeId === '0-420' && !this.#listings) {
      return this.#missingScope(kind.scope)
    }
    return request.path.includes('/properties/') || this.#scopes.includes(kind.scope)
      ? to(kind)
      : this.#missingScope(kind.scope)
  }

  #list(kind: Kind, { query }: SimRequest): SimAnswer {
    const operation = operationOf(kind, 'Basic_getPage')
    const limit = Number(query.get('limit') ?? 10)
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT) {
      return this.#error(400, 'VALIDATION_ERROR', `limit must be between 1 and ${LIST_LIMIT}`, operation)
    }
    const archived = query.get('archived') === 'true'
    const lie = archived ? null : this.#around.lie()
    const [token = '', mark = ''] = (query.get('after') ?? '').split('~')
    const after = token === '' ? -1 : this.records.placeOf(kind, token)
    if (after === null) {
      return this.#error(400, 'VALIDATION_ERROR', 'Cannot deserialize paging cursor', operation)
    }
    const table = this.records.table(kind.name)
    const end = lie === 'SILENT_CAP' ? Math.ceil(table.size * 0.6) : table.size
    const places = (from: number): { readonly found: readonly number[]; readonly more: boolean } => {
      const found: number[] = []
      for (const index of table.byId(from + 1, archived)) {
        const wanted = archived ? table.isGone(index) && !table.isForgotten(index) : true
        if (index >= end || (wanted && found.length === limit)) {
          return { found, more: index < end }
        }
        if (wanted && !(archived && this.#around.lie() === 'UNTOLD_DELETION')) {
          found.push(index)
        }
      }
      return { found, more: false }
    }
    const page = places(after)
    const last = page.found.at(-1) ?? after
    const idOf = (index: number) => table.idOf(index)
    let results = this.#rows(kind, page.found, query)
    let next = page.more ? idOf(last) : null
    if (next !== null) {
      switch (lie) {
        case 'DROPPED_PAGE':
          next = token === '' ? idOf(places(last).found.at(-1) ?? last) : next
          break
        case 'REPEATED_PAGE':
          next = token === '' ? `${next}~again` : mark === 'again' ? token : next
          break
        case 'LOOPING_CURSOR':
          next = token === '' ? `${next}~loop` : mark === 'loop' ? `${token}~loop` : next
          break
        case 'PAGE_WITHOUT_ROWS':
          // The page is lost: its rows come neither here nor later.
          results = token !== '' && mark === 'empty' ? [] : results
          next = token === '' ? `${next}~empty` : next
          break
        case 'EARLY_END':
          next = places(last).more ? next : null
          break
        default:
      }
    }
    const paging = {
      next: { after: next, link: `${this.#around.url()}/crm/v3/objects/${kind.name}?after=${next}` },
    }
    const told = (rows: readonly Row[]) => ({ results: rows, ...(next === null ? {} : { paging }) })
    return {
      ...ok(told(results), `${operation}|page`, results.length),
      ...(results.length === page.found.length ? { bent: told(this.#bend(kind, page.found, results)) } : {}),
    }
  }

  /** Rows of a list. */
  #rows(kind: Kind, places: readonly number[], query: URLSearchParams): readonly Row[] {
    const names = this.#asked(kind, query.getAll('properties'))
    const targets = query
      .getAll('associations')
      .flatMap((part) => part.split(','))
      .map(kindOf)
    const rows = places.map((index) => {
      const thing = this.records.thing(kind, this.records.table(kind.name).place(index) ?? fail(index))
      const associations = Object.fromEntries(
        targets.flatMap((to) => {
          const found = to === null ? [] : this.records.associated(kind, index, to)
          return to === null || found.length === 0 ? [] : [[to.name, this.#inline(kind, to, index, found)] as const]
        }),
      )
      return { ...this.#row(thing, names), ...(Object.keys(associations).length > 0 ? { associations } : {}) }
    })
    return rows
  }

  #inline(kind: Kind, to: Kind, index: number, found: readonly Association[]): Row {
    const bent = this.#bendAssociations(index, to, found)
    const results = bent.flatMap(({ id, types }) =>
      types.map(({ typeId, label }) => ({
        id,
        type: `${kind.singular}_to_${to.singular}${label === null ? '' : `_${label.toLowerCase()}`}`,
        typeId,
      })),
    )
    const size = this.#options.associationPage ?? 500
    return {
      results: results.slice(0, size).map(({ id, type }) => ({ id, type })),
      ...(results.length > size ? { paging: { next: { after: String(size), link: 'https://api.hubapi.com/' } } } : {}),
    }
  }

  #batch(kind: Kind, { query, body }: SimRequest): SimAnswer {
    const operation = operationOf(kind, 'Batch_read')
    const {
      inputs = [],
      properties = [],
      idProperty,
    } = parsed<{
      inputs?: readonly { readonly id: string }[]
      properties?: readonly string[]
      idProperty?: string
    }>(body)
    if (inputs.length === 0 || inputs.length > BATCH_LIMIT || (idProperty ?? 'hs_object_id') !== 'hs_object_id') {
      return this.#error(400, 'VALIDATION_ERROR', `1 to ${BATCH_LIMIT} inputs with record ids`, operation)
    }
    const archived = query.get('archived') === 'true'
    const names = this.#asked(kind, properties)
    const results: Row[] = []
    const missing: string[] = []
    for (const { id } of inputs) {
      const thing = this.#find(kind, String(id), archived)
      if (thing === null) {
        missing.push(String(id))
      } else if (!results.some((row) => row.id === thing.id)) {
        results.push(this.#row(thing, names))
      }
    }
    const at = new Date(this.#around.now()).toISOString()
    const whole = { status: 'COMPLETE', results, startedAt: at, completedAt: at }
    if (missing.length === 0) {
      return ok(whole, `${operation}|batch`, results.length)
    }
    const problem = {
      status: 'error',
      category: 'OBJECT_NOT_FOUND',
      message: `Could not get some ${kind.singular.toUpperCase()} objects, they may be deleted or not exist. Check that ids are valid.`,
      context: { ids: missing },
    }
    return { ...ok({ ...whole, numErrors: 1, errors: [problem] }, `${operation}|batch`, results.length), status: 207 }
  }

  #get(kind: Kind, id: string, { query }: SimRequest): SimAnswer {
    const operation = operationOf(kind, 'Basic_getById')
    const thing = this.#find(kind, id, query.get('archived') === 'true')
    return thing === null
      ? this.#error(404, 'OBJECT_NOT_FOUND', `Object not found. objectId are usually numeric.`, operation)
      : ok(this.#row(thing, this.#asked(kind, query.getAll('properties'))), `${operation}|object`, 1)
  }

  /** The record with this id; of a merged one the winner. */
  #find(kind: Kind, id: string, archived: boolean): Thing | null {
    const index = this.records.placeOf(kind, id)
    const thing = index === null ? null : this.records.at(kind, index)
    const winner = thing?.place.mergedInto ?? null
    if (winner !== null && !archived) {
      return this.#find(kind, this.records.table(kind.name).idOf(winner), false)
    }
    return thing !== null && (thing.place.deletedAt !== null) === archived ? thing : null
  }

  #search(kind: Kind, { body }: SimRequest): SimAnswer {
    const operation = operationOf(kind, 'Search_doSearch')
    const wrong = (message: string) => this.#error(400, 'VALIDATION_ERROR', message, operation)
    const asked = parsed<SearchBody>(body)
    const groups = (asked.filterGroups ?? []).map(({ filters = [] }) => filters)
    const limit = asked.limit ?? 10
    const after = asked.after === undefined || asked.after === '' ? 0 : Number(asked.after)
    const sorts = (asked.sorts ?? []).map((sort) =>
      typeof sort === 'string'
        ? { propertyName: sort.replace(/^-/, ''), direction: sort.startsWith('-') ? 'DESCENDING' : 'ASCENDING' }
        : sort,
    )
    if (!Number.isInteger(limit) || limit < 0 || limit > SEARCH_LIMIT) {
      return wrong(`limit must be at most ${SEARCH_LIMIT}`)
    }
    if (!Number.isInteger(after) || after < 0) {
      return wrong('after is no cursor of this search')
    }
    if (after + limit > SEARCH_CAP) {
      return wrong(`Paging beyond ${SEARCH_CAP} results is not possible`)
    }
    if (sorts.length > 1) {
      return wrong('Only one sort can be given')
    }
    if (groups.length > 5 || groups.some((filters) => filters.length > 6) || groups.flat().length > 18) {
      return wrong('Too many filter groups or filters')
    }
    const known = new Set(this.#names(kind))
    const unknown = [...groups.flat(), ...sorts].find(({ propertyName }) => !known.has(propertyName))
    if (unknown !== undefined) {
      return wrong(`There was a problem with the request: property ${unknown.propertyName} does not exist`)
    }
    const unfit = groups.flat().find((filter) => !fits(filter))
    if (unfit !== undefined) {
      return wrong(`Invalid filter of ${unfit.propertyName}: ${unfit.operator}`)
    }
    let matched = this.#matching(kind, groups)
    const sort = sorts[0]
    if (sort !== undefined && sort.propertyName !== 'hs_object_id') {
      const keys = new Map(matched.map((index) => [index, this.#value(kind, index, sort.propertyName)]))
      matched.sort((one, other) => compare(keys.get(one) ?? null, keys.get(other) ?? null) || one - other)
    }
    if (sort?.direction === 'DESCENDING') {
      matched.reverse()
    }
    const lie = this.#around.lie()
    if (lie === 'UNTOLD_CHANGE') {
      matched = matched.filter((_, at) => at % 5 !== 2)
    }
    const total = lie === 'WRONG_COUNT' ? Math.floor(matched.length * 0.9) + 1 : matched.length
    const places = matched.slice(after, after + limit)
    const rows = places.map((index) => {
      const place = this.records.table(kind.name).searchable(index)
      return this.#row(this.records.thing(kind, place ?? fail(index)), this.#asked(kind, asked.properties ?? []))
    })
    const next = after + limit
    const more = next < matched.length && limit > 0
    const told = (results: readonly Row[]) => ({
      total,
      results,
      ...(more ? { paging: { next: { after: String(next) } } } : {}),
    })
    return {
      ...ok(told(rows), `${operation}|found`, rows.length),
      bent: told(this.#bend(kind, places, rows)),
    }
  }

  /** Places that one of the groups fits, by id. No filters: all. */
  #matching(kind: Kind, groups: readonly (readonly Filter[])[]): number[] {
    const table = this.records.table(kind.name)
    const found: number[] = []
    for (const index of table.byId()) {
      if (table.searchable(index) === null) {
        continue
      }
      if (
        groups.length === 0 ||
        groups.some((filters) =>
          filters.every((filter) => matches(filter, this.#value(kind, index, filter.propertyName))),
        )
      ) {
        found.push(index)
      }
    }
    return found
  }

  /** As the search knows it. */
  #value(kind: Kind, index: number, name: string): string | number | null {
    const table = this.records.table(kind.name)
    const place = table.searchable(index)
    if (place === null) {
      return null
    }
    switch (name) {
      case 'hs_object_id':
        return Number(table.idOf(index))
      case kind.modified:
        return place.updatedAt
      case kind.created:
        return place.createdAt
      default: {
        const type = this.#properties(kind).find((property) => property.name === name)?.type
        const value = this.records.thing(kind, place).properties[name] ?? null
        if (value === null || value === '') {
          return null
        }
        const time = type === 'date' || type === 'datetime'
        return time ? Date.parse(value) : type === 'number' ? Number(value) : value
      }
    }
  }

  #associations(from: Kind, to: Kind, { body }: SimRequest): SimAnswer {
    const operation = 'associations_Batch_getPage'
    const { inputs = [] } = parsed<{ inputs?: readonly { readonly id: string; readonly after?: string }[] }>(body)
    if (inputs.length === 0 || inputs.length > ASSOCIATION_INPUTS) {
      return this.#error(400, 'VALIDATION_ERROR', `1 to ${ASSOCIATION_INPUTS} inputs`, operation)
    }
    const results: Row[] = []
    const errors: Row[] = []
    for (const { id, after } of inputs) {
      const index = this.records.placeOf(from, String(id))
      const found = index === null ? [] : this.#bendAssociations(index, to, this.records.associated(from, index, to))
      if (found.length === 0) {
        // Some rows without associations are told of, some are only missing, as old accounts do.
        if (index === null || index % 4 === 1) {
          errors.push({
            status: 'error',
            category: 'OBJECT_NOT_FOUND',
            subCategory: 'crm.associations.NO_ASSOCIATIONS_FOUND',
            message: `No ${to.singular} is associated with ${from.singular} ${id}.`,
            context: { fromObjectId: [String(id)], fromObjectType: [from.singular], toObjectType: [to.singular] },
          })
        }
        continue
      }
      results.push({ from: { id: String(id) }, ...this.#associationPage(found, after) })
    }
    const at = new Date(this.#around.now()).toISOString()
    const whole = { status: 'COMPLETE', results, startedAt: at, completedAt: at }
    return errors.length === 0
      ? ok(whole, `${operation}|associations`, results.length)
      : {
          ...ok({ ...whole, numErrors: errors.length, errors }, `${operation}|associations`, results.length),
          status: 207,
        }
  }

  #associationsOf(from: Kind, id: string, to: Kind, { query }: SimRequest): SimAnswer {
    const operation = 'associations_Basic_getPage'
    const index = this.records.placeOf(from, id)
    if (index === null || this.records.table(from.name).isGone(index)) {
      return this.#error(404, 'OBJECT_NOT_FOUND', 'Object not found.', operation)
    }
    const { to: results, ...paging } = this.#associationPage(
      this.records.associated(from, index, to),
      query.get('after') ?? undefined,
    )
    return ok({ results, ...paging }, `${operation}|any`)
  }

  #associationPage(found: readonly Association[], after: string | undefined): { to: Json; paging?: Json } {
    const size = this.#options.associationPage ?? 500
    const start = Number(after ?? 0)
    const next = start + size
    return {
      // Ids are numbers here, and texts everywhere else.
      to: found.slice(start, next).map(({ id, types }) => ({
        toObjectId: Number(id),
        associationTypes: types.map(({ typeId, label }) => ({
          category: 'HUBSPOT_DEFINED',
          typeId,
          ...(label === null ? {} : { label }),
        })),
      })),
      ...(next < found.length ? { paging: { next: { after: String(next), link: 'https://api.hubapi.com/' } } } : {}),
    }
  }

  #bendAssociations(index: number, to: Kind, found: readonly Association[]): readonly Association[] {
    const lie = this.#around.lie()
    if (index % 10 !== 3 || found.length === 0) {
      return found
    }
    if (lie === 'LOST_RELATION') {
      return found.slice(1)
    }
    if (lie === 'WRONG_RELATION') {
      const table = this.records.table(to.name)
      return found.map((association, at) => {
        const place = this.records.placeOf(to, association.id) ?? 0
        return at > 0 ? association : { ...association, id: table.idOf((place + 1) % table.size) }
      })
    }
    return found
  }

  /** What the lie makes of rows that are otherwise as they should be. */
  #bend(kind: Kind, places: readonly number[], rows: readonly Row[]): readonly Row[] {
    const lie = this.#around.lie()
    const chosen = (at: number) => (places[at] ?? 0) % 10 === 3
    const types = new Map(this.#properties(kind).map(({ name, type }) => [name, type]))
    const each = (change: (name: string, value: string, at: number) => string | null, all = false) =>
      rows.map((row, at) =>
        chosen(at) || all
          ? {
              ...row,
              properties: Object.fromEntries(
                Object.entries(row.properties as { readonly [name: string]: string | null }).map(([name, value]) => [
                  name,
                  value === null || PROTECTED.has(name) ? value : change(name, value, at),
                ]),
              ),
            }
          : row,
      )
    switch (lie) {
      case 'DROPPED_ROW':
        return rows.filter((_, at) => !chosen(at))
      case 'DUPLICATED_ROW':
        return rows.flatMap((row, at) => (chosen(at) ? [row, row] : [row]))
      case 'TRUNCATED_TEXT':
        return each((name, value) => (types.get(name) === 'string' && value.length > 4 ? value.slice(0, -3) : value))
      case 'CHANGED_VALUE':
        return each((name, value) =>
          types.get(name) === 'number' ? String(Number(value) + 1) : types.get(name) === 'string' ? `${value}x` : value,
        )
      case 'LOST_FIELD': {
        const lost = kind.properties.find(({ type, custom }) => type === 'string' && !custom)?.name
        return each((name, value) => (name === lost ? null : value), true)
      }
      case 'SHIFTED_ZONE':
        return each((name, value) => (types.get(name) === 'datetime' ? shifted(value, 3_600_000) : value), true)
      case 'SHIFTED_DATE':
        return each(
          (name, value) => (types.get(name) === 'date' ? shifted(value, -86_400_000).slice(0, 10) : value),
          true,
        )
      case 'WRONG_OWNER':
        return each((name, value) =>
          name === 'hubspot_owner_id' ? String(9_001 + (Number(value) % (this.#options.owners ?? 5))) : value,
        )
      case 'SWAPPED_ROWS':
        return rows.map((row, at) => {
          const other = rows[at % 2 === 0 ? at + 1 : at - 1]
          const own = row.properties as Row
          return other === undefined
            ? row
            : {
                ...row,
                properties: {
                  ...(other.properties as Row),
                  ...Object.fromEntries(Object.entries(own).filter(([name]) => PROTECTED.has(name))),
                },
              }
        })
      case 'STALE_ROW':
        return rows.map((row, at) => {
          const place = this.records.table(kind.name).place(places[at] ?? 0)
          if (place === null || place.version === 0) {
            return row
          }
          const names = Object.keys(row.properties as Row)
          const old = this.#row(this.records.thing(kind, { ...place, version: 0 }), names)
          return { ...row, properties: old.properties as Row }
        })
      case 'FOREIGN_ROW':
        return rows.flatMap((row, at) =>
          chosen(at)
            ? [
                row,
                {
                  ...row,
                  id: `${row.id as string}00`,
                  properties: { ...(row.properties as Row), hs_object_id: `${row.id as string}00` },
                },
              ]
            : [row],
        )
      default:
        return rows
    }
  }

  #row({ id, place, properties }: Thing, names: readonly string[]): Row {
    return {
      id,
      properties: Object.fromEntries(names.map((name) => [name, properties[name] ?? null])),
      createdAt: new Date(place.createdAt).toISOString(),
      updatedAt: new Date(place.updatedAt).toISOString(),
      archived: place.deletedAt !== null,
      ...(place.deletedAt === null ? {} : { archivedAt: new Date(place.deletedAt).toISOString() }),
    }
  }

  /** Properties that an answer has: the ones asked for that there are, and those that always come. */
  #asked(kind: Kind, asked: readonly string[]): readonly string[] {
    const known = new Set(this.#names(kind))
    const names = asked.flatMap((part) => part.split(',')).filter((name) => known.has(name))
    const always = [kind.created, kind.modified, 'hs_object_id']
    return [...new Set(names.length > 0 ? [...names, ...always] : kind.usual)]
  }

  #names(kind: Kind): readonly string[] {
    return this.#properties(kind).map(({ name }) => name)
  }

  #properties(kind: Kind): readonly Property[] {
    const went = this.#went.get(kind.name)
    const all = [...kind.properties, ...(this.#came.get(kind.name) ?? [])]
    return went === undefined ? all : all.filter(({ name }) => !went.has(name))
  }

  #propertiesOf(kind: Kind, { query }: SimRequest): SimAnswer {
    const went = this.#went.get(kind.name) ?? new Set()
    const shown =
      query.get('archived') === 'true' ? kind.properties.filter(({ name }) => went.has(name)) : this.#properties(kind)
    return ok({ results: shown.map((property) => this.#described(property)) }, 'properties_Core_getAll|properties')
  }

  #propertyOf(kind: Kind, name: string): SimAnswer {
    const found = this.#properties(kind).find((property) => property.name === name)
    return found === undefined
      ? this.#error(404, 'OBJECT_NOT_FOUND', `Property ${name} does not exist`, 'properties_Core_getByName')
      : ok(this.#described(found), 'properties_Core_getByName|property')
  }

  #described({ name, label, type, fieldType, options, custom, calculated, unique }: Property): Row {
    const at = new Date(this.#around.start - 400 * 86_400_000).toISOString()
    const shown =
      name === 'hubspot_owner_id'
        ? []
        : options.map(([value, text], index) => ({ label: text, value, displayOrder: index, hidden: false }))
    return {
      name,
      label,
      type,
      fieldType,
      description: '',
      groupName: 'information',
      options: shown,
      displayOrder: -1,
      calculated,
      externalOptions: name === 'hubspot_owner_id',
      ...(name === 'hubspot_owner_id' ? { referencedObjectType: 'OWNER' } : {}),
      hasUniqueValue: unique,
      hidden: false,
      hubspotDefined: !custom,
      formField: false,
      archived: false,
      createdAt: at,
      updatedAt: at,
      modificationMetadata: { archivable: custom, readOnlyDefinition: !custom, readOnlyValue: calculated },
    }
  }

  #ownerList(): readonly Row[] {
    const at = new Date(this.#around.start - 300 * 86_400_000).toISOString()
    return Array.from({ length: this.#options.owners ?? 5 }, (_, index) => ({
      id: String(9001 + index),
      email: `agent${index + 1}@agency.example.com`,
      firstName: `Agent ${index + 1}`,
      lastName: 'Example',
      userId: 501 + index,
      userIdIncludingInactive: 501 + index,
      type: 'PERSON',
      createdAt: at,
      updatedAt: at,
      // The last one has left, and still owns records.
      archived: index > 0 && index === (this.#options.owners ?? 5) - 1,
    }))
  }

  #owners({ query }: SimRequest): SimAnswer {
    const operation = 'owners_Owners_getPage'
    const limit = Number(query.get('limit') ?? 100)
    if (!Number.isInteger(limit) || limit < 1 || limit > 500) {
      return this.#error(400, 'VALIDATION_ERROR', 'limit must be at most 500', operation)
    }
    const archived = query.get('archived') === 'true'
    const email = query.get('email')
    const all = this.#ownerList().filter(
      (owner) => owner.archived === archived && (email === null || owner.email === email),
    )
    const after = Number(query.get('after') ?? 0)
    const next = after + limit
    return ok(
      { results: all.slice(after, next), ...(next < all.length ? { paging: { next: { after: String(next) } } } : {}) },
      `${operation}|owners`,
    )
  }

  #ownerById(id: string): SimAnswer {
    const owner = this.#ownerList().find((candidate) => candidate.id === id)
    return owner === undefined
      ? this.#error(404, 'OBJECT_NOT_FOUND', 'Owner does not exist', 'owners_Owners_getById')
      : ok(owner, 'owners_Owners_getById|owner')
  }

  #pipelines(kind: Kind): SimAnswer {
    const known = PIPELINES[kind.name]
    const at = new Date(this.#around.start - 300 * 86_400_000).toISOString()
    const dates = { createdAt: at, updatedAt: at, archived: false }
    const results =
      known === undefined
        ? []
        : [
            {
              id: known.id,
              label: known.label,
              displayOrder: 0,
              ...dates,
              stages: known.stages.map(([id, label, closed], index) => ({
                id,
                label,
                displayOrder: index,
                ...dates,
                metadata: { isClosed: String(closed), probability: closed ? '1.0' : '0.2' },
                writePermissions: 'CRM_PERMISSIONS_ENFORCEMENT',
              })),
            },
          ]
    return ok({ results }, 'pipelines_Pipelines_getAll|pipelines')
  }

  #schema(kind: Kind): Row {
    const custom = kind.typeId.startsWith('2-')
    return {
      id: custom ? kind.typeId.slice(2) : kind.typeId,
      name: kind.name,
      objectTypeId: kind.typeId,
      fullyQualifiedName: custom ? `p${HUB_ID}_${kind.name}` : kind.name.toUpperCase(),
      labels: { singular: kind.label.replace(/s$/, ''), plural: kind.label },
      archived: false,
      primaryDisplayProperty: kind.properties[0]?.name ?? 'hs_object_id',
      requiredProperties: [],
      searchableProperties: [],
      secondaryDisplayProperties: [],
      properties: this.#properties(kind).map((property) => this.#described(property)),
      associations: KINDS.map((to, index) => ({
        id: String(index + 1),
        fromObjectTypeId: kind.typeId,
        toObjectTypeId: to.typeId,
        name: `${kind.name}_to_${to.name}`,
      })),
    }
  }

  #missingScope(scope: string): SimAnswer {
    return this.#error(
      403,
      'MISSING_SCOPES',
      "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.",
      'objects_Basic_getPage',
      {
        errors: [
          {
            message: 'One or more of the following scopes are required.',
            context: { requiredGranularScopes: [scope] },
          },
        ],
      },
    )
  }

  #limit(policyName: 'DAILY' | 'SECONDLY' | 'TEN_SECONDLY_ROLLING'): SimAnswer {
    return {
      ...this.#error(
        429,
        null,
        policyName === 'DAILY'
          ? 'You have reached your daily limit.'
          : `You have reached your ${policyName.toLowerCase()} limit.`,
        'objects_Basic_getPage',
        { errorType: 'RATE_LIMIT', policyName, requestId: this.#uuid() },
      ),
      ...(this.#options.retryAfter === true
        ? { headers: { 'Retry-After': policyName === 'SECONDLY' ? '1' : '10' } }
        : {}),
    }
  }

  #error(status: number, category: string | null, message: string, operation: string, more: Row = {}): SimAnswer {
    return {
      status,
      body: {
        json: {
          status: 'error',
          message,
          correlationId: this.#uuid(),
          ...(category === null ? {} : { category }),
          ...more,
        },
      },
      schema: `${operation}|error`,
    }
  }

  #uuid(): string {
    const number = (++this.#correlation).toString(16).padStart(12, '0')
    return `c033cdaa-2c40-4a64-ae48-${number}`
  }
}

const PIPELINES: Readonly<
  Record<
    string,
    { readonly id: string; readonly label: string; readonly stages: readonly (readonly [string, string, boolean])[] }
  >
> = {
  deals: {
    id: 'default',
    label: 'Sales Pipeline',
    stages: [
      ['appointmentscheduled', 'Appointment Scheduled', false],
      ['contractsent', 'Contract Sent', false],
      ['closedwon', 'Closed Won', true],
      ['closedlost', 'Closed Lost', true],
    ],
  },
  leads: {
    id: 'lead-pipeline-id',
    label: 'Lead pipeline',
    stages: [
      ['new-stage-id', 'New', false],
      ['attempting-stage-id', 'Attempting', false],
      ['connected-stage-id', 'Connected', false],
      ['qualified-stage-id', 'Qualified', true],
    ],
  },
  '0-420': {
    id: '0-420-default',
    label: 'Listing pipeline',
    stages: [
      ['listing-pre', 'Coming Soon', false],
      ['listing-active', 'Active', false],
      ['listing-pending', 'Pending', false],
      ['listing-sold', 'Sold', true],
    ],
  },
}

/** Values by which records are found and windows are cut: neither a lie nor a fault about rows touches them. */
const PROTECTED: ReadonlySet<string> = new Set(['hs_object_id', ...KINDS.map(({ modified }) => modified)])

const NUMBERS: ReadonlySet<string> = new Set(
  KINDS.flatMap(({ properties }) => properties.filter(({ type }) => type === 'number').map(({ name }) => name)),
)

/** Operations of kinds that the descriptions have apart, else those of any object. */
function operationOf({ name }: Kind, operation: string): string {
  return `${['contacts', 'companies', 'deals', 'leads'].includes(name) ? name : 'objects'}_${operation}`
}

/** Dated paths lead to the same as numbered ones. */
function undated(path: string): string {
  return path
    .replace(/^\/crm\/objects\/20\d\d-\d\d\//, '/crm/v3/objects/')
    .replace(/^\/crm\/(properties|pipelines)\/20\d\d-\d\d\//, '/crm/v3/$1/')
    .replace(/^\/crm\/owners\/20\d\d-\d\d/, '/crm/v3/owners')
    .replace(/^\/crm\/associations\/20\d\d-\d\d\//, '/crm/v4/associations/')
    .replace(/^\/crm-object-schemas\/20\d\d-\d\d\//, '/crm-object-schemas/v3/')
}

const RANGES = ['EQ', 'NEQ', 'LT', 'LTE', 'GT', 'GTE', 'CONTAINS_TOKEN', 'NOT_CONTAINS_TOKEN']

function fits({ operator, value, values, highValue }: Filter): boolean {
  if (operator === 'IN' || operator === 'NOT_IN') {
    return Array.isArray(values) && values.length > 0
  }
  if (operator === 'BETWEEN') {
    return value !== undefined && highValue !== undefined
  }
  return operator.endsWith('HAS_PROPERTY') || (RANGES.includes(operator) && typeof value === 'string')
}

function matches({ operator, value = '', values = [], highValue = '' }: Filter, held: string | number | null): boolean {
  if (operator === 'HAS_PROPERTY' || operator === 'NOT_HAS_PROPERTY') {
    return (held !== null) === (operator === 'HAS_PROPERTY')
  }
  if (held === null) {
    return operator === 'NEQ' || operator === 'NOT_IN' || operator === 'NOT_CONTAINS_TOKEN'
  }
  const given = (text: string) => (typeof held === 'number' ? numberOf(text) : text)
  switch (operator) {
    case 'EQ':
      return held === given(value)
    case 'NEQ':
      return held !== given(value)
    case 'LT':
      return compare(held, given(value)) < 0
    case 'LTE':
      return compare(held, given(value)) <= 0
    case 'GT':
      return compare(held, given(value)) > 0
    case 'GTE':
      return compare(held, given(value)) >= 0
    case 'BETWEEN':
      return compare(held, given(value)) >= 0 && compare(held, given(highValue)) <= 0
    case 'IN':
      return values.some((one) => held === given(one))
    case 'NOT_IN':
      return values.every((one) => held !== given(one))
    case 'CONTAINS_TOKEN':
      return String(held).toLowerCase().includes(value.replaceAll('*', '').toLowerCase())
    default:
      return !String(held).toLowerCase().includes(value.replaceAll('*', '').toLowerCase())
  }
}

/** Milliseconds since 1970 of a time; other numbers as they are. */
function numberOf(text: string): number {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text)
}

function compare(one: string | number | null, other: string | number | null): number {
  if (one === null || other === null) {
    return one === other ? 0 : one === null ? -1 : 1
  }
  return one < other ? -1 : one > other ? 1 : 0
}

function shifted(value: string, milliseconds: number): string {
  const at = Date.parse(value)
  return Number.isNaN(at) ? value : new Date(at + milliseconds).toISOString()
}

function asText(value: Json): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function parsed<T extends object>(body: string): Partial<T> {
  try {
    return JSON.parse(body) as Partial<T>
  } catch {
    return {}
  }
}

function ok(json: Json, schema: string, rows = 0): SimAnswer {
  return { status: 200, body: { json }, schema, rows }
}

function fail(index: number): never {
  throw new Error(`no record at ${index}`)
}
