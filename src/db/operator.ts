import pg from 'pg'
import { OWNER_ROLE } from './roles.js'

/** Statements of the operator, as the owner of the schema: for the command line and the start, never for a request. */
export interface Operator {
  query<R extends object>(sql: string, params?: readonly unknown[]): Promise<R[]>
}

/** Runs `work` in one transaction as `portage_owner`. `url` is that of a user who may become this role. */
export async function withOperator<T>(url: string, work: (operator: Operator) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'portage operator',
    options: `-c role=${OWNER_ROLE} -c search_path=portage -c timezone=UTC`,
  })
  await client.connect()
  try {
    await client.query('begin')
    const result = await work({
      query: async <R extends object>(sql: string, params: readonly unknown[] = []) =>
        (await client.query<R & pg.QueryResultRow>(sql, [...params])).rows as R[],
    })
    await client.query('commit')
    return result
  } finally {
    await client.end()
  }
}
