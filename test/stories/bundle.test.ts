/** Portability bundles as tenants meet them: everything out, into another tenant, and home again. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { permissions } from '../../src/access/permissions.js'
import { type Actor, dataOf, type Json, World } from '../server/world.js'

let world: World

before(async () => {
  world = await World.start()
})
after(() => world.close())

const key = () => randomBytes(8).toString('hex')
const counts = 'counts { total read created updated unchanged skipped failed unprocessed reverted kept }'
const bundleFields = `id kind status finishedAt statusReason { code message } ${counts} recordTypes snapshotAt availableActions
  files { kind name byteSize rowCount sha256 url } importRuns { id status recordType ${counts} issues(first: 5) { nodes { code field message } } }`
const exportMutation = `mutation ($input: BundleExportInput!) { bundleExport(input: $input) { bundleRun { id } userErrors { code field message } } }`
const importMutation = `mutation ($input: BundleImportInput!) { bundleImport(input: $input) { bundleRun { id } userErrors { code field message } } }`
const consentMutation = `mutation ($input: BundleConsentInput!) { bundleConsentCreate(input: $input) { consentToken expiresAt userErrors { code message } } }`

async function newcomer(name?: string): Promise<Actor> {
  return world.actor(await world.tenant(), permissions, name)
}

async function bundleRun(actor: Actor, id: string): Promise<Json> {
  return (await world.ask(actor, `query ($id: ID!) { run(id: $id) { ... on BundleRun { ${bundleFields} } } }`, { id }))
    .run
}

/** Writes a bundle and downloads it. */
async function exported(actor: Actor, input: object = {}): Promise<{ run: Json; bytes: Uint8Array<ArrayBuffer> }> {
  const { bundleExport } = await world.ask(actor, exportMutation, { input: { idempotencyKey: key(), ...input } })
  assert.deepEqual(bundleExport.userErrors, [])
  await world.rested(actor, bundleExport.bundleRun.id)
  const run = await bundleRun(actor, bundleExport.bundleRun.id)
  assert.equal(run.status, 'COMPLETED', JSON.stringify(run))
  const response = await fetch(run.files[0].url)
  assert.equal(response.status, 200)
  return { run, bytes: new Uint8Array(await response.arrayBuffer()) }
}

async function tryImport(actor: Actor, bytes: Uint8Array<ArrayBuffer>, input: object = {}): Promise<Json> {
  const answer = await world.upload(actor, importMutation, { idempotencyKey: key(), ...input }, bytes, 'a.bundle.zip')
  return dataOf(answer).bundleImport
}

async function imported(actor: Actor, bytes: Uint8Array<ArrayBuffer>, input: object = {}): Promise<Json> {
  const { bundleRun: started, userErrors } = await tryImport(actor, bytes, input)
  assert.deepEqual(userErrors, [])
  await world.rested(actor, started.id)
  return bundleRun(actor, started.id)
}

async function consent(origin: Actor, bundleRunId: string, target: Actor): Promise<string> {
  const { viewer } = await world.ask(target, '{ viewer { tenantId } }')
  const input = { bundleRunId, targetTenantId: viewer.tenantId }
  const { bundleConsentCreate } = await world.ask(origin, consentMutation, { input })
  assert.deepEqual(bundleConsentCreate.userErrors, [])
  return bundleConsentCreate.consentToken
}

const nastyNotes = [
  '=1+1',
  '00123',
  '+4915112345678',
  'a "b", c; d',
  'Zoë 👩‍👩‍👧 ٣',
  "'=quoted",
  'two\nlines',
  '\\N',
  'null',
  '#tag',
  '-5',
  '1e5',
]

/** Records of every type with relations, custom fields and values that are easily broken. */
async function fill(actor: Actor, people = 14, types = 4): Promise<number> {
  const create = `mutation ($input: CustomFieldCreateInput!) { customFieldCreate(input: $input) { userErrors { message } } }`
  for (const [recordType, fieldKey, kind, options] of [
    ['CONTACT', 'height', 'DECIMAL', null],
    ['CONTACT', 'colours', 'MULTI_ENUM', ['red', 'green']],
    ['CONTACT', 'size', 'ENUM', ['S', 'M']],
    ['CONTACT', 'vip', 'BOOLEAN', null],
    ['LEAD', 'visitedOn', 'DATE', null],
    ['PROPERTY', 'inspectedAt', 'DATE_TIME', null],
  ] as const) {
    const input = { recordType, field: { key: fieldKey, label: fieldKey, kind, options } }
    const { customFieldCreate } = await world.ask(actor, create, { input })
    assert.deepEqual(customFieldCreate.userErrors, [])
  }
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`
  const note = (number: number) => quote(nastyNotes[number % nastyNotes.length] ?? '')
  const contacts = [
    'ref,kind,company,first,last,email,phone,zip,notes,tags,born,org,height,colours,size,vip,optout',
    'o1,ORGANIZATION,Ångström & Co,,,info@angstrom.example,,00501,,,,,,,,,',
    ...Array.from(
      { length: people },
      (_, n) =>
        `p${n},PERSON,,Zoë ${n},O’Neil,zoe${n}@example.com,+49151${String(10000000 + n)},0${n},${note(n)},a;b${n},19${60 + (n % 40)}-03-28,${n % 2 ? 'o1' : ''},${n % 3 ? '' : '1.50'},${n % 4 ? '' : 'red;green'},${n % 5 ? '' : 'S'},${n % 2 ? 'true' : 'false'},${n % 7 ? '' : 'yes'}`,
    ),
    // Not found by e-mail, nor by anything else that is its own.
    'p-twin,PERSON,,Twin,One,,,,,,,,,,,,',
    'p-twin2,PERSON,,Twin,One,,,,,,,,,,,,',
  ].join('\n')
  const map = (fields: Record<string, string>) => ({
    mapping: Object.entries(fields).map(([column, field]) => ({ column, field })),
  })
  const run = async (type: string, csv: string, fields: Record<string, string>): Promise<void> => {
    const id = await world.import(actor, type, csv, { sourceSystem: 'salesforce' }, map(fields))
    const { importRun } = await world.ask(
      actor,
      `query ($id: ID!) { importRun(id: $id) { status statusReason { message } ${counts} issues(first: 3) { nodes { code field message } } } }`,
      { id },
    )
    assert.equal(importRun.status, 'COMPLETED', JSON.stringify(importRun))
  }
  await run('CONTACT', contacts, {
    ref: 'externalId',
    kind: 'kind',
    company: 'companyName',
    first: 'firstName',
    last: 'lastName',
    email: 'email',
    phone: 'phone',
    zip: 'postalCode',
    notes: 'notes',
    tags: 'tags',
    born: 'birthDate',
    org: 'organization.externalId',
    height: 'custom.height',
    colours: 'custom.colours',
    size: 'custom.size',
    vip: 'custom.vip',
    optout: 'emailOptOut',
  })
  if (types === 1) {
    return people + 3
  }
  const properties = [
    'ref,name,price,owner,at',
    ...Array.from(
      { length: 7 },
      (_, n) => `h${n},"House, ${n}",${1000000 + n}.5${n},p${n % people},2026-03-29T01:30:0${n}.123456Z`,
    ),
  ]
  await run('PROPERTY', properties.join('\n'), {
    ref: 'externalId',
    name: 'name',
    price: 'listPrice',
    owner: 'ownerContact.externalId',
    at: 'custom.inspectedAt',
  })
  if (types === 2) {
    return people + 10
  }
  const leads = [
    'ref,title,contact,house,on,received',
    ...Array.from(
      { length: 9 },
      (_, n) => `l${n},${note(n)},p${n % people},h${n % 7},2026-10-2${n},2026-10-25T02:30:00+0${n % 3}:00`,
    ),
  ]
  await run('LEAD', leads.join('\n'), {
    ref: 'externalId',
    title: 'title',
    contact: 'contact.externalId',
    house: 'property.externalId',
    on: 'custom.visitedOn',
    received: 'receivedAt',
  })
  const activities = [
    'ref,type,subject,body,contact,lead,house',
    ...Array.from({ length: 11 }, (_, n) => `a${n},CALL,${note(n)},${note(n + 3)},p${n % people},l${n % 9},h${n % 7}`),
  ]
  await run('ACTIVITY', activities.join('\n'), {
    ref: 'externalId',
    type: 'type',
    subject: 'subject',
    body: 'body',
    contact: 'contact.externalId',
    lead: 'lead.externalId',
    house: 'property.externalId',
  })
  return people + 3 + 7 + 9 + 11
}

/** What the records of a tenant hold, without what is the tenant's own, for comparison. */
async function contents(actor: Actor): Promise<string[]> {
  const rows = await world.oracle.query<{ j: string }>(
    `select (to_jsonb(c) - '{tenant_id,id,version,pristine_version,created_at,updated_at,created_run_id,created_row,source_system,external_id,organization_id,source_created_at}'::text[]
       || jsonb_build_object('org', o.display_name, 'orgmail', o.email))::text as j
     from contact c left join contact o on o.id = c.organization_id where c.tenant_id = $1 and c.deleted_at is null
     union all
     select (to_jsonb(c) - '{tenant_id,id,version,pristine_version,created_at,updated_at,created_run_id,created_row,source_system,external_id,contact_id,lead_id,property_id,source_created_at}'::text[]
       || jsonb_build_object('c', o.email, 'l', l.title, 'h', p.name))::text
     from activity c left join contact o on o.id = c.contact_id left join lead l on l.id = c.lead_id left join property p on p.id = c.property_id
     where c.tenant_id = $1 and c.deleted_at is null
     union all
     select (to_jsonb(c) - '{tenant_id,id,version,pristine_version,created_at,updated_at,created_run_id,created_row,source_system,external_id,contact_id,property_id,source_created_at}'::text[]
       || jsonb_build_object('c', o.email, 'h', p.name))::text
     from lead c left join contact o on o.id = c.contact_id left join property p on p.id = c.property_id where c.tenant_id = $1 and c.deleted_at is null
     union all
     select (to_jsonb(c) - '{tenant_id,id,version,pristine_version,created_at,updated_at,created_run_id,created_row,source_system,external_id,owner_contact_id,source_created_at}'::text[]
       || jsonb_build_object('c', o.email))::text
     from property c left join contact o on o.id = c.owner_contact_id where c.tenant_id = $1 and c.deleted_at is null order by 1`,
    [actor.tenantId],
  )
  return rows.rows.map(({ j }) => j)
}

test('a bundle goes to another tenant and comes home unchanged, and nothing of the origin’s ids goes with it', async () => {
  const a = await newcomer()
  const b = await newcomer()
  const total = await fill(a)
  const out = await exported(a)
  assert.equal(out.run.counts.read, total)
  assert.deepEqual(out.run.recordTypes, ['CONTACT', 'PROPERTY', 'LEAD', 'ACTIVITY'])

  const there = await imported(b, out.bytes, { consentToken: await consent(a, out.run.id, b) })
  assert.equal(there.status, 'COMPLETED', JSON.stringify(there))
  assert.equal(there.counts.created, total)
  assert.deepEqual(
    there.importRuns.map((run: Json) => run.recordType),
    ['CONTACT', 'PROPERTY', 'LEAD', 'ACTIVITY'],
  )
  assert.deepEqual(await contents(b), await contents(a))
  const waiting = await world.oracle.query('select from pending_relation where tenant_id = $1 and settled_at is null', [
    b.tenantId,
  ])
  assert.equal(waiting.rowCount, 0)

  // What other systems called them is not forgotten.
  const known = await world.oracle.query(
    `select from record_identity where tenant_id = $1 and source_system = 'salesforce'`,
    [b.tenantId],
  )
  assert.equal(known.rowCount, total)

  // Once more: nothing is new.
  const again = await imported(b, out.bytes, { consentToken: await consent(a, out.run.id, b) })
  assert.deepEqual([again.counts.unchanged, again.counts.total], [total, total], JSON.stringify(again))

  // Home again.
  const before = await contents(a)
  const back = await exported(b)
  const home = await imported(a, back.bytes, { consentToken: await consent(b, back.run.id, a) })
  assert.deepEqual([home.counts.unchanged, home.counts.total], [total, total], JSON.stringify(home))
  assert.deepEqual(await contents(a), before)

  await noUuidOf(a, b)
})

/** No UUID that stands in a row of one tenant occurs in any text of the other's. */
async function noUuidOf(origin: Actor, target: Actor): Promise<void> {
  const tables = await world.oracle.query<{ name: string }>(
    `select table_name as name from information_schema.columns where table_schema = 'portage' and column_name = 'tenant_id'`,
  )
  const text = async (actor: Actor): Promise<string> => {
    const parts: string[] = []
    for (const { name } of tables.rows) {
      const rows = await world.oracle.query<{ t: string }>(
        `select coalesce(string_agg(to_jsonb(x)::text, ' '), '') as t from ${name} x where tenant_id = $1`,
        [actor.tenantId],
      )
      parts.push(rows.rows[0]?.t ?? '')
    }
    return parts.join(' ')
  }
  const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
  const ours = new Set((await text(origin)).match(uuid))
  assert.ok(ours.size > 50)
  // The name of a bundle is the bundle's, and known to both.
  const bundles = await world.oracle.query<{ id: string }>(
    'select bundle_id as id from run_bundle where bundle_id is not null',
  )
  for (const { id } of bundles.rows) {
    ours.delete(id)
  }
  const theirs = (await text(target)).match(uuid) ?? []
  assert.deepEqual(
    [...new Set(theirs)].filter((id) => ours.has(id)),
    [],
  )
}

test('a whole bundle is rolled back, the last import first, and its preview says what comes of it', async () => {
  const a = await newcomer()
  const b = await newcomer()
  const total = await fill(a, 8)
  await world.import(b, 'CONTACT', 'email,first\nzoe3@example.com,Mine\n')
  const before = await contents(b)
  const out = await exported(a)
  const run = await imported(b, out.bytes, { consentToken: await consent(a, out.run.id, b) })
  assert.equal(run.status, 'COMPLETED', JSON.stringify(run))
  assert.deepEqual([run.counts.created, run.counts.updated], [total - 1, 1])
  assert.ok(run.availableActions.includes('ROLL_BACK'))

  const preview = await world.ask(
    b,
    'query ($id: ID!) { rollbackPreview(runId: $id) { willRestore willDelete conflicts } }',
    { id: run.id },
  )
  assert.deepEqual(preview.rollbackPreview, { willRestore: 1, willDelete: total - 1, conflicts: 0 })
  const undo = await world.ask(
    b,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { code message } } }',
    { input: { runId: run.id, idempotencyKey: key(), onConflict: 'ABORT' } },
  )
  assert.deepEqual(undo.runRollback.userErrors, [])
  assert.equal(await world.rested(b, undo.runRollback.rollbackRun.id), 'COMPLETED')
  const after = await bundleRun(b, run.id)
  assert.deepEqual([after.status, after.counts.reverted], ['ROLLED_BACK', total])
  assert.ok(after.importRuns.every(({ status }: Json) => status === 'ROLLED_BACK'))
  assert.deepEqual(await contents(b), before)
})

test('a changed bundle is refused before a row is written, and a passphrase opens what it closed', async () => {
  const a = await newcomer()
  await fill(a, 4, 1)
  const plain = await exported(a)
  const sealed = await exported(a, { passphrase: 'correct horse battery' })
  assert.match(sealed.run.files[0].name, /\.bundle$/)
  assert.equal(Buffer.from(sealed.bytes).includes('manifest.json'), false)
  const code = async (bytes: Uint8Array<ArrayBuffer>, input: object = {}): Promise<string> =>
    (await tryImport(a, bytes, input)).userErrors[0]?.code
  for (const bytes of [plain.bytes, sealed.bytes]) {
    for (const at of [0, 40, bytes.length >> 1, bytes.length - 1]) {
      const changed = new Uint8Array(bytes)
      changed[at] = (changed[at] ?? 0) ^ 4
      assert.equal(await code(changed, { passphrase: 'correct horse battery' }), 'BUNDLE_TAMPERED', `${at}`)
    }
  }
  assert.equal(await code(sealed.bytes), 'PASSPHRASE_WRONG')
  assert.equal(await code(sealed.bytes, { passphrase: 'another horse battery' }), 'PASSPHRASE_WRONG')
  const { rows } = await world.oracle.query<{ n: number }>(
    `select count(*)::int as n from run where tenant_id = $1 and kind = 'BUNDLE_IMPORT'`,
    [a.tenantId],
  )
  assert.equal(rows[0]?.n, 0)
  // One's own bundle needs nobody's consent.
  const home = await imported(a, sealed.bytes, { passphrase: 'correct horse battery' })
  assert.deepEqual([home.status, home.counts.unchanged], ['COMPLETED', home.counts.total], JSON.stringify(home))
  const kept = await world.oracle.query('select from run_bundle where tenant_id = $1 and envelope is not null', [
    a.tenantId,
  ])
  assert.equal(kept.rowCount, 0)
})

test('a bundle of another tenant needs a consent for it and its taker, or a person of both', async () => {
  const a = await newcomer()
  const b = await newcomer()
  const c = await newcomer()
  await world.import(a, 'CONTACT', 'email\na@example.com\n')
  // What looks as if somebody had protected it, and a list whose entries hold what separates entries.
  await world.oracle.query(
    `update contact set notes = '''=1+1', tags = array['a;b', '"q"', 'c, d'] where tenant_id = $1`,
    [a.tenantId],
  )
  const one = await exported(a, { recordTypes: ['CONTACT'] })
  const other = await exported(a, { recordTypes: ['CONTACT'] })
  const code = async (actor: Actor, consentToken: string | null): Promise<string | undefined> =>
    (await tryImport(actor, one.bytes, { consentToken })).userErrors[0]?.code
  const right = await consent(a, one.run.id, b)
  assert.equal(await code(b, null), 'CONSENT_REQUIRED')
  assert.equal(await code(b, await consent(a, other.run.id, b)), 'CONSENT_REQUIRED')
  assert.equal(await code(c, right), 'CONSENT_REQUIRED')
  // The last characters of a signature hold bits that mean nothing.
  const [head, tail] = [right.slice(0, -20), right.slice(-19)]
  assert.equal(await code(b, `${head}${right.at(-20) === 'A' ? 'B' : 'A'}${tail}`), 'CONSENT_REQUIRED')
  assert.equal(await code(b, 'nonsense'), 'CONSENT_REQUIRED')
  // The neighbour cannot consent to what is not theirs.
  const { viewer } = await world.ask(c, '{ viewer { tenantId } }')
  const input = { bundleRunId: one.run.id, targetTenantId: viewer.tenantId }
  const forged = await world.ask(c, consentMutation, { input })
  assert.equal(forged.bundleConsentCreate.userErrors[0].code, 'NOT_FOUND')
  const taken = await imported(b, one.bytes, { consentToken: right })
  assert.equal(taken.status, 'COMPLETED', JSON.stringify(taken))
  assert.deepEqual(await contents(b), await contents(a))

  const save = 'mutation ($input: MemberSaveInput!) { memberSave(input: $input) { userErrors { message } } }'
  const eve = await world.actor(c.tenantId, permissions, 'eve@example.com')
  assert.equal(await code(eve, null), 'CONSENT_REQUIRED')
  const member = (fields: object) => world.ask(a, save, { input: { email: 'eve@example.com', ...fields } })
  await member({})
  assert.equal(await code(eve, null), 'CONSENT_REQUIRED', 'a member of whom nothing is said')
  await member({ permissions: ['BUNDLE_RUN', 'PII_READ'] })
  assert.equal(await code(eve, null), undefined)
  await member({ active: false })
  assert.equal(await code(eve, null), 'CONSENT_REQUIRED')
})

test('each import of a bundle waits for its own confirmation where it is asked for, and canceling one ends the bundle', async () => {
  const a = await newcomer()
  const b = await newcomer()
  const total = await fill(a, 5, 2)
  const out = await exported(a)
  const consentToken = await consent(a, out.run.id, b)
  const { bundleRun: started } = await tryImport(b, out.bytes, { consentToken, confirmation: 'ASK' })
  const waiting = async (count: number): Promise<Json> => {
    for (;;) {
      const run = await bundleRun(b, started.id)
      const last = run.importRuns.at(-1)
      if (run.finishedAt !== null && run.importRuns.length > count) {
        return run
      }
      if (run.importRuns.length === count && last.status === 'AWAITING_CONFIRMATION') {
        return last
      }
      await world.rested(b, last?.id ?? (await anyImport(b)))
    }
  }
  const confirm = async (id: string): Promise<void> => {
    const { importRun } = await world.ask(b, 'query ($id: ID!) { importRun(id: $id) { plan { hash } } }', { id })
    const answer = await world.ask(
      b,
      'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { userErrors { code message } } }',
      { input: { runId: id, planHash: importRun.plan.hash, idempotencyKey: key() } },
    )
    assert.deepEqual(answer.importConfirm.userErrors, [])
  }
  const contacts = await waiting(1)
  assert.deepEqual([contacts.recordType, contacts.counts.created], ['CONTACT', 0])
  await confirm(contacts.id)
  const properties = await waiting(2)
  await world.ask(b, 'mutation ($id: ID!) { runCancel(input: { runId: $id }) { userErrors { message } } }', {
    id: properties.id,
  })
  assert.equal(await world.rested(b, started.id), 'CANCELED')
  const ended = await bundleRun(b, started.id)
  assert.equal(ended.statusReason.code, 'BUNDLE_PART_CANCELED')
  assert.deepEqual([ended.counts.created, ended.counts.unprocessed], [8, total - 8])
})

/** The import that a tenant's newest run is; waits until there is one. */
async function anyImport(actor: Actor): Promise<string> {
  for (;;) {
    const { runs } = await world.ask(actor, '{ runs(first: 1, kinds: [IMPORT]) { nodes { id } } }')
    if (runs.nodes.length > 0) {
      return runs.nodes[0].id
    }
  }
}

test('a custom field that is something else here, or archived, is named before anything is taken', async () => {
  const a = await newcomer()
  const b = await newcomer()
  await fill(a, 2, 1)
  const create = `mutation ($input: CustomFieldCreateInput!) { customFieldCreate(input: $input) { recordSchema { fields { id name } } userErrors { message } } }`
  const make = (fieldKey: string, kind: string) =>
    world.ask(b, create, { input: { recordType: 'CONTACT', field: { key: fieldKey, label: fieldKey, kind } } })
  await make('height', 'TEXT')
  const out = await exported(a)
  const consentToken = await consent(a, out.run.id, b)
  const kind = await tryImport(b, out.bytes, { consentToken })
  assert.match(kind.userErrors[0].message, /custom fields of contacts do not fit.*height.*TEXT.*DECIMAL/)
  const c = await newcomer()
  const made = await world.ask(c, create, {
    input: { recordType: 'CONTACT', field: { key: 'vip', label: 'vip', kind: 'BOOLEAN' } },
  })
  const { id } = made.customFieldCreate.recordSchema.fields.find(({ name }: Json) => name === 'custom.vip')
  await world.ask(c, 'mutation ($id: ID!) { customFieldArchive(input: { id: $id }) { userErrors { code } } }', { id })
  const archived = await tryImport(c, out.bytes, { consentToken: await consent(a, out.run.id, c) })
  assert.match(archived.userErrors[0].message, /vip of contacts, which is archived/)
})

test('a bundle of which all or nothing is wanted is undone as a whole when a row of it fails', async () => {
  const a = await newcomer()
  const b = await newcomer()
  const total = await fill(a, 3, 2)
  // Nobody here may have the phone of somebody else.
  const rule = { recordType: 'CONTACT', kind: 'UNIQUE', fields: ['phone'], severity: 'ERROR', message: 'Taken.' }
  const saved = await world.ask(
    b,
    'mutation ($input: BusinessRuleSaveInput!) { businessRuleSave(input: $input) { userErrors { message } } }',
    { input: rule },
  )
  assert.deepEqual(saved.businessRuleSave.userErrors, [])
  await world.import(b, 'CONTACT', 'first name,phone\nMine,+4915110000001\n')
  const before = await contents(b)
  const out = await exported(a)
  const consentToken = await consent(a, out.run.id, b)
  const run = await imported(b, out.bytes, { consentToken, options: { allOrNothing: true } })
  assert.deepEqual([run.counts.created, run.counts.failed], [total - 1, 1], JSON.stringify(run))
  const { runs } = await world.ask(
    b,
    '{ runs(first: 10, kinds: [ROLLBACK]) { nodes { id status ... on RollbackRun { ofRunId } } } }',
  )
  const whole = runs.nodes.find(({ ofRunId }: Json) => ofRunId === run.id)
  assert.equal(await world.rested(b, whole.id), 'COMPLETED')
  assert.equal((await bundleRun(b, run.id)).status, 'ROLLED_BACK')
  assert.deepEqual(await contents(b), before)
})
