/** A tenant with something of everything in it, and every page of the console with what tells that it is there. */
import type { Page } from 'playwright-core'
import type { Actor, World, WorldOptions } from '../server/world.js'
import { connected, migrated, smallCrm } from './moving.js'

export interface House {
  readonly actor: Actor
  /** An import that has ended with failed rows. */
  readonly endedImport: string
  /** A file that was uploaded and is not imported yet. */
  readonly file: string
  /** A rollback that kept something. */
  readonly rollback: string
  /** An import whose plan waits for confirmation. */
  readonly plannedImport: string
  /** A contact that others refer to. */
  readonly record: string
  /** A migration that waits for its fields, one that waits for review, and one that has moved in. */
  readonly migrations: { readonly mapping: string; readonly review: string; readonly moved: string }
}

/** What a world needs in which a house can be furnished. */
export const houseOptions: WorldOptions = smallCrm(12).options

const names = ['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Frances', 'Tony', 'Margaret', 'Alan', 'Radia']
const surnames = [
  'Lovelace',
  'Hopper',
  'Dijkstra',
  'Liskov',
  'Knuth',
  'Allen',
  'Hoare',
  'Hamilton',
  'Turing',
  'Perlman',
]

/** A messy list of contacts: every 13th e-mail is none, every 17th row has no name. */
export function messyContacts(rows: number, from = 0): string {
  const lines = ['First name,Last name,E-mail,Phone,Company,City']
  for (let row = from; row < from + rows; row++) {
    const [first, last] = [names[row % 10], surnames[Math.floor(row / 10) % 10]]
    const email = row % 13 === 5 ? `${first} at example` : `${first}.${last}.${row}@example.com`.toLowerCase()
    const nameless = row % 17 === 3
    lines.push(
      `${nameless ? '' : first},${nameless ? '' : last},${nameless ? '' : email},+49 30 ${100000 + row},Analytical Engines,Berlin`,
    )
  }
  return `${lines.join('\n')}\n`
}

/** Fills a tenant. */
export async function furnish(world: World): Promise<House> {
  const actor = await world.actor(await world.tenant('Analytical Engines Ltd'))
  const endedImport = await world.import(actor, 'CONTACT', messyContacts(400))
  const plannedImport = await world.import(actor, 'CONTACT', messyContacts(300, 250), {}, { confirmation: 'ASK' })
  await settle(world, actor)
  const rollback = await undone(world, actor)
  const uploaded = await world.upload(
    actor,
    'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { message } } }',
    {},
    messyContacts(120, 900),
    'fair.csv',
  )
  const record = await referredTo(world, actor)
  const integration = await connected(world, actor)
  const migrations = {
    review: await migrated(world, actor, integration, ['Stage']),
    moved: await migrated(world, actor, integration, ['Stage', 'Promote']),
    mapping: await migrated(world, actor, integration, []),
  }
  await world.oracle.query(
    `insert into integration (tenant_id, id, system, status, status_reason, login_origin, account, account_name, api_origin, connected_at, created_by)
     values ($1, uuidv7(), 'salesforce', 'REAUTHORIZATION_REQUIRED', 'The access was revoked at Salesforce.', 'https://login.salesforce.com', 'acc2',
       'Babbage & Co', 'https://babbage.my.salesforce.com', now(), 'ada@example.com')`,
    [actor.tenantId],
  )
  return { actor, endedImport, rollback, plannedImport, record, migrations, file: uploaded.data.fileUpload.file.id }
}

/** A contact that two runs wrote, with an organization, leads and a field of the tenant's own; answers its id. */
async function referredTo(world: World, actor: Actor): Promise<string> {
  await world.ask(
    actor,
    'mutation ($input: CustomFieldCreateInput!) { customFieldCreate(input: $input) { userErrors { message } } }',
    { input: { recordType: 'CONTACT', field: { key: 'favouriteMachine', label: 'Favourite machine', kind: 'TEXT' } } },
  )
  await world.ask(
    actor,
    'mutation ($input: MappingTemplateSaveInput!) { mappingTemplateSave(input: $input) { userErrors { message } } }',
    {
      input: {
        name: 'Spring fair',
        recordType: 'CONTACT',
        mapping: [
          { column: 'Visitor', field: 'displayName', transforms: [{ name: 'trim' }] },
          { column: 'Mail', field: 'email' },
          { column: 'Stand' },
        ],
      },
    },
  )
  await world.import(actor, 'CONTACT', 'Company,Kind,E-mail\nBletchley Park,Organization,office@bletchley.example\n')
  const fields = [
    'firstName',
    'lastName',
    'email',
    'birthDate',
    'tags',
    'notes',
    'custom.favouriteMachine',
    'organization.email',
  ]
  await world.import(
    actor,
    'CONTACT',
    'A,B,C,D,E,F,G,H\nJoan,Clarke,joan@example.com,1917-06-24,cryptanalyst; numismatist,"Hut 8.\nAsk her about coins.",Bombe,office@bletchley.example\n',
    {},
    { mapping: fields.map((field, columnIndex) => ({ columnIndex, field })) },
  )
  await world.import(actor, 'CONTACT', 'E-mail,Phone,City\njoan@example.com,+44 20 7946 0123,London\n')
  await world.import(
    actor,
    'LEAD',
    'Title,Budget to,E-mail of contact\nHouse near Oxford,450000.50,joan@example.com\nFlat in town,210000,joan@example.com\n',
    {},
    {
      mapping: ['title', 'budgetMax', 'contact.email'].map((field, columnIndex) => ({ columnIndex, field })),
    },
  )
  const { contacts } = await world.ask(
    actor,
    '{ contacts(first: 1, filter: { where: { field: "email", operator: EQ, value: "joan@example.com" } }) { nodes { id } } }',
  )
  return contacts.nodes[0].id
}

/** An import of which one record was edited before it was rolled back; answers the rollback. */
async function undone(world: World, actor: Actor): Promise<string> {
  const csv = 'First name,Last name,E-mail\nMary,Jackson,mary@example.com\nDorothy,Vaughan,dorothy@example.com\n'
  const runId = await world.import(actor, 'CONTACT', csv)
  const { contacts } = await world.ask(
    actor,
    '{ contacts(first: 1, filter: { where: { field: "email", operator: EQ, value: "mary@example.com" } }) { nodes { id version } } }',
  )
  const [{ id, version }] = contacts.nodes
  await world.ask(
    actor,
    'mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { userErrors { message } } }',
    {
      input: { id, version, recordType: 'CONTACT', fields: [{ field: 'lastName', value: 'Winston Jackson' }] },
    },
  )
  const { runRollback } = await world.ask(
    actor,
    'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } } }',
    { input: { runId, idempotencyKey: 'undone' } },
  )
  await world.rested(actor, runRollback.rollbackRun.id)
  return runRollback.rollbackRun.id
}

/** Keys, webhooks, members and rules; and two people who may be one. */
async function settle(world: World, actor: Actor): Promise<void> {
  const refused = 'userErrors { message }'
  const ask = async (operation: string, inputType: string, input: object): Promise<void> => {
    const answer = await world.ask(
      actor,
      `mutation ($input: ${inputType}!) { ${operation}(input: $input) { ${refused} } }`,
      {
        input,
      },
    )
    const [error] = answer[operation].userErrors
    if (error !== undefined) {
      throw new Error(`${operation}: ${error.message}`)
    }
  }
  await ask('apiKeyCreate', 'ApiKeyCreateInput', { name: 'Nightly export', permissions: ['EXPORT_RUN', 'RECORD_READ'] })
  await ask('exportTemplateSave', 'ExportTemplateSaveInput', {
    name: 'Every contact, weekly',
    recordType: 'CONTACT',
    schedule: '0 6 * * 1',
    timeZone: 'Europe/Berlin',
  })
  const { exportCreate } = await world.ask(
    actor,
    'mutation ($input: ExportCreateInput!) { exportCreate(input: $input) { exportRun { id } } }',
    { input: { recordType: 'CONTACT', idempotencyKey: 'furnished' } },
  )
  await world.rested(actor, exportCreate.exportRun.id)
  await ask('webhookSave', 'WebhookSaveInput', { url: 'https://hooks.example.com/portage', events: ['RUN_COMPLETED'] })
  await ask('memberSave', 'MemberSaveInput', { email: 'grace@example.com', name: 'Grace Hopper' })
  await ask('memberSave', 'MemberSaveInput', {
    email: 'edsger@example.com',
    name: 'Edsger Dijkstra',
    active: false,
    permissions: ['RECORD_READ'],
  })
  await ask('businessRuleSave', 'BusinessRuleSaveInput', {
    recordType: 'CONTACT',
    kind: 'ONE_OF',
    fields: ['city'],
    arguments: [
      { name: 'value', value: 'Berlin' },
      { name: 'value', value: 'London' },
    ],
    message: 'We serve Berlin and London.',
    severity: 'WARNING',
  })
  await world.import(
    actor,
    'CONTACT',
    'First name,Last name,E-mail,Phone,Street,Postal code,City\nKatherine,Johnson,k.johnson@example.com,+44 20 7946 0101,1 Orbit Road,N1 9GU,London\nKatharine,Johnson,kjohnson@example.org,+44 20 7946 0101,1 Orbit Rd,N1 9GU,London\n',
  )
  await found(world, actor)
}

/** Waits until possible duplicates have been looked for. */
async function found(world: World, actor: Actor): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const { possibleDuplicates } = await world.ask(actor, '{ possibleDuplicates { totalCount } }')
    if (possibleDuplicates.totalCount > 0) {
      return
    }
    await new Promise((settled) => setTimeout(settled, 50))
  }
  throw new Error('no possible duplicate was found within 30 s')
}

/** One page: where it is, and waiting until everything on it is. */
export interface Place {
  readonly path: string
  ready(page: Page): Promise<unknown>
}

/** Every page. A new page is added here: pictures are taken of it and its accessibility is checked. */
export function pages(house: House): Readonly<Record<string, Place>> {
  const heading = (name: string | RegExp) => async (page: Page) => {
    await page.getByRole('heading', { level: 1, name }).waitFor()
    await page.waitForLoadState('networkidle')
  }
  const shows = (text: string) => async (page: Page) => {
    await page.getByText(text).first().waitFor()
    await page.waitForLoadState('networkidle')
  }
  return {
    home: { path: '/', ready: heading('Home') },
    'import-file': { path: '/console/import', ready: shows('Drop a file here, or') },
    'import-read': { path: `/console/import?file=${house.file}&step=read`, ready: shows('Lovelace') },
    'import-columns': {
      path: `/console/import?file=${house.file}&step=columns`,
      ready: shows('What becomes of the first rows'),
    },
    'import-rules': { path: `/console/import?file=${house.file}&step=rules`, ready: shows('Make the plan') },
    'import-plan': { path: `/console/import/${house.plannedImport}`, ready: shows('Field by field') },
    exports: { path: '/console/exports', ready: shows('Every contact, weekly') },
    audit: { path: '/console/audit', ready: shows('Mutation.') },
    duplicates: { path: '/console/duplicates', ready: shows('likely one') },
    'settings-notifications': { path: '/console/settings', ready: shows('A run of mine has failed') },
    'settings-members': { path: '/console/settings/members', ready: shows('grace@example.com') },
    'settings-keys': { path: '/console/settings/keys', ready: shows('Nightly export') },
    'settings-webhooks': { path: '/console/settings/webhooks', ready: shows('https://hooks.example.com/portage') },
    'settings-rules': { path: '/console/settings/rules', ready: shows('We serve Berlin and London.') },
    'settings-quotas': { path: '/console/settings/quotas', ready: shows('Uploads today') },
    runs: { path: '/console/runs', ready: shows('Awaiting confirmation') },
    run: { path: `/console/runs/${house.endedImport}`, ready: shows('Row 4') },
    rollback: { path: `/console/runs/${house.rollback}`, ready: shows('All that nobody had changed since went back') },
    records: { path: '/console/records', ready: shows('joan@example.com') },
    record: { path: `/console/record/${house.record}`, ready: shows('House near Oxford') },
    migrations: { path: '/console/migrations', ready: shows('Fields to be matched') },
    'migration-mapping': {
      path: `/console/migrations/${house.migrations.mapping}?fields=people`,
      ready: shows('Save the fields'),
    },
    'migration-review': {
      path: `/console/migrations/${house.migrations.review}?rows=people`,
      ready: shows('Which rows'),
    },
    'migration-moved': { path: `/console/migrations/${house.migrations.moved}`, ready: shows('Passed') },
    templates: { path: '/console/templates', ready: shows('Spring fair') },
    'templates-fields': { path: '/console/templates?tab=fields', ready: shows('custom.favouriteMachine') },
    'no-such-page': { path: '/console/nothing', ready: heading('No such page') },
  }
}
