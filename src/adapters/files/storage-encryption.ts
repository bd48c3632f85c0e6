/**
 * Encryption of stored files: AES-256-GCM in segments, so that a part of a file is read without the rest of it. Each file
 * has a random key of its own, which stands in the file's header, encrypted with a master key from the settings.
 *
 * Header (HEADER_BYTES): magic 8, id of the master key 16 (padded with zeros), prefix of the nonces 7, nonce 12, encrypted
 * key 32, tag 16. The name under which the file is stored is authenticated with it, so that a file cannot take the place
 * of another. Then segments of 64 KiB and a tag of 16 bytes each, the last one shorter; the nonce of a segment is prefix,
 * number (4 bytes) and whether it is the last one, so that none can be moved, left out, or the file cut.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { FatalError, RetryableError } from '../../errors.js'
import { STORE_SEGMENT_BYTES } from '../../limits.js'
import type { ByteReader, OpenBytes } from './bytes.js'

/** Master keys by their ids. Plain data, which a thread can be given. */
export interface FileKeys {
  /** Id of the key that new files are encrypted with; null: they are not encrypted. */
  readonly current: string | null
  /** 32 bytes each; those of old files stay here as long as such files do. */
  readonly byId: Readonly<Record<string, Uint8Array>>
}

/** Keys of a store that does not encrypt. */
export const noFileKeys: FileKeys = { current: null, byId: {} }

/** How the key of an encrypted file ends. */
export const ENCRYPTED_SUFFIX = '.enc'

const MAGIC = Buffer.from('PORTAGE1')
const ID_BYTES = 16
const PREFIX_BYTES = 7
const NONCE_BYTES = 12
const KEY_BYTES = 32
const TAG_BYTES = 16

/** What is authenticated with the file's key, beside the name of the file. */
const OPEN_HEADER_BYTES = MAGIC.length + ID_BYTES + PREFIX_BYTES

const HEADER_BYTES = OPEN_HEADER_BYTES + NONCE_BYTES + KEY_BYTES + TAG_BYTES

const STORED_SEGMENT_BYTES = STORE_SEGMENT_BYTES + TAG_BYTES

/** Segments that are read from the store at once. */
const SEGMENTS_AT_ONCE = 4

export function isEncrypted(key: string): boolean {
  return key.endsWith(ENCRYPTED_SUFFIX)
}

/** How long a file is that takes `stored` bytes encrypted; 0 for one that is too short to be one. */
export function decryptedSize(stored: number): number {
  return Math.max(0, stored - HEADER_BYTES - segmentsOf(stored) * TAG_BYTES)
}

function segmentsOf(stored: number): number {
  return Math.ceil((stored - HEADER_BYTES) / STORED_SEGMENT_BYTES)
}

/** Encrypts a file that will be stored under `name`, with the current key of `keys`. */
export async function* encrypt(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  keys: FileKeys,
): AsyncGenerator<Uint8Array> {
  const id = keys.current ?? ''
  const opened = Buffer.alloc(OPEN_HEADER_BYTES)
  MAGIC.copy(opened)
  opened.write(id, MAGIC.length, 'latin1')
  randomBytes(PREFIX_BYTES).copy(opened, MAGIC.length + ID_BYTES)
  const prefix = opened.subarray(-PREFIX_BYTES)
  const key = randomBytes(KEY_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const wrap = createCipheriv('aes-256-gcm', masterKey(keys, id), nonce)
  wrap.setAAD(Buffer.concat([opened, Buffer.from(name)]))
  yield Buffer.concat([opened, nonce, wrap.update(key), wrap.final(), wrap.getAuthTag()])

  const seal = (plain: Uint8Array, number: number, last: boolean): Uint8Array => {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(prefix, number, last))
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }
  const held = Buffer.allocUnsafeSlow(STORE_SEGMENT_BYTES)
  let filled = 0
  let number = 0
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; ) {
      // Only when more comes is it known that a full segment is not the last one.
      if (filled === held.length) {
        yield seal(held, number, false)
        number += 1
        filled = 0
      }
      const taken = Math.min(held.length - filled, chunk.byteLength - at)
      held.set(chunk.subarray(at, at + taken), filled)
      filled += taken
      at += taken
    }
  }
  yield seal(held.subarray(0, filled), number, true)
}

/**
 * Opens an encrypted file that is stored under `name`. Reading throws `FatalError` FILE_UNREADABLE where the file is not
 * what was stored, `RetryableError` FILE_READ_FAILED where its master key is not among `keys`, which only the operator can
 * mend. That a file was cut is found out where its end is read.
 */
export function openEncrypted(open: OpenBytes, name: string, keys: FileKeys): OpenBytes {
  return async () => {
    const inner = await open()
    try {
      // A last segment without a readable byte would never be looked at; only an empty file has one.
      const tail = (inner.byteSize - HEADER_BYTES) % STORED_SEGMENT_BYTES
      const cut = (tail > 0 && tail < TAG_BYTES) || (tail === TAG_BYTES && segmentsOf(inner.byteSize) > 1)
      if (inner.byteSize < HEADER_BYTES + TAG_BYTES || cut) {
        throw damaged()
      }
      const header = await readAll(inner, HEADER_BYTES, 0)
      return new DecryptingReader(
        inner,
        header.subarray(OPEN_HEADER_BYTES - PREFIX_BYTES, OPEN_HEADER_BYTES),
        unwrap(header, name, keys),
      )
    } catch (error) {
      await inner[Symbol.asyncDispose]()
      throw error
    }
  }
}

function unwrap(header: Buffer, name: string, keys: FileKeys): Buffer {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw damaged()
  }
  const id = header.toString('latin1', MAGIC.length, MAGIC.length + ID_BYTES).replace(/\0+$/, '')
  const [nonce, key, tag] = [NONCE_BYTES, KEY_BYTES, TAG_BYTES].reduce<Buffer[]>((parts, length) => {
    const start = OPEN_HEADER_BYTES + parts.reduce((sum, part) => sum + part.length, 0)
    return [...parts, header.subarray(start, start + length)]
  }, []) as [Buffer, Buffer, Buffer]
  const decipher = createDecipheriv('aes-256-gcm', masterKey(keys, id), nonce)
  decipher.setAAD(Buffer.concat([header.subarray(0, OPEN_HEADER_BYTES), Buffer.from(name)]))
  decipher.setAuthTag(tag)
  return genuine(() => Buffer.concat([decipher.update(key), decipher.final()]))
}

function masterKey(keys: FileKeys, id: string): Uint8Array {
  const key = Object.hasOwn(keys.byId, id) ? keys.byId[id] : undefined
  if (key === undefined) {
    throw new RetryableError('FILE_READ_FAILED', 'The key that the file was encrypted with is not among the settings.')
  }
  return key
}

function nonceOf(prefix: Uint8Array, number: number, last: boolean): Uint8Array {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.set(prefix)
  nonce.writeUInt32BE(number, PREFIX_BYTES)
  nonce[NONCE_BYTES - 1] = last ? 1 : 0
  return nonce
}

/** Decrypts the segments that are asked for; the last one read is kept for those who read on. */
class DecryptingReader implements ByteReader {
  readonly byteSize: number
  readonly #inner: ByteReader
  readonly #prefix: Uint8Array
  readonly #key: Uint8Array
  readonly #segments: number
  /** The segments in hand, from the number `#from` on. */
  #plain: Buffer = Buffer.alloc(0)
  #from = 0

  constructor(inner: ByteReader, prefix: Uint8Array, key: Uint8Array) {
    this.#inner = inner
    this.#prefix = prefix
    this.#key = key
    this.#segments = segmentsOf(inner.byteSize)
    this.byteSize = decryptedSize(inner.byteSize)
  }

  async read(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    if (position >= this.byteSize || length === 0) {
      // An empty file has a segment too, which says that nothing was cut off.
      if (this.byteSize === 0) {
        await this.#load(0, 1)
      }
      return 0
    }
    const segment = Math.floor(position / STORE_SEGMENT_BYTES)
    let offset = position - this.#from * STORE_SEGMENT_BYTES
    if (segment < this.#from || offset >= this.#plain.length) {
      const wanted = Math.ceil((position + length) / STORE_SEGMENT_BYTES) - segment
      await this.#load(segment, Math.min(wanted, SEGMENTS_AT_ONCE))
      offset = position - segment * STORE_SEGMENT_BYTES
    }
    const taken = Math.min(length, this.#plain.length - offset)
    target.set(this.#plain.subarray(offset, offset + taken), at)
    return taken
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]()
  }

  async #load(from: number, wanted: number): Promise<void> {
    const start = HEADER_BYTES + from * STORED_SEGMENT_BYTES
    const end = Math.min(start + Math.min(wanted, this.#segments - from) * STORED_SEGMENT_BYTES, this.#inner.byteSize)
    const stored = await readAll(this.#inner, end - start, start)
    const plain: Buffer[] = []
    for (let at = 0, number = from; at < stored.length; at += STORED_SEGMENT_BYTES, number += 1) {
      plain.push(this.#decrypt(stored.subarray(at, at + STORED_SEGMENT_BYTES), number))
    }
    this.#plain = plain.length === 1 && plain[0] !== undefined ? plain[0] : Buffer.concat(plain)
    this.#from = from
  }

  #decrypt(segment: Buffer, number: number): Buffer {
    const length = segment.length - TAG_BYTES
    if (length < 0) {
      throw damaged()
    }
    const nonce = nonceOf(this.#prefix, number, number === this.#segments - 1)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce)
    decipher.setAuthTag(segment.subarray(length))
    const plain = decipher.update(segment.subarray(0, length))
    genuine(() => decipher.final())
    return plain
  }
}

async function readAll(reader: ByteReader, length: number, position: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length)
  for (let filled = 0; filled < length; ) {
    const read = await reader.read(buffer, filled, length - filled, position + filled)
    if (read === 0) {
      throw damaged()
    }
    filled += read
  }
  return buffer
}

function genuine<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw damaged(error)
  }
}

function damaged(cause?: unknown): FatalError {
  return new FatalError('FILE_UNREADABLE', 'The file in the store is damaged: it is not what was stored.', { cause })
}
