import { Migration } from '@mikro-orm/migrations'

const tenantTables = ['quota_ledger', 'quota_entry']

/**
 * What a tenant may use: plans, and a ledger of what is used and reserved. One conditional statement reserves, so that no two
 * requests get the same rest. What a run reserves comes back by triggers, whatever road it leaves its status by.
 */
export class Migration20261122000027_quotas extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security, ...functions, ...triggers, ...grants, standing]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('drop trigger quota_run on run')
    this.addSql('drop trigger quota_file on source_file')
    this.addSql('drop trigger quota_file on run_file')
    this.addSql('drop trigger quota_session on upload_session')
    this.addSql('drop function quota_run, quota_source_file, quota_run_file, quota_session, quota_store')
    this.addSql(
      'drop function quota_release, quota_spend, quota_reserve, quota_warn, quota_limit, quota_period, wake_deferred',
    )
    this.addSql('drop index run_deferred')
    this.addSql('alter table tenant drop column plan, drop column quota_overrides')
    for (const table of [...tenantTables, 'quota_plan']) {
      this.addSql(`drop table ${table}`)
    }
  }
}

/** As generous as a machine of one customer needs it: more stands in the way of nobody. */
const standard = {
  uploadBytesPerDay: 1024 ** 4,
  rowsPerDay: 1_000_000_000,
  runningRuns: 20,
  queuedRuns: 1_000,
  storageBytes: 4 * 1024 ** 4,
  crmCallsPerDay: 100_000_000,
  operationsPerMinute: 60_000,
  actorOperationsPerMinute: 30_000,
}

const small = {
  uploadBytesPerDay: 1024 ** 3,
  rowsPerDay: 100_000,
  runningRuns: 2,
  queuedRuns: 20,
  storageBytes: 5 * 1024 ** 3,
  crmCallsPerDay: 50_000,
  operationsPerMinute: 1_200,
  actorOperationsPerMinute: 600,
}

const tables = [
  // The same for all tenants; the operator makes and changes them. limits: by name of quota; one that is absent has no limit.
  `create table quota_plan (
     name text primary key check (name ~ '^[a-z][a-z0-9-]{0,59}$'),
     limits jsonb not null
   )`,
  `insert into quota_plan (name, limits) values ('standard', '${JSON.stringify(standard)}'), ('small', '${JSON.stringify(small)}')`,
  `alter table tenant add column plan text not null default 'standard' references quota_plan (name),
     add column quota_overrides jsonb not null default '{}'`,
  // period: the day, in UTC; of what does not begin anew each day, the epoch.
  `create table quota_ledger (
     tenant_id uuid not null references tenant (id),
     name text not null,
     period date not null,
     used bigint not null default 0 check (used >= 0),
     reserved bigint not null default 0 check (reserved >= 0),
     primary key (tenant_id, name, period)
   )`,
  // Whose reservations those are. subject: a run or an upload. reserved: all that it ever reserved, of which used and released
  // are parts; the ledger has the rest. expires_at: from then on nobody comes for the rest.
  `create table quota_entry (
     tenant_id uuid not null references tenant (id),
     subject uuid not null,
     name text not null,
     period date not null,
     reserved bigint not null default 0,
     used bigint not null default 0,
     released bigint not null default 0,
     expires_at timestamptz,
     at timestamptz not null default now(),
     primary key (tenant_id, subject, name, period),
     check (least(reserved - used - released, used, released) >= 0)
   )`,
  'create index quota_entry_open on quota_entry (tenant_id, expires_at) where reserved > used + released and expires_at is not null',
  'create index quota_entry_age on quota_entry (tenant_id, at)',
  "create index run_deferred on run (tenant_id, queued_at) where status = 'DEFERRED'",
]

const security = [
  'alter table quota_plan enable row level security',
  'alter table quota_plan force row level security',
  'create policy everybody on quota_plan to portage_api, portage_worker using (true) with check (false)',
  'create policy operator on quota_plan to portage_owner using (true) with check (true)',
  ...tenantTables.flatMap((table) => [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
    `create policy tenant on ${table} using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
  ]),
]

const functions = [
  `create function quota_period(p_name text) returns date language sql stable as $$
     select case when p_name like '%PerDay' then (clock_timestamp() at time zone 'UTC')::date else date 'epoch' end
   $$`,
  // What the tenant's own limit is, else its plan's; the largest number that all clients can hold where neither says any.
  `create function quota_limit(p_name text) returns bigint language sql stable as $$
     select coalesce((t.quota_overrides ->> p_name)::bigint, (p.limits ->> p_name)::bigint, 9007199254740991)
     from tenant t join quota_plan p on p.name = t.plan where t.id = current_tenant()
   $$`,
  // Reserves for a subject, all of it or nothing. p_force: whatever the limit says, for what must not be refused. The warning is
  // the fact that src/runs/outbox.ts (warnOfQuota) would write: once for each day.
  `create function quota_reserve(p_name text, p_amount bigint, p_subject uuid, p_expires timestamptz, p_force boolean,
                                 out granted boolean, out taken bigint, out most bigint) language plpgsql as $$
   declare
     v_tenant uuid := current_tenant();
     v_period date := quota_period(p_name);
     v_row quota_ledger;
   begin
     most := quota_limit(p_name);
     insert into quota_ledger as q (tenant_id, name, period, reserved)
     select v_tenant, p_name, v_period, p_amount where p_force or p_amount <= most
     on conflict (tenant_id, name, period) do update set reserved = q.reserved + excluded.reserved
       where p_force or q.used + q.reserved + excluded.reserved <= most
     returning * into v_row;
     granted := found;
     if not granted then
       select q.used + q.reserved into taken from quota_ledger q where q.tenant_id = v_tenant and q.name = p_name and q.period = v_period;
       taken := coalesce(taken, 0);
       return;
     end if;
     taken := v_row.used + v_row.reserved;
     insert into quota_entry as e (tenant_id, subject, name, period, reserved, expires_at)
     values (v_tenant, p_subject, p_name, v_period, p_amount, p_expires)
     on conflict (tenant_id, subject, name, period) do update set reserved = e.reserved + excluded.reserved, expires_at = excluded.expires_at;
     perform quota_warn(p_name, taken - p_amount, taken, most);
   end $$`,
  `create function quota_warn(p_name text, p_before bigint, p_taken bigint, p_most bigint) returns void language plpgsql as $$
   declare
     v_day date := (clock_timestamp() at time zone 'UTC')::date;
   begin
     if p_taken < 0.8 * p_most or p_before >= 0.8 * p_most or not (p_name like '%PerDay' or p_name = 'storageBytes') then
       return;
     end if;
     insert into outbox (tenant_id, fact, event, data)
     values (current_tenant(), concat_ws(' ', 'quota', p_name, v_day, '80%'), 'QUOTA_WARNING', jsonb_build_object('quota', p_name,
       'used', p_taken, 'limit', p_most, 'unit', case when p_name like '%ytes%' then 'bytes' when p_name like 'rows%' then 'rows' else 'calls' end,
       'resetsAt', case when p_name like '%PerDay' then to_char(v_day + 1, 'YYYY-MM-DD"T00:00:00.000Z"') end))
     on conflict (tenant_id, fact) do nothing;
   end $$`,
  // Says that of what a subject has reserved so much is used; what it had not reserved counts as well.
  `create function quota_spend(p_name text, p_amount bigint, p_subject uuid) returns void language plpgsql as $$
   declare
     v_tenant uuid := current_tenant();
     v_period date;
     v_open bigint;
   begin
     if p_amount <= 0 then
       return;
     end if;
     select period, reserved - used - released into v_period, v_open from quota_entry
     where tenant_id = v_tenant and subject = p_subject and name = p_name order by period desc limit 1 for update;
     v_open := least(coalesce(v_open, 0), p_amount);
     if v_open = 0 then
       v_period := quota_period(p_name);
     end if;
     insert into quota_entry as e (tenant_id, subject, name, period, reserved, used)
     values (v_tenant, p_subject, p_name, v_period, p_amount, p_amount)
     on conflict (tenant_id, subject, name, period) do update set reserved = e.reserved + p_amount - v_open, used = e.used + p_amount;
     insert into quota_ledger as q (tenant_id, name, period, used) values (v_tenant, p_name, v_period, p_amount)
     on conflict (tenant_id, name, period) do update set used = q.used + p_amount, reserved = q.reserved - v_open;
   end $$`,
  // Gives back what a subject has reserved and not used. Answers how much that was.
  `create function quota_release(p_name text, p_subject uuid) returns bigint language sql as $$
     with gone as (
       update quota_entry e set released = e.reserved - e.used
       where e.tenant_id = current_tenant() and e.subject = p_subject and e.name = p_name and e.reserved > e.used + e.released
       returning e.period, new.released - old.released as rest),
     back as (
       update quota_ledger q set reserved = q.reserved - g.rest from gone g
       where q.tenant_id = current_tenant() and q.name = p_name and q.period = g.period)
     select coalesce(sum(rest), 0)::bigint from gone
   $$`,
  // Room may be there again: the run that waits longest for each reason is told to look.
  `create function wake_deferred() returns void language plpgsql as $$
   declare
     v_run uuid;
   begin
     for v_run in
       select distinct on (status_reason ->> 'quota') id from run
       where tenant_id = current_tenant() and status = 'DEFERRED' order by status_reason ->> 'quota', queued_at, id
     loop
       perform pg_notify('portage_wakeup', v_run::text);
     end loop;
   end $$`,
  // What is in the store for a tenant, as it comes and goes.
  `create function quota_store(p_amount bigint) returns void language plpgsql as $$
   declare
     v_used bigint;
   begin
     insert into quota_ledger as q (tenant_id, name, period, used) values (current_tenant(), 'storageBytes', date 'epoch', greatest(0, p_amount))
     on conflict (tenant_id, name, period) do update set used = greatest(0, q.used + p_amount) returning used into v_used;
     perform quota_warn('storageBytes', v_used - p_amount, v_used, quota_limit('storageBytes'));
   end $$`,
]

/** A run with one of these waits for a worker. */
const waiting = `('ANALYZING', 'PLANNING', 'QUEUED', 'DEFERRED')`

/** A superuser who mends something by hand belongs to no tenant, and changes no ledger. */
const nobody = `if coalesce(current_setting('app.tenant_id', true), '') = '' then return null; end if;`

const triggers = [
  // Parts of bundles and migrations belong to the run that they are parts of; their rows count. Who creates a run asks for room
  // (src/access/quotas.ts), and so does who starts it; a rollback is never refused.
  `create function quota_run() returns trigger language plpgsql as $$
   declare
     v_part boolean := new.bundle_run_id is not null or new.migration_run_id is not null;
     v_back bigint := 0;
   begin
     ${nobody}
     if tg_op = 'INSERT' then
       if new.kind = 'ROLLBACK' then
         perform quota_reserve('queuedRuns', 1, new.id, null, true);
       end if;
       return null;
     end if;
     if new.kind = 'IMPORT' then
       perform quota_spend('rowsPerDay', run_settled(new) - run_settled(old), new.id);
     end if;
     if new.status = old.status then
       return null;
     end if;
     if not v_part and old.status in ${waiting} and new.status not in ${waiting} then
       perform quota_release('queuedRuns', new.id);
     elsif not v_part and new.status in ${waiting} and old.status not in ${waiting} then
       perform quota_reserve('queuedRuns', 1, new.id, null, true);
     end if;
     if old.status = 'RUNNING' then
       v_back := quota_release('runningRuns', new.id) + quota_release('rowsPerDay', new.id);
       if v_back > 0 then
         perform wake_deferred();
       end if;
     end if;
     return null;
   end $$`,
  `create trigger quota_run after insert or update of status, created, updated, unchanged, skipped, failed, deleted on run
     for each row execute function quota_run()`,
  `create function quota_source_file() returns trigger language plpgsql as $$
   begin
     ${nobody}
     if tg_op = 'INSERT' then
       perform quota_store(new.byte_size);
     elsif new.purged_at is not null and old.purged_at is null then
       perform quota_store(-new.byte_size);
     end if;
     return null;
   end $$`,
  'create trigger quota_file after insert or update of purged_at on source_file for each row execute function quota_source_file()',
  `create function quota_run_file() returns trigger language plpgsql as $$
   begin
     ${nobody}
     perform quota_store(case when tg_op = 'DELETE' then 0 else new.byte_size end - case when tg_op = 'INSERT' then 0 else old.byte_size end);
     return null;
   end $$`,
  // Not of a tenant that is being erased, whose ledger goes too.
  `create trigger quota_file after insert or update of byte_size or delete on run_file for each row
     when (current_user <> 'portage_owner') execute function quota_run_file()`,
  // An upload in several requests reserves at its beginning; here is its end.
  `create function quota_session() returns trigger language plpgsql as $$
   begin
     ${nobody}
     if new.file_id is not null and old.file_id is null then
       perform quota_spend('uploadBytesPerDay', new.byte_size, new.id);
       perform quota_release('storageBytes', new.id);
     elsif new.expires_at = '-infinity' and old.expires_at <> '-infinity' then
       perform quota_release('uploadBytesPerDay', new.id), quota_release('storageBytes', new.id);
     end if;
     return null;
   end $$`,
  'create trigger quota_session after update of file_id, expires_at on upload_session for each row execute function quota_session()',
]

const names = [
  'quota_period(text)',
  'quota_limit(text)',
  'quota_reserve(text, bigint, uuid, timestamptz, boolean)',
  'quota_warn(text, bigint, bigint, bigint)',
  'quota_spend(text, bigint, uuid)',
  'quota_release(text, uuid)',
  'wake_deferred()',
  'quota_store(bigint)',
  'quota_run()',
  'quota_source_file()',
  'quota_run_file()',
  'quota_session()',
].join(', ')

const grants = [
  `revoke execute on function ${names} from public`,
  `grant execute on function ${names} to portage_api, portage_worker`,
  'grant select on quota_plan to portage_api, portage_worker',
  'grant select, insert, update on quota_ledger, quota_entry to portage_api',
  'grant select, insert, update, delete on quota_ledger, quota_entry to portage_worker',
]

/** What is in the store already, and the runs that wait. Row-level security asks for the tenant, of the owner too. */
const standing = `do $$
  declare
    v_tenant uuid;
  begin
    for v_tenant in select id from tenant loop
      perform set_config('app.tenant_id', v_tenant::text, true);
      insert into quota_ledger (tenant_id, name, period, used)
      select v_tenant, 'storageBytes', date 'epoch',
        (select coalesce(sum(byte_size), 0) from source_file where tenant_id = v_tenant and purged_at is null)
        + (select coalesce(sum(byte_size), 0) from run_file where tenant_id = v_tenant);
      perform quota_reserve('queuedRuns', 1, id, null, true) from run
      where tenant_id = v_tenant and status in ${waiting} and bundle_run_id is null and migration_run_id is null;
    end loop;
    perform set_config('app.tenant_id', '', true);
  end $$`
