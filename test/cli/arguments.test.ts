import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assignments, choice, matchRules, only, parse, seconds, UsageError, whole } from '../../src/cli/arguments.js'

test('a mapping is split at the last equals sign, and an empty field leaves the column out', () => {
  assert.deepEqual(assignments(['E-mail=email', 'a = b=notes', 'Fax=', 'Old=-']), [
    { column: 'E-mail', field: 'email' },
    { column: 'a = b', field: 'notes' },
    { column: 'Fax', field: null },
    { column: 'Old', field: null },
  ])
})

test('a mapping without a column, without an equals sign or of a column named twice is refused', () => {
  for (const texts of [['=email'], ['email'], ['A=email', 'A=phone']]) {
    assert.throws(() => assignments(texts), UsageError)
  }
})

test('choices are typed in lower case with dashes', () => {
  assert.equal(choice('--on-duplicate', 'fill-blanks', ['UPDATE', 'FILL_BLANKS']), 'FILL_BLANKS')
  assert.equal(choice('--on-duplicate', undefined, ['UPDATE']), undefined)
  assert.throws(() => choice('--on-duplicate', 'merge', ['UPDATE', 'FILL_BLANKS']), {
    message: '--on-duplicate is one of update, fill-blanks; "merge" is none of them.',
  })
})

test('durations have a unit', () => {
  assert.deepEqual(
    ['90s', '15m', '1h', '7d'].map((text) => seconds('--expires', text)),
    [90, 900, 3600, 604_800],
  )
  for (const text of ['', '0s', '1', 'h', '1w', '-1h', '1.5h']) {
    assert.throws(() => seconds('--expires', text), UsageError)
  }
})

test('whole numbers are checked against their range', () => {
  assert.equal(whole('--first', '500', 1, 500), 500)
  for (const text of ['0', '501', '1e2', '', '-3']) {
    assert.throws(() => whole('--first', text, 1, 500), UsageError)
  }
})

test('match rules are lists of fields', () => {
  assert.deepEqual(matchRules(['email', 'firstName, lastName']), [['email'], ['firstName', 'lastName']])
  assert.throws(() => matchRules(['email,']), UsageError)
})

test('an unknown option, a missing and a second argument are told in words', () => {
  assert.throws(
    () => parse(['--nope'], {}),
    (error: Error) => error instanceof UsageError && error.message === "Unknown option '--nope'.",
  )
  assert.throws(() => only([], 'RUN'), { message: 'RUN is missing.' })
  assert.throws(() => only(['a', 'b'], 'RUN'), UsageError)
})
