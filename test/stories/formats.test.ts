/** Every format: imported as CSV is, whatever interrupts the reading of the file or the making of its rows. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import ExcelJS from 'exceljs'
import iconv from 'iconv-lite'
import { type BookType, utils, write } from 'xlsx'
import { advanceRun } from '../../src/jobs/advance-run.js'
import { differences, eventFaults } from '../chaos/compare.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { contactsWithRepeats, newContacts, type TestFile, updatesOf } from '../helpers/files.js'
import { Random } from '../helpers/random.js'
import { zipOf } from '../helpers/zip-file.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 4711)
const ROWS = 600

/** Each format is stopped so often, over as many runs as that takes. */
const INTERRUPTIONS = 20
const RUNS_MAX = 4

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 30 })
})
after(async () => {
  await engine.close()
  await db.drop()
})

const file = contactsWithRepeats(seed, ROWS)

function table({ csv }: TestFile): string[][] {
  return parse(csv) as string[][]
}

async function xlsxOf(rows: readonly (readonly string[])[]): Promise<Uint8Array> {
  const book = new ExcelJS.Workbook()
  book.addWorksheet('Notes').state = 'hidden'
  const sheet = book.addWorksheet('Contacts')
  rows.forEach((row) => sheet.addRow([...row]))
  return new Uint8Array((await book.xlsx.writeBuffer()) as ArrayBuffer)
}

/** Rows as objects; an empty cell is null in one of them and missing in the next. */
function recordsOf([header, ...rows]: string[][]): string[] {
  return rows.map((row, index) => {
    const cells = row.map((cell, column) => [header?.[column] ?? '', cell === '' ? null : cell] as const)
    return JSON.stringify(Object.fromEntries(index % 2 === 0 ? cells : cells.filter(([, cell]) => cell !== null)))
  })
}

function sheetJs(bookType: BookType): Promise<Uint8Array> {
  const sheet = utils.aoa_to_sheet(table(file))
  const book = { SheetNames: ['Contacts'], Sheets: { Contacts: sheet } }
  return Promise.resolve(Buffer.from(write(book, { bookType, type: 'buffer', compression: true }) as Uint8Array))
}

interface Format {
  readonly make: () => Promise<Uint8Array>
  /** Said of the file where its bytes alone do not prove it: every character of it is ASCII. */
  readonly encoding?: string
}

const formats: Readonly<Record<string, Format>> = {
  CSV: { make: () => Promise.resolve(Buffer.from(file.csv)) },
  'CSV in GZIP': { make: () => Promise.resolve(gzipSync(file.csv)) },
  'CSV in ZIP': { make: () => Promise.resolve(zipOf([{ name: 'contacts.csv', data: Buffer.from(file.csv) }])) },
  'CSV in GB18030': { make: () => Promise.resolve(iconv.encode(file.csv, 'gb18030')), encoding: 'gb18030' },
  'CSV in Shift_JIS': { make: () => Promise.resolve(iconv.encode(file.csv, 'shift_jis')), encoding: 'shift_jis' },
  XLSX: { make: () => xlsxOf(table(file)) },
  XLS: { make: () => sheetJs('biff8') },
  XLSB: { make: () => sheetJs('xlsb') },
  ODS: { make: () => sheetJs('ods') },
  JSON: { make: () => Promise.resolve(Buffer.from(`{"data":[${recordsOf(table(file)).join(',')}]}`)) },
  NDJSON: { make: () => Promise.resolve(Buffer.from(recordsOf(table(file)).join('\n'))) },
}

/** A tenant with the contacts that the file updates. */
async function tenantWithContacts(): Promise<string> {
  const tenantId = await engine.tenant()
  await engine.import(tenantId, { type: 'contact', ...newContacts(seed, updatesOf(ROWS)) })
  return tenantId
}

/** Keys that the store has and nobody knows of. */
async function strays(tenantId: string): Promise<string[]> {
  const known = await engine.rows<{ key: string }>(
    `select storage_key as key from source_file where tenant_id = $1
     union all select storage_key from run_file where tenant_id = $1`,
    [tenantId],
  )
  const keys = new Set(known.map(({ key }) => key))
  const found: string[] = []
  for await (const page of engine.files.list(tenantId)) {
    found.push(...page.filter(({ key }) => !keys.has(key)).map(({ key }) => key))
  }
  return found
}

async function request({ make, encoding }: Format) {
  const source = encoding === undefined ? {} : { encoding }
  return { type: 'contact', map: file.map, csv: await make(), source } as const
}

/** Advances a run to its end, stopping it at random moments; answers how often it was stopped. */
async function advanceWithStops(run: { tenantId: string; runId: string }, random: Random): Promise<number> {
  let stops = 0
  for (let claims = 0; claims < 200; claims += 1) {
    await engine.rows("update run_wakeup set due_at = now() - interval '1 second' where run_id = $1", [run.runId])
    const stop = new AbortController()
    // Longer and longer, so that it gets somewhere.
    const timer = stops < INTERRUPTIONS ? setTimeout(() => stop.abort(), random.below(10 + stops * 8)) : null
    await advanceRun({ ...engine.context, stopping: stop.signal }, run)
    clearTimeout(timer ?? undefined)
    stops += stop.signal.aborted ? 1 : 0
    if ((await engine.rows('select 1 from run_wakeup where run_id = $1', [run.runId])).length === 0) {
      return stops
    }
  }
  throw new Error(`run ${run.runId} does not come to an end`)
}

const counts = new Map<string, string>()

for (const [name, format] of Object.entries(formats)) {
  test(`${name} is imported as its rows say, and the same when it is interrupted at 20 random moments`, async (t) => {
    const wanted = await request(format)
    const tenantId = await tenantWithContacts()
    const whole = await engine.import(tenantId, wanted)
    assert.equal(whole.counts.read, ROWS)
    assert.ok(whole.counts.created > 0 && whole.counts.updated > 0)
    counts.set(name, JSON.stringify(whole.counts))
    assert.equal(counts.get(name), counts.get('CSV'), 'the outcome of the same rows as CSV')
    const expected = { tenantId, runId: whole.id }

    let stops = 0
    let runs = 0
    for (; stops < INTERRUPTIONS && runs < RUNS_MAX; runs += 1) {
      const other = await tenantWithContacts()
      const run = { tenantId: other, runId: await engine.createRun(other, wanted) }
      stops += await advanceWithStops(run, new Random(seed + runs))
      assert.deepEqual(await differences(engine, 'contact', expected, run), [], `seed ${seed + runs}`)
      assert.deepEqual(await eventFaults(engine, other), [])
      assert.deepEqual(await strays(other), [], 'nothing half made is left')
    }
    t.diagnostic(`${stops} interruptions in ${runs} runs, seeds ${seed} to ${seed + runs - 1}`)
    assert.ok(stops >= INTERRUPTIONS, `only ${stops} interruptions in ${runs} runs`)
  })
}

test('another word about the file makes another row file, and the one before is removed', async () => {
  const tenantId = await engine.tenant()
  const csv = gzipSync('q;w,x1,x2\n1;2,k,l\n')
  const runId = await engine.createRun(tenantId, { type: 'contact', csv })
  const run = await engine.advance(tenantId, runId)
  assert.equal(run.status, 'AWAITING_MAPPING')
  const rowFile = () =>
    engine.rows<{ key: string; columns: string[] }>(
      `select storage_key as key, jsonb_path_query_array(detection, '$.columns[*].name') as columns from run_file where run_id = $1`,
      [runId],
    )
  const [before] = await rowFile()
  assert.deepEqual(before?.columns, ['q;w', 'x1', 'x2'])
  await engine.rows(
    `update run set source_options = '{"delimiter": ";"}', status = 'ANALYZING', evidence = null where id = $1`,
    [runId],
  )
  await engine.rows(`insert into run_wakeup (run_id, tenant_id) values ($1, $2) on conflict do nothing`, [
    runId,
    tenantId,
  ])
  await engine.advance(tenantId, runId)
  const [after] = await rowFile()
  assert.deepEqual(after?.columns, ['q', 'w,x1,x2'])
  assert.notEqual(after?.key, before?.key)
  assert.deepEqual(await strays(tenantId), [])
})

test('a file that does harm ends its run with a reason', async () => {
  const tenantId = await engine.tenant()
  const bomb = gzipSync(Buffer.concat([Buffer.from('a,b\n'), Buffer.alloc(32 * 1024 * 1024, 'x,y\n')]))
  const run = await engine.import(tenantId, { type: 'contact', csv: bomb })
  assert.equal(run.status, 'FAILED')
  assert.equal(run.statusReason?.code, 'FILE_UNSAFE')
  assert.deepEqual(await strays(tenantId), [])
})

test('an import goes on as its file was read when it was analyzed, whatever would be found in the file now', async () => {
  const tenantId = await engine.tenant()
  const runId = await engine.createRun(tenantId, {
    type: 'contact',
    csv: 'email;q,w\nann@a.example;1,2\nbob@b.example;3,4\n',
  })
  const run = { tenantId, runId }
  await advanceRun(engine.context, run)
  const [analyzed] = await engine.rows<{ status: string; delimiter: string }>(
    `select status, detection ->> 'delimiter' as delimiter from run where id = $1`,
    [runId],
  )
  assert.deepEqual(analyzed, { status: 'QUEUED', delimiter: ';' })
  // What a version with other heuristics would find.
  await engine.rows(`update source_file set source_options = '{"delimiter": ","}' where tenant_id = $1`, [tenantId])
  const ended = await engine.advance(tenantId, runId)
  assert.equal(ended.status, 'COMPLETED')
  assert.equal(ended.counts.created, 2)
})

test('a run whose row file is missing ends with a reason instead of reading the packed file as text', async () => {
  const tenantId = await engine.tenant()
  const runId = await engine.createRun(tenantId, { type: 'contact', csv: gzipSync('email,name\nann@a.example,Ann\n') })
  await advanceRun(engine.context, { tenantId, runId })
  await engine.rows('delete from run_file where run_id = $1', [runId])
  const ended = await engine.advance(tenantId, runId)
  assert.equal(ended.status, 'FAILED')
  assert.equal(ended.statusReason?.code, 'FILE_GONE')
})
