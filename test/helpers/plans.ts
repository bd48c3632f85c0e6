/** Plans of imports and their runs, row by row, for tests that hold one against the other. */
import assert from 'node:assert/strict'
import { withTenant } from '../../src/db/tx.js'
import type { RecordTypeName } from '../../src/records/types.js'
import { confirmPlan } from '../../src/runs/plan.js'
import type { RunRow } from '../../src/runs/types.js'
import type { Engine, ImportRequest } from './engine.js'

/** A row as a plan or a run has it. */
export interface PlannedOrDone {
  row: number
  outcome: string
  after: string | null
  issues: string | null
}

const listed = (rows: string, ranges: string, issues: string, changes: string) => `
  select x.row::int as row, x.outcome, x.after,
    (select string_agg(i.code || ' ' || i.message, '; ' order by i.seq) from ${issues} i where i.run_id = $1 and i.row_number = x.row) as issues
  from (select r.row_number as row, r.outcome, ${changes} as after from ${rows} r where r.run_id = $1
        union all
        select generate_series(lower(span), upper(span) - 1), outcome, null from (select outcome, unnest(rows) as span from ${ranges} where run_id = $1) g) x
  order by 1`

/** The rows of a plan, in file order. */
export function ofPlan(engine: Engine, runId: string): Promise<PlannedOrDone[]> {
  return engine.rows<PlannedOrDone>(listed('plan_row', 'plan_range', 'plan_issue', 'r.after::text'), [runId])
}

/** The rows of a run, in file order. */
export function ofRun(engine: Engine, runId: string): Promise<PlannedOrDone[]> {
  return engine.rows<PlannedOrDone>(
    listed(
      'run_row',
      'run_range',
      'run_issue',
      `(select c.after::text from run_change c where c.run_id = r.run_id and c.row_number = r.row_number
         and c.record_type = (select record_type from run where id = $1))`,
    ),
    [runId],
  )
}

/** A plan tells records that the import makes by their rows, the run by their ids; and only a run deletes at a time. */
export function comparable(rows: readonly PlannedOrDone[]): PlannedOrDone[] {
  return rows.map((row) => ({
    ...row,
    after:
      row.after?.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|row \d+/g, 'an id').replaceAll(/"deleted_at": "[^"]+"/g, '') ??
      null,
  }))
}

/** A digest of every record of a type in a tenant, of what else they are known by, and how many changes runs have made. */
export function everything(engine: Engine, tenant: string, type: RecordTypeName = 'contact'): Promise<object[]> {
  return engine.rows(
    `select (select md5(string_agg(c::text, ',' order by id)) from ${type} c where tenant_id = $1) as records,
       (select md5(string_agg(i::text, ',' order by i::text)) from record_identity i where tenant_id = $1) as identities,
       (select count(*) from run_change where tenant_id = $1) as changes`,
    [tenant],
  )
}

/** A person's word. */
export async function confirm(engine: Engine, tenant: string, runId: string, planHash: string): Promise<void> {
  await engine.context.control.use((lane) =>
    withTenant(lane, tenant, (tx) => confirmPlan(tx, { runId, planHash, rules: '' })),
  )
}

/** Hash and counts of the plan that stands. */
export async function planOf(engine: Engine, runId: string): Promise<{ hash: string; counts: Record<string, number> }> {
  const [run] = await engine.rows<{ hash: string; counts: Record<string, number> }>(
    'select plan_hash as hash, plan_counts as counts from run where id = $1',
    [runId],
  )
  assert.ok(run)
  return run
}

/** Rehearses a file and leaves it waiting for a person. Answers the run and its plan. */
export async function planned(
  engine: Engine,
  tenant: string,
  request: ImportRequest,
  where = '',
): Promise<{ runId: string; hash: string; counts: Record<string, number> }> {
  const runId = await engine.createRun(tenant, { ...request, confirmation: 'ASK' })
  const waiting = await engine.advance(tenant, runId)
  assert.equal(waiting.status, 'AWAITING_CONFIRMATION', `${where} ${JSON.stringify(waiting.statusReason)}`)
  return { runId, ...(await planOf(engine, runId)) }
}

/** Plans a file, applies the plan, and asserts that nothing was written before and that every row came to what was planned. */
export async function runAsPlanned(
  engine: Engine,
  tenant: string,
  request: ImportRequest,
  where: string,
): Promise<RunRow> {
  const untouched = await everything(engine, tenant, request.type)
  const { runId, hash, counts } = await planned(engine, tenant, request, where)
  assert.deepEqual(await everything(engine, tenant, request.type), untouched, `${where}: a plan writes no record`)
  const rows = await ofPlan(engine, runId)
  await confirm(engine, tenant, runId, hash)
  const run = await engine.advance(tenant, runId)
  assert.deepEqual(comparable(await ofRun(engine, runId)), comparable(rows), where)
  for (const [outcome, count] of Object.entries(counts)) {
    assert.equal(run.counts[outcome as 'created'], count, `${where}: ${outcome}`)
  }
  return run
}
