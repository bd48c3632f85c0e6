import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startEmbedded } from '../src/db/embedded.js'
import { createLog } from '../src/log.js'

const folder = mkdtempSync(join(tmpdir(), 'portage-start-'))
// The database of a test that root runs has a user of its own, who must be able to pass.
chmodSync(folder, 0o711)
const dataDir = join(folder, 'data')
let port = 0

before(async () => {
  port = await freePort()
})
after(async () => {
  for (const start of starts) {
    start.kill('SIGKILL')
  }
  // Whatever a failed test left running is adopted and stopped.
  const server = await startEmbedded({ dataDir, log: createLog({ level: 'error', process: 'test' }) })
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle))
  const address = server.address()
  await new Promise((settle) => server.close(settle))
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

const starts = new Set<Start>()

interface Line {
  readonly process?: string
  readonly msg?: string
  readonly pid?: number
  readonly childPid?: number
  readonly child?: string
}

/** One `npm start`, without npm. */
class Start {
  readonly #process: ChildProcess
  readonly #lines: string[] = []
  readonly #changed = new Set<() => void>()
  readonly #closed: Promise<unknown>

  constructor(env: Record<string, string> = {}) {
    this.#process = spawn(process.execPath, [fileURLToPath(new URL('../src/main.js', import.meta.url))], {
      cwd: folder,
      env: { PATH: process.env.PATH, PORTAGE_DATA_DIR: dataDir, PORTAGE_PORT: String(port), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      assert.ok(stream)
      createInterface(stream).on('line', (line) => {
        this.#lines.push(line)
        this.#changed.forEach((look) => look())
      })
    }
    this.#closed = once(this.#process, 'close')
    void this.#closed.then(() => this.#changed.forEach((look) => look()))
    starts.add(this)
  }

  get pid(): number {
    assert.ok(this.#process.pid)
    return this.#process.pid
  }

  get output(): string {
    return this.#lines.join('\n')
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Exit code and output once it has ended; its children are gone too, because they share its output. */
  async ended(): Promise<{ code: number | null; output: string }> {
    await this.#closed
    starts.delete(this)
    return { code: this.#process.exitCode, output: this.output }
  }

  /** The first line of output, from number `from` on, that `read` makes something of. */
  async says<T>(read: (line: string) => T | null, from = 0): Promise<T> {
    return new Promise((settle, fail) => {
      const look = () => {
        for (const line of this.#lines.slice(from)) {
          const found = read(line)
          if (found !== null) {
            this.#changed.delete(look)
            settle(found)
            return
          }
        }
        if (this.#process.exitCode !== null) {
          fail(new Error(`it ended without saying so:\n${this.output}`))
        }
      }
      this.#changed.add(look)
      look()
    })
  }

  async logs(match: Partial<Line>, from = 0): Promise<Line> {
    return this.says((line) => {
      const entry = line.startsWith('{') ? (JSON.parse(line) as Line) : {}
      const fits = Object.entries(match).every(([name, value]) => entry[name as keyof Line] === value)
      return line.startsWith('{') && fits ? entry : null
    }, from)
  }

  /** Number of the next line. */
  get now(): number {
    return this.#lines.length
  }

  async ready(): Promise<this> {
    await this.says((line) => (line.startsWith('Portage is ready') ? line : null))
    return this
  }
}

async function get(path: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).status
}

function postmaster(): number {
  return Number.parseInt(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8'), 10)
}

test('starts from nothing, says how to go on, and stops in order when told [SU-1]', async () => {
  const start = await new Start().ready()
  assert.equal(await get('/livez'), 200)
  assert.equal(await get('/readyz'), 200)
  assert.match(await start.says((line) => /PORTAGE_TOKEN=(.+)/.exec(line)?.[1] ?? null), /^eyJ/)
  const told = performance.now()
  start.kill('SIGTERM')
  const { code } = await start.ended()
  assert.equal(code, 0)
  assert.ok(performance.now() - told < 10_000)
  await assert.rejects(() => get('/livez'))
})

test('starts on what is there the second time', async () => {
  const made = statSync(join(dataDir, 'postgres', 'PG_VERSION')).mtimeMs
  const start = await new Start().ready()
  assert.equal(statSync(join(dataDir, 'postgres', 'PG_VERSION')).mtimeMs, made)
  start.kill('SIGINT')
  assert.equal((await start.ended()).code, 0)
})

test('replaces a worker, an API and a PostgreSQL that were killed', async () => {
  const start = await new Start().ready()
  for (const name of ['worker-1', 'api']) {
    const first = await start.logs({ process: name, msg: 'ready' })
    const from = start.now
    process.kill(first.pid ?? 0, 'SIGKILL')
    const second = await start.logs({ process: name, msg: 'ready' }, from)
    assert.notEqual(second.pid, first.pid)
  }
  assert.equal(await get('/readyz'), 200)
  const from = start.now
  const old = postmaster()
  process.kill(old, 'SIGKILL')
  const back = await start.logs({ process: 'supervisor', msg: 'PostgreSQL is back' }, from)
  assert.notEqual(back.childPid, old)
  await start.logs({ process: 'worker-1', msg: 'ready' }, from)
  start.kill('SIGTERM')
  assert.equal((await start.ended()).code, 0)
})

test('starts again after everything was killed at once', async () => {
  const start = await new Start().ready()
  const pids = await Promise.all(
    ['api', 'worker-1', 'worker-2'].map(async (name) => start.logs({ process: name, msg: 'ready' })),
  )
  for (const pid of [start.pid, postmaster(), ...pids.map((line) => line.pid ?? 0)]) {
    process.kill(pid, 'SIGKILL')
  }
  await start.ended()
  const next = await new Start().ready()
  assert.equal(await get('/readyz'), 200)
  next.kill('SIGTERM')
  await next.ended()
})

test('children end with their supervisor, and its successor adopts the database', async () => {
  const start = await new Start().ready()
  const database = postmaster()
  start.kill('SIGKILL')
  // Its output ends when the last child that shares it has gone.
  await start.ended()
  const next = await new Start().ready()
  assert.equal(postmaster(), database)
  next.kill('SIGTERM')
  await next.ended()
})

test('refuses to start beside itself, and leaves the first one alone', async () => {
  const start = await new Start().ready()
  const samePort = await new Start().ended()
  assert.equal(samePort.code, 1)
  assert.match(samePort.output, /port \d+ on 127\.0\.0\.1 is taken/)
  const sameFolder = await new Start({ PORTAGE_PORT: String(await freePort()) }).ended()
  assert.equal(sameFolder.code, 1)
  assert.match(sameFolder.output, new RegExp(`process ${start.pid} is using`))
  assert.equal(await get('/readyz'), 200)
  start.kill('SIGTERM')
  assert.equal((await start.ended()).code, 0)
})

test('prints no token in production', async () => {
  const start = await new Start({ NODE_ENV: 'production', PORTAGE_MASTER_KEYS: `k1:${'A'.repeat(43)}` }).ready()
  start.kill('SIGTERM')
  const { output } = await start.ended()
  assert.doesNotMatch(output, /eyJ|PORTAGE_TOKEN/)
})

test('says what is wrong with the settings and ends', async () => {
  const { code, output } = await new Start({ PORTAGE_PORT: 'x', PORTAGE_CHUNK_ROWS: '1' }).ended()
  assert.equal(code, 1)
  assert.match(output, /PORTAGE_PORT is "x".*\n.*PORTAGE_CHUNK_ROWS is "1"/)
})

test('waits for a database that is away, and can be stopped meanwhile [SU-4]', async () => {
  const start = new Start({ DATABASE_URL: 'postgres://u:canary@127.0.0.1:9/d' })
  await start.logs({ process: 'supervisor', msg: 'the database does not answer; trying again' })
  start.kill('SIGTERM')
  const { code, output } = await start.ended()
  assert.equal(code, 0)
  assert.doesNotMatch(output, /canary/)
})
