/* What is noticed while records are read is counted, told and no reason to stop. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { withTenant } from '../../src/db/tx.js'
import { migrationObjects } from '../../src/runs/migrations.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Move, vendors } from '../helpers/move.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

test('further values that no field takes are counted and told, without a value of them', async () => {
  const vendor = vendors.find(({ system }) => system === 'pipedrive')
  assert.ok(vendor !== undefined)
  const move = await Move.start(db, vendor, { nasty: true, seed: 7, records: 60 })
  try {
    await move.whole()
    const objects = await move.engine.context.control.use((lane) =>
      withTenant(lane, move.tenant, (tx) => migrationObjects(tx, move.id)),
    )
    // An activity is linked with one contact and one lead here; Pipedrive knows several people, a company, a lead and a deal.
    let further = 0
    for (const row of move.simulator.rows('activities')) {
      const { person_id, org_id, lead_id, deal_id, participants } = row as {
        readonly [link: string]: number | null
      } & { readonly participants: readonly { readonly person_id: number }[] | null }
      const people = participants ?? []
      const contacts = new Set([
        person_id,
        ...people.map((each) => each.person_id),
        org_id === null ? null : `org ${org_id}`,
      ])
      contacts.delete(null)
      further += contacts.size > 1 || (lead_id !== null && deal_id !== null) ? 1 : 0
    }
    const problems = Object.fromEntries(objects.map(({ object, problems: told }) => [object, told.FURTHER_VALUES]))
    assert.ok(further > 0)
    assert.equal(problems.activities?.count, further)
    assert.ok((problems.activities?.externalId ?? '').length > 0)
    assert.doesNotMatch(problems.activities?.message ?? '', /[0-9@]/)
    // A second address has a field.
    assert.equal(problems.persons, undefined)
  } finally {
    await move.close()
  }
})

for (const vendor of vendors) {
  test(`fields that ${vendor.system} had not described when it was read are no difference to its proof`, async () => {
    const move = await Move.start(db, vendor, { records: 30 })
    try {
      await move.create()
      await move.ask('STAGE')
      // From now on every record has one more field.
      move.simulator.script([{ kind: 'UNKNOWN_FIELDS', after: 0, times: 10_000 }])
      await move.proven(await move.ask('PROMOTE'))
      assert.ok(move.simulator.requests.some(({ fault }) => fault === 'UNKNOWN_FIELDS'))
    } finally {
      await move.close()
    }
  })
}

test('people and companies of HubSpot without a name come in all the same, and are called by it once they have one', async () => {
  const vendor = vendors.find(({ system }) => system === 'hubspot')
  assert.ok(vendor !== undefined)
  const move = await Move.start(db, vendor, { nasty: true, records: 200 })
  const names = async () =>
    new Map(
      (
        await move.engine.rows<{ id: string; name: string }>(
          `select split_part(source_system, '/', -1) || ' ' || external_id as id, display_name as name from contact where tenant_id = $1`,
          [move.tenant],
        )
      ).map(({ id, name }) => [id, name]),
    )
  const people = [...move.simulator.rows('contacts')] as unknown as readonly Named[]
  const companies = [...move.simulator.rows('companies')] as unknown as readonly Named[]
  const nameless = people.filter(({ properties }) => properties.firstname === ' ')
  const unnamed = companies.filter(({ properties }) => properties.name === null)
  try {
    await move.whole()
    const before = await names()
    assert.equal(nameless.length, 4)
    assert.equal(unnamed.length, 2)
    for (const { id, properties } of nameless) {
      assert.equal(before.get(`contacts ${id}`), properties.phone ?? `HubSpot ${id}`)
    }
    for (const { id, properties } of unnamed) {
      assert.equal(before.get(`companies ${id}`), properties.domain)
    }
    move.simulator.advance(3_600_000)
    move.simulator.edit('contacts', people.length)
    move.simulator.edit('companies', companies.length)
    move.simulator.advance(3_600_000)
    await move.ask('DELTA')
    const later = await names()
    for (const { id, properties } of move.simulator.rows('contacts') as unknown as Iterable<Named>) {
      if (nameless.some((one) => one.id === id)) {
        const name = [properties.firstname, properties.lastname].filter((part) => (part ?? '') !== '').join(' ')
        assert.equal(later.get(`contacts ${id}`), name)
      }
    }
    for (const { id, properties } of move.simulator.rows('companies') as unknown as Iterable<Named>) {
      assert.equal(later.get(`companies ${id}`), properties.name)
    }
  } finally {
    await move.close()
  }
})

interface Named {
  readonly id: string
  readonly properties: Readonly<Record<string, string | null>>
}
