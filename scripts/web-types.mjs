/**
 * Writes web/src/api/generated.ts: for every operation of the .graphql files below web/src its text and the types of its variables and its
 * answer, held against schema.graphql. Run before the console is built; throws at the first operation that the API does not know.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codegen } from '@graphql-codegen/core'
import * as operations from '@graphql-codegen/typescript-operations'
import { buildSchema, Kind, parse, print, validate, visit } from 'graphql'

/** @param root The folder of the project. */
export async function writeWebTypes(root) {
  const schemaText = readFileSync(join(root, 'schema.graphql'), 'utf8')
  const folder = join(root, 'web', 'src')
  const documents = readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.graphql'))
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => ({ location: name, document: parse(readFileSync(join(folder, name), 'utf8')) }))
  const definitions = documents.flatMap(({ document }) => document.definitions)
  const wrong = validate(buildSchema(schemaText), { kind: Kind.DOCUMENT, definitions })
  if (wrong.length > 0) {
    throw new Error(`Operations of the console do not fit schema.graphql:\n${wrong.map(String).join('\n')}`)
  }
  const types = await codegen({
    schema: parse(schemaText),
    filename: 'generated.ts',
    documents,
    config: {
      useTypeImports: true,
      enumsAsTypes: true,
      scalars: {
        DateTime: 'string',
        SafeInt: 'number',
        Date: 'string',
        Decimal: 'string',
        JSON: 'unknown',
        JSONObject: 'Record<string, unknown>',
        Upload: 'File',
        ID: 'string',
      },
    },
    plugins: [{ operations: {} }],
    pluginMap: { operations },
  })
  const fragments = new Map(
    definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).map((each) => [each.name.value, each]),
  )
  const texts = definitions
    .filter(({ kind }) => kind === Kind.OPERATION_DEFINITION)
    .map((operation) => {
      const name = operation.name.value
      const kind = `${operation.operation[0].toUpperCase()}${operation.operation.slice(1)}`
      const text = [operation, ...fragmentsOf(operation, fragments)].map((each) => print(each)).join('\n\n')
      return `export const ${name}Document = text<${name}${kind}, ${name}${kind}Variables>(${JSON.stringify(text)})`
    })
  writeFileSync(
    join(folder, 'api', 'generated.ts'),
    [
      '// Written by scripts/web-types.mjs from the .graphql files of the console and schema.graphql.',
      "import { text } from './operation.ts'",
      types,
      ...texts,
      '',
    ].join('\n'),
  )
}

/** The fragments that an operation spreads, and those that these spread, each once. */
function fragmentsOf(operation, fragments) {
  const found = new Map()
  const look = (node) => {
    visit(node, {
      FragmentSpread({ name: { value } }) {
        if (!found.has(value)) {
          found.set(value, fragments.get(value))
          look(fragments.get(value))
        }
      },
    })
  }
  look(operation)
  return found.values()
}
