/**
 * What every CRM that records come from can do. One folder under `src/adapters` speaks to one service and knows nothing of
 * tenants, runs or the database: it is handed a `VendorApi` that carries the sign-in, the budget and the retries, and
 * answers what it reads as rows, just as they were received. CONTRIBUTING says how a further one is added.
 */
import type { ColumnMapping } from '../pipeline/types.js'
import type { FieldKind, RecordTypeName } from '../records/types.js'
import type { CrmSystem } from '../systems.js'
import type { Answer, VendorRequest, Wait } from './http/client.js'

/**
 * The service, as the sign-in of one integration reaches it: requests with its token, in its budget, tried again where that
 * is safe. Throws PlannedPause where the service wants to be left alone for a while, VendorRefused where it will not.
 */
export interface VendorApi {
  json<T>(request: VendorRequest): Promise<Answer<T>>
  /** The answer's bytes as they come. A connection that breaks in the middle throws RetryableError out of the loop. */
  stream(request: VendorRequest): Promise<Answer<AsyncIterable<Buffer>>>
}

/** The service wants no requests for a while. Goes through the adapter to the job, which pauses the run until then. */
export class PlannedPause extends Error {
  readonly until: Date
  readonly reason: Wait['reason']
  constructor({ until, reason }: Wait) {
    super(`no requests until ${until.toISOString()} (${reason})`)
    this.name = 'PlannedPause'
    this.until = until
    this.reason = reason
  }
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** The account at the service that an integration leads to. */
export interface VendorAccount {
  /** The service's own id of it: organization, portal, company. Part of the source system of its records. */
  readonly id: string
  readonly name: string | null
  readonly apiVersion: string
}

/** A kind of record at the service. */
export interface VendorObject {
  /** As the service names it in its API. */
  readonly name: string
  readonly label: string
  readonly custom: boolean
  readonly fields: readonly VendorField[]
  /** Null where the service would have to read all of them to say. */
  readonly recordCount: number | null
  /** What its records would become here; null for what has no place. */
  readonly suggestedRecordType: RecordTypeName | null
}

export interface VendorField {
  /** The column of the file of rows that holds it. */
  readonly name: string
  readonly label: string
  readonly kind: FieldKind
  readonly custom: boolean
  /** Names of the objects that it can refer to. */
  readonly references: readonly string[]
  /** Values of an enumeration, with what people call them; null for others. */
  readonly options: readonly { readonly value: string; readonly label: string }[] | null
  /** Computed by the service; changing it does not touch the time of the record's last change. */
  readonly calculated: boolean
}

/** A record at the service, as one answer had it. */
export interface VendorRow {
  readonly externalId: string
  /** ISO 8601 UTC; null where the service says nothing. */
  readonly updatedAt: string | null
  readonly deleted: boolean
  /** The record that this one was merged into, which is why it is gone; null otherwise. */
  readonly mergedInto: string | null
  /** Just as received. */
  readonly data: { readonly [key: string]: Json }
  /**
   * What other answers say of the record, as further columns: who owns it (`ownerEmail`), ids of the records that it is
   * associated with. Names are those of the adapter's own mapping; null for nothing.
   */
  readonly derived: { readonly [column: string]: string | null }
}

export interface ExtractRequest {
  readonly object: VendorObject
  /** Names of fields to read; those that the mapping asks for and those that the adapter needs. */
  readonly fields: readonly string[]
  /** As the last page that was kept said it; null at the beginning. */
  readonly state: Json
  /**
   * Records that changed at or after the first moment and before the second, ISO 8601 UTC; `since` null: all there are. The
   * adapter reaches back by the overlap that its service needs.
   */
  readonly window: { readonly since: string | null; readonly until: string }
  /** Only these, e.g. a sample closed over its relations; null: all. */
  readonly ids: readonly string[] | null
  /** A condition in the service's own words, as the migration's creator gave it; null: none. */
  readonly filter: string | null
  readonly signal: AbortSignal
}

/** Rows, and the state that goes on after them: what came before it may be kept for good. */
export interface ExtractPage {
  readonly rows: readonly VendorRow[]
  readonly state: Json
  readonly problems: readonly VendorProblem[]
  /** True: the answer that the rows are of goes on, and whoever goes on from this state later has all of it sent again. */
  readonly inAnswer?: boolean
}

/** Of FURTHER_VALUES: a third e-mail address, or a second person of an activity. */
export const FURTHER_VALUES =
  'There are further e-mail addresses, phone numbers or links, which no field here takes unless a custom one is mapped.'

/** Something about one record that a person should know; the row is kept all the same where there is one. The message holds no value of it. */
export interface VendorProblem {
  readonly externalId: string | null
  readonly code: string
  readonly message: string
}

export interface Deletions {
  readonly externalIds: readonly {
    readonly id: string
    readonly deletedAt: string | null
    readonly mergedInto: string | null
  }[]
  readonly state: Json
}

export interface VendorAdapter {
  /** Also the first part of the source system of its records. */
  readonly system: CrmSystem
  /**
   * The service's own time less what it needs until a change can be read, ISO 8601 UTC to the microsecond: the end of the
   * window of a pass.
   */
  clock(api: VendorApi, signal: AbortSignal): Promise<string>
  /** One cheap call: who we are there. */
  check(api: VendorApi, signal: AbortSignal): Promise<VendorAccount>
  /** The id of a record in a line of the file of rows; null where it is none. */
  idOf(object: VendorObject, line: unknown): string | null
  /** Objects that can be read, in the order in which they are best loaded. */
  discover(api: VendorApi, signal: AbortSignal): Promise<readonly VendorObject[]>
  /** How many there are by the service's own word. `likely`: the count that is looked at first where one has to be searched for. */
  count(
    api: VendorApi,
    object: VendorObject,
    signal: AbortSignal,
    likely?: number,
  ): Promise<{ readonly count: number; readonly exact: boolean }>
  /** A pulled stream of pages: the next one is asked for when the one before has been kept. */
  extract(api: VendorApi, request: ExtractRequest): AsyncIterable<ExtractPage>
  /**
   * Whether a reading of all records looks by itself for what the service's pages leave out, so that listing all ids once
   * more where the service has no exact number says nothing new. Absent: no.
   */
  readonly readsWhole?: (object: VendorObject) => boolean
  /**
   * How the service tells what was deleted: by itself, or by comparing all ids. With `window`: whether it still knows what was
   * deleted since then.
   */
  readonly tellsDeletions: (
    object: VendorObject,
    window?: { readonly since: string; readonly until: string },
  ) => boolean
  /** What was deleted since, page by page; only where `tellsDeletions`. */
  deletions(
    api: VendorApi,
    request: {
      readonly object: VendorObject
      readonly since: string
      readonly until: string
      readonly signal: AbortSignal
    },
  ): AsyncIterable<Deletions>
  /** Ids of all records there are now, page by page; one may come twice where pages overlap. */
  listIds(api: VendorApi, object: VendorObject, signal: AbortSignal): AsyncIterable<readonly string[]>
  /** These records once more, for the proof; those that are gone are left out. */
  read(
    api: VendorApi,
    object: VendorObject,
    ids: readonly string[],
    fields: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly VendorRow[]>
  /**
   * Where the fields of the object go here: those that the service made, with transforms, value maps and references. Columns
   * are as in the file of rows: data flattened with dots, derived ones after `portage.`. Fields of the account's own are for
   * the suggestion. Null for an object that the adapter knows nothing about.
   */
  mapping(object: VendorObject, recordType: RecordTypeName): readonly ColumnMapping[] | null
  /** API calls that reading so many records costs at least, for the estimate before a run. */
  callsFor(object: VendorObject, records: number): number
}
