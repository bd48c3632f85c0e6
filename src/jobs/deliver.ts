/**
 * Tells what the outbox holds: spreads facts, sends e-mails and webhooks. A loop of each worker beside the queue; a receiver that takes
 * its time holds up nobody but itself.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Resolve } from '../adapters/http/guard.js'
import { openMailer } from '../adapters/mail/smtp.js'
import { WebhookSender } from '../adapters/webhooks/send.js'
import type { Config } from '../config.js'
import { Lane } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import { WEBHOOK_CONCURRENT_MAX } from '../limits.js'
import type { Log } from '../log.js'
import { laneOptions, SharedLane } from './context.js'
import { spreadFact } from './deliver-facts.js'
import { deliverMail, freeToTake, type MailSettings } from './deliver-mail.js'
import { deliverWebhook, type WebhookSettings } from './deliver-webhooks.js'
import { type Loop, startLoop } from './loop.js'

/** How often a worker looks whether there is something to tell, in milliseconds. */
const LOOK_MS = 500

/** Facts that are spread before it is looked again what can be sent. */
const SPREAD_AT_ONCE = 20

/** Of all tenants, by one worker. */
const WEBHOOKS_AT_ONCE = 16
const TENANT_WEBHOOKS_AT_ONCE = 6
const MAILS_AT_ONCE = 2

/** When the worker is told to stop, an e-mail that is being handed over is waited for so long. Milliseconds. */
const STOP_MS = 5000

/** What went wrong on our side is left alone for so long, in milliseconds. */
const FAULT_REST_MS = 30_000

/** Nothing is told about a tenant that is being erased. */
const stands = 'exists (select from tenant t where t.id = w.tenant_id and t.erasing_at is null)'

export interface DeliveryOptions {
  readonly databaseUrl: string
  readonly presence: Lane
  /** This worker's number: what it is sending is held by it while it lives. */
  readonly holder: number
  readonly config: Pick<Config, 'mail' | 'masterKeys' | 'publicUrl' | 'webhookOrigins'>
  /** Stands in for the resolver, in tests. */
  readonly resolve?: Resolve | undefined
  readonly log: Log
  readonly stopping: AbortSignal
}

interface Due {
  readonly tenant_id: string
  readonly id: string
  readonly webhook_id: string
}

/** Something that is being sent. */
interface Sending {
  readonly tenantId: string
  readonly webhookId: string | null
}

/** Looks for what is to be told until `stopping` or `close`. Opens a connection only when there is something. */
export function startDelivery(options: DeliveryOptions): Loop {
  const { presence, log, stopping } = options
  let round: Round | null = null
  const loop = startLoop(
    { everyMs: LOOK_MS, stopping, log, failed: 'notices could not be delivered; the next look follows' },
    async (signal) => {
      if (await wanted(presence, options.config.mail !== null)) {
        round ??= new Round(options, signal)
        await round.work()
      }
    },
  )
  return {
    close: async () => {
      await loop.close()
      round?.close()
    },
  }
}

async function wanted(presence: Lane, mail: boolean): Promise<boolean> {
  const rows = await presence.session(
    `(select from outbox w where w.spread_at is null and ${stands} limit 1)
     union all (select from webhook_delivery w where ${freeToTake} and ${stands} limit 1)
     union all (select from mail w where $1 and ${freeToTake} and ${stands} limit 1)`,
    [mail],
  )
  return rows.length > 0
}

class Round {
  readonly #options: DeliveryOptions
  readonly #signal: AbortSignal
  readonly #webhooks: WebhookSettings
  readonly #mail: MailSettings | null
  readonly #sending = new Map<string, Sending>()
  /** What went wrong on our side, with the moment until which it is left alone. */
  readonly #resting = new Map<string, number>()

  constructor(options: DeliveryOptions, signal: AbortSignal) {
    const { config, resolve } = options
    this.#options = options
    this.#signal = signal
    this.#webhooks = {
      sender: new WebhookSender({ origins: config.webhookOrigins, resolve }),
      masterKeys: config.masterKeys,
    }
    this.#mail =
      config.mail === null
        ? null
        : {
            mailer: openMailer(config.mail),
            messageDomain: config.mail.from.address.split('@')[1] ?? 'portage.invalid',
            publicUrl: config.publicUrl,
          }
  }

  close(): void {
    this.#webhooks.sender.close()
    this.#mail?.mailer.close()
  }

  /** Spreads and sends until nothing is due and nothing under way. */
  async work(): Promise<void> {
    const lane = await Lane.open(laneOptions(this.#options.databaseUrl, 'portage notices'))
    const shared = new SharedLane(lane)
    const under = new Set<Promise<void>>()
    try {
      for (;;) {
        const begun = this.#signal.aborted ? 0 : await this.#begin(lane, shared, under)
        if (under.size === 0 && begun === 0) {
          return
        }
        if (this.#signal.aborted) {
          await Promise.race([Promise.all(under), sleep(STOP_MS, undefined, { ref: false })])
          return
        }
        // Others may have become due meanwhile, of receivers that are quicker.
        await Promise.race([...under, sleep(LOOK_MS, undefined, { signal: this.#signal }).catch(() => undefined)])
        if (lane.broken !== null) {
          throw lane.broken
        }
      }
    } finally {
      await lane.close()
    }
  }

  async #begin(lane: Lane, shared: SharedLane, under: Set<Promise<void>>): Promise<number> {
    let begun = 0
    for (const due of await this.#due(
      shared,
      `select w.tenant_id, w.id from outbox w where w.spread_at is null`,
      // What a large import did to its records waits behind what somebody waits for.
      "w.event = 'RECORDS_CHANGED', w.id",
      SPREAD_AT_ONCE,
    )) {
      begun += 1
      await this.#tried(lane, due, async () => {
        while (
          await shared.use((own) =>
            withTenant(own, due.tenant_id, (tx) => spreadFact(tx, due.id, { mail: this.#mail !== null })),
          )
        ) {
          this.#signal.throwIfAborted()
        }
      })
    }
    const { holder } = this.#options
    const start = (due: Due, webhookId: string | null, send: () => Promise<void>): void => {
      begun += 1
      this.#sending.set(due.id, { tenantId: due.tenant_id, webhookId })
      const sent = this.#tried(lane, due, send).finally(() => {
        this.#sending.delete(due.id)
        under.delete(sent)
      })
      under.add(sent)
    }
    for (const due of await this.#dueWebhooks(shared)) {
      if (this.#isFree(due)) {
        start(due, due.webhook_id, () =>
          deliverWebhook(shared, holder, this.#webhooks, { tenantId: due.tenant_id, id: due.id }, this.#signal),
        )
      }
    }
    const mail = this.#mail
    const mails = [...this.#sending.values()].filter(({ webhookId }) => webhookId === null).length
    if (mail !== null && mails < MAILS_AT_ONCE) {
      const due = await this.#due(
        shared,
        `select w.tenant_id, w.id from mail w where ${freeToTake}`,
        'w.next_attempt_at',
        MAILS_AT_ONCE - mails,
      )
      for (const each of due) {
        start(each, null, () => deliverMail(shared, holder, mail, { tenantId: each.tenant_id, id: each.id }))
      }
    }
    return begun
  }

  /** Deliveries that are due, of webhooks that have not enough under way already. */
  async #dueWebhooks(shared: SharedLane): Promise<Due[]> {
    const free = WEBHOOKS_AT_ONCE - [...this.#sending.values()].filter(({ webhookId }) => webhookId !== null).length
    if (free <= 0) {
      return []
    }
    const busy = [...this.#sending.values()].flatMap(({ webhookId }) =>
      webhookId !== null && this.#count((each) => each.webhookId === webhookId) >= WEBHOOK_CONCURRENT_MAX
        ? webhookId
        : [],
    )
    const full = [...this.#sending.values()].flatMap(({ tenantId }) =>
      this.#count((each) => each.tenantId === tenantId) >= TENANT_WEBHOOKS_AT_ONCE ? tenantId : [],
    )
    return shared.use((lane) =>
      lane.session<Due>(
        `select w.tenant_id, w.id, w.webhook_id from webhook_delivery w
         where ${freeToTake} and ${stands} and not w.id = any ($1::uuid[]) and not w.webhook_id = any ($2::uuid[])
           and not w.tenant_id = any ($3::uuid[])
         order by w.next_attempt_at limit $4`,
        [this.#left(), busy, full, free],
      ),
    )
  }

  #isFree({ tenant_id: tenantId, webhook_id: webhookId }: Due): boolean {
    return (
      this.#count((each) => each.webhookId === webhookId) < WEBHOOK_CONCURRENT_MAX &&
      this.#count((each) => each.tenantId === tenantId) < TENANT_WEBHOOKS_AT_ONCE
    )
  }

  #count(which: (each: Sending) => boolean): number {
    return [...this.#sending.values()].filter(which).length
  }

  #due(shared: SharedLane, sql: string, order: string, limit: number): Promise<Due[]> {
    return shared.use((lane) =>
      lane.session<Due>(`${sql} and ${stands} and not w.id = any ($1::uuid[]) order by ${order} limit $2`, [
        this.#left(),
        limit,
      ]),
    )
  }

  /** What is not to be looked at now: it is under way, or it went wrong on our side a moment ago. */
  #left(): string[] {
    const now = Date.now()
    for (const [id, until] of this.#resting) {
      if (until <= now) {
        this.#resting.delete(id)
      }
    }
    return [...this.#sending.keys(), ...this.#resting.keys()]
  }

  /** One that goes wrong on our side must not keep the others from being told. */
  async #tried(lane: Lane, { tenant_id: tenantId, id }: Due, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (lane.broken === null && !this.#signal.aborted) {
        this.#resting.set(id, Date.now() + FAULT_REST_MS)
        this.#options.log.warn({ tenantId, err: error }, 'a notice could not be delivered and will be tried again')
      }
    }
  }
}
