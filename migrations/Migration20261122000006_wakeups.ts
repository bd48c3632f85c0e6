import { Migration } from '@mikro-orm/migrations'

/**
 * Waking names the run, so that a worker brings one that waits for its next attempt forward to now: the API may add wake-ups
 * and neither see nor change them.
 */
export class Migration20261122000006_wakeups extends Migration {
  override async up(): Promise<void> {
    this.addSql(wakeRun('p_run::text'))
  }

  override async down(): Promise<void> {
    this.addSql(wakeRun("''"))
  }
}

function wakeRun(payload: string): string {
  return `create or replace function wake_run(p_run uuid) returns void language plpgsql as $$
    begin
      insert into run_wakeup (run_id, tenant_id) values (p_run, current_tenant()) on conflict do nothing;
      perform pg_notify('portage_wakeup', ${payload});
    end $$`
}
