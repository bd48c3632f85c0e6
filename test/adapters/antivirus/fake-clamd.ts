/** A clamd that a test can be: it speaks INSTREAM as the real one does, and finds the EICAR test file. */

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/** The test file of all virus scanners: harmless, and found by each. Put together, so that no scanner finds this source. */
export const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!', '$H+H*'].join('')

export interface FakeClamd {
  /** For PORTAGE_CLAMD. */
  readonly address: string
  readonly host: string
  readonly port: number
  /** Streams that were scanned to their end, and how long each was. */
  readonly scanned: number[]
  /** Connections that were made. */
  connections: number
  /** Instead of scanning: hang up at once, never answer, or say this line. */
  behaviour: 'scan' | 'hang up' | 'silent' | { readonly say: string }
  close(): Promise<void>
}

/** Starts one. Longer streams than `streamMaxLength` are answered as the daemon's setting of that name does. */
export async function startFakeClamd({
  path,
  streamMaxLength = 25_000_000,
}: {
  path?: string
  streamMaxLength?: number
} = {}): Promise<FakeClamd> {
  const sockets = new Set<Socket>()
  const fake = { scanned: [] as number[], connections: 0, behaviour: 'scan' as FakeClamd['behaviour'] }
  const server: Server = createServer((socket) => {
    fake.connections += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    if (fake.behaviour === 'hang up') {
      socket.destroy()
      return
    }
    converse(socket).catch(() => socket.destroy())
  })

  async function converse(socket: Socket): Promise<void> {
    let rest: Buffer = Buffer.alloc(0)
    const input = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    const read = async (bytes: number): Promise<Buffer> => {
      while (rest.length < bytes) {
        const next = await input.next()
        if (next.done === true) {
          throw new Error('the client hung up')
        }
        rest = Buffer.concat([rest, next.value])
      }
      const taken = rest.subarray(0, bytes)
      rest = rest.subarray(bytes)
      return taken
    }
    const command = (await read(10)).toString()
    if (command !== 'zINSTREAM\0') {
      socket.end('UNKNOWN COMMAND\0')
      return
    }
    const pieces: Buffer[] = []
    let length = 0
    for (;;) {
      const size = (await read(4)).readUInt32BE()
      if (size === 0) {
        break
      }
      length += size
      if (length > streamMaxLength) {
        socket.end('INSTREAM size limit exceeded. ERROR\0')
        return
      }
      pieces.push(await read(size))
    }
    fake.scanned.push(length)
    if (fake.behaviour === 'silent') {
      return
    }
    const said = typeof fake.behaviour === 'object' ? fake.behaviour.say : null
    const found = Buffer.concat(pieces).includes(EICAR) ? 'stream: Eicar-Signature FOUND' : 'stream: OK'
    socket.end(`${said ?? found}\0`)
  }

  await new Promise<void>((resolve) =>
    path === undefined ? server.listen(0, '127.0.0.1', resolve) : server.listen(path, resolve),
  )
  const port = path === undefined ? (server.address() as AddressInfo).port : 0
  return Object.assign(fake, {
    address: path ?? `127.0.0.1:${port}`,
    host: '127.0.0.1',
    port,
    close: () => {
      for (const socket of sockets) {
        socket.destroy()
      }
      return new Promise<void>((resolve) => server.close(() => resolve()))
    },
  })
}
