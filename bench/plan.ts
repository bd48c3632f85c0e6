/** What a plan costs beside the import that it is about: time, memory of our processes, and disk. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Api, throwUserErrors, type UserError } from '../src/cli/api.js'
import { contactFile } from './contacts.js'
import { MemoryWatch } from './processes.js'
import { keepResult, machine, printTable } from './report.js'
import { FOLDER, startServer, withClient } from './server.js'
import { endOf, type Service, startService, uploadContacts } from './service.js'

/** How often memory and disk are looked at. Milliseconds. */
const SAMPLE_MS = 250

const MEBIBYTE = 1024 ** 2

const stateQuery = `query ($id: ID!) { importRun(id: $id) { status counts { created updated unchanged failed } plan { hash counts { created updated unchanged failed } }
  metrics { runningMs stages { stage ms } } } }`

const confirmMutation =
  'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { userErrors { code field message } } }'

interface State {
  readonly importRun: {
    readonly status: string
    readonly counts: Readonly<Record<string, number>>
    readonly plan: { readonly hash: string; readonly counts: Readonly<Record<string, number>> } | null
    readonly metrics: { readonly runningMs: number; readonly stages: readonly { stage: string; ms: number }[] }
  }
}

interface Measured {
  readonly what: string
  readonly planMs: number
  readonly importMs: number
  readonly planPeak: number
  readonly importPeak: number
  readonly diskWhile: number
  readonly diskKept: number
}

/** Plans and then applies a file of `rows` contacts: new ones first, and once more when nothing of it is new. */
export async function benchPlan(rows: number): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  const file = await contactFile(FOLDER, rows)
  const measured: Measured[] = []
  await using server = await startServer()
  await using service = await startService(server, {})
  const tenant = await service.tenant()
  const api = await service.api(tenant)
  for (const what of ['all created', 'all unchanged']) {
    const disk = watchDisk(join(server.folder, 'server'))
    const memory = new MemoryWatch(service.supervisor, SAMPLE_MS)
    const runId = await uploadContacts(api, file, { confirmation: 'ASK' })
    await endOf(api, runId)
    memory.stop()
    const peak = disk.stop()
    const { importRun: planned } = await api.run<State>(stateQuery, { id: runId })
    if (planned.plan === null) {
      throw new Error(`the import is ${planned.status} and has no plan`)
    }
    const diskKept = await keptBy(service)
    const writing = new MemoryWatch(service.supervisor, SAMPLE_MS)
    await confirm(api, runId, planned.plan.hash)
    await endOf(api, runId, true)
    writing.stop()
    const { importRun: done } = await api.run<State>(stateQuery, { id: runId })
    if (JSON.stringify(done.counts) !== JSON.stringify(planned.plan.counts)) {
      throw new Error(`planned ${JSON.stringify(planned.plan.counts)}, done ${JSON.stringify(done.counts)}`)
    }
    measured.push({
      what,
      planMs: planned.metrics.stages.find(({ stage }) => stage === 'plan')?.ms ?? 0,
      importMs: done.metrics.runningMs,
      planPeak: memory.peakSum(() => true),
      importPeak: writing.peakSum(() => true),
      diskWhile: peak,
      diskKept,
    })
  }
  // What a plan costs the run that it binds: the same file without one.
  const other = await service.tenant()
  const bare = await service.import(other, file)
  const again = await service.import(other, file)

  console.log(`\n${date}; ${JSON.stringify(before)}; ${rows} rows\n`)
  const mebibytes = (bytes: number) => (bytes / MEBIBYTE).toFixed(0)
  const bareMs = [bare, again].map(({ stages }) => stages.running ?? 0)
  printTable([
    ['', 'plan s', 'bound run s', 'run without plan s', 'plan to run', 'PSS MiB plan', 'run', 'disk MiB while', 'kept'],
    ...measured.map((one, i) => [
      one.what,
      (one.planMs / 1000).toFixed(1),
      (one.importMs / 1000).toFixed(1),
      ((bareMs[i] ?? 0) / 1000).toFixed(1),
      (one.planMs / (bareMs[i] ?? 1)).toFixed(2),
      mebibytes(one.planPeak),
      mebibytes(one.importPeak),
      mebibytes(one.diskWhile),
      mebibytes(one.diskKept),
    ]),
  ])
  await keepResult('plan', { date, machine: before, rows, measured, bareMs })
}

async function confirm(api: Api, runId: string, planHash: string): Promise<void> {
  const { importConfirm } = await api.run<{ importConfirm: { userErrors: UserError[] } }>(confirmMutation, {
    input: { runId, planHash, idempotencyKey: planHash },
  })
  throwUserErrors(importConfirm.userErrors)
}

/** Bytes that all plans of the database take. */
function keptBy(service: Service): Promise<number> {
  return withClient(service.ownerUrl, async (client) => {
    const { rows } = await client.query<{ bytes: string }>(
      "select sum(pg_total_relation_size(t::regclass)) as bytes from unnest('{plan_row,plan_range,plan_issue,plan_chunk}'::text[]) as t",
    )
    return Number(rows[0]?.bytes ?? 0)
  })
}

/** Greatest size of the temporary tables below a folder of the server. Bytes. */
function watchDisk(folder: string): { stop(): number } {
  let peak = 0
  const look = () => {
    let bytes = 0
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      // Files of temporary tables are named after their backend: t<number>_<relation>.
      if (/(?:^|\/)t\d+_/.test(name)) {
        try {
          bytes += statSync(join(folder, name)).size
        } catch {
          // Gone with its session.
        }
      }
    }
    peak = Math.max(peak, bytes)
  }
  const timer = setInterval(look, SAMPLE_MS)
  return {
    stop: () => {
      clearInterval(timer)
      return peak
    },
  }
}
