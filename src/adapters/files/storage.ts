/** Where uploaded files and those that runs write are kept. A stored file never changes. */
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FatalError, Refusal } from '../../errors.js'
import { STORE_READ_BYTES } from '../../limits.js'
import type { ByteReader, OpenBytes } from './bytes.js'
import { localBytes } from './local-bytes.js'
import {
  decryptedSize,
  ENCRYPTED_SUFFIX,
  encrypt,
  type FileKeys,
  isEncrypted,
  noFileKeys,
  openEncrypted,
} from './storage-encryption.js'
import { localBlobs } from './storage-local.js'
import type { S3Location, S3Settings } from './storage-s3.js'
import { ownTurn } from './turns.js'

export interface StoredFile {
  /** Names the file in its store, the tenant first. Opaque to callers, who only keep it and hand it back. */
  readonly key: string
  readonly byteSize: number
  /** Lower-case hex. */
  readonly sha256: string
}

export interface PutOptions {
  /** A longer stream is refused. */
  readonly maxBytes: number
  readonly signal?: AbortSignal
  /** Others are waiting for answers of this process: each chunk takes a turn of its own. */
  readonly inTurns?: boolean
}

/** A part of a file, in bytes: from `start` (0) up to, not including, `end` (the file's end). */
export interface ByteRange {
  readonly start?: number
  readonly end?: number
}

/** A file that a store holds. */
export interface ListedFile {
  readonly key: string
  readonly storedAt: Date
}

/** Where a stored file is and how it is read: plain data, good for a thread that knows nothing else. */
export interface StoreLocation {
  readonly blob: BlobLocation
  readonly key: string
  readonly keys: FileKeys
}

/** A file on a disk of this machine; the path is absolute. */
export interface LocalLocation {
  readonly kind: 'local'
  readonly path: string
}

/** A place of one of the stores. Never logged and never stored: it may hold what is secret. */
export type BlobLocation = LocalLocation | S3Location

/**
 * Keeps files by key. Whatever takes a key throws `FatalError` FILE_KEY_INVALID for a text that this store never gave
 * out, so that a key from elsewhere reaches nothing. Where a store fails, or refuses to be asked, calls throw
 * `RetryableError` FILE_READ_FAILED or FILE_WRITE_FAILED. Sizes and sums are those of what was put, encrypted or not.
 */
export interface FileStore {
  /**
   * Stores what the stream gives, whole or not at all: after an error, an abort or a refusal nothing is left and the
   * stream is destroyed. Throws `Refusal` FILE_TOO_LARGE above `maxBytes`, `RetryableError` STORAGE_FULL where there is no
   * room, the signal's reason when aborted, and the stream's own error.
   */
  put(tenantId: string, stream: Readable | AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredFile>
  /** How the file's bytes are opened, for readers that seek. The file need not exist. */
  openBytes(key: string): OpenBytes
  /** The same for another thread, which calls `openLocation`; good for an hour or so. The file need not exist. */
  location(key: string): Promise<StoreLocation>
  /** The file's bytes, opened when reading starts. The stream fails with `FatalError` FILE_UNREADABLE for a missing file. */
  read(key: string, range?: ByteRange): Readable
  /** Null where there is no such file. */
  stat(key: string): Promise<{ readonly byteSize: number; readonly storedAt: Date } | null>
  /** Does nothing where there is no such file. */
  delete(key: string): Promise<void>
  /** Removes what uploads that broke off left behind and nobody wrote to since; answers how many. */
  sweep(olderThan: Date): Promise<number>
  /**
   * Removes at once what processes of this machine have left that are gone, and what nobody has touched for
   * STORE_TEMPORARY_MINUTES of being looked at; answers how many. `now`: a time of `performance.now()`.
   */
  tidy(now?: number): Promise<number>
  /** All files of a tenant, in the order of their keys' bytes, some at a time. */
  list(tenantId: string): AsyncIterable<readonly ListedFile[]>
}

/** What a kind of store must do; the rest is the same for all of them. Keys are valid here. */
export interface Blobs {
  /** Stores all chunks, or leaves nothing. The chunks may fail. Nothing stands under the key before it is whole. */
  write(key: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<void>
  open(key: string): OpenBytes
  location(key: string): Promise<BlobLocation>
  stat(key: string): Promise<{ readonly byteSize: number; readonly storedAt: Date } | null>
  delete(key: string): Promise<void>
  sweep(olderThan: Date): Promise<number>
  tidy(now: number): Promise<number>
  list(tenantId: string): AsyncIterable<readonly ListedFile[]>
}

/** Which store there is, and the keys that files are encrypted with. */
export interface StoreSettings {
  /** Null: a folder of this machine. */
  readonly s3: S3Settings | null
  readonly keys: FileKeys
}

const TENANT = /^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$/
const KEY = /^([0-9A-Za-z][0-9A-Za-z_-]{0,63})\/[0-9a-f]{32}(?:\.enc)?$/

/** A folder of the local store that is no tenant's. */
const RESERVED = 'tmp'

/** The store of these settings. The client of object storage is loaded only where it is used. */
export async function openFileStore(settings: StoreSettings, directory: string): Promise<FileStore> {
  if (settings.s3 === null) {
    return fileStore(localBlobs(directory), settings.keys)
  }
  const { s3Blobs } = await import('./storage-s3.js')
  return fileStore(s3Blobs(settings.s3), settings.keys)
}

/** A store in a directory of this machine, whose files are readable by this user only. */
export function localFileStore(directory: string, keys: FileKeys = noFileKeys): FileStore {
  return fileStore(localBlobs(directory), keys)
}

/** Opens the file at a location that a store gave out. Fails as `OpenBytes` does. */
export async function openLocation({ blob, key, keys }: StoreLocation): Promise<ByteReader> {
  if (blob.kind === 'local') {
    return opening(localBytes(blob.path), key, keys)()
  }
  const { openS3 } = await import('./storage-s3.js')
  return opening(openS3(blob), key, keys)()
}

/** Whether a key is encrypted is told by the key, which the database keeps: whoever writes to the store cannot change it. */
function opening(open: OpenBytes, key: string, keys: FileKeys): OpenBytes {
  return isEncrypted(key) ? openEncrypted(open, key, keys) : open
}

/** The part that all stores have in common: keys, limits, sums and encryption. */
export function fileStore(blobs: Blobs, keys: FileKeys): FileStore {
  const open = (key: string): OpenBytes => opening(blobs.open(valid(key)), key, keys)

  return {
    async put(tenantId, stream, { maxBytes, signal, inTurns = false }) {
      const suffix = keys.current === null ? '' : ENCRYPTED_SUFFIX
      const key = `${validTenant(tenantId)}/${randomBytes(16).toString('hex')}${suffix}`
      const hash = createHash('sha256')
      let byteSize = 0
      async function* counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        for await (const chunk of chunks) {
          byteSize += chunk.byteLength
          if (byteSize > maxBytes) {
            throw new Refusal(
              'FILE_TOO_LARGE',
              `The file is larger than ${sizeText(maxBytes)}, the most that is taken.`,
            )
          }
          if (inTurns) {
            await ownTurn()
          }
          hash.update(chunk)
          yield chunk
        }
      }
      const writes: Promise<void>[] = []
      const write = (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
        const plain = counted(chunks)
        const writing = blobs.write(key, keys.current === null ? plain : encrypt(plain, key, keys), signal)
        writes.push(writing)
        return writing
      }
      try {
        signal?.throwIfAborted()
        await pipeline(stream, write, { signal })
        return { key, byteSize, sha256: hash.digest('hex') }
      } catch (error) {
        destroy(stream)
        // An abort does not wait for what is being written: that ends, and is cleared away, before anyone is told.
        if ((await Promise.allSettled(writes)).some(({ status }) => status === 'fulfilled')) {
          await blobs.delete(key)
        }
        signal?.throwIfAborted()
        throw error
      }
    },

    openBytes: open,

    location: async (key) => ({
      blob: await blobs.location(valid(key)),
      key,
      keys: isEncrypted(key) ? keys : noFileKeys,
    }),

    read: (key, range = {}) => Readable.from(bytesOf(open(key), range), { objectMode: false }),

    async stat(key) {
      const found = await blobs.stat(valid(key))
      return found !== null && isEncrypted(key) ? { ...found, byteSize: decryptedSize(found.byteSize) } : found
    },

    delete: async (key) => blobs.delete(valid(key)),

    sweep: (olderThan) => blobs.sweep(olderThan),

    tidy: (now = performance.now()) => blobs.tidy(now),

    async *list(tenantId) {
      for await (const page of blobs.list(validTenant(tenantId))) {
        // A folder or bucket may hold what is none of ours.
        yield page.filter(({ key }) => KEY.test(key))
      }
    },
  }
}

function valid(key: string): string {
  const tenant = KEY.exec(key)?.[1]
  if (tenant === undefined || tenant === RESERVED) {
    throw new FatalError('FILE_KEY_INVALID', 'This is no key of a stored file.')
  }
  return key
}

function validTenant(tenantId: string): string {
  if (!TENANT.test(tenantId) || tenantId === RESERVED) {
    throw new FatalError('FILE_KEY_INVALID', 'This is no id of a tenant.')
  }
  return tenantId
}

async function* bytesOf(open: OpenBytes, { start = 0, end = Infinity }: ByteRange): AsyncGenerator<Uint8Array> {
  await using reader = await open()
  const stop = Math.min(end, reader.byteSize)
  let position = start
  while (position < stop) {
    const block = Buffer.allocUnsafeSlow(Math.min(STORE_READ_BYTES, stop - position))
    const length = await reader.read(block, 0, block.byteLength, position)
    if (length === 0) {
      return
    }
    position += length
    yield block.subarray(0, length)
  }
}

/** A stream that is not read to its end must not keep its socket or file open. */
function destroy(stream: Readable | AsyncIterable<Uint8Array>): void {
  if (stream instanceof Readable) {
    stream.destroy()
  }
}

function sizeText(bytes: number): string {
  const mebibytes = bytes / (1024 * 1024)
  return mebibytes >= 1 ? `${Number(mebibytes.toFixed(1))} MiB (${bytes} bytes)` : `${bytes} bytes`
}
