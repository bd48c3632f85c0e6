/**
 * What stands before a multipart request: everything that can be known from its headers is checked before a byte of it is
 * read. The file itself then goes straight into the store, see `uploads-multipart.ts`.
 */
import type { IncomingMessage } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
import { graphqlUploadExpress } from 'graphql-upload-ts'
import type { Caller } from '../access/identify.js'
import { reserveUpload, settleUpload } from '../access/quotas.js'
import { requireSpace } from '../access/space.js'
import { withTenant } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import { BODY_BYTES_MAX } from '../limits.js'
import { type Services, unlessClashing } from '../resolvers/context.js'
import { permissionTable } from '../resolvers/permission.js'
import { denyUpload } from './origin.js'
import { refuseQuota } from './rate-limits.js'
import { refuseBody } from './refuse.js'
import { readMultipart } from './uploads-multipart.js'

/** Boundaries and headers of the parts, beside the file and the two JSON fields. Bytes. */
const MULTIPART_OVERHEAD = 64 * 1024

/** One file, and the two JSON fields beside it. */
const limits = { maxFiles: 1, maxFieldSize: BODY_BYTES_MAX }

/** Whether the body is a GraphQL multipart request. */
export function isMultipart(request: Request): boolean {
  return /^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '')
}

/** Refuses an upload that its headers and its caller already rule out; then lets the multipart library read it. */
export function uploads(services: Services) {
  const { maxUploadBytes } = services.config
  const read = graphqlUploadExpress({
    // The size of the file is the store's to judge, which counts what it writes.
    processRequest: (request, response) =>
      // The library knows only a single operation's type, and passes on what it gets.
      readMultipart(request as IncomingMessage, response, limits) as Promise<never>,
    overrideSendResponse: false,
  })
  return (
    request: Request,
    response: Response & { readonly locals: { readonly caller?: Caller } },
    next: NextFunction,
  ): void => {
    if (!isMultipart(request)) {
      next()
      return
    }
    const [permission] = permissionTable['Mutation.fileUpload']
    const { headers } = request
    // A page of another site can post a form, but cannot set a header of its own without being asked first.
    if (!headers['apollo-require-preflight'] && !headers['x-apollo-operation-name']) {
      refuseBody(
        request,
        response,
        400,
        'BAD_REQUEST',
        'A multipart request needs the header `apollo-require-preflight: true`.',
      )
      return
    }
    const { caller } = response.locals
    if (caller?.permissions.has(permission) !== true) {
      const door = { action: 'Mutation.fileUpload', permission }
      denyUpload(services, caller, request, response, door).catch(next)
      return
    }
    const length = headers['content-length']
    if (length === undefined) {
      refuseBody(request, response, 411, 'LENGTH_REQUIRED', 'An upload needs a Content-Length.')
      return
    }
    if (Number(length) > maxUploadBytes + 2 * BODY_BYTES_MAX + MULTIPART_OVERHEAD) {
      refuseBody(request, response, 413, 'FILE_TOO_LARGE', `A file has at most ${maxUploadBytes} bytes.`, {
        limit: 'file size',
      })
      return
    }
    reserve(services, response, caller, Number(length)).then(
      (refusal) =>
        refusal === null ? read(request, response, next) : refuseQuota(request, response, refusal, Number(length)),
      next,
    )
  }
}

/**
 * Reserves what the request announces of the tenant's quotas, until it has been answered; what was stored by then counts. Null, or
 * why it is refused.
 */
async function reserve(
  { database, log, spaceNow }: Services,
  response: Response,
  { tenantId }: Caller,
  bytes: number,
): Promise<Refusal | null> {
  const id = newId()
  try {
    await requireSpace(spaceNow, bytes)
    await unlessClashing(() => withTenant(database, tenantId, (tx) => reserveUpload(tx, id, bytes)))
  } catch (error) {
    if (error instanceof Refusal) {
      return error
    }
    throw error
  }
  let stored = 0
  response.locals.countStored = (some: number): void => {
    stored += some
  }
  response.once('close', () => {
    unlessClashing(() => withTenant(database, tenantId, (tx) => settleUpload(tx, id, stored))).catch((error: unknown) =>
      // Housekeeping gives it back in time.
      log.warn({ err: error }, 'what an upload had reserved could not be given back'),
    )
  })
  return null
}
