/** Brings a file to the server: a small one in one request, a large one so that it goes on after a broken connection. */
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type Api, ApiError, type FilePart, throwUserErrors, type UserError } from './api.js'
import { bytes, clean, type Io } from './io.js'

/** A file that the server has. */
export interface Uploaded {
  readonly id: string
  readonly name: string
  readonly byteSize: number
  readonly sha256: string
  readonly detection: { readonly estimatedRowCount: number | null; readonly warnings: readonly string[] }
}

/** From this size on a file is sent by the road that goes on after a broken connection. Bytes. */
export const RESUMABLE_FROM_BYTES = 64 * 1024 * 1024

/** How often progress is drawn, in bytes. */
const DRAWN_EVERY = 4_000_000

const fileFields =
  'file { id name byteSize sha256 detection { estimatedRowCount warnings } } userErrors { code message }'

const uploadMutation = `mutation Upload($input: FileUploadInput!) { fileUpload(input: $input) { ${fileFields} } }`

const beginMutation = `mutation Begin($input: UploadBeginInput!) { uploadBegin(input: $input) {
  uploadSession { id offset } userErrors { code message } } }`

const completeMutation = `mutation Complete($input: UploadCompleteInput!) { uploadComplete(input: $input) { ${fileFields} } }`

interface FilePayload {
  readonly file: Uploaded | null
  readonly userErrors: UserError[]
}

interface SessionPayload {
  readonly uploadSession: { readonly id: string; readonly offset: number } | null
  readonly userErrors: UserError[]
}

/**
 * Uploads a file and shows how far it is. A large one that was interrupted goes on when the same file is uploaded again
 * within a day. Throws ApiError.
 */
export async function uploadFile(
  api: Api,
  file: { readonly path: string; readonly name: string; readonly byteSize: number },
  source: Readonly<Record<string, unknown>> | undefined,
  io: Io,
  resumableFrom = RESUMABLE_FROM_BYTES,
): Promise<Uploaded> {
  const part = { ...file, onProgress: progress('Uploading', file, io) }
  const options = source === undefined ? {} : { source }
  try {
    if (file.byteSize < resumableFrom) {
      const input = { name: file.name, ...options, idempotencyKey: randomUUID() }
      const { fileUpload } = await api.upload<{ fileUpload: FilePayload }>(uploadMutation, input, part)
      return taken(fileUpload)
    }
    const sha256 = await hashOf(file, io)
    const session = await begin(api, file, sha256)
    if (session.offset > 0 && session.offset < file.byteSize) {
      io.note(`Going on after ${bytes(session.offset)} that have arrived before.`)
    }
    await api.sendRest(session.id, session.offset, part)
    io.status(`Checking ${clean(file.name)}`)
    const { uploadComplete } = await api.run<{ uploadComplete: FilePayload }>(completeMutation, {
      input: { uploadSessionId: session.id, ...options },
    })
    return taken(uploadComplete)
  } finally {
    io.status('')
  }
}

function taken({ file, userErrors }: FilePayload): Uploaded {
  throwUserErrors(userErrors)
  if (file === null) {
    throw new ApiError('NO_ANSWER', 'The server neither took nor refused the file.')
  }
  return file
}

async function begin(
  api: Api,
  { name, byteSize }: { readonly name: string; readonly byteSize: number },
  sha256: string,
): Promise<{ readonly id: string; readonly offset: number }> {
  // The same file finds the same upload again.
  const usual = createHash('sha256').update(`${name}\0${byteSize}\0${sha256}`).digest('hex')
  const ask = (idempotencyKey: string) =>
    api.run<{ uploadBegin: SessionPayload }>(beginMutation, { input: { name, byteSize, sha256, idempotencyKey } })
  let { uploadBegin } = await ask(usual)
  if (uploadBegin.userErrors[0]?.code === 'INVALID_STATE') {
    // That upload has ended or has been given up.
    uploadBegin = (await ask(randomUUID())).uploadBegin
  }
  throwUserErrors(uploadBegin.userErrors)
  if (uploadBegin.uploadSession === null) {
    throw new ApiError('NO_ANSWER', 'The server neither took nor refused the upload.')
  }
  return uploadBegin.uploadSession
}

async function hashOf(file: Pick<FilePart, 'path' | 'name' | 'byteSize'>, io: Io): Promise<string> {
  const hash = createHash('sha256')
  const onProgress = progress('Reading', file, io)
  let read = 0
  for await (const block of createReadStream(file.path, { highWaterMark: 1024 * 1024, end: file.byteSize - 1 })) {
    io.signal.throwIfAborted()
    hash.update(block as Buffer)
    read += (block as Buffer).length
    onProgress(read)
  }
  return hash.digest('hex')
}

function progress(
  doing: string,
  { name, byteSize }: { name: string; byteSize: number },
  io: Io,
): (done: number) => void {
  let drawn = 0
  return (done) => {
    if (Math.abs(done - drawn) >= DRAWN_EVERY) {
      drawn = done
      io.status(`${doing} ${clean(name)}: ${bytes(done)} of ${bytes(byteSize)}`)
    }
  }
}
