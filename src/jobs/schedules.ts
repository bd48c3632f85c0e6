/**
 * Starts the exports of templates, and the passes of migrations, whose time has come. What is due stands in the template: taking it, creating the run and
 * writing down when it is due next are one transaction, so a due time is one run however many workers look and whenever one dies.
 * What was missed while no worker was there is made up for by one run.
 */
import { permissionsNow } from '../access/owner.js'
import type { Permission } from '../access/permissions.js'
import { exportSpec } from '../adapters/crm/export.js'
import { Lane } from '../db/lane.js'
import { type Tx, withTenant } from '../db/tx.js'
import { Refusal } from '../errors.js'
import type { Log } from '../log.js'
import { endRun } from '../runs/control.js'
import { type ExportTemplateRow, setNext, takeDue, templateFileName } from '../runs/export-templates.js'
import { createExport, defaultExportFormat } from '../runs/exports.js'
import { isAtRest, setNextPass, takeDueMigration, whyDisabled } from '../runs/migration-schedules.js'
import { askOfMigration } from '../runs/migrations.js'
import type { StatusReason } from '../runs/types.js'
import { laneOptions } from './context.js'
import { type Loop, startLoop } from './loop.js'

/** How often a worker looks whether a template is due, in milliseconds. */
const LOOK_MS = 1000

/** Templates, and migrations, that one look starts; the rest is for the next one. */
const STARTED_AT_ONCE = 100

/** A template that could not be started for a fault of ours is left alone for so long, in milliseconds. */
const FAULT_REST_MS = 60_000

/** Condition on a template: nothing is begun for a tenant that is being erased. */
const stands = 'exists (select from tenant t where t.id = tenant_id and t.erasing_at is null)'

/** The owner may not export any more: the template is disabled. */
const notAllowed: StatusReason = {
  code: 'OWNER_NOT_ALLOWED',
  message: 'Whoever saved the template may not export any more. Somebody who may has to save it again.',
  retryable: false,
}

export interface DueOptions {
  /** What time it is; absent: as the database says. */
  readonly now?: Date
  readonly log?: Log
  /** Templates that are left alone, with the moment at which that ends in milliseconds since 1970. Kept between calls. */
  readonly resting?: Map<string, number>
}

/** Starts what is due and answers how many exports that were, failed ones included. */
export async function startDueExports(lane: Lane, { now, log, resting }: DueOptions = {}): Promise<number> {
  const due = await lane.session<{ tenant_id: string; id: string; now: Date }>(
    `select tenant_id, id, coalesce($1::timestamptz, clock_timestamp()) as now from export_template
     where next_run_at <= coalesce($1::timestamptz, clock_timestamp())
       and ${stands} order by next_run_at, id limit ${STARTED_AT_ONCE}`,
    [now ?? null],
  )
  let started = 0
  for (const { tenant_id: tenantId, id, now: at } of due) {
    if ((resting?.get(id) ?? 0) > Date.now()) {
      continue
    }
    try {
      started += (await withTenant(lane, tenantId, (tx) => start(tx, id, at))) ? 1 : 0
      resting?.delete(id)
    } catch (error) {
      if (lane.broken !== null) {
        throw error
      }
      // One template must not keep the others from being started.
      resting?.set(id, Date.now() + FAULT_REST_MS)
      log?.warn({ tenantId, err: error }, 'a scheduled export could not be started and will be tried again')
    }
  }
  return started
}

/** Has migrations whose time has come read changes, and answers how many schedules were followed, those disabled among them. */
export async function startDueMigrations(lane: Lane, { now, log, resting }: DueOptions = {}): Promise<number> {
  const due = await lane.session<{ tenant_id: string; id: string; now: Date }>(
    `select tenant_id, run_id as id, coalesce($1::timestamptz, clock_timestamp()) as now from run_migration
     where next_due_at <= coalesce($1::timestamptz, clock_timestamp())
       and ${stands} order by next_due_at, run_id limit ${STARTED_AT_ONCE}`,
    [now ?? null],
  )
  let followed = 0
  for (const { tenant_id: tenantId, id, now: at } of due) {
    if ((resting?.get(id) ?? 0) > Date.now()) {
      continue
    }
    try {
      followed += (await withTenant(lane, tenantId, (tx) => startPass(tx, id, at))) ? 1 : 0
      resting?.delete(id)
    } catch (error) {
      if (lane.broken !== null) {
        throw error
      }
      resting?.set(id, Date.now() + FAULT_REST_MS)
      log?.warn({ tenantId, runId: id, err: error }, 'a scheduled pass could not be started and will be tried again')
    }
  }
  return followed
}

async function startPass(tx: Tx, id: string, now: Date): Promise<boolean> {
  const migration = await takeDueMigration(tx, id, now)
  if (migration === null) {
    return false
  }
  const permissions = await permissionsNow(tx, migration.owner)
  const disabled = whyDisabled(migration, permissions?.includes('MIGRATION_RUN') === true)
  if (disabled === null && isAtRest(migration)) {
    await askOfMigration(tx, id, 'DELTA')
  }
  await setNextPass(tx, migration, now, disabled)
  return true
}

async function start(tx: Tx, id: string, now: Date): Promise<boolean> {
  const template = await takeDue(tx, id, now)
  if (template === null) {
    return false
  }
  const permissions = await permissionsNow(tx, template.owner)
  if (permissions?.includes('EXPORT_RUN') !== true) {
    await startFailed(tx, template, notAllowed)
    await setNext(tx, template, now, notAllowed)
    return true
  }
  try {
    await startExport(tx, template, new Set(permissions), now)
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error
    }
    // A field that is gone, or that the owner may not see any more: the last run of the template says so.
    await startFailed(tx, template, { code: error.code, message: error.message, retryable: false })
  }
  await setNext(tx, template, now, null)
  return true
}

async function startExport(
  tx: Tx,
  template: ExportTemplateRow,
  permissions: ReadonlySet<Permission>,
  now: Date,
): Promise<void> {
  const { recordType, filter, orderBy, columns, format } = template
  const spec = await exportSpec(tx, {
    recordType,
    filter,
    orderBy,
    columns,
    format: { ...defaultExportFormat, ...format },
    fileName: templateFileName(template, now),
    permissions,
  })
  await createExport(tx, { actor: template.owner.actor, spec, templateId: template.id })
}

/** An export that has failed before it began: what people look at to learn how a template fares are its runs. */
async function startFailed(tx: Tx, template: ExportTemplateRow, reason: StatusReason): Promise<void> {
  const { recordType, filter, orderBy, columns, format, owner, name } = template
  const spec = {
    recordType,
    filter,
    orderBy,
    columns: (columns ?? []).map((column) => ({ ...column, header: column.header ?? column.field })),
    format: { ...defaultExportFormat, ...format },
    fileName: name,
    permissions: owner.permissions,
  }
  const id = await createExport(tx, { actor: owner.actor, spec, templateId: template.id })
  await endRun(tx, { id, kind: 'EXPORT', ofRunId: null }, 'QUEUED', 'FAILED', reason)
}

/** Looks for what is due until `stopping` or `close`. Opens a connection only when there is something. */
export function startScheduler(options: {
  readonly databaseUrl: string
  readonly presence: Lane
  readonly log: Log
  readonly stopping: AbortSignal
}): Loop {
  const { databaseUrl, presence, log, stopping } = options
  const resting = new Map<string, number>()
  const wanted = async (): Promise<boolean> =>
    (
      await presence.session<{ id: string }>(
        `(select id from export_template where next_run_at <= clock_timestamp() and ${stands} limit ${STARTED_AT_ONCE})
         union all (select run_id from run_migration where next_due_at <= clock_timestamp() and ${stands} limit ${STARTED_AT_ONCE})`,
      )
    ).some(({ id }) => (resting.get(id) ?? 0) <= Date.now())
  const look = async (): Promise<void> => {
    if (!(await wanted())) {
      return
    }
    const lane = await Lane.open(laneOptions(databaseUrl, 'portage schedules'))
    try {
      await startDueExports(lane, { log, resting })
      await startDueMigrations(lane, { log, resting })
    } finally {
      await lane.close()
    }
  }
  return startLoop(
    { everyMs: LOOK_MS, stopping, log, failed: 'schedules could not be looked at; the next look follows' },
    look,
  )
}
