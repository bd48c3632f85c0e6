/** Files in a directory of this machine. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { RetryableError } from '../../errors.js'
import { STORE_LIST_PAGE_FILES } from '../../limits.js'
import { localBytes } from './local-bytes.js'
import type { Blobs, ListedFile } from './storage.js'

const TEMPORARY = 'tmp'

/**
 * A store in a directory: `<tenant>/<random>`, readable by this user only. A file is written under `tmp/`, brought to the
 * disk and then renamed, so that a crash never leaves half a file under a key.
 */
export function localBlobs(directory: string): Blobs {
  const pathOf = (key: string): string => join(directory, key)

  return {
    async write(key, chunks, signal) {
      const path = pathOf(key)
      const temporary = join(directory, TEMPORARY, `${process.pid}-${randomBytes(12).toString('hex')}`)
      try {
        await mkdir(dirname(temporary), { recursive: true, mode: 0o700 })
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        await writeWhole(temporary, chunks)
        signal?.throwIfAborted()
        await rename(temporary, path)
        await syncDirectory(dirname(path))
      } catch (error) {
        await remove(temporary)
        if (codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT') {
          const message = 'There is no room left to store the file. Try again later.'
          throw new RetryableError('STORAGE_FULL', message, { cause: error })
        }
        throw error
      }
    },

    open: (key) => localBytes(pathOf(key)),

    location: (key) => Promise.resolve({ kind: 'local', path: resolve(pathOf(key)) }),

    async stat(key) {
      try {
        const { size, mtime } = await stat(pathOf(key))
        return { byteSize: size, storedAt: mtime }
      } catch (error) {
        if (codeOf(error) === 'ENOENT') {
          return null
        }
        throw error
      }
    },

    delete: (key) => remove(pathOf(key)),

    async sweep(olderThan) {
      const temporary = join(directory, TEMPORARY)
      let removed = 0
      for (const name of await namesIn(temporary)) {
        const path = join(temporary, name)
        if (((await lastWritten(path))?.getTime() ?? Infinity) < olderThan.getTime()) {
          await remove(path)
          removed += 1
        }
      }
      return removed
    },

    async *list(tenantId) {
      const names = (await namesIn(join(directory, tenantId))).toSorted()
      for (let at = 0; at < names.length; at += STORE_LIST_PAGE_FILES) {
        const page: ListedFile[] = []
        for (const name of names.slice(at, at + STORE_LIST_PAGE_FILES)) {
          const storedAt = await lastWritten(join(directory, tenantId, name))
          if (storedAt !== null) {
            page.push({ key: `${tenantId}/${name}`, storedAt })
          }
        }
        yield page
      }
    },
  }
}

async function writeWhole(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  await using handle = await open(path, 'wx', 0o600)
  for await (const chunk of chunks) {
    await writeAll(handle, chunk)
  }
  await handle.sync()
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let written = 0
  while (written < bytes.byteLength) {
    written += (await handle.write(bytes, written, bytes.byteLength - written)).bytesWritten
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

/** Null for a file that is gone by now. */
async function lastWritten(path: string): Promise<Date | null> {
  try {
    return (await stat(path)).mtime
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return null
    }
    throw error
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
