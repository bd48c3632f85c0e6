/**
 * Whole companies moving in: 200,000 contacts with companies, leads, properties and twice as many activities, from a simulator
 * in a process of its own to the proof, and then a hundredth of the contacts once more as a delta. Says rows a second, requests
 * against the least that the service's pages allow, and the memory of the worker with its children.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createTenant } from '../src/access/tenants.js'
import { bootstrap } from '../src/bootstrap.js'
import { loadConfig } from '../src/config.js'
import { Lane } from '../src/db/lane.js'
import { withTenant } from '../src/db/tx.js'
import { newId } from '../src/ids.js'
import { laneOptions } from '../src/jobs/context.js'
import type { RecordTypeName } from '../src/records/types.js'
import { defaultImportOptions } from '../src/runs/imports.js'
import { askOfMigration, createMigration, migrationObjects } from '../src/runs/migrations.js'
import { findRun } from '../src/runs/read.js'
import type { MigrationRunRow } from '../src/runs/types.js'
import { ALLOCATOR, heapOf } from '../src/supervisor.js'
import type { CrmSystem } from '../src/systems.js'
import type { FromSimulator, SimulatorStart, ToSimulator } from './migration-messages.js'
import { MemoryWatch, pssOf } from './processes.js'
import { keepResult, machine, printTable } from './report.js'
import { type BenchServer, startServer } from './server.js'

/** How often memory is looked at, and the migration. Milliseconds. */
const SAMPLE_MS = 500

/** Requests against the least there can be, at most. */
const BAR_REQUESTS = 1.05

/** The worker with its children, at most. MiB. */
const BAR_MIB = 300

const MEBIBYTE = 1024 ** 2

/** Of one service: its objects in load order with what they become here, and how many there are for each contact. */
interface Company {
  readonly objects: readonly (readonly [object: string, recordType: RecordTypeName, perContact: number])[]
  /** Whose records are changed for the delta. */
  readonly people: string
  /**
   * Requests that reading so many records takes at least, from the service's documents: the largest page, the largest batch of
   * associations, and what a job of its takes.
   */
  readonly least: (object: string, records: number) => number
}

const pages = (records: number, rows: number) => Math.max(1, Math.ceil(records / rows))

const companies: Readonly<Record<CrmSystem, Company>> = {
  salesforce: {
    objects: [
      ['Account', 'contact', 0.1],
      ['Contact', 'contact', 1],
      ['Property__c', 'property', 0.1],
      ['Lead', 'lead', 0.1],
      ['Opportunity', 'lead', 0.1],
      ['Task', 'activity', 1.5],
      ['Event', 'activity', 0.5],
    ],
    people: 'Contact',
    // A job of the Bulk API is made, asked for until it is complete (the simulator: the third time), and fetched by pages of 100,000
    // rows; of few records pages of 2,000 over REST cost less. And no job says whether it left something out: that takes a count.
    least: (_object, records) => Math.min(pages(records, 2000), 4 + pages(records, 100_000)) + 1,
  },
  hubspot: {
    objects: [
      ['companies', 'contact', 0.1],
      ['contacts', 'contact', 1],
      ['0-420', 'property', 0.1],
      ['leads', 'lead', 0.1],
      ['deals', 'lead', 0.1],
      ['calls', 'activity', 1],
      ['meetings', 'activity', 0.5],
      ['notes', 'activity', 0.5],
    ],
    people: 'contacts',
    // Pages of 100 rows; associations of 1,000 records at a time with each kind of record that we keep relations with.
    least: (object, records) =>
      pages(records, 100) + associated[object as keyof typeof associated] * pages(records, 1000),
  },
  pipedrive: {
    objects: [
      ['organizations', 'contact', 0.1],
      ['persons', 'contact', 1],
      ['leads', 'lead', 0.1],
      ['deals', 'lead', 0.2],
      ['activities', 'activity', 1.5],
      ['notes', 'activity', 0.5],
    ],
    people: 'persons',
    // Pages of 500 rows; leads and deals have a second list of those that were archived.
    least: (object, records) => pages(records, 500) + (object === 'leads' || object === 'deals' ? 1 : 0),
  },
}

/** Kinds of records of HubSpot that each object is associated with and that have a place here. */
const associated = {
  companies: 0,
  contacts: 1,
  '0-420': 2,
  leads: 3,
  deals: 3,
  calls: 5,
  meetings: 5,
  notes: 5,
} as const

/** Services whose companies can move in. */
export const systems = ['pipedrive', 'salesforce', 'hubspot'] as const satisfies readonly CrmSystem[]

interface Measured {
  readonly system: CrmSystem
  readonly rows: number
  readonly seconds: Readonly<Record<string, number>>
  readonly totalSeconds: number
  readonly requests: {
    readonly least: number
    readonly estimated: number
    readonly reading: number
    readonly all: number
    readonly delta: number
  }
  /** Of the worker without its children. */
  readonly stagesMiB: Readonly<Record<string, number>>
  readonly peaksMiB: Readonly<Record<string, number>>
  readonly peakMiB: number
  readonly simulatorMiB: number
  readonly delta: { readonly changed: number; readonly seconds: number; readonly updated: number }
  readonly loadAfter: string | number | undefined
}

export async function benchMigration(options: {
  readonly contacts: number
  readonly only: readonly CrmSystem[]
}): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  const measured: Measured[] = []
  for (const system of options.only) {
    await using server = await startServer()
    const one = await move(server, system, options.contacts)
    measured.push(one)
    show([one])
    await keepResult(`migration-${system}-${options.contacts}`, { date, machine: before, ...one })
  }
  console.log(`\n${date}; ${JSON.stringify(before)}\n`)
  show(measured)
}

function show(measured: readonly Measured[]): void {
  printTable([
    [
      '',
      'rows',
      'read s',
      'stage s',
      'promote s',
      'prove s',
      'rows/s',
      'requests',
      'least',
      'ratio',
      'worker MiB',
      'delta s',
    ],
    ...measured.map(({ system, rows, seconds, totalSeconds, requests, peakMiB, delta }) => [
      system,
      String(rows),
      ...['EXTRACTING', 'STAGING', 'PROMOTING', 'VERIFYING'].map((stage) => (seconds[stage] ?? 0).toFixed(1)),
      (rows / totalSeconds).toFixed(0),
      String(requests.reading),
      String(requests.least),
      `${(requests.reading / requests.least).toFixed(3)}${requests.reading / requests.least > BAR_REQUESTS ? ' !' : ''}`,
      `${peakMiB.toFixed(0)}${peakMiB > BAR_MIB ? ' !' : ''}`,
      delta.seconds.toFixed(1),
    ]),
  ])
}

/** One company from the first look to the proof and one delta. */
async function move(server: BenchServer, system: CrmSystem, contacts: number): Promise<Measured> {
  const company = companies[system]
  const counts = Object.fromEntries(
    company.objects.map(([object, , perContact]) => [object, Math.max(10, Math.round(contacts * perContact))]),
  )
  const simulator = await Simulation.start({ system, counts })
  const ownerUrl = await server.createDatabase()
  const env = {
    ...ALLOCATOR,
    PORTAGE_DATA_DIR: join(server.folder, system),
    PORTAGE_LOG_LEVEL: 'warn',
    DATABASE_URL: ownerUrl,
    PATH: process.env.PATH,
  }
  await bootstrap(loadConfig(env), ownerUrl)
  const worker = await started('migration-worker', [system, simulator.last.url, simulator.last.token], env)
  const control = await Lane.open(laneOptions(ownerUrl, 'bench'))
  try {
    const migration = await Moving.create(control, ownerUrl, system, company, worker.pid ?? 0)
    await migration.rest('AWAITING_MAPPING')
    const looked = (await simulator.tell({ do: 'stand' })).requests
    const memory = new MemoryWatch(worker.pid ?? 0, SAMPLE_MS)
    const memoryOfSimulator = new MemoryWatch(simulator.pid, SAMPLE_MS)
    await migration.ask('STAGE')
    await migration.rest('AWAITING_REVIEW')
    const staged = await simulator.tell({ do: 'stand' })
    await migration.ask('PROMOTE')
    const promoted = await migration.rest('READY_FOR_DELTA')
    memory.stop()
    memoryOfSimulator.stop()
    const proven = await simulator.tell({ do: 'stand' })
    if (promoted.status !== 'COMPLETED' || promoted.verification?.passed !== true) {
      const flaws = promoted.verification?.checks.filter(({ passed }) => !passed)
      throw new Error(`the migration is ${promoted.status}: ${JSON.stringify(flaws ?? promoted.statusReason, null, 1)}`)
    }
    const seconds = { ...migration.seconds }
    const stagesMiB = { ...migration.peaks }
    const { rows, estimated } = await migration.sizes(system)
    const least = company.objects.reduce((sum, [object]) => sum + company.least(object, staged.counts[object] ?? 0), 0)

    const changed = Math.max(1, Math.round(contacts / 100))
    await simulator.tell({ do: 'change', object: company.people, n: changed })
    const begun = performance.now()
    await migration.ask('DELTA')
    const synced = await migration.rest('READY_FOR_DELTA')
    const deltaSeconds = (performance.now() - begun) / 1000
    const later = await simulator.tell({ do: 'stand' })
    if (synced.status !== 'COMPLETED') {
      const flaws = synced.verification?.checks.filter(({ passed }) => !passed)
      throw new Error(`the delta is ${synced.status}: ${JSON.stringify(flaws ?? synced.statusReason, null, 1)}`)
    }
    return {
      system,
      rows,
      seconds,
      totalSeconds: Object.values(seconds).reduce((sum, one) => sum + one, 0),
      requests: {
        least,
        estimated,
        reading: staged.requests - looked,
        all: proven.requests,
        delta: later.requests - proven.requests,
      },
      stagesMiB,
      peaksMiB: Object.fromEntries([...memory.peaks].map(([name, bytes]) => [name, Math.round(bytes / MEBIBYTE)])),
      peakMiB: memory.peakSum(() => true) / MEBIBYTE,
      simulatorMiB: memoryOfSimulator.peakSum(() => true) / MEBIBYTE,
      delta: { changed, seconds: deltaSeconds, updated: synced.counts.updated - promoted.counts.updated },
      loadAfter: (await machine()).loadBefore,
    }
  } finally {
    await control.close()
    worker.kill('SIGTERM')
    await ended(worker)
    await simulator.close()
    await server.dropDatabase(ownerUrl)
  }
}

/** A migration as it is followed. */
class Moving {
  readonly #lane: Lane
  readonly #tenantId: string
  readonly #id: string
  readonly #worker: number
  /** By stage: the greatest memory of the worker without its children. MiB. */
  readonly peaks: Record<string, number> = {}
  /** By stage. */
  readonly seconds: Record<string, number> = {}

  private constructor(lane: Lane, tenantId: string, id: string, worker: number) {
    this.#worker = worker
    this.#lane = lane
    this.#tenantId = tenantId
    this.#id = id
  }

  static async create(
    lane: Lane,
    ownerUrl: string,
    system: CrmSystem,
    company: Company,
    worker: number,
  ): Promise<Moving> {
    const { id: tenantId } = await createTenant(ownerUrl, `bench-${system}`)
    const integrationId = newId()
    const id = await withTenant(lane, tenantId, async (tx) => {
      await tx.query(
        `insert into integration (tenant_id, id, system, status, login_origin, account, api_origin, access_token, connected_at, created_by)
         values ($1, $2, $3, 'CONNECTED', 'https://login.example', 'bench', 'https://api.example', 'x', now(), 'bench')`,
        [tx.tenantId, integrationId, system],
      )
      return createMigration(tx, {
        actor: 'bench',
        integrationId,
        options: { ...defaultImportOptions, onMissingRelation: 'KEEP_PENDING' },
        objects: company.objects.map(([object, recordType]) => ({
          object,
          recordType,
          mapping: null,
          sampleSize: null,
          filter: null,
        })),
      })
    })
    return new Moving(lane, tenantId, id, worker)
  }

  ask(goal: 'STAGE' | 'PROMOTE' | 'DELTA'): Promise<void> {
    return withTenant(this.#lane, this.#tenantId, (tx) => askOfMigration(tx, this.#id, goal))
  }

  /** Waits until it rests in this stage. Throws if it rests in another one. */
  async rest(stage: MigrationRunRow['stage']): Promise<MigrationRunRow> {
    for (let last = performance.now(), at = '', said = ''; ; ) {
      const run = await withTenant(this.#lane, this.#tenantId, (tx) => findRun(tx, this.#id))
      if (run?.kind !== 'MIGRATION') {
        throw new Error('the migration is gone')
      }
      const now = performance.now()
      this.seconds[run.stage] = (this.seconds[run.stage] ?? 0) + (at === run.stage ? (now - last) / 1000 : 0)
      this.peaks[run.stage] = Math.max(this.peaks[run.stage] ?? 0, Math.round(pssOf(this.#worker) / MEBIBYTE))
      last = now
      at = run.stage
      const line = `${run.stage} ${run.status}`
      if (line !== said) {
        console.log(`${new Date().toISOString()} ${line} ${JSON.stringify(run.counts)} ${JSON.stringify(this.peaks)}`)
        said = line
      }
      if (!['QUEUED', 'RUNNING', 'PAUSING'].includes(run.status)) {
        if (run.stage !== stage) {
          throw new Error(`the migration is ${run.status} in ${run.stage}: ${JSON.stringify(run.statusReason)}`)
        }
        return run
      }
      await pause(SAMPLE_MS)
    }
  }

  /** Records that were read, and the requests that reading them was estimated at. */
  async sizes(system: CrmSystem): Promise<{ readonly rows: number; readonly estimated: number }> {
    const { openAdapter } = await import('../src/runs/vendors.js')
    const adapter = await openAdapter(system)
    const objects = await withTenant(this.#lane, this.#tenantId, (tx) =>
      migrationObjects<Parameters<typeof adapter.callsFor>[0]>(tx, this.#id),
    )
    return {
      rows: objects.reduce((sum, { extracted }) => sum + extracted, 0),
      estimated: objects.reduce(
        (sum, { descriptor, extracted }) => sum + (descriptor === null ? 0 : adapter.callsFor(descriptor, extracted)),
        0,
      ),
    }
  }
}

/** A simulator in its own process. */
class Simulation {
  readonly #child: ChildProcess
  last: FromSimulator

  private constructor(child: ChildProcess, last: FromSimulator) {
    this.#child = child
    this.last = last
  }

  static async start(start: SimulatorStart): Promise<Simulation> {
    const child = forked('migration-simulator', [JSON.stringify(start)], { PATH: process.env.PATH })
    return new Simulation(child, await answerOf(child))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async tell(message: ToSimulator): Promise<FromSimulator> {
    const answer = answerOf(this.#child)
    this.#child.send(message)
    this.last = await answer
    return this.last
  }

  async close(): Promise<void> {
    this.#child.disconnect()
    await ended(this.#child)
  }
}

function forked(name: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const execArgv = ['--enable-source-maps', ...(name === 'migration-worker' ? heapOf('worker') : [])]
  const child = fork(join(import.meta.dirname, `${name}.js`), args, { env, execArgv })
  process.once('exit', () => child.kill('SIGKILL'))
  return child
}

async function started(name: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = forked(name, args, env)
  await answerOf(child)
  return child
}

async function answerOf(child: ChildProcess): Promise<FromSimulator> {
  const end = new AbortController()
  try {
    return await Promise.race([
      once(child, 'message', { signal: end.signal }).then(([message]) => message as FromSimulator),
      once(child, 'exit', { signal: end.signal }).then(([code]) => {
        throw new Error(`a process of the benchmark ended with ${code}`)
      }),
    ])
  } finally {
    end.abort()
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    await once(child, 'exit')
  }
}
