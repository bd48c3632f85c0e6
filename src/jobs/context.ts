import type { AuditKeys } from '../access/audit.js'
import type { BundleSecrets } from '../access/bundles.js'
import type { FileStore } from '../adapters/files/storage.js'
import { Lane, type LaneOptions } from '../db/lane.js'
import type { Log } from '../log.js'
import type { OpenVendorOf } from '../runs/vendors.js'

/** What a job needs of its worker. */
export interface WorkerContext {
  /** Connection string of the worker role. */
  readonly databaseUrl: string
  /** This worker's number: the second key of its presence lock. */
  readonly holder: number
  /** For short transactions about runs; the hot path has lanes of its own. */
  readonly control: SharedLane
  /** For single statements outside transactions: leases and the wake-up table. Holds the presence lock. */
  readonly presence: Lane
  readonly files: FileStore
  /** Opens an integration of a tenant. Refuses INTEGRATION_NOT_CONNECTED. */
  readonly openVendor: OpenVendorOf
  /** Files that runs make are kept for so many days, as uploaded ones are. */
  readonly fileRetentionDays: number
  /** What signs and opens bundles. */
  readonly bundles: BundleSecrets
  /** What heads of the audit are signed with. */
  readonly auditKeys: AuditKeys
  readonly chunkRows: number
  readonly chunksInFlight: number
  readonly log: Log
  /** Aborted when the worker is asked to stop: the chunk in hand ends, then the run is handed back. */
  readonly stopping: AbortSignal
}

/**
 * A transaction whose client is silent for so long is ended by the server. Longer than a chunk may wait for the one before
 * it; a frozen worker is found sooner, by its lease.
 */
export const IDLE_IN_TRANSACTION_MS = 15_000

export const STATEMENT_MS = 60_000

export const LOCK_MS = 10_000

export function laneOptions(databaseUrl: string, applicationName: string): LaneOptions {
  return {
    url: databaseUrl,
    applicationName,
    idleInTransactionMs: IDLE_IN_TRANSACTION_MS,
    statementMs: STATEMENT_MS,
    lockMs: LOCK_MS,
  }
}

/** Runs transactions of several jobs one after the other on one lane. */
export class SharedLane {
  readonly #lane: Lane
  #tail: Promise<unknown> = Promise.resolve()

  constructor(lane: Lane) {
    this.#lane = lane
  }

  use<R>(work: (lane: Lane) => Promise<R>): Promise<R> {
    const result = this.#tail.then(() => work(this.#lane))
    this.#tail = result.catch(() => undefined)
    return result
  }
}
