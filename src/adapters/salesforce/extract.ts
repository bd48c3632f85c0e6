/**
 * Reads an object: as a query job with locators where there is much, by REST where there is little or a job is refused. What
 * was yielded before a state may be kept for good, and reading goes on behind it: a job is fetched on where it was left, and
 * one that is gone starts anew, which can repeat records but never lose one.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { FatalError } from '../../errors.js'
import { VendorRefused, vendorUnavailable } from '../http/errors.js'
import type { ExtractPage, ExtractRequest, Json, VendorApi, VendorObject, VendorProblem, VendorRow } from '../vendor.js'
import { BULK_REFUSES, lookAtJob, resultPage, startJob } from './bulk.js'
import { derive } from './derive.js'
import { describeObject } from './objects.js'
import { byIds, fitsAddress, idOf, nextPage, type QueryPage, query, refusedAs, type SalesforceRecord } from './query.js'
import { conditions, cursorOf, has, hasArchive, lengthened, select, type Window, windowOf, written } from './soql.js'

/** Fewer records are read by REST: one page, no job. */
export const REST_ROWS = 2000

/** Records of one page that is kept. */
const PAGE_ROWS = 2000

/** Between two looks at a job: at first, and at most. Milliseconds. */
const POLL_MS = 1000
const POLL_MS_MAX = 30_000

/** Windows are not halved below this: records of one moment cannot be told apart by time. Milliseconds. */
const WINDOW_MS_MIN = 1000

/** A window that starts anew so often does not come to an end by itself. */
const RESTARTS_MAX = 5

/** How to wait; replaced by tests. */
export type Sleep = (milliseconds: number, signal: AbortSignal) => Promise<void>

export const sleep: Sleep = async (milliseconds, signal) => {
  await delay(milliseconds, undefined, { signal })
}

/** Where reading goes on. Plain data, kept with each page. */
interface State {
  /** What is still to be read; the first is in hand. */
  windows: Window[]
  /** Null: not decided yet for the window in hand. */
  how: 'BULK' | 'REST' | null
  job: string | null
  /** Of the page of results in hand; null: the first one. */
  locator: string | null
  /** Of the REST page in hand; null: the first one. */
  next: string | null
  /** Records of the page in hand that have been kept. */
  taken: number
  /** Fields that went away while reading. */
  gone: string[]
  /** Ids that have been read, of a reading by ids. */
  ids: number
  restarts: number
}

interface Reading {
  readonly api: VendorApi
  readonly request: ExtractRequest
  readonly state: State
  readonly sleep: Sleep
  /** Whether columns are derived: not for ids alone. */
  readonly derived: boolean
}

/** The window is too large for the service. */
class TooMuch extends Error {}

/** What was begun is gone: the window starts anew. */
class Anew extends Error {}

/** All pages behind the state of the request. */
export async function* extract(
  api: VendorApi,
  request: ExtractRequest,
  options: { readonly sleep: Sleep; readonly derived?: boolean },
): AsyncGenerator<ExtractPage> {
  const reading: Reading = {
    api,
    request,
    state: stateOf(request),
    sleep: options.sleep,
    derived: options.derived ?? true,
  }
  const { state } = reading
  if (request.ids !== null) {
    yield* readIds(reading, request.ids)
    return
  }
  for (let window = state.windows[0]; window !== undefined; window = state.windows[0]) {
    try {
      yield* readWindow(reading, window)
    } catch (error) {
      const problems = await recovered(reading, window, error)
      yield { ...page(reading, []), problems }
    }
  }
}

function stateOf({ state, window }: ExtractRequest): State {
  const kept = (state ?? {}) as Partial<Record<keyof State, Json>>
  const text = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null)
  return {
    windows: Array.isArray(kept.windows) ? [...(kept.windows as unknown as Window[])] : [windowOf(window)],
    how: kept.how === 'BULK' || kept.how === 'REST' ? kept.how : null,
    job: text(kept.job),
    locator: text(kept.locator),
    next: text(kept.next),
    taken: Number(kept.taken ?? 0),
    gone: Array.isArray(kept.gone) ? kept.gone.map((name) => String(name)) : [],
    ids: Number(kept.ids ?? 0),
    restarts: Number(kept.restarts ?? 0),
  }
}

/**
 * The window in hand is done. Told with its last page: a state between the two would have that page read again, or all of the
 * window.
 */
function end(state: State): void {
  state.windows.shift()
  begin(state, 0)
}

/** The state at the start of a window. */
function begin(state: State, restarts: number): void {
  Object.assign(state, { how: null, job: null, locator: null, next: null, taken: 0, restarts })
}

function page({ state }: Reading, rows: readonly VendorRow[], problems: readonly VendorProblem[] = []): ExtractPage {
  return { rows, state: JSON.parse(JSON.stringify({ v: 1, ...state })) as Json, problems }
}

/** Puts the state right after what went wrong, or throws it on. */
async function recovered(reading: Reading, window: Window, error: unknown): Promise<readonly VendorProblem[]> {
  const { api, request, state } = reading
  if (error instanceof TooMuch || refusedAs(error, 'QUERY_TIMEOUT', 'OPERATION_TOO_LARGE')) {
    const [earlier, later] = await halved(reading, window)
    state.windows.splice(0, 1, earlier, later)
    begin(state, 0)
    return []
  }
  if (error instanceof Anew || refusedAs(error, 'INVALID_QUERY_LOCATOR', 'INVALIDJOB')) {
    if (state.restarts >= RESTARTS_MAX) {
      throw vendorUnavailable(`Salesforce let the reading of ${request.object.name} get lost ${RESTARTS_MAX} times.`)
    }
    begin(state, state.restarts + 1)
    return []
  }
  if (refusedAs(error, 'INVALID_FIELD')) {
    const there = await describeObject(api, request.object.name, request.signal)
    const gone = there === null ? [] : fieldsOf(reading).filter((name) => !name.includes('.') && !there.has(name))
    if (gone.length === 0) {
      throw error
    }
    state.gone.push(...gone)
    begin(state, state.restarts)
    return gone.map((name) => ({
      externalId: null,
      code: 'FIELD_GONE',
      message: `${request.object.name} has no field ${name} any more: it is read without it.`,
    }))
  }
  throw error
}

/** The window in two, by time. */
async function halved({ api, request }: Reading, [from, until]: Window): Promise<readonly [Window, Window]> {
  const cursor = cursorOf(request.object)
  let start = from
  if (start === null && cursor !== null) {
    const where = conditions(request.object, null, request.filter, isChange(request))
    const first = await query(
      api,
      select([cursor], request.object.name, where, ` ORDER BY ${cursor} ASC LIMIT 1`),
      isAll(request),
      request.signal,
    )
    start = written(first.records[0]?.[cursor], 'DATE_TIME')
  }
  const [low, high] = [Date.parse(start ?? until), Date.parse(until)]
  if (cursor === null || high - low <= WINDOW_MS_MIN) {
    throw new FatalError(
      'SOURCE_TOO_SLOW',
      `Salesforce cannot answer for ${request.object.name} in time, however little is asked for. A filter with fewer records may help.`,
    )
  }
  const middle = new Date(Math.floor((low + high) / 2)).toISOString()
  return [
    [from, middle],
    [middle, until],
  ]
}

/** A pass over changes reads deleted records too. */
function isChange({ window }: ExtractRequest): boolean {
  return window.since !== null
}

/** Whether deleted and archived records have to be seen. */
function isAll(request: ExtractRequest): boolean {
  return (isChange(request) && has(request.object, 'IsDeleted')) || hasArchive(request.object)
}

/** What is selected: what is asked for, and what a record cannot be told without. */
function fieldsOf({ request, state }: Reading): readonly string[] {
  const needed = ['Id', cursorOf(request.object), 'IsDeleted', 'MasterRecordId'].filter(
    (name): name is string => name !== null && (name === 'Id' || has(request.object, name)),
  )
  const asked = request.fields.filter((name) => has(request.object, name) && !name.startsWith('portage.'))
  return [...new Set([...needed, ...asked])].filter((name) => !state.gone.includes(name))
}

async function* readWindow(reading: Reading, window: Window): AsyncGenerator<ExtractPage> {
  const { request, state, api } = reading
  const { object, signal } = request
  const fields = fieldsOf(reading)
  const soql = select(fields, object.name, conditions(object, window, request.filter, isChange(request)))
  const bulk = !BULK_REFUSES.has(object.name)
  if (state.how === null) {
    // How much there is where nobody has counted, as of changes, is told by the first REST page, which mostly is the only one.
    const much = bulk && (!fitsAddress(soql) || (!isChange(request) && (object.recordCount ?? 0) >= REST_ROWS))
    state.how = much ? 'BULK' : 'REST'
  }
  if (state.how === 'REST') {
    if (!fitsAddress(soql)) {
      yield* readByIdPages(reading, window, fields)
      return
    }
    const first = state.next === null ? await query(api, soql, isAll(request), signal) : null
    if (first === null || !bulk || first.totalSize <= REST_ROWS) {
      yield* readRest(reading, first)
      return
    }
    state.how = 'BULK'
  }
  try {
    yield* readJob(reading, soql, fields)
  } catch (error) {
    if (!refusedAs(error, 'INVALIDENTITY', 'not supported in Bulk', 'not supported by the Bulk')) {
      throw error
    }
    begin(state, state.restarts)
    state.how = 'REST'
    yield* fitsAddress(soql)
      ? readRest(reading, await query(api, soql, isAll(request), signal))
      : readByIdPages(reading, window, fields)
  }
}

async function* readRest(reading: Reading, first: QueryPage | null): AsyncGenerator<ExtractPage> {
  const { api, request, state } = reading
  let current = first
  for (;;) {
    if (current === null) {
      if (state.next === null) {
        return
      }
      current = await nextPage(api, state.next, request.signal)
    }
    const { rows, problems } = await rowsOf(reading, current.records)
    const next = current.done ? null : (current.nextRecordsUrl ?? null)
    if (next !== null && next === state.next) {
      throw new Anew('the next page is this one')
    }
    state.next = next
    if (next === null) {
      end(state)
    }
    yield page(reading, rows, problems)
    if (next === null) {
      return
    }
    current = null
  }
}

/** Where the names of the fields alone are too long for an address: the ids first, then their fields in parts. */
async function* readByIdPages(
  reading: Reading,
  window: Window,
  fields: readonly string[],
): AsyncGenerator<ExtractPage> {
  const { api, request, state } = reading
  const { object, signal } = request
  const soql = select(['Id'], object.name, conditions(object, window, request.filter, isChange(request)))
  let current =
    state.next === null ? await query(api, soql, isAll(request), signal) : await nextPage(api, state.next, signal)
  for (;;) {
    const ids = current.records.map(idOf)
    const { rows, problems } = await rowsOf(reading, await byIds(api, object.name, ids, fields, isAll(request), signal))
    const next = current.done ? null : (current.nextRecordsUrl ?? null)
    state.next = next
    if (next === null) {
      end(state)
    }
    yield page(reading, rows, problems)
    if (next === null) {
      return
    }
    current = await nextPage(api, next, signal)
  }
}

async function* readJob(reading: Reading, soql: string, fields: readonly string[]): AsyncGenerator<ExtractPage> {
  const { api, request, state } = reading
  const { signal } = request
  if (state.job === null) {
    state.job = (await startJob(api, soql, isAll(request), signal)).id
    // Kept before anything else, so that a crash leaves no second job behind.
    yield page(reading, [])
  }
  if (state.locator === null && state.taken === 0) {
    yield* waitForJob(reading, state.job)
  }
  for (;;) {
    const results = await resultsOf(reading, state.job, fields)
    let seen = 0
    let batch: SalesforceRecord[] = []
    const flush = async (): Promise<ExtractPage> => {
      const { rows, problems } = await rowsOf(reading, batch)
      state.taken += batch.length
      batch = []
      return { ...page(reading, rows, problems), inAnswer: true }
    }
    for await (const group of results.rows()) {
      for (const values of group) {
        seen += 1
        if (seen > state.taken + batch.length) {
          batch.push(Object.fromEntries(fields.map((name, at) => [name, values[at] ?? null])))
        }
        if (batch.length >= PAGE_ROWS) {
          yield await flush()
        }
      }
    }
    const last = await flush()
    const nuls = results.nuls()
    const problems =
      nuls === 0
        ? last.problems
        : [
            ...last.problems,
            { externalId: null, code: 'NUL_REMOVED', message: `${nuls} NUL characters were taken out of texts.` },
          ]
    const { locator } = results
    if (locator !== null && locator === state.locator) {
      throw new Anew('the next page is this one')
    }
    state.locator = locator
    state.taken = 0
    if (locator === null) {
      end(state)
    }
    yield page(reading, last.rows, problems)
    if (locator === null) {
      return
    }
  }
}

/** Looks at the job until it is done; every second there is a page without rows, so that a worker can be stopped meanwhile. */
async function* waitForJob(reading: Reading, id: string): AsyncGenerator<ExtractPage> {
  const { api, request, sleep: wait } = reading
  for (let pause = POLL_MS; ; pause = Math.min(POLL_MS_MAX, pause * 2)) {
    const job = await lookAtJob(api, id, request.signal)
    if (job === null || job.state === 'Aborted') {
      throw new Anew('the job is gone')
    }
    if (job.state === 'JobComplete') {
      return
    }
    if (job.state === 'Failed') {
      const message = job.errorMessage ?? 'no reason'
      if (/QUERY_TIMEOUT|OPERATION_TOO_LARGE/.test(message)) {
        throw new TooMuch(message)
      }
      const code = /\b(INVALID_FIELD|INVALIDENTITY|INVALID_TYPE|MALFORMED_QUERY)\b/.exec(message)?.[1] ?? 'JOB_FAILED'
      throw new VendorRefused({
        code,
        message: `Salesforce’s job for ${request.object.name} failed: ${message.slice(0, 300)}`,
      })
    }
    // In steps: whoever reads may have to stop or to make way.
    for (let left = pause; left > 0; left -= POLL_MS) {
      yield page(reading, [])
      await wait(Math.min(left, POLL_MS), request.signal)
    }
  }
}

async function resultsOf({ api, request, state }: Reading, job: string, fields: readonly string[]) {
  try {
    return await resultPage(api, job, state.locator, fields, request.signal)
  } catch (error) {
    // Gone after seven days or because somebody deleted it; made by another version; a locator that is not known any more.
    if (error instanceof VendorRefused && (error.reason === 'gone' || error.status === 409 || error.status === 400)) {
      throw new Anew('the results are gone')
    }
    throw error
  }
}

async function* readIds(reading: Reading, ids: readonly string[]): AsyncGenerator<ExtractPage> {
  const { api, request, state } = reading
  const all = [...new Set(ids.map(lengthened))]
  while (state.ids < all.length) {
    const some = all.slice(state.ids, state.ids + 200)
    try {
      const fields = fieldsOf(reading)
      const records = await byIds(api, request.object.name, some, fields, isAll(request), request.signal)
      // An account that is a person is no record of its own, whoever refers to it.
      const standing = records.filter(
        ({ IsPersonAccount }) => request.object.name !== 'Account' || IsPersonAccount !== true,
      )
      const { rows, problems } = await rowsOf(reading, standing)
      state.ids += some.length
      yield page(reading, rows, problems)
    } catch (error) {
      if (!refusedAs(error, 'INVALID_FIELD')) {
        throw error
      }
      const problems = await recovered(reading, windowOf(request.window), error)
      yield { ...page(reading, []), problems }
    }
  }
}

/** Records by id, for the proof. */
export async function readRows(
  api: VendorApi,
  object: VendorObject,
  ids: readonly string[],
  fields: readonly string[],
  signal: AbortSignal,
  now: string,
): Promise<readonly VendorRow[]> {
  const request: ExtractRequest = {
    object,
    fields,
    state: null,
    window: { since: null, until: now },
    ids,
    filter: null,
    signal,
  }
  const rows: VendorRow[] = []
  for await (const { rows: some } of extract(api, request, { sleep })) {
    rows.push(...some.filter(({ deleted }) => !deleted))
  }
  return rows
}

async function rowsOf(
  reading: Reading,
  records: readonly SalesforceRecord[],
): Promise<{ readonly rows: readonly VendorRow[]; readonly problems: readonly VendorProblem[] }> {
  const { api, request, derived: wanted } = reading
  const { object, signal, window } = request
  const fields = fieldsOf(reading)
  const kinds = new Map(object.fields.map(({ name, kind }) => [name, kind]))
  const cursor = cursorOf(object)
  const rows: VendorRow[] = []
  const problems: VendorProblem[] = []
  const derivation = { api, object, now: window.until, signal }
  for (const record of records) {
    const data: Record<string, string | null> = {}
    for (const name of fields) {
      const value = written(valueOf(record, name), kinds.get(name) ?? 'TEXT')
      data[name] = value === null || !value.includes('\u0000') ? value : value.replaceAll('\u0000', '')
      if (data[name] !== value) {
        problems.push({ externalId: idOf(record), code: 'NUL_REMOVED', message: `${name} held a NUL character.` })
      }
    }
    const id = data.Id
    if (typeof id !== 'string') {
      throw vendorUnavailable(`Salesforce gave a record of ${object.name} without an id.`)
    }
    const into = data.MasterRecordId ?? null
    rows.push({
      externalId: lengthened(id),
      updatedAt: cursor === null ? null : (data[cursor] ?? null),
      deleted: data.IsDeleted === 'true',
      mergedInto: into === null ? null : lengthened(into),
      data,
      derived: wanted ? await derive(derivation, data) : {},
    })
  }
  return { rows, problems }
}

/** `Account.PersonContactId` is a column of its own in CSV, and inside `Account` in JSON. */
function valueOf(record: SalesforceRecord, name: string): Json | undefined {
  if (name in record || !name.includes('.')) {
    return record[name]
  }
  const [outer = '', inner = ''] = name.split('.')
  const related = record[outer]
  return related !== null && typeof related === 'object' && !Array.isArray(related)
    ? (related as Readonly<Record<string, Json>>)[inner]
    : null
}
