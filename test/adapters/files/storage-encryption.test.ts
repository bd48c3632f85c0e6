import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import type { OpenBytes } from '../../../src/adapters/files/bytes.js'
import { localFileStore } from '../../../src/adapters/files/storage.js'
import type { FileKeys } from '../../../src/adapters/files/storage-encryption.js'
import { STORE_SEGMENT_BYTES } from '../../../src/limits.js'

const TENANT = 'tenant'

const HEADER = 91
const SEGMENT = STORE_SEGMENT_BYTES + 16

const first = new Uint8Array(randomBytes(32))
const second = new Uint8Array(randomBytes(32))
const keys: FileKeys = { current: 'k1', byId: { k1: first } }

let directory = ''
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portage-encryption-'))
})
after(() => rm(directory, { recursive: true }))

const plain = randomBytes(3 * STORE_SEGMENT_BYTES + 1000)
const damaged = { name: 'FatalError', code: 'FILE_UNREADABLE' }

async function put(content: Uint8Array, by = keys): Promise<string> {
  const stored = await localFileStore(directory, by).put(TENANT, Readable.from([content]), { maxBytes: Infinity })
  return stored.key
}

/** The file with its bytes changed: what reading it to the end answers. */
async function tampered(change: (bytes: Buffer) => Buffer): Promise<Buffer> {
  const key = await put(plain)
  const path = join(directory, key)
  await writeFile(path, change(await readFile(path)))
  return buffer(localFileStore(directory, keys).read(key))
}

test('keeps nothing on the disk that the file held', async () => {
  const key = await put(Buffer.from('grace@example.com,'.repeat(10_000)))
  const stored = await readFile(join(directory, key))
  assert.ok(!stored.includes('grace'))
  assert.ok(key.endsWith('.enc'))
  // Twice the same is twice something else.
  const again = await readFile(join(directory, await put(Buffer.from('grace@example.com,'.repeat(10_000)))))
  assert.ok(!again.subarray(HEADER, HEADER + 100).equals(stored.subarray(HEADER, HEADER + 100)))
  assert.equal(stored.length, 180_000 + HEADER + 3 * 16)
})

test('notices a bit that was turned, wherever it stands', async () => {
  assert.ok((await tampered((bytes) => bytes)).equals(plain))
  const length = HEADER + plain.length + 4 * 16
  const places = [
    0,
    7,
    8,
    20,
    24,
    31,
    43,
    80,
    90,
    HEADER,
    HEADER + SEGMENT - 1,
    HEADER + SEGMENT,
    length - 17,
    length - 1,
  ]
  for (const place of places) {
    const turned = tampered((bytes) => {
      bytes[place] = (bytes[place] ?? 0) ^ 1
      return bytes
    })
    // A changed name of the master key is an unknown key, which the operator may still add.
    await assert.rejects(turned, place >= 8 && place < 24 ? { code: /^FILE_/ } : damaged, `${place}`)
  }
})

test('notices segments that were cut off, left out, doubled or swapped', async () => {
  const at = (number: number): number => HEADER + number * SEGMENT
  const changes: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
    'the last segment': (bytes) => bytes.subarray(0, at(3)),
    'a byte of the last segment': (bytes) => bytes.subarray(0, -1),
    'all but the header': (bytes) => bytes.subarray(0, HEADER),
    everything: (bytes) => bytes.subarray(0, 0),
    'one in the middle': (bytes) => Buffer.concat([bytes.subarray(0, at(1)), bytes.subarray(at(2))]),
    'two changed places': (bytes) =>
      Buffer.concat([
        bytes.subarray(0, at(0)),
        bytes.subarray(at(1), at(2)),
        bytes.subarray(at(0), at(1)),
        bytes.subarray(at(2)),
      ]),
    'one more at the end': (bytes) => Buffer.concat([bytes, bytes.subarray(at(3))]),
  }
  for (const [what, change] of Object.entries(changes)) {
    await assert.rejects(tampered(change), damaged, what)
  }
  const empty = await put(new Uint8Array(0))
  const path = join(directory, empty)
  await writeFile(path, (await readFile(path)).subarray(0, HEADER))
  await assert.rejects(buffer(localFileStore(directory, keys).read(empty)), damaged)
})

test('notices a file that was cut just behind the beginning of a segment, however it is read', async () => {
  const store = localFileStore(directory, keys)
  for (const segments of [1, 2]) {
    for (const tail of [1, 15, 16]) {
      const key = await put(plain)
      const path = join(directory, key)
      await writeFile(path, (await readFile(path)).subarray(0, HEADER + segments * SEGMENT + tail))
      await assert.rejects(buffer(store.read(key)), damaged, `${segments} segments and ${tail} bytes`)
      await assert.rejects(inBlocks(store.openBytes(key)), damaged, `${segments} segments and ${tail} bytes in blocks`)
    }
  }
})

async function inBlocks(open: OpenBytes): Promise<void> {
  await using reader = await open()
  const block = Buffer.alloc(10_000)
  for (let at = 0; at < reader.byteSize; ) {
    const read = await reader.read(block, 0, Math.min(block.length, reader.byteSize - at), at)
    assert.ok(read > 0)
    at += read
  }
}

test('notices a file in the place of another', async () => {
  const one = await put(Buffer.from('one'))
  const two = await put(Buffer.from('two'))
  await rename(join(directory, one), join(directory, two))
  await assert.rejects(buffer(localFileStore(directory, keys).read(two)), damaged)
})

test('reads a part of a file whose other parts are damaged', async () => {
  const key = await put(plain)
  const path = join(directory, key)
  const bytes = await readFile(path)
  bytes.fill(0, HEADER, HEADER + SEGMENT)
  await writeFile(path, bytes)
  const store = localFileStore(directory, keys)
  const range = { start: STORE_SEGMENT_BYTES + 5, end: 2 * STORE_SEGMENT_BYTES + 5 }
  assert.ok((await buffer(store.read(key, range))).equals(plain.subarray(range.start, range.end)))
  await assert.rejects(buffer(store.read(key, { end: 1 })), damaged)
})

test('reads files of an older key, and of none, beside those of the current one', async () => {
  const unencrypted = await put(Buffer.from('plain'), { current: null, byId: {} })
  const old = await put(Buffer.from('old'))
  const rotated: FileKeys = { current: 'k2', byId: { k2: second, k1: first } }
  const recent = await put(Buffer.from('recent'), rotated)
  const store = localFileStore(directory, rotated)
  assert.deepEqual(await Promise.all([unencrypted, old, recent].map((key) => text(store.read(key)))), [
    'plain',
    'old',
    'recent',
  ])
  const missing = { name: 'RetryableError', code: 'FILE_READ_FAILED', message: /key/ }
  await assert.rejects(text(localFileStore(directory, keys).read(recent)), missing)
  await assert.rejects(text(localFileStore(directory).read(old)), missing)
  await assert.rejects(text(localFileStore(directory, { current: 'k1', byId: { k1: second } }).read(old)), damaged)
})
