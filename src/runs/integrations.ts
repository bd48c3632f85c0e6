/**
 * Connected CRMs: signing in, what is kept of it, and its end. A sign-in is bound to the tenant and the actor who began it
 * and can be completed once, within ten minutes. Tokens are sealed before they touch the database and leave it as `Hidden`.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { fingerprint, openSealer, type Sealer } from '../access/secrets.js'
import { VendorRefused } from '../adapters/http/errors.js'
import { fitsHosts, type Resolve } from '../adapters/http/guard.js'
import {
  authorizationUrl,
  exchangeCode,
  newVerifier,
  type OAuthApp,
  type OAuthConnection,
  revokeToken,
  type Tokens,
} from '../adapters/oauth/tokens.js'
import { oauthVendor } from '../adapters/oauth/vendors.js'
import type { MasterKeys, VendorConfig } from '../config.js'
import { first, one, type TenantSource, type Tx, withTenant } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { Hidden } from '../hidden.js'
import { decodeUuid, encodeUuid, newId } from '../ids.js'
import { INTEGRATIONS_MAX, OAUTH_EARLY_SECONDS, OAUTH_SIGN_INS_MAX, OAUTH_STATE_SECONDS } from '../limits.js'
import { type CrmSystem, systemNames } from '../systems.js'

/** What integrations need of their process. `Config` has all of it but the resolver. */
export interface IntegrationSettings {
  readonly masterKeys: MasterKeys
  readonly vendors: VendorConfig
  /** Where clients reach the API: our own page for vendors to send people back to is below it. */
  readonly publicUrl: string
  /** How names of hosts are resolved; for tests. */
  readonly resolve?: Resolve
}

export type IntegrationStatus = 'PENDING' | 'CONNECTED' | 'REAUTHORIZATION_REQUIRED' | 'REVOKED'

export interface IntegrationRow {
  readonly id: string
  readonly system: CrmSystem
  readonly status: IntegrationStatus
  /** Why a status is not CONNECTED, for people; null: there is nothing to say. */
  readonly statusReason: string | null
  readonly loginOrigin: string
  /** The vendor's id of the account; null until it is connected. */
  readonly account: string | null
  readonly accountName: string | null
  readonly apiOrigin: string | null
  readonly scopes: readonly string[]
  readonly createdBy: string
  readonly createdAt: Date
  /** The first or, after a new sign-in, the last time. */
  readonly connectedAt: Date | null
}

const columns = `id, system, status, status_reason as "statusReason", login_origin as "loginOrigin", account,
  account_name as "accountName", api_origin as "apiOrigin", scopes, created_by as "createdBy", created_at as "createdAt",
  connected_at as "connectedAt"`

/** Path of our page that browsers come back to. */
export const CALLBACK_PATH = '/oauth/callback'

/** What each secret is sealed for. Never change one: what is sealed could not be opened any more. */
export const purposes = {
  access: (integrationId: string) => `integration ${integrationId} access token`,
  refresh: (integrationId: string) => `integration ${integrationId} refresh token`,
  verifier: (integrationId: string) => `integration ${integrationId} verifier`,
}

/** Integrations of the tenant, newest first; not those whose sign-in was never completed. */
export async function listIntegrations(tx: Tx): Promise<IntegrationRow[]> {
  return tx.query<IntegrationRow>(
    `select ${columns} from integration i where tenant_id = $1 and (status <> 'PENDING' or ${awaited})
     order by created_at desc, id desc limit ${INTEGRATIONS_MAX + OAUTH_SIGN_INS_MAX}`,
    [tx.tenantId],
  )
}

const awaited = `exists (select from oauth_state s where s.tenant_id = i.tenant_id and s.integration_id = i.id
  and s.used_at is null and s.expires_at > now())`

/** The integration with this id; null for none. */
export async function findIntegration(tx: Tx, id: string): Promise<IntegrationRow | null> {
  return first<IntegrationRow>(tx, `select ${columns} from integration where tenant_id = $1 and id = $2`, [
    tx.tenantId,
    id,
  ])
}

/** The registered app of this CRM. Refuses INVALID_STATE, naming what the operator has to set. */
export function appOf(system: CrmSystem, vendors: VendorConfig): OAuthApp {
  const app = vendors.apps[system]
  if (app === null) {
    const name = system.toUpperCase()
    throw new Refusal(
      'INVALID_STATE',
      `${systemNames[system]} cannot be connected here: the operator has to set PORTAGE_${name}_CLIENT_ID and PORTAGE_${name}_CLIENT_SECRET.`,
      ['system'],
    )
  }
  return app
}

/** How to talk about tokens with the vendor of this integration. Refuses as `appOf`. */
export function connectionOf(
  integration: Pick<IntegrationRow, 'system' | 'loginOrigin'>,
  { vendors, resolve }: IntegrationSettings,
): OAuthConnection {
  return {
    vendor: oauthVendor(integration.system),
    app: appOf(integration.system, vendors),
    loginOrigin: integration.loginOrigin,
    standIns: vendors.origins[integration.system],
    resolve,
  }
}

export interface BeginInput {
  readonly system: CrmSystem
  readonly redirectUri: string
  readonly sandbox: boolean
  readonly host: string | null
  readonly actor: string
}

export interface Begun {
  readonly integrationId: string
  readonly authorizationUrl: string
  /** For the browser of who begins, as a cookie; null: the caller completes it with credentials. */
  readonly browserSecret: Hidden | null
}

/**
 * Begins a sign-in. Where our own page is to complete it, the browser that began must be the one that comes back: it proves
 * so with `browserSecret`. Otherwise anybody could have a stranger connect his CRM to the wrong tenant.
 */
export async function beginIntegration(tx: Tx, settings: IntegrationSettings, input: BeginInput): Promise<Begun> {
  const { system, redirectUri, actor } = input
  const name = systemNames[system]
  const app = appOf(system, settings.vendors)
  const vendor = oauthVendor(system)
  const own = redirectUri === ownCallback(settings)
  if (!own && !settings.vendors.redirectUris.includes(redirectUri)) {
    throw new Refusal(
      'INVALID_INPUT',
      `${name} may send people back to ${ownCallback(settings)} or to an address that the operator put into PORTAGE_OAUTH_REDIRECT_URIS, character by character.`,
      ['redirectUri'],
    )
  }
  const host = input.host === null ? null : hostOf(input.host)
  const loginOrigin = host === undefined ? null : vendor.loginOrigin({ sandbox: input.sandbox, host })
  if (loginOrigin === null) {
    throw new Refusal(
      'INVALID_INPUT',
      system === 'salesforce'
        ? 'Expected login.salesforce.com, test.salesforce.com for a sandbox, or a My Domain such as acme.my.salesforce.com (of a sandbox acme--test.sandbox.my.salesforce.com).'
        : `${name} is signed in to at one address: leave the host out.`,
      ['host'],
    )
  }
  await clearAway(tx)
  const id = newId()
  await tx.query(
    `insert into integration (tenant_id, id, system, status, login_origin, created_by) values ($1, $2, $3, 'PENDING', $4, $5)`,
    [tx.tenantId, id, system, loginOrigin, actor],
  )
  const state = `${encodeUuid(tx.tenantId)}${randomBytes(32).toString('base64url')}`
  const browserSecret = own ? new Hidden(randomBytes(32).toString('base64url')) : null
  const { verifier, challenge } = newVerifier()
  const sealer = await openSealer(tx, settings.masterKeys)
  await tx.query(
    `insert into oauth_state (tenant_id, state_hash, integration_id, actor, redirect_uri, browser_hash, verifier, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 second')`,
    [
      tx.tenantId,
      fingerprint(state),
      id,
      actor,
      redirectUri,
      browserSecret === null ? null : fingerprint(browserSecret.reveal()),
      sealer.seal(purposes.verifier(id), verifier),
      OAUTH_STATE_SECONDS,
    ],
  )
  const connection = connectionOf({ system, loginOrigin }, settings)
  return {
    integrationId: id,
    authorizationUrl: authorizationUrl({ ...connection, app }, { redirectUri, state, challenge }),
    browserSecret,
  }
}

/** The page of ours that vendors may send people back to. */
export function ownCallback({ publicUrl }: Pick<IntegrationSettings, 'publicUrl'>): string {
  return `${publicUrl}${CALLBACK_PATH}`
}

/** The host name as the parser of addresses reads it; undefined for anything that is more or less than a host name. */
function hostOf(text: string): string | undefined {
  const trimmed = text
    .trim()
    .replace(/^https:\/\//i, '')
    .replace(/\/$/, '')
  const url = URL.canParse(`https://${trimmed}`) ? new URL(`https://${trimmed}`) : null
  return url !== null && url.href === `https://${url.hostname}/` ? url.hostname : undefined
}

/** Sign-ins that nobody completed go; then refuses LIMIT_EXCEEDED where there are too many. */
async function clearAway(tx: Tx): Promise<void> {
  await tx.query(`delete from integration i where tenant_id = $1 and status = 'PENDING' and not ${awaited}`, [
    tx.tenantId,
  ])
  const { pending, others } = await one<{ pending: number; others: number }>(
    tx,
    `select count(*) filter (where status = 'PENDING')::int as pending, count(*) filter (where status <> 'PENDING')::int as others
     from integration where tenant_id = $1`,
    [tx.tenantId],
  )
  if (pending >= OAUTH_SIGN_INS_MAX) {
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `${OAUTH_SIGN_INS_MAX} sign-ins are under way already: complete one, or wait ${OAUTH_STATE_SECONDS / 60} minutes.`,
    )
  }
  if (others >= INTEGRATIONS_MAX) {
    throw new Refusal('LIMIT_EXCEEDED', `There are ${INTEGRATIONS_MAX} integrations already.`)
  }
}

/** Who comes back with a state: a signed-in caller, or a browser with its cookie. */
export type ComesBack =
  | { readonly kind: 'caller'; readonly tenantId: string; readonly actor: string }
  | { readonly kind: 'browser'; readonly secretOf: (cookie: string) => string | null }

/** A sign-in that is nobody else's any more. */
export interface Claimed {
  readonly tenantId: string
  readonly integrationId: string
  /** Who began it. */
  readonly actor: string
  readonly redirectUri: string
  readonly verifier: Hidden
}

/**
 * Takes the state of a sign-in for this one completion: whatever comes of it, it cannot be used again. Refuses
 * OAUTH_STATE_INVALID for a state that is wrong, used, expired, or somebody else's, in the same words.
 */
export async function claimState(
  source: TenantSource,
  settings: IntegrationSettings,
  state: string,
  who: ComesBack,
): Promise<Claimed> {
  const tenantId = tenantOf(state)
  if (tenantId === null || (who.kind === 'caller' && who.tenantId !== tenantId)) {
    throw invalidState()
  }
  return withTenant(source, tenantId, async (tx) => {
    const hash = fingerprint(state)
    const row = await first<{
      integration_id: string
      actor: string
      browser_hash: Buffer | null
      redirect_uri: string
      verifier: string
    }>(
      tx,
      `select integration_id, actor, browser_hash, redirect_uri, verifier from oauth_state
       where tenant_id = $1 and state_hash = $2 and used_at is null and expires_at > now() for update`,
      [tenantId, hash],
    )
    // Not used up by who may not use it: a stranger could end the sign-ins of others.
    if (row === null || !belongs(row, who, state)) {
      throw invalidState()
    }
    await tx.query('update oauth_state set used_at = now() where tenant_id = $1 and state_hash = $2', [tenantId, hash])
    const sealer = await openSealer(tx, settings.masterKeys)
    return {
      tenantId,
      integrationId: row.integration_id,
      actor: row.actor,
      redirectUri: row.redirect_uri,
      verifier: sealer.open(purposes.verifier(row.integration_id), row.verifier),
    }
  })
}

function tenantOf(state: string): string | null {
  return /^[0-9a-z]{26}[\w-]{43}$/.test(state) ? decodeUuid(state.slice(0, 26)) : null
}

/** Name of the cookie that proves that a browser began this sign-in: several can be under way in one browser. */
export function browserCookie(state: string): string {
  return `portage_oauth_${fingerprint(state).toString('hex').slice(0, 16)}`
}

function belongs(
  row: { readonly actor: string; readonly browser_hash: Buffer | null },
  who: ComesBack,
  state: string,
): boolean {
  if (who.kind === 'caller') {
    return row.actor === who.actor
  }
  const given = who.secretOf(browserCookie(state))
  return given !== null && row.browser_hash !== null && timingSafeEqual(fingerprint(given), row.browser_hash)
}

function invalidState(): Refusal {
  return new Refusal(
    'OAUTH_STATE_INVALID',
    'This sign-in was not begun here by you, has been completed, or took too long: begin again.',
    ['state'],
  )
}

/**
 * Completes a claimed sign-in with its code (and, where it came along, the issuer) and answers the integration: another one than was begun where the account was
 * connected before, for which it is a new sign-in. Refuses OAUTH_STATE_INVALID where the vendor does not take the code, and
 * INVALID_STATE where what it answers cannot be used. Throws RetryableError VENDOR_UNAVAILABLE.
 */
export async function completeIntegration(
  source: TenantSource,
  settings: IntegrationSettings,
  claimed: Claimed,
  { code, issuer }: { readonly code: Hidden; readonly issuer: string | null },
): Promise<IntegrationRow> {
  const { tenantId, integrationId } = claimed
  const begun = await withTenant(source, tenantId, (tx) => findIntegration(tx, integrationId))
  if (begun === null || begun.status !== 'PENDING') {
    throw invalidState()
  }
  const name = systemNames[begun.system]
  const connection = connectionOf(begun, settings)
  if (issuer !== null && !isIssuer(issuer, connection)) {
    throw invalidState()
  }
  const answer = await exchangeCode(connection, { code, ...claimed }).catch((error: unknown) => {
    throw error instanceof VendorRefused ? new Refusal('INVALID_STATE', error.message) : error
  })
  if (answer.kind === 'denied') {
    throw new Refusal('OAUTH_STATE_INVALID', `${name} does not take this code: begin again.`, ['code'])
  }
  const { tokens } = answer
  if (tokens.account === null || tokens.apiOrigin === null) {
    await revokeToken(connection, tokens.refreshToken ?? tokens.accessToken)
    throw new Refusal('INVALID_STATE', `${name} does not tell which account was connected: begin again.`)
  }
  const { account } = tokens.account
  return withTenant(source, tenantId, async (tx) => {
    const sealer = await openSealer(tx, settings.masterKeys)
    // Two sign-ins to one account that end at once take turns: the later one finds what the earlier one made.
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
      ['integration', tenantId, begun.system, account].join(' '),
    ])
    const known = await first<{ id: string }>(
      tx,
      'select id from integration where tenant_id = $1 and system = $2 and account = $3 for update',
      [tenantId, begun.system, account],
    )
    const id = known?.id ?? integrationId
    if (known !== null) {
      await tx.query('delete from integration where tenant_id = $1 and id = $2', [tenantId, integrationId])
    }
    await connect(tx, sealer, { id, tokens, loginOrigin: begun.loginOrigin })
    return one<IntegrationRow>(tx, `select ${columns} from integration where tenant_id = $1 and id = $2`, [
      tenantId,
      id,
    ])
  })
}

/** RFC 9207: a code that another vendor gave must not be shown to this one. */
function isIssuer(issuer: string, { vendor, standIns }: OAuthConnection): boolean {
  const url = URL.canParse(issuer) ? new URL(issuer) : null
  return (
    url !== null &&
    (standIns === null
      ? url.protocol === 'https:' && fitsHosts(url.hostname, vendor.loginHosts)
      : standIns.includes(url.origin))
  )
}

/** A token that lives no longer than twice OAUTH_EARLY_SECONDS is renewed at half of its life, or it would be all the time. */
function renewAt(lifeSeconds: string): string {
  const life = `${lifeSeconds}::int`
  return `clock_timestamp() + greatest(${life} - ${OAUTH_EARLY_SECONDS}, ${life} / 2) * interval '1 second'`
}

async function connect(
  tx: Tx,
  sealer: Sealer,
  { id, tokens, loginOrigin }: { readonly id: string; readonly tokens: Tokens; readonly loginOrigin: string },
): Promise<void> {
  await tx.query(
    `update integration set status = 'CONNECTED', status_reason = null, login_origin = $3, account = $4,
       account_name = coalesce(account_name, $5), api_origin = $6, scopes = $7, access_token = $8, refresh_token = $9,
       access_expires_at = clock_timestamp() + $10::int * interval '1 second', access_renew_at = ${renewAt('$10')}, token_version = token_version + 1,
       refreshing_by = null, refreshing_until = null, connected_at = now(), revoked_at = null
     where tenant_id = $1 and id = $2`,
    [
      tx.tenantId,
      id,
      loginOrigin,
      tokens.account?.account ?? null,
      tokens.account?.accountName ?? null,
      tokens.apiOrigin,
      tokens.scopes,
      sealer.seal(purposes.access(id), tokens.accessToken),
      // Of an earlier sign-in none stays: it was another consent.
      tokens.refreshToken === null ? null : sealer.seal(purposes.refresh(id), tokens.refreshToken),
      tokens.expiresInSeconds,
    ],
  )
}

/**
 * Keeps new tokens, if nobody else did since `version`. A refresh token that the answer lacks stays, and
 * so do the account's origin and scopes. Answers whether it did.
 */
export async function storeTokens(
  tx: Tx,
  sealer: Sealer,
  { id, tokens, version }: { readonly id: string; readonly tokens: Tokens; readonly version: number },
): Promise<boolean> {
  const rows = await tx.query(
    `update integration set access_token = $3, refresh_token = coalesce($4, refresh_token),
       access_expires_at = clock_timestamp() + $5::int * interval '1 second', access_renew_at = ${renewAt('$5')}, api_origin = coalesce($6, api_origin),
       scopes = case when cardinality($7::text[]) = 0 then scopes else $7::text[] end,
       token_version = token_version + 1, refreshing_by = null, refreshing_until = null
     where tenant_id = $1 and id = $2 and status = 'CONNECTED' and token_version = $8
     returning 1 as stored`,
    [
      tx.tenantId,
      id,
      sealer.seal(purposes.access(id), tokens.accessToken),
      tokens.refreshToken === null ? null : sealer.seal(purposes.refresh(id), tokens.refreshToken),
      tokens.expiresInSeconds,
      tokens.apiOrigin,
      tokens.scopes,
      version,
    ],
  )
  return rows.length > 0
}

/**
 * Ends an integration here, at once and for good, and then at the vendor, as far as that can be reached. Records stay; a new
 * sign-in to the same account takes it up again. Refuses NOT_FOUND. Ending it twice changes nothing.
 */
export async function revokeIntegration(
  source: TenantSource,
  settings: IntegrationSettings,
  tenantId: string,
  id: string,
): Promise<IntegrationRow> {
  const { row, token } = await withTenant(source, tenantId, async (tx) => {
    const held = await first<{ access_token: string | null; refresh_token: string | null }>(
      tx,
      'select access_token, refresh_token from integration where tenant_id = $1 and id = $2 for update',
      [tenantId, id],
    )
    if (held === null) {
      throw new Refusal('NOT_FOUND', 'There is no integration with this id.', ['integrationId'])
    }
    await tx.query(
      `update integration set status = 'REVOKED', status_reason = null, access_token = null, refresh_token = null,
         access_expires_at = null, access_renew_at = null, token_version = token_version + 1, refreshing_by = null, refreshing_until = null,
         revoked_at = coalesce(revoked_at, now())
       where tenant_id = $1 and id = $2`,
      [tenantId, id],
    )
    await tx.query('delete from oauth_state where tenant_id = $1 and integration_id = $2', [tenantId, id])
    const revoked = await one<IntegrationRow>(
      tx,
      `select ${columns} from integration where tenant_id = $1 and id = $2`,
      [tenantId, id],
    )
    return { row: revoked, token: await lastToken(tx, settings, id, held) }
  })
  // Without a registered app there is nobody to tell the vendor as.
  if (token !== null && settings.vendors.apps[row.system] !== null) {
    await revokeToken(connectionOf(row, settings), token)
  }
  return row
}

/** The refresh token ends all access tokens with it. Null: none, or none that can be opened. */
async function lastToken(
  tx: Tx,
  settings: IntegrationSettings,
  id: string,
  held: { readonly access_token: string | null; readonly refresh_token: string | null },
): Promise<Hidden | null> {
  const sealer = await openSealer(tx, settings.masterKeys)
  try {
    if (held.refresh_token !== null) {
      return sealer.open(purposes.refresh(id), held.refresh_token)
    }
    return held.access_token === null ? null : sealer.open(purposes.access(id), held.access_token)
  } catch {
    return null
  }
}

/** Gives the account a better name, which an adapter has asked for. */
export async function nameAccount(tx: Tx, id: string, name: string): Promise<void> {
  await tx.query('update integration set account_name = $3 where tenant_id = $1 and id = $2', [tx.tenantId, id, name])
}
