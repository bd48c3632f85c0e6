/**
 * HubSpot: everything there is comes by lists, which have no end; what has changed comes by searches in the order of ids within a
 * fixed window, which the 10,000 records that a search gives do not bound. Associations are asked for a thousand records at once.
 */
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
import { derive } from './derive.js'
import { accountOf, directoryOf, membersOf, textOf } from './directory.js'
import { discover } from './discover.js'
import { mappingOf } from './mapping.js'
import { customKind, type HubspotKind, nativeKind } from './objects.js'
import {
  ASSOCIATION_INPUTS,
  associationsOf,
  byIds,
  type Filter,
  fitsAddress,
  idOf,
  LIST_ROWS,
  type Linked,
  listPage,
  paths,
  type Received,
  searchPage,
} from './requests.js'

/** A change can be found by a search when it is this old. Seconds. */
const LAG_SECONDS = 60

/** How far back a window reaches over the one before: the index is sometimes later than that. Minutes. */
const LOOK_BACK_MINUTES = 10

/** Once a day it reaches back so far, as some changes come very late. Minutes. */
const NIGHTLY_LOOK_BACK_MINUTES = 24 * 60

/** Days that HubSpot keeps what was deleted, less one for clocks. */
const RECYCLE_DAYS = 89

/** Characters of records that are gathered before their associations are asked for, about. */
const GATHERED_CHARACTERS = 8_000_000

/** Pages one after the other without records: the list leads nowhere. */
const IDLE_PAGES_MAX = 5

/** Conditions that somebody may add to those of a window: of a search HubSpot takes six. */
const FILTERS_MAX = 3

export const hubspot: VendorAdapter = {
  system: 'hubspot',
  async clock(api, signal) {
    const { serverTime } = await accountOf(api, signal)
    if (serverTime === null) {
      throw vendorUnavailable('HubSpot did not tell its time.')
    }
    return moment(new Date(serverTime.getTime() - LAG_SECONDS * 1000))
  },
  async check(api, signal) {
    const { id } = await accountOf(api, signal)
    return { id, name: null, apiVersion: 'v3' }
  },
  idOf: (_object, line) => idOf(line),
  discover,
  async count(api, object, signal) {
    const { total } = await searchPage(api, object.name, [], [], null, signal, 1)
    return total === null ? { count: 0, exact: false } : { count: total, exact: true }
  },
  extract,
  // Merged records and those that had to be forgotten are in no list of deleted ones, so once a day all ids are compared.
  tellsDeletions: (_object, window) =>
    window === undefined || (dayOf(window.since) === dayOf(window.until) && daysOf(window) < RECYCLE_DAYS),
  deletions,
  async *listIds(api, object, signal) {
    for await (const { rows } of listPages(api, object, ['hs_object_id'], null, signal)) {
      yield rows.filter(({ archived }) => archived !== true).flatMap((row) => idOf(row) ?? [])
    }
  },
  async read(api, object, ids, fields, signal) {
    const rows = await byIds(api, object.name, ids, propertiesOf(object, fields), signal)
    const wanted = new Set(ids)
    const page = await pageOf(api, object, rows, null, signal)
    // One that was merged comes as the record that it is now.
    return page.rows.filter(({ externalId }) => wanted.has(externalId))
  },
  mapping: mappingOf,
  callsFor(object, records) {
    const pages = Math.max(1, Math.ceil(records / LIST_ROWS))
    const batches = fitsAddress(propertiesOf(object, [])) ? 1 : 2
    return pages * batches + Math.ceil(records / ASSOCIATION_INPUTS) * targetsOf(object).length
  },
}

/** How far a reading has come, as it is kept. */
interface State {
  /** Of a list: where the next page begins. Of a search: the id behind which it begins. Null: the beginning. */
  readonly after: string | null
  readonly done: boolean
}

function stateOf(state: Json): State {
  const { after, done } = membersOf(state) ?? {}
  return { after: typeof after === 'string' ? after : null, done: done === true }
}

async function* extract(api: VendorApi, request: ExtractRequest): AsyncGenerator<ExtractPage> {
  const { object, ids, signal, window, filter, fields } = request
  const properties = propertiesOf(object, fields)
  if (ids !== null) {
    for (let start = 0; start < ids.length; start += ASSOCIATION_INPUTS) {
      const rows = await byIds(api, object.name, ids.slice(start, start + ASSOCIATION_INPUTS), properties, signal)
      yield await pageOf(api, object, rows, null, signal)
    }
    return
  }
  const state = stateOf(request.state)
  if (state.done) {
    return
  }
  const { modified } = kindOf(object)
  const filters: Filter[] = filtersOf(filter)
  if (window.since !== null) {
    const since = reachingBack(window.since, window.until)
    filters.push(
      { propertyName: modified, operator: 'GTE', value: String(since) },
      { propertyName: modified, operator: 'LT', value: String(Date.parse(window.until)) },
    )
  }
  const pages =
    filters.length === 0
      ? listPages(api, object, properties, state.after, signal)
      : searchPages(api, object, filters, properties, state.after, signal)
  let gathered: Received[] = []
  let characters = 0
  for await (const { rows, after } of pages) {
    gathered.push(...rows)
    // One record is about as long as another.
    characters += rows.length * JSON.stringify(rows[0] ?? null).length
    const most = ASSOCIATION_INPUTS - LIST_ROWS
    if (after === null || gathered.length > most || characters > GATHERED_CHARACTERS) {
      yield await pageOf(api, object, gathered, { after, done: after === null }, signal)
      gathered = []
      characters = 0
    }
  }
}

interface Part {
  readonly rows: readonly Received[]
  readonly after: string | null
}

/** Pages of a list. Where not all properties fit into the address, each page's records are read by their ids. */
async function* listPages(
  api: VendorApi,
  object: VendorObject,
  properties: readonly string[],
  from: string | null,
  signal: AbortSignal,
): AsyncGenerator<Part> {
  const fits = fitsAddress(properties)
  const asked = { limit: LIST_ROWS, archived: false, properties: (fits ? properties : ['hs_object_id']).join(',') }
  let idle = 0
  for (let after = from, more = true; more; ) {
    signal.throwIfAborted()
    const page = await listPage(api, paths.list(object.name), { ...asked, after }, signal)
    idle = page.rows.length === 0 ? idle + 1 : 0
    if (idle > IDLE_PAGES_MAX) {
      throw vendorUnavailable(`HubSpot’s list of ${object.label} leads nowhere.`)
    }
    const ids = page.rows.flatMap((row) => idOf(row) ?? [])
    yield { rows: fits ? page.rows : await byIds(api, object.name, ids, properties, signal), after: page.after }
    after = page.after
    more = after !== null
  }
}

async function* searchPages(
  api: VendorApi,
  object: VendorObject,
  filters: readonly Filter[],
  properties: readonly string[],
  from: string | null,
  signal: AbortSignal,
): AsyncGenerator<Part> {
  for (let after = from, more = true; more; ) {
    signal.throwIfAborted()
    const page = await searchPage(api, object.name, filters, properties, after, signal)
    yield page
    after = page.after
    more = after !== null
  }
}

/** Names of the properties behind these columns, and of those that the adapter needs; of all where none are named. */
function propertiesOf(object: VendorObject, fields: readonly string[]): readonly string[] {
  const named = fields.length > 0 ? fields : object.fields.map(({ name }) => name)
  const { modified } = kindOf(object)
  const derivedFrom = fields.length === 0 ? [] : object.fields.filter(({ custom }) => !custom).map(({ name }) => name)
  const all = [...named, ...derivedFrom].flatMap((name) =>
    name.startsWith('properties.') ? [name.slice('properties.'.length)] : [],
  )
  return [...new Set([...all, modified, 'hs_object_id'])]
}

function kindOf(object: VendorObject): HubspotKind {
  return nativeKind(object.name) ?? customKind(object.name, object.label)
}

/** Objects that records of this one may be associated with. */
function targetsOf(object: VendorObject): readonly string[] {
  const all = object.fields.filter(({ name }) => name.startsWith('portage.')).flatMap(({ references }) => references)
  return [...new Set(all)].filter((name) => name !== object.name)
}

/** Rows with what associations say of them, which are asked for here. */
async function pageOf(
  api: VendorApi,
  object: VendorObject,
  received: readonly Received[],
  state: State | null,
  signal: AbortSignal,
): Promise<ExtractPage> {
  const directory = directoryOf(api)
  const kind = kindOf(object)
  const rows = received.flatMap((row) => {
    const id = idOf(row)
    return id === null ? [] : [{ id, row: cleaned(row) as Received, isCleaned: cleaned(row) !== row }]
  })
  const ids = [...new Set(rows.map(({ id }) => id))]
  const links = new Map<string, ReadonlyMap<string, readonly Linked[]>>()
  for (const to of ids.length === 0 ? [] : targetsOf(object)) {
    links.set(to, await associationsOf(api, object.name, to, ids, signal))
  }
  const around = {
    object,
    account: await directory.account(signal),
    owners: await directory.owners(signal),
    stages: kind.pipelines ? await directory.stages(object.name, signal) : [],
  }
  const problems: VendorProblem[] = []
  const told = rows.map(({ id, row, isCleaned }): VendorRow => {
    const own = new Map([...links].map(([to, found]) => [to, found.get(id) ?? []]))
    const derived = derive({ ...around, links: own }, row)
    const further = [derived.furtherEmails, derived.furtherLinks].filter((text) => typeof text === 'string')
    if (further.length > 0) {
      problems.push({ externalId: id, code: 'FURTHER_VALUES', message: FURTHER_VALUES })
    }
    if (isCleaned) {
      problems.push({
        externalId: id,
        code: 'CHARACTERS_REMOVED',
        message: 'It held NUL or halves of characters, which were left out.',
      })
    }
    return {
      externalId: id,
      updatedAt: updatedAtOf(row, kind.modified),
      deleted: row.archived === true,
      mergedInto: null,
      data: row,
      derived,
    }
  })
  return { rows: told, state: state === null ? null : { ...state }, problems }
}

/** To the microsecond, so that times compare as texts. */
function updatedAtOf(row: Received, modified: string): string | null {
  const text = textOf(membersOf(row.properties)?.[modified]) || textOf(row.updatedAt)
  const at = new Date(text)
  return text === '' || Number.isNaN(at.getTime()) ? null : moment(at)
}

/** What was deleted since, and what went up in another record. */
async function* deletions(
  api: VendorApi,
  { object, since, until, signal }: Parameters<VendorAdapter['deletions']>[1],
): AsyncGenerator<Deletions> {
  const from = reachingBack(since, until)
  const query = { limit: LIST_ROWS, archived: true, properties: 'hs_object_id' }
  for (let after: string | null = null, more = true; more; ) {
    signal.throwIfAborted()
    const page = await listPage(api, paths.list(object.name), { ...query, after }, signal)
    yield {
      externalIds: page.rows.flatMap((row) => {
        const id = idOf(row)
        const at = Date.parse(textOf(row.archivedAt))
        // HubSpot cannot be asked for a time. One that tells none is taken to be new.
        const isOld = !Number.isNaN(at) && (at < from || at >= Date.parse(until))
        return id === null || isOld
          ? []
          : [{ id, deletedAt: Number.isNaN(at) ? null : moment(new Date(at)), mergedInto: null }]
      }),
      state: null,
    }
    after = page.after
    more = after !== null
  }
  if (!object.fields.some(({ name }) => name === 'properties.hs_merged_object_ids')) {
    return
  }
  const { modified } = kindOf(object)
  const filters: readonly Filter[] = [
    { propertyName: modified, operator: 'GTE', value: String(from) },
    { propertyName: modified, operator: 'LT', value: String(Date.parse(until)) },
    { propertyName: 'hs_merged_object_ids', operator: 'HAS_PROPERTY' },
  ]
  for await (const { rows } of searchPages(api, object, filters, ['hs_merged_object_ids'], null, signal)) {
    yield {
      externalIds: rows.flatMap((row) => {
        const merged = textOf(membersOf(row.properties)?.hs_merged_object_ids).split(';')
        const ids = merged.map((id) => id.trim()).filter((id) => id !== '' && id !== idOf(row))
        return ids.map((id) => ({ id, deletedAt: null, mergedInto: idOf(row) }))
      }),
      state: null,
    }
  }
}

/** Milliseconds since 1970 from which a window is read. */
function reachingBack(since: string, until: string): number {
  const minutes = dayOf(since) === dayOf(until) ? LOOK_BACK_MINUTES : NIGHTLY_LOOK_BACK_MINUTES
  return Date.parse(since) - minutes * 60_000
}

const dayOf = (at: string): string => at.slice(0, 10)

const daysOf = ({ since, until }: { readonly since: string; readonly until: string }): number =>
  (Date.parse(until) - Date.parse(since)) / 86_400_000

/** Conditions in HubSpot's own words, as JSON: `[{"propertyName":"city","operator":"EQ","value":"Austin"}]`. */
function filtersOf(filter: string | null): Filter[] {
  if (filter === null) {
    return []
  }
  let read: unknown
  try {
    read = JSON.parse(filter)
  } catch {
    read = null
  }
  const list = Array.isArray(read) ? (read as readonly unknown[]) : []
  const good = list.filter((one): one is Filter => {
    const { propertyName, operator } = (one ?? {}) as Readonly<Record<string, unknown>>
    return typeof propertyName === 'string' && typeof operator === 'string'
  })
  if (good.length === 0 || good.length !== list.length || good.length > FILTERS_MAX) {
    throw new VendorRefused({
      code: 'BAD_FILTER',
      message: `"${filter.slice(0, 100)}" is no filter of HubSpot. Expected a list of one to ${FILTERS_MAX} conditions as JSON, e.g. [{"propertyName":"city","operator":"EQ","value":"Austin"}].`,
    })
  }
  return [...good]
}

function moment(at: Date): string {
  return at.toISOString().replace(/\.(\d{3})Z$/, '.$1000Z')
}
