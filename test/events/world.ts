/** Tenants, runs and events for the tests of the feed, written with the database's own functions. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { StatusBody } from '../../src/events.js'
import type { RowIssueView } from '../../src/runs/types.js'
import type { TestDatabase } from '../helpers/database.js'

/** An event as `append_events` takes it. */
export interface Draft {
  readonly type: 'RunStatusChanged' | 'RunProgressed' | 'RowsSettled'
  readonly body: object
}

export function status(from: StatusBody['from'], to: StatusBody['to']): Draft {
  return { type: 'RunStatusChanged', body: { from, to, reason: null } satisfies StatusBody }
}

export function progress(read: number): Draft {
  const rate = { fraction: null, rowsPerSecond: null, bytesRead: read, bytesTotal: null, etaAt: null }
  return { type: 'RunProgressed', body: { counts: { read }, progress: rate } }
}

/** Rows that were all created, but for one failed row per issue. */
export function settled(fromRow: number, toRow: number, issues = 0, valueLength = 5): Draft {
  const read = toRow - fromRow + 1
  const body = {
    fromRow,
    toRow,
    counts: { read, created: read - issues, ...(issues > 0 ? { failed: issues } : {}) },
    issues: Array.from({ length: Math.min(issues, 100) }, (_, index) => issue(fromRow + index, valueLength)),
    issueCount: issues,
  }
  return { type: 'RowsSettled', body }
}

function issue(rowNumber: number, valueLength: number): RowIssueView {
  return {
    rowNumber,
    column: 'E-mail',
    field: 'email',
    code: 'INVALID_EMAIL',
    severity: 'ERROR',
    value: 'x'.repeat(valueLength),
    message: 'is not an e-mail address',
    suggestion: null,
  }
}

/** One writing connection, with a superuser's rights, as a tenant. */
export class Writer {
  readonly #client: pg.Client
  private constructor(client: pg.Client) {
    this.#client = client
  }

  static async open(database: TestDatabase): Promise<Writer> {
    const client = new pg.Client({ connectionString: database.ownerUrl, options: '-c search_path=portage' })
    await client.connect()
    return new Writer(client)
  }

  close(): Promise<void> {
    return this.#client.end()
  }

  query(sql: string, params: readonly unknown[] = []): Promise<pg.QueryResult> {
    return this.#client.query(sql, [...params])
  }

  async tenant(): Promise<string> {
    const id = randomUUID()
    await this.query('insert into tenant (id, name) values ($1, $2)', [id, `agency ${id}`])
    await this.query('insert into tenant_sequence (tenant_id) values ($1) on conflict do nothing', [id])
    return id
  }

  /** A queued import; its creation has no event. */
  async run(tenantId: string): Promise<string> {
    const [run, file] = [randomUUID(), randomUUID()]
    await this.query(
      `insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, expires_at)
       values ($1, $2, 'contacts.csv', 10, 'none', 'none', '{}', 'ada', now() + interval '1 day')`,
      [tenantId, file],
    )
    await this.query(
      `insert into run (tenant_id, id, kind, status, created_by, record_type, source_file_id, options)
       values ($1, $2, 'IMPORT', 'QUEUED', 'ada', 'contact', $3, '{}')`,
      [tenantId, run, file],
    )
    return run
  }

  /** Appends events in one transaction and answers the last sequence. */
  async append(tenantId: string, runId: string, drafts: readonly Draft[], kind = 'IMPORT'): Promise<number> {
    await this.query('begin')
    await this.query("select set_config('app.tenant_id', $1, true)", [tenantId])
    const result = await this.query('select append_events($1, $2, $3) as last', [runId, kind, JSON.stringify(drafts)])
    await this.query('commit')
    return Number(result.rows[0].last)
  }
}
