/** A way to the database that breaks when a test wants it to. */
import { connect, createServer, type Server, type Socket } from 'node:net'

/** How a connection ends under what it carries. */
export type Cut = 'before the server hears of it' | 'before its answer arrives'

/** Whether a client sends a settlement with its COMMIT. */
export function isCommit(data: Buffer): boolean {
  return data.subarray(-9).toString('latin1').endsWith('; commit\0')
}

/** A proxy to the database that may cut a connection right when it carries something of a client's. */
export class CuttingProxy {
  /** What was cut, in order. */
  readonly cuts: Cut[] = []
  readonly #server: Server
  readonly #open = new Set<Socket>()

  private constructor(upstream: URL, choose: (data: Buffer) => Cut | null) {
    this.#server = createServer((client) => {
      const server = connect(Number(upstream.port), upstream.hostname)
      let dropping = false
      const end = () => {
        client.destroy()
        server.destroy()
      }
      for (const socket of [client, server]) {
        this.#open.add(socket)
        socket
          .on('error', end)
          .on('close', end)
          .on('close', () => this.#open.delete(socket))
      }
      client.on('data', (data) => {
        const cut = choose(data)
        if (cut !== null) {
          this.cuts.push(cut)
        }
        if (cut === 'before the server hears of it') {
          end()
          return
        }
        dropping = cut !== null
        server.write(data)
      })
      server.on('data', (data) => (dropping ? end() : client.write(data)))
    })
  }

  /** `choose` is asked about everything that a client sends. */
  static async start(url: string, choose: (data: Buffer) => Cut | null): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(new URL(url), choose)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  /** The same database by way of the proxy. */
  through(url: string): string {
    const address = this.#server.address()
    const there = new URL(url)
    there.port = String(typeof address === 'object' && address !== null ? address.port : 0)
    return there.href
  }

  /** Ends all connections, and the proxy. */
  async close(): Promise<void> {
    for (const socket of this.#open) {
      socket.destroy()
    }
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
