import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ReaderTask } from '../../src/jobs/reader-thread.js'
import { analyzeFile, Reading } from '../../src/jobs/reading.js'

/** A thread that is caught in a loop; what it was asked for does not matter to it. */
const spinning = { script: new URL('data:text/javascript,for(;;);'), silentMs: 50 }

test('a reading thread that spins is ended, and the attempt with it', { timeout: 10_000 }, async () => {
  const reading = Reading.start({ kind: 'read', chunkRows: 1 } as Extract<ReaderTask, { kind: 'read' }>, spinning)
  await assert.rejects(reading.next(new AbortController().signal), { code: 'READER_STALLED' })
  await reading.close()
})

test('a first pass that spins is ended, and the attempt with it', { timeout: 10_000 }, async () => {
  const task = { kind: 'analyze' } as Extract<ReaderTask, { kind: 'analyze' }>
  const pass = analyzeFile(task, () => undefined, new AbortController().signal, spinning)
  await assert.rejects(pass, { code: 'READER_STALLED' })
})

test('a lost run stops waiting for its reader at once', { timeout: 10_000 }, async () => {
  const reading = Reading.start({ kind: 'read', chunkRows: 1 } as Extract<ReaderTask, { kind: 'read' }>, {
    ...spinning,
    silentMs: 60_000,
  })
  const lost = new AbortController()
  const next = reading.next(lost.signal)
  lost.abort(new Error('the lease is lost'))
  await assert.rejects(next, /the lease is lost/)
  await reading.close()
})

test('nothing holds a chunk that was taken', { timeout: 20_000 }, async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // Answers each word of its parent with a chunk, as the reading thread does.
  const source = `import { parentPort } from 'node:worker_threads'
    parentPort.on('message', () => parentPort.postMessage({ kind: 'chunk', chunk: { copy: [new Uint8Array(1000)] } }))`
  const reading = Reading.start({ kind: 'read', chunkRows: 1 } as Extract<ReaderTask, { kind: 'read' }>, {
    script: new URL(`data:text/javascript,${encodeURIComponent(source)}`),
    silentMs: 10_000,
  })
  const { signal } = new AbortController()
  const taken: WeakRef<object>[] = []
  for (let n = 0; n < 50; n++) {
    const chunk = await reading.next(signal)
    assert.ok(chunk !== null)
    taken.push(new WeakRef(chunk))
  }
  // What a turn of the event loop has touched is kept until its end.
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  const held = taken.filter((chunk) => chunk.deref() !== undefined).length
  assert.ok(held <= 2, `${held} of 50 chunks are still held`)
  await reading.close()
})
