import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openZip } from '../../../src/adapters/files/zip.js'
import { ZipWriter } from '../../../src/adapters/files/zip-writer.js'
import { bytesOf } from '../../helpers/zip-file.js'
import { random } from './random.js'

const at = new Date('2026-03-04T05:06:08Z')

async function* blocksOf(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += size) {
    yield bytes.subarray(from, from + size)
  }
}

/** Lines that repeat like those of a table, and some bytes that cannot be packed. */
function content(seed: number, lines: number): Buffer {
  const from = random(seed)
  const parts = Array.from({ length: lines }, (_, line) => `<row r="${line}"><c>${from.below(5000)}</c></row>\n`)
  return Buffer.concat([Buffer.from(parts.join('')), Buffer.from(Array.from({ length: 3000 }, () => from.below(256)))])
}

interface Part {
  readonly name: string
  readonly bytes: Buffer
  /** Bytes of a block; null for a small file. */
  readonly block: number | null
  readonly large?: boolean
}

async function archive(parts: readonly Part[], largeFrom?: number): Promise<Buffer> {
  const zip = new ZipWriter({ at, ...(largeFrom === undefined ? {} : { largeFrom }) })
  const written: Buffer[] = []
  for (const { name, bytes, block, large = false } of parts) {
    if (block === null) {
      written.push(zip.file(name, bytes))
    } else {
      for await (const piece of zip.stream(name, blocksOf(bytes, block), { large })) {
        written.push(piece)
      }
    }
  }
  written.push(zip.end())
  return Buffer.concat(written)
}

async function contents(bytes: Buffer): Promise<Record<string, string>> {
  const zip = await openZip(bytesOf(bytes))
  const found: Record<string, string> = {}
  for (const entry of zip.entries) {
    const blocks: Uint8Array[] = []
    for await (const block of zip.read(entry)) {
      blocks.push(block)
    }
    found[entry.name] = Buffer.concat(blocks).toString('base64')
  }
  return found
}

const parts: readonly Part[] = [
  { name: 'small.txt', bytes: Buffer.from('small'), block: null },
  { name: 'leer.txt', bytes: Buffer.alloc(0), block: null },
  { name: 'Übersicht/東京.xml', bytes: content(1, 20_000), block: 64 * 1024 },
  { name: 'one block', bytes: content(2, 10), block: 1024 * 1024 },
  { name: 'tiny blocks', bytes: content(3, 100), block: 7 },
  { name: 'nothing', bytes: Buffer.alloc(0), block: 10 },
  { name: 'large', bytes: content(4, 1000), block: 5000, large: true },
]
const expected = Object.fromEntries(parts.map(({ name, bytes }) => [name, bytes.toString('base64')]))

describe('an archive that was written', () => {
  it('is read back as it was', async () => {
    assert.deepEqual(await contents(await archive(parts)), expected)
  })

  it('is read back where its numbers take 64 bits', async () => {
    for (const largeFrom of [0, 1000, 20_000]) {
      assert.deepEqual(await contents(await archive(parts, largeFrom)), expected, `from ${largeFrom}`)
    }
  })

  it('may be empty', async () => {
    assert.deepEqual(await contents(await archive([])), {})
  })

  it('has no 64-bit numbers without need', async () => {
    const bytes = await archive(parts.filter(({ large }) => large !== true))
    assert.equal(bytes.indexOf(Buffer.from([0x50, 0x4b, 0x06, 0x06])), -1)
  })

  it('passes the test of unzip', (t: TestContext) => passesUnzip(t))

  it('gives each block back once it is packed, and holds no more than four', async () => {
    const zip = new ZipWriter({ at })
    const blocks = Array.from({ length: 40 }, (_, index) => Buffer.alloc(100_000, index))
    let out = 0
    let most = 0
    const packed: Uint8Array[] = []
    async function* counted(): AsyncGenerator<Buffer> {
      for (const block of blocks) {
        out += 1
        most = Math.max(most, out)
        yield block
      }
    }
    const onPacked = (block: Uint8Array): void => {
      out -= 1
      packed.push(block)
    }
    for await (const piece of zip.stream('a', counted(), { onPacked })) {
      assert.ok(piece.length > 0)
    }
    assert.equal(packed.length, blocks.length)
    assert.ok(most <= 4, `${most}`)
  })

  it('passes on what goes wrong while a file is made', async () => {
    const zip = new ZipWriter({ at })
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.from('a')
      throw new Error('the disk is gone')
    }
    await assert.rejects(async () => {
      for await (const piece of zip.stream('a', broken())) {
        assert.ok(piece.length > 0)
      }
    }, /the disk is gone/)
  })
})

async function passesUnzip(t: TestContext): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'portage-zip-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'a.zip')
  writeFileSync(path, await archive(parts))
  try {
    execFileSync('unzip', ['-v'], { stdio: 'ignore' })
  } catch {
    t.skip('unzip is not on this machine')
    return
  }
  assert.match(execFileSync('unzip', ['-t', path], { encoding: 'utf8' }), /No errors detected/)
}
