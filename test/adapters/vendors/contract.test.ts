/**
 * What every adapter promises (`src/adapters/vendor.ts`), held against the simulator of its service. A further CRM is one more
 * line in `services`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hubspot } from '../../../src/adapters/hubspot/index.js'
import { pipedrive } from '../../../src/adapters/pipedrive/index.js'
import { salesforceAdapter } from '../../../src/adapters/salesforce/index.js'
import type { ExtractRequest, Json, VendorAdapter, VendorObject, VendorRow } from '../../../src/adapters/vendor.js'
import { recordTypes } from '../../../src/records/index.js'
import type { CrmSystem } from '../../../src/systems.js'
import { apiOf, type SimulatedApi } from '../../simulators/api.js'
import { randomFaults } from '../../simulators/common/faults.js'
import type { Simulator, SimulatorOptions } from '../../simulators/common/types.js'
import { startHubspot } from '../../simulators/hubspot/index.js'
import { startPipedrive } from '../../simulators/pipedrive/index.js'
import { startSalesforce } from '../../simulators/salesforce/index.js'

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
const LATER = '2030-01-01T00:00:00.000000Z'
const HOUR = 3_600_000

interface Of {
  readonly system: CrmSystem
  readonly adapter: VendorAdapter
  readonly start: (options: SimulatorOptions) => Promise<Simulator>
  /** Records of each object that is tried; of some there are more than one page. */
  readonly counts: Readonly<Record<string, number>>
  /** The one whose people are changed, deleted and asked for. */
  readonly people: string
}

const services: readonly Of[] = [
  {
    system: 'pipedrive',
    adapter: pipedrive,
    start: startPipedrive,
    counts: { organizations: 30, persons: 1100, leads: 40, deals: 40, activities: 600, notes: 600 },
    people: 'persons',
  },
  {
    system: 'hubspot',
    adapter: hubspot,
    start: startHubspot,
    counts: { companies: 30, contacts: 330, '0-420': 20, leads: 20, deals: 40, calls: 130, notes: 110 },
    people: 'contacts',
  },
  {
    system: 'salesforce',
    // A query job is looked at again at once.
    adapter: salesforceAdapter(() => Promise.resolve()),
    start: startSalesforce,
    counts: { Account: 30, Contact: 330, Property__c: 20, Lead: 30, Opportunity: 30, Task: 90, Event: 40 },
    people: 'Contact',
  },
]

class Service implements AsyncDisposable {
  readonly of: Of
  readonly simulator: Simulator
  readonly api: SimulatedApi
  readonly objects: readonly VendorObject[]
  readonly signal = new AbortController().signal

  private constructor(of: Of, simulator: Simulator, api: SimulatedApi, objects: readonly VendorObject[]) {
    this.of = of
    this.simulator = simulator
    this.api = api
    this.objects = objects
  }

  static async start(of: Of): Promise<Service> {
    const simulator = await of.start({ limits: false, nasty: false, counts: of.counts })
    const api = apiOf(simulator, of.system)
    return new Service(of, simulator, api, await of.adapter.discover(api, new AbortController().signal))
  }

  /** Those of `counts`, each as it was discovered. */
  get tried(): readonly VendorObject[] {
    return Object.keys(this.of.counts).map((name) => this.object(name))
  }

  object(name: string): VendorObject {
    const found = this.objects.find((object) => object.name === name)
    assert.ok(found, `${this.of.system} has no ${name}`)
    return found
  }

  request(object: VendorObject, more: Partial<ExtractRequest> = {}): ExtractRequest {
    return {
      object,
      fields: object.fields.map(({ name }) => name).filter((name) => !name.startsWith('portage.')),
      state: null,
      window: { since: null, until: LATER },
      ids: null,
      filter: null,
      signal: this.signal,
      ...more,
    }
  }

  async read(object: VendorObject, more: Partial<ExtractRequest> = {}): Promise<Map<string, VendorRow>> {
    const rows = new Map<string, VendorRow>()
    for await (const page of this.of.adapter.extract(this.api, this.request(object, more))) {
      for (const row of page.rows) {
        rows.set(row.externalId, row)
      }
    }
    return rows
  }

  async listed(object: VendorObject): Promise<string[]> {
    const ids: string[] = []
    for await (const page of this.of.adapter.listIds(this.api, object, this.signal)) {
      ids.push(...page)
    }
    return ids
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.api.close()
    await this.simulator.close()
  }
}

const keys = (rows: ReadonlyMap<string, unknown>): string[] => [...rows.keys()].sort()
const alive = (rows: ReadonlyMap<string, VendorRow>) => new Map([...rows].filter(([, row]) => !row.deleted))

for (const of of services) {
  const { adapter, people } = of

  test(`${of.system}: says who it is, what time it is, and what there is, each once`, async () => {
    await using service = await Service.start(of)
    const { api, signal, objects, simulator } = service
    assert.equal(adapter.system, of.system)
    const account = await adapter.check(api, signal)
    assert.ok(account.id !== '' && account.apiVersion !== '')
    const clock = await adapter.clock(api, signal)
    assert.match(clock, MOMENT)
    assert.ok(Date.parse(clock) <= simulator.now() && Date.parse(clock) > simulator.now() - 15 * 60_000, clock)
    assert.equal(new Set(objects.map(({ name }) => name)).size, objects.length)
    for (const { name, fields, label } of objects) {
      assert.ok(label !== '' && fields.length > 0, name)
      assert.equal(new Set(fields.map((field) => field.name)).size, fields.length, `${name} has a field twice`)
    }
  })

  test(`${of.system}: reads every record, names it by its line, and lists the same ids`, async () => {
    await using service = await Service.start(of)
    for (const object of service.tried) {
      const rows = await service.read(object)
      const listed = [...new Set(await service.listed(object))]
      assert.deepEqual(keys(alive(rows)), listed.toSorted(), object.name)
      const counted = await adapter.count(service.api, object, service.signal)
      assert.ok(counted.exact ? counted.count === listed.length : counted.count > 0, `${object.name}: ${counted.count}`)
      for (const [id, row] of rows) {
        const line: unknown = JSON.parse(JSON.stringify(row.data))
        assert.equal(adapter.idOf(object, line), id)
        assert.ok(row.updatedAt === null || !Number.isNaN(Date.parse(row.updatedAt)), id)
        const strange = Object.keys(row.derived).filter(
          (column) => !object.fields.some(({ name }) => name === `portage.${column}`),
        )
        assert.deepEqual(strange, [], `${object.name} derives columns that it does not describe`)
      }
    }
    assert.equal(adapter.idOf(service.object(people), { nothing: 1 }), null)
    assert.equal(adapter.idOf(service.object(people), null), null)
  })

  test(`${of.system}: goes on from the state of any page as if nothing had happened`, async () => {
    await using service = await Service.start(of)
    for (const object of service.tried) {
      const whole = await service.read(object)
      const rows = new Map<string, VendorRow>()
      // After each page a process that knows nothing but the state, as it was stored.
      let state: Json = null
      let pages = 0
      for (let more = true; more; pages++) {
        more = false
        for await (const page of adapter.extract(service.api, service.request(object, { state }))) {
          page.rows.forEach((row) => rows.set(row.externalId, row))
          state = JSON.parse(JSON.stringify(page.state)) as Json
          more = true
          break
        }
        assert.ok(pages < 200, `${object.name} begins again and again`)
      }
      assert.deepEqual(keys(rows), keys(whole), object.name)
      assert.deepEqual(rows.get([...rows.keys()][0] ?? '')?.data, whole.get([...rows.keys()][0] ?? '')?.data)
    }
  })

  test(`${of.system}: reads by id what it reads of all, and leaves out what is not there`, async () => {
    await using service = await Service.start(of)
    for (const object of service.tried) {
      const whole = alive(await service.read(object))
      const ids = [...whole.keys()].filter((_, index) => index % 7 === 0).slice(0, 12)
      const gone = service.simulator.delete(object.name, 1).map(String)
      const known = ids.filter((id) => !gone.includes(id))
      const { fields } = service.request(object)
      const again = await adapter.read(service.api, object, [...known, ...gone], fields, service.signal)
      assert.deepEqual(
        again
          .filter(({ deleted }) => !deleted)
          .map(({ externalId }) => externalId)
          .toSorted(),
        known.toSorted(),
        object.name,
      )
      for (const { externalId, data } of again) {
        const before = whole.get(externalId)?.data ?? {}
        const shared = Object.keys(data).filter((name) => name in before)
        assert.ok(shared.length > 1)
        assert.deepEqual(
          Object.fromEntries(shared.map((name) => [name, data[name] ?? null])),
          Object.fromEntries(shared.map((name) => [name, before[name] ?? null])),
          `${object.name} ${externalId}`,
        )
      }
      assert.deepEqual(keys(alive(await service.read(object, { ids: known }))), known.toSorted(), object.name)
    }
  })

  test(`${of.system}: reads what changed within a window, and finds what was deleted`, async () => {
    await using service = await Service.start(of)
    const { simulator, api, signal } = service
    const object = service.object(people)
    const before = new Set(await service.listed(object))
    simulator.advance(HOUR)
    const since = await adapter.clock(api, signal)
    simulator.advance(HOUR)
    const edited = simulator.edit(people, 15).map(String)
    const added = simulator.add(people, 5).map(String)
    const deleted = simulator.delete(people, 4).map(String)
    simulator.advance(HOUR)
    const until = await adapter.clock(api, signal)
    const changed = await service.read(object, { window: { since, until } })
    const due = [...edited, ...added].filter((id) => !deleted.includes(id))
    assert.deepEqual(
      due.filter((id) => !changed.has(id)),
      [],
    )
    const there = new Set(await service.listed(object))
    const gone: string[] = []
    if (adapter.tellsDeletions(object, { since, until })) {
      for await (const page of adapter.deletions(api, { object, since, until, signal })) {
        gone.push(...page.externalIds.map(({ id }) => id))
      }
    } else {
      gone.push(...[...before].filter((id) => !there.has(id)))
    }
    assert.deepEqual(
      deleted.filter((id) => before.has(id) && !gone.includes(id)),
      [],
    )
    assert.deepEqual(
      gone.filter((id) => there.has(id)),
      [],
    )
    // What changes behind the end of the window is of the next one.
    simulator.advance(HOUR)
    const later = simulator.edit(people, 3).map(String)
    const again = await service.read(object, { window: { since, until } })
    assert.deepEqual(
      later.filter((id) => again.has(id) && !changed.has(id)),
      [],
    )
  })

  test(`${of.system}: asks for hardly more than it says it must`, async () => {
    await using service = await Service.start(of)
    for (const object of service.tried) {
      const before = service.api.sent()
      const rows = await service.read(object)
      const sent = service.api.sent() - before
      const least = adapter.callsFor(object, rows.size)
      assert.ok(least >= 1)
      // Of a small account the looks at users and at what lies behind the last page weigh more.
      assert.ok(sent <= least * 1.05 + 8, `${object.name}: ${sent} requests, ${least} estimated`)
    }
  })

  test(`${of.system}: maps columns that it has to fields that there are, and names each record`, async () => {
    await using service = await Service.start(of)
    for (const object of service.objects) {
      const type = object.suggestedRecordType
      if (type === null) {
        continue
      }
      const mapping = adapter.mapping(object, type)
      if (mapping === null) {
        continue
      }
      const columns = new Set(object.fields.map(({ name }) => name))
      const fields = new Set(recordTypes[type].fields.map(({ name }) => name))
      for (const { column, constant, field } of mapping) {
        assert.ok(column === null ? constant !== null : columns.has(column), `${object.name} has no column ${column}`)
        assert.ok(field === null || fields.has(field.split('.')[0] ?? ''), `${type} has no field ${field}`)
      }
      const targets = mapping.flatMap(({ field }) => field ?? [])
      assert.ok(targets.includes('externalId'), `${object.name} gives its records no id`)
      assert.equal(new Set(targets).size, targets.length, `${object.name} gives a field twice`)
    }
  })

  test(`${of.system}: gets everything whatever breaks on the way, and stops when it is told to`, async () => {
    await using service = await Service.start(of)
    const object = service.object(people)
    const truth = keys(alive(await service.read(object)))
    for (const seed of [1, 2, 3, 4]) {
      service.simulator.script(randomFaults(seed, 14, { share: 0.4 }))
      const rows = new Map<string, VendorRow>()
      let state: Json = null
      for (let attempt = 1, done = false; !done; attempt++) {
        try {
          for await (const page of adapter.extract(service.api, service.request(object, { state }))) {
            page.rows.forEach((row) => rows.set(row.externalId, row))
            state = JSON.parse(JSON.stringify(page.state)) as Json
          }
          done = true
        } catch (error) {
          assert.ok(attempt < 30, `seed ${seed}: ${String(error)}`)
        }
      }
      service.simulator.script([])
      assert.deepEqual(keys(alive(rows)), truth, `seed ${seed}`)
    }
    const stopped = AbortSignal.abort(new Error('told to stop'))
    await assert.rejects(service.read(object, { signal: stopped }))
  })
}
