/** The bytes of files on the local disk. */
import { type FileHandle, open } from 'node:fs/promises'
import { FatalError, RetryableError } from '../../errors.js'
import type { ByteReader, OpenBytes } from './bytes.js'

/** Opens the file at `path`, which must not change while it is read. Fails as `ByteReader` does. */
export function localBytes(path: string): OpenBytes {
  return async () => {
    const handle = await failing(() => open(path, 'r'))
    try {
      const { size } = await failing(() => handle.stat())
      return new LocalReader(handle, size)
    } catch (error) {
      await handle.close()
      throw error
    }
  }
}

class LocalReader implements ByteReader {
  readonly byteSize: number
  readonly #handle: FileHandle

  constructor(handle: FileHandle, byteSize: number) {
    this.#handle = handle
    this.byteSize = byteSize
  }

  async read(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    const { bytesRead } = await failing(() => this.#handle.read(target, at, length, position))
    return bytesRead
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

/** Failures of the disk in words that a person may read: a path is not one of them. */
async function failing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') {
      throw new FatalError('FILE_UNREADABLE', 'The file is no longer in the store.')
    }
    throw new RetryableError('FILE_READ_FAILED', 'The file could not be read from the store.', {
      cause: new Error(String(code)),
    })
  }
}
