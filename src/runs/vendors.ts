/** The door to the CRMs that tenants move in from: which adapter an integration needs, and what that asks with. */
import { VendorRefused } from '../adapters/http/errors.js'
import { PlannedPause, type VendorAdapter, type VendorApi, type VendorObject } from '../adapters/vendor.js'
import { Refusal } from '../errors.js'
import { type CrmSystem, systemNames } from '../systems.js'
import type { BudgetEstimate } from './api-budget.js'
import { type IntegrationDoor, openVendorClient } from './integration-access.js'

/** An integration, ready to be asked. Close it when the job ends. */
export interface OpenVendor {
  readonly adapter: VendorAdapter
  readonly api: VendorApi
  /** What so much of the vendor's unit would mean for the budget of the account; absent where nobody knows. */
  readonly estimate?: ((cost: number) => Promise<BudgetEstimate>) | undefined
  close(): Promise<void>
}

/** How a process opens integrations; tests stand in for the CRMs behind it. */
export type OpenVendorOf = (tenantId: string, integrationId: string) => Promise<OpenVendor>

/** Loaded where they are needed: most workers never speak to most of them. */
const adapters: Readonly<Record<CrmSystem, () => Promise<VendorAdapter>>> = {
  hubspot: async () => (await import('../adapters/hubspot/index.js')).hubspot,
  pipedrive: async () => (await import('../adapters/pipedrive/index.js')).pipedrive,
  salesforce: async () => (await import('../adapters/salesforce/index.js')).salesforce,
}

/** The adapter of a service. */
export function openAdapter(system: CrmSystem): Promise<VendorAdapter> {
  return adapters[system]()
}

/** Opens an integration. Refuses INTEGRATION_NOT_CONNECTED. */
export async function openVendor(door: IntegrationDoor, tenantId: string, integrationId: string): Promise<OpenVendor> {
  const client = await openVendorClient(door, tenantId, integrationId)
  const adapter = await openAdapter(client.system)
  return {
    adapter,
    api: client.api,
    estimate: (cost) => client.estimate(cost),
    close: () => {
      client.close()
      return Promise.resolve()
    },
  }
}

/**
 * What there is at the service, with the number of records where one cheap call tells it. Refuses INTEGRATION_NOT_CONNECTED,
 * INVALID_STATE where the service will not answer, LIMIT_EXCEEDED where it wants no requests for a while.
 */
export async function listObjects(
  open: OpenVendorOf,
  tenantId: string,
  integrationId: string,
  signal: AbortSignal,
): Promise<readonly VendorObject[]> {
  const vendor = await open(tenantId, integrationId)
  const { adapter, api } = vendor
  const name = systemNames[adapter.system]
  try {
    const objects: VendorObject[] = []
    for (const object of await adapter.discover(api, signal)) {
      const uncounted = object.recordCount === null && object.suggestedRecordType !== null
      const count = uncounted ? (await adapter.count(api, object, signal)).count : object.recordCount
      objects.push({ ...object, recordCount: count })
    }
    return objects
  } catch (error) {
    if (error instanceof PlannedPause) {
      throw new Refusal('LIMIT_EXCEEDED', `${name} wants no requests before ${error.until.toISOString()}.`, [
        'integrationId',
      ])
    }
    if (error instanceof VendorRefused) {
      throw new Refusal('INVALID_STATE', `${name} does not answer: ${error.message}`, ['integrationId'])
    }
    throw error
  } finally {
    await vendor.close()
  }
}
