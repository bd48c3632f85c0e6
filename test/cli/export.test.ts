import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { ApiError } from '../../src/cli/api.js'
import { downloadFile, localName, type OfferedFile } from '../../src/cli/download.js'
import { columnsOf, filterOf, orderOf } from '../../src/cli/export.js'
import { portage } from '../../src/cli/portage.js'
import { type Actor, World } from '../server/world.js'
import { fakeIo } from './fake-api.js'

let world: World
let ada: Actor
let home: string
let folder: string
const servers: Server[] = []

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant())
  home = await mkdtemp(join(tmpdir(), 'portage-export-'))
  const mapping = [
    { column: 'First', field: 'firstName' },
    { column: 'Last', field: 'lastName' },
    { column: 'Mail', field: 'email' },
  ]
  await world.import(ada, 'CONTACT', 'First,Last,Mail\nGrace,Hopper,g@example.com\nAlan,Turing,\n', {}, { mapping })
})
beforeEach(async () => {
  folder = await mkdtemp(join(home, 'test-'))
})
after(async () => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
  await world.close()
  await rm(home, { recursive: true })
})

const where = (actor: Actor = ada): string[] => ['--url', world.url, '--token', actor.token]

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`
}

const content = randomBytes(300_000)
const sha256 = createHash('sha256').update(content).digest('hex')

function offered(url: string, over: Partial<OfferedFile> = {}): OfferedFile {
  const base = { kind: 'RESULT', name: 'people.csv', rowCount: 2, urlExpiresAt: '' }
  return { ...base, url, byteSize: content.length, sha256, ...over }
}

const none = async (): Promise<null> => null

test('export writes the records that were asked for, and says what came', async () => {
  const path = join(folder, 'people.csv')
  const { io, out, notes } = fakeIo()
  const asked = ['--filter', 'email!=', '--columns', 'id,email,Family name=lastName', '--order', 'lastName:desc']
  assert.equal(await portage(['export', 'contact', '-o', path, ...asked, ...where()], io), 0, notes.join('\n'))
  const lines = (await readFile(path, 'utf8')).split('\r\n')
  assert.equal(lines[0], 'id,email,Family name')
  assert.match(lines[1] ?? '', /^[\w-]+,g@example\.com,Hopper$/)
  assert.equal(lines.length, 3)
  assert.match(out.at(-1) ?? '', /people\.csv: 1 row, \d+ B, SHA-256 [0-9a-f]{64}$/)
  assert.deepEqual(await readdir(folder), ['people.csv'])
})

test('the name of the file says its format, and a template what is not said', async () => {
  const packed = join(folder, 'people.ndjson.gz')
  assert.equal(await portage(['export', 'contact', '-o', packed, '--columns', 'lastName', ...where()], fakeIo().io), 0)
  assert.match(gunzipSync(await readFile(packed)).toString(), /^\{"lastName":"\w+"\}\n/)

  await world.ask(
    ada,
    `mutation { exportTemplateSave(input: { name: "Names", recordType: CONTACT, columns: [{ field: "firstName" }],
       orderBy: [{ field: "firstName" }], format: { delimiter: ";" }, schedule: "0 6 * * 1", timeZone: "Europe/Berlin" }) { userErrors { code } } }`,
  )
  const path = join(folder, 'names.csv')
  assert.equal(await portage(['export', '--template', 'names', '-o', path, '--bom', ...where()], fakeIo().io), 0)
  assert.equal(await readFile(path, 'utf8'), '\ufefffirstName\r\nAlan\r\nGrace\r\n')
  const listed = fakeIo()
  assert.equal(await portage(['templates', ...where()], listed.io), 0)
  assert.match(listed.out[1] ?? '', /^Names +contact +csv +0 6 \* \* 1 Europe\/Berlin +\d{4}-.* +completed \d{4}-/)
  const missing = fakeIo()
  assert.equal(await portage(['export', '--template', 'nam', '-o', path, ...where()], missing.io), 1)
  assert.match(missing.notes.at(-1) ?? '', /no export template "nam".*"Names"/)
})

test('a preview shows the first rows and writes nothing', async () => {
  const { io, out } = fakeIo()
  const asked = ['--preview', '--columns', 'firstName,Family=lastName', '--order', 'lastName']
  assert.equal(await portage(['export', 'contact', ...asked, ...where()], io), 0)
  assert.deepEqual(out, ['firstName  Family', 'Grace      Hopper', 'Alan       Turing'])
})

test('what was left out is told, what is refused ends with 1, and lines of JSON tell all of it', async () => {
  const eve = await world.actor(ada.tenantId, ['EXPORT_RUN'], 'eve@example.com')
  const path = join(folder, 'eve.csv')
  const { io, notes } = fakeIo()
  assert.equal(await portage(['export', 'contact', '-o', path, ...where(eve)], io), 0)
  assert.ok(notes.some((line) => /Left out.*PII_READ.*email/.test(line)))
  const refused = fakeIo()
  assert.equal(await portage(['export', 'contact', '-o', path, '--columns', 'email', ...where(eve)], refused.io), 1)
  assert.match(refused.notes.at(-1) ?? '', /email needs the permission PII_READ/)

  const lines = fakeIo()
  assert.equal(await portage(['export', 'contact', '-o', path, '--json', ...where()], lines.io), 0)
  const events = lines.json()
  assert.equal(events[0]?.['event'], 'started')
  const last = events.at(-1)
  assert.deepEqual([last?.['event'], last?.['rowCount'], last?.['path']], ['downloaded', 2, path])
  // Another look at the same run brings the same file.
  const again = join(folder, 'again.csv')
  assert.equal(await portage(['download', String(last?.['runId']), '-o', again, ...where()], fakeIo().io), 0)
  assert.deepEqual(await readFile(again), await readFile(path))
  const runs = fakeIo()
  assert.equal(await portage(['runs', '--first', '1', ...where()], runs.io), 0)
  assert.match(runs.out[1] ?? '', /export of contact records +completed +2/)
})

test('a download goes on where a broken connection stopped', async () => {
  const ranges: (string | undefined)[] = []
  const url = await serve((request, response) => {
    ranges.push(request.headers.range)
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    assert.equal(request.headers['if-range'], from === 0 ? undefined : `"${sha256}"`)
    response.writeHead(from === 0 ? 200 : 206, { 'content-length': content.length - from })
    // Ends early but for the last time.
    const until = ranges.length < 4 ? from + 70_000 : content.length
    response.write(content.subarray(from, until), () => (ranges.length < 4 ? response.destroy() : response.end()))
  })
  const path = join(folder, 'whole')
  await downloadFile(offered(url), path, fakeIo().io, none, [1, 1, 1])
  assert.deepEqual(await readFile(path), content)
  assert.equal(ranges.length, 4)
  assert.equal(ranges[0], undefined)
  assert.deepEqual(await readdir(folder), ['whole'])
})

test('a download that was given up goes on when it is asked for again', async () => {
  let away = true
  let from = -1
  const url = await serve((request, response) => {
    from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from === 0 ? 200 : 206)
    response.write(content.subarray(from, away ? 100_000 : content.length), () =>
      away ? response.destroy() : response.end(),
    )
  })
  const path = join(folder, 'whole')
  await assert.rejects(
    downloadFile(offered(url), path, fakeIo().io, none, []),
    (error) => error instanceof ApiError && error.code === 'UNREACHABLE',
  )
  assert.equal((await readdir(folder)).includes('whole'), false)
  away = false
  const { io, notes } = fakeIo()
  await downloadFile(offered(url), path, io, none, [])
  assert.ok(from > 0)
  assert.match(notes[0] ?? '', /^Going on after/)
  assert.deepEqual(await readFile(path), content)
})

test('a link that ends in the middle is replaced by a fresh one', async () => {
  let asked = 0
  const url = await serve((request, response) => {
    if (request.url === '/file') {
      response.writeHead(410).end()
      return
    }
    response.writeHead(200).end(content)
  })
  const path = join(folder, 'whole')
  const again = async () => {
    asked += 1
    return offered(`${url}/fresh`)
  }
  await downloadFile(offered(url), path, fakeIo().io, again, [1])
  assert.equal(asked, 1)
  assert.deepEqual(await readFile(path), content)
  await rm(path)
  await assert.rejects(
    downloadFile(offered(url), path, fakeIo().io, none, [1]),
    (error) => error instanceof ApiError && error.code === 'GONE',
  )
})

test('a file that is not what was announced is not kept, and what stood there before is', async () => {
  const path = join(folder, 'whole')
  await writeFile(path, 'before')
  const changed = Buffer.from(content)
  changed[1234] = (changed[1234] ?? 0) ^ 1
  const longer = Buffer.concat([content, Buffer.from('x')])
  for (const body of [changed, longer]) {
    const url = await serve((_request, response) => response.writeHead(200).end(body))
    await assert.rejects(
      downloadFile(offered(url), path, fakeIo().io, none, []),
      (error) => error instanceof ApiError && error.code === 'FILE_CHECKSUM_MISMATCH',
    )
    assert.equal(await readFile(path, 'utf8'), 'before')
    assert.deepEqual(await readdir(folder), ['whole'])
  }
})

test('filters, columns and orders are read as they are typed', () => {
  const is = (field: string, operator: string, value?: string) => ({
    where: value === undefined ? { field, operator } : { field, operator, value },
  })
  assert.deepEqual(filterOf(['city = Bad Ems']), is('city', 'EQ', 'Bad Ems'))
  assert.deepEqual(filterOf(['email!=', 'contact.email=', 'listPrice>=1', 'a*=b=c', 'custom.x^=y']), {
    and: [
      is('email', 'IS_NOT_NULL'),
      is('contact.email', 'IS_NULL'),
      is('listPrice', 'GTE', '1'),
      is('a', 'CONTAINS', 'b=c'),
      is('custom.x', 'STARTS_WITH', 'y'),
    ],
  })
  assert.deepEqual(filterOf(['{"not":{"where":{"field":"a","operator":"IS_NULL"}}}']), { not: is('a', 'IS_NULL') })
  assert.equal(filterOf([]), undefined)
  assert.deepEqual(columnsOf('id, A=b=firstName'), [{ field: 'id' }, { field: 'firstName', header: 'A=b' }])
  assert.deepEqual(orderOf('lastName, createdAt:desc'), [
    { field: 'lastName', direction: 'ASC' },
    { field: 'createdAt', direction: 'DESC' },
  ])
})

test('a name that a server says leads nowhere else', () => {
  assert.deepEqual(['../../x.csv', 'C:\\y.csv', '..', '', 'a\u001b[2J.csv'].map(localName), [
    'x.csv',
    'y.csv',
    'portage-export',
    'portage-export',
    'a [2J.csv',
  ])
})
