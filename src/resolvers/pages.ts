import type { Page, PageRequest } from '../runs/types.js'
import type { Connection } from '../schema/common.js'

/** What a list resolver was asked for. `first` was held to its limits before any resolver ran. */
export function pageRequest(first: number, after: string | null | undefined): PageRequest {
  return { first, after: after ?? null }
}

/** A page as a Relay connection; `shown` turns what was read into what the API shows. */
export function connection<T, S>(
  page: Page<T>,
  shown: (node: T) => S,
): Connection<S> & { readonly totalCount: number } {
  const edges = page.items.map(({ node, cursor }) => ({ node: shown(node), cursor }))
  return {
    edges,
    nodes: edges.map(({ node }) => node),
    pageInfo: {
      hasNextPage: page.hasNext,
      hasPreviousPage: page.hasPrevious,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount: page.totalCount ?? 0,
  }
}
