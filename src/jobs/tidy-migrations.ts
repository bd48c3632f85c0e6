/** What a migration leaves behind that did not come to its end: pages, the list of what was read, files that nothing came of. */
import type { Lane } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import { STORE_PURGE_BATCH_FILES } from '../limits.js'
import type { FileRemover } from './remove-files.js'

/** Rows of the list of what was read that one round deletes. */
const ROWS_PER_ROUND = 100_000

/** Migrations that read nothing again. */
const over = `(select id from run where tenant_id = $1 and kind = 'MIGRATION'
  and status in ('FAILED', 'CANCELED', 'ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS', 'EXPIRED'))`

/**
 * Does it for one tenant. Pages: bytes first and rows after them, so that what a crash leaves in between is found again. Files
 * that imports wrote nothing from lose their retention: the housekeeping that follows removes them.
 */
export async function tidyMigrations(lane: Lane, remover: FileRemover, tenantId: string): Promise<void> {
  const pages = await withTenant(lane, tenantId, (tx) =>
    tx.query<{ storage_key: string }>(
      `select storage_key from migration_page where tenant_id = $1 and run_id in ${over} limit ${STORE_PURGE_BATCH_FILES}`,
      [tenantId],
    ),
  )
  const gone = await remover.remove(
    tenantId,
    pages.map(({ storage_key }) => storage_key),
  )
  await withTenant(lane, tenantId, async (tx) => {
    await tx.query('delete from migration_page where tenant_id = $1 and storage_key = any ($2::text[])', [
      tenantId,
      gone,
    ])
    await tx.query(
      `delete from migration_row where ctid = any (array(
         select ctid from migration_row where tenant_id = $1 and run_id in ${over} limit ${ROWS_PER_ROUND}))`,
      [tenantId],
    )
    await tx.query(
      `update source_file set expires_at = now() where tenant_id = $1 and expires_at > now() and id in (
         select p.source_file_id from migration_pass p where p.tenant_id = $1 and p.run_id in ${over})
       and not exists (select from run r where r.tenant_id = $1 and r.source_file_id = source_file.id
         and (r.finished_at is null or r.created + r.updated + r.deleted > 0))`,
      [tenantId],
    )
  })
}
