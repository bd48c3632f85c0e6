/**
 * What the simulators of CRMs have in common, in words: how one is started, what a test can tell it to do, and what it says of
 * what it was asked. A simulator is written from the services' own documents, never from an adapter's code or types.
 */
import type { IncomingHttpHeaders } from 'node:http'

/** A value as JSON has it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/** A record as the service answers it. */
export type Row = { readonly [field: string]: Json }

/**
 * What can go wrong between a simulator and its client.
 *
 * - EXPIRE_TOKEN: all access tokens end just before the request; a refresh token gives a new one.
 * - REFUSE_TOKENS: as EXPIRE_TOKEN, and every newer access token is refused too, until `times` requests have been.
 * - RESET_BEFORE_HEADERS, RESET_AFTER_HEADERS, RESET_IN_BODY: the connection breaks.
 * - SLOW_BODY: the body comes in small parts with pauses. SHORT_BODY: fewer bytes than `content-length` said.
 * - STATUS_500, 502, 503, 504: the service's own error body. HTML_ERROR: a gateway's page with 502.
 * - EMPTY_BODY: 200 and nothing. HTML_AS_JSON: 200, `application/json`, and a page in it.
 * - BURST_LIMIT, DAILY_LIMIT: as the service says it.
 * - ROWS_MOVE: some records of the object that is being read change just before the request, so that they move to a later page.
 * - ROWS_GO: some records that came on earlier pages are deleted, so that later ones move to earlier pages.
 * - CLOCK_SKEW: the service's clock jumps by five minutes, forwards and backwards in turn.
 * - UNKNOWN_FIELDS: every record has one more field. NULL_FIELDS: a field of every third record is null.
 *   TYPE_CHANGE: a number of every third record is a text, `N/A`.
 * - NEW_FIELD, REMOVED_FIELD: a custom field comes or goes, in descriptions and records.
 * - OWN: the service's own kind; `name` says which, see the simulator.
 */
export type FaultKind =
  | 'EXPIRE_TOKEN'
  | 'REFUSE_TOKENS'
  | 'RESET_BEFORE_HEADERS'
  | 'RESET_AFTER_HEADERS'
  | 'RESET_IN_BODY'
  | 'SLOW_BODY'
  | 'SHORT_BODY'
  | 'STATUS_500'
  | 'STATUS_502'
  | 'STATUS_503'
  | 'STATUS_504'
  | 'HTML_ERROR'
  | 'EMPTY_BODY'
  | 'HTML_AS_JSON'
  | 'BURST_LIMIT'
  | 'DAILY_LIMIT'
  | 'ROWS_MOVE'
  | 'ROWS_GO'
  | 'CLOCK_SKEW'
  | 'UNKNOWN_FIELDS'
  | 'NULL_FIELDS'
  | 'TYPE_CHANGE'
  | 'NEW_FIELD'
  | 'REMOVED_FIELD'
  | 'OWN'

/** One thing that goes wrong. */
export interface Fault {
  readonly kind: FaultKind
  /** For OWN: which of the service's own. */
  readonly name?: string
  /** Requests (of those that fit `path`) that go well before it; 0: the very next one. */
  readonly after: number
  /** Only requests whose path fits. Absent: every request of the API, never one for tokens. */
  readonly path?: RegExp
  /** Requests that it happens to, one after the other; 1 if absent. */
  readonly times?: number
}

/**
 * What a service can claim wrongly while every answer looks well. A lie is told by lists, jobs and counts; a record that is
 * read by its id, and `rows()`, tell the truth, so that a suite can find it out. Each simulator says which of them it can tell.
 */
export const LIES = [
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
] as const

export type LieName = (typeof LIES)[number]

/** A request as the simulator saw it: enough to judge pace, and nothing that is secret. */
export interface LoggedRequest {
  /** Milliseconds of the simulator's clock. */
  readonly at: number
  readonly method: string
  readonly path: string
  readonly query: { readonly [name: string]: string }
  /** Authorization is cut down to its scheme, cookies are left out. */
  readonly headers: IncomingHttpHeaders
  /** Bytes of the body that was sent. */
  readonly bodyBytes: number
  /** Requests under way when this one came, itself included. */
  readonly concurrent: number
  /** Number of the sign-in whose token it carried; null: none or no good one. */
  readonly grant: number | null
  /** True if a secret of the simulator stood in the address. */
  readonly secretInAddress: boolean
  /** What was answered; 0: the connection was cut before. */
  status: number
  /** Records in the answer. */
  rows: number
  fault: string | null
}

/** How a simulator starts. */
export interface SimulatorOptions {
  /** The same seed gives the same records; 1 if absent. */
  readonly seed?: number
  /** Records of each object there are at the start; an object that is not named has the simulator's own small number. */
  readonly counts?: { readonly [object: string]: number }
  /** The time at which the simulator's clock starts, from where it runs on; 2026-03-02T09:00:00Z if absent. */
  readonly now?: Date
  /** Instead of a clock that runs: milliseconds since 1970. */
  readonly clock?: () => number
  readonly clientId?: string
  readonly clientSecret?: string
  /** Seconds that an access token lives; the service's own if absent. */
  readonly tokenSeconds?: number
  /** Whether a refresh gives a new refresh token and ends the one before; the service's own way if absent. */
  readonly rotate?: boolean
  /** Texts with emoji, right-to-left script, NUL, lone surrogates, line breaks and 32,000 characters; true if absent. */
  readonly nasty?: boolean
  /** Whether each answer is checked before it goes out; true if absent. A wrong one makes `close` throw. */
  readonly validate?: boolean
  /** Answers of more than 1 KB are packed where the client asks for it; true if absent. */
  readonly gzip?: boolean
  /** Whether the rate limits of the service hold; true if absent. */
  readonly limits?: boolean
}

/** Tokens of one sign-in, given without a browser. */
export interface GivenTokens {
  readonly accessToken: string
  readonly refreshToken: string
}

/** The service's authorization server. */
export interface SimulatedOAuth {
  readonly clientId: string
  readonly clientSecret: string
  /** Refresh tokens that were taken. */
  readonly refreshes: number
  /** Codes that were taken. */
  readonly exchanges: number
  /** Codes and refresh tokens that were answered with an error. */
  readonly denials: number
  /** Every token and code that was ever given out: none may be found anywhere else. */
  readonly secrets: readonly string[]
  /** A sign-in without a browser. */
  connect(): GivenTokens
  /** Ends the access tokens there are; refresh tokens stay good. */
  expire(): void
  /** Ends every sign-in there is. */
  revokeAll(): void
}

/** A service that was started. */
export interface Simulator {
  /** Origin of everything: authorization, tokens, API. */
  readonly url: string
  readonly oauth: SimulatedOAuth
  /** Names of its objects. */
  readonly objects: readonly string[]
  /** The simulator's time, milliseconds since 1970. */
  now(): number
  /** Sets the clock, which runs on from there. */
  setClock(at: Date): void
  /** Moves the clock, forwards or backwards. */
  advance(milliseconds: number): void
  /** Things that will go wrong, instead of those that have not happened yet. */
  script(faults: readonly Fault[]): void
  /** Faults that have not happened (to the end) yet. */
  readonly pending: readonly Fault[]
  /** From now on the service lies so; null: it stops. Throws for a lie that this simulator cannot tell. */
  lie(name: LieName | null): void
  /** Lies that it can tell. */
  readonly lies: readonly LieName[]
  /** Changes so many records now. With `lateMs` they can be read only so much later than their time of change says. */
  edit(object: string, n: number, options?: { readonly lateMs?: number }): readonly string[]
  /** Deletes so many records now. */
  delete(object: string, n: number): readonly string[]
  /** Makes so many new records now. */
  add(object: string, n: number): readonly string[]
  readonly requests: readonly LoggedRequest[]
  /** Answers that were not as the service's description has them. */
  readonly violations: readonly string[]
  /** Records that there are now. */
  count(object: string): number
  /** The truth, record by record, in the order of their ids. */
  rows(object: string): Iterable<Row>
  /** Throws if an answer was wrong. */
  close(): Promise<void>
}

/** What a request asks for, with its address read. */
export interface SimRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The sign-in it came with. */
  readonly grant: number
}

/** An answer before anything is done to it. */
export interface SimAnswer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  /** JSON, a text as it is, or parts of a text. */
  readonly body: { readonly json: Json } | { readonly text: string; readonly type: string } | SimParts
  /** What it is checked as; absent: not checked. */
  readonly schema?: string
  /** Records in it. */
  readonly rows?: number
  /**
   * What a lie is to make of it, once it was checked. Lies that change what may be asked next (cursors, counts) are in
   * `json` already.
   */
  readonly bent?: Json
}

/** A long answer, made while it is sent. */
export interface SimParts {
  readonly parts: Iterable<string>
  readonly type: string
}
