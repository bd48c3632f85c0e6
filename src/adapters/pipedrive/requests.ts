/**
 * Pages of Pipedrive. v2 gives a cursor; v1 gives offsets, which skip and repeat records when others come or go meanwhile: each
 * page begins with the last record of the one before, and where that is not so, reading goes back until it is found again.
 */

import type { VendorRequest } from '../http/client.js'
import { vendorUnavailable } from '../http/errors.js'
import type { Json, VendorApi } from '../vendor.js'
import type { Received } from './derive.js'

/** Records in one page. Pipedrive's own limit. */
export const PAGE_ROWS = 500

/** Times that an answer which says nothing is asked for again. */
const ANSWER_ATTEMPTS = 4

/** Pages that reading by offset goes back at most to find its place again, of one page. */
const BACK_PAGES_MAX = 20

/** Pages one after the other that bring nothing new: the cursor leads in a circle. */
const IDLE_PAGES_MAX = 3

interface Envelope {
  readonly success?: boolean
  readonly data?: Json
  readonly additional_data?: {
    readonly next_cursor?: string | null
    readonly more_items_in_collection?: boolean
    readonly next_start?: number | null
    readonly pagination?: { readonly more_items_in_collection?: boolean; readonly next_start?: number | null } | null
  } | null
}

/** Where a list is read. */
export interface List {
  readonly path: string
  readonly cost: number
  readonly version: 1 | 2
  readonly query: NonNullable<VendorRequest['query']>
}

/** A place in a list, as it is kept. */
export interface Place {
  readonly cursor?: string
  readonly start?: number
  /** Ids of records of the page before it, the last one first. */
  readonly anchors?: readonly string[]
  /** Pages that were gone back to find one of them. */
  readonly back?: number
}

export interface ListPage {
  readonly rows: readonly Received[]
  /** Null: that was the last one. */
  readonly next: Place | null
}

/** One answer that holds data: null where there is none. An empty answer and one without success are asked for again. */
export async function askFor(
  api: VendorApi,
  request: VendorRequest,
): Promise<{ body: Envelope; serverTime: Date | null }> {
  for (let attempt = 1; ; attempt++) {
    const { value, serverTime } = await api.json<Envelope | null>(request)
    if (typeof value === 'object' && value !== null && value.success === true) {
      return { body: value, serverTime }
    }
    if (attempt >= ANSWER_ATTEMPTS) {
      throw vendorUnavailable(`Pipedrive answered ${attempt} times without saying that it had succeeded.`)
    }
  }
}

/** All records of a list that has no pages, or whose first page is all of it. */
export async function listOf(api: VendorApi, request: VendorRequest): Promise<readonly Received[]> {
  return rowsOf((await askFor(api, request)).body)
}

function rowsOf({ data }: Envelope): readonly Received[] {
  return (Array.isArray(data) ? (data as readonly Json[]) : []).filter(
    (row): row is Received => typeof row === 'object' && row !== null && !Array.isArray(row),
  )
}

/** Pages from the beginning, or from a place that was kept. */
export async function* pagesOf(
  api: VendorApi,
  list: List,
  signal: AbortSignal,
  from: Place = {},
): AsyncGenerator<ListPage> {
  let place: Place | null = from
  let idle = 0
  let seen: string | null = null
  while (place !== null) {
    signal.throwIfAborted()
    const page: ListPage = await (list.version === 2 ? byCursor : byOffset)(api, list, place, signal)
    const last = idOf(page.rows.at(-1))
    const circles = page.next !== null && (page.next.cursor === place.cursor || last === null || last === seen)
    idle = list.version === 2 && circles ? idle + 1 : 0
    if (idle >= IDLE_PAGES_MAX) {
      throw vendorUnavailable(`Pipedrive’s cursor of ${list.path} leads in a circle.`)
    }
    seen = last ?? seen
    yield page
    place = page.next
  }
}

async function byCursor(api: VendorApi, list: List, place: Place, signal: AbortSignal): Promise<ListPage> {
  const { body } = await askFor(api, {
    method: 'GET',
    path: list.path,
    query: { ...list.query, limit: PAGE_ROWS, cursor: place.cursor },
    cost: list.cost,
    signal,
  })
  const rows = rowsOf(body)
  const cursor = body.additional_data?.next_cursor ?? ''
  return { rows, next: cursor === '' ? null : { cursor } }
}

async function byOffset(api: VendorApi, list: List, place: Place, signal: AbortSignal): Promise<ListPage> {
  const begin = place.start ?? 0
  const { anchors = [], back = 0 } = place
  // The last record of the page before comes once more: if it does not, the list has moved.
  const start = anchors.length > 0 && begin > 0 && back === 0 ? begin - 1 : begin
  const { body } = await askFor(api, {
    method: 'GET',
    path: list.path,
    query: { ...list.query, limit: PAGE_ROWS, start },
    cost: list.cost,
    signal,
  })
  const rows = rowsOf(body)
  if (start > 0 && anchors.length > 0 && !rows.some((row) => anchors.includes(idOf(row) ?? ''))) {
    if (back >= BACK_PAGES_MAX) {
      throw vendorUnavailable(`Pipedrive’s list of ${list.path} moves faster than it can be read.`)
    }
    // What came may be new all the same: it is kept, and the page before is read again.
    return { rows, next: { start: Math.max(0, start - PAGE_ROWS + 1), back: back + 1, anchors } }
  }
  const { pagination = null, more_items_in_collection: plain } = body.additional_data ?? {}
  const more = (pagination?.more_items_in_collection ?? plain) === true
  return { rows, next: more && rows.length > 0 ? { start: start + rows.length, anchors: anchorsOf(rows) } : null }
}

/** The last record of a page, and some before it that find the place again where the last one is gone. */
function anchorsOf(rows: readonly Received[]): readonly string[] {
  const places = [rows.length - 1, rows.length - 2, Math.floor(rows.length / 2), 0]
  return [...new Set(places)].flatMap((place) => idOf(rows[place]) ?? [])
}

/** A record's id; null where it has none. */
export function idOf(row: unknown): string | null {
  const id = typeof row === 'object' && row !== null ? (row as Received).id : null
  return typeof id === 'number' || (typeof id === 'string' && id !== '') ? String(id) : null
}
