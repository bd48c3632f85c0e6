/** Large files for tests, made from a seed: the same seed gives the same bytes. */
import { Random } from './random.js'

export interface TestFile {
  readonly csv: string
  /** Column -> field. */
  readonly map: Readonly<Record<string, string>>
  /** Records under the header line. */
  readonly rows: number
}

const FIRST = [
  'Ada',
  'Björn',
  'Chloé',
  'Dáša',
  'Emeka',
  'Fatma',
  'Grzegorz',
  'Hana',
  'Ivo',
  'Jürgen',
  'Kaori',
  "Sean O'Neil",
]
const LAST = [
  'Meyer',
  'García',
  'Łukaszewicz',
  'Novák',
  'Okafor',
  'Smith-Jones',
  'van der Berg',
  'Ünal',
  'Žižka',
  'Dupont',
]
const CITY = ['Berlin', 'München', 'Zürich', 'São Paulo', 'Kraków', 'Köln', 'Málaga', 'Saint-Étienne']

const contactMap = {
  Id: 'externalId',
  Mail: 'email',
  First: 'firstName',
  Last: 'lastName',
  Company: 'companyName',
  Phone: 'phone',
  City: 'city',
  Zip: 'postalCode',
  Notes: 'notes',
}

/** A contact as one line. `id` and `mail` null: that cell is blank. */
function contactLine(
  random: Random,
  person: number,
  how: { readonly id?: null; readonly mail?: string | null },
): string {
  const notes = random.chance(0.02)
    ? `"met at ""Expo"",\nwants a call; no. ${random.below(1000)}"`
    : `note ${random.below(100_000)}`
  return [
    how.id === null ? '' : `p${person}`,
    how.mail === null ? '' : (how.mail ?? mailOf(person)),
    random.pick(FIRST),
    // Never twice the same: an update always changes something.
    `${random.pick(LAST)} ${random.below(1_000_000_000)}`,
    random.chance(0.3) ? `"Firm ${random.below(500)}, Ltd."` : '',
    `+49 30 ${1_000_000 + random.below(8_999_999)}`,
    random.pick(CITY),
    String(10_000 + random.below(89_999)),
    notes,
  ].join(',')
}

export function mailOf(person: number): string {
  return `p${person}@people.example`
}

function file(map: Readonly<Record<string, string>>, lines: readonly string[]): TestFile {
  return { csv: `${Object.keys(map).join(',')}\n${lines.join('\n')}\n`, map, rows: lines.length }
}

/** New contacts with the numbers from `from` on. */
export function newContacts(seed: number, count: number, from = 0): TestFile {
  const random = new Random(seed)
  return file(
    contactMap,
    Array.from({ length: count }, (_, i) => contactLine(random, from + i, {})),
  )
}

/** How many of the rows of an upsert are updates: the records that have to be there before. */
export function updatesOf(rows: number): number {
  return rows - Math.floor(rows / 4)
}

/**
 * An upsert over the contacts 0 to `updatesOf(rows)`: a quarter is new, 0.2 % has an e-mail that is none, the rest
 * changes something. New and old come in stretches of one to some thousands, old ones in random order.
 */
export function contactUpsert(seed: number, rows: number): TestFile {
  const random = new Random(seed)
  const existing = shuffled(
    random,
    Array.from({ length: updatesOf(rows) }, (_, i) => i),
  )
  const lines = stretches(random, rows, updatesOf(rows)).map((isNew, i) => {
    const person = isNew.kind === 'new' ? updatesOf(rows) + isNew.nth : (existing[isNew.nth] ?? i)
    return contactLine(random, person, isBad(random) ? { mail: 'no-mail' } : {})
  })
  return file(contactMap, lines)
}

/**
 * The same, but 5 % of the rows mean somebody whom an earlier row meant, near or far, by id, by e-mail alone, or by both:
 * what a row finds depends on what rows before it have done.
 */
export function contactsWithRepeats(seed: number, rows: number): TestFile {
  const random = new Random(seed)
  const existing = shuffled(
    random,
    Array.from({ length: updatesOf(rows) }, (_, i) => i),
  )
  const met: number[] = []
  const lines = stretches(random, rows, updatesOf(rows)).map((isNew, i) => {
    if (met.length > 0 && random.chance(0.05)) {
      const back = random.chance(0.5) ? 1 + random.below(Math.min(met.length, 50)) : 1 + random.below(met.length)
      const person = met[met.length - back] ?? i
      met.push(person)
      const kind = random.below(3)
      return contactLine(random, person, kind === 0 ? {} : kind === 1 ? { mail: null } : { id: null })
    }
    const person = isNew.kind === 'new' ? updatesOf(rows) + isNew.nth : (existing[isNew.nth] ?? i)
    met.push(person)
    return contactLine(random, person, isBad(random) ? { mail: 'no-mail' } : {})
  })
  return file(contactMap, lines)
}

/**
 * Two files about people of whom they share half, each with columns of its own: whatever order their rows are taken in,
 * the same records come out.
 */
export function twoHalves(seed: number, rows: number): readonly [TestFile, TestFile] {
  const random = new Random(seed)
  const shared = Math.floor(rows / 2)
  const people = (offset: number) =>
    shuffled(
      random,
      Array.from({ length: rows }, (_, i) => (i < shared ? i : offset + i)),
    )
  // The name, which the displayed one is built from, is the same in both.
  const start = (person: number) => [
    `p${person}`,
    isBad(random) ? 'no-mail' : mailOf(person),
    `F${person}`,
    `L${person}`,
  ]
  const left = people(0).map((person) =>
    [...start(person), `Left ${random.below(1_000_000)}`, random.pick(CITY)].join(','),
  )
  const right = people(rows).map((person) =>
    [...start(person), `Dept ${random.below(1000)}`, `right ${random.below(1_000_000)}`].join(','),
  )
  const common = { Id: 'externalId', Mail: 'email', First: 'firstName', Last: 'lastName' }
  return [
    file({ ...common, Company: 'companyName', City: 'city' }, left),
    file({ ...common, Unit: 'department', Job: 'jobTitle' }, right),
  ]
}

export function newProperties(seed: number, count: number): TestFile {
  const random = new Random(seed)
  return file(
    { Ref: 'externalId', Listing: 'listingId', Name: 'name', Price: 'listPrice', City: 'city' },
    Array.from({ length: count }, (_, i) =>
      [`h${i}`, `L-${i}`, `House ${i}`, String(100_000 + random.below(900_000)), random.pick(CITY)].join(','),
    ),
  )
}

const activityMap = {
  Ref: 'externalId',
  Subject: 'subject',
  Kind: 'type',
  State: 'status',
  Due: 'dueOn',
  Seconds: 'durationSeconds',
  Who: 'contact.email',
  What: 'property.listingId',
}

function activityLine(random: Random, number: number, contacts: number, properties: number, bad: boolean): string {
  return [
    `a${number}`,
    `Call no. ${random.below(1_000_000_000)}`,
    random.pick(['CALL', 'EMAIL', 'MEETING', 'TASK', 'NOTE']),
    random.pick(['PLANNED', 'COMPLETED', 'CANCELED']),
    `2026-${String(1 + random.below(12)).padStart(2, '0')}-${String(1 + random.below(28)).padStart(2, '0')}`,
    String(random.below(7200)),
    bad ? `nobody${number}@people.example` : mailOf(random.below(contacts)),
    random.chance(0.5) ? `L-${random.below(properties)}` : '',
  ].join(',')
}

/** Activities about contacts and properties that exist, the first ones of each. */
export function newActivities(seed: number, count: number, contacts: number, properties: number): TestFile {
  const random = new Random(seed)
  return file(
    activityMap,
    Array.from({ length: count }, (_, i) => activityLine(random, i, contacts, properties, false)),
  )
}

/** An upsert over the activities 0 to `updatesOf(rows)`; 0.2 % name a contact that there is not. */
export function activityUpsert(seed: number, rows: number, contacts: number, properties: number): TestFile {
  const random = new Random(seed)
  const existing = shuffled(
    random,
    Array.from({ length: updatesOf(rows) }, (_, i) => i),
  )
  const lines = stretches(random, rows, updatesOf(rows)).map((isNew, i) => {
    const number = isNew.kind === 'new' ? updatesOf(rows) + isNew.nth : (existing[isNew.nth] ?? i)
    return activityLine(random, number, contacts, properties, isBad(random))
  })
  return file(activityMap, lines)
}

function isBad(random: Random): boolean {
  return random.chance(0.002)
}

type Place = { readonly kind: 'new' | 'old'; readonly nth: number }

/** `rows` places, `old` of which are for records that exist, in stretches of random length. */
function stretches(random: Random, rows: number, old: number): Place[] {
  const places: Place[] = []
  const left = { old, new: rows - old }
  while (places.length < rows) {
    const kind = left.new > 0 && (left.old === 0 || random.chance(0.4)) ? 'new' : 'old'
    const wanted = random.chance(0.5) ? 1 + random.below(20) : 1 + random.below(Math.max(20, Math.floor(rows / 40)))
    const length = Math.min(left[kind], wanted)
    const done = (kind === 'old' ? old : rows - old) - left[kind]
    for (let i = 0; i < length; i++) {
      places.push({ kind, nth: done + i })
    }
    left[kind] -= length
  }
  return places
}

function shuffled<T>(random: Random, items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const other = random.below(i + 1)
    const item = items[i] as T
    items[i] = items[other] as T
    items[other] = item
  }
  return items
}
