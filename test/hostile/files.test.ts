/** Every hostile file on the service's own road: a typed refusal or its rows, in time and in bounds. Table: docs/SECURITY.md. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SANDBOX_MEMORY_BYTES_MAX } from '../../src/limits.js'
import { hostileFiles } from './files.js'
import { difference, measure } from './measure.js'

for (const file of hostileFiles) {
  test(`${file.title} ends as it must`, async () => {
    const found = await measure(file)
    assert.equal(difference(file, found), null)
    assert.ok(found.typed, found.message)
    // On a quiet machine all of them end within 10 s (see the table); a busy one is no fault of theirs.
    assert.ok(found.seconds < 60, `${found.seconds} s`)
    assert.ok((found.childBytes ?? 0) < SANDBOX_MEMORY_BYTES_MAX)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })
}
