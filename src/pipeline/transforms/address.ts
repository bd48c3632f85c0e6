/** The parts of an address that stands in one cell, as they are written in North America, Europe, Brazil and Australia. */
import { countryCode } from '../country.js'

/** Parts of an address, each null where it is not there. */
export interface AddressParts {
  readonly line1: string | null
  readonly city: string | null
  readonly state: string | null
  readonly postalCode: string | null
  readonly country: string | null
}

/** Longer texts are no address. UTF-16 code units. */
export const ADDRESS_LENGTH_MAX = 500

/** States, provinces and territories of the United States, Canada, Australia, and of Brazil, as `code name`. */
const states: ReadonlyMap<string, string> = new Map(
  (
    'AL Alabama;AK Alaska;AZ Arizona;AR Arkansas;CA California;CO Colorado;CT Connecticut;DE Delaware;DC District of Columbia;FL Florida;' +
    'GA Georgia;HI Hawaii;ID Idaho;IL Illinois;IN Indiana;IA Iowa;KS Kansas;KY Kentucky;LA Louisiana;ME Maine;MD Maryland;' +
    'MA Massachusetts;MI Michigan;MN Minnesota;MS Mississippi;MO Missouri;MT Montana;NE Nebraska;NV Nevada;NH New Hampshire;' +
    'NJ New Jersey;NM New Mexico;NY New York;NC North Carolina;ND North Dakota;OH Ohio;OK Oklahoma;OR Oregon;PA Pennsylvania;' +
    'RI Rhode Island;SC South Carolina;SD South Dakota;TN Tennessee;TX Texas;UT Utah;VT Vermont;VA Virginia;WA Washington;' +
    'WV West Virginia;WI Wisconsin;WY Wyoming;PR Puerto Rico;' +
    'AB Alberta;BC British Columbia;MB Manitoba;NB New Brunswick;NL Newfoundland and Labrador;NS Nova Scotia;NT Northwest Territories;' +
    'NU Nunavut;ON Ontario;PE Prince Edward Island;QC Quebec;QC Québec;SK Saskatchewan;YT Yukon;' +
    'NSW New South Wales;VIC Victoria;QLD Queensland;TAS Tasmania;ACT Australian Capital Territory;' +
    'SP São Paulo;RJ Rio de Janeiro;MG Minas Gerais;RS Rio Grande do Sul;BA Bahia;GO Goiás;PB Paraíba'
  )
    .split(';')
    .flatMap((entry): [string, string][] => {
      const [code = '', ...name] = entry.split(' ')
      return [
        [code.toLowerCase(), code],
        [name.join(' ').toLowerCase(), code],
      ]
    }),
)

/** Names of states that are also names of a city, which they are taken for where no state is expected. */
const alsoCities: ReadonlySet<string> = new Set([
  'new york',
  'washington',
  'são paulo',
  'rio de janeiro',
  'québec',
  'quebec',
  'victoria',
])

/** Post codes behind a state or alone: ZIP, ZIP+4, Canada, Brazil; four digits of Australia only behind a state. */
const americanCode = /(?:^|\s)(\d{5}(?:-\d{4})?|\d{5}-\d{3}|[a-z]\d[a-z] ?\d[a-z]\d)$/i
const australianCode = /\s(\d{4})$/
/** Post codes of the United Kingdom, at the end. */
const britishCode = /(?:^|\s)([a-z]{1,2}\d[a-z\d]? \d[a-z]{2})$/i
/** Post codes before a city: `12345 Berlin`, `D-12345`, `1012 AB Amsterdam`, `111 22 Stockholm`, `00-950 Warszawa`, `1000-205 Lisboa`. */
const europeanCode =
  /^(?:[a-z]{1,2}[- ])?(\d{5}|\d{4} ?[A-Z]{2}(?=\s)|\d{4}-\d{3}|\d{2}-\d{3}|\d{3} \d{2}|\d{4})\s+(\p{L}.*)$/iu
/** What ends the name of a street in English, for an address without commas. */
const streetEnd =
  /^(.*\d.*\s(?:st|street|ave|avenue|rd|road|blvd|boulevard|dr|drive|ln|lane|way|ct|court|pl|place|ter|terrace|cir|circle|pkwy|parkway|hwy|sq|trl|loop)\.?(?:\s+(?:#|apt|unit|ste|suite)\.?\s*\S+)?)\s+(\p{L}[\p{L}\s.'’-]*)$/iu

interface Found {
  city: string | null
  state: string | null
  postalCode: string | null
  country: string | null
}

/**
 * Splits an address: `123 Main St, Austin, TX 78701`, `Musterstr. 5, 12345 Berlin`, `12345 Berlin, Germany`. What cannot be
 * told stays in the first line. Null for a text that is too long for an address.
 */
export function splitAddress(text: string): AddressParts | null {
  if (text.length > ADDRESS_LENGTH_MAX) {
    return null
  }
  const parts = text
    .split(/[,;\r\n]+|\s[-–]\s/)
    .map((part) => part.trim().replace(/\s+/g, ' '))
    .filter((part) => part !== '')
  const found: Found = { city: null, state: null, postalCode: null, country: null }
  takeCountry(parts, found)
  takePlace(parts, found)
  takeCity(parts, found)
  return { line1: parts.length === 0 ? null : parts.join(', '), ...found }
}

function takeCountry(parts: string[], found: Found): void {
  const last = parts.at(-1) ?? ''
  const word = last.replaceAll('.', '')
  if (parts.length < 2 || !/^\p{L}[\p{L}\s]*$/u.test(word)) {
    return
  }
  const country = countryCode(word)
  const before = parts.at(-2) ?? ''
  const isState = states.has(word.toLowerCase())
  // CA may be Canada or California; behind a post code or a state it is the country.
  const placed = europeanCode.test(before) || americanCode.test(before) || britishCode.test(before)
  if (country !== null && (!isState || placed || (parts.length > 2 && states.has(before.toLowerCase())))) {
    found.country = country
    parts.pop()
  }
}

/** The state and the post code, from the last part or the last two, in either order. */
function takePlace(parts: string[], found: Found): void {
  for (let at = 0; at < 2 && parts.length > 0; at++) {
    let rest = parts.at(-1)!
    const european = europeanCode.exec(rest)
    if (european !== null && found.postalCode === null && !states.has((european[2] ?? '').toLowerCase())) {
      found.postalCode = european[1]!.toUpperCase()
      found.city = withoutProvince(european[2]!, found)
      parts.pop()
      return
    }
    const code =
      found.postalCode === null ? (britishCode.exec(rest) ?? americanCode.exec(rest) ?? australian(rest)) : null
    if (code !== null) {
      found.postalCode = code[1]!.toUpperCase()
      rest = rest.slice(0, code.index).trim()
    }
    rest = found.state === null ? withoutState(rest, found, parts.length > 1 || code !== null) : rest
    if (rest === '') {
      parts.pop()
      if (found.state !== null && found.postalCode !== null) {
        return
      }
      continue
    }
    parts[parts.length - 1] = rest
    return
  }
}

/** `Sydney NSW 2000`: four digits are a post code only behind a state. */
function australian(text: string): RegExpExecArray | null {
  const code = australianCode.exec(text)
  return code !== null && /(?:^|\s)(?:nsw|vic|qld|wa|sa|tas|act|nt)$/i.test(text.slice(0, code.index)) ? code : null
}

/** `text` without the state at its end. */
function withoutState(text: string, found: Found, expected: boolean): string {
  const words = text.split(' ')
  for (let count = Math.min(4, words.length); count > 0; count--) {
    const name = words.slice(-count).join(' ').replaceAll('.', '')
    const code = states.get(name.toLowerCase()) ?? null
    const rest = words.slice(0, -count).join(' ')
    const isCode = code !== null && name === code
    const isName =
      code !== null &&
      name.length > 3 &&
      (rest === '' ? !alsoCities.has(name.toLowerCase()) || found.postalCode !== null : false)
    if (expected && (isCode || (code !== null && rest === '' && name.length <= 3) || isName)) {
      found.state = isCode || name.length <= 3 ? code : name
      return rest
    }
  }
  return text
}

/** `Roma RM` and `Roma (RM)`: Italy writes its provinces behind the city. */
function withoutProvince(city: string, found: Found): string {
  const province = /^(.*\p{Ll}.*?)\s+\(?([A-Z]{2})\)?$/u.exec(city)
  if (province === null) {
    return city
  }
  found.state = province[2]!
  return province[1]!
}

function takeCity(parts: string[], found: Found): void {
  const last = parts.at(-1)
  if (found.city !== null || last === undefined) {
    return
  }
  const street = streetEnd.exec(last)
  if (street !== null) {
    found.city = street[2]!
    parts[parts.length - 1] = street[1]!
    return
  }
  if (!/\d/.test(last)) {
    found.city = last
    parts.pop()
  }
}
