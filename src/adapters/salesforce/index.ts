/** Salesforce, as `VendorAdapter` has it. The parts: `objects` looks, `extract` reads, `derive` and `mapping` say what it is. */
import { FatalError } from '../../errors.js'
import type { Deletions, ExtractRequest, VendorAdapter, VendorApi, VendorObject } from '../vendor.js'
import { BULK_REFUSES, RESULT_ROWS } from './bulk.js'
import { extract, REST_ROWS, readRows, type Sleep, sleep } from './extract.js'
import { mapping } from './mapping.js'
import { discover } from './objects.js'
import { idOf, pages, query } from './query.js'
import {
  API_VERSION,
  conditions,
  cursorOf,
  DATA,
  has,
  hasArchive,
  lengthened,
  select,
  windowOf,
  written,
} from './soql.js'

/** How late a change can be read after the service's clock has passed its time, as far as the end of a window goes. */
const LAG_MS = 10_000

/** Deleted records stay in the recycle bin for 15 days; of what was deleted before, nothing is told. A day is left over. */
const RECYCLE_BIN_MS = 14 * 24 * 3600 * 1000

/** The adapter; `wait` for tests. */
export function salesforceAdapter(wait: Sleep = sleep): VendorAdapter {
  return {
    system: 'salesforce',
    clock: async (api, signal) => {
      const { serverTime } = await api.json<unknown>({ method: 'GET', path: `${DATA}/limits`, signal })
      // The header tells seconds; our own clock would do harm where it goes wrong.
      if (serverTime === null) {
        throw new FatalError(
          'SOURCE_WITHOUT_TIME',
          'Salesforce does not tell the time, without which changes could be missed.',
        )
      }
      return new Date(serverTime.getTime() - LAG_MS).toISOString().replace('Z', '000Z')
    },
    check: async (api, signal) => {
      const { records } = await query(api, select(['Id', 'Name'], 'Organization', '', ' LIMIT 1'), false, signal)
      const id = written(records[0]?.Id, 'TEXT')
      if (id === null) {
        throw new FatalError('SOURCE_REFUSED', 'Salesforce does not say which organisation this sign-in belongs to.')
      }
      return { id: id.slice(0, 15), name: written(records[0]?.Name, 'TEXT'), apiVersion: API_VERSION }
    },
    idOf: (_object, line) => {
      const id = (line as { readonly Id?: unknown } | null)?.Id
      return typeof id === 'string' ? lengthened(id) : null
    },
    discover,
    count: async (api, object, signal) => {
      const soql = select(['COUNT()'], object.name, conditions(object, null, null, false))
      const { totalSize } = await query(api, soql, hasArchive(object), signal)
      return { count: totalSize, exact: true }
    },
    extract: (api, request) => extract(api, request, { sleep: wait }),
    tellsDeletions: (object, window) =>
      has(object, 'IsDeleted') &&
      cursorOf(object) !== null &&
      (window === undefined || Date.parse(window.until) - Date.parse(window.since) < RECYCLE_BIN_MS),
    deletions,
    listIds: async function* (api, object, signal) {
      const request: ExtractRequest = {
        object,
        fields: ['Id'],
        state: null,
        // Of all times.
        window: { since: null, until: '2999-12-31T00:00:00.000Z' },
        ids: null,
        filter: null,
        signal,
      }
      for await (const { rows } of extract(api, request, { sleep: wait, derived: false })) {
        if (rows.length > 0) {
          yield rows.map(({ externalId }) => externalId)
        }
      }
    },
    read: (api, object, ids, fields, signal) => readRows(api, object, ids, fields, signal, new Date().toISOString()),
    mapping,
    callsFor: (object, records) =>
      records < REST_ROWS || BULK_REFUSES.has(object.name)
        ? Math.max(1, Math.ceil(records / REST_ROWS))
        : // The job is made, looked at three times or so, and fetched.
          4 + Math.ceil(records / RESULT_ROWS),
  }
}

/** What was deleted in the window. A record that was merged into another names that. */
async function* deletions(
  api: VendorApi,
  request: {
    readonly object: VendorObject
    readonly since: string
    readonly until: string
    readonly signal: AbortSignal
  },
): AsyncGenerator<Deletions> {
  const { object, since, until, signal } = request
  const cursor = cursorOf(object)
  if (cursor === null || !has(object, 'IsDeleted')) {
    return
  }
  const merges = has(object, 'MasterRecordId')
  const where = [conditions(object, windowOf({ since, until }), null, true), 'IsDeleted = true'].join(' AND ')
  const soql = select(['Id', cursor, ...(merges ? ['MasterRecordId'] : [])], object.name, where)
  for await (const records of pages(api, soql, true, signal)) {
    yield {
      externalIds: records.map((record) => {
        const into = written(record.MasterRecordId, 'TEXT')
        return {
          id: lengthened(idOf(record)),
          deletedAt: written(record[cursor], 'DATE_TIME'),
          mergedInto: into === null ? null : lengthened(into),
        }
      }),
      state: null,
    }
  }
}

export const salesforce: VendorAdapter = salesforceAdapter()
