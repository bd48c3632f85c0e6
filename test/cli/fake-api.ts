/** An API of the committed schema with answers made up by the test: what the command line sends is executed for real. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { buildSchema, graphql } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import type { Io } from '../../src/cli/io.js'

const schema = buildSchema(readFileSync(new URL('../../../schema.graphql', import.meta.url), 'utf8'))

type Resolver = (args: never) => unknown

export interface FakeApi {
  readonly url: string
  /** Authorization headers as they came. */
  readonly authorizations: Set<string | undefined>
  /** Ends all sockets, as a crash would. */
  cut(): void
  close(): Promise<void>
}

/** Root fields by name; a subscription field answers an async iterable of its values. */
export async function startFakeApi(roots: Readonly<Record<string, Resolver>>): Promise<FakeApi> {
  const authorizations = new Set<string | undefined>()
  const server = createServer((request, response) => {
    authorizations.add(request.headers.authorization)
    answer(request, roots).then(
      (body) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  const sockets = new WebSocketServer({ server, path: '/graphql' })
  useServer(
    {
      schema,
      roots: { subscription: { ...roots } },
      onConnect: ({ connectionParams }) => {
        authorizations.add(connectionParams?.['authorization'] as string | undefined)
        return true
      },
    },
    sockets,
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const cut = () => {
    for (const socket of sockets.clients) {
      socket.terminate()
    }
  }
  return {
    url: `http://127.0.0.1:${port}`,
    authorizations,
    cut,
    close: async () => {
      cut()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answer(request: IncomingMessage, roots: Readonly<Record<string, Resolver>>): Promise<unknown> {
  const body = await buffer(request)
  const type = request.headers['content-type'] ?? ''
  let operation: { query: string; variables: { input?: { file?: unknown } } }
  if (type.startsWith('multipart/')) {
    assert.equal(request.headers['apollo-require-preflight'], 'true')
    const form = await new Response(body, { headers: { 'content-type': type } }).formData()
    operation = JSON.parse(form.get('operations') as string) as typeof operation
    assert.deepEqual(JSON.parse(form.get('map') as string), { 0: ['variables.input.file'] })
    assert.equal(operation.variables.input?.file, null)
    operation.variables.input = { ...operation.variables.input, file: form.get('0') }
  } else {
    operation = JSON.parse(body.toString('utf8')) as typeof operation
  }
  return graphql({ schema, source: operation.query, variableValues: operation.variables, rootValue: roots })
}

/** A terminal that remembers what it showed. `answers` are a person's; without them nobody is there. */
export function fakeIo(answers: readonly string[] | null = null, signal: AbortSignal = new AbortController().signal) {
  const out: string[] = []
  const notes: string[] = []
  const statuses: string[] = []
  const left = answers === null ? null : [...answers]
  const io: Io = {
    out: (line) => void out.push(line),
    write: async (text) => void out.push(...text.split('\n').slice(0, -1)),
    note: (line) => void notes.push(line),
    status: (line) => void statuses.push(line),
    ask: async () => left?.shift() ?? null,
    interactive: answers !== null,
    signal,
  }
  return { io, out, notes, statuses, json: () => out.map((line) => JSON.parse(line) as Record<string, unknown>) }
}
