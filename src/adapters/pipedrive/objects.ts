/**
 * Pipedrive's kinds of records: where they are read, and where each of their own fields goes here. Columns after `portage.` are
 * what `derive.ts` makes of a record, because the record has lists, ids of options, or dates and times apart.
 */
import type { FieldKind, RecordTypeName } from '../../records/types.js'

/** A field that Pipedrive made. */
export interface NativeField {
  readonly name: string
  readonly label: string
  readonly kind: FieldKind
  /** Field here, with its key where it is a reference; null: it has none. */
  readonly to: string | null
  /** Why it has none, or what is to be known of where it goes; '' where that is plain. */
  readonly why: string
  readonly values: readonly (readonly [from: string, to: string])[]
  readonly references: readonly string[]
  /** HTML, of which the text is taken. */
  readonly html: boolean
  readonly calculated: boolean
}

export interface PipedriveObject {
  readonly name: 'organizations' | 'persons' | 'leads' | 'deals' | 'activities' | 'notes'
  readonly label: string
  readonly recordType: RecordTypeName
  /** Lists that have all its records together. */
  readonly lists: readonly {
    readonly path: string
    readonly cost: number
    /** It cannot be asked for what changed since a moment, but gives the newest change first. */
    readonly newestFirst?: true
  }[]
  /** v2 pages by cursor and reads by ids, v1 pages by offset and reads one by one. */
  readonly version: 1 | 2
  readonly include: string | null
  /** Where fields are described; null: it has none of the account's own. */
  readonly definitions: { readonly path: string; readonly version: 1 | 2; readonly cost: number } | null
  /** Name of the field with the id of its owner. */
  readonly owner: string
  /** Fields that every record of it gets here. */
  readonly constants: readonly (readonly [field: string, value: string])[]
  readonly fields: readonly NativeField[]
}

/** Tokens that requests cost, from Pipedrive's own descriptions (`x-token-cost`). */
export const COST = {
  list: 10,
  archived: 20,
  oldList: 20,
  oldArchived: 40,
  get: 1,
  oldGet: 2,
  stages: 5,
  labels: 10,
} as const

function field(
  name: string,
  label: string,
  kind: FieldKind,
  to: string | null,
  more: Partial<Omit<NativeField, 'name' | 'label' | 'kind' | 'to'>> = {},
): NativeField {
  return { name, label, kind, to, why: '', values: [], references: [], html: false, calculated: false, ...more }
}

const apart = (columns: string) => `It is taken apart into ${columns}.`
const NO_FIELD = 'Nothing here means the same: give it a custom field to keep it.'
const RIGHTS = 'Who may see a record is a matter of rights here.'

/** What records of all kinds have. */
function common(owner: string): readonly NativeField[] {
  return [
    field('id', 'ID', 'TEXT', 'externalId'),
    field(owner, 'Owner ID', 'INTEGER', null, { why: 'portage.ownerEmail holds the owner’s e-mail address.' }),
    field('portage.ownerEmail', 'Owner’s e-mail', 'EMAIL', 'ownerEmail', { why: 'Owners are matched by e-mail.' }),
    field('add_time', 'Created', 'DATE_TIME', 'sourceCreatedAt'),
    field('update_time', 'Updated', 'DATE_TIME', 'sourceUpdatedAt'),
  ]
}

function address(prefix: string): readonly NativeField[] {
  return [
    field(`${prefix}.value`, 'Address', 'TEXT', null, { why: apart('its parts') }),
    field('portage.addressLine1', 'Street', 'TEXT', 'addressLine1', { why: 'House number and street, or the whole.' }),
    field(`${prefix}.subpremise`, 'Apartment', 'TEXT', 'addressLine2'),
    field(`${prefix}.locality`, 'City', 'TEXT', 'city'),
    field(`${prefix}.admin_area_level_1`, 'State', 'TEXT', 'stateOrProvince'),
    field(`${prefix}.postal_code`, 'Postal code', 'TEXT', 'postalCode'),
    field(`${prefix}.country`, 'Country', 'TEXT', 'country'),
    field(`${prefix}.route`, 'Route', 'TEXT', null, { why: 'It is part of portage.addressLine1.' }),
    field(`${prefix}.street_number`, 'Street number', 'TEXT', null, { why: 'It is part of portage.addressLine1.' }),
    field(`${prefix}.sublocality`, 'District', 'TEXT', null, { why: NO_FIELD }),
    field(`${prefix}.admin_area_level_2`, 'Region', 'TEXT', null, { why: NO_FIELD }),
  ]
}

const labels = [
  field('label_ids', 'Label IDs', 'TEXT', null, { why: 'portage.labels holds their names.' }),
  field('portage.labels', 'Labels', 'MULTI_ENUM', 'tags'),
]

const someone = [
  field('portage.contact', 'Person or organization', 'REFERENCE', 'contact.externalId', {
    references: ['persons', 'organizations'],
    why: 'The person; the organization where there is none.',
  }),
  field('person_id', 'Person ID', 'INTEGER', null, { why: apart('portage.contact') }),
]

/** Kinds of activities that every account begins with. Others become OTHER. */
export const ACTIVITY_TYPES: Readonly<Record<string, string>> = {
  call: 'CALL',
  meeting: 'MEETING',
  task: 'TASK',
  deadline: 'TASK',
  email: 'EMAIL',
  lunch: 'MEETING',
}

/** In the order in which they are best loaded. */
export const OBJECTS: readonly PipedriveObject[] = [
  {
    name: 'organizations',
    label: 'Organizations',
    recordType: 'contact',
    lists: [{ path: '/api/v2/organizations', cost: COST.list }],
    version: 2,
    include: null,
    definitions: { path: '/api/v2/organizationFields', version: 2, cost: COST.list },
    owner: 'owner_id',
    constants: [['kind', 'ORGANIZATION']],
    fields: [
      ...common('owner_id'),
      field('name', 'Name', 'TEXT', 'companyName', { why: 'An organization is a contact of kind ORGANIZATION.' }),
      ...address('address'),
      ...labels,
      field('website', 'Website', 'URL', 'website'),
      field('linkedin', 'LinkedIn', 'URL', 'linkedinUrl'),
      field('industry', 'Industry ID', 'INTEGER', null, { why: 'portage.industry holds its name.' }),
      field('portage.industry', 'Industry', 'TEXT', 'industry'),
      field('annual_revenue', 'Annual revenue', 'MONEY', null, { why: NO_FIELD }),
      field('employee_count', 'Employees', 'INTEGER', null, { why: NO_FIELD }),
      field('visible_to', 'Visible to', 'INTEGER', null, { why: RIGHTS }),
    ],
  },
  {
    name: 'persons',
    label: 'Persons',
    recordType: 'contact',
    lists: [{ path: '/api/v2/persons', cost: COST.list }],
    version: 2,
    include: 'marketing_status',
    definitions: { path: '/api/v2/personFields', version: 2, cost: COST.list },
    owner: 'owner_id',
    constants: [['kind', 'PERSON']],
    fields: [
      ...common('owner_id'),
      field('name', 'Name', 'TEXT', 'displayName'),
      field('first_name', 'First name', 'TEXT', 'firstName'),
      field('last_name', 'Last name', 'TEXT', 'lastName'),
      field('org_id', 'Organization ID', 'INTEGER', null, { why: apart('portage.organization') }),
      field('portage.organization', 'Organization', 'REFERENCE', 'organization.externalId', {
        references: ['organizations'],
      }),
      field('job_title', 'Job title', 'TEXT', 'jobTitle'),
      field('emails', 'E-mails', 'TEXT', null, { why: apart('portage.email, secondaryEmail and furtherEmails') }),
      field('portage.email', 'E-mail', 'EMAIL', 'email', { why: 'The primary one.' }),
      field('portage.secondaryEmail', 'Second e-mail', 'EMAIL', 'secondaryEmail'),
      field('portage.furtherEmails', 'Further e-mails', 'TEXT', null, {
        why: 'Two e-mails have a field of their own: give the others a custom field to keep them.',
      }),
      field('phones', 'Phones', 'TEXT', null, {
        why: apart('portage.phone, mobilePhone, homePhone, fax and furtherPhones'),
      }),
      field('portage.phone', 'Phone', 'PHONE', 'phone'),
      field('portage.mobilePhone', 'Mobile phone', 'PHONE', 'mobilePhone'),
      field('portage.homePhone', 'Home phone', 'PHONE', 'homePhone'),
      field('portage.fax', 'Fax', 'PHONE', 'fax'),
      field('portage.furtherPhones', 'Further phones', 'TEXT', null, {
        why: 'Four phone numbers have a field of their own: give the others a custom field to keep them.',
      }),
      ...address('postal_address'),
      field('birthday', 'Birthday', 'DATE', 'birthDate'),
      field('notes', 'Notes', 'LONG_TEXT', 'notes', { html: true }),
      ...labels,
      field('marketing_status', 'Marketing status', 'TEXT', null, { why: apart('portage.emailOptOut') }),
      field('portage.emailOptOut', 'Unsubscribed', 'BOOLEAN', 'emailOptOut', {
        why: 'True where the marketing status is unsubscribed; never taken back.',
      }),
      field('im', 'Instant messengers', 'TEXT', null, { why: NO_FIELD }),
      field('picture_id', 'Picture', 'INTEGER', null, { why: NO_FIELD }),
      field('visible_to', 'Visible to', 'INTEGER', null, { why: RIGHTS }),
    ],
  },
  {
    name: 'leads',
    label: 'Leads',
    recordType: 'lead',
    lists: [
      { path: '/v1/leads', cost: COST.oldList },
      { path: '/v1/leads/archived', cost: COST.oldArchived, newestFirst: true },
    ],
    version: 1,
    include: null,
    definitions: { path: '/v1/leadFields', version: 1, cost: COST.oldList },
    owner: 'owner_id',
    constants: [],
    fields: [
      ...common('owner_id'),
      field('title', 'Title', 'TEXT', 'title'),
      ...someone,
      field('organization_id', 'Organization ID', 'INTEGER', null, { why: apart('portage.contact') }),
      field('is_archived', 'Archived', 'BOOLEAN', 'status', {
        values: [
          ['false', 'OPEN'],
          ['true', 'LOST'],
        ],
      }),
      field('portage.rating', 'Hot, warm or cold', 'ENUM', 'rating', { why: 'The first label of that name.' }),
      ...labels,
      field('source_name', 'Source', 'TEXT', 'source'),
      field('channel', 'Channel ID', 'INTEGER', null, { why: 'portage.channel holds its name.' }),
      field('portage.channel', 'Channel', 'TEXT', null, { why: 'The source says more; swap the two if it does not.' }),
      field('channel_id', 'Source detail', 'TEXT', 'sourceDetail'),
      field('origin', 'Origin', 'TEXT', null, { why: NO_FIELD }),
      field('origin_id', 'Origin ID', 'TEXT', null, { why: NO_FIELD }),
      field('value.amount', 'Value', 'MONEY', null, {
        why: 'A lead’s value is not what somebody may spend: give it a custom field, or the budget if it is.',
      }),
      field('value.currency', 'Currency', 'TEXT', 'currency'),
      field('expected_close_date', 'Expected close', 'DATE', 'expectedCloseDate'),
      field('portage.receivedAt', 'Received', 'DATE_TIME', 'receivedAt', { why: 'When it was made there.' }),
      field('was_seen', 'Seen', 'BOOLEAN', null, { why: NO_FIELD }),
      field('creator_id', 'Creator ID', 'INTEGER', null, { why: NO_FIELD }),
      field('source_deal_id', 'Deal it came from', 'INTEGER', null, { why: 'Leads do not refer to one another here.' }),
      field('next_activity_id', 'Next activity', 'INTEGER', null, {
        why: 'Activities refer to leads here.',
        calculated: true,
      }),
      field('cc_email', 'Address for copies', 'TEXT', null, { why: 'It leads to Pipedrive.' }),
      field('visible_to', 'Visible to', 'TEXT', null, { why: RIGHTS }),
    ],
  },
  {
    name: 'deals',
    label: 'Deals',
    recordType: 'lead',
    lists: [
      { path: '/api/v2/deals', cost: COST.list },
      { path: '/api/v2/deals/archived', cost: COST.archived },
    ],
    version: 2,
    include: 'source_lead_id',
    definitions: { path: '/api/v2/dealFields', version: 2, cost: COST.list },
    owner: 'owner_id',
    constants: [],
    fields: [
      ...common('owner_id'),
      field('title', 'Title', 'TEXT', 'title'),
      ...someone,
      field('org_id', 'Organization ID', 'INTEGER', null, { why: apart('portage.contact') }),
      field('portage.displayName', 'Name', 'TEXT', 'displayName', {
        why: 'The title of a deal that has neither person nor organization, as every lead here is somebody’s.',
      }),
      field('status', 'Status', 'ENUM', 'status', {
        values: [
          ['open', 'QUALIFIED'],
          ['won', 'CONVERTED'],
          ['lost', 'LOST'],
        ],
      }),
      field('pipeline_id', 'Pipeline ID', 'INTEGER', null, { why: 'portage.pipeline holds its name.' }),
      field('portage.pipeline', 'Pipeline', 'TEXT', null, { why: NO_FIELD }),
      field('stage_id', 'Stage ID', 'INTEGER', null, { why: 'portage.stage holds its name.' }),
      field('portage.stage', 'Stage', 'TEXT', null, { why: NO_FIELD }),
      ...labels,
      field('value', 'Value', 'MONEY', null, {
        why: 'A deal’s value is not what somebody may spend: give it a custom field, or the budget if it is.',
      }),
      field('currency', 'Currency', 'TEXT', 'currency'),
      field('expected_close_date', 'Expected close', 'DATE', 'expectedCloseDate'),
      field('portage.receivedAt', 'Received', 'DATE_TIME', 'receivedAt', { why: 'When it was made there.' }),
      field('won_time', 'Won', 'DATE_TIME', 'convertedAt'),
      field('lost_time', 'Lost', 'DATE_TIME', null, { why: NO_FIELD }),
      field('close_time', 'Closed', 'DATE_TIME', null, { why: NO_FIELD }),
      field('stage_change_time', 'Stage changed', 'DATE_TIME', null, { why: NO_FIELD }),
      field('lost_reason', 'Lost reason', 'TEXT', 'lostReason'),
      field('channel', 'Channel ID', 'INTEGER', null, { why: 'portage.channel holds its name.' }),
      field('portage.channel', 'Channel', 'TEXT', 'source'),
      field('channel_id', 'Source detail', 'TEXT', 'sourceDetail'),
      field('origin', 'Origin', 'TEXT', null, { why: NO_FIELD }),
      field('origin_id', 'Origin ID', 'TEXT', null, { why: NO_FIELD }),
      field('source_lead_id', 'Lead it came from', 'TEXT', null, { why: 'Leads do not refer to one another here.' }),
      field('probability', 'Probability', 'DECIMAL', null, { why: NO_FIELD }),
      field('is_archived', 'Archived', 'BOOLEAN', null, { why: NO_FIELD }),
      field('arr', 'Annual revenue', 'MONEY', null, { why: NO_FIELD }),
      field('mrr', 'Monthly revenue', 'MONEY', null, { why: NO_FIELD }),
      field('acv', 'Contract value', 'MONEY', null, { why: NO_FIELD }),
      field('visible_to', 'Visible to', 'INTEGER', null, { why: RIGHTS }),
    ],
  },
  {
    name: 'activities',
    label: 'Activities',
    recordType: 'activity',
    lists: [{ path: '/api/v2/activities', cost: COST.list }],
    version: 2,
    include: 'attendees',
    definitions: { path: '/api/v2/activityFields', version: 2, cost: COST.list },
    owner: 'owner_id',
    constants: [],
    fields: [
      ...common('owner_id'),
      field('subject', 'Subject', 'TEXT', 'subject'),
      field('type', 'Type', 'ENUM', 'type', { why: 'Types of the account’s own become OTHER.' }),
      field('note', 'Note', 'LONG_TEXT', 'body', { html: true }),
      field('public_description', 'Public description', 'LONG_TEXT', null, { why: 'The note is the body.' }),
      field('done', 'Done', 'BOOLEAN', 'status', {
        values: [
          ['true', 'COMPLETED'],
          ['false', 'PLANNED'],
        ],
      }),
      field('priority', 'Priority ID', 'INTEGER', null, { why: 'portage.priority holds what it means.' }),
      field('portage.priority', 'Priority', 'ENUM', 'priority'),
      field('due_date', 'Due date', 'DATE', null, { why: apart('portage.startAt or portage.dueOn') }),
      field('due_time', 'Due time', 'TEXT', null, { why: apart('portage.startAt') }),
      field('duration', 'Duration', 'TEXT', null, { why: apart('portage.durationSeconds') }),
      field('portage.startAt', 'Start', 'DATE_TIME', 'startAt', { why: 'Due date and time, in UTC.' }),
      field('portage.endAt', 'End', 'DATE_TIME', 'endAt'),
      field('portage.dueOn', 'Due on', 'DATE', 'dueOn', { why: 'Of an activity without a time; no zone shifts it.' }),
      field('portage.durationSeconds', 'Seconds', 'INTEGER', 'durationSeconds'),
      field('marked_as_done_time', 'Marked as done', 'DATE_TIME', 'completedAt'),
      field('location.value', 'Location', 'TEXT', 'location'),
      ...someone,
      field('org_id', 'Organization ID', 'INTEGER', null, { why: apart('portage.contact') }),
      field('portage.lead', 'Deal or lead', 'REFERENCE', 'lead.externalId', { references: ['deals', 'leads'] }),
      field('deal_id', 'Deal ID', 'INTEGER', null, { why: apart('portage.lead') }),
      field('lead_id', 'Lead ID', 'TEXT', null, { why: apart('portage.lead') }),
      field('portage.furtherLinks', 'Further links', 'TEXT', null, {
        why: 'An activity has one contact and one lead here: give the others a custom field to keep them.',
      }),
      field('participants', 'Participants', 'TEXT', null, { why: apart('portage.contact and furtherLinks') }),
      field('attendees', 'Attendees', 'TEXT', null, { why: NO_FIELD }),
      field('project_id', 'Project', 'INTEGER', null, { why: NO_FIELD }),
      field('creator_user_id', 'Creator ID', 'INTEGER', null, { why: NO_FIELD }),
      field('busy', 'Busy', 'BOOLEAN', null, { why: NO_FIELD }),
      field('conference_meeting_url', 'Conference', 'URL', null, { why: NO_FIELD }),
    ],
  },
  {
    name: 'notes',
    label: 'Notes',
    recordType: 'activity',
    lists: [{ path: '/v1/notes', cost: COST.oldList }],
    version: 1,
    include: null,
    definitions: null,
    owner: 'user_id',
    constants: [
      ['type', 'NOTE'],
      ['status', 'COMPLETED'],
    ],
    fields: [
      ...common('user_id'),
      field('content', 'Content', 'LONG_TEXT', 'body', { html: true, why: 'Its first line is the subject.' }),
      ...someone,
      field('org_id', 'Organization ID', 'INTEGER', null, { why: apart('portage.contact') }),
      field('portage.lead', 'Deal or lead', 'REFERENCE', 'lead.externalId', { references: ['deals', 'leads'] }),
      field('deal_id', 'Deal ID', 'INTEGER', null, { why: apart('portage.lead') }),
      field('lead_id', 'Lead ID', 'TEXT', null, { why: apart('portage.lead') }),
      field('portage.furtherLinks', 'Further links', 'TEXT', null, {
        why: 'A note has one contact and one lead here: give the others a custom field to keep them.',
      }),
      field('project_id', 'Project', 'INTEGER', null, { why: NO_FIELD }),
      field('last_update_user_id', 'Last changed by', 'INTEGER', null, { why: NO_FIELD }),
    ],
  },
]

/** The object of this name; null: Pipedrive has it not, or nobody moves it. */
export function objectOf(name: string): PipedriveObject | null {
  return OBJECTS.find((object) => object.name === name) ?? null
}
