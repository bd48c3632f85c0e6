import { Migration } from '@mikro-orm/migrations'

/**
 * Trying failed rows again. The imports that came of one file are a family: the first one and its retries, all of which
 * number rows as the first one does. A row that one of them applies is closed in the others, in the transaction that
 * applies it: it leaves their `failed` and counts as what has become of it. A rollback opens it again.
 */
export class Migration20261122000014_retries extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...functions, ...grants]) {
      this.addSql(statement)
    }
  }
}

const tables = [
  // root_run_id: the first import of the family; null for itself. closings: how often rows of the run were closed or opened.
  `alter table run add column root_run_id uuid, add column closings bigint not null default 0,
     add constraint run_family check ((parent_run_id is null) = (root_run_id is null))`,
  // Not valid: no row there is has a family, and looking at all of them would need a tenant.
  `alter table run add constraint run_root foreign key (tenant_id, root_run_id) references run (tenant_id, id) not valid`,
  'create index run_family_members on run (tenant_id, root_run_id) where root_run_id is not null',
  // One at a time: two could apply one row twice.
  'create unique index run_retry on run (tenant_id, root_run_id) where root_run_id is not null and finished_at is null',
  // closed_by: the retry that applied a row which had failed here.
  'alter table run_row add column closed_by uuid',
  'create index run_row_closed on run_row (tenant_id, closed_by) where closed_by is not null',
  'alter table run_issue add column closed_by uuid',
  'create index run_issue_closed on run_issue (tenant_id, closed_by) where closed_by is not null',
  'alter table run_file drop constraint run_file_kind_check',
  `alter table run_file add constraint run_file_kind_check check (kind in ('FAILED_ROWS', 'UNPROCESSED_ROWS', 'ROWS'))`,
]

const functions = [
  // What has become of rows is counted anew in a run that has ended. `p_sign` 1: rows leave `failed`; -1: they come back.
  `create function recount(p_run uuid, p_sign int, p_counts jsonb) returns void language plpgsql as $$
   declare
     v_before text;
     v_run run;
     v_count bigint := p_sign * (p_counts ->> 'rows')::bigint;
   begin
     select status into v_before from run where tenant_id = current_tenant() and id = p_run for update;
     update run set
       failed = failed - v_count,
       created = created + p_sign * (p_counts ->> 'CREATED')::bigint,
       updated = updated + p_sign * (p_counts ->> 'UPDATED')::bigint,
       unchanged = unchanged + p_sign * (p_counts ->> 'UNCHANGED')::bigint,
       skipped = skipped + p_sign * (p_counts ->> 'SKIPPED')::bigint,
       deleted = deleted + p_sign * (p_counts ->> 'DELETED')::bigint,
       closings = closings + 1,
       status = case
         when status = 'COMPLETED_WITH_ERRORS' and failed = v_count then 'COMPLETED'
         when status = 'COMPLETED' and failed - v_count > 0 then 'COMPLETED_WITH_ERRORS'
         else status end
     where tenant_id = current_tenant() and id = p_run returning * into strict v_run;
     perform append_events(p_run, v_run.kind,
       jsonb_build_array(jsonb_build_object('type', 'RunProgressed', 'body',
         jsonb_build_object('counts', run_counts(v_run), 'progress', run_progress(v_run))))
       || case when v_run.status = v_before then '[]'::jsonb
         else jsonb_build_array(jsonb_build_object('type', 'RunStatusChanged', 'body',
           jsonb_build_object('from', v_before, 'to', v_run.status, 'reason', v_run.status_reason))) end);
   end $$`,
  // Closes the rows of one chunk of a retry in all other runs of its family. Raises where a row that was applied has not
  // failed in the first import: it would be applied twice.
  `create function close_rows(p_retry run, p_from bigint, p_to bigint) returns void language plpgsql as $$
   declare
     v_tenant uuid := current_tenant();
     v_rows bigint[];
     v_outcomes text[];
     v_records uuid[];
     v_closed bigint := 0;
     v_each record;
   begin
     execute format(
       'select array_agg(d.n), array_agg(d.outcome), array_agg(coalesce(d.record_id, case when d.outcome = ''CREATED'' then
          (select r.id from %I r where r.tenant_id = $1 and r.created_run_id = $2 and r.created_row = d.n limit 1) end))
        from (
          select row_number as n, outcome, record_id from run_row
          where tenant_id = $1 and run_id = $2 and row_number between $3 and $4 and outcome <> ''FAILED''
          union all
          select n, g.outcome, null from run_range g cross join lateral unnest(g.rows) as span
            cross join lateral generate_series(lower(span), upper(span) - 1) as n
          where g.tenant_id = $1 and g.run_id = $2 and g.from_row between $3 and $4) d', p_retry.record_type)
     into v_rows, v_outcomes, v_records using v_tenant, p_retry.id, p_from, p_to;
     if v_rows is null then
       return;
     end if;
     for v_each in
       with members as (
         select id from run where tenant_id = v_tenant and (id = p_retry.root_run_id or root_run_id = p_retry.root_run_id)
           and id <> p_retry.id),
       -- The planner knows nothing of a table that was just written: by subqueries of their own the rows are looked up one by
       -- one by their key. (Measured: joined the other way round a chunk took longer than a statement may.)
       rows_there as (
         select p.at, d.outcome, d.record_id
         from members m cross join unnest(v_rows, v_outcomes, v_records) as d (n, outcome, record_id)
           cross join lateral (
             select x.ctid as at from run_row x
             where x.tenant_id = v_tenant and x.run_id = m.id and x.row_number = d.n and x.outcome = 'FAILED' offset 0) p),
       closed as (
         update run_row p set outcome = r.outcome, record_id = r.record_id, closed_by = p_retry.id
         from rows_there r where p.ctid = r.at and p.tenant_id = v_tenant
         returning p.run_id, p.outcome),
       issues_there as (
         select i.at
         from members m cross join unnest(v_rows) as n
           cross join lateral (
             select x.ctid as at from run_issue x
             where x.tenant_id = v_tenant and x.run_id = m.id and x.row_number = n and x.closed_by is null offset 0) i),
       issues as (
         update run_issue i set closed_by = p_retry.id from issues_there t where i.ctid = t.at and i.tenant_id = v_tenant)
       select run_id, count(*) as rows, jsonb_build_object('rows', count(*),
         'CREATED', count(*) filter (where outcome = 'CREATED'), 'UPDATED', count(*) filter (where outcome = 'UPDATED'),
         'UNCHANGED', count(*) filter (where outcome = 'UNCHANGED'), 'SKIPPED', count(*) filter (where outcome = 'SKIPPED'),
         'DELETED', count(*) filter (where outcome = 'DELETED')) as counts
       from closed group by run_id order by run_id
     loop
       if v_each.run_id = p_retry.root_run_id then
         v_closed := v_each.rows;
       end if;
       perform recount(v_each.run_id, 1, v_each.counts);
     end loop;
     if v_closed <> cardinality(v_rows) then
       raise exception 'a retry applied % rows of which % had failed', cardinality(v_rows), v_closed using errcode = 'PT005';
     end if;
   end $$`,
  // Opens the rows again that a retry had closed and whose work has been undone: all but those of which something is kept.
  `create function reopen_rows(p_retry uuid) returns void language plpgsql as $$
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
          select c.row_number from run_change c where c.tenant_id = $1 and c.run_id = $2 and c.reverted_at is null
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
  // As before, and a chunk of a retry closes its rows in the family: behind the run's own row and before the sequence row,
  // so that all lock in one order.
  `create or replace function settle(p_run uuid, p_token bigint, p_cursor_before jsonb, p_cursor jsonb, p_counts jsonb,
                          p_bytes_read bigint, p_running_ms bigint, p_rss bigint, p_stage_ms jsonb, p_settled jsonb,
                          p_lease_seconds int) returns void language plpgsql as $$
   declare
     v_run run;
   begin
     update run set
       cursor = p_cursor,
       rows_read = rows_read + (p_counts ->> 'read')::bigint,
       created = created + coalesce((p_counts ->> 'created')::bigint, 0),
       updated = updated + coalesce((p_counts ->> 'updated')::bigint, 0),
       unchanged = unchanged + coalesce((p_counts ->> 'unchanged')::bigint, 0),
       skipped = skipped + coalesce((p_counts ->> 'skipped')::bigint, 0),
       failed = failed + coalesce((p_counts ->> 'failed')::bigint, 0),
       deleted = deleted + coalesce((p_counts ->> 'deleted')::bigint, 0),
       reverted = reverted + coalesce((p_counts ->> 'reverted')::bigint, 0),
       kept = kept + coalesce((p_counts ->> 'kept')::bigint, 0),
       bytes_read = p_bytes_read,
       chunks = chunks + 1,
       attempts = 0,
       running_ms = running_ms + p_running_ms,
       peak_rss_bytes = greatest(peak_rss_bytes, p_rss),
       stage_ms = (select coalesce(jsonb_object_agg(key, total), '{}') from (
         select key, sum(value::numeric) as total
         from (select * from jsonb_each_text(stage_ms) union all select * from jsonb_each_text(p_stage_ms)) s group by key) t)
     where tenant_id = current_tenant() and id = p_run and fencing_token = p_token and status = 'RUNNING'
       and cursor is not distinct from p_cursor_before
     returning * into v_run;
     if not found then
       select * into v_run from run where tenant_id = current_tenant() and id = p_run;
       if v_run.fencing_token = p_token and v_run.status <> 'RUNNING' then
         raise exception 'the run is %', v_run.status using errcode = 'PT003';
       end if;
       raise exception 'another worker has taken over the run' using errcode = 'PT002';
     end if;
     update run_wakeup set lease_until = clock_timestamp() + p_lease_seconds * interval '1 second' where run_id = p_run;
     if v_run.root_run_id is not null then
       perform close_rows(v_run, (p_settled ->> 'fromRow')::bigint, (p_settled ->> 'toRow')::bigint);
     end if;
     perform append_events(p_run, v_run.kind,
       case when p_settled is null then '[]'::jsonb
         else jsonb_build_array(jsonb_build_object('type', 'RowsSettled', 'body', p_settled)) end
       || jsonb_build_array(jsonb_build_object('type', 'RunProgressed', 'body',
            jsonb_build_object('counts', run_counts(v_run), 'progress', run_progress(v_run)))));
   end $$`,
  // An import whose last failed row is closed has no errors any more, until a rollback opens one again.
  `create or replace function run_transition() returns trigger language plpgsql as $$
   begin
     if old.status is distinct from new.status and not (old.status || '>' || new.status) = any (array[
       'ANALYZING>AWAITING_MAPPING', 'ANALYZING>PLANNING', 'ANALYZING>QUEUED', 'ANALYZING>CANCELING', 'ANALYZING>CANCELED',
       'ANALYZING>FAILED',
       'AWAITING_MAPPING>ANALYZING', 'AWAITING_MAPPING>PLANNING', 'AWAITING_MAPPING>QUEUED', 'AWAITING_MAPPING>CANCELED',
       'AWAITING_MAPPING>EXPIRED',
       'PLANNING>AWAITING_CONFIRMATION', 'PLANNING>QUEUED', 'PLANNING>CANCELING', 'PLANNING>CANCELED', 'PLANNING>FAILED',
       'AWAITING_CONFIRMATION>AWAITING_MAPPING', 'AWAITING_CONFIRMATION>PLANNING', 'AWAITING_CONFIRMATION>QUEUED',
       'AWAITING_CONFIRMATION>CANCELED', 'AWAITING_CONFIRMATION>EXPIRED',
       'QUEUED>RUNNING', 'QUEUED>DEFERRED', 'QUEUED>PAUSED', 'QUEUED>CANCELED', 'QUEUED>FAILED',
       'DEFERRED>QUEUED', 'DEFERRED>CANCELED', 'DEFERRED>EXPIRED',
       'RUNNING>PAUSED', 'RUNNING>QUEUED', 'RUNNING>CANCELING', 'RUNNING>COMPLETED', 'RUNNING>COMPLETED_WITH_ERRORS',
       'RUNNING>FAILED',
       'PAUSED>QUEUED', 'PAUSED>CANCELED', 'PAUSED>EXPIRED',
       'CANCELING>CANCELED',
       'COMPLETED>COMPLETED_WITH_ERRORS', 'COMPLETED_WITH_ERRORS>COMPLETED',
       'COMPLETED>ROLLING_BACK', 'COMPLETED_WITH_ERRORS>ROLLING_BACK', 'FAILED>ROLLING_BACK', 'CANCELED>ROLLING_BACK',
       'ROLLED_BACK_WITH_CONFLICTS>ROLLING_BACK',
       'ROLLING_BACK>ROLLED_BACK', 'ROLLING_BACK>ROLLED_BACK_WITH_CONFLICTS', 'ROLLING_BACK>COMPLETED',
       'ROLLING_BACK>COMPLETED_WITH_ERRORS', 'ROLLING_BACK>FAILED', 'ROLLING_BACK>CANCELED'
     ]) then
       raise exception 'a run cannot go from % to %', old.status, new.status using errcode = 'PT004';
     end if;
     return new;
   end $$`,
]

const grants = [
  'revoke execute on function recount(uuid, int, jsonb), close_rows(run, bigint, bigint), reopen_rows(uuid) from public',
  `grant execute on function recount(uuid, int, jsonb), close_rows(run, bigint, bigint), reopen_rows(uuid)
     to portage_api, portage_worker`,
  // A rollback that is cancelled before a worker has it is ended by the API, which opens its rows.
  'grant update (outcome, record_id, closed_by) on run_row to portage_api',
  'grant update (closed_by) on run_issue to portage_api',
  // A file of failed rows is made anew when some of them are closed.
  'grant update on run_file to portage_api',
]
