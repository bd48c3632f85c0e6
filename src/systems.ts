/** The CRMs that a tenant can move in from, as code, tables and source systems of records name them. */
export const crmSystems = ['salesforce', 'hubspot', 'pipedrive'] as const

export type CrmSystem = (typeof crmSystems)[number]

/** As people write them. */
export const systemNames: Readonly<Record<CrmSystem, string>> = {
  salesforce: 'Salesforce',
  hubspot: 'HubSpot',
  pipedrive: 'Pipedrive',
}
