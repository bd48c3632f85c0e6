import 'reflect-metadata'
import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql'
import { connectionOf, Node, Payload } from './common.js'
import { RecordTypeEnum } from './enums.js'
import { Integration } from './integrations.js'
import { ColumnMappingInput, Mapping, MappingConflict } from './mapping.js'
import { ImportOptionsInput, ImportRun, RowCounts, RunInterface, StatusReasonType } from './runs.js'
import { DateTime, SafeInt } from './scalars.js'

export const MigrationStageEnum = {
  DRAFT: 'DRAFT',
  DISCOVERING: 'DISCOVERING',
  AWAITING_MAPPING: 'AWAITING_MAPPING',
  EXTRACTING: 'EXTRACTING',
  STAGING: 'STAGING',
  AWAITING_REVIEW: 'AWAITING_REVIEW',
  PROMOTING: 'PROMOTING',
  VERIFYING: 'VERIFYING',
  READY_FOR_DELTA: 'READY_FOR_DELTA',
  COMPLETED: 'COMPLETED',
} as const

registerEnumType(MigrationStageEnum, {
  name: 'MigrationStage',
  description:
    'How far a migration is. It rests in AWAITING_MAPPING, AWAITING_REVIEW and READY_FOR_DELTA until somebody asks for the next thing.',
})

@ObjectType('VerificationCheck')
export class VerificationCheckType {
  @Field(() => String)
  readonly name!: string

  @Field(() => String, { nullable: true, description: 'Null for a check of the migration as a whole.' })
  readonly object!: string | null

  @Field(() => String)
  readonly expected!: string

  @Field(() => String)
  readonly actual!: string

  @Field(() => Boolean)
  readonly passed!: boolean

  @Field(() => String, { nullable: true })
  readonly detail!: string | null
}

@ObjectType('VerificationReport', { description: 'The proof of a migration: what is here against what is there.' })
export class VerificationReportType {
  @Field(() => Boolean)
  readonly passed!: boolean

  @Field(() => [VerificationCheckType])
  readonly checks!: readonly VerificationCheckType[]

  @Field(() => DateTime)
  readonly createdAt!: string

  @Field(() => String, { description: 'The same as a file; the link is signed and expires.' })
  readonly fileUrl!: string
}

@ObjectType('ReadingProblem')
export class ReadingProblemType {
  @Field(() => String, { description: 'See the documentation of migrations.' })
  readonly code!: string

  @Field(() => SafeInt)
  readonly count!: number

  @Field(() => String, { description: 'Never a value of a record.' })
  readonly message!: string

  @Field(() => String, {
    nullable: true,
    description: 'The first record that it is about; null where it is about the object.',
  })
  readonly externalId!: string | null
}

@ObjectType('MigrationObject')
export class MigrationObjectType {
  @Field(() => String)
  readonly object!: string

  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => Mapping)
  readonly mapping!: Mapping

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Records that the service said there are when it was looked at; null before that.',
  })
  readonly expected!: number | null

  @Field(() => SafeInt, { description: 'Different records read in the newest pass.' })
  readonly extracted!: number

  @Field(() => String, { nullable: true, description: 'Where the next incremental pass starts.' })
  readonly watermark!: string | null

  @Field(() => ImportRun, { nullable: true, description: 'Of the newest pass; it exists from staging on.' })
  readonly importRun!: ImportRun | null

  @Field(() => RowCounts, { description: 'Of all passes together.' })
  readonly counts!: RowCounts

  @Field(() => [ImportRun], { description: 'One for each pass that brought something, and one for its deletions.' })
  readonly passes!: readonly ImportRun[]

  @Field(() => [MappingConflict], {
    description: 'What the service describes otherwise than when the mapping was made.',
  })
  readonly drift!: readonly MappingConflict[]

  @Field(() => [ReadingProblemType], {
    description: 'What was noticed in all that was read, and is no reason to stop; by code.',
  })
  readonly problems!: readonly ReadingProblemType[]
}

@ObjectType('Migration', { implements: [RunInterface, Node] })
export class Migration {
  @Field(() => Integration)
  readonly integration!: Integration

  @Field(() => MigrationStageEnum)
  readonly stage!: keyof typeof MigrationStageEnum

  @Field(() => [MigrationObjectType])
  readonly objects!: readonly MigrationObjectType[]

  @Field(() => VerificationReportType, { nullable: true })
  readonly verification!: VerificationReportType | null

  @Field(() => String, {
    nullable: true,
    description: 'When changes are read again by themselves, as a cron expression.',
  })
  readonly schedule!: string | null

  @Field(() => String, { nullable: true })
  readonly timeZone!: string | null

  @Field(() => DateTime, { nullable: true })
  readonly nextRunAt!: Date | null

  @Field(() => StatusReasonType, {
    nullable: true,
    description: 'Why the schedule stands still; null while it does not. Setting it again starts it anew.',
  })
  readonly scheduleDisabled!: StatusReasonType | null
}

export const MigrationConnection = connectionOf('Migration', () => Migration, false)

@InputType('MigrationObjectInput')
export class MigrationObjectInput {
  @Field(() => String, { description: 'As `integrationObjects` names it.' })
  readonly object!: string

  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => [ColumnMappingInput], { nullable: true, description: 'Suggested where absent.' })
  readonly mapping?: ColumnMappingInput[] | null

  @Field(() => Int, { nullable: true, description: 'Only so many records, and those that they refer to.' })
  readonly sampleSize?: number | null

  @Field(() => String, {
    nullable: true,
    description: 'A condition in the words of the service, e.g. a SOQL condition.',
  })
  readonly filter?: string | null
}

@InputType('MigrationCreateInput')
export class MigrationCreateInput {
  @Field(() => ID)
  readonly integrationId!: string

  @Field(() => [MigrationObjectInput])
  readonly objects!: MigrationObjectInput[]

  @Field(() => ImportOptionsInput, { nullable: true })
  readonly options?: ImportOptionsInput | null

  @Field(() => String)
  readonly idempotencyKey!: string
}

@InputType('MigrationMappingUpdateInput')
export class MigrationMappingUpdateInput {
  @Field(() => ID)
  readonly migrationId!: string

  @Field(() => String)
  readonly object!: string

  @Field(() => [ColumnMappingInput])
  readonly mapping!: ColumnMappingInput[]
}

@InputType('MigrationInput')
export class MigrationInput {
  @Field(() => ID)
  readonly migrationId!: string

  @Field(() => String)
  readonly idempotencyKey!: string
}

@InputType('MigrationScheduleInput')
export class MigrationScheduleInput {
  @Field(() => ID)
  readonly migrationId!: string

  @Field(() => String, {
    nullable: true,
    description: 'A cron expression; null: changes are read when somebody asks for them.',
  })
  readonly schedule?: string | null

  @Field(() => String, { nullable: true, description: 'UTC where absent.' })
  readonly timeZone?: string | null
}

@ObjectType('MigrationPayload')
export class MigrationPayload extends Payload {
  @Field(() => Migration, { nullable: true })
  readonly migration!: Migration | null
}
