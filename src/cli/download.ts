/** Brings a file of a run to the disk: goes on where a broken connection stopped, and checks that it is the very file. */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Api, ApiError } from './api.js'
import { bytes, clean, type Io } from './io.js'
import type { RunFile } from './runs.js'

/** A file that is offered, with all that it is checked by. */
export type OfferedFile = RunFile & { readonly byteSize: number; readonly sha256: string }

/** Pauses before the next tries; they begin anew with every byte that arrives. Milliseconds. */
const PAUSES_MS = [250, 500, 1000, 2000, 4000, 8000, 15_000, 30_000, 30_000]

/** How often progress is drawn, in bytes. */
const DRAWN_EVERY = 4_000_000

/** The digits of the SHA-256 by which what has arrived of a file is found again. */
const NAMED_BY = 12

const HTTP_OK = 200
const HTTP_PARTIAL = 206
const HTTP_GONE = 410

/**
 * Downloads a file to `path`, which appears, or is replaced, only when all of it is there and its SHA-256 is right. Until then
 * it grows beside it, and a later call goes on there. `again` answers the file with a fresh link; null once it is no longer
 * offered. Throws ApiError.
 */
export async function downloadFile(
  file: OfferedFile,
  path: string,
  io: Io,
  again: () => Promise<OfferedFile | null>,
  pauses: readonly number[] = PAUSES_MS,
): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${file.sha256.slice(0, NAMED_BY)}.part`)
  const target = await openPartial(partial, file)
  let whole: boolean
  try {
    whole = await target.fill(file, io, again, pauses)
  } finally {
    io.status('')
    await target.handle.close()
  }
  if (!whole || target.hash.digest('hex') !== file.sha256) {
    await unlink(partial)
    throw new ApiError(
      'FILE_CHECKSUM_MISMATCH',
      `${clean(file.name)} did not arrive as it was sent: its SHA-256 is another one. Nothing was kept; try again.`,
    )
  }
  await rename(partial, path)
}

/** What has arrived of a file, and the hash of it. */
async function openPartial(partial: string, file: OfferedFile): Promise<Partial> {
  const before = await stat(partial).then(
    ({ size }) => size,
    () => 0,
  )
  const hash = createHash('sha256')
  if (before > 0 && before <= file.byteSize) {
    for await (const block of createReadStream(partial)) {
      hash.update(block as Buffer)
    }
    return new Partial(await open(partial, 'r+'), hash, before)
  }
  return new Partial(await open(partial, 'w'), hash, 0)
}

class Partial {
  readonly handle: FileHandle
  hash: Hash
  #size: number

  constructor(handle: FileHandle, hash: Hash, size: number) {
    this.handle = handle
    this.hash = hash
    this.#size = size
  }

  /** Gets what is missing, over as many connections as it takes. False: more came than there is. */
  async fill(
    file: OfferedFile,
    io: Io,
    again: () => Promise<OfferedFile | null>,
    pauses: readonly number[],
  ): Promise<boolean> {
    if (this.#size > 0 && this.#size < file.byteSize) {
      io.note(`Going on after ${bytes(this.#size)} that have arrived before.`)
    }
    let link = file
    let broken = 0
    while (this.#size < file.byteSize) {
      const from = this.#size
      let failure: unknown = null
      try {
        const status = await this.#get(link, io)
        if (status === HTTP_GONE) {
          // The link has had its hour: the file may still be there.
          const fresh = await again()
          if (fresh === null || fresh.sha256 !== file.sha256) {
            throw new ApiError('GONE', `${clean(file.name)} is no longer there.`)
          }
          link = fresh
        } else if (status >= 400 && status < 500) {
          throw new ApiError('NO_ANSWER', `The download of ${clean(file.name)} was refused with HTTP ${status}.`)
        }
      } catch (error) {
        io.signal.throwIfAborted()
        if (error instanceof ApiError) {
          throw error
        }
        failure = error
      }
      broken = this.#size > from ? 0 : broken + 1
      const wait = pauses[broken - 1]
      if (this.#size < file.byteSize && broken > 0) {
        if (wait === undefined) {
          throw new ApiError(
            'UNREACHABLE',
            `The download of ${clean(file.name)} broke off and could not go on. Give the command again to go on.`,
            { cause: failure },
          )
        }
        await pause(wait, undefined, { signal: io.signal })
      }
    }
    return this.#size === file.byteSize
  }

  /** One request; answers its status. What it brings is kept, also when it breaks off. */
  async #get(file: OfferedFile, io: Io): Promise<number> {
    const headers = this.#size === 0 ? {} : { range: `bytes=${this.#size}-`, 'if-range': `"${file.sha256}"` }
    const response = await fetch(file.url, { headers, signal: io.signal })
    if (response.status !== HTTP_OK && response.status !== HTTP_PARTIAL) {
      await response.body?.cancel()
      return response.status
    }
    if (response.status === HTTP_OK && this.#size > 0) {
      // All of it comes anew.
      await this.handle.truncate(0)
      this.hash = createHash('sha256')
      this.#size = 0
    }
    let drawn = this.#size
    for await (const block of response.body ?? []) {
      const piece = block as Uint8Array
      await this.handle.write(piece, 0, piece.byteLength, this.#size)
      this.hash.update(piece)
      this.#size += piece.byteLength
      if (this.#size > file.byteSize) {
        break
      }
      if (this.#size - drawn >= DRAWN_EVERY) {
        drawn = this.#size
        io.status(`Downloading ${clean(file.name)}: ${bytes(this.#size)} of ${bytes(file.byteSize)}`)
      }
    }
    return response.status
  }
}

const fileQuery = `query File($id: ID!) { run(id: $id) { status
  files { kind name rowCount byteSize sha256 url urlExpiresAt } } }`

/** What a run has made, to be downloaded; null if it offers nothing. Throws ApiError NOT_FOUND for an id that is no run's. */
export async function offeredFile(api: Api, runId: string): Promise<OfferedFile | null> {
  const { run } = await api.run<{ run: { readonly files: readonly OfferedFile[] } | null }>(fileQuery, { id: runId })
  if (run === null) {
    throw new ApiError('NOT_FOUND', `There is no run with the id "${clean(runId)}".`)
  }
  return run.files.find(({ kind }) => kind === 'RESULT' || kind === 'BUNDLE') ?? null
}

/** A name that is safe for a file in this folder. */
export function localName(name: string): string {
  const last = clean(name.split(/[\\/]/).at(-1) ?? '').trim()
  return last === '' || /^\.+$/.test(last) ? 'portage-export' : last
}
