/** What uploads leave behind when they end: parts of files that became whole or never did, and infected files in time. */
import { forgetParts, unneededParts } from '../access/uploadSessions.js'
import type { FileStore } from '../adapters/files/storage.js'
import type { Lane } from '../db/lane.js'
import { withTenant } from '../db/tx.js'

/** Parts and files of one tenant in one round of housekeeping. */
const PER_ROUND = 1000

/**
 * Deletes parts of uploads that have expired or become a file, and quarantined files past their retention. Bytes first and
 * rows after them: what a crash leaves in between is found again.
 */
export async function purgeUploads(lane: Lane, files: FileStore, tenantId: string): Promise<void> {
  const parts = await withTenant(lane, tenantId, (tx) => unneededParts(tx, PER_ROUND))
  for (const key of parts) {
    await files.delete(key)
  }
  await withTenant(lane, tenantId, (tx) => forgetParts(tx, parts))
  const infected = await withTenant(lane, tenantId, (tx) =>
    tx.query<{ storage_key: string }>(
      `select storage_key from quarantined_file where tenant_id = $1 and expires_at <= now() limit ${PER_ROUND}`,
      [tenantId],
    ),
  )
  for (const file of infected) {
    await files.delete(file.storage_key)
  }
  if (infected.length > 0) {
    const keys = infected.map((file) => file.storage_key)
    await withTenant(lane, tenantId, (tx) =>
      tx.query('delete from quarantined_file where tenant_id = $1 and storage_key = any($2::text[])', [tenantId, keys]),
    )
  }
}
