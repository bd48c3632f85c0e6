import { Migration } from '@mikro-orm/migrations'

/**
 * How an import's file was read when its mapping was made, where it is read as it is: a later version that would find
 * something else in the file goes on with this. Null for files that were turned into rows, whose row file says it, and for
 * imports that were analyzed before.
 */
export class Migration20261122000007_run_detection extends Migration {
  override async up(): Promise<void> {
    this.addSql('alter table run add column detection jsonb')
  }

  override async down(): Promise<void> {
    this.addSql('alter table run drop column detection')
  }
}
