/**
 * Phone numbers to E.164. libphonenumber takes some 14 µs a number, which is more than everything else that is done to
 * a row; so numbers in the usual form of the default country are read with patterns taken from its metadata (a test
 * compares the two), and only the rest goes through the library.
 */
import { type CountryCode, Metadata, parsePhoneNumberFromString } from 'libphonenumber-js/core'
import metadata from 'libphonenumber-js/metadata.min.json'
import { remembering } from './text.js'

/** How numbers of one country look when written without the country code. */
interface NationalPlan {
  readonly callingCode: string
  /** The digits dialled before a number inside the country, `''` for none; null where it takes more than digits to say. */
  readonly prefix: string | null
  readonly pattern: RegExp
  readonly lengths: ReadonlySet<number>
  readonly longest: number
  /** Dialled before numbers abroad. */
  readonly international: RegExp | null
}

/** Whether `country` is an ISO 3166-1 alpha-2 code of a country with phone numbers. */
export function hasPhoneNumbers(country: string): boolean {
  return Object.hasOwn(metadata.countries, country)
}

/** Reads a phone number: E.164, with `;ext=` and the extension if it has one; null where it is none. */
export type PhoneReader = (text: string) => string | null

/**
 * A reader for a file whose numbers without a country code are of `defaultCountry`. Without one, only numbers with `+`
 * or `00` are read. Null means that the text is not a full number; it may still be worth keeping as it stands.
 */
export function phoneReader(defaultCountry: string | null): PhoneReader {
  const plan = defaultCountry === null ? null : planOf(defaultCountry)
  const thorough = remembering((text) => parsed(text, defaultCountry))
  return (text) => quick(text, plan) ?? (plan === null && !text.includes('+') ? null : thorough(text))
}

/** The usual forms; null sends the number to the library. */
function quick(text: string, plan: NationalPlan | null): string | null {
  const digits = digitsOf(text)
  if (digits === null) {
    return null
  }
  if (digits.charCodeAt(0) === 43) {
    return fullNumber(digits)
  }
  if (digits.charCodeAt(0) === 48 && digits.charCodeAt(1) === 48) {
    return fullNumber(`+${digits.slice(2)}`)
  }
  return plan === null || plan.prefix === null ? null : nationalNumber(digits, plan, plan.prefix)
}

/** What is told of a number with `+` by its country code alone. */
interface FullPlan {
  readonly lengths: ReadonlySet<number>
  /** What may stand wrongly between the country code and the number; null for nothing. */
  readonly prefix: RegExp | null
}

const fullPlans = new Map<string, FullPlan | null>()

/** `number` if it has a country code, a length that its country has, and no dialling prefix behind the code. */
function fullNumber(number: string): string | null {
  for (let length = 1; length <= 3; length++) {
    const callingCode = number.slice(1, 1 + length)
    let plan = fullPlans.get(callingCode)
    if (plan === undefined) {
      plan = fullPlanOf(callingCode)
      fullPlans.set(callingCode, plan)
    }
    if (plan !== null) {
      const fits =
        plan.lengths.has(number.length - 1 - length) &&
        (plan.prefix === null || !plan.prefix.test(number.slice(1 + length)))
      return fits ? number : null
    }
  }
  return null
}

function fullPlanOf(callingCode: string): FullPlan | null {
  const countries = Object.entries(metadata.country_calling_codes).find(([code]) => code === callingCode)?.[1]
  if (countries === undefined) {
    return null
  }
  const main = libraryPlan(callingCode as CountryCode)
  const prefix = main.nationalPrefixForParsing() ?? ''
  // Countries that share a code may differ in lengths; one that all of them have needs no look at which country it is.
  const lengths = countries.map((country) => new Set(libraryPlan(country).possibleLengths()))
  return {
    lengths: new Set(main.possibleLengths().filter((length) => lengths.every((known) => known.has(length)))),
    prefix: prefix === '' ? null : new RegExp(`^(?:${prefix})`),
  }
}

/** The part of the library's numbering plan that its type declarations leave out. */
interface LibraryPlan {
  callingCode(): string
  nationalPrefixForParsing(): string | undefined
  nationalNumberPattern(): string
  possibleLengths(): number[]
  IDDPrefix(): string | undefined
}

function nationalNumber(digits: string, plan: NationalPlan, prefix: string): string | null {
  let national = digits
  if (prefix !== '' && digits.startsWith(prefix)) {
    const rest = digits.slice(prefix.length)
    const fits = plan.lengths.has(rest.length) || rest.length > plan.longest
    // A number that is whole with the prefix and broken without it begins with those digits by chance.
    if (fits && !(plan.pattern.test(digits) && !plan.pattern.test(rest))) {
      national = rest
    }
  }
  if (!plan.lengths.has(national.length) || plan.international?.test(digits) === true) {
    return null
  }
  if (!plan.pattern.test(national) && digits.startsWith(plan.callingCode) && plan.callingCode !== prefix) {
    return null
  }
  return `+${plan.callingCode}${national}`
}

/** Longer texts are not one number. */
const USUAL_LENGTH_MAX = 40

/** The digits of `text`, with a leading `+` if it has one; null where it holds anything but digits and punctuation. */
function digitsOf(text: string): string | null {
  const length = text.length
  if (length > USUAL_LENGTH_MAX) {
    return null
  }
  // Joined run by run: a number has three or four of them, and ten digits.
  let digits = ''
  let runStart = -1
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at)
    if ((code >= 48 && code <= 57) || (code === 43 && runStart < 0 && digits === '')) {
      if (runStart < 0) {
        runStart = at
      }
    } else if (isPunctuation(code)) {
      // "(0)" is left out or kept depending on the country.
      if (code === 40 && text.charCodeAt(at + 1) === 48 && text.charCodeAt(at + 2) === 41) {
        return null
      }
      if (runStart >= 0) {
        digits += text.slice(runStart, at)
        runStart = -1
      }
    } else {
      return null
    }
  }
  return runStart < 0 ? digits : runStart === 0 ? text : digits + text.slice(runStart)
}

/** Space, brackets, hyphens, points, slashes, and the invisible marks that address books put around numbers. */
function isPunctuation(code: number): boolean {
  if (code < 128) {
    return code === 32 || code === 40 || code === 41 || code === 45 || code === 46 || code === 47
  }
  return (
    code === 0xa0 ||
    code === 0x202f ||
    (code >= 0x2000 && code <= 0x2015) ||
    (code >= 0x202a && code <= 0x202e) ||
    code === 0x2060
  )
}

const marks = /[\u200B-\u200F\u202A-\u202E\u2060\uFEFF]/g

function parsed(text: string, defaultCountry: string | null): string | null {
  const number = parsePhoneNumberFromString(
    text.replace(marks, ''),
    { extract: false, ...(defaultCountry === null ? {} : { defaultCountry: defaultCountry as CountryCode }) },
    metadata,
  )
  if (number === undefined || !number.isPossible()) {
    return null
  }
  return number.ext === undefined ? number.number : `${number.number};ext=${number.ext}`
}

/** The library's plan of a country, or of a calling code, which its declarations leave out too. */
function libraryPlan(country: CountryCode): LibraryPlan {
  const selected = new Metadata(metadata)
  selected.selectNumberingPlan(country)
  return selected.numberingPlan as unknown as LibraryPlan
}

function planOf(country: string): NationalPlan {
  const plan = libraryPlan(country as CountryCode)
  const prefix = plan.nationalPrefixForParsing() ?? ''
  const lengths = plan.possibleLengths()
  const international = plan.IDDPrefix()
  return {
    callingCode: plan.callingCode(),
    prefix: /^\d*$/.test(prefix) ? prefix : null,
    pattern: new RegExp(`^(?:${plan.nationalNumberPattern()})$`),
    lengths: new Set(lengths),
    longest: Math.max(...lengths),
    international: international === undefined ? null : new RegExp(`^(?:${international})`),
  }
}
