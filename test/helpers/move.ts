/** Whole migrations from simulated CRMs: a worker's loop in this process, a tenant of its own, and the truth to compare with. */
import assert from 'node:assert/strict'
import { hubspot } from '../../src/adapters/hubspot/index.js'
import { pipedrive } from '../../src/adapters/pipedrive/index.js'
import { salesforceAdapter } from '../../src/adapters/salesforce/index.js'
import type { VendorAdapter } from '../../src/adapters/vendor.js'
import { withTenant } from '../../src/db/tx.js'
import { newId } from '../../src/ids.js'
import type { ImportOptions } from '../../src/pipeline/types.js'
import type { RecordTypeName } from '../../src/records/types.js'
import { resumeRun } from '../../src/runs/control.js'
import { defaultImportOptions } from '../../src/runs/imports.js'
import { askOfMigration, createMigration } from '../../src/runs/migrations.js'
import type { MigrationRunRow } from '../../src/runs/types.js'
import type { CrmSystem } from '../../src/systems.js'
import { apiOf, type SimulatedApi } from '../simulators/api.js'
import type { Simulator, SimulatorOptions } from '../simulators/common/types.js'
import { startHubspot } from '../simulators/hubspot/index.js'
import { startPipedrive } from '../simulators/pipedrive/index.js'
import { startSalesforce } from '../simulators/salesforce/index.js'
import type { TestDatabase } from './database.js'
import { Engine } from './engine.js'
import type { Random } from './random.js'

export interface SimulatedVendor {
  readonly system: CrmSystem
  readonly start: (options: SimulatorOptions) => Promise<Simulator>
  readonly adapter: (simulator: Simulator) => VendorAdapter
  /** In load order, with the share of the records that each has. */
  readonly objects: readonly (readonly [object: string, recordType: RecordTypeName, share: number])[]
  /** Time that passes until a change can be found, in milliseconds. */
  readonly settles: number
}

export const vendors: readonly SimulatedVendor[] = [
  {
    system: 'pipedrive',
    start: startPipedrive,
    adapter: () => pipedrive,
    objects: [
      ['organizations', 'contact', 0.2],
      ['persons', 'contact', 0.4],
      ['leads', 'lead', 0.2],
      ['deals', 'lead', 0.2],
      ['activities', 'activity', 0.4],
      ['notes', 'activity', 0.2],
    ],
    settles: 60_000,
  },
  {
    system: 'hubspot',
    start: startHubspot,
    adapter: () => hubspot,
    objects: [
      ['companies', 'contact', 0.2],
      ['contacts', 'contact', 0.4],
      ['deals', 'lead', 0.2],
      ['calls', 'activity', 0.4],
      ['notes', 'activity', 0.2],
    ],
    settles: 600_000,
  },
  {
    system: 'salesforce',
    start: startSalesforce,
    // Jobs are waited for by the clock of the simulator.
    adapter: (simulator) =>
      salesforceAdapter((milliseconds) => {
        simulator.advance(milliseconds)
        return Promise.resolve()
      }),
    objects: [
      ['Account', 'contact', 0.2],
      ['Contact', 'contact', 0.4],
      ['Property__c', 'property', 0.2],
      ['Lead', 'lead', 0.2],
      ['Opportunity', 'lead', 0.2],
      ['Task', 'activity', 0.4],
      ['Event', 'activity', 0.2],
    ],
    settles: 600_000,
  },
]

/** Columns that say when and by what a record was made, and references, which are compared by what they lead to. */
const OWN_COLUMNS = `'{id,tenant_id,created_at,updated_at,created_run_id,created_row,version,pristine_version,deleted_at,source_system,organization_id,contact_id,lead_id,property_id,owner_member_id,owner_contact_id}'::text[]`

const references: Readonly<Record<string, readonly (readonly [column: string, table: string])[]>> = {
  contact: [['organization_id', 'contact']],
  lead: [
    ['contact_id', 'contact'],
    ['property_id', 'property'],
  ],
  property: [['owner_contact_id', 'contact']],
  activity: [
    ['contact_id', 'contact'],
    ['lead_id', 'lead'],
    ['property_id', 'property'],
  ],
}

export interface MoveOptions extends SimulatorOptions {
  /** Records in all, about. */
  readonly records?: number
  readonly importOptions?: Partial<ImportOptions>
}

export class Move {
  readonly vendor: SimulatedVendor
  readonly simulator: Simulator
  readonly api: SimulatedApi
  readonly adapter: VendorAdapter
  readonly engine: Engine
  readonly tenant: string
  readonly #options: MoveOptions
  /** The id of the migration; empty before `create`. */
  id = ''

  private constructor(
    vendor: SimulatedVendor,
    simulator: Simulator,
    api: SimulatedApi,
    adapter: VendorAdapter,
    engine: Engine,
    tenant: string,
    options: MoveOptions,
  ) {
    this.vendor = vendor
    this.simulator = simulator
    this.api = api
    this.adapter = adapter
    this.engine = engine
    this.tenant = tenant
    this.#options = options
  }

  static async start(db: TestDatabase, vendor: SimulatedVendor, options: MoveOptions = {}): Promise<Move> {
    const { records = 60, importOptions: _, ...rest } = options
    const counts = Object.fromEntries(vendor.objects.map(([object, , share]) => [object, Math.ceil(records * share)]))
    const simulator = await vendor.start({ limits: false, nasty: false, counts, ...rest })
    const adapter = vendor.adapter(simulator)
    const api = apiOf(simulator, vendor.system)
    const engine = await Engine.start(db, {
      openVendor: () => Promise.resolve({ adapter, api, close: () => Promise.resolve() }),
    })
    return new Move(vendor, simulator, api, adapter, engine, await engine.tenant(), options)
  }

  /** Makes the migration and lets it look at the account. */
  async create(): Promise<MigrationRunRow> {
    const integrationId = newId()
    await this.engine.oracle.query(
      `insert into integration (tenant_id, id, system, status, login_origin, account, api_origin, access_token, connected_at, created_by)
       values ($1, $2, $3, 'CONNECTED', 'https://login.example', $4, 'https://api.example', 'x', now(), 'test')`,
      [this.tenant, integrationId, this.vendor.system, newId()],
    )
    this.id = await this.engine.context.control.use((lane) =>
      withTenant(lane, this.tenant, (tx) =>
        createMigration(tx, {
          actor: 'test',
          integrationId,
          options: { ...defaultImportOptions, onMissingRelation: 'KEEP_PENDING', ...this.#options.importOptions },
          objects: this.vendor.objects.map(([object, recordType]) => ({
            object,
            recordType,
            mapping: null,
            sampleSize: null,
            filter: null,
          })),
        }),
      ),
    )
    return this.rest()
  }

  async ask(goal: 'STAGE' | 'PROMOTE' | 'VERIFY' | 'DELTA'): Promise<MigrationRunRow> {
    await this.engine.context.control.use((lane) =>
      withTenant(lane, this.tenant, (tx) => askOfMigration(tx, this.id, goal)),
    )
    return this.rest()
  }

  /** Ends a pause, as a person would who has read why. */
  async resume(): Promise<MigrationRunRow> {
    await this.engine.context.control.use((lane) => withTenant(lane, this.tenant, (tx) => resumeRun(tx, this.id)))
    return this.rest()
  }

  /** Everything from the first look to the proof. */
  async whole(): Promise<MigrationRunRow> {
    const discovered = await this.create()
    assert.equal(discovered.stage, 'AWAITING_MAPPING', JSON.stringify(discovered.statusReason))
    const staged = await this.ask('STAGE')
    assert.equal(staged.stage, 'AWAITING_REVIEW', JSON.stringify(staged.statusReason))
    return this.ask('PROMOTE')
  }

  async run(): Promise<MigrationRunRow> {
    const run = await this.engine.run(this.tenant, this.id)
    assert.ok(run.kind === 'MIGRATION')
    return run
  }

  /** Lets the migration and its imports go on until the migration rests; `step` stands in for what a worker does with a run. */
  async rest(step = (runId: string) => this.engine.step(this.tenant, runId)): Promise<MigrationRunRow> {
    for (let i = 0; i < 500; i++) {
      const due = await this.engine.rows<{ run_id: string }>(
        'select w.run_id from run_wakeup w where w.tenant_id = $1 order by w.run_id <> $2',
        [this.tenant, this.id],
      )
      for (const { run_id } of due) {
        await step(run_id)
      }
      const run = await this.run()
      if (!['QUEUED', 'RUNNING', 'CANCELING'].includes(run.status)) {
        return run
      }
    }
    throw new Error(`the migration does not rest: ${JSON.stringify(await this.run())}`)
  }

  /**
   * Asks for something, and ends all connections of the worker at random moments, so many times at most, each time while it is
   * at work on a run. Answers how often it was in the way.
   */
  async killing(goal: 'STAGE' | 'PROMOTE' | 'DELTA', kills: number, random: Random): Promise<number> {
    await this.engine.context.control.use((lane) =>
      withTenant(lane, this.tenant, (tx) => askOfMigration(tx, this.id, goal)),
    )
    let left = kills
    await this.rest(async (runId) => {
      if (left === 0 || random.chance(0.3)) {
        await this.engine.step(this.tenant, runId)
        return
      }
      let isOver = false
      const work = this.engine
        .step(this.tenant, runId)
        .then(
          () => false,
          () => true,
        )
        .finally(() => {
          isOver = true
        })
      // After so many requests, and so many looks at the database, which take as long as it takes: no clock is asked.
      const requests = this.simulator.requests.length + random.below(5)
      for (let looks = random.below(40); !isOver && (looks > 0 || this.simulator.requests.length < requests); looks--) {
        await this.engine.oracle.query('select 1')
      }
      await this.engine.crash()
      left -= (await work) ? 1 : 0
    })
    return kills - left
  }

  /** All records here by type, system and id at the service, with every field, and with the ids that references lead to. */
  async records(): Promise<unknown[]> {
    const all: unknown[] = []
    for (const [table, links] of Object.entries(references)) {
      const linked = links.map(
        ([column, to]) =>
          `, '${column}', (select o.external_id from ${to} o where o.tenant_id = r.tenant_id and o.id = r.${column})`,
      )
      all.push(
        ...(await this.engine.rows(
          `select '${table}' as type, regexp_replace(r.source_system, '.*/', '') as object, to_jsonb(r) - ${OWN_COLUMNS}
             || jsonb_build_object('owner', (select m.email from member m where m.tenant_id = r.tenant_id and m.id = r.owner_member_id)${linked.join('')}) as record
           from ${table} r where r.tenant_id = $1 and r.deleted_at is null order by r.source_system, r.external_id`,
          [this.tenant],
        )),
      )
    }
    return all
  }

  /** What rows have failed for, by object. */
  failures(): Promise<unknown[]> {
    return this.engine.rows(
      `select p.object, i.code, i.field, i.message, count(*)::int as n, min(i.row_number)::int as row from migration_pass p
         join run_issue i on i.tenant_id = p.tenant_id and i.run_id = p.import_run_id
       where p.tenant_id = $1 and i.severity = 'ERROR' group by 1, 2, 3, 4 order by 1, 2 limit 20`,
      [this.tenant],
    )
  }

  /** Fails with what there is to read, unless the migration is at rest and proven. */
  async proven(run: MigrationRunRow): Promise<void> {
    if (run.status !== 'COMPLETED' || run.verification?.passed !== true) {
      const checks = run.verification?.checks.filter(({ passed }) => !passed)
      assert.fail(JSON.stringify([run.status, run.statusReason, checks, await this.failures()], null, 1))
    }
  }

  /** Records here are those of the service, no more and no fewer. */
  async same(): Promise<void> {
    const { id: account } = await this.adapter.check(this.api, new AbortController().signal)
    const rows = await this.engine.rows<{ id: string }>(
      ['contact', 'lead', 'property', 'activity']
        .map(
          (table) =>
            `select source_system || '/' || external_id as id from ${table} where tenant_id = $1 and deleted_at is null`,
        )
        .join(' union all '),
      [this.tenant],
    )
    const there = this.vendor.objects.flatMap(([object]) =>
      [...this.simulator.rows(object)]
        // A person account moves in as its contact, and of a series its events.
        .filter((row) => !(object === 'Account' && row.IsPersonAccount === true) && row.IsRecurrence !== true)
        .map((row) => `${this.vendor.system}/${account}/${object}/${(row.id ?? row.Id) as string}`),
    )
    assert.deepEqual(rows.map(({ id }) => id).sort(), there.sort())
  }

  async close(): Promise<void> {
    await this.engine.close()
    this.api.close()
    await this.simulator.close()
  }
}
