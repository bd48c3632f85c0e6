/** What runs in the sandbox: takes one job, reads the one file by asking its parent for bytes, and ends. */
import { Socket } from 'node:net'
import type { ByteReader, OpenBytes } from './bytes.js'
import { convertedLines } from './convert.js'
import { inspectHere } from './inspect.js'
import {
  BYTES_FD,
  MESSAGES_FD,
  READ_BYTES_MAX,
  REQUEST_BYTES,
  ROWS_FD,
  type SandboxJob,
  type SandboxMessage,
} from './sandbox-messages.js'

/** Rows are written in blocks of about so many bytes. */
const WRITE_BYTES = 64 * 1024

/**
 * The file as the parent gives it: whole blocks, the next one asked for ahead while reading goes on, the last ones kept.
 * Requests are answered in their order.
 */
class PipeBytes implements ByteReader {
  readonly byteSize: number
  readonly #socket: Socket
  readonly #blocks = new Map<number, Promise<Buffer>>()
  readonly #waiting: ((block: Buffer) => void)[] = []
  #parts: Buffer[] = []
  #held = 0
  #last = -1

  constructor(socket: Socket, byteSize: number) {
    this.#socket = socket
    this.byteSize = byteSize
    socket.on('data', (data: Buffer) => this.#take(data))
  }

  async read(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    if (position >= this.byteSize || length <= 0) {
      return 0
    }
    const index = Math.floor(position / READ_BYTES_MAX)
    const block = await this.#block(index)
    if (index === this.#last + 1 && (index + 1) * READ_BYTES_MAX < this.byteSize) {
      void this.#block(index + 1)
    }
    this.#last = index
    const from = position - index * READ_BYTES_MAX
    return block.copy(target, at, from, Math.min(block.length, from + length))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The pipe is the process's.
  }

  #block(index: number): Promise<Buffer> {
    const known = this.#blocks.get(index)
    if (known !== undefined) {
      this.#blocks.delete(index)
      this.#blocks.set(index, known)
      return known
    }
    const oldest = this.#blocks.keys().next()
    if (this.#blocks.size >= BLOCKS_KEPT && oldest.done !== true) {
      this.#blocks.delete(oldest.value)
    }
    const asked = new Promise<Buffer>((resolve) => this.#waiting.push(resolve))
    this.#blocks.set(index, asked)
    const request = Buffer.alloc(REQUEST_BYTES)
    request.writeBigUInt64LE(BigInt(index * READ_BYTES_MAX), 0)
    request.writeUInt32LE(READ_BYTES_MAX, 8)
    this.#socket.write(request)
    return asked
  }

  #take(data: Buffer): void {
    this.#parts.push(data)
    this.#held += data.length
    while (this.#held >= 4) {
      const head = this.#parts[0]!.length >= 4 ? this.#parts[0]! : this.#whole()
      const length = head.readUInt32LE(0)
      if (this.#held < 4 + length) {
        return
      }
      const all = this.#whole()
      this.#parts = [all.subarray(4 + length)]
      this.#held -= 4 + length
      this.#waiting.shift()?.(all.subarray(4, 4 + length))
    }
  }

  #whole(): Buffer {
    const all = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    this.#parts = [all]
    return all
  }
}

/** Blocks of the file that are kept: a workbook is read at two or three places in turn. */
const BLOCKS_KEPT = 8

function write(socket: Socket, data: string | Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => (error == null ? resolve() : reject(error)))
  })
}

function channel(fd: number): Socket {
  const socket = new Socket({ fd, readable: true, writable: true })
  // Nobody is there any more.
  socket.on('error', () => process.exit(0))
  return socket
}

/** The job stands on the first line; the end of the input means that the parent is gone. */
function readJob(): Promise<SandboxJob> {
  return new Promise((resolve) => {
    let text = ''
    let taken = false
    process.stdin.setEncoding('utf8')
    process.stdin.on('data', (part: string) => {
      text += part
      const end = taken ? -1 : text.indexOf('\n')
      if (end >= 0) {
        taken = true
        resolve(JSON.parse(text.slice(0, end)) as SandboxJob)
      }
    })
    process.stdin.on('end', () => process.exit(0))
    process.stdin.on('error', () => process.exit(0))
  })
}

async function work(job: SandboxJob, open: OpenBytes, rows: Socket): Promise<SandboxMessage> {
  const { name, byteSize, overrides, detection } = job
  const request = { name, byteSize, overrides }
  if (detection === null) {
    return { kind: 'detected', detection: await inspectHere(open, request) }
  }
  const lines = convertedLines(open, detection, request, new AbortController().signal)
  let text = ''
  for (;;) {
    const step = await lines.next()
    if (step.done === true) {
      await write(rows, text)
      return { kind: 'read', end: step.value }
    }
    text += step.value
    if (text.length >= WRITE_BYTES) {
      await write(rows, text)
      text = ''
    }
  }
}

function failure(error: unknown): SandboxMessage {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  const { name, code, message, field } = error as Readonly<
    Partial<Record<'name' | 'code' | 'message' | 'field', unknown>>
  >
  return {
    kind: 'failed',
    name: text(name),
    code: text(code),
    message: text(message),
    field: Array.isArray(field) ? field.map(text) : null,
  }
}

const job = await readJob()
const rows = channel(ROWS_FD)
const messages = channel(MESSAGES_FD)
const bytes = new PipeBytes(channel(BYTES_FD), job.byteSize)
const message = await work(job, () => Promise.resolve(bytes), rows).catch(failure)
await write(messages, JSON.stringify(message))
rows.end()
messages.end(() => process.exit(0))
