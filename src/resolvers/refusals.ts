import { GraphQLError } from 'graphql'
import { Refusal } from '../errors.js'
import type { UserError } from '../schema/common.js'

interface Failed {
  readonly userErrors: readonly UserError[]
}

/** Runs a mutation: what it answers, or, where it was refused, `empty` with the refusal as a user error. */
export async function settled<E extends object, T extends object>(
  empty: E,
  work: () => Promise<T>,
): Promise<(E | T) & Failed> {
  try {
    return { ...(await work()), userErrors: [] }
  } catch (error) {
    if (error instanceof Refusal) {
      return { ...empty, userErrors: [{ code: error.code, field: error.field, message: error.message, retryAt: null }] }
    }
    throw error
  }
}

/** Runs a query, which has no user errors: a refusal becomes a GraphQL error with its code. */
export async function asked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof Refusal ? new GraphQLError(error.message, { extensions: { code: error.code } }) : error
  }
}
