/**
 * What one account of a CRM is asked, by all processes together: one row of the database, changed by one conditional
 * statement, so that no two processes can take the same leave.
 */
import { randomUUID } from 'node:crypto'
import { countCalls } from '../access/quotas.js'
import type { Budget, Permit } from '../adapters/http/client.js'
import type { Pace, Told, VendorPolicy, WaitReason } from '../adapters/http/policy.js'
import { first, type TenantSource, type Tx, withTenant } from '../db/tx.js'
import { VENDOR_LEASE_SECONDS } from '../limits.js'

/** Whose budget it is. */
export interface BudgetOwner {
  readonly source: TenantSource
  readonly tenantId: string
  readonly integrationId: string
  readonly policy: VendorPolicy
}

/** The lane of every request. */
const MAIN = 'main'

interface Denied {
  readonly milliseconds: number
  readonly reason: WaitReason
}

/** The budget of this integration's account. */
export function accountBudget(owner: BudgetOwner): Budget {
  const { source, tenantId, integrationId, policy } = owner
  return {
    take: async (lanes, cost) => {
      const id = randomUUID()
      try {
        await withTenant(source, tenantId, async (tx) => {
          for (const lane of lanes) {
            const denied = await takeLane(tx, owner, lane, { id, cost })
            if (denied !== null) {
              throw new Denial(denied)
            }
          }
          const tomorrow = await countCalls(tx, cost)
          if (tomorrow !== null) {
            throw new Denial({ milliseconds: Math.max(1, tomorrow.getTime() - Date.now()), reason: 'DAILY_QUOTA' })
          }
        })
      } catch (error) {
        // Thrown, so that what was taken in another lane is given back.
        if (error instanceof Denial) {
          return { kind: 'wait', ...error.denied }
        }
        throw error
      }
      return { kind: 'permit', id }
    },
    give: async (permit, told, pause) => {
      // Most requests have nothing to tell and hold no lease.
      if (policy.pace.concurrent !== null || pause !== null || tells(told)) {
        await withTenant(source, tenantId, (tx) => giveBack(tx, integrationId, { permit, told, pause }))
      }
    },
  }
}

class Denial extends Error {
  readonly denied: Denied
  constructor(denied: Denied) {
    super('no leave')
    this.denied = denied
  }
}

function tells(told: Told | null): boolean {
  return told !== null && (told.dayUsed !== null || told.dayLimit !== null || told.emptyForSeconds !== null)
}

const living = `(select count(*) from jsonb_each_text(b.leases) l where l.value::timestamptz > clock_timestamp())`
const filled = `least($4::float8, b.tokens + $5::float8 * greatest(0, extract(epoch from clock_timestamp() - b.filled_at)))`
const dayOver = `(b.day_ends_at is null or b.day_ends_at <= clock_timestamp())`
// $9 and $10: the limit where none is told, and our share of it.
const dayMost = `floor(coalesce(b.day_limit, $9::bigint) * $10::float8)`

async function takeLane(
  tx: Tx,
  { integrationId, policy }: BudgetOwner,
  lane: string,
  { id, cost }: { readonly id: string; readonly cost: number },
): Promise<Denied | null> {
  const pace = lane === MAIN ? policy.pace : policy.lanes[lane]
  if (pace === undefined) {
    throw new TypeError(`the policy of ${policy.system} has no lane ${lane}`)
  }
  // Only the main lane knows days and leases: every request is in it once.
  const daily = lane === MAIN ? policy.dayLimit : null
  const concurrent = lane === MAIN ? pace.concurrent : null
  const values = [tx.tenantId, integrationId, lane, pace.capacity, pace.perSecond]
  const taken = [...values, concurrent, cost, id, daily, policy.dayShare, VENDOR_LEASE_SECONDS]
  for (let attempt = 1; ; attempt++) {
    const rows = await tx.query(
      `update api_budget b set
         tokens = ${filled} - 1, filled_at = clock_timestamp(),
         leases = case when $6::int is null then '{}' else
           coalesce((select jsonb_object_agg(l.key, l.value) from jsonb_each_text(b.leases) l where l.value::timestamptz > clock_timestamp()), '{}')
           || jsonb_build_object($8::text, clock_timestamp() + $11::int * interval '1 second') end,
         day_used = case when ${dayOver} then 0 else b.day_used end + $7::bigint,
         day_ends_at = case when ${dayOver} then clock_timestamp() + interval '24 hours' else b.day_ends_at end
       where b.tenant_id = $1 and b.integration_id = $2 and b.lane = $3
         and (b.blocked_until is null or b.blocked_until <= clock_timestamp())
         and ${filled} >= 1
         and ($6::int is null or ${living} < $6::int)
         and (${dayMost} is null or ${dayOver} or b.day_used + $7::bigint <= ${dayMost})
       -- A crash of the server may lose the last of it: no request waits for a disk.
       returning set_config('synchronous_commit', 'off', true)`,
      taken,
    )
    if (rows.length > 0) {
      return null
    }
    const denied = await whyDenied(tx, values, { concurrent, cost, daily, share: policy.dayShare, pace })
    if (denied !== null) {
      return denied
    }
    if (attempt > 1) {
      return { milliseconds: 50, reason: 'BURST' }
    }
    await tx.query(
      `insert into api_budget (tenant_id, integration_id, lane, tokens, filled_at) values ($1, $2, $3, $4, clock_timestamp())
       on conflict (tenant_id, integration_id, lane) do nothing`,
      values.slice(0, 4),
    )
  }
}

/** Null: there is no such row yet, or in the meantime there is room. */
async function whyDenied(
  tx: Tx,
  values: readonly unknown[],
  about: {
    readonly concurrent: number | null
    readonly cost: number
    readonly daily: number | null
    readonly share: number
    readonly pace: Pace
  },
): Promise<Denied | null> {
  const row = await first<{
    blocked_ms: number | null
    blocked_reason: WaitReason | null
    missing: number
    living: number
    spent: boolean | null
    day_ms: number | null
  }>(
    tx,
    `select extract(epoch from b.blocked_until - clock_timestamp())::float8 * 1000 as blocked_ms, b.blocked_reason,
       (1 - ${filled})::float8 as missing, ${living}::int as living,
       not ${dayOver} and b.day_used + $6::bigint > floor(coalesce(b.day_limit, $7::bigint) * $8::float8) as spent,
       extract(epoch from b.day_ends_at - clock_timestamp())::float8 * 1000 as day_ms
     from api_budget b where b.tenant_id = $1 and b.integration_id = $2 and b.lane = $3`,
    [...values, about.cost, about.daily, about.share],
  )
  if (row === null) {
    return null
  }
  if (row.blocked_ms !== null && row.blocked_ms > 0) {
    return { milliseconds: Math.ceil(row.blocked_ms), reason: row.blocked_reason ?? 'VENDOR_BUSY' }
  }
  if (row.spent === true) {
    return { milliseconds: Math.ceil(row.day_ms ?? 0), reason: 'DAILY_QUOTA' }
  }
  if (row.missing > 0) {
    return { milliseconds: Math.ceil((row.missing / about.pace.perSecond) * 1000), reason: 'BURST' }
  }
  // When one of those under way will end nobody knows: it is looked again soon.
  return about.concurrent !== null && row.living >= about.concurrent
    ? { milliseconds: 200, reason: 'CONCURRENCY' }
    : null
}

async function giveBack(
  tx: Tx,
  integrationId: string,
  given: {
    readonly permit: Permit
    readonly told: Told | null
    readonly pause: { readonly milliseconds: number; readonly reason: WaitReason } | null
  },
): Promise<void> {
  const { permit, told, pause } = given
  const empty = told?.emptyForSeconds ?? null
  const blocked =
    pause ??
    (empty === null ? null : { milliseconds: empty * 1000, reason: 'BURST' satisfies WaitReason as WaitReason })
  // The vendor's count is the truth: it knows of the tenant's other programs. Its newest word replaces ours.
  await tx.query(
    `update api_budget b set leases = b.leases - $3::text,
       day_used = coalesce($4::bigint, b.day_used), day_limit = coalesce($5::bigint, b.day_limit),
       told_at = case when $4::bigint is null then b.told_at else clock_timestamp() end,
       blocked_until = case when $6::float8 is null then b.blocked_until
         else greatest(b.blocked_until, clock_timestamp() + $6::float8 * interval '1 millisecond') end,
       blocked_reason = case when $6::float8 is null then b.blocked_reason else $7::text end
     where b.tenant_id = $1 and b.integration_id = $2 and b.lane = '${MAIN}'
     returning set_config('synchronous_commit', 'off', true)`,
    [
      tx.tenantId,
      integrationId,
      permit.id,
      told?.dayUsed ?? null,
      told?.dayLimit ?? null,
      blocked?.milliseconds ?? null,
      blocked?.reason ?? null,
    ],
  )
}

/** What of a day's budget is used. */
export interface BudgetUse {
  readonly used: number
  /** Null: the vendor has not told it. */
  readonly limit: number | null
  /** When the count begins anew, by ours; null: nothing is counted. */
  readonly resetsAt: Date | null
}

/** The use of each of these integrations; those that have asked nothing are absent. */
export async function budgetUses(tx: Tx, integrationIds: readonly string[]): Promise<Map<string, BudgetUse>> {
  const rows = await tx.query<{ id: string; used: number; day_limit: number | null; ends_at: Date | null }>(
    `select integration_id as id, case when day_ends_at > now() then day_used else 0 end as used, day_limit,
       case when day_ends_at > now() then day_ends_at end as ends_at
     from api_budget where tenant_id = $1 and integration_id = any($2) and lane = '${MAIN}'`,
    [tx.tenantId, integrationIds],
  )
  return new Map(
    rows.map((row) => [row.id, { used: Number(row.used), limit: row.day_limit, resetsAt: row.ends_at }] as const),
  )
}

/** Tells the day's limit where an adapter has learned it, e.g. from the plan and the seats of the account. */
export async function tellDayLimit(tx: Tx, integrationId: string, limit: number): Promise<void> {
  await tx.query(
    `insert into api_budget (tenant_id, integration_id, lane, tokens, filled_at, day_limit)
     values ($1, $2, '${MAIN}', 1, clock_timestamp(), $3)
     on conflict (tenant_id, integration_id, lane) do update set day_limit = excluded.day_limit`,
    [tx.tenantId, integrationId, limit],
  )
}

/** Whether the budget will do, before anything is asked. */
export interface BudgetEstimate {
  /** Of the vendor's unit, what is wanted. */
  readonly cost: number
  /** What Portage may use of the day's rest; null: no limit is known. */
  readonly remaining: number | null
  /** Days, beginning with this one, over which it will spread. 1: it will do. */
  readonly days: number
  readonly resetsAt: Date | null
}

/** What `cost` would mean for the budget of this integration. */
export async function estimateBudget(
  tx: Tx,
  integrationId: string,
  policy: VendorPolicy,
  cost: number,
): Promise<BudgetEstimate> {
  const use = (await budgetUses(tx, [integrationId])).get(integrationId)
  const limit = use?.limit ?? policy.dayLimit
  if (limit === null) {
    return { cost, remaining: null, days: 1, resetsAt: use?.resetsAt ?? null }
  }
  const most = Math.floor(limit * policy.dayShare)
  const remaining = Math.max(0, most - (use?.used ?? 0))
  const days = cost <= remaining ? 1 : 1 + Math.ceil((cost - remaining) / Math.max(1, most))
  return { cost, remaining, days, resetsAt: use?.resetsAt ?? null }
}
