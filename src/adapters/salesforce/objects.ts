/** Which of Salesforce's objects can be moved in, and what is known of their fields. */
import type { FieldKind, RecordTypeName } from '../../records/types.js'
import { VendorRefused, vendorUnavailable } from '../http/errors.js'
import type { VendorApi, VendorField, VendorObject } from '../vendor.js'
import { derivedFields } from './derive.js'
import { directoryOf, type GlobalObject, isPropertyLike } from './directory.js'
import { API_VERSION, DATA } from './soql.js'

/** A field as a description has it; what is not read here is left out. */
interface DescribedField {
  readonly name: string
  readonly label: string
  readonly type: string
  readonly custom: boolean
  readonly calculated?: boolean
  readonly referenceTo?: readonly string[]
  readonly picklistValues?: readonly { readonly value: string; readonly label: string | null }[]
}

interface Described {
  readonly name: string
  readonly label: string
  readonly custom: boolean
  readonly queryable: boolean
  readonly fields: readonly DescribedField[]
}

/** In the order in which they are best loaded; what is like a property comes between people and leads. */
const NATIVE: readonly { readonly name: string; readonly type: RecordTypeName }[] = [
  { name: 'Account', type: 'contact' },
  { name: 'Contact', type: 'contact' },
  { name: 'Lead', type: 'lead' },
  { name: 'Opportunity', type: 'lead' },
  { name: 'Task', type: 'activity' },
  { name: 'Event', type: 'activity' },
]

/** Custom objects that are looked at, those that are like properties first. */
const CUSTOM_OBJECTS_MAX = 100

/** Descriptions that one request asks for. */
const DESCRIPTIONS_AT_ONCE = 25

const KINDS: Readonly<Record<string, FieldKind>> = {
  textarea: 'LONG_TEXT',
  email: 'EMAIL',
  phone: 'PHONE',
  url: 'URL',
  boolean: 'BOOLEAN',
  int: 'INTEGER',
  long: 'INTEGER',
  double: 'DECIMAL',
  percent: 'DECIMAL',
  currency: 'MONEY',
  date: 'DATE',
  datetime: 'DATE_TIME',
  picklist: 'ENUM',
  multipicklist: 'MULTI_ENUM',
  reference: 'REFERENCE',
}

/** Their parts are fields of their own; files are not read. */
const UNREADABLE = new Set(['address', 'location', 'base64', 'anyType', 'complexvalue', 'junctionidlist'])

/** All objects that can be moved in. Throws as the door does. */
export async function discover(api: VendorApi, signal: AbortSignal): Promise<readonly VendorObject[]> {
  const all = (await directoryOf(api).objects(signal)).filter(
    (object) => object.queryable && object.deprecatedAndHidden !== true && object.customSetting !== true,
  )
  const there = new Map(all.map((object) => [object.name, object]))
  const custom = all
    .filter((object) => object.custom && object.name.endsWith('__c'))
    .toSorted(
      (one, other) => Number(isPropertyLike(other)) - Number(isPropertyLike(one)) || (one.name < other.name ? -1 : 1),
    )
    .slice(0, CUSTOM_OBJECTS_MAX)
  const properties = custom.filter(isPropertyLike)
  const [accounts, people, ...others] = NATIVE
  const names = [
    ...[accounts, people].flatMap((native) => native?.name ?? []),
    ...properties.map(({ name }) => name),
    ...others.map(({ name }) => name),
    ...custom.filter((object) => !isPropertyLike(object)).map(({ name }) => name),
  ].filter((name) => there.has(name))
  const described = await describe(api, names, signal)
  const counts = await recordCounts(api, names, signal)
  return names.flatMap((name) => {
    const description = described.get(name)
    return description === undefined || !description.queryable
      ? []
      : [objectOf(description, there.get(name) ?? null, counts.get(name) ?? null, properties, described.get('Account'))]
  })
}

/** One object as it is now; null: it is gone. */
export async function describeObject(
  api: VendorApi,
  name: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | null> {
  const description = (await describe(api, [name], signal)).get(name)
  return description === undefined ? null : new Set(description.fields.map((field) => field.name))
}

function objectOf(
  description: Described,
  global: GlobalObject | null,
  recordCount: number | null,
  properties: readonly GlobalObject[],
  account: Described | undefined,
): VendorObject {
  const native = NATIVE.find(({ name }) => name === description.name)
  const fields = description.fields.filter(({ type }) => !UNREADABLE.has(type)).map(fieldOf)
  // Who a person account is stands with the account, and these only name that.
  const person: readonly VendorField[] =
    ['Opportunity', 'Task', 'Event'].includes(description.name) &&
    account?.fields.some(({ name }) => name === 'PersonContactId') === true
      ? [
          {
            name: 'Account.PersonContactId',
            label: 'Contact of the person account',
            kind: 'TEXT',
            custom: false,
            references: ['Contact'],
            options: null,
            calculated: false,
          },
        ]
      : []
  const object: VendorObject = {
    name: description.name,
    label: description.label,
    custom: description.custom,
    fields: [...fields, ...person],
    recordCount,
    suggestedRecordType:
      native?.type ??
      (isPropertyLike({ name: description.name, label: global?.label ?? description.label }) ? 'property' : null),
  }
  const related = description.fields.flatMap(({ referenceTo = [] }) => referenceTo)
  const reached = properties
    .map(({ name }) => name)
    .filter((name) => native?.type === 'activity' || related.includes(name))
  return { ...object, fields: [...object.fields, ...derivedFields(object, reached)] }
}

function fieldOf(field: DescribedField): VendorField {
  const kind = KINDS[field.type] ?? 'TEXT'
  return {
    name: field.name,
    label: field.label,
    kind,
    custom: field.custom,
    references: field.referenceTo ?? [],
    options:
      kind === 'ENUM' || kind === 'MULTI_ENUM'
        ? (field.picklistValues ?? []).map(({ value, label }) => ({ value, label: label ?? value }))
        : null,
    calculated: field.calculated === true,
  }
}

async function describe(
  api: VendorApi,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Described>> {
  const found = new Map<string, Described>()
  for (let at = 0; at < names.length; at += DESCRIPTIONS_AT_ONCE) {
    const group = names.slice(at, at + DESCRIPTIONS_AT_ONCE)
    const together = group.length === 1 ? null : await describeTogether(api, group, signal)
    for (const description of together ?? (await describeEach(api, group, signal))) {
      found.set(description.name, description)
    }
  }
  return found
}

/** Null: the organisation does not offer it. */
async function describeTogether(
  api: VendorApi,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly Described[] | null> {
  try {
    const { value } = await api.json<{
      readonly results: readonly { readonly statusCode: number; readonly result: Described }[]
    } | null>({
      method: 'POST',
      path: `${DATA}/composite/batch`,
      json: {
        batchRequests: names.map((name) => ({ method: 'GET', url: `v${API_VERSION}/sobjects/${name}/describe` })),
      },
      // It only reads.
      repeatable: true,
      signal,
    })
    if (value?.results?.length !== names.length) {
      throw vendorUnavailable('Salesforce’s answer describes fewer objects than were asked for.')
    }
    return value.results.filter(({ statusCode }) => statusCode === 200).map(({ result }) => result)
  } catch (error) {
    if (error instanceof VendorRefused) {
      return null
    }
    throw error
  }
}

async function describeEach(
  api: VendorApi,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly Described[]> {
  const found: Described[] = []
  for (const name of names) {
    try {
      const { value } = await api.json<Described | null>({
        method: 'GET',
        path: `${DATA}/sobjects/${name}/describe`,
        signal,
      })
      if (!Array.isArray(value?.fields)) {
        throw vendorUnavailable(`Salesforce’s answer does not describe ${name}.`)
      }
      found.push(value)
    } catch (error) {
      // What this sign-in may not see does not exist for it.
      if (!(error instanceof VendorRefused) || error.reason === 'permission') {
        throw error
      }
    }
  }
  return found
}

/** Roughly how many records there are; empty where it is not told. */
async function recordCounts(
  api: VendorApi,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  try {
    const { value } = await api.json<{
      readonly sObjects: readonly { readonly name: string; readonly count: number }[]
    }>({
      method: 'GET',
      path: `${DATA}/limits/recordCount`,
      query: { sObjects: names.join(',') },
      signal,
    })
    return new Map((value?.sObjects ?? []).map(({ name, count }) => [name, count]))
  } catch (error) {
    if (error instanceof VendorRefused) {
      return new Map()
    }
    throw error
  }
}
