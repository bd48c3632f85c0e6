/** Tenants, made and listed by the operator alone. */
import { withOperator } from '../db/operator.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'

export interface TenantRow {
  readonly id: string
  readonly name: string
  readonly createdAt: Date
}

/** Longest name of a tenant, in characters. */
const NAME_LENGTH = 100

/** Makes a tenant. Refuses INVALID_INPUT for a name that is empty, too long or taken. */
export async function createTenant(ownerUrl: string, name: string): Promise<TenantRow> {
  const trimmed = name.trim()
  if (trimmed.length === 0 || trimmed.length > NAME_LENGTH) {
    throw new Refusal(
      'INVALID_INPUT',
      `A tenant's name has 1 to ${NAME_LENGTH} characters; this one has ${trimmed.length}.`,
      ['name'],
    )
  }
  const row = await insert(ownerUrl, trimmed)
  if (row === null) {
    throw new Refusal('INVALID_INPUT', `There is a tenant "${trimmed}" already.`, ['name'])
  }
  return row
}

/** The id of the tenant with this name, which is made if there is none. */
export async function ensureTenant(ownerUrl: string, name: string): Promise<string> {
  const made = await insert(ownerUrl, name)
  if (made !== null) {
    return made.id
  }
  const rows = await withOperator(ownerUrl, (operator) =>
    operator.query<{ id: string }>('select id from tenant where name = $1', [name]),
  )
  const id = rows[0]?.id
  if (id === undefined) {
    throw new Error('a tenant that existed a moment ago is gone')
  }
  return id
}

/** All tenants by name. */
export async function listTenants(ownerUrl: string): Promise<TenantRow[]> {
  return withOperator(ownerUrl, (operator) =>
    operator.query<TenantRow>('select id, name, created_at as "createdAt" from tenant order by name'),
  )
}

async function insert(ownerUrl: string, name: string): Promise<TenantRow | null> {
  return withOperator(ownerUrl, async (operator) => {
    const rows = await operator.query<TenantRow>(
      'insert into tenant (id, name) values ($1, $2) on conflict (name) do nothing returning id, name, created_at as "createdAt"',
      [newId(), name],
    )
    const tenant = rows[0]
    if (tenant === undefined) {
      return null
    }
    // The policy of the sequence row asks for its tenant, of the owner too.
    await operator.query("select set_config('app.tenant_id', $1, true)", [tenant.id])
    await operator.query('insert into tenant_sequence (tenant_id) values ($1)', [tenant.id])
    return tenant
  })
}
