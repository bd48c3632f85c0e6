/* Migrations from simulated CRMs under trouble. Each seed that is printed can be had again. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { faulty, killed, predicted, synced, undisturbed } from '../helpers/hard-moves.js'
import { vendors } from '../helpers/move.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

for (const vendor of vendors) {
  test(`${vendor.system} in trouble: the same records in the end`, {
    timeout: 600_000,
  }, async (t) => {
    const expected = await undisturbed(db, vendor)
    const seed = randomInt(1, 2 ** 31)
    await t.test(`random faults of the service, seed ${seed}`, async () => {
      await faulty(db, vendor, seed, expected)
    })
    await t.test(`killed workers, seed ${seed}`, async () => {
      assert.ok((await killed(db, vendor, seed, 3, expected)) > 0)
    })
    await t.test(`nothing is missed between passes [DL-9]`, async () => {
      await synced(db, vendor, { records: 60, edits: 10, deletes: 4 })
    })
    await t.test(`staging predicts what becomes of odd data, seed ${seed}`, async () => {
      assert.deepEqual(await predicted(db, vendor, seed), [])
    })
  })
}
