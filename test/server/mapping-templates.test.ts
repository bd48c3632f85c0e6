import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { MAPPING_TEMPLATE_VERSIONS_MAX, MAPPING_TEMPLATES_MAX } from '../../src/limits.js'
import { type Actor, dataOf, type Json, World } from './world.js'

let world: World

before(async () => {
  world = await World.start()
})
after(() => world.close())

const templateFields = `id name recordType version archivedAt createdAt updatedAt
  mapping { columns { column columnIndex field constant confidence } conflicts { code field message } unmappedRequiredFields }`

const saveMutation = `mutation ($input: MappingTemplateSaveInput!) { mappingTemplateSave(input: $input) {
  mappingTemplate { ${templateFields} } userErrors { code field message } } }`

const archiveMutation = `mutation ($input: MappingTemplateArchiveInput!) { mappingTemplateArchive(input: $input) {
  mappingTemplate { ${templateFields} } userErrors { code field message } } }`

const createMutation = `mutation ($input: ImportCreateInput!) { importCreate(input: $input) {
  importRun { id } userErrors { code field message } } }`

const runQuery = `query ($id: ID!) { importRun(id: $id) {
  status statusReason { code message retryable } counts { created updated unchanged failed }
  mapping { columns { column columnIndex field confidence reasons alternatives { field } } conflicts { code field columns message } } } }`

const mapping = [
  { column: 'Vorname', field: 'firstName' },
  { column: 'Nachname', field: 'lastName' },
  { column: 'Kontakt', field: 'email' },
  { column: 'Phone', field: 'phone' },
  { column: 'Kürzel' },
]

const people = `Vorname,Nachname,Kontakt,Phone,Kürzel
Grace,Hopper,grace@example.com,+1 212 555 0101,gh
Alan,Turing,alan@example.com,+44 20 7946 0001,at
`

async function save(actor: Actor, input: object): Promise<Json> {
  const { mappingTemplateSave } = await world.ask(actor, saveMutation, {
    input: { recordType: 'CONTACT', mapping, ...input },
  })
  return mappingTemplateSave
}

async function saved(actor: Actor, input: object): Promise<Json> {
  const { mappingTemplate, userErrors } = await save(actor, input)
  assert.deepEqual(userErrors, [])
  return mappingTemplate
}

async function templates(actor: Actor, recordType: string | null = null): Promise<Json[]> {
  const { mappingTemplates } = await world.ask(
    actor,
    `query ($recordType: RecordType) { mappingTemplates(recordType: $recordType) { ${templateFields} } }`,
    { recordType },
  )
  return mappingTemplates
}

async function importWith(actor: Actor, mappingTemplateId: string, csv: string, more: object = {}): Promise<Json> {
  const id = await world.import(actor, 'CONTACT', csv, {}, { mappingTemplateId, ...more })
  const { importRun } = await world.ask(actor, runQuery, { id })
  return { id, ...importRun }
}

async function refused(actor: Actor, input: object): Promise<Json> {
  const answer = dataOf(
    await world.upload(
      actor,
      createMutation,
      { recordType: 'CONTACT', idempotencyKey: randomBytes(8).toString('hex'), ...input },
      people,
    ),
  )
  assert.equal(answer.importCreate.importRun, null)
  return answer.importCreate.userErrors[0]
}

async function upload(actor: Actor, csv: string): Promise<string> {
  const answer = dataOf(
    await world.upload(
      actor,
      'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code } } }',
      {},
      csv,
    ),
  )
  return answer.fileUpload.file.id
}

async function suggestion(actor: Actor, csv: string): Promise<Json> {
  const { mappingSuggestion } = await world.ask(
    actor,
    `query ($fileId: ID!) { mappingSuggestion(fileId: $fileId, recordType: CONTACT) {
      template { id name version } mapping { columns { column field confidence reasons } } } }`,
    { fileId: await upload(actor, csv) },
  )
  return mappingSuggestion
}

const fieldsOf = (run: Json): Record<string, string | null> =>
  Object.fromEntries(run.mapping.columns.map(({ column, field }: Json) => [column, field]))

test('a saved mapping imports the next file by itself, wherever its columns stand', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'CRM of the branch' })
  assert.equal(template.version, 1)
  assert.deepEqual(template.mapping.conflicts, [])
  assert.deepEqual(
    template.mapping.columns.map(({ column, columnIndex, field }: Json) => [column, columnIndex, field]),
    mapping.map(({ column, field }) => [column, null, field ?? null]),
  )

  const first = await importWith(ada, template.id, people)
  assert.equal(first.status, 'COMPLETED', JSON.stringify(first.statusReason))
  assert.equal(first.counts.created, 2)
  assert.match(first.mapping.columns[0].reasons[0], /“CRM of the branch”, version 1/)

  const turned = `kürzel,PHONE,kontakt,nachname,vorname\ngh,+1 212 555 0101,grace@example.com,Hopper-Foster,Grace\n`
  const second = await importWith(ada, template.id, turned)
  assert.equal(second.status, 'COMPLETED', JSON.stringify(second.statusReason))
  assert.deepEqual(second.counts, { created: 0, updated: 1, unchanged: 0, failed: 0 })
})

test('an import with a template is started once, however often it is asked for', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'nightly' })
  const key = { idempotencyKey: 'night 1' }
  const first = await importWith(ada, template.id, people, key)
  await saved(ada, { id: template.id, name: 'nightly', mapping: mapping.slice(0, 3) })
  const again = await importWith(ada, template.id, people, key)
  assert.equal(again.id, first.id)

  const other = await saved(ada, { name: 'another' })
  const answer = await refused(ada, { mappingTemplateId: other.id, ...key })
  assert.equal(answer.code, 'IDEMPOTENCY_KEY_REUSED')
})

test('a version that is saved later changes nothing of the imports before', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'branch' })
  const before = await importWith(ada, template.id, people)
  const next = await saved(ada, {
    id: template.id,
    name: 'Branch',
    mapping: mapping.map((entry) => (entry.column === 'Phone' ? { ...entry, field: 'mobilePhone' } : entry)),
  })
  assert.equal(next.id, template.id)
  assert.equal(next.version, 2)
  assert.equal(next.name, 'Branch')

  const { importRun } = await world.ask(ada, runQuery, { id: before.id })
  assert.equal(fieldsOf(importRun).Phone, 'phone')
  assert.equal(fieldsOf(await importWith(ada, template.id, people)).Phone, 'mobilePhone')
})

test('a waiting import keeps the version that it was started with', async () => {
  const tenantId = await world.tenant()
  const ada = await world.actor(tenantId)
  const template = await saved(ada, { name: 'kept' })
  const run = await importWith(ada, template.id, people.replace('Phone', 'Phone 1'))
  await saved(ada, { id: template.id, name: 'kept', mapping: mapping.slice(0, 2) })
  const { rows } = await world.oracle.query(
    `select mapping_template_version as version from run where tenant_id = $1 and kind = 'IMPORT'`,
    [(await world.oracle.query('select tenant_id from mapping_template where name = $1', ['kept'])).rows[0].tenant_id],
  )
  assert.equal(run.status, 'AWAITING_MAPPING')
  assert.deepEqual(rows, [{ version: 1 }])
})

test('a column that is missing holds the import, names its likely successor and says what to do', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'with a phone' })
  const run = await importWith(ada, template.id, people.replace('Phone', 'Phone 1'))
  assert.equal(run.status, 'AWAITING_MAPPING')
  assert.equal(run.statusReason.code, 'TEMPLATE_DRIFT')
  assert.equal(run.statusReason.retryable, true)
  assert.deepEqual(
    run.mapping.conflicts.map(({ code, field, columns }: Json) => ({ code, field, columns })),
    [{ code: 'TEMPLATE_DRIFT', field: 'phone', columns: ['Phone', 'Phone 1'] }],
  )
  assert.match(
    run.statusReason.message,
    /“Phone” .* is missing.* “Phone 1” is new, looks like “Phone”.* importMappingUpdate/,
  )
  // What was there is mapped as it was saved; the new one waits for a person.
  assert.equal(fieldsOf(run).Kontakt, 'email')
  assert.equal(fieldsOf(run)['Phone 1'], null)

  const { importMappingUpdate } = await world.ask(
    ada,
    `mutation ($input: ImportMappingUpdateInput!) { importMappingUpdate(input: $input) { importRun { id } userErrors { code message } } }`,
    {
      input: {
        runId: run.id,
        mapping: mapping.map((entry) => (entry.column === 'Phone' ? { ...entry, column: 'Phone 1' } : entry)),
      },
    },
  )
  assert.deepEqual(importMappingUpdate.userErrors, [])
  assert.equal(await world.rested(ada, run.id), 'COMPLETED')
})

test('a new column that resembles a known one is asked about, one that means nothing is left out', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'grows' })
  const [header, ...rows] = people.trim().split('\n')
  const with2 = `${header},Phone 2,Innendienst\n${rows.map((row) => `${row},+1 212 555 0199,x`).join('\n')}\n`
  const run = await importWith(ada, template.id, with2)
  assert.equal(run.status, 'AWAITING_MAPPING')
  assert.deepEqual(
    run.mapping.conflicts.map(({ code, columns }: Json) => ({ code, columns })),
    [{ code: 'TEMPLATE_DRIFT', columns: ['Phone 2'] }],
  )
  assert.match(run.statusReason.message, /“Phone 2” is new, looks like “Phone”/)

  const harmless = `${header},Innendienst\n${rows.map((row) => `${row},x`).join('\n')}\n`
  const other = await importWith(ada, template.id, harmless)
  assert.equal(other.status, 'COMPLETED', JSON.stringify(other.statusReason))
  assert.equal(fieldsOf(other).Innendienst, null)
})

test('a template that names some columns only learns the others from its first file', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'short', mapping: [{ column: 'Kontakt', field: 'email' }] })
  const first = await importWith(ada, template.id, people)
  assert.equal(first.status, 'COMPLETED', JSON.stringify(first.statusReason))
  const again = await importWith(ada, template.id, people)
  assert.equal(again.status, 'COMPLETED')
  assert.equal(again.counts.unchanged, 2)
  const more = await importWith(
    ada,
    template.id,
    people.replaceAll('\n', ',x\n').replace('Kürzel,x', 'Kürzel,Kontakt 2'),
  )
  assert.equal(more.status, 'AWAITING_MAPPING')
  assert.deepEqual(more.mapping.conflicts[0].columns, ['Kontakt 2'])
})

test('a template is offered for the header row that it was saved for, and for one that is nearly the same', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'offered' })
  await saved(ada, { name: 'of other files', mapping: [{ column: 'Mail', field: 'email' }, { column: 'Rest' }] })
  assert.deepEqual((await suggestion(ada, people)).template, { id: template.id, name: 'offered', version: 1 })
  const close = await suggestion(ada, people.replaceAll('\n', ',x\n').replace('Kürzel,x', 'Kürzel,Filiale'))
  assert.equal(close.template.id, template.id)
  assert.equal((await suggestion(ada, 'Name,Mail,Town\nAda,ada@example.com,London\n')).template, null)

  await world.ask(ada, archiveMutation, { input: { id: template.id } })
  assert.equal((await suggestion(ada, people)).template, null)
})

test('an archived template is listed and used no more, and its name is free', async () => {
  const ada = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'old' })
  const { mappingTemplateArchive } = await world.ask(ada, archiveMutation, { input: { id: template.id } })
  assert.notEqual(mappingTemplateArchive.mappingTemplate.archivedAt, null)
  assert.deepEqual(await templates(ada), [])
  assert.equal((await refused(ada, { mappingTemplateId: template.id })).code, 'INVALID_STATE')
  assert.equal((await save(ada, { id: template.id, name: 'old' })).userErrors[0].code, 'INVALID_STATE')
  assert.equal((await saved(ada, { name: 'OLD' })).version, 1)
  const { node } = await world.ask(ada, 'query ($id: ID!) { node(id: $id) { id ... on MappingTemplate { name } } }', {
    id: template.id,
  })
  assert.equal(node.name, 'old')
})

test('names are unique in a tenant and record type, in every case', async () => {
  const ada = await world.actor(await world.tenant())
  await saved(ada, { name: 'Zillow' })
  const { userErrors } = await save(ada, { name: ' zillow ' })
  assert.equal(userErrors[0].code, 'INVALID_INPUT')
  assert.deepEqual(userErrors[0].field, ['name'])
  await saved(ada, { name: 'Zillow', recordType: 'LEAD' })
  const types = (await templates(ada)).map(({ recordType }) => recordType)
  assert.deepEqual(new Set(types), new Set(['CONTACT', 'LEAD']))
  assert.equal((await templates(ada, 'LEAD')).length, 1)
})

test('what can be right for no file is refused when it is saved', async () => {
  const ada = await world.actor(await world.tenant())
  const code = async (input: object): Promise<string> =>
    (await save(ada, { name: 'wrong', ...input })).userErrors[0].code
  assert.equal(await code({ mapping: [{ column: 'A', field: 'nosuch' }] }), 'UNKNOWN_FIELD')
  assert.equal(await code({ mapping: [{ columnIndex: 0, field: 'email' }] }), 'INVALID_INPUT')
  assert.equal(await code({ mapping: [{ column: 'A' }] }), 'INVALID_INPUT')
  assert.equal(await code({ mapping: [{ column: 'A', field: 'birthDate', format: 'nonsense' }] }), 'INVALID_INPUT')
  assert.equal(await code({ name: ' ' }), 'INVALID_INPUT')
  assert.equal(await code({ name: 'x'.repeat(256) }), 'INVALID_INPUT')
  assert.equal(await code({ id: 'mpt_00000000000000000000000001' }), 'NOT_FOUND')
  const both = await refused(ada, { mappingTemplateId: 'mpt_00000000000000000000000001', mapping })
  assert.equal(both.code, 'INVALID_INPUT')
  const lead = await saved(ada, { name: 'of leads', recordType: 'LEAD' })
  assert.equal((await refused(ada, { mappingTemplateId: lead.id })).code, 'INVALID_INPUT')
  assert.equal((await save(ada, { id: lead.id, name: 'of leads' })).userErrors[0].code, 'INVALID_INPUT')
})

test('a custom field that is archived since the template was saved is drift, and never another field', async () => {
  const ada = await world.actor(await world.tenant())
  const create = await world.ask(
    ada,
    `mutation ($input: CustomFieldCreateInput!) { customFieldCreate(input: $input) {
      recordSchema { version fields { id name } } userErrors { code message } } }`,
    { input: { recordType: 'CONTACT', field: { key: 'shortName', label: 'Short name', kind: 'TEXT' } } },
  )
  const { recordSchema } = create.customFieldCreate
  const template = await saved(ada, {
    name: 'with a field of ours',
    mapping: [...mapping.slice(0, 4), { column: 'Kürzel', field: 'custom.shortName' }],
  })
  assert.deepEqual(template.mapping.conflicts, [])
  const { rows } = await world.oracle.query(
    `select v.schema_version as version from mapping_template t join mapping_template_version v on v.template_id = t.id
     where t.name = 'with a field of ours'`,
  )
  // The API counts the fields that everybody has as the first version.
  assert.deepEqual(rows, [{ version: recordSchema.version - 1 }])
  const before = await importWith(ada, template.id, people)
  assert.equal(before.status, 'COMPLETED', JSON.stringify(before.statusReason))
  assert.equal(fieldsOf(before)['Kürzel'], 'custom.shortName')

  await world.ask(
    ada,
    'mutation ($id: ID!) { customFieldArchive(input: { id: $id }) { userErrors { code message } } }',
    { id: recordSchema.fields.find(({ name }: Json) => name === 'custom.shortName').id },
  )
  const [shown] = await templates(ada)
  assert.deepEqual(
    shown.mapping.conflicts.map(({ code, field }: Json) => [code, field]),
    [['TEMPLATE_DRIFT', 'custom.shortName']],
  )
  const run = await importWith(ada, template.id, people)
  assert.equal(run.status, 'AWAITING_MAPPING')
  assert.equal(run.statusReason.code, 'TEMPLATE_DRIFT')
  assert.match(run.statusReason.message, /gives custom\.shortName, which is no field/)
  assert.equal(fieldsOf(run)['Kürzel'], null)
})

test('what members mapped before is suggested again, with its reason, and to no neighbour', async () => {
  const ada = await world.actor(await world.tenant())
  const neighbour = await world.actor(await world.tenant())
  const odd = 'Kryx,Ruf\nGrace,grace@example.com\nAlan,alan@example.com\nEdsger,edsger@example.com\n'
  const of = async (actor: Actor): Promise<Json> => (await suggestion(actor, odd)).mapping.columns[0]
  assert.equal((await of(ada)).field, null)
  await world.import(
    ada,
    'CONTACT',
    odd,
    {},
    {
      mapping: [
        { column: 'Kryx', field: 'firstName' },
        { column: 'Ruf', field: 'email' },
      ],
    },
  )
  const again = await of(ada)
  assert.equal(again.field, 'firstName')
  assert.match(again.reasons[0], /Mapped to First name in an earlier import/)
  assert.equal((await of(neighbour)).field, null)

  const id = await world.import(ada, 'CONTACT', odd.replace('grace@', 'hopper@'))
  const { importRun } = await world.ask(ada, runQuery, { id })
  assert.equal(fieldsOf(importRun)['Kryx'], 'firstName')
})

test('a suggestion that somebody confirmed with its plan is an earlier mapping, too', async () => {
  const ada = await world.actor(await world.tenant())
  const csv = 'E-mail,Last name\nada@example.com,Lovelace\n'
  const id = await world.import(ada, 'CONTACT', csv, {}, { confirmation: 'ASK' })
  const reasons = async (): Promise<string[]> => (await suggestion(ada, csv)).mapping.columns[0].reasons
  assert.ok(!(await reasons()).some((reason) => reason.includes('earlier import')))
  const { importRun } = await world.ask(ada, 'query ($id: ID!) { importRun(id: $id) { plan { hash } } }', { id })
  const { importConfirm } = await world.ask(
    ada,
    'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { userErrors { code message } } }',
    { input: { runId: id, planHash: importRun.plan.hash, idempotencyKey: 'confirm it' } },
  )
  assert.deepEqual(importConfirm.userErrors, [])
  assert.equal(await world.rested(ada, id), 'COMPLETED')
  assert.equal((await reasons())[0], 'Mapped to E-mail in an earlier import.')
})

test('a tenant keeps as many templates, and a template as many versions, as the limits say', async () => {
  const tenantId = await world.tenant()
  const ada = await world.actor(tenantId)
  const template = await saved(ada, { name: 'many' })
  await world.oracle.query(
    `with t as (
       update mapping_template set version = $1 where name = 'many' returning tenant_id, id)
     update mapping_template_version v set version = $1 from t where v.tenant_id = t.tenant_id and v.template_id = t.id`,
    [MAPPING_TEMPLATE_VERSIONS_MAX - 1],
  )
  assert.equal((await saved(ada, { id: template.id, name: 'many' })).version, MAPPING_TEMPLATE_VERSIONS_MAX)
  const { userErrors } = await save(ada, { id: template.id, name: 'many' })
  assert.equal(userErrors[0].code, 'LIMIT_EXCEEDED')

  await world.oracle.query(
    `insert into mapping_template (tenant_id, id, record_type, name, version, created_by)
     select tenant_id, gen_random_uuid(), 'lead', 'copy ' || n, 1, 'test' from mapping_template, generate_series(1, $1) n
     where name = 'many'`,
    [MAPPING_TEMPLATES_MAX - 2],
  )
  await saved(ada, { name: 'the last one' })
  assert.equal((await save(ada, { name: 'one too many' })).userErrors[0].code, 'LIMIT_EXCEEDED')
  await world.ask(ada, archiveMutation, { input: { id: template.id } })
  await saved(ada, { name: 'in its place' })
})

test('templates of a tenant are nothing to its neighbour', async () => {
  const ada = await world.actor(await world.tenant())
  const neighbour = await world.actor(await world.tenant())
  const template = await saved(ada, { name: 'private' })
  assert.deepEqual(await templates(neighbour), [])
  assert.equal((await suggestion(neighbour, people)).template, null)
  assert.equal((await refused(neighbour, { mappingTemplateId: template.id })).code, 'NOT_FOUND')
  assert.equal((await save(neighbour, { id: template.id, name: 'mine' })).userErrors[0].code, 'NOT_FOUND')
  const { mappingTemplateArchive } = await world.ask(neighbour, archiveMutation, { input: { id: template.id } })
  assert.equal(mappingTemplateArchive.userErrors[0].code, 'NOT_FOUND')
  const { node } = await world.ask(neighbour, 'query ($id: ID!) { node(id: $id) { id } }', { id: template.id })
  assert.equal(node, null)
  await saved(neighbour, { name: 'private' })
  assert.equal((await templates(ada))[0].version, 1)
})

test('templates are for those who import or manage mappings', async () => {
  const tenantId = await world.tenant()
  const reader = await world.actor(tenantId, ['RECORD_READ'])
  const manager = await world.actor(tenantId, ['MAPPING_MANAGE'])
  const importer = await world.actor(tenantId, ['IMPORT_RUN'])
  for (const query of [saveMutation, archiveMutation]) {
    const answer = await world.run(reader, query, { input: { id: 'x', name: 'x', recordType: 'CONTACT', mapping: [] } })
    assert.ok(answer.errors.length > 0)
  }
  const listed = await world.run(reader, '{ mappingTemplates { id } }')
  assert.equal(listed.errors[0]?.extensions.code, 'FORBIDDEN')
  await saved(manager, { name: 'managed' })
  await saved(importer, { name: 'imported' })
  assert.equal((await templates(importer)).length, 2)
})
