import { readFileSync } from 'node:fs'
import {
  buildSchema,
  DangerousChangeType,
  findBreakingChanges,
  findDangerousChanges,
  type GraphQLSchema,
  lexicographicSortSchema,
  printSchema,
} from 'graphql'
import { apiSchema } from '../../src/resolvers/schema.js'

/** Absolute path of a file of the project, from the compiled tests or their sources. */
export function projectFile(path: string): URL {
  const compiled = import.meta.url.includes('/dist/')
  return new URL(`${compiled ? '../../../' : '../../'}${path}`, import.meta.url)
}

/** The schema as it is committed. */
export function emittedSdl(): string {
  return `${printSchema(lexicographicSortSchema(apiSchema))}\n`
}

function contract(): GraphQLSchema {
  return buildSchema(readFileSync(projectFile('test/contract.graphql'), 'utf8'))
}

/** What a client written against the contract would miss, one line each, sorted. */
export function breakingChanges(): string[] {
  return findBreakingChanges(contract(), buildSchema(emittedSdl()))
    .map(({ type, description }) => `${type} ${description}`)
    .toSorted()
}

/** Arguments whose default is not that of the contract. */
export function changedDefaults(): string[] {
  return findDangerousChanges(contract(), buildSchema(emittedSdl()))
    .filter(({ type }) => type === DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE)
    .map(({ description }) => description)
}
