/**
 * Files in object storage that speaks S3. This module, and with it Amazon's client, is loaded only where such a store is
 * used. Uploads are sent in parts that grow with the file, because a multipart upload has 10,000 parts at most.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { FatalError, RetryableError } from '../../errors.js'
import {
  STORE_ATTEMPTS_MAX,
  STORE_LIST_PAGE_FILES,
  STORE_PART_BYTES,
  STORE_PART_BYTES_MAX,
  STORE_RANGE_BYTES,
  STORE_RANGE_BYTES_MAX,
  STORE_SILENCE_MS_MAX,
} from '../../limits.js'
import type { ByteReader, OpenBytes } from './bytes.js'
import type { Blobs, ListedFile } from './storage.js'

/** An access key of the object storage; never logged. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface S3Settings {
  readonly bucket: string
  readonly region: string
  /** Null: Amazon's own, in the region. */
  readonly endpoint: string | null
  /** Whether the bucket stands in the path of an address, as most stores other than Amazon's want it. */
  readonly pathStyle: boolean
  /** Stands before each key; empty, or ending in `/`. */
  readonly prefix: string
  /** Null: found as Amazon's tools find them, e.g. from the role of the machine. */
  readonly credentials: S3Credentials | null
}

/** An object and all that is needed to read it. */
export interface S3Location {
  readonly kind: 's3'
  readonly settings: S3Settings
  readonly key: string
}

/** The parts of one size, before the size doubles. */
const PARTS_OF_A_SIZE = 1000

/** The pause before reading on after a failure, in milliseconds; doubled with each. */
const RETRY_MS = 100

/** The store in a bucket. */
export function s3Blobs(settings: S3Settings): Blobs {
  const { bucket: Bucket, prefix } = settings
  const client = clientOf(settings)
  const nameOf = (key: string): string => prefix + key

  async function writeParts(
    Key: string,
    first: Buffer,
    parts: AsyncIterator<Buffer>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const options = signal === undefined ? {} : { abortSignal: signal }
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }), options)
    const sent: { readonly ETag: string | undefined; readonly PartNumber: number }[] = []
    const upload = async (Body: Buffer, PartNumber: number): Promise<void> => {
      const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }), options)
      sent.push({ ETag, PartNumber })
    }
    const send = (part: Buffer, number: number): Promise<void> => {
      const sending = upload(part, number)
      // It is waited for below; until then a failure is not one that nobody minds.
      sending.catch(() => undefined)
      return sending
    }
    let sending = send(first, 1)
    try {
      // One part is on its way while the next one fills.
      for (let number = 2; ; number += 1) {
        const next = await parts.next()
        await sending
        if (next.done === true) {
          break
        }
        sending = send(next.value, number)
      }
      const MultipartUpload = { Parts: sent }
      await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }), options)
    } catch (error) {
      // A part that arrives after the end of its upload would stay.
      await sending.catch(() => undefined)
      // What cannot be removed now, as after a kill, is removed by `sweep`.
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => undefined)
      throw error
    }
  }

  return {
    async write(key, chunks, signal) {
      let ownError: { readonly error: unknown } | null = null
      async function* watched(): AsyncGenerator<Uint8Array> {
        try {
          yield* chunks
        } catch (error) {
          ownError = { error }
          throw error
        }
      }
      const Key = nameOf(key)
      const parts = partsOf(watched())
      try {
        const first = await parts.next()
        const body = first.done === true ? Buffer.alloc(0) : first.value
        if (body.length < STORE_PART_BYTES) {
          const command = new PutObjectCommand({ Bucket, Key, Body: body })
          await client.send(command, signal === undefined ? {} : { abortSignal: signal })
        } else {
          await writeParts(Key, body, parts, signal)
        }
        signal?.throwIfAborted()
      } catch (error) {
        if (ownError === null) {
          // The store may have done what it did not get to say, or what nobody waits for any more.
          await client.send(new DeleteObjectCommand({ Bucket, Key })).catch(() => undefined)
        }
        signal?.throwIfAborted()
        if (ownError !== null) {
          throw error
        }
        const message = 'The file could not be written to the store. Try again later.'
        throw new RetryableError('FILE_WRITE_FAILED', message, { cause: harmless(error) })
      } finally {
        await parts.return(undefined)
      }
    },

    open: (key) => opening(() => client, false, Bucket, nameOf(key)),

    async location(key) {
      // A thread has no environment to find credentials in.
      const { accessKeyId, secretAccessKey, sessionToken } = await failing(() => client.config.credentials())
      const credentials = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
      return { kind: 's3', settings: { ...settings, credentials }, key: nameOf(key) }
    },

    async stat(key) {
      try {
        return await head(client, Bucket, nameOf(key))
      } catch (error) {
        if (error instanceof FatalError) {
          return null
        }
        throw error
      }
    },

    async delete(key) {
      await failing(() => client.send(new DeleteObjectCommand({ Bucket, Key: nameOf(key) })))
    },

    // Nothing of an upload is on a disk of ours, and who still sends one cannot be told.
    tidy: () => Promise.resolve(0),

    async sweep(olderThan) {
      let removed = 0
      let at: { KeyMarker?: string; UploadIdMarker?: string } | null = {}
      while (at !== null) {
        const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...at })
        const page: ListMultipartUploadsCommandOutput | null = await client.send(command).catch((error: unknown) => {
          if (isUnknownToStore(error)) {
            return null
          }
          throw readFailed(error)
        })
        if (page === null) {
          return removed
        }
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          if (
            Key?.startsWith(prefix) === true &&
            OURS.test(Key.slice(prefix.length)) &&
            Initiated !== undefined &&
            Initiated < olderThan
          ) {
            await failing(() => client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })))
            removed += 1
          }
        }
        at =
          page.IsTruncated === true && page.NextKeyMarker !== undefined
            ? {
                KeyMarker: page.NextKeyMarker,
                ...(page.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: page.NextUploadIdMarker }),
              }
            : null
      }
      return removed
    },

    async *list(tenantId) {
      const Prefix = nameOf(`${tenantId}/`)
      let token: string | undefined
      do {
        const page = await failing(() =>
          client.send(
            new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: STORE_LIST_PAGE_FILES, ContinuationToken: token }),
          ),
        )
        yield (page.Contents ?? []).flatMap(({ Key, LastModified }): ListedFile[] =>
          Key === undefined || LastModified === undefined
            ? []
            : [{ key: Key.slice(prefix.length), storedAt: LastModified }],
        )
        token = page.NextContinuationToken
      } while (token !== undefined)
    },
  }
}

/** Opens an object with a client of its own, which ends with the reader. */
export function openS3({ settings, key }: S3Location): OpenBytes {
  return opening(() => clientOf(settings), true, settings.bucket, key)
}

function clientOf({ region, endpoint, pathStyle, credentials }: S3Settings): S3Client {
  return new S3Client({
    region,
    forcePathStyle: pathStyle,
    maxAttempts: STORE_ATTEMPTS_MAX,
    requestHandler: { connectionTimeout: STORE_SILENCE_MS_MAX, socketTimeout: STORE_SILENCE_MS_MAX },
    ...(credentials === null ? {} : { credentials }),
    // Checksums of parts are newer than most stores that are not Amazon's.
    ...(endpoint === null
      ? {}
      : { endpoint, requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' }),
  })
}

/** Chunks put together to parts of the length that an upload wants; a buffer is given away with each. */
async function* partsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let number = 0
  let size = STORE_PART_BYTES
  let held: Uint8Array[] = []
  let filled = 0
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; ) {
      const taken = Math.min(size - filled, chunk.byteLength - at)
      held.push(chunk.subarray(at, at + taken))
      filled += taken
      at += taken
      if (filled === size) {
        yield Buffer.concat(held)
        held = []
        filled = 0
        number += 1
        size = Math.min(STORE_PART_BYTES * 2 ** Math.floor(number / PARTS_OF_A_SIZE), STORE_PART_BYTES_MAX)
      }
    }
  }
  if (filled > 0) {
    yield Buffer.concat(held)
  }
}

function opening(clientFor: () => S3Client, owned: boolean, bucket: string, name: string): OpenBytes {
  return async () => {
    const client = clientFor()
    try {
      const { byteSize } = await head(client, bucket, name)
      return new S3Reader(client, owned, bucket, name, byteSize)
    } catch (error) {
      if (owned) {
        client.destroy()
      }
      throw error
    }
  }
}

/** Throws `FatalError` FILE_UNREADABLE where there is no such object. */
async function head(client: S3Client, Bucket: string, Key: string): Promise<{ byteSize: number; storedAt: Date }> {
  try {
    const { ContentLength, LastModified } = await client.send(new HeadObjectCommand({ Bucket, Key }))
    return { byteSize: ContentLength ?? 0, storedAt: LastModified ?? new Date(0) }
  } catch (error) {
    if (!isNotFound(error)) {
      throw readFailed(error)
    }
    // The answer to HEAD has no body: whether the file is gone or the bucket is another one only a GET tells.
    throw await client.send(new GetObjectCommand({ Bucket, Key, Range: 'bytes=0-0' })).then(
      ({ Body }) => {
        ;(Body as Body | undefined)?.destroy()
        return readFailed(error)
      },
      (reason: unknown) => (isNotFound(reason) && reason.name === 'NoSuchKey' ? gone(reason) : readFailed(reason)),
    )
  }
}

/** What the client gives as a body under Node. */
type Body = AsyncIterable<Uint8Array> & { destroy(): void }

/** What a key of ours looks like behind the prefix; others may keep files in the same bucket. See KEY in storage.ts. */
const OURS = /^[0-9A-Za-z][0-9A-Za-z_-]{0,63}\/[0-9a-f]{32}(?:\.enc)?$/

/**
 * Reads an object as streams of ranges. A range begins where reading does and grows as long as reading goes on from where
 * it was: a look at a few rows costs little, and reading a file to its end takes few requests.
 */
class S3Reader implements ByteReader {
  readonly byteSize: number
  readonly #client: S3Client
  readonly #owned: boolean
  readonly #bucket: string
  readonly #name: string
  #body: Body | null = null
  #chunks: AsyncIterator<Uint8Array> | null = null
  /** What has come and was not asked for yet, and where in the file it stands. */
  #held: Uint8Array = new Uint8Array(0)
  #position = 0
  /** Where the range in hand ends, and how long the next one is. */
  #end = 0
  #rangeBytes = STORE_RANGE_BYTES

  constructor(client: S3Client, owned: boolean, bucket: string, name: string, byteSize: number) {
    this.#client = client
    this.#owned = owned
    this.#bucket = bucket
    this.#name = name
    this.byteSize = byteSize
  }

  async read(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    if (position >= this.byteSize || length === 0) {
      return 0
    }
    if (position !== this.#position) {
      this.#leave(position)
    }
    for (let attempt = 1; this.#held.byteLength === 0; attempt += 1) {
      try {
        await this.#fill(length)
      } catch (error) {
        this.#leave(this.#position)
        if (isNotFound(error) && error.name === 'NoSuchKey') {
          throw gone(error)
        }
        if (attempt >= STORE_ATTEMPTS_MAX) {
          throw readFailed(error)
        }
        await sleep(RETRY_MS * 2 ** attempt)
      }
    }
    const taken = Math.min(length, this.#held.byteLength)
    target.set(this.#held.subarray(0, taken), at)
    this.#held = this.#held.subarray(taken)
    this.#position += taken
    return taken
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#leave(this.#position)
    if (this.#owned) {
      this.#client.destroy()
    }
    return Promise.resolve()
  }

  /** Forgets what has come; reading goes on at `position`. */
  #leave(position: number): void {
    this.#body?.destroy()
    this.#body = null
    this.#chunks = null
    this.#held = new Uint8Array(0)
    if (position !== this.#position) {
      this.#rangeBytes = STORE_RANGE_BYTES
    }
    this.#position = position
  }

  /** The next bytes of the range in hand, or of a new one. */
  async #fill(length: number): Promise<void> {
    if (this.#chunks === null) {
      const bytes = Math.max(length, this.#rangeBytes)
      this.#rangeBytes = Math.min(this.#rangeBytes * 4, STORE_RANGE_BYTES_MAX)
      this.#end = Math.min(this.#position + bytes, this.byteSize)
      const { Body } = await this.#client.send(
        new GetObjectCommand({
          Bucket: this.#bucket,
          Key: this.#name,
          Range: `bytes=${this.#position}-${this.#end - 1}`,
        }),
      )
      this.#body = Body as unknown as Body
      this.#chunks = this.#body[Symbol.asyncIterator]()
    }
    const { done, value } = await this.#chunks.next()
    if (done !== true) {
      this.#held = value
    } else if (this.#position < this.#end) {
      throw new Error('the answer ended early')
    }
    if (done === true || this.#position + this.#held.byteLength >= this.#end) {
      // Nothing more comes of it; the connection is free for the next range.
      this.#chunks = null
    }
  }
}

async function failing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw readFailed(error)
  }
}

function gone(cause: unknown): FatalError {
  return new FatalError('FILE_UNREADABLE', 'The file is no longer in the store.', { cause: harmless(cause) })
}

function readFailed(cause: unknown): RetryableError {
  return new RetryableError('FILE_READ_FAILED', 'The file could not be read from the store.', {
    cause: harmless(cause),
  })
}

/** Stores that speak a part of S3 may not list uploads; they have rules of their own to end them. */
function isUnknownToStore(error: unknown): boolean {
  return error instanceof S3ServiceException && [405, 501].includes(error.$metadata.httpStatusCode ?? 0)
}

function isNotFound(error: unknown): error is Error {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404
}

/** The store's own words name buckets, keys and addresses: only what kind of error it was is kept. */
function harmless(error: unknown): Error {
  const { name } = error instanceof Error ? error : { name: 'unknown' }
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : ''
  return new Error(`the store answered ${name}${code}${status === undefined ? '' : ` (${status})`}`)
}
