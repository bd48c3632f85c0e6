import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, statSync, watch } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { localFileStore } from '../../src/adapters/files/storage.js'
import { loadConfig } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { decodeId } from '../../src/ids.js'
import { laneOptions } from '../../src/jobs/context.js'
import { keepHouse } from '../../src/jobs/housekeeping.js'
import { UPLOAD_PART_BYTES } from '../../src/limits.js'
import { type Api, startApi } from '../../src/server/start.js'
import { Random } from '../helpers/random.js'
import { type Actor, dataOf, freePort, type Json, World } from './world.js'

const STAGED = 40_000_000

let world: World
let second: Api
let secondUrl: string
let ada: Actor

before(async () => {
  world = await World.start({ worker: false, settings: { PORTAGE_STAGED_UPLOAD_BYTES: String(STAGED) } })
  ada = await world.actor(await world.tenant())
  const port = await freePort()
  secondUrl = `http://127.0.0.1:${port}`
  second = await startApi(
    loadConfig({
      PORTAGE_ROLE: 'api',
      PORTAGE_PORT: String(port),
      PORTAGE_DATA_DIR: world.dataDir,
      PORTAGE_LOG_LEVEL: 'error',
      DATABASE_URL: world.db.apiUrl,
    }),
  )
})
after(async () => {
  await second.close()
  await world.close()
})

/** A file of about so many bytes, with rows that differ. */
function csv(bytes: number): Buffer {
  const mark = randomBytes(4).toString('hex')
  const line = (row: number) => `${row},${mark},person${row}@example.com\n`
  const rows = Array.from({ length: Math.ceil(bytes / 34) }, (_, row) => line(row + 10_000_000))
  return Buffer.from(`Id,Mark,E-mail\n${rows.join('')}`)
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function begin(content: Buffer, over: object = {}, actor = ada): Promise<Json> {
  const input = {
    name: 'big.csv',
    byteSize: content.length,
    sha256: sha256(content),
    idempotencyKey: randomUUID(),
    ...over,
  }
  const { uploadBegin } = await world.ask(
    actor,
    `mutation ($input: UploadBeginInput!) { uploadBegin(input: $input) {
       uploadSession { id url offset byteSize expiresAt } userErrors { code field } } }`,
    { input },
  )
  return uploadBegin
}

async function session(content: Buffer, over: object = {}): Promise<{ id: string; url: string }> {
  const { uploadSession, userErrors } = await begin(content, over)
  assert.deepEqual(userErrors, [])
  assert.equal(uploadSession.offset, 0)
  return uploadSession
}

async function complete(id: string, actor = ada, url = world.url): Promise<Json> {
  const { uploadComplete } = dataOf(
    await world.run(
      actor,
      `mutation ($input: UploadCompleteInput!) { uploadComplete(input: $input) {
         file { id name byteSize sha256 detection { columns { name } } } userErrors { code message } } }`,
      { input: { uploadSessionId: id } },
      url,
    ),
  )
  return uploadComplete
}

function put(url: string, bytes: Buffer, headers: Readonly<Record<string, string>>, actor: Actor | null = ada) {
  const body = new Uint8Array(bytes)
  const authorization = actor === null ? {} : { authorization: `Bearer ${actor.token}` }
  return fetch(url, { method: 'PUT', headers: { ...authorization, ...headers }, body })
}

async function offsetOf(url: string): Promise<number> {
  const response = await fetch(url, { method: 'HEAD', headers: { authorization: `Bearer ${ada.token}` } })
  assert.equal(response.status, 200)
  return Number(response.headers.get('upload-offset'))
}

const range = (first: number, bytes: number, size: number) => ({
  'content-range': `bytes ${first}-${first + bytes - 1}/${size}`,
})

/** Starts a request that announces all of the rest, and brings only so much of it. */
function hold(url: string, rest: Buffer, from: number, bytes: number) {
  const request = httpRequest(url, {
    method: 'PUT',
    headers: { authorization: `Bearer ${ada.token}`, 'content-length': rest.length, 'upload-offset': from },
  })
  request.on('error', () => undefined)
  const response = new Promise<IncomingMessage>((resolve) => request.once('response', resolve))
  const sent = new Promise<void>((resolve) => request.write(rest.subarray(0, bytes), () => resolve()))
  return { request, response, sent }
}

function bytesKept(): number {
  const folder = join(world.dataDir, 'files')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .map((path) => (existsSync(path) ? statSync(path) : null))
    .reduce((sum, stat) => sum + (stat?.isFile() === true ? stat.size : 0), 0)
}

async function until(what: () => Promise<boolean>): Promise<void> {
  const started = performance.now()
  while (!(await what())) {
    if (performance.now() - started > 10_000) {
      throw new Error('waited in vain')
    }
  }
}

test('a file that comes in pieces, by either header, becomes a file like any other', async () => {
  const content = csv(300_000)
  const { id, url } = await session(content)
  assert.equal(url, `${world.url}/uploads/${id}`)
  const first = await put(url, content.subarray(0, 100_000), range(0, 100_000, content.length))
  assert.equal(first.status, 204)
  assert.equal(first.headers.get('upload-offset'), '100000')
  const next = await put(url, content.subarray(100_000, 100_001), { 'upload-offset': '100000' })
  assert.equal(next.headers.get('upload-offset'), '100001')
  const { uploadSession } = await world.ask(ada, 'query ($id: ID!) { uploadSession(id: $id) { offset byteSize } }', {
    id,
  })
  assert.deepEqual(uploadSession, { offset: 100_001, byteSize: content.length })
  const { node } = await world.ask(ada, 'query ($id: ID!) { node(id: $id) { id ... on UploadSession { offset } } }', {
    id,
  })
  assert.deepEqual(node, { id, offset: 100_001 })
  const early = await complete(id)
  assert.equal(early.userErrors[0].code, 'UPLOAD_INCOMPLETE')
  assert.match(early.userErrors[0].message, /100001/)
  assert.equal((await put(url, content.subarray(100_001), { 'upload-offset': '100001' })).status, 204)
  const { file, userErrors } = await complete(id)
  assert.deepEqual(userErrors, [])
  assert.equal(file.sha256, sha256(content))
  assert.deepEqual(file.detection.columns, [{ name: 'Id' }, { name: 'Mark' }, { name: 'E-mail' }])
  assert.equal((await complete(id)).file.id, file.id, 'asked again it is the same file')
  assert.equal((await put(url, Buffer.from('x'), { 'upload-offset': '0' })).status, 409)
})

test('what arrived before a cut, at whatever byte, is kept', async () => {
  const content = csv(400_000)
  const { id, url } = await session(content)
  const chance = new Random(7)
  let offset = 0
  for (let cut = 0; cut < 8; cut++) {
    const bytes = 1 + chance.below(Math.min(40_000, content.length - offset - 1))
    const { request, sent } = hold(url, content.subarray(offset), offset, bytes)
    await sent
    request.destroy()
    const expected = offset + bytes
    await until(async () => (await offsetOf(url)) === expected)
    offset = expected
  }
  assert.equal((await put(url, content.subarray(offset), { 'upload-offset': String(offset) })).status, 204)
  assert.equal((await complete(id)).file.sha256, sha256(content))
})

test('a wrong offset is refused with the right one', async () => {
  const content = csv(10_000)
  const { url } = await session(content)
  await put(url, content.subarray(0, 500), { 'upload-offset': '0' })
  for (const offset of [0, 499, 501]) {
    const response = await put(url, content.subarray(offset, offset + 10), range(offset, 10, content.length))
    assert.equal(response.status, 409)
    assert.equal(response.headers.get('upload-offset'), '500')
    const [{ extensions }] = ((await response.json()) as Json).errors
    assert.deepEqual(extensions, { code: 'UPLOAD_OFFSET_MISMATCH', offset: '500' })
  }
})

test('who comes again takes over from a request that hangs, and loses nothing of it', async () => {
  const content = csv(UPLOAD_PART_BYTES + 200_000)
  const { id, url } = await session(content)
  const hanging = hold(url, content, 0, UPLOAD_PART_BYTES + 70_000)
  await hanging.sent
  // Its first part is kept by now, and it is at the second one.
  await until(async () => (await offsetOf(url)) === UPLOAD_PART_BYTES)
  const again = await put(url, content.subarray(UPLOAD_PART_BYTES), { 'upload-offset': String(UPLOAD_PART_BYTES) })
  assert.equal(again.status, 409)
  const offset = Number(again.headers.get('upload-offset'))
  assert.ok(offset > UPLOAD_PART_BYTES && offset <= UPLOAD_PART_BYTES + 70_000, String(offset))
  assert.equal((await put(url, content.subarray(offset), { 'upload-offset': String(offset) })).status, 204)
  assert.equal((await complete(id)).file.sha256, sha256(content))
})

test('two that write at once through two processes do not mix', async () => {
  const content = csv(500_000)
  const other = Buffer.from(content.toString().toUpperCase())
  const { id, url } = await session(content)
  const answers = await Promise.all([
    put(url, other, { 'upload-offset': '0' }),
    put(url.replace(world.url, secondUrl), content, { 'upload-offset': '0' }),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((a, b) => a - b),
    [204, 409],
  )
  const won = answers[1]?.status === 204
  const { file, userErrors } = await complete(id)
  assert.equal(won ? file.sha256 : userErrors[0].code, won ? sha256(content) : 'FILE_CHECKSUM_MISMATCH')
})

test('several that complete at once, in two processes, make one file and write one copy', async () => {
  const content = csv(2_000_000)
  const { id, url } = await session(content)
  await put(url, content, {})
  const before = bytesKept()
  const copies = new Set<string>()
  const watcher = watch(join(world.dataDir, 'files', 'tmp'), (_event, name) => copies.add(String(name)))
  const answers = await Promise.all([
    complete(id),
    complete(id, ada, secondUrl),
    complete(id),
    complete(id, ada, secondUrl),
  ])
  watcher.close()
  assert.equal(new Set(answers.map(({ file }) => file?.id)).size, 1, JSON.stringify(answers))
  assert.equal(copies.size, 1)
  assert.equal(bytesKept(), before)
})

test('whoever finds an upload being completed elsewhere answers with what comes of it', async () => {
  const content = csv(1000)
  const other = await session(content)
  await put(other.url, content, {})
  const { file } = await complete(other.id)
  const { id, url } = await session(content)
  await put(url, content, {})
  const claimed = (until: string) =>
    world.oracle.query(
      `update upload_session set completing_by = gen_random_uuid(), completing_until = now() + $2::interval where id = $1`,
      [decodeId('uploadSession', id), until],
    )
  await claimed('1 hour')
  const answer = complete(id)
  // The other process, in the end.
  await world.oracle.query('update upload_session set file_id = $2 where id = $1', [
    decodeId('uploadSession', id),
    decodeId('file', file.id),
  ])
  assert.equal((await answer).file.id, file.id)
})

test('an upload whose completion died with its process is completed by the next who asks', async () => {
  const content = csv(1000)
  const { id, url } = await session(content)
  await put(url, content, {})
  await world.oracle.query(
    `update upload_session set completing_by = gen_random_uuid(), completing_until = now() - interval '1 second' where id = $1`,
    [decodeId('uploadSession', id)],
  )
  assert.equal((await complete(id)).file.sha256, sha256(content))
})

test('an upload that has become a file is not undone by who gives it up', async () => {
  const content = csv(1000)
  const { id, url } = await session(content)
  await put(url, content, {})
  const { file } = await complete(id)
  await fetch(url, { method: 'DELETE', headers: { authorization: `Bearer ${ada.token}` } })
  assert.equal((await complete(id)).file?.id, file.id)
})

test('a file of several parts is put together, and its parts are removed', async () => {
  const content = Buffer.concat([Buffer.from('a,b\n'), Buffer.alloc(UPLOAD_PART_BYTES + 1_000_000, '1,2\n')])
  const { id, url } = await session(content)
  const before = bytesKept()
  assert.equal((await put(url, content, range(0, content.length, content.length))).status, 204)
  assert.equal(bytesKept(), before + content.length)
  assert.equal((await complete(id)).file.byteSize, content.length)
  assert.equal(bytesKept(), before + content.length)
})

test('a file that arrived otherwise than announced is refused and forgotten', async () => {
  const content = csv(50_000)
  const before = bytesKept()
  const { id, url } = await session(content, { sha256: '0'.repeat(64) })
  await put(url, content, {})
  assert.equal((await complete(id)).userErrors[0].code, 'FILE_CHECKSUM_MISMATCH')
  assert.equal((await complete(id)).userErrors[0].code, 'NOT_FOUND')
  assert.equal(bytesKept(), before)
})

test('the same key answers the same upload, and none that was given up', async () => {
  const content = csv(1000)
  const idempotencyKey = randomUUID()
  const { id, url } = await session(content, { idempotencyKey })
  await put(url, content.subarray(0, 10), {})
  const again = await begin(content, { idempotencyKey })
  assert.equal(again.uploadSession.id, id)
  assert.equal(again.uploadSession.offset, 10)
  assert.equal(
    (await begin(content, { idempotencyKey, name: 'other.csv' })).userErrors[0].code,
    'IDEMPOTENCY_KEY_REUSED',
  )
  await fetch(url, { method: 'DELETE', headers: { authorization: `Bearer ${ada.token}` } })
  assert.equal((await begin(content, { idempotencyKey })).userErrors[0].code, 'INVALID_STATE')
})

test('nothing but the bytes that were announced is taken', async () => {
  const content = csv(1000)
  const before = bytesKept()
  const { url } = await session(content)
  const long = Buffer.concat([content, Buffer.from('x')])
  assert.equal((await put(url, long, {})).status, 413)
  for (const headers of [
    { 'content-range': `bytes 0-9/${content.length + 1}` },
    { 'content-range': `bytes 0-8/${content.length}` },
    { 'content-range': `bytes 9-0/${content.length}` },
    { 'content-range': 'lines 0-9/10' },
    { 'upload-offset': '-1' },
    { 'upload-offset': '5', 'content-range': `bytes 0-9/${content.length}` },
  ]) {
    const response = await put(url, content.subarray(0, 10), headers as unknown as Record<string, string>)
    assert.equal(response.status, 400, JSON.stringify(headers))
  }
  assert.equal((await fetch(url, { method: 'GET', headers: { authorization: `Bearer ${ada.token}` } })).status, 405)
  assert.equal(await offsetOf(url), 0)
  assert.equal(bytesKept(), before)
  // Without a length in its headers the body is counted as it comes.
  const { status } = await fetch(url, {
    method: 'PUT',
    headers: { authorization: `Bearer ${ada.token}` },
    body: new ReadableStream({
      start: (controller) => {
        controller.enqueue(new Uint8Array(long))
        controller.close()
      },
    }),
    duplex: 'half',
  } as RequestInit)
  assert.equal(status, 413)
})

test('refuses sizes and sums that cannot be', async () => {
  const content = csv(1000)
  for (const [over, code] of [
    [{ byteSize: 0 }, 'FILE_EMPTY'],
    [{ byteSize: -5 }, 'FILE_EMPTY'],
    [{ byteSize: 6 * 1024 ** 3 }, 'FILE_TOO_LARGE'],
    [{ sha256: 'abc' }, 'INVALID_INPUT'],
  ] as const) {
    assert.equal((await begin(content, over)).userErrors[0].code, code)
  }
})

test('uploads under way are capped together for each tenant, and room comes back', async () => {
  const eve = await world.actor(await world.tenant())
  const content = csv(1000)
  const large = await begin(content, { byteSize: STAGED - 1000 }, eve)
  assert.deepEqual(large.userErrors, [])
  const more = { byteSize: 1001 }
  assert.equal((await begin(content, more, eve)).userErrors[0].code, 'LIMIT_EXCEEDED')
  assert.deepEqual((await begin(content, more, ada)).userErrors, [])
  const gone = await fetch(large.uploadSession.url, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${eve.token}` },
  })
  assert.equal(gone.status, 204)
  assert.deepEqual((await begin(content, more, eve)).userErrors, [])
})

test('a neighbour finds no upload of others, and who may not import none at all', async () => {
  const content = csv(1000)
  const { id, url } = await session(content)
  const neighbour = await world.actor(await world.tenant())
  const reader = await world.actor(ada.tenantId, ['RECORD_READ'], 'reader@example.com')
  for (const method of ['HEAD', 'PUT', 'DELETE']) {
    const call = (headers: Record<string, string>) =>
      fetch(url, { method, headers, ...(method === 'PUT' ? { body: 'a,b' } : {}) })
    assert.equal((await call({ authorization: `Bearer ${neighbour.token}` })).status, 404)
    assert.equal((await call({ authorization: `Bearer ${reader.token}` })).status, 403)
    assert.equal((await call({})).status, 401)
  }
  assert.equal((await complete(id, neighbour)).userErrors[0].code, 'NOT_FOUND')
  const { uploadSession } = await world.ask(neighbour, 'query ($id: ID!) { uploadSession(id: $id) { id } }', { id })
  assert.equal(uploadSession, null)
  assert.equal(await offsetOf(url), 0)
})

test('housekeeping removes uploads that nobody went on with', async () => {
  const content = csv(20_000)
  const before = bytesKept()
  const { id, url } = await session(content)
  await put(url, content.subarray(0, 5000), {})
  assert.equal(bytesKept(), before + 5000)
  await world.oracle.query(
    "update upload_session set expires_at = now() - interval '1 second' where file_id is null and tenant_id = $1",
    [ada.tenantId],
  )
  assert.equal((await put(url, content.subarray(5000), { 'upload-offset': '5000' })).status, 404)
  assert.equal((await complete(id)).userErrors[0].code, 'NOT_FOUND')
  const lane = await Lane.open(laneOptions(world.db.workerUrl, 'test'))
  try {
    await keepHouse(lane, localFileStore(join(world.dataDir, 'files')), world.config)
  } finally {
    await lane.close()
  }
  assert.ok(bytesKept() <= before)
  const left = await world.oracle.query('select 1 from upload_part')
  assert.equal(left.rowCount, 0)
})
