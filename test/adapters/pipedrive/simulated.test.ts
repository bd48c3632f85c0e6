/* Pipedrive's adapter against a simulator of the documented behaviour, through the project's own HTTP layer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipedrive } from '../../../src/adapters/pipedrive/index.js'
import type { ExtractRequest, Json, VendorObject, VendorRow } from '../../../src/adapters/vendor.js'
import { apiOf, type SimulatedApi } from '../../simulators/api.js'
import { randomFaults } from '../../simulators/common/faults.js'
import { type PipedriveOptions, startPipedrive } from '../../simulators/pipedrive/index.js'

const signal = new AbortController().signal
const LATER = '2030-01-01T00:00:00.000000Z'

async function company(options: PipedriveOptions = {}) {
  const simulator = await startPipedrive({ limits: false, ...options })
  const api = apiOf(simulator, 'pipedrive')
  const objects = await pipedrive.discover(api, signal)
  const object = (name: string): VendorObject => {
    const found = objects.find((candidate) => candidate.name === name)
    assert.ok(found)
    return found
  }
  return {
    simulator,
    api,
    objects,
    object,
    [Symbol.asyncDispose]: async () => {
      api.close()
      await simulator.close()
    },
  }
}

/** The newest reading of each record, as the migration keeps it. */
async function read(
  api: SimulatedApi,
  object: VendorObject,
  more: Partial<ExtractRequest> = {},
  attempts = 30,
): Promise<Map<string, VendorRow>> {
  const rows = new Map<string, VendorRow>()
  let state: Json = null
  // As a job does: whoever fails in the middle goes on from the last page that was kept.
  for (let attempt = 1; ; attempt++) {
    try {
      const request = { object, fields: [], window: { since: null, until: LATER }, ids: null, filter: null, signal }
      for await (const page of pipedrive.extract(api, { ...request, ...more, state })) {
        state = JSON.parse(JSON.stringify(page.state)) as Json
        for (const row of page.rows) {
          const known = rows.get(row.externalId)
          if (known === undefined || (row.updatedAt ?? '') >= (known.updatedAt ?? '')) {
            rows.set(row.externalId, row)
          }
        }
      }
      return rows
    } catch (error) {
      if (attempt >= attempts) {
        throw error
      }
    }
  }
}

/** The truth, without what no database takes: NUL and halves of characters. */
const whole = (rows: Iterable<{ readonly [field: string]: unknown }>) =>
  new Map(
    [...rows].map((row) => [
      String(row.id),
      JSON.stringify(row)
        .replaceAll('\\u0000', '')
        .replaceAll(/\\ud[89a-f][0-9a-f]{2}/g, ''),
    ]),
  )
const data = (rows: ReadonlyMap<string, VendorRow>) =>
  new Map([...rows].map(([id, row]) => [id, JSON.stringify(row.data)]))
const sorted = (rows: ReadonlyMap<string, string>) => [...rows].sort(([one], [other]) => (one < other ? -1 : 1))

test('reads everything there is, just as it is', async () => {
  await using pd = await company({
    counts: { persons: 1700, organizations: 600, leads: 1100, deals: 700, activities: 1300, notes: 1200 },
  })
  for (const object of pd.objects) {
    const rows = await read(pd.api, object)
    assert.deepEqual(sorted(data(rows)), sorted(whole(pd.simulator.rows(object.name))), object.name)
    const listed: string[] = []
    for await (const page of pipedrive.listIds(pd.api, object, signal)) {
      listed.push(...page)
    }
    assert.deepEqual(new Set(listed), new Set(rows.keys()))
  }
})

test('reads it in hardly more requests than there are pages', async () => {
  const counts = { persons: 10_000, activities: 10_000, leads: 3000, notes: 3000, deals: 3000 }
  await using pd = await company({ counts, nasty: false, validate: false })
  for (const [name, count] of Object.entries(counts)) {
    const before = pd.api.sent()
    let rows = 0
    const request = { fields: [], state: null, window: { since: null, until: LATER }, ids: null, filter: null, signal }
    for await (const page of pipedrive.extract(pd.api, { object: pd.object(name), ...request })) {
      rows += page.rows.length
    }
    assert.ok(rows >= count, name)
    const least = pipedrive.callsFor(pd.object(name), count)
    // Of a small account the request for users and the two looks for what a list leaves out weigh more.
    assert.ok(
      pd.api.sent() - before <= least * 1.05 + 5,
      `${name}: ${pd.api.sent() - before} requests for ${least} pages`,
    )
  }
})

test('reads what changed since, and what was deleted, wherever times are equal or late', async () => {
  await using pd = await company({ counts: { persons: 900, leads: 900, deals: 900, notes: 900 } })
  const { simulator, api } = pd
  for (const name of ['persons', 'leads', 'deals', 'notes']) {
    const object = pd.object(name)
    const mirror = await read(api, object)
    simulator.advance(3_600_000)
    const since = await pipedrive.clock(api, signal)
    simulator.advance(60_000)
    simulator.edit(name, 150)
    simulator.edit(name, 20, { lateMs: 45_000 })
    simulator.add(name, 30)
    const deleted = simulator.delete(name, 25)
    simulator.advance(120_000)
    const until = await pipedrive.clock(api, signal)
    const changed = await read(api, object, { window: { since, until } })
    for (const [id, row] of changed) {
      mirror.set(id, row)
    }
    const gone: string[] = []
    if (pipedrive.tellsDeletions(object)) {
      for await (const page of pipedrive.deletions(api, { object, since, until, signal })) {
        gone.push(...page.externalIds.map(({ id }) => id))
      }
      assert.deepEqual(gone.toSorted(), [...deleted].map(String).toSorted(), name)
    } else {
      const there = new Set<string>()
      for await (const page of pipedrive.listIds(api, object, signal)) {
        for (const id of page) {
          there.add(id)
        }
      }
      gone.push(...[...mirror.keys()].filter((id) => !there.has(id)))
    }
    for (const id of gone) {
      mirror.delete(id)
    }
    assert.deepEqual(sorted(data(mirror)), sorted(whole(simulator.rows(name))), name)
    assert.ok(changed.size < 400, `${name}: ${changed.size}`)
  }
})

test('ends with the same records whatever goes wrong on the way', async () => {
  await using pd = await company({ counts: { persons: 1600, leads: 1600, activities: 1600 } })
  for (let seed = 1; seed <= 9; seed++) {
    const name = ['persons', 'leads', 'activities'][seed % 3] ?? 'persons'
    pd.simulator.script(randomFaults(seed, 12, { share: 0.4 }))
    const rows = await read(pd.api, pd.object(name))
    pd.simulator.script([])
    assert.deepEqual(new Set(rows.keys()), new Set(whole(pd.simulator.rows(name)).keys()), `seed ${seed}, ${name}`)
  }
})

test('misses no lead or note when others go or change while it reads', async () => {
  await using pd = await company({ counts: { leads: 2100, notes: 2100, persons: 2100 } })
  for (const name of ['leads', 'notes', 'persons']) {
    for (const kind of ['ROWS_GO', 'ROWS_MOVE'] as const) {
      pd.simulator.script([
        { kind, after: 1 },
        { kind, after: 3 },
        { kind, after: 4 },
      ])
      const rows = await read(pd.api, pd.object(name))
      const missing = [...whole(pd.simulator.rows(name)).keys()].filter((id) => !rows.has(id))
      assert.deepEqual(missing, [], `${name} ${kind}`)
    }
  }
})

test('keeps a list whole where the service lies about its pages', async () => {
  await using pd = await company({ counts: { persons: 2300 } })
  const object = pd.object('persons')
  const truth = new Set(whole(pd.simulator.rows('persons')).keys())
  for (const lie of [
    'DROPPED_PAGE',
    'REPEATED_PAGE',
    'PAGE_WITHOUT_ROWS',
    'EARLY_END',
    'SILENT_CAP',
    'DROPPED_ROW',
  ] as const) {
    pd.simulator.lie(lie)
    const rows = await read(pd.api, object)
    assert.deepEqual(new Set(rows.keys()), truth, lie)
  }
  pd.simulator.lie('LOOPING_CURSOR')
  await assert.rejects(read(pd.api, object, {}, 1), /circle/)
  pd.simulator.lie(null)
})

test('needs no more memory for many records than for few', async () => {
  await using pd = await company({ counts: { persons: 30_000 }, nasty: false, validate: false })
  const request = { fields: [], state: null, window: { since: null, until: LATER }, ids: null, filter: null, signal }
  let rows = 0
  let most = 0
  global.gc?.()
  const before = process.memoryUsage().heapUsed
  for await (const page of pipedrive.extract(pd.api, { object: pd.object('persons'), ...request })) {
    rows += page.rows.length
    most = Math.max(most, process.memoryUsage().heapUsed - before)
  }
  assert.equal(rows, 30_000)
  assert.ok(most < 150_000_000, `${Math.round(most / 1e6)} MB`)
})
