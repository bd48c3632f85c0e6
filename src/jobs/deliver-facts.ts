/**
 * Spreads facts of the outbox: one row for each e-mail and receiver, one for each webhook that asks for it. A fact is spread in one
 * transaction, or, where it is about many records, page by page with a cursor, so it is spread once whoever dies.
 */
import { first, type Tx } from '../db/tx.js'
import { encodeId, type IdKind } from '../ids.js'
import { WEBHOOK_RECORDS_MAX } from '../limits.js'
import { recordTypes } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import { notificationOf, receiversOf } from '../runs/notifications.js'
import type { ChangedRecord, OutboxEvent } from '../runs/outbox.js'
import { type WebhookEvent, webhookEvents } from '../runs/webhooks.js'

const recordTypeNames: readonly RecordTypeName[] = ['contact', 'lead', 'property', 'activity']

/** Records that are looked up in one transaction, of a rollback; those of a chunk are looked up at once. */
const PAGE_RECORDS = 10_000

/** A fact as the triggers wrote it down: see `announce_run` of the migration. */
export interface RunFact {
  readonly kind: string
  readonly status: string
  readonly reason: string | null
  readonly recordType: RecordTypeName | null
  readonly sourceFileId: string | null
  readonly ofRunId: string | null
  readonly createdBy: string
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly counts: Readonly<Record<string, number | null>>
}

export interface OutboxRow {
  readonly id: string
  readonly event: OutboxEvent
  readonly runId: string | null
  readonly actor: string | null
  readonly data: object
  readonly cursor: UndoneCursor | null
  readonly createdAt: Date
}

/** How far the records of a rollback have been told: those it changed, then those it deleted, type by type. */
interface UndoneCursor {
  readonly part: number
  /** -1: changed records; else the place of a type in `recordTypeNames`. */
  readonly type: number
  readonly row: number
  readonly after: string
}

type RecordsFact =
  | { readonly fromRow: number; readonly toRow: number }
  | { readonly undoneBy: string }
  | { readonly records: readonly ChangedRecord[] }

const NIL = '00000000-0000-0000-0000-000000000000'

/** Spreads a fact, or the next page of it. True: there is more of it. False also where somebody else has it. */
export async function spreadFact(tx: Tx, id: string, options: { readonly mail: boolean }): Promise<boolean> {
  const fact = await first<OutboxRow>(
    tx,
    `select id, event, run_id as "runId", actor, data, cursor, created_at as "createdAt" from outbox
     where tenant_id = $1 and id = $2 and spread_at is null for update skip locked`,
    [tx.tenantId, id],
  )
  if (fact === null) {
    return false
  }
  if (fact.event === 'RECORDS_CHANGED') {
    return spreadRecords(tx, fact)
  }
  const webhookEvent = webhookEvents.find((event) => event === fact.event)
  if (webhookEvent !== undefined && fact.runId !== null) {
    await deliver(tx, fact, webhookEvent, 0, [{ run: shownRun(fact.runId, fact.data as RunFact) }])
  }
  if (options.mail) {
    await mail(tx, fact)
  }
  await tx.query('update outbox set spread_at = now() where tenant_id = $1 and id = $2', [tx.tenantId, id])
  return false
}

async function mail(tx: Tx, fact: OutboxRow): Promise<void> {
  const notification = notificationOf(fact.event, (fact.data as { readonly status?: string }).status ?? null)
  if (notification === null) {
    return
  }
  const receivers = await receiversOf(tx, fact.event, notification, fact.actor)
  await tx.query(
    `insert into mail (tenant_id, outbox_id, receiver) select $1, $2, r from unnest($3::text[]) as r
     on conflict (tenant_id, outbox_id, receiver) do nothing`,
    [tx.tenantId, fact.id, receivers],
  )
}

/** One delivery for each of these data and each webhook that asks for the event. */
async function deliver(
  tx: Tx,
  fact: OutboxRow,
  event: WebhookEvent,
  fromPart: number,
  data: readonly object[],
): Promise<void> {
  const bodies = data.map((each) =>
    JSON.stringify({
      type: event,
      timestamp: fact.createdAt.toISOString(),
      tenantId: encodeId('tenant', tx.tenantId),
      data: each,
    }),
  )
  await tx.query(
    `insert into webhook_delivery (tenant_id, webhook_id, outbox_id, part, event, run_id, body)
     select $1, w.id, $2, $3::int + b.n - 1, $4, $5, b.body
     from unnest($6::text[]) with ordinality as b (body, n) cross join webhook w
     where w.tenant_id = $1 and w.disabled_at is null and $4 = any (w.events) order by b.n
     on conflict (tenant_id, webhook_id, outbox_id, part) do nothing`,
    [tx.tenantId, fact.id, fromPart, event, fact.runId, bodies],
  )
}

function shownRun(runId: string, fact: RunFact): object {
  return {
    id: encodeId('run', runId),
    kind: fact.kind,
    status: fact.status,
    reasonCode: fact.reason,
    recordType: fact.recordType?.toUpperCase() ?? null,
    sourceFileId: idOrNull('file', fact.sourceFileId),
    rollbackOfRunId: idOrNull('run', fact.ofRunId),
    createdBy: fact.createdBy,
    createdAt: time(fact.createdAt),
    startedAt: time(fact.startedAt),
    finishedAt: time(fact.finishedAt),
    counts: fact.counts,
  }
}

/** As the API writes times. */
function time(text: string | null): string | null {
  return text === null ? null : new Date(text).toISOString()
}

function idOrNull(kind: IdKind, uuid: string | null): string | null {
  return uuid === null ? null : encodeId(kind, uuid)
}

async function spreadRecords(tx: Tx, fact: OutboxRow): Promise<boolean> {
  const data = fact.data as RecordsFact
  if ('undoneBy' in data) {
    return spreadUndone(tx, fact)
  }
  const records = 'records' in data ? data.records : await recordsOfRows(tx, fact.runId ?? NIL, data)
  await deliverRecords(tx, fact, 0, records)
  await tx.query('update outbox set spread_at = now() where tenant_id = $1 and id = $2', [tx.tenantId, fact.id])
  return false
}

async function deliverRecords(
  tx: Tx,
  fact: OutboxRow,
  fromPart: number,
  records: readonly ChangedRecord[],
): Promise<number> {
  const parts: object[] = []
  for (let from = 0; from < records.length; from += WEBHOOK_RECORDS_MAX) {
    parts.push({
      runId: idOrNull('run', fact.runId),
      records: records.slice(from, from + WEBHOOK_RECORDS_MAX).map(({ recordType, id, change }) => ({
        id: encodeId(recordType, id),
        recordType: recordType.toUpperCase(),
        change,
      })),
    })
  }
  if (parts.length > 0) {
    await deliver(tx, fact, 'RECORDS_CHANGED', fromPart, parts)
  }
  return parts.length
}

/** What rows of an import did: created records by the row that made them, all others by their changes. */
async function recordsOfRows(
  tx: Tx,
  runId: string,
  { fromRow, toRow }: { readonly fromRow: number; readonly toRow: number },
): Promise<readonly ChangedRecord[]> {
  const created = recordTypeNames
    .map(
      (name) =>
        `select '${name}' as "recordType", id, 'CREATED' as change from ${recordTypes[name].table}
         where tenant_id = $1 and created_run_id = $2 and created_row between $3 and $4`,
    )
    .join(' union all ')
  const rows = await tx.query<ChangedRecord>(
    `with created as (${created}),
     changed as (
       select distinct on (record_id) record_type as "recordType", record_id as id,
         case when jsonb_typeof(after -> 'deleted_at') = 'string' then 'DELETED' else 'UPDATED' end as change
       from run_change where tenant_id = $1 and run_id = $2 and row_number between $3 and $4
       order by record_id, row_number desc)
     select * from created
     union all select * from changed c where not exists (select from created k where k.id = c.id)`,
    [tx.tenantId, runId, fromRow, toRow],
  )
  return rows
}

async function spreadUndone(tx: Tx, fact: OutboxRow): Promise<boolean> {
  const cursor: UndoneCursor = fact.cursor ?? { part: 0, type: -1, row: -1, after: NIL }
  const runId = fact.runId ?? NIL
  const type = recordTypeNames[cursor.type]
  const rows =
    type === undefined
      ? await tx.query<ChangedRecord & { row: number }>(
          `select distinct on (record_id) record_type as "recordType", record_id as id, 'UPDATED' as change, 0 as row from run_change
           where tenant_id = $1 and run_id = $2 and record_id > $3 and reverted_at is not null order by record_id limit ${PAGE_RECORDS}`,
          [tx.tenantId, runId, cursor.after],
        )
      : await tx.query<ChangedRecord & { row: number }>(
          `select '${type}' as "recordType", id, 'DELETED' as change, created_row::float8 as row from ${recordTypes[type].table}
           where tenant_id = $1 and created_run_id = $2 and (created_row, id) > ($3, $4::uuid) and deleted_at is not null
           order by created_row, id limit ${PAGE_RECORDS}`,
          [tx.tenantId, runId, cursor.row, cursor.after],
        )
  const parts = await deliverRecords(tx, fact, cursor.part, rows)
  const last = rows.at(-1)
  const next: UndoneCursor =
    last !== undefined && rows.length === PAGE_RECORDS
      ? { part: cursor.part + parts, type: cursor.type, row: last.row, after: last.id }
      : { part: cursor.part + parts, type: cursor.type + 1, row: -1, after: NIL }
  const done = next.type >= recordTypeNames.length
  await tx.query(
    'update outbox set cursor = $3::jsonb, spread_at = case when $4 then now() end where tenant_id = $1 and id = $2',
    [tx.tenantId, fact.id, JSON.stringify(next), done],
  )
  return !done
}
