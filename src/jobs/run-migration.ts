/**
 * Does what is asked of a migration, stage by stage. Every stage is made of steps that leave their mark in the database, so
 * that whoever takes the migration over goes on with the next one; the work on records is that of ordinary imports, which
 * the migration creates, plans together, starts in load order and waits for.
 */
import { PlannedPause, type VendorAdapter, type VendorApi, type VendorObject } from '../adapters/vendor.js'
import { first } from '../db/tx.js'
import { FatalError, Refusal } from '../errors.js'
import type { ColumnMapping, ImportOptions, MappingConflict } from '../pipeline/types.js'
import { endRun } from '../runs/control.js'
import { createImport } from '../runs/imports.js'
import { sumMigration } from '../runs/migration-parts.js'
import {
  dropStaged,
  enterStage,
  findMigration,
  type MigrationObjectRow,
  type MigrationPass,
  type MigrationRow,
  migrationObjects,
  migrationPasses,
  type ObjectDrift,
  pauseMigration,
  restMigration,
  startStaged,
} from '../runs/migrations.js'
import { requestPlan } from '../runs/plan.js'
import type { RunStatus } from '../runs/status.js'
import type { MigrationStage, StatusReason } from '../runs/types.js'
import type { OpenVendor } from '../runs/vendors.js'
import { systemNames } from '../systems.js'
import { type Claim, claimHeld, laneName } from './claim.js'
import type { WorkerContext } from './context.js'
import { keepReport, storeReport } from './migration-report.js'
import { planTogether } from './plan-import.js'
import { readObjects } from './read-objects.js'
import { inControl, type SliceEnd, StoppedError } from './slice.js'
import { verifyMigration } from './verify-migration.js'

/** How long a migration that waits for its imports waits at most until it looks again, if nothing wakes it. Milliseconds. */
const LOOK_AGAIN_MS = 1000

/** What every step of the work on a migration needs. */
export interface MigrationWork {
  readonly context: WorkerContext
  readonly claim: Claim
  readonly lost: AbortSignal
  readonly migration: MigrationRow
  readonly objects: readonly MigrationObjectRow<VendorObject>[]
  readonly adapter: VendorAdapter
  readonly api: VendorApi
  /** What so many requests would mean for the budget of the account; absent where nobody knows. */
  readonly estimate: OpenVendor['estimate']
}

export async function runMigration(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const { migration, objects } = await load(context, claim)
  try {
    const vendor = await context.openVendor(claim.tenantId, migration.integrationId)
    const { adapter, api, estimate } = vendor
    const work: MigrationWork = { context, claim, lost, migration, objects, adapter, api, estimate }
    try {
      return await pursue(work)
    } catch (error) {
      if (error instanceof PlannedPause) {
        return await pauseUntil(work, error)
      }
      throw error
    } finally {
      await vendor.close()
    }
  } catch (error) {
    if (error instanceof Refusal && error.code === 'INTEGRATION_NOT_CONNECTED') {
      // A person has to sign in again: a state, and not a thing to try again and again.
      await pauseFor(context, claim, { code: 'INTEGRATION_NOT_CONNECTED', message: error.message, retryable: true })
      return { kind: 'done' }
    }
    if (error instanceof Refusal) {
      throw new FatalError(error.code, error.message, { cause: error })
    }
    throw error
  }
}

async function pursue(work: MigrationWork): Promise<SliceEnd> {
  switch (work.migration.goal) {
    case 'DISCOVER':
      return discover(work)
    case 'STAGE':
      return (await read(work)) ?? stage(work)
    case 'PROMOTE':
      return (await promote(work)) ?? prove(work)
    case 'DELTA':
      return (await read(work)) ?? (await apply(work)) ?? prove(work)
    case 'VERIFY':
      return prove(work)
  }
}

async function load(context: WorkerContext, claim: Claim) {
  return inControl(context, claim, async (tx) => {
    const migration = await findMigration(tx, claim.runId)
    if (migration === null) {
      throw new FatalError('INTERNAL', 'The migration of this run is missing.')
    }
    return { migration, objects: await migrationObjects<VendorObject>(tx, claim.runId) }
  })
}

/** Marks that the migration has come to a stage; StoppedError if it is not ours any more. */
async function enter({ context, claim, migration }: MigrationWork, next: MigrationStage): Promise<void> {
  if (migration.stage !== next && !(await inControl(context, claim, (tx) => enterStage(tx, run(claim), next)))) {
    throw new StoppedError('the migration was stopped or taken over')
  }
}

async function pauseFor(context: WorkerContext, claim: Claim, reason: StatusReason): Promise<void> {
  await inControl(context, claim, (tx) => pauseMigration(tx, run(claim), reason))
}

const run = (claim: Claim) => ({ id: claim.runId, token: claim.token })

/** Looks at the account and its objects, and suggests where their fields go. */
async function discover(work: MigrationWork): Promise<SliceEnd> {
  const { context, claim, adapter, api, lost, objects } = work
  await enter(work, 'DISCOVERING')
  const account = await adapter.check(api, lost)
  const there = new Map((await adapter.discover(api, lost)).map((object) => [object.name, object]))
  const looked = await Promise.all(
    objects.map(async (object) => {
      const descriptor = there.get(object.object)
      if (descriptor === undefined) {
        throw new FatalError(
          'SOURCE_OBJECT_GONE',
          `${adapter.system} has no object ${object.object}, or this sign-in may not read it. It has ${[...there.keys()].slice(0, 20).join(', ')}.`,
        )
      }
      const mapping = object.given ? object.mapping : adapter.mapping(descriptor, object.recordType)
      const { count } = await adapter.count(api, descriptor, lost)
      return { object: object.object, descriptor, mapping: mapping ?? [], expected: count }
    }),
  )
  const message = `The objects have been looked at. ${await costOf(work, looked)} Check where their fields go, then stage the migration.`
  await inControl(context, claim, async (tx) => {
    await tx.query('update run_migration set account = $3::jsonb where tenant_id = $1 and run_id = $2', [
      tx.tenantId,
      claim.runId,
      JSON.stringify(account),
    ])
    for (const { object, descriptor, mapping, expected } of looked) {
      await tx.query(
        `update migration_object set descriptor = $4::jsonb, mapping = $5::jsonb, expected = $6
         where tenant_id = $1 and run_id = $2 and object = $3`,
        [tx.tenantId, claim.runId, object, JSON.stringify(descriptor), JSON.stringify(mapping), expected],
      )
    }
    await restMigration(tx, run(claim), 'AWAITING_MAPPING', {
      code: 'MAPPING_NEEDED',
      message,
      retryable: true,
    })
  })
  return { kind: 'done' }
}

/** What reading the objects will ask of the service, for people. */
async function costOf(
  { adapter, estimate, objects }: MigrationWork,
  looked: readonly { readonly object: string; readonly descriptor: VendorObject; readonly expected: number }[],
): Promise<string> {
  let records = 0
  let calls = 0
  for (const { object, descriptor, expected } of looked) {
    const sample = objects.find((one) => one.object === object)?.sampleSize ?? null
    const wanted = sample === null ? expected : Math.min(sample, expected)
    records += wanted
    calls += adapter.callsFor(descriptor, wanted)
  }
  const number = (n: number): string => n.toLocaleString('en')
  const about = `Reading their ${number(records)} records takes at least ${number(calls)} requests.`
  const { remaining, days } = (await estimate?.(calls)) ?? { remaining: null, days: 1 }
  if (remaining === null) {
    return about
  }
  return days === 1
    ? `${about} That is within today's budget, of which ${number(remaining)} are left.`
    : `${about} Today's budget has ${number(remaining)} left: it will take ${days} days, and the migration pauses by itself in between.`
}

/** Reads what the pass in hand has not read yet. Null when all of it is here. */
async function read(work: MigrationWork): Promise<SliceEnd | null> {
  const { migration, objects } = work
  const unread = objects.filter(({ extractedPass }) => extractedPass !== migration.pass)
  if (unread.length === 0) {
    return null
  }
  await enter(work, 'EXTRACTING')
  const windowUntil = migration.windowUntil ?? (await fixWindow(work))
  if (migration.pass > 0 && migration.windowUntil === null && (await drifted(work))) {
    return { kind: 'done' }
  }
  const end = await readObjects({ ...work, migration: { ...migration, windowUntil } }, performance.now())
  switch (end.kind) {
    case 'done':
      return null
    case 'again':
      return { kind: 'more', delayMs: 0 }
    case 'incomplete':
      await pauseFor(work.context, work.claim, { code: 'SOURCE_INCOMPLETE', message: end.message, retryable: true })
      return { kind: 'done' }
  }
}

/** The end of the window of this pass: fixed once, by the clock of the service. */
async function fixWindow({ context, claim, adapter, api, lost }: MigrationWork): Promise<string> {
  const until = await adapter.clock(api, lost)
  await inControl(context, claim, (tx) =>
    tx.query('update run_migration set window_until = $3::timestamptz where tenant_id = $1 and run_id = $2', [
      tx.tenantId,
      claim.runId,
      until,
    ]),
  )
  return until
}

/** What each planned pause is called for people. */
const pauses: Readonly<Record<PlannedPause['reason'], string>> = {
  BURST: 'asks for fewer requests',
  DAILY_QUOTA: 'gives no more requests today',
  CONCURRENCY: 'has all the requests under way that it takes',
  VENDOR_BUSY: 'is busy',
}

/** A planned pause: the run goes on by itself when its time has come. */
async function pauseUntil(
  { context, claim, adapter }: MigrationWork,
  { until, reason }: PlannedPause,
): Promise<SliceEnd> {
  const at = until.toISOString()
  await inControl(context, claim, (tx) =>
    pauseMigration(
      tx,
      run(claim),
      {
        code: 'WAITING_FOR_SERVICE',
        message: `${systemNames[adapter.system]} ${pauses[reason]}. The migration goes on by itself at ${at}.`,
        retryable: true,
      },
      at,
    ),
  )
  return { kind: 'done' }
}

/**
 * Compares how the service describes the objects today with what the mapping was made for. What is new or gone is noted; a
 * field that the mapping reads and that is gone holds the migration until somebody has looked at it.
 */
async function drifted(work: MigrationWork): Promise<boolean> {
  const { context, claim, adapter, api, lost, objects } = work
  const there = new Map((await adapter.discover(api, lost)).map((object) => [object.name, object]))
  let held: string | null = null
  for (const object of objects) {
    const now = there.get(object.object) ?? null
    const { drift, missing } = compareObject(object, now)
    held ??= missing
    await inControl(context, claim, (tx) =>
      tx.query(
        `update migration_object set drift = $4::jsonb, descriptor = coalesce($5::jsonb, descriptor)
         where tenant_id = $1 and run_id = $2 and object = $3`,
        [
          tx.tenantId,
          claim.runId,
          object.object,
          JSON.stringify(drift),
          missing !== null || now === null ? null : JSON.stringify(now),
        ],
      ),
    )
  }
  if (held === null) {
    return false
  }
  await rest(work, 'AWAITING_MAPPING', {
    code: 'SCHEMA_DRIFT',
    message: `The source has changed since the mapping was made. ${held} Give the object a mapping without it, then read the changes again.`,
    retryable: true,
  })
  return true
}

/** What is new in an object, gone from it or of another kind; `missing` says what the mapping cannot do without. */
function compareObject(
  object: MigrationObjectRow<VendorObject>,
  now: VendorObject | null,
): { readonly drift: readonly ObjectDrift[]; readonly missing: string | null } {
  const drift: ObjectDrift[] = []
  const say = (column: string, message: string, gone = false): void => {
    drift.push({ code: 'TEMPLATE_DRIFT', field: '', columns: [column], message, values: [], readings: [], gone })
  }
  const before = new Map((object.descriptor?.fields ?? []).map((field) => [field.name, field]))
  const after = new Map((now?.fields ?? []).map((field) => [field.name, field]))
  const mapped = new Set((object.mapping ?? []).filter(({ field }) => field !== null).map(({ column }) => column))
  let missing: string | null =
    now === null ? `${object.object} itself is gone, or this sign-in may not read it any more.` : null
  for (const [name, field] of before) {
    if (!after.has(name)) {
      say(name, `${field.label} (${name}) is gone.`, true)
      if (mapped.has(name)) {
        missing ??= `${object.object}.${name} is gone, and the mapping reads it.`
      }
    } else if (after.get(name)?.kind !== field.kind) {
      say(name, `${field.label} (${name}) was ${field.kind} and is ${after.get(name)?.kind}.`)
    }
  }
  for (const [name, field] of after) {
    if (!before.has(name)) {
      say(name, `${field.label} (${name}) is new.`)
    }
  }
  return { drift, missing }
}

async function rest(
  { context, claim }: MigrationWork,
  stage: 'AWAITING_MAPPING' | 'AWAITING_REVIEW',
  reason: StatusReason,
): Promise<SliceEnd> {
  await inControl(context, claim, async (tx) => {
    await sumMigration(tx, claim.runId)
    if (!(await restMigration(tx, run(claim), stage, reason))) {
      throw new StoppedError('the migration was stopped or taken over')
    }
  })
  return { kind: 'done' }
}

/** An import of the migration, and how far it is. */
interface Child {
  readonly id: string
  readonly object: string
  readonly kind: MigrationPass['kind']
  readonly status: RunStatus
  readonly reason: StatusReason | null
  readonly conflicts: readonly MappingConflict[] | null
}

/** Imports of the pass in hand in load order; those of deletions come last, children before what they hang on. */
async function children(work: MigrationWork): Promise<Child[]> {
  const { context, claim, migration } = work
  return inControl(context, claim, (tx) =>
    tx.query<Child>(
      `select r.id, p.object, p.kind, r.status, r.status_reason as reason, r.mapping_conflicts as conflicts
       from migration_pass p join migration_object o on o.tenant_id = p.tenant_id and o.run_id = p.run_id and o.object = p.object
         join run r on r.tenant_id = p.tenant_id and r.id = p.import_run_id
       where p.tenant_id = $1 and p.run_id = $2 and p.pass = $3
       order by p.kind, case p.kind when 'CHANGED' then o.position else -o.position end`,
      [tx.tenantId, claim.runId, migration.pass],
    ),
  )
}

/** Creates imports of the pass that are not there yet, in load order, at most so many. Whether there were any. */
async function createChildren(work: MigrationWork, most = Infinity): Promise<boolean> {
  const { context, claim, migration, objects, adapter } = work
  const account = migration.account
  if (account === null) {
    throw new Error('nobody has looked at the account')
  }
  return inControl(context, claim, async (tx) => {
    const { created_by: actor } = (await first<{ created_by: string }>(
      tx,
      `select created_by from run where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' for update`,
      [tx.tenantId, claim.runId, claim.token],
    )) ?? { created_by: null }
    if (actor === null) {
      throw new StoppedError('the migration was stopped or taken over')
    }
    const position = new Map(objects.map((object) => [object.object, object.position]))
    // What is gone goes last, and what hangs on something else before that.
    const order = ({ object, kind }: MigrationPass): number =>
      kind === 'CHANGED' ? (position.get(object) ?? 0) : 2 * objects.length - (position.get(object) ?? 0)
    const wanted = (await migrationPasses(tx, claim.runId))
      .filter(({ pass, importRunId }) => pass === migration.pass && importRunId === null)
      .toSorted((a, b) => order(a) - order(b))
      .slice(0, most)
    for (const { object, kind, sourceFileId } of wanted) {
      const one = objects.find((candidate) => candidate.object === object)
      if (one === undefined) {
        throw new Error(`a pass of ${object}, which is no object of the migration`)
      }
      const sourceSystem = `${adapter.system}/${account.id}/${object}`
      const options: ImportOptions =
        kind === 'CHANGED'
          ? {
              ...migration.options,
              // It is the migration as a whole that is undone.
              allOrNothing: false,
              operation: 'UPSERT',
              sourceSystem,
              referenceBase: `${adapter.system}/${account.id}/`,
            }
          : { ...migration.options, allOrNothing: false, operation: 'DELETE', sourceSystem, matchOn: [['externalId']] }
      const runId = await createImport(tx, {
        actor,
        sourceFileId,
        recordType: one.recordType,
        source: null,
        mapping: kind === 'CHANGED' ? one.mapping : deletionMapping,
        options,
        confirmation: migration.pass === 0 ? 'ASK' : 'ALWAYS',
        migrationRunId: claim.runId,
      })
      await tx.query(
        `update migration_pass set import_run_id = $6 where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4 and kind = $5`,
        [tx.tenantId, claim.runId, object, migration.pass, kind, runId],
      )
    }
    return wanted.length > 0
  })
}

/** Stages what was read: the imports are analyzed and planned together, as if each came after those before it. */
async function stage(work: MigrationWork): Promise<SliceEnd> {
  await enter(work, 'STAGING')
  await createChildren(work)
  const runs = await children(work)
  const failed = runs.find(({ status }) => status === 'FAILED')
  if (failed !== undefined) {
    throw new FatalError(
      failed.reason?.code ?? 'INTERNAL',
      `${failed.object}: ${failed.reason?.message ?? 'it failed'}`,
    )
  }
  const unmapped = runs.filter(({ status }) => status === 'AWAITING_MAPPING')
  if (unmapped.length > 0) {
    return askForMapping(work, unmapped)
  }
  if (runs.some(({ status }) => status === 'ANALYZING')) {
    return { kind: 'more', delayMs: LOOK_AGAIN_MS }
  }
  if (runs.some(({ status }) => status === 'PLANNING')) {
    const end = await planAll(work, runs)
    if (end !== null) {
      return end
    }
  }
  return rest(work, 'AWAITING_REVIEW', {
    code: 'CONFIRMATION_NEEDED',
    message: 'The migration has been staged. Look at the rows of its objects, then promote it or change a mapping.',
    retryable: true,
  })
}

/** Imports that wait for their mapping make the migration wait for it. */
async function askForMapping(work: MigrationWork, unmapped: readonly Child[]): Promise<SliceEnd> {
  await inControl(work.context, work.claim, async (tx) => {
    for (const { object, conflicts } of unmapped) {
      await tx.query(
        `update migration_object set conflicts = $4::jsonb where tenant_id = $1 and run_id = $2 and object = $3`,
        [tx.tenantId, work.claim.runId, object, JSON.stringify(conflicts ?? [])],
      )
      await dropStaged(tx, work.claim.runId, object)
    }
  })
  return rest(work, 'AWAITING_MAPPING', {
    code: 'MAPPING_NEEDED',
    message: `The mapping of ${unmapped.map(({ object }) => object).join(', ')} is not complete: ${unmapped[0]?.reason?.message ?? 'see its conflicts.'}`,
    retryable: true,
  })
}

/** Plans all imports of the pass, also those that have a plan already: each is about what those before it would leave. */
async function planAll({ context, claim, lost }: MigrationWork, runs: readonly Child[]): Promise<SliceEnd | null> {
  const claims: Claim[] = []
  for (const { id, status } of runs) {
    if (status === 'AWAITING_CONFIRMATION') {
      await inControl(context, claim, (tx) => requestPlan(tx, id))
    }
    const held = await context.control.use((lane) => claimHeld(lane, claim, id))
    if (held === null) {
      throw new StoppedError('the migration was stopped or taken over')
    }
    claims.push(held)
  }
  return planTogether(context, laneName(context.holder, claim.runId), claims, lost)
}

/** Starts one import after the other, in load order. Null when all have ended. */
async function promote(work: MigrationWork): Promise<SliceEnd | null> {
  await enter(work, 'PROMOTING')
  for (const child of await children(work)) {
    switch (child.status) {
      case 'COMPLETED':
      case 'COMPLETED_WITH_ERRORS':
        continue
      case 'AWAITING_CONFIRMATION':
        await inControl(work.context, work.claim, (tx) => startStaged(tx, child.id))
        return { kind: 'more', delayMs: LOOK_AGAIN_MS }
      case 'AWAITING_MAPPING':
        return askForMapping(work, [child])
      case 'ANALYZING':
      case 'PLANNING':
      case 'QUEUED':
      case 'RUNNING':
      case 'DEFERRED':
      case 'CANCELING':
        return { kind: 'more', delayMs: LOOK_AGAIN_MS }
      case 'PAUSED':
        await pauseFor(work.context, work.claim, {
          code: 'IMPORT_PAUSED',
          message: `The import of ${child.object} is paused: ${child.reason?.message ?? ''} Resume it, then the migration.`,
          retryable: true,
        })
        return { kind: 'done' }
      default:
        throw new FatalError(
          child.reason?.code ?? 'INTERNAL',
          `The import of ${child.object} is ${child.status}${child.reason === null ? '.' : `: ${child.reason.message}`} What was promoted before it can be rolled back.`,
        )
    }
  }
  return null
}

/** Imports what has changed, without a review: the mapping was approved. One import after the other; null when all have ended. */
async function apply(work: MigrationWork): Promise<SliceEnd | null> {
  for (;;) {
    const end = await promote(work)
    if (end !== null) {
      return end
    }
    if (!(await createChildren(work, 1))) {
      return null
    }
  }
}

/** Proves what is here against what is there, and lets the migration rest until changes are asked for. */
async function prove(work: MigrationWork): Promise<SliceEnd> {
  const { context, claim, migration } = work
  await enter(work, 'VERIFYING')
  const report = await verifyMigration(work)
  if (report === null) {
    return { kind: 'more', delayMs: 0 }
  }
  const file = await storeReport(work, report)
  const replaced = await inControl(context, claim, async (tx) => {
    await sumMigration(tx, claim.runId)
    const before = await keepReport(tx, claim, file, context.fileRetentionDays)
    await tx.query(
      `update run_migration set verification = $3::jsonb, stage = 'READY_FOR_DELTA' where tenant_id = $1 and run_id = $2`,
      [tx.tenantId, claim.runId, JSON.stringify(report)],
    )
    if (migration.goal !== 'VERIFY') {
      await tx.query(
        `update migration_object o set watermark = m.window_until from run_migration m
         where o.tenant_id = $1 and o.run_id = $2 and m.tenant_id = $1 and m.run_id = $2`,
        [tx.tenantId, claim.runId],
      )
    }
    const { failed } = (await first<{ failed: number }>(
      tx,
      'select failed::float8 as failed from run where tenant_id = $1 and id = $2',
      [tx.tenantId, claim.runId],
    )) ?? { failed: 0 }
    const ended = await endRun(
      tx,
      { id: claim.runId, kind: 'MIGRATION', ofRunId: null },
      'RUNNING',
      report.passed && failed === 0 ? 'COMPLETED' : 'COMPLETED_WITH_ERRORS',
      null,
      claim.token,
    )
    if (!ended) {
      throw new StoppedError('the migration was stopped or taken over')
    }
    return before
  }).catch(async (error: unknown) => {
    // Unless the answer of the commit was lost, nobody knows of the file; then the purge of the store finds it.
    if (error instanceof StoppedError) {
      await context.files.delete(file.key)
    }
    throw error
  })
  for (const key of replaced) {
    await context.files.delete(key)
  }
  return { kind: 'done' }
}

/** How a file of ids names the records to delete. */
const deletionMapping: readonly ColumnMapping[] = [
  {
    column: 'id',
    columnIndex: null,
    field: 'externalId',
    constant: null,
    defaultValue: null,
    valueMap: [],
    onBlank: null,
    format: null,
    confidence: null,
    reasons: [],
    alternatives: [],
  },
]
