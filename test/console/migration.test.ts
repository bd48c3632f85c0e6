/** Moving in from another CRM, in the browser: from the sign-in over there to the proof, changes and the way back. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import type { FakeOAuthVendor } from '../helpers/oauth-vendor.js'
import type { SmallCrm } from '../helpers/small-crm.js'
import { type Actor, World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'
import { connected, migrated, signIn, smallCrm } from './moving.js'

let world: World
let browser: Browser
let vendor: FakeOAuthVendor
let crm: SmallCrm

before(async () => {
  if (noBrowser === false) {
    const sign = await signIn()
    vendor = sign.vendor
    const small = smallCrm()
    crm = small.crm
    world = await World.start({ ...small.options, settings: sign.settings })
    browser = await launch()
  }
})

after(async () => {
  await browser?.close()
  await world?.close()
  vendor?.close()
})

const section = (page: Page, name: string | RegExp) => page.getByRole('region', { name })

test('a CRM is connected, looked at, matched, rehearsed, imported, proven, read again and rolled back', {
  skip: noBrowser,
}, async () => {
  const ada = await world.actor(await world.tenant())
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/migrations')
  const live = async (): Promise<number> => {
    const { rows } = await world.oracle.query(
      `select ((select count(*) from contact where tenant_id = $1 and deleted_at is null)
         + (select count(*) from lead where tenant_id = $1 and deleted_at is null)
         + (select count(*) from activity where tenant_id = $1 and deleted_at is null))::int as n`,
      [ada.tenantId],
    )
    return rows[0].n
  }

  // Connected in a tab of its own, which this page notices.
  await page.getByRole('button', { name: 'Connect a CRM' }).click()
  await page.getByRole('button', { name: 'Go on' }).click()
  const link = await page.getByRole('link', { name: 'Open the sign-in of HubSpot' }).getAttribute('href')
  const tab = await context.newPage()
  await tab.goto(vendor.agree(link ?? '').href)
  await tab.getByRole('heading', { name: 'Connected' }).waitFor()
  await tab.close()
  await page.getByText(/is connected\.$/).waitFor()

  // What is to be moved in.
  await page.getByRole('button', { name: 'New migration' }).click()
  await page.getByRole('row', { name: /^companies/ }).waitFor()
  await page.getByRole('radio', { name: 'Everything' }).check()
  await page.getByText('4 chosen, about 23 records.').waitFor()
  await page.getByRole('button', { name: 'Look at the account' }).click()
  await page.waitForURL('**/console/migrations/run_*')

  // What it costs, and where fields go.
  await page.getByText(/Reading their 23 records takes at least \d+ requests/).waitFor()
  const deals = page.locator('[data-object=deals]')
  await deals.getByRole('button', { name: /^Match fields/ }).click()
  await deals.getByRole('combobox', { name: 'What title becomes' }).click()
  await page.getByRole('option', { name: 'Campaign' }).click()
  await deals.getByRole('button', { name: 'Save the fields' }).click()
  await page.getByText('The fields of deals are saved.').waitFor()
  await page.getByRole('button', { name: 'Read and rehearse' }).click()

  // Seen in the rehearsal, and put right: nothing is read anew.
  await page
    .getByText(/Nothing has been written yet/)
    .or(page.getByText(/mapping of deals is not complete/))
    .waitFor()
  const read = crm.asked.filter(({ what }) => what === 'page').length
  if ((await deals.getByRole('combobox', { name: 'What title becomes' }).count()) === 0) {
    await deals.getByRole('button', { name: /^Match fields/ }).click()
  }
  await deals.getByRole('combobox', { name: 'What title becomes' }).click()
  await page.getByRole('option', { name: 'Title', exact: true }).click()
  await deals.getByRole('button', { name: 'Save the fields' }).click()
  await page.getByRole('button', { name: 'Read and rehearse' }).click()
  await page.getByText('23 records would be created, 0 updated, none would fail.').waitFor()
  assert.equal(crm.asked.filter(({ what }) => what === 'page').length, read)
  assert.equal(await live(), 0)

  // Rows as they would be.
  const people = page.locator('[data-object=people]')
  await people.getByRole('button', { name: 'Rows' }).click()
  await people.getByText('Full name: First 3 Last 3').waitFor()
  await page.getByRole('button', { name: 'Import it' }).click()

  // The proof, on the page and as a file.
  await section(page, 'Proof').getByText('Passed').waitFor()
  await page.locator('[aria-current=step]').getByText('Keep up').waitFor()
  assert.equal(await live(), 23)
  const downloading = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download the proof' }).click()
  assert.equal((await downloading).suggestedFilename(), 'verification.json')

  // A change over there comes with the next pass.
  const person = crm.records.people?.find(({ id }) => id === '3')
  assert.ok(person !== undefined)
  person.values.last = 'Changed'
  person.updatedAt = '2026-03-02T00:00:00.000Z'
  crm.now = '2026-03-03T00:00:00.000000Z'
  await page.getByRole('button', { name: 'Read changes now' }).click()
  await people.getByText(/Changes, pass 2/).waitFor()
  await people.getByText(/1 row, completed/).waitFor()
  await section(page, 'Proof').getByText('Passed').waitFor()

  // By itself from now on.
  await page.getByRole('combobox', { name: 'Read changes' }).click()
  await page.getByRole('option', { name: 'Every day at 6:00' }).click()
  await section(page, 'Schedule').getByRole('button', { name: 'Save' }).click()
  await section(page, 'Schedule')
    .getByText(/^Next: /)
    .waitFor()

  // And back, after a look at what that would do.
  await page.getByRole('heading', { level: 1 }).waitFor()
  const address = page.url()
  await page.locator('main').getByRole('button', { name: 'Roll back', exact: true }).first().click()
  await page.getByRole('dialog').getByText('23 records that it created').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
  await page.waitForURL('**/console/runs/run_*')
  await page.goto(address)
  await page.getByRole('heading', { name: 'It was rolled back' }).waitFor()
  assert.equal(await live(), 0)
  assert.deepEqual(faults, [])
  await context.close()
})

test('a connection that is cut off says what to do, and one that is ended is gone', { skip: noBrowser }, async () => {
  const ada = await world.actor(await world.tenant())
  const id = await connected(world, ada)
  await migrated(world, ada, id, [])
  await world.oracle.query(
    `update integration set status = 'REAUTHORIZATION_REQUIRED', status_reason = 'HubSpot takes the sign-in no more.', access_token = null where tenant_id = $1`,
    [ada.tenantId],
  )
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/integrations')
  await page.getByText('To be connected again').waitFor()
  await page.getByText(/HubSpot takes the sign-in no more\. Connect it again/).waitFor()
  await page.getByRole('link', { name: /Analytical Engines \(HubSpot\)/ }).click()
  await page.getByText(/The connection to HubSpot is to be made again/).waitFor()
  await page.getByRole('link', { name: 'connect it' }).click()
  await page.getByRole('button', { name: 'Disconnect' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
  await page.getByText('Disconnected', { exact: true }).waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})

test('a migration is paused, resumed and canceled by whoever looks at it', { skip: noBrowser }, async () => {
  const ada: Actor = await world.actor(await world.tenant())
  const id = await migrated(world, ada, await connected(world, ada), [])
  const until = new Date(Date.now() + 3_600_000)
  crm.pausesAt.set('4', until)
  const { page, context, faults } = await openConsole(browser, world, ada, '/')
  await page.getByRole('link', { name: 'Migration', exact: true }).click()
  await page.getByRole('button', { name: 'Read and rehearse' }).click()
  await page.getByText('Nothing has to be done: it goes on by itself.').waitFor()
  await page.getByRole('button', { name: 'Resume' }).click()
  await page.getByText(/Nothing has been written yet/).waitFor()
  // It waits for one decision, and not for one of each object.
  await page.getByRole('link', { name: 'Home' }).click()
  await section(page, 'Needs you')
    .getByText(/The migration has been staged/)
    .waitFor()
  assert.equal(await section(page, 'Needs you').getByRole('link').count(), 1)
  await page.goto(`${world.url}/console/migrations/${id}`)
  await page.getByRole('button', { name: 'Cancel the run' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel the run' }).click()
  await page.getByRole('heading', { name: 'It was canceled' }).waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})

test('what only a person can say is asked, and what is answered counts', { skip: noBrowser }, async () => {
  const ada = await world.actor(await world.tenant())
  const before = structuredClone(crm.records.companies)
  for (const company of crm.records.companies ?? []) {
    company.values.kind = 'Guild'
  }
  try {
    const id = await migrated(world, ada, await connected(world, ada), ['Stage'])
    const { page, context, faults } = await openConsole(browser, world, ada, `/console/migrations/${id}`)
    await page.getByText('To be settled first: companies.').waitFor()
    const companies = page.locator('[data-object=companies]')
    await companies.getByRole('button', { name: /^Match fields/ }).click()
    await companies.getByRole('combobox', { name: '“Guild” means' }).click()
    await page.getByRole('option', { name: 'Organization', exact: true }).click()
    await companies.getByRole('button', { name: 'Save the fields' }).click()
    await page.getByText('The fields of companies are saved.').waitFor()
    await page.getByRole('button', { name: 'Read and rehearse' }).click()
    await page.getByText('23 records would be created, 0 updated, none would fail.').waitFor()
    await companies.getByRole('button', { name: 'Rows' }).click()
    await companies.getByText('Kind: ORGANIZATION').first().waitFor()
    assert.deepEqual(faults, [])
    await context.close()
  } finally {
    crm.records.companies = before ?? []
  }
})
