import 'reflect-metadata'
import { registerEnumType } from 'type-graphql'
import { permissions } from '../access/permissions.js'
import { runStatuses } from '../runs/status.js'

/** Registers an enum whose values are their own names, as they are everywhere inside the service. */
export function enumOf<const V extends readonly string[]>(
  name: string,
  values: V,
  description?: string,
): { readonly [K in V[number]]: K } {
  const object = Object.fromEntries(values.map((value) => [value, value])) as { readonly [K in V[number]]: K }
  registerEnumType(object, { name, description })
  return object
}

export const UserErrorCode = enumOf('UserErrorCode', [
  'NOT_FOUND',
  'INVALID_INPUT',
  'INVALID_STATE',
  'IDEMPOTENCY_KEY_REUSED',
  'FILE_TOO_LARGE',
  'FILE_EMPTY',
  'FILE_UNREADABLE',
  'FILE_ENCRYPTED',
  'FILE_TYPE_UNSUPPORTED',
  'FILE_UNSAFE',
  'FILE_CHECKSUM_MISMATCH',
  'UNKNOWN_COLUMN',
  'UNKNOWN_FIELD',
  'FIELD_MAPPED_TWICE',
  'REQUIRED_FIELD_UNMAPPED',
  'TRANSFORM_INVALID',
  'MATCH_FIELD_UNMAPPED',
  'LIMIT_EXCEEDED',
  'NOT_REVERSIBLE',
  'VERSION_CONFLICT',
  'PLAN_STALE',
  'QUOTA_EXCEEDED',
  'UPLOAD_INCOMPLETE',
  'FILE_INFECTED',
  'INTEGRATION_NOT_CONNECTED',
  'OAUTH_STATE_INVALID',
  'BUNDLE_TAMPERED',
  'CONSENT_REQUIRED',
  'PASSPHRASE_WRONG',
  'SCHEMA_DRIFT',
])

export const CrmSystemEnum = enumOf('CrmSystem', ['SALESFORCE', 'HUBSPOT', 'PIPEDRIVE'])

export const IntegrationStatusEnum = enumOf('IntegrationStatus', [
  'PENDING',
  'CONNECTED',
  'REAUTHORIZATION_REQUIRED',
  'REVOKED',
])

export const RecordTypeEnum = enumOf('RecordType', ['CONTACT', 'LEAD', 'PROPERTY', 'ACTIVITY'])

export const FieldKindEnum = enumOf('FieldKind', [
  'TEXT',
  'LONG_TEXT',
  'EMAIL',
  'PHONE',
  'URL',
  'INTEGER',
  'DECIMAL',
  'MONEY',
  'BOOLEAN',
  'DATE',
  'DATE_TIME',
  'ENUM',
  'MULTI_ENUM',
  'REFERENCE',
])

export const FileFormat = enumOf('FileFormat', ['CSV', 'XLSX', 'XLS', 'XLSB', 'ODS', 'JSON', 'NDJSON'])

export const ExportFileFormat = enumOf('ExportFileFormat', ['CSV', 'XLSX', 'JSON', 'NDJSON'])

export const FileCompression = enumOf('FileCompression', ['NONE', 'GZIP', 'ZIP'])

export const MappingConflictCode = enumOf('MappingConflictCode', [
  'FIELD_MAPPED_TWICE',
  'REQUIRED_UNMAPPED',
  'UNKNOWN_VALUES',
  'MATCH_FIELD_UNMAPPED',
  'AMBIGUOUS_FORMAT',
  'TEMPLATE_DRIFT',
])

export const RunKindEnum = enumOf('RunKind', [
  'MIGRATION',
  'IMPORT',
  'EXPORT',
  'ROLLBACK',
  'BUNDLE_EXPORT',
  'BUNDLE_IMPORT',
  'AUDIT_EXPORT',
])

export const RunStatusEnum = enumOf('RunStatus', runStatuses)

export const RunActionEnum = enumOf('RunAction', [
  'MAP',
  'PLAN',
  'CONFIRM',
  'PAUSE',
  'RESUME',
  'CANCEL',
  'RETRY_FAILED',
  'ROLL_BACK',
  'DOWNLOAD',
])

export const RunFileKind = enumOf('RunFileKind', [
  'SOURCE',
  'FAILED_ROWS',
  'UNPROCESSED_ROWS',
  'RESULT',
  'REPORT',
  'BUNDLE',
])

export const RowOutcomeEnum = enumOf('RowOutcome', [
  'CREATED',
  'UPDATED',
  'UNCHANGED',
  'SKIPPED',
  'FAILED',
  'UNPROCESSED',
  'REVERTED',
  'KEPT',
  'DELETED',
])

export const OnDuplicate = enumOf('OnDuplicate', ['UPDATE', 'FILL_BLANKS', 'SKIP', 'CREATE', 'FAIL'])

export const OnInvalidRow = enumOf('OnInvalidRow', ['SKIP_ROW', 'DROP_VALUE', 'FAIL_RUN'])

export const Confirmation = enumOf('Confirmation', ['ASK', 'IF_NO_ERRORS', 'ALWAYS'])

export const ImportOperation = enumOf('ImportOperation', ['UPSERT', 'UPDATE_ONLY', 'DELETE'])

export const OnBlankCell = enumOf('OnBlankCell', ['KEEP', 'CLEAR'])

export const OnDrift = enumOf('OnDrift', ['SKIP_ROW', 'APPLY', 'FAIL_RUN'])

export const OnMissingRelation = enumOf('OnMissingRelation', ['CREATE', 'FAIL_ROW', 'DROP_LINK', 'KEEP_PENDING'])

export const DuplicateDecision = enumOf('DuplicateDecision', ['OPEN', 'MERGED', 'DISTINCT'])

export const BusinessRuleKind = enumOf('BusinessRuleKind', [
  'REQUIRED_IF',
  'ONE_OF',
  'RANGE',
  'PATTERN',
  'COMPARE',
  'UNIQUE',
])

export const IssueSeverityEnum = enumOf('IssueSeverity', ['ERROR', 'WARNING'])

export const IssueCodeEnum = enumOf('IssueCode', [
  'UNPARSABLE_ROW',
  'WRONG_COLUMN_COUNT',
  'BAD_ENCODING',
  'VALUE_TOO_LONG',
  'ROW_TOO_LARGE',
  'REQUIRED_MISSING',
  'INVALID_EMAIL',
  'INVALID_PHONE',
  'INVALID_URL',
  'INVALID_DATE',
  'AMBIGUOUS_DATE',
  'INVALID_NUMBER',
  'NUMBER_OUT_OF_RANGE',
  'INVALID_BOOLEAN',
  'INVALID_ENUM_VALUE',
  'TRANSFORM_FAILED',
  'FORMULA_CELL',
  'DUPLICATE_IN_FILE',
  'DUPLICATE_RECORD',
  'POSSIBLE_DUPLICATE',
  'AMBIGUOUS_MATCH',
  'INVALID_ID',
  'RECORD_NOT_FOUND',
  'RELATION_NOT_FOUND',
  'RELATION_AMBIGUOUS',
  'OWNER_NOT_FOUND',
  'CONSTRAINT_VIOLATION',
  'DRIFTED_SINCE_PLAN',
  'CHANGED_SINCE_IMPORT',
  'SOURCE_RECORD_GONE',
  'RULE_FAILED',
  'INTERNAL',
])

export const OnChangedHere = enumOf('OnChangedHere', ['KEEP', 'OVERWRITE'])

export const OnRollbackConflictEnum = enumOf('OnRollbackConflict', ['KEEP', 'FORCE', 'ABORT'])

export const FilterOperator = enumOf('FilterOperator', [
  'EQ',
  'NEQ',
  'LT',
  'LTE',
  'GT',
  'GTE',
  'IN',
  'NOT_IN',
  'CONTAINS',
  'STARTS_WITH',
  'IS_NULL',
  'IS_NOT_NULL',
])

export const OrderDirection = enumOf('OrderDirection', ['ASC', 'DESC'])

export const LinkRole = enumOf('LinkRole', ['PRIMARY', 'ATTENDEE', 'RELATED'])

export const SideEffects = enumOf('SideEffects', ['ALL', 'NONE'])

export const WebhookEventEnum = enumOf('WebhookEvent', [
  'RUN_STARTED',
  'RUN_ACTION_NEEDED',
  'RUN_COMPLETED',
  'RUN_FAILED',
  'RUN_ROLLED_BACK',
  'RECORDS_CHANGED',
])

export const NotificationEventEnum = enumOf('NotificationEvent', [
  'RUN_COMPLETED',
  'RUN_FAILED',
  'ACTION_NEEDED',
  'QUOTA_WARNING',
])

export const PermissionEnum = enumOf('Permission', permissions)
