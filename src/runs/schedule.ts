/**
 * When a schedule is due: five fields of cron in a time zone. Where clocks are put forward, what would fall into the missing hour
 * comes as much later; where they are put back, a time of day that comes twice counts once, and what comes every hour comes in
 * both.
 */
import { CronExpressionParser } from 'cron-parser'
import { Refusal } from '../errors.js'
import { EXPORT_SCHEDULE_LENGTH_MAX, EXPORT_SCHEDULE_MINUTES_MIN } from '../limits.js'

/** Fields are numbers and names with `*`, `,`, `-` and `/`; `L` and `#` for the last or the nth day. No seconds, no chance. */
const FIELDS = /^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$/
/** `H` stands for a place by chance. */
const BY_CHANCE = /(?<![A-Za-z])H(?![A-Za-z])/i

/** So many due times in a row are looked at for the shortest time between two: more than a day of the densest. */
const LOOKED_AT = 400
const MINUTE_MS = 60_000

/** Longer than clocks are ever put back. */
const BEFORE_MS = 3 * 60 * MINUTE_MS

/** The first due time after `after`; null where there is none any more. Throws for what `checkSchedule` refuses. */
export function nextDue(schedule: string, timeZone: string, after: Date): Date | null {
  // Asked in the middle of an hour that comes twice, the parser would not know that it has been there before.
  const from = new Date(after.getTime() - BEFORE_MS)
  const times = CronExpressionParser.parse(schedule, { tz: timeZone, currentDate: from })
  while (times.hasNext()) {
    const time = times.next().toDate()
    if (time > after) {
      return time
    }
  }
  return null
}

/**
 * The schedule as it is kept, with single spaces. Refuses INVALID_INPUT for no cron expression, one that is never due, or due too
 * often, at `schedule`, and for no time zone, at `timeZone`.
 */
export function checkSchedule(schedule: string, timeZone: string, now: Date): string {
  const kept = schedule.trim().replaceAll(/\s+/g, ' ')
  if (!isTimeZone(timeZone)) {
    const shown = JSON.stringify(timeZone.slice(0, 50))
    throw new Refusal('INVALID_INPUT', `${shown} is no time zone such as Europe/Berlin.`, ['timeZone'])
  }
  if (kept.length > EXPORT_SCHEDULE_LENGTH_MAX || !FIELDS.test(kept) || BY_CHANCE.test(kept)) {
    throw notCron('')
  }
  let due: Date[]
  try {
    const times = CronExpressionParser.parse(kept, { tz: timeZone, currentDate: now })
    due = times.take(times.hasNext() ? LOOKED_AT : 0).map((time) => time.toDate())
  } catch (error) {
    throw notCron(error instanceof Error ? ` (${error.message})` : '')
  }
  const [one] = due
  if (one === undefined) {
    throw new Refusal('INVALID_INPUT', 'This schedule is never due.', ['schedule'])
  }
  const close = due.some((time, index) => {
    const before = due[index - 1]
    return before !== undefined && time.getTime() - before.getTime() < EXPORT_SCHEDULE_MINUTES_MIN * MINUTE_MS
  })
  if (close) {
    throw new Refusal(
      'INVALID_INPUT',
      `This schedule is due more than once in ${EXPORT_SCHEDULE_MINUTES_MIN} minutes; that is too often.`,
      ['schedule'],
    )
  }
  return kept
}

/** Whether this is the name of a time zone, e.g. `Europe/Berlin`; an offset is none. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,60}$/.test(name)) {
    return false
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: name }).format()
    return true
  } catch {
    return false
  }
}

/** The day on which `moment` is in a time zone, as `2026-11-22`. */
export function dayIn(timeZone: string, moment: Date): string {
  const parts = new Intl.DateTimeFormat('en', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
    .formatToParts(moment)
    .map(({ type, value }) => [type, value] as const)
  const part = new Map<string, string>(parts)
  return `${part.get('year')}-${part.get('month')}-${part.get('day')}`
}

function notCron(why: string): Refusal {
  return new Refusal(
    'INVALID_INPUT',
    `A schedule is a cron expression of five fields: minute, hour, day of the month, month, day of the week, e.g. \`30 6 * * 1-5\`${why}.`,
    ['schedule'],
  )
}
