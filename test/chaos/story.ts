/** Scenarios in small, as tests: those of a group happen to one server and one database. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { House, Server } from './house.js'
import { carryOut, quick, type Scenario, scenarios } from './plan.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 20_261_122)

/** Carries the scenarios of the group out, each as a test within `t`. */
export async function carryOutGroup(t: TestContext, group: NonNullable<Scenario['always']>): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), `portage-${group}-`))
  // The server of a test that root runs has a user of its own, who must be able to pass.
  chmodSync(dataDir, 0o711)
  const server = await Server.start(dataDir, false)
  const house = await House.open(dataDir)
  const which = scenarios.filter(({ always }) => always === group)
  try {
    for await (const { name, faults, figures } of carryOut(house, server, quick, seed, which)) {
      await t.test(name, () => assert.deepEqual(faults, [], `seed ${seed}, ${JSON.stringify(figures)}`))
    }
  } finally {
    await house.close()
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}
