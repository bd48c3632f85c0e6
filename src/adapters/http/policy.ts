/** What a vendor's limits and errors look like, as data: the client has no vendor's name in it. */
import type { CrmSystem } from '../../systems.js'

/** How fast one account may be asked. The bucket holds `capacity` and fills by `perSecond`. */
export interface Pace {
  readonly capacity: number
  readonly perSecond: number
  /** Requests under way at once; null: any number. */
  readonly concurrent: number | null
}

/** Why a planned pause is made. */
export type WaitReason = 'BURST' | 'DAILY_QUOTA' | 'CONCURRENCY' | 'VENDOR_BUSY'

/**
 * What an answer other than success means. `busy`: for now, try again with back-off; a pause: try again when it is over,
 * after `seconds` where the answer names no time.
 */
export type Verdict =
  | 'unauthorized'
  | 'permission'
  | 'gone'
  | 'request'
  | 'busy'
  | { readonly pause: WaitReason; readonly seconds: number }

/** The first rule that fits an answer decides. */
export interface FaultRule {
  readonly statuses: readonly number[]
  /** Found in the vendor's code or message. Absent: whatever they are. */
  readonly text?: RegExp
  /** True: only for an answer that is no JSON, e.g. the page of a proxy. */
  readonly page?: true
  readonly verdict: Verdict
}

/** What an answer's headers tell of the budget; null: nothing. Numbers of the vendor's own unit. */
export interface Told {
  readonly dayUsed: number | null
  readonly dayLimit: number | null
  /** Seconds until nothing may be asked any more is over; null: more may be asked. */
  readonly emptyForSeconds: number | null
}

export interface VendorPolicy {
  readonly system: CrmSystem
  /** What the unit of the daily budget is called, for people. */
  readonly unit: 'requests' | 'tokens'
  /** For every request. */
  readonly pace: Pace
  /** For requests that the vendor counts apart besides, by the name of their lane. */
  readonly lanes: Readonly<Record<string, Pace>>
  /** Of the day's budget, what Portage takes at most; the rest is for the tenant's other programs. */
  readonly dayShare: number
  /** Of a day, when it is not told. Null: not known, so not kept count against. */
  readonly dayLimit: number | null
  readonly faults: readonly FaultRule[]
  /** Names in the body of an error, the first that is there; in an array, of its first member. */
  readonly codeFields: readonly string[]
  readonly messageFields: readonly string[]
  readonly correlationFields: readonly string[]
  told(headers: Readonly<Record<string, string>>): Told
}

/** Transient wherever they come from; before a vendor's own rules only where those say nothing. */
const TRANSIENT = [408, 420, 423, 425, 429, 500, 502, 503, 504, 521, 522, 523, 524]

const HOUR = 3600

/** An unsigned number of a header; null for none. */
function number(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text.trim()) ? Number(text) : null
}

/**
 * Salesforce: no Retry-After, one header with the usage of the day. 80 % of the day is what the adapters of others take at
 * most, too. Of requests longer than 20 seconds 25 may be under way (5 in Developer Edition), so 5 at once.
 */
export const salesforcePolicy: VendorPolicy = {
  system: 'salesforce',
  unit: 'requests',
  pace: { capacity: 10, perSecond: 10, concurrent: 5 },
  lanes: {},
  dayShare: 0.8,
  // A Developer Edition's, the smallest, until an answer tells.
  dayLimit: 15_000,
  faults: [
    { statuses: [401], verdict: 'unauthorized' },
    // The window of 24 hours slides: an hour later there is room again.
    { statuses: [403], text: /TotalRequests Limit/i, verdict: { pause: 'DAILY_QUOTA', seconds: HOUR } },
    { statuses: [403], text: /REQUEST_LIMIT_EXCEEDED/, verdict: { pause: 'CONCURRENCY', seconds: 10 } },
    { statuses: [403], text: /SERVER_UNAVAILABLE/, verdict: 'busy' },
    { statuses: [403], page: true, verdict: 'busy' },
    { statuses: [403], verdict: 'permission' },
    { statuses: [400], text: /UNABLE_TO_LOCK_ROW/, verdict: 'busy' },
    { statuses: [404, 410], verdict: 'gone' },
    { statuses: [406, ...TRANSIENT], verdict: 'busy' },
  ],
  codeFields: ['errorCode', 'error'],
  messageFields: ['message', 'error_description'],
  correlationFields: [],
  told: (headers) => {
    const [, used, limit] = /\bapi-usage=(\d{1,15})\/(\d{1,15})/.exec(headers['sforce-limit-info'] ?? '') ?? []
    return { dayUsed: number(used), dayLimit: number(limit), emptyForSeconds: null }
  },
}

/** HubSpot: 100 requests in 10 seconds in the smallest plan, 5 searches a second besides; the body of a 429 names its policy. */
export const hubspotPolicy: VendorPolicy = {
  system: 'hubspot',
  unit: 'requests',
  // In any 10 seconds at most 10 + 80: below the 100 even where clocks differ a little.
  pace: { capacity: 10, perSecond: 8, concurrent: null },
  lanes: { search: { capacity: 1, perSecond: 3.5, concurrent: null } },
  dayShare: 0.8,
  dayLimit: 250_000,
  faults: [
    { statuses: [401], verdict: 'unauthorized' },
    // Midnight of the account's zone ends it, which is not told: it is looked once an hour.
    { statuses: [429], text: /\bDAILY\b|daily limit/i, verdict: { pause: 'DAILY_QUOTA', seconds: HOUR } },
    { statuses: [429], text: /TEN_SECONDLY/, verdict: { pause: 'BURST', seconds: 10 } },
    { statuses: [429], verdict: { pause: 'BURST', seconds: 1 } },
    { statuses: [477], verdict: { pause: 'VENDOR_BUSY', seconds: HOUR } },
    { statuses: [403], page: true, verdict: 'busy' },
    { statuses: [403], verdict: 'permission' },
    { statuses: [404, 410], verdict: 'gone' },
    { statuses: TRANSIENT, verdict: 'busy' },
  ],
  codeFields: ['policyName', 'category', 'errorType', 'error', 'status'],
  messageFields: ['message', 'error_description'],
  correlationFields: ['correlationId'],
  told: (headers) => {
    const limit = number(headers['x-hubspot-ratelimit-daily'])
    const left = number(headers['x-hubspot-ratelimit-daily-remaining'])
    return {
      dayUsed: limit === null || left === null ? null : Math.max(0, limit - left),
      dayLimit: limit,
      emptyForSeconds: null,
    }
  },
}

/**
 * Pipedrive: each request costs tokens of a budget that the whole company shares, and 20 requests may come in 2 seconds in
 * the smallest plan. Who goes on after a 429 gets a page with 403 from the proxy in front, which is no verdict on the token.
 */
export const pipedrivePolicy: VendorPolicy = {
  system: 'pipedrive',
  unit: 'tokens',
  pace: { capacity: 5, perSecond: 5, concurrent: null },
  lanes: {},
  dayShare: 0.5,
  // The smallest plan with one seat.
  dayLimit: 30_000,
  faults: [
    { statuses: [401], verdict: 'unauthorized' },
    { statuses: [429], text: /daily|per day/i, verdict: { pause: 'DAILY_QUOTA', seconds: HOUR } },
    { statuses: [429], verdict: { pause: 'BURST', seconds: 2 } },
    { statuses: [403], page: true, verdict: { pause: 'VENDOR_BUSY', seconds: 60 } },
    { statuses: [402, 403], verdict: 'permission' },
    { statuses: [404, 410], verdict: 'gone' },
    { statuses: TRANSIENT, verdict: 'busy' },
  ],
  codeFields: ['code', 'errorCode'],
  messageFields: ['error', 'message', 'error_info'],
  correlationFields: [],
  told: (headers) => {
    const left = number(headers['x-ratelimit-remaining'])
    const reset = number(headers['x-ratelimit-reset'])
    return { dayUsed: null, dayLimit: null, emptyForSeconds: left === 0 ? (reset ?? 2) : null }
  },
}

const policies: Readonly<Record<CrmSystem, VendorPolicy>> = {
  salesforce: salesforcePolicy,
  hubspot: hubspotPolicy,
  pipedrive: pipedrivePolicy,
}

/** The policy of this CRM. */
export function policyOf(system: CrmSystem): VendorPolicy {
  return policies[system]
}

/** What the answer means by the policy; server faults that it does not know are transient, the rest is about the request. */
export function verdictOf(policy: VendorPolicy, status: number, text: string, page: boolean): Verdict {
  const rule = policy.faults.find(
    (candidate) =>
      candidate.statuses.includes(status) &&
      (candidate.page !== true || page) &&
      (candidate.text === undefined || candidate.text.test(text)),
  )
  return rule?.verdict ?? (status >= 500 ? 'busy' : 'request')
}
