import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Api, ApiError } from '../../src/cli/api.js'
import { uploadFile } from '../../src/cli/upload.js'
import { type Actor, World } from '../server/world.js'
import { fakeIo } from './fake-api.js'

let world: World
let ada: Actor
let folder: string

before(async () => {
  world = await World.start({ worker: false })
  ada = await world.actor(await world.tenant())
  folder = await mkdtemp(join(tmpdir(), 'portage-upload-'))
})
after(async () => {
  await world.close()
  await rm(folder, { recursive: true })
})

/** From this size on files go by the road that can be resumed, in these tests. Bytes. */
const RESUMABLE = 100_000

async function file(bytes: number) {
  const name = `${randomBytes(4).toString('hex')}.csv`
  const path = join(folder, name)
  const line = `${'x'.repeat(95)},yz\n`
  await writeFile(path, `a,b\n${line.repeat(Math.ceil(bytes / line.length))}`)
  return { path, name, byteSize: 4 + Math.ceil(bytes / line.length) * line.length }
}

/** A way to the API on which connections break: each after so many bytes of the client's, the rest of them never. */
async function brokenRoad(cuts: number[]): Promise<{ url: string; server: Server; connections: () => number }> {
  let connections = 0
  const { hostname, port } = new URL(world.url)
  const server = createServer((client) => {
    connections += 1
    const api = connect(Number(port), hostname)
    let left = cuts.length > 0 && connections > 1 ? (cuts.shift() ?? Infinity) : Infinity
    client.on('error', () => api.destroy())
    api.on('error', () => client.destroy())
    client.on('data', (chunk: Buffer) => {
      api.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left <= 0) {
        client.destroy()
        api.end()
      }
    })
    api.on('data', (chunk: Buffer) => client.write(chunk))
    api.on('end', () => client.end())
    client.on('end', () => api.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, connections: () => connections }
}

test('a small file goes in one request and a large one by a session', async () => {
  const api = new Api({ url: world.url, token: async () => ada.token })
  const { io } = fakeIo()
  const sessions = async () => (await world.oracle.query('select 1 from upload_session')).rowCount ?? 0
  const before = await sessions()
  const small = await uploadFile(api, await file(1000), undefined, io, RESUMABLE)
  assert.match(small.id, /^fil_/)
  assert.equal(await sessions(), before)
  const local = await file(RESUMABLE)
  const large = await uploadFile(api, local, { delimiter: ',' }, io, RESUMABLE)
  assert.equal(large.byteSize, local.byteSize)
  assert.equal(await sessions(), before + 1)
})

test('a large file arrives whole over connections that break', async () => {
  const cuts = [150_000, 1_000_000, 40, 700_000]
  const { url, server, connections } = await brokenRoad(cuts)
  try {
    const api = new Api({ url, token: async () => ada.token })
    const local = await file(6_000_000)
    const { io, statuses } = fakeIo()
    const uploaded = await uploadFile(api, local, undefined, io, RESUMABLE)
    assert.equal(uploaded.byteSize, local.byteSize)
    assert.deepEqual(cuts, [])
    assert.ok(connections() > 4)
    assert.ok(statuses.some((status) => status.startsWith('Uploading ')))
  } finally {
    server.close()
  }
})

test('an upload that was stopped goes on when it is started again', async () => {
  const local = await file(9_000_000)
  const stop = new AbortController()
  const first = fakeIo(null, stop.signal)
  const stopping = {
    ...first.io,
    status: (line: string) => line.startsWith('Uploading') && stop.abort(new Error('stopped')),
  }
  const one = new Api({ url: world.url, token: async () => ada.token, signal: stop.signal })
  await assert.rejects(uploadFile(one, local, undefined, stopping, RESUMABLE))
  const arrived = async () =>
    (
      await world.oracle.query<{ received: string }>('select received from upload_session where name = $1', [
        local.name,
      ])
    ).rows[0]?.received
  const started = performance.now()
  while (Number(await arrived()) === 0 && performance.now() - started < 10_000) {
    // What was under way is kept as soon as the server sees the end of the connection.
  }
  const { io, notes } = fakeIo()
  const two = new Api({ url: world.url, token: async () => ada.token })
  const uploaded = await uploadFile(two, local, undefined, io, RESUMABLE)
  assert.equal(uploaded.byteSize, local.byteSize)
  assert.match(notes[0] ?? '', /^Going on after .* that have arrived before\.$/)
})

test('a refusal in the middle is told, and not tried again', async () => {
  const reader = await world.actor(ada.tenantId, ['RECORD_READ'], 'reader@example.com')
  const begun = await world.ask(
    ada,
    'mutation ($input: UploadBeginInput!) { uploadBegin(input: $input) { uploadSession { id } } }',
    { input: { name: 'a.csv', byteSize: 500_000, sha256: '0'.repeat(64), idempotencyKey: 'refused' } },
  )
  const { id } = begun.uploadBegin.uploadSession
  const api = new Api({ url: world.url, token: async () => reader.token })
  const part = { ...(await file(499_000)), onProgress: () => undefined }
  await assert.rejects(
    api.sendRest(id, 0, { ...part, byteSize: 400_000 }),
    (error) => error instanceof ApiError && error.code === 'FORBIDDEN',
  )
})
