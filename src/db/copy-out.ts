/**
 * `COPY (query) TO STDOUT` as a stream of whole rows. The server sends one message per row, so rows are counted and framed
 * here without looking into them; pg-copy-streams, which serves the other direction, hides the messages.
 */
import { Readable } from 'node:stream'
import type pg from 'pg'

/** How rows are put together. */
export interface CopyOutOptions {
  /** Stands before every row but the first. At most a few bytes. Default: nothing. */
  readonly between?: string
  /** Stands behind every row in place of the line feed that the server sends. Default: that line feed. */
  readonly lineEnd?: string
}

/** Rows on their way out. Read it to its end, or destroy the lane. */
export interface CopyOut extends AsyncIterable<Buffer> {
  /** Rows that have been handed on so far. */
  readonly rows: number
}

/** Buffers of about this size are handed on: the server sends 8 KiB at a time, and each buffer costs every stage behind. Bytes. */
const OUT_BYTES = 256 * 1024

const HEAD_BYTES = 5
const COPY_DATA = 0x64
const COPY_DONE = 0x63
const COPY_OUT_RESPONSE = 0x48
const ERROR_RESPONSE = 0x45

/** The parts of pg's connection that a statement of its own kind needs. */
interface Wire {
  readonly stream: NodeJS.ReadableStream & { destroy(error?: Error): void }
  query(sql: string): void
}

type Listener = (chunk: Buffer) => void

/** A statement for `client.query`: pg hands it the connection, and it takes the socket until the last row is there. */
export class CopyOutStream extends Readable implements pg.Submittable, CopyOut {
  rows = 0
  readonly #sql: string
  readonly #between: Buffer
  readonly #lineEnd: Buffer | null
  #wire: Wire | null = null
  #theirs: Listener | null = null
  readonly #mine: Listener = (chunk) => this.#take(chunk)
  /** Bytes of a message that is not there as a whole yet. */
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #needed = HEAD_BYTES
  #out = Buffer.allocUnsafeSlow(OUT_BYTES)
  #filled = 0

  constructor(sql: string, { between = '', lineEnd = '\n' }: CopyOutOptions) {
    super({ highWaterMark: 2 * OUT_BYTES })
    this.#sql = sql
    this.#between = Buffer.from(between)
    this.#lineEnd = lineEnd === '\n' ? null : Buffer.from(lineEnd)
    this.on('error', () => {
      // It may come before anybody reads; whoever does is told then.
    })
  }

  submit(connection: pg.Connection): void {
    const wire = connection as unknown as Wire
    this.#wire = wire
    const [theirs] = wire.stream.listeners('data') as Listener[]
    if (theirs === undefined) {
      throw new Error('the connection is not read by pg')
    }
    this.#theirs = theirs
    wire.stream.removeListener('data', theirs)
    wire.stream.on('data', this.#mine)
    wire.query(this.#sql)
  }

  override _read(): void {
    // Back-pressure ends at the server: while the socket is not read, its COPY waits.
    if (this.#theirs !== null) {
      this.#wire?.stream.resume()
    }
  }

  // What pg tells a statement once the socket is its own again.
  handleError(error: Error): void {
    this.destroy(error)
  }

  handleCommandComplete(): void {
    this.#flush()
    this.push(null)
  }

  handleReadyForQuery(): void {
    // The stream has ended with the command.
  }

  #take(chunk: Buffer): void {
    let bytes = chunk
    if (this.#waitingBytes > 0) {
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.byteLength
      if (this.#waitingBytes < this.#needed) {
        return
      }
      bytes = Buffer.concat(this.#waiting, this.#waitingBytes)
      this.#waiting = []
      this.#waitingBytes = 0
    }
    const { byteLength } = bytes
    let at = 0
    while (byteLength - at >= HEAD_BYTES) {
      const code = bytes[at]
      if (code === ERROR_RESPONSE || code === COPY_DONE) {
        // pg reads on from here: the error, or the end of the command.
        this.#giveBack(bytes.subarray(at))
        return
      }
      const end = at + 1 + bytes.readUInt32BE(at + 1)
      if (end > byteLength) {
        break
      }
      if (code === COPY_DATA) {
        this.#row(bytes, at + HEAD_BYTES, end)
      } else if (code !== COPY_OUT_RESPONSE) {
        this.#theirs?.(bytes.subarray(at, end))
      }
      at = end
    }
    if (at < byteLength) {
      const rest = bytes.subarray(at)
      this.#waiting = [rest]
      this.#waitingBytes = rest.byteLength
      this.#needed = rest.byteLength < HEAD_BYTES ? HEAD_BYTES : 1 + rest.readUInt32BE(1)
    }
    if (this.readableLength >= this.readableHighWaterMark) {
      this.#wire?.stream.pause()
    }
  }

  #row(bytes: Buffer, from: number, end: number): void {
    const room = end - from + this.#between.byteLength + (this.#lineEnd?.byteLength ?? 0)
    if (this.#filled + room > this.#out.byteLength) {
      this.#flush()
      this.#out = Buffer.allocUnsafeSlow(Math.max(OUT_BYTES, room))
    }
    if (this.rows > 0 && this.#between.byteLength > 0) {
      this.#filled += this.#between.copy(this.#out, this.#filled)
    }
    if (this.#lineEnd === null) {
      this.#filled += bytes.copy(this.#out, this.#filled, from, end)
    } else {
      this.#filled += bytes.copy(this.#out, this.#filled, from, end - 1)
      this.#filled += this.#lineEnd.copy(this.#out, this.#filled)
    }
    this.rows += 1
  }

  #flush(): void {
    if (this.#filled > 0) {
      this.push(this.#out.subarray(0, this.#filled))
      this.#filled = 0
    }
  }

  #giveBack(rest: Buffer): void {
    const wire = this.#wire
    const theirs = this.#theirs
    if (wire === null || theirs === null) {
      return
    }
    this.#theirs = null
    wire.stream.removeListener('data', this.#mine)
    wire.stream.on('data', theirs)
    wire.stream.resume()
    theirs(rest)
  }
}
