import assert from 'node:assert/strict'
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { permissions } from '../../src/access/permissions.js'
import { MAX_TOKEN_LENGTH, signToken, Unauthenticated, verifyToken } from '../../src/access/tokens.js'
import { type Config, loadConfig } from '../../src/config.js'
import { RetryableError } from '../../src/errors.js'

const folder = mkdtempSync(join(tmpdir(), 'portage-tokens-'))
const tenantId = '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'
const local = loadConfig({ PORTAGE_DATA_DIR: folder, PORTAGE_SECRET: 'a secret of the tests, 32 characters' })
const stranger = loadConfig({ PORTAGE_DATA_DIR: folder, PORTAGE_SECRET: 'another secret of the tests, longer too' })
const issuer = 'https://issuer.example'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const outside = loadConfig({
  PORTAGE_DATA_DIR: folder,
  PORTAGE_JWT_PUBLIC_KEY: spki(rsa.publicKey),
  PORTAGE_JWT_ISSUER: issuer,
  PORTAGE_JWT_AUDIENCE: 'portage-api',
})
const keySet = createServer((_request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(
    JSON.stringify({ keys: [{ ...ec.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' }] }),
  )
})
let withKeySet: Config

before(async () => {
  await new Promise<void>((settle) => keySet.listen(0, '127.0.0.1', settle))
  const address = keySet.address()
  assert.ok(address !== null && typeof address === 'object')
  withKeySet = configOfKeySet(`http://127.0.0.1:${address.port}/keys`)
})
after(async () => {
  keySet.closeAllConnections()
  await new Promise((settle) => keySet.close(settle))
  rmSync(folder, { recursive: true, force: true })
})

function configOfKeySet(url: string): Config {
  return loadConfig({
    PORTAGE_DATA_DIR: folder,
    PORTAGE_SECRET: 'a secret of the tests, 32 characters',
    PORTAGE_JWT_JWKS_URL: url,
    PORTAGE_JWT_ISSUER: issuer,
    PORTAGE_JWT_AUDIENCE: 'portage-api',
  })
}

function spki(key: KeyObject): string {
  return String(key.export({ type: 'spki', format: 'pem' }))
}

const now = Math.floor(Date.now() / 1000)
const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

type Signer = (input: string) => Buffer | string
const hs256 =
  (key: Buffer | string): Signer =>
  (input) =>
    createHmac('sha256', key).update(input).digest()
const rs256: Signer = (input) => sign('sha256', Buffer.from(input), rsa.privateKey)
const es256: Signer = (input) => sign('sha256', Buffer.from(input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })

function forge(header: object, payload: unknown, signer: Signer): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${Buffer.from(signer(input)).toString('base64url')}`
}

const ours = {
  tenant_id: tenantId,
  permissions: ['RECORD_READ'],
  sub: 'ada',
  iss: 'portage',
  aud: 'portage',
  iat: now,
  exp: now + 60,
}
const theirs = { ...ours, iss: issuer, aud: 'portage-api' }
const ownKey = local.secret.key('token signing')
const good = { alg: 'HS256', typ: 'JWT' }
const without = (payload: object, name: string) =>
  Object.fromEntries(Object.entries(payload).filter(([key]) => key !== name))

test('a token that we made tells who calls', async () => {
  const token = await signToken({ tenantId, actor: 'ada', permissions, expiresIn: 60 }, local)
  const identity = await verifyToken(token, local)
  assert.ok(identity.expiresAt !== null && Math.abs(identity.expiresAt.getTime() - Date.now() - 60_000) < 5000)
  assert.deepEqual(
    { ...identity, expiresAt: null },
    { tenantId, actor: 'ada', permissions: [...permissions], expiresAt: null, kind: 'user', keyId: null },
  )
})

test('tokens of an outside issuer are taken by key and by key set', async () => {
  assert.equal((await verifyToken(forge({ alg: 'RS256' }, theirs, rs256), outside)).actor, 'ada')
  assert.equal((await verifyToken(forge({ alg: 'ES256', kid: 'one' }, theirs, es256), withKeySet)).actor, 'ada')
})

test('permissions that this version does not know grant nothing', async () => {
  const token = forge(good, { ...ours, permissions: ['RECORD_READ', 'EVERYTHING', 7] }, hs256(ownKey))
  assert.deepEqual((await verifyToken(token, local)).permissions, ['RECORD_READ'])
})

test('a clock that is off by 3 seconds does no harm, one by 10 does', async () => {
  const second = Math.floor(Date.now() / 1000)
  await verifyToken(forge(good, { ...ours, exp: second - 3 }, hs256(ownKey)), local)
  await refused(forge(good, { ...ours, exp: second - 10 }, hs256(ownKey)), local, 'ended 10 seconds ago')
})

async function refused(token: string, config: Config, name: string): Promise<void> {
  await assert.rejects(
    () => verifyToken(token, config),
    (error) => {
      assert.ok(error instanceof Unauthenticated, `${name}: ${String(error)}`)
      assert.equal(error.message, new Unauthenticated().message)
      assert.equal(error.cause, undefined)
      return true
    },
    name,
  )
}

/** Each is a good token with one thing wrong; the tests above are the positive control. */
const forgeries: readonly (readonly [name: string, token: () => string, config: () => Config])[] = [
  ['unsigned', () => forge({ alg: 'none' }, ours, () => ''), () => local],
  ['unsigned in other letters', () => forge({ alg: 'nOnE' }, ours, () => ''), () => local],
  ['signed with another secret', () => forge(good, ours, hs256(stranger.secret.key('token signing'))), () => local],
  ['signed with our key for links', () => forge(good, ours, hs256(local.secret.key('link signing'))), () => local],
  ['signed with nothing', () => forge(good, ours, hs256('')), () => local],
  [
    'of another HMAC',
    () => forge({ alg: 'HS512' }, ours, (input) => createHmac('sha512', ownKey).update(input).digest()),
    () => local,
  ],
  ['changed after signing', () => swapPayload(forge(good, ours, hs256(ownKey)), { ...ours, sub: 'root' }), () => local],
  ['without its signature', () => `${forge(good, ours, hs256(ownKey)).split('.').slice(0, 2).join('.')}.`, () => local],
  ['ended', () => forge(good, { ...ours, exp: now - 60 }, hs256(ownKey)), () => local],
  ['without an end', () => forge(good, without(ours, 'exp'), hs256(ownKey)), () => local],
  ['with an end that is text', () => forge(good, { ...ours, exp: String(now + 60) }, hs256(ownKey)), () => local],
  ['not valid yet', () => forge(good, { ...ours, nbf: now + 60 }, hs256(ownKey)), () => local],
  ['for another audience', () => forge(good, { ...ours, aud: 'elsewhere' }, hs256(ownKey)), () => local],
  ['of another issuer', () => forge(good, { ...ours, iss: issuer }, hs256(ownKey)), () => local],
  ['without a tenant', () => forge(good, without(ours, 'tenant_id'), hs256(ownKey)), () => local],
  [
    'with a tenant that is no id',
    () => forge(good, { ...ours, tenant_id: "' or true --" }, hs256(ownKey)),
    () => local,
  ],
  ['with a list of tenants', () => forge(good, { ...ours, tenant_id: [tenantId] }, hs256(ownKey)), () => local],
  ['without an actor', () => forge(good, { ...ours, sub: ' ' }, hs256(ownKey)), () => local],
  [
    'with a line break in the actor',
    () => forge(good, { ...ours, sub: 'ada\n{"level":"info"}' }, hs256(ownKey)),
    () => local,
  ],
  ['with permissions as text', () => forge(good, { ...ours, permissions: 'RECORD_READ' }, hs256(ownKey)), () => local],
  [
    'asking to be read another way',
    () => forge({ ...good, crit: ['b64'], b64: false }, ours, hs256(ownKey)),
    () => local,
  ],
  [
    'too long',
    () => forge(good, { ...ours, sub: 'a', filler: 'x'.repeat(MAX_TOKEN_LENGTH) }, hs256(ownKey)),
    () => local,
  ],
  ['no token at all', () => 'not.a.token', () => local],
  ['empty', () => '', () => local],
  ['HMAC with their public key', () => forge({ alg: 'HS256' }, theirs, hs256(spki(rsa.publicKey))), () => outside],
  ['of ours where theirs count', () => forge(good, ours, hs256(outside.secret.key('token signing'))), () => outside],
  ['of another algorithm than the key is for', () => forge({ alg: 'ES256' }, theirs, es256), () => outside],
  ['bringing its own key', () => forge({ alg: 'ES256', jwk: ownJwk() }, theirs, es256), () => outside],
  [
    'naming where its key is',
    () => forge({ alg: 'RS256', kid: 'one', jku: 'http://127.0.0.1:9/keys' }, theirs, rs256),
    () => withKeySet,
  ],
  [
    'with a path as key id',
    () => forge({ alg: 'ES256', kid: '../../../../dev/null' }, theirs, es256),
    () => withKeySet,
  ],
  [
    'with SQL as key id',
    () => forge({ alg: 'HS256', kid: "x' union select 'key" }, theirs, hs256('key')),
    () => withKeySet,
  ],
  [
    'HMAC with the key set',
    () => forge({ alg: 'HS256', kid: 'one' }, theirs, hs256(spki(ec.publicKey))),
    () => withKeySet,
  ],
]

function swapPayload(token: string, payload: object): string {
  const [header, , signature] = token.split('.')
  return `${header}.${encode(payload)}.${signature}`
}

function ownJwk() {
  return createPublicKey(ec.publicKey.export({ type: 'spki', format: 'pem' })).export({ format: 'jwk' })
}

for (const [name, token, config] of forgeries) {
  test(`refuses a token ${name} [AR-2]`, async () => refused(token(), config(), name))
}

test('keys of the issuer come and go: a new one is fetched when it is met, one that was withdrawn ends, and made-up ones cost no request [AR-2]', async (context) => {
  const next = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' })
  let keys = [jwk(ec.publicKey, 'one')]
  let asked = 0
  const rotating = createServer((_request, response) => {
    asked += 1
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }))
  })
  await new Promise<void>((settle) => rotating.listen(0, '127.0.0.1', settle))
  const address = rotating.address()
  const config = configOfKeySet(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/keys`)
  const signedBy = (key: KeyObject, kid: string) =>
    forge({ alg: 'ES256', kid }, { ...theirs, exp: now + 7200 }, (input) =>
      sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }),
    )
  const [one, two] = [signedBy(ec.privateKey, 'one'), signedBy(next.privateKey, 'two')]
  context.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const later = (seconds: number) => context.mock.timers.tick(seconds * 1000)
  try {
    assert.equal((await verifyToken(one, config)).actor, 'ada')
    assert.equal(asked, 1)
    keys = [jwk(next.publicKey, 'two'), jwk(ec.publicKey, 'one')]
    later(31)
    assert.equal((await verifyToken(two, config)).actor, 'ada')
    assert.equal((await verifyToken(one, config)).actor, 'ada', 'both are good while both are there')
    assert.equal(asked, 2)
    for (let i = 0; i < 50; i++) {
      await assert.rejects(verifyToken(signedBy(next.privateKey, `made up ${i}`), config), Unauthenticated)
    }
    assert.equal(asked, 2, 'who makes names up does not have the issuer asked')
    keys = [jwk(next.publicKey, 'two')]
    later(601)
    await assert.rejects(verifyToken(one, config), Unauthenticated)
    assert.equal((await verifyToken(two, config)).actor, 'ada')
    // A name that comes back with another key behind it is that key.
    keys = [jwk(next.publicKey, 'one')]
    later(601)
    await assert.rejects(verifyToken(one, config), Unauthenticated)
    assert.equal((await verifyToken(signedBy(next.privateKey, 'one'), config)).actor, 'ada')
  } finally {
    rotating.closeAllConnections()
    await new Promise((settle) => rotating.close(settle))
  }
})

test('makes no tokens where they come from outside', async () => {
  await assert.rejects(
    () => signToken({ tenantId, actor: 'ada', permissions, expiresIn: 60 }, outside),
    /issuer\.example/,
  )
})

test('keys that cannot be fetched are no fault of the token', async () => {
  const unreachable = configOfKeySet('http://127.0.0.1:9/keys')
  const token = forge({ alg: 'ES256', kid: 'one' }, theirs, es256)
  const isUnavailable = (error: unknown) => error instanceof RetryableError && error.code === 'SIGN_IN_UNAVAILABLE'
  await assert.rejects(() => verifyToken(token, unreachable), isUnavailable)
  // And again at once, while the key set rests.
  await assert.rejects(() => verifyToken(token, unreachable), isUnavailable)
})
