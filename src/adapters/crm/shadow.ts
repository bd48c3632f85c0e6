/**
 * The side of a rehearsal: temporary tables that bear the names of those that a chunk writes. The search path finds them
 * first, so that the very statements of an import (`sql.ts`, `write.ts`) run on them, and nothing real is written. Before a
 * chunk looks for records, every real record that one of its rows could mean is copied in, unless it was copied before: the
 * shadow then holds it as the rows so far would have left it.
 */
import { ID_FIELD, recordTypes } from '../../records/index.js'
import type { RecordType } from '../../records/types.js'
import { byId, otherwise, referenceIdentity, storedValue, tenant, text } from './sql.js'
import { fieldNamed, type WritePlan } from './stage.js'

/** Where the real tables are. */
const REAL = 'portage'

/**
 * Records that share the keys of one row, copied at most: two make a match ambiguous, and which further ones there are
 * matters only if earlier rows change those.
 */
const ALIKE_RECORDS = 100

/** Statements that make the shadows of runs that write these types, in a session that has none. They live as long as the session. */
export function shadowDdl(types: readonly RecordType[]): string[] {
  return [
    ...shadowTables(types),
    `create temporary table record_identity (like ${REAL}.record_identity including defaults including constraints including indexes)`,
    `create temporary table pending_relation (like ${REAL}.pending_relation including defaults including indexes) on commit delete rows`,
    `create temporary table pending_relation_was (like ${REAL}.pending_relation_was including defaults including indexes) on commit delete rows`,
    `create temporary table run_change (like ${REAL}.run_change including defaults, primary key (tenant_id, run_id, record_id, row_number)) on commit delete rows`,
    'create index run_change_row on pg_temp.run_change (row_number)',
    // The version at which a record was copied: that of the real one.
    'create temporary table shadowed (id uuid primary key, version int not null)',
    // Records that rows name and leave as they are, with their versions: see `ChunkSql.unchanged`.
    'create temporary table glanced (row_number bigint, record_id uuid, version int) on commit delete rows',
    // Rows of the chunk whose record another row may mean: see `ChunkSql.kept`.
    'create temporary table recurring (row_number bigint primary key) on commit delete rows',
  ]
}

/** Statements that make the shadows of further types in a session that has some. */
export function shadowTables(types: readonly RecordType[]): string[] {
  return [...new Set(types)].flatMap(shadowTable)
}

function shadowTable(type: RecordType): string[] {
  const { table, matchable } = type
  return [
    `create temporary table ${table} (like ${REAL}.${table} including defaults including constraints including generated)`,
    `create temporary table ${table}_rest (like ${REAL}.${table} including defaults including constraints including generated) on commit delete rows`,
    // Only what a chunk looks records up by; the others cost time and serve nobody here.
    `alter table pg_temp.${table} add primary key (tenant_id, id)`,
    `create unique index ${table}_external_id on pg_temp.${table} (tenant_id, source_system, external_id) where external_id is not null and deleted_at is null`,
    ...matchable
      .filter((name) => name !== 'externalId')
      .map((name) => fieldNamed(type, name).column)
      .map(
        (column) =>
          `create index ${table}_${column} on pg_temp.${table} (tenant_id, ${column}) where ${column} is not null and deleted_at is null`,
      ),
    `create trigger bump_version before update on pg_temp.${table} for each row execute function ${REAL}.bump_version()`,
  ]
}

/**
 * Statements that copy in what the staged rows could mean: `$1` tenant, `$2`-`$3` rows. `shadowed` are tables of other types
 * that imports before this one have shadows of in this session: records of those that a row refers to are copied in, too.
 */
export function shadowRecords(plan: WritePlan, shadowed: ReadonlySet<string> = new Set()): string[] {
  const { recordType: type } = plan
  const staged = new Map(
    plan.stageColumns.filter((column) => column.role === 'value').map((column) => [column.field, `s.${column.name}`]),
  )
  const system = staged.has('sourceSystem')
    ? otherwise(staged.get('sourceSystem') ?? '', text(plan.sourceSystem))
    : text(plan.sourceSystem)
  const copied: string[] = []
  const copy = (table: string, records: string): void => {
    copied.push(
      `with c as (insert into pg_temp.${table} ${records} on conflict do nothing returning id, version)
       insert into shadowed select id, version from c`,
    )
  }
  const rows = 's.row_number between $2 and $3'

  const identities = (of: string, named: { readonly system: string; readonly id: string }, value: string): void => {
    copied.push(`insert into pg_temp.record_identity select i.* from stage s cross join lateral (
        select * from ${REAL}.record_identity i where i.tenant_id = ${tenant} and i.record_type = ${text(of)}
          and i.source_system = ${named.system} and i.external_id = ${named.id} limit 1) i
      where ${rows} and ${value} is not null on conflict do nothing`)
  }
  const byExternalId = (
    of: RecordType,
    value: string,
    named: { readonly system: string; readonly id: string },
  ): void => {
    copy(
      of.table,
      `select r.* from stage s cross join lateral (
        select * from ${REAL}.${of.table} r where r.tenant_id = ${tenant} and r.source_system = ${named.system} and r.external_id = ${named.id}
          and r.deleted_at is null limit 1) r
      where ${rows} and ${value} is not null`,
    )
    identities(of.name, named, value)
    copy(
      of.table,
      `select r.* from stage s cross join lateral (
        select r.* from ${REAL}.record_identity i cross join lateral (
          select * from ${REAL}.${of.table} r where r.tenant_id = ${tenant} and r.id = i.record_id and r.deleted_at is null limit 1) r
        where i.tenant_id = ${tenant} and i.record_type = ${text(of.name)} and i.source_system = ${named.system} and i.external_id = ${named.id}
        limit 1) r
      where ${rows} and ${value} is not null`,
    )
  }
  const byFields = (
    of: RecordType,
    fields: readonly { readonly stored: string; readonly value: string }[],
    but = '',
  ): void => {
    copy(
      of.table,
      `select r.* from stage s cross join lateral (
        select * from ${REAL}.${of.table} r where r.tenant_id = ${tenant}
          and ${fields.map(({ stored, value }) => `${stored} = ${value}`).join(' and ')} and r.deleted_at is null${but}
        limit ${ALIKE_RECORDS}) r
      where ${rows} and ${fields.map(({ value }) => `${value} is not null`).join(' and ')}`,
    )
  }

  const externalId = staged.get('externalId')
  if (externalId !== undefined) {
    // Also where no rule asks for it: the external id of a system is unique.
    byExternalId(type, externalId, { system, id: externalId })
  }
  // A record with another id of the same system is none that the row could mean, now or after the rows before it.
  const notAnother =
    externalId === undefined
      ? ''
      : ` and (${externalId} is null or r.external_id is null or r.source_system <> ${system} or r.external_id = ${externalId})`
  const named = plan.stageColumns.find((column) => column.role === 'id')
  if (named !== undefined) {
    byFields(type, [{ stored: 'r.id', value: `s.${named.name}` }])
  }
  for (const rule of plan.rules) {
    if (byId(rule)) {
      continue
    }
    if (!(rule.length === 1 && rule[0] === 'externalId')) {
      byFields(
        type,
        rule.map((name) => ({ stored: storedValue(fieldNamed(type, name)), value: staged.get(name) ?? '' })),
        notAnother,
      )
    }
  }
  for (const { field } of plan.unique ?? []) {
    byFields(type, [{ stored: storedValue(fieldNamed(type, field)), value: staged.get(field) ?? '' }])
  }
  for (const column of plan.stageColumns) {
    if (column.role !== 'key' || column.key === null) {
      continue
    }
    const to = fieldNamed(type, column.field).reference?.to
    if (to === undefined || to === 'member') {
      continue
    }
    const value = `s.${column.name}`
    const named = referenceIdentity(plan, value, system)
    if (to !== type.name && !shadowed.has(to)) {
      // Its records are the real ones. Only what else they are known by has to be seen past the shadow.
      if (column.key === 'externalId') {
        identities(to, named, value)
      }
      continue
    }
    // Records that a row refers to may be made or changed by rows before it.
    const of = to === type.name ? type : recordTypes[to]
    if (column.key === 'externalId') {
      byExternalId(of, value, named)
    } else if (column.key === ID_FIELD) {
      byFields(of, [{ stored: 'r.id', value: `${value}::uuid` }])
    } else {
      byFields(of, [{ stored: storedValue(fieldNamed(of, column.key)), value }])
    }
  }
  return copied
}
