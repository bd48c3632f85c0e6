import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { after, before, test } from 'node:test'
import { TestS3 } from '../helpers/s3.js'
import { type Actor, World } from './world.js'

/* Uploads in several requests, on object storage and encrypted: the parts are files of the store like any other. */

let s3: TestS3
let world: World
let ada: Actor

before(async () => {
  s3 = await TestS3.start()
  const PORTAGE_FILE_KEYS = `k1:${randomBytes(32).toString('base64url')}`
  world = await World.start({ worker: false, settings: { ...s3.environment(), PORTAGE_FILE_KEYS } })
  ada = await world.actor(await world.tenant())
})
after(async () => {
  await world.close()
  await s3.close()
})

test('a file that came in two pieces with a cut between them is put together from object storage', async () => {
  const content = Buffer.from(`Name,Mail\n${'Ada Lovelace,ada@example.com\n'.repeat(20_000)}`)
  const sha256 = createHash('sha256').update(content).digest('hex')
  const input = { name: 'big.csv', byteSize: content.length, sha256, idempotencyKey: 'one' }
  const { uploadBegin } = await world.ask(
    ada,
    'mutation ($input: UploadBeginInput!) { uploadBegin(input: $input) { uploadSession { id url } } }',
    { input },
  )
  const { id, url } = uploadBegin.uploadSession
  const authorization = `Bearer ${ada.token}`
  const cut = httpRequest(url, { method: 'PUT', headers: { authorization, 'content-length': content.length } })
  cut.on('error', () => undefined)
  await new Promise<void>((resolve) => cut.write(content.subarray(0, 200_001), () => resolve()))
  cut.destroy()
  const started = performance.now()
  let offset = 0
  while (offset === 0 && performance.now() - started < 10_000) {
    const head = await fetch(url, { method: 'HEAD', headers: { authorization } })
    offset = Number(head.headers.get('upload-offset'))
  }
  assert.equal(offset, 200_001)
  assert.equal(s3.objects().length, 1)
  const rest = await fetch(url, {
    method: 'PUT',
    headers: { authorization, 'content-range': `bytes ${offset}-${content.length - 1}/${content.length}` },
    body: new Uint8Array(content.subarray(offset)),
  })
  assert.equal(rest.status, 204)
  const { uploadComplete } = await world.ask(
    ada,
    'mutation ($input: UploadCompleteInput!) { uploadComplete(input: $input) { file { sha256 byteSize } userErrors { code } } }',
    { input: { uploadSessionId: id } },
  )
  assert.deepEqual(uploadComplete, { file: { sha256, byteSize: content.length }, userErrors: [] })
  assert.equal(s3.objects().length, 1, 'the parts are gone')
})
