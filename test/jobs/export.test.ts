/** Exports through the engine: every format against what was written down by hand, and what a file may never be. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { type CellObject, read, utils } from 'xlsx'
import type { Permission } from '../../src/access/permissions.js'
import { guardedText } from '../../src/adapters/crm/export-text.js'
import { transcoder } from '../../src/adapters/files/decode.js'
import { openXlsx } from '../../src/adapters/files/xlsx/workbook.js'
import { literal } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { Refusal } from '../../src/errors.js'
import { protect } from '../../src/pipeline/formula.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { Random } from '../helpers/random.js'
import { bytesOf } from '../helpers/zip-file.js'

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db)
})
after(async () => {
  await engine.close()
  await db.drop()
})

/** A row of `contact` by column. */
type Columns = Readonly<Record<string, string | number | boolean | null>>

async function insert(tenantId: string, table: string, columns: Columns): Promise<string> {
  const id = typeof columns.id === 'string' ? columns.id : randomUUID()
  const all = { ...columns, tenant_id: tenantId, id }
  const names = Object.keys(all)
  await engine.oracle.query(
    `insert into ${table} (${names.join(', ')}) values (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(all),
  )
  return id
}

const id1 = '01890000-0000-7000-8000-000000000001'
const id2 = '01890000-0000-7000-8000-000000000002'

const NASTY = `tab\tquote " apostrophe ' comma , back\\slash\r\nline "," \u0001 é € 日本 👩‍👩‍👧 \u202e \\N \\.`

/** A tenant with a contact that has everything and one that has nothing. */
async function tenantOfTwo(): Promise<string> {
  const tenant = await engine.tenant()
  await engine.oracle.query("insert into record_schema (tenant_id, record_type, version) values ($1, 'contact', 1)", [
    tenant,
  ])
  for (const [position, [key, kind]] of [
    ['rating', 'DECIMAL'],
    ['colours', 'MULTI_ENUM'],
    ['seen', 'DATE_TIME'],
  ].entries()) {
    await engine.oracle.query(
      `insert into custom_field (tenant_id, id, record_type, key, label, kind, position, from_version, created_by)
       values ($1, $2, 'contact', $3, $3, $4, $5, 1, 'test')`,
      [tenant, randomUUID(), key, kind, position],
    )
  }
  const owner = await insert(tenant, 'member', { email: 'owner@example.com' })
  const firm = await insert(tenant, 'contact', {
    kind: 'ORGANIZATION',
    display_name: 'Firm',
    email: 'firm@example.com',
  })
  await insert(tenant, 'contact', {
    id: id1,
    display_name: NASTY,
    first_name: '=1+1',
    last_name: "'=2",
    job_title: '',
    phone: '+49 30 123456',
    fax: '-12.5',
    tags: '{a,"b; c"}',
    birth_date: '1970-03-09',
    do_not_call: true,
    source_created_at: '2026-03-29T00:59:59.5Z',
    owner_member_id: owner,
    organization_id: firm,
    custom_fields: '{"rating": 12.50, "colours": ["red", "=blue"], "seen": "2026-10-25T00:30:00Z"}',
  })
  await insert(tenant, 'contact', { id: id2, display_name: 'Nobody' })
  return tenant
}

const columns = [
  'id',
  'displayName',
  'firstName',
  'lastName',
  'jobTitle',
  'phone',
  'fax',
  'tags',
  'birthDate',
  'doNotCall',
  'sourceCreatedAt',
  'ownerEmail',
  'organization.email',
  'organization.displayName',
  'custom.rating',
  'custom.colours',
  'custom.seen',
  'version',
].map((field) => ({ field }))

const onlyTwo = {
  filter: { where: { field: 'kind', operator: 'EQ', value: 'PERSON' } },
  orderBy: [{ field: 'id' }],
  columns,
} as const

test('CSV is what it was written down to be, value by value', async () => {
  const tenant = await tenantOfTwo()
  const { run, bytes } = await engine.export(tenant, 'contact', onlyTwo)
  assert.equal(
    bytes.toString(),
    `${columns.map(({ field }) => field).join(',')}\r\n` +
      `${id1},"${NASTY.replaceAll('"', '""')}",'=1+1,''=2,"",+49 30 123456,-12.5,"a; ""b; c""",1970-03-09,true,` +
      '2026-03-29T00:59:59.5+00:00,owner@example.com,firm@example.com,Firm,12.50,red; =blue,2026-10-25T00:30:00+00:00,1\r\n' +
      `${id2},Nobody,,,,,,,,false,,,,,,,,1\r\n`,
  )
  const { counts, progress, snapshotAt } = run
  assert.deepEqual(
    [counts.total, counts.read, counts.unprocessed, progress.fraction, progress.bytesRead],
    [2, 2, 0, 1, bytes.byteLength],
  )
  assert.ok(
    snapshotAt !== null && snapshotAt >= run.createdAt && run.finishedAt !== null && snapshotAt <= run.finishedAt,
  )
})

test('CSV follows delimiter, dates, zone, decimals, null text and headers', async () => {
  const tenant = await tenantOfTwo()
  const { bytes } = await engine.export(tenant, 'contact', {
    ...onlyTwo,
    columns: [
      { field: 'firstName', header: '=Vorname;' },
      { field: 'jobTitle', header: 'Titel' },
      { field: 'birthDate', header: 'Geboren' },
      { field: 'sourceCreatedAt', header: 'Angelegt' },
      { field: 'custom.seen', header: 'Gesehen', format: 'yyyy-MM-dd HH:mm XXX' },
      { field: 'custom.rating', header: 'Note' },
    ],
    format: {
      delimiter: ';',
      dateFormat: 'dd.MM.yyyy',
      timeZone: 'Europe/Berlin',
      decimalSeparator: ',',
      nullText: 'NULL',
      byteOrderMark: true,
      escapeFormulas: false,
    },
  })
  assert.equal(
    bytes.toString(),
    '\u{FEFF}"=Vorname;";Titel;Geboren;Angelegt;Gesehen;Note\r\n' +
      '=1+1;;09.03.1970;29.03.2026 01:59:59;2026-10-25 02:30 +02:00;12,50\r\n' +
      'NULL;NULL;NULL;NULL;NULL;NULL\r\n',
  )
})

test('NDJSON and JSON have typed values, with all digits', async () => {
  const tenant = await tenantOfTwo()
  const first =
    `{"id":"${id1}","displayName":${JSON.stringify(NASTY)},"firstName":"=1+1","lastName":"'=2","jobTitle":"","phone":"+49 30 123456",` +
    '"fax":"-12.5","tags":["a","b; c"],"birthDate":"1970-03-09","doNotCall":true,"sourceCreatedAt":"2026-03-29T00:59:59.5+00:00",' +
    '"ownerEmail":"owner@example.com","organization.email":"firm@example.com","organization.displayName":"Firm",' +
    '"custom.rating":12.50,"custom.colours":["red","=blue"],"custom.seen":"2026-10-25T00:30:00+00:00","version":1}'
  const lines = (await engine.export(tenant, 'contact', { ...onlyTwo, format: { format: 'NDJSON' } })).bytes
    .toString()
    .split('\n')
  assert.equal(lines.length, 3)
  assert.equal(lines[0], first)
  assert.equal(lines[2], '')
  const nobody = JSON.parse(lines[1] ?? '') as Record<string, unknown>
  assert.deepEqual([nobody.firstName, nobody.tags, nobody['custom.rating'], nobody.doNotCall], [null, [], null, false])

  const { bytes } = await engine.export(tenant, 'contact', {
    ...onlyTwo,
    format: { format: 'JSON', compression: 'GZIP' },
  })
  assert.equal(gunzipSync(bytes).toString(), `[\n${lines[0]},\n${lines[1]}\n]\n`)
})

test('a workbook has typed cells, and texts as they are', async () => {
  const tenant = await tenantOfTwo()
  const { run, bytes } = await engine.export(tenant, 'contact', {
    ...onlyTwo,
    format: { format: 'XLSX', timeZone: 'Europe/Berlin', dateFormat: 'dd.MM.yyyy' },
  })
  assert.equal(run.counts.read, 2)
  const book = read(bytes, { cellNF: true, cellText: false })
  assert.deepEqual(book.SheetNames, ['Contacts'])
  const sheet = book.Sheets.Contacts as Record<string, CellObject | undefined>
  const cell = (field: string, row: number): CellObject | undefined =>
    sheet[`${String.fromCharCode(65 + columns.findIndex((column) => column.field === field))}${row}`]
  assert.deepEqual(
    columns.map(({ field }) => cell(field, 1)?.v),
    columns.map(({ field }) => field),
  )
  for (const [field, type, value] of [
    ['id', 's', id1],
    ['firstName', 's', '=1+1'],
    ['lastName', 's', "'=2"],
    ['phone', 's', '+49 30 123456'],
    ['fax', 's', '-12.5'],
    ['doNotCall', 'b', true],
    ['birthDate', 'n', 25_636],
    ['custom.rating', 'n', 12.5],
    ['organization.displayName', 's', 'Firm'],
    ['version', 'n', 1],
  ] as const) {
    assert.deepEqual([cell(field, 2)?.t, cell(field, 2)?.v], [type, value], field)
    assert.equal(cell(field, 2)?.f, undefined)
  }
  assert.equal(cell('birthDate', 2)?.z, 'dd.mm.yyyy')
  // 29 March 2026, 01:59:59.5 by clocks in Berlin, a moment before they go forward.
  assert.ok(Math.abs(Number(cell('sourceCreatedAt', 2)?.v) - (46_110 + (2 * 3600 - 0.5) / 86_400)) < 1e-8)
  assert.equal(cell('firstName', 3), undefined)
  assert.equal(cell('displayName', 3)?.v, 'Nobody')
})

test('what an import reads of a workbook is what was exported', async () => {
  const tenant = await tenantOfTwo()
  const { run, bytes } = await engine.export(tenant, 'contact', {
    ...onlyTwo,
    columns: columns.map((column) => (column.field === 'birthDate' ? { ...column, format: 'dd.mm.yyyy' } : column)),
    format: { format: 'XLSX', timeZone: 'Europe/Berlin' },
  })
  assert.deepEqual([run.counts.total, run.counts.read, run.progress.bytesRead], [2, 2, bytes.byteLength])
  await using workbook = await openXlsx(bytesOf(bytes))
  assert.deepEqual(
    workbook.sheets.map(({ name }) => name),
    ['Contacts'],
  )
  const rows: (readonly string[])[] = []
  for await (const group of workbook.rows(0, new AbortController().signal)) {
    rows.push(...group.map(({ cells }) => cells))
  }
  assert.deepEqual(rows, [
    columns.map(({ field }) => field),
    [
      id1,
      NASTY,
      '=1+1',
      "'=2",
      '',
      '+49 30 123456',
      '-12.5',
      'a; "b; c"',
      '1970-03-09',
      'TRUE',
      '2026-03-29 01:59:59.500',
      'owner@example.com',
      'firm@example.com',
      'Firm',
      '12.5',
      'red; =blue',
      '2026-10-25 02:30:00',
      '1',
    ],
    [id2, 'Nobody', '', '', '', '', '', '', '', 'FALSE', '', '', '', '', '', '', '', '1'],
  ])
})

test('a workbook that cannot be written as it is fails with the place, and leaves no file', async () => {
  const tenant = await engine.tenant()
  await insert(tenant, 'contact', { id: id1, display_name: 'Short' })
  await insert(tenant, 'contact', { id: id2, display_name: 'Long', notes: 'x'.repeat(40_000) })
  const request = { columns: [{ field: 'id' }, { field: 'notes' }], orderBy: [{ field: 'id' }] } as const
  for (const [more, code, message] of [
    [{}, 'LIMIT_EXCEEDED', /Row 2, column "notes": the value has 40,000 characters/],
    [{ columns: [{ field: 'version', format: '[nothing' }] }, 'INVALID_INPUT', /format of the column "version"/],
  ] as const) {
    const id = await engine.createExport(tenant, 'contact', { ...request, ...more, format: { format: 'XLSX' } })
    const run = await engine.advance(tenant, id)
    assert.equal(run.status, 'FAILED')
    assert.equal(run.statusReason?.code, code)
    assert.match(run.statusReason?.message ?? '', message)
    assert.equal(await engine.resultOf(id), null)
  }
})

test('a workbook that cannot be written is refused at once, while its rows are still being counted', async () => {
  const tenant = await engine.tenant()
  await engine.rows(
    `insert into contact (tenant_id, id, display_name, notes) select $1, gen_random_uuid(), 'Long', repeat('x', 40000) from generate_series(1, 5000)`,
    [tenant],
  )
  const id = await engine.createExport(tenant, 'contact', {
    columns: [{ field: 'version', format: '[nothing' }],
    filter: { where: { field: 'notes', operator: 'CONTAINS', value: 'y' } },
    format: { format: 'XLSX' },
  })
  const run = await engine.advance(tenant, id)
  assert.deepEqual([run.status, run.statusReason?.code, run.attempts], ['FAILED', 'INVALID_INPUT', 1])
})

test('an export of nothing is a whole file', async () => {
  const tenant = await engine.tenant()
  const csv = await engine.export(tenant, 'lead', { columns: [{ field: 'id' }, { field: 'title', header: 'Name' }] })
  assert.equal(csv.bytes.toString(), 'id,Name\r\n')
  assert.deepEqual([csv.run.counts.total, csv.run.progress.fraction], [0, 1])
  const json = await engine.export(tenant, 'lead', { format: { format: 'JSON' } })
  assert.deepEqual(JSON.parse(json.bytes.toString()), [])
  const book = await engine.export(tenant, 'lead', { format: { format: 'XLSX' }, columns: [{ field: 'title' }] })
  assert.deepEqual(utils.sheet_to_json(read(book.bytes).Sheets.Leads ?? {}, { header: 1 }), [['title']])
  const lines = await engine.export(tenant, 'lead', { format: { format: 'NDJSON' } })
  assert.equal(lines.bytes.byteLength, 0)
})

for (const [encoding, text] of [
  ['utf-16le', 'Zoë 👩 日本'],
  ['utf-16be', 'Zoë 👩 日本'],
  ['windows-1252', 'Zoë € “x” Œ'],
  ['iso-8859-1', 'Zoë ÿ'],
  ['iso-8859-15', 'Zoë €'],
  ['shift_jis', '山田 ソー 表\\'],
  ['euc-kr', '김철수 한글'],
  ['gb18030', '王伟 👩'],
  ['big5', '陳大文 許'],
] as const) {
  test(`CSV in ${encoding} reads as it was`, async () => {
    const tenant = await engine.tenant()
    await insert(tenant, 'contact', { display_name: text })
    const { bytes } = await engine.export(tenant, 'contact', {
      columns: [{ field: 'displayName', header: 'Name' }],
      format: { encoding, byteOrderMark: true },
    })
    const header = /^Name\r\n/
    const read = transcoder(encoding).push(bytes, true).toString().replace('\u{FEFF}', '')
    assert.match(read, header)
    assert.equal(read.replace(header, ''), `${text}\r\n`)
  })
}

test('a character that the encoding lacks fails the export, and nothing is replaced', async () => {
  const tenant = await engine.tenant()
  await insert(tenant, 'contact', { display_name: 'Łódź' })
  const runId = await engine.createExport(tenant, 'contact', { format: { encoding: 'windows-1252' } })
  const run = await engine.advance(tenant, runId)
  assert.equal(run.status, 'FAILED')
  assert.equal(run.statusReason?.code, 'CHARACTER_NOT_IN_ENCODING')
  assert.deepEqual([run.counts.read, run.counts.unprocessed], [0, run.counts.total])
  assert.equal(await engine.resultOf(runId), null)
})

test('a neighbour exports nothing of ours, with any filter', async () => {
  const tenant = await tenantOfTwo()
  const neighbour = await engine.tenant()
  const { bytes } = await engine.export(neighbour, 'contact', {
    ...onlyTwo,
    columns: [{ field: 'displayName' }],
    filter: {
      or: [
        { where: { field: 'email', operator: 'IS_NULL' } },
        { where: { field: 'id', operator: 'IN', values: [id1] } },
      ],
    },
  })
  assert.equal(bytes.toString(), 'displayName\r\n')
  assert.equal((await engine.export(tenant, 'contact', { columns: [{ field: 'id' }] })).run.counts.read, 3)
})

test('deleted records and references to them are not exported', async () => {
  const tenant = await engine.tenant()
  const firm = await insert(tenant, 'contact', {
    display_name: 'Firm',
    email: 'f@example.com',
    deleted_at: '2026-01-01',
  })
  await insert(tenant, 'contact', { display_name: 'A', organization_id: firm })
  const { bytes } = await engine.export(tenant, 'contact', {
    columns: [{ field: 'displayName' }, { field: 'organization' }, { field: 'organization.email' }],
  })
  assert.equal(bytes.toString(), 'displayName,organization,organization.email\r\nA,,\r\n')
})

test('filters with quotes, dollars and lists find what they find in lists', async () => {
  const tenant = await engine.tenant()
  for (const name of [`a'b`, '$1', 'x\\y', '%']) {
    await insert(tenant, 'contact', { display_name: name, tags: '{t}' })
  }
  const found = async (value: string): Promise<string> =>
    (
      await engine.export(tenant, 'contact', {
        columns: [{ field: 'displayName' }],
        filter: {
          and: [
            { where: { field: 'displayName', operator: 'IN', values: [value, 'nobody'] } },
            { where: { field: 'displayName', operator: 'CONTAINS', value } },
            { where: { field: 'tags', operator: 'EQ', value: 't' } },
          ],
        },
      })
    ).bytes.toString()
  for (const name of [`a'b`, '$1', 'x\\y', '%']) {
    assert.equal(await found(name), `displayName\r\n${name}\r\n`)
  }
})

test('without PII_READ sensitive fields are left out, and refused where they are named', async () => {
  const tenant = await tenantOfTwo()
  const few = new Set<Permission>(['RECORD_READ', 'EXPORT_RUN'])
  const { bytes, run } = await engine.export(tenant, 'contact', { permissions: few })
  const header = bytes.toString().split('\r\n')[0]?.split(',') ?? []
  assert.ok(header.includes('displayName') === false || !header.includes('email'))
  assert.ok(
    !header.includes('email') && !header.includes('phone') && !header.some((name) => name.startsWith('custom.')),
  )
  assert.ok(!header.includes('organization.email') && header.includes('ownerEmail') && header.includes('id'))
  assert.ok(run.kind === 'EXPORT' && run.spec.permissions.length === 2)
  for (const request of [
    { columns: [{ field: 'email' }] },
    { columns: [{ field: 'organization.phone' }] },
    { columns: [{ field: 'custom.rating' }] },
    { columns: [{ field: 'id' }], filter: { not: { where: { field: 'email', operator: 'IS_NULL' } } } },
    { columns: [{ field: 'id' }], orderBy: [{ field: 'phone' }] },
  ] as const) {
    await assert.rejects(engine.createExport(tenant, 'contact', { permissions: few, ...request }), /PII_READ/)
  }
})

test('what cannot be written is refused before it begins', async () => {
  const tenant = await engine.tenant()
  for (const [request, code] of [
    [{ columns: [{ field: 'nothing' }] }, 'UNKNOWN_FIELD'],
    [{ columns: [{ field: 'custom.nothing' }] }, 'UNKNOWN_FIELD'],
    [{ columns: [] }, 'INVALID_INPUT'],
    [{ columns: [{ field: 'id' }, { field: 'email', header: 'id' }] }, 'INVALID_INPUT'],
    [{ columns: [{ field: 'birthDate', format: 'dd.QQ' }] }, 'INVALID_INPUT'],
    [{ columns: [{ field: 'email', format: 'dd.MM.yyyy' }] }, 'INVALID_INPUT'],
    [{ columns: [{ field: 'id', header: 'ä'.repeat(32) }], format: { format: 'NDJSON' } }, 'INVALID_INPUT'],
    [{ format: { delimiter: '"' } }, 'INVALID_INPUT'],
    [{ format: { delimiter: ',,' } }, 'INVALID_INPUT'],
    [{ format: { encoding: 'klingon' } }, 'INVALID_INPUT'],
    [{ format: { timeZone: 'Mars/Olympus' } }, 'INVALID_INPUT'],
    [{ format: { timeZone: "UTC'; select 1" } }, 'INVALID_INPUT'],
    [{ format: { nullText: 'a,b' } }, 'INVALID_INPUT'],
    [{ format: { dateFormat: 'nonsense' } }, 'INVALID_INPUT'],
    [{ filter: { where: { field: 'nothing', operator: 'IS_NULL' } } }, 'UNKNOWN_FIELD'],
  ] as const) {
    await assert.rejects(
      engine.createExport(tenant, 'contact', request as Parameters<Engine['createExport']>[2]),
      (error) => error instanceof Refusal && error.code === code,
      JSON.stringify(request),
    )
  }
})

test('files are called safely, whatever was asked for', async () => {
  const tenant = await engine.tenant()
  for (const [asked, format, name] of [
    ['../../etc/passwd', {}, 'etc passwd.csv'],
    ['Kontakte.csv', {}, 'Kontakte.csv'],
    ['a\r\nb\u202egnp.exe', { format: 'JSON' }, 'a  b gnp.exe.json'],
    ['x.ndjson', { format: 'NDJSON', compression: 'GZIP' }, 'x.ndjson.gz'],
  ] as const) {
    const { run } = await engine.export(tenant, 'contact', { fileName: asked, format })
    assert.equal(run.spec.fileName, name)
    const [file] = await engine.rows<{ name: string }>('select name from run_file where run_id = $1', [run.id])
    assert.equal(file?.name, name)
  }
})

test('the rule of formulas is the same in SQL and in the function', async () => {
  const random = new Random(20_261_123)
  const signs = Array.from(`=+-@\t\r\n＝＋－＠'"0123456789.,() %eE/;x \u00a0\u2009\u202fA日-`)
  const corpus = [
    '',
    "'",
    "''",
    '=1+1',
    "'=1+1",
    "''=1+1",
    '-12.5',
    "'-12.5",
    '+49 (0)30 123-45',
    '+4930;ext=12',
    '-',
    '+',
    '@SUM(A1)',
    '－1',
    '\n=1',
    '-1\n=2',
    '-1e5',
    '-3 %',
    '-1\u202f234',
    '=cmd|"/c calc"!A0',
    "O'Neill",
    "'hello",
    ...Array.from({ length: 5000 }, () => Array.from({ length: random.below(7) }, () => random.pick(signs)).join('')),
  ]
  const { rows } = await engine.oracle.query<{ value: string; guarded: string }>(
    `select value, ${guardedText('value')} as guarded from unnest($1::text[]) as c (value)`,
    [corpus],
  )
  assert.equal(rows.length, corpus.length)
  assert.ok(rows.filter(({ value, guarded }) => value !== guarded).length > 1000)
  for (const { value, guarded } of rows) {
    assert.equal(guarded, protect(value), JSON.stringify(value))
  }
})

test('a database refuses to complete an export without its file', async () => {
  const tenant = await engine.tenant()
  const runId = await engine.createExport(tenant, 'contact')
  await engine.oracle.query("update run set status = 'RUNNING' where id = $1", [runId])
  await assert.rejects(
    engine.oracle.query(
      `update run set status = 'COMPLETED', total = 0, finished_at = now() where id = ${literal(runId)}`,
    ),
    /the file of the export is missing/,
  )
  await assert.rejects(
    withTenant(engine.context.presence, tenant, (tx) =>
      tx.query("update run set status = 'FAILED', total = 5, rows_read = 4, finished_at = now() where id = $1", [
        runId,
      ]),
    ),
    /run_conservation/,
  )
})
