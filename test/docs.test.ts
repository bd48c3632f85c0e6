import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { buildSchema, isEnumType, parse, validate } from 'graphql'
import { encodeId } from '../src/ids.js'
import * as limits from '../src/limits.js'
import { permissionTable } from '../src/resolvers/permission.js'
import { runStatuses, transitions } from '../src/runs/status.js'
import { transformsDocument } from './helpers/transforms-document.js'

/* The documents are held to their word: what they say of the code is what the code says. */

const root = join(import.meta.dirname, '..', '..')
const documents = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'docs/ARCHITECTURE.md',
  'docs/OPERATIONS.md',
  'docs/SECURITY.md',
  'docs/FORMATS.md',
  'docs/MAPPING.md',
  'docs/PROTOCOL.md',
  'docs/TRANSFORMS.md',
]
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const protocol = read('docs/PROTOCOL.md')
const architecture = read('docs/ARCHITECTURE.md')
const schema = buildSchema(read('schema.graphql'))

/** What stands in fences of this language. */
function fenced(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, name, body = '']) =>
    name === language ? [body] : [],
  )
}

/** A document from a heading to the next one of the same or a higher level. */
function section(text: string, heading: string): string {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => line.replace(/^#+ /, '') === heading && line.startsWith('#'))
  assert.ok(start >= 0, `there is no heading "${heading}"`)
  const level = /^#+/.exec(lines[start] ?? '')?.[0].length ?? 0
  const length = lines.slice(start + 1).findIndex((line) => {
    const hashes = /^(#+) /.exec(line)?.[1]
    return hashes !== undefined && hashes.length <= level
  })
  return lines.slice(start, length < 0 ? undefined : start + 1 + length).join('\n')
}

/** Rows of all tables in a text, without heads and rulers. */
function tableRows(text: string): string[][] {
  const lines = text.split('\n')
  return lines.flatMap((line, index) =>
    line.startsWith('| ') && !/^\|[-|]+\|$/.test(lines[index + 1] ?? '')
      ? [
          line
            .slice(1, -1)
            .split('|')
            .map((cell) => cell.trim()),
        ]
      : [],
  )
}

/** What the first cell of each row names. */
function named(rows: readonly (readonly string[])[]): string[] {
  return rows.map((row) => /^`(.+)`$/.exec(row[0] ?? '')?.[1] ?? '')
}

/** The one word of a cell in backquotes, or all of them. */
function quoted(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
}

function sources(folder: string): { readonly path: string; readonly text: string }[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path: join(folder, path), text: read(join(folder, path)) }))
}

const code = sources('src').filter(({ path }) => !/^src\/(cli|pipeline\/data|records)\//.test(path))

/** Codes that a pattern finds in the sources; the first group is the code. */
function codesOf(pattern: RegExp, within: RegExp = /./): string[] {
  const found = code.filter(({ path }) => within.test(path)).flatMap(({ text }) => [...text.matchAll(pattern)])
  return [...new Set(found.map(([, name = '']) => name))].toSorted()
}

function enumValues(name: string): string[] {
  const type = schema.getType(name)
  assert.ok(isEnumType(type))
  return type.getValues().map((value) => value.name)
}

for (const path of documents) {
  test(`GraphQL in ${path} is valid against the committed schema`, () => {
    const text = read(path)
    const operations = [
      ...fenced(text, 'graphql'),
      // Operations within JSON, as curl sends them.
      ...[...text.matchAll(/"query": ("(?:[^"\\]|\\.)*")/g)].map(([, json = '']) => JSON.parse(json) as string),
    ]
    for (const operation of operations) {
      assert.deepEqual(
        validate(schema, parse(operation)).map((error) => error.message),
        [],
        operation,
      )
    }
  })

  test(`links in ${path} lead somewhere`, () => {
    for (const [, target = ''] of read(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (!/^[a-z]+:/.test(target)) {
        const [file = '', anchor] = target.split('#')
        const linked = file === '' ? path : normalize(join(dirname(path), file))
        assert.ok(existsSync(join(root, linked)), `${target} is not there`)
        if (anchor !== undefined) {
          const anchors = [...read(linked).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
            heading
              .toLowerCase()
              .replaceAll(/[^\p{L}\p{N} -]/gu, '')
              .replaceAll(' ', '-'),
          )
          assert.ok(anchors.includes(anchor), `${target} names no heading`)
        }
      }
    }
  })
}

test('the documents show how it is used', () => {
  assert.ok(fenced(read('README.md'), 'graphql').length >= 5)
  assert.ok(fenced(protocol, 'graphql').length >= 1)
})

test('the catalogue of transforms is that of the definitions', () => {
  assert.equal(read('docs/TRANSFORMS.md'), transformsDocument())
})

test('the picture of statuses is the table in code', () => {
  const [picture = ''] = fenced(architecture, 'mermaid')
  const edges = [...picture.matchAll(/^ {2}(\S+) --> (\S+)$/gm)].map(([, from = '', to = '']) => `${from}>${to}`)
  const expected = [
    '[*]>ANALYZING',
    '[*]>QUEUED',
    ...runStatuses.flatMap((from) => {
      const next = transitions[from]
      return next.length === 0 ? [`${from}>[*]`] : next.map((to) => `${from}>${to}`)
    }),
  ]
  assert.deepEqual(edges.toSorted(), expected.toSorted())
})

test('who may import whom is told as the layout test has it', () => {
  const source = read('test/layout.test.ts')
  const list = (text: string): string[] => [...text.matchAll(/'([^']+)'|\.\.\.(\w+)/g)].flatMap(spread)
  function spread([, name, variable]: RegExpMatchArray): string[] {
    return variable === undefined ? [name ?? ''] : arrayNamed(variable)
  }
  function arrayNamed(name: string): string[] {
    return list(new RegExp(`^const ${name} = \\[([^\\]]*)\\]`, 'm').exec(source)?.[1] ?? '')
  }
  const arrows = /^const arrows[^=]*= \{$([\s\S]*?)^\}$/m.exec(source)?.[1] ?? ''
  const inTest = [...arrows.matchAll(/^ {2}'?([\w/]+)'?: \[([^\]]*)\]/gm)].map(([, from = '', to = '']) => [
    from,
    list(to),
  ])
  assert.ok(inTest.length > 15, 'the arrows should have been found')
  const told = tableRows(section(architecture, 'Who may import whom')).map(([from, to]) => [
    quoted(from)[0],
    quoted(to),
  ])
  assert.deepEqual(told, inTest)
  const vocabulary = /The vocabulary, ([\s\S]*?)\n\n/.exec(architecture)?.[1]
  assert.deepEqual(quoted(vocabulary), arrayNamed('vocabulary'))
})

test('the tree of the house has every part of src, and no other', () => {
  const [tree = ''] = fenced(section(architecture, 'The house'), '')
  const told = new Set(
    [...(tree.split('\nsrc/\n')[1] ?? '').matchAll(/^ {2}(\S.*?)(?: {2,}|$)/gm)].flatMap(([, names = '']) =>
      names.split(/\s+/).map((name) => name.replace(/\/$/, '')),
    ),
  )
  // `events/` is told with `events.ts`.
  told.add('events')
  assert.deepEqual([...told].toSorted(), readdirSync(join(root, 'src')).toSorted())
})

test('every limit stands in the protocol with its number, unit and what happens at it', () => {
  const rows = tableRows(section(protocol, 'Limits'))
  const inCode = Object.entries(limits).map(([name, value]) => [name, value.toLocaleString('en-US')])
  assert.deepEqual(
    rows.map(([name, number]) => [quoted(name)[0] ?? '', number]).toSorted(byName),
    inCode.toSorted(byName),
  )
  for (const [name = '', , unit = '', effect = ''] of rows) {
    assert.ok(unit !== '' && effect !== '', `${name} lacks its unit or what happens at it`)
  }
})

function byName([a = '']: readonly (string | undefined)[], [b = '']: readonly (string | undefined)[]): number {
  return a < b ? -1 : 1
}

test('every status stands in the protocol', () => {
  assert.deepEqual(named(tableRows(section(protocol, 'Status'))), [...runStatuses])
})

test('every user error code stands in the protocol, and what is called reserved is not thrown', () => {
  const rows = tableRows(section(protocol, 'User errors'))
  assert.deepEqual(named(rows).toSorted(), enumValues('UserErrorCode').toSorted())
  const thrown = codesOf(/new Refusal\(\s*'([A-Z_]+)'/g)
  assert.ok(thrown.length > 10, 'the refusals should have been found')
  const reserved = rows
    .filter(([, when]) => when?.startsWith('Reserved') === true)
    .map(([name]) => quoted(name)[0] ?? '')
  assert.deepEqual(
    reserved.toSorted(),
    enumValues('UserErrorCode')
      .filter((name) => !thrown.includes(name))
      .toSorted(),
  )
})

test('every issue code stands in the protocol, and what is called reserved is not produced', () => {
  const rows = tableRows(section(protocol, 'Rows and issues'))
  assert.deepEqual(named(rows).toSorted(), enumValues('IssueCode').toSorted())
  const elsewhere = new Set(['src/pipeline/types.ts', 'src/schema/enums.ts', 'src/adapters/source.ts'])
  const produced = code.filter(({ path }) => !elsewhere.has(path)).map(({ text }) => text)
  const reserved = rows
    .filter(([, when]) => when?.startsWith('Reserved') === true)
    .map(([name]) => quoted(name)[0] ?? '')
  assert.deepEqual(
    reserved.toSorted(),
    enumValues('IssueCode')
      .filter((name) => !produced.some((text) => text.includes(`'${name}'`)))
      .toSorted(),
  )
})

test('every reason of a status stands in the protocol', () => {
  const told = named(tableRows(section(protocol, 'Status reasons')))
  const produced = new Set([
    // Reasons that are written as such; those of the reader's errors among them.
    ...codesOf(/\bcode: '([A-Z_]+)'/g, /^src\/(jobs|runs)\//),
    ...enumValues('MappingConflictCode'),
    ...codesOf(/new FatalError\(\s*'([A-Z_]+)'/g, /^src\/(jobs|adapters)\//),
  ])
  // Making the file of failed rows fails a request, not a run.
  produced.delete('SOURCE_CHANGED')
  const missing = [...produced].filter((name) => !told.includes(name))
  assert.deepEqual(missing, [])
  // A Refusal that the worker meets becomes the reason: any of those may stand there, and nothing else.
  const refusals = codesOf(/new Refusal\(\s*'([A-Z_]+)'/g, /^src\/(adapters\/files|pipeline)\//)
  const possible = new Set([...produced, ...refusals])
  assert.deepEqual(
    told.filter((name) => !possible.has(name)),
    [],
  )
  assert.deepEqual(
    refusals.filter((name) => name !== 'FILE_TOO_LARGE' && !told.includes(name)),
    [],
  )
})

test('every code of an error stands in the protocol', () => {
  const inExtensions = [
    ...codesOf(/\bcode: '([A-Z_]+)'/g, /^src\/(server|resolvers)\//),
    ...codesOf(/\brefuse(?:Body)?\([^)']*\d{3},\s*'([A-Z_]+)'/g, /^src\/server\//),
    ...codesOf(/\bcoded\([^']*'([A-Z_]+)'/g, /^src\/server\//),
  ]
  assert.ok(inExtensions.length > 10, 'the codes should have been found')
  const told = named(tableRows(section(protocol, 'Error codes')))
  assert.deepEqual(
    inExtensions.filter((name) => !told.includes(name)),
    [],
  )
})

test('every code in the log stands in the protocol', () => {
  const thrown = codesOf(/new (?:Fatal|Retryable)Error\(\s*'([A-Z_]+)'/g)
  const told = [
    ...named(tableRows(section(protocol, 'Codes in the log'))),
    ...named(tableRows(section(protocol, 'Status reasons'))),
  ]
  // The embedded server makes its own by a function.
  const inCode = [...thrown, 'DATABASE_FAILED']
  assert.deepEqual(
    inCode.filter((name) => !told.includes(name)),
    [],
  )
  assert.deepEqual(
    named(tableRows(section(protocol, 'Codes in the log'))).filter((name) => !inCode.includes(name)),
    [],
  )
})

test('every operation stands in the protocol with the permissions that it needs [AR-1]', () => {
  const told = tableRows(section(protocol, 'Permissions')).map(([operation, needs]) => [
    quoted(operation)[0],
    quoted(needs),
  ])
  assert.deepEqual(
    told,
    Object.entries(permissionTable).map(([operation, needs]) => [operation, [...needs]]),
  )
})

test('prefixes of ids are those of the protocol', () => {
  const kinds = [
    'contact',
    'lead',
    'property',
    'activity',
    'file',
    'run',
    'member',
    'apiKey',
    'tenant',
    'uploadSession',
    'customField',
    'businessRule',
    'mappingTemplate',
    'duplicatePair',
    'exportTemplate',
    'integration',
    'auditEntry',
    'webhook',
    'webhookDelivery',
  ] as const
  const told = named(tableRows(section(protocol, 'Ids')))
  assert.deepEqual(
    told,
    kinds.map((kind) => `${encodeId(kind, '00000000-0000-0000-0000-000000000001').split('_')[0]}_`),
  )
})
