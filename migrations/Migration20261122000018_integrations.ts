import { Migration } from '@mikro-orm/migrations'

const tenantTables = ['data_key', 'integration', 'oauth_state', 'api_budget']

/** Connected CRMs: their sealed tokens, sign-ins under way, and what of their budgets of requests is used. */
export class Migration20261122000018_integrations extends Migration {
  override async up(): Promise<void> {
    for (const statement of [...tables, ...security, ...grants]) {
      this.addSql(statement)
    }
  }

  override async down(): Promise<void> {
    for (const table of tenantTables.toReversed()) {
      this.addSql(`drop table ${table}`)
    }
  }
}

const tables = [
  // What secrets of a tenant are sealed with, wrapped by the master key of this name. The one with the highest ordinal is
  // for new secrets.
  `create table data_key (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     ordinal int not null check (ordinal > 0),
     master_key text not null,
     wrapped bytea not null,
     created_at timestamptz not null default now(),
     primary key (tenant_id, id),
     unique (tenant_id, ordinal)
   )`,
  // account: the vendor's id of the connected account; null until it is connected. api_origin: where requests go, told by
  // the vendor. access_renew_at: from then on the access token, still good, is renewed. token_version goes up with every new access token; refreshing_until is the lease of the one process that
  // gets a new one, of which refreshing_by is the mark. Tokens are sealed.
  `create table integration (
     tenant_id uuid not null references tenant (id),
     id uuid not null,
     system text not null check (system in ('salesforce', 'hubspot', 'pipedrive')),
     status text not null check (status in ('PENDING', 'CONNECTED', 'REAUTHORIZATION_REQUIRED', 'REVOKED')),
     status_reason text,
     login_origin text not null,
     account text,
     account_name text,
     api_origin text,
     scopes text[] not null default '{}',
     access_token text,
     refresh_token text,
     access_expires_at timestamptz,
     access_renew_at timestamptz,
     token_version bigint not null default 0,
     refreshing_by uuid,
     refreshing_until timestamptz,
     created_by text not null,
     created_at timestamptz not null default now(),
     connected_at timestamptz,
     revoked_at timestamptz,
     primary key (tenant_id, id),
     check (status <> 'CONNECTED' or (access_token is not null and api_origin is not null and connected_at is not null)),
     check (status <> 'REVOKED' or (access_token is null and refresh_token is null))
   )`,
  'create unique index integration_account on integration (tenant_id, system, account) where account is not null',
  // One sign-in under way. Of the state only its SHA-256 is kept; browser: that of the cookie of who began, null where the
  // caller ends it with credentials. verifier is sealed.
  `create table oauth_state (
     tenant_id uuid not null references tenant (id),
     state_hash bytea not null,
     integration_id uuid not null,
     actor text not null,
     redirect_uri text not null,
     browser_hash bytea,
     verifier text not null,
     created_at timestamptz not null default now(),
     expires_at timestamptz not null,
     used_at timestamptz,
     primary key (tenant_id, state_hash),
     foreign key (tenant_id, integration_id) references integration (tenant_id, id) on delete cascade
   )`,
  'create index oauth_state_integration on oauth_state (tenant_id, integration_id)',
  // What one account of a CRM is asked, by all processes together. lane: requests that the vendor counts apart. tokens
  // and filled_at: a bucket that fills with time. leases: requests under way, each with its end. blocked_until: the vendor
  // asked for a pause.
  `create table api_budget (
     tenant_id uuid not null references tenant (id),
     integration_id uuid not null,
     lane text not null,
     tokens double precision not null,
     filled_at timestamptz not null,
     leases jsonb not null default '{}',
     blocked_until timestamptz,
     blocked_reason text,
     day_used bigint not null default 0,
     day_limit bigint,
     day_ends_at timestamptz,
     told_at timestamptz,
     primary key (tenant_id, integration_id, lane),
     foreign key (tenant_id, integration_id) references integration (tenant_id, id) on delete cascade
   )`,
]

const security = tenantTables.flatMap((table) => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
  `create policy tenant on ${table} using (tenant_id = (select current_tenant()))
     with check (tenant_id = (select current_tenant()))`,
])

const grants = [
  'grant select, insert on data_key to portage_api, portage_worker',
  'grant update (master_key, wrapped) on data_key to portage_worker',
  'grant select, insert, update, delete on integration to portage_api',
  'grant select, update, delete on integration to portage_worker',
  'grant select, insert, update, delete on oauth_state to portage_api',
  'grant select, delete on oauth_state to portage_worker',
  'grant select, insert, update on api_budget to portage_api, portage_worker',
]
