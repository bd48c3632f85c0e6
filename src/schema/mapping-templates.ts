import 'reflect-metadata'
import { Field, ID, InputType, Int, ObjectType } from 'type-graphql'
import { Node, Payload } from './common.js'
import { RecordTypeEnum } from './enums.js'
import { ColumnMappingInput, Mapping } from './mapping.js'
import { DateTime } from './scalars.js'

@ObjectType('MappingTemplate', {
  implements: Node,
  description:
    'A mapping that the tenant keeps for files that come again. Imports that were started with a version keep it when the template is ' +
    'saved anew.',
})
export class MappingTemplate {
  @Field(() => String, { description: 'Unique among the templates of the record type that are not archived.' })
  readonly name!: string

  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => Int, { description: 'Goes up by one whenever the template is saved.' })
  readonly version!: number

  @Field(() => Mapping, {
    description:
      'Of the newest version. Its conflicts are those that need no file; a field that is gone is TEMPLATE_DRIFT.',
  })
  readonly mapping!: Mapping

  @Field(() => DateTime)
  readonly createdAt!: Date

  @Field(() => DateTime)
  readonly updatedAt!: Date

  @Field(() => DateTime, { nullable: true, description: 'Null: it is offered and can be used.' })
  readonly archivedAt!: Date | null
}

@InputType('MappingTemplateSaveInput', {
  description:
    'With `id` a new version of that template, else a new template. Columns are found by `column`: a template knows no positions. Name ' +
    'also the columns that go nowhere, without `field`, to be asked about new ones; otherwise the first file tells what is usual.',
})
export class MappingTemplateSaveInput {
  @Field(() => ID, { nullable: true })
  readonly id?: string | null

  @Field(() => String)
  readonly name!: string

  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => [ColumnMappingInput])
  readonly mapping!: ColumnMappingInput[]
}

@InputType('MappingTemplateArchiveInput')
export class MappingTemplateArchiveInput {
  @Field(() => ID)
  readonly id!: string
}

@ObjectType('MappingTemplatePayload')
export class MappingTemplatePayload extends Payload {
  @Field(() => MappingTemplate, { nullable: true })
  readonly mappingTemplate!: MappingTemplate | null
}
