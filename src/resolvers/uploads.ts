/** Taking in a file: from the stream of a request to the store, looked at and recorded, or nothing at all. */
import type { FileUpload } from 'graphql-upload-ts'
import { type Detection, noSourceOptions, sniff } from '../adapters/files/sniff.js'
import type { FileStore, StoredFile } from '../adapters/files/storage.js'
import type { PoolTx } from '../db/database.js'
import { SourceFile } from '../db/entities.js'
import { Refusal } from '../errors.js'
import { FILE_HEAD_BYTES_MAX } from '../limits.js'
import type { SourceOptions } from '../pipeline/types.js'
import type { ApiContext } from './context.js'
import { safeName } from './names.js'

/** A file that is in the store and not yet recorded. */
export interface ReceivedFile {
  readonly stored: StoredFile
  readonly name: string
  readonly detection: Detection
  readonly source: SourceOptions | null
}

export interface UploadRequest {
  readonly file: Promise<FileUpload>
  readonly name: string | null
  /** What the caller says that the file's SHA-256 is; null where they do not say. */
  readonly sha256: string | null
  readonly source: SourceOptions | null
}

/**
 * Stores the file and looks at it. Refuses what cannot be taken, and then leaves nothing behind; the caller records the
 * file or calls `discard`.
 */
export async function receive(context: ApiContext, request: UploadRequest): Promise<ReceivedFile> {
  const { files, config } = context.services
  const claimed = request.sha256?.toLowerCase() ?? null
  if (claimed !== null && !/^[0-9a-f]{64}$/.test(claimed)) {
    throw new Refusal('INVALID_INPUT', 'A SHA-256 has 64 hexadecimal digits.', ['sha256'])
  }
  const { stored, fileName } = await store(context, request.file, config.maxUploadBytes)
  try {
    if (claimed !== null && claimed !== stored.sha256) {
      throw new Refusal(
        'FILE_CHECKSUM_MISMATCH',
        'The file arrived with another SHA-256 than was announced. Send it again.',
        ['sha256'],
      )
    }
    const name = safeName(request.name ?? fileName)
    const detection = await detect(files, stored, name, request.source)
    return { stored, name, detection, source: request.source }
  } catch (error) {
    await files.delete(stored.key)
    throw error
  }
}

async function store(
  context: ApiContext,
  upload: Promise<FileUpload>,
  maxBytes: number,
): Promise<{ stored: StoredFile; fileName: string }> {
  try {
    const file = await upload
    const stored = await context.services.files.put(context.caller.tenantId, file.createReadStream(), {
      maxBytes,
      signal: context.signal,
    })
    return { stored, fileName: file.filename }
  } catch (error) {
    throw refusalOf(error) ?? error
  }
}

/** What an error of the multipart stream means to the caller; null where it is none of theirs. */
function refusalOf(error: unknown): Refusal | null {
  const { status, message, name } = error as { status?: unknown; message?: unknown; name?: unknown }
  if (status === 413) {
    return new Refusal('FILE_TOO_LARGE', 'The file is larger than is taken.', ['file'])
  }
  const brokeOff =
    status === 499 ||
    (typeof message === 'string' && /disconnected|Unexpected end of|missing in the request/i.test(message))
  return brokeOff || name === 'AbortError' || status === 400
    ? new Refusal('UPLOAD_INCOMPLETE', 'The file did not arrive, or not to its end. Send it again.', ['file'])
    : null
}

/** What the file is, as far as its beginning and `source` say. Refuses what cannot be read. */
export async function detect(
  files: FileStore,
  file: Pick<StoredFile, 'key' | 'byteSize'>,
  name: string,
  source: SourceOptions | null,
): Promise<Detection> {
  const chunks: Uint8Array[] = []
  for await (const chunk of files.read(file.key, { start: 0, end: FILE_HEAD_BYTES_MAX })) {
    chunks.push(chunk as Uint8Array)
  }
  return sniff(Buffer.concat(chunks), { byteSize: file.byteSize, name, overrides: source ?? noSourceOptions })
}

/** Forgets a file that was received and not recorded. */
export async function discard(context: ApiContext, received: ReceivedFile): Promise<void> {
  await context.services.files.delete(received.stored.key)
}

/** Records a received file; answers its id. */
export async function record(context: ApiContext, tx: PoolTx, received: ReceivedFile): Promise<string> {
  const [{ id } = { id: '' }] = await tx.query<{ id: string }>('select uuidv7() as id')
  const now = new Date()
  tx.em.create(SourceFile, {
    tenantId: tx.tenantId,
    id,
    name: received.name,
    byteSize: received.stored.byteSize,
    sha256: received.stored.sha256,
    storageKey: received.stored.key,
    detection: received.detection,
    sourceOptions: received.source,
    uploadedBy: context.caller.actor,
    uploadedAt: now,
    expiresAt: new Date(now.getTime() + context.services.config.fileRetentionDays * 86_400_000),
    purgedAt: null,
  })
  await tx.em.flush()
  return id
}
