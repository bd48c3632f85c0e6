/**
 * Brings a file to the service in parts, so that a broken connection costs a part and not the file. The same file chosen again, also
 * after the page was closed, goes on where it stopped.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { Client } from 'urql'
import { trouble } from '../../api/client.ts'
import { ImportUploadBeginDocument, ImportUploadCompleteDocument } from '../../api/generated.ts'
import { token } from '../../session.ts'
import { newKey } from '../../ui/key.ts'

/** Read, hashed and sent at once: so much of the file is in memory. */
const PART_BYTES = 4 * 1024 * 1024

/** Tries of one part, ever further apart, before the person is asked. */
const TRIES_MAX = 8

export interface UploadProgress {
  readonly stage: 'reading' | 'sending' | 'checking'
  /** Of the stage, from 0 to 1. */
  readonly fraction: number
  /** The connection is away; it is tried again. */
  readonly waiting: boolean
}

/** What went wrong, in words. */
export class UploadFailed extends Error {}

/** Answers the id of the file. Ends at once when `signal` is aborted; what has arrived is kept for the next time. */
export async function upload(
  client: Client,
  file: File,
  onProgress: (progress: UploadProgress) => void,
  signal: AbortSignal,
): Promise<string> {
  const hash = sha256.create()
  for (let from = 0; from < file.size; from += PART_BYTES) {
    signal.throwIfAborted()
    hash.update(new Uint8Array(await file.slice(from, from + PART_BYTES).arrayBuffer()))
    onProgress({ stage: 'reading', fraction: Math.min((from + PART_BYTES) / file.size, 1), waiting: false })
  }
  const digest = bytesToHex(hash.digest())
  // The same key finds the same upload, so what has arrived of it need not be sent again.
  const remembered = `portage.upload.${digest}.${file.name}`
  const idempotencyKey = localStorage.getItem(remembered) ?? newKey()
  localStorage.setItem(remembered, idempotencyKey)
  try {
    const begun = await client
      .mutation(ImportUploadBeginDocument, {
        input: { name: file.name, byteSize: file.size, sha256: digest, idempotencyKey },
      })
      .toPromise()
    const { uploadSession } = payloadOf(begun, begun.data?.uploadBegin)
    if (uploadSession === null || uploadSession === undefined) {
      throw new UploadFailed('The service opened no upload. Try again.')
    }
    // The service may be known by another name outside: only its path counts here.
    const path = new URL(uploadSession.url, location.href).pathname
    await send(path, file, uploadSession.offset, onProgress, signal)
    onProgress({ stage: 'checking', fraction: 1, waiting: false })
    const ended = await client
      .mutation(ImportUploadCompleteDocument, { input: { uploadSessionId: uploadSession.id } })
      .toPromise()
    const { file: stored } = payloadOf(ended, ended.data?.uploadComplete)
    if (stored === null || stored === undefined) {
      throw new UploadFailed('The file did not arrive. Try again.')
    }
    localStorage.removeItem(remembered)
    return stored.id
  } catch (error) {
    if (error instanceof UploadFailed) {
      localStorage.removeItem(remembered)
    }
    throw error
  }
}

function payloadOf<P extends { readonly userErrors: readonly { readonly message: string }[] }>(
  result: Parameters<typeof trouble>[0],
  payload: P | undefined,
): P {
  const message = trouble(result) ?? payload?.userErrors[0]?.message
  if (message !== undefined && message !== null) {
    throw new UploadFailed(message)
  }
  if (payload === undefined) {
    throw new UploadFailed('There was no answer. Try again.')
  }
  return payload
}

async function send(
  path: string,
  file: File,
  arrived: number,
  onProgress: (progress: UploadProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  let offset = arrived
  let failures = 0
  while (offset < file.size) {
    signal.throwIfAborted()
    onProgress({ stage: 'sending', fraction: offset / file.size, waiting: failures > 0 })
    try {
      const end = Math.min(offset + PART_BYTES, file.size)
      const response = await fetch(path, {
        method: 'PUT',
        headers: {
          authorization: `Bearer ${token() ?? ''}`,
          'content-type': 'application/octet-stream',
          'content-range': `bytes ${offset}-${end - 1}/${file.size}`,
        },
        body: file.slice(offset, end),
        signal,
      })
      const told = Number(response.headers.get('upload-offset') ?? Number.NaN)
      if (response.status === 204 || response.status === 409) {
        offset = Number.isSafeInteger(told) ? told : end
        failures = 0
        continue
      }
      if (response.status < 500 && response.status !== 429) {
        throw new UploadFailed(await messageOf(response))
      }
    } catch (error) {
      if (error instanceof UploadFailed || signal.aborted) {
        throw error
      }
    }
    failures += 1
    if (failures > TRIES_MAX) {
      throw new Error('The service cannot be reached. Choose the file again when it can: what has arrived is kept.')
    }
    onProgress({ stage: 'sending', fraction: offset / file.size, waiting: true })
    await pause(Math.min(500 * 2 ** failures, 15_000))
    offset = (await arrivedOf(path, signal)) ?? offset
  }
}

async function messageOf(response: Response): Promise<string> {
  const answer = (await response.json().catch(() => null)) as { errors?: readonly { message?: string }[] } | null
  return answer?.errors?.[0]?.message ?? `The upload was refused with ${response.status}.`
}

async function arrivedOf(path: string, signal: AbortSignal): Promise<number | null> {
  try {
    const headers = { authorization: `Bearer ${token() ?? ''}` }
    const response = await fetch(path, { method: 'HEAD', headers, signal })
    const offset = Number(response.headers.get('upload-offset') ?? Number.NaN)
    return response.ok && Number.isSafeInteger(offset) ? offset : null
  } catch {
    return null
  }
}

/** Waits, or less if the browser says that the network is back. */
function pause(ms: number): Promise<void> {
  return new Promise((settle) => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      window.removeEventListener('online', done)
      settle()
    }
    window.addEventListener('online', done)
  })
}
