/** Reads a hostile file on the service's road and measures what it takes. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rowsOf } from '../../src/adapters/files/convert.js'
import { inspectFile } from '../../src/adapters/files/inspect.js'
import { noSourceOptions } from '../../src/adapters/files/sniff.js'
import { Refusal } from '../../src/errors.js'
import { type HostileFile, openPieces } from './files.js'

export interface Measured {
  /** The code of the refusal, or that of another error; null where the rows were read. */
  readonly code: string | null
  /** Whether it ended as it may: with rows or a refusal. */
  readonly typed: boolean
  readonly message: string
  readonly rows: number
  readonly faults: number
  readonly first: readonly string[]
  readonly seconds: number
  /** Peak of this process and of the sandbox's child. Bytes resident; null where the kernel does not tell. */
  readonly processBytes: number | null
  readonly childBytes: number | null
}

/** Looks at the file and reads all its rows. */
export async function measure(file: HostileFile): Promise<Measured> {
  const { open, byteSize } = openPieces(file.make())
  forgetPeak()
  let childBytes = 0
  const timer = setInterval(() => {
    childBytes = Math.max(childBytes, ...childrenOf(process.pid).map((pid) => peakOf(pid) ?? 0))
  }, 10)
  const started = performance.now()
  let rows = 0
  let faults = 0
  let first: readonly string[] = []
  let code: string | null = null
  let typed = true
  let message = ''
  try {
    const request = { name: file.name, byteSize, overrides: noSourceOptions }
    const detection = await inspectFile(open, request)
    for await (const group of rowsOf(open, { ...request, detection }, new AbortController().signal)) {
      first = rows === 0 ? (group[0]?.cells ?? []) : first
      rows += group.length
      faults += group.filter(({ fault }) => fault !== null).length
    }
  } catch (error) {
    typed = error instanceof Refusal
    message = error instanceof Error ? error.message : String(error)
    code = error instanceof Refusal ? error.code : 'other error'
  } finally {
    clearInterval(timer)
  }
  const seconds = (performance.now() - started) / 1000
  return { code, typed, message, rows, faults, first, seconds, processBytes: peakOf('self'), childBytes }
}

/** What it came to, in a few words. */
export function outcomeOf({ code, rows, faults }: Measured): string {
  return code ?? `${rows} ${rows === 1 ? 'row' : 'rows'}${faults > 0 ? `, ${faults} with a fault` : ''}`
}

/** How it differs from what has to become of it; null where it does not. */
export function difference({ expected }: HostileFile, found: Measured): string | null {
  if (typeof expected === 'string') {
    return found.code === expected ? null : `${expected} was expected, not ${outcomeOf(found)}: ${found.message}`
  }
  const same =
    found.code === null &&
    found.rows === expected.rows &&
    found.faults === (expected.faults ?? 0) &&
    (expected.first === undefined || JSON.stringify(found.first) === JSON.stringify(expected.first))
  return same ? null : `${JSON.stringify(expected)} was expected, not ${outcomeOf(found)} ${found.message}`
}

/** What the kernel keeps as the most that this process ever had is started anew. */
function forgetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Then the peak is that of all files so far.
  }
}

function peakOf(pid: string): number | null {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    return kilobytes === undefined ? null : Number(kilobytes) * 1024
  } catch {
    return null
  }
}

function childrenOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1')
        .split(' ')
        .filter((each) => each !== ''),
    )
  } catch {
    return []
  }
}
