/** What the sandbox and its parent say to each other. */
import type { SourceOptions } from '../../pipeline/types.js'
import type { Detection } from './detection.js'

/** File descriptors of the child besides its input, on which the job comes and whose end means that nobody waits any more. */
export const BYTES_FD = 3
export const MESSAGES_FD = 4
export const ROWS_FD = 5

/** A request for bytes: position (8 bytes) and length (4), little-endian. The answer: how many (4), then they. */
export const REQUEST_BYTES = 12

/** The most that one request asks for. Bytes. */
export const READ_BYTES_MAX = 256 * 1024

/** What is to be done with the one file that the child is given. */
export interface SandboxJob {
  /** `rows` reads all rows as `detection` says, and writes them as lines of a row file. */
  readonly op: 'inspect' | 'rows'
  readonly byteSize: number
  /** As the file was called where it came from. */
  readonly name: string
  readonly overrides: SourceOptions
  /** Null for `inspect`. */
  readonly detection: Detection | null
}

/** How the reading of all rows ended. */
export interface RowsEnd {
  readonly rows: number
  /** Names of all columns, with those that were first seen far down. */
  readonly columns: readonly string[]
}

/** How the child's work ended. */
export type SandboxMessage =
  | { readonly kind: 'detected'; readonly detection: Detection }
  | { readonly kind: 'read'; readonly end: RowsEnd }
  | {
      readonly kind: 'failed'
      readonly name: string
      readonly code: string
      readonly message: string
      readonly field: readonly string[] | null
    }
