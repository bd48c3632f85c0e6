import 'reflect-metadata'
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { Arg, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql'
import { once } from '../access/idempotency.js'
import { reserveUpload } from '../access/quotas.js'
import { requireSpace } from '../access/space.js'
import {
  claimCompletion,
  closeSession,
  endSession,
  findSession,
  keepSession,
  openSession,
  partsOf,
  releaseCompletion,
  removeParts,
  type UploadPart,
  type UploadSession,
} from '../access/uploadSessions.js'
import type { FileStore, StoredFile } from '../adapters/files/storage.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import { UPLOAD_CLAIM_SECONDS, UPLOAD_SESSION_HOURS } from '../limits.js'
import type { SourceOptions } from '../pipeline/types.js'
import { FileUploadPayload } from '../schema/files.js'
import {
  UploadBeginInput,
  UploadCompleteInput,
  UploadSessionPayload,
  UploadSessionType,
} from '../schema/upload-sessions.js'
import { type ApiContext, inTenant } from './context.js'
import { findFile } from './files.js'
import { sourceOptions } from './inputs.js'
import { safeName } from './names.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { dropUnlessKept, examine, record, sha256Of } from './uploads.js'
import { type FileView, showFile } from './views.js'

/** A session as the API shows it. */
export interface UploadSessionView {
  readonly __typename: 'UploadSession'
  readonly id: string
  readonly url: string
  readonly offset: number
  readonly byteSize: number
  readonly expiresAt: Date
}

/** A session as the API shows it; `url` is where its bytes go. */
export function showSession(context: ApiContext, session: UploadSession): UploadSessionView {
  const id = encodeId('uploadSession', session.id)
  const { offset, byteSize, expiresAt } = session
  return {
    __typename: 'UploadSession',
    id,
    url: `${context.services.config.publicUrl}/uploads/${id}`,
    offset,
    byteSize,
    expiresAt,
  }
}

@Resolver()
export class UploadSessionResolver {
  @Query(() => UploadSessionType, { nullable: true, description: 'Null where there is none, or it has expired.' })
  async uploadSession(@Ctx() context: ApiContext, @Arg('id', () => ID) id: string): Promise<UploadSessionView | null> {
    requirePermission(context, 'Query.uploadSession')
    const session = await inTenant(context, (tx) => findSession(tx, decodeId('uploadSession', id)))
    return session === null ? null : showSession(context, session)
  }

  @Mutation(() => UploadSessionPayload, {
    description: 'Begins an upload that goes on after a broken connection where it stopped: for large files.',
  })
  uploadBegin(
    @Ctx() context: ApiContext,
    @Arg('input', () => UploadBeginInput) input: UploadBeginInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.uploadBegin')
    return settled({ uploadSession: null }, async () => {
      const { config } = context.services
      const asked = { name: input.name, byteSize: input.byteSize, sha256: sha256Of(input.sha256) }
      if (asked.byteSize <= 0) {
        throw new Refusal('FILE_EMPTY', 'The file is empty.', ['byteSize'])
      }
      if (asked.byteSize > config.maxUploadBytes) {
        throw new Refusal('FILE_TOO_LARGE', `A file has at most ${config.maxUploadBytes} bytes.`, ['byteSize'])
      }
      await requireSpace(context.services.spaceNow, asked.byteSize)
      const session = await inTenant(context, async (tx) => {
        const request = { key: input.idempotencyKey, operation: 'uploadBegin', input: asked }
        const { id } = await once(tx, request, async () => {
          const opened = await openSession(
            tx,
            { ...asked, name: safeName(asked.name), createdBy: context.caller.actor },
            config.stagedUploadBytes,
          )
          // Until the session ends, whichever way it does.
          await reserveUpload(tx, opened, asked.byteSize, UPLOAD_SESSION_HOURS)
          return opened
        })
        return findSession(tx, id)
      })
      if (session === null) {
        throw new Refusal('INVALID_STATE', 'The upload with this idempotency key has ended. Use a new key.', [
          'idempotencyKey',
        ])
      }
      return { uploadSession: showSession(context, session) }
    })
  }

  @Mutation(() => FileUploadPayload, {
    description:
      'Makes a file of an upload whose bytes have all arrived. Asked again, it answers the same file; `source` then changes nothing.',
  })
  uploadComplete(
    @Ctx() context: ApiContext,
    @Arg('input', () => UploadCompleteInput) input: UploadCompleteInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.uploadComplete')
    return settled({ file: null }, async () => {
      const id = decodeId('uploadSession', input.uploadSessionId)
      const source = sourceOptions(input.source)
      return { file: (await completedFile(context, id)) ?? (await completeInTurn(context, id, source)) }
    })
  }
}

/** The file that a session has become; null where it has become none yet. Refuses NOT_FOUND. */
async function completedFile(context: ApiContext, id: string): Promise<FileView | null> {
  return inTenant(context, async (tx) => {
    const session = await findSession(tx, id)
    if (session === null) {
      throw new Refusal('NOT_FOUND', 'There is no upload with this id, or it has expired.', ['uploadSessionId'])
    }
    if (session.fileId === null) {
      return null
    }
    const file = await findFile(tx, session.fileId)
    if (file === null) {
      throw new Refusal('NOT_FOUND', 'The retention of this file has ended: upload it again.', ['uploadSessionId'])
    }
    return showFile(context, file)
  })
}

/**
 * Completes an upload, or waits for whoever does so, in whatever process: each would write a copy as large as the upload.
 * Whoever holds the claim says so again and again; when it dies, the next one that waits begins anew.
 */
async function completeInTurn(context: ApiContext, id: string, source: SourceOptions | null): Promise<FileView> {
  const claimant = randomUUID()
  while (!(await inTenant(context, (tx) => claimCompletion(tx, id, claimant)))) {
    const file = await completedFile(context, id)
    if (file !== null) {
      return file
    }
    await setTimeout(CLAIM_POLL_MS, undefined, { signal: context.signal })
  }
  const renewal = setInterval(() => {
    // One that is missed is made good by the next.
    inTenant(context, (tx) => claimCompletion(tx, id, claimant)).catch(() => undefined)
  }, RENEWAL_MS)
  try {
    return await complete(context, id, source)
  } finally {
    clearInterval(renewal)
    // Where this fails the claim lapses.
    await inTenant(context, (tx) => releaseCompletion(tx, id, claimant)).catch(() => undefined)
  }
}

/** So often who waits looks whether the other has come to an end. */
const CLAIM_POLL_MS = 200

const RENEWAL_MS = (UPLOAD_CLAIM_SECONDS * 1000) / 3

async function complete(context: ApiContext, id: string, source: SourceOptions | null): Promise<FileView> {
  const { files } = context.services
  const { session, parts } = await inTenant(context, async (tx) => {
    const found = await findSession(tx, id)
    if (found !== null && found.offset === found.byteSize) {
      // What follows may take minutes, in which the parts must not expire.
      await keepSession(tx, id)
    }
    return { session: found, parts: await partsOf(tx, id) }
  })
  if (session === null) {
    throw new Refusal('NOT_FOUND', 'There is no upload with this id, or it has expired.', ['uploadSessionId'])
  }
  if (session.offset < session.byteSize) {
    throw new Refusal(
      'UPLOAD_INCOMPLETE',
      `Of ${session.byteSize} bytes ${session.offset} have arrived. Send the rest.`,
      ['uploadSessionId'],
    )
  }
  let stored: StoredFile
  try {
    stored = await files.put(context.caller.tenantId, joined(files, parts), {
      maxBytes: session.byteSize,
      signal: context.signal,
    })
  } catch (error) {
    // Whoever completed it at the same time and was first has taken the parts away.
    const file = await completedFile(context, id)
    if (file !== null) {
      return file
    }
    throw error
  }
  // Stays true when the answer of the commit is lost: a file too many is better than a row without its file.
  let recorded = false
  try {
    const received = await examine(context, stored, { name: session.name, sha256: session.sha256, source })
    const file = await inTenant(context, async (tx) => {
      const fileId = await record(context, tx, received)
      if (!(await closeSession(tx, id, fileId))) {
        throw new OtherWasFirst('the session was completed meanwhile')
      }
      const found = await findFile(tx, fileId)
      recorded = true
      return found
    })
    await dropParts(context, id, parts)
    if (file === null) {
      throw new Error('a file is gone in the transaction that made it')
    }
    return showFile(context, file)
  } catch (error) {
    if (error instanceof OtherWasFirst) {
      recorded = false
      const file = await completedFile(context, id)
      if (file !== null) {
        return file
      }
    }
    if (error instanceof Refusal && (error.code === 'FILE_CHECKSUM_MISMATCH' || error.code === 'FILE_INFECTED')) {
      // An infected file has been set apart, with a record of its own.
      recorded = error.code === 'FILE_INFECTED'
      // What arrived is of no use: the next try is another upload. Where this fails, housekeeping does it in time.
      await giveUp(context, id, parts).catch(() => undefined)
    }
    throw error
  } finally {
    if (!recorded) {
      await dropUnlessKept(context, stored.key)
    }
  }
}

async function giveUp(context: ApiContext, id: string, parts: readonly UploadPart[]): Promise<void> {
  if (await inTenant(context, (tx) => endSession(tx, id))) {
    await dropParts(context, id, parts)
  }
}

class OtherWasFirst extends Error {}

async function* joined(files: FileStore, parts: readonly UploadPart[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    yield* files.read(part.key)
  }
}

/** Bytes first: what is left when this breaks off, housekeeping finds by the rows. */
async function dropParts(context: ApiContext, id: string, parts: readonly UploadPart[]): Promise<void> {
  for (const part of parts) {
    await context.services.files.delete(part.key)
  }
  const keys = parts.map(({ key }) => key)
  await inTenant(context, (tx) => removeParts(tx, id, keys))
}
