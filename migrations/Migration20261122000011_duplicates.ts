import { Migration } from '@mikro-orm/migrations'

/**
 * Records that look alike: the keys under which they meet, the pairs that were found with what was decided of them, merges
 * with what it takes to undo them, and what is still to be searched.
 */
export class Migration20261122000011_duplicates extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, backfill, ...security, ...triggers, ...grants]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    this.addSql('drop trigger run_duplicates on run')
    this.addSql('drop function search_run_duplicates')
    this.addSql(
      'drop table duplicate_merge_link, duplicate_merge, duplicate_pair, record_keys, record_block, duplicate_search',
    )
  }
}

const tables = [
  // A key is 53 bits of a hash over the record's type and something that duplicates have in common, e.g. how the name sounds.
  `create table record_block (
     tenant_id uuid not null,
     key bigint not null,
     record_id uuid not null,
     primary key (tenant_id, key, record_id)
   )`,
  // The keys that a record has. Beside a second index on record_block the planner would now and then look keys up by that one,
  // reading all of a tenant for each (measured: 40 s for 500 records).
  `create table record_keys (
     tenant_id uuid not null,
     record_id uuid not null,
     keys bigint[] not null,
     primary key (tenant_id, record_id)
   )`,
  // left is the record with the smaller id, which is the older one; run and row are the import and its row that brought the pair.
  `create table duplicate_pair (
     tenant_id uuid not null,
     id uuid not null,
     record_type text not null check (record_type in ('contact', 'lead', 'property')),
     left_id uuid not null,
     right_id uuid not null,
     score float8 not null check (score between 0 and 1),
     reasons text[] not null,
     decision text not null default 'OPEN' check (decision in ('OPEN', 'MERGED', 'DISTINCT')),
     run_id uuid,
     row_number bigint,
     found_at timestamptz not null default now(),
     decided_by text,
     decided_at timestamptz,
     primary key (tenant_id, id),
     unique (tenant_id, left_id, right_id),
     check (left_id < right_id)
   )`,
  'create index duplicate_pair_list on duplicate_pair (tenant_id, decision, score desc, id desc)',
  'create index duplicate_pair_run on duplicate_pair (tenant_id, run_id) where run_id is not null',
  'create index duplicate_pair_right on duplicate_pair (tenant_id, right_id)',
  // before, after: the columns of the survivor that the merge changed. identities: those that it gave to the survivor; an
  // added one was the removed record's own.
  `create table duplicate_merge (
     tenant_id uuid not null,
     id uuid not null,
     pair_id uuid not null,
     record_type text not null,
     survivor_id uuid not null,
     removed_id uuid not null,
     before jsonb not null,
     after jsonb not null,
     identities jsonb not null,
     merged_by text not null,
     merged_at timestamptz not null default now(),
     undone_by text,
     undone_at timestamptz,
     primary key (tenant_id, id),
     foreign key (tenant_id, pair_id) references duplicate_pair (tenant_id, id)
   )`,
  'create unique index duplicate_merge_removed on duplicate_merge (tenant_id, removed_id) where undone_at is null',
  'create index duplicate_merge_pair on duplicate_merge (tenant_id, pair_id)',
  // Records that referred to the removed one, and by which column.
  `create table duplicate_merge_link (
     tenant_id uuid not null,
     merge_id uuid not null,
     record_type text not null,
     column_name text not null,
     record_id uuid not null,
     primary key (tenant_id, merge_id, record_type, column_name, record_id),
     foreign key (tenant_id, merge_id) references duplicate_merge (tenant_id, id)
   )`,
  // What is to be searched: all that an import wrote (IMPORT), or that a rollback touched of it (ROLLBACK), one record
  // (RECORD), or every record of the tenant (ALL). cursor: how far it has come.
  `create table duplicate_search (
     tenant_id uuid not null,
     id uuid not null default gen_random_uuid(),
     kind text not null check (kind in ('IMPORT', 'ROLLBACK', 'RECORD', 'ALL')),
     run_id uuid,
     record_type text,
     record_id uuid,
     cursor jsonb,
     attempts int not null default 0,
     due_at timestamptz not null default now(),
     primary key (tenant_id, id),
     check (case kind when 'ALL' then true when 'RECORD' then record_type is not null and record_id is not null
       else run_id is not null end)
   )`,
]

/** What was there before duplicates were searched. */
const backfill = `insert into duplicate_search (tenant_id, kind) select id, 'ALL' from tenant`

const own = 'using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))'

const security = [
  ...['record_block', 'record_keys', 'duplicate_pair', 'duplicate_merge', 'duplicate_merge_link'].flatMap((table) => [
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
    `create policy tenant on ${table} ${own}`,
  ]),
  'alter table duplicate_search enable row level security',
  'alter table duplicate_search force row level security',
  `create policy tenant on duplicate_search to portage_api ${own}`,
  // A worker has to find out which tenants there is something to search for.
  `create policy worker on duplicate_search to portage_worker using (true) with check (tenant_id = (select current_tenant()))`,
]

const triggers = [
  // In the transaction that ends the run, whoever ends it and however.
  `create function search_run_duplicates() returns trigger language plpgsql as $$
   begin
     if new.kind = 'IMPORT' and new.created + new.updated + new.deleted > 0 then
       insert into duplicate_search (tenant_id, kind, run_id) values (new.tenant_id, 'IMPORT', new.id);
     elsif new.kind = 'ROLLBACK' and new.reverted + new.kept > 0 then
       insert into duplicate_search (tenant_id, kind, run_id) values (new.tenant_id, 'ROLLBACK', new.of_run_id);
     end if;
     return null;
   end $$`,
  `create trigger run_duplicates after update of finished_at on run for each row
     when (old.finished_at is null and new.finished_at is not null) execute function search_run_duplicates()`,
]

const grants = [
  'grant select, insert, update, delete on record_block, record_keys to portage_worker',
  'grant select, insert, update, delete on duplicate_pair to portage_worker',
  'grant select, update on duplicate_pair to portage_api',
  'grant select on duplicate_merge, duplicate_merge_link to portage_worker',
  'grant select, insert, update on duplicate_merge to portage_api',
  'grant select, insert on duplicate_merge_link to portage_api',
  'grant select, insert, update, delete on duplicate_search to portage_worker',
  'grant insert on duplicate_search to portage_api',
]
