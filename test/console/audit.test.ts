import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'
import { messyContacts } from './furnished.js'

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

test('the audit is looked at, checked and taken home', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant())
  await world.import(actor, 'CONTACT', messyContacts(20))
  const { page, context, faults } = await openConsole(browser, world, actor, '/console/audit')
  await page.getByRole('button', { name: 'Mutation.importCreate' }).click()
  await page.getByText('Done to').waitFor()
  await page.getByRole('button', { name: 'Check every link' }).click()
  await page.getByText(/The chain is whole: \d+ entries were checked/).waitFor()
  await page.getByRole('button', { name: 'Write it into a file' }).click()
  await page.getByRole('button', { name: 'Write the file' }).click()
  await page.locator('[data-status="COMPLETED"]').first().waitFor()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: /^audit/ }).click(),
  ])
  const lines = (await readFile(await download.path(), 'utf8')).trimEnd().split('\n')
  assert.ok(lines.some((line) => line.includes('Mutation.importCreate')))
  assert.ok(lines.some((line) => line.includes('signature')))
  assert.deepEqual(faults, [])
  await context.close()
})
