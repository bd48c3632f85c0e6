/** What there is in an account: HubSpot's objects, those that the account made, and the properties of all. */
import type { FieldKind } from '../../records/types.js'
import { VendorRefused } from '../http/errors.js'
import type { VendorApi, VendorField, VendorObject } from '../vendor.js'
import { stateOf } from './derive.js'
import { directoryOf, listOf, type Stage, textOf } from './directory.js'
import { customKind, type HubspotKind, KINDS, LISTINGS, nativeKind, PROPERTIES } from './objects.js'
import { pagesOf, paths, type Received } from './requests.js'

const TYPES: Readonly<Record<string, FieldKind>> = {
  number: 'DECIMAL',
  date: 'DATE',
  datetime: 'DATE_TIME',
  enumeration: 'ENUM',
  bool: 'BOOLEAN',
  phone_number: 'PHONE',
}

/** Asks for everything that this sign-in may read. */
export async function discover(api: VendorApi, signal: AbortSignal): Promise<readonly VendorObject[]> {
  const found: { readonly kind: HubspotKind; readonly custom: boolean; readonly properties: readonly Received[] }[] = []
  for (const kind of KINDS) {
    const properties = await propertiesOf(api, kind.name, signal)
    if (properties !== null) {
      found.push({ kind, custom: false, properties })
    }
  }
  for (const { id, label } of await ownObjects(api, signal)) {
    const properties = await propertiesOf(api, id, signal)
    if (properties !== null) {
      found.push({ kind: customKind(id, label), custom: true, properties })
    }
  }
  const there = new Map(found.map(({ kind }) => [kind.name, kind.recordType]))
  const objects: VendorObject[] = []
  for (const { kind, custom, properties } of found) {
    const stages = kind.pipelines ? await directoryOf(api).stages(kind.name, signal) : []
    objects.push({
      name: kind.name,
      label: kind.label,
      custom,
      fields: [
        ...FIXED,
        ...properties.flatMap((property) => fieldOf(property, stages)),
        ...derivedFields(kind, there, stages),
      ],
      recordCount: null,
      suggestedRecordType: kind.recordType,
    })
  }
  return loadOrder(objects)
}

/** Properties before what refers to them: objects of the account's own that are like one come after listings. */
function loadOrder(objects: readonly VendorObject[]): readonly VendorObject[] {
  const rank = ({ name, suggestedRecordType: type }: VendorObject): number =>
    name === 'companies' ? 0 : ['contact', 'property', 'lead', 'activity'].indexOf(type ?? '') + 1 || 9
  return [...objects].sort((one, other) => rank(one) - rank(other))
}

/** Null: there is no such object (400 or 404), it was not activated, or this sign-in may not read it (403). */
async function propertiesOf(api: VendorApi, object: string, signal: AbortSignal): Promise<readonly Received[] | null> {
  try {
    const properties: Received[] = []
    for await (const rows of pagesOf(api, paths.properties(object), { archived: false }, signal)) {
      properties.push(...rows.filter(({ archived }) => archived !== true))
    }
    return properties
  } catch (error) {
    if (error instanceof VendorRefused) {
      return null
    }
    throw error
  }
}

async function ownObjects(
  api: VendorApi,
  signal: AbortSignal,
): Promise<readonly { readonly id: string; readonly label: string }[]> {
  try {
    const objects: { id: string; label: string }[] = []
    for await (const rows of pagesOf(api, paths.schemas, { archived: false }, signal)) {
      for (const row of rows) {
        const id = textOf(row.objectTypeId)
        const { plural, singular } = (row.labels ?? {}) as Received
        if (id !== '' && nativeKind(id) === null) {
          objects.push({ id, label: textOf(plural) || textOf(singular) || textOf(row.name) || id })
        }
      }
    }
    return objects
  } catch (error) {
    if (error instanceof VendorRefused && error.reason !== 'request') {
      return []
    }
    throw error
  }
}

function plain(name: string, label: string, kind: FieldKind): VendorField {
  return { name, label, kind, custom: false, references: [], options: null, calculated: false }
}

const FIXED: readonly VendorField[] = [
  plain('id', 'Record ID', 'TEXT'),
  plain('createdAt', 'Created', 'DATE_TIME'),
  plain('updatedAt', 'Updated', 'DATE_TIME'),
]

function fieldOf(property: Received, stages: readonly Stage[]): readonly VendorField[] {
  const name = textOf(property.name)
  const type = textOf(property.type)
  const fieldType = textOf(property.fieldType)
  const options = listOf(property.options).map((option) => ({
    value: textOf(option.value),
    label: textOf(option.label) || textOf(option.value),
  }))
  const known = /^(dealstage|hs_pipeline_stage)$/.test(name)
    ? stages.map(({ id, label }) => ({ value: id, label }))
    : options
  const kind: FieldKind =
    type === 'enumeration' && fieldType === 'checkbox'
      ? 'MULTI_ENUM'
      : type === 'string' && /^(textarea|html)$/.test(fieldType)
        ? 'LONG_TEXT'
        : (TYPES[type] ?? 'TEXT')
  return name === ''
    ? []
    : [
        {
          name: `properties.${name}`,
          label: textOf(property.label) || name,
          kind,
          custom: property.hubspotDefined !== true,
          references: [],
          options: type === 'enumeration' ? known : null,
          calculated: property.calculated === true,
        },
      ]
}

/** Of references only those that something can stand behind. */
function derivedFields(
  kind: HubspotKind,
  there: ReadonlyMap<string, HubspotKind['recordType']>,
  stages: readonly Stage[],
): readonly VendorField[] {
  const like = [...there].filter(([name, type]) => name === LISTINGS || type === 'property').map(([name]) => name)
  return kind.derived.flatMap(({ name, label, kind: fieldKind, references, values }): readonly VendorField[] => {
    const targets = references.flatMap((to) => (to === PROPERTIES ? like : there.has(to) ? [to] : []))
    if (references.length > 0 && targets.length === 0) {
      return []
    }
    const told = name === 'portage.status' ? stages.map((stage) => stateOf(kind.name, stage) ?? stage.label) : []
    const options = [...new Set([...values.map(([from]) => from), ...told])]
    return [
      {
        ...plain(name, label, fieldKind),
        references: targets,
        options: fieldKind === 'ENUM' ? options.map((value) => ({ value, label: value })) : null,
        calculated: true,
      },
    ]
  })
}
