/** The newest proof of a migration as a file, for whoever has to show it to somebody else. */
import { Readable } from 'node:stream'
import type { StoredFile } from '../adapters/files/storage.js'
import type { Tx } from '../db/tx.js'
import { encodeId } from '../ids.js'
import { REPORT_BYTES_MAX } from '../limits.js'
import type { VerificationReport } from '../runs/types.js'
import type { Claim } from './claim.js'
import type { MigrationWork } from './run-migration.js'

/** What the file is called. */
const REPORT_NAME = 'verification.json'

/** Stores the proof; nobody knows of the file before `keepReport`. */
export function storeReport(
  { context, claim, migration, adapter, lost }: MigrationWork,
  report: VerificationReport,
): Promise<StoredFile> {
  const text = JSON.stringify(
    {
      migration: encodeId('run', claim.runId),
      system: adapter.system,
      account: migration.account,
      pass: migration.pass,
      changesBefore: migration.windowUntil,
      ...report,
    },
    null,
    2,
  )
  return context.files.put(claim.tenantId, Readable.from([Buffer.from(`${text}\n`)]), {
    maxBytes: REPORT_BYTES_MAX,
    signal: lost,
  })
}

/**
 * Puts the file in the place of the one before, of which it answers the keys: to be deleted after the commit. The files that
 * were read are kept as long again, because the next proof compares them too.
 */
export async function keepReport(tx: Tx, claim: Claim, file: StoredFile, retentionDays: number): Promise<string[]> {
  const before = await tx.query<{ storage_key: string }>(
    `delete from run_file where tenant_id = $1 and run_id = $2 and kind = 'REPORT' returning storage_key`,
    [tx.tenantId, claim.runId],
  )
  await tx.query(
    `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, name, expires_at)
     values ($1, $2, 'REPORT', $3, null, $4, $5, $6, now() + $7 * interval '1 day')`,
    [tx.tenantId, claim.runId, file.byteSize, file.sha256, file.key, REPORT_NAME, retentionDays],
  )
  await tx.query(
    `update source_file set expires_at = greatest(expires_at, now() + $3 * interval '1 day')
     where tenant_id = $1 and purged_at is null and id in (
       select source_file_id from migration_pass where tenant_id = $1 and run_id = $2)`,
    [tx.tenantId, claim.runId, retentionDays],
  )
  return before.map(({ storage_key }) => storage_key)
}
