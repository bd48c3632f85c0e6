/**
 * Files of a run: where it came from, its failed rows and those that it had not come to. They are made when somebody first
 * asks and kept from then on.
 */
import { makeLink } from '../access/links.js'
import { hiddenFields } from '../adapters/crm/export.js'
import type { Detection } from '../adapters/files/detection.js'
import { type FailedRow, failedRowsCsv, unprocessedRowsCsv } from '../adapters/files/failed-rows.js'
import type { Cursor } from '../adapters/source.js'
import { first, one } from '../db/tx.js'
import { recordTypes } from '../records/index.js'
import { failedRows } from '../runs/read.js'
import { endedStatuses } from '../runs/status.js'
import type { ExportFileFormat, ImportRunRow, MigrationRunRow, RunRow } from '../runs/types.js'
import type { RunFile } from '../schema/runs.js'
import { bundleFiles } from './bundle-files.js'
import { type ApiContext, inTenant, may } from './context.js'
import { failedRowsName, unprocessedRowsName } from './names.js'
import { openRunSource } from './run-source.js'

interface StoredRunFile {
  readonly byteSize: number
  readonly rowCount: number
  readonly sha256: string
}

/** Rows that are looked up at a time. */
const PAGE_ROWS = 1000

/** Files that are being made by this process, so that two who ask at once wait for one. */
const inTheMaking = new Map<string, Promise<StoredRunFile | null>>()

/**
 * Whether the caller may have files of a run, apart from whether there are any. Those of an import hold what stands in its source,
 * unmasked; those of an export what its columns say, and what its filter asked about.
 */
export function mayDownload(context: ApiContext, run: RunRow): boolean {
  if (run.kind === 'EXPORT') {
    const { permissions } = context.caller
    return may(context, 'EXPORT_RUN') && hiddenFields(recordTypes[run.recordType], run.spec, permissions).length === 0
  }
  if (run.kind === 'BUNDLE_EXPORT' || run.kind === 'BUNDLE_IMPORT') {
    return may(context, 'PII_READ') && may(context, 'BUNDLE_RUN')
  }
  if (run.kind === 'AUDIT_EXPORT') {
    return may(context, 'AUDIT_READ')
  }
  if (run.kind === 'MIGRATION') {
    // Its proof names records by their ids at the service, and no values.
    return may(context, 'MIGRATION_RUN')
  }
  return may(context, 'PII_READ') && (may(context, 'IMPORT_RUN') || may(context, 'ROLLBACK_RUN'))
}

/** What the caller may download of a run. */
export async function runFiles(context: ApiContext, run: RunRow): Promise<RunFile[]> {
  if (!mayDownload(context, run)) {
    return []
  }
  switch (run.kind) {
    case 'IMPORT':
      return importFiles(context, run)
    case 'EXPORT':
      return run.status === 'COMPLETED' ? resultFile(context, run.id, run.spec.format.format) : []
    case 'AUDIT_EXPORT':
      return run.status === 'COMPLETED' ? resultFile(context, run.id, 'NDJSON') : []
    case 'BUNDLE_EXPORT':
    case 'BUNDLE_IMPORT':
      return bundleFiles(context, run)
    case 'MIGRATION':
      return reportFile(context, run)
    case 'ROLLBACK':
      return []
    default:
      return run satisfies never
  }
}

/** The file of an export, of records or of the audit, as long as it is still there. */
async function resultFile(context: ApiContext, runId: string, format: ExportFileFormat): Promise<RunFile[]> {
  const file = await context.loaders.resultOfRun(runId)
  if (file === null) {
    return []
  }
  const target = {
    kind: 'result',
    tenantId: context.caller.tenantId,
    object: runId,
    actor: context.caller.actor,
  } as const
  const { url, expiresAt } = makeLink(context.services.config, target, file.name)
  return [{ ...file, kind: 'RESULT', format, url, urlExpiresAt: expiresAt }]
}

/** The newest proof of a migration, as long as it is kept. */
async function reportFile(context: ApiContext, run: MigrationRunRow): Promise<RunFile[]> {
  const file = await inTenant(context, (tx) =>
    first<{ name: string; byteSize: number; sha256: string }>(
      tx,
      `select name, byte_size::float8 as "byteSize", sha256 from run_file
       where tenant_id = $1 and run_id = $2 and kind = 'REPORT' and expires_at > now()`,
      [tx.tenantId, run.id],
    ),
  )
  if (file === null) {
    return []
  }
  const target = {
    kind: 'report',
    tenantId: context.caller.tenantId,
    object: run.id,
    actor: context.caller.actor,
  } as const
  const { url, expiresAt } = makeLink(context.services.config, target, file.name)
  return [{ kind: 'REPORT', ...file, rowCount: null, format: 'JSON', url, urlExpiresAt: expiresAt }]
}

async function importFiles(context: ApiContext, run: ImportRunRow): Promise<RunFile[]> {
  const source = await context.loaders.file(run.sourceFileId)
  if (source === null || source.purgedAt != null) {
    return []
  }
  const { config } = context.services
  const { tenantId, actor } = context.caller
  const link = (kind: 'source' | 'failed-rows' | 'unprocessed-rows', object: string, name: string, format = 'CSV') => {
    const { url, expiresAt } = makeLink(config, { kind, tenantId, object, actor }, name)
    return { name, url, urlExpiresAt: expiresAt, format }
  }
  const { byteSize, sha256 } = source
  const files: RunFile[] = [
    {
      kind: 'SOURCE',
      byteSize,
      sha256,
      rowCount: run.counts.total,
      ...link('source', source.id, source.name, (source.detection as Detection).format),
    },
  ]
  if (!endedStatuses.has(run.status)) {
    return files
  }
  if (run.counts.failed > 0) {
    const failed = await runFile(context, run, 'FAILED_ROWS')
    if (failed !== null) {
      files.push({ kind: 'FAILED_ROWS', ...failed, ...link('failed-rows', run.id, failedRowsName(source.name)) })
    }
  }
  if (run.counts.unprocessed > 0) {
    const rest = await runFile(context, run, 'UNPROCESSED_ROWS')
    if (rest !== null) {
      const name = unprocessedRowsName(source.name)
      files.push({ kind: 'UNPROCESSED_ROWS', ...rest, ...link('unprocessed-rows', run.id, name) })
    }
  }
  return files
}

type MadeKind = 'FAILED_ROWS' | 'UNPROCESSED_ROWS'

/** A file of the run as it is now, made if need be; null once its source is gone. */
async function runFile(context: ApiContext, run: ImportRunRow, kind: MadeKind): Promise<StoredRunFile | null> {
  const known = await findStored(context, run.id, kind)
  if (known !== null) {
    return known
  }
  const key = `${run.id} ${kind}`
  const making = inTheMaking.get(key) ?? make(context, run, kind).finally(() => inTheMaking.delete(key))
  inTheMaking.set(key, making)
  return making
}

/** Failed rows that were applied since make another file: `made_with` is how often that had happened when it was made. */
function findStored(context: ApiContext, runId: string, kind: MadeKind): Promise<StoredRunFile | null> {
  return inTenant(context, (tx) =>
    first<StoredRunFile>(
      tx,
      `select f.byte_size::float8 as "byteSize", f.row_count::float8 as "rowCount", f.sha256 from run_file f
       join run r on r.tenant_id = f.tenant_id and r.id = f.run_id
       where f.tenant_id = $1 and f.run_id = $2 and f.kind = $3
         and (f.kind <> 'FAILED_ROWS' or coalesce(f.made_with, '0') = r.closings::text)`,
      [tx.tenantId, runId, kind],
    ),
  )
}

/** How often rows may be closed while a file of them is made, until it is left to the next who asks. */
const TRIES = 3

async function make(context: ApiContext, run: ImportRunRow, kind: MadeKind): Promise<StoredRunFile | null> {
  // Others may be waiting for the file too: the caller's leaving does not end its making.
  const opened = await openRunSource({ ...context, signal: new AbortController().signal }, run)
  if (opened === null) {
    return null
  }
  const { files } = context.services
  const { source, detection } = opened
  const dialect = detection.delimiter === null ? {} : { delimiter: detection.delimiter }
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const before = await stateOf(context, run.id)
    let rows = 0
    const count = (all: number): void => {
      rows = all
    }
    const csv =
      kind === 'FAILED_ROWS'
        ? failedRowsCsv({ source, columns: source.columns, rows: pages(context, run.id, count), ...dialect })
        : unprocessedRowsCsv({ source, from: before.cursor, onRows: count, ...dialect })
    const stored = await files.put(context.caller.tenantId, csv, { maxBytes: Number.MAX_SAFE_INTEGER })
    const gone = await inTenant(context, async (tx) => {
      const now = await one<{ closings: string }>(
        tx,
        'select closings::text as closings from run where tenant_id = $1 and id = $2 for share',
        [tx.tenantId, run.id],
      )
      if (kind === 'FAILED_ROWS' && now.closings !== before.closings) {
        return stored.key
      }
      const known = await first<{ storage_key: string; made_with: string | null }>(
        tx,
        'select storage_key, made_with from run_file where tenant_id = $1 and run_id = $2 and kind = $3 for update',
        [tx.tenantId, run.id, kind],
      )
      if (known !== null && (kind !== 'FAILED_ROWS' || (known.made_with ?? '0') === now.closings)) {
        // Another process was first: its file is the same.
        return stored.key
      }
      const written = await tx.query(
        `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, made_with)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (tenant_id, run_id, kind) do update set byte_size = excluded.byte_size, row_count = excluded.row_count,
           sha256 = excluded.sha256, storage_key = excluded.storage_key, made_with = excluded.made_with, made_at = now()
         where run_file.storage_key = $9
         returning run_id`,
        [
          tx.tenantId,
          run.id,
          kind,
          stored.byteSize,
          rows,
          stored.sha256,
          stored.key,
          now.closings,
          known?.storage_key ?? null,
        ],
      )
      return written.length === 0 ? stored.key : (known?.storage_key ?? null)
    })
    if (gone !== null) {
      await files.delete(gone)
    }
    const made = await findStored(context, run.id, kind)
    if (made !== null) {
      return made
    }
  }
  return null
}

/** How often rows of the run were closed or opened, and where the rows begin that it had not come to. */
function stateOf(context: ApiContext, runId: string): Promise<{ closings: string; cursor: Cursor | null }> {
  return inTenant(context, (tx) =>
    one<{ closings: string; cursor: Cursor | null }>(
      tx,
      'select closings::text as closings, cursor from run where tenant_id = $1 and id = $2',
      [tx.tenantId, runId],
    ),
  )
}

async function* pages(context: ApiContext, runId: string, count: (rows: number) => void): AsyncGenerator<FailedRow> {
  let after = 0
  let all = 0
  for (;;) {
    const rows = await inTenant(context, (tx) => failedRows(tx, runId, after, PAGE_ROWS))
    yield* rows
    all += rows.length
    count(all)
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE_ROWS) {
      return
    }
    after = last.number
  }
}
