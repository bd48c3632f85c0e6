/**
 * Object storage for tests: s3rver, which checks signatures and speaks S3 over HTTP, with what it lacks beside it: listing
 * and aborting of multipart uploads, and writing that has ended when it says so.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import S3rver from 's3rver'
import type { S3Settings } from '../../src/adapters/files/storage-s3.js'

const BUCKET = 'portage-test'

/** What s3rver takes as its only account. */
const credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }

export interface S3Request {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly range: string | undefined
}

/** An object store of its own on a free port. */
export class TestS3 {
  readonly url: string
  /** All requests since the start. */
  readonly requests: S3Request[] = []
  /** Looks at each request first; one that it answers (true) goes no further. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean = () => false
  readonly #server: Server
  readonly #directory: string

  private constructor(server: Server, directory: string) {
    this.#server = server
    this.#directory = directory
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(): Promise<TestS3> {
    const directory = await mkdtemp(join(tmpdir(), 'portage-s3-'))
    const s3rver = new S3rver({ silent: true, directory, vhostBuckets: false, configureBuckets: [{ name: BUCKET }] })
    // Requests that break off are what these tests are about; the console need not hear of them.
    s3rver.on('error', () => undefined)
    await s3rver.configureBuckets()
    const { store } = s3rver
    const keep = async (path: string, content: AsyncIterable<Uint8Array> | Uint8Array) => {
      const bytes = content instanceof Uint8Array ? content : await buffer(content)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, bytes)
      return { size: bytes.byteLength, md5: createHash('md5').update(bytes).digest('hex') }
    }
    // Its own answer before the bytes are in the file.
    store.putPart = (bucket, uploadId, number, content) =>
      keep(join(store.getResourcePath(bucket, undefined, 'uploads'), uploadId, String(number)), content)
    store.putObject = async ({ bucket, key, content, metadata }) => {
      const kept = await keep(store.getResourcePath(bucket, key, 'object'), content)
      await store.putMetadata(bucket, key, metadata, kept.md5)
      return kept
    }
    const answer = s3rver.callback()
    const server = createServer((request, response) => {
      const { method = '', url = '', headers } = request
      world.requests.push({ method, path: url, range: headers.range })
      if (!world.intercept(request, response) && !world.#uploads(method, url, response)) {
        answer(request, response)
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const world = new TestS3(server, directory)
    return world
  }

  /** Settings of a store in it. */
  settings(more: Partial<S3Settings> = {}): S3Settings {
    return {
      bucket: BUCKET,
      region: 'us-east-1',
      endpoint: this.url,
      pathStyle: true,
      prefix: 'files/',
      credentials,
      ...more,
    }
  }

  /** The same for the environment of a process. */
  environment(): Record<string, string> {
    return {
      PORTAGE_STORE: 's3',
      PORTAGE_S3_BUCKET: BUCKET,
      PORTAGE_S3_ENDPOINT: this.url,
      PORTAGE_S3_PREFIX: 'files/',
      PORTAGE_S3_ACCESS_KEY_ID: credentials.accessKeyId,
      PORTAGE_S3_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    }
  }

  /** Names of all objects in the bucket. */
  objects(): string[] {
    const names = readdirSync(join(this.#directory, BUCKET), { recursive: true, encoding: 'utf8' })
    return names.filter((name) => name.endsWith(OBJECT)).map((name) => name.slice(0, -OBJECT.length))
  }

  /** Ids of multipart uploads that were neither completed nor aborted. */
  uploads(): string[] {
    try {
      return readdirSync(this.#uploadsFolder())
    } catch {
      return []
    }
  }

  /** Path of an object's bytes on the disk, for tampering with it. */
  pathOf(name: string): string {
    return join(this.#directory, BUCKET, `${name}${OBJECT}`)
  }

  /** Makes an object, or with `uploads` an upload, as old as this. */
  async age(path: string, when: Date): Promise<void> {
    await utimes(path, when, when)
  }

  async ageUpload(id: string, when: Date): Promise<void> {
    await utimes(join(this.#uploadsFolder(), id, 'key'), when, when)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await rm(this.#directory, { recursive: true, force: true })
  }

  #uploadsFolder(): string {
    return join(this.#directory, BUCKET, '._S3rver_uploads')
  }

  /** The two operations that s3rver does not know. */
  #uploads(method: string, path: string, response: ServerResponse): boolean {
    const url = new URL(path, this.url)
    const id = url.searchParams.get('uploadId')
    if (method === 'DELETE' && id !== null) {
      void rm(join(this.#uploadsFolder(), id), { recursive: true, force: true }).then(() =>
        response.writeHead(204).end(),
      )
      return true
    }
    if (method === 'GET' && url.searchParams.has('uploads')) {
      const prefix = url.searchParams.get('prefix') ?? ''
      void Promise.all(
        this.uploads().map(async (upload) => {
          const file = join(this.#uploadsFolder(), upload, 'key')
          const key = readFileSync(file, 'utf8')
          const { mtime } = await stat(file)
          return key.startsWith(prefix)
            ? `<Upload><Key>${key}</Key><UploadId>${upload}</UploadId><Initiated>${mtime.toISOString()}</Initiated></Upload>`
            : ''
        }),
      ).then((found) => {
        response.writeHead(200, { 'content-type': 'application/xml' })
        response.end(
          `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${found.join('')}</ListMultipartUploadsResult>`,
        )
      })
      return true
    }
    return false
  }
}

const OBJECT = '._S3rver_object'
