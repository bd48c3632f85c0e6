/** `portage doctor`: whether everything that the service needs is there, one line for each, with what to do where it is not. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { spaceOf } from '../access/space.js'
import { clamdScanner } from '../adapters/antivirus/clamd.js'
import { openFileStore } from '../adapters/files/storage.js'
import { openMailer } from '../adapters/mail/smtp.js'
import { type Config, ConfigError, cliSettings, type Environment, loadConfig } from '../config.js'
import { type Operator, withOperator } from '../db/operator.js'
import { SCHEMA_VERSION } from '../db/schema-version.js'
import { FREE_SPACE_BYTES, FREE_SPACE_FRACTION } from '../limits.js'
import { parse, UsageError } from './arguments.js'
import type { Connect } from './commands.js'
import { neededOwnerUrl } from './connect.js'
import { bytes, clean, counted, type Io } from './io.js'

/** One line of the answer. */
export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'warning' | 'failed'
  readonly message: string
  /** What to do about it; null where all is well. */
  readonly advice: string | null
}

/** A clock that differs by more from that of the database is told. Milliseconds. */
const CLOCK_MS = 5000

/** A run that is due for longer is told. Seconds. */
const QUEUE_SECONDS = 60

/** What does not answer within this is not there. Milliseconds. */
const PATIENCE_MS = 10_000

const MINIMUM_SERVER_VERSION = 180_000

const ok = (check: string, message: string): Finding => ({ check, state: 'ok', message, advice: null })
const warning = (check: string, message: string, advice: string): Finding => ({
  check,
  state: 'warning',
  message,
  advice,
})
const failed = (check: string, message: string, advice: string): Finding => ({
  check,
  state: 'failed',
  message,
  advice,
})

/** `portage doctor`. */
export async function doctor(args: readonly string[], _connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, { json: { type: 'boolean', default: false } })
  if (positionals.length > 0) {
    throw new UsageError('doctor takes no arguments.')
  }
  let wrong = 0
  for await (const finding of examine()) {
    wrong += finding.state === 'failed' ? 1 : 0
    if (values.json) {
      io.out(JSON.stringify(finding))
      continue
    }
    const mark = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' }[finding.state]
    io.out(
      `${mark}  ${finding.check}: ${clean(finding.message)}${finding.advice === null ? '' : ` ${clean(finding.advice)}`}`,
    )
  }
  return wrong === 0 ? 0 : 1
}

/** Looks at one thing after the other. */
export async function* examine(env?: Environment, url = cliSettings(env).url): AsyncGenerator<Finding> {
  let config: Config
  try {
    config = loadConfig(env)
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error
    }
    for (const problem of error.problems) {
      yield failed('settings', problem, 'Correct it, and start the service again.')
    }
    return
  }
  yield config.unknownSettings.length > 0
    ? warning(
        'settings',
        `there is no setting called ${config.unknownSettings.join(', ')}.`,
        'See the table of settings in the README for how it is spelled.',
      )
    : ok('settings', `read; data is in ${config.dataDir}`)
  yield* database(config)
  yield await store(config)
  yield await disk(config)
  yield await mail(config)
  yield await scanner(config)
  yield await api(url)
}

async function* database(config: Config): AsyncGenerator<Finding> {
  const findings: Finding[] = []
  try {
    await withOperator(neededOwnerUrl(config), async (operator) => {
      findings.push(await version(operator))
      const tables = await schema(operator)
      findings.push(tables, await roles(operator))
      if (tables.state === 'failed') {
        // What would be looked at next may not be there yet.
        return
      }
      findings.push(await policies(operator))
      findings.push(await clock(operator))
      findings.push(...(await queue(operator)))
    })
  } catch (error) {
    yield* findings
    yield failed(
      'database',
      `does not answer or does not let us in (${reason(error)}).`,
      'See that it runs, that DATABASE_URL is right and that its user may create roles; `npm start` brings a database of its own.',
    )
    return
  }
  yield* findings
}

async function version(operator: Operator): Promise<Finding> {
  const [row] = await operator.query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  )
  const found = row?.version ?? 0
  const text = `PostgreSQL ${Math.floor(found / 10_000)}.${found % 10_000}`
  return found < MINIMUM_SERVER_VERSION
    ? failed('database', `is ${text}.`, 'Portage needs PostgreSQL 18 or newer.')
    : ok('database', text)
}

async function schema(operator: Operator): Promise<Finding> {
  const [there] = await operator.query<{ found: boolean }>(
    "select to_regclass('portage.migration') is not null as found",
  )
  const [row] =
    there?.found === true
      ? await operator.query<{ name: string }>('select name from migration order by name collate "C" desc limit 1')
      : []
  const found = row?.name ?? ''
  if (found === SCHEMA_VERSION) {
    return ok('schema', found)
  }
  return found > SCHEMA_VERSION
    ? warning('schema', `is that of a newer version (${found}).`, 'Finish the deploy: bring this machine up to date.')
    : failed(
        'schema',
        `is that of an older version (${found === '' ? 'none' : found}).`,
        'Run `node dist/src/main.js bootstrap`.',
      )
}

async function roles(operator: Operator): Promise<Finding> {
  const rows = await operator.query<{ name: string; wrong: string | null }>(
    `select r.rolname as name, case when r.rolsuper then 'is a superuser' when r.rolbypassrls then 'bypasses row-level security'
        when exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'portage' and c.relowner = r.oid)
          then 'owns tables'
        when exists (select from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid and (g.rolsuper or g.rolbypassrls or g.rolname = 'portage_owner'))
          then 'is a member of a role that may do more' end as wrong
     from pg_roles r where r.rolname in ('portage_api', 'portage_worker')`,
  )
  const wrong = rows.filter((row) => row.wrong !== null)
  if (rows.length < 2) {
    return failed('roles', 'of the service are missing.', 'Run `node dist/src/main.js bootstrap`.')
  }
  return wrong.length > 0
    ? failed(
        'roles',
        `${wrong.map(({ name, wrong: why }) => `${name} ${why}`).join(', ')}: tenants are not kept apart.`,
        'Take it away (ALTER ROLE ... NOSUPERUSER NOBYPASSRLS, REVOKE, REASSIGN OWNED) at once.',
      )
    : ok('roles', 'cannot pass by row-level security')
}

async function policies(operator: Operator): Promise<Finding> {
  const rows = await operator.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'portage' and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
       and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') and c.relname <> 'run_wakeup'`,
  )
  return rows.length > 0
    ? failed(
        'policies',
        `row-level security is not forced on ${rows.map(({ name }) => name).join(', ')}.`,
        'ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, and find out who changed it.',
      )
    : ok('policies', 'row-level security is forced on every table of tenants')
}

async function clock(operator: Operator): Promise<Finding> {
  const before = Date.now()
  const [row] = await operator.query<{ now: number }>(
    'select extract(epoch from clock_timestamp())::float8 * 1000 as now',
  )
  const off = Math.round((row?.now ?? before) - (before + Date.now()) / 2)
  return Math.abs(off) > CLOCK_MS
    ? warning(
        'clock',
        `of this machine is ${Math.abs(Math.round(off / 1000))} s ${off > 0 ? 'behind' : 'ahead of'} that of the database.`,
        'Leases, order and expiry go by the database; log times do not. Set up NTP.',
      )
    : ok('clock', `within ${CLOCK_MS / 1000} s of that of the database`)
}

async function queue(operator: Operator): Promise<Finding[]> {
  // 7270432: the locks by which workers show that they live.
  const [workers] = await operator.query<{ count: number }>(
    `select count(*)::int as count from pg_locks where locktype = 'advisory' and classid = 7270432 and objsubid = 2 and granted
       and database = (select oid from pg_database where datname = current_database())`,
  )
  const [waiting] = await operator.query<{ count: number; seconds: number }>(
    `select count(*)::int as count, coalesce(extract(epoch from clock_timestamp() - min(due_at)), 0)::float8 as seconds from run_wakeup
     where due_at <= clock_timestamp() and (holder is null or lease_until < clock_timestamp())`,
  )
  const living = workers?.count ?? 0
  const { count, seconds } = waiting ?? { count: 0, seconds: 0 }
  return [
    living === 0
      ? failed('workers', 'none lives.', 'Start one: `npm start`, or PORTAGE_ROLE=worker.')
      : ok('workers', `${living} at work`),
    seconds > QUEUE_SECONDS
      ? warning(
          'queue',
          `${counted(count, 'run')} due, the oldest for ${Math.round(seconds)} s.`,
          'Start more workers, or raise PORTAGE_CONCURRENT_RUNS; see the log for what they do.',
        )
      : ok(
          'queue',
          count === 0 ? 'nothing waits' : `${counted(count, 'run')} due, the oldest for ${Math.round(seconds)} s`,
        ),
  ]
}

async function store(config: Config): Promise<Finding> {
  const where = config.store.s3 !== null ? 'the bucket' : 'the data folder'
  try {
    const files = await openFileStore(config.store, join(config.dataDir, 'files'))
    const content = Buffer.from(`portage doctor ${randomUUID()}`)
    const stored = await files.put(randomUUID(), Readable.from([content]), { maxBytes: content.length })
    try {
      const found = await buffer(files.read(stored.key, { start: 0, end: content.length }))
      if (!found.equals(content)) {
        return failed('store', 'gave back other bytes than it was given.', `Look at what is between us and ${where}.`)
      }
    } finally {
      await files.delete(stored.key)
    }
    return ok('store', `written, read and deleted in ${where}`)
  } catch (error) {
    return failed(
      'store',
      `cannot be written and read (${reason(error)}).`,
      `See that ${where} is there and that this user, or these credentials, may write to it.`,
    )
  }
}

async function disk(config: Config): Promise<Finding> {
  const space = await spaceOf(config.dataDir)()
  if (space === null) {
    return warning('disk', 'of the data folder cannot be looked at.', `See that ${config.dataDir} is there.`)
  }
  const kept = Math.min(space.total * FREE_SPACE_FRACTION, FREE_SPACE_BYTES)
  const text = `${bytes(space.free)} free of ${bytes(space.total)}`
  if (space.free < kept) {
    return failed('disk', `${text}: nothing new is taken.`, `Make room: at least ${bytes(kept)}.`)
  }
  return space.free < 2 * kept
    ? warning('disk', `${text}.`, `With less than ${bytes(kept)} nothing new is taken.`)
    : ok('disk', text)
}

async function mail(config: Config): Promise<Finding> {
  if (config.mail === null) {
    return ok('mail', 'not set up: no e-mails are sent')
  }
  const mailer = openMailer(config.mail)
  try {
    return (await mailer.check())
      ? ok('mail', 'the server answers and takes the sign-in')
      : failed(
          'mail',
          'the server does not answer, or not to this sign-in.',
          'See PORTAGE_SMTP_URL, and whether its port can be reached.',
        )
  } finally {
    mailer.close()
  }
}

async function scanner(config: Config): Promise<Finding> {
  if (config.clamd === null) {
    return ok('scanner', 'not set up: files are not looked at for viruses')
  }
  const verdict = await clamdScanner(config.clamd)
    .scan(() => Readable.from([Buffer.from('portage doctor')]))
    .catch(() => null)
  return verdict?.kind === 'clean'
    ? ok('scanner', 'answers')
    : failed('scanner', 'does not answer: no upload is taken.', 'Start clamd, or see PORTAGE_CLAMD.')
}

async function api(url: string): Promise<Finding> {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(PATIENCE_MS) })
    await answer.arrayBuffer()
    return answer.status === 200
      ? ok('api', `ready at ${url}`)
      : failed(
          'api',
          `at ${url} is not ready (${answer.status}).`,
          'Its log says why; most often the database or its schema.',
        )
  } catch (error) {
    return failed(
      'api',
      `does not answer at ${url} (${reason(error)}).`,
      'Start it, or say where it is with PORTAGE_URL.',
    )
  }
}

/** What an error may be called in a line for people. */
function reason(error: unknown): string {
  const { code, cause, name } = error as { readonly code?: unknown; readonly cause?: unknown; readonly name?: string }
  const inner = (cause as { readonly code?: unknown } | undefined)?.code
  return [code, inner].find((text) => typeof text === 'string')?.toString() ?? name ?? 'unknown'
}
