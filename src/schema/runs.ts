import 'reflect-metadata'
import type { FileUpload } from 'graphql-upload-ts'
import { Field, Float, ID, InputType, Int, InterfaceType, ObjectType } from 'type-graphql'
import type { ImportOptions as Options } from '../pipeline/types.js'
import type { RunStatus } from '../runs/status.js'
import type { OnRollbackConflict, RowOutcome, RunKind } from '../runs/types.js'
import { connectionOf, Node, Payload, type Typed } from './common.js'
import {
  Confirmation,
  FileFormat,
  ImportOperation,
  IssueCodeEnum,
  IssueSeverityEnum,
  OnBlankCell,
  OnChangedHere,
  OnDrift,
  OnDuplicate,
  OnInvalidRow,
  OnMissingRelation,
  OnRollbackConflictEnum,
  RecordTypeEnum,
  RowOutcomeEnum,
  RunFileKind,
  RunKindEnum,
  RunStatusEnum,
  SideEffects,
} from './enums.js'
import { SourceOptionsInput } from './files.js'
import { ColumnMappingInput, Mapping } from './mapping.js'
import { DateTime, SafeInt, Upload } from './scalars.js'

@ObjectType('StatusReason')
export class StatusReasonType {
  @Field(() => String)
  readonly code!: string

  @Field(() => String)
  readonly message!: string

  @Field(() => Boolean)
  readonly retryable!: boolean

  @Field(() => DateTime, {
    nullable: true,
    description: 'Of a run that is DEFERRED: when it may start, as far as anybody can tell. It starts by itself.',
  })
  readonly estimatedStartAt?: string | null
}

@ObjectType('RowCounts', {
  description:
    'An ended import: total = created + updated + unchanged + skipped + failed + deleted + unprocessed; an ended rollback: total = ' +
    'reverted + kept + unchanged + unprocessed. The database refuses to end a run for which this is not true. After a rollback, ' +
    'reverted and kept count the import’s rows again and change none of the others.',
})
export class RowCounts {
  @Field(() => SafeInt, { nullable: true, description: 'Null until the rows have been counted.' })
  readonly total!: number | null

  @Field(() => SafeInt)
  readonly read!: number

  @Field(() => SafeInt)
  readonly created!: number

  @Field(() => SafeInt)
  readonly updated!: number

  @Field(() => SafeInt)
  readonly unchanged!: number

  @Field(() => SafeInt)
  readonly skipped!: number

  @Field(() => SafeInt)
  readonly failed!: number

  @Field(() => SafeInt)
  readonly unprocessed!: number

  @Field(() => SafeInt)
  readonly reverted!: number

  @Field(() => SafeInt)
  readonly kept!: number

  @Field(() => SafeInt)
  readonly deleted!: number
}

@ObjectType('Progress')
export class ProgressType {
  @Field(() => Float, { nullable: true, description: 'From 0 to 1; null while the total is unknown.' })
  readonly fraction!: number | null

  @Field(() => Float, { nullable: true })
  readonly rowsPerSecond!: number | null

  @Field(() => SafeInt)
  readonly bytesRead!: number

  @Field(() => SafeInt, { nullable: true })
  readonly bytesTotal!: number | null

  @Field(() => DateTime, { nullable: true })
  readonly etaAt!: string | null
}

@ObjectType('StageTiming')
export class StageTiming {
  @Field(() => String)
  readonly stage!: string

  @Field(() => SafeInt)
  readonly ms!: number
}

@ObjectType('RunMetrics')
export class RunMetrics {
  @Field(() => SafeInt)
  readonly queuedMs!: number

  @Field(() => SafeInt)
  readonly runningMs!: number

  @Field(() => Float, { nullable: true })
  readonly rowsPerSecond!: number | null

  @Field(() => SafeInt)
  readonly chunks!: number

  @Field(() => Int, { description: 'Since the run last got on.' })
  readonly attempts!: number

  @Field(() => SafeInt, { nullable: true })
  readonly peakRssBytes!: number | null

  @Field(() => [StageTiming])
  readonly stages!: readonly StageTiming[]
}

@ObjectType('RunFile', {
  description: '`url` is signed, works without other credentials, supports Range requests and expires.',
})
export class RunFile {
  @Field(() => RunFileKind)
  readonly kind!: keyof typeof RunFileKind

  @Field(() => String)
  readonly name!: string

  @Field(() => FileFormat, { nullable: true })
  readonly format!: string | null

  @Field(() => SafeInt)
  readonly byteSize!: number

  @Field(() => SafeInt, { nullable: true })
  readonly rowCount!: number | null

  @Field(() => String)
  readonly sha256!: string

  @Field(() => String)
  readonly url!: string

  @Field(() => DateTime)
  readonly urlExpiresAt!: Date
}

@InterfaceType('Run', { resolveType: (value: Typed) => value.__typename })
export class RunInterface {
  @Field(() => ID)
  readonly id!: string

  @Field(() => RunKindEnum)
  readonly kind!: RunKind

  @Field(() => RunStatusEnum)
  readonly status!: RunStatus

  @Field(() => StatusReasonType, {
    nullable: true,
    description: 'Why it failed, paused or was deferred; null otherwise.',
  })
  readonly statusReason!: StatusReasonType | null

  @Field(() => RowCounts)
  readonly counts!: RowCounts

  @Field(() => ProgressType)
  readonly progress!: ProgressType

  @Field(() => String)
  readonly createdBy!: string

  @Field(() => DateTime)
  readonly createdAt!: Date

  @Field(() => DateTime, { nullable: true })
  readonly startedAt!: Date | null

  @Field(() => DateTime, { nullable: true })
  readonly finishedAt!: Date | null
}

export const RunConnection = connectionOf('Run', () => RunInterface, false)

@ObjectType('Cell')
export class Cell {
  @Field(() => String)
  readonly column!: string

  @Field(() => String, {
    nullable: true,
    description: 'Null where the row is too short to have the cell, and without PII_READ.',
  })
  readonly value!: string | null
}

@ObjectType('FieldChange')
export class FieldChange {
  @Field(() => String)
  readonly field!: string

  @Field(() => String, { nullable: true })
  readonly before!: string | null

  @Field(() => String, { nullable: true })
  readonly after!: string | null
}

@ObjectType('RowIssue')
export class RowIssue {
  @Field(() => SafeInt)
  readonly rowNumber!: number

  @Field(() => String, { nullable: true })
  readonly column!: string | null

  @Field(() => String, { nullable: true })
  readonly field!: string | null

  @Field(() => IssueCodeEnum)
  readonly code!: string

  @Field(() => IssueSeverityEnum)
  readonly severity!: string

  @Field(() => String, {
    nullable: true,
    description:
      'The offending value as it stood in the file, cut at 500 characters. Of sensitive fields null without PII_READ.',
  })
  readonly value!: string | null

  @Field(() => String)
  readonly message!: string

  @Field(() => String, { nullable: true })
  readonly suggestion!: string | null
}

export const RowIssueConnection = connectionOf('RowIssue', () => RowIssue, true)

@ObjectType('IssueGroup')
export class IssueGroup {
  @Field(() => IssueCodeEnum)
  readonly code!: string

  @Field(() => String, { nullable: true })
  readonly column!: string | null

  @Field(() => String, { nullable: true })
  readonly field!: string | null

  @Field(() => SafeInt)
  readonly count!: number

  @Field(() => SafeInt)
  readonly firstRow!: number

  @Field(() => SafeInt)
  readonly lastRow!: number

  @Field(() => [String])
  readonly sampleValues!: readonly string[]

  @Field(() => String)
  readonly message!: string

  @Field(() => String, {
    nullable: true,
    description: 'What to do about it, as most of the issues say; null where none does.',
  })
  readonly suggestion!: string | null
}

@ObjectType('RelatedOutcome', {
  description:
    'A record of another type that the same row made or changed. The row’s own outcome is that of its main record; run counts count rows.',
})
export class RelatedOutcome {
  @Field(() => String, { description: 'The reference by which the row names the record, e.g. `contact`.' })
  readonly path!: string

  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => ID, { nullable: true })
  readonly recordId!: string | null

  @Field(() => RowOutcomeEnum)
  readonly outcome!: RowOutcome

  @Field(() => [FieldChange], { description: 'Of a record that was changed.' })
  readonly changes!: readonly FieldChange[]
}

@ObjectType('PendingRelation')
export class PendingRelation {
  @Field(() => SafeInt)
  readonly rowNumber!: number

  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => ID)
  readonly recordId!: string

  @Field(() => String, { description: 'As a mapping names it, e.g. `contact.email`.' })
  readonly field!: string

  @Field(() => String, {
    description: 'What names the record that is waited for. Masked without PII_READ where it is sensitive.',
  })
  readonly key!: string
}

export const PendingRelationConnection = connectionOf('PendingRelation', () => PendingRelation, true, false)

@ObjectType('ImportRow', {
  description:
    'Kept for every row that failed, was skipped, was changed or carries an issue; a plain created row is listed only by number.',
})
export class ImportRow {
  @Field(() => [RelatedOutcome])
  readonly related!: readonly RelatedOutcome[]

  @Field(() => SafeInt)
  readonly rowNumber!: number

  @Field(() => RowOutcomeEnum)
  readonly outcome!: RowOutcome

  @Field(() => ID, { nullable: true })
  readonly recordId!: string | null

  @Field(() => [Cell], { description: 'As they stand in the file; empty once the file has expired.' })
  readonly cells!: readonly Cell[]

  @Field(() => [FieldChange])
  readonly changes!: readonly FieldChange[]

  @Field(() => [RowIssue])
  readonly issues!: readonly RowIssue[]

  @Field(() => String, { nullable: true, description: 'The external id that the row gave.' })
  readonly sourceId!: string | null
}

export const ImportRowConnection = connectionOf('ImportRow', () => ImportRow, true)

@InputType('ImportOptionsInput', {
  description: 'Absent means: the default when a run is created, unchanged when it is updated.',
})
export class ImportOptionsInput {
  @Field(() => OnDuplicate, { nullable: true, description: 'UPDATE by default.' })
  readonly onDuplicate?: Options['onDuplicate'] | null

  @Field(() => [[String]], {
    nullable: true,
    description:
      'Fields that identify a record, tried in order; default: externalId, then the record type’s natural keys.',
  })
  readonly matchOn?: string[][] | null

  @Field(() => OnInvalidRow, { nullable: true, description: 'SKIP_ROW by default.' })
  readonly onInvalidRow?: Options['onInvalidRow'] | null

  @Field(() => SafeInt, { nullable: true, description: 'Stop when more rows than this have failed.' })
  readonly maxFailedRows?: number | null

  @Field(() => Float, {
    nullable: true,
    description: 'Stop when a larger part of the rows than this (0 to 1) has failed.',
  })
  readonly maxFailedFraction?: number | null

  @Field(() => Boolean, {
    nullable: true,
    description: 'True: after a run that stopped or has any failed row, everything it wrote is undone.',
  })
  readonly allOrNothing?: boolean | null

  @Field(() => SideEffects, {
    nullable: true,
    description: 'ALL by default: record webhooks are sent; NONE sends only those of the run.',
  })
  readonly sideEffects?: Options['sideEffects'] | null

  @Field(() => String, { nullable: true, description: 'The system that external ids belong to; `file` by default.' })
  readonly sourceSystem?: string | null

  @Field(() => ImportOperation, {
    nullable: true,
    description:
      'UPSERT by default; UPDATE_ONLY never creates; DELETE deletes what matches (softly, can be rolled back).',
  })
  readonly operation?: Options['operation'] | null

  @Field(() => OnBlankCell, { nullable: true, description: 'KEEP by default: a blank cell leaves the field as it is.' })
  readonly onBlank?: Options['onBlank'] | null

  @Field(() => String, {
    nullable: true,
    description: 'A cell with exactly this text clears the field, whatever onBlank says, e.g. `#N/A`.',
  })
  readonly clearText?: string | null

  @Field(() => OnDrift, {
    nullable: true,
    description: 'What a record that changed between plan and run gets; SKIP_ROW by default.',
  })
  readonly onDrift?: Options['onDrift'] | null

  @Field(() => OnMissingRelation, {
    nullable: true,
    description: 'FAIL_ROW by default; DROP_LINK leaves the reference empty and says so.',
  })
  readonly onMissingRelation?: Options['onMissingRelation']

  @Field(() => Float, {
    nullable: true,
    description:
      'Suggested columns below this confidence are never applied without a person or an explicit mapping; 0.9 by default.',
  })
  readonly minConfidence?: number | null

  @Field(() => String, { nullable: true })
  readonly defaultOwnerEmail?: string | null

  @Field(() => OnChangedHere, {
    nullable: true,
    description:
      'Of a migration: KEEP, the default, leaves fields as they are that were changed here since the source said them, and records that were changed here and are gone at the source.',
  })
  readonly changedHere?: Options['changedHere'] | null
}

@ObjectType('ImportOptions')
export class ImportOptionsType {
  @Field(() => OnChangedHere)
  readonly changedHere!: NonNullable<Options['changedHere']>

  @Field(() => OnDuplicate)
  readonly onDuplicate!: Options['onDuplicate']

  @Field(() => [[String]])
  readonly matchOn!: readonly (readonly string[])[]

  @Field(() => OnInvalidRow)
  readonly onInvalidRow!: Options['onInvalidRow']

  @Field(() => SafeInt, { nullable: true })
  readonly maxFailedRows!: number | null

  @Field(() => Float, { nullable: true })
  readonly maxFailedFraction!: number | null

  @Field(() => Boolean)
  readonly allOrNothing!: boolean

  @Field(() => SideEffects)
  readonly sideEffects!: Options['sideEffects']

  @Field(() => String, { nullable: true })
  readonly sourceSystem!: string | null

  @Field(() => ImportOperation)
  readonly operation!: Options['operation']

  @Field(() => OnBlankCell)
  readonly onBlank!: Options['onBlank']

  @Field(() => String, { nullable: true })
  readonly clearText!: string | null

  @Field(() => OnDrift)
  readonly onDrift!: Options['onDrift']

  @Field(() => OnMissingRelation)
  readonly onMissingRelation!: NonNullable<Options['onMissingRelation']>

  @Field(() => Float)
  readonly minConfidence!: number

  @Field(() => String, { nullable: true })
  readonly defaultOwnerEmail!: string | null
}

@ObjectType('ColumnFormat', {
  description: 'The one format chosen for a date or number column from all of its values, and a row that proves it.',
})
export class ColumnFormat {
  @Field(() => String)
  readonly column!: string

  @Field(() => String)
  readonly field!: string

  @Field(() => String)
  readonly format!: string

  @Field(() => Boolean)
  readonly ambiguous!: boolean

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Null where no value excluded another format, or a person said it.',
  })
  readonly provenByRow!: number | null
}

@ObjectType('PlannedRow')
export class PlannedRow {
  @Field(() => [RelatedOutcome])
  readonly related!: readonly RelatedOutcome[]

  @Field(() => SafeInt)
  readonly rowNumber!: number

  @Field(() => RowOutcomeEnum)
  readonly outcome!: RowOutcome

  @Field(() => ID, { nullable: true, description: 'Null where the record does not exist yet.' })
  readonly recordId!: string | null

  @Field(() => [FieldChange], { description: 'Of a new record every field that it gets from the row.' })
  readonly changes!: readonly FieldChange[]

  @Field(() => [RowIssue])
  readonly issues!: readonly RowIssue[]

  @Field(() => String, { nullable: true, description: 'The external id that the row gives.' })
  readonly sourceId!: string | null

  @Field(() => [Cell], { description: 'As they stand in the file; empty once the file has expired.' })
  readonly cells!: readonly Cell[]
}

export const PlannedRowConnection = connectionOf('PlannedRow', () => PlannedRow, true)

@ObjectType('ImportPlan', {
  description:
    'A full rehearsal with no write to any record: same parsing, mapping, validation and matching as the real run.',
})
export class ImportPlan {
  @Field(() => String)
  readonly hash!: string

  @Field(() => RowCounts)
  readonly counts!: RowCounts

  @Field(() => DateTime)
  readonly createdAt!: Date
}

@InputType('ImportPlanInput')
export class ImportPlanInput {
  @Field(() => ID)
  readonly runId!: string
}

@InputType('ImportConfirmInput', {
  description:
    '`planHash` is required once the run has a plan. PLAN_STALE only when file, mapping, options or rules changed since; a record that ' +
    'changed is a row’s matter (onDrift).',
})
export class ImportConfirmInput {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => String, { nullable: true })
  readonly planHash?: string | null

  @Field(() => String)
  readonly idempotencyKey!: string
}

@InputType()
export class CellInput {
  @Field(() => String)
  readonly column!: string

  @Field(() => String, { nullable: true, description: 'Null: an empty cell.' })
  readonly value?: string | null
}

@InputType()
export class RowFixInput {
  @Field(() => SafeInt)
  readonly rowNumber!: number

  @Field(() => [CellInput], { description: 'What is new in the row; cells of other columns stay as they are.' })
  readonly cells!: readonly CellInput[]
}

@InputType()
export class ImportRowsFixInput {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => [RowFixInput])
  readonly rows!: readonly RowFixInput[]

  @Field(() => String)
  readonly idempotencyKey!: string
}

@InputType({
  description:
    'Without `file` the failed rows are tried again as they were; with it, the corrected FAILED_ROWS file is used.',
})
export class ImportRetryFailedInput {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => Upload, { nullable: true })
  readonly file?: Promise<FileUpload> | null

  @Field(() => String)
  readonly idempotencyKey!: string
}

@ObjectType('ImportRun', { implements: [RunInterface, Node] })
export class ImportRun {
  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => Mapping)
  readonly mapping!: Mapping

  @Field(() => ImportOptionsType)
  readonly options!: ImportOptionsType
}

@ObjectType('RollbackConflict')
export class RollbackConflict {
  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => ID)
  readonly recordId!: string

  @Field(() => String, { nullable: true, description: 'Null where the conflict is about the whole record.' })
  readonly field!: string | null

  @Field(() => String, { nullable: true })
  readonly imported!: string | null

  @Field(() => String, { nullable: true })
  readonly current!: string | null

  @Field(() => String)
  readonly message!: string

  @Field(() => SafeInt, { nullable: true })
  readonly rowNumber!: number | null

  @Field(() => String, { nullable: true })
  readonly before!: string | null
}

export const RollbackConflictConnection = connectionOf('RollbackConflict', () => RollbackConflict, true)

@ObjectType('RollbackRun', { implements: [RunInterface, Node] })
export class RollbackRun {
  @Field(() => ID)
  readonly ofRunId!: string

  @Field(() => OnRollbackConflictEnum)
  readonly onConflict!: OnRollbackConflict
}

@ObjectType('RollbackPreview')
export class RollbackPreview {
  @Field(() => SafeInt)
  readonly willRestore!: number

  @Field(() => SafeInt)
  readonly willDelete!: number

  @Field(() => SafeInt)
  readonly conflicts!: number
}

@InputType('ImportCreateInput', {
  description:
    'Give `file` (multipart) or `fileId`. Without `mapping` and `mappingTemplateId` the suggested mapping is used; a run whose mapping has ' +
    'a conflict or misses a required field waits in AWAITING_MAPPING.',
})
export class ImportCreateInput {
  @Field(() => Upload, { nullable: true })
  readonly file?: Promise<FileUpload> | null

  @Field(() => ID, { nullable: true })
  readonly fileId?: string | null

  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => SourceOptionsInput, { nullable: true })
  readonly source?: SourceOptionsInput | null

  @Field(() => [ColumnMappingInput], { nullable: true })
  readonly mapping?: ColumnMappingInput[] | null

  @Field(() => ID, {
    nullable: true,
    description:
      'In place of `mapping`: the newest version of this template. What has changed in the file since is TEMPLATE_DRIFT.',
  })
  readonly mappingTemplateId?: string | null

  @Field(() => ImportOptionsInput, { nullable: true })
  readonly options?: ImportOptionsInput | null

  @Field(() => Confirmation, {
    nullable: true,
    description:
      'ALWAYS, also where absent: the import starts by itself. ASK: it is planned and waits for importConfirm. IF_NO_ERRORS: it is ' +
      'planned, and starts by itself if no row of the plan fails.',
  })
  readonly confirmation?: keyof typeof Confirmation | null

  @Field(() => String)
  readonly idempotencyKey!: string
}

@ObjectType('ImportCreatePayload')
export class ImportCreatePayload extends Payload {
  @Field(() => ImportRun, { nullable: true })
  readonly importRun!: ImportRun | null
}

@InputType('ImportMappingUpdateInput')
export class ImportMappingUpdateInput {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => [ColumnMappingInput])
  readonly mapping!: ColumnMappingInput[]

  @Field(() => ImportOptionsInput, { nullable: true })
  readonly options?: ImportOptionsInput | null

  @Field(() => SourceOptionsInput, { nullable: true })
  readonly source?: SourceOptionsInput | null
}

@ObjectType('ImportRunPayload')
export class ImportRunPayload extends Payload {
  @Field(() => ImportRun, { nullable: true })
  readonly importRun!: ImportRun | null
}

@InputType('RunInput')
export class RunInput {
  @Field(() => ID)
  readonly runId!: string
}

@ObjectType('RunPayload')
export class RunPayload extends Payload {
  @Field(() => RunInterface, { nullable: true })
  readonly run!: RunInterface | null
}

@InputType('RunRollbackInput')
export class RunRollbackInput {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => OnRollbackConflictEnum, { nullable: true, description: 'KEEP by default.' })
  readonly onConflict?: OnRollbackConflict | null

  @Field(() => String)
  readonly idempotencyKey!: string
}

@ObjectType('RunRollbackPayload')
export class RunRollbackPayload extends Payload {
  @Field(() => RollbackRun, { nullable: true })
  readonly rollbackRun!: RollbackRun | null
}
