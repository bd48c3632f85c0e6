import { Migration } from '@mikro-orm/migrations'

const templateTables = ['mapping_template', 'mapping_template_version']

/**
 * Mappings that a tenant keeps for files that come again. Every save is a version that stays; a run holds on to the version
 * that it was started with.
 */
export class Migration20261122000010_mapping_templates extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security, ...grants]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('alter table run drop column mapping_template_id, drop column mapping_template_version')
    this.addSql('drop table mapping_template_version')
    this.addSql('drop table mapping_template')
  }
}

const tables = [
  // version: the newest one. An archived template keeps its versions and gives its name free.
  `create table mapping_template (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     record_type text not null check (record_type in ('contact', 'lead', 'property', 'activity')),
     name text not null,
     version int not null check (version > 0),
     created_by text not null,
     created_at timestamptz not null default now(),
     updated_at timestamptz not null default now(),
     archived_at timestamptz,
     primary key (tenant_id, id)
   )`,
  `create unique index mapping_template_name on mapping_template (tenant_id, record_type, lower(name)) where archived_at is null`,
  // header: all columns that files of this kind have; null until it is known. signature: what a header row is recognised
  // by, sorted; of the header or, while that is not known, of the columns that the mapping names. schema_version: of the
  // record type, when the mapping was saved.
  `create table mapping_template_version (
     tenant_id uuid not null,
     template_id uuid not null,
     version int not null check (version > 0),
     mapping jsonb not null,
     header text[],
     signature text[] not null,
     schema_version int not null,
     created_by text not null,
     created_at timestamptz not null default now(),
     primary key (tenant_id, template_id, version),
     foreign key (tenant_id, template_id) references mapping_template (tenant_id, id) on delete cascade
   )`,
  'alter table run add column mapping_template_id uuid, add column mapping_template_version int',
  // Not valid: no row there is has a template, and looking at all of them would need a tenant.
  `alter table run add constraint run_mapping_template foreign key (tenant_id, mapping_template_id, mapping_template_version)
     references mapping_template_version (tenant_id, template_id, version) not valid`,
]

const security = templateTables.flatMap((table) => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
  `create policy tenant on ${table} using (tenant_id = (select current_tenant()))
     with check (tenant_id = (select current_tenant()))`,
])

const grants = [
  'grant select, insert, update on mapping_template to portage_api',
  'grant select, insert on mapping_template_version to portage_api',
  'grant select on mapping_template to portage_worker',
  'grant select, update (header, signature) on mapping_template_version to portage_worker',
]
