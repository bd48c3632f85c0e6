/**
 * Moving in from another CRM. A migration is a run that stays: it looks at the account, reads the objects, has them staged
 * as imports, promotes those, proves the result and reads again what has changed since. What is asked of it is its `goal`;
 * how far it is, its `stage`. See `src/jobs/run-migration.ts` for the work itself.
 */
import { admitRun } from '../access/quotas.js'
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import type { ColumnMapping, ImportOptions, MappingConflict } from '../pipeline/types.js'
import type { RecordTypeName } from '../records/types.js'
import { endRun } from './control.js'
import { moveRun, statusChanged } from './events.js'
import type { RunStatus } from './status.js'
import type { MigrationStage, StatusReason, VerificationReport } from './types.js'

/** What was asked of a migration last. */
export type MigrationGoal = 'DISCOVER' | 'STAGE' | 'PROMOTE' | 'VERIFY' | 'DELTA'

export interface NewMigrationObject {
  /** As the service names it. */
  readonly object: string
  readonly recordType: RecordTypeName
  /** Null: suggested once the object has been looked at. */
  readonly mapping: readonly ColumnMapping[] | null
  /** Records to read, with all that they refer to; null for all there are. */
  readonly sampleSize: number | null
  /** A condition in the service's own words; null for none. */
  readonly filter: string | null
}

export interface NewMigration {
  readonly actor: string
  readonly integrationId: string
  readonly objects: readonly NewMigrationObject[]
  readonly options: ImportOptions
}

/** A migration as its worker needs it. */
export interface MigrationRow {
  readonly runId: string
  readonly integrationId: string
  readonly stage: MigrationStage
  readonly goal: MigrationGoal
  readonly options: ImportOptions
  readonly account: { readonly id: string; readonly name: string | null; readonly apiVersion: string } | null
  readonly pass: number
  /** ISO 8601 UTC, to the microsecond. */
  readonly windowUntil: string | null
  readonly verification: VerificationReport | null
  readonly schedule: string | null
  readonly timeZone: string | null
  readonly nextDueAt: Date | null
}

/** How an object is described now against what its mapping was made for; `gone`: there is no such field any more. */
export interface ObjectDrift extends MappingConflict {
  readonly gone?: boolean
}

/** One object of a migration. `D` is how the adapter describes it. */
export interface MigrationObjectRow<D = unknown> {
  readonly object: string
  readonly position: number
  readonly recordType: RecordTypeName
  readonly mapping: readonly ColumnMapping[] | null
  readonly given: boolean
  readonly sampleSize: number | null
  readonly filter: string | null
  readonly descriptor: D | null
  readonly conflicts: readonly MappingConflict[]
  readonly drift: readonly ObjectDrift[]
  readonly expected: number | null
  readonly extracted: number
  readonly state: unknown
  readonly extractedPass: number | null
  /** ISO 8601 UTC, to the microsecond; null before the first pass has been applied. */
  readonly watermark: string | null
  /** By code, of all that was read in every pass. */
  readonly problems: Readonly<Record<string, ReadingProblem>>
}

/** Something that was noticed while records were read, and is no reason to stop. */
export interface ReadingProblem {
  readonly count: number
  /** Never a value of a record. */
  readonly message: string
  /** The first record that it is about; null where it is about the object. */
  readonly externalId: string | null
}

export interface MigrationPass {
  readonly object: string
  readonly pass: number
  readonly kind: 'CHANGED' | 'DELETED'
  readonly sourceFileId: string
  readonly importRunId: string | null
}

const utc = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

/** Creates a migration, which looks at its objects at once. Answers the run's id. */
export async function createMigration(tx: Tx, input: NewMigration): Promise<string> {
  const integration = await first<{ status: string }>(
    tx,
    'select status from integration where tenant_id = $1 and id = $2 for share',
    [tx.tenantId, input.integrationId],
  )
  if (integration === null) {
    throw new Refusal('NOT_FOUND', 'There is no such integration.', ['integrationId'])
  }
  if (integration.status !== 'CONNECTED') {
    throw new Refusal(
      'INTEGRATION_NOT_CONNECTED',
      `The integration is ${integration.status}: sign in to the service again, then create the migration.`,
      ['integrationId'],
    )
  }
  const id = newId()
  await admitRun(tx, id)
  await tx.query(
    `insert into run (tenant_id, id, kind, status, created_by, options, queued_at)
     values ($1, $2, 'MIGRATION', 'QUEUED', $3, $4::jsonb, now())`,
    [tx.tenantId, id, input.actor, JSON.stringify(input.options)],
  )
  await tx.query(
    `insert into run_migration (tenant_id, run_id, integration_id, stage, goal, options) values ($1, $2, $3, 'DRAFT', 'DISCOVER', $4::jsonb)`,
    [tx.tenantId, id, input.integrationId, JSON.stringify(input.options)],
  )
  await tx.query(
    `insert into migration_object (tenant_id, run_id, object, position, record_type, mapping, given, sample_size, filter)
     select $1, $2, x.object, x.position, x.record_type, x.mapping, x.mapping is not null, x.sample_size, x.filter
     from jsonb_to_recordset($3::jsonb) as x (object text, position int, record_type text, mapping jsonb, sample_size int, filter text)`,
    [
      tx.tenantId,
      id,
      JSON.stringify(
        input.objects.map(({ object, recordType, mapping, sampleSize, filter }, position) => ({
          object,
          position,
          record_type: recordType,
          mapping,
          sample_size: sampleSize,
          filter,
        })),
      ),
    ],
  )
  await statusChanged(tx, id, 'MIGRATION', null, 'QUEUED', null)
  await tx.query('select wake_run($1)', [id])
  return id
}

export async function findMigration(tx: Tx, runId: string): Promise<MigrationRow | null> {
  return first<MigrationRow>(
    tx,
    `select run_id as "runId", integration_id as "integrationId", stage, goal, options, account, pass,
       ${utc('window_until')} as "windowUntil", verification, schedule, time_zone as "timeZone", next_due_at as "nextDueAt"
     from run_migration where tenant_id = $1 and run_id = $2`,
    [tx.tenantId, runId],
  )
}

/** Objects in the order in which their records are loaded. */
export async function migrationObjects<D>(tx: Tx, runId: string): Promise<MigrationObjectRow<D>[]> {
  return tx.query<MigrationObjectRow<D>>(
    `select object, position, record_type as "recordType", mapping, given, sample_size as "sampleSize", filter, descriptor,
       conflicts, drift, expected::float8 as expected, extracted::float8 as extracted, state, extracted_pass as "extractedPass",
       ${utc('watermark')} as watermark, problems
     from migration_object where tenant_id = $1 and run_id = $2
     order by position`,
    [tx.tenantId, runId],
  )
}

/** What was made of each pass, the first one first. */
export async function migrationPasses(tx: Tx, runId: string): Promise<MigrationPass[]> {
  return tx.query<MigrationPass>(
    `select object, pass, kind, source_file_id as "sourceFileId", import_run_id as "importRunId"
     from migration_pass where tenant_id = $1 and run_id = $2 order by pass, object, kind`,
    [tx.tenantId, runId],
  )
}

interface Locked {
  readonly status: RunStatus
  readonly stage: MigrationStage
  readonly pass: number
}

async function lock(tx: Tx, runId: string): Promise<Locked> {
  const run = await first<Locked>(
    tx,
    `select r.status, m.stage, m.pass from run r join run_migration m on m.tenant_id = r.tenant_id and m.run_id = r.id
     where r.tenant_id = $1 and r.id = $2 for update`,
    [tx.tenantId, runId],
  )
  if (run === null) {
    throw new Refusal('NOT_FOUND', 'There is no such migration.', ['migrationId'])
  }
  return run
}

/** Where each thing can be asked from, and what a person does instead. */
const from: Readonly<
  Record<Exclude<MigrationGoal, 'DISCOVER'>, { readonly stages: readonly MigrationStage[]; readonly else: string }>
> = {
  STAGE: {
    stages: ['AWAITING_MAPPING', 'AWAITING_REVIEW'],
    else: 'A migration can be staged when its objects have been looked at and nothing of it has been promoted.',
  },
  PROMOTE: { stages: ['AWAITING_REVIEW'], else: 'A migration can be promoted when it has been staged.' },
  VERIFY: { stages: ['READY_FOR_DELTA'], else: 'A migration can be verified when it has been promoted.' },
  DELTA: { stages: ['READY_FOR_DELTA'], else: 'Changes can be read again when the migration has been promoted.' },
}

/** Asks something of a migration that is at rest, and wakes a worker. Refuses INVALID_STATE from another stage. */
export async function askOfMigration(tx: Tx, runId: string, goal: Exclude<MigrationGoal, 'DISCOVER'>): Promise<void> {
  const run = await lock(tx, runId)
  const resting: readonly RunStatus[] = [
    'AWAITING_MAPPING',
    'AWAITING_CONFIRMATION',
    'COMPLETED',
    'COMPLETED_WITH_ERRORS',
  ]
  // A pass for changes that was held by another look of the source goes on with the mapping that it has been given.
  const held = run.stage === 'AWAITING_MAPPING' && run.pass > 0
  if (!(held ? goal === 'DELTA' : from[goal].stages.includes(run.stage)) || !resting.includes(run.status)) {
    throw new Refusal('INVALID_STATE', `${from[goal].else} This one is ${run.stage}, its status ${run.status}.`, [
      'migrationId',
    ])
  }
  const unmapped = await first<{ object: string }>(
    tx,
    `select object from migration_object where tenant_id = $1 and run_id = $2
       and (mapping is null or jsonb_array_length(mapping) = 0 or jsonb_array_length(conflicts) > 0) order by position limit 1`,
    [tx.tenantId, runId],
  )
  if ((goal === 'STAGE' || held) && unmapped !== null) {
    throw new Refusal(
      'INVALID_STATE',
      `The mapping of ${unmapped.object} is not complete: see its conflicts, then give it with migrationMappingUpdate.`,
      ['migrationId'],
    )
  }
  await tx.query(
    `update run_migration set goal = $3,
       pass = case when $4 then pass + 1 else pass end, window_until = case when $4 then null else window_until end
     where tenant_id = $1 and run_id = $2`,
    [tx.tenantId, runId, goal, goal === 'DELTA' && !held],
  )
  await moveRun(tx, { id: runId, kind: 'MIGRATION' }, run.status, 'QUEUED', {
    set: 'queued_at = clock_timestamp(), attempts = 0, finished_at = null',
  })
  await tx.query('select wake_run($1)', [runId])
}

/**
 * Gives an object another mapping. What was staged with the one before is void; what was read stays. Refuses INVALID_STATE
 * once something has been promoted, and while a worker has the migration in hand.
 */
export async function mapMigrationObject(
  tx: Tx,
  runId: string,
  object: string,
  mapping: readonly ColumnMapping[],
  conflicts: readonly MappingConflict[],
): Promise<void> {
  const run = await lock(tx, runId)
  if (run.status !== 'AWAITING_MAPPING' && run.status !== 'AWAITING_CONFIRMATION') {
    throw new Refusal(
      'INVALID_STATE',
      `The mapping can be changed while the migration waits for it or for review; its stage is ${run.stage}, its status ${run.status}.`,
      ['migrationId'],
    )
  }
  const changed = await first(
    tx,
    `update migration_object set mapping = $4::jsonb, given = true, conflicts = $5::jsonb
     where tenant_id = $1 and run_id = $2 and object = $3 returning object`,
    [tx.tenantId, runId, object, JSON.stringify(mapping), JSON.stringify(conflicts)],
  )
  if (changed === null) {
    throw new Refusal('NOT_FOUND', `The migration has no object ${object}.`, ['object'])
  }
  await dropStaged(tx, runId, object)
  if (run.status === 'AWAITING_CONFIRMATION') {
    await tx.query(`update run_migration set stage = 'AWAITING_MAPPING' where tenant_id = $1 and run_id = $2`, [
      tx.tenantId,
      runId,
    ])
    await moveRun(tx, { id: runId, kind: 'MIGRATION' }, 'AWAITING_CONFIRMATION', 'AWAITING_MAPPING')
  }
}

/**
 * Ends imports of the migration that have not started, those of one object or (null) of all: what they were staged with is void.
 * What was read for them stays, for imports with another mapping.
 */
export async function dropStaged(tx: Tx, runId: string, object: string | null): Promise<void> {
  const staged = await tx.query<{ id: string; status: RunStatus }>(
    `select r.id, r.status from run r join migration_pass p on p.tenant_id = r.tenant_id and p.import_run_id = r.id
     where r.tenant_id = $1 and p.run_id = $2 and ($3::text is null or p.object = $3)
       and r.status in ('AWAITING_MAPPING', 'AWAITING_CONFIRMATION') order by r.id for update of r`,
    [tx.tenantId, runId, object],
  )
  for (const { id, status } of staged) {
    await endRun(tx, { id, kind: 'IMPORT', ofRunId: null }, status, 'CANCELED', null)
  }
  await tx.query(
    'update migration_pass set import_run_id = null where tenant_id = $1 and run_id = $2 and import_run_id = any ($3::uuid[])',
    [tx.tenantId, runId, staged.map(({ id }) => id)],
  )
}

/** Moves a migration to another stage. False if another worker has it, or a person has stopped it. */
export async function enterStage(
  tx: Tx,
  run: { readonly id: string; readonly token: number },
  stage: MigrationStage,
): Promise<boolean> {
  const moved = await first(
    tx,
    `update run_migration m set stage = $4 from run r
     where m.tenant_id = $1 and m.run_id = $2 and r.tenant_id = $1 and r.id = $2 and r.fencing_token = $3 and r.status = 'RUNNING'
     returning m.run_id`,
    [tx.tenantId, run.id, run.token, stage],
  )
  return moved !== null
}

/** Lets a migration rest until a person says something. */
export async function restMigration(
  tx: Tx,
  run: { readonly id: string; readonly token: number },
  stage: Extract<MigrationStage, 'AWAITING_MAPPING' | 'AWAITING_REVIEW'>,
  reason: StatusReason,
): Promise<boolean> {
  const to: RunStatus = stage === 'AWAITING_MAPPING' ? 'AWAITING_MAPPING' : 'AWAITING_CONFIRMATION'
  return (
    (await enterStage(tx, run, stage)) &&
    (await moveRun(tx, { id: run.id, kind: 'MIGRATION' }, 'RUNNING', to, { reason, token: run.token }))
  )
}

/** Pauses a migration until somebody resumes it or, where `until` (ISO 8601) is given, until then. */
export async function pauseMigration(
  tx: Tx,
  run: { readonly id: string; readonly token: number },
  reason: StatusReason,
  until: string | null = null,
): Promise<boolean> {
  return moveRun(tx, { id: run.id, kind: 'MIGRATION' }, 'RUNNING', 'PAUSED', {
    reason,
    token: run.token,
    set: 'resume_at = $6::timestamptz',
    params: [until],
  })
}

/** Lets a staged import of a migration begin. */
export async function startStaged(tx: Tx, importId: string): Promise<void> {
  await moveRun(tx, { id: importId, kind: 'IMPORT' }, 'AWAITING_CONFIRMATION', 'QUEUED', {
    set: 'queued_at = clock_timestamp(), attempts = 0',
  })
  await tx.query('select wake_run($1)', [importId])
}
