/** What there is in an account: its objects with Pipedrive's fields and with those of its own. */
import type { FieldKind } from '../../records/types.js'
import type { VendorApi, VendorField, VendorObject } from '../vendor.js'
import type { Received } from './derive.js'
import { PARTS } from './derive.js'
import { COST, OBJECTS, type PipedriveObject } from './objects.js'
import { listOf, pagesOf } from './requests.js'

type Options = readonly { readonly value: string; readonly label: string }[]

/** How Pipedrive's types of fields read here; those that are not listed are text. */
const KINDS: Readonly<Record<string, FieldKind>> = {
  int: 'INTEGER',
  double: 'DECIMAL',
  monetary: 'MONEY',
  boolean: 'BOOLEAN',
  date: 'DATE',
  daterange: 'DATE',
  enum: 'ENUM',
  set: 'MULTI_ENUM',
  text: 'LONG_TEXT',
  phone: 'PHONE',
  people: 'REFERENCE',
  org: 'REFERENCE',
  deal: 'REFERENCE',
  lead: 'REFERENCE',
}

const REFERS: Readonly<Record<string, string>> = {
  people: 'persons',
  org: 'organizations',
  deal: 'deals',
  lead: 'leads',
  user: 'users',
}

/** A description of a field, as v1 and v2 give it. */
interface Definition {
  readonly key: string
  readonly label: string
  readonly type: string
  readonly options: Options | null
}

/** Asks for the descriptions of all objects. Objects that this sign-in may not read are left out by the caller's request failing. */
export async function describe(api: VendorApi, signal: AbortSignal): Promise<readonly VendorObject[]> {
  const definitions = new Map<string, readonly Definition[]>()
  for (const { name, definitions: where } of OBJECTS) {
    if (where !== null) {
      const found: Definition[] = []
      for await (const page of pagesOf(api, { ...where, query: {} }, signal)) {
        found.push(...page.rows.map(definitionOf))
      }
      definitions.set(name, found)
    }
  }
  const named = async (path: string, cost: number, value: string): Promise<Options> =>
    (await listOf(api, { method: 'GET', path, cost, signal })).flatMap((row) => optionOf(row, value, 'name'))
  const special: Readonly<Record<string, Options>> = {
    'activities.type': await named('/v1/activityTypes', COST.oldList, 'key_string'),
    'leads.label_ids': await named('/v1/leadLabels', COST.labels, 'id'),
    'deals.pipeline_id': await named('/api/v2/pipelines', COST.stages, 'id'),
    'deals.stage_id': await named('/api/v2/stages', COST.stages, 'id'),
  }
  return OBJECTS.map((kind) => described(kind, definitions.get(kind.name) ?? [], special))
}

function described(
  kind: PipedriveObject,
  definitions: readonly Definition[],
  special: Readonly<Record<string, Options>>,
): VendorObject {
  const known = new Map(definitions.map((definition) => [definition.key, definition]))
  const native = kind.fields.map(
    ({ name, label, kind: fieldKind, references, calculated }): VendorField => ({
      name,
      label,
      kind: fieldKind,
      custom: false,
      references,
      options: special[`${kind.name}.${name}`] ?? known.get(name)?.options ?? null,
      calculated,
    }),
  )
  return {
    name: kind.name,
    label: kind.label,
    custom: false,
    fields: [...native, ...definitions.flatMap(customFields)],
    recordCount: null,
    suggestedRecordType: kind.recordType,
  }
}

/** A field of the account's own, and its further parts. Labels are not unique, so the key is its name. */
function customFields({ key, label, type, options }: Definition): readonly VendorField[] {
  if (!/^[0-9a-f]{40}$/.test(key)) {
    return []
  }
  const to = REFERS[type]
  const own: VendorField = {
    name: `portage.${key}`,
    label,
    kind: KINDS[type] ?? 'TEXT',
    custom: true,
    references: to === undefined ? [] : [to],
    options: type === 'enum' || type === 'set' ? (options ?? []) : null,
    calculated: false,
  }
  const [currency, until] = PARTS
  const part = (name: string, partLabel: string, partKind: FieldKind): VendorField => ({
    ...own,
    name: `${own.name}_${name}`,
    label: `${label}: ${partLabel}`,
    kind: partKind,
  })
  switch (type) {
    case 'monetary':
      return [own, part(currency, 'currency', 'TEXT')]
    case 'daterange':
      return [own, part(until, 'until', 'DATE')]
    case 'timerange':
      return [own, part(until, 'until', 'TEXT')]
    default:
      return [own]
  }
}

function definitionOf(row: Received): Definition {
  const text = (value: unknown) => (typeof value === 'string' ? value : '')
  const options = Array.isArray(row.options) ? (row.options as readonly Received[]) : null
  return {
    key: text(row.field_code) || text(row.key),
    label: text(row.field_name) || text(row.name),
    type: text(row.field_type),
    options: options?.flatMap((option) => optionOf(option, 'id', 'label')) ?? null,
  }
}

function optionOf(row: Received, value: string, label: string): Options {
  const id = row[value]
  const name = row[label]
  return typeof id === 'number' || typeof id === 'string'
    ? [{ value: String(id), label: typeof name === 'string' ? name : String(id) }]
    : []
}
