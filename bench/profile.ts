/**
 * Where the time of an import goes, by the engine alone: stages, statements, and what each costs.
 * For a profile of the code run it as `node --cpu-prof --cpu-prof-dir=DIR dist/bench/main.js profile`: the longest file
 * in DIR is this process, each of the others one reading thread. Open them in Chrome's developer tools. For plans, say
 * `--set session_preload_libraries=auto_explain --set auto_explain.log_min_duration=0 --set auto_explain.log_analyze=on
 * --keep-log FILE`.
 */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { contactFile, type Flaw, refuseFlawed } from './contacts.js'
import { openEngine, StatementTimes } from './engine.js'
import { printTable } from './report.js'
import { FOLDER, startServer, withClient } from './server.js'

/** Statements that are listed; the others take next to nothing. */
const LISTED = 30

export interface ProfileOptions {
  readonly rows: number
  readonly flaw: Flaw
  readonly chunksInFlight: number
  /** Server settings besides, e.g. of auto_explain. */
  readonly settings: Readonly<Record<string, string>>
  /** Where the server's log is copied to; null for nowhere. */
  readonly keepLog: string | null
}

/** Imports a file twice, the second time with nothing to change, and prints the times of both. */
export async function profile(options: ProfileOptions): Promise<void> {
  const file = await contactFile(FOLDER, options.rows, options.flaw)
  await using server = await startServer(options.settings)
  await using engine = await openEngine(server, options.chunksInFlight)
  await withClient(engine.ownerUrl, refuseFlawed)
  const tenant = await engine.tenant()
  const times = new StatementTimes()
  for (const what of ['first import', 'again']) {
    await server.settle()
    times.clear()
    const { ms, cpu, stages, chunks, counts, status } = await engine.import(tenant, file)
    console.log(
      `${what}: ${options.rows} rows, ${options.chunksInFlight} in flight, ${status} ${JSON.stringify(counts)}`,
    )
    console.log(
      `${(ms / 1000).toFixed(2)} s; CPU ${cpu.backends.toFixed(2)} s of backends, ${cpu.background.toFixed(2)} s of the ` +
        `server besides, ${cpu.ours.toFixed(2)} s of ours; ${chunks} chunks; ${JSON.stringify(stages)}\n`,
    )
    printTable([['statement', 'count', 'ms', 'each'], ...times.rows().slice(0, LISTED)])
  }
  if (options.keepLog !== null) {
    await copyFile(join(server.folder, 'server', 'postgres.log'), options.keepLog)
  }
}
