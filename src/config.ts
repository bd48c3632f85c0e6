/**
 * Settings: the only reader of the environment. Every problem is reported at once, and the table below is what the
 * README's table is checked against. Parsed by hand rather than with zod: the supervisor reads settings too and must
 * stay small (zod alone is 19 MB of its memory, measured).
 */
import { createPrivateKey, createPublicKey, hkdfSync, randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { inspect } from 'node:util'
import { Hidden } from './hidden.js'
import { type CrmSystem, crmSystems, systemNames } from './systems.js'

export type ProcessRole = 'all' | 'api' | 'worker'
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
/** Settings by name, as the environment has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** How sign-in tokens are checked: with a key of our own, or with the keys of an outside issuer. */
export type Verification =
  | { readonly kind: 'local' }
  | { readonly kind: 'jwks'; readonly url: string; readonly issuer: string; readonly audience: string }
  | {
      readonly kind: 'publicKey'
      readonly pem: string
      readonly algorithm: JwtAlgorithm
      readonly issuer: string
      readonly audience: string
    }

/** Algorithms that outside tokens may be signed with; all asymmetric, so a public key can never pass as a secret. */
export type JwtAlgorithm = 'RS256' | 'ES256' | 'EdDSA'

/** One derived key per purpose: knowing one tells nothing about another. Never rename a label, it changes the key. */
export type KeyLabel =
  | 'token signing'
  | 'link signing'
  | 'link actors'
  | 'database role portage_api'
  | 'database role portage_worker'
  | 'audit signing'
  | 'bundle signing'
  | 'bundle origins'
  | 'bundle record ids'
  | 'bundle envelopes'

/** The master secret. Cannot be printed, logged or serialised by accident: only keys derived from it come out. */
export class Secret {
  readonly #material: string
  constructor(material: string) {
    this.#material = material
  }
  /** 32 bytes, by HKDF-SHA256 with the label as info. */
  key(label: KeyLabel): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#material, 'portage', label, 32))
  }
  /** The derived key as 43 URL-safe characters, e.g. for the password of a database role. */
  text(label: KeyLabel): string {
    return this.key(label).toString('base64url')
  }
}

/** Which store there is; as `StoreSettings` of src/adapters/files/storage.ts. Printing it shows no key. */
export interface StoreConfig {
  /** Null: a folder of this machine. */
  readonly s3: {
    readonly bucket: string
    readonly region: string
    readonly endpoint: string | null
    readonly pathStyle: boolean
    readonly prefix: string
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null
  } | null
  /** Keys that files are encrypted with, by their ids. `current` is for new files; null: they are not encrypted. */
  readonly keys: { readonly current: string | null; readonly byId: Readonly<Record<string, Uint8Array>> }
}

/** Keys that the data keys of tenants are wrapped with, by their ids. Printing it shows no key. */
export interface MasterKeys {
  /** The id of the key for everything new; those of the others are for reading. */
  readonly current: string
  readonly byId: Readonly<Record<string, Uint8Array>>
}

/** What of the outside CRMs is set by the operator. */
export interface VendorConfig {
  /** The app that is registered with each of them; null: none is, so no tenant can connect that CRM. */
  readonly apps: Readonly<Record<CrmSystem, { readonly clientId: string; readonly clientSecret: Hidden } | null>>
  /**
   * For tests: origins (`http://127.0.0.1:9000`) that stand in for a vendor's hosts, the first for signing in. Private
   * addresses are reached there and nowhere else. Null: the vendor's own hosts.
   */
  readonly origins: Readonly<Record<CrmSystem, readonly string[] | null>>
  /** Where vendors may send people back to besides our own page, compared character by character. */
  readonly redirectUris: readonly string[]
}

export interface Config {
  readonly role: ProcessRole
  readonly host: string
  readonly port: number
  /** Where clients reach the API, without a trailing slash; links start with it. */
  readonly publicUrl: string
  /** Absolute. Files, the generated secret and the embedded database live below it. */
  readonly dataDir: string
  /** Null: the embedded PostgreSQL. Never null in the roles `api` and `worker`. */
  readonly databaseUrl: string | null
  /** Connections of an API process at most. */
  readonly databasePool: number
  readonly secret: Secret
  readonly masterKeys: MasterKeys
  readonly vendors: VendorConfig
  /** Which mail server sends notifications, and as whom; null: none does. Printing it shows no password. */
  readonly mail: { readonly url: Hidden; readonly from: { readonly name: string; readonly address: string } } | null
  /** For tests: origins that stand in for the receivers of all webhooks. Null: any public one. */
  readonly webhookOrigins: readonly string[] | null
  readonly verification: Verification
  /** NODE_ENV=production: no demo tenant, no introspection unless allowed. */
  readonly production: boolean
  readonly introspection: boolean
  readonly logLevel: LogLevel
  readonly maxUploadBytes: number
  readonly store: StoreConfig
  /** Of a tenant's uploads that come in several requests and are under way, all together. Bytes. */
  readonly stagedUploadBytes: number
  /** Where a virus scanner listens; null: files are not looked at for viruses. */
  readonly clamd: { readonly path: string } | { readonly host: string; readonly port: number } | null
  /** Chunks of one run that are written at the same time: 1 or 2. */
  readonly chunksInFlight: number
  /** Rows of one chunk, which is one transaction. */
  readonly chunkRows: number
  /** Runs that one worker advances at the same time. */
  readonly concurrentRuns: number
  /** Public keys of other deployments whose bundles are taken: raw Ed25519 keys in base64url. */
  readonly bundleKeys: readonly string[]
  readonly fileRetentionDays: number
  readonly eventRetentionDays: number
  /** Where a worker that runs on its own answers /livez and /metrics; null: nowhere. */
  /** Where traces are sent, and which share of them, 0 to 1; null: nowhere. */
  readonly tracing: { readonly endpoint: string; readonly share: number } | null
  readonly metricsPort: number | null
  /** Set by the supervisor: of all workers with the same slot one works and the others wait. Null: no such limit. */
  readonly workerSlot: string | null
  /** True when a supervisor started this process: it then obeys the supervisor and ends with it. */
  readonly supervised: boolean
  /** Settings that nobody reads, for the log: most likely misspelt. */
  readonly unknownSettings: readonly string[]
}

/** What was wrong with the settings, all of it. The message is for the person who set them. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`Portage cannot start with these settings:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

interface Setting<T> {
  /** As a person would write it; empty: none. */
  readonly fallback: string
  readonly meaning: string
  /** Set by the supervisor for its children, not by people. */
  readonly internal?: true
  /** The value, or `Problem` with what was expected. Gets the fallback when the variable is not set or empty. */
  readonly parse: (text: string) => T | Problem
}

class Problem {
  readonly expected: string
  constructor(expected: string) {
    this.expected = expected
  }
}

const integer =
  (minimum: number, maximum: number) =>
  (text: string): number | Problem => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    return value >= minimum && value <= maximum ? value : new Problem(`a whole number from ${minimum} to ${maximum}`)
  }

const oneOf =
  <T extends string>(...values: readonly T[]) =>
  (text: string): T | Problem =>
    values.find((value) => value === text) ?? new Problem(`one of ${values.join(', ')}`)

const flag = (text: string): boolean | null | Problem =>
  text === '' ? null : text === 'true' ? true : text === 'false' ? false : new Problem('true or false')

const optional =
  <T>(parse: (text: string) => T | Problem) =>
  (text: string): T | null | Problem =>
    text === '' ? null : parse(text)

const anyText = (text: string): string => text

const webUrl = (text: string): string | Problem => {
  const url = URL.canParse(text) ? new URL(text) : null
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === ''
    ? url.href.replace(/\/+$/, '')
    : new Problem('an http or https address without user, query or fragment')
}

const postgresUrl = (text: string): string | Problem => {
  const url = URL.canParse(text) ? new URL(text) : null
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== '' && url.pathname.length > 1
    ? text
    : new Problem('postgres://user:password@host:port/database')
}

const smtpUrl = (text: string): Hidden | Problem => {
  const url = URL.canParse(text) ? new URL(text) : null
  return url !== null &&
    /^smtps?:$/.test(url.protocol) &&
    url.hostname !== '' &&
    /^\/?$/.test(url.pathname) &&
    url.hash === ''
    ? new Hidden(text)
    : new Problem('smtps://user:password@host:465 or smtp://host:587')
}

const mailbox = (text: string): { readonly name: string; readonly address: string } | Problem => {
  const [, name = '', inner = '', bare = ''] =
    /^(?:"?([^"<>\p{Cc}]{0,100}?)"?\s*<([^<>]+)>|([^<>]+))$/u.exec(text.trim()) ?? []
  const address = inner || bare
  return /^[^\s@<>()[\]\\,;:"\p{Cc}]{1,64}@[A-Za-z0-9.-]{1,189}$/u.test(address)
    ? { name, address }
    : new Problem('an e-mail address, or `Name <address>`')
}

const originOf = (text: string): string | Problem => {
  const url = URL.canParse(text) ? new URL(text) : null
  return url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.pathname === '/' &&
    url.username === '' &&
    url.search === '' &&
    url.hash === ''
    ? url.origin
    : new Problem('origins such as http://127.0.0.1:9000')
}

const hostName = (text: string): string | Problem =>
  /^[A-Za-z0-9.:_-]{1,253}$/.test(text) ? text : new Problem('a host name or an IP address')

const scannerAddress = (text: string): { path: string } | { host: string; port: number } | Problem => {
  if (text.startsWith('/') && !text.includes('\0')) {
    return { path: text }
  }
  const [, host = '', port = ''] = /^(?:tcp:\/\/)?\[?([A-Za-z0-9.:_-]{1,253}?)\]?:(\d{1,5})$/.exec(text) ?? []
  return host !== '' && Number(port) >= 1 && Number(port) <= 65_535
    ? { host, port: Number(port) }
    : new Problem('the absolute path of a socket, or host:port')
}

const MINIMUM_SECRET_LENGTH = 32

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

const GIBIBYTE = 1024 ** 3

/** Every setting by its name, in the order of the README's table. */
const table = {
  PORTAGE_PORT: {
    fallback: '4000',
    meaning: 'Port of the API.',
    parse: integer(1, 65_535),
  },
  PORTAGE_HOST: {
    fallback: '127.0.0.1',
    meaning: 'Address that the API listens on.',
    parse: hostName,
  },
  PORTAGE_PUBLIC_URL: {
    fallback: '',
    meaning: 'Where clients reach the API; download links start with it. Default: host and port.',
    parse: optional(webUrl),
  },
  PORTAGE_DATA_DIR: {
    fallback: '.portage',
    meaning: 'Folder for files, the generated secret and the embedded database.',
    parse: (text: string) => (text.includes('\0') ? new Problem('a path') : resolve(text)),
  },
  PORTAGE_ROLE: {
    fallback: 'all',
    meaning: '`all` supervises one API, a worker and a standby worker; `api` and `worker` run one of them alone.',
    parse: oneOf<ProcessRole>('all', 'api', 'worker'),
  },
  DATABASE_URL: {
    fallback: '',
    meaning: 'A PostgreSQL 18 or newer to use instead of the embedded one. Its user must be allowed to create roles.',
    parse: optional(postgresUrl),
  },
  PORTAGE_SECRET: {
    fallback: '',
    meaning: 'At least 32 characters, the same for all processes. Default: made once, in `secret` in the data folder.',
    parse: optional((text) =>
      text.length >= MINIMUM_SECRET_LENGTH ? text : new Problem(`at least ${MINIMUM_SECRET_LENGTH} characters`),
    ),
  },
  PORTAGE_JWT_JWKS_URL: {
    fallback: '',
    meaning: 'Key set of the issuer whose sign-in tokens are accepted instead of our own (RS256, ES256 or EdDSA).',
    parse: optional(webUrl),
  },
  PORTAGE_JWT_PUBLIC_KEY: {
    fallback: '',
    meaning: 'Or its public key as PEM; `\\n` stands for a line break.',
    parse: optional(publicKey),
  },
  PORTAGE_JWT_ISSUER: {
    fallback: '',
    meaning: 'What `iss` of those tokens must be. Needed with either.',
    parse: optional(anyText),
  },
  PORTAGE_JWT_AUDIENCE: {
    fallback: '',
    meaning: 'What `aud` of those tokens must be. Needed with either.',
    parse: optional(anyText),
  },
  PORTAGE_INTROSPECTION: {
    fallback: '',
    meaning: 'Whether the schema may be asked for. Default: true, but false when NODE_ENV is `production`.',
    parse: flag,
  },
  PORTAGE_LOG_LEVEL: {
    fallback: 'info',
    meaning: '`debug`, `info`, `warn` or `error`. Logs are JSON lines on standard output.',
    parse: oneOf<LogLevel>('debug', 'info', 'warn', 'error'),
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    fallback: '',
    meaning: 'Where traces are sent, as OTLP over HTTP, e.g. `http://localhost:4318`. Default: nowhere.',
    parse: optional(webUrl),
  },
  PORTAGE_TRACES_PERCENT: {
    fallback: '100',
    meaning: 'How many of a hundred traces are sent.',
    parse: integer(0, 100),
  },
  PORTAGE_METRICS_PORT: {
    fallback: '',
    meaning: 'Where a worker that runs alone answers /livez and /metrics. Default: nowhere.',
    parse: optional(integer(1, 65_535)),
  },
  PORTAGE_MAX_UPLOAD_BYTES: {
    fallback: String(5 * GIBIBYTE),
    meaning: 'Size of one uploaded file at most.',
    parse: integer(1, 1024 * GIBIBYTE),
  },
  PORTAGE_STAGED_UPLOAD_BYTES: {
    fallback: String(20 * GIBIBYTE),
    meaning: 'Sizes of the uploads in several requests that one tenant may have under way, together.',
    parse: integer(1, 1024 * GIBIBYTE),
  },
  PORTAGE_CLAMD: {
    fallback: '',
    meaning:
      'Where the clamd of ClamAV listens, as the path of its Unix socket or as host:port. Files are then scanned before anything reads them. Default: nowhere, no scan.',
    parse: optional(scannerAddress),
  },
  PORTAGE_STORE: {
    fallback: 'local',
    meaning: 'Where files are kept: `local`, in the data folder, or `s3`, in object storage that speaks S3.',
    parse: oneOf('local', 's3'),
  },
  PORTAGE_S3_BUCKET: {
    fallback: '',
    meaning: 'The bucket. Needed with `s3`; must exist.',
    parse: optional((text) => (BUCKET.test(text) ? text : new Problem('the name of a bucket'))),
  },
  PORTAGE_S3_REGION: {
    fallback: 'us-east-1',
    meaning: 'Its region.',
    parse: (text: string) => (/^[a-z0-9-]{1,40}$/.test(text) ? text : new Problem('the name of a region')),
  },
  PORTAGE_S3_ENDPOINT: {
    fallback: '',
    meaning: 'Address of a store that is not Amazon’s.',
    parse: optional(webUrl),
  },
  PORTAGE_S3_PATH_STYLE: {
    fallback: '',
    meaning: 'Whether the bucket stands in the path instead of the host name. Default: true with an endpoint.',
    parse: flag,
  },
  PORTAGE_S3_PREFIX: {
    fallback: '',
    meaning: 'Stands before the name of each file in the bucket, e.g. `portage/`.',
    parse: (text: string) =>
      /^([A-Za-z0-9][A-Za-z0-9._-]*\/)*$/.test(text) && text.length <= 200
        ? text
        : new Problem('folders, each with a `/` behind it'),
  },
  PORTAGE_S3_ACCESS_KEY_ID: {
    fallback: '',
    meaning: 'Access key. Default: found as the AWS SDK finds credentials, e.g. from the role of the machine.',
    parse: optional(anyText),
  },
  PORTAGE_S3_SECRET_ACCESS_KEY: {
    fallback: '',
    meaning: 'The secret of that access key.',
    parse: optional(anyText),
  },
  PORTAGE_FILE_KEYS: {
    fallback: '',
    meaning: 'Encrypts files: `name:key` pairs with commas between; the first is for new files, all are for reading.',
    parse: namedKeys,
  },
  PORTAGE_MASTER_KEYS: {
    fallback: '',
    meaning:
      'Seals the tokens of connected CRMs: `name:key` pairs with commas between; the first is for new ones, all are for reading. Needed in production. Default: made once, in `master-key` in the data folder.',
    parse: namedKeys,
  },
  PORTAGE_SALESFORCE_CLIENT_ID: {
    fallback: '',
    meaning: 'Client id of the app registered with Salesforce (consumer key). Default: Salesforce cannot be connected.',
    parse: optional(anyText),
  },
  PORTAGE_SALESFORCE_CLIENT_SECRET: {
    fallback: '',
    meaning: 'Its secret.',
    parse: optional(hiddenText),
  },
  PORTAGE_HUBSPOT_CLIENT_ID: {
    fallback: '',
    meaning: 'Client id of the app registered with HubSpot. Default: HubSpot cannot be connected.',
    parse: optional(anyText),
  },
  PORTAGE_HUBSPOT_CLIENT_SECRET: {
    fallback: '',
    meaning: 'Its secret.',
    parse: optional(hiddenText),
  },
  PORTAGE_PIPEDRIVE_CLIENT_ID: {
    fallback: '',
    meaning: 'Client id of the app registered with Pipedrive. Default: Pipedrive cannot be connected.',
    parse: optional(anyText),
  },
  PORTAGE_PIPEDRIVE_CLIENT_SECRET: {
    fallback: '',
    meaning: 'Its secret.',
    parse: optional(hiddenText),
  },
  PORTAGE_OAUTH_REDIRECT_URIS: {
    fallback: '',
    meaning:
      'Pages of other applications that CRMs may send people back to, with commas between. Portage’s own, `/oauth/callback` below PORTAGE_PUBLIC_URL, always may.',
    parse: (text: string) => list(text, redirectUri),
  },
  PORTAGE_VENDOR_URLS: {
    fallback: '',
    meaning:
      'For tests only: `salesforce=http://127.0.0.1:9000` and the like, with commas between, to ask a simulator instead of the CRM; further origins of one after a vertical bar.',
    parse: vendorOrigins,
  },
  PORTAGE_ALLOW_VENDOR_URLS: {
    fallback: 'false',
    meaning: 'Whether PORTAGE_VENDOR_URLS may be set in production.',
    parse: oneOf('true', 'false'),
  },
  PORTAGE_SMTP_URL: {
    fallback: '',
    meaning:
      'Mail server for notifications: `smtps://user:password@host:465`, or `smtp://` with port 587 for STARTTLS. Default: no e-mails are sent.',
    parse: optional(smtpUrl),
  },
  PORTAGE_MAIL_FROM: {
    fallback: '',
    meaning: 'Sender of e-mails, e.g. `Portage <portage@example.com>`. Needed with PORTAGE_SMTP_URL.',
    parse: optional(mailbox),
  },
  PORTAGE_WEBHOOK_ORIGINS: {
    fallback: '',
    meaning:
      'For tests only, never in production: `http://127.0.0.1:9000` and the like, with commas between. Webhooks then go there and nowhere else, also without TLS and to private addresses.',
    parse: (text: string) => list(text, originOf),
  },
  PORTAGE_BUNDLE_KEYS: {
    fallback: '',
    meaning:
      'Public keys of other deployments whose bundles are taken, with commas between; a bundle names the key in its manifest. Its own key a deployment always trusts.',
    parse: bundleKeys,
  },
  PORTAGE_CONCURRENT_RUNS: {
    fallback: '2',
    meaning: 'Runs that a worker advances at the same time.',
    parse: integer(1, 32),
  },
  PORTAGE_CHUNKS_IN_FLIGHT: {
    fallback: '2',
    meaning: 'Chunks of one run that are written at the same time.',
    parse: integer(1, 2),
  },
  PORTAGE_CHUNK_ROWS: {
    fallback: '10000',
    meaning: 'Rows of one chunk, which is one transaction.',
    parse: integer(100, 50_000),
  },
  PORTAGE_FILE_RETENTION_DAYS: {
    fallback: '30',
    meaning: 'Days until an uploaded file is deleted.',
    parse: integer(1, 3650),
  },
  PORTAGE_EVENT_RETENTION_DAYS: {
    fallback: '7',
    meaning: 'Days that events can be replayed.',
    parse: integer(1, 3650),
  },
  PORTAGE_DB_POOL: {
    fallback: '10',
    meaning: 'Database connections of an API process at most.',
    parse: integer(1, 500),
  },
  PORTAGE_WORKER_SLOT: {
    fallback: '',
    meaning: 'Workers of one slot: one works, the others wait.',
    internal: true,
    parse: optional((text) => (/^[a-z0-9-]{1,40}$/.test(text) ? text : new Problem('lower-case letters and digits'))),
  },
  PORTAGE_SUPERVISED: {
    fallback: 'false',
    meaning: 'Whether a supervisor started this process.',
    internal: true,
    parse: oneOf('true', 'false'),
  },
} satisfies Record<string, Setting<unknown>>

type SettingName = keyof typeof table
type Value<N extends SettingName> = Exclude<ReturnType<(typeof table)[N]['parse']>, Problem>
type Values = { -readonly [N in SettingName]: Value<N> }

/** What people may set, for documentation and its test: name, default as text (empty: none) and meaning. */
export const settings: readonly { readonly name: string; readonly fallback: string; readonly meaning: string }[] =
  Object.entries(table as Record<string, Setting<unknown>>)
    .filter(([, setting]) => setting.internal !== true)
    .map(([name, { fallback, meaning }]) => ({ name, fallback, meaning }))

const jwtSettings = [
  'PORTAGE_JWT_JWKS_URL',
  'PORTAGE_JWT_PUBLIC_KEY',
  'PORTAGE_JWT_ISSUER',
  'PORTAGE_JWT_AUDIENCE',
] as const

/** Read by the command line, or by the tests. */
const foreign = /^PORTAGE_(URL|TOKEN|TEST_.*)$/

/**
 * Reads all settings; makes the data folder and, the first time, the secret in it. Throws ConfigError with every
 * problem at once. Call it once per process and pass the result on.
 */
export function loadConfig(env: Environment = process.env): Config {
  const problems: string[] = []
  const values = {} as Record<string, unknown>
  for (const [name, setting] of Object.entries(table as Record<string, Setting<unknown>>)) {
    const text = env[name]?.trim() ?? ''
    const value = setting.parse(text === '' ? setting.fallback : text)
    if (value instanceof Problem) {
      problems.push(`${name}${shown(name, text)}: expected ${value.expected}`)
    }
    values[name] = value
  }
  const read = values as Values
  const verification = jwtSettings.some((name) => values[name] instanceof Problem)
    ? null
    : resolveVerification(read, problems)
  if ((read.PORTAGE_ROLE === 'api' || read.PORTAGE_ROLE === 'worker') && read.DATABASE_URL === null) {
    problems.push(
      `DATABASE_URL: needed with PORTAGE_ROLE=${read.PORTAGE_ROLE}; only \`all\` starts an embedded database`,
    )
  }
  const store = resolveStore(read, problems)
  const production = env.NODE_ENV === 'production'
  const vendors = resolveVendors(read, production, problems)
  const mail = resolveMail(read, problems)
  if (production && (env.PORTAGE_WEBHOOK_ORIGINS?.trim() ?? '') !== '') {
    problems.push('PORTAGE_WEBHOOK_ORIGINS: for tests only; in production webhooks go to public addresses alone')
  }
  if (
    production &&
    values.PORTAGE_MASTER_KEYS instanceof Problem === false &&
    read.PORTAGE_MASTER_KEYS.current === null
  ) {
    problems.push(
      'PORTAGE_MASTER_KEYS: needed in production, e.g. 2026:<key>; `openssl rand -base64 32 | tr "+/" "-_" | tr -d "="` makes a key',
    )
  }
  if (problems.length > 0 || verification === null) {
    throw new ConfigError(problems)
  }
  return {
    role: read.PORTAGE_ROLE,
    host: read.PORTAGE_HOST,
    port: read.PORTAGE_PORT,
    publicUrl: read.PORTAGE_PUBLIC_URL ?? httpUrl(read.PORTAGE_HOST, read.PORTAGE_PORT),
    dataDir: read.PORTAGE_DATA_DIR,
    databaseUrl: read.DATABASE_URL,
    databasePool: read.PORTAGE_DB_POOL,
    secret: new Secret(read.PORTAGE_SECRET ?? storedSecret(read.PORTAGE_DATA_DIR, 'secret')),
    masterKeys: resolveMasterKeys(read),
    vendors,
    mail,
    webhookOrigins: read.PORTAGE_WEBHOOK_ORIGINS.length === 0 ? null : read.PORTAGE_WEBHOOK_ORIGINS,
    verification,
    production,
    introspection: read.PORTAGE_INTROSPECTION ?? !production,
    logLevel: read.PORTAGE_LOG_LEVEL,
    maxUploadBytes: read.PORTAGE_MAX_UPLOAD_BYTES,
    store,
    stagedUploadBytes: read.PORTAGE_STAGED_UPLOAD_BYTES,
    clamd: read.PORTAGE_CLAMD,
    chunksInFlight: read.PORTAGE_CHUNKS_IN_FLIGHT,
    chunkRows: read.PORTAGE_CHUNK_ROWS,
    concurrentRuns: read.PORTAGE_CONCURRENT_RUNS,
    bundleKeys: read.PORTAGE_BUNDLE_KEYS,
    fileRetentionDays: read.PORTAGE_FILE_RETENTION_DAYS,
    eventRetentionDays: read.PORTAGE_EVENT_RETENTION_DAYS,
    tracing:
      read.OTEL_EXPORTER_OTLP_ENDPOINT === null
        ? null
        : { endpoint: read.OTEL_EXPORTER_OTLP_ENDPOINT, share: read.PORTAGE_TRACES_PERCENT / 100 },
    metricsPort: read.PORTAGE_METRICS_PORT,
    workerSlot: read.PORTAGE_WORKER_SLOT,
    supervised: read.PORTAGE_SUPERVISED === 'true',
    unknownSettings: Object.keys(env).filter(
      (name) => name.startsWith('PORTAGE_') && !(name in table) && !foreign.test(name),
    ),
  }
}

/** What the command line needs besides. */
export interface CliSettings {
  /** PORTAGE_URL, or where the API of this machine would be. Unchecked. */
  readonly url: string
  /** PORTAGE_TOKEN; null when not set. */
  readonly token: string | null
  /** Whether there is a secret to make tokens with. Where there is none, `loadConfig` would make a useless one. */
  readonly hasSecret: boolean
}

/** The command line's settings: nothing is checked and nothing is made, because most commands only call an API. */
export function cliSettings(env: Environment = process.env): CliSettings {
  const given = (name: string) => env[name]?.trim() ?? ''
  const value = (name: SettingName) => given(name) || table[name].fallback
  const here = value('PORTAGE_PUBLIC_URL') || httpUrl(value('PORTAGE_HOST'), Number(value('PORTAGE_PORT')))
  return {
    url: given('PORTAGE_URL') || here,
    token: given('PORTAGE_TOKEN') || null,
    hasSecret: value('PORTAGE_SECRET') !== '' || existsSync(join(resolve(value('PORTAGE_DATA_DIR')), 'secret')),
  }
}

/** What the supervisor lays over the environment of a process it starts. */
export interface ChildSettings {
  readonly role: ProcessRole
  readonly databaseUrl: string
  readonly workerSlot?: string
}

/** The environment for such a process: this one's, with the given settings and an absolute data folder. */
export function childEnvironment(
  config: Config,
  child: ChildSettings,
  env: Environment = process.env,
): Record<string, string> {
  const merged: Record<string, string | undefined> = {
    ...env,
    PORTAGE_DATA_DIR: config.dataDir,
    PORTAGE_ROLE: child.role,
    DATABASE_URL: child.databaseUrl,
    PORTAGE_WORKER_SLOT: child.workerSlot,
    PORTAGE_SUPERVISED: 'true',
  }
  return Object.fromEntries(Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

const secretSettings: ReadonlySet<string> = new Set([
  'PORTAGE_SECRET',
  'DATABASE_URL',
  'PORTAGE_JWT_PUBLIC_KEY',
  'PORTAGE_S3_ACCESS_KEY_ID',
  'PORTAGE_S3_SECRET_ACCESS_KEY',
  'PORTAGE_FILE_KEYS',
  'PORTAGE_MASTER_KEYS',
  'PORTAGE_SMTP_URL',
  'PORTAGE_SALESFORCE_CLIENT_SECRET',
  'PORTAGE_HUBSPOT_CLIENT_SECRET',
  'PORTAGE_PIPEDRIVE_CLIENT_SECRET',
])

/** A misspelt value is shown, a secret one never. */
function shown(name: string, text: string): string {
  return secretSettings.has(name) || text === '' ? '' : ` is ${JSON.stringify(text.slice(0, 60))}`
}

/** Host and port as an address to open: a wildcard is no place to go to. */
function httpUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

function resolveVerification(values: Values, problems: string[]): Verification | null {
  const { PORTAGE_JWT_JWKS_URL: url, PORTAGE_JWT_PUBLIC_KEY: key } = values
  const { PORTAGE_JWT_ISSUER: issuer, PORTAGE_JWT_AUDIENCE: audience } = values
  if (url === null && key === null) {
    if (issuer !== null || audience !== null) {
      problems.push(
        'PORTAGE_JWT_ISSUER, PORTAGE_JWT_AUDIENCE: of no use without PORTAGE_JWT_JWKS_URL or PORTAGE_JWT_PUBLIC_KEY',
      )
    }
    return { kind: 'local' }
  }
  if (url !== null && key !== null) {
    problems.push('PORTAGE_JWT_JWKS_URL, PORTAGE_JWT_PUBLIC_KEY: set one of them, not both')
  }
  if (issuer === null || audience === null) {
    problems.push('PORTAGE_JWT_ISSUER, PORTAGE_JWT_AUDIENCE: both are needed to check tokens of another issuer')
    return null
  }
  if (url !== null) {
    const { protocol, hostname } = new URL(url)
    if (protocol !== 'https:' && !isLoopback(hostname)) {
      problems.push('PORTAGE_JWT_JWKS_URL: expected https, or whoever sits between could sign in as anyone')
    }
    return { kind: 'jwks', url, issuer, audience }
  }
  return key === null ? null : { kind: 'publicKey', ...key, issuer, audience }
}

/** Whoever prints a configuration sees that there are credentials and keys, and no more. */
function hide<T extends object>(value: T): T {
  return Object.defineProperty(value, inspect.custom, { value: () => '[hidden]', enumerable: false })
}

/** The key that is made for a data folder; its name in PORTAGE_MASTER_KEYS when it is moved there. */
const LOCAL_KEY = 'local'

/** A key that the data folder has stays good for reading when keys are set, so that nothing sealed with it is lost. */
function resolveMasterKeys({ PORTAGE_MASTER_KEYS: set, PORTAGE_DATA_DIR: dataDir }: Values): MasterKeys {
  const local = existsSync(join(dataDir, 'master-key')) || set.current === null
  const made = local ? new Uint8Array(Buffer.from(storedSecret(dataDir, 'master-key'), 'base64url')) : null
  if (made !== null && made.length !== 32) {
    throw new ConfigError([`${join(dataDir, 'master-key')}: expected 43 characters; restore it from a backup`])
  }
  return hide({
    current: set.current ?? LOCAL_KEY,
    byId: hide({ ...(made === null ? {} : { [LOCAL_KEY]: made }), ...set.byId }),
  })
}

function resolveVendors(values: Values, production: boolean, problems: string[]): VendorConfig {
  const app = (system: CrmSystem) => {
    const name = system.toUpperCase() as Uppercase<CrmSystem>
    const clientId = values[`PORTAGE_${name}_CLIENT_ID`]
    const clientSecret = values[`PORTAGE_${name}_CLIENT_SECRET`]
    if ((clientId === null) !== (clientSecret === null)) {
      problems.push(`PORTAGE_${name}_CLIENT_ID, PORTAGE_${name}_CLIENT_SECRET: set both or none of them`)
    }
    return clientId === null || clientSecret === null ? null : { clientId, clientSecret }
  }
  const origins = values.PORTAGE_VENDOR_URLS
  const overridden = origins instanceof Problem ? [] : crmSystems.filter((system) => origins[system] !== null)
  if (production && overridden.length > 0 && values.PORTAGE_ALLOW_VENDOR_URLS !== 'true') {
    const names = overridden.map((system) => systemNames[system]).join(', ')
    problems.push(
      `PORTAGE_VENDOR_URLS: tokens of ${names} would go elsewhere; in production this needs PORTAGE_ALLOW_VENDOR_URLS=true`,
    )
  }
  return {
    apps: { salesforce: app('salesforce'), hubspot: app('hubspot'), pipedrive: app('pipedrive') },
    origins,
    redirectUris: values.PORTAGE_OAUTH_REDIRECT_URIS,
  }
}

function resolveMail(values: Values, problems: string[]): Config['mail'] {
  const { PORTAGE_SMTP_URL: url, PORTAGE_MAIL_FROM: from } = values
  if (url instanceof Problem || from instanceof Problem) {
    return null
  }
  if ((url === null) !== (from === null)) {
    problems.push('PORTAGE_SMTP_URL, PORTAGE_MAIL_FROM: set both or none of them')
  }
  return url === null || from === null ? null : { url, from }
}

function hiddenText(text: string): Hidden {
  return new Hidden(text)
}

function list<T>(text: string, parse: (text: string) => T | Problem): readonly T[] | Problem {
  const parts = text.split(',').map((part) => part.trim())
  const parsed = parts.filter((part) => part !== '').map(parse)
  const problem = parsed.find((each) => each instanceof Problem)
  return problem ?? parsed.filter((each): each is Exclude<T, Problem> => !(each instanceof Problem))
}

/** Vendors send a code there: it may be read by nobody in between, so only this machine goes without TLS. */
function redirectUri(text: string): string | Problem {
  const url = URL.canParse(text) ? new URL(text) : null
  const safe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  return url !== null && safe && url.hash === '' && url.username === '' && url.password === ''
    ? text
    : new Problem('https addresses (http for this machine alone) without user and fragment')
}

function isLoopback(hostname: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
}

function vendorOrigins(text: string): VendorConfig['origins'] | Problem {
  const origins: Record<CrmSystem, readonly string[] | null> = { salesforce: null, hubspot: null, pipedrive: null }
  for (const part of text.split(',').filter((each) => each.trim() !== '')) {
    const [, name = '', addresses = ''] = /^\s*([a-z]+)=(\S+)\s*$/.exec(part) ?? []
    const system = crmSystems.find((candidate) => candidate === name)
    const urls = addresses.split('|').map((each) => (URL.canParse(each) ? new URL(each) : null))
    if (
      system === undefined ||
      urls.some((url) => url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/')
    ) {
      return new Problem(`pairs such as salesforce=http://127.0.0.1:9000, for ${crmSystems.join(', ')}`)
    }
    origins[system] = urls.flatMap((url) => url?.origin ?? [])
  }
  return origins
}

/** Each problem is told even where the value of another setting was one. */
function resolveStore(values: Values, problems: string[]): StoreConfig {
  const { PORTAGE_S3_BUCKET: bucket, PORTAGE_S3_ENDPOINT: endpoint } = values
  const { PORTAGE_S3_ACCESS_KEY_ID: accessKeyId, PORTAGE_S3_SECRET_ACCESS_KEY: secretAccessKey } = values
  const keys = hide({ ...values.PORTAGE_FILE_KEYS })
  if (values.PORTAGE_STORE !== 's3') {
    if (values.PORTAGE_STORE === 'local' && (bucket !== null || endpoint !== null || accessKeyId !== null)) {
      problems.push('PORTAGE_S3_...: of no use without PORTAGE_STORE=s3')
    }
    return { s3: null, keys }
  }
  if (bucket === null) {
    problems.push('PORTAGE_S3_BUCKET: needed with PORTAGE_STORE=s3')
  }
  if ((accessKeyId === null) !== (secretAccessKey === null)) {
    problems.push('PORTAGE_S3_ACCESS_KEY_ID, PORTAGE_S3_SECRET_ACCESS_KEY: set both or none of them')
  }
  return {
    s3: {
      bucket: bucket ?? '',
      region: values.PORTAGE_S3_REGION,
      endpoint,
      pathStyle: values.PORTAGE_S3_PATH_STYLE ?? endpoint !== null,
      prefix: values.PORTAGE_S3_PREFIX,
      credentials: accessKeyId === null || secretAccessKey === null ? null : hide({ accessKeyId, secretAccessKey }),
    },
    keys,
  }
}

function namedKeys(text: string): StoreConfig['keys'] | Problem {
  const byId: Record<string, Uint8Array> = {}
  let current: string | null = null
  for (const pair of text === '' ? [] : text.split(',')) {
    const [, id = '', encoded = ''] = /^\s*([a-z0-9-]{1,16}):([A-Za-z0-9_-]{43})=?\s*$/.exec(pair) ?? []
    // A copy: small buffers share their memory with others, and threads would be given all of it.
    const key = new Uint8Array(Buffer.from(encoded, 'base64url'))
    if (key.length !== 32 || Object.hasOwn(byId, id)) {
      return new Problem('pairs `name:key`, each name once, each key 32 bytes as base64url (43 characters)')
    }
    byId[id] = key
    current ??= id
  }
  return { current, byId }
}

function bundleKeys(text: string): readonly string[] | Problem {
  const keys = text === '' ? [] : text.split(',').map((key) => key.trim())
  return keys.every((key) => Buffer.from(key, 'base64url').length === 32 && /^[A-Za-z0-9_-]{43}$/.test(key))
    ? keys
    : new Problem('Ed25519 public keys, 32 bytes each as base64url (43 characters)')
}

function publicKey(text: string): { readonly pem: string; readonly algorithm: JwtAlgorithm } | Problem {
  const expected = new Problem('a PEM public key: RSA of 2048 bits or more, EC P-256 or Ed25519')
  const pem = text.replaceAll('\\n', '\n')
  if (isPrivate(pem)) {
    return new Problem('a public key; this is a private one, which belongs to the issuer alone')
  }
  try {
    const key = createPublicKey(pem)
    const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
    if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) {
      return { pem, algorithm: 'RS256' }
    }
    if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') {
      return { pem, algorithm: 'ES256' }
    }
    return key.asymmetricKeyType === 'ed25519' ? { pem, algorithm: 'EdDSA' } : expected
  } catch {
    return expected
  }
}

/** `createPublicKey` would take a private key and quietly derive the public one. */
function isPrivate(pem: string): boolean {
  try {
    createPrivateKey(pem)
    return true
  } catch {
    return pem.includes('PRIVATE KEY')
  }
}

/** The secret of this data folder, made the first time. Two processes that start at once end up with the same one. */
function storedSecret(dataDir: string, name: 'secret' | 'master-key'): string {
  const path = join(dataDir, name)
  try {
    return readSecret(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw error instanceof ConfigError
        ? error
        : new ConfigError([`PORTAGE_DATA_DIR: ${path} cannot be read (${codeOf(error)})`])
    }
  }
  const draft = join(dataDir, `${name}.${randomBytes(6).toString('hex')}`)
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o711 })
    writeFileSync(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
    // A link, unlike a rename, fails when another process was first; and nobody ever sees half a secret.
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new ConfigError([`PORTAGE_DATA_DIR: ${dataDir} cannot be written (${codeOf(error)})`])
    }
  } finally {
    rmSync(draft, { force: true })
  }
  return readSecret(path)
}

function readSecret(path: string): string {
  const text = readFileSync(path, 'utf8').trim()
  if (text.length < MINIMUM_SECRET_LENGTH) {
    throw new ConfigError([`${path}: expected at least ${MINIMUM_SECRET_LENGTH} characters; restore it from a backup`])
  }
  return text
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error'
}
