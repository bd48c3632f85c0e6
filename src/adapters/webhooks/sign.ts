/**
 * Signatures of webhooks, as the Standard Webhooks specification has them (https://www.standardwebhooks.com): HMAC-SHA256 over
 * `<id>.<timestamp>.<body>`, so that neither the body nor its time can be changed, and an old request cannot be sent again later.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Hidden } from '../../hidden.js'

const PREFIX = 'whsec_'

/** As long as what HMAC-SHA256 makes. */
const SECRET_BYTES = 32

/** How far a receiver's clock may be from the timestamp. Seconds; the specification's five minutes. */
const TOLERANCE_SECONDS = 300

/** A new secret: `whsec_` and 32 random bytes in base64. */
export function newWebhookSecret(): Hidden {
  return new Hidden(`${PREFIX}${randomBytes(SECRET_BYTES).toString('base64')}`)
}

/** What is signed and sent. */
export interface Signed {
  /** The same at every attempt. */
  readonly id: string
  /** Of this attempt, in seconds since 1970. */
  readonly timestamp: number
  readonly body: string
}

/** The three headers. With several secrets the signatures stand side by side, so that a receiver may know either. */
export function signatureHeaders(
  signed: Signed,
  secrets: readonly Hidden[],
): Readonly<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>> {
  return {
    'webhook-id': signed.id,
    'webhook-timestamp': String(signed.timestamp),
    'webhook-signature': secrets.map((secret) => `v1,${signature(signed, secret).toString('base64')}`).join(' '),
  }
}

/** Whether these headers sign this body with this secret, and not more than five minutes ago or ahead: what a receiver does. */
export function verifySignature(
  headers: Readonly<Record<string, string | undefined>>,
  body: string,
  secret: Hidden,
  nowSeconds: number,
): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers
  if (id === undefined || signatures === undefined || !/^\d{1,12}$/.test(timestamp ?? '')) {
    return false
  }
  if (Math.abs(nowSeconds - Number(timestamp)) > TOLERANCE_SECONDS) {
    return false
  }
  const expected = signature({ id, timestamp: Number(timestamp), body }, secret)
  return signatures.split(' ').some((each) => {
    const given = each.startsWith('v1,') ? Buffer.from(each.slice(3), 'base64') : Buffer.alloc(0)
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

function signature({ id, timestamp, body }: Signed, secret: Hidden): Buffer {
  const key = Buffer.from(secret.reveal().slice(PREFIX.length), 'base64')
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest()
}
