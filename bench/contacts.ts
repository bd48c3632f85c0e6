/** Contacts that nobody has met: a seeded generator of CSV files, written once and kept for the next benchmark. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import type pg from 'pg'

/** Part of the names of kept files; changed with every change of what is generated. */
const VERSION = 6

/**
 * What is wrong with some of the rows: nothing; one in a hundred has an e-mail or a birth date that is none; one in a
 * thousand has a value that only a CHECK of the database refuses, see `refuseFlawed`.
 */
export const flaws = ['none', 'invalid', 'refused'] as const

export type Flaw = (typeof flaws)[number]

/** Job title of the rows with the flaw `refused`. */
const REFUSED = 'Refused by the database'

/** Gives the table of contacts one rule more, which only the database knows: it refuses the rows with the flaw `refused`. */
export async function refuseFlawed(client: pg.Client): Promise<void> {
  await client.query(`alter table contact add constraint contact_bench check (job_title <> '${REFUSED}')`)
}

export interface ContactFile {
  readonly path: string
  readonly name: string
  readonly rows: number
  readonly byteSize: number
}

/** Columns of the file, in order, with the field of a contact that each of them means. */
export const columns: readonly (readonly [column: string, field: string])[] = [
  ['Contact ID', 'externalId'],
  ['First Name', 'firstName'],
  ['Last Name', 'lastName'],
  ['Email', 'email'],
  ['Phone', 'phone'],
  ['Mobile Phone', 'mobilePhone'],
  ['Company', 'companyName'],
  ['Job Title', 'jobTitle'],
  ['Street', 'addressLine1'],
  ['City', 'city'],
  ['State', 'stateOrProvince'],
  ['Zip', 'postalCode'],
  ['Country', 'country'],
  ['Birth Date', 'birthDate'],
  ['Lead Source', 'source'],
  ['Email Opt Out', 'emailOptOut'],
  ['Tags', 'tags'],
  ['Notes', 'notes'],
]

/** A row is about so long. Bytes. */
export const ROW_BYTES = 160

/** The file of so many contacts; made if it is not there yet. */
export async function contactFile(folder: string, rows: number, flaw: Flaw = 'none'): Promise<ContactFile> {
  await mkdir(folder, { recursive: true })
  const name = `contacts-${rows}${flaw === 'none' ? '' : `-${flaw}`}.csv`
  const path = join(folder, `v${VERSION}-${name}`)
  const size = await stat(path).then(
    ({ size }) => size,
    () => null,
  )
  if (size === null) {
    await write(`${path}.new`, rows, flaw)
    await rename(`${path}.new`, path)
  }
  return { path, name, rows, byteSize: size ?? (await stat(path)).size }
}

async function write(path: string, rows: number, flaw: Flaw): Promise<void> {
  const stream = createWriteStream(path, { highWaterMark: 1024 * 1024 })
  const contact = generator(flaw)
  let text = `${columns.map(([column]) => column).join(',')}\r\n`
  for (let row = 0; row < rows; row++) {
    text += contact(row)
    if (text.length > 256 * 1024) {
      if (!stream.write(text)) {
        await once(stream, 'drain')
      }
      text = ''
    }
  }
  stream.end(text)
  await finished(stream)
}

const firstNames =
  'Anna,Ben,Chloé,David,Elena,Felix,Grace,Hassan,Ines,Jonas,Karin,Luís,Maria,Noah,Olga,Paul,Quinn,Rosa,Søren,Tomáš,Uma,Vera,William,Xenia,Yusuf,Zoë,Emma,Liam,Mia,Omar'.split(
    ',',
  )
const lastNames =
  "Müller,Smith,García,O'Brien,Novák,Rossi,Andersson,Kowalski,Nguyen,Brown,Silva,Jansen,Dubois,Horváth,Popescu,Yılmaz,Ivanova,Lindqvist,Fischer,Johnson,Martínez,Moreau,Santos,Weber,Williams,Clark,Lewis,Walker,Hall,Young".split(
    ',',
  )
const companies = 'Acme,Northwind,Hooli,Globex,Initech,Umbra,Vandelay,Wonka,Stark,Tyrell,Contoso,Aperture'.split(',')
const forms = 'Ltd,GmbH,Inc,LLC,AG,SA'.split(',')
const titles = 'Sales Manager,Agent,CEO,Buyer,Broker,Assistant,Engineer,Owner,Consultant,Loan Officer'.split(',')
const streets = 'Main St,Oak Ave,Park Rd,Hill St,Lake Dr,Elm St,2nd Ave,Maple Ct'.split(',')
const cities = 'Austin,Boston,Chicago,Denver,Eugene,Fresno,Houston,Irvine,Miami,Oakland,Reno,Tampa'.split(',')
const states = 'TX,MA,IL,CO,OR,CA,TX,CA,FL,CA,NV,FL'.split(',')
const domains = 'example.com,mail.example,corp.example,example.org'.split(',')
const sources = 'Web form,Referral,Event,Portal,Ads'.split(',')
const yesNo = 'no,no,no,no,no,no,no,no,no,yes'.split(',')
const tags = ['', '', '', 'buyer', 'vip', '"buyer,vip"', 'newsletter', '']
const plainNotes = [
  '',
  '',
  '',
  '',
  '',
  'Call back after the holidays',
  'Met at the spring fair',
  'Wants to sell next autumn and then rent',
]
const roughNotes = [
  '"Said ""call me"" twice"',
  '"First line\nsecond line"',
  '"Very happy 🎉, wants a garden"',
  '"Prefers e-mail; ""no calls"",\nplease"',
  '"Größe: 120 m², naïve 😀"',
]

/** Answers the line of the contact with this number, from 0. Ids and e-mails occur once each. */
function generator(flaw: Flaw): (row: number) => string {
  let state = 0x5eed
  // mulberry32
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * limit
  }
  const pick = (items: readonly string[]): string => items[Math.floor(below(items.length))] ?? ''
  const digits = (count: number): string => String(Math.floor(below(10 ** count))).padStart(count, '0')
  const two = (value: number): string => String(value).padStart(2, '0')
  const phone = (): string => {
    const area = `${200 + Math.floor(below(789))}`
    const local = digits(4)
    switch (Math.floor(below(5))) {
      case 0:
        return `+1 ${area} 555 ${local}`
      case 1:
        return `+1 (${area}) 555-${local}`
      case 2:
        return `+1${area}555${local}`
      case 3:
        return `+1-${area}-555-${local}`
      default:
        return `+1.${area}.555.${local}`
    }
  }
  return (row) => {
    const first = pick(firstNames)
    const last = pick(lastNames)
    const place = Math.floor(below(cities.length))
    const handle = `${first.charAt(0)}.${last}`
      .normalize('NFD')
      .replaceAll(/[^A-Za-z.]/g, '')
      .toLowerCase()
    const bad = flaw === 'invalid' && row % 100 === 57
    const email = bad && row % 200 < 100 ? `${handle}${row}(at)example` : `${handle}${row}@${pick(domains)}`
    const day = `${1940 + Math.floor(below(65))}-${two(1 + Math.floor(below(12)))}-${two(1 + Math.floor(below(28)))}`
    const cells = [
      // Ids as another system hands them out: in an order that is not that of the file.
      `C-${(Math.imul(row + 1, 0x9e3779b1) >>> 0).toString(36).padStart(7, '0').toUpperCase()}`,
      first,
      last,
      email,
      phone(),
      below(10) < 3 ? phone() : '',
      `${pick(companies)} ${pick(forms)}`,
      flaw === 'refused' && row % 1000 === 571 ? REFUSED : pick(titles),
      `${1 + Math.floor(below(999))} ${pick(streets)}`,
      cities[place],
      states[place],
      digits(5),
      'US',
      bad && row % 200 >= 100 ? '1985-02-31' : below(10) < 7 ? day : '',
      pick(sources),
      pick(yesNo),
      pick(tags),
      below(10) < 1 ? pick(roughNotes) : pick(plainNotes),
    ]
    return `${cells.join(',')}\r\n`
  }
}
