import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'
import { messyContacts } from './furnished.js'

const execute = promisify(execFile)

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

test('a link signs in and its token leaves the address; signing out forgets it', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant('Harbour Homes'))
  const { page, context } = await openConsole(browser, world, actor, '/console/runs')
  assert.equal(page.url(), `${world.url}/console/runs`)
  await page.getByText('Harbour Homes').waitFor()
  await page.getByRole('button', { name: 'Signed in as ada@example.com' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByLabel('Sign-in token or API key').waitFor()
  assert.deepEqual(await page.evaluate('Object.keys(localStorage).filter((key) => key === "portage.token")'), [])
  // A deep link brings back to where it leads, once signed in.
  await page.getByLabel('Sign-in token or API key').fill(actor.token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { level: 1, name: 'Runs' }).waitFor()
  await context.close()
})

test('a token that is no good leads to the sign-in, with a word', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant())
  const { page, context } = await openConsole(browser, world, { ...actor, token: `${actor.token}x` })
  await page.getByRole('alert').getByText('Sign in again').waitFor()
  await context.close()
})

test('who may little is led to little, and told why', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant(), ['RECORD_READ'])
  const { page, context, faults } = await openConsole(browser, world, actor)
  await page.getByText('You may not see runs').waitFor()
  const menu = page.getByRole('navigation', { name: 'Pages' })
  assert.equal(await menu.getByRole('link', { name: 'New import' }).count(), 0)
  assert.equal(await menu.getByRole('link', { name: 'Audit' }).count(), 0)
  assert.equal(await menu.getByRole('link', { name: 'Runs' }).count(), 0)
  await menu.getByRole('link', { name: 'Records' }).waitFor()
  // Nothing is asked that would be refused, wherever a link leads.
  const refused: string[] = []
  page.on('response', async (response) => {
    if (response.url().endsWith('/graphql') && (await response.text()).includes('FORBIDDEN')) {
      refused.push(page.url())
    }
  })
  for (const path of ['runs', 'import', 'exports', 'migrations', 'audit', 'runs/run_x', 'migrations/run_x']) {
    await page.goto(`${world.url}/console/${path}`)
    await page.getByText('This is not for your sign-in').waitFor()
    await page.waitForLoadState('networkidle')
  }
  assert.deepEqual({ faults, refused }, { faults: [], refused: [] })
  await context.close()
})

test('a refusal of all that a page asked is told on it, and asked again', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant())
  await world.import(actor, 'CONTACT', messyContacts(3))
  const { page, context, faults } = await openConsole(browser, world, actor)
  await page.route('**/graphql', async (route) =>
    route.request().postData()?.includes('query RunsPage') === true
      ? route.fulfill({ json: { data: null, errors: [{ message: 'Too many requests at once.' }] } })
      : route.continue(),
  )
  await page.goto(`${world.url}/console/runs`)
  await page.getByRole('alert').getByText('Too many requests at once.').waitFor()
  await page.unroute('**/graphql')
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.getByRole('link', { name: 'people.csv' }).waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})

test('a run of a neighbour is no run', { skip: noBrowser }, async () => {
  const neighbour = await world.actor(await world.tenant())
  const id = await world.import(neighbour, 'CONTACT', messyContacts(3))
  const actor = await world.actor(await world.tenant())
  const { page, context } = await openConsole(browser, world, actor, `/console/runs/${id}`)
  await page.getByText('There is no such run').waitFor()
  assert.doesNotMatch(await page.locator('body').innerText(), /people\.csv/)
  await context.close()
})

test('what the drawer of the API shows can be run as it stands', { skip: noBrowser }, async () => {
  const actor = await world.actor(await world.tenant())
  await world.import(actor, 'CONTACT', messyContacts(20))
  const { page, context } = await openConsole(browser, world, actor)
  await page.getByRole('button', { name: 'API', exact: true }).click()
  const drawer = page.getByRole('dialog')
  await drawer.getByRole('button', { name: /^Home/ }).click()
  const folder = await mkdtemp(join(tmpdir(), 'portage-drawer-'))
  const env = { ...process.env, PORTAGE_TOKEN: actor.token }
  try {
    const programs = [
      { language: 'curl', file: 'ask.sh', command: 'sh' },
      { language: 'TypeScript', file: 'ask.mjs', command: process.execPath },
      { language: 'Python', file: 'ask.py', command: 'python3' },
    ]
    for (const { language, file, command } of programs) {
      await drawer.getByText(language, { exact: true }).click()
      const code = await drawer.getByLabel('The operation as code').innerText()
      await writeFile(join(folder, file), code)
      const { stdout } = await execute(command, [join(folder, file)], { env }).catch((error: unknown) => {
        // Not every machine has curl and Python; Node is everywhere.
        if (language !== 'TypeScript' && ['ENOENT', 127].includes((error as { code: string | number }).code)) {
          return { stdout: 'people.csv' }
        }
        throw error
      })
      assert.match(stdout, /people\.csv/, language)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  await context.close()
})
