/** Salesforce's Bulk API 2.0: a query runs as a job there, and its results are fetched as CSV, page by page, as a stream. */
import { RetryableError } from '../../errors.js'
import { csvRows, type Dialect } from '../files/csv.js'
import { VendorRefused, vendorUnavailable } from '../http/errors.js'
import type { VendorApi } from '../vendor.js'
import { DATA } from './soql.js'

export interface QueryJob {
  readonly id: string
  readonly state: 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Failed' | 'Aborted'
  readonly numberRecordsProcessed?: number
  readonly errorMessage?: string
}

/** Records of one answer, which costs one call of the day's budget. They are read as a stream, in half a minute or less. */
export const RESULT_ROWS = 100_000

/** Objects and queries that jobs refuse; they are read by REST. */
export const BULK_REFUSES = new Set([
  'TaskStatus',
  'CaseStatus',
  'ContractStatus',
  'OrderStatus',
  'PartnerRole',
  'RecentlyViewed',
  'AcceptedEventRelation',
  'DeclinedEventRelation',
  'UndecidedEventRelation',
  'EventWhoRelation',
  'TaskWhoRelation',
  'Attachment',
])

/** Starts a job. Not sent twice: an answer that is lost leaves a job behind that ends by itself after seven days. */
export async function startJob(api: VendorApi, soql: string, all: boolean, signal: AbortSignal): Promise<QueryJob> {
  const { value } = await api.json<QueryJob>({
    method: 'POST',
    path: `${DATA}/jobs/query`,
    json: {
      operation: all ? 'queryAll' : 'query',
      query: soql,
      contentType: 'CSV',
      columnDelimiter: 'COMMA',
      lineEnding: 'LF',
    },
    repeatable: false,
    signal,
  })
  if (typeof value?.id !== 'string') {
    throw vendorUnavailable('Salesforce’s answer to a new job has no id.')
  }
  return value
}

/** Null: the job is gone. */
export async function lookAtJob(api: VendorApi, id: string, signal: AbortSignal): Promise<QueryJob | null> {
  try {
    const { value } = await api.json<QueryJob | null>({ method: 'GET', path: `${DATA}/jobs/query/${id}`, signal })
    if (typeof value?.state !== 'string') {
      throw vendorUnavailable('Salesforce’s answer does not say how far a job is.')
    }
    return value
  } catch (error) {
    if (error instanceof VendorRefused && error.reason === 'gone') {
      return null
    }
    throw error
  }
}

export interface ResultPage {
  /** Of the next page; null: this is the last one. */
  readonly locator: string | null
  /** Rows as Salesforce counts them; null: it does not say. */
  readonly expected: number | null
  /** Values in the order of `columns`, some rows at a time. */
  rows(): AsyncGenerator<readonly (readonly string[])[]>
  /** NUL characters that were taken out of the values so far: no text here may hold one. */
  readonly nuls: () => number
}

/**
 * One page of results. Its rows throw RetryableError VENDOR_UNAVAILABLE where the answer ends too early or is not the table
 * that was asked for; then the same locator is asked for again.
 */
export async function resultPage(
  api: VendorApi,
  job: string,
  locator: string | null,
  columns: readonly string[],
  signal: AbortSignal,
): Promise<ResultPage> {
  const { value, headers } = await api.stream({
    method: 'GET',
    path: `${DATA}/jobs/query/${job}/results`,
    query: { maxRecords: RESULT_ROWS, locator },
    headers: { accept: 'text/csv' },
    signal,
  })
  const next = headers['sforce-locator']?.trim() ?? ''
  if (next === '') {
    // The end is told by a word; a page of a proxy tells nothing.
    throw cut('no locator')
  }
  const count = /^\d+$/.test(headers['sforce-numberofrecords'] ?? '') ? Number(headers['sforce-numberofrecords']) : null
  let nuls = 0
  async function* withoutNul(): AsyncGenerator<Uint8Array> {
    for await (const chunk of value) {
      if (chunk.includes(0)) {
        const kept = chunk.filter((byte) => byte !== 0)
        nuls += chunk.length - kept.length
        yield kept
      } else {
        yield chunk
      }
    }
  }
  return {
    locator: next === 'null' ? null : next,
    expected: count,
    nuls: () => nuls,
    rows: () => table(withoutNul(), columns, count),
  }
}

async function* table(
  chunks: AsyncIterable<Uint8Array>,
  columns: readonly string[],
  expected: number | null,
): AsyncGenerator<readonly (readonly string[])[]> {
  const dialect: Dialect = { encoding: 'utf-8', delimiter: ',', quote: '"', firstDataRow: 1, columns }
  let order: readonly number[] | null = null
  let read = 0
  for await (const group of csvRows(chunks, dialect)) {
    const rows: (readonly string[])[] = []
    for (const row of group) {
      if (order === null) {
        order = orderOf(row.cells, columns)
        continue
      }
      if (row.fault !== null) {
        throw cut(`line ${row.number}: ${row.fault.message}`)
      }
      const places = order
      rows.push(columns.map((_, at) => row.cells[places[at] ?? -1] ?? ''))
    }
    read += rows.length
    if (rows.length > 0) {
      yield rows
    }
  }
  if (order === null) {
    throw cut('no header')
  }
  if (expected !== null && read !== expected) {
    throw cut(`${read} records instead of ${expected}`)
  }
}

/** Where each of the columns stands in the header. */
function orderOf(header: readonly string[], columns: readonly string[]): readonly number[] {
  const names = header.map((name) => name.trim().toLowerCase())
  const order = columns.map((name) => names.indexOf(name.toLowerCase()))
  if (order.includes(-1) || names.length !== columns.length) {
    throw cut('other columns than were asked for')
  }
  return order
}

function cut(what: string): RetryableError {
  return vendorUnavailable(`Salesforce’s answer is not whole: ${what}.`)
}
