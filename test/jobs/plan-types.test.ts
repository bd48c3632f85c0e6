/** Plans of what contacts do not have: other record types, links between them, identities, races; and the hash of a plan. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, test } from 'node:test'
import type { ImportOptions } from '../../src/pipeline/types.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine, type ImportRequest } from '../helpers/engine.js'
import { confirm, ofPlan, ofRun, planned, runAsPlanned } from '../helpers/plans.js'
import { Random } from '../helpers/random.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 12, chunksInFlight: 2 })
})
after(async () => {
  await engine.close()
  await db.drop()
})

/** More of them with PORTAGE_TEST_SEEDS, for a night. */
const seeds = Number(process.env.PORTAGE_TEST_SEEDS ?? 3)

const csv = (columns: readonly string[], lines: readonly (readonly string[])[]) =>
  `${[columns, ...lines].map((line) => line.join(',')).join('\n')}\n`

const times = <T>(count: number, each: () => T): T[] => Array.from({ length: count }, each)

const people = { Ext: 'externalId', Mail: 'email', Last: 'lastName' }

/** Twenty people; two share an address, and the last ones are known by a second id each, as a merge or an import leaves it. */
async function tenantWithPeople(): Promise<string> {
  const tenant = await engine.tenant()
  const rows = Array.from({ length: 20 }, (_, i) => [`c${i}`, `m${i === 1 ? 0 : i}@example.com`, `Name ${i}`])
  await engine.import(tenant, { type: 'contact', csv: csv(Object.keys(people), rows), map: people })
  await engine.rows(
    `insert into record_identity (tenant_id, record_type, source_system, external_id, record_id)
     select tenant_id, 'contact', 'file', 'also-' || external_id, id from contact where tenant_id = $1 and created_row > 12`,
    [tenant],
  )
  return tenant
}

/** How a row names a person: by id, by another id, by address; or it names nobody, or somebody who is not there. */
function somebody(random: Random): [string, string] {
  const i = random.below(22)
  return random.pick<[string, string]>([
    [`c${i}`, ''],
    [`also-c${i}`, ''],
    ['', `m${i}@example.com`],
    ['', ''],
  ])
}

const kinds: Readonly<
  Record<
    'lead' | 'property' | 'activity',
    { map: Record<string, string>; line: (random: Random) => string[]; rules: string[][][] }
  >
> = {
  property: {
    map: {
      Ext: 'externalId',
      Listing: 'listingId',
      Name: 'name',
      Price: 'listPrice',
      From: 'listingContractDate',
      To: 'expirationDate',
      OwnerId: 'ownerContact.externalId',
      OwnerMail: 'ownerContact.email',
    },
    line: (random) => [
      random.chance(0.6) ? `h${random.below(25)}` : '',
      random.chance(0.6) ? `L-${random.below(25)}` : '',
      random.chance(0.9) ? `House ${random.below(4)}` : '',
      random.chance(0.8) ? String(100_000 + random.below(5)) : random.chance(0.3) ? 'much' : '',
      // Some of these end before they begin, which a CHECK of the table refuses.
      random.chance(0.4) ? `2026-05-${String(10 + random.below(10))}` : '',
      random.chance(0.4) ? `2026-05-${String(10 + random.below(20))}` : '',
      ...somebody(random),
    ],
    rules: [[], [['listingId']], [['listingId', 'name'], ['externalId']]],
  },
  lead: {
    map: {
      Ext: 'externalId',
      Mail: 'email',
      Title: 'title',
      Low: 'budgetMin',
      High: 'budgetMax',
      Status: 'status',
      WhoId: 'contact.externalId',
      WhoMail: 'contact.email',
      Home: 'property.listingId',
    },
    line: (random) => [
      random.chance(0.6) ? `l${random.below(25)}` : '',
      random.chance(0.6) ? `lead${random.below(20)}@example.com` : random.chance(0.1) ? 'nowhere' : '',
      random.chance(0.9) ? `Wish ${random.below(4)}` : '',
      random.chance(0.3) ? String(random.below(10)) : '',
      random.chance(0.3) ? String(random.below(20)) : '',
      random.chance(0.5) ? random.pick(['NEW', 'OPEN', 'LOST']) : '',
      ...somebody(random),
      random.chance(0.3) ? `L-${random.below(30)}` : '',
    ],
    rules: [[], [['email']], [['email', 'title'], ['externalId']]],
  },
  activity: {
    map: {
      Ext: 'externalId',
      Subject: 'subject',
      Type: 'type',
      WhoId: 'contact.externalId',
      WhoMail: 'contact.email',
      Lead: 'lead.externalId',
      Home: 'property.listingId',
    },
    line: (random) => [
      random.chance(0.7) ? `a${random.below(25)}` : '',
      random.chance(0.9) ? `Talk ${random.below(3)}` : '',
      random.pick(['CALL', 'EMAIL', 'NOTE']),
      ...somebody(random),
      random.chance(0.3) ? `l${random.below(28)}` : '',
      random.chance(0.3) ? `L-${random.below(30)}` : '',
    ],
    rules: [[], [['externalId']]],
  },
}

function randomPolicy(random: Random, rules: readonly string[][][]): Partial<ImportOptions> {
  return {
    onDuplicate: random.pick(['UPDATE', 'UPDATE', 'FILL_BLANKS', 'SKIP', 'FAIL', 'CREATE'] as const),
    operation: random.pick(['UPSERT', 'UPSERT', 'UPSERT', 'UPDATE_ONLY', 'DELETE'] as const),
    matchOn: random.pick(rules),
    onInvalidRow: random.pick(['SKIP_ROW', 'DROP_VALUE'] as const),
    onMissingRelation: random.pick(['FAIL_ROW', 'DROP_LINK', 'CREATE', 'KEEP_PENDING'] as const),
    onBlank: random.pick(['KEEP', 'CLEAR'] as const),
  }
}

test(`files of properties, leads and activities that name people in all ways come to what their plans say (${seeds} seeds)`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const tenant = await tenantWithPeople()
    const random = new Random(seed * 7919)
    for (const type of ['property', 'lead', 'activity'] as const) {
      const { map, line, rules } = kinds[type]
      const request = (options: Partial<ImportOptions>): ImportRequest => ({
        type,
        csv: csv(
          Object.keys(map),
          times(30, () => line(random)),
        ),
        map,
        options,
      })
      // The first one makes what the second one meets.
      for (const options of [{ onMissingRelation: 'DROP_LINK' } as const, randomPolicy(random, rules)]) {
        await runAsPlanned(engine, tenant, request(options), `seed ${seed}, ${type}: ${JSON.stringify(options)}`)
      }
    }
  }
})

test('a plan finds the record of another type by whatever id it is known', async () => {
  const tenant = await tenantWithPeople()
  const map = { Title: 'title', Name: 'lastName', Who: 'contact.externalId' }
  const lines = [
    ['First', 'A', 'c15'],
    ['Second', 'B', 'also-c15'],
    ['Third', 'C', 'nobody'],
  ]
  const { runId, counts } = await planned(engine, tenant, { type: 'lead', csv: csv(Object.keys(map), lines), map })
  assert.deepEqual(
    (await ofPlan(engine, runId)).map(({ row, outcome }) => `${row} ${outcome}`),
    ['2 CREATED', '3 CREATED', '4 FAILED'],
  )
  assert.deepEqual([counts.created, counts.failed], [2, 1])
})

test('a record is found among more than 100 that share the key of a row but have ids of their own', async () => {
  const tenant = await engine.tenant()
  const rows = [
    ...Array.from({ length: 130 }, (_, i) => [`d${i}`, 'shared@example.com', `D ${i}`]),
    ['', 'shared@example.com', 'Bare'],
  ]
  await engine.import(tenant, {
    type: 'contact',
    csv: csv(Object.keys(people), rows),
    map: people,
    options: { onDuplicate: 'CREATE' },
  })
  const run = await runAsPlanned(
    engine,
    tenant,
    { type: 'contact', csv: csv(Object.keys(people), [['new', 'shared@example.com', 'Taken']]), map: people },
    'one of them has no id',
  )
  assert.equal(run.counts.updated, 1)
})

test('a row that changes its record and a related one, each at a version of its own, is no drift', async () => {
  const tenant = await tenantWithPeople()
  const map = { Ext: 'externalId', Title: 'title', Mail: 'contact.email', Last: 'contact.lastName' }
  const leads = (title: string, last: string) =>
    csv(
      Object.keys(map),
      Array.from({ length: 20 }, (_, i) => [`l${i}`, `${title} ${i}`, `m${4 + (i % 10)}@example.com`, `${last} ${i}`]),
    )
  await engine.import(tenant, { type: 'lead', csv: leads('One', 'First'), map })
  const run = await runAsPlanned(engine, tenant, { type: 'lead', csv: leads('Two', 'Second'), map }, 'related')
  assert.equal(run.counts.updated, 20)
})

test('of a row with two relations, the one that is gone since the plan is drift although the other never was there', async () => {
  const tenant = await tenantWithPeople()
  const map = { Ext: 'externalId', Title: 'title', Who: 'contact.externalId', Home: 'property.listingId' }
  const { runId, hash } = await planned(engine, tenant, {
    type: 'lead',
    csv: csv(Object.keys(map), [
      ['a', 'A', 'c3', 'nowhere'],
      ['b', 'B', 'c4', 'nowhere'],
    ]),
    map,
    options: { onMissingRelation: 'DROP_LINK' },
  })
  await engine.rows("update contact set deleted_at = now() where tenant_id = $1 and external_id = 'c3'", [tenant])
  await confirm(engine, tenant, runId, hash)
  await engine.advance(tenant, runId)
  assert.deepEqual(
    (await ofRun(engine, runId)).map(({ outcome, issues }) => [outcome, /DRIFTED_SINCE_PLAN/.test(issues ?? '')]),
    [
      ['SKIPPED', true],
      ['CREATED', false],
    ],
  )
})

test('25,000 rows of which every tenth repeats somebody from anywhere before come to what their plan says', async () => {
  const large = await Engine.start(db, { chunkRows: 10_000, chunksInFlight: 2 })
  try {
    const random = new Random(25_000)
    const tenant = await large.tenant()
    const met: number[] = []
    const rows = times(25_000, () => {
      const repeats = met.length > 0 && met.length % 10 === 9
      const person = repeats ? random.pick(met) : met.length
      met.push(person)
      // Somebody is met again by id, by address, or by both.
      const by = repeats ? random.below(3) : 2
      return [by === 1 ? '' : `p${person}`, by === 0 ? '' : `p${person}@example.com`, `L${random.below(1000)}`]
    })
    const request: ImportRequest = { type: 'contact', csv: csv(Object.keys(people), rows), map: people }
    const run = await runAsPlanned(large, tenant, request, 'large')
    assert.equal(run.counts.created, 22_500)
    assert.ok(run.counts.updated > 2400, `${run.counts.updated} updates`)
    assert.equal(run.counts.updated + run.counts.unchanged, 2500)
    const [{ chunks } = { chunks: 0 }] = await large.rows<{ chunks: number }>(
      'select count(*)::int as chunks from plan_chunk where run_id = $1',
      [run.id],
    )
    assert.equal(chunks, 3)
  } finally {
    await large.close()
  }
})

test('a file is read for its keys only once one of its rows creates a record', async () => {
  let threads = 0
  const count = () => {
    threads += 1
  }
  const tenant = await engine.tenant()
  const rows = Array.from({ length: 40 }, (_, i) => [`t${i}`, `t${i}@example.com`, `Name ${i}`])
  const request = (lines: readonly (readonly string[])[]): ImportRequest => ({
    type: 'contact',
    csv: csv(Object.keys(people), lines),
    map: people,
  })
  await engine.import(tenant, request(rows))
  const threadsOf = async (lines: readonly (readonly string[])[], name: string) => {
    threads = 0
    subscribe('worker_threads', count)
    try {
      const { counts } = await runAsPlanned(engine, tenant, request(lines), name)
      return { counts, threads }
    } finally {
      unsubscribe('worker_threads', count)
    }
  }
  const unchanged = await threadsOf(rows, 'unchanged')
  assert.equal(unchanged.counts.unchanged, 40)
  const updated = await threadsOf(
    rows.map(([id = '', mail = '']) => [id, mail, 'Another']),
    'updated',
  )
  assert.equal(updated.counts.updated, 40)
  // The last rows make somebody, and one of them says it twice: the plan has to know the second for the first.
  const created = await threadsOf(
    [...rows, ['new', 'new@example.com', 'One'], ['', 'new@example.com', 'Two']],
    'created at the end',
  )
  assert.deepEqual([created.counts.created, created.counts.updated], [1, 41])
  assert.deepEqual(
    [unchanged.threads, updated.threads, created.threads - updated.threads],
    [unchanged.threads, unchanged.threads, 1],
  )
})

test('the hash of a plan does not depend on ids and times of the rehearsal', async () => {
  const tenant = await tenantWithPeople()
  const contact = { ...people, Org: 'organization.externalId' }
  const lead = { Ext: 'externalId', Title: 'title', Mail: 'contact.email', Last: 'contact.lastName' }
  const earlier = { Ext: 'externalId', Title: 'title', Firm: 'companyName' }
  await engine.import(tenant, { type: 'lead', csv: csv(Object.keys(earlier), [['l1', 'One', 'Ltd']]), map: earlier })
  const files: readonly ImportRequest[] = [
    {
      // Somebody who is there gets an organization that the file makes.
      type: 'contact',
      csv: csv(Object.keys(contact), [
        ['org', '', 'Org', ''],
        ['c3', '', 'Name 3', 'org'],
        ['new', '', 'New', 'org'],
        ['new', '', 'Newer', 'c4'],
      ]),
      map: contact,
    },
    {
      type: 'contact',
      csv: csv(Object.keys(contact), [
        ['c5', '', '', ''],
        ['c6', '', '', ''],
      ]),
      map: contact,
      options: { operation: 'DELETE' },
    },
    {
      // A lead that is there gets a contact that the file makes, and changes once more.
      type: 'lead',
      csv: csv(Object.keys(lead), [
        ['l1', 'One', 'fresh@example.com', 'Fresh'],
        ['l1', 'Two', 'fresh@example.com', 'Fresher'],
      ]),
      map: lead,
    },
  ]
  for (const file of files) {
    const first = await planned(engine, tenant, file)
    const second = await planned(engine, tenant, file)
    assert.deepEqual(
      [first.counts.updated, first.counts.deleted],
      file.options === undefined ? [2, 0] : [0, 2],
      JSON.stringify(await ofPlan(engine, first.runId)),
    )
    assert.equal(second.hash, first.hash, JSON.stringify(file))
  }
})
