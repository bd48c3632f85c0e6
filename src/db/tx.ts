/**
 * The only way to a database handle: a transaction that belongs to one tenant. The tenant is set at the door with
 * `set_config(..., true)`, row-level security does the rest, and a statement without a tenant raises.
 */

/** One open transaction of one tenant. Dead when the callback that got it has returned. */
export interface Tx {
  readonly tenantId: string
  /**
   * Runs one statement with real binds (`$1`...). Types as the server sends them, except int8 and float8 (number),
   * numeric and date (string), timestamptz (Date), json (parsed).
   */
  query<R extends object = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<R[]>
}

/** Whatever can open such a transaction: a pool (`Database`) or a worker's own connection (`Lane`). */
export interface TenantSource<T extends Tx = Tx> {
  transaction<R>(tenantId: string, work: (tx: T) => Promise<R>): Promise<R>
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * Runs `work` in one transaction of `tenantId`: commits when it returns, rolls back when it throws. An error of the
 * commit itself means that the outcome is unknown (its answer may have been lost): read again before you go on.
 */
export function withTenant<T extends Tx, R>(
  source: TenantSource<T>,
  tenantId: string,
  work: (tx: T) => Promise<R>,
): Promise<R> {
  if (!uuid.test(tenantId)) {
    throw new TypeError('withTenant needs a tenant id in lower-case UUID form')
  }
  return source.transaction(tenantId, work)
}

/** First row of a statement that may find none. */
export async function first<R extends object>(tx: Tx, sql: string, params?: readonly unknown[]): Promise<R | null> {
  const rows = await tx.query<R>(sql, params)
  return rows[0] ?? null
}

/** The row of a statement that must find exactly one. */
export async function one<R extends object>(tx: Tx, sql: string, params?: readonly unknown[]): Promise<R> {
  const rows = await tx.query<R>(sql, params)
  const row = rows[0]
  if (row === undefined || rows.length > 1) {
    throw new Error(`expected one row, got ${rows.length}`)
  }
  return row
}
