/**
 * Makes the sample files beside it: `node examples/generate.ts`. The same files every time, realistic and messy on
 * purpose: people spell words their own way, enter things twice and leave cells blank. A test keeps the committed files
 * equal to what this makes. All people are invented; numbers are from ranges that are reserved for stories.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Contents of each sample file, by name. */
export function exampleFiles(): ReadonlyMap<string, string> {
  const random = new Dice(20_261_122)
  const people = makePeople(random)
  const homes = makeHomes(random)
  return new Map([
    ['contacts.csv', contactsFile(random, people)],
    ['properties.csv', propertiesFile(random, homes)],
    ['leads.csv', leadsFile(random, homes)],
    ['activities.csv', activitiesFile(random, people, homes)],
  ])
}

// ------------------------------------------------------------------------------------------------------------- chance

/** Chance that falls the same way every time (mulberry32). */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  of<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)]!
  }

  chance(share: number): boolean {
    return this.next() < share
  }

  /** `value` or, for `share` of the calls, nothing. */
  maybe(share: number, value: string): string {
    return this.chance(share) ? '' : value
  }
}

// ----------------------------------------------------------------------------------------------------------- writing

/** Rows as CSV. Cells are quoted only where they must be, as most programs do. */
function csv(rows: readonly (readonly string[])[], delimiter: string): string {
  const quoted = (cell: string): string =>
    /["\r\n]/.test(cell) || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell
  return `${rows.map((row) => row.map(quoted).join(delimiter)).join('\n')}\n`
}

const two = (number: number): string => String(number).padStart(2, '0')

interface Day {
  readonly year: number
  readonly month: number
  readonly day: number
}

function someDay(random: Dice, from: number, to: number): Day {
  return { year: random.between(from, to), month: random.between(1, 12), day: random.between(1, 28) }
}

const iso = ({ year, month, day }: Day): string => `${year}-${two(month)}-${two(day)}`
const british = ({ year, month, day }: Day): string => `${two(day)}/${two(month)}/${year}`
const american = ({ year, month, day }: Day): string => `${two(month)}/${two(day)}/${year}`
const german = ({ year, month, day }: Day): string => `${two(day)}.${two(month)}.${year}`

/** 1250000.5 as `1.250.000,50`. */
function germanMoney(amount: number): string {
  const [whole, cents] = amount.toFixed(2).split('.')
  return `${whole!.replace(/\B(?=(\d{3})+$)/g, '.')},${cents}`
}

const thousands = (amount: number): string => String(amount).replace(/\B(?=(\d{3})+$)/g, ',')

// ------------------------------------------------------------------------------------------------------------ people

interface Place {
  readonly country: string
  readonly cities: readonly (readonly [city: string, region: string, postalCode: string])[]
  readonly streets: readonly string[]
  readonly first: readonly (readonly [name: string, salutation: string])[]
  readonly last: readonly string[]
  readonly language: string
  landline(random: Dice): string
  mobile(random: Dice): string
}

const digits = (random: Dice, count: number): string =>
  Array.from({ length: count }, () => random.between(0, 9)).join('')

const PLACES: readonly Place[] = [
  {
    country: 'Germany',
    cities: [
      ['Berlin', 'Berlin', '10115'],
      ['München', 'Bayern', '80331'],
      ['Köln', 'Nordrhein-Westfalen', '50667'],
      ['Dresden', 'Sachsen', '01067'],
    ],
    streets: ['Hauptstraße', 'Gartenweg', 'Am Mühlenbach', 'Schillerstr.', 'Königsallee'],
    first: [
      ['Jürgen', 'Herr'],
      ['Anke', 'Frau'],
      ['Björn', 'Herr'],
      ['Käthe', 'Frau'],
      ['Sören', 'Herr'],
      ['Ulrike', 'Frau'],
    ],
    last: ['Müller', 'Schäfer', 'Weiß', 'Brandt', 'von der Heide', 'Müller-Lüdenscheidt', 'Özdemir'],
    language: 'German',
    landline: (random) =>
      random.of([
        (n: string) => `030 23125 ${n}`,
        (n: string) => `+49 30 23125${n}`,
        (n: string) => `(030) 23125-${n}`,
        (n: string) => `030/23125${n}`,
      ])(digits(random, 3)),
    mobile: (random) =>
      random.of([
        (n: string) => `0171 39200${n}`,
        (n: string) => `+49 171 39200 ${n}`,
        (n: string) => `0171/39200${n}`,
      ])(digits(random, 2)),
  },
  {
    country: 'United Kingdom',
    cities: [
      ['London', 'England', 'SW1A 2AA'],
      ['Edinburgh', 'Scotland', 'EH1 1YZ'],
      ['Cardiff', 'Wales', 'CF10 1EP'],
    ],
    streets: ['High Street', 'Station Road', 'Church Lane', 'Mill Hill'],
    first: [
      ['Oliver', 'Mr'],
      ['Amelia', 'Ms'],
      ['Siobhán', 'Mrs'],
      ['Rhys', 'Mr'],
    ],
    last: ['Smith', 'O’Brien', 'MacLeod', 'Patel', 'Fitzgerald-Jones'],
    language: 'English',
    landline: (random) =>
      random.of([(n: string) => `020 7946 0${n}`, (n: string) => `+44 20 7946 0${n}`])(digits(random, 3)),
    mobile: (random) => random.of([(n: string) => `07700 900${n}`, (n: string) => `+447700900${n}`])(digits(random, 3)),
  },
  {
    country: 'France',
    cities: [
      ['Paris', 'Île-de-France', '75002'],
      ['Lyon', 'Auvergne-Rhône-Alpes', '69006'],
      ['Nîmes', 'Occitanie', '30000'],
    ],
    streets: ['rue de la Paix', 'avenue Foch', 'boulevard Gambetta'],
    first: [
      ['Chloé', 'Mme'],
      ['François', 'M.'],
      ['Hélène', 'Mme'],
    ],
    last: ['Lefèvre', 'Dubois', 'de la Tour', 'N’Guessan'],
    language: 'French',
    landline: (random) => `01 99 00 ${digits(random, 2)} ${digits(random, 2)}`,
    mobile: (random) =>
      random.of([(a: string, b: string) => `06 39 98 ${a} ${b}`, (a: string, b: string) => `+33 6 39 98 ${a} ${b}`])(
        digits(random, 2),
        digits(random, 2),
      ),
  },
  {
    country: 'United States',
    cities: [
      ['Austin', 'TX', '78701'],
      ['Boston', 'MA', '02110'],
      ['San José', 'CA', '95113'],
    ],
    streets: ['Elm St', 'Congress Ave', 'W 5th St', 'Martin Luther King Jr Blvd'],
    first: [
      ['Ethan', 'Mr'],
      ['María', 'Ms'],
      ['Jamal', 'Mr'],
      ['Zoë', 'Ms'],
    ],
    last: ['Johnson', 'García', 'Nguyen', 'Washington'],
    language: 'English',
    landline: (random) =>
      random.of([
        (n: string) => `(512) 555-01${n}`,
        (n: string) => `512-555-01${n}`,
        (n: string) => `512.555.01${n} x12`,
        (n: string) => `+1 512 555 01${n}`,
      ])(digits(random, 2)),
    mobile: (random) =>
      random.of([(n: string) => `(737) 555-01${n}`, (n: string) => `+1 737-555-01${n}`])(digits(random, 2)),
  },
]

interface Person {
  readonly id: string
  readonly place: Place
  readonly salutation: string
  readonly first: string
  readonly last: string
  readonly company: string
  /** Empty or not an address for a few. */
  readonly email: string
  readonly city: readonly [city: string, region: string, postalCode: string]
}

const COMPANIES = [
  'Keller & Söhne GmbH',
  'Nordwind Logistics',
  'Brightwater "BW" Partners, LLP',
  'Société Générale d’Études',
  'Casa Bella S.r.l.',
  'Hill Country Dental',
]
const BAD_EMAILS = ['n/a', 'jane.doe@', 'max(at)example.com', 'unknown', 'a@b', 'two@example.com and three@example.com']

function plain(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .replace(/[^a-z]+/g, '-')
    .replace(/^-|-$/g, '')
}

function makePeople(random: Dice): Person[] {
  return Array.from({ length: 280 }, (_, index) => {
    const place = random.of(PLACES)
    const [first, salutation] = random.of(place.first)
    const last = random.of(place.last)
    // The number keeps addresses apart, as providers do when a name is taken.
    const address = `${plain(first)}.${plain(last)}${index + 1}@example.${random.of(['com', 'net', 'org'])}`
    const email =
      index % 47 === 46
        ? BAD_EMAILS[Math.floor(index / 47) % BAD_EMAILS.length]!
        : random.chance(0.06)
          ? ''
          : random.chance(0.08)
            ? address.toUpperCase()
            : address
    return {
      id: `C-${1001 + index}`,
      place,
      salutation,
      first,
      last,
      company: random.maybe(0.55, random.of(COMPANIES)),
      email,
      city: random.of(place.cities),
    }
  })
}

const NOTES = [
  'Prefers to be called after 5 pm.',
  'Met at the open house.\nWants a balcony; no ground floor.',
  'Said: "price is no object", but asks about fees.',
  'Two children, one dog, two cats.',
  'Façade renovation? Ask the owners’ association first.',
  'Referred by a neighbour – thank them!',
]

function contactsFile(random: Dice, people: readonly Person[]): string {
  const header = [
    'Contact ID',
    'Salutation',
    'First Name',
    'Last Name',
    'Company',
    'Job Title',
    'Email',
    'Phone',
    'Mobile',
    'Street Address',
    'Address Line 2',
    'City',
    'State/Province',
    'Postal Code',
    'Country',
    'Date of Birth',
    'Preferred Language',
    'Contact Type',
    'Status',
    'Lead Source',
    'Email Opt Out',
    'Tags',
    'Notes',
    'Account Manager',
    'Created Date',
    'Last Modified Date',
  ]
  const rowOf = (person: Person): string[] => {
    const [city, region, postalCode] = person.city
    const created = someDay(random, 2019, 2024)
    return [
      person.id,
      random.maybe(0.2, person.salutation),
      person.first,
      random.chance(0.05) ? person.last.toUpperCase() : person.last,
      person.company,
      person.company === ''
        ? ''
        : random.of(['Managing Director', 'Office Manager', 'Engineer', 'Sales', 'Chef de projet']),
      person.email,
      random.maybe(0.25, person.place.landline(random)),
      random.maybe(0.35, person.place.mobile(random)),
      random.maybe(
        0.1,
        random.chance(0.5)
          ? `${random.of(person.place.streets)} ${random.between(1, 140)}`
          : `${random.between(1, 140)} ${random.of(person.place.streets)}`,
      ),
      random.maybe(0.85, random.of(['c/o Brandt', 'Apt 4', '2nd floor', 'Hinterhaus', 'Bât. B'])),
      city,
      random.maybe(0.15, region),
      postalCode,
      person.place.country,
      random.maybe(0.4, british(someDay(random, 1948, 2003))),
      random.maybe(0.3, person.place.language),
      random.maybe(0.2, random.of(['Buyer', 'Seller', 'Tenant', 'Landlord', 'buyer', 'Prospect'])),
      random.maybe(0.1, random.of(['Active', 'active', 'Inactive'])),
      random.maybe(0.15, random.of(['Website', 'Referral', 'Open house', 'Portal', 'Walk-in'])),
      random.of(['no', 'No', 'FALSE', '0', '', 'no', 'yes', 'x']),
      random.maybe(0.5, random.of(['VIP', 'VIP; Newsletter', 'Newsletter', 'Investor; VIP', 'First home'])),
      random.maybe(0.6, random.of(NOTES)),
      random.of(['Sofia Brandt', 'Tom Okafor', 'Priya Nair']),
      `${iso(created)}T${two(random.between(7, 19))}:${two(random.between(0, 59))}:00Z`,
      `${iso({ ...created, year: 2025 })}T${two(random.between(7, 19))}:${two(random.between(0, 59))}:00Z`,
    ]
  }
  const rows = people.map(rowOf)
  // The same person twice: once more with the same id, and once without an id but with the same address.
  for (const index of [3, 57, 120, 201]) {
    rows.splice(index + 9, 0, rowOf(people[index]!))
  }
  for (const index of [11, 88, 164]) {
    const again = rowOf(people[index]!)
    again[0] = ''
    rows.splice(index + 20, 0, again)
  }
  return csv([header, ...rows], ',')
}

// ------------------------------------------------------------------------------------------------------------- homes

interface Home {
  readonly number: string
  readonly street: string
  readonly city: readonly [city: string, region: string, postalCode: string]
  readonly forRent: boolean
}

function makeHomes(random: Dice): Home[] {
  const germany = PLACES[0]!
  return Array.from({ length: 150 }, (_, index) => ({
    number: `${random.of(['WHG', 'HAU', 'GRD'])}-${2001 + index}`,
    street: `${random.of(germany.streets)} ${random.between(1, 140)}${random.maybe(0.85, 'a')}`,
    city: random.of(germany.cities),
    forRent: random.chance(0.3),
  }))
}

/** From a German agency: semicolons between cells, commas before decimals, dots before days. */
function propertiesFile(random: Dice, homes: readonly Home[]): string {
  const header = [
    'Objekt-Nr.',
    'Titel',
    'Objektart',
    'Vermarktungsart',
    'Status',
    'Straße und Hausnummer',
    'PLZ',
    'Ort',
    'Bundesland',
    'Land',
    'Kaufpreis (€)',
    'Kaltmiete (€)',
    'Währung',
    'Wohnfläche',
    'Einheit Wohnfläche',
    'Grundstücksfläche',
    'Einheit Grundstück',
    'Zimmer',
    'Schlafzimmer',
    'Badezimmer',
    'Etage',
    'Baujahr',
    'Energieeffizienzklasse',
    'Hausgeld',
    'Breitengrad',
    'Längengrad',
    'Auftrag vom',
    'Auftrag bis',
    'Objektbeschreibung',
    'Ansprechpartner',
    'E-Mail Ansprechpartner',
    'Provision',
    'Angelegt am',
  ]
  const texts = [
    'Helle Wohnung mit Balkon; Küche vorhanden.',
    'Ruhige Lage.\nKeller, Fahrradraum, Gemeinschaftsgarten.',
    'Denkmalgeschützt ("Gründerzeit"), Aufzug geplant.',
    'Provisionsfrei für Käufer; Besichtigung nach Absprache.',
    '',
  ]
  const rowOf = (home: Home): string[] => {
    const [city, region, postalCode] = home.city
    const rooms = random.between(1, 7)
    const plot = home.number.startsWith('GRD')
    const agreed = someDay(random, 2023, 2024)
    const [agent, address] = random.of([
      ['Sofia Brandt', 'sofia.brandt@agentur.example'],
      ['Tom Okafor', 'tom.okafor@agentur.example'],
      ['Jörg Ünal', 'j.uenal@agentur.example'],
    ] as const)
    return [
      home.number,
      plot
        ? `Baugrundstück in ${city}`
        : random.of([
            `${rooms}-Zimmer-Wohnung in ${city}`,
            `Altbau mit Charme (${city})`,
            `Familienhaus „Am Park“, ${city}`,
          ]),
      plot ? 'Grundstück' : random.of(['Wohnung', 'Haus', 'Reihenhaus', 'Penthouse']),
      home.forRent ? random.of(['Miete', 'MIETE', 'Vermietung']) : random.of(['Kauf', 'kauf', 'Verkauf']),
      random.of([
        'aktiv',
        'Aktiv',
        'AKTIV',
        'reserviert',
        home.forRent ? 'vermietet' : 'verkauft',
        'zurückgezogen',
        'Entwurf',
        'Active',
      ]),
      home.street,
      postalCode,
      city,
      region,
      random.of(['Deutschland', 'DE', 'Germany']),
      home.forRent ? '' : germanMoney(random.between(120, 1_900) * 1_000 + random.of([0, 0, 500, 990])),
      home.forRent ? germanMoney(random.between(450, 3_200) + random.of([0, 0.5, 0.9])) : '',
      'EUR',
      plot ? '' : `${random.between(28, 240)},${random.of(['0', '5', '75'])}`,
      plot ? '' : random.of(['m²', 'qm', 'Quadratmeter']),
      plot || random.chance(0.4) ? germanMoney(random.between(180, 2_400)) : '',
      'm²',
      plot ? '' : String(rooms),
      plot ? '' : String(Math.max(1, rooms - 1)),
      plot ? '' : random.of(['1', '1', '2', '1,5']),
      plot ? '' : random.of(['0', '1', '2', '3', '4', '']),
      plot ? '' : String(random.between(1890, 2024)),
      plot ? '' : random.of(['A+', 'B', 'C', 'D', 'E', 'G', '']),
      plot || home.forRent ? '' : germanMoney(random.between(120, 780) + random.of([0, 0.5])),
      `${random.between(48, 53)},${digits(random, 5)}`,
      `${random.between(7, 13)},${digits(random, 5)}`,
      german(agreed),
      random.maybe(0.2, german({ ...agreed, year: agreed.year + 1 })),
      random.of(texts),
      agent,
      address,
      random.of(['3,57 %', '2,38 %', 'provisionsfrei']),
      german(agreed),
    ]
  }
  const rows = homes.map(rowOf)
  // Listed once more after a change of price.
  for (const index of [14, 77]) {
    rows.splice(index + 30, 0, rowOf(homes[index]!))
  }
  return csv([header, ...rows], ';')
}

// ------------------------------------------------------------------------------------------------------------- leads

function leadsFile(random: Dice, homes: readonly Home[]): string {
  const header = [
    'Lead ID',
    'Full Name',
    'Email',
    'Phone',
    'Company',
    'Lead Type',
    'Lead Status',
    'Rating',
    'Lead Source',
    'Campaign',
    'Min Budget',
    'Max Budget',
    'Currency',
    'Buy or Rent',
    'Property Type',
    'Bedrooms',
    'City',
    'State',
    'Country',
    'Timeframe',
    'Inquiry Date',
    'Next Follow Up',
    'Listing ID',
    'Message',
    'Assigned To',
    'Lost Reason',
  ]
  const messages = [
    'Is the flat still available?',
    'Hello,\n\nwe would like to see the house next week.\n\nKind regards',
    'Please send the "exposé", floor plans and the energy certificate.',
    'Looking for 3–4 rooms, quiet, near a school.',
    '',
  ]
  const rows = Array.from({ length: 180 }, (_, index) => {
    const place = random.of(PLACES)
    const [first] = random.of(place.first)
    const last = random.of(place.last)
    const [city, region] = random.of(place.cities)
    const rents = random.chance(0.3)
    const least = rents ? random.between(6, 20) * 100 : random.between(15, 120) * 10_000
    const received = someDay(random, 2024, 2025)
    const status = random.of([
      'New',
      'new',
      'NEW',
      'Open - Not Contacted',
      'Working - Contacted',
      'contacted',
      'Contacted',
      'Qualified',
      'nurturing',
      'Unqualified',
      'Closed - Converted',
      'Lost',
    ])
    const email = `${plain(first)}.${plain(last)}${501 + index}@example.${random.of(['com', 'net', 'org'])}`
    return [
      `L-${3001 + index}`,
      random.chance(0.06) ? `${last}, ${first}` : `${first} ${last}`,
      index % 41 === 40 ? random.of(BAD_EMAILS) : random.maybe(0.05, email),
      random.maybe(0.2, random.chance(0.5) ? place.mobile(random) : place.landline(random)),
      random.maybe(0.75, random.of(COMPANIES)),
      rents ? random.of(['Renter', 'renter', 'Tenant']) : random.of(['Buyer', 'buyer', 'BUYER', 'Seller', 'Investor']),
      status,
      random.maybe(0.2, random.of(['Hot', 'HOT', 'warm', 'Warm', 'Cold'])),
      random.of(['Website', 'Portal', 'Referral', 'Phone inquiry', 'Social media']),
      random.maybe(0.5, random.of(['Spring 2025', 'Open house May', 'Newsletter #12'])),
      random.maybe(0.3, thousands(least)),
      random.maybe(0.1, thousands(rents ? least + 400 : least + random.between(5, 30) * 10_000)),
      'EUR',
      random.maybe(0.1, rents ? random.of(['Rent', 'rent', 'for rent']) : random.of(['Buy', 'buy', 'Purchase'])),
      random.maybe(0.2, random.of(['Apartment', 'House', 'Townhouse', 'Plot'])),
      random.maybe(0.3, String(random.between(1, 5))),
      city,
      random.maybe(0.2, region),
      place.country,
      random.maybe(0.3, random.of(['ASAP', '1-3 months', '3-6 months', 'just looking'])),
      `${american(received)} ${two(random.between(7, 21))}:${two(random.between(0, 59))}`,
      random.maybe(0.6, `${american({ ...received, year: 2026 })} ${two(random.between(8, 17))}:00`),
      random.maybe(0.5, random.of(homes).number),
      random.of(messages),
      random.of(['Sofia Brandt', 'Tom Okafor', 'Priya Nair']),
      status === 'Lost' ? random.of(['Bought elsewhere', 'Too expensive', 'No answer']) : '',
    ]
  })
  rows.splice(60, 0, [...rows[20]!])
  rows.splice(140, 0, [...rows[99]!])
  return csv([header, ...rows], ',')
}

// -------------------------------------------------------------------------------------------------------- activities

function activitiesFile(random: Dice, people: readonly Person[], homes: readonly Home[]): string {
  const header = [
    'Activity ID',
    'Type',
    'Subject',
    'Status',
    'Priority',
    'Direction',
    'Start',
    'End',
    'Due Date',
    'Duration (seconds)',
    'Call Result',
    'Location',
    'Contact Email',
    'Listing ID',
    'Notes',
    'Logged By',
    'Created At',
  ]
  const reachable = people.filter(({ email }) => /^[^@\s]+@example\.\w+$/i.test(email))
  const rows = Array.from({ length: 260 }, (_, index) => {
    const kind = random.of([
      'call',
      'call',
      'email',
      'meeting',
      'showing',
      'task',
      'note',
      'open house',
      'sms',
    ] as const)
    const person = random.of(reachable)
    const home = random.of(homes)
    const day = someDay(random, 2025, 2025)
    const hour = random.between(8, 17)
    const minutes = random.of([15, 30, 45])
    const timed = kind !== 'task' && kind !== 'note'
    const shown = kind === 'showing' || kind === 'open house'
    const call = kind === 'call'
    return [
      `A-${5001 + index}`,
      {
        call: random.of(['Call', 'call', 'CALL', 'Phone call']),
        email: random.of(['Email', 'e-mail', 'E-Mail']),
        meeting: random.of(['Meeting', 'meeting', 'Appointment']),
        showing: random.of(['Showing', 'Viewing', 'viewing']),
        task: random.of(['Task', 'task', 'To do']),
        note: 'Note',
        'open house': random.of(['Open House', 'open house', 'OPEN_HOUSE']),
        sms: random.of(['SMS', 'Text message']),
      }[kind],
      {
        call: random.of([`Call ${person.first} ${person.last}`, 'Call back', 'Asked about "parking"']),
        email: random.of(['Exposé sent', 'Re: viewing, floor plan', 'Documents requested']),
        meeting: random.of(['Notary appointment', 'First meeting', 'Price talk']),
        showing: `Viewing of ${home.number}`,
        task: random.of(['Send floor plan', 'Check land register', 'Prepare contract']),
        note: random.of(['Prefers the quiet side', 'Financing confirmed']),
        'open house': `Open house at ${home.street}`,
        sms: random.of(['Running late', 'Key box code sent']),
      }[kind],
      random.of([
        'Completed',
        'completed',
        'Done',
        'Planned',
        'Not Started',
        'In Progress',
        'No Show',
        'Cancelled',
        'Canceled',
      ]),
      random.maybe(0.3, random.of(['High', 'high', 'HIGH', 'Normal', 'Medium', 'Low'])),
      call || kind === 'email' || kind === 'sms'
        ? random.of(['Inbound', 'inbound', 'Outbound', 'Outgoing', 'incoming'])
        : '',
      timed ? `${iso(day)} ${two(hour)}:00` : '',
      timed && !call ? `${iso(day)} ${two(hour)}:${two(minutes)}` : '',
      kind === 'task' ? iso({ ...day, month: Math.min(12, day.month + 1) }) : '',
      call ? String(random.between(12, 1_900)) : '',
      call ? random.of(['Answered', 'Left voicemail', 'Busy', 'Wrong number']) : '',
      shown ? `${home.street}, ${home.city[0]}` : random.maybe(0.9, 'Office'),
      // A few people whom nobody has entered yet.
      index % 60 === 59 ? `stranger${index}@example.org` : person.email,
      index % 90 === 89 ? 'WHG-9999' : shown || random.chance(0.3) ? home.number : '',
      random.maybe(0.5, random.of(NOTES)),
      random.of(['Sofia Brandt', 'Tom Okafor', 'Priya Nair']),
      `${iso(day)} ${two(hour)}:${two(random.between(0, 59))}:${two(random.between(0, 59))}`,
    ]
  })
  // Logged twice by an impatient click.
  rows.splice(100, 0, [...rows[70]!])
  return csv([header, ...rows], ',')
}

if (process.argv[1] === import.meta.filename) {
  for (const [name, content] of exampleFiles()) {
    writeFileSync(join(import.meta.dirname, name), content)
  }
}
