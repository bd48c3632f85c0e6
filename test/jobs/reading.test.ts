import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReaderTask } from '../../src/jobs/reader-thread.js'
import { analyzeFile, Reading } from '../../src/jobs/reading.js'

/** A thread that is caught in a loop; what it was asked for does not matter to it. */
const spinning = { script: new URL('data:text/javascript,for(;;);'), silentMs: 50 }

test('a reading thread that spins is ended, and the attempt with it', { timeout: 10_000 }, async () => {
  const reading = Reading.start({ kind: 'read', chunkRows: 1 } as Extract<ReaderTask, { kind: 'read' }>, spinning)
  await assert.rejects(reading.next(), { code: 'READER_STALLED' })
  await reading.close()
})

test('a first pass that spins is ended, and the attempt with it', { timeout: 10_000 }, async () => {
  const task = { kind: 'analyze' } as Extract<ReaderTask, { kind: 'analyze' }>
  const pass = analyzeFile(task, () => undefined, new AbortController().signal, spinning)
  await assert.rejects(pass, { code: 'READER_STALLED' })
})
