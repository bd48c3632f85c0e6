/** Lists that come page by page: the first by itself, further ones on demand, all shown together. */
import { useEffect, useRef, useState } from 'react'
import { type AnyVariables, useClient, useQuery } from 'urql'
import { trouble } from '../api/client.ts'
import type { Operation } from '../api/operation.ts'

interface Slice<Node> {
  readonly nodes: readonly Node[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
}

export interface Pages<Node, Answer> {
  /** All that has been fetched; undefined until the first answer. */
  readonly nodes: readonly Node[] | undefined
  /** What the first page answered beside the list. */
  readonly first: Answer | undefined
  readonly hasMore: boolean
  readonly busy: boolean
  /** What went wrong, in words; null for nothing. */
  readonly problem: string | null
  readonly more: () => void
  readonly refresh: () => void
}

/** Follows a connection whose cursor is the variable `after`. Other variables anew begin the list anew. */
export function usePages<Answer, Variables extends AnyVariables, Node>(
  operation: Operation<Answer, Variables>,
  variables: Variables,
  slice: (answer: Answer) => Slice<Node>,
  pause = false,
): Pages<Node, Answer> {
  const client = useClient()
  const [result, again] = useQuery({ query: operation, variables, pause })
  const [rest, setRest] = useState<{ readonly key: string; readonly slices: readonly Slice<Node>[] }>()
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const key = JSON.stringify(variables)
  const now = useRef(key)
  useEffect(() => {
    now.current = key
    setProblem(null)
  }, [key])
  const { data } = result
  const slices = data === undefined ? [] : [slice(data), ...(rest?.key === key ? rest.slices : [])]
  const last = slices.at(-1)
  const more = async (): Promise<void> => {
    if (last === undefined || busy) {
      return
    }
    setBusy(true)
    const next = await client
      .query(operation, { ...variables, after: last.pageInfo.endCursor }, { requestPolicy: 'network-only' })
      .toPromise()
    setBusy(false)
    if (now.current !== key) {
      return
    }
    setProblem(trouble(next))
    const answer = next.data
    if (answer !== undefined) {
      setRest({ key, slices: [...slices.slice(1), slice(answer)] })
    }
  }
  return {
    nodes: data === undefined ? undefined : slices.flatMap(({ nodes }) => nodes),
    first: data,
    hasMore: last?.pageInfo.hasNextPage ?? false,
    busy: busy || result.fetching,
    problem: problem ?? trouble(result),
    more: () => void more(),
    refresh: () => {
      setRest(undefined)
      again({ requestPolicy: 'network-only' })
    },
  }
}
