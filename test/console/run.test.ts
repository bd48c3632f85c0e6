/** A run in the browser: followed through a lost connection, its failed rows mended, and undone. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { SocketClient } from '../server/socket-client.js'
import { type Actor, dataOf, type Json, World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'
import { Line } from './line.js'

/** Rows of a run that is followed, and where in it its writing waits for the test. */
const ROWS = 3_000
const GATES = [1_050, 2_050] as const

const mapping = ['firstName', 'lastName', 'email'].map((field, columnIndex) => ({ columnIndex, field }))

let world: World
let browser: Browser
let ada: Actor

before(async () => {
  if (noBrowser === false) {
    world = await World.start({ settings: { PORTAGE_CHUNK_ROWS: '100', PORTAGE_CHUNKS_IN_FLIGHT: '1' } })
    browser = await launch()
    ada = await world.actor(await world.tenant())
    await world.oracle.query(`create function wait_for_test() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock(substr(new.last_name, 6)::int); return new; end $$`)
    await world.oracle.query(
      "create trigger wait_for_test before insert on contact for each row when (new.last_name like 'Gate %') execute function wait_for_test()",
    )
  }
})

after(async () => {
  await browser?.close()
  await world?.close()
})

for (const loss of ['cut', 'silent'] as const) {
  const how = loss === 'cut' ? 'that breaks' : 'that falls silent'
  test(`a run goes on in the page after a connection ${how}, with nothing missed, repeated or jumping back`, {
    skip: noBrowser,
  }, async () => {
    const line = await Line.to(world.url)
    await world.oracle.query('select pg_advisory_lock(1), pg_advisory_lock(2)')
    try {
      const { page, context } = await openConsole(browser, line, ada, '/console/runs')
      const heard = hear(page)
      const runId = await begin(loss)
      const told = await SocketClient.open(world.url, ada.token)
      told.subscribe(
        '1',
        'subscription ($id: ID!) { runEvents(runId: $id) { ... on RunProgressed { counts { created } } } }',
        { id: runId },
      )
      const comesTo = (rows: number) => told.next(({ payload }) => payload?.data?.runEvents.counts?.created === rows)

      await page.goto(`${line.url}/console/runs/${runId}`)
      await comesTo(1_000)
      await page.getByText('1,000 created', { exact: true }).waitFor()
      await page.evaluate(watch)
      line.state = loss
      await world.oracle.query('select pg_advisory_unlock(1)')
      await comesTo(2_000)
      await page.locator('[data-connection=lost]').waitFor({ timeout: 25_000 })
      assert.equal(await page.getByText('1,000 created', { exact: true }).count(), 1)

      line.state = 'whole'
      await page.getByText('2,000 created', { exact: true }).waitFor()
      await page.locator('[data-connection=open]').waitFor()
      await world.oracle.query('select pg_advisory_unlock(2)')
      await page.getByText('Every row has its outcome, and none failed: 3,000 rows.').waitFor()
      told.close()

      assert.deepEqual(jumps((await page.evaluate('globalThis.shown')) as Json), [])
      // Each event names the one before it: there is no gap and no repetition between the connections.
      assert.ok(heard.connections() > 1)
      let last: string | null = null
      for (const { sequence, previousSequence } of heard.events()) {
        assert.equal(previousSequence, last)
        last = sequence
      }
      await context.close()
    } finally {
      await world.oracle.query('select pg_advisory_unlock_all()')
      await line.close()
    }
  })
}

test('failed rows are corrected in the page until none is left, and what was typed is not lost on the way', {
  skip: noBrowser,
}, async () => {
  const flawed = [3, 5, 7, 9]
  const rows = Array.from({ length: 12 }, (_, row) => {
    return `Ada,Flaw ${row + 2},${flawed.includes(row + 2) ? 'nowhere' : `flaw.${row + 2}@example.com`}`
  })
  const runId = await world.import(ada, 'CONTACT', `First name,Last name,E-mail\n${rows.join('\n')}\n`, {}, { mapping })
  const { page, context, faults } = await openConsole(browser, world, ada, `/console/runs/${runId}`)
  const email = (row: number) => page.getByLabel(`E-mail of row ${row}`)
  await page.getByText('4 rows of 12 failed').waitFor()
  await email(3).fill('three@example.com')
  await email(5).fill('five at example')
  await page.getByRole('button', { name: 'Try 2 corrected rows' }).click()
  await page.getByText('As corrected: ').waitFor()
  assert.equal(await email(5).inputValue(), 'five at example')
  assert.equal(await email(3).count(), 0)
  assert.equal(await email(7).inputValue(), 'nowhere')
  await page.getByText('3 rows of 12 failed').waitFor()

  await email(5).fill('five@example.com')
  await email(7).fill('seven@example.com')
  await email(9).fill('nine@example.com')
  await page.getByRole('button', { name: 'Try 3 corrected rows' }).click()
  await page.getByText('Every row has its outcome, and none failed: 12 rows.').waitFor()
  await page.getByRole('img', { name: 'Outcome of the rows: 12 created' }).waitFor()
  assert.equal(await page.getByRole('heading', { name: 'Failed rows' }).count(), 0)
  assert.equal(await page.getByRole('link', { name: /^Tried again/ }).count(), 2)
  const { contacts } = await world.ask(
    ada,
    '{ contacts(first: 20, filter: { where: { field: "lastName", operator: STARTS_WITH, value: "Flaw" } }) { totalCount } }',
  )
  assert.equal(contacts.totalCount, 12)
  assert.deepEqual(faults, [])
  await context.close()
})

test('a run is rolled back from its page, which first tells what was changed since, and then what was kept', {
  skip: noBrowser,
}, async () => {
  const csv = 'First name,Last name,E-mail\nMary,Jackson,mary@example.com\nDorothy,Vaughan,dorothy@example.com\n'
  await world.import(ada, 'CONTACT', csv.replaceAll(/Jackson|Vaughan/g, 'Miller'), {}, { mapping })
  const runId = await world.import(ada, 'CONTACT', `${csv}Katherine,Johnson,kj@example.com\n`, {}, { mapping })
  const { page, context, faults } = await openConsole(browser, world, ada, `/console/runs/${runId}`)
  await page.getByRole('button', { name: 'Roll back' }).waitFor()
  const { contacts } = await world.ask(
    ada,
    '{ contacts(first: 1, filter: { where: { field: "email", operator: EQ, value: "mary@example.com" } }) { nodes { id } } }',
  )
  const edited = await world.ask(
    ada,
    'mutation ($input: RecordUpdateInput!) { recordUpdate(input: $input) { userErrors { message } } }',
    {
      input: {
        id: contacts.nodes[0].id,
        recordType: 'CONTACT',
        fields: [{ field: 'lastName', value: 'Winston Jackson' }],
      },
    },
  )
  assert.deepEqual(edited.recordUpdate.userErrors, [])

  await page.getByRole('button', { name: 'Roll back' }).click()
  const dialog = page.getByRole('dialog', { name: 'Roll back people.csv?' })
  await dialog.getByText('1 record that it created is deleted,').waitFor()
  await dialog.getByText('1 record that it changed gets the values of before,').waitFor()
  await dialog.getByText('1 field or record was changed since.').waitFor()
  await dialog.getByRole('button', { name: 'Keep everything' }).click()
  await dialog.waitFor({ state: 'hidden' })
  await page.getByRole('button', { name: 'Roll back' }).click()
  await dialog.getByRole('radio', { name: 'Keep it as it is now, and list it' }).waitFor()
  await dialog.getByRole('button', { name: 'Roll back' }).click()

  await page.getByRole('heading', { level: 1, name: 'Rollback' }).waitFor()
  await page.getByText('All that nobody had changed since went back').waitFor()
  for (const value of ['Miller', 'Jackson', 'Winston Jackson']) {
    await page.getByRole('cell', { name: value, exact: true }).waitFor()
  }
  await page.getByRole('link', { name: 'The run that it undoes' }).click()
  await page.waitForURL(`**/console/runs/${runId}`)
  await page.getByText('What nobody had changed since was undone; the rest was kept.').waitFor()
  await page.getByRole('link', { name: /^Its rollback/ }).waitFor()
  assert.deepEqual(faults, [])
  await context.close()
})

test('whoever is signed in with a key that is revoked is told so at once', { skip: noBrowser }, async () => {
  const { apiKeyCreate } = await world.ask(
    ada,
    'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { apiKey { id } secret userErrors { message } } }',
    { input: { name: 'Looking on', permissions: ['IMPORT_RUN'] } },
  )
  const { page, context } = await openConsole(browser, world, { ...ada, token: apiKeyCreate.secret })
  await page.locator('[data-connection=open]').waitFor()
  await world.ask(
    ada,
    'mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { userErrors { message } } }',
    { input: { id: apiKeyCreate.apiKey.id } },
  )
  await page.getByText('Your session has ended.').waitFor()
  await context.close()
})

/** Begins an import of contacts, and answers the run's id. */
async function begin(name: string): Promise<string> {
  const rows = Array.from({ length: ROWS }, (_, row) => {
    const gate = GATES.indexOf((row + 1) as never)
    return `Ada,${gate < 0 ? 'Lovelace' : `Gate ${gate + 1}`},${name}.${row}@example.com`
  })
  const { importCreate } = dataOf(
    await world.upload(
      ada,
      'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { message } } }',
      {
        recordType: 'CONTACT',
        idempotencyKey: name,
        mapping,
      },
      `First name,Last name,E-mail\n${rows.join('\n')}\n`,
    ),
  )
  return importCreate.importRun.id
}

/** Keeps what the page hears of its run from now on, over all its connections. */
function hear(page: Page) {
  const events: { readonly sequence: string; readonly previousSequence: string | null }[] = []
  let connections = 0
  page.on('websocket', (socket) => {
    let id: string | null = null
    socket.on('framesent', ({ payload }) => {
      const message = JSON.parse(String(payload)) as Json
      if (message.type === 'subscribe' && message.payload.query.includes('runEvents')) {
        id = message.id
        connections += 1
      }
    })
    socket.on('framereceived', ({ payload }) => {
      const message = JSON.parse(String(payload)) as Json
      if (message.type === 'next' && message.id === id) {
        events.push(message.payload.data.runEvents)
      }
    })
  })
  return { events: () => events, connections: () => connections }
}

/** A script that keeps what the page shows of its run, whenever that changes. */
const watch = `{
  globalThis.shown = []
  const look = () => {
    const main = document.querySelector('main')
    const now = [
      main.querySelector('[data-status]')?.dataset.status ?? '',
      main.querySelector('[data-fraction]')?.dataset.fraction ?? '',
      main.querySelector('.outcome-bar')?.getAttribute('aria-label') ?? '',
    ]
    if (now.join() !== globalThis.shown.at(-1)?.join()) {
      globalThis.shown.push(now)
    }
  }
  look()
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true })
}`

/** Where what was shown fell behind what had been shown before; at least two things must have been shown. */
function jumps(shown: readonly (readonly [status: string, fraction: string, outcome: string])[]): string[] {
  assert.ok(shown.length > 2, JSON.stringify(shown))
  return shown.flatMap(([status, fraction, outcome], index) => {
    const [before = status, fractionBefore = fraction, outcomeBefore = outcome] = shown[index - 1] ?? []
    const back =
      created(outcome) < created(outcomeBefore) || (status === before && Number(fraction) < Number(fractionBefore))
    return back ? [`${shown[index - 1]?.join()} and then ${shown[index]?.join()}`] : []
  })
}

function created(outcome: string): number {
  return Number(/([\d,]+) created/.exec(outcome)?.[1]?.replaceAll(',', '') ?? 0)
}
