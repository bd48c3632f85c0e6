/* The proof of a migration tells of everything that is not as it was read. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { damage } from '../helpers/hard-moves.js'
import { Move, vendors } from '../helpers/move.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

for (const vendor of vendors) {
  const seed = randomInt(1, 2 ** 31)
  test(`the proof of ${vendor.system} tells of each of 20 damaged fields, a missing record and one too many, seed ${seed}`, {
    timeout: 240_000,
  }, async () => {
    const move = await Move.start(db, vendor)
    try {
      await move.proven(await move.whole())
      const [object] = vendor.objects[1] ?? ['']
      const mine = 'tenant_id = $1 and source_system like $2'
      // Somebody nobody refers to: what refers to a missing record is another kind of difference.
      const { rowCount: removed } = await move.engine.oracle.query(
        `delete from contact where ctid = (select ctid from contact where ${mine}
           and not exists (select from activity a where a.tenant_id = $1 and a.contact_id = contact.id)
           and not exists (select from lead l where l.tenant_id = $1 and l.contact_id = contact.id)
           and not exists (select from property p where p.tenant_id = $1 and p.owner_contact_id = contact.id)
           and not exists (select from contact p where p.tenant_id = $1 and p.organization_id = contact.id) limit 1)`,
        [move.tenant, `%/${object}`],
      )
      assert.equal(removed, 1)
      await move.engine.oracle.query(
        `insert into contact (tenant_id, id, kind, last_name, display_name, source_system, external_id)
         select tenant_id, gen_random_uuid(), kind, 'Extra', 'Extra', source_system, 'extra' from contact where ${mine} limit 1`,
        [move.tenant, `%/${object}`],
      )
      const planted = await damage(move, seed, 20)
      assert.equal(planted.length, 20)
      const verified = await move.ask('VERIFY')
      assert.equal(verified.verification?.passed, false)
      const checks = verified.verification?.checks ?? []
      const told = (names: (name: string) => boolean) =>
        checks.filter(({ name }) => names(name)).reduce((sum, { actual }) => sum + Number(actual), 0)
      assert.equal(
        told((name) => name.startsWith('field ')),
        20,
        JSON.stringify([planted, checks.filter(({ passed }) => !passed)], null, 1),
      )
      assert.equal(
        told((name) => name === 'missing records'),
        1,
      )
      assert.equal(
        told((name) => name === 'orphans'),
        1,
      )
    } finally {
      await move.close()
    }
  })
}
