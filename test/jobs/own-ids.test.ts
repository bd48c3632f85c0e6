/** Rows that mean records by their ids and by other keys in turns: chunks, lanes and plans of every size come to the same. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { comparable, confirm, ofPlan, ofRun, planOf } from '../helpers/plans.js'
import { Random } from '../helpers/random.js'

const RECORDS = 9
const ROWS = 40

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

const map = {
  id: 'id',
  externalId: 'externalId',
  email: 'email',
  displayName: 'displayName',
  jobTitle: 'jobTitle',
  'organization.id': 'organization.id',
}

/** A file over records that are told by their numbers: which tenant it is for decides the ids. */
function file(random: Random): (idOf: (record: number) => string) => string {
  const rows = Array.from({ length: ROWS }, (_, row) => {
    const record = random.below(RECORDS + 2)
    const by = random.below(4)
    const email = random.below(RECORDS + 3)
    return (idOf: (record: number) => string) =>
      [
        by === 0 || by === 3 ? idOf(record) : '',
        by === 1 ? `X${record}` : '',
        by === 2 || (row % 7 === 0 && by !== 1) ? `p${email}@example.com` : '',
        `Name ${row}`,
        row % 3 === 0 ? `Job ${row % 4}` : '',
        row % 5 === 0 ? idOf((record + row) % RECORDS) : '',
      ].join(',')
  })
  return (idOf) => [Object.keys(map).join(','), ...rows.map((row) => row(idOf))].join('\n')
}

async function tenantWith(engine: Engine): Promise<{ tenant: string; ids: string[] }> {
  const tenant = await engine.tenant()
  const lines = Array.from(
    { length: RECORDS },
    (_, at) => `${at % 2 === 0 ? `X${at}` : ''},p${at}@example.com,Old ${at}`,
  )
  await engine.import(tenant, {
    type: 'contact',
    csv: `externalId,email,displayName\n${lines.join('\n')}\n`,
    map: { externalId: 'externalId', email: 'email', displayName: 'displayName' },
  })
  const found = await engine.rows<{ id: string }>(
    `select id from contact where tenant_id = $1 order by split_part(display_name, ' ', 2)::int`,
    [tenant],
  )
  return { tenant, ids: found.map(({ id }) => id) }
}

/** Records without their ids, with their organizations by number of the record. */
async function stateOf(engine: Engine, tenant: string, ids: readonly string[]): Promise<unknown> {
  const records = await engine.rows<{ id: string; organization_id: string | null }>(
    `select id, external_id, email, display_name, job_title, organization_id, version, created_row from contact where tenant_id = $1
     order by created_run_id is null, created_row, display_name`,
    [tenant],
  )
  return records
    .map(({ id, organization_id, ...rest }) => ({
      ...rest,
      known: ids.indexOf(id),
      organization: organization_id === null ? null : ids.indexOf(organization_id),
    }))
    .toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))
}

for (const seed of [1, 2]) {
  test(`rows by ids and by other keys come to the same in chunks of every size, planned or not (seed ${seed})`, async () => {
    const csv = file(new Random(seed))
    let expected: unknown = null
    for (const chunkRows of [4, 7, 1000]) {
      const engine = await Engine.start(db, { chunkRows })
      try {
        const { tenant, ids } = await tenantWith(engine)
        const idOf = (record: number) => ids[record] ?? `0192f0aa-1111-7abc-8def-00000000000${record}`
        const planned = chunkRows !== 7
        const request = { type: 'contact', csv: csv(idOf), map } as const
        const run = await engine.import(tenant, { ...request, confirmation: planned ? 'ASK' : 'ALWAYS' })
        let plan: unknown = null
        if (planned) {
          assert.equal(run.status, 'AWAITING_CONFIRMATION', JSON.stringify(run.statusReason))
          plan = comparable(await ofPlan(engine, run.id))
          await confirm(engine, tenant, run.id, (await planOf(engine, run.id)).hash)
          await engine.advance(tenant, run.id)
        }
        const done = comparable(await ofRun(engine, run.id)).map((row) => ({
          ...row,
          issues: row.issues?.replaceAll(/con_\w+/g, 'an id') ?? null,
        }))
        if (plan !== null) {
          assert.deepEqual(
            (plan as typeof done).map((row) => ({
              ...row,
              issues: row.issues?.replaceAll(/con_\w+/g, 'an id') ?? null,
            })),
            done,
            `plan and run in chunks of ${chunkRows}`,
          )
        }
        const came = {
          done: done.map(({ row, outcome, issues }) => ({ row, outcome, issues })),
          state: await stateOf(engine, tenant, ids),
        }
        expected ??= came
        assert.deepEqual(came, expected, `chunks of ${chunkRows}`)
      } finally {
        await engine.close()
      }
    }
  })
}

test('a file of ids that changes nothing is seen at a glance, planned and run in many chunks', async () => {
  const engine = await Engine.start(db, { chunkRows: 3 })
  try {
    const { tenant, ids } = await tenantWith(engine)
    const csv = [
      'id,externalId,displayName',
      ...ids.map((id, at) => `${id},${at % 2 === 0 ? `X${at}` : ''},Old ${at}`),
    ].join('\n')
    const run = await engine.import(tenant, { type: 'contact', csv, confirmation: 'ASK' })
    assert.deepEqual(
      (await ofPlan(engine, run.id)).map(({ outcome }) => outcome),
      ids.map(() => 'UNCHANGED'),
    )
    await confirm(engine, tenant, run.id, (await planOf(engine, run.id)).hash)
    await engine.advance(tenant, run.id)
    const again = await engine.import(tenant, { type: 'contact', csv })
    for (const id of [run.id, again.id]) {
      assert.deepEqual(
        (await ofRun(engine, id)).map(({ outcome }) => outcome),
        ids.map(() => 'UNCHANGED'),
      )
    }
  } finally {
    await engine.close()
  }
})
