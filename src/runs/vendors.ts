/** The door to the CRMs that tenants move in from: which adapter an integration needs, and what that asks with. */
import type { VendorAdapter, VendorApi } from '../adapters/vendor.js'
import { Refusal } from '../errors.js'
import { type CrmSystem, systemNames } from '../systems.js'
import { type IntegrationDoor, openVendorClient } from './integration-access.js'

/** An integration, ready to be asked. Close it when the job ends. */
export interface OpenVendor {
  readonly adapter: VendorAdapter
  readonly api: VendorApi
  close(): Promise<void>
}

/** How a process opens integrations; tests stand in for the CRMs behind it. */
export type OpenVendorOf = (tenantId: string, integrationId: string) => Promise<OpenVendor>

/** Loaded where they are needed: most workers never speak to most of them. */
const adapters: Readonly<Partial<Record<CrmSystem, () => Promise<VendorAdapter>>>> = {
  pipedrive: async () => (await import('../adapters/pipedrive/index.js')).pipedrive,
  salesforce: async () => (await import('../adapters/salesforce/index.js')).salesforce,
}

/** Opens an integration. Refuses INTEGRATION_NOT_CONNECTED. */
export async function openVendor(door: IntegrationDoor, tenantId: string, integrationId: string): Promise<OpenVendor> {
  const client = await openVendorClient(door, tenantId, integrationId)
  const adapter = await adapters[client.system]?.()
  if (adapter === undefined) {
    client.close()
    throw new Refusal('INVALID_STATE', `Nothing can be moved in from ${systemNames[client.system]} yet.`, [
      'integrationId',
    ])
  }
  return {
    adapter,
    api: client.api,
    close: () => {
      client.close()
      return Promise.resolve()
    },
  }
}
