/**
 * What every chunk of every run leaves behind: outcomes, issues, and, last of all, the settlement that moves the cursor.
 * `settle` raises when this worker has lost the run (PT002) or a person has stopped it (PT003).
 */
import { type LaneTx, literal, sqlState } from '../db/lane.js'
import type { Tx } from '../db/tx.js'
import type { Issue } from '../pipeline/types.js'

/** A row that is listed by itself rather than as part of a range. */
export interface ListedRow {
  readonly row: number
  readonly outcome: 'CREATED' | 'UPDATED' | 'UNCHANGED' | 'SKIPPED' | 'FAILED' | 'DELETED'
  readonly byte: number
  readonly sourceId: string | null
}

/** How many issues an event carries; the rest is read by query. */
const ISSUES_IN_EVENT = 100

/** Renewed by every chunk; a run whose lease has lapsed is taken over. Seconds. */
export const LEASE_SECONDS = 5

export interface Counted {
  readonly read: number
  readonly created?: number
  readonly updated?: number
  readonly unchanged?: number
  readonly skipped?: number
  readonly failed?: number
  readonly deleted?: number
  readonly reverted?: number
  readonly kept?: number
}

export interface Settlement {
  readonly runId: string
  readonly token: number
  readonly cursorBefore: unknown
  readonly cursor: unknown
  readonly counts: Counted
  readonly bytesRead: number
  readonly runningMs: number
  readonly stageMs: Readonly<Record<string, number>>
  /** The rows that the chunk settled, for the RowsSettled event; null for a rollback, whose chunks are no row ranges. */
  readonly settled: { readonly fromRow: number; readonly toRow: number; readonly issues: readonly Issue[] } | null
}

export async function insertIssues(tx: Tx, runId: string, issues: readonly Issue[]): Promise<void> {
  if (issues.length === 0) {
    return
  }
  const perRow = new Map<number, number>()
  const rows = issues.map((issue) => {
    const seq = perRow.get(issue.row) ?? 0
    perRow.set(issue.row, seq + 1)
    return {
      row_number: issue.row,
      seq,
      code: issue.code,
      severity: issue.severity,
      column_name: issue.column,
      field: issue.field,
      value: issue.value,
      message: issue.message,
      suggestion: issue.suggestion,
    }
  })
  await tx.query(
    `insert into run_issue (tenant_id, run_id, row_number, seq, code, severity, column_name, field, value, message, suggestion)
     select $1, $2, row_number, seq, code, severity, column_name, field, value, message, suggestion
     from jsonb_to_recordset($3::jsonb) as x (row_number bigint, seq smallint, code text, severity text, column_name text,
       field text, value text, message text, suggestion text)`,
    [tx.tenantId, runId, JSON.stringify(rows)],
  )
}

export async function insertRows(tx: Tx, runId: string, rows: readonly ListedRow[]): Promise<void> {
  if (rows.length === 0) {
    return
  }
  await tx.query(
    `insert into run_row (tenant_id, run_id, row_number, outcome, source_id, byte)
     select $1, $2, * from unnest($3::bigint[], $4::text[], $5::text[], $6::bigint[])`,
    [
      tx.tenantId,
      runId,
      rows.map((row) => row.row),
      rows.map((row) => row.outcome),
      rows.map((row) => row.sourceId),
      rows.map((row) => row.byte),
    ],
  )
}

/** Rows of one outcome as ranges: `ranges` is the text of an int8multirange. */
export async function insertRange(
  tx: Tx,
  runId: string,
  fromRow: number,
  outcome: 'CREATED' | 'UNCHANGED',
  ranges: string,
  count: number,
): Promise<void> {
  if (count > 0) {
    await tx.query(
      'insert into run_range (tenant_id, run_id, from_row, outcome, rows, row_count) values ($1, $2, $3, $4, $5::int8multirange, $6)',
      [tx.tenantId, runId, fromRow, outcome, ranges, count],
    )
  }
}

/** Makes the settlement the last statement of the transaction: it travels with COMMIT. */
export function settleWithCommit(tx: LaneTx, settlement: Settlement): void {
  const settled =
    settlement.settled === null
      ? null
      : {
          fromRow: settlement.settled.fromRow,
          toRow: settlement.settled.toRow,
          counts: settlement.counts,
          issues: settlement.settled.issues
            .slice(0, ISSUES_IN_EVENT)
            .map(({ row, ...issue }) => ({ rowNumber: row, ...issue })),
          issueCount: settlement.settled.issues.length,
        }
  tx.commitWith(
    `select settle(${[
      `${literal(settlement.runId)}::uuid`,
      String(settlement.token),
      jsonb(settlement.cursorBefore),
      jsonb(settlement.cursor),
      jsonb(settlement.counts),
      String(settlement.bytesRead),
      String(Math.round(settlement.runningMs)),
      String(process.memoryUsage.rss()),
      jsonb(settlement.stageMs),
      jsonb(settled),
      String(LEASE_SECONDS),
    ].join(', ')})`,
  )
}

function jsonb(value: unknown): string {
  return value === null || value === undefined ? 'null::jsonb' : `${literal(JSON.stringify(value))}::jsonb`
}

/** Why `settle` refused; null for any other error. */
export function settleRefusal(error: unknown): 'TAKEN_OVER' | 'STOPPED' | null {
  const state = sqlState(error)
  return state === 'PT002' ? 'TAKEN_OVER' : state === 'PT003' ? 'STOPPED' : null
}
