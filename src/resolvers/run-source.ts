/** The file of an import, read again: for the cells of single rows, and to give its failed rows back. */

import { harmlessColumns } from '../access/privacy.js'
import type { Detection } from '../adapters/files/detection.js'
import { isResumable, openRows } from '../adapters/files/open.js'
import type { Source } from '../adapters/source.js'
import { first } from '../db/tx.js'
import type { SourceOptions } from '../pipeline/types.js'
import { recordTypes } from '../records/index.js'
import type { ImportRunRow } from '../runs/types.js'
import type { Cell } from '../schema/runs.js'
import { type ApiContext, inTenant, may } from './context.js'
import { over } from './inputs.js'
import { detect } from './uploads.js'

export interface RunSource {
  readonly source: Source
  readonly detection: Detection
}

/** The file of an import as the import reads it; null once it is gone, and while it has not been turned into rows yet. */
export async function openRunSource(context: ApiContext, run: ImportRunRow): Promise<RunSource | null> {
  const file = await context.loaders.file(run.sourceFileId)
  if (file === null || file.purgedAt != null) {
    return null
  }
  const { files } = context.services
  const rows = await inTenant(context, (tx) =>
    first<{ key: string; detection: Detection }>(
      tx,
      `select storage_key as key, detection from run_file where tenant_id = $1 and run_id = $2 and kind = 'ROWS'`,
      [tx.tenantId, run.id],
    ),
  )
  if (rows !== null) {
    const place = { detection: rows.detection, isRowFile: true }
    return { source: await openRows(files.openBytes(rows.key), place), detection: rows.detection }
  }
  const options = over(file.sourceOptions as SourceOptions | null, run.sourceOptions)
  const detection = await detect(files, { key: file.storageKey, byteSize: file.byteSize }, file.name, options)
  return isResumable(detection)
    ? { source: await openRows(files.openBytes(file.storageKey), { detection, isRowFile: false }), detection }
    : null
}

/** The cells of the row with this number that starts at this byte; empty once the file is gone. */
export type CellReader = (byte: number, row: number) => Promise<readonly Cell[]>

/** Reads cells of single rows. Without PII_READ only those of columns that hold nothing sensitive. */
export async function openCells(context: ApiContext, run: ImportRunRow): Promise<CellReader> {
  const opened = await openRunSource(context, run)
  if (opened === null) {
    return () => Promise.resolve([])
  }
  const { source } = opened
  const visible = may(context, 'PII_READ') ? null : harmlessColumns(recordTypes[run.recordType], run.mapping)
  return async (byte, number) => {
    for await (const rows of source.rows({ byte, row: number }, context.signal)) {
      const cells = rows[0]?.cells ?? []
      return source.columns.map(({ index, name }) => ({
        column: name,
        value: visible === null || visible.has(name) ? (cells[index] ?? null) : null,
      }))
    }
    return []
  }
}
