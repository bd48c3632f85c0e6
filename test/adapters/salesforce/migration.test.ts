import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { salesforceAdapter } from '../../../src/adapters/salesforce/index.js'
import { withTenant } from '../../../src/db/tx.js'
import { newId } from '../../../src/ids.js'
import type { RecordTypeName } from '../../../src/records/types.js'
import { defaultImportOptions } from '../../../src/runs/imports.js'
import { askOfMigration, createMigration } from '../../../src/runs/migrations.js'
import type { MigrationRunRow } from '../../../src/runs/types.js'
import { freshDatabase, type TestDatabase } from '../../helpers/database.js'
import { Engine } from '../../helpers/engine.js'
import { records, refused, type Scripted, ScriptedApi } from './scripted.js'

let db: TestDatabase

before(async () => {
  db = await freshDatabase()
})
after(() => db.drop())

const OWNER = '0055e000000AbCdAAK'
const ACME = '0015e000000AbCdAAK'
const HOUSEHOLD = '0015e000000PeRsAAK'
const ADA = '0035e000000AbCdAAK'
const ZOE = '0035e000000PeRsAAK'
const HOME = 'a0B5e000000AbCdAAK'
const OPEN = '00Q5e000000AbCdAAK'
const WON = '00Q5e000000CoNvAAK'
const DEAL = '0065e000000AbCdAAK'
const SERIES = '00U5e000000SeRiAAK'

const stamps = {
  OwnerId: OWNER,
  IsDeleted: false,
  CreatedDate: '2024-05-06T07:08:09.000+0000',
  SystemModstamp: '2026-02-01T10:00:00.000+0000',
}

/** An organisation, record by record as JSON has them. */
const ORG: Readonly<Record<string, readonly (Readonly<Record<string, unknown>> & { readonly Id: string })[]>> = {
  Account: [
    {
      ...stamps,
      Id: ACME,
      Name: 'Acme Homes',
      Type: 'Customer',
      BillingStreet: '1 Main St\r\nSuite 4',
      BillingCity: 'Austin',
      BillingCountry: 'United States',
      Phone: '+1 512 555 0100',
      Website: 'https://acme.example',
      NumberOfEmployees: 12,
      IsPersonAccount: false,
      PersonContactId: null,
    },
    { ...stamps, Id: HOUSEHOLD, Name: 'Zoë Müller', IsPersonAccount: true, PersonContactId: ZOE },
  ],
  Contact: [
    {
      ...stamps,
      Id: ADA,
      Salutation: 'Dr.',
      FirstName: 'Ada',
      LastName: 'Okafor',
      Name: 'Ada Okafor',
      Email: 'Ada@Example.com',
      Birthdate: '1980-12-31',
      MailingStreet: '2 Elm',
      MailingPostalCode: '02108',
      AccountId: ACME,
      HasOptedOutOfEmail: true,
      IsPersonAccount: false,
    },
    {
      ...stamps,
      Id: ZOE,
      FirstName: 'Zoë',
      LastName: 'Müller',
      Name: 'Zoë Müller',
      AccountId: HOUSEHOLD,
      HasOptedOutOfEmail: false,
      IsPersonAccount: true,
    },
  ],
  Property__c: [
    {
      ...stamps,
      Id: HOME,
      Name: 'Elm House',
      Address__c: '18 Elm Avenue',
      City__c: 'Boston',
      Zip__c: '02108',
      Location__Latitude__s: 42.358,
      Location__Longitude__s: -71.06,
      Price__c: 975000,
      Beds__c: 4,
      Baths__c: 2.5,
      Status__c: 'Under Agreement',
      Date_Listed__c: '2026-01-15',
      Days_On_Market__c: 46,
    },
  ],
  Lead: [
    {
      ...stamps,
      Id: OPEN,
      FirstName: 'José',
      LastName: 'García',
      Name: 'José García',
      Company: 'Ninguna',
      Status: 'Working - Contacted',
      Rating: 'Hot',
      IsConverted: false,
      ConvertedDate: null,
      ConvertedContactId: null,
    },
    {
      ...stamps,
      Id: WON,
      FirstName: 'Ada',
      LastName: 'Okafor',
      Name: 'Ada Okafor',
      Company: 'Acme Homes',
      Status: 'Closed - Converted',
      Rating: null,
      IsConverted: true,
      ConvertedDate: '2025-03-04',
      ConvertedContactId: ADA,
    },
  ],
  Opportunity: [
    {
      ...stamps,
      Id: DEAL,
      Name: 'Elm House for Zoë',
      StageName: 'Negotiation',
      CloseDate: '2026-06-30',
      Amount: 975000.5,
      IsClosed: false,
      IsWon: false,
      AccountId: HOUSEHOLD,
      ContactId: null,
      Account: { PersonContactId: ZOE },
      Home__c: HOME,
    },
  ],
  Task: [
    {
      ...stamps,
      Id: '00T5e000000AbCdAAK',
      Subject: 'Call Ada',
      Status: 'Held',
      IsClosed: true,
      Priority: 'High',
      TaskSubtype: 'Call',
      ActivityDate: '2026-02-28',
      CallType: 'Outbound',
      CallDurationInSeconds: 90,
      WhoId: ADA,
      WhatId: HOME,
      IsArchived: true,
      IsRecurrence: false,
    },
    {
      ...stamps,
      Id: '00T5e000000PlAnAAK',
      Subject: 'Ask José',
      Status: 'Not Started',
      IsClosed: false,
      Priority: 'Normal',
      TaskSubtype: null,
      ActivityDate: '2026-03-28',
      WhoId: OPEN,
      WhatId: ACME,
      IsArchived: false,
      IsRecurrence: false,
    },
  ],
  Event: [
    {
      ...stamps,
      Id: '00U5e000000AbCdAAK',
      Subject: 'Viewing',
      StartDateTime: '2026-02-20T15:00:00.000+0000',
      EndDateTime: '2026-02-20T15:45:00.000+0000',
      DurationInMinutes: 45,
      IsAllDayEvent: false,
      ActivityDate: '2026-02-20',
      WhoId: null,
      WhatId: DEAL,
      IsArchived: false,
      IsRecurrence: false,
    },
    { ...stamps, Id: SERIES, Subject: 'Every Monday', IsArchived: false, IsRecurrence: true, WhoId: ADA },
  ],
}

const TYPES: Readonly<Record<string, readonly string[]>> = {
  boolean: [
    'IsDeleted',
    'IsPersonAccount',
    'HasOptedOutOfEmail',
    'IsConverted',
    'IsClosed',
    'IsWon',
    'IsArchived',
    'IsRecurrence',
    'IsAllDayEvent',
  ],
  datetime: ['CreatedDate', 'SystemModstamp', 'StartDateTime', 'EndDateTime'],
  date: ['Birthdate', 'ConvertedDate', 'CloseDate', 'ActivityDate', 'Date_Listed__c'],
  double: ['Location__Latitude__s', 'Location__Longitude__s', 'Beds__c', 'Baths__c', 'Days_On_Market__c'],
  currency: ['Price__c', 'Amount'],
  int: ['NumberOfEmployees', 'DurationInMinutes', 'CallDurationInSeconds'],
  picklist: ['Status', 'Rating', 'StageName', 'Status__c', 'Priority', 'TaskSubtype', 'CallType', 'Type'],
  textarea: ['BillingStreet', 'MailingStreet'],
}

const REFERENCES: Readonly<Record<string, readonly string[]>> = {
  OwnerId: ['Group', 'User'],
  AccountId: ['Account'],
  PersonContactId: ['Contact'],
  ContactId: ['Contact'],
  ConvertedContactId: ['Contact'],
  WhoId: ['Contact', 'Lead'],
  WhatId: ['Account', 'Opportunity', 'Property__c'],
  Home__c: ['Property__c'],
}

function describe(name: string): object {
  const fields = new Set((ORG[name] ?? []).flatMap((row) => Object.keys(row)))
  fields.delete('Account')
  return {
    name,
    label: name.replace('__c', ''),
    custom: name.endsWith('__c'),
    queryable: true,
    fields: [...fields].map((field) => ({
      name: field,
      label: field,
      type:
        REFERENCES[field] === undefined
          ? (Object.keys(TYPES).find((type) => TYPES[type]?.includes(field)) ?? 'string')
          : 'reference',
      custom: /__[cs]$/.test(field),
      calculated: field === 'Days_On_Market__c',
      referenceTo: REFERENCES[field] ?? [],
      picklistValues: [],
    })),
  }
}

/** Answers what the adapter asks: little enough for REST alone. */
function answer(request: { readonly query?: unknown; readonly json?: unknown }, text: string): Scripted {
  if (text === 'GET sobjects') {
    const prefixes: Readonly<Record<string, string>> = { Property__c: 'a0B' }
    return {
      json: {
        sobjects: Object.keys(ORG).map((name) => ({
          name,
          label: name.replace('__c', ''),
          custom: name.endsWith('__c'),
          queryable: true,
          keyPrefix: prefixes[name] ?? null,
        })),
      },
    }
  }
  if (text.startsWith('POST composite/batch')) {
    const { batchRequests } = request.json as { batchRequests: readonly { url: string }[] }
    return {
      json: {
        results: batchRequests.map(({ url }) => ({ statusCode: 200, result: describe(url.split('/')[2] ?? '') })),
      },
    }
  }
  if (text.startsWith('GET limits/recordCount')) {
    throw refused(404, 'NOT_FOUND')
  }
  if (text === 'GET limits') {
    return { json: {} }
  }
  const soql = String((request.query as { q?: string } | undefined)?.q)
  const [, fields = '', object = '', where = ''] =
    /^SELECT (.+) FROM (\w+)(?: WHERE (.*?))?(?: LIMIT 1)?$/.exec(soql) ?? []
  if (object === 'Organization') {
    return records([{ Id: '00D5g00000XXXXXEAQ', Name: 'Acme' }])
  }
  if (object === 'User') {
    return records([{ Id: OWNER, Email: 'agent@agency.example' }])
  }
  const wanted = [...where.matchAll(/'(\w+)'/g)].map(([, id]) => id)
  const rows = (ORG[object] ?? []).filter(
    (row) =>
      !(where.includes('IsPersonAccount = false') && row.IsPersonAccount === true) &&
      !(where.includes('IsRecurrence = false') && row.IsRecurrence === true) &&
      !where.includes('IsDeleted = true') &&
      (wanted.length === 0 || wanted.includes(row.Id)),
  )
  const names = fields.split(', ')
  const picked = rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).filter(([name]) => names.some((field) => field === name || field.startsWith(`${name}.`))),
    ),
  )
  return fields === 'COUNT()' ? records([], { totalSize: rows.length }) : records(picked)
}

async function rest(engine: Engine, tenant: string, id: string): Promise<MigrationRunRow> {
  for (let turn = 0; turn < 100; turn++) {
    const due = await engine.rows<{ run_id: string }>(
      'select run_id from run_wakeup where tenant_id = $1 order by run_id <> $2',
      [tenant, id],
    )
    for (const { run_id } of due) {
      await engine.step(tenant, run_id)
    }
    const run = await engine.run(tenant, id)
    if (run.kind === 'MIGRATION' && !['QUEUED', 'RUNNING'].includes(run.status)) {
      return run
    }
  }
  throw new Error('the migration does not rest')
}

test('an organisation is discovered, staged, promoted and proven with the mapping of the adapter alone', async () => {
  const api = new ScriptedApi(answer)
  const adapter = salesforceAdapter(() => Promise.resolve())
  const engine = await Engine.start(db, {
    openVendor: () => Promise.resolve({ adapter, api, close: () => Promise.resolve() }),
  })
  try {
    const tenant = await engine.tenant()
    const integrationId = newId()
    await engine.oracle.query(
      `insert into integration (tenant_id, id, system, status, login_origin, account, api_origin, access_token, connected_at, created_by)
       values ($1, $2, 'salesforce', 'CONNECTED', 'https://login.salesforce.com', '00D5g00000XXXXX', 'https://acme.my.salesforce.com', 'x', now(), 'test')`,
      [tenant, integrationId],
    )
    const types: Readonly<Record<string, RecordTypeName>> = {
      Account: 'contact',
      Contact: 'contact',
      Property__c: 'property',
      Lead: 'lead',
      Opportunity: 'lead',
      Task: 'activity',
      Event: 'activity',
    }
    const id = await engine.context.control.use((lane) =>
      withTenant(lane, tenant, (tx) =>
        createMigration(tx, {
          actor: 'test',
          integrationId,
          options: { ...defaultImportOptions, onMissingRelation: 'KEEP_PENDING' },
          objects: Object.entries(types).map(([object, recordType]) => ({
            object,
            recordType,
            mapping: null,
            sampleSize: null,
            filter: null,
          })),
        }),
      ),
    )
    const ask = async (goal: 'STAGE' | 'PROMOTE' | 'DELTA') => {
      await engine.context.control.use((lane) => withTenant(lane, tenant, (tx) => askOfMigration(tx, id, goal)))
      return rest(engine, tenant, id)
    }
    assert.equal((await rest(engine, tenant, id)).stage, 'AWAITING_MAPPING')
    const staged = await ask('STAGE')
    assert.equal(
      staged.stage,
      'AWAITING_REVIEW',
      JSON.stringify([staged.statusReason, await conflicts(engine, tenant)]),
    )
    const promoted = await ask('PROMOTE')
    const failed = promoted.verification?.checks.filter(({ passed }) => !passed)
    assert.equal(
      promoted.status,
      'COMPLETED',
      JSON.stringify([promoted.statusReason, failed, await issues(engine, tenant)]),
    )
    assert.equal(promoted.counts.created, 10)

    const contacts = await engine.rows(
      `select c.external_id, c.kind, c.first_name, c.company_name, c.email, c.address_line1, c.postal_code, c.birth_date::text, c.email_opt_out,
         o.external_id as organization, c.source_system
       from contact c left join contact o on o.tenant_id = c.tenant_id and o.id = c.organization_id
       where c.tenant_id = $1 order by c.external_id`,
      [tenant],
    )
    const base = 'salesforce/00D5g00000XXXXX'
    assert.deepEqual(contacts, [
      {
        external_id: ACME,
        kind: 'ORGANIZATION',
        first_name: null,
        company_name: 'Acme Homes',
        email: null,
        address_line1: '1 Main St, Suite 4',
        postal_code: null,
        birth_date: null,
        email_opt_out: false,
        organization: null,
        source_system: `${base}/Account`,
      },
      {
        external_id: ADA,
        kind: 'PERSON',
        first_name: 'Ada',
        company_name: null,
        email: 'ada@example.com',
        address_line1: '2 Elm',
        postal_code: '02108',
        birth_date: '1980-12-31',
        email_opt_out: true,
        organization: ACME,
        source_system: `${base}/Contact`,
      },
      {
        external_id: ZOE,
        kind: 'PERSON',
        first_name: 'Zoë',
        company_name: null,
        email: null,
        address_line1: null,
        postal_code: null,
        birth_date: null,
        email_opt_out: false,
        organization: null,
        source_system: `${base}/Contact`,
      },
    ])
    const properties = await engine.rows(
      `select name, address_line1, postal_code, latitude::text, longitude::text, list_price::text, bedrooms_total, bathrooms_total::text,
         standard_status, listing_contract_date::text, days_on_market
       from property where tenant_id = $1`,
      [tenant],
    )
    assert.deepEqual(properties, [
      {
        name: 'Elm House',
        address_line1: '18 Elm Avenue',
        postal_code: '02108',
        latitude: '42.35800000',
        longitude: '-71.06000000',
        list_price: '975000.00',
        bedrooms_total: 4,
        bathrooms_total: '2.50',
        standard_status: 'ACTIVE_UNDER_CONTRACT',
        listing_contract_date: '2026-01-15',
        days_on_market: null,
      },
    ])
    const leads = await engine.rows(
      `select l.external_id, l.title, l.status, l.rating, l.source_detail, l.expected_close_date::text, l.converted_at::date::text as converted,
         c.external_id as contact, p.external_id as property
       from lead l left join contact c on c.tenant_id = l.tenant_id and c.id = l.contact_id
         left join property p on p.tenant_id = l.tenant_id and p.id = l.property_id
       where l.tenant_id = $1 order by l.external_id`,
      [tenant],
    )
    assert.deepEqual(
      leads.map((row) => Object.values(row as object)),
      [
        [DEAL, 'Elm House for Zoë', 'QUALIFIED', null, 'Negotiation', '2026-06-30', null, ZOE, HOME],
        [OPEN, 'José García, Ninguna', 'CONTACTED', 'HOT', null, null, null, null, null],
        [WON, 'Ada Okafor, Acme Homes', 'CONVERTED', null, null, null, '2025-03-04', ADA, null],
      ],
    )
    const activities = await engine.rows(
      `select a.type, a.subject, a.status, a.priority, a.direction, a.duration_seconds, a.due_on::text, a.start_at at time zone 'UTC' is not null as timed,
         c.external_id as contact, l.external_id as lead, p.external_id as property
       from activity a left join contact c on c.tenant_id = a.tenant_id and c.id = a.contact_id
         left join lead l on l.tenant_id = a.tenant_id and l.id = a.lead_id
         left join property p on p.tenant_id = a.tenant_id and p.id = a.property_id
       where a.tenant_id = $1 order by a.subject`,
      [tenant],
    )
    assert.deepEqual(
      activities.map((row) => Object.values(row as object)),
      [
        ['TASK', 'Ask José', 'PLANNED', 'NORMAL', null, null, '2026-03-28', false, ACME, OPEN, null],
        ['CALL', 'Call Ada', 'COMPLETED', 'HIGH', 'OUTBOUND', 90, '2026-02-28', false, ADA, null, HOME],
        ['MEETING', 'Viewing', 'COMPLETED', null, null, 2700, null, true, null, DEAL, null],
      ],
    )
    const again = await ask('DELTA')
    assert.equal(again.status, 'COMPLETED', JSON.stringify(again.statusReason))
    assert.equal(again.counts.created, 10, 'nothing came twice')
  } finally {
    await engine.close()
  }
})

function conflicts(engine: Engine, tenant: string): Promise<unknown[]> {
  return engine.rows('select id, status, status_reason, mapping_conflicts from run where tenant_id = $1', [tenant])
}

function issues(engine: Engine, tenant: string): Promise<unknown[]> {
  return engine.rows('select * from run_issue where tenant_id = $1 limit 10', [tenant])
}
