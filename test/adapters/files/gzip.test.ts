import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { ByteReader } from '../../../src/adapters/files/bytes.js'
import { type GzipLimits, gunzip } from '../../../src/adapters/files/gzip.js'
import { GZIP_SMALL_PART_BYTES } from '../../../src/limits.js'

function held(bytes: Buffer): ByteReader {
  return {
    byteSize: bytes.length,
    read: (target, at, length, position) => Promise.resolve(bytes.copy(target, at, position, position + length)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

async function unpacked(bytes: Buffer, limits: GzipLimits = {}): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of gunzip(held(bytes), limits)) {
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

const text = 'Name,City\n'.repeat(50_000)

test('a file is unpacked to its end', async () => {
  assert.equal(await unpacked(gzipSync(text)), text)
  assert.equal(await unpacked(gzipSync('')), '')
})

test('several members are one file', async () => {
  assert.equal(await unpacked(Buffer.concat([gzipSync('a\n'), gzipSync(text), gzipSync('b\n')])), `a\n${text}b\n`)
})

test('what stands behind the last member is passed over', async () => {
  for (const junk of [Buffer.alloc(600), Buffer.from('junk that is none'), Buffer.from([0x1f, 0x8b, 1, 2, 3])]) {
    assert.ok((await unpacked(Buffer.concat([gzipSync(text), junk]))) === text)
  }
})

test('a file that breaks off or was changed is refused', async () => {
  const whole = gzipSync(text)
  await assert.rejects(unpacked(whole.subarray(0, whole.length - 9)), {
    code: 'FILE_UNREADABLE',
    message: /breaks off/,
  })
  const changed = Buffer.from(whole)
  changed[whole.length - 6]! ^= 1
  await assert.rejects(unpacked(changed), { name: 'Refusal', code: 'FILE_UNREADABLE', message: /damaged/ })
  await assert.rejects(unpacked(Buffer.from([0x1f, 0x8b, 9, 9, 9, 9])), { name: 'Refusal', code: 'FILE_UNREADABLE' })
})

test('what comes out is counted: up to the limits it is read, above it is refused', async () => {
  const packed = gzipSync(text)
  assert.equal((await unpacked(packed, { unpackedBytes: text.length })).length, text.length)
  await assert.rejects(unpacked(packed, { unpackedBytes: text.length - 1 }), { code: 'LIMIT_EXCEEDED' })
  const ratio = text.length / packed.length
  assert.equal((await unpacked(packed, { ratio: Math.ceil(ratio), ratioBytes: 0 })).length, text.length)
  await assert.rejects(unpacked(packed, { ratio: Math.floor(ratio / 4), ratioBytes: 0 }), { code: 'FILE_UNSAFE' })
})

test('a bomb is refused long before it has unpacked [UP-2]', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  let seen = 0
  await assert.rejects(
    async () => {
      for await (const part of gunzip(held(bomb))) {
        seen += part.length
      }
    },
    { name: 'Refusal', code: 'FILE_UNSAFE' },
  )
  assert.ok(seen < 13 * 1024 * 1024, String(seen))
})

test('members that hold nothing are taken up to a limit, whatever their headers say', async () => {
  const empty = gzipSync('')
  const named = Buffer.concat([
    empty.subarray(0, 3),
    Buffer.from([8]),
    empty.subarray(4, 10),
    Buffer.from('people.csv\0'),
  ])
  const members = (count: number) =>
    Buffer.concat([
      gzipSync('a\n'),
      ...Array.from({ length: count }, (_, at) => (at % 2 === 0 ? empty : Buffer.concat([named, empty.subarray(10)]))),
      gzipSync('b\n'),
    ])
  assert.equal(await unpacked(members(20), { emptyMembers: 20 }), 'a\nb\n')
  await assert.rejects(unpacked(members(21), { emptyMembers: 20 }), { name: 'Refusal', code: 'FILE_UNSAFE' })
})

test('members that hold next to nothing are taken up to a limit, and larger ones beyond it', async () => {
  const members = (count: number, content: string) => Buffer.concat(Array<Buffer>(count).fill(gzipSync(content)))
  const large = 'x'.repeat(GZIP_SMALL_PART_BYTES)
  assert.equal((await unpacked(members(20, 'a'), { smallMembers: 20 })).length, 20)
  await assert.rejects(unpacked(members(21, large.slice(1)), { smallMembers: 20 }), {
    name: 'Refusal',
    code: 'FILE_UNSAFE',
    message: /Pack it again/,
  })
  assert.equal((await unpacked(members(21, large), { smallMembers: 20 })).length, 21 * large.length)
})

test('leaving the loop ends the unpacking', async () => {
  for await (const part of gunzip(held(gzipSync(text)))) {
    assert.ok(part.length > 0)
    break
  }
})
