/* Migrations from simulated CRMs under trouble. `npm run chaos -- --only migrations` does the same many times over. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { believed, faulty, killed, undisturbed } from '../helpers/hard-moves.js'
import { vendors } from '../helpers/move.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

/** Lies of each service that are told here; chaos tells all of them. */
const told = [
  'DROPPED_PAGE',
  'DROPPED_ROW',
  'SILENT_CAP',
  'TRUNCATED_TEXT',
  'SHIFTED_ZONE',
  'LOST_RELATION',
  'WRONG_OWNER',
] as const

for (const vendor of vendors) {
  test(`${vendor.system} in trouble: the same records in the end, and no lie believed`, {
    timeout: 600_000,
  }, async (t) => {
    const expected = await undisturbed(db, vendor)
    const seed = randomInt(1, 2 ** 31)
    await t.test(`random faults of the service, seed ${seed}`, async () => {
      await faulty(db, vendor, seed, expected)
    })
    await t.test(`killed workers, seed ${seed}`, async () => {
      const { kills, mostAsked } = await killed(db, vendor, seed, 3, expected)
      assert.ok(kills > 0)
      assert.ok(mostAsked.times <= 2, `${mostAsked.page} was asked for ${mostAsked.times} times`)
    })
    for (const lie of told) {
      await t.test(`the lie ${lie} is not believed`, async () => {
        assert.equal(await believed(db, vendor, lie, expected), false)
      })
    }
  })
}
