/** The whole service as `npm start` runs it, and its clients over HTTP and sockets. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { permissions } from '../src/access/permissions.js'
import { createTenant } from '../src/access/tenants.js'
import { signToken } from '../src/access/tokens.js'
import { Api, throwUserErrors, type UserError } from '../src/cli/api.js'
import { follow } from '../src/cli/follow.js'
import { ended, eventsQuery, type RunEvent, undecided } from '../src/cli/runs.js'
import { loadConfig } from '../src/config.js'
import type { ContactFile } from './contacts.js'
import { cpuBetween, cpuOf } from './processes.js'
import type { BenchServer } from './server.js'
import type { Imported, Subject } from './subject.js'

/** A service that is not ready by then will not be. */
const START_MS = 60_000

const TOKEN_SECONDS = 6 * 3600

export interface Service extends Subject {
  /** The process above all of ours. */
  readonly supervisor: number
  /** A client that acts for a tenant. */
  api(tenantId: string): Promise<Api>
}

const createMutation = `mutation Import($input: ImportCreateInput!) {
  importCreate(input: $input) { importRun { id } userErrors { code field message } } }`

const runQuery = `query Run($id: ID!) { run(id: $id) { id status
  statusReason { code message }
  counts { total read created updated unchanged skipped failed unprocessed deleted }
  metrics { queuedMs runningMs chunks stages { stage ms } }
  ... on ImportRun { mapping { conflicts { message } } } } }`

interface RunAnswer {
  readonly run: {
    readonly status: string
    readonly statusReason: { readonly message: string } | null
    readonly counts: Readonly<Record<string, number | null>>
    readonly metrics: {
      readonly queuedMs: number
      readonly runningMs: number
      readonly chunks: number
      readonly stages: readonly { readonly stage: string; readonly ms: number }[]
    }
    readonly mapping?: { readonly conflicts: readonly { readonly message: string }[] }
  } | null
}

/** Starts supervisor, API, worker and standby on a fresh database of `server`. `env` are settings of Portage. */
export async function startService(server: BenchServer, env: Readonly<Record<string, string>>): Promise<Service> {
  const ownerUrl = await server.createDatabase()
  const port = await freePort()
  const settings = {
    PORTAGE_DATA_DIR: join(server.folder, 'service'),
    PORTAGE_PORT: String(port),
    PORTAGE_LOG_LEVEL: 'warn',
    DATABASE_URL: ownerUrl,
    ...env,
  }
  const main = join(import.meta.dirname, '..', 'src', 'main.js')
  const child = spawn(process.execPath, ['--enable-source-maps', main], {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  const supervisor = child.pid ?? 0
  // It would outlive a benchmark that breaks off; its children end with it.
  const breakOff = () => child.kill('SIGKILL')
  process.once('exit', breakOff)
  const leave = async () => {
    process.off('exit', breakOff)
    await stop(child)
  }
  const dispose = async () => {
    await leave()
    await server.dropDatabase(ownerUrl)
  }
  try {
    await ready(url, child)
  } catch (error) {
    await dispose()
    throw error
  }
  const config = loadConfig(settings)
  const api = async (tenantId: string) => {
    const token = await signToken({ tenantId, actor: 'bench', permissions, expiresIn: TOKEN_SECONDS }, config)
    return new Api({ url, token: async () => token })
  }
  return {
    ownerUrl,
    supervisor,
    api,
    tenant: async () => (await createTenant(ownerUrl, `bench-${randomUUID()}`)).id,
    import: async (tenantId, file) => importFile(await api(tenantId), file, server.postmaster, supervisor),
    leave,
    [Symbol.asyncDispose]: dispose,
  }
}

/** Uploads a file of contacts and starts its import with default options, the mapping that is suggested, and `input`. */
export async function uploadContacts(api: Api, file: ContactFile, input: object = {}): Promise<string> {
  const { importCreate } = await api.upload<{
    importCreate: { importRun: { id: string } | null; userErrors: UserError[] }
  }>(
    createMutation,
    { recordType: 'CONTACT', idempotencyKey: randomUUID(), ...input },
    { path: file.path, name: file.name, byteSize: file.byteSize, onProgress: () => undefined },
  )
  throwUserErrors(importCreate.userErrors)
  if (importCreate.importRun === null) {
    throw new Error('the import was neither started nor refused')
  }
  return importCreate.importRun.id
}

async function importFile(api: Api, file: ContactFile, postmaster: number, supervisor: number): Promise<Imported> {
  const before = cpuOf(postmaster, supervisor)
  const started = performance.now()
  const runId = await uploadContacts(api, file)
  const uploadMs = performance.now() - started
  await endOf(api, runId)
  const ms = performance.now() - started
  const cpu = cpuBetween(before, cpuOf(postmaster, supervisor))
  const { run } = await api.run<RunAnswer>(runQuery, { id: runId })
  if (run === null || !ended.has(run.status)) {
    const why = run?.mapping?.conflicts.map(({ message }) => message).join('\n')
    throw new Error(`the import is ${run?.status}: ${run?.statusReason?.message} ${why}`)
  }
  const stages = Object.fromEntries(run.metrics.stages.map(({ stage, ms }) => [stage, ms]))
  return {
    runId,
    status: run.status,
    counts: run.counts,
    ms,
    uploadMs,
    cpu,
    stages: { ...stages, queued: run.metrics.queuedMs, running: run.metrics.runningMs },
    chunks: run.metrics.chunks,
  }
}

/** Resolves when the subscription tells that the run has ended, or (unless it has waited before) waits for somebody. */
export async function endOf(api: Api, runId: string, hasWaited = false): Promise<void> {
  const events = follow<RunEvent>({
    api,
    query: eventsQuery,
    variables: (after) => ({ runId, after }),
    event: (data) => (data as { runEvents: RunEvent }).runEvents,
    signal: new AbortController().signal,
    onConnection: () => undefined,
  })
  for await (const event of events) {
    if (event.__typename === 'RunStatusChanged' && (ended.has(event.to) || (!hasWaited && undecided.has(event.to)))) {
      return
    }
  }
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  for (const started = performance.now(); performance.now() - started < START_MS; ) {
    if (child.exitCode !== null) {
      throw new Error('the service did not start')
    }
    const response = await fetch(`${url}/readyz`).catch(() => null)
    if (response?.ok === true) {
      return
    }
    await pause(50)
  }
  throw new Error('the service did not get ready')
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    await gone
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') {
    throw new Error('no free port on 127.0.0.1')
  }
  return address.port
}
