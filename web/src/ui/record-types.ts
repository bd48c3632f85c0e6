/** The four types of records: how they are asked for, what they are called, and what of them is shown first. */
import type { RecordTypeFieldsQuery } from '../api/generated.ts'
import { type Operation, text } from '../api/operation.ts'
import { words } from './format.ts'

export type RecordField = RecordTypeFieldsQuery['recordSchema']['fields'][number]
export type RecordType = RecordTypeFieldsQuery['recordSchema']['recordType']

/** A record with the fields that were asked for, by name. */
export interface AnyRecord {
  readonly __typename: string
  readonly id: string
  readonly customFields: readonly { readonly key: string; readonly value: string | null }[]
  readonly [field: string]: unknown
}

interface About {
  readonly one: string
  readonly many: string
  /** The field of Query that lists them. */
  readonly list: string
  readonly typename: string
  /** What ids of this type begin with. */
  readonly prefix: string
  /** The field that a record is called by. */
  readonly title: string
  /** What a list shows beside it until somebody chooses. */
  readonly columns: readonly string[]
  /** Where a search looks. */
  readonly search: readonly string[]
  /** Who refers to records of this type, and by which field. */
  readonly referredBy: readonly { readonly type: RecordType; readonly field: string; readonly words: string }[]
}

export const recordTypes: Readonly<Record<RecordType, About>> = {
  CONTACT: {
    one: 'contact',
    many: 'contacts',
    list: 'contacts',
    typename: 'Contact',
    prefix: 'con_',
    title: 'displayName',
    columns: ['email', 'phone', 'companyName', 'city', 'updatedAt'],
    search: ['displayName', 'email', 'phone', 'companyName'],
    referredBy: [
      { type: 'CONTACT', field: 'organization', words: 'People of this organization' },
      { type: 'LEAD', field: 'contact', words: 'Leads' },
      { type: 'PROPERTY', field: 'ownerContact', words: 'Properties owned' },
      { type: 'ACTIVITY', field: 'contact', words: 'Activities' },
    ],
  },
  LEAD: {
    one: 'lead',
    many: 'leads',
    list: 'leads',
    typename: 'Lead',
    prefix: 'led_',
    title: 'title',
    columns: ['status', 'email', 'contact', 'budgetMax', 'updatedAt'],
    search: ['title', 'displayName', 'email', 'phone'],
    referredBy: [{ type: 'ACTIVITY', field: 'lead', words: 'Activities' }],
  },
  PROPERTY: {
    one: 'property',
    many: 'properties',
    list: 'properties',
    typename: 'Property',
    prefix: 'prp_',
    title: 'name',
    columns: ['standardStatus', 'listPrice', 'city', 'listingId', 'updatedAt'],
    search: ['name', 'addressLine1', 'city', 'listingId'],
    referredBy: [
      { type: 'LEAD', field: 'property', words: 'Leads' },
      { type: 'ACTIVITY', field: 'property', words: 'Activities' },
    ],
  },
  ACTIVITY: {
    one: 'activity',
    many: 'activities',
    list: 'activities',
    typename: 'Activity',
    prefix: 'act_',
    title: 'subject',
    columns: ['type', 'status', 'startAt', 'contact', 'updatedAt'],
    search: ['subject', 'body', 'location'],
    referredBy: [],
  },
}

export const recordTypeNames = Object.keys(recordTypes) as RecordType[]

/** All of them, to choose from. */
export const recordTypeChoices = recordTypeNames.map((value) => ({ value, label: words(recordTypes[value].many) }))

/** The type that an address names, in any case; null for none. */
export function recordTypeOf(name: string | undefined): RecordType | null {
  const upper = name?.toUpperCase()
  return recordTypeNames.find((each) => each === upper) ?? null
}

/** The type of the record with this id; null for an id of something else. */
export function typeOfId(id: string): RecordType | null {
  return recordTypeNames.find((each) => id.startsWith(recordTypes[each].prefix)) ?? null
}

/** What every record has beside the fields of its schema. */
export const ownFields: readonly RecordField[] = (
  [
    ['createdAt', 'Created here'],
    ['updatedAt', 'Changed here'],
  ] as const
).map(([name, label]) => ({
  __typename: 'RecordField',
  id: null,
  name,
  label,
  description: null,
  kind: 'DATE_TIME',
  required: false,
  unique: false,
  sensitive: false,
  custom: false,
  options: null,
  maxLength: null,
  references: null,
}))

/** How each of these fields is asked for; custom ones come together. */
function selection(fields: readonly RecordField[]): string {
  return [
    'id',
    ...fields
      .filter(({ custom }) => !custom)
      .map(({ name, references }) =>
        references === null ? name : `${name} {\n  id\n  ${recordTypes[references].title}\n}`,
      ),
    'customFields {\n  key\n  value\n}',
  ].join('\n')
}

function indented(text: string, by: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(by)}`)
}

/** A condition as `RecordFilterInput` takes it. */
export interface Condition {
  readonly field: string
  readonly operator: string
  readonly value?: string
}

export interface Filter {
  readonly and?: readonly Filter[]
  readonly or?: readonly Filter[]
  readonly where?: Condition
}

export interface ListVariables {
  readonly filter: Filter | null
  readonly orderBy?: readonly { readonly field: string; readonly direction: 'ASC' | 'DESC' }[] | null
  readonly after?: string | null
  readonly [name: string]: unknown
}

export interface Listed {
  readonly [list: string]: {
    readonly nodes: readonly AnyRecord[]
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
  }
}

/** The operation that lists records of a type with just these fields: a page asks for what it shows. */
export function listOf(
  type: RecordType,
  fields: readonly RecordField[],
  first: number,
): Operation<Listed, ListVariables> {
  const { list, typename } = recordTypes[type]
  return text(`query List${typename}Records($after: String, $filter: RecordFilterInput, $orderBy: [RecordOrderInput!]) {
  ${list}(first: ${first}, after: $after, filter: $filter, orderBy: $orderBy) {
    nodes {
      __typename
      ${indented(selection(fields), 6)}
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}`)
}

/** The operation that lists nothing but what records are called. */
export function namesOf(type: RecordType, first: number): Operation<Listed, ListVariables> {
  const { list, typename, title } = recordTypes[type]
  return text(`query Name${typename}Records($filter: RecordFilterInput) {
  ${list}(first: ${first}, filter: $filter) {
    nodes {
      __typename
      id
      ${title}
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}`)
}

/** The operation that counts what such a list holds. */
export function countOf(
  type: RecordType,
): Operation<{ readonly [list: string]: { readonly totalCount: number } }, ListVariables> {
  const { list, typename } = recordTypes[type]
  return text(`query Count${typename}Records($filter: RecordFilterInput) {
  ${list}(first: 1, filter: $filter) {
    totalCount
  }
}`)
}

export interface Touch {
  readonly action: string
  readonly at: string
  readonly changedFields: readonly string[]
  readonly rowNumber: number | null
  readonly runId: string
}

/** A record with all there is to know of it. */
export interface WholeRecord extends AnyRecord {
  readonly version: number
  readonly createdAt: string
  readonly updatedAt: string
  readonly identities: readonly {
    readonly externalId: string
    readonly sourceSystem: string
    readonly url: string | null
  }[]
  readonly provenance: readonly Touch[]
}

/** The operation that reads one record with all fields of its schema. */
export function oneOf(
  type: RecordType,
  fields: readonly RecordField[],
): Operation<{ readonly node: WholeRecord | null }, { readonly id: string }> {
  const { typename } = recordTypes[type]
  return text(`query Whole${typename}($id: ID!) {
  node(id: $id) {
    __typename
    ... on ${typename} {
      version
      createdAt
      updatedAt
      ${indented(selection(fields), 6)}
      identities {
        externalId
        sourceSystem
        url
      }
      provenance(first: 50) {
        action
        at
        changedFields
        rowNumber
        runId
      }
    }
  }
}`)
}

/** The operation that reads the first records that refer to one, and how many there are. */
export function referringOf(type: RecordType): Operation<
  {
    readonly [alias: string]: { readonly totalCount: number; readonly nodes: readonly AnyRecord[] }
  },
  { readonly [filter: string]: unknown }
> {
  const { typename, referredBy } = recordTypes[type]
  const variables = referredBy.map((_, index) => `$filter${index}: RecordFilterInput`).join(', ')
  const lists = referredBy.map(({ type: from }, index) => {
    const { list, title } = recordTypes[from]
    return `  list${index}: ${list}(first: 5, filter: $filter${index}) {
    totalCount
    nodes {
      __typename
      id
      ${title}
    }
  }`
  })
  return text(`query ReferTo${typename}(${variables}) {\n${lists.join('\n')}\n}`)
}

/** What a record is called; its id where it has no name or that is hidden. */
export function titleOf(type: RecordType, record: { readonly id: string; readonly [field: string]: unknown }): string {
  const title = record[recordTypes[type].title]
  return typeof title === 'string' && title.trim() !== '' ? title : record.id
}

/** What a record has in a field: of a custom one its text. */
export function valueOf(record: AnyRecord, field: RecordField): unknown {
  if (!field.custom) {
    return record[field.name] ?? null
  }
  const key = field.name.replace(/^custom\./, '')
  return record.customFields.find((each) => each.key === key)?.value ?? null
}

/** What a field holds, for people; null where nothing is said. */
export function described({ description }: RecordField): string | null {
  return description?.replaceAll(/`([^`]*)`/g, '“$1”') ?? null
}

/** Words to search for and conditions, as one filter; null for none. Each word has to be in one of the fields. */
export function filterOf(searched: readonly string[], words: string, conditions: readonly Condition[]): Filter | null {
  const parts: Filter[] = [
    ...words
      .split(/\s+/)
      .filter((word) => word !== '' && searched.length > 0)
      .slice(0, 8)
      .map((word) => ({
        or: searched.map((field) => ({ where: { field, operator: 'CONTAINS', value: word } })),
      })),
    ...conditions.map((where) => ({ where })),
  ]
  return parts.length === 0 ? null : { and: parts }
}

/** The address of a list with a filter. */
export function recordsHref(type: RecordType, conditions: readonly Condition[] = []): string {
  const query = conditions.length === 0 ? '' : `?${new URLSearchParams({ where: JSON.stringify(conditions) })}`
  return `/console/records/${type.toLowerCase()}${query}`
}
