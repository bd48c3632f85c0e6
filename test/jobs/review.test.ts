/** Corners in which the outcome of an import depended on chunk borders, on a crash, or on who else was at work. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { withTenant } from '../../src/db/tx.js'
import { startRollback } from '../../src/runs/rollback.js'
import type { RunRow } from '../../src/runs/types.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine, type EngineOptions, type ImportRequest } from '../helpers/engine.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 1000 })
})
after(async () => {
  await engine.close()
  await db.drop()
})

const map = { Id: 'externalId', Mail: 'email', Last: 'lastName' }

const rollBack = async (tenant: string, runId: string): Promise<RunRow> => {
  const id = await engine.context.control.use((lane) =>
    withTenant(lane, tenant, (tx) => startRollback(tx, { runId, onConflict: 'KEEP', actor: 'test' })),
  )
  return engine.advance(tenant, id)
}

/** Outcomes of the last import when the same imports run on an engine of its own. */
async function countsWith(options: EngineOptions, imports: readonly ImportRequest[]) {
  const own = await Engine.start(db, options)
  try {
    const tenant = await own.tenant()
    let last: RunRow | null = null
    for (const request of imports) {
      last = await own.import(tenant, request)
    }
    return last?.counts
  } finally {
    await own.close()
  }
}

const rowByRow: EngineOptions = { chunkRows: 1, chunksInFlight: 1 }
const atOnce: EngineOptions = { chunkRows: 1000, chunksInFlight: 1 }

test('a run that used up its attempts can still be canceled', async () => {
  const tenant = await engine.tenant()
  const id = await engine.createRun(tenant, { type: 'contact', csv: 'Id,Mail,Last\na,a@example.com,A\n', map })
  await engine.rows("update run set status = 'CANCELING', attempts = 8 where id = $1", [id])
  assert.equal((await engine.advance(tenant, id)).status, 'CANCELED')
})

test('three imports are undone one after the other, newest first', async () => {
  const tenant = await engine.tenant()
  const runs: string[] = []
  for (const change of ['', 'x', 'y']) {
    const csv = `Id,Mail,Last\na,a@example.com,A${change}\nb,b@example.com,B${change}\n`
    runs.push((await engine.import(tenant, { type: 'contact', csv, map })).id)
  }
  for (const id of runs.toReversed()) {
    const rollback = await rollBack(tenant, id)
    assert.deepEqual([rollback.status, rollback.counts.kept], ['COMPLETED', 0])
  }
})

test('DELETE deletes side by side and creates nothing, whatever onDuplicate says', async () => {
  const own = await Engine.start(db, { chunkRows: 20, chunksInFlight: 2 })
  try {
    const tenant = await own.tenant()
    const all = Array.from({ length: 380 }, (_, i) => i)
    const people = all.map((i) => `x${i},m${i}@example.com,L`).join('\n')
    await own.import(tenant, { type: 'contact', csv: `Id,Mail,Last\n${people}\n`, map })
    const rows: string[] = []
    for (let from = 0; from < all.length; from += 19) {
      const part = all.slice(from, from + 19)
      rows.push(...part.map((i) => `x${i},,L`), `x${from},,L`, ...part.map((i) => `,m${i}@example.com,L`))
      rows.push(`,m${from}@example.com,L`)
    }
    const options = { operation: 'DELETE', onDuplicate: 'SKIP' } as const
    const run = await own.import(tenant, { type: 'contact', csv: `Id,Mail,Last\n${rows.join('\n')}\n`, map, options })
    assert.deepEqual([run.counts.created, run.counts.deleted], [0, 380])
  } finally {
    await own.close()
  }
})

test('a record that somebody deletes meanwhile is not counted as created by a DELETE', async () => {
  const tenant = await engine.tenant()
  const csv = 'Id,Mail,Last\nk,k@example.com,K\n'
  await engine.import(tenant, { type: 'contact', csv, map })
  const other = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await other.connect()
  await other.query('begin')
  await other.query('update contact set deleted_at = now() where tenant_id = $1', [tenant])
  const id = await engine.createRun(tenant, { type: 'contact', csv, map, options: { operation: 'DELETE' } })
  const work = engine.advance(tenant, id)
  for (let waiting = false; !waiting; ) {
    const rows = await engine.rows(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and application_name like 'portage lane%'`,
    )
    waiting = rows.length > 0
  }
  await other.query('commit')
  await other.end()
  assert.equal((await work).counts.created, 0)
})

test('a failed row leaves no identity and no change behind', async () => {
  const tenant = await engine.tenant()
  const options = { sourceSystem: 'alpha' }
  await engine.import(tenant, { type: 'contact', csv: 'Id,Mail,Last\nA1,a@example.com,A\n', map, options })
  const run = await engine.import(tenant, {
    type: 'contact',
    csv: 'Id,Mail,Last,Org\nB9,a@example.com,A,nowhere\n',
    map: { ...map, Org: 'organization.externalId' },
    options: { sourceSystem: 'beta' },
  })
  assert.equal(run.counts.failed, 1)
  assert.deepEqual(await engine.rows('select * from record_identity where tenant_id = $1', [tenant]), [])
  assert.deepEqual(await engine.rows('select * from run_change where run_id = $1', [run.id]), [])
})

test('a relation finds a record by its further identity', async () => {
  const tenant = await engine.tenant()
  for (const [sourceSystem, id] of [
    ['alpha', 'A1'],
    ['beta', 'B9'],
  ] as const) {
    const csv = `Id,Mail,Last\n${id},a@example.com,A\n`
    await engine.import(tenant, { type: 'contact', csv, map, options: { sourceSystem } })
  }
  const run = await engine.import(tenant, {
    type: 'activity',
    csv: 'Subject,Type,Who\nHi,CALL,B9\n',
    map: { Subject: 'subject', Type: 'type', Who: 'contact.externalId' },
    options: { sourceSystem: 'beta' },
  })
  assert.deepEqual([run.counts.created, run.counts.failed], [1, 0])
})

test('an undone import takes its identities with it', async () => {
  const tenant = await engine.tenant()
  const request: ImportRequest = {
    type: 'contact',
    csv: 'Id,Sys,Mail,Last\nA1,alpha,a@example.com,A\nB9,beta,a@example.com,A\n',
    map: { ...map, Sys: 'sourceSystem' },
  }
  const first = await engine.import(tenant, request)
  await rollBack(tenant, first.id)
  const second = await engine.import(tenant, request)
  assert.deepEqual(second.counts, first.counts, 'the same file means the same again')
})

test('a limit that stopped the run stops it also when the worker died before saying so', async () => {
  await engine.rows('create sequence ending')
  await engine.rows(`create function dies_once() returns trigger language plpgsql security definer as $$ begin
    if old.status = 'RUNNING' and new.status in ('FAILED', 'COMPLETED_WITH_ERRORS') and nextval('portage.ending') = 1 then
      raise exception 'the worker dies here'; end if; return new; end $$`)
  await engine.rows('create trigger dies_once before update on run for each row execute function dies_once()')
  try {
    const tenant = await engine.tenant()
    const rows = Array.from({ length: 300 }, (_, i) => `o${i},${i === 20 ? 'bad' : `o${i}@example.com`},L${i}`)
    const csv = `Id,Mail,Last\n${rows.join('\n')}\n`
    for (const options of [{ onInvalidRow: 'FAIL_RUN' }, { maxFailedRows: 0 }] as const) {
      await engine.rows("select setval('ending', 1, false)")
      const run = await engine.import(tenant, { type: 'contact', csv, map, options })
      assert.equal(run.status, 'FAILED', JSON.stringify(options))
    }
  } finally {
    await engine.rows('drop trigger dies_once on run')
  }
})

test('allOrNothing undoes an import that fails in the middle', async () => {
  const own = await Engine.start(db, { chunkRows: 50 })
  await own.rows(`create function never() returns trigger language plpgsql as $$ begin
    if new.external_id = 'never150' then raise exception 'no' using errcode = 'XX000'; end if; return new; end $$`)
  await own.rows('create trigger never before insert on contact for each row execute function never()')
  try {
    const tenant = await own.tenant()
    const rows = Array.from({ length: 300 }, (_, i) => `never${i},n${i}@example.com,L${i}`)
    const csv = `Id,Mail,Last\n${rows.join('\n')}\n`
    const run = await own.import(tenant, { type: 'contact', csv, map, options: { allOrNothing: true } })
    assert.ok(run.counts.created > 0)
    assert.equal(run.status, 'ROLLING_BACK')
  } finally {
    await own.rows('drop trigger never on contact')
    await own.close()
  }
})

test('a chunk that changes nothing keeps its warnings', async () => {
  const tenant = await engine.tenant()
  const request: ImportRequest = {
    type: 'contact',
    csv: 'Id,Last,Owner\na,A,gone@example.com\nb,B,gone@example.com\n',
    map: { Id: 'externalId', Last: 'lastName', Owner: 'ownerEmail' },
  }
  await engine.import(tenant, request)
  const again = await engine.import(tenant, request)
  assert.equal(again.counts.unchanged, 2)
  const issues = await engine.rows<{ code: string }>('select code from run_issue where run_id = $1', [again.id])
  assert.deepEqual(
    issues.map((issue) => issue.code),
    ['OWNER_NOT_FOUND', 'OWNER_NOT_FOUND'],
  )
})

const sameForEveryChunkSize: { name: string; imports: ImportRequest[] }[] = [
  {
    name: 'a relation by a field that is no match rule',
    imports: [
      {
        type: 'contact',
        csv: 'Id,Name,Mail,Org\nc1,Acme,acme@example.com,\nc2,Ann Ode,ann@example.com,acme@example.com\n',
        map: { Id: 'externalId', Name: 'displayName', Mail: 'email', Org: 'organization.email' },
        options: { matchOn: [['externalId']] },
      },
    ],
  },
  {
    name: 'a relation by a value that an earlier row takes away',
    imports: ['1,Acme,old@example.com,\n', '1,Acme,new@example.com,\n2,Ann,ann@example.com,old@example.com\n'].map(
      (rows) => ({
        type: 'contact' as const,
        csv: `Id,Name,Mail,Org\n${rows}`,
        map: { Id: 'externalId', Name: 'displayName', Mail: 'email', Org: 'organization.email' },
      }),
    ),
  },
  {
    name: 'a match rule of two fields, one of them built',
    imports: [
      {
        type: 'contact',
        csv: 'Mail,Full,Last\na@example.com,Ann Ode,\na@example.com,,Ode\n',
        map: { Mail: 'email', Full: 'displayName', Last: 'lastName' },
        options: { matchOn: [['email', 'lastName']] },
      },
    ],
  },
  {
    name: 'a match rule of two fields, one of them changed by an earlier row',
    imports: ['1,a@example.com,X\n', '1,,Y\n,a@example.com,Y\n'].map((rows) => ({
      type: 'contact' as const,
      csv: `Id,Mail,Last\n${rows}`,
      map,
      options: { matchOn: [['externalId'], ['email', 'lastName']] },
    })),
  },
  {
    name: 'UPDATE_ONLY of a row that has neither record nor relation',
    imports: [
      { type: 'contact', csv: 'Id,Last,Org\nk,K,\n', map: { Id: 'externalId', Last: 'lastName' } },
      {
        type: 'contact',
        csv: 'Id,Last,Org\nzz,Z,nowhere\nk,K2,\n',
        map: { Id: 'externalId', Last: 'lastName', Org: 'organization.externalId' },
        options: { operation: 'UPDATE_ONLY' },
      },
    ],
  },
]

for (const { name, imports } of sameForEveryChunkSize) {
  test(`${name} means the same in chunks of any size`, async () => {
    assert.deepEqual(await countsWith(atOnce, imports), await countsWith(rowByRow, imports))
  })
}
