/** What uploads leave that do not end: nothing for long, and never more than a tenant may have. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { type ClientRequest, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { permissions } from '../../src/access/permissions.js'
import { setTenantQuotas } from '../../src/access/quotas.js'
import { signToken } from '../../src/access/tokens.js'
import { openFileStore } from '../../src/adapters/files/storage.js'
import { loadConfig } from '../../src/config.js'
import { STORE_TEMPORARY_MINUTES } from '../../src/limits.js'
import { freePort } from '../chaos/front.js'
import { RoleProcess } from '../helpers/processes.js'
import { type Actor, authorization, World } from './world.js'

const HALF = 4_000_000

let world: World
let ada: Actor

before(async () => {
  world = await World.start({ worker: false })
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

const temporary = (dataDir: string) => readdir(join(dataDir, 'files', 'tmp')).catch((): string[] => [])

/** Waits for what the disk is to look like. */
async function until(dataDir: string, enough: (names: readonly string[]) => boolean): Promise<void> {
  for (const started = performance.now(); !enough(await temporary(dataDir)); ) {
    assert.ok(performance.now() - started < 20_000, (await temporary(dataDir)).join())
    await pause(10)
  }
}

/** An upload that sends the half of what it has announced, and then nothing. */
function halfUpload(url: string, actor: Actor): ClientRequest {
  const boundary = 'half'
  const part = (head: string, body: string) =>
    `--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n\r\n${body}\r\n`
  const operations = JSON.stringify({
    query: 'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code } } }',
    variables: { input: { file: null } },
  })
  const head = `${part('name="operations"', operations)}${part('name="map"', '{"0": ["variables.input.file"]}')}--${boundary}\r\ncontent-disposition: form-data; name="0"; filename="a.csv"\r\n\r\n`
  const tail = `\r\n--${boundary}--\r\n`
  const sent = request(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': head.length + 2 * HALF + tail.length,
      'apollo-require-preflight': 'true',
      ...authorization(actor),
    },
  })
  sent.on('error', () => undefined)
  sent.write(head)
  sent.write('x'.repeat(HALF))
  return sent
}

test('a client that leaves in the middle leaves nothing [UP-9]', async () => {
  const sent = halfUpload(world.url, ada)
  await until(world.dataDir, (names) => names.length === 1)
  sent.destroy()
  await until(world.dataDir, (names) => names.length === 0)
})

test('what a tenant has under way counts against what it may have, and comes back when it breaks off [UP-9]', async () => {
  const tenantId = await world.tenant()
  await setTenantQuotas(world.db.ownerUrl, tenantId, { overrides: { storageBytes: 3 * HALF } })
  const eve = await world.actor(tenantId)
  const query = 'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code } } }'
  const sent = halfUpload(world.url, eve)
  await until(world.dataDir, (names) => names.length === 1)
  const refused = await world.upload(eve, query, {}, 'a,b\n'.repeat(HALF / 2))
  assert.ok(refused.status === 413 || refused.status === 429, `${refused.status}`)
  assert.equal((await temporary(world.dataDir)).length, 1, 'no byte of it was stored')
  sent.destroy()
  await until(world.dataDir, (names) => names.length === 0)
  for (const started = performance.now(); ; ) {
    const { status, data } = await world.upload(eve, query, {}, `name\n${'a\n'.repeat(HALF / 2)}`)
    if (status === 200) {
      assert.deepEqual(data.fileUpload.userErrors, [])
      break
    }
    assert.ok(performance.now() - started < 20_000, 'what was reserved did not come back')
    await pause(10)
  }
})

test('a process that is killed in the middle leaves nothing once it is back [UP-9]', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'portage-left-'))
  const settings = {
    PORTAGE_ROLE: 'api',
    PORTAGE_PORT: String(await freePort()),
    PORTAGE_DATA_DIR: dataDir,
    PORTAGE_LOG_LEVEL: 'error',
    DATABASE_URL: world.db.apiUrl,
  }
  const config = loadConfig(settings)
  const token = await signToken({ tenantId: ada.tenantId, actor: 'a@example.com', permissions, expiresIn: 600 }, config)
  let api = new RoleProcess('api', settings)
  try {
    await api.ready
    const sent = halfUpload(config.publicUrl, { tenantId: ada.tenantId, token })
    await until(dataDir, (names) => names.length === 1)
    api.signal('SIGKILL')
    await api.exited
    sent.destroy()
    assert.equal((await temporary(dataDir)).length, 1, 'it had no time to remove it')
    api = new RoleProcess('api', settings)
    await api.ready
    assert.deepEqual(await temporary(dataDir), [])
  } finally {
    api.signal('SIGKILL')
    await api.exited
    await rm(dataDir, { recursive: true, force: true })
  }
})

test('what a machine has left that is not there any more goes within a quarter of an hour, what is being written stays [UP-9]', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portage-tidy-'))
  try {
    const store = await openFileStore(world.config.store, join(folder, 'files'))
    await mkdir(join(folder, 'files', 'tmp'), { recursive: true })
    const foreign = join(folder, 'files', 'tmp', 'elsewhere-1-aaaa')
    await writeFile(foreign, 'left')
    const minute = 60_000
    assert.equal(await store.tidy(0), 0)
    assert.equal(await store.tidy((STORE_TEMPORARY_MINUTES - 1) * minute), 0)
    // Whoever writes touches what it writes: that begins the time anew.
    await writeFile(foreign, 'left, longer')
    assert.equal(await store.tidy(STORE_TEMPORARY_MINUTES * minute), 0)
    assert.equal(await store.tidy((2 * STORE_TEMPORARY_MINUTES - 1) * minute), 0)
    assert.equal(await store.tidy(2 * STORE_TEMPORARY_MINUTES * minute), 1)
    assert.deepEqual(await temporary(folder), [])
    assert.ok(STORE_TEMPORARY_MINUTES + 1 <= 15, 'with the minute between two rounds of housekeeping')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
