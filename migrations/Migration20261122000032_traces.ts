import { Migration } from '@mikro-orm/migrations'

/** Each run knows the trace that it belongs to: that of the request that asked for it, or of the run that it is a part of. */
export class Migration20261122000032_traces extends Migration {
  override async up(): Promise<void> {
    for (const statement of statements) {
      this.addSql(statement)
    }
  }
}

const statements = [
  // As W3C Trace Context has it; null before a run that nobody asked for is taken up.
  `alter table run add column trace text default nullif(current_setting('app.trace', true), '')`,
  `create function inherit_trace() returns trigger language plpgsql as $$
   begin
     select r.trace into new.trace from run r
     where r.tenant_id = new.tenant_id and r.id = coalesce(new.bundle_run_id, new.migration_run_id, new.of_run_id);
     return new;
   end $$`,
  `create trigger run_inherit_trace before insert on run for each row
     when (new.trace is null and (new.bundle_run_id is not null or new.migration_run_id is not null or new.of_run_id is not null))
     execute function inherit_trace()`,
  'revoke execute on function inherit_trace() from public',
  'grant execute on function inherit_trace() to portage_api, portage_worker',
]
