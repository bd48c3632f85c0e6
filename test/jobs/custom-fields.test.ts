/**
 * A custom field goes through the engine as a built-in one does: random files are imported twice, into a built-in field and
 * into custom ones, under every policy, in small chunks two at a time, and everything that can be seen has to be the same.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { withTenant } from '../../src/db/tx.js'
import type { ImportOptions } from '../../src/pipeline/types.js'
import { startRollback } from '../../src/runs/rollback.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { Random } from '../helpers/random.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 10, chunksInFlight: 2 })
})
after(async () => {
  await engine.close()
  await db.drop()
})

const builtIn = {
  Ext: 'externalId',
  Mail: 'email',
  Name: 'displayName',
  Text: 'department',
  Day: 'birthDate',
  Yes: 'notes',
}
const custom = { ...builtIn, Text: 'custom.text', Day: 'custom.day', Yes: 'custom.more' }

function randomCsv(random: Random, count: number): string {
  const rows = Array.from({ length: count }, () =>
    [
      random.chance(0.6) ? `x${random.below(count / 3)}` : '',
      random.chance(0.7) ? `m${random.below(count / 3)}@example.com` : '',
      'N',
      random.pick(['', '', 'a', 'b', 'c', '-']),
      random.pick(['', '-', '2001-02-03', '1999-12-31', 'no day']),
      random.pick(['', 'quote "q"', "it's", 'back\\slash']).replaceAll('"', '""'),
    ]
      .map((cell) => `"${cell}"`)
      .join(','),
  )
  return `Ext,Mail,Name,Text,Day,Yes\n${rows.join('\n')}\n`
}

async function tenantWithFields(): Promise<string> {
  const tenant = await engine.tenant()
  await engine.oracle.query("insert into record_schema (tenant_id, record_type, version) values ($1, 'contact', 1)", [
    tenant,
  ])
  for (const [position, [key, kind]] of [
    ['text', 'TEXT'],
    ['day', 'DATE'],
    ['more', 'LONG_TEXT'],
  ].entries()) {
    await engine.oracle.query(
      `insert into custom_field (tenant_id, id, record_type, key, position, label, kind, from_version, created_by)
       values ($1, $2, 'contact', $3, $4, $3, $5, 1, 'test')`,
      [tenant, randomUUID(), key, position, kind],
    )
  }
  return tenant
}

/** Everything of a tenant that can be told apart, without ids: records, outcomes, changes, conflicts. */
async function seen(tenant: string): Promise<object> {
  const records = await engine.rows<{ line: string }>(
    `select concat_ws('|', created_row, external_id, email, version, deleted_at is null,
       coalesce(department, custom_fields ->> 'text', '-'), coalesce(birth_date::text, custom_fields ->> 'day', '-'),
       coalesce(notes, custom_fields ->> 'more', '-')) as line
     from contact where tenant_id = $1 order by 1`,
    [tenant],
  )
  const rename = (side: string) =>
    `replace(replace(replace(${side}::text, '"custom.text"', '"department"'), '"custom.day"', '"birth_date"'), '"custom.more"', '"notes"')::jsonb`
  const changes = await engine.rows<object>(
    `select row_number::int, ${rename('before')} as before, ${rename('after')} as after, reverted_at is not null as reverted
     from run_change c where tenant_id = $1 order by (select created_at from run r where r.tenant_id = $1 and r.id = c.run_id), row_number`,
    [tenant],
  )
  const rows = await engine.rows<object>(
    `select row_number::int, outcome from run_row c where tenant_id = $1
     order by (select created_at from run r where r.tenant_id = $1 and r.id = c.run_id), row_number`,
    [tenant],
  )
  const conflicts = await engine.rows<object>(
    `select case field when 'custom.text' then 'department' when 'custom.day' then 'birth_date' when 'custom.more' then 'notes' else field end as field,
       row_number::int, before, imported, current from run_conflict where tenant_id = $1 order by row_number, 1`,
    [tenant],
  )
  return { records: records.map(({ line }) => line), changes, rows, conflicts }
}

const policies: { readonly name: string; readonly options: Partial<ImportOptions> }[] = [
  { name: 'UPDATE', options: {} },
  { name: 'UPDATE with CLEAR', options: { onBlank: 'CLEAR' } },
  { name: 'UPDATE with clearText', options: { clearText: '-', onInvalidRow: 'DROP_VALUE' } },
  { name: 'FILL_BLANKS', options: { onDuplicate: 'FILL_BLANKS' } },
  { name: 'UPDATE_ONLY', options: { operation: 'UPDATE_ONLY', onBlank: 'CLEAR' } },
]

for (const { name, options } of policies) {
  test(`${name} does with custom fields what it does with built-in ones, and so does its rollback`, async () => {
    const random = new Random(name.length * 7919)
    const files = [randomCsv(random, 30), randomCsv(random, 30)]
    const edited = random.below(2)
    const results: object[] = []
    for (const map of [builtIn, custom]) {
      const tenant = await tenantWithFields()
      let last = ''
      const counts: object[] = []
      for (const [round, csv] of files.entries()) {
        const run = await engine.import(tenant, { type: 'contact', csv, map, options: round === 0 ? {} : options })
        last = run.id
        counts.push(run.counts)
      }
      const before = await seen(tenant)
      // Somebody edits some records by hand: those fields are kept, the others of the same record go back.
      await engine.oracle.query(
        map === builtIn
          ? `update contact set department = 'edited' where tenant_id = $1 and created_row % 2 = $2`
          : `update contact set custom_fields = custom_fields || '{"text": "edited"}' where tenant_id = $1 and created_row % 2 = $2`,
        [tenant, edited],
      )
      const rollback = await engine.context.control.use((lane) =>
        withTenant(lane, tenant, (tx) => startRollback(tx, { runId: last, onConflict: 'KEEP', actor: 'test' })),
      )
      const undone = await engine.advance(tenant, rollback)
      results.push({ counts, before, status: undone.status, undone: undone.counts, after: await seen(tenant) })
    }
    assert.deepEqual(results[1], results[0])
    const { before, after: afterwards } = results[0] as {
      before: { changes: object[] }
      after: { conflicts: object[] }
    }
    assert.ok(before.changes.length > 5, 'the files changed something')
    assert.notDeepEqual(afterwards, before, 'the rollback did something')
    assert.ok(name !== 'UPDATE' || afterwards.conflicts.length > 0, 'some fields were edited meanwhile')
  })
}
