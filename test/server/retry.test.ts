/** Failed rows, corrected and tried again, as a person does it through the API. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { parse } from 'csv-parse/sync'
import ExcelJS from 'exceljs'
import { decodeId } from '../../src/ids.js'
import { type Actor, dataOf, type Json, World } from './world.js'

let world: World

before(async () => {
  world = await World.start()
})
after(() => world.close())

const mapping = [
  { column: 'Id', field: 'externalId' },
  { column: 'First', field: 'firstName' },
  { column: 'Mail', field: 'email' },
]

const people = `Id,First,Mail,Note
1,Ada,ada@example.com,a
2,Bob,bob at example,b
3,Cleo,cleo@example.com,c
4,Dan,dan,d
5,Eve,eve@example,e
`

const key = () => randomBytes(8).toString('hex')

const payload = 'importRun { id status parent { id } } userErrors { code field message }'
const retryMutation = `mutation ($input: ImportRetryFailedInput!) { importRetryFailed(input: $input) { ${payload} } }`
const fixMutation = `mutation ($input: ImportRowsFixInput!) { importRowsFix(input: $input) { ${payload} } }`

const stateQuery = `query ($id: ID!) { importRun(id: $id) {
  status availableActions parent { id } children { id status }
  counts { total created updated unchanged skipped failed unprocessed deleted reverted kept }
  issueGroups { code column count sampleValues message suggestion }
  issues(first: 50) { totalCount nodes { rowNumber code suggestion } }
  rows(first: 50) { totalCount nodes { rowNumber outcome recordId changes { field after } issues { code } cells { column value } } }
  files { kind name url rowCount } } }`

async function state(actor: Actor, id: string): Promise<Json> {
  return (await world.ask(actor, stateQuery, { id })).importRun
}

async function newcomer(): Promise<Actor> {
  return world.actor(await world.tenant())
}

async function imported(actor: Actor, csv = people, options: object = {}): Promise<string> {
  return world.import(actor, 'CONTACT', csv, options, { mapping })
}

async function fix(actor: Actor, runId: string, rows: object, idempotencyKey = key()): Promise<Json> {
  return (await world.ask(actor, fixMutation, { input: { runId, rows, idempotencyKey } })).importRowsFix
}

async function retry(
  actor: Actor,
  runId: string,
  file: string | Uint8Array<ArrayBuffer> | null,
  idempotencyKey = key(),
) {
  const input = { runId, idempotencyKey }
  return file === null
    ? (await world.ask(actor, retryMutation, { input })).importRetryFailed
    : dataOf(await world.upload(actor, retryMutation, input, file, 'corrected.csv')).importRetryFailed
}

/** Waits for a retry that must have been started, and answers its id. */
async function ended(actor: Actor, { importRun, userErrors }: Json): Promise<string> {
  assert.deepEqual(userErrors, [])
  await world.rested(actor, importRun.id)
  return importRun.id
}

async function failedRowsOf(actor: Actor, id: string, kind = 'FAILED_ROWS'): Promise<string> {
  const { files } = await state(actor, id)
  const file = files.find((each: Json) => each.kind === kind)
  assert.ok(file, `there is a file ${kind}`)
  const response = await fetch(file.url)
  assert.equal(response.status, 200)
  return response.text()
}

async function contacts(actor: Actor): Promise<string[]> {
  const { contacts: found } = await world.ask(
    actor,
    '{ contacts(first: 100) { nodes { externalId firstName email version } } }',
  )
  return found.nodes
    .map((each: Json) => `${each.externalId} ${each.firstName} ${each.email} v${each.version}`)
    .toSorted()
}

/** Sums of a run's counters, which must give its total. */
function conserved({ counts }: Json): void {
  const { total, created, updated, unchanged, skipped, failed, unprocessed, deleted } = counts
  assert.equal(created + updated + unchanged + skipped + failed + unprocessed + deleted, total)
}

const corrected = (csv: string) =>
  csv
    .replace('bob at example', 'bob@example.com')
    .replace(',dan,', ',dan@example.com,')
    .replace('eve@example,', 'eve@example.com,')

test('a corrected file of failed rows is applied and leaves no failed row behind', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const before = await state(actor, id)
  assert.equal(before.status, 'COMPLETED_WITH_ERRORS')
  assert.equal(before.counts.failed, 3)
  assert.deepEqual(before.availableActions, ['RETRY_FAILED', 'ROLL_BACK', 'DOWNLOAD'])
  const [group] = before.issueGroups
  assert.deepEqual([group.code, group.column, group.count], ['INVALID_EMAIL', 'Mail', 3])
  assert.deepEqual(group.sampleValues, ['bob at example', 'dan', 'eve@example'])
  assert.match(group.suggestion, /./)
  const childId = await ended(actor, await retry(actor, id, corrected(await failedRowsOf(actor, id))))
  const child = await state(actor, childId)
  assert.equal(child.status, 'COMPLETED')
  assert.equal(child.counts.created, 3)
  assert.equal(child.parent.id, id)
  assert.deepEqual(
    child.rows.nodes.map(({ rowNumber, outcome }: Json) => `${rowNumber} ${outcome}`),
    ['3 CREATED', '5 CREATED', '6 CREATED'],
    'rows keep their numbers',
  )
  const parent = await state(actor, id)
  conserved(parent)
  assert.deepEqual(parent.children, [{ id: childId, status: 'COMPLETED' }])
  assert.equal(parent.status, 'COMPLETED')
  assert.deepEqual([parent.counts.created, parent.counts.failed], [5, 0])
  assert.deepEqual([parent.issueGroups, parent.issues.totalCount], [[], 0])
  assert.deepEqual(parent.availableActions, [], 'the retry has to be undone before')
  assert.deepEqual(
    parent.rows.nodes.map(({ rowNumber, outcome }: Json) => `${rowNumber} ${outcome}`),
    ['2 CREATED', '3 CREATED', '4 CREATED', '5 CREATED', '6 CREATED'],
  )
  assert.ok(parent.rows.nodes.every(({ recordId }: Json) => recordId !== null))
  assert.deepEqual(
    parent.files.map(({ kind }: Json) => kind),
    ['SOURCE'],
  )
  assert.deepEqual(await contacts(actor), [
    '1 Ada ada@example.com v1',
    '2 Bob bob@example.com v1',
    '3 Cleo cleo@example.com v1',
    '4 Dan dan@example.com v1',
    '5 Eve eve@example.com v1',
  ])
})

test('a file that went through a spreadsheet, sorted otherwise and with a column of notes, is taken too', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const [header = [], ...rows] = parse(corrected(await failedRowsOf(actor, id)), { bom: true }) as string[][]
  const book = new ExcelJS.Workbook()
  const sheet = book.addWorksheet('Failed')
  sheet.addRow([...header, 'done by'])
  rows.toReversed().forEach((row) => sheet.addRow([...row, 'Zoe']))
  const bytes = new Uint8Array((await book.xlsx.writeBuffer()) as ArrayBuffer)
  await ended(actor, await retry(actor, id, bytes))
  assert.equal((await state(actor, id)).counts.failed, 0)
  assert.equal((await contacts(actor)).length, 5)
})

test('rows that are not in the file, or wrong again, stay failed, and the next file holds only them', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const first = await failedRowsOf(actor, id)
  const lines = first.split('\n')
  const part = [lines[0], lines[1]?.replace('bob at example', 'bob@example.com'), lines[2], ''].join('\n')
  const childId = await ended(actor, await retry(actor, id, part))
  const child = await state(actor, childId)
  assert.deepEqual([child.counts.total, child.counts.created, child.counts.failed], [2, 1, 1])
  const parent = await state(actor, id)
  conserved(parent)
  assert.deepEqual([parent.status, parent.counts.failed, parent.issues.totalCount], ['COMPLETED_WITH_ERRORS', 2, 2])
  const rest = await failedRowsOf(actor, id)
  assert.ok(!rest.includes('Bob') && rest.includes('Dan') && rest.includes('Eve'))
  assert.equal(parent.files.find(({ kind }: Json) => kind === 'FAILED_ROWS').rowCount, 2)
  const stored = await world.oracle.query(
    "select count(*)::int as n from run_file where kind = 'FAILED_ROWS' and run_id = $1",
    [decodeId('run', id)],
  )
  assert.equal(stored.rows[0].n, 1)
  await ended(actor, await retry(actor, id, corrected(rest)))
  assert.equal((await state(actor, id)).status, 'COMPLETED')
  assert.equal((await state(actor, childId)).counts.failed, 0, 'the retry in between knows of it as well')
})

test('cells of failed rows are corrected in place, and a row that is still wrong can be corrected where it stands then', async () => {
  const actor = await newcomer()
  const id = await imported(actor, people, { matchOn: [] })
  const first = await ended(
    actor,
    await fix(actor, id, [
      {
        rowNumber: 5,
        cells: [
          { column: 'Mail', value: 'still wrong' },
          { column: 'First', value: 'Daniel' },
        ],
      },
      { rowNumber: 3, cells: [{ column: 'Mail', value: 'bob@example.com' }] },
    ]),
  )
  assert.deepEqual([(await state(actor, first)).counts.created, (await state(actor, id)).counts.failed], [1, 2])
  await ended(actor, await fix(actor, first, [{ rowNumber: 5, cells: [{ column: 'Mail', value: 'dan@example.com' }] }]))
  const [parent, child] = [await state(actor, id), await state(actor, first)]
  conserved(parent)
  conserved(child)
  assert.deepEqual([parent.counts.failed, child.counts.failed, child.status], [1, 0, 'COMPLETED'])
  assert.ok((await contacts(actor)).includes('4 Daniel dan@example.com v1'), 'both corrections count')
  assert.equal((await fix(actor, first, [{ rowNumber: 5, cells: [] }])).userErrors[0].code, 'INVALID_STATE')
})

test('failed rows are tried again as they were when the cause is gone', async () => {
  const actor = await newcomer()
  await world.import(actor, 'CONTACT', 'Mail\nann@example.com\n', {}, { mapping: [{ column: 'Mail', field: 'email' }] })
  const csv = 'Subject,Person\nCall,ann@example.com\nVisit,zoe@example.com\n'
  const activity = [
    { column: 'Subject', field: 'subject' },
    { column: 'Person', field: 'contact.email' },
  ]
  const id = await world.import(
    actor,
    'ACTIVITY',
    csv,
    { onMissingRelation: 'FAIL_ROW' },
    {
      mapping: [...activity, { constant: 'TASK', field: 'type' }],
    },
  )
  const before = await state(actor, id)
  assert.equal(before.counts.failed, 1, JSON.stringify(before.issueGroups))
  const none = await ended(actor, await retry(actor, id, null))
  assert.equal((await state(actor, none)).counts.failed, 1)
  await world.import(actor, 'CONTACT', 'Mail\nzoe@example.com\n', {}, { mapping: [{ column: 'Mail', field: 'email' }] })
  await ended(actor, await retry(actor, id, null))
  const parent = await state(actor, id)
  assert.deepEqual([parent.counts.failed, parent.counts.created, parent.status], [0, 2, 'COMPLETED'])
})

test('what cannot be is refused clearly and leaves nothing behind', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const file = await failedRowsOf(actor, id)
  const kept = await world.oracle.query('select count(*)::int as n from source_file where tenant_id = $1', [
    actor.tenantId,
  ])
  for (const [content, code, message] of [
    [file.replace(',3,Mail', ',2,Mail'), 'INVALID_INPUT', /Row 2 has not failed/],
    [file.replace(',3,Mail', ',77,Mail'), 'INVALID_INPUT', /Row 77 has not failed/],
    [file.replace(',3,Mail', ',5,Mail'), 'INVALID_INPUT', /Row 5 stands in the file twice/],
    [file.replace(',3,Mail', ',three,Mail'), 'INVALID_INPUT', /no number of a row/],
    [file.replace('Mail,', 'E-mail,'), 'UNKNOWN_COLUMN', /"E-mail"/],
    [file.replace('_portage_row', 'Row'), 'INVALID_INPUT', /_portage_row/],
    ['', 'FILE_EMPTY', /empty/],
  ] as const) {
    const { userErrors, importRun } = await retry(actor, id, content)
    assert.equal(importRun, null, content)
    assert.equal(userErrors[0].code, code, JSON.stringify(userErrors))
    assert.match(userErrors[0].message, message)
  }
  for (const [rows, code] of [
    [[], 'INVALID_INPUT'],
    [[{ rowNumber: 3, cells: [{ column: 'Nope', value: 'x' }] }], 'UNKNOWN_COLUMN'],
    [[{ rowNumber: 2, cells: [] }], 'INVALID_INPUT'],
    [
      [
        { rowNumber: 3, cells: [] },
        { rowNumber: 3, cells: [] },
      ],
      'INVALID_INPUT',
    ],
  ] as const) {
    assert.equal((await fix(actor, id, rows)).userErrors[0].code, code)
  }
  const good = await imported(actor, 'Id,First,Mail\n9,Zed,zed@example.com\n')
  assert.equal((await retry(actor, good, null)).userErrors[0].code, 'INVALID_STATE')
  const left = await world.oracle.query('select count(*)::int as n from source_file where tenant_id = $1', [
    actor.tenantId,
  ])
  assert.equal(left.rows[0].n, kept.rows[0].n + 1)
  assert.deepEqual((await state(actor, id)).children, [])
})

test('a neighbour finds nothing to try again, and it needs the permission to import', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const neighbour = await newcomer()
  for (const answer of [await retry(neighbour, id, null), await fix(neighbour, id, [{ rowNumber: 3, cells: [] }])]) {
    assert.deepEqual([answer.importRun, answer.userErrors[0].code], [null, 'NOT_FOUND'])
  }
  const reader = await world.actor(actor.tenantId, ['RECORD_READ', 'PII_READ', 'ROLLBACK_RUN'])
  const answer = await world.run(reader, retryMutation, { input: { runId: id, idempotencyKey: key() } })
  assert.equal(answer.errors[0]?.extensions.code, 'FORBIDDEN')
})

test('a repeated call answers the first one, and of two at once one is refused', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const file = corrected(await failedRowsOf(actor, id))
  const again = key()
  const first = await retry(actor, id, file, again)
  await ended(actor, first)
  assert.equal((await retry(actor, id, file, again)).importRun.id, first.importRun.id)
  assert.equal((await retry(actor, id, `${file}\n`, again)).userErrors[0].code, 'IDEMPOTENCY_KEY_REUSED')

  const other = await newcomer()
  const otherId = await imported(other)
  const answers = await Promise.all([
    retry(other, otherId, file),
    retry(other, otherId, file),
    retry(other, otherId, null),
  ])
  const started = answers.filter(({ importRun }) => importRun !== null)
  const meanwhile = await state(other, otherId)
  if (meanwhile.children.some(({ status }: Json) => !status.startsWith('COMPLETED'))) {
    assert.deepEqual(meanwhile.availableActions, ['DOWNLOAD'])
  }
  for (const answer of started) {
    await ended(other, answer)
  }
  // One that came when the first had ended finds other rows, or none.
  assert.ok(
    started.length >= 1 &&
      answers.every(
        ({ userErrors }) =>
          userErrors.length === 0 || userErrors[0].code === 'INVALID_STATE' || userErrors[0].code === 'INVALID_INPUT',
      ),
    JSON.stringify(answers),
  )
  conserved(await state(other, otherId))
  const rows = await contacts(other)
  assert.equal(rows.length, new Set(rows).size)
  assert.ok(
    rows.every((row) => row.endsWith('v1')),
    'no row was applied twice',
  )
})

async function rollBack(actor: Actor, runId: string): Promise<Json> {
  const { runRollback } = await world.ask(
    actor,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { code message } } }',
    { input: { runId, idempotencyKey: key() } },
  )
  if (runRollback.rollbackRun !== null) {
    await world.rested(actor, runRollback.rollbackRun.id)
  }
  return runRollback
}

test('undoing a retry opens its rows again; the first import is undone after its retries', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const file = corrected(await failedRowsOf(actor, id))
  const childId = await ended(actor, await retry(actor, id, file))
  assert.equal((await state(actor, id)).status, 'COMPLETED')
  const refused = await rollBack(actor, id)
  assert.equal(refused.userErrors[0].code, 'INVALID_STATE')
  assert.match(refused.userErrors[0].message, /Roll those back first/)
  assert.deepEqual((await state(actor, id)).availableActions, [])
  assert.deepEqual((await state(actor, childId)).availableActions, ['ROLL_BACK'])
  assert.deepEqual((await rollBack(actor, childId)).userErrors, [])
  const opened = await state(actor, id)
  assert.deepEqual(opened.availableActions, ['RETRY_FAILED', 'ROLL_BACK', 'DOWNLOAD'])
  conserved(opened)
  assert.deepEqual([opened.status, opened.counts.created, opened.counts.failed], ['COMPLETED_WITH_ERRORS', 2, 3])
  assert.equal(opened.issues.totalCount, 3, 'and what was wrong with them is told again')
  assert.equal((await contacts(actor)).length, 2)
  assert.equal((await state(actor, childId)).status, 'ROLLED_BACK')

  const second = await ended(actor, await retry(actor, id, file))
  assert.equal((await state(actor, id)).counts.failed, 0)
  await rollBack(actor, second)
  assert.deepEqual((await rollBack(actor, id)).userErrors, [])
  const undone = await state(actor, id)
  assert.deepEqual([undone.status, undone.counts.reverted], ['ROLLED_BACK', 2])
  assert.deepEqual(await contacts(actor), [])
  assert.equal((await retry(actor, id, file)).userErrors[0].code, 'INVALID_STATE')
})

test('a retry of an import that has been undone since is no longer good for another one', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const childId = await ended(actor, await retry(actor, id, null))
  assert.equal((await state(actor, childId)).counts.failed, 3)
  assert.deepEqual((await rollBack(actor, id)).userErrors, [])
  assert.deepEqual((await state(actor, childId)).availableActions, ['DOWNLOAD'])
  const refused = await retry(actor, childId, null)
  assert.equal(refused.userErrors[0].code, 'INVALID_STATE')
  assert.match(refused.userErrors[0].message, /ROLLED_BACK/)
})

test('of a retry that is undone only in part the rest stays applied', async () => {
  const actor = await newcomer()
  const id = await imported(actor)
  const childId = await ended(actor, await retry(actor, id, corrected(await failedRowsOf(actor, id))))
  const { contacts: found } = await world.ask(actor, '{ contacts(first: 100) { nodes { id externalId version } } }')
  const bob = found.nodes.find((each: Json) => each.externalId === '2')
  const { recordUpdate } = await world.ask(
    actor,
    'mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { userErrors { code message } } }',
    {
      input: {
        recordType: 'CONTACT',
        id: bob.id,
        version: bob.version,
        fields: [{ field: 'firstName', value: 'Robert' }],
      },
    },
  )
  assert.deepEqual(recordUpdate.userErrors, [])
  await rollBack(actor, childId)
  assert.equal((await state(actor, childId)).status, 'ROLLED_BACK_WITH_CONFLICTS')
  const parent = await state(actor, id)
  conserved(parent)
  assert.deepEqual([parent.counts.created, parent.counts.failed], [3, 2])
  await rollBack(actor, id)
  assert.deepEqual(
    (await contacts(actor)).map((row) => row.slice(0, 8)),
    ['2 Robert'],
  )
})

test('rows that a stopped import had not come to are a file that can be imported', async () => {
  const actor = await newcomer()
  const id = await imported(actor, people, { onInvalidRow: 'FAIL_RUN' })
  const stopped = await state(actor, id)
  assert.equal(stopped.status, 'FAILED')
  assert.equal(stopped.counts.unprocessed, 3)
  const rest = await failedRowsOf(actor, id, 'UNPROCESSED_ROWS')
  const [header, ...rows] = parse(rest, { bom: true }) as string[][]
  assert.deepEqual(header, ['Id', 'First', 'Mail', 'Note', '_portage_row'])
  assert.deepEqual(
    rows.map((row) => row.join()),
    ['3,Cleo,cleo@example.com,c,4', '4,Dan,dan,d,5', '5,Eve,eve@example,e,6'],
  )
  assert.deepEqual(
    stopped.files.map(({ kind, rowCount }: Json) => `${kind} ${rowCount}`),
    ['SOURCE 5', 'FAILED_ROWS 1', 'UNPROCESSED_ROWS 3'],
  )
})

test('a file of failed rows that is imported like any other is mapped as its rows were', async () => {
  const actor = await newcomer()
  const odd = 'A,B,C\n1,Ada,ada@example.com\n2,Bob,bob at example\n'
  const id = await world.import(
    actor,
    'CONTACT',
    odd,
    {},
    {
      mapping: [
        { column: 'A', field: 'externalId' },
        { column: 'B', field: 'lastName' },
        { column: 'C', field: 'email' },
      ],
    },
  )
  const file = (await failedRowsOf(actor, id)).replace('bob at example', 'bob@example.com')
  const again = await world.import(actor, 'CONTACT', file)
  assert.deepEqual([(await state(actor, again)).status, (await state(actor, again)).counts.created], ['COMPLETED', 1])
  assert.equal((await state(actor, id)).counts.failed, 1, 'only a retry closes rows')
})
