import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

/*
 * What a newcomer does: start everything as `npm start` does, run the scripts of examples/ and the command line with
 * what the start printed.
 */

const compiled = fileURLToPath(new URL('../../', import.meta.url))
const root = dirname(fileURLToPath(new URL('../..', import.meta.url)))

interface Finished {
  readonly code: number
  readonly out: string
  readonly err: string
}

describe('the examples and the command line', { timeout: 240_000 }, () => {
  let folder: string
  let service: ChildProcess
  let environment: Record<string, string>

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'portage-examples-'))
    // The database of a test that root runs has a user of its own, who must be able to pass.
    await chmod(folder, 0o711)
    const port = await freePort()
    // No PORTAGE_ or DATABASE_ setting of whoever runs the tests.
    const path = `${dirname(process.execPath)}:${process.env.PATH ?? ''}`
    const settings = { PATH: path, PORTAGE_DATA_DIR: join(folder, 'data'), PORTAGE_PORT: String(port) }
    service = spawn(process.execPath, ['--enable-source-maps', join(compiled, 'src', 'main.js')], {
      cwd: root,
      env: settings,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const token = await greeting(service)
    environment = { ...settings, PORTAGE_URL: `http://127.0.0.1:${port}`, PORTAGE_TOKEN: token }
  })

  after(async () => {
    if (service.exitCode === null) {
      service.kill('SIGTERM')
      await once(service, 'close')
    }
    await rm(folder, { recursive: true, force: true })
  })

  /** Runs a program in the project's folder and waits for its end. */
  function run(command: string, args: readonly string[], over: Record<string, string> = {}): Promise<Finished> {
    return new Promise((resolve) => {
      const env = { ...environment, ...over }
      execFile(command, [...args], { cwd: root, env, timeout: 120_000 }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err })
      })
    })
  }

  function portage(args: readonly string[], over: Record<string, string> = {}): Promise<Finished> {
    return run(process.execPath, ['--enable-source-maps', join(compiled, 'src', 'cli', 'main.js'), ...args], over)
  }

  test('import.sh imports with curl, and a second run with the same key imports nothing again', async () => {
    const key = { IDEMPOTENCY_KEY: 'examples-test' }
    const first = await run('bash', ['examples/import.sh', 'examples/contacts.csv', 'CONTACT'], key)
    assert.equal(first.code, 2, first.err)
    assert.match(first.out, /^COMPLETED_WITH_ERRORS, 287 rows read$/m)
    assert.match(first.out, /^Counts: {"total":287,"created":275,"updated":7,"unchanged":0,"skipped":0,"failed":5}$/m)
    assert.match(first.out, /_portage_row,_portage_errors/)
    const again = await run('bash', ['examples/import.sh', 'examples/contacts.csv', 'CONTACT'], key)
    assert.equal(/^Started (\S+)$/m.exec(again.out)?.[1], /^Started (\S+)$/m.exec(first.out)?.[1])
  })

  test('import.ts watches live and reads every issue', async () => {
    const { code, out, err } = await run(process.execPath, ['examples/import.ts', 'examples/contacts.csv', 'CONTACT'])
    assert.equal(code, 2, err)
    const settled = [...out.matchAll(/^Rows (\d+) to (\d+) are settled/gm)].map(([, from, to]) => [
      Number(from),
      Number(to),
    ])
    assert.equal(
      settled.reduce((rows, [from = 0, to = 0]) => rows + to - from + 1, 0),
      287,
    )
    assert.match(out, /^Status: COMPLETED_WITH_ERRORS$/m)
    assert.equal([...out.matchAll(/^ {2}row \d+, column Email: .*\(INVALID_EMAIL\)/gm)].length, 5)
  })

  test('export.sh exports with curl and checks what came', async () => {
    const path = join(folder, 'exported.csv')
    const { code, out, err } = await run('bash', ['examples/export.sh', 'CONTACT', path])
    assert.equal(code, 0, err)
    const rows = Number(/exported\.csv: (\d+) rows as of \d{4}-/.exec(out)?.[1])
    assert.ok(rows > 200, out)
    assert.match(await readFile(path, 'utf8'), /^id,/)
    // What was exported imports again, and nothing is new in it.
    const again = await portage(['import', path, '--type', 'contact', '--yes'])
    assert.equal(again.code, 0, again.out + again.err)
    assert.match(again.out, new RegExp(`^  unchanged +${rows}$`, 'm'))
  })

  test('the scripts say what is wrong when the token is', async () => {
    for (const [command, script] of [
      ['bash', 'examples/export.sh'],
      ['bash', 'examples/import.sh'],
      [process.execPath, 'examples/import.ts'],
    ] as const) {
      const { code, err } = await run(command, [script], { PORTAGE_TOKEN: 'wrong' })
      assert.equal(code, 1)
      assert.match(err, /Sign in first/)
    }
  })

  test('the command line imports, lists, watches and undoes', async () => {
    const imported = await portage(['import', 'examples/properties.csv', '--type', 'property', '--yes'])
    assert.equal(imported.code, 0, imported.err)
    assert.match(imported.out, /^Import of properties\.csv: completed in /)
    const runId = /^Run (\S+)$/m.exec(imported.out)?.[1] ?? ''
    const listed = await portage(['runs', '--json', '--first', '1'])
    assert.equal((JSON.parse(listed.out) as { id: string }).id, runId)
    const undone = await portage(['rollback', runId])
    assert.equal(undone.code, 0, undone.err)
    assert.match(undone.out, /^Rollback \S+: completed in /)
    const watched = await portage(['watch', runId])
    assert.equal(watched.code, 0)
    assert.match(watched.out, /^Import of properties\.csv: rolled back in /)
    const twice = await portage(['rollback', runId])
    assert.deepEqual([twice.code, twice.out], [1, ''])
  })

  test('the command line exports what it imported, and downloads it again', async () => {
    const path = join(folder, 'people.csv')
    const asked = ['--filter', 'email!=', '--columns', 'email,Family name=lastName', '--order', 'email']
    const exported = await portage(['export', 'contact', '-o', path, ...asked])
    assert.equal(exported.code, 0, exported.err)
    assert.match(exported.out, /people\.csv: \d+ rows, .*SHA-256 [0-9a-f]{64}$/m)
    assert.match(await readFile(path, 'utf8'), /^email,Family name\r\n\S+@/)
    const [run] = (await portage(['runs', '--json', '--first', '1'])).out.trim().split('\n')
    const { id } = JSON.parse(run ?? '') as { id: string }
    const again = join(folder, 'again.csv')
    assert.equal((await portage(['download', id, '-o', again])).code, 0)
    assert.equal(await readFile(again, 'utf8'), await readFile(path, 'utf8'))
  })

  test('a file with dates that can be read in two ways waits, and --format decides', async () => {
    const file = join(folder, 'ambiguous.csv')
    await writeFile(
      file,
      'Last Name,Email,Date of Birth\nLee,lee@example.com,03/04/1980\nLi,li@example.com,05/06/1981\n',
    )
    const waiting = await portage(['import', file, '--type', 'contact', '--yes'])
    assert.equal(waiting.code, 1)
    assert.match(waiting.out, /--format "Date of Birth=dd\/MM\/yyyy"/)
    const decided = await portage([
      'import',
      file,
      '--type',
      'contact',
      '--yes',
      '--format',
      'Date of Birth=dd/MM/yyyy',
    ])
    assert.equal(decided.code, 0, decided.err)
  })

  test('a tenant and a token of its own see nothing of others, and without a token the tenant demo is meant', async () => {
    const created = await portage(['tenant', 'create', 'Agency two', '--json'])
    assert.equal(created.code, 0, created.err)
    const { id } = JSON.parse(created.out) as { id: string }
    assert.match((await portage(['tenant', 'list'])).out, new RegExp(`^Agency two +${id}$`, 'm'))
    const again = await portage(['tenant', 'create', 'Agency two'])
    assert.deepEqual([again.code, again.err], [1, 'There is a tenant "Agency two" already.\n'])
    const token = await portage([
      'token',
      '--tenant',
      'Agency two',
      '--actor',
      'ada@example.com',
      '--permissions',
      'RECORD_READ,IMPORT_RUN',
      '--expires',
      '5m',
    ])
    assert.match(token.out, /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    const theirs = await portage(['runs'], { PORTAGE_TOKEN: token.out.trim() })
    assert.deepEqual([theirs.code, theirs.out, theirs.err], [0, '', 'No runs.\n'])
    const own = await portage(['runs', '--json'], { PORTAGE_TOKEN: '' })
    assert.equal(own.code, 0, own.err)
    assert.ok(own.out.split('\n').length > 3)
  })
})

/** The token that the start prints; throws if the process ends instead. */
async function greeting(process: ChildProcess): Promise<string> {
  assert.ok(process.stdout)
  const lines = createInterface({ input: process.stdout })
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const [, token] = /^\s*export PORTAGE_TOKEN=(\S+)$/.exec(line) ?? []
      if (token !== undefined) {
        resolve(token)
      }
    })
    process.once('exit', (code) => reject(new Error(`the service ended with ${code} before it was ready`)))
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}
