/** What imports are compared with: COPY, by a superuser, of values that need no work any more. */
import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { type ContactFile, columns } from './contacts.js'
import { type Cpu, cpuBetween, cpuOf } from './processes.js'
import { type BenchServer, withClient } from './server.js'

export interface Copied {
  readonly ms: number
  readonly cpu: Cpu
}

interface Column {
  readonly name: string
  readonly type: string
}

/** A table like that of the contacts, on the same server. */
export class Reference {
  readonly #server: BenchServer
  /** Connection string of a superuser. */
  readonly url: string
  /** What COPY reads: every column of every contact as the engine stored it, in COPY text. */
  readonly #prepared: string
  /** Definitions of what has to be kept up to date with each row. */
  readonly indexes: readonly string[]
  readonly #setUp: readonly string[]
  readonly #columns: readonly Column[]

  private constructor(
    server: BenchServer,
    url: string,
    prepared: string,
    table: { readonly indexes: string[]; readonly foreignKeys: string[]; readonly columns: Column[] },
  ) {
    this.#server = server
    this.url = url
    this.#prepared = prepared
    this.indexes = table.indexes
    this.#columns = table.columns
    this.#setUp = [
      'create table reference (like contact including all)',
      ...table.foreignKeys.map((key) => `alter table reference add ${key}`),
    ]
  }

  /** Takes what stands in `contact`, in the order of its rows, and empties it. */
  static async take(server: BenchServer, url: string, prepared: string): Promise<Reference> {
    return withClient(url, async (client) => {
      const select = 'select * from contact order by created_row'
      await pipeline(client.query(copyTo(`copy (${select}) to stdout`)), createWriteStream(prepared))
      await client.query('truncate contact cascade')
      const indexes = await client.query<{ sql: string }>(
        `select regexp_replace(indexdef, ' ON portage\\.', ' on ') as sql from pg_indexes where schemaname = 'portage' and tablename = 'contact' order by 1`,
      )
      const foreignKeys = await client.query<{ sql: string }>(
        `select pg_get_constraintdef(oid) as sql from pg_constraint where conrelid = 'portage.contact'::regclass and contype = 'f'`,
      )
      const found = await client.query<Column>(
        `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
         where attrelid = 'portage.contact'::regclass and attnum > 0 and not attisdropped order by attnum`,
      )
      return new Reference(server, url, prepared, {
        indexes: indexes.rows.map(({ sql }) => sql),
        foreignKeys: foreignKeys.rows.map(({ sql }) => sql),
        columns: found.rows,
      })
    })
  }

  /** COPY into an empty table with the same columns, indexes, CHECKs and foreign keys; without row-level security. */
  async copy(): Promise<Copied> {
    return this.timed(() => this.#copyIn('copy reference from stdin', this.#prepared))
  }

  /** COPY of the file as it is into an unlogged table of texts without an index: as fast as rows can come in at all. */
  async copyUnindexed(file: ContactFile): Promise<Copied> {
    const names = columns.map(([column]) => `"${column}" text`).join(', ')
    return this.timed(
      () => this.#copyIn('copy reference from stdin (format csv, header true)', file.path),
      [`create unlogged table reference (${names})`],
    )
  }

  /** All rows as objects of plain values, for writers that want such. */
  async rows(): Promise<{ readonly columns: readonly Column[]; readonly rows: readonly Record<string, unknown>[] }> {
    await this.timed(() => this.#copyIn('copy reference from stdin', this.#prepared), this.#setUp, false)
    return withClient(this.url, async (client) => {
      const select = this.#columns.map(({ name, type }) =>
        ['uuid', 'text', 'text[]', 'boolean', 'integer', 'jsonb'].includes(type)
          ? name
          : type === 'bigint'
            ? `${name}::float8`
            : `${name}::text`,
      )
      const { rows } = await client.query<Record<string, unknown>>(
        `select ${select.join(', ')} from reference order by created_row`,
      )
      await client.query('drop table reference')
      return { columns: this.#columns, rows }
    })
  }

  /** Times `work` on an empty table `reference`, which is dropped afterwards. */
  async timed(work: () => Promise<void>, setUp = this.#setUp, drop = true): Promise<Copied> {
    return withClient(this.url, async (client) => {
      for (const statement of setUp) {
        await client.query(statement)
      }
      await this.#server.settle()
      const before = cpuOf(this.#server.postmaster, null)
      const started = performance.now()
      await work()
      const ms = performance.now() - started
      const cpu = cpuBetween(before, cpuOf(this.#server.postmaster, null))
      if (drop) {
        await client.query('drop table reference')
      }
      return { ms, cpu }
    })
  }

  async #copyIn(copy: string, path: string): Promise<void> {
    await withClient(this.url, (client) =>
      pipeline(createReadStream(path, { highWaterMark: 256 * 1024 }), client.query(copyFrom(copy))),
    )
  }
}
