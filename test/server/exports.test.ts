import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { makeLink } from '../../src/access/links.js'
import type { Permission } from '../../src/access/permissions.js'
import { decodeId } from '../../src/ids.js'
import { EXPORT_PREVIEW_ROWS_MAX, LINK_SECONDS } from '../../src/limits.js'
import { SocketClient } from './socket-client.js'
import { type Actor, type Json, World } from './world.js'

let world: World
let ada: Actor
let contacts: string

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant())
  contacts = await world.import(ada, 'CONTACT', people, {}, { mapping })
})
after(() => world.close())

const people = `First,Last,Mail,City,Born
Grace,Hopper,grace@example.com,Arlington,1906-12-09
Alan,Turing,alan@example.com,=Wilmslow,1912-06-23
Käthe,Müller,kaethe@example.com,,1990-02-28
`
const mapping = [
  { column: 'First', field: 'firstName' },
  { column: 'Last', field: 'lastName' },
  { column: 'Mail', field: 'email' },
  { column: 'City', field: 'city' },
  { column: 'Born', field: 'birthDate' },
]

const runFields = `id kind status statusReason { code message } counts { total read unprocessed failed } recordType format snapshotAt
  createdBy availableActions leftOutFields files { kind name format byteSize rowCount sha256 url urlExpiresAt }`

const createMutation = `mutation ($input: ExportCreateInput!) { exportCreate(input: $input) {
  exportRun { ${runFields} } userErrors { code field message } } }`

const names = [{ field: 'firstName' }, { field: 'lastName' }]

async function create(actor: Actor, input: object): Promise<Json> {
  const { exportCreate } = await world.ask(actor, createMutation, {
    input: { recordType: 'CONTACT', idempotencyKey: randomBytes(8).toString('hex'), ...input },
  })
  return exportCreate
}

/** An export at its end. */
async function exported(actor: Actor, input: object): Promise<Json> {
  const { exportRun, userErrors } = await create(actor, input)
  assert.deepEqual(userErrors, [])
  await world.rested(actor, exportRun.id)
  return read(actor, exportRun.id)
}

async function read(actor: Actor, id: string): Promise<Json> {
  const answer = await world.ask(actor, `query ($id: ID!) { exportRun(id: $id) { ${runFields} } }`, { id })
  return answer.exportRun
}

async function refusal(actor: Actor, input: object): Promise<Json> {
  const { exportRun, userErrors } = await create(actor, input)
  assert.equal(exportRun, null)
  assert.equal(userErrors.length, 1)
  return userErrors[0]
}

async function download(run: Json): Promise<Buffer> {
  const [file] = run.files
  const answer = await fetch(file.url)
  assert.equal(answer.status, 200)
  const bytes = Buffer.from(await answer.arrayBuffer())
  assert.equal(bytes.length, file.byteSize)
  assert.equal(createHash('sha256').update(bytes).digest('hex'), file.sha256)
  return bytes
}

async function preview(actor: Actor, input: object, first?: number): Promise<Json[]> {
  const { exportPreview } = await world.ask(
    actor,
    `query ($input: ExportCreateInput!, $first: Int) { exportPreview(input: $input, first: $first) {
       rowNumber cells { column value } values { key value } issues { code } } }`,
    { input: { recordType: 'CONTACT', idempotencyKey: '', ...input }, first },
  )
  return exportPreview
}

const byLastName = [{ field: 'lastName', direction: 'ASC' }]

test('an export is a run that ends with a file of exactly what was asked for', async () => {
  const run = await exported(ada, {
    filter: { where: { field: 'city', operator: 'IS_NOT_NULL' } },
    orderBy: byLastName,
    columns: [
      { field: 'lastName', header: 'Name' },
      { field: 'city' },
      { field: 'birthDate', header: 'Born', format: 'dd.MM.yyyy' },
    ],
    format: { delimiter: ';' },
    fileName: 'My people',
  })
  assert.equal(run.status, 'COMPLETED', JSON.stringify(run.statusReason))
  assert.deepEqual(run.counts, { total: 2, read: 2, unprocessed: 0, failed: 0 })
  assert.deepEqual([run.kind, run.recordType, run.format], ['EXPORT', 'CONTACT', 'CSV'])
  assert.deepEqual(run.availableActions, ['DOWNLOAD'])
  assert.ok(Date.parse(run.snapshotAt) > Date.now() - 60_000)
  const [file, ...others] = run.files
  assert.deepEqual(others, [])
  assert.deepEqual([file.kind, file.name, file.format, file.rowCount], ['RESULT', 'My people.csv', 'CSV', 2])
  assert.equal(
    (await download(run)).toString(),
    "Name;city;Born\r\nHopper;Arlington;09.12.1906\r\nTuring;'=Wilmslow;23.06.1912\r\n",
  )
  const head = await fetch(file.url, { method: 'HEAD' })
  assert.equal(head.headers.get('etag'), `"${file.sha256}"`)
  assert.equal(head.headers.get('content-type'), 'text/csv')
  assert.match(head.headers.get('content-disposition') ?? '', /^attachment; filename="My people\.csv"/)
})

test('runs, node and events know exports like every run', async () => {
  const run = await exported(ada, { columns: names })
  const { runs, node, importRun } = await world.ask(
    ada,
    `query ($id: ID!) { runs(first: 1, kinds: [EXPORT]) { nodes { id kind ... on ExportRun { format } } }
       node(id: $id) { id ... on ExportRun { recordType } } importRun(id: $id) { id } }`,
    { id: run.id },
  )
  assert.deepEqual(runs.nodes, [{ id: run.id, kind: 'EXPORT', format: 'CSV' }])
  assert.deepEqual(node, { id: run.id, recordType: 'CONTACT' })
  assert.equal(importRun, null)
  const { rows } = await world.oracle.query<{ body: Json }>(
    `select body from event where run_id = $1 and type = 'RunStatusChanged' order by sequence`,
    [decodeId('run', run.id)],
  )
  assert.deepEqual(
    rows.map(({ body }) => body.to),
    ['QUEUED', 'RUNNING', 'COMPLETED'],
  )
})

test('the same key starts one export, also when asked twice at once; other input is refused', async () => {
  const input = { columns: names, idempotencyKey: 'one export' }
  const answers = await Promise.all([0, 1, 2].map(() => create(ada, input)))
  assert.equal(new Set(answers.map(({ exportRun }) => exportRun.id)).size, 1)
  const other = await refusal(ada, { ...input, format: { format: 'JSON' } })
  assert.equal(other.code, 'IDEMPOTENCY_KEY_REUSED')
  // A refused call leaves its key unused.
  const key = { idempotencyKey: 'at last' }
  assert.equal((await refusal(ada, { columns: [{ field: 'shoe' }], ...key })).code, 'UNKNOWN_FIELD')
  assert.deepEqual((await create(ada, { columns: names, ...key })).userErrors, [])
})

test('what can never be right is refused before anything is started, with the path to it', async () => {
  const { rows: earlier } = await world.oracle.query('select count(*) from run')
  const cases: readonly (readonly [object, string, readonly string[], RegExp])[] = [
    [{ columns: [{ field: 'email' }, { field: 'shoeSize' }] }, 'UNKNOWN_FIELD', ['columns', '1'], /shoeSize/],
    [{ columns: [] }, 'INVALID_INPUT', ['columns'], /1/],
    [{ columns: [{ field: 'email' }, { field: 'email' }] }, 'INVALID_INPUT', ['columns', '1'], /email/],
    [{ columns: [{ field: 'city', format: 'dd.MM.yyyy' }] }, 'INVALID_INPUT', ['columns', '0'], /format/],
    [{ format: { delimiter: 'ab' } }, 'INVALID_INPUT', ['format', 'delimiter'], /delimiter/i],
    [{ format: { encoding: 'klingon' } }, 'INVALID_INPUT', ['format', 'encoding'], /klingon/],
    [{ format: { dateFormat: 'sometimes' } }, 'INVALID_INPUT', ['format', 'dateFormat'], /pattern/],
    [{ format: { timeZone: 'Mars/Olympus' } }, 'INVALID_INPUT', ['format', 'timeZone'], /Mars/],
    [{ format: { decimalSeparator: ';' } }, 'INVALID_INPUT', ['format', 'decimalSeparator'], /comma/],
    [{ format: { compression: 'ZIP' } }, 'INVALID_INPUT', ['format', 'compression'], /GZIP/],
    [{ filter: { where: { field: 'nope', operator: 'EQ', value: '' } } }, 'UNKNOWN_FIELD', ['filter'], /nope/],
    [{ filter: {} }, 'INVALID_INPUT', ['filter'], /./],
    [{ orderBy: [{ field: 'nope' }] }, 'UNKNOWN_FIELD', ['orderBy', '0', 'field'], /nope/],
    [{ templateId: contacts }, 'NOT_FOUND', ['templateId'], /template/],
  ]
  for (const [input, code, field, message] of cases) {
    const error = await refusal(ada, input)
    assert.deepEqual([error.code, error.field], [code, field], JSON.stringify(input))
    assert.match(error.message, message)
  }
  const { rows: later } = await world.oracle.query('select count(*) from run')
  assert.deepEqual(later, earlier)
})

test('a record is found again by the id that stands in its file', async () => {
  const [, line = ''] = (
    await download(await exported(ada, { columns: [{ field: 'id' }, ...names], orderBy: byLastName }))
  )
    .toString()
    .split('\r\n')
  const [uuid] = line.split(',')
  const filter = { where: { field: 'id', operator: 'EQ', value: uuid } }
  const { contacts: found } = await world.ask(
    ada,
    'query ($filter: RecordFilterInput) { contacts(filter: $filter) { nodes { id lastName } } }',
    { filter },
  )
  assert.deepEqual(
    found.nodes.map(({ lastName }: Json) => lastName),
    ['Hopper'],
  )
  const byId = { where: { field: 'id', operator: 'IN', values: [found.nodes[0].id] } }
  assert.deepEqual(await preview(ada, { filter, columns: names }), await preview(ada, { filter: byId, columns: names }))
})

test('each format is written, and packed where it is asked for', async () => {
  const input = { columns: names, orderBy: byLastName }
  const json = await exported(ada, { ...input, format: { format: 'JSON' } })
  assert.deepEqual(JSON.parse((await download(json)).toString()), [
    { firstName: 'Grace', lastName: 'Hopper' },
    { firstName: 'Käthe', lastName: 'Müller' },
    { firstName: 'Alan', lastName: 'Turing' },
  ])
  const packed = await exported(ada, { ...input, format: { format: 'NDJSON', compression: 'GZIP' } })
  assert.match(packed.files[0].name, /\.ndjson\.gz$/)
  assert.equal(
    gunzipSync(await download(packed))
      .toString()
      .trim()
      .split('\n').length,
    3,
  )
  const latin = await exported(ada, { ...input, format: { encoding: 'windows-1252' } })
  assert.match((await download(latin)).toString('latin1'), /Käthe,Müller/)
})

test('a preview shows the first rows as the file has them, and starts nothing', async () => {
  const input = {
    orderBy: byLastName,
    columns: [{ field: 'city', header: 'Town' }, { field: 'birthDate' }],
    format: { dateFormat: 'dd/MM/yyyy', nullText: 'NULL' },
  }
  const { rows: earlier } = await world.oracle.query('select count(*) from run')
  const rows = await preview(ada, input)
  assert.deepEqual((await world.oracle.query('select count(*) from run')).rows, earlier)
  assert.deepEqual(
    rows.map(({ rowNumber, cells }) => [rowNumber, ...cells.map(({ value }: Json) => value)]),
    [
      [2, 'Arlington', '09/12/1906'],
      [3, 'NULL', '28/02/1990'],
      [4, "'=Wilmslow", '23/06/1912'],
    ],
  )
  assert.deepEqual(rows[1]?.values, [
    { key: 'city', value: null },
    { key: 'birthDate', value: '1990-02-28' },
  ])
  assert.equal(rows[2]?.values[0].value, '=Wilmslow')
  const csv = (await download(await exported(ada, input))).toString()
  const cells = rows.map(({ cells }) => cells.map(({ value }: Json) => value).join(','))
  assert.equal(csv, ['Town,birthDate', ...cells, ''].join('\r\n'))

  assert.equal((await preview(ada, input, 1)).length, 1)
  assert.equal((await preview(ada, { ...input, format: { format: 'JSON' } }, 1))[0]?.cells[1].value, '1906-12-09')
  for (const first of [0, -1, EXPORT_PREVIEW_ROWS_MAX + 1]) {
    const answer = await world.run(
      ada,
      'query ($first: Int) { exportPreview(input: { recordType: CONTACT, idempotencyKey: "" }, first: $first) { rowNumber } }',
      { first },
    )
    assert.match(answer.errors[0]?.extensions.code ?? '', /INVALID_INPUT|OPERATION_TOO_LARGE/, `${first}`)
  }
})

test('without PII_READ what is sensitive is left out, and says so; named it is refused [AR-6]', async () => {
  const permissions: readonly Permission[] = ['EXPORT_RUN', 'RECORD_READ']
  const eve = await world.actor(ada.tenantId, permissions, 'eve@example.com')
  const run = await exported(eve, { orderBy: [{ field: 'createdAt' }] })
  assert.equal(run.status, 'COMPLETED', JSON.stringify(run.statusReason))
  assert.ok(run.leftOutFields.includes('email') && run.leftOutFields.includes('birthDate'), run.leftOutFields)
  const csv = (await download(run)).toString()
  assert.match(csv, /Hopper/)
  assert.doesNotMatch(csv, /1906-|example\.com/)
  const [header = ''] = csv.split('\r\n')
  assert.ok(!header.split(',').includes('email'))
  assert.ok(header.startsWith('id,'))
  assert.deepEqual((await exported(ada, {})).leftOutFields, [])

  const cases: readonly (readonly [object, readonly string[]])[] = [
    [{ columns: [{ field: 'id' }, { field: 'email' }] }, ['columns', '1', 'field']],
    [{ columns: [{ field: 'organization.email' }] }, ['columns', '0', 'field']],
    [{ filter: { not: { where: { field: 'phone', operator: 'EQ', value: '1' } } } }, ['filter']],
    [{ orderBy: [{ field: 'id' }, { field: 'email' }] }, ['orderBy', '1', 'field']],
  ]
  for (const [input, field] of cases) {
    const error = await refusal(eve, input)
    assert.deepEqual([error.code, error.field], ['INVALID_INPUT', field], JSON.stringify(input))
    assert.match(error.message, /PII_READ/)
    const asked = await world.run(
      eve,
      'query ($input: ExportCreateInput!) { exportPreview(input: $input) { values { value } } }',
      { input: { recordType: 'CONTACT', idempotencyKey: '', ...input } },
    )
    assert.equal(asked.errors[0]?.extensions.code, 'INVALID_INPUT')
  }
  assert.doesNotMatch(JSON.stringify(await preview(eve, {})), /1906-|example\.com/)

  // The file of somebody who may see more is not offered.
  const whole = await exported(ada, { columns: [{ field: 'email' }] })
  const seen = await read(eve, whole.id)
  assert.deepEqual([seen.status, seen.files, seen.availableActions], ['COMPLETED', [], []])
  const importer = await world.actor(ada.tenantId, ['IMPORT_RUN', 'PII_READ'], 'ivan@example.com')
  const { run: theirs } = await world.ask(
    importer,
    'query ($id: ID!) { run(id: $id) { status files { url } availableActions } }',
    { id: whole.id },
  )
  assert.deepEqual(theirs, { status: 'COMPLETED', files: [], availableActions: [] })
})

test('who may not export is told so, before anything is looked at', async () => {
  const viewer = await world.actor(ada.tenantId, ['RECORD_READ', 'PII_READ', 'IMPORT_RUN'], 'vera@example.com')
  const answers = await Promise.all([
    world.run(viewer, createMutation, {
      input: { recordType: 'CONTACT', columns: [{ field: 'nope' }], idempotencyKey: '' },
    }),
    world.run(viewer, '{ exportPreview(input: { recordType: CONTACT, idempotencyKey: "" }) { rowNumber } }'),
    world.run(viewer, '{ exportTemplates { id } }'),
  ])
  for (const answer of answers) {
    assert.deepEqual(
      answer.errors.map(({ extensions }) => [extensions.code, extensions['permission']]),
      [['FORBIDDEN', 'EXPORT_RUN']],
    )
  }
})

test('a neighbour has nothing of it: no record, no run, no file', async () => {
  const neighbour = await world.actor(await world.tenant())
  const run = await exported(ada, { columns: names })
  assert.equal(await read(neighbour, run.id), null)
  const own = await exported(neighbour, {})
  assert.deepEqual(own.counts, { total: 0, read: 0, unprocessed: 0, failed: 0 })
  assert.equal((await download(own)).toString().split('\r\n').length, 2)
  assert.deepEqual(await preview(neighbour, {}), [])
  const { runCancel } = await world.ask(
    neighbour,
    'mutation ($input: RunInput!) { runCancel(input: $input) { userErrors { code } } }',
    { input: { runId: run.id } },
  )
  assert.deepEqual(runCancel.userErrors, [{ code: 'NOT_FOUND' }])
  // Signed by us, but for another tenant: there is no such file.
  const link = makeLink(
    world.config,
    { kind: 'result', tenantId: neighbour.tenantId, object: decodeId('run', run.id), actor: 'bob@example.com' },
    'people.csv',
  )
  assert.equal((await fetch(link.url)).status, 410)
})

test('the link of a file ends after minutes, its file after its retention; both say so', async () => {
  const run = await exported(ada, { columns: names })
  const [file] = run.files
  assert.ok(Math.abs(Date.parse(file.urlExpiresAt) - Date.now() - LINK_SECONDS * 1000) < 30_000)
  const target = {
    kind: 'result',
    tenantId: ada.tenantId,
    object: decodeId('run', run.id),
    actor: 'ada@example.com',
  } as const
  const old = makeLink(world.config, target, file.name, Date.now() - LINK_SECONDS * 1000)
  const ended = await fetch(old.url)
  assert.equal(ended.status, 410)
  assert.match(await ended.text(), /link has ended/)

  const part = await fetch(file.url, { headers: { range: 'bytes=0-8', 'if-range': `"${file.sha256}"` } })
  assert.equal(part.status, 206)
  assert.equal(await part.text(), 'firstName')

  await world.oracle.query("update run_file set expires_at = now() - interval '1 second' where run_id = $1", [
    target.object,
  ])
  const gone = await fetch(file.url)
  assert.equal(gone.status, 410)
  assert.match(await gone.text(), /no longer there/)
  const later = await read(ada, run.id)
  assert.deepEqual([later.files, later.availableActions], [[], []])
})

test('subscribers see an export from its beginning to its end', async () => {
  const socket = await SocketClient.open(world.url, ada.token)
  const { exportRun } = await create(ada, { columns: names })
  socket.subscribe(
    'export',
    'subscription ($id: ID!) { runEvents(runId: $id, minIntervalMs: 0) { __typename runId ... on RunStatusChanged { to } } }',
    { id: exportRun.id },
  )
  const statuses: string[] = []
  while (statuses.at(-1) !== 'COMPLETED') {
    const { runEvents } = (await socket.next(({ type }) => type === 'next')).payload.data
    assert.equal(runEvents.runId, exportRun.id)
    if (runEvents.__typename === 'RunStatusChanged') {
      statuses.push(runEvents.to)
    }
  }
  assert.deepEqual(statuses, ['QUEUED', 'RUNNING', 'COMPLETED'])
  socket.close()
})

test('a schedule that is due is exported by the worker, by itself', async () => {
  const { exportTemplateSave } = await world.ask(
    ada,
    `mutation { exportTemplateSave(input: { name: "By itself", recordType: CONTACT, columns: [{ field: "lastName" }], schedule: "0 6 * * *" }) {
       exportTemplate { id } userErrors { message } } }`,
  )
  const { id } = exportTemplateSave.exportTemplate
  await world.oracle.query("update export_template set next_run_at = now() - interval '1 minute' where id = $1", [
    decodeId('exportTemplate', id),
  ])
  await world.oracle.query('listen portage_events')
  let run: Json = null
  while (run === null) {
    const { node } = await world.ask(
      ada,
      'query ($id: ID!) { node(id: $id) { ... on ExportTemplate { lastRun { id } nextRunAt } } }',
      { id },
    )
    run = node.lastRun
    if (run === null) {
      // The notification may have been before: then the next look finds it.
      await once(world.oracle, 'notification', { signal: AbortSignal.timeout(250) }).catch(() => undefined)
    } else {
      assert.ok(Date.parse(node.nextRunAt) > Date.now())
    }
  }
  await world.rested(ada, run.id)
  assert.equal((await download(await read(ada, run.id))).toString().split('\r\n').length, 5)
})
