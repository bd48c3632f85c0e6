/** The one door through which every operation leaves its entry in the audit. */
import { GraphQLError, type GraphQLFieldResolver, type GraphQLSchema } from 'graphql'
import { type Deed, writeEntry } from '../access/audit.js'
import { withTenant } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { parseId } from '../ids.js'
import { type ApiContext, callerOf, type DeedUnderWay, deedOf } from './context.js'

/** Queries that show personal data in bulk before anything is downloaded: they leave an entry like mutations do. */
const audited: ReadonlySet<string> = new Set([
  'Query.exportPreview',
  'Query.rollbackPreview',
  'Query.auditVerification',
])

type Resolve = GraphQLFieldResolver<unknown, ApiContext>

/** Puts the door in front of every operation of a schema. Mutations leave an entry whatever becomes of them, the others where they are denied. */
export function auditOperations(schema: GraphQLSchema): GraphQLSchema {
  for (const type of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) {
    for (const [name, field] of Object.entries(type?.getFields() ?? {})) {
      const action = `${type?.name}.${name}`
      if (field.subscribe !== undefined) {
        field.subscribe = watched(action, field.subscribe)
      } else if (field.resolve !== undefined) {
        field.resolve =
          type === schema.getMutationType() || audited.has(action)
            ? done(action, field.resolve)
            : watched(action, field.resolve)
      }
    }
  }
  return schema
}

/** Writes down what is denied. */
function watched(action: string, resolve: Resolve): Resolve {
  return async (source, args, context, info) => {
    try {
      return await resolve(source, args, context, info)
    } catch (error) {
      if (codeOf(error) === 'FORBIDDEN') {
        await note(context, { action, ...namedIn(args), outcome: 'DENIED' }, error)
      }
      throw error
    }
  }
}

/** Writes down what is done, in the transaction that does it; see `inTenant`. What changed nothing gets a transaction of its own. */
function done(action: string, resolve: Resolve): Resolve {
  return async (source, args, context, info) => {
    const under: DeedUnderWay = { action, ...namedIn(args), written: false }
    let result: unknown
    try {
      result = await resolve(source, args, { ...context, deed: under }, info)
    } catch (error) {
      const code = codeOf(error)
      if (!under.written || code === 'FORBIDDEN') {
        const outcome = code === 'FORBIDDEN' ? 'DENIED' : code === 'INTERNAL_SERVER_ERROR' ? 'FAILED' : 'REFUSED'
        await note(context, { ...deedOf(under), outcome }, error)
      }
      throw error
    }
    const refused = refusalIn(result)
    if (refused !== null) {
      if (!under.written) {
        await write(context, { ...deedOf(under), outcome: 'REFUSED', detail: { ...under.detail, code: refused } })
      }
    } else if (!under.written) {
      await write(context, { ...deedOf(under, result), outcome: 'OK' })
    }
    return result
  }
}

/** An entry beside an error that is on its way to the caller: the error is what counts, should the entry fail. */
async function note(context: ApiContext, deed: Deed, error: unknown): Promise<void> {
  const code = codeOf(error)
  const permission = error instanceof GraphQLError ? error.extensions.permission : undefined
  const detail = { ...deed.detail, code, ...(typeof permission === 'string' ? { permission } : {}) }
  await write(context, { ...deed, detail }).catch((failure: unknown) => {
    context.services.log.error({ err: failure }, 'an entry of the audit could not be written')
  })
}

function write(context: ApiContext, deed: Deed): Promise<boolean> {
  return withTenant(context.services.database, context.caller.tenantId, (tx) => writeEntry(tx, callerOf(context), deed))
}

function codeOf(error: unknown): string {
  if (error instanceof Refusal) {
    return error.code
  }
  const code = error instanceof GraphQLError ? error.extensions.code : undefined
  return typeof code === 'string' ? code : 'INTERNAL_SERVER_ERROR'
}

/** The code of the first user error of a payload; null where it has none. */
function refusalIn(result: unknown): string | null {
  const errors = (result as { readonly userErrors?: readonly { readonly code: string }[] } | null | undefined)
    ?.userErrors
  return errors?.[0]?.code ?? null
}

/** Public ids among the arguments. Anything else that stands there is somebody's text and stays out of the audit. */
function namedIn(args: Readonly<Record<string, unknown>>): Pick<Deed, 'target' | 'detail'> {
  const given = { ...args, ...(args.input as Readonly<Record<string, unknown>> | undefined) }
  const ids = Object.entries(given).filter(
    (entry): entry is [string, string] =>
      /(^id|Id)$/.test(entry[0]) && typeof entry[1] === 'string' && parseId(entry[1]) !== null,
  )
  const recordType: Readonly<Record<string, string>> =
    typeof given.recordType === 'string' ? { recordType: given.recordType } : {}
  return { target: ids[0]?.[1] ?? null, detail: { ...Object.fromEntries(ids.slice(1)), ...recordType } }
}
