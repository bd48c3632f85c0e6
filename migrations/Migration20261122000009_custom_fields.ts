import { Migration } from '@mikro-orm/migrations'

/**
 * Fields and rules of a tenant's own. A custom field has a line for each time that it was made or revived, with the versions
 * of its record type's schema between which it stood, so that a run goes on with the fields that its mapping was made for.
 * Business rules are copied into a run when it starts.
 */
export class Migration20261122000009_custom_fields extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security()]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('alter table run drop column schema_version, drop column rules')
    this.addSql('drop table business_rule, custom_field, record_schema')
  }
}

const recordType = "record_type text not null check (record_type in ('contact', 'lead', 'property', 'activity'))"

const tables = [
  // Locked by whoever changes the fields of a record type; no line means version 0, the fields that everybody has.
  `create table record_schema (
     tenant_id uuid not null references tenant (id),
     ${recordType},
     version int not null,
     primary key (tenant_id, record_type)
   )`,
  // One id and one place in the order for one key for ever; to_version null: the field stands.
  `create table custom_field (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     ${recordType},
     key text not null,
     position int not null,
     label text not null,
     kind text not null check (kind in ('TEXT', 'LONG_TEXT', 'EMAIL', 'PHONE', 'URL', 'INTEGER', 'DECIMAL', 'MONEY', 'BOOLEAN',
       'DATE', 'DATE_TIME', 'ENUM', 'MULTI_ENUM')),
     options text[],
     from_version int not null,
     to_version int check (to_version > from_version),
     created_by text not null,
     created_at timestamptz not null default now(),
     primary key (tenant_id, id, from_version)
   )`,
  'create unique index custom_field_standing on custom_field (tenant_id, record_type, key) where to_version is null',
  `create table business_rule (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     ${recordType},
     kind text not null check (kind in ('REQUIRED_IF', 'ONE_OF', 'RANGE', 'PATTERN', 'COMPARE', 'UNIQUE')),
     fields text[] not null,
     arguments jsonb not null,
     severity text not null check (severity in ('ERROR', 'WARNING')),
     message text not null,
     active boolean not null,
     created_by text not null,
     created_at timestamptz not null default now(),
     primary key (tenant_id, id)
   )`,
  'create index business_rule_type on business_rule (tenant_id, record_type)',
  // schema_version: of the fields that the mapping was made for. rules: those that the run obeys; null before it starts.
  'alter table run add column schema_version int not null default 0, add column rules jsonb',
]

function security(): string[] {
  return [
    ...['record_schema', 'custom_field', 'business_rule'].flatMap((table) => [
      `alter table ${table} enable row level security`,
      `alter table ${table} force row level security`,
      `create policy tenant on ${table} using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
      `grant select on ${table} to portage_api, portage_worker`,
    ]),
    'grant insert, update on record_schema, custom_field to portage_api',
    'grant insert, update, delete on business_rule to portage_api',
  ]
}
