/** Addresses that a tenant wants to be told at, with their secrets, and the log of what was sent to them. */
import { openSealer } from '../access/secrets.js'
import { webhookUrl } from '../adapters/webhooks/send.js'
import { newWebhookSecret } from '../adapters/webhooks/sign.js'
import type { Config } from '../config.js'
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import type { Hidden } from '../hidden.js'
import { decodeUuid, encodeUuid, newId } from '../ids.js'
import { WEBHOOK_SECRET_OVERLAP_HOURS, WEBHOOKS_MAX } from '../limits.js'
import type { Page, PageRequest } from './types.js'

/** What a webhook can ask for: the contract's WebhookEvent. */
export const webhookEvents = [
  'RUN_STARTED',
  'RUN_ACTION_NEEDED',
  'RUN_COMPLETED',
  'RUN_FAILED',
  'RUN_ROLLED_BACK',
  'RECORDS_CHANGED',
] as const

export type WebhookEvent = (typeof webhookEvents)[number]

export interface WebhookRow {
  readonly id: string
  readonly url: string
  readonly events: readonly WebhookEvent[]
  readonly createdAt: Date
  /** Nothing is sent since then; null: it is in use. */
  readonly disabledAt: Date | null
}

export interface DeliveryRow {
  readonly id: string
  readonly webhookId: string
  readonly event: WebhookEvent
  readonly runId: string | null
  readonly createdAt: Date
  /** Of the newest attempt; null before the first. */
  readonly attemptedAt: Date | null
  readonly attempts: number
  /** HTTP status of the newest attempt; null: there was no answer. */
  readonly status: number | null
  readonly error: string | null
  readonly succeededAt: Date | null
  /** Null: it has arrived, or nothing more is tried. */
  readonly nextAttemptAt: Date | null
}

export interface SaveWebhook {
  /** Null for a new one. */
  readonly id: string | null
  readonly url: string
  readonly events: readonly WebhookEvent[]
  /** True: makes a new secret; the one before signs besides for WEBHOOK_SECRET_OVERLAP_HOURS. */
  readonly rotateSecret: boolean
  readonly actor: string
}

const columns = 'id, url, events, created_at as "createdAt", disabled_at as "disabledAt"'

const deliveryColumns = `id, webhook_id as "webhookId", event, run_id as "runId", created_at as "createdAt", attempted_at as "attemptedAt",
  attempts, status, error, succeeded_at as "succeededAt", next_attempt_at as "nextAttemptAt"`

/** What a secret of a webhook is sealed for. */
export function secretPurpose(id: string): string {
  return `webhook ${id} secret`
}

/** One webhook; null where there is none. */
export function findWebhook(tx: Tx, id: string): Promise<WebhookRow | null> {
  return first<WebhookRow>(tx, `select ${columns} from webhook where tenant_id = $1 and id = $2`, [tx.tenantId, id])
}

/** All webhooks, the newest first. */
export function listWebhooks(tx: Tx): Promise<WebhookRow[]> {
  return tx.query<WebhookRow>(`select ${columns} from webhook where tenant_id = $1 order by id desc`, [tx.tenantId])
}

/**
 * Makes a webhook, or writes one anew, which enables it again. Answers the secret where a new one was made. Refuses INVALID_INPUT for an
 * address where nothing is sent to and for no events, NOT_FOUND, LIMIT_EXCEEDED.
 */
export async function saveWebhook(
  tx: Tx,
  settings: Pick<Config, 'masterKeys' | 'webhookOrigins'>,
  input: SaveWebhook,
): Promise<{ readonly id: string; readonly secret: Hidden | null }> {
  const url = webhookUrl(input.url.trim(), settings.webhookOrigins)
  if (url === null) {
    throw new Refusal(
      'INVALID_INPUT',
      'Address not allowed. It has to be https, on the usual port, at a name of the public internet, without user or fragment.',
      ['url'],
    )
  }
  const events = webhookEvents.filter((event) => input.events.includes(event))
  if (events.length === 0) {
    throw new Refusal('INVALID_INPUT', 'A webhook asks for one event at least.', ['events'])
  }
  // Members who save at the same time take turns, so that the number holds.
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`webhooks ${tx.tenantId}`])
  const before =
    input.id === null
      ? null
      : await first<{ id: string; secret: string }>(
          tx,
          'select id, secret from webhook where tenant_id = $1 and id = $2 for update',
          [tx.tenantId, input.id],
        )
  if (input.id !== null && before === null) {
    throw new Refusal('NOT_FOUND', 'There is no such webhook.', ['id'])
  }
  const sealer = await openSealer(tx, settings.masterKeys)
  if (before === null) {
    const { n } = await one<{ n: number }>(tx, 'select count(*)::int as n from webhook where tenant_id = $1', [
      tx.tenantId,
    ])
    if (n >= WEBHOOKS_MAX) {
      throw new Refusal('LIMIT_EXCEEDED', `A tenant has ${WEBHOOKS_MAX} webhooks at most.`)
    }
    const id = newId()
    const secret = newWebhookSecret()
    await tx.query(
      'insert into webhook (tenant_id, id, url, events, secret, created_by) values ($1, $2, $3, $4::text[], $5, $6)',
      [tx.tenantId, id, url, events, sealer.seal(secretPurpose(id), secret), input.actor],
    )
    return { id, secret }
  }
  await tx.query(
    `update webhook set url = $3, events = $4::text[], failing_since = null, disabled_at = null, updated_at = now()
     where tenant_id = $1 and id = $2`,
    [tx.tenantId, before.id, url, events],
  )
  if (!input.rotateSecret) {
    return { id: before.id, secret: null }
  }
  const secret = newWebhookSecret()
  await tx.query(
    `update webhook set previous_secret = secret, previous_until = now() + $4 * interval '1 hour', secret = $3
     where tenant_id = $1 and id = $2`,
    [tx.tenantId, before.id, sealer.seal(secretPurpose(before.id), secret), WEBHOOK_SECRET_OVERLAP_HOURS],
  )
  return { id: before.id, secret }
}

/** Ends a webhook and forgets what was sent to it. Answers what it was; refuses NOT_FOUND. */
export async function deleteWebhook(tx: Tx, id: string): Promise<WebhookRow> {
  const deleted = await first<WebhookRow>(
    tx,
    `delete from webhook where tenant_id = $1 and id = $2 returning ${columns}`,
    [tx.tenantId, id],
  )
  if (deleted === null) {
    throw new Refusal('NOT_FOUND', 'There is no such webhook.', ['id'])
  }
  return deleted
}

/** What was sent to a webhook, and what is still to be, the newest first. */
export async function listDeliveries(tx: Tx, webhookId: string, page: PageRequest): Promise<Page<DeliveryRow>> {
  const after = page.after === null ? null : decodeUuid(page.after)
  if (page.after !== null && after === null) {
    throw new Refusal('INVALID_INPUT', '`after` is not a cursor of this list.', ['after'])
  }
  const rows = await tx.query<DeliveryRow>(
    `select ${deliveryColumns} from webhook_delivery where tenant_id = $1 and webhook_id = $2 and ($3::uuid is null or id < $3)
     order by id desc limit $4`,
    [tx.tenantId, webhookId, after, page.first + 1],
  )
  return {
    items: rows.slice(0, page.first).map((node) => ({ node, cursor: encodeUuid(node.id) })),
    hasNext: rows.length > page.first,
    hasPrevious: after !== null,
    totalCount: null,
  }
}

/** The newest attempt at each of these webhooks, by their ids. */
export async function lastDeliveries(tx: Tx, webhookIds: readonly string[]): Promise<ReadonlyMap<string, DeliveryRow>> {
  const rows = await tx.query<DeliveryRow>(
    `select d.* from unnest($2::uuid[]) as w (id) cross join lateral (
       select ${deliveryColumns} from webhook_delivery where tenant_id = $1 and webhook_id = w.id and attempted_at is not null
       order by webhook_delivery.id desc limit 1) d`,
    [tx.tenantId, webhookIds],
  )
  return new Map(rows.map((row) => [row.webhookId, row]))
}

/**
 * Has a delivery sent once more, with the same id and body, and tried again as a new one is. Answers its webhook. Refuses NOT_FOUND, and
 * INVALID_STATE while it is still being tried or its webhook is disabled.
 */
export async function replayDelivery(tx: Tx, id: string): Promise<WebhookRow> {
  const delivery = await first<{ webhookId: string; waiting: boolean; disabled: boolean }>(
    tx,
    `select d.webhook_id as "webhookId", d.next_attempt_at is not null as waiting, w.disabled_at is not null as disabled
     from webhook_delivery d join webhook w on w.tenant_id = d.tenant_id and w.id = d.webhook_id
     where d.tenant_id = $1 and d.id = $2 for update of d`,
    [tx.tenantId, id],
  )
  if (delivery === null) {
    throw new Refusal('NOT_FOUND', 'There is no such delivery.', ['id'])
  }
  if (delivery.disabled) {
    throw new Refusal('INVALID_STATE', 'The webhook is disabled. Save it again first.', ['id'])
  }
  // One that waits for its next attempt is only brought forward.
  await tx.query(
    `update webhook_delivery set next_attempt_at = now(), step = case when $3 then step else 0 end
     where tenant_id = $1 and id = $2`,
    [tx.tenantId, id, delivery.waiting],
  )
  const webhook = await findWebhook(tx, delivery.webhookId)
  if (webhook === null) {
    throw new Refusal('NOT_FOUND', 'There is no such delivery.', ['id'])
  }
  return webhook
}
