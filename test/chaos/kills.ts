/** Killing whoever works, again and again, at random moments of a run. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Random } from '../helpers/random.js'
import type { House, Server } from './house.js'

export interface Target {
  readonly tenantId: string
  readonly runId: string
  /** Moments are chosen among the first so many rows. */
  readonly rows: number
}

/** Kills without progress in a row: one less than attempts would be used up by, which is a fault of the input, not ours. */
const KILLS_IN_A_ROW = 6

/** A kill comes this long after its row was settled, at most: anywhere within a chunk or two. Milliseconds. */
const AFTER_PROGRESS_MS = 60

/** Or, without waiting for a row, this long after somebody took over, at most. Milliseconds. */
const AFTER_TAKEOVER_MS = 300

export interface Kill {
  readonly at: number
  /** Rows settled when it was decided. */
  readonly settled: number
  /** Whether the standby was ready to take over. */
  readonly standby: boolean
}

/**
 * Kills the working process `count` times, spread over the rows of the targets by chance; where two moments fall together,
 * the next one is killed before it has written anything. Answers when all kills are done or the runs have ended.
 */
export async function killWorkers(
  house: House,
  targets: readonly Target[],
  count: number,
  random: Random,
): Promise<Kill[]> {
  const total = targets.reduce((sum, target) => sum + target.rows, 0)
  const moments = Array.from({ length: count }, () => random.below(Math.floor(total * 0.95))).toSorted((a, b) => a - b)
  const kills: Kill[] = []
  let before = -1
  let inARow = 0
  for (const moment of moments) {
    const needed = inARow >= KILLS_IN_A_ROW ? Math.max(moment, before + 1) : moment
    const now = await settledAtLeast(house, targets, needed)
    if (now === null) {
      break
    }
    inARow = now > before ? 0 : inARow + 1
    const active = await house.crew.active()
    await pause(random.below(now > before ? AFTER_PROGRESS_MS : AFTER_TAKEOVER_MS))
    if (active.ended) {
      continue
    }
    const standby = house.crew.standbyReady
    kills.push({ at: house.crew.kill(active), settled: now, standby })
    before = now
    await active.exited
  }
  return kills
}

/** Kills the database `count` times in the same way. */
export async function crashServer(
  house: House,
  server: Server,
  targets: readonly Target[],
  count: number,
  random: Random,
): Promise<{ readonly killedAt: number; readonly backAt: number }[]> {
  const total = targets.reduce((sum, target) => sum + target.rows, 0)
  const moments = Array.from({ length: count }, () => random.below(Math.floor(total * 0.95))).toSorted((a, b) => a - b)
  const crashes: { killedAt: number; backAt: number }[] = []
  let before = -1
  for (const moment of moments) {
    // At least one row in between: attempts without progress are counted.
    const now = await settledAtLeast(house, targets, Math.max(moment, before + 1))
    if (now === null) {
      break
    }
    await pause(random.below(AFTER_PROGRESS_MS))
    crashes.push(await server.crash())
    before = now
  }
  return crashes
}

/** Rows settled in all targets, once they are so many; null when all runs have ended before. */
export async function settledAtLeast(house: House, targets: readonly Target[], rows: number): Promise<number | null> {
  return house
    .until(`${rows} rows are settled`, async () => {
      const states = await Promise.all(targets.map(({ tenantId, runId }) => house.state(tenantId, runId)))
      const settled = states.reduce((sum, state) => sum + state.settled, 0)
      return states.every((state) => state.ended) ? { settled: null } : settled >= rows ? { settled } : null
    })
    .then(({ settled }) => settled)
}

/**
 * Milliseconds from each disturbance to the next settled chunk of somebody else; of disturbances that followed each other
 * without a chunk in between, only the last one counts.
 */
export async function recoveries(
  house: House,
  runs: readonly string[],
  disturbances: readonly number[],
): Promise<number[]> {
  const settlements = await house.settlements(runs)
  const times: number[] = []
  for (const [i, at] of disturbances.entries()) {
    // What was on its way when the worker died may still be committed: only a successor's chunk shows that it goes on.
    const holder = settlements.findLast((settlement) => settlement.at <= at)?.holder
    const next = settlements.find((settlement) => settlement.at > at && settlement.holder !== holder)
    if (next !== undefined && next.at < (disturbances[i + 1] ?? Infinity)) {
      times.push(next.at - at)
    }
  }
  return times
}

/** The value below which the given part of the values lies; null of none. */
export function quantile(values: readonly number[], part: number): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] ?? null
}
