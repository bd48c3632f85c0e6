/**
 * What a pass of a migration may change: not what was changed here since the source said it, unless asked, and nothing by a
 * row that is older than what the source has said already. Statements over the stage, set-based like all of a chunk's.
 */
import type { FieldDefinition } from '../../records/types.js'
import type { WritePlan } from './stage.js'

/** A field as a row gives it and as its record has it, as SQL over the stage `s` and the record `r`. */
export interface GuardedField {
  readonly field: FieldDefinition
  /** NULL: the row says nothing of it. */
  readonly given: string
  readonly now: string
}

export interface GuardSql {
  /**
   * Of rows with one record: notes in `kept` which fields stay as they are; `$1`-`$5` as in every statement of a stretch. Null
   * where nothing is kept.
   */
  readonly keep: string | null
  /** Rows and fields of which the source says something new that is left out, as `row_number`, `field` and `value`; `$1`-`$5`. */
  readonly told: string | null
  /** Of a deletion: rows whose record was changed here since, as `row_number` and `record_id`; `$1`-`$5`. */
  readonly changed: string | null
  /**
   * Remembers what the rows of the chunk said; `$1` tenant, `$2` run, `$3` the outcome of rows without one. Null where nothing
   * is remembered.
   */
  readonly remember: string | null
}

interface Frame {
  readonly plan: WritePlan
  readonly fields: readonly GuardedField[]
  readonly system: string
  readonly externalId: string
  /** When the source changed the row; null where no column says so. */
  readonly updatedAt: string | null
  readonly rehearsed: boolean
  readonly tenant: string
  readonly stretch: string
  readonly oneRecord: string
  readonly open: string
}

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`

/** A value as jsonb, where nothing is null and no list is an empty one. */
const asJson = (field: FieldDefinition, value: string): string =>
  field.sqlType.endsWith('[]') && field.customKey === undefined
    ? `coalesce(to_jsonb(${value}), '[]')`
    : `coalesce(to_jsonb(${value}), 'null')`

/** The statements of an import of a migration; all of them null for another one. */
export function guardSql(frame: Frame): GuardSql {
  const { plan, fields, system, externalId, updatedAt, rehearsed, tenant, stretch, oneRecord, open } = frame
  const mode = plan.guard ?? null
  if (mode === null) {
    return { keep: null, told: null, changed: null, remember: null }
  }
  const type = plan.recordType
  const matched = `hit h join stage s on s.row_number = h.row_number
      cross join lateral (
        select b.said, b.kept, b.source_updated_at from source_base b
        where b.tenant_id = ${tenant} and b.record_type = ${quoted(type.name)} and b.source_system = ${system} and b.external_id = ${externalId}
        limit 1) b
      join ${type.table} r on r.tenant_id = ${tenant} and r.id = h.record_id`
  const late = updatedAt === null ? 'false' : `coalesce(b.source_updated_at > ${updatedAt}, false)`
  const edited = ({ field, now }: GuardedField): string =>
    `b.said ? ${quoted(field.name)} and ${asJson(field, now)} is distinct from b.said -> ${quoted(field.name)}`
  const keptFields =
    mode === 'KNOWN'
      ? 'b.kept'
      : mode === 'OVERWRITE'
        ? `'{}'::text[]`
        : `array_remove(array[${fields.map((one) => `case when ${edited(one)} then ${quoted(one.field.name)} end`).join(', ')}]::text[], null)`
  const keep =
    fields.length === 0 || plan.operation === 'DELETE'
      ? null
      : `update stage s set kept = g.kept from (
           select s.row_number, case when ${late} then array[${fields.map(({ field }) => quoted(field.name)).join(', ')}]::text[] else ${keptFields} end as kept
           from ${matched} where ${stretch} and ${oneRecord} and ${open}) g
         where s.row_number = g.row_number and cardinality(g.kept) > 0`
  const said = ({ field, given }: GuardedField): string =>
    `case when ${quoted(field.name)} = any (s.cleared) then ${asJson(field, 'null::text')} else to_jsonb(${given}) end`
  const told =
    keep === null || mode !== 'KEEP'
      ? null
      : `select s.row_number, f.field, case when jsonb_typeof(f.new) = 'null' then null else f.new #>> '{}' end as value
         from ${matched} cross join lateral (values ${fields
           .map((one) => `(${quoted(one.field.name)}, ${said(one)}, ${asJson(one.field, one.now)})`)
           .join(', ')}) as f (field, new, now)
         where ${stretch} and ${oneRecord} and ${open} and s.kept is not null and f.field = any (s.kept) and not ${late}
           and f.new is not null and f.new is distinct from f.now and f.new is distinct from b.said -> f.field
         order by s.row_number, f.field`
  const changed =
    plan.operation !== 'DELETE' || mode !== 'KEEP'
      ? null
      : `select s.row_number, h.record_id from ${matched}
         where ${stretch} and ${oneRecord} and ${open} and (${fields.map((one) => `(${edited(one)})`).join(' or ')})`
  const remember =
    rehearsed || plan.operation === 'DELETE'
      ? null
      : `insert into source_base as b (tenant_id, record_type, source_system, external_id, said, kept, source_updated_at, run_id)
         select distinct on ((${system})::text, ${externalId}) $1, ${quoted(type.name)}, ${system}, ${externalId},
           ${fields.length === 0 ? `'{}'::jsonb` : objectOf(fields.map((one) => [one.field.name, said(one)] as const))},
           coalesce(s.kept, '{}'), ${updatedAt ?? 'null::timestamptz'}, $2
         from stage s left join verdict v on v.row_number = s.row_number
         where ${externalId} is not null and coalesce(v.outcome, $3) in ('CREATED', 'UPDATED', 'UNCHANGED')
         order by (${system})::text, ${externalId}, s.row_number desc
         on conflict (tenant_id, record_type, source_system, external_id) do update
           set said = b.said || excluded.said, kept = excluded.kept, run_id = excluded.run_id,
             source_updated_at = coalesce(excluded.source_updated_at, b.source_updated_at)
           where not coalesce(b.source_updated_at > excluded.source_updated_at, false)
             and (b.said || excluded.said, excluded.kept, coalesce(excluded.source_updated_at, b.source_updated_at))
               is distinct from (b.said, b.kept, b.source_updated_at)`
  return { keep, told, changed, remember }
}

/** Pairs that one call of a function can be given: it takes 100 arguments. */
const PAIRS = 50

/** An object of these members, without those that are SQL's null. */
function objectOf(members: readonly (readonly [name: string, value: string])[]): string {
  const parts: string[] = []
  for (let at = 0; at < members.length; at += PAIRS) {
    const rows = members.slice(at, at + PAIRS).map(([name, value]) => `(${quoted(name)}, ${value})`)
    parts.push(
      `coalesce((select jsonb_object_agg(m.name, m.value) from (values ${rows.join(', ')}) as m (name, value) where m.value is not null), '{}')`,
    )
  }
  return parts.join(' || ')
}
