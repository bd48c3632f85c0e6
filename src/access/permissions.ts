/** What a token or an API key may do: the contract's enum Permission. A resolver names the one it needs. */
export const permissions = [
  'RECORD_READ',
  'RECORD_WRITE',
  'IMPORT_RUN',
  'EXPORT_RUN',
  'MAPPING_MANAGE',
  'ROLLBACK_RUN',
  'MIGRATION_RUN',
  'INTEGRATION_MANAGE',
  'BUNDLE_RUN',
  'AUDIT_READ',
  'SETTINGS_MANAGE',
  'PII_READ',
] as const

export type Permission = (typeof permissions)[number]

const known: ReadonlySet<string> = new Set(permissions)

/** Whether `value` names a permission of this version. */
export function isPermission(value: unknown): value is Permission {
  return typeof value === 'string' && known.has(value)
}
