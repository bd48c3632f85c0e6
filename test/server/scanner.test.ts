/** What scanners of GraphQL services look for: the requests of graphql-cop 1.15, and what it calls a finding. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { VALIDATION_ERRORS_MAX } from '../../src/limits.js'
import { SocketClient } from './socket-client.js'
import { type Actor, authorization, type Json, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  // As in production.
  world = await World.start({ worker: false, settings: { PORTAGE_INTROSPECTION: 'false' } })
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

interface Probe {
  readonly name: string
  readonly method?: 'GET'
  readonly accept?: string
  /** Of the address. */
  readonly search?: string
  /** JSON, or a form. */
  readonly body?: object | URLSearchParams
  readonly found: (answer: Json, text: string, status: number) => boolean
}

const query = (text: string) => ({ query: text, operationName: 'cop' })

const probes: readonly Probe[] = [
  {
    name: 'alias overloading',
    body: query(`query cop { ${Array.from({ length: 101 }, (_, n) => `alias${n}:__typename`).join('\n')} }`),
    found: (answer) => Boolean(answer?.data?.alias100),
  },
  {
    name: 'array-based query batching',
    body: Array.from({ length: 10 }, () => ({ query: 'query cop { __typename }' })),
    found: (answer) => Array.isArray(answer) && answer.length >= 10,
  },
  {
    name: 'directive overloading',
    body: query('query cop { __typename @aa@aa@aa@aa@aa@aa@aa@aa@aa@aa }'),
    found: (answer) => answer?.errors?.length === 10,
  },
  {
    name: 'field duplication',
    body: query(`query cop { ${'__typename \n'.repeat(500)} }`),
    found: (answer) => Boolean(answer?.data?.__typename),
  },
  {
    name: 'field suggestions',
    body: query('query cop { __schema { directive } }'),
    found: (_, text) => text.includes('Did you mean'),
  },
  {
    name: 'introspection',
    body: query('query cop { __schema { types { name fields { name } } } }'),
    found: (answer) => Boolean(answer?.data?.__schema?.types),
  },
  {
    name: 'introspection-based circular query',
    body: query(
      'query cop { __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }',
    ),
    found: (answer) => answer?.data?.__schema?.types?.length > 25,
  },
  {
    name: 'mutations by GET',
    method: 'GET',
    search: '?query=mutation+cop+%7B__typename%7D',
    found: (answer) => Boolean(answer?.data?.__typename),
  },
  {
    name: 'queries by GET',
    method: 'GET',
    search: '?query=query+cop+%7B__typename%7D',
    found: (answer) => Boolean(answer?.data?.__typename),
  },
  {
    name: 'an explorer',
    method: 'GET',
    accept: 'text/html',
    found: (_, text) => /graphiql|graphql[- ]playground/i.test(text),
  },
  {
    name: 'queries in forms',
    body: new URLSearchParams({ query: 'query cop { __typename }' }),
    found: (answer) => Boolean(answer?.data?.__typename),
  },
  {
    name: 'trace mode',
    body: query('query cop { __typename }'),
    found: (_, text) => /"tracing"/i.test(text),
  },
  {
    name: 'unhandled errors',
    body: query('qwerty cop { abc }'),
    found: (_, text, status) => /"exception"|stacktrace/i.test(text) || status >= 500,
  },
]

test('a scanner finds nothing, neither as a stranger nor with a token [GQ-1]', async () => {
  for (const actor of [null, ada]) {
    for (const { name, method = 'POST', accept = '*/*', search = '', body, found } of probes) {
      const form = body instanceof URLSearchParams
      const answer = await fetch(`${world.url}/graphql${search}`, {
        method,
        headers: {
          accept,
          'content-type': form ? 'application/x-www-form-urlencoded' : body === undefined ? '' : 'application/json',
          ...authorization(actor),
        },
        ...(body === undefined ? {} : { body: form ? body : JSON.stringify(body) }),
      })
      const text = await answer.text()
      let parsed: Json = null
      try {
        parsed = JSON.parse(text)
      } catch {
        // No JSON is no answer of GraphQL.
      }
      assert.ok(
        !found(parsed, text, answer.status),
        `${name}, ${actor === null ? 'a stranger' : 'with a token'}: ${text}`,
      )
    }
  }
})

test('what a scanner looks for is there to be found where it is allowed', async () => {
  const open = await World.start({ worker: false, settings: { PORTAGE_INTROSPECTION: 'true' } })
  try {
    const grace = await open.actor(await open.tenant())
    const { data } = await open.run(grace, '{ __schema { types { name fields { name } } } }')
    assert.ok(data.__schema.types.length > 25)
  } finally {
    await open.close()
  }
})

test('a document full of faults is answered with a few of them, on sockets too', async () => {
  const faulty = `{ viewer { actor } __typename ${'@aa '.repeat(30)} }`
  const { errors } = await world.run(ada, faulty)
  assert.equal(errors.length, VALIDATION_ERRORS_MAX)
  const socket = await SocketClient.open(world.url, ada.token)
  const answer = await socket.answer('1', faulty)
  assert.equal(answer.payload.length, VALIDATION_ERRORS_MAX)
  socket.close()
})
