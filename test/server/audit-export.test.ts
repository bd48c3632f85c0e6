import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { auditKeys } from '../../src/access/audit.js'
import type { Permission } from '../../src/access/permissions.js'
import { verifyFile } from '../../src/cli/audit.js'
import { decodeId } from '../../src/ids.js'
import { type Actor, type Json, World } from './world.js'

let world: World
let folder: string
let ada: Actor
let neighbour: Actor

before(async () => {
  world = await World.start()
  folder = await mkdtemp(join(tmpdir(), 'portage-audit-export-'))
  ada = await world.actor(await world.tenant())
  neighbour = await world.actor(await world.tenant())
  for (const actor of [ada, neighbour]) {
    await world.ask(
      actor,
      'mutation { memberSave(input: { email: "grace@example.com" }) { member { id } userErrors { message } } }',
    )
  }
})
after(async () => {
  await world.close()
  await rm(folder, { recursive: true, force: true })
})

const runFields = `__typename id kind status createdBy counts { total read unprocessed } availableActions
  files { kind name format byteSize rowCount sha256 url } ... on AuditRun { from to }`

async function start(actor: Actor, input: object): Promise<Json> {
  const { auditExport } = await world.ask(
    actor,
    `mutation ($input: AuditExportInput!) { auditExport(input: $input) { run { ${runFields} } userErrors { code field } } }`,
    { input: { idempotencyKey: randomBytes(8).toString('hex'), ...input } },
  )
  return auditExport
}

async function exported(actor: Actor, input: object = {}): Promise<{ run: Json; lines: Json[]; path: string }> {
  const { run: started, userErrors } = await start(actor, input)
  assert.deepEqual(userErrors, [])
  assert.equal(await world.rested(actor, started.id), 'COMPLETED')
  const { run } = await world.ask(actor, `query ($id: ID!) { run(id: $id) { ${runFields} } }`, { id: started.id })
  const [file] = run.files
  const answer = await fetch(file.url)
  assert.equal(answer.status, 200)
  const bytes = Buffer.from(await answer.arrayBuffer())
  assert.equal(createHash('sha256').update(bytes).digest('hex'), file.sha256)
  const path = join(folder, `${run.id}.ndjson`)
  await writeFile(path, bytes)
  const lines = bytes
    .toString()
    .trimEnd()
    .split('\n')
    .map((line): Json => JSON.parse(line))
  return { run, lines, path }
}

const key = () => auditKeys(world.config).publicText

test('the audit is written by a run into a file that is checked without a server', async () => {
  const { run, lines, path } = await exported(ada)
  assert.deepEqual([run.__typename, run.kind, run.createdBy], ['AuditRun', 'AUDIT_EXPORT', 'ada@example.com'])
  assert.deepEqual(run.availableActions, ['DOWNLOAD'])
  const [opening, ...entries] = lines
  const [file] = run.files
  assert.deepEqual([file.kind, file.format, file.rowCount], ['RESULT', 'NDJSON', entries.length])
  assert.match(file.name, /^audit-\d{4}-\d\d-\d\d-\d{4}\.ndjson$/)
  assert.deepEqual(run.counts, { total: entries.length, read: entries.length, unprocessed: 0 })
  assert.equal(opening.head.publicKey, key())
  assert.deepEqual(
    entries.map(({ sequence }) => sequence),
    entries.map((_, index) => index + 1),
  )
  const own = entries.find(({ action }) => action === 'Mutation.auditExport')
  assert.equal(own.target, run.id, 'the request for it is in it')
  const head = { sequence: opening.head.sequence, hash: opening.head.hash }
  assert.deepEqual(await verifyFile(path, { head, key: key() }), {
    valid: true,
    checked: entries.length,
    since: null,
    firstBrokenSequence: null,
    reason: null,
  })
  const listed = await world.ask(ada, `query { node: node(id: "${own.id}") { id ... on AuditEntry { hash } } }`)
  assert.deepEqual(listed.node, { id: own.id, hash: own.hash }, 'entries are those of the API')
})

test('a stretch of time is checked by itself, and a change in it is found', async () => {
  const first = await exported(ada)
  const at: string = first.lines.at(-1).at
  const { run, lines, path } = await exported(ada, { from: at })
  assert.deepEqual([run.from, run.to], [at, null])
  const [opening, ...entries] = lines
  assert.ok(opening.start.sequence > 0)
  assert.equal(entries[0].sequence, opening.start.sequence + 1)
  const found = await verifyFile(path, { head: null, key: key() })
  assert.deepEqual([found.valid, found.since, found.checked], [true, entries[0].sequence, entries.length])
  const kept = { sequence: opening.start.sequence, hash: opening.start.hash }
  assert.equal((await verifyFile(path, { head: kept, key: null })).valid, true)
  assert.equal((await verifyFile(path, { head: { ...kept, hash: 'a'.repeat(64) }, key: null })).valid, false)
  assert.equal((await verifyFile(path, { head: { sequence: 1, hash: kept.hash }, key: null })).valid, false)
  for (const changed of [
    [opening, ...entries.slice(1)],
    [opening, ...entries.slice(0, -1)],
    [{ ...opening, start: { ...opening.start, hash: 'a'.repeat(64) } }, ...entries],
    [opening, { ...entries[0], actor: 'mallory@example.com' }, ...entries.slice(1)],
  ]) {
    const other = join(folder, 'changed.ndjson')
    await writeFile(other, changed.map((line) => `${JSON.stringify(line)}\n`).join(''))
    assert.equal((await verifyFile(other, { head: null, key: null })).valid, false)
  }
  const before = await exported(ada, { to: at })
  assert.equal(before.lines.at(-1).sequence, before.lines[0].head.sequence)
  assert.ok(before.lines.slice(1).some((entry) => entry.at < at))
  assert.equal((await verifyFile(before.path, { head: null, key: key() })).valid, true)
})

test('a time with nothing in it is a file without entries', async () => {
  const { run, lines, path } = await exported(ada, { to: '2001-01-01T00:00:00.000Z' })
  assert.deepEqual(run.counts, { total: 0, read: 0, unprocessed: 0 })
  assert.equal(lines.length, 1)
  assert.equal((await verifyFile(path, { head: null, key: null })).checked, 0)
})

test('nobody has the file of a neighbour, nor without the permission', async () => {
  const { run, lines } = await exported(ada)
  const theirs = await exported(neighbour)
  const tenants = [lines, theirs.lines].map((file) => file[0].tenant)
  assert.notEqual(tenants[0], tenants[1])
  assert.ok(!JSON.stringify(theirs.lines).includes(tenants[0]))
  const query = `query ($id: ID!) { run(id: $id) { id availableActions files { url } } }`
  assert.equal((await world.ask(neighbour, query, { id: run.id })).run, null)
  const others: readonly Permission[] = ['EXPORT_RUN', 'IMPORT_RUN', 'PII_READ', 'RECORD_READ', 'SETTINGS_MANAGE']
  const eve = await world.actor(ada.tenantId, others, 'eve@example.com')
  const denied = await world.run(eve, 'mutation { auditExport(input: { idempotencyKey: "e" }) { run { id } } }')
  assert.equal(denied.errors[0]?.extensions.code, 'FORBIDDEN')
  assert.equal(denied.errors[0]?.extensions.permission, 'AUDIT_READ')
  const seen = await world.ask(eve, query, { id: run.id })
  assert.deepEqual([seen.run.files, seen.run.availableActions], [[], []])
  const cancel = await world.run(eve, 'mutation ($id: ID!) { runCancel(input: { runId: $id }) { run { id } } }', {
    id: run.id,
  })
  assert.equal(cancel.errors[0]?.extensions.permission, 'AUDIT_READ')
  const auditor = await world.actor(ada.tenantId, ['AUDIT_READ'], 'audrey@example.com')
  const { run: own } = await exported(auditor)
  assert.equal(own.createdBy, 'audrey@example.com', 'AUDIT_READ alone is enough')
})

test('asking, denials and the download leave entries; the same key starts one run', async () => {
  const input = { idempotencyKey: 'once' }
  const [one, other] = await Promise.all([start(ada, input), start(ada, input)])
  assert.equal(one.run.id, other.run.id)
  assert.deepEqual((await start(ada, { ...input, to: '2020-01-01T00:00:00Z' })).userErrors, [
    { code: 'IDEMPOTENCY_KEY_REUSED', field: ['idempotencyKey'] },
  ])
  assert.deepEqual((await start(ada, { from: '2020-01-01T00:00:00Z', to: '2020-01-01T00:00:00Z' })).userErrors, [
    { code: 'INVALID_INPUT', field: ['to'] },
  ])
  const { run } = await exported(ada)
  const { rows } = await world.oracle.query<{ action: string; outcome: string }>(
    `select action, outcome from audit_entry where tenant_id = $1 and (target = $2 or outcome <> 'OK' or target = $3)
     group by action, outcome order by action, outcome`,
    [ada.tenantId, run.id, decodeId('run', run.id)],
  )
  assert.deepEqual(
    rows.map(({ action, outcome }) => `${action} ${outcome}`),
    [
      'Mutation.auditExport DENIED',
      'Mutation.auditExport OK',
      'Mutation.auditExport REFUSED',
      'Mutation.runCancel DENIED',
      'download.result OK',
      'run.status OK',
    ],
  )
})
