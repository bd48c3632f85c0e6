import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { test } from 'node:test'

/*
 * Who may import whom. Arrows never go back, and one package has one door. What is written here is what
 * docs/ARCHITECTURE.md tells; a new arrow is a decision, made in both places.
 */

const root = join(import.meta.dirname, '..', '..')

/** Words that everyone may use: plain types, tables and small pure helpers that import nothing but each other. */
const vocabulary = [
  'errors',
  'failpoints',
  'limits',
  'ids',
  'hidden',
  'systems',
  'records/types',
  'records/index',
  'pipeline/types',
  'pipeline/mapped',
  'adapters/source',
  'runs/types',
  'runs/status',
  'access/permissions',
]

/** What processes have in common; the pure folders do without. */
const surroundings = ['config', 'log', 'metrics', 'tracing']

/**
 * From a folder or file (the longest that fits counts) to what it may import besides the vocabulary and itself. A name
 * stands for a file or for a folder and all below it.
 */
const arrows: Readonly<Record<string, readonly string[]>> = {
  main: ['*'],
  supervisor: ['processes', 'db/embedded', 'db/roles', ...surroundings],
  bootstrap: ['access', 'db', 'jobs/job', ...surroundings],
  processes: [],
  config: [],
  log: ['config', 'tracing'],
  metrics: [],
  tracing: [],
  errors: [],
  failpoints: [],
  limits: [],
  ids: [],
  hidden: [],
  systems: [],
  server: [
    'resolvers',
    'schema',
    'access',
    'db',
    'events',
    'adapters/files/storage',
    'adapters/antivirus',
    // The page that browsers come back to from a CRM.
    'runs/integrations',
    'runs/vendors',
    ...surroundings,
  ],
  resolvers: [
    'schema',
    'jobs/job',
    'runs',
    'pipeline',
    'records',
    'access',
    'db',
    'events',
    'adapters/crm',
    'adapters/files',
    'adapters/antivirus',
    'adapters/vendor',
    ...surroundings,
  ],
  schema: ['records'],
  jobs: ['runs', 'pipeline', 'records', 'adapters', 'access', 'db', 'events', ...surroundings],
  // Integrations hold sealed tokens, and get new ones from the vendor.
  runs: [
    'db',
    'events',
    'records',
    'adapters/http',
    'adapters/oauth',
    'adapters/vendor',
    'adapters/hubspot',
    'adapters/pipedrive',
    'adapters/salesforce',
    'adapters/webhooks',
    'access/secrets',
    'access/quotas',
    'config',
  ],
  events: ['db', 'log'],
  // What stands for a character in HTML is one table, wherever HTML comes from.
  pipeline: ['records', 'adapters/files/html-entities'],
  records: [],
  'adapters/source': [],
  // Records changed by hand go through the same parsers as those of a file.
  'adapters/crm': ['db', 'records', 'pipeline/values', 'pipeline/formula'],
  // What is written into files for spreadsheets follows the same rules as what is read from them.
  'adapters/files': ['log', 'pipeline/formula', 'pipeline/zone'],
  'adapters/antivirus': [],
  'adapters/http': [],
  'adapters/mail': [],
  'adapters/webhooks': ['adapters/http'],
  'adapters/oauth': ['adapters/http'],
  'adapters/vendor': ['adapters/http'],
  'adapters/clean': ['adapters/vendor'],
  'adapters/hubspot': ['adapters/clean', 'adapters/http', 'adapters/vendor'],
  'adapters/pipedrive': ['adapters/clean', 'adapters/http', 'adapters/vendor'],
  // Results of its jobs are CSV, which has one reader.
  'adapters/salesforce': ['adapters/http', 'adapters/vendor', 'adapters/files/csv'],
  access: ['db', 'records', 'config'],
  db: ['log', 'migrations'],
  // Whether what the service needs outside answers is looked at by what the service uses.
  cli: ['access', 'db', 'adapters/files', 'adapters/mail', 'adapters/antivirus', ...surroundings],
}

/** Each package with the only places that may import it. */
const doors: Readonly<Record<string, RegExp>> = {
  'pg-boss': /^src\/jobs\/job\.ts$/,
  '@mikro-orm/': /^(src\/db|src\/adapters\/crm|migrations)\//,
  kysely: /^src\/(db|adapters\/crm)\//,
  pg: /^src\/db\//,
  'pg-copy-streams': /^src\/db\//,
  'type-graphql': /^src\/(schema|resolvers|server)\//,
  'class-validator': /^src\/(schema|resolvers)\//,
  'graphql-scalars': /^src\/schema\//,
  '@apollo/': /^src\/server\//,
  '@as-integrations/': /^src\/server\//,
  express: /^src\/server\//,
  helmet: /^src\/server\//,
  ws: /^src\/(server|cli)\//,
  'graphql-ws': /^src\/(server|cli)\//,
  busboy: /^src\/server\//,
  'graphql-upload-ts': /^src\/(server|schema|resolvers)\//,
  'graphql-query-complexity': /^src\/server\//,
  'csv-stringify': /^src\/adapters\/files\//,
  re2js: /^src\/pipeline\//,
  'libphonenumber-js': /^src\/pipeline\/phone\.ts$/,
  'fastest-levenshtein': /^src\/pipeline\//,
  '@aws-sdk/': /^src\/adapters\/files\/storage-s3\.ts$/,
  'chardetng-wasm': /^src\/adapters\/files\/encoding\.ts$/,
  'iconv-lite': /^src\/adapters\/files\/decode\.ts$/,
  yauzl: /^src\/adapters\/files\//,
  xlsx: /^src\/adapters\/files\//,
  'cron-parser': /^src\/runs\/schedule\.ts$/,
  nodemailer: /^src\/adapters\/mail\/smtp\.ts$/,
  jose: /^src\/access\/tokens\.ts$/,
  pino: /^src\/log\.ts$/,
  'prom-client': /^src\/metrics\.ts$/,
  '@opentelemetry/': /^src\/tracing\.ts$/,
}

/** What pure code has no use for: pipeline and records take values and return values. */
const impure: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/from 'node:(?!util|assert|buffer|crypto')/, 'a module of Node that does input or output'],
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, 'the clock'],
  [/\bMath\.random\(|\brandom(Bytes|UUID|Int)\(/, 'chance'],
  [/\bawait\b/, 'waiting'],
]

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(?<!:)\/\/.*$/gm, '')
}

function importsOf(code: string): string[] {
  return [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map(([, specifier = '']) => specifier)
}

/** Everything that is wrong with one file, in words. `path` is relative to the root, e.g. `src/runs/commit.ts`. */
function violations(path: string, source: string): string[] {
  const wrong: string[] = []
  const code = withoutComments(source)
  const name = path.replace(/^src\//, '').replace(/\.ts$/, '')
  for (const specifier of importsOf(code)) {
    if (specifier.startsWith('.')) {
      const target = posix
        .join(dirname(path), specifier)
        .replace(/\.js$/, '')
        .replace(/^src\//, '')
      if (path.startsWith('src/') && !mayImport(name, target)) {
        wrong.push(`${path} may not import ${target}`)
      }
    } else {
      const door = Object.entries(doors).find(([packageName]) =>
        packageName.endsWith('/')
          ? specifier.startsWith(packageName)
          : specifier === packageName || specifier.startsWith(`${packageName}/`),
      )
      if (door !== undefined && !door[1].test(path)) {
        wrong.push(`${path} may not import the package ${specifier}`)
      }
    }
  }
  if (/\bprocess\.env\b/.test(code) && path !== 'src/config.ts') {
    wrong.push(`${path} reads the environment; settings come from src/config.ts`)
  }
  if (/^\s*@[A-Z]\w*\(/m.test(code) && !/^src\/(schema|resolvers)\//.test(path)) {
    wrong.push(`${path} uses decorators; they belong to schema and resolvers`)
  }
  if (/^src\/(pipeline|records)\//.test(path)) {
    wrong.push(
      ...impure.filter(([pattern]) => pattern.test(code)).map(([, what]) => `${path} is to be pure and uses ${what}`),
    )
  }
  return wrong
}

function mayImport(from: string, to: string): boolean {
  const zone = Object.keys(arrows)
    .filter((key) => within(from, key))
    .toSorted((a, b) => b.length - a.length)[0]
  if (zone === undefined) {
    return false
  }
  // A vendor's adapter knows its own folder and what all vendors share; the words are open to everyone.
  const allowed = [...vocabulary, zone, ...(arrows[zone] ?? [])]
  return allowed.some((target) => target === '*' || within(to, target))
}

function within(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`)
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => posix.join(folder, path.replaceAll('\\', '/')))
}

test('imports go where the picture of the house says, and nowhere else', () => {
  const files = [...filesBelow('src'), ...filesBelow('migrations')]
  assert.ok(files.length > 50, 'the sources should have been found')
  assert.deepEqual(
    files.flatMap((path) => violations(path, readFileSync(join(root, path), 'utf8'))),
    [],
  )
})

test('every file and folder of src has its place in the picture', () => {
  const names = filesBelow('src').map((path) => path.replace(/^src\//, '').replace(/\.ts$/, ''))
  assert.deepEqual(
    names.filter((name) => !Object.keys(arrows).some((zone) => within(name, zone))),
    [],
  )
  assert.deepEqual(
    Object.keys(arrows).filter((zone) => !names.some((name) => within(name, zone))),
    [],
    'arrows of what is gone',
  )
})

test('every package that the service loads has a door, except those that everyone may use', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const everyone = new Set(['graphql', 'reflect-metadata', 'zod'])
  assert.deepEqual(
    Object.keys(dependencies).filter(
      (name) => !everyone.has(name) && !Object.keys(doors).some((door) => name === door || name.startsWith(door)),
    ),
    [],
  )
})

for (const [what, path, source] of [
  ['an arrow that goes back', 'src/db/tx.ts', "import { openRun } from '../runs/commit.js'"],
  ['an arrow that goes back in a type', 'src/pipeline/map.ts', "import type { Tx } from '../db/tx.js'"],
  ['an arrow over several lines', 'src/runs/read.ts', "import {\n  a,\n  b,\n} from '../resolvers/runs.js'"],
  ['a late arrow', 'src/runs/read.ts', "const it = await import('../jobs/claim.js')"],
  ['something passed on', 'src/records/index.ts', "export { map } from '../pipeline/map.js'"],
  ['an adapter that imports another', 'src/adapters/crm/write.ts', "import { read } from '../files/csv.js'"],
  ['the queue by another door', 'src/resolvers/runs.ts', "import { PgBoss } from 'pg-boss'"],
  ['the driver in a stage', 'src/pipeline/map.ts', "import pg from 'pg'"],
  [
    'an entity manager in a resolver',
    'src/resolvers/runs.ts',
    "import type { EntityManager } from '@mikro-orm/postgresql'",
  ],
  ['the environment', 'src/server/start.ts', 'const port = process.env.PORT'],
  ['a decorator on an entity', 'src/db/entities.ts', '@Entity()\nclass Contact {}'],
  ['a clock in a stage', 'src/pipeline/map.ts', 'const now = Date.now()'],
  ['a file in a stage', 'src/pipeline/map.ts', "import { readFileSync } from 'node:fs'"],
] as const) {
  test(`notices ${what}`, () => assert.equal(violations(path, source).length, 1))
}

test('has nothing against what is allowed', () => {
  for (const [path, source] of [
    [
      'src/jobs/run-import.ts',
      "import { commit } from '../runs/commit.js'\nimport type { Row } from '../adapters/source.js'",
    ],
    ['src/pipeline/map.ts', "import { recordTypes } from '../records/index.js'\n// Date.now() would be wrong here"],
    ['src/db/lane.ts', "import pg from 'pg'\nimport { from } from 'pg-copy-streams'"],
  ] as const) {
    assert.deepEqual(violations(path, source), [])
  }
})
