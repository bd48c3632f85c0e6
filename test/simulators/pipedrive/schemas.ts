/** What each answer looks like: the project's own words, narrower than the official ones, which say of nothing that it must be there. */
import type { Schema } from '../common/schema.js'

const text: Schema = { type: 'string', nullable: true }
const integer: Schema = { type: 'integer', nullable: true }
const number: Schema = { type: 'number', nullable: true }
const flag: Schema = { type: 'boolean' }
const utc: Schema = { type: 'string', pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$` }
const utcOrNull: Schema = { ...utc, nullable: true }
const blankTime: Schema = { type: 'string', pattern: String.raw`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$` }
const day: Schema = { type: 'string', format: 'date', nullable: true }
const uuid: Schema = { type: 'string', format: 'uuid' }

function object(properties: { readonly [name: string]: Schema }, more: Partial<Schema> = {}): Schema {
  return { type: 'object', properties, required: Object.keys(properties), ...more }
}

const list = (items: Schema): Schema => ({ type: 'array', items, maxItems: 500 })
const values: Schema = { type: 'array', items: object({ value: { type: 'string' }, primary: flag, label: text }) }
const address: Schema = object(
  { value: text, country: text, locality: text, route: text, street_number: text, postal_code: text },
  { nullable: true },
)
const common = {
  id: { type: 'integer' },
  owner_id: integer,
  add_time: utc,
  update_time: utc,
  is_deleted: flag,
} as const

const persons = object({
  ...common,
  name: { type: 'string' },
  first_name: text,
  last_name: text,
  org_id: integer,
  emails: values,
  phones: values,
  label_ids: list({ type: 'integer' }),
  postal_address: address,
  notes: text,
  birthday: day,
  job_title: text,
  custom_fields: { type: 'object' },
})
const organizations = object({
  ...common,
  name: { type: 'string' },
  address,
  website: text,
  custom_fields: { type: 'object' },
})
const deals = object({
  ...common,
  title: { type: 'string' },
  person_id: integer,
  org_id: integer,
  value: number,
  currency: { type: 'string', pattern: '^[A-Z]{3}$' },
  status: { type: 'string', enum: ['open', 'won', 'lost', 'deleted'] },
  is_archived: flag,
  won_time: utcOrNull,
  lost_time: utcOrNull,
  lost_reason: text,
  expected_close_date: day,
  custom_fields: { type: 'object' },
})
const activities = object({
  ...common,
  subject: text,
  type: { type: 'string' },
  done: flag,
  due_date: day,
  due_time: { type: 'string', nullable: true, pattern: String.raw`^\d\d:\d\d$` },
  duration: { type: 'string', nullable: true, pattern: String.raw`^\d\d:\d\d$` },
  deal_id: integer,
  lead_id: { ...uuid, nullable: true },
  person_id: integer,
  org_id: integer,
  participants: list(object({ person_id: { type: 'integer' }, primary: flag })),
  note: text,
})
const leads = object({
  id: uuid,
  title: { type: 'string' },
  owner_id: integer,
  person_id: integer,
  organization_id: integer,
  label_ids: list(uuid),
  is_archived: flag,
  value: object({ amount: { type: 'number' }, currency: { type: 'string' } }, { nullable: true }),
  expected_close_date: day,
  add_time: { type: 'string', format: 'date-time' },
  update_time: { type: 'string', format: 'date-time' },
})
const notes = object({
  id: { type: 'integer' },
  content: { type: 'string' },
  active_flag: flag,
  add_time: blankTime,
  update_time: blankTime,
  deal_id: integer,
  lead_id: { ...uuid, nullable: true },
  person_id: integer,
  org_id: integer,
  user_id: integer,
})
const users = object({ id: { type: 'integer' }, name: text, email: text, active_flag: flag, is_you: flag })
const field = object({
  field_name: { type: 'string' },
  field_code: { type: 'string' },
  field_type: { type: 'string' },
  is_custom_field: flag,
  is_optional_response_field: flag,
})
const oldField = object({
  key: { type: 'string' },
  name: { type: 'string' },
  field_type: { type: 'string' },
  edit_flag: flag,
})

const answer = (data: Schema): Schema => ({
  type: 'object',
  properties: { success: { type: 'boolean', enum: [true] }, data },
  required: ['success', 'data'],
})
const v2 = (data: Schema): Schema => ({
  ...answer(list(data)),
  properties: {
    ...answer(list(data)).properties,
    additional_data: { type: 'object', properties: { next_cursor: { type: 'string', nullable: true } } },
  },
})
const v1 = (data: Schema): Schema => ({
  ...answer({ ...list(data), nullable: true }),
  properties: {
    ...answer({ ...list(data), nullable: true }).properties,
    additional_data: object({
      pagination: {
        type: 'object',
        properties: {
          start: { type: 'integer' },
          limit: { type: 'integer' },
          more_items_in_collection: flag,
          next_start: { type: 'integer' },
        },
        required: ['start', 'limit', 'more_items_in_collection'],
      },
    }),
  },
  required: ['success', 'data', 'additional_data'],
})

/** By the name of the operation in the official descriptions. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  getPersons: v2(persons),
  getPerson: answer(persons),
  getOrganizations: v2(organizations),
  getOrganization: answer(organizations),
  getDeals: v2(deals),
  getArchivedDeals: v2(deals),
  getDeal: answer(deals),
  getActivities: v2(activities),
  getActivity: answer(activities),
  getPersonFields: v2(field),
  getOrganizationFields: v2(field),
  getDealFields: v2(field),
  getActivityFields: v2(field),
  getPipelines: v2(object({ id: { type: 'integer' }, name: { type: 'string' } })),
  getStages: v2(object({ id: { type: 'integer' }, name: { type: 'string' }, pipeline_id: { type: 'integer' } })),
  getLeads: v1(leads),
  getArchivedLeads: v1(leads),
  getLead: answer(leads),
  getNotes: v1(notes),
  getNote: answer(notes),
  getLeadFields: v1(oldField),
  getNoteFields: v1(oldField),
  getUsers: answer(list(users)),
  getCurrentUser: answer(
    object({ id: { type: 'integer' }, company_id: { type: 'integer' }, company_name: text, company_domain: text }),
  ),
  getActivityTypes: answer(
    list(
      object({ id: { type: 'integer' }, key_string: { type: 'string' }, name: { type: 'string' }, active_flag: flag }),
    ),
  ),
  getLeadLabels: answer(list(object({ id: uuid, name: { type: 'string' } }))),
  getLeadSources: answer(list(object({ name: { type: 'string' } }))),
  getCurrencies: answer(list(object({ id: { type: 'integer' }, code: { type: 'string' } }))),
  error: object({ success: { type: 'boolean', enum: [false] }, error: { type: 'string' } }),
}
