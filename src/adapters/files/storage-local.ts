/** Files in a directory of this machine. */
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { RetryableError } from '../../errors.js'
import { failpoint } from '../../failpoints.js'
import { STORE_LIST_PAGE_FILES, STORE_TEMPORARY_MINUTES } from '../../limits.js'
import { localBytes } from './local-bytes.js'
import type { Blobs, ListedFile } from './storage.js'

const TEMPORARY = 'tmp'

/** So much is gathered before it is written: each write goes to another thread and back, which takes longer than copying bytes. */
const WRITE_BYTES = 256 * 1024

/** Whoever writes a file touches it this often, however slowly it comes. Milliseconds. */
const TOUCH_MS = 60_000

/**
 * Names this start of this machine, and whose process numbers these are: a container has its own. Null where that cannot be told, as
 * on other systems than Linux.
 */
function placeOfProcess(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
    return createHash('sha256')
      .update(`${boot}${readlinkSync('/proc/self/ns/pid')}`)
      .digest('hex')
      .slice(0, 12)
  } catch {
    return null
  }
}

const PLACE = placeOfProcess()

/** Whether the process that began this file has been here and is gone. */
function isLeftBehind(name: string): boolean {
  const [, place, pid = ''] = /^([0-9a-f]{12})-(\d+)-/.exec(name) ?? []
  if (PLACE === null || place !== PLACE) {
    return false
  }
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return codeOf(error) === 'ESRCH'
  }
}

/**
 * A store in a directory: `<tenant>/<random>`, readable by this user only. A file is written under `tmp/`, brought to the
 * disk and then renamed, so that a crash never leaves half a file under a key.
 */
export function localBlobs(directory: string): Blobs {
  const pathOf = (key: string): string => join(directory, key)
  /** How each temporary file stood when it had changed last, and when that was seen. Clocks of machines are not compared. */
  const seen = new Map<string, { readonly state: string; readonly at: number }>()

  return {
    async write(key, chunks, signal) {
      const path = pathOf(key)
      const temporary = join(
        directory,
        TEMPORARY,
        `${PLACE ?? 'elsewhere'}-${process.pid}-${randomBytes(12).toString('hex')}`,
      )
      try {
        await makeDirectory(dirname(temporary))
        await makeDirectory(dirname(path))
        await writeWhole(temporary, chunks)
        signal?.throwIfAborted()
        await failpoint('file.before-rename')
        await rename(temporary, path)
        await failpoint('file.after-rename')
        await syncDirectory(dirname(path))
      } catch (error) {
        // What went wrong first is what the caller must know; housekeeping finds what is left.
        await remove(temporary).catch(() => undefined)
        throw failedWrite(error)
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
        throw failedRead(error)
      }
    },

    async delete(key) {
      try {
        await failpoint('file.before-delete')
        await remove(pathOf(key))
      } catch (error) {
        throw failedWrite(error)
      }
    },

    async sweep(olderThan) {
      const temporary = join(directory, TEMPORARY)
      let removed = 0
      for (const name of await namesIn(temporary)) {
        const path = join(temporary, name)
        if (((await lastWritten(path))?.getTime() ?? Infinity) < olderThan.getTime()) {
          await remove(path).catch((error: unknown) => {
            throw failedWrite(error)
          })
          removed += 1
        }
      }
      return removed
    },

    async tidy(now) {
      const temporary = join(directory, TEMPORARY)
      const names = await namesIn(temporary)
      let removed = 0
      for (const name of names) {
        const path = join(temporary, name)
        const found = await stat(path).catch(() => null)
        const state = found === null ? '' : `${found.size} ${found.mtimeMs}`
        const before = seen.get(name)
        const stands = before?.state === state
        if (!stands) {
          seen.set(name, { state, at: now })
        }
        if (isLeftBehind(name) || (stands && now - before.at >= STORE_TEMPORARY_MINUTES * 60_000)) {
          await remove(path).catch((error: unknown) => {
            throw failedWrite(error)
          })
          removed += 1
        }
      }
      const there = new Set(names)
      for (const name of seen.keys()) {
        if (!there.has(name)) {
          seen.delete(name)
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
  const touching = setInterval(() => {
    const now = new Date()
    handle.utimes(now, now).catch(() => undefined)
  }, TOUCH_MS).unref()
  try {
    let gathered: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of chunks) {
      gathered.push(chunk)
      bytes += chunk.byteLength
      if (bytes >= WRITE_BYTES) {
        await writeAll(handle, Buffer.concat(gathered))
        gathered = []
        bytes = 0
      }
    }
    await writeAll(handle, Buffer.concat(gathered))
    await handle.sync()
  } finally {
    clearInterval(touching)
  }
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
    throw failedRead(error)
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
    throw failedRead(error)
  }
}

/**
 * The directory, made if need be. A directory's own name is on the disk for sure only when the one above it is: without
 * that, a power cut could take away a tenant's first files with their directory.
 */
async function makeDirectory(path: string): Promise<void> {
  const whole = resolve(path)
  const first = await mkdir(whole, { recursive: true, mode: 0o700 })
  // From the one above the lowest that was made up to the one that was there before.
  for (let made = whole; first !== undefined; made = dirname(made)) {
    await syncDirectory(dirname(made))
    if (made === resolve(first) || made === dirname(made)) {
      return
    }
  }
}

const FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT'])

/**
 * A failure of the disk in words that a person may read: a path is not one of them. Other errors, those of the stream
 * that is stored, stay as they are.
 */
function failedWrite(error: unknown): unknown {
  if (FULL.has(codeOf(error))) {
    const message = 'There is no room left to store the file. Try again later.'
    return new RetryableError('STORAGE_FULL', message, { cause: withoutPath(error) })
  }
  return isOfDisk(error)
    ? new RetryableError('FILE_WRITE_FAILED', 'The store did not take or remove the file.', {
        cause: withoutPath(error),
      })
    : error
}

function failedRead(error: unknown): unknown {
  return isOfDisk(error)
    ? new RetryableError('FILE_READ_FAILED', 'The store could not be read.', { cause: withoutPath(error) })
    : error
}

/** The system's errors name the path in their messages. */
function withoutPath(error: unknown): Error {
  const { syscall } = error as { readonly syscall?: unknown }
  return new Error(`${String(codeOf(error))} in ${String(syscall)}`)
}

/** Errors of the system's calls on files name the call; those of sockets name it too, but not as one of these. */
function isOfDisk(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && DISK_CALLS.has(error.syscall)
}

const DISK_CALLS: ReadonlySet<unknown> = new Set([
  'open',
  'write',
  'fsync',
  'close',
  'mkdir',
  'rename',
  'unlink',
  'stat',
  'lstat',
  'scandir',
])

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
