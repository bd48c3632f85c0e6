/** GZIP: a stream of members one behind the other, perhaps with something behind the last. What comes out is counted, not believed. */
import { crc32, createInflateRaw, type InflateRaw } from 'node:zlib'
import { Refusal } from '../../errors.js'
import {
  ARCHIVE_ENTRIES_MAX,
  GZIP_SMALL_PART_BYTES,
  GZIP_SMALL_PARTS_MAX,
  UNPACK_BLOCK_BYTES,
  UNPACK_RATIO_BYTES_MIN,
  UNPACK_RATIO_MAX,
  UNPACKED_BYTES_MAX,
} from '../../limits.js'
import type { ByteReader } from './bytes.js'

/** For tests; the defaults are those of limits.ts. */
export interface GzipLimits {
  readonly unpackedBytes?: number
  readonly ratio?: number
  readonly ratioBytes?: number
  readonly emptyMembers?: number
  readonly smallMembers?: number
}

/** The bytes of a file from `from` on, block by block. */
export async function* bytesOf(bytes: ByteReader, from = 0): AsyncGenerator<Buffer, void, undefined> {
  for (let at = from; ; ) {
    const block = Buffer.allocUnsafe(UNPACK_BLOCK_BYTES)
    const read = await bytes.read(block, 0, block.length, at)
    if (read === 0) {
      return
    }
    at += read
    yield block.subarray(0, read)
  }
}

/**
 * What a GZIP file unpacks to, block by block; leaving the loop ends the unpacking. Bytes behind the last member are passed
 * over. Throws `Refusal`: FILE_UNREADABLE where the file is damaged or breaks off, FILE_UNSAFE above the ratio or with more
 * than ARCHIVE_ENTRIES_MAX members that are empty or GZIP_SMALL_PARTS_MAX that hold next to nothing, LIMIT_EXCEEDED above
 * the unpacked bytes; and what `bytes` throws.
 */
export async function* gunzip(bytes: ByteReader, limits: GzipLimits = {}): AsyncGenerator<Uint8Array, void, undefined> {
  const most = limits.unpackedBytes ?? UNPACKED_BYTES_MAX
  const ratio = limits.ratio ?? UNPACK_RATIO_MAX
  const ratioBytes = limits.ratioBytes ?? UNPACK_RATIO_BYTES_MIN
  let unpacked = 0
  const count = (length: number): void => {
    unpacked += length
    if (unpacked > most) {
      throw new Refusal('LIMIT_EXCEEDED', `The file unpacks to more than ${most} bytes. Split it.`)
    }
    if (unpacked > ratioBytes && unpacked > ratio * bytes.byteSize) {
      throw new Refusal(
        'FILE_UNSAFE',
        `The file unpacks to more than ${ratio} times its size, which no ordinary file does.`,
      )
    }
  }
  const mostEmpty = limits.emptyMembers ?? ARCHIVE_ENTRIES_MAX
  const mostSmall = limits.smallMembers ?? GZIP_SMALL_PARTS_MAX
  let empty = 0
  let small = 0
  for (let member = await dataStart(bytes, 0); ; ) {
    if (member === null) {
      throw damaged()
    }
    const before = unpacked
    const next = yield* inflateMember(bytes, member, count)
    // They cost time, and nothing that comes out would ever tell.
    empty += unpacked === before ? 1 : 0
    if (empty > mostEmpty) {
      throw new Refusal(
        'FILE_UNSAFE',
        `The GZIP file consists of more than ${mostEmpty} empty parts, which no ordinary file does.`,
      )
    }
    // Each begins an unpacking of its own: a hundred megabytes of such parts would take minutes.
    small += unpacked - before < GZIP_SMALL_PART_BYTES ? 1 : 0
    if (small > mostSmall) {
      throw new Refusal(
        'FILE_UNSAFE',
        `The GZIP file consists of more than ${mostSmall} parts of under ${GZIP_SMALL_PART_BYTES} bytes. Pack it again in one.`,
      )
    }
    member = await dataStart(bytes, next)
    if (member === null) {
      return
    }
  }
}

/** Unpacks the one member whose data start here; answers where it ends. */
async function* inflateMember(
  bytes: ByteReader,
  start: number,
  count: (length: number) => void,
): AsyncGenerator<Buffer, number, undefined> {
  const inflate = createInflateRaw({ chunkSize: UNPACK_BLOCK_BYTES })
  let out: Buffer[] = []
  let failure: Error | null = null
  let ended = false
  let checksum = 0
  let length = 0
  inflate
    .on('error', (error) => {
      failure ??= error
    })
    .on('end', () => {
      ended = true
    })
    .on('data', (block: Buffer) => {
      try {
        count(block.length)
      } catch (error) {
        inflate.destroy(error as Error)
        return
      }
      checksum = crc32(block, checksum)
      length += block.length
      out.push(block)
    })
  try {
    for await (const block of bytesOf(bytes, start)) {
      for (let at = 0; at < block.length && failure === null && !ended; at += SLICE_BYTES) {
        await done(inflate, (tell) => inflate.write(block.subarray(at, at + SLICE_BYTES), tell))
        yield* out
        out = []
      }
      if (failure !== null || ended) {
        break
      }
    }
    if (failure === null && !ended) {
      await done(inflate, (tell) => inflate.once('end', tell).end())
      yield* out
    }
    if (failure !== null) {
      throw refusalOf(failure)
    }
  } finally {
    inflate.destroy()
  }
  const trailer = await bytesAt(bytes, start + inflate.bytesWritten, TRAILER_BYTES)
  if (trailer.length < TRAILER_BYTES) {
    throw brokenOff()
  }
  if (trailer.readUInt32LE(0) !== checksum || trailer.readUInt32LE(4) !== length % 2 ** 32) {
    throw damaged()
  }
  return start + inflate.bytesWritten + TRAILER_BYTES
}

const TRAILER_BYTES = 8
const HEADER_BYTES = 10
/** What is read of a header that has neither name nor comment. */
const HEADER_SHORT_BYTES = 16
/** Names and comments of a header are looked for within so many bytes. */
const HEADER_BYTES_MAX = 64 * 1024

/** Where the data of the member that starts at `at` begin; null where none starts there. RFC 1952, 2.3. */
async function dataStart(bytes: ByteReader, at: number): Promise<number | null> {
  // Nearly all are short.
  const short = await bytesAt(bytes, at, HEADER_SHORT_BYTES)
  const hasName = ((short[3] ?? 0) & (4 | 8 | 16)) !== 0
  const head = hasName && short[0] === 0x1f ? await bytesAt(bytes, at, HEADER_BYTES_MAX) : short
  if (head.length < HEADER_BYTES || head[0] !== 0x1f || head[1] !== 0x8b || head[2] !== 8) {
    return null
  }
  const flags = head[3] ?? 0
  let end = HEADER_BYTES
  if ((flags & 4) !== 0) {
    end += 2 + (end + 2 <= head.length ? head.readUInt16LE(end) : 0)
  }
  for (const flag of [8, 16]) {
    if ((flags & flag) !== 0) {
      const zero = head.indexOf(0, end)
      if (zero < 0) {
        return null
      }
      end = zero + 1
    }
  }
  return at + end + ((flags & 2) !== 0 ? 2 : 0)
}

async function bytesAt(bytes: ByteReader, at: number, length: number): Promise<Buffer> {
  const target = Buffer.alloc(Math.max(0, Math.min(length, bytes.byteSize - at)))
  let filled = 0
  while (filled < target.length) {
    const read = await bytes.read(target, filled, target.length - filled, at + filled)
    if (read === 0) {
      break
    }
    filled += read
  }
  return target.subarray(0, filled)
}

/** So much is unpacked at a time: what comes of it is held until it is taken. Bytes. */
const SLICE_BYTES = 16 * 1024

/** Waits until the work is done or the stream is gone. */
function done(stream: InflateRaw, work: (tell: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const tell = (): void => {
      stream.off('close', tell)
      resolve()
    }
    stream.once('close', tell)
    if (stream.destroyed) {
      tell()
    } else {
      work(tell)
    }
  })
}

function refusalOf(error: Error & { readonly code?: unknown }): Error {
  if (typeof error.code !== 'string' || !error.code.startsWith('Z_')) {
    return error
  }
  return error.code === 'Z_BUF_ERROR' ? brokenOff() : damaged()
}

function brokenOff(): Refusal {
  return new Refusal('FILE_UNREADABLE', 'The GZIP file breaks off before its end. Pack and upload it again.')
}

function damaged(): Refusal {
  return new Refusal('FILE_UNREADABLE', 'The GZIP file is damaged. Pack and upload it again.')
}
