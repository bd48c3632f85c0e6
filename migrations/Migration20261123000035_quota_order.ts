import { Migration } from '@mikro-orm/migrations'

/**
 * Whoever changes several rows of the ledger of quotas takes them in one order, so that none waits for another in a circle:
 * `storageBytes` before `uploadBytesPerDay`; `runningRuns` before `rowsPerDay` before `queuedRuns`.
 */
export class Migration20261123000035_quota_order extends Migration {
  override async up(): Promise<void> {
    this.addSql(run)
    this.addSql(session)
  }
}

/** A run with one of these waits for a worker. */
const waiting = `('ANALYZING', 'PLANNING', 'QUEUED', 'DEFERRED')`

/** A superuser who mends something by hand belongs to no tenant, and changes no ledger. */
const nobody = `if coalesce(current_setting('app.tenant_id', true), '') = '' then return null; end if;`

// As before, but for the order.
const run = `create or replace function quota_run() returns trigger language plpgsql as $$
   declare
     v_part boolean := new.bundle_run_id is not null or new.migration_run_id is not null;
     v_stops boolean := tg_op = 'UPDATE' and old.status = 'RUNNING' and new.status <> 'RUNNING';
     v_back bigint := 0;
   begin
     ${nobody}
     if tg_op = 'INSERT' then
       if new.kind = 'ROLLBACK' then
         perform quota_reserve('queuedRuns', 1, new.id, null, true);
       end if;
       return null;
     end if;
     if v_stops then
       v_back := quota_release('runningRuns', new.id);
     end if;
     if new.kind = 'IMPORT' then
       perform quota_spend('rowsPerDay', run_settled(new) - run_settled(old), new.id);
     end if;
     if v_stops then
       v_back := v_back + quota_release('rowsPerDay', new.id);
     end if;
     if not v_part and old.status in ${waiting} and new.status not in ${waiting} then
       perform quota_release('queuedRuns', new.id);
     elsif not v_part and new.status in ${waiting} and old.status not in ${waiting} then
       perform quota_reserve('queuedRuns', 1, new.id, null, true);
     end if;
     if v_back > 0 then
       perform wake_deferred();
     end if;
     return null;
   end $$`

const session = `create or replace function quota_session() returns trigger language plpgsql as $$
   begin
     ${nobody}
     if new.file_id is not null and old.file_id is null then
       perform quota_release('storageBytes', new.id);
       perform quota_spend('uploadBytesPerDay', new.byte_size, new.id);
     elsif new.expires_at = '-infinity' and old.expires_at <> '-infinity' then
       perform quota_release('storageBytes', new.id);
       perform quota_release('uploadBytesPerDay', new.id);
     end if;
     return null;
   end $$`
