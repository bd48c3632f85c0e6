/** Migrations under trouble: faults of the service, workers that are killed, services that lie. Each case can be had again by its seed. */
import assert from 'node:assert/strict'
import { randomFaults } from '../simulators/common/faults.js'
import type { LieName, LoggedRequest } from '../simulators/common/types.js'
import type { TestDatabase } from './database.js'
import { Move, type SimulatedVendor } from './move.js'
import { Random } from './random.js'

/** Records of a small account. */
const RECORDS = 30

/**
 * Requests that answer with records and that are in hand at once, at most, and so are asked for again after a kill: a page of
 * HubSpot with its associations to five kinds of records; or the questions that count both lists of deals of Pipedrive.
 */
const IN_HAND = 6

/** Pauses that a person ends at most, one after the other. */
const RESUMES = 20

/** An undisturbed migration of the account. */
export interface Undisturbed {
  readonly records: readonly unknown[]
  /** How often each page of records was asked for while staging. */
  readonly asked: ReadonlyMap<string, number>
}

export async function undisturbed(db: TestDatabase, vendor: SimulatedVendor): Promise<Undisturbed> {
  const move = await Move.start(db, vendor, { records: RECORDS })
  try {
    await move.create()
    const from = move.simulator.requests.length
    await move.ask('STAGE')
    const asked = askedIn(move.simulator.requests.slice(from))
    await move.proven(await move.ask('PROMOTE'))
    return { records: await move.records(), asked }
  } finally {
    await move.close()
  }
}

/** Answers with records, by what was asked. Counting asks for some of what reading asks for as well. */
function askedIn(requests: readonly LoggedRequest[]): Map<string, number> {
  const asked = new Map<string, number>()
  for (const { path, query, rows } of requests) {
    if (rows > 0) {
      const page = `${path}?${new URLSearchParams(query).toString()}`
      asked.set(page, (asked.get(page) ?? 0) + 1)
    }
  }
  return asked
}

/** Goes on as long as pauses say what to do; answers how many there were. */
async function resumed(move: Move): Promise<number> {
  for (let pauses = 0; pauses < RESUMES; pauses++) {
    const run = await move.run()
    if (run.status !== 'PAUSED') {
      return pauses
    }
    assert.ok((run.statusReason?.message.length ?? 0) > 20, 'a pause says what to do')
    await move.resume()
  }
  throw new Error(`paused again and again: ${JSON.stringify((await move.run()).statusReason)}`)
}

/**
 * Random faults of the service from the first request to the proof: in the end the same records are here as without. Answers
 * how many faults happened and how many pauses a person had to end.
 */
export async function faulty(
  db: TestDatabase,
  vendor: SimulatedVendor,
  seed: number,
  expected: Undisturbed,
): Promise<{ readonly faults: number; readonly pauses: number }> {
  const move = await Move.start(db, vendor, { records: RECORDS })
  try {
    const faults = randomFaults(seed, 200)
    move.simulator.script(faults)
    await move.create()
    let pauses = await resumed(move)
    for (const goal of ['STAGE', 'PROMOTE'] as const) {
      await move.ask(goal)
      pauses += await resumed(move)
    }
    await move.proven(await move.run())
    assert.deepEqual(await move.records(), expected.records)
    return { faults: faults.length - move.simulator.pending.length, pauses }
  } finally {
    await move.close()
  }
}

/**
 * A worker that loses all its connections at random moments, `kills` times between staging and proof: the same records are
 * here in the end, and no more was read again than what was in hand. Answers how many kills there were.
 */
export async function killed(
  db: TestDatabase,
  vendor: SimulatedVendor,
  seed: number,
  kills: number,
  expected: Undisturbed,
): Promise<number> {
  const random = new Random(seed)
  const move = await Move.start(db, vendor, { records: RECORDS })
  try {
    await move.create()
    const from = move.simulator.requests.length
    const staging = await move.killing('STAGE', Math.ceil(kills / 2), random)
    const to = move.simulator.requests.length
    const hits = staging + (await move.killing('PROMOTE', kills - staging, random))
    await move.proven(await move.run())
    assert.deepEqual(await move.records(), expected.records)
    const again = [...askedIn(move.simulator.requests.slice(from, to))].flatMap(([page, times]) => {
      const more = times - (expected.asked.get(page) ?? 1)
      return more > 0 ? [{ page, more }] : []
    })
    // Objects are read one after the other: a kill meets one of them.
    const objects = new Set(again.map(({ page }) => objectIn(vendor, page)))
    assert.ok(
      objects.size <= staging && again.reduce((sum, { more }) => sum + more, 0) <= staging * IN_HAND,
      `more was read again than was in hand at ${staging} kills: ${JSON.stringify(again)}`,
    )
    return hits
  } finally {
    await move.close()
  }
}

/** The object that a page is of: the first that it names; of a job’s results, the job. */
function objectIn(vendor: SimulatedVendor, page: string): string {
  const named = vendor.objects.flatMap(([object]) =>
    page.includes(object) ? [[page.indexOf(object), object] as const] : [],
  )
  return named.toSorted(([one], [other]) => one - other)[0]?.[1] ?? page
}

/** How a value is damaged, by the type of its column; `$v` is the value. */
const damages: Readonly<Record<string, string>> = {
  text: 'left($v, length($v) - 1)',
  date: '$v + 1',
  'timestamp with time zone': "$v + interval '1 hour'",
  numeric: '$v + 0.01',
  integer: '$v + 1',
  boolean: 'not $v',
  uuid: 'null',
}

/**
 * Damages so many fields, each of another record, of a migration that is proven: texts that lost their end, dates and times that
 * moved, amounts, switches, relations and owners that are gone. Answers `object/id column` of each.
 */
export async function damage(move: Move, seed: number, wanted: number): Promise<string[]> {
  const random = new Random(seed)
  const { engine, tenant } = move
  const columns = await engine.rows<{ table: string; column: string; type: string }>(
    `select table_name as table, column_name as column, data_type as type from information_schema.columns
     where table_schema = 'portage' and table_name in ('contact', 'lead', 'property', 'activity')`,
  )
  const said = await engine.rows<{ table: string; id: string; system: string; columns: string[] }>(
    // The columns of the fields that the source said something of.
    `select b.record_type as table, b.external_id as id, b.source_system as system,
       array(select case k when 'ownerEmail' then 'owner_member_id' when 'contact' then 'contact_id' when 'organization' then 'organization_id'
         when 'lead' then 'lead_id' when 'property' then 'property_id' else regexp_replace(k, '([A-Z])', '_\\1', 'g') end
         from jsonb_object_keys(b.said) k) as columns
     from source_base b where b.tenant_id = $1 order by b.source_system, b.external_id`,
    [tenant],
  )
  const planted: string[] = []
  await engine.oracle.query("set session_replication_role = 'replica'")
  while (planted.length < wanted && said.length > 0) {
    const [record] = said.splice(random.below(said.length), 1)
    const candidates = columns.filter(
      ({ table, column, type }) =>
        table === record?.table && damages[type] !== undefined && record.columns.includes(column.toLowerCase()),
    )
    if (record === undefined || candidates.length === 0) {
      continue
    }
    const { column, type } = random.pick(candidates)
    const value = (damages[type] ?? '').replaceAll('$v', column)
    const changed = await engine.oracle
      .query(
        `update ${record.table} set ${column} = ${value} where tenant_id = $1 and source_system = $2 and external_id = $3
           and ${column} is not null and (${value}) is distinct from ${column}`,
        [tenant, record.system, record.id],
      )
      // Some values have rules; such a field is left alone.
      .catch(() => ({ rowCount: 0 }))
    if (changed.rowCount === 1) {
      planted.push(`${record.system.split('/').at(-1)}/${record.id} ${column}`)
    }
  }
  await engine.oracle.query("set session_replication_role = 'origin'")
  return planted
}

/**
 * Changes of the source, some of which show only later than their time says, more while they are read, and deletions: after
 * passes that follow nothing is missing, and another pass over nothing new changes no record.
 */
export async function synced(
  db: TestDatabase,
  vendor: SimulatedVendor,
  { records, edits, deletes }: { readonly records: number; readonly edits: number; readonly deletes: number },
): Promise<void> {
  const move = await Move.start(db, vendor, { records })
  const { simulator } = move
  const people = vendor.objects[1]?.[0] ?? ''
  const calls = vendor.objects.at(-1)?.[0] ?? ''
  try {
    await move.proven(await move.whole())
    simulator.advance(3_600_000)
    simulator.edit(people, Math.floor(edits / 2))
    simulator.edit(people, Math.ceil(edits / 2), { lateMs: vendor.settles / 2 })
    simulator.delete(calls, Math.ceil(deletes / 2))
    // Of what is being read, some changes just then.
    simulator.script([{ kind: 'ROWS_MOVE', after: 4, times: 2 }])
    simulator.advance(vendor.settles / 4)
    await move.ask('DELTA')
    simulator.delete(calls, Math.floor(deletes / 2))
    simulator.script([])
    simulator.advance(3_600_000)
    await move.proven(await move.ask('DELTA'))
    await move.same()
    const versions = () =>
      move.engine.rows(
        `select sum(version)::int as n from (select version from contact where tenant_id = $1 union all select version from lead where tenant_id = $1
           union all select version from activity where tenant_id = $1) v`,
        [move.tenant],
      )
    const before = await versions()
    simulator.advance(3_600_000)
    await move.proven(await move.ask('DELTA'))
    assert.deepEqual(await versions(), before)
  } finally {
    await move.close()
  }
}

/** An account with texts of every kind: what staging said of each row is what became of it. Answers the checks of its proof that failed. */
export async function predicted(db: TestDatabase, vendor: SimulatedVendor, seed: number): Promise<readonly string[]> {
  const move = await Move.start(db, vendor, { nasty: true, seed, records: RECORDS * 2 })
  try {
    const run = await move.whole()
    assert.equal(run.stage, 'READY_FOR_DELTA', JSON.stringify(run.statusReason))
    const checks = run.verification?.checks ?? []
    assert.ok(checks.some(({ name }) => name === 'staging'))
    return checks
      .filter(({ passed }) => !passed)
      .map(({ name, object, expected, actual, detail }) => `${object} ${name}: ${expected}, not ${actual} (${detail})`)
  } finally {
    await move.close()
  }
}

/** A service that lies from the first page to the proof. Whether the migration was told to be proven although records are wrong. */
export async function believed(
  db: TestDatabase,
  vendor: SimulatedVendor,
  lie: LieName,
  expected: Undisturbed,
): Promise<boolean> {
  const move = await Move.start(db, vendor, { records: RECORDS })
  try {
    await move.create()
    move.simulator.lie(lie)
    const staged = await move.ask('STAGE')
    if (staged.stage !== 'AWAITING_REVIEW') {
      return false
    }
    const promoted = await move.ask('PROMOTE')
    if (promoted.status !== 'COMPLETED' || promoted.verification?.passed !== true) {
      return false
    }
    return JSON.stringify(await move.records()) !== JSON.stringify(expected.records)
  } finally {
    move.simulator.lie(null)
    await move.close()
  }
}
