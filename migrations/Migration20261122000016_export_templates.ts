import { Migration } from '@mikro-orm/migrations'

/** Exports that a tenant keeps: what to write and how, and when to write it by itself. */
export class Migration20261122000016_export_templates extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('drop table export_template')
  }
}

const own = 'using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))'

const tables = [
  // filter, order_by, columns: as an export takes them, ids as UUIDs; columns null: all fields, chosen at each run. format: what
  // was said of it. schedule: five fields of cron in time_zone; next_run_at null: no schedule, or it is disabled, and
  // disabled_reason says why. owner: who saved it last; scheduled exports are theirs, with owner_permissions as far as the owner
  // still has them. owner_key_id: the API key that they came with.
  `create table export_template (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     record_type text not null check (record_type in ('contact', 'lead', 'property', 'activity')),
     name text not null,
     filter jsonb,
     order_by jsonb not null,
     columns jsonb,
     format jsonb not null,
     schedule text,
     time_zone text,
     next_run_at timestamptz,
     disabled_reason jsonb,
     owner text not null,
     owner_key_id uuid,
     owner_permissions text[] not null,
     created_at timestamptz not null default now(),
     updated_at timestamptz not null default now(),
     primary key (tenant_id, id),
     check (schedule is null or time_zone is not null),
     check (next_run_at is null or (schedule is not null and disabled_reason is null))
   )`,
  'create unique index export_template_name on export_template (tenant_id, lower(name))',
  'create index export_template_due on export_template (next_run_at) where next_run_at is not null',
]

const security = [
  'alter table export_template enable row level security',
  'alter table export_template force row level security',
  `create policy tenant on export_template ${own}`,
  // A worker has to find out which tenants have something due.
  'create policy worker on export_template to portage_worker using (true) with check (tenant_id = (select current_tenant()))',
  'grant select, insert, update, delete on export_template to portage_api',
  'grant select, update (next_run_at, disabled_reason) on export_template to portage_worker',
]
