/** What a process keeps of files for previews: little, not for long, and each file by itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FileHead, HeadCache } from '../../src/resolvers/preview-rows.js'

function head(text: string): FileHead {
  const row = { number: 2, byte: 0, end: 1, cells: [text], fault: null }
  return { detection: { columns: [] } as unknown as FileHead['detection'], rows: [row], evidence: [] }
}

/** About 1,000 bytes each. */
const big = (mark: string): FileHead => head(mark.repeat(480))

const limits = { bytesMax: 3_500, loadingBytes: 1_000, msMax: 1_000 }

test('a head is read once for all who ask at the same time and after', async () => {
  const cache = new HeadCache(limits)
  let reads = 0
  const load = () => {
    reads++
    return Promise.resolve(big('a'))
  }
  const [first, second] = await Promise.all([cache.get('a', load), cache.get('a', load)])
  assert.equal(first, second)
  assert.equal(await cache.get('a', load), first)
  assert.equal(reads, 1)
  assert.notEqual(await cache.get('b', () => Promise.resolve(big('b'))), first)
})

test('what was asked for longest ago goes first, and memory stays bounded', async () => {
  const cache = new HeadCache(limits)
  const reads: string[] = []
  const get = async (key: string) => {
    await cache.get(key, () => {
      reads.push(key)
      return Promise.resolve(big(key))
    })
    assert.ok(cache.bytes <= limits.bytesMax, `${cache.bytes}`)
  }
  for (const key of ['a', 'b', 'c', 'a', 'd', 'a', 'b']) {
    await get(key)
  }
  assert.deepEqual(reads, ['a', 'b', 'c', 'd', 'b'])
})

test('one that is larger than all that may be kept is kept until the next one comes', async () => {
  const cache = new HeadCache(limits)
  await cache.get('a', () => Promise.resolve(head('x'.repeat(10_000))))
  await cache.get('b', () => Promise.resolve(big('b')))
  assert.ok(cache.bytes <= limits.bytesMax)
})

test('one that could not be read is tried again', async () => {
  const cache = new HeadCache(limits)
  await assert.rejects(
    cache.get('a', () => Promise.reject(new Error('away'))),
    /away/,
  )
  assert.equal(cache.bytes, 0)
  assert.equal((await cache.get('a', () => Promise.resolve(big('a')))).rows.length, 1)
})

test('a head is forgotten after its time, however often it is asked for', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const cache = new HeadCache(limits)
  let reads = 0
  const load = () => {
    reads++
    return Promise.resolve(big('a'))
  }
  await cache.get('a', load)
  t.mock.timers.tick(limits.msMax - 1)
  await cache.get('a', load)
  assert.equal(reads, 1)
  t.mock.timers.tick(1)
  assert.equal(cache.bytes, 0)
  await cache.get('a', load)
  assert.equal(reads, 2)
})
