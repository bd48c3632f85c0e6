import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { makeLink, readLink } from '../../src/access/links.js'
import { decodeId, newId } from '../../src/ids.js'
import { LINK_SECONDS } from '../../src/limits.js'
import { type Actor, dataOf, World } from './world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start({ worker: false })
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

const content = `name,email\n${Array.from({ length: 40 }, (_, i) => `Person ${i},p${i}@example.com\n`).join('')}`
const etag = `"${createHash('sha256').update(content).digest('hex')}"`

async function uploaded(name = 'people.csv'): Promise<string> {
  const answer = dataOf(
    await world.upload(
      ada,
      'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code } } }',
      { name },
      content,
    ),
  )
  return decodeId('file', answer.fileUpload.file.id)
}

function linkTo(object: string, now = Date.now()): string {
  return makeLink(
    world.config,
    { kind: 'source', tenantId: ada.tenantId, object, actor: 'ada@example.com' },
    'people.csv',
    now,
  ).url
}

test('one range, of the beginning, the middle or the end, is answered with just that', async () => {
  const url = linkTo(await uploaded())
  const size = content.length
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 0],
    ['bytes=10-19', 10, 19],
    [`bytes=${size - 7}-`, size - 7, size - 1],
    ['bytes=-7', size - 7, size - 1],
    [`bytes=5-${size + 100}`, 5, size - 1],
    [`bytes=-${size + 100}`, 0, size - 1],
  ] as const) {
    const answer = await fetch(url, { headers: { range } })
    assert.equal(answer.status, 206, range)
    assert.equal(answer.headers.get('content-range'), `bytes ${from}-${to}/${size}`)
    assert.equal(answer.headers.get('content-length'), String(to - from + 1))
    assert.equal(await answer.text(), content.slice(from, to + 1))
  }
})

test('a range behind the end is refused with the size, what is no range is passed over', async () => {
  const url = linkTo(await uploaded())
  for (const range of [`bytes=${content.length}-`, 'bytes=999999-1000000', 'bytes=-0']) {
    const answer = await fetch(url, { headers: { range } })
    assert.equal(answer.status, 416, range)
    assert.equal(answer.headers.get('content-range'), `bytes */${content.length}`)
    assert.equal(answer.headers.get('content-disposition'), null)
    assert.equal((JSON.parse(await answer.text()) as { errors: object[] }).errors.length, 1)
  }
  for (const range of ['bytes=9-3', 'bytes=-', 'bytes=0-1,3-4', 'rows=0-1', 'bytes=a-b', `bytes=${'9'.repeat(16)}-`]) {
    const answer = await fetch(url, { headers: { range } })
    assert.equal(answer.status, 200, range)
    assert.equal(await answer.text(), content)
  }
})

test('a download goes on only with the file that it began with', async () => {
  const url = linkTo(await uploaded())
  const whole = await fetch(url)
  assert.equal(whole.headers.get('etag'), etag)
  assert.equal(whole.headers.get('accept-ranges'), 'bytes')
  assert.equal(await whole.text(), content)
  for (const [condition, status] of [
    [etag, 206],
    ['"another"', 200],
    [`W/${etag}`, 200],
    ['Mon, 23 Nov 2026 00:00:00 GMT', 200],
  ] as const) {
    const answer = await fetch(url, { headers: { range: 'bytes=3-', 'if-range': condition } })
    assert.equal(answer.status, status, condition)
    assert.equal(await answer.text(), status === 206 ? content.slice(3) : content)
  }
})

test('HEAD tells all about a file and sends nothing of it', async () => {
  const url = linkTo(await uploaded())
  const whole = await fetch(url, { method: 'HEAD' })
  assert.equal(whole.status, 200)
  assert.equal(whole.headers.get('content-length'), String(content.length))
  assert.equal(whole.headers.get('etag'), etag)
  assert.equal(await whole.text(), '')
  const part = await fetch(url, { method: 'HEAD', headers: { range: 'bytes=1-2' } })
  assert.equal(part.status, 206)
  assert.equal(part.headers.get('content-length'), '2')
})

test('a download is a file for the disk, whatever it is called [UP-11]', async () => {
  const names = [
    ['../../etc/passwd', 'passwd'],
    ['C:\\temp\\a.csv', 'a.csv'],
    ['in\u202evsc.exe', 'invsc.exe'],
    ['a"b\r\nset-cookie: x.csv', 'a"bset-cookie: x.csv'],
    ['Müller 🏠.csv', 'Müller 🏠.csv'],
  ] as const
  for (const [said, shown] of names) {
    const answer = await fetch(linkTo(await uploaded(said)))
    const header = answer.headers.get('content-disposition') ?? ''
    const [, plain = '', encoded = ''] =
      /^attachment; filename="([\x20-\x7e]*)"; filename\*=UTF-8''([\w.%~-]+)$/.exec(header) ?? []
    assert.equal(decodeURIComponent(encoded), shown)
    assert.doesNotMatch(plain, /["\\/%]/)
    assert.equal(answer.headers.get('set-cookie'), null)
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    assert.equal(answer.headers.get('content-security-policy'), "default-src 'none'; sandbox")
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    await answer.arrayBuffer()
  }
})

test('a link works for five minutes and then says that it has ended', async () => {
  const object = await uploaded()
  const { config } = world
  const now = 1_800_000_000_000
  const target = { kind: 'source', tenantId: ada.tenantId, object, actor: 'ada@example.com' } as const
  const made = makeLink(config, target, 'x', now)
  const signed = new URL(made.url).pathname.split('/')[2] ?? ''
  assert.equal(made.expiresAt.getTime(), now + 300_000)
  assert.deepEqual(readLink(config, signed, 'x', now + 299_999), target)
  assert.equal(readLink(config, signed, 'x', now + 300_000), 'ended')
  assert.equal(readLink(config, signed.slice(1), 'x', now), null)

  const answer = await fetch(linkTo(object, Date.now() - LINK_SECONDS * 1000 - 1000))
  assert.equal(answer.status, 410)
  const { errors } = JSON.parse(await answer.text()) as {
    errors: readonly { message: string; extensions: { code: string } }[]
  }
  assert.equal(errors[0]?.extensions.code, 'GONE')
  assert.match(errors[0]?.message ?? '', /link has ended/)
})

test('a link to a file that is gone, or was never there, says that it is gone', async () => {
  const object = await uploaded()
  const url = linkTo(object)
  assert.equal((await fetch(url, { method: 'HEAD' })).status, 200)
  await world.oracle.query('update source_file set purged_at = now() where id = $1', [object])
  const answers = await Promise.all([url, linkTo(newId())].map((each) => fetch(each)))
  for (const answer of answers) {
    assert.equal(answer.status, 410)
    assert.match(await answer.text(), /no longer there/)
  }
  // A link of the neighbour to the same file, made with the right key, finds nothing.
  const target = { kind: 'source', tenantId: await world.tenant(), object: await uploaded(), actor: 'x' } as const
  assert.equal((await fetch(makeLink(world.config, target, 'x').url)).status, 410)
  assert.equal((await fetch(`${world.url}/files/${randomBytes(40).toString('base64url')}/x.csv`)).status, 403)
})

test('a link that was changed in any place is refused, and no log has one [UP-16]', async () => {
  const object = await uploaded()
  const url = new URL(linkTo(object))
  assert.ok(!decodeURIComponent(url.href).includes('ada@example.com'), 'nor does it tell whose it is')
  const logged: string[] = []
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
    logged.push(String(chunk))
    return write(chunk, ...rest)
  }) as typeof process.stdout.write
  const path = url.pathname.slice('/files/'.length)
  const changes = path
    .split('')
    .flatMap((character, at) =>
      character === '/' ? [] : [`${path.slice(0, at)}${character === 'b' ? 'c' : 'b'}${path.slice(at + 1)}`],
    )
  assert.ok(changes.length > 100)
  try {
    for (const changed of changes) {
      const answer = await fetch(`${url.origin}/files/${changed}`)
      assert.equal(answer.status, 403, changed)
      await answer.arrayBuffer()
    }
    assert.equal((await fetch(url)).status, 200)
  } finally {
    process.stdout.write = write
  }
  const [signature = ''] = path.split('/')
  assert.ok(!logged.some((line) => line.includes(signature.slice(-20))))
  const { rows } = await world.oracle.query<{ actor: string; detail: object }>(
    "select actor, detail from audit_entry where tenant_id = $1 and action = 'download.source' order by id desc limit 1",
    [ada.tenantId],
  )
  assert.deepEqual(rows, [{ actor: 'ada@example.com', detail: { by: 'link' } }])
  // For another caller, another link.
  const other = await world.actor(ada.tenantId, undefined, 'grace@example.com')
  const links = await Promise.all(
    [ada, other].map(async (actor) => {
      const answer = await world.ask(actor, '{ recordSchema(recordType: LEAD) { templateFileUrl } }')
      return new URL(answer.recordSchema.templateFileUrl)
    }),
  )
  const parts = links.map(({ pathname }) => pathname.split('/')[2]?.split('.') ?? [])
  assert.equal(parts[0]?.length, 6)
  assert.notEqual(parts[0]?.[4], parts[1]?.[4])
})
