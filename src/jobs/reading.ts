import { Worker } from 'node:worker_threads'
import { FatalError, RetryableError } from '../errors.js'
import type { ColumnEvidence } from '../pipeline/types.js'
import type { ReadChunk } from './chunk-builder.js'
import type { Credit, ReaderMessage, ReaderTask } from './reader-thread.js'
import { Recurrence } from './recurrence.js'

/** Heap of the reading thread, in MiB: its own limit, so that a monstrous file ends the thread and not the worker. */
const READER_HEAP_MIB = 192

/** Its young space: twice as much is 4 % faster, half as much 3 % slower (measured). */
const READER_YOUNG_MIB = 12

/** Chunks that are read ahead of the one in hand. */
const READ_AHEAD = 2

/**
 * A reading thread that was asked for something and gives no sign for so long is ended: a parser in an endless loop would
 * keep its run for ever, since the lease is renewed outside the thread. The attempt counts, so such a run ends in
 * NO_PROGRESS. Far more than any chunk or group of rows takes. Milliseconds.
 */
const READER_SILENT_MS = 60_000

const THREAD = new URL('./reader-thread.js', import.meta.url)

/** What a test may put in the place of the real thing. */
export interface ThreadOptions {
  readonly script?: URL
  readonly silentMs?: number
}

function stalled(): Error {
  return new RetryableError('READER_STALLED', 'The reading thread gave no sign of life and was ended.')
}

function startThread(task: ReaderTask, script: URL): Worker {
  return new Worker(script, {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: READER_HEAP_MIB, maxYoungGenerationSizeMb: READER_YOUNG_MIB },
    // Nothing in the environment is the reader's business.
    env: {},
  })
}

/** Reads the whole file once. Rejects with the signal's reason when aborted. */
export function analyzeFile(
  task: Extract<ReaderTask, { kind: 'analyze' }>,
  onProgress: (rows: number, bytes: number) => void,
  signal: AbortSignal,
  options?: ThreadOptions,
): Promise<{ rows: number; evidence: readonly ColumnEvidence[] }> {
  return answerOf(
    task,
    (message) => {
      if (message.kind === 'progress') {
        onProgress(message.rows, message.bytes)
      }
      return message.kind === 'analyzed' ? { rows: message.rows, evidence: message.evidence } : null
    },
    signal,
    options,
  )
}

/** Reads the whole file once for its keys alone. Rejects with the signal's reason when aborted. */
export function findRecurrence(
  task: Extract<ReaderTask, { kind: 'recurrence' }>,
  signal: AbortSignal,
  options?: ThreadOptions,
): Promise<Recurrence> {
  return answerOf(
    task,
    (message) => (message.kind === 'recurrence' ? new Recurrence(message.maps) : null),
    signal,
    options,
  )
}

/** What a thread answers that does one thing and ends; `take` gives null for words on the way. */
async function answerOf<T>(
  task: ReaderTask,
  take: (message: ReaderMessage) => T | null,
  signal: AbortSignal,
  { script = THREAD, silentMs = READER_SILENT_MS }: ThreadOptions = {},
): Promise<T> {
  signal.throwIfAborted()
  const thread = startThread(task, script)
  const abort = () => void thread.terminate()
  let silence: NodeJS.Timeout | undefined
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await new Promise<T>((resolve, reject) => {
      silence = setTimeout(() => reject(stalled()), silentMs)
      thread.on('message', (message: ReaderMessage) => {
        silence?.refresh()
        const answer = take(message)
        if (answer !== null) {
          resolve(answer)
        }
      })
      thread.on('error', (error) => reject(readerError(error)))
      thread.on('exit', () =>
        reject(
          signal.aborted
            ? (signal.reason as Error)
            : new RetryableError('READER_LOST', 'The reading thread ended early.'),
        ),
      )
    })
  } finally {
    clearTimeout(silence)
    signal.removeEventListener('abort', abort)
    await thread.terminate()
  }
}

/** The rows of a file as staged chunks, read ahead by a thread and pulled by the run. */
export class Reading {
  readonly #thread: Worker
  readonly #ready: ReadChunk[] = []
  #ended = false
  #error: Error | null = null
  #wake: (() => void) | null = null
  #rows: number
  readonly #silentMs: number

  private constructor(thread: Worker, rows: number, silentMs: number) {
    this.#thread = thread
    this.#silentMs = silentMs
    this.#rows = rows
    thread.on('message', (message: ReaderMessage) => {
      if (message.kind === 'chunk') {
        this.#ready.push(message.chunk)
      } else if (message.kind === 'end') {
        this.#ended = true
      }
      this.#wake?.()
    })
    thread.on('error', (error) => {
      this.#error ??= readerError(error)
      this.#wake?.()
    })
    thread.on('exit', () => {
      if (!this.#ended) {
        this.#error ??= new RetryableError('READER_LOST', 'The reading thread ended early.')
      }
      this.#wake?.()
    })
    for (let i = 0; i < READ_AHEAD; i++) {
      this.#credit()
    }
  }

  static start(
    task: Extract<ReaderTask, { kind: 'read' }>,
    { script = THREAD, silentMs = READER_SILENT_MS }: ThreadOptions = {},
  ): Reading {
    return new Reading(startThread(task, script), task.chunkRows, silentMs)
  }

  /** About how many rows the chunks from now on shall have. */
  set chunkRows(rows: number) {
    this.#rows = rows
  }

  #credit(): void {
    const credit: Credit = { rows: this.#rows }
    this.#thread.postMessage(credit)
  }

  /**
   * The next chunk; null at the end of the file. Rejects with the signal's reason once it is aborted: a reader that gives
   * nothing more must not keep a run that is no longer ours. (A race with a promise of the signal would do, but such a promise
   * holds every chunk that it ever raced with.)
   */
  async next(lost: AbortSignal): Promise<ReadChunk | null> {
    for (;;) {
      lost.throwIfAborted()
      const chunk = this.#ready.shift()
      if (chunk !== undefined) {
        if (chunk.stopped) {
          this.#ended = true
        } else {
          this.#credit()
        }
        return chunk
      }
      if (this.#ended) {
        return null
      }
      if (this.#error !== null) {
        throw this.#error
      }
      const silence = setTimeout(() => {
        this.#error ??= stalled()
        this.#wake?.()
      }, this.#silentMs)
      const wake = () => this.#wake?.()
      lost.addEventListener('abort', wake)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      lost.removeEventListener('abort', wake)
      clearTimeout(silence)
      this.#wake = null
    }
  }

  async close(): Promise<void> {
    this.#ended = true
    await this.#thread.terminate()
  }
}

/** Errors cross threads as plain copies: what they were is told by their names and codes. */
function readerError(error: unknown): Error {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
      return new FatalError(
        'FILE_TOO_COMPLEX',
        'Reading the file took more memory than is allowed. Split it, or remove unused columns.',
        { cause: error },
      )
    }
    if (error.name === 'Refusal' || error.name === 'FatalError') {
      return new FatalError(error.code, error.message, { cause: error })
    }
  }
  return new RetryableError('READER_FAILED', 'The file could not be read to its end.', { cause: error })
}
