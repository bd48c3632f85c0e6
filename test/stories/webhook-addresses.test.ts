/**
 * Addresses that a tenant may give for a webhook to make the service ask something inside. Listeners on the loopback addresses of
 * this machine count connections: there may be none, by any spelling, name or answer of a resolver.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { guardedLookup, type Resolve } from '../../src/adapters/http/guard.js'
import { WebhookSender, webhookUrl } from '../../src/adapters/webhooks/send.js'
import { newWebhookSecret } from '../../src/adapters/webhooks/sign.js'
import { HookSink } from '../helpers/sinks.js'
import { type Actor, World } from '../server/world.js'

const listeners: Server[] = []
let port = 0
/** Connections that loopback addresses have seen. */
let seen = 0
let world: World
let ada: Actor
/** What names resolve to, one answer after the other; the last one again and again. */
let answers: (readonly string[])[] = []
let asked = 0

const resolve: Resolve = async () => {
  const addresses = answers[Math.min(asked, answers.length - 1)] ?? []
  asked += 1
  return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}

before(async () => {
  for (const host of ['127.0.0.1', '::1']) {
    const listener = createServer((_request, response) => response.end())
    listener.on('connection', () => {
      seen += 1
    })
    await new Promise<void>((done) => listener.listen(port, host, done))
    port = (listener.address() as AddressInfo).port
    listeners.push(listener)
  }
  world = await World.start({ resolve })
  ada = await world.actor(await world.tenant())
})
after(async () => {
  await world.close()
  for (const listener of listeners) {
    listener.close()
  }
})

/** What stands in the place of a host: every spelling that some parser reads as an address inside. */
const hosts = [
  // Loopback and this host: dotted, short, decimal, octal, hexadecimal, mixed.
  '127.0.0.1',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '127.255.255.254',
  '2130706433',
  '017700000001',
  '0177.0.0.1',
  '0177.0.0.01',
  '0x7f000001',
  '0x7f.0x0.0x0.0x1',
  '0x7f.1',
  '0',
  '0.0.0.0',
  // Private, shared, link-local, metadata of clouds.
  '10.0.0.1',
  '10.1',
  '172.16.0.1',
  '192.168.0.1',
  '192.168.1',
  '100.64.0.1',
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '0251.0376.0251.0376',
  '100.100.100.200',
  '192.0.0.192',
  // IPv6: loopback, any, mapped, compatible, translated, 6to4, local, with a zone.
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[0:0:0:0:0:ffff:a9fe:a9fe]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '[fe80::1]',
  '[fe80::1%25eth0]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  // Public, but an address.
  '93.184.215.14',
  '[2606:2800:21f:cb07:6820:80da:af6b:8b2c]',
  // Full-width digits and dots, ideographic stops, enclosed letters, soft hyphens.
  '１２７.０.０.１',
  '127。0。0。1',
  '127．0．0．1',
  '①②⑦.⓪.⓪.①',
  'ⓛocalhost',
  'loc\u00adalhost',
  // Names that lead inside, and names that are none of the internet's.
  'localhost',
  'localhost.',
  'LOCALHOST',
  'app.localhost',
  'portage',
  'printer.local',
  'metadata.google.internal',
  'metadata.google.internal.',
  'router.lan',
  'nas.home.arpa',
  'hidden.onion',
  'something.test',
  '1.0.0.127.in-addr.arpa',
  'receiver.example.com.',
  'receiver..example.com',
  '%6c%6f%63%61%6c%68%6f%73%74',
  '127.0.0.1%00.example.com',
] as const

const spelled: readonly string[] = [
  ...hosts.map((host) => `https://${host}/hook`),
  // A good name with something wrong about it.
  'http://hooks.example.com/',
  'https://hooks.example.com:8443/',
  'https://hooks.example.com:22/',
  'https://hooks.example.com:80/',
  'https://user@hooks.example.com/',
  'https://user:password@hooks.example.com/',
  'https://hooks.example.com@127.0.0.1/',
  'https://127.0.0.1\\@hooks.example.com/',
  'https://127.0.0.1#.example.com/',
  'https://127.0.0.1?.example.com/',
  'https://127.0.0.1;.example.com/',
  'https:\\\\127.0.0.1\\',
  '//hooks.example.com/',
  'ftp://hooks.example.com/',
  'file:///etc/passwd',
  'gopher://hooks.example.com/',
  'data:text/plain,x',
  'javascript:alert(1)',
  'https://hooks.example.com/\r\nhost: 127.0.0.1',
  'https://hooks.example.com/ x',
  'https://hooks.example.com/#fragment',
  `https://hooks.example.com/${'x'.repeat(2000)}`,
  'hooks.example.com',
  '',
]

const saving = `mutation ($input: WebhookSaveInput!) { webhookSave(input: $input) { webhook { id } userErrors { code field message } } }`

async function attempt(url: string, totalMs = 5000): Promise<string | null> {
  const sender = new WebhookSender({ origins: null, resolve, totalMs })
  try {
    const { error } = await sender.send(
      { url, id: 'whd_x', body: '{}', secrets: [newWebhookSecret()] },
      new AbortController().signal,
    )
    return error
  } finally {
    sender.close()
  }
}

test(`${spelled.length} addresses are refused when a webhook is saved, and would not be asked if they were there [OA-5]`, async () => {
  assert.ok(spelled.length >= 60)
  answers = [['127.0.0.1']]
  for (const url of spelled) {
    for (const odd of new Set([url, url.replace('/hook', `:${port}/hook`)])) {
      const { webhookSave } = await world.ask(ada, saving, { input: { url: odd, events: ['RUN_COMPLETED'] } })
      assert.deepEqual(
        webhookSave.userErrors.map(({ code, field }: { code: string; field: string[] }) => [code, field]),
        [['INVALID_INPUT', ['url']]],
        odd,
      )
      assert.match(webhookSave.userErrors[0].message, /^Address not allowed/)
      if (URL.canParse(odd) && odd.length < 2000 && new URL(odd).hostname !== 'hooks.example.com') {
        assert.equal(await attempt(odd), 'ADDRESS_NOT_ALLOWED', odd)
      }
    }
  }
  assert.equal(webhookUrl('https://Hooks.EXAMPLE.com:443/a?b=c', null), 'https://hooks.example.com/a?b=c')
  assert.equal(webhookUrl('https://bücher.example.com/', null), 'https://xn--bcher-kva.example.com/')
  assert.equal(seen, 0)
})

test('a public name that resolves to an address inside, alone or among others, is not connected to [OA-5]', async () => {
  for (const address of [
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.178.1',
    '100.64.0.1',
    '169.254.169.254',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001::1',
    'fd00::1',
    'fe80::1',
    'ff02::1',
  ]) {
    for (const given of [[address], ['93.184.215.14', address], [address, '93.184.215.14']]) {
      answers = [given]
      assert.equal(await attempt('https://hooks.example.com/'), 'ADDRESS_NOT_ALLOWED', given.join())
    }
  }
  answers = [[]]
  assert.equal(await attempt('https://hooks.example.com/'), 'ADDRESS_NOT_ALLOWED')
  assert.equal(seen, 0)
})

test('an answer that flips between the look and the connection changes nothing: there is one look [OA-5]', async () => {
  for (let round = 0; round < 5; round++) {
    asked = 0
    answers = [['127.0.0.1'], ['93.184.215.14'], ['127.0.0.1']]
    assert.equal(await attempt('https://hooks.example.com/'), 'ADDRESS_NOT_ALLOWED')
    assert.equal(asked, 1)
  }
  // The other way about: what was looked at is what the connection gets, so the answer that comes second is never used.
  asked = 0
  answers = [['93.184.215.14'], ['127.0.0.1']]
  const given = await new Promise((done) => {
    guardedLookup(resolve, { hosts: 'public', standIns: null })('hooks.example.com', { all: true }, (_, found) =>
      done(found),
    )
  })
  assert.deepEqual(given, [{ address: '93.184.215.14', family: 4 }])
  assert.equal(asked, 1)
  assert.equal(seen, 0)
})

test('a delivery of a saved webhook is held to the same, and its log tells nothing of what is there [OA-5]', async () => {
  answers = [['::ffff:127.0.0.1']]
  const { webhookSave } = await world.ask(ada, saving, {
    input: { url: 'https://hooks.example.com/hook', events: ['RUN_COMPLETED'] },
  })
  const { id } = webhookSave.webhook
  await world.import(ada, 'CONTACT', 'E-mail\na@example.com\n')
  for (;;) {
    const { node } = await world.ask(
      ada,
      'query ($id: ID!) { node(id: $id) { ... on Webhook { lastDelivery { error status attempts } } } }',
      {
        id,
      },
    )
    if (node.lastDelivery !== null) {
      assert.deepEqual(node.lastDelivery, { error: 'ADDRESS_NOT_ALLOWED', status: null, attempts: 1 })
      break
    }
  }
  assert.equal(seen, 0)
})

test('a redirect to loopback is an answer like any other that is no success: nobody goes there [OA-5]', async () => {
  const sink = await HookSink.start()
  try {
    for (const status of [301, 302, 303, 307, 308]) {
      for (const location of [
        `http://127.0.0.1:${port}/`,
        `http://[::1]:${port}/`,
        '//127.0.0.1/',
        'file:///etc/passwd',
      ]) {
        sink.answers.push(status)
        sink.location = location
        const sender = new WebhookSender({ origins: [sink.origin] })
        const sent = await sender.send(
          { url: `${sink.origin}/`, id: 'whd_x', body: '{}', secrets: [newWebhookSecret()] },
          new AbortController().signal,
        )
        sender.close()
        assert.deepEqual(sent, { status, error: `HTTP_${status}` })
      }
    }
  } finally {
    await sink.close()
  }
  assert.equal(seen, 0)
})

test('a receiver that drips, floods or hangs costs an attempt its time and no more', async () => {
  const drip = createServer((request, response) => {
    if (request.url === '/hang') {
      return
    }
    response.writeHead(200)
    if (request.url === '/flood') {
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) {
          // Until the other end has had enough.
        }
      }
      response.on('drain', pour)
      pour()
    } else {
      response.write('x')
    }
  })
  await new Promise<void>((done) => drip.listen(0, '127.0.0.1', done))
  const origin = `http://127.0.0.1:${(drip.address() as AddressInfo).port}`
  try {
    for (const [path, status, error] of [
      ['/hang', null, 'TIMED_OUT'],
      ['/drip', 200, null],
      ['/flood', 200, null],
    ] as const) {
      const sender = new WebhookSender({ origins: [origin], totalMs: 300 })
      const started = performance.now()
      const sent = await sender.send(
        { url: `${origin}${path}`, id: 'whd_x', body: '{}', secrets: [newWebhookSecret()] },
        new AbortController().signal,
      )
      sender.close()
      assert.deepEqual(sent, { status, error }, path)
      assert.ok(performance.now() - started < 5000, path)
    }
  } finally {
    drip.closeAllConnections()
    drip.close()
  }
})
