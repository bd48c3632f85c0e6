/**
 * Trying the failed rows of an import again: a run of its own over just those rows, which numbers them as the first import
 * does. What it applies is closed in the runs before it by the transaction that applies it: see `settle` and `close_rows`
 * in the database. The imports that came of one file, the first one and its retries, are a family.
 */
import { admitRun } from '../access/quotas.js'
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import type { ColumnMapping } from '../pipeline/types.js'
import type { RecordTypeName } from '../records/types.js'
import { statusChanged } from './events.js'
import type { RunStatus } from './status.js'

/** Statuses of an import whose failed rows can be tried again. */
const retryableStatuses: ReadonlySet<RunStatus> = new Set<RunStatus>([
  'COMPLETED',
  'COMPLETED_WITH_ERRORS',
  'FAILED',
  'CANCELED',
])

/** Rows of the run were closed or opened meanwhile: what was read of it is old. */
export class RowsChanged extends Error {}

/**
 * How often rows of the import were closed or opened until now, for `startRetry`. Refuses NOT_FOUND, and INVALID_STATE for
 * an import that has no failed rows to try again just now.
 */
export async function checkRetryable(tx: Tx, runId: string, lock: '' | 'for update' = ''): Promise<number> {
  const run = await first<{
    kind: string
    status: RunStatus
    failed: number
    closings: number
    root: string
    root_status: RunStatus
  }>(
    tx,
    `select kind, status, failed::float8 as failed, closings::float8 as closings, coalesce(root_run_id, id) as root,
       (select f.status from run f where f.tenant_id = $1 and f.id = coalesce(run.root_run_id, run.id)) as root_status
     from run where tenant_id = $1 and id = $2 ${lock}`,
    [tx.tenantId, runId],
  )
  if (run === null || run.kind !== 'IMPORT') {
    throw new Refusal('NOT_FOUND', 'There is no import with this id.', ['runId'])
  }
  // A retry is no longer good for another one when the import that it came of has been rolled back.
  const barred = [run.status, run.root_status].find((status) => !retryableStatuses.has(status))
  if (barred !== undefined) {
    throw new Refusal(
      'INVALID_STATE',
      `Failed rows can be tried again when the import has ended and was not rolled back; this one is ${barred}.`,
      ['runId'],
    )
  }
  if (run.failed === 0) {
    throw new Refusal('INVALID_STATE', 'No row of this import has failed, or all that had were applied since.', [
      'runId',
    ])
  }
  const active = await first(
    tx,
    `select id from run where tenant_id = $1 and root_run_id = $2 and finished_at is null ${lock}`,
    [tx.tenantId, run.root],
  )
  if (active !== null) {
    throw new Refusal(
      'INVALID_STATE',
      'Failed rows of this import are being tried again just now. Wait until that has ended.',
      ['runId'],
    )
  }
  return run.closings
}

/** Those of these rows (in ascending order) that have failed, with their places in the file of the import, in file order. */
export async function failedAmong(
  tx: Tx,
  runId: string,
  rows: readonly number[],
): Promise<{ readonly number: number; readonly byte: number }[]> {
  return tx.query(
    `select row_number::float8 as number, byte::float8 as byte from run_row
     where tenant_id = $1 and run_id = $2 and row_number between $4 and $5 and row_number = any ($3::bigint[])
       and outcome = 'FAILED' order by row_number`,
    // Whichever index is taken, only this stretch of the rows is looked at.
    [tx.tenantId, runId, rows, rows[0] ?? 0, rows.at(-1) ?? 0],
  )
}

export interface NewRetry {
  readonly actor: string
  /** The import whose rows are tried again. */
  readonly runId: string
  /** As `checkRetryable` answered before the rows were read. */
  readonly closings: number
  /** A corrected file that the rows came in; null: none. */
  readonly sourceFileId: string | null
  /** The rows, numbered as in the import, with the detection that reads them. */
  readonly rows: {
    readonly key: string
    readonly byteSize: number
    readonly sha256: string
    readonly rowCount: number
    readonly detection: object
  }
}

/**
 * Creates the import over these rows and wakes a worker, both or neither; answers its id. It has the mapping, the options,
 * the words about the file, the evidence and the rules of the import that it comes from. Throws RowsChanged; refuses as
 * `checkRetryable`.
 */
export async function startRetry(tx: Tx, input: NewRetry): Promise<string> {
  // The family's first run is what all its retries wait for.
  await tx.query(
    `select from run where tenant_id = $1
       and id = (select coalesce(root_run_id, id) from run where tenant_id = $1 and id = $2) for update`,
    [tx.tenantId, input.runId],
  )
  if ((await checkRetryable(tx, input.runId, 'for update')) !== input.closings) {
    throw new RowsChanged('rows were closed or opened meanwhile')
  }
  const id = newId()
  await admitRun(tx, id)
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, record_type, source_file_id, source_options, mapping, evidence,
                      options, confirmation, bytes_total, total, parent_run_id, root_run_id, schema_version, rules,
                      mapping_template_id, mapping_template_version)
     select $1, $2, 'IMPORT', 'ANALYZING', $4, r.record_type, coalesce($5::uuid, r.source_file_id),
       jsonb_strip_nulls(coalesce(f.source_options, '{}')) || jsonb_strip_nulls(coalesce(r.source_options, '{}')),
       r.mapping, r.evidence, r.options, 'ALWAYS', $6, $7, r.id, coalesce(r.root_run_id, r.id), r.schema_version, r.rules,
       r.mapping_template_id, r.mapping_template_version
     from run r join source_file f on f.tenant_id = r.tenant_id and f.id = r.source_file_id
     where r.tenant_id = $1 and r.id = $3`,
    [tx.tenantId, id, input.runId, input.actor, input.sourceFileId, input.rows.byteSize, input.rows.rowCount],
  )
  await tx.query(
    `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, detection, made_with)
     values ($1, $2, 'ROWS', $3, $4, $5, $6, $7::jsonb, 'retry')`,
    [
      tx.tenantId,
      id,
      input.rows.byteSize,
      input.rows.rowCount,
      input.rows.sha256,
      input.rows.key,
      JSON.stringify(input.rows.detection),
    ],
  )
  await statusChanged(tx, id, 'IMPORT', null, 'ANALYZING', null)
  await tx.query('select wake_run($1)', [id])
  return id
}

/**
 * The mapping of the newest import of this type whose file had these columns and whose rows failed in part: what a file of
 * failed rows is mapped by when it is imported like any other. Null where there is none.
 */
export async function mappingOfOrigin(
  tx: Tx,
  recordType: RecordTypeName,
  columns: readonly string[],
): Promise<readonly ColumnMapping[] | null> {
  const run = await first<{ mapping: ColumnMapping[] }>(
    tx,
    `select mapping from run where tenant_id = $1 and kind = 'IMPORT' and record_type = $2 and finished_at is not null
       and exists (select from run_row x where x.tenant_id = $1 and x.run_id = run.id and (x.outcome = 'FAILED' or x.closed_by is not null))
       and jsonb_path_query_array(evidence, '$[*].name') = $3::jsonb
     order by id desc limit 1`,
    [tx.tenantId, recordType, JSON.stringify(columns)],
  )
  return run?.mapping ?? null
}
