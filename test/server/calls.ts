/** One call of each operation, for tests that walk through all of them. */
import { encodeId } from '../../src/ids.js'

/** The id of something that does not exist. */
export const unknownId = (kind: Parameters<typeof encodeId>[0]): string =>
  encodeId(kind, '00000000-0000-4000-8000-000000000001')

/** One call of each operation; what it is about does not exist, which is another answer than FORBIDDEN. */
export const calls: Readonly<Record<string, string>> = {
  'Query.viewer': '{ viewer { actor } }',
  'Query.node': `{ node(id: "${unknownId('tenant')}") { id } }`,
  'Query.contacts': '{ contacts(first: 1) { totalCount } }',
  'Query.leads': '{ leads(first: 1) { totalCount } }',
  'Query.possibleDuplicates': '{ possibleDuplicates(first: 1) { totalCount } }',
  'Query.properties': '{ properties(first: 1) { totalCount } }',
  'Query.activities': '{ activities(first: 1) { totalCount } }',
  'Query.recordSchema': '{ recordSchema(recordType: LEAD) { version } }',
  'Query.file': `{ file(id: "${unknownId('file')}") { id } }`,
  'Query.mappingSuggestion': `{ mappingSuggestion(fileId: "${unknownId('file')}") { recordType } }`,
  'Query.transforms': '{ transforms { name } }',
  'Query.businessRules': '{ businessRules { id } }',
  'Query.mappingTemplates': '{ mappingTemplates { id } }',
  'Query.uploadSession': `{ uploadSession(id: "${unknownId('uploadSession')}") { id } }`,
  'Query.run': `{ run(id: "${unknownId('run')}") { id } }`,
  'Query.runs': '{ runs(first: 1) { nodes { id } } }',
  'Query.importRun': `{ importRun(id: "${unknownId('run')}") { id } }`,
  'Query.exportRun': `{ exportRun(id: "${unknownId('run')}") { id } }`,
  'Query.exportPreview': '{ exportPreview(input: { recordType: LEAD, idempotencyKey: "" }) { rowNumber } }',
  'Query.exportTemplates': '{ exportTemplates { id } }',
  'Query.rollbackPreview': `{ rollbackPreview(runId: "${unknownId('run')}") { conflicts } }`,
  'Query.apiKeys': '{ apiKeys { id } }',
  'Query.auditEntries': '{ auditEntries(first: 1) { nodes { id } } }',
  'Query.auditVerification': '{ auditVerification { valid } }',
  'Query.auditHead': '{ auditHead { sequence } }',
  'Query.quotas': '{ quotas { name } }',
  'Query.members': '{ members { id } }',
  'Query.integrations': '{ integrations { id } }',
  'Query.integrationObjects': `{ integrationObjects(integrationId: "${unknownId('integration')}") { name } }`,
  'Query.migration': `{ migration(id: "${unknownId('run')}") { id } }`,
  'Query.migrations': '{ migrations(first: 1) { nodes { id } } }',
  'Query.webhooks': '{ webhooks { id } }',
  'Query.notificationPreferences': '{ notificationPreferences { myEmails } }',
  'Mutation.fileUpload': '',
  'Mutation.uploadBegin':
    'mutation { uploadBegin(input: { name: "a", byteSize: 0, sha256: "", idempotencyKey: "z" }) { userErrors { code } } }',
  'Mutation.uploadComplete': `mutation { uploadComplete(input: { uploadSessionId: "${unknownId('uploadSession')}" }) { userErrors { code } } }`,
  'Mutation.importCreate': `mutation { importCreate(input: { fileId: "${unknownId('file')}", recordType: LEAD, idempotencyKey: "x" }) { userErrors { code } } }`,
  'Mutation.importMappingUpdate': `mutation { importMappingUpdate(input: { runId: "${unknownId('run')}", mapping: [] }) { userErrors { code } } }`,
  'Mutation.mappingTemplateSave':
    'mutation { mappingTemplateSave(input: { name: "", recordType: LEAD, mapping: [] }) { userErrors { code } } }',
  'Mutation.mappingTemplateArchive': `mutation { mappingTemplateArchive(input: { id: "${unknownId('mappingTemplate')}" }) { userErrors { code } } }`,
  'Mutation.importPlan': `mutation { importPlan(input: { runId: "${unknownId('run')}" }) { userErrors { code } } }`,
  'Mutation.importConfirm': `mutation { importConfirm(input: { runId: "${unknownId('run')}", idempotencyKey: "c" }) { userErrors { code } } }`,
  'Mutation.importRowsFix': `mutation { importRowsFix(input: { runId: "${unknownId('run')}", rows: [], idempotencyKey: "f" }) { userErrors { code } } }`,
  'Mutation.importRetryFailed': `mutation { importRetryFailed(input: { runId: "${unknownId('run')}", idempotencyKey: "r" }) { userErrors { code } } }`,
  'Mutation.auditExport':
    'mutation { auditExport(input: { from: "2020-01-01T00:00:00Z", to: "2010-01-01T00:00:00Z", idempotencyKey: "u" }) { userErrors { code } } }',
  'Mutation.exportCreate':
    'mutation { exportCreate(input: { recordType: LEAD, columns: [], idempotencyKey: "" }) { userErrors { code } } }',
  'Mutation.exportTemplateSave':
    'mutation { exportTemplateSave(input: { name: "", recordType: LEAD }) { userErrors { code } } }',
  'Mutation.exportTemplateDelete': `mutation { exportTemplateDelete(input: { id: "${unknownId('exportTemplate')}" }) { userErrors { code } } }`,
  'Mutation.runPause': `mutation { runPause(input: { runId: "${unknownId('run')}" }) { userErrors { code } } }`,
  'Mutation.runResume': `mutation { runResume(input: { runId: "${unknownId('run')}" }) { userErrors { code } } }`,
  'Mutation.runCancel': `mutation { runCancel(input: { runId: "${unknownId('run')}" }) { userErrors { code } } }`,
  'Mutation.runRollback': `mutation { runRollback(input: { runId: "${unknownId('run')}", idempotencyKey: "y" }) { userErrors { code } } }`,
  'Mutation.customFieldCreate':
    'mutation { customFieldCreate(input: { recordType: LEAD, field: { key: "", label: "", kind: TEXT } }) { userErrors { code } } }',
  'Mutation.businessRuleSave':
    'mutation { businessRuleSave(input: { recordType: LEAD, kind: UNIQUE, fields: [], severity: ERROR, message: "" }) { userErrors { code } } }',
  'Mutation.businessRuleDelete': `mutation { businessRuleDelete(input: { id: "${unknownId('businessRule')}" }) { userErrors { code } } }`,
  'Mutation.customFieldArchive': `mutation { customFieldArchive(input: { id: "${unknownId('customField')}" }) { userErrors { code } } }`,
  'Mutation.possibleDuplicateDecide': `mutation { possibleDuplicateDecide(input: { id: "${unknownId('duplicatePair')}", decision: DISTINCT }) { userErrors { code } } }`,
  'Mutation.recordUpdate': `mutation { recordUpdate(input: { recordType: LEAD, id: "${unknownId('lead')}", fields: [] }) { userErrors { code } } }`,
  'Mutation.recordDelete': `mutation { recordDelete(input: { recordType: LEAD, id: "${unknownId('lead')}" }) { userErrors { code } } }`,
  'Mutation.bundleExport':
    'mutation { bundleExport(input: { idempotencyKey: "", recordTypes: [LEAD] }) { userErrors { code } } }',
  'Mutation.bundleImport': `mutation { bundleImport(input: { fileId: "${unknownId('file')}", idempotencyKey: "b" }) { userErrors { code } } }`,
  'Mutation.bundleConsentCreate': `mutation { bundleConsentCreate(input: { bundleRunId: "${unknownId('run')}", targetTenantId: "x" }) { userErrors { code } } }`,
  'Mutation.integrationBegin':
    'mutation { integrationBegin(input: { system: HUBSPOT, redirectUri: "" }) { userErrors { code } } }',
  'Mutation.integrationComplete':
    'mutation { integrationComplete(input: { state: "", code: "" }) { userErrors { code } } }',
  'Mutation.integrationRevoke': `mutation { integrationRevoke(input: { integrationId: "${unknownId('integration')}" }) { userErrors { code } } }`,
  'Mutation.migrationScheduleSet': `mutation { migrationScheduleSet(input: { migrationId: "${unknownId('run')}" }) { userErrors { code } } }`,
  'Mutation.migrationCreate': `mutation { migrationCreate(input: { integrationId: "${unknownId('integration')}", objects: [], idempotencyKey: "m" }) { userErrors { code } } }`,
  'Mutation.migrationMappingUpdate': `mutation { migrationMappingUpdate(input: { migrationId: "${unknownId('run')}", object: "x", mapping: [] }) { userErrors { code } } }`,
  'Mutation.migrationStage': `mutation { migrationStage(input: { migrationId: "${unknownId('run')}", idempotencyKey: "m" }) { userErrors { code } } }`,
  'Mutation.migrationPromote': `mutation { migrationPromote(input: { migrationId: "${unknownId('run')}", idempotencyKey: "m" }) { userErrors { code } } }`,
  'Mutation.migrationVerify': `mutation { migrationVerify(input: { migrationId: "${unknownId('run')}", idempotencyKey: "m" }) { userErrors { code } } }`,
  'Mutation.migrationSyncDelta': `mutation { migrationSyncDelta(input: { migrationId: "${unknownId('run')}", idempotencyKey: "m" }) { userErrors { code } } }`,
  'Mutation.webhookSave': 'mutation { webhookSave(input: { url: "", events: [] }) { userErrors { code } } }',
  'Mutation.webhookDelete': `mutation { webhookDelete(input: { id: "${unknownId('webhook')}" }) { userErrors { code } } }`,
  'Mutation.webhookDeliveryReplay': `mutation { webhookDeliveryReplay(input: { id: "${unknownId('webhookDelivery')}" }) { userErrors { code } } }`,
  'Mutation.notificationPreferencesUpdate':
    'mutation { notificationPreferencesUpdate(input: {}) { userErrors { code } } }',
  'Mutation.memberSave': 'mutation { memberSave(input: { email: "none" }) { userErrors { code } } }',
  'Mutation.apiKeyCreate': 'mutation { apiKeyCreate(input: { name: "", permissions: [] }) { userErrors { code } } }',
  'Mutation.apiKeyRevoke': `mutation { apiKeyRevoke(input: { id: "${unknownId('apiKey')}" }) { userErrors { code } } }`,
}
