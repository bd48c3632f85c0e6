/** A client of graphql-transport-ws for tests: sends what it is told and keeps what it gets. */
import WebSocket from 'ws'
import type { Json } from './world.js'

export interface Message {
  readonly type: string
  readonly id?: string
  readonly payload?: Json
}

export interface Closed {
  readonly code: number
  readonly reason: string
}

export class SocketClient {
  readonly #socket: WebSocket
  readonly #messages: Message[] = []
  #wake: (() => void) | null = null
  #closed: Closed | null = null
  /** Resolves when the socket is closed, by whomever. */
  readonly closed: Promise<Closed>

  private constructor(socket: WebSocket) {
    this.#socket = socket
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.#closed = { code, reason: String(reason) }
        resolve(this.#closed)
        this.#wake?.()
      })
    })
    socket.on('error', () => undefined)
    socket.on('message', (data) => {
      this.#messages.push(JSON.parse((data as Buffer).toString()) as Message)
      this.#wake?.()
    })
  }

  /** Connects without saying who it is. */
  static async connect(url: string, headers: Readonly<Record<string, string>> = {}): Promise<SocketClient> {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws', { headers })
    const client = new SocketClient(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve())
      socket.once('error', reject)
    })
    return client
  }

  /** Connects and signs in. */
  static async open(url: string, token: string): Promise<SocketClient> {
    const client = await SocketClient.connect(url)
    client.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
    await client.next((message) => message.type === 'connection_ack')
    return client
  }

  send(message: object): void {
    this.#socket.send(JSON.stringify(message))
  }

  subscribe(id: string, query: string, variables: Readonly<Record<string, unknown>> = {}): void {
    this.send({ type: 'subscribe', id, payload: { query, variables } })
  }

  /** The first message from now on, or still unread, that fits. */
  async next(fits: (message: Message) => boolean = () => true): Promise<Message> {
    for (;;) {
      const index = this.#messages.findIndex(fits)
      if (index >= 0) {
        return this.#messages.splice(index, 1)[0] as Message
      }
      if (this.#closed !== null) {
        throw new Error(`the socket was closed: ${this.#closed.code} ${this.#closed.reason}`)
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** What a single operation answers: its data or its errors. */
  async answer(id: string, query: string, variables: Readonly<Record<string, unknown>> = {}): Promise<Message> {
    this.subscribe(id, query, variables)
    return this.next((message) => message.id === id && message.type !== 'complete')
  }

  close(): void {
    this.#socket.close()
  }
}
