/** What is done to Portage, and what must be true afterwards. Every scenario gives its figures and its faults. */
import { setTimeout as pause } from 'node:timers/promises'
import type { RecordTypeName } from '../../src/records/types.js'
import {
  activityUpsert,
  contactsWithRepeats,
  contactUpsert,
  newActivities,
  newContacts,
  newProperties,
  type TestFile,
  twoHalves,
  updatesOf,
} from '../helpers/files.js'
import { Random } from '../helpers/random.js'
import { differences, eventFaults, jointDifferences, type Subject, sinceSnapshot, snapshot } from './compare.js'
import type { House, Server } from './house.js'
import { crashServer, type Kill, killWorkers, quantile, recoveries, settledAtLeast } from './kills.js'

export interface Result {
  readonly name: string
  /** Empty: everything was as it must be. */
  readonly faults: readonly string[]
  readonly figures: Readonly<Record<string, number | string | null>>
}

/** How large, and how often. */
export interface Sizes {
  /** Rows of the file that is imported while things are killed. */
  readonly rows: number
  readonly kills: number
  readonly seed: number
}

/** Chunks are kept small where there are many kills, or the run would be over before the workers are back. */
const SMALL_CHUNKS = { PORTAGE_CHUNK_ROWS: '250' }

/** An import after a base, that nobody disturbed: what every disturbed one is compared with. */
export interface Reference extends Subject {
  /** What the import is like. */
  readonly name: string
  readonly type: RecordTypeName
  readonly seed: number
  readonly rows: number
  /** What has to be there before the file, in order. */
  readonly base: readonly { readonly type: RecordTypeName; readonly file: TestFile }[]
  readonly file: TestFile
  readonly seconds: number
}

/** Contacts: a quarter new, 0.2 % bad, the rest updates. */
export async function contactReference(house: House, { rows, seed }: Sizes): Promise<Reference> {
  const base = [{ type: 'contact', file: newContacts(seed, updatesOf(rows)) }] as const
  return reference(house, 'upsert of contacts', 'contact', base, contactUpsert(seed + 1, rows), seed)
}

/** The same with 5 % of the rows about somebody whom an earlier row was about. */
export async function repeatsReference(house: House, { rows, seed }: Sizes): Promise<Reference> {
  const base = [{ type: 'contact', file: newContacts(seed, updatesOf(rows)) }] as const
  return reference(house, 'contacts, 5 % repeated', 'contact', base, contactsWithRepeats(seed + 2, rows), seed)
}

/** Activities that name their contact and, half of them, their property. */
export async function activityReference(house: House, { rows, seed }: Sizes): Promise<Reference> {
  const [contacts, properties] = [Math.ceil(rows / 4), Math.ceil(rows / 20)]
  const base = [
    { type: 'contact', file: newContacts(seed, contacts) },
    { type: 'property', file: newProperties(seed, properties) },
    { type: 'activity', file: newActivities(seed, updatesOf(rows), contacts, properties) },
  ] as const
  return reference(
    house,
    'activities with relations',
    'activity',
    base,
    activityUpsert(seed + 3, rows, contacts, properties),
    seed,
  )
}

async function reference(
  house: House,
  name: string,
  type: RecordTypeName,
  base: Reference['base'],
  file: TestFile,
  seed: number,
): Promise<Reference> {
  await house.hire()
  const tenantId = await prepare(house, 'undisturbed', base)
  const started = performance.now()
  const runId = await house.import(tenantId, type, file)
  const seconds = (performance.now() - started) / 1000
  await house.dismiss()
  return { name, type, tenantId, runId, seed, rows: file.rows, base, file, seconds }
}

export async function prepare(house: House, name: string, base: Reference['base']): Promise<string> {
  const tenantId = await house.tenant(name)
  for (const { type, file } of base) {
    await house.import(tenantId, type, file)
  }
  return tenantId
}

/** Everything that must hold for a run that was compared with its reference. */
export async function faultsOf(house: House, reference: Reference, found: Subject): Promise<string[]> {
  return [
    ...(await differences(house, reference.type, reference, found)),
    ...(await eventFaults(house, found.tenantId)),
    ...surprises(house),
  ]
}

/** Processes that ended though nobody killed them. */
function surprises(house: House): string[] {
  return house.crew.losses.map((loss) => `a process ended by itself: ${loss.slice(-2000)}`)
}

async function killFigures(house: House, runs: readonly string[], kills: readonly Kill[]): Promise<Result['figures']> {
  const times = await recoveries(
    house,
    runs,
    kills.map(({ at }) => at),
  )
  return {
    kills: kills.length,
    'standby ready': kills.filter(({ standby }) => standby).length,
    'next chunk p50 ms': round(quantile(times, 0.5)),
    'next chunk p95 ms': round(quantile(times, 0.95)),
    'next chunk max ms': round(quantile(times, 1)),
  }
}

const round = (value: number | null) => (value === null ? null : Math.round(value))

/** A run that has ended, and the records that there were before it. */
export interface Disturbed extends Subject {
  readonly type: RecordTypeName
  /** Table of the records before. */
  readonly before: string
}

/** The import of the reference once more, by nobody disturbed, for what comes after it. */
export async function undisturbedImport(house: House, reference: Reference): Promise<Disturbed> {
  await house.hire()
  const tenantId = await prepare(house, 'undisturbed again', reference.base)
  const before = await snapshot(house, reference.type, tenantId)
  const runId = await house.import(tenantId, reference.type, reference.file)
  await house.dismiss()
  return { type: reference.type, tenantId, runId, before }
}

/** `kill -9` of the working process at random moments of the import. */
export async function workerKills(
  house: House,
  reference: Reference,
  { kills }: Pick<Sizes, 'kills'>,
): Promise<Result> {
  await house.hire()
  const tenantId = await prepare(house, 'kills', reference.base)
  await house.hire(SMALL_CHUNKS)
  const started = performance.now()
  const runId = await house.startImport(tenantId, reference.type, reference.file)
  const done = await killWorkers(
    house,
    [{ tenantId, runId, rows: reference.rows }],
    kills,
    new Random(reference.seed * 31),
  )
  await house.ended(tenantId, runId)
  const seconds = (performance.now() - started) / 1000
  const faults = await faultsOf(house, reference, { tenantId, runId })
  if (done.length < kills) {
    faults.push(`the run ended after ${done.length} of ${kills} kills`)
  }
  const figures = {
    rows: reference.rows,
    ...(await killFigures(house, [runId], done)),
    seconds: Math.round(seconds),
    'undisturbed s': Math.round(reference.seconds),
  }
  await house.dismiss()
  return { name: `kill -9 of the worker, ${reference.name} [CS-1]`, faults, figures }
}

/** Runs go on within this after the database takes connections again. */
const BACK_MS = 5000

/** `kill -9` of the postmaster at random moments of the import. */
export async function serverKills(house: House, server: Server, reference: Reference, kills: number): Promise<Result> {
  await house.hire()
  const tenantId = await prepare(house, 'server kills', reference.base)
  await house.hire(SMALL_CHUNKS)
  const runId = await house.startImport(tenantId, reference.type, reference.file)
  const target = { tenantId, runId, rows: reference.rows }
  const crashes = await crashServer(house, server, [target], kills, new Random(reference.seed * 37))
  await house.ended(tenantId, runId)
  const faults = [
    ...(await differences(house, reference.type, reference, { tenantId, runId })),
    ...(await eventFaults(house, tenantId)),
  ]
  if (crashes.length < kills) {
    faults.push(`the run ended after ${crashes.length} of ${kills} kills`)
  }
  const settlements = await house.settlements([runId])
  const after = (at: number) => (settlements.find((settlement) => settlement.at > at)?.at ?? at) - at
  const sinceBack = crashes.map(({ backAt }) => after(backAt))
  const sinceKill = crashes.map(({ backAt, killedAt }) => after(backAt) + backAt - killedAt)
  const slowest = Math.max(0, ...sinceBack)
  if (slowest > BACK_MS) {
    faults.push(`it went on ${Math.round(slowest)} ms after the server was back`)
  }
  await house.dismiss()
  return {
    name: 'kill -9 of PostgreSQL [CS-2]',
    faults,
    figures: {
      rows: reference.rows,
      kills: crashes.length,
      'next chunk p50 ms': round(quantile(sinceKill, 0.5)),
      'next chunk max ms': round(quantile(sinceKill, 1)),
      'after it was back max ms': round(quantile(sinceBack, 1)),
    },
  }
}

/** A frozen worker is replaced after this at the latest. */
const REPLACED_MS = 10_000

/** SIGSTOP in the middle of the import: somebody else goes on; SIGCONT: the one that wakes changes nothing any more. */
export async function freezes(house: House, reference: Reference, count: number): Promise<Result> {
  const random = new Random(reference.seed * 41)
  await house.hire()
  const tenantId = await prepare(house, 'freeze', reference.base)
  await house.hire(SMALL_CHUNKS)
  const runId = await house.startImport(tenantId, reference.type, reference.file)
  const faults: string[] = []
  const replaced: number[] = []
  let zombieCommits = 0
  for (let i = 0; i < count; i++) {
    const moment = Math.floor((reference.rows * 0.9 * (i + random.next())) / count)
    if ((await settledAtLeast(house, [{ tenantId, runId, rows: reference.rows }], moment)) === null) {
      faults.push(`the run ended after ${i} of ${count} freezes`)
      break
    }
    const frozen = await house.crew.active()
    await pause(random.below(60))
    house.crew.expect(frozen)
    const { holder } = await house.state(tenantId, runId)
    frozen.signal('SIGSTOP')
    const at = Date.now()
    const successor = await house.until(`somebody takes over from frozen process ${frozen.pid}`, async () => {
      const settlements = await house.settlements([runId])
      return settlements.find((settlement) => settlement.at > at && settlement.holder !== holder) ?? null
    })
    replaced.push(successor.at - at)
    frozen.signal('SIGCONT')
    // Its connections are gone, so it cannot be in charge of anything and ends.
    await Promise.race([frozen.exited, patience(20_000)])
    if (!frozen.ended) {
      faults.push(`process ${frozen.pid} lives on after it was replaced`)
      house.crew.kill(frozen)
    }
    const settlements = await house.settlements([runId])
    zombieCommits += settlements.filter(
      (settlement) => settlement.at > successor.at && settlement.holder === holder,
    ).length
  }
  await house.ended(tenantId, runId)
  if (zombieCommits > 0) {
    faults.push(`${zombieCommits} chunks were committed by workers that had been replaced`)
  }
  const slowest = quantile(replaced, 1) ?? 0
  if (slowest > REPLACED_MS) {
    faults.push(`a frozen worker was replaced after ${Math.round(slowest)} ms`)
  }
  faults.push(...(await faultsOf(house, reference, { tenantId, runId })))
  await house.dismiss()
  return {
    name: 'frozen worker [CS-4]',
    faults,
    figures: {
      rows: reference.rows,
      freezes: replaced.length,
      'replaced p50 ms': round(quantile(replaced, 0.5)),
      'replaced max ms': round(slowest),
      'commits of zombies': zombieCommits,
    },
  }
}

async function patience(milliseconds: number): Promise<void> {
  await pause(milliseconds, undefined, { ref: false })
}

/** Kills while two imports of contacts of one tenant, who share half of their people, take turns. */
export async function twoContactRuns(house: House, { rows, kills, seed }: Sizes): Promise<Result> {
  const files = twoHalves(seed + 5, rows)
  await house.hire()
  const undisturbed = await house.tenant('undisturbed two')
  const expected: Subject[] = []
  for (const file of files) {
    expected.push({ tenantId: undisturbed, runId: await house.import(undisturbed, 'contact', file) })
  }
  const tenantId = await house.tenant('two at once')
  await house.hire(SMALL_CHUNKS)
  const found: Subject[] = []
  for (const file of files) {
    found.push({ tenantId, runId: await house.startImport(tenantId, 'contact', file) })
  }
  const targets = found.map((subject) => ({ ...subject, rows }))
  const done = await killWorkers(house, targets, kills, new Random(seed * 43))
  for (const { runId } of found) {
    await house.ended(tenantId, runId)
  }
  const faults = [
    ...(await jointDifferences(house, 'contact', expected, found)),
    ...(await eventFaults(house, tenantId)),
    ...surprises(house),
  ]
  if (done.length < kills) {
    faults.push(`the runs ended after ${done.length} of ${kills} kills`)
  }
  const twins = await house.rows<{ external_id: string }>(
    'select external_id from contact where tenant_id = $1 and deleted_at is null group by external_id having count(*) > 1 limit 3',
    [tenantId],
  )
  faults.push(...twins.map((twin) => `there are two contacts ${twin.external_id}`))
  const runs = found.map(({ runId }) => runId)
  const figures = { rows: 2 * rows, ...(await killFigures(house, runs, done)) }
  await house.dismiss()
  return { name: 'kill -9 of the worker, two contact runs at once [CS-1]', faults, figures }
}

/** Kills while contacts and activities about them are imported at once. */
export async function contactAndActivityRuns(
  house: House,
  contacts: Reference,
  activities: Reference,
  { kills }: Sizes,
): Promise<Result> {
  await house.hire()
  const tenantId = await house.tenant('contacts and activities')
  // Whatever either of them needs; the contacts that activities are about are the first ones of the larger base.
  const bases = [...contacts.base, ...activities.base.filter(({ type }) => type !== 'contact')]
  for (const { type, file } of bases) {
    await house.import(tenantId, type, file)
  }
  await house.hire(SMALL_CHUNKS)
  const runs = [
    { reference: contacts, runId: await house.startImport(tenantId, 'contact', contacts.file) },
    { reference: activities, runId: await house.startImport(tenantId, 'activity', activities.file) },
  ]
  const targets = runs.map(({ reference, runId }) => ({ tenantId, runId, rows: reference.rows }))
  const done = await killWorkers(house, targets, kills, new Random(contacts.seed * 47))
  const faults: string[] = []
  for (const { reference, runId } of runs) {
    await house.ended(tenantId, runId)
    faults.push(...(await differences(house, reference.type, reference, { tenantId, runId })))
  }
  faults.push(...(await eventFaults(house, tenantId)), ...surprises(house))
  if (done.length < kills) {
    faults.push(`the runs ended after ${done.length} of ${kills} kills`)
  }
  const figures = {
    rows: contacts.rows + activities.rows,
    ...(await killFigures(
      house,
      runs.map(({ runId }) => runId),
      done,
    )),
  }
  await house.dismiss()
  return { name: 'kill -9 of the worker, contacts and activities at once [CS-1]', faults, figures }
}

/** Rows that may be undone with the last chunk: after it there is nothing to disturb. */
const UNDONE_AT_ONCE = 6000

/** A rollback that nobody disturbs takes so long at most. */
const UNDO_SECONDS = 60

/** Undoes an import under kills, after `edits` of its records were changed by hand. */
export async function rollback(
  house: House,
  import_: Disturbed,
  kills: number,
  edits: number,
  seed: number,
): Promise<Result> {
  const { tenantId, runId, type, before } = import_
  const edited = await house.rows<{ id: string; kept: boolean }>(
    `with touched as (
       select record_id as id, true as kept from run_change where tenant_id = $1 and run_id = $2
       union select id, false from ${type} where tenant_id = $1 and created_run_id = $2),
     chosen as (select distinct on (id) id, kept from touched order by id, kept),
     edits as (select id, kept from chosen order by md5(id::text || $4) limit $3)
     update ${type} r set last_name = 'Edited by hand' from edits e where r.tenant_id = $1 and r.id = e.id returning r.id, e.kept`,
    [tenantId, runId, edits, String(seed)],
  )
  await house.hire()
  const started = performance.now()
  const rollbackId = await house.startRollback(tenantId, runId)
  const { total } = await house.one<{ total: number }>(
    'select total::float8 as total from run where tenant_id = $1 and id = $2',
    [tenantId, rollbackId],
  )
  const done = await killWorkers(
    house,
    [{ tenantId, runId: rollbackId, rows: total - UNDONE_AT_ONCE }],
    kills,
    new Random(seed * 53),
  )
  await house.ended(tenantId, rollbackId)
  const seconds = (performance.now() - started) / 1000
  const ids = edited.map(({ id }) => id)
  const faults = [
    ...(await sinceSnapshot(house, type, tenantId, before, ids, 'last_name')),
    ...(await eventFaults(house, tenantId)),
    ...surprises(house),
  ]
  const conflicts = await house.rows<{ fault: string }>(
    `select format('%s: %s', coalesce(c.record_id, e.id), case when e.id is null then 'a conflict without an edit' else 'an edit without a conflict' end) as fault
     from (select record_id from run_conflict where tenant_id = $1 and run_id = $2 and field in ('', 'last_name') and current is not distinct from
             case field when '' then null else 'Edited by hand' end) c
       full join unnest($3::uuid[]) e (id) on e.id = c.record_id where e.id is null or c.record_id is null
     union all select format('%s: conflict in %s', record_id, field) from run_conflict where tenant_id = $1 and run_id = $2 and field not in ('', 'last_name')
     limit 5`,
    [tenantId, rollbackId, ids],
  )
  faults.push(...conflicts.map(({ fault }) => fault))
  const lost = await house.one<{ n: number }>(
    `select count(*)::float8 as n from unnest($2::uuid[]) e (id) where not exists (
       select from ${type} r where r.tenant_id = $1 and r.id = e.id and r.deleted_at is null and r.last_name = 'Edited by hand')`,
    [tenantId, ids],
  )
  if (lost.n > 0) {
    faults.push(`${lost.n} edits were lost`)
  }
  const { status, kept, parent } = await house.one<{ status: string; kept: number; parent: string }>(
    `select r.status, r.kept::float8 as kept, p.status as parent from run r join run p on p.tenant_id = r.tenant_id and p.id = r.of_run_id
     where r.tenant_id = $1 and r.id = $2`,
    [tenantId, rollbackId],
  )
  const expected = edits > 0 ? 'COMPLETED_WITH_ERRORS, ROLLED_BACK_WITH_CONFLICTS' : 'COMPLETED, ROLLED_BACK'
  if (`${status}, ${parent}` !== expected) {
    faults.push(`rollback and import are ${status}, ${parent}; expected ${expected}`)
  }
  if (done.length < kills) {
    faults.push(`the rollback ended after ${done.length} of ${kills} kills`)
  }
  const figures = {
    rows: total,
    edits: ids.length,
    'kept rows': kept,
    ...(await killFigures(house, [rollbackId], done)),
    seconds: Math.round(seconds),
  }
  await house.dismiss()
  if (kills === 0 && seconds > UNDO_SECONDS) {
    faults.push(`the rollback took ${Math.round(seconds)} s`)
  }
  const name =
    edits > 0
      ? `rollback after ${edits} edits [DL-3]`
      : kills > 0
        ? 'rollback under kill -9 of the worker [DL-5]'
        : 'rollback [DL-2]'
  return { name, faults, figures }
}
