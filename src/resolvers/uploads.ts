/** Taking in a file: from the stream of a request to the store, looked at and recorded, or nothing at all. */
import type { FileUpload } from 'graphql-upload-ts'
import { isBundle } from '../adapters/files/bundle-reader.js'
import type { Detection } from '../adapters/files/detection.js'
import { inspectFile } from '../adapters/files/inspect.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import type { FileStore, StoredFile } from '../adapters/files/storage.js'
import type { PoolTx } from '../db/database.js'
import { SourceFile } from '../db/entities.js'
import { Refusal } from '../errors.js'
import { failpoint } from '../failpoints.js'
import { scans, uploadBytes } from '../metrics.js'
import type { SourceOptions } from '../pipeline/types.js'
import { type ApiContext, inTenant } from './context.js'
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
  const sha256 = request.sha256 === null ? null : sha256Of(request.sha256)
  const { stored, fileName } = await store(context, request.file, context.services.config.maxUploadBytes)
  try {
    await failpoint('upload.after-store')
    return await examine(context, stored, { name: request.name ?? fileName, sha256, source: request.source })
  } catch (error) {
    if (!(error instanceof Refusal && error.code === 'FILE_INFECTED')) {
      await dropUnlessKept(context, stored.key)
    }
    throw error
  }
}

/**
 * Stores a portability bundle, which is no table: nothing but a virus scanner looks at it here. Refuses as `receive`, and then
 * leaves nothing behind.
 */
export async function receiveBundle(context: ApiContext, file: Promise<FileUpload>): Promise<ReceivedFile> {
  const { stored, fileName } = await store(context, file, context.services.config.maxUploadBytes)
  const name = safeName(fileName)
  try {
    await screen(context, stored, name)
    return { stored, name, detection: bundleDetection, source: null }
  } catch (error) {
    if (!(error instanceof Refusal && error.code === 'FILE_INFECTED')) {
      await dropUnlessKept(context, stored.key)
    }
    throw error
  }
}

/** What is known of a bundle as a file: that it holds records in NDJSON, and no columns. */
const bundleDetection: Detection = {
  format: 'NDJSON',
  compression: 'ZIP',
  encoding: 'utf-8',
  encodingConfidence: 1,
  delimiter: null,
  quote: null,
  escape: null,
  dialectConfidence: null,
  lineTerminator: null,
  headerRow: null,
  firstDataRow: 1,
  sheets: [],
  sheet: null,
  jsonPath: null,
  columns: [],
  estimatedRowCount: null,
  warnings: [],
}

/** A SHA-256 as people write it, in lower case. Refuses INVALID_INPUT for what is none. */
export function sha256Of(text: string): string {
  const sha256 = text.toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw new Refusal('INVALID_INPUT', 'A SHA-256 has 64 hexadecimal digits.', ['sha256'])
  }
  return sha256
}

/**
 * Looks at a stored file: is it what was announced, has it a virus, what is it. In this order, so that nothing reads an
 * infected file. Refuses what cannot be taken; the file is then the caller's to delete, but for FILE_INFECTED, where it
 * has been set apart.
 */
export async function examine(
  context: ApiContext,
  stored: StoredFile,
  said: { readonly name: string; readonly sha256: string | null; readonly source: SourceOptions | null },
): Promise<ReceivedFile> {
  if (said.sha256 !== null && said.sha256 !== stored.sha256) {
    throw new Refusal(
      'FILE_CHECKSUM_MISMATCH',
      'The file arrived with another SHA-256 than was announced. Send it again.',
      ['sha256'],
    )
  }
  const name = safeName(said.name)
  await screen(context, stored, name)
  // A bundle is no table: what is in it is looked at when it is imported.
  const detection = (await isBundle(context.services.files.openBytes(stored.key)))
    ? bundleDetection
    : await detect(context.services.files, stored, name, said.source)
  return { stored, name, detection, source: said.source }
}

/** Refuses a file that has a virus, and sets it apart: no file of the tenant leads to its bytes. */
async function screen(context: ApiContext, stored: StoredFile, name: string): Promise<void> {
  const { scanner, files, config, log } = context.services
  if (scanner === null) {
    return
  }
  const verdict = await scanner
    .scan(() => files.read(stored.key), context.signal)
    .catch((error: unknown) => {
      scans.inc({ verdict: 'away' })
      throw error
    })
  scans.inc({ verdict: verdict.kind })
  if (verdict.kind === 'tooLarge') {
    throw new Refusal('FILE_TOO_LARGE', 'The file is larger than the virus scanner takes.', ['file'])
  }
  if (verdict.kind === 'infected') {
    await inTenant(context, (tx) =>
      tx.query(
        `insert into quarantined_file
           (tenant_id, id, name, byte_size, sha256, storage_key, signature, uploaded_by, expires_at)
         values ($1, uuidv7(), $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 day')`,
        [
          context.caller.tenantId,
          name,
          stored.byteSize,
          stored.sha256,
          stored.key,
          verdict.signature,
          context.caller.actor,
          config.fileRetentionDays,
        ],
      ),
    )
    log.warn('an infected file was set apart')
    throw new Refusal('FILE_INFECTED', `The virus scanner found ${verdict.signature} in the file. It is not taken.`, [
      'file',
    ])
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
      inTurns: true,
    })
    uploadBytes.inc({ road: 'request' }, stored.byteSize)
    context.exchange?.countStored(stored.byteSize)
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

/** What the file is, as far as its content and `source` say. Refuses what cannot be read. */
export function detect(
  files: FileStore,
  file: Pick<StoredFile, 'key' | 'byteSize'>,
  name: string,
  source: SourceOptions | null,
  signal?: AbortSignal,
): Promise<Detection> {
  const request = { name, byteSize: file.byteSize, overrides: source ?? noSourceOptions }
  return inspectFile(files.openBytes(file.key), request, signal)
}

/** Forgets a file that was received and not recorded. */
export async function discard(context: ApiContext, received: ReceivedFile): Promise<void> {
  await dropUnlessKept(context, received.stored.key)
}

/**
 * Deletes a stored file that came to nothing, unless a record has it after all: the answer of a commit may be lost. Never
 * throws, for what the caller must know is why there is no file; what is left is found by housekeeping.
 */
export async function dropUnlessKept(context: ApiContext, key: string): Promise<void> {
  try {
    const [kept] = await inTenant(context, (tx) =>
      tx.query(
        `select from source_file where tenant_id = $1 and storage_key = $2
         union all select from run_file where tenant_id = $1 and storage_key = $2
         union all select from quarantined_file where tenant_id = $1 and storage_key = $2`,
        [tx.tenantId, key],
      ),
    )
    if (kept === undefined) {
      await context.services.files.delete(key)
    }
  } catch (error) {
    context.services.log.warn({ err: error }, 'a file that came to nothing is left to housekeeping')
  }
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
