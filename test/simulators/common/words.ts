/** Values that records are made of. Invented; mail addresses end in example domains, phone numbers in 01xx ranges. */
import type { Random } from '../../helpers/random.js'

const FIRST = [
  'Ada',
  'José',
  'Mehmet',
  'Søren',
  'Zoë',
  'Nguyễn',
  'Łukasz',
  'Maria',
  'John',
  'Anneliese',
  'Priya',
  'Chloé',
]
const LAST = [
  'Okafor',
  'Müller',
  "O'Brien",
  'García López',
  'Nowak',
  'van der Berg',
  'Ito',
  'Smith',
  'Çelik',
  'Lindström',
]
const CITIES = [
  ['Austin', 'TX', '78701', 'United States'],
  ['Zürich', 'ZH', '8001', 'Switzerland'],
  ['New York', 'NY', '10001', 'United States'],
  ['München', 'BY', '80331', 'Germany'],
  ['Boston', 'MA', '02108', 'United States'],
] as const
const STREETS = ['Main Street', 'Bahnhofstrasse', 'Elm Avenue', 'Ringstraße', 'Harbour Road']
const COMPANIES = ['Northwind Homes', 'Alpenblick Immobilien', 'Keystone Realty', 'Baltic Estates', 'Cedar & Sons']

/** Letters and signs that texts really hold and that break what was not written for them. */
const NASTY: readonly string[] = [
  'Two bedrooms 🏡👩‍👩‍👧, great view',
  'مرحبا، شقة للبيع 123 شارع النيل',
  'e\u0301clair a\u0308 — combining marks',
  'NUL \u0000 in the middle',
  'lone surrogate \ud83d here',
  'first line\r\nsecond, "quoted", line\r\n\r\nfourth',
  '=SUM(1,2)',
  "'quoted at the front",
  ' blanks around ',
  'null',
]

/** A text that is hard to carry; every place has the same one. The longest kind has 32,000 characters. */
export function nastyText(index: number): string {
  const at = index % (NASTY.length + 1)
  return NASTY[at] ?? `${'Long text with ünicode. '.repeat(1400).slice(0, 31_990)} (${index})`
}

/** A person, with an address. The e-mail is of the person alone. */
export function person(random: Random, index: number) {
  const firstName = random.pick(FIRST)
  const lastName = random.pick(LAST)
  const [city, region, postalCode, country] = random.pick(CITIES)
  return {
    firstName,
    lastName,
    email: `${plain(firstName)}.${plain(lastName)}.${index}@example.com`,
    phone: `+1 512 555 01${String(index % 100).padStart(2, '0')}`,
    street: `${1 + random.below(900)} ${random.pick(STREETS)}`,
    city,
    region,
    postalCode,
    country,
  }
}

export function company(random: Random, index: number): string {
  return `${random.pick(COMPANIES)} ${index}`
}

function plain(text: string): string {
  return text
    .normalize('NFD')
    .replaceAll(/[^A-Za-z]/g, '')
    .toLowerCase()
}
