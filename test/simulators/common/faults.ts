/** Scripts of faults: what happens at which request, and random ones by seed. */
import { Random } from '../../helpers/random.js'
import type { Fault, FaultKind } from './types.js'

/** Kinds after which a patient client still gets everything right. */
export const SURVIVABLE: readonly FaultKind[] = [
  'EXPIRE_TOKEN',
  'RESET_BEFORE_HEADERS',
  'RESET_AFTER_HEADERS',
  'RESET_IN_BODY',
  'SLOW_BODY',
  'SHORT_BODY',
  'STATUS_500',
  'STATUS_502',
  'STATUS_503',
  'STATUS_504',
  'HTML_ERROR',
  'EMPTY_BODY',
  'HTML_AS_JSON',
  'BURST_LIMIT',
  'UNKNOWN_FIELDS',
  'CLOCK_SKEW',
]

/**
 * Faults for about so many requests, the same for one seed. `own` are names of the service's own kinds. Each kind of
 * connection fault comes at most three times in a row, which a client that tries again survives.
 */
export function randomFaults(
  seed: number,
  requests: number,
  {
    kinds = SURVIVABLE,
    own = [],
    share = 0.15,
  }: {
    readonly kinds?: readonly FaultKind[]
    readonly own?: readonly string[]
    /** Of the requests, so many go wrong. */
    readonly share?: number
  } = {},
): readonly Fault[] {
  const random = new Random(seed)
  const faults: Fault[] = []
  const choices: readonly (readonly [FaultKind, string | null])[] = [
    ...kinds.map((kind) => [kind, null] as const),
    ...own.map((name) => ['OWN', name] as const),
  ]
  for (let at = 0; at < requests; at++) {
    if (random.chance(share)) {
      const [kind, name] = random.pick(choices)
      faults.push({ kind, ...(name === null ? {} : { name }), after: at, times: random.chance(0.2) ? 3 : 1 })
    }
  }
  return faults
}

/** The faults that have not happened yet. Each counts the requests that fit it, whatever else happens to them. */
export class Script {
  #faults: { readonly fault: Fault; seen: number; happened: number }[] = []

  set(faults: readonly Fault[]): void {
    this.#faults = faults.map((fault) => ({ fault, seen: 0, happened: 0 }))
  }

  get pending(): readonly Fault[] {
    return this.#faults.map(({ fault }) => fault)
  }

  /** What happens to this request: at most one thing, the others wait for the next. */
  next(path: string): Fault | null {
    let found: Fault | null = null
    for (const entry of this.#faults) {
      if (entry.fault.path !== undefined && !entry.fault.path.test(path)) {
        continue
      }
      if (entry.seen >= entry.fault.after && found === null) {
        found = entry.fault
        entry.happened++
      }
      entry.seen++
    }
    this.#faults = this.#faults.filter(({ fault, happened }) => happened < (fault.times ?? 1))
    return found
  }
}
