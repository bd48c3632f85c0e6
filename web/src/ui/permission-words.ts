/** Permissions in words, and which of them the pages take. Without parts of the page, so that the frame is light. */
import type { ViewerQuery } from '../api/generated.ts'

export type Permission = ViewerQuery['viewer']['permissions'][number]

/** What each of them allows. */
export const permissionWords: Readonly<Record<Permission, string>> = {
  IMPORT_RUN: 'Import files',
  EXPORT_RUN: 'Export records',
  MIGRATION_RUN: 'Migrate from other CRMs',
  BUNDLE_RUN: 'Move whole tenants',
  ROLLBACK_RUN: 'Roll runs back',
  MAPPING_MANAGE: 'Manage mappings, rules and fields',
  RECORD_READ: 'Read records',
  RECORD_WRITE: 'Change records',
  PII_READ: 'See sensitive fields',
  INTEGRATION_MANAGE: 'Connect CRMs',
  AUDIT_READ: 'Read the audit',
  SETTINGS_MANAGE: 'Manage settings',
}

/** One of these is needed for what a page shows. Whoever has none of them is not led there, and is told why when there. */
export const needs = {
  import: ['IMPORT_RUN'],
  runs: ['IMPORT_RUN', 'EXPORT_RUN', 'MIGRATION_RUN', 'ROLLBACK_RUN', 'BUNDLE_RUN', 'AUDIT_READ'],
  exports: ['EXPORT_RUN'],
  migrations: ['MIGRATION_RUN', 'INTEGRATION_MANAGE'],
  migration: ['MIGRATION_RUN'],
  records: ['RECORD_READ'],
  audit: ['AUDIT_READ'],
} as const satisfies Readonly<Record<string, readonly Permission[]>>
