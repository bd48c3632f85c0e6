/** How others write contacts: an ORM in batches, and a loop. Both start with prepared values and check nothing. */
import { defineEntity, MikroORM, p } from '@mikro-orm/postgresql'
import pg from 'pg'
import type { Copied, Reference } from './reference.js'

/** MikroORM `insertMany` with so many rows at a time, each batch a transaction of its own. */
export async function insertMany(reference: Reference, batch: number): Promise<Copied> {
  const { columns, rows } = await reference.rows()
  const properties = Object.fromEntries(
    columns.map(({ name, type }) => [
      name,
      name === 'tenant_id' || name === 'id'
        ? p.uuid().fieldName(name).primary()
        : type === 'text[]'
          ? p.array().fieldName(name).nullable()
          : type === 'jsonb'
            ? p.json<object>().fieldName(name).nullable()
            : type === 'boolean'
              ? p.boolean().fieldName(name).nullable()
              : type === 'integer' || type === 'bigint'
                ? p.integer().fieldName(name).nullable()
                : p.string().columnType(type).fieldName(name).nullable(),
    ]),
  )
  const entity = defineEntity({ name: 'Reference', tableName: 'reference', properties })
  const orm = await MikroORM.init({
    clientUrl: reference.url,
    entities: [entity],
    schema: 'portage',
    pool: { min: 1, max: 1 },
  })
  try {
    return await reference.timed(async () => {
      for (let from = 0; from < rows.length; from += batch) {
        await orm.em.fork().insertMany(entity, rows.slice(from, from + batch) as object[])
      }
    })
  } finally {
    await orm.close(true)
  }
}

/** One prepared INSERT after the other, each a transaction of its own: what a simple script does. */
export async function rowByRow(reference: Reference): Promise<Copied> {
  const { columns, rows } = await reference.rows()
  const names = columns.map(({ name }) => name)
  const text = `insert into portage.reference (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')})`
  const client = new pg.Client({ connectionString: reference.url })
  await client.connect()
  try {
    return await reference.timed(async () => {
      for (const row of rows) {
        await client.query({ name: 'insert', text, values: names.map((name) => row[name]) })
      }
    })
  } finally {
    await client.end()
  }
}
