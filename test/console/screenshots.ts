/**
 * Pictures of every page of the console, wide and narrow, light and dark, with data in it:
 * `PORTAGE_TEST_DATABASE_URL=… node dist/test/console/screenshots.js FOLDER [PAGE …]`.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { World } from '../server/world.js'
import { launch, openConsole } from './browser.js'
import { furnish, houseOptions, pages } from './furnished.js'

const [folder = 'screenshots', ...only] = process.argv.slice(2)
mkdirSync(folder, { recursive: true })
const world = await World.start(houseOptions)
const browser = await launch()
try {
  const house = await furnish(world)
  for (const [name, place] of Object.entries(pages(house))) {
    if (only.length > 0 && !only.includes(name)) {
      continue
    }
    for (const scheme of ['light', 'dark'] as const) {
      for (const width of [1280, 390]) {
        const { page, context, faults } = await openConsole(browser, world, house.actor, place.path, { width, scheme })
        await place.ready(page)
        await page.screenshot({ path: join(folder, `${name}-${width}-${scheme}.png`), fullPage: true })
        for (const fault of faults) {
          console.error(`${name} ${width} ${scheme}: ${fault}`)
        }
        await context.close()
      }
    }
  }
} finally {
  await browser.close()
  await world.close()
}
