import { Migration } from '@mikro-orm/migrations'

/** Erasing a tenant is the owner's work, and the searches that wait for it are rows like any other. */
export class Migration20261122000024_erasing_searches extends Migration {
  override async up(): Promise<void> {
    this.addSql(
      `create policy erasing on duplicate_search to portage_owner
         using (tenant_id = (select current_tenant())) with check (tenant_id = (select current_tenant()))`,
    )
  }

  override async down(): Promise<void> {
    this.addSql('drop policy erasing on duplicate_search')
  }
}
