import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, afterEach, before, test } from 'node:test'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type FileStore, fileStore } from '../../../src/adapters/files/storage.js'
import { noFileKeys } from '../../../src/adapters/files/storage-encryption.js'
import { type S3Settings, s3Blobs } from '../../../src/adapters/files/storage-s3.js'
import { STORE_PART_BYTES, STORE_RANGE_BYTES } from '../../../src/limits.js'
import { createLog } from '../../../src/log.js'
import { TestS3 } from '../../helpers/s3.js'

/* What only object storage does: it breaks off, lies, is away, and keeps what nobody finished. */

const TENANT = 'tenant'

let s3: TestS3

before(async () => {
  s3 = await TestS3.start()
})

afterEach(() => {
  s3.intercept = () => false
})

after(() => s3.close())

function open(more: Partial<S3Settings> = {}): FileStore {
  return fileStore(s3Blobs(s3.settings(more)), noFileKeys)
}

function put(store: FileStore, content: Uint8Array): Promise<{ key: string }> {
  return store.put(TENANT, Readable.from([content]), { maxBytes: Infinity })
}

function fail(response: ServerResponse, status: number, code: string): true {
  response.writeHead(status, { 'content-type': 'application/xml' })
  response.end(`<Error><Code>${code}</Code><Message>canary ${s3.url}</Message></Error>`)
  return true
}

const content = randomBytes(3 * 1024 * 1024)

test('keeps a file of less than one part with one request, and a larger one with several', async () => {
  const store = open()
  const before = s3.requests.length
  await put(store, content)
  assert.deepEqual(
    s3.requests.slice(before).map(({ method }) => method),
    ['PUT'],
  )
  const { key } = await put(store, randomBytes(2 * STORE_PART_BYTES + 1))
  const large = s3.requests
    .slice(before + 1)
    .map(({ method, path }) => `${method} ${/partNumber=\d/.exec(path)?.[0] ?? ''}`)
  assert.deepEqual(large.toSorted(), ['POST ', 'POST ', 'PUT partNumber=1', 'PUT partNumber=2', 'PUT partNumber=3'])
  assert.ok(s3.objects().includes(`files/${key}`))
})

test('reads a file from its start to its end with few requests, and one row with a small one', async () => {
  const store = open()
  const { key } = await put(store, content)
  const before = s3.requests.length
  assert.ok((await buffer(store.read(key))).equals(content))
  const ranges = s3.requests.slice(before).filter(({ method }) => method === 'GET')
  assert.equal(ranges.length, 3)
  assert.equal(ranges[0]?.range, `bytes=0-${STORE_RANGE_BYTES - 1}`)
  await using reader = await store.openBytes(key)()
  await reader.read(new Uint8Array(10), 0, 10, 1_000_000)
  assert.equal(s3.requests.at(-1)?.range, `bytes=1000000-${1_000_000 + STORE_RANGE_BYTES - 1}`)
})

test('reads on where an answer broke off', async () => {
  const store = open()
  const { key } = await put(store, content)
  let broken = 0
  s3.intercept = (request, response) => {
    const [, from = '', to = ''] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
    if (request.method !== 'GET' || Number(to) - Number(from) < 600_000 || broken > 1) {
      return false
    }
    broken += 1
    const range = {
      'content-range': `bytes ${from}-${to}/${content.length}`,
      'content-length': Number(to) - Number(from) + 1,
    }
    response.writeHead(206, range)
    response.write(content.subarray(Number(from), Number(from) + 500_000), () => response.destroy())
    return true
  }
  assert.ok((await buffer(store.read(key))).equals(content))
  assert.equal(broken, 2)
})

test('tells a file that is gone from a store that fails, and neither with the words of the store', async () => {
  const store = open()
  const { key } = await put(store, content)
  const away = { name: 'RetryableError', code: 'FILE_READ_FAILED' }
  for (const [status, code] of [
    [403, 'AccessDenied'],
    [404, 'NoSuchBucket'],
    [500, 'InternalError'],
  ] as const) {
    s3.intercept = (_request: IncomingMessage, response) => fail(response, status, code)
    await assert.rejects(buffer(store.read(key)), away, code)
    await assert.rejects(store.stat(key), away, code)
    await assert.rejects(store.delete(key), away, code)
    await assert.rejects(store.sweep(new Date()), away, code)
    await assert.rejects(put(store, content), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'FILE_WRITE_FAILED')
      assert.equal(error.name, 'RetryableError')
      const lines: string[] = []
      createLog({ level: 'error', process: 'test' }, { write: (line) => lines.push(line) }).error(
        { err: error },
        'failed',
      )
      assert.match(lines.join(''), new RegExp(code))
      assert.doesNotMatch(
        lines.join('') + inspect(error, { depth: 9 }),
        /canary|portage-test|S3RVER|files\/tenant|127\.0\.0\.1/,
      )
      return true
    })
  }
  s3.intercept = () => false
  await store.delete(key)
  await assert.rejects(buffer(store.read(key)), { name: 'FatalError', code: 'FILE_UNREADABLE' })
  assert.equal(await store.stat(key), null)
  const nowhere = open({ bucket: 'no-such-bucket' })
  await assert.rejects(buffer(nowhere.read(key)), away)
  await assert.rejects(nowhere.stat(key), away)
  const wrong = open({ credentials: { accessKeyId: 'nobody', secretAccessKey: 'wrong' } })
  await assert.rejects(wrong.stat(key), away)
})

test('tries again what fails once', async () => {
  const store = open()
  let failed = 0
  s3.intercept = (request, response) => {
    if (/partNumber=2/.test(request.url ?? '') && failed === 0) {
      failed += 1
      request.resume()
      return fail(response, 503, 'SlowDown')
    }
    return false
  }
  const large = randomBytes(2 * STORE_PART_BYTES + 1)
  const { key } = await put(store, large)
  assert.equal(failed, 1)
  assert.ok((await buffer(store.read(key))).equals(large))
})

test('minds a refused part only where it waits for it, while the rest of the file is slow to come', async () => {
  const store = open()
  const refused = Promise.withResolvers<void>()
  s3.intercept = (request, response) => {
    if (!/partNumber=1/.test(request.url ?? '')) {
      return false
    }
    request.resume()
    response.on('close', () => refused.resolve())
    return fail(response, 403, 'AccessDenied')
  }
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield randomBytes(STORE_PART_BYTES)
    yield randomBytes(10)
    await refused.promise
    // A rejection that nobody has taken by now would have ended the process.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    yield randomBytes(10)
  }
  await assert.rejects(store.put(TENANT, slow(), { maxBytes: Infinity }), { code: 'FILE_WRITE_FAILED' })
  assert.deepEqual(s3.uploads(), [])
})

test('leaves nothing of an upload whose part the store refuses', async () => {
  const store = open()
  s3.intercept = (request, response) => {
    if (/partNumber=2/.test(request.url ?? '')) {
      request.resume()
      return fail(response, 403, 'AccessDenied')
    }
    return false
  }
  const known = s3.objects()
  await assert.rejects(put(store, randomBytes(3 * STORE_PART_BYTES)), { code: 'FILE_WRITE_FAILED' })
  assert.deepEqual(s3.uploads(), [])
  assert.deepEqual(s3.objects(), known)
})

test('sweeps the uploads that nobody ended, below its own prefix and of their age', async () => {
  const store = open()
  const elsewhere = open({ prefix: 'elsewhere/' })
  // As after a kill: the abort does not get through.
  s3.intercept = (request, response) => {
    const { method = '', url = '' } = request
    if (method === 'DELETE' || /partNumber=2/.test(url)) {
      request.resume()
      return fail(response, 403, 'AccessDenied')
    }
    return false
  }
  const large = randomBytes(2 * STORE_PART_BYTES)
  for (const each of [store, store, elsewhere]) {
    await assert.rejects(put(each, large))
  }
  s3.intercept = () => false
  const uploads = s3.uploads()
  assert.equal(uploads.length, 3)
  const dayAgo = new Date(Date.now() - 86_400_000)
  assert.equal(await store.sweep(dayAgo), 0)
  for (const id of uploads) {
    await s3.ageUpload(id, new Date(dayAgo.getTime() - 1000))
  }
  assert.equal(await open({ prefix: 'else' }).sweep(dayAgo), 0, 'uploads whose keys are none of ours')
  assert.equal(await store.sweep(dayAgo), 2)
  assert.equal(s3.uploads().length, 1)
  assert.equal(await elsewhere.sweep(dayAgo), 1)
  s3.intercept = (_request, response) => fail(response, 501, 'NotImplemented')
  assert.equal(await store.sweep(dayAgo), 0, 'a store that cannot list them')
})

test('holds a few parts in memory, however large the file is', async () => {
  // What is dead and not yet collected is not held: on a busy machine that may be more than the file.
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const held = (): number => {
    collect()
    return process.memoryUsage().arrayBuffers
  }
  const store = open()
  const block = randomBytes(1 << 20)
  const start = held()
  let most = 0
  async function* blocks(): AsyncGenerator<Uint8Array> {
    for (let n = 0; n < 96; n += 1) {
      // Copies, as those of a socket are: what is held is held in memory.
      yield Buffer.from(block)
      if (n % 4 === 3) {
        most = Math.max(most, held())
      }
    }
  }
  await store.put(TENANT, blocks(), { maxBytes: Infinity })
  // The store of the test is in the same process and holds a part or two itself; the file is 96 MiB.
  assert.ok(most - start < 72 * 1024 * 1024, `${Math.round((most - start) / 1024 / 1024)} MiB`)
})

test('leaves an upload that a sweep finds, and no file, when the process is killed', async () => {
  const module = (name: string): string =>
    JSON.stringify(new URL(`../../../src/adapters/files/${name}.js`, import.meta.url).href)
  const code = `
    import { fileStore } from ${module('storage')}
    import { noFileKeys } from ${module('storage-encryption')}
    import { s3Blobs } from ${module('storage-s3')}
    const store = fileStore(s3Blobs(${JSON.stringify(s3.settings({ prefix: 'killed/' }))}), noFileKeys)
    setInterval(() => 0, 1000)
    async function* half() {
      yield Buffer.alloc(${2 * STORE_PART_BYTES})
      await new Promise(() => 0)
    }
    await store.put('tenant', half(), { maxBytes: Infinity })`
  const known = s3.uploads().length
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' })
  // The second part is on its way when the first one has been taken.
  s3.intercept = (request) => {
    if (/partNumber=2/.test(request.url ?? '')) {
      child.kill('SIGKILL')
    }
    return false
  }
  await new Promise((resolve) => child.once('exit', resolve))
  assert.equal(child.signalCode, 'SIGKILL')
  assert.equal(s3.uploads().length, known + 1)
  const store = open({ prefix: 'killed/' })
  const dayAgo = new Date(Date.now() - 86_400_000)
  assert.equal(await store.sweep(dayAgo), 0)
  for (const id of s3.uploads()) {
    await s3.ageUpload(id, new Date(0))
  }
  assert.equal(await store.sweep(dayAgo), 1)
  assert.equal(s3.uploads().length, known)
  assert.deepEqual(
    s3.objects().filter((name) => name.startsWith('killed/')),
    [],
  )
})
