/** One export by one way, in a process of its own: told what to do by its parent, it says how long it took. */

import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { auditKeys } from '../src/access/audit.js'
import { bundleSecrets } from '../src/access/bundles.js'
import { permissions } from '../src/access/permissions.js'
import { exportSpec } from '../src/adapters/crm/export.js'
import { localFileStore } from '../src/adapters/files/storage.js'
import { Secret } from '../src/config.js'
import { Lane } from '../src/db/lane.js'
import { withTenant } from '../src/db/tx.js'
import { advanceRun } from '../src/jobs/advance-run.js'
import { PRESENCE_LOCKS } from '../src/jobs/claim.js'
import { laneOptions, SharedLane, type WorkerContext } from '../src/jobs/context.js'
import { createLog } from '../src/log.js'
import { createExport, defaultExportFormat } from '../src/runs/exports.js'
import { findRun } from '../src/runs/read.js'
import type { ExportFormat } from '../src/runs/types.js'

/** What a child is to do. */
export interface Order {
  /** An export in this form; or what it is compared with: a bare client's COPY, or exceljs's streaming writer behind one. */
  readonly way: { readonly format: Partial<ExportFormat> } | 'copy' | 'exceljs'
  /** Of the worker role. */
  readonly url: string
  readonly tenantId: string
  readonly folder: string
  /** The query of the export, for those that write it themselves. */
  readonly select: string
}

/** How it went. */
export interface Exported {
  readonly ms: number
  readonly rows: number
  readonly bytes: number
}

async function byPortage(order: Order, format: Partial<ExportFormat>): Promise<Exported> {
  const presence = await Lane.open({ ...laneOptions(order.url, 'portage presence'), idleInTransactionMs: 0 })
  const holder = process.pid
  await presence.session('select pg_advisory_lock($1, $2)', [PRESENCE_LOCKS, holder])
  const control = await Lane.open(laneOptions(order.url, 'portage control'))
  const context: WorkerContext = {
    databaseUrl: order.url,
    holder,
    control: new SharedLane(control),
    presence,
    files: localFileStore(join(order.folder, 'exports')),
    fileRetentionDays: 1,
    openVendor: () => Promise.reject(new Error('nobody is there')),
    bundles: bundleSecrets({ secret: new Secret('a secret of benchmarks, 32 characters long'), bundleKeys: [] }),
    auditKeys: auditKeys({ secret: new Secret('a secret of benchmarks, 32 characters long') }),
    chunkRows: 10_000,
    chunksInFlight: 2,
    log: createLog({ level: 'warn', process: 'bench' }),
    stopping: new AbortController().signal,
  }
  const { tenantId } = order
  const started = performance.now()
  const runId = await withTenant(control, tenantId, async (tx) =>
    createExport(tx, {
      actor: 'bench',
      spec: await exportSpec(tx, {
        recordType: 'contact',
        filter: null,
        orderBy: null,
        columns: null,
        fileName: null,
        permissions: new Set(permissions),
        format: { ...defaultExportFormat, ...format },
      }),
    }),
  )
  await advanceRun(context, { tenantId, runId })
  const ms = performance.now() - started
  const run = await withTenant(control, tenantId, (tx) => findRun(tx, runId))
  if (run?.status !== 'COMPLETED') {
    throw new Error(`the export is ${run?.status}: ${JSON.stringify(run?.statusReason)}`)
  }
  const [file] = await withTenant(control, tenantId, (tx) =>
    tx.query<{ key: string }>('select storage_key as key from run_file where tenant_id = $1 and run_id = $2', [
      tenantId,
      runId,
    ]),
  )
  await context.files.delete(file?.key ?? '')
  await control.close()
  await presence.close()
  return { ms, rows: run.counts.read, bytes: run.progress.bytesRead }
}

/** A client of the tenant's role, as the service has one. */
async function connect({ url, tenantId }: Order): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, options: '-c search_path=portage -c timezone=UTC' })
  await client.connect()
  await client.query(`select set_config('app.tenant_id', $1, false)`, [tenantId])
  return client
}

async function byCopy(order: Order): Promise<Exported> {
  const path = join(order.folder, `copy-${process.pid}.csv`)
  const started = performance.now()
  const client = await connect(order)
  const stream = client.query(copyTo(`copy (${order.select}) to stdout (format csv, header)`))
  await pipeline(stream, createWriteStream(path))
  await client.end()
  return { ms: performance.now() - started, rows: stream.rowCount, bytes: (await stat(path)).size }
}

async function byExcelJs(order: Order): Promise<Exported> {
  const { default: ExcelJS } = await import('exceljs')
  const path = join(order.folder, `exceljs-${process.pid}.xlsx`)
  const started = performance.now()
  const client = await connect(order)
  const workbook = new ExcelJS.stream.xlsx.WorkbookWriter({ filename: path, useSharedStrings: false })
  const sheet = workbook.addWorksheet('Contacts')
  let rows = 0
  let rest = ''
  for await (const chunk of client.query(copyTo(`copy (${order.select}) to stdout`))) {
    const lines = (rest + (chunk as Buffer).toString('utf8')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      sheet.addRow(line.split('\t').map((value) => (value === '\\N' ? null : value))).commit()
      rows += 1
    }
  }
  sheet.commit()
  await workbook.commit()
  await client.end()
  return { ms: performance.now() - started, rows, bytes: (await stat(path)).size }
}

process.once('message', (message) => {
  const order = message as Order
  const done =
    order.way === 'copy'
      ? byCopy(order)
      : order.way === 'exceljs'
        ? byExcelJs(order)
        : byPortage(order, order.way.format)
  done.then(
    (exported) => process.send?.(exported, () => process.exit(0)),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
