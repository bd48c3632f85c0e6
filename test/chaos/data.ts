/** Nothing lost, nothing twice, nothing untrue: connections that break, APIs that die, people who edit, cancel and do things at once. */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { decodeId, encodeId } from '../../src/ids.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import { type Cut, CuttingProxy, isCommit } from '../helpers/cutting-proxy.js'
import { Engine } from '../helpers/engine.js'
import { contactsWithRepeats, contactUpsert, newContacts, type TestFile, updatesOf } from '../helpers/files.js'
import { Random } from '../helpers/random.js'
import { differences, eventFaults, sinceSnapshot, snapshot } from './compare.js'
import { type Data, Front } from './front.js'
import type { House } from './house.js'
import { quantile, settledAtLeast } from './kills.js'
import { prepare, type Reference, type Result } from './scenarios.js'

const CREATE =
  'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code message } } }'

/** Cuts connections right when a settlement is on its way with its COMMIT, until there were so many cuts. */
export async function connectionCuts(house: House, seed: number, count: number): Promise<Result> {
  // Two of five commits are cut.
  const file = contactsWithRepeats(seed, count * 250)
  const engine = await Engine.start(house.db, { chunkRows: 100 })
  const wrong: string[] = []
  const random = new Random(seed)
  const prepared = async () => {
    const tenantId = await engine.tenant()
    await engine.import(tenantId, { type: 'contact', ...newContacts(seed, updatesOf(file.rows)) })
    return { tenantId, runId: await engine.createRun(tenantId, { type: 'contact', ...file }) }
  }
  const expected = await prepared()
  await engine.advance(expected.tenantId, expected.runId)
  const found = await prepared()
  const proxy = await CuttingProxy.start(house.db.workerUrl, (data) =>
    isCommit(data) && random.chance(0.4)
      ? random.pick<Cut>(['before the server hears of it', 'before its answer arrives', 'before its answer arrives'])
      : null,
  )
  try {
    const context = { ...engine.context, databaseUrl: proxy.through(house.db.workerUrl) }
    for (let left = true; left; ) {
      await engine.rows("update run_wakeup set due_at = now() - interval '1 second' where run_id = $1", [found.runId])
      await advanceRun(context, found)
      left = (await engine.rows('select 1 from run_wakeup where run_id = $1', [found.runId])).length > 0
    }
    wrong.push(...(await differences(house, 'contact', expected, found)))
    wrong.push(...(await eventFaults(house, found.tenantId)))
  } finally {
    await proxy.close()
    await engine.close()
  }
  const unknown = proxy.cuts.filter((cut) => cut === 'before its answer arrives').length
  if (proxy.cuts.length < count || unknown < count / 2) {
    wrong.push(`there were ${proxy.cuts.length} cuts, ${unknown} of them behind the COMMIT`)
  }
  return {
    name: 'connections cut around COMMIT [CS-3]',
    faults: wrong,
    figures: { rows: file.rows, cuts: proxy.cuts.length, 'behind the COMMIT': unknown },
  }
}

/** Kills the API while a client uploads and starts imports, and asks again with its key until there is an answer. */
export async function apiKills(house: House, seed: number, count: number): Promise<Result> {
  const random = new Random(seed * 67)
  await house.hire()
  const front = await Front.open(house)
  const tenantId = await house.tenant('api kills')
  const token = await front.token(tenantId)
  const wrong: string[] = []
  const runs = new Set<string>()
  let kills = 0
  try {
    for (let n = 0; kills < count; n++) {
      const csv = `Mail\n${Array.from({ length: 200 }, (_, i) => `k${n}-${i}@example.com`).join('\n')}\n`
      const input = {
        recordType: 'CONTACT',
        idempotencyKey: `kill ${n}`,
        mapping: [{ column: 'Mail', field: 'email' }],
      }
      const asking = front.ask(token, CREATE, { input }, csv)
      const { process } = front
      await process.ready.catch(() => undefined)
      await pause(random.below(40))
      if (!process.ended) {
        process.signal('SIGKILL')
        kills += 1
      }
      const first: Data = await asking
      // A client that has lost the answer asks once more.
      const second: Data = await front.ask(token, CREATE, { input }, csv)
      const id = first.importCreate.importRun?.id as string | undefined
      if (id === undefined || second.importCreate.importRun?.id !== id) {
        wrong.push(`key ${n}: ${JSON.stringify([first, second])}`)
      } else {
        runs.add(id)
      }
    }
    for (const id of runs) {
      await house.ended(tenantId, decodeId('run', id))
    }
  } finally {
    await front.close()
    await house.dismiss()
  }
  const made = await house.one<{ runs: number; records: number; forever: number }>(
    `select (select count(*)::int from run where tenant_id = $1) as runs, (select count(*)::int from contact where tenant_id = $1) as records,
       (select count(*)::int from source_file where tenant_id = $1 and expires_at is null) as forever`,
    [tenantId],
  )
  if (made.runs !== runs.size || made.records !== runs.size * 200 || made.forever > 0) {
    wrong.push(`${runs.size} keys made ${JSON.stringify(made)}`)
  }
  return {
    name: 'kill -9 of the API during uploads [CS-5]',
    faults: wrong,
    figures: { kills, keys: runs.size, 'asked again': front.retries },
  }
}

/** Imports the same people twice at once. */
export async function samePeople(house: House, seed: number, rows: number): Promise<Result> {
  await house.hire()
  const tenantId = await house.tenant('same people')
  const file = byMail(newContacts(seed, rows))
  const started = performance.now()
  const runs = await Promise.all([1, 2].map(() => house.startImport(tenantId, 'contact', file)))
  const wrong: string[] = []
  for (const runId of runs) {
    const { status } = await house.ended(tenantId, runId)
    wrong.push(...(status === 'COMPLETED' ? [] : [`an import is ${status}`]))
  }
  const seconds = (performance.now() - started) / 1000
  const counted = await house.one<{ records: number; mails: number; issues: number; created: number }>(
    `select (select count(*)::int from contact where tenant_id = $1 and deleted_at is null) as records,
       (select count(distinct email)::int from contact where tenant_id = $1 and deleted_at is null) as mails,
       (select count(*)::int from run_issue where tenant_id = $1 and code <> 'POSSIBLE_DUPLICATE') as issues,
       (select sum(created)::int from run where tenant_id = $1) as created`,
    [tenantId],
  )
  if (counted.records !== rows || counted.mails !== rows || counted.created !== rows || counted.issues > 0) {
    wrong.push(`${rows} people became ${JSON.stringify(counted)}`)
  }
  wrong.push(...(await eventFaults(house, tenantId)))
  await house.dismiss()
  return {
    name: 'two imports of the same people at once [DL-10]',
    faults: wrong,
    figures: { rows, ...counted, seconds: Math.round(seconds) },
  }
}

/** The file without its ids: people are told by their mail alone. */
function byMail({ csv, map, rows }: TestFile): TestFile {
  const { Id: _, ...rest } = map
  return { csv, map: rest, rows }
}

/** People edit records while an import changes them: what it notes as the value before is what it has overwritten. */
export async function truthOfChanges(house: House, reference: Reference, editors: number): Promise<Result> {
  await house.hire()
  const tenantId = await prepare(house, 'editors', reference.base)
  // The oracle: every version of every record, as the database itself saw it go.
  await house.rows(
    `create table if not exists chaos.history (tenant_id uuid, id uuid, version bigint, old jsonb, primary key (id, version))`,
  )
  await house.rows(
    `create or replace function chaos.remember() returns trigger language plpgsql security definer as $$
     begin insert into chaos.history values (old.tenant_id, old.id, old.version, to_jsonb(old)); return null; end $$`,
  )
  await house.rows(
    `create trigger chaos_remember after update on contact for each row when (old.version is distinct from new.version) execute function chaos.remember()`,
  )
  const wrong: string[] = []
  let edits = 0
  const runId = await house.startImport(tenantId, reference.type, reference.file)
  try {
    await settledAtLeast(house, [{ tenantId, runId, rows: reference.rows }], 1)
    let over = false
    const edit = async (n: number) => {
      const client = new pg.Client({ connectionString: house.db.ownerUrl, options: '-c search_path=portage' })
      await client.connect()
      const random = new Random(reference.seed * 71 + n)
      while (!over) {
        const { rowCount } = await client.query(
          `update contact set last_name = $2, city = $3 where tenant_id = $1 and external_id = $4`,
          [tenantId, `Edited ${n} ${edits}`, `Place ${edits}`, `p${random.below(updatesOf(reference.rows))}`],
        )
        edits += rowCount ?? 0
      }
      await client.end()
    }
    const editing = Promise.all(Array.from({ length: editors }, (_, n) => edit(n)))
    const { status } = await house.ended(tenantId, runId)
    over = true
    if (!status.startsWith('COMPLETED')) {
      const { reason } = await house.one<{ reason: string }>(
        'select status_reason::text as reason from run where tenant_id = $1 and id = $2',
        [tenantId, runId],
      )
      wrong.push(`the import is ${status}: ${reason}; ${house.crew.output.slice(-3000)}`)
    }
    await editing
  } finally {
    await house.rows('drop trigger if exists chaos_remember on contact')
  }
  const untrue = await house.rows<{ fault: string }>(
    `select format('row %s: noted %s at version %s, it was %s', c.row_number, c.before, c.before_version, h.old) as fault
     from run_change c left join chaos.history h on h.id = c.record_id and h.version = c.before_version
     where c.tenant_id = $1 and c.run_id = $2 and (h.id is null or exists (
       select from jsonb_each(c.before) b where (h.old -> b.key) is distinct from b.value)) limit 3`,
    [tenantId, runId],
  )
  wrong.push(...untrue.map(({ fault }) => fault.slice(0, 800)))
  const counted = await house.one<{ changes: number; created: number; made: number; updated: number; met: number }>(
    `select (select count(*)::int from run_change where tenant_id = $1 and run_id = $2) as changes,
       r.created::int as created, r.updated::int as updated,
       (select count(*)::int from contact where tenant_id = $1 and created_run_id = $2) as made,
       (select count(*)::int from run_change c join chaos.history h on h.id = c.record_id and h.version < c.before_version
          and h.old ->> 'last_name' like 'Edited%' where c.tenant_id = $1 and c.run_id = $2) as met
     from run r where r.tenant_id = $1 and r.id = $2`,
    [tenantId, runId],
  )
  if (counted.made !== counted.created || counted.changes !== counted.updated) {
    wrong.push(`outcomes are not what was done: ${JSON.stringify(counted)}`)
  }
  if (edits < 100) {
    wrong.push(`there were ${edits} edits only`)
  }
  await house.dismiss()
  return {
    name: 'values before while people edit [DL-4]',
    faults: wrong,
    figures: { rows: reference.rows, editors, edits, changes: counted.changes, created: counted.created },
  }
}

const CANCEL = 'mutation ($input: RunInput!) { runCancel(input: $input) { userErrors { code message } } }'
const ROLL_BACK =
  'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { code message } } }'

/** A cancel takes effect within this. */
const CANCELED_MS = 2000

/** Cancels imports at random moments: it is soon, exact, and what had landed can be undone. */
export async function cancels(house: House, seed: number, count: number, rows: number): Promise<Result> {
  const random = new Random(seed * 73)
  await house.hire({ PORTAGE_CHUNK_ROWS: '250' })
  const front = await Front.open(house)
  const wrong: string[] = []
  const times: number[] = []
  let undone = 0
  try {
    const tenantId = await house.tenant('cancels')
    const token = await front.token(tenantId)
    await house.import(tenantId, 'contact', newContacts(seed, updatesOf(rows)))
    const before = await snapshot(house, 'contact', tenantId)
    for (let i = 0; i < count; i++) {
      const runId = await house.startImport(tenantId, 'contact', contactUpsert(seed + i, rows))
      await settledAtLeast(house, [{ tenantId, runId, rows }], random.below(Math.floor(rows * 0.8)))
      const at = performance.now()
      await front.ask(token, CANCEL, { input: { runId: encodeId('run', runId) } })
      const { status } = await house.ended(tenantId, runId)
      times.push(performance.now() - at)
      const run = await house.one<{ exact: boolean; landed: number }>(
        `select r.total = r.created + r.updated + r.unchanged + r.skipped + r.failed + r.deleted + r.unprocessed
             and r.created = (select count(*) from contact c where c.tenant_id = $1 and c.created_run_id = $2)
             and r.updated = (select count(*) from run_change c where c.tenant_id = $1 and c.run_id = $2) as exact,
           (r.created + r.updated)::int as landed from run r where r.tenant_id = $1 and r.id = $2`,
        [tenantId, runId],
      )
      if (!run.exact || !/^(CANCELED|COMPLETED)/.test(status)) {
        wrong.push(`cancel ${i}: ${status}, ${JSON.stringify(run)}`)
      }
      if (run.landed > 0) {
        const { runRollback } = await front.ask(token, ROLL_BACK, {
          input: { runId: encodeId('run', runId), idempotencyKey: `undo ${i}` },
        })
        await house.ended(tenantId, decodeId('run', runRollback.rollbackRun.id as string))
        undone += 1
        wrong.push(...(await sinceSnapshot(house, 'contact', tenantId, before, [], 'last_name')))
      }
    }
    wrong.push(...(await eventFaults(house, tenantId)))
  } finally {
    await front.close()
    await house.dismiss()
  }
  const slowest = quantile(times, 1) ?? 0
  if (slowest > CANCELED_MS) {
    wrong.push(`a cancel took ${Math.round(slowest)} ms`)
  }
  return {
    name: 'cancels at random moments [DL-6]',
    faults: wrong,
    figures: {
      rows,
      cancels: times.length,
      undone,
      'canceled p50 ms': Math.round(quantile(times, 0.5) ?? 0),
      'canceled max ms': Math.round(slowest),
    },
  }
}

/** Random small files under random options: whatever a run says, it adds up, and the database would not have it otherwise. */
export async function conservation(house: House, seed: number, count: number): Promise<Result> {
  const engine = await Engine.start(house.db, { chunkRows: 100 })
  const wrong: string[] = []
  const tally: Record<string, number> = {}
  try {
    const tenantId = await engine.tenant()
    for (let i = 0; i < count; i++) {
      const random = new Random(seed * 1009 + i)
      const rows = Array.from({ length: random.below(30) + 1 }, () =>
        [
          random.chance(0.8) ? `c${random.below(200)}` : '',
          random.pick(['', 'no-mail', `c${random.below(200)}@example.com`]),
          random.pick(['Ada', '', '"un"quoted', 'Björn']),
          ...(random.chance(0.05) ? ['one too many'] : []),
        ].join(','),
      )
      const run = await engine.import(tenantId, {
        type: 'contact',
        csv: `Id,Mail,Last\n${rows.join('\n')}\n`,
        map: { Id: 'externalId', Mail: 'email', Last: 'lastName' },
        options: {
          operation: random.pick(['UPSERT', 'UPSERT', 'UPDATE_ONLY', 'DELETE'] as const),
          onDuplicate: random.pick(['UPDATE', 'SKIP', 'FILL_BLANKS', 'FAIL'] as const),
          onInvalidRow: random.pick(['SKIP_ROW', 'SKIP_ROW', 'FAIL_RUN'] as const),
        },
      })
      tally[run.status] = (tally[run.status] ?? 0) + 1
    }
    const ended = await engine.rows<{ runs: number; wrong: number }>(
      `select count(*)::int as runs, (count(*) filter (where total <> created + updated + unchanged + skipped + failed + deleted + unprocessed
           or rows_read <> created + updated + unchanged + skipped + failed + deleted))::int as wrong from run where tenant_id = $1`,
      [tenantId],
    )
    if (ended[0]?.runs !== count || ended[0].wrong > 0) {
      wrong.push(`of ${ended[0]?.runs} runs ${ended[0]?.wrong} do not add up`)
    }
    wrong.push(...(await eventFaults(engine, tenantId)))
    const refused = await engine
      .rows('update run set created = created + 1 where tenant_id = $1 and finished_at is not null', [tenantId])
      .then(
        () => false,
        (error: unknown) => error instanceof pg.DatabaseError,
      )
    if (!refused) {
      wrong.push('the database takes an ended run that does not add up')
    }
  } finally {
    await engine.close()
  }
  return { name: 'random runs add up [DL-1]', faults: wrong, figures: { runs: count, ...tally } }
}
