/** What a rehearsal leaves behind, how it ends, and what a person says to it. */
import type { LaneTx } from '../db/lane.js'
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import type { Issue } from '../pipeline/types.js'
import { moveRun, statusChanged } from './events.js'
import type { RunStatus } from './status.js'
import type { PlanCounts, StatusReason } from './types.js'

/** Takes away what an earlier plan of the run left behind. */
export async function clearPlan(tx: Tx, runId: string): Promise<void> {
  for (const table of ['plan_row', 'plan_range', 'plan_issue', 'plan_chunk', 'plan_related']) {
    await tx.query(`delete from ${table} where tenant_id = $1 and run_id = $2`, [tx.tenantId, runId])
  }
}

/** Takes away what is left of a plan that was not finished, when the run has ended: nobody can look at it. */
export async function clearUnfinishedPlan(tx: Tx, runId: string): Promise<void> {
  const unfinished = await first(
    tx,
    // How far the rehearsal was is no row that was read.
    `update run set rows_read = 0, bytes_read = 0
     where tenant_id = $1 and id = $2 and plan_hash is null and cursor is null returning id`,
    [tx.tenantId, runId],
  )
  if (unfinished !== null) {
    await clearPlan(tx, runId)
  }
}

/** A problem of a planned row; `decided`: found by looking at the records, so that the run takes it over. */
export interface PlannedIssue extends Issue {
  readonly decided: boolean
}

export async function insertPlannedIssues(tx: LaneTx, runId: string, issues: readonly PlannedIssue[]): Promise<void> {
  if (issues.length === 0) {
    return
  }
  const perRow = new Map<number, number>()
  const rows = issues.map(({ row, column, ...issue }) => {
    const seq = perRow.get(row) ?? 0
    perRow.set(row, seq + 1)
    return { row_number: row, seq, column_name: column, ...issue }
  })
  await tx.query(
    `insert into plan_issue (tenant_id, run_id, row_number, seq, code, severity, column_name, field, value, message, suggestion, decided)
     select $1, $2, row_number, seq, code, severity, column_name, field, value, message, suggestion, decided
     from jsonb_to_recordset($3::jsonb) as x (row_number bigint, seq smallint, code text, severity text, column_name text,
       field text, value text, message text, suggestion text, decided boolean)`,
    [tx.tenantId, runId, JSON.stringify(rows)],
  )
}

/**
 * Ends a rehearsal: the plan stands, and the import waits for a person's word or goes on by itself. False if the run was
 * stopped or taken over.
 */
export async function finishPlan(
  tx: Tx,
  run: { readonly id: string; readonly token: number; readonly confirmation: 'ASK' | 'IF_NO_ERRORS' | 'ALWAYS' },
  plan: { readonly hash: string; readonly counts: PlanCounts; readonly rules: string; readonly ms: number },
): Promise<RunStatus | null> {
  const waits = run.confirmation === 'ASK' || plan.counts.failed > 0
  const to: RunStatus = waits ? 'AWAITING_CONFIRMATION' : 'QUEUED'
  const reason: StatusReason | null = waits
    ? {
        code: 'CONFIRMATION_NEEDED',
        message:
          plan.counts.failed > 0
            ? `The plan stands: ${plan.counts.failed} of ${plan.counts.read} rows will fail. Look at it, then confirm it or change the mapping.`
            : 'The plan stands. Look at it, then confirm it or change the mapping.',
        retryable: true,
      }
    : null
  const moved = await moveRun(tx, { id: run.id, kind: 'IMPORT' }, 'PLANNING', to, {
    reason,
    token: run.token,
    set: `plan_hash = $6, plan_counts = $7::jsonb, planned_at = clock_timestamp(), plan_rules = $8, rows_read = 0, bytes_read = 0,
      attempts = 0, queued_at = clock_timestamp(),
      stage_ms = stage_ms || jsonb_build_object('plan', coalesce((stage_ms ->> 'plan')::numeric, 0) + $9::numeric)`,
    params: [plan.hash, JSON.stringify(plan.counts), plan.rules, Math.round(plan.ms)],
  })
  return moved ? to : null
}

interface Locked {
  readonly kind: string
  readonly status: RunStatus
  readonly plan_hash: string | null
  readonly plan_rules: string | null
  readonly migration_run_id: string | null
}

async function lockImport(tx: Tx, runId: string): Promise<Locked> {
  const run = await first<Locked>(
    tx,
    'select kind, status, plan_hash, plan_rules, migration_run_id from run where tenant_id = $1 and id = $2 for update',
    [tx.tenantId, runId],
  )
  if (run === null || run.kind !== 'IMPORT') {
    throw new Refusal('NOT_FOUND', 'There is no such import.', ['runId'])
  }
  return run
}

/**
 * Asks for a plan: an import that is being analyzed, or waits for its mapping, is rehearsed as soon as nothing is in the way
 * of that and then waits for confirmation; one that waits for confirmation is rehearsed anew. Refuses INVALID_STATE for others.
 */
export async function requestPlan(tx: Tx, runId: string): Promise<void> {
  const run = await lockImport(tx, runId)
  switch (run.status) {
    case 'ANALYZING':
    case 'PLANNING':
      await tx.query("update run set confirmation = 'ASK' where tenant_id = $1 and id = $2", [tx.tenantId, runId])
      return
    case 'AWAITING_MAPPING':
      await tx.query(
        `update run set confirmation = 'ASK', status = 'ANALYZING', status_reason = null, mapping_conflicts = null, unmapped_required = null
         where tenant_id = $1 and id = $2`,
        [tx.tenantId, runId],
      )
      await statusChanged(tx, runId, 'IMPORT', 'AWAITING_MAPPING', 'ANALYZING', null)
      break
    case 'AWAITING_CONFIRMATION':
      await tx.query(
        `update run set confirmation = 'ASK', status = 'PLANNING', status_reason = null, plan_hash = null where tenant_id = $1 and id = $2`,
        [tx.tenantId, runId],
      )
      await statusChanged(tx, runId, 'IMPORT', 'AWAITING_CONFIRMATION', 'PLANNING', null)
      break
    default:
      throw new Refusal(
        'INVALID_STATE',
        `An import can be planned until it is queued; this one is ${run.status}.${run.status === 'QUEUED' || run.status === 'RUNNING' ? ' Import the file again with confirmation ASK.' : ''}`,
        ['runId'],
      )
  }
  await tx.query('select wake_run($1)', [runId])
}

/**
 * A person's word that the plan with this hash is to be applied. `rules` tells the business rules of today, as `finishPlan`
 * was told them. Refuses PLAN_STALE if that is not the plan that stands, and INVALID_STATE if none waits.
 */
export async function confirmPlan(
  tx: Tx,
  input: { readonly runId: string; readonly planHash: string | null; readonly rules: string },
): Promise<void> {
  const run = await lockImport(tx, input.runId)
  if (run.migration_run_id !== null) {
    throw new Refusal('INVALID_STATE', 'This import belongs to a migration: promote that, and it starts in its turn.', [
      'runId',
    ])
  }
  if (run.status !== 'AWAITING_CONFIRMATION') {
    throw new Refusal(
      'INVALID_STATE',
      `An import can be confirmed while it is AWAITING_CONFIRMATION; this one is ${run.status}.`,
      ['runId'],
    )
  }
  if (input.planHash === null) {
    throw new Refusal('INVALID_INPUT', 'Say which plan is meant: give the hash of the plan as planHash.', ['planHash'])
  }
  if (run.plan_hash !== input.planHash) {
    throw new Refusal(
      'PLAN_STALE',
      'The plan with this hash does not stand any more: the mapping, the options or the records have changed, and there is a newer plan. Look at that one.',
      ['planHash'],
    )
  }
  if (run.plan_rules !== input.rules) {
    throw new Refusal(
      'PLAN_STALE',
      'The business rules or the fields of this record type have changed since the plan was made. Plan the import again.',
      ['planHash'],
    )
  }
  await moveRun(tx, { id: input.runId, kind: 'IMPORT' }, 'AWAITING_CONFIRMATION', 'QUEUED', {
    set: 'queued_at = clock_timestamp(), attempts = 0',
  })
  await tx.query('select wake_run($1)', [input.runId])
}
