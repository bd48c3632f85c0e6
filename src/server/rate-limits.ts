/**
 * How many operations a tenant and each of its actors may ask for in a minute, and what every refusal for a limit says in headers:
 * `Retry-After`, and `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 has them. Operations are
 * fields of the root, not requests: fifty aliases of one mutation are fifty. Each process counts for itself.
 */
import type { NextFunction, Request, Response } from 'express'
import { GraphQLError } from 'graphql'
import type { Caller } from '../access/identify.js'
import { rateLimitsOf } from '../access/quotas.js'
import { withTenant } from '../db/tx.js'
import type { QuotaState, Refusal } from '../errors.js'
import { ANSWER_BYTES_PER_OPERATION, RATE_LIMIT_CACHE_MS, RATE_LIMIT_TENANTS_MAX } from '../limits.js'
import type { Services } from '../resolvers/context.js'
import { refuseBody } from './refuse.js'

const WINDOW_SECONDS = 60

/** How one limit stands after it was asked. */
export interface Metered {
  /** `tenant` or `actor`. */
  readonly name: string
  readonly limit: number
  readonly remaining: number
  /** Until all of it is there again, or, of a refusal, until there is enough. Seconds. */
  readonly seconds: number
}

/** What became of a request for operations: null seconds where it may go on. */
export interface MeterAnswer {
  readonly retryAfterSeconds: number | null
  readonly limits: readonly Metered[]
}

/** A bucket that fills evenly: a minute's worth at most, and all of it at once if one likes. */
class Bucket {
  #left: number
  #at: number
  constructor(limit: number, now: number) {
    this.#left = limit
    this.#at = now
  }

  /** What is there now. */
  fill(limit: number, now: number): number {
    this.#left = Math.min(limit, this.#left + ((now - this.#at) / 1000) * (limit / WINDOW_SECONDS))
    this.#at = now
    return this.#left
  }

  take(count: number): void {
    this.#left -= count
  }
}

interface TenantMeter {
  limits: Promise<{ readonly tenant: number; readonly actor: number }>
  readAt: number
  readonly all: Bucket
  readonly actors: Map<string, Bucket>
}

/** The meters of one process. */
export class RateLimits {
  readonly #services: Pick<Services, 'database'>
  readonly #clock: () => number
  /** In the order of their last use, the oldest first. */
  readonly #tenants = new Map<string, TenantMeter>()

  constructor(services: Pick<Services, 'database'>, clock: () => number = () => performance.now()) {
    this.#services = services
    this.#clock = clock
  }

  /** Takes so many operations from what the caller and its tenant have left: all or none of them. */
  async take({ tenantId, actor }: Pick<Caller, 'tenantId' | 'actor'>, count: number): Promise<MeterAnswer> {
    const meter = this.#meterOf(tenantId)
    const limits = await meter.limits
    const now = this.#clock()
    const own = meter.actors.get(actor) ?? new Bucket(limits.actor, now)
    meter.actors.set(actor, own)
    const asked = [
      { name: 'tenant', limit: limits.tenant, bucket: meter.all },
      { name: 'actor', limit: limits.actor, bucket: own },
    ].map((one) => ({ ...one, left: one.bucket.fill(one.limit, now) }))
    const missing = asked.map(({ limit, left }) => ((count - left) * WINDOW_SECONDS) / Math.max(1, limit))
    const wait = Math.max(...missing)
    if (wait <= 0) {
      asked.forEach(({ bucket }) => bucket.take(count))
    }
    return {
      retryAfterSeconds: wait > 0 ? Math.max(1, Math.ceil(wait)) : null,
      limits: asked.map(({ name, limit, left }, i) => {
        const remaining = wait > 0 ? left : left - count
        const seconds =
          wait > 0 ? Math.max(0, missing[i] ?? 0) : ((limit - remaining) * WINDOW_SECONDS) / Math.max(1, limit)
        return { name, limit, remaining: Math.max(0, Math.floor(remaining)), seconds: Math.ceil(seconds) }
      }),
    }
  }

  /**
   * Counts a large answer as further operations, though it has been given: what its caller asks next waits for it. Never fails.
   */
  charge({ tenantId, actor }: Pick<Caller, 'tenantId' | 'actor'>, bytes: number): void {
    const count = Math.floor(bytes / ANSWER_BYTES_PER_OPERATION)
    const meter = count > 0 ? this.#tenants.get(tenantId) : undefined
    meter?.all.take(count)
    meter?.actors.get(actor)?.take(count)
  }

  #meterOf(tenantId: string): TenantMeter {
    const now = this.#clock()
    const known = this.#tenants.get(tenantId)
    if (known !== undefined) {
      this.#tenants.delete(tenantId)
      this.#tenants.set(tenantId, known)
      if (now - known.readAt > RATE_LIMIT_CACHE_MS) {
        known.limits = this.#read(tenantId)
        known.readAt = now
        known.limits.then(
          ({ actor }) => {
            // Those who have all that is theirs again need not be remembered.
            for (const [name, bucket] of known.actors) {
              if (bucket.fill(actor, now) >= actor) {
                known.actors.delete(name)
              }
            }
          },
          () => undefined,
        )
      }
      return known
    }
    const limits = this.#read(tenantId)
    const meter: TenantMeter = { limits, readAt: now, all: new Bucket(Number.MAX_SAFE_INTEGER, now), actors: new Map() }
    this.#tenants.set(tenantId, meter)
    const [oldest] = this.#tenants.keys()
    if (this.#tenants.size > RATE_LIMIT_TENANTS_MAX && oldest !== undefined) {
      this.#tenants.delete(oldest)
    }
    return meter
  }

  #read(tenantId: string): TenantMeter['limits'] {
    const limits = withTenant(this.#services.database, tenantId, rateLimitsOf)
    // What cannot be read now is asked for again by the next request.
    limits.catch(() => this.#tenants.delete(tenantId))
    return limits
  }
}

/** Largest integer of a structured field: 15 digits. */
const FIELD_INTEGER_MAX = 999_999_999_999_999

const integer = (value: number): number => Math.min(FIELD_INTEGER_MAX, Math.max(0, Math.ceil(value)))

function tellMeters(response: Response, answer: MeterAnswer): void {
  response.setHeader(
    'ratelimit-policy',
    answer.limits.map(({ name, limit }) => `"${name}";q=${integer(limit)};w=${WINDOW_SECONDS}`).join(', '),
  )
  response.setHeader(
    'ratelimit',
    answer.limits
      .map(({ name, remaining, seconds }) => `"${name}";r=${integer(remaining)};t=${integer(seconds)}`)
      .join(', '),
  )
  if (answer.retryAfterSeconds !== null) {
    response.setHeader('retry-after', String(answer.retryAfterSeconds))
  }
}

/** Says in headers which quota a request was refused for, and when to come again. */
export function tellQuota(response: Response, quota: QuotaState): void {
  const seconds = Math.max(1, Math.ceil((quota.retryAt.getTime() - Date.now()) / 1000))
  const unit = quota.unit === 'bytes' ? ';qu="content-bytes"' : ''
  const window = quota.windowSeconds === null ? '' : `;w=${quota.windowSeconds}`
  response.setHeader('retry-after', String(seconds))
  response.setHeader('ratelimit-policy', `"${quota.name}";q=${integer(quota.limit)}${unit}${window}`)
  response.setHeader('ratelimit', `"${quota.name}";r=${integer(quota.limit - quota.used)};t=${integer(seconds)}`)
}

/** Refuses an upload that a quota has no room for, before its body is read: 413 where it would never fit, else 429. */
export function refuseQuota(request: Request, response: Response, refusal: Refusal, bytes: number): void {
  const { quota } = refusal
  if (quota === null) {
    refuseBody(request, response, 400, refusal.code, refusal.message)
    return
  }
  tellQuota(response, quota)
  const never = quota.limit > 0 && bytes > quota.limit
  refuseBody(request, response, never ? 413 : 429, refusal.code, refusal.message, {
    limit: quota.name,
    retryAt: quota.retryAt.toISOString(),
  })
}

/** Takes operations for what a caller asks: null, or the error to answer. */
export type Meter = (operations: number) => Promise<GraphQLError | null>

/** The meter of a caller; where there is an answer to an HTTP request, its headers say how the limits stand. */
export function meterOf(limits: RateLimits, caller: Caller, response: Response | null): Meter {
  return async (operations) => {
    const answer = await limits.take(caller, operations)
    if (response !== null) {
      tellMeters(response, answer)
    }
    return answer.retryAfterSeconds === null ? null : tooMany(answer.retryAfterSeconds)
  }
}

function tooMany(retryAfterSeconds: number): GraphQLError {
  return new GraphQLError(`That is more than may be asked for in a minute. Try again in ${retryAfterSeconds} s.`, {
    extensions: { code: 'RATE_LIMITED', retryAfterSeconds, http: { status: 429 } },
  })
}

/** Every request is one operation at least, whatever is in it: who has none left is not read. */
export function metered(limits: RateLimits) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const meter = meterOf(limits, response.locals.caller as Caller, response)
    meter(1).then((refused) => {
      if (refused === null) {
        next()
        return
      }
      const { code, retryAfterSeconds } = refused.extensions
      refuseBody(request, response, 429, String(code), refused.message, {
        retryAfterSeconds: String(retryAfterSeconds),
      })
    }, next)
  }
}
