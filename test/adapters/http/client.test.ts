import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { after, before, beforeEach, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { HttpClient, type Observed, type VendorRequest } from '../../../src/adapters/http/client.js'
import {
  hubspotPolicy,
  pipedrivePolicy,
  salesforcePolicy,
  type VendorPolicy,
} from '../../../src/adapters/http/policy.js'
import { Hidden } from '../../../src/hidden.js'
import { openBudget } from './open-budget.js'

type Turn = (request: IncomingMessage, response: ServerResponse) => void

let server: Server
let origin = ''
/** What the vendor answers, one after the other; the last one again and again. */
let turns: Turn[] = []
let requests: { readonly method: string; readonly url: string; readonly authorization: string }[] = []
let slept: number[] = []

before(async () => {
  server = createServer((request, response) => {
    requests.push({
      method: request.method ?? '',
      url: request.url ?? '',
      authorization: request.headers.authorization ?? '',
    })
    const turn = turns.length > 1 ? turns.shift() : turns[0]
    turn?.(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
})
after(() => server.close())
beforeEach(() => {
  requests = []
  slept = []
})

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Turn =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
const page =
  (status: number): Turn =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'text/html' }).end('<html>Attention required</html>')
const reset: Turn = (request) => request.socket.destroy()
const half: Turn = (_, response) => {
  response.writeHead(200, { 'content-length': '100' })
  response.write('{"a":', () => response.destroy())
}

function open(policy: VendorPolicy = hubspotPolicy, observed: Observed[] = []) {
  const budget = openBudget()
  const client = new HttpClient({
    policy,
    rule: { hosts: [], standIns: [origin] },
    budget,
    observe: (each) => observed.push(each),
    timeouts: { connect: 2000, headers: 300, silence: 300 },
    surroundings: {
      now: () => Date.now(),
      sleep: async (milliseconds) => void slept.push(milliseconds),
      random: () => 1,
    },
  })
  const access = { origin, token: new Hidden('canary-token-of-the-tests') }
  return {
    client,
    budget,
    json: (request: Partial<VendorRequest> = {}) => client.json(access, { method: 'GET', path: '/x', ...request }),
    stream: () => client.stream(access, { method: 'GET', path: '/x' }),
  }
}

test('what may pass by itself is tried again with growing pauses, up to eight times', async () => {
  for (const turn of [json(500, {}), json(502, {}), page(503), page(504), json(423, {}), reset, half, page(200)]) {
    requests = []
    slept = []
    turns = [turn, turn, json(200, { ok: true })]
    const { json: ask, client, budget } = open()
    const answer = await ask()
    assert.deepEqual(answer.kind === 'answer' ? answer.value : answer, { ok: true })
    assert.equal(requests.length, 3)
    assert.deepEqual(slept, [500, 1000])
    assert.equal(budget.counts.given, budget.counts.taken)
    client.close()
  }
  turns = [json(500, {})]
  requests = []
  slept = []
  const { json: ask, client } = open()
  await assert.rejects(ask(), { code: 'VENDOR_UNAVAILABLE' })
  assert.equal(requests.length, 8)
  assert.equal(Math.max(...slept), 32_000)
  client.close()
})

test('what must not be done twice is sent twice only when the vendor says that it did nothing', async () => {
  const { json: ask, client } = open()
  for (const turn of [json(500, {}), reset, half]) {
    requests = []
    turns = [turn, json(200, {})]
    await assert.rejects(ask({ method: 'POST', json: {} }), { code: 'VENDOR_UNAVAILABLE' })
    assert.equal(requests.length, 1)
  }
  for (const turn of [json(429, { policyName: 'SECONDLY' }), json(503, {})]) {
    turns = [turn, json(200, {})]
    requests = []
    assert.equal((await ask({ method: 'POST', json: {} })).kind, 'answer')
    assert.equal(requests.length, 2)
  }
  turns = [json(500, {}), json(200, {})]
  assert.equal((await ask({ method: 'POST', json: {}, repeatable: true })).kind, 'answer')
  client.close()
})

test('silence, before the answer or in the middle of it, is no answer', async () => {
  const { json: ask, client } = open()
  const stuck: Turn = (_, response) => void response.writeHead(200).write('{')
  for (const turn of [() => undefined, stuck]) {
    turns = [turn, json(200, { late: false })]
    assert.equal((await ask()).kind, 'answer')
  }
  client.close()
})

test('a limit is a pause with its end, by the rules of each vendor', async () => {
  const cases: readonly (readonly [VendorPolicy, Turn, string, number])[] = [
    [hubspotPolicy, json(429, { policyName: 'DAILY' }), 'DAILY_QUOTA', 3600],
    [hubspotPolicy, json(429, { policyName: 'TEN_SECONDLY_ROLLING' }), 'BURST', 10],
    [hubspotPolicy, json(477, {}, { 'retry-after': '86400' }), 'VENDOR_BUSY', 86_400],
    [
      salesforcePolicy,
      json(403, [{ errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'TotalRequests Limit exceeded.' }]),
      'DAILY_QUOTA',
      3600,
    ],
    [
      salesforcePolicy,
      json(403, [{ errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'ConcurrentRequests Limit exceeded.' }]),
      'CONCURRENCY',
      10,
    ],
    [pipedrivePolicy, json(429, { error: 'request over limit', errorCode: 429 }), 'BURST', 2],
    [pipedrivePolicy, json(429, { error: 'daily budget exceeded' }, { 'retry-after': '7200' }), 'DAILY_QUOTA', 7200],
    [pipedrivePolicy, page(403), 'VENDOR_BUSY', 60],
    [hubspotPolicy, json(503, {}, { 'retry-after': '120' }), 'VENDOR_BUSY', 120],
  ]
  for (const [policy, turn, reason, seconds] of cases) {
    turns = [turn]
    const { json: ask, client } = open(policy)
    const before = Date.now()
    const waited = await ask()
    assert.equal(waited.kind, 'wait')
    if (waited.kind === 'wait') {
      assert.equal(waited.reason, reason)
      assert.ok(Math.abs(waited.until.getTime() - before - seconds * 1000) < 2000, `${reason} of ${policy.system}`)
    }
    client.close()
  }
})

test('Retry-After may be a date, which is read by the clock of the vendor', async () => {
  const skew = 5 * 60_000
  const at = (milliseconds: number) => new Date(Date.now() + skew + milliseconds).toUTCString()
  turns = [json(503, {}, { date: at(0), 'retry-after': at(3_600_000) })]
  const { json: ask, client } = open()
  const waited = await ask()
  assert.ok(waited.kind === 'wait' && Math.abs(waited.until.getTime() - Date.now() - 3_600_000) < 3000)
  client.close()
})

test('refusals tell who can mend them, and never quote the token', async () => {
  const { json: ask, client } = open()
  turns = [
    json(401, {
      category: 'EXPIRED_AUTHENTICATION',
      message: 'The OAuth token (canary-token-of-the-tests) or canary-token-of... is expired',
    }),
  ]
  await assert.rejects(ask(), (error: Error & { code: string }) => {
    assert.equal(error.name, 'VendorUnauthorized')
    assert.equal(error.code, 'EXPIRED_AUTHENTICATION')
    assert.doesNotMatch(error.message, /canary/)
    return true
  })
  turns = [json(403, { category: 'MISSING_SCOPES', message: 'No scope', correlationId: 'c-1' })]
  await assert.rejects(ask(), { name: 'VendorRefused', reason: 'permission', correlationId: 'c-1', status: 403 })
  turns = [json(404, { category: 'OBJECT_NOT_FOUND' })]
  await assert.rejects(ask(), { reason: 'gone' })
  const answer = await ask({ statuses: [404] })
  assert.equal(answer.kind === 'answer' ? answer.status : 0, 404)
  turns = [json(400, { category: 'VALIDATION_ERROR', message: 'bad' })]
  await assert.rejects(ask(), { reason: 'request', code: 'VALIDATION_ERROR' })
  client.close()
})

test('answers are unpacked, and end where they become too long', async () => {
  const packed: Turn = (_, response) =>
    void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(JSON.stringify({ a: 'x'.repeat(1000) })))
  turns = [packed]
  const { json: ask, client } = open()
  const answer = await ask()
  assert.equal(answer.kind === 'answer' ? (answer.value as { a: string }).a.length : 0, 1000)
  await assert.rejects(ask({ maxBytes: 500 }), { code: 'ANSWER_TOO_LARGE' })
  client.close()
})

test('a stream comes as it is sent, counts as under way until it is read, and tells when it broke off', async () => {
  turns = [(_, response) => void response.writeHead(200).end('x'.repeat(300_000))]
  const { stream, client, budget } = open()
  const answer = await stream()
  assert.ok(answer.kind === 'answer')
  assert.equal(budget.counts.given, 0)
  let bytes = 0
  for await (const chunk of answer.value) {
    bytes += chunk.length
  }
  assert.equal(bytes, 300_000)
  assert.equal(budget.counts.given, 1)
  turns = [half]
  const broken = await stream()
  assert.ok(broken.kind === 'answer')
  await assert.rejects(read(broken.value), { code: 'VENDOR_UNAVAILABLE' })
  assert.equal(budget.counts.given, 2)
  client.close()
})

async function read(body: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of body) {
    // Only its end is of interest.
  }
}

test('every request can be counted, and no query or token is in what is counted', async () => {
  const observed: Observed[] = []
  turns = [json(500, {}), json(200, {})]
  const { json: ask, client } = open(hubspotPolicy, observed)
  await ask({ query: { after: 'secret', nothing: null } })
  assert.deepEqual(
    observed.map(({ method, path, attempt, status }) => [method, path, attempt, status]),
    [
      ['GET', '/x', 1, 500],
      ['GET', '/x', 2, 200],
    ],
  )
  assert.deepEqual(
    requests.map(({ url, authorization }) => [url, authorization]),
    [
      ['/x?after=secret', 'Bearer canary-token-of-the-tests'],
      ['/x?after=secret', 'Bearer canary-token-of-the-tests'],
    ],
  )
  client.close()
})

test('who is told to stop stops, in a pause as in a request', async () => {
  const stop = new AbortController()
  turns = [() => stop.abort(new Error('told to stop'))]
  const { json: ask, client } = open()
  await assert.rejects(ask({ signal: stop.signal }), /told to stop/)
  assert.equal(requests.length, 1)
  client.close()
})
