/* Whole accounts move in from their simulators: read, staged, promoted, proven, kept in step. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Move, vendors } from '../helpers/move.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

for (const vendor of vendors) {
  test(`an account of ${vendor.system} moves in with all it has, and changes follow`, {
    timeout: 240_000,
  }, async () => {
    const move = await Move.start(db, vendor)
    const { simulator } = move
    try {
      await move.create()
      const staged = await move.ask('STAGE')
      assert.equal(staged.stage, 'AWAITING_REVIEW', JSON.stringify(staged.statusReason))
      assert.deepEqual(await move.records(), [])
      const promoted = await move.ask('PROMOTE')
      await move.proven(promoted)
      await move.same()
      // People belong to their organization, and activities to somebody.
      const [links] = await move.engine.rows<{ members: number; linked: number }>(
        `select (select count(*)::int from contact p join contact o on o.tenant_id = p.tenant_id and o.id = p.organization_id
                 where p.tenant_id = $1 and p.kind = 'PERSON' and o.kind = 'ORGANIZATION') as members,
                (select count(*)::int from activity where tenant_id = $1 and contact_id is not null) as linked`,
        [move.tenant],
      )
      assert.ok((links?.members ?? 0) > 5 && (links?.linked ?? 0) > 5, JSON.stringify(links))

      simulator.advance(3_600_000)
      const [people, deals, calls] = [vendor.objects[1], vendor.objects[2], vendor.objects.at(-1)]
      simulator.edit(people?.[0] ?? '', 8)
      simulator.delete(deals?.[0] ?? '', 3)
      simulator.delete(calls?.[0] ?? '', 2)
      simulator.add(calls?.[0] ?? '', 5)
      simulator.advance(vendor.settles)
      const synced = await move.ask('DELTA')
      await move.proven(synced)
      await move.same()
    } finally {
      await move.close()
    }
  })
}
