import { Migration } from '@mikro-orm/migrations'

/**
 * Moving in from another CRM: a run of its own that reads objects of the service page by page, makes files of rows of them,
 * and drives an ordinary import for each.
 */
export class Migration20261122000021_migrations extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...run, ...tables, ...security, ...functions, ...grants]) {
      this.addSql(statement)
    }
  }
}

const run = [
  'alter table run drop constraint run_kind_check',
  `alter table run add constraint run_kind_check
     check (kind in ('IMPORT', 'ROLLBACK', 'EXPORT', 'BUNDLE_EXPORT', 'BUNDLE_IMPORT', 'MIGRATION'))`,
  'alter table run drop constraint run_kind_fields',
  `alter table run add constraint run_kind_fields check (case kind
     when 'IMPORT' then record_type is not null and source_file_id is not null and options is not null
     when 'ROLLBACK' then of_run_id is not null and on_conflict is not null
     when 'EXPORT' then record_type is not null
     when 'BUNDLE_EXPORT' then true
     when 'BUNDLE_IMPORT' then source_file_id is not null and options is not null
     when 'MIGRATION' then options is not null
     else false end)`,
  'alter table run drop constraint run_conservation',
  // What a migration brought is the sum of its imports.
  `alter table run add constraint run_conservation check (
     status not in ('COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'ROLLING_BACK', 'ROLLED_BACK',
                    'ROLLED_BACK_WITH_CONFLICTS', 'EXPIRED')
     or coalesce(case
       when kind in ('IMPORT', 'BUNDLE_IMPORT', 'MIGRATION')
         then total = created + updated + unchanged + skipped + failed + deleted + unprocessed
       when kind = 'ROLLBACK' then total = reverted + kept + unchanged + unprocessed
       when kind in ('EXPORT', 'BUNDLE_EXPORT')
         then total = rows_read + unprocessed and (status <> 'COMPLETED' or unprocessed = 0)
           and status not in ('COMPLETED_WITH_ERRORS', 'ROLLING_BACK', 'ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS')
       else false end, false))`,
  // resume_at: when a planned pause ends; null where a person resumes the run.
  'alter table run add column resume_at timestamptz',
  // migration_run_id: the migration that an import belongs to, which decides when it is planned and when it starts.
  `alter table run add column migration_run_id uuid,
     add constraint run_of_migration foreign key (tenant_id, migration_run_id) references run (tenant_id, id) not valid`,
  'create index run_of_migration_run on run (tenant_id, migration_run_id) where migration_run_id is not null',
]

const tables = [
  `create table run_migration (
     tenant_id uuid not null,
     run_id uuid not null,
     integration_id uuid not null,
     stage text not null check (stage in ('DRAFT', 'DISCOVERING', 'AWAITING_MAPPING', 'EXTRACTING', 'STAGING',
       'AWAITING_REVIEW', 'PROMOTING', 'VERIFYING', 'READY_FOR_DELTA', 'COMPLETED')),
     -- What was asked for last.
     goal text not null check (goal in ('DISCOVER', 'STAGE', 'PROMOTE', 'VERIFY', 'DELTA')),
     options jsonb not null,
     -- Who the integration is at the service, e.g. {"id": "00D5...", "name": "Acme"}; null before the first look.
     account jsonb,
     -- 0 is the first one, which reads everything; each later one reads what changed since.
     pass int not null default 0,
     -- Where the window of the pass in hand ends: fixed when it starts, by the clock of the service.
     window_until timestamptz,
     schedule text,
     time_zone text,
     next_due_at timestamptz,
     -- The newest proof; null before there is one.
     verification jsonb,
     primary key (tenant_id, run_id),
     foreign key (tenant_id, run_id) references run (tenant_id, id),
     foreign key (tenant_id, integration_id) references integration (tenant_id, id),
     check ((schedule is null) = (next_due_at is null))
   )`,
  'create index run_migration_by_integration on run_migration (tenant_id, integration_id)',
  `create table migration_object (
     tenant_id uuid not null,
     run_id uuid not null,
     object text not null,
     position int not null,
     record_type text not null check (record_type in ('contact', 'lead', 'property', 'activity')),
     -- Null before anybody has seen the object's fields. given: a person has said it, so that no suggestion replaces it.
     mapping jsonb,
     given boolean not null default false,
     sample_size int check (sample_size > 0),
     filter text,
     -- The object as the service described it when the mapping was made.
     descriptor jsonb,
     conflicts jsonb not null default '[]',
     -- What the service describes otherwise today.
     drift jsonb not null default '[]',
     -- Records the service says there are; null for unknown.
     expected bigint,
     -- Different records read in the pass in hand.
     extracted bigint not null default 0,
     -- Where reading goes on; null at the beginning.
     state jsonb,
     -- The newest pass that was read to its end; null for none.
     extracted_pass int,
     -- Changes before this moment are here; null before the first pass has been applied.
     watermark timestamptz,
     primary key (tenant_id, run_id, object),
     foreign key (tenant_id, run_id) references run_migration (tenant_id, run_id)
   )`,
  `create table migration_pass (
     tenant_id uuid not null,
     run_id uuid not null,
     object text not null,
     pass int not null,
     kind text not null check (kind in ('CHANGED', 'DELETED')),
     source_file_id uuid not null,
     import_run_id uuid,
     made_at timestamptz not null default now(),
     primary key (tenant_id, run_id, object, pass, kind),
     foreign key (tenant_id, run_id, object) references migration_object (tenant_id, run_id, object),
     foreign key (tenant_id, source_file_id) references source_file (tenant_id, id),
     foreign key (tenant_id, import_run_id) references run (tenant_id, id)
   )`,
  // What was read, as it was received: a stored file a page, until all of them are one file of rows.
  `create table migration_page (
     tenant_id uuid not null,
     run_id uuid not null,
     object text not null,
     pass int not null,
     number int not null,
     storage_key text not null,
     row_count int not null,
     byte_size bigint not null,
     primary key (tenant_id, run_id, object, pass, number),
     foreign key (tenant_id, run_id, object) references migration_object (tenant_id, run_id, object)
   )`,
  'create index migration_page_key on migration_page (storage_key)',
  // Where the newest reading of each record stands: a page that was read twice, or a record that moved to a later page, counts once.
  `create table migration_row (
     tenant_id uuid not null,
     run_id uuid not null,
     object text not null,
     pass int not null,
     external_id text not null,
     page int not null,
     line int not null,
     updated_at timestamptz,
     deleted boolean not null,
     primary key (tenant_id, run_id, object, pass, external_id),
     foreign key (tenant_id, run_id, object) references migration_object (tenant_id, run_id, object)
   )`,
  'create index migration_row_page on migration_row (tenant_id, run_id, object, pass, page)',
]

const names = ['run_migration', 'migration_object', 'migration_pass', 'migration_page', 'migration_row']

const security = names.flatMap((table) => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
  `create policy tenant on ${table} using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
])

const functions = [
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
     ])
       -- A migration rests between its stages, and reads changes again after it has ended.
       and not (new.kind = 'MIGRATION' and (old.status || '>' || new.status) = any (array[
         'RUNNING>AWAITING_MAPPING', 'RUNNING>AWAITING_CONFIRMATION', 'COMPLETED>QUEUED', 'COMPLETED_WITH_ERRORS>QUEUED']))
     then
       raise exception 'a run cannot go from % to %', old.status, new.status using errcode = 'PT004';
     end if;
     return new;
   end $$`,
  // A migration waits for its imports: whenever one of them comes to rest, its migration is woken.
  `create function wake_migration() returns trigger language plpgsql as $$
   begin
     if new.status is distinct from old.status and new.status not in ('QUEUED', 'RUNNING', 'ANALYZING', 'CANCELING') then
       perform wake_run(new.migration_run_id);
     end if;
     return null;
   end $$`,
  'revoke execute on function wake_migration() from public',
  'grant execute on function wake_migration() to portage_api, portage_worker',
  `create trigger wake_migration after update of status on run for each row when (new.migration_run_id is not null)
     execute function wake_migration()`,
]

const grants = [
  `grant select, insert, update on ${names.join(', ')} to portage_worker`,
  'grant delete on migration_page, migration_row, migration_pass to portage_worker',
  'grant select on migration_pass, migration_page to portage_api',
  'grant select, insert, update on run_migration, migration_object to portage_api',
]
