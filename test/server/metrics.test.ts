/** What Prometheus gets: names by its rules, and no more series than a service with many tenants may have. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { measureProcess, metricsSnapshot } from '../../src/metrics.js'
import { projectFile } from '../helpers/contract.js'
import { calls } from './calls.js'
import { type Actor, World } from './world.js'

const TENANTS = 500
const SERIES_MAX = 2000

let world: World
const actors: Actor[] = []

before(async () => {
  measureProcess('api')
  world = await World.start()
  actors.push(await world.actor(await world.tenant()))
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into tenant (id, name) select uuidv7(), 'many ' || n from generate_series(2, $1) n returning id`,
    [TENANTS],
  )
  for (const [index, { id }] of rows.entries()) {
    actors.push(await world.actor(id, undefined, `person${index}@example.com`))
  }
})
after(() => world.close())

interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

async function scrape(): Promise<{ readonly series: readonly Series[]; readonly types: ReadonlyMap<string, string> }> {
  const text = await (await fetch(`${world.url}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line !== '')
  const types = new Map(
    lines.flatMap((line) => {
      const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
      return name === undefined || type === undefined ? [] : [[name, type] as const]
    }),
  )
  const series = lines
    .filter((line) => !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line) ?? []
      assert.notEqual(name, '', line)
      return { name, labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, k, v]) => [k, v])) }
    })
  return { series, types }
}

test('metrics are named by the rules of Prometheus, and 500 tenants make no series of their own [OB-1]', async (context) => {
  const [first] = actors
  assert.ok(first !== undefined)
  // Every operation there is, as somebody who may and as somebody who may not.
  const nobody = await world.actor(first.tenantId, [], 'nobody@example.com')
  for (const query of Object.values(calls).filter((call) => call !== '' && !call.startsWith('subscription'))) {
    await world.run(first, query)
    await world.run(nobody, query)
  }
  const id = await world.import(first, 'CONTACT', 'E-mail,Last name\na@example.com,A\nwrong,B\n')
  const { runRollback } = await world.ask(
    first,
    'mutation ($id: ID!) { runRollback(input: { runId: $id, idempotencyKey: "back" }) { rollbackRun { id } } }',
    { id },
  )
  await world.rested(first, runRollback.rollbackRun.id)
  const one = (await scrape()).series.length
  for (let i = 0; i < TENANTS; i += 25) {
    await Promise.all(
      actors.slice(i, i + 25).map((actor) => world.ask(actor, '{ viewer { actor } runs(first: 1) { nodes { id } } }')),
    )
  }
  const { series, types } = await scrape()
  assert.ok(series.length <= one + 20, `${one} series of one tenant, ${series.length} of ${TENANTS}`)
  assert.ok(series.length <= SERIES_MAX, `${series.length} series`)
  context.diagnostic(`${series.length} series, ${one} of one tenant`)
  for (const [name, type] of types) {
    assert.match(name, /^(portage|process|nodejs)_[a-z0-9_]+$/)
    assert.doesNotMatch(name, /_(ms|millis\w*|minutes|hours|kb|mb|percent|count)$/, 'base units')
    assert.equal(name.endsWith('_total'), type === 'counter' || /^nodejs_.*_total$/.test(name), `${name} is a ${type}`)
    if (type === 'histogram') {
      assert.match(name, /_(seconds|bytes)$/)
    }
  }
  for (const { name, labels } of series) {
    for (const [label, value] of Object.entries(labels)) {
      assert.doesNotMatch(label, /tenant|run|user|actor|file|key|email|^id$/, name)
      assert.doesNotMatch(value, /@|[0-9a-f]{8}-|_[0-9a-z]{26}/, name)
      assert.ok(value.length < 60)
    }
  }
  const own = new Set(series.map(({ name }) => name))
  for (const name of [
    'portage_operations_total',
    'portage_operation_duration_seconds_bucket',
    'portage_graphql_operation_seconds_bucket',
    'portage_job_seconds_bucket',
    'portage_chunk_seconds_bucket',
    'portage_rows_total',
    'portage_runs_ended_total',
    'portage_queue_runs',
    'portage_queue_oldest_age_seconds',
    'portage_lease_age_seconds',
    'portage_audit_unsealed_entries',
    'portage_audit_seal_lag_seconds',
    'portage_stalled_runs',
    'portage_stalls_total',
    'portage_subscriptions',
    'process_cpu_seconds_total',
  ]) {
    assert.ok(own.has(name) || name.startsWith('process_'), name)
  }
  const told = (operation: string, result: string) =>
    series.some(
      ({ name, labels }) =>
        name === 'portage_operations_total' && labels.operation === operation && labels.result === result,
    )
  assert.ok(
    told('Query.viewer', 'ok') && told('Mutation.exportCreate', 'denied') && told('Mutation.importPlan', 'refused'),
  )
})

test('the dashboard and the alerts ask for metrics that there are', async () => {
  const { types } = await scrape()
  for (const file of ['grafana.json', 'alerts.yml']) {
    const text = readFileSync(projectFile(`examples/monitoring/${file}`), 'utf8')
    const names = new Set(text.match(/\b(?:portage|process|nodejs)_\w+/g))
    assert.ok(names.size > 5)
    for (const name of names) {
      assert.ok(types.has(name.replace(/_bucket$/, '')) || name === 'process_resident_memory_bytes', `${file}: ${name}`)
    }
  }
})

test('what waits is measured by looking at it', async () => {
  const snapshot = JSON.stringify(await metricsSnapshot())
  assert.match(snapshot, /portage_audit_seal_lag_seconds/)
})
