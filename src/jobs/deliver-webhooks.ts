/**
 * Sends one delivery of a webhook: claimed in one transaction, sent, marked in another. A process that dies in between leaves it to the
 * next one, which sends it again with the same id and the same body.
 */
import { openSealer } from '../access/secrets.js'
import type { WebhookSender } from '../adapters/webhooks/send.js'
import type { MasterKeys } from '../config.js'
import { first, one, type Tx, withTenant } from '../db/tx.js'
import { failpoint } from '../failpoints.js'
import type { Hidden } from '../hidden.js'
import { encodeId } from '../ids.js'
import { WEBHOOK_ATTEMPTS_MAX, WEBHOOK_DISABLE_HOURS } from '../limits.js'
import { notices } from '../metrics.js'
import { announce } from '../runs/outbox.js'
import { secretPurpose } from '../runs/webhooks.js'
import type { SharedLane } from './context.js'
import { freeToTake } from './deliver-mail.js'

const MINUTE = 60
const HOUR = 3600

/** Pauses before the second, third ... attempt, in seconds: two days in all. Each is up to a tenth shorter or longer. */
const WEBHOOK_PAUSES_SECONDS = [
  5,
  30,
  2 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  4 * HOUR,
  8 * HOUR,
  12 * HOUR,
  20 * HOUR,
]

/** Longer than an attempt may take: when a worker freezes, another one takes its deliveries over after this. Seconds. */
const LEASE_SECONDS = 60

/** By this answer a receiver says that it is not one any more. */
const GONE = 410

export interface WebhookSettings {
  readonly sender: WebhookSender
  readonly masterKeys: MasterKeys
}

interface Claimed {
  readonly webhookId: string
  readonly url: string
  readonly secrets: readonly Hidden[]
  readonly body: string
  readonly attempts: number
  readonly step: number
}

/** Sends this delivery unless somebody else does. When `signal` says stop, it is left to another worker. */
export async function deliverWebhook(
  shared: SharedLane,
  holder: number,
  { sender, masterKeys }: WebhookSettings,
  { tenantId, id }: { readonly tenantId: string; readonly id: string },
  signal: AbortSignal,
): Promise<void> {
  const inTenant = <R>(work: (tx: Tx) => Promise<R>): Promise<R> =>
    shared.use((lane) => withTenant(lane, tenantId, work))
  const delivery = await inTenant((tx) => claim(tx, id, holder, masterKeys))
  if (delivery === null) {
    return
  }
  const { url, body, secrets, attempts } = delivery
  try {
    await failpoint('webhook.before-send')
    const { status, error } = await sender.send({ url, id: encodeId('webhookDelivery', id), body, secrets }, signal)
    const pause = error === null || status === GONE ? null : pauseBehind(delivery.step)
    await failpoint('webhook.after-send')
    await inTenant((tx) => settle(tx, id, holder, delivery, { status, error, pause }))
    notices.inc({ channel: 'webhook', outcome: error === null ? 'arrived' : pause === null ? 'given_up' : 'failed' })
  } catch (error) {
    if (!signal.aborted) {
      throw error
    }
    await inTenant((tx) =>
      tx.query(
        'update webhook_delivery set holder = null, lease_until = null where tenant_id = $1 and id = $2 and holder = $3 and attempts = $4',
        [tenantId, id, holder, attempts],
      ),
    )
  }
}

/** Seconds until the next attempt; null: there is none. */
function pauseBehind(step: number): number | null {
  const pause = step < WEBHOOK_ATTEMPTS_MAX ? WEBHOOK_PAUSES_SECONDS[step - 1] : undefined
  // Deliveries that failed together do not come again together.
  return pause === undefined ? null : pause * (0.9 + 0.2 * Math.random())
}

async function claim(tx: Tx, id: string, holder: number, masterKeys: MasterKeys): Promise<Claimed | null> {
  const taken = await first<{ webhookId: string; body: string; attempts: number; step: number }>(
    tx,
    `update webhook_delivery w set holder = $3, lease_until = clock_timestamp() + ${LEASE_SECONDS} * interval '1 second',
       attempts = w.attempts + 1, step = w.step + 1
     where w.tenant_id = $1 and w.id = $2 and ${freeToTake}
     returning w.webhook_id as "webhookId", w.body, w.attempts, w.step`,
    [tx.tenantId, id, holder],
  )
  if (taken === null) {
    return null
  }
  const webhook = await one<{ url: string; secret: string; previous: string | null }>(
    tx,
    `select url, secret, case when previous_until > clock_timestamp() then previous_secret end as previous
     from webhook where tenant_id = $1 and id = $2`,
    [tx.tenantId, taken.webhookId],
  )
  const sealer = await openSealer(tx, masterKeys)
  const secrets = [webhook.secret, ...(webhook.previous === null ? [] : [webhook.previous])]
  return {
    ...taken,
    url: webhook.url,
    secrets: secrets.map((sealed) => sealer.open(secretPurpose(taken.webhookId), sealed)),
  }
}

async function settle(
  tx: Tx,
  id: string,
  holder: number,
  { webhookId, url, attempts }: Claimed,
  {
    status,
    error,
    pause,
  }: { readonly status: number | null; readonly error: string | null; readonly pause: number | null },
): Promise<void> {
  // A webhook before its deliveries, as when it is disabled.
  const webhook = await first<{ failingSince: Date | null; tooLong: boolean }>(
    tx,
    error === null
      ? `update webhook set failing_since = null where tenant_id = $1 and id = $2 and failing_since is not null
         returning null::timestamptz as "failingSince", false as "tooLong"`
      : `update webhook set failing_since = coalesce(failing_since, clock_timestamp()) where tenant_id = $1 and id = $2
           and disabled_at is null
         returning failing_since as "failingSince",
           failing_since < clock_timestamp() - ${WEBHOOK_DISABLE_HOURS} * interval '1 hour' or ${status === GONE} as "tooLong"`,
    [tx.tenantId, webhookId],
  )
  await tx.query(
    `update webhook_delivery set holder = null, lease_until = null, attempted_at = clock_timestamp(), status = $5, error = $6,
       succeeded_at = case when $6::text is null then clock_timestamp() end,
       next_attempt_at = clock_timestamp() + $7::float8 * interval '1 second'
     where tenant_id = $1 and id = $2 and holder = $3 and attempts = $4`,
    [tx.tenantId, id, holder, attempts, status, error, pause],
  )
  if (webhook?.tooLong === true) {
    await disable(tx, webhookId, url)
  }
}

async function disable(tx: Tx, webhookId: string, url: string): Promise<void> {
  const disabled = await first<{ at: Date; createdBy: string }>(
    tx,
    `update webhook set disabled_at = clock_timestamp() where tenant_id = $1 and id = $2 and disabled_at is null
     returning disabled_at as at, created_by as "createdBy"`,
    [tx.tenantId, webhookId],
  )
  if (disabled === null) {
    return
  }
  await tx.query(
    `update webhook_delivery set next_attempt_at = null, error = 'WEBHOOK_DISABLED'
     where tenant_id = $1 and webhook_id = $2 and next_attempt_at is not null and holder is null`,
    [tx.tenantId, webhookId],
  )
  await announce(tx, {
    fact: `webhook ${webhookId} disabled ${disabled.at.toISOString()}`,
    event: 'WEBHOOK_DISABLED',
    actor: disabled.createdBy,
    data: { webhookId, host: new URL(url).hostname },
  })
}
