/** `portage bundle export` and `portage bundle import`. */
import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { readFile, rename, rm, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Api, ApiError, throwUserErrors, type UserError } from './api.js'
import { choice, only, parse, sizeOf, UsageError } from './arguments.js'
import type { Connect } from './commands.js'
import { bytes, clean, counted, type Io } from './io.js'
import { followToRest, watchRun } from './watch.js'

const exportMutation = `mutation BundleExport($input: BundleExportInput!) { bundleExport(input: $input) {
  bundleRun { id } userErrors { code message } } }`

const importMutation = `mutation BundleImport($input: BundleImportInput!) { bundleImport(input: $input) {
  bundleRun { id } userErrors { code message } } }`

const fileQuery = `query Bundle($id: ID!) { run(id: $id) { status statusReason { message } files { kind name byteSize rowCount sha256 url } } }`

interface Started {
  readonly bundleRun: { readonly id: string } | null
  readonly userErrors: readonly UserError[]
}

interface BundleFile {
  readonly kind: string
  readonly name: string
  readonly byteSize: number
  readonly rowCount: number
  readonly sha256: string
  readonly url: string
}

/** Runs the command; answers its exit code. */
export async function bundle(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    output: { type: 'string', short: 'o' },
    'passphrase-file': { type: 'string' },
    consent: { type: 'string' },
    confirmation: { type: 'string' },
    'on-duplicate': { type: 'string' },
    json: { type: 'boolean', default: false },
    url: { type: 'string' },
    token: { type: 'string' },
  })
  const [action, ...rest] = positionals
  const passphrase = await readPassphrase(values['passphrase-file'])
  if (action === 'export' && rest.length === 0) {
    if (values.output === undefined) {
      throw new UsageError('bundle export needs -o FILE: where the bundle is to be written.')
    }
    return exportTo(connect(values), { path: values.output, passphrase, json: values.json }, io)
  }
  if (action === 'import') {
    const path = only(rest, 'FILE')
    const size = await sizeOf(path)
    const onDuplicate = choice('--on-duplicate', values['on-duplicate'], [
      'UPDATE',
      'FILL_BLANKS',
      'SKIP',
      'CREATE',
      'FAIL',
    ])
    const confirmation = choice('--confirmation', values.confirmation, ['ASK', 'IF_NO_ERRORS', 'ALWAYS'])
    const input = {
      idempotencyKey: randomUUID(),
      ...(passphrase === null ? {} : { passphrase }),
      ...(values.consent === undefined ? {} : { consentToken: values.consent }),
      ...(onDuplicate === undefined ? {} : { options: { onDuplicate } }),
      ...(confirmation === undefined ? {} : { confirmation }),
    }
    const api = connect(values)
    const { bundleImport } = await api.upload<{ bundleImport: Started }>(importMutation, input, {
      path,
      name: basename(path),
      byteSize: size,
      onProgress: (sent) => io.status(`${bytes(sent)} of ${bytes(size)}`),
    })
    io.status('')
    throwUserErrors(bundleImport.userErrors)
    const runId = bundleImport.bundleRun?.id ?? ''
    tellStart(runId, values.json, io)
    return watchRun(api, runId, io, values.json)
  }
  throw new UsageError('bundle needs to know what to do: export -o FILE, or import FILE.')
}

/** Writes a bundle and brings it to a file of this machine, whole or not at all. */
export async function exportTo(
  api: Api,
  to: { readonly path: string; readonly passphrase: string | null; readonly json: boolean },
  io: Io,
): Promise<number> {
  const input = { idempotencyKey: randomUUID(), ...(to.passphrase === null ? {} : { passphrase: to.passphrase }) }
  const { bundleExport } = await api.run<{ bundleExport: Started }>(exportMutation, { input })
  throwUserErrors(bundleExport.userErrors)
  const id = bundleExport.bundleRun?.id ?? ''
  tellStart(id, to.json, io)
  await followToRest(api, id, io, to.json, null)
  interface Answer {
    readonly run: {
      readonly status: string
      readonly statusReason: { readonly message: string } | null
      readonly files: readonly BundleFile[]
    }
  }
  const { run } = await api.run<Answer>(fileQuery, { id })
  const file = run.files.find(({ kind }) => kind === 'BUNDLE')
  if (run.status !== 'COMPLETED' || file === undefined) {
    throw new ApiError(run.status, run.statusReason?.message ?? `The bundle was not written: the run is ${run.status}.`)
  }
  const draft = `${to.path}.${randomUUID()}.part`
  try {
    const response = await fetch(file.url, { signal: io.signal })
    if (!response.ok || response.body === null) {
      throw new ApiError('DOWNLOAD_FAILED', `The bundle could not be downloaded: HTTP ${response.status}.`)
    }
    await pipeline(Readable.fromWeb(response.body), createWriteStream(draft, { mode: 0o600 }))
    const { size } = await stat(draft)
    if (size !== file.byteSize) {
      throw new ApiError('DOWNLOAD_FAILED', 'The bundle broke off while it was downloaded. Try again.')
    }
    await rename(draft, to.path)
  } finally {
    await rm(draft, { force: true })
  }
  io.out(
    to.json
      ? JSON.stringify({
          event: 'bundle',
          path: to.path,
          byteSize: file.byteSize,
          records: file.rowCount,
          sha256: file.sha256,
        })
      : `Wrote ${clean(to.path)}: ${counted(file.rowCount, 'record')}, ${bytes(file.byteSize)}, SHA-256 ${file.sha256}`,
  )
  return 0
}

/** The passphrase in a file, without the line end behind it; null without a file. Never an argument: others could read those. */
export async function readPassphrase(path: string | undefined): Promise<string | null> {
  return path === undefined ? null : (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
}

function tellStart(runId: string, json: boolean, io: Io): void {
  if (json) {
    io.out(JSON.stringify({ event: 'started', runId }))
  } else {
    io.note(`Started ${runId}`)
  }
}
