/**
 * What a tenant may use. The limits are data: a plan has some, a tenant has a plan and perhaps limits of its own. What is used and
 * reserved stands in one ledger row for each quota and period; the function `quota_reserve` changes it by one conditional
 * statement, so that however many ask at once, what is granted is what there is. Reservations come back by triggers
 * (migration 27). Where waiting helps a run waits (DEFERRED); where it does not, the caller is refused.
 *
 * Who changes several rows of the ledger in a transaction takes them in this order, or they wait for one another in a circle:
 * `storageBytes` before `uploadBytesPerDay`; `runningRuns` before `rowsPerDay` before `queuedRuns` (migration 35).
 */
import { type Operator, withOperator } from '../db/operator.js'
import { first, one, type Tx } from '../db/tx.js'
import { type QuotaState, Refusal } from '../errors.js'
import { UPLOAD_RESERVATION_HOURS } from '../limits.js'

/** Quotas that the ledger keeps. */
export const ledgerQuotas = [
  'uploadBytesPerDay',
  'rowsPerDay',
  'runningRuns',
  'queuedRuns',
  'storageBytes',
  'crmCallsPerDay',
] as const

/** Limits of requests, which each API process keeps for itself: see `src/server/rate-limits.ts`. */
export const rateQuotas = ['operationsPerMinute', 'actorOperationsPerMinute'] as const

export type LedgerQuota = (typeof ledgerQuotas)[number]
export type QuotaName = LedgerQuota | (typeof rateQuotas)[number]

/** All that a plan may limit. */
export const quotaNames: readonly QuotaName[] = [...ledgerQuotas, ...rateQuotas]

/** Units of quotas, as `QuotaUsage.unit` has them. */
export const quotaUnits: Readonly<Record<QuotaName, string>> = {
  uploadBytesPerDay: 'bytes',
  rowsPerDay: 'rows',
  runningRuns: 'runs',
  queuedRuns: 'runs',
  storageBytes: 'bytes',
  crmCallsPerDay: 'calls',
  operationsPerMinute: 'operations',
  actorOperationsPerMinute: 'operations',
}

/** A limit that nobody has set. As large as clients can hold. */
export const UNLIMITED = Number.MAX_SAFE_INTEGER

const DAY_SECONDS = 86_400

/** How one quota stands. */
export interface QuotaUse {
  readonly name: LedgerQuota
  /** Used and reserved. */
  readonly used: number
  readonly limit: number
  readonly unit: string
  /** Null: it does not begin anew by itself. */
  readonly resetsAt: Date | null
}

interface Reserved {
  readonly granted: boolean
  readonly used: number
  readonly limit: number
}

/** Reserves `amount` for a subject (a run, an upload), all of it or nothing; `force` reserves whatever the limit is. */
export async function reserveQuota(
  tx: Tx,
  name: LedgerQuota,
  amount: number,
  subject: string,
  { hours = null, force = false }: { readonly hours?: number | null; readonly force?: boolean } = {},
): Promise<Reserved> {
  return one<Reserved>(
    tx,
    `select granted, taken::float8 as used, most::float8 as limit
     from quota_reserve($1, $2, $3, now() + $4::float8 * interval '1 hour', $5)`,
    [name, amount, subject, hours, force],
  )
}

/** Gives back what a subject has reserved and not used. */
export async function releaseQuota(tx: Tx, name: LedgerQuota, subject: string): Promise<void> {
  await tx.query('select quota_release($1, $2)', [name, subject])
}

/** All quotas of the tenant as they stand, in a fixed order. */
export async function quotaUses(tx: Tx): Promise<QuotaUse[]> {
  const rows = await tx.query<{ name: LedgerQuota; used: number; limit: number; resets_at: Date | null }>(
    `select n.name, coalesce(q.used + q.reserved, 0)::float8 as used, quota_limit(n.name)::float8 as limit,
       case when n.name like '%PerDay' then ((quota_period(n.name) + 1)::timestamp at time zone 'UTC') end as resets_at
     from unnest($2::text[]) with ordinality as n (name, position)
       left join quota_ledger q on q.tenant_id = $1 and q.name = n.name and q.period = quota_period(n.name)
     order by n.position`,
    [tx.tenantId, [...ledgerQuotas]],
  )
  return rows.map(({ resets_at: resetsAt, ...row }) => ({ ...row, unit: quotaUnits[row.name], resetsAt }))
}

/** Midnight in UTC, when what is counted by the day begins anew. */
function tomorrow(now: Date): Date {
  return new Date(Math.floor(now.getTime() / 86_400_000 + 1) * 86_400_000)
}

function stateOf(name: LedgerQuota, reserved: Pick<Reserved, 'used' | 'limit'>, retryAt: Date): QuotaState {
  const windowSeconds = name.endsWith('PerDay') ? DAY_SECONDS : null
  return { name, limit: reserved.limit, used: reserved.used, unit: quotaUnits[name], windowSeconds, retryAt }
}

const grouped = (value: number): string => value.toLocaleString('en-US')

/**
 * Makes room for a run that is about to be created. Refuses QUOTA_EXCEEDED where so many wait already: more of them would only
 * wait longer.
 */
export async function admitRun(tx: Tx, runId: string): Promise<void> {
  const reserved = await reserveQuota(tx, 'queuedRuns', 1, runId)
  if (!reserved.granted) {
    const retryAt = (await nextRoom(tx)) ?? new Date(Date.now() + 60_000)
    throw new Refusal(
      'QUOTA_EXCEEDED',
      `${grouped(reserved.used)} runs of this tenant wait already, of ${grouped(reserved.limit)} that its plan allows. Start it when some of them have ended; the next may end at ${retryAt.toISOString()}.`,
      null,
      stateOf('queuedRuns', reserved, retryAt),
    )
  }
}

/** When the next running run may end, by its speed so far; null where nobody can tell. */
async function nextRoom(tx: Tx): Promise<Date | null> {
  const row = await first<{ at: Date | null }>(
    tx,
    `select clock_timestamp() + greatest(interval '1 second', min((total - run_settled(r)) * (running_ms::float8 / run_settled(r)) * interval '1 millisecond')) as at
     from run r where tenant_id = $1 and status = 'RUNNING' and running_ms > 0 and run_settled(r) > 0 and total is not null
     having count(*) > 0`,
    [tx.tenantId],
  )
  return row?.at ?? null
}

/** Whether a run may start now. */
export type StartAnswer =
  | { readonly kind: 'start' }
  /** It waits, and is told when there may be room. */
  | { readonly kind: 'wait'; readonly quota: LedgerQuota; readonly message: string; readonly estimatedStartAt: Date }
  /** It would wait for ever. */
  | { readonly kind: 'never'; readonly message: string }

/** A run without anything to tell how long it takes is taken to take so long. Milliseconds. */
const RUN_MS_GUESSED = 60_000

/** Reserves what a run needs to run: its place, and the rows that are left of an import. */
export async function reserveStart(
  tx: Tx,
  run: { readonly id: string; readonly force: boolean; readonly rows: number },
): Promise<StartAnswer> {
  const place = await reserveQuota(tx, 'runningRuns', 1, run.id, { force: run.force })
  if (!place.granted) {
    return {
      kind: 'wait',
      quota: 'runningRuns',
      message: `${grouped(place.used)} runs of this tenant are running, as many as its plan allows. It starts when one of them ends.`,
      estimatedStartAt: (await nextRoom(tx)) ?? new Date(Date.now() + RUN_MS_GUESSED),
    }
  }
  if (run.rows === 0) {
    return { kind: 'start' }
  }
  const rows = await reserveQuota(tx, 'rowsPerDay', run.rows, run.id, { force: run.force })
  if (rows.granted) {
    return { kind: 'start' }
  }
  await releaseQuota(tx, 'runningRuns', run.id)
  if (run.rows > rows.limit) {
    return {
      kind: 'never',
      message: `The import has ${grouped(run.rows)} rows to go, and the plan of this tenant takes ${grouped(rows.limit)} a day. Split the file, or ask for another plan.`,
    }
  }
  const estimatedStartAt = tomorrow(new Date())
  return {
    kind: 'wait',
    quota: 'rowsPerDay',
    message: `Of ${grouped(rows.limit)} rows a day ${grouped(rows.used)} are used or reserved, and the import has ${grouped(run.rows)} to go. It starts when the count begins anew, at ${estimatedStartAt.toISOString()}, or when others need fewer than they reserved.`,
    estimatedStartAt,
  }
}

/**
 * Reserves the bytes of an upload before any of them is taken: of the day's, and in the store. Refuses QUOTA_EXCEEDED. Without
 * `hours` somebody else will end the reservation.
 */
export async function reserveUpload(
  tx: Tx,
  uploadId: string,
  bytes: number,
  hours: number | null = UPLOAD_RESERVATION_HOURS,
): Promise<void> {
  const stored = await reserveQuota(tx, 'storageBytes', bytes, uploadId, { hours })
  if (!stored.granted) {
    const never = bytes > stored.limit
    const retryAt = (never ? null : await nextExpiry(tx)) ?? tomorrow(new Date())
    throw new Refusal(
      'QUOTA_EXCEEDED',
      never
        ? `The file has ${grouped(bytes)} bytes, and the plan of this tenant stores ${grouped(stored.limit)} in all. It will not fit.`
        : `The file has ${grouped(bytes)} bytes; of ${grouped(stored.limit)} bytes that the plan of this tenant stores, ${grouped(stored.used)} are used. The next file expires at ${retryAt.toISOString()}.`,
      ['file'],
      stateOf('storageBytes', stored, retryAt),
    )
  }
  const day = await reserveQuota(tx, 'uploadBytesPerDay', bytes, uploadId, { hours })
  if (!day.granted) {
    const retryAt = tomorrow(new Date())
    throw new Refusal(
      'QUOTA_EXCEEDED',
      `The file has ${grouped(bytes)} bytes; of ${grouped(day.limit)} bytes that the plan of this tenant takes a day, ${grouped(day.used)} are used. The count begins anew at ${retryAt.toISOString()}.`,
      ['file'],
      stateOf('uploadBytesPerDay', day, retryAt),
    )
  }
}

async function nextExpiry(tx: Tx): Promise<Date | null> {
  const row = await first<{ at: Date | null }>(
    tx,
    'select min(expires_at) as at from source_file where tenant_id = $1 and purged_at is null and expires_at > now()',
    [tx.tenantId],
  )
  return row?.at ?? null
}

/** Ends the reservation of an upload of which so many bytes were stored. */
export async function settleUpload(tx: Tx, uploadId: string, bytes: number): Promise<void> {
  await tx.query(
    `select quota_release('storageBytes', $2), quota_spend('uploadBytesPerDay', $1, $2), quota_release('uploadBytesPerDay', $2)`,
    [bytes, uploadId],
  )
}

/**
 * Counts requests to connected CRMs, which are used as soon as they are sent. Null, or, where the day's are used up, when the next day
 * begins; then nothing is counted.
 */
export async function countCalls(tx: Tx, calls: number): Promise<Date | null> {
  const counted = await tx.query(
    `insert into quota_ledger as q (tenant_id, name, period, used)
     select $1, 'crmCallsPerDay', quota_period('crmCallsPerDay'), $2::bigint where $2::bigint <= quota_limit('crmCallsPerDay')
     on conflict (tenant_id, name, period) do update set used = q.used + excluded.used
       where q.used + excluded.used <= quota_limit('crmCallsPerDay')
     returning quota_warn('crmCallsPerDay', used - $2::bigint, used, quota_limit('crmCallsPerDay'))`,
    [tx.tenantId, calls],
  )
  return counted.length > 0 ? null : tomorrow(new Date())
}

/** Gives back what processes reserved that are gone, and forgets what is over. For housekeeping. */
export async function tidyQuotas(tx: Tx): Promise<void> {
  await tx.query(
    `select quota_release(e.name, e.subject) from (
       select name, subject from quota_entry e
       where e.tenant_id = $1 and e.expires_at < now() and e.reserved > e.used + e.released
         and not exists (select from upload_session s where s.tenant_id = $1 and s.id = e.subject and s.file_id is null and s.expires_at > now())
       order by name, subject) e`,
    [tx.tenantId],
  )
  await tx.query(
    `delete from quota_entry where tenant_id = $1 and at < now() - $2 * interval '1 day' and reserved = used + released`,
    [tx.tenantId, LEDGER_DAYS],
  )
  await tx.query(
    `delete from quota_ledger where tenant_id = $1 and reserved = 0 and period > date 'epoch' and period < current_date - $2::int`,
    [tx.tenantId, LEDGER_DAYS],
  )
}

/** For so many days the ledger can be looked up. */
const LEDGER_DAYS = 40

/** What requests of a tenant and of one of its actors may do in a minute. */
export async function rateLimitsOf(tx: Tx): Promise<{ readonly tenant: number; readonly actor: number }> {
  return one(
    tx,
    `select quota_limit('operationsPerMinute')::float8 as tenant, quota_limit('actorOperationsPerMinute')::float8 as actor`,
  )
}

/** A plan and its limits; a quota that is absent has none. */
export interface QuotaPlan {
  readonly name: string
  readonly limits: Readonly<Partial<Record<QuotaName, number>>>
}

/** All plans by name. */
export async function listPlans(ownerUrl: string): Promise<QuotaPlan[]> {
  return withOperator(ownerUrl, (operator) =>
    operator.query<QuotaPlan>('select name, limits from quota_plan order by name'),
  )
}

/** Makes a plan, or gives it these limits besides those that it has; a limit of null is taken off. Deferred runs look again. */
export async function savePlan(
  ownerUrl: string,
  name: string,
  limits: Readonly<Partial<Record<QuotaName, number | null>>>,
): Promise<QuotaPlan> {
  if (!/^[a-z][a-z0-9-]{0,59}$/.test(name)) {
    throw new Refusal('INVALID_INPUT', 'A plan is named by up to 60 small letters, digits and hyphens.', ['plan'])
  }
  return withOperator(ownerUrl, async (operator) => {
    const [plan] = await operator.query<QuotaPlan>(
      `insert into quota_plan as p (name, limits) values ($1, jsonb_strip_nulls($2::jsonb))
       on conflict (name) do update set limits = jsonb_strip_nulls(p.limits || $2::jsonb) returning name, limits`,
      [name, JSON.stringify(limits)],
    )
    for (const { id } of await operator.query<{ id: string }>('select id from tenant where plan = $1', [name])) {
      await wakeDeferred(operator, id)
    }
    return plan ?? { name, limits: {} }
  })
}

/** How a tenant stands, as the operator sees it. */
export interface TenantQuotas {
  readonly plan: string
  /** Limits of the tenant's own. */
  readonly overrides: Readonly<Partial<Record<QuotaName, number>>>
  readonly uses: readonly QuotaUse[]
}

/** The plan, own limits and use of a tenant. */
export async function tenantQuotas(ownerUrl: string, tenantId: string): Promise<TenantQuotas> {
  return withOperator(ownerUrl, (operator) => quotasOf(operator, tenantId))
}

/**
 * Gives a tenant another plan or limits of its own; null takes one off, so that the plan's counts again. Runs that wait look again
 * at once. Refuses NOT_FOUND for a plan that there is not.
 */
export async function setTenantQuotas(
  ownerUrl: string,
  tenantId: string,
  change: { readonly plan?: string; readonly overrides?: Readonly<Partial<Record<QuotaName, number | null>>> },
): Promise<TenantQuotas> {
  return withOperator(ownerUrl, async (operator) => {
    const { plan } = change
    if (plan !== undefined && (await operator.query('select from quota_plan where name = $1', [plan])).length === 0) {
      throw new Refusal('NOT_FOUND', `There is no plan "${plan}".`, ['plan'])
    }
    await operator.query(
      `update tenant set plan = coalesce($2, plan), quota_overrides = jsonb_strip_nulls(quota_overrides || $3::jsonb) where id = $1`,
      [tenantId, plan ?? null, JSON.stringify(change.overrides ?? {})],
    )
    await wakeDeferred(operator, tenantId)
    return quotasOf(operator, tenantId)
  })
}

async function quotasOf(operator: Operator, tenantId: string): Promise<TenantQuotas> {
  await operator.query("select set_config('app.tenant_id', $1, true)", [tenantId])
  const [tenant] = await operator.query<Pick<TenantQuotas, 'plan' | 'overrides'>>(
    'select plan, quota_overrides as overrides from tenant where id = $1',
    [tenantId],
  )
  const numbers = <R extends object>(sql: string, params: readonly unknown[] = []) => operator.query<R>(sql, params)
  return {
    plan: tenant?.plan ?? '',
    overrides: tenant?.overrides ?? {},
    uses: await quotaUses({ tenantId, query: numbers }),
  }
}

async function wakeDeferred(operator: Operator, tenantId: string): Promise<void> {
  await operator.query("select set_config('app.tenant_id', $1, true)", [tenantId])
  await operator.query('select wake_deferred()')
}
