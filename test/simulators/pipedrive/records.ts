/** Records of a simulated Pipedrive company, made when they are asked for, in the forms of its API (v2; leads and notes v1). */
import type { Random } from '../../helpers/random.js'
import { type Place, Table } from '../common/table.js'
import type { Json, Row } from '../common/types.js'
import { company, nastyText, person } from '../common/words.js'

/** Small numbers, enough for more than one page of 5. */
export const PIPEDRIVE_COUNTS: Readonly<Record<string, number>> = {
  users: 4,
  organizations: 12,
  persons: 40,
  deals: 30,
  leads: 24,
  activities: 60,
  notes: 18,
}

/** A custom field, by its 40 hexadecimal characters. */
export interface CustomField {
  readonly code: string
  readonly name: string
  readonly type: string
  readonly options?: readonly { readonly id: number; readonly label: string }[]
}

const hash = (start: string): string => start.repeat(Math.ceil(40 / start.length)).slice(0, 40)

/** Of every object with custom fields. Leads have those of deals. */
export const CUSTOM_FIELDS: Readonly<Record<string, readonly CustomField[]>> = {
  persons: [
    { code: hash('a1b2c3d4'), name: 'Client type', type: 'set', options: options(30, 'Buyer', 'Seller', 'Tenant') },
    { code: hash('a1f0'), name: 'Licence until', type: 'date' },
    { code: hash('0bad5eed'), name: 'Second language', type: 'varchar' },
  ],
  organizations: [{ code: hash('c0ffee'), name: 'Tax number', type: 'varchar' }],
  deals: [
    { code: hash('d1'), name: 'Property address', type: 'address' },
    { code: hash('d2e3'), name: 'List price', type: 'monetary' },
    { code: hash('d3'), name: 'Bedrooms', type: 'int' },
    { code: hash('d4f'), name: 'Property type', type: 'enum', options: options(50, 'House', 'Condo', 'Land') },
    { code: hash('d5ab'), name: 'Features', type: 'set', options: options(60, 'Pool', 'Garage', 'View') },
    { code: hash('d6'), name: 'MLS number', type: 'varchar' },
    { code: hash('d7c'), name: 'Viewing', type: 'daterange' },
    // Labels are not unique.
    { code: hash('d8'), name: 'MLS number', type: 'double' },
  ],
}

function options(from: number, ...labels: readonly string[]) {
  return labels.map((label, at) => ({ id: from + at, label }))
}

/** Whole seconds: nothing finer is ever told. */
const second = (at: number): number => Math.floor(at / 1000) * 1000
const v2Time = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`
const v1Time = (at: number): string => new Date(at).toISOString().slice(0, 19).replace('T', ' ')
const date = (at: number): string => new Date(at).toISOString().slice(0, 10)

/** The UUID of a lead: in the order of their places. */
export function leadId(index: number): string {
  return `${(index + 0x10000000).toString(16)}-1dea-4b1d-8a5e-${(index * 7919 + 4096).toString(16).padStart(12, '0')}`
}

/** Every 11th lead and every 23rd deal is archived. */
export const isArchived = (object: string, index: number): boolean =>
  (object === 'leads' && index % 11 === 7) || (object === 'deals' && index % 23 === 9)

/** All tables of a company. `fields` is asked each time, as custom fields come and go. */
export function pipedriveTables({
  seed,
  counts,
  start,
  now,
  nasty,
  fields,
}: {
  readonly seed: number
  readonly counts: Readonly<Record<string, number>>
  readonly start: number
  readonly now: () => number
  readonly nasty: boolean
  readonly fields: (object: string) => readonly CustomField[]
}): ReadonlyMap<string, Table> {
  const many = { ...PIPEDRIVE_COUNTS, ...counts }
  const of = (object: string): number => many[object] ?? 0
  const text = (index: number, plain: string): string => (nasty && index % 5 === 2 ? nastyText(index) : plain)
  /** A reference to a record of the object; null for every `without`th. */
  const ref = (object: string, index: number, without: number): number | null =>
    of(object) === 0 || index % without === without - 1 ? null : 1 + ((index * 7 + 3) % of(object))
  const owner = (index: number): number => 1 + (index % Math.max(1, of('users')))
  const make: Readonly<Record<string, (place: Place, random: Random) => Row>> = {
    users: ({ index, createdAt }, random) => {
      const { firstName, lastName } = person(random, index)
      return {
        id: 1 + index,
        name: `${firstName} ${lastName}`,
        default_currency: 'EUR',
        locale: 'en_US',
        lang: 1,
        email: `agent${1 + index}@agency.example`,
        phone: null,
        activated: true,
        last_login: v1Time(start),
        created: v1Time(createdAt),
        modified: v1Time(createdAt),
        has_created_company: index === 0,
        access: [{ app: 'sales', admin: index === 0, permission_set_id: '62cc4d7f-4038-4352-abf3-a8c1c822b631' }],
        active_flag: index % 4 !== 3,
        timezone_name: 'Europe/Berlin',
        timezone_offset: '+01:00',
        role_id: 1,
        icon_url: null,
        is_you: index === 0,
        is_deleted: false,
      }
    },
    organizations: (place, random) => {
      const { index } = place
      const { street, city, region, postalCode, country } = person(random, index)
      return {
        id: 1 + index,
        name: company(random, index) + mark(place),
        owner_id: owner(index),
        ...times(place, v2Time),
        is_deleted: false,
        visible_to: 3,
        address: index % 4 === 3 ? null : address({ street, city, region, postalCode, country }),
        label_ids: index % 3 === 0 ? [5] : [],
        website: index % 2 === 0 ? `https://company${index}.example` : null,
        linkedin: null,
        industry: null,
        annual_revenue: null,
        employee_count: index % 5 === 0 ? 10 + index : null,
        custom_fields: custom(fields('organizations'), index, random),
      }
    },
    persons: (place, random) => {
      const { index } = place
      const { firstName, lastName, email, phone, street, city, region, postalCode, country } = person(random, index)
      return {
        id: 1 + index,
        name: `${firstName} ${lastName}${mark(place)}`,
        first_name: firstName,
        last_name: `${lastName}${mark(place)}`,
        owner_id: owner(index),
        org_id: ref('organizations', index, 5),
        ...times(place, v2Time),
        emails:
          index % 9 === 8
            ? []
            : [
                { value: email, primary: true, label: 'work' },
                ...(index % 6 === 1 ? [{ value: `home.${email}`, primary: false, label: 'home' }] : []),
              ],
        phones: index % 4 === 3 ? [] : [{ value: phone, primary: true, label: 'mobile' }],
        is_deleted: false,
        visible_to: 3,
        label_ids: index % 3 === 0 ? [1, 2] : [],
        picture_id: null,
        postal_address: index % 4 === 1 ? null : address({ street, city, region, postalCode, country }),
        notes: index % 5 === 2 ? text(index, 'A note.') : null,
        im: [],
        birthday: index % 6 === 0 ? date(Date.UTC(1960 + (index % 40), index % 12, 1 + (index % 28))) : null,
        job_title: index % 2 === 0 ? 'Agent' : null,
        custom_fields: custom(fields('persons'), index, random),
      }
    },
    deals: (place, random) => {
      const { index, deletedAt, updatedAt } = place
      const status = deletedAt !== null ? 'deleted' : (['open', 'open', 'won', 'lost'][index % 4] ?? 'open')
      const closed = status === 'won' || status === 'lost' ? v2Time(second(updatedAt)) : null
      return {
        id: 1 + index,
        title: text(index, `Deal ${1 + index}`) + mark(place),
        owner_id: owner(index),
        person_id: ref('persons', index, 6),
        org_id: ref('organizations', index, 4),
        pipeline_id: 1,
        stage_id: 1 + (index % 3),
        value: 100_000 + index * 1250.5,
        currency: index % 3 === 0 ? 'USD' : 'EUR',
        ...times(place, v2Time),
        stage_change_time: null,
        is_deleted: deletedAt !== null,
        is_archived: isArchived('deals', index),
        status,
        probability: index % 5 === 0 ? 40 : null,
        lost_reason: status === 'lost' ? 'Price' : null,
        visible_to: 3,
        close_time: closed,
        won_time: status === 'won' ? closed : null,
        lost_time: status === 'lost' ? closed : null,
        expected_close_date: index % 2 === 0 ? date(start + (index % 90) * 86_400_000) : null,
        label_ids: [],
        origin: 'ManuallyCreated',
        origin_id: null,
        channel: null,
        channel_id: null,
        source_lead_id: null,
        arr: null,
        mrr: null,
        acv: null,
        custom_fields: custom(fields('deals'), index, random),
      }
    },
    leads: (place, random) => {
      const { index } = place
      const personId = ref('persons', index, 7)
      return {
        id: leadId(index),
        title: text(index, `Lead ${1 + index}`) + mark(place),
        owner_id: owner(index),
        creator_id: 1,
        label_ids: index % 2 === 0 ? [leadLabelId(index % 3)] : [],
        person_id: personId,
        // A lead needs a person or an organization.
        organization_id: personId === null ? 1 : ref('organizations', index, 3),
        source_name: index % 3 === 0 ? 'Web forms' : 'Manually created',
        origin: 'ManuallyCreated',
        origin_id: null,
        channel: null,
        channel_id: null,
        source_deal_id: null,
        is_archived: isArchived('leads', index),
        was_seen: index % 2 === 0,
        value: index % 4 === 0 ? null : { amount: 90_000 + index, currency: 'EUR' },
        expected_close_date: index % 5 === 0 ? date(start + index * 86_400_000) : null,
        next_activity_id: null,
        ...times(place, (at) => new Date(at).toISOString()),
        visible_to: '3',
        cc_email: `company+lead${index}@pipedrivemail.example`,
        ...spread(fields('deals'), custom(fields('deals'), index, random)),
      }
    },
    activities: (place, random) => {
      const { index } = place
      const timed = index % 2 === 0
      const done = index % 3 === 0
      const personId = ref('persons', index, 8)
      const { city, country } = person(random, index)
      return {
        id: 1 + index,
        subject: text(index, `Activity ${1 + index}`) + mark(place),
        type: ['call', 'meeting', 'task', 'email', 'open_house'][index % 5] ?? 'task',
        owner_id: owner(index),
        creator_user_id: 1,
        is_deleted: false,
        ...times(place, v2Time),
        deal_id: ref('deals', index, 2),
        lead_id: index % 9 === 4 && of('leads') > 0 ? leadId(index % of('leads')) : null,
        person_id: personId,
        org_id: ref('organizations', index, 3),
        project_id: null,
        due_date: date(start + ((index % 60) - 30) * 86_400_000),
        due_time: timed ? `${String(8 + (index % 10)).padStart(2, '0')}:30` : null,
        duration: timed ? '01:15' : null,
        busy: false,
        done,
        marked_as_done_time: done ? v2Time(second(place.updatedAt)) : null,
        location:
          index % 7 === 0 ? address({ street: 'Main Street 1', city, region: null, postalCode: null, country }) : null,
        participants:
          personId === null
            ? []
            : [
                { person_id: personId, primary: true },
                ...(index % 10 === 3 ? [{ person_id: 1 + (index % of('persons')), primary: false }] : []),
              ],
        attendees: [],
        conference_meeting_client: null,
        conference_meeting_url: null,
        conference_meeting_id: null,
        public_description: null,
        priority: null,
        note: index % 4 === 0 ? `<p>${text(index, 'Call &amp; ask')}</p>` : null,
      }
    },
    notes: (place, random) => {
      const { index } = place
      const dealId = index % 3 === 0 ? ref('deals', index, 99) : null
      const { firstName, lastName } = person(random, index)
      return {
        id: 1 + index,
        active_flag: true,
        ...times(place, v1Time),
        content: `<p>${text(index, `Note ${1 + index}`)}${mark(place)}</p>`,
        deal: dealId === null ? null : { title: `Deal ${dealId}` },
        lead_id: index % 3 === 1 && of('leads') > 0 ? leadId(index % of('leads')) : null,
        deal_id: dealId,
        last_update_user_id: null,
        org_id: null,
        organization: null,
        person: { name: `${firstName} ${lastName}` },
        person_id: ref('persons', index, 99),
        project_id: null,
        project: null,
        task_id: null,
        task: null,
        pinned_to_deal_flag: false,
        pinned_to_organization_flag: false,
        pinned_to_person_flag: false,
        pinned_to_project_flag: false,
        pinned_to_task_flag: false,
        user: { email: `agent${owner(index)}@agency.example`, icon_url: null, is_you: false, name: 'Agent' },
        user_id: owner(index),
      }
    },
  }
  return new Map(
    Object.entries(make).map(([object, maker]) => [
      object,
      new Table({
        seed,
        object,
        count: of(object),
        until: start,
        make: maker,
        idOf: object === 'leads' ? leadId : (index) => String(1 + index),
        now,
      }),
    ]),
  )
}

/** Identifier of one of the three default labels of leads. */
export function leadLabelId(at: number): string {
  return `f08b42a${at}-4e75-11ea-9643-03698ef1cfd6`
}

/** What shows that a record was changed. */
function mark({ version }: Place): string {
  return version === 0 ? '' : ` (changed ${version})`
}

function times({ createdAt, updatedAt }: Place, format: (at: number) => string): Row {
  return { add_time: format(second(createdAt)), update_time: format(second(updatedAt)) }
}

function address(given: {
  readonly street: string
  readonly city: string
  readonly region: string | null
  readonly postalCode: string | null
  readonly country: string
}): Row {
  const [, number = null, route = given.street] = /^(\d+) (.+)$/.exec(given.street) ?? []
  return {
    value: [given.street, given.city, given.region, given.postalCode, given.country]
      .filter((part) => part !== null)
      .join(', '),
    country: given.country,
    admin_area_level_1: given.region,
    admin_area_level_2: null,
    locality: given.city,
    sublocality: null,
    route,
    street_number: number,
    subpremise: null,
    postal_code: given.postalCode,
  }
}

/** Values of custom fields in the forms of v2; null everywhere now and then. */
function custom(fields: readonly CustomField[], index: number, random: Random): Row {
  return Object.fromEntries(
    fields.map(({ code, type, options: choices = [] }, at): [string, Json] => {
      const filled = (index + at) % 3 !== 0
      const choice = random.below(Math.max(1, choices.length))
      if (!filled) {
        return [code, null]
      }
      switch (type) {
        case 'enum':
          return [code, choices[choice]?.id ?? null]
        case 'set':
          return [code, choices.slice(choice).map(({ id }) => id)]
        case 'monetary':
          return [code, { value: 250_000 + index, currency: 'EUR' }]
        case 'int':
          return [code, 1 + (index % 6)]
        case 'double':
          return [code, index + 0.25]
        case 'date':
          return [code, date(Date.UTC(2026, index % 12, 1 + (index % 28)))]
        case 'daterange':
          return [code, { value: '2026-03-01', until: '2026-03-08' }]
        case 'address':
          return [
            code,
            address({
              street: `${1 + index} Elm Avenue`,
              city: 'Boston',
              region: 'MA',
              postalCode: '02108',
              country: 'United States',
            }),
          ]
        default:
          return [code, `Text ${index}`]
      }
    }),
  )
}

/** The same in the form of v1: at the top, with further keys beside. */
function spread(fields: readonly CustomField[], values: Row): Row {
  const result: Record<string, Json> = {}
  for (const { code, type } of fields) {
    const value = values[code] ?? null
    const parts = value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Row) : null
    if (type === 'set' || type === 'enum') {
      // Identifiers as text, joined by commas.
      result[code] = value === null ? null : JSON.stringify(value).replaceAll(/[[\]]/g, '')
      continue
    }
    result[code] = parts === null ? value : (parts.value ?? null)
    if (type === 'monetary') {
      result[`${code}_currency`] = parts?.currency ?? null
    } else if (type === 'daterange') {
      result[`${code}_until`] = parts?.until ?? null
    } else if (type === 'address') {
      for (const [name, part] of Object.entries(parts ?? {}).filter(([name]) => name !== 'value')) {
        result[`${code}_${name}`] = part ?? null
      }
      result[`${code}_formatted_address`] = parts?.value ?? null
    }
  }
  return result
}
