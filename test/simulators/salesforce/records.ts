/** Records of a simulated Salesforce organization, made when they are asked for, with every field of their object. */
import type { Random } from '../../helpers/random.js'
import { type Place, Table } from '../common/table.js'
import type { Json, Row } from '../common/types.js'
import { company, nastyText, person } from '../common/words.js'
import { type Entity, isCompound, MERGEABLE } from './fields.js'

/** Small numbers, enough for more than one page of 5. */
export const SALESFORCE_COUNTS: Readonly<Record<string, number>> = {
  User: 4,
  Group: 2,
  Organization: 1,
  Account: 14,
  Contact: 44,
  Lead: 30,
  Opportunity: 20,
  Property__c: 18,
  Broker__c: 4,
  Task: 60,
  Event: 30,
  Note: 12,
  TaskStatus: 5,
}

const DAY = 86_400_000
const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** The id of 18 characters, in the order of the places. */
export function idOf(prefix: string, index: number): string {
  let text = ''
  for (let rest = index + 1, at = 0; at < 9; at++, rest = Math.floor(rest / 62)) {
    text = `${LETTERS[rest % 62]}${text}`
  }
  const short = `${prefix}5g0${text}`
  return short + checksum(short)
}

/** The three characters that make an id of 15 one of 18: which of its letters are capitals. */
export function checksum(short: string): string {
  return [0, 5, 10]
    .map((from) => {
      let bits = 0
      for (const [at, letter] of short
        .slice(from, from + 5)
        .split('')
        .entries()) {
        bits |= letter >= 'A' && letter <= 'Z' ? 1 << at : 0
      }
      return 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'[bits]
    })
    .join('')
}

/** The place of an id of 15 or 18 characters; null: it is none of this object. */
export function indexOf(prefix: string, id: string): number | null {
  if ((id.length !== 15 && id.length !== 18) || !id.startsWith(`${prefix}5g0`)) {
    return null
  }
  let index = 0
  for (const letter of id.slice(6, 15)) {
    index = index * 62 + LETTERS.indexOf(letter)
  }
  return idOf(prefix, index - 1).startsWith(id) ? index - 1 : null
}

/** Whole seconds, as all moments of the service. */
export const second = (at: number): number => Math.floor(at / 1000) * 1000
/** As JSON answers have it. */
export const momentText = (at: number): string => new Date(second(at)).toISOString().replace('Z', '+0000')
const dayText = (at: number): string => new Date(at).toISOString().slice(0, 10)

/** The contact of a person account, if the account of this place is one; null: it is a company. */
export function personContactOf(account: number, contacts: number): number | null {
  const contact = account % 6 === 5 ? ((account - 5) / 6) * 10 + 9 : contacts
  return contact < contacts ? contact : null
}

/** Of accounts, contacts and leads these two were made one before the start, if there are more than so many. */
export const MERGED = { lost: 6, kept: 7, least: 10 } as const

/** What a table is made from. */
export interface RecordOptions {
  readonly seed: number
  readonly counts: Readonly<Record<string, number>>
  readonly start: number
  readonly now: () => number
  readonly nasty: boolean
  readonly personAccounts: boolean
  /** Asked each time, as custom fields come and go. */
  readonly entity: (name: string) => Entity
}

/** All tables of an organization. */
export function salesforceTables(options: RecordOptions): ReadonlyMap<string, Table> {
  const { seed, start, now, nasty, entity } = options
  const many = { ...SALESFORCE_COUNTS, ...options.counts }
  const of = (object: string): number => many[object] ?? 0
  const id = (object: string, index: number): string => idOf(entity(object).prefix, index)
  const text = (index: number, plain: string, length = 32_000): string =>
    nasty && index % 5 === 2 ? nastyText(index).slice(0, length) : plain
  /** What leads to a record that was made one with another leads to that one. */
  const kept = (object: string, index: number): number =>
    index === MERGED.lost && MERGEABLE.has(object) && of(object) > MERGED.least ? MERGED.kept : index
  /** A reference to a record of the object; null for every `without`th. */
  const ref = (object: string, index: number, without: number): string | null =>
    of(object) === 0 || index % without === without - 1 ? null : id(object, kept(object, (index * 7 + 3) % of(object)))
  const owner = (index: number): string => id('User', index % Math.max(1, of('User')))
  const personContact = (account: number): number | null =>
    options.personAccounts ? personContactOf(account, of('Contact')) : null
  const companyOf = (index: number, without: number): string | null => {
    if (of('Account') === 0 || index % without === without - 1) {
      return null
    }
    const at = kept('Account', (index * 7 + 3) % of('Account'))
    return id('Account', at > 0 && personContact(at) !== null ? at - 1 : at)
  }
  /** Who an activity is with: contacts, leads, now and then a record that is not there. */
  const who = (index: number): string | null =>
    index % 17 === 11
      ? id('Contact', 900_000_000 + index)
      : index % 3 === 0
        ? ref('Lead', index, 9)
        : ref('Contact', index, 8)
  const what = (index: number): string | null =>
    index % 4 === 0
      ? ref('Property__c', index, 99)
      : index % 4 === 1
        ? companyOf(index, 99)
        : index % 4 === 2
          ? ref('Opportunity', index, 99)
          : null
  const people = (prefix: string, random: Random, index: number): Row => {
    const { street, city, region, postalCode, country } = person(random, index)
    return {
      [`${prefix}Street`]: index % 7 === 3 ? `${street}\r\nUnit ${index}` : street,
      [`${prefix}City`]: city,
      [`${prefix}State`]: region,
      [`${prefix}PostalCode`]: postalCode,
      [`${prefix}Country`]: country,
    }
  }
  const make: Readonly<Record<string, (place: Place, random: Random) => Row>> = {
    User: ({ index }, random) => {
      const { firstName, lastName } = person(random, index)
      return {
        Username: `agent${1 + index}@agency.example.org`,
        FirstName: firstName,
        LastName: lastName,
        Name: `${firstName} ${lastName}`,
        Email: `agent${1 + index}@agency.example`,
        IsActive: index % 4 !== 3,
        UserType: 'Standard',
        TimeZoneSidKey: 'Europe/Berlin',
      }
    },
    Group: ({ index }) => ({ Name: `Queue ${1 + index}`, DeveloperName: `Queue_${1 + index}`, Type: 'Queue' }),
    Organization: () => ({ Name: 'Simulated Agency', OrganizationType: 'Enterprise Edition', IsSandbox: false }),
    Account: (place, random) => {
      const { index } = place
      const contact = personContact(index)
      if (contact !== null) {
        const { firstName, lastName, email, phone } = person(random, index)
        return {
          IsPersonAccount: true,
          PersonContactId: id('Contact', contact),
          Name: `${firstName} ${lastName}${mark(place)}`,
          FirstName: firstName,
          LastName: `${lastName}${mark(place)}`,
          PersonEmail: email,
          PersonMobilePhone: phone,
          PersonBirthdate: dayText(Date.UTC(1960 + (index % 40), index % 12, 1 + (index % 28))),
          OwnerId: owner(index),
          ...people('PersonMailing', random, index),
        }
      }
      return {
        Name: company(random, index) + mark(place),
        Type: ['Prospect', 'Customer - Direct', null][index % 3] ?? null,
        ParentId: index % 9 === 8 ? id('Account', 0) : null,
        Phone: `+1 512 555 01${String(index % 100).padStart(2, '0')}`,
        Website: index % 2 === 0 ? `https://company${index}.example` : null,
        Industry: index % 3 === 0 ? 'Construction' : null,
        AnnualRevenue: index % 4 === 0 ? 1_000_000 + index : null,
        NumberOfEmployees: index % 5 === 0 ? 10 + index : null,
        Description: index % 4 === 2 ? text(index, 'A company.') : null,
        Rating: ['Hot', 'Warm', 'Cold', null][index % 4] ?? null,
        Tax_Number__c: index % 3 === 1 ? `T-${index}` : null,
        OwnerId: owner(index),
        ...people('Billing', random, index),
      }
    },
    Contact: (place, random) => {
      const { index } = place
      const { firstName, lastName, email, phone } = person(random, index)
      const account = index % 10 === 9 ? ((index - 9) / 10) * 6 + 5 : of('Account')
      const personal = options.personAccounts && account < of('Account')
      return {
        AccountId: personal ? id('Account', account) : companyOf(index, 5),
        IsPersonAccount: personal,
        Salutation: index % 4 === 0 ? 'Ms.' : null,
        FirstName: firstName,
        LastName: `${lastName}${mark(place)}`,
        Name: `${firstName} ${lastName}${mark(place)}`,
        Email: index % 9 === 8 ? null : email,
        Phone: index % 4 === 3 ? null : phone,
        MobilePhone: index % 6 === 1 ? phone.replace('512', '737') : null,
        Title: index % 2 === 0 ? 'Agent' : null,
        Department: index % 8 === 0 ? 'Sales' : null,
        LeadSource: ['Web', 'Partner Referral', null][index % 3] ?? null,
        Birthdate: index % 6 === 0 ? dayText(Date.UTC(1950 + (index % 50), index % 12, 1 + (index % 28))) : null,
        Description: index % 5 === 2 ? text(index, 'A note.') : null,
        HasOptedOutOfEmail: index % 11 === 6,
        DoNotCall: index % 13 === 6,
        Client_Type__c: ['Buyer', 'Buyer;Seller', null, 'Tenant'][index % 4] ?? null,
        Licence_Until__c: index % 7 === 2 ? dayText(start + index * DAY) : null,
        LastActivityDate: index % 3 === 0 ? dayText(start - index * DAY) : null,
        OwnerId: owner(index),
        ...people('Mailing', random, index),
      }
    },
    Lead: (place, random) => {
      const { index, updatedAt } = place
      const { firstName, lastName, email, phone, street, city, region, postalCode, country } = person(random, index)
      const converted = index % 9 === 4
      const status = ['Open - Not Contacted', 'Working - Contacted', 'Closed - Not Converted'][index % 3] ?? null
      return {
        FirstName: firstName,
        LastName: `${lastName}${mark(place)}`,
        Name: `${firstName} ${lastName}${mark(place)}`,
        Title: index % 3 === 0 ? 'Owner' : null,
        Company: company(random, index),
        Street: street,
        City: city,
        State: region,
        PostalCode: postalCode,
        Country: country,
        Latitude: index % 4 === 0 ? 30.25 + (index % 100) / 1000 : null,
        Longitude: index % 4 === 0 ? -97.75 : null,
        Phone: phone,
        Email: index % 7 === 6 ? null : `lead.${email}`,
        Description: index % 5 === 2 ? text(index, 'Wants a house.') : null,
        LeadSource: ['Web', 'Phone Inquiry', null][index % 3] ?? null,
        Status: converted ? 'Closed - Converted' : status,
        Rating: ['Hot', 'Warm', 'Cold', null][index % 4] ?? null,
        AnnualRevenue: index % 6 === 0 ? 90_000 + index : null,
        // Some belong to a queue.
        OwnerId: index % 8 === 7 && of('Group') > 0 ? id('Group', index % of('Group')) : owner(index),
        IsConverted: converted,
        ConvertedDate: converted ? dayText(updatedAt) : null,
        ConvertedAccountId: converted ? companyOf(index, 99) : null,
        ConvertedContactId: converted ? ref('Contact', index, 99) : null,
        ConvertedOpportunityId: converted && index % 2 === 0 ? ref('Opportunity', index, 99) : null,
        Lead_Type__c: ['Buyer', 'Seller', 'Renter', null][index % 4] ?? null,
        Budget_Max__c: index % 3 === 0 ? 400_000 + index * 10.5 : null,
        Interested_In__c: index % 2 === 0 ? ref('Property__c', index, 99) : null,
      }
    },
    Opportunity: (place) => {
      const { index, updatedAt } = place
      const stage = ['Prospecting', 'Qualification', 'Negotiation/Review', 'Closed Won', 'Closed Lost'][index % 5] ?? ''
      return {
        AccountId: companyOf(index, 4),
        ContactId: ref('Contact', index, 3),
        Name: text(index, `Opportunity ${1 + index}`, 100) + mark(place),
        Description: index % 3 === 1 ? text(index, 'An opportunity.') : null,
        StageName: stage,
        Amount: index % 6 === 5 ? null : 250_000 + index * 1250.5,
        Probability: (index % 5) * 25,
        CloseDate: dayText(start + ((index % 60) - 30) * DAY),
        Type: index % 2 === 0 ? 'New Customer' : null,
        LeadSource: index % 2 === 0 ? 'Web' : null,
        IsClosed: stage.startsWith('Closed'),
        IsWon: stage === 'Closed Won',
        LastStageChangeDate: momentText(updatedAt),
        FiscalQuarter: 1,
        FiscalYear: 2026,
        Fiscal: '2026 1',
        OwnerId: owner(index),
      }
    },
    Property__c: (place, random) => {
      const { index } = place
      const { street, city, region, postalCode } = person(random, index)
      const listed = start - (index % 200) * DAY
      const closed = index % 5 === 4
      return {
        Name: `House ${1 + index}${mark(place)}`,
        Address__c: street,
        City__c: city,
        State__c: region,
        Zip__c: postalCode,
        Price__c: index % 9 === 8 ? null : 300_000 + index * 1000,
        Price_Sold__c: closed ? 290_000 + index : null,
        Assessed_Value__c: index % 2 === 0 ? 280_000 : null,
        Beds__c: 1 + (index % 6),
        Baths__c: 1 + (index % 3),
        Status__c: ['Contracted', 'Pre Market', 'Available', 'Under Agreement', 'Closed'][index % 5] ?? null,
        Date_Listed__c: dayText(listed),
        Date_Closed__c: closed ? dayText(listed + 30 * DAY) : null,
        Days_On_Market__c: Math.floor((now() - Date.parse(dayText(listed))) / DAY),
        Description__c: index % 5 === 2 ? text(index, 'Nice.', 240) : null,
        Location__Latitude__s: index % 3 === 0 ? 42.35663 + index / 100_000 : null,
        Location__Longitude__s: index % 3 === 0 ? -71.11095 : null,
        Tags__c: index % 4 === 0 ? 'victorian, garden' : null,
        Picture__c: `https://pictures.example/${index}.jpg`,
        Broker__c: ref('Broker__c', index, 6),
        MLS_Number__c: index % 7 === 6 ? null : `MLS-${String(index).padStart(7, '0')}`,
        OwnerId: owner(index),
      }
    },
    Broker__c: (place, random) => {
      const { index } = place
      const { firstName, lastName, phone } = person(random, index)
      return {
        Name: `${firstName} ${lastName}${mark(place)}`,
        Broker_Id__c: 1 + index,
        Email__c: `broker${index}@agency.example`,
        Phone__c: phone,
        Title__c: 'Senior Broker',
        OwnerId: owner(index),
      }
    },
    Task: (place) => {
      const { index } = place
      const status = ['Not Started', 'In Progress', 'Completed', 'Waiting on someone else', 'Deferred'][index % 5] ?? ''
      const call = index % 3 === 1
      return {
        WhoId: who(index),
        WhatId: what(index),
        Subject: `${call ? 'Call' : 'Email'} ${1 + index}${mark(place)}`,
        ActivityDate: index % 7 === 6 ? null : dayText(start + ((index % 60) - 30) * DAY),
        Status: status,
        Priority: ['High', 'Normal', 'Low'][index % 3] ?? null,
        IsHighPriority: index % 3 === 0,
        OwnerId: owner(index),
        Description: index % 5 === 2 ? text(index, 'Ask.') : null,
        AccountId: companyOf(index, 3),
        IsClosed: status === 'Completed',
        IsArchived: archived(index),
        CallDurationInSeconds: call ? 60 + (index % 900) : null,
        CallType: call ? (index % 2 === 0 ? 'Inbound' : 'Outbound') : null,
        CallDisposition: call ? 'Left a message' : null,
        IsRecurrence: index % 29 === 28,
        TaskSubtype: call ? 'Call' : index % 3 === 2 ? 'Email' : 'Task',
      }
    },
    Event: (place) => {
      const { index } = place
      const from = second(start + ((index % 60) - 30) * DAY + (index % 8) * 3_600_000)
      const whole = index % 6 === 5
      return {
        WhoId: who(index),
        WhatId: what(index + 1),
        Subject: `Meeting ${1 + index}${mark(place)}`,
        Location: index % 3 === 0 ? 'Main Street 1' : null,
        IsAllDayEvent: whole,
        ActivityDateTime: whole ? null : momentText(from),
        ActivityDate: dayText(from),
        DurationInMinutes: whole ? 1440 : 75,
        StartDateTime: whole ? momentText(Date.parse(dayText(from))) : momentText(from),
        EndDateTime: whole ? momentText(Date.parse(dayText(from))) : momentText(from + 75 * 60_000),
        EndDate: dayText(from),
        Description: index % 5 === 2 ? text(index, 'Meet.') : null,
        AccountId: companyOf(index, 3),
        OwnerId: owner(index),
        IsArchived: archived(index),
        EventSubtype: 'Event',
        IsRecurrence: index % 29 === 28,
      }
    },
    Note: (place) => {
      const { index } = place
      return {
        ParentId: (index % 2 === 0 ? ref('Contact', index, 99) : ref('Property__c', index, 99)) ?? owner(index),
        Title: `Note ${1 + index}${mark(place)}`,
        Body: text(index, 'Text of the note.'),
        OwnerId: owner(index),
      }
    },
    TaskStatus: ({ index }) => {
      const name = entity('Task').fields.find((field) => field.name === 'Status')?.values[index] ?? 'Other'
      return {
        MasterLabel: name,
        ApiName: name,
        SortOrder: 1 + index,
        IsDefault: index === 0,
        IsClosed: name === 'Completed',
      }
    },
  }
  const tables = new Map(
    Object.entries(make).map(([object, maker]) => [
      object,
      new Table({
        seed,
        object,
        count: of(object),
        until: start,
        make: (place, random) =>
          complete(entity(object), place, {
            Id: id(object, place.index),
            IsDeleted: place.deletedAt !== null,
            MasterRecordId: place.mergedInto === null ? null : id(object, place.mergedInto),
            CreatedDate: momentText(place.createdAt),
            CreatedById: owner(place.index),
            LastModifiedDate: momentText(place.updatedAt),
            LastModifiedById: owner(place.index),
            SystemModstamp: momentText(place.updatedAt),
            ...maker(place, random),
          }),
        idOf: (index) => id(object, index),
        now,
      }),
    ]),
  )
  return tables
}

/** Only `queryAll` gives activities that were archived; which are, is old news. */
export function archived(index: number): boolean {
  return index % 13 === 5
}

/** What shows that a record was changed. */
function mark({ version }: Place): string {
  return version === 0 ? '' : ` (changed ${version})`
}

/** Every field that the object has now, null where nothing is said, compound ones made of their parts. */
function complete({ fields }: Entity, { index }: Place, values: Row): Row {
  const row: Record<string, Json> = {}
  for (const field of fields) {
    const { name } = field
    if (!isCompound(field)) {
      row[name] =
        values[name] ?? (field.type === 'boolean' ? false : name.startsWith('New_Field') ? `Text ${index}` : null)
      continue
    }
    if (field.type === 'location') {
      const base = name.replace(/__c$/, '')
      const latitude = values[`${base}__Latitude__s`] ?? null
      row[name] = latitude === null ? null : { latitude, longitude: values[`${base}__Longitude__s`] ?? null }
      continue
    }
    const prefix = name.replace(/Address$/, '')
    const part = (what: string): Json => values[`${prefix}${what}`] ?? null
    row[name] =
      part('Street') === null && part('City') === null
        ? null
        : {
            city: part('City'),
            country: part('Country'),
            geocodeAccuracy: null,
            latitude: part('Latitude'),
            longitude: part('Longitude'),
            postalCode: part('PostalCode'),
            state: part('State'),
            street: part('Street'),
          }
  }
  return row
}
