import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { migrate } from '../../src/db/migrate.js'
import { API_ROLE, WORKER_ROLE } from '../../src/db/roles.js'
import { installQueue } from '../../src/jobs/job.js'

/** A database of its own for one test file, with the current schema. */
export interface TestDatabase {
  readonly name: string
  /** A superuser: for oracles and for breaking things. Bypasses row-level security. */
  readonly ownerUrl: string
  readonly apiUrl: string
  readonly workerUrl: string
  drop(): Promise<void>
}

/** Roles belong to the cluster, so every test database shares their passwords. */
export const TEST_PASSWORD = 'portage-test'

/** Creates an empty, migrated database in the server that `npm test` started. */
export async function freshDatabase(): Promise<TestDatabase> {
  const server = serverUrl()
  const template = await ensureTemplate(server)
  const name = `t_${randomBytes(6).toString('hex')}`
  await withClient(server, (client) => client.query(`create database ${name} template ${template}`))
  const url = new URL(server)
  url.pathname = `/${name}`
  return {
    name,
    ownerUrl: url.href,
    apiUrl: withUser(url, API_ROLE),
    workerUrl: withUser(url, WORKER_ROLE),
    drop: () =>
      withClient(server, async (client) => void (await client.query(`drop database if exists ${name} with (force)`))),
  }
}

/** A database of its own that stands where an earlier version has left it: at this migration. */
export async function databaseAt(upTo: string): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const server = serverUrl()
  const name = `t_${randomBytes(6).toString('hex')}`
  await withClient(server, (client) => client.query(`create database ${name}`))
  const url = new URL(server)
  url.pathname = `/${name}`
  await migrate({ url: url.href, apiPassword: TEST_PASSWORD, workerPassword: TEST_PASSWORD, upTo })
  await installQueue(url.href)
  return {
    url: url.href,
    drop: () =>
      withClient(server, async (client) => void (await client.query(`drop database if exists ${name} with (force)`))),
  }
}

function withUser(url: URL, user: string): string {
  const copy = new URL(url.href)
  copy.username = user
  copy.password = TEST_PASSWORD
  return copy.href
}

function serverUrl(): string {
  const url = process.env.PORTAGE_TEST_DATABASE_URL
  if (url === undefined) {
    throw new Error(
      'PORTAGE_TEST_DATABASE_URL is not set: run the tests with `npm test`, which starts a PostgreSQL for them',
    )
  }
  return url
}

/** The migrated template that fresh databases are copied from, named by the migrations' content. */
async function ensureTemplate(server: string): Promise<string> {
  const folder = new URL('../../migrations/', import.meta.url)
  const hash = createHash('sha256')
  for (const file of readdirSync(fileURLToPath(folder)).toSorted()) {
    if (file.endsWith('.js')) {
      hash.update(readFileSync(new URL(file, folder)))
    }
  }
  const template = `template_${hash.digest('hex').slice(0, 12)}`
  await withClient(server, async (client) => {
    await client.query('select pg_advisory_lock(20261122)')
    const existing = await client.query('select 1 from pg_database where datname = $1 and datistemplate', [template])
    if (existing.rowCount === 1) {
      return
    }
    await client.query(`drop database if exists ${template}`)
    await client.query(`create database ${template}`)
    const url = new URL(server)
    url.pathname = `/${template}`
    await migrate({ url: url.href, apiPassword: TEST_PASSWORD, workerPassword: TEST_PASSWORD })
    await installQueue(url.href)
    await client.query(`alter database ${template} is_template true`)
  })
  return template
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
