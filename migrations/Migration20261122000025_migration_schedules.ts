import { Migration } from '@mikro-orm/migrations'

/** Migrations that read changes by themselves: on whose behalf, and why a schedule stands still. */
export class Migration20261122000025_migration_schedules extends Migration {
  override async up(): Promise<void> {
    for (const statement of statements) {
      this.addSql(statement)
    }
  }
}

const statements = [
  'alter table run_migration drop constraint run_migration_check',
  // schedule_owner: who set it, {"actor", "keyId", "permissions"}; passes are theirs, as far as they may still have them made.
  // next_due_at null: no schedule, or it is disabled, and schedule_disabled says why.
  `alter table run_migration add column schedule_owner jsonb, add column schedule_disabled jsonb,
     add constraint run_migration_due check (next_due_at is null or (schedule is not null and schedule_disabled is null)),
     add constraint run_migration_owner check (schedule is null or schedule_owner is not null)`,
  'create index run_migration_next on run_migration (next_due_at) where next_due_at is not null',
  // Another mapping, given through the API, makes what was staged void.
  'grant update (import_run_id) on migration_pass to portage_api',
  // A worker has to find out which tenants have something due.
  'create policy worker on run_migration to portage_worker using (true) with check (tenant_id = (select current_tenant()))',
]
