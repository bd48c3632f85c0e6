import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import ExcelJS from 'exceljs'
import { localFileStore } from '../../src/adapters/files/storage.js'
import { Lane } from '../../src/db/lane.js'
import { decodeId } from '../../src/ids.js'
import { laneOptions } from '../../src/jobs/context.js'
import { keepHouse } from '../../src/jobs/housekeeping.js'
import { type Actor, dataOf, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

const people = [
  ['First name', 'Last name', 'E-mail', 'Birth date'],
  ['Grace', 'Hopper', 'grace@example.com', '1906-12-09'],
  ['Broken', 'Address, "quoted"', 'not-an-address', '1900-01-01'],
  ['Alan', 'Turing', 'alan@example.com', '1912-06-23'],
]

async function workbook(): Promise<Uint8Array<ArrayBuffer>> {
  const book = new ExcelJS.Workbook()
  book.addWorksheet('Lists', { state: 'hidden' }).addRows([['Colour'], ['red']])
  book.addWorksheet('Empty')
  book.addWorksheet('People').addRows([['Our people'], [], ...people])
  book.addWorksheet('Others').addRows([
    ['First name', 'E-mail'],
    ['Edsger', 'edsger@example.com'],
  ])
  return new Uint8Array((await book.xlsx.writeBuffer()) as ArrayBuffer)
}

const upload = `mutation ($input: FileUploadInput!) { fileUpload(input: $input) {
  file { id detection { format compression encoding delimiter headerRow sheet jsonPath estimatedRowCount
    sheets { name index hidden estimatedRowCount } columns { name kind samples } } }
  userErrors { code field message } } }`

test('a workbook shows its sheets, and the one that is read', async () => {
  const { fileUpload } = dataOf(await world.upload(ada, upload, {}, await workbook(), 'people.xlsx'))
  assert.deepEqual(fileUpload.userErrors, [])
  const { detection } = fileUpload.file
  assert.equal(detection.format, 'XLSX')
  assert.equal(detection.compression, 'NONE')
  assert.equal(detection.sheet, 'People')
  assert.deepEqual(
    detection.sheets.map((sheet: { name: string; hidden: boolean }) => [sheet.name, sheet.hidden]),
    [
      ['Lists', true],
      ['Empty', false],
      ['People', false],
      ['Others', false],
    ],
  )
  assert.equal(detection.headerRow, 3)
  assert.equal(detection.estimatedRowCount, 3)
  assert.deepEqual(
    detection.columns.map((column: { name: string }) => column.name),
    people[0],
  )
})

test('another sheet is read when it is named; one that is not there is refused with the names of all', async () => {
  const bytes = await workbook()
  const { fileUpload } = dataOf(await world.upload(ada, upload, { source: { sheet: 'others' } }, bytes))
  assert.equal(fileUpload.file.detection.sheet, 'Others')
  const refused = dataOf(await world.upload(ada, upload, { source: { sheet: 'Nobody' } }, bytes)).fileUpload
  assert.equal(refused.file, null)
  assert.equal(refused.userErrors[0].code, 'INVALID_INPUT')
  assert.match(refused.userErrors[0].message, /"Lists" \(hidden\), "Empty", "People", "Others"/)
})

const runQuery = `query ($id: ID!) { importRun(id: $id) { status statusReason { code message }
  counts { total created failed }
  rows(first: 10) { nodes { rowNumber outcome cells { column value } } }
  files { kind name format rowCount url } } }`

test('a workbook is imported; its failed rows come back with their cells and as a CSV file', async () => {
  const id = await world.import(ada, 'CONTACT', await workbook())
  const { importRun: run } = await world.ask(ada, runQuery, { id })
  assert.equal(run.status, 'COMPLETED_WITH_ERRORS', JSON.stringify(run.statusReason))
  assert.deepEqual(run.counts, { total: 3, created: 2, failed: 1 })
  const failed = run.rows.nodes.find(({ outcome }: { outcome: string }) => outcome === 'FAILED')
  assert.equal(failed.rowNumber, 5, 'as the spreadsheet numbers it')
  assert.deepEqual(
    failed.cells.map(({ value }: { value: string }) => value),
    people[2],
  )
  const [source, file] = run.files
  assert.equal(source.format, 'XLSX')
  assert.equal(file.kind, 'FAILED_ROWS')
  const text = await (await fetch(file.url)).text()
  assert.match(text, /^\uFEFF?First name,Last name,E-mail,Birth date,_portage_row,_portage_errors\n/)
  assert.match(text, /\nBroken,"Address, ""quoted""",not-an-address,1900-01-01,5,/)
})

test('the rows that a file was turned into go when the file goes', async () => {
  const csv = people.map((row) => row.slice(0, 2).join(',')).join('\n')
  const id = await world.import(ada, 'CONTACT', new Uint8Array(gzipSync(csv)))
  const rowFiles = () =>
    world.oracle.query<{ storage_key: string }>('select storage_key from run_file where run_id = $1', [
      decodeId('run', id),
    ])
  const [made] = (await rowFiles()).rows
  const files = localFileStore(join(world.dataDir, 'files'))
  assert.ok((await files.stat(made?.storage_key ?? '')) !== null)
  await world.oracle.query(
    `update source_file set expires_at = now() - interval '1 day' where id = (select source_file_id from run where id = $1)`,
    [decodeId('run', id)],
  )
  const lane = await Lane.open(laneOptions(world.db.workerUrl, 'portage test'))
  try {
    await keepHouse(lane, files, world.config)
  } finally {
    await lane.close()
  }
  assert.equal((await rowFiles()).rows.length, 0)
  assert.equal(await files.stat(made?.storage_key ?? ''), null)
})

test('what cannot be read is refused in words, whatever it is called', async () => {
  const refusals = [
    [gzipSync(gzipSync('a,b\n1,2\n')), 'FILE_UNSAFE', /another archive/],
    [gzipSync(Buffer.alloc(64 * 1024 * 1024)), null, /./],
    [Buffer.from('504b0304140000000800', 'hex'), 'FILE_UNREADABLE', /./],
    [Buffer.from('%PDF-1.7\n1 0 obj\n'), 'FILE_TYPE_UNSUPPORTED', /PDF/],
  ] as const
  for (const [bytes, code, message] of refusals) {
    const { fileUpload } = dataOf(await world.upload(ada, upload, {}, new Uint8Array(bytes), 'people.csv'))
    assert.equal(fileUpload.file, null)
    const [error] = fileUpload.userErrors
    assert.match(error.message, message)
    if (code !== null) {
      assert.equal(error.code, code)
    }
  }
})
