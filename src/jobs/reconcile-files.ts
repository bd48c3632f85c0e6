/**
 * Brings the store and its records together again: removes files that no record knows of, as a process leaves them that
 * is killed between storing and recording, and says of records whose file is gone that it is.
 */
import type { FileStore } from '../adapters/files/storage.js'
import type { Lane } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import { STORE_LIST_PAGE_FILES, STORE_ORPHAN_HOURS } from '../limits.js'
import type { FileRemover } from './remove-files.js'

/** All keys that records of a tenant ($1) hold. A test looks that no table is missing. */
const KNOWN_KEYS = `
  select storage_key from source_file where tenant_id = $1 and purged_at is null
  union all select storage_key from run_file where tenant_id = $1
  union all select storage_key from run_bundle_rows where tenant_id = $1
  union all select storage_key from migration_page where tenant_id = $1
  union all select storage_key from upload_part where tenant_id = $1
  union all select storage_key from quarantined_file where tenant_id = $1`

/** Keys of records that are older than an hour: a younger file may have come after its part of the store was listed. */
const SETTLED_KEYS = `
  select storage_key from source_file where tenant_id = $1 and purged_at is null and uploaded_at < now() - interval '1 hour'
  union all select storage_key from run_file where tenant_id = $1 and made_at < now() - interval '1 hour'`

/**
 * Files of a tenant that no record knows of, or that are missing, which happen: processes are killed. More may mean that
 * store and database do not belong together: one of them is a copy, older than the other, or only half there.
 */
const HANDFUL = 5

/** Beyond a handful, at most one in so many files may be missing. */
const MISSING_ONE_IN = 100

/** What one look at all files came to. */
export interface Reconciled {
  /** Files that were removed because no record knew of them. */
  readonly orphans: number
  /** Records that were told that their file is gone. */
  readonly lost: number
  /** Tenants of which store and records do not look as if they belonged together: nothing of theirs was changed. */
  readonly doubtful: readonly string[]
}

/** Looks through the files of all tenants. Stops early, and without harm, when the signal is aborted. */
export async function reconcileFiles(
  lane: Lane,
  files: FileStore,
  tenantIds: readonly string[],
  { remover, signal }: { readonly remover: FileRemover; readonly signal?: AbortSignal | undefined },
): Promise<Reconciled> {
  const doubtful: string[] = []
  let orphans = 0
  let lost = 0
  for (const tenantId of tenantIds) {
    const seen = await compare(lane, files, tenantId, signal)
    if (seen === null) {
      break
    }
    // Their records say that they are to be gone, so nothing is in doubt about them.
    for (const key of seen.expired) {
      if (signal?.aborted !== true) {
        orphans += (await remover.remove(tenantId, [key])).length
      }
    }
    if (isDoubtful(seen)) {
      doubtful.push(tenantId)
      continue
    }
    for (const key of seen.unknown) {
      // Much may have been recorded since the list was read.
      if (signal?.aborted !== true && (await knownAmong(lane, tenantId, [key])).size === 0) {
        orphans += (await remover.remove(tenantId, [key])).length
      }
    }
    for (const key of seen.missing) {
      if (signal?.aborted !== true && (await files.stat(key)) === null) {
        await forget(lane, tenantId, key)
        lost += 1
      }
    }
  }
  return { orphans, lost, doubtful }
}

interface Comparison {
  /** How many files of the store records know of. */
  readonly found: number
  /** Files, old enough, that no record knows of. */
  readonly unknown: readonly string[]
  /** Files whose records are purged and past their retention: their deletion failed. */
  readonly expired: readonly string[]
  /** Files of records that the store does not list. */
  readonly missing: readonly string[]
}

function isDoubtful({ found, unknown, missing }: Comparison): boolean {
  return (
    missing.length > found ||
    (missing.length > HANDFUL && missing.length * MISSING_ONE_IN > found + missing.length) ||
    unknown.length > Math.max(HANDFUL, found)
  )
}

/** Lays the store's list beside the records of a tenant. Null when the signal was aborted. */
async function compare(
  lane: Lane,
  files: FileStore,
  tenantId: string,
  signal: AbortSignal | undefined,
): Promise<Comparison | null> {
  const before = await orphansBefore(lane)
  const unknown: string[] = []
  const expired: string[] = []
  const missing: string[] = []
  let found = 0
  let after = ''
  for await (const page of files.list(tenantId)) {
    if (signal?.aborted === true) {
      return null
    }
    const last = page.at(-1)
    if (last === undefined) {
      continue
    }
    const listed = new Set(page.map(({ key }) => key))
    await remember(lane, tenantId, [...listed])
    const known = await knownAmong(lane, tenantId, [...listed])
    found += known.size
    const strange = page.filter(({ key, storedAt }) => !known.has(key) && storedAt < before).map(({ key }) => key)
    const over = await expiredAmong(lane, tenantId, strange)
    expired.push(...over)
    unknown.push(...strange.filter((key) => !over.has(key)))
    const settled = await settledKeys(lane, tenantId, after, last.key)
    missing.push(...settled.filter((key) => !listed.has(key)))
    after = last.key
  }
  missing.push(...(await settledKeys(lane, tenantId, after, null)))
  return { found, unknown, expired, missing }
}

/** By the clock of the database, which all workers share. */
async function orphansBefore(lane: Lane): Promise<Date> {
  const [row] = await lane.session<{ at: Date }>("select now() - $1 * interval '1 hour' as at", [STORE_ORPHAN_HOURS])
  if (row === undefined) {
    throw new Error('the database does not tell the time')
  }
  return row.at
}

async function expiredAmong(lane: Lane, tenantId: string, keys: readonly string[]): Promise<ReadonlySet<string>> {
  if (keys.length === 0) {
    return new Set()
  }
  const rows = await withTenant(lane, tenantId, (tx) =>
    tx.query<{ storage_key: string }>(
      `select storage_key from source_file
       where tenant_id = $1 and storage_key = any($2::text[]) and purged_at is not null and expires_at < now()`,
      [tenantId, keys],
    ),
  )
  return new Set(rows.map((row) => row.storage_key))
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

/** Files that had been missing and are back, as when a store was still being copied: they count as before. */
async function remember(lane: Lane, tenantId: string, keys: readonly string[]): Promise<void> {
  await withTenant(lane, tenantId, (tx) =>
    tx.query(
      // Past its retention a file was purged for good, and may only not be deleted yet.
      `update source_file set purged_at = null
       where tenant_id = $1 and storage_key = any($2::text[]) and purged_at is not null and expires_at > now()`,
      [tenantId, keys],
    ),
  )
}
