/** What uploads leave behind when they end: parts of files that became whole or never did, and infected files in time. */
import { forgetParts, unneededParts } from '../access/uploadSessions.js'
import type { Lane } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import type { FileRemover } from './remove-files.js'

/** Parts and files of one tenant in one round of housekeeping. */
const PER_ROUND = 1000

/**
 * Deletes parts of uploads that have expired or become a file, and quarantined files past their retention. Bytes first and
 * rows after them: what a crash leaves in between is found again, and so is a file that could not be deleted.
 */
export async function purgeUploads(lane: Lane, remover: FileRemover, tenantId: string): Promise<void> {
  const parts = await withTenant(lane, tenantId, (tx) => unneededParts(tx, PER_ROUND))
  const gone = await remover.remove(tenantId, parts)
  await withTenant(lane, tenantId, (tx) => forgetParts(tx, gone))
  const infected = await withTenant(lane, tenantId, (tx) =>
    tx.query<{ storage_key: string }>(
      `select storage_key from quarantined_file where tenant_id = $1 and expires_at <= now() limit ${PER_ROUND}`,
      [tenantId],
    ),
  )
  const keys = await remover.remove(
    tenantId,
    infected.map((file) => file.storage_key),
  )
  if (keys.length > 0) {
    await withTenant(lane, tenantId, (tx) =>
      tx.query('delete from quarantined_file where tenant_id = $1 and storage_key = any($2::text[])', [tenantId, keys]),
    )
  }
}
