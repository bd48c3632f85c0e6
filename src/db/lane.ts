import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { type CopyOut, type CopyOutOptions, CopyOutStream } from './copy-out.js'
import { types } from './pg-types.js'
import type { TenantSource, Tx } from './tx.js'

/** A transaction on a lane: also copies rows in and ends with a statement that travels with COMMIT. */
export interface LaneTx extends Tx {
  /** Runs one statement and answers how many rows it wrote. */
  execute(sql: string, params?: readonly unknown[]): Promise<number>
  /** Sends `COPY ... FROM STDIN` and then `data` (COPY text format, whole lines). */
  copyIn(sql: string, data: readonly Uint8Array[]): Promise<void>
  /**
   * Sends `COPY (query) TO STDOUT` and answers its rows, which are to be read to their end before anything else is asked. A
   * reader that takes its time makes the server wait. Who gives up in the middle destroys the lane.
   */
  copyOut(sql: string, options?: CopyOutOptions): CopyOut
  /**
   * Makes `sql` (no binds; quote with `literal`) the last statement, sent in one message with COMMIT, so that a frozen
   * client never holds the locks that it takes. Nothing may be queried after this.
   */
  commitWith(sql: string): void
}

export interface LaneOptions {
  /** Connection string of the worker role. */
  readonly url: string
  readonly applicationName: string
  /** Ends a transaction whose client has gone quiet, so that a frozen worker loses its locks. Milliseconds. */
  readonly idleInTransactionMs: number
  readonly statementMs: number
  readonly lockMs: number
}

/**
 * A worker's own connection: sessions of the hot path, where temporary tables and prepared statements live on between
 * transactions. One transaction at a time.
 */
export class Lane implements TenantSource<LaneTx> {
  readonly #client: pg.Client
  #pid = 0
  #broken: Error | null = null
  /** Resolves when the statement before is answered. */
  #before: Promise<unknown> = Promise.resolve()

  private constructor(client: pg.Client) {
    this.#client = client
    client.on('error', (error) => {
      this.#broken = error
    })
  }

  static async open(options: LaneOptions): Promise<Lane> {
    const client = new pg.Client({
      connectionString: options.url,
      application_name: options.applicationName,
      types,
      options: [
        '-c search_path=portage',
        '-c timezone=UTC',
        '-c client_min_messages=warning',
        '-c client_connection_check_interval=500',
        `-c idle_in_transaction_session_timeout=${options.idleInTransactionMs}`,
        `-c statement_timeout=${options.statementMs}`,
        `-c lock_timeout=${options.lockMs}`,
      ].join(' '),
    })
    const lane = new Lane(client)
    await client.connect()
    const result = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    lane.#pid = result.rows[0]?.pid ?? 0
    return lane
  }

  /** Process id of the server's backend, for the reaper of a lapsed lease. */
  get pid(): number {
    return this.#pid
  }

  /** Why the connection is dead; null while it lives. A dead lane is closed and replaced, never reused. */
  get broken(): Error | null {
    return this.#broken
  }

  /** Calls back once when the connection is gone, however it went. */
  onEnd(callback: () => void): void {
    this.#client.once('end', callback)
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined)
  }

  /** A statement outside any tenant: session locks and the wake-up table only. Several callers take turns. */
  session<R extends object>(sql: string, params: readonly unknown[] = []): Promise<R[]> {
    const answered = this.#before.then(async () => {
      const result = await this.#client.query<R & pg.QueryResultRow>(sql, [...params])
      return result.rows
    })
    this.#before = answered.catch(() => undefined)
    return answered
  }

  /** Cuts the connection without a word, whatever is under way on it. */
  destroy(): void {
    this.#broken ??= new Error('the connection was cut')
    this.#client.connection.stream.destroy()
  }

  transaction<R>(tenantId: string, work: (tx: LaneTx) => Promise<R>): Promise<R> {
    return this.#transaction('begin', tenantId, work)
  }

  /**
   * Transactions that see what was committed when they began and nothing later, however long they take, and write nothing.
   * `of`: the snapshot of another one that is still open, as `pg_export_snapshot()` names it; default: one of its own.
   */
  snapshot(of: string | null = null): TenantSource<LaneTx> {
    const begin = 'begin isolation level repeatable read, read only'
    const taken = of === null ? begin : `${begin}; set transaction snapshot ${literal(of)}`
    return { transaction: (tenantId, work) => this.#transaction(taken, tenantId, work) }
  }

  async #transaction<R>(begin: string, tenantId: string, work: (tx: LaneTx) => Promise<R>): Promise<R> {
    if (this.#broken !== null) {
      throw this.#broken
    }
    const client = this.#client
    // One message: `tenantId` was checked to be a UUID by withTenant.
    await client.query(`${begin}; select set_config('app.tenant_id', '${tenantId}', true)`)
    let last: string | null = null
    let result: R
    try {
      result = await work({
        tenantId,
        query: async <Row extends object>(sql: string, params: readonly unknown[] = []) => {
          const answer = await client.query<Row & pg.QueryResultRow>(sql, [...params])
          return answer.rows as Row[]
        },
        execute: async (sql, params = []) => (await client.query(sql, [...params])).rowCount ?? 0,
        copyIn: async (sql, data) => {
          await pipeline(Readable.from(data), client.query(copyFrom(sql)))
        },
        copyOut: (sql, options = {}) => client.query(new CopyOutStream(sql, options)),
        commitWith: (sql) => {
          last = sql
        },
      })
    } catch (error) {
      await client.query('rollback').catch((cause: Error) => {
        this.#broken ??= cause
      })
      throw error
    }
    try {
      await client.query(last === null ? 'commit' : `${String(last)}; commit`)
    } catch (error) {
      // The server may still be in the failed transaction (the last statement raised) or the connection may be gone.
      await client.query('rollback').catch((cause: Error) => {
        this.#broken ??= cause
      })
      throw error
    }
    return result
  }
}

/** A text literal for statements that cannot carry binds. */
export function literal(value: string | null): string {
  return value === null ? 'null' : pg.escapeLiteral(value)
}

/** SQLSTATE of an error from the server; null for any other error. */
export function sqlState(error: unknown): string | null {
  if (error instanceof pg.DatabaseError) {
    return error.code ?? null
  }
  // Errors of the pooled path arrive wrapped.
  if (error instanceof Error && 'cause' in error) {
    return sqlState(error.cause)
  }
  if (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^[0-9A-Z]{5}$/.test(error.code)
  ) {
    return error.code
  }
  return null
}

/** Constraint that an error names; null for none. */
export function constraintOf(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.constraint ?? null) : null
}
