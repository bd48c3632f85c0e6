import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'

let world: World
let browser: Browser

before(async () => {
  if (noBrowser === false) {
    world = await World.start()
    browser = await launch()
  }
})

after(async () => {
  await browser?.close()
  await world?.close()
})

test('chosen columns of chosen records come into a file and onto the disk', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant())
  await world.import(
    actor,
    'CONTACT',
    'First name,Last name,City\nAda,Lovelace,London\nGrace,Hopper,New York\nAlan,Turing,London\n',
  )
  const { page, context, faults } = await openConsole(browser, world, actor, '/console/exports')
  await page.getByRole('cell', { name: 'Hopper', exact: true }).waitFor()

  await page.getByRole('button', { name: 'Add a condition' }).click()
  await page.getByRole('combobox', { name: 'Field' }).click()
  await page.getByRole('option', { name: 'City', exact: true }).click()
  await page.getByRole('combobox', { name: 'Asks' }).click()
  await page.getByRole('option', { name: 'is', exact: true }).click()
  await page.getByRole('textbox', { name: 'Value' }).fill('London')
  for (const field of ['Last name', 'First name']) {
    await page.getByRole('combobox', { name: 'Columns' }).fill(field)
    await page.getByRole('option', { name: field, exact: true }).click()
  }
  await page.keyboard.press('Escape')
  await page.getByRole('textbox', { name: 'Header of Last name' }).fill('Surname')
  // The preview is the file as it would be now.
  await page.getByRole('columnheader', { name: 'Surname' }).waitFor()
  await page.getByRole('cell', { name: 'Hopper', exact: true }).waitFor({ state: 'detached' })

  await page.getByRole('button', { name: 'Export', exact: true }).click()
  await page.locator('[data-status="COMPLETED"]').first().waitFor()
  await page.getByText('Everything is in the file: 2 rows.').waitFor()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: /^contact.*\.csv$/ }).click(),
  ])
  const lines = (await readFile(await download.path(), 'utf8')).trimEnd().split(/\r?\n/)
  assert.deepEqual(lines.toSorted(), ['Lovelace,Ada', 'Surname,firstName', 'Turing,Alan'])
  assert.deepEqual(faults, [])
  await context.close()
})

test('an export that is kept runs again by one click', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant())
  await world.import(actor, 'CONTACT', 'First name,Last name\nAda,Lovelace\n')
  const { page, context, faults } = await openConsole(browser, world, actor, '/console/exports')
  await page.getByRole('button', { name: 'Keep as a template' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('textbox', { name: 'Name' }).fill('All of them')
  await dialog.getByRole('combobox', { name: 'It runs' }).click()
  await page.getByRole('option', { name: 'Every Monday at 6:00' }).click()
  await dialog.getByRole('button', { name: 'Keep' }).click()
  await page.reload()
  await page.getByText('Scheduled').waitFor()
  await page.getByRole('button', { name: 'Export now' }).click()
  await page.locator('[data-status="COMPLETED"]').first().waitFor()
  await page.getByText('Everything is in the file: 1 row.').waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})
