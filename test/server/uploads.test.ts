import assert from 'node:assert/strict'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { type Actor, dataOf, World } from './world.js'

const MAX_UPLOAD = 3_000_000

let world: World
let ada: Actor

before(async () => {
  world = await World.start({ worker: false, settings: { PORTAGE_MAX_UPLOAD_BYTES: String(MAX_UPLOAD) } })
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

const mutation =
  'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id byteSize } userErrors { code message } } }'

/** Bytes of all files below the data folder, temporary ones included. */
function bytesKept(folder = world.dataDir): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => !path.endsWith('secret'))
    .map((path) => (existsSync(path) ? statSync(path) : null))
    .reduce((sum, stat) => sum + (stat?.isFile() === true ? stat.size : 0), 0)
}

const boundary = 'test-boundary'
const head = [
  `--${boundary}\r\ncontent-disposition: form-data; name="operations"\r\n\r\n`,
  `${JSON.stringify({ query: mutation, variables: { input: { file: null } } })}\r\n`,
  `--${boundary}\r\ncontent-disposition: form-data; name="map"\r\n\r\n{"0":["variables.input.file"]}\r\n`,
  `--${boundary}\r\ncontent-disposition: form-data; name="0"; filename="a.csv"\r\n\r\n`,
].join('')
const tail = `\r\n--${boundary}--\r\n`

/** Begins an upload whose body the test sends itself. */
function begin(headers: Readonly<Record<string, string | number>>): {
  request: ClientRequest
  response: Promise<IncomingMessage>
} {
  const request = httpRequest(`${world.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}`, ...headers },
  })
  // The server may hang up on what is still being sent.
  request.on('error', () => undefined)
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', reject)
  })
  return { request, response }
}

const preflight = { 'apollo-require-preflight': 'true' }

for (const [what, headers, status, code] of [
  ['without a token', { ...preflight }, 401, 'UNAUTHENTICATED'],
  ['with a made-up token', { ...preflight, authorization: 'Bearer x.y.z' }, 401, 'UNAUTHENTICATED'],
  [
    'with a made-up API key',
    { ...preflight, authorization: `Bearer ptg_${'0'.repeat(52)}${'a'.repeat(43)}` },
    401,
    'UNAUTHENTICATED',
  ],
] as const) {
  test(`stores no byte of an upload ${what}, and reads little of it [UP-7]`, async () => {
    const kept = bytesKept()
    const { request, response } = begin({ ...headers, 'content-length': 50_000_000 })
    request.write(head)
    let sent = 0
    const block = Buffer.alloc(64 * 1024, 'a')
    const send = () => {
      while (!request.destroyed && sent < 40_000_000 && request.write(block)) {
        sent += block.length
      }
    }
    request.on('drain', send)
    send()
    const answer = await response
    assert.equal(answer.statusCode, status)
    assert.equal(JSON.parse(await text(answer)).errors[0].extensions.code, code)
    await new Promise((resolve) => request.once('close', resolve))
    assert.equal(bytesKept(), kept)
    // What is in the buffers of two sockets is beyond the server's say.
    assert.ok(sent < 20_000_000, `${sent} bytes were taken`)
  })
}

test('refuses by its headers what its headers rule out', async () => {
  const kept = bytesKept()
  const token = `Bearer ${ada.token}`
  const reader = await world.actor(ada.tenantId, ['RECORD_READ'], 'reader@example.com')
  for (const [headers, status, code] of [
    [{ authorization: token, 'content-length': 1000 }, 400, 'BAD_REQUEST'],
    [{ ...preflight, authorization: `Bearer ${reader.token}`, 'content-length': 1000 }, 403, 'FORBIDDEN'],
    [{ ...preflight, authorization: token, 'transfer-encoding': 'chunked' }, 411, 'LENGTH_REQUIRED'],
    [{ ...preflight, authorization: token, 'content-length': MAX_UPLOAD + 10_000_000 }, 413, 'FILE_TOO_LARGE'],
  ] as const) {
    const { request, response } = begin(headers)
    request.write(head)
    const answer = await response
    assert.equal(answer.statusCode, status)
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/)
    assert.equal(JSON.parse(await text(answer)).errors[0].extensions.code, code)
    request.destroy()
  }
  assert.equal(bytesKept(), kept)
})

test('takes a file of the largest size and none that is larger [UP-8]', async () => {
  const line = `${'x'.repeat(99)}\n`
  const largest = line.repeat(MAX_UPLOAD / 100)
  const before = bytesKept()
  const taken = dataOf(await world.upload(ada, mutation, {}, largest))
  assert.equal(taken.fileUpload.file?.byteSize, MAX_UPLOAD, JSON.stringify(taken))
  await until(() => bytesKept() === before + MAX_UPLOAD)
  const refused = dataOf(await world.upload(ada, mutation, {}, `${largest}x`))
  assert.equal(refused.fileUpload.file, null)
  assert.equal(refused.fileUpload.userErrors[0].code, 'FILE_TOO_LARGE')
  await until(() => bytesKept() === before + MAX_UPLOAD)
})

test('takes one file per request [UP-8]', async () => {
  const form = new FormData()
  form.append('operations', JSON.stringify({ query: mutation, variables: { input: { file: null, name: null } } }))
  form.append('map', JSON.stringify({ 0: ['variables.input.file'], 1: ['variables.input.name'] }))
  form.append('0', new Blob(['a\n1\n']), 'a.csv')
  form.append('1', new Blob(['b\n1\n']), 'b.csv')
  const answer = await fetch(`${world.url}/graphql`, {
    method: 'POST',
    headers: { ...preflight, authorization: `Bearer ${ada.token}` },
    body: form,
  })
  assert.equal(answer.status, 413)
  assert.equal(JSON.parse(await answer.text()).errors[0].extensions.code, 'REQUEST_TOO_LARGE')
})

test('an operation that never asks for its file is answered, and the connection goes on', async () => {
  const kept = bytesKept()
  const file = 'a,b\n'.repeat(700_000)
  const unknown = await world.upload(
    ada,
    'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { no } }',
    {},
    file,
  )
  assert.equal(unknown.errors[0]?.extensions.code, 'GRAPHQL_VALIDATION_FAILED')
  const both = await world.upload(
    ada,
    'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { userErrors { code } } }',
    { fileId: 'fil_1', recordType: 'CONTACT', idempotencyKey: 'both' },
    file,
  )
  assert.equal(dataOf(both).importCreate.userErrors[0].code, 'INVALID_INPUT')
  assert.equal(bytesKept(), kept)
})

test('a file flows into the store while it comes, and waits nowhere else', async () => {
  const { request, response } = begin({
    ...preflight,
    authorization: `Bearer ${ada.token}`,
    'content-length': head.length + 2_000_000 + tail.length,
  })
  request.write(head)
  const files = join(world.dataDir, 'files')
  const kept = bytesKept(files)
  // Keys that the service has made for itself.
  const besides = bytesKept() - kept
  request.write(Buffer.alloc(1_000_000, 'a,b\n'))
  await until(() => bytesKept(files) > kept)
  assert.equal(bytesKept() - bytesKept(files), besides, 'no copy of it elsewhere')
  request.write(Buffer.alloc(1_000_000, 'a,b\n'))
  request.end(tail)
  const { data } = JSON.parse(await text(await response))
  assert.equal(data.fileUpload.file.byteSize, 2_000_000)
})

test('a map that reaches for what is not its own is refused', async () => {
  for (const path of ['__proto__.polluted', 'variables.constructor.name', 'variables.input', '']) {
    const body = `${head.replace('variables.input.file', path)}x${tail}`
    const { request, response } = begin({
      ...preflight,
      authorization: `Bearer ${ada.token}`,
      'content-length': Buffer.byteLength(body),
    })
    request.end(body)
    assert.equal((await response).statusCode, 400, path)
  }
  assert.equal('polluted' in {}, false)
})

test('nothing is left of an upload whose client has gone', async () => {
  const kept = bytesKept()
  const { request, response } = begin({
    ...preflight,
    authorization: `Bearer ${ada.token}`,
    'content-length': 2_000_000,
  })
  response.catch(() => undefined)
  request.write(head)
  await new Promise<void>((resolve) => request.write(Buffer.alloc(500_000, 'a,b\n'), () => resolve()))
  await until(() => bytesKept() > kept)
  request.destroy()
  await until(() => bytesKept() === kept)
})

test('says what was wrong with a body that is no multipart request', async () => {
  for (const [body, status] of [
    [`--${boundary}\r\ncontent-disposition: form-data; name="0"; filename="a.csv"\r\n\r\nx${tail}`, 400],
    [`${head.replace('"0":["variables.input.file"]', '"0":["variables.input.nothing"]')}x${tail}`, 400],
    [`--${boundary}\r\ncontent-disposition: form-data; name="operations"\r\n\r\n{nonsense${tail}`, 400],
  ] as const) {
    const { request, response } = begin({
      ...preflight,
      authorization: `Bearer ${ada.token}`,
      'content-length': Buffer.byteLength(body),
    })
    request.end(body)
    const answer = await response
    assert.equal(answer.statusCode, status)
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/)
    const parsed = JSON.parse(await text(answer))
    assert.doesNotMatch(JSON.stringify(parsed), /node_modules|at \w+ \(/)
  }
  const missing = `${head.slice(0, head.lastIndexOf(`--${boundary}`))}--${boundary}--\r\n`
  const { request, response } = begin({
    ...preflight,
    authorization: `Bearer ${ada.token}`,
    'content-length': Buffer.byteLength(missing),
  })
  request.end(missing)
  const answer = JSON.parse(await text(await response))
  assert.equal(answer.data.fileUpload.userErrors[0].code, 'UPLOAD_INCOMPLETE')
})

test('a text instead of a file is refused', async () => {
  const answer = await world.run(ada, mutation, { input: { file: 'people.csv' } })
  assert.notEqual(answer.errors.length, 0)
  assert.doesNotMatch(answer.text, /stack|node_modules/)
})

async function until(true_: () => boolean): Promise<void> {
  const started = performance.now()
  while (!true_()) {
    if (performance.now() - started > 10_000) {
      throw new Error('waited in vain')
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}
