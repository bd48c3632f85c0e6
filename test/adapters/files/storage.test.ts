import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { after, before, beforeEach, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { type FileStore, fileStore, type ListedFile, localFileStore } from '../../../src/adapters/files/storage.js'
import { type FileKeys, noFileKeys } from '../../../src/adapters/files/storage-encryption.js'
import { s3Blobs } from '../../../src/adapters/files/storage-s3.js'
import { FatalError, Refusal, RetryableError } from '../../../src/errors.js'
import { TestS3 } from '../../helpers/s3.js'

/* What every store promises, asked of each of them; what only one of them can do, behind it. */

const TENANT = '0190a8b2-7c11-7e8e-9a55-0c2d3e4f5a6b'

const keys: FileKeys = { current: 'k1', byId: { k1: new Uint8Array(randomBytes(32)) } }

let root = ''
let directory = ''
let s3: TestS3
let store: FileStore
let count = 0

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'portage-store-'))
  s3 = await TestS3.start()
})

after(async () => {
  await rm(root, { recursive: true })
  await s3.close()
})

/** Names of all that is in the store's folder, or below its prefix. */
async function left(): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const objects = s3.objects().filter((name) => name.startsWith(`${count}/`))
  return [...files, ...objects, ...s3.uploads()]
}

function bytes(...parts: string[]): Readable {
  return Readable.from(parts.map((part) => Buffer.from(part)))
}

async function listed(tenantId: string): Promise<ListedFile[]> {
  const found: ListedFile[] = []
  for await (const page of store.list(tenantId)) {
    found.push(...page)
  }
  return found
}

function pathOf(key: string): string {
  return join(directory, key)
}

/** More than an upload's first part, different in every place. */
const large = createBytes(20 * 1024 * 1024 + 17)

function createBytes(length: number): Buffer {
  const block = randomBytes(1 << 20)
  return Buffer.concat(
    Array.from({ length: Math.ceil(length / block.length) }, (_, n) => {
      block.writeUInt32BE(n)
      return Buffer.from(block)
    }),
  ).subarray(0, length)
}

async function* slices(content: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += length) {
    await Promise.resolve()
    yield content.subarray(at, at + length)
  }
}

const stores: Readonly<Record<string, () => FileStore>> = {
  'a folder': () => localFileStore(directory),
  'an encrypted folder': () => localFileStore(directory, keys),
  'object storage': () => fileStore(s3Blobs(s3.settings({ prefix: `${count}/` })), noFileKeys),
  'encrypted object storage': () => fileStore(s3Blobs(s3.settings({ prefix: `${count}/` })), keys),
}

for (const [name, open] of Object.entries(stores)) {
  describe(`in ${name}`, () => {
    beforeEach(() => {
      count += 1
      directory = join(root, `${count}`)
      store = open()
    })
    contract()
  })
}

function contract(): void {
  test('keeps a file whole and gives it back, in parts too', async () => {
    const stored = await store.put(TENANT, bytes('hello ', 'wörld'), { maxBytes: 12 })
    assert.equal(stored.byteSize, 12)
    assert.equal(stored.sha256, createHash('sha256').update('hello wörld').digest('hex'))
    assert.ok(stored.key.startsWith(`${TENANT}/`))
    assert.equal(await text(store.read(stored.key)), 'hello wörld')
    assert.equal(await text(store.read(stored.key, { start: 6, end: 9 })), 'wö')
    assert.equal(await text(store.read(stored.key, { start: 9 })), 'rld')
    assert.equal((await buffer(store.read(stored.key, { start: 3, end: 3 }))).length, 0)
    assert.equal((await store.stat(stored.key))?.byteSize, 12)
  })

  test('takes any iterable of bytes', async () => {
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array([1, 2])
      yield new Uint8Array([])
      yield new Uint8Array([3])
    }
    const stored = await store.put(TENANT, chunks(), { maxBytes: 3 })
    assert.deepEqual([...(await buffer(store.read(stored.key)))], [1, 2, 3])
  })

  test('keeps the same content twice as two files', async () => {
    const first = await store.put(TENANT, bytes('a'), { maxBytes: 1 })
    const second = await store.put(TENANT, bytes('a'), { maxBytes: 1 })
    assert.notEqual(first.key, second.key)
    assert.equal(first.sha256, second.sha256)
  })

  test('refuses a byte too many and keeps nothing', async () => {
    const stream = bytes('12345', '6')
    await assert.rejects(store.put(TENANT, stream, { maxBytes: 5 }), (error) => {
      assert.ok(error instanceof Refusal)
      assert.equal(error.code, 'FILE_TOO_LARGE')
      assert.match(error.message, /5 bytes/)
      return true
    })
    assert.ok(stream.destroyed)
    assert.deepEqual(await left(), [])
    await assert.rejects(
      store.put(TENANT, bytes('x'.repeat(3 << 20)), { maxBytes: 2 << 20 }),
      /2 MiB \(2097152 bytes\)/,
    )
  })

  test('keeps nothing of a stream that fails', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half')
      throw new Error('the client is gone')
    }
    await assert.rejects(store.put(TENANT, broken(), { maxBytes: 100 }), /the client is gone/)
    await assert.rejects(store.put(TENANT, Readable.from(broken()), { maxBytes: 100 }), /the client is gone/)
    assert.deepEqual(await left(), [])
  })

  test('keeps nothing of an upload that is aborted while it waits for bytes', async () => {
    const controller = new AbortController()
    let asked = 0
    const stream = new Readable({
      read() {
        asked += 1
        if (asked === 1) {
          this.push('half')
        } else {
          controller.abort(new Error('stopping'))
        }
      },
    })
    await assert.rejects(store.put(TENANT, stream, { maxBytes: 100, signal: controller.signal }), /stopping/)
    assert.ok(stream.destroyed)
    assert.deepEqual(await left(), [])
    await assert.rejects(store.put(TENANT, bytes('a'), { maxBytes: 1, signal: controller.signal }), /stopping/)
    assert.deepEqual(await left(), [])
  })

  test('deletes a file, also twice', async () => {
    const { key } = await store.put(TENANT, bytes('a'), { maxBytes: 1 })
    await store.delete(key)
    await store.delete(key)
    assert.equal(await store.stat(key), null)
    await assert.rejects(text(store.read(key)), (error) => {
      assert.ok(error instanceof FatalError)
      assert.equal(error.code, 'FILE_UNREADABLE')
      assert.ok(!error.message.includes(directory))
      return true
    })
  })

  test('takes no key that it did not give out', async () => {
    await store.put(TENANT, bytes('a'), { maxBytes: 1 })
    const id = 'a'.repeat(32)
    const hostile = [
      '',
      id,
      `../${id}`,
      `${TENANT}/../${id}`,
      `${TENANT}/..`,
      `/${TENANT}/${id}`,
      `${TENANT}//${id}`,
      `${TENANT}\\${id}`,
      `${TENANT}/${id}\0`,
      `${TENANT}/${id}\n`,
      `${TENANT}/${id}/`,
      `${TENANT}/${id.toUpperCase()}`,
      `tmp/${id}`,
      `./${id}`,
      `${TENANT}/%2e%2e`,
    ]
    for (const key of hostile) {
      const invalid = { name: 'FatalError', code: 'FILE_KEY_INVALID' }
      assert.throws(() => store.openBytes(key), invalid, key)
      await assert.rejects(store.location(key), invalid, key)
      assert.throws(() => store.read(key), invalid, key)
      await assert.rejects(store.stat(key), invalid, key)
      await assert.rejects(store.delete(key), invalid, key)
    }
    for (const tenant of ['', '..', '.', 'tmp', 'a/b', '../a', 'a\0', 'x'.repeat(65)]) {
      await assert.rejects(store.put(tenant, bytes('a'), { maxBytes: 1 }), { code: 'FILE_KEY_INVALID' }, tenant)
    }
  })

  test('keeps a file of several parts, and reads it from anywhere', async () => {
    const stored = await store.put(TENANT, slices(large, 700_001), { maxBytes: large.length })
    assert.equal(stored.byteSize, large.length)
    assert.equal(stored.sha256, createHash('sha256').update(large).digest('hex'))
    assert.equal((await store.stat(stored.key))?.byteSize, large.length)
    assert.ok((await buffer(store.read(stored.key))).equals(large))
    await using reader = await store.openBytes(stored.key)()
    assert.equal(reader.byteSize, large.length)
    const target = Buffer.alloc(300_000)
    for (const [position, length] of [
      [0, 10],
      [10, 100],
      [65_535, 2],
      [65_536, 65_536],
      [3_000_000, 300_000],
      [2_999_999, 300_000],
      [8 * 1024 * 1024 - 1, 2],
      [large.length - 5, 100],
    ] as const) {
      let filled = 0
      while (filled < length) {
        const read = await reader.read(target, filled, length - filled, position + filled)
        if (read === 0) {
          break
        }
        filled += read
      }
      assert.equal(filled, Math.min(length, large.length - position))
      assert.ok(target.subarray(0, filled).equals(large.subarray(position, position + filled)), `${position}`)
    }
    assert.equal(await reader.read(target, 0, 10, large.length), 0)
  })

  test('keeps nothing of a file of several parts that fails, is too large or is aborted', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* slices(large, 1 << 20)
      throw new Error('the client is gone')
    }
    await assert.rejects(store.put(TENANT, broken(), { maxBytes: Infinity }), /the client is gone/)
    assert.deepEqual(await left(), [])
    const limit = 17 * 1024 * 1024
    await assert.rejects(store.put(TENANT, slices(large, 1 << 20), { maxBytes: limit }), { code: 'FILE_TOO_LARGE' })
    assert.deepEqual(await left(), [])
    const controller = new AbortController()
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield* slices(large, 1 << 20)
      controller.abort(new Error('stopping'))
      yield large
    }
    await assert.rejects(store.put(TENANT, slow(), { maxBytes: Infinity, signal: controller.signal }), /stopping/)
    assert.deepEqual(await left(), [])
  })

  test('keeps files at the edges of a segment', async () => {
    for (const length of [0, 1, 65_535, 65_536, 65_537, 131_072]) {
      const content = large.subarray(0, length)
      const { key, byteSize } = await store.put(TENANT, slices(content, 10_000), { maxBytes: length })
      assert.equal(byteSize, length)
      assert.equal((await store.stat(key))?.byteSize, length)
      assert.ok((await buffer(store.read(key))).equals(content), `${length}`)
    }
  })

  test('is read by a thread that has nothing but the location', async () => {
    const { key } = await store.put(TENANT, slices(large, 1 << 20), { maxBytes: Infinity })
    const code = `
      const { parentPort, workerData } = require('node:worker_threads')
      import(workerData.module).then(async ({ openLocation }) => {
        const reader = await openLocation(workerData.location)
        const target = new Uint8Array(100)
        const read = await reader.read(target, 0, 100, 1000)
        await reader[Symbol.asyncDispose]()
        parentPort.postMessage({ size: reader.byteSize, bytes: target.slice(0, read) })
      })`
    const thread = new Worker(code, {
      eval: true,
      env: {},
      workerData: {
        module: new URL('../../../src/adapters/files/storage.js', import.meta.url).href,
        location: await store.location(key),
      },
    })
    const answer = await new Promise<{ size: number; bytes: Uint8Array }>((resolve, reject) => {
      thread.on('message', resolve).on('error', reject)
    })
    await thread.terminate()
    assert.equal(answer.size, large.length)
    assert.ok(large.subarray(1000, 1000 + answer.bytes.length).equals(answer.bytes) && answer.bytes.length > 0)
  })

  test('lists the files of one tenant, in order', async () => {
    const mine: string[] = []
    for (let n = 0; n < 3; n += 1) {
      mine.push((await store.put(TENANT, bytes('a'), { maxBytes: 1 })).key)
    }
    await store.put('another', bytes('a'), { maxBytes: 1 })
    const found = await listed(TENANT)
    assert.deepEqual(
      found.map(({ key }) => key),
      mine.toSorted(),
    )
    assert.ok(found.every(({ storedAt }) => Math.abs(storedAt.getTime() - Date.now()) < 60_000))
    assert.deepEqual(await listed('nobody'), [])
  })

  test('says when a file is gone that is being read', async () => {
    const { key } = await store.put(TENANT, bytes('a'), { maxBytes: 1 })
    const open = store.openBytes(key)
    await store.delete(key)
    await assert.rejects(open(), { name: 'FatalError', code: 'FILE_UNREADABLE' })
  })
}

describe('in a folder alone', () => {
  beforeEach(() => {
    count += 1
    directory = join(root, `${count}`)
    store = localFileStore(directory)
  })

  test('lets nobody else read, write or list', { skip: process.platform === 'win32' }, async () => {
    const { key } = await store.put(TENANT, bytes('a'), { maxBytes: 1 })
    assert.equal((await stat(pathOf(key))).mode & 0o777, 0o600)
    assert.equal((await stat(join(directory, TENANT))).mode & 0o777, 0o700)
    assert.equal((await stat(join(directory, 'tmp'))).mode & 0o777, 0o700)
  })

  test('shows no file under its key before it is whole', async () => {
    let during: string[] = []
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first')
      during = await left()
      yield Buffer.from('second')
    }
    const { key } = await store.put(TENANT, slow(), { maxBytes: 100 })
    assert.equal(during.length, 1)
    // Whose it is stands in its name: the start of the machine, and the process.
    assert.match(during[0] ?? '', new RegExp(`^${join(directory, 'tmp')}/\\w+-${process.pid}-\\w+$`))
    assert.deepEqual(await left(), [pathOf(key)])
  })

  test('fails as stores do where the folder cannot be used, without naming a path', async () => {
    await mkdir(directory)
    // A file where the tenant's folder would be: nobody can write or read there, whoever runs the test.
    await writeFile(join(directory, TENANT), 'in the way')
    const key = `${TENANT}/${'0'.repeat(32)}`
    const failures = {
      FILE_WRITE_FAILED: [() => store.put(TENANT, bytes('a'), { maxBytes: 1 }), () => store.delete(key)],
      FILE_READ_FAILED: [() => store.stat(key), () => listed(TENANT), () => store.openBytes(key)()],
    }
    for (const [code, calls] of Object.entries(failures)) {
      for (const call of calls) {
        await assert.rejects(call(), (error: unknown) => {
          assert.ok(error instanceof RetryableError)
          assert.equal(error.code, code)
          assert.ok(
            !inspect(error)
              .replace(/^ +at .*$/gm, '')
              .includes(directory),
            'no path in message or cause',
          )
          return true
        })
      }
    }
    assert.deepEqual(await left(), [join(directory, TENANT)])
  })

  test('says what the stream said that could not be stored', async () => {
    const failure = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' })
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(0)
      await Promise.reject(failure)
    }
    await assert.rejects(store.put(TENANT, broken(), { maxBytes: 1 }), failure)
  })

  test('sweeps what broken uploads left, and nothing else', async () => {
    assert.equal(await store.sweep(new Date()), 0)
    const { key } = await store.put(TENANT, bytes('a'), { maxBytes: 1 })
    const stale = join(directory, 'tmp', '1-stale')
    const fresh = join(directory, 'tmp', '1-fresh')
    await writeFile(stale, 'a')
    await writeFile(fresh, 'a')
    const hourAgo = new Date(Date.now() - 3_600_000)
    await utimes(stale, hourAgo, hourAgo)
    await utimes(pathOf(key), hourAgo, hourAgo)
    assert.equal(await store.sweep(new Date(Date.now() - 900_000)), 1)
    assert.deepEqual((await left()).sort(), [fresh, pathOf(key)].sort())
  })
})
