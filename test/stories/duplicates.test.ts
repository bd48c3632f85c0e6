import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Lane } from '../../src/db/lane.js'
import { laneOptions } from '../../src/jobs/context.js'
import { findSome, searchSlice } from '../../src/jobs/find-duplicates.js'
import { type GeneratedPerson, generatePeople, isSomebody } from '../duplicates-set/people.js'
import { type Actor, type Json, World } from '../server/world.js'

let world: World
let lane: Lane

before(async () => {
  world = await World.start()
  lane = await Lane.open(laneOptions(world.db.workerUrl, 'portage test'))
})
after(async () => {
  await lane.close()
  await world.close()
})

/** Resolves when nothing is left to be searched, helping with it. */
async function searched(actor: Actor): Promise<void> {
  for (;;) {
    await searchSlice(lane, actor.tenantId)
    const left = await world.oracle.query('select from duplicate_search where tenant_id = $1 limit 1', [actor.tenantId])
    if (left.rowCount === 0) {
      return
    }
  }
}

const pairFields = 'id recordType leftId rightId score reasons decision runId rowNumber'

async function pairs(actor: Actor, args: string): Promise<Json> {
  const { possibleDuplicates } = await world.ask(
    actor,
    `{ possibleDuplicates(${args}) { totalCount nodes { ${pairFields} } pageInfo { hasNextPage endCursor } } }`,
  )
  return possibleDuplicates
}

async function decide(actor: Actor, id: string, decision: string, survivorId: string | null = null): Promise<Json> {
  const { possibleDuplicateDecide } = await world.ask(
    actor,
    `mutation ($input: DuplicateDecideInput!) { possibleDuplicateDecide(input: $input) { pair { ${pairFields} } userErrors { code message field } } }`,
    { input: { id, decision, survivorId } },
  )
  return possibleDuplicateDecide
}

async function contacts(actor: Actor): Promise<Json[]> {
  const answer = await world.ask(
    actor,
    '{ contacts(first: 100) { nodes { id externalId firstName lastName email secondaryEmail phone city tags emailOptOut birthDate identities { sourceSystem externalId } } } }',
  )
  return answer.contacts.nodes
}

const columns = ['Id', 'First', 'Last', 'Mail', 'Phone', 'Street', 'City', 'Zip', 'Born', 'Tags', 'Optout']
const fields = [
  'externalId',
  'firstName',
  'lastName',
  'email',
  'phone',
  'addressLine1',
  'city',
  'postalCode',
  'birthDate',
  'tags',
  'emailOptOut',
]
const mapping = columns.map((column, index) => ({ column, field: fields[index] }))

function csv(...lines: readonly string[]): string {
  return `${columns.join(',')}\n${lines.join('\n')}\n`
}

async function importContacts(actor: Actor, options: object, ...lines: readonly string[]): Promise<string> {
  const id = await world.import(
    actor,
    'CONTACT',
    csv(...lines),
    { sourceSystem: 'old', ...options },
    { mapping, confirmation: 'ALWAYS' },
  )
  await searched(actor)
  return id
}

const katherine = 'k1,Katherine,Johnson,kj@example.com,+1 202 555 0101,12 Main Street,Hampton,23666,1918-08-26,math,no'
const kathy = 'k2,Kathy,Jonson,,+1 202 555 0101,12 Main St,Hampton,23666,1918-08-26,nasa,yes'
const dorothy = 'd1,Dorothy,Vaughan,dv@example.com,+1 202 555 0177,7 Oak Avenue,Newport,23601,1910-09-20,,no'

/** An agency with Katherine and, from a second import, Kathy, who look like one. */
async function agency(): Promise<{ actor: Actor; first: string; second: string; pair: Json }> {
  const actor = await world.actor(await world.tenant())
  const first = await importContacts(actor, {}, katherine, dorothy)
  const second = await importContacts(actor, { sourceSystem: 'new' }, kathy)
  const found = await pairs(actor, 'recordType: CONTACT')
  assert.equal(found.totalCount, 1)
  return { actor, first, second, pair: found.nodes[0] }
}

test('an import is told of the records that look like those it made, with reasons and no values', async () => {
  const { actor, first, second, pair } = await agency()
  assert.equal(pair.runId, second)
  assert.equal(pair.rowNumber, 2)
  assert.equal(pair.decision, 'OPEN')
  assert.ok(pair.score > 0.9 && pair.score <= 1, `${pair.score}`)
  assert.ok(pair.reasons.includes('same phone') && pair.reasons.includes('same birth date'), pair.reasons.join())
  assert.doesNotMatch(JSON.stringify(pair), /1918-|202.{0,2}555|Main/)
  const byId = new Map((await contacts(actor)).map((contact) => [contact.id, contact.externalId]))
  assert.deepEqual([byId.get(pair.leftId), byId.get(pair.rightId)], ['k1', 'k2'], 'the older record is the left one')

  const { importRun } = await world.ask(
    actor,
    `query ($id: ID!) { importRun(id: $id) { status counts { created failed }
       issues(code: [POSSIBLE_DUPLICATE]) { totalCount nodes { rowNumber severity message value field } } rows { nodes { rowNumber outcome issues { code } } } } }`,
    { id: second },
  )
  assert.equal(importRun.status, 'COMPLETED')
  assert.deepEqual(importRun.counts, { created: 1, failed: 0 })
  assert.equal(importRun.issues.totalCount, 1)
  assert.deepEqual([importRun.issues.nodes[0].rowNumber, importRun.issues.nodes[0].severity], [2, 'WARNING'])
  assert.match(importRun.issues.nodes[0].message, new RegExp(`Looks like another contact, ${pair.leftId}`))
  assert.deepEqual(importRun.rows.nodes, [
    { rowNumber: 2, outcome: 'CREATED', issues: [{ code: 'POSSIBLE_DUPLICATE' }] },
  ])
  assert.equal((await pairs(actor, `runId: "${first}"`)).totalCount, 0)
  assert.equal((await pairs(actor, `runId: "${second}"`)).totalCount, 1)
  const { node } = await world.ask(actor, 'query ($id: ID!) { node(id: $id) { id ... on DuplicatePair { score } } }', {
    id: pair.id,
  })
  assert.equal(node.score, pair.score)
})

test('two rows of one file are a pair, which the later row is told of', async () => {
  const actor = await world.actor(await world.tenant())
  const run = await importContacts(actor, {}, katherine, dorothy, kathy)
  const found = await pairs(actor, `runId: "${run}"`)
  assert.deepEqual(
    found.nodes.map((pair: Json) => pair.rowNumber),
    [4],
  )
})

test('a merge keeps identities, links and what each of both had, and can be undone', async () => {
  const { actor, pair } = await agency()
  const before = await contacts(actor)
  const leads = 'Title,Who\nA house,k2\nA flat,k1\n'
  await world.import(
    actor,
    'LEAD',
    leads,
    { sourceSystem: 'new' },
    {
      confirmation: 'ALWAYS',
      mapping: [
        { column: 'Title', field: 'title' },
        { column: 'Who', field: 'contact.externalId' },
      ],
      options: { sourceSystem: 'new', onMissingRelation: 'DROP_LINK' },
    },
  )
  const leadsOf = async (): Promise<Record<string, string | null>> => {
    const answer = await world.ask(actor, '{ leads { nodes { title contact { id externalId } } } }')
    return Object.fromEntries(answer.leads.nodes.map((lead: Json) => [lead.title, lead.contact?.id ?? null]))
  }
  assert.equal((await leadsOf())['A house'], pair.rightId)

  const merged = await decide(actor, pair.id, 'MERGED')
  assert.deepEqual(merged.userErrors, [])
  assert.equal(merged.pair.decision, 'MERGED')
  const after = await contacts(actor)
  assert.deepEqual(new Set(after.map((contact) => contact.externalId)), new Set(['d1', 'k1']))
  const survivor = after.find((contact) => contact.id === pair.leftId)
  assert.deepEqual(survivor.tags, ['math', 'nasa'])
  assert.equal(survivor.emailOptOut, true, 'an opt-out of either is one of both')
  assert.equal(survivor.email, 'kj@example.com')
  assert.deepEqual(
    survivor.identities.map((identity: Json) => `${identity.sourceSystem} ${identity.externalId}`).toSorted(),
    ['new k2', 'old k1'],
  )
  assert.equal((await leadsOf())['A house'], pair.leftId)
  assert.equal((await pairs(actor, 'decision: OPEN')).totalCount, 0)
  assert.equal((await pairs(actor, 'decision: MERGED')).totalCount, 1)
  assert.deepEqual(
    (await decide(actor, pair.id, 'MERGED', pair.rightId)).userErrors.map((error: Json) => error.code),
    ['INVALID_STATE'],
  )

  // Whoever imports the other identity means the record that stayed.
  const again = await importContacts(actor, { sourceSystem: 'new' }, kathy.replace('Kathy', 'Kathryn'))
  const { importRun } = await world.ask(
    actor,
    'query ($id: ID!) { importRun(id: $id) { counts { created updated } rows { nodes { recordId } } } }',
    { id: again },
  )
  assert.deepEqual(importRun.counts, { created: 0, updated: 1 })
  assert.equal(importRun.rows.nodes[0].recordId, pair.leftId)
  const rolled = await world.ask(
    actor,
    'mutation ($id: ID!) { runRollback(input: { runId: $id, onConflict: KEEP, idempotencyKey: "back" }) { rollbackRun { id } userErrors { message } } }',
    { id: again },
  )
  await world.rested(actor, rolled.runRollback.rollbackRun.id)

  const undone = await decide(actor, pair.id, 'OPEN')
  assert.deepEqual(undone.userErrors, [])
  await searched(actor)
  assert.deepEqual(await contacts(actor), before)
  assert.equal((await leadsOf())['A house'], pair.rightId)
  assert.equal((await pairs(actor, 'decision: OPEN')).totalCount, 1, 'it is offered again')
})

test('the record that is to stay can be chosen, and a merge is not undone over later work', async () => {
  const { actor, pair } = await agency()
  assert.deepEqual(
    (await decide(actor, pair.id, 'MERGED', pair.id)).userErrors.map((error: Json) => error.code),
    ['INVALID_INPUT'],
  )
  assert.deepEqual((await decide(actor, pair.id, 'MERGED', pair.rightId)).userErrors, [])
  const [survivor] = (await contacts(actor)).filter(
    (contact) => contact.id !== pair.leftId && contact.firstName === 'Kathy',
  )
  assert.equal(survivor.email, 'kj@example.com', 'a blank was filled')
  const edit = 'mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { userErrors { message } } }'
  await world.ask(actor, edit, {
    input: { id: pair.rightId, recordType: 'CONTACT', fields: [{ field: 'email', value: 'kathy@nasa.example' }] },
  })
  const refused = await decide(actor, pair.id, 'OPEN')
  assert.equal(refused.userErrors[0].code, 'INVALID_STATE')
  assert.match(refused.userErrors[0].message, /\bemail\b/)
  assert.doesNotMatch(refused.userErrors[0].message, /nasa\.example/)
  assert.equal((await contacts(actor)).length, 2, 'nothing was undone')
  await world.ask(actor, edit, {
    input: { id: pair.rightId, recordType: 'CONTACT', fields: [{ field: 'email', value: 'kj@example.com' }] },
  })
  assert.deepEqual((await decide(actor, pair.id, 'DISTINCT')).userErrors, [])
  assert.equal((await contacts(actor)).length, 3)
})

test('what was said to be distinct is never offered again', async () => {
  const { actor, pair } = await agency()
  assert.equal((await decide(actor, pair.id, 'DISTINCT')).pair.decision, 'DISTINCT')
  const run = await importContacts(actor, { sourceSystem: 'new' }, kathy.replace('nasa', 'nasa;moon'))
  assert.equal((await pairs(actor, 'decision: OPEN')).totalCount, 0)
  const { importRun } = await world.ask(
    actor,
    'query ($id: ID!) { importRun(id: $id) { counts { updated } issues { totalCount } } }',
    { id: run },
  )
  assert.deepEqual(importRun, { counts: { updated: 1 }, issues: { totalCount: 0 } })
})

test('an edit makes a pair and ends one', async () => {
  const { actor, pair } = await agency()
  const edit = 'mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { userErrors { message } } }'
  const change = async (values: Record<string, string>): Promise<void> => {
    const changed = await world.ask(actor, edit, {
      input: {
        id: pair.rightId,
        recordType: 'CONTACT',
        fields: Object.entries(values).map(([field, value]) => ({ field, value })),
      },
    })
    assert.deepEqual(changed.recordUpdate.userErrors, [])
    await searched(actor)
  }
  await change({
    firstName: 'Mary',
    lastName: 'Jackson',
    phone: '+1 202 555 0155',
    birthDate: '1921-04-09',
    addressLine1: '99 Elm Road',
  })
  assert.equal((await pairs(actor, 'recordType: CONTACT')).totalCount, 0)
  await change({
    firstName: 'Dorothy',
    lastName: 'Vaughn',
    phone: '+1 202 555 0177',
    addressLine1: '7 Oak Ave',
    city: 'Newport',
    postalCode: '23601',
    birthDate: '1910-09-20',
  })
  assert.equal((await pairs(actor, 'recordType: CONTACT')).totalCount, 1)
})

test('a rollback keeps a record that was merged and says so', async () => {
  const { actor, second, pair } = await agency()
  await decide(actor, pair.id, 'MERGED')
  const preview = await world.ask(actor, 'query ($id: ID!) { rollbackPreview(runId: $id) { willDelete conflicts } }', {
    id: second,
  })
  assert.deepEqual(preview.rollbackPreview, { willDelete: 0, conflicts: 1 })
  const rolled = await world.ask(
    actor,
    `mutation ($id: ID!) { runRollback(input: { runId: $id, onConflict: KEEP, idempotencyKey: "back" }) { rollbackRun { id } userErrors { message } } }`,
    { id: second },
  )
  await world.rested(actor, rolled.runRollback.rollbackRun.id)
  const { run } = await world.ask(
    actor,
    'query ($id: ID!) { run(id: $id) { counts { reverted kept } ... on RollbackRun { conflicts { nodes { recordId message } } } } }',
    { id: rolled.runRollback.rollbackRun.id },
  )
  assert.deepEqual(run.counts, { reverted: 0, kept: 1 })
  assert.equal(run.conflicts.nodes[0].recordId, pair.rightId)
  assert.match(run.conflicts.nodes[0].message, /merged/)
})

test('a rollback ends the pairs of what it deletes, and leaves no keys of it', async () => {
  const { actor, second, pair } = await agency()
  const keysOf = async (): Promise<number> => {
    const { rows } = await world.oracle.query<{ n: number }>(
      'select count(*)::int as n from record_block b join contact c on c.id = b.record_id and c.tenant_id = b.tenant_id where b.tenant_id = $1 and c.external_id = $2',
      [actor.tenantId, 'k2'],
    )
    return rows[0]?.n ?? 0
  }
  assert.ok((await keysOf()) > 3)
  const rolled = await world.ask(
    actor,
    'mutation ($id: ID!) { runRollback(input: { runId: $id, onConflict: KEEP, idempotencyKey: "back" }) { rollbackRun { id } userErrors { message } } }',
    { id: second },
  )
  await world.rested(actor, rolled.runRollback.rollbackRun.id)
  assert.equal((await pairs(actor, 'decision: OPEN')).totalCount, 0, 'at once')
  await searched(actor)
  assert.equal(await keysOf(), 0)
  const { node } = await world.ask(actor, 'query ($id: ID!) { node(id: $id) { id } }', { id: pair.id })
  assert.equal(node, null)
})

test('a neighbour sees no pair, decides none, and is compared with nobody else', async () => {
  const { actor, second, pair } = await agency()
  const neighbour = await world.actor(await world.tenant())
  await importContacts(neighbour, {}, kathy)
  assert.equal((await pairs(neighbour, 'decision: null')).totalCount, 0)
  assert.equal((await pairs(neighbour, `runId: "${second}"`)).totalCount, 0)
  const refused = await decide(neighbour, pair.id, 'MERGED')
  assert.deepEqual(
    refused.userErrors.map((error: Json) => error.code),
    ['NOT_FOUND'],
  )
  const { node } = await world.ask(neighbour, 'query ($id: ID!) { node(id: $id) { id } }', { id: pair.id })
  assert.equal(node, null)
  const reader = await world.actor(actor.tenantId, ['RECORD_READ'])
  assert.equal((await pairs(reader, 'recordType: CONTACT')).totalCount, 1)
  const answer = await world.run(
    reader,
    'mutation ($input: DuplicateDecideInput!) { possibleDuplicateDecide(input: $input) { pair { id } } }',
    {
      input: { id: pair.id, decision: 'DISTINCT' },
    },
  )
  assert.deepEqual(
    answer.errors.map((error) => error.extensions['permission']),
    ['RECORD_WRITE'],
  )
})

function line(record: GeneratedPerson): string {
  return [
    record.firstName,
    record.lastName,
    `${record.houseNumber} ${record.street}`.trim(),
    record.addressLine2,
    record.city,
    record.postalCode,
    record.state,
    record.birthDate,
  ].join(',')
}

test('people with typing errors and swapped names are found through the API, however often the search is killed', async () => {
  const people = generatePeople({
    seed: 4711,
    kind: 'registry',
    records: 1500,
    repeats: 0.4,
    slips: 5,
    families: 0.05,
  }).filter(isSomebody)
  const actor = await world.actor(await world.tenant())
  const run = await world.import(
    actor,
    'CONTACT',
    `first,last,street,building,town,code,state,born\n${people.map(line).join('\n')}\n`,
    { onInvalidRow: 'DROP_VALUE' },
    {
      confirmation: 'ALWAYS',
      mapping: [
        ['first', 'firstName'],
        ['last', 'lastName'],
        ['street', 'addressLine1'],
        ['building', 'addressLine2'],
        ['town', 'city'],
        ['code', 'postalCode'],
        ['state', 'stateOrProvince'],
      ]
        .map(([column, field]) => ({ column, field }))
        .concat([{ column: 'born', field: 'birthDate', format: 'yyyyMMdd' } as never]),
    },
  )
  // Searching again from the beginning, and with a connection that breaks in the middle, finds the same.
  await world.oracle.query(
    "insert into duplicate_search (tenant_id, kind, run_id) select tenant_id, 'IMPORT', id from run where tenant_id = $1",
    [actor.tenantId],
  )
  for (let kills = 0; kills < 3; kills++) {
    const victim = await Lane.open(laneOptions(world.db.workerUrl, 'portage victim'))
    const slice = searchSlice(victim, actor.tenantId).catch(() => null)
    await world.oracle.query('select pg_terminate_backend($1)', [victim.pid])
    await slice
    await victim.close()
  }
  await searched(actor)
  const rows = await world.oracle.query<{ id: string; row: number }>(
    'select id, created_row::int as row from contact where tenant_id = $1',
    [actor.tenantId],
  )
  const personOf = new Map(rows.rows.map(({ id, row }) => [id, people[row - 2]?.person]))
  const found = await world.oracle.query<{ left_id: string; right_id: string }>(
    "select left_id, right_id from duplicate_pair where tenant_id = $1 and decision = 'OPEN'",
    [actor.tenantId],
  )
  const right = found.rows.filter((pair) => personOf.get(pair.left_id) === personOf.get(pair.right_id)).length
  const sizes = Map.groupBy(people, ({ person }) => person)
  const same = [...sizes.values()].reduce((sum, group) => sum + (group.length * (group.length - 1)) / 2, 0)
  const [precision, recall] = [right / found.rows.length, right / same]
  assert.ok(precision > 0.95 && recall > 0.93, `precision ${precision}, recall ${recall} of ${same} pairs`)
  const issues = await world.oracle.query<{ n: number; rows: number }>(
    "select count(*)::int as n, count(distinct row_number)::int as rows from run_issue where tenant_id = $1 and code = 'POSSIBLE_DUPLICATE'",
    [actor.tenantId],
  )
  assert.equal(issues.rows[0]?.n, issues.rows[0]?.rows, 'no row is told twice')
  const first = await pairs(actor, `first: 40, runId: "${run}"`)
  const second = await pairs(actor, `first: 40, runId: "${run}", after: "${first.pageInfo.endCursor}"`)
  assert.equal(first.totalCount, found.rows.length)
  assert.equal(new Set([...first.nodes, ...second.nodes].map((pair: Json) => pair.id)).size, 80)
  assert.ok(first.nodes.at(-1).score >= second.nodes[0].score)
})

test('properties and leads are compared, too, and what refers to them moves along', async () => {
  const actor = await world.actor(await world.tenant())
  const options = { sourceSystem: 'mls' }
  const homes =
    'Ref,Name,Listing,Street,Town,Code\nh1,Oak house,L-1,12 Oak Avenue,Newport,23601\nh2,House by the oak,X-9,12 Oak Ave.,Newport,23601\nh3,Elm house,L-3,14 Oak Avenue,Newport,23601\n'
  const homeFields = ['externalId', 'name', 'listingId', 'addressLine1', 'city', 'postalCode']
  await world.import(actor, 'PROPERTY', homes, options, {
    confirmation: 'ALWAYS',
    mapping: ['Ref', 'Name', 'Listing', 'Street', 'Town', 'Code'].map((column, i) => ({
      column,
      field: homeFields[i],
    })),
  })
  const leads =
    'Title,First,Last,Mail,Home\nWants it,Ann,Lee,ann.lee@example.com,h2\nAsked again,Anne,Lee,ann.lee@example.com,h1\nOther,Bob,Ray,bob@example.com,h3\n'
  const leadFields = ['title', 'firstName', 'lastName', 'email', 'property.externalId']
  await world.import(
    actor,
    'LEAD',
    leads,
    { ...options, onDuplicate: 'CREATE' },
    {
      confirmation: 'ALWAYS',
      mapping: ['Title', 'First', 'Last', 'Mail', 'Home'].map((column, i) => ({ column, field: leadFields[i] })),
    },
  )
  await searched(actor)
  const [home, ...moreHomes] = (await pairs(actor, 'recordType: PROPERTY')).nodes
  const [lead, ...moreLeads] = (await pairs(actor, 'recordType: LEAD')).nodes
  assert.deepEqual([moreHomes, moreLeads], [[], []], 'the house next door and the other lead are others')
  assert.ok(
    home.reasons.includes('same house number') && lead.reasons.includes('same e-mail'),
    `${home.reasons} ${lead.reasons}`,
  )
  assert.deepEqual((await decide(actor, home.id, 'MERGED')).userErrors, [])
  const { leads: listed } = await world.ask(actor, '{ leads { nodes { title property { id } } } }')
  const homeOf = new Map(listed.nodes.map((one: Json) => [one.title, one.property.id]))
  assert.deepEqual([homeOf.get('Wants it'), homeOf.get('Asked again')], [home.leftId, home.leftId])
})

test('what a record waits for the merged one waits for, and gets it; undone, each waits for its own again', async () => {
  const actor = await world.actor(await world.tenant())
  const first = await importContacts(actor, {}, katherine)
  const waiting = async (run: string): Promise<Json[]> => {
    const { importRun } = await world.ask(
      actor,
      'query ($id: ID!) { importRun(id: $id) { pendingRelations { nodes { recordId } } } }',
      { id: run },
    )
    return importRun.pendingRelations.nodes
  }
  const second = await world.import(
    actor,
    'CONTACT',
    `${columns.join(',')},Firm\n${kathy},firm@example.com\n`,
    { sourceSystem: 'new', onMissingRelation: 'KEEP_PENDING' },
    { mapping: [...mapping, { column: 'Firm', field: 'organization.email' }], confirmation: 'ALWAYS' },
  )
  await searched(actor)
  const pair = (await pairs(actor, `runId: "${second}"`)).nodes[0]
  assert.ok(pair !== undefined && first !== second)
  assert.deepEqual(
    (await waiting(second)).map(({ recordId }) => recordId),
    [pair.rightId],
  )
  assert.deepEqual((await decide(actor, pair.id, 'MERGED')).userErrors, [])
  assert.deepEqual(
    (await waiting(second)).map(({ recordId }) => recordId),
    [pair.leftId],
  )
  assert.deepEqual((await decide(actor, pair.id, 'OPEN')).userErrors, [])
  assert.deepEqual(
    (await waiting(second)).map(({ recordId }) => recordId),
    [pair.rightId],
  )
  assert.deepEqual((await decide(actor, pair.id, 'MERGED')).userErrors, [])
  await importContacts(actor, {}, 'f1,Firm,Firm,firm@example.com,,,,,,,no')
  assert.deepEqual(await waiting(second), [])
  const { node } = await world.ask(
    actor,
    'query ($id: ID!) { node(id: $id) { ... on Contact { organization { email } } } }',
    {
      id: pair.leftId,
    },
  )
  assert.deepEqual(node, { organization: { email: 'firm@example.com' } })
})

test('merges build on each other, and are undone from the last one back', async () => {
  const { actor, pair } = await agency()
  await importContacts(actor, { sourceSystem: 'third' }, kathy.replace('k2', 'k3').replace('Jonson', 'Johnson'))
  assert.deepEqual((await decide(actor, pair.id, 'MERGED')).userErrors, [])
  await searched(actor)
  const [second] = (await pairs(actor, 'recordType: CONTACT')).nodes
  assert.equal(second.leftId, pair.leftId)
  assert.deepEqual((await decide(actor, second.id, 'MERGED', second.rightId)).userErrors, [])
  const survivor = (await contacts(actor)).find((contact) => contact.id === second.rightId)
  assert.deepEqual(
    new Set(survivor.identities.map((identity: Json) => identity.externalId)),
    new Set(['k1', 'k2', 'k3']),
  )
  assert.deepEqual(
    (await decide(actor, pair.id, 'OPEN')).userErrors.map((error: Json) => error.code),
    ['INVALID_STATE'],
  )
  assert.deepEqual((await decide(actor, second.id, 'OPEN')).userErrors, [])
  assert.deepEqual((await decide(actor, pair.id, 'OPEN')).userErrors, [])
  assert.deepEqual(
    (await contacts(actor)).map((contact) => [contact.externalId, contact.identities.length]),
    [
      ['k3', 1],
      ['k2', 1],
      ['k1', 1],
      ['d1', 1],
    ],
  )
})

test('tenants take turns, and a tenant with much to search holds up nobody', async () => {
  await using still = await quietWorld()
  const quiet = await Lane.open(laneOptions(still.world.db.workerUrl, 'portage test'))
  const tenants = [await still.world.tenant(), await still.world.tenant()]
  for (const tenant of [tenants[0], tenants[0], tenants[0], tenants[1]]) {
    await still.world.oracle.query("insert into duplicate_search (tenant_id, kind) values ($1, 'ALL')", [tenant])
  }
  const turns: string[] = []
  for (let last: string | null = '00000000-0000-0000-0000-000000000000'; last !== null; ) {
    last = await findSome(quiet, last)
    turns.push(last ?? '')
  }
  await quiet.close()
  // Each search takes four slices: one for each type, and one that ends it.
  assert.equal(turns.indexOf('', 0), 16)
  const few = turns.filter((_, i) => i < 8 && turns[i] === tenants[1])
  assert.equal(few.length, 4, 'every other slice was that of the second tenant')
})

/** A service without a worker, so that nobody searches but the test. */
async function quietWorld(): Promise<{ world: World } & AsyncDisposable> {
  const quiet = await World.start({ worker: false })
  return { world: quiet, [Symbol.asyncDispose]: () => quiet.close() }
}
