/** Records in the browser: found, opened, changed in place, and led back to the run that wrote them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { type Actor, World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'

let world: World
let browser: Browser
let ada: Actor
let run: string

const people = [
  'External id,First name,Last name,E-mail,City,Birth date,Opted out',
  'c1,Ada,Lovelace,ada@example.com,London,1815-12-10,no',
  'c2,Grace,Hopper,grace@example.com,New York,1906-12-09,yes',
  'c3,Alan,Turing,alan@example.com,London,1912-06-23,no',
]
const mapping = ['externalId', 'firstName', 'lastName', 'email', 'city', 'birthDate', 'emailOptOut'].map(
  (field, columnIndex) => ({ columnIndex, field }),
)

before(async () => {
  if (noBrowser === false) {
    world = await World.start()
    browser = await launch()
    ada = await world.actor(await world.tenant())
    run = await world.import(ada, 'CONTACT', `${people.join('\n')}\n`, {}, { mapping })
    await world.import(
      ada,
      'LEAD',
      'Title,E-mail of contact\nThe engine,ada@example.com\n',
      {},
      {
        mapping: [
          { columnIndex: 0, field: 'title' },
          { columnIndex: 1, field: 'contact.email' },
        ],
      },
    )
  }
})

after(async () => {
  await browser?.close()
  await world?.close()
})

test('a list is searched, filtered and sorted, and its address says how', { skip: noBrowser }, async () => {
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/records/CONTACT')
  const names = async (): Promise<string[]> => page.locator('tbody tr td:first-child').allTextContents()
  await page.getByText('3 contacts', { exact: true }).waitFor()
  assert.deepEqual(await names(), ['Ada Lovelace', 'Grace Hopper', 'Alan Turing'])

  await page.getByLabel('Search').fill('hopper example')
  await page.getByText('1 contact', { exact: true }).waitFor()
  assert.deepEqual(await names(), ['Grace Hopper'])
  await page.getByLabel('Search').fill('')
  await page.getByText('3 contacts', { exact: true }).waitFor()

  await page.getByRole('button', { name: 'Filter' }).click()
  await page.getByRole('button', { name: 'Add a condition' }).click()
  await page.getByRole('combobox', { name: 'Field' }).click()
  await page.getByRole('option', { name: 'City', exact: true }).click()
  await page.getByRole('combobox', { name: 'Asks' }).click()
  await page.getByRole('option', { name: 'is', exact: true }).click()
  await page.getByRole('textbox', { name: 'Value' }).fill('London')
  await page.getByText('2 contacts', { exact: true }).waitFor()

  await page.getByRole('button', { name: 'Full name' }).click()
  await page.getByRole('columnheader', { name: 'Full name' }).and(page.locator('[aria-sort=ascending]')).waitFor()
  await page.getByRole('button', { name: 'Full name' }).click()
  await page.getByRole('columnheader', { name: 'Full name' }).and(page.locator('[aria-sort=descending]')).waitFor()
  await page.locator('tbody tr').first().getByText('Alan Turing').waitFor()
  assert.deepEqual(await names(), ['Alan Turing', 'Ada Lovelace'])

  // Whoever gets the address sees the same.
  await page.reload()
  await page.getByText('2 contacts', { exact: true }).waitFor()
  await page.getByText('Only where City is London.').waitFor()
  assert.deepEqual(await names(), ['Alan Turing', 'Ada Lovelace'])

  // Another column, which stays in this browser.
  await page.getByRole('button', { name: 'Columns' }).click()
  await page.getByRole('combobox', { name: 'Columns beside the name' }).click()
  await page
    .getByRole('option', { name: 'Date of birth' })
    .or(page.getByRole('option', { name: 'Birth date' }))
    .click()
  await page.getByText('10 Dec 1815').waitFor()
  await page.reload()
  await page.getByText('10 Dec 1815').waitFor()

  await page.getByRole('tab', { name: 'Leads' }).click()
  await page.getByRole('link', { name: 'The engine' }).waitFor()
  assert.match(page.url(), /\/console\/records\/lead$/)
  assert.deepEqual(faults, [])
  await context.close()
})

test('a record is changed in place, and who comes second is told', { skip: noBrowser }, async () => {
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/records?q=Lovelace')
  await page.getByRole('link', { name: 'Ada Lovelace' }).click()
  await page.getByRole('heading', { level: 1, name: 'Ada Lovelace' }).waitFor()

  await page.getByRole('button', { name: 'Edit E-mail', exact: true }).click()
  await page.getByRole('textbox', { name: 'E-mail', exact: true }).fill('not an address')
  await page.getByRole('button', { name: 'Save' }).click()
  await page
    .getByText(/is not an e-mail address/i)
    .first()
    .waitFor()
  await page.getByRole('textbox', { name: 'E-mail', exact: true }).fill('Countess@Example.com')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('E-mail is saved.').waitFor()
  await page.getByRole('cell', { name: 'countess@example.com' }).waitFor()

  await page.getByRole('button', { name: 'Edit City' }).click()
  const id = new URL(page.url()).pathname.split('/').at(-1) ?? ''
  const other = await world.ask(
    ada,
    'mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { userErrors { message } } }',
    { input: { id, recordType: 'CONTACT', fields: [{ field: 'city', value: 'Paris' }] } },
  )
  assert.deepEqual(other.recordUpdate.userErrors, [])
  await page.getByRole('textbox', { name: 'City' }).fill('Turin')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('Somebody else changed this record meanwhile').waitFor()
  await page.getByText('City is now: Paris').waitFor()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('City is saved.').waitFor()
  await page.getByRole('cell', { name: 'Turin' }).waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})

test('a record tells which run and row wrote its fields, and what refers to it', { skip: noBrowser }, async () => {
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/records?q=Ada')
  await page.getByRole('link', { name: 'Ada Lovelace' }).click()
  await page.getByText('The engine').waitFor()
  const lastName = page.getByRole('row', { name: /^Last name/ })
  await lastName.getByText('people.csv, row 2').filter({ visible: true }).waitFor()
  await page.getByRole('link', { name: 'The engine' }).click()
  await page.getByRole('heading', { level: 1, name: 'The engine' }).waitFor()
  await page
    .getByRole('row', { name: /^Contact/ })
    .getByRole('link', { name: 'Ada Lovelace' })
    .click()
  await page.getByRole('heading', { level: 1, name: 'Ada Lovelace' }).waitFor()
  await lastName.getByRole('link', { name: 'people.csv' }).click()
  await page.waitForURL(`**/console/runs/${run}`)
  assert.deepEqual(faults, [])
  await context.close()
})

test('a record is deleted after a question, and its page then says that it is gone', { skip: noBrowser }, async () => {
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/records?q=Turing')
  await page.getByRole('link', { name: 'Alan Turing' }).click()
  await page.getByRole('heading', { level: 1, name: 'Alan Turing' }).waitFor()
  const address = page.url()
  await page.getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await page.getByText('2 contacts', { exact: true }).waitFor()
  await page.goto(address)
  await page.getByRole('heading', { name: 'There is no such record' }).waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})

test('records of every type are listed and opened with what they refer to', { skip: noBrowser }, async () => {
  await world.import(
    ada,
    'PROPERTY',
    'Name,Listing,Price,Owner\nMill Lane 1,L1,250000,grace@example.com\n',
    {},
    {
      mapping: ['name', 'listingId', 'listPrice', 'ownerContact.email'].map((field, columnIndex) => ({
        columnIndex,
        field,
      })),
    },
  )
  await world.import(
    ada,
    'ACTIVITY',
    'Type,Subject,Listing,Start\nShowing,First look,L1,2026-11-22T10:00:00Z\n',
    {},
    {
      mapping: ['type', 'subject', 'property.listingId', 'startAt'].map((field, columnIndex) => ({
        columnIndex,
        field,
      })),
    },
  )
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/records/activity')
  await page.getByRole('cell', { name: '22 Nov 2026, 11:00' }).waitFor()
  await page.getByRole('link', { name: 'First look' }).click()
  await page
    .getByRole('row', { name: /^Property/ })
    .getByRole('link', { name: 'Mill Lane 1' })
    .click()
  await page.getByRole('heading', { level: 1, name: 'Mill Lane 1' }).waitFor()
  await page
    .getByRole('row', { name: /^List price/ })
    .getByText('250,000')
    .waitFor()
  await page.getByText('Activities (1)').waitFor()
  await page.getByRole('link', { name: 'Properties' }).click()
  await page.getByRole('cell', { name: '250,000' }).waitFor()
  await page.getByRole('link', { name: 'Mill Lane 1' }).click()
  await page.getByRole('link', { name: 'Grace Hopper' }).click()
  await page.getByText('Properties owned (1)').waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})

test('whoever may not see what is sensitive neither sees nor searches it', { skip: noBrowser }, async () => {
  const bob = await world.actor(ada.tenantId, ['RECORD_READ'], 'bob@example.com')
  const { page, context, faults } = await openConsole(browser, world, bob, '/console/records')
  await page
    .getByText(/contacts$/)
    .first()
    .waitFor()
  assert.equal(await page.getByText('grace@example.com').count(), 0)
  await page.locator('tbody a').first().click()
  await page.getByText('What is sensitive is masked for you.').waitFor()
  assert.equal(await page.getByRole('button', { name: /^Edit|^Delete/ }).count(), 0)
  assert.deepEqual(faults, [])
  await context.close()
})

test('a field of one’s own is added, filled in and taken out of use', { skip: noBrowser }, async () => {
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/templates?tab=fields')
  await page.getByRole('textbox', { name: 'New field' }).fill('Favourite colour')
  await page.getByRole('combobox', { name: 'Kind' }).click()
  await page.getByRole('option', { name: 'One of a list' }).click()
  const choices = page.getByRole('combobox', { name: 'Choices' })
  for (const choice of ['Red', 'Green']) {
    await choices.fill(choice)
    await choices.press('Enter')
  }
  await page.getByRole('button', { name: 'Add the field' }).click()
  await page.getByText('custom.favouriteColour').waitFor()
  const downloading = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download an empty file' }).click()
  assert.equal((await downloading).suggestedFilename(), 'contact-template.csv')

  await page.goto(`${world.url}/console/records?q=Grace`)
  await page.getByRole('link', { name: 'Grace Hopper' }).click()
  await page.getByRole('switch', { name: /Show the \d+ empty ones/ }).check()
  await page.getByRole('button', { name: 'Edit Favourite colour' }).click()
  await page.getByRole('combobox', { name: 'Favourite colour' }).click()
  await page.getByRole('option', { name: 'Green' }).click()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('cell', { name: 'Green' }).waitFor()

  await page.goto(`${world.url}/console/templates?tab=fields&type=contact`)
  await page.getByRole('button', { name: 'Archive' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Archive' }).click()
  await page.getByText('No field of your own yet').waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})

test('kept mappings are listed with what they do, and archived', { skip: noBrowser }, async () => {
  const { mappingTemplateSave } = await world.ask(
    ada,
    'mutation ($input: MappingTemplateSaveInput!) { mappingTemplateSave(input: $input) { userErrors { message } } }',
    {
      input: {
        name: 'Fair',
        recordType: 'CONTACT',
        mapping: [
          { column: 'Who', field: 'displayName', transforms: [{ name: 'trim' }] },
          { column: 'Mail', field: 'email' },
          { column: 'Stand' },
        ],
      },
    },
  )
  assert.deepEqual(mappingTemplateSave.userErrors, [])
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/templates')
  await page.getByText('Contacts, 2 columns matched.').waitFor()
  await page.getByRole('button', { name: 'Columns' }).click()
  await page.getByRole('row', { name: 'Who displayName trim' }).waitFor()
  await page.getByRole('row', { name: 'Stand Left out' }).waitFor()
  await page.getByRole('button', { name: 'Archive' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Archive' }).click()
  await page.getByText('No mapping is kept yet').waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})
