import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { after, before, test } from 'node:test'
import { HttpClient, type Surroundings } from '../../../src/adapters/http/client.js'
import { allowedUrl, isPublicAddress, type Resolve } from '../../../src/adapters/http/guard.js'
import { salesforcePolicy } from '../../../src/adapters/http/policy.js'
import { Hidden } from '../../../src/hidden.js'
import { openBudget } from './open-budget.js'

let server: Server
let port = 0
/** Connections that the machine's own addresses have seen: none may ever be. */
let seen = 0

before(async () => {
  server = createServer((_request, response) => response.end('{}'))
  server.on('connection', () => {
    seen += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
})
after(() => server.close())

const rule = { hosts: ['.salesforce.com'], standIns: null }
const now: Surroundings = { now: () => 0, sleep: async () => undefined, random: () => 0 }

/** Asks `path` with every name resolving to these addresses; answers the code of the refusal. */
async function asked(path: string, addresses: readonly string[], origin = 'https://acme.my.salesforce.com') {
  const resolve: Resolve = async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const client = new HttpClient({ policy: salesforcePolicy, rule, budget: openBudget(), resolve, surroundings: now })
  try {
    await client.json({ origin, token: new Hidden('canary') }, { method: 'GET', path })
    return 'answered'
  } catch (error) {
    return (error as { code?: string }).code
  } finally {
    client.close()
  }
}

const hosts = [
  '127.0.0.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '0x7f.1',
  '127.1',
  '0',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.0.1',
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:a9fe:a9fe]',
  '[64:ff9b::7f00:1]',
  '[fe80::1]',
  '[fc00::1]',
  'localhost',
  'localhost.',
  '１２７.０.０.１',
  '127。0。0。1',
  'ⓛocalhost',
  'metadata.google.internal',
  'evil.example',
  'salesforce.com.evil.example',
  'evilsalesforce.com',
  'acme.my.salesforce.com.',
  'salesforce.com',
  'xn--sales-9ta.com',
]

test('no spelling of an address or of a strange host is ever asked', async () => {
  for (const host of hosts) {
    for (const scheme of ['https', 'http']) {
      for (const suffix of ['', `:${port}`]) {
        const url = `${scheme}://${host}${suffix}/x`
        assert.equal(await asked(url, ['127.0.0.1']), 'ADDRESS_NOT_ALLOWED', url)
      }
    }
  }
  assert.equal(seen, 0)
})

test('a host of the vendor is not enough: scheme, port and user have to be right too', async () => {
  for (const url of [
    'http://acme.my.salesforce.com/x',
    'https://acme.my.salesforce.com:8443/x',
    'https://user@acme.my.salesforce.com/x',
    'https://acme.my.salesforce.com:pw@127.0.0.1/x',
    'https://acme.my.salesforce.com@evil.example/x',
    'https://evil.example\\@acme.my.salesforce.com/x',
    'https://evil.example#.salesforce.com/x',
    'https://evil.example?.salesforce.com/x',
  ]) {
    assert.equal(await asked(url, ['127.0.0.1']), 'ADDRESS_NOT_ALLOWED', url)
  }
  for (const origin of ['file:///etc/passwd#', 'gopher://acme.my.salesforce.com', 'data:,']) {
    assert.equal(await asked('/x', ['127.0.0.1'], origin), 'ADDRESS_NOT_ALLOWED', origin)
  }
  assert.equal(allowedUrl('https://ACME.my.Salesforce.com/x', rule).href, 'https://acme.my.salesforce.com/x')
})

test('a name of the vendor that resolves to a private address is not connected to', async () => {
  for (const address of [
    '127.0.0.1',
    '10.1.2.3',
    '169.254.169.254',
    '::1',
    '::ffff:127.0.0.1',
    'fd00::1',
    '100.64.0.1',
  ]) {
    assert.equal(await asked('/x', [address]), 'ADDRESS_NOT_ALLOWED', address)
    // One bad address among good ones is a trap.
    assert.equal(await asked('/x', ['93.184.215.14', address]), 'ADDRESS_NOT_ALLOWED', address)
  }
  assert.equal(seen, 0)
})

test('a name whose answer flips is resolved once for each connection, and goes where that answer says', async () => {
  let times = 0
  const resolve: Resolve = async () => {
    times += 1
    return [{ address: times % 2 === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }]
  }
  const client = new HttpClient({ policy: salesforcePolicy, rule, budget: openBudget(), resolve, surroundings: now })
  for (let attempt = 1; attempt <= 4; attempt++) {
    await assert.rejects(
      client.json({ origin: 'https://a.salesforce.com', token: new Hidden('t') }, { method: 'GET', path: '/' }),
      { code: 'ADDRESS_NOT_ALLOWED' },
    )
    assert.equal(times, attempt)
  }
  client.close()
  assert.equal(seen, 0)
})

test('a redirect is checked like the first address', async () => {
  const targets = [
    'http://169.254.169.254/latest/meta-data',
    'https://evil.example/',
    '//evil.example/',
    `http://127.0.0.1:${port}/`,
    `http://[::1]:${port}/`,
    'file:///etc/passwd',
  ]
  let target = ''
  const vendor = createServer((request, response) => {
    if (request.url === '/here') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"here":true}')
    } else {
      response.writeHead(302, { location: target }).end()
    }
  })
  await new Promise<void>((resolve) => vendor.listen(0, '127.0.0.1', resolve))
  const address = vendor.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const client = new HttpClient({
    policy: salesforcePolicy,
    rule: { hosts: [], standIns: [origin] },
    budget: openBudget(),
    surroundings: now,
  })
  const access = { origin, token: new Hidden('canary') }
  for (target of targets) {
    await assert.rejects(client.json(access, { method: 'GET', path: '/away' }), { code: 'ADDRESS_NOT_ALLOWED' }, target)
  }
  target = '/away'
  await assert.rejects(client.json(access, { method: 'GET', path: '/away' }), { code: 'REDIRECTED' })
  target = '/here'
  const answer = await client.json<{ here: boolean }>(access, { method: 'GET', path: '/away' })
  assert.deepEqual(answer.kind === 'answer' ? answer.value : null, { here: true })
  client.close()
  vendor.close()
  assert.equal(seen, 0)
})

test('public addresses are told from all others', () => {
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '192.167.1.1', '2606:4700:4700::1111', '2a00:1450::1']) {
    assert.ok(isPublicAddress(address), address)
  }
  const others = '0.1.2.3 100.127.0.1 192.0.0.8 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.9 224.0.0.1 255.255.255.255'
  for (const address of [
    ...others.split(' '),
    '2001:db8::1',
    '2002:7f00:1::',
    '2001::1',
    'ff02::1',
    'fe80::1%1',
    'x',
    '',
  ]) {
    assert.ok(!isPublicAddress(address), address)
  }
})
