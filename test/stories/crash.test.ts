/**
 * The chaos run in small: a worker is killed and frozen, PostgreSQL is killed, subscribers lose their sockets, and nothing
 * shows in what is left. `npm run chaos` is the large one; a seed that failed there can be given here, too.
 */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { House, Server } from '../chaos/house.js'
import { carryOut, quick, scenarios } from '../chaos/plan.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 20_261_122)

test('what happens to processes does not show in what an import leaves', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'portage-crash-'))
  // The server of a test that root runs has a user of its own, who must be able to pass.
  chmodSync(dataDir, 0o711)
  const server = await Server.start(dataDir, false)
  const house = await House.open(dataDir)
  try {
    for await (const { name, faults, figures } of carryOut(
      house,
      server,
      quick,
      seed,
      scenarios.filter(({ always }) => always),
    )) {
      await t.test(name, () => assert.deepEqual(faults, [], `seed ${seed}, ${JSON.stringify(figures)}`))
    }
  } finally {
    await house.close()
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
})
