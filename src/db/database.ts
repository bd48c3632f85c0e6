import { type EntityManager, MikroORM, type Transaction } from '@mikro-orm/postgresql'
import { CompiledQuery, type Kysely } from 'kysely'
import type { Pool, PoolClient } from 'pg'
import { entities } from './entities.js'
import { types } from './pg-types.js'
import type { TenantSource, Tx } from './tx.js'

/** A transaction of the pool: also an entity manager for the tables that have entities. */
export interface PoolTx extends Tx {
  readonly em: EntityManager
}

export interface DatabaseOptions {
  /** Connection string of the role that the process runs as; never the owner's. */
  readonly url: string
  readonly applicationName: string
  /** Connections at most. */
  readonly poolSize: number
  /** A statement of a request that takes longer is ended by the server. Milliseconds. */
  readonly statementMs: number
}

/** The pool of an API process: MikroORM with the tenant as session context of every transaction. */
export class Database implements TenantSource<PoolTx> {
  readonly #orm: MikroORM

  private constructor(orm: MikroORM) {
    this.#orm = orm
  }

  static async open(options: DatabaseOptions): Promise<Database> {
    const orm = await MikroORM.init({
      clientUrl: options.url,
      entities,
      schema: 'portage',
      allowGlobalContext: false,
      pool: { min: 0, max: options.poolSize },
      driverOptions: {
        application_name: options.applicationName,
        types,
        onPoolCreated: giveBackEnded,
        // jit: compiling took 150 ms of a list whose page took 1 ms; the planner prices the rows that the limit leaves out.
        options: `-c search_path=portage -c timezone=UTC -c jit=off -c statement_timeout=${options.statementMs} -c idle_in_transaction_session_timeout=30000`,
      },
    })
    return new Database(orm)
  }

  async close(): Promise<void> {
    await this.#orm.close(true)
  }

  transaction<R>(tenantId: string, work: (tx: PoolTx) => Promise<R>): Promise<R> {
    const em = this.#orm.em.fork({ session: { variables: { 'app.tenant_id': tenantId } } })
    return em.transactional((inner) => work({ tenantId, em: inner, query: (sql, params) => query(inner, sql, params) }))
  }

  /** Name of the newest migration that the database has had. Throws while it does not answer. */
  async schemaVersion(): Promise<string> {
    const rows = await this.#orm.em
      .fork()
      .getConnection()
      .execute<{ name: string }[]>('select name from portage.migration order by name collate "C" desc limit 1')
    return rows[0]?.name ?? ''
  }

  /** Its clock, in milliseconds since 1970. Throws while it does not answer. */
  async time(): Promise<number> {
    const rows = await this.#orm.em
      .fork()
      .getConnection()
      .execute<{ now: number }[]>('select (extract(epoch from clock_timestamp()) * 1000)::float8 as now')
    return Number(rows[0]?.now)
  }

  /** Throws while the database does not answer. */
  async ping(): Promise<void> {
    await this.#orm.em.fork().getConnection().execute('select 1')
  }
}

/**
 * Gives connections back to their pool that end while they are in use. Kysely keeps the place of one whose ROLLBACK or COMMIT
 * fails, as it does on a connection that has ended: after as many of them as the pool is large nobody would get one any more.
 */
function giveBackEnded(pool: Pool): void {
  const inUse = new Set<PoolClient>()
  pool.on('acquire', (client) => inUse.add(client))
  pool.on('release', (_error, client) => inUse.delete(client))
  pool.on('connect', (client) => {
    client.once('end', () => {
      if (inUse.has(client)) {
        const release = client.release.bind(client)
        // Who has it may give it back once more.
        client.release = () => undefined
        release(true)
      }
    })
  })
}

async function query<R extends object>(em: EntityManager, sql: string, params: readonly unknown[] = []): Promise<R[]> {
  // The transaction context is a Kysely transaction: a raw compiled query keeps real binds, which `em.execute` does not.
  const context = em.getTransactionContext<Transaction<Kysely<unknown>>>()
  if (context === undefined) {
    throw new Error('the transaction is over')
  }
  const result = await (context as unknown as Kysely<unknown>).executeQuery<R>(CompiledQuery.raw(sql, [...params]))
  return result.rows
}
