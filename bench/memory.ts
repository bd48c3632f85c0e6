/** How much memory imports take, for files of very different sizes: the sum over all our processes, shared pages counted once. */
import { type ContactFile, contactFile, ROW_BYTES } from './contacts.js'
import { tableFile } from './format-files.js'
import { MemoryWatch } from './processes.js'
import { keepResult, machine, printTable } from './report.js'
import { FOLDER, startServer } from './server.js'
import { startService } from './service.js'
import { expectImported } from './subject.js'

/** How often memory is looked at. Milliseconds. */
const SAMPLE_MS = 200

/** Peak of the processes that work on the run, at most. MiB. */
const BAR_MIB = 350

/** Peak of the largest file in terms of that of the one before, at most. */
const BAR_GROWTH = 1.15

const MEBIBYTE = 1024 ** 2

interface Measured {
  readonly megabytes: number
  readonly rows: number
  readonly seconds: number
  readonly samples: number
  /** Bytes: at rest before the import, and the greatest sum of one instant while it went. */
  readonly restWorking: number
  readonly peakWorking: number
  readonly peakAll: number
  /** The greatest of each process, by name, in bytes. */
  readonly peaks: Readonly<Record<string, number>>
}

/** Sizes in megabytes of a format's files, small to large, and about how many bytes of a file a row of it takes. */
export const memorySizes = {
  csv: { quick: [1, 10], full: [10, 100, 1000], rowBytes: ROW_BYTES },
  ndjson: { quick: [1, 10], full: [10, 100, 1000], rowBytes: 352 },
  // Three of its columns are texts that differ in every row: 3,000,000 in the largest.
  xlsx: { quick: [1, 5], full: [5, 100], rowBytes: 100 },
} as const

export type MemoryFormat = keyof typeof memorySizes

function fileOf(format: MemoryFormat, megabytes: number): Promise<ContactFile> {
  const rows = Math.round((megabytes * 1_000_000) / memorySizes[format].rowBytes)
  return format === 'csv'
    ? contactFile(FOLDER, rows)
    : tableFile(FOLDER, format, rows, true).then((file) => ({ ...file, name: `contacts.${format}` }))
}

/** Imports a file of each size, in megabytes, each by a service that has just started. */
export async function benchMemory(format: MemoryFormat, sizes: readonly number[]): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  const measured: Measured[] = []
  await using server = await startServer()
  for (const megabytes of sizes) {
    const file = await fileOf(format, megabytes)
    await using service = await startService(server, {})
    const tenant = await service.tenant()
    const rest = new MemoryWatch(service.supervisor, SAMPLE_MS)
    rest.stop()
    const watch = new MemoryWatch(service.supervisor, SAMPLE_MS)
    const imported = await service.import(tenant, file)
    watch.stop()
    expectImported(imported, { total: file.rows, created: file.rows })
    const peaks = Object.fromEntries(watch.peaks)
    // Of two workers one works; the other one has nothing to grow by.
    const standby = [...watch.peaks]
      .filter(([name]) => name.startsWith('worker'))
      .toSorted(([, a], [, b]) => a - b)[0]?.[0]
    const working = (name: string) => name !== standby
    measured.push({
      megabytes: file.byteSize / 1_000_000,
      rows: file.rows,
      seconds: imported.ms / 1000,
      samples: watch.samples,
      restWorking: rest.peakSum(working),
      peakWorking: watch.peakSum(working),
      peakAll: watch.peakSum(() => true),
      peaks: Object.fromEntries(
        Object.entries(peaks).map(([name, bytes]) => [name === standby ? 'standby' : name.replace(/-\d$/, ''), bytes]),
      ),
    })
    const last = measured.at(-1)
    console.log(
      `  ${megabytes} MB: ${last?.seconds.toFixed(1)} s, peak ${((last?.peakWorking ?? 0) / MEBIBYTE).toFixed(0)} MiB`,
    )
  }

  console.log(`\n${date}; ${JSON.stringify(before)}`)
  console.log(`PSS in MiB, looked at every ${SAMPLE_MS} ms; PostgreSQL not included\n`)
  const names = [
    'supervisor',
    'api',
    'worker',
    'standby',
    ...Object.keys(measured[0]?.peaks ?? {}).filter((name) => /sandbox/.test(name)),
  ]
  const mebibytes = (bytes: number | undefined) => ((bytes ?? 0) / MEBIBYTE).toFixed(0)
  printTable([
    ['file', 'rows', 's', 'at rest', 'peak of all that work', 'with standby', ...names.map((name) => `peak ${name}`)],
    ...measured.map((one) => [
      `${one.megabytes.toFixed(0)} MB`,
      String(one.rows),
      one.seconds.toFixed(1),
      mebibytes(one.restWorking),
      mebibytes(one.peakWorking),
      mebibytes(one.peakAll),
      ...names.map((name) => mebibytes(one.peaks[name])),
    ]),
  ])
  const last = measured.at(-1)
  const former = measured.at(-2)
  const growth = last === undefined || former === undefined ? null : last.peakWorking / former.peakWorking
  const most = Math.max(...measured.map((one) => one.peakWorking)) / MEBIBYTE
  console.log(
    `Most: ${most.toFixed(0)} MiB, bar ${BAR_MIB}. Largest to the one before: ${growth?.toFixed(2)}, bar ${BAR_GROWTH}.\n`,
  )
  await keepResult(format === 'csv' ? 'memory' : `memory-${format}`, {
    date,
    machine: before,
    sampleMs: SAMPLE_MS,
    most,
    growth,
    bars: { mebibytes: BAR_MIB, growth: BAR_GROWTH },
    measured,
  })
}
