/**
 * HubSpot's kinds of records, and where each of their own properties goes here. Columns are as in the file of rows: what HubSpot
 * says under `properties.`, what `derive.ts` makes of it and of associations under `portage.`.
 */
import type { FieldKind, RecordTypeName } from '../../records/types.js'

/** Where a column goes: a field (with its key where it is a reference), or another one for each record type; null: nowhere. */
export type Place = string | Readonly<Partial<Record<RecordTypeName, string>>> | null

/** A column that HubSpot made, or that is derived. */
export interface Column {
  readonly name: string
  readonly to: Place
  /** Why it goes nowhere, or what is to be known of where it goes; '' where that is plain. */
  readonly why: string
  readonly values: readonly (readonly [from: string, to: string])[]
  /** HTML, of which the text is taken. */
  readonly html: boolean
}

/** A column that is derived. */
export interface DerivedColumn extends Column {
  readonly label: string
  readonly kind: FieldKind
  /** Objects that it can name; of these the account has some. `properties` stands for all that are like one. */
  readonly references: readonly string[]
}

export interface HubspotKind {
  readonly name: string
  readonly label: string
  readonly recordType: RecordTypeName | null
  /** Name of the property with the time of the last change. */
  readonly modified: string
  /** Its stages have names and meanings that are read apart. */
  readonly pipelines: boolean
  /** Fields that every record of it gets here. */
  readonly constants: readonly (readonly [field: string, value: string])[]
  readonly columns: readonly Column[]
  readonly derived: readonly DerivedColumn[]
}

/** HubSpot's name of the object of listings. */
export const LISTINGS = '0-420'

/** HubSpot's name of the object of leads in an address; its own id is `0-136`. */
export const LEADS = 'leads'

/** Stands for the objects that are like properties in `references`. */
export const PROPERTIES = 'properties'

const none = { why: '', values: [], html: false } as const

function column(name: string, to: Place, more: Partial<Omit<Column, 'name' | 'to'>> = {}): Column {
  return { ...none, name: `properties.${name}`, to, ...more }
}

function unplaced(why: string, ...names: readonly string[]): readonly Column[] {
  return names.map((name) => column(name, null, { why }))
}

function derived(
  name: string,
  label: string,
  kind: FieldKind,
  to: Place,
  more: Partial<Omit<DerivedColumn, 'name' | 'label' | 'kind' | 'to'>> = {},
): DerivedColumn {
  return { ...none, references: [], name: `portage.${name}`, label, kind, to, ...more }
}

const NO_FIELD = 'Nothing here means the same: give it a custom field to keep it.'
const SYSTEM = 'HubSpot keeps it for itself.'
const apart = (columns: string): string => `It is read apart (${columns}).`

/** What is said of properties that HubSpot made and that are not named here. */
export const OTHER_NATIVE = 'HubSpot’s own, and nothing here means the same: give it a custom field to keep it.'

const common: readonly Column[] = [
  { ...none, name: 'id', to: 'externalId' },
  { ...none, name: 'createdAt', to: 'sourceCreatedAt' },
  { ...none, name: 'updatedAt', to: 'sourceUpdatedAt' },
  ...unplaced('It is the id.', 'hs_object_id'),
  ...unplaced('It is createdAt.', 'hs_createdate'),
  ...unplaced('It is updatedAt.', 'hs_lastmodifieddate', 'lastmodifieddate'),
  ...unplaced(apart('portage.ownerEmail'), 'hubspot_owner_id'),
  ...unplaced(SYSTEM, 'hs_merged_object_ids', 'hs_object_source_label', 'hs_object_source', 'hs_all_owner_ids'),
]

const owner = derived('ownerEmail', 'Owner’s e-mail', 'EMAIL', 'ownerEmail', { why: 'Owners are matched by e-mail.' })

const further = derived('furtherLinks', 'Further associations', 'TEXT', null, {
  why: 'A record has one of each kind here: give the others a custom field to keep them.',
})

const address: readonly Column[] = [
  column('address', 'addressLine1'),
  column('address2', 'addressLine2'),
  column('city', 'city'),
  column('state', 'stateOrProvince'),
  column('zip', 'postalCode'),
  column('country', 'country'),
]

/** `hs_lead_status` of contacts: the stages of a lead. */
export const LEAD_STATES = [
  ['NEW', 'NEW'],
  ['OPEN', 'OPEN'],
  ['IN_PROGRESS', 'CONTACTED'],
  ['OPEN_DEAL', 'QUALIFIED'],
  ['UNQUALIFIED', 'UNQUALIFIED'],
  ['ATTEMPTED_TO_CONTACT', 'ATTEMPTED'],
  ['CONNECTED', 'CONTACTED'],
  ['BAD_TIMING', 'NURTURING'],
] as const

/** What stages become that are told by `portage.status`. */
const STAGE_STATES = ['NEW', 'OPEN', 'ATTEMPTED', 'CONTACTED', 'QUALIFIED', 'UNQUALIFIED', 'CONVERTED', 'LOST'].map(
  (state) => [state, state] as const,
)

/** What the stages of listings become. */
export const LISTING_STATES = [
  'ACTIVE',
  'ACTIVE_UNDER_CONTRACT',
  'CANCELED',
  'CLOSED',
  'COMING_SOON',
  'EXPIRED',
  'HOLD',
  'INCOMPLETE',
  'PENDING',
  'WITHDRAWN',
] as const

const stages = (to: string, values: DerivedColumn['values']): readonly DerivedColumn[] => [
  derived('status', 'Status by stage', 'ENUM', to, {
    values,
    why: 'What the stage of its pipeline means; a stage of the account’s own keeps its name until it is mapped.',
  }),
  derived('stage', 'Stage', 'TEXT', null, { why: 'The status says what it means: give it a custom field to keep it.' }),
  derived('pipeline', 'Pipeline', 'TEXT', null, { why: NO_FIELD }),
]

const who = derived('contact', 'Contact or company', 'REFERENCE', 'contact.externalId', {
  references: ['contacts', 'companies'],
  why: 'The first contact; the company where there is none.',
})

const whichProperty = derived('property', 'Property', 'REFERENCE', 'property.externalId', {
  references: [PROPERTIES],
})

const called = derived('displayName', 'Name', 'TEXT', 'displayName', {
  why: 'Of who has none: company, e-mail, domain, website or number, or else the id.',
})

function activity(
  name: string,
  label: string,
  constants: HubspotKind['constants'],
  columns: readonly Column[],
  more: readonly DerivedColumn[] = [],
): HubspotKind {
  return {
    name,
    label,
    recordType: 'activity',
    modified: 'hs_lastmodifieddate',
    pipelines: false,
    constants,
    columns: [...common, ...columns],
    derived: [
      ...more,
      who,
      derived('lead', 'Lead or deal', 'REFERENCE', 'lead.externalId', { references: [LEADS, 'deals'] }),
      whichProperty,
      further,
      owner,
    ],
  }
}

/** In the order in which they are best loaded. */
export const KINDS: readonly HubspotKind[] = [
  {
    name: 'companies',
    label: 'Companies',
    recordType: 'contact',
    modified: 'hs_lastmodifieddate',
    pipelines: false,
    constants: [['kind', 'ORGANIZATION']],
    columns: [
      ...common,
      column('name', 'companyName', { why: 'A company is a contact of kind ORGANIZATION.' }),
      column('phone', 'phone'),
      column('website', 'website'),
      ...address,
      column('industry', 'industry'),
      column('description', 'notes'),
      column('linkedin_company_page', 'linkedinUrl'),
      column('hs_analytics_source', 'source'),
      ...unplaced('The website says it.', 'domain'),
      ...unplaced('createdAt says it.', 'createdate'),
      ...unplaced(NO_FIELD, 'numberofemployees', 'annualrevenue', 'type', 'founded_year', 'timezone', 'about_us'),
      ...unplaced(NO_FIELD, 'lifecyclestage', 'hs_lead_status', 'is_public', 'total_money_raised'),
    ],
    derived: [called, owner],
  },
  {
    name: 'contacts',
    label: 'Contacts',
    recordType: 'contact',
    modified: 'lastmodifieddate',
    pipelines: false,
    constants: [['kind', 'PERSON']],
    columns: [
      ...common,
      column('salutation', 'namePrefix'),
      column('firstname', 'firstName'),
      column('lastname', 'lastName'),
      column('email', 'email'),
      column('phone', 'phone'),
      column('mobilephone', 'mobilePhone'),
      column('fax', 'fax'),
      column('company', 'companyName'),
      column('jobtitle', 'jobTitle'),
      column('industry', 'industry'),
      ...address,
      column('website', 'website'),
      column('gender', 'gender'),
      column('hs_language', 'language'),
      column('hs_linkedin_url', 'linkedinUrl'),
      column('message', { contact: 'notes', lead: 'description' }),
      column('hs_analytics_source', 'source'),
      column('hs_analytics_source_data_1', { lead: 'sourceDetail' }, { why: 'A contact has no detail of its source.' }),
      column('hs_email_optout', 'emailOptOut', { why: 'Never taken back by an import.' }),
      column(
        'hs_lead_status',
        { lead: 'status' },
        { values: LEAD_STATES, why: 'It is the state of a lead: import contacts as leads to use it.' },
      ),
      column('createdate', { lead: 'receivedAt' }, { why: 'createdAt says it.' }),
      ...unplaced('It is the state of a lead, not of a contact.', 'lifecyclestage'),
      ...unplaced(apart('portage.secondaryEmail and furtherEmails'), 'hs_additional_emails'),
      ...unplaced(apart('portage.birthDate'), 'date_of_birth'),
      ...unplaced(
        'It is the phone in another form.',
        'hs_calculated_phone_number',
        'hs_searchable_calculated_phone_number',
      ),
      ...unplaced('portage.organization leads to the company.', 'associatedcompanyid'),
      ...unplaced(NO_FIELD, 'marital_status', 'school', 'degree', 'twitterhandle', 'numemployees', 'annualrevenue'),
    ],
    derived: [
      derived(
        'organization',
        'Company as a record',
        'REFERENCE',
        { contact: 'organization.externalId' },
        {
          references: ['companies'],
          why: 'The primary company.',
        },
      ),
      derived('secondaryEmail', 'Second e-mail', 'EMAIL', { contact: 'secondaryEmail' }),
      derived('furtherEmails', 'Further e-mails', 'TEXT', null, {
        why: 'Two e-mails have a field of their own: give the others a custom field to keep them.',
      }),
      derived(
        'birthDate',
        'Birthday',
        'DATE',
        { contact: 'birthDate' },
        {
          why: 'HubSpot keeps it as text: taken where it is written year, month, day.',
        },
      ),
      called,
      further,
      owner,
    ],
  },
  {
    name: LISTINGS,
    label: 'Listings',
    recordType: 'property',
    modified: 'hs_lastmodifieddate',
    pipelines: true,
    constants: [['livingAreaUnits', 'SQFT']],
    columns: [
      ...common,
      column('hs_name', 'name'),
      column('hs_address_1', 'addressLine1'),
      column('hs_address_2', 'addressLine2'),
      column('hs_city', 'city'),
      column('hs_state_province', 'stateOrProvince'),
      column('hs_zip', 'postalCode'),
      column('hs_neighborhood', 'subdivisionName'),
      column('hs_listing_type', 'propertyType'),
      column('hs_price', 'listPrice'),
      column('hs_bedrooms', 'bedroomsTotal'),
      column('hs_bathrooms', 'bathroomsTotal'),
      column('hs_square_footage', 'livingArea', { why: 'HubSpot means square feet.' }),
      column('hs_lot_size', 'lotSizeArea', { why: 'HubSpot does not say in which unit.' }),
      column('hs_year_built', 'yearBuilt'),
      ...unplaced(apart('portage.status'), 'hs_pipeline_stage'),
      ...unplaced(apart('portage.pipeline'), 'hs_pipeline'),
    ],
    derived: [
      ...stages(
        'standardStatus',
        LISTING_STATES.map((state) => [state, state] as const),
      ),
      derived('currency', 'Currency of the account', 'TEXT', 'currency'),
      derived('ownerContact', 'Contact or company', 'REFERENCE', 'ownerContact.externalId', {
        references: ['contacts', 'companies'],
        why: 'HubSpot does not say what a contact is to a listing: the first is taken for the owner.',
      }),
      further,
      owner,
    ],
  },
  {
    name: LEADS,
    label: 'Leads',
    recordType: 'lead',
    modified: 'hs_lastmodifieddate',
    pipelines: true,
    constants: [],
    columns: [
      ...common,
      column('hs_lead_name', 'title'),
      column('hs_lead_label', 'rating', {
        values: [
          ['HOT', 'HOT'],
          ['WARM', 'WARM'],
          ['COLD', 'COLD'],
        ],
      }),
      column('hs_lead_disqualification_reason', 'lostReason'),
      column('hs_lead_disqualification_note', 'description'),
      ...unplaced('It says whether business is new, not whether somebody buys or sells.', 'hs_lead_type'),
      ...unplaced(apart('portage.status'), 'hs_pipeline_stage'),
      ...unplaced(apart('portage.pipeline'), 'hs_pipeline'),
    ],
    derived: [
      ...stages('status', STAGE_STATES),
      who,
      whichProperty,
      derived('displayName', 'Name', 'TEXT', 'displayName', {
        why: 'The name of a lead that has neither contact nor company.',
      }),
      derived('receivedAt', 'Received', 'DATE_TIME', 'receivedAt', { why: 'When it was made there.' }),
      further,
      owner,
    ],
  },
  {
    name: 'deals',
    label: 'Deals',
    recordType: 'lead',
    modified: 'hs_lastmodifieddate',
    pipelines: true,
    constants: [],
    columns: [
      ...common,
      column('dealname', 'title'),
      column('deal_currency_code', 'currency'),
      column('description', 'description'),
      column('hs_analytics_source', 'source'),
      column('hs_analytics_source_data_1', 'sourceDetail'),
      column('closed_lost_reason', 'lostReason'),
      ...unplaced(
        'A deal’s value is not what somebody may spend: give it a custom field, or the budget if it is.',
        'amount',
      ),
      ...unplaced(apart('portage.status and stage'), 'dealstage'),
      ...unplaced(apart('portage.pipeline'), 'pipeline'),
      ...unplaced(apart('portage.expectedCloseDate'), 'closedate'),
      ...unplaced(apart('portage.receivedAt'), 'createdate'),
      ...unplaced(
        NO_FIELD,
        'dealtype',
        'hs_priority',
        'closed_won_reason',
        'hs_next_step',
        'hs_deal_stage_probability',
      ),
    ],
    derived: [
      ...stages('status', STAGE_STATES),
      who,
      whichProperty,
      derived('displayName', 'Name', 'TEXT', 'displayName', {
        why: 'The name of a deal that has neither contact nor company, as every lead here is somebody’s.',
      }),
      derived('expectedCloseDate', 'Close date', 'DATE', 'expectedCloseDate', {
        why: 'The day, in the account’s zone.',
      }),
      derived('receivedAt', 'Received', 'DATE_TIME', 'receivedAt', { why: 'When it was made there.' }),
      further,
      owner,
    ],
  },
  activity(
    'calls',
    'Calls',
    [['type', 'CALL']],
    [
      column('hs_timestamp', 'startAt'),
      column('hs_call_title', 'subject'),
      column('hs_call_body', 'body', { html: true }),
      column('hs_call_direction', 'direction', {
        values: [
          ['INBOUND', 'INBOUND'],
          ['OUTBOUND', 'OUTBOUND'],
        ],
      }),
      column('hs_call_status', 'status', {
        why: 'A call that nobody took is over all the same; what came of it is the outcome.',
        values: [
          ['COMPLETED', 'COMPLETED'],
          ['BUSY', 'COMPLETED'],
          ['NO_ANSWER', 'COMPLETED'],
          ['MISSED', 'COMPLETED'],
          ['FAILED', 'CANCELED'],
          ['CANCELED', 'CANCELED'],
          ['IN_PROGRESS', 'IN_PROGRESS'],
          ['RINGING', 'IN_PROGRESS'],
          ['CONNECTING', 'IN_PROGRESS'],
          ['CALLING_CRM_USER', 'IN_PROGRESS'],
          ['QUEUED', 'PLANNED'],
        ],
      }),
      ...unplaced(apart('portage.outcome'), 'hs_call_disposition'),
      ...unplaced(apart('portage.durationSeconds'), 'hs_call_duration'),
      ...unplaced(NO_FIELD, 'hs_call_recording_url', 'hs_call_from_number', 'hs_call_to_number', 'hs_call_source'),
    ],
    [
      derived('outcome', 'Outcome', 'TEXT', 'outcome', { why: 'What HubSpot calls the disposition.' }),
      derived('durationSeconds', 'Seconds', 'INTEGER', 'durationSeconds'),
    ],
  ),
  activity(
    'emails',
    'E-mails',
    [['type', 'EMAIL']],
    [
      column('hs_timestamp', 'startAt'),
      column('hs_email_subject', 'subject'),
      column('hs_email_direction', 'direction', {
        values: [
          ['INCOMING_EMAIL', 'INBOUND'],
          ['FORWARDED_EMAIL', 'INBOUND'],
          ['EMAIL', 'OUTBOUND'],
        ],
      }),
      column('hs_email_status', 'status', {
        values: [
          ['SENT', 'COMPLETED'],
          ['SENDING', 'IN_PROGRESS'],
          ['SCHEDULED', 'PLANNED'],
          ['BOUNCED', 'CANCELED'],
          ['FAILED', 'CANCELED'],
        ],
      }),
      ...unplaced(apart('portage.body'), 'hs_email_text', 'hs_email_html'),
      ...unplaced(NO_FIELD, 'hs_email_from_email', 'hs_email_to_email', 'hs_email_cc_email', 'hs_email_headers'),
    ],
    [derived('body', 'Text', 'LONG_TEXT', 'body', { why: 'The text; that of the HTML where there is no other.' })],
  ),
  activity(
    'meetings',
    'Meetings',
    [['type', 'MEETING']],
    [
      column('hs_meeting_title', 'subject'),
      column('hs_meeting_body', 'body', { html: true }),
      column('hs_meeting_end_time', 'endAt'),
      column('hs_meeting_location', 'location'),
      column('hs_meeting_outcome', 'status', {
        why: 'portage.outcome keeps what people call it.',
        values: [
          ['SCHEDULED', 'PLANNED'],
          ['COMPLETED', 'COMPLETED'],
          ['RESCHEDULED', 'PLANNED'],
          ['NO_SHOW', 'NO_SHOW'],
          ['CANCELED', 'CANCELED'],
        ],
      }),
      ...unplaced(apart('portage.startAt'), 'hs_meeting_start_time', 'hs_timestamp'),
      ...unplaced(NO_FIELD, 'hs_internal_meeting_notes', 'hs_meeting_external_url', 'hs_activity_type'),
    ],
    [
      derived('startAt', 'Start', 'DATE_TIME', 'startAt', {
        why: 'The start; the time of the entry where it has none.',
      }),
      derived('outcome', 'Outcome', 'TEXT', 'outcome'),
    ],
  ),
  activity(
    'notes',
    'Notes',
    [
      ['type', 'NOTE'],
      ['status', 'COMPLETED'],
    ],
    [
      column('hs_timestamp', 'startAt'),
      column('hs_note_body', 'body', { html: true, why: 'Its first line is the subject.' }),
      ...unplaced(NO_FIELD, 'hs_attachment_ids'),
    ],
  ),
  activity(
    'tasks',
    'Tasks',
    [['type', 'TASK']],
    [
      column('hs_task_subject', 'subject'),
      column('hs_task_body', 'body', { html: true }),
      column('hs_task_status', 'status', {
        values: [
          ['NOT_STARTED', 'PLANNED'],
          ['IN_PROGRESS', 'IN_PROGRESS'],
          ['COMPLETED', 'COMPLETED'],
          ['WAITING', 'DEFERRED'],
          ['DEFERRED', 'DEFERRED'],
        ],
      }),
      column('hs_task_completion_date', 'completedAt'),
      ...unplaced(apart('portage.dueOn'), 'hs_timestamp'),
      ...unplaced(apart('portage.priority'), 'hs_task_priority'),
      ...unplaced('It says by which way the task is to be done.', 'hs_task_type'),
      ...unplaced(NO_FIELD, 'hs_queue_membership_ids', 'hs_task_reminders'),
    ],
    [
      derived('dueOn', 'Due on', 'DATE', 'dueOn', { why: 'The day, in the account’s zone.' }),
      derived('priority', 'Priority', 'ENUM', 'priority', {
        values: [
          ['HIGH', 'HIGH'],
          ['MEDIUM', 'NORMAL'],
          ['LOW', 'LOW'],
        ],
      }),
    ],
  ),
  activity(
    'communications',
    'Messages',
    [['status', 'COMPLETED']],
    [
      column('hs_timestamp', 'startAt'),
      column('hs_communication_channel_type', 'type', {
        values: [
          ['SMS', 'SMS'],
          ['WHATS_APP', 'OTHER'],
          ['LINKEDIN_MESSAGE', 'OTHER'],
        ],
      }),
      column('hs_communication_body', 'body', { html: true, why: 'Its first line is the subject.' }),
      ...unplaced(NO_FIELD, 'hs_communication_logged_from'),
    ],
  ),
]

/** A kind of record that the account made itself. What it is like is told by its name. */
export function customKind(name: string, label: string): HubspotKind {
  const recordType = /propert|listing|unit|building|home|house/i.test(label)
    ? 'property'
    : /showing|viewing|appointment|visit/i.test(label)
      ? 'activity'
      : null
  return {
    name,
    label,
    recordType,
    modified: 'hs_lastmodifieddate',
    pipelines: false,
    constants: recordType === 'activity' ? [['type', 'SHOWING']] : [],
    columns: common,
    derived: [
      {
        ...who,
        to: { property: 'ownerContact.externalId', lead: 'contact.externalId', activity: 'contact.externalId' },
      },
      derived('lead', 'Lead or deal', 'REFERENCE', { activity: 'lead.externalId' }, { references: [LEADS, 'deals'] }),
      ...(recordType === 'property' ? [] : [whichProperty]),
      further,
      owner,
    ],
  }
}

/** HubSpot's own kind of this name; null: it is one that the account made, or none at all. */
export function nativeKind(name: string): HubspotKind | null {
  return KINDS.find((kind) => kind.name === name) ?? null
}
