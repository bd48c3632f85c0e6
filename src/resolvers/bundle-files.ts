/** The file of a bundle that was written. */
import { makeLink } from '../access/links.js'
import { first } from '../db/tx.js'
import type { BundleRunRow } from '../runs/types.js'
import type { RunFile } from '../schema/runs.js'
import { type ApiContext, inTenant } from './context.js'

/** The bundle; empty before it is written and after its retention. */
export async function bundleFiles(context: ApiContext, run: BundleRunRow): Promise<RunFile[]> {
  if (run.kind !== 'BUNDLE_EXPORT' || run.status !== 'COMPLETED') {
    return []
  }
  const file = await inTenant(context, (tx) =>
    first<{ name: string; byteSize: number; rowCount: number; sha256: string }>(
      tx,
      `select name, byte_size::float8 as "byteSize", row_count::float8 as "rowCount", sha256 from run_file
       where tenant_id = $1 and run_id = $2 and kind = 'BUNDLE' and expires_at > now()`,
      [tx.tenantId, run.id],
    ),
  )
  if (file === null) {
    return []
  }
  const target = {
    kind: 'bundle',
    tenantId: context.caller.tenantId,
    object: run.id,
    actor: context.caller.actor,
  } as const
  const { url, expiresAt } = makeLink(context.services.config, target, file.name)
  return [{ kind: 'BUNDLE', ...file, format: null, url, urlExpiresAt: expiresAt }]
}
