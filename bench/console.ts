/**
 * The console in Chromium: what its first page weighs, and how soon it is there, beside a page of some words of the same service; and
 * what a large run costs the page that follows it.
 */
import type { Browser } from 'playwright-core'
import { browserPath, launch } from '../test/console/browser.js'
import { contactFile } from './contacts.js'
import { keepResult, machine, printTable, type Spread, showSpread, spread } from './report.js'
import { FOLDER, startServer } from './server.js'
import { endOf, startService, uploadContacts } from './service.js'

export interface ConsoleBenchOptions {
  /** Of the run that a page follows. */
  readonly rows: number
  readonly rounds: number
}

/** Rows of the imports that Home shows. */
const SHOWN_ROWS = 1000

/** The script of the first page, compressed: at most. Bytes. */
const SCRIPT_AIM = 250_000

/** What the page of a run may hold while events flow, and how long one frame may take. */
const HEAP_AIM_MB = 200
const FRAME_AIM_MS = 50

interface Load {
  readonly firstPaintMs: number
  readonly largestPaintMs: number
  /** Of each task longer than 50 ms what is beyond them, summed. */
  readonly blockedMs: number
  readonly scriptBytes: number
  readonly styleBytes: number
}

/** In the page, before anything else runs: what the browser itself measures. */
const watcher = `globalThis.seen = { first: 0, largest: 0, blocked: 0 }
new PerformanceObserver((list) => { for (const each of list.getEntries()) if (each.name === 'first-contentful-paint') seen.first = each.startTime }).observe({ type: 'paint', buffered: true })
new PerformanceObserver((list) => { for (const each of list.getEntries()) seen.largest = each.startTime }).observe({ type: 'largest-contentful-paint', buffered: true })
new PerformanceObserver((list) => { for (const each of list.getEntries()) seen.blocked += each.duration - 50 }).observe({ type: 'longtask', buffered: true })`

export async function benchConsole({ rows, rounds }: ConsoleBenchOptions): Promise<void> {
  if (browserPath === null) {
    throw new Error('there is no Chromium here: apt-get install chromium, or name one by PORTAGE_TEST_CHROMIUM')
  }
  const before = await machine()
  const date = new Date().toISOString()
  await using server = await startServer()
  await using service = await startService(server, {})
  const api = await service.api(await service.tenant())
  const small = await contactFile(FOLDER, SHOWN_ROWS)
  for (let runs = 0; runs < 3; runs++) {
    await endOf(api, await uploadContacts(api, small))
  }
  const token = await api.token()
  const { origin } = new URL(api.url)
  const browser = await launch()
  try {
    const plain = await loads(browser, `${origin}/livez`, rounds)
    const home = await loads(browser, `${origin}/#token=${token}`, rounds)
    const table: string[][] = [['', 'Home', 'a page of words']]
    const line = (name: string, of: (load: Load) => number, decimals = 0): void => {
      table.push([name, showSpread(figure(home, of), decimals), showSpread(figure(plain, of), decimals)])
    }
    line(`script, kB compressed (aim ${SCRIPT_AIM / 1000})`, ({ scriptBytes }) => scriptBytes / 1000, 1)
    line('styles, kB compressed', ({ styleBytes }) => styleBytes / 1000, 1)
    line('first paint, ms', ({ firstPaintMs }) => firstPaintMs)
    line('largest paint, ms', ({ largestPaintMs }) => largestPaintMs)
    line('blocked, ms', ({ blockedMs }) => blockedMs)
    printTable(table)

    const followed = await follow(browser, origin, token, async () =>
      uploadContacts(api, await contactFile(FOLDER, rows)),
    )
    printTable([
      ['a run that is followed', ''],
      ['rows', String(rows)],
      ['events shown', String(followed.changes)],
      [`heap of the page at most, MB (aim ${HEAP_AIM_MB})`, followed.heapMb.toFixed(1)],
      [`longest frame, ms (aim ${FRAME_AIM_MS})`, followed.longestFrameMs.toFixed(0)],
      [`frames over ${FRAME_AIM_MS} ms, of all`, `${followed.slowFrames} of ${followed.frames}`],
    ])
    await keepResult('console', { date, machine: before, rounds, home, plain, rows, followed })
  } finally {
    await browser.close()
  }
}

function figure(all: readonly Load[], of: (load: Load) => number): Spread {
  return spread(all.map(of))
}

/** Opens an address so often, each time in a browser that knows nothing of it. */
async function loads(browser: Browser, url: string, rounds: number): Promise<Load[]> {
  const all: Load[] = []
  for (let round = 0; round < rounds; round++) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    const page = await context.newPage()
    await page.addInitScript(watcher)
    const bytes = { script: 0, stylesheet: 0 }
    page.on('requestfinished', (request) => {
      const type = request.resourceType()
      if (type === 'script' || type === 'stylesheet') {
        void request.sizes().then(({ responseBodySize }) => {
          bytes[type] += responseBodySize
        })
      }
    })
    await page.goto(url)
    await page.waitForLoadState('networkidle')
    const seen = (await page.evaluate('seen')) as { first: number; largest: number; blocked: number }
    all.push({
      firstPaintMs: seen.first,
      largestPaintMs: seen.largest,
      blockedMs: seen.blocked,
      scriptBytes: bytes.script,
      styleBytes: bytes.stylesheet,
    })
    await context.close()
  }
  return all
}

interface Followed {
  readonly heapMb: number
  readonly longestFrameMs: number
  readonly frames: number
  readonly slowFrames: number
  /** How often what the page says of its rows changed. */
  readonly changes: number
}

/** Opens the page of a run at its start and stays until its end. */
async function follow(
  browser: Browser,
  origin: string,
  token: string,
  start: () => Promise<string>,
): Promise<Followed> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const page = await context.newPage()
  const runId = await start()
  await page.goto(`${origin}/console/runs/${runId}#token=${token}`)
  await page.waitForSelector('[data-status]')
  await page.evaluate(`globalThis.frames = []
    let last = performance.now()
    const frame = (now) => { frames.push(now - last); last = now; requestAnimationFrame(frame) }
    requestAnimationFrame(frame)
    globalThis.changes = 0
    new MutationObserver(() => { changes++ }).observe(document.querySelector('main'), { subtree: true, characterData: true, childList: true })`)
  const session = await context.newCDPSession(page)
  let heapMb = 0
  for (;;) {
    const { usedSize } = (await session.send('Runtime.getHeapUsage')) as { usedSize: number }
    heapMb = Math.max(heapMb, usedSize / 1e6)
    const status = await page.locator('[data-status]').first().getAttribute('data-status')
    if (status === 'COMPLETED' || status === 'COMPLETED_WITH_ERRORS') {
      break
    }
    if (status === 'FAILED' || status === 'CANCELED') {
      throw new Error(`the run is ${status}`)
    }
    await page.waitForTimeout(250)
  }
  const frames = (await page.evaluate('frames.slice(2)')) as number[]
  const changes = Number(await page.evaluate('changes'))
  await context.close()
  return {
    heapMb,
    longestFrameMs: frames.reduce((longest, each) => Math.max(longest, each), 0),
    frames: frames.length,
    slowFrames: frames.filter((each) => each > FRAME_AIM_MS).length,
    changes,
  }
}
