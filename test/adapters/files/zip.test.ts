import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ByteReader } from '../../../src/adapters/files/bytes.js'
import { openZip, type Zip } from '../../../src/adapters/files/zip.js'
import { Refusal, RetryableError } from '../../../src/errors.js'
import { ARCHIVE_ENTRIES_MAX, UNPACK_RATIO_BYTES_MIN } from '../../../src/limits.js'
import { Random } from '../../helpers/random.js'
import { bytesOf, type ZipPart, zipOf } from '../../helpers/zip-file.js'

async function textOf(zip: Zip, name: string, maxBytes?: number): Promise<string> {
  const entry = zip.entries.find((each) => each.name === name)
  assert.ok(entry !== undefined, `${name} is not there`)
  const blocks: Uint8Array[] = []
  for await (const block of zip.read(entry, undefined, maxBytes)) {
    blocks.push(block)
  }
  return Buffer.concat(blocks).toString()
}

/** Opens and reads all that there is. */
async function readAll(data: Uint8Array): Promise<[string, string][]> {
  const zip = await openZip(bytesOf(data))
  const found: [string, string][] = []
  for (const { name } of zip.entries) {
    found.push([name, await textOf(zip, name)])
  }
  return found
}

const two: readonly ZipPart[] = [
  { name: 'a.csv', data: 'Name,City\nAda,London\n' },
  { name: 'folder/b.txt', data: 'stored', method: 0 },
]
const twoRead = [
  ['a.csv', 'Name,City\nAda,London\n'],
  ['folder/b.txt', 'stored'],
]

for (const [what, data] of [
  ['an ordinary archive', zipOf(two)],
  ['sizes behind the data', zipOf(two.map((part) => ({ ...part, descriptor: true })))],
  [
    '64-bit sizes and offsets',
    zipOf(
      two.map((part) => ({ ...part, zip64: true })),
      { zip64: true },
    ),
  ],
  ['bytes before the archive', zipOf(two, { prefix: '#!/bin/sh\nexec unpack "$0"\n' })],
  ['bytes before an archive with 64-bit offsets', zipOf(two, { zip64: true, prefix: 'MIME-Version: 1.0\n' })],
  ['bytes behind the archive', zipOf(two, { suffix: '\n'.repeat(1000) })],
  ['a comment', zipOf(two, { comment: 'made by hand' })],
  ['folders', zipOf([{ name: 'folder/', data: '', method: 0 }, ...two])],
  ['a file twice, the same', zipOf([...two, { name: 'a.csv', data: 'Name,City\nAda,London\n' }])],
] as const) {
  test(`reads ${what}`, async () => assert.deepEqual(await readAll(data), twoRead))
}

test('reads an archive without files', async () => assert.deepEqual(await readAll(zipOf([])), []))

test('reads in small steps, and large files block by block', async () => {
  const random = new Random(1)
  const data = Buffer.from(Array.from({ length: 400_000 }, () => random.below(256)))
  const zip = await openZip(bytesOf(zipOf([{ name: 'large', data }]), 777))
  const [entry] = zip.entries
  assert.ok(entry !== undefined)
  const blocks: Uint8Array[] = []
  for await (const block of zip.read(entry)) {
    blocks.push(block)
  }
  assert.ok(blocks.length > 2)
  assert.ok(Buffer.concat(blocks).equals(data))
})

test('does not unpack what nobody takes', async () => {
  const data = Buffer.alloc(50_000_000, 'all alike, ')
  const zip = await openZip(bytesOf(zipOf([{ name: 'large', data }])), {
    entries: 1,
    unpackedBytes: 2_000_000,
    ratio: Infinity,
    ratioBytes: 0,
  })
  const [entry] = zip.entries
  assert.ok(entry !== undefined)
  for await (const block of zip.read(entry)) {
    assert.ok(block.byteLength > 0)
    break
  }
})

test('throws the reason when aborted', async () => {
  const zip = await openZip(bytesOf(zipOf([{ name: 'large', data: Buffer.alloc(1_000_000) }])))
  const [entry] = zip.entries
  assert.ok(entry !== undefined)
  const stop = new AbortController()
  const read = async (): Promise<void> => {
    for await (const _ of zip.read(entry, stop.signal)) {
      stop.abort(new Error('enough'))
    }
  }
  await assert.rejects(read(), /enough/)
})

/** What is refused is refused with this code, whether at opening or at reading. */
const refused: readonly (readonly [string, string, Uint8Array])[] = [
  ['an empty file', 'FILE_UNREADABLE', Buffer.alloc(0)],
  ['a text', 'FILE_UNREADABLE', Buffer.from('Name,City\nAda,London\n'.repeat(100))],
  ['an archive without its end', 'FILE_UNREADABLE', zipOf(two).subarray(0, -30)],
  ['an archive without its beginning', 'FILE_UNREADABLE', zipOf(two).subarray(70)],
  ['a wrong checksum', 'FILE_UNREADABLE', zipOf([{ name: 'a', data: 'abc', said: { crc32: 1 } }])],
  ['a size that says too much', 'FILE_UNREADABLE', zipOf([{ name: 'a', data: 'abc', said: { unpacked: 4 } }])],
  ['a size that says too little', 'FILE_UNREADABLE', zipOf([{ name: 'a', data: 'abc', said: { unpacked: 2 } }])],
  ['an unknown method', 'FILE_UNREADABLE', zipOf([{ name: 'a', data: 'abc', method: 14 }])],
  ['two different files of one name', 'FILE_UNREADABLE', zipOf([...two, { name: 'a.csv', data: 'other' }])],
  ['a file with a password', 'FILE_ENCRYPTED', zipOf([{ name: 'a', data: 'abc', flags: 1 }])],
  ['a directory with strong encryption', 'FILE_ENCRYPTED', zipOf([{ name: 'a', data: 'abc', flags: 0x41 }])],
  ['a name that leads upwards', 'FILE_UNSAFE', zipOf([{ name: 'a/../../b', data: '' }])],
  ['a name that leads upwards with backslashes', 'FILE_UNSAFE', zipOf([{ name: '..\\b', data: '' }])],
  ['an absolute name', 'FILE_UNSAFE', zipOf([{ name: '/etc/passwd', data: '' }])],
  ['a name with a drive', 'FILE_UNSAFE', zipOf([{ name: 'C:/a', data: '' }])],
  ['a name with a NUL', 'FILE_UNSAFE', zipOf([{ name: 'a.csv\0.exe', data: '' }])],
  ['files that share their bytes', 'FILE_UNSAFE', zipOf([two[0]!, { ...two[0]!, name: 'b', said: { offset: 0 } }])],
  ['a file that reaches into the next', 'FILE_UNSAFE', zipOf([{ ...two[0]!, said: { packed: 60 } }, two[1]!])],
  ['a file that reaches into the directory', 'FILE_UNSAFE', zipOf([{ ...two[0]!, said: { packed: 60 } }])],
  ['a bomb', 'FILE_UNSAFE', zipOf([{ name: 'a', data: Buffer.alloc(UNPACK_RATIO_BYTES_MIN + 1) }])],
  [
    'a bomb that tells a small size',
    'FILE_UNSAFE',
    zipOf([{ name: 'a', data: Buffer.alloc(UNPACK_RATIO_BYTES_MIN + 1), said: { unpacked: 10 } }]),
  ],
  [
    'too many files',
    'FILE_UNSAFE',
    zipOf(
      Array.from({ length: ARCHIVE_ENTRIES_MAX + 1 }, (_, index) => ({ name: String(index), data: '', method: 0 })),
    ),
  ],
]

for (const [what, code, data] of refused) {
  test(`refuses ${what} with ${code}`, async () => {
    await assert.rejects(readAll(data), (error) => {
      assert.ok(error instanceof Refusal, String(error))
      assert.equal(error.code, code)
      return true
    })
  })
}

test('takes as many files, and as small ones packed as tightly, as the limits say', async () => {
  const many = Array.from({ length: ARCHIVE_ENTRIES_MAX }, (_, index) => ({ name: String(index), data: '', method: 0 }))
  assert.equal((await openZip(bytesOf(zipOf(many)))).entries.length, ARCHIVE_ENTRIES_MAX)
  const tight = await readAll(zipOf([{ name: 'a', data: Buffer.alloc(UNPACK_RATIO_BYTES_MIN) }]))
  assert.equal(tight[0]?.[1].length, UNPACK_RATIO_BYTES_MIN)
})

test('counts what all files unpack to, each once [UP-2]', async () => {
  const limits = { entries: 10, unpackedBytes: 27, ratio: 10, ratioBytes: 1000 }
  const zip = await openZip(bytesOf(zipOf(two)), limits)
  await textOf(zip, 'a.csv')
  await textOf(zip, 'a.csv')
  await textOf(zip, 'folder/b.txt')
  const small = await openZip(bytesOf(zipOf(two)), { ...limits, unpackedBytes: 26 })
  await textOf(small, 'a.csv')
  await assert.rejects(textOf(small, 'folder/b.txt'), { code: 'LIMIT_EXCEEDED' })
})

test('holds one file to the bytes that its reader wants at most', async () => {
  const zip = await openZip(bytesOf(zipOf(two)))
  assert.equal(await textOf(zip, 'folder/b.txt', 6), 'stored')
  await assert.rejects(textOf(zip, 'folder/b.txt', 5), { code: 'LIMIT_EXCEEDED' })
})

test('passes on what the store throws', async () => {
  const failing = (from: number): ByteReader => {
    const bytes = bytesOf(zipOf(two))
    let reads = 0
    return {
      ...bytes,
      read: (...call) => {
        reads += 1
        return reads > from
          ? Promise.reject(new RetryableError('FILE_READ_FAILED', 'The store is away.'))
          : bytes.read(...call)
      },
    }
  }
  await assert.rejects(openZip(failing(0)), RetryableError)
  await assert.rejects(openZip(failing(2)), RetryableError)
  const zip = await openZip(failing(3))
  await assert.rejects(textOf(zip, 'a.csv'), RetryableError)
})

test('two thousand damaged archives end in a refusal or in the right bytes', async () => {
  const whole = [
    zipOf(two),
    zipOf(
      two.map((part) => ({ ...part, zip64: true })),
      { zip64: true },
    ),
    zipOf(
      two.map((part) => ({ ...part, descriptor: true })),
      { prefix: 'junk', suffix: 'junk' },
    ),
  ]
  for (let seed = 0; seed < 2000; seed += 1) {
    const random = new Random(seed)
    let data = Buffer.from(random.pick(whole))
    for (let changes = random.below(3); changes >= 0; changes -= 1) {
      const at = random.below(data.length)
      if (random.chance(0.2)) {
        data = Buffer.from(random.chance(0.5) ? data.subarray(0, at + 1) : data.subarray(at))
      } else {
        data[at] = random.below(256)
      }
    }
    try {
      for (const [name, text] of await readAll(data)) {
        const right = twoRead.some(([, expected]) => expected === text) || text === ''
        assert.ok(right, `seed ${seed}: ${name} came out wrong`)
      }
    } catch (error) {
      assert.ok(error instanceof Refusal, `seed ${seed}: ${String(error)}`)
    }
  }
})
