import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { after, before, beforeEach, test } from 'node:test'
import { type FileStore, localFileStore } from '../../../src/adapters/files/storage.js'
import { FatalError, Refusal } from '../../../src/errors.js'

const TENANT = '0190a8b2-7c11-7e8e-9a55-0c2d3e4f5a6b'

let root = ''
let directory = ''
let store: FileStore
let count = 0

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'portage-store-'))
})

beforeEach(() => {
  count += 1
  directory = join(root, `${count}`)
  store = localFileStore(directory)
})

after(async () => {
  await rm(root, { recursive: true })
})

/** All files below the store's directory. */
async function left(): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

function pathOf(key: string): string {
  return join(directory, key)
}

function bytes(...parts: string[]): Readable {
  return Readable.from(parts.map((part) => Buffer.from(part)))
}

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

test('lets nobody else read, write or list', { skip: process.platform === 'win32' }, async () => {
  const { key } = await store.put(TENANT, bytes('a'), { maxBytes: 1 })
  assert.equal((await stat(pathOf(key))).mode & 0o777, 0o600)
  assert.equal((await stat(join(directory, TENANT))).mode & 0o777, 0o700)
  assert.equal((await stat(join(directory, 'tmp'))).mode & 0o777, 0o700)
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
  await assert.rejects(store.put(TENANT, bytes('x'.repeat(3 << 20)), { maxBytes: 2 << 20 }), /2 MiB \(2097152 bytes\)/)
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

test('shows no file under its key before it is whole', async () => {
  let during: string[] = []
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('first')
    during = await left()
    yield Buffer.from('second')
  }
  const { key } = await store.put(TENANT, slow(), { maxBytes: 100 })
  assert.equal(during.length, 1)
  assert.ok(during[0]?.startsWith(join(directory, 'tmp', `${process.pid}-`)))
  assert.deepEqual(await left(), [pathOf(key)])
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
