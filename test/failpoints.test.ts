import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { failpoint, failpoints, plantFailpoints } from '../src/failpoints.js'
import { failpointArguments } from './helpers/failpoints.js'

const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url))

/** What a worker does on its way to a database that is not there, with a fault put in at its first moment. */
async function worker(production: boolean): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'portage-failpoints-'))
  const log = join(folder, 'hits')
  // Evaluated behind the module that puts faults in, and in front of the service.
  const planted = `data:text/javascript,${encodeURIComponent(
    `import { failpoint } from ${JSON.stringify(new URL('../src/failpoints.js', import.meta.url).href)}
     process.on('exit', () => { try { failpoint('job.taken'); console.log('nothing broke') } catch (error) { console.log(error.message) } })`,
  )}`
  const options = [...failpointArguments(log, [{ name: 'job.taken', action: 'throw', n: 1 }]), '--import', planted]
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...options, MAIN, 'bootstrap'], {
      env: {
        ...(production ? { NODE_ENV: 'production', PORTAGE_MASTER_KEYS: `k1:${'A'.repeat(43)}` } : {}),
        PORTAGE_ROLE: 'worker',
        PORTAGE_DATA_DIR: folder,
        DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none',
      },
    }).catch((error: { stdout: string }) => error)
    return stdout + readOrNothing(log)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

test('production takes out whatever was to break it [CS-10]', async () => {
  assert.match(await worker(false), /broken at job\.taken\n.*job\.taken:throw:1/s)
  const production = await worker(true)
  assert.match(production, /nothing broke/)
  assert.doesNotMatch(production, /job\.taken:throw/)
})

test('there are many moments to break things at, and without a test nothing happens at any', () => {
  assert.ok(failpoints.length >= 25 && new Set(failpoints).size === failpoints.length)
  for (const name of failpoints) {
    assert.equal(failpoint(name), undefined)
  }
  plantFailpoints((name) => {
    throw new Error(name)
  })
  assert.throws(() => failpoint('job.taken'), /job\.taken/)
  plantFailpoints(null)
  assert.equal(failpoint('job.taken'), undefined)
})
