/** Damaged files are read or refused: nothing else. The same in greater number: `npm run fuzz`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from './fuzz.js'
import { fuzzFormats } from './samples.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 4711) % 1_000_000

test('600 damaged files of all formats end in rows or a refusal, and leave the prototypes alone [UP-4] [UP-14]', async () => {
  const { outcomes, failures, slowest } = await fuzz({ count: 600, seed, format: null })
  assert.deepEqual(failures, [])
  assert.ok(slowest.ms < 10_000)
  for (const format of fuzzFormats) {
    const counts = outcomes.get(format)
    const refused = [...(counts ?? [])].filter(([code]) => /^[A-Z_]+$/.test(code))
    assert.ok((counts?.get('rows') ?? 0) >= 10, `${format}: damage that leaves something to read`)
    assert.ok(format === 'csv' || refused.length > 0, `${format}: damage that is told of`)
  }
})
