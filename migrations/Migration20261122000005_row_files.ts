import { Migration } from '@mikro-orm/migrations'

/**
 * Row files: what a file that cannot be read on from any place in it was turned into, once for its run. Kept with what was
 * found in it, and with what people had said about the file when it was made: other words, another row file.
 */
export class Migration20261122000005_row_files extends Migration {
  override async up(): Promise<void> {
    this.addSql('alter table run_file drop constraint run_file_kind_check')
    this.addSql("alter table run_file add constraint run_file_kind_check check (kind in ('FAILED_ROWS', 'ROWS'))")
    this.addSql('alter table run_file add column detection jsonb, add column made_with text')
    this.addSql(
      "alter table run_file add constraint run_file_rows_check check (kind <> 'ROWS' or (detection is not null and made_with is not null))",
    )
  }

  override async down(): Promise<void> {
    this.addSql("delete from run_file where kind = 'ROWS'")
    this.addSql('alter table run_file drop column detection, drop column made_with')
    this.addSql('alter table run_file drop constraint run_file_kind_check')
    this.addSql("alter table run_file add constraint run_file_kind_check check (kind in ('FAILED_ROWS'))")
  }
}
