/** One format for each column, decided from all of its values: forty-four columns as people bring them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mapFile, resolveFile, type TestFile } from './map-world.js'

type Kind = 'day' | 'moment' | 'number' | 'money' | 'whole'

interface Fixture {
  readonly name: string
  readonly kind: Kind
  readonly cells: readonly string[]
  /** The format of the column, or the formats between which a person has to choose. */
  readonly format: string | readonly string[]
  /** The first value as it is stored, once the format is known. */
  readonly first?: string
  /** The row that proves the format; absent where it is not asked. */
  readonly provenByRow?: number
}

const times = (count: number, cell: (i: number) => string) => Array.from({ length: count }, (_, i) => cell(i))
const two = (n: number) => String(n).padStart(2, '0')
/** Days that two readings share: day and month are both at most 12. */
const open = (separator: string, count = 1000) =>
  times(count, (i) => `${two(1 + (i % 12))}${separator}${two(1 + ((i * 5) % 12))}${separator}${1980 + (i % 20)}`)

const fixtures: readonly Fixture[] = [
  // Days.
  {
    name: 'ISO days',
    kind: 'day',
    cells: times(500, (i) => `1980-${two(1 + (i % 12))}-${two(1 + (i % 28))}`),
    format: 'yyyy-MM-dd',
    first: '1980-01-01',
  },
  {
    name: 'year first with slashes',
    kind: 'day',
    cells: ['1980/02/28', '1981/12/31'],
    format: 'yyyy/MM/dd',
    first: '1980-02-28',
  },
  { name: 'eight digits', kind: 'day', cells: ['19800228', '19811231'], format: 'yyyyMMdd', first: '1980-02-28' },
  {
    name: 'points, the day first',
    kind: 'day',
    cells: ['01.02.1980', '03.04.1981'],
    format: 'dd.MM.yyyy',
    first: '1980-02-01',
  },
  {
    name: 'points and two-digit years',
    kind: 'day',
    cells: ['01.02.80', '31.12.99'],
    format: 'dd.MM.yy',
    first: '1980-02-01',
  },
  {
    name: 'points without leading zeros',
    kind: 'day',
    cells: ['1.2.1980', '31.12.1999'],
    format: 'dd.MM.yyyy',
    first: '1980-02-01',
  },
  {
    name: 'slashes, and only the last of 5,000 rows says that the day comes first',
    kind: 'day',
    cells: [...open('/', 4999), '31/12/1999'],
    format: 'dd/MM/yyyy',
    first: '1980-01-01',
    provenByRow: 5001,
  },
  {
    name: 'slashes, and only the last of 5,000 rows says that the month comes first',
    kind: 'day',
    cells: [...open('/', 4999), '12/31/1999'],
    format: 'MM/dd/yyyy',
    provenByRow: 5001,
  },
  {
    name: 'slashes, and only the first row says it',
    kind: 'day',
    cells: ['25/12/1980', ...open('/')],
    format: 'dd/MM/yyyy',
    first: '1980-12-25',
    provenByRow: 2,
  },
  {
    name: 'dashes, and only the last row says it',
    kind: 'day',
    cells: [...open('-'), '12-31-1999'],
    format: 'MM-dd-yyyy',
    provenByRow: 1002,
  },
  {
    name: 'dashes, the day first',
    kind: 'day',
    cells: [...open('-'), '31-12-1999'],
    format: 'dd-MM-yyyy',
    provenByRow: 1002,
  },
  {
    name: 'two-digit years, the month first',
    kind: 'day',
    cells: ['01/02/80', '12/31/99'],
    format: 'MM/dd/yy',
    first: '1980-01-02',
  },
  {
    name: 'two-digit years, the day first',
    kind: 'day',
    cells: ['01/02/80', '31/12/99'],
    format: 'dd/MM/yy',
    first: '1980-02-01',
  },
  { name: 'slashes that say nothing', kind: 'day', cells: open('/'), format: ['dd/MM/yyyy', 'MM/dd/yyyy'] },
  { name: 'one value that says nothing', kind: 'day', cells: ['03/04/1980'], format: ['dd/MM/yyyy', 'MM/dd/yyyy'] },
  { name: 'dashes that say nothing', kind: 'day', cells: open('-'), format: ['dd-MM-yyyy', 'MM-dd-yyyy'] },
  {
    name: 'two-digit years that say nothing',
    kind: 'day',
    cells: ['03/04/80', '05/06/81'],
    format: ['dd/MM/yy', 'MM/dd/yy'],
  },
  {
    name: 'both orders in one column',
    kind: 'day',
    cells: [...times(20, () => '31/12/1980'), ...times(20, () => '12/31/1980')],
    format: ['dd/MM/yyyy', 'MM/dd/yyyy'],
  },
  {
    name: 'days that equal their month need no decision',
    kind: 'day',
    cells: ['01/01/1980', '02/02/1981'],
    format: 'dd/MM/yyyy',
    first: '1980-01-01',
  },
  { name: 'month names', kind: 'day', cells: ['3 Apr 1980', '31 Dec 1999'], format: 'd MMM yyyy', first: '1980-04-03' },
  {
    name: 'month names first',
    kind: 'day',
    cells: ['Apr 3, 1980', 'December 31, 1999'],
    format: 'MMM d, yyyy',
    first: '1980-04-03',
  },
  {
    name: 'days among blanks and what stands for none',
    kind: 'day',
    cells: ['', 'N/A', '31.12.1980', '0000-00-00', '1.2.1981', ...times(50, () => '')],
    format: 'dd.MM.yyyy',
  },
  {
    name: 'one typing error in 2,000 rows',
    kind: 'day',
    cells: [...times(1999, (i) => `${two(13 + (i % 15))}/${two(1 + (i % 12))}/1980`), '02/30/1980'],
    format: 'dd/MM/yyyy',
    first: '1980-01-13',
  },
  // Moments.
  {
    name: 'ISO moments',
    kind: 'moment',
    cells: ['2025-03-01T10:20:30Z', '2025-12-31T23:59:59+02:00'],
    format: 'yyyy-MM-dd',
    first: '2025-03-01T10:20:30Z',
  },
  {
    name: 'moments with slashes, decided by the last row',
    kind: 'moment',
    cells: [...times(300, (i) => `0${1 + (i % 9)}/0${1 + ((i * 2) % 9)}/2025 10:0${i % 10}`), '31/12/2025 23:59'],
    format: 'dd/MM/yyyy',
    provenByRow: 302,
  },
  {
    name: 'moments that say nothing',
    kind: 'moment',
    cells: ['03/04/2025 10:00', '05/06/2025 11:00'],
    format: ['dd/MM/yyyy', 'MM/dd/yyyy'],
  },
  {
    name: 'moments of the American kind',
    kind: 'moment',
    cells: ['12/31/2025 11:59 PM'],
    format: 'MM/dd/yyyy',
    first: '2025-12-31T23:59:00Z',
  },
  {
    name: 'milliseconds since 1970',
    kind: 'moment',
    cells: ['1740823200000', '1767225599000'],
    format: 'epoch milliseconds',
    first: '2025-03-01T10:00:00Z',
  },
  // Numbers.
  {
    name: 'a point for the fraction',
    kind: 'number',
    cells: ['12.5', '1000', '0.25'],
    format: '1234.56',
    first: '12.5',
  },
  {
    name: 'a comma for the fraction',
    kind: 'number',
    cells: ['12,5', '1000', '0,25'],
    format: '1234,56',
    first: '12.5',
  },
  { name: 'thousands by comma', kind: 'number', cells: ['1,234.5', '12'], format: '1,234.56', first: '1234.5' },
  { name: 'thousands by point', kind: 'number', cells: ['1.234,5', '12'], format: '1.234,56', first: '1234.5' },
  { name: 'thousands by space', kind: 'number', cells: ['1 234,5', '12'], format: '1 234,56', first: '1234.5' },
  {
    name: 'thousands by a no-break space',
    kind: 'number',
    cells: ['1\u00a0234,5', '12'],
    format: '1 234,56',
    first: '1234.5',
  },
  { name: 'thousands by apostrophe', kind: 'number', cells: ["1'234.5", '12'], format: "1'234.56", first: '1234.5' },
  { name: 'groups that say nothing', kind: 'number', cells: ['1,234', '5,678'], format: ['1,234.56', '1234,56'] },
  {
    name: 'groups, and only the last of 3,000 rows says that the comma is the fraction',
    kind: 'number',
    cells: [...times(2999, (i) => `${1 + (i % 9)},${100 + (i % 900)}`), '2,5'],
    format: '1234,56',
    first: '1.10',
    provenByRow: 3001,
  },
  {
    name: 'groups, and only the last of 3,000 rows says that they are thousands',
    kind: 'number',
    cells: [...times(2999, (i) => `${1 + (i % 9)},${100 + (i % 900)}`), '1,234,567'],
    format: '1,234.56',
    first: '1100',
    provenByRow: 3001,
  },
  {
    name: 'points in groups that say nothing',
    kind: 'number',
    cells: ['1.234', '5.678'],
    format: ['1234.56', '1.234,56'],
  },
  {
    name: 'both kinds of fraction in one column',
    kind: 'number',
    cells: [...times(20, () => '1.5'), ...times(20, () => '1,5')],
    format: ['1234.56', '1234,56'],
  },
  { name: 'whole numbers', kind: 'whole', cells: ['1901', '1902', '1930'], format: '1234.56', first: '1901' },
  {
    name: 'money of which three digits behind the comma can only be thousands',
    kind: 'money',
    cells: ['350,000', '1,200,000'],
    format: '1,234.56',
    first: '350000',
  },
  {
    name: 'money with its sign, the German way',
    kind: 'money',
    cells: ['1.234,50 €', '99,00 €'],
    format: '1.234,56',
    first: '1234.50',
  },
  {
    name: 'money with its sign, the American way',
    kind: 'money',
    cells: ['$1,234.50', '$99.00'],
    format: '1,234.56',
    first: '1234.50',
  },
]

const fieldOf: Readonly<Record<Kind, { readonly field: string; readonly column: string }>> = {
  day: { field: 'closeDate', column: 'close_date' },
  moment: { field: 'sourceCreatedAt', column: 'source_created_at' },
  number: { field: 'livingArea', column: 'living_area' },
  money: { field: 'listPrice', column: 'list_price' },
  whole: { field: 'yearBuilt', column: 'year_built' },
}

for (const { name, kind, cells, format, first, provenByRow } of fixtures) {
  test(`a column of ${name}`, () => {
    const { field, column } = fieldOf[kind]
    const file: TestFile = {
      type: 'property',
      columns: [
        { field: 'name', cells: cells.map(() => 'House') },
        { field, column: 'Theirs', cells },
      ],
    }
    const { conflicts, resolved } = resolveFile(file)
    if (typeof format !== 'string') {
      const [conflict] = conflicts
      assert.equal(conflict?.code, 'AMBIGUOUS_FORMAT', JSON.stringify(resolved.columns[1]))
      assert.deepEqual(conflict?.readings.map((reading) => reading.format).toSorted(), [...format].toSorted())
      // Both readings are shown, and they differ.
      assert.equal(new Set(conflict?.readings.map((reading) => reading.exampleReading)).size, format.length)
      return
    }
    assert.deepEqual(conflicts, [])
    assert.equal(resolved.columns[1]?.format, format)
    if (first !== undefined) {
      assert.equal(mapFile(file).find(({ values }) => values[column] !== undefined)?.values[column], first)
    }
    if (provenByRow !== undefined) {
      assert.equal(resolveFile(file).evidence[1]?.provenByRow, provenByRow)
    }
  })
}
