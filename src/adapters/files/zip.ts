/**
 * ZIP archives, read where they stand and entry by entry: the container of workbooks, and of a data file that was packed.
 * Nothing an archive says of itself is believed: what comes out is counted while it comes out.
 */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { crc32, createInflateRaw } from 'node:zlib'
import yauzl from 'yauzl'
import { FatalError, Refusal, RetryableError } from '../../errors.js'
import {
  ARCHIVE_ENTRIES_MAX,
  UNPACK_BLOCK_BYTES,
  UNPACK_RATIO_BYTES_MIN,
  UNPACK_RATIO_MAX,
  UNPACKED_BYTES_MAX,
} from '../../limits.js'
import type { ByteReader } from './bytes.js'

/** A file in an archive, as the archive's directory describes it. */
export interface ZipEntry {
  /** With `/` between folders; neither absolute nor with `..` in it. Unique in the archive. */
  readonly name: string
  /** As the archive says; checked to lie within the file and over no other entry. Bytes. */
  readonly packedBytes: number
  /** As the archive says: a hint that may be wrong until the entry has been read to its end. Bytes. */
  readonly unpackedBytes: number
  /** Reading it is refused with FILE_ENCRYPTED. */
  readonly encrypted: boolean
}

/** What an archive may hold. */
export interface ZipLimits {
  /** Entries of the archive. */
  readonly entries: number
  /** Bytes that all entries read so far have unpacked to. */
  readonly unpackedBytes: number
  /** Unpacked bytes for each packed one, of an entry that unpacks to more than `ratioBytes`. */
  readonly ratio: number
  /** Smaller entries may be packed as tightly as they like. Unpacked bytes. */
  readonly ratioBytes: number
}

/** An archive whose directory has been read. It needs its `ByteReader` for as long as entries are read. */
export interface Zip {
  /** In the order of the archive's directory; folders are left out. */
  readonly entries: readonly ZipEntry[]
  /**
   * The unpacked bytes of an entry, block by block; whoever takes none holds up the unpacking. Archives within are bytes like
   * any other. Throws `Refusal`: FILE_ENCRYPTED; FILE_UNREADABLE where the entry is damaged (its checksum counts) or packed
   * by a method that is not known; FILE_UNSAFE above the ratio; LIMIT_EXCEEDED above `unpackedBytes`, or `maxBytes` of this
   * entry. Throws the signal's reason when aborted.
   */
  read(entry: ZipEntry, signal?: AbortSignal, maxBytes?: number): AsyncIterable<Uint8Array>
}

const defaults: ZipLimits = {
  entries: ARCHIVE_ENTRIES_MAX,
  unpackedBytes: UNPACKED_BYTES_MAX,
  ratio: UNPACK_RATIO_MAX,
  ratioBytes: UNPACK_RATIO_BYTES_MIN,
}

const END_SIGNATURE = 0x06054b50
const END_BYTES = 22
const LOCATOR64_SIGNATURE = 0x07064b50
const LOCATOR64_BYTES = 20
const END64_SIGNATURE = 0x06064b50
const END64_BYTES = 56
const ENTRY_SIGNATURE = 0x02014b50
const LOCAL_HEADER_BYTES = 30
/** Where the end of the directory is looked for: the longest comment, and as much again of what does not belong there. */
const TAIL_BYTES = 2 * 0xff_ff + END_BYTES
const DIRECTORY_BLOCK_BYTES = 64 * 1024
const STORED = 0
const DEFLATED = 8

/**
 * Reads the directory of an archive. Bytes before and behind the archive are passed over. Throws `Refusal`: FILE_UNREADABLE for
 * a damaged archive or one with two different entries of one name; FILE_UNSAFE for too many entries, entries that overlap,
 * and names that lead elsewhere; FILE_ENCRYPTED where the directory itself is; and what `bytes` throws.
 */
export async function openZip(bytes: ByteReader, limits: ZipLimits = defaults): Promise<Zip> {
  const reader = new ArchiveReader(bytes, await archiveRange(bytes))
  try {
    return await Promise.race([readArchive(reader, limits), reader.crashed])
  } catch (error) {
    throw asRefusal(error)
  }
}

async function readArchive(reader: ArchiveReader, limits: ZipLimits): Promise<Zip> {
  const file = await yauzl.fromRandomAccessReaderPromise(reader, reader.byteSize, {
    autoClose: false,
    validateEntrySizes: false,
  })
  // Without a listener an error would end the process; whatever goes wrong is also answered to whoever waits.
  file.on('error', () => {})
  if (file.entryCount > limits.entries) {
    throw tooManyEntries(limits)
  }
  const directoryStart = (file as yauzl.ZipFile & { readonly readEntryCursor: unknown }).readEntryCursor
  const found: yauzl.Entry[] = []
  for await (const entry of file.eachEntry()) {
    found.push(entry)
    if (found.length > limits.entries) {
      throw tooManyEntries(limits)
    }
  }
  refuseOverlaps(found, typeof directoryStart === 'number' ? directoryStart : reader.byteSize)
  const byName = new Map<string, yauzl.Entry>()
  for (const entry of found) {
    if (entry.fileName.includes('\0')) {
      throw new Refusal('FILE_UNSAFE', 'The archive holds a file whose name has a NUL character in it.')
    }
    const same = byName.get(entry.fileName)
    if (same === undefined) {
      if (!entry.fileName.endsWith('/')) {
        byName.set(entry.fileName, entry)
      }
    } else if (same.crc32 !== entry.crc32 || same.uncompressedSize !== entry.uncompressedSize) {
      throw new Refusal(
        'FILE_UNREADABLE',
        `The archive holds two different files of the name "${shown(entry.fileName)}". Save it again.`,
      )
    }
  }
  const known = new Map<ZipEntry, yauzl.Entry>()
  for (const [name, entry] of byName) {
    known.set(
      {
        name,
        packedBytes: entry.compressedSize,
        unpackedBytes: entry.uncompressedSize,
        encrypted: entry.isEncrypted(),
      },
      entry,
    )
  }
  return new OpenedZip(reader, file, known, limits)
}

class OpenedZip implements Zip {
  readonly entries: readonly ZipEntry[]
  readonly #reader: ArchiveReader
  readonly #file: yauzl.ZipFile
  readonly #known: ReadonlyMap<ZipEntry, yauzl.Entry>
  readonly #limits: ZipLimits
  /** An entry that is read again counts once. */
  readonly #unpacked = new Map<ZipEntry, number>()
  #unpackedInAll = 0

  constructor(
    reader: ArchiveReader,
    file: yauzl.ZipFile,
    known: ReadonlyMap<ZipEntry, yauzl.Entry>,
    limits: ZipLimits,
  ) {
    this.#reader = reader
    this.#file = file
    this.#known = known
    this.#limits = limits
    this.entries = [...known.keys()]
  }

  async *read(entry: ZipEntry, signal?: AbortSignal, maxBytes = Infinity): AsyncGenerator<Uint8Array> {
    const inArchive = this.#known.get(entry)
    if (inArchive === undefined) {
      throw new Error('this is no entry of the archive')
    }
    const name = shown(entry.name)
    if (entry.encrypted) {
      throw new Refusal(
        'FILE_ENCRYPTED',
        `"${name}" in the archive is protected by a password. Unpack it, or save it without one.`,
      )
    }
    const method = inArchive.compressionMethod
    if (method !== STORED && method !== DEFLATED) {
      throw new Refusal(
        'FILE_UNREADABLE',
        `"${name}" is packed by a method that is not read (${method}). Pack it as an ordinary ZIP file (Deflate).`,
      )
    }
    let unpacked = 0
    let checksum = 0
    try {
      const { fileDataStart } = await Promise.race([
        this.#file.readLocalFileHeaderPromise(inArchive, { minimal: true }),
        this.#reader.crashed,
      ])
      const packed = this.#reader.blocks(fileDataStart, fileDataStart + entry.packedBytes)
      for await (const block of method === STORED ? packed : inflated(packed)) {
        signal?.throwIfAborted()
        unpacked += block.byteLength
        this.#count(entry, unpacked, maxBytes)
        checksum = crc32(block, checksum)
        yield block
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw asRefusal(error, name)
    }
    if (unpacked !== entry.unpackedBytes || checksum !== inArchive.crc32) {
      throw damaged(name)
    }
  }

  #count(entry: ZipEntry, unpacked: number, maxBytes: number): void {
    const { ratio, ratioBytes, unpackedBytes } = this.#limits
    if (unpacked > ratioBytes && unpacked > ratio * entry.packedBytes) {
      throw new Refusal(
        'FILE_UNSAFE',
        `"${shown(entry.name)}" unpacks to more than ${ratio} times its packed size, which no ordinary file does.`,
      )
    }
    const before = this.#unpacked.get(entry) ?? 0
    if (unpacked > before) {
      this.#unpacked.set(entry, unpacked)
      this.#unpackedInAll += unpacked - before
    }
    if (unpacked > maxBytes || this.#unpackedInAll > unpackedBytes) {
      const limit = Math.min(maxBytes, unpackedBytes).toLocaleString('en-US')
      throw new Refusal(
        'LIMIT_EXCEEDED',
        `"${shown(entry.name)}" unpacks to more than ${limit} bytes, the most that is read. Split the file.`,
      )
    }
  }
}

/** yauzl's way to the bytes of the archive. Its small reads of the directory are served from one block. */
class ArchiveReader extends yauzl.RandomAccessReader {
  readonly byteSize: number
  /** Never fulfilled; rejected with what yauzl throws while it looks at bytes it was given, which nobody else would see. */
  readonly crashed: Promise<never>
  readonly #bytes: ByteReader
  readonly #start: number
  readonly #block = Buffer.allocUnsafe(DIRECTORY_BLOCK_BYTES)
  #blockStart = 0
  #blockBytes = 0
  #crash: (reason: unknown) => void = () => {}

  constructor(bytes: ByteReader, { start, end }: { readonly start: number; readonly end: number }) {
    super()
    this.#bytes = bytes
    this.#start = start
    this.byteSize = end - start
    this.crashed = new Promise((_, reject) => {
      this.#crash = reject
    })
    this.crashed.catch(() => {})
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, byteCount?: number) => void,
  ): void {
    this.#readInto(buffer, offset, length, position)
      .then(
        (byteCount) => callback(null, byteCount),
        (error: unknown) => callback(error instanceof Error ? error : new Error('the bytes could not be read')),
      )
      .catch(this.#crash)
  }

  override close(callback: (error: Error | null) => void): void {
    // Whoever opened the bytes closes them.
    setImmediate(callback, null)
  }

  /** The bytes from `start` up to, not including, `end`, in blocks of their own. */
  async *blocks(start: number, end: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; ) {
      const block = Buffer.allocUnsafeSlow(Math.min(UNPACK_BLOCK_BYTES, end - at))
      const byteCount = await readFully(this.#bytes, block, 0, block.length, this.#start + at)
      if (byteCount < block.length) {
        throw new Error('unexpected end of file')
      }
      at += byteCount
      yield block
    }
  }

  async #readInto(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    if (!Number.isSafeInteger(position) || position < 0 || position + length > this.byteSize) {
      throw new Error('unexpected end of file')
    }
    if (length > this.#block.length) {
      return await readFully(this.#bytes, buffer, offset, length, this.#start + position)
    }
    if (position < this.#blockStart || position + length > this.#blockStart + this.#blockBytes) {
      const wanted = Math.min(this.#block.length, this.byteSize - position)
      this.#blockBytes = 0
      this.#blockBytes = await readFully(this.#bytes, this.#block, 0, wanted, this.#start + position)
      this.#blockStart = position
    }
    const from = position - this.#blockStart
    return this.#block.copy(buffer, offset, from, Math.min(from + length, this.#blockBytes))
  }
}

/**
 * Where the archive stands in the file, which may have bytes before it (a script, a mail header) and behind it: offsets in an
 * archive count from its own beginning. The whole file where that cannot be told.
 */
async function archiveRange(bytes: ByteReader): Promise<{ readonly start: number; readonly end: number }> {
  const tail = Buffer.alloc(Math.min(TAIL_BYTES, bytes.byteSize))
  const tailStart = bytes.byteSize - tail.length
  await readFully(bytes, tail, 0, tail.length, tailStart)
  for (let at = tail.length - END_BYTES; at >= 0; at -= 1) {
    at = tail.lastIndexOf('PK\x05\x06', at, 'latin1')
    if (at < 0 || at + END_BYTES > tail.length || tail.readUInt32LE(at) !== END_SIGNATURE) {
      break
    }
    const end = Math.min(tailStart + at + END_BYTES + tail.readUInt16LE(at + 20), bytes.byteSize)
    const locator = at - LOCATOR64_BYTES
    if (locator >= END64_BYTES && tail.readUInt32LE(locator) === LOCATOR64_SIGNATURE) {
      const record = locator - END64_BYTES
      const saidAt = Number(tail.readBigUInt64LE(locator + 8))
      const shifted = tailStart + record - saidAt
      return { start: tail.readUInt32LE(record) === END64_SIGNATURE && shifted > 0 ? shifted : 0, end }
    }
    const directory = tailStart + at - tail.readUInt32LE(at + 12)
    const start = directory - tail.readUInt32LE(at + 16)
    if (start >= 0) {
      const signature = Buffer.alloc(4)
      await readFully(bytes, signature, 0, 4, directory)
      if (tail.readUInt16LE(at + 10) === 0 || signature.readUInt32LE(0) === ENTRY_SIGNATURE) {
        return { start, end }
      }
    }
  }
  return { start: 0, end: bytes.byteSize }
}

/** Reads until there is no more to read or `length` bytes are there; answers how many are. */
async function readFully(bytes: ByteReader, into: Uint8Array, at: number, length: number, position: number) {
  let done = 0
  while (done < length) {
    const byteCount = await bytes.read(into, at + done, length - done, position + done)
    if (byteCount === 0) {
      break
    }
    done += byteCount
  }
  return done
}

async function* inflated(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const inflate = createInflateRaw({ chunkSize: UNPACK_BLOCK_BYTES })
  const feeding = pipeline(Readable.from(packed, { objectMode: false }), inflate)
  // Its error is the one that the loop below throws, too; when the loop is left early it is none.
  feeding.catch(() => {})
  try {
    yield* inflate as AsyncIterable<Uint8Array>
  } finally {
    inflate.destroy()
  }
}

/** Entries that share packed bytes make a small archive unpack to anything, and no program writes them. */
function refuseOverlaps(entries: readonly yauzl.Entry[], directoryStart: number): void {
  const sorted = entries.toSorted((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader)
  for (const [index, entry] of sorted.entries()) {
    const end = entry.relativeOffsetOfLocalHeader + LOCAL_HEADER_BYTES + entry.fileNameRaw.length + entry.compressedSize
    const next = sorted[index + 1]?.relativeOffsetOfLocalHeader ?? directoryStart
    if (end > next) {
      throw new Refusal('FILE_UNSAFE', 'The archive is damaged or made to do harm: files in it overlap. Save it again.')
    }
  }
}

function tooManyEntries(limits: ZipLimits): Refusal {
  const most = limits.entries.toLocaleString('en-US')
  return new Refusal('FILE_UNSAFE', `The archive holds more than ${most} files, the most that is taken.`)
}

function damaged(name: string): Refusal {
  return new Refusal('FILE_UNREADABLE', `"${name}" in the archive is damaged. Save or download the file again.`)
}

/** What went wrong, as the person reads it; the errors of those who store the bytes are passed on. */
function asRefusal(error: unknown, name?: string): unknown {
  if (error instanceof Refusal || error instanceof RetryableError || error instanceof FatalError) {
    return error
  }
  if (error instanceof Error && error.message.includes('strong encryption')) {
    return new Refusal('FILE_ENCRYPTED', 'The archive is protected by a password. Save it without one.')
  }
  if (
    error instanceof Error &&
    /^(absolute path|invalid relative path|invalid characters in fileName)/.test(error.message)
  ) {
    return new Refusal('FILE_UNSAFE', 'The archive holds a file whose name leads out of the archive.')
  }
  return name === undefined
    ? new Refusal('FILE_UNREADABLE', 'The ZIP archive is damaged or cut off. Save or download the file again.')
    : damaged(name)
}

/** Names come from the file: short enough for a message, and without what would break a line. */
function shown(name: string): string {
  return name.replaceAll(/\p{C}/gu, '�').slice(0, 100)
}
