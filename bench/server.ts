/** The database server of a benchmark: the one that `npm start` would start, with the same settings, in a folder of its own. */
import { existsSync, rmSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { type EmbeddedServer, startEmbedded } from '../src/db/embedded.js'
import { createLog } from '../src/log.js'

/** Generated files are kept here for the next time; everything else goes when the benchmark ends. */
export const FOLDER = resolve('.portage', 'bench')

export interface BenchServer extends AsyncDisposable {
  readonly postmaster: number
  /** A folder of this benchmark alone, removed at its end. */
  readonly folder: string
  /** Creates an empty database and answers the superuser's connection string. */
  createDatabase(): Promise<string>
  dropDatabase(url: string): Promise<void>
  /** Writes out what earlier work has left to be written, so that nobody pays for somebody else. */
  settle(): Promise<void>
}

/** Starts an empty server. `settings` come over those of `npm start`. */
export async function startServer(settings: Readonly<Record<string, string>> = {}): Promise<BenchServer> {
  const folder = join(FOLDER, `run-${process.pid}`)
  await mkdir(folder, { recursive: true })
  await removeLeftovers()
  const server: EmbeddedServer = await startEmbedded({
    dataDir: join(folder, 'server'),
    log: createLog({ level: 'warn', process: 'bench' }),
    settings,
  })
  let databases = 0
  // The server would outlive a benchmark that breaks off.
  const breakOff = () => {
    process.kill(server.pid, 'SIGQUIT')
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', breakOff)
  return {
    postmaster: server.pid,
    folder,
    createDatabase: async () => {
      databases += 1
      const name = `bench_${databases}`
      await withClient(server.url, (client) => client.query(`create database ${name}`))
      const url = new URL(server.url)
      url.pathname = `/${name}`
      return url.href
    },
    dropDatabase: async (url) => {
      const name = new URL(url).pathname.slice(1)
      await withClient(server.url, (client) => client.query(`drop database if exists ${name} with (force)`))
    },
    settle: async () => {
      await withClient(server.url, (client) => client.query('checkpoint'))
    },
    [Symbol.asyncDispose]: async () => {
      process.off('exit', breakOff)
      await server.stop()
      await rm(server.dataDir, { recursive: true, force: true })
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Folders of benchmarks that broke off. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(FOLDER)) {
    const pid = /^run-(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      await rm(join(FOLDER, name), { recursive: true, force: true })
    }
  }
}

/** Runs `work` with a superuser's connection whose search path is ours. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, options: '-c search_path=portage,public -c timezone=UTC' })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
