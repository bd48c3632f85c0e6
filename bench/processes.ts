/** What processes cost, as Linux counts it: CPU time of whole trees, and memory without counting shared pages twice. */
import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks of /proc in a second: USER_HZ, the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** Processes of the server that serve all sessions; whatever else it runs, works for one. */
const BACKGROUND =
  /^postgres: (checkpointer|background writer|walwriter|logical replication launcher|autovacuum launcher)/

interface Stat {
  readonly pid: number
  readonly parent: number
  /** Ticks of itself. */
  readonly own: number
  /** Ticks of its children that have ended, theirs included. */
  readonly reaped: number
}

function readStat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const [, parent = 0] = fields
    const [own = 0, system = 0, reaped = 0, reapedSystem = 0] = fields.slice(11, 15)
    return { pid, parent, own: own + system, reaped: reaped + reapedSystem }
  } catch {
    return null
  }
}

/** The process and everything below it that lives. */
function tree(root: number): Stat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? [])
  const found = all.filter(({ pid }) => pid === root)
  for (const parent of found) {
    found.push(...all.filter((stat) => stat.parent === parent.pid))
  }
  return found
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}

/** CPU seconds up to now. */
export interface Cpu {
  /** Sessions of the database, ended ones included, and the postmaster. */
  readonly backends: number
  /** Checkpointer, writers and launchers of the database. */
  readonly background: number
  /** Our own processes. */
  readonly ours: number
}

/** CPU seconds that the server below `postmaster` and our processes below `supervisor` (null: this one) have used. */
export function cpuOf(postmaster: number, supervisor: number | null): Cpu {
  let backends = 0
  let background = 0
  for (const { pid, own, reaped } of tree(postmaster)) {
    if (BACKGROUND.test(commandOf(pid))) {
      background += own
    } else {
      backends += own + reaped
    }
  }
  let ours = 0
  if (supervisor === null) {
    const { user, system } = process.cpuUsage()
    ours = ((user + system) / 1_000_000) * TICKS_PER_SECOND
  } else {
    for (const { own, reaped } of tree(supervisor)) {
      ours += own + reaped
    }
  }
  return {
    backends: backends / TICKS_PER_SECOND,
    background: background / TICKS_PER_SECOND,
    ours: ours / TICKS_PER_SECOND,
  }
}

export function cpuBetween(from: Cpu, to: Cpu): Cpu {
  return {
    backends: to.backends - from.backends,
    background: to.background - from.background,
    ours: to.ours - from.ours,
  }
}

/** Our processes below `supervisor` and what they are called, the supervisor included. */
export function processesBelow(supervisor: number): { readonly pid: number; readonly name: string }[] {
  return tree(supervisor).map(({ pid }) => ({
    pid,
    name:
      pid === supervisor
        ? 'supervisor'
        : (commandOf(pid)
            .split(' ')
            .at(-1)
            ?.replace(/^.*(?=dist\d*\/)/, '') ?? ''),
  }))
}

/** Proportional set size: its own pages, and its share of those that it has in common with others. Bytes; 0 once it is gone. */
export function pssOf(pid: number): number {
  try {
    const kibibytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]
    return Number(kibibytes ?? 0) * 1024
  } catch {
    return 0
  }
}

/** Keeps the greatest memory of each process below `supervisor`, and of all of them at one instant. */
export class MemoryWatch {
  readonly #timer: NodeJS.Timeout
  readonly #peaks = new Map<string, number>()
  readonly #samples: ReadonlyMap<string, number>[] = []

  constructor(supervisor: number, everyMs: number) {
    const sample = () => {
      const now = new Map<string, number>()
      for (const { pid, name } of processesBelow(supervisor)) {
        const bytes = pssOf(pid)
        now.set(name, bytes)
        this.#peaks.set(name, Math.max(this.#peaks.get(name) ?? 0, bytes))
      }
      this.#samples.push(now)
    }
    sample()
    this.#timer = setInterval(sample, everyMs)
  }

  /** Peaks by process. */
  get peaks(): ReadonlyMap<string, number> {
    return this.#peaks
  }

  get samples(): number {
    return this.#samples.length
  }

  /** The greatest sum at one instant over processes that `counts` lets through. */
  peakSum(counts: (name: string) => boolean): number {
    return this.#samples.reduce((peak, sample) => {
      let sum = 0
      for (const [name, bytes] of sample) {
        sum += counts(name) ? bytes : 0
      }
      return Math.max(peak, sum)
    }, 0)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
