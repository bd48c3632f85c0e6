import type { Budget } from '../../../src/adapters/http/client.js'

/** A budget that always gives leave, and counts what is under way. */
export function openBudget(): Budget & { readonly counts: { taken: number; given: number } } {
  const counts = { taken: 0, given: 0 }
  return {
    counts,
    take: async () => {
      counts.taken += 1
      return { kind: 'permit', id: String(counts.taken) }
    },
    give: async () => {
      counts.given += 1
    },
  }
}
