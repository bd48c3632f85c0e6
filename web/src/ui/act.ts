/** Doing something: a mutation, its refusals as words, and whether it is under way. */
import { useCallback, useState } from 'react'
import { type AnyVariables, useClient } from 'urql'
import { trouble } from '../api/client.ts'
import type { RefusedFragment } from '../api/generated.ts'
import type { Operation } from '../api/operation.ts'
import { toast } from './toasts.tsx'

/** Why something was not done; `FAILED`: it could not be asked, or got no answer. */
interface Refusal extends Omit<RefusedFragment, 'code'> {
  readonly code: RefusedFragment['code'] | 'FAILED'
}

/** What a mutation came to. */
export interface Done<Payload> {
  /** Null if it was refused or could not be asked. */
  readonly payload: Payload | null
  readonly refusals: readonly Refusal[]
}

/**
 * Makes a function of a mutation. It answers the one payload of the mutation; refusals and faults are shown as a message unless
 * `quiet`, and given back. The mutation must ask for `userErrors { ...Refused }`.
 */
export function useAct<Answer extends object, Variables extends AnyVariables>(
  operation: Operation<Answer, Variables>,
  { quiet = false }: { readonly quiet?: boolean } = {},
) {
  type Payload = Exclude<Answer[keyof Answer], string | undefined>
  const client = useClient()
  const [busy, setBusy] = useState(false)
  const act = useCallback(
    async (variables: Variables): Promise<Done<Payload>> => {
      setBusy(true)
      try {
        const result = await client.mutation(operation, variables).toPromise()
        const message = trouble(result)
        const payload = Object.entries(result.data ?? {}).find(([key]) => key !== '__typename')?.[1] as
          | (Payload & { readonly userErrors: readonly RefusedFragment[] })
          | undefined
        const refusals: readonly Refusal[] =
          message === null && payload !== undefined
            ? payload.userErrors
            : [{ code: 'FAILED', message: message ?? 'There was no answer.', field: null }]
        if (!quiet) {
          for (const refusal of refusals) {
            toast(refusal.message, true)
          }
        }
        return { payload: refusals.length > 0 ? null : (payload ?? null), refusals }
      } finally {
        setBusy(false)
      }
    },
    [client, operation, quiet],
  )
  return [act, busy] as const
}
