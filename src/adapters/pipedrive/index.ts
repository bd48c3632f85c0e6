/**
 * Pipedrive: v2 for organizations, persons, deals and activities, v1 for leads and notes, which v2 has not. Requests cost tokens
 * of a budget that the whole company shares, so as much as possible comes in pages of 500.
 */
import type { RecordTypeName } from '../../records/types.js'
import { cleaned } from '../clean.js'
import { VendorRefused, vendorUnavailable } from '../http/errors.js'
import {
  type Deletions,
  type ExtractPage,
  type ExtractRequest,
  FURTHER_VALUES,
  type Json,
  type VendorAdapter,
  type VendorApi,
  type VendorObject,
  type VendorProblem,
  type VendorRow,
} from '../vendor.js'
import { derived, type Owners, type Received } from './derive.js'
import { describe } from './fields.js'
import { mappingOf } from './mapping.js'
import { COST, OBJECTS, objectOf, type PipedriveObject } from './objects.js'
import { askFor, idOf, type List, listOf, PAGE_ROWS, type Place, pagesOf } from './requests.js'

/** A change can be read when it is this old. Seconds. */
const LAG_SECONDS = 10

/** How far back a window reaches over the one before: times have seconds, and some changes come late. Minutes. */
const LOOK_BACK_MINUTES = 2

/** Records that one request can ask for by id. Pipedrive's own limit. */
const IDS_PER_REQUEST = 100

/** Ids that lack between two neighbours before it is looked whether the service left a page out. */
const GAP_IDS = 400

/** Ids of a gap that are read one after the other. Where more is left out, the list is good for nothing. */
const GAP_READ_IDS_MAX = 10_000

/** Requests that look for records one by one at most, of a list that was caught leaving out some. */
const WARY_REQUESTS_MAX = 3000

/** Requests that look into gaps at most, of one list; lists of accounts that delete much have many. */
const GAP_REQUESTS_MAX = 40

/** Times that a list is begun anew because a cursor is not known any more. */
const RESTARTS_MAX = 3

/** How far a reading has come, as it is kept. */
interface State {
  /** Which of the object's lists. */
  readonly list: number
  /** Null: the beginning. */
  readonly place: Place | null
  /** Highest id so far, of lists by id. */
  readonly last: number | null
  /** Requests that looked into gaps. */
  readonly probes: number
  /** How often the list was begun anew because its cursor was not known any more. */
  readonly restarts: number
  /** Ids that lack between those of the list, some of many. */
  readonly lacking: readonly number[]
  /** The list was caught leaving out records: it is asked for each id that lacks. */
  readonly isWary: boolean
}

const BEGINNING: State = { list: 0, place: null, last: null, probes: 0, restarts: 0, lacking: [], isWary: false }

/** E-mails of users, by sign-in that is open: asked for once in a slice of work. */
const owners = new WeakMap<VendorApi, Promise<Owners>>()

export const pipedrive: VendorAdapter = {
  system: 'pipedrive',
  async clock(api, signal) {
    const { serverTime } = await me(api, signal)
    if (serverTime === null) {
      throw vendorUnavailable('Pipedrive did not tell its time.')
    }
    return moment(new Date(serverTime.getTime() - LAG_SECONDS * 1000))
  },
  async check(api, signal) {
    const { body } = await me(api, signal)
    const data = body.data as Received | null | undefined
    const id =
      typeof data?.company_id === 'number' || typeof data?.company_id === 'string' ? String(data.company_id) : ''
    if (id === '') {
      throw new VendorRefused({
        code: 'NO_COMPANY',
        message: 'Pipedrive did not say which company this sign-in is for.',
      })
    }
    return { id, name: typeof data?.company_name === 'string' ? data.company_name : null, apiVersion: 'v2' }
  },
  idOf: (_object, line) => idOf(line),
  discover: describe,
  async count(api, object, signal, likely) {
    const kind = known(object)
    let count = 0
    let exact = true
    for (const list of kind.lists) {
      // What all lists hold together says of the last one what it holds, and nothing of those before it.
      const rest = likely !== undefined && list === kind.lists.at(-1) ? likely - count : null
      const told = await countOf(api, { ...list, version: kind.version, query: {} }, rest, signal)
      count += told.count
      exact &&= told.exact
    }
    return { count, exact }
  },
  extract,
  // Gaps between ids are looked into, and what lies behind the last one.
  readsWhole: (object) => known(object).version === 2,
  tellsDeletions: ({ name }) => name === 'deals',
  deletions,
  async *listIds(api, object, signal) {
    const kind = known(object)
    for (const list of kind.lists) {
      const query = kind.version === 2 ? { sort_by: 'id', sort_direction: 'asc' } : { sort: 'add_time ASC' }
      for await (const { rows } of pagesOf(api, { ...list, version: kind.version, query }, signal)) {
        yield rows.filter((row) => !isGone(row)).flatMap((row) => idOf(row) ?? [])
      }
    }
  },
  async read(api, object, ids, _fields, signal) {
    const rows: VendorRow[] = []
    for await (const page of byIds(api, object, ids, signal)) {
      rows.push(...page.rows)
    }
    return rows
  },
  mapping: (object: VendorObject, recordType: RecordTypeName) => mappingOf(object, recordType),
  callsFor: (object, records) => Math.max(known(object).lists.length, Math.ceil(records / PAGE_ROWS)),
}

function me(api: VendorApi, signal: AbortSignal) {
  return askFor(api, { method: 'GET', path: '/v1/users/me', cost: COST.oldGet, signal })
}

function known(object: VendorObject): PipedriveObject {
  const kind = objectOf(object.name)
  if (kind === null) {
    throw new VendorRefused(
      {
        code: 'NO_OBJECT',
        message: `Pipedrive has no ${object.name}; it has ${OBJECTS.map(({ name }) => name).join(', ')}.`,
      },
      'gone',
    )
  }
  return kind
}

function ownersOf(api: VendorApi, signal: AbortSignal): Promise<Owners> {
  const asked =
    owners.get(api) ??
    listOf(api, { method: 'GET', path: '/v1/users', cost: COST.oldList, signal }).then(
      (users) =>
        new Map(
          users.flatMap((user) => (typeof user.email === 'string' ? [[idOf(user) ?? '', user.email] as const] : [])),
        ),
    )
  owners.set(api, asked)
  // Who failed to ask does not keep others from asking.
  asked.catch(() => owners.delete(api))
  return asked
}

async function* extract(api: VendorApi, request: ExtractRequest): AsyncGenerator<ExtractPage> {
  const { object, ids, signal, window, filter } = request
  if (ids !== null) {
    yield* byIds(api, object, ids, signal)
    return
  }
  const kind = known(object)
  const users = await ownersOf(api, signal)
  const since = window.since === null ? null : reachingBack(window.since)
  let state = stateOf(request.state)
  for (let list = kind.lists[state.list]; list !== undefined; list = kind.lists[state.list]) {
    const ordered = kind.version === 2 && since === null
    const asked: List = { ...list, version: kind.version, query: queryOf(kind, list, since, filter) }
    /** The list begins anew. */
    let again = false
    const number = state.list
    try {
      for await (const { rows, next } of pagesOf(api, asked, signal, state.place ?? {})) {
        const gaps =
          ordered && filter === null ? await gapsOf(api, kind, asked, state, rows, next === null, signal) : NO_GAPS
        const last = Math.max(state.last ?? 0, ...rows.map((row) => Number(row.id)))
        const passed = since !== null && (list.newestFirst ? beforeWindow(rows, since) : pastWindow(rows, window.until))
        state =
          next === null || passed
            ? { ...BEGINNING, list: state.list + 1 }
            : {
                ...state,
                place: next,
                last: ordered ? last : null,
                probes: state.probes + gaps.requests,
                lacking: gaps.lacking,
              }
        if (gaps.isCaught) {
          state = { ...BEGINNING, list: number, isWary: true }
          again = true
        }
        const kept = since === null ? rows : rows.filter((row) => within(row, since, window.until))
        yield pageOf(kind, object, [...kept, ...gaps.rows], users, asJson(state), gaps.problems)
        if (passed || again) {
          break
        }
      }
    } catch (error) {
      const forgotten = error instanceof VendorRefused && error.status === 400 && state.place?.cursor !== undefined
      if (!forgotten || state.restarts >= RESTARTS_MAX) {
        throw error
      }
      // Cursors do not live long: from the beginning of the list, whose records come in once however often they are read.
      state = { ...BEGINNING, list: state.list, restarts: state.restarts + 1 }
    }
  }
}

function asJson(state: State): Json {
  return JSON.parse(JSON.stringify(state)) as Json
}

function stateOf(state: Json): State {
  return typeof state === 'object' && state !== null && 'list' in state
    ? { ...BEGINNING, ...(state as object) }
    : BEGINNING
}

function queryOf(
  kind: PipedriveObject,
  list: PipedriveObject['lists'][number],
  since: string | null,
  filter: string | null,
): List['query'] {
  const more = { ...(kind.include === null ? {} : { include_fields: kind.include }), ...conditionOf(filter) }
  if (kind.version === 2) {
    return since === null
      ? { ...more, sort_by: 'id', sort_direction: 'asc' }
      : { ...more, updated_since: since, sort_by: 'update_time', sort_direction: 'asc' }
  }
  if (list.newestFirst) {
    // It cannot be asked for changes: the newest come first, as far back as the window reaches.
    return { ...more, sort: since === null ? 'add_time ASC' : 'update_time DESC' }
  }
  return since === null ? { ...more, sort: 'add_time ASC' } : { ...more, updated_since: since, sort: 'update_time ASC' }
}

/** A filter is one that somebody made in Pipedrive, by its number. */
function conditionOf(filter: string | null): List['query'] {
  if (filter === null) {
    return {}
  }
  const id = /^\s*(?:filter_id\s*=\s*)?(\d{1,12})\s*$/.exec(filter)?.[1]
  if (id === undefined) {
    throw new VendorRefused({
      code: 'BAD_FILTER',
      message: `"${filter.slice(0, 100)}" is no filter of Pipedrive. Expected the number of one, e.g. filter_id=12.`,
    })
  }
  return { filter_id: id }
}

/** Without fractions of seconds, which Pipedrive refuses. */
function reachingBack(since: string): string {
  const at = new Date(Date.parse(since) - LOOK_BACK_MINUTES * 60_000)
  return `${at.toISOString().slice(0, 19)}Z`
}

/** True if everything that follows, in the order of changes, is of the next window. */
function pastWindow(rows: readonly Received[], until: string): boolean {
  const last = rows.at(-1)
  const at = last === undefined ? null : updatedAtOf(last)
  return at !== null && at >= until
}

/** The same in the other order. */
function beforeWindow(rows: readonly Received[], since: string): boolean {
  const last = rows.at(-1)
  return last !== undefined && (updatedAtOf(last) ?? '') < since
}

function within(row: Received, since: string, until: string): boolean {
  const at = updatedAtOf(row)
  return at === null || (at.slice(0, 19) >= since.slice(0, 19) && at < until)
}

interface Gaps {
  readonly rows: readonly Received[]
  readonly requests: number
  readonly lacking: readonly number[]
  /** Of the ids that lack, some are there after all. */
  readonly isCaught: boolean
  readonly problems: readonly VendorProblem[]
}

const NO_GAPS: Gaps = { rows: [], requests: 0, lacking: [], isCaught: false, problems: [] }

/**
 * Looks into large gaps between ids that follow one another, and behind the last one: usually these records were deleted long
 * ago, but a page that the service left out looks the same. What is there after all is read by its ids. Of the many small gaps
 * some ids are asked for at the end: if one is there, the list is read again and asked for each.
 */
async function gapsOf(
  api: VendorApi,
  kind: PipedriveObject,
  list: List,
  state: State,
  rows: readonly Received[],
  atEnd: boolean,
  signal: AbortSignal,
): Promise<Gaps> {
  const found: Received[] = []
  const lacking: number[] = []
  let requests = 0
  let before = state.last
  const readAll = async (from: number, to: number): Promise<void> => {
    if (to - from >= GAP_READ_IDS_MAX) {
      throw vendorUnavailable(`Pipedrive’s list of ${kind.name} leaves out records between ${from} and ${to}.`)
    }
    for (let start = from; start <= to; start += IDS_PER_REQUEST) {
      requests += 1
      const some = Array.from({ length: Math.min(IDS_PER_REQUEST, to - start + 1) }, (_, at) => start + at)
      found.push(...(await among(api, kind, list, some, signal)))
    }
  }
  for (const row of rows) {
    const id = Number(row.id)
    if (before !== null && id - before > GAP_IDS && state.probes + requests < GAP_REQUESTS_MAX) {
      requests += 1
      if ((await among(api, kind, list, spread(before + 1, id - 1), signal)).length > 0) {
        await readAll(before + 1, id - 1)
      }
    }
    for (let lack = (before ?? id) + 1; lack < id && id - lack <= GAP_IDS; lack++) {
      lacking.push(lack)
    }
    before = Math.max(before ?? 0, id)
  }
  let isCaught = false
  if (state.isWary) {
    for (let start = 0; start < lacking.length; start += IDS_PER_REQUEST) {
      const some = lacking.slice(start, start + IDS_PER_REQUEST)
      const there = await among(api, kind, list, some, signal)
      // A list that leaves out records may leave them out here, too: each one that lacks is asked for alone.
      const known = new Set(there.map(idOf))
      const alone = some.map(String).filter((id) => !known.has(id))
      requests += 1 + alone.length
      if (state.probes + requests > WARY_REQUESTS_MAX) {
        throw vendorUnavailable(`Pipedrive’s list of ${kind.name} leaves out records, more than can be looked for.`)
      }
      found.push(...there, ...(await oneByOne(api, kind, alone, signal)))
    }
  } else if (atEnd && state.lacking.length + lacking.length > 0) {
    requests += 1
    isCaught = (await among(api, kind, list, someOf([...state.lacking, ...lacking]), signal)).length > 0
  }
  if (atEnd) {
    requests += 1
    const highest = (await byIdOrder(api, list, 1, 'desc', signal)).rows[0] ?? 0
    if (highest > (before ?? 0)) {
      await readAll((before ?? 0) + 1, highest)
    }
  }
  const problems = found.map((row) => ({
    externalId: idOf(row),
    code: 'LEFT_OUT_BY_SERVICE',
    message: 'Pipedrive’s list left the record out; it was read by its id.',
  }))
  return { rows: found, requests, lacking: someOf([...state.lacking, ...lacking]), isCaught, problems }
}

/** As many as one request can ask for, spread over all. */
function someOf(ids: readonly number[]): readonly number[] {
  const every = Math.max(1, ids.length / IDS_PER_REQUEST)
  return Array.from({ length: Math.min(ids.length, IDS_PER_REQUEST) }, (_, at) => ids[Math.floor(at * every)] ?? 0)
}

/** Ids at one end of a list. */
async function byIdOrder(
  api: VendorApi,
  list: List,
  limit: number,
  direction: 'asc' | 'desc',
  signal: AbortSignal,
): Promise<{ readonly rows: readonly number[]; readonly more: boolean }> {
  const query = { limit, sort_by: 'id', sort_direction: direction }
  const { body } = await askFor(api, { method: 'GET', path: list.path, query, cost: list.cost, signal })
  const rows = (Array.isArray(body.data) ? (body.data as readonly Json[]) : []).map((row) => Number(idOf(row)))
  return { rows, more: (body.additional_data?.next_cursor ?? '') !== '' }
}

/** Ids all over a gap, as many as one request takes. */
function spread(from: number, to: number): readonly number[] {
  const count = Math.min(IDS_PER_REQUEST, to - from + 1)
  return Array.from({ length: count }, (_, at) => from + Math.floor((at * (to - from)) / Math.max(1, count - 1)))
}

async function among(
  api: VendorApi,
  kind: PipedriveObject,
  { path, cost }: List,
  ids: readonly (number | string)[],
  signal: AbortSignal,
): Promise<readonly Received[]> {
  const query = { ids: ids.join(','), limit: IDS_PER_REQUEST, include_fields: kind.include }
  const rows = await listOf(api, { method: 'GET', path, query, cost, signal })
  // By ids both lists answer archived records and others alike; each record is left to the list that has it.
  const foreign = !path.endsWith('/archived')
  return rows.filter((row) => !isGone(row) && row.is_archived !== foreign)
}

/** Records by their ids: a hundred in one request where Pipedrive can do that. What is gone is left out. */
async function* byIds(
  api: VendorApi,
  object: VendorObject,
  ids: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<ExtractPage> {
  const kind = known(object)
  const users = await ownersOf(api, signal)
  for (let start = 0; start < ids.length; start += IDS_PER_REQUEST) {
    signal.throwIfAborted()
    const some = ids.slice(start, start + IDS_PER_REQUEST)
    const rows = kind.version === 2 ? await inLists(api, kind, some, signal) : await oneByOne(api, kind, some, signal)
    yield pageOf(kind, object, rows, users, null, [])
  }
}

/** What the first list has not the second one may have. */
async function inLists(
  api: VendorApi,
  kind: PipedriveObject,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<readonly Received[]> {
  const wanted = new Set(ids.filter((id) => /^\d{1,15}$/.test(id)))
  const rows: Received[] = []
  for (const list of kind.lists) {
    if (wanted.size > 0) {
      for (const row of await among(api, kind, { ...list, version: 2, query: {} }, [...wanted], signal)) {
        const id = idOf(row) ?? ''
        if (wanted.delete(id)) {
          rows.push(row)
        }
      }
    }
  }
  return rows
}

async function oneByOne(
  api: VendorApi,
  kind: PipedriveObject,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<readonly Received[]> {
  const rows: Received[] = []
  for (const id of ids) {
    try {
      const path = `${kind.lists[0]?.path ?? ''}/${encodeURIComponent(id)}`
      const { body } = await askFor(api, { method: 'GET', path, cost: COST.oldGet, signal })
      const row = body.data as Received | null | undefined
      if (row !== null && row !== undefined && !isGone(row)) {
        rows.push(row)
      }
    } catch (error) {
      if (!(error instanceof VendorRefused && error.reason === 'gone')) {
        throw error
      }
    }
  }
  return rows
}

/** What was deleted of deals since, page by page. Pipedrive tells it for 30 days. */
async function* deletions(
  api: VendorApi,
  { object, since, until, signal }: Parameters<VendorAdapter['deletions']>[1],
): AsyncGenerator<Deletions> {
  const kind = known(object)
  const list: List = {
    path: kind.lists[0]?.path ?? '',
    cost: COST.list,
    version: 2,
    query: { status: 'deleted', updated_since: reachingBack(since), sort_by: 'update_time', sort_direction: 'asc' },
  }
  for await (const { rows } of pagesOf(api, list, signal)) {
    const gone = rows.filter((row) => isGone(row) && (updatedAtOf(row) ?? '') < until)
    yield {
      externalIds: gone.flatMap((row) => {
        const id = idOf(row)
        return id === null ? [] : [{ id, deletedAt: updatedAtOf(row), mergedInto: null }]
      }),
      state: null,
    }
  }
}

/**
 * How many there are. v2 has no number to ask for: one page says it of small objects, and of larger ones the first page and
 * the highest id give an estimate. Of v1 a search for the last offset finds it.
 */
async function countOf(
  api: VendorApi,
  list: List,
  likely: number | null,
  signal: AbortSignal,
): Promise<{ count: number; exact: boolean }> {
  if (list.version === 1) {
    return { count: await lastOffset(api, list, likely, signal), exact: true }
  }
  const first = await byIdOrder(api, list, PAGE_ROWS, 'asc', signal)
  const [highest = 0] = (await byIdOrder(api, list, 1, 'desc', signal)).rows
  if (!first.more && highest === (first.rows.at(-1) ?? 0)) {
    return { count: first.rows.length, exact: true }
  }
  const lowest = first.rows[0] ?? 0
  const span = Math.max(1, (first.rows.at(-1) ?? 0) - lowest + 1)
  const estimate = Math.round(((highest - lowest + 1) * first.rows.length) / span)
  return { count: Math.max(first.rows.length + 1, estimate), exact: false }
}

/** Asked for row by row: a page that lacks one would say so of the count as well, and nobody could tell. */
async function lastOffset(
  api: VendorApi,
  { path, cost }: List,
  likely: number | null,
  signal: AbortSignal,
): Promise<number> {
  const has = async (start: number): Promise<boolean> =>
    (await listOf(api, { method: 'GET', path, query: { start, limit: 1 }, cost, signal })).length > 0
  if (likely !== null && likely > 0 && (await has(likely - 1)) && !(await has(likely))) {
    return likely
  }
  let above = PAGE_ROWS
  let below = 0
  if (!(await has(0))) {
    return 0
  }
  while (await has(above)) {
    below = above
    above *= 4
  }
  while (above - below > 1) {
    const middle = Math.floor((above + below) / 2)
    if (await has(middle)) {
      below = middle
    } else {
      above = middle
    }
  }
  return above
}

/** What a person should know of a row. */
interface Notes {
  readonly further: string | null
  readonly isCleaned: boolean
}

function pageOf(
  kind: PipedriveObject,
  object: VendorObject,
  rows: readonly Received[],
  users: Owners,
  state: Json,
  problems: readonly VendorProblem[],
): ExtractPage {
  const told = rows.flatMap((received): readonly (VendorRow & Notes)[] => {
    const row = cleaned(received) as Received
    const externalId = idOf(row)
    if (externalId === null) {
      return []
    }
    const columns = derived(kind, object, row, users)
    const further = [columns.furtherEmails, columns.furtherPhones, columns.furtherLinks].filter(
      (text) => text !== null && text !== undefined,
    )
    return [
      {
        externalId,
        updatedAt: updatedAtOf(row),
        deleted: isGone(row),
        mergedInto: null,
        data: row,
        derived: columns,
        further: further.length === 0 ? null : further.join('; '),
        isCleaned: row !== received,
      },
    ]
  })
  return {
    rows: told.map(({ further: _further, isCleaned: _isCleaned, ...row }) => row),
    state,
    problems: [
      ...problems,
      ...told.flatMap(({ externalId, isCleaned }) =>
        isCleaned
          ? [
              {
                externalId,
                code: 'CHARACTERS_REMOVED',
                message: 'It held NUL or halves of characters, which were left out.',
              },
            ]
          : [],
      ),
      ...told.flatMap(({ externalId, further }) =>
        further === null ? [] : [{ externalId, code: 'FURTHER_VALUES', message: FURTHER_VALUES }],
      ),
    ],
  }
}

/** Deleted records are no longer listed, but some lists say so of those that just were. */
function isGone(row: Received): boolean {
  return row.is_deleted === true || row.active_flag === false || row.status === 'deleted'
}

/** v1 has times of UTC without saying so. To the microsecond, so that times compare as texts. */
function updatedAtOf({ update_time: updated, add_time: added }: Received): string | null {
  const text = typeof updated === 'string' && updated !== '' ? updated : added
  if (typeof text !== 'string') {
    return null
  }
  const at = new Date(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text) ? `${text.replace(' ', 'T')}Z` : text)
  return Number.isNaN(at.getTime()) ? null : moment(at)
}

function moment(at: Date): string {
  return at.toISOString().replace(/\.(\d{3})Z$/, '.$1000Z')
}
