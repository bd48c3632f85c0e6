/** How long operations take and what becomes of them, by their names. */
import { GraphQLError, type GraphQLFieldResolver, type GraphQLSchema } from 'graphql'
import { Refusal } from '../errors.js'
import { operationDuration, operations } from '../metrics.js'
import type { ApiContext } from './context.js'

type Resolve = GraphQLFieldResolver<unknown, ApiContext>

/** Measures every operation of a schema. Names are those of the schema, so that callers cannot make up series. */
export function measureOperations(schema: GraphQLSchema): GraphQLSchema {
  for (const type of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) {
    for (const [name, field] of Object.entries(type?.getFields() ?? {})) {
      const operation = `${type?.name}.${name}`
      if (field.subscribe !== undefined) {
        field.subscribe = measured(operation, field.subscribe)
      } else if (field.resolve !== undefined) {
        field.resolve = measured(operation, field.resolve)
      }
    }
  }
  return schema
}

function measured(operation: string, resolve: Resolve): Resolve {
  return async (source, args, context, info) => {
    const started = performance.now()
    let result = 'error'
    try {
      const answer: unknown = await resolve(source, args, context, info)
      result = isRefusal(answer) ? 'refused' : 'ok'
      return answer
    } catch (error) {
      result = resultOf(error)
      throw error
    } finally {
      operations.inc({ operation, result })
      operationDuration.observe({ operation }, (performance.now() - started) / 1000)
    }
  }
}

function isRefusal(answer: unknown): boolean {
  const errors = (answer as { readonly userErrors?: readonly unknown[] } | null | undefined)?.userErrors
  return Array.isArray(errors) && errors.length > 0
}

function resultOf(error: unknown): 'refused' | 'denied' | 'error' {
  if (error instanceof Refusal) {
    return 'refused'
  }
  const code = error instanceof GraphQLError ? error.extensions.code : undefined
  return code === 'FORBIDDEN'
    ? 'denied'
    : typeof code === 'string' && code !== 'INTERNAL_SERVER_ERROR'
      ? 'refused'
      : 'error'
}
