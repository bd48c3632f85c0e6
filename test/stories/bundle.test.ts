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
const bundleFields = `id kind status statusReason { code message } ${counts} recordTypes snapshotAt availableActions
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
async function fill(actor: Actor, people = 40): Promise<number> {
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
  const properties = [
    'ref,name,price,owner,at',
    ...Array.from(
      { length: 7 },
      (_, n) => `h${n},"House, ${n}",${1000000 + n}.5${n},p${n},2026-03-29T01:30:0${n}.123456Z`,
    ),
  ]
  await run('PROPERTY', properties.join('\n'), {
    ref: 'externalId',
    name: 'name',
    price: 'listPrice',
    owner: 'ownerContact.externalId',
    at: 'custom.inspectedAt',
  })
  const leads = [
    'ref,title,contact,house,on,received',
    ...Array.from(
      { length: 9 },
      (_, n) => `l${n},${note(n)},p${n},h${n % 7},2026-10-2${n},2026-10-25T02:30:00+0${n % 3}:00`,
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
    ...Array.from({ length: 11 }, (_, n) => `a${n},CALL,${note(n)},${note(n + 3)},p${n},l${n % 9},h${n % 7}`),
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
