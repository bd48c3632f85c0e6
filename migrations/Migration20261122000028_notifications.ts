import { Migration } from '@mikro-orm/migrations'

const tenantTables = ['outbox', 'notification_preference', 'mail', 'webhook', 'webhook_delivery']

/** What people and programs outside are told of, e-mails and webhooks, with how far each has come. */
export class Migration20261122000028_notifications extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security, ...triggers, ...grants]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('drop trigger run_facts on run')
    this.addSql('drop trigger integration_facts on integration')
    this.addSql('drop trigger rows_facts on event')
    this.addSql('drop function announce_run, announce_integration, announce_rows')
    for (const table of tenantTables.toReversed()) {
      this.addSql(`drop table ${table}`)
    }
  }
}

const tables = [
  // One row for each fact, written by the transaction that makes it true. fact: the same text for the same fact. actor: whose
  // doing it is. cursor: how far a fact about many records has been spread; spread_at: it has become mails and deliveries.
  `create table outbox (
     tenant_id uuid not null references tenant (id),
     id uuid not null default uuidv7(),
     fact text not null check (length(fact) between 1 and 300),
     event text not null check (event in ('RUN_STARTED', 'RUN_ACTION_NEEDED', 'RUN_COMPLETED', 'RUN_FAILED', 'RUN_ROLLED_BACK',
       'RECORDS_CHANGED', 'QUOTA_WARNING', 'INTEGRATION_ACTION_NEEDED', 'WEBHOOK_DISABLED')),
     run_id uuid,
     occurrence int not null default 1,
     actor text,
     data jsonb not null,
     cursor jsonb,
     created_at timestamptz not null default now(),
     spread_at timestamptz,
     primary key (tenant_id, id),
     unique (tenant_id, fact)
   )`,
  'create index outbox_due on outbox (id) where spread_at is null',
  'create index outbox_run on outbox (tenant_id, run_id, event, occurrence desc) where run_id is not null',
  'create index outbox_age on outbox (tenant_id, created_at)',
  // actor: an e-mail address in lower case; empty: the tenant itself.
  `create table notification_preference (
     tenant_id uuid not null references tenant (id),
     actor text not null,
     events text[] not null,
     updated_at timestamptz not null default now(),
     primary key (tenant_id, actor)
   )`,
  // One row for each fact and receiver. next_attempt_at null: nothing more will be tried. holder, lease_until: the worker that is
  // sending it.
  `create table mail (
     tenant_id uuid not null references tenant (id),
     id uuid not null default uuidv7(),
     outbox_id uuid not null,
     receiver text not null,
     attempts int not null default 0,
     next_attempt_at timestamptz default now(),
     sent_at timestamptz,
     error text,
     holder int,
     lease_until timestamptz,
     primary key (tenant_id, id),
     unique (tenant_id, outbox_id, receiver),
     foreign key (tenant_id, outbox_id) references outbox (tenant_id, id) on delete cascade
   )`,
  'create index mail_due on mail (next_attempt_at) where next_attempt_at is not null',
  // secret and previous_secret are sealed; the previous one signs besides until previous_until. failing_since: no delivery has
  // arrived since; disabled_at: nothing is sent until somebody saves it again.
  `create table webhook (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     url text not null,
     events text[] not null,
     secret text not null,
     previous_secret text,
     previous_until timestamptz,
     created_by text not null,
     created_at timestamptz not null default now(),
     updated_at timestamptz not null default now(),
     failing_since timestamptz,
     disabled_at timestamptz,
     primary key (tenant_id, id),
     check ((previous_secret is null) = (previous_until is null))
   )`,
  // body: what is sent, byte by byte, at each attempt. step: attempts since it was made or replayed last.
  `create table webhook_delivery (
     tenant_id uuid not null references tenant (id),
     id uuid not null default uuidv7(),
     webhook_id uuid not null,
     outbox_id uuid not null,
     part int not null default 0,
     event text not null,
     run_id uuid,
     body text not null,
     created_at timestamptz not null default now(),
     attempts int not null default 0,
     step int not null default 0,
     attempted_at timestamptz,
     status int,
     error text,
     succeeded_at timestamptz,
     next_attempt_at timestamptz default now(),
     holder int,
     lease_until timestamptz,
     primary key (tenant_id, id),
     unique (tenant_id, webhook_id, outbox_id, part),
     foreign key (tenant_id, webhook_id) references webhook (tenant_id, id) on delete cascade
   )`,
  'create index webhook_delivery_due on webhook_delivery (next_attempt_at) where next_attempt_at is not null',
  'create index webhook_delivery_list on webhook_delivery (tenant_id, webhook_id, id desc)',
  'create index webhook_delivery_age on webhook_delivery (tenant_id, created_at)',
]

const own = 'using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))'

const security = [
  ...tenantTables.flatMap((table) => [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
  ]),
  ...['notification_preference', 'webhook'].map((table) => `create policy tenant on ${table} ${own}`),
  ...['outbox', 'mail', 'webhook_delivery'].flatMap((table) => [
    `create policy tenant on ${table} to portage_api, portage_owner ${own}`,
    // A worker has to find out which tenants have something to be sent.
    `create policy worker on ${table} to portage_worker using (true) with check (tenant_id = (select current_tenant()))`,
  ]),
]

const triggers = [
  // In the transaction that moves the run, whoever moves it and however. Parts of a bundle or a migration are announced by the
  // run that they are parts of. The run's row is locked, so no two transactions count its facts at once.
  `create function announce_run() returns trigger language plpgsql as $$
   declare
     v_whole run;
     v_event text := case
       when new.status = 'RUNNING' then 'RUN_STARTED'
       when new.status in ('AWAITING_MAPPING', 'AWAITING_CONFIRMATION') then 'RUN_ACTION_NEEDED'
       when new.status = 'PAUSED' and new.status_reason ->> 'code' = 'INTEGRATION_NOT_CONNECTED' then 'RUN_ACTION_NEEDED'
       when new.status in ('COMPLETED', 'COMPLETED_WITH_ERRORS') and old.status = 'RUNNING' then 'RUN_COMPLETED'
       when new.status = 'FAILED' and old.status <> 'ROLLING_BACK' then 'RUN_FAILED'
       when new.status in ('ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS') then 'RUN_ROLLED_BACK' end;
     v_occurrence int := 1;
   begin
     if new.kind = 'IMPORT' and v_event = 'RUN_COMPLETED' then
       perform announce_rows_of(new, 'rows ' || new.id || ' behind all',
         jsonb_build_object('fromRow', 9007199254740991, 'toRow', 9007199254740991));
     elsif new.kind = 'ROLLBACK' and new.finished_at is not null and old.finished_at is null and new.reverted > 0 then
       select * into v_whole from run where tenant_id = new.tenant_id and id = new.of_run_id;
       if v_whole.kind = 'IMPORT' then
         perform announce_rows_of(v_whole, 'undone ' || new.id, jsonb_build_object('undoneBy', new.id));
       end if;
     end if;
     if v_event is null or new.bundle_run_id is not null or new.migration_run_id is not null then
       return null;
     end if;
     if new.kind = 'ROLLBACK' and exists (
       select from run p join run u on u.tenant_id = p.tenant_id and u.of_run_id = coalesce(p.bundle_run_id, p.migration_run_id)
         and u.kind = 'ROLLBACK' and u.finished_at is null
       where p.tenant_id = new.tenant_id and p.id = new.of_run_id) then
       return null;
     end if;
     if v_event <> 'RUN_STARTED' then
       select coalesce(max(occurrence), 0) + 1 into v_occurrence from outbox
       where tenant_id = new.tenant_id and run_id = new.id and event = v_event;
     end if;
     insert into outbox (tenant_id, fact, event, run_id, occurrence, actor, data)
     values (new.tenant_id, concat_ws(' ', 'run', new.id, v_event, v_occurrence), v_event, new.id, v_occurrence, new.created_by,
       jsonb_build_object('kind', new.kind, 'status', new.status, 'reason', new.status_reason ->> 'code',
         'recordType', new.record_type, 'sourceFileId', new.source_file_id, 'ofRunId', new.of_run_id,
         'createdBy', new.created_by, 'createdAt', new.created_at, 'startedAt', new.started_at, 'finishedAt', new.finished_at,
         'counts', run_counts(new)))
     on conflict (tenant_id, fact) do nothing;
     return null;
   end $$`,
  // What a chunk, the end of an import, or a rollback did to records: a row of the outbox if somebody wants to be told of it and
  // the import does not forbid it. Which records they are is looked up when it is spread.
  `create function announce_rows_of(p_run run, p_fact text, p_data jsonb) returns void language plpgsql as $$
   begin
     if exists (select from webhook where tenant_id = p_run.tenant_id and disabled_at is null and 'RECORDS_CHANGED' = any (events))
       and p_run.options ->> 'sideEffects' is distinct from 'NONE' then
       insert into outbox (tenant_id, fact, event, run_id, actor, data)
       values (p_run.tenant_id, p_fact, 'RECORDS_CHANGED', p_run.id, p_run.created_by, p_data)
       on conflict (tenant_id, fact) do nothing;
     end if;
   end $$`,
  `create function announce_rows() returns trigger language plpgsql as $$
   declare
     v_run run;
   begin
     if coalesce((new.body #>> '{counts,created}')::bigint, 0) + coalesce((new.body #>> '{counts,updated}')::bigint, 0)
       + coalesce((new.body #>> '{counts,deleted}')::bigint, 0) > 0
       and exists (select from webhook where tenant_id = new.tenant_id and disabled_at is null and 'RECORDS_CHANGED' = any (events)) then
       select * into v_run from run where tenant_id = new.tenant_id and id = new.run_id;
       perform announce_rows_of(v_run, concat_ws(' ', 'rows', new.run_id, new.body ->> 'fromRow'),
         jsonb_build_object('fromRow', new.body -> 'fromRow', 'toRow', new.body -> 'toRow'));
     end if;
     return null;
   end $$`,
  `create function announce_integration() returns trigger language plpgsql as $$
   begin
     insert into outbox (tenant_id, fact, event, actor, data)
     values (new.tenant_id, concat_ws(' ', 'integration', new.id, 'version', new.token_version), 'INTEGRATION_ACTION_NEEDED', new.created_by,
       jsonb_build_object('integrationId', new.id, 'system', new.system))
     on conflict (tenant_id, fact) do nothing;
     return null;
   end $$`,
  'revoke execute on function announce_run, announce_rows_of, announce_rows, announce_integration from public',
  'grant execute on function announce_run, announce_rows_of, announce_rows, announce_integration to portage_api, portage_worker',
  `create trigger run_facts after update of status on run for each row when (old.status is distinct from new.status)
     execute function announce_run()`,
  `create trigger rows_facts after insert on event for each row when (new.type = 'RowsSettled') execute function announce_rows()`,
  `create trigger integration_facts after update of status on integration for each row
     when (old.status is distinct from new.status and new.status = 'REAUTHORIZATION_REQUIRED') execute function announce_integration()`,
]

const grants = [
  'grant select, insert on outbox to portage_api, portage_worker',
  'grant update (cursor, spread_at), delete on outbox to portage_worker',
  'grant select, insert, update on notification_preference to portage_api',
  'grant select on notification_preference to portage_worker',
  'grant select, insert, update, delete on mail to portage_worker',
  'grant select, insert, update, delete on webhook to portage_api',
  'grant select, update (failing_since, disabled_at, previous_secret, previous_until) on webhook to portage_worker',
  'grant select on webhook_delivery to portage_api',
  'grant update (step, next_attempt_at, error) on webhook_delivery to portage_api',
  'grant select, insert, update, delete on webhook_delivery to portage_worker',
]
