/** Which e-mails are wanted, by the tenant and by each person, and who gets one. */
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import type { OutboxEvent } from './outbox.js'

/** What there are e-mails about: the contract's NotificationEvent. */
export const notificationEvents = ['RUN_COMPLETED', 'RUN_FAILED', 'ACTION_NEEDED', 'QUOTA_WARNING'] as const

export type NotificationEvent = (typeof notificationEvents)[number]

export interface Preferences {
  /** Of all e-mails of the tenant. */
  readonly tenantEmails: readonly NotificationEvent[]
  /** Of those, what the caller wants; empty for a caller without an address. */
  readonly myEmails: readonly NotificationEvent[]
}

/** The row of the tenant itself: no address is empty. */
const TENANT = ''

/** The address that an actor can be written to: the actor's own name, where it is one. API keys have none. */
export function addressOf(actor: string): string | null {
  const address = actor.trim().toLowerCase()
  // No list, no name, no comment: what reaches the envelope is one mailbox.
  return /^[^\s@<>()[\]\\,;:"\p{Cc}\p{Cf}]{1,64}@[^\s@<>()[\]\\,;:"\p{Cc}\p{Cf}]{1,189}$/u.test(address)
    ? address
    : null
}

/** What is told by e-mail of a fact of the outbox; null: nothing is. */
export function notificationOf(event: OutboxEvent, status: string | null): NotificationEvent | null {
  switch (event) {
    case 'RUN_COMPLETED':
    case 'RUN_FAILED':
    case 'QUOTA_WARNING':
      return event
    case 'RUN_ACTION_NEEDED':
      // A run that waits for a new sign-in is told once, by its integration.
      return status === 'PAUSED' ? null : 'ACTION_NEEDED'
    case 'INTEGRATION_ACTION_NEEDED':
    case 'WEBHOOK_DISABLED':
      return 'ACTION_NEEDED'
    case 'RUN_STARTED':
    case 'RUN_ROLLED_BACK':
    case 'RECORDS_CHANGED':
      return null
    default:
      return event satisfies never
  }
}

/** Everything is wanted until somebody says otherwise. */
export async function preferencesOf(tx: Tx, actor: string): Promise<Preferences> {
  const address = addressOf(actor)
  const rows = await tx.query<{ actor: string; events: NotificationEvent[] }>(
    'select actor, events from notification_preference where tenant_id = $1 and actor = any ($2::text[])',
    [tx.tenantId, [TENANT, ...(address === null ? [] : [address])]],
  )
  const of = (key: string): readonly NotificationEvent[] =>
    rows.find((row) => row.actor === key)?.events ?? notificationEvents
  return { tenantEmails: of(TENANT), myEmails: address === null ? [] : of(address) }
}

/** Changes what is given; undefined stays. Refuses INVALID_INPUT for the own e-mails of a caller without an address. */
export async function savePreferences(
  tx: Tx,
  actor: string,
  { tenantEmails, myEmails }: { readonly [P in keyof Preferences]: Preferences[P] | undefined },
): Promise<void> {
  if (tenantEmails !== undefined) {
    await save(tx, TENANT, tenantEmails)
  }
  if (myEmails !== undefined) {
    const address = addressOf(actor)
    if (address === null) {
      throw new Refusal('INVALID_INPUT', 'Only who signs in with an e-mail address gets e-mails.', ['myEmails'])
    }
    await save(tx, address, myEmails)
  }
}

async function save(tx: Tx, actor: string, events: readonly NotificationEvent[]): Promise<void> {
  await tx.query(
    `insert into notification_preference (tenant_id, actor, events) values ($1, $2, $3::text[])
     on conflict (tenant_id, actor) do update set events = excluded.events, updated_at = now()`,
    [tx.tenantId, actor, notificationEvents.filter((event) => events.includes(event))],
  )
}

/** Members with these permissions of their own look after what has no other reader. */
const caretakers: Partial<Readonly<Record<OutboxEvent, string>>> = {
  QUOTA_WARNING: 'SETTINGS_MANAGE',
  WEBHOOK_DISABLED: 'SETTINGS_MANAGE',
  INTEGRATION_ACTION_NEEDED: 'INTEGRATION_MANAGE',
}

/**
 * The addresses that get an e-mail about a fact: whoever it is the doing of (of an API key, who made the key), and for what concerns the
 * whole tenant the members whose permissions name what it takes. Not those who do not want it, and no inactive member.
 */
export async function receiversOf(
  tx: Tx,
  event: OutboxEvent,
  notification: NotificationEvent,
  actor: string | null,
): Promise<readonly string[]> {
  const wanted = new Set<string>()
  const own = actor === null ? null : addressOf(await personBehind(tx, actor))
  if (own !== null) {
    wanted.add(own)
  }
  const permission = caretakers[event]
  if (permission !== undefined) {
    const members = await tx.query<{ email: string }>(
      'select email from member where tenant_id = $1 and active and $2 = any (permissions)',
      [tx.tenantId, permission],
    )
    for (const { email } of members) {
      const address = addressOf(email)
      if (address !== null) {
        wanted.add(address)
      }
    }
  }
  const addresses = [...wanted].toSorted()
  const refusing = await tx.query<{ address: string }>(
    `select a.address from unnest($2::text[]) as a (address)
     where exists (select from member m where m.tenant_id = $1 and m.email = a.address and not m.active)
       or exists (select from notification_preference p where p.tenant_id = $1 and p.actor in ('${TENANT}', a.address) and not $3 = any (p.events))`,
    [tx.tenantId, addresses, notification],
  )
  const not = new Set(refusing.map(({ address }) => address))
  return addresses.filter((address) => !not.has(address))
}

/** Of an API key, who made it; anybody else is who they are. */
async function personBehind(tx: Tx, actor: string): Promise<string> {
  if (!actor.startsWith('key:')) {
    return actor
  }
  const key = await first<{ created_by: string }>(
    tx,
    'select created_by from api_key where tenant_id = $1 and name = $2 order by revoked_at is not null, created_at desc limit 1',
    [tx.tenantId, actor.slice('key:'.length)],
  )
  return key?.created_by ?? actor
}
