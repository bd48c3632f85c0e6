import { admitRun } from '../access/quotas.js'
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import type { ColumnMapping, ImportOptions, SourceOptions } from '../pipeline/types.js'
import type { RecordTypeName } from '../records/types.js'
import { moveRun, statusChanged } from './events.js'

/** What an import does where its caller says nothing. */
export const defaultImportOptions: ImportOptions = {
  onDuplicate: 'UPDATE',
  matchOn: [],
  onInvalidRow: 'SKIP_ROW',
  maxFailedRows: null,
  maxFailedFraction: null,
  allOrNothing: false,
  sideEffects: 'ALL',
  sourceSystem: null,
  operation: 'UPSERT',
  onBlank: 'KEEP',
  clearText: null,
  onDrift: 'SKIP_ROW',
  onMissingRelation: null,
  minConfidence: 0.9,
  defaultOwnerEmail: null,
}

export interface NewImport {
  readonly actor: string
  readonly sourceFileId: string
  readonly recordType: RecordTypeName
  readonly source: SourceOptions | null
  /** Null: the mapping is suggested once the file has been read. */
  readonly mapping: readonly ColumnMapping[] | null
  /** The version of a template that the mapping is made from once the file has been read; null or absent without one. */
  readonly template?: { readonly id: string; readonly version: number } | null
  readonly options: ImportOptions
  /** ALWAYS: it starts by itself; otherwise it is planned first. */
  readonly confirmation: 'ASK' | 'IF_NO_ERRORS' | 'ALWAYS'
  /** The migration that it belongs to, which decides when it is planned and when it starts; absent for none. */
  readonly migrationRunId?: string
}

/** Creates an import and wakes a worker, both or neither. Answers the run's id. */
export async function createImport(tx: Tx, input: NewImport): Promise<string> {
  const file = await first<{ byte_size: number }>(
    tx,
    'select byte_size::float8 as byte_size from source_file where tenant_id = $1 and id = $2 and purged_at is null',
    [tx.tenantId, input.sourceFileId],
  )
  if (file === null) {
    throw new Refusal('NOT_FOUND', 'There is no such file, or its retention has ended: upload it again.', ['fileId'])
  }
  const id = newId()
  if (input.migrationRunId === undefined) {
    await admitRun(tx, id)
  }
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, record_type, source_file_id, source_options, mapping, options,
                      confirmation, bytes_total, mapping_template_id, mapping_template_version, migration_run_id)
     values ($1, $2, 'IMPORT', 'ANALYZING', $3, $4, $5, $6::jsonb, $7::jsonb, $8::jsonb, $9, $10, $11, $12, $13)`,
    [
      tx.tenantId,
      id,
      input.actor,
      input.recordType,
      input.sourceFileId,
      json(input.source),
      json(input.mapping),
      json(input.options),
      input.confirmation,
      file.byte_size,
      input.template?.id ?? null,
      input.template?.version ?? null,
      input.migrationRunId ?? null,
    ],
  )
  await noteSchema(tx, id)
  await statusChanged(tx, id, 'IMPORT', null, 'ANALYZING', null)
  await tx.query('select wake_run($1)', [id])
  return id
}

/**
 * Gives a waiting import another mapping, and other options or another reading of the file where they are given, and looks
 * at it again: it goes on, or waits again with what is still in the way. Refuses INVALID_STATE for a run that is not waiting.
 */
export async function updateImportMapping(
  tx: Tx,
  input: {
    readonly runId: string
    readonly mapping: readonly ColumnMapping[]
    readonly options: Partial<ImportOptions> | null
    readonly source: SourceOptions | null
  },
): Promise<void> {
  const run = await first<{ status: string; kind: string; parent_run_id: string | null }>(
    tx,
    'select status, kind, parent_run_id from run where tenant_id = $1 and id = $2 for update',
    [tx.tenantId, input.runId],
  )
  if (run === null || run.kind !== 'IMPORT') {
    throw new Refusal('NOT_FOUND', 'There is no such import.', ['runId'])
  }
  if (run.status !== 'AWAITING_MAPPING' && run.status !== 'AWAITING_CONFIRMATION') {
    throw new Refusal(
      'INVALID_STATE',
      `The mapping can be changed while the import is AWAITING_MAPPING or AWAITING_CONFIRMATION; it is ${run.status}.`,
      ['runId'],
    )
  }
  if (run.parent_run_id !== null && input.source !== null) {
    throw new Refusal('INVALID_STATE', 'The rows of a retry are read as in the import that they come from.', ['source'])
  }
  if (run.status === 'AWAITING_CONFIRMATION') {
    // The plan was about another mapping: it is void.
    await moveRun(tx, { id: input.runId, kind: 'IMPORT' }, 'AWAITING_CONFIRMATION', 'AWAITING_MAPPING', {
      set: 'plan_hash = null',
    })
  }
  await tx.query(
    // Evidence belongs to one reading of the file: another reading, another first pass.
    `update run set status = 'ANALYZING', status_reason = null, mapping = $3::jsonb, options = options || $4::jsonb,
       mapping_conflicts = null, unmapped_required = null,
       source_options = coalesce($5::jsonb, source_options), evidence = case when $5::jsonb is null then evidence end,
       detection = case when $5::jsonb is null then detection end
     where tenant_id = $1 and id = $2`,
    [tx.tenantId, input.runId, json(input.mapping), JSON.stringify(input.options ?? {}), json(input.source)],
  )
  await noteSchema(tx, input.runId)
  await statusChanged(tx, input.runId, 'IMPORT', 'AWAITING_MAPPING', 'ANALYZING', null)
  await tx.query('select wake_run($1)', [input.runId])
}

/** Notes which custom fields the mapping of a run was made for: those that stand now. A run from before there were any has none. */
async function noteSchema(tx: Tx, runId: string): Promise<void> {
  await tx.query(
    `update run r set schema_version = s.version from record_schema s
     where r.tenant_id = $1 and r.id = $2 and s.tenant_id = $1 and s.record_type = r.record_type and s.version <> r.schema_version`,
    [tx.tenantId, runId],
  )
}

function json(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value)
}
