/** What HubSpot is asked: lists, batches, searches by key and associations, each within the limits that HubSpot sets. */
import type { VendorRequest } from '../http/client.js'
import { vendorUnavailable } from '../http/errors.js'
import type { Json, VendorApi } from '../vendor.js'

/** Records of one page of a list. HubSpot's own limit. */
export const LIST_ROWS = 100

/** Records of one page of a search. HubSpot's own limit. */
export const SEARCH_ROWS = 200

/** Records that one request can ask for by id. HubSpot's own limit. */
const BATCH_ROWS = 100

/** Records whose associations one request can ask for. HubSpot's own limit. */
export const ASSOCIATION_INPUTS = 1000

/** Characters that an address may have; HubSpot takes 15,000 of the query and answers 414 above. */
const ADDRESS_CHARACTERS = 14_000

/** Times that an answer which says nothing, or a page that leads nowhere, is asked for again. */
const ANSWER_ATTEMPTS = 4

/** Paths, in one place: the numbered versions end in September 2027. */
export const paths = {
  account: '/account-info/v3/details',
  owners: '/crm/v3/owners',
  schemas: '/crm-object-schemas/v3/schemas',
  properties: (object: string): string => `/crm/v3/properties/${encodeURIComponent(object)}`,
  pipelines: (object: string): string => `/crm/v3/pipelines/${encodeURIComponent(object)}`,
  list: (object: string): string => `/crm/v3/objects/${encodeURIComponent(object)}`,
  associations: (from: string, to: string): string =>
    `/crm/v4/associations/${encodeURIComponent(from)}/${encodeURIComponent(to)}/batch/read`,
} as const

/** A record as it was received. */
export type Received = { readonly [key: string]: Json }

interface Envelope {
  readonly results?: Json
  readonly total?: Json
  readonly paging?: { readonly next?: { readonly after?: Json } | null } | null
}

export interface Page {
  readonly rows: readonly Received[]
  /** Null: that was the last one. */
  readonly after: string | null
  /** Of a search: how many there are; null: it was not told. */
  readonly total: number | null
  readonly serverTime: Date | null
}

/** One answer with results. An empty answer and one without results are asked for again. */
async function results(api: VendorApi, request: VendorRequest): Promise<Page> {
  for (let attempt = 1; ; attempt++) {
    const { value, serverTime } = await api.json<Envelope | null>(request)
    if (typeof value === 'object' && value !== null && Array.isArray(value.results)) {
      const after = value.paging?.next?.after
      return {
        rows: (value.results as readonly Json[]).filter(
          (row): row is Received => typeof row === 'object' && row !== null && !Array.isArray(row),
        ),
        after: typeof after === 'string' || typeof after === 'number' ? String(after) : null,
        total: typeof value.total === 'number' ? value.total : null,
        serverTime,
      }
    }
    if (attempt >= ANSWER_ATTEMPTS) {
      throw vendorUnavailable(`HubSpot answered ${attempt} times without results.`)
    }
  }
}

/** All results of a list that is read from its beginning. */
export async function* pagesOf(
  api: VendorApi,
  path: string,
  query: NonNullable<VendorRequest['query']>,
  signal: AbortSignal,
): AsyncGenerator<readonly Received[]> {
  for (let after: string | null | undefined; after !== null; ) {
    signal.throwIfAborted()
    const page: Page = await listPage(api, path, { ...query, after }, signal)
    yield page.rows
    after = page.after
  }
}

/**
 * One page of a list. Throws where its end leads to itself: another try may find the way on, so it is asked for a few times.
 */
export async function listPage(
  api: VendorApi,
  path: string,
  query: NonNullable<VendorRequest['query']>,
  signal: AbortSignal,
): Promise<Page> {
  for (let attempt = 1; ; attempt++) {
    const page = await results(api, { method: 'GET', path, query, signal })
    if (page.after === null || page.after !== query.after) {
      return page
    }
    if (attempt >= ANSWER_ATTEMPTS) {
      throw vendorUnavailable(`HubSpot’s list ${path} leads in a circle.`)
    }
  }
}

/** True if a list can be asked for these properties: their names all stand in the address. */
export function fitsAddress(properties: readonly string[]): boolean {
  return encodeURIComponent(properties.join(',')).length < ADDRESS_CHARACTERS
}

/** Records by their ids, those that are there. One that was merged comes with the id of the record that it is now. */
export async function byIds(
  api: VendorApi,
  object: string,
  ids: readonly string[],
  properties: readonly string[],
  signal: AbortSignal,
): Promise<readonly Received[]> {
  const rows: Received[] = []
  const asked = ids.filter((id) => /^\d{1,19}$/.test(id))
  for (let start = 0; start < asked.length; start += BATCH_ROWS) {
    signal.throwIfAborted()
    const inputs = asked.slice(start, start + BATCH_ROWS).map((id) => ({ id }))
    const page = await results(api, {
      method: 'POST',
      path: `${paths.list(object)}/batch/read`,
      json: { inputs, properties },
      repeatable: true,
      signal,
    })
    rows.push(...page.rows)
  }
  return rows
}

/** A condition of a search, as HubSpot has it. */
export interface Filter {
  readonly propertyName: string
  readonly operator: string
  readonly value?: string
  readonly values?: readonly string[]
  readonly highValue?: string
}

/**
 * One page of a search in the order of ids, beginning behind one: however many records fit, no page is beyond the 10,000 that a
 * search gives, and records that change while it is read move no others.
 */
export async function searchPage(
  api: VendorApi,
  object: string,
  filters: readonly Filter[],
  properties: readonly string[],
  behind: string | null,
  signal: AbortSignal,
  limit = SEARCH_ROWS,
): Promise<Page> {
  const all =
    behind === null ? filters : [...filters, { propertyName: 'hs_object_id', operator: 'GT', value: behind } as const]
  for (let attempt = 1; ; attempt++) {
    const page = await results(api, {
      method: 'POST',
      path: `${paths.list(object)}/search`,
      json: {
        filterGroups: all.length === 0 ? [] : [{ filters: all }],
        sorts: [{ propertyName: 'hs_object_id', direction: 'ASCENDING' }],
        properties,
        limit,
      },
      lane: 'search',
      repeatable: true,
      signal,
    })
    const last = highest(page.rows)
    const more = (page.total ?? 0) > page.rows.length || (page.total === null && page.after !== null)
    const stuck = more && (last === null || (behind !== null && BigInt(last) <= BigInt(behind)))
    if (!stuck) {
      return { ...page, after: more ? last : null }
    }
    if (attempt >= ANSWER_ATTEMPTS) {
      throw vendorUnavailable(`HubSpot’s search of ${object} says that there is more, and does not give it.`)
    }
  }
}

/** The highest id; null: there is none. */
function highest(rows: readonly Received[]): string | null {
  let found: string | null = null
  for (const row of rows) {
    const id = idOf(row)
    if (id !== null && /^\d+$/.test(id) && (found === null || BigInt(id) > BigInt(found))) {
      found = id
    }
  }
  return found
}

/** A record's id; null where it has none. */
export function idOf(row: unknown): string | null {
  const id = typeof row === 'object' && row !== null ? (row as Received).id : null
  return typeof id === 'number' || (typeof id === 'string' && id !== '') ? String(id) : null
}

/** A record that another one is associated with. */
export interface Linked {
  readonly id: string
  /** It is the primary one, of those that there is one of. */
  readonly isPrimary: boolean
}

/**
 * What records of one object are associated with of another, by id; those without are left out. A record may have more
 * than one answer holds, so it is asked on until there are no more.
 */
export async function associationsOf(
  api: VendorApi,
  from: string,
  to: string,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Linked[]>> {
  const found = new Map<string, Linked[]>()
  let inputs: readonly { readonly id: string; readonly after?: string }[] = ids.map((id) => ({ id }))
  while (inputs.length > 0) {
    signal.throwIfAborted()
    const more: { id: string; after: string }[] = []
    for (let start = 0; start < inputs.length; start += ASSOCIATION_INPUTS) {
      const some = inputs.slice(start, start + ASSOCIATION_INPUTS)
      const asked = new Map(some.map(({ id, after }) => [id, after]))
      const { rows } = await results(api, {
        method: 'POST',
        path: paths.associations(from, to),
        json: { inputs: some },
        repeatable: true,
        signal,
      })
      for (const row of rows) {
        const id = idOf(row.from)
        if (id !== null && asked.has(id)) {
          found.set(id, [...(found.get(id) ?? []), ...linkedOf(row.to ?? null)])
          const next = nextOf(row)
          if (next !== null && next !== asked.get(id)) {
            more.push({ id, after: next })
          }
        }
      }
    }
    inputs = more
  }
  return found
}

function nextOf(row: Received): string | null {
  const { after } = ((row.paging as Received | null | undefined)?.next as Received | null | undefined) ?? {}
  return typeof after === 'string' || typeof after === 'number' ? String(after) : null
}

function linkedOf(value: Json): readonly Linked[] {
  return (Array.isArray(value) ? (value as readonly Json[]) : []).flatMap((one) => {
    const { toObjectId: id, associationTypes: types } = (one ?? {}) as Received
    if (typeof id !== 'string' && typeof id !== 'number') {
      return []
    }
    const labels = (Array.isArray(types) ? (types as readonly Received[]) : []).map((type) => type.label)
    return [{ id: String(id), isPrimary: labels.some((label) => /^primary$/i.test(String(label as string | null))) }]
  })
}
