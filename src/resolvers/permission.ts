/** Which operation needs which permission: the one table, and the one way to ask it. */
import { GraphQLError } from 'graphql'
import type { Permission } from '../access/permissions.js'
import type { ApiContext } from './context.js'

/** One of these is needed; none: being signed in is enough. The first one is named to who lacks them. */
export type Needed = readonly Permission[]

const runs: Needed = ['IMPORT_RUN', 'ROLLBACK_RUN', 'EXPORT_RUN', 'BUNDLE_RUN', 'MIGRATION_RUN', 'AUDIT_READ']
const imports: Needed = ['IMPORT_RUN', 'ROLLBACK_RUN', 'BUNDLE_RUN', 'MIGRATION_RUN']
const mappings: Needed = ['IMPORT_RUN', 'MAPPING_MANAGE']

// Who migrates has to choose where from.
const integrations: Needed = ['INTEGRATION_MANAGE', 'MIGRATION_RUN']

/** Every operation of the API. A test compares it with the schema. */
export const permissionTable = {
  'Query.viewer': [],
  // By the kind of what it finds: see `nodePermissions`.
  'Query.node': [],
  'Query.contacts': ['RECORD_READ'],
  'Query.leads': ['RECORD_READ'],
  'Query.properties': ['RECORD_READ'],
  'Query.activities': ['RECORD_READ'],
  'Query.recordSchema': [],
  'Query.file': ['IMPORT_RUN'],
  'Query.mappingSuggestion': ['IMPORT_RUN'],
  'Query.transforms': [],
  // Who manages mappings need not import, and who imports may keep a mapping for the next file.
  'Query.mappingTemplates': mappings,
  'Query.businessRules': mappings,
  'Query.uploadSession': ['IMPORT_RUN'],
  'Query.run': runs,
  'Query.runs': runs,
  'Query.importRun': imports,
  'Query.exportRun': ['EXPORT_RUN'],
  'Query.exportPreview': ['EXPORT_RUN'],
  'Query.exportTemplates': ['EXPORT_RUN'],
  'Query.rollbackPreview': ['ROLLBACK_RUN'],
  'Query.apiKeys': ['SETTINGS_MANAGE'],
  'Query.possibleDuplicates': ['RECORD_READ'],
  // Owners are named by e-mail wherever records are shown.
  'Query.members': ['RECORD_READ', 'SETTINGS_MANAGE'],
  'Query.integrations': integrations,
  'Query.integrationObjects': integrations,
  'Query.migration': ['MIGRATION_RUN'],
  'Query.migrations': ['MIGRATION_RUN'],
  'Query.auditEntries': ['AUDIT_READ'],
  'Query.auditVerification': ['AUDIT_READ'],
  'Query.auditHead': ['AUDIT_READ'],
  'Mutation.auditExport': ['AUDIT_READ'],
  'Query.quotas': [],
  'Mutation.fileUpload': ['IMPORT_RUN'],
  // Its bytes, too: see `server/uploads-ranged`.
  'Mutation.uploadBegin': ['IMPORT_RUN'],
  'Mutation.uploadComplete': ['IMPORT_RUN'],
  'Mutation.importCreate': ['IMPORT_RUN'],
  'Mutation.importMappingUpdate': ['IMPORT_RUN'],
  'Mutation.mappingTemplateSave': mappings,
  'Mutation.mappingTemplateArchive': mappings,
  'Mutation.importPlan': ['IMPORT_RUN'],
  'Mutation.importConfirm': ['IMPORT_RUN'],
  'Mutation.importRowsFix': ['IMPORT_RUN'],
  'Mutation.importRetryFailed': ['IMPORT_RUN'],
  'Mutation.exportCreate': ['EXPORT_RUN'],
  'Mutation.exportTemplateSave': ['EXPORT_RUN'],
  'Mutation.exportTemplateDelete': ['EXPORT_RUN'],
  // Each kind of run has its own: see `controlPermissions`.
  'Mutation.runPause': runs,
  'Mutation.runResume': runs,
  'Mutation.runCancel': runs,
  'Mutation.runRollback': ['ROLLBACK_RUN'],
  // Mappings can make fields, too: see `newFields`.
  'Mutation.customFieldCreate': ['MAPPING_MANAGE'],
  'Mutation.customFieldArchive': ['MAPPING_MANAGE'],
  'Mutation.businessRuleSave': ['MAPPING_MANAGE'],
  'Mutation.businessRuleDelete': ['MAPPING_MANAGE'],
  'Mutation.recordUpdate': ['RECORD_WRITE'],
  'Mutation.recordDelete': ['RECORD_WRITE'],
  'Mutation.possibleDuplicateDecide': ['RECORD_WRITE'],
  // What a bundle holds is everything there is, unmasked: see `resolvers/bundles`.
  'Mutation.bundleExport': ['BUNDLE_RUN'],
  'Mutation.bundleImport': ['BUNDLE_RUN'],
  'Mutation.bundleConsentCreate': ['BUNDLE_RUN'],
  'Mutation.integrationBegin': ['INTEGRATION_MANAGE'],
  // At our own page for browsers the cookie of the sign-in stands for it: see `server/oauth-callback`.
  'Mutation.integrationComplete': ['INTEGRATION_MANAGE'],
  'Mutation.integrationRevoke': ['INTEGRATION_MANAGE'],
  'Mutation.migrationCreate': ['MIGRATION_RUN'],
  'Mutation.migrationMappingUpdate': ['MIGRATION_RUN'],
  'Mutation.migrationStage': ['MIGRATION_RUN'],
  'Mutation.migrationPromote': ['MIGRATION_RUN'],
  'Mutation.migrationVerify': ['MIGRATION_RUN'],
  'Mutation.migrationSyncDelta': ['MIGRATION_RUN'],
  'Mutation.migrationScheduleSet': ['MIGRATION_RUN'],
  'Mutation.memberSave': ['SETTINGS_MANAGE'],
  'Mutation.apiKeyCreate': ['SETTINGS_MANAGE'],
  'Mutation.apiKeyRevoke': ['SETTINGS_MANAGE'],
  // Where records of the tenant are told of.
  'Query.webhooks': ['SETTINGS_MANAGE'],
  'Mutation.webhookSave': ['SETTINGS_MANAGE'],
  'Mutation.webhookDelete': ['SETTINGS_MANAGE'],
  'Mutation.webhookDeliveryReplay': ['SETTINGS_MANAGE'],
  // One's own e-mails are one's own matter; those of the tenant take SETTINGS_MANAGE besides: see `resolvers/notifications`.
  'Query.notificationPreferences': [],
  'Mutation.notificationPreferencesUpdate': [],
  'Subscription.runEvents': runs,
  'Subscription.tenantEvents': runs,
} as const satisfies Readonly<Record<string, Needed>>

export type Operation = keyof typeof permissionTable

/** What `node` needs, by the kind of the id. */
export const nodePermissions = {
  contact: ['RECORD_READ'],
  lead: ['RECORD_READ'],
  property: ['RECORD_READ'],
  activity: ['RECORD_READ'],
  file: ['IMPORT_RUN'],
  uploadSession: ['IMPORT_RUN'],
  run: runs,
  member: permissionTable['Query.members'],
  apiKey: permissionTable['Query.apiKeys'],
  mappingTemplate: mappings,
  businessRule: mappings,
  duplicatePair: permissionTable['Query.possibleDuplicates'],
  exportTemplate: permissionTable['Query.exportTemplates'],
  integration: integrations,
  auditEntry: permissionTable['Query.auditEntries'],
  webhook: ['SETTINGS_MANAGE'],
} as const satisfies Readonly<Record<string, Needed>>

/** What pausing, resuming and cancelling needs, by the kind of the run. */
export const controlPermissions = {
  IMPORT: ['IMPORT_RUN'],
  ROLLBACK: ['ROLLBACK_RUN'],
  EXPORT: ['EXPORT_RUN'],
  BUNDLE_EXPORT: ['BUNDLE_RUN'],
  BUNDLE_IMPORT: ['BUNDLE_RUN'],
  MIGRATION: ['MIGRATION_RUN'],
  AUDIT_EXPORT: ['AUDIT_READ'],
} as const satisfies Readonly<Record<string, Needed>>

/** The error for a caller who lacks `permission`. */
export function forbidden(permission: Permission): GraphQLError {
  return new GraphQLError(`This needs the permission ${permission}.`, { extensions: { code: 'FORBIDDEN', permission } })
}

/** Throws FORBIDDEN unless the caller has one of the needed permissions. */
export function requireOneOf(context: ApiContext, needed: Needed): void {
  const [first] = needed
  if (first !== undefined && !needed.some((permission) => context.caller.permissions.has(permission))) {
    throw forbidden(first)
  }
}

/** Throws FORBIDDEN unless the caller may call this operation. Every resolver of an operation begins with it. */
export function requirePermission(context: ApiContext, operation: Operation): void {
  requireOneOf(context, permissionTable[operation])
}
