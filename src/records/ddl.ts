/**
 * SQL of the record tables, written from their definitions. The first migration of the tables was printed with this;
 * a test compares a migrated database with the definitions from then on.
 */
import { checksOf, fieldOf } from './index.js'
import type { FieldDefinition, RecordType } from './types.js'

/** Statements that make the table of `type` with its rules, indexes, policy, trigger and grants, in order. */
export function tableDdl(type: RecordType): string[] {
  return [
    createTable(type),
    ...indexes(type),
    ...rowSecurity(type.table),
    `create trigger bump_version before update on ${type.table} for each row execute function bump_version()`,
    `grant select, insert, update on ${type.table} to portage_api, portage_worker`,
  ]
}

/** Statements for the further places that records are known by, the same for all record types. */
export function identityDdl(): string[] {
  return [
    lines('create table record_identity (', [
      'tenant_id uuid not null',
      "record_type text not null check (record_type in ('contact', 'lead', 'property', 'activity'))",
      'source_system text not null',
      'external_id text not null',
      'record_id uuid not null',
      'url text',
      'created_run_id uuid',
      'primary key (tenant_id, record_type, source_system, external_id)',
    ]),
    'create index record_identity_record on record_identity (tenant_id, record_type, record_id)',
    ...rowSecurity('record_identity'),
    'grant select, insert, update, delete on record_identity to portage_api, portage_worker',
  ]
}

function createTable(type: RecordType): string {
  const references = type.fields.filter((field) => field.reference !== null)
  return lines(`create table ${type.table} (`, [
    'tenant_id uuid not null',
    'id uuid not null',
    ...type.fields.map(columnDdl),
    "custom_fields jsonb not null default '{}'",
    'version int not null default 1',
    // Version at which the record stands as the run that created it left it.
    'pristine_version int not null default 1',
    'created_at timestamptz not null default now()',
    'updated_at timestamptz not null default now()',
    'deleted_at timestamptz',
    'created_run_id uuid',
    'created_row bigint',
    'primary key (tenant_id, id)',
    ...references.map(
      (field) =>
        `constraint ${type.table}_${field.column}_fkey foreign key (tenant_id, ${field.column}) references ${field.reference?.to} (tenant_id, id)`,
    ),
    ...checksOf(type).map((check) => `constraint ${type.table}_${check.name} check (${check.sql})`),
  ])
}

function columnDdl(field: FieldDefinition): string {
  const defaultValue = field.defaultValue === null ? '' : ` default '${field.defaultValue}'`
  return `${field.column} ${field.sqlType}${field.required ? ' not null' : ''}${defaultValue}`
}

function indexes(type: RecordType): string[] {
  const { table } = type
  // The unique index serves matching by external id.
  const matchable = type.matchable
    .filter((name) => name !== 'externalId')
    .map((name) => fieldOf(type, name)?.column ?? name)
  const references = type.fields.filter((field) => field.reference !== null)
  return [
    `create unique index ${table}_external_id on ${table} (tenant_id, source_system, external_id) where external_id is not null and deleted_at is null`,
    ...matchable.map(
      (column) =>
        `create index ${table}_${column} on ${table} (tenant_id, ${column}) where ${column} is not null and deleted_at is null`,
    ),
    `create index ${table}_created_run on ${table} (tenant_id, created_run_id, created_row) where created_run_id is not null`,
    ...references.map(
      (field) =>
        `create index ${table}_${field.column} on ${table} (tenant_id, ${field.column}) where ${field.column} is not null`,
    ),
  ]
}

function rowSecurity(table: string): string[] {
  return [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
    `create policy tenant on ${table} using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
  ]
}

function lines(head: string, parts: readonly string[]): string {
  return `${head}\n  ${parts.join(',\n  ')}\n)`
}
