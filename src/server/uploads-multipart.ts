/**
 * Reads a GraphQL multipart request without a temporary file. The library's own reader writes each file to one before
 * anybody asks for it, and cannot be told otherwise; so this one takes its place, at the seam that the library has for
 * that, with the library's parser, `Upload` and scalar. A file flows from the socket to whoever reads it: while nobody
 * does, the client waits.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import busboy from 'busboy'
import { type FileUpload, Upload } from 'graphql-upload-ts'

/** A request that cannot be read, with the HTTP status that says so and a message for who sent it. */
export class MultipartError extends Error {
  readonly status: number
  readonly expose = true
  constructor(status: number, message: string) {
    super(message)
    this.name = 'MultipartError'
    this.status = status
  }
}

export interface MultipartLimits {
  readonly maxFiles: number
  /** Of each of the two JSON fields, in bytes. */
  readonly maxFieldSize: number
}

/** An operation as it came, its variables perhaps with an `Upload` in them. */
type Operations = Record<string, unknown> | unknown[]

/**
 * Answers the operation of the request, its files in place as `Upload`, as soon as both JSON fields are read; the files
 * follow. Each can be read once; a file that nobody asks for, or wants to its end, is read and thrown away when the answer has gone out. Rejects
 * with `MultipartError`.
 */
export function readMultipart(
  request: IncomingMessage,
  response: Pick<ServerResponse, 'once'>,
  { maxFiles, maxFieldSize }: MultipartLimits,
): Promise<Operations> {
  return new Promise((resolve, reject) => {
    const parser = busboy({
      headers: request.headers,
      defParamCharset: 'utf8',
      limits: { fieldSize: maxFieldSize, fields: 2, files: maxFiles },
    })
    let operations: Operations | null = null
    let uploads: Map<string, Upload> | null = null
    let over = false

    /** Ends the reading; what is still on its way is thrown away, so that the client gets to read the answer. */
    function stop(error: Error): void {
      if (over) {
        return
      }
      over = true
      for (const upload of uploads?.values() ?? []) {
        if (upload.file === undefined) {
          upload.reject(error)
        }
      }
      request.unpipe(parser)
      parser.destroy(error)
      setImmediate(() => request.resume())
      reject(error)
    }

    parser.on('field', (name, text, { valueTruncated }) => {
      try {
        if (valueTruncated) {
          throw new MultipartError(413, `The field "${name}" of the multipart request is too long.`)
        }
        if (name === 'operations') {
          operations = readObject(name, text)
        } else if (name === 'map') {
          if (operations === null) {
            throw new MultipartError(400, 'In a multipart request the field "operations" comes first, then "map".')
          }
          uploads = placeFiles(operations, readObject(name, text), maxFiles)
          resolve(operations)
        }
      } catch (error) {
        stop(error as Error)
      }
    })

    parser.on('file', (name, stream, { filename = '', encoding, mimeType }) => {
      // Whoever reads it hears of it too.
      stream.on('error', () => undefined)
      if (uploads === null) {
        stream.resume()
        stop(new MultipartError(400, 'In a multipart request the files come after the fields "operations" and "map".'))
        return
      }
      const upload = uploads.get(name ?? '')
      if (upload === undefined || upload.file !== undefined) {
        stream.resume()
        return
      }
      // A reader that has had enough leaves the parser waiting for ever.
      stream.once('close', () => {
        if (!stream.readableEnded) {
          stop(new MultipartError(499, 'The rest of the file was not wanted.'))
        }
      })
      upload.resolve(fileOf(stream, { fieldName: name ?? '', filename, encoding, mimetype: mimeType }))
    })

    parser.on('filesLimit', () => stop(tooMany(maxFiles)))
    parser.on('error', (error) => stop(new MultipartError(400, `The multipart request is broken: ${error.message}.`)))
    parser.on('finish', () => {
      if (operations === null || uploads === null) {
        stop(
          new MultipartError(
            400,
            `The multipart request has no field "${operations === null ? 'operations' : 'map'}".`,
          ),
        )
        return
      }
      over = true
      for (const upload of uploads.values()) {
        if (upload.file === undefined) {
          upload.reject(new MultipartError(400, 'The file is missing in the request.'))
        }
      }
    })
    request.once('close', () => {
      if (!request.readableEnded) {
        stop(new MultipartError(499, 'The client disconnected while it sent the request.'))
      }
    })
    response.once('close', () => stop(new MultipartError(499, 'The request has been answered.')))
    request.pipe(parser)
  })
}

function tooMany(maxFiles: number): MultipartError {
  return new MultipartError(413, `A request has at most ${maxFiles} ${maxFiles === 1 ? 'file' : 'files'}.`)
}

function readObject(name: string, text: string): Operations {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new MultipartError(400, `The field "${name}" of the multipart request is no JSON.`)
  }
  if (typeof value !== 'object' || value === null) {
    throw new MultipartError(400, `The field "${name}" of the multipart request is no JSON object.`)
  }
  return value as Operations
}

/** Puts an `Upload` wherever the map says, which must be where the operation has null. Answers them by their field. */
function placeFiles(operations: Operations, map: Operations, maxFiles: number): Map<string, Upload> {
  const entries = Object.entries(map)
  if (Array.isArray(map) || entries.length > maxFiles) {
    throw Array.isArray(map)
      ? new MultipartError(400, 'The field "map" of the multipart request is no JSON object.')
      : tooMany(maxFiles)
  }
  const uploads = new Map<string, Upload>()
  for (const [name, paths] of entries) {
    const upload = new Upload()
    if (!Array.isArray(paths)) {
      throw new MultipartError(
        400,
        `The map of the multipart request names no list of places for ${JSON.stringify(name)}.`,
      )
    }
    for (const path of paths as unknown[]) {
      if (typeof path !== 'string' || !place(operations, path.split('.'), upload)) {
        throw new MultipartError(
          400,
          `The operation has no null at ${JSON.stringify(path)}, where the map puts a file.`,
        )
      }
    }
    uploads.set(name, upload)
  }
  return uploads
}

/** Whether there was a null of the object's own to be replaced. */
function place(root: Operations, path: readonly string[], upload: Upload): boolean {
  let holder: unknown = root
  for (const name of path.slice(0, -1)) {
    holder =
      typeof holder === 'object' && holder !== null && Object.hasOwn(holder, name) ? Reflect.get(holder, name) : null
  }
  const last = path.at(-1) ?? ''
  if (
    typeof holder !== 'object' ||
    holder === null ||
    !Object.hasOwn(holder, last) ||
    Reflect.get(holder, last) !== null
  ) {
    return false
  }
  return Reflect.set(holder, last, upload)
}

function fileOf(
  stream: Readable,
  about: Pick<FileUpload, 'fieldName' | 'filename' | 'encoding' | 'mimetype'>,
): FileUpload {
  let taken = false
  const file = {
    ...about,
    createReadStream: (): Readable => {
      if (taken) {
        throw new Error('an uploaded file can be read once')
      }
      taken = true
      return stream
    },
  }
  // The library's type promises its temporary file, which this is about not having; nobody asks for that.
  return file as unknown as FileUpload
}
