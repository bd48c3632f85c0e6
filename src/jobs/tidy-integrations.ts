/** What integrations need from time to time: the current master key, and an end of sign-ins that nobody completed. */
import { rewrapDataKeys } from '../access/secrets.js'
import type { MasterKeys } from '../config.js'
import { type TenantSource, withTenant } from '../db/tx.js'
import type { Log } from '../log.js'

/**
 * Does it for one tenant. After the master key was changed, this is what makes the old one needless: data keys are wrapped
 * anew, sealed secrets stay as they are. Killed in between, the next round goes on.
 */
export async function tidyIntegrations(
  source: TenantSource,
  tenantId: string,
  masters: MasterKeys,
  log?: Log,
): Promise<void> {
  const count = await withTenant(source, tenantId, async (tx) => {
    await tx.query(
      `delete from integration i where tenant_id = $1 and status = 'PENDING' and not exists (
         select from oauth_state s where s.tenant_id = $1 and s.integration_id = i.id and s.expires_at > now())`,
      [tenantId],
    )
    await tx.query("delete from oauth_state where tenant_id = $1 and expires_at < now() - interval '1 day'", [tenantId])
    return rewrapDataKeys(tx, masters)
  })
  if (count > 0) {
    log?.info({ tenantId, count }, 'wrapped data keys with the current master key')
  }
}
