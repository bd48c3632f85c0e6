/** Transforms that read what a text means: dates, numbers, money, phone numbers, yes and no, addresses on the web. */
import { currencyReader } from '../country.js'
import {
  DATE_FORMATS,
  type DateFormat,
  dateFormatNamed,
  dayReader,
  momentReader,
  type NumberFormat,
} from '../formats.js'
import { phoneReader } from '../phone.js'
import { booleanReader } from '../values.js'
import { zoneOf } from '../zone.js'
import { type Apply, type Arguments, parameter, said, type TransformDefinition, transform } from './definition.js'
import { decimalOf, numberFormatOf, plainNumberReader, product, roundedTo } from './numbers.js'

const DAY_MS = 86_400_000

const localeParameter = parameter({
  name: 'locale',
  kind: 'NUMBER_FORMAT',
  description: 'A language such as `de-DE`, or the number 1234.56 as the column writes it, e.g. `1.234,56`.',
  byDefault: '1,234.56',
})

function formatIn(args: Arguments): NumberFormat {
  return numberFormatOf(args.text('locale')) ?? '1234.56'
}

function dateFormatIn(args: Arguments): DateFormat {
  return dateFormatNamed(args.text('format')) ?? 'yyyy-MM-dd'
}

const dateFormat = parameter({
  name: 'format',
  kind: 'DATE_FORMAT',
  description: `How the column writes dates; one of ${DATE_FORMATS.map((format) => `\`${format}\``).join(', ')}.`,
  required: true,
})

// ----------------------------------------------------------------------------------------------------------- dates

/** Days of a spreadsheet count from 30 December 1899; its 29 February 1900 never was. */
const SERIAL_ZERO_MS = Date.UTC(1899, 11, 30)
/** 31 December 9999, the last day that spreadsheets know. */
const SERIAL_MAX = 2_958_465

function serialDay(text: string): string | null {
  const serial = /^\d{1,7}(?:\.\d{1,20})?$/.test(text) ? Number(text) : Number.NaN
  return serial >= 61 && serial < SERIAL_MAX + 1
    ? new Date(SERIAL_ZERO_MS + Math.floor(serial) * DAY_MS).toISOString().slice(0, 10)
    : null
}

// ----------------------------------------------------------------------------------------------------------- money

/** Signs that several currencies share. */
const sharedSigns: Readonly<Record<string, readonly string[]>> = {
  $: ['USD', 'CAD', 'AUD', 'NZD', 'HKD', 'SGD', 'MXN', 'ARS', 'CLP', 'COP', 'TWD'],
  '¥': ['JPY', 'CNY'],
  kr: ['SEK', 'NOK', 'DKK', 'ISK'],
}

/** What of an amount is no number: `€` of `€ 1.200,50`. */
function currencyText(text: string): string {
  return text.replace(/[\d\s.,'’()+−-]+/g, '')
}

function currencyTest(expected: string | null): (text: string) => string | null {
  const read = currencyReader()
  return (text) => {
    const sign = currencyText(text)
    if (sign === '') {
      return expected ?? ''
    }
    const shared = sharedSigns[sign.toLowerCase()]
    if (shared !== undefined) {
      return expected !== null && shared.includes(expected) ? expected : null
    }
    const found = read(sign)
    return expected === null || found === expected ? found : null
  }
}

function money(args: Arguments): Apply {
  const amount = plainNumberReader(formatIn(args), true)
  const expected = args.optional('currency')?.toUpperCase() ?? null
  const currency = currencyTest(expected)
  if (args.text('part') === 'currency') {
    return (text) => (amount(text) === null ? null : currency(text))
  }
  return (text) => {
    const value = amount(text)
    return value === null || (expected !== null && currency(text) === null) ? null : value
  }
}

// --------------------------------------------------------------------------------------------------------- finding

/** First part of `text` between white space, commas and brackets that `fits`, scanned once. */
function firstWord(text: string, fits: (word: string) => string | null): string {
  for (const [word] of text.matchAll(/[^\s,;<>()[\]{}"|]+/gu)) {
    const found = word.length > 2_048 ? null : fits(word)
    if (found !== null) {
      return found
    }
  }
  return ''
}

function emailIn(word: string): string | null {
  const address = word.replace(/^mailto:/i, '').replace(/^[.'/:]{1,20}/, '')
  const at = address.indexOf('@')
  const host = /^[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63})*\.\p{L}{2,63}/u.exec(address.slice(at + 1))?.[0]
  return at > 0 && at <= 64 && host !== undefined ? `${address.slice(0, at)}@${host}` : null
}

function urlIn(word: string): string | null {
  const start = word.search(/https?:\/\/|www\./i)
  const url = start < 0 ? '' : word.slice(start)
  let end = url.length
  while (end > 0 && ".,:;!?'’*".includes(url.charAt(end - 1))) {
    end--
  }
  return /^(?:https?:\/\/|www\.)[^/?#]+\.[^/?#]/i.test(url) ? url.slice(0, end) : null
}

/** Host name of a web address or of the e-mail address, without `www.`; null for neither. */
function domainOf(text: string): string | null {
  const address = text.trim()
  if (address.length > 2_048) {
    return null
  }
  const host = address
    .replace(/^[a-z][a-z0-9+.-]{0,20}:(?:\/\/)?/i, '')
    .split(/[/?#]/, 1)[0]!
    .replace(/^[^@]*@/, '')
    .replace(/:\d{1,5}$/, '')
    .replace(/^www\./i, '')
    .replace(/[>)\].,]+$/, '')
    .toLowerCase()
  return /^[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63})+$/u.test(host) ? host : null
}

function firstNumber(format: NumberFormat): (text: string) => string {
  const read = plainNumberReader(format, false)
  const decimal = format.charAt(format.length - 3)
  const group = format.length > 7 ? format.charAt(1) : ''
  const inner = `[${decimal}${group === "'" ? "'’" : group === ' ' ? ' \u00A0\u202F' : group}]`
  // A hyphen within a word, as in `A-12`, is no minus.
  const number = new RegExp(`(?:(?<![^\\s(:])[-−])?\\d+(?:${inner}\\d+)*`, 'g')
  return (text) => {
    for (const [found] of text.matchAll(number)) {
      const value = read(found)
      if (value !== null) {
        return value
      }
    }
    return ''
  }
}

// ------------------------------------------------------------------------------------------------------------ list

export const valueTransforms: readonly TransformDefinition[] = [
  transform({
    name: 'date',
    description:
      'Reads a date in the given format and writes it as `2025-12-31`; a time behind it is left out. Ways of writing that have one reading only, such as `1 March 2026`, are read whatever the format.',
    parameters: [dateFormat],
    example: { arguments: said({ format: 'dd/MM/yyyy' }), value: '03/04/2025', becomes: '2025-04-03' },
    expects: (args) => `a date written as ${dateFormatIn(args)}`,
    writesPlainly: true,
    compile: (args) => {
      const read = dayReader(dateFormatIn(args))
      return (text) => read(text.trim())
    },
  }),
  transform({
    name: 'dateTime',
    description:
      'Reads a date with or without a time and writes it in ISO 8601 and UTC. A time without an offset is one of `timeZone`.',
    parameters: [
      dateFormat,
      parameter({
        name: 'timeZone',
        kind: 'TIME_ZONE',
        description: 'IANA name such as `Europe/Berlin`; by default the zone of the import.',
      }),
    ],
    example: {
      arguments: said({ format: 'MM/dd/yyyy', timeZone: 'America/Chicago' }),
      value: '07/04/2025 9:30 PM',
      becomes: '2025-07-05T02:30:00Z',
    },
    expects: (args) => `a date written as ${dateFormatIn(args)}, with or without a time`,
    writesPlainly: true,
    compile: (args, { timeZone }) => {
      const read = momentReader(dateFormatIn(args), zoneOf(args.optional('timeZone') ?? timeZone) ?? zoneOf('UTC')!)
      return (text) => read(text.trim())
    },
  }),
  transform({
    name: 'excelDate',
    description:
      'Reads the number that a spreadsheet keeps for a date and writes it as `2025-12-31`; its time of day is left out.',
    example: { arguments: [], value: '46022', becomes: '2025-12-31' },
    expects: () => 'the number of a day from 61 (1 March 1900) on',
    writesPlainly: true,
    compile: () => (text) => serialDay(text.trim()),
  }),
  transform({
    name: 'number',
    description:
      'Reads a number as a language writes it and writes it plainly, as `-1234.56`. A percent sign is dropped.',
    parameters: [localeParameter],
    example: { arguments: said({ locale: 'de-DE' }), value: '1.234,5', becomes: '1234.5' },
    expects: (args) => `a number written as ${formatIn(args)}`,
    writesPlainly: true,
    compile: (args) => plainNumberReader(formatIn(args), false),
  }),
  transform({
    name: 'money',
    description:
      'Reads an amount with or without the sign or code of a currency; writes the amount plainly, or the code. ' +
      'With `currency`, an amount in another currency is not read, and shared signs such as `$` mean it.',
    parameters: [
      localeParameter,
      parameter({ name: 'currency', kind: 'CURRENCY', description: 'ISO 4217 code of the currency that is expected.' }),
      parameter({
        name: 'part',
        kind: 'CHOICE',
        description: 'What is taken of it.',
        byDefault: 'amount',
        choices: ['amount', 'currency'],
      }),
    ],
    example: { arguments: said({ locale: 'de-DE', currency: 'EUR' }), value: '1.234,50 €', becomes: '1234.50' },
    expects: (args) => {
      const currency = args.optional('currency')
      const part = args.text('part') === 'currency' ? ' with a currency that is no other’s' : ''
      return `an amount written as ${formatIn(args)}${currency === null ? part : ` in ${currency.toUpperCase()}`}`
    },
    writesPlainly: true,
    compile: money,
  }),
  transform({
    name: 'multiply',
    description: 'Multiplies a plain number exactly, e.g. to make units of thousands or to convert units.',
    parameters: [
      parameter({
        name: 'by',
        kind: 'NUMBER',
        description: 'The factor, written plainly; 0.01 divides by 100.',
        required: true,
      }),
    ],
    example: { arguments: said({ by: '1000' }), value: '4.5', becomes: '4500' },
    expects: () => 'a plain number such as -1234.56; put `number` before it for others',
    writesPlainly: true,
    compile: (args) => {
      const by = decimalOf(args.text('by'))!
      return (text) => {
        const value = decimalOf(text)
        return value === null ? null : product(value, by)
      }
    },
  }),
  transform({
    name: 'round',
    description: 'Rounds a plain number to so many decimal places, half away from zero.',
    parameters: [
      parameter({
        name: 'places',
        kind: 'WHOLE_NUMBER',
        description: 'How many digits stay behind the point.',
        byDefault: '0',
        min: 0,
        max: 20,
      }),
    ],
    example: { arguments: said({ places: 1 }), value: '2.25', becomes: '2.3' },
    expects: () => 'a plain number such as -1234.56; put `number` before it for others',
    writesPlainly: true,
    compile: (args) => {
      const places = args.number('places')
      return (text) => {
        const value = decimalOf(text)
        return value === null ? null : roundedTo(value, places)
      }
    },
  }),
  transform({
    name: 'phone',
    description: 'Reads a phone number and writes it with its country code (E.164); an extension follows as `;ext=12`.',
    parameters: [
      parameter({
        name: 'country',
        kind: 'COUNTRY',
        description: 'ISO 3166-1 alpha-2 code of numbers without a country code; by default that of the import.',
      }),
    ],
    example: { arguments: said({ country: 'US' }), value: '(512) 555-0101', becomes: '+15125550101' },
    expects: (args) => {
      const country = args.optional('country')
      return `a phone number${country === null ? '' : ` of ${country.toUpperCase()}, or one with a country code`}`
    },
    compile: (args, { defaultCountry }) => {
      const read = phoneReader(args.optional('country')?.toUpperCase() ?? defaultCountry)
      return (text) => (text.length > 250 ? null : read(text.trim()))
    },
  }),
  transform({
    name: 'boolean',
    description:
      'Reads yes and no and writes `true` or `false`. With `yes` or `no` these words are read instead of the usual ones of seven languages.',
    parameters: [
      parameter({ name: 'yes', description: 'A word for yes, whatever its case.', repeated: true }),
      parameter({ name: 'no', description: 'A word for no.', repeated: true }),
      parameter({
        name: 'otherwise',
        kind: 'CHOICE',
        description: 'What all other values mean that are not blank; by default they are not read.',
        choices: ['true', 'false'],
      }),
    ],
    example: { arguments: said({ yes: 'subscribed', no: 'unsubscribed' }), value: 'Subscribed', becomes: 'true' },
    expects: (args) => {
      const words = [...args.all('yes'), ...args.all('no')]
      return words.length === 0 ? 'yes or no' : `one of ${words.map((word) => `"${word}"`).join(', ')}`
    },
    compile: (args) => {
      const words = new Map<string, string>()
      for (const [name, value] of [
        ['yes', 'true'],
        ['no', 'false'],
      ] as const) {
        for (const word of args.all(name)) {
          words.set(word.trim().toLowerCase(), value)
        }
      }
      const usual = words.size === 0 ? booleanReader() : null
      const otherwise = args.optional('otherwise')
      return (text) => {
        const word = text.trim()
        const read = usual === null ? words.get(word.toLowerCase()) : usual(word)
        return (read === 't' ? 'true' : read === 'f' ? 'false' : read) ?? otherwise
      }
    },
  }),
  transform({
    name: 'extractEmail',
    description: 'Takes the first e-mail address out of a text; nothing if there is none.',
    example: { arguments: [], value: 'Ada <ada@example.com>, home', becomes: 'ada@example.com' },
    compile: () => (text) => firstWord(text, emailIn),
  }),
  transform({
    name: 'extractUrl',
    description: 'Takes the first web address out of a text; nothing if there is none.',
    example: { arguments: [], value: 'see https://example.com/a, or call', becomes: 'https://example.com/a' },
    compile: () => (text) => firstWord(text, urlIn),
  }),
  transform({
    name: 'extractNumber',
    description: 'Takes the first number out of a text and writes it plainly; nothing if there is none.',
    parameters: [localeParameter],
    example: { arguments: [], value: 'about 1,250.5 sqft', becomes: '1250.5' },
    writesPlainly: true,
    compile: (args) => firstNumber(formatIn(args)),
  }),
  transform({
    name: 'domain',
    description:
      'Takes the host name out of an e-mail or web address, without `www.`; nothing if the value is neither.',
    example: { arguments: [], value: 'https://www.example.com/about', becomes: 'example.com' },
    compile: () => (text) => domainOf(text) ?? '',
  }),
]
