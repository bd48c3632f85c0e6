/**
 * What stands before a multipart request: everything that can be known from its headers is checked before a byte of it is
 * stored. The multipart library writes each file to a temporary one before anybody asks what it is.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { NextFunction, Request, Response } from 'express'
import { graphqlUploadExpress } from 'graphql-upload-ts'
import type { Caller } from '../access/identify.js'
import { setTemporaryFolder } from '../config.js'
import { BODY_BYTES_MAX } from '../limits.js'
import { permissionTable } from '../resolvers/permission.js'
import { refuseBody } from './refuse.js'

/** Boundaries and headers of the parts, beside the file and the two JSON fields. Bytes. */
const MULTIPART_OVERHEAD = 64 * 1024

/** Files of one request. */
const FILES_PER_REQUEST = 1

/** Whether the body is a GraphQL multipart request. */
export function isMultipart(request: Request): boolean {
  return /^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '')
}

/** Refuses an upload that its headers and its caller already rule out; then lets the multipart library read it. */
export function uploads(maxUploadBytes: number) {
  const read = graphqlUploadExpress({
    // The library takes a file of exactly this size for one that is too large; the store has the last word.
    maxFileSize: maxUploadBytes + 1,
    maxFiles: FILES_PER_REQUEST,
    maxFieldSize: BODY_BYTES_MAX,
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
    if (response.locals.caller?.permissions.has(permission) !== true) {
      refuseBody(request, response, 403, 'FORBIDDEN', `This needs the permission ${permission}.`, { permission })
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
    read(request, response, next)
  }
}

/**
 * Gives this process a folder of its own for temporary files below `dataDir`, and removes those of processes that are
 * gone. The multipart library asks the operating system where to put them, so this process is told by its environment.
 */
export function useTemporaryFolder(dataDir: string): { remove(): void } {
  const parent = join(dataDir, 'tmp')
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(parent)) {
    const [, host, pid = ''] = /^api-(.+)-(\d+)$/.exec(name) ?? []
    if (host === hostname() && !isAlive(Number(pid))) {
      rmSync(join(parent, name), { recursive: true, force: true })
    }
  }
  const own = join(parent, `api-${hostname()}-${process.pid}`)
  rmSync(own, { recursive: true, force: true })
  mkdirSync(own, { recursive: true, mode: 0o700 })
  setTemporaryFolder(own)
  return { remove: () => rmSync(own, { recursive: true, force: true }) }
}

function isAlive(pid: number): boolean {
  try {
    return pid !== process.pid && process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
