import 'reflect-metadata'
import type { GraphQLSchema } from 'graphql'
import { buildSchemaSync, type NonEmptyArray } from 'type-graphql'
import { AuditRun } from '../schema/audit.js'
import { ApiKeyResolver } from './api-keys.js'
import { AuditResolver } from './audit.js'
import { auditOperations } from './audited.js'
import { BundleResolver } from './bundles.js'
import { BusinessRuleResolver } from './business-rules.js'
import { DuplicateResolver } from './duplicates.js'
import { EventResolver } from './events.js'
import { ExportTemplateResolver } from './export-templates.js'
import { ExportResolver, ExportRunResolver } from './exports.js'
import { DetectedColumnResolver, FileResolver, SourceFileResolver } from './files.js'
import { ImportResolver } from './imports.js'
import { IntegrationResolver, IntegrationUsageResolver } from './integrations.js'
import { ColumnMappingResolver, MappingResolver } from './mapping.js'
import { MappingTemplateResolver, OfferedTemplateResolver } from './mapping-templates.js'
import { measureOperations } from './measured.js'
import { MemberResolver } from './members.js'
import { MigrationResolver, MigrationsResolver } from './migrations.js'
import { NodeResolver } from './node.js'
import { NotificationResolver } from './notifications.js'
import { ImportPlanResolver, PlannedRowResolver, PlanResolver, PlanRunResolver } from './plan.js'
import { FilePreviewResolver } from './preview.js'
import { QuotaResolver } from './quotas.js'
import { RecordSchemaResolver } from './record-schema.js'
import { ActivityResolver, RecordListResolver, RecordResolver, referenceResolvers } from './records.js'
import { tellQuotas } from './refusals.js'
import { RetryResolver } from './retry.js'
import { ImportRowResolver, ImportRunResolver, RollbackRunResolver, RunListResolver, RunResolver } from './runs.js'
import { UploadSessionResolver } from './upload-sessions.js'
import { ViewerResolver } from './viewer.js'
import { WebhookFieldsResolver, WebhookResolver } from './webhooks.js'

const resolvers: NonEmptyArray<Function> = [
  ViewerResolver,
  NodeResolver,
  RecordListResolver,
  RecordResolver,
  ActivityResolver,
  ...referenceResolvers,
  RecordSchemaResolver,
  BusinessRuleResolver,
  FileResolver,
  SourceFileResolver,
  FilePreviewResolver,
  DetectedColumnResolver,
  UploadSessionResolver,
  MappingResolver,
  ExportResolver,
  ExportRunResolver,
  ExportTemplateResolver,
  MappingTemplateResolver,
  MigrationResolver,
  MigrationsResolver,
  OfferedTemplateResolver,
  ColumnMappingResolver,
  ImportResolver,
  PlanResolver,
  PlanRunResolver,
  ImportPlanResolver,
  PlannedRowResolver,
  RetryResolver,
  RunListResolver,
  RunResolver,
  ImportRunResolver,
  ImportRowResolver,
  RollbackRunResolver,
  BundleResolver,
  EventResolver,
  MemberResolver,
  ApiKeyResolver,
  DuplicateResolver,
  IntegrationResolver,
  IntegrationUsageResolver,
  AuditResolver,
  WebhookResolver,
  WebhookFieldsResolver,
  NotificationResolver,
  QuotaResolver,
]

/** The API's schema with its resolvers. */
export const apiSchema: GraphQLSchema = tellQuotas(
  measureOperations(
    auditOperations(
      buildSchemaSync({
        resolvers,
        // Only what can be reached from an operation is part of the API; this one is reached as a Run alone.
        orphanedTypes: [AuditRun],
        validate: false,
        // Subscriptions bring streams of their own; the library insists on a publisher.
        pubSub: {
          publish: () => undefined,
          subscribe: () => {
            throw new Error('no subscription goes by topics')
          },
        },
      }),
    ),
  ),
)
