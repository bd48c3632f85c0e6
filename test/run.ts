/**
 * `npm test`: one PostgreSQL for all test files, then Node's test runner. Arguments are parts of file names:
 * `npm test -- tokens config`; `--name=PATTERN` picks tests by name. The server's folder is kept, so that the next run
 * finds the migrated template; the databases of the tests are dropped when all of them passed, and kept to look at otherwise.
 */
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import pg from 'pg'
import { type EmbeddedServer, startEmbedded } from '../src/db/embedded.js'
import { createLog } from '../src/log.js'

const DATA_DIR = '.portage-test'

/** Test files at the same time: the machine has two cores, and the database wants one of them. */
const CONCURRENCY = 2

/** One test file at most; the stories among them import files. */
const TIMEOUT_MS = 300_000

const folder = import.meta.dirname

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const names = args.filter((arg) => arg.startsWith('--name=')).map((arg) => new RegExp(arg.slice('--name='.length)))
  const parts = args.filter((arg) => !arg.startsWith('--'))
  const files = testFiles().filter(
    (file) => parts.length === 0 || parts.some((part) => relative(folder, file).includes(part)),
  )
  if (files.length === 0) {
    console.error(`no test file is named like ${parts.join(' or ')}`)
    return 1
  }
  const log = createLog({ level: 'warn', process: 'test' })
  const server = await startEmbedded({ dataDir: DATA_DIR, log, durable: false, settings: { shared_buffers: '256MB' } })
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => interrupted.abort())
  }
  try {
    await dropLeftovers(server)
    process.env.PORTAGE_TEST_DATABASE_URL = server.url
    const passed = await runTests(files, names, interrupted.signal)
    if (passed) {
      await dropLeftovers(server)
    }
    return passed ? 0 : 1
  } finally {
    await server.stop()
  }
}

function testFiles(): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.js') && !path.startsWith('chaos'))
    .toSorted()
    .map((path) => join(folder, path))
}

/** True when at least one test ran and none failed. */
async function runTests(files: string[], testNamePatterns: RegExp[], signal: AbortSignal): Promise<boolean> {
  const stream = run({
    files,
    concurrency: CONCURRENCY,
    timeout: TIMEOUT_MS,
    signal,
    execArgv: ['--enable-source-maps'],
    ...(testNamePatterns.length > 0 ? { testNamePatterns } : {}),
  })
  let success = false
  let executed = 0
  // A file without a test that ran is reported as a test itself, which proves nothing.
  const count = ({ name }: { readonly name: string }) => (executed += files.includes(name) ? 0 : 1)
  stream.on('test:pass', count).on('test:fail', count)
  stream.on('test:summary', (summary) => {
    // Each file has a summary of its own; the one without a file is that of the whole run.
    if (summary.file === undefined) {
      success = summary.success
    }
  })
  const reporter = stream.compose(new spec())
  for await (const text of reporter) {
    process.stdout.write(String(text))
  }
  if (executed === 0) {
    console.error('no test ran')
  }
  return success && executed > 0 && !signal.aborted
}

/** Databases of earlier runs, or of this one. The template stays. */
async function dropLeftovers(server: EmbeddedServer): Promise<void> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  try {
    const { rows } = await client.query<{ datname: string }>(
      "select datname from pg_database where datname like 't\\_%' and not datistemplate",
    )
    for (const { datname } of rows) {
      await client.query(`drop database if exists ${pg.escapeIdentifier(datname)} with (force)`)
    }
  } finally {
    await client.end()
  }
}

process.exit(await main())
