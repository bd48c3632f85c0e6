/**
 * `npm run chaos`: kills, freezes and cuts everything that can be, while imports run, and compares what is left with what
 * an undisturbed run leaves. `--only NAME` (as often as wanted) for these scenarios alone, `--quick` for all of it in small,
 * `--seed N` to have a failure again, `--data-dir DIR` for where the database and `results/` go (default `.portage/chaos`).
 * Ends with 1 when anything was not as it must be.
 */
import { randomInt } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { House, Server } from './house.js'
import { carryOut, full, quick, scenarios } from './plan.js'
import type { Result } from './scenarios.js'

/** After the kill of a worker the next chunk is settled within this, in 95 of 100 cases. */
const NEXT_CHUNK_P95_MS = 2000

/** And within this in all. */
const NEXT_CHUNK_MAX_MS = 10_000

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      seed: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      'data-dir': { type: 'string', default: join('.portage', 'chaos') },
    },
  })
  const seed = values.seed === undefined ? randomInt(1, 2 ** 31) : Number(values.seed)
  const dataDir = resolve(values['data-dir'])
  const unknown = values.only.filter((name) => scenarios.every((scenario) => scenario.name !== name))
  if (unknown.length > 0) {
    console.error(
      `no scenario is called ${unknown.join(', ')}; there are ${scenarios.map(({ name }) => name).join(', ')}`,
    )
    return 2
  }
  const which = scenarios.filter(({ name }) => values.only.length === 0 || values.only.includes(name))
  console.log(`seed ${seed}`)
  const started = new Date()
  const results: Result[] = []
  const server = await Server.start(dataDir, !values.quick)
  const house = await House.open(dataDir)
  let failed = true
  try {
    for await (const result of carryOut(house, server, values.quick ? quick : full, seed, which)) {
      const judged = values.quick ? result : { ...result, faults: [...result.faults, ...tooSlow(result)] }
      results.push(judged)
      console.log(describe(judged))
    }
    failed = results.some(({ faults }) => faults.length > 0)
  } finally {
    await house.close(failed)
    await server.stop()
    const minutes = (Date.now() - started.getTime()) / 60_000
    const folder = join(dataDir, 'results')
    const path = join(folder, `${started.toISOString().replaceAll(':', '-')}.json`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(path, `${JSON.stringify({ seed, at: started, minutes, results }, null, 2)}\n`)
    console.log(`\n${results.map(line).join('\n')}\n\nseed ${seed}, ${minutes.toFixed(1)} minutes, ${path}`)
    if (failed) {
      console.log(`kept the database ${house.db.name} to look at`)
    }
  }
  return failed ? 1 : 0
}

function tooSlow({ name, figures }: Result): string[] {
  const [p95, max] = [figures['next chunk p95 ms'], figures['next chunk max ms']]
  return name.includes('[CS-1]') && ((Number(p95) || 0) > NEXT_CHUNK_P95_MS || (Number(max) || 0) > NEXT_CHUNK_MAX_MS)
    ? [`the next chunk came after ${p95} ms (p95), ${max} ms at most`]
    : []
}

function describe({ name, faults, figures }: Result): string {
  const values = Object.entries(figures).map(([what, value]) => `${what} ${value ?? '-'}`)
  return [
    `${faults.length === 0 ? 'ok  ' : 'FAIL'} ${name}: ${values.join(', ')}`,
    ...faults.map((fault) => `     ${fault}`),
  ].join('\n')
}

function line({ name, faults, figures }: Result): string {
  const figure = (what: string) => String(figures[what] ?? '').padStart(9)
  const counted = figures.kills ?? figures.freezes ?? figures.disconnects ?? ''
  const times = ['next chunk p50 ms', 'next chunk p95 ms', 'next chunk max ms'].map(figure).join(' ')
  return `${faults.length === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(56)} ${figure('rows')} rows ${String(counted).padStart(5)} times ${times} ms`
}

process.exit(await main())
