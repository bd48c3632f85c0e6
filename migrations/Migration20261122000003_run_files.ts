import { Migration } from '@mikro-orm/migrations'

/**
 * Files that were made from a run, e.g. its failed rows: made when somebody first asks for them, then kept like an
 * uploaded file.
 */
export class Migration20261122000003_run_files extends Migration {
  override async up(): Promise<void> {
    for (const statement of runFile) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('drop table run_file')
  }
}

const runFile = [
  `create table run_file (
     tenant_id uuid not null,
     run_id uuid not null,
     kind text not null check (kind in ('FAILED_ROWS')),
     byte_size bigint not null,
     row_count bigint not null,
     sha256 text not null,
     storage_key text not null,
     made_at timestamptz not null default now(),
     primary key (tenant_id, run_id, kind),
     foreign key (tenant_id, run_id) references run (tenant_id, id)
   )`,
  'alter table run_file enable row level security',
  'alter table run_file force row level security',
  'create policy tenant on run_file using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))',
  'grant select, insert on run_file to portage_api',
  'grant select, insert, delete on run_file to portage_worker',
  // An API process asks whether the schema is the one that it was written for.
  'grant select on migration to portage_api',
]
