/**
 * A large run in the browser: what its page takes of memory and how long its frames are while events flow. 200,000 rows;
 * `PORTAGE_CONSOLE_ROWS=1000000` makes it a million.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, CDPSession, Page } from 'playwright-core'
import { dataOf, World } from '../server/world.js'
import { launch, noBrowser, openConsole } from './browser.js'

const ROWS = Number(process.env.PORTAGE_CONSOLE_ROWS ?? 200_000)

/** One row in so many has an e-mail that is none. */
const FLAW = 40

/** The page's own memory at any moment, garbage included. Bytes. */
const HEAP_MAX = 200_000_000

/**
 * What the page does in one go, before it can draw or listen again: what takes longer is felt. Milliseconds of a processor, for what
 * other programs of the machine take meanwhile says nothing about the page.
 */
const TASK_MS_MAX = 50

let world: World
let browser: Browser

before(async () => {
  if (noBrowser === false) {
    // Small chunks, so that there is much to tell.
    world = await World.start({ settings: { PORTAGE_CHUNK_ROWS: '1000' } })
    browser = await launch()
  }
})

after(async () => {
  await browser?.close()
  await world?.close()
})

test(`the page of a run of ${ROWS} rows stays small and quick while events flow`, { skip: noBrowser }, async (t) => {
  const ada = await world.actor(await world.tenant())
  const { page, context, faults } = await openConsole(browser, world, ada, '/console/runs')
  page.setDefaultTimeout(ROWS)
  const { importCreate } = dataOf(
    await world.upload(
      ada,
      'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { message } } }',
      {
        recordType: 'CONTACT',
        idempotencyKey: 'large',
        mapping: ['externalId', 'firstName', 'lastName', 'email'].map((field, columnIndex) => ({ columnIndex, field })),
      },
      people(),
    ),
  )
  const cdp = await context.newCDPSession(page)
  await cdp.send('Performance.enable')
  const heaps = heapsOf(page, cdp)
  await page.goto(`${world.url}/console/runs/${importCreate.importRun.id}`)
  await page.getByRole('heading', { name: 'How far it is' }).waitFor()
  await page.evaluate(watchFrames)
  await browser.startTracing(page, { categories: ['toplevel'] })
  const failed = Math.floor(ROWS / FLAW)
  const end = page.getByText(
    `Every row has its outcome; ${failed.toLocaleString('en-GB')} rows of ${ROWS.toLocaleString('en-GB')} failed`,
  )
  await end.waitFor()
  const tasks = tasksOf(await browser.stopTracing())
  const { events, most } = heaps()
  const frames = (await page.evaluate('globalThis.seen')) as { readonly all: number; readonly long: readonly number[] }
  await cdp.send('HeapProfiler.collectGarbage')
  const kept = await heapOf(cdp)
  // Whoever opens the page of the ended run is told all of it at once.
  await page.reload()
  await end.waitFor()
  await page.getByRole('img', { name: /^Map of the file/ }).waitFor()
  const again = await heapOf(cdp)
  await context.close()

  const longest = Math.max(...tasks)
  t.diagnostic(
    `${events} messages; heap at most ${megabytes(most)}, ${megabytes(kept)} kept, ${megabytes(again)} when opened anew`,
  )
  t.diagnostic(
    `${tasks.length} tasks of at most ${longest.toFixed(1)} ms of a processor; ${frames.long.length} of ${frames.all} frames took ` +
      `longer than 50 ms on this machine, the longest ${Math.max(0, ...frames.long).toFixed(0)} ms`,
  )
  assert.ok(longest < TASK_MS_MAX, `a task took ${longest} ms`)
  assert.ok(Math.max(most, again) < HEAP_MAX, `${megabytes(most)} and ${megabytes(again)}`)
  assert.deepEqual(faults, [])
})

/** A list of people in which one e-mail in `FLAW` is none. */
function people(): Uint8Array<ArrayBuffer> {
  const lines = ['Key,First name,Last name,E-mail']
  for (let row = 1; row <= ROWS; row++) {
    lines.push(`k${row},Ada,Lovelace,${row % FLAW === 0 ? 'nowhere' : `ada.${row}@example.com`}`)
  }
  return new TextEncoder().encode(`${lines.join('\n')}\n`)
}

/** Looks at the heap with each message that the page gets from now on; tells how many there were, and the most bytes. */
function heapsOf(page: Page, cdp: CDPSession): () => { readonly events: number; readonly most: number } {
  let events = 0
  let most = 0
  page.on('websocket', (socket) => {
    socket.on('framereceived', () => {
      events += 1
      heapOf(cdp).then(
        (bytes) => {
          most = Math.max(most, bytes)
        },
        () => undefined,
      )
    })
  })
  return () => ({ events, most })
}

async function heapOf(cdp: CDPSession): Promise<number> {
  const { metrics } = await cdp.send('Performance.getMetrics')
  return metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? Number.POSITIVE_INFINITY
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

/** What the page's own thread did, one by one, of a trace. Milliseconds of a processor each. */
function tasksOf(trace: Buffer): number[] {
  const { traceEvents } = JSON.parse(trace.toString()) as { readonly traceEvents: readonly TraceEvent[] }
  const threads = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  )
  const tasks = traceEvents.filter(
    ({ name, pid, tid }) => name === 'ThreadControllerImpl::RunTask' && threads.has(`${pid} ${tid}`),
  )
  assert.ok(tasks.length > 0, 'the trace tells of no task')
  return tasks.map(({ tdur }) => (tdur ?? 0) / 1000)
}

interface TraceEvent {
  readonly name: string
  readonly pid: number
  readonly tid: number
  /** Microseconds of a processor. */
  readonly tdur?: number
  readonly args?: { readonly name?: string }
}

/** A script that counts frames from now on, and keeps how long those took that took longer than 50 ms. */
const watchFrames = `{
  const seen = (globalThis.seen = { all: 0, long: [] })
  const count = () => {
    seen.all += 1
    requestAnimationFrame(count)
  }
  requestAnimationFrame(count)
  new PerformanceObserver((list) => {
    seen.long.push(...list.getEntries().map(({ duration }) => duration))
  }).observe({ type: 'long-animation-frame' })
}`
