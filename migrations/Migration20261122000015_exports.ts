import { Migration } from '@mikro-orm/migrations'

/**
 * Exports: runs that write a file of records. Nothing of one lasts until it ends: its file becomes known in the
 * transaction that ends it, and one that is taken up again starts from its first row.
 */
export class Migration20261122000015_exports extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...runs, ...exports, ...files, ...functions]) {
      this.addSql(statement)
    }
  }
}

const runs = [
  'alter table run drop constraint run_kind_check',
  "alter table run add constraint run_kind_check check (kind in ('IMPORT', 'ROLLBACK', 'EXPORT'))",
  'alter table run drop constraint run_kind_fields',
  `alter table run add constraint run_kind_fields check (case kind
     when 'IMPORT' then record_type is not null and source_file_id is not null and options is not null
     when 'ROLLBACK' then of_run_id is not null and on_conflict is not null
     when 'EXPORT' then record_type is not null
     else false end)`,
  'alter table run drop constraint run_conservation',
  // The law of conservation. A NULL anywhere makes the sum NULL, and coalesce turns that into a refusal. A file of an
  // export holds every row of its snapshot, or there is none.
  `alter table run add constraint run_conservation check (
     status not in ('COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'ROLLING_BACK', 'ROLLED_BACK',
                    'ROLLED_BACK_WITH_CONFLICTS', 'EXPIRED')
     or coalesce(case kind
       when 'IMPORT' then total = created + updated + unchanged + skipped + failed + deleted + unprocessed
       when 'ROLLBACK' then total = reverted + kept + unchanged + unprocessed
       when 'EXPORT' then total = rows_read + unprocessed and (status <> 'COMPLETED' or unprocessed = 0)
         and status not in ('COMPLETED_WITH_ERRORS', 'ROLLING_BACK', 'ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS')
       else false end, false))`,
]

const exports = [
  // spec: what to write and how (ExportSpec). snapshot_at: the moment that the file shows, of the attempt in hand; null until
  // it has begun. template_id: the template that it was made from.
  `create table run_export (
     tenant_id uuid not null,
     run_id uuid not null,
     spec jsonb not null,
     snapshot_at timestamptz,
     template_id uuid,
     primary key (tenant_id, run_id),
     foreign key (tenant_id, run_id) references run (tenant_id, id)
   )`,
  'create index run_export_template on run_export (tenant_id, template_id, run_id) where template_id is not null',
  'alter table run_export enable row level security',
  'alter table run_export force row level security',
  'create policy tenant on run_export using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))',
  'grant select, insert on run_export to portage_api',
  // Schedules start exports in a worker.
  'grant select, insert, update on run_export to portage_worker',
]

const files = [
  'alter table run_file drop constraint run_file_kind_check',
  `alter table run_file add constraint run_file_kind_check
     check (kind in ('FAILED_ROWS', 'UNPROCESSED_ROWS', 'ROWS', 'RESULT', 'REPORT', 'BUNDLE'))`,
  // Of files that a run itself has made: what they are called and when they are deleted; null for the others, which go with
  // the file that they were made of. A report has no rows.
  `alter table run_file add column name text, add column expires_at timestamptz, alter column row_count drop not null,
     add constraint run_file_made check (kind not in ('RESULT', 'REPORT', 'BUNDLE') or (name is not null and expires_at is not null)),
     add constraint run_file_counted check (kind = 'REPORT' or row_count is not null)`,
  'create index run_file_expiry on run_file (tenant_id, expires_at) where expires_at is not null',
]

const functions = [
  // Rows that have their outcome: of the first pass none, of an import the sum of outcomes, of a rollback likewise; of an
  // export those that are written.
  `create or replace function run_settled(r run) returns bigint language sql stable as $$
     select case r.kind when 'ROLLBACK' then r.reverted + r.kept + r.unchanged
       when 'EXPORT' then r.rows_read
       else r.created + r.updated + r.unchanged + r.skipped + r.failed + r.deleted end
   $$`,
  // An export is complete when its file is known and holds every row.
  `create function run_has_its_file() returns trigger language plpgsql as $$
   begin
     if not exists (select from run_file f where f.tenant_id = new.tenant_id and f.run_id = new.id and f.kind = 'RESULT'
                      and f.row_count = new.total) then
       raise exception 'the file of the export is missing' using errcode = 'PT006';
     end if;
     return new;
   end $$`,
  `create trigger run_has_its_file before update of status on run for each row
     when (new.kind = 'EXPORT' and new.status = 'COMPLETED') execute function run_has_its_file()`,
  'revoke execute on function run_has_its_file() from public',
  'grant execute on function run_has_its_file() to portage_api, portage_worker',
]
