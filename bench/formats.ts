/** Every format against the library that people would take and against what the machine can do at all. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fileFormats, type TableFile, type TableFormat, tableFile, XLS_ROWS_MAX } from './format-files.js'
import { processesBelow, pssOf } from './processes.js'
import { keepResult, machine, printTable, type Spread, showSpread, spread } from './report.js'
import { FOLDER } from './server.js'

/** How often memory is looked at. Milliseconds. */
const SAMPLE_MS = 25

const MEBIBYTE = 1024 ** 2

/** Ways to read each format: first ours, then what others have, last what is the least that anybody has to do. */
const ways: Readonly<Record<TableFormat, readonly string[]>> = {
  csv: ['portage', 'csv-parse', 'read and decode'],
  'csv.gz': ['portage', 'portage without sandbox', 'gunzip and csv-parse', 'inflate only'],
  xlsx: ['portage', 'portage without sandbox', 'exceljs stream', 'SheetJS', 'inflate only'],
  xls: ['portage', 'portage without sandbox', 'SheetJS', 'read only'],
  xlsb: ['portage', 'portage without sandbox', 'SheetJS', 'inflate only'],
  ods: ['portage', 'portage without sandbox', 'SheetJS', 'inflate only'],
  json: ['portage', 'portage without sandbox', 'stream-json', 'JSON.parse of all', 'read and decode'],
  ndjson: ['portage', 'readline and JSON.parse', 'read and decode'],
}

/** Workbooks that are read whole, or are by those who compare: of the size that XLS can have. */
const held: ReadonlySet<TableFormat> = new Set(['xls', 'xlsb', 'ods'])

interface Measured {
  readonly rows: number
  readonly cells: number
  readonly ms: number
  /** Of the process and those that it started, all at one instant. Bytes of PSS. */
  readonly peakBytes: number
}

export interface FormatsOptions {
  readonly rows: number
  readonly rounds: number
  readonly only: readonly string[]
}

/** Reads the same table in every format and way, in turns. */
export async function benchFormats({ rows, rounds, only }: FormatsOptions): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  const lines: string[][] = [['format', 'read by', 'rows', 's', 'krows/s', 'peak MiB', 'times the first']]
  const kept: object[] = []
  for (const format of fileFormats.filter((each) => only.length === 0 || only.includes(each))) {
    const file = await tableFile(FOLDER, format, held.has(format) ? Math.min(rows, XLS_ROWS_MAX) : rows)
    const measured = new Map<string, Measured[]>(ways[format].map((way) => [way, []]))
    for (let round = 0; round < rounds; round++) {
      for (const way of ways[format]) {
        measured.get(way)?.push(await measure(way, file))
      }
    }
    const first = spread((measured.get(ways[format][0] ?? '') ?? []).map(({ ms }) => ms))
    for (const [way, runs] of measured) {
      const ms: Spread = spread(runs.map((run) => run.ms))
      const peak = spread(runs.map((run) => run.peakBytes))
      lines.push([
        format,
        way,
        String(file.rows),
        showSpread({ ...ms, median: ms.median / 1000, least: ms.least / 1000, greatest: ms.greatest / 1000 }, 2),
        (file.rows / ms.median).toFixed(0),
        (peak.greatest / MEBIBYTE).toFixed(0),
        (ms.median / first.median).toFixed(2),
      ])
      kept.push({ format, way, rows: file.rows, byteSize: file.byteSize, ms, peakBytes: peak })
    }
    console.log(`  ${format}: done`)
  }
  console.log(`\n${date}; ${JSON.stringify(before)}`)
  console.log(`${rounds} rounds in turns, a new process each time; medians (range); memory with the sandbox\n`)
  printTable(lines)
  await keepResult('formats', { date, machine: before, rounds, measured: kept })
}

async function measure(way: string, file: TableFile): Promise<Measured> {
  const child = fork(fileURLToPath(new URL('./format-readers.js', import.meta.url)), [way, file.path], {
    execArgv: ['--enable-source-maps', '--max-old-space-size=8192'],
  })
  let peakBytes = 0
  const look = setInterval(() => {
    const { pid } = child
    if (pid !== undefined) {
      const pids = processesBelow(pid).map((below) => below.pid)
      peakBytes = Math.max(
        peakBytes,
        pids.reduce((sum, each) => sum + pssOf(each), 0),
      )
    }
  }, SAMPLE_MS)
  let answer: Measured | null = null
  child.on('message', (message: Measured) => {
    answer = message
  })
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
  clearInterval(look)
  const found = answer as Measured | null
  if (code !== 0 || found === null) {
    throw new Error(`${way} could not read ${file.path}`)
  }
  if (found.rows !== 0 && Math.abs(found.rows - file.rows) > 1) {
    throw new Error(`${way} saw ${found.rows} rows of ${file.rows}`)
  }
  return { ...found, peakBytes }
}
