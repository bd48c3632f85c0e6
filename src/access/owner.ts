/** On whose behalf the service does something by itself, later: with what they were allowed then, as far as they still are. */
import { first, type Tx } from '../db/tx.js'
import { narrow } from './members.js'
import { isPermission, type Permission } from './permissions.js'

/** Who asked for it. */
export interface Owner {
  readonly actor: string
  /** The API key that they came with; null for a person. */
  readonly keyId: string | null
  /** What they were allowed then. */
  readonly permissions: readonly Permission[]
}

/**
 * What the owner is allowed now: what they were allowed then, narrowed by the member that they are, or by their API key. Null
 * where they would not be let in any more: an inactive member, a key that was revoked or has ended.
 */
export async function permissionsNow(tx: Tx, owner: Owner): Promise<readonly Permission[] | null> {
  if (owner.keyId !== null) {
    const key = await first<{ permissions: string[] }>(
      tx,
      `select permissions from api_key
       where tenant_id = $1 and id = $2 and revoked_at is null and (expires_at is null or expires_at > now())`,
      [tx.tenantId, owner.keyId],
    )
    return key === null ? null : owner.permissions.filter((permission) => key.permissions.includes(permission))
  }
  const member = await first<{ permissions: string[] | null; active: boolean }>(
    tx,
    'select permissions, active from member where tenant_id = $1 and email = lower($2)',
    [tx.tenantId, owner.actor.trim()],
  )
  return narrow(
    owner.permissions,
    member === null
      ? null
      : { active: member.active, permissions: member.permissions?.filter((name) => isPermission(name)) ?? null },
  )
}
