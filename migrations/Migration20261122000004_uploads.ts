import { Migration } from '@mikro-orm/migrations'

/** Tables with `tenant_id` that carry the common policy. */
const tenantTables = ['upload_session', 'upload_part', 'quarantined_file']

/** Uploads that come in several requests, the parts of them that have arrived, and files that a virus was found in. */
export class Migration20261122000004_uploads extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security, ...grants]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    for (const table of ['upload_part', 'upload_session', 'quarantined_file']) {
      this.addSql(`drop table ${table}`)
    }
  }
}

const tables = [
  // received: bytes that have arrived without a gap; parts: in how many files of the store they are. file_id: the file
  // that the session has become; its parts are then on their way out.
  `create table upload_session (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     name text not null,
     byte_size bigint not null check (byte_size > 0),
     sha256 text not null,
     received bigint not null default 0 check (received between 0 and byte_size),
     parts int not null default 0,
     file_id uuid,
     created_by text not null,
     created_at timestamptz not null default now(),
     expires_at timestamptz not null,
     primary key (tenant_id, id)
   )`,
  `create table upload_part (
     tenant_id uuid not null,
     session_id uuid not null,
     start_byte bigint not null,
     byte_size bigint not null check (byte_size > 0),
     storage_key text not null,
     primary key (tenant_id, session_id, start_byte),
     foreign key (tenant_id, session_id) references upload_session (tenant_id, id) on delete cascade
   )`,
  `create table quarantined_file (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     name text not null,
     byte_size bigint not null,
     sha256 text not null,
     storage_key text not null,
     signature text not null,
     uploaded_by text not null,
     uploaded_at timestamptz not null default now(),
     expires_at timestamptz not null,
     primary key (tenant_id, id)
   )`,
]

const security = tenantTables.flatMap((table) => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
  `create policy tenant on ${table} using (tenant_id = (select current_tenant()))
     with check (tenant_id = (select current_tenant()))`,
])

const grants = [
  'grant select, insert, update, delete on upload_session to portage_api',
  'grant select, delete on upload_session to portage_worker',
  'grant select, insert, delete on upload_part to portage_api',
  'grant select, delete on upload_part to portage_worker',
  'grant insert on quarantined_file to portage_api',
  'grant select, delete on quarantined_file to portage_worker',
]
