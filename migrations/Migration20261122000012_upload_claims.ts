import { Migration } from '@mikro-orm/migrations'

/**
 * Which process makes a file of an upload just now, and until when the others believe it: each would write a copy of the
 * whole. And a look for the API at whether a file was set apart, for when it does not know.
 */
export class Migration20261122000012_upload_claims extends Migration {
  override async up(): Promise<void> {
    this.addSql('alter table upload_session add column completing_by uuid, add column completing_until timestamptz')
    this.addSql('grant select (tenant_id, storage_key) on quarantined_file to portage_api')
  }

  override async down(): Promise<void> {
    this.addSql('revoke select (tenant_id, storage_key) on quarantined_file from portage_api')
    this.addSql('alter table upload_session drop column completing_by, drop column completing_until')
  }
}
