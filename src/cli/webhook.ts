/** `portage webhook`: addresses that are told what happens, and what was sent to them. */
import { throwUserErrors, type UserError } from './api.js'
import { only, parse, UsageError, whole } from './arguments.js'
import type { Connect } from './commands.js'
import { clean, type Io, table } from './io.js'

const EVENTS = [
  'RUN_STARTED',
  'RUN_ACTION_NEEDED',
  'RUN_COMPLETED',
  'RUN_FAILED',
  'RUN_ROLLED_BACK',
  'RECORDS_CHANGED',
] as const

const DELIVERIES_LISTED = 20

const listQuery = `{ webhooks { id url events disabledAt lastDelivery { at succeeded status error } } }`

const saveMutation = `mutation Save($input: WebhookSaveInput!) { webhookSave(input: $input) {
  webhook { id url events } secret userErrors { code field message } } }`

const deleteMutation = `mutation Delete($id: ID!) { webhookDelete(input: { id: $id }) {
  webhook { id url } userErrors { code field message } } }`

const replayMutation = `mutation Replay($id: ID!) { webhookDeliveryReplay(input: { id: $id }) {
  webhook { id url } userErrors { code field message } } }`

const deliveriesQuery = `query Deliveries($id: ID!, $first: Int!) { node(id: $id) { ... on Webhook {
  deliveries(first: $first) { nodes { id event runId at status succeeded attempts error nextAttemptAt } } } } }`

interface Outcome {
  readonly at: string
  readonly succeeded: boolean
  readonly status: number | null
  readonly error: string | null
}

interface Listed {
  readonly id: string
  readonly url: string
  readonly events: readonly string[]
  readonly disabledAt: string | null
  readonly lastDelivery: Outcome | null
}

interface Delivered extends Outcome {
  readonly id: string
  readonly event: string
  readonly runId: string | null
  readonly attempts: number
  readonly nextAttemptAt: string | null
}

interface Payload {
  readonly webhook: { readonly id: string; readonly url: string } | null
  readonly secret?: string | null
  readonly userErrors: readonly UserError[]
}

type Client = ReturnType<Connect>

/** `portage webhook`. */
export async function webhook(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    event: { type: 'string', multiple: true },
    id: { type: 'string' },
    'rotate-secret': { type: 'boolean', default: false },
    first: { type: 'string' },
    json: { type: 'boolean', default: false },
    url: { type: 'string' },
    token: { type: 'string' },
  })
  const [action, ...rest] = positionals
  const show = (lines: readonly string[], data: readonly object[]): number => {
    for (const line of values.json ? data.map((each) => JSON.stringify(each)) : lines) {
      io.out(line)
    }
    return 0
  }
  switch (action) {
    case 'list': {
      if (rest.length > 0) {
        throw new UsageError('webhook list takes no arguments.')
      }
      const { webhooks } = await connect(values).run<{ webhooks: Listed[] }>(listQuery, {})
      return show(webhooks.length === 0 ? ['No webhooks.'] : table([LIST_HEAD, ...webhooks.map(listed)], []), webhooks)
    }
    case 'save': {
      const input = {
        id: values.id ?? null,
        url: only(rest, 'ADDRESS'),
        events: events(values.event),
        rotateSecret: values['rotate-secret'],
      }
      const { webhook: saved, secret } = await change(connect(values), 'webhookSave', saveMutation, { input })
      const told = secret == null ? [] : [`Secret, shown this once: ${secret}`]
      return show([`Saved: ${saved?.id ?? ''}`, ...told], [{ id: saved?.id, secret }])
    }
    case 'delete': {
      const { webhook: gone } = await change(connect(values), 'webhookDelete', deleteMutation, {
        id: only(rest, 'WEBHOOK'),
      })
      return show([`Deleted: ${clean(gone?.url ?? '')}`], [{ id: gone?.id }])
    }
    case 'deliveries': {
      const first = values.first === undefined ? DELIVERIES_LISTED : whole('--first', values.first, 1, 500)
      const nodes = await deliveries(connect(values), only(rest, 'WEBHOOK'), first)
      return show(nodes.length === 0 ? ['No deliveries.'] : table([LOG_HEAD, ...nodes.map(logged)], [4]), nodes)
    }
    case 'replay': {
      const { webhook: to } = await change(connect(values), 'webhookDeliveryReplay', replayMutation, {
        id: only(rest, 'DELIVERY'),
      })
      return show([`Is being sent again to ${clean(to?.url ?? '')}`], [{ webhookId: to?.id }])
    }
    default:
      throw new UsageError('webhook is followed by list, save, delete, deliveries or replay.')
  }
}

const LIST_HEAD = ['Webhook', 'Address', 'Events', 'Last delivery']
const LOG_HEAD = ['Delivery', 'Event', 'Run', 'At', 'Attempts', 'Outcome', 'Next']

function events(asked: readonly string[] | undefined): string[] {
  const names = (asked ?? []).map((event) => event.toUpperCase().replaceAll('-', '_'))
  const unknown = names.filter((name) => !EVENTS.some((event) => event === name))
  if (names.length === 0 || unknown.length > 0) {
    throw new UsageError(
      `--event is one of ${EVENTS.map((event) => event.toLowerCase().replaceAll('_', '-')).join(', ')}, and may be repeated.`,
    )
  }
  return names
}

async function change(
  api: Client,
  name: string,
  mutation: string,
  variables: Readonly<Record<string, unknown>>,
): Promise<Payload> {
  const { [name]: payload } = await api.run<Record<string, Payload>>(mutation, variables)
  if (payload === undefined) {
    throw new Error(`${name} was not answered`)
  }
  throwUserErrors(payload.userErrors)
  return payload
}

async function deliveries(api: Client, id: string, first: number): Promise<readonly Delivered[]> {
  const { node } = await api.run<{ node: { deliveries?: { nodes: Delivered[] } } | null }>(deliveriesQuery, {
    id,
    first,
  })
  if (node?.deliveries === undefined) {
    throwUserErrors([{ code: 'NOT_FOUND', message: 'There is no such webhook.' }])
  }
  return node?.deliveries?.nodes ?? []
}

function listed({ id, url, events: asked, disabledAt, lastDelivery }: Listed): string[] {
  const last = lastDelivery === null ? 'none yet' : `${outcome(lastDelivery)}, ${lastDelivery.at}`
  return [id, clean(url), asked.join(' '), disabledAt === null ? last : `disabled ${disabledAt}; ${last}`]
}

function logged(one: Delivered): string[] {
  return [one.id, one.event, one.runId ?? '', one.at, String(one.attempts), outcome(one), one.nextAttemptAt ?? '']
}

function outcome({ succeeded, status, error }: Outcome): string {
  return succeeded ? `arrived (${status})` : (error ?? 'waiting')
}
