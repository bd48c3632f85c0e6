/** What the values of a record and its associations say together, as columns beside them. */
import type { VendorObject } from '../vendor.js'
import { type Account, membersOf, type Stage, textOf } from './directory.js'
import { LEADS, LISTINGS } from './objects.js'
import { idOf, type Linked, type Received } from './requests.js'

type Derived = Record<string, string | null>

/** What to derive with. */
export interface Derivation {
  readonly object: VendorObject
  readonly account: Account
  readonly owners: ReadonlyMap<string, string>
  readonly stages: readonly Stage[]
  /** What the record is associated with, by object. */
  readonly links: ReadonlyMap<string, readonly Linked[]>
}

/** The further columns of a record, without `portage.`. A value that is not what it should be gives null. */
export function derive(derivation: Derivation, row: Received): Derived {
  const { object, owners } = derivation
  const properties = membersOf(row.properties) ?? {}
  const value = (name: string): string | null => textOf(properties[name]) || null
  const owner = value('hubspot_owner_id')
  const links = linksOf(derivation)
  return {
    ...links,
    ownerEmail: owner === null ? null : (owners.get(owner) ?? null),
    ...own(derivation, object.name, value, links, row),
  }
}

function own(
  { object, account, stages }: Derivation,
  name: string,
  value: (name: string) => string | null,
  links: Derived,
  row: Received,
): Derived {
  const called = (...names: readonly string[]): string | null =>
    names.map((one) => value(one)?.trim() ?? '').find((text) => text !== '') ?? null
  switch (name) {
    case 'companies':
      return { displayName: called('name', 'domain', 'website', 'phone') ?? numbered(row) }
    case 'contacts': {
      const name = [called('firstname'), called('lastname')].filter((part) => part !== null).join(' ') || null
      const [second, ...further] = (value('hs_additional_emails') ?? '')
        .split(';')
        .map((email) => email.trim())
        .filter((email) => email !== '')
      const birth = value('date_of_birth')?.trim() ?? ''
      return {
        secondaryEmail: second ?? null,
        furtherEmails: further.length === 0 ? null : further.join('; '),
        birthDate: isDay(birth) ? birth : null,
        displayName: name ?? called('company', 'email', 'phone', 'mobilephone') ?? numbered(row),
      }
    }
    case LISTINGS:
      return { ...stageOf(stages, value('hs_pipeline_stage'), listingState), currency: account.currency }
    case LEADS:
      return {
        ...stageOf(stages, value('hs_pipeline_stage'), leadState),
        displayName: links.contact === null ? (called('hs_lead_name') ?? numbered(row)) : null,
        receivedAt: textOf(row.createdAt) || null,
      }
    case 'deals':
      return {
        ...stageOf(stages, value('dealstage'), dealState),
        displayName: links.contact === null ? (called('dealname') ?? numbered(row)) : null,
        expectedCloseDate: dayOf(value('closedate'), account.timeZone),
        receivedAt: textOf(row.createdAt) || null,
      }
    case 'calls': {
      const milliseconds = Number(value('hs_call_duration') ?? Number.NaN)
      return {
        outcome: labelOf(object, 'hs_call_disposition', value('hs_call_disposition')),
        durationSeconds:
          Number.isFinite(milliseconds) && milliseconds > 0 ? String(Math.round(milliseconds / 1000)) : null,
      }
    }
    case 'emails':
      // The text of HTML is taken where it is mapped, so text is written as HTML here.
      return { body: asHtml(value('hs_email_text')) ?? value('hs_email_html') }
    case 'meetings':
      return {
        startAt: value('hs_meeting_start_time') ?? value('hs_timestamp'),
        outcome: labelOf(object, 'hs_meeting_outcome', value('hs_meeting_outcome')),
      }
    case 'tasks': {
      const priority = value('hs_task_priority')
      return {
        dueOn: dayOf(value('hs_timestamp'), account.timeZone),
        priority: priority === 'NONE' ? null : priority,
      }
    }
    default:
      return {}
  }
}

/** What a record is called that nobody gave a name: here every record has one. */
function numbered(row: Received): string {
  return `HubSpot ${idOf(row)}`
}

/**
 * One association for each derived reference, as `<object>/<id>`: of the objects that it can name the first one that the record
 * has any of, the primary one of these, and else the lowest id, so that two readings agree. What is left goes to `furtherLinks`.
 */
function linksOf({ object, links }: Derivation): Derived {
  if (links.size === 0) {
    return {}
  }
  const columns: Derived = {}
  const taken = new Set<string>()
  const all: string[] = []
  for (const [to, linked] of links) {
    for (const { id } of sorted(linked)) {
      all.push(`${to}/${id}`)
    }
  }
  for (const { name, references } of object.fields) {
    if (references.length > 0 && name.startsWith('portage.')) {
      const [to] = references.filter((candidate) => (links.get(candidate) ?? []).length > 0)
      const [first] = sorted(to === undefined ? [] : (links.get(to) ?? []))
      const reference = first === undefined ? null : `${to}/${first.id}`
      columns[name.slice('portage.'.length)] = reference
      taken.add(reference ?? '')
    }
  }
  const further = [...new Set(all)].filter((reference) => !taken.has(reference))
  return { ...columns, furtherLinks: further.length === 0 ? null : further.join('; ') }
}

function sorted(linked: readonly Linked[]): readonly Linked[] {
  return [...linked].sort(
    (one, other) =>
      Number(other.isPrimary) - Number(one.isPrimary) ||
      one.id.length - other.id.length ||
      (one.id < other.id ? -1 : 1),
  )
}

function stageOf(stages: readonly Stage[], id: string | null, stateOf: (stage: Stage) => string | null): Derived {
  const stage = stages.find((candidate) => candidate.id === id)
  return {
    status: stage === undefined ? id : (stateOf(stage) ?? stage.label),
    stage: stage?.label ?? id,
    pipeline: stage?.pipeline ?? null,
  }
}

/** What the stage of an object's pipeline means here; null: only the account knows. */
export function stateOf(object: string, stage: Stage): string | null {
  return object === LISTINGS ? listingState(stage) : object === LEADS ? leadState(stage) : dealState(stage)
}

/** Won, lost or open: HubSpot says so of each stage. */
function dealState({ metadata, label }: Stage): string | null {
  const isClosed = textOf(metadata.isClosed) === 'true' || metadata.isClosed === true
  const probability = Number(textOf(metadata.probability) || Number.NaN)
  if (isClosed || probability === 1) {
    return probability === 1 ? 'CONVERTED' : 'LOST'
  }
  return Number.isNaN(probability) && !('isClosed' in metadata) ? wordState(label, DEAL_WORDS) : 'QUALIFIED'
}

/** HubSpot has a meaning for each stage of a lead; where it is not told, the usual names say it. */
function leadState({ metadata, label }: Stage): string | null {
  return wordState(textOf(metadata.leadState), LEAD_WORDS) ?? wordState(label, LEAD_WORDS)
}

function listingState({ label }: Stage): string | null {
  return wordState(label, LISTING_WORDS)
}

type Words = readonly (readonly [word: RegExp, state: string])[]

const DEAL_WORDS: Words = [
  [/\bwon\b/i, 'CONVERTED'],
  [/\blost\b/i, 'LOST'],
]

const LEAD_WORDS: Words = [
  [/^new\b/i, 'NEW'],
  [/^(attempting|attempted)/i, 'ATTEMPTED'],
  [/^(connected|contacted|in progress|in_progress)/i, 'CONTACTED'],
  [/^(unqualified|disqualified)/i, 'UNQUALIFIED'],
  [/^qualified/i, 'QUALIFIED'],
  [/^open\b/i, 'OPEN'],
]

const LISTING_WORDS: Words = [
  [/under (contract|offer|agreement)/i, 'ACTIVE_UNDER_CONTRACT'],
  [/coming soon|pre.?market/i, 'COMING_SOON'],
  [/\b(sold|closed)\b/i, 'CLOSED'],
  [/\bpending\b/i, 'PENDING'],
  [/withdrawn/i, 'WITHDRAWN'],
  [/expired/i, 'EXPIRED'],
  [/cancell?ed/i, 'CANCELED'],
  [/\b(on )?hold\b/i, 'HOLD'],
  [/\b(active|available|listed|for sale|on.?market)\b/i, 'ACTIVE'],
  [/draft|incomplete/i, 'INCOMPLETE'],
]

function wordState(text: string, words: Words): string | null {
  return words.find(([word]) => word.test(text.trim()))?.[1] ?? null
}

/** The name of an option; an option that is not known any more stays what it was. */
function labelOf(object: VendorObject, property: string, value: string | null): string | null {
  const options = object.fields.find(({ name }) => name === `properties.${property}`)?.options ?? []
  return value === null ? null : (options.find((option) => option.value === value)?.label ?? value)
}

function isDay(text: string): boolean {
  const at = /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(`${text}T00:00:00Z`) : null
  return at !== null && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
}

/** The day of a moment in a zone; of a day, that day. */
function dayOf(text: string | null, timeZone: string): string | null {
  if (text === null || isDay(text)) {
    return text
  }
  const at = new Date(/^-?\d{11,}$/.test(text) ? Number(text) : text)
  return Number.isNaN(at.getTime()) ? null : calendarOf(timeZone).format(at)
}

/** By zone. Each holds some tens of kilobytes beside the heap, so one made for each record outgrows everything else. */
const calendars = new Map<string, Intl.DateTimeFormat>()

function calendarOf(timeZone: string): Intl.DateTimeFormat {
  // The calendar of Sweden is written as year, month, day.
  const calendar = calendars.get(timeZone) ?? new Intl.DateTimeFormat('sv-SE', { timeZone })
  calendars.set(timeZone, calendar)
  return calendar
}

function asHtml(text: string | null): string | null {
  return text === null
    ? null
    : text
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll(/\r?\n|\r/g, '<br>')
}
