/** `portage tenant quotas`, `set`, `plans` and `plan-save`: what tenants may use, said by the operator. */
import {
  listPlans,
  type QuotaName,
  quotaNames,
  quotaUnits,
  savePlan,
  setTenantQuotas,
  type TenantQuotas,
  tenantQuotas,
} from '../access/quotas.js'
import { loadConfig } from '../config.js'
import { ApiError } from './api.js'
import { only, UsageError } from './arguments.js'
import { findTenant, neededOwnerUrl } from './connect.js'
import { clean, type Io, table } from './io.js'

type Limits = Partial<Record<QuotaName, number | null>>

/** Carries one of the actions out; answers the exit code. */
export async function quotas(
  action: 'quotas' | 'set' | 'plans' | 'plan-save',
  rest: readonly string[],
  values: { readonly plan?: string | undefined; readonly json: boolean },
  io: Io,
): Promise<number> {
  const ownerUrl = neededOwnerUrl(loadConfig())
  if (action === 'plans') {
    showPlans(await listPlans(ownerUrl), values.json, io)
    return 0
  }
  const [name, ...limits] = rest
  if (name === undefined) {
    throw new UsageError(`tenant ${action} needs a name.`)
  }
  if (action === 'plan-save') {
    showPlans([await savePlan(ownerUrl, name, readLimits(limits, 'none'))], values.json, io)
    return 0
  }
  const found = await findTenant(ownerUrl, name)
  if (found === null) {
    throw new ApiError('NOT_FOUND', `There is no tenant "${clean(name)}". \`tenant list\` shows all.`)
  }
  if (action === 'quotas') {
    only(rest, 'NAME')
    showTenant(await tenantQuotas(ownerUrl, found.id), values.json, io)
    return 0
  }
  const change = {
    ...(values.plan === undefined ? {} : { plan: values.plan }),
    overrides: readLimits(limits, 'plan'),
  }
  showTenant(await setTenantQuotas(ownerUrl, found.id, change), values.json, io)
  return 0
}

/** `QUOTA=LIMIT`, as often as wanted; the word `none` takes a limit off. */
function readLimits(texts: readonly string[], none: string): Limits {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, limit] = /^([A-Za-z]+)=(\d{1,15}|[a-z]+)$/.exec(text) ?? []
      const known = quotaNames.find((quota) => quota === name)
      if (known === undefined || (limit !== none && !/^\d+$/.test(limit ?? ''))) {
        throw new UsageError(
          `"${clean(text)}" is no limit: say QUOTA=NUMBER or QUOTA=${none}, where QUOTA is one of ${quotaNames.join(', ')}.`,
        )
      }
      return [known, limit === none ? null : Number(limit)]
    }),
  )
}

const shown = (value: number | undefined): string => (value === undefined ? '-' : value.toLocaleString('en-US'))

function showPlans(plans: Awaited<ReturnType<typeof listPlans>>, json: boolean, io: Io): void {
  const lines = json
    ? plans.map((plan) => JSON.stringify(plan))
    : table(
        [
          ['Quota', ...plans.map(({ name }) => clean(name)), 'Unit'],
          ...quotaNames.map((name) => [name, ...plans.map(({ limits }) => shown(limits[name])), quotaUnits[name]]),
        ],
        plans.map((_, i) => i + 1),
      )
  lines.forEach((line) => io.out(line))
}

function showTenant(tenant: TenantQuotas, json: boolean, io: Io): void {
  if (json) {
    io.out(JSON.stringify(tenant))
    return
  }
  io.out(`Plan: ${clean(tenant.plan)}`)
  const rows = tenant.uses.map(({ name, used, limit, unit }) => [
    name,
    shown(used),
    limit === Number.MAX_SAFE_INTEGER ? '-' : shown(limit),
    unit,
    tenant.overrides[name] === undefined ? '' : 'own limit',
  ])
  table([['Quota', 'Used', 'Limit', 'Unit', ''], ...rows], [1, 2]).forEach((line) => io.out(line))
}
