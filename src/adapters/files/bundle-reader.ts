/** Reading a bundle: first every byte of it is checked, then its records come part by part. */
import { createHash, type KeyObject, verify as verifySignature } from 'node:crypto'
import { promisify } from 'node:util'
import { inflateRaw } from 'node:zlib'
import { Refusal } from '../../errors.js'
import { BUNDLE_MANIFEST_BYTES_MAX, BUNDLE_PART_BYTES_MAX, SOURCE_BLOCK_BYTES } from '../../limits.js'
import { isEnvelope } from './bundle-envelope.js'
import {
  type BundleCustomField,
  type BundleManifest,
  type BundlePart,
  type BundleRecord,
  type BundleType,
  bundleOrder,
  MANIFEST_NAME,
  publicKeyOf,
  readTrailer,
  SIGNATURE_LENGTH,
  signedText,
  signerOf,
  TRAILER_LENGTH,
  type Trailer,
  tampered,
  upgradeManifest,
  upgradeRecord,
} from './bundle-format.js'
import type { ByteReader, OpenBytes } from './bytes.js'

const inflate = promisify(inflateRaw)

/** A bundle whose every byte is as its origin signed it. */
export interface OpenedBundle {
  readonly manifest: BundleManifest
  /** The version that it was written in. */
  readonly version: number
  /** Whether the key that signed it is among those that were given. */
  readonly trusted: boolean
}

/** End of central directory, before the comment. */
const END = Buffer.from([0x50, 0x4b, 0x05, 0x06])
const END_BYTES = 22

/**
 * Checks a bundle that is no envelope, or the inside of one, from its first byte to its last. A bundle whose key is none of
 * `trusted` (by key id) is checked with the key that it brings along. Refuses BUNDLE_TAMPERED, naming the place where it can.
 */
export async function verifyBundle(
  open: OpenBytes,
  trusted: ReadonlyMap<string, KeyObject>,
  signal?: AbortSignal,
): Promise<OpenedBundle> {
  await using reader = await open()
  const trailer = await trailerOf(reader, open)
  const own = trusted.get(trailer.keyId)
  const digest = await digestOf(reader, reader.byteSize - SIGNATURE_LENGTH, signal)
  if (own !== undefined) {
    if (!verifySignature(null, signedText(digest), own, trailer.signature)) {
      throw await whatIsWrong(reader, trailer)
    }
    return { ...(await manifestOf(reader, trailer)), trusted: true }
  }
  // Somebody else's key, or a changed byte: only with the key that it brings along can the two be told apart.
  const { manifest, version } = await manifestOf(reader, trailer)
  const brought = publicKeyOf(manifest.signer.publicKey)
  if (
    brought === null ||
    signerOf(brought).keyId !== trailer.keyId ||
    !verifySignature(null, signedText(digest), brought, trailer.signature)
  ) {
    throw await whatIsWrong(reader, trailer)
  }
  return { manifest, version, trusted: false }
}

async function trailerOf(reader: ByteReader, open: OpenBytes): Promise<Trailer> {
  const size = reader.byteSize
  if (size < END_BYTES + TRAILER_LENGTH) {
    throw tampered('the end of the file')
  }
  const tail = await readExactly(reader, size - END_BYTES - TRAILER_LENGTH, END_BYTES + TRAILER_LENGTH)
  const trailer = readTrailer(tail.subarray(END_BYTES))
  if (
    trailer === null ||
    !tail.subarray(0, END.length).equals(END) ||
    trailer.manifestBytes > BUNDLE_MANIFEST_BYTES_MAX ||
    trailer.manifestOffset + trailer.manifestBytes > size
  ) {
    if (await isEnvelope(open)) {
      throw new Refusal('PASSPHRASE_WRONG', 'The bundle is encrypted: give the passphrase that it was made with.', [
        'passphrase',
      ])
    }
    throw tampered('the end of the file')
  }
  return trailer
}

async function digestOf(reader: ByteReader, end: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const hash = createHash('sha256')
  const block = Buffer.allocUnsafeSlow(SOURCE_BLOCK_BYTES)
  for (let position = 0; position < end; ) {
    signal?.throwIfAborted()
    const read = await reader.read(block, 0, Math.min(block.length, end - position), position)
    if (read === 0) {
      throw tampered('the end of the file')
    }
    hash.update(block.subarray(0, read))
    position += read
  }
  return hash.digest()
}

async function manifestOf(
  reader: ByteReader,
  trailer: Trailer,
): Promise<{ readonly manifest: BundleManifest; readonly version: number }> {
  const text = await readExactly(reader, trailer.manifestOffset, trailer.manifestBytes)
  let raw: unknown
  try {
    raw = JSON.parse(text.toString('utf8'))
  } catch {
    throw tampered(`the part ${MANIFEST_NAME}`)
  }
  const { version, manifest } = upgradeManifest(raw)
  if (!isWhole(manifest, reader.byteSize)) {
    throw tampered(`the part ${MANIFEST_NAME}`)
  }
  return { version, manifest }
}

/** Whether everything is there that reading relies on: the key may be anybody's. */
function isWhole(manifest: BundleManifest, byteSize: number): boolean {
  const isText = (value: unknown) => typeof value === 'string' && value.length <= 1000
  const isCount = (value: unknown) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
  return (
    isText(manifest.bundleId) &&
    isText(manifest.createdAt) &&
    isText(manifest.snapshotAt) &&
    /^[0-9a-z]{1,40}$/.test(manifest.origin) &&
    isText(manifest.signer?.keyId) &&
    isText(manifest.signer?.publicKey) &&
    Array.isArray(manifest.recordTypes) &&
    new Set(manifest.recordTypes.map(({ recordType }) => recordType)).size === manifest.recordTypes.length &&
    manifest.recordTypes.every(
      (type) =>
        (bundleOrder as readonly string[]).includes(type.recordType) &&
        isCount(type.count) &&
        Array.isArray(type.customFields) &&
        type.customFields.every(
          ({ key, label, kind }: BundleCustomField) => isText(key) && isText(label) && isText(kind),
        ) &&
        Array.isArray(type.parts) &&
        type.parts.every(
          (part: BundlePart) =>
            isText(part.name) &&
            isText(part.sha256) &&
            [part.offset, part.storedBytes, part.bytes, part.records].every(isCount) &&
            part.offset + part.storedBytes <= byteSize &&
            part.storedBytes <= BUNDLE_PART_BYTES_MAX &&
            part.bytes <= BUNDLE_PART_BYTES_MAX,
        ) &&
        type.parts.reduce((sum: number, { records }: BundlePart) => sum + records, 0) === type.count,
    )
  )
}

/** The refusal of a bundle whose signature is not right: named by the first part that is not what the manifest says. */
async function whatIsWrong(reader: ByteReader, trailer: Trailer): Promise<Refusal> {
  let manifest: BundleManifest
  try {
    ;({ manifest } = await manifestOf(reader, trailer))
  } catch (error) {
    return error instanceof Refusal && error.code === 'BUNDLE_TAMPERED' ? error : tampered(`the part ${MANIFEST_NAME}`)
  }
  for (const part of manifest.recordTypes.flatMap(({ parts }) => parts)) {
    try {
      await unpack(reader, part)
    } catch {
      return tampered(`the part ${part.name}`)
    }
  }
  return tampered('what stands between its parts, its manifest or its signature')
}

async function unpack(reader: ByteReader, part: BundlePart): Promise<Buffer> {
  const stored = await readExactly(reader, part.offset, part.storedBytes)
  let data: Buffer
  try {
    data = await inflate(stored, { maxOutputLength: Math.max(1, part.bytes) })
  } catch {
    throw tampered(`the part ${part.name}`)
  }
  if (data.length !== part.bytes || createHash('sha256').update(data).digest('hex') !== part.sha256) {
    throw tampered(`the part ${part.name}`)
  }
  return data
}

/** Records of one type of a bundle that was verified, a part of a few MB in memory at a time. */
export async function* bundleRecords(
  open: OpenBytes,
  { version }: OpenedBundle,
  type: BundleType,
): AsyncGenerator<BundleRecord> {
  await using reader = await open()
  for (const part of type.parts) {
    const data = await unpack(reader, part)
    let records = 0
    for (let at = 0; at < data.length; ) {
      const end = data.indexOf(10, at)
      const stop = end < 0 ? data.length : end
      yield recordOf(version, type, part, data.toString('utf8', at, stop))
      records += 1
      at = stop + 1
    }
    if (records !== part.records) {
      throw tampered(`the part ${part.name}`)
    }
  }
}

function recordOf(version: number, type: BundleType, part: BundlePart, line: string): BundleRecord {
  let raw: unknown
  try {
    raw = JSON.parse(line)
    const record = upgradeRecord(version, type, raw)
    if (
      typeof record.id === 'string' &&
      record.id.length <= 100 &&
      [record.values, record.customFields, record.relations].every((member) => typeof member === 'object') &&
      Array.isArray(record.sources) &&
      record.sources.every(({ system, id }) => typeof system === 'string' && typeof id === 'string')
    ) {
      return record
    }
  } catch {
    // Told below.
  }
  throw tampered(`the part ${part.name}`)
}

async function readExactly(reader: ByteReader, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  for (let filled = 0; filled < length; ) {
    const read = await reader.read(bytes, filled, length - filled, position + filled)
    if (read === 0) {
      throw tampered('the end of the file')
    }
    filled += read
  }
  return bytes
}

/** Whether a file is a bundle by its first or last bytes, whatever else is wrong with it. */
export async function isBundle(open: OpenBytes): Promise<boolean> {
  if (await isEnvelope(open)) {
    return true
  }
  await using reader = await open()
  const { byteSize } = reader
  return (
    byteSize > TRAILER_LENGTH &&
    readTrailer(await readExactly(reader, byteSize - TRAILER_LENGTH, TRAILER_LENGTH)) !== null
  )
}
