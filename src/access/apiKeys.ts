/**
 * API keys: `ptg_`, the key's id, the tenant's id and 32 random bytes. With the tenant in it, a key is looked up under
 * row-level security like everything else. Only its SHA-256 is kept: 256 random bits need no slow hash.
 */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { PoolTx } from '../db/database.js'
import { ApiKey } from '../db/entities.js'
import { Refusal } from '../errors.js'
import { decodeUuid, encodeUuid } from '../ids.js'
import { API_KEYS_MAX, NAME_LENGTH_MAX } from '../limits.js'
import { clockNow } from './clock.js'
import { isPermission, type Permission } from './permissions.js'
import type { Identity } from './tokens.js'

/** How every API key begins: what tells it from a sign-in token. */
export const API_KEY_PREFIX = 'ptg_'

const pattern = /^ptg_([0-9a-hjkmnp-tv-z]{26})([0-9a-hjkmnp-tv-z]{26})[A-Za-z0-9_-]{43}$/

/** Characters of a key that are kept and shown. */
const SHOWN_LENGTH = 12

/** Ids that a key names; null for a text that no key is. Says nothing about whether the key is known. */
export function parseApiKey(text: string): { readonly keyId: string; readonly tenantId: string } | null {
  const match = pattern.exec(text)
  const keyId = decodeUuid(match?.[1] ?? '')
  const tenantId = decodeUuid(match?.[2] ?? '')
  return keyId === null || tenantId === null ? null : { keyId, tenantId }
}

/** Who a key speaks for; null where it is unknown, revoked or past its end. `tx` is one of the tenant that it names. */
export async function verifyApiKey(tx: PoolTx, text: string, keyId: string): Promise<Identity | null> {
  const key = await tx.em.findOne(ApiKey, { tenantId: tx.tenantId, id: keyId })
  const matches = timingSafeEqual(hash(text), key?.secretHash ?? Buffer.alloc(32))
  if (
    key === null ||
    !matches ||
    key.revokedAt != null ||
    (key.expiresAt != null && key.expiresAt.getTime() <= clockNow())
  ) {
    return null
  }
  // At most once a minute, or every request would write.
  await tx.query(
    `update api_key set last_used_at = now() where tenant_id = $1 and id = $2
       and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
    [tx.tenantId, keyId],
  )
  return {
    tenantId: tx.tenantId,
    actor: `key:${key.name}`,
    permissions: key.permissions.filter(isPermission),
    expiresAt: key.expiresAt ?? null,
    kind: 'apiKey',
    keyId,
  }
}

/** Makes a key. `secret` is the key itself, which exists nowhere else. Refuses INVALID_INPUT and LIMIT_EXCEEDED. */
export async function createApiKey(
  tx: PoolTx,
  input: {
    readonly name: string
    readonly permissions: readonly Permission[]
    readonly expiresAt: Date | null
    readonly actor: string
  },
): Promise<{ readonly key: ApiKey; readonly secret: string }> {
  const name = input.name.trim()
  if (name === '' || name.length > NAME_LENGTH_MAX || /\p{Cc}/u.test(name)) {
    throw new Refusal('INVALID_INPUT', `The name of an API key has 1 to ${NAME_LENGTH_MAX} characters, on one line.`, [
      'name',
    ])
  }
  if (input.permissions.length === 0) {
    throw new Refusal('INVALID_INPUT', 'A key without permissions could do nothing: give at least one.', [
      'permissions',
    ])
  }
  if (input.expiresAt !== null && input.expiresAt.getTime() <= clockNow()) {
    throw new Refusal('INVALID_INPUT', 'The end of the key is in the past.', ['expiresAt'])
  }
  const existing = await listApiKeys(tx)
  if (existing.length >= API_KEYS_MAX) {
    throw new Refusal('LIMIT_EXCEEDED', `There are ${API_KEYS_MAX} API keys already: revoke one that is not used.`)
  }
  const id = randomUUID()
  const secret = `${API_KEY_PREFIX}${encodeUuid(id)}${encodeUuid(tx.tenantId)}${randomBytes(32).toString('base64url')}`
  const key = tx.em.create(ApiKey, {
    tenantId: tx.tenantId,
    id,
    name,
    prefix: secret.slice(0, SHOWN_LENGTH),
    secretHash: hash(secret),
    permissions: [...new Set(input.permissions)],
    createdBy: input.actor,
    createdAt: new Date(),
    lastUsedAt: null,
    expiresAt: input.expiresAt,
    revokedAt: null,
  })
  await tx.em.flush()
  return { key, secret }
}

/** The key with this id, unless it is revoked. */
export async function findApiKey(tx: PoolTx, id: string): Promise<ApiKey | null> {
  return tx.em.findOne(ApiKey, { tenantId: tx.tenantId, id, revokedAt: null })
}

/** All keys that are not revoked, newest first. */
export async function listApiKeys(tx: PoolTx): Promise<ApiKey[]> {
  return tx.em.find(ApiKey, { tenantId: tx.tenantId, revokedAt: null }, { orderBy: { createdAt: 'desc', id: 'asc' } })
}

/** What these keys allow; keys that are unknown or revoked are absent. */
export async function permissionsOfKeys(
  tx: PoolTx,
  ids: readonly string[],
): Promise<Map<string, readonly Permission[]>> {
  const keys =
    ids.length === 0 ? [] : await tx.em.find(ApiKey, { tenantId: tx.tenantId, id: { $in: [...ids] }, revokedAt: null })
  return new Map(keys.map((key) => [key.id, key.permissions.filter(isPermission)]))
}

/** Ends a key for good, from the next request on. Refuses NOT_FOUND for one that does not exist or is revoked already. */
export async function revokeApiKey(tx: PoolTx, id: string): Promise<ApiKey> {
  const key = await findApiKey(tx, id)
  if (key === null) {
    throw new Refusal('NOT_FOUND', 'There is no API key with this id.', ['id'])
  }
  key.revokedAt = new Date()
  await tx.em.flush()
  return key
}

function hash(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
