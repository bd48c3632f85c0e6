/** What further columns say of a record: names instead of ids, the parts of lists, and which records it belongs to. */
import type { Json, VendorField, VendorObject } from '../vendor.js'
import type { PipedriveObject } from './objects.js'

/** A record as it was received. */
export type Received = { readonly [key: string]: Json }

type Derived = Record<string, string | null>

/** Records of users, by id: the e-mail address. */
export type Owners = ReadonlyMap<string, string>

const HASH = /^portage\.[0-9a-f]{40}$/

/** The further columns of a record. Nothing throws: a value that is not what it should be gives null. */
export function derived(kind: PipedriveObject, object: VendorObject, row: Received, owners: Owners): Derived {
  const owner = idText(row[kind.owner])
  return {
    ownerEmail: owner === null ? null : (owners.get(owner) ?? null),
    ...own(kind, object, row),
    ...customs(kind, object, row, owners),
  }
}

function own(kind: PipedriveObject, object: VendorObject, row: Received): Derived {
  const label = (name: string) => labelOf(object, name, row[name])
  switch (kind.name) {
    case 'organizations':
      return { addressLine1: street(row.address), labels: label('label_ids'), industry: label('industry') }
    case 'persons':
      return {
        organization: refer('organizations', row.org_id),
        ...emailsOf(row.emails),
        ...phonesOf(row.phones),
        addressLine1: street(row.postal_address),
        labels: label('label_ids'),
        emailOptOut: row.marketing_status === 'unsubscribed' ? 'true' : null,
      }
    case 'leads':
      return {
        contact: refer('persons', row.person_id) ?? refer('organizations', row.organization_id),
        rating: ratingOf(object, row.label_ids),
        labels: label('label_ids'),
        channel: label('channel'),
        receivedAt: textOf(row.add_time),
      }
    case 'deals': {
      const contact = refer('persons', row.person_id) ?? refer('organizations', row.org_id)
      return {
        contact,
        displayName: contact === null ? textOf(row.title) : null,
        pipeline: label('pipeline_id'),
        stage: label('stage_id'),
        labels: label('label_ids'),
        channel: label('channel'),
        receivedAt: textOf(row.add_time),
      }
    }
    case 'activities':
      return { priority: priorityOf(label('priority')), ...timesOf(row), ...linksOf(row) }
    case 'notes':
      return linksOf(row)
  }
}

/** Lists as the importer reads them: entries apart by semicolons, in quotes where they hold a separator. */
function listText(entries: readonly string[]): string | null {
  return entries.length === 0
    ? null
    : entries.map((entry) => (/^\s*"|[;,|]|:::/.test(entry) ? `"${entry.replaceAll('"', '""')}"` : entry)).join('; ')
}

/** Ids in v2 are numbers; v1 sometimes spells out what stands behind them. */
function idText(value: Json | undefined): string | null {
  if (typeof value === 'number' || typeof value === 'string') {
    return String(value) === '' ? null : String(value)
  }
  const inner = membersOf(value)
  return inner === null ? null : idText(inner.id ?? inner.value)
}

function membersOf(value: Json | undefined): Received | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Received) : null
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : null
}

function refer(object: string, id: Json | undefined): string | null {
  const text = idText(id)
  return text === null ? null : `${object}/${text}`
}

function idsOf(value: Json | undefined): readonly string[] {
  const all = Array.isArray(value) ? (value as readonly Json[]) : typeof value === 'string' ? value.split(',') : [value]
  return all.flatMap((one) => idText(typeof one === 'string' ? one.trim() : one) ?? [])
}

/** Names of options; an option that is not known any more stays the id that it was. */
function labelOf(object: VendorObject, name: string, value: Json | undefined): string | null {
  const options = object.fields.find((field) => field.name === name)?.options ?? []
  return listText(idsOf(value).map((id) => options.find((option) => option.value === id)?.label ?? id))
}

function ratingOf(object: VendorObject, value: Json | undefined): string | null {
  const options = object.fields.find(({ name }) => name === 'label_ids')?.options ?? []
  const names = idsOf(value).map((id) =>
    options
      .find((option) => option.value === id)
      ?.label.trim()
      .toUpperCase(),
  )
  return names.find((name) => name !== undefined && ['HOT', 'WARM', 'COLD'].includes(name)) ?? null
}

function priorityOf(label: string | null): string | null {
  const known: Readonly<Record<string, string>> = { high: 'HIGH', medium: 'NORMAL', normal: 'NORMAL', low: 'LOW' }
  return known[label?.trim().toLowerCase() ?? ''] ?? null
}

function street(value: Json | undefined): string | null {
  const parts = membersOf(value)
  if (parts === null) {
    return textOf(value)
  }
  const line = [textOf(parts.street_number), textOf(parts.route)].filter((part) => part !== null).join(' ')
  return line === '' ? textOf(parts.value) : line
}

interface Entry {
  readonly value: string
  readonly label: string
}

/** Entries of a list of e-mails or phones, the primary one first, each value once. */
function entriesOf(value: Json | undefined): readonly Entry[] {
  const all = (Array.isArray(value) ? (value as readonly Json[]) : []).map(membersOf).filter((entry) => entry !== null)
  const sorted = [...all.filter(({ primary }) => primary === true), ...all.filter(({ primary }) => primary !== true)]
  const seen = new Set<string>()
  return sorted.flatMap((entry) => {
    const text = textOf(entry.value)?.trim() ?? ''
    if (text === '' || seen.has(text.toLowerCase())) {
      return []
    }
    seen.add(text.toLowerCase())
    return [{ value: text, label: textOf(entry.label)?.toLowerCase() ?? '' }]
  })
}

function emailsOf(value: Json | undefined): Derived {
  const [first, second, ...further] = entriesOf(value).map((entry) => entry.value)
  return { email: first ?? null, secondaryEmail: second ?? null, furtherEmails: listText(further) }
}

/** Each number goes where its label says; the first without such a label is the phone. */
function phonesOf(value: Json | undefined): Derived {
  const places: Record<string, string | null> = { phone: null, mobilePhone: null, homePhone: null, fax: null }
  const named: Readonly<Record<string, string>> = { mobile: 'mobilePhone', home: 'homePhone', fax: 'fax' }
  const further: string[] = []
  for (const entry of entriesOf(value)) {
    const place = named[entry.label] ?? 'phone'
    const free = places[place] === null ? place : place === 'fax' || places.phone !== null ? null : 'phone'
    if (free === null) {
      further.push(entry.value)
    } else {
      places[free] = entry.value
    }
  }
  return { ...places, furtherPhones: listText(further) }
}

function timesOf(row: Received): Derived {
  const day = /^\d{4}-\d\d-\d\d/.exec(textOf(row.due_date) ?? '')?.[0] ?? null
  const time = /^(\d\d):(\d\d)(?::(\d\d))?/.exec(timeText(row.due_time) ?? '')
  const duration = /^(\d{1,4}):(\d\d)(?::(\d\d))?$/.exec(timeText(row.duration) ?? '')
  const seconds =
    duration === null ? null : Number(duration[1]) * 3600 + Number(duration[2]) * 60 + Number(duration[3] ?? 0)
  const start =
    day === null || time === null ? null : new Date(`${day}T${time[1]}:${time[2]}:${time[3] ?? '00'}Z`).getTime()
  const good = start !== null && !Number.isNaN(start)
  return {
    startAt: good ? new Date(start).toISOString() : null,
    endAt: good && seconds !== null && seconds > 0 ? new Date(start + seconds * 1000).toISOString() : null,
    dueOn: good ? null : day,
    durationSeconds: seconds === null || seconds === 0 ? null : String(seconds),
  }
}

/** Times are texts, or texts within an object. */
function timeText(value: Json | undefined): string | null {
  return textOf(membersOf(value)?.value ?? value)
}

/** Where a record belongs: one contact and one lead or deal, and everything else besides. */
function linksOf(row: Received): Derived {
  const participants = (Array.isArray(row.participants) ? (row.participants as readonly Json[]) : [])
    .map(membersOf)
    .filter((one) => one !== null)
  const people = [
    refer('persons', row.person_id),
    ...participants.filter(({ primary }) => primary === true).map(({ person_id }) => refer('persons', person_id)),
    ...participants.filter(({ primary }) => primary !== true).map(({ person_id }) => refer('persons', person_id)),
    refer('organizations', row.org_id),
  ].filter((one) => one !== null)
  const leads = [refer('deals', row.deal_id), refer('leads', row.lead_id)].filter((one) => one !== null)
  const further = [...new Set(people)].slice(1).concat(leads.slice(1))
  return {
    contact: people[0] ?? null,
    lead: leads[0] ?? null,
    furtherLinks: further.length === 0 ? null : further.join('; '),
  }
}

/** Fields of the account's own, each under the 40 characters that stand for it. */
function customs(kind: PipedriveObject, object: VendorObject, row: Received, owners: Owners): Derived {
  const values = kind.version === 2 ? membersOf(row.custom_fields) : row
  const columns: Derived = {}
  for (const field of object.fields) {
    if (HASH.test(field.name)) {
      const hash = field.name.slice('portage.'.length)
      const value = values?.[hash] ?? null
      columns[hash] = customText(field, value, owners)
      for (const part of PARTS) {
        if (object.fields.some(({ name }) => name === `portage.${hash}_${part}`)) {
          // v2 has an object with all parts, v1 further members beside the field.
          columns[`${hash}_${part}`] = textOf(membersOf(value)?.[part] ?? values?.[`${hash}_${part}`])
        }
      }
    }
  }
  return columns
}

/** What else a value can consist of. */
export const PARTS = ['currency', 'until'] as const

function customText(field: VendorField, value: Json, owners: Owners): string | null {
  if (value === null || value === '') {
    return null
  }
  if (field.options !== null) {
    const ids = idsOf(value)
    return listText(ids.map((id) => field.options?.find((option) => option.value === id)?.label ?? id))
  }
  const [to] = field.references
  if (to !== undefined) {
    const id = idText(value)
    return id === null ? null : to === 'users' ? (owners.get(id) ?? id) : `${to}/${id}`
  }
  if (Array.isArray(value)) {
    return listText((value as readonly Json[]).flatMap((one) => idText(one) ?? []))
  }
  const inner = membersOf(value)
  if (inner !== null) {
    return textOf(inner.value) ?? textOf(inner.formatted_address)
  }
  return String(value as string | number | boolean)
}
