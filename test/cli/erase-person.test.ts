import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { erasePerson } from '../../src/access/person-erasure.js'
import type { Io } from '../../src/cli/io.js'
import { erasePersonForGood } from '../../src/cli/tenant.js'
import { decodeId } from '../../src/ids.js'
import { type Actor, dataOf, type Json, World } from '../server/world.js'

/** Stands in everything about the person who is to be forgotten. */
const CANARY = 'zqxcharlie'

let world: World
let ada: Actor
let neighbour: Actor

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant('Forgetful'))
  neighbour = await world.actor(await world.tenant())
})
after(() => world.close())

const key = () => randomBytes(8).toString('hex')

function terminal(answer: string | null = null): Io & { readonly lines: string[] } {
  const lines: string[] = []
  return {
    lines,
    out: (line) => void lines.push(line),
    write: async (text) => void lines.push(text),
    note: () => undefined,
    status: () => undefined,
    ask: async () => answer,
    interactive: false,
    signal: new AbortController().signal,
  }
}

/** Every row of every table that holds the word, as table and row. The queue and what tells of statements included. */
async function hits(word: string): Promise<string[]> {
  const { rows } = await world.oracle.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('portage', 'pgboss') and c.relkind in ('r', 'p')`,
  )
  const found: string[] = []
  for (const { schema, name } of rows) {
    const some = await world.oracle.query<{ text: string }>(
      `select left(to_jsonb(t)::text, 300) as text from ${schema}.${name} t where position($1 in lower(t::text)) > 0 limit 3`,
      [word],
    )
    found.push(...some.rows.map(({ text }) => `${name}: ${text}`))
  }
  return found
}

async function filesWith(word: string, tenantId: string): Promise<number> {
  const folder = join(world.dataDir, 'files', tenantId)
  const names = await readdir(folder).catch((): string[] => [])
  const contents = await Promise.all(names.map((name) => readFile(join(folder, name), 'latin1')))
  return contents.filter((content) => content.includes(word)).length
}

const people = (extra: readonly string[]) =>
  [
    'E-mail,Last name,City',
    ...Array.from({ length: 20 }, (_, n) => `p${n}@example.com,Last ${n},Town ${n}`),
    ...extra,
  ].join('\n')
const mapping = [
  { column: 'E-mail', field: 'email' },
  { column: 'Last name', field: 'lastName' },
  { column: 'City', field: 'city' },
]

async function mutate(actor: Actor, name: string, type: string, input: object, answer: string): Promise<Json> {
  const data = await world.ask(
    actor,
    `mutation ($input: ${type}!) { ${name}(input: $input) { ${answer} userErrors { code message } } }`,
    { input },
  )
  assert.deepEqual(data[name].userErrors, [], name)
  return data[name]
}

/** Somebody whom every part of the service knows: imported, changed, failed, planned, exported, merged and asked about. */
async function populate(
  actor: Actor,
): Promise<{ readonly id: string; readonly first: string; readonly second: string }> {
  const first = await world.import(
    actor,
    'CONTACT',
    people([`${CANARY}@example.com,${CANARY},${CANARY}`, `wrong ${CANARY},x,y`]),
    {},
    { mapping },
  )
  const second = await world.import(
    actor,
    'CONTACT',
    people([
      `${CANARY}@example.com,${CANARY} the second,Other ${CANARY}`,
      `also${CANARY}@example.com,${CANARY},${CANARY}`,
    ]),
    {},
    { mapping },
  )
  await world.import(
    actor,
    'LEAD',
    `Title,Contact\nLead of ${CANARY},${CANARY}@example.com\nLead of another,p1@example.com\n`,
    {},
    {
      mapping: [
        { column: 'Title', field: 'title' },
        { column: 'Contact', field: 'contact.email' },
      ],
    },
  )
  const filter = (field: string, value: string) => ({ where: { field, operator: 'EQ', value } })
  const { contacts } = await world.ask(
    actor,
    'query ($filter: RecordFilterInput) { contacts(first: 5, filter: $filter) { nodes { id } } }',
    { filter: filter('email', `${CANARY}@example.com`) },
  )
  const id: string = contacts.nodes[0].id
  await mutate(
    actor,
    'recordUpdate',
    'RecordUpdateInput',
    { recordType: 'CONTACT', id, fields: [{ field: 'notes', value: `Notes about ${CANARY}` }] },
    '__typename',
  )
  // A plan that is thrown away, an export, a bundle, and the files of failed rows.
  const planned = dataOf(
    await world.upload(
      actor,
      'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { message } } }',
      { recordType: 'CONTACT', idempotencyKey: key(), mapping, confirmation: 'ASK' },
      people([`${CANARY}@example.com,${CANARY} the third,${CANARY}`]),
    ),
  ).importCreate.importRun.id
  await mutate(actor, 'importPlan', 'ImportPlanInput', { runId: planned }, '__typename')
  assert.equal(await world.rested(actor, planned), 'AWAITING_CONFIRMATION')
  await mutate(actor, 'runCancel', 'RunInput', { runId: planned }, '__typename')
  const asked = { recordType: 'CONTACT', filter: filter('email', `${CANARY}@example.com`) }
  const { exportRun } = await mutate(
    actor,
    'exportCreate',
    'ExportCreateInput',
    { ...asked, idempotencyKey: key() },
    'exportRun { id }',
  )
  await world.rested(actor, exportRun.id)
  await mutate(actor, 'exportTemplateSave', 'ExportTemplateSaveInput', { ...asked, name: 'About one' }, '__typename')
  const { bundleRun } = await mutate(
    actor,
    'bundleExport',
    'BundleExportInput',
    { idempotencyKey: key() },
    'bundleRun { id }',
  )
  await world.rested(actor, bundleRun.id)
  await world.ask(actor, '{ runs(first: 50) { nodes { files { url } } } }')
  return { id, first, second }
}

test('a person who is erased leaves nothing in tables, files, journal or queue, and the audit verifies [AU-5] [IS-10]', async () => {
  const { id, first, second } = await populate(ada)
  const theirs = await populate(neighbour)
  assert.ok(
    (await hits(CANARY)).length > 10 && (await filesWith(CANARY, ada.tenantId)) > 3,
    'the search finds what is there',
  )
  const count = async () =>
    await world.ask(
      ada,
      '{ contacts(first: 1) { totalCount } leads(first: 1) { totalCount } auditEntries(first: 500) { nodes { id hash } } }',
    )
  const before = await count()
  const saved = { ...process.env }
  Object.assign(process.env, { PORTAGE_DATA_DIR: world.dataDir, DATABASE_URL: world.db.ownerUrl })
  try {
    const io = terminal('no')
    await assert.rejects(erasePersonForGood('Forgetful', id, { json: false }, io), /Nothing was erased/)
    assert.equal(await erasePersonForGood('Forgetful', id, { confirm: id, json: true }, io), 0)
    const told = JSON.parse(io.lines[0] ?? '')
    assert.deepEqual(told.records, { contact: 1, lead: 1, activity: 0 })
    assert.ok(told.files > 3)
    const also = await world.ask(
      ada,
      'query ($filter: RecordFilterInput) { contacts(first: 5, filter: $filter) { nodes { id } } }',
      { filter: { where: { field: 'email', operator: 'EQ', value: `also${CANARY}@example.com` } } },
    )
    // The other one of the same name is somebody else, and was asked to be forgotten, too.
    assert.equal(
      await erasePersonForGood(
        'Forgetful',
        also.contacts.nodes[0].id,
        { confirm: also.contacts.nodes[0].id, json: false },
        io,
      ),
      0,
    )
  } finally {
    process.env = saved
  }
  assert.equal(await filesWith(CANARY, ada.tenantId), 0)
  const left = (await hits(CANARY)).filter((hit) => hit.includes(ada.tenantId))
  assert.deepEqual(left, [])
  const after = await count()
  assert.equal(after.contacts.totalCount, before.contacts.totalCount - 2, 'nobody else is gone')
  assert.equal(after.leads.totalCount, before.leads.totalCount - 1)
  const { auditVerification } = await world.ask(ada, '{ auditVerification { valid firstBrokenSequence } }')
  assert.deepEqual(auditVerification, { valid: true, firstBrokenSequence: null })
  const kept = new Set(after.auditEntries.nodes.map((entry: Json) => entry.id))
  assert.ok(
    before.auditEntries.nodes.every((entry: Json) => kept.has(entry.id)),
    'no entry is gone',
  )
  const { auditEntries } = await world.ask(
    ada,
    '{ auditEntries(first: 5, action: "person.erase") { nodes { actor target } } }',
  )
  assert.ok(auditEntries.nodes.some((entry: Json) => entry.target === id && entry.actor === 'operator'))
  // Runs can still be looked at and undone, and nobody comes back.
  for (const run of [second, first]) {
    const shown = await world.ask(
      ada,
      'query ($id: ID!) { importRun(id: $id) { rows(first: 50) { nodes { outcome recordId changes { field } } } issues(first: 5) { nodes { value } } files { kind } } }',
      { id: run },
    )
    assert.deepEqual(shown.importRun.files, [])
    const { rollbackRun } = await mutate(
      ada,
      'runRollback',
      'RunRollbackInput',
      { runId: run, idempotencyKey: key() },
      'rollbackRun { id }',
    )
    // A lead of somebody else keeps one of the contacts.
    assert.match(await world.rested(ada, rollbackRun.id), /^COMPLETED/)
  }
  assert.deepEqual(
    (await hits(CANARY)).filter((hit) => hit.includes(ada.tenantId)),
    [],
  )
  // Of the neighbour nothing has changed.
  assert.ok((await filesWith(CANARY, neighbour.tenantId)) > 3)
  const still = await world.ask(neighbour, 'query ($id: ID!) { node(id: $id) { id } }', { id: theirs.id })
  assert.equal(still.node.id, theirs.id)
})

test('a contact of somebody else, and a tenant with a run under way, are refused', async () => {
  const theirs = await world.ask(neighbour, '{ contacts(first: 1) { nodes { id } } }')
  const uuid = decodeId('contact', theirs.contacts.nodes[0].id)
  await assert.rejects(erasePerson(world.db.ownerUrl, ada.tenantId, uuid), { code: 'NOT_FOUND' })
  const { importCreate } = dataOf(
    await world.upload(
      neighbour,
      'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { message } } }',
      { recordType: 'CONTACT', idempotencyKey: key(), mapping, confirmation: 'ASK' },
      people([]),
    ),
  )
  await world.rested(neighbour, importCreate.importRun.id)
  await assert.rejects(erasePerson(world.db.ownerUrl, neighbour.tenantId, uuid), { code: 'INVALID_STATE' })
})
