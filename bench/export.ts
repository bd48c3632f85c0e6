/** Exports of every format against a bare client's COPY of the same query, and workbooks against exceljs. */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { permissions } from '../src/access/permissions.js'
import { defaultColumns, exportSql } from '../src/adapters/crm/export.js'
import { recordTypes } from '../src/records/index.js'
import { contactFile } from './contacts.js'
import { openEngine } from './engine.js'
import type { Exported, Order } from './export-ways.js'
import { pssOf } from './processes.js'
import { keepResult, machine, printTable, showSpread, spread } from './report.js'
import { FOLDER, startServer, withClient } from './server.js'

/** How often memory is looked at. Milliseconds. */
const SAMPLE_MS = 25

const MEBIBYTE = 1024 ** 2

/** Contacts that are imported; more are copies of them. */
const IMPORTED_ROWS = 100_000

interface Way {
  readonly name: string
  readonly way: Order['way']
}

const ways: readonly Way[] = [
  { name: 'bare COPY to CSV', way: 'copy' },
  { name: 'CSV, formulas made harmless', way: { format: {} } },
  { name: 'CSV, exact', way: { format: { escapeFormulas: false } } },
  { name: 'CSV, gzipped', way: { format: { compression: 'GZIP' } } },
  { name: 'NDJSON', way: { format: { format: 'NDJSON' } } },
  { name: 'JSON', way: { format: { format: 'JSON' } } },
  { name: 'XLSX', way: { format: { format: 'XLSX' } } },
  { name: 'exceljs, streaming', way: 'exceljs' },
]

export interface ExportOptions {
  readonly rows: number
  readonly rounds: number
  /** Parts of the names of ways; all where there are none. */
  readonly only: readonly string[]
}

interface Measured extends Exported {
  /** Of the process, which is a worker and no more. Bytes of PSS. */
  readonly peakBytes: number
}

/** Exports the same contacts in every way, in turns. */
export async function benchExport({ rows, rounds, only }: ExportOptions): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  await using server = await startServer()
  await using engine = await openEngine(server, 2)
  const tenantId = await engine.tenant()
  await engine.import(tenantId, await contactFile(FOLDER, Math.min(rows, IMPORTED_ROWS)))
  await multiply(engine.ownerUrl, tenantId, rows)
  await server.settle()
  const password = randomBytes(16).toString('hex')
  const url = new URL(engine.ownerUrl)
  await withClient(engine.ownerUrl, (client) => client.query(`alter role portage_worker password '${password}'`))
  url.username = 'portage_worker'
  url.password = password
  const columns = defaultColumns(recordTypes.contact, new Set(permissions)).map(({ field }) => ({
    field,
    header: field,
    format: null,
  }))
  const asked = { recordType: 'contact', filter: null, orderBy: [], columns } as const
  const { typed } = exportSql(tenantId, recordTypes.contact, asked)
  const order = { url: url.href, tenantId, folder: server.folder, select: typed }

  const chosen = ways.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)))
  const measured = new Map<string, Measured[]>(chosen.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const { name, way } of chosen) {
      const one = await measure({ ...order, way })
      if (one.rows !== rows) {
        throw new Error(`${name} wrote ${one.rows} rows of ${rows}`)
      }
      measured.get(name)?.push(one)
    }
  }
  const bare = measured.get('bare COPY to CSV')
  const lines = [['way', 's', 'times COPY', 'peak MiB', 'file MiB']]
  const kept: object[] = []
  for (const [name, runs] of measured) {
    const seconds = spread(runs.map(({ ms }) => ms / 1000))
    // Round by round, so that whatever slows the machine slows both.
    const ratio = bare === undefined ? null : spread(runs.map(({ ms }, i) => ms / (bare[i]?.ms ?? Number.NaN)))
    const peak = spread(runs.map(({ peakBytes }) => peakBytes / MEBIBYTE))
    const bytes = runs[0]?.bytes ?? 0
    lines.push([
      name,
      showSpread(seconds, 2),
      ratio === null ? '' : showSpread(ratio, 2),
      showSpread(peak, 0),
      (bytes / MEBIBYTE).toFixed(0),
    ])
    kept.push({ name, seconds, ratio, peakMebibytes: peak, bytes })
  }
  console.log(`\n${date}; ${JSON.stringify(before)}; ${rows} contacts, ${columns.length} columns\n`)
  printTable(lines)
  await keepResult(`export-${rows}`, { date, machine: before, rows, columns: columns.length, ways: kept })
}

/** Fills the table up with copies under names of their own. */
async function multiply(url: string, tenantId: string, rows: number): Promise<void> {
  await withClient(url, async (client) => {
    const { rows: found } = await client.query<{ name: string }>(
      `select attname as name from pg_attribute where attrelid = 'contact'::regclass and attnum > 0 and not attisdropped
       and attname not in ('id', 'external_id', 'created_row')`,
    )
    const names = found.map(({ name }) => name).join(', ')
    const times = Math.ceil(rows / IMPORTED_ROWS) - 1
    if (times > 0) {
      await client.query(
        `insert into contact (id, external_id, ${names})
         select uuidv7(), c.external_id || '-' || n, ${names.replaceAll(/\w+/g, 'c.$&')}
         from generate_series(1, $2) n cross join contact c where c.tenant_id = $1 limit $3`,
        [tenantId, times, rows - IMPORTED_ROWS],
      )
    }
    await client.query('vacuum analyze contact')
  })
}

function measure(order: Order): Promise<Measured> {
  const child = fork(join(fileURLToPath(import.meta.url), '..', 'export-ways.js'), { serialization: 'advanced' })
  const { pid } = child
  let peakBytes = 0
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, pid === undefined ? 0 : pssOf(pid))
  }, SAMPLE_MS)
  return new Promise<Measured>((resolve, reject) => {
    child.once('message', (message) => resolve({ ...(message as Exported), peakBytes }))
    child.once('exit', (code) => reject(new Error(`the export ended with code ${code}`)))
    child.send(order)
  }).finally(() => clearInterval(timer))
}
