/** Transactions of requests that stand in one another's way. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { type Actor, World } from '../server/world.js'

let world: World
let ada: Actor
before(async () => {
  world = await World.start({ worker: false })
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

test('a request that is the victim of a deadlock is done again, and its caller is not told', async () => {
  const other = new pg.Client({ connectionString: world.db.ownerUrl, options: '-c search_path=portage' })
  await other.connect()
  try {
    // The first time the database is asked for an entry of the audit, it says that there was a deadlock.
    await other.query(`create sequence clashes; grant usage on sequence clashes to portage_api`)
    await other.query(
      `create function clash() returns trigger language plpgsql as $$
       begin
         if nextval('portage.clashes') = 1 then raise exception 'deadlock detected' using errcode = '40P01'; end if;
         return new;
       end $$`,
    )
    await other.query('create trigger clash before insert on audit_entry for each row execute function clash()')
    const answer = await world.run(
      ada,
      'mutation { apiKeyCreate(input: { name: "twice", permissions: [RECORD_READ] }) { secret apiKey { name } userErrors { code } } }',
    )
    assert.deepEqual(answer.errors, [])
    assert.equal(answer.data.apiKeyCreate.apiKey.name, 'twice')
    const { rows } = await other.query('select count(*)::int as keys from api_key where tenant_id = $1', [ada.tenantId])
    assert.deepEqual(rows, [{ keys: 1 }])
    const { rows: tries } = await other.query('select last_value::int as n from clashes')
    assert.ok(tries[0].n > 1)
  } finally {
    await other.query('drop trigger if exists clash on audit_entry')
    await other.end()
  }
})
