/**
 * Reads hostile files in a child process that can do nothing but compute: it opens no file (bytes of the one that it reads
 * come by request over a pipe, wherever the store keeps them), writes none, starts no process or thread, has an empty
 * environment and no network. What it may use of memory, time and output is enforced from here.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readFileSync, realpathSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { dirname, join } from 'node:path'
import type { Duplex, Readable, Writable } from 'node:stream'
import { FatalError, Refusal, type RefusalCode, RetryableError } from '../../errors.js'
import {
  SANDBOX_CHILDREN_MAX,
  SANDBOX_HEAP_MIB,
  SANDBOX_MEMORY_BYTES_MAX,
  SANDBOX_MESSAGE_BYTES_MAX,
  SANDBOX_OUTPUT_BYTES_MAX,
  SANDBOX_SEMI_SPACE_MIB,
  SANDBOX_SILENCE_MS_MAX,
  SANDBOX_STALL_LONGEST_MS_MAX,
  SANDBOX_STALL_MS_MAX,
  SANDBOX_STALL_MS_PER_MIB,
} from '../../limits.js'
import type { ByteReader, OpenBytes } from './bytes.js'
import type { Detection } from './detection.js'
import {
  BYTES_FD,
  MESSAGES_FD,
  READ_BYTES_MAX,
  REQUEST_BYTES,
  ROWS_FD,
  type RowsEnd,
  type SandboxJob,
  type SandboxMessage,
} from './sandbox-messages.js'

/** For tests; the defaults are those of limits.ts. */
export interface SandboxOptions {
  readonly signal?: AbortSignal
  /** Told how much of the file has been asked for, in bytes: for progress, a few times a second. */
  readonly onRead?: (bytes: number) => void
  readonly memoryBytesMax?: number
  readonly stallMsMax?: number
  readonly outputBytesMax?: number
  /** Module that runs in the child instead of the one that reads files. */
  readonly entry?: string
}

/** How often memory and time of a child are looked at. Milliseconds. */
const WATCH_MS = 40

/** Kept of what a child wrote to its standard error, for the cause of an error. Characters. */
const COMPLAINT_LENGTH = 2_000

/** A child that asks for the same bytes over and over is stopped: so many times the file, and so many bytes more. */
const REREAD_TIMES = 24
const REREAD_BYTES = 256 * 1024 * 1024

/** So many requests of a child wait for their answers before no more are taken; a reader asks one at a time. */
const REQUESTS_QUEUED_MAX = 16

/** Packages that the parsers in the child are made of; it may read their code and no other. */
const PACKAGES = ['@e965/xlsx', 'xlsx', 'yauzl', 'buffer-crc32', 'pend', 'iconv-lite', 'safer-buffer', 'chardetng-wasm']

/** Looks at a file in the sandbox. Throws `Refusal` for what the file is or does, `RetryableError` for what the machine does. */
export async function inspectInSandbox(
  open: OpenBytes,
  job: Omit<SandboxJob, 'op' | 'detection'>,
  options: SandboxOptions = {},
): Promise<Detection> {
  const work = sandboxed(open, { ...job, op: 'inspect', detection: null }, options)
  for (;;) {
    const step = await work.next()
    if (step.done === true) {
      if (step.value.kind !== 'detected') {
        throw broken()
      }
      return step.value.detection
    }
  }
}

/**
 * Reads all rows of a file in the sandbox: lines of a row file, as the child writes them; pulled, so the child waits for the
 * one who reads. Leaving the loop ends the child. Fails as `inspectInSandbox` does.
 */
export async function* rowsInSandbox(
  open: OpenBytes,
  job: Omit<SandboxJob, 'op' | 'detection'> & { readonly detection: Detection },
  options: SandboxOptions = {},
): AsyncGenerator<Uint8Array, RowsEnd, undefined> {
  const end = yield* sandboxed(open, { ...job, op: 'rows' }, options)
  if (end.kind !== 'read') {
    throw broken()
  }
  return end.end
}

/** Runs one job in a child of its own; gives its output and answers its last word. */
export async function* sandboxed(
  open: OpenBytes,
  job: SandboxJob,
  options: SandboxOptions,
): AsyncGenerator<Uint8Array, Exclude<SandboxMessage, { kind: 'failed' }>, undefined> {
  const release = await turn(options.signal)
  try {
    await using bytes = await open()
    await using child = new SandboxChild(bytes, job, options)
    for await (const chunk of child.output()) {
      yield chunk
    }
    return await child.end()
  } finally {
    release()
  }
}

class SandboxChild implements AsyncDisposable {
  readonly #bytes: ByteReader
  readonly #options: SandboxOptions
  readonly #process: ChildProcess
  readonly #rows: Readable
  readonly #closed: Promise<void>
  readonly #timer: NodeJS.Timeout
  readonly #blocks = new Set<number>()
  readonly #memoryMax: number
  readonly #stallMax: number
  #failure: Error | null = null
  #spawned = true
  #message = ''
  #complaint = ''
  #asked = 0
  #written = 0
  /** While it waits for us, time does not count; what it computes meanwhile does. */
  #waits = 0
  #waitsSince = 0
  #progressAt = performance.now()
  #progressCpu = 0

  constructor(bytes: ByteReader, job: SandboxJob, options: SandboxOptions) {
    this.#bytes = bytes
    this.#options = options
    this.#memoryMax = options.memoryBytesMax ?? SANDBOX_MEMORY_BYTES_MAX
    this.#stallMax =
      options.stallMsMax ??
      Math.min(
        SANDBOX_STALL_LONGEST_MS_MAX,
        SANDBOX_STALL_MS_MAX + (SANDBOX_STALL_MS_PER_MIB * job.byteSize) / (1024 * 1024),
      )
    const [command = '', ...args] = sandboxCommand(options.entry ?? join(import.meta.dirname, 'sandbox-child.js'))
    this.#process = spawn(command, args, {
      cwd: '/',
      env: {},
      stdio: ['pipe', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      windowsHide: true,
    })
    if (job.op === 'inspect') {
      giveWay(this.#process.pid)
    }
    this.#closed = new Promise((resolve) => {
      this.#process.once('close', () => resolve())
      this.#process.once('error', (error) => {
        this.#spawned = this.#process.pid !== undefined
        this.#fail(new RetryableError('SANDBOX_FAILED', 'The file could not be read now.', { cause: error }))
        if (!this.#spawned) {
          resolve()
        }
      })
    })
    const streams: readonly unknown[] = this.#process.stdio
    if (streams.some((stream, fd) => stream == null && fd !== 1)) {
      this.#process.on('error', () => undefined).kill('SIGKILL')
      throw new RetryableError('SANDBOX_FAILED', 'The file could not be read now.')
    }
    this.#rows = streams[ROWS_FD] as Readable
    const input = this.#process.stdin as Writable
    // A child that is gone tells by its end what it came to.
    input.on('error', () => undefined)
    input.write(`${JSON.stringify(job)}\n`)
    this.#listen()
    this.#serve(this.#process.stdio[BYTES_FD] as unknown as Duplex)
    this.#timer = setInterval(() => this.#watch(), WATCH_MS)
    options.signal?.addEventListener('abort', this.#abort, { once: true })
    if (options.signal?.aborted === true) {
      this.#abort()
    }
  }

  async *output(): AsyncGenerator<Uint8Array, void, undefined> {
    const max = this.#options.outputBytesMax ?? SANDBOX_OUTPUT_BYTES_MAX
    try {
      for await (const chunk of this.#rows as AsyncIterable<Buffer>) {
        this.#written += chunk.length
        this.#progress()
        if (this.#written > max) {
          this.#fail(new Refusal('LIMIT_EXCEEDED', `The rows of the file take more than ${max} bytes. Split the file.`))
        }
        if (this.#failure !== null) {
          break
        }
        this.#beginWait()
        yield chunk
        this.#endWait()
        this.#progress()
      }
    } catch (error) {
      // A stream that was taken down tells so in words of its own.
      throw this.#failure ?? error
    }
  }

  /** The child's last word, or the error that its end amounts to. */
  async end(): Promise<Exclude<SandboxMessage, { kind: 'failed' }>> {
    await this.#closed
    if (this.#failure !== null) {
      throw this.#failure
    }
    const { exitCode, signalCode } = this.#process
    if (exitCode !== 0 || this.#message === '') {
      throw endOf(exitCode, signalCode, this.#complaint)
    }
    const message = parseMessage(this.#message)
    if (message.kind === 'failed') {
      throw errorOf(message)
    }
    return message
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#process.kill('SIGKILL')
    for (const stream of this.#process.stdio) {
      stream?.destroy()
    }
    await this.#closed
  }

  readonly #abort = (): void => {
    this.#fail(this.#options.signal?.reason as Error)
  }

  #fail(error: Error): Error {
    this.#failure ??= error
    this.#process.kill('SIGKILL')
    this.#rows.destroy(this.#failure)
    return this.#failure
  }

  #progress(): void {
    this.#progressAt = performance.now()
    this.#progressCpu = -1
  }

  #beginWait(): void {
    if (this.#waits === 0) {
      this.#waitsSince = performance.now()
    }
    this.#waits += 1
  }

  #endWait(): void {
    this.#waits -= 1
    if (this.#waits === 0) {
      this.#progressAt += performance.now() - Math.max(this.#progressAt, this.#waitsSince)
    }
  }

  #listen(): void {
    const messages = this.#process.stdio[MESSAGES_FD] as Readable
    messages.setEncoding('utf8')
    messages.on('data', (text: string) => {
      this.#message += text
      if (this.#message.length > SANDBOX_MESSAGE_BYTES_MAX) {
        this.#fail(new Refusal('LIMIT_EXCEEDED', 'The file has more to be told about than is taken. Split the file.'))
      }
    })
    messages.on('error', () => undefined)
    this.#rows.on('error', () => undefined)
    const errors = this.#process.stderr as Readable
    errors.setEncoding('utf8')
    errors.on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-COMPLAINT_LENGTH)
    })
    errors.on('error', () => undefined)
  }

  /** Answers the child's requests for bytes, one after the other; takes no more of them while many wait. */
  #serve(socket: Duplex): void {
    let pending = Buffer.alloc(0)
    let busy = Promise.resolve()
    let queued = 0
    socket.on('error', () => undefined)
    socket.on('data', (data: Buffer) => {
      pending = Buffer.concat([pending, data])
      while (pending.length >= REQUEST_BYTES) {
        const position = Number(pending.readBigUInt64LE(0))
        const length = pending.readUInt32LE(8)
        pending = pending.subarray(REQUEST_BYTES)
        queued += 1
        busy = busy.then(async () => {
          await this.#answer(socket, position, length)
          queued -= 1
          if (queued === 0) {
            socket.resume()
          }
        })
      }
      if (queued > REQUESTS_QUEUED_MAX) {
        socket.pause()
      }
    })
  }

  async #answer(socket: Duplex, position: number, length: number): Promise<void> {
    if (this.#failure !== null || socket.destroyed) {
      return
    }
    this.#asked += length
    if (length > READ_BYTES_MAX || !Number.isSafeInteger(position)) {
      this.#fail(broken())
      return
    }
    if (this.#asked > this.#bytes.byteSize * REREAD_TIMES + REREAD_BYTES) {
      this.#fail(new Refusal('FILE_UNREADABLE', 'The file leads its reader in circles. It is broken or made to harm.'))
      return
    }
    const answer = Buffer.allocUnsafe(4 + length)
    let filled = 0
    this.#beginWait()
    try {
      while (filled < length) {
        const read = await this.#bytes.read(answer, 4 + filled, length - filled, position + filled)
        if (read === 0) {
          break
        }
        filled += read
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new RetryableError('FILE_READ_FAILED', String(error)))
      return
    } finally {
      this.#endWait()
    }
    answer.writeUInt32LE(filled, 0)
    // Bytes that were never seen before are progress; the same ones again are not.
    const block = Math.floor(position / READ_BYTES_MAX)
    if (!this.#blocks.has(block)) {
      this.#blocks.add(block)
      this.#progress()
    }
    // A child that asks and does not take the answer waits for itself.
    if (!socket.write(answer.subarray(0, 4 + filled))) {
      await drained(socket)
    }
  }

  #watch(): void {
    const { pid } = this.#process
    if (pid === undefined || this.#process.exitCode !== null || this.#failure !== null) {
      return
    }
    this.#options.onRead?.(Math.min(this.#bytes.byteSize, this.#blocks.size * READ_BYTES_MAX))
    const use = useOf(pid)
    const now = performance.now()
    if (use !== null && use.memoryBytes > this.#memoryMax) {
      this.#fail(tooComplex(this.#memoryMax))
      return
    }
    if (this.#progressCpu < 0) {
      this.#progressCpu = use?.cpuMs ?? 0
    }
    const until = this.#waits > 0 ? Math.max(this.#progressAt, this.#waitsSince) : now
    const silent = until - this.#progressAt
    // Its own processor time: a machine that is busy with other things is no fault of the file.
    const busy = use === null ? silent : use.cpuMs - this.#progressCpu
    if (busy > this.#stallMax) {
      this.#fail(
        new Refusal('FILE_UNREADABLE', 'The file takes too long to be understood. It is broken or made to harm.'),
      )
    } else if (silent > Math.max(SANDBOX_SILENCE_MS_MAX, this.#stallMax)) {
      this.#fail(new RetryableError('SANDBOX_STALLED', 'The reading of the file made no progress.'))
    }
  }
}

/** Waits until the other side has taken what was written, or is gone. */
function drained(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      socket.off('drain', go).off('close', go)
      resolve()
    }
    if (socket.destroyed) {
      resolve()
    } else {
      socket.once('drain', go).once('close', go)
    }
  })
}

/** Memory and processor time of a process, as the kernel counts them; null where it does not tell. */
function useOf(pid: number): { readonly memoryBytes: number; readonly cpuMs: number } | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const memory = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
    // Fields 14 and 15 of proc(5), in ticks of 10 ms (USER_HZ is 100 everywhere).
    return { memoryBytes: memory, cpuMs: (Number(fields[11]) + Number(fields[12])) * 10 }
  } catch {
    return null
  }
}

/** The command that starts a module in the sandbox, by its path. Also what tests run their probe with. */
export function sandboxCommand(entry: string): string[] {
  const code = join(import.meta.dirname, '..', '..')
  const readable = [...new Set([code, entry, ...packageFolders(), ...packageFiles(code)].flatMap(alsoReal))]
  return [
    ...wrapper(),
    process.execPath,
    '--permission',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    '--disallow-code-generation-from-strings',
    '--disable-proto=delete',
    '--no-warnings',
    `--max-old-space-size=${SANDBOX_HEAP_MIB}`,
    `--max-semi-space-size=${SANDBOX_SEMI_SPACE_MIB}`,
    `--import=${join(import.meta.dirname, 'sandbox-guard.js')}`,
    entry,
  ]
}

function alsoReal(path: string): string[] {
  return existsSync(path) ? [path, realpathSync(path)] : []
}

let folders: readonly string[] | null = null

function packageFolders(): readonly string[] {
  folders ??= PACKAGES.flatMap((name) => {
    for (let at = import.meta.dirname; ; at = dirname(at)) {
      const packages = join(at, 'node_modules')
      const folder = join(packages, name)
      if (existsSync(folder)) {
        // Node follows a link by itself, and has to see where it leads.
        return lstatSync(packages).isSymbolicLink() ? [packages, folder] : [folder]
      }
      if (dirname(at) === at) {
        return []
      }
    }
  })
  return folders
}

/** Node looks for the package.json above a module to tell what kind it is. */
function packageFiles(from: string): string[] {
  const files: string[] = []
  for (let at = from; dirname(at) !== at; at = dirname(at)) {
    files.push(join(at, 'package.json'))
  }
  return files
}

let wrapped: readonly string[] | null = null

/**
 * What the machine offers to shut the child in, tried once: a network of its own without any way out (`unshare`), and that
 * the kernel ends it when its parent is gone, whatever it is doing (`setpriv`).
 */
function wrapper(): readonly string[] {
  wrapped ??= [
    ['unshare', '--net', '--ipc', '--map-root-user'],
    ['setpriv', '--pdeathsig', 'KILL', '--no-new-privs'],
  ].reduce<readonly string[]>((outer, [name = '', ...args]) => {
    const path = ['/usr/bin', '/bin', '/usr/local/bin'].map((folder) => join(folder, name)).find((at) => existsSync(at))
    if (path === undefined) {
      return outer
    }
    const [command, ...rest] = [...outer, path, ...args, process.execPath, '--version']
    const works = spawnSync(command, rest, { env: {}, stdio: 'ignore', timeout: 10_000 }).status === 0
    return works ? [...outer, path, ...args] : outer
  }, [])
  return wrapped
}

/** Whether the kernel keeps the network from the child on this machine; if not, only Node does. */
export function networkIsCut(): boolean {
  return wrapper().some((word) => word.endsWith('/unshare'))
}

let running = 0
const waiting: (() => void)[] = []

/** Waits until another child may run; answers how to say that it has ended. */
async function turn(signal: AbortSignal | undefined): Promise<() => void> {
  signal?.throwIfAborted()
  if (running >= SANDBOX_CHILDREN_MAX) {
    await new Promise<void>((resolve, reject) => {
      const go = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        waiting.splice(waiting.indexOf(go), 1)
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', leave, { once: true })
      waiting.push(go)
    })
  } else {
    running += 1
  }
  let released = false
  return () => {
    if (released) {
      return
    }
    released = true
    const next = waiting.shift()
    if (next === undefined) {
      running -= 1
    } else {
      next()
    }
  }
}

function parseMessage(text: string): SandboxMessage {
  try {
    return JSON.parse(text) as SandboxMessage
  } catch (error) {
    throw broken(error)
  }
}

/** What the child said that was wrong. Its words are taken as text of the file: cut, and of the kinds that are known. */
function errorOf(message: Extract<SandboxMessage, { kind: 'failed' }>): Error {
  const code = /^[A-Z_]{3,40}$/.test(message.code) ? message.code : 'FILE_UNREADABLE'
  const text = message.message.slice(0, 1_000).toWellFormed()
  if (message.name === 'RetryableError') {
    return new RetryableError(code, text)
  }
  if (message.name === 'FatalError') {
    return new FatalError(code, text)
  }
  if (message.name === 'Refusal') {
    return new Refusal(code as RefusalCode, text, message.field)
  }
  const refusal = new Refusal(
    'FILE_UNREADABLE',
    'The file cannot be read: it is damaged or not what it looks like. Save it anew, or as CSV, and try again.',
  )
  refusal.cause = new Error(text)
  return refusal
}

/** What it means that a child ended without a word. */
function endOf(exitCode: number | null, signal: NodeJS.Signals | null, complaint: string): Error {
  const cause = new Error(`exit ${exitCode ?? signal}: ${complaint}`)
  if (/heap out of memory|Array buffer allocation failed|invalid array length/i.test(complaint)) {
    const refusal = tooComplex(SANDBOX_MEMORY_BYTES_MAX)
    refusal.cause = cause
    return refusal
  }
  if (signal === 'SIGKILL' || signal === 'SIGTERM' || signal === 'SIGINT') {
    return new RetryableError('SANDBOX_KILLED', 'The reading of the file was ended from outside.', { cause })
  }
  if (signal !== null || exitCode === 134) {
    const refusal = new Refusal('FILE_UNREADABLE', 'The file makes its reader fail. It is damaged or made to harm.')
    refusal.cause = cause
    return refusal
  }
  return new RetryableError('SANDBOX_FAILED', 'The file could not be read now.', { cause })
}

function tooComplex(bytes: number): Refusal {
  return new Refusal(
    'LIMIT_EXCEEDED',
    `The file takes more memory to read than the ${Math.round(bytes / (1024 * 1024))} MiB that are allowed. Split it, or save it as CSV.`,
  )
}

function broken(cause?: unknown): RetryableError {
  return new RetryableError('SANDBOX_FAILED', 'The file could not be read now.', { cause })
}

/** People who wait for answers of this process come before a file that somebody has it look at; where the system does not let us say so, it goes without. */
function giveWay(pid: number | undefined): void {
  if (pid === undefined) {
    return
  }
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // Gone already, or not ours to order about.
  }
}
