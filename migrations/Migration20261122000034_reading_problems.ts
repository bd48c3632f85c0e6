import { Migration } from '@mikro-orm/migrations'

/** What was noticed while the records of an object were read: by code how often, what it says, and the first record. */
export class Migration20261122000034_reading_problems extends Migration {
  override async up(): Promise<void> {
    this.addSql(`alter table migration_object add column problems jsonb not null default '{}'::jsonb`)
  }
}
