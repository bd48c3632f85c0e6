import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { GraphQLError } from 'graphql'
import { CallerGone, describeError } from '../../src/server/errors.js'

test('a caller who has gone is no fault, however deep the work for them was; anything else that ends work is one', async () => {
  const logged: unknown[] = []
  const log = { error: (...entry: unknown[]) => void logged.push(entry) }
  const gone = new AbortController()
  const waited = setTimeout(60_000, undefined, { signal: gone.signal }).catch((error: unknown) => error)
  gone.abort(new CallerGone())
  for (const error of [gone.signal.reason, await waited] as Error[]) {
    const located = new GraphQLError(error.message, { path: ['importRun', 'rows'], originalError: error })
    assert.equal(describeError(located, log).extensions?.code, 'UNAVAILABLE')
  }
  assert.equal(logged.length, 0)
  assert.equal(describeError(AbortSignal.abort().reason, log).extensions?.code, 'INTERNAL_SERVER_ERROR')
  assert.equal(logged.length, 1)
})
