/**
 * What is to be told outside, by e-mail and webhook. A fact is written here by the transaction that makes it true, so it is told
 * exactly if it is true; `src/jobs/deliver.ts` does the telling. Facts of runs and integrations are written by triggers
 * (`announce_run`, `announce_rows`, `announce_integration`): no road to a status goes around them. What has no status calls `announce`.
 */
import type { Tx } from '../db/tx.js'
import { newId } from '../ids.js'
import type { RecordTypeName } from '../records/types.js'

/** What can be told. The first six are the contract's WebhookEvent; the others are for people alone. */
export const outboxEvents = [
  'RUN_STARTED',
  'RUN_ACTION_NEEDED',
  'RUN_COMPLETED',
  'RUN_FAILED',
  'RUN_ROLLED_BACK',
  'RECORDS_CHANGED',
  'QUOTA_WARNING',
  'INTEGRATION_ACTION_NEEDED',
  'WEBHOOK_DISABLED',
] as const

export type OutboxEvent = (typeof outboxEvents)[number]

/** A quota that is nearly used up, for people: no field values, numbers in the unit of the quota. */
export interface QuotaWarning {
  /** As `QuotaUsage.name` has it. */
  readonly quota: string
  readonly used: number
  readonly limit: number
  readonly unit: string
  /** Null: it does not reset by itself. */
  readonly resetsAt: Date | null
}

export interface Fact {
  /**
   * Names the fact within its tenant, 300 characters at most: told once, however often it is announced, e.g.
   * `quota rowsPerDay 2026-11-23 80`.
   */
  readonly fact: string
  readonly event: OutboxEvent
  readonly runId?: string | null
  /** Whose doing it is, and who is written to first; null: nobody's in particular. */
  readonly actor?: string | null
  /** Numbers, ids and codes; never values of fields. */
  readonly data: object
}

/** Writes down a fact in the caller's transaction. False: it was written down before. */
export async function announce(tx: Tx, { fact, event, runId, actor, data }: Fact): Promise<boolean> {
  const rows = await tx.query(
    `insert into outbox (tenant_id, fact, event, run_id, actor, data) values ($1, $2, $3, $4, $5, $6::jsonb)
     on conflict (tenant_id, fact) do nothing returning id`,
    [tx.tenantId, fact, event, runId ?? null, actor ?? null, JSON.stringify(data)],
  )
  return rows.length > 0
}

/**
 * Tells once that a quota is nearly used up. `period` tells periods and thresholds apart: the same one is told once, e.g.
 * `2026-11-23 80%`.
 */
export async function warnOfQuota(
  tx: Tx,
  period: string,
  actor: string | null,
  warning: QuotaWarning,
): Promise<boolean> {
  return announce(tx, { fact: `quota ${warning.quota} ${period}`, event: 'QUOTA_WARNING', actor, data: warning })
}

/**
 * Tells that one record was changed by hand, if some webhook of the tenant asks for it. What runs change is told by triggers, for whole
 * chunks.
 */
export async function recordChanged(
  tx: Tx,
  actor: string | null,
  recordType: RecordTypeName,
  id: string,
  change: RecordChangeKind,
): Promise<void> {
  await tx.query(
    `insert into outbox (tenant_id, fact, event, actor, data)
     select $1, $2, 'RECORDS_CHANGED', $3, $4::jsonb
     where exists (select from webhook where tenant_id = $1 and disabled_at is null and 'RECORDS_CHANGED' = any (events))`,
    [
      tx.tenantId,
      `record ${id} ${newId()}`,
      actor,
      JSON.stringify({ records: [{ recordType, id, change } satisfies ChangedRecord] }),
    ],
  )
}

/** What became of a record. What a rollback brings back counts as updated. */
export type RecordChangeKind = 'CREATED' | 'UPDATED' | 'DELETED'

export interface ChangedRecord {
  readonly recordType: RecordTypeName
  /** Plain UUID. */
  readonly id: string
  readonly change: RecordChangeKind
}
