/** Runs as they stand this moment: what was read, with what has been told since laid over it. */
import { useCallback, useState } from 'react'
import type { RunInListFragment } from '../api/generated.ts'
import type { TenantEvent } from './live.ts'

type Overlay = Pick<RunInListFragment, 'status' | 'counts' | 'progress'>

/** What events have told of runs. `add` answers whether a list of runs is out of date now: one has come, gone or changed its status. */
export function useLiveRuns() {
  const [overlays, setOverlays] = useState<ReadonlyMap<string, Partial<Overlay>>>(new Map())
  return {
    add(events: readonly TenantEvent[]): boolean {
      let stale = false
      const next = new Map(overlays)
      for (const event of events) {
        if (event.__typename === 'RunProgressed' && event.runId !== null) {
          next.set(event.runId, { ...next.get(event.runId), counts: event.counts, progress: event.progress })
        } else if (event.__typename === 'RunStatusChanged' && event.runId !== null) {
          next.set(event.runId, { ...next.get(event.runId), status: event.to })
          stale = true
        } else if (event.__typename === 'StreamGap') {
          stale = true
        }
      }
      setOverlays(next)
      return stale
    },
    /** What was read is newest now. */
    clear: useCallback(() => setOverlays(new Map()), []),
    of<R extends RunInListFragment>(run: R): R {
      const overlay = overlays.get(run.id)
      return overlay === undefined ? run : { ...run, ...overlay }
    },
  }
}
