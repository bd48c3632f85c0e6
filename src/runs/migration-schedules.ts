/** Migrations that read changes by themselves, and when they are due. */
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import type { TemplateOwner } from './export-templates.js'
import { checkSchedule, nextDue } from './schedule.js'
import type { RunStatus } from './status.js'
import type { MigrationStage, StatusReason } from './types.js'

/** Statuses of migrations that read nothing again. */
const over: ReadonlySet<RunStatus> = new Set<RunStatus>([
  'FAILED',
  'CANCELED',
  'ROLLING_BACK',
  'ROLLED_BACK',
  'ROLLED_BACK_WITH_CONFLICTS',
  'EXPIRED',
])

/** A migration whose time has come. */
export interface DueMigration {
  readonly id: string
  readonly schedule: string
  readonly timeZone: string
  readonly owner: TemplateOwner
  readonly stage: MigrationStage
  readonly status: RunStatus
  readonly connected: boolean
}

/**
 * Has a migration read changes by itself, as the caller from now on, or (null) no longer. Refuses NOT_FOUND, INVALID_STATE for
 * a migration that has ended for good, INVALID_INPUT for what is no schedule or no time zone.
 */
export async function scheduleMigration(
  tx: Tx,
  runId: string,
  input: { readonly schedule: string | null; readonly timeZone: string | null; readonly owner: TemplateOwner },
  now: Date,
): Promise<void> {
  const run = await first<{ status: RunStatus }>(
    tx,
    `select status from run where tenant_id = $1 and id = $2 and kind = 'MIGRATION' for update`,
    [tx.tenantId, runId],
  )
  if (run === null) {
    throw new Refusal('NOT_FOUND', 'There is no such migration.', ['migrationId'])
  }
  if (input.schedule !== null && over.has(run.status)) {
    throw new Refusal('INVALID_STATE', `The migration reads nothing again: it is ${run.status}.`, ['migrationId'])
  }
  const timeZone = input.schedule === null ? null : (input.timeZone ?? 'UTC')
  const schedule = input.schedule === null ? null : checkSchedule(input.schedule, timeZone ?? 'UTC', now)
  const next = schedule === null ? null : nextDue(schedule, timeZone ?? 'UTC', now)
  await tx.query(
    `update run_migration set schedule = $3, time_zone = $4, schedule_owner = $5::jsonb, schedule_disabled = null, next_due_at = $6
     where tenant_id = $1 and run_id = $2`,
    [tx.tenantId, runId, schedule, timeZone, schedule === null ? null : JSON.stringify(input.owner), next],
  )
}

/** Takes a migration whose time has come, for the caller's transaction; null if another worker has it or had it. */
export function takeDueMigration(tx: Tx, runId: string, now: Date): Promise<DueMigration | null> {
  return first<DueMigration>(
    tx,
    `select m.run_id as id, m.schedule, m.time_zone as "timeZone", m.schedule_owner as owner, m.stage, r.status,
       exists (select from integration i where i.tenant_id = m.tenant_id and i.id = m.integration_id and i.status = 'CONNECTED') as connected
     from run_migration m join run r on r.tenant_id = m.tenant_id and r.id = m.run_id
     where m.tenant_id = $1 and m.run_id = $2 and m.next_due_at <= $3 for update of m skip locked`,
    [tx.tenantId, runId, now],
  )
}

/** What keeps a schedule from being followed until somebody sets it again; null for nothing. */
export function whyDisabled({ status, connected }: DueMigration, allowed: boolean): StatusReason | null {
  if (!allowed) {
    return {
      code: 'OWNER_NOT_ALLOWED',
      message: 'Whoever set the schedule may not migrate any more. Somebody who may has to set it again.',
      retryable: false,
    }
  }
  if (over.has(status)) {
    return { code: 'MIGRATION_ENDED', message: `The migration is ${status}: nothing is read again.`, retryable: false }
  }
  if (!connected) {
    return {
      code: 'INTEGRATION_NOT_CONNECTED',
      message: 'The service takes the sign-in no more. Sign in again, then set the schedule again.',
      retryable: false,
    }
  }
  return null
}

/** Whether changes can be read just now; a pass that is under way, or waits for a person, is not overtaken. */
export function isAtRest({ stage, status }: DueMigration): boolean {
  return stage === 'READY_FOR_DELTA' && (status === 'COMPLETED' || status === 'COMPLETED_WITH_ERRORS')
}

/** When a migration is due next: after now, however many times it has missed. `reason`: its schedule is disabled. */
export async function setNextPass(
  tx: Tx,
  { id, schedule, timeZone }: DueMigration,
  now: Date,
  reason: StatusReason | null,
): Promise<void> {
  await tx.query(
    'update run_migration set next_due_at = $3, schedule_disabled = $4::jsonb where tenant_id = $1 and run_id = $2',
    [
      tx.tenantId,
      id,
      reason === null ? nextDue(schedule, timeZone, now) : null,
      reason === null ? null : JSON.stringify(reason),
    ],
  )
}
