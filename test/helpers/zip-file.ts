import { crc32, deflateRawSync } from 'node:zlib'
import type { ByteReader } from '../../src/adapters/files/bytes.js'

/** A file to put into an archive, and the ways in which its headers may deviate from the truth. */
export interface ZipPart {
  readonly name: string
  readonly data: string | Uint8Array
  /** 0 stored, 8 deflated (the default); others are written as stored. */
  readonly method?: number
  readonly flags?: number
  /** What the headers say instead of the truth. */
  readonly said?: {
    readonly crc32?: number
    readonly packed?: number
    readonly unpacked?: number
    readonly offset?: number
  }
  /** Sizes and checksum follow the data, as streaming writers do it. */
  readonly descriptor?: boolean
  /** Sizes and offset in the directory as 64-bit numbers. */
  readonly zip64?: boolean
}

/** The archive as one buffer. `prefix` stands before it, without the offsets counting it; `suffix` behind. */
export function zipOf(
  parts: readonly ZipPart[],
  options: {
    readonly prefix?: string
    readonly suffix?: string
    readonly zip64?: boolean
    readonly comment?: string
  } = {},
): Buffer {
  const blocks: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  const add = (block: Buffer): void => {
    blocks.push(block)
    offset += block.length
  }
  for (const part of parts) {
    const data = typeof part.data === 'string' ? Buffer.from(part.data) : Buffer.from(part.data)
    const method = part.method ?? 8
    const packed = method === 8 ? deflateRawSync(data) : data
    const name = Buffer.from(part.name)
    const flags = (part.flags ?? 0) | 0x800 | (part.descriptor === true ? 8 : 0)
    const sum = part.said?.crc32 ?? crc32(data)
    const packedSize = part.said?.packed ?? packed.length
    const unpackedSize = part.said?.unpacked ?? data.length
    const start = part.said?.offset ?? offset
    const late = part.descriptor === true
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(20, 4)
    local.writeUInt16LE(flags, 6)
    local.writeUInt16LE(method, 8)
    local.writeUInt32LE(late ? 0 : sum, 14)
    local.writeUInt32LE(late ? 0 : packedSize, 18)
    local.writeUInt32LE(late ? 0 : unpackedSize, 22)
    local.writeUInt16LE(name.length, 26)
    add(local)
    add(name)
    add(packed)
    if (late) {
      const descriptor = Buffer.alloc(16)
      descriptor.writeUInt32LE(0x08074b50, 0)
      descriptor.writeUInt32LE(sum, 4)
      descriptor.writeUInt32LE(packedSize, 8)
      descriptor.writeUInt32LE(unpackedSize, 12)
      add(descriptor)
    }
    const extra = part.zip64 === true ? Buffer.alloc(28) : Buffer.alloc(0)
    if (part.zip64 === true) {
      extra.writeUInt16LE(1, 0)
      extra.writeUInt16LE(24, 2)
      extra.writeBigUInt64LE(BigInt(unpackedSize), 4)
      extra.writeBigUInt64LE(BigInt(packedSize), 12)
      extra.writeBigUInt64LE(BigInt(start), 20)
    }
    const central = Buffer.alloc(46)
    central.writeUInt32LE(0x02014b50, 0)
    central.writeUInt16LE(20, 4)
    central.writeUInt16LE(20, 6)
    central.writeUInt16LE(flags, 8)
    central.writeUInt16LE(method, 10)
    central.writeUInt32LE(sum, 16)
    central.writeUInt32LE(part.zip64 === true ? 0xff_ff_ff_ff : packedSize, 20)
    central.writeUInt32LE(part.zip64 === true ? 0xff_ff_ff_ff : unpackedSize, 24)
    central.writeUInt16LE(name.length, 28)
    central.writeUInt16LE(extra.length, 30)
    central.writeUInt32LE(part.zip64 === true ? 0xff_ff_ff_ff : start, 42)
    directory.push(central, name, extra)
  }
  const directoryStart = offset
  for (const block of directory) {
    add(block)
  }
  const directoryBytes = offset - directoryStart
  const comment = Buffer.from(options.comment ?? '')
  if (options.zip64 === true) {
    const end64 = Buffer.alloc(56 + 20)
    end64.writeUInt32LE(0x06064b50, 0)
    end64.writeBigUInt64LE(44n, 4)
    end64.writeBigUInt64LE(BigInt(parts.length), 24)
    end64.writeBigUInt64LE(BigInt(parts.length), 32)
    end64.writeBigUInt64LE(BigInt(directoryBytes), 40)
    end64.writeBigUInt64LE(BigInt(directoryStart), 48)
    end64.writeUInt32LE(0x07064b50, 56)
    end64.writeBigUInt64LE(BigInt(offset), 64)
    end64.writeUInt32LE(1, 72)
    add(end64)
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  const count = options.zip64 === true ? 0xff_ff : Math.min(parts.length, 0xff_ff)
  end.writeUInt16LE(count, 8)
  end.writeUInt16LE(count, 10)
  end.writeUInt32LE(options.zip64 === true ? 0xff_ff_ff_ff : directoryBytes, 12)
  end.writeUInt32LE(options.zip64 === true ? 0xff_ff_ff_ff : directoryStart, 16)
  end.writeUInt16LE(comment.length, 20)
  add(end)
  add(comment)
  return Buffer.concat([Buffer.from(options.prefix ?? ''), ...blocks, Buffer.from(options.suffix ?? '')])
}

/** A file in memory. `step` bytes at most are given at a time, as a store may do. */
export function bytesOf(data: Uint8Array, step = Infinity): ByteReader {
  return {
    byteSize: data.byteLength,
    read(target, at, length, position) {
      const part = data.subarray(position, position + Math.min(length, step))
      target.set(part, at)
      return Promise.resolve(part.byteLength)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
