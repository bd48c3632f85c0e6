/** `portage migrate`: moving in from another CRM, step by step. */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Api, ApiError, throwUserErrors, type UserError } from './api.js'
import { choice, only, parse, UsageError, whole } from './arguments.js'
import type { Connect } from './commands.js'
import { clean, counted, type Io, number, table } from './io.js'
import { words } from './report.js'
import { type Counts, exitCode, type MappingConflict, type Reason } from './runs.js'

/** How often a migration is looked at while it works. Milliseconds. */
const LOOK_MS = 1000

/** Records of a sample, at most. The API's own limit may be lower. */
const SAMPLE_MAX = 1_000_000

const steps = { stage: 'Stage', promote: 'Promote', verify: 'Verify', delta: 'SyncDelta' } as const

const connectionsQuery = '{ integrations { id system status accountName connectedAt } }'

const objectsQuery = `query Objects($id: ID!) { integrationObjects(integrationId: $id) {
  name label custom recordCount suggestedRecordType } }`

const createMutation = `mutation Create($input: MigrationCreateInput!) { migrationCreate(input: $input) {
  migration { id } userErrors { code field message } } }`

const migrationQuery = `query Migration($id: ID!) { migration(id: $id) {
  id status stage statusReason { code message retryable }
  counts { total read created updated unchanged skipped failed unprocessed reverted kept deleted }
  integration { system accountName }
  objects { object recordType extracted watermark counts { created updated unchanged skipped failed deleted unprocessed }
    mapping { unmappedRequiredFields conflicts { message } } drift { message } importRun { id } }
  verification { passed createdAt fileUrl checks { name object expected actual passed detail } } } }`

interface Listed {
  readonly id: string
  readonly system: string
  readonly status: string
  readonly accountName: string | null
  readonly connectedAt: string | null
}

interface ListedObject {
  readonly name: string
  readonly label: string
  readonly custom: boolean
  readonly recordCount: number | null
  readonly suggestedRecordType: string | null
}

interface Migration {
  readonly id: string
  readonly status: string
  readonly stage: string
  readonly statusReason: Reason | null
  readonly counts: Counts
  readonly integration: { readonly system: string; readonly accountName: string | null }
  readonly objects: readonly {
    readonly object: string
    readonly recordType: string
    readonly extracted: number
    readonly watermark: string | null
    readonly counts: Omit<Counts, 'total' | 'read' | 'reverted' | 'kept'>
    readonly mapping: {
      readonly unmappedRequiredFields: readonly string[]
      readonly conflicts: readonly Pick<MappingConflict, 'message'>[]
    }
    readonly drift: readonly { readonly message: string }[]
    readonly importRun: { readonly id: string } | null
  }[]
  readonly verification: {
    readonly passed: boolean
    readonly createdAt: string
    readonly fileUrl: string
    readonly checks: readonly {
      readonly name: string
      readonly object: string | null
      readonly expected: string
      readonly actual: string
      readonly passed: boolean
      readonly detail: string | null
    }[]
  } | null
}

/** Runs the command; answers its exit code: 0 for what came to its end or waits for the next step, 2 with errors, 1 otherwise. */
export async function migrate(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    object: { type: 'string', multiple: true },
    sample: { type: 'string' },
    filter: { type: 'string', multiple: true },
    'changed-here': { type: 'string' },
    json: { type: 'boolean', default: false },
    url: { type: 'string' },
    token: { type: 'string' },
  })
  const [action, ...rest] = positionals
  const asked = [values.object, values.sample, values.filter, values['changed-here']].some(
    (value) => value !== undefined,
  )
  if (asked && action !== 'create') {
    throw new UsageError('--object, --sample, --filter and --changed-here go with migrate create.')
  }
  switch (action) {
    case 'connections':
      if (rest.length > 0) {
        throw new UsageError('migrate connections takes no arguments.')
      }
      return connections(connect(values), values.json, io)
    case 'objects':
      return objects(connect(values), only(rest, 'CONNECTION'), values.json, io)
    case 'create': {
      const integrationId = only(rest, 'CONNECTION')
      const sampleSize = values.sample === undefined ? null : whole('--sample', values.sample, 1, SAMPLE_MAX)
      const changedHere = choice('--changed-here', values['changed-here'], ['KEEP', 'OVERWRITE'])
      const filters = new Map((values.filter ?? []).map((text) => pair('--filter', text)))
      const chosen = (values.object ?? []).map((text) => pair('--object', text))
      const api = connect(values)
      const input = {
        integrationId,
        objects: await chosenObjects(api, integrationId, chosen, filters, sampleSize),
        ...(changedHere === undefined ? {} : { options: { changedHere } }),
        idempotencyKey: randomUUID(),
      }
      const { migrationCreate } = await api.run<{
        migrationCreate: { migration: { id: string } | null; userErrors: UserError[] }
      }>(createMutation, { input })
      throwUserErrors(migrationCreate.userErrors)
      return follow(api, migrationCreate.migration?.id ?? '', values.json, io)
    }
    case 'show': {
      const migration = await look(connect(values), only(rest, 'MIGRATION'))
      tell(migration, values.json, io)
      return 0
    }
    case 'watch':
      return follow(connect(values), only(rest, 'MIGRATION'), values.json, io)
    case 'stage':
    case 'promote':
    case 'verify':
    case 'delta': {
      const id = only(rest, 'MIGRATION')
      const api = connect(values)
      const name = `migration${steps[action]}`
      const answer = await api.run<Record<string, { readonly userErrors: readonly UserError[] }>>(
        `mutation Step($input: MigrationInput!) { ${name}(input: $input) { userErrors { code field message } } }`,
        { input: { migrationId: id, idempotencyKey: randomUUID() } },
      )
      throwUserErrors(answer[name]?.userErrors ?? [])
      return follow(api, id, values.json, io)
    }
    default:
      throw new UsageError(
        'migrate is followed by connections, objects, create, stage, promote, verify, delta, watch or show.',
      )
  }
}

async function connections(api: Api, json: boolean, io: Io): Promise<number> {
  const { integrations } = await api.run<{ integrations: Listed[] }>(connectionsQuery, {})
  const head = ['Connection', 'CRM', 'Account', 'Status', 'Since']
  const rows = integrations.map((one) => [
    one.id,
    words(one.system),
    clean(one.accountName ?? ''),
    words(one.status),
    one.connectedAt?.slice(0, 16).replace('T', ' ') ?? '',
  ])
  const lines = json ? integrations.map((one) => JSON.stringify(one)) : table([head, ...rows], [])
  for (const line of integrations.length === 0 && !json ? ['No connections.'] : lines) {
    io.out(line)
  }
  return 0
}

async function listObjects(api: Api, id: string): Promise<readonly ListedObject[]> {
  const { integrationObjects } = await api.run<{ integrationObjects: ListedObject[] }>(objectsQuery, { id })
  return integrationObjects
}

async function objects(api: Api, id: string, json: boolean, io: Io): Promise<number> {
  const listed = await listObjects(api, id)
  const head = ['Object', 'Called', 'Records', 'Becomes']
  const rows = listed.map((one) => [
    clean(one.name),
    clean(one.label),
    one.recordCount === null ? '' : number(one.recordCount),
    one.suggestedRecordType === null ? '' : one.suggestedRecordType.toLowerCase(),
  ])
  for (const line of json ? listed.map((one) => JSON.stringify(one)) : table([head, ...rows], [2])) {
    io.out(line)
  }
  return 0
}

/** `a=b`; what follows the first equals sign may have more of them. */
function pair(option: string, text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) {
    throw new UsageError(
      option === '--object'
        ? `--object is OBJECT=contact, lead, property or activity, e.g. contacts=contact; "${text}" is not.`
        : `${option} is OBJECT=CONDITION; "${text}" is not.`,
    )
  }
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}

/** Those that were named, in their order; without any, all that a record type is suggested for. */
async function chosenObjects(
  api: Api,
  integrationId: string,
  chosen: readonly (readonly [string, string])[],
  filters: ReadonlyMap<string, string>,
  sampleSize: number | null,
): Promise<object[]> {
  const named =
    chosen.length > 0
      ? chosen.map(([object, type]) => ({
          object,
          recordType: choice('--object', type, ['CONTACT', 'LEAD', 'PROPERTY', 'ACTIVITY']),
        }))
      : (await listObjects(api, integrationId)).flatMap(({ name, suggestedRecordType, recordCount }) =>
          suggestedRecordType === null || recordCount === 0 ? [] : [{ object: name, recordType: suggestedRecordType }],
        )
  const strange = [...filters.keys()].find((object) => !named.some((one) => one.object === object))
  if (strange !== undefined) {
    throw new UsageError(
      `--filter is about ${strange}, which is none of the objects: ${named.map(({ object }) => object).join(', ')}.`,
    )
  }
  return named.map((one) => ({ ...one, sampleSize, filter: filters.get(one.object) ?? null }))
}

async function look(api: Api, id: string): Promise<Migration> {
  const { migration } = await api.run<{ migration: Migration | null }>(migrationQuery, { id })
  if (migration === null) {
    throw new ApiError('NOT_FOUND', `There is no migration with the id "${clean(id)}".`)
  }
  return migration
}

/** Watches a migration until it needs somebody or has nothing more to do. */
async function follow(api: Api, id: string, json: boolean, io: Io): Promise<number> {
  if (!json) {
    io.note(`Migration ${id}`)
  }
  for (let said = ''; ; await pause(LOOK_MS, undefined, { signal: io.signal })) {
    const migration = await look(api, id)
    const { status, stage, statusReason, counts } = migration
    const working = ['QUEUED', 'RUNNING', 'CANCELING', 'DEFERRED', 'ROLLING_BACK'].includes(status)
    // A pause for a limit of the service ends by itself.
    const waits = status === 'PAUSED' && statusReason?.code === 'WAITING_FOR_SERVICE'
    if (!working && !waits) {
      io.status('')
      tell(migration, json, io)
      return status === 'AWAITING_MAPPING' || status === 'AWAITING_CONFIRMATION' ? 0 : exitCode(status)
    }
    const news = waits ? `Waiting: ${clean(statusReason?.message ?? '')}` : `${words(stage)}`
    if (news !== said) {
      said = news
      if (json) {
        io.out(JSON.stringify({ event: 'stage', stage, status, reason: statusReason }))
      } else {
        io.note(news)
      }
    }
    if (!json && !waits) {
      io.status(`${words(stage)}: ${counted(counts.read, 'row')} read`)
    }
  }
}

function tell(migration: Migration, json: boolean, io: Io): void {
  if (json) {
    io.out(JSON.stringify({ event: 'migration', migration }))
    return
  }
  const { id, stage, status, statusReason, integration, verification } = migration
  io.out(
    `${id}: ${words(integration.system)} ${clean(integration.accountName ?? '')}, ${words(stage)} (${words(status)})`,
  )
  if (statusReason !== null) {
    io.out(clean(statusReason.message))
  }
  const head = [
    'Object',
    'Becomes',
    'Read',
    'Created',
    'Updated',
    'Unchanged',
    'Skipped',
    'Failed',
    'Deleted',
    'Import',
  ]
  const rows = migration.objects.map(({ object, recordType, extracted, counts, importRun }) => [
    clean(object),
    recordType.toLowerCase(),
    ...[extracted, counts.created, counts.updated, counts.unchanged, counts.skipped, counts.failed, counts.deleted].map(
      number,
    ),
    importRun?.id ?? '',
  ])
  table([head, ...rows], [2, 3, 4, 5, 6, 7, 8]).forEach((line) => io.out(line))
  for (const { object, mapping, drift } of migration.objects) {
    for (const { message } of [...mapping.conflicts, ...drift]) {
      io.out(`${clean(object)}: ${clean(message)}`)
    }
    if (mapping.unmappedRequiredFields.length > 0) {
      io.out(`${clean(object)}: nothing gives ${mapping.unmappedRequiredFields.join(', ')}.`)
    }
  }
  if (verification !== null) {
    const failed = verification.checks.filter(({ passed }) => !passed)
    io.out(
      verification.passed
        ? `Proven: all ${verification.checks.length} checks passed.`
        : `Not proven: ${failed.length} of ${verification.checks.length} checks failed.`,
    )
    for (const { name, object, expected, actual, detail } of failed) {
      io.out(
        `  ${clean(object ?? '')} ${clean(name)}: expected ${clean(expected)}, found ${clean(actual)}. ${clean(detail ?? '')}`.trimEnd(),
      )
    }
    io.out(`Report: ${verification.fileUrl}`)
  }
  const next = nextStep(migration)
  if (next !== null) {
    io.note(next)
  }
}

function nextStep({ id, stage, status }: Migration): string | null {
  if (status === 'AWAITING_MAPPING') {
    return `Next: migrate stage ${id}`
  }
  if (status === 'AWAITING_CONFIRMATION') {
    return `Next: migrate promote ${id}; nothing has been written so far.`
  }
  return stage === 'READY_FOR_DELTA' ? `Later: migrate delta ${id} reads what has changed since.` : null
}
