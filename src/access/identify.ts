/** Who is calling: a sign-in token or an API key, narrowed by the member that it belongs to. */
import type { Config } from '../config.js'
import type { Database, PoolTx } from '../db/database.js'
import { type Member, Tenant } from '../db/entities.js'
import { withTenant } from '../db/tx.js'
import { API_KEY_PREFIX, parseApiKey, permissionsOfKeys, verifyApiKey } from './apiKeys.js'
import { findMemberByEmail, findMembersByEmail, narrow } from './members.js'
import type { Permission } from './permissions.js'
import { type Identity, MAX_TOKEN_LENGTH, Unauthenticated, verifyToken } from './tokens.js'

/** A caller that has been let in. */
export interface Caller {
  readonly tenantId: string
  readonly tenantName: string
  readonly actor: string
  readonly permissions: ReadonlySet<Permission>
  /** When the caller has to sign in again; null for an API key without an end. */
  readonly expiresAt: Date | null
  /** The member that the actor is; null for API keys and for actors who are no members. */
  readonly memberId: string | null
  /** What the token or key says, before the member was looked at. */
  readonly identity: Identity
}

export interface Credentials {
  readonly config: Config
  readonly database: Database
}

/**
 * The caller behind an `Authorization` header or its counterpart on a socket. Throws Unauthenticated for everything that
 * does not let anybody in, whatever the reason; errors of the database and of the token issuer pass through.
 */
export async function identify(authorization: string | null, { config, database }: Credentials): Promise<Caller> {
  const token = /^Bearer +([^\s]+) *$/i.exec(authorization ?? '')?.[1] ?? ''
  if (token.length > MAX_TOKEN_LENGTH) {
    throw new Unauthenticated()
  }
  if (token.startsWith(API_KEY_PREFIX)) {
    const named = parseApiKey(token)
    if (named === null) {
      throw new Unauthenticated()
    }
    return withTenant(database, named.tenantId, async (tx) => {
      const identity = await verifyApiKey(tx, token, named.keyId)
      if (identity === null) {
        throw new Unauthenticated()
      }
      return admit(identity, await tx.em.findOne(Tenant, { id: tx.tenantId }), null)
    })
  }
  const identity = await verifyToken(token, config)
  return withTenant(database, identity.tenantId, async (tx) => {
    const member = await findMemberByEmail(tx, identity.actor)
    return admit(identity, await tx.em.findOne(Tenant, { id: tx.tenantId }), member)
  })
}

/** A tenant that is gone lets nobody in, and neither does an inactive member. */
function admit(identity: Identity, tenant: Tenant | null, member: Member | null): Caller {
  const permissions = narrow(identity.permissions, member)
  if (tenant === null || permissions === null) {
    throw new Unauthenticated()
  }
  return {
    tenantId: identity.tenantId,
    tenantName: tenant.name,
    actor: identity.actor,
    permissions: new Set(permissions),
    expiresAt: identity.expiresAt,
    memberId: member?.id ?? null,
    identity,
  }
}

/**
 * Of callers of this tenant who were let in some time ago, those who would not be let in like that again: the key was
 * revoked, the member deactivated or narrowed. Does not look at the end of tokens, which is known beforehand.
 */
export async function noLongerAllowed(tx: PoolTx, callers: readonly Caller[]): Promise<Caller[]> {
  const keyIds = callers.flatMap(({ identity }) => identity.keyId ?? [])
  const emails = callers.flatMap(({ identity }) => (identity.kind === 'user' ? [identity.actor] : []))
  const keys = await permissionsOfKeys(tx, keyIds)
  const members = await findMembersByEmail(tx, emails)
  return callers.filter(({ identity, permissions }) => {
    const now =
      identity.keyId === null
        ? narrow(identity.permissions, members.get(identity.actor.trim().toLowerCase()) ?? null)
        : (keys.get(identity.keyId) ?? null)
    return now === null || [...permissions].some((permission) => !now.includes(permission))
  })
}
