/** Numbers, sizes and times as people read them, in their own language and zone. */

const numbers = new Intl.NumberFormat()
const short = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** 1234567 as 1,234,567; null as a dash. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : numbers.format(value)
}

/** `3 rows`, `1 row`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${numbers.format(value)} ${value === 1 ? one : many}`
}

/** 1536 as 1.5 KB, by powers of 1,024. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) {
    return '–'
  }
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB']
  const power = value < 1024 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), units.length - 1)
  return `${short.format(value / 1024 ** power)} ${units[power]}`
}

/** 0.5 as 50 %, rounded down: 100 % is only said when it is all. */
export function percent(fraction: number | null | undefined): string {
  return fraction === null || fraction === undefined ? '–' : `${Math.floor(fraction * 100)} %`
}

/** 93000 milliseconds as 1 min 33 s. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) {
    return '–'
  }
  if (ms < 1000) {
    return `${Math.round(ms)} ms`
  }
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) {
    return ms < 10_000 ? `${short.format(ms / 1000)} s` : `${seconds} s`
  }
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** An instant with its seconds, in the zone of this browser. */
export function exactTime(at: string | Date): string {
  return full.format(new Date(at))
}

/** An instant to the minute. */
export function dayAndTime(at: string | Date): string {
  return clock.format(new Date(at))
}

const timeOfDay = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

/** An instant of today as its time of day, with seconds; any other to the minute, with its day. */
export function nearTime(at: string | Date, now = new Date()): string {
  const instant = new Date(at)
  return instant.toDateString() === now.toDateString() ? timeOfDay.format(instant) : clock.format(instant)
}

/** The time of day of milliseconds since 1970, with seconds. */
export function clockTime(at: number): string {
  return timeOfDay.format(at)
}

/** `3 minutes ago`, `in 2 days`. */
export function ago(at: string | Date, now = Date.now()): string {
  const seconds = (new Date(at).getTime() - now) / 1000
  const steps: readonly (readonly [number, Intl.RelativeTimeFormatUnit])[] = [
    [60, 'second'],
    [3600, 'minute'],
    [86_400, 'hour'],
    [Number.POSITIVE_INFINITY, 'day'],
  ]
  const sizes = [1, 60, 3600, 86_400]
  const step = steps.findIndex(([below]) => Math.round(Math.abs(seconds)) < below)
  const [, unit] = steps[step] ?? [0, 'day' as const]
  return relative.format(Math.round(seconds / (sizes[step] ?? 1)), unit)
}

/** `AWAITING_CONFIRMATION` as `Awaiting confirmation`. */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ').toLowerCase()
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const days = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeZone: 'UTC' })
const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 20, useGrouping: 'min2' })

/** A day, YYYY-MM-DD, which no time zone shifts; what is none stands as it is. */
export function day(text: string): string {
  const date = new Date(`${text}T00:00:00Z`)
  return Number.isNaN(date.getTime()) ? text : days.format(date)
}

/** A number with all its digits, grouped from 10,000 on so that years stay years; what is none stands as it is. */
export function exactNumber(text: string): string {
  return /^-?\d+(\.\d+)?$/.test(text) ? exact.format(text as `${number}`) : text
}
