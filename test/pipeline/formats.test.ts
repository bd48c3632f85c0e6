/** How dates and numbers are read, and what a column proves about its format. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DATE_FORMATS,
  type DateFormat,
  DateFormatProof,
  dateFormatNamed,
  dayReader,
  decimalSeparatorOf,
  momentReader,
  NUMBER_FORMATS,
  NumberFormatProof,
  numberFormatNamed,
  numberReader,
} from '../../src/pipeline/formats.js'
import { zoneOf } from '../../src/pipeline/zone.js'
import { Random } from '../helpers/random.js'

function zone(name: string) {
  const found = zoneOf(name)
  assert.ok(found !== null, name)
  return found
}

test('a day is read in every supported way of writing it', () => {
  const read = dayReader('dd/MM/yyyy')
  for (const text of [
    '2026-03-01',
    '2026/03/01',
    '2026.03.01',
    '2026-3-1',
    '20260301',
    '01/03/2026',
    '1/3/2026',
    '01-03-2026',
    '01.03.2026',
    '1.3.2026',
    '01/03/26',
    '1.3.26',
    '01-03-26',
    '1 March 2026',
    '01 Mar 2026',
    '1-Mar-2026',
    '01-MAR-26',
    '01MAR2026',
    '1. März 2026',
    '1 mars 2026',
    '1er mars 2026',
    '1 marzo 2026',
    '1 de marzo de 2026',
    '1 de março de 2026',
    '1 maart 2026',
    '1st March 2026',
    'March 1, 2026',
    'Mar 1 2026',
    'March 1st, 2026',
    'Sunday, March 1, 2026',
    'Sun, 1 Mar 2026 10:00:00 +0000',
    '2026-03-01T23:59:59Z',
    '2026-03-01 00:00:00',
    '2026-03-01T00:00:00.000+0200',
    '01/03/2026 11:59 PM',
    '20260301T101500Z',
    '1772323200000',
  ]) {
    assert.equal(read(text), '2026-03-01', text)
  }
})

test('what is no day is not read', () => {
  const read = dayReader('dd/MM/yyyy')
  for (const text of [
    '31/02/2026',
    '2026-02-29',
    '2026-13-01',
    '00/03/2026',
    '32.01.2026',
    '1/3',
    '2026',
    '2026-03',
    'March 2026',
    '1 Foo 2026',
    'tomorrow',
    '12/31/2026',
    '1/3/202',
    '1/3/20266',
    '1-3/2026',
    '01/03/2026 25:00',
    '01/03/2026 10:60',
    '01/03/2026 13:00 PM',
    '01/03/2026 0:10 AM',
    '01/03/2026x',
    '2026-03-01T',
    '2026-03-01 10',
    '2026-03-01 10:15:00+25:00',
    '1234567890',
    '99999999',
    '01/03/2026 10:15 EST',
    '٠١/٠٣/٢٠٢٦',
    '0999-01-01',
  ]) {
    assert.equal(read(text), null, text)
  }
})

test('a text that says there is no date is none, and no fault', () => {
  const read = dayReader('MM/dd/yyyy')
  for (const text of [
    '0000-00-00',
    '0/0/00',
    '00/00/0000',
    '00.00.0000',
    '0000-00-00 00:00:00',
    '0',
    '0001-01-01',
    '0001-01-01T00:00:00',
    '01/01/0001',
  ]) {
    assert.equal(read(text), '', text)
  }
})

test('the shape with two readings is read in the way of the column only', () => {
  assert.equal(dayReader('dd/MM/yyyy')('03/04/2026'), '2026-04-03')
  assert.equal(dayReader('MM/dd/yyyy')('03/04/2026'), '2026-03-04')
  assert.equal(dayReader('MM-dd-yy')('03/04/26'), '2026-03-04')
  assert.equal(dayReader('MM/dd/yyyy')('31/12/2026'), null)
  assert.equal(dayReader('dd/MM/yyyy')('12/31/2026'), null)
  // One reading, so it is read everywhere.
  assert.equal(dayReader('MM/dd/yyyy')('03.04.2026'), '2026-04-03')
})

test('two-digit years are of 1969 to 2068', () => {
  const read = dayReader('dd.MM.yy')
  assert.equal(read('01.02.68'), '2068-02-01')
  assert.equal(read('01.02.69'), '1969-02-01')
  assert.equal(read('29.02.00'), '2000-02-29')
})

test('two-digit years of days in the past are of 1927 to 2026', () => {
  const read = dayReader('MM/dd/yy', { past: true })
  assert.equal(read('6/15/55'), '1955-06-15')
  assert.equal(read('6/15/26'), '2026-06-15')
  assert.equal(read('6/15/27'), '1927-06-15')
  assert.equal(dayReader('MM/dd/yy')('6/15/55'), '2055-06-15')
})

test('epoch seconds are read where the mapping says so', () => {
  assert.equal(dayReader('yyyy-MM-dd')('1772323200'), null)
  assert.equal(dayReader('epoch seconds')('1772323200'), '2026-03-01')
  assert.equal(momentReader('epoch seconds', zone('UTC'))('1772323261'), '2026-03-01T00:01:01Z')
  assert.equal(momentReader('epoch milliseconds', zone('UTC'))('1772323261250'), '2026-03-01T00:01:01.25Z')
  assert.equal(momentReader('epoch seconds', zone('UTC'))('-86400'), '1969-12-31T00:00:00Z')
})

test('moments become ISO 8601 in UTC', () => {
  const read = momentReader('dd/MM/yyyy', zone('UTC'))
  for (const [text, expected] of [
    ['2026-03-01T12:34:56Z', '2026-03-01T12:34:56Z'],
    ['2026-03-01T12:34:56.000+0000', '2026-03-01T12:34:56Z'],
    ['2026-03-01T12:34:56.789Z', '2026-03-01T12:34:56.789Z'],
    ['2026-03-01T12:34:56.1234567Z', '2026-03-01T12:34:56.123456Z'],
    ['2026-03-01T12:34:56,5Z', '2026-03-01T12:34:56.5Z'],
    ['2026-03-01T01:30:00+02:00', '2026-02-28T23:30:00Z'],
    ['2026-03-01T01:30:00+0200', '2026-02-28T23:30:00Z'],
    ['2026-03-01T01:30+02', '2026-02-28T23:30:00Z'],
    ['2025-12-31 23:30 -01:00', '2026-01-01T00:30:00Z'],
    ['2026-03-01 12:34', '2026-03-01T12:34:00Z'],
    ['2026-03-01', '2026-03-01T00:00:00Z'],
    ['01/03/2026 1:05 PM', '2026-03-01T13:05:00Z'],
    ['01/03/2026, 12:05 am', '2026-03-01T00:05:00Z'],
    ['01/03/2026 12:05 p.m.', '2026-03-01T12:05:00Z'],
    ['01/03/2026 2 PM', '2026-03-01T14:00:00Z'],
    ['01.03.2026 14:30 Uhr', '2026-03-01T14:30:00Z'],
    ['01/03/2026 14h30', '2026-03-01T14:30:00Z'],
    ['01.03.2026 14.30', '2026-03-01T14:30:00Z'],
    ['Mar 1, 2026, 2:30:15 PM', '2026-03-01T14:30:15Z'],
    ['Sun, 01 Mar 2026 10:00:00 GMT', '2026-03-01T10:00:00Z'],
    ['01 Mar 2026 10:00:00 GMT+0100', '2026-03-01T09:00:00Z'],
    ['20260301T123456Z', '2026-03-01T12:34:56Z'],
    ['2026-03-01T12:34:56\u202fPM', '2026-03-01T12:34:56Z'],
  ] as const) {
    assert.equal(read(text), expected, text)
  }
})

test('a time without an offset is what the clocks of the zone show', () => {
  const berlin = momentReader('yyyy-MM-dd', zone('Europe/Berlin'))
  assert.equal(berlin('2026-01-15 12:00'), '2026-01-15T11:00:00Z')
  assert.equal(berlin('2026-07-15 12:00'), '2026-07-15T10:00:00Z')
  assert.equal(berlin('2026-07-15'), '2026-07-14T22:00:00Z')
  assert.equal(berlin('2026-07-15 12:00+00:00'), '2026-07-15T12:00:00Z')
  // Summer time begins: 02:30 is skipped and read as 03:30.
  assert.equal(berlin('2026-03-29 01:59:59'), '2026-03-29T00:59:59Z')
  assert.equal(berlin('2026-03-29 02:30:00'), '2026-03-29T01:30:00Z')
  assert.equal(berlin('2026-03-29 03:30:00'), '2026-03-29T01:30:00Z')
  // It ends: 02:30 comes twice, and the first is meant.
  assert.equal(berlin('2026-10-25 02:30:00'), '2026-10-25T00:30:00Z')
  assert.equal(berlin('2026-10-25 03:00:00'), '2026-10-25T02:00:00Z')
  // Half-hour offsets and half-hour summer time.
  assert.equal(momentReader('yyyy-MM-dd', zone('Asia/Kolkata'))('2026-01-01 05:30'), '2026-01-01T00:00:00Z')
  assert.equal(momentReader('yyyy-MM-dd', zone('Australia/Lord_Howe'))('2026-10-04 02:15'), '2026-10-03T15:45:00Z')
  assert.equal(momentReader('yyyy-MM-dd', zone('America/New_York'))('1950-06-01 00:00'), '1950-06-01T04:00:00Z')
})

test('the clocks of a zone agree with Intl around every change of a decade', () => {
  for (const name of ['Europe/London', 'America/Sao_Paulo', 'Pacific/Apia', 'Africa/Casablanca', 'America/St_Johns']) {
    const found = zone(name)
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone: name, dateStyle: 'short', timeStyle: 'medium' })
    for (let wall = Date.UTC(2010, 0, 1); wall < Date.UTC(2020, 0, 1); wall += 13 * 3_600_000 + 60_000) {
      const shown = Date.parse(`${format.format(found.toInstant(wall)).replace(' ', 'T')}Z`)
      // Equal, or ahead by the gap where clocks skip the time.
      assert.ok(
        shown === wall || (shown > wall && shown - wall <= 24 * 3_600_000),
        `${name} ${new Date(wall).toISOString()}`,
      )
    }
  }
})

test('an unknown time zone is none', () => {
  assert.equal(zoneOf('Mars/Olympus'), null)
  assert.equal(zoneOf(''), null)
})

test('date formats are known by name, with or without a time, in any case', () => {
  for (const format of DATE_FORMATS) {
    assert.equal(dateFormatNamed(format), format)
  }
  for (const [name, format] of [
    ['DD/MM/YYYY', 'dd/MM/yyyy'],
    ['d/M/yyyy', 'dd/MM/yyyy'],
    ['M/d/yy', 'MM/dd/yy'],
    ['dd.MM.yyyy HH:mm', 'dd.MM.yyyy'],
    ["yyyy-MM-dd'T'HH:mm:ssXXX", 'yyyy-MM-dd'],
    ['ISO', 'yyyy-MM-dd'],
    ['dd-MMM-yyyy', 'd MMM yyyy'],
    ['MMMM d, yyyy', 'MMM d, yyyy'],
    ['MM/dd/yyyy hh:mm a', 'MM/dd/yyyy'],
    ['epoch ms', 'epoch milliseconds'],
  ] as const) {
    assert.equal(dateFormatNamed(name), format, name)
  }
  for (const name of ['', 'yyyy', 'dd/yyyy/MM', 'MM.dd.yyyy', 'whatever']) {
    assert.equal(dateFormatNamed(name), null, name)
  }
})

test('number formats are known by example or decimal separator', () => {
  for (const format of NUMBER_FORMATS) {
    assert.equal(numberFormatNamed(format), format)
    assert.equal(numberReader(format, { currency: false })(format), '1234.56')
  }
  assert.equal(numberFormatNamed(','), '1.234,56')
  assert.equal(numberFormatNamed('1\u00a0234,56'), '1 234,56')
  assert.equal(numberFormatNamed('1_234'), null)
})

// ------------------------------------------------------------------------------------------------- property tests

const seed = 20_261_122
const pad = (value: number, length = 2) => `${value}`.padStart(length, '0')
const writers: Record<DateFormat, (year: number, month: number, day: number) => string> = {
  'yyyy-MM-dd': (y, m, d) => `${y}-${pad(m)}-${pad(d)}`,
  'yyyy/MM/dd': (y, m, d) => `${y}/${pad(m)}/${pad(d)}`,
  'yyyy.MM.dd': (y, m, d) => `${y}.${pad(m)}.${pad(d)}`,
  yyyyMMdd: (y, m, d) => `${y}${pad(m)}${pad(d)}`,
  'dd/MM/yyyy': (y, m, d) => `${pad(d)}/${pad(m)}/${y}`,
  'MM/dd/yyyy': (y, m, d) => `${pad(m)}/${pad(d)}/${y}`,
  'dd-MM-yyyy': (y, m, d) => `${pad(d)}-${pad(m)}-${y}`,
  'MM-dd-yyyy': (y, m, d) => `${pad(m)}-${pad(d)}-${y}`,
  'dd.MM.yyyy': (y, m, d) => `${d}.${m}.${y}`,
  'dd/MM/yy': (y, m, d) => `${d}/${m}/${pad(y % 100)}`,
  'MM/dd/yy': (y, m, d) => `${m}/${d}/${pad(y % 100)}`,
  'dd-MM-yy': (y, m, d) => `${d}-${m}-${pad(y % 100)}`,
  'MM-dd-yy': (y, m, d) => `${m}-${d}-${pad(y % 100)}`,
  'dd.MM.yy': (y, m, d) => `${d}.${m}.${pad(y % 100)}`,
  'd MMM yyyy': (y, m, d) =>
    `${d} ${new Date(Date.UTC(y, m - 1, d)).toLocaleString('en', { month: 'short', timeZone: 'UTC' })} ${y}`,
  'MMM d, yyyy': (y, m, d) =>
    `${new Date(Date.UTC(y, m - 1, d)).toLocaleString('en', { month: 'long', timeZone: 'UTC' })} ${d}, ${y}`,
  'epoch milliseconds': (y, m, d) => `${Date.UTC(y, m - 1, d)}`,
  'epoch seconds': (y, m, d) => `${Date.UTC(y, m - 1, d) / 1000}`,
}

function randomDay(random: Random): { year: number; month: number; day: number; iso: string } {
  const date = new Date(Date.UTC(2002 + random.below(30), 0, 1 + random.below(366)))
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    iso: date.toISOString().slice(0, 10),
  }
}

test(`every format reads back what it writes (seed ${seed})`, () => {
  const random = new Random(seed)
  for (const format of DATE_FORMATS) {
    const read = dayReader(format)
    const moment = momentReader(format, zone('UTC'))
    for (let n = 0; n < 400; n++) {
      const { year, month, day, iso } = randomDay(random)
      const text = writers[format](year, month, day)
      assert.equal(read(text), iso, text)
      assert.equal(moment(text), `${iso}T00:00:00Z`, text)
      if (!format.startsWith('epoch')) {
        const time = `${pad(random.below(24))}:${pad(random.below(60))}:${pad(random.below(60))}`
        assert.equal(moment(`${text} ${time}`), `${iso}T${time}Z`, text)
        assert.equal(read(`${text} ${time}`), iso, text)
      }
    }
  }
})

test(`a column of one format proves it and only it (seed ${seed})`, () => {
  const random = new Random(seed)
  for (const format of DATE_FORMATS.filter((candidate) => candidate !== 'epoch seconds')) {
    const proof = new DateFormatProof()
    const texts = Array.from({ length: 2_000 }, () => {
      const { year, month, day } = randomDay(random)
      return writers[format](year, month, day)
    })
    for (const [index, text] of texts.entries()) {
      proof.add(text, index + 2)
    }
    const { formats, provenByRow, ambiguousValues } = proof.finish()
    assert.deepEqual(formats, [format])
    assert.deepEqual(ambiguousValues, [])
    if (/^(dd|MM)[/-]/.test(format)) {
      // The first day above the twelfth, which the other order cannot read.
      const proven = texts[(provenByRow ?? 0) - 2] ?? ''
      const other = format.startsWith('dd')
        ? format.replace('dd', 'x').replace('MM', 'dd').replace('x', 'MM')
        : format.replace('MM', 'x').replace('dd', 'MM').replace('x', 'dd')
      assert.equal(dayReader(other as DateFormat)(proven), null)
      assert.ok(texts.slice(0, (provenByRow ?? 0) - 2).every((text) => dayReader(other as DateFormat)(text) !== null))
    } else {
      assert.equal(provenByRow, null)
    }
  }
})

test(`every number format reads back what it writes, and a column proves it (seed ${seed})`, () => {
  const random = new Random(seed)
  for (const format of NUMBER_FORMATS) {
    const decimal = decimalSeparatorOf(format)
    const group = format.length === 8 ? format.charAt(1) : ''
    const read = numberReader(format, { currency: true })
    const proof = new NumberFormatProof()
    for (let n = 0; n < 2_000; n++) {
      const whole = random.below(random.pick([10, 1_000, 100_000, 10_000_000]))
      const cents = pad(random.below(100))
      const grouped = group === '' ? `${whole}` : `${whole}`.replace(/\B(?=(\d{3})+$)/g, group)
      const sign = random.chance(0.2) && (whole > 0 || cents !== '00') ? '-' : ''
      const text = `${sign}${grouped}${decimal}${cents}`
      assert.equal(read(text), `${sign}${whole}.${cents}`, text)
      assert.equal(read(`${text} €`), `${sign}${whole}.${cents}`, text)
      proof.add(text, n + 2)
    }
    assert.deepEqual(proof.finish().formats, [format])
  }
})

test(`no text makes a reader fail or answer something that is no date or number (seed ${seed})`, () => {
  const random = new Random(seed)
  const alphabet = [
    ...'0123456789'.split(''),
    ...'0123456789'.split(''),
    '/',
    '-',
    '.',
    ',',
    ':',
    ' ',
    'T',
    'Z',
    '+',
    'p',
    'm',
    'Mar',
    '€',
    "'",
    '(',
    ')',
    '%',
    '\u00a0',
    'ß',
    '\ud83d',
  ]
  const readDay = dayReader('MM/dd/yyyy')
  const readMoment = momentReader('dd/MM/yyyy', zone('Europe/Berlin'))
  const readNumber = numberReader('1.234,56', { currency: true })
  for (let n = 0; n < 50_000; n++) {
    const text = Array.from({ length: 1 + random.below(18) }, () => random.pick(alphabet)).join('')
    assert.match(readDay(text) ?? '', /^(\d{4}-\d{2}-\d{2})?$/, text)
    assert.match(readMoment(text) ?? '', /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z)?$/, text)
    assert.match(readNumber(text) ?? '0', /^-?(0|[1-9]\d*)(\.\d+)?$/, text)
  }
})

// --------------------------------------------------------------------------------------------------------- proofs

function dateProof(texts: readonly string[]) {
  const proof = new DateFormatProof()
  for (const [index, text] of texts.entries()) {
    proof.add(text, index + 2)
  }
  return { ...proof.finish(), rejected: proof.rejected }
}

function numberProof(texts: readonly string[]) {
  const proof = new NumberFormatProof()
  for (const [index, text] of texts.entries()) {
    proof.add(text, index + 2)
  }
  return { ...proof.finish(), rejected: proof.rejected }
}

function times<T>(count: number, ...values: T[]): T[] {
  return Array.from({ length: count }, () => values).flat()
}

test('a column that never says which number is the day leaves both orders, with examples', () => {
  const { formats, provenByRow, ambiguousValues } = dateProof([
    '03/04/2026',
    '03/04/2026',
    '05/05/2026',
    '01/02/2026',
    '07/08/2026',
    '09/10/2026',
  ])
  assert.deepEqual(formats, ['dd/MM/yyyy', 'MM/dd/yyyy'])
  assert.equal(provenByRow, null)
  assert.deepEqual(ambiguousValues, ['03/04/2026', '01/02/2026', '07/08/2026'])
})

test('days that equal their month leave both orders, and nothing to decide', () => {
  const { formats, ambiguousValues } = dateProof(['05/05/2026', '06/06/2026'])
  assert.deepEqual(formats, ['dd/MM/yyyy', 'MM/dd/yyyy'])
  assert.deepEqual(ambiguousValues, [])
})

test('one telling value decides a column', () => {
  const { formats, provenByRow } = dateProof([...times(50, '03/04/2026'), '31/12/2026', '25/12/2026'])
  assert.deepEqual(formats, ['dd/MM/yyyy'])
  assert.equal(provenByRow, 52)
})

test('a few typing errors do not undo a proof', () => {
  const { formats, provenByRow } = dateProof([
    '12/31/2025',
    ...times(300, '31/12/2026'),
    'soon',
    '31/02/2026',
    '99/99/9999',
  ])
  assert.deepEqual(formats, ['dd/MM/yyyy'])
  assert.equal(provenByRow, 3)
})

test('a column in two orders is left to a person', () => {
  const { formats, ambiguousValues } = dateProof([...times(30, '31/12/2026'), ...times(20, '12/31/2026'), '03/04/2026'])
  assert.deepEqual(formats, ['dd/MM/yyyy', 'MM/dd/yyyy'])
  assert.deepEqual(ambiguousValues, ['03/04/2026'])
})

test('shapes with one reading may be mixed with the one that has two', () => {
  const { formats, ambiguousValues } = dateProof([
    ...times(30, '2026-03-01', '1 March 2026', '01.03.2026'),
    '12/31/2026',
    '03/04/2026',
  ])
  assert.deepEqual(formats, ['MM/dd/yyyy'])
  assert.deepEqual(ambiguousValues, [])
})

test('a column of words or of other numbers does not look like dates, and is given up early', () => {
  assert.equal(dateProof(times(300, 'Berlin')).rejected, true)
  assert.equal(dateProof(times(300, 'Berlin')).formats, null)
  assert.equal(dateProof(times(300, '2025550123')).formats, null)
  assert.equal(dateProof(times(300, '12345')).formats, null)
  assert.equal(dateProof(times(300, '1.234,56')).formats, null)
  assert.equal(dateProof([]).formats, null)
})

test('a column with a third of gaps in words still looks like dates', () => {
  const { formats, rejected } = dateProof(times(200, '31/12/2026', '30/11/2026', 'unknown'))
  assert.deepEqual(formats, ['dd/MM/yyyy'])
  assert.equal(rejected, false)
})

test('a separator before three digits leaves a column of numbers open', () => {
  assert.deepEqual(numberProof(['1,234', '12', '5,678']), {
    formats: ['1,234.56', '1234,56'],
    provenByRow: null,
    ambiguousValues: ['1,234', '5,678'],
    rejected: false,
  })
  assert.deepEqual(numberProof(['1.234', '12']).formats, ['1234.56', '1.234,56'])
  assert.deepEqual(numberProof(['0.123', '1.234']).formats, ['1234.56'])
})

test('one telling value decides a column of numbers', () => {
  assert.deepEqual(numberProof(['1,234', '12.5', '5,678']), {
    formats: ['1,234.56'],
    provenByRow: 3,
    ambiguousValues: [],
    rejected: false,
  })
  assert.deepEqual(numberProof(['1.234', '1.234,56']).formats, ['1.234,56'])
  assert.deepEqual(numberProof(['1.234', '1.234.567']).formats, ['1.234,56'])
  assert.deepEqual(numberProof(['1,234', '12,5']).formats, ['1234,56'])
  assert.deepEqual(numberProof(['$1,234', '$12.50']).formats, ['1,234.56'])
})

test('numbers that are read the same in every format leave nothing to decide', () => {
  assert.deepEqual(numberProof(['1', '22', '333']), {
    formats: ['1234.56'],
    provenByRow: null,
    ambiguousValues: [],
    rejected: false,
  })
  assert.deepEqual(numberProof(['1,234.56', '1.234,56']).ambiguousValues, [])
})

test('a column of numbers in two formats is left to a person', () => {
  const { formats, ambiguousValues } = numberProof(times(20, '12.5', '12,5'))
  assert.equal(formats?.length, 2)
  assert.deepEqual(ambiguousValues, ['12.5', '12,5'])
})

test('words do not look like numbers', () => {
  assert.equal(numberProof(times(300, 'Main Street 5')).rejected, true)
  assert.equal(numberProof(times(300, '555-0123')).formats, null)
})
