/** The token endpoint: codes and refresh tokens for access tokens (RFC 6749, RFC 7636), and their end (RFC 7009). */
import { createHash, randomBytes } from 'node:crypto'
import { RetryableError } from '../../errors.js'
import { Hidden } from '../../hidden.js'
import { OAUTH_TOKEN_LENGTH_MAX, VENDOR_FAULT_BYTES_MAX, VENDOR_HEADERS_MS_MAX } from '../../limits.js'
import { systemNames } from '../../systems.js'
import { VendorRefused, vendorUnavailable } from '../http/errors.js'
import type { Resolve } from '../http/guard.js'
import { ConnectionFault, Transport } from '../http/transport.js'
import { type Account, apiOrigin, type OAuthVendor } from './vendors.js'

/** The app that is registered with the vendor. */
export interface OAuthApp {
  readonly clientId: string
  readonly clientSecret: Hidden
}

export interface OAuthConnection {
  readonly vendor: OAuthVendor
  readonly app: OAuthApp
  readonly loginOrigin: string
  /** See `HostRule`. */
  readonly standIns: readonly string[] | null
  readonly resolve?: Resolve | undefined
}

export interface Tokens {
  readonly accessToken: Hidden
  /** Null: the answer has none, so the one before stays good. */
  readonly refreshToken: Hidden | null
  /** Null: not told; the token is good until it is refused. */
  readonly expiresInSeconds: number | null
  /** Empty: not told. */
  readonly scopes: readonly string[]
  /** Null in an answer to a refresh that does not tell it again. */
  readonly account: Account | null
  /** Checked; null as `account`. */
  readonly apiOrigin: string | null
}

/** What the token endpoint said. `denied`: the code or the refresh token is good for nothing any more. */
export type TokenAnswer = { readonly kind: 'tokens'; readonly tokens: Tokens } | { readonly kind: 'denied' }

/** A fresh PKCE verifier and its S256 challenge. */
export function newVerifier(): { readonly verifier: Hidden; readonly challenge: string } {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier: new Hidden(verifier), challenge: createHash('sha256').update(verifier).digest('base64url') }
}

/** Where to send the person who connects. */
export function authorizationUrl(
  { vendor, app, loginOrigin, standIns }: OAuthConnection,
  parameters: { readonly redirectUri: string; readonly state: string; readonly challenge: string },
): string {
  const url = new URL(vendor.authorizePath, standIns?.[0] ?? loginOrigin)
  const { redirectUri, state, challenge } = parameters
  for (const [name, value] of Object.entries({
    response_type: 'code',
    client_id: app.clientId,
    redirect_uri: redirectUri,
    ...(vendor.scopes === null ? {} : { scope: vendor.scopes.join(' ') }),
    ...(vendor.optionalScopes.length === 0 ? {} : { optional_scope: vendor.optionalScopes.join(' ') }),
    state,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  })) {
    url.searchParams.set(name, value)
  }
  return url.href
}

/** A code for tokens. Throws RetryableError VENDOR_UNAVAILABLE and VendorRefused. Sent once: a code is good for one use. */
export function exchangeCode(
  connection: OAuthConnection,
  given: { readonly code: Hidden; readonly verifier: Hidden; readonly redirectUri: string },
): Promise<TokenAnswer> {
  return askForTokens(connection, {
    grant_type: 'authorization_code',
    code: given.code.reveal(),
    redirect_uri: given.redirectUri,
    code_verifier: given.verifier.reveal(),
  })
}

/**
 * A refresh token for an access token. Sent once: the vendor may give a new refresh token for it, after which the old one
 * used again would end the whole connection.
 */
export function refreshTokens(connection: OAuthConnection, refreshToken: Hidden): Promise<TokenAnswer> {
  return askForTokens(connection, { grant_type: 'refresh_token', refresh_token: refreshToken.reveal() })
}

/** Ends a token at the vendor. False: the vendor did not say that it has. Throws nothing: it is ended here in any case. */
export async function revokeToken(connection: OAuthConnection, token: Hidden): Promise<boolean> {
  try {
    const { status } = await post(connection, connection.vendor.revokePath, { token: token.reveal() })
    // Some answer 400 to a token that has ended before, which is as good.
    return (status >= 200 && status < 300) || status === 400
  } catch {
    return false
  }
}

/** Errors of RFC 6749, and Salesforce's own, after which only the person can help. */
const DENIED = /^(invalid_grant|inactive_user|inactive_org|access_denied|BAD_REFRESH_TOKEN|BAD_AUTH_CODE)$/

async function askForTokens(connection: OAuthConnection, form: Readonly<Record<string, string>>): Promise<TokenAnswer> {
  const { vendor } = connection
  const name = systemNames[vendor.system]
  const { status, body } = await post(connection, vendor.tokenPath, form)
  if (status >= 200 && status < 300 && body !== null) {
    return { kind: 'tokens', tokens: tokensOf(connection, body) }
  }
  const said = [body?.error, body?.status].map((word) => (typeof word === 'string' ? word : ''))
  if (status >= 400 && status < 500 && said.some((word) => DENIED.test(word))) {
    return { kind: 'denied' }
  }
  if (status >= 400 && status < 500 && status !== 408 && status !== 429 && body !== null) {
    // invalid_client and the like: nothing that a tenant could mend.
    const code = said.find((word) => /^\w{1,60}$/.test(word)) ?? `HTTP_${status}`
    throw new VendorRefused({
      code,
      message: `${name} does not accept this installation’s app (${code}): the operator has to check its client id and secret.`,
      status,
    })
  }
  throw vendorUnavailable(`${name} answered ${status} to a request for an access token.`)
}

function tokensOf(connection: OAuthConnection, body: Readonly<Record<string, unknown>>): Tokens {
  const { vendor, loginOrigin, standIns } = connection
  const name = systemNames[vendor.system]
  const token = (value: unknown): Hidden | null => {
    if (value === undefined || value === null || value === '') {
      return null
    }
    if (typeof value !== 'string' || value.length > OAUTH_TOKEN_LENGTH_MAX || !/^[\x21-\x7e]+$/.test(value)) {
      throw new VendorRefused({ code: 'TOKEN_INVALID', message: `${name} gave a token that is none.` })
    }
    return new Hidden(value)
  }
  const accessToken = token(body.access_token)
  if (accessToken === null || (typeof body.token_type === 'string' && body.token_type.toLowerCase() !== 'bearer')) {
    throw new VendorRefused({ code: 'TOKEN_INVALID', message: `${name} gave no access token of the kind “bearer”.` })
  }
  const account = vendor.accountOf(body, loginOrigin)
  // Where a simulator stands in, it does so for a vendor's fixed host too.
  const fixed = account !== null && standIns !== null && vendor.apiHosts.every((host) => !host.startsWith('.'))
  const told = fixed ? (standIns[0] ?? '') : (account?.apiUrl ?? null)
  const seconds = Number(body.expires_in)
  const scopes: unknown = body.scopes ?? body.scope
  return {
    accessToken,
    refreshToken: token(body.refresh_token),
    expiresInSeconds: Number.isFinite(seconds) && seconds > 0 ? Math.floor(seconds) : null,
    scopes: (Array.isArray(scopes) ? scopes.map(String) : typeof scopes === 'string' ? scopes.split(/[\s,]+/) : [])
      .filter((scope) => /^[\w.:/-]{1,100}$/.test(scope))
      .slice(0, 100),
    account,
    apiOrigin: told === null ? null : apiOrigin(told, vendor, standIns),
  }
}

async function post(
  { vendor, app, loginOrigin, standIns, resolve }: OAuthConnection,
  path: string,
  form: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> | null }> {
  const transport = new Transport({
    rule: { hosts: vendor.loginHosts, standIns },
    timeouts: { headers: Math.min(20_000, VENDOR_HEADERS_MS_MAX), silence: 10_000 },
    ...(resolve === undefined ? {} : { resolve }),
  })
  const basic = vendor.clientAuthentication === 'basic'
  const client = { client_id: app.clientId, client_secret: app.clientSecret.reveal() }
  const text = new URLSearchParams(basic ? form : { ...form, ...client }).toString()
  const credentials = [client.client_id, client.client_secret].map((part) => formEncoded(part)).join(':')
  try {
    const received = await transport.send({
      url: new URL(path, standIns?.[0] ?? vendor.tokenOrigin(loginOrigin)),
      method: 'POST',
      headers: {
        accept: 'application/json',
        'user-agent': 'Portage',
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': String(Buffer.byteLength(text)),
        ...(basic ? { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` } : {}),
      },
      body: text,
      fresh: true,
      signal: AbortSignal.timeout(TOKEN_MS_MAX),
    })
    const parts: Buffer[] = []
    for await (const part of received.body(VENDOR_FAULT_BYTES_MAX)) {
      parts.push(part)
    }
    return { status: received.status, body: objectOf(Buffer.concat(parts).toString()) }
  } catch (error) {
    if (error instanceof ConnectionFault || error instanceof DOMException || error instanceof RetryableError) {
      throw vendorUnavailable(`${systemNames[vendor.system]} cannot be reached for an access token.`, {
        cause: error instanceof Error ? new Error(error.message) : null,
      })
    }
    throw error
  } finally {
    transport.close()
  }
}

/** One request to a token endpoint; shorter than a lease. Milliseconds. */
const TOKEN_MS_MAX = 30_000

/** RFC 6749, 2.3.1: both parts are form-encoded before they are put together. */
function formEncoded(part: string): string {
  return new URLSearchParams([['', part]]).toString().slice(1)
}

function objectOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
