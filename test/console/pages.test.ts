import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import axe from 'axe-core'
import type { Browser } from 'playwright-core'
import { World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'
import { furnish, type House, houseOptions, pages } from './furnished.js'

/** Of the script that the first page needs, compressed. Bytes. */
const FIRST_SCRIPT_MAX = 250_000

/** The rules that WCAG 2.2 AA asks for, and what makes a page good to use beyond them. */
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

let world: World
let browser: Browser
let house: House

before(async () => {
  if (noBrowser === false) {
    world = await World.start(houseOptions)
    browser = await launch()
    house = await furnish(world)
  }
})

after(async () => {
  await browser?.close()
  await world?.close()
})

/** Each page is looked at so, one after the other, without being opened anew. */
const looks = [
  { scheme: 'light', width: 1280 },
  { scheme: 'dark', width: 1280 },
  { scheme: 'light', width: 390 },
] as const

test('every page is open to keyboards and screen readers, fits its window and keeps to its policy', {
  skip: noBrowser,
}, async () => {
  const { page, context, faults } = await openConsole(browser, world, house.actor)
  const wrong: string[] = []
  for (const [name, place] of Object.entries(pages(house))) {
    await page.setViewportSize({ width: 1280, height: 900 })
    await page.goto(`${world.url}${place.path}`)
    await place.ready(page)
    await page.evaluate(axe.source)
    for (const { scheme, width } of looks) {
      await page.setViewportSize({ width, height: 900 })
      await page.emulateMedia({ colorScheme: scheme })
      await page.locator(`[data-mantine-color-scheme=${scheme}]`).waitFor({ state: 'attached' })
      const found = (await page.evaluate(
        `axe.run(document, { runOnly: ${JSON.stringify(rules)} }).then(({ violations }) => violations)`,
      )) as axe.Result[]
      const where = `${name}, ${scheme}, ${width} wide:`
      wrong.push(
        ...found
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(({ id, nodes }) => `${where} ${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`),
      )
      const wide = Number(
        await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
      )
      if (wide > 0) {
        wrong.push(`${where} ${wide} pixels wider than its window`)
      }
    }
    wrong.push(...faults.splice(0).map((fault) => `${name}: ${fault}`))
  }
  assert.deepEqual(wrong, [])
  await context.close()
})

test('the first page needs little script', () => {
  const folder = join(import.meta.dirname, '..', '..', 'web')
  if (!existsSync(join(folder, 'index.html'))) {
    return
  }
  const html = readFileSync(join(folder, 'index.html'), 'utf8')
  const scripts = [...html.matchAll(/(?:src|modulepreload"[^>]*href)="(\/assets\/[^"]+\.js)"/g)].map(
    ([, path]) => path ?? '',
  )
  assert.ok(scripts.length > 0)
  const bytes = scripts.reduce((sum, path) => sum + gzipSync(readFileSync(join(folder, path))).length, 0)
  assert.ok(bytes <= FIRST_SCRIPT_MAX, `${bytes} bytes`)
})
