/** Salesforce's REST queries: pages of at most 2,000 records, followed by the addresses that it gives. */
import { VendorRefused, vendorUnavailable } from '../http/errors.js'
import type { Json, VendorApi } from '../vendor.js'
import { DATA, literal, select } from './soql.js'

/** As one answer has it. */
export interface QueryPage {
  readonly totalSize: number
  readonly done: boolean
  readonly nextRecordsUrl?: string
  readonly records: readonly SalesforceRecord[]
}

export type SalesforceRecord = Readonly<Record<string, Json>>

/** The record's id; '' where it has none. */
export function idOf(record: SalesforceRecord): string {
  return typeof record.Id === 'string' ? record.Id : ''
}

/** Address and headers may have 16,384 bytes together; a token and the rest of the headers take a part of them. */
const ADDRESS_BYTES_MAX = 12_000

/** Ids that are asked for at once: their list fits into an address with the names of the fields. */
const IDS_MAX = 200

export function fitsAddress(soql: string): boolean {
  return encodeURIComponent(soql).length <= ADDRESS_BYTES_MAX
}

/** The first page. `all`: deleted and archived records too. */
export async function query(api: VendorApi, soql: string, all: boolean, signal: AbortSignal): Promise<QueryPage> {
  const { value } = await api.json<QueryPage>({
    method: 'GET',
    path: `${DATA}/${all ? 'queryAll' : 'query'}`,
    query: { q: soql },
    headers: { 'sforce-query-options': 'batchSize=2000' },
    signal,
  })
  return wholePage(value)
}

/** The page behind, at the address that the page before gave. */
export async function nextPage(api: VendorApi, address: string, signal: AbortSignal): Promise<QueryPage> {
  const { value } = await api.json<QueryPage>({ method: 'GET', path: address, signal })
  return wholePage(value)
}

/** An answer without what it is about is a fault of the way: taken for an end, it would be a gap. */
function wholePage(value: QueryPage | null): QueryPage {
  if (!Array.isArray(value?.records) || typeof value.done !== 'boolean' || typeof value.totalSize !== 'number') {
    throw vendorUnavailable('Salesforce’s answer to a query has no records.')
  }
  if (!value.done && value.nextRecordsUrl === undefined) {
    throw vendorUnavailable('Salesforce says that there is more, and not where.')
  }
  return value
}

/** Page by page to the end. */
export async function* pages(
  api: VendorApi,
  soql: string,
  all: boolean,
  signal: AbortSignal,
): AsyncGenerator<readonly SalesforceRecord[]> {
  let page = await query(api, soql, all, signal)
  for (;;) {
    yield page.records
    if (page.done || page.nextRecordsUrl === undefined) {
      return
    }
    page = await nextPage(api, page.nextRecordsUrl, signal)
  }
}

/**
 * These records with these fields. Fields that do not fit into one address are asked for in several queries, whose answers are
 * put together by id. Those that are gone are left out.
 */
export async function byIds(
  api: VendorApi,
  object: string,
  ids: readonly string[],
  fields: readonly string[],
  all: boolean,
  signal: AbortSignal,
): Promise<readonly SalesforceRecord[]> {
  const found: SalesforceRecord[] = []
  for (let at = 0; at < ids.length; at += IDS_MAX) {
    const where = `Id IN (${ids
      .slice(at, at + IDS_MAX)
      .map(literal)
      .join(',')})`
    const merged = new Map<string, SalesforceRecord>()
    for (const group of groups(fields, (names) => fitsAddress(select(names, object, where)))) {
      for await (const records of pages(api, select(group, object, where), all, signal)) {
        for (const record of records) {
          const id = idOf(record)
          merged.set(id, { ...merged.get(id), ...record })
        }
      }
    }
    found.push(...merged.values())
  }
  return found
}

/** Fields in as few groups as fit, each with the id. */
function groups(
  fields: readonly string[],
  fits: (names: readonly string[]) => boolean,
): readonly (readonly string[])[] {
  const result: string[][] = [['Id']]
  for (const name of fields) {
    const last = result.at(-1) ?? []
    if (last.includes(name)) {
      continue
    }
    if (last.length === 1 || fits([...last, name])) {
      last.push(name)
    } else {
      result.push(['Id', name])
    }
  }
  return result
}

/** Whether Salesforce refused with one of these codes. */
export function refusedAs(error: unknown, ...codes: readonly string[]): error is VendorRefused {
  return error instanceof VendorRefused && codes.some((code) => error.code === code || error.message.includes(code))
}
