import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Actor, World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'

/*
 * A messy file from the drop to the last corrected row and back again, by what a person sees and clicks.
 */

/** Semicolons, a latin encoding, a column that nobody knows, a status in words of its own, two addresses that are none. */
const messy = Buffer.from(
  [
    'Vorname;Nachname;E-Mail;Stadt;Lieblingsfarbe',
    'Jürgen;Groß;juergen@example.com;Köln;grün',
    'Änne;Weiß;aenne@example.com;Köln;blau',
    'Otto;Schmidt;otto at example;Bonn;rot',
    'Käthe;Möller;kaethe@example.com;Düren;gelb',
    'Uwe;Krüger;uwe(at)example.com;Aachen;weiß',
    '',
  ].join('\r\n'),
  'latin1',
)

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

async function contacts(actor: Actor): Promise<string[]> {
  const answer = await world.ask(
    actor,
    '{ contacts(first: 50) { nodes { firstName city customFields { key value } } } }',
  )
  return answer.contacts.nodes
    .map((each: { firstName: string; city: string; customFields: { value: string }[] }) =>
      [each.firstName, each.city, ...each.customFields.map(({ value }) => value)].join(' '),
    )
    .toSorted()
}

/** Chooses an entry of a list that is searched. */
async function choose(page: Page, label: string, typed: string, option: string | RegExp): Promise<void> {
  const input = page
    .getByRole('combobox', { name: label })
    .or(page.getByRole('textbox', { name: label }))
    .first()
  await input.click()
  await input.fill(typed)
  await page.getByRole('option', { name: option }).first().click()
}

test('a messy file goes from the drop to done, is corrected in the page, and rolled back', {
  skip: noBrowser,
}, async () => {
  const actor = await world.actor(await world.tenant())
  const { page, context, faults } = await openConsole(browser, world, actor, '/console/import')
  await page.locator('input[type=file]').setInputFiles({ name: 'kunden.csv', mimeType: 'text/csv', buffer: messy })

  // How it is read: found out without help.
  await page.getByText('Jürgen').waitFor()
  await page.getByText('windows-1252').waitFor()
  await page.getByRole('button', { name: 'Match the columns' }).click()

  // Columns: German headers are known, the one that is not is left out until a person says so.
  await page.locator('[data-column="Vorname"][data-field="firstName"]').waitFor()
  await page.locator('[data-column="Lieblingsfarbe"][data-field=""]').waitFor()
  await page.reload()
  await page.locator('[data-column="E-Mail"][data-field="email"]').waitFor()
  await choose(page, 'Field of Lieblingsfarbe', 'new', /new custom field/i)
  await page.getByRole('dialog').getByRole('textbox', { name: 'Name' }).fill('Favourite colour')
  await page.getByRole('button', { name: 'Use it' }).click()
  await page.getByRole('cell', { name: 'grün' }).first().waitFor()
  // Nothing of it is lost by a reload.
  await page.reload()
  await page.getByRole('cell', { name: 'grün' }).first().waitFor()
  await page.getByRole('button', { name: 'Set the rules' }).click()

  await page.getByRole('radio', { name: /Fill only what it lacks/ }).check()
  await page.getByRole('button', { name: 'Make the plan' }).click()

  // The plan, of every row, before anything is written.
  await page.getByRole('heading', { name: 'The plan' }).waitFor()
  await page.getByText('2 rows would fail').waitFor()
  assert.deepEqual(await contacts(actor), [])
  await page.reload()
  await page.getByRole('button', { name: 'Apply 3 changes' }).click()

  // The run, to its end.
  await page.locator('[data-status="COMPLETED_WITH_ERRORS"]').first().waitFor()
  assert.deepEqual(await contacts(actor), ['Jürgen Köln grün', 'Käthe Düren gelb', 'Änne Köln blau'])

  // Both rows are corrected where they stand, and tried again.
  await page.getByLabel('E-Mail of row 4').fill('otto@example.com')
  await page.getByLabel('E-Mail of row 6').fill('uwe@example.com')
  await page.getByRole('button', { name: 'Try 2 corrected rows' }).click()
  await page.getByText('none failed: 5 rows').waitFor()
  assert.equal((await contacts(actor)).length, 5)

  // Rolling back shows what it would do; the retry goes first.
  await page.getByRole('link', { name: /^Tried again/ }).click()
  await page.getByRole('button', { name: 'Roll back' }).click()
  await page.getByRole('dialog').getByText('2 records that it created are deleted').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
  await page.getByRole('heading', { level: 1, name: 'Rollback' }).waitFor()
  await page.locator('[data-status="COMPLETED"]').first().waitFor()
  assert.deepEqual(await contacts(actor), ['Jürgen Köln grün', 'Käthe Düren gelb', 'Änne Köln blau'])
  assert.deepEqual(faults, [])
  await context.close()
})

test('a plan is made anew when the columns are changed', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant())
  const id = await world.import(
    actor,
    'CONTACT',
    'First name,Last name,Town\nAda,Lovelace,London\n',
    {},
    { confirmation: 'ASK' },
  )
  const { page, context, faults } = await openConsole(browser, world, actor, `/console/import/${id}`)
  await page.getByRole('button', { name: 'Change the columns' }).click()
  await page.locator('[aria-label="Leave Last name out"]').click()
  await page.getByRole('button', { name: 'Make the plan' }).click()
  await page.getByRole('button', { name: 'Apply 1 change' }).click()
  await page.locator('[data-status="COMPLETED"]').first().waitFor()
  const answer = await world.ask(actor, '{ contacts(first: 5) { nodes { firstName lastName } } }')
  assert.deepEqual(answer.contacts.nodes, [{ firstName: 'Ada', lastName: null }])
  assert.deepEqual(faults, [])
  await context.close()
})

test('a date that can be read in two ways is a question, not a guess', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant())
  const id = await world.import(
    actor,
    'CONTACT',
    'First name,Last name,Date of birth\nAda,Lovelace,03/04/1985\nGrace,Hopper,05/06/1990\n',
    {},
    { confirmation: 'ASK' },
  )
  const { page, context, faults } = await openConsole(browser, world, actor, `/console/import/${id}`)
  await page.locator('[data-conflict="AMBIGUOUS_FORMAT"]').waitFor()
  await page.getByRole('radio', { name: /dd\/MM\/yyyy/ }).check()
  await page.getByRole('button', { name: 'Make the plan' }).click()
  await page.getByRole('button', { name: 'Apply 2 changes' }).click()
  await page.locator('[data-status="COMPLETED"]').first().waitFor()
  const answer = await world.ask(actor, '{ contacts(first: 5) { nodes { birthDate } } }')
  assert.deepEqual(answer.contacts.nodes.map(({ birthDate }: { birthDate: string }) => birthDate).toSorted(), [
    '1985-04-03',
    '1990-06-05',
  ])
  assert.deepEqual(faults, [])
  await context.close()
})

test('an answer that was lost makes no second import, and a change after it is no dead end', {
  skip: noBrowser,
}, async () => {
  const actor = await world.actor(await world.tenant())
  const { page, context } = await openConsole(browser, world, actor, '/console/import')
  await page.locator('input[type=file]').setInputFiles({
    name: 'people.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('First name,Last name\nAda,Lovelace\n'),
  })
  await page.getByRole('button', { name: 'Match the columns' }).click()
  await page.getByRole('button', { name: 'Set the rules' }).click()
  // The service does it, and nobody hears of it.
  let lost = 0
  await page.route('**/graphql', async (route) => {
    if (lost < 2 && route.request().postData()?.includes('mutation ImportCreate') === true) {
      lost += 1
      await route.fetch()
      await route.abort()
    } else {
      await route.continue()
    }
  })
  const imports = async (): Promise<number> => {
    const { runs } = await world.ask(actor, '{ runs(first: 10) { nodes { id } } }')
    return runs.nodes.length
  }
  for (let asked = 1; asked <= 2; asked++) {
    await page.getByRole('button', { name: 'Make the plan' }).click()
    await page
      .getByText('The service cannot be reached')
      .nth(asked - 1)
      .waitFor()
  }
  assert.deepEqual([lost, await imports()], [2, 1])
  await page.getByRole('radio', { name: /Fill only what it lacks/ }).check()
  await page.getByRole('button', { name: 'Make the plan' }).click()
  await page.getByRole('button', { name: 'Apply 1 change' }).waitFor()
  assert.equal(await imports(), 2)
  await context.close()
})
