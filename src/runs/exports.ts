/** Exports as runs: how one is made. What it writes is checked before, by `exportSpec`; `jobs/run-export.ts` writes it. */
import { admitRun } from '../access/quotas.js'
import type { Tx } from '../db/tx.js'
import { newId } from '../ids.js'
import { statusChanged } from './events.js'
import type { ExportFormat, ExportSpec } from './types.js'

export type { ExportColumn, ExportFileFormat, ExportFormat, ExportRunRow, ExportSpec } from './types.js'

/** How an export is written where its caller says nothing. */
export const defaultExportFormat: ExportFormat = {
  format: 'CSV',
  compression: 'NONE',
  delimiter: ',',
  encoding: 'utf-8',
  byteOrderMark: false,
  dateFormat: null,
  timeZone: 'UTC',
  nullText: '',
  decimalSeparator: '.',
  escapeFormulas: true,
}

export interface NewExport {
  readonly actor: string
  /** As `exportSpec` (adapters/crm/export.ts) answers it. */
  readonly spec: ExportSpec
  /** The template that it is made from; null or absent without one. */
  readonly templateId?: string | null
}

/** Creates an export and wakes a worker, both or neither. Answers the run's id. */
export async function createExport(tx: Tx, { actor, spec, templateId = null }: NewExport): Promise<string> {
  const id = newId()
  await admitRun(tx, id)
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, record_type, queued_at, schema_version)
     select $1, $2, 'EXPORT', 'QUEUED', $3, $4, now(),
       coalesce((select s.version from record_schema s where s.tenant_id = $1 and s.record_type = $4), 0)`,
    [tx.tenantId, id, actor, spec.recordType],
  )
  await tx.query('insert into run_export (tenant_id, run_id, spec, template_id) values ($1, $2, $3::jsonb, $4)', [
    tx.tenantId,
    id,
    JSON.stringify(spec),
    templateId,
  ])
  await statusChanged(tx, id, 'EXPORT', null, 'QUEUED', null)
  await tx.query('select wake_run($1)', [id])
  return id
}
