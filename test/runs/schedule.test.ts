import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal } from '../../src/errors.js'
import { checkSchedule, dayIn, isTimeZone, nextDue } from '../../src/runs/schedule.js'

/** The next `count` due times, each found from the one before. */
function due(schedule: string, timeZone: string, from: string, count: number): string[] {
  const times: string[] = []
  let after = new Date(from)
  while (times.length < count) {
    const next = nextDue(schedule, timeZone, after)
    if (next === null) {
      break
    }
    times.push(next.toISOString().slice(0, 16))
    after = next
  }
  return times
}

test('a time of day stays that time of day when clocks are put forward or back', () => {
  assert.deepEqual(due('0 6 * * *', 'Europe/Berlin', '2026-03-27T12:00:00Z', 3), [
    '2026-03-28T05:00',
    '2026-03-29T04:00',
    '2026-03-30T04:00',
  ])
  assert.deepEqual(due('0 6 * * *', 'Europe/Berlin', '2026-10-23T12:00:00Z', 3), [
    '2026-10-24T04:00',
    '2026-10-25T05:00',
    '2026-10-26T05:00',
  ])
})

test('what falls into the hour that is missing in March comes an hour later, once', () => {
  assert.deepEqual(due('30 2 * * *', 'Europe/Berlin', '2026-03-27T12:00:00Z', 3), [
    '2026-03-28T01:30',
    '2026-03-29T01:30',
    '2026-03-30T00:30',
  ])
  assert.deepEqual(due('30 2 29 3 *', 'Europe/Berlin', '2026-03-01T12:00:00Z', 1), ['2026-03-29T01:30'])
  assert.deepEqual(due('0 0 * * *', 'America/Sao_Paulo', '2018-11-03T12:00:00Z', 2), [
    '2018-11-04T03:00',
    '2018-11-05T02:00',
  ])
})

test('what falls into the hour that comes twice in October comes once, however late one looks', () => {
  assert.deepEqual(due('30 2 * * *', 'Europe/Berlin', '2026-10-23T12:00:00Z', 3), [
    '2026-10-24T00:30',
    '2026-10-25T00:30',
    '2026-10-26T01:30',
  ])
  for (const late of ['2026-10-25T00:30:00Z', '2026-10-25T00:59:00Z', '2026-10-25T01:10:00Z', '2026-10-25T01:29:59Z']) {
    assert.deepEqual(due('30 2 * * *', 'Europe/Berlin', late, 1), ['2026-10-26T01:30'], late)
  }
})

test('what comes every hour comes in both hours of October and leaves none out in March', () => {
  assert.deepEqual(due('0 * * * *', 'Europe/Berlin', '2026-10-24T23:30:00Z', 4), [
    '2026-10-25T00:00',
    '2026-10-25T01:00',
    '2026-10-25T02:00',
    '2026-10-25T03:00',
  ])
  assert.deepEqual(due('0 * * * *', 'Europe/Berlin', '2026-03-29T00:00:00Z', 2), [
    '2026-03-29T01:00',
    '2026-03-29T02:00',
  ])
})

test('a day of February is waited for, years if need be', () => {
  assert.deepEqual(due('0 0 29 2 *', 'UTC', '2026-10-24T12:00:00Z', 2), ['2028-02-29T00:00', '2032-02-29T00:00'])
})

test('a schedule is kept with single spaces; what is none is refused in words', () => {
  const now = new Date('2026-11-23T00:00:00Z')
  assert.equal(checkSchedule('  30  6 * *\t1-5 ', 'Europe/Berlin', now), '30 6 * * 1-5')
  assert.equal(checkSchedule('*/5 * * * *', 'UTC', now), '*/5 * * * *')
  assert.equal(checkSchedule('0 0 L * *', 'UTC', now), '0 0 L * *')
  const refusals: readonly (readonly [string, string, RegExp])[] = [
    ['', 'schedule', /five fields/],
    ['* * *', 'schedule', /five fields/],
    ['0 * * * * *', 'schedule', /five fields/],
    ['@daily', 'schedule', /five fields/],
    ['60 * * * *', 'schedule', /range 0-59/],
    ['H 3 * * *', 'schedule', /five fields/],
    ['? ? ? ? ?', 'schedule', /five fields/],
    ['0 0 30 2 *', 'schedule', /five fields.*day of month|never/],
    ['* * * * *', 'schedule', /too often/],
    ['0,4 3 * * *', 'schedule', /too often/],
    ['58,1 * * * *', 'schedule', /too often/],
    [`0 0 ${'1,'.repeat(60)}1 * *`, 'schedule', /five fields/],
  ]
  for (const [schedule, field, message] of refusals) {
    assert.throws(
      () => checkSchedule(schedule, 'UTC', now),
      (error) => {
        assert.ok(error instanceof Refusal, schedule)
        assert.deepEqual(error.field, [field])
        assert.match(error.message, message)
        return true
      },
    )
  }
  assert.throws(() => checkSchedule('0 6 * * *', 'Mars/Olympus', now), /no time zone/)
})

test('time zones go by their names', () => {
  assert.deepEqual(
    ['Europe/Berlin', 'UTC', 'America/Argentina/Buenos_Aires', '+02:00', '', "x'; drop", 'Europe/Berlin '].map(
      isTimeZone,
    ),
    [true, true, true, false, false, false, false],
  )
  assert.equal(dayIn('Pacific/Auckland', new Date('2026-11-22T12:00:00Z')), '2026-11-23')
  assert.equal(dayIn('America/New_York', new Date('2026-11-22T04:00:00Z')), '2026-11-21')
})
