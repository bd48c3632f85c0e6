import { Migration } from '@mikro-orm/migrations'

/** The audit as a file: a run that writes what is sealed of it, with the signed head. */
export class Migration20261122000031_audit_exports extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...runs, ...tables, ...functions]) {
      this.addSql(statement)
    }
  }
}

const runs = [
  'alter table run drop constraint run_kind_check',
  `alter table run add constraint run_kind_check
     check (kind in ('IMPORT', 'ROLLBACK', 'EXPORT', 'BUNDLE_EXPORT', 'BUNDLE_IMPORT', 'MIGRATION', 'AUDIT_EXPORT'))`,
  'alter table run drop constraint run_kind_fields',
  `alter table run add constraint run_kind_fields check (case kind
     when 'IMPORT' then record_type is not null and source_file_id is not null and options is not null
     when 'ROLLBACK' then of_run_id is not null and on_conflict is not null
     when 'EXPORT' then record_type is not null
     when 'BUNDLE_EXPORT' then true
     when 'BUNDLE_IMPORT' then source_file_id is not null and options is not null
     when 'MIGRATION' then options is not null
     when 'AUDIT_EXPORT' then true
     else false end)`,
  'alter table run drop constraint run_conservation',
  `alter table run add constraint run_conservation check (
     status not in ('COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'ROLLING_BACK', 'ROLLED_BACK',
                    'ROLLED_BACK_WITH_CONFLICTS', 'EXPIRED')
     or coalesce(case
       when kind in ('IMPORT', 'BUNDLE_IMPORT', 'MIGRATION')
         then total = created + updated + unchanged + skipped + failed + deleted + unprocessed
       when kind = 'ROLLBACK' then total = reverted + kept + unchanged + unprocessed
       when kind in ('EXPORT', 'BUNDLE_EXPORT', 'AUDIT_EXPORT')
         then total = rows_read + unprocessed and (status <> 'COMPLETED' or unprocessed = 0)
           and status not in ('COMPLETED_WITH_ERRORS', 'ROLLING_BACK', 'ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS')
       else false end, false))`,
]

const tables = [
  // from_at, to_at: entries from the one moment on and before the other; null for no such end.
  `create table run_audit_export (
     tenant_id uuid not null,
     run_id uuid not null,
     from_at timestamptz,
     to_at timestamptz,
     primary key (tenant_id, run_id),
     foreign key (tenant_id, run_id) references run (tenant_id, id)
   )`,
  'alter table run_audit_export enable row level security',
  'alter table run_audit_export force row level security',
  'create policy tenant on run_audit_export using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))',
  'grant select, insert on run_audit_export to portage_api',
  'grant select on run_audit_export to portage_worker',
]

const functions = [
  `create or replace function run_settled(r run) returns bigint language sql stable as $$
     select case when r.kind = 'ROLLBACK' then r.reverted + r.kept + r.unchanged
       when r.kind in ('EXPORT', 'BUNDLE_EXPORT', 'AUDIT_EXPORT') then r.rows_read
       else r.created + r.updated + r.unchanged + r.skipped + r.failed + r.deleted end
   $$`,
  `create or replace function run_has_its_file() returns trigger language plpgsql as $$
   begin
     if not exists (select from run_file f where f.tenant_id = new.tenant_id and f.run_id = new.id
                      and f.kind = case new.kind when 'BUNDLE_EXPORT' then 'BUNDLE' else 'RESULT' end and f.row_count = new.total) then
       raise exception 'the file of the export is missing' using errcode = 'PT006';
     end if;
     return new;
   end $$`,
  'drop trigger run_has_its_file on run',
  `create trigger run_has_its_file before update of status on run for each row
     when (new.kind in ('EXPORT', 'BUNDLE_EXPORT', 'AUDIT_EXPORT') and new.status = 'COMPLETED') execute function run_has_its_file()`,
]
