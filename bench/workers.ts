/** How much 1, 2 and 4 workers import together, for as many tenants, on one machine with one database. */
import { join } from 'node:path'
import { House, Server } from '../test/chaos/house.js'
import { newContacts } from '../test/helpers/files.js'
import { Crew } from '../test/helpers/processes.js'
import { keepResult, machine, printTable, quantile } from './report.js'
import { FOLDER } from './server.js'

export interface WorkersBenchOptions {
  /** Rows of each tenant's file. */
  readonly rows: number
  readonly rounds: number
}

/** Workers, each with a tenant that imports. */
const COUNTS = [1, 2, 4] as const

/** Measures and prints rows a second, all tenants together. */
export async function benchWorkers({ rows, rounds }: WorkersBenchOptions): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  const dataDir = join(FOLDER, 'workers')
  const server = await Server.start(dataDir, true)
  const measured: { readonly workers: number; readonly rowsPerSecond: number }[] = []
  try {
    for (const workers of COUNTS) {
      const house = await House.open(dataDir)
      const crew = new Crew(workers, {
        DATABASE_URL: house.db.workerUrl,
        PORTAGE_DATA_DIR: dataDir,
        // Without a slot nobody stands by.
        PORTAGE_WORKER_SLOT: '',
      })
      try {
        await Promise.all(crew.members.map((member) => member.working))
        const paces: number[] = []
        for (let round = 0; round < rounds; round++) {
          const tenants = await Promise.all(Array.from({ length: workers }, (_, n) => house.tenant(`${round} ${n}`)))
          const started = performance.now()
          await Promise.all(
            tenants.map(async (tenant, n) => {
              const run = await house.startImport(tenant, 'contact', newContacts(round * 10 + n, rows))
              await house.ended(tenant, run)
            }),
          )
          paces.push((workers * rows * 1000) / (performance.now() - started))
        }
        measured.push({
          workers,
          rowsPerSecond: Math.round(
            quantile(
              paces.toSorted((a, b) => a - b),
              0.5,
            ),
          ),
        })
        console.log(`  ${workers} workers: ${measured.at(-1)?.rowsPerSecond} rows/s`)
      } finally {
        await crew.stop()
        await house.close(false)
      }
    }
  } finally {
    await server.stop()
  }
  console.log(`\n${date}; ${JSON.stringify(before)}\n`)
  printTable([
    ['Workers and tenants', 'Rows/s together', 'Rows/s of each'],
    ...measured.map(({ workers, rowsPerSecond }) => [
      String(workers),
      String(rowsPerSecond),
      String(Math.round(rowsPerSecond / workers)),
    ]),
  ])
  await keepResult('workers', { date, machine: before, rows, rounds, measured })
}
