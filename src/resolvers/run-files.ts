/** Files of a run: where it came from, and its failed rows, which are made when somebody first asks and kept from then on. */
import { makeLink } from '../access/links.js'
import type { Detection } from '../adapters/files/detection.js'
import { type FailedRow, failedRowsCsv } from '../adapters/files/failed-rows.js'
import { first } from '../db/tx.js'
import { failedRows } from '../runs/read.js'
import { endedStatuses } from '../runs/status.js'
import type { ImportRunRow, RunRow } from '../runs/types.js'
import type { RunFile } from '../schema/runs.js'
import { type ApiContext, inTenant, may } from './context.js'
import { failedRowsName } from './names.js'
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

/** What the caller may download of a run. */
export async function runFiles(context: ApiContext, run: RunRow): Promise<RunFile[]> {
  if (run.kind !== 'IMPORT' || !may(context, 'PII_READ')) {
    return []
  }
  const source = await context.loaders.file(run.sourceFileId)
  if (source === null || source.purgedAt != null) {
    return []
  }
  const { config } = context.services
  const { tenantId } = context.caller
  const link = (kind: 'source' | 'failed-rows', object: string, name: string, format = 'CSV') => {
    const { url, expiresAt } = makeLink(config, { kind, tenantId, object }, name)
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
  if (run.counts.failed > 0 && endedStatuses.has(run.status)) {
    const failed = await failedRowsFile(context, run)
    if (failed !== null) {
      files.push({ kind: 'FAILED_ROWS', ...failed, ...link('failed-rows', run.id, failedRowsName(source.name)) })
    }
  }
  return files
}

async function failedRowsFile(context: ApiContext, run: ImportRunRow): Promise<StoredRunFile | null> {
  const known = await findStored(context, run.id)
  if (known !== null) {
    return known
  }
  const making = inTheMaking.get(run.id) ?? make(context, run).finally(() => inTheMaking.delete(run.id))
  inTheMaking.set(run.id, making)
  return making
}

function findStored(context: ApiContext, runId: string): Promise<StoredRunFile | null> {
  return inTenant(context, (tx) =>
    first<StoredRunFile>(
      tx,
      `select byte_size::float8 as "byteSize", row_count::float8 as "rowCount", sha256 from run_file
       where tenant_id = $1 and run_id = $2 and kind = 'FAILED_ROWS'`,
      [tx.tenantId, runId],
    ),
  )
}

async function make(context: ApiContext, run: ImportRunRow): Promise<StoredRunFile | null> {
  // Others may be waiting for the file too: the caller's leaving does not end its making.
  const opened = await openRunSource({ ...context, signal: new AbortController().signal }, run)
  if (opened === null) {
    return null
  }
  const { files } = context.services
  const { source, detection } = opened
  const csv = failedRowsCsv({
    source,
    columns: source.columns,
    rows: pages(context, run.id),
    ...(detection.delimiter === null ? {} : { delimiter: detection.delimiter }),
  })
  const stored = await files.put(context.caller.tenantId, csv, { maxBytes: Number.MAX_SAFE_INTEGER })
  const kept = await inTenant(context, async (tx) => {
    const rows = await tx.query(
      `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key)
       values ($1, $2, 'FAILED_ROWS', $3, $4, $5, $6) on conflict do nothing returning run_id`,
      [tx.tenantId, run.id, stored.byteSize, run.counts.failed, stored.sha256, stored.key],
    )
    return rows.length === 1
  })
  if (!kept) {
    // Another process was first: its file is the same.
    await files.delete(stored.key)
  }
  return findStored(context, run.id)
}

async function* pages(context: ApiContext, runId: string): AsyncGenerator<FailedRow> {
  let after = 0
  for (;;) {
    const rows = await inTenant(context, (tx) => failedRows(tx, runId, after, PAGE_ROWS))
    yield* rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE_ROWS) {
      return
    }
    after = last.number
  }
}
