/** The smaller commands, one function each: arguments in, exit code out. */
import { randomUUID } from 'node:crypto'
import { isPermission, type Permission, permissions } from '../access/permissions.js'
import { signToken } from '../access/tokens.js'
import { loadConfig } from '../config.js'
import { type Api, ApiError, throwUserErrors, type UserError } from './api.js'
import { choice, only, parse, seconds, UsageError, whole } from './arguments.js'
import { findTenant, neededOwnerUrl } from './connect.js'
import { clean, type Io, number, table } from './io.js'
import { words } from './report.js'
import { listRuns, type RunListed } from './runs.js'
import { watchRun } from './watch.js'

/** Makes the client when the arguments are known to be right. */
export type Connect = (values: { readonly url?: string; readonly token?: string }) => Api

const common = {
  json: { type: 'boolean', default: false },
  url: { type: 'string' },
  token: { type: 'string' },
} as const

const statuses = [
  'ANALYZING',
  'AWAITING_MAPPING',
  'PLANNING',
  'AWAITING_CONFIRMATION',
  'QUEUED',
  'DEFERRED',
  'RUNNING',
  'PAUSED',
  'CANCELING',
  'COMPLETED',
  'COMPLETED_WITH_ERRORS',
  'FAILED',
  'CANCELED',
  'ROLLING_BACK',
  'ROLLED_BACK',
  'ROLLED_BACK_WITH_CONFLICTS',
  'EXPIRED',
]

const RUNS_LISTED = 20

/** `portage runs`. */
export async function runs(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    ...common,
    first: { type: 'string' },
    status: { type: 'string', multiple: true },
  })
  if (positionals.length > 0) {
    throw new UsageError('runs takes no arguments, only options.')
  }
  const first = values.first === undefined ? RUNS_LISTED : whole('--first', values.first, 1, 500)
  const wanted = values.status?.map((status) => choice('--status', status, statuses) ?? status) ?? null
  const { nodes, more } = await listRuns(connect(values), first, wanted)
  if (values.json) {
    nodes.forEach((run) => io.out(JSON.stringify(run)))
    return 0
  }
  if (nodes.length === 0) {
    io.note('No runs.')
    return 0
  }
  const head = ['Run', 'What', 'Status', 'Rows', 'Failed', 'Created', 'By']
  table([head, ...nodes.map(listed)], [3, 4]).forEach((line) => io.out(line))
  if (more) {
    io.note(`There are more: --first ${Math.min(500, 5 * first)}`)
  }
  return 0
}

function listed(run: RunListed): string[] {
  const what =
    run.source === undefined
      ? `${words(run.kind)}${run.ofRunId === undefined ? ofType(run) : ` of ${run.ofRunId}`}`
      : clean(run.source.name)
  const total = run.counts.total ?? run.counts.read
  return [
    run.id,
    what,
    words(run.status),
    number(total),
    number(run.counts.failed),
    run.createdAt.slice(0, 16).replace('T', ' '),
    clean(run.createdBy),
  ]
}

function ofType({ recordType }: RunListed): string {
  return recordType === undefined ? '' : ` of ${words(recordType)} records`
}

/** `portage watch RUN`. */
export async function watch(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, common)
  return watchRun(connect(values), only(positionals, 'RUN'), io, values.json)
}

const rollbackMutation = `mutation Rollback($input: RunRollbackInput!) { runRollback(input: $input) {
  rollbackRun { id } userErrors { code message } } }`

/** `portage rollback RUN`. */
export async function rollback(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, { ...common, 'on-conflict': { type: 'string' } })
  const runId = only(positionals, 'RUN')
  const onConflict = choice('--on-conflict', values['on-conflict'], ['KEEP', 'FORCE', 'ABORT'])
  const api = connect(values)
  const input = { runId, idempotencyKey: randomUUID(), ...(onConflict === undefined ? {} : { onConflict }) }
  interface Answer {
    readonly runRollback: {
      readonly rollbackRun: { readonly id: string } | null
      readonly userErrors: readonly UserError[]
    }
  }
  const { runRollback } = await api.run<Answer>(rollbackMutation, { input })
  throwUserErrors(runRollback.userErrors)
  const rollbackId = runRollback.rollbackRun?.id ?? ''
  if (values.json) {
    io.out(JSON.stringify({ event: 'started', runId: rollbackId }))
  } else {
    io.note(`Started ${rollbackId}`)
  }
  return watchRun(api, rollbackId, io, values.json)
}

/** `portage tenant create NAME`, `list`, `export NAME`, `erase NAME`, `quotas NAME`, `set NAME`, `plans` and `plan-save PLAN`. */
export async function tenant(args: readonly string[], _connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    json: { type: 'boolean', default: false },
    output: { type: 'string', short: 'o' },
    'passphrase-file': { type: 'string' },
    confirm: { type: 'string' },
    plan: { type: 'string' },
  })
  const [action, ...rest] = positionals
  if (action === 'quotas' || action === 'set' || action === 'plans' || action === 'plan-save') {
    const { quotas } = await import('./quotas.js')
    return quotas(action, rest, values, io)
  }
  if (action === 'export' || action === 'erase') {
    const name = only(rest, 'NAME')
    const { eraseForGood, exportTenant } = await import('./tenant.js')
    return action === 'export' ? exportTenant(name, values, io) : eraseForGood(name, values, io)
  }
  if (action === 'erase-person') {
    const [name = '', contact = '', ...more] = rest
    if (contact === '' || more.length > 0) {
      throw new UsageError('tenant erase-person needs the tenant and the id of the contact.')
    }
    const { erasePersonForGood } = await import('./tenant.js')
    return erasePersonForGood(name, contact, values, io)
  }
  if (action === 'create') {
    const name = only(rest, 'NAME')
    const { createTenant } = await import('../access/tenants.js')
    const created = await createTenant(neededOwnerUrl(loadConfig()), name)
    io.out(values.json ? JSON.stringify(created) : `Created the tenant "${clean(created.name)}": ${created.id}`)
    return 0
  }
  if (action === 'list' && rest.length === 0) {
    const { listTenants } = await import('../access/tenants.js')
    const tenants = await listTenants(neededOwnerUrl(loadConfig()))
    const lines = values.json
      ? tenants.map((each) => JSON.stringify(each))
      : table([['Tenant', 'Id'], ...tenants.map(({ name, id }) => [clean(name), id])])
    lines.forEach((line) => io.out(line))
    return 0
  }
  throw new UsageError(
    'tenant needs to know what to do: create NAME, list, export NAME, erase NAME, quotas NAME, set NAME, plans, or plan-save PLAN.',
  )
}

/** `portage token`: the token and nothing else. */
export async function token(args: readonly string[], _connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    tenant: { type: 'string' },
    actor: { type: 'string' },
    permissions: { type: 'string' },
    expires: { type: 'string', default: '1h' },
  })
  if (positionals.length > 0) {
    throw new UsageError('token takes no arguments, only options.')
  }
  const { tenant: tenantName, actor, permissions: list } = values
  if (tenantName === undefined || actor === undefined || list === undefined) {
    throw new UsageError('token needs --tenant, --actor and --permissions.')
  }
  const granted = permissionList(list)
  const expiresIn = seconds('--expires', values.expires)
  const config = loadConfig()
  if (config.verification.kind !== 'local') {
    throw new ApiError(
      'OUTSIDE_ISSUER',
      `Sign-in tokens come from ${config.verification.issuer} here: ask there for one.`,
    )
  }
  const found = await findTenant(neededOwnerUrl(config), tenantName)
  if (found === null) {
    throw new ApiError(
      'NOT_FOUND',
      `There is no tenant "${clean(tenantName)}". \`tenant list\` shows all, \`tenant create\` makes one.`,
    )
  }
  io.out(await signToken({ tenantId: found.id, actor, permissions: granted, expiresIn }, config))
  return 0
}

function permissionList(text: string): readonly Permission[] {
  if (text.toLowerCase() === 'all') {
    return permissions
  }
  return text.split(',').map((each) => {
    const name = each.trim().toUpperCase()
    if (!isPermission(name)) {
      throw new UsageError(`"${each.trim()}" is no permission. There are: ${permissions.join(', ')}; or say all.`)
    }
    return name
  })
}
