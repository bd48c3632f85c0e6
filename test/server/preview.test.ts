/** The live preview: rows as read and as they would become, for whoever may see them, fast enough to follow typing. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import ExcelJS from 'exceljs'
import { permissions } from '../../src/access/permissions.js'
import { decodeId } from '../../src/ids.js'
import { PREVIEW_ROWS_MAX } from '../../src/limits.js'
import { type Actor, dataOf, type Json, World } from './world.js'

let world: World
let ada: Actor
let tenant: string

before(async () => {
  world = await World.start({ worker: false })
  tenant = await world.tenant()
  ada = await world.actor(tenant)
})
after(() => world.close())

const people = `Name,E-mail,Born,Newsletter,Interests
"Lovelace, Ada",ada@example.com,10.12.1815,yes,maths; poetry
Grace Hopper,not-an-address,09.12.1906,no,
,nobody@example.com,,,
`

async function uploaded(actor: Actor, file: string | Uint8Array<ArrayBuffer>, name = 'people.csv'): Promise<string> {
  const { fileUpload } = dataOf(
    await world.upload(
      actor,
      'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code message } } }',
      {},
      file,
      name,
    ),
  )
  assert.deepEqual(fileUpload.userErrors, [])
  return fileUpload.file.id
}

const query = `query ($id: ID!, $source: SourceOptionsInput, $type: RecordType, $mapping: [ColumnMappingInput!], $first: Int) {
  file(id: $id) { preview(source: $source, recordType: $type, mapping: $mapping, first: $first) {
    detection { delimiter sheet columns { name samples topValues(first: 5) { value count } } }
    conflicts { code field message values readings { exampleValue } }
    rows { rowNumber cells { column value } values { key value } issues { rowNumber column field code severity value message } } } } }`

async function preview(actor: Actor, variables: Readonly<Record<string, unknown>>): Promise<Json> {
  return (await world.ask(actor, query, variables)).file.preview
}

const valuesOf = (row: Json): Json => Object.fromEntries(row.values.map(({ key, value }: Json) => [key, value]))

const mapping = [
  { column: 'Name', field: 'displayName', transforms: [{ name: 'upper' }] },
  { column: 'E-mail', field: 'email' },
  { column: 'Born', field: 'birthDate' },
  {
    column: 'Newsletter',
    field: 'emailOptOut',
    valueMap: [
      { from: 'yes', to: 'no' },
      { from: 'no', to: 'yes' },
    ],
  },
  { column: 'Interests', field: 'tags', defaultValue: 'new' },
]

test('without a mapping the rows are shown as they are read', async () => {
  const id = await uploaded(ada, people)
  const { rows, detection, conflicts } = await preview(ada, { id, first: 2 })
  assert.equal(detection.delimiter, ',')
  assert.deepEqual(conflicts, [])
  assert.equal(rows.length, 2)
  assert.deepEqual(rows[0], {
    rowNumber: 2,
    cells: [
      { column: 'Name', value: 'Lovelace, Ada' },
      { column: 'E-mail', value: 'ada@example.com' },
      { column: 'Born', value: '10.12.1815' },
      { column: 'Newsletter', value: 'yes' },
      { column: 'Interests', value: 'maths; poetry' },
    ],
    values: [],
    issues: [],
  })
})

test('with a mapping they are shown as they would become, with what is wrong', async () => {
  const id = await uploaded(ada, people)
  const { rows } = await preview(ada, { id, type: 'CONTACT', mapping })
  assert.deepEqual(valuesOf(rows[0]), {
    displayName: 'LOVELACE, ADA',
    email: 'ada@example.com',
    birthDate: '1815-12-10',
    emailOptOut: 'false',
    tags: 'maths; poetry',
    firstName: 'ADA',
    lastName: 'LOVELACE',
  })
  assert.equal(valuesOf(rows[1]).emailOptOut, 'true')
  assert.equal(valuesOf(rows[1]).tags, 'new')
  assert.deepEqual(
    rows[1].issues.map(({ rowNumber, column, code, severity, value }: Json) => ({
      rowNumber,
      column,
      code,
      severity,
      value,
    })),
    [{ rowNumber: 3, column: 'E-mail', code: 'INVALID_EMAIL', severity: 'ERROR', value: 'not-an-address' }],
  )
  assert.equal(valuesOf(rows[2]).displayName, 'nobody@example.com')
})

test('a row that cannot become a new record says what it lacks', async () => {
  const id = await uploaded(ada, 'Name,Note\nAda,x\n,y\n')
  const { rows } = await preview(ada, {
    id,
    type: 'CONTACT',
    mapping: [
      { column: 'Name', field: 'lastName' },
      { column: 'Note', field: 'notes' },
    ],
  })
  assert.deepEqual(rows[0].issues, [])
  assert.deepEqual(
    rows[1].issues.map(({ code, severity, field }: Json) => [code, severity, field]),
    [['REQUIRED_MISSING', 'WARNING', 'displayName']],
  )
})

test('a field that the mapping would make is shown, and not made by looking', async () => {
  const id = await uploaded(ada, 'Name,Colour\nAda,green\n')
  const created = {
    column: 'Colour',
    createCustomField: { key: 'favouriteColour', label: 'Favourite colour', kind: 'TEXT' },
    transforms: [{ name: 'title' }],
  }
  const { rows } = await preview(ada, {
    id,
    type: 'CONTACT',
    mapping: [{ column: 'Name', field: 'lastName' }, created],
  })
  assert.equal(valuesOf(rows[0])['custom.favouriteColour'], 'Green')
  const stored = await world.oracle.query('select count(*)::int as n from custom_field')
  assert.equal(stored.rows[0].n, 0)
})

test('a question that the mapping leaves open is shown, and goes away when it is answered', async () => {
  const id = await uploaded(ada, 'Name,Born\nAda,03/04/1985\nGrace,05/06/1986\n')
  const columns = [
    { column: 'Name', field: 'lastName' },
    { column: 'Born', field: 'birthDate' },
  ]
  const open = await preview(ada, { id, type: 'CONTACT', mapping: columns })
  assert.deepEqual(
    open.conflicts.map(({ code, field }: Json) => [code, field]),
    [['AMBIGUOUS_FORMAT', 'birthDate']],
  )
  const said = [columns[0], { ...columns[1], format: 'MM/dd/yyyy' }]
  const answered = await preview(ada, { id, type: 'CONTACT', mapping: said })
  assert.deepEqual(answered.conflicts, [])
  assert.equal(valuesOf(answered.rows[0]).birthDate, '1985-03-04')
  const other = await preview(ada, { id, type: 'CONTACT', mapping: columns, source: { dateFormat: 'dd/MM/yyyy' } })
  assert.equal(valuesOf(other.rows[0]).birthDate, '1985-04-03')
})

test('other source options read the same file in another way', async () => {
  const id = await uploaded(ada, 'a;b,c\n1;2,3\n')
  const first = await preview(ada, { id, source: { delimiter: ';' } })
  assert.deepEqual(first.rows[0].cells, [
    { column: 'a', value: '1' },
    { column: 'b,c', value: '2,3' },
  ])
  const second = await preview(ada, { id, source: { delimiter: ',' } })
  assert.deepEqual(second.rows[0].cells, [
    { column: 'a;b', value: '1;2' },
    { column: 'c', value: '3' },
  ])
  const refused = await world.run(ada, query, { id, source: { encoding: 'nonsense' } })
  assert.equal(refused.errors[0]?.extensions['code'], 'INVALID_INPUT')
})

test('values and how often they come are told for value maps', async () => {
  const id = await uploaded(ada, `Status\n${'new\n'.repeat(7)}${'old\n'.repeat(3)}`)
  const { detection } = await preview(ada, { id })
  assert.deepEqual(detection.columns[0].topValues, [
    { value: 'new', count: 7 },
    { value: 'old', count: 3 },
  ])
})

test('a mapping that can never be right is refused with its reason', async () => {
  const id = await uploaded(ada, people)
  for (const [column, code] of [
    [{ column: 'Nothing', field: 'email' }, 'UNKNOWN_COLUMN'],
    [{ column: 'Name', field: 'shoeSize' }, 'UNKNOWN_FIELD'],
    [{ column: 'Name', field: 'lastName', transforms: [{ name: 'upperr' }] }, 'TRANSFORM_INVALID'],
  ] as const) {
    const { errors } = await world.run(ada, query, { id, type: 'CONTACT', mapping: [column] })
    assert.equal(errors[0]?.extensions['code'], code)
  }
})

test('as many rows as the limit says are shown, and no more', async () => {
  const id = await uploaded(ada, `n\n${Array.from({ length: PREVIEW_ROWS_MAX + 5 }, (_, at) => `${at}\n`).join('')}`)
  assert.equal((await preview(ada, { id, first: PREVIEW_ROWS_MAX })).rows.length, PREVIEW_ROWS_MAX)
  assert.equal((await preview(ada, { id })).rows.length, 20)
  const { errors } = await world.run(ada, query, { id, first: PREVIEW_ROWS_MAX + 1 })
  assert.equal(errors[0]?.extensions['code'], 'INVALID_INPUT')
  for (const first of [0, -1]) {
    assert.equal((await world.run(ada, query, { id, first })).errors.length, 1)
  }
})

test('who may not see personal data sees none, whatever mapping they choose [AR-6]', async () => {
  const id = await uploaded(ada, 'Mail,Stage,Born\nada@example.com,WON,03/04/1985\nno-address,LOST,05/06/1986\n')
  const blind = await world.actor(
    tenant,
    permissions.filter((permission) => permission !== 'PII_READ'),
  )
  const transforms = [{ name: 'template', arguments: [{ name: 'text', value: '{Mail}, born {Born}' }] }]
  for (const [type, columns] of [
    ['LEAD', []],
    ['LEAD', [{ column: 'Mail', field: 'email' }]],
    // Fields that are harmless in themselves.
    ['LEAD', [{ column: 'Mail', field: 'source' }]],
    ['LEAD', [{ column: 'Mail', field: 'status' }]],
    ['LEAD', [{ column: 'Born', field: 'expectedCloseDate' }]],
    ['LEAD', [{ column: 'Stage', field: 'source', transforms }]],
    ['CONTACT', [{ column: 'Born', field: 'birthDate' }]],
    ['CONTACT', [{ column: 'Mail', field: 'lastName', transforms: [{ name: 'number' }] }]],
  ] as const) {
    const unseen = await preview(blind, { id, type, mapping: columns.length === 0 ? null : columns })
    const text = JSON.stringify(unseen)
    assert.doesNotMatch(text, /ada@|example\.com|no-address|1985|03\/04|WON/, JSON.stringify(columns))
    assert.equal(unseen.rows.length, 2)
    assert.deepEqual(
      unseen.rows[0].cells.map(({ column }: Json) => column),
      ['Mail', 'Stage', 'Born'],
    )
    const seen = await preview(ada, { id, type, mapping: columns.length === 0 ? null : columns })
    assert.match(JSON.stringify(seen), /ada@example/)
    // What is wrong is told by its code, and what is asked too.
    const codes = ({ rows, conflicts }: Json) => [
      rows.map(({ issues }: Json) => issues.map(({ code }: Json) => code)),
      conflicts.map(({ code }: Json) => code),
    ]
    assert.deepEqual(codes(unseen), codes(seen))
  }
})

test('the neighbour sees nothing of a file, though it is in memory, and a purged one is gone for all', async () => {
  const id = await uploaded(ada, people)
  await preview(ada, { id })
  const neighbour = await world.actor(await world.tenant())
  assert.equal((await world.ask(neighbour, query, { id })).file, null)
  const stranger = await world.actor(tenant, ['RECORD_READ'])
  const { errors } = await world.run(stranger, query, { id })
  assert.equal(errors[0]?.extensions['code'], 'FORBIDDEN')
  await world.oracle.query('update source_file set purged_at = now() where id = $1', [decodeId('file', id)])
  assert.equal((await world.ask(ada, query, { id })).file, null)
})

const COLUMNS = 50
const WIDE = [
  Array.from({ length: COLUMNS }, (_, at) => `Column ${at}`),
  ...Array.from({ length: 2_000 }, (_, row) => Array.from({ length: COLUMNS }, (_cell, at) => `${at} in row ${row}`)),
]

async function wideWorkbook(): Promise<Uint8Array<ArrayBuffer>> {
  const book = new ExcelJS.Workbook()
  book.addWorksheet('Wide').addRows(WIDE)
  return new Uint8Array((await book.xlsx.writeBuffer()) as ArrayBuffer)
}

function wideJson(): string {
  const [header = [], ...rows] = WIDE
  return JSON.stringify(rows.map((row) => Object.fromEntries(row.map((cell, at) => [header[at], cell]))))
}

const fields = [
  'firstName',
  'lastName',
  'notes',
  'city',
  'jobTitle',
  'companyName',
  'addressLine1',
  'email',
  'phone',
  'birthDate',
]
const wideMapping = fields.map((field, at) => ({
  column: `Column ${at}`,
  field,
  transforms: [
    { name: 'trim' },
    { name: 'title' },
    { name: 'join', arguments: [{ name: 'column', value: `Column ${at + 20}` }] },
  ],
}))

for (const [format, name, make] of [
  ['CSV', 'wide.csv', () => Promise.resolve(WIDE.map((row) => row.join(',')).join('\n'))],
  ['XLSX', 'wide.xlsx', wideWorkbook],
  ['JSON', 'wide.json', () => Promise.resolve(wideJson())],
] as const) {
  test(`20 rows of 50 columns of ${format} follow typing once the file has been looked at`, async (t) => {
    const id = await uploaded(ada, await make(), name)
    const ask = async (text: string) => {
      const typed = [
        ...wideMapping,
        {
          field: 'namePrefix',
          transforms: [{ name: 'template', arguments: [{ name: 'text', value: `${text} {Column 3}` }] }],
        },
      ]
      const started = performance.now()
      const { rows } = await preview(ada, { id, type: 'CONTACT', mapping: typed })
      const took = performance.now() - started
      assert.equal(rows.length, 20)
      assert.equal(rows[0].cells.length, COLUMNS)
      assert.equal(valuesOf(rows[0]).namePrefix, `${text} 3 in row 0`)
      return took
    }
    const opening = await ask('a')
    const times: number[] = []
    for (const text of ['ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'abcdefgh']) {
      times.push(await ask(text))
    }
    const sorted = times.toSorted((a, b) => a - b)
    const [fastest = 0, median = 0] = [sorted[0], sorted[3]]
    t.diagnostic(`first ${opening.toFixed(0)} ms, then ${median.toFixed(0)} ms (${fastest.toFixed(0)} at best)`)
    // The machine may be busy with other tests; one call shows what it takes.
    assert.ok(fastest < 100, `${fastest} ms`)
  })
}
