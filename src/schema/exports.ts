import 'reflect-metadata'
import { Field, ID, InputType, ObjectType } from 'type-graphql'
import type { ExportFormat } from '../runs/types.js'
import { Node, Payload } from './common.js'
import { ExportFileFormat, FileCompression, RecordTypeEnum } from './enums.js'
import { RecordFilterInput, RecordOrderInput } from './records.js'
import { RunInterface, StatusReasonType } from './runs.js'
import { DateTime } from './scalars.js'

@ObjectType('ExportRun', {
  implements: [RunInterface, Node],
  description:
    'Its file is there when it is COMPLETED, with exactly `counts.read` rows, and never before. Paused or interrupted it begins again, ' +
    'on a new snapshot.',
})
export class ExportRun {
  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => ExportFileFormat)
  readonly format!: string

  @Field(() => DateTime, {
    nullable: true,
    description: 'The moment that the file shows. Null until it has begun; a later one when it begins again.',
  })
  readonly snapshotAt!: Date | null
}

@InputType('ExportColumnInput', {
  description:
    'A field of recordSchema, a path to a field of the record that a reference leads to (`contact.email`), or `id`, `createdAt`, ' +
    '`updatedAt`, `version`.',
})
export class ExportColumnInput {
  @Field(() => String)
  readonly field!: string

  @Field(() => String, { nullable: true, description: 'The name of the field where absent.' })
  readonly header?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'Of dates in CSV a pattern such as `dd.MM.yyyy`; in a workbook the number format of the cells.',
  })
  readonly format?: string | null
}

@InputType('ExportFormatInput', {
  description: 'What a format has no use for is passed over. Absent members are as the template has them, or as usual.',
})
export class ExportFormatInput {
  @Field(() => ExportFileFormat, { nullable: true, description: 'CSV where absent.' })
  readonly format?: ExportFormat['format'] | null

  @Field(() => FileCompression, { nullable: true, description: 'NONE or GZIP.' })
  readonly compression?: keyof typeof FileCompression | null

  @Field(() => String, { nullable: true, description: 'Of CSV: one sign, a comma where absent.' })
  readonly delimiter?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'Of CSV: UTF-8 where absent. What an encoding does not have ends the export.',
  })
  readonly encoding?: string | null

  @Field(() => Boolean, { nullable: true, description: 'Of CSV in UTF-8 and UTF-16; false where absent.' })
  readonly byteOrderMark?: boolean | null

  @Field(() => String, { nullable: true, description: 'Of dates in CSV, e.g. `dd.MM.yyyy`; ISO 8601 where absent.' })
  readonly dateFormat?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'In which moments are written, e.g. `Europe/Berlin`; UTC where absent.',
  })
  readonly timeZone?: string | null

  @Field(() => String, { nullable: true, description: 'Stands in CSV where there is no value; nothing where absent.' })
  readonly nullText?: string | null

  @Field(() => String, { nullable: true, description: 'Of CSV: `.` or `,`; `.` where absent.' })
  readonly decimalSeparator?: string | null

  @Field(() => Boolean, { nullable: true, description: 'True by default.' })
  readonly escapeFormulas?: boolean | null
}

@InputType('ExportCreateInput', {
  description:
    'What is said here goes before what the template says, `format` member by member. Without columns: `id`, then every field in the order ' +
    'of recordSchema, as an import of the file takes them.',
})
export class ExportCreateInput {
  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => RecordFilterInput, { nullable: true })
  readonly filter?: RecordFilterInput | null

  @Field(() => [RecordOrderInput], {
    nullable: true,
    description: 'As the records are stored where absent, which is fastest.',
  })
  readonly orderBy?: RecordOrderInput[] | null

  @Field(() => [ExportColumnInput], { nullable: true })
  readonly columns?: ExportColumnInput[] | null

  @Field(() => ExportFormatInput, { nullable: true })
  readonly format?: ExportFormatInput | null

  @Field(() => ID, { nullable: true })
  readonly templateId?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The extension is added. Named after the template, or the record type, and the day where absent.',
  })
  readonly fileName?: string | null

  @Field(() => String)
  readonly idempotencyKey!: string
}

@ObjectType('ExportCreatePayload')
export class ExportCreatePayload extends Payload {
  @Field(() => ExportRun, { nullable: true })
  readonly exportRun!: ExportRun | null
}

@ObjectType('ExportTemplate', {
  implements: Node,
  description:
    'An export that the tenant keeps. One with a schedule runs by itself, as its owner, who is whoever saved it last, with what the owner ' +
    'is allowed at that moment. What is due while the service is down is made up for by one run.',
})
export class ExportTemplate {
  @Field(() => String, { description: 'Unique among the templates of the tenant.' })
  readonly name!: string

  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => String, {
    nullable: true,
    description: 'A cron expression of five fields, in `timeZone`; null for none.',
  })
  readonly schedule!: string | null

  @Field(() => DateTime)
  readonly createdAt!: Date

  @Field(() => String, {
    nullable: true,
    description: 'As JSON of RecordFilterInput; null for none. Values of sensitive fields are masked without PII_READ.',
  })
  readonly filter!: string | null

  @Field(() => [String], {
    description: 'Names of the fields. Empty: all that whoever runs it may see.',
  })
  readonly columns!: readonly string[]

  @Field(() => ExportFileFormat)
  readonly format!: string

  @Field(() => String, { nullable: true, description: 'Of the schedule; null without one that ever had one.' })
  readonly timeZone!: string | null

  @Field(() => DateTime, { nullable: true, description: 'Null: it has no schedule, or that is disabled.' })
  readonly nextRunAt!: Date | null

  @Field(() => StatusReasonType, {
    nullable: true,
    description: 'Why the schedule is disabled; null while it is not. Saving the template enables it again.',
  })
  readonly disabledReason!: StatusReasonType | null

  @Field(() => String, { description: 'As whom its schedule exports.' })
  readonly owner!: string
}

@InputType('ExportTemplateSaveInput', {
  description: '`schedule` is a cron expression in the given time zone; null saves the template without one.',
})
export class ExportTemplateSaveInput {
  @Field(() => ID, { nullable: true, description: 'Writes this template anew.' })
  readonly id?: string | null

  @Field(() => String)
  readonly name!: string

  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => RecordFilterInput, { nullable: true })
  readonly filter?: RecordFilterInput | null

  @Field(() => [RecordOrderInput], { nullable: true })
  readonly orderBy?: RecordOrderInput[] | null

  @Field(() => [ExportColumnInput], { nullable: true })
  readonly columns?: ExportColumnInput[] | null

  @Field(() => ExportFormatInput, { nullable: true })
  readonly format?: ExportFormatInput | null

  @Field(() => String, {
    nullable: true,
    description: 'Minute, hour, day of the month, month, day of the week, e.g. `30 6 * * 1-5`.',
  })
  readonly schedule?: string | null

  @Field(() => String, { nullable: true, description: 'UTC where absent.' })
  readonly timeZone?: string | null
}

@ObjectType('ExportTemplatePayload')
export class ExportTemplatePayload extends Payload {
  @Field(() => ExportTemplate, { nullable: true })
  readonly exportTemplate!: ExportTemplate | null
}
