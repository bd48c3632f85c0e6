import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Row } from '../../src/adapters/source.js'
import { ChunkBuilder } from '../../src/jobs/chunk-builder.js'
import type { MappedRow } from '../../src/pipeline/mapped.js'

test('issues count in the size at which a chunk ends', () => {
  const chunk = new ChunkBuilder(1, null)
  const issue = { row: 1, column: 'C', field: 'f', code: 'INVALID_VALUE', severity: 'ERROR', suggestion: null } as const
  const issues = Array.from({ length: 100 }, () => ({ ...issue, value: 'v'.repeat(500), message: 'm'.repeat(100) }))
  chunk.fail({ number: 1, byte: 0, end: 9 } as Row, { values: [], issues } as unknown as MappedRow, -1)
  assert.equal(chunk.bytes, 60_000)
  assert.equal(chunk.finish(false).issues.length, 100)
})
