/** `portage`, the command line: a plain client of the public API, except for tenants and tokens. */
import { ConfigError } from '../config.js'
import { FatalError, Refusal, RetryableError } from '../errors.js'
import { ApiError } from './api.js'
import { UsageError } from './arguments.js'
import { audit } from './audit.js'
import { bundle } from './bundle.js'
import { type Connect, rollback, runs, tenant, token, watch } from './commands.js'
import { connectApi } from './connect.js'
import { doctor } from './doctor.js'
import { download, exportRecords, templates } from './export.js'
import { help, isCommand } from './help.js'
import { importFile } from './import.js'
import { inspect } from './inspect.js'
import type { Io } from './io.js'
import { migrate } from './migrate.js'
import { confirm, Interrupted, plan } from './plan.js'
import { webhook } from './webhook.js'

const commands: Readonly<Record<string, (args: readonly string[], connect: Connect, io: Io) => Promise<number>>> = {
  audit,
  bundle,
  confirm,
  doctor,
  download,
  export: exportRecords,
  import: importFile,
  inspect,
  migrate,
  plan,
  rollback,
  runs,
  templates,
  tenant,
  token,
  watch,
  webhook,
}

const FAILED = 1
const INTERRUPTED = 130

/** Runs one command line and answers its exit code. */
export async function portage(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args
  const asksHelp = args.includes('--help') || args.includes('-h') || name === 'help'
  if (name === undefined || asksHelp) {
    const about = name === 'help' ? rest[0] : name
    io.out(help(about ?? null))
    return name === undefined ? FAILED : 0
  }
  const command = isCommand(name) ? commands[name] : undefined
  if (command === undefined) {
    io.note(`There is no command "${name}".\n\n${help(null)}`)
    return FAILED
  }
  const json = rest.includes('--json')
  try {
    return await command(rest, (values) => connectApi(values, io), io)
  } catch (error) {
    io.status('')
    if (io.signal.aborted) {
      io.note(
        error instanceof Interrupted
          ? error.message
          : 'Interrupted. A run that was started goes on; `npm run -s portage -- runs` shows it.',
      )
      return INTERRUPTED
    }
    const { code, message } = explain(error, name)
    if (json) {
      io.out(JSON.stringify({ event: 'error', code, message }))
    } else {
      io.note(message)
    }
    return FAILED
  }
}

function explain(error: unknown, command: string): { code: string; message: string } {
  if (error instanceof UsageError) {
    return { code: 'USAGE', message: `${error.message}\n\nnpm run -s portage -- ${command} --help tells more.` }
  }
  if (
    error instanceof ApiError ||
    error instanceof Refusal ||
    error instanceof FatalError ||
    error instanceof RetryableError
  ) {
    return { code: error.code, message: error.message }
  }
  if (error instanceof ConfigError) {
    return { code: 'SETTINGS', message: error.message }
  }
  const { code } = error as { code?: unknown }
  if (code === 'ECONNREFUSED') {
    return { code: 'NO_DATABASE', message: 'The database does not answer. Start Portage with `npm start`.' }
  }
  const message = error instanceof Error && error.message !== '' ? error.message : String(code ?? error)
  return { code: 'FAULT', message: `Something is wrong in portage itself or in the database: ${message}` }
}
