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
  const found = await inTenant(context, (tx) =>
    first<{ key: string | null; rows: Detection; kept: Detection | null }>(
      tx,
      `select m.storage_key as key, m.detection as rows, r.detection as kept from run r
       left join run_file m on m.tenant_id = r.tenant_id and m.run_id = r.id and m.kind = 'ROWS'
       where r.tenant_id = $1 and r.id = $2`,
      [tx.tenantId, run.id],
    ),
  )
  if (found !== null && found.key !== null) {
    const place = { detection: found.rows, isRowFile: true }
    return { source: await openRows(files.openBytes(found.key), place), detection: found.rows }
  }
  const options = over(file.sourceOptions as SourceOptions | null, run.sourceOptions)
  const detection =
    found?.kept ?? (await detect(files, { key: file.storageKey, byteSize: file.byteSize }, file.name, options))
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
