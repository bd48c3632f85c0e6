import { Migration } from '@mikro-orm/migrations'

/**
 * What the source of a migration said last of each record: by it a later pass tells fields that were changed here since from
 * those that it may change, and a late or repeated delivery from a newer one.
 */
export class Migration20261122000030_source_base extends Migration {
  override async up(): Promise<void> {
    for (const statement of statements) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('drop table source_base')
  }
}

const statements = [
  // By the identity at the source, not by the record: two records merged here into one are two there. said: value by field
  // name, of fields that it said anything of. kept: fields that were left as they were here when it said something else.
  // run_id: the import that changed this line last.
  `create table source_base (
     tenant_id uuid not null,
     record_type text not null check (record_type in ('contact', 'lead', 'property', 'activity')),
     source_system text not null,
     external_id text not null,
     said jsonb not null,
     kept text[] not null default '{}',
     source_updated_at timestamptz,
     run_id uuid not null,
     primary key (tenant_id, record_type, source_system, external_id)
   )`,
  'create index source_base_run on source_base (tenant_id, run_id)',
  'alter table source_base enable row level security',
  'alter table source_base force row level security',
  `create policy tenant on source_base using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
  'grant select, insert, update, delete on source_base to portage_worker',
]
