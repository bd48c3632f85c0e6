import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../../src/config.js'
import { startApi } from '../../src/server/start.js'
import { freshDatabase } from '../helpers/database.js'
import { StallingProxy } from '../helpers/stalling-proxy.js'

/** An answer of /readyz may take so long, whatever the database does; after so long it has to know. Milliseconds. */
const ANSWER_MS = 200
const KNOWN_MS = 5000

test('a database that goes silent is told within 5 s by answers that take 200 ms, and so is its return [OB-3]', async (context) => {
  const db = await freshDatabase()
  const proxy = await StallingProxy.start(db.apiUrl)
  const dataDir = await mkdtemp(join(tmpdir(), 'portage-ready-'))
  const config = loadConfig({
    PORTAGE_ROLE: 'api',
    PORTAGE_PORT: String(await freePort()),
    PORTAGE_DATA_DIR: dataDir,
    PORTAGE_LOG_LEVEL: 'error',
    DATABASE_URL: proxy.through(db.apiUrl),
  })
  const api = await startApi(config)
  const took: number[] = []
  const ask = async (path: string) => {
    const started = performance.now()
    const { status } = await fetch(`${config.publicUrl}${path}`)
    took.push(performance.now() - started)
    return status
  }
  const until = async (status: number) => {
    const started = performance.now()
    while ((await ask('/readyz')) !== status) {
      assert.ok(performance.now() - started < KNOWN_MS, `/readyz was not ${status} in time`)
    }
    return performance.now() - started
  }
  try {
    await until(200)
    proxy.silence()
    const away = await until(503)
    assert.equal(await ask('/livez'), 200, 'the process itself is well')
    proxy.heal()
    const back = await until(200)
    const slowest = Math.max(...took.slice(1))
    context.diagnostic(
      `away after ${away.toFixed(0)} ms, back after ${back.toFixed(0)} ms, slowest ${slowest.toFixed(0)} ms`,
    )
    // What the machine itself holds up is no wait for the database: nineteen of twenty, and none by much.
    const inOrder = took.toSorted((a, b) => a - b)
    assert.ok((inOrder[Math.floor(inOrder.length * 0.95)] ?? 0) <= ANSWER_MS, `${slowest}`)
    assert.ok(slowest < 5 * ANSWER_MS, `${slowest}`)
  } finally {
    await proxy.close()
    await api.close()
    await rm(dataDir, { recursive: true, force: true })
    await db.drop()
  }
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
