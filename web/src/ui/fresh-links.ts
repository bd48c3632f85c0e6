/** Links to files end after minutes: a page that stays open gets new ones before that. */
import { useEffect, useEffectEvent } from 'react'

/** So long before their end they are asked for anew. */
const EARLY_MS = 30_000

/** `ends`: when links on the page end, as instants. */
export function useFreshLinks(ends: readonly string[], refresh: () => void): void {
  const again = useEffectEvent(refresh)
  const first = ends.toSorted()[0]
  useEffect(() => {
    if (first === undefined) {
      return
    }
    const timer = setTimeout(() => again(), Math.max(Date.parse(first) - Date.now() - EARLY_MS, 5_000))
    return () => clearTimeout(timer)
  }, [first])
}
