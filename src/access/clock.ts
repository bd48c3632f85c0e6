/**
 * The time that tokens, keys and links are judged by: that of the database, which all processes share. The clock of one machine may be
 * wrong by an hour; how wrong it is, is measured now and then.
 */

/** How often it is measured, in milliseconds: a clock that is set while we run is noticed within the minute. */
const MEASURE_MS = 20_000

/** After a measurement that failed, in milliseconds. */
const AGAIN_MS = 1000

/** An answer that took longer says too little about the moment it stands for. Milliseconds. */
const ANSWER_MS = 2000

/** Milliseconds that the clock of this machine lacks. */
let lacking = 0

/** Now, in milliseconds since 1970, by the clock of the database as far as it is known. */
export function clockNow(): number {
  return Date.now() + lacking
}

/** Takes the time of the database for the right one, until another is told. */
export function setClock(databaseNow: number): void {
  lacking = databaseNow - Date.now()
}

export interface Clock {
  stop(): void
}

/**
 * Keeps measuring. `ask` answers the time of the database in milliseconds since 1970; it may fail as often as it likes. `measured`
 * hears by how many milliseconds the clock of this machine is wrong. The first measurement is under way when this returns.
 */
export function keepClock(ask: () => Promise<number>, measured: (wrongBy: number) => void): Clock {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const measure = async (): Promise<void> => {
    let next = AGAIN_MS
    try {
      const asked = performance.now()
      const there = await ask()
      const took = performance.now() - asked
      if (took <= ANSWER_MS && !stopped) {
        setClock(there + took / 2)
        measured(-lacking)
        next = MEASURE_MS
      }
    } catch {
      // It is away, which is told elsewhere.
    }
    if (!stopped) {
      timer = setTimeout(() => void measure(), next).unref()
    }
  }
  void measure()
  return {
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}
