/** A way to the database that becomes slow, or goes silent without closing anything, as a broken network does. */
import { connect, createServer, type Server, type Socket } from 'node:net'

export class StallingProxy {
  /** Milliseconds that everything takes longer, each way. */
  delayMs = 0
  readonly #server: Server
  readonly #open = new Set<Socket>()
  #silent = false

  private constructor(upstream: URL) {
    this.#server = createServer((client) => {
      const server = connect(Number(upstream.port), upstream.hostname)
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#open.add(from)
        from.on('data', (data) => {
          if (this.delayMs > 0) {
            setTimeout(() => to.write(data), this.delayMs)
          } else {
            to.write(data)
          }
        })
        from.on('close', () => {
          this.#open.delete(from)
          // Half open: the other side does not hear of it.
          if (!this.#silent) {
            to.destroy()
          }
        })
        from.on('error', () => undefined)
      }
      if (this.#silent) {
        client.pause()
        server.pause()
      }
    })
  }

  static async start(url: string): Promise<StallingProxy> {
    const proxy = new StallingProxy(new URL(url))
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

  /** From now on nothing arrives, and nothing is closed. */
  silence(): void {
    this.#silent = true
    for (const socket of this.#open) {
      socket.pause()
    }
  }

  /** What was held back arrives, and so does everything from now on. */
  heal(): void {
    this.#silent = false
    for (const socket of this.#open) {
      socket.resume()
    }
  }

  async close(): Promise<void> {
    this.#silent = false
    for (const socket of this.#open) {
      socket.destroy()
    }
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
