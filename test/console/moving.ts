/** A CRM in memory behind a real sign-in, for tests of the console that move in from it. */
import { randomBytes } from 'node:crypto'
import { encodeId } from '../../src/ids.js'
import { FakeOAuthVendor } from '../helpers/oauth-vendor.js'
import { populated, type SmallCrm } from '../helpers/small-crm.js'
import type { Actor, Json, World, WorldOptions } from '../server/world.js'

/** The CRM of every tenant, and the options of a world that knows it. */
export function smallCrm(people = 7): { readonly crm: SmallCrm; readonly options: WorldOptions } {
  const crm = populated(people)
  return { crm, options: { openVendor: () => Promise.resolve({ ...crm.open(), estimate: estimated }) } }
}

function estimated(cost: number) {
  return Promise.resolve({ cost, remaining: 40_000, days: 1, resetsAt: null })
}

/** The sign-in of such a CRM, and the settings of a service that is registered with it. Close it. */
export async function signIn(): Promise<{
  readonly vendor: FakeOAuthVendor
  readonly settings: Readonly<Record<string, string>>
}> {
  const vendor = await FakeOAuthVendor.start({
    kind: 'hubspot',
    clientId: 'app-hubspot',
    clientSecret: randomBytes(8).toString('hex'),
  })
  return {
    vendor,
    settings: {
      PORTAGE_VENDOR_URLS: `hubspot=${vendor.origin}`,
      PORTAGE_HUBSPOT_CLIENT_ID: vendor.options.clientId,
      PORTAGE_HUBSPOT_CLIENT_SECRET: vendor.options.clientSecret,
    },
  }
}

/** A connection as a sign-in leaves it; answers its id. */
export async function connected(world: World, actor: Actor, account = 'Analytical Engines'): Promise<string> {
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into integration (tenant_id, id, system, status, login_origin, account, account_name, api_origin, access_token, connected_at, scopes, created_by)
     values ($1, uuidv7(), 'hubspot', 'CONNECTED', 'https://app.hubspot.com', 'acc1', $2, 'https://api.hubapi.com', 'x', now(),
       '{crm.objects.contacts.read,crm.objects.deals.read}', 'ada@example.com') returning id`,
    [actor.tenantId, account],
  )
  return encodeId('integration', rows[0]?.id ?? '')
}

/** Creates a migration and goes on with it by these steps; answers its id. */
export async function migrated(
  world: World,
  actor: Actor,
  integrationId: string,
  steps: readonly ('Stage' | 'Promote' | 'SyncDelta')[],
): Promise<string> {
  const key = () => randomBytes(8).toString('hex')
  const objects = [
    { object: 'companies', recordType: 'CONTACT' },
    { object: 'people', recordType: 'CONTACT' },
    { object: 'deals', recordType: 'LEAD' },
    { object: 'calls', recordType: 'ACTIVITY' },
  ]
  const done = async (operation: string, inputType: string, input: object): Promise<Json> => {
    const answer = await world.ask(
      actor,
      `mutation ($input: ${inputType}!) { ${operation}(input: $input) { migration { id } userErrors { message } } }`,
      { input: { ...input, idempotencyKey: key() } },
    )
    const [error] = answer[operation].userErrors
    if (error !== undefined) {
      throw new Error(`${operation}: ${error.message}`)
    }
    await world.rested(actor, answer[operation].migration.id)
    return answer[operation].migration
  }
  const { id } = await done('migrationCreate', 'MigrationCreateInput', { integrationId, objects })
  for (const step of steps) {
    await done(`migration${step}`, 'MigrationInput', { migrationId: id })
  }
  return id
}
