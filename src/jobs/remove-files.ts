/** Removing files for housekeeping: one key that the store does not give up must not keep all others. */
import type { FileStore } from '../adapters/files/storage.js'
import type { Log } from '../log.js'

/** Log lines about single files in one round; beyond them the count at the end must do. */
const LINES_MAX = 20

/** Removes files of one round of housekeeping and counts what could not be removed. */
export class FileRemover {
  readonly #files: FileStore
  readonly #log: Log | undefined
  #failed = 0

  constructor(files: FileStore, log: Log | undefined) {
    this.#files = files
    this.#log = log
  }

  /** Files that the store did not remove until now. */
  get failed(): number {
    return this.#failed
  }

  /** Removes files one by one and answers the keys that are gone. Never throws: what fails is logged and counted. */
  async remove(tenantId: string, keys: readonly string[]): Promise<string[]> {
    const gone: string[] = []
    for (const key of keys) {
      try {
        await this.#files.delete(key)
        gone.push(key)
      } catch (error) {
        this.#failed += 1
        if (this.#failed <= LINES_MAX) {
          this.#log?.warn({ tenantId, err: error }, 'a file could not be removed from the store')
        }
      }
    }
    return gone
  }
}
