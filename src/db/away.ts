/** A database that is merely not there now: restarting, failing over, out of connections. Whoever needs it waits. */
import { setTimeout as pause } from 'node:timers/promises'

/** Whether the database was merely away: refused, unreachable, still starting, or out of connections. */
export function isAway(error: unknown): boolean {
  const { code, errors } = error as { code?: unknown; errors?: unknown }
  if (Array.isArray(errors) && errors.length > 0) {
    return errors.every(isAway)
  }
  return (
    typeof code === 'string' &&
    /^(ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|EPIPE|57P0[123]|53300)$/.test(
      code,
    )
  )
}

/** Between two looks for a database that is away, in milliseconds: work goes on within seconds of its return. */
const LOOK_MS = 500

/**
 * Does `work` as soon as the database is there: tries again while it is away, and calls `onAway` the first time. Throws what
 * else goes wrong, and the signal's reason once it is aborted.
 */
export async function whenThere<T>(work: () => Promise<T>, signal: AbortSignal, onAway: () => void): Promise<T> {
  for (let told = false; ; told = true) {
    try {
      return await work()
    } catch (error) {
      if (!isAway(error)) {
        throw error
      }
      if (!told) {
        onAway()
      }
      await pause(LOOK_MS, undefined, { signal })
    }
  }
}
