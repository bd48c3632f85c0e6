import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import type { FileUpload } from 'graphql-upload-ts'
import type { Scanner } from '../../src/adapters/antivirus/clamd.js'
import { localFileStore } from '../../src/adapters/files/storage.js'
import { loadConfig } from '../../src/config.js'
import { Database, type PoolTx } from '../../src/db/database.js'
import { createLog } from '../../src/log.js'
import type { ApiContext } from '../../src/resolvers/context.js'
import { receive } from '../../src/resolvers/uploads.js'
import { EICAR, type FakeClamd, startFakeClamd } from '../adapters/antivirus/fake-clamd.js'
import { type Actor, dataOf, type Json, World } from './world.js'

let clamd: FakeClamd
let world: World
let ada: Actor

before(async () => {
  clamd = await startFakeClamd({ streamMaxLength: 1_000_000 })
  world = await World.start({ worker: false, settings: { PORTAGE_CLAMD: clamd.address } })
  ada = await world.actor(await world.tenant())
})
after(async () => {
  await world.close()
  await clamd.close()
})

const mutation =
  'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code message } } }'

const infected = `Name,Note\nAda,${EICAR}\n`

function storedKeys(): string[] {
  const folder = join(world.dataDir, 'files', ada.tenantId)
  return readdirSync(folder).map((name) => `${ada.tenantId}/${name}`)
}

test('a clean file is taken', async () => {
  const { fileUpload } = dataOf(await world.upload(ada, mutation, {}, 'Name\nAda\n'))
  assert.deepEqual(fileUpload.userErrors, [])
  assert.notEqual(fileUpload.file, null)
})

test('an infected file is refused and set apart by whichever road it comes, and there is no file of it [UP-13]', async () => {
  const refused: Json[] = []
  refused.push(dataOf(await world.upload(ada, mutation, {}, infected)).fileUpload)
  const importing = `mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code } } }`
  refused.push(
    dataOf(await world.upload(ada, importing, { recordType: 'CONTACT', idempotencyKey: 'x' }, infected)).importCreate,
  )
  const sha256 = createHash('sha256').update(infected).digest('hex')
  const begun = await world.ask(
    ada,
    'mutation ($input: UploadBeginInput!) { uploadBegin(input: $input) { uploadSession { id url } } }',
    { input: { name: 'big.csv', byteSize: infected.length, sha256, idempotencyKey: 'y' } },
  )
  const { id, url } = begun.uploadBegin.uploadSession
  await fetch(url, { method: 'PUT', headers: { authorization: `Bearer ${ada.token}` }, body: infected })
  const completed = await world.ask(
    ada,
    'mutation ($input: UploadCompleteInput!) { uploadComplete(input: $input) { file { id } userErrors { code } } }',
    { input: { uploadSessionId: id } },
  )
  refused.push(completed.uploadComplete)
  for (const { userErrors, file = null, importRun = null } of refused) {
    assert.equal(userErrors[0].code, 'FILE_INFECTED')
    assert.equal(file ?? importRun, null)
  }
  assert.match(refused[0]?.userErrors[0].message, /Eicar-Signature/)
  const { rows } = await world.oracle.query<{ storage_key: string; signature: string; sha256: string }>(
    'select storage_key, signature, sha256 from quarantined_file where tenant_id = $1',
    [ada.tenantId],
  )
  assert.equal(rows.length, 3)
  assert.ok(rows.every((row) => row.signature === 'Eicar-Signature' && row.sha256 === sha256))
  const files = await world.oracle.query<{ storage_key: string }>('select storage_key from source_file')
  const keys = [...rows, ...files.rows].map((row) => row.storage_key)
  assert.deepEqual(storedKeys().toSorted(), keys.toSorted(), 'the bytes are kept apart, and no copy of them elsewhere')
})

test('a file that the scanner does not take to its end is refused', async () => {
  const before = storedKeys()
  const { fileUpload } = dataOf(await world.upload(ada, mutation, {}, 'a,b\n'.repeat(300_000)))
  assert.equal(fileUpload.userErrors[0].code, 'FILE_TOO_LARGE')
  assert.deepEqual(storedKeys(), before)
})

test('without its scanner nothing is taken [UP-13]', async () => {
  const before = storedKeys()
  const connections = clamd.connections
  clamd.behaviour = 'hang up'
  const answer = await world.upload(ada, mutation, {}, 'Name\nAda\n')
  clamd.behaviour = 'scan'
  assert.equal(answer.errors[0]?.extensions.code, 'UNAVAILABLE')
  const metrics = await (await fetch(`${world.url}/metrics`)).text()
  for (const verdict of ['clean', 'infected', 'tooLarge', 'away']) {
    assert.match(metrics, new RegExp(`portage_virus_scans_total\\{[^}]*verdict="${verdict}"[^}]*\\} [1-9]`))
  }
  assert.equal(clamd.connections - connections, 4)
  assert.deepEqual(storedKeys(), before)
})

test('a file that was set apart is kept when the answer of that commit is lost, and one that was not is not', async () => {
  const before = new Set(storedKeys())
  const database = await Database.open({
    url: world.db.apiUrl,
    applicationName: 'portage test',
    poolSize: 1,
    statementMs: 10_000,
  })
  const files = localFileStore(join(world.dataDir, 'files'))
  const config = loadConfig({ PORTAGE_ROLE: 'api', DATABASE_URL: world.db.apiUrl })
  const log = createLog({ level: 'error', process: 'test' })
  const scanner: Scanner = { scan: () => Promise.resolve({ kind: 'infected', signature: 'X' }) }
  for (const committed of [true, false]) {
    let calls = 0
    const losing = {
      transaction: async <R>(tenantId: string, work: (tx: PoolTx) => Promise<R>): Promise<R> => {
        calls += 1
        const answer = calls > 1 || committed ? await database.transaction(tenantId, work) : null
        if (calls === 1) {
          throw new Error('the answer is lost')
        }
        return answer as R
      },
    }
    const context = {
      caller: { tenantId: ada.tenantId, actor: 'test' },
      services: { database: losing, files, config, log, scanner },
      signal: new AbortController().signal,
    } as unknown as ApiContext
    const file = { filename: 'a.csv', createReadStream: () => Readable.from([Buffer.from('Name\nAda\n')]) }
    const request = { file: Promise.resolve(file as FileUpload), name: null, sha256: null, source: null }
    await assert.rejects(receive(context, request), /the answer is lost/)
    assert.equal(calls, 2)
    assert.equal(storedKeys().filter((key) => !before.has(key)).length, 1, 'only the one that was set apart')
  }
  await database.close()
})
