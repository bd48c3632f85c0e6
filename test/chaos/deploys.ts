/** What operators do to processes: stop them, replace them by another version, take the database away and bring it back. */
import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import WebSocket from 'ws'
import { RoleProcess } from '../helpers/processes.js'
import { Random } from '../helpers/random.js'
import { differences, eventFaults } from './compare.js'
import { Front, freePort } from './front.js'
import type { House, Server } from './house.js'
import { quantile, settledAtLeast } from './kills.js'
import { faultsOf, prepare, type Reference, type Result } from './scenarios.js'

const SMALL_CHUNKS = { PORTAGE_CHUNK_ROWS: '250' }

/** A process that is told to stop has ended after this at the latest. */
const STOPPED_MS = 10_000

/** And is not ready any more after this. */
const UNREADY_MS = 1000

/** After a database is back, everything goes on within this. */
const BACK_MS = 5000

/** Tells the working process to stop, again and again, in the middle of one run. */
export async function stops(house: House, reference: Reference, count: number): Promise<Result> {
  const random = new Random(reference.seed * 61)
  await house.hire()
  const tenantId = await prepare(house, 'stops', reference.base)
  await house.hire(SMALL_CHUNKS)
  const runId = await house.startImport(tenantId, reference.type, reference.file)
  const wrong: string[] = []
  const times: number[] = []
  let attempts = 0
  for (let i = 0; i < count; i++) {
    const moment = Math.floor((reference.rows * 0.9 * (i + random.next())) / count)
    if ((await settledAtLeast(house, [{ tenantId, runId, rows: reference.rows }], moment)) === null) {
      wrong.push(`the run ended after ${i} of ${count} stops`)
      break
    }
    const active = await house.crew.active()
    await pause(random.below(60))
    house.crew.expect(active)
    const at = performance.now()
    const { code, signal } = await active.stop()
    times.push(performance.now() - at)
    if (code !== 0) {
      wrong.push(`it ended with ${code ?? signal}: ${active.output.slice(-1000)}`)
    }
    const run = await house.one<{ attempts: number }>('select attempts from run where tenant_id = $1 and id = $2', [
      tenantId,
      runId,
    ])
    attempts = Math.max(attempts, run.attempts)
  }
  await house.ended(tenantId, runId)
  // Whoever has the run now counts as one.
  if (attempts > 1) {
    wrong.push(`a stop counted as an attempt: there were ${attempts}`)
  }
  const slowest = quantile(times, 1) ?? 0
  if (slowest > STOPPED_MS) {
    wrong.push(`it took ${Math.round(slowest)} ms to stop`)
  }
  wrong.push(...(await faultsOf(house, reference, { tenantId, runId })))
  await house.dismiss()
  return {
    name: 'SIGTERM to the worker [SU-1] [CS-7]',
    faults: wrong,
    figures: {
      rows: reference.rows,
      stops: times.length,
      'stopped p50 ms': Math.round(quantile(times, 0.5) ?? 0),
      'stopped max ms': Math.round(slowest),
    },
  }
}

const CREATE =
  'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code message } } }'

/** Tells the API to stop while a socket is open and a file is on its way, and starts the next one. */
export async function apiStops(house: House, count: number): Promise<Result> {
  await house.hire()
  const front = await Front.open(house)
  const tenantId = await house.tenant('api stops')
  const token = await front.token(tenantId)
  const wrong: string[] = []
  const [unready, stopped]: [number[], number[]] = [[], []]
  try {
    for (let i = 0; i < count; i++) {
      const socket = new WebSocket(`${front.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
      await new Promise((resolve) => socket.once('open', resolve))
      const closed = new Promise<number>((resolve) => socket.once('close', resolve))
      const key = `stop ${i}`
      const input = { recordType: 'CONTACT', idempotencyKey: key, mapping: [{ column: 'Mail', field: 'email' }] }
      const upload = slowUpload(front, token, input, `Mail\nx${i}@example.com\n`)
      await upload.begun
      // Time for it to arrive.
      await pause(100)
      const { process } = front
      const at = performance.now()
      process.signal('SIGTERM')
      while ((await ready(front.url)) && process === front.process) {
        await pause(10)
      }
      unready.push(performance.now() - at)
      const { code } = await process.exited
      stopped.push(performance.now() - at)
      if (code !== 0) {
        wrong.push(`it ended with ${code}: ${process.output.slice(-1000)}`)
      }
      const goodbye = await closed
      if (goodbye !== 1001) {
        wrong.push(`the socket was closed with ${goodbye}`)
      }
      const outcome = await upload.ended
      if (outcome !== 'taken' && outcome !== 'asked to try again') {
        wrong.push(`an upload on its way ended as: ${outcome}`)
      }
      const { importCreate } = await front.ask(token, CREATE, { input }, `Mail\nx${i}@example.com\n`)
      if (importCreate.importRun === null) {
        wrong.push(`the next try was refused: ${JSON.stringify(importCreate.userErrors)}`)
      }
      const { runs } = await house.one<{ runs: number }>('select count(*)::int as runs from run where tenant_id = $1', [
        tenantId,
      ])
      if (runs !== i + 1) {
        wrong.push(`${i + 1} keys have made ${runs} runs`)
      }
    }
  } finally {
    await front.close()
    await house.dismiss()
  }
  for (const [what, times, limit] of [
    ['not to be ready', unready, UNREADY_MS],
    ['to stop', stopped, STOPPED_MS],
  ] as const) {
    const slowest = quantile(times, 1) ?? 0
    if (slowest > limit) {
      wrong.push(`it took ${Math.round(slowest)} ms ${what}`)
    }
  }
  return {
    name: 'SIGTERM to the API [SU-1]',
    faults: wrong,
    figures: {
      stops: stopped.length,
      'not ready max ms': Math.round(quantile(unready, 1) ?? 0),
      'stopped p50 ms': Math.round(quantile(stopped, 0.5) ?? 0),
      'stopped max ms': Math.round(quantile(stopped, 1) ?? 0),
    },
  }
}

async function ready(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`, { headers: { connection: 'close' } }).catch(() => null)
  return answer?.status === 200
}

/** An upload whose second half comes when the process has been told to stop. */
function slowUpload(front: Front, token: string, input: object, file: string) {
  const boundary = 'half-and-half'
  const part = (name: string, value: string, more = '') =>
    `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
  const body = [
    part('operations', JSON.stringify({ query: CREATE, variables: { input: { ...input, file: null } } })),
    part('map', JSON.stringify({ 0: ['variables.input.file'] })),
    part('0', file, '; filename="slow.csv"'),
    `--${boundary}--\r\n`,
  ].join('')
  const begun = Promise.withResolvers<void>()
  const half = Math.floor(body.length * 0.9)
  const ended = new Promise<string>((resolve) => {
    const sending = request(
      `${front.url}/graphql`,
      {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          'apollo-require-preflight': 'true',
          'content-type': `multipart/form-data; boundary=${boundary}`,
          'content-length': body.length,
        },
      },
      (response) => {
        text(response).then(
          (said) =>
            resolve(
              (response.statusCode ?? 500) >= 500
                ? 'asked to try again'
                : said.includes('"importRun":{"id"')
                  ? 'taken'
                  : `${response.statusCode} ${said}`,
            ),
          () => resolve('asked to try again'),
        )
      },
    )
    // The connection was closed: whoever has a key tries again.
    sending.on('error', () => resolve('asked to try again'))
    sending.write(body.slice(0, half), () => begun.resolve())
    setTimeout(() => sending.end(body.slice(half)), 300)
  })
  return { begun: begun.promise, ended }
}

/** The build one version on: its jobs say so, and it still knows those of this one. */
function nextBuild(): { readonly main: string; remove(): void } {
  const dist = fileURLToPath(new URL('../../', import.meta.url))
  const next = join(dist, 'next')
  rmSync(next, { recursive: true, force: true })
  cpSync(join(dist, 'src'), join(next, 'src'), { recursive: true })
  symlinkSync(join(dist, 'migrations'), join(next, 'migrations'))
  const job = join(next, 'src', 'jobs', 'job.js')
  const source = readFileSync(job, 'utf8')
  const raised = source.replace('const PAYLOAD_VERSION = 1', 'const PAYLOAD_VERSION = 2')
  if (raised === source) {
    throw new Error('the version of the payload is not where it was')
  }
  writeFileSync(job, raised)
  return {
    main: join(next, 'src', 'main.js'),
    remove: () => rmSync(next, { recursive: true, force: true }),
  }
}

/** Deploys the next version and goes back to this one, again and again, while an import runs. */
export async function rollingDeploys(house: House, reference: Reference, count: number): Promise<Result> {
  await house.hire()
  const tenantId = await prepare(house, 'deploys', reference.base)
  const next = nextBuild()
  const wrong: string[] = []
  let runId = ''
  try {
    await house.deploy(SMALL_CHUNKS)
    runId = await house.startImport(tenantId, reference.type, reference.file)
    for (let i = 0; i < count; i++) {
      const moment = Math.floor((reference.rows * 0.9 * (i + 0.5)) / count)
      if ((await settledAtLeast(house, [{ tenantId, runId, rows: reference.rows }], moment)) === null) {
        wrong.push(`the run ended after ${i} of ${count} deploys`)
        break
      }
      await house.deploy(SMALL_CHUNKS, i % 2 === 0 ? next.main : undefined)
    }
    await house.ended(tenantId, runId)
    wrong.push(...(await differences(house, reference.type, reference, { tenantId, runId })))
    wrong.push(...(await eventFaults(house, tenantId)))
    wrong.push(...house.losses.map((loss) => `a process ended by itself: ${loss.slice(-1000)}`))
    wrong.push(...(await leftToNewer(house, next.main)))
  } finally {
    await house.dismiss()
    next.remove()
  }
  return { name: 'rolling deploys [SU-2]', faults: wrong, figures: { rows: reference.rows, deploys: count } }
}

/** A job of a later version waits, untouched, until somebody comes who knows it. */
async function leftToNewer(house: House, newer: string): Promise<string[]> {
  await house.deploy({})
  const waiting = async (state: string) =>
    (
      await house.rows(
        `select id from pgboss.job where name = 'advance-run' and data ->> 'v' = '2' and state = '${state}'`,
      )
    ).length
  const tenantId = await house.tenant('later')
  const before = await waiting('completed')
  await house.rows(
    `insert into pgboss.job (name, data, policy) values ('advance-run', jsonb_build_object('v', 2, 'tenantId', $1::text, 'runId', $1::text), 'short')`,
    [tenantId],
  )
  // It has been looked at and put back when it is there as another job.
  await house.until('an old worker has put the job back', async () =>
    (await waiting('completed')) > before ? true : null,
  )
  if ((await waiting('created')) !== 1) {
    return ['a job of a later version was not left to a newer worker']
  }
  await house.deploy({}, newer)
  await house.until('a newer worker has taken the job', async () => ((await waiting('created')) === 0 ? true : null))
  return []
}

/** Takes the database away while an import runs and clients ask, for so long; and starts processes meanwhile. */
export async function databaseAway(
  house: House,
  server: Server,
  reference: Reference,
  seconds: number,
): Promise<Result> {
  await house.hire()
  const tenantId = await prepare(house, 'away', reference.base)
  await house.hire(SMALL_CHUNKS)
  const front = await Front.open(house)
  const token = await front.token(tenantId)
  const wrong: string[] = []
  const runId = await house.startImport(tenantId, reference.type, reference.file)
  await settledAtLeast(house, [{ tenantId, runId, rows: reference.rows }], reference.rows / 4)
  const crewBefore = house.crew.started
  let late: RoleProcess | null = null
  let asked = 0
  const port = await freePort()
  const backAt = await server.away(async () => {
    late = new RoleProcess('api', {
      PORTAGE_ROLE: 'api',
      PORTAGE_PORT: String(port),
      PORTAGE_DATA_DIR: house.dataDir,
      PORTAGE_LOG_LEVEL: 'error',
      DATABASE_URL: house.db.apiUrl,
    })
    await late.ready
    for (const until = Date.now() + seconds * 1000; Date.now() < until; await pause(500)) {
      for (const base of [front.url, `http://127.0.0.1:${port}`]) {
        for (const [path, init] of [
          ['/readyz', {}],
          [
            '/graphql',
            {
              method: 'POST',
              headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
              body: '{"query":"{ viewer { actor } }"}',
            },
          ],
        ] as const) {
          const answer = await fetch(base + path, { ...init, signal: AbortSignal.timeout(10_000) })
          await answer.body?.cancel()
          asked += 1
          if (answer.status !== 503 || answer.headers.get('retry-after') === null) {
            wrong.push(`${path} answered ${answer.status}, retry-after ${answer.headers.get('retry-after')}`)
          }
        }
      }
    }
  })
  const backAfter = async (url: string) => {
    while (!(await ready(url)) && Date.now() - backAt < 60_000) {
      await pause(50)
    }
    return Date.now() - backAt
  }
  const answers = await Promise.all([backAfter(front.url), backAfter(`http://127.0.0.1:${port}`)])
  await house.ended(tenantId, runId)
  const next = (await house.settlements([runId])).find(({ at }) => at > backAt)?.at ?? Infinity
  const restarts = house.crew.started - crewBefore
  if (restarts > 2 || front.starts > 1) {
    wrong.push(`workers were started ${restarts} times and the API ${front.starts - 1} times`)
  }
  for (const [what, ms] of [
    ['the API', Math.max(...answers)],
    ['the import', next - backAt],
  ] as const) {
    if (ms > BACK_MS) {
      wrong.push(`${what} went on ${Math.round(ms)} ms after the database was back`)
    }
  }
  wrong.push(...(await differences(house, reference.type, reference, { tenantId, runId })))
  wrong.push(...(await eventFaults(house, tenantId)))
  await (late as RoleProcess | null)?.stop()
  await front.close()
  await house.dismiss()
  return {
    name: 'database away [SU-4]',
    faults: wrong,
    figures: {
      seconds,
      'asked meanwhile': asked,
      'API back ms': Math.max(...answers),
      'import went on ms': Math.round(next - backAt),
      'workers started anew': restarts,
    },
  }
}
