/** The one way to send something to an address that a tenant gave: guarded as requests to CRMs are, and told in our words alone. */
import type { Hidden } from '../../hidden.js'
import {
  WEBHOOK_ANSWER_BYTES_MAX,
  WEBHOOK_CONNECT_MS_MAX,
  WEBHOOK_MS_MAX,
  WEBHOOK_URL_LENGTH_MAX,
} from '../../limits.js'
import { VendorRefused } from '../http/errors.js'
import { allowedUrl, type HostRule, type Resolve } from '../http/guard.js'
import { ConnectionFault, type Received, Transport } from '../http/transport.js'
import { signatureHeaders } from './sign.js'

/** Why a delivery has not arrived; a receiver's status other than success is `HTTP_<status>`. */
export type DeliveryFault = 'ADDRESS_NOT_ALLOWED' | 'CONNECTION_FAILED' | 'TIMED_OUT' | `HTTP_${number}`

export interface Attempt {
  /** Of the answer; null: there was none. */
  readonly status: number | null
  /** Null: it has arrived. */
  readonly error: DeliveryFault | null
}

export interface SenderOptions {
  /** Origins that stand in for receivers, for tests: see `HostRule.standIns`. */
  readonly origins: readonly string[] | null
  readonly resolve?: Resolve | undefined
  /** Milliseconds for one attempt; absent: WEBHOOK_MS_MAX. */
  readonly totalMs?: number | undefined
}

function ruleOf(origins: readonly string[] | null): HostRule {
  return { hosts: 'public', standIns: origins }
}

/**
 * The address in the form in which it is kept, or null: not https, another port than 443, with a user, a fragment or an address in
 * the place of a name, a name that cannot be public, or too long. Where the name leads is looked at each time it is sent to.
 */
export function webhookUrl(text: string, origins: readonly string[] | null): string | null {
  if (text.length > WEBHOOK_URL_LENGTH_MAX || !URL.canParse(text) || /[\s\p{Cc}]/u.test(text)) {
    return null
  }
  try {
    const url = allowedUrl(text, ruleOf(origins))
    return url.hash === '' && url.href.length <= WEBHOOK_URL_LENGTH_MAX ? url.href : null
  } catch (error) {
    if (error instanceof VendorRefused) {
      return null
    }
    throw error
  }
}

/** Sends webhooks. Each delivery has a connection of its own, so no two tenants share any. */
export class WebhookSender {
  readonly #transport: Transport
  readonly #totalMs: number

  constructor({ origins, resolve, totalMs }: SenderOptions) {
    this.#transport = new Transport({
      rule: ruleOf(origins),
      ...(resolve === undefined ? {} : { resolve }),
      timeouts: { connect: WEBHOOK_CONNECT_MS_MAX, headers: WEBHOOK_MS_MAX, silence: WEBHOOK_MS_MAX },
    })
    this.#totalMs = totalMs ?? WEBHOOK_MS_MAX
  }

  /** One attempt. Only 2xx has arrived: a redirect is none, and nobody follows it. Throws the reason of `signal` alone. */
  async send(
    delivery: { readonly url: string; readonly id: string; readonly body: string; readonly secrets: readonly Hidden[] },
    signal: AbortSignal,
  ): Promise<Attempt> {
    const deadline = AbortSignal.timeout(this.#totalMs)
    const timestamp = Math.floor(Date.now() / 1000)
    try {
      const received = await this.#transport.send({
        url: new URL(delivery.url),
        method: 'POST',
        headers: {
          ...signatureHeaders({ id: delivery.id, timestamp, body: delivery.body }, delivery.secrets),
          'content-type': 'application/json',
          'user-agent': 'Portage-Webhooks/1',
          'accept-encoding': 'identity',
        },
        body: delivery.body,
        fresh: true,
        signal: AbortSignal.any([signal, deadline]),
      })
      await readAway(received)
      const { status } = received
      return { status, error: status >= 200 && status < 300 ? null : `HTTP_${status}` }
    } catch (error) {
      signal.throwIfAborted()
      return { status: null, error: faultOf(error, deadline) }
    }
  }

  close(): void {
    this.#transport.close()
  }
}

/** Lets the receiver finish what it says, as far as we take it: cut off sooner it would count its own answer as lost. */
async function readAway(received: Received): Promise<void> {
  try {
    for await (const _ of received.body(WEBHOOK_ANSWER_BYTES_MAX)) {
      // Nobody looks at it: what an inner service might say must not come back to whoever gave the address.
    }
  } catch {
    received.drop()
  }
}

/** In three words, whatever happened: more would tell whoever gave the address what is there. */
function faultOf(error: unknown, deadline: AbortSignal): DeliveryFault {
  if (error instanceof VendorRefused) {
    return 'ADDRESS_NOT_ALLOWED'
  }
  return deadline.aborted || (error instanceof ConnectionFault && error.message.includes('in time'))
    ? 'TIMED_OUT'
    : 'CONNECTION_FAILED'
}
