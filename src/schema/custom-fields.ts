import 'reflect-metadata'
import { Field, ID, InputType, ObjectType } from 'type-graphql'
import type { FieldKind } from '../records/types.js'
import { Payload } from './common.js'
import { FieldKindEnum, RecordTypeEnum } from './enums.js'
import { RecordSchema } from './records.js'

@InputType('CustomFieldInput', {
  description:
    'A field of your own. Mappings, filters and `recordUpdate` name it `custom.<key>`. The key is in camel case (`favouriteColour`) and ' +
    'keeps its kind for ever. Any kind but REFERENCE; ENUM needs `options`, MULTI_ENUM may have them.',
})
export class CustomFieldInput {
  @Field(() => String)
  readonly key!: string

  @Field(() => String)
  readonly label!: string

  @Field(() => FieldKindEnum)
  readonly kind!: FieldKind

  @Field(() => [String], { nullable: true })
  readonly options?: string[] | null
}

@InputType('CustomFieldCreateInput')
export class CustomFieldCreateInput {
  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => CustomFieldInput)
  readonly field!: CustomFieldInput
}

@InputType('IdInput')
export class IdInput {
  @Field(() => ID)
  readonly id!: string
}

@ObjectType('RecordSchemaPayload')
export class RecordSchemaPayload extends Payload {
  @Field(() => RecordSchema, { nullable: true })
  readonly recordSchema!: RecordSchema | null
}
