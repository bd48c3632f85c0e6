/** Wall-clock times of an IANA time zone, fast enough for a column of a million of them. */

const DAY_MS = 86_400_000
/** Days whose offset is kept; more than a century of them. */
const DAYS_KEPT = 50_000

/** A time zone that turns what its clocks show into instants. */
export interface Zone {
  readonly name: string
  /**
   * The instant at which clocks of the zone show `wallMs` (the wall-clock time as if it were UTC), in milliseconds since
   * 1970. A time that clocks skip when summer time begins is read with the offset before the change, so 02:30 becomes
   * 03:30; a time that they show twice when it ends means the first.
   */
  toInstant(wallMs: number): number
  /** What clocks of the zone show at an instant, in milliseconds as if it were UTC. */
  toWall(instantMs: number): number
}

/** The zone called `name`; null if there is none. */
export function zoneOf(name: string): Zone | null {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch {
    return null
  }
  const resolved = format.resolvedOptions().timeZone
  if (resolved === 'UTC') {
    return { name, toInstant: (wallMs) => wallMs, toWall: (instantMs) => instantMs }
  }
  return new ZoneWithOffsets(name, format)
}

class ZoneWithOffsets implements Zone {
  readonly name: string
  readonly #format: Intl.DateTimeFormat
  /** Offset of each day on which it does not change; NaN for the others. */
  readonly #offsets = new Map<number, number>()

  constructor(name: string, format: Intl.DateTimeFormat) {
    this.name = name
    this.#format = format
  }

  toInstant(wallMs: number): number {
    const offset = this.#offsetAround(Math.floor(wallMs / DAY_MS))
    return Number.isNaN(offset) ? this.#nearChange(wallMs) : wallMs - offset
  }

  toWall(instantMs: number): number {
    const offset = this.#offsetAround(Math.floor(instantMs / DAY_MS))
    return instantMs + (Number.isNaN(offset) ? this.#offsetAt(instantMs) : offset)
  }

  /** The offset of a day since 1970, of the one before it and of the one behind it; NaN where it changes. */
  #offsetAround(day: number): number {
    let offset = this.#offsets.get(day)
    if (offset === undefined) {
      const before = this.#offsetAt((day - 1) * DAY_MS)
      const after = this.#offsetAt((day + 2) * DAY_MS)
      offset = before === after ? before : Number.NaN
      if (this.#offsets.size >= DAYS_KEPT) {
        this.#offsets.clear()
      }
      this.#offsets.set(day, offset)
    }
    return offset
  }

  #nearChange(wallMs: number): number {
    const before = this.#offsetAt(wallMs - DAY_MS)
    const after = this.#offsetAt(wallMs + DAY_MS)
    const first = wallMs - before
    const second = wallMs - after
    return this.#offsetAt(first) !== before && this.#offsetAt(second) === after ? second : first
  }

  /** What clocks are ahead of UTC at an instant, in milliseconds. */
  #offsetAt(instantMs: number): number {
    let year = 0
    let month = 0
    let day = 0
    let hour = 0
    let minute = 0
    let second = 0
    for (const { type, value } of this.#format.formatToParts(instantMs)) {
      if (type === 'year') {
        year = Number(value)
      } else if (type === 'month') {
        month = Number(value)
      } else if (type === 'day') {
        day = Number(value)
      } else if (type === 'hour') {
        hour = Number(value)
      } else if (type === 'minute') {
        minute = Number(value)
      } else if (type === 'second') {
        second = Number(value)
      }
    }
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instantMs / 1000) * 1000
  }
}
