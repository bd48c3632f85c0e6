/** What the outside sees of faults inside, and of other tenants by the clock. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { encodeId, newId } from '../../src/ids.js'
import { type Actor, World } from './world.js'

let world: World
let ada: Actor
before(async () => {
  world = await World.start({ worker: false })
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

/** A query that reads each of these tables, and nothing that it would not read. */
const readers: Readonly<Record<string, string>> = {
  contact: 'contacts(first: 1) { totalCount nodes { id } }',
  lead: 'leads(first: 1) { totalCount nodes { id } }',
  property: 'properties(first: 1) { totalCount nodes { id } }',
  activity: 'activities(first: 1) { totalCount nodes { id } }',
  run: 'runs(first: 1) { nodes { id } }',
  mapping_template: 'mappingTemplates(recordType: CONTACT) { id }',
  business_rule: 'businessRules { id }',
  export_template: 'exportTemplates { id }',
  integration: 'integrations { id }',
  duplicate_pair: 'possibleDuplicates(first: 1) { totalCount }',
  audit_entry: 'auditEntries(first: 1) { nodes { id } }',
  audit_seal: 'auditVerification { valid }',
  api_key: 'apiKeys { id }',
  webhook: 'webhooks { id }',
  custom_field: 'recordSchema(recordType: CONTACT) { fields { name } }',
}

const faults: readonly (readonly [
  what: string,
  breaks: (table: string) => string,
  mends: (table: string) => string,
])[] = [
  [
    'is away',
    (table) => `alter table ${table} rename to ${table}_away`,
    (table) => `alter table ${table}_away rename to ${table}`,
  ],
  [
    'may not be read',
    (table) => `revoke select on ${table} from portage_api`,
    (table) => `grant select on ${table} to portage_api`,
  ],
]

test('30 faults inside show a reference, and nothing of what is inside [GQ-6]', async () => {
  const references = new Set<string>()
  for (const [table, query] of Object.entries(readers)) {
    for (const [what, breaks, mends] of faults) {
      await world.oracle.query(breaks(table))
      try {
        const { errors, text } = await world.run(ada, `{ ${query} }`)
        const [error] = errors
        assert.equal(error?.extensions.code, 'INTERNAL_SERVER_ERROR', `${table} ${what}: ${text}`)
        const [, reference = ''] = /^Internal error, reference ([0-9a-f]{12})\.$/.exec(error.message) ?? []
        assert.equal(error.extensions.errorId, reference)
        references.add(reference)
        // Nothing of the statement, the schema, the code or the machine.
        assert.doesNotMatch(
          text.replaceAll(reference, ''),
          /select |relation|permission denied|portage|node_modules|_away|\.ts|\.js|\n\s+at |127\.0\.0\.1|42[0-9A-Z]{3}|Did you mean/,
          `${table} ${what}`,
        )
      } finally {
        await world.oracle.query(mends(table))
      }
    }
  }
  assert.equal(references.size, 30, 'each fault has a reference of its own')
})

test('a neighbour’s id is looked up as fast as one of nothing, over 1,000 pairs [IS-4]', {
  timeout: 240_000,
}, async () => {
  const neighbour = await world.actor(await world.tenant())
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into contact (tenant_id, id, kind, last_name, display_name)
     select $1, gen_random_uuid(), 'PERSON', 'N', 'N' from generate_series(1, 1000) returning id`,
    [neighbour.tenantId],
  )
  const took = async (id: string): Promise<number> => {
    const started = performance.now()
    const { data } = await world.run(ada, 'query ($id: ID!) { node(id: $id) { id } }', { id })
    assert.equal(data.node, null)
    return performance.now() - started
  }
  const times: { readonly theirs: number; readonly nobodys: number }[] = []
  for (const [at, { id }] of rows.entries()) {
    const [theirs, nobodys] = [encodeId('contact', id), encodeId('contact', newId())]
    // Whoever comes first in a pair may be slower: they take turns.
    const first = await took(at % 2 === 0 ? theirs : nobodys)
    const second = await took(at % 2 === 0 ? nobodys : theirs)
    times.push(at % 2 === 0 ? { theirs: first, nobodys: second } : { theirs: second, nobodys: first })
  }
  const median = (of: 'theirs' | 'nobodys') => times.map((pair) => pair[of]).toSorted((a, b) => a - b)[500] ?? 0
  const apart = Math.abs(median('theirs') - median('nobodys'))
  assert.ok(apart <= Math.max(1, 0.05 * median('nobodys')), `${median('theirs')} and ${median('nobodys')} ms`)
})
