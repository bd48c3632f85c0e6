/** What the values of a record say together, as columns beside them: references with their object, owners by e-mail, states. */
import type { VendorApi, VendorField, VendorObject } from '../vendor.js'
import { directoryOf, isPropertyLike } from './directory.js'
import { has, lengthened } from './soql.js'

/** The member of a line under which derived columns stand. */
const MEMBER = 'portage'

type Values = Readonly<Record<string, string | null>>

/** What to derive with. */
export interface Derivation {
  readonly api: VendorApi
  readonly object: VendorObject
  /** Events that have ended by then are done. ISO 8601. */
  readonly now: string
  readonly signal: AbortSignal
}

/** Words of a task's state that the mapping knows; others are done or not, as Salesforce says. */
export const TASK_STATES: Readonly<Record<string, string>> = {
  'Not Started': 'PLANNED',
  'In Progress': 'IN_PROGRESS',
  Completed: 'COMPLETED',
  'Waiting on someone else': 'DEFERRED',
  Deferred: 'DEFERRED',
}

function column(
  name: string,
  label: string,
  kind: VendorField['kind'],
  references: readonly string[] = [],
): VendorField {
  return { name: `${MEMBER}.${name}`, label, kind, custom: false, references, options: null, calculated: true }
}

/** The derived columns that the object's records have. `properties`: names of the objects that are like properties. */
export function derivedFields(object: VendorObject, properties: readonly string[]): readonly VendorField[] {
  const owner = has(object, 'OwnerId') ? [column('ownerEmail', 'E-mail of the owner', 'EMAIL')] : []
  switch (object.name) {
    case 'Contact':
      return [column('organization', 'Account as a record', 'REFERENCE', ['Account']), ...owner]
    case 'Lead':
      return [
        column('status', 'Status, converted ones told', 'ENUM'),
        column('contact', 'Contact that it was converted to', 'REFERENCE', ['Contact']),
        ...owner,
      ]
    case 'Opportunity':
      return [
        column('status', 'Status by won and closed', 'ENUM'),
        column('contact', 'Contact, or account', 'REFERENCE', ['Contact', 'Account']),
        column('displayName', 'Name, of what has neither contact nor account', 'TEXT'),
        ...(properties.length === 0 ? [] : [column('property', 'Property', 'REFERENCE', properties)]),
        ...owner,
      ]
    case 'Task':
    case 'Event':
      return [
        column('status', 'Status', 'ENUM'),
        ...(object.name === 'Task'
          ? []
          : [
              column('startAt', 'Start, unless it takes all day', 'DATE_TIME'),
              column('endAt', 'End, unless it takes all day', 'DATE_TIME'),
              column('dueOn', 'Day, if it takes all day', 'DATE'),
            ]),
        column('contact', 'Contact, or account, that it is about', 'REFERENCE', ['Contact', 'Account']),
        column('lead', 'Lead, or opportunity, that it is about', 'REFERENCE', ['Lead', 'Opportunity']),
        column('property', 'Property that it is about', 'REFERENCE', properties),
        column('other', 'What else it is about', 'TEXT'),
        ...owner,
      ]
    default:
      return owner
  }
}

/** The derived columns of one record, without `portage.`. */
export async function derive(derivation: Derivation, data: Values): Promise<Record<string, string | null>> {
  const { api, object, now, signal } = derivation
  const directory = directoryOf(api)
  const derived: Record<string, string | null> = {}
  if (has(object, 'OwnerId')) {
    const owner = data.OwnerId ?? null
    derived.ownerEmail = owner === null ? null : ((await directory.emails(signal)).get(lengthened(owner)) ?? null)
  }
  const to = (name: string, id: string | null | undefined): string | null =>
    id === null || id === undefined ? null : `${name}/${lengthened(id)}`
  switch (object.name) {
    case 'Contact':
      // The account of a person account is the person, who is here already.
      derived.organization = data.IsPersonAccount === 'true' ? null : to('Account', data.AccountId)
      break
    case 'Lead':
      derived.status = data.IsConverted === 'true' ? 'CONVERTED' : (data.Status ?? null)
      derived.contact = data.IsConverted === 'true' ? to('Contact', data.ConvertedContactId) : null
      break
    case 'Opportunity':
      derived.status = data.IsWon === 'true' ? 'CONVERTED' : data.IsClosed === 'true' ? 'LOST' : 'QUALIFIED'
      derived.contact =
        to('Contact', data.ContactId) ?? to('Contact', data['Account.PersonContactId']) ?? to('Account', data.AccountId)
      derived.displayName = derived.contact === null ? (data.Name ?? null) : null
      if (has(object, 'portage.property')) {
        derived.property = await propertyOf(derivation, data)
      }
      break
    case 'Task':
    case 'Event':
      Object.assign(derived, await links(derivation, data))
      if (object.name === 'Task') {
        const known = TASK_STATES[data.Status ?? ''] !== undefined
        derived.status = !known && data.IsClosed === 'true' ? 'Completed' : (data.Status ?? null)
      } else {
        const allDay = data.IsAllDayEvent === 'true'
        const end = data.EndDateTime ?? data.ActivityDateTime ?? data.ActivityDate ?? null
        derived.status = end !== null && Date.parse(end) < Date.parse(now) ? 'COMPLETED' : 'PLANNED'
        derived.startAt = allDay ? null : (data.StartDateTime ?? data.ActivityDateTime ?? null)
        derived.endAt = allDay ? null : (data.EndDateTime ?? null)
        derived.dueOn = allDay ? (data.ActivityDate ?? data.StartDateTime?.slice(0, 10) ?? null) : null
      }
      break
    default:
  }
  return derived
}

/** A task or event is about a person (`WhoId`) and about anything else (`WhatId`). */
async function links({ api, object, signal }: Derivation, data: Values): Promise<Record<string, string | null>> {
  const found: Record<string, string | null> = { contact: null, lead: null, property: null, other: null }
  const properties = object.fields.find(({ name }) => name === `${MEMBER}.property`)?.references ?? []
  for (const id of [data.WhoId, data.WhatId]) {
    if (id === null || id === undefined) {
      continue
    }
    const person = data['Account.PersonContactId'] ?? null
    if (
      person !== null &&
      data.AccountId !== null &&
      data.AccountId !== undefined &&
      lengthened(id) === lengthened(data.AccountId)
    ) {
      // A person account: the person is here as a contact, once.
      found.contact ??= `Contact/${lengthened(person)}`
      continue
    }
    const name = await directoryOf(api).objectOf(id, signal)
    const place =
      name === 'Contact' || name === 'Account'
        ? 'contact'
        : name === 'Lead' || name === 'Opportunity'
          ? 'lead'
          : name !== null && (properties.includes(name) || isPropertyLike({ name, label: name }))
            ? 'property'
            : 'other'
    const reference = `${name ?? 'Unknown'}/${lengthened(id)}`
    // The person has the place; what else it is about is still told.
    if (found[place] === null) {
      found[place] = reference
    } else {
      found.other = reference
    }
  }
  return found
}

/** The first reference of an opportunity to an object that is like a property. */
async function propertyOf({ api, object, signal }: Derivation, data: Values): Promise<string | null> {
  const properties = object.fields.find(({ name }) => name === `${MEMBER}.property`)?.references ?? []
  for (const field of object.fields) {
    const id = data[field.name] ?? null
    if (field.custom && id !== null && field.references.some((name) => properties.includes(name))) {
      const name = await directoryOf(api).objectOf(id, signal)
      if (name !== null && properties.includes(name)) {
        return `${name}/${lengthened(id)}`
      }
    }
  }
  return null
}
