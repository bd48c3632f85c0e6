/** A disk that is full, as PostgreSQL tells of it: nothing of the chunk stays, and the run goes on when there is room. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 100, chunksInFlight: 1 })
  await engine.rows(`create function portage.full_disk() returns trigger language plpgsql as $$
    begin
      if new.external_id = 's250' then
        raise exception 'could not extend file: No space left on device' using errcode = '53100';
      end if;
      return new;
    end $$`)
})
after(async () => {
  await engine.close()
  await db.drop()
})

const csv = `Id,Mail\n${Array.from({ length: 400 }, (_, i) => `s${i},s${i}@example.com`).join('\n')}\n`

test('a chunk that meets a full disk is rolled back, and its run pauses and goes on by itself [CS-8]', async () => {
  const tenant = await engine.tenant()
  await engine.rows(
    'create trigger full_disk before insert on portage.contact for each row execute function portage.full_disk()',
  )
  const runId = await engine.createRun(tenant, { type: 'contact', csv, map: { Id: 'externalId', Mail: 'email' } })
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 20 && (round > 0 || (await engine.run(tenant, runId)).status !== 'PAUSED'); i++) {
      await engine.rows("update run set resume_at = now() - interval '1 second' where id = $1 and status = 'PAUSED'", [
        runId,
      ])
      await engine.step(tenant, runId)
      if ((await engine.run(tenant, runId)).status === 'PAUSED') {
        break
      }
    }
    const run = await engine.run(tenant, runId)
    assert.equal(run.status, 'PAUSED')
    assert.equal(run.statusReason?.code, 'PAUSED_STORAGE')
    assert.equal(run.attempts, 0, 'a full disk is no attempt')
    // Whole chunks of a hundred rows, and no row of the one that failed.
    const [stored] = await engine.rows<{ n: number }>('select count(*)::int as n from contact where tenant_id = $1', [
      tenant,
    ])
    assert.equal(stored?.n, 200)
    assert.equal(run.counts.read, 200)
    const [when] = await engine.rows<{ soon: boolean; woken: boolean }>(
      `select resume_at < clock_timestamp() + interval '30 seconds' as soon, abs(extract(epoch from w.due_at - r.resume_at)) < 0.01 and w.holder is null as woken
       from run r join run_wakeup w on w.run_id = r.id where r.id = $1`,
      [runId],
    )
    assert.deepEqual(when, { soon: true, woken: true })
  }
  await engine.rows('drop trigger full_disk on portage.contact')
  await engine.rows("update run set resume_at = now() - interval '1 second' where id = $1", [runId])
  const run = await engine.advance(tenant, runId)
  assert.equal(run.status, 'COMPLETED')
  assert.equal(run.counts.created, 400)
  assert.equal((await engine.rows('select from contact where tenant_id = $1', [tenant])).length, 400)
})

test('a first look at a file that meets a full disk waits, and is no attempt either', async () => {
  const tenant = await engine.tenant()
  const runId = await engine.createRun(tenant, { type: 'contact', csv, map: { Id: 'externalId', Mail: 'email' } })
  await engine.rows(`create function portage.full_run() returns trigger language plpgsql as $$
    begin
      raise exception 'could not extend file' using errcode = '53100';
    end $$`)
  await engine.rows(
    'create trigger full_run before update of evidence on portage.run for each row when (new.evidence is not null) execute function portage.full_run()',
  )
  for (let i = 0; i < 10; i++) {
    await engine.step(tenant, runId)
    const run = await engine.run(tenant, runId)
    assert.equal(run.status, 'ANALYZING')
    assert.equal(run.attempts, 0)
  }
  await engine.rows('drop trigger full_run on portage.run')
  assert.equal((await engine.advance(tenant, runId)).status, 'COMPLETED')
})
