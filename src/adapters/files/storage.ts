/** Where uploaded files and those that runs write are kept. A stored file never changes. */
import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FatalError, Refusal, RetryableError } from '../../errors.js'
import type { ByteReader, OpenBytes } from './bytes.js'
import { localBytes } from './local-bytes.js'

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
}

/** A part of a file, in bytes: from `start` (0) up to, not including, `end` (the file's end). */
export interface ByteRange {
  readonly start?: number
  readonly end?: number
}

/** Where a stored file is and how it is read: plain data, good for a thread or process that knows nothing else. */
export interface LocalLocation {
  readonly kind: 'local'
  /** Absolute. */
  readonly path: string
}

/** A location of one of the stores. Never logged, never stored: it may hold what is secret. */
export type StoreLocation = LocalLocation

/** Opens the file at a location that a store gave out. Fails as `OpenBytes` does. */
export function openLocation(location: StoreLocation): Promise<ByteReader> {
  return localBytes(location.path)()
}

/**
 * Keeps files by key. Whatever takes a key throws `FatalError` FILE_KEY_INVALID for a text that this store never gave
 * out, so that a key from elsewhere reaches nothing.
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
  /** The same for another thread, which calls `openLocation`; good for hours, not for days. The file need not exist. */
  location(key: string): Promise<StoreLocation>
  /** The file's bytes, opened when reading starts. The stream fails with `FatalError` FILE_UNREADABLE for a missing file. */
  read(key: string, range?: ByteRange): Readable
  /** Null where there is no such file. */
  stat(key: string): Promise<{ readonly byteSize: number; readonly storedAt: Date } | null>
  /** Does nothing where there is no such file. */
  delete(key: string): Promise<void>
  /** Removes what uploads that broke off left behind and nobody wrote to since; answers how many. */
  sweep(olderThan: Date): Promise<number>
}

const TENANT = /^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$/
const KEY = /^([0-9A-Za-z][0-9A-Za-z_-]{0,63})\/[0-9a-f]{32}$/
const TEMPORARY = 'tmp'

/**
 * A store in a directory of this machine: `<tenant>/<random>`, readable by this user only. A file is written under `tmp/`,
 * brought to the disk and then renamed, so that a crash never leaves half a file under a key.
 */
export function localFileStore(directory: string): FileStore {
  const pathOf = (key: string): string => {
    const tenant = KEY.exec(key)?.[1]
    if (tenant === undefined || tenant === TEMPORARY) {
      throw new FatalError('FILE_KEY_INVALID', 'This is no key of a stored file.')
    }
    return join(directory, key)
  }

  return {
    async put(tenantId, stream, { maxBytes, signal }) {
      if (!TENANT.test(tenantId) || tenantId === TEMPORARY) {
        throw new FatalError('FILE_KEY_INVALID', 'This is no id of a tenant.')
      }
      const key = `${tenantId}/${randomBytes(16).toString('hex')}`
      const path = join(directory, key)
      const temporary = join(directory, TEMPORARY, `${process.pid}-${randomBytes(12).toString('hex')}`)
      try {
        await mkdir(dirname(temporary), { recursive: true, mode: 0o700 })
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        const written = await writeWhole(temporary, stream, maxBytes, signal)
        await rename(temporary, path)
        await syncDirectory(dirname(path))
        return { key, ...written }
      } catch (error) {
        destroy(stream)
        await remove(temporary)
        signal?.throwIfAborted()
        if (codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT') {
          const message = 'There is no room left to store the file. Try again later.'
          throw new RetryableError('STORAGE_FULL', message, { cause: error })
        }
        throw error
      }
    },

    openBytes: (key) => localBytes(pathOf(key)),

    location: async (key) => ({ kind: 'local', path: pathOf(key) }),

    read(key, range = {}) {
      return Readable.from(bytesOf(pathOf(key), range), { objectMode: false })
    },

    async stat(key) {
      const path = pathOf(key)
      try {
        const { size, mtime } = await stat(path)
        return { byteSize: size, storedAt: mtime }
      } catch (error) {
        if (codeOf(error) === 'ENOENT') {
          return null
        }
        throw error
      }
    },

    async delete(key) {
      await remove(pathOf(key))
    },

    async sweep(olderThan) {
      const temporary = join(directory, TEMPORARY)
      let removed = 0
      for (const name of await namesIn(temporary)) {
        const path = join(temporary, name)
        if ((await lastWritten(path)) < olderThan.getTime()) {
          await remove(path)
          removed += 1
        }
      }
      return removed
    },
  }
}

async function writeWhole(
  path: string,
  stream: Readable | AsyncIterable<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<{ byteSize: number; sha256: string }> {
  await using handle = await open(path, 'wx', 0o600)
  const hash = createHash('sha256')
  let byteSize = 0
  const write = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) {
      byteSize += chunk.byteLength
      if (byteSize > maxBytes) {
        throw new Refusal('FILE_TOO_LARGE', `The file is larger than ${sizeText(maxBytes)}, the most that is taken.`)
      }
      hash.update(chunk)
      await writeAll(handle, chunk)
    }
  }
  await pipeline(stream, write, { signal })
  await handle.sync()
  return { byteSize, sha256: hash.digest('hex') }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let written = 0
  while (written < bytes.byteLength) {
    written += (await handle.write(bytes, written, bytes.byteLength - written)).bytesWritten
  }
}

async function* bytesOf(path: string, { start = 0, end = Infinity }: ByteRange): AsyncGenerator<Uint8Array> {
  await using handle = await openStored(path)
  if (end > start) {
    yield* handle.createReadStream({ start, end: end - 1, autoClose: false, highWaterMark: 256 * 1024 })
  }
}

async function openStored(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    // The system's own message holds the path.
    if (codeOf(error) === 'ENOENT') {
      throw new FatalError('FILE_UNREADABLE', 'The file is no longer in the store.', { cause: error })
    }
    throw new RetryableError('FILE_READ_FAILED', 'The file could not be read from the store.', { cause: error })
  }
}

/** A new name is on the disk for sure only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') {
    // Directories cannot be opened there; the file system journals the rename itself.
    return
  }
  await using handle = await open(path, 'r')
  await handle.sync()
}

async function remove(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') {
      throw error
    }
  }
}

async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return []
    }
    throw error
  }
}

/** Milliseconds since 1970; infinite for a file that is gone by now. */
async function lastWritten(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return Infinity
    }
    throw error
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

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
