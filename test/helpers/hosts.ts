/**
 * Machines of a test: network namespaces, each with an address and a way of its own, where the kernel lets us make them; else addresses
 * of this machine. Processes on them share nothing but what they reach over the network.
 */
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { connect, createServer, type Server } from 'node:net'

interface Host {
  /** Where processes on it listen, and are reached from here. */
  readonly address: string
  /** Where they reach this machine. */
  readonly here: string
  /** What starts a process on it. */
  readonly launcher: readonly string[]
}

export class Hosts {
  /** What the machines are made of. */
  readonly kind: 'network namespaces' | 'addresses of this machine'
  readonly all: readonly Host[]
  readonly #names: readonly string[]
  readonly #forwarders: Server[] = []

  private constructor(kind: Hosts['kind'], all: readonly Host[], names: readonly string[]) {
    this.kind = kind
    this.all = all
    this.#names = names
  }

  static open(count: number): Hosts {
    const tag = `pt${randomInt(36 ** 4).toString(36)}`
    const net = randomInt(1, 250)
    const names: string[] = []
    const hosts: Host[] = []
    try {
      for (let i = 0; i < count; i++) {
        const name = `${tag}${i}`
        const [here, address] = [`10.${net}.${i}.1`, `10.${net}.${i}.2`]
        ip('netns', 'add', name)
        names.push(name)
        ip('link', 'add', `${name}h`, 'type', 'veth', 'peer', 'name', `${name}g`)
        ip('link', 'set', `${name}g`, 'netns', name)
        ip('addr', 'add', `${here}/24`, 'dev', `${name}h`)
        ip('link', 'set', `${name}h`, 'up')
        ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', `${name}g`)
        ip('-n', name, 'link', 'set', `${name}g`, 'up')
        ip('-n', name, 'link', 'set', 'lo', 'up')
        hosts.push({ address, here, launcher: ['ip', 'netns', 'exec', name] })
      }
      return new Hosts('network namespaces', hosts, names)
    } catch {
      names.forEach((name) => remove(name))
      const addresses = Array.from({ length: count }, (_, i) => `127.0.${net}.${i + 1}`)
      return new Hosts(
        'addresses of this machine',
        addresses.map((address) => ({ address, here: '127.0.0.1', launcher: [] })),
        [],
      )
    }
  }

  /** Lets host `index` reach what listens on the loopback of this machine; answers the URL as it is there. */
  async reach(index: number, url: string): Promise<string> {
    const there = new URL(url)
    const host = this.all[index]
    if (host === undefined || host.here === '127.0.0.1') {
      return url
    }
    const { port } = there
    const forwarder = createServer((client) => {
      const server = connect(Number(port), '127.0.0.1')
      client.pipe(server)
      server.pipe(client)
      client.on('error', () => server.destroy())
      server.on('error', () => client.destroy())
      client.on('close', () => server.destroy())
      server.on('close', () => client.destroy())
    })
    this.#forwarders.push(forwarder)
    await new Promise<void>((resolve) => forwarder.listen(0, host.here, resolve))
    const address = forwarder.address()
    there.hostname = host.here
    there.port = String(typeof address === 'object' && address !== null ? address.port : 0)
    return there.href
  }

  close(): void {
    this.#forwarders.forEach((forwarder) => forwarder.close())
    this.#names.forEach((name) => remove(name))
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'ignore' })
}

function remove(name: string): void {
  try {
    // The way goes with one of its ends.
    ip('netns', 'del', name)
  } catch {
    // Was never there.
  }
}
