/**
 * Before `npm start` and `npm test`: installs what the lock file names if it is not there, and builds. Runs on whatever
 * Node npm itself runs on; everything after it runs on the Node 24 that comes with the packages.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = 20
const windows = process.platform === 'win32'
const sourceFolders = ['src', 'test', 'migrations', 'bench', 'examples']

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'))

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  fail(`Portage installs itself with Node ${OLDEST_NODE} or newer; this is ${process.version}.`)
}
if (!isInstalled()) {
  console.error('Installing packages ...')
  // The build needs the development packages also where NODE_ENV is production.
  run(windows ? 'npm.cmd' : 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])
}
linkNode()
sweep()
run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'])
copyAssets('src')
await buildConsole()

/** Whether node_modules holds what the lock file names for this machine. Compares contents: dates change with every clone. */
function isInstalled() {
  const installed = packagesOf(join('node_modules', '.package-lock.json'))
  const wanted = packagesOf('package-lock.json')
  if (installed === null || wanted === null) {
    return false
  }
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' ||
      !isForThisMachine(entry) ||
      (isForSomeMachines(entry) && installed[path] === undefined) ||
      (installed[path]?.version === entry.version && existsSync(path)),
  )
}

/** What only packages for other machines want says so of itself nowhere: npm leaves it out with them. */
function isForSomeMachines({ optional, os, cpu }) {
  return optional === true && os === undefined && cpu === undefined
}

function packagesOf(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages
  } catch {
    return null
  }
}

function isForThisMachine({ os, cpu, libc }) {
  const fits = (list, value) => list === undefined || list.includes(value)
  return fits(os, process.platform) && fits(cpu, process.arch) && fits(libc, 'glibc')
}

/**
 * Some versions of npm leave this link out, because several packages for other machines want the same name. And our
 * scripts begin with `exec`, so that signals reach node and not a shell that keeps them: where the shell does not know the
 * word, it is a command that runs the rest.
 */
function linkNode() {
  const link = join('node_modules', '.bin', 'node')
  if (windows) {
    writeFileSync(join('node_modules', '.bin', 'exec.cmd'), '@%*\r\n')
  }
  const name = `node-${process.platform}-${process.arch}`
  if (!windows && !existsSync(link) && existsSync(join('node_modules', name, 'bin', 'node'))) {
    mkdirSync(dirname(link), { recursive: true })
    rmSync(link, { force: true })
    symlinkSync(join('..', name, 'bin', 'node'), link)
  }
}

/** Removes what was built from sources that are gone: an old test would still run, an old migration still apply. */
function sweep() {
  for (const folder of sourceFolders) {
    for (const path of filesBelow(join('dist', folder))) {
      const source = path.slice('dist'.length + 1).replace(/\.js(\.map)?$/, '.ts')
      if (/\.js(\.map)?$/.test(path) && !existsSync(source)) {
        rmSync(path)
        // Without this the compiler would not notice that a file of the same name came back.
        rmSync(join('dist', '.tsbuildinfo'), { force: true })
      }
    }
  }
}

/** The compiler copies no files that it does not compile. */
function copyAssets(folder) {
  for (const path of filesBelow(folder)) {
    if (!path.endsWith('.ts')) {
      cpSync(path, join('dist', path))
    }
  }
}

/** Checks and bundles the console, if anything that it is made of has changed since it was bundled last. */
async function buildConsole() {
  const hash = createHash('sha256')
  const parts = [...filesBelow('web'), 'scripts/web-types.mjs', 'schema.graphql', 'package-lock.json']
  for (const path of parts.filter((each) => !each.endsWith('generated.ts')).sort((a, b) => (a < b ? -1 : 1))) {
    hash.update(`${path}\0`).update(readFileSync(path)).update('\0')
  }
  const stamp = join('dist', 'web', '.stamp')
  const digest = hash.digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) {
    return
  }
  console.error('Building the console ...')
  const { writeWebTypes } = await import('./web-types.mjs')
  await writeWebTypes('.').catch((error) => fail(error.message))
  run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'web'])
  run(process.execPath, [join('node_modules', 'vite', 'bin', 'vite.js'), 'build', '-c', join('web', 'vite.config.mjs')])
  writeFileSync(stamp, digest)
}

function* filesBelow(folder) {
  if (!existsSync(folder) || !lstatSync(folder).isDirectory()) {
    return
  }
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      yield* filesBelow(path)
    } else {
      yield path
    }
  }
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', shell: windows && command.endsWith('.cmd') })
  if (status !== 0) {
    fail(error === undefined ? null : `${command}: ${error.message}`, status ?? 1)
  }
}

function fail(message, code = 1) {
  if (message !== null) {
    console.error(message)
  }
  process.exit(code)
}
