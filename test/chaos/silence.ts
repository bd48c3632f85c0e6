/** A network that goes silent or slow between a worker and its database, without a connection being closed. */
import { setTimeout as pause } from 'node:timers/promises'
import { Crew } from '../helpers/processes.js'
import { StallingProxy } from '../helpers/stalling-proxy.js'
import type { House } from './house.js'
import { quantile, settledAtLeast } from './kills.js'
import { faultsOf, prepare, type Reference, type Result } from './scenarios.js'

/** Somebody else goes on within this; a transaction whose client is silent is ended by then, too. */
const REPLACED_MS = 15_000

/** A chunk has some dozens of messages, each of which takes so long each way. */
const DELAY_MS = 20

/** Silences the worker that has the run, `count` times, while another one with a good connection stands by. */
export async function silentNetwork(house: House, reference: Reference, count: number): Promise<Result> {
  await house.hire()
  const tenantId = await prepare(house, 'silence', reference.base)
  await house.dismiss()
  const wrong: string[] = []
  const replaced: number[] = []
  let runId = ''
  const settings = (url: string) => ({
    DATABASE_URL: url,
    PORTAGE_DATA_DIR: house.dataDir,
    PORTAGE_CHUNK_ROWS: '250',
  })
  for (let i = 0; i < count; i++) {
    const proxy = await StallingProxy.start(house.db.workerUrl)
    const far = new Crew(1, settings(proxy.through(house.db.workerUrl)))
    const first = await far.active()
    const near = new Crew(1, settings(house.db.workerUrl))
    await Promise.all(near.members.map(({ ready }) => ready))
    try {
      runId = runId === '' ? await house.startImport(tenantId, reference.type, reference.file) : runId
      proxy.delayMs = DELAY_MS
      const target = [{ tenantId, runId, rows: reference.rows }]
      if ((await settledAtLeast(house, target, Math.floor((reference.rows * (i + 0.3)) / (count + 1)))) === null) {
        wrong.push(`the run ended after ${i} of ${count} silences`)
        break
      }
      const { holder } = await house.state(tenantId, runId)
      proxy.silence()
      far.expect(first)
      const at = Date.now()
      const successor = await house.until('somebody with a good connection goes on', async () => {
        const settlements = await house.settlements([runId])
        return settlements.find((settlement) => settlement.at > at && settlement.holder !== holder) ?? null
      })
      replaced.push(successor.at - at)
      proxy.delayMs = 0
      proxy.heal()
      // It hears now that its connections are gone, and ends.
      await Promise.race([first.exited, pause(20_000, undefined, { ref: false })])
      if (!first.ended) {
        wrong.push('a worker that was replaced while it could hear nothing lives on')
        far.kill(first)
      }
      const late = (await house.settlements([runId])).filter(
        (settlement) => settlement.at > successor.at && settlement.holder === holder,
      )
      if (late.length > 0) {
        wrong.push(`${late.length} chunks were committed by a worker that had been replaced`)
      }
    } finally {
      await far.stop()
      await near.stop()
      await proxy.close()
    }
  }
  await house.hire()
  if (runId !== '') {
    await house.ended(tenantId, runId)
    wrong.push(...(await faultsOf(house, reference, { tenantId, runId })))
  }
  await house.dismiss()
  const slowest = quantile(replaced, 1) ?? 0
  if (slowest > REPLACED_MS) {
    wrong.push(`a worker that heard nothing was replaced after ${Math.round(slowest)} ms`)
  }
  return {
    name: 'a network that is slow, then silent',
    faults: wrong,
    figures: {
      rows: reference.rows,
      silences: replaced.length,
      'replaced p50 ms': Math.round(quantile(replaced, 0.5) ?? 0),
      'replaced max ms': Math.round(slowest),
    },
  }
}
