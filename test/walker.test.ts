/**
 * Tenants that cannot meet. Two tenants with the same kinds of data; every text of the second carries a canary. The
 * schema is walked by introspection: every operation and every field is called by the first tenant, with ids of the second
 * and with ids of nobody. No byte of a canary may come out, and both answers have to be the same.
 */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import ExcelJS from 'exceljs'
import {
  buildClientSchema,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getIntrospectionQuery,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isObjectType,
  isRequiredArgument,
} from 'graphql'
import { decodeId, encodeId, type IdKind } from '../src/ids.js'
import { populated, type SmallCrm } from './helpers/small-crm.js'
import { SocketClient } from './server/socket-client.js'
import { type Actor, dataOf, type GraphQLAnswer, World } from './server/world.js'

const CANARY = `CANARY${randomBytes(6).toString('hex')}`

/** Where webhooks of the test go. */
const NOWHERE = 'http://127.0.0.1:1'

/** Ids of one tenant, one of each kind that an operation can be asked about. */
interface Ids {
  readonly contact: string
  readonly lead: string
  readonly property: string
  readonly activity: string
  readonly file: string
  readonly upload: string
  readonly import: string
  readonly waiting: string
  readonly rollback: string
  readonly bundle: string
  readonly planned: string
  readonly pending: string
  /** An import whose row made a record of another type. */
  readonly related: string
  readonly template: string
  readonly export: string
  readonly exportTemplate: string
  readonly audit: string
  readonly integration: string
  readonly migration: string
  readonly webhook: string
  readonly delivery: string
  readonly rule: string
  readonly customField: string
  readonly pair: string
  readonly member: string
  readonly apiKey: string
  readonly tenant: string
}

let world: World
/** The CRMs that tenants move in from, by tenant. */
const crms = new Map<string, SmallCrm>()
let schema: GraphQLSchema
let ada: Actor
let neighbour: Actor
let own: Ids
let theirs: Ids
/** Fields that were answered, as `Type.field`. */
const reached = new Set<string>()

before(async () => {
  world = await World.start({
    settings: {
      PORTAGE_HUBSPOT_CLIENT_ID: 'app',
      PORTAGE_HUBSPOT_CLIENT_SECRET: 'a secret of the app',
      // Nobody is there.
      PORTAGE_WEBHOOK_ORIGINS: NOWHERE,
    },
    openVendor: (tenantId) => {
      const crm = crms.get(tenantId)
      return crm === undefined ? Promise.reject(new Error('nobody is there')) : Promise.resolve(crm.open())
    },
  })
  ada = await world.actor(await world.tenant('Ada'))
  neighbour = await world.actor(await world.tenant(`${CANARY} Ltd`), undefined, `boss-${CANARY}@example.com`)
  own = await populate(ada, 'alpha')
  theirs = await populate(neighbour, CANARY)
  const { data } = await world.run(ada, getIntrospectionQuery())
  schema = buildClientSchema(data)
})
after(() => world.close())

/** Everything that a tenant can have, with `mark` in every text. */
async function populate(actor: Actor, mark: string): Promise<Ids> {
  const field = (column: string, name: string, extra: object = {}) => ({ column, field: name, ...extra })
  const owner = `owner-${mark}@example.com`.toLowerCase()
  const saved = await world.ask(
    actor,
    'mutation ($input: MemberSaveInput!) { memberSave(input: $input) { member { id } } }',
    {
      input: { email: owner, name: `${mark} owner`, permissions: ['RECORD_READ'] },
    },
  )
  const made = await world.ask(
    actor,
    'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { apiKey { id } } }',
    {
      input: { name: `${mark} key`, permissions: ['RECORD_READ'] },
    },
  )
  const options = { sourceSystem: `system-${mark}`, clearText: `clear ${mark}`, defaultOwnerEmail: owner }

  const contactFields = [
    'displayName',
    'namePrefix',
    'firstName',
    'middleName',
    'lastName',
    'nameSuffix',
    'companyName',
    'jobTitle',
    'department',
    'addressLine1',
    'addressLine2',
    'city',
    'stateOrProvince',
    'postalCode',
    'country',
    'gender',
    'language',
    'industry',
    'contactType',
    'status',
    'source',
    'tags',
    'notes',
    'phone',
    'mobilePhone',
    'homePhone',
    'fax',
  ]
  const contactMapping = [
    field('Key', 'externalId'),
    field('Mail', 'email'),
    field('Second', 'secondaryEmail'),
    field('Site', 'website'),
    field('In', 'linkedinUrl'),
    field('Boss', 'organization.email'),
    ...contactFields.map((name) =>
      field(
        `The ${name}`,
        name,
        name === 'city'
          ? {
              valueMap: [{ from: `from ${mark}`, to: `to ${mark}` }],
              transforms: [{ name: 'removeSuffix', arguments: [{ name: 'suffix', value: ` not ${mark}` }] }],
            }
          : {},
      ),
    ),
  ]
  const contactRow = (key: string, mail: string, boss: string, city = `City ${mark}`) =>
    [
      key,
      mail,
      `second-${mail}`,
      `https://${mark}.example.com`,
      `https://linkedin.example.com/${mark}`,
      boss,
      ...contactFields.map((name) =>
        name === 'city'
          ? city
          : name === 'postalCode'
            ? mark.slice(0, 20)
            : /phone|fax/i.test(name)
              ? `${mark} 12345`
              : `${name} ${mark}`,
      ),
    ].join(',')
  const contactHead = contactMapping.map(({ column }) => column).join(',')
  const first = await world.import(
    actor,
    'CONTACT',
    `${contactHead}\n${contactRow(`org-${mark}`, `org-${mark}@example.com`, '')}\n`,
    options,
    { mapping: contactMapping },
  )
  await world.import(
    actor,
    'CONTACT',
    `${contactHead}\n${contactRow(`one-${mark}`, `one-${mark}@example.com`, `org-${mark}@example.com`)}\n`,
    options,
    { mapping: contactMapping },
  )
  // Changes, a further identity, and a row that fails.
  const csv = `${contactHead}\n${contactRow(`two-${mark}`, `one-${mark}@example.com`, '', `Town ${mark}`)}\n${contactRow(`bad-${mark}`, `not an address ${mark}`, '')}\n`
  const changed = await world.import(
    actor,
    'CONTACT',
    csv,
    { ...options, sourceSystem: `second-${mark}` },
    { mapping: contactMapping },
  )

  const propertyFields = [
    'name',
    'listingId',
    'parcelNumber',
    'propertyType',
    'propertySubType',
    'addressLine1',
    'addressLine2',
    'city',
    'countyOrParish',
    'stateOrProvince',
    'country',
    'subdivisionName',
    'publicRemarks',
    'privateRemarks',
    'source',
    'tags',
    'ownerName',
    'ownerPhone',
    'listAgentName',
    'listAgentPhone',
    'listOfficeName',
  ]
  await simple(
    actor,
    'PROPERTY',
    mark,
    propertyFields,
    {
      externalId: `p-${mark}`,
      'ownerContact.email': `one-${mark}@example.com`,
      listAgentEmail: `agent-${mark}@example.com`,
      listingUrl: `https://l.example.com/${mark}`,
      virtualTourUrl: `https://v.example.com/${mark}`,
      unitNumber: mark.slice(0, 25),
      postalCode: mark.slice(0, 20),
      energyClass: mark.slice(0, 20),
    },
    options,
  )
  const leadFields = [
    'title',
    'source',
    'sourceDetail',
    'campaign',
    'namePrefix',
    'firstName',
    'lastName',
    'displayName',
    'companyName',
    'jobTitle',
    'industry',
    'phone',
    'mobilePhone',
    'addressLine1',
    'addressLine2',
    'city',
    'stateOrProvince',
    'country',
    'propertyType',
    'timeframe',
    'lostReason',
    'description',
    'tags',
  ]
  await simple(
    actor,
    'LEAD',
    mark,
    leadFields,
    {
      externalId: `l-${mark}`,
      email: `lead-${mark}@example.com`,
      website: `https://w.example.com/${mark}`,
      'contact.email': `one-${mark}@example.com`,
      'property.listingId': `listingId ${mark}`,
      postalCode: mark.slice(0, 20),
    },
    options,
  )
  await simple(
    actor,
    'ACTIVITY',
    mark,
    ['subject', 'body', 'outcome', 'location', 'tags'],
    {
      type: 'CALL',
      externalId: `a-${mark}`,
      'contact.email': `one-${mark}@example.com`,
      'lead.email': `lead-${mark}@example.com`,
      'property.listingId': `listingId ${mark}`,
    },
    options,
  )

  // Suggested columns with alternatives, and dates that can be read in two ways: the run waits.
  const waiting = await world.import(
    actor,
    'CONTACT',
    `E-mail,Last name,Birth date,Telephone ${mark}\nw-${mark}@example.com,W ${mark},01/02/1990,1\nv-${mark}@example.com,V ${mark},03/04/1991,2\n`,
    options,
  )

  // An edit between import and rollback is a conflict.
  const { contacts } = await world.ask(
    actor,
    'query ($filter: RecordFilterInput) { contacts(filter: $filter) { nodes { id } } }',
    {
      filter: { where: { field: 'email', operator: 'EQ', value: `one-${mark}@example.com` } },
    },
  )
  const contact: string = contacts.nodes[0].id
  await world.ask(
    actor,
    'mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { userErrors { message } } }',
    {
      input: { recordType: 'CONTACT', id: contact, fields: [{ field: 'city', value: `Edited ${mark}` }] },
    },
  )
  const { runRollback } = await world.ask(
    actor,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { message } } }',
    {
      input: { runId: changed, idempotencyKey: `rollback ${mark}` },
    },
  )
  const rollback: string = runRollback.rollbackRun.id
  await world.rested(actor, rollback)
  await world.oracle.query(
    `update contact set custom_fields = jsonb_build_object('walked', $2::text, $2::text, $2::text) where tenant_id = $1`,
    [actor.tenantId, mark],
  )
  const { bundleExport } = await world.ask(
    actor,
    'mutation ($input: BundleExportInput!) { bundleExport(input: $input) { bundleRun { id } userErrors { message } } }',
    { input: { idempotencyKey: `bundle ${mark}` } },
  )
  const bundle: string = bundleExport.bundleRun.id
  await world.rested(actor, bundle)
  await world.oracle.query(
    `insert into run_bundle_rows (tenant_id, run_id, record_type, storage_key, byte_size, row_count, sha256, columns)
     values ($1, $2, $3, $3, 1, 1, $3, to_jsonb($3::text))`,
    [actor.tenantId, decodeId('run', bundle), mark],
  )
  const settled = await settle(actor, mark, options)

  await world.oracle.query('update run set parent_run_id = $2, root_run_id = $2 where tenant_id = $1 and id = $3', [
    actor.tenantId,
    decodeId('run', first),
    decodeId('run', waiting),
  ])

  const begun = await world.ask(
    actor,
    'mutation ($input: UploadBeginInput!) { uploadBegin(input: $input) { uploadSession { id } } }',
    { input: { name: `${mark}.csv`, byteSize: 10, sha256: '0'.repeat(64), idempotencyKey: `upload ${mark}` } },
  )
  await world.oracle.query(
    `insert into upload_part (tenant_id, session_id, start_byte, byte_size, storage_key)
     select tenant_id, id, 0, 1, $2 from upload_session where tenant_id = $1`,
    [actor.tenantId, `part ${mark}`],
  )
  await world.oracle.query(
    `insert into quarantined_file (tenant_id, id, name, byte_size, sha256, storage_key, signature, uploaded_by, expires_at)
     values ($1, uuidv7(), $2, 1, $2, $2, $2, $2, now() + interval '1 day')`,
    [actor.tenantId, `infected ${mark}`],
  )

  const ids = await world.ask(
    actor,
    `query ($id: ID!) { leads(first: 1) { nodes { id } } properties(first: 1) { nodes { id } } activities(first: 1) { nodes { id } }
       importRun(id: $id) { source { id } files { url } } viewer { tenantId } }`,
    { id: changed },
  )
  return {
    contact,
    lead: ids.leads.nodes[0].id,
    property: ids.properties.nodes[0].id,
    activity: ids.activities.nodes[0].id,
    file: ids.importRun.source.id,
    upload: begun.uploadBegin.uploadSession.id,
    import: first,
    waiting,
    rollback,
    bundle,
    ...settled,
    ...(await populateMigration(actor, mark)),
    ...(await populateWebhook(actor, mark)),
    member: saved.memberSave.member.id,
    apiKey: made.apiKeyCreate.apiKey.id,
    tenant: ids.viewer.tenantId,
  }
}

/** What a tenant sets up and is asked: a plan, a link that waits, a template, a rule, a field of its own, look-alikes. */
async function settle(
  actor: Actor,
  mark: string,
  options: object,
): Promise<
  Pick<
    Ids,
    | 'planned'
    | 'pending'
    | 'related'
    | 'template'
    | 'export'
    | 'exportTemplate'
    | 'audit'
    | 'rule'
    | 'customField'
    | 'pair'
  >
> {
  const { customFieldCreate } = await world.ask(
    actor,
    `mutation ($input: CustomFieldCreateInput!) { customFieldCreate(input: $input) {
      recordSchema { fields { id name } } userErrors { message } } }`,
    {
      input: {
        recordType: 'CONTACT',
        field: { key: 'walked', label: `Label ${mark}`, kind: 'ENUM', options: [mark, 'b'] },
      },
    },
  )
  const made: { id: string; name: string }[] = customFieldCreate.recordSchema.fields
  const { mappingTemplateSave } = await world.ask(
    actor,
    'mutation ($input: MappingTemplateSaveInput!) { mappingTemplateSave(input: $input) { mappingTemplate { id } userErrors { message } } }',
    {
      input: {
        name: `Template ${mark}`,
        recordType: 'CONTACT',
        mapping: [{ column: `Column ${mark}`, field: 'lastName', defaultValue: `Default ${mark}` }],
      },
    },
  )
  // A known record changes, and so does the one that it refers to; the dates have one format.
  const planned = await world.import(
    actor,
    'LEAD',
    `Key,Town,Boss,Boss town,Born,Mail\nl-${mark},Plan ${mark},new-${mark}@example.com,Seat ${mark},31/12/1980,\nfails-${mark},,,,,none ${mark}\n`,
    { ...options, onMissingRelation: 'CREATE' },
    {
      mapping: [
        { column: 'Key', field: 'externalId' },
        { column: 'Town', field: 'city' },
        { column: 'Boss', field: 'contact.email' },
        { column: 'Boss town', field: 'contact.city' },
        { column: 'Born', field: 'expectedCloseDate' },
        { column: 'Mail', field: 'email' },
      ],
      confirmation: 'ASK',
    },
  )
  const wait = (contact: string) =>
    world.import(
      actor,
      'LEAD',
      `Key,Name,Contact\nwaits-${mark},Name ${contact} ${mark},${contact}-${mark}@example.com\n`,
      { ...options, onMissingRelation: 'KEEP_PENDING' },
      {
        mapping: [
          { column: 'Key', field: 'externalId' },
          { column: 'Name', field: 'lastName' },
          { column: 'Contact', field: 'contact.email' },
        ],
      },
    )
  // The second one takes the relation over.
  await wait('before')
  const pending = await wait('later')
  const related = await world.import(
    actor,
    'LEAD',
    `Key,Title,Contact,Contact town\nmakes-${mark},Title ${mark},made-${mark}@example.com,Made ${mark}\n`,
    options,
    {
      mapping: [
        { column: 'Key', field: 'externalId' },
        { column: 'Title', field: 'title' },
        { column: 'Contact', field: 'contact.email' },
        { column: 'Contact town', field: 'contact.city' },
      ],
    },
  )
  const { businessRuleSave } = await world.ask(
    actor,
    'mutation ($input: BusinessRuleSaveInput!) { businessRuleSave(input: $input) { businessRule { id } userErrors { message } } }',
    {
      input: {
        recordType: 'PROPERTY',
        kind: 'ONE_OF',
        fields: ['source'],
        arguments: [{ name: 'value', value: `Value ${mark}` }],
        message: `Message ${mark}`,
        severity: 'WARNING',
      },
    },
  )
  // Looked for after a while by the worker; the answer that people get does not depend on who found the pair. Somebody has decided
  // about it, or the worker would take it away: these two do not look alike.
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into duplicate_pair (tenant_id, id, record_type, left_id, right_id, score, reasons, run_id, row_number, decided_by, decided_at)
     select $1, uuidv7(), 'contact', min(id::text)::uuid, max(id::text)::uuid, 0.9, array[$2], $3, 2, $2, now()
     from contact where tenant_id = $1
     on conflict (tenant_id, left_id, right_id) do update set reasons = excluded.reasons, decided_by = excluded.decided_by,
       decided_at = excluded.decided_at returning id`,
    [actor.tenantId, `reason ${mark}`, decodeId('run', related)],
  )
  // Merged and taken apart again: both leave their traces.
  const pair = encodeId('duplicatePair', rows[0]?.id ?? '')
  for (const decision of ['MERGED', 'OPEN']) {
    const { possibleDuplicateDecide } = await world.ask(
      actor,
      'mutation ($input: DuplicateDecideInput!) { possibleDuplicateDecide(input: $input) { userErrors { message } } }',
      { input: { id: pair, decision } },
    )
    assert.deepEqual(possibleDuplicateDecide.userErrors, [])
  }
  return {
    planned,
    pending,
    related,
    template: mappingTemplateSave.mappingTemplate.id,
    ...(await populateExports(actor, mark)),
    rule: businessRuleSave.businessRule.id,
    customField: made.find(({ name }) => name === 'custom.walked')?.id ?? '',
    pair,
  }
}

/** A template with a schedule, and an export of it. */
async function populateExports(actor: Actor, mark: string): Promise<Pick<Ids, 'export' | 'exportTemplate' | 'audit'>> {
  const { exportTemplateSave } = await world.ask(
    actor,
    'mutation ($input: ExportTemplateSaveInput!) { exportTemplateSave(input: $input) { exportTemplate { id } userErrors { message } } }',
    {
      input: {
        name: `Export of ${mark}`,
        recordType: 'CONTACT',
        filter: { where: { field: 'city', operator: 'NEQ', value: `not ${mark}` } },
        columns: [{ field: 'email', header: `Mail ${mark}` }, { field: 'city' }],
        schedule: '0 6 1 1 *',
        timeZone: 'Europe/Berlin',
      },
    },
  )
  assert.deepEqual(exportTemplateSave.userErrors, [])
  const exportTemplate = exportTemplateSave.exportTemplate.id
  const { exportCreate } = await world.ask(
    actor,
    'mutation ($input: ExportCreateInput!) { exportCreate(input: $input) { exportRun { id } userErrors { message } } }',
    { input: { recordType: 'CONTACT', templateId: exportTemplate, idempotencyKey: `export ${mark}` } },
  )
  assert.deepEqual(exportCreate.userErrors, [])
  assert.equal(await world.rested(actor, exportCreate.exportRun.id), 'COMPLETED')
  await world.oracle.query(
    `update export_template set next_run_at = null, disabled_reason = jsonb_build_object('code', 'X', 'message', $2::text, 'retryable', false)
     where tenant_id = $1`,
    [actor.tenantId, `disabled ${mark}`],
  )
  const { auditExport } = await world.ask(
    actor,
    'mutation ($input: AuditExportInput!) { auditExport(input: $input) { run { id } userErrors { message } } }',
    { input: { from: '2020-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z', idempotencyKey: `audit ${mark}` } },
  )
  assert.deepEqual(auditExport.userErrors, [])
  assert.equal(await world.rested(actor, auditExport.run.id), 'COMPLETED')
  return { export: exportCreate.exportRun.id, exportTemplate, audit: auditExport.run.id }
}

/** A connected CRM, and a migration out of it that has been promoted and proven. */
async function populateWebhook(actor: Actor, mark: string): Promise<Pick<Ids, 'webhook' | 'delivery'>> {
  const { webhookSave, notificationPreferencesUpdate } = await world.ask(
    actor,
    `mutation ($input: WebhookSaveInput!) {
       webhookSave(input: $input) { webhook { id } userErrors { message } }
       notificationPreferencesUpdate(input: { tenantEmails: [RUN_FAILED], myEmails: [RUN_FAILED] }) { userErrors { message } } }`,
    { input: { url: `${NOWHERE}/${mark}`, events: ['RUN_ROLLED_BACK'] } },
  )
  assert.deepEqual([webhookSave.userErrors, notificationPreferencesUpdate.userErrors], [[], []])
  const webhook: string = webhookSave.webhook.id
  await world.ask(
    actor,
    'mutation ($input: WebhookSaveInput!) { webhookSave(input: $input) { userErrors { message } } }',
    { input: { id: webhook, url: `${NOWHERE}/${mark}`, events: ['RUN_ROLLED_BACK'], rotateSecret: true } },
  )
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into webhook_delivery (tenant_id, webhook_id, outbox_id, event, run_id, body, attempts, attempted_at, status, error, next_attempt_at)
     select $1, $2, uuidv7(), 'RUN_ROLLED_BACK', id, $3, 1, now(), 500, $3, null from run where tenant_id = $1 limit 1 returning id`,
    [actor.tenantId, decodeId('webhook', webhook), `body ${mark}`],
  )
  await world.oracle.query(
    `insert into mail (tenant_id, outbox_id, receiver, error) select tenant_id, id, $2, $2 from outbox where tenant_id = $1 limit 1`,
    [actor.tenantId, `reader-${mark}@example.com`],
  )
  return { webhook, delivery: encodeId('webhookDelivery', rows[0]?.id ?? '') }
}

async function populateMigration(actor: Actor, mark: string): Promise<Pick<Ids, 'integration' | 'migration'>> {
  const crm = populated(1)
  for (const record of Object.values(crm.records).flat()) {
    record.values = Object.fromEntries(
      Object.entries(record.values).map(([name, value]) => [
        name,
        name === 'kind' ? value : name === 'mail' ? `moved-${mark}@example.com` : `${value} ${mark}`,
      ]),
    )
  }
  crms.set(actor.tenantId, crm)
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into integration (tenant_id, id, system, status, login_origin, account, account_name, api_origin, access_token, connected_at, created_by, scopes)
     values ($1, uuidv7(), 'hubspot', 'CONNECTED', $2, $2, $2, $2, $2, now(), $2, array[$2]) returning id`,
    [actor.tenantId, `hub ${mark}`],
  )
  const integrationId = rows[0]?.id ?? ''
  await world.oracle.query(
    `insert into api_budget (tenant_id, integration_id, lane, tokens, filled_at, day_used, day_limit, day_ends_at)
     values ($1, $2, 'main', 1, now(), 5, 100000, now() + interval '1 day')`,
    [actor.tenantId, integrationId],
  )
  const begun = await world.ask(
    actor,
    'mutation ($input: IntegrationBeginInput!) { integrationBegin(input: $input) { userErrors { message } } }',
    { input: { system: 'HUBSPOT', redirectUri: `${world.url}/oauth/callback` } },
  )
  assert.deepEqual(begun.integrationBegin.userErrors, [])
  const integration = encodeId('integration', integrationId)
  const object = (name: string, recordType: string) => ({ object: name, recordType })
  const created = await world.ask(
    actor,
    'mutation ($input: MigrationCreateInput!) { migrationCreate(input: $input) { migration { id } userErrors { message } } }',
    {
      input: {
        integrationId: integration,
        objects: [
          object('companies', 'CONTACT'),
          object('people', 'CONTACT'),
          object('deals', 'LEAD'),
          object('calls', 'ACTIVITY'),
        ],
        idempotencyKey: `migration ${mark}`,
      },
    },
  )
  assert.deepEqual(created.migrationCreate.userErrors, [])
  const migration: string = created.migrationCreate.migration.id
  assert.equal(await world.rested(actor, migration), 'AWAITING_MAPPING')
  for (const step of ['migrationStage', 'migrationPromote']) {
    const answer = await world.ask(
      actor,
      `mutation ($input: MigrationInput!) { ${step}(input: $input) { userErrors { message } } }`,
      { input: { migrationId: migration, idempotencyKey: `${step} ${mark}` } },
    )
    assert.deepEqual(answer[step].userErrors, [])
    await world.rested(actor, migration)
  }
  const proven = await world.ask(actor, 'query ($id: ID!) { migration(id: $id) { stage statusReason { message } } }', {
    id: migration,
  })
  assert.equal(proven.migration.stage, 'READY_FOR_DELTA', JSON.stringify(proven))
  // Pages are there only while an object is read, and what has changed at the source only until somebody has looked.
  await world.oracle.query(
    `insert into migration_page (tenant_id, run_id, object, pass, number, storage_key, row_count, byte_size)
     values ($1, $2, 'people', 9, 1, $3, 1, 1)`,
    [actor.tenantId, decodeId('run', migration), `page ${mark}`],
  )
  const scheduled = await world.ask(
    actor,
    'mutation ($input: MigrationScheduleInput!) { migrationScheduleSet(input: $input) { userErrors { message } } }',
    { input: { migrationId: migration, schedule: '0 6 1 1 *', timeZone: 'Europe/Berlin' } },
  )
  assert.deepEqual(scheduled.migrationScheduleSet.userErrors, [])
  await world.oracle.query(
    `update run_migration set next_due_at = null, schedule_disabled = jsonb_build_object('code', 'X', 'message', $3::text, 'retryable', false)
     where tenant_id = $1 and run_id = $2`,
    [actor.tenantId, decodeId('run', migration), `disabled ${mark}`],
  )
  const conflict = { code: 'TEMPLATE_DRIFT', field: mark, columns: [mark], message: mark, values: [mark], readings: [] }
  await world.oracle.query(
    'update migration_object set drift = $3::jsonb, conflicts = $3::jsonb, problems = $4::jsonb where tenant_id = $1 and run_id = $2',
    [
      actor.tenantId,
      decodeId('run', migration),
      JSON.stringify([conflict]),
      JSON.stringify({ FURTHER_VALUES: { count: 1, message: mark, externalId: mark } }),
    ],
  )
  return { integration, migration }
}

async function simple(
  actor: Actor,
  type: string,
  mark: string,
  fields: readonly string[],
  given: Readonly<Record<string, string>>,
  options: object,
): Promise<void> {
  const values = {
    ...Object.fromEntries(fields.map((name) => [name, /phone/i.test(name) ? `${mark} 12345` : `${name} ${mark}`])),
    ...given,
  }
  const mapping = Object.keys(values).map((name) => ({ column: `The ${name}`, field: name }))
  const id = await world.import(
    actor,
    type,
    `${mapping.map(({ column }) => column).join(',')}\n${Object.values(values).join(',')}\n`,
    options,
    { mapping },
  )
  const { importRun } = await world.ask(
    actor,
    'query ($id: ID!) { importRun(id: $id) { counts { created } issues { nodes { message value } } } }',
    { id },
  )
  assert.equal(importRun.counts.created, 1, JSON.stringify(importRun))
}

// ------------------------------------------------------------------------------------------------ the cases

/** Where an operation's arguments come from: each text is one call, `''` a call without arguments. */
const queryCases: Readonly<Record<string, (ids: Ids) => readonly string[]>> = {
  viewer: () => [''],
  node: (ids) => Object.values(ids).map((id) => `(id: "${id}")`),
  contacts: (ids) => lists(ids, ids.contact, 'organization', ids.contact),
  leads: (ids) => lists(ids, ids.lead, 'contact', ids.contact),
  properties: (ids) => lists(ids, ids.property, 'ownerContact', ids.contact),
  activities: (ids) => lists(ids, ids.activity, 'lead', ids.lead),
  recordSchema: () => ['(recordType: CONTACT)', '(recordType: ACTIVITY)'],
  file: (ids) => [`(id: "${ids.file}")`],
  uploadSession: (ids) => [`(id: "${ids.upload}")`],
  mappingSuggestion: (ids) => [
    `(fileId: "${ids.file}")`,
    `(fileId: "${ids.file}", recordType: LEAD, source: { delimiter: "," })`,
  ],
  transforms: () => [''],
  mappingTemplates: () => ['', '(recordType: CONTACT)'],
  businessRules: () => ['', '(recordType: PROPERTY)'],
  possibleDuplicates: (ids) => ['(first: 10)', `(first: 10, runId: "${ids.pending}")`],
  run: (ids) => [
    `(id: "${ids.import}")`,
    `(id: "${ids.rollback}")`,
    `(id: "${ids.waiting}")`,
    `(id: "${ids.bundle}")`,
    `(id: "${ids.audit}")`,
  ],
  importRun: (ids) => [ids.import, ids.waiting, ids.planned, ids.pending, ids.related].map((id) => `(id: "${id}")`),
  exportRun: (ids) => [`(id: "${ids.export}")`],
  exportPreview: (ids) => [
    '(input: { recordType: CONTACT, idempotencyKey: "" })',
    `(input: { recordType: CONTACT, filter: { where: { field: "id", operator: EQ, value: "${ids.contact}" } }, idempotencyKey: "" })`,
    `(input: { recordType: CONTACT, templateId: "${ids.exportTemplate}", idempotencyKey: "" })`,
  ],
  exportTemplates: () => [''],
  integrations: () => [''],
  integrationObjects: (ids) => [`(integrationId: "${ids.integration}")`],
  migration: (ids) => [`(id: "${ids.migration}")`],
  migrations: () => ['(first: 1)'],
  webhooks: () => [''],
  notificationPreferences: () => [''],
  runs: () => ['(first: 5)', '(first: 5, kinds: [ROLLBACK])', '(first: 5, kinds: [EXPORT])'],
  rollbackPreview: (ids) => [`(runId: "${ids.import}")`, `(runId: "${ids.pending}")`],
  apiKeys: () => [''],
  auditEntries: () => ['(first: 5)', '(first: 5, action: "Mutation.memberSave")'],
  auditVerification: () => [''],
  auditHead: () => [''],
  quotas: () => [''],
  members: () => [''],
}

function lists(_ids: Ids, id: string, reference: string, to: string): string[] {
  return [
    '(first: 10)',
    `(first: 10, filter: { where: { field: "id", operator: EQ, value: "${id}" } })`,
    `(first: 10, filter: { where: { field: "${reference}", operator: IN, values: ["${to}"] } })`,
  ]
}

/** Mutations that name something by its id: only these can be asked about a neighbour. */
const mutationCases: Readonly<Record<string, (ids: Ids) => readonly string[]>> = {
  // Brings a file and names nothing; the stories of the tests call it.
  fileUpload: () => [],
  uploadBegin: () => [],
  uploadComplete: (ids) => [`(input: { uploadSessionId: "${ids.upload}" })`],
  importCreate: (ids) => [
    `(input: { fileId: "${ids.file}", recordType: CONTACT, idempotencyKey: "walk" })`,
    // A file of one's own by a template of theirs.
    `(input: { fileId: "${own.file}", mappingTemplateId: "${ids.template}", recordType: CONTACT, idempotencyKey: "walk in" })`,
  ],
  mappingTemplateSave: (ids) => [`(input: { id: "${ids.template}", name: "walk", recordType: CONTACT, mapping: [] })`],
  mappingTemplateArchive: (ids) => [`(input: { id: "${ids.template}" })`],
  // Makes a field and names nothing.
  customFieldCreate: () => [],
  customFieldArchive: (ids) => [`(input: { id: "${ids.customField}" })`],
  businessRuleSave: (ids) => [
    `(input: { id: "${ids.rule}", recordType: PROPERTY, kind: REQUIRED_IF, fields: ["source"], message: "walk", severity: ERROR })`,
  ],
  businessRuleDelete: (ids) => [`(input: { id: "${ids.rule}" })`],
  possibleDuplicateDecide: (ids) => [
    `(input: { id: "${ids.pair}", decision: DISTINCT })`,
    `(input: { id: "${ids.pair}", decision: MERGED, survivorId: "${own.contact}" })`,
    // A pair of one's own that is to become their record.
    `(input: { id: "${own.pair}", decision: MERGED, survivorId: "${ids.contact}" })`,
  ],
  importMappingUpdate: (ids) => [`(input: { runId: "${ids.waiting}", mapping: [] })`],
  importPlan: (ids) => [ids.import, ids.planned].map((id) => `(input: { runId: "${id}" })`),
  importConfirm: (ids) =>
    [ids.import, ids.planned].map((id) => `(input: { runId: "${id}", idempotencyKey: "walk on" })`),
  importRowsFix: (ids) => [
    `(input: { runId: "${ids.import}", rows: [{ rowNumber: 2, cells: [] }], idempotencyKey: "walk fix" })`,
  ],
  importRetryFailed: (ids) => [`(input: { runId: "${ids.import}", idempotencyKey: "walk again" })`],
  exportCreate: (ids) => [
    `(input: { recordType: CONTACT, templateId: "${ids.exportTemplate}", idempotencyKey: "walk out" })`,
  ],
  exportTemplateSave: (ids) => [`(input: { id: "${ids.exportTemplate}", name: "walk", recordType: CONTACT })`],
  exportTemplateDelete: (ids) => [`(input: { id: "${ids.exportTemplate}" })`],
  runPause: (ids) =>
    [ids.import, ids.waiting, ids.rollback, ids.export, ids.audit].map((id) => `(input: { runId: "${id}" })`),
  runResume: (ids) => [ids.import, ids.waiting, ids.rollback].map((id) => `(input: { runId: "${id}" })`),
  runCancel: (ids) => [ids.import, ids.waiting, ids.rollback].map((id) => `(input: { runId: "${id}" })`),
  runRollback: (ids) => [`(input: { runId: "${ids.import}", idempotencyKey: "walk back" })`],
  recordUpdate: (ids) => [
    `(input: { recordType: CONTACT, id: "${ids.contact}", fields: [{ field: "city", value: "x" }] })`,
    // A record of one's own that is to refer to theirs.
    `(input: { recordType: LEAD, id: "${own.lead}", fields: [{ field: "contact", value: "${ids.contact}" }] })`,
    `(input: { recordType: LEAD, id: "${own.lead}", fields: [{ field: "property", value: "${ids.property}" }] })`,
  ],
  recordDelete: (ids) => [
    `(input: { recordType: CONTACT, id: "${ids.contact}" })`,
    `(input: { recordType: LEAD, id: "${ids.lead}" })`,
    `(input: { recordType: PROPERTY, id: "${ids.property}" })`,
    `(input: { recordType: ACTIVITY, id: "${ids.activity}" })`,
  ],
  // Names nothing.
  auditExport: () => [],
  bundleExport: () => [],
  bundleImport: (ids) => [`(input: { fileId: "${ids.file}", idempotencyKey: "walk" })`],
  bundleConsentCreate: (ids) => [
    `(input: { bundleRunId: "${ids.bundle}", targetTenantId: "${ids.tenant}" })`,
    `(input: { bundleRunId: "${ids.import}", targetTenantId: "${ids.tenant}" })`,
  ],
  // Names nothing; the stories of integrations call both.
  integrationBegin: () => [],
  integrationComplete: () => [],
  integrationRevoke: (ids) => [`(input: { integrationId: "${ids.integration}" })`],
  migrationScheduleSet: (ids) => [`(input: { migrationId: "${ids.migration}", schedule: "0 6 1 1 *" })`],
  migrationCreate: (ids) => [
    `(input: { integrationId: "${ids.integration}", objects: [{ object: "people", recordType: CONTACT }], idempotencyKey: "walk" })`,
  ],
  migrationMappingUpdate: (ids) => [`(input: { migrationId: "${ids.migration}", object: "people", mapping: [] })`],
  migrationStage: (ids) => [`(input: { migrationId: "${ids.migration}", idempotencyKey: "walk Stage" })`],
  migrationPromote: (ids) => [`(input: { migrationId: "${ids.migration}", idempotencyKey: "walk Promote" })`],
  migrationVerify: (ids) => [`(input: { migrationId: "${ids.migration}", idempotencyKey: "walk Verify" })`],
  migrationSyncDelta: (ids) => [`(input: { migrationId: "${ids.migration}", idempotencyKey: "walk SyncDelta" })`],
  webhookSave: (ids) => [`(input: { id: "${ids.webhook}", url: "${NOWHERE}/walk", events: [RUN_ROLLED_BACK] })`],
  webhookDelete: (ids) => [`(input: { id: "${ids.webhook}" })`],
  webhookDeliveryReplay: (ids) => [`(input: { id: "${ids.delivery}" })`],
  notificationPreferencesUpdate: () => [],
  // Names somebody by an address: a stranger's address makes a member of one's own.
  memberSave: () => [],
  apiKeyCreate: () => [],
  apiKeyRevoke: (ids) => [`(input: { id: "${ids.apiKey}" })`],
}

const subscriptionCases: Readonly<Record<string, (ids: Ids) => readonly string[]>> = {
  runEvents: (ids) => [ids.import, ids.waiting, ids.rollback].map((id) => `(runId: "${id}")`),
  tenantEvents: () => [],
}

/** Ids that nobody has. */
function nobodys(): Ids {
  const kinds: Readonly<Record<keyof Ids, IdKind>> = {
    contact: 'contact',
    lead: 'lead',
    property: 'property',
    activity: 'activity',
    file: 'file',
    upload: 'uploadSession',
    import: 'run',
    waiting: 'run',
    rollback: 'run',
    bundle: 'run',
    planned: 'run',
    pending: 'run',
    related: 'run',
    template: 'mappingTemplate',
    export: 'run',
    exportTemplate: 'exportTemplate',
    audit: 'run',
    integration: 'integration',
    migration: 'run',
    webhook: 'webhook',
    delivery: 'webhookDelivery',
    rule: 'businessRule',
    customField: 'customField',
    pair: 'duplicatePair',
    member: 'member',
    apiKey: 'apiKey',
    tenant: 'tenant',
  }
  return Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, encodeId(kind, randomUUID())]),
  ) as unknown as Ids
}

// ------------------------------------------------------------------------------------------------ the walk

interface Step {
  readonly type: GraphQLObjectType
  readonly path: readonly string[]
  readonly wrap: (selection: string) => string
}

/** For every object type below a field, the shortest way to it. */
function waysBelow(field: string, args: string, type: GraphQLNamedType): Step[] {
  const steps: Step[] = []
  const seen = new Set<string>()
  let front = enter(type, [field], (inner) => `${field}${args} { ${inner} }`)
  while (front.length > 0) {
    const next: Step[] = []
    for (const step of front) {
      if (seen.has(step.type.name)) {
        continue
      }
      seen.add(step.type.name)
      steps.push(step)
      for (const child of Object.values(step.type.getFields())) {
        const childType = getNamedType(child.type)
        if (isCompositeType(childType) && !child.args.some(isRequiredArgument)) {
          // Lists within lists are within the cost of an operation where each of them is short.
          const call = child.args.some(({ name }) => name === 'first') ? `${child.name}(first: 5)` : child.name
          next.push(...enter(childType, [...step.path, child.name], (inner) => step.wrap(`${call} { ${inner} }`)))
        }
      }
    }
    front = next
  }
  return steps
}

function enter(type: GraphQLNamedType, path: readonly string[], wrap: (selection: string) => string): Step[] {
  if (isAbstractType(type)) {
    return schema.getPossibleTypes(type).map((possible) => ({
      type: possible,
      path,
      wrap: (inner) => wrap(`__typename ... on ${possible.name} { ${inner} }`),
    }))
  }
  return isObjectType(type) ? [{ type, path, wrap }] : []
}

/** All fields of a type; of those that hold objects no more than that they do. */
function fieldsOf(type: GraphQLObjectType): string {
  const fields = Object.values(type.getFields()).map((field) =>
    isCompositeType(getNamedType(field.type)) ? `${field.name} { __typename }` : field.name,
  )
  return ['__typename', ...fields].join(' ')
}

/** Notes which fields an answer holds, below every object of it. */
function note(value: unknown, type: GraphQLNamedType | undefined): void {
  if (Array.isArray(value)) {
    value.forEach((item) => note(item, type))
  } else if (typeof value === 'object' && value !== null) {
    const named = '__typename' in value ? schema.getType(String(value.__typename)) : type
    if (isObjectType(named)) {
      for (const [name, member] of Object.entries(value)) {
        if (name !== '__typename') {
          reached.add(`${named.name}.${name}`)
          note(member, getNamedType(named.getFields()[name]?.type))
        }
      }
    }
  }
}

function assertSilent(text: string, what: string): void {
  assert.ok(!text.toLowerCase().includes(CANARY.toLowerCase()), `${what}: ${text}`)
}

/** An answer without what is different each time. */
function comparable(answer: GraphQLAnswer): string {
  return answer.text.replaceAll(/[0-9a-f]{12}\./g, 'reference.')
}

/** Calls everything below one operation; answers the answers. Below nothing there is nothing: then its first objects suffice. */
async function walk(actor: Actor, kind: 'query' | 'mutation', field: string, args: string): Promise<GraphQLAnswer[]> {
  const root = kind === 'query' ? schema.getQueryType() : schema.getMutationType()
  const type = getNamedType(root?.getFields()[field]?.type)
  assert.ok(type !== undefined)
  const answers: GraphQLAnswer[] = []
  for (const step of waysBelow(field, args, type)) {
    const answer = await world.run(actor, `${kind} { ${step.wrap(fieldsOf(step.type))} }`)
    assert.notEqual(answer.errors[0]?.extensions.code, 'OPERATION_TOO_LARGE', step.path.join('.'))
    assert.notEqual(answer.errors[0]?.extensions.code, 'GRAPHQL_VALIDATION_FAILED', answer.text)
    assert.notEqual(answer.errors[0]?.extensions.code, 'INTERNAL_SERVER_ERROR', `${step.path.join('.')} ${answer.text}`)
    note(answer.data, root ?? undefined)
    answers.push(answer)
    // What a mutation does is done, and its payload is a query's objects.
    if (
      kind === 'mutation' ||
      (step.path.length === 1 &&
        answers.every(({ data }) => data?.[field] == null) &&
        answers.length === firstSteps(type))
    ) {
      break
    }
  }
  return answers
}

function firstSteps(type: GraphQLNamedType): number {
  return isAbstractType(type) ? schema.getPossibleTypes(type).length : 1
}

test('every operation has a case', () => {
  for (const [root, cases] of [
    [schema.getQueryType(), queryCases],
    [schema.getMutationType(), mutationCases],
    [schema.getSubscriptionType(), subscriptionCases],
  ] as const) {
    assert.deepEqual(Object.keys(cases).toSorted(), Object.keys(root?.getFields() ?? {}).toSorted())
  }
})

test('the canary sits in every text that the neighbour has, and they hear it themselves [IS-2]', async () => {
  const answers = await Promise.all(
    Object.keys(queryCases).map((field) => walk(neighbour, 'query', field, queryCases[field]?.(theirs)[0] ?? '')),
  )
  const heard = answers.flat().filter(({ text }) => text.includes(CANARY))
  assert.ok(heard.length > 30, `${heard.length} of the neighbour's own answers hold the canary`)

  const columns = await world.oracle.query<{ table: string; column: string; type: string; checked: boolean }>(
    `select c.relname as table, a.attname as column, format_type(a.atttypid, null) as type,
       exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'c' and a.attnum = any (k.conkey)
               and pg_get_constraintdef(k.oid) ~ ('\\m' || a.attname || '\\M.* = ANY')) as checked
     from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
     where n.nspname = 'portage' and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
       -- Work that is done, and gone, within moments; what remains of a tenant that is gone.
       and c.relname not in ('duplicate_search', 'tenant_tombstone')
       and format_type(a.atttypid, null) in ('text', 'text[]', 'jsonb')
       and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')`,
  )
  assert.ok(columns.rows.length > 150)
  const silent: string[] = []
  for (const { table, column, type, checked } of columns.rows) {
    const has = async () =>
      (
        await world.oracle.query(`select 1 from ${table} where tenant_id = $1 and ${column}::text ilike $2 limit 1`, [
          neighbour.tenantId,
          `%${CANARY}%`,
        ])
      ).rowCount === 1
    if (checked || (await has())) {
      continue
    }
    // What no request can fill is filled by hand.
    const value = type === 'jsonb' ? 'to_jsonb($2::text)' : type === 'text[]' ? 'array[$2::text]' : '$2::text'
    await world.oracle.query("set session_replication_role = 'replica'")
    await world.oracle
      .query(
        `update ${table} set ${column} = ${value} where ctid in (select ctid from ${table} where tenant_id = $1 limit 1)`,
        [neighbour.tenantId, CANARY],
      )
      .catch(() => undefined)
    await world.oracle.query("set session_replication_role = 'origin'")
    if (!(await has())) {
      silent.push(`${table}.${column}`)
    }
  }
  // Hashes and codes that can only be what they are.
  assert.deepEqual(silent.toSorted(), SILENT)
})

/** Columns whose values follow a rule that no canary fits. */
const SILENT: readonly string[] = ['audit_entry.detail', 'lead.currency', 'property.currency']

for (const field of Object.keys(queryCases)) {
  test(`query ${field} says nothing of the neighbour, and of their ids what it says of any [IS-2] [IS-3]`, async () => {
    for (const [index, args] of (queryCases[field]?.(own) ?? []).entries()) {
      for (const answer of await walk(ada, 'query', field, args)) {
        assertSilent(answer.text, `own ${field}`)
      }
      const foreign = queryCases[field]?.(theirs)[index] ?? ''
      if (foreign !== args) {
        const answers = await walk(ada, 'query', field, foreign)
        const random = await walk(ada, 'query', field, queryCases[field]?.(nobodys())[index] ?? '')
        answers.forEach((answer) => assertSilent(answer.text, `their ${field}`))
        assert.deepEqual(answers.map(comparable), random.map(comparable))
      }
    }
  })
}

test('mutations answer to the neighbour’s ids as to any, and change nothing there [IS-2] [IS-3]', async () => {
  const before = await snapshot(neighbour.tenantId)
  for (const [field, cases] of Object.entries(mutationCases)) {
    for (const [index, args] of cases(theirs).entries()) {
      const [foreign] = await walk(ada, 'mutation', field, args)
      const [random] = await walk(ada, 'mutation', field, cases(nobodys())[index] ?? '')
      assert.ok(foreign !== undefined && random !== undefined)
      assertSilent(foreign.text, field)
      assert.equal(comparable(foreign), comparable(random), field)
      assert.equal(foreign.status, 200)
    }
  }
  assert.deepEqual(await snapshot(neighbour.tenantId), before)
})

test('a neighbour’s address, key and words make nothing but one’s own', async () => {
  const before = await snapshot(neighbour.tenantId)
  const member = await world.ask(
    ada,
    'mutation ($input: MemberSaveInput!) { memberSave(input: $input) { member { id name } } }',
    {
      input: { email: `owner-${CANARY}@example.com` },
    },
  )
  assert.equal(member.memberSave.member.name, null)
  assert.notEqual(member.memberSave.member.id, theirs.member)
  // The neighbour used this key.
  const started = await world.ask(
    ada,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { code } } }',
    {
      input: { runId: own.waiting, idempotencyKey: `rollback ${CANARY}` },
    },
  )
  assert.equal(started.runRollback.userErrors[0].code, 'INVALID_STATE')
  assert.deepEqual(await snapshot(neighbour.tenantId), before)
})

test('streams of the neighbour’s runs are refused like those of any, and none of their events come', async () => {
  const socket = await SocketClient.open(world.url, ada.token)
  socket.subscribe(
    'all',
    'subscription { tenantEvents(after: "00000000000000000000", minIntervalMs: 0) { __typename sequence at runId previousSequence } }',
  )
  for (const [index, args] of (subscriptionCases.runEvents?.(theirs) ?? []).entries()) {
    const ask = (given: string) => `subscription { runEvents${given} { sequence runId } }`
    const foreign = await socket.answer(`their ${index}`, ask(args))
    const random = await socket.answer(`any ${index}`, ask(subscriptionCases.runEvents?.(nobodys())[index] ?? ''))
    assert.deepEqual({ ...foreign, id: '' }, { ...random, id: '' })
  }
  await world.import(neighbour, 'CONTACT', `E-mail,Last name\nlate-${CANARY}@example.com,Late ${CANARY}\n`)
  const last = await world.oracle.query<{ last: string }>(
    'select last::text from tenant_sequence where tenant_id = $1',
    [ada.tenantId],
  )
  for (;;) {
    const message = await socket.next(({ id, type }) => id === 'all' && type === 'next')
    assertSilent(JSON.stringify(message), 'tenantEvents')
    const event = message.payload.data.tenantEvents
    const mine = await world.oracle.query('select 1 from event where tenant_id = $1 and sequence = $2', [
      ada.tenantId,
      Number(event.sequence),
    ])
    assert.equal(mine.rowCount, 1)
    if (Number(event.sequence) === Number(last.rows[0]?.last)) {
      break
    }
  }
  socket.close()
})

test('every field of every type was reached [IS-2]', async () => {
  await reachPayloads()
  await reachEvents()
  const fields = Object.values(schema.getTypeMap())
    .filter((type) => isObjectType(type) && !type.name.startsWith('__'))
    .flatMap((type) => Object.keys((type as GraphQLObjectType).getFields()).map((field) => `${type.name}.${field}`))
    .filter((field) => !/^(Query|Mutation|Subscription)\./.test(field))
  assert.ok(fields.length > 400)
  assert.deepEqual(fields.filter((field) => !reached.has(field)).toSorted(), [])
})

/** Payloads of what succeeds, and the user error of what does not. */
async function reachPayloads(): Promise<void> {
  const mutation = schema.getMutationType()
  const payload = (data: unknown) => note(data, mutation ?? undefined)
  const errors = 'userErrors { __typename code field message retryAt }'
  payload(
    await world.ask(
      ada,
      `mutation ($input: UploadBeginInput!) { uploadBegin(input: $input) { uploadSession { id } ${errors} } }`,
      { input: { name: 'a.csv', byteSize: 10, sha256: '0'.repeat(64), idempotencyKey: 'reach uploadBegin' } },
    ),
  )
  payload(
    await world.ask(
      ada,
      `mutation ($input: BundleExportInput!) { bundleExport(input: $input) { bundleRun { id } ${errors} } }`,
      { input: { idempotencyKey: 'reach bundleExport' } },
    ),
  )
  payload(
    await world.ask(
      ada,
      `mutation ($input: BundleConsentInput!) { bundleConsentCreate(input: $input) { consentToken expiresAt ${errors} } }`,
      { input: { bundleRunId: own.bundle, targetTenantId: theirs.tenant } },
    ),
  )
  const file = await world.upload(
    ada,
    `mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } ${errors} } }`,
    {},
    'E-mail\na@example.com\n',
  )
  payload(dataOf(file))
  const book = new ExcelJS.Workbook()
  book.addWorksheet('Sheet').addRow(['E-mail'])
  payload(
    dataOf(
      await world.upload(
        ada,
        `mutation ($input: FileUploadInput!) { fileUpload(input: $input) {
          file { detection { sheets { name index hidden estimatedRowCount } } } ${errors} } }`,
        {},
        new Uint8Array((await book.xlsx.writeBuffer()) as ArrayBuffer),
      ),
    ),
  )
  const fileId = dataOf(file).fileUpload.file.id
  payload(
    await world.ask(
      ada,
      `mutation { importCreate(input: { fileId: "${fileId}", recordType: CONTACT, idempotencyKey: "reach" }) { importRun { id } ${errors} } }`,
    ),
  )
  payload(
    await world.ask(
      ada,
      `mutation { importMappingUpdate(input: { runId: "${own.waiting}", mapping: [{ column: "E-mail", field: "email" }] }) { importRun { id } ${errors} } }`,
    ),
  )
  for (const name of ['runPause', 'runResume', 'runCancel']) {
    payload(await world.ask(ada, `mutation { ${name}(input: { runId: "${own.import}" }) { run { id } ${errors} } }`))
  }
  payload(
    await world.ask(
      ada,
      `mutation { runRollback(input: { runId: "${own.import}", idempotencyKey: "reach back" }) { rollbackRun { id } ${errors} } }`,
    ),
  )
  payload(
    await world.ask(
      ada,
      `mutation { recordUpdate(input: { recordType: LEAD, id: "${own.lead}", fields: [] }) { record { id } ${errors} } }`,
    ),
  )
  payload(
    await world.ask(
      ada,
      `mutation { recordDelete(input: { recordType: ACTIVITY, id: "${own.activity}" }) { deletedId ${errors} } }`,
    ),
  )
  for (const [name, id, answer] of [
    ['mappingTemplateArchive', own.template, 'mappingTemplate { id }'],
    ['customFieldArchive', own.customField, 'recordSchema { version }'],
    ['businessRuleDelete', own.rule, 'deletedId'],
    ['exportTemplateDelete', own.exportTemplate, 'deletedId'],
  ] as const) {
    payload(await world.ask(ada, `mutation { ${name}(input: { id: "${id}" }) { ${answer} ${errors} } }`))
  }
  payload(
    await world.ask(
      ada,
      `mutation { businessRuleSave(input: { recordType: LEAD, kind: UNIQUE, fields: [], message: "", severity: ERROR }) { businessRule { id } ${errors} } }`,
    ),
  )
  payload(
    await world.ask(
      ada,
      `mutation { possibleDuplicateDecide(input: { id: "${own.pair}", decision: DISTINCT }) { pair { id } ${errors} } }`,
    ),
  )
  payload(
    await world.ask(
      ada,
      `mutation { exportTemplateSave(input: { name: "reach", recordType: LEAD }) { exportTemplate { id } ${errors} } }`,
    ),
  )
  payload(
    await world.ask(
      ada,
      `mutation { exportCreate(input: { recordType: LEAD, idempotencyKey: "reach out" }) { exportRun { id } ${errors} } }`,
    ),
  )
  const { auditExport } = await world.ask(
    ada,
    `mutation { auditExport(input: { to: "2100-01-01T00:00:00Z", idempotencyKey: "reach audit" }) { run { id } ${errors} } }`,
  )
  payload({ auditExport })
  payload(await world.ask(ada, `mutation { memberSave(input: { email: "none" }) { member { id } ${errors} } }`))
  payload(
    await world.ask(
      ada,
      `mutation { apiKeyCreate(input: { name: "", permissions: [] }) { apiKey { id } secret ${errors} } }`,
    ),
  )
  await reachMigrations(payload, errors)
  payload(await world.ask(ada, `mutation { apiKeyRevoke(input: { id: "${own.apiKey}" }) { apiKey { id } ${errors} } }`))
}

/** Payloads about connected CRMs; most of them refuse, as nobody is at the other end. */
async function reachMigrations(payload: (data: unknown) => void, errors: string): Promise<void> {
  for (const call of [
    `integrationBegin(input: { system: HUBSPOT, redirectUri: "" }) { integration { id } authorizationUrl ${errors} }`,
    `integrationComplete(input: { state: "", code: "" }) { integration { id } ${errors} }`,
    `integrationRevoke(input: { integrationId: "${nobodys().integration}" }) { integration { id } ${errors} }`,
    `migrationCreate(input: { integrationId: "${own.integration}", objects: [], idempotencyKey: "reach" }) { migration { id } ${errors} }`,
    `webhookSave(input: { url: "${NOWHERE}/reach", events: [RUN_ROLLED_BACK] }) { webhook { id } secret ${errors} }`,
    `webhookDeliveryReplay(input: { id: "${own.delivery}" }) { webhook { id } secret ${errors} }`,
    `webhookDelete(input: { id: "${nobodys().webhook}" }) { webhook { id } secret ${errors} }`,
    `notificationPreferencesUpdate(input: { myEmails: [] }) { preferences { myEmails } ${errors} }`,
  ]) {
    payload(await world.ask(ada, `mutation { ${call} }`))
  }
}

async function reachEvents(): Promise<void> {
  // History that is gone, for one stream.
  const { rows } = await world.oracle.query<{ low: string }>(
    'select min(sequence)::text as low from event where tenant_id = $1',
    [ada.tenantId],
  )
  const low = Number(rows[0]?.low)
  await world.oracle.query('delete from event where tenant_id = $1 and sequence <= $2', [ada.tenantId, low])
  await world.oracle.query('update tenant_sequence set purged = $2 where tenant_id = $1', [ada.tenantId, low])
  const socket = await SocketClient.open(world.url, ada.token)
  const subscription = schema.getSubscriptionType() ?? undefined
  const event = schema.getType('RunEvent')
  assert.ok(isAbstractType(event))
  for (const possible of schema.getPossibleTypes(event)) {
    for (const step of waysBelow('tenantEvents', '(after: "00000000000000000000", minIntervalMs: 0)', possible)) {
      // The stream's own type stands in a fragment, what is below it does not.
      const selection = step.wrap(fieldsOf(step.type)).replace(/ \{ /, ` { __typename ... on ${possible.name} { `)
      const id = `${possible.name} ${step.path.join('.')}`
      socket.subscribe(id, `subscription { ${selection} } }`)
      const message = await socket.next(
        ({ id: of, type, payload }) => of === id && (type !== 'next' || reaches(payload.data, step, possible.name)),
      )
      assert.equal(message.type, 'next', JSON.stringify(message))
      note(message.payload.data, subscription)
      socket.send({ type: 'complete', id })
    }
  }
  socket.close()
}

/** Whether an answer holds an object at the end of the way. */
function reaches(data: unknown, step: Step, typename: string): boolean {
  let values: unknown[] = [data]
  for (const name of step.path) {
    values = values
      .flatMap((value) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : []))
      .filter((value) => value != null)
  }
  return values.length > 0 && (data as { tenantEvents: { __typename: string } }).tenantEvents.__typename === typename
}

/** All rows of a tenant, as one hash per table. */
async function snapshot(tenantId: string): Promise<Record<string, string>> {
  const tables = await world.oracle.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'portage' and c.relkind = 'r' and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') order by 1`,
  )
  const hashes: Record<string, string> = {}
  for (const { name } of tables.rows) {
    const { rows } = await world.oracle.query<{ hash: string }>(
      `select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') as hash from ${name} t where tenant_id = $1`,
      [tenantId],
    )
    hashes[name] = rows[0]?.hash ?? ''
  }
  return hashes
}
