import { Migration } from '@mikro-orm/migrations'

/**
 * What an import did to relations that others had waiting can be undone with it, merges take waiting relations along, and an
 * import that wrote related records only is searched for duplicates as well.
 */
export class Migration20261122000029_waiting_relations extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...functions]) {
      this.addSql(statement)
    }
  }
}

const tables = [
  // before: the row of pending_relation that this import took over or made needless.
  `create table pending_relation_was (
     tenant_id uuid not null,
     run_id uuid not null,
     record_type text not null,
     record_id uuid not null,
     field text not null,
     before jsonb not null,
     primary key (tenant_id, run_id, record_type, record_id, field)
   )`,
  'create index pending_relation_was_record on pending_relation_was (tenant_id, record_type, record_id, field)',
  'alter table pending_relation_was enable row level security',
  'alter table pending_relation_was force row level security',
  `create policy tenant on pending_relation_was using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
  'grant select on pending_relation_was to portage_api',
  'grant select, insert, update, delete on pending_relation_was to portage_worker',
  // Merges are the API's: they move what the removed record waits for.
  'grant update on pending_relation to portage_api',
  // pending: the fields whose waiting relations went to the survivor.
  `alter table duplicate_merge add column pending text[] not null default '{}'`,
]

const functions = [
  // As before; a row is kept failed for what is left of its main record only, which is what its outcome is about.
  `create or replace function reopen_rows(p_retry uuid) returns void language plpgsql as $$
   declare
     v_tenant uuid := current_tenant();
     v_type text;
     v_kept bigint[];
     v_each record;
   begin
     select record_type into v_type from run where tenant_id = v_tenant and id = p_retry;
     execute format(
       'select coalesce(array_agg(n), ''{}'') from (
          select created_row as n from %1$I where tenant_id = $1 and created_run_id = $2 and deleted_at is null
          union
          select c.row_number from run_change c where c.tenant_id = $1 and c.run_id = $2 and c.record_type = %1$L and c.reverted_at is null
            and not exists (select from %1$I r where r.tenant_id = $1 and r.id = c.record_id and r.created_run_id = $2)) k', v_type)
     into v_kept using v_tenant, p_retry;
     for v_each in
       -- Both by the retry alone: joined with one another each row would look through all of them.
       with opened as (
         update run_row p set outcome = 'FAILED', record_id = null, closed_by = null
         where p.tenant_id = v_tenant and p.closed_by = p_retry and not p.row_number = any (v_kept)
         returning p.run_id, old.outcome),
       issues as (
         update run_issue i set closed_by = null
         where i.tenant_id = v_tenant and i.closed_by = p_retry and not i.row_number = any (v_kept))
       select run_id, jsonb_build_object('rows', count(*),
         'CREATED', count(*) filter (where outcome = 'CREATED'), 'UPDATED', count(*) filter (where outcome = 'UPDATED'),
         'UNCHANGED', count(*) filter (where outcome = 'UNCHANGED'), 'SKIPPED', count(*) filter (where outcome = 'SKIPPED'),
         'DELETED', count(*) filter (where outcome = 'DELETED')) as counts
       from opened group by run_id order by run_id
     loop
       perform recount(v_each.run_id, -1, v_each.counts);
     end loop;
   end $$`,
  `create or replace function search_run_duplicates() returns trigger language plpgsql as $$
   begin
     if new.kind = 'IMPORT' and (new.created + new.updated + new.deleted > 0
         or exists (select from run_related x where x.tenant_id = new.tenant_id and x.run_id = new.id)) then
       insert into duplicate_search (tenant_id, kind, run_id) values (new.tenant_id, 'IMPORT', new.id);
     elsif new.kind = 'ROLLBACK' and new.reverted + new.kept > 0 then
       insert into duplicate_search (tenant_id, kind, run_id) values (new.tenant_id, 'ROLLBACK', new.of_run_id);
     end if;
     return null;
   end $$`,
]
