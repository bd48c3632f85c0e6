import assert from 'node:assert/strict'
import { test } from 'node:test'
import { salesforce } from '../../../src/adapters/salesforce/index.js'
import type { ExtractRequest, VendorObject } from '../../../src/adapters/vendor.js'
import { recordTypes } from '../../../src/records/index.js'
import type { RecordTypeName } from '../../../src/records/types.js'
import { descriptionFile } from '../../simulators/common/schema.js'
import { object, records, ScriptedApi } from './scripted.js'

const { signal } = new AbortController()

/** What the adapter derives from one record, as JSON of Salesforce has it. */
async function derived(of: VendorObject, record: object): Promise<Readonly<Record<string, string | null>>> {
  const api = new ScriptedApi((_, text) => {
    if (text.includes('FROM User')) {
      return records([{ Id: '0055e000000AbCdAAK', Email: 'agent@agency.example' }])
    }
    if (text === 'GET sobjects') {
      return {
        json: {
          sobjects: [
            { name: 'Property__c', label: 'Property', keyPrefix: 'a0B', custom: true, queryable: true },
            { name: 'Invoice__c', label: 'Invoice', keyPrefix: 'a0C', custom: true, queryable: true },
          ],
        },
      }
    }
    return records([{ Id: '00T5e0000000001AAA', ...record }])
  })
  const request: ExtractRequest = {
    object: { ...of, recordCount: 1 },
    fields: of.fields.map(({ name }) => name),
    state: null,
    window: { since: null, until: '2026-03-02T09:00:00.000000Z' },
    ids: null,
    filter: null,
    signal,
  }
  for await (const { rows } of salesforce.extract(api, request)) {
    for (const row of rows) {
      return row.derived
    }
  }
  throw new Error('no row')
}

const PERSON = '0035e000000AbCdAAK'
const LEAD = '00Q5e000000AbCdAAK'
const ACCOUNT = '0015e000000AbCdAAK'
const DEAL = '0065e000000AbCdAAK'
const HOME = 'a0B5e000000AbCdAAK'

test('links of tasks name the object by the id, the person before what else it is about', async () => {
  const task = object(
    'Task',
    'Id WhoId:REFERENCE WhatId:REFERENCE Status IsClosed:BOOLEAN OwnerId portage.property:REFERENCE:Property__c',
  )
  const links = async (who: string | null, what: string | null) => {
    const { contact, lead, property, other } = await derived(task, { WhoId: who, WhatId: what, Status: 'Completed' })
    return [contact, lead, property, other]
  }
  assert.deepEqual(await links(PERSON, HOME), [`Contact/${PERSON}`, null, `Property__c/${HOME}`, null])
  assert.deepEqual(await links(LEAD, ACCOUNT), [`Account/${ACCOUNT}`, `Lead/${LEAD}`, null, null])
  assert.deepEqual(await links(PERSON, ACCOUNT), [`Contact/${PERSON}`, null, null, `Account/${ACCOUNT}`])
  assert.deepEqual(await links(null, DEAL), [null, `Opportunity/${DEAL}`, null, null])
  assert.deepEqual(await links(null, 'a0C5e000000AbCdAAK'), [null, null, null, 'Invoice__c/a0C5e000000AbCdAAK'])
  assert.deepEqual(await links(null, 'zzz5e000000AbCdAAK'), [null, null, null, 'Unknown/zzz5e000000AbCdAAK'])
  assert.deepEqual(await links(null, null), [null, null, null, null])
  const household = object('Task', 'Id WhatId:REFERENCE AccountId:REFERENCE Account.PersonContactId')
  const { contact } = await derived(household, {
    WhatId: ACCOUNT,
    AccountId: ACCOUNT,
    Account: { PersonContactId: PERSON },
  })
  assert.equal(contact, `Contact/${PERSON}`, 'a person account')
  const owned = await derived(task, { OwnerId: '0055e000000AbCd' })
  assert.equal(owned.ownerEmail, 'agent@agency.example', 'an owner with a short id')
  assert.equal((await derived(task, { OwnerId: '00G5e000000AbCdAAK' })).ownerEmail, null, 'a queue')
})

test('converted leads, person accounts and opportunities say who they are', async () => {
  const lead = object('Lead', 'Id Status IsConverted:BOOLEAN ConvertedContactId')
  assert.deepEqual(await derived(lead, { Status: 'Closed', IsConverted: true, ConvertedContactId: PERSON }), {
    status: 'CONVERTED',
    contact: `Contact/${PERSON}`,
  })
  assert.deepEqual(await derived(lead, { Status: 'Open', IsConverted: false, ConvertedContactId: PERSON }), {
    status: 'Open',
    contact: null,
  })
  const contact = object('Contact', 'Id AccountId IsPersonAccount:BOOLEAN')
  assert.deepEqual(await derived(contact, { AccountId: ACCOUNT, IsPersonAccount: true }), { organization: null })
  const deal = object(
    'Opportunity',
    'Id Name AccountId ContactId IsWon:BOOLEAN IsClosed:BOOLEAN Account.PersonContactId',
  )
  const who = async (record: object) => {
    const { status, contact } = await derived(deal, record)
    return [status, contact]
  }
  assert.equal((await derived(deal, { Name: 'Elm House' })).displayName, 'Elm House')
  assert.equal((await derived(deal, { Name: 'Elm House', AccountId: ACCOUNT })).displayName, null)
  assert.deepEqual(await who({ AccountId: ACCOUNT, IsWon: true, IsClosed: true }), ['CONVERTED', `Account/${ACCOUNT}`])
  assert.deepEqual(await who({ AccountId: ACCOUNT, ContactId: PERSON, IsClosed: true }), ['LOST', `Contact/${PERSON}`])
  assert.deepEqual(await who({ AccountId: ACCOUNT, Account: { PersonContactId: PERSON } }), [
    'QUALIFIED',
    `Contact/${PERSON}`,
  ])
})

test('events that last all day are days and not moments', async () => {
  const event = object(
    'Event',
    'Id IsAllDayEvent:BOOLEAN ActivityDate:DATE StartDateTime:DATE_TIME EndDateTime:DATE_TIME',
  )
  const times = async (record: object) => {
    const { status, startAt, endAt, dueOn } = await derived(event, record)
    return [status, startAt, endAt, dueOn]
  }
  const moments = { StartDateTime: '2026-03-01T08:00:00.000+0000', EndDateTime: '2026-03-01T09:00:00.000+0000' }
  assert.deepEqual(await times({ IsAllDayEvent: false, ActivityDate: '2026-03-01', ...moments }), [
    'COMPLETED',
    '2026-03-01T08:00:00.000Z',
    '2026-03-01T09:00:00.000Z',
    null,
  ])
  assert.deepEqual(await times({ IsAllDayEvent: true, ActivityDate: '2026-04-01' }), [
    'PLANNED',
    null,
    null,
    '2026-04-01',
  ])
})

test('properties of custom objects are understood by the names of their fields', () => {
  const property = object(
    'pb__Rental_Listing__c',
    'Id Name Address__c City__c Zip__c Location__Latitude__s:DECIMAL Price__c:MONEY pb__List_Price__c:MONEY Beds__c:DECIMAL Baths__c:DECIMAL Status__c:ENUM Days_On_Market__c:DECIMAL Broker__c',
  )
  const calculated = {
    ...property,
    fields: property.fields.map((field) => ({ ...field, calculated: field.name.startsWith('Days') })),
  }
  const places = Object.fromEntries(
    (salesforce.mapping(calculated, 'property') ?? []).map((entry) => [entry.column, entry.field]),
  )
  assert.deepEqual(places, {
    Id: 'externalId',
    Name: 'name',
    Address__c: 'addressLine1',
    City__c: 'city',
    Zip__c: 'postalCode',
    Location__Latitude__s: 'latitude',
    Price__c: 'listPrice',
    pb__List_Price__c: null,
    Beds__c: 'bedroomsTotal',
    Baths__c: 'bathroomsTotal',
    Status__c: 'standardStatus',
    Days_On_Market__c: null,
  })
  assert.equal(salesforce.mapping(object('Invoice__c', 'Id'), 'property'), null)
  assert.equal(salesforce.mapping(object('Contact', 'Id'), 'lead'), null)
})

test('every place is a field that the record type has, once, with a reason', () => {
  const wide: Readonly<Record<string, readonly [RecordTypeName, string]>> = {
    Contact: [
      'contact',
      'Id FirstName LastName Name Email:EMAIL AccountId MailingStreet portage.organization portage.ownerEmail',
    ],
    Account: ['contact', 'Id Name BillingStreet Phone Website'],
    Lead: ['lead', 'Id Name Street Status Rating portage.status portage.contact ConvertedDate:DATE'],
    Opportunity: [
      'lead',
      'Id Name StageName CloseDate:DATE portage.status portage.contact portage.displayName portage.property Amount:MONEY',
    ],
    Task: [
      'activity',
      'Id Subject Priority TaskSubtype ActivityDate:DATE portage.status portage.contact portage.lead portage.property',
    ],
    Event: [
      'activity',
      'Id Subject Location DurationInMinutes:INTEGER portage.status portage.startAt portage.endAt portage.dueOn',
    ],
  }
  for (const [name, [type, fields]] of Object.entries(wide)) {
    check(object(name, fields), type)
  }
  const event = salesforce.mapping(object('Event', 'Id'), 'activity')
  assert.deepEqual(event?.at(-1), { ...event?.at(-1), column: null, field: 'type', constant: 'MEETING' })
})

/** Fields exist, none is given twice, values of maps are options. */
function check(of: VendorObject, type: RecordTypeName): void {
  const entries = salesforce.mapping(of, type) ?? []
  assert.ok(entries.length > 0, of.name)
  const definition = recordTypes[type]
  const taken = new Set<string>()
  for (const { column, field, valueMap, reasons } of entries) {
    assert.ok(reasons.length > 0, `${of.name}.${column}`)
    if (field === null) {
      continue
    }
    assert.ok(!taken.has(field), `${of.name}: ${field} twice`)
    taken.add(field)
    const [plain, key] = field.split('.')
    const found = definition.fields.find(({ name }) => name === plain)
    assert.ok(found !== undefined, `${of.name}.${column}: no field ${field}`)
    assert.ok(key === undefined || found.reference?.keys.includes(key) === true, field)
    for (const { to } of valueMap) {
      assert.ok(found.options?.includes(to) === true, `${field}: ${to}`)
    }
  }
}

test('every native field of recorded descriptions has a place, or a reason to have none', {
  skip: descriptionFile('salesforce-describe.json') === null,
}, () => {
  interface Recorded {
    readonly fields: readonly { readonly name: string; readonly type: string; readonly custom?: boolean }[]
  }
  const file = JSON.parse(descriptionFile('salesforce-describe.json') ?? '{}') as {
    readonly recorded: Readonly<Record<string, Recorded>>
    readonly derived: Readonly<Record<string, Recorded>>
  }
  const types: Readonly<Record<string, RecordTypeName>> = {
    Account: 'contact',
    Contact: 'contact',
    Lead: 'lead',
    Opportunity: 'lead',
    Task: 'activity',
    Event: 'activity',
    Property__c: 'property',
  }
  for (const [name, type] of Object.entries(types)) {
    const fields = (file.recorded[name] ?? file.derived[name])?.fields ?? []
    const read = fields.filter((field) => !['address', 'location'].includes(field.type))
    const of = object(name, read.map((field) => field.name).join(' '))
    check(of, type)
    const known = new Set(salesforce.mapping(of, type)?.map(({ column }) => column))
    const missing = read.filter((field) => !known.has(field.name) && !/__[cs]$/.test(field.name))
    assert.deepEqual(
      missing.map((field) => field.name),
      [],
      name,
    )
    if (name === 'Property__c') {
      const placed = salesforce.mapping(of, type)?.filter(({ field }) => field !== null).length ?? 0
      assert.ok(placed >= 20, `${placed} fields of DreamHouse's property have a place`)
    }
  }
})
