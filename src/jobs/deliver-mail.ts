/**
 * Sends one e-mail. It is claimed in one transaction, sent, and marked in another. A process that dies before the server has taken the
 * whole message leaves it to the next one, which sends it for the first time. In the moment between the server's last answer and
 * the mark nobody can know whether it was taken: then it is sent again with the same Message-ID, by which mail servers and readers
 * know it for the same one.
 */
import { type Counts, composeMail, type MailFacts } from '../adapters/mail/compose.js'
import type { Mailer } from '../adapters/mail/smtp.js'
import { first, type Tx, withTenant } from '../db/tx.js'
import { failpoint } from '../failpoints.js'
import { encodeId, encodeUuid } from '../ids.js'
import { MAIL_ATTEMPTS_MAX } from '../limits.js'
import { notices } from '../metrics.js'
import type { OutboxEvent } from '../runs/outbox.js'
import { type CrmSystem, systemNames } from '../systems.js'
import { heldByLiving } from './claim.js'
import type { SharedLane } from './context.js'
import type { RunFact } from './deliver-facts.js'

const MINUTE = 60
const HOUR = 3600

/** Pauses before the second, third ... attempt, in seconds: 28 hours in all. */
const MAIL_PAUSES_SECONDS = [
  MINUTE,
  5 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  4 * HOUR,
  8 * HOUR,
  12 * HOUR,
]

/** Longer than an attempt may take, whose every step may take MAIL_MS_MAX. What a dead worker held is free at once. Seconds. */
const LEASE_SECONDS = 900

export interface MailSettings {
  readonly mailer: Mailer
  /** Behind the `@` of each Message-ID. */
  readonly messageDomain: string
  /** Where the links lead. */
  readonly publicUrl: string
}

interface Claimed {
  readonly receiver: string
  readonly attempts: number
  readonly event: OutboxEvent
  readonly runId: string | null
  readonly data: object
  readonly createdAt: Date
  readonly tenantName: string
}

/** Sends this e-mail unless somebody else does. */
export async function deliverMail(
  shared: SharedLane,
  holder: number,
  settings: MailSettings,
  { tenantId, id }: { readonly tenantId: string; readonly id: string },
): Promise<void> {
  const inTenant = <R>(work: (tx: Tx) => Promise<R>): Promise<R> =>
    shared.use((lane) => withTenant(lane, tenantId, work))
  const mail = await inTenant((tx) => claim(tx, id, holder))
  if (mail === null) {
    return
  }
  const { mailer, messageDomain, publicUrl } = settings
  const { subject, text, html } = composeMail(factsOf(mail), {
    tenantName: mail.tenantName,
    publicUrl,
    at: mail.createdAt,
  })
  await failpoint('mail.before-send')
  const outcome = await mailer.send({
    messageId: `${encodeUuid(id)}@${messageDomain}`,
    to: mail.receiver,
    subject,
    text,
    html,
    date: mail.createdAt,
  })
  const pause = outcome.kind === 'failed' ? (MAIL_PAUSES_SECONDS[mail.attempts - 1] ?? null) : null
  const again = mail.attempts < MAIL_ATTEMPTS_MAX ? pause : null
  await failpoint('mail.after-send')
  await inTenant((tx) =>
    tx.query(
      `update mail set holder = null, lease_until = null, error = $5, sent_at = case when $6 then clock_timestamp() end,
         next_attempt_at = clock_timestamp() + $7 * interval '1 second'
       where tenant_id = $1 and id = $2 and holder = $3 and attempts = $4`,
      [
        tenantId,
        id,
        holder,
        mail.attempts,
        outcome.kind === 'sent' ? null : outcome.error,
        outcome.kind === 'sent',
        again,
      ],
    ),
  )
  notices.inc({
    channel: 'mail',
    outcome: outcome.kind === 'sent' ? 'arrived' : again === null ? 'given_up' : 'failed',
  })
}

/** SQL for what a worker may take: due, and held by no worker that lives. */
export const freeToTake = `w.next_attempt_at <= clock_timestamp() and not coalesce(${heldByLiving}, false)`

async function claim(tx: Tx, id: string, holder: number): Promise<Claimed | null> {
  const taken = await first<{ receiver: string; attempts: number; outbox_id: string }>(
    tx,
    `update mail w set holder = $3, lease_until = clock_timestamp() + ${LEASE_SECONDS} * interval '1 second', attempts = w.attempts + 1
     where w.tenant_id = $1 and w.id = $2 and ${freeToTake} returning w.receiver, w.attempts, w.outbox_id`,
    [tx.tenantId, id, holder],
  )
  if (taken === null) {
    return null
  }
  const fact = await first<Omit<Claimed, 'receiver' | 'attempts'>>(
    tx,
    `select o.event, o.run_id as "runId", o.data, o.created_at as "createdAt", t.name as "tenantName"
     from outbox o join tenant t on t.id = o.tenant_id where o.tenant_id = $1 and o.id = $2`,
    [tx.tenantId, taken.outbox_id],
  )
  return fact === null ? null : { ...fact, receiver: taken.receiver, attempts: taken.attempts }
}

function factsOf({ event, runId, data }: Claimed): MailFacts {
  switch (event) {
    case 'QUOTA_WARNING': {
      const { quota, used, limit, unit, resetsAt } = data as {
        readonly quota: string
        readonly used: number
        readonly limit: number
        readonly unit: string
        readonly resetsAt: string | null
      }
      return { event, quota, used, limit, unit, resetsAt }
    }
    case 'INTEGRATION_ACTION_NEEDED':
      return { event, systemName: systemNames[(data as { readonly system: CrmSystem }).system] }
    case 'WEBHOOK_DISABLED':
      return { event, host: (data as { readonly host: string }).host }
    default: {
      const run = data as RunFact
      return {
        event: event as 'RUN_COMPLETED' | 'RUN_FAILED' | 'RUN_ACTION_NEEDED',
        runId: runId === null ? '' : encodeId('run', runId),
        kind: run.kind,
        status: run.status,
        reason: run.reason,
        recordType: run.recordType,
        createdBy: run.createdBy,
        counts: run.counts satisfies Counts,
      }
    }
  }
}
