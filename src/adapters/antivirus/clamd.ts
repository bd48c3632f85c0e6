/**
 * Asks ClamAV's daemon about a file, by its command INSTREAM: the bytes go over a socket in pieces that carry their
 * length, and one line comes back. The daemon neither gets a path nor needs to see our disk.
 * https://docs.clamav.net/manual/Usage/ClamdProtocol.html
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause, setImmediate } from 'node:timers/promises'
import { RetryableError } from '../../errors.js'
import { SCANNER_SILENCE_MS_MAX } from '../../limits.js'

/** Where the daemon listens: a Unix socket, or a host and a port. */
export type ScannerAddress = { readonly path: string } | { readonly host: string; readonly port: number }

/** What is said about a file. `tooLarge`: longer than the daemon's StreamMaxLength, so nothing is known about it. */
export type Verdict =
  | { readonly kind: 'clean' }
  | { readonly kind: 'infected'; readonly signature: string }
  | { readonly kind: 'tooLarge' }

export interface Scanner {
  /**
   * What the daemon says about the bytes that `open` gives, from their beginning each time it is called. Throws
   * `RetryableError` SCANNER_AWAY where it does not answer, or not in its protocol, several times in a row; the signal's
   * reason when aborted; and what reading the bytes throws.
   */
  scan(open: () => AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Verdict>
}

/** Pauses before further tries: a daemon that loads new signatures is away for some seconds. Milliseconds. */
const RETRY_PAUSES_MS = [250, 1000, 3000]

/** Bytes of one piece. Any length is allowed; this is what the daemon reads at once. */
const PIECE_BYTES = 64 * 1024

/** A longer answer is none of this protocol. Bytes. */
const REPLY_BYTES_MAX = 4096

/** A name of malware is cut at this. UTF-16 code units. */
const SIGNATURE_LENGTH_MAX = 200

/** What the bytes themselves threw, which is no fault of the daemon. */
class SourceFault extends Error {}

/** A scanner that asks the daemon at `address`, over a connection per file. */
export function clamdScanner(
  address: ScannerAddress,
  {
    pauses = RETRY_PAUSES_MS,
    silenceMs = SCANNER_SILENCE_MS_MAX,
  }: { pauses?: readonly number[]; silenceMs?: number } = {},
): Scanner {
  return {
    async scan(open, signal) {
      for (let attempt = 0; ; attempt += 1) {
        signal?.throwIfAborted()
        try {
          return await scanOnce(address, open(), silenceMs, signal)
        } catch (error) {
          signal?.throwIfAborted()
          if (error instanceof SourceFault) {
            throw error.cause
          }
          const wait = pauses[attempt]
          if (wait === undefined) {
            throw new RetryableError('SCANNER_AWAY', 'The virus scanner does not answer. Try again later.', {
              cause: error,
            })
          }
          await pause(wait, undefined, { signal })
        }
      }
    },
  }
}

async function scanOnce(
  address: ScannerAddress,
  bytes: AsyncIterable<Uint8Array>,
  silenceMs: number,
  signal: AbortSignal | undefined,
): Promise<Verdict> {
  const socket = connect(address)
  socket.setTimeout(silenceMs, () => socket.destroy(new Error('the scanner has been silent for too long')))
  const abort = () => socket.destroy(new Error('the scan was aborted'))
  signal?.addEventListener('abort', abort, { once: true })
  const answer = { come: false }
  const reply = readReply(socket).finally(() => {
    answer.come = true
  })
  reply.catch(() => undefined)
  try {
    await Promise.race([once(socket, 'connect'), reply])
    socket.write('zINSTREAM\0')
    await send(socket, bytes, answer, reply)
    return verdictOf(await reply)
  } finally {
    signal?.removeEventListener('abort', abort)
    socket.destroy()
  }
}

/** Sends all bytes, or as many as the daemon wants: it answers early when it has had enough, and hangs up. */
async function send(
  socket: Socket,
  bytes: AsyncIterable<Uint8Array>,
  answer: { readonly come: boolean },
  reply: Promise<string>,
): Promise<void> {
  for await (const block of faultsMarked(bytes)) {
    for (let start = 0; start < block.byteLength; start += PIECE_BYTES) {
      // An answer that has come is read before the next piece meets a closed connection, which would lose it.
      await setImmediate()
      if (answer.come) {
        return
      }
      const piece = block.subarray(start, start + PIECE_BYTES)
      socket.write(lengthOf(piece.byteLength))
      if (!socket.write(piece)) {
        await Promise.race([once(socket, 'drain'), reply])
      }
    }
  }
  if (!answer.come) {
    socket.write(lengthOf(0))
  }
}

async function* faultsMarked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const blocks = bytes[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await blocks.next().catch((cause: unknown) => {
        throw new SourceFault('the bytes could not be read', { cause })
      })
      if (next.done === true) {
        return
      }
      yield next.value
    }
  } finally {
    await blocks.return?.()
  }
}

function lengthOf(bytes: number): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(bytes)
  return header
}

/** The one line that the daemon says: up to a NUL, or to the end of the connection. */
function readReply(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const end = text.indexOf('\0')
      if (end >= 0) {
        resolve(text.slice(0, end))
      } else if (text.length > REPLY_BYTES_MAX) {
        reject(new Error('the scanner says more than its protocol knows'))
      }
    })
    socket.once('end', () => (text === '' ? reject(new Error('the scanner hung up')) : resolve(text)))
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the scanner hung up')))
  })
}

function verdictOf(reply: string): Verdict {
  const line = reply.trim()
  const [, signature] = /^stream: (.+) FOUND$/.exec(line) ?? []
  if (signature !== undefined) {
    return { kind: 'infected', signature: signature.slice(0, SIGNATURE_LENGTH_MAX) }
  }
  if (line === 'stream: OK') {
    return { kind: 'clean' }
  }
  if (/size limit exceeded/i.test(line)) {
    return { kind: 'tooLarge' }
  }
  throw new Error(`the scanner answered ${JSON.stringify(line.slice(0, 200))}`)
}
