/** What was approved is what is applied: a plan and its run come to the same for every row, and to something else only where a record has changed since. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { withTenant } from '../../src/db/tx.js'
import type { ImportOptions } from '../../src/pipeline/types.js'
import { requestPlan } from '../../src/runs/plan.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { confirm, ofRun, planOf, runAsPlanned } from '../helpers/plans.js'
import { Random } from '../helpers/random.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
})
after(async () => {
  await db.drop()
})

const map = {
  Ext: 'externalId',
  Mail: 'email',
  Last: 'lastName',
  Dept: 'department',
  Site: 'website',
  Org: 'organization.externalId',
}

/** People who share keys, name bad values, and refer to organizations that may stand anywhere in the file or nowhere. */
function randomFile(random: Random, count: number, start: number): string {
  const rows = Array.from({ length: count }, () =>
    [
      random.chance(0.6) ? `x${start + random.below(count / 2)}` : '',
      random.chance(0.6)
        ? `m${start + random.below(count / 2)}@example.com`
        : random.chance(0.1)
          ? 'not an address'
          : '',
      random.chance(0.9) ? `L${random.below(4)}` : '',
      random.chance(0.5) ? `D${random.below(3)}` : '',
      random.chance(0.1) ? 'https://' : '',
      random.chance(0.2) ? `x${start + random.below(count)}` : '',
    ].join(','),
  )
  return `${Object.keys(map).join(',')}\n${rows.join('\n')}\n`
}

function randomPolicy(random: Random): Partial<ImportOptions> {
  const pick = <T>(...choices: readonly T[]): T => choices[random.below(choices.length)] as T
  return {
    onDuplicate: pick('UPDATE', 'UPDATE', 'FILL_BLANKS', 'SKIP', 'FAIL', 'CREATE'),
    operation: pick('UPSERT', 'UPSERT', 'UPSERT', 'UPDATE_ONLY', 'DELETE'),
    matchOn: pick<string[][]>([], [], [['email']], [['email', 'lastName'], ['externalId']]),
    onInvalidRow: pick('SKIP_ROW', 'DROP_VALUE'),
    onMissingRelation: pick('FAIL_ROW', 'DROP_LINK', null),
    onBlank: pick('KEEP', 'CLEAR'),
  }
}

/** More of them with PORTAGE_TEST_SEEDS, for a night. */
const files = Number(process.env.PORTAGE_TEST_SEEDS ?? 50)

/** Files that come one after the other to the same records: what one leaves is what the next one meets. */
const FILES_OF_A_TENANT = 5

test(`the run of ${files} random files under random policies comes to what their plans say, row by row`, async () => {
  engine = await Engine.start(db, { chunkRows: 12, chunksInFlight: 2 })
  try {
    let tenant = ''
    for (let seed = 1; seed <= files; seed++) {
      const random = new Random(seed * 104_729)
      if ((seed - 1) % FILES_OF_A_TENANT === 0) {
        tenant = await engine.tenant()
        await engine.import(tenant, { type: 'contact', csv: randomFile(random, 25, 0), map })
      }
      const options = randomPolicy(random)
      const where = `seed ${seed}: ${JSON.stringify(options)}`
      await runAsPlanned(engine, tenant, { type: 'contact', csv: randomFile(random, 45, 8), map, options }, where)
    }
  } finally {
    await engine.close()
  }
})

test('the same file over the same records has the same plan hash; another option has another', async () => {
  engine = await Engine.start(db, { chunkRows: 10 })
  try {
    const random = new Random(77)
    const tenant = await engine.tenant()
    await engine.import(tenant, { type: 'contact', csv: randomFile(random, 30, 0), map })
    const csv = randomFile(random, 40, 5)
    const hashes: string[] = []
    for (const options of [{}, {}, { onBlank: 'CLEAR' } as const]) {
      const runId = await engine.createRun(tenant, { type: 'contact', csv, map, options, confirmation: 'ASK' })
      await engine.advance(tenant, runId)
      const { hash } = await planOf(engine, runId)
      hashes.push(hash)
      // Made anew, it is the same.
      await engine.context.control.use((lane) => withTenant(lane, tenant, (tx) => requestPlan(tx, runId)))
      await engine.advance(tenant, runId)
      assert.equal((await planOf(engine, runId)).hash, hash)
    }
    assert.equal(hashes[0], hashes[1])
    assert.notEqual(hashes[0], hashes[2])
    await engine.rows("update contact set department = 'Elsewhere' where tenant_id = $1 and email is not null", [
      tenant,
    ])
    const runId = await engine.createRun(tenant, { type: 'contact', csv, map, confirmation: 'ASK' })
    await engine.advance(tenant, runId)
    assert.notEqual((await planOf(engine, runId)).hash, hashes[0], 'other versions of the records, another hash')
  } finally {
    await engine.close()
  }
})

test('50 records that are edited between plan and run are exactly the drifted ones, and are left as they are', async () => {
  engine = await Engine.start(db, { chunkRows: 100 })
  try {
    const random = new Random(5)
    const tenant = await engine.tenant()
    const people = (value: string) =>
      `Ext,Last,Dept\n${Array.from({ length: 600 }, (_, i) => `p${i},Name ${i},${i % 3 === 0 ? 'Same' : value}`).join('\n')}\n`
    const mapped = { Ext: 'externalId', Last: 'lastName', Dept: 'department' }
    await engine.import(tenant, { type: 'contact', csv: people('Old'), map: mapped })
    for (const onDrift of ['SKIP_ROW', 'APPLY'] as const) {
      const runId = await engine.createRun(tenant, {
        type: 'contact',
        csv: people(`New ${onDrift}`),
        map: mapped,
        options: { onDrift },
        confirmation: 'ASK',
      })
      await engine.advance(tenant, runId)
      const { hash, counts } = await planOf(engine, runId)
      assert.deepEqual([counts.updated, counts.unchanged], [400, 200])
      const edited = new Set<number>()
      while (edited.size < 50) {
        edited.add(random.below(600))
      }
      await engine.rows(
        "update contact set notes = coalesce(notes, '') || 'a word' where tenant_id = $1 and external_id = any ($2)",
        [tenant, [...edited].map((i) => `p${i}`)],
      )
      await confirm(engine, tenant, runId, hash)
      const run = await engine.advance(tenant, runId)
      const drifted = await engine.rows<{ row: number; outcome: string }>(
        `select i.row_number::int as row, r.outcome from run_issue i join run_row r using (run_id, row_number)
         where run_id = $1 and i.code = 'DRIFTED_SINCE_PLAN' order by 1`,
        [runId],
      )
      assert.deepEqual(
        drifted.map(({ row }) => row),
        [...edited].map((i) => i + 2).toSorted((a, b) => a - b),
      )
      if (onDrift === 'SKIP_ROW') {
        assert.ok(drifted.every(({ outcome }) => outcome === 'SKIPPED'))
        assert.deepEqual([run.status, run.counts.skipped], ['COMPLETED', 50])
        assert.equal(run.counts.updated, 400 - [...edited].filter((i) => i % 3 !== 0).length)
      } else {
        assert.deepEqual([run.counts.updated, run.counts.unchanged, run.counts.skipped], [400, 200, 0])
      }
    }
  } finally {
    await engine.close()
  }
})

test('a record that appeared, went, or is no longer related since the plan is a drifted row; FAIL_RUN ends the run', async () => {
  engine = await Engine.start(db, { chunkRows: 100 })
  try {
    const tenant = await engine.tenant()
    const csv = (rows: string[]) => `Ext,Last,Org\n${rows.join('\n')}\n`
    const mapped = { Ext: 'externalId', Last: 'lastName', Org: 'organization.externalId' }
    await engine.import(tenant, { type: 'contact', csv: csv(['there,There,', 'org,Org,']), map: mapped })
    const file = csv(['new,New,', 'there,Changed,', 'member,Member,org', 'other,Other,'])
    for (const onDrift of ['SKIP_ROW', 'FAIL_RUN'] as const) {
      const runId = await engine.createRun(tenant, {
        type: 'contact',
        csv: file,
        map: mapped,
        options: { onDrift },
        confirmation: 'ASK',
      })
      await engine.advance(tenant, runId)
      const { hash, counts } = await planOf(engine, runId)
      assert.deepEqual([counts.created, counts.updated], onDrift === 'SKIP_ROW' ? [3, 1] : [1, 2])
      await engine.import(tenant, {
        type: 'contact',
        csv: csv([onDrift === 'SKIP_ROW' ? 'new,Somebody,' : 'member,Somebody,']),
        map: mapped,
      })
      if (onDrift === 'SKIP_ROW') {
        await engine.rows(
          "update contact set deleted_at = now() where tenant_id = $1 and external_id in ('there', 'org')",
          [tenant],
        )
      }
      await confirm(engine, tenant, runId, hash)
      const run = await engine.advance(tenant, runId)
      if (onDrift === 'SKIP_ROW') {
        assert.deepEqual(
          (await ofRun(engine, runId)).map(({ row, outcome }) => `${row} ${outcome}`),
          ['2 SKIPPED', '3 SKIPPED', '4 SKIPPED', '5 CREATED'],
        )
        await engine.rows(
          "update contact set deleted_at = null where tenant_id = $1 and external_id in ('there', 'org')",
          [tenant],
        )
      } else {
        assert.equal(run.status, 'FAILED')
        assert.equal(run.statusReason?.code, 'DRIFTED_SINCE_PLAN')
        assert.match(run.statusReason?.message ?? '', /Row 4/)
        assert.equal(run.counts.unprocessed, 4)
      }
    }
  } finally {
    await engine.close()
  }
})

test('under IF_NO_ERRORS a clean plan starts by itself, and one with a failing row waits', async () => {
  engine = await Engine.start(db)
  try {
    const tenant = await engine.tenant()
    const mapped = { Last: 'lastName', Mail: 'email' }
    const clean = await engine.import(tenant, {
      type: 'contact',
      csv: 'Last,Mail\nA,a@example.com\n',
      map: mapped,
      confirmation: 'IF_NO_ERRORS',
    })
    assert.equal(clean.status, 'COMPLETED')
    const faulty = await engine.import(tenant, {
      type: 'contact',
      csv: 'Last,Mail\nB,nobody\n',
      map: mapped,
      confirmation: 'IF_NO_ERRORS',
    })
    assert.equal(faulty.status, 'AWAITING_CONFIRMATION')
    assert.match(faulty.statusReason?.message ?? '', /1 of 1 rows will fail/)
    assert.deepEqual(faulty.counts.failed, 0, 'nothing has been done yet')
  } finally {
    await engine.close()
  }
})
