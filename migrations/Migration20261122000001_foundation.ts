import { Migration } from '@mikro-orm/migrations'

/** Tables with `tenant_id` that carry the common policy. */
const tenantTables = [
  'member',
  'api_key',
  'source_file',
  'run',
  'run_row',
  'run_range',
  'run_issue',
  'run_change',
  'run_conflict',
  'event',
  'tenant_sequence',
  'idempotency',
]

/**
 * Tenants, members, keys, files, runs and everything a run leaves behind. The roles exist already (see
 * `src/db/migrate.ts`); statements run as `portage_owner` with the search path on `portage`.
 */
export class Migration20261122000001_foundation extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...functions, ...tables, ...security(), ...runFunctions, ...grants]) {
      this.addSql(statement)
    }
  }
}

const functions = [
  // A statement without a tenant raises; it does not silently see nothing. After `set_config(..., true)` the setting
  // of a pooled session reads '' rather than NULL, hence both tests.
  `create function current_tenant() returns uuid language plpgsql stable parallel safe as $$
   declare
     setting text := current_setting('app.tenant_id', true);
   begin
     if setting is null or setting = '' then
       raise exception 'no tenant is set for this transaction' using errcode = 'PT001';
     end if;
     return setting::uuid;
   end $$`,
  // Every writer of a record goes through this: the version is the database's, not the caller's.
  `create function bump_version() returns trigger language plpgsql as $$
   begin
     new.version := old.version + 1;
     new.updated_at := now();
     return new;
   end $$`,
]

const tables = [
  `create table tenant (
     id uuid primary key,
     name text not null unique check (length(name) between 1 and 100),
     created_at timestamptz not null default now()
   )`,
  `create table member (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     email text not null check (email = lower(email) and length(email) between 3 and 320),
     name text,
     permissions text[],
     active boolean not null default true,
     created_at timestamptz not null default now(),
     primary key (tenant_id, id),
     unique (tenant_id, email)
   )`,
  `create table api_key (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     name text not null,
     prefix text not null,
     secret_hash bytea not null,
     permissions text[] not null,
     created_by text not null,
     created_at timestamptz not null default now(),
     last_used_at timestamptz,
     expires_at timestamptz,
     revoked_at timestamptz,
     primary key (tenant_id, id)
   )`,
  `create table source_file (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     name text not null,
     byte_size bigint not null,
     sha256 text not null,
     storage_key text not null,
     detection jsonb not null,
     source_options jsonb,
     uploaded_by text not null,
     uploaded_at timestamptz not null default now(),
     expires_at timestamptz not null,
     purged_at timestamptz,
     primary key (tenant_id, id)
   )`,
  'create index source_file_sha256 on source_file (tenant_id, sha256)',
  'create index source_file_expiry on source_file (expires_at) where purged_at is null',
  `create table run (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     kind text not null check (kind in ('IMPORT', 'ROLLBACK')),
     status text not null check (status in ('ANALYZING', 'AWAITING_MAPPING', 'PLANNING', 'AWAITING_CONFIRMATION', 'QUEUED',
       'DEFERRED', 'RUNNING', 'PAUSED', 'CANCELING', 'COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED',
       'ROLLING_BACK', 'ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS', 'EXPIRED')),
     status_reason jsonb,
     status_before text,
     created_by text not null,
     created_at timestamptz not null default now(),
     queued_at timestamptz,
     started_at timestamptz,
     finished_at timestamptz,
     record_type text check (record_type in ('contact', 'lead', 'property', 'activity')),
     source_file_id uuid,
     source_options jsonb,
     mapping jsonb,
     mapping_conflicts jsonb,
     unmapped_required text[],
     evidence jsonb,
     options jsonb,
     confirmation text check (confirmation in ('ASK', 'IF_NO_ERRORS', 'ALWAYS')),
     parent_run_id uuid,
     of_run_id uuid,
     on_conflict text check (on_conflict in ('KEEP', 'FORCE', 'ABORT')),
     total bigint,
     rows_read bigint not null default 0,
     created bigint not null default 0,
     updated bigint not null default 0,
     unchanged bigint not null default 0,
     skipped bigint not null default 0,
     failed bigint not null default 0,
     deleted bigint not null default 0,
     unprocessed bigint not null default 0,
     reverted bigint not null default 0,
     kept bigint not null default 0,
     bytes_read bigint not null default 0,
     bytes_total bigint,
     cursor jsonb,
     fencing_token bigint not null default 0,
     chunks bigint not null default 0,
     attempts int not null default 0,
     queued_ms bigint not null default 0,
     running_ms bigint not null default 0,
     peak_rss_bytes bigint,
     stage_ms jsonb not null default '{}',
     primary key (tenant_id, id),
     foreign key (tenant_id, source_file_id) references source_file (tenant_id, id),
     foreign key (tenant_id, parent_run_id) references run (tenant_id, id),
     foreign key (tenant_id, of_run_id) references run (tenant_id, id),
     constraint run_kind_fields check (case kind
       when 'IMPORT' then record_type is not null and source_file_id is not null and options is not null
       when 'ROLLBACK' then of_run_id is not null and on_conflict is not null
       else false end),
     -- The law of conservation. A NULL anywhere makes the sum NULL, and coalesce turns that into a refusal.
     constraint run_conservation check (
       status not in ('COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'ROLLING_BACK', 'ROLLED_BACK',
                      'ROLLED_BACK_WITH_CONFLICTS', 'EXPIRED')
       or coalesce(case kind
         when 'IMPORT' then total = created + updated + unchanged + skipped + failed + deleted + unprocessed
         when 'ROLLBACK' then total = reverted + kept + unchanged + unprocessed
         else false end, false)),
     constraint run_counts check (least(rows_read, created, updated, unchanged, skipped, failed, deleted, unprocessed,
                                        reverted, kept, bytes_read, chunks) >= 0),
     constraint run_finished check ((status in ('COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'ROLLING_BACK',
       'ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS', 'EXPIRED')) = (finished_at is not null))
   )`,
  'create index run_by_file on run (tenant_id, source_file_id)',
  'create index run_children on run (tenant_id, parent_run_id) where parent_run_id is not null',
  "create unique index run_rollback on run (tenant_id, of_run_id) where status in ('QUEUED', 'RUNNING', 'PAUSED', 'CANCELING')",
  // Rows that are not plain creations or unchanged: those stand as ranges in run_range.
  `create table run_row (
     tenant_id uuid not null,
     run_id uuid not null,
     row_number bigint not null,
     outcome text not null check (outcome in ('CREATED', 'UPDATED', 'UNCHANGED', 'SKIPPED', 'FAILED', 'DELETED')),
     record_id uuid,
     source_id text,
     byte bigint not null,
     primary key (tenant_id, run_id, row_number)
   )`,
  'create index run_row_outcome on run_row (tenant_id, run_id, outcome, row_number)',
  `create table run_range (
     tenant_id uuid not null,
     run_id uuid not null,
     from_row bigint not null,
     outcome text not null check (outcome in ('CREATED', 'UNCHANGED')),
     rows int8multirange not null,
     row_count bigint not null,
     primary key (tenant_id, run_id, from_row, outcome)
   )`,
  `create table run_issue (
     tenant_id uuid not null,
     run_id uuid not null,
     row_number bigint not null,
     seq smallint not null,
     code text not null,
     severity text not null check (severity in ('ERROR', 'WARNING')),
     column_name text,
     field text,
     value text,
     message text not null,
     suggestion text,
     primary key (tenant_id, run_id, row_number, seq)
   )`,
  `create table run_change (
     tenant_id uuid not null,
     run_id uuid not null,
     record_id uuid not null,
     row_number bigint not null,
     record_type text not null,
     before jsonb not null,
     after jsonb not null,
     before_version int not null,
     after_version int not null,
     at timestamptz not null default now(),
     reverted_at timestamptz,
     primary key (tenant_id, run_id, record_id, row_number)
   )`,
  'create index run_change_row on run_change (tenant_id, run_id, row_number)',
  'create index run_change_record on run_change (tenant_id, record_id)',
  `create table run_conflict (
     tenant_id uuid not null,
     run_id uuid not null,
     record_type text not null,
     record_id uuid not null,
     field text not null default '',
     row_number bigint,
     before text,
     imported text,
     current text,
     message text not null,
     primary key (tenant_id, run_id, record_id, field)
   )`,
  `create table event (
     tenant_id uuid not null,
     sequence bigint not null,
     run_id uuid not null,
     run_kind text not null,
     type text not null check (type in ('RunStatusChanged', 'RunProgressed', 'RowsSettled')),
     at timestamptz not null,
     body jsonb not null,
     primary key (tenant_id, sequence)
   )`,
  'create index event_run on event (tenant_id, run_id, sequence)',
  'create index event_at on event (at)',
  // last: the newest sequence handed out; purged: history up to and including this sequence is gone.
  `create table tenant_sequence (
     tenant_id uuid primary key references tenant (id),
     last bigint not null default 0,
     purged bigint not null default 0
   )`,
  `create table idempotency (
     tenant_id uuid not null references tenant (id),
     key text not null check (length(key) between 1 and 255),
     operation text not null,
     request_hash text not null,
     result jsonb not null,
     created_at timestamptz not null default now(),
     primary key (tenant_id, key)
   )`,
  'create index idempotency_age on idempotency (created_at)',
  // Tells a worker which tenant to become; no row-level security, readable by the worker role only. holder: the advisory
  // lock by which the worker in charge shows that it lives; sent_until: a job is on its way until then.
  `create table run_wakeup (
     run_id uuid primary key,
     tenant_id uuid not null,
     due_at timestamptz not null default now(),
     holder int,
     lease_until timestamptz,
     sent_until timestamptz
   )`,
  'create index run_wakeup_due on run_wakeup (due_at)',
]

function security(): string[] {
  return [
    'alter table tenant enable row level security',
    'alter table tenant force row level security',
    'create policy own on tenant to portage_api using (id = (select current_tenant())) with check (false)',
    // Housekeeping walks all tenants, one transaction each; the names are all that a worker sees of them this way.
    'create policy worker on tenant to portage_worker using (true) with check (false)',
    'create policy operator on tenant to portage_owner using (true) with check (true)',
    ...tenantTables.flatMap((table) => [
      `alter table ${table} enable row level security`,
      `alter table ${table} force row level security`,
      `create policy tenant on ${table} using (tenant_id = (select current_tenant()))
         with check (tenant_id = (select current_tenant()))`,
    ]),
  ]
}

const runFunctions = [
  // The same table as in src/runs/status.ts; a test compares them.
  `create function run_transition() returns trigger language plpgsql as $$
   begin
     if old.status is distinct from new.status and not (old.status || '>' || new.status) = any (array[
       'ANALYZING>AWAITING_MAPPING', 'ANALYZING>PLANNING', 'ANALYZING>QUEUED', 'ANALYZING>CANCELING', 'ANALYZING>CANCELED',
       'ANALYZING>FAILED',
       'AWAITING_MAPPING>ANALYZING', 'AWAITING_MAPPING>PLANNING', 'AWAITING_MAPPING>QUEUED', 'AWAITING_MAPPING>CANCELED',
       'AWAITING_MAPPING>EXPIRED',
       'PLANNING>AWAITING_CONFIRMATION', 'PLANNING>QUEUED', 'PLANNING>CANCELING', 'PLANNING>CANCELED', 'PLANNING>FAILED',
       'AWAITING_CONFIRMATION>AWAITING_MAPPING', 'AWAITING_CONFIRMATION>QUEUED', 'AWAITING_CONFIRMATION>CANCELED',
       'AWAITING_CONFIRMATION>EXPIRED',
       'QUEUED>RUNNING', 'QUEUED>DEFERRED', 'QUEUED>PAUSED', 'QUEUED>CANCELED', 'QUEUED>FAILED',
       'DEFERRED>QUEUED', 'DEFERRED>CANCELED', 'DEFERRED>EXPIRED',
       'RUNNING>PAUSED', 'RUNNING>QUEUED', 'RUNNING>CANCELING', 'RUNNING>COMPLETED', 'RUNNING>COMPLETED_WITH_ERRORS',
       'RUNNING>FAILED',
       'PAUSED>QUEUED', 'PAUSED>CANCELED', 'PAUSED>EXPIRED',
       'CANCELING>CANCELED',
       'COMPLETED>ROLLING_BACK', 'COMPLETED_WITH_ERRORS>ROLLING_BACK', 'FAILED>ROLLING_BACK', 'CANCELED>ROLLING_BACK',
       'ROLLED_BACK_WITH_CONFLICTS>ROLLING_BACK',
       'ROLLING_BACK>ROLLED_BACK', 'ROLLING_BACK>ROLLED_BACK_WITH_CONFLICTS', 'ROLLING_BACK>COMPLETED',
       'ROLLING_BACK>COMPLETED_WITH_ERRORS', 'ROLLING_BACK>FAILED', 'ROLLING_BACK>CANCELED'
     ]) then
       raise exception 'a run cannot go from % to %', old.status, new.status using errcode = 'PT004';
     end if;
     return new;
   end $$`,
  'create trigger run_transition before update of status on run for each row execute function run_transition()',
  // Appends events of one run under the tenant's next sequence numbers and wakes listeners. The row lock on
  // tenant_sequence is held until the commit, so sequences become visible in order and without holes.
  `create function append_events(p_run uuid, p_kind text, p_events jsonb) returns bigint language plpgsql as $$
   declare
     v_tenant uuid := current_tenant();
     v_count int := jsonb_array_length(p_events);
     v_last bigint;
   begin
     update tenant_sequence set last = last + v_count where tenant_id = v_tenant returning last into strict v_last;
     insert into event (tenant_id, sequence, run_id, run_kind, type, at, body)
     select v_tenant, v_last - v_count + e.n, p_run, p_kind, e.value ->> 'type', clock_timestamp(), e.value -> 'body'
     from jsonb_array_elements(p_events) with ordinality as e (value, n);
     perform pg_notify('portage_events', v_tenant || ' ' || v_last);
     return v_last;
   end $$`,
  `create function run_counts(r run) returns jsonb language sql stable as $$
     select jsonb_build_object('total', r.total, 'read', r.rows_read, 'created', r.created, 'updated', r.updated,
       'unchanged', r.unchanged, 'skipped', r.skipped, 'failed', r.failed, 'deleted', r.deleted,
       'unprocessed', r.unprocessed, 'reverted', r.reverted, 'kept', r.kept)
   $$`,
  // Rows that have their outcome: of the first pass none, of an import the sum of outcomes, of a rollback likewise.
  `create function run_settled(r run) returns bigint language sql stable as $$
     select case r.kind when 'ROLLBACK' then r.reverted + r.kept + r.unchanged
       else r.created + r.updated + r.unchanged + r.skipped + r.failed + r.deleted end
   $$`,
  `create function run_progress(r run) returns jsonb language sql stable as $$
     select jsonb_build_object(
       'fraction', case when r.total > 0 then least(1, run_settled(r)::float8 / r.total) when r.total = 0 then 1 end,
       'rowsPerSecond', case when r.running_ms > 0 then round(run_settled(r) * 1000.0 / r.running_ms, 1) end,
       'bytesRead', r.bytes_read, 'bytesTotal', r.bytes_total,
       'etaAt', case when r.status = 'RUNNING' and r.running_ms > 0 and run_settled(r) > 0 and r.total is not null
         then to_char((clock_timestamp() + (r.total - run_settled(r)) * (r.running_ms::float8 / run_settled(r))
              * interval '1 millisecond') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end)
   $$`,
  // The last statement of every chunk transaction: run row, lease, sequence row, events, notification, always in this
  // order. Raises when another worker has taken over (PT002) or a person has stopped the run (PT003).
  `create function settle(p_run uuid, p_token bigint, p_cursor_before jsonb, p_cursor jsonb, p_counts jsonb,
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
     perform append_events(p_run, v_run.kind,
       case when p_settled is null then '[]'::jsonb
         else jsonb_build_array(jsonb_build_object('type', 'RowsSettled', 'body', p_settled)) end
       || jsonb_build_array(jsonb_build_object('type', 'RunProgressed', 'body',
            jsonb_build_object('counts', run_counts(v_run), 'progress', run_progress(v_run)))));
   end $$`,
  `create function wake_run(p_run uuid) returns void language plpgsql as $$
   begin
     insert into run_wakeup (run_id, tenant_id) values (p_run, current_tenant()) on conflict do nothing;
     perform pg_notify('portage_wakeup', '');
   end $$`,
]

const grants = [
  'grant usage on schema portage to portage_api, portage_worker',
  'revoke execute on all functions in schema portage from public',
  'grant execute on all functions in schema portage to portage_api, portage_worker',
  'grant select on tenant to portage_api, portage_worker',
  'grant select, insert, update on member, api_key, source_file, run, tenant_sequence to portage_api, portage_worker',
  'grant select, insert on event, idempotency to portage_api',
  'grant select, insert, delete on event, idempotency to portage_worker',
  'grant select on run_row, run_range, run_issue, run_change, run_conflict to portage_api',
  'grant select, insert, update on run_row, run_range, run_issue, run_change, run_conflict to portage_worker',
  'grant insert on run_wakeup to portage_api',
  'grant select, insert, update, delete on run_wakeup to portage_worker',
]
