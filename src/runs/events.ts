import type { Tx } from '../db/tx.js'
import type { RunStatus } from './status.js'
import type { RunKind, StatusReason } from './types.js'

/** Appends a RunStatusChanged event in the caller's transaction; `from` is null for a new run. */
export async function statusChanged(
  tx: Tx,
  runId: string,
  kind: RunKind,
  from: RunStatus | null,
  to: RunStatus,
  reason: StatusReason | null,
): Promise<void> {
  await tx.query('select append_events($1, $2, $3::jsonb)', [
    runId,
    kind,
    JSON.stringify([{ type: 'RunStatusChanged', body: { from, to, reason } }]),
  ])
}

/** Moves a run from one status to the other, says so to subscribers, and answers false if it was not in `from`. */
export async function moveRun(
  tx: Tx,
  run: { readonly id: string; readonly kind: RunKind },
  from: RunStatus,
  to: RunStatus,
  options: {
    readonly reason?: StatusReason | null
    readonly set?: string
    readonly params?: readonly unknown[]
    readonly token?: number
  } = {},
): Promise<boolean> {
  const reason = options.reason ?? null
  const params: unknown[] = [
    tx.tenantId,
    run.id,
    from,
    to,
    reason === null ? null : JSON.stringify(reason),
    ...(options.params ?? []),
  ]
  let condition = ''
  if (options.token !== undefined) {
    params.push(options.token)
    condition = ` and fencing_token = $${params.length}`
  }
  const rows = await tx.query(
    `update run set status = $4, status_reason = $5::jsonb${options.set === undefined ? '' : `, ${options.set}`}
     where tenant_id = $1 and id = $2 and status = $3${condition} returning id`,
    params,
  )
  if (rows.length === 0) {
    return false
  }
  await statusChanged(tx, run.id, run.kind, from, to, reason)
  return true
}
