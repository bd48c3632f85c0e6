/** Bundles as runs: how one is started. `jobs/run-bundle-export.ts` writes it, `jobs/run-bundle-import.ts` takes it in. */
import { admitRun } from '../access/quotas.js'
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import type { ColumnMapping, ImportOptions, SourceOptions } from '../pipeline/types.js'
import { recordTypes } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import { statusChanged } from './events.js'
import type { RunStatus } from './status.js'
import type { StatusReason } from './types.js'

export interface NewBundleExport {
  readonly actor: string
  /** In load order, at least one. */
  readonly recordTypes: readonly RecordTypeName[]
  /** The sealed key of the envelope; null without a passphrase. */
  readonly envelope: Buffer | null
}

/** Creates a run that writes a bundle and wakes a worker, both or neither. Answers the run's id. */
export async function createBundleExport(tx: Tx, input: NewBundleExport): Promise<string> {
  const id = newId()
  await admitRun(tx, id)
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, queued_at) values ($1, $2, 'BUNDLE_EXPORT', 'QUEUED', $3, now())`,
    [tx.tenantId, id, input.actor],
  )
  await tx.query('insert into run_bundle (tenant_id, run_id, record_types, envelope) values ($1, $2, $3::text[], $4)', [
    tx.tenantId,
    id,
    [...input.recordTypes],
    input.envelope,
  ])
  await statusChanged(tx, id, 'BUNDLE_EXPORT', null, 'QUEUED', null)
  await tx.query('select wake_run($1)', [id])
  return id
}

export interface NewBundleImport {
  readonly actor: string
  readonly sourceFileId: string
  /** As the manifest of the verified bundle has them. */
  readonly recordTypes: readonly RecordTypeName[]
  readonly bundleId: string
  readonly origin: string
  readonly snapshotAt: Date
  /** Records in it. */
  readonly total: number
  readonly envelope: Buffer | null
  readonly options: ImportOptions
  readonly confirmation: 'ASK' | 'IF_NO_ERRORS' | 'ALWAYS'
}

/** Creates a run that takes a bundle in and wakes a worker, both or neither. Answers the run's id. */
export async function createBundleImport(tx: Tx, input: NewBundleImport): Promise<string> {
  const file = await first<{ byte_size: number }>(
    tx,
    'select byte_size::float8 as byte_size from source_file where tenant_id = $1 and id = $2 and purged_at is null',
    [tx.tenantId, input.sourceFileId],
  )
  if (file === null) {
    throw new Refusal('NOT_FOUND', 'There is no such file, or its retention has ended: upload it again.', ['fileId'])
  }
  const id = newId()
  await admitRun(tx, id)
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, queued_at, source_file_id, options, confirmation, total, bytes_total)
     values ($1, $2, 'BUNDLE_IMPORT', 'QUEUED', $3, now(), $4, $5::jsonb, $6, $7, $8)`,
    [
      tx.tenantId,
      id,
      input.actor,
      input.sourceFileId,
      JSON.stringify(input.options),
      input.confirmation,
      input.total,
      file.byte_size,
    ],
  )
  await tx.query(
    `insert into run_bundle (tenant_id, run_id, record_types, bundle_id, origin, snapshot_at, envelope)
     values ($1, $2, $3::text[], $4, $5, $6, $7)`,
    [tx.tenantId, id, [...input.recordTypes], input.bundleId, input.origin, input.snapshotAt, input.envelope],
  )
  await statusChanged(tx, id, 'BUNDLE_IMPORT', null, 'QUEUED', null)
  await tx.query('select wake_run($1)', [id])
  return id
}

/** One import of a bundle, as far as it has come. */
export interface BundlePartRun {
  readonly id: string
  readonly recordType: RecordTypeName
  readonly status: RunStatus
  readonly finished: boolean
  readonly reason: StatusReason | null
}

/** The imports of a bundle, in load order. */
export async function partsOf(tx: Tx, bundleRunId: string): Promise<BundlePartRun[]> {
  return tx.query<BundlePartRun>(
    `select id, record_type as "recordType", status, finished_at is not null as finished, status_reason as reason
     from run where tenant_id = $1 and bundle_run_id = $2 order by id`,
    [tx.tenantId, bundleRunId],
  )
}

/** Brings the counters of a bundle to the sums of its imports. */
export async function foldParts(tx: Tx, bundleRunId: string): Promise<void> {
  await tx.query(
    `update run b set rows_read = s.rows_read, created = s.created, updated = s.updated, unchanged = s.unchanged,
       skipped = s.skipped, failed = s.failed, deleted = s.deleted, reverted = s.reverted, kept = s.kept,
       running_ms = s.running_ms, chunks = s.chunks, peak_rss_bytes = greatest(b.peak_rss_bytes, s.peak)
     from (
       select coalesce(sum(rows_read) filter (where status <> 'ANALYZING'), 0) as rows_read, coalesce(sum(created), 0) as created, coalesce(sum(updated), 0) as updated,
         coalesce(sum(unchanged), 0) as unchanged, coalesce(sum(skipped), 0) as skipped, coalesce(sum(failed), 0) as failed,
         coalesce(sum(deleted), 0) as deleted, coalesce(sum(reverted), 0) as reverted, coalesce(sum(kept), 0) as kept,
         coalesce(sum(running_ms), 0) as running_ms, coalesce(sum(chunks), 0) as chunks, max(peak_rss_bytes) as peak
       from run where tenant_id = $1 and bundle_run_id = $2) s
     where b.tenant_id = $1 and b.id = $2`,
    [tx.tenantId, bundleRunId],
  )
}

export interface NewBundlePart {
  readonly bundleRunId: string
  readonly recordType: RecordTypeName
  readonly mapping: readonly ColumnMapping[]
  /** What was said about the file, as its row file is marked with. */
  readonly said: string
  readonly source: SourceOptions
  readonly detection: object
}

/**
 * Creates the import of one record type of a bundle over the row file that was made for it, and wakes a worker. Its file is
 * the bundle's, its options too.
 */
export async function createBundlePart(tx: Tx, input: NewBundlePart): Promise<string> {
  const id = newId()
  const { bundleRunId, recordType } = input
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, record_type, source_file_id, source_options, mapping, options, confirmation,
                      bytes_total, bundle_run_id, schema_version)
     select $1, $2, 'IMPORT', 'ANALYZING', b.created_by, $4, b.source_file_id, $5::jsonb, $6::jsonb,
       -- All of the bundle or nothing of it: that is for the bundle to undo.
       b.options || '{"allOrNothing": false}', b.confirmation, r.byte_size, b.id,
       coalesce((select s.version from record_schema s where s.tenant_id = $1 and s.record_type = $4), 0)
     from run b join run_bundle_rows r on r.tenant_id = b.tenant_id and r.run_id = b.id and r.record_type = $4
     where b.tenant_id = $1 and b.id = $3`,
    [tx.tenantId, id, bundleRunId, recordType, JSON.stringify(input.source), JSON.stringify(input.mapping)],
  )
  await tx.query(
    `with r as (delete from run_bundle_rows where tenant_id = $1 and run_id = $3 and record_type = $4 returning *)
     insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, detection, made_with)
     select $1, $2, 'ROWS', byte_size, row_count, sha256, storage_key, $5::jsonb, $6 from r`,
    [tx.tenantId, id, bundleRunId, recordType, JSON.stringify(input.detection), input.said],
  )
  await statusChanged(tx, id, 'IMPORT', null, 'ANALYZING', null)
  await tx.query('select wake_run($1)', [id])
  return id
}

/**
 * Lets records that come home be found by what the other tenant calls them, so that relations reach them: a further identity
 * of each that is still there. Answers the ids that are.
 */
export async function welcomeHome(
  tx: Tx,
  input: {
    readonly bundleRunId: string
    readonly recordType: RecordTypeName
    readonly sourceSystem: string
    readonly records: readonly { readonly id: string; readonly externalId: string }[]
  },
): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ id: string }>(
    `with given as (
       select g.id, g.external_id from unnest($3::uuid[], $4::text[]) as g (id, external_id)
         join ${recordTypes[input.recordType].table} r on r.tenant_id = $1 and r.id = g.id and r.deleted_at is null),
     named as (
       insert into record_identity (tenant_id, record_type, source_system, external_id, record_id, created_run_id)
       select $1, $2, $5, external_id, id, $6 from given on conflict do nothing)
     select id from given`,
    [
      tx.tenantId,
      input.recordType,
      input.records.map(({ id }) => id),
      input.records.map(({ externalId }) => externalId),
      input.sourceSystem,
      input.bundleRunId,
    ],
  )
  return new Set(rows.map(({ id }) => id))
}

/**
 * Keeps the ids by which other systems knew records before they were in the bundle, as further identities of the records that
 * its import found or made. One that somebody has here already stays theirs.
 */
export async function keepSources(
  tx: Tx,
  input: {
    readonly importRunId: string
    readonly recordType: RecordTypeName
    /** The source system of the bundle, by which its records are found. */
    readonly sourceSystem: string
    readonly sources: readonly { readonly name: string; readonly system: string; readonly id: string }[]
  },
): Promise<void> {
  const { table } = recordTypes[input.recordType]
  await tx.query(
    `insert into record_identity (tenant_id, record_type, source_system, external_id, record_id, created_run_id)
     select $1, $2, g.system, g.id, r.id, $7
     from unnest($3::text[], $4::text[], $5::text[]) as g (name, system, id)
       cross join lateral (
         select r.id from ${table} r where r.tenant_id = $1 and r.source_system = $6 and r.external_id = g.name and r.deleted_at is null
         union all
         select i.record_id from record_identity i join ${table} r on r.tenant_id = $1 and r.id = i.record_id and r.deleted_at is null
         where i.tenant_id = $1 and i.record_type = $2 and i.source_system = $6 and i.external_id = g.name limit 1) r
     where not exists (select from ${table} o where o.tenant_id = $1 and o.source_system = g.system and o.external_id = g.id and o.deleted_at is null)
     on conflict do nothing`,
    [
      tx.tenantId,
      input.recordType,
      input.sources.map(({ name }) => name),
      input.sources.map(({ system }) => system),
      input.sources.map(({ id }) => id),
      input.sourceSystem,
      input.importRunId,
    ],
  )
}

/** Takes back what `welcomeHome` wrote for a bundle. */
export async function forgetHome(tx: Tx, bundleRunId: string): Promise<void> {
  await tx.query('delete from record_identity where tenant_id = $1 and created_run_id = $2', [tx.tenantId, bundleRunId])
}
