/**
 * ZIP archives, written as a stream: nothing of them is ever gone back to, and no more than a few blocks are in memory. Blocks
 * are packed by zlib's threads, several at once, while the next ones are made: each is deflated for itself and ends at a whole
 * byte (Z_FULL_FLUSH), so that one after the other they are one deflated stream. The format is APPNOTE.TXT 6.3.10 of PKWARE.
 */
import { constants, crc32, createDeflateRaw, type DeflateRaw, deflateRawSync } from 'node:zlib'

const LOCAL = 0x04034b50
const DESCRIPTOR = 0x08074b50
const ENTRY = 0x02014b50
const END64 = 0x06064b50
const LOCATOR64 = 0x07064b50
const END = 0x06054b50
/** Names are UTF-8. */
const UTF8 = 0x800
/** Checksum and sizes follow the data. */
const LATE = 8
const DEFLATED = 8
const VERSION = 20
const VERSION64 = 45
/** In place of a number that stands elsewhere in 64 bits; also the first that does not fit. */
const LARGE = 0xff_ff_ff_ff
const LARGE_COUNT = 0xff_ff
/** Blocks that are packed at once. zlib's pool has four threads, which the process needs for other things as well. */
const PACKING_MAX = 2
/** The end of a deflated stream: an empty last block. */
const STREAM_END = Buffer.from([0x03, 0x00])

export interface ZipWriterOptions {
  /** The moment that stands at each file, in UTC; to two seconds. */
  readonly at: Date
  /** Of zlib, 0 to 9; 1 unless given, which took half the time of 6 for a fifth more bytes. */
  readonly level?: number
  /** Offsets and sizes from here on are written with 64 bits; for tests. */
  readonly largeFrom?: number
}

interface Written {
  readonly name: Buffer
  readonly flags: number
  readonly version: number
  readonly crc: number
  readonly packedBytes: number
  readonly unpackedBytes: number
  readonly offset: number
}

/** Writes one archive: files one after the other by `file` and `stream`, and `end` once. What they give are its bytes in order. */
export class ZipWriter {
  readonly #level: number
  readonly #largeFrom: number
  readonly #time: number
  readonly #date: number
  readonly #written: Written[] = []
  #offset = 0

  constructor({ at, level = 1, largeFrom = LARGE }: ZipWriterOptions) {
    this.#level = level
    this.#largeFrom = largeFrom
    // The format knows no year before 1980 and none after 2107.
    const year = Math.min(Math.max(at.getUTCFullYear(), 1980), 2107)
    this.#date = ((year - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate()
    this.#time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1)
  }

  /** A small file, whose sizes stand before it. */
  file(name: string, content: string | Uint8Array): Buffer {
    const bytes = Buffer.from(content)
    const packed = deflateRawSync(bytes, { level: this.#level })
    const entry: Written = {
      name: Buffer.from(name),
      flags: UTF8,
      version: VERSION,
      crc: crc32(bytes),
      packedBytes: packed.length,
      unpackedBytes: bytes.length,
      offset: this.#offset,
    }
    this.#written.push(entry)
    return this.#give(Buffer.concat([this.#local(entry), packed]))
  }

  /**
   * A file of any length from the blocks it consists of, whose sizes stand behind it. A block is not to change before
   * `onPacked` has been called with it. `large` has to be true where it may come to 4 GiB: without it, a file that grows so long
   * is an error. It is not always true since programs without ZIP64 cannot read such a file, and Excel may offer to repair it.
   */
  async *stream(
    name: string,
    blocks: AsyncIterable<Uint8Array>,
    { large = false, onPacked }: { readonly large?: boolean; readonly onPacked?: (block: Uint8Array) => void } = {},
  ): AsyncGenerator<Buffer> {
    const start: Written = {
      name: Buffer.from(name),
      flags: UTF8 | LATE,
      version: large ? VERSION64 : VERSION,
      crc: 0,
      packedBytes: 0,
      unpackedBytes: 0,
      offset: this.#offset,
    }
    yield this.#give(this.#local(start, large))
    let crc = 0
    let packedBytes = 0
    let unpackedBytes = 0
    const packers = Array.from({ length: PACKING_MAX }, () => new Packer(this.#level))
    const packing: { readonly packer: Packer; readonly packed: Promise<readonly Buffer[]> }[] = []
    try {
      for await (const block of blocks) {
        crc = crc32(block, crc)
        unpackedBytes += block.byteLength
        const packer = packers.pop()!
        const packed = packer.pack(block).finally(() => onPacked?.(block))
        // Whoever leaves early leaves it alone.
        packed.catch(() => {})
        packing.push({ packer, packed })
        if (packing.length === PACKING_MAX) {
          const oldest = packing.shift()!
          for (const bytes of await oldest.packed) {
            packedBytes += bytes.length
            yield this.#give(bytes)
          }
          packers.push(oldest.packer)
        }
      }
      for (const last of packing) {
        for (const bytes of await last.packed) {
          packedBytes += bytes.length
          yield this.#give(bytes)
        }
      }
    } finally {
      for (const packer of [...packers, ...packing.map((each) => each.packer)]) {
        packer.close()
      }
    }
    packedBytes += STREAM_END.length
    if (!large && (unpackedBytes >= LARGE || packedBytes >= LARGE)) {
      throw new Error(`${name} has come to 4 GiB and was not begun as large`)
    }
    this.#written.push({ ...start, crc, packedBytes, unpackedBytes })
    const descriptor = Buffer.alloc(large ? 24 : 16)
    descriptor.writeUInt32LE(DESCRIPTOR, 0)
    descriptor.writeUInt32LE(crc, 4)
    if (large) {
      descriptor.writeBigUInt64LE(BigInt(packedBytes), 8)
      descriptor.writeBigUInt64LE(BigInt(unpackedBytes), 16)
    } else {
      descriptor.writeUInt32LE(packedBytes, 8)
      descriptor.writeUInt32LE(unpackedBytes, 12)
    }
    yield this.#give(Buffer.concat([STREAM_END, descriptor]))
  }

  /** The directory of the archive; nothing may follow. */
  end(): Buffer {
    const start = this.#offset
    const directory = Buffer.concat(this.#written.map((entry) => this.#entry(entry)))
    const count = this.#written.length
    const parts = [directory]
    const isLarge = start >= this.#largeFrom || start + directory.length >= this.#largeFrom || count >= LARGE_COUNT
    if (isLarge) {
      const record = Buffer.alloc(56 + 20)
      record.writeUInt32LE(END64, 0)
      record.writeBigUInt64LE(44n, 4)
      record.writeUInt16LE(VERSION64, 12)
      record.writeUInt16LE(VERSION64, 14)
      record.writeBigUInt64LE(BigInt(count), 24)
      record.writeBigUInt64LE(BigInt(count), 32)
      record.writeBigUInt64LE(BigInt(directory.length), 40)
      record.writeBigUInt64LE(BigInt(start), 48)
      record.writeUInt32LE(LOCATOR64, 56)
      record.writeBigUInt64LE(BigInt(start + directory.length), 64)
      record.writeUInt32LE(1, 72)
      parts.push(record)
    }
    const end = Buffer.alloc(22)
    end.writeUInt32LE(END, 0)
    end.writeUInt16LE(isLarge ? LARGE_COUNT : count, 8)
    end.writeUInt16LE(isLarge ? LARGE_COUNT : count, 10)
    end.writeUInt32LE(isLarge ? LARGE : directory.length, 12)
    end.writeUInt32LE(isLarge ? LARGE : start, 16)
    parts.push(end)
    return this.#give(Buffer.concat(parts))
  }

  #give(bytes: Buffer): Buffer {
    this.#offset += bytes.length
    return bytes
  }

  #local(entry: Written, large = false): Buffer {
    const header = Buffer.alloc(30)
    header.writeUInt32LE(LOCAL, 0)
    header.writeUInt16LE(entry.version, 4)
    header.writeUInt16LE(entry.flags, 6)
    header.writeUInt16LE(DEFLATED, 8)
    header.writeUInt16LE(this.#time, 10)
    header.writeUInt16LE(this.#date, 12)
    header.writeUInt32LE(entry.crc, 14)
    header.writeUInt32LE(large ? LARGE : entry.packedBytes, 18)
    header.writeUInt32LE(large ? LARGE : entry.unpackedBytes, 22)
    header.writeUInt16LE(entry.name.length, 26)
    header.writeUInt16LE(large ? 20 : 0, 28)
    return Buffer.concat([header, entry.name, large ? extra64([0, 0]) : Buffer.alloc(0)])
  }

  #entry(entry: Written): Buffer {
    const numbers = [entry.unpackedBytes, entry.packedBytes, entry.offset]
    const far = numbers.filter((number) => number >= this.#largeFrom)
    const extra = far.length > 0 ? extra64(far) : Buffer.alloc(0)
    const shown = (number: number): number => (number >= this.#largeFrom ? LARGE : number)
    const header = Buffer.alloc(46)
    const version = far.length > 0 ? VERSION64 : entry.version
    header.writeUInt32LE(ENTRY, 0)
    header.writeUInt16LE(version, 4)
    header.writeUInt16LE(version, 6)
    header.writeUInt16LE(entry.flags, 8)
    header.writeUInt16LE(DEFLATED, 10)
    header.writeUInt16LE(this.#time, 12)
    header.writeUInt16LE(this.#date, 14)
    header.writeUInt32LE(entry.crc, 16)
    header.writeUInt32LE(shown(entry.packedBytes), 20)
    header.writeUInt32LE(shown(entry.unpackedBytes), 24)
    header.writeUInt16LE(entry.name.length, 28)
    header.writeUInt16LE(extra.length, 30)
    header.writeUInt32LE(shown(entry.offset), 42)
    return Buffer.concat([header, entry.name, extra])
  }
}

/** One of zlib's streams, which packs block after block; a new one for each would cost as much memory as the block. */
class Packer {
  readonly #deflate: DeflateRaw
  #packed: Buffer[] = []
  #fail: (reason: unknown) => void = () => {}

  constructor(level: number) {
    this.#deflate = createDeflateRaw({ level, chunkSize: 64 * 1024 })
    this.#deflate.on('data', (bytes: Buffer) => this.#packed.push(bytes))
    this.#deflate.on('error', (error) => this.#fail(error))
  }

  /** One block at a time. */
  pack(block: Uint8Array): Promise<readonly Buffer[]> {
    return new Promise((resolve, reject) => {
      this.#fail = reject
      this.#deflate.write(block)
      this.#deflate.flush(constants.Z_FULL_FLUSH, () => {
        // What is not given out yet comes as data now.
        while (this.#deflate.read() !== null) {
          // The listener keeps it.
        }
        const packed = this.#packed
        this.#packed = []
        resolve(packed)
      })
    })
  }

  close(): void {
    this.#deflate.destroy()
    this.#fail(new Error('the archive is written no further'))
  }
}

/** The field that holds what needs 64 bits, in the order of the header. */
function extra64(numbers: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + 8 * numbers.length)
  extra.writeUInt16LE(1, 0)
  extra.writeUInt16LE(8 * numbers.length, 2)
  for (const [index, number] of numbers.entries()) {
    extra.writeBigUInt64LE(BigInt(number), 4 + 8 * index)
  }
  return extra
}
