/** What small requests can cost: queries made up at random, as large as the limits let them be. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLObjectType,
  getNamedType,
  isCompositeType,
  isEnumType,
  isInterfaceType,
  isNonNullType,
  isObjectType,
  parse,
  validate,
} from 'graphql'
import { setTenantQuotas } from '../../src/access/quotas.js'
import { ANSWER_BYTES_PER_OPERATION, COST_MAX } from '../../src/limits.js'
import { apiSchema } from '../../src/resolvers/schema.js'
import { checkOperation, measureOperation } from '../../src/server/operation-limits.js'
import { Random } from '../helpers/random.js'
import { SocketClient } from './socket-client.js'
import { type Actor, authorization, World } from './world.js'

const QUERIES = 500
const REQUEST_BYTES = 10 * 1024

/** Of this process, for one request with all that asking and reading takes. */
const CPU_MS_MAX = 250
const ANSWER_BYTES_MAX = 1024 * 1024

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 11)

let world: World
let ada: Actor
/** Imports 1,200 contacts with notes and two rows that fail. Answers the run. */
async function people(actor: Actor): Promise<string> {
  const contacts = Array.from(
    { length: 1200 },
    (_, n) => `p${n}@example.com,First ${n},Last ${n},"${'Some words. '.repeat(20)}"`,
  )
  const rows = ['E-mail,First name,Last name,Notes', ...contacts, 'wrong,A,B,C', 'wrong too,A,B,C'].join('\n')
  const mapping = [
    { column: 'E-mail', field: 'email' },
    { column: 'First name', field: 'firstName' },
    { column: 'Last name', field: 'lastName' },
    { column: 'Notes', field: 'notes' },
  ]
  return world.import(actor, 'CONTACT', rows, {}, { mapping })
}

/** Values of arguments, by name. */
const ids: Record<string, string> = {}

before(async () => {
  world = await World.start({ settings: {} })
  ada = await world.actor(await world.tenant())
  ids.import = await people(ada)
  const leads = Array.from({ length: 600 }, (_, n) => `Lead ${n},p${n}@example.com`)
  await world.import(
    ada,
    'LEAD',
    ['Title,Contact', ...leads].join('\n'),
    {},
    {
      mapping: [
        { column: 'Title', field: 'title' },
        { column: 'Contact', field: 'contact.email' },
      ],
    },
  )
  const { importRun, contacts } = await world.ask(
    ada,
    'query ($id: ID!) { importRun(id: $id) { source { id } } contacts(first: 1) { nodes { id } } }',
    { id: ids.import },
  )
  ids.file = importRun.source.id
  ids.contact = contacts.nodes[0].id
})
after(() => world.close())

/** An argument as it is asked; null: left out. */
function argument(random: Random, field: string, { name, type }: GraphQLArgument, first: number): string | null {
  const named = getNamedType(type)
  if (name === 'first') {
    return `first: ${first}`
  }
  if (name === 'id' || name === 'runId') {
    return `${name}: "${field === 'node' ? random.pick([ids.contact, ids.import]) : field === 'file' ? ids.file : ids.import}"`
  }
  if (name === 'fileId') {
    return `fileId: "${ids.file}"`
  }
  if (isEnumType(named) && isNonNullType(type)) {
    return `${name}: ${random.pick(named.getValues()).name}`
  }
  return null
}

/** What cannot be asked at random: it needs an input of its own. */
function askable(field: GraphQLField<unknown, unknown>): boolean {
  return field.args.every(
    ({ name, type, defaultValue }) =>
      !isNonNullType(type) ||
      defaultValue !== undefined ||
      ['id', 'runId', 'fileId', 'first'].includes(name) ||
      isEnumType(getNamedType(type)),
  )
}

function selection(random: Random, typeName: string, depth: number, first: number): string {
  const type = apiSchema.getType(typeName)
  if (!isObjectType(type) && !isInterfaceType(type)) {
    return ''
  }
  const parts = isInterfaceType(type)
    ? apiSchema.getPossibleTypes(type).flatMap(({ name }) => {
        const inner = random.chance(0.5) ? selection(random, name, depth, first) : ''
        // Two types may have a field of one name and other types: only what is theirs by another name.
        return inner === '' ? [] : [`... on ${name} { ${inner} }`]
      })
    : []
  for (const field of Object.values(type.getFields())) {
    if (!askable(field) || !random.chance(0.7)) {
      continue
    }
    const args = field.args.flatMap((one) => argument(random, field.name, one, first) ?? [])
    const asked = args.length === 0 ? field.name : `${field.name}(${args.join(', ')})`
    if (!isCompositeType(getNamedType(field.type))) {
      parts.push(asked)
    } else if (depth > 1) {
      const inner = selection(random, getNamedType(field.type).name, depth - 1, first)
      if (inner !== '') {
        parts.push(`${asked} { ${inner} }`)
      }
    }
  }
  return parts.join(' ')
}

/** A query of the largest pages that the limits take, of some made with the same choices; null where none is taken. */
function largest(number: number): { readonly query: string; readonly cost: number } | null {
  const root = apiSchema.getQueryType() as GraphQLObjectType
  const fields = Object.values(root.getFields()).filter(askable)
  for (const first of [500, 250, 100, 50, 20, 10, 3, 1]) {
    for (const depth of [6, 5, 4, 3]) {
      const random = new Random(seed * 7919 + number)
      const asked = Array.from({ length: 1 + random.below(3) }, () => random.pick(fields))
      const parts = [...new Set(asked)].flatMap((field) => {
        const args = field.args.flatMap((one) => argument(random, field.name, one, first) ?? [])
        const inner = selection(random, getNamedType(field.type).name, depth, first)
        const called = args.length === 0 ? field.name : `${field.name}(${args.join(', ')})`
        return isCompositeType(getNamedType(field.type)) ? (inner === '' ? [] : [`${called} { ${inner} }`]) : [called]
      })
      const query = `{ ${parts.join(' ')} }`
      if (parts.length === 0 || query.length > REQUEST_BYTES) {
        continue
      }
      try {
        const document = parse(query, { maxTokens: 2000 })
        const [operation] = document.definitions
        if (
          validate(apiSchema, document).length === 0 &&
          checkOperation(apiSchema, document, null, {}) === null &&
          operation?.kind === 'OperationDefinition'
        ) {
          return { query, cost: measureOperation(apiSchema, document, operation, {}).cost }
        }
      } catch {
        // Too many tokens: a smaller one is tried.
      }
    }
  }
  return null
}

test('no small request takes more than 250 ms of CPU, or answers a megabyte that is not counted [GQ-3]', async (context) => {
  // What is compiled and loaded once is no request's cost.
  for (let number = 0; number < 20; number++) {
    await world.run(ada, largest(QUERIES + number)?.query ?? '{ __typename }')
  }
  const took: { readonly ms: number; readonly bytes: number; readonly cost: number; readonly query: string }[] = []
  for (let number = 0; number < QUERIES; number++) {
    const made = largest(number)
    if (made === null) {
      continue
    }
    let ms = Infinity
    let bytes = 0
    // Others on the same processor only ever add to it: what is dear is asked again, and the least of its times counts.
    for (let time = 0; time < 3 && ms > CPU_MS_MAX; time++) {
      const before = process.cpuUsage()
      const { text, status } = await world.run(ada, made.query)
      const { user, system } = process.cpuUsage(before)
      assert.ok(status === 200 || status === 429, text.slice(0, 500))
      // A refusal says nothing of what the request takes.
      ms = status === 200 || time === 0 ? Math.min(ms, (user + system) / 1000) : ms
      bytes = Buffer.byteLength(text)
    }
    took.push({ ms, bytes, ...made })
  }
  assert.ok(took.length > QUERIES * 0.8, `${took.length} could be asked`)
  const dearest = took.toSorted((a, b) => b.ms - a.ms)
  const longest = took.toSorted((a, b) => b.bytes - a.bytes)
  const told = (one: (typeof took)[number] | undefined) =>
    `${one?.ms.toFixed(0)} ms, ${one?.bytes} bytes, cost ${one?.cost}: ${one?.query.slice(0, 300)}`
  context.diagnostic(`seed ${seed}, dearest ${told(dearest[0])}`)
  context.diagnostic(`longest ${told(longest[0])}`)
  assert.ok(
    took.some(({ cost }) => cost > COST_MAX / 2),
    'some of them are as dear as may be',
  )
  assert.ok((dearest[0]?.ms ?? 0) <= CPU_MS_MAX, told(dearest[0]))
  // Longer ones are counted: see below.
  assert.ok((longest[0]?.bytes ?? 0) <= 2 * ANSWER_BYTES_MAX, told(longest[0]))
})

test('an answer counts as further operations by its bytes, on HTTP and on sockets', async () => {
  const tenantId = await world.tenant()
  await setTenantQuotas(world.db.ownerUrl, tenantId, { overrides: { actorOperationsPerMinute: 60 } })
  await people(await world.actor(tenantId, undefined, 'busy1@example.com'))
  const grace = await world.actor(tenantId, undefined, 'grace@example.com')
  const left = async (query: string) => {
    const answer = await fetch(`${world.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization(grace) },
      body: JSON.stringify({ query }),
    })
    const text = await answer.text()
    const [, remaining = ''] = /"actor";r=(\d+)/.exec(answer.headers.get('ratelimit') ?? '') ?? []
    return { bytes: text.length, remaining: Number(remaining) }
  }
  const large =
    '{ contacts(first: 500) { nodes { id email firstName lastName displayName notes a: notes b: notes c: notes d: notes e: notes } } }'
  const before = await left('{ viewer { actor } }')
  const asked = await left(large)
  assert.ok(asked.bytes > 3 * ANSWER_BYTES_PER_OPERATION, `${asked.bytes}`)
  const after = await left('{ viewer { actor } }')
  const counted = Math.floor(asked.bytes / ANSWER_BYTES_PER_OPERATION)
  // One comes back with each second.
  assert.ok(before.remaining - after.remaining >= counted + 1, `${before.remaining} ${after.remaining}`)
  const socket = await SocketClient.open(world.url, grace.token)
  const answer = await socket.answer('1', large)
  assert.ok(JSON.stringify(answer).length > 3 * ANSWER_BYTES_PER_OPERATION)
  socket.close()
  const last = await left('{ viewer { actor } }')
  assert.ok(after.remaining - last.remaining >= counted + 1, `${after.remaining} ${last.remaining}`)
})
