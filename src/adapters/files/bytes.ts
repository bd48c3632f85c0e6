/** The bytes of one stored file, wherever the store keeps them. The seam between storage and everything that parses. */

/** Reads a file that does not change. Fast where reads follow each other; any position is allowed. */
export interface ByteReader extends AsyncDisposable {
  readonly byteSize: number
  /**
   * Reads up to `length` bytes that stand from `position` on into `target` from index `at` on; answers how many, 0 only at
   * the end of the file. Throws `FatalError` FILE_UNREADABLE where the file is gone, `RetryableError` FILE_READ_FAILED where
   * the store fails.
   */
  read(target: Uint8Array, at: number, length: number, position: number): Promise<number>
}

/** Opens a file for reading. Whoever opens a reader disposes of it. */
export type OpenBytes = () => Promise<ByteReader>
