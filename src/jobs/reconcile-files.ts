/**
 * Brings the store and its records together again: removes files that no record knows of, as a process leaves them that
 * is killed between storing and recording, and says of records whose file is gone that it is.
 */
import type { FileStore } from '../adapters/files/storage.js'
import type { Lane } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import { STORE_LIST_PAGE_FILES, STORE_ORPHAN_HOURS } from '../limits.js'

/** All keys that records of a tenant ($1) hold. A test looks that no table is missing. */
const KNOWN_KEYS = `
  select storage_key from source_file where tenant_id = $1 and purged_at is null
  union all select storage_key from run_file where tenant_id = $1
  union all select storage_key from upload_part where tenant_id = $1
  union all select storage_key from quarantined_file where tenant_id = $1`

/** Keys of records that are older than an hour: a younger file may have come after its part of the store was listed. */
const SETTLED_KEYS = `
  select storage_key from source_file where tenant_id = $1 and purged_at is null and uploaded_at < now() - interval '1 hour'
  union all select storage_key from run_file where tenant_id = $1 and made_at < now() - interval '1 hour'`

/** What one look at all files came to. */
export interface Reconciled {
  /** Files that were removed because no record knew of them. */
  readonly orphans: number
  /** Records that were told that their file is gone. */
  readonly lost: number
  /** True where more files were missing than found: then it is taken for another store, and no record is changed. */
  readonly doubtful: boolean
}

/** Looks through the files of all tenants. Stops early, and without harm, when the signal is aborted. */
export async function reconcileFiles(
  lane: Lane,
  files: FileStore,
  tenantIds: readonly string[],
  signal?: AbortSignal,
): Promise<Reconciled> {
  const before = new Date(Date.now() - STORE_ORPHAN_HOURS * 3_600_000)
  let found = 0
  let orphans = 0
  const missing: { readonly tenantId: string; readonly key: string }[] = []
  for (const tenantId of tenantIds) {
    let after = ''
    for await (const page of files.list(tenantId)) {
      if (signal?.aborted === true) {
        return { orphans, lost: 0, doubtful: false }
      }
      const last = page.at(-1)
      if (last === undefined) {
        continue
      }
      const listed = new Set(page.map(({ key }) => key))
      const known = await knownAmong(lane, tenantId, [...listed])
      found += known.size
      for (const { key, storedAt } of page) {
        if (!known.has(key) && storedAt < before) {
          await files.delete(key)
          orphans += 1
        }
      }
      const settled = await settledKeys(lane, tenantId, after, last.key)
      missing.push(...settled.filter((key) => !listed.has(key)).map((key) => ({ tenantId, key })))
      after = last.key
    }
    const rest = await settledKeys(lane, tenantId, after, null)
    missing.push(...rest.map((key) => ({ tenantId, key })))
  }
  if (missing.length > found) {
    return { orphans, lost: 0, doubtful: true }
  }
  let lost = 0
  for (const { tenantId, key } of missing) {
    if (signal?.aborted !== true && (await files.stat(key)) === null) {
      await forget(lane, tenantId, key)
      lost += 1
    }
  }
  return { orphans, lost, doubtful: false }
}

async function knownAmong(lane: Lane, tenantId: string, keys: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await withTenant(lane, tenantId, (tx) =>
    tx.query<{ storage_key: string }>(
      `select k.storage_key from (${KNOWN_KEYS}) k where k.storage_key = any($2::text[])`,
      [tenantId, keys],
    ),
  )
  return new Set(rows.map((row) => row.storage_key))
}

/** Keys between two, in the order in which stores list them; some of them where there are very many. */
async function settledKeys(lane: Lane, tenantId: string, after: string, upTo: string | null): Promise<string[]> {
  const rows = await withTenant(lane, tenantId, (tx) =>
    tx.query<{ storage_key: string }>(
      `select k.storage_key from (${SETTLED_KEYS}) k
       where k.storage_key collate "C" > $2 and ($3::text is null or k.storage_key collate "C" <= $3)
       order by k.storage_key collate "C" limit ${2 * STORE_LIST_PAGE_FILES}`,
      [tenantId, after, upTo],
    ),
  )
  return rows.map((row) => row.storage_key)
}

/** A file that was uploaded is purged from now on; one that was made of it can be made again. */
async function forget(lane: Lane, tenantId: string, key: string): Promise<void> {
  await withTenant(lane, tenantId, async (tx) => {
    await tx.query(
      'update source_file set purged_at = now() where tenant_id = $1 and storage_key = $2 and purged_at is null',
      [tenantId, key],
    )
    await tx.query('delete from run_file where tenant_id = $1 and storage_key = $2', [tenantId, key])
  })
}
