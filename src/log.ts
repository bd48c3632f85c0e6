/**
 * Logs: JSON lines on standard output, one per event, with a constant message and data in fields. Only the fields named
 * below are ever written: a token, a cell or a file name cannot slip in because nobody thought of hiding it.
 */
import { type Logger, pino, stdTimeFunctions } from 'pino'
import type { LogLevel } from './config.js'
import { traceFields } from './tracing.js'

const textFields = [
  'tenantId',
  'runId',
  'fileId',
  'jobId',
  'requestId',
  /** Of the request or run that the line is about: 32 hexadecimal digits. Is there by itself. */
  'traceId',
  /** The reference that a caller was given for an internal error. */
  'errorId',
  'actor',
  'permission',
  'recordType',
  /** GraphQL operation or kind of run, as the code names it. */
  'operation',
  'status',
  'statusReason',
  'queue',
  'outcome',
  /** Which of our processes the line is about. */
  'child',
  'signal',
  'host',
  'version',
  /** Of a signed head of the audit; its sequence is the count. */
  'headHash',
  'headKey',
  'headSignature',
  'headSignedAt',
] as const

const numberFields = [
  'port',
  'childPid',
  'attempt',
  'fence',
  'chunk',
  'rows',
  'bytes',
  'count',
  'httpStatus',
  'milliseconds',
] as const

/** Data of a log line. Ids, codes and counts; never values of records, names of files, tokens or addresses of people. */
export type LogFields = { readonly [N in (typeof textFields)[number]]?: string | null } & {
  readonly [N in (typeof numberFields)[number]]?: number | null
} & {
  /** Of a Refusal, FatalError or RetryableError, a PostgreSQL error, or the exit code of a process. */
  readonly code?: string | number | null
  readonly settings?: readonly string[]
  readonly err?: unknown
}

type Write = ((fields: LogFields, message: string) => void) & ((message: string) => void)

/** `log.info({ runId, rows }, 'chunk committed')`: the message is constant text, data goes into fields. */
export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  /** A logger whose lines all carry `fields`. */
  child(fields: LogFields): Log
}

const allowed: ReadonlySet<string> = new Set<string>([
  ...textFields,
  ...numberFields,
  'process',
  'pid',
  'code',
  'settings',
  'err',
])

/** Characters of one field at most; the rest is cut. */
const MAX_FIELD_LENGTH = 500

export interface LogOptions {
  readonly level: LogLevel
  /** Which process writes: `supervisor`, `api`, `worker`. */
  readonly process: string
}

/** A logger for one process. Lines are written at once, so the last words before a crash are not lost. */
export function createLog(options: LogOptions, destination: { write(line: string): void } = process.stdout): Log {
  const inner = pino(
    {
      level: options.level,
      base: { process: options.process, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      mixin: () => ({ ...traceFields() }),
      formatters: { level: (label) => ({ level: label }), log: pick },
      serializers: { err: describeError },
    },
    destination,
  )
  return wrap(inner)
}

/** Pino's own children do not pass their fields through the formatter. */
function wrap(inner: Logger): Log {
  return {
    debug: inner.debug.bind(inner),
    info: inner.info.bind(inner),
    warn: inner.warn.bind(inner),
    error: inner.error.bind(inner),
    child: (fields) => wrap(inner.child(pick(fields))),
  }
}

function pick(fields: object): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (allowed.has(name) && value !== undefined) {
      kept[name] = name === 'err' ? value : plain(value)
    }
  }
  return kept
}

function plain(value: unknown): unknown {
  if (typeof value === 'string') {
    return clean(value)
  }
  if (Array.isArray(value)) {
    return value.slice(0, 20).map((item) => clean(String(item)))
  }
  return typeof value === 'number' || typeof value === 'boolean' || value === null ? value : typeof value
}

/** JSON escapes line breaks and ESC; C1 controls and Unicode line ends, which some terminals obey too, it does not. */
function clean(text: string): string {
  return text.slice(0, MAX_FIELD_LENGTH).replaceAll(/[\u007f-\u009f\u2028\u2029]/g, ' ')
}

/** What may be said about an error: its kind, code and stack, and its message unless that may quote data. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) {
    return { name: typeof error }
  }
  const { code } = error as { code?: unknown }
  const [, ...frames] = (error.stack ?? '').split('\n    at ')
  return {
    name: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: quotesData(code) ? 'withheld: it may quote data' : clean(error.message),
    stack: frames.slice(0, 8).map((frame) => clean(frame.split('\n')[0] ?? '')),
    ...(error.cause instanceof Error ? { cause: describeError(error.cause) } : {}),
  }
}

/** PostgreSQL quotes the offending value in the messages of class 22 (data exception): "invalid input syntax ... "x@y"". */
function quotesData(code: unknown): boolean {
  return typeof code === 'string' && /^22[0-9A-Z]{3}$/.test(code)
}
