import { Migration } from '@mikro-orm/migrations'

const relationTables = ['run_related', 'plan_related', 'pending_relation']

/**
 * Records of other types that a row made or changed beside its own, as done and as planned; and relations of records to
 * others that were not there yet.
 */
export class Migration20261122000013_relations extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security()]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql(`drop table ${relationTables.join(', ')}`)
  }
}

const tables = [
  // path: the reference by which the row names the record, e.g. `contact`.
  `create table run_related (
     tenant_id uuid not null,
     run_id uuid not null,
     row_number bigint not null,
     path text not null,
     record_type text not null,
     record_id uuid not null,
     outcome text not null check (outcome in ('CREATED', 'UPDATED')),
     primary key (tenant_id, run_id, row_number, path)
   )`,
  `create table plan_related (
     tenant_id uuid not null,
     run_id uuid not null,
     row_number bigint not null,
     path text not null,
     record_type text not null,
     record_id uuid,
     outcome text not null check (outcome in ('CREATED', 'UPDATED')),
     before jsonb,
     after jsonb,
     primary key (tenant_id, run_id, row_number, path)
   )`,
  // The field of a record that waits for the record which has this key; was: what it refers to meanwhile. Of run and row that
  // asked for it last.
  `create table pending_relation (
     tenant_id uuid not null,
     record_type text not null,
     record_id uuid not null,
     field text not null,
     run_id uuid not null,
     row_number bigint not null,
     to_type text not null,
     key text not null,
     value text not null,
     source_system text not null,
     was uuid,
     settled_at timestamptz,
     settled_by_run uuid,
     primary key (tenant_id, record_type, record_id, field)
   )`,
  'create index pending_relation_run on pending_relation (tenant_id, run_id, row_number) where settled_at is null',
  'create index pending_relation_to on pending_relation (tenant_id, to_type, record_type, record_id, field) where settled_at is null',
  'create index pending_relation_settled on pending_relation (tenant_id, settled_by_run) where settled_by_run is not null',
]

function security(): string[] {
  return relationTables.flatMap((table) => [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
    `create policy tenant on ${table} using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
    `grant select on ${table} to portage_api`,
    `grant select, insert, update, delete on ${table} to portage_worker`,
  ])
}
