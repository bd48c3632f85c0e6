/** Clocks that are wrong: nobody loses a run for it, events keep their order, and tokens end when they end. */
import { setTimeout as pause } from 'node:timers/promises'
import { skewArguments } from '../helpers/skew.js'
import { Front } from './front.js'
import type { House } from './house.js'
import { faultsOf, prepare, type Reference, type Result } from './scenarios.js'

const HOUR = 3_600_000

/** A process knows how wrong its clock is after this at the latest. */
const KNOWN_MS = 60_000

export async function wrongClocks(house: House, reference: Reference): Promise<Result> {
  const wrong: string[] = []
  const figures: Record<string, number> = { rows: reference.rows }
  for (const shift of [HOUR, -HOUR]) {
    const name = `${shift > 0 ? '+' : '-'}1 h`
    await house.hire()
    const tenantId = await prepare(house, `clock ${name}`, reference.base)
    await house.hire({ PORTAGE_CHUNK_ROWS: '1000' }, skewArguments(shift))
    const front = await Front.open(house, { options: skewArguments(-shift) })
    try {
      const runId = await house.startImport(tenantId, reference.type, reference.file)
      await house.ended(tenantId, runId)
      const found = await faultsOf(house, reference, { tenantId, runId })
      const holders = new Set((await house.settlements([runId])).map(({ holder }) => holder))
      if (holders.size !== 1) {
        found.push(`${holders.size} workers had the run, and none of them died`)
      }
      const { disorder } = await house.one<{ disorder: number }>(
        `select count(*)::int as disorder from (select at, max(at) over (order by sequence) as latest from event where tenant_id = $1) e
         where at < latest - interval '1 second'`,
        [tenantId],
      )
      if (disorder > 0) {
        found.push(`${disorder} events are older than some before them`)
      }
      const known = await knownAfter(front, await front.token(tenantId, 60), await front.token(tenantId, -60))
      figures[`known after ms, ${name}`] = known
      if (known > KNOWN_MS) {
        found.push('a token that has ended is taken, or a good one is not')
      }
      wrong.push(...found.map((fault) => `${name}: ${fault}`))
    } finally {
      await front.close()
      await house.dismiss()
    }
  }
  return { name: 'clocks that are wrong by an hour [CS-9]', faults: wrong, figures }
}

/** Milliseconds until a token with a minute left is taken and one that ended a minute ago is not. */
async function knownAfter(front: Front, good: string, ended: string): Promise<number> {
  const asked = async (token: string) =>
    front.once(token, '{ viewer { actor } }', {}).then(
      () => true,
      () => false,
    )
  for (const started = performance.now(); ; await pause(50)) {
    const passed = performance.now() - started
    if (((await asked(good)) && !(await asked(ended))) || passed > KNOWN_MS) {
      return Math.round(passed)
    }
  }
}
