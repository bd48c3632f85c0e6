/**
 * Access to a connected CRM: tokens renewed once for all processes, and the client that adapters ask with. A connection that
 * only a person can mend becomes REAUTHORIZATION_REQUIRED, once; nothing here tries for ever.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { openSealer } from '../access/secrets.js'
import {
  type Access,
  type Answer,
  HttpClient,
  type HttpClientOptions,
  type VendorRequest,
  type Wait,
} from '../adapters/http/client.js'
import { VendorUnauthorized, vendorUnavailable } from '../adapters/http/errors.js'
import { policyOf, type VendorPolicy } from '../adapters/http/policy.js'
import { refreshTokens, type TokenAnswer, type Tokens } from '../adapters/oauth/tokens.js'
import { oauthVendor } from '../adapters/oauth/vendors.js'
import { PlannedPause, type VendorApi } from '../adapters/vendor.js'
import { first, type TenantSource, withTenant } from '../db/tx.js'
import { Refusal } from '../errors.js'
import type { Hidden } from '../hidden.js'
import { OAUTH_LEASE_SECONDS } from '../limits.js'
import { type CrmSystem, systemNames } from '../systems.js'
import { accountBudget, type BudgetEstimate, estimateBudget, tellDayLimit } from './api-budget.js'
import {
  connectionOf,
  findIntegration,
  type IntegrationSettings,
  nameAccount,
  purposes,
  storeTokens,
} from './integrations.js'

/** What every integration of a process is reached with. */
export interface IntegrationDoor {
  /** Gives transactions of its own: never the lane in whose transaction the caller is. A lane is for one client. */
  readonly source: TenantSource
  readonly settings: IntegrationSettings
}

/** An access token with the version that it is known by. */
export interface VersionedAccess extends Access {
  readonly version: number
}

/**
 * Calls `use` with an access token that is good for a while. If the vendor does not take it (VendorUnauthorized), it is
 * renewed and `use` is called once more; if that is not taken either, the integration needs a new sign-in. Refuses
 * INTEGRATION_NOT_CONNECTED; throws RetryableError VENDOR_UNAVAILABLE while the vendor gives no token. `known`: what was
 * used a moment ago, which saves looking.
 */
export async function withAccessToken<T>(
  door: IntegrationDoor,
  tenantId: string,
  integrationId: string,
  use: (access: VersionedAccess) => Promise<T>,
  known: VersionedAccess | null = null,
): Promise<T> {
  const access = known ?? (await currentAccess(door, tenantId, integrationId, null))
  try {
    return await use(access)
  } catch (error) {
    if (!(error instanceof VendorUnauthorized)) {
      throw error
    }
  }
  const renewed = await currentAccess(door, tenantId, integrationId, access.version)
  try {
    return await use(renewed)
  } catch (error) {
    if (!(error instanceof VendorUnauthorized)) {
      throw error
    }
    throw await needsReauthorization(door, tenantId, integrationId, {
      version: renewed.version,
      reason: `The CRM did not take a fresh access token (${error.code}).`,
    })
  }
}

interface HeldTokens {
  readonly system: CrmSystem
  readonly loginOrigin: string
  readonly version: number
  readonly access: Access
  readonly refreshToken: Hidden | null
  /** Whether it is time for a new one. */
  readonly due: boolean
  /** How long the access token is good; null: nobody knows. Negative: it has ended. */
  readonly secondsLeft: number | null
}

/** When one that waits looks for the first time whether another has finished renewing; then ever more seldom. Milliseconds. */
const LOOK_MS = 100
const LOOK_MS_MAX = 1000

/** An access token whose version is not `refused`, renewed if it is about to end. */
async function currentAccess(
  door: IntegrationDoor,
  tenantId: string,
  id: string,
  refused: number | null,
): Promise<VersionedAccess> {
  const patience = performance.now() + 2 * OAUTH_LEASE_SECONDS * 1000
  for (let pause = LOOK_MS; ; pause = Math.min(LOOK_MS_MAX, pause * 1.5)) {
    const held = await readTokens(door, tenantId, id)
    const taken = held.version !== refused
    if (taken && !held.due) {
      return { ...held.access, version: held.version }
    }
    if (held.refreshToken === null) {
      if (taken && (held.secondsLeft ?? 0) > 0) {
        return { ...held.access, version: held.version }
      }
      throw await needsReauthorization(door, tenantId, id, {
        version: held.version,
        reason: 'The access token has ended and the CRM gave none to renew it with.',
      })
    }
    const mark = randomUUID()
    if (await claimRefresh(door, tenantId, id, held.version, mark)) {
      await renew(door, tenantId, id, { held, refreshToken: held.refreshToken, mark })
      continue
    }
    // Somebody else is at it. What has not ended yet serves until then.
    if (taken && (held.secondsLeft ?? 0) > 5) {
      return { ...held.access, version: held.version }
    }
    if (performance.now() > patience) {
      throw vendorUnavailable(`${systemNames[held.system]} gives no access token.`)
    }
    await delay(pause * (0.5 + Math.random()))
  }
}

function readTokens({ source, settings }: IntegrationDoor, tenantId: string, id: string): Promise<HeldTokens> {
  return withTenant(source, tenantId, async (tx) => {
    const row = await first<{
      system: CrmSystem
      status: string
      status_reason: string | null
      login_origin: string
      api_origin: string | null
      access_token: string | null
      refresh_token: string | null
      token_version: number
      due: boolean
      seconds_left: number | null
    }>(
      tx,
      `select system, status, status_reason, login_origin, api_origin, access_token, refresh_token, token_version,
         coalesce(access_renew_at <= clock_timestamp(), false) as due,
         extract(epoch from access_expires_at - clock_timestamp())::float8 as seconds_left
       from integration where tenant_id = $1 and id = $2`,
      [tenantId, id],
    )
    if (row === null || row.status !== 'CONNECTED' || row.access_token === null || row.api_origin === null) {
      throw notConnected(row?.system ?? null)
    }
    const sealer = await openSealer(tx, settings.masterKeys)
    return {
      system: row.system,
      loginOrigin: row.login_origin,
      version: Number(row.token_version),
      access: { origin: row.api_origin, token: sealer.open(purposes.access(id), row.access_token) },
      refreshToken: row.refresh_token === null ? null : sealer.open(purposes.refresh(id), row.refresh_token),
      due: row.due,
      secondsLeft: row.seconds_left,
    }
  })
}

/** Whether this process is the one that renews. A lease, not a lock: no transaction is open while the vendor is asked. */
async function claimRefresh(
  { source }: IntegrationDoor,
  tenantId: string,
  id: string,
  version: number,
  mark: string,
): Promise<boolean> {
  const rows = await withTenant(source, tenantId, (tx) =>
    tx.query(
      `update integration set refreshing_by = $4, refreshing_until = clock_timestamp() + $5 * interval '1 second'
       where tenant_id = $1 and id = $2 and token_version = $3 and status = 'CONNECTED'
         and (refreshing_until is null or refreshing_until < clock_timestamp())
       returning 1 as claimed`,
      [tenantId, id, version, mark, OAUTH_LEASE_SECONDS],
    ),
  )
  return rows.length > 0
}

async function renew(
  door: IntegrationDoor,
  tenantId: string,
  id: string,
  given: { readonly held: HeldTokens; readonly refreshToken: Hidden; readonly mark: string },
): Promise<void> {
  const { held, refreshToken, mark } = given
  let answer: TokenAnswer
  try {
    answer = await refreshTokens(connectionOf(held, door.settings), refreshToken)
  } catch (error) {
    await withTenant(door.source, tenantId, (tx) =>
      tx.query(
        'update integration set refreshing_by = null, refreshing_until = null where tenant_id = $1 and id = $2 and refreshing_by = $3',
        [tenantId, id, mark],
      ),
    )
    throw error
  }
  if (answer.kind === 'tokens') {
    await keep(door, tenantId, id, answer.tokens, held.version)
    return
  }
  // If somebody has renewed in the meantime the old token was his to use, and the caller reads what he got.
  await markReauthorization(door, tenantId, id, {
    version: held.version,
    reason: 'The CRM does not renew the access any more: it was taken back there, or not used for too long.',
  })
}

/** Tries at keeping what the vendor gave: with a refresh token that is good for one use, losing it ends the connection. */
const KEEP_ATTEMPTS = 5

/** Stored and committed before anybody gets to use it. */
async function keep(
  { source, settings }: IntegrationDoor,
  tenantId: string,
  id: string,
  tokens: Tokens,
  version: number,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await withTenant(source, tenantId, async (tx) => {
        const sealer = await openSealer(tx, settings.masterKeys)
        await storeTokens(tx, sealer, { id, tokens, version })
      })
      return
    } catch (error) {
      if (attempt >= KEEP_ATTEMPTS) {
        throw error
      }
      await delay(200 * attempt)
    }
  }
}

async function markReauthorization(
  { source }: IntegrationDoor,
  tenantId: string,
  id: string,
  about: { readonly version: number; readonly reason: string },
): Promise<void> {
  await withTenant(source, tenantId, (tx) =>
    tx.query(
      `update integration set status = 'REAUTHORIZATION_REQUIRED', status_reason = $4, refreshing_by = null, refreshing_until = null
       where tenant_id = $1 and id = $2 and token_version = $3 and status = 'CONNECTED'`,
      [tenantId, id, about.version, about.reason],
    ),
  )
}

async function needsReauthorization(
  door: IntegrationDoor,
  tenantId: string,
  id: string,
  about: { readonly version: number; readonly reason: string },
): Promise<Refusal> {
  await markReauthorization(door, tenantId, id, about)
  const row = await withTenant(door.source, tenantId, (tx) => findIntegration(tx, id))
  return notConnected(row?.system ?? null)
}

function notConnected(system: CrmSystem | null): Refusal {
  const name = system === null ? 'The CRM' : systemNames[system]
  return new Refusal('INTEGRATION_NOT_CONNECTED', `${name} is not connected, or has to be signed in to again.`, [
    'integrationId',
  ])
}

/** So long a client goes on with a token that it has looked up: an integration that is revoked is asked no longer. Milliseconds. */
const KEPT_MS = 2000

/** What adapters ask one account with. It carries the token, keeps to the budget, and tries again what may be tried again. */
export interface VendorClient {
  readonly system: CrmSystem
  readonly policy: VendorPolicy
  /** The answer's JSON, or a planned pause. Throws VendorRefused, RetryableError, Refusal INTEGRATION_NOT_CONNECTED. */
  request<T>(request: VendorRequest): Promise<Answer<T> | Wait>
  /** The answer's bytes as they come, unpacked, or a planned pause. Read them to the end or leave the loop. */
  stream(request: VendorRequest): Promise<Answer<AsyncIterable<Buffer>> | Wait>
  /** What so much of the vendor's unit would mean for the budget, before it is asked for. */
  estimate(cost: number): Promise<BudgetEstimate>
  /** Tells the day's limit of the account, where the adapter has learned it. */
  tellDayLimit(limit: number): Promise<void>
  /** Gives the account the name that its people know. */
  nameAccount(name: string): Promise<void>
  /** The same as vendors' adapters take it: a planned pause comes as PlannedPause, which goes through them to the job. */
  readonly api: VendorApi
  close(): void
}

/** Opens the client of an integration. Refuses INTEGRATION_NOT_CONNECTED for one that is not there, or not connected. */
export async function openVendorClient(
  outside: IntegrationDoor,
  tenantId: string,
  integrationId: string,
  options: Pick<HttpClientOptions, 'observe' | 'surroundings' | 'timeouts'> = {},
): Promise<VendorClient> {
  const door = { ...outside, source: takingTurns(outside.source) }
  const { source, settings } = door
  const row = await withTenant(source, tenantId, (tx) => findIntegration(tx, integrationId))
  if (row === null || row.status !== 'CONNECTED') {
    throw notConnected(row?.system ?? null)
  }
  const policy = policyOf(row.system)
  const http = new HttpClient({
    ...options,
    policy,
    rule: { hosts: oauthVendor(row.system).apiHosts, standIns: settings.vendors.origins[row.system] },
    budget: accountBudget({ source, tenantId, integrationId, policy }),
    resolve: settings.resolve,
  })
  let kept: { readonly access: VersionedAccess; readonly at: number } | null = null
  const withToken = <T>(use: (access: Access) => Promise<T>): Promise<T> => {
    const recent = kept !== null && performance.now() - kept.at < KEPT_MS ? kept.access : null
    const using = (access: VersionedAccess): Promise<T> => {
      if (access !== recent) {
        kept = { access, at: performance.now() }
      }
      return use(access)
    }
    return withAccessToken(door, tenantId, integrationId, using, recent).catch((error: unknown) => {
      kept = null
      throw error
    })
  }
  const request = <T>(asked: VendorRequest): Promise<Answer<T> | Wait> =>
    withToken((access) => http.json<T>(access, asked))
  const stream = (asked: VendorRequest): Promise<Answer<AsyncIterable<Buffer>> | Wait> =>
    withToken((access) => http.stream(access, asked))
  return {
    system: row.system,
    policy,
    request,
    stream,
    api: {
      json: async <T>(asked: VendorRequest) => answered(await request<T>(asked)),
      stream: async (asked) => answered(await stream(asked)),
    },
    estimate: (cost) => withTenant(source, tenantId, (tx) => estimateBudget(tx, integrationId, policy, cost)),
    tellDayLimit: (limit) => withTenant(source, tenantId, (tx) => tellDayLimit(tx, integrationId, limit)),
    nameAccount: (name) => withTenant(source, tenantId, (tx) => nameAccount(tx, integrationId, name)),
    close: () => http.close(),
  }
}

/** A lane has one transaction at a time, and an adapter may have several requests under way. */
function takingTurns(source: TenantSource): TenantSource {
  let before: Promise<unknown> = Promise.resolve()
  return {
    transaction: (tenantId, work) => {
      const result = before.then(() => source.transaction(tenantId, work))
      before = result.catch(() => undefined)
      return result
    },
  }
}

function answered<T>(outcome: Answer<T> | Wait): Answer<T> {
  if (outcome.kind === 'wait') {
    throw new PlannedPause(outcome)
  }
  return outcome
}

export type { Answer, VendorRequest, Wait } from '../adapters/http/client.js'
export { VendorRefused } from '../adapters/http/errors.js'
