/**
 * The envelope of a bundle with a passphrase: a header, then the archive in segments of 64 KiB, each under AES-256-GCM with
 * its number and whether it is the last one in its nonce, so that no segment can be changed, moved, left out or cut off.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  scrypt,
  timingSafeEqual,
} from 'node:crypto'
import { Refusal } from '../../errors.js'
import { tampered } from './bundle-format.js'
import type { ByteReader, OpenBytes } from './bytes.js'

/** First bytes of an envelope. */
const MAGIC = Buffer.from('portage-bundle-encrypted 1\n')
const SALT_BYTES = 16
const PREFIX_BYTES = 7
const CHECK_BYTES = 16
const SUM_BYTES = 16
/** Magic, salt, prefix of the nonces: what is known before the passphrase. Then its check, and the sum of all of it. */
const OPEN_BYTES = MAGIC.length + SALT_BYTES + PREFIX_BYTES
const HEADER_BYTES = OPEN_BYTES + CHECK_BYTES + SUM_BYTES
const SEGMENT_BYTES = 64 * 1024
const TAG_BYTES = 16
const SEALED_BYTES = SEGMENT_BYTES + TAG_BYTES
const NONCE_BYTES = 12

/** 32 MiB and some 100 ms for each guess. Fixed for this version of the envelope, so that no file can ask for more. */
const SCRYPT = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const

/** What a passphrase becomes: a key, and what proves it. */
export interface EnvelopeKey {
  readonly salt: Buffer
  readonly key: Buffer
  readonly proof: Buffer
}

/** A fresh key for an envelope to be written. */
export function newEnvelopeKey(passphrase: string): Promise<EnvelopeKey> {
  return derive(passphrase, randomBytes(SALT_BYTES))
}

/** As one text, to be kept (sealed) between a request and the worker that does it. */
export function packEnvelopeKey({ salt, key, proof }: EnvelopeKey): Buffer {
  return Buffer.concat([salt, key, proof])
}

/** The key that `packEnvelopeKey` packed. */
export function unpackEnvelopeKey(packed: Buffer): EnvelopeKey {
  return {
    salt: packed.subarray(0, SALT_BYTES),
    key: packed.subarray(SALT_BYTES, SALT_BYTES + 32),
    proof: packed.subarray(SALT_BYTES + 32),
  }
}

async function derive(passphrase: string, salt: Buffer): Promise<EnvelopeKey> {
  // One spelling of what looks the same, whatever keyboard wrote it.
  const derived = await new Promise<Buffer>((resolve, reject) => {
    scrypt(passphrase.normalize('NFKC'), salt, 64, SCRYPT, (error, bytes) => (error ? reject(error) : resolve(bytes)))
  })
  return { salt, key: derived.subarray(0, 32), proof: derived.subarray(32) }
}

function headerOf(salt: Buffer, prefix: Buffer, proof: Buffer): Buffer {
  const open = Buffer.concat([MAGIC, salt, prefix])
  const checked = Buffer.concat([open, createHmac('sha256', proof).update(open).digest().subarray(0, CHECK_BYTES)])
  return Buffer.concat([checked, sumOf(checked)])
}

function sumOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, SUM_BYTES)
}

function nonceOf(prefix: Buffer, number: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES)
  prefix.copy(nonce)
  nonce.writeUInt32BE(number, PREFIX_BYTES)
  nonce[NONCE_BYTES - 1] = last ? 1 : 0
  return nonce
}

/** Puts the bytes of an archive into an envelope. The key is good for one envelope. */
export async function* seal(
  chunks: AsyncIterable<Uint8Array>,
  { salt, key, proof }: EnvelopeKey,
): AsyncGenerator<Buffer> {
  const prefix = randomBytes(PREFIX_BYTES)
  const header = headerOf(salt, prefix, proof)
  yield header
  const sealed = (plain: Uint8Array, number: number, last: boolean): Buffer => {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(prefix, number, last))
    cipher.setAAD(header)
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }
  const held = Buffer.allocUnsafeSlow(SEGMENT_BYTES)
  let filled = 0
  let number = 0
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; ) {
      // Only when more comes is it known that a full segment is not the last one.
      if (filled === held.length) {
        yield sealed(held, number, false)
        number += 1
        filled = 0
      }
      const taken = Math.min(held.length - filled, chunk.byteLength - at)
      held.set(chunk.subarray(at, at + taken), filled)
      filled += taken
      at += taken
    }
  }
  yield sealed(held.subarray(0, filled), number, true)
}

/** Whether these are the first bytes of an envelope. */
export async function isEnvelope(open: OpenBytes): Promise<boolean> {
  await using reader = await open()
  const head = Buffer.alloc(MAGIC.length)
  return (await reader.read(head, 0, head.length, 0)) === head.length && head.equals(MAGIC)
}

/** The key of the envelope by its passphrase. Refuses PASSPHRASE_WRONG, and BUNDLE_TAMPERED for a damaged header. */
export async function envelopeKey(open: OpenBytes, passphrase: string): Promise<EnvelopeKey> {
  await using reader = await open()
  const header = await readHeader(reader)
  const key = await derive(passphrase, header.salt)
  if (!proves(header, key.proof)) {
    throw new Refusal('PASSPHRASE_WRONG', 'This is not the passphrase that the bundle was made with.', ['passphrase'])
  }
  return key
}

interface Header {
  readonly bytes: Buffer
  readonly salt: Buffer
  readonly prefix: Buffer
}

async function readHeader(reader: ByteReader): Promise<Header> {
  const bytes = Buffer.alloc(HEADER_BYTES)
  let filled = 0
  while (filled < bytes.length) {
    const read = await reader.read(bytes, filled, bytes.length - filled, filled)
    if (read === 0) {
      throw tampered('the beginning of the file')
    }
    filled += read
  }
  if (
    !bytes.subarray(0, MAGIC.length).equals(MAGIC) ||
    !sumOf(bytes.subarray(0, -SUM_BYTES)).equals(bytes.subarray(-SUM_BYTES))
  ) {
    throw tampered('the beginning of the file')
  }
  const saltEnd = MAGIC.length + SALT_BYTES
  return { bytes, salt: bytes.subarray(MAGIC.length, saltEnd), prefix: bytes.subarray(saltEnd, OPEN_BYTES) }
}

function proves(header: Header, proof: Buffer): boolean {
  const right = headerOf(header.salt, header.prefix, proof)
  return timingSafeEqual(right, header.bytes)
}

/** The archive in an envelope. Reading refuses BUNDLE_TAMPERED where a segment is not what was sealed. */
export function openEnvelope(open: OpenBytes, key: EnvelopeKey): OpenBytes {
  return async () => {
    const inner = await open()
    try {
      const header = await readHeader(inner)
      if (!proves(header, key.proof)) {
        throw tampered('the beginning of the file')
      }
      const body = inner.byteSize - HEADER_BYTES
      const segments = Math.max(1, Math.ceil(body / SEALED_BYTES))
      if (body - (segments - 1) * SEALED_BYTES <= TAG_BYTES) {
        throw tampered('the end of the file')
      }
      return new EnvelopeReader(inner, header, key.key, segments, body - segments * TAG_BYTES)
    } catch (error) {
      await inner[Symbol.asyncDispose]()
      throw error
    }
  }
}

/** Opens the segment that is asked for; the last one read is kept for those who read on. */
class EnvelopeReader implements ByteReader {
  readonly byteSize: number
  readonly #inner: ByteReader
  readonly #header: Header
  readonly #key: Buffer
  readonly #segments: number
  #plain: Buffer = Buffer.alloc(0)
  #number = -1

  constructor(inner: ByteReader, header: Header, key: Buffer, segments: number, byteSize: number) {
    this.#inner = inner
    this.#header = header
    this.#key = key
    this.#segments = segments
    this.byteSize = byteSize
  }

  async read(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    if (position >= this.byteSize || length === 0) {
      return 0
    }
    const number = Math.floor(position / SEGMENT_BYTES)
    if (number !== this.#number) {
      this.#plain = await this.#open(number)
      this.#number = number
    }
    const offset = position - number * SEGMENT_BYTES
    const taken = Math.min(length, this.#plain.length - offset)
    target.set(this.#plain.subarray(offset, offset + taken), at)
    return taken
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]()
  }

  async #open(number: number): Promise<Buffer> {
    const start = HEADER_BYTES + number * SEALED_BYTES
    const sealed = Buffer.allocUnsafeSlow(Math.min(SEALED_BYTES, this.#inner.byteSize - start))
    for (let filled = 0; filled < sealed.length; ) {
      const read = await this.#inner.read(sealed, filled, sealed.length - filled, start + filled)
      if (read === 0) {
        throw tampered('the end of the file')
      }
      filled += read
    }
    const last = number === this.#segments - 1
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonceOf(this.#header.prefix, number, last))
    decipher.setAAD(this.#header.bytes)
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
    } catch {
      throw tampered(last ? 'the end of the file' : `the encrypted segment ${number + 1}`)
    }
  }
}
