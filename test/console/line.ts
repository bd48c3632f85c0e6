/** The way between a browser and the service, which a test can break: as when a cable is pulled, or when nothing says that it was. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * `whole`: everything goes through. `cut`: what is connected ends, and nothing new connects. `silent`: nothing ends, but nothing
 * comes through either, in both directions, as behind a router that has forgotten the connection.
 */
export type State = 'whole' | 'cut' | 'silent'

export class Line {
  /** Where the browser goes instead of the service. */
  readonly url: string
  readonly #server: Server
  readonly #ends = new Set<Socket>()
  #state: State = 'whole'

  private constructor(server: Server, port: number) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('connection', (near) => this.#join(near, port))
  }

  /** A line to the service at `url`. */
  static async to(url: string): Promise<Line> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Line(server, Number(new URL(url).port))
  }

  set state(state: State) {
    this.#state = state
    if (state === 'cut') {
      this.#end()
    }
  }

  async close(): Promise<void> {
    this.#end()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #end(): void {
    for (const end of this.#ends) {
      end.destroy()
    }
    this.#ends.clear()
  }

  #join(near: Socket, port: number): void {
    if (this.#state === 'cut') {
      near.destroy()
      return
    }
    const far = connect(port, '127.0.0.1')
    // What fell silent stays so: its ends have lost each other for good.
    let lost = false
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#ends.add(from)
      from.on('error', () => undefined)
      from.on('data', (bytes) => {
        lost ||= this.#state === 'silent'
        if (!lost) {
          to.write(bytes)
        }
      })
      from.on('close', () => {
        this.#ends.delete(from)
        lost ||= this.#state === 'silent'
        if (!lost) {
          to.destroy()
        }
      })
    }
  }
}
