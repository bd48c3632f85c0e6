import type { Request, Response } from 'express'

/** How long a client that is still sending gets to read why it is refused, in milliseconds. */
const READ_ANSWER_MS = 1000

/** Answers with an error as GraphQL clients read it. */
export function refuse(
  response: Response,
  status: number,
  code: string,
  message: string,
  extensions: Readonly<Record<string, string>> = {},
): void {
  response
    .status(status)
    .setHeader('cache-control', 'no-store')
    .json({ errors: [{ message, extensions: { code, ...extensions } }] })
}

/** A body of at most so many bytes is read to its end and thrown away, which keeps the connection for the next request. */
const SMALL_BODY = 64 * 1024

/**
 * The same for a request whose body nobody is going to read. Left alone, the server would read all of it and throw it
 * away; ended at once, the client would see a broken connection instead of the answer. So, unless the body is small,
 * reading stops, the client gets a moment for the answer, and then the connection ends.
 */
export function refuseBody(
  request: Request,
  response: Response,
  status: number,
  code: string,
  message: string,
  extensions: Readonly<Record<string, string>> = {},
): void {
  if (
    !request.complete &&
    (request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > SMALL_BODY)
  ) {
    const { socket } = request
    response.once('finish', () => {
      socket.pause()
      setTimeout(() => socket.destroy(), READ_ANSWER_MS).unref()
    })
  }
  refuse(response, status, code, message, extensions)
}
