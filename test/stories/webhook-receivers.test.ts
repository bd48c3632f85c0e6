/** The receivers of examples/ as partners would start them: they take what Portage signs, once, and nothing else. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { WebhookSender } from '../../src/adapters/webhooks/send.js'
import { newWebhookSecret, signatureHeaders } from '../../src/adapters/webhooks/sign.js'
import { Arrivals } from '../helpers/sinks.js'

const root = dirname(fileURLToPath(new URL('../..', import.meta.url)))

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function receives(command: string, script: string): Promise<void> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const secret = newWebhookSecret()
  const lines = new Arrivals<string>()
  const process_: ChildProcess = spawn(command, [join('examples', script), String(port)], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', PORTAGE_WEBHOOK_SECRET: secret.reveal() },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  assert.ok(process_.stdout !== null)
  createInterface(process_.stdout).on('line', (line) => lines.add(line))
  try {
    await lines.until((all) => all.includes('listening'))
    const sender = new WebhookSender({ origins: [origin] })
    const body = JSON.stringify({
      type: 'RUN_COMPLETED',
      data: { run: { id: 'run_ü', status: 'COMPLETED', counts: { total: 1 } } },
    })
    const send = (id: string, secrets = [secret]) =>
      sender.send({ url: `${origin}/`, id, body, secrets }, new AbortController().signal)
    assert.deepEqual(await send('whd_1'), { status: 204, error: null })
    // A retry, and one that is signed with a newer secret besides, are the same message.
    assert.deepEqual(await send('whd_1', [newWebhookSecret(), secret]), { status: 204, error: null })
    assert.deepEqual(await send('whd_2', [newWebhookSecret()]), { status: 401, error: 'HTTP_401' })
    sender.close()
    const old = Math.floor(Date.now() / 1000) - 301
    for (const [sent, timestamp] of [
      [body, old],
      [body.replace('"total":1', '"total":2'), Math.floor(Date.now() / 1000)],
    ] as const) {
      const headers = signatureHeaders({ id: 'whd_3', timestamp, body }, [secret])
      assert.equal((await fetch(origin, { method: 'POST', headers, body: sent })).status, 401)
    }
    assert.deepEqual(await lines.until((all) => all.length >= 2), ['listening', 'RUN_COMPLETED: run_ü COMPLETED'])
  } finally {
    process_.kill()
    await once(process_, 'close')
  }
}

test('webhook-receiver.ts takes what is signed with its secret, once', () =>
  receives(process.execPath, 'webhook-receiver.ts'))

const python = spawnSync('python3', ['--version']).status === 0
test(
  'webhook_receiver.py takes what is signed with its secret, once',
  { skip: python ? false : 'there is no Python' },
  () => receives('python3', 'webhook_receiver.py'),
)
