/**
 * What of bundles is secret or a promise: the key that signs them, the names that tenants and records have in them, the key of
 * an envelope between a request and its worker, and consents.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import type { Config } from '../config.js'
import { decodeUuid, encodeUuid } from '../ids.js'
import { BUNDLE_CONSENT_DAYS } from '../limits.js'

/** Names of the records of one tenant in its bundles: each the same in every bundle, and telling nothing. */
export interface RecordNames {
  conceal(uuid: string): string
  /** Null for a text that `conceal` never answers; any other is an id, which need not be one of a record. */
  reveal(name: string): string | null
}

/** All that this deployment knows about bundles. Made once for a process; printing it shows no key. */
export interface BundleSecrets {
  readonly signing: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }
  /** Keys of deployments whose bundles are taken, this one's among them, by their ids. */
  readonly trusted: ReadonlyMap<string, KeyObject>
  /** The id of this deployment's own key. */
  readonly keyId: string
  /** The name of a tenant of this deployment in its bundles. */
  originOf(tenantId: string): string
  /** The tenant behind such a name; null where it cannot be one of ours. */
  tenantOf(origin: string): string | null
  recordNames(tenantId: string): RecordNames
  seal(bytes: Buffer): Buffer
  /** Null for what was not sealed here. */
  unseal(bytes: Buffer): Buffer | null
}

/** PKCS #8 for an Ed25519 key, before its 32 bytes (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** What the settings give. */
export function bundleSecrets(config: Pick<Config, 'secret' | 'bundleKeys'>): BundleSecrets {
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8, config.secret.key('bundle signing')]),
    format: 'der',
    type: 'pkcs8',
  })
  const publicKey = createPublicKey(privateKey)
  const own = publicKey.export({ format: 'jwk' }).x ?? ''
  const trusted = new Map([own, ...config.bundleKeys].map((text) => [keyIdOf(text), publicKeyOf(text)]))
  const origins = namesUnder(config.secret.key('bundle origins'))
  const sealing = config.secret.key('bundle envelopes')
  return {
    signing: { privateKey, publicKey },
    trusted,
    keyId: keyIdOf(own),
    originOf: (tenantId) => origins.conceal(tenantId),
    tenantOf: (origin) => origins.reveal(origin),
    recordNames: (tenantId) =>
      namesUnder(createHmac('sha256', config.secret.key('bundle record ids')).update(tenantId).digest()),
    seal: (bytes) => {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', sealing, nonce)
      return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
    },
    unseal: (bytes) => {
      try {
        const decipher = createDecipheriv('aes-256-gcm', sealing, bytes.subarray(0, 12))
        decipher.setAuthTag(bytes.subarray(-16))
        return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
      } catch {
        return null
      }
    },
  }
}

/** The id of a public key: the beginning of its SHA-256, as bundles have it. */
function keyIdOf(text: string): string {
  return createHash('sha256').update(Buffer.from(text, 'base64url')).digest('hex').slice(0, 16)
}

function publicKeyOf(text: string): KeyObject {
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text } })
}

/** A UUID is one block of AES: as many names as ids, and no two alike. One block needs no mode; ECB is the name for that. */
function namesUnder(key: Buffer): RecordNames {
  const block = (cipher: ReturnType<typeof createCipheriv | typeof createDecipheriv>, bytes: Buffer): Buffer => {
    cipher.setAutoPadding(false)
    return Buffer.concat([cipher.update(bytes), cipher.final()])
  }
  return {
    conceal: (uuid) => {
      const sealed = block(createCipheriv('aes-256-ecb', key, null), Buffer.from(uuid.replaceAll('-', ''), 'hex'))
      return encodeUuid(sealed.toString('hex'))
    },
    reveal: (name) => {
      const uuid = decodeUuid(name)
      if (uuid === null) {
        return null
      }
      const open = block(createDecipheriv('aes-256-ecb', key, null), Buffer.from(uuid.replaceAll('-', ''), 'hex'))
      return open.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    },
  }
}

/** What an origin agrees to: this one bundle, into this one tenant, until then. */
export interface Consent {
  readonly bundleId: string
  /** The public id of the tenant that may import it. */
  readonly targetTenantId: string
  readonly expiresAt: Date
}

const PURPOSE = 'portage bundle consent\n'

/**
 * A consent as a token, good until it ends: an import may be tried again after a mistake. Whoever has it can do no more with
 * it than its tenant could have done before. Signed by the key of the deployment of the origin.
 */
export function makeConsent(
  secrets: BundleSecrets,
  bundleId: string,
  targetTenantId: string,
): { readonly token: string; readonly expiresAt: Date } {
  const expiresAt = new Date(Math.floor(Date.now() / 1000) * 1000 + BUNDLE_CONSENT_DAYS * 86_400_000)
  const claim = Buffer.from(
    JSON.stringify({ b: bundleId, t: targetTenantId, e: expiresAt.getTime() / 1000, k: secrets.keyId }),
  ).toString('base64url')
  const signature = sign(null, Buffer.from(PURPOSE + claim), secrets.signing.privateKey).toString('base64url')
  return { token: `${claim}.${signature}`, expiresAt }
}

/** What a token says; null unless it was signed by the key `keyId`, which must be trusted, and has not ended. */
export function readConsent(secrets: BundleSecrets, token: string, keyId: string): Consent | null {
  const [, claim = '', signature = ''] = /^([A-Za-z0-9_-]{1,1000})\.([A-Za-z0-9_-]{86})$/.exec(token) ?? []
  const key = secrets.trusted.get(keyId)
  if (key === undefined || !verify(null, Buffer.from(PURPOSE + claim), key, Buffer.from(signature, 'base64url'))) {
    return null
  }
  const { b, t, e, k } = JSON.parse(Buffer.from(claim, 'base64url').toString('utf8')) as {
    b: string
    t: string
    e: number
    k: string
  }
  return k === keyId && e * 1000 > Date.now() ? { bundleId: b, targetTenantId: t, expiresAt: new Date(e * 1000) } : null
}
