/**
 * Loaded into processes of a test with `--import` (see `failpointSettings`): breaks what they do at the moments that
 * `src/failpoints.ts` names. What is to happen stands in the address of this module, or comes as a message of the parent.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import { type Failpoint, type FailpointSubject, plantFailpoints } from '../../src/failpoints.js'

/** `drop`: the connection that is in use; where there is none, the error that its loss would be. `loop` and `allocate` are for rows. */
export type FailpointAction = 'throw' | 'kill' | 'delay' | 'drop' | 'loop' | 'allocate'

/** `name:action:n`: what happens the n-th time, or, of `read.row`, whenever row n is read. */
export interface Arm {
  readonly name: Failpoint
  readonly action: FailpointAction
  readonly n: number
}

/** Longer than a lease lasts. */
const DELAY_MS = 5500

/** As long as `PORTAGE_FAILPOINTS`-like text: `name:action:n,name:action:n`. */
export function armsText(arms: readonly Arm[]): string {
  return arms.map(({ name, action, n }) => `${name}:${action}:${n}`).join(',')
}

function armsOf(text: string): Arm[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [name, action, n] = part.split(':')
      return { name: name as Failpoint, action: action as FailpointAction, n: Number(n) }
    })
}

/** What Node is to be started with so that this module is in the process. `log`: a file that every hit is noted in. */
export function failpointArguments(log: string, arms: readonly Arm[] = []): string[] {
  const url = new URL(import.meta.url)
  url.search = new URLSearchParams({ log, arms: armsText(arms) }).toString()
  return ['--import', url.href]
}

const parameters = new URL(import.meta.url).searchParams
const log = parameters.get('log')

if (log !== null) {
  let arms = armsOf(parameters.get('arms') ?? '')
  let seen = new Map<Failpoint, number>()
  if (isMainThread) {
    process.on('message', (message: { readonly type?: string; readonly arms?: string }) => {
      if (message.type === 'failpoints') {
        arms = armsOf(message.arms ?? '')
        seen = new Map()
      }
    })
  }
  try {
    plantFailpoints((name, subject) => {
      const count = (seen.get(name) ?? 0) + 1
      seen.set(name, count)
      const arm = arms.find((one) => one.name === name && one.n === (typeof subject === 'number' ? subject : count))
      if (arm === undefined) {
        return undefined
      }
      appendFileSync(log, `${name}:${arm.action}:${arm.n}\n`)
      return carryOut(arm, subject)
    })
  } catch (error) {
    appendFileSync(log, `sealed: ${String(error)}\n`)
  }
}

function carryOut({ name, action }: Arm, subject: FailpointSubject): Promise<void> | undefined {
  switch (action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      return undefined
    case 'delay':
      return pause(DELAY_MS)
    case 'drop': {
      if (subject !== null && typeof subject !== 'number') {
        return Promise.resolve(subject.destroy()).then(() => undefined)
      }
      throw Object.assign(new Error(`the connection was reset at ${name}`), { code: 'ECONNRESET' })
    }
    case 'loop':
      for (;;) {
        // As a parser does that has lost its way.
      }
    case 'allocate': {
      const hoard: number[][] = []
      for (;;) {
        hoard.push(Array.from({ length: 100_000 }, (_, i) => i + 0.5))
      }
    }
    case 'throw':
      throw new Error(`broken at ${name}`)
    default:
      return action satisfies never
  }
}
