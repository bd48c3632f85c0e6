/** Writing a bundle: records in, bytes of the archive out, a part of a few MB in memory at a time. */
import { createHash, type KeyObject, randomUUID, sign as signBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { crc32, deflateRaw } from 'node:zlib'
import { BUNDLE_PART_BYTES } from '../../limits.js'
import type { RecordTypeName } from '../../records/types.js'
import {
  BUNDLE_VERSION,
  type BundleCustomField,
  type BundleField,
  type BundleManifest,
  type BundlePart,
  type BundleType,
  MANIFEST_NAME,
  README_NAME,
  signedText,
  signerOf,
  TRAILER_LENGTH,
  trailerHead,
} from './bundle-format.js'

const deflate = promisify(deflateRaw)

/** What a bundle is to hold. */
export interface BundleContent {
  readonly createdAt: Date
  readonly snapshotAt: Date
  readonly origin: string
  /** In load order. */
  readonly types: readonly {
    readonly recordType: RecordTypeName
    readonly fields: readonly BundleField[]
    readonly customFields: readonly BundleCustomField[]
    /** One JSON text for each record, without line ends. Read once, when their turn has come. */
    readonly records: () => AsyncIterable<string>
  }[]
}

/** The keys that sign: Ed25519. */
export interface BundleKeys {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** The bytes of the archive. `onBegin` hears its `bundleId`, `onRecords` how many records of all types have been written. */
export async function* writeBundle(
  content: BundleContent,
  keys: BundleKeys,
  onBegin: (bundleId: string) => void = () => undefined,
  onRecords: (records: number) => void = () => undefined,
): AsyncGenerator<Buffer> {
  const archive = new Archive(content.createdAt)
  const signer = signerOf(keys.publicKey)
  const bundleId = randomUUID()
  onBegin(bundleId)
  const readme = Buffer.from(readmeOf(content, signer.keyId))
  yield (await archive.entry(README_NAME, readme)).bytes
  const recordTypes: BundleType[] = []
  let written = 0
  for (const { recordType, fields, customFields, records } of content.types) {
    const parts: BundlePart[] = []
    for await (const lines of inParts(records())) {
      const data = Buffer.from(lines.join(''))
      const name = `${recordType}/${String(parts.length + 1).padStart(6, '0')}.ndjson`
      const { bytes, offset, storedBytes } = await archive.entry(name, data)
      parts.push({ name, offset, storedBytes, bytes: data.length, records: lines.length, sha256: sha256(data) })
      written += lines.length
      yield bytes
      onRecords(written)
    }
    recordTypes.push({
      recordType,
      count: parts.reduce((sum, part) => sum + part.records, 0),
      fields,
      customFields,
      parts,
    })
  }
  const manifest: BundleManifest = {
    format: 'portage-bundle',
    formatVersion: BUNDLE_VERSION,
    bundleId,
    createdAt: content.createdAt.toISOString(),
    snapshotAt: content.snapshotAt.toISOString(),
    origin: content.origin,
    signer,
    readme: { name: README_NAME, bytes: readme.length, sha256: sha256(readme) },
    recordTypes,
  }
  yield* finishArchive(archive, manifest, keys)
}

/** Manifest, table of contents and signature. Also how the archives of older versions in the tests were made. */
export async function* finishArchive(archive: Archive, manifest: object, keys: BundleKeys): AsyncGenerator<Buffer> {
  const { bytes, offset, storedBytes } = await archive.entry(
    MANIFEST_NAME,
    Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`),
    true,
  )
  yield bytes
  yield archive.end(trailerHead(offset, storedBytes, signerOf(keys.publicKey).keyId))
  yield Buffer.from(signBytes(null, signedText(archive.digest()), keys.privateKey).toString('base64url'), 'latin1')
}

async function* inParts(records: AsyncIterable<string>): AsyncGenerator<string[]> {
  let lines: string[] = []
  let bytes = 0
  for await (const record of records) {
    lines.push(`${record}\n`)
    bytes += Buffer.byteLength(record) + 1
    if (bytes >= BUNDLE_PART_BYTES) {
      yield lines
      lines = []
      bytes = 0
    }
  }
  if (lines.length > 0) {
    yield lines
  }
}

/** Numbers of APPNOTE.TXT, the specification of ZIP, by PKWARE. */
const LOCAL = 0x0403_4b50
const CENTRAL = 0x0201_4b50
const END = 0x0605_4b50
const END_64 = 0x0606_4b50
const LOCATOR_64 = 0x0706_4b50
const VERSION_64 = 45
const UTF_8_NAMES = 0x0800
const STORED = 0
const DEFLATED = 8
const UINT32_MAX = 0xffff_ffff
const UINT16_MAX = 0xffff

/** A ZIP archive in the making. Entries are small; the archive and their number are not bounded (ZIP64). */
export class Archive {
  readonly #hash = createHash('sha256')
  readonly #central: Buffer[] = []
  readonly #time: number
  readonly #day: number
  #position = 0

  constructor(at: Date) {
    this.#time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1)
    this.#day = (Math.max(0, at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate()
  }

  /** The bytes of one entry; `offset` and `storedBytes` say where its data will stand. `plain`: not compressed. */
  async entry(
    name: string,
    data: Buffer,
    plain = false,
  ): Promise<{ readonly bytes: Buffer; readonly offset: number; readonly storedBytes: number }> {
    const stored: Buffer = plain ? data : await deflate(data)
    const fixed = Buffer.alloc(26)
    fixed.writeUInt16LE(VERSION_64, 0)
    fixed.writeUInt16LE(UTF_8_NAMES, 2)
    fixed.writeUInt16LE(plain ? STORED : DEFLATED, 4)
    fixed.writeUInt16LE(this.#time, 6)
    fixed.writeUInt16LE(this.#day, 8)
    fixed.writeUInt32LE(crc32(data), 10)
    fixed.writeUInt32LE(stored.length, 14)
    fixed.writeUInt32LE(data.length, 18)
    fixed.writeUInt16LE(Buffer.byteLength(name), 22)
    const head = Buffer.concat([uint32(LOCAL), fixed, Buffer.from(name)])
    this.#central.push(this.#centralEntry(fixed, name))
    const offset = this.#position + head.length
    return { bytes: this.#emit(Buffer.concat([head, stored])), offset, storedBytes: stored.length }
  }

  /** The table of contents with all but the signature of the comment. */
  end(comment: string): Buffer {
    const start = this.#position
    const central = Buffer.concat(this.#central)
    const count = this.#central.length
    const parts: Buffer[] = [central]
    if (start > UINT32_MAX || central.length > UINT32_MAX || count > UINT16_MAX) {
      const end = Buffer.alloc(52)
      end.writeBigUInt64LE(44n, 0)
      end.writeUInt16LE(VERSION_64, 8)
      end.writeUInt16LE(VERSION_64, 10)
      end.writeBigUInt64LE(BigInt(count), 20)
      end.writeBigUInt64LE(BigInt(count), 28)
      end.writeBigUInt64LE(BigInt(central.length), 36)
      end.writeBigUInt64LE(BigInt(start), 44)
      const locator = Buffer.alloc(16)
      locator.writeBigUInt64LE(BigInt(start + central.length), 4)
      locator.writeUInt32LE(1, 12)
      parts.push(uint32(END_64), end, uint32(LOCATOR_64), locator)
    }
    const end = Buffer.alloc(18)
    end.writeUInt16LE(Math.min(count, UINT16_MAX), 4)
    end.writeUInt16LE(Math.min(count, UINT16_MAX), 6)
    end.writeUInt32LE(Math.min(central.length, UINT32_MAX), 8)
    end.writeUInt32LE(Math.min(start, UINT32_MAX), 12)
    end.writeUInt16LE(TRAILER_LENGTH, 16)
    return this.#emit(Buffer.concat([...parts, uint32(END), end, Buffer.from(comment, 'latin1')]))
  }

  /** SHA-256 of all bytes until now; the last thing that is asked of an archive. */
  digest(): Buffer {
    return this.#hash.digest()
  }

  #centralEntry(fixed: Buffer, name: string): Buffer {
    const far = this.#position > UINT32_MAX
    const extra = Buffer.alloc(far ? 12 : 0)
    if (far) {
      extra.writeUInt16LE(1, 0)
      extra.writeUInt16LE(8, 2)
      extra.writeBigUInt64LE(BigInt(this.#position), 4)
    }
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(Math.min(this.#position, UINT32_MAX), 10)
    const madeBy = Buffer.alloc(2)
    madeBy.writeUInt16LE(VERSION_64)
    const middle = Buffer.from(fixed)
    middle.writeUInt16LE(extra.length, 24)
    return Buffer.concat([uint32(CENTRAL), madeBy, middle, rest, Buffer.from(name), extra])
  }

  #emit(bytes: Buffer): Buffer {
    this.#hash.update(bytes)
    this.#position += bytes.length
    return bytes
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

function readmeOf({ createdAt, snapshotAt, types }: BundleContent, keyId: string): string {
  return `This archive holds all records of one workspace, as Portage keeps them.

It is meant to be taken elsewhere: into another workspace of Portage, or into any other system. Under article 20 of the
General Data Protection Regulation people have a right to their data in a structured, commonly used and machine-readable
format; this is such a format.

What is in it
- ${MANIFEST_NAME}: what there is of each type: its fields, their kinds, the fields that the workspace made itself, and each
  part with its number of records, its size and its SHA-256. JSON in UTF-8.
${types.map(({ recordType }) => `- ${recordType}/: the records of type ${recordType}, one JSON object per line (NDJSON), in UTF-8.`).join('\n')}

One record: "id" is its name in this archive. "relations" hold the "id" of other records of this archive. "values" are its
fields and "customFields" those that the workspace made; what has no value is left out. Numbers are written as text so that
none is rounded, days as YYYY-MM-DD, moments in UTC. "sources" say by which ids other systems knew the record.

Written at ${createdAt.toISOString()}; shows the records as they were at ${snapshotAt.toISOString()}.
The comment of the archive signs every byte before it (Ed25519, key ${keyId}). Unpacked and packed again, the records
are the same but the signature is gone, and Portage will not take them as a bundle.
`
}
