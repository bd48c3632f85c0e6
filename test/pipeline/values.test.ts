/** What each kind of field makes of the texts that files hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CountryCode, getCountries, parsePhoneNumberFromString } from 'libphonenumber-js/min'
import { phoneReader } from '../../src/pipeline/phone.js'
import { arrayLiteral, entriesOf, isFormulaError, type ReadingOptions, valueParser } from '../../src/pipeline/values.js'
import { fieldOf, recordTypes } from '../../src/records/index.js'
import type { FieldDefinition, RecordTypeName } from '../../src/records/types.js'
import { Random } from '../helpers/random.js'

const plain: ReadingOptions = { format: null, timeZone: 'UTC', defaultCountry: null }

function field(type: RecordTypeName, name: string): FieldDefinition {
  const found = fieldOf(recordTypes[type], name)
  assert.ok(found !== null, `${type}.${name}`)
  return found
}

/** Each text with what it becomes; null is a fault with the code that is given instead. */
function reads(
  name: string,
  of: FieldDefinition,
  options: ReadingOptions,
  cases: readonly (readonly [string, string | { code: string }])[],
): void {
  test(name, () => {
    const parser = valueParser(of, options)
    for (const [text, expected] of cases) {
      const value = parser.parse(text)
      if (typeof expected === 'string') {
        assert.equal(value, expected, JSON.stringify(text))
      } else {
        assert.equal(value, null, JSON.stringify(text))
        const fault = parser.fault(text)
        assert.equal(fault.code, expected.code, JSON.stringify(text))
        assert.ok(fault.message.length > 10 && /[.?]$/.test(fault.message), fault.message)
      }
    }
  })
}

const INVALID_EMAIL = { code: 'INVALID_EMAIL' }
reads('e-mail addresses are lower-cased and unwrapped', field('contact', 'email'), plain, [
  ['jane@example.com', 'jane@example.com'],
  ['Jane.Doe@Example.COM', 'jane.doe@example.com'],
  ['mailto:jane@example.com', 'jane@example.com'],
  ['MAILTO:Jane@example.com?subject=Hi', 'jane@example.com'],
  ['Jane Doe <jane@example.com>', 'jane@example.com'],
  ['"Doe, Jane" <Jane@Example.com>', 'jane@example.com'],
  ['<jane@example.com>', 'jane@example.com'],
  ['jane+tag@sub.example.co.uk', 'jane+tag@sub.example.co.uk'],
  ["o'neil_1!#$%&*/=?^`{|}~@example.com", "o'neil_1!#$%&*/=?^`{|}~@example.com"],
  ['1@2.de', '1@2.de'],
  ['müller@bücher.de', 'müller@bücher.de'],
  ['a@xn--bcher-kva.example', 'a@xn--bcher-kva.example'],
])
reads('what is no e-mail address is a fault', field('contact', 'email'), plain, [
  ['jane', INVALID_EMAIL],
  ['jane@', INVALID_EMAIL],
  ['@example.com', INVALID_EMAIL],
  ['jane@example', INVALID_EMAIL],
  ['jane@example.', INVALID_EMAIL],
  ['jane@example.c', INVALID_EMAIL],
  ['jane@example.123', INVALID_EMAIL],
  ['jane@@example.com', INVALID_EMAIL],
  ['jane@exa mple.com', INVALID_EMAIL],
  ['jane@example..com', INVALID_EMAIL],
  ['.jane@example.com', INVALID_EMAIL],
  ['jane.@example.com', INVALID_EMAIL],
  ['ja..ne@example.com', INVALID_EMAIL],
  ['jane@-example.com', INVALID_EMAIL],
  ['jane@example-.com', INVALID_EMAIL],
  ['jane@.example.com', INVALID_EMAIL],
  ['jane@exam_ple.com', INVALID_EMAIL],
  ['jane@example.com, joe@example.com', INVALID_EMAIL],
  ['jane@example.com;joe@example.com', INVALID_EMAIL],
  ['n/a', INVALID_EMAIL],
  [`${'a'.repeat(65)}@example.com`, INVALID_EMAIL],
  [`a@${'b'.repeat(64)}.com`, INVALID_EMAIL],
  [`a@${'bcd.'.repeat(70)}com`, { code: 'VALUE_TOO_LONG' }],
])

reads('phone numbers with a country code become E.164 without a default country', field('contact', 'phone'), plain, [
  ['+49 30 901820', '+4930901820'],
  ['+1 (202) 555-0123', '+12025550123'],
  ['0049 171 1234567', '+491711234567'],
  ['+44 (0)20 7946 0958', '+442079460958'],
  ['+44 020 7946 0958', '+442079460958'],
  ['+39 06 1234 5678', '+390612345678'],
  ['\u202a+49 171 1234567\u202c', '+491711234567'],
  ['+1 202-555-0123 x45', '+12025550123;ext=45'],
  ['+1 202-555-0123 ext. 45', '+12025550123;ext=45'],
  // Kept as they stand: they are no full numbers.
  ['030 901820', '030 901820'],
  ['(202) 555-0123', '(202) 555-0123'],
  ['555 0123 or 555 0124', '555 0123 or 555 0124'],
  ['+999 12345', '+999 12345'],
  ['ask Bob, 12', 'ask Bob, 12'],
])
reads(
  'phone numbers of the default country become E.164',
  field('contact', 'phone'),
  { ...plain, defaultCountry: 'DE' },
  [
    ['030 901820', '+4930901820'],
    ['0171/1234567', '+491711234567'],
    ['(0171) 123-4567', '+491711234567'],
    ['+1 202 555 0123', '+12025550123'],
    ['001 202 555 0123', '+12025550123'],
    ['0171 1234567 (office)', '0171 1234567 (office)'],
  ],
)
reads(
  'phone numbers of North America lose their leading one',
  field('lead', 'phone'),
  { ...plain, defaultCountry: 'US' },
  [
    ['1-202-555-0123', '+12025550123'],
    ['202.555.0123', '+12025550123'],
    ['2025550123', '+12025550123'],
    ['(555) 555-0123', '+15555550123'],
    ['555-0123', '555-0123'],
    ['202-555-0123x9', '+12025550123;ext=9'],
    ['011 49 30 901820', '+4930901820'],
  ],
)
reads('a phone number without digits, or shortened by a spreadsheet, is a fault', field('contact', 'phone'), plain, [
  ['n/a', { code: 'INVALID_PHONE' }],
  ['unknown', { code: 'INVALID_PHONE' }],
  ['4.91512E+12', { code: 'INVALID_PHONE' }],
  ['2,02556E+09', { code: 'INVALID_PHONE' }],
  ['1'.repeat(65), { code: 'VALUE_TOO_LONG' }],
])

test('phone numbers are read as libphonenumber reads them, in every country', () => {
  const seed = 20_261_122
  const random = new Random(seed)
  const digits = (count: number) => Array.from({ length: count }, () => random.below(10)).join('')
  for (const country of getCountries()) {
    const read = phoneReader(country)
    for (let n = 0; n < 25; n++) {
      let text = random.pick(['', '', '0', '1', '8', '06']) + digits(4 + random.below(9))
      if (random.chance(0.3)) {
        text = `${text.slice(0, 3)} ${text.slice(3, 6)}-${text.slice(6)}`
      }
      if (text.startsWith('00')) {
        continue
      }
      const number = parsePhoneNumberFromString(text, { defaultCountry: country, extract: false })
      const expected = number?.isPossible() === true ? number.number : null
      assert.equal(read(text), expected, `${country} ${text} (seed ${seed})`)
    }
  }
})

test('full phone numbers are read as libphonenumber reads them', () => {
  const seed = 3
  const random = new Random(seed)
  const read = phoneReader(null)
  for (const country of getCountries()) {
    const code = parsePhoneNumberFromString('12345678', country as CountryCode)?.countryCallingCode ?? '1'
    for (let n = 0; n < 10; n++) {
      const text = `+${code}${random.pick(['', '0', '(0)', '1'])}${Array.from({ length: 5 + random.below(7) }, () => random.below(10)).join('')}`
      const number = parsePhoneNumberFromString(text, { extract: false })
      assert.equal(read(text), number?.isPossible() === true ? number.number : null, `${text} (seed ${seed})`)
    }
  }
})

const INVALID_URL = { code: 'INVALID_URL' }
reads('web addresses are kept as they stand', field('contact', 'website'), plain, [
  ['https://www.example.com/a?b=c#d', 'https://www.example.com/a?b=c#d'],
  ['HTTP://example.com', 'HTTP://example.com'],
  ['http://localhost:8080/x', 'http://localhost:8080/x'],
  ['www.example.com', 'www.example.com'],
  ['example.co.uk/path', 'example.co.uk/path'],
  ['example.com:8443/x', 'example.com:8443/x'],
  ['bücher.example', 'bücher.example'],
  ['javascript:alert(1)', INVALID_URL],
  ['JavaScript:alert(1)', INVALID_URL],
  ['data:text/html,x', INVALID_URL],
  ['file:///etc/passwd', INVALID_URL],
  ['ftp://example.com', INVALID_URL],
  ['mailto:a@b.de', INVALID_URL],
  ['no site', INVALID_URL],
  ['example', INVALID_URL],
  ['example.1', INVALID_URL],
  ['http://', INVALID_URL],
  ['http://exa mple.com', INVALID_URL],
  ['https://example.com/"onclick=x', INVALID_URL],
  ['-example.com', INVALID_URL],
  ['n/a', INVALID_URL],
  [`https://example.com/${'a'.repeat(2048)}`, { code: 'VALUE_TOO_LONG' }],
])

const INVALID_NUMBER = { code: 'INVALID_NUMBER' }
const OUT_OF_RANGE = { code: 'NUMBER_OUT_OF_RANGE' }
reads('money is read with a decimal point', field('property', 'listPrice'), plain, [
  ['0', '0'],
  ['1234', '1234'],
  ['1234.5', '1234.5'],
  ['1,234', '1234'],
  ['1,234.56', '1234.56'],
  ['1,234,567.89', '1234567.89'],
  ['12,34,567.89', '1234567.89'],
  ["1'234.50", '1234.50'],
  ['1 234.50', '1234.50'],
  ['1\u00a0234\u00a0567', '1234567'],
  ['1\u202f234.5', '1234.5'],
  ['$1,234.56', '1234.56'],
  ['$ 1,234', '1234'],
  ['USD 1,234.00', '1234.00'],
  ['1,234.00 USD', '1234.00'],
  ['US$1,234', '1234'],
  ['€ 350000', '350000'],
  ['350000 €', '350000'],
  ['350000€', '350000'],
  ["CHF 1'250'000.-", '1250000'],
  ['1250000,-', '1250000'],
  ['500 kr', '500'],
  ['+5', '5'],
  ['007', '7'],
  ['.5', '0.5'],
  // Two shapes have one reading only, whatever the column's format.
  ['1.234,56', '1234.56'],
  ['1.234.567', '1234567'],
  // PostgreSQL would round in the same way.
  ['1.005', '1.01'],
  ['1.0049', '1.00'],
  ['999999999999.99', '999999999999.99'],
  ['999999999999.995', OUT_OF_RANGE],
  ['1000000000000', OUT_OF_RANGE],
  ['-1', OUT_OF_RANGE],
  ['(1,234.56)', OUT_OF_RANGE],
  ['12,5', INVALID_NUMBER],
  ['1,23', INVALID_NUMBER],
  ['1,2345', INVALID_NUMBER],
  ['0,123', INVALID_NUMBER],
  ['1,234,56', INVALID_NUMBER],
  ['1.2.3', INVALID_NUMBER],
  ['1.2k', INVALID_NUMBER],
  ['350k', INVALID_NUMBER],
  ['1e5', INVALID_NUMBER],
  ['1.5E+06', INVALID_NUMBER],
  ['abc', INVALID_NUMBER],
  ['12 abc', INVALID_NUMBER],
  ['1 2', INVALID_NUMBER],
  ['5-6', INVALID_NUMBER],
  ['--5', INVALID_NUMBER],
  ['$', INVALID_NUMBER],
  ['-', INVALID_NUMBER],
  ['n/a', INVALID_NUMBER],
  ['1'.repeat(60), INVALID_NUMBER],
])
reads('money is read with a decimal comma', field('lead', 'budgetMax'), { ...plain, format: '1.234,56' }, [
  ['1234', '1234'],
  ['1234,5', '1234.5'],
  ['1.234', '1234'],
  ['1.234,56', '1234.56'],
  ['1 234,56', '1234.56'],
  ['1.234.567,89 €', '1234567.89'],
  ['EUR 1.200', '1200'],
  ['R$ 1.200,50', '1200.50'],
  ['350,-', '350'],
  ['1,234.56', '1234.56'],
  ['1,234', '1.23'],
  ['12.5', INVALID_NUMBER],
  ['1.23', INVALID_NUMBER],
  ['0.123', INVALID_NUMBER],
])
reads('negative decimals are read however the sign is written', field('property', 'longitude'), plain, [
  ['-0.1278', '-0.1278'],
  ['\u22120.1278', '-0.1278'],
  ['(0.1278)', '-0.1278'],
  ['0.1278-', '-0.1278'],
  ['- 0.1278', '-0.1278'],
  ['-0', '0'],
  ['-0.0', '0.0'],
  ['11.576124000000001', '11.57612400'],
  ['-179.999999995', '-180.00000000'],
  ['180', '180'],
  ['180.1', OUT_OF_RANGE],
  ['-(5)', INVALID_NUMBER],
])
reads('whole numbers have no fraction and no currency', field('property', 'bedroomsTotal'), plain, [
  ['3', '3'],
  ['3.0', '3'],
  ['3.00', '3'],
  ['1,000', OUT_OF_RANGE],
  ['3.5', INVALID_NUMBER],
  ['$3', INVALID_NUMBER],
  ['three', INVALID_NUMBER],
  ['-1', OUT_OF_RANGE],
])
reads('a percent sign is dropped', field('lead', 'score'), plain, [
  ['85%', '85'],
  ['85 %', '85'],
  ['-2147483648', '-2147483648'],
  ['2147483648', OUT_OF_RANGE],
])

test('yes and no are read in seven languages and as spreadsheets show them', () => {
  const parser = valueParser(field('lead', 'emailOptOut'), plain)
  for (const text of [
    'true',
    'TRUE',
    'Yes',
    'y',
    '1',
    '1.0',
    'on',
    'x',
    'X',
    '✓',
    '☑',
    'ja',
    'wahr',
    'oui',
    'vrai',
    'sí',
    'Si',
    'verdadero',
    'sim',
    'vero',
    'waar',
    'Unsubscribed',
    'opted-out',
  ]) {
    assert.equal(parser.parse(text), 't', text)
  }
  for (const text of [
    'false',
    'No',
    'N',
    '0',
    '0.0',
    'off',
    'nein',
    'falsch',
    'non',
    'faux',
    'falso',
    'não',
    'nee',
    'onwaar',
    '☐',
    '❌',
    'subscribed',
  ]) {
    assert.equal(parser.parse(text), 'f', text)
  }
  for (const text of ['maybe', '2', '10', '-', '??', 'n/a']) {
    assert.equal(parser.parse(text), null, text)
    assert.equal(parser.fault(text).code, 'INVALID_BOOLEAN')
  }
})

reads('lead states are read as the usual sources write them', field('lead', 'status'), plain, [
  ['NEW', 'NEW'],
  ['new', 'NEW'],
  ['Open - Not Contacted', 'NEW'],
  ['Working - Contacted', 'CONTACTED'],
  ['Closed - Converted', 'CONVERTED'],
  ['Closed - Not Converted', 'LOST'],
  ['IN_PROGRESS', 'CONTACTED'],
  ['OPEN_DEAL', 'QUALIFIED'],
  ['ATTEMPTED_TO_CONTACT', 'ATTEMPTED'],
  ['Bad timing', 'NURTURING'],
  ['won', 'CONVERTED'],
  ['Something else', { code: 'INVALID_ENUM_VALUE' }],
  ['???', { code: 'INVALID_ENUM_VALUE' }],
])
reads('listing states are read as the usual sources write them', field('property', 'standardStatus'), plain, [
  ['Active Under Contract', 'ACTIVE_UNDER_CONTRACT'],
  ['active-under-contract', 'ACTIVE_UNDER_CONTRACT'],
  ['Under Offer', 'ACTIVE_UNDER_CONTRACT'],
  ['Sold', 'CLOSED'],
  ['Off Market', 'WITHDRAWN'],
  ['Pre Market', 'COMING_SOON'],
  ['For Sale', 'ACTIVE'],
])
reads('units of area are read with their signs', field('property', 'livingAreaUnits'), plain, [
  ['m²', 'SQM'],
  ['sq. ft.', 'SQFT'],
  ['Square Feet', 'SQFT'],
  ['ha', 'HECTARES'],
])
reads('a choice may say that there is none', field('activity', 'priority'), plain, [
  ['--None--', ''],
  ['NONE', ''],
  ['Medium', 'NORMAL'],
])
test('an unknown choice suggests the nearest one', () => {
  const parser = valueParser(field('lead', 'status'), plain)
  assert.equal(parser.fault('Qualifed').suggestion, 'Did you mean QUALIFIED?')
  assert.equal(parser.fault('zzzzzz').suggestion, 'Map the value to one of them in the mapping.')
})

reads('tags are split, trimmed and unique without regard to case', field('contact', 'tags'), plain, [
  ['VIP', '{"VIP"}'],
  ['VIP; Investor ,vip', '{"VIP","Investor"}'],
  ['* myContacts ::: friends', '{"* myContacts","friends"}'],
  ['a "b" \\c', '{"a \\"b\\" \\\\c"}'],
  [';,;', ''],
  ['x'.repeat(101), { code: 'VALUE_TOO_LONG' }],
])
test('an array literal escapes what would end an element', () => {
  assert.equal(arrayLiteral(['a,b', '{}', '"', '\\', 'null', '']), '{"a,b","{}","\\"","\\\\","null",""}')
})

reads('countries become their code where they are known', field('contact', 'country'), plain, [
  ['Germany', 'DE'],
  ['Deutschland', 'DE'],
  ['ALLEMAGNE', 'DE'],
  ['DEU', 'DE'],
  ['de', 'DE'],
  ['U.S.A.', 'US'],
  ['UK', 'GB'],
  ['Países Bajos', 'NL'],
  ['Atlantis', 'Atlantis'],
])
reads('currencies are codes', field('property', 'currency'), plain, [
  ['eur', 'EUR'],
  ['€', 'EUR'],
  ['$', { code: 'INVALID_ENUM_VALUE' }],
  ['Dollar', { code: 'INVALID_ENUM_VALUE' }],
])
reads('text stands as it is', field('contact', 'lastName'), plain, [
  ["O'Neil", "O'Neil"],
  ['="00123"', '00123'],
  ['=SUM(A1)', '=SUM(A1)'],
  ['x'.repeat(100), 'x'.repeat(100)],
  ['x'.repeat(101), { code: 'VALUE_TOO_LONG' }],
])

test('errors of spreadsheet formulas are told from texts that begin with a hash', () => {
  for (const text of ['#N/A', '#n/a', '#REF!', '#DIV/0!', '#NAME?', '#VALUE!', '########', '#WERT!']) {
    assert.ok(isFormulaError(text), text)
  }
  for (const text of ['#1', '#12 Main Street', '##', '#hashtag', 'N/A']) {
    assert.ok(!isFormulaError(text), text)
  }
})

test('messages about sensitive fields do not repeat the value', () => {
  for (const type of Object.values(recordTypes)) {
    for (const sensitive of type.fields.filter((candidate) => candidate.sensitive && candidate.reference === null)) {
      const text = `secret-9471${'!'.repeat(70_000)}`
      const { message, suggestion } = valueParser(sensitive, plain).fault(text)
      assert.ok(!`${message} ${suggestion}`.includes('secret'), sensitive.name)
    }
  }
})

reads('a birth date is not in the future', field('contact', 'birthDate'), { ...plain, format: 'MM/dd/yy' }, [
  ['6/15/55', '1955-06-15'],
  ['15 Jun 55', '1955-06-15'],
  ['6/15/2001', '2001-06-15'],
])

test('huge cells are refused without ado', () => {
  const texts = [
    'x'.repeat(1_000_000),
    ' ;'.repeat(500_000),
    `a${' '.repeat(500_000)}b`,
    '1'.repeat(1_000_000),
    '<'.repeat(500_000),
    '@'.repeat(500_000),
  ]
  const started = process.cpuUsage()
  for (const name of ['kind', 'email', 'phone', 'website', 'birthDate', 'emailOptOut', 'tags', 'country', 'notes']) {
    const parser = valueParser(field('contact', name), plain)
    for (const text of texts) {
      if (parser.parse(text) === null) {
        assert.ok(parser.fault(text).message.length < 500, name)
      }
    }
  }
  const { user } = process.cpuUsage(started)
  assert.ok(user < 5_000_000, `${user} µs`)
})

test('a long value is cut where a message shows it', () => {
  const { message } = valueParser(field('property', 'yearBuilt'), plain).fault('y'.repeat(5_000))
  assert.ok(message.length < 300)
})

test('entries in quotes may hold separators, and quotes that do not close are text', () => {
  const cases: [string, string[]][] = [
    ['a; b', ['a', ' b']],
    ['"a; b"; c', ['a; b', ' c']],
    ['"a, b|c:::d"', ['a, b|c:::d']],
    ['"say ""hi"""; x', ['say "hi"', ' x']],
    ['"open; x', ['"open', ' x']],
    ['5" pipe, 6" pipe', ['5" pipe', ' 6" pipe']],
    ['"a" b; "c"', ['"a" b', 'c']],
    ['a:::"b;c"', ['a', 'b;c']],
  ]
  for (const [text, entries] of cases) {
    assert.deepEqual(entriesOf(text), entries, text)
  }
  const started = performance.now()
  entriesOf('"a'.repeat(100_000))
  assert.ok(performance.now() - started < 5_000)
})

test('the cover that keeps leading zeros comes off, and what is left reads the same again', () => {
  const parser = valueParser(field('contact', 'jobTitle'), plain)
  assert.equal(parser.parse('="007"'), '007')
  assert.equal(parser.parse('="="007""'), '="="007""')
  assert.equal(parser.parse('="007" or "8"'), '="007" or "8"')
  assert.equal(parser.parse('="x'), '="x')
})
