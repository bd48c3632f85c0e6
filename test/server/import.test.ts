import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
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

const people = `First name,Last name,E-mail,Phone,Birth date,External id,Owner
Grace,Hopper,grace@example.com,+1 212 555 0101,1906-12-09,1,
Alan,Turing,alan@example.com,,1912-06-23,2,
Broken,Address,not-an-address,,1900-01-01,3,
Edsger,Dijkstra,edsger@example.com,,1930-05-11,4,
`

const mapping = [
  { column: 'First name', field: 'firstName' },
  { column: 'Last name', field: 'lastName' },
  { column: 'E-mail', field: 'email' },
  { column: 'Phone', field: 'phone' },
  { column: 'Birth date', field: 'birthDate' },
  { column: 'External id', field: 'externalId' },
]

const runQuery = `query ($id: ID!) { importRun(id: $id) {
  id kind status recordType createdBy availableActions
  statusReason { code message retryable }
  counts { total read created updated unchanged skipped failed unprocessed reverted kept deleted }
  progress { fraction bytesRead bytesTotal }
  metrics { queuedMs runningMs chunks attempts stages { stage ms } }
  mapping { columns { column columnIndex field confidence } conflicts { code } unmappedRequiredFields }
  options { onDuplicate matchOn onInvalidRow onMissingRelation minConfidence operation onBlank }
  source { id name byteSize sha256 detection { format encoding delimiter headerRow columns { name kind samples topValues(first: 1) { value count } } } earlierRuns { id } }
  rows(first: 10) { totalCount pageInfo { hasNextPage } nodes { rowNumber outcome recordId sourceId cells { column value } changes { field before after } issues { code field value message } } }
  issues(first: 10) { totalCount nodes { rowNumber column field code severity value message } }
  issueGroups { code column count firstRow lastRow sampleValues message }
  files { kind name format byteSize rowCount sha256 url urlExpiresAt }
  rollback { id } parent { id } children { id }
} }`

test('an import tells all there is to know about it', async () => {
  const id = await world.import(ada, 'CONTACT', people, {}, { mapping })
  const { importRun: run } = await world.ask(ada, runQuery, { id })
  assert.equal(run.status, 'COMPLETED_WITH_ERRORS')
  assert.deepEqual(run.counts, {
    total: 4,
    read: 4,
    created: 3,
    updated: 0,
    unchanged: 0,
    skipped: 0,
    failed: 1,
    unprocessed: 0,
    reverted: 0,
    kept: 0,
    deleted: 0,
  })
  assert.equal(run.createdBy, 'ada@example.com')
  assert.deepEqual(run.availableActions.toSorted(), ['DOWNLOAD', 'RETRY_FAILED', 'ROLL_BACK'])
  assert.equal(run.source.byteSize, Buffer.byteLength(people))
  assert.equal(run.source.sha256, createHash('sha256').update(people).digest('hex'))
  assert.equal(run.source.earlierRuns[0].id, id)

  assert.equal(run.rows.totalCount, 4)
  const failed = run.rows.nodes[2]
  assert.equal(failed.outcome, 'FAILED')
  assert.equal(failed.rowNumber, 4)
  assert.deepEqual(failed.cells.slice(0, 3), [
    { column: 'First name', value: 'Broken' },
    { column: 'Last name', value: 'Address' },
    { column: 'E-mail', value: 'not-an-address' },
  ])
  assert.equal(failed.issues[0].code, 'INVALID_EMAIL')
  assert.match(run.rows.nodes[0].recordId, /^con_[0-9a-z]{26}$/)
  assert.equal(run.issues.totalCount, 1)
  assert.deepEqual(run.issueGroups[0].sampleValues, ['not-an-address'])
})

test('the failed rows come back as a file that can be read in parts', async () => {
  const id = await world.import(ada, 'CONTACT', people, {}, { mapping })
  const read = async () => (await world.ask(ada, runQuery, { id })).importRun.files
  const [files, again] = await Promise.all([read(), read()])
  assert.deepEqual(
    files.map(({ kind, name }: { kind: string; name: string }) => [kind, name]),
    [
      ['SOURCE', 'people.csv'],
      ['FAILED_ROWS', 'people-failed-rows.csv'],
    ],
  )
  const [source, failed] = files
  assert.equal(failed.sha256, again[1].sha256)
  const stored = await world.oracle.query('select count(*)::int as n from run_file where run_id = $1', [
    decodeId('run', id),
  ])
  assert.equal(stored.rows[0].n, 1)

  const whole = await fetch(failed.url)
  const bytes = Buffer.from(await whole.arrayBuffer())
  assert.equal(whole.status, 200)
  assert.equal(bytes.length, failed.byteSize)
  assert.equal(createHash('sha256').update(bytes).digest('hex'), failed.sha256)
  assert.match(bytes.toString(), /_portage_row,_portage_errors/)
  assert.match(bytes.toString(), /Broken,Address,not-an-address/)
  assert.equal(
    whole.headers.get('content-disposition'),
    `attachment; filename="people-failed-rows.csv"; filename*=UTF-8''people-failed-rows.csv`,
  )
  assert.equal(whole.headers.get('content-type'), 'text/csv; charset=utf-8')
  assert.equal(whole.headers.get('x-content-type-options'), 'nosniff')
  assert.equal(whole.headers.get('cache-control'), 'no-store')

  const part = await fetch(source.url, { headers: { range: 'bytes=6-9' } })
  assert.equal(part.headers.get('content-type'), 'application/octet-stream')
  assert.equal(part.status, 206)
  assert.equal(part.headers.get('content-range'), `bytes 6-9/${source.byteSize}`)
  assert.equal(await part.text(), people.slice(6, 10))
  const tail = await fetch(source.url, { headers: { range: 'bytes=-5' } })
  assert.equal(await tail.text(), people.slice(-5))
  const beyond = await fetch(source.url, { headers: { range: `bytes=${source.byteSize}-` } })
  assert.equal(beyond.status, 416)
  const other = await fetch(source.url, { headers: { range: 'bytes=0-3', 'if-range': '"another"' } })
  assert.equal(other.status, 200)
})

test('a link that was changed in any place leads nowhere', async () => {
  const id = await world.import(ada, 'CONTACT', people, {}, { mapping })
  const { importRun: run } = await world.ask(ada, runQuery, { id })
  const url = new URL(run.files[0].url)
  const signed = url.pathname.split('/')[2] ?? ''
  for (let at = 0; at < signed.length; at += 1) {
    const changed = `${signed.slice(0, at)}${signed[at] === 'a' ? 'b' : 'a'}${signed.slice(at + 1)}`
    const answer = await fetch(`${url.origin}/files/${changed}/people.csv`)
    assert.equal(answer.status, 403, `position ${at}`)
    assert.equal(JSON.parse(await answer.text()).errors[0].extensions.code, 'FORBIDDEN')
  }
  assert.equal((await fetch(`${url.origin}/files/${signed}/other.csv`)).status, 403)
  assert.equal((await fetch(url)).status, 200)
})

test('the same key starts one run, whatever is sent twice', async () => {
  const mutation =
    'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code field } } }'
  const input = { recordType: 'CONTACT', mapping, idempotencyKey: 'once' }
  const answers = await Promise.all([0, 1, 2, 3].map(() => world.upload(ada, mutation, input, people)))
  const ids = new Set(answers.map((answer) => dataOf(answer).importCreate.importRun.id))
  assert.equal(ids.size, 1)
  const [id = ''] = ids
  await world.rested(ada, id)
  const other = dataOf(await world.upload(ada, mutation, input, `${people}More,People,more@example.com,,,9,\n`))
  assert.deepEqual(other.importCreate, {
    importRun: null,
    userErrors: [{ code: 'IDEMPOTENCY_KEY_REUSED', field: ['idempotencyKey'] }],
  })
  const otherOperation = await world.ask(
    ada,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { code } } }',
    { input: { runId: id, idempotencyKey: 'once' } },
  )
  assert.equal(otherOperation.runRollback.userErrors[0].code, 'IDEMPOTENCY_KEY_REUSED')
  // Files that came with repeated calls are not kept.
  const kept = readdirSync(join(world.dataDir, 'files', ada.tenantId)).length
  const known = await world.oracle.query(
    `select (select count(*) from source_file where tenant_id = $1)::int + (select count(*) from run_file where tenant_id = $1)::int as n`,
    [ada.tenantId],
  )
  assert.equal(kept, known.rows[0].n)
})

test('what can never be right is refused before anything is stored', async () => {
  const mutation =
    'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code field message } } }'
  const cases: readonly (readonly [object, string])[] = [
    [{ mapping: [{ column: 'No such', field: 'email' }] }, 'UNKNOWN_COLUMN'],
    [{ mapping: [{ column: 'E-mail', field: 'eMail' }] }, 'UNKNOWN_FIELD'],
    [{ mapping: [{ column: 'E-mail', field: 'tenantId' }] }, 'UNKNOWN_FIELD'],
    [{ mapping, options: { matchOn: [['nickname']] } }, 'UNKNOWN_FIELD'],
    [{ mapping, options: { matchOn: [['lastName']] } }, 'INVALID_INPUT'],
    [{ options: { maxFailedFraction: 1.5 } }, 'INVALID_INPUT'],
    [{ options: { defaultOwnerEmail: 'nobody@example.com' } }, 'INVALID_INPUT'],
    [{ source: { timeZone: 'Mars/Olympus' } }, 'INVALID_INPUT'],
    [{ source: { delimiter: 'ab' } }, 'INVALID_INPUT'],
    [{ source: { encoding: 'klingon' } }, 'INVALID_INPUT'],
    [{ source: { format: 'XLSX' } }, 'INVALID_INPUT'],
    [{ fileId: 'fil_00000000000000000000000000' }, 'INVALID_INPUT'],
    [{ idempotencyKey: '' }, 'INVALID_INPUT'],
  ]
  const before = readdirSync(join(world.dataDir, 'files', ada.tenantId)).length
  for (const [input, code] of cases) {
    const key = JSON.stringify(input).slice(0, 200)
    const answer = dataOf(
      await world.upload(ada, mutation, { recordType: 'CONTACT', idempotencyKey: key, ...input }, people),
    )
    assert.equal(answer.importCreate.importRun, null)
    assert.equal(answer.importCreate.userErrors[0].code, code, JSON.stringify([input, answer.importCreate.userErrors]))
  }
  assert.equal(readdirSync(join(world.dataDir, 'files', ada.tenantId)).length, before)
})

test('files that cannot be read are refused by their content', async () => {
  const mutation =
    'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code field message } } }'
  for (const [bytes, code] of [
    [new Uint8Array(), 'FILE_EMPTY'],
    [new Uint8Array(Buffer.from('%PDF-1.7 and more')), 'FILE_TYPE_UNSUPPORTED'],
    [new Uint8Array(Buffer.from('504b0304140000000800', 'hex')), 'FILE_UNREADABLE'],
  ] as const) {
    const answer = dataOf(await world.upload(ada, mutation, {}, bytes))
    assert.equal(answer.fileUpload.userErrors[0]?.code, code)
  }
  const wrong = dataOf(await world.upload(ada, mutation, { sha256: '0'.repeat(64) }, people))
  assert.equal(wrong.fileUpload.userErrors[0].code, 'FILE_CHECKSUM_MISMATCH')
  const right = dataOf(
    await world.upload(
      ada,
      mutation,
      { sha256: createHash('sha256').update(people).digest('hex').toUpperCase(), name: '../../etc/passwd\u202E.csv' },
      people,
    ),
  )
  const { file } = await world.ask(ada, 'query ($id: ID!) { file(id: $id) { name } }', { id: right.fileUpload.file.id })
  assert.equal(file.name, 'passwd.csv')
})

test('an undecided mapping waits, takes another one and goes on', async () => {
  const id = await world.import(ada, 'CONTACT', 'Alpha,Beta\nGrace,grace2@example.com\n')
  const { importRun: waiting } = await world.ask(ada, runQuery, { id })
  assert.equal(waiting.status, 'AWAITING_MAPPING')
  assert.ok(waiting.availableActions.includes('MAP'))
  const update =
    'mutation ($input: ImportMappingUpdateInput!) { importMappingUpdate(input: $input) { importRun { id status options { onDuplicate minConfidence } } userErrors { code field message } } }'
  const refused = await world.ask(ada, update, { input: { runId: id, mapping: [{ column: 'Gamma', field: 'email' }] } })
  assert.equal(refused.importMappingUpdate.userErrors[0].code, 'UNKNOWN_COLUMN')
  const taken = await world.ask(ada, update, {
    input: {
      runId: id,
      mapping: [
        { column: 'Alpha', field: 'firstName' },
        { columnIndex: 1, field: 'email' },
      ],
      options: { onDuplicate: 'SKIP', minConfidence: null },
    },
  })
  assert.deepEqual(taken.importMappingUpdate.userErrors, [])
  assert.deepEqual(taken.importMappingUpdate.importRun.options, { onDuplicate: 'SKIP', minConfidence: 0.9 })
  assert.equal(await world.rested(ada, id), 'COMPLETED')
  const late = await world.ask(ada, update, {
    input: { runId: id, mapping: [{ column: 'Alpha', field: 'firstName' }] },
  })
  assert.equal(late.importMappingUpdate.userErrors[0].code, 'INVALID_STATE')
})

test('a rollback is previewed, done once, and told', async () => {
  const grace = await world.actor(await world.tenant())
  const first = await world.import(grace, 'CONTACT', people, {}, { mapping })
  const second = await world.import(grace, 'CONTACT', people.replace('Turing', 'Mathison Turing'), {}, { mapping })
  const preview = await world.ask(
    grace,
    'query ($id: ID!) { rollbackPreview(runId: $id) { willRestore willDelete conflicts } }',
    { id: second },
  )
  assert.deepEqual(preview.rollbackPreview, { willRestore: 1, willDelete: 0, conflicts: 0 })
  const { importRun: updated } = await world.ask(grace, runQuery, { id: second })
  const row = updated.rows.nodes.find(({ outcome }: { outcome: string }) => outcome === 'UPDATED')
  assert.deepEqual(row.changes, [{ field: 'lastName', before: 'Turing', after: 'Mathison Turing' }])

  const mutation =
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id kind status ofRunId onConflict } userErrors { code message } } }'
  const input = { runId: second, idempotencyKey: 'undo' }
  const started = await world.ask(grace, mutation, { input })
  const again = await world.ask(grace, mutation, { input })
  assert.equal(started.runRollback.rollbackRun.id, again.runRollback.rollbackRun.id)
  assert.equal(started.runRollback.rollbackRun.ofRunId, second)
  assert.equal(await world.rested(grace, started.runRollback.rollbackRun.id), 'COMPLETED')
  const undone = await world.ask(grace, runQuery, { id: second })
  assert.equal(undone.importRun.status, 'ROLLED_BACK')
  assert.equal(undone.importRun.rollback.id, started.runRollback.rollbackRun.id)
  const { contacts } = await world.ask(
    grace,
    '{ contacts(first: 10) { totalCount nodes { lastName provenance { runId action changedFields rowNumber } } } }',
  )
  assert.equal(contacts.totalCount, 3)
  const turing = contacts.nodes.find(({ lastName }: { lastName: string }) => lastName === 'Turing')
  assert.deepEqual(turing.provenance.at(-1), { runId: first, action: 'CREATED', changedFields: [], rowNumber: 3 })
  assert.deepEqual(turing.provenance.slice(0, 2), [
    { runId: started.runRollback.rollbackRun.id, action: 'REVERTED', changedFields: ['lastName'], rowNumber: null },
    { runId: second, action: 'UPDATED', changedFields: ['lastName'], rowNumber: 3 },
  ])
  const twice = await world.ask(grace, mutation, { input: { runId: second, idempotencyKey: 'undo again' } })
  assert.equal(twice.runRollback.userErrors[0].code, 'NOT_REVERSIBLE')
})

test('without PII_READ personal data is masked wherever it shows [AR-6]', async () => {
  const id = await world.import(ada, 'CONTACT', people, {}, { mapping })
  const blind = await world.actor(ada.tenantId, ['RECORD_READ', 'IMPORT_RUN', 'ROLLBACK_RUN'], 'blind@example.com')
  const answer = await world.run(blind, runQuery, { id })
  const seen = dataOf(answer).importRun
  assert.doesNotMatch(answer.text, /grace@example|not-an-address|1906-12-09|212.{0,2}555/i)
  assert.deepEqual(seen.files, [])
  assert.ok(!seen.availableActions.includes('DOWNLOAD'))
  const records = await world.run(
    blind,
    '{ contacts(first: 10) { nodes { displayName lastName email phone birthDate notes } } }',
  )
  assert.doesNotMatch(records.text, /@example|\+1212|19\d\d-/)
  assert.equal(dataOf(records).contacts.nodes[0].email, '***')
  assert.equal(dataOf(records).contacts.nodes[0].birthDate, null)
  for (const asking of [
    'filter: { where: { field: "email", operator: STARTS_WITH, value: "g" } }',
    'filter: { not: { where: { field: "organization.email", operator: IS_NULL } } }',
    'orderBy: [{ field: "birthDate" }]',
  ]) {
    const oracle = await world.run(blind, `{ contacts(${asking}) { totalCount } }`)
    assert.equal(oracle.errors[0]?.extensions.code, 'FORBIDDEN', asking)
    assert.equal(oracle.errors[0]?.extensions.permission, 'PII_READ')
  }
})

test('when the retention of a file ends, nothing of what it held is left', async () => {
  const eve = await world.actor(await world.tenant())
  const id = await world.import(eve, 'CONTACT', people, {}, { mapping })
  const before = (await world.ask(eve, runQuery, { id })).importRun
  assert.equal(before.files.length, 2)
  await world.oracle.query("update source_file set expires_at = now() - interval '1 second' where tenant_id = $1", [
    eve.tenantId,
  ])
  const lane = await Lane.open(laneOptions(world.db.workerUrl, 'portage test'))
  await keepHouse(lane, localFileStore(join(world.dataDir, 'files')), world.config)
  await lane.close()
  assert.deepEqual(readdirSync(join(world.dataDir, 'files', eve.tenantId)), [])
  for (const file of before.files) {
    assert.equal((await fetch(file.url)).status, 410)
  }
  const after = (await world.ask(eve, runQuery, { id })).importRun
  assert.deepEqual(after.files, [])
  assert.deepEqual(after.rows.nodes[2].cells, [])
  assert.ok(after.source.detection.columns.every(({ samples }: { samples: string[] }) => samples.length === 0))
  const gone = await world.ask(eve, 'query ($id: ID!) { file(id: $id) { id } node(id: $id) { id } }', {
    id: before.source.id,
  })
  assert.deepEqual(gone, { file: null, node: null })
  const again = await world.ask(
    eve,
    'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code field } } }',
    { input: { fileId: before.source.id, recordType: 'CONTACT', idempotencyKey: 'too late' } },
  )
  assert.deepEqual(again.importCreate, { importRun: null, userErrors: [{ code: 'NOT_FOUND', field: ['fileId'] }] })
})
