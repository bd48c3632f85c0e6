/** Damages valid files by seed and has them read in processes of their own; counts what becomes of each. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { SANDBOX_HEAP_MIB } from '../../src/limits.js'
import { Random } from '../helpers/random.js'
import { mutated } from './mutate.js'
import { type FuzzFormat, fuzzFormats, samplesOf } from './samples.js'

export interface FuzzCase {
  readonly seed: number
  readonly format: FuzzFormat
}

/** What became of one damaged file. `crash` is null where it was read or refused. */
export interface FuzzAnswer {
  readonly seed: number
  readonly name: string
  /** `rows`, `no rows`, the code of a refusal, `crash`, `hang` or `prototype changed`. */
  readonly outcome: string
  readonly crash: string | null
}

export interface FuzzOptions {
  readonly count: number
  readonly seed: number
  /** Null for all. */
  readonly format: FuzzFormat | null
  readonly children?: number
}

export interface FuzzResult {
  /** Cases of each outcome, by format. */
  readonly outcomes: ReadonlyMap<FuzzFormat, ReadonlyMap<string, number>>
  readonly failures: readonly (FuzzAnswer & { readonly format: FuzzFormat })[]
  /** The longest case. Milliseconds. */
  readonly slowest: { readonly seed: number; readonly ms: number }
}

/** Longer is a hang. Milliseconds. */
const HANG_MS = 10_000
const BATCH = 50

/** The format of a case goes by its seed alone, so that the seed brings it back. */
export function caseOf(seed: number): FuzzCase {
  return { seed, format: fuzzFormats[seed % fuzzFormats.length] ?? 'csv' }
}

/** The damaged file of a case. */
export function fileOf({ seed, format }: FuzzCase): { readonly name: string; readonly bytes: Buffer } {
  return mutated(new Random(seed), samplesOf(format))
}

function* casesOf({ count, seed, format }: FuzzOptions): Generator<FuzzCase> {
  for (let made = 0, at = seed * 1_000_000; made < count; at += 1) {
    const each = caseOf(at)
    if (format === null || each.format === format) {
      made += 1
      yield each
    }
  }
}

/** Reads `count` damaged files. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  return fuzzCases(casesOf(options), options.children ?? 1)
}

/** Reads the damaged files of the cases given. */
export async function fuzzCases(cases: Iterable<FuzzCase>, children: number): Promise<FuzzResult> {
  const outcomes = new Map<FuzzFormat, Map<string, number>>()
  const failures: (FuzzAnswer & { format: FuzzFormat })[] = []
  const slowest = { seed: 0, ms: 0 }
  const left = cases[Symbol.iterator]()
  const tell = (format: FuzzFormat, answer: FuzzAnswer, ms: number): void => {
    const counts = outcomes.get(format) ?? new Map<string, number>()
    outcomes.set(format, counts.set(answer.outcome, (counts.get(answer.outcome) ?? 0) + 1))
    if (answer.crash !== null) {
      failures.push({ ...answer, format })
    }
    if (ms > slowest.ms) {
      slowest.seed = answer.seed
      slowest.ms = ms
    }
  }
  await Promise.all(Array.from({ length: children }, () => drive(left, tell)))
  return { outcomes, failures, slowest }
}

type Tell = (format: FuzzFormat, answer: FuzzAnswer, ms: number) => void

/** Gives batches to one child, and to the next one where it ends or hangs. */
async function drive(left: Iterator<FuzzCase>, tell: Tell): Promise<void> {
  let rest: FuzzCase[] = []
  let child: ChildProcess | null = null
  try {
    for (;;) {
      while (rest.length < BATCH) {
        const step = left.next()
        if (step.done === true) {
          break
        }
        rest.push(step.value)
      }
      if (rest.length === 0) {
        return
      }
      child ??= start()
      const { answered, ended } = await batch(child, rest, tell)
      rest = rest.slice(answered)
      if (ended) {
        child = null
      }
    }
  } finally {
    child?.kill('SIGKILL')
  }
}

function start(): ChildProcess {
  const child = fork(join(import.meta.dirname, 'fuzz-child.js'), [], {
    execArgv: ['--enable-source-maps', '--unhandled-rejections=strict', `--max-old-space-size=${SANDBOX_HEAP_MIB}`],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  return child
}

function batch(
  child: ChildProcess,
  cases: readonly FuzzCase[],
  tell: Tell,
): Promise<{ readonly answered: number; readonly ended: boolean }> {
  return new Promise((resolve) => {
    let answered = 0
    let began = performance.now()
    let complaint = ''
    let hangs = false
    const onMessage = (message: FuzzAnswer | { readonly begins: number } | { readonly done: true }): void => {
      if ('begins' in message) {
        began = performance.now()
      } else if ('done' in message) {
        finish(false)
      } else {
        tell(cases[answered]?.format ?? 'csv', message, performance.now() - began)
        answered += 1
      }
    }
    const onError = (text: Buffer): void => {
      complaint = (complaint + text.toString()).slice(-4_000)
    }
    const onExit = (code: number | null, signal: string | null): void => {
      const each = cases[answered]
      if (each !== undefined) {
        const outcome = hangs ? 'hang' : 'crash'
        const crash = hangs ? `longer than ${HANG_MS} ms` : `the process ended, ${code ?? signal}: ${complaint}`
        tell(each.format, { seed: each.seed, name: '', outcome, crash }, performance.now() - began)
        answered += 1
      }
      finish(true)
    }
    const timer = setInterval(() => {
      if (performance.now() - began > HANG_MS) {
        hangs = true
        child.kill('SIGKILL')
      }
    }, 200)
    const finish = (ended: boolean): void => {
      clearInterval(timer)
      child.off('message', onMessage).off('exit', onExit)
      child.stderr?.off('data', onError)
      resolve({ answered, ended })
    }
    child.on('message', onMessage).on('exit', onExit)
    child.stderr?.on('data', onError)
    child.send(cases as FuzzCase[])
  })
}
