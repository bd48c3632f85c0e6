/** Records as a bundle has them: read with a cursor from the snapshot of the transaction, some thousand at a time. */
import { one, type Tx } from '../../db/tx.js'
import { BUNDLE_FETCH_RECORDS } from '../../limits.js'
import { recordTypes } from '../../records/index.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../../records/types.js'
import { storedValue, text } from './sql.js'

/** One record, its ids still those of the table. */
export interface BundleRow {
  readonly id: string
  readonly values: Record<string, string | boolean | readonly string[]>
  readonly custom: Record<string, string | boolean | readonly string[]>
  /** By the name of the reference. */
  readonly relations: Record<string, string>
  readonly sources: readonly { readonly system: string; readonly id: string }[]
  readonly createdAt: string
  readonly updatedAt: string
}

/** How many records of a type there are. */
export async function countRecords(tx: Tx, name: RecordTypeName): Promise<number> {
  const { n } = await one<{ n: number }>(
    tx,
    `select count(*)::float8 as n from ${recordTypes[name].table} where tenant_id = $1 and deleted_at is null`,
    [tx.tenantId],
  )
  return n
}

/**
 * All records of a type, with the custom fields that `type` has: those that refer to no record of their own type first, then
 * by id. The transaction is the caller's and stays open meanwhile.
 */
export async function* bundleRows(tx: Tx, type: RecordType): AsyncGenerator<BundleRow> {
  const own = type.fields.filter(({ reference }) => reference?.to === type.name).map(({ column }) => `r.${column}`)
  const passes =
    own.length === 0
      ? ['true']
      : [
          own.map((column) => `${column} is null`).join(' and '),
          own.map((column) => `${column} is not null`).join(' or '),
        ]
  for (const [pass, condition] of passes.entries()) {
    const cursor = `bundle_${type.table}_${pass}`
    await tx.query(`declare ${cursor} no scroll cursor for ${selection(type)} and (${condition}) order by r.id`, [
      tx.tenantId,
    ])
    for (;;) {
      const rows = await tx.query<BundleRow>(`fetch ${BUNDLE_FETCH_RECORDS} from ${cursor}`)
      if (rows.length === 0) {
        break
      }
      yield* rows
    }
    await tx.query(`close ${cursor}`)
  }
}

function selection(type: RecordType): string {
  const fields = type.fields.filter(({ name }) => name !== 'sourceSystem' && name !== 'externalId')
  const values = fields.filter(({ reference, customKey }) => reference === null && customKey === undefined)
  const owner = fields.find(({ reference }) => reference?.to === 'member')
  const pairs = values.map((field) => [field.name, jsonOf(field, storedValue(field))] as const)
  const ownerPair =
    owner === undefined
      ? []
      : [
          [
            owner.name,
            `(select m.email from member m where m.tenant_id = r.tenant_id and m.id = r.${owner.column})`,
          ] as const,
        ]
  const custom = fields.flatMap((field) =>
    field.customKey === undefined
      ? []
      : [
          [
            field.customKey,
            `case when r.custom_fields ? ${text(field.customKey)} then ${jsonOf(field, storedValue(field))} end`,
          ] as const,
        ],
  )
  const relations = fields.flatMap((field) =>
    field.reference === null || field.reference.to === 'member'
      ? []
      : [
          [
            field.name,
            // A link to a record that is gone is none.
            `(select x.id::text from ${recordTypes[field.reference.to].table} x where x.tenant_id = r.tenant_id and x.id = r.${field.column} and x.deleted_at is null)`,
          ] as const,
        ],
  )
  return `select r.id, ${objectOf([...pairs, ...ownerPair])} as values, ${objectOf(custom)} as custom, ${objectOf(relations)} as relations,
      case when r.external_id is null then '[]'::jsonb else jsonb_build_array(jsonb_build_object('system', r.source_system, 'id', r.external_id)) end
        || coalesce((select jsonb_agg(jsonb_build_object('system', i.source_system, 'id', i.external_id) order by i.source_system, i.external_id)
             from record_identity i where i.tenant_id = r.tenant_id and i.record_type = ${text(type.name)} and i.record_id = r.id), '[]') as sources,
      ${moment('r.created_at')} as "createdAt", ${moment('r.updated_at')} as "updatedAt"
    from ${type.table} r where r.tenant_id = $1 and r.deleted_at is null`
}

/** Exact: numbers as text, days and moments as ISO 8601 has them, whatever the session would make of them. */
function jsonOf(field: FieldDefinition, value: string): string {
  if (field.sqlType.endsWith('[]')) {
    return `case when cardinality(${value}) > 0 then to_jsonb(${value}) end`
  }
  switch (field.kind) {
    case 'BOOLEAN':
      return `to_jsonb(${value})`
    case 'DATE_TIME':
      return `to_jsonb(${moment(value)})`
    case 'DATE':
      return `to_jsonb(to_char(${value}, 'YYYY-MM-DD'))`
    default:
      return `to_jsonb((${value})::text)`
  }
}

function moment(value: string): string {
  return `to_char((${value}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}

/** Pairs that one call of a function can be given: it takes 100 arguments. */
const OBJECT_PAIRS = 50

function objectOf(pairs: readonly (readonly [name: string, sql: string])[]): string {
  const objects: string[] = []
  for (let at = 0; at < pairs.length; at += OBJECT_PAIRS) {
    const some = pairs.slice(at, at + OBJECT_PAIRS).map(([name, sql]) => `${text(name)}, ${sql}`)
    objects.push(`jsonb_build_object(${some.join(', ')})`)
  }
  return objects.length === 0 ? `'{}'::jsonb` : `jsonb_strip_nulls(${objects.join(' || ')})`
}
