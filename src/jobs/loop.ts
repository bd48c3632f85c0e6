/** Work that a worker looks for again and again, beside its runs. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../log.js'

export interface Loop {
  /** Ends after the look in hand. */
  close(): Promise<void>
}

export interface LoopOptions {
  /** Pause between two looks, in milliseconds. */
  readonly everyMs: number
  readonly stopping: AbortSignal
  readonly log: Log
  /** What the log says of a look that failed; the next one follows all the same. */
  readonly failed: string
}

/** Looks until `stopping` or `close`; `signal` tells a look to hurry. */
export function startLoop(
  { everyMs, stopping, log, failed }: LoopOptions,
  look: (signal: AbortSignal) => Promise<void>,
): Loop {
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, stopping])
  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await look(signal)
      } catch (error) {
        if (!signal.aborted) {
          log.warn({ err: error }, failed)
        }
      }
      await sleep(everyMs, undefined, { signal }).catch(() => undefined)
    }
  }
  const running = loop()
  return {
    close: async () => {
      stop.abort()
      await running
    },
  }
}
