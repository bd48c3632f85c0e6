import 'reflect-metadata'
import { Field, ID, InputType, ObjectType } from 'type-graphql'
import type { RuleKind } from '../pipeline/types.js'
import { Node, Payload } from './common.js'
import { BusinessRuleKind, IssueSeverityEnum, RecordTypeEnum } from './enums.js'
import { TransformArgument, TransformArgumentInput } from './mapping.js'

@ObjectType('BusinessRule', {
  implements: Node,
  description: 'What a tenant asks of its records beyond what their fields ask; every import obeys it.',
})
export class BusinessRuleType {
  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => BusinessRuleKind)
  readonly kind!: RuleKind

  @Field(() => [String])
  readonly fields!: readonly string[]

  @Field(() => [TransformArgument])
  readonly arguments!: readonly TransformArgument[]

  @Field(() => IssueSeverityEnum, { description: 'ERROR fails the row; WARNING only reports it.' })
  readonly severity!: string

  @Field(() => String, { description: 'What people read where the rule is broken.' })
  readonly message!: string

  @Field(() => Boolean, { description: 'False: imports that start now do without it.' })
  readonly active!: boolean
}

@InputType('BusinessRuleSaveInput', {
  description:
    'With `id` it replaces that rule, whose record type stays. Arguments by kind: REQUIRED_IF `when` (a field), then `is` (once for each ' +
    'value) or `blank` (true); ONE_OF `value` (once for each), `ignoreCase`; RANGE `min`, `max`; PATTERN `pattern` (the syntax of RE2), ' +
    '`ignoreCase`, `anywhere`; COMPARE, over two fields, `operator` (LT, LTE, GT, GTE, EQ, NEQ); UNIQUE none. Values are written plainly: ' +
    '`1234.56`, `2026-03-01`, `true`.',
})
export class BusinessRuleSaveInput {
  @Field(() => ID, { nullable: true })
  readonly id?: string | null

  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => BusinessRuleKind)
  readonly kind!: RuleKind

  @Field(() => [String])
  readonly fields!: string[]

  @Field(() => [TransformArgumentInput], { nullable: true })
  readonly arguments?: TransformArgumentInput[] | null

  @Field(() => IssueSeverityEnum)
  readonly severity!: 'ERROR' | 'WARNING'

  @Field(() => String)
  readonly message!: string

  @Field(() => Boolean, { nullable: true, description: 'True where absent.' })
  readonly active?: boolean | null
}

@ObjectType('BusinessRulePayload')
export class BusinessRulePayload extends Payload {
  @Field(() => BusinessRuleType, { nullable: true })
  readonly businessRule!: BusinessRuleType | null
}

@ObjectType('DeletePayload')
export class DeletePayload extends Payload {
  @Field(() => ID, { nullable: true })
  readonly deletedId!: string | null
}
