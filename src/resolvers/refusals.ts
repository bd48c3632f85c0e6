import { GraphQLError, type GraphQLSchema } from 'graphql'
import { type QuotaState, Refusal } from '../errors.js'
import type { UserError } from '../schema/common.js'
import type { ApiContext } from './context.js'

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
      const { code, field, message, quota } = error
      const told: UserError = { code, field, message, retryAt: quota?.retryAt ?? null }
      // The quota is for the headers of the answer, see `tellQuotas`; the schema does not show it.
      return { ...empty, userErrors: [quota === null ? told : Object.assign(told, { quota })] }
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

/** Lets the answer to a mutation that was refused for a quota say so in its headers, whatever of it the caller has asked to see. */
export function tellQuotas(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const { resolve } = field
    if (resolve !== undefined) {
      field.resolve = async (source, args, context: ApiContext, info) => {
        const result: unknown = await resolve(source, args, context, info)
        const [refused] = (result as Partial<Failed> | null)?.userErrors ?? []
        if (refused !== undefined && 'quota' in refused) {
          context.exchange?.tellQuota(refused.quota as QuotaState)
        }
        return result
      }
    }
  }
  return schema
}
