import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { STORE_ATTEMPTS_MAX } from '../../src/limits.js'
import { TestS3 } from '../helpers/s3.js'
import { type Actor, World } from './world.js'

/* The whole service on object storage, with files encrypted: nothing of a file is on the disk of the service. */

let s3: TestS3
let world: World
let ada: Actor

before(async () => {
  s3 = await TestS3.start()
  const PORTAGE_FILE_KEYS = `k1:${randomBytes(32).toString('base64url')}`
  world = await World.start({ settings: { ...s3.environment(), PORTAGE_FILE_KEYS } })
  ada = await world.actor(await world.tenant())
})

afterEach(() => {
  s3.intercept = () => false
})

after(async () => {
  await world.close()
  await s3.close()
})

const people = `First name,Last name,E-mail
Grace,Hopper,grace@example.com
Broken,Address,not-an-address
Edsger,Dijkstra,edsger@example.com
`

const mapping = [
  { column: 'First name', field: 'firstName' },
  { column: 'Last name', field: 'lastName' },
  { column: 'E-mail', field: 'email' },
]

const runQuery = `query ($id: ID!) { importRun(id: $id) { status statusReason { code message } counts { created failed }
  rows(first: 10) { nodes { rowNumber cells { value } } } files { kind url } } }`

test('an import goes from object storage to records, and its failed rows come back from there', async () => {
  const id = await world.import(ada, 'CONTACT', people, {}, { mapping })
  const { importRun: run } = await world.ask(ada, runQuery, { id })
  assert.equal(run.status, 'COMPLETED_WITH_ERRORS')
  assert.deepEqual(run.counts, { created: 2, failed: 1 })
  assert.equal(run.rows.nodes[1].cells[2].value, 'not-an-address')
  const [source, failed] = run.files
  assert.equal(await (await fetch(source.url)).text(), people)
  assert.equal(await (await fetch(source.url, { headers: { range: 'bytes=6-9' } })).text(), people.slice(6, 10))
  assert.match(await (await fetch(failed.url)).text(), /_portage_row,_portage_errors[^]*Broken,Address,not-an-address/)

  const objects = s3.objects()
  assert.equal(objects.length, 2)
  for (const name of objects) {
    assert.match(name, new RegExp(`^files/${ada.tenantId}/[0-9a-f]{32}\\.enc$`))
    assert.doesNotMatch(readFileSync(s3.pathOf(name), 'latin1'), /grace|Broken/)
  }
  const here = readdirSync(world.dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  assert.ok(here.every((entry) => !readFileSync(join(entry.parentPath, entry.name), 'latin1').includes('grace@')))
})

test('an upload while object storage is away says so, leaves nothing, and works when it is back', async () => {
  const known = s3.objects()
  s3.intercept = (request, response) => {
    request.resume()
    response.writeHead(503).end()
    return true
  }
  await assert.rejects(world.import(ada, 'CONTACT', people, {}, { mapping }), /UNAVAILABLE/)
  s3.intercept = () => false
  assert.deepEqual(s3.objects(), known)
  const id = await world.import(ada, 'CONTACT', people, {}, { mapping })
  assert.equal((await world.ask(ada, runQuery, { id })).importRun.status, 'COMPLETED_WITH_ERRORS')
})

test('a run that object storage fails is tried again and ends as if nothing had been', async () => {
  let reads = 0
  let failed = 0
  s3.intercept = (request, response) => {
    if (request.method !== 'GET') {
      return false
    }
    reads += 1
    // The first reads are those of the upload; then more fail than one reader tries.
    if (reads < 4 || failed > 2 * STORE_ATTEMPTS_MAX) {
      return false
    }
    failed += 1
    response.writeHead(500, { 'content-type': 'application/xml' })
    response.end('<Error><Code>InternalError</Code><Message>again</Message></Error>')
    return true
  }
  const id = await world.import(ada, 'CONTACT', people.replaceAll('@', '@mail.'), {}, { mapping })
  s3.intercept = () => false
  const { importRun: run } = await world.ask(ada, runQuery, { id })
  assert.ok(failed > 2 * STORE_ATTEMPTS_MAX, `${reads} reads`)
  assert.equal(run.status, 'COMPLETED_WITH_ERRORS')
  assert.deepEqual(run.counts, { created: 2, failed: 1 })
})
