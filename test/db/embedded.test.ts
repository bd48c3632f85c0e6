import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { type EmbeddedServer, embeddedUrl, sizeSettings, startEmbedded } from '../../src/db/embedded.js'
import { FatalError } from '../../src/errors.js'
import { createLog } from '../../src/log.js'

// This file is also the program of a process that starts a server and is then killed.
if (process.send !== undefined && process.argv[2] !== undefined) {
  const server = await startEmbedded(options(process.argv[2]))
  process.send({ pid: server.pid, port: server.port })
  await new Promise(() => process.on('message', () => undefined))
}

const folder = mkdtempSync(join(tmpdir(), 'portage-embedded-'))
// The server of a test that root runs has a user of its own, who must be able to pass.
chmodSync(folder, 0o711)
const dataDir = join(folder, 'data')
const running = new Set<EmbeddedServer>()
const outside = new Set<string>()

before(async () => {
  const server = await start()
  await withClient(server, (client) => client.query('create table survivor as select 1 as n'))
  await stop(server)
})
after(async () => {
  for (const server of running) {
    await server.stop()
  }
  for (const path of [folder, ...outside]) {
    rmSync(path, { recursive: true, force: true })
  }
})

function options(place: string) {
  return {
    dataDir: place,
    log: createLog({ level: 'error', process: 'test' }),
    durable: false,
    settings: { shared_buffers: '32MB' },
  }
}

async function start(place = dataDir): Promise<EmbeddedServer> {
  const server = await startEmbedded(options(place))
  running.add(server)
  return server
}

async function stop(server: EmbeddedServer): Promise<void> {
  running.delete(server)
  await server.stop()
}

async function withClient<T>(server: { readonly url: string }, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function survives(server: EmbeddedServer): Promise<void> {
  const { rows } = await withClient(server, (client) => client.query<{ n: number }>('select n from survivor'))
  assert.deepEqual(rows, [{ n: 1 }])
}

/** A process of its own that starts the server of `place`, and what it said about it. */
async function elsewhere(place: string): Promise<{ process: ChildProcess; pid: number; port: number }> {
  const child = fork(fileURLToPath(import.meta.url), [place])
  const started = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => null)])
  assert.ok(started !== null, 'the other process could not start the server')
  return { process: child, ...(started[0] as { pid: number; port: number }) }
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** A zombie that nobody has reaped yet is dead. */
function isAlive(pid: number): boolean {
  const stat = `/proc/${pid}/stat`
  return existsSync(stat) && !/\) [ZX] /.test(readFileSync(stat, 'utf8'))
}

const linux = { skip: process.platform === 'linux' ? false : 'reads /proc' }
const root = { skip: process.getuid?.() === 0 ? false : 'only root needs another place' }

test('starts a PostgreSQL 18 that is reachable from this machine alone, with UTF-8, UTC and a password', async () => {
  const server = await start()
  await withClient(server, async (client) => {
    const { rows } = await client.query(`select current_setting('server_version_num')::int / 10000 as version,
      current_setting('listen_addresses') as listens, current_setting('server_encoding') as encoding,
      current_setting('timezone') as zone, lower('ÉÜ') as folded, 'a' > 'B' as by_code_point`)
    assert.deepEqual(rows, [
      { version: 18, listens: '127.0.0.1', encoding: 'UTF8', zone: 'UTC', folded: 'éü', by_code_point: true },
    ])
  })
  const wrong = new URL(server.url)
  wrong.password = 'guess'
  await assert.rejects(() => withClient({ url: wrong.href }, async () => undefined), { code: '28P01' })
  assert.equal(statSync(join(dataDir, 'postgres.json')).mode & 0o777, 0o600)
  assert.equal(embeddedUrl(dataDir), server.url)
  await stop(server)
})

test('comes back on the same port with the same data', async () => {
  const first = await start()
  await stop(first)
  const second = await start()
  assert.equal(second.url, first.url)
  assert.equal(second.adopted, false)
  await survives(second)
  await stop(second)
})

test('takes another port when a stranger took the old one', async () => {
  const { port } = JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8')) as { port: number }
  const { createServer } = await import('node:net')
  const stranger = createServer()
  await new Promise<void>((settle) => stranger.listen(port, '127.0.0.1', settle))
  const server = await start()
  stranger.close()
  assert.notEqual(server.port, port)
  await survives(server)
  await stop(server)
})

test('tells that the server ended by itself, and not that it was stopped', async () => {
  const server = await start()
  const ended = new Promise<void>((settle) => server.onExit(settle))
  process.kill(server.pid, 'SIGKILL')
  await ended
  running.delete(server)
  const next = await start()
  let told = false
  next.onExit(() => {
    told = true
  })
  await survives(next)
  await stop(next)
  assert.equal(told, false)
})

test('adopts the server of a process that was killed, and notices when that server ends', linux, async () => {
  const other = await elsewhere(dataDir)
  await killed(other.process)
  assert.ok(isAlive(other.pid))
  const server = await start()
  assert.deepEqual([server.adopted, server.pid, server.port], [true, other.pid, other.port])
  await survives(server)
  const ended = new Promise<void>((settle) => server.onExit(settle))
  process.kill(server.pid, 'SIGKILL')
  await ended
  running.delete(server)
  await stop(await start())
})

test('stops an adopted server', linux, async () => {
  await killed((await elsewhere(dataDir)).process)
  const server = await start()
  await stop(server)
  assert.equal(isAlive(server.pid), false)
})

test('ends busy backends that outlived their postmaster, and starts', linux, async () => {
  const server = await start()
  const client = new pg.Client({ connectionString: server.url })
  client.on('error', () => undefined)
  await client.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  // Never waits, so it never notices by itself that the postmaster is gone.
  const busy = client.query('select count(*) from generate_series(1, 1e12::bigint)').catch(() => undefined)
  const ended = new Promise<void>((settle) => server.onExit(settle))
  process.kill(server.pid, 'SIGKILL')
  await ended
  running.delete(server)
  const next = await start()
  assert.equal(next.adopted, false)
  assert.equal(isAlive(rows[0]?.pid ?? 0), false)
  await survives(next)
  await busy
  await stop(next)
})

test('is not misled by a process id that now belongs to a stranger', linux, async () => {
  const stale = join(dataDir, 'postgres', 'postmaster.pid')
  if (!existsSync(dirname(stale))) {
    assert.fail('the cluster should lie in the data folder')
  }
  writeFileSync(stale, `${process.ppid}\n${dirname(stale)}\n1\n5432\n\n127.0.0.1\n0 0\nready   \n`)
  const server = await start()
  assert.equal(server.adopted, false)
  await survives(server)
  await stop(server)
})

test('refuses a data folder that another process is using, and says which', async () => {
  const other = await elsewhere(dataDir)
  await assert.rejects(
    () => start(),
    (error) =>
      error instanceof FatalError &&
      error.code === 'DATABASE_IN_USE' &&
      error.message.includes(String(other.process.pid)),
  )
  await killed(other.process)
  await stop(await start())
})

test('finishes what a crash interrupted after initdb', async () => {
  const cluster = join(dataDir, 'postgres')
  renameSync(cluster, `${cluster}.new`)
  const server = await start()
  await survives(server)
  await stop(server)
})

test('begins anew when a crash interrupted initdb itself', async () => {
  const place = join(folder, 'interrupted')
  const first = await start(place)
  await stop(first)
  rmSync(join(place, 'postgres.json'))
  renameSync(join(place, 'postgres'), join(place, 'postgres.new'))
  const server = await start(place)
  assert.notEqual(server.url, first.url)
  await withClient(server, (client) => client.query('select 1'))
  await stop(server)
})

test('does not start empty where a database should be', async () => {
  const cluster = join(dataDir, 'postgres')
  renameSync(cluster, `${cluster}.away`)
  await assert.rejects(
    () => start(),
    (error) => error instanceof FatalError && error.code === 'DATABASE_MISSING',
  )
  renameSync(`${cluster}.away`, cluster)
  await stop(await start())
})

test('as root keeps the cluster elsewhere when the server may not enter the data folder', root, async () => {
  const hidden = mkdtempSync(join(tmpdir(), 'portage-hidden-'))
  outside.add(hidden)
  const place = join(hidden, 'data')
  const first = await start(place)
  outside.add(first.dataDir)
  assert.ok(!first.dataDir.startsWith(hidden))
  assert.equal(statSync(first.dataDir).mode & 0o777, 0o700)
  await stop(first)
  const second = await start(place)
  assert.equal(second.dataDir, first.dataDir)
  assert.equal(second.url, first.url)
  await stop(second)
})

test('gives the server nothing of our environment', linux, async () => {
  process.env.PORTAGE_TEST_CANARY = 'canary'
  const server = await start()
  assert.doesNotMatch(readFileSync(`/proc/${server.pid}/environ`, 'utf8'), /canary/i)
  await stop(server)
})

test('keeps failed statements and their values out of the log of the server', async () => {
  const server = await start()
  await withClient(server, async (client) => {
    await assert.rejects(() => client.query('select $1::int', ['canary-value']), { code: '22P02' })
    await assert.rejects(() => client.query("select 'canary-literal'::int"), { code: '22P02' })
  })
  await stop(server)
  const log = readFileSync(join(dataDir, 'postgres.log'), 'utf8')
  assert.match(log, /ready to accept connections/)
  assert.doesNotMatch(log, /canary/)
})

test('begins a new log when the old one is large, and keeps the old one', async () => {
  writeFileSync(join(dataDir, 'postgres.log'), 'x'.repeat(6 * 1024 * 1024))
  await stop(await start())
  assert.ok(statSync(join(dataDir, 'postgres.log')).size < 100_000)
  assert.equal(statSync(join(dataDir, 'postgres.log.1')).size, 6 * 1024 * 1024)
})

test('says why when the server does not start', async () => {
  await assert.rejects(
    () => startEmbedded({ ...options(dataDir), settings: { shared_buffers: 'much' } }),
    (error) => error instanceof FatalError && /shared_buffers/.test(error.message),
  )
  await stop(await start())
})

test('can be told to give up while the server is starting, and leaves none behind', async () => {
  await assert.rejects(() => startEmbedded({ ...options(dataDir), signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  const server = await start()
  assert.equal(server.adopted, false)
  await survives(server)
  await stop(server)
})

test('takes memory by the size of the machine, within bounds', () => {
  const gibibyte = 1024 ** 3
  assert.deepEqual(sizeSettings(24 * gibibyte, 100 * gibibyte), {
    shared_buffers: '1024MB',
    effective_cache_size: '12288MB',
    work_mem: '64MB',
    maintenance_work_mem: '256MB',
    max_wal_size: '4096MB',
    min_wal_size: '1024MB',
  })
  assert.deepEqual(sizeSettings(gibibyte / 4, gibibyte), {
    shared_buffers: '64MB',
    effective_cache_size: '128MB',
    work_mem: '4MB',
    maintenance_work_mem: '32MB',
    max_wal_size: '256MB',
    min_wal_size: '80MB',
  })
})
