import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { ConfigError, childEnvironment, loadConfig, settings } from '../src/config.js'

const folder = mkdtempSync(join(tmpdir(), 'portage-config-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let places = 0
const fresh = () => ({ PORTAGE_DATA_DIR: join(folder, String(++places)) })

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig({ ...fresh(), ...env })
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  assert.fail('these settings should have been refused')
}

const pem = (type: 'spki' | 'pkcs8', pair = generateKeyPairSync('ed25519')) =>
  String(
    type === 'spki' ? pair.publicKey.export({ type, format: 'pem' }) : pair.privateKey.export({ type, format: 'pem' }),
  )

test('starts with no settings at all', () => {
  const config = loadConfig(fresh())
  assert.equal(config.role, 'all')
  assert.equal(config.publicUrl, 'http://127.0.0.1:4000')
  assert.equal(config.databaseUrl, null)
  assert.equal(config.maxUploadBytes, 5 * 1024 ** 3)
  assert.deepEqual(config.verification, { kind: 'local' })
  assert.equal(config.introspection, true)
  assert.equal(config.supervised, false)
})

test('reports every problem at once, with the value but without secrets', () => {
  const problems = problemsOf({
    PORTAGE_PORT: '70000',
    PORTAGE_ROLE: 'both',
    PORTAGE_SECRET: 'too-short-canary',
    DATABASE_URL: 'mysql://u:canary@h/d',
    PORTAGE_CHUNKS_IN_FLIGHT: '3',
    PORTAGE_JWT_ISSUER: 'https://issuer.example',
  })
  assert.deepEqual(problems, [
    'PORTAGE_PORT is "70000": expected a whole number from 1 to 65535',
    'PORTAGE_ROLE is "both": expected one of all, api, worker',
    'DATABASE_URL: expected postgres://user:password@host:port/database',
    'PORTAGE_SECRET: expected at least 32 characters',
    'PORTAGE_CHUNKS_IN_FLIGHT is "3": expected a whole number from 1 to 2',
    'PORTAGE_JWT_ISSUER, PORTAGE_JWT_AUDIENCE: of no use without PORTAGE_JWT_JWKS_URL or PORTAGE_JWT_PUBLIC_KEY',
  ])
})

test('holds every limit at its edge', () => {
  for (const [name, minimum, maximum] of [
    ['PORTAGE_PORT', 1, 65_535],
    ['PORTAGE_CHUNKS_IN_FLIGHT', 1, 2],
    ['PORTAGE_CHUNK_ROWS', 100, 50_000],
    ['PORTAGE_STAGED_UPLOAD_BYTES', 1, 1024 ** 4],
    ['PORTAGE_CONCURRENT_RUNS', 1, 32],
    ['PORTAGE_FILE_RETENTION_DAYS', 1, 3650],
    ['PORTAGE_EVENT_RETENTION_DAYS', 1, 3650],
    ['PORTAGE_DB_POOL', 1, 500],
  ] as const) {
    for (const good of [minimum, maximum]) {
      assert.doesNotThrow(() => loadConfig({ ...fresh(), [name]: String(good) }))
    }
    for (const bad of [String(minimum - 1), String(maximum + 1), '1.5', '1e1', 'x']) {
      assert.equal(problemsOf({ [name]: bad }).length, 1, `${name}=${bad}`)
    }
  }
})

test('takes a virus scanner by its socket or by host and port', () => {
  assert.equal(loadConfig(fresh()).clamd, null)
  for (const [text, expected] of [
    ['/run/clamav/clamd.ctl', { path: '/run/clamav/clamd.ctl' }],
    ['clamd.local:3310', { host: 'clamd.local', port: 3310 }],
    ['tcp://127.0.0.1:3310', { host: '127.0.0.1', port: 3310 }],
    ['[::1]:3310', { host: '::1', port: 3310 }],
  ] as const) {
    assert.deepEqual(loadConfig({ ...fresh(), PORTAGE_CLAMD: text }).clamd, expected)
  }
  for (const bad of ['clamd', 'clamd:0', 'clamd:65536', 'run/clamd.ctl', ':3310', 'http://clamd:3310/x']) {
    assert.equal(problemsOf({ PORTAGE_CLAMD: bad }).length, 1, bad)
  }
})

test('makes the secret once and keeps it from other users', () => {
  const env = fresh()
  const first = loadConfig(env).secret.text('token signing')
  assert.equal(loadConfig(env).secret.text('token signing'), first)
  assert.equal(statSync(join(env.PORTAGE_DATA_DIR, 'secret')).mode & 0o777, 0o600)
  assert.notEqual(loadConfig(fresh()).secret.text('token signing'), first)
})

test('derives a key of its own for each purpose and shows none of them', () => {
  const PORTAGE_SECRET = 'canary-canary-canary-canary-canary'
  const config = loadConfig({ ...fresh(), PORTAGE_SECRET })
  const keys = (
    ['token signing', 'link signing', 'database role portage_api', 'database role portage_worker'] as const
  ).map((label) => config.secret.text(label))
  assert.equal(new Set(keys).size, keys.length)
  assert.equal(config.secret.key('token signing').length, 32)
  assert.equal(loadConfig({ ...fresh(), PORTAGE_SECRET }).secret.text('token signing'), keys[0])
  assert.doesNotMatch(`${inspect(config, { depth: null, showHidden: true })}${JSON.stringify(config)}`, /canary/)
})

test('refuses a damaged secret instead of making another one', () => {
  const env = fresh()
  loadConfig(env)
  const path = join(env.PORTAGE_DATA_DIR, 'secret')
  chmodSync(path, 0o600)
  writeFileSync(path, 'cut off')
  assert.throws(() => loadConfig(env), ConfigError)
})

test('takes outside tokens only with key, issuer and audience', () => {
  const outside = { PORTAGE_JWT_ISSUER: 'https://issuer.example', PORTAGE_JWT_AUDIENCE: 'portage' }
  const key = pem('spki')
  const jwks = { PORTAGE_JWT_JWKS_URL: 'https://issuer.example/keys' }
  const config = loadConfig({ ...fresh(), ...outside, PORTAGE_JWT_PUBLIC_KEY: key.replaceAll('\n', '\\n') })
  assert.equal(config.verification.kind, 'publicKey')
  assert.equal(config.verification.kind === 'publicKey' && config.verification.algorithm, 'EdDSA')
  assert.equal(loadConfig({ ...fresh(), ...outside, ...jwks }).verification.kind, 'jwks')
  assert.equal(problemsOf({ ...jwks, PORTAGE_JWT_ISSUER: 'x' }).length, 1)
  assert.equal(problemsOf({ PORTAGE_JWT_PUBLIC_KEY: key }).length, 1)
  assert.match(problemsOf({ ...outside, ...jwks, PORTAGE_JWT_PUBLIC_KEY: key }).join(), /not both/)
  assert.match(problemsOf({ ...outside, PORTAGE_JWT_JWKS_URL: 'http://issuer.example/keys' }).join(), /https/)
  assert.match(problemsOf({ ...outside, PORTAGE_JWT_PUBLIC_KEY: pem('pkcs8') }).join(), /private/)
})

test('refuses weak and foreign keys', () => {
  for (const pair of [
    generateKeyPairSync('rsa', { modulusLength: 1024 }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    generateKeyPairSync('x25519'),
  ]) {
    const key = String(pair.publicKey.export({ type: 'spki', format: 'pem' }))
    assert.match(problemsOf({ PORTAGE_JWT_PUBLIC_KEY: key }).join(), /2048 bits/)
  }
})

test('asks for a database where none is started', () => {
  assert.match(problemsOf({ PORTAGE_ROLE: 'worker' }).join(), /DATABASE_URL: needed with PORTAGE_ROLE=worker/)
})

test('hides the schema in production unless told otherwise', () => {
  const production = { NODE_ENV: 'production', PORTAGE_MASTER_KEYS: `a:${fileKey(1)}` }
  assert.equal(loadConfig({ ...fresh(), ...production }).introspection, false)
  assert.equal(loadConfig({ ...fresh(), ...production, PORTAGE_INTROSPECTION: 'true' }).introspection, true)
})

test('names settings that nobody reads', () => {
  assert.deepEqual(loadConfig({ ...fresh(), PORTAGE_PROT: '1', PORTAGE_TOKEN: 'x' }).unknownSettings, ['PORTAGE_PROT'])
})

test('gives a child its role, its database and nothing of another child', () => {
  const config = loadConfig({ ...fresh(), PORTAGE_PORT: '4321' })
  const env = childEnvironment(
    config,
    { role: 'api', databaseUrl: 'postgres://portage_api:x@h/d' },
    { PORTAGE_WORKER_SLOT: 'old', PORTAGE_PORT: '4321' },
  )
  assert.deepEqual(env, {
    PORTAGE_PORT: '4321',
    PORTAGE_DATA_DIR: config.dataDir,
    PORTAGE_ROLE: 'api',
    DATABASE_URL: 'postgres://portage_api:x@h/d',
    PORTAGE_SUPERVISED: 'true',
  })
  assert.equal(loadConfig(env).supervised, true)
})

const fileKey = (byte: number) => Buffer.alloc(32, byte).toString('base64url')

test('keeps files in a folder unless told otherwise', () => {
  assert.deepEqual(loadConfig(fresh()).store, { s3: null, keys: { current: null, byId: {} } })
})

test('takes object storage with all that it needs, or says what is missing', () => {
  const bucket = { PORTAGE_STORE: 's3', PORTAGE_S3_BUCKET: 'acme' }
  const credentials = { PORTAGE_S3_ACCESS_KEY_ID: 'canary-id', PORTAGE_S3_SECRET_ACCESS_KEY: 'canary-secret' }
  const plain = loadConfig({ ...fresh(), ...bucket }).store.s3
  assert.deepEqual(plain, {
    bucket: 'acme',
    region: 'us-east-1',
    endpoint: null,
    pathStyle: false,
    prefix: '',
    credentials: null,
  })
  const own = loadConfig({
    ...fresh(),
    ...bucket,
    ...credentials,
    PORTAGE_S3_ENDPOINT: 'http://127.0.0.1:9000/',
    PORTAGE_S3_PREFIX: 'a/b/',
  })
  assert.equal(own.store.s3?.endpoint, 'http://127.0.0.1:9000')
  assert.equal(own.store.s3?.pathStyle, true)
  assert.equal(own.store.s3?.credentials?.secretAccessKey, 'canary-secret')
  assert.doesNotMatch(inspect(own, { depth: 9 }), /canary/)
  assert.deepEqual(problemsOf({ PORTAGE_STORE: 's3', PORTAGE_S3_ACCESS_KEY_ID: 'canary-id' }), [
    'PORTAGE_S3_BUCKET: needed with PORTAGE_STORE=s3',
    'PORTAGE_S3_ACCESS_KEY_ID, PORTAGE_S3_SECRET_ACCESS_KEY: set both or none of them',
  ])
  assert.deepEqual(problemsOf({ PORTAGE_S3_BUCKET: 'acme' }), ['PORTAGE_S3_...: of no use without PORTAGE_STORE=s3'])
  assert.equal(problemsOf({ ...bucket, PORTAGE_S3_PREFIX: '/a' }).length, 1)
  assert.equal(problemsOf({ ...bucket, PORTAGE_S3_PREFIX: '../' }).length, 1)
  assert.equal(problemsOf({ PORTAGE_STORE: 's3', PORTAGE_S3_BUCKET: 'a/b' }).length, 1)
})

test('takes keys for files, the first of them for new ones', () => {
  const { keys } = loadConfig({ ...fresh(), PORTAGE_FILE_KEYS: `new:${fileKey(1)}, old:${fileKey(2)}=` }).store
  assert.equal(keys.current, 'new')
  assert.deepEqual(Object.keys(keys.byId), ['new', 'old'])
  assert.deepEqual(Buffer.from(keys.byId.old ?? []), Buffer.alloc(32, 2))
  assert.equal(keys.byId.old?.buffer.byteLength, 32, 'memory of others would go to threads with it')
  assert.equal(inspect(keys), '[hidden]')
  for (const wrong of ['canary', `:${fileKey(1)}`, 'a:canary', `a:${fileKey(1)},a:${fileKey(2)}`, `A:${fileKey(1)}`]) {
    const problems = problemsOf({ PORTAGE_FILE_KEYS: wrong })
    assert.equal(problems.length, 1, wrong)
    assert.doesNotMatch(problems[0] ?? '', /canary|AQEB/)
  }
})

test('every setting stands in the README with its default and meaning', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  for (const { name, fallback, meaning } of settings) {
    assert.ok(
      readme.includes(`| \`${name}\` | ${fallback === '' ? '' : `\`${fallback}\``} | ${meaning} |`),
      `README lacks the row of ${name}`,
    )
  }
})

test('makes a master key once, keeps it for reading, and demands one of the operator in production', () => {
  const env = fresh()
  const made = loadConfig(env).masterKeys
  assert.equal(made.current, 'local')
  assert.deepEqual(loadConfig(env).masterKeys.byId, made.byId)
  assert.notDeepEqual(loadConfig(fresh()).masterKeys.byId, made.byId)
  const set = loadConfig({ ...env, PORTAGE_MASTER_KEYS: `new:${fileKey(1)},old:${fileKey(2)}` }).masterKeys
  assert.equal(set.current, 'new')
  assert.deepEqual(Object.keys(set.byId).toSorted(), ['local', 'new', 'old'])
  assert.deepEqual(set.byId.local, made.byId.local)
  assert.doesNotMatch(inspect(set), new RegExp(fileKey(1)))
  const [problem = '', ...others] = problemsOf({ NODE_ENV: 'production' })
  assert.match(problem, /^PORTAGE_MASTER_KEYS: needed in production/)
  assert.deepEqual(others, [])
})

test('an app of a CRM has an id and a secret, which nobody sees', () => {
  const { apps } = loadConfig({
    ...fresh(),
    PORTAGE_HUBSPOT_CLIENT_ID: 'app',
    PORTAGE_HUBSPOT_CLIENT_SECRET: 'canary',
  }).vendors
  assert.equal(apps.salesforce, null)
  assert.equal(apps.hubspot?.clientSecret.reveal(), 'canary')
  assert.doesNotMatch(`${inspect(apps)}${JSON.stringify(apps)}${String(apps.hubspot?.clientSecret)}`, /canary/)
  assert.deepEqual(problemsOf({ PORTAGE_PIPEDRIVE_CLIENT_SECRET: 'canary' }), [
    'PORTAGE_PIPEDRIVE_CLIENT_ID, PORTAGE_PIPEDRIVE_CLIENT_SECRET: set both or none of them',
  ])
})

test('simulators stand in for a CRM, but in production only where that is allowed', () => {
  const PORTAGE_VENDOR_URLS = 'salesforce=http://127.0.0.1:9000|http://127.0.0.1:9001'
  const { origins } = loadConfig({ ...fresh(), PORTAGE_VENDOR_URLS }).vendors
  assert.deepEqual(origins.salesforce, ['http://127.0.0.1:9000', 'http://127.0.0.1:9001'])
  assert.equal(origins.hubspot, null)
  const production = { NODE_ENV: 'production', PORTAGE_MASTER_KEYS: `a:${fileKey(1)}` }
  assert.match(problemsOf({ ...production, PORTAGE_VENDOR_URLS })[0] ?? '', /tokens of Salesforce would go elsewhere/)
  const allowed = { ...fresh(), ...production, PORTAGE_VENDOR_URLS, PORTAGE_ALLOW_VENDOR_URLS: 'true' }
  assert.equal(loadConfig(allowed).vendors.origins.salesforce?.length, 2)
  for (const wrong of ['zoho=http://127.0.0.1:1', 'salesforce', 'salesforce=ftp://x', 'hubspot=http://h/path']) {
    assert.match(problemsOf({ PORTAGE_VENDOR_URLS: wrong })[0] ?? '', /pairs such as/)
  }
})

test('people may be sent back over TLS, or to this machine, and nowhere else', () => {
  const PORTAGE_OAUTH_REDIRECT_URIS = 'https://app.example/back, http://127.0.0.1:3000/back'
  assert.deepEqual(loadConfig({ ...fresh(), PORTAGE_OAUTH_REDIRECT_URIS }).vendors.redirectUris, [
    'https://app.example/back',
    'http://127.0.0.1:3000/back',
  ])
  for (const wrong of ['http://app.example/back', 'https://app.example/#x', 'https://u@app.example/', 'app.example']) {
    assert.match(problemsOf({ PORTAGE_OAUTH_REDIRECT_URIS: wrong })[0] ?? '', /https addresses/)
  }
})

test('a mail server and its sender are set together, and its password is not printed', () => {
  const PORTAGE_SMTP_URL = 'smtps://user:canary@mail.example.com:465'
  const { mail } = loadConfig({ ...fresh(), PORTAGE_SMTP_URL, PORTAGE_MAIL_FROM: 'Portage <portage@example.com>' })
  assert.deepEqual(mail?.from, { name: 'Portage', address: 'portage@example.com' })
  assert.equal(mail?.url.reveal(), PORTAGE_SMTP_URL)
  assert.doesNotMatch(inspect(mail, { depth: 5 }) + JSON.stringify(mail), /canary/)
  assert.equal(loadConfig(fresh()).mail, null)
  assert.match(problemsOf({ PORTAGE_SMTP_URL })[0] ?? '', /set both or none/)
  for (const url of ['http://mail.example.com', 'mail.example.com', 'smtp://canary:x@mail.example.com/path']) {
    const [problem = ''] = problemsOf({ PORTAGE_SMTP_URL: url, PORTAGE_MAIL_FROM: 'a@example.com' })
    assert.match(problem, /^PORTAGE_SMTP_URL: expected smtps/)
    assert.doesNotMatch(problem, /canary/)
  }
  for (const from of [
    'nobody',
    'a@example.com, b@example.com',
    'A <a@example.com> <b@example.com>',
    'a@b@example.com',
  ]) {
    assert.match(problemsOf({ PORTAGE_SMTP_URL, PORTAGE_MAIL_FROM: from })[0] ?? '', /expected an e-mail address/, from)
  }
})

test('webhooks go elsewhere in tests alone', () => {
  const PORTAGE_WEBHOOK_ORIGINS = 'http://127.0.0.1:9000,http://[::1]:9001/'
  const { webhookOrigins } = loadConfig({ ...fresh(), PORTAGE_WEBHOOK_ORIGINS })
  assert.deepEqual(webhookOrigins, ['http://127.0.0.1:9000', 'http://[::1]:9001'])
  assert.equal(loadConfig(fresh()).webhookOrigins, null)
  const production = { NODE_ENV: 'production', PORTAGE_MASTER_KEYS: `a:${'A'.repeat(43)}`, PORTAGE_WEBHOOK_ORIGINS }
  assert.match(problemsOf(production)[0] ?? '', /PORTAGE_WEBHOOK_ORIGINS: for tests only/)
  assert.match(problemsOf({ PORTAGE_WEBHOOK_ORIGINS: 'http://127.0.0.1/path' })[0] ?? '', /expected origins/)
})
