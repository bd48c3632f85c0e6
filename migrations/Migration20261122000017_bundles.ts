import { Migration } from '@mikro-orm/migrations'

/**
 * Portability bundles: runs that write all records of a tenant into one file, and runs that take such a file in by ordinary
 * imports, one for each record type. And tombstones: what remains of a tenant that was erased.
 */
export class Migration20261122000017_bundles extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...runs, ...bundles, ...functions, ...erasure]) {
      this.addSql(statement)
    }
  }
}

const runs = [
  'alter table run drop constraint run_kind_check',
  "alter table run add constraint run_kind_check check (kind in ('IMPORT', 'ROLLBACK', 'EXPORT', 'BUNDLE_EXPORT', 'BUNDLE_IMPORT'))",
  'alter table run drop constraint run_kind_fields',
  `alter table run add constraint run_kind_fields check (case kind
     when 'IMPORT' then record_type is not null and source_file_id is not null and options is not null
     when 'ROLLBACK' then of_run_id is not null and on_conflict is not null
     when 'EXPORT' then record_type is not null
     when 'BUNDLE_EXPORT' then true
     when 'BUNDLE_IMPORT' then source_file_id is not null and options is not null
     else false end)`,
  'alter table run drop constraint run_conservation',
  // The law of conservation. A NULL anywhere makes the sum NULL, and coalesce turns that into a refusal. A bundle holds every
  // record of its snapshot, or there is none; what a bundle brought is the sum of its imports.
  `alter table run add constraint run_conservation check (
     status not in ('COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'ROLLING_BACK', 'ROLLED_BACK',
                    'ROLLED_BACK_WITH_CONFLICTS', 'EXPIRED')
     or coalesce(case
       when kind in ('IMPORT', 'BUNDLE_IMPORT')
         then total = created + updated + unchanged + skipped + failed + deleted + unprocessed
       when kind = 'ROLLBACK' then total = reverted + kept + unchanged + unprocessed
       when kind in ('EXPORT', 'BUNDLE_EXPORT')
         then total = rows_read + unprocessed and (status <> 'COMPLETED' or unprocessed = 0)
           and status not in ('COMPLETED_WITH_ERRORS', 'ROLLING_BACK', 'ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS')
       else false end, false))`,
  // The bundle that an import belongs to.
  'alter table run add column bundle_run_id uuid',
  `alter table run add constraint run_of_bundle foreign key (tenant_id, bundle_run_id) references run (tenant_id, id) not valid`,
  'create unique index run_of_bundle_type on run (tenant_id, bundle_run_id, record_type) where bundle_run_id is not null',
]

const bundles = [
  // record_types: those of the bundle, in load order. bundle_id, origin: as its manifest has them; of an export null until it has
  // ended. snapshot_at: the moment that the bundle shows. envelope: the sealed key of its envelope while the run lasts; null
  // without a passphrase. manifest: of an import, what it verified.
  `create table run_bundle (
     tenant_id uuid not null,
     run_id uuid not null,
     record_types text[] not null,
     bundle_id uuid,
     origin text,
     snapshot_at timestamptz,
     envelope bytea,
     primary key (tenant_id, run_id),
     foreign key (tenant_id, run_id) references run (tenant_id, id)
   )`,
  // Files that a bundle was split into, until the imports over them are made: one of each record type, with the number of its rows.
  `create table run_bundle_rows (
     tenant_id uuid not null,
     run_id uuid not null,
     record_type text not null,
     storage_key text not null,
     byte_size bigint not null,
     row_count bigint not null,
     sha256 text not null,
     columns jsonb not null,
     primary key (tenant_id, run_id, record_type),
     foreign key (tenant_id, run_id) references run (tenant_id, id)
   )`,
  ...['run_bundle', 'run_bundle_rows'].flatMap((table) => [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
    `create policy tenant on ${table} using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
  ]),
  'grant select, insert, update on run_bundle to portage_api, portage_worker',
  'grant select on run_bundle_rows to portage_api',
  'grant select, insert, update, delete on run_bundle_rows to portage_worker',
]

const functions = [
  `create or replace function run_settled(r run) returns bigint language sql stable as $$
     select case when r.kind = 'ROLLBACK' then r.reverted + r.kept + r.unchanged
       when r.kind in ('EXPORT', 'BUNDLE_EXPORT') then r.rows_read
       else r.created + r.updated + r.unchanged + r.skipped + r.failed + r.deleted end
   $$`,
  // An export is complete when its file is known and holds every row.
  `create or replace function run_has_its_file() returns trigger language plpgsql as $$
   begin
     if not exists (select from run_file f where f.tenant_id = new.tenant_id and f.run_id = new.id
                      and f.kind = case new.kind when 'EXPORT' then 'RESULT' else 'BUNDLE' end and f.row_count = new.total) then
       raise exception 'the file of the export is missing' using errcode = 'PT006';
     end if;
     return new;
   end $$`,
  'drop trigger run_has_its_file on run',
  `create trigger run_has_its_file before update of status on run for each row
     when (new.kind in ('EXPORT', 'BUNDLE_EXPORT') and new.status = 'COMPLETED') execute function run_has_its_file()`,
  // What a passphrase became is forgotten with the end of the run that needed it.
  `create function forget_envelope() returns trigger language plpgsql as $$
   begin
     update run_bundle set envelope = null where tenant_id = new.tenant_id and run_id = new.id and envelope is not null;
     return null;
   end $$`,
  `create trigger run_forget_envelope after update of finished_at on run for each row
     when (new.kind in ('BUNDLE_EXPORT', 'BUNDLE_IMPORT') and new.finished_at is not null) execute function forget_envelope()`,
  'revoke execute on function forget_envelope() from public',
  'grant execute on function forget_envelope() to portage_api, portage_worker',
]

const erasure = [
  // Set by the operator when the erasing begins: from then on the tenant lets nobody in.
  'alter table tenant add column erasing_at timestamptz',
  'drop policy own on tenant',
  'create policy own on tenant to portage_api using (id = (select current_tenant()) and erasing_at is null) with check (false)',
  // What remains of a tenant that was erased: its id is never given out again, and nothing else is known of it.
  `create table tenant_tombstone (
     tenant_id uuid not null primary key,
     begun_at timestamptz not null default now(),
     finished_at timestamptz,
     deleted jsonb not null default '{}'
   )`,
  'alter table tenant_tombstone enable row level security',
  'alter table tenant_tombstone force row level security',
  'create policy tenant on tenant_tombstone using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))',
]
