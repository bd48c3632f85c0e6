import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { openCsv } from '../../../src/adapters/files/csv.js'
import { type Detection, dialectOf, noSourceOptions, sniff } from '../../../src/adapters/files/sniff.js'
import type { Row } from '../../../src/adapters/source.js'
import { Refusal } from '../../../src/errors.js'
import {
  COLUMN_NAME_LENGTH_MAX,
  COLUMNS_MAX,
  DETECTED_SAMPLES_MAX,
  DETECTED_TOP_VALUES_MAX,
  FILE_HEAD_BYTES_MAX,
  SAMPLE_LENGTH_MAX,
} from '../../../src/limits.js'
import type { SourceOptions } from '../../../src/pipeline/types.js'
import { encode, type Random, random } from './random.js'

const FIXTURES = join(import.meta.dirname, '../../../../test/fixtures/csv')

let directory = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portage-sniff-'))
})

after(async () => {
  await rm(directory, { recursive: true })
})

function look(content: string | Uint8Array, overrides: Partial<SourceOptions> = {}, name = 'file.csv'): Detection {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const head = bytes.subarray(0, FILE_HEAD_BYTES_MAX)
  return sniff(head, { byteSize: bytes.length, name, overrides: { ...noSourceOptions, ...overrides } })
}

async function readAll(content: string | Uint8Array, detection: Detection): Promise<Row[]> {
  const path = join(directory, 'file.csv')
  await writeFile(path, content)
  const source = await openCsv(path, dialectOf(detection))
  const rows: Row[] = []
  for await (const group of source.rows(null, new AbortController().signal)) {
    rows.push(...group)
  }
  return rows
}

function refused(code: string, field: readonly string[] | null = null) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof Refusal, String(error))
    assert.equal(error.code, code)
    assert.deepEqual(error.field, field)
    return true
  }
}

/** encoding, delimiter, quote, line end, header row, first data row, rows, columns. */
const FOUND: Readonly<
  Record<string, readonly [string, string | null, string, string, number | null, number, number, string]>
> = {
  'all-text.csv': ['utf-8', ',', '"', '\n', 1, 2, 2, 'Anna TEXT, Berlin TEXT'],
  'apostrophes.csv': ['utf-8', ',', "'", '\n', 1, 2, 3, 'code TEXT, label TEXT, price DECIMAL'],
  'broken-quotes.csv': ['utf-8', ',', '"', '\n', 1, 2, 5, 'id INTEGER, name TEXT, remark TEXT, city TEXT'],
  'colons.txt': [
    'utf-8',
    ':',
    '"',
    '\n',
    null,
    1,
    3,
    'Column 1 TEXT, Column 2 TEXT, Column 3 INTEGER, Column 4 INTEGER, Column 5 TEXT, Column 6 TEXT, Column 7 TEXT',
  ],
  'decimal-commas.csv': ['utf-8', ';', '"', '\n', 1, 2, 3, 'lat DECIMAL, lng DECIMAL, price DECIMAL'],
  'empty-columns.csv': ['utf-8', ',', '"', '\n', 1, 2, 2, 'Name TEXT, Email EMAIL'],
  'excel-de.csv': [
    'utf-8',
    ';',
    '"',
    '\r\n',
    1,
    2,
    4,
    'Kundennr. TEXT, Vorname TEXT, Nachname TEXT, E-Mail EMAIL, Telefon PHONE, Straße TEXT, PLZ TEXT, Ort TEXT, ' +
      'Umsatz DECIMAL, Kunde seit DATE, Newsletter BOOLEAN',
  ],
  'header-only.csv': ['utf-8', ',', '"', '\n', 1, 2, 0, 'Email TEXT, First name TEXT, Last name TEXT'],
  'hostile-names.csv': [
    'utf-8',
    ',',
    '"',
    '\n',
    1,
    2,
    1,
    `__proto__ INTEGER, constructor INTEGER, toString INTEGER, __proto__ (2) INTEGER, a b INTEGER, ${'x'.repeat(COLUMN_NAME_LENGTH_MAX)} INTEGER, =1+1 INTEGER`,
  ],
  'json-cells.csv': ['utf-8', ',', '"', '\n', 1, 2, 2, 'id INTEGER, tags TEXT, meta TEXT'],
  'line-breaks.csv': ['utf-8', ',', '"', '\n', 1, 2, 3, 'subject TEXT, body LONG_TEXT, due DATE'],
  'mac-line-ends.csv': ['utf-8', ',', '"', '\r', 1, 2, 2, 'Name TEXT, Phone PHONE'],
  'mixed-line-ends.csv': ['utf-8', ',', '"', '\r\n', 1, 2, 4, 'a_b INTEGER, c_d INTEGER'],
  'names-with-apostrophes.csv': ['utf-8', ',', '"', '\n', 1, 2, 3, 'first TEXT, last TEXT, city TEXT'],
  'no-header.csv': [
    'utf-8',
    ',',
    '"',
    '\n',
    null,
    1,
    3,
    'Column 1 INTEGER, Column 2 TEXT, Column 3 TEXT, Column 4 EMAIL, Column 5 DATE',
  ],
  'one-column-prose.csv': ['utf-8', null, '"', '\n', 1, 2, 4, 'remark TEXT'],
  'one-column.csv': ['utf-8', ',', '"', '\n', 1, 2, 3, 'email EMAIL'],
  'people-last-first.csv': ['utf-8', ';', '"', '\n', 1, 2, 3, 'id INTEGER, name TEXT, team TEXT'],
  'preamble.csv': [
    'utf-8',
    ',',
    '"',
    '\n',
    4,
    5,
    3,
    'Contact ID INTEGER, Full name TEXT, Email EMAIL, Phone PHONE, Status TEXT',
  ],
  'ragged.csv': ['utf-8', ',', '"', '\n', 1, 2, 4, 'id INTEGER, name TEXT, email EMAIL, phone PHONE'],
  'reference-names.csv': [
    'utf-8',
    ',',
    '"',
    '\n',
    1,
    2,
    2,
    'externalId TEXT, contact.email EMAIL, property.listingId TEXT, No INTEGER, 2024 TEXT',
  ],
  'repeated-names.csv': [
    'utf-8',
    ',',
    '"',
    '\n',
    1,
    2,
    1,
    'Phone PHONE, Phone (3) PHONE, Column 3 TEXT, Phone (2) PHONE, Email EMAIL',
  ],
  'sep-line.csv': ['utf-8', ';', '"', '\r\n', 2, 3, 2, 'first_name TEXT, last_name TEXT, email EMAIL'],
  'title-line.csv': [
    'utf-8',
    '|',
    '"',
    '\n',
    4,
    5,
    3,
    'ListingId TEXT, Street TEXT, City TEXT, Price INTEGER, Bedrooms INTEGER',
  ],
  'unicode-text.txt': [
    'utf-16le',
    '\t',
    '"',
    '\r\n',
    1,
    2,
    3,
    'Name TEXT, Email EMAIL, Notes LONG_TEXT, Created DATE_TIME',
  ],
  'utf16be-unmarked.csv': ['utf-16be', ',', '"', '\n', 1, 2, 3, 'Id INTEGER, Name TEXT, City TEXT'],
  'windows-1252.csv': ['utf-8', ',', '"', '\n', 1, 2, 3, 'Name TEXT, City TEXT'],
}

test('each sample file has its expectation', async () => {
  assert.deepEqual((await readdir(FIXTURES)).sort(), Object.keys(FOUND).sort())
})

for (const [name, expected] of Object.entries(FOUND)) {
  test(`understands ${name}`, async () => {
    const bytes = await readFile(join(FIXTURES, name))
    const found = look(bytes, {}, name)
    const columns = found.columns.map((column) => `${column.name} ${column.kind}`).join(', ')
    const { encoding, delimiter, quote, lineTerminator, headerRow, firstDataRow, estimatedRowCount } = found
    assert.deepEqual(
      [encoding, delimiter, quote, lineTerminator, headerRow, firstDataRow, estimatedRowCount, columns],
      expected,
    )
    // What was found is how the file is read.
    const rows = await readAll(bytes, found)
    assert.equal(rows.length, estimatedRowCount)
    assert.ok(rows.every((row) => row.number >= firstDataRow))
  })
}

test('finds the dialect of generated tables', () => {
  const values: Record<string, (from: Random) => string> = {
    id: (from) => `K-${from.below(100_000)}`,
    'First name': (from) => from.pick(['Anna', 'Jörg', 'Mary Ann', 'Zoë', '李雷']),
    'Last name': (from) => from.pick(["O'Brien", 'Müller-Lüdenscheid', 'Smith, Jr.', 'Núñez', 'van der Berg']),
    email: (from) => `a${from.below(1000)}@example.com`,
    phone: (from) => `+49 30 ${from.below(9_000_000) + 1_000_000}`,
    city: (from) => from.pick(['Berlin', 'São Paulo', 'Köln; Mitte', 'Oslo']),
    price: (from) => `${from.below(1000)}${from.pick([',', '.'])}${from.below(90) + 10}`,
    created: (from) => `2024-0${from.below(9) + 1}-1${from.below(9)} 10:${from.below(50) + 10}`,
    notes: (from) => from.pick(['', 'called | will call', 'said "hi"', 'two\nlines', 'a, b: c', 'x; y; z']),
  }
  for (let seed = 1; seed <= 150; seed += 1) {
    const from = random(seed)
    const delimiter = from.pick([',', ';', '\t', '|'])
    const lineEnd = from.pick(['\n', '\r\n'])
    const encoding = from.pick(['utf-8', 'utf-8', 'utf-16le', 'utf-16be'] as const)
    const names = Object.keys(values).filter(() => from.chance(0.7))
    if (names.length < 3) {
      continue
    }
    const always = from.chance(0.3)
    const lines = [names, ...Array.from({ length: 3 + from.below(40) }, () => names.map((name) => values[name]!(from)))]
    const text = lines
      .map((cells) =>
        cells
          .map((cell) =>
            always || /["\r\n]/.test(cell) || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell,
          )
          .join(delimiter),
      )
      .join(lineEnd)
    const found = look(encode(`${from.chance(0.5) ? '\ufeff' : ''}${text}`, encoding))
    assert.deepEqual(
      [
        found.encoding,
        found.delimiter,
        found.quote,
        found.lineTerminator,
        found.headerRow,
        found.columns.map((column) => column.name),
      ],
      [encoding, delimiter, '"', lineEnd, 1, names],
      `seed ${seed}`,
    )
  }
})

test('describes columns by the rows seen', () => {
  const found = look('name,status\nAnna,open\nBen,\nCara,open\nAnna,closed\n')
  assert.deepEqual(found.columns[1], {
    index: 1,
    name: 'status',
    kind: 'TEXT',
    kindConfidence: 0.8,
    fillRate: 0.75,
    samples: ['open', 'closed'],
    distinctCount: 2,
    topValues: [
      { value: 'open', count: 2 },
      { value: 'closed', count: 1 },
    ],
  })
  assert.equal(found.columns[0]?.distinctCount, 3)
})

test('keeps samples and frequent values within their limits', () => {
  const lines = Array.from({ length: 200 }, (_, index) => `${index},${'long '.repeat(100)}${index}`)
  const [id, text] = look(`id,text\n${lines.join('\n')}`).columns
  assert.equal(id?.samples.length, DETECTED_SAMPLES_MAX)
  assert.equal(id?.topValues.length, DETECTED_TOP_VALUES_MAX)
  assert.equal(id?.distinctCount, 200)
  assert.ok(text?.samples.every((sample) => sample.length === SAMPLE_LENGTH_MAX))
})

test('estimates the rows of a file larger than its head', async () => {
  const lines = Array.from(
    { length: 20_000 },
    (_, index) => `${index + 10_000},name ${index % 10},n${index % 7}@example.com`,
  )
  const content = `id,name,email\n${lines.join('\n')}\n`
  const found = look(content)
  assert.equal(found.columns[0]?.distinctCount, null)
  assert.ok(Math.abs((found.estimatedRowCount ?? 0) - 20_000) < 1_000, `${found.estimatedRowCount}`)
  assert.equal((await readAll(content, found)).length, 20_000)
})

test('a character cut by the end of the head is no fault', () => {
  for (let shift = 0; shift < 4; shift += 1) {
    const content = `name,city\n${'x'.repeat(shift)}${'Zoë 😀,Köln\n'.repeat(30_000)}`
    assert.ok(Buffer.byteLength(content) > FILE_HEAD_BYTES_MAX)
    const found = look(content)
    assert.equal(found.encodingConfidence, 0.99)
    assert.deepEqual(found.warnings, [])
  }
})

test('says how sure it is', () => {
  assert.equal(look('\ufeffname,city\nAnna,Berlin\n').encodingConfidence, 1)
  assert.ok((look(Buffer.from('name,city\nJ\xf6rg,K\xf6ln\n', 'latin1')).encodingConfidence ?? 1) < 0.3)
  const clear = look('id;name;email\n1;Anna;anna@example.com\n2;Ben;ben@example.com\n').dialectConfidence ?? 0
  const unclear = look('a;b,c\nd,e;f\n').dialectConfidence ?? 1
  assert.ok(clear > 0.9 && unclear < 0.7, `${clear} ${unclear}`)
})

test('what a person says wins', async () => {
  const content = 'x\n"a;b";c,d\n1;2,3\n'
  assert.equal(look(content, { delimiter: ',' }).delimiter, ',')
  assert.equal(look(content, { delimiter: '#' }).delimiter, '#')
  assert.equal(look(content, { quote: "'" }).quote, "'")
  assert.equal(look(content, { quote: '' }).quote, null)
  assert.equal(look(content, { encoding: 'UTF-16LE' }).encoding, 'utf-16le')
  assert.equal(look(encode('\ufeffa,b\n1,2\n', 'utf-16be'), { encoding: 'utf-16' }).encoding, 'utf-16be')
  assert.equal(look('a,b\n1.234,2\n', { decimalSeparator: ',' }).columns[0]?.kind, 'INTEGER')
  const headed = look('title\n\nid,name\n1,Anna\n', { headerRow: 1, delimiter: ',' })
  assert.deepEqual(
    [headed.headerRow, headed.firstDataRow, headed.columns.map((column) => column.name)],
    [1, 2, ['title', 'Column 2']],
  )
  const third = look('title\n\nid,name\n1,Anna\n', { headerRow: 3 })
  assert.deepEqual([third.headerRow, third.firstDataRow], [3, 4])
  const none = look('id,name\n1,Anna\n', { headerRow: 0 })
  assert.deepEqual(
    [none.headerRow, none.firstDataRow, none.columns.map((column) => column.name)],
    [null, 1, ['Column 1', 'Column 2']],
  )
  assert.equal((await readAll('id,name\n1,Anna\n', none)).length, 2)
  const separated = look('sep=;\na;b\n1;2\n', { headerRow: 0 })
  assert.deepEqual([separated.headerRow, separated.firstDataRow, separated.delimiter], [null, 2, ';'])
})

test('refuses what a person says if it means nothing', () => {
  const cases: readonly [Partial<SourceOptions>, string][] = [
    [{ delimiter: '' }, 'delimiter'],
    [{ delimiter: ';;;;;;;;;' }, 'delimiter'],
    [{ delimiter: ';a' }, 'delimiter'],
    [{ delimiter: '"' }, 'delimiter'],
    [{ delimiter: '\n' }, 'delimiter'],
    [{ delimiter: '\0' }, 'delimiter'],
    [{ delimiter: 'a' }, 'delimiter'],
    [{ quote: '`' }, 'quote'],
    [{ encoding: 'windows-1252' }, 'encoding'],
    [{ encoding: '' }, 'encoding'],
    [{ format: 'XLSX' }, 'format'],
    [{ headerRow: -1 }, 'headerRow'],
    [{ headerRow: 1.5 }, 'headerRow'],
    [{ headerRow: 2 }, 'headerRow'],
    [{ headerRow: 99 }, 'headerRow'],
    [{ decimalSeparator: ' ' }, 'decimalSeparator'],
  ]
  for (const [overrides, field] of cases) {
    assert.throws(
      () => look('a,b\n\n1,2\n', overrides),
      refused('INVALID_INPUT', ['source', field]),
      JSON.stringify(overrides),
    )
  }
})

test('refuses files that are no CSV by their content', () => {
  const pixels = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
  const noise = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251))
  const cases: readonly [string | Uint8Array, RegExp][] = [
    [Buffer.from('504b0304140000000800', 'hex'), /zip archive/],
    [Buffer.concat([Buffer.from('504b030414', 'hex'), Buffer.from('....xl/workbook.xml')]), /Excel workbook/],
    [gzipSync('a,b\n1,2\n'), /gzip/],
    ['%PDF-1.7\n', /PDF/],
    [Buffer.from('d0cf11e0a1b11ae1', 'hex'), /\.xls/],
    ['\n <!DOCTYPE html>\n<table>', /HTML/],
    ['<?xml version="1.0"?><a/>', /XML/],
    ['{"a": 1, "b": 2}\n', /JSON/],
    ['[\n {"a": 1}\n]', /JSON/],
    ['\ufeff[]', /JSON/],
    ['BEGIN:VCARD\nVERSION:4.0\n', /vCard/],
    ['{\\rtf1 a}', /RTF/],
    [pixels, /picture/],
    [noise, /no text/],
    [Buffer.concat([Buffer.from('fffe0000', 'hex'), Buffer.from('a\0\0\0')]), /UTF-32/],
  ]
  for (const [content, message] of cases) {
    assert.throws(
      () => look(content),
      (error) => refused('FILE_TYPE_UNSUPPORTED')(error) && message.test((error as Error).message),
      String(message),
    )
  }
  // A person who says that it is CSV all the same is believed, as far as it is text.
  assert.equal(look('[{x,y}]\n1,2\n', { format: 'CSV' }).delimiter, ',')
})

test('refuses a file without content', () => {
  for (const content of ['', '\ufeff', '\n\r\n', '  \t\n', encode('\ufeff\n', 'utf-16le')]) {
    assert.throws(() => look(content), refused('FILE_EMPTY'), JSON.stringify(content))
  }
})

test('refuses a file whose first row does not end', () => {
  assert.throws(() => look('a,'.repeat(FILE_HEAD_BYTES_MAX)), refused('FILE_UNREADABLE'))
})

test('refuses more columns than are read', () => {
  const header = (columns: number): string => Array.from({ length: columns }, (_, index) => `c${index}`).join(',')
  assert.equal(look(`${header(COLUMNS_MAX)}\n1\n`).columns.length, COLUMNS_MAX)
  assert.throws(() => look(`${header(COLUMNS_MAX + 1)}\n1\n`), refused('LIMIT_EXCEEDED'))
  assert.throws(() => look(`${header(20_000)}\n1\n`), refused('LIMIT_EXCEEDED'))
})

test('warns of what a person should look at', async () => {
  const warnings = (content: string | Uint8Array, name?: string): string => look(content, {}, name).warnings.join('\n')
  assert.match(warnings('a,b\n1,2\n', 'contacts.xlsx'), /ends in \.xlsx/)
  assert.match(warnings(await readFile(join(FIXTURES, 'no-header.csv'))), /no header/)
  assert.match(warnings(await readFile(join(FIXTURES, 'all-text.csv'))), /Nothing tells row 1/)
  assert.match(warnings(await readFile(join(FIXTURES, 'preamble.csv'))), /3 rows above the header/)
  assert.match(warnings(await readFile(join(FIXTURES, 'repeated-names.csv'))), /"Phone \(3\)"/)
  assert.match(warnings(await readFile(join(FIXTURES, 'header-only.csv'))), /no data/)
  assert.match(
    warnings(await readFile(join(FIXTURES, 'broken-quotes.csv'))),
    /2 of the first 5. The first one is row 2/,
  )
  assert.match(warnings(await readFile(join(FIXTURES, 'windows-1252.csv'))), /do not fit the encoding/)
  assert.match(warnings(await readFile(join(FIXTURES, 'mixed-line-ends.csv'))), /Lines end in different ways/)
})

test('a long line full of opening quotes is one faulty row of its file', async () => {
  const started = process.cpuUsage()
  const content = `a,b\n${'"a,'.repeat(80_000)}`
  const found = look(content)
  assert.deepEqual(
    [found.headerRow, found.columns.map(({ name }) => name), found.estimatedRowCount],
    [1, ['a', 'b'], 1],
  )
  assert.deepEqual(
    (await readAll(content, found)).map((row) => [row.number, row.fault === null]),
    [[2, false]],
  )
  const { user } = process.cpuUsage(started)
  assert.ok(user < 4_000_000, `${user} us`)
})

test('a missing blank behind a comma moves no value', async () => {
  const full = Array.from({ length: 100 }, (_, index) => `Person ${index}, p${index}@example.com, 030${index}\n`)
  const content = `Name, Email, Phone\n${full.join('')}Smith,, 555\n`
  const rows = await readAll(content, look(content))
  assert.deepEqual(rows.at(-1)?.cells, ['Smith', '', '555'])
})

test('lines that sum a table up end it, and companies with such names do not', () => {
  const last = (line: string): number | null | undefined =>
    look(`Name,City,Amount,Phone\n${'Lamp AG,Wien,12,0301\n'.repeat(6)}${line}\n`).lastDataRow
  for (const line of [
    'Total Energies,Paris,,',
    'Sum Li,Hong Kong,,',
    'Notes Ltd,London,,',
    'Source Inc,Boston,,',
    'Created Studios,,,',
    'Copyright Clearance,Danvers,,',
    'Total,Paris,,',
  ]) {
    assert.equal(last(line), null, line)
  }
  for (const line of [
    'Total,,72,',
    'Grand total:,,"€ 1,072.50",',
    'Summe,,72 EUR,',
    'Source: the CRM,,,',
    'Generated on 2024-01-01 by Anna,,,',
    'Total 6,,,',
    '6 rows,,,',
    'End of report,,,',
    '© Lamp AG,,,',
  ]) {
    assert.equal(last(line), 7, line)
  }
})

test('a repeated header costs its own row, below the head of a file as well', async () => {
  const page = `Name,City,Phone\n${'Lamp,Wien,0301\n'.repeat(50)}`
  for (const pages of [3, 600]) {
    const content = page.repeat(pages)
    const found = look(content)
    const rows = await readAll(content, found)
    assert.equal(found.lastDataRow, null)
    assert.equal(rows.length, pages * 51 - 1)
    assert.deepEqual(
      rows.filter((row) => row.fault !== null).map((row) => row.number),
      Array.from({ length: pages - 1 }, (_, index) => (index + 1) * 51 + 1),
    )
    assert.match(found.warnings.join(' '), /repeat the header .*The first one is row 52\./)
  }
  const twice = '\ufeffPhone,Phone,,Name\n1,2,3,4\n\ufeffPhone,Phone,,Name\n5,6,7,8\n'
  assert.deepEqual(
    (await readAll(twice, look(twice))).map((row) => row.fault?.code ?? null),
    [null, 'UNPARSABLE_ROW', null],
  )
})

test('finds the header below lines of a name and a value', () => {
  const header = 'Buchung;Valuta;Auftraggeber;Verwendungszweck;Betrag'
  const data = Array.from({ length: 20 }, (_, index) => `${index + 10}.01.2024;;Lamp AG;Miete ${index};-${index},50`)
  const names = (...above: string[]): string[] =>
    look([...above, header, ...data, ''].join('\r\n')).columns.map(({ name }) => name)
  for (const above of [
    ['Konto:;DE12500105170648489890', 'Zeitraum:;01.01.2024 - 31.01.2024', ''],
    ['Umsatzanzeige', '', 'IBAN;DE12500105170648489890', 'Kontoname;Girokonto', 'Bank;ING', ''],
    ['"Konto:";"DE12500105170648489890";;;', '"Saldo:";"1.000,00 EUR";;;', ''],
  ]) {
    assert.deepEqual(names(...above), header.split(';'), above.join())
  }
  // Four columns leave no room but for a colon.
  const four = look(`Kunde:;4711\n\nDatum;Name;E-Mail;Betrag\n${'01.02.2024;Li;li@example.com;3,50\n'.repeat(5)}`)
  assert.equal(four.headerRow, 3)
  // A sparse row of data is no header because of its place.
  const sparse = look(`Name;Email;;;\n${'Li;li@example.com;3;4;5\n'.repeat(5)}`)
  assert.equal(sparse.headerRow, 1)
})

test('columns without a name are those that most rows reach', () => {
  const names = (content: string): string[] => look(content).columns.map(({ name }) => name)
  assert.deepEqual(names('a,b\n1,2,3\n4,5,6\n7,8\n'), ['a', 'b', 'Column 3'])
  const { columns, warnings } = look('Name,City\nLi,Wien\nRoe,Graz,a remark\nDoe,Linz\n')
  assert.equal(columns.length, 2)
  assert.match(warnings.join(' '), /more cells than there are columns: 1 of the first 3\. The first one is row 3/)
  // More cells than there may be columns are faults of their rows.
  assert.deepEqual(names(`Name,City\n${`1${',2'.repeat(COLUMNS_MAX)}\n`.repeat(3)}`), ['Name', 'City'])
  // A trailing delimiter is no column.
  assert.deepEqual(names('a,b\n1,2,\n4,5,\n7,8,\n'), ['a', 'b'])
})

test('names do not move where rows have names of their own', () => {
  const names = (content: string): string[] => look(content).columns.map(({ name }) => name)
  const numbered = '"name","email"\n"1","Li","li@example.com"\n"2","Roe","r@example.com"\n"3","Doe","d@example.com"\n'
  assert.deepEqual(names(numbered), ['Column 1', 'name', 'email'])
  assert.match(look(numbered).warnings.join(' '), /header has 2 cells, but most rows have 3/)
  assert.deepEqual(names(numbered.replaceAll(',', ' ')), ['Column 1', 'name', 'email'])
  assert.deepEqual(names(numbered.replace('"name"', '"id"')), ['id', 'email', 'Column 3'])
})

test('tells of rows that have too few cells', () => {
  const found = look('Name,City,Phone\nLi,Wien,030\nRoe,Graz\nDoe\nPoe,Linz,031\n')
  assert.match(
    found.warnings.join(' '),
    /fewer cells than there are columns: 2 of the first 4; .* The first one is row 3\./,
  )
  assert.doesNotMatch(look('Name,City\nLi,Wien\nRoe,\n').warnings.join(' '), /fewer cells/)
})

test('column names change no prototype', async () => {
  const keys = Object.getOwnPropertyNames(Object.prototype)
  const found = look(await readFile(join(FIXTURES, 'hostile-names.csv')))
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype), keys)
  assert.deepEqual(structuredClone(found), found)
  assert.deepEqual(JSON.parse(JSON.stringify(found)), found)
})

test('many columns of one name are numbered at once', () => {
  const found = look(`${'x,'.repeat(COLUMNS_MAX - 1)}x\n${'1,'.repeat(COLUMNS_MAX - 1)}1\n`)
  assert.equal(new Set(found.columns.map((column) => column.name)).size, COLUMNS_MAX)
  assert.equal(found.columns.at(-1)?.name, `x (${COLUMNS_MAX})`)
})

test('answers for damaged files too, and reads them as it said', async () => {
  const names = Object.keys(FOUND)
  for (let seed = 1; seed <= 400; seed += 1) {
    const from = random(seed)
    const bytes = await readFile(join(FIXTURES, from.pick(names)))
    for (let hits = 1 + from.below(6); hits > 0; hits -= 1) {
      bytes[from.below(bytes.length)] = from.pick([0, 10, 13, 34, 39, 44, 59, 128, 255, 65])
    }
    const damaged = bytes.subarray(from.below(4), bytes.length - from.below(4))
    let found: Detection
    try {
      found = look(damaged)
    } catch (error) {
      assert.ok(error instanceof Refusal, `seed ${seed}: ${String(error)}`)
      continue
    }
    const rows = await readAll(damaged, found)
    assert.equal(rows.length, found.estimatedRowCount, `seed ${seed}`)
    // PostgreSQL keeps neither NUL nor lone surrogates in jsonb.
    assert.ok(!/\\u0000|\\ud[89a-f]/i.test(JSON.stringify(found)), `seed ${seed}`)
  }
})
