/** Files and runs as the API shows them to one caller. */
import { isSensitive, MASK, masked } from '../access/privacy.js'
import type { DetectedColumn, Detection } from '../adapters/files/detection.js'
import type { SourceFile } from '../db/entities.js'
import { encodeId } from '../ids.js'
import { isFormulaLike, isProtected } from '../pipeline/formula.js'
import type { MappingConflict } from '../pipeline/types.js'
import { customDefinition, customKeyOf } from '../records/custom.js'
import { recordTypes } from '../records/index.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../records/types.js'
import type {
  AuditRunRow,
  BundleRunRow,
  ExportRunRow,
  FieldChangeView,
  ImportRunRow,
  MigrationRunRow,
  RelatedView,
  RollbackRunRow,
  RunRow,
} from '../runs/types.js'
import type { RecordTypeEnum } from '../schema/enums.js'
import type { Mapping } from '../schema/mapping.js'
import type { FieldChange, ImportOptionsType, RelatedOutcome } from '../schema/runs.js'
import { type ApiContext, may } from './context.js'

/** The record type of an enum value of the API. */
export function recordTypeOf(value: keyof typeof RecordTypeEnum): RecordTypeName {
  return value.toLowerCase() as RecordTypeName
}

/** The enum value of a record type. */
export function recordTypeEnum(name: RecordTypeName): keyof typeof RecordTypeEnum {
  return name.toUpperCase() as keyof typeof RecordTypeEnum
}

/** An uploaded file as the API shows it. */
export interface FileView {
  readonly __typename: 'SourceFile'
  readonly id: string
  readonly name: string
  readonly byteSize: number
  readonly sha256: string
  readonly uploadedAt: Date
  readonly expiresAt: Date
  readonly detection: Detection
}

/** What the caller may see of a file. */
export function showFile(context: ApiContext, file: SourceFile): FileView {
  // Files that were looked at before there were other formats say nothing of sheets and paths.
  const detection = { ...noSheets, ...(file.detection as Detection) }
  return {
    __typename: 'SourceFile',
    id: encodeId('file', file.id),
    name: file.name,
    byteSize: file.byteSize,
    sha256: file.sha256,
    uploadedAt: file.uploadedAt,
    expiresAt: file.expiresAt,
    // Once a file is purged, what it held is to be forgotten too.
    detection: file.purgedAt == null ? showDetection(context, detection) : withoutSamples(detection),
  }
}

/** What the caller may see of what was found in a file. */
export function showDetection(
  context: ApiContext,
  detection: Detection,
): Detection & { readonly formulasEscaped: boolean | null } {
  const shown = may(context, 'PII_READ') ? detection : withoutSamples(detection)
  return { ...shown, formulasEscaped: formulasSeen(detection) }
}

/** Whether the values that were seen are protected from being formulas; null where none of them could be one, or would need it. */
function formulasSeen({ format, columns }: Detection): boolean | null {
  const values =
    format === 'CSV'
      ? columns.flatMap(({ samples, topValues }) => [...samples, ...topValues.map(({ value }) => value)])
      : []
  const isBare = values.some((value) => isFormulaLike(value) && !isProtected(value))
  return isBare ? false : values.some(isProtected) ? true : null
}

function withoutSamples(detection: Detection): Detection {
  return { ...detection, columns: detection.columns.map(withoutValues) }
}

const noSheets = { sheets: [], sheet: null, jsonPath: null }

function withoutValues(column: DetectedColumn): DetectedColumn {
  return { ...column, samples: [], topValues: [] }
}

/** A run as the API shows it: its row, which answers most fields by itself, under a public id. */
export type RunView =
  | (Omit<ImportRunRow, 'recordType' | 'mapping' | 'options' | 'plan'> & {
      readonly __typename: 'ImportRun'
      readonly options: ImportOptionsType
      readonly run: ImportRunRow
      readonly recordType: keyof typeof RecordTypeEnum
      readonly mapping: Mapping
    })
  | (AuditRunRow & { readonly __typename: 'AuditRun'; readonly run: AuditRunRow })
  | (MigrationRunRow & { readonly __typename: 'Migration'; readonly run: MigrationRunRow })
  | (RollbackRunRow & { readonly __typename: 'RollbackRun'; readonly run: RollbackRunRow })
  | (Omit<ExportRunRow, 'recordType'> & {
      readonly __typename: 'ExportRun'
      readonly run: ExportRunRow
      readonly recordType: keyof typeof RecordTypeEnum
      readonly format: ExportRunRow['spec']['format']['format']
    })
  | (Omit<BundleRunRow, 'recordTypes'> & {
      readonly __typename: 'BundleRun'
      readonly run: BundleRunRow
      readonly recordTypes: readonly (keyof typeof RecordTypeEnum)[]
    })

export type BundleRunView = Extract<RunView, { __typename: 'BundleRun' }>
export type MigrationView = Extract<RunView, { __typename: 'Migration' }>
export type ImportRunView = Extract<RunView, { __typename: 'ImportRun' }>
export type ExportRunView = Extract<RunView, { __typename: 'ExportRun' }>
export type RollbackRunView = Extract<RunView, { __typename: 'RollbackRun' }>

/** What the caller may see of a run. */
export function showRun(context: ApiContext, run: RunRow): RunView {
  const id = encodeId('run', run.id)
  switch (run.kind) {
    case 'IMPORT':
      return {
        ...run,
        __typename: 'ImportRun',
        id,
        run,
        recordType: recordTypeEnum(run.recordType),
        mapping: showMapping(context, run),
        options: {
          ...run.options,
          onMissingRelation: run.options.onMissingRelation ?? 'FAIL_ROW',
          changedHere: run.options.changedHere ?? 'KEEP',
        },
      }
    case 'EXPORT':
      return {
        ...run,
        __typename: 'ExportRun',
        id,
        run,
        recordType: recordTypeEnum(run.recordType),
        format: run.spec.format.format,
      }
    case 'BUNDLE_EXPORT':
    case 'BUNDLE_IMPORT':
      return { ...run, __typename: 'BundleRun', id, run, recordTypes: run.recordTypes.map(recordTypeEnum) }
    case 'AUDIT_EXPORT':
      return { ...run, __typename: 'AuditRun', id, run }
    case 'MIGRATION':
      return { ...run, __typename: 'Migration', id, run }
    case 'ROLLBACK':
      return { ...run, __typename: 'RollbackRun', id, run, ofRunId: encodeId('run', run.ofRunId) }
    default:
      return run satisfies never
  }
}

function showMapping(context: ApiContext, run: ImportRunRow): Mapping {
  const type = recordTypes[run.recordType]
  const open = may(context, 'PII_READ')
  return {
    columns: run.mapping,
    conflicts: run.conflicts.map((conflict) => (open ? conflict : hideValues(type, conflict))),
    unmappedRequiredFields: run.unmappedRequired,
  }
}

/** A conflict without the values that it quotes, where its field is sensitive. */
export function hideValues(type: RecordType, conflict: MappingConflict): MappingConflict {
  if (!isSensitive(type, conflict.field)) {
    return conflict
  }
  return hideQuotes(conflict)
}

/** A conflict without the values that it quotes, whatever its field. */
export function hideQuotes(conflict: MappingConflict): MappingConflict {
  const { message, values, readings, columns, field } = conflict
  const columnNames = columns.map((name) => `"${name}"`).join(' and ')
  return {
    ...conflict,
    values: values.map(() => MASK),
    readings: readings.map(({ format }) => ({ format, exampleValue: MASK, exampleReading: MASK })),
    // Such messages name the values themselves.
    message:
      values.length === 0 && readings.length === 0
        ? message
        : `What ${columnNames} holds for ${field} can be read in several ways or is not known. Seeing it needs the permission PII_READ.`,
  }
}

/** The field that a change is about. Changes name columns, `contactId` for what the API calls `contact`; null for a column of our own. */
export function storedField(type: RecordType, column: string): FieldDefinition | null {
  const key = customKeyOf(column)
  if (key !== null) {
    // The tenant may have archived it since; all that matters of it here is its name, and that it is sensitive.
    return customDefinition({ key, label: key, kind: 'TEXT', options: null })
  }
  return (
    type.fields.find(
      (field) => field.column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) === column,
    ) ?? null
  )
}

/** A stored value of a change as the caller may see it: references by public id, owners by e-mail address. */
export async function showStored(
  context: ApiContext,
  field: FieldDefinition,
  value: string | null,
): Promise<string | null> {
  if (value === null) {
    return null
  }
  if (field.reference !== null) {
    if (value.startsWith('row ')) {
      // In a plan: a record that the import itself makes, which has no id yet.
      return value
    }
    const { to } = field.reference
    return to === 'member' ? context.loaders.memberEmail(value) : encodeId(to, value)
  }
  return field.sensitive && !may(context, 'PII_READ') ? masked(value) : value
}

/** The changes of a record as the caller may see them. That it was deleted or brought back is told by its outcome. */
export async function showChanges(
  context: ApiContext,
  type: RecordType,
  changes: readonly FieldChangeView[],
): Promise<FieldChange[]> {
  const shown = await Promise.all(
    changes.map(async (change): Promise<FieldChange[]> => {
      const field = storedField(type, change.field)
      if (field === null) {
        return []
      }
      const [before, after] = await Promise.all(
        [change.before, change.after].map((value) => showStored(context, field, value)),
      )
      return [{ field: field.name, before: before ?? null, after: after ?? null }]
    }),
  )
  return shown.flat()
}

/** Records that a row made or changed beside its own. */
export function showRelated(context: ApiContext, related: readonly RelatedView[]): Promise<RelatedOutcome[]> {
  return Promise.all(
    related.map(async ({ recordType, recordId, changes, ...one }) => ({
      ...one,
      recordType: recordTypeEnum(recordType),
      recordId: recordId === null ? null : encodeId(recordType, recordId),
      changes: await showChanges(context, recordTypes[recordType], changes),
    })),
  )
}
