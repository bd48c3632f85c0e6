/** Migrations from simulated CRMs under trouble, at full number: faults of the service, kills, large deltas, and every lie. */
import { freshDatabase } from '../helpers/database.js'
import { believed, faulty, killed, synced, type Undisturbed, undisturbed } from '../helpers/hard-moves.js'
import { type SimulatedVendor, vendors } from '../helpers/move.js'
import type { Result } from './scenarios.js'

export interface MovesPlan {
  /** Migrations of each CRM, each with its own random faults. */
  readonly seeds: number
  /** Workers that lose everything at random moments, for each CRM in all. */
  readonly kills: number
  /** Of the account whose changes are read, with how many edits and deletions. */
  readonly delta: { readonly records: number; readonly edits: number; readonly deletes: number }
}

/** Kills in one migration: with more, one that is small does little else. */
const KILLS_AT_ONCE = 10

export async function hardMoves(plan: MovesPlan, seed: number): Promise<Result> {
  const db = await freshDatabase()
  const wrong: string[] = []
  const figures: Record<string, number> = {}
  const add = (name: string, value: number): void => {
    figures[name] = (figures[name] ?? 0) + value
  }
  /** What went wrong is kept with what it takes to have it again; the others go on. */
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    await work().catch((error: unknown) =>
      wrong.push(`${what}: ${error instanceof Error ? error.message : String(error)}`),
    )
  }
  try {
    for (const vendor of vendors) {
      const { system } = vendor
      const expected = await undisturbed(db, vendor)
      for (let index = 0; index < plan.seeds; index++) {
        await attempt(`${system}, faults, seed ${seed + index}`, async () => {
          const { faults, pauses } = await faulty(db, vendor, seed + index, expected)
          add('faults', faults)
          add('pauses', pauses)
        })
      }
      for (let left = plan.kills; left > 0; left -= KILLS_AT_ONCE) {
        await attempt(`${system}, kills, seed ${seed + left}`, async () => {
          add('kills', await killed(db, vendor, seed + left, Math.min(left, KILLS_AT_ONCE), expected))
        })
      }
      await attempt(`${system}, changes`, async () => {
        await synced(db, vendor, plan.delta)
        add('edits', plan.delta.edits)
        add('deletions', plan.delta.deletes)
      })
      await lying(vendor, expected)
    }
  } finally {
    await db.drop()
  }
  return { name: 'migrations under trouble', faults: wrong, figures }

  async function lying(vendor: SimulatedVendor, expected: Undisturbed): Promise<void> {
    const simulator = await vendor.start({})
    const { lies } = simulator
    await simulator.close()
    for (const lie of lies) {
      // Whoever answers wrongly when asked for associations leaves nothing to compare with (README, Limits).
      if (vendor.system === 'hubspot' && (lie === 'LOST_RELATION' || lie === 'WRONG_RELATION')) {
        continue
      }
      await attempt(`${vendor.system}, the lie ${lie}`, async () => {
        if (await believed(db, vendor, lie, expected)) {
          throw new Error('was believed')
        }
        add('lies', 1)
      })
    }
  }
}
