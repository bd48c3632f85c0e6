/**
 * The authorization server of a simulator, after RFC 6749, 7636 and 7009 and the services' documents. Consent is given at once.
 * A code is good once; where refresh tokens rotate, one that was used before ends its whole sign-in.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { GivenTokens, Json, SimAnswer, SimulatedOAuth } from './types.js'

/** How one service does it. */
export interface OAuthWays {
  readonly authorizePath: string
  readonly tokenPath: string
  readonly revokePath: string
  /** How a client says who it is. */
  readonly client: 'form' | 'basic'
  readonly rotate: boolean
  /** Null: access tokens live until they are ended. */
  readonly tokenSeconds: number | null
  /** A refresh token that was not used for so long is good for nothing; absent: it lives for ever. */
  readonly refreshIdleMs?: number
  /** Characters of an access token, about. */
  readonly tokenLength?: number
  /** The answer to a good request for tokens; `refreshToken` null: the one before stays. */
  answer(given: {
    readonly accessToken: string
    readonly refreshToken: string | null
    readonly expiresIn: number | null
    readonly refreshed: boolean
  }): Json
  /** The answer to a code or refresh token that is good for nothing. */
  denied(): SimAnswer
}

interface Grant {
  refreshToken: string
  readonly used: Set<string>
  /** Access tokens with the time of their end. */
  readonly access: Map<string, number>
  revoked: boolean
  /** When the refresh token was given or used last. */
  usedAt: number
}

interface Code {
  readonly redirectUri: string
  readonly challenge: string | null
}

export class OAuthServer implements SimulatedOAuth {
  readonly clientId: string
  readonly clientSecret: string
  readonly #ways: OAuthWays
  readonly #now: () => number
  readonly #grants: Grant[] = []
  readonly #codes = new Map<string, Code>()
  readonly secrets: string[] = []
  refreshes = 0
  exchanges = 0
  denials = 0

  constructor(
    ways: OAuthWays,
    { clientId, clientSecret, now }: { clientId: string; clientSecret: string; now: () => number },
  ) {
    this.#ways = ways
    this.clientId = clientId
    this.clientSecret = clientSecret
    this.#now = now
  }

  connect(): GivenTokens {
    const grant = this.#grant()
    return { accessToken: this.#accessToken(grant), refreshToken: grant.refreshToken }
  }

  expire(): void {
    for (const { access } of this.#grants) {
      access.clear()
    }
  }

  revokeAll(): void {
    for (const grant of this.#grants) {
      grant.revoked = true
      grant.access.clear()
    }
  }

  /** Number of the sign-in that this bearer token belongs to; null: it is good for nothing. */
  grantOf(authorization: string | undefined): number | null {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? ''
    const at = this.#grants.findIndex(({ access, revoked }) => !revoked && (access.get(token) ?? 0) > this.#now())
    return at === -1 ? null : at
  }

  /** Null: the path is none of its own. A redirect is an answer with a `location`. */
  answer(
    method: string,
    path: string,
    query: URLSearchParams,
    authorization: string | undefined,
    body: string,
  ): SimAnswer | null {
    const { authorizePath, tokenPath, revokePath } = this.#ways
    if (path === authorizePath && method === 'GET') {
      return this.#authorize(query)
    }
    const plain = path.replace(/\/$/, '')
    if ((plain !== tokenPath && plain !== revokePath) || method !== 'POST') {
      return null
    }
    const form = new URLSearchParams(body)
    if (!this.#isClient(form, authorization)) {
      return json(401, { error: 'invalid_client', error_description: 'invalid client credentials' })
    }
    return plain === tokenPath ? this.#token(form) : this.#revoke(form)
  }

  #authorize(query: URLSearchParams): SimAnswer {
    const redirectUri = query.get('redirect_uri') ?? ''
    if (query.get('client_id') !== this.clientId || !URL.canParse(redirectUri)) {
      return json(400, { error: 'invalid_request', error_description: 'client_id or redirect_uri' })
    }
    const code = this.#secret(24)
    this.#codes.set(code, { redirectUri, challenge: query.get('code_challenge') })
    const to = new URL(redirectUri)
    to.searchParams.set('code', code)
    const state = query.get('state')
    if (state !== null) {
      to.searchParams.set('state', state)
    }
    return { status: 302, headers: { location: to.href }, body: { text: '', type: 'text/html' } }
  }

  #token(form: URLSearchParams): SimAnswer {
    if (form.get('grant_type') === 'authorization_code') {
      const code = form.get('code') ?? ''
      const known = this.#codes.get(code)
      this.#codes.delete(code)
      const verifier = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url')
      const fits =
        known !== undefined &&
        known.redirectUri === form.get('redirect_uri') &&
        (known.challenge === null || known.challenge === verifier)
      if (!fits) {
        this.denials++
        return this.#ways.denied()
      }
      this.exchanges++
      const grant = this.#grant()
      return this.#tokens(grant, grant.refreshToken, false)
    }
    if (form.get('grant_type') !== 'refresh_token') {
      return json(400, { error: 'unsupported_grant_type', error_description: 'grant type not supported' })
    }
    const token = form.get('refresh_token') ?? ''
    const grant = this.#grants.find((candidate) => candidate.refreshToken === token && this.#lives(candidate))
    if (grant === undefined) {
      this.denials++
      // A token that was used before is in wrong hands or was sent twice: nobody may go on with what came of it.
      for (const candidate of this.#grants.filter(({ used }) => used.has(token))) {
        candidate.revoked = true
        candidate.access.clear()
      }
      return this.#ways.denied()
    }
    this.refreshes++
    grant.usedAt = this.#now()
    if (this.#ways.rotate) {
      grant.used.add(token)
      grant.refreshToken = this.#secret(40)
      return this.#tokens(grant, grant.refreshToken, true)
    }
    return this.#tokens(grant, null, true)
  }

  #revoke(form: URLSearchParams): SimAnswer {
    const token = form.get('token') ?? ''
    const grant = this.#grants.find(({ refreshToken, access }) => refreshToken === token || access.has(token))
    if (grant === undefined) {
      return json(400, { error: 'unsupported_token_type', error_description: 'this token is not supported' })
    }
    grant.revoked = true
    grant.access.clear()
    return { status: 200, body: { text: '', type: 'text/plain' } }
  }

  #tokens(grant: Grant, refreshToken: string | null, refreshed: boolean): SimAnswer {
    const accessToken = this.#accessToken(grant)
    return {
      status: 200,
      body: { json: this.#ways.answer({ accessToken, refreshToken, expiresIn: this.#ways.tokenSeconds, refreshed }) },
    }
  }

  #lives({ revoked, usedAt }: Grant): boolean {
    return !revoked && this.#now() - usedAt <= (this.#ways.refreshIdleMs ?? Number.POSITIVE_INFINITY)
  }

  #grant(): Grant {
    const grant: Grant = {
      refreshToken: this.#secret(40),
      used: new Set<string>(),
      access: new Map(),
      revoked: false,
      usedAt: this.#now(),
    }
    this.#grants.push(grant)
    return grant
  }

  #accessToken(grant: Grant): string {
    const token = this.#secret(this.#ways.tokenLength ?? 60)
    const seconds = this.#ways.tokenSeconds
    grant.access.set(token, seconds === null ? Number.POSITIVE_INFINITY : this.#now() + seconds * 1000)
    return token
  }

  #secret(length: number): string {
    const secret = randomBytes(length).toString('base64url').slice(0, length)
    this.secrets.push(secret)
    return secret
  }

  #isClient(form: URLSearchParams, authorization: string | undefined): boolean {
    if (this.#ways.client === 'form') {
      return form.get('client_id') === this.clientId && form.get('client_secret') === this.clientSecret
    }
    const [, encoded = ''] = /^Basic (\S+)$/.exec(authorization ?? '') ?? []
    return (
      Buffer.from(encoded, 'base64').toString() === [this.clientId, this.clientSecret].map(encodeURIComponent).join(':')
    )
  }
}

function json(status: number, value: Json): SimAnswer {
  return { status, body: { json: value } }
}
