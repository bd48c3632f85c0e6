/** Kinds of records of a HubSpot account, their properties, and how a record is made. */
import type { Random } from '../../helpers/random.js'
import type { Place } from '../common/table.js'
import { company, nastyText, person } from '../common/words.js'

/** All values of HubSpot are texts or null. */
export type Properties = { readonly [name: string]: string | null }

export interface Property {
  readonly name: string
  readonly label: string
  readonly type:
    | 'string'
    | 'number'
    | 'date'
    | 'datetime'
    | 'enumeration'
    | 'bool'
    | 'phone_number'
    | 'object_coordinates'
  readonly fieldType: string
  /** Value and label; empty for what is no enumeration. */
  readonly options: readonly (readonly [string, string])[]
  readonly custom: boolean
  readonly calculated: boolean
  readonly unique: boolean
}

export interface Kind {
  /** As paths name it. */
  readonly name: string
  readonly typeId: string
  readonly singular: string
  readonly label: string
  /** What stands in an answer that asks for nothing in particular. */
  readonly usual: readonly string[]
  /** Name of the property with the time of the last change. */
  readonly modified: string
  readonly created: string
  /** Added to the place to give the id, which grows by `ID_STEP`. */
  readonly firstId: number
  readonly scope: string
  readonly properties: readonly Property[]
  readonly make: (place: Place, random: Random, around: Around) => Properties
}

/** What records are made with. */
export interface Around {
  readonly nasty: boolean
  readonly owners: number
}

/** Ids have gaps, as real ones do. */
export const ID_STEP = 3

function property(
  name: string,
  label: string,
  type: Property['type'] = 'string',
  more: Partial<Omit<Property, 'name' | 'label' | 'type'>> = {},
): Property {
  const fieldTypes: Readonly<Record<Property['type'], string>> = {
    string: 'text',
    number: 'number',
    date: 'date',
    datetime: 'date',
    enumeration: 'select',
    bool: 'booleancheckbox',
    phone_number: 'phonenumber',
    object_coordinates: 'text',
  }
  return {
    name,
    label,
    type,
    fieldType: fieldTypes[type],
    options: [],
    custom: false,
    calculated: false,
    unique: false,
    ...more,
  }
}

const same = (...values: readonly string[]) => values.map((value) => [value, value] as const)

/** A record's own: who has it, when it was made and changed, its id. */
function common(created: string, modified: string): readonly Property[] {
  return [
    property('hs_object_id', 'Record ID', 'number', { unique: true }),
    property(created, 'Create Date', 'datetime'),
    property(modified, 'Last Modified Date', 'datetime'),
    property('hubspot_owner_id', 'Owner', 'enumeration'),
    property('hs_merged_object_ids', 'Merged record IDs', 'enumeration', { fieldType: 'checkbox' }),
    property('hs_object_source_label', 'Record source', 'string', { calculated: true }),
  ]
}

const iso = (at: number) => new Date(at).toISOString()
const day = (at: number) => new Date(at).toISOString().slice(0, 10)
const HOUR = 3_600_000
const DAY = 24 * HOUR

function ownerOf(place: Place, random: Random, { owners }: Around): string | null {
  return random.chance(0.1) ? null : String(9_001 + ((place.index + place.version) % owners))
}

/** Every hundredth record holds a text that is hard to carry. */
function text(place: Place, plain: string, { nasty }: Around): string {
  return nasty && place.index % 100 === 37 ? nastyText(Math.floor(place.index / 100)) : plain
}

export const LEAD_STATUS = [
  ['NEW', 'New'],
  ['OPEN', 'Open'],
  ['IN_PROGRESS', 'In Progress'],
  ['OPEN_DEAL', 'Open Deal'],
  ['UNQUALIFIED', 'Unqualified'],
  ['ATTEMPTED_TO_CONTACT', 'Attempted to Contact'],
  ['CONNECTED', 'Connected'],
  ['BAD_TIMING', 'Bad Timing'],
] as const

const LIFECYCLE = ['subscriber', 'lead', 'marketingqualifiedlead', 'opportunity', 'customer'] as const
const AREAS = [
  ['north', 'North side'],
  ['lake', 'Lake; west shore'],
  ['old_town', 'Old town'],
] as const
const SOURCES = ['ORGANIC_SEARCH', 'PAID_SEARCH', 'REFERRALS', 'OFFLINE', 'DIRECT_TRAFFIC'] as const
export const LISTING_TYPES = ['house', 'townhouse', 'apartments', 'condo', 'land'] as const
const DISPOSITIONS = [
  ['9d9162e7-6cf3-4944-bf63-4dff82258764', 'Busy'],
  ['f240bbac-87c9-4f6e-bf70-924b57d47db7', 'Connected'],
  ['73a0d17f-1163-4015-bdd5-ec830791da20', 'No answer'],
] as const

function contact(place: Place, random: Random, around: Around): Properties {
  const who = person(random, place.index)
  const made: Properties = {
    firstname: random.chance(0.03) ? null : who.firstName,
    lastname: random.chance(0.03) ? null : who.lastName,
    // An empty text is a value that somebody cleared.
    email: random.chance(0.02) ? '' : who.email,
    hs_additional_emails: random.chance(0.1)
      ? `second.${place.index}@example.org;third.${place.index}@example.org`
      : null,
    salutation: random.chance(0.2) ? random.pick(['Mr.', 'Ms.', 'Dr.']) : null,
    phone: who.phone,
    mobilephone: random.chance(0.3) ? `(512) 555-01${String((place.index + 7) % 100).padStart(2, '0')}` : null,
    fax: null,
    company: random.chance(0.3) ? company(random, place.index % 50) : null,
    jobtitle: place.version === 0 ? random.pick(['Agent', 'Broker', 'Investor', '']) : `Title ${place.version}`,
    address: text(place, who.street, around),
    city: who.city,
    state: who.region,
    zip: who.postalCode,
    country: who.country,
    website: random.chance(0.1) ? `https://example.com/${place.index}` : null,
    date_of_birth: random.chance(0.2) ? '1980-04-17' : null,
    lifecyclestage: random.pick(LIFECYCLE),
    hs_lead_status: random.chance(0.4) ? null : (LEAD_STATUS[(place.index + place.version) % 8]?.[0] ?? null),
    hs_analytics_source: random.pick(SOURCES),
    hs_analytics_source_data_1: random.chance(0.3) ? 'spring campaign' : null,
    hs_email_optout: random.chance(0.05) ? 'true' : random.chance(0.5) ? 'false' : null,
    hs_calculated_phone_number: who.phone.replaceAll(' ', ''),
    budget_max: random.chance(0.5) ? String(100_000 + random.below(900) * 1000) : null,
    preferred_areas: random.chance(0.4) ? random.pick(['north', 'north;lake', 'lake;old_town']) : null,
    move_in_date: random.chance(0.3) ? day(place.createdAt + 90 * DAY) : null,
    pre_approved: random.chance(0.5) ? random.pick(['true', 'false']) : null,
  }
  // Who called or chatted has no name, until somebody writes it down.
  return isNameless(place, around)
    ? {
        ...made,
        firstname: ' ',
        lastname: null,
        email: '',
        company: null,
        ...(place.index % 40 === 11 ? NUMBERLESS : {}),
      }
    : made
}

const NUMBERLESS = { phone: null, mobilephone: null, hs_calculated_phone_number: null }

function isNameless(place: Place, { nasty }: Around): boolean {
  return nasty && place.index % 20 === 11 && place.version === 0
}

function engagement(place: Place, random: Random, around: Around): Properties {
  return {
    hs_timestamp: iso(place.createdAt + random.below(48) * HOUR),
    hubspot_owner_id: ownerOf(place, random, around),
  }
}

function kind(
  name: string,
  typeId: string,
  singular: string,
  label: string,
  usual: readonly string[],
  properties: readonly Property[],
  make: Kind['make'],
  more: { readonly created?: string; readonly modified?: string; readonly scope?: string } = {},
): Kind {
  const created = more.created ?? 'hs_createdate'
  const modified = more.modified ?? 'hs_lastmodifieddate'
  const number = Number(typeId.slice(2))
  return {
    name,
    typeId,
    singular,
    label,
    usual: [...usual, created, modified, 'hs_object_id'],
    modified,
    created,
    firstId: 100_000_001 + number * 10_000_000,
    scope: more.scope ?? `crm.objects.${name}.read`,
    properties: [...properties, ...common(created, modified)],
    make,
  }
}

export const KINDS: readonly Kind[] = [
  kind(
    'companies',
    '0-2',
    'company',
    'Companies',
    ['name', 'domain'],
    [
      property('name', 'Company name'),
      property('domain', 'Company Domain Name'),
      property('phone', 'Phone Number', 'phone_number'),
      property('website', 'Website URL'),
      property('address', 'Street Address'),
      property('city', 'City'),
      property('state', 'State/Region'),
      property('zip', 'Postal Code'),
      property('country', 'Country/Region'),
      property('industry', 'Industry', 'enumeration', { options: same('REAL_ESTATE', 'BANKING', 'CONSTRUCTION') }),
      property('description', 'Description', 'string', { fieldType: 'textarea' }),
      property('numberofemployees', 'Number of Employees', 'number'),
      property('licence_number', 'Licence number', 'string', { custom: true }),
    ],
    (place, random, around) => {
      const where = person(random, place.index)
      return {
        name: isNameless(place, around) ? null : company(random, place.index),
        domain: `company-${place.index}.example.com`,
        phone: where.phone,
        website: `https://company-${place.index}.example.com`,
        address: where.street,
        city: where.city,
        state: where.region,
        zip: where.postalCode,
        country: where.country,
        industry: random.pick(['REAL_ESTATE', 'BANKING', 'CONSTRUCTION', null]),
        description: text(place, `Office ${place.index}, version ${place.version}`, around),
        numberofemployees: random.chance(0.5) ? String(1 + random.below(400)) : null,
        licence_number: random.chance(0.5) ? `L-${10_000 + place.index}` : null,
        hubspot_owner_id: ownerOf(place, random, around),
      }
    },
    { created: 'createdate' },
  ),
  kind(
    'contacts',
    '0-1',
    'contact',
    'Contacts',
    ['email', 'firstname', 'lastname'],
    [
      property('firstname', 'First Name'),
      property('lastname', 'Last Name'),
      property('email', 'Email', 'string', { unique: true }),
      property('hs_additional_emails', 'Additional email addresses', 'enumeration', { fieldType: 'checkbox' }),
      property('salutation', 'Salutation'),
      property('phone', 'Phone Number', 'phone_number'),
      property('mobilephone', 'Mobile Phone Number', 'phone_number'),
      property('fax', 'Fax Number'),
      property('company', 'Company Name'),
      property('jobtitle', 'Job Title'),
      property('address', 'Street Address'),
      property('city', 'City'),
      property('state', 'State/Region'),
      property('zip', 'Postal Code'),
      property('country', 'Country/Region'),
      property('website', 'Website URL'),
      property('date_of_birth', 'Date of birth'),
      property('lifecyclestage', 'Lifecycle Stage', 'enumeration', { fieldType: 'radio', options: same(...LIFECYCLE) }),
      property('hs_lead_status', 'Lead Status', 'enumeration', { fieldType: 'radio', options: LEAD_STATUS }),
      property('hs_analytics_source', 'Original Source', 'enumeration', { options: same(...SOURCES) }),
      property('hs_analytics_source_data_1', 'Original Source Drill-Down 1'),
      property('hs_email_optout', 'Unsubscribed from all email', 'bool'),
      property('hs_calculated_phone_number', 'Calculated Phone Number', 'string', { calculated: true }),
      property('budget_max', 'Budget (max)', 'number', { custom: true }),
      property('preferred_areas', 'Preferred areas', 'enumeration', {
        custom: true,
        fieldType: 'checkbox',
        options: AREAS,
      }),
      property('move_in_date', 'Move-in date', 'date', { custom: true }),
      property('pre_approved', 'Pre-approved', 'bool', { custom: true }),
    ],
    (place, random, around) => ({
      ...contact(place, random, around),
      hubspot_owner_id: ownerOf(place, random, around),
    }),
    { created: 'createdate', modified: 'lastmodifieddate' },
  ),
  kind(
    '0-420',
    '0-420',
    'listing',
    'Listings',
    ['hs_name'],
    [
      property('hs_name', 'Name'),
      property('hs_address_1', 'Address 1'),
      property('hs_address_2', 'Address 2'),
      property('hs_city', 'City'),
      property('hs_state_province', 'State / Province'),
      property('hs_zip', 'Zip'),
      property('hs_neighborhood', 'Neighborhood'),
      property('hs_listing_type', 'Listing type', 'enumeration', { options: same(...LISTING_TYPES) }),
      property('hs_price', 'Price', 'number'),
      property('hs_bedrooms', 'Bedrooms', 'number'),
      property('hs_bathrooms', 'Bathrooms', 'number'),
      property('hs_square_footage', 'Square footage', 'number'),
      property('hs_lot_size', 'Lot size', 'number'),
      property('hs_year_built', 'Year built', 'number'),
      property('hs_pipeline', 'Pipeline', 'enumeration'),
      property('hs_pipeline_stage', 'Pipeline stage', 'enumeration'),
      property('mls_number', 'MLS number', 'string', { custom: true, unique: true }),
      property('list_date', 'List date', 'date', { custom: true }),
      property('parcel_id', 'Parcel ID', 'string', { custom: true }),
    ],
    (place, random, around) => {
      const where = person(random, place.index)
      return {
        hs_name: `${where.street}, ${where.city}`,
        hs_address_1: where.street,
        hs_address_2: random.chance(0.2) ? `Unit ${1 + random.below(40)}` : null,
        hs_city: where.city,
        hs_state_province: where.region,
        hs_zip: where.postalCode,
        hs_neighborhood: text(place, random.pick(['Riverside', 'Old Town', 'Hill Country']), around),
        hs_listing_type: random.pick(LISTING_TYPES),
        hs_price: String(150_000 + random.below(800) * 1000 + place.version * 500),
        hs_bedrooms: String(1 + random.below(6)),
        hs_bathrooms: random.pick(['1', '1.5', '2', '2.5', '3']),
        hs_square_footage: String(500 + random.below(3000)),
        hs_lot_size: random.chance(0.5) ? String(1000 + random.below(9000)) : null,
        hs_year_built: random.chance(0.8) ? String(1900 + random.below(125)) : null,
        hs_pipeline: '0-420-default',
        hs_pipeline_stage: ['listing-pre', 'listing-active', 'listing-pending', 'listing-sold'][
          (place.index + place.version) % 4
        ] as string,
        mls_number: `MLS${200_000 + place.index}`,
        list_date: day(place.createdAt),
        parcel_id: random.chance(0.5) ? `0${place.index}-00-0${random.below(9)}` : null,
        hubspot_owner_id: ownerOf(place, random, around),
      }
    },
    { scope: 'crm.objects.listings.read' },
  ),
  kind(
    'leads',
    '0-136',
    'lead',
    'Leads',
    ['hs_lead_name'],
    [
      property('hs_lead_name', 'Lead Name'),
      property('hs_lead_type', 'Lead Type', 'enumeration', {
        options: same('NEW_BUSINESS', 'UPSELL', 'RE_ATTEMPTING'),
      }),
      property('hs_lead_label', 'Lead Label', 'enumeration', { options: same('HOT', 'WARM', 'COLD') }),
      property('hs_lead_disqualification_reason', 'Disqualification reason', 'enumeration'),
      property('hs_pipeline', 'Lead pipeline', 'enumeration'),
      property('hs_pipeline_stage', 'Lead stage', 'enumeration'),
      property('wanted_bedrooms', 'Wanted bedrooms', 'number', { custom: true }),
    ],
    (place, random, around) => ({
      hs_lead_name: text(place, `Lead ${place.index}`, around),
      hs_lead_type: random.pick(['NEW_BUSINESS', 'UPSELL', 'RE_ATTEMPTING']),
      hs_lead_label: random.pick(['HOT', 'WARM', 'COLD', null]),
      hs_lead_disqualification_reason: random.chance(0.1) ? 'BUDGET' : null,
      hs_pipeline: 'lead-pipeline-id',
      hs_pipeline_stage: ['new-stage-id', 'attempting-stage-id', 'connected-stage-id', 'qualified-stage-id'][
        (place.index + place.version) % 4
      ] as string,
      wanted_bedrooms: random.chance(0.5) ? String(1 + random.below(5)) : null,
      hubspot_owner_id: ownerOf(place, random, around),
    }),
  ),
  kind(
    'deals',
    '0-3',
    'deal',
    'Deals',
    ['amount', 'closedate', 'dealname', 'dealstage', 'pipeline'],
    [
      property('dealname', 'Deal Name'),
      property('amount', 'Amount', 'number'),
      property('deal_currency_code', 'Currency', 'enumeration', { options: same('USD', 'EUR', 'CHF') }),
      property('closedate', 'Close Date', 'datetime'),
      property('pipeline', 'Pipeline', 'enumeration'),
      property('dealstage', 'Deal Stage', 'enumeration'),
      property('closed_lost_reason', 'Closed Lost Reason', 'string', { fieldType: 'textarea' }),
      property('description', 'Deal Description', 'string', { fieldType: 'textarea' }),
      property('commission', 'Commission', 'number', { custom: true }),
    ],
    (place, random, around) => ({
      dealname: `Deal ${place.index}`,
      amount: random.chance(0.9) ? String(50_000 + random.below(900) * 1000 + place.version) : null,
      deal_currency_code: random.pick(['USD', 'EUR', 'CHF']),
      closedate: random.chance(0.7) ? iso(place.createdAt + 60 * DAY) : null,
      pipeline: 'default',
      dealstage: ['appointmentscheduled', 'contractsent', 'closedwon', 'closedlost'][
        (place.index + place.version) % 4
      ] as string,
      closed_lost_reason: (place.index + place.version) % 4 === 3 ? 'Bought elsewhere' : null,
      description: text(place, `Sale of a house, version ${place.version}`, around),
      commission: random.chance(0.5) ? (random.below(60_000) / 10).toFixed(1) : null,
      hubspot_owner_id: ownerOf(place, random, around),
    }),
    { created: 'createdate' },
  ),
  kind(
    'calls',
    '0-48',
    'call',
    'Calls',
    [],
    [
      property('hs_timestamp', 'Activity date', 'datetime'),
      property('hs_call_title', 'Call Title'),
      property('hs_call_body', 'Call notes', 'string', { fieldType: 'html' }),
      property('hs_call_direction', 'Call direction', 'enumeration', { options: same('INBOUND', 'OUTBOUND') }),
      property('hs_call_disposition', 'Call outcome', 'enumeration', { options: DISPOSITIONS }),
      property('hs_call_duration', 'Call duration', 'number'),
      property('hs_call_status', 'Call status', 'enumeration', { options: same('COMPLETED', 'NO_ANSWER', 'BUSY') }),
    ],
    (place, random, around) => ({
      ...engagement(place, random, around),
      hs_call_title: `Call ${place.index}`,
      hs_call_body: text(place, `<p>Talked about the house. Version ${place.version}</p>`, around),
      hs_call_direction: random.pick(['INBOUND', 'OUTBOUND']),
      hs_call_disposition: random.pick(DISPOSITIONS)[0],
      hs_call_duration: random.chance(0.9) ? String(random.below(1800) * 1000) : null,
      hs_call_status: random.pick(['COMPLETED', 'NO_ANSWER', 'BUSY']),
    }),
    { scope: 'crm.objects.contacts.read' },
  ),
  kind(
    'emails',
    '0-49',
    'email',
    'Emails',
    [],
    [
      property('hs_timestamp', 'Activity date', 'datetime'),
      property('hs_email_subject', 'Email subject'),
      property('hs_email_text', 'Text body', 'string', { fieldType: 'textarea' }),
      property('hs_email_html', 'Email body', 'string', { fieldType: 'html' }),
      property('hs_email_direction', 'Email direction', 'enumeration', {
        options: same('EMAIL', 'INCOMING_EMAIL', 'FORWARDED_EMAIL'),
      }),
      property('hs_email_status', 'Email send status', 'enumeration', { options: same('SENT', 'BOUNCED', 'FAILED') }),
    ],
    (place, random, around) => ({
      ...engagement(place, random, around),
      hs_email_subject: `About listing ${place.index}`,
      hs_email_text: text(place, `Hello,\r\nthe viewing is on Friday. ${place.version}`, around),
      hs_email_html: `<p>Hello,<br>the viewing is on Friday. ${place.version}</p>`,
      hs_email_direction: random.pick(['EMAIL', 'INCOMING_EMAIL', 'FORWARDED_EMAIL']),
      hs_email_status: random.pick(['SENT', 'BOUNCED', 'FAILED']),
    }),
    { scope: 'sales-email-read' },
  ),
  kind(
    'meetings',
    '0-47',
    'meeting',
    'Meetings',
    [],
    [
      property('hs_timestamp', 'Activity date', 'datetime'),
      property('hs_meeting_title', 'Meeting name'),
      property('hs_meeting_body', 'Meeting description', 'string', { fieldType: 'html' }),
      property('hs_meeting_start_time', 'Meeting start time', 'datetime'),
      property('hs_meeting_end_time', 'Meeting end time', 'datetime'),
      property('hs_meeting_outcome', 'Meeting outcome', 'enumeration', {
        options: same('SCHEDULED', 'COMPLETED', 'RESCHEDULED', 'NO_SHOW', 'CANCELED'),
      }),
      property('hs_meeting_location', 'Meeting location'),
    ],
    (place, random, around) => {
      const start = place.createdAt + 72 * HOUR
      return {
        ...engagement(place, random, around),
        hs_meeting_title: `Viewing ${place.index}`,
        hs_meeting_body: text(place, `<p>Bring the keys. ${place.version}</p>`, around),
        hs_meeting_start_time: iso(start),
        hs_meeting_end_time: iso(start + HOUR),
        hs_meeting_outcome: random.pick(['SCHEDULED', 'COMPLETED', 'RESCHEDULED', 'NO_SHOW', 'CANCELED', null]),
        hs_meeting_location: random.chance(0.5) ? '12 Elm Avenue' : null,
      }
    },
    { scope: 'crm.objects.contacts.read' },
  ),
  kind(
    'notes',
    '0-46',
    'note',
    'Notes',
    [],
    [
      property('hs_timestamp', 'Activity date', 'datetime'),
      property('hs_note_body', 'Note body', 'string', { fieldType: 'html' }),
    ],
    (place, random, around) => ({
      ...engagement(place, random, around),
      hs_note_body: text(place, `<div>Likes the garden.<br/>Version ${place.version}</div>`, around),
    }),
    { scope: 'crm.objects.contacts.read' },
  ),
  kind(
    'tasks',
    '0-27',
    'task',
    'Tasks',
    [],
    [
      property('hs_timestamp', 'Due date', 'datetime'),
      property('hs_task_subject', 'Task Title'),
      property('hs_task_body', 'Task Notes', 'string', { fieldType: 'html' }),
      property('hs_task_status', 'Task Status', 'enumeration', {
        options: same('NOT_STARTED', 'IN_PROGRESS', 'COMPLETED', 'WAITING', 'DEFERRED'),
      }),
      property('hs_task_priority', 'Priority', 'enumeration', { options: same('HIGH', 'MEDIUM', 'LOW', 'NONE') }),
      property('hs_task_type', 'Task Type', 'enumeration', { options: same('TODO', 'CALL', 'EMAIL') }),
      property('hs_task_completion_date', 'Completed at', 'datetime'),
    ],
    (place, random, around) => {
      const status = random.pick(['NOT_STARTED', 'IN_PROGRESS', 'COMPLETED', 'WAITING', 'DEFERRED'] as const)
      return {
        ...engagement(place, random, around),
        hs_task_subject: `Task ${place.index}`,
        hs_task_body: text(place, `<p>Ask for the deed. ${place.version}</p>`, around),
        hs_task_status: status,
        hs_task_priority: random.pick(['HIGH', 'MEDIUM', 'LOW', 'NONE', null]),
        hs_task_type: random.pick(['TODO', 'CALL', 'EMAIL']),
        hs_task_completion_date: status === 'COMPLETED' ? iso(place.updatedAt) : null,
      }
    },
    { scope: 'crm.objects.contacts.read' },
  ),
  kind(
    'showings',
    '2-7001',
    'showing',
    'Showings',
    ['showing_name'],
    [
      property('showing_name', 'Showing name', 'string', { custom: true }),
      property('showing_time', 'Showing time', 'datetime', { custom: true }),
      property('feedback', 'Feedback', 'string', { custom: true, fieldType: 'textarea' }),
    ],
    (place, random, around) => ({
      showing_name: `Showing ${place.index}`,
      showing_time: iso(place.createdAt + 30 * HOUR),
      feedback: text(place, random.pick(['Liked it', 'Too small', '']), around),
      hubspot_owner_id: ownerOf(place, random, around),
    }),
    { scope: 'crm.objects.custom.read' },
  ),
]

/** The account's number. */
export const HUB_ID = 7_654_321

/** The kind by its plural, singular or type id; null: there is none. */
export function kindOf(name: string): Kind | null {
  return (
    KINDS.find((known) => known.name === name || known.typeId === name || known.singular === name) ??
    KINDS.find((known) => aliases(known).includes(name)) ??
    null
  )
}

function aliases({ name, typeId }: Kind): readonly string[] {
  return typeId === '0-420' ? ['listings'] : typeId.startsWith('2-') ? [`p${HUB_ID}_${name}`] : []
}

/** One way in which records of one kind belong to records of another. */
export interface Relation {
  readonly from: string
  readonly to: string
  /** Place of the target is the place plus this, around the end. */
  readonly offset: number
  /** Only every so many-th record has it. */
  readonly every: number
  readonly typeId: number
  readonly label: string | null
}

const ACTIVITIES = ['calls', 'emails', 'meetings', 'notes', 'tasks'] as const

/** All ways there are, from the side that has few; the other direction is found by counting backwards. */
export const RELATIONS: readonly Relation[] = [
  { from: 'contacts', to: 'companies', offset: 0, every: 2, typeId: 1, label: 'Primary' },
  { from: 'contacts', to: 'companies', offset: 0, every: 2, typeId: 279, label: null },
  { from: 'contacts', to: 'companies', offset: 1, every: 10, typeId: 279, label: null },
  { from: 'leads', to: 'contacts', offset: 0, every: 1, typeId: 578, label: 'Primary' },
  { from: 'leads', to: 'companies', offset: 0, every: 3, typeId: 580, label: null },
  { from: 'leads', to: '0-420', offset: 0, every: 4, typeId: 900, label: null },
  { from: 'deals', to: 'contacts', offset: 0, every: 1, typeId: 3, label: null },
  { from: 'deals', to: 'contacts', offset: 5, every: 4, typeId: 3, label: null },
  { from: 'deals', to: 'companies', offset: 0, every: 2, typeId: 5, label: 'Primary' },
  { from: 'deals', to: '0-420', offset: 0, every: 2, typeId: 901, label: null },
  { from: 'showings', to: 'contacts', offset: 0, every: 1, typeId: 31, label: 'Visitor' },
  { from: 'showings', to: '0-420', offset: 0, every: 1, typeId: 33, label: null },
  { from: '0-420', to: 'contacts', offset: 0, every: 2, typeId: 884, label: 'Owner' },
  ...ACTIVITIES.flatMap((from, index): Relation[] => [
    { from, to: 'contacts', offset: index, every: 1, typeId: 190 + index, label: null },
    { from, to: 'contacts', offset: 11 + index, every: 5, typeId: 190 + index, label: null },
    { from, to: 'companies', offset: 0, every: 6, typeId: 180 + index, label: null },
    { from, to: 'deals', offset: 0, every: 8, typeId: 210 + index, label: null },
    { from, to: 'leads', offset: 0, every: 9, typeId: 590 + index, label: null },
    { from, to: '0-420', offset: 0, every: 12, typeId: 920 + index, label: null },
  ]),
]

/** Ids of association types of the other direction. */
export const BACKWARDS = 1000
