/**
 * Where the bytes of an upload in several requests go: `PUT` continues it, `HEAD` says how far it is, `DELETE` gives it up.
 * What arrives is kept in parts, also when the connection breaks in the middle of one; a part counts where it begins at
 * exactly what had arrived before, see `access/uploadSessions`.
 */
import type { NextFunction, Request, Response } from 'express'
import { writeEntry } from '../access/audit.js'
import type { Caller } from '../access/identify.js'
import {
  appendPart,
  endSession,
  findSession,
  partsOf,
  removeParts,
  type UploadSession,
} from '../access/uploadSessions.js'
import { withTenant } from '../db/tx.js'
import { decodeId, encodeId } from '../ids.js'
import { UPLOAD_IDLE_MS_MAX, UPLOAD_PART_BYTES, UPLOAD_PARTS_MAX } from '../limits.js'
import { uploadBytes } from '../metrics.js'
import { auditName, type Services } from '../resolvers/context.js'
import { permissionTable } from '../resolvers/permission.js'
import { denyUpload, originOf } from './origin.js'
import { refuse } from './refuse.js'

/** The route; `id` is the public id of the session. */
export const UPLOAD_ROUTE = '/uploads/:id'

/** A request that writes to a session just now. */
interface Writing {
  readonly request: Request
  readonly done: Promise<void>
}

type Answer = Response & { readonly locals: { readonly caller?: Caller } }

/** Answers the route, for callers who have been identified. */
export function rangedUploads(services: Services) {
  const writing = new Map<string, Writing>()
  return (request: Request, response: Answer, next: NextFunction): void => {
    const { caller } = response.locals
    const [permission] = permissionTable['Mutation.uploadBegin']
    if (caller?.permissions.has(permission) !== true) {
      denyUpload(services, caller, request, response, { action: 'upload', permission }).catch(next)
      return
    }
    answer({ services, writing, caller, request, response }).catch(next)
  }
}

interface Exchange {
  readonly services: Services
  readonly writing: Map<string, Writing>
  readonly caller: Caller
  readonly request: Request
  readonly response: Answer
}

async function answer(exchange: Exchange): Promise<void> {
  const { request, response } = exchange
  const session = await load(exchange)
  if (session === null) {
    decline(exchange, 404, 'NOT_FOUND', 'There is no upload with this id, or it has expired.')
  } else if (request.method === 'HEAD') {
    describe(response, session).end()
  } else if (request.method === 'PUT') {
    await put(exchange, session)
  } else if (request.method === 'DELETE') {
    await giveUp(exchange, session)
    response.status(204).end()
  } else {
    response.setHeader('allow', 'PUT, HEAD, DELETE')
    decline(exchange, 405, 'BAD_REQUEST', 'An upload is continued by PUT; HEAD says how far it is.')
  }
}

function load({ services, caller, request }: Exchange): Promise<UploadSession | null> {
  const id = decodeId('uploadSession', String(request.params.id))
  return withTenant(services.database, caller.tenantId, (tx) => findSession(tx, id))
}

function describe(response: Answer, session: UploadSession): Response {
  return response
    .status(200)
    .setHeader('upload-offset', session.offset)
    .setHeader('upload-length', session.byteSize)
    .setHeader('upload-expires', session.expiresAt.toUTCString())
}

async function giveUp({ services, caller, writing, request }: Exchange, session: UploadSession): Promise<void> {
  await stopOther(writing, session.id)
  const parts = await withTenant(services.database, caller.tenantId, async (tx) => {
    await endSession(tx, session.id)
    await writeEntry(
      tx,
      { ...originOf(request), ...auditName(caller) },
      { action: 'upload.delete', target: encodeId('uploadSession', session.id), outcome: 'OK', detail: {} },
    )
    return partsOf(tx, session.id)
  })
  for (const part of parts) {
    await services.files.delete(part.key)
  }
  const keys = parts.map(({ key }) => key)
  await withTenant(services.database, caller.tenantId, (tx) => removeParts(tx, session.id, keys))
}

/**
 * A client that comes again has lost its connection, whether we have noticed or not: what the other request has brought
 * is kept, and then this one goes on. Of requests to other processes the first to commit wins.
 */
async function stopOther(writing: Map<string, Writing>, id: string): Promise<void> {
  for (let other = writing.get(id); other !== undefined; other = writing.get(id)) {
    other.request.destroy()
    await other.done
  }
}

async function put(exchange: Exchange, found: UploadSession): Promise<void> {
  const { request, writing } = exchange
  const place = placeOf(request, found.byteSize)
  if (place === null) {
    decline(
      exchange,
      400,
      'BAD_REQUEST',
      `Say where the bytes belong, as "Content-Range: bytes <first>-<last>/${found.byteSize}" or "Upload-Offset: <first>".`,
    )
    return
  }
  await stopOther(writing, found.id)
  const { promise, resolve } = Promise.withResolvers<void>()
  writing.set(found.id, { request, done: promise })
  try {
    await write(exchange, place)
  } finally {
    writing.delete(found.id)
    resolve()
  }
}

async function write(exchange: Exchange, place: Place): Promise<void> {
  const { request, response } = exchange
  // Read again: the other request may have brought more.
  const session = await load(exchange)
  if (session === null) {
    decline(exchange, 404, 'NOT_FOUND', 'There is no upload with this id, or it has expired.')
    return
  }
  if (place.first !== session.offset) {
    refuseOffset(exchange, session)
    return
  }
  if (place.first + place.length > session.byteSize) {
    decline(exchange, 413, 'FILE_TOO_LARGE', `This upload has ${session.byteSize} bytes and no more.`, {
      limit: 'declared size',
    })
    return
  }
  request.setTimeout(UPLOAD_IDLE_MS_MAX, () => request.destroy())
  const outcome = await take(exchange, session)
  if (request.destroyed && !request.complete) {
    // Nobody is there to be told.
    return
  }
  const now = await load(exchange)
  if (now === null) {
    decline(exchange, 404, 'NOT_FOUND', 'There is no upload with this id, or it has expired.')
  } else if (outcome === 'displaced' && now.parts >= UPLOAD_PARTS_MAX) {
    decline(exchange, 413, 'LIMIT_EXCEEDED', `An upload comes in at most ${UPLOAD_PARTS_MAX} parts.`, {
      limit: 'parts',
    })
  } else if (outcome === 'displaced') {
    refuseOffset(exchange, now)
  } else if (outcome === 'tooLong') {
    decline(exchange, 413, 'FILE_TOO_LARGE', `This upload has ${now.byteSize} bytes and no more.`, {
      limit: 'declared size',
    })
  } else {
    describe(response, now).status(204).end()
  }
}

/**
 * Refuses with the connection kept: a client that goes on where it is told to go on needs it, and what it still sends is
 * thrown away. Who sends much had better stop when the answer comes.
 */
function decline(
  { request, response }: Exchange,
  status: number,
  code: string,
  message: string,
  extensions: Readonly<Record<string, string>> = {},
): void {
  refuse(response, status, code, message, extensions)
  request.resume()
}

function refuseOffset(exchange: Exchange, session: UploadSession): void {
  describe(exchange.response, session)
  decline(
    exchange,
    409,
    'UPLOAD_OFFSET_MISMATCH',
    `${session.offset} of ${session.byteSize} bytes have arrived: go on there.`,
    { offset: String(session.offset) },
  )
}

/** How the body of a request ended: all of it is kept; another request was faster; it is longer than the file. */
type Outcome = 'kept' | 'displaced' | 'tooLong'

async function take(exchange: Exchange, session: UploadSession): Promise<Outcome> {
  const body = new Body(exchange.request)
  try {
    return await keep(exchange, session, body)
  } finally {
    await body.leave()
  }
}

async function keep({ services, caller }: Exchange, session: UploadSession, body: Body): Promise<Outcome> {
  const { files, database } = services
  for (let start = session.offset; start < session.byteSize; ) {
    const length = Math.min(UPLOAD_PART_BYTES, session.byteSize - start)
    if (!(await body.hasMore())) {
      return 'kept'
    }
    const stored = await files.put(caller.tenantId, body.next(length), { maxBytes: length, inTurns: true })
    let kept = false
    try {
      const part = { start, byteSize: stored.byteSize, key: stored.key }
      kept = await withTenant(database, caller.tenantId, (tx) => appendPart(tx, session.id, part))
    } catch (error) {
      // The commit's answer may have been lost: only a part that is not in the table may go.
      kept = await withTenant(database, caller.tenantId, (tx) => partsOf(tx, session.id)).then(
        (parts) => parts.some(({ key }) => key === stored.key),
        () => true,
      )
      throw error
    } finally {
      if (!kept) {
        await files.delete(stored.key)
      }
    }
    if (!kept) {
      return 'displaced'
    }
    uploadBytes.inc({ road: 'parts' }, stored.byteSize)
    start += stored.byteSize
  }
  return (await body.hasMore()) ? 'tooLong' : 'kept'
}

/** The bytes of a request, cut where one likes. A connection that breaks is the end, not an error. */
class Body {
  readonly #request: Request
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array()

  constructor(request: Request) {
    this.#request = request
    this.#chunks = request.iterator({ destroyOnReturn: false })
  }

  async hasMore(): Promise<boolean> {
    while (this.#rest.byteLength === 0) {
      const next = await this.#chunks.next().catch(() => null)
      // After a break, what had arrived and was not read yet is still there.
      const chunk = next?.done === false ? next.value : (this.#request.read() as Uint8Array | null)
      if (chunk === null) {
        return false
      }
      this.#rest = chunk
    }
    return true
  }

  /** Reads no more; the request is then anybody's to go on with. */
  async leave(): Promise<void> {
    await this.#chunks.return?.()
  }

  /** The next `length` bytes, or what there is. */
  async *next(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0 && (await this.hasMore()); ) {
      const taken = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(taken.byteLength)
      left -= taken.byteLength
      yield taken
    }
  }
}

interface Place {
  readonly first: number
  /** Bytes that are announced; 0 where nothing is said. */
  readonly length: number
}

/** Where a request says that its bytes belong; without a word of it at the beginning. Null for what makes no sense. */
function placeOf({ headers }: Request, byteSize: number): Place | null {
  const length = Number(headers['content-length'] ?? 0)
  const offset = headers['upload-offset']
  const range = headers['content-range']
  if (range === undefined) {
    const first = offset === undefined ? 0 : /^\d{1,15}$/.test(String(offset)) ? Number(offset) : null
    return first === null ? null : { first, length }
  }
  const [, first, last, size] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(range.trim()) ?? []
  const announced = Number(last) - Number(first) + 1
  const fits =
    first !== undefined &&
    announced > 0 &&
    (size === '*' || Number(size) === byteSize) &&
    (headers['content-length'] === undefined || length === announced) &&
    (offset === undefined || offset === first)
  return fits ? { first: Number(first), length: announced } : null
}
