import { Worker } from 'node:worker_threads'
import type { Cursor } from '../adapters/source.js'
import { FatalError, RetryableError } from '../errors.js'
import type { ColumnEvidence } from '../pipeline/types.js'
import type { ReadChunk } from './chunk-builder.js'
import type { Credit, ParentMessage, ReaderMessage, ReaderTask } from './reader-thread.js'
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

/** A row that a thread has had in hand for so long is one that it does not get past. Milliseconds. */
const ROW_SILENT_MS = 10_000

/** How often it is looked whether the reader gets on, in milliseconds. */
const LOOK_MS = 500

/** So many threads may end at one row before it is passed over: once may be bad luck. */
const ENDS_AT_ROW = 3

/** After the first end at a row, the row is given less time, so that all of it takes well below a minute. Milliseconds. */
const SUSPECT_SILENT_MS = 5000

/** Rows per chunk while a row is under suspicion: what the others need must not be taken for its doing. */
const SUSPECT_CHUNK_ROWS = 500

/** More rows than this that end their readers are no accident, but a file or a service that is broken as a whole. */
const ROWS_PASSED_OVER_MAX = 100

const THREAD = new URL('./reader-thread.js', import.meta.url)

/** What a test may put in the place of the real thing. */
export interface ThreadOptions {
  readonly script?: URL
  readonly silentMs?: number
}

function stalled(): Error {
  return new RetryableError('READER_STALLED', 'The reading thread gave no sign of life and was ended.')
}

/** A thread that is done waits so long for another file before it ends: starting one takes longer than reading a short file. Milliseconds. */
const IDLE_MS = 5000

/** The thread that waits; one is enough for the phases of a run, which follow one another. */
let idle: { readonly thread: Worker; readonly end: NodeJS.Timeout } | null = null

const limits = {
  resourceLimits: { maxOldGenerationSizeMb: READER_HEAP_MIB, maxYoungGenerationSizeMb: READER_YOUNG_MIB },
  // Nothing in the environment is the reader's business.
  env: {},
}

function startThread(task: ReaderTask, script: URL): Worker {
  if (script !== THREAD) {
    return new Worker(script, { workerData: task, ...limits })
  }
  const thread = takeIdle() ?? new Worker(THREAD, limits)
  thread.postMessage({ task } satisfies ParentMessage)
  return thread
}

function takeIdle(): Worker | null {
  if (idle === null) {
    return null
  }
  const { thread, end } = idle
  idle = null
  clearTimeout(end)
  quiet(thread)
  thread.ref()
  return thread
}

function quiet(thread: Worker): void {
  for (const event of ['message', 'error', 'exit']) {
    thread.removeAllListeners(event)
  }
}

/** Lets a thread go. `done`: it has answered all that it was asked for, and may be asked for something else. */
async function leave(thread: Worker, script: URL, done: boolean): Promise<void> {
  quiet(thread)
  if (!done || script !== THREAD || idle !== null) {
    await thread.terminate()
    return
  }
  const forget = () => {
    if (idle?.thread === thread) {
      clearTimeout(idle.end)
      idle = null
    }
  }
  thread.on('error', forget)
  thread.on('exit', forget)
  thread.unref()
  const end = setTimeout(() => {
    forget()
    void thread.terminate()
  }, IDLE_MS)
  end.unref()
  idle = { thread, end }
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
  let answered = false
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await new Promise<T>((resolve, reject) => {
      silence = setTimeout(() => reject(stalled()), silentMs)
      thread.on('message', (message: ReaderMessage) => {
        silence?.refresh()
        const answer = take(message)
        if (answer !== null) {
          answered = true
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
    await leave(thread, script, answered && !signal.aborted)
  }
}

/** What may be left out of a task, because readings see to it. */
type ReadTask = Omit<Extract<ReaderTask, { kind: 'read' }>, 'passOver' | 'resumed' | 'inHand'>

/**
 * The rows of a file as staged chunks, read ahead by a thread and pulled by the run. A thread that ends or stands still in the
 * middle of a row is replaced by another one; a row that three of them did not get past fails, and the others are read.
 */
export class Reading {
  readonly #task: ReadTask
  readonly #script: URL
  readonly #silentMs: number
  readonly #inHand = new SharedArrayBuffer(4)
  readonly #passOver: number[]
  readonly #ends = new Map<number, number>()
  readonly #ready: ReadChunk[] = []
  #thread: Worker
  /** Where a thread that replaces this one starts: behind the last chunk that has arrived. */
  #from: Cursor | null
  #ended = false
  /** The thread in hand has come to the end of the file. */
  #done = false
  #closed = false
  #error: Error | null = null
  #wake: (() => void) | null = null
  #rows: number

  private constructor(
    task: ReadTask,
    { script = THREAD, silentMs = READER_SILENT_MS }: ThreadOptions,
    passOver: readonly number[],
  ) {
    this.#task = task
    this.#script = script
    this.#silentMs = silentMs
    this.#passOver = [...passOver]
    this.#from = task.from
    this.#rows = task.chunkRows
    this.#thread = this.#start(false)
  }

  #start(resumed: boolean): Worker {
    new Int32Array(this.#inHand)[0] = 0
    const task = { ...this.#task, from: this.#from, passOver: this.#passOver, resumed, inHand: this.#inHand }
    const thread = startThread(task, this.#script)
    const current = () => this.#thread === thread && !this.#closed
    thread.on('message', (message: ReaderMessage) => {
      if (!current()) {
        return
      }
      if (message.kind === 'chunk') {
        this.#ready.push(message.chunk)
        this.#from = message.chunk.next
      } else if (message.kind === 'end') {
        this.#ended = true
        this.#done = true
      }
      this.#wake?.()
    })
    thread.on('error', (error) => {
      if (current()) {
        this.#broke(readerError(error))
      }
    })
    thread.on('exit', () => {
      if (current() && !this.#ended) {
        this.#broke(new RetryableError('READER_LOST', 'The reading thread ended early.'))
      }
      this.#wake?.()
    })
    // As many chunks as the thread before still owed.
    for (let owed = READ_AHEAD - this.#ready.length; owed > 0; owed--) {
      thread.postMessage({ rows: this.#rows } satisfies Credit)
    }
    return thread
  }

  /** The thread has ended, or is to: another one goes on, unless it was no row's doing. */
  #broke(error: Error): void {
    const row = new Int32Array(this.#inHand)[0] ?? 0
    const whole = row === 0 || (error instanceof FatalError && error.code !== 'FILE_TOO_COMPLEX')
    if (whole || this.#passOver.length >= ROWS_PASSED_OVER_MAX) {
      this.#error ??= error
    } else {
      const ends = (this.#ends.get(row) ?? 0) + 1
      this.#ends.set(row, ends)
      this.#rows = Math.min(this.#rows, SUSPECT_CHUNK_ROWS)
      if (ends >= ENDS_AT_ROW) {
        this.#passOver.push(row)
      }
      const old = this.#thread
      this.#thread = this.#start(true)
      void old.terminate()
    }
    this.#wake?.()
  }

  /** `passOver`: rows that fail without being looked at. */
  static start(task: ReadTask, options: ThreadOptions = {}, passOver: readonly number[] = []): Reading {
    return new Reading(task, options, passOver)
  }

  /** About how many rows the chunks from now on shall have. */
  set chunkRows(rows: number) {
    this.#rows = rows
  }

  #credit(): void {
    this.#thread.postMessage({ rows: this.#rows } satisfies Credit)
  }

  /** How long the thread may be silent from now on, and whether it is then one row that holds it up. */
  #patience(row: number): number {
    return row === 0 ? this.#silentMs : this.#ends.has(row) ? SUSPECT_SILENT_MS : ROW_SILENT_MS
  }

  /**
   * The next chunk; null at the end of the file. Rejects with the signal's reason once it is aborted: a reader that gives
   * nothing more must not keep a run that is no longer ours. (A race with a promise of the signal would do, but such a promise
   * holds every chunk that it ever raced with.)
   */
  async next(lost: AbortSignal): Promise<ReadChunk | null> {
    const inHand = new Int32Array(this.#inHand)
    let row = -1
    let since = performance.now()
    let asked = since
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
      const now = performance.now()
      if (inHand[0] !== row) {
        row = inHand[0] ?? 0
        since = now
        asked = row === 0 ? asked : now
      }
      if (row === 0 ? now - asked > this.#silentMs : now - since > this.#patience(row)) {
        this.#broke(stalled())
        ;[row, since, asked] = [-1, now, now]
        continue
      }
      const look = setTimeout(() => this.#wake?.(), Math.min(LOOK_MS, this.#silentMs))
      const wake = () => this.#wake?.()
      lost.addEventListener('abort', wake)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      lost.removeEventListener('abort', wake)
      clearTimeout(look)
      this.#wake = null
    }
  }

  async close(): Promise<void> {
    this.#ended = true
    this.#closed = true
    await leave(this.#thread, this.#script, this.#done)
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
