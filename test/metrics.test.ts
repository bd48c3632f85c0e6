import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import {
  chunkSeconds,
  keepSnapshot,
  measureProcess,
  metricsSnapshot,
  registry,
  startMetricsServer,
} from '../src/metrics.js'

async function served(): Promise<string> {
  const server = await startMetricsServer('127.0.0.1', 0)
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  try {
    const response = await fetch(`http://127.0.0.1:${address.port}/metrics`)
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain/)
    assert.equal((await fetch(`http://127.0.0.1:${address.port}/livez`)).status, 200)
    assert.equal((await fetch(`http://127.0.0.1:${address.port}/else`)).status, 404)
    return await response.text()
  } finally {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
}

test('serves what this process and the others measured, each under its name', async () => {
  measureProcess('worker-9')
  chunkSeconds.observe({ kind: 'IMPORT' }, 0.3)
  const snapshot: unknown = JSON.parse(JSON.stringify(await metricsSnapshot()))
  registry.resetMetrics()
  registry.setDefaultLabels({ process: 'api' })
  keepSnapshot('worker-9', snapshot as object)
  const text = await served()
  assert.match(text, /portage_chunk_seconds_count\{[^}]*process="worker-9"[^}]*\} 1/)
  assert.match(text, /process_cpu_seconds_total\{process="api"\}/)
})

test('a newer snapshot replaces the older one of the same process', async () => {
  keepSnapshot('worker-9', [])
  assert.doesNotMatch(await served(), /worker-9/)
})

test('no metric has a label that grows with customers', () => {
  const labels = registry
    .getMetricsAsArray()
    .flatMap((metric) => [...((metric as { labelNames?: readonly string[] }).labelNames ?? [])])
  assert.ok(labels.includes('outcome'))
  assert.deepEqual(
    labels.filter((label) => /tenant|run|user|actor|file|id$/i.test(label)),
    [],
  )
})
