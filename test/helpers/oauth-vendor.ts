/**
 * A CRM's authorization server, written from RFC 6749, 7636, 7009 and the vendors' documentation, knowing nothing of our
 * client. Strict: every parameter is checked, a code is good once, an old refresh token ends the whole grant.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

export type VendorKind = 'salesforce' | 'hubspot' | 'pipedrive'

interface Grant {
  readonly id: number
  refreshToken: string
  accessTokens: Set<string>
  revoked: boolean
}

interface Code {
  readonly redirectUri: string
  readonly challenge: string
  readonly clientId: string
  used: boolean
}

export interface OAuthVendorOptions {
  readonly kind: VendorKind
  readonly clientId: string
  readonly clientSecret: string
  /** Each refresh gives a new refresh token and ends the old one. */
  readonly rotate?: boolean
  readonly expiresIn?: number
}

export class FakeOAuthVendor {
  readonly options: OAuthVendorOptions
  readonly #server: Server
  readonly codes = new Map<string, Code>()
  readonly grants: Grant[] = []
  readonly log: { readonly path: string; readonly grantType: string | null; readonly authorization: string }[] = []
  origin = ''
  /** Every token and code that was ever given out: none may be found anywhere else. */
  readonly secrets: string[] = []
  /** Changes an answer of the token endpoint, to lie. */
  bend: (answer: Record<string, unknown>) => Record<string, unknown> = (answer) => answer
  /** Answers instead of the token endpoint. */
  instead: ((response: ServerResponse) => void) | null = null
  /** Answers requests other than those of the protocol; gets whether the bearer token is good. */
  api: (request: IncomingMessage, response: ServerResponse, good: boolean) => void = (_request, response, good) =>
    send(response, good ? 200 : 401, good ? { fine: true } : this.#expired())
  /** Held until it resolves: refreshes can be made to overlap. */
  gate: Promise<void> = Promise.resolve()
  account = '00D000000000001'

  private constructor(options: OAuthVendorOptions) {
    this.options = options
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        send(response, 500, { error: String(error) })
      })
    })
  }

  static async start(options: OAuthVendorOptions): Promise<FakeOAuthVendor> {
    const vendor = new FakeOAuthVendor(options)
    await new Promise<void>((resolve) => vendor.#server.listen(0, '127.0.0.1', resolve))
    const address = vendor.#server.address()
    vendor.origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
    return vendor
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  /** What happens when the person agrees: the address that the browser is sent back to. */
  agree(authorizationUrl: string): URL {
    const asked = new URL(authorizationUrl).searchParams
    const need = (name: string, value?: string): string => {
      const given = asked.get(name)
      if (given === null || (value !== undefined && given !== value)) {
        throw new Error(`the authorization request has no good ${name}: ${given}`)
      }
      return given
    }
    need('response_type', 'code')
    need('client_id', this.options.clientId)
    need('code_challenge_method', 'S256')
    const challenge = need('code_challenge')
    if (!/^[\w-]{43}$/.test(challenge)) {
      throw new Error('the challenge is no SHA-256')
    }
    const redirectUri = need('redirect_uri')
    const code = this.#secret('code')
    this.codes.set(code, { redirectUri, challenge, clientId: this.options.clientId, used: false })
    const back = new URL(redirectUri)
    back.searchParams.set('code', code)
    back.searchParams.set('state', need('state'))
    return back
  }

  /** Ends all access tokens there are, as time would. */
  expireAccess(): void {
    for (const grant of this.grants) {
      grant.accessTokens.clear()
    }
  }

  /** How often tokens were asked for in this way. */
  count(grantType: string): number {
    return this.log.filter((entry) => entry.grantType === grantType).length
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '', this.origin)
    const body = new URLSearchParams(await textOf(request))
    const isToken = pathname.endsWith('/token')
    this.log.push({
      path: pathname,
      grantType: isToken ? body.get('grant_type') : null,
      authorization: request.headers.authorization ?? '',
    })
    if (pathname.endsWith('/revoke')) {
      const token = body.get('token')
      const grant = this.grants.find((each) => each.refreshToken === token || each.accessTokens.has(token ?? ''))
      if (grant !== undefined) {
        grant.revoked = true
      }
      send(response, 200, {})
    } else if (isToken) {
      await this.gate
      if (this.instead !== null) {
        this.instead(response)
        return
      }
      this.#token(request, body, response)
    } else {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
      this.api(
        request,
        response,
        this.grants.some((grant) => !grant.revoked && grant.accessTokens.has(token)),
      )
    }
  }

  #token(request: IncomingMessage, body: URLSearchParams, response: ServerResponse): void {
    const { kind, clientId, clientSecret, rotate } = this.options
    // RFC 6749, 2.3.1: each part is form-encoded.
    const decoded = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString()
    const [id, secret] = decoded.split(':').map((part) => decodeURIComponent(part.replaceAll('+', ' ')))
    const known =
      kind === 'pipedrive'
        ? id === clientId && secret === clientSecret && body.get('client_secret') === null
        : body.get('client_id') === clientId && body.get('client_secret') === clientSecret
    if (request.method !== 'POST' || !known) {
      send(response, 401, { error: 'invalid_client' })
      return
    }
    const denied = () =>
      send(
        response,
        400,
        kind === 'hubspot' ? { status: 'BAD_REFRESH_TOKEN', error: 'invalid_grant' } : { error: 'invalid_grant' },
      )
    if (body.get('grant_type') === 'authorization_code') {
      this.secrets.push(body.get('code_verifier') ?? '')
      const code = this.codes.get(body.get('code') ?? '')
      const challenge = createHash('sha256')
        .update(body.get('code_verifier') ?? '')
        .digest('base64url')
      if (
        code === undefined ||
        code.used ||
        code.redirectUri !== body.get('redirect_uri') ||
        code.challenge !== challenge
      ) {
        denied()
        return
      }
      code.used = true
      const grant: Grant = { id: this.grants.length, refreshToken: '', accessTokens: new Set(), revoked: false }
      this.grants.push(grant)
      grant.refreshToken = this.#secret(`refresh-${grant.id}`)
      this.#give(grant, response, true)
      return
    }
    const token = body.get('refresh_token') ?? ''
    const grant = this.grants.find((each) => each.refreshToken === token)
    if (body.get('grant_type') !== 'refresh_token' || grant === undefined || grant.revoked) {
      // An old token used again: somebody has stolen one of the two.
      const owner = this.grants.find((each) => token.startsWith(`canary-refresh-${each.id}-`))
      if (owner !== undefined && rotate === true) {
        owner.revoked = true
      }
      denied()
      return
    }
    if (rotate === true) {
      grant.refreshToken = this.#secret(`refresh-${grant.id}`)
    }
    this.#give(grant, response, rotate === true)
  }

  #give(grant: Grant, response: ServerResponse, withRefresh: boolean): void {
    const access = this.#secret('access')
    grant.accessTokens.add(access)
    const common = { access_token: access, ...(withRefresh ? { refresh_token: grant.refreshToken } : {}) }
    const { kind, expiresIn } = this.options
    const answers = {
      salesforce: {
        ...common,
        token_type: 'Bearer',
        instance_url: this.origin,
        id: `${this.origin}/id/${this.account}AAA/005000000000001AAA`,
        issued_at: String(Date.now()),
        signature: 'x',
        scope: 'refresh_token api',
      },
      hubspot: {
        ...common,
        refresh_token: grant.refreshToken,
        token_type: 'bearer',
        expires_in: expiresIn ?? 1800,
        hub_id: 4242,
        scopes: ['oauth', 'crm.objects.contacts.read'],
      },
      pipedrive: {
        ...common,
        refresh_token: grant.refreshToken,
        token_type: 'Bearer',
        scope: 'base,deals:read',
        expires_in: expiresIn ?? 3599,
        api_domain: this.origin,
      },
    }
    send(response, 200, this.bend(answers[kind]))
  }

  #expired(): unknown {
    return this.options.kind === 'salesforce'
      ? [{ errorCode: 'INVALID_SESSION_ID', message: 'Session expired or invalid' }]
      : this.options.kind === 'hubspot'
        ? { status: 'error', category: 'EXPIRED_AUTHENTICATION', message: 'expired' }
        : { success: false, error: 'unauthorized access', errorCode: 401 }
  }

  #secret(what: string): string {
    const secret = `canary-${what}-${randomBytes(24).toString('hex')}`
    this.secrets.push(secret)
    return secret
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) {
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts).toString()
}
