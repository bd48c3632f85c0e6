import { Migration } from '@mikro-orm/migrations'

const tenantTables = ['audit_entry', 'audit_pending', 'audit_seal', 'audit_head']

/** The audit: what was done, by whom and from where; the chain that seals it; and signed heads of that chain. */
export class Migration20261122000026_audit extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security, ...grants, ...functions]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('drop trigger run_audit on run')
    this.addSql('drop function audit_run()')
    for (const table of tenantTables) {
      this.addSql(`drop table ${table}`)
    }
    this.addSql('drop function audit_queue()')
    this.addSql('drop function audit_keep()')
  }
}

const tables = [
  // at: to the millisecond, as the API shows it, because the chain is over what can be seen. detail: names and ids, all
  // of them text; never the value of a field.
  `create table audit_entry (
     tenant_id uuid not null references tenant (id),
     id uuid not null default uuidv7(),
     at timestamptz(3) not null default clock_timestamp(),
     actor text not null,
     action text not null,
     target text,
     outcome text not null check (outcome in ('OK', 'REFUSED', 'DENIED', 'FAILED')),
     detail jsonb not null default '{}' check (jsonb_typeof(detail) = 'object'),
     ip text,
     user_agent text,
     request_id text,
     primary key (tenant_id, id)
   )`,
  'create index audit_entry_actor on audit_entry (tenant_id, actor, id)',
  'create index audit_entry_action on audit_entry (tenant_id, action, id)',
  // Entries that wait for their seal. Entries themselves never change, and an order of ids would miss what commits late.
  `create table audit_pending (
     tenant_id uuid not null,
     entry_id uuid not null,
     primary key (tenant_id, entry_id)
   )`,
  // One link of the chain: hash is over the tenant, the sequence, previous_hash and the bytes of the entry.
  `create table audit_seal (
     tenant_id uuid not null,
     sequence bigint not null check (sequence > 0),
     entry_id uuid not null,
     previous_hash bytea not null check (length(previous_hash) = 32),
     hash bytea not null check (length(hash) = 32),
     primary key (tenant_id, sequence),
     unique (tenant_id, entry_id)
   )`,
  `create table audit_head (
     tenant_id uuid not null,
     sequence bigint not null,
     hash bytea not null check (length(hash) = 32),
     key_id text not null,
     signature bytea not null,
     signed_at timestamptz(3) not null,
     primary key (tenant_id, sequence)
   )`,
]

const security = [
  ...tenantTables.flatMap((table) => [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
    `create policy tenant on ${table} using (tenant_id = (select current_tenant()))
       with check (tenant_id = (select current_tenant()))`,
  ]),
  // A worker has to find out which tenants have something to seal.
  'create policy worker on audit_pending to portage_worker using (true) with check (tenant_id = (select current_tenant()))',
]

const grants = [
  'grant select, insert on audit_entry to portage_api, portage_worker',
  'grant insert on audit_pending to portage_api',
  'grant select, insert, delete on audit_pending to portage_worker',
  'grant select on audit_pending to portage_api',
  'grant select on audit_seal, audit_head to portage_api',
  'grant select, insert on audit_seal, audit_head to portage_worker',
]

const functions = [
  // Grants keep the service's roles from changing what was written; this keeps the owner from it. Only a tenant that is
  // being erased takes its entries along.
  `create function audit_keep() returns trigger language plpgsql as $$
   begin
     if tg_op = 'DELETE' and exists (select from tenant t where t.id = old.tenant_id and t.erasing_at is not null) then
       return old;
     end if;
     raise exception 'entries of the audit stay as they were written' using errcode = '42501';
   end $$`,
  ...['audit_entry', 'audit_seal', 'audit_head'].flatMap((table) => [
    `create trigger ${table}_keep before update or delete on ${table} for each row execute function audit_keep()`,
    `create trigger ${table}_whole before truncate on ${table} for each statement execute function audit_keep()`,
  ]),
  `create function audit_queue() returns trigger language plpgsql as $$
   begin
     insert into audit_pending (tenant_id, entry_id) values (new.tenant_id, new.id);
     return null;
   end $$`,
  'create trigger audit_entry_queue after insert on audit_entry for each row execute function audit_queue()',
  // Whoever changes the status of a run leaves an entry: there is no other way to change one. app.audit tells who asked,
  // where somebody did.
  `create function audit_run() returns trigger language plpgsql as $$
   declare
     v_caller jsonb := nullif(current_setting('app.audit', true), '')::jsonb;
     v_detail jsonb;
   begin
     if tg_op = 'UPDATE' and new.status = old.status then
       return null;
     end if;
     v_detail := jsonb_build_object('kind', new.kind, 'to', new.status)
       || case when tg_op = 'UPDATE' then jsonb_build_object('from', old.status) else '{}' end
       || case when new.status_reason ->> 'code' is null or (tg_op = 'UPDATE' and new.status_reason is not distinct from old.status_reason)
            then '{}' else jsonb_build_object('reason', new.status_reason ->> 'code') end
       || case when v_caller ->> 'key' is null then '{}' else jsonb_build_object('key', v_caller ->> 'key') end;
     insert into audit_entry (tenant_id, actor, action, target, outcome, detail, ip, user_agent, request_id)
     values (new.tenant_id, coalesce(v_caller ->> 'actor', 'portage'), 'run.status', new.id::text, 'OK', v_detail,
       v_caller ->> 'ip', v_caller ->> 'userAgent', v_caller ->> 'requestId');
     return null;
   end $$`,
  'create trigger run_audit after insert or update of status on run for each row execute function audit_run()',
]
