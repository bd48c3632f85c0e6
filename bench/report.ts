/** Numbers for people and for the record: medians with their ranges, tables on the terminal, results as JSON. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'

/** Where results are kept: beside the sources, also when they run compiled. */
const RESULTS = join(import.meta.dirname.replace(/([\\/])dist([\\/]bench)$/, '$2'), 'results')

/** Middle, least and greatest of some measurements. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly greatest: number
  readonly n: number
}

/** Throws for no values. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const median = ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
  if (Number.isNaN(median)) {
    throw new Error('nothing was measured')
  }
  return { median, least: sorted[0] ?? median, greatest: sorted.at(-1) ?? median, n: sorted.length }
}

/** The value below which a fraction of the sorted values lies. */
export function quantile(sorted: readonly number[], fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN
}

export function showSpread({ median, least, greatest, n }: Spread, decimals: number): string {
  return n === 1
    ? median.toFixed(decimals)
    : `${median.toFixed(decimals)} (${least.toFixed(decimals)}-${greatest.toFixed(decimals)})`
}

/** Prints rows in columns; the first row is the head. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  for (const [number, row] of rows.entries()) {
    console.log(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    if (number === 0) {
      console.log(widths.map((width) => '-'.repeat(width)).join('  '))
    }
  }
  console.log('')
}

/** The machine, as far as it matters for numbers. */
export async function machine(): Promise<Record<string, string | number>> {
  const load = await readFile('/proc/loadavg', 'utf8').catch(() => '')
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.versions.node,
    loadBefore: load.split(' ').slice(0, 3).join(' '),
  }
}

/** Writes `bench/results/<name>.json` and says so. */
export async function keepResult(name: string, result: object): Promise<void> {
  await mkdir(RESULTS, { recursive: true })
  const path = join(RESULTS, `${name}.json`)
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`)
  console.log(`kept as bench/results/${name}.json`)
}
