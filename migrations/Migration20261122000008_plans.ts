import { Migration } from '@mikro-orm/migrations'

const planTables = ['plan_row', 'plan_range', 'plan_issue', 'plan_chunk']

/**
 * Plans of imports: what a rehearsal of the whole file came to, row by row, and the records (with their versions) that it
 * met, which the run looks at again. Plain creations stand in ranges, with where to read them again.
 */
export class Migration20261122000008_plans extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security(), ...transition]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql(`drop table ${planTables.join(', ')}`)
    this.addSql(
      'alter table run drop column plan_hash, drop column plan_counts, drop column planned_at, drop column plan_rules',
    )
  }
}

const tables = [
  // plan_hash stands from the end of the rehearsal until mapping or options change; a run with one is bound by it.
  'alter table run add column plan_hash text, add column plan_counts jsonb, add column planned_at timestamptz, add column plan_rules text',
  // made_by_row: the row whose record, not made yet, this row means; then there is no record_id.
  `create table plan_row (
     tenant_id uuid not null,
     run_id uuid not null,
     row_number bigint not null,
     outcome text not null check (outcome in ('CREATED', 'UPDATED', 'UNCHANGED', 'SKIPPED', 'FAILED', 'DELETED')),
     record_id uuid,
     made_by_row bigint,
     source_id text,
     byte bigint not null,
     before jsonb,
     after jsonb,
     primary key (tenant_id, run_id, row_number)
   )`,
  'create index plan_row_outcome on plan_row (tenant_id, run_id, outcome, row_number)',
  `create table plan_range (
     tenant_id uuid not null,
     run_id uuid not null,
     from_row bigint not null,
     outcome text not null check (outcome in ('CREATED', 'UNCHANGED')),
     rows int8multirange not null,
     row_count bigint not null,
     primary key (tenant_id, run_id, from_row, outcome)
   )`,
  // decided: found by the database and not by reading, so the run takes it over instead of finding it again.
  `create table plan_issue (
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
     decided boolean not null,
     primary key (tenant_id, run_id, row_number, seq)
   )`,
  // Of each stretch of the file: where it can be read again from, and the rows that met a record, with its version: -1 is a
  // record that an earlier row makes, -2 more than one record.
  `create table plan_chunk (
     tenant_id uuid not null,
     run_id uuid not null,
     from_row bigint not null,
     to_row bigint not null,
     byte bigint not null,
     row_numbers bigint[] not null,
     record_ids uuid[] not null,
     versions int[] not null,
     primary key (tenant_id, run_id, from_row)
   )`,
]

function security(): string[] {
  return planTables.flatMap((table) => [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
    `create policy tenant on ${table} using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
    `grant select on ${table} to portage_api`,
    `grant select, insert, delete on ${table} to portage_worker`,
  ])
}

const transition = [
  // A plan can be made anew while it waits to be confirmed: the records may have changed meanwhile.
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
