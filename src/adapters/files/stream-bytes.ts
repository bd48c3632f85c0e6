/** Bytes that only come one after the other, as out of an archive or a decoder, for readers that ask for places. */
import type { ByteReader, OpenBytes } from './bytes.js'

/**
 * The bytes that a stream gives, as a file of unknown size (Infinity): fast forwards; a place further back starts the stream
 * anew. `start` makes the stream; leaving it ends it.
 */
export function streamBytes(start: () => AsyncIterable<Uint8Array>): OpenBytes {
  return () => Promise.resolve(new StreamBytes(start))
}

class StreamBytes implements ByteReader {
  readonly byteSize = Infinity
  readonly #start: () => AsyncIterable<Uint8Array>
  #stream: AsyncIterator<Uint8Array> | null = null
  #block: Uint8Array = new Uint8Array()
  /** Where `#block` stands. */
  #at = 0

  constructor(start: () => AsyncIterable<Uint8Array>) {
    this.#start = start
  }

  async read(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    if (this.#stream === null || position < this.#at) {
      await this[Symbol.asyncDispose]()
      this.#stream = this.#start()[Symbol.asyncIterator]()
    }
    while (position >= this.#at + this.#block.length) {
      this.#at += this.#block.length
      const next = await this.#stream.next()
      this.#block = next.done === true ? new Uint8Array() : next.value
      if (next.done === true) {
        return 0
      }
    }
    const part = this.#block.subarray(position - this.#at, position - this.#at + length)
    target.set(part, at)
    return part.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stream = this.#stream
    this.#stream = null
    this.#block = new Uint8Array()
    this.#at = 0
    await stream?.return?.()
  }
}

/** Bytes that are held in memory. */
export function heldBytes(bytes: Uint8Array): OpenBytes {
  const held = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return () =>
    Promise.resolve({
      byteSize: held.length,
      read: (target, at, length, position) => Promise.resolve(held.copy(target, at, position, position + length)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
}

/** The first bytes of a file, at most `length`. */
export async function headOf(open: OpenBytes, length: number): Promise<Buffer> {
  await using bytes = await open()
  const head = Buffer.allocUnsafe(Math.min(length, bytes.byteSize))
  let filled = 0
  while (filled < head.length) {
    const read = await bytes.read(head, filled, head.length - filled, filled)
    if (read === 0) {
      break
    }
    filled += read
  }
  return head.subarray(0, filled)
}
