/** Somebody uploads every hostile file there is, one after the other and four at once, while a neighbour asks for what people ask for. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { hostileFiles } from '../hostile/files.js'
import { Front } from './front.js'
import type { House } from './house.js'
import { quantile } from './kills.js'
import type { Result } from './scenarios.js'

/** A file that is not answered for within this holds somebody up. Seconds. */
const SECONDS_MAX = 10

/** Between two questions of the neighbour. Milliseconds. */
const PACE_MS = 5

interface Told {
  readonly title: string
  readonly status: number
  readonly code: string
  readonly seconds: number
}

export async function hostile(
  house: House,
  { ratio, quietSeconds }: { readonly ratio: number; readonly quietSeconds: number },
): Promise<Result> {
  const front = await Front.open(house)
  const faults: string[] = []
  try {
    const neighbour = await front.token(await house.tenant('neighbour'))
    const attacker = await front.token(await house.tenant('attacker'))
    const ask = async (until: () => boolean): Promise<number[]> => {
      const times: number[] = []
      while (!until()) {
        const started = performance.now()
        await front.once(neighbour, '{ viewer { actor } runs(first: 5) { nodes { id status } } }', {})
        times.push(performance.now() - started)
        await pause(PACE_MS)
      }
      return times
    }
    const quiet = () => {
      const end = performance.now() + quietSeconds * 1000
      return ask(() => performance.now() > end)
    }
    const attacked = async (atOnce: number): Promise<{ readonly times: number[]; readonly told: readonly Told[] }> => {
      const child = fork(new URL('../helpers/hostile-uploader.js', import.meta.url), [
        front.url,
        attacker,
        String(atOnce),
      ])
      const told: Told[] = []
      child.on('message', (message: Told) => told.push(message))
      let over = false
      const ended = once(child, 'exit').then(() => {
        over = true
      })
      const times = await ask(() => over)
      await ended
      return { times, told }
    }
    await ask(
      (
        (left) => () =>
          left-- <= 0
      )(200),
    )
    const before = await quiet()
    const one = await attacked(1)
    const between = await quiet()
    const four = await attacked(4)
    const after = await quiet()
    const base = quantile([...before, ...between, ...after], 0.95) ?? 0
    const p95 = { one: quantile(one.times, 0.95) ?? 0, four: quantile(four.times, 0.95) ?? 0 }
    for (const { told } of [one, four]) {
      if (told.length !== hostileFiles.length) {
        faults.push(`${told.length} of ${hostileFiles.length} files were answered for`)
      }
      faults.push(
        ...told
          .filter(({ status, seconds }) => seconds > SECONDS_MAX || (status >= 500 && status !== 503))
          .map(({ title, status, seconds }) => `${title}: ${status} after ${seconds.toFixed(1)} s`),
      )
    }
    for (const [how, value] of Object.entries(p95)) {
      if (value > ratio * base) {
        faults.push(`a neighbour waited ${value.toFixed(1)} ms (p95, ${how} at a time) instead of ${base.toFixed(1)}`)
      }
    }
    return {
      name: 'hostile files beside a neighbour [UP-1]',
      faults,
      figures: {
        files: hostileFiles.length,
        'slowest s': Math.max(...[...one.told, ...four.told].map(({ seconds }) => seconds)).toFixed(1),
        'quiet p95 ms': base.toFixed(1),
        'one at a time p95 ms': p95.one.toFixed(1),
        'four at once p95 ms': p95.four.toFixed(1),
      },
    }
  } finally {
    await front.close()
  }
}
