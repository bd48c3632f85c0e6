/* Services that lie while a migration reads them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { believed, undisturbed } from '../helpers/hard-moves.js'
import { vendors } from '../helpers/move.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

/** Lies that are told: of pages, rows, texts, moments and relations. */
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
  test(`no lie of ${vendor.system} is believed`, { timeout: 240_000 }, async (t) => {
    const expected = await undisturbed(db, vendor)
    // Who leaves associations out when asked for them leaves nothing to compare with.
    for (const lie of told.filter((one) => !(vendor.system === 'hubspot' && one === 'LOST_RELATION'))) {
      await t.test(`the lie ${lie} is not believed`, async () => {
        assert.equal(await believed(db, vendor, lie, expected), false)
      })
    }
  })
}
