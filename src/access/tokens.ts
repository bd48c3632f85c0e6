/** Sign-in tokens: made and checked with our own derived key, or checked with the keys of an outside issuer. */
import { createPublicKey } from 'node:crypto'
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify, SignJWT } from 'jose'
import type { Config, JwtAlgorithm, Verification } from '../config.js'
import { RetryableError } from '../errors.js'
import { clockNow } from './clock.js'
import { isPermission, type Permission } from './permissions.js'

/** Who calls, as proven by a token or an API key. */
export interface Identity {
  readonly tenantId: string
  /** The `sub` of the token, or the name under which the API key acts. */
  readonly actor: string
  readonly permissions: readonly Permission[]
  /** When the proof ends; null for an API key without an end. Sockets close then. */
  readonly expiresAt: Date | null
  readonly kind: 'user' | 'apiKey'
  /** Id of the API key; null for a user. */
  readonly keyId: string | null
}

/** The caller proved nothing. Says nothing about why, so that a forger learns nothing. */
export class Unauthenticated extends Error {
  readonly code = 'UNAUTHENTICATED'
  constructor() {
    super('Sign in first: the token is missing, has ended or is not valid here.')
    this.name = 'Unauthenticated'
  }
}

export interface TokenInput {
  readonly tenantId: string
  readonly actor: string
  readonly permissions: readonly Permission[]
  /** Seconds from now. */
  readonly expiresIn: number
}

/** A longer token is refused unread. Characters; every token of an issuer with sensible claims is far below. */
export const MAX_TOKEN_LENGTH = 8192

/** Clocks of issuer and server may differ by this much. */
const CLOCK_TOLERANCE_SECONDS = 5

const MAX_ACTOR_LENGTH = 200

/** Issuer and audience of our own tokens. */
const OURSELVES = 'portage'

const OUTSIDE_ALGORITHMS: readonly JwtAlgorithm[] = ['RS256', 'ES256', 'EdDSA']

/** After the key set could not be fetched, it is left alone for so long: a flood of tokens must not become one of fetches. */
const KEY_SET_REST_MS = 1000

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

type Check = (token: string) => Promise<JWTPayload>

const checks = new WeakMap<Config, Check>()

/**
 * Makes a sign-in token. Throws where tokens come from an outside issuer: a key of ours would open a second door.
 */
export async function signToken(input: TokenInput, config: Config): Promise<string> {
  if (config.verification.kind !== 'local') {
    throw new Error(`sign-in tokens come from ${config.verification.issuer} here: ask there for one`)
  }
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ tenant_id: input.tenantId, permissions: [...input.permissions] })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(input.actor)
    .setIssuer(OURSELVES)
    .setAudience(OURSELVES)
    .setIssuedAt(now)
    .setExpirationTime(now + input.expiresIn)
    .sign(config.secret.key('token signing'))
}

/**
 * Who a token speaks for. Reads the claims `sub`, `tenant_id` (a UUID) and `permissions` (a list of names; those that
 * this version does not know grant nothing). Throws Unauthenticated, whatever was wrong with the token, and
 * RetryableError `SIGN_IN_UNAVAILABLE` while the issuer's keys cannot be had.
 */
export async function verifyToken(token: string, config: Config): Promise<Identity> {
  if (token.length === 0 || token.length > MAX_TOKEN_LENGTH) {
    throw new Unauthenticated()
  }
  return identify(await checkFor(config)(token))
}

function checkFor(config: Config): Check {
  const existing = checks.get(config)
  if (existing !== undefined) {
    return existing
  }
  const check = makeCheck(config)
  checks.set(config, check)
  return check
}

function makeCheck(config: Config): Check {
  const { verification } = config
  switch (verification.kind) {
    case 'local': {
      const key = config.secret.key('token signing')
      const options = claims(OURSELVES, OURSELVES, ['HS256'])
      return (token) => jwtVerify(token, key, options).then(({ payload }) => payload, refuse)
    }
    case 'publicKey': {
      const key = createPublicKey(verification.pem)
      const options = claims(verification.issuer, verification.audience, [verification.algorithm])
      return (token) => jwtVerify(token, key, options).then(({ payload }) => payload, refuse)
    }
    case 'jwks':
      return keySetCheck(verification)
    default:
      return verification satisfies never
  }
}

function keySetCheck(verification: Extract<Verification, { kind: 'jwks' }>): Check {
  const keys = createRemoteJWKSet(new URL(verification.url))
  const options = claims(verification.issuer, verification.audience, OUTSIDE_ALGORITHMS)
  let restsUntil = 0
  return async (token) => {
    if (keys.jwks() === undefined && performance.now() < restsUntil) {
      throw unavailable(undefined)
    }
    try {
      return (await jwtVerify(token, keys, options)).payload
    } catch (error) {
      if (isTokenFault(error)) {
        throw new Unauthenticated()
      }
      restsUntil = performance.now() + KEY_SET_REST_MS
      throw unavailable(error)
    }
  }
}

function claims(issuer: string, audience: string, algorithms: readonly string[]): JWTVerifyOptions {
  return {
    issuer,
    audience,
    algorithms: [...algorithms],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ['exp', 'sub', 'tenant_id', 'permissions'],
    // Read with each token.
    get currentDate() {
      return new Date(clockNow())
    },
  }
}

/** With a key at hand nothing but the token can be at fault. */
function refuse(): never {
  throw new Unauthenticated()
}

/** Everything else that jose throws says that the key set could not be fetched or read. */
function isTokenFault(error: unknown): boolean {
  return (
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JWKInvalid
  )
}

function unavailable(cause: unknown): RetryableError {
  return new RetryableError(
    'SIGN_IN_UNAVAILABLE',
    'The keys of the token issuer cannot be fetched; try again shortly.',
    { cause },
  )
}

function identify(payload: JWTPayload): Identity {
  const { sub: actor, exp, tenant_id: tenantId, permissions } = payload
  if (
    typeof actor !== 'string' ||
    actor.trim() === '' ||
    actor.length > MAX_ACTOR_LENGTH ||
    /\p{Cc}/u.test(actor) ||
    typeof tenantId !== 'string' ||
    !uuid.test(tenantId) ||
    !Array.isArray(permissions) ||
    exp === undefined
  ) {
    throw new Unauthenticated()
  }
  return {
    tenantId,
    actor,
    permissions: permissions.filter(isPermission),
    expiresAt: new Date(exp * 1000),
    kind: 'user',
    keyId: null,
  }
}
