/** Migrations under trouble: faults of the service, workers that are killed, services that lie. Each case can be had again by its seed. */
import assert from 'node:assert/strict'
import { randomFaults } from '../simulators/common/faults.js'
import type { LieName } from '../simulators/common/types.js'
import type { TestDatabase } from './database.js'
import { Move, type SimulatedVendor } from './move.js'
import { Random } from './random.js'

/** Records of a small account. */
const RECORDS = 30

/** Pauses that a person ends at most, one after the other. */
const RESUMES = 20

/** What an undisturbed migration of the account leaves. */
export async function undisturbed(db: TestDatabase, vendor: SimulatedVendor): Promise<unknown[]> {
  const move = await Move.start(db, vendor, { records: RECORDS })
  try {
    await move.proven(await move.whole())
    return await move.records()
  } finally {
    await move.close()
  }
}

/** Goes on as long as pauses say what to do; answers how many there were. */
async function resumed(move: Move): Promise<number> {
  for (let pauses = 0; pauses < RESUMES; pauses++) {
    const run = await move.run()
    if (run.status !== 'PAUSED') {
      return pauses
    }
    assert.ok((run.statusReason?.message.length ?? 0) > 20, 'a pause says what to do')
    await move.resume()
  }
  throw new Error(`paused again and again: ${JSON.stringify((await move.run()).statusReason)}`)
}

/**
 * Random faults of the service from the first request to the proof: in the end the same records are here as without. Answers
 * how many faults happened and how many pauses a person had to end.
 */
export async function faulty(
  db: TestDatabase,
  vendor: SimulatedVendor,
  seed: number,
  expected: readonly unknown[],
): Promise<{ readonly faults: number; readonly pauses: number }> {
  const move = await Move.start(db, vendor, { records: RECORDS })
  try {
    const faults = randomFaults(seed, 200)
    move.simulator.script(faults)
    await move.create()
    let pauses = await resumed(move)
    for (const goal of ['STAGE', 'PROMOTE'] as const) {
      await move.ask(goal)
      pauses += await resumed(move)
    }
    await move.proven(await move.run())
    assert.deepEqual(await move.records(), expected)
    return { faults: faults.length - move.simulator.pending.length, pauses }
  } finally {
    await move.close()
  }
}

/**
 * A worker that loses all its connections at random moments, `kills` times between staging and proof: the same records are
 * here in the end, and no page was asked for more than twice.
 */
export async function killed(
  db: TestDatabase,
  vendor: SimulatedVendor,
  seed: number,
  kills: number,
  expected: readonly unknown[],
): Promise<{ readonly kills: number; readonly mostAsked: { readonly page: string; readonly times: number } }> {
  const random = new Random(seed)
  const move = await Move.start(db, vendor, { records: RECORDS })
  try {
    await move.create()
    const from = move.simulator.requests.length
    let hits = await move.killing('STAGE', Math.ceil(kills / 2), random)
    const to = move.simulator.requests.length
    hits += await move.killing('PROMOTE', kills - hits, random)
    await move.proven(await move.run())
    assert.deepEqual(await move.records(), expected)
    const asked = new Map<string, number>()
    for (const { path, query, rows } of move.simulator.requests.slice(from, to)) {
      if (rows > 0) {
        const page = `${path}?${new URLSearchParams(query).toString()}`
        asked.set(page, (asked.get(page) ?? 0) + 1)
      }
    }
    const [page = '', times = 0] = [...asked].toSorted(([, a], [, b]) => b - a)[0] ?? []
    return { kills: hits, mostAsked: { page, times } }
  } finally {
    await move.close()
  }
}

/** A service that lies from the first page to the proof. Whether the migration was told to be proven although records are wrong. */
export async function believed(
  db: TestDatabase,
  vendor: SimulatedVendor,
  lie: LieName,
  expected: readonly unknown[],
): Promise<boolean> {
  const move = await Move.start(db, vendor, { records: RECORDS })
  try {
    await move.create()
    move.simulator.lie(lie)
    const staged = await move.ask('STAGE')
    if (staged.stage !== 'AWAITING_REVIEW') {
      return false
    }
    const promoted = await move.ask('PROMOTE')
    if (promoted.status !== 'COMPLETED' || promoted.verification?.passed !== true) {
      return false
    }
    return JSON.stringify(await move.records()) !== JSON.stringify(expected)
  } finally {
    move.simulator.lie(null)
    await move.close()
  }
}
