/** A real browser before a real service, for tests of the console. Where the machine has none, they are skipped and say so. */
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import type { Actor, World } from '../server/world.js'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Where a browser is; null for nowhere. `PORTAGE_TEST_CHROMIUM` names another place. */
export const browserPath: string | null =
  [process.env.PORTAGE_TEST_CHROMIUM ?? '', ...places].find((path) => path !== '' && existsSync(path)) ?? null

/** Why tests that need a browser are skipped; false where they are not. */
export const noBrowser: string | false =
  browserPath === null ? 'there is no Chromium on this machine (apt-get install chromium)' : false

export interface Look {
  readonly width?: number
  readonly height?: number
  readonly scheme?: 'light' | 'dark'
}

/** A browser of one's own. Close it. */
export async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: browserPath ?? '',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A window at `path`, signed in as `actor` by a link as `npm start` prints it. Faults of its scripts and policy end up in `faults`. */
export async function openConsole(
  browser: Browser,
  world: Pick<World, 'url'>,
  actor: Actor,
  path = '/',
  { width = 1280, height = 900, scheme = 'light' }: Look = {},
): Promise<{ readonly page: Page; readonly context: BrowserContext; readonly faults: string[] }> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    acceptDownloads: true,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') {
      faults.push(message.text())
    }
  })
  await page.goto(`${world.url}${path}#token=${actor.token}`)
  await page.waitForSelector('main h1')
  return { page, context, faults }
}
